"""What a wrong gradient looks like: another input's, a right one with too few digits, or a mistake that diagnose.py knows.

diagnose.py compares two arrays and knows nothing else. What the pair adds stands here: the sizes that a factor may be named
after, and the arrays of which each row may lack a multiple.
"""

import math

import numpy as np
from numpy import ndarray as Array

from .diagnose import Mistake, likely_mistake
from .inputs import Inputs
from .rounding import Trial, six_digits_agree
from .truth import Truth
from .wording import PRECISION


def recognised(trial: Trial, i: int, wrong: Array, right: Array, truth: Truth) -> tuple[Mistake | None, str]:
    """The mistake in the i-th gradient, and it in words. wrong and right (n,), at the measured elements."""
    inputs, x = trial.pair.inputs, trial.pair.inputs.floats[i]
    other = gradient_of_another(inputs, i, wrong, truth)
    if other:
        return None, f"order: this is {other}; return {', '.join(inputs.wanted)}, in the order of the inputs."
    if not np.isfinite(wrong).all():
        return None, "a division by 0, an overflow, or inf - inf: the gradient is not finite."
    if not right.any():
        return None, "a gradient where there is none: the output does not change with this input."
    if right.size == x.size:
        wrong, right = wrong.reshape(x.shape), right.reshape(x.shape)
    if six_digits_agree(wrong, right):
        return None, PRECISION + "."
    mistake = likely_mistake(wrong, right, sizes(inputs, trial.y), in_rows=row_arrays(x, trial.y, right.shape))
    if mistake is None:
        return None, "none of the simple ones (sign, factor, transpose). Compare code and derivation term by term."
    return mistake, f"{mistake.kind}: {mistake.text.rstrip('.')}."


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
    arrays = {"the normalised input": centred / (centred.std(axis=-1, keepdims=True) + np.finfo(np.float64).tiny)}
    return ({"the output": np.float64(y)} if y.shape == shape else {}) | arrays


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
