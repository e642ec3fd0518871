"""What a verdict rests on, by itself: derivatives measured from a forward, how far rounding goes, who is nudged by how much.

Every expected number is worked out here: a closed form, a polynomial whose series ends, a power of two.
"""

import math
from collections import namedtuple
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from npgpt import check_backward
from npgpt.check.calling import Pair
from npgpt.check.derivative import compared, derivative_check
from npgpt.check.grader import quietly
from npgpt.check.inputs import checked_inputs
from npgpt.check.numerical import (
    STEPS,
    complex_step,
    extrapolate,
    finite_differences,
    ladder,
    ladder_steps,
    moved,
    on_a_kink,
    one_hot,
    summed,
)
from npgpt.check.rounding import (
    EPS,
    Trial,
    backward_noise,
    eps_of,
    forward_eps,
    forward_noise,
    nudged,
    rounding_bound,
    six_digits_agree,
    trial_of,
)
from npgpt.check.truth import Measured, Truth, complex_problem, measured, refuted

SINGLE = float(np.finfo(np.float32).eps)


def pair_of(forward, backward, *inputs) -> Pair:
    return Pair(forward, backward, checked_inputs(forward, inputs))


# ------------------------------------------------------------------------------------------------------------- moving an input


def test_one_hot_directions_move_one_element_each():
    directions = list(one_hot((2, 3), [4, 0]))
    assert np.array_equal(directions, [[[0, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 0]]])


def test_a_moved_input_leaves_the_others_and_the_readers_arrays_alone():
    """Catches: a step on the wrong input, on the reader's own array, or on integers; an input that stays real beside a complex
    one, with which a forward that fills an array of w's dtype would lose the imaginary part."""
    x, w, ids = np.array([1.0, 2.0]), np.array([3.0]), np.array([4])
    by_real = moved([x, w, ids, "mean"], 0, np.array([0.5, 0.0]))
    assert [np.array_equal(a, b) for a, b in zip(by_real, ([1.5, 2], [3], [4], "mean"), strict=True)] == [True] * 4
    by_complex = moved([x, w, ids, "mean"], 0, np.array([0.5j, 0]))
    assert [each.dtype.kind for each in by_complex[:3]] == ["c", "c", "i"] and np.array_equal(by_complex[0], [1 + 0.5j, 2])
    by_complex[1][0] = by_complex[2][0] = 0
    assert np.array_equal(x, [1, 2]) and w[0] == 3 and ids[0] == 4


# ---------------------------------------------------------------------------------------------------------- the complex step


def test_the_complex_step_gives_derivatives_to_a_few_eps():
    """d/da sum(dy a e^b) = dy e^b and d/db = dy a e^b; along a direction v, the sum of both over v."""
    a, b, dy = np.array([0.3, -2.0]), np.array([1.5, -0.7]), np.array([2.0, -3.0])

    def f(a, b):
        return a * np.exp(b)

    by_a = complex_step(f, [a, b], 0, one_hot((2,), range(2)), dy)
    by_b = complex_step(f, [a, b], 1, [np.array([0.5, 4.0])], dy)
    assert np.allclose(by_a, dy * np.exp(b), rtol=4 * EPS, atol=0)
    assert np.allclose(by_b, (dy * a * np.exp(b) * [0.5, 4.0]).sum(), rtol=8 * EPS, atol=0)


# ------------------------------------------------------------------------------------------------------- finite differences


def test_steps_are_powers_of_two_from_a_quarter_of_the_inputs_size():
    assert STEPS == 9
    assert np.array_equal(ladder_steps(np.array([1.0, -1.0])), 4.0 ** -np.arange(1, 10))
    assert np.array_equal(ladder_steps(np.array([-7.0, 9.0])), 8 * 4.0 ** -np.arange(1, 10))  # the mean of the sizes is 8
    assert np.array_equal(ladder_steps(np.zeros(3)), 4.0 ** -np.arange(1, 10))  # nothing tells a size: that of 1


def test_a_ladder_holds_the_forward_on_both_sides_and_nan_where_it_raises():
    """Catches: one side alone kept where the other raised, a step on the wrong input, an error that ends the measuring."""

    def f(x, w):
        if x[0] < 0:
            raise ValueError("outside of what f takes")
        return w * x

    x, w, steps = np.array([1.0]), np.array([3.0]), np.array([2.0, 0.5])
    right, left, middle = ladder(f, [x, w], 0, np.ones(1), steps)
    assert np.array_equal(right, [[np.nan], [4.5]], equal_nan=True) and np.array_equal(left, [[np.nan], [1.5]], equal_nan=True)
    assert np.array_equal(middle, [3.0])
    right, left, _ = ladder(f, [x, w], 1, np.full(1, 2.0), steps)
    assert np.array_equal(right, [[7.0], [4.0]]) and np.array_equal(left, [[-1.0], [2.0]])


def test_of_a_ladder_follow_the_slope_the_jump_and_the_rounding():
    """By hand, of the outputs 3 x and |x| at 0 and a constant 5, for the loss 2 y0 - y1 + 4 y2.

    The slope is 2 * 3; the jump is that of -|x|: -2 at every step. Rounding: eps (|right| + |left|) |dy| / h of what moves,
    and of the constant, which does not, as at the largest step: it is exact, and its bound does not grow as h falls."""
    steps, dy = np.array([2.0, 0.5]), np.array([2.0, -1.0, 4.0])
    right = np.array([[6.0, 2.0, 5.0], [1.5, 0.5, 5.0]])
    left = np.array([[-6.0, 2.0, 5.0], [-1.5, 0.5, 5.0]])
    slopes, bends, rounding = summed(right, left, np.array([0.0, 0.0, 5.0]), steps, dy, 0.0)
    assert np.array_equal(slopes, [6, 6]) and np.array_equal(bends, [-2, -2])
    assert np.allclose(rounding, EPS * (2 * 6 + 1 * 2 + 4 * 10 / 2), rtol=1e-12, atol=0)
    _, _, rounding = summed(right, left, np.array([0.0, 0.0, 5.0]), steps, dy, np.array([0.5, 0.25, 100.0]))
    assert np.allclose(rounding, (2 * 0.5 + 0.25) / steps, rtol=1e-12)  # y_error counts, and of what moves alone


