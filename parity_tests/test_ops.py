"""Every operation, alone: equal to torch, its backward right by the complex step, and well-behaved."""

import inspect
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from npgpt.ops.attention import future
from npgpt.ops.dropout import dropout_mask
from npgpt.ops.note import ignore, prefixed

from . import worst_errors
from .conftest import PROFILE
from .op_table import TABLE, as_tuple, cases, complex_step_error, cotangent, errors_against_torch, in_float64, real
from .operations import ops
from .strategies import dtypes, seeds
from .tolerances import LOCAL_FACTOR, eps, local_error

every_op = pytest.mark.parametrize("op", TABLE.values(), ids=TABLE)


@every_op
def test_forward_and_gradients_equal_torchs(op, device):
    dtype_choice = dtypes.filter(lambda dtype: device != "mps" or dtype == "float32")  # MPS has no float64

    @given(cases(op, dtype_choice))
    def check(case):
        assume((device, case.dtype) not in op.xfail)
        errors = errors_against_torch(op, case, device)
        assert max(errors) <= LOCAL_FACTOR, dict(zip(["output", *"abcdefg"], errors, strict=False))

    check()


@every_op
def test_backward_is_the_forwards_derivative_by_the_complex_step(op):
    """Im f(x + ihv) / h is the derivative along v, exact to rounding. It proves the backward against OUR forward."""

    @given(cases(op, dtypes.filter(lambda dtype: dtype == "float64")))
    def check(case):
        assert complex_step_error(op, case) <= 1

    check()


@every_op
def test_dtype_and_shapes_are_kept_and_no_input_is_changed(op):
    @given(cases(op, dtypes))
    def check(case):
        inputs, rng = case.build()
        before = [x.copy() for x in inputs]
        y, cache = op.forward(*inputs)
        dy = cotangent(rng, y, case.dtype)
        dy_before = dy.copy()
        gradients = as_tuple(op.backward(dy, cache))
        assert y.dtype == case.dtype
        assert [(g.dtype, g.shape) for g in gradients] == [(case.dtype, inputs[i].shape) for i in real(op, inputs)]
        assert all(np.array_equal(x, old) for x, old in zip(inputs, before, strict=True))
        assert np.array_equal(dy, dy_before)
        again = as_tuple(op.backward(dy, cache))  # the backward did not change the cache either
        assert all(np.array_equal(a, b) for a, b in zip(gradients, again, strict=True))
        assert np.array_equal(y, op.forward(*inputs)[0])

    check()


@every_op
def test_backward_is_linear_in_the_cotangent(op):
    """Twice the cotangent is twice the gradient, bit for bit; a sum's gradient is the sum of the gradients."""

    @given(cases(op, dtypes))
    def check(case):
        inputs, rng = case.build()
        y, cache = op.forward(*inputs)
        a, b = cotangent(rng, y, case.dtype), cotangent(rng, y, case.dtype)
        of_a, of_b = as_tuple(op.backward(a, cache)), as_tuple(op.backward(b, cache))
        doubled = as_tuple(op.backward(2 * a, cache))
        tiny = np.finfo(case.dtype).tiny  # below it numbers lose bits, and doubling is not exact
        assert all(np.abs(d - 2 * g).max() <= tiny for d, g in zip(doubled, of_a, strict=True))
        wide = [w.astype(np.float64) for w in (a, b)]
        magnitudes = [op.magnitude(w, *in_float64(inputs))[1] for w in wide]
        for of_sum, g, h, m, n in zip(as_tuple(op.backward(a + b, cache)), of_a, of_b, *magnitudes, strict=True):
            assert local_error(of_sum, g + h, m + n) <= LOCAL_FACTOR

    check()


@every_op
def test_memory_layout_does_not_matter(op):
    """Fortran order, and every second element of a larger array, give what the plain array gives."""

    @given(cases(op, dtypes))
    def check(case):
        inputs, rng = case.build()
        y, cache = op.forward(*inputs)
        dy = cotangent(rng, y, case.dtype)
        gradients = as_tuple(op.backward(dy, cache))
        y_magnitude, magnitudes = op.magnitude(dy.astype(np.float64), *in_float64(inputs))
        for change in (np.asfortranarray, lambda x: np.repeat(x, 2, axis=-1)[..., ::2]):
            other_y, other_cache = op.forward(*[change(x) for x in inputs])
            other_dy = change(dy) if np.ndim(dy) else dy
            pairs = zip(
                [y, *gradients],
                [other_y, *as_tuple(op.backward(other_dy, other_cache))],
                [y_magnitude, *magnitudes],
                strict=True,
            )
            for plain, other, magnitude in pairs:
                assert local_error(np.asarray(other), np.asarray(plain), magnitude) <= LOCAL_FACTOR

    check()


