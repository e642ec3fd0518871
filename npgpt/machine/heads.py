"""How the heads of a long text are shared out to threads.

A batch of one sequence leaves nothing to share out (sharing.py), and in a long text attention is most of the work. The heads
know nothing of each other, so each thread takes its part of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray as Array

from ..ops.note import Note, ignore
from .threads import in_a_task, run_together, slices

# Queries: in shorter texts attention is too small a part, and the one query of a token that is generated is none. (Two threads
# in place of one: GPT-2's size at T = 1,024 is 1.03 times as fast; 2 layers of 4 heads and 128 features at T = 4,096, 1.5
# times.)
LONG = 2048


def by_heads(
    attend: Callable[..., tuple[Array, Any]], q: Array, k: Array, v: Array, mask: Array | None, note: Note
) -> tuple[Array, Any]:
    """attend(q, k, v, mask, note) of q (B, H, R, D); k, v (B, K, T, D), H a multiple of K; mask (B, H, R, T) or None: the same
    z (B, H, R, D), and a cache for `by_heads_backward`.

    Whoever looks (`note`) is shown all heads at once, so then they stay together.
    """
    heads = k.shape[1]
    parts = slices(heads, 1) if q.shape[2] > LONG and note is ignore and not in_a_task() else []
    if len(parts) < 2:
        return attend(q, k, v, mask, note)
    results = run_together(
        [partial(attend, *(None if x is None else x[:, of(part, x, heads)] for x in (q, k, v, mask)), note) for part in parts]
    )
    return np.concatenate([z for z, _ in results], axis=1), list(zip(parts, (cache for _, cache in results), strict=True))


def by_heads_backward(
    attend_backward: Callable[..., tuple[Array, Array, Array]], dz: Array, cache: Any, note: Note
) -> tuple[Array, Array, Array]:
    """attend_backward(dz, cache, note) of dz (B, H, R, D): the same dq (B, H, R, D), dk, dv (B, K, T, D)."""
    if not isinstance(cache, list):
        return attend_backward(dz, cache, note)
    heads = cache[-1][0].stop
    tasks = [partial(attend_backward, dz[:, of(part, dz, heads)], its_cache, note) for part, its_cache in cache]
    dq, dk, dv = (np.concatenate(each, axis=1) for each in zip(*run_together(tasks), strict=True))
    return dq, dk, dv


def of(part: slice, x: Array, heads: int) -> slice:
    """Which of x's heads belong to a part of `heads`: as many times more as x has."""
    times = x.shape[1] // heads
    return slice(part.start * times, part.stop * times)
