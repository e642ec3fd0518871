"""The grader's other checks by themselves: what was returned, what was changed, linearity, the reference beside it.

Arrays are made here so that what each check must say follows by hand.
"""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import npgpt.check.reference as reference_module
from npgpt import check_backward
from npgpt.check.calling import Pair
from npgpt.check.contract import (
    changed,
    contract_checks,
    doubled,
    dtypes_check,
    number_check,
    of_one_object,
    output_check,
    unchanged_check,
    widening,
)
from npgpt.check.grader import verdict_on
from npgpt.check.inputs import checked_inputs
from npgpt.check.linearity import clipped, linearity_check, of_a_multiple
from npgpt.check.reference import Comparison, problem_of, reference_check, run_reference
from npgpt.check.reference import compared as compared_to_reference
from npgpt.check.returned import (
    Result,
    gradient_arrays,
    gradient_leaves,
    listed,
    new_array,
    one_for_each,
    output_array,
    packed,
    shape_problem,
    taken_apart,
    unpacked,
)
from npgpt.check.rounding import EPS, Trial, trial_of
from npgpt.check.verdict import Stopped

SINGLE = float(np.finfo(np.float32).eps)
X, H, C = np.array([1.0, -2.0, 3.0]), np.array([[0.5]]), np.array([4.0, 5.0])
IDS = np.arange(2)
MIXED, IDS_AND_H, NUMBERS = (H, "y"), (IDS, H), [0.5, 1.5]


def pair_of(forward, backward, *inputs) -> Pair:
    return Pair(forward, backward, checked_inputs(forward, inputs))


def inputs_of(*values, without_gradient=(), names="x w b c e f"):
    def forward(x=0, w=0, b=0, c=0, e=0, f=0):
        return x

    return checked_inputs(forward, values, without_gradient)


def rng(seed=0):
    return np.random.default_rng(seed)


# --------------------------------------------------------------------------------------------------- what a forward returned


@pytest.mark.parametrize(
    ("returned", "takes", "arguments", "expected"),
    [
        (X, ["dy", "x"], 1, ([X], [], False)),
        ((X, "cache"), ["dy", "cache"], 1, ([X], ["cache"], False)),
        ((X, "cache"), None, 1, ([X], ["cache"], False)),
        ((X, H), ["dy", "x", "w"], 1, ([X], [H], False)),  # as many as outputs and inputs, and x is no cotangent
        ((H, C), ["dh", "dc", "x"], 1, ([H, C], [], False)),
        ((H, C), ["dh", "dc", "x"], 2, ([H], [C], False)),
        ((H, C, X), ["a", "dh", "dc", "x"], 1, ([H, C, X], [], False)),
        ((H, C, "cache"), ["dh", "dc", "cache"], 2, ([H, C], ["cache"], False)),
        ((H, C, X, "cache"), ["dy", "dh", "dc", "cache"], 2, ([H, C, X], ["cache"], False)),
        (((H, C), "cache"), ["d", "cache"], 1, ([H, C], ["cache"], True)),
        (([H, C], "cache"), ["d", "cache"], 1, ([H, C], ["cache"], True)),
        (((H, C), "cache"), ["dh", "dc", "cache"], 1, ([H, C], ["cache"], False)),
        (((H, C + 1j), "cache"), ["d", "cache"], 1, ([H, C + 1j], ["cache"], True)),  # while the complex step measures
        ((MIXED, "cache"), ["d", "cache"], 1, ([MIXED], ["cache"], False)),
        (((), "cache"), ["d", "cache"], 1, ([()], ["cache"], False)),
        (((np.float64(0.5), H), "cache"), ["d", "cache"], 1, ([np.float64(0.5), H], ["cache"], True)),
        (((0.5, H), "cache"), ["dloss", "dh", "cache"], 2, ([0.5, H], ["cache"], False)),
        ((IDS_AND_H, "cache"), ["d", "cache"], 1, ([IDS_AND_H], ["cache"], False)),
        ((NUMBERS, "cache"), ["d", "cache"], 1, ([NUMBERS], ["cache"], False)),  # one y, and a list is none
    ],
)
def test_outputs_are_told_from_a_cache_by_what_the_backward_takes(returned, takes, arguments, expected):
    """Catches: an output taken for the cache (its path is then not graded at all), a cache graded as an output."""
    outputs, cache, together = taken_apart(returned, takes, arguments)
    assert (outputs, cache, together) == Result(tuple(outputs), tuple(cache), together)
    for found, right in ((outputs, expected[0]), (cache, expected[1])):
        assert len(found) == len(right) and all(a is b or np.array_equal(a, b) for a, b in zip(found, right, strict=True))
    assert together is expected[2]


def test_what_is_neither_an_output_nor_a_pair_is_refused():
    for returned, takes in (((H, C, X), ["dy", "cache"]), ((H, C, X), ["dh", "x", "cache"]), ((H,), ["dy"]), ((), None)):
        with pytest.raises(Stopped, match=f"y or the pair \\(y, cache\\), got a tuple of {len(returned)}") as stop:
            taken_apart(returned, takes, 5)
        assert stop.value.check.name == "output"


