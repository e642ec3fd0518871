"""hypotheses.py, each hypothesis by itself: what it predicts is worked out here by hand, and it is named for that alone.

test_check_layer.py has the same mistakes in backward passes as learners write them.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

import npgpt.check.hypotheses as hypotheses_module
from npgpt import check_backward
from npgpt.check.evidence import AT_THE_OUTPUT, DIAGONAL
from npgpt.check.hypotheses import (
    another_gelu,
    at_the_output,
    diagonal_alone,
    dy_itself,
    dy_moved,
    gradient_moved,
    hypotheses,
    is_elementwise,
    missing_paths,
    neighbouring_ids,
    only,
    paths,
    pushed,
    repeated_ids,
    step_by_step,
    steps_left_out,
    without,
)
from npgpt.check.verdict import Stopped

from .conftest import begins_anew
from .test_mistakes import evidence_of
from .wrong_backwards import (
    gelu_of_erf,
    gelu_of_erf_slope,
    gelu_of_tanh,
    gelu_of_tanh_slope,
    sigmoid,
    sigmoid_slope,
    softmax,
    softmax_backward,
)

draw = np.random.default_rng(11)
the_same_numbers = begins_anew(draw)
X = draw.standard_normal((2, 3, 4))


def said(hypothesis, found, wrong):
    """What a hypothesis about a right pair says with this wrong gradient in the place of its own."""
    return [tuple(each) for each in hypothesis(replace(found, wrong=np.ravel(wrong)))]


def of_tanh(x=X):
    return evidence_of(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x)


def slope_of_tanh(x):
    return 1 - np.tanh(x) ** 2


def of_softmax(x=X):
    return evidence_of(softmax, lambda dp, x: softmax_backward(dp, softmax(x)), x)


def sampled(found, n=5):
    """The same where the first n elements alone were measured."""
    of = [each._replace(elements=np.arange(n)) for each in found.truth.of]
    measured = replace(found, truth=found.truth._replace(of=of), right=found.right[:n], wrong=found.wrong[:n], measured={})
    return replace(measured, clear=found.clear[:n])


def too_large(found):
    """The same where no Jacobian could be measured."""
    return replace(found, measured=dict.fromkeys(range(len(found.inputs.floats))))


def several_outputs():
    """(tanh of the first half, tanh of the second): dy has the shape of x, and there is no y with axes."""
    x = draw.standard_normal(4)
    found = evidence_of(lambda x: ((np.tanh(x[:2]), np.tanh(x[2:])), x), lambda d, e, x: np.append(d, e) * slope_of_tanh(x), x)
    assert found.y is None and found.dy.shape == x.shape
    return found


# -------------------------------------------------------------------------------------------------------------- all of them


def test_a_hypothesis_that_cannot_be_computed_leaves_the_others_to_speak(monkeypatch):
    def broken(error):
        def raising(evidence):
            yield from ()
            raise error

        return raising

    found = of_tanh()
    for name, error in (
        ("dy_itself", Stopped("output", "")),
        ("diagonal_alone", ZeroDivisionError()),
        ("at_the_output", np.linalg.LinAlgError()),
    ):
        monkeypatch.setattr(hypotheses_module, name, broken(error))
    moved = slope_of_tanh(X) * pushed(found.dy, 1, 1)
    assert [each.kind for each in hypotheses(replace(found, wrong=moved.ravel()))] == ["shift"]
    monkeypatch.setattr(hypotheses_module, "another_gelu", broken(KeyError("of our own")))
    with pytest.raises(KeyError):
        list(hypotheses(found))


# -------------------------------------------------------------------------------------------------------- the whole function


def test_dy_itself_is_dy_in_the_shape_of_x():
    found = of_tanh()
    assert said(dy_itself, found, found.dy) == [
        ("dy itself", "dx is dy, handed through: the derivative of this function is missing")
    ]
    assert said(dy_itself, found, 2 * found.dy) == []
    other = evidence_of(lambda x: x[:1, :, :2] * x[1:, :, 2:], lambda dy, x: 0 * x, X)  # more elements than dy has
    assert said(dy_itself, other, other.wrong) == []
    part = sampled(found)
    assert said(dy_itself, part, found.dy.ravel()[:5])[0][0] == "dy itself"


def test_the_diagonal_alone_is_told_of_what_mixes_its_inputs():
    found = of_softmax()
    p = softmax(X)
    own = p * (1 - p) * found.dy
    assert said(diagonal_alone, found, own) == [tuple(DIAGONAL)] and said(diagonal_alone, found, p * found.dy) == []
    assert said(diagonal_alone, too_large(found), own) == []
    summed = evidence_of(lambda x: x.sum(axis=1), lambda dy, x: 0 * x, X)  # there is no place of its own
    assert said(diagonal_alone, summed, X) == []


def test_elementwise_is_what_owes_nothing_to_its_neighbours():
    """To a millionth of the largest element. By hand: y = x + c x[reversed]."""
    assert is_elementwise(of_tanh()) and not is_elementwise(of_softmax()) and not is_elementwise(too_large(of_tanh()))
    assert not is_elementwise(evidence_of(lambda x: x.sum(axis=1), lambda dy, x: 0 * x, X))
    for c in (1, -1):
        for part, expected in ((0.9, True), (1.1, False)):
            mixed = evidence_of(lambda x, c=c, part=part: 5 * x + part * 5e-6 * c * x[::-1], lambda dy, x: dy, np.ones(2))
            dy = replace(mixed, trial=replace(mixed.trial, dy=np.array([1.0, -1.0])))
            assert is_elementwise(dy) is expected


def test_a_derivative_at_the_output_is_told_of_an_elementwise_function():
    found = evidence_of(sigmoid, lambda dy, x: dy * sigmoid_slope(sigmoid(x)), X)
    at_y = found.dy * sigmoid_slope(sigmoid(sigmoid(X)))
    assert said(at_the_output, found, at_y) == [tuple(AT_THE_OUTPUT)] and said(at_the_output, found, 2 * at_y) == []
    p = softmax(X)
    at_p = softmax(p) * (1 - softmax(p)) * of_softmax().dy
    assert said(at_the_output, of_softmax(), at_p) == []  # no elementwise function
    two = several_outputs()
    assert said(at_the_output, two, two.dy * slope_of_tanh(np.tanh(two.x))) == []


FORMS = {"the tanh form": (gelu_of_tanh, gelu_of_tanh_slope), "the erf form": (gelu_of_erf, gelu_of_erf_slope)}


def normal_density(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("form", FORMS)
def test_a_gelu_is_told_from_the_other_form_and_from_a_mixture(form):
    gelu, slope = FORMS[form]
    found = evidence_of(gelu, lambda dy, x: dy * slope(x), X)
    taken = {f"the derivative of {other}": each for other, (_, each) in FORMS.items() if other != form}
    taken["a mixture, the tanh form's Phi plus x times the normal density"] = lambda x: (
        gelu_of_tanh(x) / x + x * normal_density(x)
    )
    for name, derivative in taken.items():
        text = f"the forward is GELU in {form}, the backward {name}: they agree to three digits"
        assert said(another_gelu, found, found.dy * derivative(X)) == [("another formula", text)]
        assert [kind for kind, _ in said(another_gelu, sampled(found), (found.dy * derivative(X)).ravel()[:5])] == [
            "another formula"
        ]
    assert said(another_gelu, found, 1.01 * found.dy * slope(X)) == []


def test_a_forward_is_gelu_to_twelve_digits_or_five_in_float32():
    def kinds(forward, eps=None):
        found = evidence_of(forward, lambda dy, x: dy * gelu_of_tanh_slope(x), X)
        assert (found.trial.eps > 1e-8) == (eps is not None)
        return [kind for kind, _ in said(another_gelu, found, found.dy * gelu_of_erf_slope(X))]

    largest = np.abs(X) == np.abs(X).max()
    for sign in (1, -1):
        for part, expected in ((0.9, ["another formula"]), (1.1, [])):
            off = sign * part * np.abs(gelu_of_tanh(X)).max() * (np.arange(24).reshape(X.shape) == 5)
            assert not largest.ravel()[5]
            assert kinds(lambda x, off=off: gelu_of_tanh(x) + 1e-12 * off) == expected
            assert kinds(lambda x, off=off: (gelu_of_tanh(x) + 1e-5 * off).astype("f4").astype(float), "f4") == expected
    two = several_outputs()
    assert said(another_gelu, two, two.dy) == []


# ------------------------------------------------------------------------------------------------------------------------- ids


IDS, TABLE = np.array([[0, 1, 1], [3, 1, 0]]), draw.standard_normal((5, 4))
REPEATED = (
    "repeated ids",
    "ids that occur more than once count once: dW[ids] = and dW[ids] += keep one look-up of each id; np.add.at adds them all",
)


def looked_up(ids=IDS, table=TABLE):
    def backward(dy, ids, table):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dy)
        return dtable

    return evidence_of(lambda ids, table: table[ids], backward, ids, table)


def test_of_repeated_ids_one_look_up_is_kept_the_first_or_the_last():
    """By hand: id 1 is looked up in four places, twice in each sample. A mean of its look-ups is neither."""
    found = looked_up(np.array([[0, 1, 1], [3, 1, 1]]))
    dy = found.dy
    last, first = np.zeros_like(TABLE), np.zeros_like(TABLE)
    last[[0, 1, 3]] = dy[0, 0], dy[1, 2], dy[1, 0]
    first[[0, 1, 3]] = dy[0, 0], dy[0, 1], dy[1, 0]
    counts = np.array([1, 4, 1, 1, 1])[:, None]
    assert said(repeated_ids, found, found.right.reshape(TABLE.shape) / counts) == []
    for kept in (last, first):
        assert said(repeated_ids, found, kept) == [REPEATED]
        assert said(repeated_ids, too_large(found), kept) == []
    middle = last.copy()
    middle[1] = dy[0, 2]
    assert said(repeated_ids, found, middle) == [] and said(repeated_ids, found, 0.5 * last) == []


def test_ids_are_buffered_in_each_sample_by_itself():
    """dW[ids[b]] += dy[b] keeps, of the sums over a sample, one look-up of each id: y (2, 4) is a sum of three rows."""
    ids = np.array([[0, 1, 1], [3, 1, 0]])

    def backward(dy, ids, table):
        dtable = np.zeros_like(table)
        for b in range(2):
            np.add.at(dtable, ids[b], dy[b])
        return dtable

    found = evidence_of(lambda ids, table: table[ids].sum(axis=1), backward, ids, TABLE)
    each = np.zeros_like(TABLE)
    each[[0, 1, 3]] = found.dy[0] + found.dy[1], found.dy[0] + found.dy[1], found.dy[1]
    assert said(repeated_ids, found, each) == [REPEATED]


def test_what_holds_no_ids_of_the_table_tells_nothing_of_them():
    """Among the inputs other integers: too large or negative for the table, or of another shape than y. Catches: a search that
    ends at the first of them."""
    for other in (np.array([[7, 1, 1], [3, 1, 0]]), np.array([[-1, 1, 1], [3, 1, 0]]), np.arange(5), np.array(2), X[0]):

        def backward(dy, other, ids, table):
            dtable = np.zeros_like(table)
            np.add.at(dtable, ids, dy)
            return (0 * other, dtable) if other.dtype.kind == "f" else dtable

        found = evidence_of(lambda other, ids, table: table[ids], backward, other, IDS, TABLE, i=int(other.dtype.kind == "f"))
        dy_of_last = np.zeros_like(TABLE)
        dy_of_last[[0, 1, 3]] = found.dy[1, 2], found.dy[1, 1], found.dy[1, 0]
        assert said(repeated_ids, found, dy_of_last) == [REPEATED]
    once = looked_up(np.array([[0, 1, 2]]))
    assert said(repeated_ids, once, 0.5 * once.right) == []


def test_of_several_outputs_or_for_a_number_no_ids_are_counted():
    """Catches: an error in place of a verdict where ids and a number are the inputs."""
    ids = np.array([0, 1, 1])
    two = evidence_of(lambda ids, table: ((table[ids], 2 * table[ids]), ids), lambda d, ids: 0 * TABLE, ids, TABLE)
    assert two.y is None and said(repeated_ids, two, TABLE) == []
    number = evidence_of(lambda ids, a: a * a * ids, lambda dy, ids, a: 0.0, IDS, np.array(2.0))
    assert said(repeated_ids, number, 1.7 * number.right) == []


@pytest.mark.parametrize("wrong", [lambda dx, da: (dx + 0.1 * X, da), lambda dx, da: (dx, 1.7 * da)], ids=["dx", "da"])
def test_a_wrong_gradient_of_a_number_is_a_failed_check_and_no_error(wrong):
    """Of a loss and a number, and of ids and a number. Catches: a hypothesis that asks a number for its axes."""

    def backward(dy, x, a):
        return wrong(dy * a * 2 * x, (dy * x * x).sum())

    assert check_backward(lambda x, a: (a * x * x).sum(), backward, X, 2.5).first_failure in ("linearity", "derivative")
    of_ids = check_backward(lambda ids, a: a * a * ids, lambda dy, ids, a: 1.7 * (2 * a * dy * ids).sum(), IDS, np.array(2.0))
    assert of_ids.first_failure == "derivative"


def test_ids_are_whole_numbers_with_axes():
    assert hypotheses_module.is_ids(IDS) and hypotheses_module.is_ids(IDS.astype("u1"))
    for other in (TABLE, 3, np.array(3), [1, 2], IDS > 0, None):
        assert not hypotheses_module.is_ids(other)


def test_dy_in_one_place_of_its_leading_axes():
    dy = draw.standard_normal((2, 3, 4))
    for axes, group, where in ((1, 1, np.s_[1]), (2, 4, np.s_[1, 1]), (3, 6, np.s_[0, 1, 2])):
        part = only(dy, axes, group)
        assert np.array_equal(part[where], dy[where]) and np.count_nonzero(part) == dy[where].size
        assert part.shape == dy.shape
    assert dy.all()


def test_ids_of_the_neighbouring_place_are_told_with_their_sign():
    ids = np.array([1, 2, 1, 3])
    found = evidence_of(lambda x, ids: x[np.arange(4), ids] ** 2, lambda dy, x, ids: 0 * x, draw.standard_normal((4, 5)), ids)
    for step, sign in ((1, "+"), (-1, "-")):
        wrong = np.zeros((4, 5))
        wrong[np.arange(4), ids + step] = found.dy * 2 * found.x[np.arange(4), ids + step]
        assert said(neighbouring_ids, found, wrong) == [
            ("index", f"an index off by one: ids {sign} 1 is used where ids is due")
        ]
        assert said(neighbouring_ids, too_large(found), wrong)[0][0] == "index"  # at other inputs it is measured anew
    assert said(neighbouring_ids, found, X.ravel()[:20]) == []


# ----------------------------------------------------------------------------------------------------------------------- steps


def of_sums(axis):
    """y = the running sum of tanh(x) along the axis."""

    def backward(dy, x):
        return np.flip(np.flip(dy, axis).cumsum(axis=axis), axis) * slope_of_tanh(x)

    return evidence_of(lambda x: np.tanh(x).cumsum(axis=axis), backward, X)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_one_step_hands_to_the_next_may_be_left_out(axis):
    found = of_sums(axis)
    path = f"dx holds only what y in the same place along axis {axis} owes to it; "
    text = path + "the path from step to step is missing (what comes back from the next step)"
    own = found.dy * slope_of_tanh(X)
    assert said(step_by_step, found, own) == [("missing path", text)] and said(step_by_step, found, 0.9 * own) == []
    assert said(step_by_step, too_large(found), own) == []
    two = several_outputs()
    assert said(step_by_step, two, 2 * two.right) == []


def test_steps_of_y_and_of_x_go_together_by_their_axis_whatever_follows():
    """y[t] = sum over c of the running sum of tanh(x[t, c]): y (3, 1), x (3, 4)."""
    x = X[0]
    found = evidence_of(lambda x: np.tanh(x).cumsum(axis=0).sum(axis=1, keepdims=True), lambda dy, x: 0 * x, x)
    assert [kind for kind, _ in said(step_by_step, found, found.dy * slope_of_tanh(x))] == ["missing path"]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("step", "side"), [(1, "early"), (-1, "late")])
def test_dy_may_be_read_one_place_off(axis, step, side):
    found = of_tanh()
    text = f"dy is read one place too {side} along its axis {axis}"
    around = np.roll(found.dy, step, axis)
    zeros = around.copy()
    zeros[(slice(None),) * axis + (0 if step > 0 else -1,)] = 0
    assert said(dy_moved, found, slope_of_tanh(X) * zeros) == [("shift", text)]
    sides = ("early", "late") if X.shape[axis] == 2 else (side,)  # of two places either is the other around the end
    assert said(dy_moved, found, slope_of_tanh(X) * around) == [
        ("shift", f"dy is read one place too {each} along its axis {axis} around the end") for each in sides
    ]
    assert said(dy_moved, too_large(found), slope_of_tanh(X) * zeros) == []


def test_of_one_place_nothing_is_a_step_off():
    """Catches: 0, which is all that is left of one place when it is moved, taken for a shift."""
    found = of_tanh(X[:1, :1, :1])
    zeros = 0 * found.right
    assert said(dy_moved, found, zeros) == said(gradient_moved, found, zeros) == said(steps_left_out, found, zeros) == []


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("step", "side"), [(1, "after"), (-1, "before")])
def test_a_gradient_may_stand_one_place_off(axis, step, side):
    found = of_softmax()
    right = found.right.reshape(X.shape)
    moved = np.roll(right, step, axis)
    moved[(slice(None),) * axis + (0 if step > 0 else -1,)] = 0
    assert said(gradient_moved, found, moved) == [("shift", f"everything stands one place {side} its own along axis {axis}")]
    part = sampled(found)
    assert said(gradient_moved, part, moved.ravel()[:5]) == []


def test_pushed_and_without_leave_zeros_behind_and_x_alone():
    x = np.array([[1, 2, 3], [4, 5, 6]])
    assert pushed(x, 1, 1).tolist() == [[0, 1, 2], [0, 4, 5]] and pushed(x, -1, 1).tolist() == [[2, 3, 0], [5, 6, 0]]
    assert pushed(x, 1, 0).tolist() == [[0, 0, 0], [1, 2, 3]] and pushed(x, -1, 0).tolist() == [[4, 5, 6], [0, 0, 0]]
    assert without(x, 1, 0).tolist() == [[0, 2, 3], [0, 5, 6]] and without(x, 0, -1).tolist() == [[1, 2, 3], [0, 0, 0]]
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("edge", "which"), [(0, "first"), (-1, "last")])
def test_a_loop_may_leave_out_its_first_or_its_last_step(axis, edge, which):
    """Of the gradient itself, or of what y's steps give to one that sums over them."""
    off = "a loop that starts or ends one step off"
    found = of_sums(axis)
    at_the_edge = (slice(None),) * axis + (edge,)
    rest = found.right.reshape(X.shape).copy()
    rest[at_the_edge] = 0
    expected = ("index", f"dx is 0 in the {which} place along axis {axis}, and right elsewhere: {off}")
    assert expected in said(steps_left_out, found, rest) and expected in said(steps_left_out, too_large(found), rest)
    part = sampled(found)
    assert said(steps_left_out, too_large(part), rest.ravel()[:5]) == []

    w = draw.standard_normal((4, 4))
    summed = evidence_of(lambda x, w: np.tanh(x @ w), lambda dy, x, w: (0 * x, 0 * w), X, w, i=1)
    dy = summed.dy.copy()
    dy[at_the_edge] = 0
    for counted, kind, text in (
        (dy, "index", f"the {which} place along axis {axis} of y does not count: {off}"),
        (summed.dy - dy, "overwritten", f"only the {which} place along axis {axis} of y counts: = where += is due"),
    ):
        dw = np.einsum("btc,btd->cd", X, counted * slope_of_tanh(X @ w))
        found = said(steps_left_out, summed, dw)
        if X.shape[axis] == 2:  # the first of two does not count, or only the last does: that is told
            assert [kind for kind, _ in found] == ["overwritten"]
        else:
            assert found == [(kind, text)]
        assert said(steps_left_out, too_large(summed), dw) == []


