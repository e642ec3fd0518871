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
    u = x * x  # each line below works in the buffer born here: one temporary instead of five
    u *= K * A
    u += K
    u *= x  # u = k (x + a x^3)
    t = np.tanh(u, out=u)
    y = t + 1
    y *= x
    y *= 0.5
    return y, Cache(x, t)


def gelu_backward(dy: Array, cache: Cache) -> Array:
    """dy (...) -> dx (...)."""
    x, t = cache
    du_dx = x * x
    du_dx *= 3 * K * A
    du_dx += K  # k (1 + 3 a x^2)
    through_gate = 1 - t * t  # dt/du
    through_gate *= du_dx
    through_gate *= x
    through_factor = t + 1
    dx = through_factor  # the sum of both paths; the 1/2 that they share comes last
    dx += through_gate
    dx *= dy
    dx *= 0.5
    return dx
