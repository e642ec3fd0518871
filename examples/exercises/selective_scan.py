"""Exercise 11, Mamba's selective scan: in each channel e a state of N numbers, which fades, is written to and is read.

    decay[t, e, n] = exp(delta[t, e] A[e, n])
    h[t, e, n]     = decay[t, e, n] h[t-1, e, n] + delta[t, e] u[t, e] B[t, n]
    y[t, e]        = sum_n C[t, n] h[t, e, n] + D[e] u[t, e]

Write selective_scan_backward: from dy, the gradients of u, delta, A, B, C, D and of the state at the start, h0.

Hint: a second scan, from the end. Carry dh from step to step: h[t] is read by y[t] and faded into h[t+1]. u and delta each have
two paths to the loss; A and D serve every step of every sequence, B[t] and C[t] every channel.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    u: Array  # (B, T, E)
    delta: Array  # (B, T, E)
    A: Array  # (E, N)
    B: Array  # (B, T, N)
    C: Array  # (B, T, N)
    D: Array  # (E,)
    h0: Array  # (B, E, N)
    decay: Array  # (B, T, E, N)
    h: Array  # (B, T, E, N)


def selective_scan(u: Array, delta: Array, A: Array, B: Array, C: Array, D: Array, h0: Array) -> tuple[Array, Cache]:
    """u, delta (B, T, E), A (E, N), B, C (B, T, N), D (E,), h0 (B, E, N) -> y (B, T, E)."""
    decay = np.exp(np.einsum("bte,en->bten", delta, A))  # (B, T, E, N)
    write = np.einsum("bte,btn->bten", delta * u, B)  # (B, T, E, N)
    states = [h0]  # of (B, E, N)
    for t in range(u.shape[1]):
        states.append(decay[:, t] * states[-1] + write[:, t])
    h = np.stack(states[1:], axis=1)  # (B, T, E, N)
    y = np.einsum("btn,bten->bte", C, h) + D * u  # (B, T, E)
    return y, Cache(u, delta, A, B, C, D, h0, decay, h)


def selective_scan_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """dy (B, T, E) -> du, ddelta (B, T, E), dA (E, N), dB, dC (B, T, N), dD (E,), dh0 (B, E, N)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    u, delta = rng.standard_normal((2, 4, 3)), np.exp(rng.standard_normal((2, 4, 3)))  # T = 4, E = 3
    A, (B, C) = -np.exp(rng.standard_normal((3, 2))), rng.standard_normal((2, 2, 4, 2))  # N = 2
    D, h0 = rng.standard_normal(3), rng.standard_normal((2, 3, 2))
    verdict = check_backward(selective_scan, selective_scan_backward, u, delta, A, B, C, D, h0)
    print(verdict)
    sys.exit(0 if verdict else 1)
