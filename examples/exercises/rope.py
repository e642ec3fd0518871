"""Exercise 12, RoPE: the pairs (x[i], x[i + D/2]) of a query or key are turned by angles that grow with their position t.

    a[t, i] = t theta^(-2i/D)
    y[t, i] = cos(a) x[t, i] - sin(a) x[t, i + D/2]          y[t, i + D/2] = sin(a) x[t, i] + cos(a) x[t, i + D/2]

Write rope_backward: from dy, the gradient of x. The angles are no weights and have none.

Hint: x[i] enters y twice, and so does x[i + D/2]; with which factors? Then look at the four of them: which movement of
the plane is that? It can be said in one line that calls rope.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward
from npgpt.ops.rope import cosines_and_sines


class Cache(NamedTuple):
    cos: Array  # (T, D/2)
    sin: Array  # (T, D/2)


def rope(x: Array, cos: Array, sin: Array) -> tuple[Array, Cache]:
    """x (..., T, D), cos, sin (T, D/2) -> y (..., T, D)."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]  # (..., T, D/2), twice
    y = np.concatenate([cos * first - sin * second, sin * first + cos * second], axis=-1)  # (..., T, D)
    return y, Cache(cos, sin)


def rope_backward(dy: Array, cache: Cache) -> Array:
    """dy (..., T, D) -> dx (..., T, D)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4))  # B = 2, H = 3, T = 5, D = 4
    cos, sin = cosines_and_sines(5, 4, theta=100.0)
    verdict = check_backward(lambda x: rope(x, cos, sin), rope_backward, x)
    print(verdict)
    sys.exit(0 if verdict else 1)
