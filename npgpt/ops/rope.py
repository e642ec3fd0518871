"""RoPE: queries and keys are turned by angles that grow with their position, so that their product knows the distance alone.

The D numbers of a row are D/2 pairs (x[i], x[i + D/2]), each a point in a plane. At position t, pair i is turned by the angle

    a[t, i] = t theta^(-2i/D)        (in radians; theta is 10,000, or more for long texts)

    y[t, i]       = cos(a) x[t, i] - sin(a) x[t, i + D/2]
    y[t, i + D/2] = sin(a) x[t, i] + cos(a) x[t, i + D/2]

Pair 0 turns fastest, by one radian a position, the last one hardly at all: the hands of a clock with D/2 of them.

Why the product knows the distance alone. Write R(a) for the turn by a, the matrix with the rows (cos a, -sin a) and (sin a,
cos a). Its transpose has the other sign before the sines, which is the turn by -a; and one turn after another is the turn by
both angles (the addition theorems): R(a)^T R(b) = R(b - a). So for a query at t and a key at s, pair by pair,

    (R(a[t]) q) . (R(a[s]) k)  =  q . R(a[t])^T R(a[s]) k  =  q . R(a[s] - a[t]) k

and a[s, i] - a[t, i] = (s - t) theta^(-2i/D): t and s come in through s - t only. A turn changes no length, and v is not
turned: no position is added to what a token means, and only who looks at whom depends on it.

Backward. Ask of each x where it enters y, and with which factor: x[i] enters y[i] times cos(a) and y[i + D/2] times sin(a);
x[i + D/2] enters y[i] times -sin(a) and y[i + D/2] times cos(a):

    dx[t, i]       =  cos(a) dy[t, i] + sin(a) dy[t, i + D/2]
    dx[t, i + D/2] = -sin(a) dy[t, i] + cos(a) dy[t, i + D/2]

That is the forward with -sin(a) for sin(a), the turn by -a: what was turned forth is turned back. (The angles are no weights.)

Accuracy. An angle of t radians has an error of t eps/2: in float32, 1e-4 at position 2,000, where a cosine has one of 3e-8. So
angles, cosines and sines are computed in float64, and rounded to the model's dtype at the end.

Which pairs? The paper turns neighbours, (x[2i], x[2i + 1]), and so do llama.cpp's files; transformers' weights want the halves,
as here. A model learns with either; weights that were learned with one have their rows in another order for the other.

For longer texts than the weights were trained on, Llama 3 slows the slow pairs down (`stretched`), so that they turn no further
over the long text than they did over the short one; fast pairs, which tell neighbours apart, stay as they are.

Sources: Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", arXiv:2104.09864, section 3.2 and
eq. 34; Touvron et al. 2023, "LLaMA", arXiv:2302.13971, section 2.2 (its place); the stretching: transformers' rope_type
"llama3" (modeling_rope_utils.py), which follows Meta's own code for Llama 3.1.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array


class Cache(NamedTuple):
    cos: Array  # (T, D/2)
    sin: Array  # (T, D/2)


Scaling = tuple[float, float, float, int]  # factor, low, high, original: see `stretched`


def cosines_and_sines(seq_len: int, D: int, theta: float, scaling: Scaling | None = None) -> tuple[Array, Array]:
    """cos(a) and sin(a) of the positions 0..seq_len - 1, each (seq_len, D/2), float64. scaling : `stretched` by it, or None."""
    two_i = np.arange(0, D, 2)  # (D/2,)
    frequency = theta ** (-two_i / D)  # (D/2,) radians a position
    if scaling is not None:
        frequency = stretched(frequency, *scaling)
    a = np.arange(seq_len)[:, None] * frequency  # (seq_len, D/2)
    return np.cos(a), np.sin(a)


def stretched(frequency: Array, factor: float, low: float, high: float, original: int) -> Array:
    """The frequencies (D/2,) for a text `factor` times as long as the `original` positions of the training.

    A pair that turned fewer than `low` times over the original positions gets 1 / factor of its speed, one that turned more
    than `high` times keeps it, and between the two the share that it keeps grows with its turns.
    """
    turns = original * frequency / (2 * np.pi)  # (D/2,) over the original positions
    kept = np.clip((turns - low) / (high - low), 0, 1)  # (D/2,)
    return kept * frequency + (1 - kept) * frequency / factor


def rope(x: Array, cos: Array, sin: Array) -> tuple[Array, Cache]:
    """x (..., T, D), cos, sin (T, D/2) -> y (..., T, D) in their dtype. cos and sin are those of x's positions, wherever it
    begins.

    Raises ValueError where the shapes do not fit.
    """
    T, D = x.shape[-2:]
    if not cos.shape == sin.shape == (T, D / 2):
        raise ValueError(f"cos and sin must be (T, D/2) for x (..., T, D) = {x.shape}, got {cos.shape} and {sin.shape}")
    first, second = x[..., : D // 2], x[..., D // 2 :]  # (..., T, D/2), twice
    y = np.concatenate([cos * first - sin * second, sin * first + cos * second], axis=-1)  # (..., T, D)
    return y, Cache(cos, sin)


def rope_backward(dy: Array, cache: Cache) -> Array:
    """dy (..., T, D) -> dx (..., T, D)."""
    dx, _ = rope(dy, cache.cos, -cache.sin)
    return dx
