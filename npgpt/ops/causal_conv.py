"""Causal convolution: every channel is mixed with its own last K letters, and with nothing that comes later.

    y[t, e] = b[e] + sum_k w[e, k] x[t - (K-1) + k, e],   k = 0 .. K-1

"Depthwise": channel e meets its own kernel w[e] and no other channel. The last tap, k = K-1, falls on the current letter t, the
first one on the letter K-1 before. Before the sequence begins x is 0, so K-1 zeros stand to the left of it. With them in front,
padded[s] = x[s - (K-1)], and tap k of output t reads padded[t + k]: all outputs at once read the T letters from place k on,

    y[:] = b + sum_k w[:, k] padded[k : k+T]

(Deep learning calls this a convolution; a mathematician's would count the taps the other way round.)

Backward. Ask of each argument where it enters y, and with which factor:

    x[s, e] enters y[t, e] where t - (K-1) + k = s, that is, at t = s + (K-1) - k, times w[e, k]:

        dx[s, e] = sum_k w[e, k] dy[s + (K-1) - k, e]          dy[t] = 0 for t >= T: no output stands there

      It is the forward's sum with the signs of K-1 and k turned round: the same convolution read backwards, its kernel flipped
      and looking into the future, for a letter hears back from the letters that it was shown to: itself and the K-1 after it.
      With j = K-1-k, and with K-1 zeros to the right of dy (then it is called padded_dy):

        dx[:] = sum_j w[:, K-1-j] padded_dy[j : j+T]

    w[e, k] enters y[t, e] for every t (and every sequence b of the batch), times padded[t + k, e]:

        dw[e, k] = sum_b sum_t dy[b, t, e] padded[b, t + k, e]

    b[e] enters y[t, e] for every t and every sequence, times 1:

        db[e] = sum_b sum_t dy[b, t, e]

Carried on. A sequence that arrives in parts needs no zeros but for its first part: the K-1 letters that came before a part take
their place (`past`), and y is what one long call would give.

Sources: Waibel et al. 1989, "Phoneme recognition using time-delay neural networks" (convolution over time); Gu, Dao 2023,
"Mamba", arXiv:2312.00752, section 3.4 (its place in the block).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

from .shapes import check_shape


class Cache(NamedTuple):
    padded: Array  # (B, K-1+T, E): zeros or the past, then x. Its last K-1 letters, padded[:, T:], are the next part's past
    weight: Array  # (E, 1, K)


def causal_conv(x: Array, weight: Array, bias: Array | None = None, *, past: Array | None = None) -> tuple[Array, Cache]:
    """x (B, T, E), weight (E, 1, K), bias (E,) or None -> y (B, T, E) in their dtype.

    past (B, K-1, E) : the letters before x, in place of zeros; cache.padded[:, T:] of the call before. It has no gradient: a
    sequence is carried on in generation, where nothing is learned.

    Raises ValueError where the shapes do not fit.
    """
    if x.ndim != 3 or weight.ndim != 3 or weight.shape[:2] != (x.shape[2], 1) or weight.shape[2] < 1:
        raise ValueError(f"weight must be (E, 1, K) for x (B, T, E) = {x.shape}, got {weight.shape}")
    B, T, E = x.shape
    K = weight.shape[2]
    if past is None:
        past = np.zeros((B, K - 1, E), x.dtype)
    check_shape("past", past, "(B, K-1, E)", (B, K - 1, E))
    if bias is not None:
        check_shape("bias", bias, "(E,)", (E,))
    padded = np.concatenate([past, x], axis=1)  # (B, K-1+T, E)
    y = sum(weight[:, 0, k] * padded[:, k : k + T] for k in range(K))  # (B, T, E)
    if bias is not None:
        y = y + bias
    return y, Cache(padded, weight)


def causal_conv_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dy (B, T, E) -> dx (B, T, E), dweight (E, 1, K), dbias (E,), which is of no use where there was no bias."""
    padded, weight = cache
    T, K = dy.shape[1], weight.shape[2]
    padded_dy = np.zeros(padded.shape, dy.dtype)  # (B, T+K-1, E): nothing comes after T
    padded_dy[:, :T] = dy
    dx: Any = sum(weight[:, 0, K - 1 - j] * padded_dy[:, j : j + T] for j in range(K))  # (B, T, E); without a tap, the number 0
    dtaps = [(dy * padded[:, k : k + T]).sum(axis=(0, 1)) for k in range(K)]  # K of (E,)
    dweight = np.stack(dtaps, axis=1)[:, None]  # (E, 1, K): w serves every letter of every sequence, hence the sums
    dbias = dy.sum(axis=(0, 1))  # (E,): b likewise
    return dx, dweight, dbias
