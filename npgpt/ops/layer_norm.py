"""LayerNorm: gives every position the same scale, whatever the layers below did to it.

Each row of C features is centred, divided by its standard deviation, then stretched and shifted by learned w and b:

    mean = m(x)                    c[i] = x[i] - mean
    var = m(c^2)                   rstd = 1 / sqrt(var + eps)
    xhat[i] = c[i] rstd            y[i] = w[i] xhat[i] + b[i]

m(.) is the mean over the C features of a row. The variance is the biased one (divided by C, not C - 1) and eps stands inside
the root.

Backward. From dy, the last line gives at once (w and b serve every row n, so their gradients sum over n)

    dw[i] = sum_n dy[n, i] xhat[n, i]        db[i] = sum_n dy[n, i]        dxhat[i] = dy[i] w[i]

x enters xhat on three paths: directly, through the mean, and through the variance.

1. Through rstd. rstd = (var + eps)^(-1/2), so ∂rstd/∂var = -rstd^3 / 2, and ∂var/∂c[i] = 2 c[i] / C. Each xhat[j] holds
   rstd times c[j], so this path brings to c[i]
       sum_j dxhat[j] c[j] * (-rstd^3 / 2) * (2 c[i] / C) = -rstd * xhat[i] * (1/C) sum_j dxhat[j] xhat[j]
   (two of the three rstd went into turning c[j] and c[i] into xhat[j] and xhat[i]).
2. Directly: xhat[i] = c[i] rstd brings rstd dxhat[i]. With path 1:
       dc[i] = rstd (dxhat[i] - xhat[i] m(dxhat xhat))
3. Through the mean. c[j] = x[j] - sum_i x[i] / C for every j, so dx[i] = dc[i] - m(dc). Since m(xhat) = 0,
   m(dc) = rstd m(dxhat), and

       dx[i] = rstd (dxhat[i] - m(dxhat) - xhat[i] m(dxhat xhat))

which is the line that the code computes. Both subtracted terms take a direction away: dx has no component along (1, ..., 1),
since shifting a row changes nothing, and almost none along xhat, since scaling it changes nothing either (but for eps).

Source: Ba, Kiros, Hinton 2016, "Layer normalization", arXiv:1607.06450, eqs. 3-4.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array


def m(x: Array) -> Array:
    """x (..., C) -> the mean of each row, (..., 1)."""
    return x.sum(axis=-1, keepdims=True) / x.shape[-1]


class Cache(NamedTuple):
    xhat: Array  # (..., C)
    rstd: Array  # (..., 1)
    weight: Array  # (C,)


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    """x (..., C), weight (C,), bias (C,) -> y (..., C) in their dtype; eps is added to the variance."""
    mean = m(x)  # (..., 1)
    c = x - mean  # (..., C)
    var = m(c * c)  # (..., 1); np.var takes |c|^2, which is not the square of a complex number
    rstd = 1 / np.sqrt(var + eps)  # (..., 1)
    xhat = c * rstd  # (..., C)
    y = weight * xhat + bias  # (..., C)
    return y, Cache(xhat, rstd, weight)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (..., C) -> dx (..., C), dweight (C,), dbias (C,)."""
    xhat, rstd, weight = cache
    rows = tuple(range(dy.ndim - 1))  # the axes of the rows n
    dweight = (dy * xhat).sum(axis=rows)  # (C,): w serves every row, so its gradient sums over them
    dbias = dy.sum(axis=rows)  # (C,): b likewise
    dxhat = dy * weight  # (..., C)
    through_mean = m(dxhat)  # (..., 1)
    through_rstd = xhat * m(dxhat * xhat)  # (..., C)
    dx = rstd * (dxhat - through_mean - through_rstd)  # (..., C)
    return dx, dweight, dbias
