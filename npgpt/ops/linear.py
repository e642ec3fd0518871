"""Linear: each output is a weighted sum of the inputs, plus a bias.

    y[n, o] = sum_c x[n, c] W[o, c] + b[o]            y = x W^T + b

n runs over every leading axis (batch and time, N positions in all): the same weights serve each position.

Backward. L is the loss; dy[n, o], the derivative of L by y[n, o], is given. The chain rule: a number that enters several
outputs moves the loss through each of them, so its gradient is the sum, over all of them, of that output's gradient times the
factor with which the number enters. Ask it of each argument (where does it enter y, and with which factor?):

    x[n, c] enters y[n, o] for every o, times W[o, c]:    dx[n, c] = sum_o dy[n, o] W[o, c]      dx = dy W
    W[o, c] enters y[n, o] for every n, times x[n, c]:    dW[o, c] = sum_n dy[n, o] x[n, c]      dW = dy^T x
    b[o]    enters y[n, o] for every n, times 1:          db[o]    = sum_n dy[n, o]

Source: Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", eqs. 4-7.
"""

from typing import NamedTuple

from numpy import ndarray as Array


class Cache(NamedTuple):
    x: Array  # (..., C)
    weight: Array  # (O, C)


def linear(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Cache]:
    """x (..., C), weight (O, C), bias (O,) or None -> y (..., O) in their dtype.

    Raises ValueError where x's last axis is not weight's last axis.
    """
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"x has {x.shape[-1]} features, weight (O, C) = {weight.shape} expects {weight.shape[1]}")
    y = x @ weight.T  # (..., O): a product for each sequence, so that no bit of a result depends on what else is in the batch
    if bias is not None:
        y = y + bias
    return y, Cache(x, weight)


def linear_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (..., O) -> dx (..., C), dweight (O, C), dbias (O,), which is of no use where there was no bias."""
    x, weight = cache
    rows_dy = dy.reshape(-1, dy.shape[-1])  # (N, O)
    rows_x = x.reshape(-1, x.shape[-1])  # (N, C)
    dx = rows_dy @ weight  # (N, C)
    dweight = rows_dy.T @ rows_x  # (O, C): the product sums over n, since all N positions share the weights
    dbias = rows_dy.sum(axis=0)  # (O,): b was added at all N positions, so its gradient sums over them
    return dx.reshape(x.shape), dweight, dbias
