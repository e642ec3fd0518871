"""Mistakes of a whole pair of functions, each as a prediction: what would the gradient be if exactly this had been done?

diagnose.py compares two arrays. Here stand the hypotheses that need more: the measured columns of the Jacobian (columns.py), the
forward at other inputs, and the backward under other cotangents. None is named unless its prediction fits to half of the digits.

Much is seen best in the first row of y (its first sample, at the first step): under a cotangent on that row alone, nothing comes
back from later steps and nothing is summed, so the gradient of a bias is one term, and that of a weight a product of two vectors.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array

from .columns import Columns, too_many
from .diagnose import Mistake, fitter
from .inputs import is_floating
from .rounding import EPS, Trial
from .truth import Truth
from .verdict import Stopped


@dataclass
class Evidence:
    """A trial whose i-th gradient is wrong, and what can be measured about it. Gradients are (n,), at the measured elements."""

    trial: Trial
    truth: Truth
    i: int
    wrong: Array
    right: Array
    measured: dict[int, Columns | None]  # at the trial's inputs, of each gradient that has been asked for: shared
    tolerance: float = 0.0  # of a prediction, where that is more than half of the digits

    def __post_init__(self):
        pair = self.trial.pair
        self.inputs, self.pair = pair.inputs, pair
        self.name, self.x = pair.inputs.names[pair.inputs.places[self.i]], pair.inputs.floats[self.i]
        self.y = self.trial.y if len(pair.shapes) == 1 else None  # with its axes
        self.dy = self.trial.dy
        self.elements = self.truth.of[self.i].elements
        self.fits = self.fitter(self.wrong, self.right)

    def fitter(self, wrong: Array, right: Array) -> Callable[[Array], bool]:
        """Half of the digits of what the forward computes in must fit."""
        return fitter(wrong.astype(np.float32) if self.trial.eps > EPS else wrong, right, self.tolerance)

    def columns(self, i: int | None = None, values: list | None = None) -> Columns | None:
        """Of the i-th gradient's input (the wrong one's), at the trial's inputs or others; None where there are too many."""
        i = self.i if i is None else i
        if values is None and i in self.measured:
            return self.measured[i]
        elements, method = self.truth.of[i].elements, self.truth.method
        columns = None
        if not too_many(elements, self.trial.y, method):
            place = self.inputs.places[i]
            columns = Columns(self.pair, self.inputs.values if values is None else values, place, elements, method)
        if values is None:
            self.measured[i] = columns
        return columns

    def values_with(self, changes: dict[int, Array]) -> list:
        """The inputs' values with those of some places exchanged."""
        return [changes.get(place, x) for place, x in enumerate(self.inputs.values)]

    def axes_in_common(self) -> list[int]:
        """Axes along which the input and y go together, step by step."""
        if self.y is None:
            return []
        sizes = zip(self.x.shape, self.y.shape, strict=False)
        return [axis for axis, (a, b) in enumerate(sizes) if a == b > 1]

    def along(self, axis: int) -> Array:
        """(n,) the places of the measured elements along that axis of the input."""
        return np.array(np.unravel_index(self.elements, self.x.shape)[axis])


def hypotheses(evidence: Evidence) -> Iterator[Mistake]:
    """Every mistake that fits, the most specific first."""
    for hypothesis in (
        dy_itself,
        diagonal_alone,
        at_the_output,
        another_gelu,
        repeated_ids,
        neighbouring_ids,
        step_by_step,
        dy_moved,
        gradient_moved,
        steps_left_out,
        softmax_inside,
        one_row,
        missing_paths,
        gates_of_the_second_step,
    ):
        try:
            yield from hypothesis(evidence)
        except (Stopped, ArithmeticError, np.linalg.LinAlgError):  # the forward does not take these other inputs
            continue


# ------------------------------------------------------------------------------------------------------------ the whole function


def dy_itself(evidence: Evidence) -> Iterator[Mistake]:
    if evidence.dy.shape == evidence.x.shape and evidence.fits(evidence.dy.flat[evidence.elements]):
        yield Mistake("dy itself", f"d{evidence.name} is dy, handed through: the derivative of this function is missing")


def diagonal_alone(evidence: Evidence) -> Iterator[Mistake]:
    columns = evidence.columns()
    if columns and evidence.dy.shape == evidence.x.shape and evidence.fits(columns.diagonal(evidence.dy)):
        yield DIAGONAL


