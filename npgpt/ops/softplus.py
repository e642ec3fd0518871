"""Softplus: makes any number positive, smoothly. Mamba's step sizes delta come out of it.

    softplus(x) = log(1 + exp(x))

For x >> 0 it is x, for x << 0 it is exp(x), and log 2 at 0. Written like that, exp(x) overflows. Where x > 0, exp(x) is taken
out of the logarithm, log(1 + exp(x)) = x + log(exp(-x) + 1), so that no exponent is positive. With low = min(x, 0) and high =
max(x, 0), and so low - high = -|x|, both signs are one line:

    softplus(x) = high + log1p(exp(low - high))

log1p(e) is log(1 + e) for an e that 1 + e would swallow: softplus(-700) is 1e-304, and not 0.

Backward. By the chain rule, with ∂log(z)/∂z = 1 / z,

    dx = dy exp(x) / (1 + exp(x)) = dy sigmoid(x)

sigmoid is in silu.py.

Source: Dugas et al. 2000, "Incorporating second-order functional knowledge for better option pricing", section 3.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .silu import low_and_high, sigmoid


class Cache(NamedTuple):
    x: Array  # (...)


def softplus(x: Array) -> tuple[Array, Cache]:
    """x (...), finite -> y (...), elementwise, in x's dtype."""
    low, high = low_and_high(x)  # (...), (...)
    return high + np.log1p(np.exp(low - high)), Cache(x)


def softplus_backward(dy: Array, cache: Cache) -> Array:
    """dy (...) -> dx (...)."""
    return dy * sigmoid(cache.x)
