"""The hypotheses about a wrong gradient, one by one: what each says, and beside what it must not be confused with.

diagnose.py compares two arrays, recognise.py asks in which order, columns.py and gates.py measure. test_check_layer.py has the
same mistakes in backward passes as learners write them.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from npgpt import check_backward
from npgpt.check.calling import Pair
from npgpt.check.columns import Columns, too_many
from npgpt.check.diagnose import fitter, least_squares, likely_mistake
from npgpt.check.evidence import Evidence, Row
from npgpt.check.gates import of_gates, sigmoid, taken_at_its_output, where
from npgpt.check.inputs import checked_inputs
from npgpt.check.numerical import extrapolate
from npgpt.check.recognise import (
    digits_that_agree,
    gradient_of_another,
    mistakes,
    place_of,
    recognised,
    row_arrays,
    sizes,
    wrong_block,
)
from npgpt.check.rounding import EPS, trial_of
from npgpt.check.truth import Measured, Truth, measured
from npgpt.check.wording import PRECISION

from .conftest import begins_anew
from .wrong_backwards import softmax, softmax_backward

draw = np.random.default_rng(0)
RIGHT = draw.standard_normal((3, 4, 5))
the_same_numbers = begins_anew(draw)
SIZES = {"B": 3.0, "T": 5.0, "C": 7.0}


def said(wrong, right=RIGHT, factors=SIZES, **known):
    """(kind, text), or None."""
    found = likely_mistake(wrong, right, factors, **known)
    return None if found is None else tuple(found)


# ----------------------------------------------------------------------------------------------------------- two arrays alone


def test_a_prediction_fits_to_half_of_the_digits_of_the_wrong_arrays_dtype():
    """8 sqrt(eps) of the whole, by the norm: 1.2e-7 in float64, 2.8e-3 in float32; or what the caller allows."""
    for dtype, allowed in (("f8", 8 * math.sqrt(EPS)), ("f4", 8 * math.sqrt(np.finfo("f4").eps))):
        wrong = (RIGHT + 1).astype(dtype)
        off = np.zeros_like(RIGHT)
        off[1, 2, 3] = np.linalg.norm(wrong)
        fits = fitter(wrong, RIGHT)
        assert fits(wrong) and fits(wrong + 0.98 * allowed * off) and not fits(wrong + 1.02 * allowed * off)
    fits = fitter(RIGHT + 1, RIGHT, 1e-3)
    off[1, 2, 3] = np.linalg.norm(RIGHT + 1)
    assert fits(RIGHT + 1 + 0.98e-3 * off) and not fits(RIGHT + 1 + 1.02e-3 * off)


def test_a_prediction_must_explain_the_error_and_not_only_be_near():
    """Where wrong is a ten-millionth off, the right array is as near to it as any prediction: a hundredth must be left."""
    wrong = RIGHT.copy()
    wrong[0, 0, 0] += 1e-7
    fits = fitter(wrong, RIGHT)
    assert fits(wrong) and not fits(RIGHT)
    near = wrong.copy()
    near[0, 0, 0] += 0.98e-9
    assert fits(near)
    near[0, 0, 0] += 0.04e-9
    assert not fits(near)


def test_a_prediction_must_be_finite_where_the_wrong_array_is():
    wrong, right = RIGHT + 1, RIGHT.copy()
    wrong[0, 0, 0] = right[0, 0, 0] = np.nan
    assert fitter(wrong, right)(wrong) and not fitter(wrong, right)(np.nan_to_num(wrong)) and not fitter(wrong, right)(right)
    assert fitter(wrong, RIGHT)(wrong)  # the right one is finite there: nothing says how near it is
    assert fitter(0 * RIGHT, RIGHT)(0 * RIGHT)  # a prediction of nothing is met by nothing
    unlike = np.where(np.isnan(right), np.inf, wrong)
    assert not fitter(wrong, unlike)(unlike)  # they differ where nothing can be fitted: nothing explains that
    wrong = RIGHT.copy()
    wrong[0, 0, 0] = np.nan
    assert fitter(wrong, RIGHT)(wrong) and fitter(RIGHT, wrong)(RIGHT)  # all else is right: where it is finite is the error


def test_least_squares_by_hand():
    """c = sum(x y) / sum(x^2), of all or of each slice. Catches: a division by 0, x for y, a sum over another axis."""
    x, y = np.array([[1.0, 2], [0, 0], [3, 4]]), np.array([[1.0, 7], [5, 6], [1, -2]])
    assert least_squares(y, x).tolist() == [[(1 + 14 + 3 - 8) / 30]]
    assert least_squares(y, x, 1).tolist() == least_squares(y, x, (1,)).tolist() == [[3.0], [0.0], [-0.2]]
    assert least_squares(y, x, 0).tolist() == [[(1 + 3) / 10, (14 - 8) / 20]]
    small = np.array([1e-18], "f4")  # its square is among float32's smallest
    assert np.allclose(least_squares(3 * small, small), 3, rtol=1e-5) and least_squares(y[:0], x[:0]).item() == 0


def test_what_is_not_finite_or_zero_is_counted():
    wrong = RIGHT.copy()
    wrong[0, 0, :2] = np.nan, np.inf
    assert said(wrong) == ("not finite", "2 of 60 elements are nan or inf")
    right = RIGHT.copy()
    right[0, 0, 0] = np.nan
    assert said(wrong, right) == ("not finite", "1 of 60 elements are nan or inf")
    assert said(0 * RIGHT) == ("zero", "everything is 0: the gradient never arrives here, or is never added")
    assert said(RIGHT, 0 * RIGHT) is None and said(0 * right, right) != ("zero",)
    assert said(np.array([np.inf, 1, 0]), np.array([np.inf, 0, 1])) is None  # and no warning of 0 times inf


def test_nothing_is_said_where_nothing_is_wrong():
    """Whatever is known. Catches: a prediction taken for an explanation of nothing."""
    with_nan = RIGHT.copy()
    with_nan[0, 0, 0] = np.nan
    for same in (RIGHT, with_nan, 0 * RIGHT, np.full_like(RIGHT, 2), np.array(1.0), np.zeros(0)):
        known = {"terms": {"a term": same}, "alternatives": {"the same": ("index", same)}, "in_rows": {"itself": same}}
        assert said(same, same.copy()) is None and said(same, same.copy(), **known) is None


def hidden(array):
    """The scores of a causal attention: -inf above the diagonal of the last two axes."""
    return np.where(np.triu(np.ones(array.shape[-2:], bool), 1), -np.inf, array)


def test_what_is_not_finite_in_both_hides_no_mistake_in_the_rest():
    """Scores that are masked by adding -inf to inf are nan there, and are not "multiplied by 1" for being right elsewhere.
    Catches: a nan or an inf in a sum of squares, and a warning of inf - inf."""
    right, term = hidden(RIGHT), draw.standard_normal(RIGHT.shape)
    assert said(hidden(5 * RIGHT), right) == ("factor", "everything is multiplied by 5, which is T")
    assert said(hidden(-RIGHT), right) == ("sign", "the sign is wrong")  # whatever the sign of what is hidden
    assert said(hidden(RIGHT - term), right, terms={"the bias": term}) == ("missing term", "the bias is missing")
    unlike = np.where(np.isinf(right), np.nan, right)
    assert said(unlike, right) == ("not finite", "30 of 60 elements are nan or inf")
    assert said(2 * unlike, unlike) == ("double count", "everything counts twice")
    assert said(right, unlike) is None  # inf where nan is due
    assert said(np.abs(right), np.where(np.isinf(right), right, np.abs(right))) is None  # inf where -inf is due
    no_mask = {"no mask": ("missing term", RIGHT)}
    assert said(RIGHT, right, terms={"the bias": term}) is None and said(RIGHT, right, alternatives=no_mask)[1] == "no mask"


def test_the_arrays_must_have_one_shape():
    with pytest.raises(ValueError, match=r"^wrong has the shape \(3, 4, 5\), right \(1, 4, 5\)$"):
        said(RIGHT, RIGHT[:1])


def test_a_factor_is_named_after_sizes_and_their_products_ratios_and_inverses():
    for factor, name in (
        (5, "T"), (1 / 5, "1/T"), (-5, "-T"), (15, "B * T"), (3 / 5, "B/T"), (5 / 3, "T/B"), (1 / 15, "1/(B * T)"),
        (-1 / 7, "-1/C"),
    ):  # fmt: skip
        assert said(factor * RIGHT) == ("factor", f"everything is multiplied by {factor:.6g}, which is {name}")
    assert said(RIGHT / 6, factors={"rows of x": 6.0})[1].endswith("which is 1/(rows of x)")
    assert said(1.7 * RIGHT) == ("factor", "everything is multiplied by 1.7")
    assert said(2 * RIGHT) == ("double count", "everything counts twice")
    assert said(2 * RIGHT, factors={"T": 2.0}) == ("double count", "everything counts twice (or is multiplied by T)")
    assert said(-RIGHT) == ("sign", "the sign is wrong")
    assert said(-1.001 * RIGHT)[0] == "factor" and said(2.002 * RIGHT)[0] == "factor"
    assert said(-1.00009 * RIGHT)[0] == "sign" and said(2.00018 * RIGHT)[0] == "double count"  # four digits are enough
    assert said(5.00045 * RIGHT)[1].endswith("which is T")
    assert said(5.005 * RIGHT) == ("factor", "everything is multiplied by 5.005")  # a thousandth beside T is not T
    assert said(1.7 * RIGHT, factors={"none": 0.0, "one": 1.0}) == ("factor", "everything is multiplied by 1.7")


def test_one_number_is_some_factor_times_another_and_that_says_nothing():
    one = np.array([0.5])
    two = np.array([0.5, 2])
    assert said(1.7 * two, two) == ("factor", "everything is multiplied by 1.7")
    assert said(1.7 * one, one) is None and said(5 * one, one)[1].endswith("which is T") and said(-one, one)[0] == "sign"


def test_a_known_term_may_be_missing_count_twice_be_subtracted_or_scaled():
    term = draw.standard_normal(RIGHT.shape)
    for part, kind, text in (
        (-1, "missing term", "the mean is missing"),
        (1, "double count", "the mean counts twice"),
        (-2, "sign", "the mean has the wrong sign"),
        (-0.5, "factor", "the mean has a factor of 0.5"),
        (1.5, "factor", "the mean has a factor of 2.5"),
        (1.001, "factor", "the mean has a factor of 2.001"),
        (-1.00009, "missing term", "the mean is missing"),  # four digits are enough
        (1.00009, "double count", "the mean counts twice"),
        (-2.00018, "sign", "the mean has the wrong sign"),
    ):
        terms = {"nothing": 0 * term, "another": term**2, "the mean": term}
        assert said(RIGHT + part * term, terms=terms) == (kind, text)
    assert said(RIGHT + term, alternatives={"first": ("index", RIGHT), "second": ("shift", RIGHT + term)}) == (
        "shift",
        "second",
    )


def test_axes_are_swapped_or_read_in_the_wrong_order():
    square = draw.standard_normal((2, 4, 4))
    assert said(square.swapaxes(1, 2), square) == ("transpose", "axes 1 and 2 are swapped")
    text = "axes 0 and 2 are read in the wrong order (a reshape where a transpose is due)"
    assert said(RIGHT.swapaxes(0, 2).reshape(RIGHT.shape)) == ("transpose", text)


def test_a_shift_is_named_with_its_axis_and_its_side():
    for axis in range(3):
        assert said(np.roll(RIGHT, 1, axis)) == ("shift", f"everything stands one place after its own along axis {axis}")
        assert said(np.roll(RIGHT, -1, axis)) == ("shift", f"everything stands one place before its own along axis {axis}")
    pairs = RIGHT[:, :2]  # of two places nothing tells before from after
    assert said(np.roll(pairs, 1, 1), pairs) is None


def test_elements_that_are_zero_are_counted():
    wrong = RIGHT.copy()
    wrong[1, :, 0] = 0
    assert said(wrong) == ("missing term", "4 of 60 elements are 0, the others are right")
    right = RIGHT.copy()
    right[1, 0, 0] = 0  # and is so rightly
    assert said(wrong, right) == ("missing term", "3 of 60 elements are 0, the others are right")
    wrong[0, 0, 0] += 1
    assert said(wrong) is None


def test_each_slice_may_have_a_factor_of_its_own():
    factors = np.array([0.5, 1, 2, 8])
    text = "each slice along axis 1 has a factor of its own, from 0.5 to 8"
    assert said(factors[:, None] * RIGHT) == ("factor", text)
    right = RIGHT.copy()
    right[:, 1] = 0  # a slice of zeros has any factor: none is told
    assert said(factors[:, None] * right, right) == ("factor", text)
    assert said(4 * factors[:, None] * right, right) == ("factor", text.replace("0.5 to 8", "2 to 32"))
    assert said(np.array([0, 1, 2, 8])[:, None] * right, right) == ("factor", text.replace("0.5", "0"))
    assert said(factors[:, None] * RIGHT[:1], RIGHT[:1]) == ("factor", text)  # along an axis of one place nothing is scaled
    small = 1e-3 * RIGHT[:, :2]
    assert said(factors[:2, None] * small, small)[1] == text.replace("to 8", "to 1")
    vector = RIGHT[0, 0]
    assert said(np.array([1, 2, 3, 4, 5.5]) * vector, vector) is None  # any vector is that
    assert said(np.array([1, 2, 3, 4, 5.5]) * vector[None], vector[None]) is None


def test_a_difference_that_is_constant_along_an_axis_is_a_sum_that_is_missing():
    for axis in range(3):
        offset = draw.standard_normal([1 if a == axis else n for a, n in enumerate(RIGHT.shape)])
        text = f"the difference is constant along axis {axis}: a sum or mean over that axis is missing"
        assert said(RIGHT + offset) == ("missing term", text)
    assert said(RIGHT + 0.5)[1].startswith("the difference is constant along axis 2")  # along all: the last is told
    pairs = RIGHT[:, :, :2]
    assert said(pairs + draw.standard_normal((3, 4, 1)), pairs) is None  # two numbers are too few to say that
    text = "the difference is constant along axis 1: a sum or mean over that axis is missing"
    assert said(pairs + draw.standard_normal((3, 1, 2)), pairs) == ("missing term", text)  # the axis beside them tells


def test_a_row_may_lack_a_multiple_of_what_normalises_it():
    output = draw.standard_normal(RIGHT.shape)
    multiples = draw.standard_normal((3, 4, 1))
    found = said(RIGHT + multiples * output, in_rows={"another": output**2, "the output": output})
    assert found == (
        "missing term",
        "each row lacks a multiple of the output: a sum over the row, times the output, is missing",
    )
    output[0, 0] = 0
    assert said(RIGHT + multiples * output, in_rows={"the output": output}) == found
    assert said(RIGHT + multiples * 1e-3 * output, in_rows={"the output": 1e-3 * output}) == found
    wrong, short, three = RIGHT + multiples * output, np.s_[..., :2], np.s_[..., :3]
    assert said(wrong[short], RIGHT[short], in_rows={"the output": output[short]}) is None
    assert said(wrong[three], RIGHT[three], in_rows={"the output": output[three]}) == found
    assert said(np.array(2.5), np.array(1.0), in_rows={"the output": np.array(1.0)}) is None


# ----------------------------------------------------------------------------------------------------- in words, and the place


def inputs_of(*values):
    def forward(x=0, W=0, b=0):
        return x

    return checked_inputs(forward, values)


def test_how_many_digits_agree():
    right = np.array([2.0, -10.0])
    for off, digits in ((0.0049, 3), (0.0051, 2), (0.00049, 4), (0.49, 1), (0.51, 0), (4.9, 0), (5.1, 0), (60.0, 0)):
        assert digits_that_agree(right + np.array([off, 0]), right) == digits
    assert digits_that_agree(right, right) == 0  # nothing is wrong
    for number in (np.nan, np.inf):  # catches: the logarithm of it, which is no number of digits
        assert digits_that_agree(right + np.array([number, 0]), right) == 0


def test_the_sizes_that_a_factor_may_be_named_after():
    """Each size once, under the name that says most: the last axis before the first, y before the inputs."""
    found = sizes(inputs_of(np.ones((2, 3, 4)), np.ones((4, 6)), 3), np.ones((2, 3, 6)))
    whole = {"y.shape[2]": 6, "y.shape[1]": 3, "y.shape[0]": 2, "y.size": 36, "x.shape[2]": 4, "x.size": 24}
    roots = {f"sqrt({name})": math.sqrt(whole[name]) for name in ("y.shape[2]", "y.shape[1]", "y.shape[0]", "x.size")}
    assert found == whole | roots
    found = sizes(inputs_of(np.ones((5, 3, 1))), np.ones(()))
    assert found == {"x.shape[1]": 3, "x.shape[0]": 5, "the number of rows of x": 15} | {
        "sqrt(x.shape[1])": math.sqrt(3), "sqrt(x.shape[0])": math.sqrt(5), "sqrt(the number of rows of x)": math.sqrt(15)
    }  # fmt: skip


def test_the_place_of_an_unknown_mistake():
    """By hand: a gradient (3, 4) that is wrong in all steps but the last, or in one of four blocks."""
    x = np.ones((3, 4))
    inputs, right = inputs_of(x, x), np.ones((3, 4))

    def place(wrong_where, others_right=False, right=right, i=0):
        wrong = right.copy()
        wrong[wrong_where] += 1
        return place_of(inputs, i, wrong, right, others_right)

    step = "is right in the last place along axis 0 only: look at what comes back from the next step."
    assert place(np.s_[:2]) == f"dx {step}" and place(np.s_[:2], i=1) == f"dW {step}"
    line = "every other gradient is right, and so is what they are made of: look at the line of dx itself."
    assert place(np.s_[:], True) == line and place(np.s_[:]) == ""


def test_the_place_is_looked_for_along_every_axis_and_to_a_millionth():
    """By hand. Catches: a step of one place alone, blocks in a weight of three axes, rounding taken for a wrong element."""
    x = np.ones((2, 3, 8))
    for axis, wrong_steps in enumerate((np.s_[:1], np.s_[:, :2], np.s_[:, :, :7])):
        wrong = x.copy()
        wrong[wrong_steps] += 1
        assert place_of(inputs_of(x), 0, wrong, x, True).startswith(f"dx is right in the last place along axis {axis} only")
    wrong = x.copy()
    wrong[:, :, :2] += 1
    assert place_of(inputs_of(x), 0, wrong, x, False) == ""  # a quarter of an axis is no gate where there are three
    right = np.array([[4.0, 1, 1, 1, 1, 1, 1, 1]])
    for off, found in ((0.98e-6 * 4, ""), (1.02e-6 * 4, "dx is wrong in the second of 4 blocks along axis 1 only")):
        for sign in (1, -1):
            wrong = right.copy()
            wrong[0, 2:4] += sign * off
            assert place_of(inputs_of(right), 0, wrong, right, False).startswith(found or "dx is") is bool(found)
    one = np.ones((1, 5))
    assert place_of(inputs_of(one), 0, 2 * one, one, False) == ""
    for size, right_in in ((2, 2), (3, 2), (5, 2), (5, 3)):  # right in more than the last step, or everywhere
        steps = np.ones((size, 5))
        wrong = steps + (np.arange(size) < size - right_in)[:, None]
        assert place_of(inputs_of(steps), 0, wrong, steps, False) == ""
    last = np.ones((2, 5))
    assert place_of(inputs_of(last), 0, last + np.array([[0], [1]]), last, False) == ""  # right in the first step
    vector = np.ones(5)
    assert (
        place_of(inputs_of(vector), 0, vector + np.array([1, 1, 1, 1, 0]), vector, False) == ""
    )  # of a vector that is no step
    sample = np.ones(4)
    assert place_of(inputs_of(vector), 0, sample + np.array([1, 0, 0, 0]), sample, False) == ""
    number = np.array(1.0)
    assert place_of(inputs_of(number), 0, number + 1, number, False) == ""


def test_a_block_holds_more_than_one_step():
    for size, at, found in (
        (4, [1], ("first", 2)), (2, [0], None), (3, [0], None), (8, [7], ("last", 4)), (8, [0, 2], ("first", 2)),
        (6, [2], ("second", 3)), (6, [1, 2], ("first", 2)), (6, [3, 5], ("last", 2)), (12, [2], ("first", 4)), (8, [], None),
        (5, [1], None), (8, [0, 4], None),
    ):  # fmt: skip
        assert wrong_block(np.isin(np.arange(size), at)) == found


def test_the_block_of_an_unknown_mistake_is_counted():
    wide = np.ones((8, 3))
    inputs = inputs_of(wide)
    for count, at, name in ((4, 0, "first"), (4, 1, "second"), (4, 2, "third"), (4, 3, "last")):
        wrong = wide.copy()
        wrong[2 * at : 2 * at + 2] += 1
        text = f"dx is wrong in the {name} of {count} blocks along axis 0 only (one gate of {count}?)."
        assert place_of(inputs, 0, wrong, wide, True) == text
    wrong = wide.copy()
    wrong[:3] += 1
    assert "in the first of 2 blocks along axis 0 only (one gate of 2?)" in place_of(inputs, 0, wrong, wide, True)
    nine = np.ones(9)
    wrong = nine.copy()
    wrong[6:] += 1
    assert "in the last of 3 blocks along axis 0" in place_of(inputs_of(nine), 0, wrong, nine, True)
    wrong = nine.copy()
    wrong[3:5] += 1
    assert "in the second of 3 blocks along axis 0" in place_of(inputs_of(nine), 0, wrong, nine, True)
    wrong[0] += 1
    assert "every other gradient is right" in place_of(inputs_of(nine), 0, wrong, nine, True)


def test_the_gradient_of_another_input_is_named():
    x = draw.standard_normal((2, 3))
    inputs = inputs_of(x, x, x[0])

    def true(values, elements=None):
        n = np.arange(values.size) if elements is None else elements
        return Measured(n, values.ravel()[n], np.zeros(len(n)), np.zeros(len(n), bool), 0.0, None, 0.0, 0.0)

    dx, dW, db = draw.standard_normal(6), draw.standard_normal(6), draw.standard_normal(3)
    truth = Truth("", "", [true(dx), true(dW), true(db)])
    assert gradient_of_another(inputs, 0, dW * (1 + 1e-9), truth) == "dW" and gradient_of_another(inputs, 1, dx, truth) == "dx"
    assert gradient_of_another(inputs, 0, dx, truth) is None and gradient_of_another(inputs, 0, dW * 1.001, truth) is None
    sampled = Truth("", "", [true(dx, np.array([0, 1])), true(dW, np.array([0, 2])), true(db)])
    assert gradient_of_another(inputs, 0, dW[[0, 2]], sampled) is None  # at other elements


def test_what_each_row_may_lack_a_multiple_of():
    """By hand: a row 1, 2, 3 is -1, 0, 1 once centred, over its spread of sqrt(2/3)."""
    x, y = np.array([[1.0, 2, 3], [5, 5, 5]]), np.ones((2, 3))
    found = row_arrays(x, y, (2, 3))
    assert list(found) == ["the output", "the normalised input"]
    assert np.allclose(found["the normalised input"], [np.array([-1, 0, 1]) / math.sqrt(2 / 3), [0, 0, 0]])
    assert np.array_equal(found["the output"], y)
    tenths = np.full((1, 3), 0.1)  # of which the mean is not 0.1
    assert np.array_equal(row_arrays(tenths, tenths, (1, 3))["the normalised input"], [[0, 0, 0]])
    assert list(row_arrays(x, y[:, :2], (2, 3))) == ["the normalised input"]
    of_samples = row_arrays(np.stack([x, 2 * x]), y, (2, 2, 3))
    assert np.allclose(of_samples["the normalised input"], [found["the normalised input"]] * 2)
    assert row_arrays(x, y, (6,)) == {} and row_arrays(np.array(1.0), y, ()) == {}


def verdict_text(forward, right, change, *inputs):
    """What is said of the first gradient where `change` is made to it."""

    def backward(dy, *rest):
        gradients = right(dy, *rest)
        gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
        gradients[0] = change(gradients[0])
        return tuple(gradients)

    verdict = check_backward(forward, backward, *inputs)
    assert verdict.first_failure == "derivative", str(verdict)
    text = next(check.message for check in verdict.checks if check.name == "derivative").split("Likely mistake: ")[1]
    return verdict.mistake, text.splitlines()[0]


def test_what_is_said_before_any_hypothesis_is_tried():
    """A gradient that is another's, is not finite, is where there is none, or has too few digits is no mistake of a kind."""
    x, w = draw.standard_normal((2, 3)), draw.standard_normal((2, 3))

    def product(dy, x, w):
        return dy * w, dy * x

    for change, says in (
        (lambda dx: dx * np.nan, "a division by 0, an overflow, or inf - inf: the gradient is not finite."),
        (lambda dx: dx * (1 + 1e-7), f"{PRECISION}."),
    ):
        mistake, text = verdict_text(lambda x, w: x * w, product, change, x, w)
        assert mistake is None and text == says
    verdict = check_backward(lambda x, w: x * w, lambda dy, x, w: (dy * x, dy * w), x, w)
    assert verdict.mistake is None and "order: this is dw; return dx, dw, in the order of the inputs." in str(verdict)
    verdict = check_backward(lambda x, w: w * 1, lambda dy, x, w: (dy * x, dy), x, w)
    assert verdict.mistake is None and "a gradient where there is none: the output does not change with this input." in str(
        verdict
    )


