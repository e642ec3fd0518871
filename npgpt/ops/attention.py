"""Causal multi-head attention: every position asks, every earlier one answers.

Each of the H heads works alone, on its own query q[t], key k[t] and value v[t] of D numbers a position:

    scores[t, s]  = q[t] . k[s] / sqrt(D)  for s <= t (itself and the past),  -inf for s > t (the future)
    pattern[t, :] = softmax(scores[t, :])                   how much t looks at each s; 0 for the future
    z[t]          = sum_s pattern[t, s] v[s]                 what it brings home

For independent entries of mean 0 and variance 1, q . k has the standard deviation sqrt(D), hence the division: large scores
would make one weight 1 and the others 0, where softmax's derivative p (1 - p) vanishes. As matrices, for one head of one
sequence: S = Q K^T / sqrt(D) + mask,  P = softmax(S),  Z = P V. (Splitting into heads and joining them is in npgpt/layers.py.)

Backward, from dZ to dQ, dK, dV. Q K^T and P V are products like a linear layer's, so each argument asks again where it enters:

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

In blocks. Every row of S belongs to one query and needs no other row, so the queries can be taken a block at a time, and a
block only meets the keys up to its last query: the rest is future for all of it. For long sequences that leaves out almost half
of S, whose every number would cost an exponential. dQ comes out block by block, dK and dV are sums over the blocks.

Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, section 3.2. Working through S in blocks is one half
of FlashAttention's idea (Dao et al. 2022, arXiv:2205.14135); the other is to compute P anew in the backward instead of keeping
it, which trades exponentials for memory.
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
    scaled_q: Array  # (B, H, R, D): q / sqrt(D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    patterns: list[Array]  # of each block of r queries, (B, H, r, s): its last query sees s keys
    mask: Array | None = None  # (B, H, R, T): dropout's


@lru_cache(maxsize=8)
def future(T: int) -> Array:
    """(T, T) booleans, True where column s lies in row t's future. Built once for each length, and read-only."""
    mask = np.triu(np.ones((T, T), dtype=bool), k=1)
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=8)
def blocks(queries: int, keys: int, block: int) -> list[tuple[slice, slice]]:
    """For each block of queries: which queries, and which keys they may see. The queries are those of the last positions."""
    earlier = keys - queries
    starts = range(0, queries, block)
    return [(slice(t, min(t + block, queries)), slice(earlier + min(t + block, queries))) for t in starts]


def joined(parts: list[Array]) -> Array:
    """The blocks' results (B, H, r, D), in order, as one (B, H, R, D)."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)


def attention(
    q: Array, k: Array, v: Array, note: Note = ignore, mask: Array | None = None, block: int = 64
) -> tuple[Array, Cache]:
    """q (B, H, R, D); k, v (B, H, T, D) -> z (B, H, R, D) in their dtype.

    The R queries are those of the last R of T positions: R = T in training; R = 1 where one more token is generated and the
    keys and values of the earlier ones are at hand. `block` queries are worked on at once; all of them where a `note` is to be
    shown the scores and the pattern, (B, H, R, T).

    mask (B, H, R, T) : dropout of the pattern (dropout.py): z = (mask * pattern) v. None drops nothing.

    Raises ValueError where the shapes do not fit.
    """
    R, D = q.shape[-2:]
    T = k.shape[-2]
    if k.shape != v.shape or q.shape[:2] != k.shape[:2] or q.shape[3:] != k.shape[3:] or R > T:
        raise ValueError(
            f"q, k and v must be (B, H, R, D) and twice (B, H, T, D) with R <= T, got {q.shape}, {k.shape}, {v.shape}"
        )
    scaled_q = q * (1 / math.sqrt(D))  # (B, H, R, D): scaling q is T/D times cheaper than scaling the scores
    z, patterns = [], []
    for rows, seen in blocks(R, T, block if note is ignore else R):
        scores = scaled_q[:, :, rows] @ k[:, :, seen].swapaxes(-1, -2)  # (B, H, r, s)
        r = scores.shape[-2]
        if r > 1:  # the square at the end (a lone query has no future in it); set, not added: -inf + inf would be nan
            np.copyto(scores[..., -r:], -np.inf, where=future(r))
        note("scores", scores)
        pattern, _ = softmax(scores)  # (B, H, r, s)
        note("pattern", pattern)
        dropped = pattern if mask is None else pattern * mask[:, :, rows, seen]  # (B, H, r, s)
        z.append(dropped @ v[:, :, seen])  # (B, H, r, D)
        patterns.append(pattern)
    return joined(z), Cache(scaled_q, k, v, patterns, mask)


def attention_backward(dz: Array, cache: Cache, note: Note = ignore) -> tuple[Array, Array, Array]:
    """dz (B, H, R, D) -> dq (B, H, R, D), dk, dv (B, H, T, D). `note` is shown the gradients of the pattern and the scores."""
    scaled_q, k, v, patterns, mask = cache
    R, D = dz.shape[-2:]
    T = k.shape[-2]
    dqs = []
    # From the last block to the first: the last has seen every key, so it makes dk and dv, to which the earlier ones add.
    for (rows, seen), pattern in zip(reversed(blocks(R, T, patterns[0].shape[-2])), reversed(patterns), strict=True):
        block_dz = dz[:, :, rows]  # (B, H, r, D)
        dpattern = block_dz @ v[:, :, seen].swapaxes(-1, -2)  # (B, H, r, s)
        dropped = pattern
        if mask is not None:
            dropped = pattern * mask[:, :, rows, seen]  # (B, H, r, s)
            dpattern *= mask[:, :, rows, seen]
        note("pattern", dpattern)
        dscores = softmax_backward(dpattern, SoftmaxCache(pattern))  # (B, H, r, s)
        note("scores", dscores)
        dqs.append(dscores @ k[:, :, seen])  # (B, H, r, D)
        block_dk = dscores.swapaxes(-1, -2) @ scaled_q[:, :, rows]  # (B, H, s, D): scaled_q brings the 1 / sqrt(D) along
        block_dv = dropped.swapaxes(-1, -2) @ block_dz  # (B, H, s, D)
        if rows.stop == R:
            dk, dv = block_dk, block_dv
        else:
            dk[:, :, seen] += block_dk
            dv[:, :, seen] += block_dv
    dq = joined(dqs[::-1])
    dq *= 1 / math.sqrt(D)
    return dq, dk, dv
