"""Exercise 7, causal attention: every position asks, every earlier one answers. For each head of each sequence alone,

    S = Q K^T / sqrt(D), with -inf for the future          P = softmax(S), row by row          Z = P V

Write attention_backward: from dz, the gradients of q, k and v.

Hint: from back to front. Z = P V and S = Q K^T are linear layers' products, read twice; softmax_backward (exercise 2) leads
from dP to dS. A key and a value collect from every position that looked at them: mind the transposes. The mask needs no line.
"""

import math
import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward
from npgpt.ops.softmax import softmax


class Cache(NamedTuple):
    q: Array  # (B, H, T, D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    pattern: Array  # (B, H, T, T)
    mask: None = None  # dropout's, which this exercise leaves out


def attention(q: Array, k: Array, v: Array) -> tuple[Array, Cache]:
    """q, k, v (B, H, T, D) -> z (B, H, T, D)."""
    T, D = q.shape[-2:]
    future = np.triu(np.ones((T, T), dtype=bool), k=1)  # (T, T)
    scores = np.where(future, -np.inf, q @ k.mT / math.sqrt(D))  # (B, H, T, T)
    pattern, _ = softmax(scores)  # (B, H, T, T)
    return pattern @ v, Cache(q, k, v, pattern)


def attention_backward(dz: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dz (B, H, T, D) -> dq, dk, dv (B, H, T, D)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    q, k, v = np.random.default_rng(0).standard_normal((3, 2, 2, 4, 3))  # each (B, H, T, D)
    verdict = check_backward(attention, attention_backward, q, k, v)
    print(verdict)
    sys.exit(0 if verdict else 1)
