"""Exercise 9, the causal convolution: every channel e meets its own kernel of K taps, the last of them on the current letter.

    y[t, e] = bias[e] + sum_k weight[e, 0, k] x[t - (K-1) + k, e]          x is 0 before the sequence begins

Write causal_conv_backward: from dy, the gradients of x, weight and bias.

Hint: at which t does x[s] enter y[t], and with which tap? It is a convolution again, read backwards: flipped, looking into the
future, which is 0 after the sequence's end. A tap serves every letter of every sequence.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    padded: Array  # (B, K-1+T, E): K-1 zeros, then x
    weight: Array  # (E, 1, K)


def causal_conv(x: Array, weight: Array, bias: Array) -> tuple[Array, Cache]:
    """x (B, T, E), weight (E, 1, K), bias (E,) -> y (B, T, E)."""
    B, T, E = x.shape
    K = weight.shape[2]
    padded = np.concatenate([np.zeros((B, K - 1, E), x.dtype), x], axis=1)  # (B, K-1+T, E): padded[t + k] is x[t - (K-1) + k]
    y = sum(weight[:, 0, k] * padded[:, k : k + T] for k in range(K))  # (B, T, E)
    return y + bias, Cache(padded, weight)


def causal_conv_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (B, T, E) -> dx (B, T, E), dweight (E, 1, K), dbias (E,)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((2, 5, 3)), rng.standard_normal((3, 1, 4)), rng.standard_normal(3)  # T = 5, K = 4
    verdict = check_backward(causal_conv, causal_conv_backward, x, weight, bias)
    print(verdict)
    sys.exit(0 if verdict else 1)