# ------------------------------------------------------------------------------------------------------------------ paths of x

MISSED = {-1: ("missing path", "is missing"), 1: ("double count", "counts twice"), -2: ("sign", "has the wrong sign")}


def test_a_residual_path_may_be_missing_count_twice_or_be_subtracted():
    found = evidence_of(lambda x: x + np.tanh(x), lambda dy, x: dy * (1 + slope_of_tanh(x)), X)
    right, dy = found.right, found.dy.ravel()
    for part, (kind, what) in MISSED.items():
        text = f"the path of x through y = x + ... (a residual connection) {what}"
        assert said(missing_paths, found, right + part * dy) == [(kind, text)]
        assert said(missing_paths, sampled(found), (right + part * dy)[:5]) == [(kind, text)]
    apart = X.ravel() - (X.ravel() @ dy) / (dy @ dy) * dy  # at right angles to the path
    assert said(missing_paths, found, right - dy + 0.1 * apart) == []
    roughly = replace(found, tolerance=5e-3)  # where fewer digits are enough, the path's factor still has four
    assert said(missing_paths, roughly, right - 1.003 * dy) == []
    assert [kind for kind, _ in said(missing_paths, roughly, right - 1.00005 * dy)] == ["missing path"]
    for part in (-1.001, 0.5, 1.001, -2.001, 2):
        assert said(missing_paths, found, right + part * dy) == []
    assert said(missing_paths, found, right - dy + 0.01 * X.ravel()) == []  # not that alone


