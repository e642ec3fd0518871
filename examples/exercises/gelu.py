"""Exercise 5, GELU: a smooth gate that lets large inputs pass and holds small ones back, in its tanh form.

    u = k (x + a x^3),   t = tanh(u),   y = x (1 + t) / 2,        k = sqrt(2 / pi), a = 0.044715

Write gelu_backward: from dy, the gradient of x, elementwise.

Hint: x enters y twice, as the factor in front and inside the gate: the product rule, and for the gate the chain rule through t
and u. The derivative of tanh needs only tanh.
"""

import math
import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward

K = math.sqrt(2 / math.pi)
A = 0.044715


class Cache(NamedTuple):
    x: Array  # (...)
    t: Array  # (...)


def gelu(x: Array) -> tuple[Array, Cache]:
    """x (...) -> y (...)."""
    t = np.tanh(K * (x + A * x * x * x))  # (...)
    return x * (1 + t) / 2, Cache(x, t)


def gelu_backward(dy: Array, cache: Cache) -> Array:
    """dy (...) -> dx (...)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    x = np.random.default_rng(0).standard_normal((2, 3, 5))
    verdict = check_backward(gelu, gelu_backward, x)
    print(verdict)
    sys.exit(0 if verdict else 1)
