"""What evidence.py, gates.py, rows.py and hypotheses.py measure about a wrong gradient, each function by itself.

test_check_layer.py has the same mistakes in backward passes as learners write them. Here stands what these cannot show: how
far a ratio, a prediction or a size may be off, and what is asked in which order.
"""

import math
from dataclasses import replace
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest

import npgpt.check.evidence as evidence_module
import npgpt.check.gates as gates_module
import npgpt.check.rows as rows_module
from npgpt import check_backward
from npgpt.check.diagnose import Mistake, fitter
from npgpt.check.evidence import DIAGONAL, Row
from npgpt.check.gates import (
    gate_at,
    gates,
    gates_of_the_second_step,
    of_gates,
    sigmoid,
    taken_at_its_output,
    where,
    wrong_over_right,
)
from npgpt.check.rounding import EPS
from npgpt.check.verdict import Stopped

from .conftest import begins_anew
from .test_mistakes import doubled, evidence_of, linear, linear_gradients
from .wrong_backwards import softmax

draw = np.random.default_rng(7)
the_same_numbers = begins_anew(draw)
STEPS = (-2, -1, 0, 1, 2)


# -------------------------------------------------------------------------------------------------------------------- gates


@pytest.fixture
def asked(monkeypatch):
    """(true, got, answers, all_of_them) -> the elements at which gates() asks, and what it says in the end."""

    def ask(true, got, answers=lambda k: None, all_of_them=True):
        seen = []
        row = SimpleNamespace(true={2: np.array(true, float)}.get, got={2: np.array(got, float)}.get)
        evidence = SimpleNamespace(i=2)

        def answer(its_evidence, its_row, k):
            assert its_evidence is evidence and its_row is row and type(k) is int
            seen.append(k)
            return answers(k)

        monkeypatch.setattr(gates_module, "gate_at", answer)
        return seen, list(gates(evidence, row, all_of_them))

    return ask


def test_gates_are_looked_for_where_the_ratio_is_nearest_to_1(asked):
    """Of the wrong elements with a ratio between 0 and 20. Catches: a right element asked, one in which another path has
    turned the sign, one so flat that a sigmoid looks like a tanh there."""
    true = np.full(9, 2.0)
    ratios = np.array([1, 19.9, 20, -1.5, 0, 1.5, 0.5, 4, 1.2])
    assert asked(true, ratios * true)[0] == [8, 5, 6]
    assert asked(true, ratios * true, all_of_them=False)[0] == [8, 5, 6, 7, 1]
    many = 1.5 ** np.arange(1.0, 7.5, 0.5)  # 13 of them, the largest is 14
    assert asked(np.ones(13), many)[0] == [0, 1, 2]
    assert asked(np.ones(13), many, all_of_them=False)[0] == list(range(8))


def test_an_element_is_no_gates_where_its_gradient_is_rounding_alone(asked):
    """Below a millionth of the largest element, true or claimed; and right to a millionth of itself."""
    for factor, largest in ((1.5, 1.5), (0.5, 1.0)):
        true = np.array([1, 0.99e-6 * largest, 1.01e-6 * largest])
        assert sorted(asked(true, factor * true)[0]) == [0, 2]
    true = np.array([4.0, 4, 4, -4, -4])
    off = 1 + 1e-6 * np.array([0.99, 1.01, -1.01, 1.01, 0.99])
    assert sorted(asked(true, off * true)[0]) == [1, 2, 3]


def test_all_elements_must_name_the_gate_or_two_of_eight(asked):
    """In the first step, all of them; after it, two that agree, and none that says something else."""
    one, other = Mistake("derivative missing", "of a sigmoid"), Mistake("derivative missing", "of a tanh")
    true, got = np.ones(5), np.array([1.1, 1.2, 1.3, 1.4, 1.5])

    def said(answers, all_of_them):
        return asked(true, got, answers.get, all_of_them)[1]

    assert said({0: one, 1: one, 2: one}, True) == [one]
    assert said({0: one, 2: one}, True) == [] and said({0: one, 1: one, 2: other}, True) == [] and said({}, True) == []
    assert said({1: one, 4: one}, False) == [one] and said({0: one, 1: one, 2: one}, False) == [one]
    assert said({1: one}, False) == [] and said({1: one, 2: one, 3: other}, False) == [] and said({}, False) == []
    assert asked([1, 1], [1.5, 1], {0: one}.get)[1] == [one]  # all of them may be one
    assert asked(true, true, {}.get, True) == asked(true, true, {}.get, False) == ([], [])  # nothing is wrong


@pytest.fixture
def gate_of(monkeypatch):
    """What gate_at says of these ratios, and the steps at which it asks for them."""

    def ask(ratio):
        steps = []

        def measured(evidence, row, k, step):
            assert (evidence, row, k) == ("evidence", "row", 7)
            steps.append(step)
            return ratio(step)

        monkeypatch.setattr(gates_module, "wrong_over_right", measured)
        return gate_at("evidence", "row", 7), steps

    return ask


