"""How a verdict names things: functions and gradients, places in an array, two numbers side by side."""

import functools
from collections.abc import Callable

import numpy as np
from numpy import ndarray as Array

LIKELY = "\nLikely mistake: "
PRECISION = (
    "precision, since 6 digits agree: a float32 on the way, large numbers subtracted from each other, or an epsilon that the "
    "forward does not have"
)


def function_name(function: Callable) -> str:
    function = without_partial(function)
    name = getattr(function, "__name__", type(function).__name__)
    return "the backward" if name == "<lambda>" else name


def without_partial(function: Callable) -> Callable:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def gradient_name(name: str) -> str:
    """dx, d(input 2), layers[0].dW."""
    owner, dot, last = name.rpartition(".")
    return f"d({name})" if " " in name else f"{owner}{dot}d{last}"


def described_input(name: str, x: object) -> str:
    return f"{name} {x.shape} {x.dtype}" if isinstance(x, np.ndarray) else f"{name} = {x!r:.20}"


def element(name: str, wrong: Array) -> str:
    """The name of the first element where wrong is true."""
    return name + subscript(int(wrong.argmax()), wrong.shape)


def subscript(flat: int, shape: tuple[int, ...]) -> str:
    """The flat index as a reader writes it: [1, 0, 2]; nothing for a number."""
    index = np.unravel_index(flat, shape)
    return f"[{', '.join(str(int(i)) for i in index)}]" if len(index) else ""


def two(got: Array, right: Array, wrong: Array) -> str:
    """The first element of both where wrong is true."""
    return shown(float(got[wrong][0]), float(np.asarray(right)[wrong][0]))


def shown(got: float, right: float) -> str:
    """Both with as many digits as it takes to tell them apart."""
    got, right = got + 0.0, right + 0.0  # no -0
    a, b = next(((f"{got:.{d}g}", f"{right:.{d}g}") for d in (6, 10, 17) if f"{got:.{d}g}" != f"{right:.{d}g}"), (got, right))
    return f"{a} and should be {b}"
