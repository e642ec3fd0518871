"""Cross-entropy, fused with softmax: how surprised the model is by the true next token, in nats.

    p[n, i] = softmax(logits[n])[i]          loss = -(1/N) sum_n log p[n, y[n]]

n runs over all N = B * T positions, y[n] is the target. Fused, because the logarithm undoes the exponential: with the row's
maximum m, and e[i] = exp(logits[n, i] - m) and s = sum_i e[i] as in softmax.py,

    log p[n, y] = (logits[n, y] - m) - log s

which never takes the log of a probability that has underflowed to 0.

Backward. Differentiate that line by logits[n, i]. The first term gives [i = y] (1 if i is the target, else 0); the second gives
e[i] / s = p[n, i]; m cancels. With the mean's -1/N:

    dlogits[n, i] = (p[n, i] - [i = y[n]]) / N * dloss

Read it: every wrong token is pushed down by its own probability, the right one is pulled up by what it lacks to 1, and each
row sums to 0. A model that knows nothing (p = 1/V) has the loss log V.

Source: Bridle 1990 (see softmax.py); Goodfellow, Bengio, Courville 2016, "Deep learning", section 6.2.2.3.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .embedding import check_ids


class Cache(NamedTuple):
    p: Array  # (N, V)
    y: Array  # (N,): the targets
    shape: tuple[int, ...]  # of the logits


def cross_entropy(logits: Array, targets: Array) -> tuple[Array, Cache]:
    """logits (..., V), targets (...) of ids -> the mean loss, a scalar in the logits' dtype.

    Raises TypeError where the targets are not integers; ValueError where an id is not below V, where the shapes disagree, and
    where there is nothing to predict (the mean over no position has no value).
    """
    targets = np.asarray(targets)
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"targets have the shape {targets.shape}, the logits' positions {logits.shape[:-1]}")
    V = logits.shape[-1]
    check_ids("targets", targets, V)
    N = targets.size
    y = targets.reshape(-1)  # (N,)

    rows = logits.reshape(-1, V)  # (N, V)
    m = rows.real.max(axis=1, keepdims=True)  # (N, 1)
    e = np.exp(rows - m)  # (N, V)
    s = e.sum(axis=1, keepdims=True)  # (N, 1)
    p = e / s  # (N, V)
    log_p = (rows[np.arange(N), y] - m[:, 0]) - np.log(s[:, 0])  # (N,): of the targets
    loss = -log_p.sum() / N
    return loss, Cache(p, y, logits.shape)


def cross_entropy_backward(dloss: Array | float, cache: Cache) -> Array:
    """dloss, a scalar -> dlogits (..., V)."""
    p, y, shape = cache
    N = y.size
    p_minus_onehot = p.copy()  # (N, V)
    p_minus_onehot[np.arange(N), y] -= 1  # [i = y[n]]: a single 1 a row
    dlogits = p_minus_onehot * p.dtype.type(dloss / N)  # in p's dtype: a float64 dloss widens nothing
    return dlogits.reshape(shape)