def test_an_output_that_moves_at_one_side_or_step_alone_is_no_constant():
    """Catches: an output taken for a constant, with an error bound too small by the ratio of the steps, since one side of one
    step left it where it was."""
    steps = np.array([1.0, 0.25])
    for right, left in (([[1.0], [1.0]], [[0.0], [1.0]]), ([[0.0], [1.0]], [[1.0], [1.0]]), ([[1.0], [1.0]], [[1.0], [0.0]])):
        _, _, rounding = summed(np.array(right), np.array(left), np.ones(1), steps, np.ones(1), 0.0)
        sizes = (np.abs(right) + np.abs(left))[:, 0]
        assert np.allclose(rounding, EPS * sizes / steps, rtol=1e-12, atol=0)
    gone = np.array([[np.nan], [1.0]])  # where the largest step is outside of what f takes, the others tell
    _, _, rounding = summed(gone, gone, np.ones(1), steps, np.ones(1), 0.0)
    assert rounding[1] != EPS * 2 / 0.25


def test_extrapolation_ends_the_series_of_the_step():
    """f' + a h^2 + b h^4 + c h^6 + d h^8 is gone after as many combinations as it has terms: four. A fifth term is left."""
    h = 4.0 ** -np.arange(STEPS)
    exact = 0.5
    slopes = np.array([exact + 3 * h**2 + 4 * h**4 + 5 * h**6 + 6 * h**8, -2 + 0 * h])
    values, errors = extrapolate(slopes, np.zeros((2, STEPS)))
    assert np.allclose(values, [exact, -2], rtol=1e-12, atol=0) and (np.abs(values - [exact, -2]) <= errors + EPS).all()
    assert errors.max() < 1e-10


def test_a_combination_is_the_polynomial_through_its_steps_at_0():
    """An independent formula: the combination of order m from step k on is the value at 0 of the polynomial in h^2 through the
    m + 1 slopes there (Lagrange), its error the distance to the two of order m - 1, and the smallest of all up to m = 4 wins.

    Catches: a wrong weight (16^m, the ratio of h^2), a row that takes another's, an order too many or too few."""
    squares = 16.0 ** -np.arange(STEPS)  # of the steps
    slopes = np.random.default_rng(0).standard_normal((200, STEPS))

    def at_0(row, k, m):
        weights = [math.prod(x / (x - h) for x in squares[k : k + m + 1] if x != h) for h in squares[k : k + m + 1]]
        return float(np.dot(weights, row[k : k + m + 1]))

    values, errors = extrapolate(slopes, np.zeros((200, STEPS)))
    for row, value, error in zip(slopes, values, errors, strict=True):
        combined = {(k, m): at_0(row, k, m) for m in range(5) for k in range(STEPS - m)}
        estimates = {
            (k, m): max(abs(each - combined[k + 1, m - 1]), abs(each - combined[k, m - 1]))
            for (k, m), each in combined.items()
            if m
        }
        best = min(estimates, key=estimates.get)
        assert error == pytest.approx(estimates[best], rel=1e-9) and value == pytest.approx(combined[best], rel=1e-9, abs=1e-12)


def test_extrapolation_takes_no_step_whose_rounding_is_larger_than_what_it_gains():
    """Catches: an estimate below the rounding error, a nan that spoils the steps beside it, a row that takes another's."""
    h = 4.0 ** -np.arange(STEPS)
    rounding = np.array([1e-3 / h, 1e-9 / h])
    values, errors = extrapolate(np.array([1 + 3 * h**2, 1 + 3 * h**2]), rounding)
    assert 4e-3 <= errors[0] <= 64e-3 and 4e-9 <= errors[1] <= 1e-6
    assert (np.abs(values - 1) <= errors).all()
    slopes = np.array([[np.nan, np.nan, *(1 + 3 * h[2:] ** 2)], np.full(STEPS, np.nan)])
    values, errors = extrapolate(slopes, 1e-9 / np.array([h, h]))
    assert values[0] == pytest.approx(1, abs=errors[0]) and errors[0] < 1e-5
    assert np.isnan(values[1]) and errors[1] == np.inf
    values, errors = extrapolate(np.ones((1, STEPS)), np.full((1, STEPS), np.inf))
    assert np.isnan(values[0]) and errors[0] == np.inf


def test_kinks_are_told_from_curves():
    """|x| at 0, a leaky slope at 0, and one of a sum whose slope is 1000 have a kink; x^2, e^(20 x) and |x| beside 0 have none,
    and nor has a jump of a ten-millionth of the slope, which no gradient shows."""

    def kink(f, x):
        return bool(finite_differences(f, [np.array([x])], 0, [np.ones(1)], np.ones(1)).kinks[0])

    assert kink(np.abs, 0.0) and kink(lambda x: np.where(x > 0, x, 0.5 * x), 0.0) and kink(lambda x: 1e3 * x + np.abs(x), 0.0)
    assert not any(kink(*each) for each in ((np.square, 0.0), (lambda x: np.exp(20 * x), 0.5), (np.abs, 1.0), (np.sin, 1.0)))
    assert not kink(lambda x: x + 1e-7 * np.abs(x), 0.0)
    assert not kink(lambda x: 3 * x, 1.0) and not kink(lambda x: 0 * x + 1, 1.0)


def test_a_kink_is_a_jump_that_does_not_fall_with_the_step():
    """By hand, of rows that pass or fail one condition each. A smooth f's jump falls by 4 from step to step."""
    nan = np.nan
    rows = [  # jumps, the rounding of the last, the slope, whether it is a kink
        ([2.0, -2, 2, -2], 0.0, 0.0, True),
        ([8.0, 4, 2, 2], 0.0, 0.0, False),  # a quarter
        ([7.9, 9, 9, -2], 0.0, 0.0, True),
        ([-64.0, 16, 4, 1], 0.0, 0.0, False),
        ([1.0, 1, 1, 0], 0.0, 0.0, False),
        ([1.0, 9, 9, 1], 1 / 16, 0.0, False),  # 16 rounding errors
        ([1.0, 1, 1, 1], 1 / 16.1, 0.0, True),
        ([1.0, 1, 1, 1], 0.0, -1e6, False),  # a millionth
        ([1.0, 1, 1, 1], 0.0, -0.99e6, True),
        ([nan, nan, 2, 2], 0.0, 0.0, True),
        ([nan, 64, 16, 4], 0.0, 0.0, False),
        ([nan, nan, nan, nan], 0.0, 0.0, False),
    ]
    jumps, rounding, slopes, expected = (np.array(column) for column in zip(*rows, strict=True))
    assert on_a_kink(jumps, rounding, slopes).tolist() == expected.tolist()