def steps_of(*sizes):
    return [size * step for size in sizes for step in STEPS]


@pytest.mark.parametrize(
    ("a", "sizes"),
    [(0.7, (1,)), (0.02, (1, 8, 64)), (0.15, (1, 8)), (5.6, (1, 0.25)), (22.4, (1, 0.25, 0.0625))],
)
def test_a_step_is_taken_larger_or_smaller_until_the_ratio_bends(gate_of, a, sizes):
    """a is what the element is multiplied with: z moves by a with it, and a sigmoid's curve shows at about 1."""
    found, steps = gate_of(lambda step: 2 + 2 * math.cosh(0.4 + a * step))
    assert found == ("derivative missing", "the derivative of a sigmoid, s (1 - s), is missing") and steps == steps_of(*sizes)


def test_after_three_sizes_a_ratio_that_does_not_bend_is_given_up(gate_of):
    for a, sizes in ((0.0, (1, 8, 64)), (0.002, (1, 8, 64)), (89.6, (1, 0.25, 0.0625))):
        found, steps = gate_of(lambda step, a=a: 2 + 2 * math.cosh(min(300, abs(0.4 + a * step))))
        assert found is None and steps == steps_of(*sizes)


def test_a_ratio_that_bends_as_no_gate_does_is_none(gate_of):
    """By hand: of a parabola r0 + b step + c step^2 the bend is 2 c / r0; between 0.2 and 6 another step would show nothing
    new. Where a ratio is 0 / 0, the step went too far."""
    for at_0, c, sizes in (
        (10, 0.99, (1, 8, 64)), (10, 1, (1, 8, 64)), (10, 1.01, (1,)), (-10, -1.01, (1,)),
        (1, 2.99, (1,)), (1, 3, (1, 0.25, 0.0625)), (1, 3.01, (1, 0.25, 0.0625)), (1, np.nan, (1, 0.25, 0.0625)),
    ):  # fmt: skip
        for b in (0, 4):
            ratios = cycle([at_0 + b * step + c * step**2 for step in STEPS])
            found, steps = gate_of(lambda step, ratios=ratios: next(ratios))
            assert found is None and steps == steps_of(*sizes)


def test_what_two_mistakes_explain_names_neither(gate_of, monkeypatch):
    monkeypatch.setattr(gates_module, "of_gates", lambda ratio: iter(["one", "two"]))
    found, steps = gate_of(lambda step: 1.0)
    assert found is None and steps == steps_of(1)


def test_a_ratio_of_0_is_no_gates():
    """Of an element that a ReLU cuts off a step further. Catches: 1 / 0, which would end all that is asked of this row."""
    assert list(of_gates({-2: 0.0, -1: 0.0, 0: 1.0, 1: 1.5, 2: 2.0})) == []


def test_a_gates_ratio_has_to_be_a_cosh_and_no_parabola():
    """By hand: q = r - 2 = 2 cosh z is to be cosh(a) and cosh(2a) = 2 cosh(a)^2 - 1 as large one and two steps off, to a
    ten-thousandth of (cosh(a) - 1)^2; and cosh(a) between 1.1 and 4."""

    def kinds(once, off=0.0):
        a, q0 = math.acosh(once), 2 * math.cosh(0.4)
        ratio = {step: 2 + 2 * math.cosh(0.4 + a * step) for step in STEPS}
        ratio[2] += off * (once - 1) ** 2 * 2 * q0
        return [each.kind for each in of_gates(ratio)]

    assert kinds(1.09) == kinds(4.1) == [] and kinds(1.11) == kinds(3.9) == ["derivative missing"]
    for once in (1.5, 2.5):
        assert kinds(once, 0.98e-4) == kinds(once, -0.98e-4) == ["derivative missing"]
        assert kinds(once, 1.02e-4) == kinds(once, -1.02e-4) == []


def test_a_ratio_at_the_output_fits_to_a_hundred_thousandth():
    def slope(z):
        return sigmoid(z) * (1 - sigmoid(z))

    ratio = {step: slope(sigmoid(2 + 0.8 * step)) / slope(2 + 0.8 * step) for step in STEPS}
    assert ratio[2] > 7  # the fits are parts of the ratio, not of 1
    for part, fits in ((0.97, True), (-0.97, True), (1.03, False), (-1.03, False)):
        assert taken_at_its_output("sigmoid", {**ratio, 2: ratio[2] * (1 + 1e-5 * part)}) is fits
    nearly_still = {step: slope(sigmoid(2 + 0.11 * step)) / slope(2 + 0.11 * step) for step in STEPS}
    assert taken_at_its_output("sigmoid", nearly_still)


