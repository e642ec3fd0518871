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

Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, section 3.2.

The file has two chapters: attention as derived here, and, for long sequences, the same in tiles of queries.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .dropout import Cache as DropoutCache
from .dropout import dropout, dropout_backward
from .note import Note, ignore
from .softmax import Cache as SoftmaxCache
from .softmax import softmax, softmax_backward


class Cache(NamedTuple):
    q: Array  # (B, H, R, D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    pattern: Array  # (B, H, R, T)
    mask: Array | None = None  # (B, H, R, T): dropout's


@lru_cache(maxsize=64)
def future(queries: int, keys: int) -> Array:
    """(R, T) booleans for the last R of T positions, True where column s lies in the row's future. Read-only."""
    t, s = np.arange(keys - queries, keys)[:, None], np.arange(keys)
    mask = s > t
    mask.setflags(write=False)
    return mask


def check_shapes(q: Array, k: Array, v: Array) -> None:
    """Raises ValueError where q, k and v do not belong together."""
    if k.shape != v.shape or q.shape[:-2] != k.shape[:-2] or q.shape[-1:] != k.shape[-1:] or q.shape[-2] > k.shape[-2]:
        raise ValueError(
            f"q, k and v must be (B, H, R, D) and twice (B, H, T, D) with R <= T, got {q.shape}, {k.shape}, {v.shape}"
        )


def attention(q: Array, k: Array, v: Array, mask: Array | None = None, note: Note = ignore) -> tuple[Array, Cache]:
    """q (B, H, R, D); k, v (B, H, T, D) -> z (B, H, R, D) in their dtype.

    The R queries are those of the last R of T positions: R = T in training; R = 1 where one more token is generated and the
    keys and values of the earlier ones are at hand. (Heads may stand along several axes: see grouped_attention.py.)

    mask (B, H, R, T) : dropout of the pattern (dropout.py): z = (mask * pattern) v. None drops nothing.
    note : is shown the scores and the pattern, (B, H, R, T).

    Raises ValueError where the shapes do not fit.
    """
    check_shapes(q, k, v)
    (R, D), T = q.shape[-2:], k.shape[-2]
    scores = q @ k.mT / math.sqrt(D)  # (B, H, R, T)
    np.copyto(scores, -np.inf, where=future(R, T))  # set, not added: -inf + inf would be nan
    note("scores", scores)
    pattern, _ = softmax(scores)  # (B, H, R, T)
    note("pattern", pattern)
    dropped = pattern if mask is None else dropout(pattern, mask)[0]  # (B, H, R, T)
    z = dropped @ v  # (B, H, R, D)
    return z, Cache(q, k, v, pattern, mask)


def attention_backward(dz: Array, cache: Cache, note: Note = ignore) -> tuple[Array, Array, Array]:
    """dz (B, H, R, D) -> dq (B, H, R, D), dk, dv (B, H, T, D). `note` is shown the gradients of the pattern and the scores."""
    q, k, v, pattern, mask = cache
    D = q.shape[-1]
    dropped = pattern if mask is None else dropout(pattern, mask)[0]  # (B, H, R, T)
    dv = dropped.mT @ dz  # (B, H, T, D)
    dpattern = dz @ v.mT  # (B, H, R, T)
    if mask is not None:
        dpattern = dropout_backward(dpattern, DropoutCache(mask))
    note("pattern", dpattern)
    dscores = softmax_backward(dpattern, SoftmaxCache(pattern))  # (B, H, R, T)
    note("scores", dscores)
    dq = dscores @ k / math.sqrt(D)  # (B, H, R, D)
    dk = dscores.mT @ q / math.sqrt(D)  # (B, H, T, D)
    return dq, dk, dv


# ------------------------------------------------------------------------------------------ the second chapter: long sequences
#
# Every row of S belongs to one query and needs no other row, so the queries can be taken a tile at a time, and a tile only
# meets the keys up to its last query: the rest is future for all of it. For long sequences that leaves out almost half of S,
# whose every number would cost an exponential. dQ comes out tile by tile, dK and dV are sums over the tiles.
#
# The backward needs every tile's P. Kept, they are T^2 / 2 numbers a head; from so many keys on that this is what fills the
# memory, the backward computes each anew from q and k, by the forward's own lines, and lets it go: memory then grows like T.
# (Both are ideas of FlashAttention, Dao et al. 2022, arXiv:2205.14135.)