@pytest.mark.parametrize("name", TABLE)
def test_the_search_for_the_worst_error_finds_no_more_than_twice_what_it_once_found(name):
    examples = {"nightly": 10_000, "mutation": 5}.get(PROFILE, 100)
    for label, error in worst_errors.search(name, examples, derandomize=PROFILE != "nightly").items():
        figure = worst_errors.known()[label]
        assert figure <= 4 and error <= 2 * figure, label


def itself(function):
    """The operation inside a partial or a wrapper."""
    return inspect.unwrap(getattr(function, "func", function))


def test_every_pair_of_forward_and_backward_has_a_row():
    in_table = {itself(f) for op in TABLE.values() for f in (op.forward, op.backward)}
    backwards = {name for name in vars(ops) if name.endswith("_backward")}
    backwards.remove("memory_backward")  # a piece of lstm_cell_backward and lstm_backward: it has no cache
    forwards = {name.removesuffix("_backward") for name in backwards}
    assert forwards <= set(vars(ops))
    for name in forwards | backwards:
        assert itself(getattr(ops, name)) in in_table, name
    for op in TABLE.values():
        if op.name in forwards:
            assert itself(op.forward) is itself(getattr(ops, op.name))
            assert op.backward is getattr(ops, op.name + "_backward")


@given(seeds, dtypes, st.integers(1, 5))
def test_a_tokens_gradient_does_not_depend_on_where_other_tokens_stand(seed, dtype, C):
    """Bit for bit: its rows are added in the order of their places, however many rows of others lie between them."""
    rng = np.random.default_rng(seed)
    table = np.zeros((3, C), dtype)
    many = rng.integers(3, size=300)
    dy = rng.standard_normal((300, C)).astype(dtype)
    dweight = ops.embedding_backward(dy, ops.embedding(many, table)[1])
    for token in range(3):
        own = many == token
        alone = ops.embedding_backward(dy[own], ops.embedding(many[own], table)[1])
        assert np.array_equal(dweight[token], alone[token])


@given(seeds, dtypes)
def test_attention_shows_its_scores_and_pattern_and_their_gradients(seed, dtype):
    """Shown under their names, in the order of computation, and the very arrays that the result is made of."""
    rng = np.random.default_rng(seed)
    q, k, v, dz = rng.standard_normal((4, 2, 3, 5, 4)).astype(dtype)
    values, gradients = {}, {}
    z, cache = ops.attention(q, k, v, note=lambda name, array: values.update({name: array.copy()}))
    dq, _, _ = ops.attention_backward(dz, cache, lambda name, array: gradients.update({name: array.copy()}))
    assert list(values) == ["scores", "pattern"] and list(gradients) == ["pattern", "scores"]
    assert np.array_equal(ops.softmax(values["scores"])[0], values["pattern"]) and np.array_equal(values["pattern"] @ v, z)
    softmax_cache = ops.softmax(values["scores"])[1]
    assert np.array_equal(gradients["scores"], ops.softmax_backward(gradients["pattern"], softmax_cache))
    assert np.array_equal(gradients["scores"] @ k / 2, dq)  # D = 4, so sqrt(D) is 2, and halving is exact


@given(seeds, dtypes, st.integers(1, 6))
def test_a_mask_of_ones_drops_nothing(seed, dtype, T):
    """Bit for bit what attention without a mask gives, forward and backward. (With zeros in it, it is in the table.)"""
    rng = np.random.default_rng(seed)
    q, k, v, dz = rng.standard_normal((4, 2, 2, T, 3)).astype(dtype)
    for forward, backward in (
        (ops.attention, ops.attention_backward),
        (partial(ops.attention_in_tiles, tile=2), ops.attention_in_tiles_backward),
    ):
        z, cache = forward(q, k, v)
        masked_z, masked_cache = forward(q, k, v, np.ones((2, 2, T, T), dtype))
        assert cache.mask is None and np.array_equal(z, masked_z)
        for plain, masked in zip(backward(dz, cache), backward(dz, masked_cache), strict=True):
            assert np.array_equal(plain, masked)