def test_a_function_of_one_input_may_have_two_outputs_and_a_cache():
    """((h, c), cache) and backward(dh, dc, cache): as many arguments as outputs, cache and inputs of a function without one."""

    def forward(x):
        return (np.sin(x), x * x), x

    def backward(dh, dc, x):
        return dh * np.cos(x) + 2 * x * dc

    assert check_backward(forward, backward, X)
    assert check_backward(forward, lambda dh, dc, x: backward(dh, 0 * dc, x), X).first_failure == "derivative"


def test_a_loss_beside_an_array_is_an_output_too():
    """((loss, h), cache), where a mean makes the loss a number of NumPy: it was no array, and the pair was not graded."""

    def forward(x):
        return ((x * x).mean(), 2 * x), x

    def backward(dloss, dh, x):
        return dloss * 2 * x / x.size + 2 * dh

    for both in (backward, lambda d, x: backward(*d, x)):
        assert check_backward(forward, both, X)
        assert check_backward(forward, lambda d, x: backward(2 * d[0], d[1], x), X).first_failure == "derivative"


def test_outputs_are_packed_into_one_array_and_unpacked_in_their_order():
    outputs = [np.array(1.0), np.arange(6.0).reshape(2, 3), np.array([7.0])]
    together = packed(outputs)
    assert np.array_equal(together, [1, 0, 1, 2, 3, 4, 5, 7])
    again = unpacked(together, [(), (2, 3), (1,)])
    assert all(np.array_equal(a, b) and a.shape == b.shape for a, b in zip(again, outputs, strict=True))
    assert packed(outputs[1:2]) is outputs[1] and unpacked(outputs[1], [(2, 3)])[0] is outputs[1]


def test_an_output_is_a_new_array_of_floats():
    assert new_array(1.5, np.dtype("float32")).dtype == np.float32 and new_array(np.float64(1.5), np.dtype("f4")).dtype == "f8"
    copy = output_array(X, np.dtype("f4"))
    assert copy is not X and np.array_equal(copy, X) and copy.dtype == "f8" and output_array(2.0, np.dtype("f4")).dtype == "f4"
    for wrong, says in (
        ([1.0], "got list for y"),
        (np.arange(3), "y is of dtype int64"),
        (np.array(1 + 1j), "y is of dtype complex128"),
        (np.zeros((2, 0)), r"y is empty, of shape \(2, 0\)"),
    ):
        with pytest.raises(Stopped, match=says) as stop:
            output_array(wrong, np.dtype("f8"))
        assert stop.value.check.name == "output"


# -------------------------------------------------------------------------------------------------- what a backward returned


def stopped(function, *arguments) -> tuple[str, str]:
    with pytest.raises(Stopped) as stop:
        function(*arguments)
    assert not stop.value.check.passed
    return stop.value.check.name, stop.value.check.message


def test_gradients_come_in_any_of_the_forms_that_readers_use():
    """One array, a tuple, a list, None for what holds no floats, a dict under the inputs' names or the gradients'."""
    inputs = inputs_of(X, IDS, H)  # x, w (ids), b
    dx, db = 2 * X, 3 * H
    for returned in (
        (dx, db), [dx, db], (dx, None, db), {"dx": dx, "db": db}, {"b": db, "x": dx}, {"grad_b": db, "x_grad": dx, "loss": 1},
    ):  # fmt: skip
        found = gradient_arrays(returned, inputs)
        assert np.array_equal(found[0], dx) and np.array_equal(found[1], db) and found[0] is not dx
    assert (
        np.array_equal(gradient_arrays(dx, inputs_of(X)), [dx])
        and gradient_arrays(1.5, inputs_of(np.float32(1)))[0].dtype == "f4"
    )


def test_gradients_that_are_not_there_or_are_no_arrays_are_named():
    inputs = inputs_of(X, IDS, H)
    dx, db = 2 * X, 3 * H
    expected = "expected 2 (dx, db), one for each floating input"
    number = "number of gradients"
    assert stopped(gradient_arrays, dx, inputs) == (number, f"the backward returned 1, {expected}")
    assert stopped(gradient_arrays, (dx, db, db, db), inputs) == (number, f"the backward returned 4, {expected}")
    assert stopped(gradient_arrays, (dx, None), inputs) == (number, f"db is None; {expected}")
    assert stopped(gradient_arrays, {"dx": dx}, inputs) == (number, f"the backward returned 1, {expected}")
    assert stopped(gradient_arrays, (dx, np.zeros(2), db), inputs) == (
        number, "w holds no floats and has no gradient: return None in its place, or leave it out",
    )  # fmt: skip
    assert stopped(gradient_arrays, (dx[:2], db), inputs) == ("shapes", "dx has the shape (2,), x has (3,)")
    assert stopped(gradient_arrays, (dx, "b"), inputs) == ("shapes", "db must be an array, got str")
    assert (
        stopped(gradient_arrays, (dx, db > 0), inputs)[0] == "dtypes"
        and "db is of dtype bool" in stopped(gradient_arrays, (dx, db > 0), inputs)[1]
    )
    assert stopped(gradient_arrays, (dx + 0j, db), inputs)[1].startswith("dx is of dtype complex128")
    assert stopped(one_for_each, [dx, db, db], inputs_of(X, H)) == (
        number,
        "the backward returned 3, expected 2 (dx, dw), one for each floating input",
    )


