"""Exercise 1, the linear layer: y = x W^T + b, the same W and b for every position.

    y[n, o] = sum_c x[n, c] W[o, c] + b[o]

Write linear_backward: from dy, the gradients of x, weight and bias. x may have any number of leading axes.

Hint: ask of each argument where it enters y, and with which factor. What serves several positions collects from all of them.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    x: Array  # (..., C)
    weight: Array  # (O, C)


def linear(x: Array, weight: Array, bias: Array) -> tuple[Array, Cache]:
    """x (..., C), weight (O, C), bias (O,) -> y (..., O)."""
    return x @ weight.T + bias, Cache(x, weight)


def linear_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (..., O) -> dx (..., C), dweight (O, C), dbias (O,)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((2, 3, 4)), rng.standard_normal((5, 4)), rng.standard_normal(5)
    verdict = check_backward(linear, linear_backward, x, weight, bias)
    print(verdict)
    sys.exit(0 if verdict else 1)
