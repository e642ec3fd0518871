"""What must hold whatever the weights are. Some of it bit for bit, with BLAS on one thread (conftest.py)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgpt
from npgpt.layers import join_heads, split_heads

from .operations import ops
from .strategies import configs, dtypes, given_every_kind, random_weights, seeds, tokens
from .tolerances import eps, model_errors


def model_with_weights(config, seed, dtype="float64", std=0.3):
    rng = np.random.default_rng(seed)
    model = npgpt.make_model(config, dtype=dtype)
    model.load_state_dict(random_weights(rng, config, std))
    return model, rng


# ------------------------------------------------------------------------------------------------------------- bit for bit


@given_every_kind(seeds, dtypes)
def test_a_changed_future_token_leaves_earlier_logits_as_they_were(config, seed, dtype):
    model, rng = model_with_weights(config, seed, dtype)
    ids, _ = tokens(rng, config)
    t = int(rng.integers(ids.shape[1]))
    changed = ids.copy()
    changed[:, t:] = rng.integers(config.vocab_size, size=changed[:, t:].shape)
    assert np.array_equal(model(ids)[:, :t], model(changed)[:, :t])


@given_every_kind(seeds, dtypes)
def test_permuting_the_batch_permutes_the_logits(config, seed, dtype):
    model, rng = model_with_weights(config, seed, dtype)
    ids, _ = tokens(rng, config, batch_size=4)
    order = rng.permutation(4)
    assert np.array_equal(model(ids)[order], model(ids[order]))


@given_every_kind(seeds, dtypes)
def test_a_sequence_gets_the_same_logits_alone_as_in_a_batch(config, seed, dtype):
    model, rng = model_with_weights(config, seed, dtype)
    ids, _ = tokens(rng, config, batch_size=4)
    together, alone = model(ids)[2:3], model(ids[2:3])
    if config.kind == "lstm":  # a step is a product (B, H) by a matrix, and for B = 1 BLAS takes another routine
        assert np.abs(together - alone).max() <= 1e3 * eps(dtype) * np.abs(together).max()
    else:
        assert np.array_equal(together, alone)


@given_every_kind(seeds, dtypes)
def test_the_same_run_twice_gives_the_same_bits(config, seed, dtype):
    model, rng = model_with_weights(config, seed, dtype)
    ids, targets = tokens(rng, config)
    first = model.loss_and_grad(ids, targets), model.gradients()
    model.zero_grad()
    second = model.loss_and_grad(ids, targets), model.gradients()
    assert first[0] == second[0]
    assert all(np.array_equal(first[1][name], second[1][name]) for name in first[1])


@given_every_kind(seeds)
def test_twice_the_cotangent_is_twice_every_gradient(config, seed):
    model, rng = model_with_weights(config, seed)
    ids, _ = tokens(rng, config)
    logits, cache = model.forward(ids)
    dlogits = rng.standard_normal(logits.shape)
    model.backward(dlogits, cache)
    once = model.gradients()
    model.zero_grad()
    model.backward(2 * dlogits, cache)
    assert all(np.array_equal(2 * once[name], gradient) for name, gradient in model.gradients().items())


@given(seeds, st.integers(-50, 50), dtypes)
def test_softmax_ignores_a_common_integer_shift_on_a_64th_grid(seed, shift, dtype):
    rng = np.random.default_rng(seed)
    x = (rng.integers(-500, 500, (3, 7)) / 64).astype(dtype)  # on this grid adding an integer is exact
    assert np.array_equal(ops.softmax(x)[0], ops.softmax(x + np.array(shift, dtype))[0])


@given(seeds, st.integers(1, 4))
def test_joining_the_heads_undoes_splitting_them(seed, n_head):
    rng = np.random.default_rng(seed)
    qkv = rng.standard_normal((2, 3, 3 * n_head * 5))
    assert np.array_equal(np.concatenate([join_heads(part) for part in split_heads(qkv, n_head)], axis=-1), qkv)


# -------------------------------------------------------------------------------------------------------- within a tolerance


@given_every_kind(seeds)
def test_a_prefix_has_the_logits_of_the_truncated_sequence(config, seed):
    model, rng = model_with_weights(config, seed)
    ids, _ = tokens(rng, config)
    t = int(rng.integers(1, ids.shape[1] + 1))
    whole = model(ids)
    assert np.abs(whole[:, :t] - model(ids[:, :t])).max() <= 1e3 * eps("float64") * np.abs(whole).max()


@given(configs(), seeds)
def test_rows_of_dscores_sum_to_zero_and_nothing_reaches_the_future(config, seed):
    model, rng = model_with_weights(config, seed)
    ids, targets = tokens(rng, config)
    trace = model.trace(ids, targets)
    T = ids.shape[1]
    future = np.triu(np.ones((T, T), dtype=bool), 1)
    for i in range(config.n_layer):
        scores, dscores = trace[f"blocks.{i}.scores"]
        pattern, dpattern = trace[f"blocks.{i}.pattern"]
        terms = 2 * (pattern * np.abs(dpattern)).sum(-1)  # dscores = p (dp - sum p dp): what cancels in a row's sum
        assert (np.abs(dscores.sum(-1)) <= 8 * T * eps("float64") * terms).all()
        assert not dscores[..., future].any() and np.isneginf(scores[..., future]).all()
        assert not pattern[..., future].any()


@given(configs(), seeds)
def test_the_key_bias_has_no_gradient(config, seed):
    """It adds the same number to a whole row of scores, and softmax ignores that."""
    config = dataclasses.replace(config, qkv_bias=True, train_qkv=True)
    model, rng = model_with_weights(config, seed)
    model.loss_and_grad(*tokens(rng, config))
    C = config.n_embd
    for i in range(config.n_layer):
        gradient = model.gradients()[f"blocks.{i}.mha.Wqkv.bias"]
        largest = max(np.abs(g).max() for g in model.gradients().values())
        assert np.abs(gradient[C : 2 * C]).max() <= 1e3 * eps("float64") * largest


@given_every_kind(seeds)
def test_a_tied_weights_gradient_is_the_sum_of_the_untied_two(config, seed):
    square = {"n_hidden": config.n_embd} if config.kind == "lstm" else {}  # else it cannot be tied
    tied_config, untied_config = (dataclasses.replace(config, tie_weights=tie, **square) for tie in (True, False))
    tied, rng = model_with_weights(tied_config, seed)
    untied = npgpt.make_model(untied_config, dtype="float64")
    untied.load_state_dict(tied.state_dict() | {"head.weight": tied.token_embedding.weight})
    ids, targets = tokens(rng, config)
    tied.loss_and_grad(ids, targets)
    untied.loss_and_grad(ids, targets)
    both = untied.gradients()
    expected = {"sum": both["token_embedding.weight"] + both["head.weight"]}
    errors = model_errors({"sum": tied.gradients()["token_embedding.weight"]}, expected)
    assert errors["sum"] <= 32 * eps("float64")


@given_every_kind(seeds)
def test_accumulated_gradients_are_those_of_one_big_batch(config, seed):
    model, rng = model_with_weights(config, seed)
    ids, targets = tokens(rng, config, batch_size=4)
    model.loss_and_grad(ids, targets)
    together = model.gradients()
    model.zero_grad()
    for half in (slice(0, 2), slice(2, 4)):
        model.loss_and_grad(ids[half], targets[half])
    errors = model_errors({name: g / 2 for name, g in model.gradients().items()}, together)
    assert max(errors.values()) <= 1e3 * eps("float64"), errors


@given(seeds)
def test_attention_without_a_mask_does_not_know_the_order(seed):
    """The last query sees everything, so no mask hides anything from it: permuting keys and values changes nothing."""
    rng = np.random.default_rng(seed)
    q, k, v = rng.standard_normal((3, 1, 1, 6, 4))
    order = rng.permutation(6)
    last = ops.attention(q, k, v)[0][..., -1, :]
    permuted = ops.attention(q, k[:, :, order], v[:, :, order])[0][..., -1, :]
    assert np.abs(last - permuted).max() <= 64 * eps("float64") * np.abs(v).max()


@given(seeds, st.floats(-100, 100), st.floats(0.01, 100))
def test_layer_norm_ignores_shift_and_scale_as_eps_goes_to_zero(seed, shift, scale):
    rng = np.random.default_rng(seed)
    x, one, zero = rng.standard_normal((4, 8)), np.ones(8), np.zeros(8)
    plain = ops.layer_norm(x, one, zero, eps=0.0)[0]
    moved = ops.layer_norm(scale * x + shift, one, zero, eps=0.0)[0]
    assert np.abs(plain - moved).max() <= 1e3 * eps("float64") * (1 + abs(shift) / scale) ** 2


@given(seeds)
def test_a_repeated_token_collects_the_gradient_of_every_place(seed):
    rng = np.random.default_rng(seed)
    ids = np.array([[2, 0, 2], [2, 2, 1]])
    _, cache = ops.embedding(ids, rng.standard_normal((4, 3)))
    dy = rng.standard_normal((2, 3, 3))
    dweight = ops.embedding_backward(dy, cache)
    assert np.allclose(dweight[2], dy[0, 0] + dy[0, 2] + dy[1, 0] + dy[1, 1], rtol=1e-15, atol=1e-15)
    assert not dweight[3].any()  # a token that never occurs never moves


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_zero_after_zero_grad_and_add_up_without(dtype):
    config = npgpt.GPTConfig.article()
    model = npgpt.GPTModel(config, seed=1, dtype=dtype)
    ids, targets = tokens(np.random.default_rng(0), config)
    model.loss_and_grad(ids, targets)
    once = model.gradients()
    model.loss_and_grad(ids, targets)
    assert all(np.array_equal(2 * once[name], gradient) for name, gradient in model.gradients().items())
    model.loss(ids, targets)  # keeps no gradients
    assert all(np.array_equal(2 * once[name], gradient) for name, gradient in model.gradients().items())
    model.zero_grad()
    assert not any(gradient.any() for gradient in model.gradients().values())