DIAGONAL = Mistake(
    "diagonal",
    "each output's dependence on the input in its own place alone (of a softmax: p (1 - p) dp); the rest of the Jacobian is missing",
)


def is_elementwise(evidence: Evidence) -> bool:
    columns = evidence.columns()
    if not columns or evidence.dy.shape != evidence.x.shape:
        return False
    own, all_of_them = columns.diagonal(evidence.dy), columns.gradient(evidence.dy)
    return bool(np.abs(own - all_of_them).max() <= 1e-6 * np.abs(all_of_them).max())


def at_the_output(evidence: Evidence) -> Iterator[Mistake]:
    """f'(f(x)): the backward keeps the output and takes it for the input."""
    if not is_elementwise(evidence) or evidence.y is None:
        return
    there = evidence.columns(values=evidence.values_with({evidence.inputs.places[evidence.i]: np.float64(evidence.y)}))
    if evidence.fits(there.diagonal(evidence.dy)):
        yield AT_THE_OUTPUT


AT_THE_OUTPUT = Mistake("at the output", "the derivative is taken at the output instead of the input: f'(f(x)), not f'(x)")


def another_gelu(evidence: Evidence) -> Iterator[Mistake]:
    """GELU has two forms, and each a derivative of its own: they agree to three digits."""
    if not is_elementwise(evidence) or evidence.y is None:
        return
    x, slope = evidence.x, math.sqrt(2 / math.pi)
    tanh = np.tanh(slope * (x + 0.044715 * x**3))
    cdf, pdf = (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2, np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    of_tanh = (1 + tanh) / 2 + x * (1 - tanh**2) / 2 * slope * (1 + 3 * 0.044715 * x**2)
    forms = {"the tanh form": ((1 + tanh) / 2 * x, of_tanh), "the erf form": (cdf * x, cdf + x * pdf)}
    mixed = (1 + tanh) / 2 + x * pdf
    digits = 1e-12 if evidence.trial.eps == EPS else 1e-5
    form = next((name for name, (y, _) in forms.items() if np.abs(y - evidence.y).max() <= digits * np.abs(y).max()), None)
    if form is None:
        return
    others = {"the derivative of the erf form": cdf + x * pdf, "that of the tanh form": of_tanh}
    others |= {"Phi of the tanh form plus x times the normal density": mixed}
    for name, derivative in others.items():
        if evidence.fits((evidence.dy * derivative).flat[evidence.elements]):
            yield Mistake("another formula", f"the forward is GELU in {form}, the backward is {name}: they agree to three digits")


# ------------------------------------------------------------------------------------------------------------------------- ids


def repeated_ids(evidence: Evidence) -> Iterator[Mistake]:
    """A table's row that is looked up more than once gets the gradient of one look-up only."""
    columns = evidence.columns()
    for ids in evidence.inputs.values:
        if columns is None or evidence.y is None or not is_ids(ids) or ids.max() >= len(evidence.x) or ids.min() < 0:
            continue
        rows = evidence.along(0)  # (n,)
        for axes in range(1, ids.ndim + 1):
            groups = ids.shape[:axes]
            if groups != evidence.y.shape[:axes]:
                break
            each = ids.reshape(math.prod(groups), -1)  # (G, R): the ids that were looked up for each part of y
            counts = np.array([(each == row).sum(axis=1) for row in rows])  # (n, G)
            if counts.sum(axis=1).max() < 2:
                continue
            owed = np.array([columns.gradient(only(evidence.dy, axes, g)) for g in range(len(each))]).T / np.maximum(counts, 1)
            last = counts.shape[1] - 1 - (counts[:, ::-1] > 0).argmax(axis=1)
            once = {"each": owed.sum(axis=1), "last": owed[np.arange(len(rows)), last], "first": owed[np.arange(len(rows)), (counts > 0).argmax(axis=1)]}
            if any(evidence.fits(prediction) for prediction in once.values()):
                keep = "dW[ids] = and dW[ids] += keep one look-up of each id; np.add.at adds them all"
                yield Mistake("repeated ids", f"ids that occur more than once count once: {keep}")
                return


def is_ids(x) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind in "iu" and x.ndim > 0


def only(dy: Array, axes: int, group: int) -> Array:
    """dy in one place of its leading axes, and 0 elsewhere."""
    part = np.zeros_like(dy).reshape(-1, *dy.shape[axes:])
    part[group] = dy.reshape(part.shape)[group]
    return part.reshape(dy.shape)


def neighbouring_ids(evidence: Evidence) -> Iterator[Mistake]:
    """The right gradient of other ids: those of the next or the last place."""
    for place, ids in enumerate(evidence.inputs.values):
        if not is_ids(ids):
            continue
        for step in (1, -1):
            columns = evidence.columns(values=evidence.values_with({place: ids + step}))
            if columns and evidence.fits(columns.gradient(evidence.dy)):
                name = evidence.inputs.names[place]
                yield Mistake("index", f"an index off by one: {name} {'+-'[step < 0]} 1 is used where {name} is due")


# ----------------------------------------------------------------------------------------------------------------------- steps


def step_by_step(evidence: Evidence) -> Iterator[Mistake]:
    """Only the path from each place to the same place of y: what one step hands to the next is left out."""
    columns = evidence.columns()
    for axis in evidence.axes_in_common() if columns else ():
        here = evidence.along(axis)  # (n,)
        there = np.arange(evidence.y.shape[axis]).reshape(-1, *[1] * (evidence.y.ndim - 1 - axis))
        same = here.reshape(-1, *[1] * evidence.y.ndim) == there  # (n, ..., steps, ...)
        if evidence.fits(columns.gradient(same * evidence.dy)):
            path = f"d{evidence.name} holds only what y in the same place along axis {axis} owes to it"
            yield Mistake("missing path", f"{path}; the path from step to step is missing (what comes back from the next step)")


def dy_moved(evidence: Evidence) -> Iterator[Mistake]:
    """The right backward of a dy that stands one place off."""
    columns = evidence.columns()
    for axis, step in itertools.product(range(evidence.dy.ndim if columns else 0), (1, -1)):
        moved = {"": pushed(evidence.dy, step, axis), " around the end": np.roll(evidence.dy, step, axis)}
        for how, dy in moved.items():
            if evidence.dy.shape[axis] > 1 and evidence.fits(columns.gradient(dy)):
                yield Mistake("shift", f"dy is read one place too {'early' if step > 0 else 'late'} along its axis {axis}{how}")


def gradient_moved(evidence: Evidence) -> Iterator[Mistake]:
    """Everything one place off, and 0 where nothing stands any more. (Around the end: diagnose.py.)"""
    if evidence.right.size != evidence.x.size:
        return
    right = evidence.right.reshape(evidence.x.shape)
    for axis, step in itertools.product(range(right.ndim), (1, -1)):
        if right.shape[axis] > 1 and evidence.fits(pushed(right, step, axis).ravel()):
            yield Mistake("shift", f"everything stands one place {'after' if step > 0 else 'before'} its own along axis {axis}")


def pushed(x: Array, step: int, axis: int) -> Array:
    """x moved by one place along the axis, with 0 in the place that falls free."""
    moved = np.roll(x, step, axis)
    moved[(slice(None),) * axis + (0 if step > 0 else -1,)] = 0
    return moved


def steps_left_out(evidence: Evidence) -> Iterator[Mistake]:
    """A loop that starts or ends one step off, or that assigns in each step what it should add."""
    columns = evidence.columns()
    off = "a loop that starts or ends one step off"
    if evidence.right.size == evidence.x.size:
        right = evidence.right.reshape(evidence.x.shape)
        for axis, edge in itertools.product(evidence.axes_in_common(), (0, -1)):
            if evidence.fits(without(right, axis, edge).ravel()):
                where = f"d{evidence.name} is 0 in the {['first', 'last'][edge]} place along axis {axis}, and right elsewhere"
                yield Mistake("index", f"{where}: {off}")
    for axis, edge in itertools.product(range(evidence.dy.ndim if columns else 0), (0, -1)):
        size, which = evidence.dy.shape[axis], ["first", "last"][edge]
        rest = without(evidence.dy, axis, edge)
        if size > 1 and evidence.fits(columns.gradient(evidence.dy - rest)):
            yield Mistake("overwritten", f"only the {which} place along axis {axis} of y counts: = where += is due")
        if size > 2 and evidence.fits(columns.gradient(rest)):
            yield Mistake("index", f"the {which} place along axis {axis} of y does not count: {off}")


def without(x: Array, axis: int, edge: int) -> Array:
    rest = x.copy()
    rest[(slice(None),) * axis + (edge,)] = 0
    return rest


# --------------------------------------------------------------------------------------------------------- the first row alone


def one_row(evidence: Evidence) -> Iterator[Mistake]:
    """What the gradients of the first row's loss say, where they are wrong too."""
    row = Row(evidence)
    if row.is_wrong(evidence.i):
        yield from last_derivative(evidence, row)
        yield from gates(evidence, row, all_of_them=True)
        yield from previous_step(evidence, row)
        return
    for number in range(1, min(4, evidence.dy.size // row.size)):  # all of a ReLU's row may be above 0
        yield from last_derivative(evidence, Row(evidence, number))


def gates_of_the_second_step(evidence: Evidence) -> Iterator[Mistake]:
    """A forget gate meets a cell of zeros in the first step: its gradient starts with the second."""
    for axis in range(evidence.dy.ndim - 1 if evidence.y is not None else 0):
        place = tuple(int(a == axis) for a in range(evidence.dy.ndim - 1))
        if evidence.dy.shape[axis] > 1:
            row = Row(evidence, int(np.ravel_multi_index(place, evidence.dy.shape[:-1])))
            if row.is_wrong(evidence.i):
                yield from gates(evidence, row, all_of_them=False)


class Row:
    """The backward's gradients and the true ones, under a cotangent on one row of y alone: the first, or another."""

    def __init__(self, evidence: Evidence, number: int = 0):
        self.evidence = evidence
        shape = evidence.pair.shapes[0]
        self.size = shape[-1] if shape else 1
        self.outputs = slice(number * self.size, (number + 1) * self.size)  # in y, flat
        self.dy = np.zeros_like(evidence.dy)
        self.dy.flat[self.outputs] = evidence.dy.flat[self.outputs]
        self.claimed = evidence.pair.gradients(self.dy)

    def true(self, i: int) -> Array | None:
        columns = self.evidence.columns(i)
        return None if columns is None else columns.gradient(self.dy)

    def got(self, i: int) -> Array:
        return self.claimed[i].flat[self.evidence.truth.of[i].elements]

    def is_wrong(self, i: int) -> bool:
        true = self.true(i)
        digits = 1e-6 if self.evidence.trial.eps == EPS else 1e-3
        return true is not None and bool(np.abs(self.got(i) - true).max() > digits * max(np.abs(true).max(), np.abs(self.got(i)).max()))

    def fits(self, i: int) -> Callable[[Array], bool]:
        return self.evidence.fitter(self.got(i), self.true(i))

    def biases(self) -> Iterator[int]:
        """Inputs with an element for each output of a row, and a wrong gradient: such as what is added before the last function."""
        for j, x in enumerate(self.evidence.inputs.floats):
            if self.evidence.y is not None and x.size == self.size == x.shape[-1] and self.is_wrong(j):
                yield j

    def jacobian(self, columns: Columns) -> Array:
        """(n, row): of each output of the row along each element."""
        outputs = np.zeros((self.size, *self.dy.shape))
        outputs.reshape(self.size, -1)[:, self.outputs] = np.eye(self.size)
        return np.array([columns.gradient(each) for each in outputs]).T


def last_derivative(evidence: Evidence, row: Row) -> Iterator[Mistake]:
    """y = f(... + b). In the first row b's gradient is f'(.)^T dy: dy itself where f' is left out, or f' where it is not due."""
    dy = row.dy.flat[row.outputs]
    for j in row.biases():
        place = evidence.inputs.places[j]
        fits, slope = row.fits(j), row.jacobian(evidence.columns(j))  # (row, row)
        nothing = {i: np.zeros_like(x) for i, x in zip(evidence.inputs.places, evidence.inputs.floats, strict=True)}
        there = {**nothing, place: np.float64(evidence.y).flat[row.outputs].reshape(evidence.inputs.values[place].shape)}
        at_y = row.jacobian(evidence.columns(j, evidence.values_with(there)))
        if fits(dy):
            yield Mistake("derivative missing", "the derivative of the last function, f'(x), is missing: dy goes past it")
        elif fits(slope.diagonal() * dy):
            yield DIAGONAL
        elif fits(at_y @ dy):
            yield AT_THE_OUTPUT
        elif fits(at_y.diagonal() * dy):
            yield Mistake(AT_THE_OUTPUT.kind, f"{AT_THE_OUTPUT.text}; and of its Jacobian only the diagonal")


def softmax_inside(evidence: Evidence) -> Iterator[Mistake]:
    """Attention: y = p v and p = softmax(q k^T). In one row of y dk is the outer product of dscores and q.

    So the wrong dk shows what was taken for dscores = p (dp - sum(p dp)), and the derivative by v shows p. The row is the last
    of the first sample, since a causal mask hides everything from the first.
    """
    if evidence.y is None or evidence.y.ndim < 2:
        return
    row = Row(evidence, evidence.y.shape[-2] - 1)
    for j, v in enumerate(evidence.inputs.floats):
        columns = evidence.columns(j)
        if v.ndim < 2 or v.shape[-1] != row.size or columns is None or len(columns.elements) < v.size:
            continue
        sample = (0,) * (v.ndim - 2)
        of_v = row.jacobian(columns).reshape(*v.shape, row.size)[sample]  # (S, D, row)
        p = of_v[:, 0, 0]
        if not np.allclose(of_v, p[:, None, None] * np.eye(row.size)) or not np.isclose(p.sum(), 1) or (p < 0).any():
            continue
        dp = v[sample] @ row.dy.flat[row.outputs]  # (S,)
        taken = {"the diagonal alone, p (1 - p) dp": p * (1 - p) * dp, "p dp, without the sum over the row": p * dp, "dp itself": dp}
        kinds = ("diagonal", "missing term", "derivative missing")
        for i, k in enumerate(evidence.inputs.floats):
            true = row.true(i)
            if i == j or k.ndim != v.ndim or k.shape[-2] != len(p) or true is None or true.size < k.size or not row.is_wrong(i):
                continue
            true, got = true.reshape(k.shape)[sample], row.got(i).reshape(k.shape)[sample]  # (S, D)
            right = p * (dp - p @ dp)
            for kind, (name, dscores) in zip(kinds, taken.items(), strict=True):
                predicted = true * np.divide(dscores, right, out=np.zeros_like(right), where=right != 0)[:, None]
                if fitter(got, true)(predicted):
                    yield Mistake(kind, f"inside, the gradient of a softmax's scores is {name}")
                    return


def gates(evidence: Evidence, row: Row, all_of_them: bool) -> Iterator[Mistake]:
    """A sigmoid or a tanh somewhere inside whose derivative is left out, counts twice, or is taken at its output.

    Then wrong / right is 1 / f'(z) in an element that enters z linearly (a bias, a weight), and it moves with that element as
    only this function can: 1 / sigmoid'(z) = 2 + 2 cosh z, 1 / tanh'(z) = (1 + cosh 2z) / 2, and cosh 2a = 2 cosh^2 a - 1. No
    value of z need be known.
    """
    true, got = row.true(evidence.i), row.got(evidence.i)
    judged = np.abs(true) > 1e-6 * max(np.abs(true).max(), np.abs(got).max())
    places = np.flatnonzero(judged & (np.abs(got - true) > 1e-6 * np.abs(true)))
    ratios = got[places] / true[places]
    places = places[(ratios > 0) & (ratios < FLAT)]
    some = 3 if all_of_them else 8  # after the first step what one gate does wrong is in the others too
    nearest = np.argsort(np.abs(np.log(got[places] / true[places])))[:some]
    found = [gate_at(evidence, row, int(place)) for place in places[nearest]]
    named = [each for each in found if each is not None]
    if named and len(set(named)) == 1 and (len(named) == len(found) or not all_of_them and len(named) > 1):
        where = "" if len(places) == judged.sum() or not all_of_them else f" (in {len(places)} of {len(true)} elements)"
        yield Mistake(named[0][0], named[0][1] + where)


FLAT = 20.0  # where a gate is so flat, a sigmoid's derivative looks like a quarter of a tanh's


def gate_at(evidence: Evidence, row: Row, k: int) -> tuple[str, str] | None:
    """What the k-th measured element's ratio says as that element moves; None where it says nothing, or two things."""
    size = 1.0
    for _ in range(3):
        ratio = {step: wrong_over_right(evidence, row, k, size * step) for step in (-2, -1, 0, 1, 2)}
        fitting = list(of_gates(ratio))
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
        curved = abs(ratio[1] + ratio[-1] - 2 * ratio[0]) / abs(ratio[0])
        if 0.2 < curved < 6:  # a weight moves z by what it is multiplied with: too far, and all of them look alike
            return None
        size *= 8 if curved < 0.2 else 0.25
    return None


def of_gates(ratio: dict[int, float]) -> Iterator[tuple[str, str]]:
    """The mistakes that give these ratios at -2, -1, 0, 1 and 2 steps."""
    for name, derivative, of_cosh in (("sigmoid", "s (1 - s)", lambda r: r - 2), ("tanh", "1 - t^2", lambda r: 2 * r - 1)):
        for kind, power, what in (("derivative missing", 1, "is missing"), ("double count", -1, "counts twice")):
            q = {step: of_cosh(r**power) for step, r in ratio.items()}
            once, twice = (q[1] + q[-1]) / (2 * q[0]), (q[2] + q[-2]) / (2 * q[0])
            if 1.1 < once < 4 and abs(twice - (2 * once**2 - 1)) <= 1e-4 * (once - 1) ** 2:  # beyond any parabola
                yield kind, f"the derivative of a {name}, {derivative}, {what}"
        if taken_at_its_output(name, ratio):
            yield AT_THE_OUTPUT.kind, f"the derivative of a {name} is taken at its output, not at its input: f'(f(z)), not f'(z)"


def wrong_over_right(evidence: Evidence, row: Row, k: int, step: float) -> float:
    """The backward's gradient over the true one, in that element, where that element is larger by step."""
    place, element = evidence.inputs.places[evidence.i], int(evidence.elements[k])
    x = evidence.inputs.values[place].copy()
    x.flat[element] += step
    values = evidence.values_with({place: x})
    pair = replace(evidence.pair, inputs=replace(evidence.inputs, values=values))
    got = pair.gradients(row.dy)[evidence.i].flat[element]
    return float(got / Columns(pair, values, place, np.array([element]), evidence.truth.method).gradient(row.dy)[0])


def taken_at_its_output(name: str, ratio: dict[int, float]) -> bool:
    """Whether some z and a give f'(f(z + a step)) / f'(z + a step) for each step."""
    f, slope = {"sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))), "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2)}[name]

    def expected(z):
        return slope(f(z)) / slope(z)

    for z, moved in itertools.product(*(where(expected, ratio[step]) for step in (0, 1))):
        if all(abs(expected(z + (moved - z) * step) - r) <= 1e-5 * abs(r) for step, r in ratio.items()) and abs(moved - z) > 0.1:
            return True
    return False


def where(function: Callable, value: float) -> list[float]:
    """The z between -8 and 8 at which the function has that value."""
    z = np.linspace(-8, 8, 2001)
    off = function(z) - value
    found = []
    for low, high in ((z[k], z[k + 1]) for k in np.flatnonzero(off[:-1] * off[1:] <= 0)):
        rising = function(high) > value
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (low, middle) if (function(middle) > value) == rising else (middle, high)
        found.append(low)
    return found


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def previous_step(evidence: Evidence, row: Row) -> Iterator[Mistake]:
    """A weight's gradient is the sum of products, dz[t] times what the weight met in step t. In the first step: of which vector?"""
    if evidence.x.ndim != 2 or evidence.right.size != evidence.x.size or evidence.y is None:
        return
    true, got = row.true(evidence.i).reshape(evidence.x.shape), row.got(evidence.i).reshape(evidence.x.shape)
    vectors = {f"y[{place}]": each for place, each in neighbours(evidence.y, of_y=True)}
    for name, x in zip(evidence.inputs.names, evidence.inputs.values, strict=True):
        if is_floating(x) and x.ndim > 1:
            vectors |= {f"{name}[{place}]": each for place, each in neighbours(x, of_y=False)}
    for axis, dz in itertools.product((0, 1), differentials(evidence, row)):
        if dz.size != evidence.x.shape[axis]:
            continue
        met = (got if axis else got.T) @ dz / (dz @ dz)  # what the product with dz was made of
        due = (true if axis else true.T) @ dz / (dz @ dz)
        if not row.fits(evidence.i)((np.outer(met, dz) if axis else np.outer(dz, met)).ravel()):
            continue
        wrong = np.flatnonzero(np.abs(met - due) > 1e-6 * np.abs(met).max())
        part = slice(wrong[0], wrong[-1] + 1)
        for name, vector in vectors.items():
            if len(vector) == len(met[part]) and np.abs(met[part] - vector).max() <= 1e-6 * np.abs(vector).max():
                yield Mistake("shift", f"one step off: in the first step d{evidence.name} is made of {name}, a step too late")
                return


def neighbours(x: Array, of_y: bool) -> Iterator[tuple[str, Array]]:
    """Rows that a step off may take for its own: of y the first (h[t] for h[t - 1]) and the last (h[-1]), of x the second."""
    first = (0,) * (x.ndim - 1)
    if of_y:
        yield ", ".join(map(str, first)) or "0", x[first]
    for axis in range(x.ndim - 1):
        for there in (1, -1):
            if x.shape[axis] > 1:
                place = tuple(there if i == axis else 0 for i in range(x.ndim - 1))
                yield ", ".join(map(str, place)), x[place]


def differentials(evidence: Evidence, row: Row) -> Iterator[Array]:
    """Candidates for dz in the first step: the true gradients of vectors that are added to z."""
    for j, x in enumerate(evidence.inputs.floats):
        true = row.true(j)
        if x.size == max(x.shape, default=1) and true is not None and true.size == x.size and true.any():
            yield true


# ------------------------------------------------------------------------------------------------------------------ paths of x


def missing_paths(evidence: Evidence) -> Iterator[Mistake]:
    """x goes several ways, and the gradient of one of them is left out (or counts twice, or is subtracted)."""
    for name, term in paths(evidence):
        power = float((term**2).sum())
        if power == 0:
            continue
        factor = float(((evidence.wrong - evidence.right) * term).sum()) / power  # least squares: wrong = right + factor term
        for kind, value, what in (("missing path", -1, "is missing"), ("double count", 1, "counts twice"), ("sign", -2, "has the wrong sign")):
            if np.isclose(factor, value, rtol=1e-4) and evidence.fits(evidence.right + value * term):
                yield Mistake(kind, f"the path of {evidence.name} through {name} {what}")


def paths(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """What single paths give to the gradient, as far as they can be told apart from outside: (n,) each."""
    if evidence.dy.shape == evidence.x.shape:
        yield "y = x + ... (a residual connection)", evidence.dy.flat[evidence.elements]
    for name, forward in evidence.pair.blocked.items():
        there = replace(evidence.pair, forward=forward)
        place = evidence.inputs.places[evidence.i]
        columns = Columns(there, evidence.inputs.values, place, evidence.elements, evidence.truth.method)
        yield name, evidence.right - columns.gradient(evidence.dy)
    if evidence.x.ndim > 1 and evidence.right.size == evidence.x.size and evidence.y is not None:
        for j, weight in enumerate(evidence.inputs.floats):
            if j != evidence.i and weight.ndim == 2:
                yield from through(evidence, j, weight)


def through(evidence: Evidence, j: int, weight: Array) -> Iterator[tuple[str, Array]]:
    """The path x -> x @ W, of W's true gradient alone.

    dx = dz W^T and dW = x^T dz, so dz = pinv(x^T) dW, where the rows of x (of each sample by itself) are no more than its
    columns. For the other layout, x @ W^T, everything is transposed.
    """
    columns, shape = evidence.columns(j), evidence.x.shape
    if columns is None or len(columns.elements) < weight.size:
        return
    samples = shape[0] if evidence.x.ndim > 2 and evidence.y.ndim > 1 and evidence.y.shape[0] == shape[0] else 1
    xs = evidence.x.reshape(samples, -1, shape[-1])  # (S, R, C)
    if xs.shape[1] > xs.shape[2]:
        return
    whole = [columns.gradient(only(evidence.dy, 1, s) if samples > 1 else evidence.dy) for s in range(samples)]
    for w, dws in ((weight, whole), (weight.T, [dw.reshape(weight.shape).T for dw in whole])):
        if w.shape[0] == shape[-1]:
            dzs = [np.linalg.pinv(x.T) @ np.reshape(dw, w.shape) for x, dw in zip(xs, dws, strict=True)]
            dx = np.concatenate([dz @ w.T for dz in dzs])
            yield evidence.inputs.names[evidence.inputs.places[j]], dx.reshape(-1)[evidence.elements]
