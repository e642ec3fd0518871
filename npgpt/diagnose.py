"""What kind of mistake turns the right gradient into the wrong one? Each answer is a hypothesis, tested on the numbers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array


class Mistake(NamedTuple):
    kind: str  # "sign", "factor", "transpose", "missing term", "double count" or "zero"
    text: str  # one sentence for the reader


def close(a: Array, b: Array) -> bool:
    """Equal to a millionth of b's largest element."""
    return bool(np.abs(a - b).max() <= 1e-6 * np.abs(b).max())


def likely_mistake(wrong: Array, right: Array, factors: Mapping[str, float]) -> Mistake | None:
    """The kind of mistake that fits, or None. `factors` names what a gradient may be off by: {"C": 8, "sqrt(C)": 2.83}."""
    if not np.abs(right).max() > 0 or not np.isfinite(wrong).all():
        return None
    if not wrong.any():
        return Mistake("zero", "it is zero everywhere: this gradient never arrives")
    if close(wrong, -right):
        return Mistake("sign", "the sign is wrong")
    ratio = float((wrong * right).sum() / (right * right).sum())
    if close(wrong, ratio * right):
        for name, size in factors.items():
            if np.isclose(ratio, size, rtol=1e-6):
                return Mistake("factor", f"it is {name} = {size:.4g} times too large")
            if np.isclose(ratio, 1 / size, rtol=1e-6):
                return Mistake("factor", f"it is {name} = {size:.4g} times too small")
        return Mistake("factor", f"it is the right gradient times {ratio:.6g}")
    for a in range(right.ndim):
        for b in range(a + 1, right.ndim):
            turned = right.swapaxes(a, b)
            if close(wrong, turned.reshape(right.shape)) or (turned.shape == right.shape and close(wrong, turned)):
                return Mistake("transpose", f"axes {a} and {b} are swapped: a transpose is missing or one too many")
    return None
