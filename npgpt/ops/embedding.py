"""Embedding: the dictionary of the model. Every token owns a row of the table; looking it up is copying that row.

    y[n, c] = W[ids[n], c]

A lookup is a linear layer on one-hot rows: with onehot[n, v] = [v = ids[n]], y = onehot W.

Backward. By the linear layer's rule dW = onehot^T dy, which written out is

    dW[v, c] = sum over the n with ids[n] = v of dy[n, c]

A token that occurs three times collects three gradients (assigning instead of adding would keep one of them), and a token that
does not occur gets 0: its row never moves. ids are integers and have no gradient.

Positions. Attention alone does not know the order of its inputs (a permuted sequence gives the permuted output), so each
position's own vector is added: y[b, t] = x[b, t] + P[t]. P is learned, or fixed sines and cosines of falling frequency:

    P[t, 2i] = sin(t / 10000^(2i/C))      P[t, 2i+1] = cos(t / 10000^(2i/C))      for i < C // 2; an odd last column stays 0

A sum passes its gradient on to both sides unchanged; P[t] was used by every sequence of the batch, so its gradient sums over b:

    dx = dy        dP[t, c] = sum_b dy[b, t, c]   (0 for positions past the sequence's end)

Sources: Bengio et al. 2003, "A neural probabilistic language model" (the table); Vaswani et al. 2017, "Attention is all you
need", arXiv:1706.03762, section 3.5 (the sines).
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class Cache(NamedTuple):
    ids: Array  # (...) integers
    shape: tuple[int, int]  # of the table: (V, C)


def check_ids(name: str, ids: Array, vocab_size: int) -> None:
    """Raises TypeError where ids are not integers, ValueError where there are none or where one is outside 0..vocab_size - 1.

    Without it a negative id would silently count from the table's end.
    """
    if ids.dtype.kind not in ("i", "u"):  # signed, unsigned
        raise TypeError(f"{name} must be integers, got dtype {ids.dtype}")
    if ids.size == 0:
        raise ValueError(f"{name} must hold at least one id, got the shape {ids.shape}")
    if ids.view(UNSIGNED[ids.itemsize]).max() >= vocab_size:  # read as unsigned, a negative id is a huge one: one pass, not two
        wrong = int(ids.min() if ids.min() < 0 else ids.max())
        raise ValueError(f"{name} must lie in 0..{vocab_size - 1} (the vocabulary), got {wrong}")


def embedding(ids: Array, weight: Array) -> tuple[Array, Cache]:
    """ids (...) integers, weight (V, C) -> y (..., C) in weight's dtype. Raises what check_ids raises."""
    ids = np.asarray(ids)
    check_ids("ids", ids, weight.shape[0])
    y = weight[ids]  # (..., C)
    return y, Cache(ids, weight.shape)


def embedding_backward(dy: Array, cache: Cache) -> Array:
    """dy (..., C) -> dweight (V, C)."""
    ids, (V, C) = cache
    dweight = np.zeros((V, C), dy.dtype)
    np.add.at(dweight, ids, dy)  # adds row by row, also where an id comes again; dweight[ids] += dy would keep the last alone
    return dweight


class PositionCache(NamedTuple):
    seq_len: int


def add_position(x: Array, table: Array) -> tuple[Array, PositionCache]:
    """x (B, T, C), table (seq_len, C) with seq_len >= T -> y (B, T, C): position t's row added to every sequence's x[t]."""
    T = x.shape[-2]
    if T > table.shape[0]:
        raise ValueError(f"x has {T} positions, the table only {table.shape[0]}")
    return x + table[:T], PositionCache(table.shape[0])


def add_position_backward(dy: Array, cache: PositionCache) -> tuple[Array, Array]:
    """dy (B, T, C) -> dx (B, T, C), dtable (seq_len, C)."""
    T, C = dy.shape[-2:]
    dx = dy
    dtable = np.zeros((cache.seq_len, C), dy.dtype)
    dtable[:T] = dy.sum(axis=0)
    return dx, dtable


def sinusoids(seq_len: int, n_embd: int) -> Array:
    """The fixed table P (seq_len, n_embd), float64."""
    table = np.zeros((seq_len, n_embd))
    half = n_embd // 2
    frequency = 10000.0 ** (-2 * np.arange(half) / n_embd)  # (C // 2,) radians a position
    angle = np.arange(seq_len)[:, None] * frequency  # (seq_len, C // 2)
    table[:, 0 : 2 * half : 2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table
