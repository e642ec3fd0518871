"""The grader: right backwards pass, wrong ones fail on the right check with a message that helps, and nothing raises."""

import functools
import math
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from npgpt import GPTConfig, GPTModel, check_backward
from npgpt.check.numerical import complex_step, finite_differences, one_hot
from npgpt.models.gpt import Block

from .op_table import TABLE, with_constants
from .operations import ops
from .strategies import STRUCTURES

CHECKS = ["forward runs", "output", "backward runs", "number of gradients", "shapes", "dtypes", "nothing changed", "linearity"]
CHECKS += ["derivative"]
EXAMPLES = Path(__file__).parents[1] / "examples"
rng = np.random.default_rng(0)
X = rng.standard_normal((2, 3, 5))
W, B = rng.standard_normal((4, 5)), rng.standard_normal(4)
QKV = tuple(rng.standard_normal((3, 2, 2, 4, 3)))  # T = 4, D = 3
IDS, TABLE_OF_IDS = np.array([[0, 1, 1], [3, 1, 0]]), rng.standard_normal((5, 4))
GAIN, SHIFT = rng.standard_normal(5), rng.standard_normal(5)


def passes(verdict) -> bool:
    assert verdict.ok, str(verdict)
    assert [check.name for check in verdict.checks][: len(CHECKS)] == CHECKS and verdict.first_failure is None
    return True


def message(verdict, check: str) -> str:
    """What the first failed check says; it must be that one."""
    assert not verdict and verdict.first_failure == check, str(verdict)
    assert all(type(each.passed) is bool for each in verdict.checks)
    return next(each.message for each in verdict.checks if each.name == check)


# --------------------------------------------------------------------------------------------------------- right ones pass


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("op", TABLE.values(), ids=TABLE)
def test_every_operation_passes_with_torch_as_reference(op, structure):
    for seed, dtype in [(0, "float32"), (1, "float64"), (2, "float64")]:
        draw = np.random.default_rng(seed)
        shape = [int(draw.choice([1, 2, 3, 5])) for _ in range(op.dims)]
        inputs = op.inputs(draw, structure, dtype, *shape)
        forward, rest = with_constants(op, op.forward, inputs)
        verdict = check_backward(forward, op.backward, *rest, reference=with_constants(op, op.torch_fn, inputs)[0], seed=seed)
        assert passes(verdict) and "equal the reference's" in str(verdict)


def test_rounding_in_the_forward_is_no_mistake_of_the_backward():
    """Peaked rows far from 0: the gradient is 1e-13, which is p's own rounding error, and no nudge of x shows that."""
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal((4, 5)) + 900
        x[:, 1] += 30
        assert passes(check_backward(ops.softmax, ops.softmax_backward, x, seed=seed))
        assert message(check_backward(ops.softmax, change_softmax(0, np.zeros_like), x, seed=seed), "derivative")


def test_normal_inputs_are_judged_by_the_complex_step():
    for op in TABLE.values():
        forward, rest = with_constants(op, op.forward, op.inputs(rng, "normal", "float64", *[3] * op.dims))
        verdict = check_backward(forward, op.backward, *rest)
        assert passes(verdict) and "by the complex step" in str(verdict) and "Note" not in str(verdict)


def ring(x):
    """A list of x and itself."""
    cache = [x]
    cache.append(cache)
    return cache


def one_buffer():
    """A forward that writes every output to the same array."""
    buffer = {dtype: np.empty(X.shape, dtype) for dtype in ("float64", "complex128")}
    return lambda x: np.multiply(x, x, out=buffer[x.dtype.name])


