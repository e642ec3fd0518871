"""Dropout: in training, a random share p of the numbers is set to 0, so that nothing learns to rely on one of them alone.

    y[n] = m[n] x[n],   m[n] = 0 with probability p, else 1 / (1 - p)

The survivors grow by 1 / (1 - p), so the mean of y over masks is x: E[m] = p * 0 + (1 - p) / (1 - p) = 1. Nothing has to be
scaled where the model is used, and there dropout is simply left out.

Backward. x[n] enters the loss through y[n] alone, times m[n]; the mask is a constant, drawn before:

    dx[n] = m[n] dy[n]

What was dropped gets no gradient, and the backward must use the forward's own mask: a fresh one would be another function's
derivative. This is why the mask is an argument here, and not drawn inside.

Source: Srivastava et al. 2014, "Dropout", JMLR 15; scaled at training time ("inverted"), as everyone does now.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array


class Cache(NamedTuple):
    mask: Array  # of x's shape


def dropout_mask(rng: np.random.Generator, shape: tuple[int, ...], p: float, dtype: np.dtype | str) -> Array:
    """A mask of that shape: 0 with probability p, else 1 / (1 - p). The generator fixes it.

    The same for every dtype but for the rounding of 1 / (1 - p): the uniform numbers are float32.
    """
    kept = rng.random(shape, dtype=np.float32) >= p
    return kept * np.dtype(dtype).type(1 / (1 - p))


def dropout(x: Array, mask: Array) -> tuple[Array, Cache]:
    """x, and a mask of its shape and dtype -> y of the same shape. Raises ValueError where the shapes differ."""
    if x.shape != mask.shape:
        raise ValueError(f"the mask must have the shape of x {x.shape}, got {mask.shape}")
    return x * mask, Cache(mask)


def dropout_backward(dy: Array, cache: Cache) -> Array:
    """dy -> dx, of the same shape."""
    return dy * cache.mask
