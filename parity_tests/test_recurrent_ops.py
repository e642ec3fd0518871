"""The operations of LSTM and Mamba: what must hold of them besides what test_ops.py asks of every operation.

Bit for bit, with BLAS on one thread (conftest.py), where it is said so.
"""

import decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.ops.causal_conv import causal_conv, causal_conv_backward
from npgpt.ops.lstm import lstm, lstm_backward, lstm_cell, lstm_cell_backward
from npgpt.ops.rms_norm import rms_norm, rms_norm_backward
from npgpt.ops.selective_scan import selective_scan, selective_scan_backward
from npgpt.ops.silu import low_and_high, sigmoid, silu, silu_backward
from npgpt.ops.softplus import softplus, softplus_backward

from .op_table import TABLE, H, run_torch
from .strategies import dtypes, seeds
from .tolerances import eps

small = st.integers(1, 5)
STRETCH = np.array([-1e30, -1e4, -746, -700, -100, -20, -7, -1.25, -1, -0.0, 0, 1, 7, 20, 100, 700, 746, 1e4, 1e30])


def in_dtype(dtype, *arrays):
    return [a.astype(dtype) for a in arrays]


def lstm_inputs(rng, B, T, I, H, dtype="float64", std=0.7):  # noqa: E741
    shapes = (B, T, I), (4 * H, I), (4 * H, H), (4 * H,), (4 * H,), (B, H), (B, H)
    return in_dtype(dtype, *(std * rng.standard_normal(shape) for shape in shapes))


def scan_inputs(rng, B, T, E, N, dtype="float64", delta=1.0):
    """delta about `delta`, A negative."""
    u, drawn, h0 = rng.standard_normal((B, T, E)), rng.standard_normal((B, T, E)), rng.standard_normal((B, E, N))
    A, D = -np.exp(rng.standard_normal((E, N))), rng.standard_normal(E)
    return in_dtype(dtype, u, delta * np.exp(drawn), A, *rng.standard_normal((2, B, T, N)), D, h0)


def conv_inputs(rng, B, T, E, K, dtype="float64"):
    return in_dtype(dtype, rng.standard_normal((B, T, E)), rng.standard_normal((E, 1, K)), rng.standard_normal(E))


def assert_close(ours, theirs, dtype="float64", factor=64):
    """In eps of the largest element, or of a thousandth of the largest of all: a gradient may be all but 0."""
    overall = max(np.abs(b).max(initial=0) for b in theirs)
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.shape == b.shape, place
        assert np.abs(a - b).max(initial=0) <= factor * eps(dtype) * max(np.abs(b).max(initial=0), 1e-3 * overall), place


def outputs_and_gradients(name, inputs, rng):
    """[y, each gradient] under a random cotangent, and that."""
    op = TABLE[name]
    y, cache = op.forward(*inputs)
    dy = rng.standard_normal(y.shape).astype(y.dtype)
    return [y, *op.backward(dy, cache)], dy


# ------------------------------------------------------------------------------------------ time: causality, carrying on, parts

INPUTS = {"causal_conv": conv_inputs, "lstm": lstm_inputs, "selective_scan": scan_inputs}
SEQUENCES = {"causal_conv": (0,), "lstm": (0,), "selective_scan": (0, 1, 3, 4)}  # which inputs have a time
WITH_STATE = {"lstm": (5, 6), "selective_scan": (6,)}  # which inputs are a state, (B, ...)