def right_pairs():
    """Forwards and backwards in the many ways in which a reader may write them."""
    yield "no cache", lambda x, w: x @ w.T, lambda dy, x, w: (dy @ w, np.einsum("bto,btc->oc", dy, x)), (X, W)
    yield "a list", lambda x, w: x @ w.T, lambda dy, x, w: [dy @ w, np.einsum("bto,btc->oc", dy, x)], (X, W)
    yield "integers left out", ops.embedding, ops.embedding_backward, (IDS, TABLE_OF_IDS)
    yield "None for integers", ops.embedding, lambda dy, c: (None, ops.embedding_backward(dy, c)), (IDS, TABLE_OF_IDS)
    yield "a Python int", lambda x, n: x**n, lambda dy, x, n: n * x ** (n - 1) * dy, (X, 3)
    yield "a Python float", lambda x, a: a * x, lambda dy, x, a: (a * dy, (dy * x).sum()), (X, 2.5)
    yield "a list as input", lambda x: x * x, lambda dy, x: 2 * x * dy, ([1.0, 2.0],)
    yield "booleans", lambda x, m: np.where(m, x, 0), lambda dy, x, m: dy * m, (X, X > 0)
    yield "a scalar", lambda x: (x * x).sum(), lambda dy, x: 2 * x * dy, (X,)
    yield "a Python float as output", lambda x: float((x * x).sum()), lambda dy, x: 2 * x * dy, (X.astype(np.float32),)
    yield "a dict as cache", lambda x: (np.sin(x), {"x": x}), lambda dy, c: np.cos(c["x"]) * dy, (X,)
    yield "a 0-d input", lambda x: x * x, lambda dy, x: 2 * x * dy, (np.array(1.5),)
    yield "a Python float as gradient", lambda x: x * x, lambda dy, x: float(2 * x * dy), (np.array(1.5, np.float32),)
    yield "one buffer for all outputs", one_buffer(), lambda dy, x: 2 * x * dy, (X,)
    yield "float32 weights inside", lambda x: x * GAIN.astype(np.float32), lambda dy, x: dy * GAIN.astype(np.float32), (X,)
    yield "*args", lambda *xs: xs[0] * xs[1], lambda dy, *xs: (dy * xs[1], dy * xs[0]), (X, X + 1)
    yield "a buffer handed out", lambda x: (2 * x, np.empty_like(x)), lambda dy, c: np.multiply(dy, 2, out=c), (X,)
    yield "partial", functools.partial(ops.layer_norm, eps=1e-3), ops.layer_norm_backward, (X, GAIN, SHIFT)
    yield "the gradient is dy itself", lambda x: x + 1, lambda dy, x: dy, (X,)
    yield "Fortran order", lambda x: x * x, lambda dy, x: 2 * x * dy, (np.asfortranarray(X),)
    yield "another byte order", lambda x: x * x, lambda dy, x: 2 * x * dy, (X.astype(">f8"),)
    yield "a read-only view", lambda x: x * x, lambda dy, x: 2 * x * dy, (np.broadcast_to(X[0], X.shape),)
    yield "a cache that holds itself", lambda x: (x * x, ring(x)), lambda dy, c: 2 * c[0] * dy, (X,)
    yield "float16", lambda x: x * x, lambda dy, x: 2 * x * dy, (X.astype(np.float16),)


@pytest.mark.parametrize(("forward", "backward", "inputs"), [p[1:] for p in right_pairs()], ids=[p[0] for p in right_pairs()])
def test_a_right_pair_passes_however_it_is_written(forward, backward, inputs):
    assert passes(check_backward(forward, backward, *inputs))


# -------------------------------------------------------------------------------------------------------- wrong ones do not


def changed_gradient(backward, place, change):
    """That backward with one of its gradients changed."""

    def wrong_backward(dy, cache):
        gradients = backward(dy, cache)
        gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
        gradients[place] = change(gradients[place])
        return tuple(gradients)

    return wrong_backward


def in_place_on_the_input(dy, cache):
    cache.x[...] *= 2
    return ops.gelu_backward(dy, cache)


def in_place_on_the_cotangent(dy, cache):
    dy *= cache.p
    return dy - cache.p * dy.sum(axis=-1, keepdims=True)


def in_place_on_the_cache(dp, cache):
    cache.p[...] *= dp - (dp * cache.p).sum(axis=-1, keepdims=True)
    return cache.p


def reshaped_instead_of_transposed(dz, cache):
    dq, dk, dv = ops.attention_backward(dz, cache)
    return dq, np.ascontiguousarray(dk.swapaxes(-1, -2)).reshape(dk.shape), dv


def without_the_mean(dy, cache):
    dxhat = dy * cache.weight
    dx = cache.rstd * (dxhat - cache.xhat * (dxhat * cache.xhat).mean(axis=-1, keepdims=True))
    return dx, *ops.layer_norm_backward(dy, cache)[1:]


def assigned_not_added(dy, cache):
    dweight = np.zeros(cache.shape)
    dweight[cache.ids] = dy
    return dweight


def deaf_cross_entropy(dloss, cache):
    return ops.cross_entropy_backward(1.0, cache)


SOFTMAX = (ops.softmax, X)
LINEAR = (ops.linear, X, W, B)
NORM = (ops.layer_norm, X, GAIN, SHIFT)
ATTENTION = (ops.attention, *QKV)
change_linear = functools.partial(changed_gradient, ops.linear_backward)
change_attention = functools.partial(changed_gradient, ops.attention_backward)
change_softmax = functools.partial(changed_gradient, ops.softmax_backward)