def test_another_formula_is_told_by_the_digits_that_agree():
    """Noise of a ten-thousandth is no known mistake, and 3 or more digits agree everywhere."""
    x = draw.standard_normal((4, 5))
    noise = 1 + 1e-4 * draw.uniform(0.5, 1, (4, 5)) * draw.choice([-1, 1], (4, 5))
    mistake, text = verdict_text(np.sin, lambda dy, x: dy * np.cos(x), lambda dx: dx * noise, x)
    assert mistake.kind == "another formula"
    assert "digits agree everywhere: the derivative of another formula (an approximation, another epsilon)." in text
    noise = 1 + 0.05 * draw.uniform(0.5, 1, (4, 5)) * draw.choice([-1, 1], (4, 5))
    assert verdict_text(np.sin, lambda dy, x: dy * np.cos(x), lambda dx: dx * noise, x)[0] is None


def mistakes_in(found, wrong):
    return [tuple(each) for each in mistakes(replace(found, wrong=wrong))]


def test_a_wrong_gradient_is_told_in_the_axes_of_its_input():
    """A factor under the name of y's axis, which comes before W's; axes swapped; a row that lacks a multiple of y."""
    x, w = draw.standard_normal((4, 4)), draw.standard_normal((4, 5))
    found = evidence_of(linear, linear_gradients, x, w)
    right = found.right.reshape(x.shape)
    assert mistakes_in(found, 5 * found.right)[0] == ("factor", "everything is multiplied by 5, which is y.shape[1]")
    assert mistakes_in(found, right.T.ravel()) == [("transpose", "axes 0 and 1 are swapped")]

    found = evidence_of(softmax, lambda dp, x: softmax_backward(dp, softmax(x)), x)
    text = "each row lacks a multiple of the output: a sum over the row, times the output, is missing"
    multiples = draw.standard_normal((4, 1))
    assert mistakes_in(found, found.right + (multiples * softmax(x)).ravel()) == [("missing term", text)]


