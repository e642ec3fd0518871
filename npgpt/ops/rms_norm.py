"""RMSNorm: LayerNorm without the centring and the shift. Each row keeps its direction and gets one length.

    rstd = 1 / sqrt(mean_i x[i]^2 + eps)          xhat[i] = x[i] rstd          y[i] = w[i] xhat[i]

The mean runs over the C features of a row; w is learned. With eps = 0, each xhat has a root mean square of 1.

Backward. From dy, the last line gives at once (w serves every row n, so its gradient sums over n)

    dw[i] = sum_n dy[n, i] xhat[n, i]        dxhat[i] = dy[i] w[i]

x enters xhat on two paths. Write m(.) for the mean over the row.

1. Directly: xhat[i] = x[i] rstd brings rstd dxhat[i] to x[i].
2. Through rstd = (m(x^2) + eps)^(-1/2), which every xhat[j] = x[j] rstd holds. ∂rstd/∂m(x^2) = -rstd^3 / 2 and
   ∂m(x^2)/∂x[i] = 2 x[i] / C, so ∂rstd/∂x[i] = -rstd^3 x[i] / C, and this path brings to x[i]
       sum_j dxhat[j] x[j] * (-rstd^3 x[i] / C) = -rstd * xhat[i] * (1/C) sum_j dxhat[j] xhat[j]
   (two of the three rstd went into turning x[j] and x[i] into xhat[j] and xhat[i]). Together

       dx[i] = rstd (dxhat[i] - xhat[i] m(dxhat xhat))

It is LayerNorm's gradient without the term of the mean. What is subtracted is dxhat's part along xhat (all of it, but for eps):
stretching a row changes nothing, so no gradient points that way.

Source: Zhang, Sennrich 2019, "Root mean square layer normalization", arXiv:1910.07467, eq. 4.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .shapes import check_shape


class Cache(NamedTuple):
    xhat: Array  # (..., C)
    rstd: Array  # (..., 1)
    weight: Array  # (C,)


def rms_norm(x: Array, weight: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    """x (..., C), weight (C,) -> y (..., C) in their dtype; eps is added to the mean of the squares.

    Raises ValueError where the weight does not have one number for each of x's features.
    """
    check_shape("weight", weight, "(C,)", x.shape[-1:])
    mean_square = (x * x).mean(axis=-1, keepdims=True)  # (..., 1)
    rstd = 1 / np.sqrt(mean_square + eps)  # (..., 1)
    xhat = x * rstd  # (..., C)
    return weight * xhat, Cache(xhat, rstd, weight)


def rms_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """dy (..., C) -> dx (..., C), dweight (C,)."""
    xhat, rstd, weight = cache
    rows = tuple(range(dy.ndim - 1))  # every axis but the last
    dweight = (dy * xhat).sum(axis=rows)  # (C,): w serves every row, so its gradient sums over them
    dxhat = dy * weight  # (..., C)
    through_rstd = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)  # (..., C): xhat m(dxhat xhat)
    dx = rstd * (dxhat - through_rstd)  # (..., C)
    return dx, dweight
