"""Cross-entropy, fused with softmax: how surprised the model is by the true next token, in nats.

    p[n, i] = softmax(logits[n])[i]          loss = -(1/N) sum_n log p[n, target[n]]

n runs over all N = B * T positions. Fused, because the logarithm undoes the exponential: with m the row's maximum,

    -log p[n, y] = log sum_j exp(logits[n, j] - m) - (logits[n, y] - m)

which never takes the log of a probability that has underflowed to 0.

Backward. Differentiate that line by logits[n, i]. The first term gives exp(logits[n, i] - m) / sum_j exp(logits[n, j] - m) =
p[n, i], the second gives 1 if i is the target, and m cancels. With the mean's 1/N:

    dlogits[n, i] = (p[n, i] - [i = target[n]]) / N * dloss

Read it: every wrong token is pushed down by its own probability, the right one is pulled up by what it lacks to 1, and each
row sums to 0. A model that knows nothing (p = 1/V) has the loss log V.

Source: Bridle 1990 (see softmax.py); Goodfellow, Bengio, Courville 2016, "Deep learning", section 6.2.2.3.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .embedding import check_ids
from .sums import sum_of_each_row


class Cache(NamedTuple):
    p: Array  # (N, V)
    targets: Array  # (N,)
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
    p = rows - rows.real.max(axis=-1, keepdims=True)  # (N, V): logits - m
    target_logits = p[np.arange(N), y]  # (N,): a copy, so p may be overwritten now
    np.exp(p, out=p)
    sums = sum_of_each_row(p)  # (N, 1)
    p /= sums
    loss = (np.log(sums[:, 0]) - target_logits).sum() / N
    return loss, Cache(p, y, logits.shape)


def cross_entropy_backward(dloss: Array | float, cache: Cache) -> Array:
    """dloss, a scalar -> dlogits (..., V)."""
    p, y, shape = cache
    N = y.size
    share = p.dtype.type(dloss / N)  # of each position in the mean; in p's dtype, so that a float64 dloss widens nothing
    dlogits = p * share  # (N, V)
    dlogits[np.arange(N), y] -= share
    return dlogits.reshape(shape)