def test_where_a_function_has_a_value_between_8_and_its_negative():
    """By hand. Catches: a root at a place of the grid itself that is found on neither side, or off by a whole place."""
    for f, root in ((lambda z: z - 7.999, 7.999), (lambda z: -3 - z, -3.0), (lambda z: z + 7.999, -7.999)):
        assert np.allclose(where(f, 0.0), root, rtol=0, atol=1e-12) and len(where(f, 0.0)) in (1, 2)
    assert where(lambda z: z - 8.001, 0.0) == where(lambda z: z + 8.001, 0.0) == []
    for sign in (1, -1):
        found = where(lambda z, sign=sign: sign * z, 0.0)
        assert found and np.allclose(found, 0, rtol=0, atol=1e-12)
    assert np.allclose(where(lambda z: z * z, 4.0 + 1e-3), [-math.sqrt(4.001), math.sqrt(4.001)], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("real", "digits"), [(np.asarray, 16 * EPS), (np.real, 1e-8)], ids=["complex step", "differences"])
def test_a_ratio_is_measured_where_the_element_alone_is_larger(real, digits):
    """y = sigmoid(x W + b), with s' left out or twice: b[3]'s gradient of the second row is dy[1, 3], or dy[1, 3] s'^2, at
    the element's new place, over dy[1, 3] s' there; in the digits that 1 - s has."""
    x, w, b = draw.standard_normal((3, 4)), draw.standard_normal((4, 5)), draw.standard_normal(5)

    def forward(x, w, b):
        return sigmoid(real(x) @ real(w) + real(b))

    for power in (0, 2):

        def backward(dy, x, w, b, power=power):
            s = forward(x, w, b)
            dz = dy * (s * (1 - s)) ** power
            return dz @ w.T, x.T @ dz, dz.sum(axis=0)

        found = evidence_of(forward, backward, x, w, b, i=2)
        for step in (0.0, 0.7, -1.5):
            s = sigmoid(x[1] @ w + b + step)[3]
            right = (s * (1 - s)) ** (power - 1)
            assert wrong_over_right(found, Row(found, 1), 3, step) == pytest.approx(right, rel=digits / (1 - s), abs=0)
        assert found.inputs.values[2] is not b and np.array_equal(found.inputs.values[2], b)


def test_the_second_step_is_looked_for_along_each_axis(monkeypatch):
    """y (2, 1, 3, 4): its rows one place after the first along axis 0 and along axis 2 are the fourth and the second."""

    def row_of(evidence, number):
        return SimpleNamespace(number=number, is_wrong=lambda i: {5: number in wrong}[i])

    monkeypatch.setattr(gates_module, "Row", row_of)
    monkeypatch.setattr(gates_module, "gates", lambda evidence, row, all_of_them: [(evidence.i, row.number, all_of_them)])
    evidence = SimpleNamespace(dy=np.zeros((2, 1, 3, 4)), y=np.zeros((2, 1, 3, 4)), i=5)
    wrong = {0, 1, 2, 3, 4, 5}
    assert list(gates_of_the_second_step(evidence)) == [(5, 3, False), (5, 1, False)]
    wrong = {0, 1}
    assert list(gates_of_the_second_step(evidence)) == [(5, 1, False)]
    evidence.y, wrong = None, {1, 3}  # several outputs
    assert list(gates_of_the_second_step(evidence)) == []


# ------------------------------------------------------------------------------------------------------------------ evidence


def two_outputs(x):
    return (np.tanh(x), x * x), x


def two_outputs_doubled(dt, dq, x):
    return 2 * dt * (1 - np.tanh(x) ** 2) + 2 * x * dq


def test_of_several_outputs_there_is_no_y_with_axes():
    found = evidence_of(two_outputs, two_outputs_doubled, draw.standard_normal((2, 3)))
    assert found.y is None and found.axes_in_common() == []


def test_axes_in_common_have_one_size_above_1():
    found = evidence_of(
        lambda x, w: x @ w, lambda dy, x, w: (2 * dy @ w.T, 0 * w), draw.standard_normal((1, 3, 4)), np.ones((4, 4))
    )
    assert found.axes_in_common() == [1, 2] and found.along(1).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    found = evidence_of(lambda x: x[:1].copy(), lambda dy, x: np.ones(x.shape), draw.standard_normal((2, 3)))
    assert found.axes_in_common() == [1]


def test_half_of_the_digits_are_those_of_what_the_forward_computes_in():
    """8 sqrt(eps) of the whole: 1.2e-7, or 2.8e-3 of a forward in float32; or the tolerance, where that is more."""
    x = draw.standard_normal((3, 4))
    double = evidence_of(np.tanh, lambda dy, x: 2 * dy * (1 - np.tanh(x) ** 2), x)
    single = evidence_of(lambda x: np.tanh(x.astype(np.float32)).astype(float), lambda dy, x: 2 * dy * (1 - np.tanh(x) ** 2), x)
    for found, fits in ((double, (True, False, False)), (single, (True, True, False))):
        claimed = found.wrong
        assert tuple(found.fits(claimed * (1 + off)) for off in (1e-8, 2e-3, 4e-3)) == fits
        assert tuple(found.fitter(claimed, found.right)(claimed * (1 + off)) for off in (1e-8, 2e-3, 4e-3)) == fits
    assert replace(double, tolerance=5e-3).fits(double.wrong * 1.004) and not replace(double, tolerance=5e-3).fits(
        double.wrong * 1.006
    )