def test_the_path_through_a_function_that_was_cut_is_told_by_its_name():
    """By hand: y = tanh(x) + x^3; with x^3 cut off, nothing flows back there."""
    found = evidence_of(lambda x: np.tanh(x) + x**3, lambda dy, x: 0 * x, X)
    found.pair.blocked["cube"] = lambda x: np.tanh(x) + X**3
    found.pair.blocked["nothing"] = lambda x: np.tanh(x) + x**3
    cubic = 3 * X**2 * found.dy
    for part, (kind, what) in MISSED.items():
        wrong = found.right + part * cubic.ravel()
        assert said(missing_paths, found, wrong) == [(kind, f"the path of x through cube {what}")]
        assert said(missing_paths, too_large(found), wrong) == []


@pytest.mark.parametrize(("real", "kind"), [(np.asarray, "c"), (np.real, "f")], ids=["complex step", "differences"])
def test_what_a_cut_leaves_is_measured_as_the_whole_was(real, kind):
    """Catches: a path that is the difference of two methods, which is the error of one where the path is short."""
    found = evidence_of(lambda x: np.tanh(real(x)) + real(x) ** 3, lambda dy, x: 0 * x, X)
    seen = set()

    def without_the_cube(x):
        seen.add(x.dtype.kind)
        return np.tanh(real(x)) + X**3

    found.pair.blocked["cube"] = without_the_cube
    assert [name for name, _ in paths(found)][1:] == ["cube"] and seen == {kind}