def test_three_digits_that_agree_everywhere_are_another_formula():
    """One element that is off by a part of the largest: 3 digits up to 0.0005 of it, and no word of it beyond that."""
    found = evidence_of(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), draw.standard_normal((4, 5)))
    largest = int(np.abs(found.right).argmax())
    for part, said in ((0.00049, 3), (0.000049, 4), (0.00051, None)):
        wrong = found.right + part * np.abs(found.right).max() * (np.arange(20) == (largest + 7) % 20)
        text = f"{said} digits agree everywhere: the derivative of another formula (an approximation, another epsilon)"
        assert mistakes_in(found, wrong) == ([("another formula", text)] if said else [])


def test_a_mistake_beside_another_formula_is_told_to_half_a_percent():
    """dy handed through, each element off by the same part of itself: the first two digits are explained."""
    found = evidence_of(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), 2 + draw.random((4, 5)))
    signs = draw.choice([-1, 1], 20)
    text = "dx is dy, handed through: the derivative of this function is missing. That explains all but the third digit; "
    text += "the rest may be the derivative of another formula (an approximation, another epsilon)"
    for part, said in ((0.0049, [("dy itself", text)]), (0.0051, [])):
        assert mistakes_in(found, found.dy.ravel() * (1 + part * signs)) == said