@pytest.mark.parametrize(("real", "rtol"), [(np.asarray, 16 * EPS), (np.real, 1e-8)], ids=["complex step", "differences"])
def test_columns_are_measured_as_the_true_gradients_were(real, rtol):
    """dy (1 - y^2) of y = tanh(x), here and at other inputs. Catches: differences, which have ten digits, where the complex
    step has all; the complex step, which finds 0, where the forward drops the imaginary part."""
    x = draw.uniform(-1, 1, (3, 4))
    found = evidence_of(lambda x: np.tanh(real(x)), lambda dy, x: 2 * dy * (1 - np.tanh(x) ** 2), x)
    for values, at in ((None, x), ([x / 2], x / 2)):
        expected = (found.dy * (1 - np.tanh(at) ** 2)).ravel()
        assert np.allclose(found.columns(values=values).gradient(found.dy), expected, rtol=rtol, atol=0)


def test_too_many_columns_are_not_measured(monkeypatch):
    found = evidence_of(np.tanh, lambda dy, x: 2 * dy, draw.standard_normal((3, 4)))
    asked = []
    monkeypatch.setattr(evidence_module, "too_many", lambda *about: asked.append(about) or True)
    assert found.columns() is None and found.columns(values=found.values_with({})) is None and found.measured == {0: None}
    elements, y, method = asked[0]
    assert np.array_equal(elements, range(12)) and y is found.trial.y and method == "the complex step"
    assert found.columns() is None and len(asked) == 2  # not asked again
    row = Row(found)
    assert row.true(0) is None and not row.is_wrong(0)


def test_a_row_of_a_number_is_that_number_and_a_jacobian_of_four_million_numbers_is_too_large():
    found = evidence_of(lambda x: (x * x).sum(), lambda dy, x: 4 * x * dy, draw.standard_normal(3))
    row = Row(found)
    assert (row.size, row.outputs) == (1, slice(0, 1)) and row.dy == found.dy and row.is_wrong(0)
    for size in (2000, 2001):  # a row of so many outputs, of one row: size^2 numbers
        pair = SimpleNamespace(shapes=[(1, size)], gradients=lambda dy: [dy])
        evidence = SimpleNamespace(pair=pair, dy=np.ones((1, size)))
        if size == 2000:
            assert np.array_equal(Row(evidence).claimed, [np.ones((1, 2000))])
        else:
            with pytest.raises(Stopped, match=r"^y is too large for its Jacobian$") as stop:
                Row(evidence)
            assert stop.value.check.name == "derivative"


def test_a_row_is_wrong_beyond_a_millionth_of_its_largest_element():
    """A thousandth where the forward computes in float32; true or claimed, whichever is larger."""
    for eps, digits in ((EPS, 1e-6), (1e-7, 1e-3)):
        for true, got in (([4.0, 1, 0], [0.0, 0, 0]), ([0.0, 0, 0], [4.0, 1, 0])):
            row = Row.__new__(Row)
            row.evidence = SimpleNamespace(trial=SimpleNamespace(eps=eps))
            row.true, row.got = {3: np.array(true)}.get, {3: np.array(got)}.get
            assert row.is_wrong(3)
        for sign in (1, -1):
            for part, wrong in ((0.99, False), (1.01, True)):
                row.true = {3: np.array([4.0, 1, -2])}.get
                row.got = {3: np.array([4.0 * (1 - digits / 10), 1 + sign * part * digits * 4, -2])}.get
                assert row.is_wrong(3) is wrong
        row.true = row.got = {3: np.zeros(3)}.get
        assert row.is_wrong(3) is False  # of zeros nothing is wrong


def test_a_row_reads_the_measured_elements():
    x, w = draw.standard_normal((3, 4)), draw.standard_normal((4, 5))
    found = evidence_of(linear, doubled, x, w)
    found.truth.of[0] = found.truth.of[0]._replace(elements=np.array([5, 4]))
    row = Row(found, 1)
    assert np.array_equal(row.got(0), row.claimed[0].ravel()[[5, 4]]) and row.got(0).all()
    found.measured.clear()
    assert np.allclose(row.true(0), row.got(0) / 2, rtol=1e-12, atol=0)