WRONG = {  # name: (forward and inputs, the wrong backward, the check that must fail first, what its message must hold)
    "all zeros": (SOFTMAX, lambda dp, c: np.zeros_like(dp), "derivative", "zero"),
    "right for ones only": (SOFTMAX, lambda dp, c: c.p * (dp - dp.mean(-1, keepdims=True)), "derivative", r"dx\[0, 0, 0\] is"),
    "diagonal only": (SOFTMAX, lambda dp, c: c.p * (1 - c.p) * dp, "derivative", "30 of 30 elements of dx are wrong"),
    "sign": (SOFTMAX, change_softmax(0, np.negative), "derivative", "sign"),
    "one element": (LINEAR, change_linear(1, lambda dw: dw * (1 + np.eye(4, 5, 2))), "derivative", r"dweight\[0, 2\] is"),
    "transposed weight gradient": (
        (ops.linear, X, W[:, :4] @ np.eye(4, 5), B),
        change_linear(1, lambda dw: dw.T),
        "shapes",
        "a transpose is missing",
    ),
    "transposed square": ((ops.linear, X[..., :4], W[:, :4], B), change_linear(1, lambda dw: dw.T), "derivative", "transpose"),
    "bias gradient not summed": (
        LINEAR,
        lambda dy, c: (*ops.linear_backward(dy, c)[:2], dy),
        "shapes",
        r"dbias has the shape \(2, 3, 4\), bias has \(4,\)\n.*bias was broadcast over the axes 0, 1",
    ),
    "dK reshaped": (ATTENTION, reshaped_instead_of_transposed, "derivative", r"dk\[.*transpose"),
    "no 1 / sqrt(D)": (
        ATTENTION,
        change_attention(0, lambda dq: dq * math.sqrt(3)),
        "derivative",
        r"factor.*multiplied by 1\.732\d*, which is sqrt\(",
    ),
    "mean as sum": (
        (ops.cross_entropy, X, IDS % 5),
        lambda d, c: ops.cross_entropy_backward(d, c) * 6,
        "derivative",
        r"factor.*multiplied by 6, which is the number of rows",
    ),
    "another order": (ATTENTION, lambda dz, c: ops.attention_backward(dz, c)[::-1], "derivative", "order: this is dv"),
    "another order, other shapes": (LINEAR, lambda dy, c: ops.linear_backward(dy, c)[::-1], "shapes", "the order"),
    "LayerNorm's mean dropped": (NORM, without_the_mean, "derivative", r"dx\[0, 0, 0\].*\n.*\nRight: dweight, dbias"),
    "repeated ids assigned": ((ops.embedding, IDS, TABLE_OF_IDS), assigned_not_added, "derivative", r"dweight\[0, 0\]"),
    "the other GELU": (
        (ops.gelu, X),
        lambda dy, c: (
            dy * (0.5 * (1 + np.vectorize(math.erf)(c.x / 2**0.5)) + c.x * np.exp(-c.x * c.x / 2) / (2 * np.pi) ** 0.5)
        ),
        "derivative",
        r"dx\[0, 0, 0\] is",
    ),
    "a millionth off": (SOFTMAX, change_softmax(0, lambda dx: dx * (1 + 1e-7)), "derivative", "precision"),
    "float32 inside": (SOFTMAX, change_softmax(0, lambda dx: dx.astype(np.float32).astype(float)), "linearity", "precision"),
    "nan": (SOFTMAX, change_softmax(0, lambda dx: dx * np.nan), "derivative", "is nan and should be .*not finite"),
    "a gradient of a constant": ((lambda x: np.ones(3), X), lambda dy, x: x * dy.sum(), "derivative", "where there is none"),
    "ignores dy": ((ops.cross_entropy, X, IDS % 5), deaf_cross_entropy, "linearity", "does not depend on dy"),
    "dy squared": (SOFTMAX, lambda dp, c: ops.softmax_backward(dp * dp, c), "linearity", "used twice"),
    "adds a constant": (SOFTMAX, lambda dp, c: ops.softmax_backward(dp, c) + 1, "linearity", "does not depend on dy"),
    "clips": (SOFTMAX, lambda dp, c: ops.softmax_backward(np.clip(dp, -9, 9), c), "linearity", "clipped"),
    "too few": (
        LINEAR,
        lambda dy, c: ops.linear_backward(dy, c)[:2],
        "number of gradients",
        r"2, expected 3 \(dx, dweight, dbias\)",
    ),
    "too many": (SOFTMAX, lambda dp, c: (dp, dp), "number of gradients", r"2, expected 1 \(dx\)"),
    "None": (LINEAR, change_linear(2, lambda db: None), "number of gradients", "dbias is None"),
    "nothing returned": (SOFTMAX, lambda dp, c: None, "number of gradients", "dx is None"),
    "gradient of ids": (
        (ops.embedding, IDS, TABLE_OF_IDS),
        lambda dy, c: (np.zeros(IDS.shape), ops.embedding_backward(dy, c)),
        "number of gradients",
        "ids holds no floats",
    ),
    "a string": (SOFTMAX, lambda dp, c: "dx", "shapes", "dx must be an array, got str"),
    "a dict": (LINEAR, lambda dy, c: {"dx": dy}, "number of gradients", "returned 1, expected 3"),
    "another shape": (
        SOFTMAX,
        change_softmax(0, lambda dx: dx[:1]),
        "shapes",
        r"dx has the shape \(1, 3, 5\), x has \(2, 3, 5\)",
    ),
    "another dtype": (SOFTMAX, change_softmax(0, lambda dx: dx.astype(np.float32)), "dtypes", "dx is float32, x is float64"),
    "a mask": ((lambda x: np.maximum(x, 0), X), lambda dy, x: x > 0, "dtypes", "dx is of dtype bool"),
    "zeros of integers": (SOFTMAX, lambda dp, c: np.zeros(dp.shape, int), "dtypes", "dx is of dtype int64"),
    "complex": (SOFTMAX, change_softmax(0, lambda dx: dx + 0j), "dtypes", "dx is of dtype complex128"),
    "widened": (
        (ops.softmax, X.astype(np.float32)),
        change_softmax(0, lambda dx: dx * np.sqrt(np.float64(1))),
        "dtypes",
        r"dx is float64, x is float32\n.*np\.float64 scalar",
    ),
    "changes its input": ((ops.gelu, X), in_place_on_the_input, "nothing changed", "backward changes x"),
    "changes dy": (SOFTMAX, in_place_on_the_cotangent, "nothing changed", "backward changes dy"),
    "changes its cache": (SOFTMAX, in_place_on_the_cache, "nothing changed", "again on the same cache"),
    "an exception": (SOFTMAX, lambda dp, c: dp @ c.q, "backward runs", "AttributeError: .*'q'"),
    "wrong arguments": (SOFTMAX, lambda dp: dp, "backward runs", r"TypeError: .*2 were given\n\(called as"),
}