def test_what_is_wrong_with_a_shape_is_said_of_the_first_one_that_is():
    inputs = inputs_of(np.zeros((2, 3)), IDS, np.zeros(3), np.zeros((3, 2)))  # x, b, c; w holds ids
    right = [(2, 3), (3,), (3, 2)]
    assert shape_problem(right, inputs) == ""

    def says(*shapes):
        return shape_problem(list(shapes), inputs).split("\nLikely mistake: ")

    assert says((2, 3), (4, 2, 3), (3, 2)) == [
        "db has the shape (4, 2, 3), b has (3,)",
        "b was broadcast over the axes 0, 1, so its gradient sums over them.",
    ]
    assert says((2, 3), (4, 3), (3, 2))[1] == "b was broadcast over the axes 0, so its gradient sums over them."
    assert says((2, 3), (4,), (3, 2)) == ["db has the shape (4,), b has (3,)"]
    assert says((2, 3), (4, 4), (3, 2)) == ["db has the shape (4, 4), b has (3,)"]
    assert says((3, 2), (3,), (3, 2)) == ["dx has the shape (3, 2), x has (2, 3)", "a transpose is missing, or one too many."]
    assert says((3,), (2, 3), (3, 2))[1] == "the order. Return dx, db, dc, in the order of the inputs."
    assert says((2, 3), (), (3, 2)) == ["db has the shape (), b has (3,)"]


TREE = {"W": X, "inside": [H, C], "heads": 2}


def test_the_gradient_of_a_tree_is_taken_apart_as_the_tree_is():
    """Catches: a leaf that gets another leaf's gradient; one that is missing and is not said to be None."""
    gradient = {"inside": [3 * H, 4 * C], "dW": 2 * X}
    found = gradient_leaves(TREE, gradient)
    assert [None if each is None else float(np.ravel(each)[0]) for each in found] == [2, 1.5, 16, None]
    assert [each is None for each in gradient_leaves(TREE, {"W": X, "inside": [H]})] == [False, True, True, True]
    assert [each is None for each in gradient_leaves(TREE, {"W": X, "inside": H})] == [False, True, True, True]
    assert gradient_leaves(TREE, 3) == [None] * 4 and gradient_leaves(X, H)[0] is H

    layers = [{"W": X, "b": C}, {"W": H}]
    found = gradient_leaves(layers, [{"db": 3 * C, "dW": 2 * X}, {"W": 4 * H}])
    assert [float(np.ravel(each)[0]) for each in found] == [2, 12, 2]

    inputs = inputs_of(H, TREE, IDS)  # x, w.W, w.inside[0], w.inside[1], w.heads, b (ids)
    assert inputs.wanted == ["dx", "w.dW", "w.dinside[0]", "w.dinside[1]"]
    for returned in ((7 * H, gradient), (7 * H, gradient, None)):
        found = gradient_arrays(returned, inputs)
        assert [float(np.ravel(each)[0]) for each in found] == [3.5, 2, 1.5, 16]
    assert len(listed((H, H, H, H), inputs)) == 4  # neither one for each argument, nor for each that has a gradient
    in_one = {"dx": 7 * H, "W": 2 * X, "w.inside[0]": 3 * H, "w.inside[1]": 4 * C}
    assert [float(np.ravel(each)[0]) for each in gradient_arrays(in_one, inputs)] == [3.5, 2, 1.5, 16]
    deep = {"W": 2 * X, "grad_of_none": 3 * H, "db": 5 * C}  # under their last names, at whatever depth they stand
    found = gradient_arrays(deep, inputs_of(X, {"one": {"W": X, "b": C}}, without_gradient=["x"]))
    assert [float(np.ravel(each)[0]) for each in found] == [2, 20]
    alone = inputs_of(TREE)
    assert [float(np.ravel(each)[0]) for each in gradient_arrays(gradient, alone)] == [2, 1.5, 16]
    assert [float(np.ravel(each)[0]) for each in gradient_arrays((gradient,), alone)] == [2, 1.5, 16]


# ----------------------------------------------------------------------------------------------------------------- the contract


def checks_of(forward, backward, *inputs):
    found = {}
    for check in contract_checks(pair_of(forward, backward, *inputs), rng()):
        found[check.name] = check
    return found