def test_a_jump_within_the_rounding_at_the_last_step_is_no_kink():
    """|x| at 0 jumps by 2; an error of y by 0.25 h may make 16 times a quarter of it, at the last step, h = 4^-9."""
    for error, kink in ((0.25, False), (0.1, True)):
        found = finite_differences(np.abs, [np.zeros(1)], 0, [np.ones(1)], np.ones(1), error * 4.0**-9)
        assert found.kinks.tolist() == [kink]


def test_a_kink_is_found_though_the_largest_steps_leave_the_domain():
    """sqrt(x + 0.01) + max(x, 0) at 0, where a step of a quarter to the left has no root.

    Catches: a kink taken for smooth, with which the derivative of either side, right as it is, is called wrong."""

    def forward(x):
        return np.array([math.sqrt(each + 0.01) + max(each, 0) for each in x])

    x = np.array([0.0, 1.0, 2.0])
    for at_0 in (0.0, 1.0):
        verdict = check_backward(forward, lambda dy, x, at_0=at_0: dy * (0.5 / np.sqrt(x + 0.01) + np.array([at_0, 1, 1])), x)
        assert verdict and "Note: 1 elements of dx lie on a kink and were left out, the first is dx[0]" in str(verdict)


def test_the_forwards_own_error_is_in_the_estimate():
    x = np.array([1.0])
    none = finite_differences(np.sin, [x], 0, [np.ones(1)], np.ones(1))
    some = finite_differences(np.sin, [x], 0, [np.ones(1)], np.ones(1), np.array([1e-6]))
    assert none.errors[0] < 1e-10 and 1e-6 < some.errors[0] < 1e-4
    assert abs(some.values[0] - np.cos(1)) <= some.errors[0]
    assert finite_differences(np.sin, [x], 0, [np.ones(1)], np.ones(1), 1e-6).errors == some.errors


# -------------------------------------------------------------------------------------------------------- how far rounding goes


def test_the_bound_is_64_eps_and_16_noises_and_never_more_than_half_of_the_digits():
    assert rounding_bound(EPS, 0.0, 3.0) == 64 * EPS * 3
    assert rounding_bound(EPS, 1e-12, 1.0) == pytest.approx(64 * EPS + 16e-12, rel=1e-12, abs=0)
    assert rounding_bound(SINGLE, 1.0, 2.0) == pytest.approx(64 * SINGLE * 2 + SINGLE**0.5 * 2, rel=1e-12, abs=0)


def test_the_natural_size_is_the_largest_element_or_what_the_sizes_lead_one_to_expect():
    """max|dy| max|y| / max|x|, by hand; of zeros, as if x were 1."""
    pair = pair_of(lambda x, z: x, None, np.array([0.5, -4.0]), np.zeros(2))
    trial = Trial(pair, np.array([1.0, -6.0]), np.array([-3.0, 2.0]), [], [], EPS)
    assert trial.natural_size(0) == 3 * 6 / 4 and trial.natural_size(1) == 3 * 6
    assert trial.natural_size(0, 5.0) == 5 and trial.natural_size(0, 4.0) == 4.5
    assert Trial(pair, np.full(2, 2.0**-9), np.ones(2), [], [], EPS).natural_size(0) == 2.0**-11


def test_precision_is_that_of_the_shortest_on_the_way():
    single, double = np.ones(2, np.float32), np.ones(2)
    assert eps_of(single) == SINGLE and eps_of(double) == eps_of(1.5) == eps_of(np.arange(3)) == EPS
    pair = pair_of(lambda x: x, None, double)
    trial = [Trial(pair, double, double, [], [], eps) for eps in (EPS, SINGLE)]
    assert [each.eps_of(double) for each in trial] == [EPS, SINGLE] and trial[0].eps_of(single) == SINGLE


def test_six_digits_agree_is_a_millionth_of_the_largest_element():
    right = np.array([-4.0, 1.0])
    assert six_digits_agree(right + 3.9e-6, right) and not six_digits_agree(right + np.array([0, 4.1e-6]), right)
    assert not six_digits_agree(right * [1, 0], right) and six_digits_agree(0 * right, 0 * right)


def through_float32(x):
    return np.tanh(x.astype(np.float32)).astype(float)


@pytest.mark.parametrize(
    ("forward", "eps"),
    [
        (np.tanh, EPS),
        (through_float32, SINGLE),
        (lambda x: (x > 0) * 1.0, EPS),  # 0 and 1 fit into everything
        (lambda x: np.tanh(x).astype(np.float32), SINGLE),
        (lambda x: np.where(x > 0, through_float32(x), np.tanh(x)), EPS),  # one element that is longer tells
        (lambda x: 1e300 * np.exp(x), EPS),  # too large for a float32: no warning either
    ],
)
def test_a_forward_that_goes_down_to_float32_is_found(forward, eps):
    """Even of inputs that fit into float32 themselves."""
    x = np.array([0.5, -1.25, 2.0, 3.0])
    pair = pair_of(forward, None, x)
    assert forward_eps(pair, forward(x), np.random.default_rng(0)) == eps


# -------------------------------------------------------------------------------------------------------------------- the noise

Cache = namedtuple("Cache", "x n")


def test_every_float_is_nudged_by_up_to_two_eps_and_nothing_else():
    """Catches: a container whose arrays stay where they are, a tuple with names that loses them, ids that move, the reader's
    own array changed, an array of no axes that becomes a scalar."""
    x = np.linspace(1, 2, 1000)
    layer = SimpleNamespace(nudged=lambda nudge: nudge(x))
    rng = np.random.default_rng(0)
    for near in (
        nudged(x, rng),
        nudged([x], rng)[0],
        nudged((0, x), rng)[1],
        nudged({"x": [x]}, rng)["x"][0],
        nudged(Cache(x, 3), rng).x,
        nudged(layer, rng),
    ):
        off = (near - x) / x / EPS
        assert 1 < off.max() <= 2.5 and -2.5 <= off.min() < -1 and len(np.unique(near - x)) > 2  # eps / 2 is rounding
    assert nudged(Cache(x, 3), rng).n == 3 and isinstance(nudged(Cache(x, 3), rng), Cache)
    assert type(nudged((x,), rng)) is tuple and type(nudged([x], rng)) is list
    ids = np.arange(3)
    assert nudged(ids, rng) is ids and nudged("mean", rng) == "mean" and nudged(None, rng) is None and nudged(3, rng) == 3
    assert isinstance(nudged(np.array(1.5), rng), np.ndarray) and np.isscalar(nudged(np.float64(1.5), rng))
    assert any(nudged(1.5, rng) != 1.5 for _ in range(9)) and np.array_equal(x, np.linspace(1, 2, 1000))
    wide = nudged(x, rng, 1e-3) / x - 1
    assert 1e-3 < wide.max() <= 2e-3 and -2e-3 <= wide.min() < -1e-3
    assert all(each.max() > 1e-4 for each in nudged([x, (x,), {"x": x}], rng, 1e-2)[0:1] - x)
    for near in (
        nudged((x,), rng, 1e-3)[0],
        nudged([x], rng, 1e-3)[0],
        nudged({"": x}, rng, 1e-3)[""],
        nudged(layer, rng, 1e-3),
    ):
        assert np.abs(near / x - 1).max() > 1e-4