# ------------------------------------------------------------------------------------------------------------- the Jacobian


def squares(x, w):
    return (x**2 @ w) * 1.0


def real_squares(x, w):
    return (x.real**2 @ w.real) * 1.0


@pytest.mark.parametrize(("forward", "method"), [(squares, "the complex step"), (real_squares, "finite differences")])
def test_columns_give_the_gradient_of_any_loss(forward, method):
    """y = x^2 W: dy/dx[b, c] = 2 x[b, c] W[c] in row b. By hand, of a loss for all elements or of one for each."""
    x, w = draw.standard_normal((2, 3)), draw.standard_normal((3, 4))
    pair = Pair(forward, lambda dy, x, w: None, checked_inputs(forward, (x, w)))
    elements = np.array([0, 4, 5])
    columns = Columns(pair, [x, w], 0, elements, method)
    dy = draw.standard_normal((2, 4))
    dx = 2 * x * (dy @ w.T)
    assert np.allclose(columns.gradient(dy), dx.ravel()[elements], rtol=1e-9, atol=1e-10)
    each = draw.standard_normal((3, 2, 4))
    right = [(2 * x * (d @ w.T)).ravel()[e] for d, e in zip(each, elements, strict=True)]
    assert np.allclose(columns.gradient(each), right, rtol=1e-9, atol=1e-10)
    other = Columns(pair, [x, w], 1, np.array([7]), method)
    assert np.allclose(other.gradient(dy), ((x**2).T @ dy).ravel()[7], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["the complex step", "finite differences"])