def test_the_causal_mask_is_built_once_for_a_size_and_nobody_can_write_to_it():
    assert future(3, 3) is future(3, 3) and future(3, 3).tolist() == [[False, True, True], [False, False, True], [False] * 3]
    assert future(2, 3).tolist() == [[False, False, True], [False] * 3]
    assert not future(3, 3).flags.writeable


def test_an_observer_inside_a_block_is_told_the_blocks_name():
    seen = {}
    array = np.ones(3)
    prefixed(seen.__setitem__, "blocks.0.")("ln1", array)
    assert list(seen) == ["blocks.0.ln1"] and seen["blocks.0.ln1"] is array


def test_an_observer_that_ignores_everything_stays_itself_inside_a_block():
    """So a plain pass makes no extra call for it."""
    assert prefixed(ignore, "blocks.0.") is ignore


def test_linear_works_without_a_bias_and_on_one_row():
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal(3), rng.standard_normal((5, 3)), np.zeros(5)
    y, cache = ops.linear(x, w)
    assert np.array_equal(y, ops.linear(x, w, b)[0]) and y.shape == (5,)
    dx, dw, db = ops.linear_backward(np.arange(5.0), cache)
    assert dx.shape == (3,) and np.array_equal(dw, np.outer(np.arange(5.0), x)) and np.array_equal(db, np.arange(5.0))


@pytest.mark.parametrize(("R", "T"), [(5, 5), (4, 5), (3, 7), (1, 6), (6, 6)])
@pytest.mark.parametrize(("p", "dtype"), [(0.0, "float64"), (0.5, "float64"), (0.5, "float32")])
def test_attention_in_tiles_is_attention_and_shows_the_same(R, T, p, dtype):
    rng = np.random.default_rng(0)
    (q, dz), (k, v) = (rng.standard_normal((2, 2, 3, n, 4)).astype(dtype) for n in (R, T))
    mask = dropout_mask(rng, (2, 3, R, T), p, dtype) if p else None
    shown, shown_tiled = {}, {}

    def keep(arrays, prefix=""):
        return lambda name, array: arrays.update({prefix + name: array.copy()})

    z, cache = ops.attention(q, k, v, mask, keep(shown))
    tiled_z, tiled_cache = ops.attention_in_tiles(q, k, v, mask, keep(shown_tiled), tile=2)
    shapes = [(min(2, R - r), T - R + min(r + 2, R)) for r in range(0, R, 2)]  # two queries, and the keys up to the second
    assert [tile.pattern.shape[2:] for tile in tiled_cache.kept] == shapes
    gradients = ops.attention_backward(dz, cache, keep(shown, "d"))
    tiled_gradients = ops.attention_in_tiles_backward(dz, tiled_cache, keep(shown_tiled, "d"))
    assert list(shown) == list(shown_tiled) == ["scores", "pattern", "dpattern", "dscores"]
    pairs = zip((z, *gradients, *shown.values()), (tiled_z, *tiled_gradients, *shown_tiled.values()), strict=True)
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == dtype
        assert np.allclose(ours, theirs, rtol=1e4 * eps(dtype), atol=64 * eps(dtype))
    assert np.array_equal(ops.attention_in_tiles(q, k, v, mask, tile=2)[0], tiled_z)  # looking changes nothing


@pytest.mark.parametrize("kept", [6, 7])
@pytest.mark.parametrize("p", [0.0, 0.5])
def test_patterns_computed_anew_are_the_kept_ones(p, kept):
    """Bit for bit, and what is shown too: from more than `kept` keys on the cache holds no pattern."""
    rng = np.random.default_rng(0)
    (q, dz), (k, v) = (rng.standard_normal((2, 2, 3, n, 4)) for n in (5, 7))
    mask = dropout_mask(rng, (2, 3, 5, 7), p, "float64") if p else None
    z, cache = ops.attention_in_tiles(q, k, v, mask, tile=2, kept=7)
    same_z, other_cache = ops.attention_in_tiles(q, k, v, mask, tile=2, kept=kept)
    assert len(cache.kept) == 3 and (other_cache.kept is None) == (kept < 7)
    shown, shown_too = {}, {}
    gradients = ops.attention_in_tiles_backward(dz, cache, lambda name, x: shown.update({name: x.copy()}))
    same = ops.attention_in_tiles_backward(dz, other_cache, lambda name, x: shown_too.update({name: x.copy()}))
    assert list(shown) == list(shown_too) == ["pattern", "scores"]
    for a, b in zip((z, *gradients, *shown.values()), (same_z, *same, *shown_too.values()), strict=True):
        assert np.array_equal(a, b)
    held = sum(x.nbytes for x in other_cache if isinstance(x, np.ndarray) and x is not mask)
    assert kept == 7 or held == q.nbytes + k.nbytes + v.nbytes  # nothing that grows like T^2