def test_each_gradient_of_a_row_has_a_true_one_beside_it():
    """dW is off by a twenty-millionth: the true one is near to it, and explains nothing. Catches: a prediction for dW that is
    held against the true gradient of another input, beside which anything near fits."""
    x, w = draw.standard_normal((3, 4)), draw.standard_normal((4, 5))

    def backward(dy, x, w):
        dx, dw = linear_gradients(dy, x, w)
        return 2 * dx, dw * (1 + 5e-8)

    row = Row(evidence_of(linear, backward, x, w), 1)
    assert row.fits(1)(row.got(1)) and not row.fits(1)(row.true(1))
    assert row.fits(0)(row.got(0)) and not row.fits(0)(row.true(0))


# --------------------------------------------------------------------------------------------------------------------- rows


@pytest.fixture
def order(monkeypatch):
    """What first_row asks, and of which row, for an evidence."""

    def ask(evidence):
        seen = []

        def noted(name):
            def note(its_evidence, row, **options):
                assert its_evidence is evidence and row.evidence is evidence
                seen.append((name, row.outputs.start // row.size, *options.values()))
                return [name]

            return note

        for name in ("last_derivative", "gates", "previous_step"):
            monkeypatch.setattr(rows_module, name, noted(name))
        found = list(rows_module.first_row(evidence))
        assert found == [name for name, *_ in seen]
        return seen

    return ask


def test_the_first_row_tells_most_and_where_it_is_right_the_next_three(order):
    w = draw.standard_normal((4, 5))
    for n, others in ((1, []), (2, [1]), (4, [1, 2, 3]), (6, [1, 2, 3])):
        x = draw.standard_normal((n, 4))
        first = np.arange(n)[:, None] == 0
        wrong = evidence_of(linear, doubled, x, w)
        assert order(wrong) == [("last_derivative", 0), ("gates", 0, True), ("previous_step", 0)]

        def right_in_the_first(dy, x, w, first=first):
            dz = dy * (1 - np.tanh(x @ w) ** 2)
            return np.where(first, 1, 2) * (dz @ w.T), x.T @ dz

        right = evidence_of(linear, right_in_the_first, x, w)
        assert order(right) == [("last_derivative", number) for number in others]


def last_of(backward_of_z, f, i=2, bias_shape=(3,)):
    """What last_derivative says of y = f(x W + b) in the first row, where the backward takes dz for what is told. Of a b with
    two axes its first row is taken, which a number has not."""
    x, w, b = draw.standard_normal((3, 4)), draw.standard_normal((4, 3)), draw.standard_normal(bias_shape)

    def inside(x, w, b):
        return x @ w + (b if len(bias_shape) == 1 else b[0])

    def backward(dy, x, w, b):
        z = inside(x, w, b)
        dz = backward_of_z(dy, z, f(z))
        return dz @ w.T, x.T @ dz, dz.sum(axis=0).reshape(b.shape)

    found = evidence_of(lambda x, w, b: f(inside(x, w, b)), backward, x, w, b, i=i)
    return [tuple(each) for each in rows_module.last_derivative(found, Row(found))]


def softmax_jacobian(p):
    """(3, 3) of one row."""
    return np.diag(p) - np.outer(p, p)


def test_the_last_functions_derivative_is_told_by_a_bias():
    """y = softmax(x W + b), whose Jacobian is no diagonal: J dy, dy, its diagonal, and both at the output in place of z."""

    def by_row(of_one):
        return lambda dy, z, p: np.stack([of_one(*each) for each in zip(dy, z, p, strict=True)])

    taken_at = "the derivative is taken at the output instead of the input: f'(f(x)), not f'(x)"
    for taken, expected in (
        (lambda d, z, p: softmax_jacobian(p) @ d, []),
        (
            lambda d, z, p: d,
            [("derivative missing", "the derivative of the last function, f'(x), is missing: dy goes past it")],
        ),
        (lambda d, z, p: np.diag(softmax_jacobian(p)) * d, [tuple(DIAGONAL)]),
        (lambda d, z, p: softmax_jacobian(softmax(p)) @ d, [("at the output", taken_at)]),
        (
            lambda d, z, p: np.diag(softmax_jacobian(softmax(p))) * d,
            [("at the output", f"{taken_at}; and of its Jacobian only the diagonal")],
        ),
        (lambda d, z, p: 1.5 * d, []),
    ):
        assert last_of(by_row(taken), softmax) == expected
        assert last_of(by_row(taken), softmax, i=0) == expected  # whichever gradient is asked for, the bias tells
        assert last_of(by_row(taken), softmax, bias_shape=(1, 3)) == expected


def test_only_a_vector_of_a_rows_size_tells_the_last_derivative():
    """y = tanh(x v + s) of rows of three: neither a column (3, 1) nor a single number is what a bias is."""
    x = draw.standard_normal((2, 3))
    for s in (draw.standard_normal((3, 1)), np.array([0.5])):

        def forward(x, s):
            return np.tanh(x + s.ravel())

        def backward(dy, x, s):
            return dy, dy.sum(axis=0).reshape(s.shape) if s.size == 3 else dy.sum().reshape(1)

        found = evidence_of(forward, backward, x, s, i=1)
        assert list(rows_module.last_derivative(found, Row(found))) == []
    found = evidence_of(
        lambda x, s: (np.tanh(x + s), 1 * x), lambda dh, dc, x, s: (dh + dc, dh.sum(axis=0)), x, np.array([0.5, -1, 2]), i=1
    )
    assert list(rows_module.last_derivative(found, Row(found))) == []  # which of two outputs the row is of, nothing tells


def test_rows_that_a_step_off_may_take_are_those_beside_the_first():
    """y's first row too: h[t] for h[t - 1]. Catches: a place that is not there, a vector's elements, integers."""
    y, x, w = np.arange(24.0).reshape(2, 3, 4), np.arange(6.0).reshape(3, 1, 2), np.arange(3.0)
    v = np.arange(6.0).reshape(3, 2)
    evidence = SimpleNamespace(
        y=y, inputs=SimpleNamespace(names=["x", "w", "ids", "v"], values=[x, w, np.arange(4).reshape(2, 2), v])
    )
    found = dict(rows_module.neighbours(evidence))
    expected = {"y[0, 0]": y[0, 0], "y[1, 0]": y[1, 0], "y[-1, 0]": y[1, 0], "y[0, 1]": y[0, 1], "y[0, -1]": y[0, 2]}
    expected |= {"x[1, 0]": x[1, 0], "x[-1, 0]": x[2, 0], "v[1]": v[1], "v[-1]": v[2]}
    assert list(found) == list(expected) and all(np.array_equal(found[name], expected[name]) for name in expected)


def test_what_is_added_to_z_is_a_vector_with_a_gradient():
    """Its true gradient of the row is dz. Not: a matrix, an input that does not move the row, a sample of the elements."""
    floats = [np.zeros(3), np.zeros((1, 3)), np.zeros((2, 3)), np.zeros(()), np.zeros(3), np.zeros(3), np.zeros(4)]
    true = [[1, 0, 2], [3, 4, 5], [1] * 6, [7], [0, 0, 0], None, [1, 2, 3]]
    row = SimpleNamespace(true=lambda j: None if true[j] is None else np.array(true[j], float))
    evidence = SimpleNamespace(inputs=SimpleNamespace(floats=floats))
    found = list(rows_module.differentials(evidence, row))
    assert [each.tolist() for each in found] == [[1, 0, 2], [3, 4, 5], [7]]


def attended(q, k, v):
    """(B, L, D), (B, S, D), (B, S, V) -> y (B, L, V) and the weights p (B, L, S)."""
    p = softmax(q @ np.swapaxes(k, -1, -2))
    return p @ v, p


def attended_backward(dz, q, k, v, of_scores):
    _, p = attended(q, k, v)
    dscores = of_scores(dz @ np.swapaxes(v, -1, -2), p)
    return dscores @ k, np.swapaxes(dscores, -1, -2) @ q, np.swapaxes(p, -1, -2) @ dz


def evidence_of_attention(of_scores, i=0, shapes=((2, 3, 4), (2, 5, 4), (2, 5, 3))):
    inputs = [draw.standard_normal(shape) for shape in shapes]
    return evidence_of(
        lambda q, k, v: attended(q, k, v)[0], lambda dz, q, k, v: attended_backward(dz, q, k, v, of_scores), *inputs, i=i
    )


def right_of_scores(dp, p):
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 5, 4), (2, 5, 3)), ((3, 4), (5, 4), (5, 3))])
def test_a_softmax_inside_is_told_by_the_gradient_of_what_it_was_made_from(shapes):
    """Of other sizes for queries, keys and values, so that no array is mistaken for another."""
    for of_scores, expected in (
        (right_of_scores, []),
        (lambda dp, p: p * (1 - p) * dp, [("diagonal", "the diagonal alone, p (1 - p) dp")]),
        (lambda dp, p: p * dp, [("missing term", "p dp, without the sum over the row")]),
        (lambda dp, p: dp, [("derivative missing", "dp itself")]),
        (lambda dp, p: p * (1 - 2 * p) * dp, []),
    ):
        for i in (0, 1):
            found = list(rows_module.softmax_inside(evidence_of_attention(of_scores, i, shapes)))
            assert found == [(kind, f"inside, the gradient of a softmax's scores is {name}") for kind, name in expected]