@pytest.mark.parametrize("name", SEQUENCES)
@given(seed=seeds, sizes=st.tuples(small, st.integers(2, 9), small, small), dtype=dtypes)
def test_what_comes_later_changes_no_bit_of_what_came_before(name, seed, sizes, dtype):
    rng = np.random.default_rng(seed)
    inputs = in_dtype(dtype, *INPUTS[name](rng, *sizes))
    t = int(rng.integers(1, sizes[1]))
    changed = [x.copy() for x in inputs]
    for place in SEQUENCES[name]:
        changed[place][:, t:] = np.abs(rng.standard_normal(changed[place][:, t:].shape))
    op = TABLE[name]
    y, cache = op.forward(*inputs)
    assert np.array_equal(y[:, :t], op.forward(*changed)[0][:, :t])
    dy = rng.standard_normal(y.shape).astype(dtype)
    dy[:, t:] = 0  # and if nobody asks for what comes later, no gradient reaches it
    gradients = op.backward(dy, cache)
    assert not any(gradients[place][:, t:].any() for place in SEQUENCES[name])


@pytest.mark.parametrize("name", SEQUENCES)
@given(seed=seeds, sizes=st.tuples(st.integers(2, 5), st.integers(1, 9), small, small), dtype=dtypes)
def test_a_batch_split_in_two_equals_the_whole(name, seed, sizes, dtype):
    """Outputs and gradients of the sequences side by side; those of the weights are the sum."""
    rng = np.random.default_rng(seed)
    inputs = in_dtype(dtype, *INPUTS[name](rng, *sizes))
    op = TABLE[name]
    whole, dy = outputs_and_gradients(name, inputs, rng)
    of_sequences = {0} | {place + 1 for place in SEQUENCES[name] + WITH_STATE.get(name, ())}
    b = int(rng.integers(1, sizes[0]))
    parts = []
    for rows in (slice(b), slice(b, None)):
        part_y, part_cache = op.forward(*[x[rows] if i + 1 in of_sequences else x for i, x in enumerate(inputs)])
        parts.append([part_y, *op.backward(dy[rows], part_cache)])
    joined = [np.concatenate(p) if i in of_sequences else sum(p) for i, p in enumerate(zip(*parts, strict=True))]
    assert_close(joined, whole, dtype)
    if name != "lstm":  # whose products with h have another shape then
        assert all(np.array_equal(joined[i], whole[i]) for i in of_sequences)


@given(seeds, small, st.integers(2, 9), small, small, dtypes)
def test_a_convolution_that_is_carried_on_equals_one_long_call_bit_for_bit(seed, B, T, E, K, dtype):
    rng = np.random.default_rng(seed)
    x, weight, bias = conv_inputs(rng, B, T, E, K, dtype)
    whole, cache = causal_conv(x, weight, bias)
    t = int(rng.integers(1, T))
    first, first_cache = causal_conv(x[:, :t], weight, bias)
    second, second_cache = causal_conv(x[:, t:], weight, bias, past=first_cache.padded[:, t:])
    assert np.array_equal(np.concatenate([first, second], axis=1), whole)
    dy = rng.standard_normal(whole.shape).astype(dtype)
    dy[:, :t] = 0
    _, dweight, dbias = causal_conv_backward(dy[:, t:], second_cache)  # a tap that fell on the past has learned from it
    assert_close([dweight, dbias], causal_conv_backward(dy, cache)[1:], dtype)


@given(seeds, small, st.integers(2, 9), small, small, dtypes)
def test_a_scan_that_is_carried_on_equals_one_long_call_bit_for_bit(seed, B, T, E, N, dtype):
    rng = np.random.default_rng(seed)
    *inputs, h0 = scan_inputs(rng, B, T, E, N, dtype)
    whole, whole_cache = selective_scan(*inputs, h0)
    t = int(rng.integers(1, T))
    first = [x[:, :t] if i in (0, 1, 3, 4) else x for i, x in enumerate(inputs)]
    second = [x[:, t:] if i in (0, 1, 3, 4) else x for i, x in enumerate(inputs)]
    first_y, cache = selective_scan(*first, h0)
    second_y, second_cache = selective_scan(*second, cache.h[:, -1])
    assert np.array_equal(np.concatenate([first_y, second_y], axis=1), whole)
    assert np.array_equal(np.concatenate([cache.h, second_cache.h], axis=1), whole_cache.h)
    assert np.array_equal(selective_scan(*inputs)[0], selective_scan(*inputs, np.zeros_like(h0))[0])