def test_noise_is_how_far_the_results_move():
    """y = x - 1 at x = 1 + d moves by up to 2 eps (1 + d), whatever d is: the difference keeps the absolute error."""
    x = np.array([1 + 2.0**-20, 1000.0])
    pair = pair_of(lambda x: (x - 1, x), lambda dy, x: dy * (x - 1), x)
    dy = np.array([1.0, 1e-9])
    for eps in (EPS, 1e-10):
        noise = forward_noise(pair, x - 1, eps, np.random.default_rng(0))
        assert (noise > 0.01 * eps * x).all() and (noise <= 2.5 * eps * x).all()
        (moved_by,) = backward_noise(pair, dy, [dy * (x - 1)], eps, np.random.default_rng(0))
        assert 0.5 * eps < moved_by <= 3 * eps


def test_the_noise_of_a_cache_counts_where_no_nudge_of_the_inputs_shows_it():
    """The forward rounds x to integers: it hides every nudge of x, and the cache is the one thing that moves."""
    pair = pair_of(lambda x: (np.round(x), 1e6 + 0 * x), lambda dy, kept: 0 * dy + (kept - 1e6), np.array([1.0, 2.0]))
    (noise,) = backward_noise(pair, np.ones(2), [np.zeros(2)], EPS, np.random.default_rng(0))
    assert 1e-11 < noise <= 2.5e6 * EPS * 2


def test_the_inputs_move_three_times_and_the_cache_three_times():
    """By a backward that takes no cache but the exact one: the rounds in which it moves say nothing, and the others go on.

    Catches: a cache that moves in every round, inputs that move in every round, one failed round that ends the measuring; and
    a nudge of an eps that is not that of the forward, by which a right backward in float32 would be called wrong."""
    seen = []

    def forward(x):
        seen.append(float(x[0]))
        return x, (x, [0.1] * 50)

    def backward(dy, cache):
        x, exact = cache
        assert exact == [0.1] * 50
        return dy.round() * (x - 1)

    for eps in (EPS, 1e-6):
        seen.clear()
        pair = pair_of(forward, backward, np.array([1.0]))
        (noise,) = backward_noise(pair, np.ones(1), [np.zeros(1)], eps, np.random.default_rng(0))
        assert 0.1 * eps < noise <= 2.5 * eps
        assert len(seen) == 6 and seen[1::2] == [1.0] * 3 and sum(each != 1 for each in seen) >= 2


def test_dy_and_the_cache_move_by_the_forwards_eps_too():
    for backward in (lambda dy, kept: 1 * dy, lambda dy, kept: dy.round() * kept):
        pair = pair_of(lambda x: (x, np.ones(9)), backward, np.ones(9))
        (noise,) = backward_noise(pair, np.ones(9), [np.ones(9)], 1e-6, np.random.default_rng(0))
        assert 1e-6 < noise <= 2e-6


def test_a_trial_is_in_float64_on_a_random_cotangent():
    x = np.array([1.0, 2.0, 3.0], np.float32)
    trial = trial_of(pair_of(lambda x: x * x, lambda dy, x: 2 * x * dy, x), np.random.default_rng(0))
    assert trial.y.dtype == trial.dy.dtype == trial.gradients[0].dtype == np.float64
    assert np.array_equal(trial.y, [1, 4, 9]) and np.array_equal(trial.gradients[0], 2 * trial.dy * [1, 2, 3])
    assert trial.eps == EPS and len(set(trial.dy)) == 3 and 0 < trial.noise[0] <= 12 * EPS * np.abs(trial.gradients[0]).max()


# ------------------------------------------------------------------------------------------------------- right beside wrong


def trial_with(*gradients, x=None, eps=EPS, noise=0.0) -> Trial:
    """Inputs of ones, y = 1 and dy = 1: a natural size of 1 each. Named a, b, c, ... like the parameters of the forward."""
    inputs = [np.ones(np.shape(g)) for g in gradients]
    pair = pair_of(lambda a=0, b=0, c=0: np.ones(1), lambda dy, *_: gradients, *inputs)
    pair.shapes = [(1,)]
    return Trial(pair, np.ones(1), np.ones(1), [np.array(g, float) for g in gradients], [noise] * len(gradients), eps)


def known(values, errors=0.0, kinks=False, noise=0.0, elements=None, direction=None, slope=0.0, slope_error=0.0) -> Measured:
    values = np.array(values, float)
    elements = np.arange(values.size) if elements is None else np.array(elements)
    errors, kinks = np.broadcast_to(errors, values.shape) + 0.0, np.broadcast_to(kinks, values.shape)
    return Measured(elements, values, errors, kinks, noise, direction, slope, slope_error)


def test_an_element_is_wrong_beyond_rounding_noise_and_eight_error_estimates():
    """By hand: 64 eps of a natural size of 2, 16 noises (the backward's and the truth's together), and 8 e.

    Catches: a term of the bound left out, with which a right backward is called wrong; or one counted too often."""
    true, e, noise = np.array([2.0, 1.0, 1.0]), np.array([0, 1e-9, 0]), 1e-13
    bound = 64 * EPS * 2 + 16 * 2 * noise
    for part, wrong in ((0.99, [False, False, False]), (1.01, [True, True, True])):
        off = part * (bound + 8 * e)
        found = compared(trial_with(true + off, noise=noise), 0, known(true, e, noise=noise))
        assert found.wrong.tolist() == wrong and found.clear.all() and found.natural == 2
        assert found.bound == pytest.approx(bound, rel=1e-12, abs=0) and np.array_equal(found.graded, true + off)
        found = compared(trial_with(true - off, noise=noise), 0, known(true, e, noise=noise))
        assert found.wrong.tolist() == wrong
    single = compared(trial_with(true, eps=SINGLE), 0, known(true))
    assert single.bound == 64 * SINGLE * 2
    trial = trial_with(true)
    trial.gradients[0] = trial.gradients[0].astype(np.float32)  # a backward that works in float32
    single = compared(trial, 0, known(true))
    assert single.bound == 64 * SINGLE * 2 and single.graded.dtype == np.float64


