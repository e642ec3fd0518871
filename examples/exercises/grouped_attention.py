"""Exercise 13, grouped queries: H query heads, but only K heads of keys and values; each of those serves G = H / K query heads.

    z[h] = attention(q[h], k[h // G], v[h // G])

As arrays: queries (B, H, T, D) are read as (B, K, G, T, D), and each key and value is shown to the G heads of its group.

Write grouped_attention_backward: from dz, the gradients of q, k and v. attention_backward (exercise 7) is given: it gives every
head a gradient of its own for the keys and values that it was shown.

Hint: first bring dz into groups. A key that was shown G times enters the loss through all of them. In which shape must dq go
back?
"""

import sys

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward
from npgpt.ops.attention import Cache, attention, attention_backward  # noqa: F401 (the answer needs the last)


def grouped_attention(q: Array, k: Array, v: Array) -> tuple[Array, Cache]:
    """q (B, H, T, D), k, v (B, K, T, D) -> z (B, H, T, D). The cache holds q, k, v (B, K, G, T, D) and the pattern."""
    (B, H, T, D), K = q.shape, k.shape[1]
    groups = (B, K, H // K)
    keys, values = (np.broadcast_to(x[:, :, None], (*groups, *x.shape[2:])) for x in (k, v))  # (B, K, G, T, D), twice
    z, cache = attention(q.reshape(*groups, T, D), keys, values)  # (B, K, G, T, D)
    return z.reshape(B, H, T, D), cache


def grouped_attention_backward(dz: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dz (B, H, T, D) -> dq (B, H, T, D), dk, dv (B, K, T, D)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    q, (k, v) = rng.standard_normal((2, 6, 4, 3)), rng.standard_normal((2, 2, 2, 4, 3))  # H = 6, K = 2, T = 4, D = 3
    verdict = check_backward(grouped_attention, grouped_attention_backward, q, k, v)
    print(verdict)
    sys.exit(0 if verdict else 1)
