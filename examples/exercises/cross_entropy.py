"""Exercise 3, cross-entropy: how surprised the model is by the true next token, averaged over all N positions.

    p = softmax(logits), row by row          loss = -(1/N) sum_n log p[n, target[n]]

Write cross_entropy_backward: from dloss, one number, the gradient of the logits in their shape.

Hint: log p[n, y] = logits[n, y] - log sum_j exp(logits[n, j]). Differentiate the two terms by logits[n, i]; one of them is
there only where i is the target. Mind the mean, and that dloss need not be 1.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    p: Array  # (N, V)
    y: Array  # (N,): the targets
    shape: tuple[int, ...]  # of the logits


def cross_entropy(logits: Array, targets: Array) -> tuple[Array, Cache]:
    """logits (..., V), targets (...) of ids -> the mean loss, a scalar."""
    rows = logits.reshape(-1, logits.shape[-1])  # (N, V)
    y = targets.reshape(-1)  # (N,)
    e = np.exp(rows - rows.real.max(axis=-1, keepdims=True))  # (N, V)
    p = e / e.sum(axis=-1, keepdims=True)  # (N, V)
    loss = -np.log(p[np.arange(y.size), y]).sum() / y.size
    return loss, Cache(p, y, logits.shape)


def cross_entropy_backward(dloss: float, cache: Cache) -> Array:
    """dloss, a scalar -> dlogits (..., V). The targets are integers and have no gradient."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((2, 3, 5)), rng.integers(5, size=(2, 3))
    verdict = check_backward(cross_entropy, cross_entropy_backward, logits, targets)
    print(verdict)
    sys.exit(0 if verdict else 1)
