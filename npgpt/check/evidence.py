"""What can be measured about a wrong gradient beyond its numbers.

The columns of the Jacobian, at these inputs or others, and what forward and backward give for the loss of a single row of y.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray as Array

from .columns import MOST_NUMBERS, Columns, too_many
from .diagnose import Fits, Mistake, fitter
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
    clear: Array  # (n,) booleans: measured well enough to judge
    measured: dict[int, Columns | None]  # at the trial's inputs, of each gradient that has been asked for: shared
    tolerance: float = 0.0  # of a prediction, where that is more than half of the digits

    def __post_init__(self) -> None:
        self.pair, self.inputs, self.dy = self.trial.pair, self.trial.pair.inputs, self.trial.dy
        self.place = self.inputs.places[self.i]
        self.name, self.gradient, self.x = self.inputs.names[self.place], self.inputs.wanted[self.i], self.inputs.floats[self.i]
        self.y = self.trial.y if len(self.pair.shapes) == 1 else None  # with its axes
        self.elements = self.truth.of[self.i].elements

    def fits(self, prediction: Array) -> bool:
        """Whether the wrong gradient is that."""
        return self.fitter(self.wrong, self.right)(np.where(self.clear, prediction, self.wrong))

    def fitter(self, wrong: Array, right: Array) -> Fits:
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

    def values_with(self, changes: Mapping[int, Array | np.generic]) -> list:
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


class Row:
    """The backward's gradients and the true ones, under a cotangent on one row of y alone: the first, or another."""

    def __init__(self, evidence: Evidence, number: int = 0):
        self.evidence = evidence
        shape = evidence.pair.shapes[0]
        self.size = shape[-1] if shape else 1
        if self.size * evidence.dy.size > MOST_NUMBERS:
            raise Stopped("derivative", "y is too large for its Jacobian")
        self.outputs = slice(number * self.size, (number + 1) * self.size)  # in y, flat
        self.dy = np.zeros_like(evidence.dy)
        self.dy.flat[self.outputs] = evidence.dy.flat[self.outputs]
        self.claimed = evidence.pair.gradients(self.dy)

    def true(self, i: int) -> Any:
        """(n,), or None where the Jacobian has too many columns. (Any: of a gradient that `is_wrong` it is there.)"""
        columns = self.evidence.columns(i)
        return None if columns is None else columns.gradient(self.dy)

    def got(self, i: int) -> Array:
        return self.claimed[i].flat[self.evidence.truth.of[i].elements]

    def is_wrong(self, i: int) -> bool:
        true = self.true(i)
        if true is None:
            return False
        digits, got = 1e-6 if self.evidence.trial.eps == EPS else 1e-3, self.got(i)
        return bool(np.abs(got - true).max() > digits * max(np.abs(true).max(), np.abs(got).max()))

    def fits(self, i: int) -> Fits:
        return self.evidence.fitter(self.got(i), self.true(i))

    def jacobian(self, columns: Columns) -> Array:
        """(n, row): of each output of the row along each element."""
        outputs = np.zeros((self.size, self.dy.size))
        outputs[:, self.outputs] = np.eye(self.size)
        return np.array([columns.gradient(each.reshape(self.dy.shape)) for each in outputs]).T


DIAGONAL = Mistake(
    "diagonal",
    "each output's dependence on the input in its own place alone (of a softmax: p (1 - p) dp), without the others",
)
AT_THE_OUTPUT = Mistake("at the output", "the derivative is taken at the output instead of the input: f'(f(x)), not f'(x)")
