"""Sums as products: adding up rows or columns is multiplying by a vector of ones, and BLAS does that several times faster than
np.sum, whose start alone costs more than a short row.

    sum_i x[n, i] = (x 1)[n]            mean_i x[n, i] = (x 1/C)[n]            sum_n x[n, i] = (1 x)[i]
"""

from functools import lru_cache

import numpy as np
from numpy import ndarray as Array


@lru_cache(maxsize=64)
def constant(value: float, size: int, dtype: np.dtype) -> Array:
    """A read-only vector (size,), built once."""
    vector = np.full(size, value, dtype)
    vector.setflags(write=False)
    return vector


def sum_of_each_row(x: Array) -> Array:
    """x (..., C) -> (..., 1)."""
    return (x @ constant(1.0, x.shape[-1], x.dtype))[..., None]


def mean_of_each_row(x: Array) -> Array:
    """x (..., C) -> (..., 1)."""
    C = x.shape[-1]
    return (x @ constant(1 / C, C, x.dtype))[..., None]


def sum_over_rows(rows: Array) -> Array:
    """rows (N, C) -> (C,)."""
    return constant(1.0, len(rows), rows.dtype).dot(rows)