def test_a_nan_is_wrong_and_what_cannot_be_measured_is_neither():
    """Not judged: on a kink, without an estimate, or known to less than three digits (two where the forward is in float32)."""
    true = [1.0, 1, 1, 1, 1]
    errors, kinks = np.array([0, 0, np.inf, 0.99e-3 / 8, 1.01e-3 / 8]), np.array([False, True, False, False, False])
    found = compared(trial_with([np.nan, 9, 9, 9, 9]), 0, known(true, errors, kinks))
    assert found.clear.tolist() == [True, False, False, True, False] and found.wrong.tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]
    found = compared(trial_with([np.nan, 9, 9, 9, 9], eps=SINGLE), 0, known(true, np.array([0, 0, 0, 0.99e-2, 1.01e-2]) / 8))
    assert found.clear.tolist() == [True] * 4 + [False]
    found = compared(trial_with([100.0, 9, 9]), 0, known([100.0, 1, 1], np.array([0, 0.99e-1, 1.01e-1]) / 8))
    assert found.clear.tolist() == [True, True, False]  # of a natural size of 100


def test_a_gradient_of_rounding_alone_is_all_but_zero():
    assert compared(trial_with([0.0, 0]), 0, known([0, 63 * EPS])).all_but_zero
    assert not compared(trial_with([0.0, 0]), 0, known([0, 65 * EPS])).all_but_zero
    assert compared(trial_with([0.0, 0]), 0, known([0, 1], kinks=[False, True])).all_but_zero  # the 1 is not known


@pytest.mark.parametrize("forward", [lambda x: 1e3 + 1e-6 * x, lambda x: 1e3 + 1e-6 * x.real])
def test_a_gradient_that_rounding_hides_is_not_called_right_without_a_word(forward):
    """y is 1000 and moves by a billionth, of which its rounding hides the thousandth part: no measuring can tell it.

    Catches: a gradient that is a thousandth off called right like any other."""
    x = np.array([1e-3, -2e-3, 5e-4])
    for factor in (1, 1.001):
        verdict = check_backward(forward, lambda dy, x, factor=factor: factor * 1e-6 * dy, x)
        assert verdict and "Note: dx is so small beside y that rounding hides all but its first digits" in str(verdict)
    assert "Note" not in str(check_backward(lambda x: 1e-3 + forward(x) - 1e3, lambda dy, x: 1e-6 * dy, x))


def test_the_digits_that_were_judged_are_those_of_the_gradient_itself():
    """A thousandth of the largest element is what bound and 8 estimates may come to; a hundredth in float32."""
    for eps, digits in ((EPS, 1e-3), (SINGLE, 1e-2)):
        trial = replace(trial_with([1.0, 0.5], eps=eps), y=np.full(1, 10.0))
        bound = 64 * eps * 10
        for part, vague in ((0.99, False), (1.01, True)):
            found = compared(trial, 0, known([1, 0.5], np.array([0, (part * digits - bound) / 8])))
            assert found.clear.all() and found.vague is vague and not found.all_but_zero and found.natural == 10
        assert not compared(trial, 0, known([1, 0.5], [0, 1], kinks=[False, True])).vague  # what is left out is not judged


def verdict_on(*pairs, method="finite differences", reason=""):
    """derivative_check of (gradient, true one) pairs."""
    trial = trial_with(*[gradient for gradient, _ in pairs])
    return derivative_check(trial, Truth(method, reason, [true for _, true in pairs]))


def test_the_worst_element_is_that_of_all_gradients_as_a_part_of_its_own_size():
    """Catches: an unmeasured element told as the worst, a size that is another gradient's, the sampled places mistaken."""
    check, _ = verdict_on(
        ([100.0, 102.0, 0.0], known([100.0, 100, 100], kinks=[False, False, True])),
        ([1.0, 1.5], known([1.0, 1])),
        ([3.0], known([1.0], errors=np.inf)),
    )
    assert check.worst == ("db[1]", 0.5)
    check, _ = verdict_on(([[1.0, 1], [1, 1.25]], known([1.0], elements=[3], direction=np.ones((2, 2)), slope=4.25)))
    assert check.worst == ("da[1, 1]", 0.25)
    check, _ = verdict_on(([1.0, np.nan], known([1.0, 1])))
    assert check.worst == ("da[1]", np.inf)


def test_where_the_natural_size_is_0_an_error_is_what_it_is():
    """y is 0 and so is the true gradient: 0 is right, at every element and along a direction, and 3 is off by 3.

    Catches: 0 within a bound of 0 called wrong."""
    trial = replace(trial_with([0.0, 0, 0], [0.0, 3]), y=np.zeros(1))
    sampled = known([0.0, 0], elements=[0, 2], direction=np.ones(3))
    check, _ = derivative_check(trial, Truth("finite differences", "", [sampled, known([0, 0])]))
    assert check.worst == ("db[1]", 3.0) and "Right: da." in check.message
    assert "Note: da is all but zero at these inputs" in check.message and not compared(trial, 0, sampled).vague


def test_a_right_gradient_is_said_with_its_size_and_by_what_it_was_judged():
    check, mistake = verdict_on(([1.0, 2], known([1, 2])), ([3.0], known([3])), method="the complex step")
    assert check == ("derivative", True, "every element is right (da 2, db 1), by the complex step", ("da[0]", 0.0))
    assert mistake is None
    check, _ = verdict_on(([1.0, 2], known([1, 2])), reason="a reason")
    assert check.message == "every element is right (da 2), by finite differences, since a reason"


def test_the_first_wrong_element_the_other_wrong_gradients_and_the_right_ones_are_named():
    """The numbers are on no known pattern, so that no mistake is named."""
    check, mistake = verdict_on(
        ([1.0, 2, 3], known([1, 2, 3])), ([1.0, 5, 9], known([1, 2, 4])), ([7.0, 8], known([1, 5])), reason="a reason"
    )
    assert not check.passed and mistake is None
    first, *rest = check.message.splitlines()
    assert first == "db[1] is 5 and should be 2 by finite differences (2 of 3 elements of db are wrong)"
    assert rest[0].startswith("Likely mistake: none that is known (sign, factor, transpose, missing path, shift); ")
    assert rest[1:] == ["Also wrong: dc.", "Right: da.", "(judged by finite differences, since a reason)"]
    check, _ = verdict_on(([1.0, 5], known([1, 2])))
    assert "Also wrong" not in check.message and "Right" not in check.message


