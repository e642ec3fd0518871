"""Causal multi-head attention: every position asks, every earlier one answers.

Each of the H heads works alone, on its own query q[t], key k[t] and value v[t] of D numbers a position:

    scores[t, s]  = q[t] . k[s] / sqrt(D)  for s <= t (itself and the past),  -inf for s > t (the future)
    pattern[t, :] = softmax(scores[t, :])                   how much t looks at each s; 0 for the future
    z[t]          = sum_s pattern[t, s] v[s]                 what it brings home

q . k grows like sqrt(D) for independent entries, hence the division: it keeps softmax away from its flat ends. As matrices,
for one head of one sequence: S = Q K^T / sqrt(D) + mask,  P = softmax(S),  Z = P V.

Backward, from dZ to dQ, dK, dV. All three products are linear layers' products, read twice:

    z[t, d] = sum_s P[t, s] v[s, d]
      v[s, d] enters z[t, d] for every t >= s, times P[t, s]:    dv[s, d] = sum_t P[t, s] dz[t, d]        dV = P^T dZ
      P[t, s] enters z[t, d] for every d, times v[s, d]:         dP[t, s] = sum_d dz[t, d] v[s, d]        dP = dZ V^T
    P = softmax(S), row by row (softmax.py):                     dS[t, s] = P[t, s] (dP[t, s] - sum_r P[t, r] dP[t, r])
    S[t, s] = sum_d q[t, d] k[s, d] / sqrt(D)
      q[t, d] enters S[t, s] for every s, times k[s, d]:         dq[t, d] = sum_s dS[t, s] k[s, d] / sqrt(D)
      k[s, d] enters S[t, s] for every t, times q[t, d]:         dk[s, d] = sum_t dS[t, s] q[t, d] / sqrt(D)
      or as matrices:                                            dQ = dS K / sqrt(D),  dK = dS^T Q / sqrt(D)

Mind the transposes: a key and a value collect from all positions that looked at them (a column of P and of dS), a query only
from its own row. The mask needs no line of its own: where P is 0, dS is 0, so no gradient reaches the future.

Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, section 3.2.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .softmax import Cache as SoftmaxCache
from .softmax import softmax, softmax_backward

Note = Callable[[str, Array], None]


def ignore(name: str, array: Array) -> None:
    """The default observer of a forward or backward pass: looks at nothing. `GPTModel.trace` passes one that keeps copies."""


class Cache(NamedTuple):
    scaled_q: Array  # (B, H, T, D): q / sqrt(D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    pattern: Array  # (B, H, T, T)


class DropoutCache(NamedTuple):
    scaled_q: Array
    k: Array
    v: Array
    pattern: Array
    mask: Array  # (B, H, T, T)


@lru_cache(maxsize=8)
def future(T: int) -> Array:
    """(T, T) booleans, True where column s lies in row t's future. Built once for each length, and read-only."""
    mask = np.triu(np.ones((T, T), dtype=bool), k=1)
    mask.setflags(write=False)
    return mask


def attention(
    q: Array, k: Array, v: Array, note: Note = ignore, mask: Array | None = None
) -> tuple[Array, Cache | DropoutCache]:
    """q, k, v (B, H, T, D) -> z (B, H, T, D) in their dtype. `note` is shown the scores and the pattern, (B, H, T, T).

    mask (B, H, T, T) : dropout of the pattern (dropout.py): z = (mask * pattern) v. None drops nothing.

    Raises ValueError where the three shapes differ.
    """
    if not q.shape == k.shape == v.shape:
        raise ValueError(f"q, k and v must have one shape (B, H, T, D), got {q.shape}, {k.shape} and {v.shape}")
    T, D = q.shape[-2:]
    scaled_q = q * (1 / math.sqrt(D))  # (B, H, T, D): scaling q is T/D times cheaper than scaling the scores
    scores = scaled_q @ k.swapaxes(-1, -2)  # (B, H, T, T)
    np.copyto(scores, -np.inf, where=future(T))  # set, not added: -inf + inf would be nan
    note("scores", scores)
    pattern, _ = softmax(scores)  # (B, H, T, T)
    note("pattern", pattern)
    dropped = pattern if mask is None else pattern * mask  # (B, H, T, T)
    z = dropped @ v  # (B, H, T, D)
    return z, Cache(scaled_q, k, v, pattern) if mask is None else DropoutCache(scaled_q, k, v, pattern, mask)


def attention_backward(dz: Array, cache: Cache | DropoutCache, note: Note = ignore) -> tuple[Array, Array, Array]:
    """dz (B, H, T, D) -> dq, dk, dv (B, H, T, D). `note` is shown the gradients of the pattern and the scores."""
    scaled_q, k, v, pattern, *dropout = cache  # with dropout, its mask stands at the end
    mask = dropout[0] if dropout else None
    D = dz.shape[-1]
    dropped = pattern if mask is None else pattern * mask  # (B, H, T, T)
    dv = dropped.swapaxes(-1, -2) @ dz  # (B, H, T, D)
    dpattern = dz @ v.swapaxes(-1, -2)  # (B, H, T, T)
    if mask is not None:
        dpattern *= mask
    note("pattern", dpattern)
    dscores = softmax_backward(dpattern, SoftmaxCache(pattern))  # (B, H, T, T)
    note("scores", dscores)
    dq = dscores @ k  # (B, H, T, D)
    dq *= 1 / math.sqrt(D)
    dk = dscores.swapaxes(-1, -2) @ scaled_q  # (B, H, T, D): scaled_q brings the 1 / sqrt(D) along
    return dq, dk, dv
