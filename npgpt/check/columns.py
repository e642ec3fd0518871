"""The derivative of every output along single elements of one input, measured: the columns of the Jacobian.

One forward pass (or a ladder of them) gives such a column whole. From the columns follows the true gradient of any loss on
these outputs, so that a hypothesis such as "dy was read one step late" costs no further pass.
"""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray as Array

from .calling import Pair
from .numerical import STEPS, H, extrapolate, ladder, ladder_steps, moved, one_hot

MOST_NUMBERS = 4_000_000  # that the columns of one input may hold


class Columns:
    """Of the input at that place, at those values of all inputs, for those flat indices (n,) of its elements."""

    def __init__(self, pair: Pair, values: Sequence, place: int, elements: Array, method: str):
        self.elements, self.shape = elements, values[place].shape
        directions = one_hot(self.shape, elements)
        if method == "the complex step":
            columns = [np.imag(pair.y(*moved(values, place, 1j * H * v))) / H for v in directions]
            self.slopes, self.errors = np.array(columns)[:, None], None  # (n, 1, *y)
        else:
            steps = ladder_steps(values[place])
            sides = np.array([ladder(pair.y, values, place, v, steps)[:2] for v in directions])
            right, left = sides[:, 0], sides[:, 1]  # each (n, STEPS, *y)
            per_step = 1 / steps.reshape(-1, *[1] * (right.ndim - 2))  # (STEPS, 1, ...)
            self.slopes = (right - left) * per_step / 2
            self.errors = (np.abs(right) + np.abs(left)) * per_step * np.finfo(np.float64).eps

    def gradient(self, dy: Array) -> Array:
        """Of the loss sum(dy y): (n,). dy (*y), or (n, *y): a cotangent of its own for each element."""
        axes = tuple(range(2, self.slopes.ndim))
        weights = (dy if dy.ndim == len(axes) + 1 else dy[None])[:, None]  # (n or 1, 1, *y)
        sums = (self.slopes * weights).sum(axis=axes)  # (n, 1 or STEPS)
        if self.errors is None:
            return sums[:, 0]
        return extrapolate(sums, (self.errors * np.abs(weights)).sum(axis=axes))[0]

    def diagonal(self, dy: Array) -> Array:
        """(n,) where y has the input's shape: what each element owes to the output in its own place."""
        own = np.zeros((len(self.elements), dy.size))
        own[np.arange(len(self.elements)), self.elements] = dy.flat[self.elements]
        return self.gradient(own.reshape(-1, *dy.shape))


def too_many(elements: Array, y: Array, method: str) -> bool:
    return len(elements) * y.size * (1 if method == "the complex step" else STEPS) > MOST_NUMBERS