def test_keys_are_told_from_what_is_only_as_large_and_are_measured_whole():
    """A vector, and an input of the keys' shape that has no part in y, stand before them. Catches: a gradient of 0, rightly so,
    that is every multiple of 0; a sample of the keys' elements in the place of all."""
    shapes = ((4,), (2, 5, 4), (2, 3, 4), (2, 5, 4), (2, 5, 3))
    inputs = [draw.standard_normal(shape) for shape in shapes]

    def of(of_scores):
        def backward(dz, s, u, q, k, v):
            return 0 * s, 0 * u, *attended_backward(dz, q, k, v, of_scores)

        return evidence_of(lambda s, u, q, k, v: attended(q, k, v)[0], backward, *inputs, i=3)

    assert list(rows_module.softmax_inside(of(right_of_scores))) == []
    found = of(lambda dp, p: dp)
    assert [each.kind for each in rows_module.softmax_inside(found)] == ["derivative missing"]
    found.truth.of[3] = found.truth.of[3]._replace(elements=np.arange(39))
    found.measured.clear()
    assert list(rows_module.softmax_inside(found)) == []
    found.measured[3] = None  # or not at all
    assert list(rows_module.softmax_inside(found)) == []


def test_a_key_that_is_hidden_hides_no_mistake():
    """Of keys behind a mask p is 0, and so is what is right there. Catches: 0 / 0, with which no mistake is told."""
    hidden = np.array([0, 0, -np.inf, 0, 0])
    inputs = [draw.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 3))]

    def weights(q, k):
        return softmax(q @ np.swapaxes(k, -1, -2) + hidden)

    for of_scores, kind in ((lambda dp, p: p * (1 - p) * dp, "diagonal"), (lambda dp, p: dp, "derivative missing")):

        def backward(dz, q, k, v, of_scores=of_scores):
            p = weights(q, k)
            dscores = of_scores(dz @ np.swapaxes(v, -1, -2), p)
            return dscores @ k, np.swapaxes(dscores, -1, -2) @ q, np.swapaxes(p, -1, -2) @ dz

        found = evidence_of(lambda q, k, v: weights(q, k) @ v, backward, *inputs)
        assert [each.kind for each in rows_module.softmax_inside(found)] == [kind]