def projected(weights_first, x, *shapes):
    """y = the sum over all W of tanh(x W), or of tanh(x W^T)."""
    weights = [draw.standard_normal(shape) for shape in shapes]

    def forward(x, *ws):
        return sum(np.tanh(x @ w if weights_first else x @ w.T) for w in ws)

    return evidence_of(forward, lambda dy, x, *ws: (0 * x, *(0 * w for w in ws)), x, *weights), weights


@pytest.mark.parametrize("samples", [False, True])
@pytest.mark.parametrize("weights_first", [True, False])
def test_the_path_through_a_weight_is_told_by_the_weights_own_gradient(weights_first, samples):
    """dx = dz W^T of that W alone, where x's rows (of each sample by itself) are no more than its columns."""
    x = draw.standard_normal((2, 2, 4)) if samples else draw.standard_normal((4, 4))
    found, weights = projected(weights_first, x, *[(4, 5) if weights_first else (5, 4)] * 2)
    for k, w in enumerate(weights):
        inner, back = (x @ w, w.T) if weights_first else (x @ w.T, w)
        term = ((found.dy * slope_of_tanh(inner)) @ back).ravel()
        name = found.inputs.names[1 + k]
        assert said(missing_paths, found, found.right - term) == [("missing path", f"the path of x through {name} is missing")]
        assert said(missing_paths, too_large(found), found.right - term) == []
        assert np.allclose([path for path_name, path in paths(found) if path_name == name], term, rtol=1e-7, atol=1e-8)