def test_the_first_gradient_that_is_recognised_tells_and_says_which_it_is():
    """Catches: a search that ends at the first gradient, though the second shows the mistake."""
    check, mistake = verdict_on(([1.0, 5, 9], known([1, 2, 4])), ([-1.0, 2, 5], known([1, -2, -5])))
    assert mistake.kind == "sign" and "Likely mistake: (in db) sign: the sign is wrong." in check.message
    check, mistake = verdict_on(([-1.0, 2, 5], known([1, -2, -5])), ([1.0, 5, 9], known([1, 2, 4])))
    assert mistake.kind == "sign" and "Likely mistake: sign: the sign is wrong." in check.message


def test_where_no_mistake_is_recognised_the_place_is_said():
    """The line of the one wrong gradient where the others are right; where several are wrong, or none is right, nothing."""
    right, wrong, other = ([1.0, 2], known([1, 2])), ([1.0, 5, 9], known([1, 2, 4])), ([7.0, 8], known([1, 5]))
    own = "every other gradient is right, and so is what they are made of: look at the line of db itself."
    for pairs, place in (
        ((right, wrong), own),
        ((right, wrong, other), "compare code and derivation term by term."),
        ((wrong,), "compare code and derivation term by term."),
        ((wrong, other), "compare code and derivation term by term."),
    ):
        line = verdict_on(*pairs)[0].message.splitlines()[1]
        assert line == f"Likely mistake: none that is known (sign, factor, transpose, missing path, shift); {place}"


def test_a_gradient_that_is_wrong_outside_of_its_sample_leaves_the_next_one_to_tell():
    sampled = ([1.0, 3, 2], known([1, 2], elements=[0, 2], direction=np.ones(3), slope=7))
    check, mistake = verdict_on(sampled, ([-1.0, 2, 5], known([1, -2, -5])))
    assert mistake.kind == "sign" and "Likely mistake: (in db) sign" in check.message and "Also wrong: db." in check.message


def test_a_wrong_element_outside_of_the_sample_shows_along_a_direction():
    """The direction's slope by hand: 1 * 1 + 2 * 3 - 1 * 2 = 5. Its bound: that of an element times |direction| summed, 4,
    and 8 slope errors."""
    direction, e = np.array([1.0, 2, -1]), 1e-14
    sample = {"elements": [0, 2], "direction": direction, "slope_error": e}
    allowed = 4 * 64 * EPS * 2 + 8 * e
    for part, passed in ((0.99, True), (1.01, False), (-0.99, True), (-1.01, False)):
        check, mistake = verdict_on(([1.0, 3, 2], known([1, 2], slope=5 + part * allowed, **sample)))
        assert check.passed is passed and mistake is None
    check, _ = verdict_on(([1.0, 3, 2], known([1, 2], slope=7, **sample)), ([1.0], known([1])))
    assert check.message.splitlines()[:2] == [
        "da is right in a sample of 2 elements, but along a random direction it is 5 and should be 7 by finite differences",
        "Right: db.",
    ]
    check, _ = verdict_on(([1.0, np.nan, 2], known([1, 2], slope=5, **sample)))
    assert not check.passed  # a nan where no sample sees it
    check, _ = verdict_on(([4.0, 3, 2], known([1, 2], slope=8, **sample)))
    assert "da[0] is 4 and should be 1 by finite differences (1 of 2 sampled elements of da are wrong)" in check.message


def test_how_far_the_check_reaches_is_noted():
    notes = "\n".join(
        verdict_on(([1.0, 3, 2], known([1, 2], elements=[0, 2], direction=np.ones(3), slope=6)))[0].message.splitlines()[1:]
    )
    assert notes == "Note: da has 3 elements; a sample of 2 and a random direction were graded."
    kinks = verdict_on(([1.0, 3, 2], known([1, 0, 0], kinks=[False, True, True])))[0]
    assert kinks.passed and kinks.message.endswith(
        "\nNote: 2 elements of da lie on a kink and were left out, the first is da[1]."
    )
    vague = verdict_on(([1.0, 3, 2], known([1, 2, 2], errors=[0, 1, 0])))[0]
    assert (
        vague.passed
        and "Note: 1 elements of da are too imprecise to judge and were left out, the first is da[1]." in vague.message
    )
    zero = verdict_on(([0.0, 0], known([0, 0])), ([1.0], known([1])))[0]
    assert zero.message.splitlines()[1:] == [
        "Note: da is all but zero at these inputs, so this says little about it; try others."
    ]
    wrong = verdict_on(([0.0, 1], known([0, 0])))[0]
    assert not wrong.passed and "all but zero" not in wrong.message
    unmeasured = verdict_on(([1.0, 3], known([1, 2], kinks=True)), ([1.0], known([1])))[0]
    assert not unmeasured.passed and unmeasured.message.splitlines() == [
        "da cannot be measured: the forward is not smooth at these inputs; try others",
        "Right: db.",
        "(judged by finite differences)",
    ]
    assert verdict_on(([1.0, 3], known([1, 2], kinks=True)))[0].worst == ("", 0.0)


# ----------------------------------------------------------------------------------------------------------- the true gradients


def smooth(x, w):
    return np.sin(x) * w


def test_true_gradients_are_those_of_the_closed_form_by_either_method():
    """d/dx = dy w cos x, d/dw = dy sin x. Catches: an input mistaken for another, a dy that is left out."""
    x, w, dy = np.array([0.5, -2.0, 1.0]), np.array([3.0, 0.25, -1.0]), np.array([1.0, -2.0, 0.5])
    right = [dy * w * np.cos(x), dy * np.sin(x)]
    for forward, method, digits in (
        (smooth, "the complex step", 4 * EPS),
        (lambda x, w: smooth(x.real, w.real), "finite differences", 1e-9),
    ):
        pair = pair_of(forward, None, x, w)
        truth = measured(Trial(pair, smooth(x, w), dy, right, [0.0, 0.0], EPS), np.random.default_rng(0))
        assert truth.method == method and (truth.reason == "") == (method == "the complex step")
        for each, true in zip(truth.of, right, strict=True):
            assert np.array_equal(each.elements, [0, 1, 2]) and np.allclose(each.values, true, rtol=0, atol=3 * digits)
            assert (
                each.direction is None
                and not each.kinks.any()
                and (np.abs(each.values - true) <= each.errors + 3 * digits).all()
            )
            exact = method == "the complex step"
            assert (each.errors == 0).all() == exact and (0 < each.noise < 20 * EPS if exact else each.noise == 0)


