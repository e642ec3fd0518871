"""Mistakes of a whole pair of functions, each as a prediction: what would the gradient be if exactly this had been done?

diagnose.py compares two arrays. Here stand the hypotheses that need more (evidence.py): of the whole function, of ids, of
steps, of the ways that x takes. What a single row of y tells stands in rows.py and gates.py. None is named unless its
prediction fits to half of the digits.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .columns import Columns
from .diagnose import Mistake, least_squares
from .evidence import AT_THE_OUTPUT, DIAGONAL, Evidence
from .gates import gates_of_the_second_step
from .rounding import EPS
from .rows import first_row, softmax_inside
from .verdict import Stopped


def hypotheses(evidence: Evidence) -> Iterator[Mistake]:
    """Every mistake that fits, the most specific first."""
    for hypothesis in (
        *(dy_itself, diagonal_alone, at_the_output, another_gelu),
        *(repeated_ids, neighbouring_ids),
        *(step_by_step, dy_moved, gradient_moved, steps_left_out),
        *(softmax_inside, first_row, missing_paths, gates_of_the_second_step),
    ):
        try:
            yield from hypothesis(evidence)
        except (Stopped, ArithmeticError, np.linalg.LinAlgError):  # not on these other inputs, or not of this size
            continue


# -------------------------------------------------------------------------------------------------------- the whole function


def dy_itself(evidence: Evidence) -> Iterator[Mistake]:
    if evidence.dy.shape == evidence.x.shape and evidence.fits(evidence.dy.flat[evidence.elements]):
        yield Mistake("dy itself", f"{evidence.gradient} is dy, handed through: the derivative of this function is missing")


def diagonal_alone(evidence: Evidence) -> Iterator[Mistake]:
    columns = evidence.columns()
    if columns and evidence.dy.shape == evidence.x.shape and evidence.fits(columns.diagonal(evidence.dy)):
        yield DIAGONAL


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
    there = evidence.columns(values=evidence.values_with({evidence.place: np.float64(evidence.y)}))
    if there is not None and evidence.fits(there.diagonal(evidence.dy)):
        yield AT_THE_OUTPUT


def another_gelu(evidence: Evidence) -> Iterator[Mistake]:
    """GELU has two forms, and each a derivative of its own: they agree to three digits."""
    if not is_elementwise(evidence) or evidence.y is None:
        return
    x, slope = evidence.x, math.sqrt(2 / math.pi)
    t = np.tanh(slope * (x + 0.044715 * x**3))
    phi, density = (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2, np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    forms = {"the tanh form": x * (1 + t) / 2, "the erf form": x * phi}
    derivatives = {
        "the derivative of the tanh form": (1 + t) / 2 + x / 2 * (1 - t * t) * slope * (1 + 3 * 0.044715 * x**2),
        "the derivative of the erf form": phi + x * density,
        "a mixture, the tanh form's Phi plus x times the normal density": (1 + t) / 2 + x * density,
    }
    digits = 1e-12 if evidence.trial.eps == EPS else 1e-5
    for form, y in forms.items():
        for name, derivative in derivatives.items() if np.abs(y - evidence.y).max() <= digits * np.abs(y).max() else ():
            if evidence.fits((evidence.dy * derivative).flat[evidence.elements]):
                how = f"the forward is GELU in {form}, the backward {name}: they agree to three digits"
                yield Mistake("another formula", how)


# ------------------------------------------------------------------------------------------------------------------------- ids


def repeated_ids(evidence: Evidence) -> Iterator[Mistake]:
    """A table's row that is looked up more than once gets the gradient of one look-up only."""
    columns = evidence.columns()
    if columns is None or evidence.y is None or evidence.x.ndim == 0:
        return
    rows = evidence.along(0)  # (n,)
    for ids in filter(is_ids, evidence.inputs.values):
        for axes in range(1, ids.ndim + 1):
            groups = ids.shape[:axes]
            if groups != evidence.y.shape[:axes]:
                break
            each = ids.reshape(math.prod(groups), -1)  # (G, R): the ids that were looked up for each part of y
            counts = np.array([(each == row).sum(axis=1) for row in rows])  # (n, G)
            owed = np.array([columns.gradient(only(evidence.dy, axes, g)) for g in range(len(each))]).T / np.maximum(counts, 1)
            first = (counts > 0).argmax(axis=1)
            last = counts.shape[1] - 1 - (counts[:, ::-1] > 0).argmax(axis=1)
            n = np.arange(len(rows))
            if any(map(evidence.fits, (owed.sum(axis=1), owed[n, first], owed[n, last]))):
                keep = "dW[ids] = and dW[ids] += keep one look-up of each id; np.add.at adds them all"
                yield Mistake("repeated ids", f"ids that occur more than once count once: {keep}")
                return


def is_ids(x: Theirs) -> bool:
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
        for step, sign in ((1, "+"), (-1, "-")):
            columns = evidence.columns(values=evidence.values_with({place: ids + step}))
            if columns and evidence.fits(columns.gradient(evidence.dy)):
                name = evidence.inputs.names[place]
                yield Mistake("index", f"an index off by one: {name} {sign} 1 is used where {name} is due")


# ----------------------------------------------------------------------------------------------------------------------- steps


