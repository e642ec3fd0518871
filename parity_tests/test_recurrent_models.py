"""What LSTM and Mamba alone can do: a text of any length, read in pieces of any size, from a state that never grows."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import npgpt
import torchgpt

from .strategies import EXAMPLES, lstm_configs, mamba_configs, random_weights, seeds
from .tolerances import as_numpy, assert_model_parity, eps, model_errors

BACKENDS = (npgpt, torchgpt)
CONFIGS = [EXAMPLES["lstm"], EXAMPLES["mamba"]]
recurrent_configs = st.one_of(lstm_configs(), mamba_configs())
some = settings(max_examples=max(10, settings().max_examples // 4))
of_both_kinds = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)


def with_weights(config, seed, std=0.5):
    """Both sides in float64, and torch's in float32, with the same weights."""
    weights = random_weights(np.random.default_rng(seed), config, std)
    models = [
        npgpt.make_model(config, dtype="float64"),
        torchgpt.make_model(config, dtype="float64"),
        torchgpt.make_model(config),
    ]
    for model in models:
        model.load_state_dict(weights)
    return models


def arrays(past) -> list[np.ndarray]:
    """What is remembered, flat: two arrays a block."""
    return [as_numpy(part) for state in past for part in state]


@some
@given(recurrent_configs, seeds)
def test_a_state_that_is_carried_on_equals_one_long_forward(config, seed):
    """In pieces of any sizes, on both sides, over three times seq_len; and after each piece."""
    rng = np.random.default_rng(seed)
    ours, theirs, single = with_weights(config, seed)
    T = 3 * config.seq_len
    ids = rng.integers(config.vocab_size, size=(2, T))
    ends = sorted({1, T, *rng.integers(1, T + 1, size=3).tolist()})
    full, full32 = (as_numpy(model(ids)) for model in (theirs, single))
    for model in (ours, theirs):
        assert_model_parity({"logits": as_numpy(model(ids))}, {"logits": full32}, {"logits": full}, "float64")
        past = model.remember(2)
        for start, end in itertools.pairwise([0, *ends]):
            logits = as_numpy(model.next_logits(ids[:, start:end], past))
            assert_model_parity({"logits": logits}, {"logits": full32[:, end - 1]}, {"logits": full[:, end - 1]}, "float64")


@some
@given(recurrent_configs, seeds)
def test_sequences_longer_than_seq_len_have_the_gradient_of_torch_too(config, seed):
    rng = np.random.default_rng(seed)
    ids, targets = rng.integers(config.vocab_size, size=(2, 2, 2 * config.seq_len + 1))
    results = []
    for model in with_weights(config, seed):
        loss = model.loss_and_grad(ids, targets)
        results.append(model.gradients() | {"loss": np.array(loss)})
    ours, theirs, single = results
    assert_model_parity(ours, single, theirs, "float64")


@some
@given(recurrent_configs, seeds)
def test_a_batch_split_in_two_equals_the_whole(config, seed):
    """Logits, and the halves' gradients added up. (Not bit for bit: BLAS may take another routine for fewer rows.)"""
    rng = np.random.default_rng(seed)
    ours, *_ = with_weights(config, seed)
    ids, targets = rng.integers(config.vocab_size, size=(2, 4, config.seq_len))
    whole = ours(ids)
    ours.loss_and_grad(ids, targets)
    together = ours.gradients()
    ours.zero_grad()
    for half in (slice(0, 2), slice(2, 4)):
        assert np.abs(whole[half] - ours(ids[half])).max() <= 1e3 * eps("float64") * np.abs(whole).max()
        ours.loss_and_grad(ids[half], targets[half], scale=0.5)
    assert max(model_errors(ours.gradients(), together).values()) <= 1e3 * eps("float64")


