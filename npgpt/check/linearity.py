"""A backward is linear in its cotangent: gradients of a loss that is weighted twice as much are twice as large.

    backward(0) = 0,   backward(1024 a) = 1024 backward(a),   backward(a + b) = backward(a) + backward(b)

1024 is a power of two, so the second holds without any rounding, and large, so that a backward that clips does so.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .diagnose import Mistake
from .rounding import Trial, rounding_bound, six_digits_agree
from .verdict import Check
from .wording import LIKELY, PRECISION, element, two


class Law(NamedTuple):
    what: str  # the cotangent, in words
    cotangent: Array
    expected: list[Array]  # the gradients by linearity
    size: int  # how much larger than the trial's its numbers are
    broken_by: str


def linearity_check(trial: Trial, rng: np.random.Generator) -> tuple[Check, Mistake | None]:
    """The backward's gradients of dy, of another cotangent, and of what follows from these two."""
    dy, of_dy = trial.dy, trial.gradients
    other = rng.standard_normal(dy.shape)
    of_other = trial.pair.gradients(other)
    sums = [a + b for a, b in zip(of_dy, of_other, strict=True)]
    laws = [
        Law("0 dy", 0 * dy, [0 * g for g in of_dy], 1, "it adds something that does not depend on dy"),
        Law("1024 dy", 1024 * dy, [1024 * g for g in of_dy], 1024, "dy is used twice, or not at all"),
        Law("dy + another", dy + other, sums, 1, "a term holds dy twice, inside a function, or not at all"),
    ]
    for law in laws:
        got = trial.pair.gradients(law.cotangent)
        for i, name in enumerate(trial.pair.inputs.wanted):
            natural = trial.natural_size(i, float(max(np.abs(of_dy[i]).max(), np.abs(of_other[i]).max())))
            bound = law.size * 2 * rounding_bound(trial.eps_of(of_dy[i]), trial.noise[i], natural)
            wrong = ~(np.abs(got[i] - law.expected[i]) <= bound)
            if wrong.any() and np.isfinite(of_dy[i]).all():
                numbers = f"{element(name, wrong)} is {two(got[i], law.expected[i], wrong)} for {law.what}"
                clip = None if six_digits_agree(got[i], law.expected[i]) else clipped(trial)
                hint = f"{clip.kind}: {clip.text}" if clip else law.broken_by
                hint = PRECISION if six_digits_agree(got[i], law.expected[i]) else hint
                return Check("linearity", False, f"the backward is not linear in dy: {numbers}{LIKELY}{hint}."), clip
    return Check(
        "linearity", True, "twice the cotangent is twice the gradient, a sum's gradient the sum of the gradients"
    ), None


def clipped(trial: Trial) -> Mistake | None:
    """A clip: linear where dy is small, and for a large dy below the line (dy used twice would rise above it)."""
    small, smaller, large, larger = (of_a_multiple(trial, power) for power in (SMALL, SMALL - 1, LARGE, LARGE + 1))
    behind, limits = [], []
    for name, a, b, c, d in zip(trial.pair.inputs.wanted, small, smaller, large, larger, strict=True):
        linear = a.any() and np.abs(a - b).max() <= 1e-6 * np.abs(a).max()
        sizes = [float(np.linalg.norm(x)) for x in (a, c, d)]
        if linear and np.isfinite(sizes).all() and 0 < sizes[2] < 0.75 * sizes[1] < 0.5625 * sizes[0]:
            behind.append(name)
            highest = np.abs(c).max()
            if c.size > 1 and np.isclose(np.abs(c), highest, rtol=1e-9, atol=0).mean() > 0.5:
                limits.append(f"no element of {name} exceeds {highest * 2.0**LARGE:.6g}")
    if not behind:
        return None
    how = limits[0] if limits else f"{', '.join(behind[:4])}{', ...' if len(behind) > 4 else ''} stop growing"
    largest = f"{np.abs(trial.dy).max() * 2.0**LARGE:.2g}"
    return Mistake(
        "clip", f"something is clipped inside: for a dy of up to {largest}, {how}. Clip after the backward, not in it"
    )


SMALL, LARGE = -30, 20  # powers of two: a dy for which no clip does anything, and one for which every clip does


def of_a_multiple(trial: Trial, power: int) -> list[Array]:
    """The gradients of 2^power dy, divided by 2^power."""
    factor = 2.0**power
    return [g / factor for g in trial.pair.gradients(factor * trial.dy)]
