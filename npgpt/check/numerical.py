"""Derivatives measured from a forward pass alone, without knowing its formula: what a hand-written backward is judged by.

**Complex step.** For a forward that also computes with complex numbers,

    f(x + ih) = f(x) + ih f'(x) - h^2 f''(x) / 2 - ...        so        f'(x) = Im f(x + ih) / h

to rounding, once h^2 vanishes beside 1. Nothing is subtracted, so h may be 1e-30. But np.abs, np.var or .real drop the
imaginary part without a word, and with it a part of the derivative: `finite_differences` along a random direction tells.

**Finite differences.** (f(x + h) - f(x - h)) / 2h = f'(x) + a h^2 + b h^4 + ...: a large h leaves the series' terms, a small
one divides the rounding error of f by h. So f is differenced on a ladder of steps, each a quarter of the last, and neighbours
are combined so that a, then b, ... cancel (Richardson; a step's h^2 is 16 times the next one's). A combination's error is
estimated by its distance to the two that it was made of, and is at least the rounding error of f over h; the smallest wins.

Sources: Squire, Trapp 1998, "Using complex variables to estimate derivatives of real functions"; Ridders 1982, "Accurate
computation of F'(x) and F'(x) F''(x)".
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

H = 1e-30  # the complex step
STEPS = 9  # rungs of the ladder of real steps, from a quarter of the input's size down to 4e-6 of it

Function = Callable[..., Array]  # (*inputs) -> y


class Differences(NamedTuple):
    values: Array  # (n,)
    errors: Array  # (n,): how far off each value may be, as the ladder estimates it
    kinks: Array  # (n,) booleans: the derivatives from the left and from the right differ


def one_hot(shape: tuple[int, ...], elements: Iterable[int]) -> Iterable[Array]:
    """For each flat index the direction that moves this element alone."""
    for element in elements:
        direction = np.zeros(shape)
        direction.flat[element] = 1.0
        yield direction


def moved(inputs: Sequence, place: int, step: Array) -> list:
    """A fresh copy of the inputs with one of them moved; a complex step makes every floating input complex."""
    copies = [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]
    if np.iscomplexobj(step):
        copies = [x.astype(np.complex128) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in copies]
    copies[place] = copies[place] + step
    return copies


def complex_step(f: Function, inputs: Sequence, place: int, directions: Iterable[Array], dy: Array) -> Array:
    """sum(dy * derivative of f along each direction), one number a direction: (n,). Raises what f raises."""
    return np.array([(np.imag(f(*moved(inputs, place, 1j * H * v))) / H * dy).sum() for v in directions])


def finite_differences(
    f: Function, inputs: Sequence, place: int, directions: Iterable[Array], dy: Array, y_error: Array | float = 0.0
) -> Differences:
    """sum(dy * derivative of f along each direction), with an error estimate for each. f may raise or overflow at large steps.

    y_error: the rounding error of f's output, elementwise, where it is known to be more than an eps of the output.
    """
    steps = ladder_steps(inputs[place])
    rows = [summed(*ladder(f, inputs, place, v, steps), steps, dy, y_error) for v in directions]
    slopes, bends, rounding = (np.array(column).reshape(-1, STEPS) for column in zip(*rows, strict=True))  # each (n, STEPS)
    values, errors = extrapolate(slopes, rounding)
    return Differences(values, errors, on_a_kink(bends, rounding[:, -1], values))


def on_a_kink(bends: Array, rounding: Array, values: Array) -> Array:
    """(n,) booleans, of the jump of the slope at each step (n, STEPS): h f'', so that it falls with h where f is smooth, and
    constant where there is a kink. It counts where it is more than 16 rounding errors, and a millionth of the slope.

    The first jump is that of the largest step at which f could be computed.
    """
    first = np.take_along_axis(bends, np.isfinite(bends).argmax(axis=1)[:, None], axis=1)[:, 0]
    jump = np.abs(bends[:, -1])
    return (jump > 0.25 * np.abs(first)) & (jump > 16 * rounding) & (jump > 1e-6 * np.abs(values))


def ladder_steps(x: Array) -> Array:
    """(STEPS,) steps for an input of that size, the largest first: powers of two, so that x + h is exact more often."""
    size = float(np.abs(x).mean()) or 1.0
    return 2.0 ** (np.round(np.log2(size)) - 2 * np.arange(1, STEPS + 1))


def ladder(f: Function, inputs: Sequence, place: int, direction: Array, steps: Array) -> tuple[Array, Array, Array]:
    """f to the right and to the left of the inputs, for each step (STEPS, *y), and in the middle (*y); nan where f raises."""
    middle = f(*moved(inputs, place, 0.0 * direction))
    right, left = np.full((2, len(steps), *middle.shape), np.nan)
    for k, h in enumerate(steps):
        try:
            right[k], left[k] = f(*moved(inputs, place, h * direction)), f(*moved(inputs, place, -h * direction))
        except Exception:  # outside of what f takes (the root of a negative number, say): a smaller step will do
            right[k] = left[k] = np.nan
    return right, left, middle


def summed(
    right: Array, left: Array, middle: Array, steps: Array, dy: Array, y_error: Array | float
) -> tuple[Array, Array, Array]:
    """Of the loss sum(dy y), for each step h: the central difference, the jump of the slope, and the rounding error of both.

    An output that not even the largest step moves has nothing to round; its derivative is 0, or below what float64 shows.
    """
    axes = tuple(range(1, right.ndim))
    still = ((right == middle) & (left == middle) | np.isnan(right)).all(axis=0)
    sizes = np.abs(dy) * (np.abs(right) + np.abs(left))  # (STEPS, *y)
    moving = np.where(still, 0.0, np.finfo(middle.dtype).eps * sizes + np.abs(dy) * y_error).sum(axis=axes)
    resting = np.where(still, np.finfo(np.float64).eps * sizes, 0.0).sum(axis=axes)
    slopes = (dy * (right - left)).sum(axis=axes) / (2 * steps)
    bends = (dy * ((right - middle) + (left - middle))).sum(axis=axes) / steps
    return slopes, bends, moving / steps + resting / steps[0]


def extrapolate(slopes: Array, rounding: Array) -> tuple[Array, Array]:
    """Central differences (n, STEPS) at h, h/4, h/16, ... -> the best combination of each row and its estimated error, (n,)."""
    best = np.full(len(slopes), np.nan)
    error = np.full(len(slopes), np.inf)
    for order in range(1, 5):
        combined = slopes[:, 1:] + (slopes[:, 1:] - slopes[:, :-1]) / (16.0**order - 1)
        distance = np.maximum(np.abs(combined - slopes[:, 1:]), np.abs(combined - slopes[:, :-1]))
        rounding = rounding[:, 1:]
        estimate = np.nan_to_num(np.maximum(distance, rounding), nan=np.inf, posinf=np.inf)
        k = estimate.argmin(axis=1)[:, None]
        smallest = np.take_along_axis(estimate, k, axis=1)[:, 0]
        better = smallest < error
        best = np.where(better, np.take_along_axis(combined, k, axis=1)[:, 0], best)
        error = np.where(better, smallest, error)
        slopes = combined
    return best, error