@pytest.mark.parametrize(("operation", "backward", "check", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_backward_fails_on_the_right_check_and_the_message_helps(operation, backward, check, says):
    forward, *inputs = operation
    before = [x.copy() for x in inputs]
    for seed in (0, 1):
        verdict = check_backward(forward, backward, *inputs, seed=seed)
        assert re.search(says, message(verdict, check), re.DOTALL), str(verdict)
        assert "is wrong." in str(verdict) and f"WRONG  {check}" in str(verdict) and repr(verdict) == str(verdict)
    assert all(np.array_equal(x, old) for x, old in zip(inputs, before, strict=True))


def test_the_first_wrong_element_has_both_values():
    change = change_linear(1, lambda dw: dw * (1 + np.eye(4, 5, 2) / 8))
    text = message(check_backward(*LINEAR[:1], change, *LINEAR[1:]), "derivative")
    got, right = map(
        float, re.search(r"dweight\[0, 2\] is (\S+) and should be (\S+) by the complex step \(3 of 20", text).groups()
    )
    assert got == pytest.approx(right * 9 / 8, rel=1e-5)


def test_the_first_recognised_mistake_is_data():
    verdict = check_backward(ops.softmax, change_softmax(0, np.negative), X)
    assert verdict.mistake.kind == "sign" and check_backward(ops.softmax, ops.softmax_backward, X).mistake is None


def test_a_verdict_names_the_backward_and_says_where_it_is_not_written_yet():
    def my_backward(dy, x):
        return dy

    def to_be_written(dy, x):
        raise NotImplementedError("the second exercise")

    def empty(dy, x):
        raise NotImplementedError

    assert str(check_backward(lambda x: x * 1, my_backward, X)).startswith("my_backward is right.\n")
    assert str(check_backward(np.square, my_backward, X)).startswith("my_backward is wrong.\n")
    verdict = check_backward(np.square, to_be_written, X)
    assert verdict.unwritten == "the second exercise" and verdict.first_failure == "backward runs"
    assert str(verdict) == "to_be_written is not written yet: the second exercise"
    assert str(check_backward(np.square, empty, X)) == "empty is not written yet: your turn"


def test_an_exception_names_the_readers_line():
    def broken(dy, cache):
        return np.ones(3) @ np.ones(4)  # the line

    text = message(check_backward(ops.softmax, broken, X), "backward runs")
    assert "ValueError: matmul" in text and f"in line {broken.__code__.co_firstlineno + 1} of {__file__}" in text
    assert text.endswith("return np.ones(3) @ np.ones(4)  # the line")


# ------------------------------------------------------------------------------------- forwards that complex numbers break


def norm_with_var(x):
    rstd = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    xhat = (x - x.mean(axis=-1, keepdims=True)) * rstd
    return xhat, ops.layer_norm(x, np.ones(x.shape[-1]), np.zeros(x.shape[-1]))[1]


def softly(x):
    return np.array([math.sin(each) for each in x.ravel()]).reshape(x.shape)


UNSAFE = {  # name: (forward, right backward, wrong backward, inputs, the reason)
    "np.var": (norm_with_var, lambda dy, c: ops.layer_norm_backward(dy, c)[0], lambda dy, c: dy * c.rstd, (X,), "disagrees"),
    "np.abs": (lambda x: np.abs(x) * x, lambda dy, x: 2 * np.abs(x) * dy, lambda dy, x: np.abs(x) * dy, (X,), "disagrees"),
    ".real": (lambda x: x * x.real, lambda dy, x: 2 * x * dy, lambda dy, x: x * dy, (X,), "disagrees"),
    "all real": (lambda x: np.tanh(x.real), lambda dy, x: dy / np.cosh(x) ** 2, lambda dy, x: dy, (X,), "disagrees"),
    "math.sin": (
        softly,
        lambda dy, x: dy * np.cos(x),
        lambda dy, x: dy * np.sin(x),
        (X,),
        r"complex numbers \(ComplexWarning\)",
    ),
    "float": (lambda x: float(x.sum()), lambda dy, x: dy + 0 * x, lambda dy, x: dy * x, (X,), r"\(ComplexWarning\)"),
    "astype": (lambda x: (x * x).astype(float), lambda dy, x: 2 * x * dy, lambda dy, x: x * dy, (X,), r"\(ComplexWarning\)"),
    "an if": (lambda x: x * x if x.dtype == "f8" else x, lambda dy, x: 2 * x * dy, lambda dy, x: dy, (X,), "gives another y"),
}


@pytest.mark.parametrize(("forward", "right", "wrong", "inputs", "reason"), UNSAFE.values(), ids=UNSAFE)
def test_forwards_that_complex_numbers_break_are_judged_by_finite_differences(forward, right, wrong, inputs, reason):
    for scale in (1.0, 1e-3, 30.0):
        scaled = [scale * x for x in inputs]
        verdict = check_backward(forward, right, *scaled)
        assert passes(verdict) and re.search(f"by finite differences, since .*{reason}", str(verdict))
        assert "by finite differences" in message(check_backward(forward, wrong, *scaled), "derivative")
    wobbling = check_backward(forward, lambda *a: right(*a) * (1 + 1e-6), *inputs)
    assert "finite differences" in message(
        wobbling, "derivative"
    )  # an error of a millionth is found without complex numbers too


def test_steps_out_of_what_the_forward_takes_are_left_out():
    def roots(x):
        return np.array([math.sqrt(each) for each in x])  # raises for negative numbers

    x = np.array([0.01, 1.0, 2.0, 5.0])
    assert passes(check_backward(roots, lambda dy, x: dy / (2 * np.sqrt(x)), x))
    assert "by finite differences" in message(check_backward(roots, lambda dy, x: dy / np.sqrt(x), x), "derivative")


def test_elements_on_a_kink_are_left_out_and_said_so():
    x = rng.integers(-1, 2, (3, 4)) * 1.0
    verdict = check_backward(lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0), x)
    assert passes(verdict) and f"Note: {(x == 0).sum()} elements of dx lie on a kink" in str(verdict)
    assert message(check_backward(lambda x: np.maximum(x, 0), lambda dy, x: dy * (x >= -1), x), "derivative")


def test_a_step_function_is_not_taken_for_a_smooth_one():
    verdict = check_backward(lambda x: np.sign(x), lambda dy, x: dy, np.zeros((2, 3)))
    assert "cannot be measured" in message(verdict, "derivative")


def test_a_gradient_that_is_all_but_zero_is_said_to_prove_little():
    verdict = check_backward(ops.softmax, ops.softmax_backward, np.ones((4, 1)))
    assert passes(verdict) and "dx is all but zero at these inputs" in str(verdict)


def test_large_inputs_are_sampled_and_said_so():
    large = rng.standard_normal((60, 50))
    verdict = check_backward(lambda x: x * x, lambda dy, x: 2 * x * dy, large)
    assert passes(verdict) and "dx has 3000 elements; a sample of 2000 and a random direction were graded" in str(verdict)
    left_out = 0
    for element in range(0, 3000, 500):  # whether in the sample or not, one wrong element is found

        def backward(dy, x, element=element):
            dx = 2 * x * dy
            dx.flat[element] = 0
            return dx

        text = message(check_backward(lambda x: x * x, backward, large), "derivative")
        left_out += "along a random direction" in text
    assert 0 < left_out < 6


# ------------------------------------------------------------------------------------------------------- bad forwards, bad use


def fickle(shapes, calls=None):
    """A forward whose output changes from call to call."""
    calls = iter(shapes * 20)
    return lambda x: x[: next(calls)]


def randomly_in_one_buffer():
    """A forward with dropout that writes every output to the same array."""
    buffer = np.empty(X.shape)
    return lambda x: np.multiply(x, rng.random(x.shape) > 0.5, out=buffer)


def failing_after(calls):
    """A forward that runs so many times and then raises."""
    left = iter(range(calls))
    return lambda x: x + 0 * next(left)


def first_argument_changed(x):
    x -= x.max()
    return np.exp(x)


STILL = lambda dy, x: dy  # noqa: E731
FORWARDS = {  # name: (forward, the check, what its message must hold)
    "another shape the second time": (fickle([2, 1]), "output", r"\(2, 3, 5\), and \(1, 3, 5\) when the forward runs again"),
    "another shape later": (fickle([2, 2, 2, 2, 1, 2]), "output", "when the forward runs again"),
    "random": (lambda x: x * rng.random(x.shape), "output", "dropout"),
    "random in one buffer": (randomly_in_one_buffer(), "output", "dropout"),
    "two outputs, one no array": (lambda x: ((x, "y"), x), "output", "got tuple for y"),
    "integers": (lambda x: x.argmax(-1), "output", "y is of dtype int64"),
    "complex": (lambda x: x + 0j, "output", "y is of dtype complex128"),
    "nothing": (lambda x: None, "output", "got NoneType for y"),
    "a list": (lambda x: [x, x], "output", "got list for y"),
    "three": (lambda x: (x, x, x), "output", "a tuple of 3"),
    "empty": (lambda x: x[:0], "output", r"y is empty, of shape \(0, 3, 5\)"),
    "a tensor": (torch.from_numpy, "output", "got Tensor for y"),
    "nan": (lambda x: x * np.where(np.arange(5) == 1, np.nan, 1), "output", r"y\[0, 0, 1\] is nan"),
    "float32": (lambda x: x.astype(np.float32), "output", "y is float32, the inputs are float64"),
    "changes its input": (first_argument_changed, "nothing changed", "the forward changes x"),
    "an exception": (lambda x: x @ x, "forward runs", "ValueError: matmul"),
    "an exception later": (failing_after(14), "forward runs", "StopIteration"),
    "one in the last call": (failing_after(40), "forward runs", "StopIteration"),
    "an exception in float64": (lambda x: x + {"f": 1}[x.dtype.char], "forward runs", "KeyError: 'd'"),
}


@pytest.mark.parametrize(("forward", "check", "says"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_that_cannot_be_graded_is_a_clear_message(forward, check, says):
    x = X.astype(np.float32) if "'d'" in says else X.copy()
    assert re.search(says, message(check_backward(forward, STILL, x), check))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((np.exp, STILL), ValueError, "no input holds floating-point numbers"),
        ((np.exp, STILL, np.arange(3)), ValueError, "no input holds floating-point numbers"),
        ((np.exp, STILL, 3, "mean", None), ValueError, "no input holds floating-point numbers"),
        ((np.exp, STILL, np.ones(0)), ValueError, r"is empty, of shape \(0,\)"),
        ((lambda scores: scores, STILL, np.array([1, -np.inf])), ValueError, "scores holds a nan or an infinity"),
        ((lambda z: z, STILL, np.ones(3) + 1j), TypeError, "z must hold real numbers, got dtype complex128"),
        ((lambda z: z, STILL, 1j), TypeError, "z must be a real NumPy array, got complex"),
        ((lambda z: z, STILL, np.array([None])), TypeError, "z must hold real numbers, got dtype object"),
        ((lambda z: z, STILL, torch.ones(3)), TypeError, "z must be a real NumPy array, got Tensor"),
        ((np.ones(3), STILL, X), TypeError, "forward must be a function, got ndarray"),
        ((np.exp, X, X), TypeError, "backward must be a function, got ndarray"),
    ],
)
def test_bad_use_of_the_grader_itself_raises(arguments, error, says):
    with pytest.raises(error, match=says):
        check_backward(*arguments)
    with pytest.raises(TypeError, match="reference must be a function or None, got ndarray"):
        check_backward(np.exp, STILL, X, reference=X)


def test_what_has_half_of_a_layer_is_no_layer():
    """Catches: a function sent to check_layer, which takes it no more than check_backward does."""

    class OnlyForward:
        def forward(self, x):
            return x * 1

    class OnlyBackward:
        def backward(self, dy):
            return dy

    for half in (OnlyForward, OnlyBackward):
        half.__call__ = lambda self, x: x * 1
        with pytest.raises(TypeError, match="backward must be a function, got ndarray"):
            check_backward(half(), X, X)
        assert passes(check_backward(half(), STILL, X))


def test_a_layer_that_can_be_called_is_a_function_beside_a_backward():
    class Layer:
        def __call__(self, x):
            return self.forward(x)

        def forward(self, x):
            return x * 1

        def backward(self, dy):
            return dy

    assert passes(check_backward(Layer(), STILL, X))


def test_a_learning_rate_of_the_forward_is_an_input():
    """Catches: a pair that only calls its factor so, sent to check_layer."""
    verdict = check_backward(lambda x, lr: lr * x, lambda dy, x, lr: (lr * dy, (x * dy).sum()), X, 0.1)
    assert passes(verdict)


def test_the_seed_is_0_where_none_is_told():
    """Of cotangents: the numbers that a message holds follow from dy."""

    def told(**seed):
        return str(check_backward(np.square, lambda dy, x: 3 * x * dy, X, **seed))

    assert told() == told(seed=0) != told(seed=1)


def test_the_readers_own_warnings_come_through():
    """Catches: a warning about code that will not run much longer, swallowed with those of an overflow."""

    def forward(x):
        warnings.warn("of the reader's own", DeprecationWarning, stacklevel=2)
        return x * 1

    with pytest.warns(DeprecationWarning, match="of the reader's own"):
        assert passes(check_backward(forward, STILL, X))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert passes(check_backward(lambda x: x + 0 * np.exp(np.float64(1000)).clip(max=1), STILL, X))  # an overflow
    assert seen == []


def test_beyond_a_clip_is_graded_on_the_same_cotangent_made_small():
    """By a power of two, so that its digits are those of the one that showed the clip. Catches: another cotangent, one that a
    clip cuts as well."""
    cotangents = []

    def clips(dy, x):
        cotangents.append(dy.copy())
        return 2 * x * np.clip(dy, -5, 5)

    verdict = check_backward(np.square, clips, X)
    assert verdict.mistake.kind == "clip" and [check.name for check in verdict.checks if not check.passed] == ["linearity"]
    digits = [np.frexp(dy)[0] for dy in cotangents]
    of_both = [i for i, dy in enumerate(cotangents) if any(np.array_equal(digits[i], each) for each in digits[:i])]
    last = cotangents[of_both[-1]]
    assert of_both[-1] == len(cotangents) - 7 and 0 < np.abs(last).max() < 1e-6  # six more calls measure the noise there


# ---------------------------------------------------------------------------------------------------------------- the reference


def own_softmax(x, dy):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True), ops.softmax_backward(dy, ops.softmax(x)[1])