def test_a_forward_in_float32_is_measured_with_its_own_rounding():
    """By finite differences, whose error estimate is at least an eps of float32 of y over the second step, 1/16. Catches: an
    estimate in float64's eps, by which a right backward of a forward in float32 is called wrong."""
    x, dy = np.linspace(0.5, 2, 9), np.linspace(1, 2, 9)
    pair = pair_of(lambda x: (100 * np.sin(x.astype(np.float32))).astype(float), None, x)
    trial = Trial(pair, 100 * np.sin(x), dy, [100 * dy * np.cos(x)], [0.0], SINGLE)
    truth = measured(trial, np.random.default_rng(0))
    (found,) = truth.of
    assert truth == ("finite differences", "the forward computes in float32", truth.of)
    assert (found.errors >= SINGLE * dy * np.abs(100 * np.sin(x)) * 16).all()
    assert (np.abs(found.values - 100 * dy * np.cos(x)) <= found.errors).all() and found.errors.max() < 0.1


def test_a_forward_in_float64_adds_no_eps_of_its_own_to_what_its_nudges_show():
    """Of floor(x 2^20) / 2^20 in the middle of a step no nudge shows, and every difference is exact. By hand: the estimate is
    the rounding at the second step, h = 1/16, eps (1 + 1) / h."""

    def forward(x):
        return np.floor(x * 2.0**20) / 2.0**20

    x = np.array([1 + 2.0**-21])
    trial = Trial(pair_of(forward, None, x), forward(x), np.ones(1), [np.ones(1)], [0.0], EPS)
    (found,) = measured(trial, np.random.default_rng(0)).of
    assert found.values == 1 and found.errors == pytest.approx(32 * EPS, rel=0.01, abs=0)


def test_of_a_large_input_a_sample_is_measured_and_a_direction():
    """2000 by the complex step, 400 by finite differences; as many elements as that are measured whole."""
    for forward, most in ((np.sin, 2000), (lambda x: np.sin(x.real), 400)):
        for more in (0, 1):
            x = np.random.default_rng(1).standard_normal(most + more)
            dy = np.random.default_rng(2).standard_normal(most + more)
            trial = Trial(pair_of(forward, None, x), np.sin(x), dy, [dy * np.cos(x)], [0.0], EPS)
            (found,) = measured(trial, np.random.default_rng(0)).of
            assert len(found.elements) == most and (np.diff(found.elements) > 0).all() and found.elements.max() < most + more
            assert np.allclose(found.values, (dy * np.cos(x))[found.elements], rtol=1e-8, atol=1e-8)
            assert (found.direction is None) == (more == 0)
            if more:
                along = (found.direction * dy * np.cos(x)).sum()
                assert (
                    found.slope == pytest.approx(along, abs=1e-9 + found.slope_error)
                    and len(np.unique(found.direction)) == most + 1
                )
                assert (found.slope_error == 0) == (most == 2000)


def test_noise_of_the_truth_is_that_of_a_number_that_cancels():
    """y = (x - 1000)^2: its derivative 2 (x - 1000) moves by twice the two eps by which x does, times 1000. Catches: no noise,
    with which a right backward of a badly conditioned forward is called wrong."""
    x = 1000 + np.linspace(0, 1, 64)
    trial = Trial(pair_of(lambda x: (x - 1000) ** 2, None, x), (x - 1000) ** 2, np.ones(64), [2 * (x - 1000)], [0.0], EPS)
    truth = measured(trial, np.random.default_rng(0))
    assert truth.method == "the complex step" and 2000 * EPS < truth.of[0].noise <= 5000 * EPS


def fill_real(x, w):
    out = np.zeros(x.shape)  # a buffer of floats: writing complex numbers into it raises
    out[...] = x * w
    return out


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (smooth, ""),
        (lambda x, w: np.concatenate([x[:1], (x * w)[1:]]), ""),
        (fill_real, "does not take complex numbers (ComplexWarning)"),
        (lambda x, w: {"f": x * w}[x.dtype.kind], "does not take complex numbers (KeyError)"),
        (lambda x, w: x * w if x.dtype.kind == "f" else x * w + 1e-3, "another y on complex numbers"),
        (lambda x, w: x * w if x.dtype.kind == "f" else np.nan * x, "another y on complex numbers"),
        (lambda x, w: x * w if x.dtype.kind == "f" else (x * w)[:1], "does not take complex numbers (Stopped)"),
        (lambda x, w: x.real * w, "the complex step disagrees"),
        (lambda x, w: x * w.real, "the complex step disagrees"),  # of the second input alone
        (lambda x, w: np.abs(x) * w, "the complex step disagrees"),
        (lambda x, w: 1e6 + 1e-8 * np.abs(x) * w.real, "the complex step disagrees"),  # beside a y that hides what is lost
        (lambda x, w: x * 1, ""),  # w takes no part
        (lambda x, w: x * w + 1e-4 * x.real, "the complex step disagrees"),  # one part in ten thousand is lost
    ],
)
def test_why_the_complex_step_cannot_judge_a_forward(forward, says):
    """Catches: a part of the derivative that is lost without a word, with which a right backward is called wrong."""
    x, w = np.array([0.5, -2.0, 1.0]), np.array([3.0, 0.25, -1.0])
    with quietly():
        trial = trial_of(pair_of(forward, lambda dy, *_: (x, w), x, w), np.random.default_rng(0))
        reason = complex_problem(trial, np.zeros(3), np.random.default_rng(1))
    assert says in reason and bool(says) == bool(reason)


@pytest.mark.parametrize(
    ("forward", "x"),
    [
        (np.sin, np.zeros(3)),  # x, y and with them every size are 0
        (lambda x: 0 * x, np.ones(3)),
        (lambda x: 1e-12 * np.sin(x), np.ones(3)),
        (lambda x: 1e6 * np.sin(x), np.ones(3)),
        (lambda x: x[:1] * 1, np.ones(100)),  # all but one element move nothing
        (lambda x: np.sin(3000 * x), np.linspace(1, 2, 100)),  # steep: the differences have five digits, of a large derivative
        (lambda x: 1e3 * x + 1e-7 * (x.dtype.kind == "c"), np.ones(3)),  # rounding, of a y of 1000
    ],
)
def test_the_complex_step_is_trusted_at_any_size(forward, x):
    """Catches: a bound that is not in proportion to the derivative, for which a smooth forward is judged by finite
    differences, which are a million times less precise."""
    trial = trial_of(pair_of(forward, lambda dy, x: np.zeros(x.shape), x), np.random.default_rng(0))
    assert complex_problem(trial, np.zeros(trial.y.shape), np.random.default_rng(1)) == ""


