"""Softmax: turns a row of scores into a row of probabilities.

    p[i] = exp(x[i]) / sum_j exp(x[j])

Subtracting the row's maximum first multiplies numerator and denominator by the same factor, so p stays as it is, and the
largest exponent becomes exp(0) = 1: nothing overflows. exp(-inf) = 0 is what a masked score needs.

Backward. With s = sum_j exp(x[j]), the quotient rule gives, for i = j and for i != j,

    ∂p[j]/∂x[i] = p[j] ([i = j] - p[i])            ([i = j] is 1 if i = j, else 0)

because exp(x[j])/s differentiates to p[j] through its numerator (only if i = j) and to -exp(x[j]) exp(x[i]) / s^2 =
-p[j] p[i] through s. Summed over the outputs, each weighed by its incoming gradient dp[j]:

    dx[i] = sum_j dp[j] p[j] ([i = j] - p[i]) = p[i] (dp[i] - sum_j dp[j] p[j])

The sum is one number a row: the mean of dp under p. So dx asks "is dp[i] above its row's mean?", its entries sum to zero
(adding a constant to every score changes nothing), and a dp that is constant along the row gives dx = 0.

Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .sums import sum_of_each_row


class Cache(NamedTuple):
    p: Array  # (..., C)


def softmax(x: Array) -> tuple[Array, Cache]:
    """x (..., C) -> p (..., C), each row summing to 1. A row of only -inf has no distribution and gives nan (as torch's)."""
    p = x - x.real.max(axis=-1, keepdims=True)  # (..., C), at most 0; .real: complex ones (see __init__.py) have no order
    np.exp(p, out=p)
    p /= sum_of_each_row(p)
    return p, Cache(p)


def softmax_backward(dp: Array, cache: Cache) -> Array:
    """dp (..., C) -> dx (..., C)."""
    p = cache.p
    mean_dp = sum_of_each_row(p * dp)  # (..., 1): sum_j p[j] dp[j]
    dx = dp - mean_dp  # (..., C)
    dx *= p
    return dx