@of_both_kinds
@pytest.mark.parametrize("side", [0, 1], ids=["npgpt", "torchgpt"])
def test_no_state_is_kept_between_calls(config, side):
    """Whatever came before, and whatever is remembered elsewhere: the same bits."""
    model = with_weights(config, 0)[side]
    ids, targets = np.random.default_rng(0).integers(config.vocab_size, size=(2, 3, 5))
    first = as_numpy(model(ids)).copy(), model.loss_and_grad(ids, targets), model.gradients()
    model.next_logits(ids, model.remember(3))
    model(ids[:, ::-1].copy())
    model.zero_grad()
    again = as_numpy(model(ids)), model.loss_and_grad(ids, targets), model.gradients()
    assert np.array_equal(first[0], again[0]) and first[1] == again[1]
    assert all(np.array_equal(gradient, again[2][name]) for name, gradient in first[2].items())
    one, other = model.remember(3), model.remember(3)
    model.next_logits(ids, one)
    assert not any(array.any() for array in arrays(other))


@of_both_kinds
def test_generation_has_no_end_and_its_state_no_growth(config):
    """Twenty times seq_len, the same tokens on both sides, with the likeliest and with drawn ones; greedily, the last token is
    still what a forward over the whole text says."""
    ours, theirs, _ = with_weights(config, 3, std=1.0)
    n = 20 * config.seq_len
    for options in ({}, {"temperature": 1.0, "seed": 5}):
        tokens = npgpt.generate(ours, [[1, 2], [3, 4]], n, **options)
        assert tokens.shape == (2, n + 2)
        assert np.array_equal(tokens, as_numpy(torchgpt.generate(theirs, [[1, 2], [3, 4]], n, **options)))
        if not options:
            assert np.array_equal(tokens[:, -1], ours(tokens[:, :-1])[:, -1].argmax(-1))
    for model in (ours, theirs):
        past = model.remember(2)
        empty = [array.shape for array in arrays(past)]
        sizes = {"lstm": [(2, 6)] * 4, "mamba": [(2, 2, 9), (2, 9, 3)] * 2}
        assert empty == sizes[config.kind] and not any(array.any() for array in arrays(past))
        for R in (1, 5, 1, 40):
            model.next_logits(np.ones((2, R), int), past)
            assert [array.shape for array in arrays(past)] == empty
            assert all(array.dtype == np.float64 and array.any() for array in arrays(past))


@of_both_kinds
def test_both_sides_remember_the_same(config):
    ours, theirs, _ = with_weights(config, 4)
    ids = np.random.default_rng(4).integers(config.vocab_size, size=(2, 6))
    pasts = [model.remember(2) for model in (ours, theirs)]
    for piece in (ids[:, :1], ids[:, 1:4], ids[:, 4:]):
        for model, past in zip((ours, theirs), pasts, strict=True):
            model.next_logits(piece, past)
        for a, b in zip(*map(arrays, pasts), strict=True):
            assert np.abs(a - b).max() <= 64 * eps("float64") * np.abs(b).max()


@of_both_kinds
def test_everything_works_on_the_meta_device(config):
    """A stray CPU tensor would be an error there: logits, loss, backward, a state that is carried on, a trace."""
    model = torchgpt.make_model(config).to("meta")
    ids = torch.zeros((2, 5), dtype=torch.int64, device="meta")
    shown = {}
    logits = model.logits(ids, lambda name, value: shown.update({name: value}))
    logits.sum().backward()
    past = model.remember(2)
    assert model.logits(ids, past=past).shape == (2, 1, config.vocab_size)
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters()), logits]
    tensors += [part for state in past for part in state]
    tensors += [each for value in shown.values() for each in ([value] if isinstance(value, torch.Tensor) else value)]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_an_lstm_asks_for_torchs_training_mode_where_a_gradient_may_follow(monkeypatch):
    """cuDNN refuses the backward of any other pass, and a CPU says nothing; with its mode on, it keeps what a backward needs,
    which generation has no use for."""
    config = EXAMPLES["lstm"]
    modes, lstm = [], torch.lstm
    monkeypatch.setattr(torch, "lstm", lambda *a, **k: (modes.append(k["train"]), lstm(*a, **k))[1])
    model, ids = torchgpt.make_model(config), np.ones((2, 3), int)
    for call, train in (
        (lambda: model.loss_and_grad(ids, ids), True),
        (lambda: model.loss(ids, ids), False),
        (lambda: model.next_logits(ids, model.remember(2)), False),
    ):
        call()
        assert modes == [train] * config.n_layer
        modes.clear()
