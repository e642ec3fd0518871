"""A backward is linear in its cotangent: gradients of a loss that is weighted twice as much are twice as large.

    backward(0) = 0,   backward(1024 a) = 1024 backward(a),   backward(a + b) = backward(a) + backward(b)

1024 is a power of two, so the second holds without any rounding, and large, so that a backward that clips does so.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .rounding import Trial, eps_of, rounding_bound, six_digits_agree
from .verdict import Check
from .wording import LIKELY, PRECISION, element, two


class Law(NamedTuple):
    what: str  # the cotangent, in words
    cotangent: Array
    expected: list[Array]  # the gradients by linearity
    size: int  # how much larger than the trial's its numbers are
    broken_by: str


def linearity_check(trial: Trial, rng: np.random.Generator) -> Check:
    """The backward's gradients of dy, of another cotangent, and of what follows from these two."""
    dy, of_dy = trial.dy, trial.gradients
    other = rng.standard_normal(dy.shape)
    of_other = trial.pair.gradients(other)
    sums = [a + b for a, b in zip(of_dy, of_other, strict=True)]
    laws = [
        Law("0 dy", 0 * dy, [0 * g for g in of_dy], 1, "it adds something that does not depend on dy"),
        Law("1024 dy", 1024 * dy, [1024 * g for g in of_dy], 1024, "dy is used twice, clipped, or not at all"),
        Law("dy + another", dy + other, sums, 1, "a term holds dy twice, inside a function, or not at all"),
    ]
    for law in laws:
        got = trial.pair.gradients(law.cotangent)
        for i, name in enumerate(trial.pair.inputs.wanted):
            natural = trial.natural_size(i, float(max(np.abs(of_dy[i]).max(), np.abs(of_other[i]).max())))
            bound = law.size * 2 * rounding_bound(eps_of(of_dy[i]), trial.noise[i], natural)
            wrong = ~(np.abs(got[i] - law.expected[i]) <= bound)
            if wrong.any() and np.isfinite(of_dy[i]).all():
                numbers = f"{element(name, wrong)} is {two(got[i], law.expected[i], wrong)} for {law.what}"
                hint = PRECISION if six_digits_agree(got[i], law.expected[i]) else law.broken_by
                return Check("linearity", False, f"the backward is not linear in dy: {numbers}{LIKELY}{hint}.")
    return Check("linearity", True, "twice the cotangent is twice the gradient, a sum's gradient the sum of the gradients")