TILE = 64  # queries
KEPT = 2048  # keys: up to so many the patterns are kept, which saves their exponentials


class TiledCache(NamedTuple):
    q: Array  # (B, H, R, D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    tile: int
    kept: list[Cache] | None  # one for each tile; None where they are computed anew
    mask: Array | None = None  # (B, H, R, T): dropout's


@lru_cache(maxsize=64)
def tiles(queries: int, keys: int, tile: int) -> list[tuple[slice, slice]]:
    """For each tile of queries: which queries, and which keys they may see. The queries are those of the last positions."""
    earlier = keys - queries
    ends = [min(start + tile, queries) for start in range(0, queries, tile)]
    return [(slice(start, end), slice(earlier + end)) for start, end in pairwise([0, *ends])]


def in_its_place(whole: dict[str, Array] | None, rows: slice, seen: slice) -> Note:
    """An observer of one tile, which copies what it is shown into the whole (B, H, R, T)."""
    return ignore if whole is None else lambda name, part: whole[name].__setitem__(np.s_[..., rows, seen], part)


OfTile = tuple[Array, Array, Array, Array | None]


def of_tile(q: Array, k: Array, v: Array, mask: Array | None, rows: slice, seen: slice) -> OfTile:
    """What one tile of queries is attended with: its queries, the keys and values that it may see, its part of the mask."""
    return q[..., rows, :], k[..., seen, :], v[..., seen, :], None if mask is None else mask[..., rows, seen]


def attention_in_tiles(
    q: Array, k: Array, v: Array, mask: Array | None = None, note: Note = ignore, tile: int = TILE, kept: int = KEPT
) -> tuple[Array, TiledCache]:
    """The same as `attention`, `tile` queries at a time: what is called for more than TILE queries. The patterns are kept where
    there are at most `kept` keys.

    A whole step of a model of 2 layers and 128 features takes 1.2 times as long without it at T = 256, 1.5 times at T = 1,024,
    and 1.7 times at T = 4,096 (measured on one core, float32).
    """
    check_shapes(q, k, v)
    shape = (*q.shape[:-1], k.shape[-2])  # (B, H, R, T)
    whole = None
    if note is not ignore:
        whole = {"scores": np.full(shape, -np.inf, q.dtype), "pattern": np.zeros(shape, q.dtype)}
    z = np.empty_like(q)  # (B, H, R, D)
    caches: list[Cache] | None = [] if k.shape[-2] <= kept else None
    for rows, seen in tiles(q.shape[-2], k.shape[-2], tile):
        z[..., rows, :], cache = attention(*of_tile(q, k, v, mask, rows, seen), in_its_place(whole, rows, seen))
        if caches is not None:
            caches.append(cache)
    for name, array in (whole or {}).items():
        note(name, array)
    return z, TiledCache(q, k, v, tile, caches, mask)


def attention_in_tiles_backward(dz: Array, cache: TiledCache, note: Note = ignore) -> tuple[Array, Array, Array]:
    """The same as `attention_backward`, for the cache of `attention_in_tiles`."""
    q, k, v, tile, kept, mask = cache
    whole = None
    if note is not ignore:  # who looks is shown the pattern's gradient in the future too, where it leads nowhere
        dpattern = dz @ v.mT  # (B, H, R, T)
        dpattern = dpattern if mask is None else dropout_backward(dpattern, DropoutCache(mask))
        whole = {"pattern": dpattern, "scores": np.zeros_like(dpattern)}
    dq = np.empty_like(dz)
    dk, dv = np.zeros((2, *v.shape), v.dtype)
    for i, (rows, seen) in enumerate(tiles(q.shape[-2], k.shape[-2], tile)):
        its_cache = kept[i] if kept is not None else attention(*of_tile(q, k, v, mask, rows, seen))[1]
        its_note = in_its_place(whole, rows, seen)
        dq[..., rows, :], its_dk, its_dv = attention_backward(dz[..., rows, :], its_cache, its_note)
        dk[..., seen, :] += its_dk  # a key collects from all tiles that looked at it
        dv[..., seen, :] += its_dv
    for name, array in (whole or {}).items():
        note(name, array)
    return dq, dk, dv