def test_the_diagonal_is_what_an_element_owes_to_its_own_place(method):
    """Of y = x c + x[reversed] d, that is c dy."""
    x, c, d = draw.standard_normal((3, 2, 3))

    def forward(x):
        return x * c + x[::-1, ::-1] * d

    pair = Pair(forward, lambda dy, x: None, checked_inputs(forward, (x,)))
    dy, elements = draw.standard_normal((2, 3)), np.array([5, 1])
    columns = Columns(pair, [x], 0, elements, method)
    assert np.allclose(columns.diagonal(dy), (c * dy).ravel()[elements], rtol=1e-9, atol=1e-10)


def test_the_rounding_of_a_column_is_that_of_both_sides_over_the_step():
    """By hand, of y = (-3 x, 5): eps (|y(x + h)| + |y(x - h)|) / h, which is 6 and 10 eps / h at x = 1."""

    def forward(x):
        return np.concatenate([-3 * x.real, [5.0]])

    pair = Pair(forward, lambda dy, x: None, checked_inputs(forward, (np.ones(1),)))
    columns = Columns(pair, [np.ones(1)], 0, np.array([0]), "finite differences")
    steps = 4.0 ** -np.arange(1, 10)
    assert np.array_equal(columns.slopes, [[[-3.0, 0.0]] * 9])
    assert np.allclose(columns.errors[0], np.outer(EPS / steps, [6, 10]), rtol=1e-12, atol=0)


