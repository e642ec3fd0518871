"""Greedy generation: prompts shorter than, equal to and longer than the context, on both sides."""

import numpy as np
import pytest
import torch
from hypothesis import given

import npgpt
import torchgpt
from npgpt.weights import weight_shapes

from .strategies import configs, random_weights, seeds


@given(configs(), seeds)
def test_both_backends_generate_the_same_tokens(config, seed):
    rng = np.random.default_rng(seed)
    ours = npgpt.GPTModel(config, dtype="float64")
    ours.load_state_dict(random_weights(rng, weight_shapes(config), 1.0))
    theirs = torchgpt.from_numpy(ours)
    for length in {1, config.seq_len, config.seq_len + 3}:  # shorter than, equal to, longer than the context
        prompt = rng.integers(config.vocab_size, size=(2, length))
        tokens = npgpt.generate(ours, prompt, 5)
        assert np.array_equal(tokens, torchgpt.generate(theirs, prompt, 5).numpy())
        assert tokens.shape == (2, length + 5) and tokens.dtype == np.int64 and np.array_equal(tokens[:, :length], prompt)


@given(configs(), seeds)
def test_each_token_is_the_likeliest_after_the_last_seq_len(config, seed):
    rng = np.random.default_rng(seed)
    model = npgpt.GPTModel(config, dtype="float64")
    model.load_state_dict(random_weights(rng, weight_shapes(config), 1.0))
    tokens = npgpt.generate(model, rng.integers(config.vocab_size, size=config.seq_len + 2), 6)
    assert tokens.ndim == 1
    for end in range(config.seq_len + 2, len(tokens)):
        assert tokens[end] == model(tokens[None, max(0, end - config.seq_len) : end])[0, -1].argmax()


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
        ([1, 32], 1, ValueError, "prompt's ids.*got 32"),
        ([32] + [0] * 20, 1, ValueError, "prompt's ids.*got 32"),  # also where the model would never see it
        ([1.5], 1, TypeError, "must be integers"),
        ([1], -1, ValueError, "max_new_tokens must be at least 0, got -1"),
    ],
)
def test_bad_prompts_are_named(backend, prompt, n, error, message):
    with pytest.raises(error, match=message):
        backend.generate(backend.GPTModel(npgpt.GPTConfig.article()), prompt, n)
