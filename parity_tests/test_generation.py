"""Greedy generation: prompts shorter than, equal to and longer than the context, on both sides."""

import contextlib
import itertools

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import npgpt
import torchgpt
from npgpt import GPTConfig

from .strategies import configs, llama_configs, random_weights, seeds, weight_shapes
from .tolerances import as_numpy, assert_model_parity

with_a_context = st.one_of(configs(), llama_configs())


@given(with_a_context, seeds)
def test_both_backends_generate_the_same_tokens(config, seed):
    rng = np.random.default_rng(seed)
    ours = npgpt.make_model(config, dtype="float64")
    ours.load_state_dict(random_weights(rng, config, 1.0))
    theirs = torchgpt.from_numpy(ours)
    for length in {1, config.seq_len, config.seq_len + 3}:  # shorter than, equal to, longer than the context
        prompt = rng.integers(config.vocab_size, size=(2, length))
        tokens = npgpt.generate(ours, prompt, 5)
        assert np.array_equal(tokens, torchgpt.generate(theirs, prompt, 5).numpy())
        assert tokens.shape == (2, length + 5) and tokens.dtype == np.int64 and np.array_equal(tokens[:, :length], prompt)


@given(with_a_context, seeds)
def test_each_token_is_the_likeliest_after_the_last_seq_len(config, seed):
    rng = np.random.default_rng(seed)
    model = npgpt.make_model(config, dtype="float64")
    model.load_state_dict(random_weights(rng, config, 1.0))
    tokens = npgpt.generate(model, rng.integers(config.vocab_size, size=config.seq_len + 2), 6)
    assert tokens.ndim == 1
    for end in range(config.seq_len + 2, len(tokens)):
        assert tokens[end] == model(tokens[None, max(0, end - config.seq_len) : end])[0, -1].argmax()


@given(with_a_context, seeds)
@example(GPTConfig(11, 2, 3, 3, 6), 4)  # heads of one feature
def test_what_is_remembered_gives_the_logits_of_the_full_forward(config, seed):
    """Whatever the number of tokens that each call brings."""
    rng = np.random.default_rng(seed)
    ours = npgpt.make_model(config, dtype="float64")
    ours.load_state_dict(random_weights(rng, config, 0.5))
    tokens = rng.integers(config.vocab_size, size=(2, config.seq_len))
    ends = sorted({config.seq_len, *rng.integers(1, config.seq_len + 1, size=3).tolist()})
    theirs, single = torchgpt.from_numpy(ours), torchgpt.make_model(config)
    single.load_state_dict(ours.state_dict())
    for model in (ours, theirs):
        past = model.remember(2)
        for start, end in itertools.pairwise([0, *ends]):
            logits = as_numpy(model.next_logits(tokens[:, start:end], past))
            full, full32 = (as_numpy(torch_model(tokens[:, :end]))[:, -1] for torch_model in (theirs, single))
            assert_model_parity({"logits": logits}, {"logits": full32}, {"logits": full}, "float64")
        with pytest.raises(ValueError, match=rf"^{config.seq_len} positions seen and 1 more are more than the model's seq_len"):
            model.next_logits(tokens[:, :1], past)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("config", "shape"),
    [(npgpt.GPTConfig(11, 2, 2, 8, 6), (1, 2, 6, 4)), (npgpt.LlamaConfig(11, 2, 4, 8, 6, n_kv_head=2), (1, 2, 6, 2))],
)
def test_what_is_remembered_has_the_models_dtype_and_an_entry_for_each_block(backend, dtype, config, shape):
    """And the keys and values of a Llama are those of its key heads alone."""
    model = backend.make_model(config, dtype=dtype)
    past = model.remember(1)
    assert [tuple(each.shape) for entry in past for each in (entry.k, entry.v)] == [shape] * 4
    for _ in range(2):  # nothing remembered, then something
        assert as_numpy(model.next_logits(np.array([[1]]), past)).dtype == dtype
    assert [as_numpy(entry.k).dtype for entry in past] == [dtype, dtype]
    if backend is npgpt:
        with pytest.raises(ValueError, match="shorter"):
            model.next_logits(np.array([[1]]), past[:1])


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize(
    "config",
    [npgpt.GPTConfig(11, 2, 2, 8, 6, position="learned"), npgpt.LlamaConfig(11, 2, 4, 8, 6, n_kv_head=2)],
    ids=lambda config: config.kind,
)
def test_a_window_that_slides_by_more_sees_what_is_left_of_it(backend, config):
    model = backend.make_model(config, seed=4, dtype="float64")
    weights = random_weights(np.random.default_rng(4), config, 1.0)
    model.load_state_dict(weights)
    for slide in range(1, 7):
        for length in (1, 6, 9):
            tokens = as_numpy(backend.generate(model, np.arange(length), 20, slide=slide))
            start = 0
            for end in range(length, len(tokens)):
                if end - start > 6:
                    start = end - 6 + slide - 1
                assert tokens[end] == as_numpy(model(tokens[None, start:end]))[0, -1].argmax(), (slide, length, end)
    for slide in (0, 7):
        with pytest.raises(ValueError, match=rf"^slide must lie in 1\.\.6 .*, got {slide}$"):
            backend.generate(model, [1], 1, slide=slide)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize("config", [npgpt.LSTMConfig.article(), npgpt.MambaConfig(32, 1, 4, 3)], ids=lambda config: config.kind)
