"""What a pair of functions is graded on: the reader's inputs, what they are called, and which of them have a gradient."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array

from .wording import gradient_name


@dataclass(frozen=True)
class Inputs:
    """Arrays, and whatever else the forward takes. Those of floats have a gradient; places, floats and wanted list these."""

    values: list
    names: list[str]

    @property
    def places(self) -> list[int]:
        return [i for i, x in enumerate(self.values) if is_floating(x)]

    @property
    def floats(self) -> list[Array]:
        return [self.values[i] for i in self.places]

    @property
    def wanted(self) -> list[str]:
        """The names of the gradients."""
        return [gradient_name(self.names[i]) for i in self.places]

    @property
    def dtype(self) -> np.dtype:
        """What NumPy's arithmetic makes of the floating inputs together."""
        return np.result_type(*[x.dtype for x in self.floats])

    def copies(self) -> list:
        return [x.copy(order="K") if isinstance(x, np.ndarray) else x for x in self.values]

    def in_float64(self) -> "Inputs":
        return replace(self, values=[x.astype(np.float64) if is_floating(x) else x for x in self.values])


def is_floating(x) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def checked_inputs(forward: Callable, given: Sequence) -> Inputs:
    """What the reader gave, under the forward's own names. Raises as check_backward says."""
    names = input_names(forward, len(given))
    inputs = Inputs([checked_input(x, name) for x, name in zip(given, names, strict=True)], names)
    if not inputs.places:
        raise ValueError("no input holds floating-point numbers, so there is no gradient to check")
    return inputs


def checked_input(x, name: str):
    """x as an array where it holds numbers, else as it is."""
    if isinstance(x, list | tuple | float):  # np.float64 is a float too
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        if isinstance(x, complex | np.complexfloating) or hasattr(x, "detach"):
            raise TypeError(f"{name} must be a real NumPy array, got {type(x).__name__}")
        return np.asarray(x) if isinstance(x, np.floating) else x
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    if x.size == 0:
        raise ValueError(f"{name} is empty, of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} holds a nan or an infinity, where no derivative exists (make a mask of -inf in the forward)")
    return x.astype(x.dtype.newbyteorder("="), copy=False)  # as any result of NumPy's arithmetic


def input_names(forward: Callable, count: int) -> list[str]:
    """What the forward calls its inputs; "input 2" where it does not say."""
    names = parameter_names(forward)[:count]
    return names + [f"input {i}" for i in range(len(names), count)]


def parameter_names(function: Callable) -> list[str]:
    """Of its positional parameters and keywords; [] where Python does not know them (some built-in functions)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
