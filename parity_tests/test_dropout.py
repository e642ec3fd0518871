"""Dropout in whole models: the same masks on both sides, reproducible, in training alone. (The operation: test_ops.py.)"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig
from npgpt.ops.dropout import dropout, dropout_mask
from npgpt.text.data import set_generator_state

from .strategies import configs, llama_configs, lstm_configs, random_weights, seeds
from .tolerances import as_numpy

SMALL = GPTConfig(11, 2, 2, 12, 8, position="learned", tie_weights=True, dropout=0.3)
LSTM = LSTMConfig(11, 3, 12, 12, 8, tie_weights=True, dropout=0.3)
LLAMA = LlamaConfig(11, 2, 4, 12, 8, n_kv_head=2, head_size=4, dropout=0.3)
of_every_kind = pytest.mark.parametrize("config", [SMALL, LSTM, LLAMA], ids=lambda config: config.kind)


def batch(seed, config=SMALL, size=4):
    return np.random.default_rng(seed).integers(config.vocab_size, size=(2, size, config.seq_len))


@given(seeds, st.floats(0, 0.99), st.sampled_from(["float32", "float64"]))
def test_a_mask_holds_two_values_and_keeps_the_mean(seed, p, dtype):
    mask = dropout_mask(np.random.default_rng(seed), (50, 60), p, dtype)
    assert mask.dtype == dtype and set(np.unique(mask)) <= {0, np.dtype(dtype).type(1 / (1 - p))}
    spread = np.sqrt(p / (1 - p) / mask.size)  # of the mean of a mask
    assert abs(mask.mean() - 1) < 6 * spread + 1e-6
    other = dropout_mask(np.random.default_rng(seed), (50, 60), p, "float64" if dtype == "float32" else "float32")
    assert np.array_equal(mask > 0, other > 0)  # the same places for every dtype


def test_a_number_is_dropped_where_its_uniform_float32_is_below_p():
    uniform = np.random.default_rng(3).random((4, 5), dtype=np.float32)
    for p in (0.5, float(uniform[1, 2])):  # equal to p: kept, so that p = 0 drops nothing
        assert np.array_equal(dropout_mask(np.random.default_rng(3), (4, 5), p, "float64") > 0, uniform >= np.float32(p))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the mask must have the shape of x \(2, 3\), got \(3,\)"):
        dropout(np.ones((2, 3)), np.ones(3))


@given(st.one_of(configs(), lstm_configs(), llama_configs()), seeds, st.floats(0.01, 0.8))
def test_with_shared_masks_both_sides_have_the_same_loss_and_gradients(config, seed, p):
    config = dataclasses.replace(config, dropout=p)
    ours, theirs = (backend.make_model(config, seed=seed, dtype="float64") for backend in (npgpt, torchgpt))
    weights = random_weights(np.random.default_rng(seed), config, 0.3)
    for model in (ours, theirs):
        model.load_state_dict(weights)
    for step in range(2):
        ids, targets = batch(step, config)
        assert ours.loss_and_grad(ids, targets) == pytest.approx(theirs.loss_and_grad(ids, targets), rel=1e-10)
    gradients = theirs.gradients()
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for name, gradient in ours.gradients().items():
        assert np.abs(gradient - gradients[name]).max() <= 1e-9 * largest, name


@of_every_kind
def test_a_run_with_dropout_is_the_same_on_both_sides(config):
    tokens = np.random.default_rng(0).integers(11, size=300)
    runs = []
    for backend in (npgpt, torchgpt):
        model = backend.make_model(config, seed=5, dtype="float64")
        runs.append(backend.train(model, npgpt.RandomWindows(tokens, 8, 4), steps=60, learning_rate=1e-2))
    assert np.abs(np.subtract(*runs)).max() < 1e-10
    plain = npgpt.make_model(dataclasses.replace(config, dropout=0.0), seed=5, dtype="float64")
    assert runs[0] != npgpt.train(plain, npgpt.RandomWindows(tokens, 8, 4), steps=60, learning_rate=1e-2)


@of_every_kind
@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_only_training_drops(backend, config):
    model, plain = (backend.make_model(dataclasses.replace(config, dropout=p), seed=1) for p in (0.5, 0.0))
    ids, targets = batch(0)
    state = model.dropout_rng.bit_generator.state
    assert np.array_equal(as_numpy(model(ids)), as_numpy(plain(ids))) and model.loss(ids, targets) == plain.loss(ids, targets)
    assert all(
        np.array_equal(as_numpy(a), as_numpy(b))
        for (a, _), (b, _) in zip(model.trace(ids).values(), plain.trace(ids).values(), strict=True)
    )
    assert model.dropout_rng.bit_generator.state == state
    assert plain.dropout_masks() is None and as_numpy(model.dropout_masks()((4, 3))).dtype == "float32"
    losses = {model.loss_and_grad(ids, targets) for _ in range(5)}
    assert len(losses) > 1 and plain.loss_and_grad(ids, targets) == plain.loss_and_grad(ids, targets)


@of_every_kind
@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_masks_are_reproducible(backend, config):
    """By the seed, and from a saved state."""
    first, second = (backend.make_model(config, seed=3) for _ in range(2))
    assert first.dropout_rng.bit_generator.state == np.random.default_rng([3, 1]).bit_generator.state  # old runs' masks
    ids, targets = batch(0)
    losses = [first.loss_and_grad(ids, targets) for _ in range(2)]
    assert losses == [second.loss_and_grad(ids, targets) for _ in range(2)]
    state = first.dropout_rng.bit_generator.state
    after = first.loss_and_grad(ids, targets)
    other = backend.make_model(config, seed=3)
    set_generator_state(other.dropout_rng, state)
    assert other.loss_and_grad(ids, targets) == after


@of_every_kind
def test_the_gradient_is_that_of_the_dropped_model(config):
    """Central differences under one fixed mask: independent of torch's autograd."""
    model = npgpt.make_model(config, seed=1, dtype="float64")
    ids, targets = batch(0)
    state = model.dropout_rng.bit_generator.state

    def loss() -> float:
        model.dropout_rng.bit_generator.state = state
        return model.loss_and_grad(ids, targets)

    loss()
    gradients = model.gradients()
    rng = np.random.default_rng(0)
    for name, parameter in model.named_parameters():
        direction = rng.standard_normal(parameter.shape)
        before = parameter.data.copy()
        values = []
        for h in (1e-5, -1e-5):
            parameter.data[...] = before + h * direction
            values.append(loss())
        parameter.data[...] = before
        slope = (gradients[name] * direction).sum()
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-4, abs=1e-8), name


