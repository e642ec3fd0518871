"""SwiGLU: the nonlinearity of Llama's FFN. One row of numbers decides how much of another one passes.

    y[i] = silu(gate[i]) up[i]

GELU gates a number by itself; here gate and up are two linear layers' answers to the same x, so that what is said and whether
it is said are learned apart. (silu, in silu.py, is the gate's shape: shut for gate << 0, and for gate >> 0 as open as gate is
large.)

Backward. Write a[i] = silu(gate[i]). Each factor of the product y = a up has the other one for its slope, and gate is reached
through silu's own backward:

    dup[i]   = dy[i] a[i]
    da[i]    = dy[i] up[i]
    dgate[i] = da[i] silu'(gate[i])

Where the gate is shut (a = 0), up learns nothing; where nothing was to be let through (up = 0), the gate does not.

Source: Shazeer 2020, "GLU variants improve transformer", arXiv:2002.05202, eq. 6.
"""

from typing import NamedTuple

from numpy import ndarray as Array

from .shapes import check_shape
from .silu import Cache as SiluCache
from .silu import silu, silu_backward


class Cache(NamedTuple):
    silu: SiluCache
    a: Array  # (...)
    up: Array  # (...)


def swiglu(gate: Array, up: Array) -> tuple[Array, Cache]:
    """gate, up (...), finite -> y (...), elementwise, in their dtype. Raises ValueError where the shapes differ."""
    check_shape("up", up, "as gate", gate.shape)
    a, silu_cache = silu(gate)  # (...)
    return a * up, Cache(silu_cache, a, up)


def swiglu_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """dy (...) -> dgate, dup (...)."""
    dup = dy * cache.a  # (...)
    da = dy * cache.up  # (...)
    dgate = silu_backward(da, cache.silu)  # (...)
    return dgate, dup
