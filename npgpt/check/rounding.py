"""How far two right answers may be apart: derived, not chosen.

Rounding alone makes a gradient differ by some eps of its natural size (its largest element, or max|dy| max|y| / max|x| where
that is more: a true gradient may be all but zero), and by what it moves when every number that goes into it moves by an eps or
two (its `noise`). We allow 64 of the first and 16 of the second, and where finite differences judge, 8 times their own error
estimate.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .calling import Pair
from .inputs import is_floating
from .verdict import Stopped

EPS_FACTOR = 64  # as for the complex step in the parity suite
NOISE_FACTOR = 16
DIFFERENCES_FACTOR = 8  # in 6,720 derivatives the error was at most 0.45 of its estimate
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Trial:
    """One forward and backward in float64, and how far each gradient may be off: what the later checks judge."""

    pair: Pair
    y: Array
    dy: Array  # y's shape
    gradients: list[Array]  # the backward's, one for each floating input
    noise: list[float]  # of each gradient
    eps: float  # of what the forward computes in: float64's, unless it goes down to float32 on its own

    def natural_size(self, i: int, largest: float = 0.0) -> float:
        """Of the i-th gradient: its largest element, or what the sizes of x, y and dy lead one to expect, if that is more."""
        x = self.pair.inputs.floats[i]
        return max(largest, float(np.abs(self.dy).max() * np.abs(self.y).max() / (np.abs(x).max() or 1.0)))

    def eps_of(self, x: Theirs) -> float:
        """How precise a gradient can be that was computed from this forward."""
        return max(self.eps, eps_of(x))


def trial_of(pair: Pair, rng: np.random.Generator) -> Trial:
    """The pair in float64 on a random cotangent."""
    pair = pair.in_float64()
    y, _ = pair.run_forward(pair.inputs.copies())
    eps = forward_eps(pair, y, *rng.spawn(1))
    dy = rng.standard_normal(y.shape)
    return trial_on(pair, y, dy, eps, rng)


def trial_on(pair: Pair, y: Array, dy: Array, eps: float, rng: np.random.Generator) -> Trial:
    """The backward on that cotangent."""
    gradients = pair.gradients(dy)
    return Trial(pair, y, dy, gradients, backward_noise(pair, dy, gradients, eps, rng), eps)


def forward_eps(pair: Pair, y: Array, rng: np.random.Generator) -> float:
    """The eps of the dtype in which the forward computes, whatever the dtype of y.

    A y that went through float32 fits into float32, even when no input does; and where it would fit into half of it too (0, 1,
    counts), that says nothing.
    """
    if y.dtype != np.float64:
        return eps_of(y)
    y, _ = pair.run_forward(nudged(pair.inputs.copies(), rng))
    with np.errstate(over="ignore"):
        short = (y == y.astype(np.float32)).all() and not (y == y.astype(np.float16)).all()
    return float(np.finfo(np.float32).eps) if short else EPS


def rounding_bound(eps: float, noise: float, natural: float) -> float:
    """How far rounding alone may take a right gradient from the truth. Half of its digits must be right."""
    return EPS_FACTOR * eps * natural + min(NOISE_FACTOR * noise, math.sqrt(eps) * natural)


def eps_of(x: Theirs) -> float:
    dtype = np.asarray(x).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else EPS


def six_digits_agree(a: Array, b: Array) -> bool:
    """A difference that only precision explains, and no term of a derivation."""
    return bool(np.abs(a - b).max() <= 1e-6 * np.abs(b).max())


# -------------------------------------------------------------------------------------------------------------------- the noise


def backward_noise(pair: Pair, dy: Array, gradients: list[Array], eps: float, rng: np.random.Generator) -> list[float]:
    """How far each gradient moves when every number that the backward gets moves by an eps or two: the largest of six times.

    Three times the inputs move, and three times the cache, whose own rounding errors no nudge of the inputs shows.
    """
    noise = [0.0] * len(gradients)
    for cache_moves in (False, True) * 3:
        values = pair.inputs.copies()
        _, handed = pair.run_forward(values if cache_moves else nudged(values, rng, eps))
        try:
            near = pair.run_backward(nudged(dy, rng, eps), nudged(handed, rng, eps) if cache_moves else handed)
        except (Stopped, RecursionError):  # a cache in which something has to be exact, or that holds itself
            continue
        noise = [max(old, float(np.abs(a - b).max())) for old, a, b in zip(noise, near, gradients, strict=True)]
    return noise


def forward_noise(pair: Pair, y: Array, eps: float, rng: np.random.Generator) -> Array:
    """How far each element of y moves when every input moves by an eps or two: the larger of two times."""
    near = [pair.run_forward(nudged(pair.inputs.copies(), rng, eps))[0] for _ in range(2)]
    return np.maximum(*[np.abs(each - y) for each in near])


def nudged(x: Theirs, rng: np.random.Generator, eps: float = EPS) -> Theirs:
    """Every floating element by up to two eps, in arrays and in tuples, lists and dicts of them; anything else as it is.

    Up to two, at random: one eps for all would keep the sum of two numbers odd or even, and its rounding with it.
    """
    if isinstance(x, tuple):
        inside = [nudged(each, rng, eps) for each in x]
        return type(x)(*inside) if hasattr(x, "_fields") else tuple(inside)
    if isinstance(x, list):
        return [nudged(each, rng, eps) for each in x]
    if isinstance(x, dict):
        return {key: nudged(each, rng, eps) for key, each in x.items()}
    if hasattr(x, "nudged"):  # a layer that has run
        return x.nudged(lambda each: nudged(each, rng, eps))
    if isinstance(x, float | np.floating) or is_floating(x):
        near = x * (1 + rng.uniform(-2 * eps, 2 * eps, np.shape(x)))
        return np.asarray(near) if isinstance(x, np.ndarray) else near  # the product of arrays without axes is a scalar
    return x