def shapes_of_masks(backend, config):
    """Of those that one forward draws, in its order."""
    shapes, model = [], backend.make_model(config, seed=1)
    draw = model.dropout_masks()

    def noted(shape):
        shapes.append(tuple(shape))
        return draw(shape)

    ids, _ = batch(0, config)
    if backend is npgpt:
        model.forward(ids, masks=noted)
    else:
        model(ids, masks=noted)
    return shapes


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_an_lstm_drops_between_its_layers_and_nowhere_else(backend):
    """As torch.nn.LSTM: one layer has nothing to drop, and of three layers two hand on (B, T, H)."""
    ids, targets = batch(0, LSTM)
    one = backend.make_model(dataclasses.replace(LSTM, n_layer=1), seed=1)
    assert one.loss_and_grad(ids, targets) == one.loss_and_grad(ids, targets) == pytest.approx(one.loss(ids, targets), rel=1e-6)
    assert shapes_of_masks(backend, LSTM) == [(4, 8, 12)] * 2


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_llama_drops_in_the_places_of_a_gpt(backend):
    """After the embedding; in the pattern of every query head and at the end of both branches of each block."""
    gpt = dataclasses.replace(SMALL, n_head=4)
    places = [(4, 8, 12)] + [(4, 4, 8, 8), (4, 8, 12), (4, 8, 12)] * 2
    assert shapes_of_masks(backend, LLAMA) == shapes_of_masks(backend, gpt) == places


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.0, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
        (-0.1, ValueError, "dropout must be at least 0 and below 1, got -0.1"),
        (float("nan"), ValueError, "dropout must be at least 0 and below 1, got nan"),
        ("x", TypeError, "dropout must be a number, got 'x'"),
        (True, TypeError, "dropout must be a number, got True"),
    ],
)
def test_impossible_shares_are_named(value, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(SMALL, dropout=value)
