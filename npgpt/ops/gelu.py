"""GELU: the FFN's nonlinearity, a smooth gate that lets large inputs pass and holds small ones back.

    gelu(x) = x P(Z <= x) with Z ~ N(0, 1), in its tanh form:

    u = k (x + a x^3),   t = tanh(u),   y = x (1 + t) / 2,        k = sqrt(2 / pi), a = 0.044715

(1 + t) / 2 is the gate, from 0 for x << 0 to 1 for x >> 0. GPT-2 uses this form; the exact one (with erf) differs from it by
up to 4.7e-4, so the two must not be mixed between a forward and a backward.

Backward. x enters y twice: as the factor in front and inside the gate. With dt/du = 1 - t^2 and du/dx = k (1 + 3 a x^2),

    dy/dx = (1 + t) / 2  +  (x / 2) (1 - t^2) k (1 + 3 a x^2)

Source: Hendrycks, Gimpel 2016, "Gaussian error linear units", arXiv:1606.08415, section 2.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

K = math.sqrt(2 / math.pi)  # a Python float: NumPy 2 would let a np.float64 scalar widen float32 arrays
A = 0.044715


class Cache(NamedTuple):
    x: Array  # (...)
    t: Array  # (...)


def gelu(x: Array) -> tuple[Array, Cache]:
    """x (...) -> y (...), elementwise, in x's dtype."""
    u = K * (x + A * x * x * x)  # (...)
    t = np.tanh(u)  # (...)
    y = x * (1 + t) / 2  # (...)
    return y, Cache(x, t)


def gelu_backward(dy: Array, cache: Cache) -> Array:
    """dy (...) -> dx (...)."""
    x, t = cache
    dt_du = 1 - t * t
    du_dx = K * (1 + 3 * A * x * x)
    through_factor = (1 + t) / 2
    through_gate = x / 2 * dt_du * du_dx
    dx = dy * (through_factor + through_gate)
    return dx
