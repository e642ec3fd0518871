"""Softmax: turns a row of scores into a row of probabilities.

    e[i] = exp(x[i] - m)          s = sum_j e[j]          p[i] = e[i] / s

m is the row's maximum. Subtracting it multiplies every e and s by the same factor exp(-m), so p stays as it is (and m has no
part in the derivative), and the largest e becomes exp(0) = 1: nothing overflows. exp(-inf) = 0 is what a masked score needs.

Backward. The quotient rule gives, for i = j and for i != j,

    ∂p[j]/∂x[i] = p[j] ([i = j] - p[i])            ([i = j] is 1 if i = j, else 0)

because e[j] / s differentiates to e[j] / s = p[j] through its numerator (only if i = j) and to -e[j] e[i] / s^2 = -p[j] p[i]
through s. Summed over the outputs, each weighed by its incoming gradient dp[j]:

    dx[i] = sum_j dp[j] p[j] ([i = j] - p[i]) = p[i] (dp[i] - sum_j dp[j] p[j])

The sum is one number a row: the mean of dp under p. So dx asks "is dp[i] above its row's mean?", its entries sum to zero
(adding a constant to every score changes nothing), and a dp that is constant along the row gives dx = 0.

Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array


class Cache(NamedTuple):
    p: Array  # (..., C)


def softmax(x: Array) -> tuple[Array, Cache]:
    """x (..., C) -> p (..., C), each row summing to 1. A row of only -inf has no distribution and gives nan (as torch's)."""
    m = x.real.max(axis=-1, keepdims=True)  # (..., 1); .real: complex numbers (see __init__.py) have no order
    e = np.exp(x - m)  # (..., C)
    s = e.sum(axis=-1, keepdims=True)  # (..., 1)
    p = e / s  # (..., C)
    return p, Cache(p)


def softmax_backward(dp: Array, cache: Cache) -> Array:
    """dp (..., C) -> dx (..., C)."""
    p = cache.p
    mean_dp = (dp * p).sum(axis=-1, keepdims=True)  # (..., 1): sum_j dp[j] p[j]
    dx = p * (dp - mean_dp)  # (..., C)
    return dx