def test_a_reference_may_be_of_tensors_or_arrays_or_bring_its_gradients():
    def grade(reference):
        return check_backward(ops.softmax, ops.softmax_backward, X, reference=reference)

    assert passes(grade(lambda x: x.softmax(-1))) and "y, dx equal the reference's" in str(grade(lambda x: x.softmax(-1)))
    assert passes(grade(ops.softmax)) and "y equal the reference's" in str(grade(ops.softmax))
    assert passes(grade(own_softmax)) and "y, dx equal the reference's" in str(grade(own_softmax))
    assert passes(check_backward(ops.embedding, ops.embedding_backward, IDS, TABLE_OF_IDS, reference=F.embedding))


def test_a_reference_differentiates_by_numbers_too():
    def backward(dy, x, a):
        return a * dy, (x * dy).sum()

    verdict = check_backward(lambda x, a: a * x, backward, X, 2.5, reference=lambda x, a: a * x)
    assert passes(verdict) and "y, dx, da equal the reference's" in str(verdict)
    verdict = check_backward(lambda x: x * x, lambda dy, x: 2 * x * dy, np.array(1.5), reference=torch.square)
    assert passes(verdict) and "y, dx equal the reference's" in str(verdict)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (lambda x: x.softmax(0), r"y\[0, 0, 0\] is .*\n.*another function"),
        (lambda x: np.exp(x), "another function"),
        (lambda x: x.softmax(-1).sum(), r"y has the shape \(2, 3, 5\), the reference's has \(\)"),
        (lambda x: x.softmax(-1) + (x - x.detach()), r"dx\[0, 0, 0\] is .* by the reference \(30 of 30"),
        (lambda x, dy: (ops.softmax(x)[0], dy), r"dx\[0, 0, 0\] is .* by the reference"),
        (lambda x, dy: (ops.softmax(x)[0], (dy, dy)), "of the reference: .* 2, expected 1"),
        (lambda x: x.softmax(-1, 1, 2, 3), "TypeError"),
        (lambda x: "softmax", "must return a tensor or an array, got str"),
        (lambda x: np.zeros(3, int) if isinstance(x, np.ndarray) else x.nonsense, "AttributeError"),
    ],
)
def test_a_reference_that_disagrees_is_said_so(reference, says):
    verdict = check_backward(ops.softmax, ops.softmax_backward, X, reference=reference)
    assert re.search(says, message(verdict, "reference")), str(verdict)