def test_what_the_contract_says_of_a_right_pair():
    def forward(x, ids, w):
        return x * w, (x, w)

    def backward(dy, cache):
        x, w = cache
        return dy * w, (dy * x).sum()

    x, w = X.astype(np.float32), np.array(2.0, np.float32)
    found = checks_of(forward, backward, x, 3, w)
    assert [(check.name, check.message) for check in found.values()] == [
        ("forward runs", "on x (3,) float32, ids = 3, w () float32"),
        ("output", "y (3,), float32, finite, the same when called again"),
        ("backward runs", "on a random cotangent dy"),
        ("number of gradients", "2 (dx, dw); none for ids, which holds no floats"),
        ("shapes", "dx (3,), dw ()"),
        ("dtypes", "each gradient has its input's"),
        ("nothing changed", "inputs, dy and cache are as they were"),
    ]
    assert all(check.passed for check in found.values())


def test_the_cotangent_is_random_and_of_the_outputs_dtype():
    """Catches: ones, with which softmax's gradient is 0, and float64 into a float32 backward, which widens its result."""
    seen = []
    checks_of(lambda x: x * 1, lambda dy, x: (seen.append(dy.copy()), dy)[1], X.astype(np.float32))
    assert all(dy.dtype == np.float32 and len(set(dy)) == 3 for dy in seen) and np.array_equal(seen[0], seen[1])


def test_the_output_may_differ_between_calls_by_rounding_alone():
    """64 eps of its own dtype, of its largest element, 3."""
    for (dtype, eps), (part, fine) in itertools.product((("f8", EPS), ("f4", SINGLE)), ((0.9, True), (1.1, False))):
        x, off = X.astype(dtype), np.array([0, part * 64 * eps * 3, 0], dtype)
        calls = iter(range(9))
        pair = pair_of(lambda x, off=off, calls=calls: x + off * (next(calls) > 0), None, x)
        y, _ = pair.run_forward(pair.inputs.copies())
        if fine:
            assert output_check(pair, y).passed
        else:
            assert stopped(output_check, pair, y)[1].startswith("the forward gives another y when it runs again")
    calls = iter((1, np.nan))  # catches: a second y of nan called "the same when called again"
    pair = pair_of(lambda x: x * next(calls), None, X)
    assert "another y when it runs again" in stopped(output_check, pair, pair.run_forward(pair.inputs.copies())[0])[1]
    still = pair_of(lambda x: 0 * x, None, X)
    assert output_check(still, np.zeros(3)).passed  # of zeros no rounding is allowed, and none is there
    pair = pair_of(lambda x: x / np.array([1, 0, 0]), None, X)
    with np.errstate(divide="ignore"):
        y, _ = pair.run_forward([X])
        assert stopped(output_check, pair, y) == ("output", "y[1] is -inf: there is no gradient; try other inputs")


def test_a_dtype_that_is_wider_is_told_why_and_one_that_is_not_is_not():
    def said(dtype, wanted):
        pair = pair_of(lambda x: x.astype(dtype), None, X.astype(wanted))
        check = output_check(pair, pair.run_forward(pair.inputs.copies())[0])
        assert not check.passed and check.name == "output"
        return check.message

    assert said("f8", "f4").startswith("y is float64, the inputs are float32\nLikely mistake: a np.float64 scalar")
    assert said("f4", "f8") == "y is float32, the inputs are float64"
    assert widening(np.dtype(">f8"), np.dtype("<f8")) == ""  # another byte order is no wider
    x, w = X.astype("f4"), H
    check = dtypes_check(inputs_of(x, IDS, w), [x, w.astype("f4")])
    assert (check.passed, check.message) == (False, "db is float32, b is float64")
    assert "dx is float64, x is float32\nLikely mistake: " in dtypes_check(inputs_of(x, IDS, w), [X, w]).message
    assert dtypes_check(inputs_of(x, IDS, w), [x, w]).passed


def test_what_has_no_gradient_is_told_from_what_was_asked_for_none():
    inputs = inputs_of(X, H, IDS, 1e-5, "mean", without_gradient=["w", "c"])
    assert number_check(inputs, False).message == "1 (dx); none for b, e, which holds no floats; none asked for w, c"
    assert number_check(inputs_of(X), False).message == "1 (dx)"
    assert "\nNote: those of the layer's own parameters are not graded here" in number_check(inputs_of(X), True).message


def test_a_second_run_tells_work_in_place_from_gradients_that_add_up():
    first, same = [X, H], [X.copy(), H.copy()]
    assert unchanged_check(["dx", "dw"], None, None, first, same) == (
        "nothing changed", True, "inputs, dy and cache are as they were", ("", 0.0),
    )  # fmt: skip
    check = unchanged_check(["dx", "dw"], "x", "dy", first, same)
    assert check.passed is False and check.message.startswith("the forward changes x\nLikely mistake: work in place")
    assert unchanged_check(["dx", "dw"], None, "dy", first, same).message.startswith("the backward changes dy\n")
    check = unchanged_check(["dx", "dw"], None, None, first, [X, 2 * H])
    assert check.passed is False
    assert check.message.startswith("the gradients dw are twice as large when the backward runs again")
    check = unchanged_check(["dx", "dw"], None, None, first, [X * [1, 1.5, 1], H])
    assert check.passed is False
    assert "gives other gradients when it runs again on the same cache: dx[1] is -2, then -3\n" in check.message
    for part, passed in ((0.9, True), (1.1, False)):  # of 64 eps of the largest element, 3
        assert unchanged_check(["dx"], None, None, [X], [X + np.array([part * 192 * EPS, 0, 0])]).passed is passed
        short, off = X.astype("f4"), np.array([0, part * 192 * SINGLE, 0], "f4")
        assert unchanged_check(["dx"], None, None, [short], [short + off]).passed is passed
    nan = X * np.array([1, np.nan, 1])
    assert unchanged_check(["dx"], None, None, [nan], [nan]).passed  # that it is not finite, the derivative says
    assert not unchanged_check(["dx"], None, None, [X], [nan]).passed


