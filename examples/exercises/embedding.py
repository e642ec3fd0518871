"""Exercise 4, embedding: every token owns a row of the table, and looking it up copies that row.

    y[n, c] = W[ids[n], c]

Write embedding_backward: from dy, the gradient of the table. The ids are integers and have no gradient.

Hint: a token that occurs three times was copied three times. What becomes of a row whose token does not occur?
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    ids: Array  # (...) integers
    shape: tuple[int, int]  # of the table: (V, C)


def embedding(ids: Array, weight: Array) -> tuple[Array, Cache]:
    """ids (...) integers, weight (V, C) -> y (..., C)."""
    return weight[ids], Cache(ids, weight.shape)


def embedding_backward(dy: Array, cache: Cache) -> Array:
    """dy (..., C) -> dweight (V, C)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    ids, weight = rng.integers(4, size=(2, 5)), rng.standard_normal((6, 3))
    verdict = check_backward(embedding, embedding_backward, ids, weight)
    print(verdict)
    sys.exit(0 if verdict else 1)