@given(seeds, small, st.integers(2, 9), small, small, dtypes)
def test_an_lstm_that_is_carried_on_equals_one_long_call(seed, B, T, I, H, dtype):  # noqa: E741
    rng = np.random.default_rng(seed)
    x, *weights, h0, c0 = lstm_inputs(rng, B, T, I, H, dtype)
    whole, whole_cache = lstm(x, *weights, h0, c0)
    t = int(rng.integers(1, T))
    first, cache = lstm(x[:, :t], *weights, h0, c0)
    second, second_cache = lstm(x[:, t:], *weights, cache.h[:, -1], cache.c[:, -1])
    for ours, theirs in ((np.concatenate([first, second], axis=1), whole), (second_cache.c, whole_cache.c[:, t:])):
        assert np.abs(ours - theirs).max() <= 64 * eps(dtype)  # of numbers about 1


# ------------------------------------------------------------------------------------------------ sigmoid, softplus, RMSNorm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_silu_and_softplus_are_right_however_large_x_is(dtype):
    """To every digit on both sides, and without a warning (warnings are errors here), against decimals."""
    x = STRETCH.astype(dtype)
    with decimal.localcontext() as context:
        context.prec = 400  # softplus(-746) is the logarithm of 1 + 1e-324
        one = decimal.Decimal(1)
        exact = [decimal.Decimal(float(each)) for each in x]
        s = np.array([float(one / (one + (-v).exp())) if v > -(10**5) else 0.0 for v in exact])
        log = np.array([float((one + v.exp()).ln()) if v < 10**5 else float(v) for v in exact])
    tiny = np.finfo(dtype).tiny
    for ours, right in ((sigmoid(x), s), (softplus(x)[0], log), (silu(x)[0], x.astype(np.float64) * s)):
        assert ours.dtype == dtype
        assert (np.abs(ours - right) <= 4 * eps(dtype) * np.abs(right) + 800 * tiny).all()
    one_each = np.ones_like(x)
    assert np.array_equal(softplus_backward(one_each, softplus(x)[1]), sigmoid(x))
    slope = silu_backward(one_each, silu(x)[1])
    assert np.isfinite(slope).all() and np.abs(slope[[0, 1, -2, -1]] - [0, 0, 1, 1]).max() == 0


@given(seeds, dtypes)
def test_a_number_is_its_negative_and_its_positive_part(seed, dtype):
    x = np.random.default_rng(seed).standard_normal(50).astype(dtype)
    low, high = low_and_high(x)
    assert np.array_equal(low, np.minimum(x, 0)) and np.array_equal(high, np.maximum(x, 0))


@given(seeds, dtypes)
def test_sigmoid_and_its_mirror_image_add_up_to_one(seed, dtype):
    x = (30 * np.random.default_rng(seed).standard_normal(50)).astype(dtype)
    assert np.abs(sigmoid(x) + sigmoid(-x) - 1).max() <= 2 * eps(dtype)
    assert np.abs(softplus(x)[0] - softplus(-x)[0] - x).max() <= 2 * eps(dtype) * np.abs(x).max()


@given(seeds, small, st.integers(2, 9), dtypes)
def test_rms_norm_gives_every_row_one_length_and_ignores_its_scale(seed, rows, C, dtype):
    rng = np.random.default_rng(seed)
    x, weight, dy = in_dtype(dtype, rng.standard_normal((rows, C)), np.ones(C), rng.standard_normal((rows, C)))
    y, cache = rms_norm(x, weight, eps=0.0)
    assert np.abs((y * y).mean(axis=-1) - 1).max() <= 8 * eps(dtype)
    assert np.abs(rms_norm(4 * x, weight, eps=0.0)[0] - y).max() == 0  # 4: an exact product, and an exact root
    dx, _ = rms_norm_backward(dy, cache)
    along = (dx * x).sum(axis=-1)  # so no gradient points along x
    assert (np.abs(along) <= 16 * C * eps(dtype) * np.abs(dx * x).sum(axis=-1) + 16 * C * eps(dtype) * np.abs(dy).max()).all()