def test_the_grader_needs_no_torch():
    code = "import sys, numpy as np, npgpt; print(npgpt.check_backward(np.sin, lambda dy, x: dy * np.cos(x), np.ones(3),"
    code += " reference=np.sin).ok, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True False\n"


# ------------------------------------------------------------------------------------------------------- the measuring itself


FUNCTIONS = [np.exp, np.sin, np.tanh, np.log, np.sqrt, lambda x: x**3, lambda x: 3 * x, lambda x: ops.softmax(x)[0]]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_finite_differences_are_within_their_own_error_estimate(f):
    draw = np.random.default_rng(1)
    for scale in (1e-3, 1.0, 30.0):
        for _ in range(10):
            x, dy = scale * (np.abs(draw.standard_normal(7)) + 0.01), draw.standard_normal(7)
            with np.errstate(all="ignore"):
                differences = finite_differences(f, [x], 0, one_hot(x.shape, range(7)), dy)
            exact = complex_step(f, [x], 0, one_hot(x.shape, range(7)), dy)
            assert (np.abs(differences.values - exact) <= differences.errors).all() and not differences.kinks.any()
            natural = max(np.abs(exact).max(), np.abs(dy).max() * np.abs(f(x)).max() / x.max())
            assert differences.errors.max() <= 5e-10 * natural  # and the estimate is of use