def test_the_complex_step_is_not_trusted_where_nothing_can_confirm_it():
    """y may be off by a thousandth, as far as anybody knows: the differences then by a hundredth and more."""
    trial = trial_of(pair_of(np.sin, lambda dy, x: dy * np.cos(x), np.ones(3)), np.random.default_rng(0))
    assert "disagrees" in complex_problem(trial, np.full(3, 1e-3), np.random.default_rng(1))


def test_what_is_lost_is_found_though_it_cancels_where_all_elements_move_alike():
    """x - mean(x) does not move along (1, 1, 1). Catches: a direction that is one number."""

    def forward(x):
        return x * x + (x - x.mean()).real

    x = np.array([0.5, -2.0, 1.0])
    trial = trial_of(pair_of(forward, lambda dy, x: 2 * x * dy + dy - dy.mean(), x), np.random.default_rng(0))
    assert "disagrees" in complex_problem(trial, np.zeros(3), np.random.default_rng(1))


BESIDE = [("each", n, 1e13) for n in (3, 10, 30, 100)] + [("sum", 10, 2e11), ("sum", 10, 1e12), ("sum", 30, 1e13)]


@pytest.mark.parametrize(("outputs", "n", "size"), BESIDE)
def test_what_is_lost_beside_a_large_y_is_found_where_the_backward_contradicts_it(outputs, n, size):
    """.real takes half of the derivative 2x of x^2. Catches: a right backward called wrong, since along a random direction the
    differences are too coarse beside a y that is 10^11 times larger than x."""

    def forward(x):
        squares = x * x.real
        return size + (squares if outputs == "each" else squares.sum())

    for seed in range(4):
        verdict = check_backward(forward, lambda dy, x: 2 * x * dy, np.linspace(1, 2, n), seed=seed)
        assert verdict and "by finite differences, since the complex step disagrees" in str(verdict), str(verdict)


def test_a_wrong_backward_does_not_refute_the_complex_step():
    """Whatever the backward says, the differences agree with a complex step that loses nothing; where they are too coarse to
    say so, they say nothing."""
    x = np.linspace(1, 2, 10)
    for size in (0.0, 1e6, 1e12, 1e13):
        for wrong in (lambda dx: 0 * dx, lambda dx: -dx, lambda dx: 1.5 * dx, lambda dx: np.nan * dx, lambda dx: dx + 1e3):
            pair = pair_of(lambda x, size=size: size + x * x, lambda dy, x, wrong=wrong: wrong(2 * x * dy), x)
            truth = measured(trial_of(pair, np.random.default_rng(0)), np.random.default_rng(1))
            assert truth.method == "the complex step"


def test_the_complex_step_is_refuted_along_all_that_is_apart_or_at_the_furthest_element():
    """By hand: the backward says 2 and the complex step 1, of each of four elements: 8 and 4 along all of them, 2 and 1 at the
    first. An error estimate of 0.05 tells these apart, one of 9 tells nothing."""
    trial = trial_with([2.0, 2, 2, 2], x=np.ones(4))
    one = known([1.0, 1, 1, 1])

    def by_differences(errors, values, asked=None):
        def differences(inputs, place, directions):
            found = np.array([(2.0 * direction).sum() for direction in directions]) if values is None else np.array(values)
            if asked is not None:
                asked.extend(directions)
            return SimpleNamespace(values=found, errors=np.array(errors))

        return differences

    asked = []
    assert refuted(trial, 0, one, by_differences([0.05, 9], None, asked)) and refuted(
        trial, 0, one, by_differences([9, 0.05], None)
    )
    assert np.array_equal(asked, [np.ones(4), [1, 0, 0, 0]])
    assert not refuted(trial, 0, one, by_differences([9, 9], None))
    assert not refuted(trial, 0, one, by_differences([0.05, 0.05], [4.0, 1.0]))  # they side with the complex step
    allowed = 8 * 0.05
    assert not refuted(trial, 0, one, by_differences([0.05, 9], [4 + 0.99 * allowed, 0]))
    assert refuted(trial, 0, one, by_differences([0.05, 9], [4 + 1.01 * allowed + 1e-9, 0]))
    sampled = known([1.0, 2], elements=[3, 1], direction=np.ones(4))
    asked.clear()
    refuted(trial, 0, sampled, by_differences([0.05, 9], None, asked))
    assert np.array_equal(asked, [[0, 0, 0, 1], [0, 0, 0, 1]])
    asked.clear()
    assert not refuted(trial, 0, known([2.0, 2, 2, 2 + 1e-15]), by_differences([0, 0], None, asked)) and not asked


def test_only_what_is_apart_by_more_than_rounding_is_put_to_the_differences():
    """By hand: 64 eps of the natural size, which is the largest element, 1000, and 16 noises, the backward's and the truth's
    together; along a direction as many times more as its elements add up to.

    Catches: a right complex step refuted by rounding; a nan, which no difference explains, taken for one that is 1 off."""
    true, noise = np.array([1000.0, 1, 1, 1]), 1e-9
    bound = 64 * EPS * 1000 + 16 * 2 * noise
    asked = []

    def differences_off_by(*off):
        def differences(inputs, place, directions):
            asked.extend(directions)
            values = [(true * direction.flat).sum() for direction in directions]
            return SimpleNamespace(values=np.array(values) + off, errors=np.zeros(2))

        return differences

    def asks(gradient, *off):
        asked.clear()
        return refuted(trial_with(gradient, noise=noise), 0, known(true, noise=noise), differences_off_by(*off))

    assert not asks(true + np.array([0, 0.99 * bound, 0, 0]), 9, 9) and not asked
    assert not asks([np.nan, 1, np.inf, 1], 9, 9) and not asked
    apart = np.array([0, -4, 2, 1])
    for sign in (1, -1):
        assert not asks(true + apart, sign * 0.99 * 1.75 * bound, sign * 0.99 * bound)
        assert np.array_equal(asked, [[0, -1, 0.5, 0.25], [0, 1, 0, 0]])
        assert asks(true + apart, sign * 1.01 * 1.75 * bound, 0) and asks(true + apart, 0, sign * 1.01 * bound)


def test_where_all_is_0_the_complex_step_is_not_refuted():
    """y, x's gradient and with them every bound are 0, and so are the differences."""
    asked = []

    def zeros(inputs, place, directions):
        asked.extend(directions)
        return SimpleNamespace(values=np.zeros(2), errors=np.zeros(2))

    for gradient, number in (([0.0, 0], 0), ([0.0, 3], 2)):
        asked.clear()
        assert not refuted(replace(trial_with(gradient), y=np.zeros(1)), 0, known([0, 0]), zeros) and len(asked) == number