# ------------------------------------------------------------------------------------------------------------- convolution


@given(small, st.integers(1, 9), st.integers(1, 6), st.data())
def test_an_impulse_is_answered_by_the_kernel_from_its_last_tap_on(E, T, K, data):
    weight = np.arange(1.0, E * K + 1).reshape(E, 1, K)
    t = data.draw(st.integers(0, T - 1))
    x = np.zeros((1, T, E))
    x[0, t] = 1
    y, _ = causal_conv(x, weight)
    for s in range(T):
        expected = weight[:, 0, K - 1 - (s - t)] if 0 <= s - t < K else np.zeros(E)
        assert np.array_equal(y[0, s], expected)
    _, cache = causal_conv(np.zeros((1, T, E)), weight)
    dx, _, _ = causal_conv_backward(x, cache)  # an impulse of the gradient goes back the same way
    for s in range(T):
        expected = weight[:, 0, K - 1 - (t - s)] if 0 <= t - s < K else np.zeros(E)
        assert np.array_equal(dx[0, s], expected)


def test_a_kernel_of_one_tap_scales_and_a_missing_bias_is_zero():
    x, weight, bias = conv_inputs(np.random.default_rng(0), 2, 5, 3, 1)
    y, cache = causal_conv(x, weight, bias)
    assert np.array_equal(y, x * weight[:, 0, 0] + bias) and cache.padded.shape == x.shape
    assert np.array_equal(causal_conv(x, weight)[0], causal_conv(x, weight, np.zeros(3))[0])


# -------------------------------------------------------------------------------------------------------------------- LSTM


@given(seeds, small, st.integers(1, 7), small, small)
def test_a_sequence_is_its_steps_one_after_the_other(seed, B, T, I, H):  # noqa: E741
    """And its gradients are the steps' gradients, summed where the weights are shared."""
    rng = np.random.default_rng(seed)
    x, *weights, h, c = inputs = lstm_inputs(rng, B, T, I, H)
    y, cache = lstm(*inputs)
    dy = rng.standard_normal(y.shape)
    seen = {}
    gradients = lstm_backward(dy, cache, lambda name, array: seen.update({name: array}))
    caches = []
    for t in range(T):
        (h, c), cell_cache = lstm_cell(x[:, t], *weights, h, c)
        assert np.allclose(y[:, t], h, rtol=1e-12, atol=1e-14) and np.allclose(cache.c[:, t], c, rtol=1e-12, atol=1e-14)
        caches.append(cell_cache)
    dx, of_weights = np.zeros_like(x), [0, 0, 0, 0]
    dh = dc = np.zeros((B, H))
    for t in reversed(range(T)):
        dh = dh + dy[:, t]
        assert np.allclose(seen["h"][:, t], dh, rtol=1e-12, atol=1e-13)
        dx[:, t], *of_step, dh, dc = lstm_cell_backward((dh, dc), caches[t])
        of_weights = [total + gradient for total, gradient in zip(of_weights, of_step, strict=True)]
    assert_close(gradients, [dx, *of_weights, dh, dc], factor=450)


