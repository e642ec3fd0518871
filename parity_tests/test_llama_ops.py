"""The operations of a Llama: what must hold of them besides what test_ops.py asks of every operation.

Bit for bit, with BLAS on one thread (conftest.py), where it is said so.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.ops.attention import TILE, Cache, TiledCache, attention, attention_backward
from npgpt.ops.grouped_attention import grouped_attention, grouped_attention_backward, head_by_head
from npgpt.ops.note import ignore
from npgpt.ops.rope import cosines_and_sines, rope, rope_backward, stretched
from npgpt.ops.silu import silu
from npgpt.ops.swiglu import swiglu, swiglu_backward

from .strategies import dtypes, seeds
from .tolerances import eps

small = st.integers(1, 4)


def normal(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def tables(dtype, *arguments):
    return [table.astype(dtype) for table in cosines_and_sines(*arguments)]


# -------------------------------------------------------------------------------------------------------------------- RoPE


def test_the_angles_are_the_formulas_of_the_paper():
    """t theta^(-2i/D) for every position and pair; in float64, whatever comes after."""
    cos, sin = cosines_and_sines(5, 6, 100.0)
    assert cos.shape == sin.shape == (5, 3) and cos.dtype == sin.dtype == np.float64
    for t in range(5):
        for i in range(3):
            angle = t * 100.0 ** (-2 * i / 6)
            assert abs(cos[t, i] - math.cos(angle)) <= 4 * eps("float64")
            assert abs(sin[t, i] - math.sin(angle)) <= 4 * eps("float64")


def test_stretching_slows_the_slow_pairs_keeps_the_fast_ones_and_blends_between():
    """Llama 3's rule, case by case as Meta's code has it: by the wavelength, 2 pi / frequency."""
    factor, low, high, original = 8.0, 1.5, 4.0, 100
    wavelengths = np.array([3.0, 24.9, 25.1, 33.0, 50.0, 66.5, 66.8, 900.0])  # the borders: 25 and 66.7
    expected = []
    for wavelength in wavelengths:
        frequency = 2 * math.pi / wavelength
        if wavelength < original / high:
            expected.append(frequency)
        elif wavelength > original / low:
            expected.append(frequency / factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            expected.append((1 - smooth) * frequency / factor + smooth * frequency)
    found = stretched(2 * np.pi / wavelengths, factor, low, high, original)
    assert np.allclose(found, expected, rtol=1e-14, atol=0)


def test_the_angles_of_a_stretched_context_are_those_of_its_frequencies():
    scaling, theta, D = (8.0, 1.0, 4.0, 16), 100.0, 6
    frequency = stretched(theta ** (-2 * np.arange(3) / D), *scaling)
    cos, sin = cosines_and_sines(7, D, theta, scaling)
    for t in range(7):
        assert np.allclose(cos[t], np.cos(t * frequency), rtol=0, atol=1e-14)
        assert np.allclose(sin[t], np.sin(t * frequency), rtol=0, atol=1e-14)
    assert np.abs(cos - cosines_and_sines(7, D, theta)[0]).max() > 0.1


def test_each_pair_of_the_two_halves_is_turned_forward_by_its_own_angle():
    """A quarter turn leads from the first half to the second, and from the second to minus the first."""
    x, cos, sin = np.arange(1.0, 5.0)[None], np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    y, cache = rope(x, cos, sin)
    assert y.tolist() == [[-3, 2, 1, 4]]  # the pair (1, 3) by 90 degrees, the pair (2, 4) not at all
    assert rope_backward(x, cache).tolist() == [[3, 2, -1, 4]]


@given(seeds, small, st.integers(1, 9), st.integers(1, 4), dtypes)
def test_a_turn_keeps_every_length_and_its_backward_turns_back(seed, H, T, half, dtype):
    rng = np.random.default_rng(seed)
    x, (cos, sin) = normal(rng, dtype, 2, H, T, 2 * half), tables(dtype, T, 2 * half, 10.0)
    y, cache = rope(x, cos, sin)
    largest = np.abs(x).max()
    assert np.abs(np.linalg.norm(y, axis=-1) - np.linalg.norm(x, axis=-1)).max() <= 16 * eps(dtype) * half * largest
    assert np.abs(rope_backward(y, cache) - x).max() <= 16 * eps(dtype) * largest
    assert np.array_equal(y[:, :, 0], x[:, :, 0])  # at position 0 nothing is turned, not by a bit


@given(seeds, st.integers(1, 4), st.integers(0, 30), st.integers(0, 30), st.integers(0, 1000))
def test_the_product_of_a_query_and_a_key_knows_their_distance_alone(seed, half, t, s, further):
    rng = np.random.default_rng(seed)
    q, k = normal(rng, "float64", 2, 1, 2 * half)
    cos, sin = cosines_and_sines(1031, 2 * half, 100.0)

    def product(t, s):
        turned = [rope(x, cos[[place]], sin[[place]])[0] for x, place in ((q, t), (k, s))]
        return (turned[0] * turned[1]).sum()

    size = np.linalg.norm(q) * np.linalg.norm(k)
    assert abs(product(t, s) - product(t + further, s + further)) <= 1e4 * eps("float64") * size  # angles of up to 1,030
    if t != s and half == 1:  # and it does know it
        a = t - s
        expected = (q @ k.T).item() * math.cos(a) + (q[0, 1] * k[0, 0] - q[0, 0] * k[0, 1]) * -math.sin(a)
        assert abs(product(t, s) - expected) <= 1e3 * eps("float64") * size


@given(seeds, st.integers(2, 9), dtypes)
def test_a_sequence_may_begin_in_the_middle_bit_for_bit(seed, T, dtype):
    rng = np.random.default_rng(seed)
    x, (cos, sin), t = normal(rng, dtype, 2, T, 4), tables(dtype, T, 4, 50.0), int(rng.integers(1, T))
    whole, _ = rope(x, cos, sin)
    part, cache = rope(x[:, t:], cos[t:], sin[t:])
    assert np.array_equal(part, whole[:, t:]) and np.array_equal(cache.cos, cos[t:]) and np.array_equal(cache.sin, sin[t:])


@pytest.mark.parametrize(
    ("x", "cos", "sin"),
    [
        ((2, 3, 4), (2, 2), (3, 2)),
        ((2, 3, 4), (3, 2), (2, 2)),
        ((2, 3, 4), (4, 2), (4, 2)),
        ((2, 3, 4), (3, 4), (3, 4)),
        ((2, 3, 5), (3, 2), (3, 2)),  # an odd number of features has no pairs
    ],
)
def test_angles_that_do_not_fit_are_named(x, cos, sin):
    with pytest.raises(ValueError) as error:
        rope(np.ones(x), np.ones(cos), np.ones(sin))
    assert str(error.value) == f"cos and sin must be (T, D/2) for x (..., T, D) = {x}, got {cos} and {sin}"


# --------------------------------------------------------------------------------------------------------- grouped queries


def drawn(rng, dtype, B, K, G, R, T, D):
    """q, k, v, dz."""
    q, dz = normal(rng, dtype, 2, B, K * G, R, D)
    return q, *normal(rng, dtype, 2, B, K, T, D), dz


@pytest.mark.parametrize(("R", "T"), [(5, 5), (1, 6), (TILE, TILE), (TILE + 1, TILE + 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_grouped_attention_is_attention_with_each_key_repeated_and_its_gradients_added_up(R, T, masked):
    """Forward, backward, and what an observer is shown, in the order of attention; as one tile, and as several."""
    B, K, G, D = 2, 3, 2, 4
    rng = np.random.default_rng(R)
    q, k, v, dz = drawn(rng, "float64", B, K, G, R, T, D)
    mask = 2.0 * (rng.random((B, K * G, R, T)) < 0.5) if masked else None
    ours, theirs = {}, {}

    def keep(arrays, prefix=""):
        return lambda name, array: arrays.update({prefix + name: array.copy()})

    z, cache = grouped_attention(q, k, v, mask, keep(ours))
    gradients = grouped_attention_backward(dz, cache, keep(ours, "d"))
    assert type(cache) is (Cache if R <= TILE else TiledCache)
    repeated_z, repeated = attention(q, k.repeat(G, axis=1), v.repeat(G, axis=1), mask, keep(theirs))
    dq, *shared = attention_backward(dz, repeated, keep(theirs, "d"))
    expected = [repeated_z, dq, *(each.reshape(B, K, G, T, D).sum(axis=2) for each in shared)]
    assert list(ours) == list(theirs) == ["scores", "pattern", "dpattern", "dscores"]
    for a, b in zip([z, *gradients, *ours.values()], [*expected, *theirs.values()], strict=True):
        assert a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=1e-13)
    plain_z, plain_cache = grouped_attention(q, k, v, mask)  # looking changes nothing
    assert np.array_equal(plain_z, z)
    for a, b in zip(grouped_attention_backward(dz, plain_cache), gradients, strict=True):
        assert np.array_equal(a, b)


@given(seeds, small, small, st.integers(1, 6), dtypes)
def test_with_a_key_head_for_every_query_head_it_is_attention_bit_for_bit(seed, B, H, T, dtype):
    q, k, v, dz = drawn(np.random.default_rng(seed), dtype, B, H, 1, T, T, 3)
    (z, cache), (plain_z, plain) = grouped_attention(q, k, v), attention(q, k, v)
    assert np.array_equal(z, plain_z)
    for a, b in zip(grouped_attention_backward(dz, cache), attention_backward(dz, plain), strict=True):
        assert np.array_equal(a, b)


@given(seeds, small, st.integers(2, 4), dtypes)
def test_a_key_collects_what_each_head_of_its_group_alone_would_send(seed, K, G, dtype):
    """And nothing from the heads of other groups; the keys are not copied for their heads."""
    rng = np.random.default_rng(seed)
    q, k, v, dz = drawn(rng, dtype, 1, K, G, 4, 4, 3)
    _, cache = grouped_attention(q, k, v)
    assert np.shares_memory(cache.k, k) and np.shares_memory(cache.v, v)
    _, dk, dv = grouped_attention_backward(dz, cache)
    for head in range(K):
        own = np.zeros_like(dz)
        own[:, head * G : head * G + G] = dz[:, head * G : head * G + G]
        _, of_group, of_values = grouped_attention_backward(own, cache)
        others = [each for each in range(K) if each != head]
        assert np.array_equal(of_group[:, head], dk[:, head]) and not of_group[:, others].any()
        assert np.array_equal(of_values[:, head], dv[:, head]) and not of_values[:, others].any()


def test_who_looks_at_nothing_costs_no_call():
    """The observer that ignores everything stays itself, which is how attention_in_tiles knows that nobody looks."""
    assert head_by_head(ignore) is ignore
    shown = []
    head_by_head(lambda *each: shown.append(each))("scores", np.arange(24.0).reshape(1, 2, 3, 2, 2))
    ((name, array),) = shown
    assert name == "scores" and np.array_equal(array, np.arange(24.0).reshape(1, 6, 2, 2))


@pytest.mark.parametrize(
    ("q", "k", "v"),
    [
        ((1, 4, 2, 3), (1, 3, 2, 3), (1, 3, 2, 3)),  # 3 does not divide 4
        ((1, 2, 2, 3), (1, 4, 2, 3), (1, 4, 2, 3)),
        ((1, 4, 2, 3), (1, 2, 2, 3), (1, 2, 2, 4)),
        ((1, 4, 2, 3), (1, 2, 2, 4), (1, 2, 2, 4)),
        ((2, 4, 2, 3), (1, 2, 2, 3), (1, 2, 2, 3)),
        ((4, 2, 3), (2, 2, 3), (2, 2, 3)),
        ((4, 2, 3), (1, 2, 2, 3), (1, 2, 2, 3)),
    ],
)
def test_heads_that_do_not_fit_are_named(q, k, v):
    with pytest.raises(ValueError) as error:
        grouped_attention(np.ones(q), np.ones(k), np.ones(v))
    expected = f"q, k and v must be (B, H, R, D) and twice (B, K, T, D), with K a divisor of H; got {q}, {k}, {v}"
    assert str(error.value) == expected


def test_more_queries_than_keys_are_refused_as_attention_does():
    with pytest.raises(ValueError, match=r"^q, k and v must be .* with R <= T, got"):
        grouped_attention(np.ones((1, 4, 3, 2)), np.ones((1, 2, 2, 2)), np.ones((1, 2, 2, 2)))


# ------------------------------------------------------------------------------------------------------------------ SwiGLU


@given(seeds, st.integers(1, 9), dtypes)
def test_the_gate_decides_how_much_passes_and_each_factor_is_the_others_slope(seed, n, dtype):
    rng = np.random.default_rng(seed)
    gate, up, dy = normal(rng, dtype, 3, n)
    y, cache = swiglu(gate, up)
    assert np.array_equal(y, silu(gate)[0] * up)
    dgate, dup = swiglu_backward(dy, cache)
    assert np.array_equal(dup, dy * silu(gate)[0])
    assert np.array_equal(swiglu_backward(dy, swiglu(gate, np.zeros_like(up))[1])[0], np.zeros(n))  # nothing to let through
    shut, _ = swiglu(np.full(n, -200.0, dtype), up)
    assert np.abs(shut).max() <= 1e-30
    double, _ = swiglu_backward(dy, swiglu(gate, 2 * up)[1])
    assert np.array_equal(double, 2 * dgate)  # a gate that lets twice as much through is twice as important


def test_a_gate_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"^up must be as gate = \(2, 3\), got \(3,\)$"):
        swiglu(np.ones((2, 3)), np.ones(3))