def test_rounding_errors_are_not_taken_for_kinks():
    x = np.random.default_rng(1).standard_normal(200)
    differences = finite_differences(lambda x: np.sin(x) ** 2 + np.cos(x) ** 2, [x], 0, one_hot(x.shape, range(200)), x)
    assert (np.abs(differences.values) <= differences.errors).all() and not differences.kinks.any()


# ------------------------------------------------------------------------------------------------------- examples, exercises

BLANK = '    raise NotImplementedError("your turn")\n'
EXERCISES = {  # name: (a bug, in place of the blank; what the verdict must say)
    "linear": ("return dy @ cache.weight, np.einsum('bto,btc->oc', dy, cache.x), dy", "dbias.*broadcast over the axes 0, 1"),
    "softmax": ("return -npgpt.ops.softmax.softmax_backward(dp, cache)", "sign"),
    "cross_entropy": (
        "return npgpt.ops.cross_entropy.cross_entropy_backward(dloss, cache) * cache.y.size",
        "factor.*multiplied by 6",
    ),
    "embedding": ("dw = np.zeros(cache.shape); dw[cache.ids] = dy; return dw", r"dweight\[0, 0\] is"),
    "gelu": ("return dy * (1 + cache.t) / 2", r"dx\[0, 0, 0\] is"),
    "layer_norm": (
        "dx, dw, db = npgpt.ops.layer_norm.layer_norm_backward(dy, cache); return dx, dw, dw",
        r"dbias.*order: this is dweight",
    ),
    "attention": (
        "dq, dk, dv = npgpt.ops.attention.attention_backward(dz, cache); dk_T = dk.swapaxes(-1, -2).copy(); "
        "return dq, dk_T.reshape(dk.shape), dv",
        r"dk\[.*transpose.*Right: dq, dv",
    ),
    "block": ("return npgpt.models.gpt.Block.backward(block, dx, cache) - dx", r"dx\[0, 0, 0\] is"),
    "causal_conv": (
        "dx, dw, db = npgpt.ops.causal_conv.causal_conv_backward(dy, cache); "
        "return npgpt.ops.causal_conv.causal_conv(dy, cache.weight)[0], dw, db",  # the forward again: not read backwards
        r"dx\[0, 0, 0\] is.*Right: dweight, dbias",
    ),
    "lstm": (
        "*g, dbias_hh, dh0, dc0 = npgpt.ops.lstm.lstm_backward(dy, cache); return *g, 0 * dbias_hh, dh0, dc0",
        r"dbias_hh\[0\] is 0.*Right: dx, dweight_ih, dweight_hh, dbias_ih, dh0, dc0",
    ),
    "selective_scan": (
        "du, *rest = npgpt.ops.selective_scan.selective_scan_backward(dy, cache); return du - dy * cache.D, *rest",
        r"du\[0, 0, 0\] is.*Right: ddelta, dA, dB, dC, dD, dh0",
    ),
    "rope": ("return rope(dy, cache.cos, cache.sin)[0]", r"dx\[0, 0, \d, \d\] is"),
    "grouped_attention": (
        "dq, dk, dv = npgpt.ops.grouped_attention.grouped_attention_backward(dz, cache); return dq, dk, dv / 3",
        r"dv.*multiplied by 0.333333.*Right: dq, dk",
    ),
}


