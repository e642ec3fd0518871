"""LayerNorm: gives every position the same scale, whatever the layers below did to it.

Each row of C features is centred, divided by its standard deviation, then stretched and shifted by learned w and b:

    mean = sum_i x[i] / C          var = sum_i (x[i] - mean)^2 / C          rstd = 1 / sqrt(var + eps)
    xhat[i] = (x[i] - mean) rstd   y[i] = w[i] xhat[i] + b[i]

The variance is the biased one (divided by C, not C - 1) and eps stands inside the root.

Backward. From dy, the last line gives at once (w and b serve every row n, so their gradients sum over n)

    dw[i] = sum_n dy[n, i] xhat[n, i]        db[i] = sum_n dy[n, i]        dxhat[i] = dy[i] w[i]

x enters xhat on three paths: directly, through the mean, and through the variance. Write c[i] = x[i] - mean, xhat = c rstd.

1. Through rstd. rstd = (var + eps)^(-1/2), so ∂rstd/∂var = -rstd^3 / 2, and ∂var/∂c[i] = 2 c[i] / C. Each xhat[j] holds
   rstd times c[j], so this path brings to c[i]
       sum_j dxhat[j] c[j] * (-rstd^3 / 2) * (2 c[i] / C) = -rstd * xhat[i] * (1/C) sum_j dxhat[j] xhat[j]
   (two of the three rstd went into turning c[j] and c[i] into xhat[j] and xhat[i]).
2. Directly: xhat[i] = c[i] rstd brings rstd dxhat[i]. With path 1, writing m(.) for the mean over the row:
       dc[i] = rstd (dxhat[i] - xhat[i] m(dxhat xhat))
3. Through the mean. c[j] = x[j] - sum_i x[i] / C for every j, so dx[i] = dc[i] - m(dc). Since m(xhat) = 0,
   m(dc) = rstd m(dxhat), and

       dx[i] = rstd (dxhat[i] - m(dxhat) - xhat[i] m(dxhat xhat))

Both subtracted terms take a direction away: dx has no component along (1, ..., 1), since shifting a row changes nothing,
and almost none along xhat, since scaling it changes nothing either (but for eps).

Source: Ba, Kiros, Hinton 2016, "Layer normalization", arXiv:1607.06450, eqs. 3-4.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .sums import mean_of_each_row, sum_over_rows


class Cache(NamedTuple):
    xhat: Array  # (..., C)
    rstd: Array  # (..., 1)
    weight: Array  # (C,)


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    """x (..., C), weight (C,), bias (C,) -> y (..., C) in their dtype; eps is added to the variance."""
    xhat = x - mean_of_each_row(x)  # (..., C): centred here, scaled three lines below
    var = mean_of_each_row(xhat * xhat)  # (..., 1); np.var takes |.|^2, which is not the square of a complex number
    rstd = 1 / np.sqrt(var + eps)  # (..., 1)
    xhat *= rstd
    y = xhat * weight  # (..., C)
    y += bias
    return y, Cache(xhat, rstd, weight)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (..., C) -> dx (..., C), dweight (C,), dbias (C,)."""
    C = dy.shape[-1]
    xhat, rstd, weight = cache.xhat.reshape(-1, C), cache.rstd.reshape(-1, 1), cache.weight  # (N, C), (N, 1), (C,)
    rows = dy.reshape(-1, C)  # (N, C)
    dy_xhat = rows * xhat  # (N, C)
    dweight = sum_over_rows(dy_xhat)  # (C,): w serves every row, so its gradient sums over them
    dbias = sum_over_rows(rows)  # (C,): b likewise

    share = weight / C  # (C,): dxhat = dy w, so its mean over a row is the product of dy with w / C
    through_mean = rows.dot(share)[:, None]  # (N, 1): m(dxhat)
    through_rstd = xhat * dy_xhat.dot(share)[:, None]  # (N, C): xhat m(dxhat xhat)
    dx = rows * weight  # (N, C): dxhat; from here on in the same buffer, which is ours
    dx -= through_mean
    dx -= through_rstd
    dx *= rstd
    return dx.reshape(dy.shape), dweight, dbias
