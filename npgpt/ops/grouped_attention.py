"""Grouped queries: attention in which several query heads ask the same key head, and take home the same values.

There are H query heads and K key heads, with their values; each key head serves a group of G = H / K query heads that stand in
a row. Head h asks key head h // G (rounded down):

    scores[h] = q[h] . k[h // G] / sqrt(D)          z[h] = pattern[h] v[h // G]

and all else is attention's (attention.py). K = H is plain attention; K = 1, one key head for all, is "multi-query". Little
is saved in training (Wk and Wv are G times smaller), most while text is generated: keys and values are what is remembered, and
here they are G times fewer.

As arrays: query heads (B, H, R, D) are read as (B, K, G, R, D), the g-th of group k at [k, g]. The keys (B, K, T, D) are needed
G times, as (B, K, G, T, D): a view whose axis G has the step 0 shows each of them G times, and no number is copied.

Backward. Attention gives each head its own dq[k, g], and the gradients dk[k, g], dv[k, g] of the keys and values that it
was shown. But k[k] was shown to all heads of its group, so it enters the loss through each of them, times 1:

    dk[k] = sum_g dk[k, g]          dv[k] = sum_g dv[k, g]

A key that serves G heads collects G gradients: what the forward has shown several times, the backward adds up. dq is as it is.

Sources: Ainslie et al. 2023, "GQA: training generalized multi-query transformer models from multi-head checkpoints",
arXiv:2305.13245, section 2.2; Shazeer 2019, "Fast transformer decoding", arXiv:1911.02150 (K = 1).
"""

from collections.abc import Callable

import numpy as np
from numpy import ndarray as Array

from .attention import TILE, Cache, TiledCache, attention, attention_backward, attention_in_tiles, attention_in_tiles_backward
from .note import Note, ignore


def check_groups(q: Array, k: Array, v: Array) -> None:
    """Raises ValueError where q, k and v do not belong together. (That R <= T attention checks.)"""
    fit = q.ndim == k.ndim == 4 and k.shape == v.shape and q.shape[0] == k.shape[0] and q.shape[3] == k.shape[3]
    if not fit or q.shape[1] % k.shape[1]:
        raise ValueError(
            "q, k and v must be (B, H, R, D) and twice (B, K, T, D), with K a divisor of H; "
            f"got {q.shape}, {k.shape}, {v.shape}"
        )


def shown_to_its_group(k: Array, G: int) -> Array:
    """k (B, K, T, D) -> (B, K, G, T, D), a view that shows each key G times; read-only."""
    B, K, T, D = k.shape
    return np.broadcast_to(k[:, :, None], (B, K, G, T, D))


def head_by_head(note: Note) -> Note:
    """The same observer, which is shown (B, K, G, R, T) as (B, H, R, T)."""

    def shown(name: str, x: Array) -> None:
        B, K, G, R, T = x.shape
        note(name, x.reshape(B, K * G, R, T))

    return ignore if note is ignore else shown


def grouped_attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, note: Note = ignore
) -> tuple[Array, Cache | TiledCache]:
    """q (B, H, R, D); k, v (B, K, T, D), K a divisor of H -> z (B, H, R, D) in their dtype.

    The R queries are those of the last R of T positions.

    mask (B, H, R, T) : dropout of the pattern (dropout.py); None drops nothing.
    note : is shown the scores and the pattern, (B, H, R, T).

    Raises ValueError where the shapes do not fit.
    """
    check_groups(q, k, v)
    (B, H, R, D), (_, K, T, _) = q.shape, k.shape
    G = H // K
    queries = q.reshape(B, K, G, R, D)
    keys, values = shown_to_its_group(k, G), shown_to_its_group(v, G)  # (B, K, G, T, D), twice
    masks = None if mask is None else mask.reshape(B, K, G, R, T)
    attend = attention if R <= TILE else attention_in_tiles
    z, cache = attend(queries, keys, values, masks, head_by_head(note))  # (B, K, G, R, D)
    return z.reshape(B, H, R, D), cache


def grouped_attention_backward(dz: Array, cache: Cache | TiledCache, note: Note = ignore) -> tuple[Array, Array, Array]:
    """dz (B, H, R, D) -> dq (B, H, R, D), dk, dv (B, K, T, D). `note` is shown the gradients of the pattern and the scores."""
    (B, H, R, D), (_, K, G, _, _) = dz.shape, cache.v.shape
    attend_backward: Callable[..., tuple[Array, Array, Array]] = (
        attention_backward if R <= TILE else attention_in_tiles_backward
    )
    dq, dk, dv = attend_backward(dz.reshape(B, K, G, R, D), cache, head_by_head(note))  # each (B, K, G, R or T, D)
    dk = dk.sum(axis=2)  # (B, K, T, D): a key was shown to G heads, so its gradient sums over them
    dv = dv.sum(axis=2)  # (B, K, T, D): a value likewise
    return dq.reshape(B, H, R, D), dk, dv