@given(seeds, small, st.integers(1, 7), small, dtypes)
def test_the_gradients_that_an_lstm_shows_are_those_of_its_gates_memory_and_output(seed, B, T, H, dtype):
    rng = np.random.default_rng(seed)
    inputs = lstm_inputs(rng, B, T, 3, H, dtype)
    y, cache = lstm(*inputs)
    dy = rng.standard_normal(y.shape).astype(dtype)
    seen = {}
    shown = lstm_backward(dy, cache, lambda name, array: seen.update({name: array}))
    assert all(np.array_equal(a, b) for a, b in zip(shown, lstm_backward(dy, cache), strict=True))
    assert list(seen) == list("ifgoch") and all(a.shape == (B, T, H) and a.dtype == dtype for a in seen.values())
    assert np.array_equal(seen["i"], seen["c"] * cache.g) and np.array_equal(seen["g"], seen["c"] * cache.i)
    assert np.array_equal(seen["o"], seen["h"] * np.tanh(cache.c))
    assert np.array_equal(seen["f"][:, 1:], seen["c"][:, 1:] * cache.c[:, :-1])
    assert np.array_equal(seen["h"][:, -1], dy[:, -1]) and np.array_equal(cache.h, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_gates_keep_the_memory_and_its_gradient_and_learn_nothing(dtype):
    """Shut to input, open to memory: c stays as it was for 50 steps, bit for bit, and so does its gradient on the way back."""
    rng = np.random.default_rng(0)
    x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0 = lstm_inputs(rng, 2, 50, 3, 4, dtype)
    bias_ih[:] = np.repeat([-900, 900, 0, -900], 4)  # i = 0, f = 1, o = 0
    y, cache = lstm(x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)
    assert np.array_equal(cache.c, np.repeat(c0[:, None], 50, axis=1)) and not y.any()
    bias_ih[12:] = 900  # o = 1: h = tanh(c)
    y, cache = lstm(x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)
    dy = np.zeros_like(y)
    dy[:, -1] = rng.standard_normal((2, 4))
    dx, *of_weights, dh0, dc0 = lstm_backward(dy, cache)
    assert np.array_equal(dc0, dy[:, -1] * (1 - np.tanh(c0) * np.tanh(c0)))
    assert not any(gradient.any() for gradient in (dx, *of_weights, dh0))


def test_a_gradient_through_the_memory_fades_by_the_forget_gates():
    """With no way through h (weight_hh = 0), dc0 is dc of the last step times the product of all its f."""
    rng = np.random.default_rng(1)
    x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0 = lstm_inputs(rng, 2, 30, 3, 4)
    y, cache = lstm(x, weight_ih, 0 * weight_hh, bias_ih, bias_hh, h0, c0)
    dy = np.zeros_like(y)
    dy[:, -1] = 1
    dc0 = lstm_backward(dy, cache)[-1]
    dc_last = cache.o[:, -1] * (1 - np.tanh(cache.c[:, -1]) ** 2)
    assert np.allclose(dc0, dc_last * cache.f.prod(axis=1), rtol=1e-12, atol=0)


# ---------------------------------------------------------------------------------------------------------- selective scan


def test_a_step_of_delta_zero_passes_the_letter_by_and_the_gradient_through():
    rng = np.random.default_rng(2)
    u, delta, A, B, C, D, h0 = scan_inputs(rng, 2, 6, 3, 4)
    delta[:] = 0
    y, cache = selective_scan(u, delta, A, B, C, D, h0)
    assert np.array_equal(cache.h, np.repeat(h0[:, None], 6, axis=1))
    dy = rng.standard_normal(y.shape)
    du, _, dA, dB, _, _, dh0 = selective_scan_backward(dy, cache)
    assert np.array_equal(du, dy * D) and not dA.any() and not dB.any()
    assert np.allclose(dh0, np.einsum("bte,btn->ben", dy, C), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("delta", [1e-30, 1e-8, 30, 1e4])
def test_tiny_and_huge_steps_are_those_of_torch(dtype, delta):
    rng = np.random.default_rng(3)
    inputs = scan_inputs(rng, 2, 7, 3, 4, dtype, delta)
    ours, dy = outputs_and_gradients("selective_scan", inputs, rng)
    y, gradients = run_torch(TABLE["selective_scan"], inputs, dy, "cpu")
    assert_close(ours, [y, *gradients], dtype)


@pytest.mark.parametrize("place", range(7))
def test_a_scan_may_be_given_complex_numbers_in_one_of_its_inputs_alone(place):
    """By the complex step: their imaginary part gets all the way into the output."""
    rng = np.random.default_rng(5)
    inputs = scan_inputs(rng, 2, 4, 3, 2)
    (_, *gradients), dy = outputs_and_gradients("selective_scan", inputs, rng)
    direction = rng.standard_normal(inputs[place].shape)
    inputs[place] = inputs[place] + 1j * H * direction
    measured = (selective_scan(*inputs)[0].imag / H * dy).sum()
    assert np.isclose(measured, (gradients[place] * direction).sum(), rtol=1e-12, atol=1e-12)


def test_a_huge_step_forgets_everything_before():
    rng = np.random.default_rng(4)
    u, delta, A, B, C, D, h0 = scan_inputs(rng, 2, 6, 3, 4)
    delta[:, 3] = 1e6
    y, cache = selective_scan(u, delta, A, B, C, D, h0)
    assert np.array_equal(cache.h[:, 3], np.einsum("be,bn->ben", delta[:, 3] * u[:, 3], B[:, 3]))
    dy = rng.standard_normal(y.shape)
    dy[:, :3] = 0
    gradients = selective_scan_backward(dy, cache)
    assert not gradients[6].any() and not any(gradients[place][:, :3].any() for place in (0, 1, 3, 4))


@given(seeds, small, small, dtypes)
def test_the_gradient_of_the_state_that_a_scan_shows_is_what_reaches_it(seed, E, N, dtype):
    """Cut after step t: the gradient of h[t] is C[t] dy[t] and what the rest reports of its own start."""
    rng = np.random.default_rng(seed)
    inputs = scan_inputs(rng, 2, 5, E, N, dtype)
    y, cache = selective_scan(*inputs)
    dy = rng.standard_normal(y.shape).astype(dtype)
    seen = {}
    shown = selective_scan_backward(dy, cache, lambda name, array: seen.update({name: array}))
    assert all(np.array_equal(a, b) for a, b in zip(shown, selective_scan_backward(dy, cache), strict=True))
    assert list(seen) == ["state"] and seen["state"].shape == (2, 5, E, N) and seen["state"].dtype == dtype
    for t in range(4):
        rest = [x[:, t + 1 :] if i in (0, 1, 3, 4) else x for i, x in enumerate(inputs[:6])]
        _, rest_cache = selective_scan(*rest, cache.h[:, t])
        dh0 = selective_scan_backward(dy[:, t + 1 :], rest_cache)[6]
        assert np.array_equal(seen["state"][:, t], dy[:, t, :, None] * inputs[4][:, t, None] + dh0)


# ------------------------------------------------------------------------------------------------------------------ errors


def ones(*shapes):
    return [np.ones(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rms_norm(*ones((2, 3), (4,))), r"^weight must be \(C,\) = \(3,\), got \(4,\)$"),
        (lambda: causal_conv(*ones((2, 3), (3, 1, 2))), r"^weight must be \(E, 1, K\) for x \(B, T, E\) = \(2, 3\), got"),
        (lambda: causal_conv(*ones((1, 2, 3), (4, 1, 2))), r"= \(1, 2, 3\), got \(4, 1, 2\)$"),
        (lambda: causal_conv(*ones((1, 2, 3), (3, 2, 2))), r"got \(3, 2, 2\)$"),
        (lambda: causal_conv(*ones((1, 2, 3), (3, 1, 0))), r"got \(3, 1, 0\)$"),
        (lambda: causal_conv(*ones((1, 2, 3), (3, 2))), r"got \(3, 2\)$"),
        (lambda: causal_conv(*ones((1, 2, 3), (3, 1, 2), (2,))), r"^bias must be \(E,\) = \(3,\), got \(2,\)$"),
        (
            lambda: causal_conv(*ones((1, 2, 3), (3, 1, 4)), past=np.ones((1, 2, 3))),
            r"^past must be \(B, K-1, E\) = \(1, 3, 3\), got \(1, 2, 3\)$",
        ),
        (lambda: lstm(*ones((2, 3), (8, 3), (8, 2), (8,), (8,), (2, 2), (2, 2))), r"^x must be \(B, T, I\).*got \(2, 3\)$"),
        (lambda: lstm(*ones((2, 0, 3), (8, 3), (8, 2), (8,), (8,), (2, 2), (2, 2))), r"at least one step, got \(2, 0, 3\)$"),
        (lambda: lstm_cell(*ones((2, 1, 3), (8, 3), (8, 2), (8,), (8,), (2, 2), (2, 2))), r"^x must be \(B, I\), got"),
        (
            lambda: lstm(*ones((2, 1, 3), (8, 4), (8, 2), (8,), (8,), (2, 2), (2, 2))),
            r"^weight_ih must be \(4H, I\) = \(8, 3\), got \(8, 4\)$",
        ),
        (
            lambda: lstm(*ones((2, 1, 3), (8, 3), (6, 2), (8,), (8,), (2, 2), (2, 2))),
            r"^weight_hh must be \(4H, H\) = \(8, 2\), got \(6, 2\)$",
        ),
        (lambda: lstm(*ones((2, 1, 3), (8, 3), (8, 2), (7,), (8,), (2, 2), (2, 2))), r"^bias_ih must be \(4H,\) = \(8,\), got"),
        (lambda: lstm(*ones((2, 1, 3), (8, 3), (8, 2), (8,), (2,), (2, 2), (2, 2))), r"^bias_hh must be \(4H,\) = \(8,\), got"),
        (lambda: lstm(*ones((2, 1, 3), (8, 3), (8, 2), (8,), (8,), (1, 2), (2, 2))), r"^h0 must be \(B, H\) = \(2, 2\), got"),
        (lambda: lstm(*ones((2, 1, 3), (8, 3), (8, 2), (8,), (8,), (2, 2), (2, 1))), r"^c0 must be \(B, H\) = \(2, 2\), got"),
        (lambda: lstm_cell(*ones((2, 3), (8, 3), (8, 2), (8,), (8,), (2, 1), (2, 2))), r"^h_prev must be \(B, H\)"),
        (lambda: lstm_cell(*ones((2, 3), (8, 3), (8, 2), (8,), (8,), (2, 2), (3, 2))), r"^c_prev must be \(B, H\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (2, 3), r"u must be \(B, T, E\) and A \(E, N\), got \(2, 3\) and \(4, 4\)"),
        (2, (4,), r"u must be \(B, T, E\) and A \(E, N\), got \(2, 3, 4\) and \(4,\)"),
        (1, (2, 3, 5), r"delta must be \(B, T, E\) = \(2, 3, 4\), got \(2, 3, 5\)"),
        (2, (5, 4), r"A must be \(E, N\) = \(4, 4\), got \(5, 4\)"),
        (3, (2, 3, 5), r"B must be \(B, T, N\) = \(2, 3, 4\), got \(2, 3, 5\)"),
        (4, (2, 1, 4), r"C must be \(B, T, N\) = \(2, 3, 4\), got \(2, 1, 4\)"),
        (5, (1,), r"D must be \(E,\) = \(4,\), got \(1,\)"),
        (6, (2, 4, 3), r"h0 must be \(B, E, N\) = \(2, 4, 4\), got \(2, 4, 3\)"),
    ],
)
def test_a_scans_inputs_that_do_not_fit_are_named(place, shape, message):
    inputs = scan_inputs(np.random.default_rng(0), 2, 3, 4, 4)
    inputs[place] = np.ones(shape)
    with pytest.raises(ValueError, match=f"^{message}$"):
        selective_scan(*inputs)