def test_of_one_key_alone_nothing_tells_what_was_taken():
    found = evidence_of_attention(lambda dp, p: dp, 1, ((2, 3, 4), (2, 1, 4), (2, 1, 3)))
    assert list(rows_module.softmax_inside(found)) == []


def test_a_bias_of_one_row_is_no_softmax_and_hides_none():
    """y = p v + b, b (1, 3): of b's one row y is an average too, of one key alone. Catches: a search that ends there."""
    inputs = [draw.standard_normal(shape) for shape in ((1, 3), (3, 4), (5, 4), (5, 3))]

    def backward(dz, b, q, k, v):
        return dz.sum(axis=0, keepdims=True), *attended_backward(dz, q, k, v, lambda dp, p: dp)

    found = evidence_of(lambda b, q, k, v: attended(q, k, v)[0] + b, backward, *inputs, i=2)
    assert rows_module.weights_of(found, Row(found, 2), 0).tolist() == [1.0]
    assert [each.kind for each in rows_module.softmax_inside(found)] == ["derivative missing"]


def test_the_row_that_is_asked_of_a_softmax_inside_is_the_last():
    """Of two steps behind a causal mask: the first sees itself alone, p is 1 there, and nothing tells what was taken."""

    def weights(q, k):
        scores = q @ np.swapaxes(k, -1, -2)
        return softmax(np.where(np.tri(2, dtype=bool), scores, -np.inf))

    def backward(dz, q, k, v):
        p = weights(q, k)
        dscores = p * (1 - p) * (dz @ np.swapaxes(v, -1, -2))
        return dscores @ k, np.swapaxes(dscores, -1, -2) @ q, np.swapaxes(p, -1, -2) @ dz

    inputs = [draw.standard_normal((2, 2, size)) for size in (4, 4, 3)]
    found = evidence_of(lambda q, k, v: weights(q, k) @ v, backward, *inputs)
    assert [each.kind for each in rows_module.softmax_inside(found)] == ["diagonal"]


def test_the_weights_of_a_row_are_read_off_what_is_averaged():
    """p of the last row of the first sample; only where it is an average, with p >= 0 and a sum of 1, of the whole input."""
    found = evidence_of_attention(right_of_scores)
    q, k, v = found.inputs.floats
    row = Row(found, 2)
    assert np.allclose(rows_module.weights_of(found, row, 2), attended(q, k, v)[1][0, 2], rtol=1e-12, atol=0)
    assert rows_module.weights_of(found, row, 0) is None and rows_module.weights_of(found, row, 1) is None
    matrix = draw.standard_normal((4, 3))

    def weights(forward, v=matrix):
        averaged = evidence_of(forward, lambda dy, v: 0 * v, v)
        return rows_module.weights_of(averaged, Row(averaged, 1), 0)

    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.3, 0.0]])
    assert np.allclose(weights(lambda v: p @ v), p[1], rtol=1e-12, atol=1e-15)
    for none in (
        lambda v: 2 * p @ v,  # a sum of 2
        lambda v: (p + np.array([[0, 0, 0, 0], [0, 0, 0.5, -0.5]])) @ v,  # one below 0
        lambda v: p @ v * [1, 1, 0.5],  # not the same for each column
        lambda v: p @ v @ np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1.0]]),  # columns that mix
        lambda v: (p @ v)[:, :2],  # y's rows are shorter
    ):
        assert weights(none) is None
    assert weights(lambda v: np.stack([v, v]), np.array([0.5, 1.0, 2])) is None  # a vector
    found.truth.of[2] = found.truth.of[2]._replace(elements=np.arange(29))
    found.measured.clear()
    assert rows_module.weights_of(found, row, 2) is None  # a sample


