"""What a wrong gradient looks like: another input's, a right one with too few digits, or a mistake that is known.

diagnose.py compares two arrays and knows nothing else; hypotheses.py asks the pair. What diagnose.py needs of the pair stands
here: the sizes that a factor may be named after, and the arrays of which each row may lack a multiple. And where no mistake is
recognised, what can be said about the place.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray as Array

from .columns import Columns
from .diagnose import Mistake, of_parts, of_the_whole, rearranged
from .hypotheses import Evidence, hypotheses
from .inputs import Inputs
from .rounding import Trial, six_digits_agree
from .truth import Truth
from .wording import PRECISION


def recognised(
    trial: Trial, truth: Truth, i: int, wrong: Array, right: Array, clear: Array, measured: dict[int, Columns | None]
) -> tuple[Mistake | None, str]:
    """The mistake in the i-th gradient, and it in words ("" where there are none). wrong and right (n,), at its elements."""
    inputs = trial.pair.inputs
    other = gradient_of_another(inputs, i, wrong, truth)
    if other:
        return None, f"order: this is {other}; return {', '.join(inputs.wanted)}, in the order of the inputs."
    if not np.isfinite(wrong).all():
        return None, "a division by 0, an overflow, or inf - inf: the gradient is not finite."
    if not right.any():
        return None, "a gradient where there is none: the output does not change with this input."
    if six_digits_agree(wrong, right):
        return None, PRECISION + "."
    mistake = next(mistakes(Evidence(trial, truth, i, wrong, right, clear, measured)), None)
    return mistake, "" if mistake is None else f"{mistake.kind}: {mistake.text}."


def mistakes(evidence: Evidence) -> Iterator[Mistake]:
    """Whatever fits, what says most first."""
    inputs, x, y = evidence.inputs, evidence.x, evidence.trial.y
    wrong, right = evidence.wrong, evidence.right
    if right.size == x.size:
        wrong, right = wrong.reshape(x.shape), right.reshape(x.shape)
    fits = evidence.fitter(wrong, right)
    yield from of_the_whole(wrong, right, fits, sizes(inputs, y), {}, {})
    yield from hypotheses(evidence)
    yield from rearranged(right, fits)
    yield from of_parts(wrong, right, fits, row_arrays(x, y, right.shape))
    digits = digits_that_agree(wrong, right)
    if digits >= 3:
        yield Mistake("another formula", f"{digits} digits agree everywhere: {FORMULA}")
    for mistake in hypotheses(replace(evidence, tolerance=5e-3)):
        yield Mistake(mistake.kind, f"{mistake.text}. That explains all but the third digit; the rest may be {FORMULA}")


FORMULA = "the derivative of another formula (an approximation, another epsilon)"


def digits_that_agree(wrong: Array, right: Array) -> int:
    """How many leading digits of the largest element agree everywhere: 3 where the others are at most 0.0005 of it off."""
    off = float(np.abs(wrong - right).max() / np.abs(right).max())
    return max(0, int(-math.log10(2 * off))) if 0 < off < math.inf else 0


def place_of(inputs: Inputs, i: int, wrong: Array, right: Array, others_right: bool) -> str:
    """Where an unknown mistake stands, as far as the numbers tell."""
    x, name = inputs.floats[i], inputs.wanted[i]
    if right.size == x.size:
        off = (np.abs(wrong - right) > 1e-6 * np.abs(right).max()).reshape(x.shape)
        for axis in range(off.ndim):
            steps: Any = off.any(axis=tuple(a for a in range(off.ndim) if a != axis))  # (size,)
            if off.ndim > 1 and len(steps) > 1 and steps[:-1].all() and not steps[-1]:
                return f"{name} is right in the last place along axis {axis} only: look at what comes back from the next step."
            block = wrong_block(steps) if off.ndim <= 2 else None
            if block is not None:
                which, count = block
                return f"{name} is wrong in the {which} of {count} blocks along axis {axis} only (one gate of {count}?)."
    if others_right:
        return f"every other gradient is right, and so is what they are made of: look at the line of {name} itself."
    return ""


def wrong_block(steps: Array) -> tuple[str, int] | None:
    """Which one of 4, 3 or 2 blocks, of several steps each, holds all that is wrong, and of how many."""
    for count in (4, 3, 2):
        if len(steps) % count == 0 and len(steps) > count:
            wrong = [k for k, block in enumerate(np.split(steps, count)) if block.any()]
            if len(wrong) == 1:
                return (*("first", "second", "third")[: count - 1], "last")[wrong[0]], count
    return None


def gradient_of_another(inputs: Inputs, i: int, wrong: Array, truth: Truth) -> str | None:
    """The name of the gradient that stands in place of the i-th."""
    for j, true in enumerate(truth.of):
        comparable = inputs.floats[j].shape == inputs.floats[i].shape and np.array_equal(true.elements, truth.of[i].elements)
        if j != i and comparable and six_digits_agree(wrong, true.values):
            return inputs.wanted[j]
    return None


def row_arrays(x: Array, y: Array, shape: tuple[int, ...]) -> dict[str, Array]:
    """What a normalisation of x's rows has in its gradient: the output (softmax), or the normalised input (LayerNorm)."""
    if x.shape != shape or x.ndim == 0:
        return {}
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = centred.std(axis=-1, keepdims=True)
    spread[spread == 0] = np.inf  # a row of one number, from which its mean may be a rounding error away: 0 in any case
    return ({"the output": np.float64(y)} if y.shape == shape else {}) | {"the normalised input": centred / spread}


def sizes(inputs: Inputs, y: Array) -> dict[str, float]:
    """What a gradient may be off by: each axis, its square root, the number of rows, the number of elements; each size once."""
    named: dict[float, str] = {}
    for name, x in [("y", y), *zip(inputs.names, inputs.values, strict=True)]:
        if isinstance(x, np.ndarray):
            for axis in reversed(range(x.ndim)):
                named.setdefault(float(x.shape[axis]), f"{name}.shape[{axis}]")
            if x.ndim > 2:
                named.setdefault(x.size / x.shape[-1], f"the number of rows of {name}")
            named.setdefault(float(x.size), f"{name}.size")
    for size, name in list(named.items()):
        named.setdefault(math.sqrt(size), f"sqrt({name})")
    return {name: size for size, name in named.items() if size > 1}