def test_rounding_counts_by_the_size_of_the_cotangent():
    """The loss 1e-6 y0 + y1 of a column that is exact in y1 alone, by hand: y0 is noise of 1 for a step of 1, and its share of
    the sum is 1e-6. Catches: a sum in which the noise of y0 counts as much as y1, or hides it."""
    columns = Columns.__new__(Columns)
    steps = 4.0 ** -np.arange(1, 10)
    noise = draw.choice([-1, 1], 9) / steps
    columns.slopes = np.stack([noise, 2 + 3 * steps**2], axis=-1)[None]  # (1, STEPS, 2)
    columns.errors = np.stack([1 / steps, 0 * steps], axis=-1)[None]
    for sign in (1, -1):
        found = columns.gradient(np.array([sign * 1e-6, 1.0]))
        sums = (columns.slopes * [sign * 1e-6, 1.0]).sum(axis=-1)
        assert np.array_equal(found, extrapolate(sums, 1e-6 / steps[None])[0]) and abs(found[0] - 2) < 1e-3


def test_a_jacobian_of_more_than_four_million_numbers_is_too_large():
    elements, y = np.arange(2000), np.zeros(2000)
    assert not too_many(elements, y, "the complex step") and too_many(elements, np.zeros(2001), "the complex step")
    assert too_many(elements, y, "finite differences")
    assert not too_many(elements[:400], np.zeros(1111), "finite differences")
    assert too_many(elements[:400], np.zeros(1112), "finite differences")