def test_doubled_is_twice_to_rounding():
    assert (
        doubled(X, 2 * X) and doubled(X, 2 * X + 0.9 * 192 * EPS) and not doubled(X, 2 * X + np.array([1.1 * 192 * EPS, 0, 0]))
    )
    short, half = X.astype("f4"), np.array([0, 0.5 * 192 * SINGLE, 0], "f4")
    assert doubled(short, 2 * short + half) and not doubled(short, 2 * short + 3 * half)
    assert not doubled(0 * X, 0 * X) and not doubled(X, X) and not doubled(X, 3 * X)


def test_only_methods_of_one_object_are_a_layer():
    class Layer:
        def forward(self, x):
            return x * 1

        def backward(self, dy, x):
            return dy

    one, other = Layer(), Layer()
    assert of_one_object(pair_of(one.forward, one.backward, X))
    for forward, backward in (
        (one.forward, other.backward),
        (one.forward, lambda dy, x: dy),
        (lambda x: x * 1, one.backward),
        (lambda x: x * 1, lambda dy, x: dy),
    ):
        assert not of_one_object(pair_of(forward, backward, X))


def test_the_first_changed_array_is_named():
    assert changed(["x", "w"], [X, H], [X.copy(), H.copy()]) is None
    assert changed(["x", "w"], [X, H], [X.copy(), 2 * H]) == "w" and changed(["x", "w"], [X, H], [2 * X, 2 * H]) == "x"
    assert changed(["n", "w"], [3, H], [4, 2 * H]) == "w"


def test_every_change_is_found_and_said_of_the_right_function():
    def keeps(dy, x):
        return 2 * x * dy

    def forward_changes(x):
        y = x * x
        x += 1
        return y

    def backward_changes(dy, x):
        dx = 2 * x * dy
        x += 1
        return dx

    def changes_dy(dy, x):
        dy *= 2
        return x * dy

    for forward, backward, says in (
        (forward_changes, keeps, "the forward changes x"),
        (np.square, backward_changes, "the backward changes x"),
        (np.square, changes_dy, "the backward changes dy"),
    ):
        x = X.copy()
        found = checks_of(forward, backward, x)["nothing changed"]
        assert not found.passed and found.message.startswith(says) and np.array_equal(x, X)


# -------------------------------------------------------------------------------------------------------------------- linearity


def linearity_of(backward, *inputs, forward=None):
    trial = trial_of(pair_of(forward or (lambda x, w=0: x * 1), backward, *inputs), rng())
    return linearity_check(trial, rng(1))


def test_each_law_of_linearity_is_checked_and_told():
    """Of one backward that breaks each law alone, and that a bound too wide would let through."""
    check, mistake = linearity_of(lambda dy, x: 3 * dy, X)
    assert check.passed and mistake is None and check.name == "linearity"
    assert check.message == "twice the cotangent is twice the gradient, a sum's gradient the sum of the gradients"
    for backward, says in (
        (lambda dy, x: dy + 1e-9, "for 0 dy\nLikely mistake: it adds something that does not depend on dy."),
        (lambda dy, x: dy * (1 + 1e-9 * np.abs(dy)), "for 1024 dy\nLikely mistake: "),
        (lambda dy, x: dy * np.abs(dy), "for 1024 dy\nLikely mistake: dy is used twice, or not at all."),
        (
            lambda dy, x: np.abs(dy),
            "for dy + another\nLikely mistake: a term holds dy twice, inside a function, or not at all.",
        ),
    ):
        check, mistake = linearity_of(backward, X)
        assert not check.passed and says in check.message and mistake is None, check.message
        assert check.message.startswith("the backward is not linear in dy: dx[")


@pytest.mark.parametrize(("law", "size"), [(1, 1), (2, 1024), (3, 1)])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_a_law_may_be_missed_by_twice_the_bound_of_a_gradient(law, size, dtype):
    """By hand, of the backward 2 dy on the calls for another cotangent, 0 dy, 1024 dy and their sum, the last of which is off:
    2 (64 eps of the largest gradient and 16 noises), and 1024 times as much for 1024 dy."""
    other, small = rng(1).standard_normal(3), np.array([0.0078125, -0.00390625, 0.015625])
    for dy, noise, close in ((small, 0.0, 0.03), (512 * small, 0.0, 0.03), (512 * small, 1e-9, 1e-4)):
        largest = 2 * max(np.abs(dy).max(), np.abs(other).max())
        allowed = size * 2 * (64 * float(np.finfo(dtype).eps) * largest + 16 * noise)
        for part, passed in ((1 - close, True), (1 + close, False)):
            calls = itertools.count()
            off = np.array([0, part * allowed, 0])
            pair = pair_of(lambda x: x * 1, lambda d, x, off=off, calls=calls: 2 * d + off * (next(calls) == law), X)
            pair.shapes = [(3,)]
            check, mistake = linearity_check(Trial(pair, X / 8, dy, [(2 * dy).astype(dtype)], [noise], EPS), rng(1))
            assert check.passed is passed and mistake is None