@pytest.mark.parametrize("axis", [0, 1])
def test_what_a_weight_met_in_the_first_step_is_found_among_the_rows_beside_it(axis):
    """dW = met dz^T in the first row (or its transpose): what is met in place of what is due, in all of the weight's rows or
    in a part of them (x and h side by side). By hand, of y (1, 3, 4) and a bias whose gradient is dz; beside it stands one
    whose gradient is at right angles to dz, for which nothing is met and nothing is due. Catches: an error there."""
    y, dz, beside = draw.standard_normal((1, 3, 4)), np.array([1.0, -2, 0.5]), np.array([2.0, 1, 0])
    due, other = draw.standard_normal(4), draw.standard_normal(4)
    x = draw.standard_normal(2)

    def said(met, due, dz=dz, change=lambda got: got, y=y):
        def weight(a):
            return np.outer(a, dz) if axis else np.outer(dz, a)

        true, got = weight(due), change(weight(met))
        gradients = {0: (np.ones(7), np.ones(7)), 1: (true.ravel(), got.ravel()), 2: (beside, beside), 3: (dz, dz)}
        row = SimpleNamespace(
            true=lambda i: gradients[i][0],
            got=lambda i: gradients[i][1],
            fits=lambda i: fitter(gradients[i][1], gradients[i][0]),
        )
        floats = [np.zeros(7), true, np.zeros(3), np.zeros(len(dz))]
        inputs = SimpleNamespace(names=["a", "W", "c", "b"], values=floats, floats=floats)
        evidence = SimpleNamespace(x=true, right=true.ravel(), y=y, i=1, gradient="dW", inputs=inputs)
        return list(rows_module.previous_step(evidence, row))

    def off(name):
        text = f"one step off: in the first step dW is made of {name}, which is not what the weight met there"
        return [("shift", text)]

    assert said(y[0, 0], 0 * due) == off("y[0, 0]") and said(y[0, 1], due) == off("y[0, 1]") == said(y[0, 1] * (1 + 1e-8), due)
    assert said(y[0, 2], due) == off("y[0, -1]")
    assert said(np.append(x, y[0, 0]), np.append(x, 0 * due)) == off("y[0, 0]")
    assert said(np.append(y[0, 0], x), np.append(due, x)) == off("y[0, 0]")
    near, large = 1 + 1e-8, 1000 * y  # the millionth is of what is met, whatever its size
    assert said(near * np.append(1000 * x, large[0, 0]), np.append(1000 * x, 0 * due), y=large) == off("y[0, 0]")
    assert said(other, due) == [] and said(y[0, 0] * 1.001, due) == []
    assert said(y[0, 0], due, change=lambda got: got + 0.1 * draw.standard_normal(got.shape)) == []  # no product with dz
    assert said(y[0, 0], due, y=None) == [] and said(0 * due, due) == []


def test_a_weight_that_a_bias_stands_in_for_is_graded_without_an_error():
    """y = tanh(x W) in some columns and sin(b) in the others: the first row of dW, left out, is no multiple of db there."""
    x, w, b = draw.standard_normal((4, 3)), draw.standard_normal((3, 6)), draw.standard_normal(6)
    of_w = np.arange(6) % 2 == 0

    def backward(dy, x, w, b):
        dz = np.where(of_w, dy * (1 - np.tanh(x @ w) ** 2), 0)
        return dz @ w.T, 1.3 * x[1:].T @ dz[1:], np.where(of_w, 0, dy * np.cos(b)).sum(axis=0)

    verdict = check_backward(lambda x, w, b: np.where(of_w, np.tanh(x @ w), np.sin(b)), backward, x, w, b)
    assert verdict.first_failure == "derivative" and verdict.mistake is None and "Right: dx, db." in str(verdict)


def test_a_weight_has_two_axes_and_is_measured_whole():
    for x, right in ((np.ones(3), np.ones(3)), (np.ones((2, 2, 2)), np.ones(8)), (np.ones((2, 3)), np.ones(4))):
        evidence = SimpleNamespace(x=x, right=right, y=np.ones((1, 2, 3)), i=0)
        assert list(rows_module.previous_step(evidence, None)) == []