# ----------------------------------------------------------------------------------------------------------------- the gates


SLOPES = {"sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)), "tanh": lambda z: 1 - np.tanh(z) ** 2}
TEXT = {"sigmoid": "the derivative of a sigmoid, s (1 - s)", "tanh": "the derivative of a tanh, 1 - t^2"}


def ratios(f, z=0.4, a=0.7):
    return {step: float(f(z + a * step)) for step in (-2, -1, 0, 1, 2)}


@pytest.mark.parametrize("name", SLOPES)
def test_a_gates_mistake_is_told_by_how_the_ratio_moves(name):
    """wrong / right is 1 / f'(z) where f' is left out, f'(z) where it counts twice, f'(f(z)) / f'(z) at the output."""
    slope, f = SLOPES[name], {"sigmoid": sigmoid, "tanh": np.tanh}[name]
    for z, a in ((0.4, 0.7), (-0.9, 0.5), (0.1, -0.8)):
        assert list(of_gates(ratios(lambda z: 1 / slope(z), z, a))) == [("derivative missing", f"{TEXT[name]}, is missing")]
        assert list(of_gates(ratios(slope, z, a))) == [("double count", f"{TEXT[name]}, counts twice")]
        found = list(of_gates(ratios(lambda z: slope(f(z)) / slope(z), z, a)))
        assert [each.kind for each in found] == ["at the output"] and f"derivative of a {name} is taken at its output" in found[
            0
        ].text
        assert "f'(f(z)), not f'(z)" in found[0].text


def test_a_ratio_that_is_a_parabola_or_a_number_is_no_gate():
    for f in (
        lambda z: 3.0,
        lambda z: 1 + z * z,
        lambda z: 2 + 2 * z,
        np.exp,
        lambda z: 1 / (1 + z * z),
        lambda z: 2 + np.sin(z),
    ):
        assert list(of_gates(ratios(f))) == []


@pytest.mark.parametrize("name", SLOPES)
def test_where_a_function_has_a_value_is_found_on_both_sides(name):
    found = where(SLOPES[name], 0.2)
    inverse = {"sigmoid": math.acosh((1 / 0.2 - 2) / 2), "tanh": math.atanh(math.sqrt(0.8))}[name]  # by hand
    assert np.allclose(sorted(found), [-inverse, inverse], rtol=0, atol=1e-12)
    assert where(SLOPES[name], 2.0) == []


def test_taken_at_its_output_needs_a_step_that_moves_z():
    slope = SLOPES["sigmoid"]

    def ratio(z):
        return slope(sigmoid(z)) / slope(z)

    assert taken_at_its_output("sigmoid", ratios(ratio, 1.0, 0.5)) and not taken_at_its_output("tanh", ratios(ratio, 1.0, 0.5))
    assert not taken_at_its_output("sigmoid", ratios(ratio, 1.0, 0.05))  # all of them look alike
    off = ratios(ratio, 1.0, 0.5)
    assert not taken_at_its_output("sigmoid", {**off, 2: off[2] * 1.001})


# ------------------------------------------------------------------------------------------------------------------- evidence


def evidence_of(forward, backward, *inputs, i=0, clear=None):
    trial = trial_of(Pair(forward, backward, checked_inputs(forward, inputs)), np.random.default_rng(0))
    truth = measured(trial, np.random.default_rng(0))
    right, wrong = truth.of[i].values, trial.gradients[i].ravel()[truth.of[i].elements]
    return Evidence(trial, truth, i, wrong, right, np.ones(right.shape, bool) if clear is None else clear, {})


def linear(x, W):
    return np.tanh(x @ W)


def linear_gradients(dy, x, W):
    dz = dy * (1 - np.tanh(x @ W) ** 2)
    return dz @ W.T, x.T @ dz


def doubled(dy, x, W):
    dx, dW = linear_gradients(dy, x, W)
    return 2 * dx, dW


def test_evidence_knows_what_it_is_about():
    x, w = draw.standard_normal((3, 4)), draw.standard_normal((4, 5))
    found = evidence_of(linear, doubled, x, w, i=0)
    assert (found.place, found.name, found.gradient) == (0, "x", "dx") and np.array_equal(found.x, x)
    assert np.array_equal(found.y, linear(x, w)) and found.fits(2 * found.right) and not found.fits(found.right)
    assert found.axes_in_common() == [0] and found.along(1).tolist() == [0, 1, 2, 3] * 3 and found.along(0)[4] == 1
    assert found.columns() is found.columns() is found.columns(0) and found.columns(1) is not found.columns(0)
    assert np.allclose(found.columns().gradient(found.dy), found.right)
    elsewhere = found.columns(values=found.values_with({1: 0 * w}))
    assert elsewhere is not found.columns() and not elsewhere.gradient(found.dy).any()
    assert np.array_equal(found.values_with({1: 0 * w})[0], x) and not found.values_with({1: 0 * w})[1].any()


def test_what_could_not_be_measured_is_no_evidence_against_a_prediction():
    x, w = draw.standard_normal((3, 4)), draw.standard_normal((4, 5))
    clear = np.ones(12, bool)
    clear[3] = False
    found = evidence_of(linear, doubled, x, w, clear=clear)
    prediction = 2 * found.right
    prediction[3] = 99
    assert found.fits(prediction)
    prediction[4] = 99
    assert not found.fits(prediction)


def test_a_row_has_the_gradients_of_its_own_loss():
    """The second row of y: x's second row alone gets a gradient, and W's is the outer product of x[1] and dz[1]."""
    x, w = draw.standard_normal((3, 4)), draw.standard_normal((4, 5))
    found = evidence_of(linear, doubled, x, w)
    row = Row(found, 1)
    assert row.size == 5 and (row.outputs.start, row.outputs.stop) == (5, 10)
    assert np.array_equal(row.dy[1], found.dy[1]) and not row.dy[[0, 2]].any()
    dz = row.dy[1] * (1 - np.tanh(x[1] @ w) ** 2)
    assert np.allclose(row.true(0).reshape(3, 4), np.outer([0, 1, 0], w @ dz)) and np.allclose(
        row.true(1), np.outer(x[1], dz).ravel()
    )
    assert np.allclose(row.got(0), 2 * row.true(0)) and row.is_wrong(0) and not row.is_wrong(1)
    assert row.fits(0)(2 * row.true(0)) and not row.fits(0)(row.true(0))
    jacobian = row.jacobian(found.columns(0)).reshape(3, 4, 5)
    assert np.allclose(jacobian[1], w * (1 - np.tanh(x[1] @ w) ** 2)) and not jacobian[[0, 2]].any()


def test_recognised_says_the_kind_and_the_text():
    x, w = draw.standard_normal((3, 4)), draw.standard_normal((4, 5))
    found = evidence_of(linear, doubled, x, w)
    mistake, text = recognised(found.trial, found.truth, 0, found.wrong, found.right, found.clear, {})
    assert mistake.kind == "double count" and text == f"double count: {mistake.text}."