def test_the_second_gradient_is_as_linear_as_the_first():
    check, _ = linearity_of(lambda dy, x, w: (dy, np.abs(dy) * x), X, X)
    assert not check.passed and "not linear in dy: dw[" in check.message


def test_rounding_is_not_taken_for_a_nonlinear_backward():
    """Sums of many numbers round differently for dy, for another and for both; a gradient beside 1e6 keeps fewer digits."""
    wide = rng(3).standard_normal((50, 40))
    for scale in (1.0, 1e6):
        for seed in range(5):
            trial = trial_of(
                pair_of(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ dy), scale * wide, wide.T), rng(seed)
            )
            assert linearity_check(trial, rng(seed))[0].passed
    check, _ = linearity_of(lambda dy, x: (1e6 * x + dy) - 1e6 * x, X)
    assert "precision" in check.message or check.passed


def test_a_backward_that_is_not_finite_is_left_to_the_derivative():
    check, _ = linearity_of(lambda dy, x: dy / np.array([1, np.inf, np.nan]), X)
    assert check.passed


def clip_of(backward, *inputs):
    return clipped(trial_of(pair_of(lambda x, w=0: x * 1, backward, *inputs), rng()))


def test_a_clip_is_told_from_what_is_used_twice():
    """By hand: of clip(dy, -5, 5) every element is +-5 for a dy of 2^20; of dy / max(1, |dy|), the norm is 1."""
    found = clip_of(lambda dy, x: np.clip(dy, -5, 5), X)
    assert found.kind == "clip" and "no element of dx exceeds 5." in found.text and "Clip after the backward" in found.text
    dy = trial_of(pair_of(lambda x: x * 1, lambda dy, x: dy, X), rng()).dy
    assert f"for a dy of up to {np.abs(dy).max() * 2.0**20:.2g}, no element" in found.text
    found = clip_of(lambda dy, x: dy / max(1, np.linalg.norm(dy)), X)
    assert found.kind == "clip" and "dx stop growing" in found.text
    found = clip_of(lambda dy, x, w: (dy, dy / max(1, np.linalg.norm(dy))), X, X)
    assert "dw stop growing" in found.text and "dx" not in found.text
    for linear_or_worse in (
        lambda dy, x: 2 * dy,  # linear
        lambda dy, x: dy * np.abs(dy),  # used twice: rises above the line
        lambda dy, x: dy * np.abs(dy).max() / (1e-30 + np.abs(dy).max() ** 2) * 1e-9,  # never linear, however small
        lambda dy, x: 0 * dy,
        lambda dy, x: np.where(np.abs(dy) > 1000, 0, dy),  # 0 beyond a limit: no clip
        lambda dy, x: np.where(np.abs(dy) > 1000, np.inf, dy),
        lambda dy, x: 0.9 * dy + np.clip(dy, -5, 5),  # goes on growing
        lambda dy, x: 0.1 * dy + 0.9 * np.clip(dy, -5, 5),
    ):
        assert clip_of(linear_or_worse, X) is None
    single = clip_of(lambda dy, x: np.clip(dy, -5, 5), np.array([1.0]))
    assert "dx stop growing" in single.text  # of one number nothing tells a limit of elements from one of the norm


def test_a_clip_is_found_at_any_size_and_no_other_curve_is_called_one():
    dy = float(np.abs(trial_of(pair_of(lambda x: x * 1, lambda dy, x: dy, np.ones(1)), rng()).dy).max())
    one = np.ones(1)

    def bounded(part):  # at that part of what it is at 2^20 dy
        limit = part * 2.0**20 * 100 * dy
        return lambda dy, x: np.clip(100 * dy, -limit, limit)

    assert clip_of(bounded(0.5), one).kind == "clip"
    assert clip_of(bounded(1.1), one) is None  # not yet clipped at 2^20 dy
    assert clip_of(lambda dy, x: np.where(np.abs(dy) < 1, dy, np.sign(dy) * np.abs(dy) ** 0.7), X) is None  # goes on growing
    assert clip_of(lambda dy, x: 1e-18 * dy / (1e-30 + np.abs(dy).max()), X) is None  # never linear, however small
    beyond = 1.5 * 2.0**20 * dy
    assert clip_of(lambda dy, x: np.where(np.abs(dy) > beyond, 0, np.clip(dy, -5, 5)), one) is None  # 0 beyond a limit