def run_exercise(name, tmp_path, capsys, answer=None) -> tuple[int, str]:
    """The exit code and the output of an exercise whose blank is filled with that answer."""
    source = (EXAMPLES / "exercises" / f"{name}.py").read_text(encoding="utf-8")
    assert source.count(BLANK) == 1
    if answer:
        source = source.replace(BLANK, f"    import npgpt\n    {answer}\n")
    path = tmp_path / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    return stop.value.code, capsys.readouterr().out


def test_every_exercise_is_tested():
    assert {path.stem for path in (EXAMPLES / "exercises").glob("*.py")} == set(EXERCISES)
    readme = (EXAMPLES / "exercises" / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.py)" in readme for name in EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_is_passed_by_the_librarys_backward_and_by_no_other(name, tmp_path, capsys):
    assert run_exercise(name, tmp_path, capsys) == (1, f"{name}_backward is not written yet: your turn\n")
    gradient = {"softmax": "dp", "cross_entropy": "dloss", "attention": "dz", "grouped_attention": "dz"}.get(name, "dy")
    solution = f"return npgpt.ops.{name}.{name}_backward({gradient}, cache)"
    if name == "block":
        solution = "return npgpt.models.gpt.Block.backward(block, dx, cache)"
    code, out = run_exercise(name, tmp_path, capsys, solution)
    assert code == 0 and out.startswith(f"{name}_backward is right.\n") and "by the complex step" in out and "Note" not in out
    bug, hint = EXERCISES[name]
    code, out = run_exercise(name, tmp_path, capsys, bug)
    assert code == 1 and out.startswith(f"{name}_backward is wrong.\n") and re.search(hint, out, re.DOTALL), out


def test_an_exercises_forward_is_the_librarys(tmp_path):
    for name in EXERCISES:
        module = runpy.run_path(str(EXAMPLES / "exercises" / f"{name}.py"))
        if name == "block":
            block = GPTModel(GPTConfig(8, 1, 2, 6, 4), dtype="float64").blocks[0]
            y, cache = module["block_forward"](block, X[:, :, :1] * np.ones(6))
            true_y, true_cache = block.forward(X[:, :, :1] * np.ones(6))
            assert isinstance(cache, Block.Cache)
        else:
            op = TABLE[name]
            inputs = op.inputs(np.random.default_rng(0), "normal", "float64", *[3] * op.dims)
            if "attention" in name:
                inputs.pop()  # dropout's mask: the exercises drop nothing
            y, cache = module[name](*inputs)
            true_y, true_cache = op.forward(*inputs)
        assert np.allclose(y, true_y, rtol=1e-13, atol=1e-13) and cache._fields == true_cache._fields


def test_the_example_shows_two_right_and_two_wrong_ones():
    script = EXAMPLES / "check_your_backward.py"
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    assert [line for line in out.splitlines() if re.fullmatch(r"\w+ is (right|wrong)\.", line)] == [
        "softmax_backward is right.",
        "softmax_backward_diagonal is wrong.",
        "attention_backward is right.",
        "attention_backward_untransposed is wrong.",
    ]
    assert re.search(r"dk\[0, 0, 1\] is \S+ and should be", out) and "transpose" in out
    assert out.endswith("ok: False, first failed check: derivative\n")