@pytest.mark.parametrize(("kept", "again"), [(7, 0), (6, 3)])
@pytest.mark.parametrize("heads", [(3,), (3, 2)])  # along two axes: those of grouped_attention
def test_kept_patterns_are_not_computed_again(heads, kept, again, monkeypatch):
    """Which is what they are kept for: a backward takes a softmax for each of the three tiles, or none."""
    rng, taken = np.random.default_rng(0), []
    (q, dz), (k, v) = (rng.standard_normal((2, 2, *heads, n, 4)) for n in (5, 7))
    _, cache = ops.attention_in_tiles(q, k, v, tile=2, kept=kept)
    monkeypatch.setattr("npgpt.ops.attention.softmax", lambda scores: taken.append(scores.shape) or ops.softmax(scores))
    ops.attention_in_tiles_backward(dz, cache)
    assert len(taken) == again


def test_an_observer_inside_a_block_hears_longer_names():
    heard, x = [], np.ones(2)
    prefixed(lambda *shown: heard.append(shown), "blocks.0.")("q", x)
    assert heard == [("blocks.0.q", x)]
    assert prefixed(ignore, "blocks.0.") is ignore  # so a plain pass makes no extra call for it


def test_softmax_of_a_row_without_any_choice_is_nan_as_torchs():
    with np.errstate(invalid="ignore"):
        p, _ = ops.softmax(np.array([[-np.inf, -np.inf], [0.0, -np.inf]]))
    assert np.isnan(p[0]).all() and np.array_equal(p[1], [1.0, 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.linear(np.ones((2, 6, 3)), np.ones((5, 4))),
            r"^x has 3 features, weight \(O, C\) = \(5, 4\) expects 4$",
        ),
        (lambda: ops.attention(*(np.ones((1, 1, T, 3)) for T in (3, 2, 2))), r"R <= T, got \(1, 1, 3, 3\), \(1, 1, 2, 3\)"),
        (lambda: ops.attention(*(np.ones((1, 1, T, 3)) for T in (2, 2, 3))), r"^q, k and v must be .* \(1, 1, 3, 3\)$"),
        (lambda: ops.attention(*(np.ones((1, H, 2, 3)) for H in (2, 1, 1))), r"^q, k and v must be"),
        (lambda: ops.attention(*(np.ones((1, 1, 2, D)) for D in (2, 3, 3))), r"^q, k and v must be"),
        (lambda: ops.embedding(np.array([0, 4]), np.ones((4, 2))), r"^ids must lie in 0\.\.3 .*got 4$"),
        (lambda: ops.embedding(np.array([-1, 2]), np.ones((4, 2))), "^ids must lie in .* got -1$"),
        (lambda: ops.embedding(np.array([], dtype=int), np.ones((4, 2))), "^ids must hold at least one id"),
        (
            lambda: ops.cross_entropy(np.ones((2, 3, 4)), np.zeros((2, 2), dtype=int)),
            r"^targets have the shape \(2, 2\), the logits' positions \(2, 3\)$",
        ),
        (lambda: ops.cross_entropy(np.ones((1, 4)), np.array([4])), r"^targets must lie in 0\.\.3 .*got 4$"),
        (lambda: ops.cross_entropy(np.ones((0, 4)), np.zeros(0, dtype=int)), "^targets must hold at least one"),
        (lambda: ops.add_position(np.ones((1, 3, 5)), np.ones((2, 5))), "^x has 3 positions, the table only 2$"),
    ],
)
def test_inputs_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ids_that_are_not_integers_are_refused():
    for ids in (np.array([1.0]), np.array([True]), np.array(["a"]), np.array([1], "timedelta64[s]")):
        with pytest.raises(TypeError, match=r"^ids must be integers"):
            ops.embedding(ids, np.ones((4, 2)))


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8", "uint64"])
def test_every_kind_of_integer_is_an_id(kind):
    table = np.arange(8.0).reshape(4, 2)
    assert np.array_equal(ops.embedding(np.array([3, 0, 3], kind), table)[0], [[6, 7], [0, 1], [6, 7]])
    with pytest.raises(ValueError, match=r"^ids must lie in 0\.\.3 .*got 4$"):
        ops.embedding(np.array([3, 4], kind), table)