def test_a_limit_of_elements_is_told_where_most_of_them_stand_at_it():
    assert "no element of dx exceeds 5." in clip_of(lambda dy, x: np.clip(dy, -5, 5), X[:2]).text
    limits = np.array([5.0, 5, 3, 3])
    assert "dx stop growing" in clip_of(lambda dy, x: np.clip(dy, -limits, limits), np.ones(4)).text
    assert "dx stop growing" in clip_of(lambda dy, x: np.arctan(dy), X).text  # near its limit, and never at it
    by_norm = clip_of(lambda dy, x: 1e-3 * dy / max(1, np.linalg.norm(dy)), X)  # so small that any two are near each other
    assert "dx stop growing" in by_norm.text
    for n, names in ((4, "dx, dw, db, dc stop growing"), (5, "dx, dw, db, dc, ... stop growing"), (6, "dc, ... stop")):
        inputs = inputs_of(*[X] * n)
        norm = Pair(lambda x, *rest: x * 1, lambda dy, *xs: (dy / max(1, np.linalg.norm(dy)),) * len(xs), inputs)
        assert names in clipped(trial_of(norm, rng())).text


def test_a_multiple_of_dy_gives_that_multiple_of_a_linear_gradient():
    trial = trial_of(pair_of(lambda x: x * 1, lambda dy, x: 3 * dy * x, X), rng())
    for power in (-30, 0, 20):
        assert np.array_equal(of_a_multiple(trial, power)[0], trial.gradients[0])


def test_what_agrees_to_six_digits_is_no_clip():
    """Bent far above 1024 dy, where it is 10^-9 off: so much is a matter of precision."""
    check, mistake = linearity_of(lambda dy, x: dy / (1 + (dy / 2e5) ** 4) ** 0.25, X)
    assert not check.passed and "precision" in check.message and mistake is None


# ---------------------------------------------------------------------------------------------------------------- the reference


def test_beside_a_reference_an_element_may_be_off_by_the_bound_alone():
    """64 eps of the natural size and 16 noises; eps is the shorter one's. By hand, of a largest element of 4."""
    right = np.array([4.0, 1.0])
    for part, fine in ((0.99, True), (1.01, False)):
        off = np.array([0, part * (64 * EPS * 4 + 16e-13)])
        assert (problem_of(Comparison("dx", right + off, right, 1e-13, 0.0)) == "") is fine
        off = np.array([0, part * (64 * EPS * 9)])
        assert (problem_of(Comparison("dx", right + off, right, 0.0, 9.0)) == "") is fine
        short = np.array([0, part * 64 * SINGLE * 4])
        assert (problem_of(Comparison("dx", right + short, right.astype("f4"), 0.0, 0.0)) == "") is fine
        assert (problem_of(Comparison("dx", (right + short).astype("f4"), right, 0.0, 0.0)) == "") is fine
    assert problem_of(Comparison("dx", right * [1, 2], right, 0.0, 0.0)) == (
        "dx[1] is 2 and should be 1 by the reference (1 of 2 elements are wrong)"
    )
    assert problem_of(Comparison("y", right * 2, right, 0.0, 0.0)).endswith(
        "(2 of 2 elements are wrong)\nThe forward computes another function than the reference."
    )
    assert problem_of(Comparison("dx", right, right[:1], 0.0, 0.0)) == "dx has the shape (2,), the reference's has (1,)"
    assert "dx[0] is nan" in problem_of(Comparison("dx", right * np.nan, right, 0.0, 0.0))


def test_a_reference_runs_on_what_it_takes():
    """Tensors are differentiated, arrays give y alone, and one that takes dy brings its gradients."""
    inputs, dy = inputs_of(X, IDS, H), np.array([1.0, 2.0, -1.0])

    def right(y, gradients, count):
        assert np.array_equal(y, X * 0.5**1) and len(gradients) == count
        if count:
            assert np.array_equal(gradients[0], dy * 0.5) and np.array_equal(gradients[1], [[(dy * X).sum()]])
        assert all(isinstance(each, np.ndarray) for each in (y, *gradients))

    right(*run_reference(lambda x, w, b: torch.mul(x, b[0, 0]), inputs, dy), 2)
    right(*run_reference(lambda x, w, b: (torch.mul(x, b[0, 0]), "more"), inputs, dy), 2)
    right(*run_reference(lambda x, w, b: x.copy() * b[0], inputs, dy), 0)  # tensors have no copy()
    right(*run_reference(lambda x, w, b, dy: (x * b[0], (dy * b[0], None, [[(dy * x).sum()]] * np.ones(1))), inputs, dy), 2)
    y, gradients = run_reference(lambda x, w, b: x * 2, inputs, dy)  # b takes no part: its gradient is 0, not missing
    assert np.array_equal(gradients[1], [[0.0]]) and np.array_equal(y, 2 * X)
    y, gradients = run_reference(lambda x, w, b: x.sum(), inputs, dy)  # another shape: no cotangent fits
    assert y.shape == () and gradients == []
    y, gradients = run_reference(lambda x, w, b: x.detach() * 2, inputs, dy)
    assert np.array_equal(y, 2 * X) and gradients == []
    with pytest.raises(TypeError, match="tensor or an array"):
        run_reference(lambda x, w, b: np.arange(3), inputs, dy)
    with pytest.raises(ZeroDivisionError):
        run_reference(lambda x, w, b: 1 / 0, inputs, dy)


