"""Exercise 6, LayerNorm: every row of C features is centred and scaled, then stretched by w and shifted by b.

    mean = sum_i x[i] / C          var = sum_i (x[i] - mean)^2 / C          rstd = 1 / sqrt(var + eps)
    xhat[i] = (x[i] - mean) rstd   y[i] = w[i] xhat[i] + b[i]

Write layer_norm_backward: from dy, the gradients of x, weight and bias.

Hint: go back line by line, first to dw, db and dxhat. x enters xhat on three paths: itself, through the mean, through rstd.
Each brings one term, and the last two are means over the row. w and b serve every row.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    xhat: Array  # (..., C)
    rstd: Array  # (..., 1)
    weight: Array  # (C,)


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    """x (..., C), weight (C,), bias (C,) -> y (..., C)."""
    centred = x - x.mean(axis=-1, keepdims=True)  # (..., C)
    var = (centred * centred).mean(axis=-1, keepdims=True)  # (..., 1)
    rstd = 1 / np.sqrt(var + eps)  # (..., 1)
    xhat = centred * rstd  # (..., C)
    return weight * xhat + bias, Cache(xhat, rstd, weight)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (..., C) -> dx (..., C), dweight (C,), dbias (C,)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((2, 3, 5)), rng.standard_normal(5), rng.standard_normal(5)
    verdict = check_backward(layer_norm, layer_norm_backward, x, weight, bias)
    print(verdict)
    sys.exit(0 if verdict else 1)