def step_by_step(evidence: Evidence) -> Iterator[Mistake]:
    """Only the path from each place to the same place of y: what one step hands to the next is left out."""
    columns = evidence.columns()
    if columns is None or evidence.y is None:
        return
    for axis in evidence.axes_in_common():
        here = evidence.along(axis)  # (n,)
        there = np.arange(evidence.y.shape[axis]).reshape(-1, *[1] * (evidence.y.ndim - 1 - axis))
        same = here.reshape(-1, *[1] * evidence.y.ndim) == there  # (n, ..., steps, ...)
        if evidence.fits(columns.gradient(same * evidence.dy)):
            path = f"{evidence.gradient} holds only what y in the same place along axis {axis} owes to it"
            yield Mistake("missing path", f"{path}; the path from step to step is missing (what comes back from the next step)")


def dy_moved(evidence: Evidence) -> Iterator[Mistake]:
    """The right backward of a dy that stands one place off."""
    columns = evidence.columns()
    if columns is None:
        return
    for axis, (step, side) in itertools.product(range(evidence.dy.ndim), ((1, "early"), (-1, "late"))):
        moved = {"": pushed(evidence.dy, step, axis), " around the end": np.roll(evidence.dy, step, axis)}
        for how, dy in moved.items():
            if evidence.dy.shape[axis] > 1 and evidence.fits(columns.gradient(dy)):
                yield Mistake("shift", f"dy is read one place too {side} along its axis {axis}{how}")


def gradient_moved(evidence: Evidence) -> Iterator[Mistake]:
    """Everything one place off, and 0 where nothing stands any more. (Around the end: diagnose.py.)"""
    if evidence.right.size != evidence.x.size:
        return
    right = evidence.right.reshape(evidence.x.shape)
    for axis, (step, side) in itertools.product(range(right.ndim), ((1, "after"), (-1, "before"))):
        if right.shape[axis] > 1 and evidence.fits(pushed(right, step, axis).ravel()):
            yield Mistake("shift", f"everything stands one place {side} its own along axis {axis}")


def pushed(x: Array, step: int, axis: int) -> Array:
    """x moved by one place along the axis, with 0 in the place that falls free."""
    moved = np.roll(x, step, axis)
    moved[(slice(None),) * axis + (0 if step == 1 else -1,)] = 0
    return moved


def steps_left_out(evidence: Evidence) -> Iterator[Mistake]:
    """A loop that starts or ends one step off, or that assigns in each step what it should add."""
    columns = evidence.columns()
    off = "a loop that starts or ends one step off"
    if evidence.right.size == evidence.x.size:
        right = evidence.right.reshape(evidence.x.shape)
        for axis, edge in itertools.product(evidence.axes_in_common(), (0, -1)):
            if evidence.fits(without(right, axis, edge).ravel()):
                where = (
                    f"{evidence.gradient} is 0 in the {['first', 'last'][edge]} place along axis {axis}, and right elsewhere"
                )
                yield Mistake("index", f"{where}: {off}")
    if columns is None:
        return
    for axis, edge in itertools.product(range(evidence.dy.ndim), (0, -1)):
        size, which = evidence.dy.shape[axis], ["first", "last"][edge]
        rest = without(evidence.dy, axis, edge)
        if evidence.fits(columns.gradient(evidence.dy - rest)):
            yield Mistake("overwritten", f"only the {which} place along axis {axis} of y counts: = where += is due")
        if size > 2 and evidence.fits(columns.gradient(rest)):
            yield Mistake("index", f"the {which} place along axis {axis} of y does not count: {off}")


def without(x: Array, axis: int, edge: int) -> Array:
    rest = x.copy()
    rest[(slice(None),) * axis + (edge,)] = 0
    return rest


# ------------------------------------------------------------------------------------------------------------------ paths of x


def missing_paths(evidence: Evidence) -> Iterator[Mistake]:
    """x goes several ways, and the gradient of one of them is left out (or counts twice, or is subtracted)."""
    for name, term in paths(evidence):
        factor = least_squares(evidence.wrong - evidence.right, term).item()  # wrong = right + factor term
        for value, (kind, what) in PARTS.items():
            if np.isclose(factor, value, rtol=1e-4) and evidence.fits(evidence.right + value * term):
                yield Mistake(kind, f"the path of {evidence.name} through {name} {what}")


PARTS = {-1: ("missing path", "is missing"), 1: ("double count", "counts twice"), -2: ("sign", "has the wrong sign")}


def paths(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """What single paths give to the gradient, as far as they can be told apart from outside: (n,) each."""
    if evidence.dy.shape == evidence.x.shape:
        yield "y = x + ... (a residual connection)", evidence.dy.flat[evidence.elements]
    for name, forward in evidence.pair.blocked.items() if evidence.columns() else ():
        there, method = replace(evidence.pair, forward=forward), evidence.truth.method
        columns = Columns(there, evidence.inputs.values, evidence.place, evidence.elements, method)
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
    columns, shape, y = evidence.columns(j), evidence.x.shape, evidence.y
    if columns is None or y is None or len(columns.elements) < weight.size:
        return
    samples = shape[0] if evidence.x.ndim > 2 and y.shape[:1] == shape[:1] else 1
    xs = evidence.x.reshape(samples, -1, shape[-1])  # (S, R, C)
    if xs.shape[1] > xs.shape[2]:
        return
    whole = [columns.gradient(only(evidence.dy, 1, s) if samples > 1 else evidence.dy) for s in range(samples)]
    for w, dws in ((weight, whole), (weight.T, [dw.reshape(weight.shape).T for dw in whole])):
        if w.shape[0] == shape[-1]:
            dzs = [np.linalg.pinv(x.T) @ np.reshape(dw, w.shape) for x, dw in zip(xs, dws, strict=True)]
            dx = np.concatenate([dz @ w.T for dz in dzs])
            yield evidence.inputs.names[evidence.inputs.places[j]], dx.reshape(-1)[evidence.elements]