def test_a_reference_gets_numbers_as_they_are_and_may_be_shorter_than_float64():
    """A count that became a tensor is no count for range(); a reference in float32 takes no cotangent in float64."""
    y, (dx,) = run_reference(lambda x, n: sum(x for _ in range(n)) if type(n) is int else None, inputs_of(X, 3), np.ones(3))
    assert np.array_equal(y, 3 * X) and np.array_equal(dx, 3 * np.ones(3))
    y, (dx,) = run_reference(lambda x: 2 * x.float(), inputs_of(X), np.ones(3))
    assert y.dtype == np.float32 and np.array_equal(dx, 2 * np.ones(3))


def test_where_nothing_has_imported_torch_a_reference_is_tried_on_arrays_first(monkeypatch):
    """Catches: seconds of an import for a reference that needs none."""
    monkeypatch.setattr(reference_module, "sys", SimpleNamespace(modules={}))
    seen = []
    run_reference(lambda x: (seen.append(type(x)), 2 * x)[1], inputs_of(X), np.ones(3))
    assert seen == [np.ndarray]
    y, (dx,) = run_reference(lambda x: torch.mul(x, 2), inputs_of(X), np.ones(3))
    assert np.array_equal(y, 2 * X) and np.array_equal(dx, 2 * np.ones(3))
    with pytest.raises(TypeError, match="must return an array or a tensor of floats, got dtype int64"):
        run_reference(lambda x: np.arange(3), inputs_of(X), np.ones(3))


def test_what_a_reference_does_is_a_check_of_its_own():
    trial = trial_of(pair_of(lambda x: 2 * x, lambda dy, x: 2 * dy, X), rng())

    def said(reference):
        check = reference_check(trial, reference, rng())
        assert check.name == "reference" and check.passed in (True, False) and check.passed is bool(check.passed)
        return check.passed, check.message

    assert said(lambda x: x + x) == (True, "y, dx equal the reference's")
    assert said(lambda x, dy: (2 * x, 2 * dy)) == (True, "y, dx equal the reference's")
    passed, message = said(lambda x: 3 * x)
    assert passed is False and message.startswith("y[0] is 2 and should be 3 by the reference (3 of 3 elements are wrong)")
    passed, message = said(lambda x, dy: (2 * x, (dy, dy)))
    assert passed is False and message.startswith("of the reference: the backward returned 2, expected 1 (dx)")
    passed, message = said(lambda x, dy: np.linalg.cholesky(x))  # raises inside of NumPy: told is the line that calls it
    assert passed is False and f" of {__file__}: " in message and "(the reference gets float64 inputs)" in message


def test_the_readers_inputs_and_dy_are_not_handed_to_a_reference_itself():
    def careless(x, dy):
        x *= 2
        dy *= 0
        return x, dy

    x, dy = X.copy(), np.ones(3)
    run_reference(careless, inputs_of(x), dy)
    assert np.array_equal(x, X) and np.array_equal(dy, np.ones(3))


def test_the_noise_beside_a_reference_is_that_of_both():
    """y and each gradient: the trial's noise and how far the reference's eight other results are from its own."""
    pair = pair_of(lambda x: x * 1, lambda dy, x: dy, X)
    pair.shapes = [(3,)]
    trial = Trial(pair, X, X, [X], [1e-3], EPS)
    near = [(X, [X + np.array([0, 1e-2, 0])]), (X, [X - np.array([3e-2, 0, 0])])]
    of_y, of_x = compared_to_reference(trial, (X, [X]), near, rng())
    assert (of_y.name, of_y.natural) == ("y", 0.0) and 0 < of_y.noise <= 2.5 * EPS * 3
    assert of_x.name == "dx" and of_x.noise == pytest.approx(3.1e-2) and of_x.natural == trial.natural_size(0) == 3.0


# ---------------------------------------------------------------------------------------------------------------- all together


def test_the_checks_that_were_made_already_stand_first_and_none_stands_twice():
    """A check that passed on the first call and stops on a later one is told once, as the failure that it is."""
    calls = iter(range(100))

    def forward(x):
        if next(calls) > 6:
            raise KeyError("later")
        return x * 1

    verdict = verdict_on(pair_of(forward, lambda dy, x: dy, X), None, rng())
    names = [check.name for check in verdict.checks]
    assert not verdict and names.count("forward runs") == 1 and names[-1] == verdict.first_failure == "forward runs"
    first = verdict.checks[1]._replace(name="made before")
    again = verdict_on(pair_of(lambda x: x * 1, lambda dy, x: dy, X), None, rng(), (first,))
    assert again and again.checks[0] is first and again.checks[1].name == "forward runs" and again.mistake is None