def test_where_the_context_has_no_end_any_slide_of_at_least_one_changes_nothing(backend, config):
    model = backend.make_model(config, seed=4)
    prompt = [1, 2, 3]
    expected = backend.generate(model, prompt, 20).tolist()
    assert backend.generate(model, prompt, 20, slide=99).tolist() == expected
    with pytest.raises(ValueError, match=r"^slide must be at least 1, got 0$"):
        backend.generate(model, prompt, 1, slide=0)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_prompts_in_every_form(backend):
    model = backend.GPTModel(npgpt.GPTConfig.article(), seed=3)
    expected = backend.generate(model, [0, 14, 11], 4).tolist()
    assert len(expected) == 7
    assert backend.generate(model, np.array([0, 14, 11], dtype=np.int32), 4).tolist() == expected
    assert backend.generate(model, [[0, 14, 11]], 4).tolist() == [expected]
    assert backend.generate(model, [0, 14, 11], 0).tolist() == [0, 14, 11]
    if backend is torchgpt:
        assert backend.generate(model, torch.tensor([[0, 14, 11]]), 4).tolist() == [expected]
        assert backend.generate(model, torch.tensor([0, 14, 11]), 4).tolist() == expected


def test_threads_are_given_by_the_tokens_of_each_call(monkeypatch):
    """A long prompt is worth more of them than the tokens after it; a model for which none is worth it is asked once."""
    asked = []
    monkeypatch.setattr("npgpt.generation.blas_for", lambda *sizes: asked.append(sizes) or contextlib.nullcontext())
    model = npgpt.GPTModel(npgpt.GPTConfig.article())
    whole, parameters = 2 * 12, model.num_parameters()
    monkeypatch.setattr("npgpt.generation.too_little_for_blas", lambda *sizes: sizes != (whole, parameters))
    npgpt.generate(model, [[1, 2, 3, 4, 5]] * 2, 3)
    assert asked == [(whole, parameters), (10, parameters), (2, parameters), (2, parameters)]
    asked.clear()
    monkeypatch.setattr("npgpt.generation.too_little_for_blas", lambda *sizes: sizes == (whole, parameters))
    npgpt.generate(model, [[1, 2, 3, 4, 5]] * 2, 3)
    assert asked == [(whole, parameters)]


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_of_equal_logits_the_lowest_id_wins(backend):
    model = backend.GPTModel(npgpt.GPTConfig.article())
    model.load_state_dict({name: np.zeros(shape) for name, shape in weight_shapes(model.config).items()})
    assert backend.generate(model, [5], 2).tolist() == [5, 0, 0]


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize(
    ("prompt", "n", "error", "message"),
    [
        ([], 1, ValueError, "at least one token"),
        ([[]], 1, ValueError, "at least one token"),
        (3, 1, ValueError, r"as \(T,\) or \(B, T\); got the shape \(\)$"),
        ([[[1]]], 1, ValueError, r"as \(T,\) or \(B, T\); got the shape \(1, 1, 1\)$"),
        ([1, 32], 1, ValueError, "prompt's ids.*got 32"),
        ([32] + [0] * 20, 1, ValueError, "prompt's ids.*got 32"),  # also where the model would never see it
        ([1.5], 1, TypeError, "must be integers"),
        ([1], -1, ValueError, "max_new_tokens must be at least 0, got -1"),
    ],
)
def test_bad_prompts_are_named(backend, prompt, n, error, message):
    with pytest.raises(error, match=message):
        backend.generate(backend.GPTModel(npgpt.GPTConfig.article()), prompt, n)