def test_samples_are_told_apart_though_y_has_no_steps():
    """y[b] = the sum over the steps of x[b]^2 and tanh(x[b] W); a weight of zeros, by which nothing flows back, comes first."""
    x, zeros, w = draw.standard_normal((3, 2, 4)), np.zeros((4, 4)), draw.standard_normal((4, 4))

    def forward(x, V, W):
        return (x * x + np.tanh(x @ V) + np.tanh(x @ W)).sum(axis=1)

    found = evidence_of(forward, lambda dy, x, V, W: (0 * x, V, 0 * W), x, zeros, w)
    term = (found.dy[:, None] * slope_of_tanh(x @ w)) @ w.T
    assert said(missing_paths, found, found.right - term.ravel()) == [("missing path", "the path of x through W is missing")]


def test_a_path_through_a_weight_is_told_only_where_its_gradient_tells_it():
    """More rows than columns, an x of one axis, a sample of the elements, a vector, another input: nothing."""
    found, _ = projected(True, draw.standard_normal((5, 4)), (4, 5))
    assert list(paths(found)) == []
    square, _ = projected(True, draw.standard_normal((3, 4)), (4, 5))
    assert [name for name, _ in paths(square)] == [square.inputs.names[1]]
    of = [square.truth.of[0], square.truth.of[1]._replace(elements=np.arange(7))]
    assert list(paths(replace(square, truth=square.truth._replace(of=of), measured={}))) == []  # W in a sample
    assert list(paths(sampled(square))) == [] and list(paths(replace(square, i=1))) == []
    vector = evidence_of(lambda x, w: np.tanh(x @ w), lambda dy, x, w: (0 * x, 0 * w), draw.standard_normal(4), np.ones((4, 5)))
    assert list(paths(vector)) == []
    scaled = evidence_of(lambda x, w: np.tanh(x * w), lambda dy, x, w: (0 * x, 0 * w), draw.standard_normal((3, 4)), np.ones(4))
    assert [name for name, _ in paths(scaled)] == ["y = x + ... (a residual connection)"]
    narrow = evidence_of(
        lambda x, w: np.tanh(x[:, :2] @ w), lambda dy, x, w: (0 * x, 0 * w), draw.standard_normal((2, 4)), np.ones((2, 3))
    )
    assert list(paths(narrow)) == []
