"""Exercise 2, softmax: a row of scores becomes a row of probabilities.

    p[i] = exp(x[i]) / sum_j exp(x[j])

Write softmax_backward: from dp, the gradient of x. Everything that it needs is p.

Hint: x[i] enters its own p[i] through the numerator, and every p[j] of the row through the sum. Differentiate p[j] by x[i] for
i = j and for i != j, then add up over j. The rows of the answer sum to zero; do you see why?
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    p: Array  # (..., N)


def softmax(x: Array) -> tuple[Array, Cache]:
    """x (..., N) -> p (..., N), each row summing to 1."""
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))  # (..., N): the shift changes nothing, and nothing overflows
    p = e / e.sum(axis=-1, keepdims=True)  # (..., N)
    return p, Cache(p)


def softmax_backward(dp: Array, cache: Cache) -> Array:
    """dp (..., N) -> dx (..., N)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    x = np.random.default_rng(0).standard_normal((2, 3, 5))
    verdict = check_backward(softmax, softmax_backward, x)
    print(verdict)
    sys.exit(0 if verdict else 1)
