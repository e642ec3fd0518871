"""Selective scan, the heart of Mamba: a state that each letter lets fade, writes to and reads from, as that letter decides.

Each of the E channels has a state h[e, :] of N numbers. At step t the letter brings u[t, e] and decides on three things: how
long a step it is, delta[t, e] > 0; where it writes, B[t, :]; what it reads, C[t, :]. A[e, n] < 0 and D[e] are weights.

    decay[t, e, n] = exp(delta[t, e] A[e, n])              between 0 and 1: what of the state is left
    intake[t, e]   = delta[t, e] u[t, e]                   what of the letter is taken in
    h[t, e, n]     = decay[t, e, n] h[t-1, e, n] + intake[t, e] B[t, n]
    y[t, e]        = sum_n C[t, n] h[t, e, n] + D[e] u[t, e]

A small delta passes the letter by (decay 1, intake 0: the state stays as it is), a large one forgets what was and takes the
letter. That is a gate, and why the scan is called selective: with the same delta, B and C for all letters it would be a fixed
filter. It comes from the differential equation dh/dt = A h + B u, followed for a time of delta: exp(delta A) solves the first
part exactly, delta B u is Euler's step for the second.

Backward: a second scan, from the end. Ask of each number where it enters, and with which factor (b, the sequence, is left out).

1. The state. h[t, e, n] enters y[t, e], times C[t, n], and h[t+1, e, n], times decay[t+1, e, n]; behind the last step, nothing:
       dh[t, e, n] = dy[t, e] C[t, n] + dh[t+1, e, n] decay[t+1, e, n]
   and h[-1], the state at the start, only enters h[0]:
       dh[-1, e, n] = dh[0, e, n] decay[0, e, n]
2. What y is made of:
       dC[t, n] = sum_e dy[t, e] h[t, e, n]                C[t, n] is read by all channels
       dD[e]    = sum_b sum_t dy[t, e] u[t, e]             D[e] serves every step of every sequence
       du[t, e] = dy[t, e] D[e]  + (through the intake, 4.)
3. What h is made of:
       dB[t, n]       = sum_e dh[t, e, n] intake[t, e]     B[t, n] serves all channels
       dintake[t, e]  = sum_n dh[t, e, n] B[t, n]          the intake goes to all N numbers of its channel
       ddecay[t, e, n] = dh[t, e, n] h[t-1, e, n]
4. The intake is a product:
       du[t, e]     = dy[t, e] D[e] + dintake[t, e] delta[t, e]
       ddelta[t, e] = dintake[t, e] u[t, e]  + (through the decay, 5.)
5. The decay is exp(z) with z[t, e, n] = delta[t, e] A[e, n], and exp is its own derivative:
       dz[t, e, n]  = ddecay[t, e, n] decay[t, e, n]
       ddelta[t, e] = dintake[t, e] u[t, e] + sum_n dz[t, e, n] A[e, n]          delta's two paths
       dA[e, n]     = sum_b sum_t dz[t, e, n] delta[t, e]                        A serves every step of every sequence

As in an LSTM's memory, a gradient comes back through the state by the decay alone: of dh[t], h[s] gets the share
decay[s+1] ... decay[t] = exp(A (delta[s+1] + ... + delta[t])). It vanishes with the time that the deltas say has passed, not
with the number of letters: a letter of delta = 0 lets it through whole. With A[e, :] = -1, -2, ..., -N every channel has slow
clocks and quick ones.

What is kept. The backward needs every state h[t], for dC and ddecay, and every decay[t]. Both are kept, T E N numbers each for
a sequence. Computing the decays anew in the backward would halve that memory and make the whole a sixth slower, because nothing
here costs more than the exponential (28 ms against 24 at B 12, T 64, E 256, N 16, forward and backward, on one thread; 99
against 84 at B 4, T 256, E 768).

Source: Gu, Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", arXiv:2312.00752, section 3.2 and
algorithm 2 (S6).
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .note import Note, ignore
from .shapes import check_shape


class Cache(NamedTuple):
    u: Array  # (B, T, E)
    delta: Array  # (B, T, E)
    A: Array  # (E, N)
    B: Array  # (B, T, N)
    C: Array  # (B, T, N)
    D: Array  # (E,)
    h0: Array  # (B, E, N)
    decay: Array  # (B, T, E, N)
    h: Array  # (B, T, E, N): the states; the last one, h[:, -1], is the h0 of what follows


def selective_scan(
    u: Array, delta: Array, A: Array, B: Array, C: Array, D: Array, h0: Array | None = None
) -> tuple[Array, Cache]:
    """u, delta (B, T, E), A (E, N), B, C (B, T, N), D (E,) -> y (B, T, E) in their dtype.

    h0 (B, E, N) : the state before the first step; None for zeros.

    Raises ValueError where the shapes do not fit.
    """
    if u.ndim != 3 or A.ndim != 2:
        raise ValueError(f"u must be (B, T, E) and A (E, N), got {u.shape} and {A.shape}")
    (batch, T, E), N = u.shape, A.shape[1]
    check_shape("delta", delta, "(B, T, E)", (batch, T, E))
    check_shape("A", A, "(E, N)", (E, N))
    check_shape("B", B, "(B, T, N)", (batch, T, N))
    check_shape("C", C, "(B, T, N)", (batch, T, N))
    check_shape("D", D, "(E,)", (E,))
    if h0 is None:
        h0 = np.zeros((batch, E, N), u.dtype)
    check_shape("h0", h0, "(B, E, N)", (batch, E, N))

    # In here the many channels stand last and their few states before them: long inner loops, twice as fast.
    A_ne = np.ascontiguousarray(A.T)  # (N, E)
    intake = delta * u  # (B, T, E)
    dtype = np.result_type(u, delta, A, B, C, h0)
    decay = np.empty((batch, T, N, E), dtype)
    h = np.empty((batch, T, N, E), dtype)
    read = np.empty((batch, T, E), dtype)
    h_prev = h0.swapaxes(1, 2)  # (B, N, E)
    for t in range(T):
        decay[:, t] = np.exp(np.einsum("be,ne->bne", delta[:, t], A_ne))
        h[:, t] = decay[:, t] * h_prev + np.einsum("bn,be->bne", B[:, t], intake[:, t])
        read[:, t] = np.einsum("bn,bne->be", C[:, t], h[:, t])
        h_prev = h[:, t]
    y = read + D * u  # (B, T, E)
    return y, Cache(u, delta, A, B, C, D, h0, decay.swapaxes(2, 3), h.swapaxes(2, 3))


def selective_scan_backward(
    dy: Array, cache: Cache, note: Note = ignore
) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """dy (B, T, E) -> du, ddelta (B, T, E), dA (E, N), dB, dC (B, T, N), dD (E,), dh0 (B, E, N).

    `note` is shown the gradient of the state, (B, T, E, N): all that reaches h[t], through y[t] and through the steps after it.
    """
    u, delta, A, B, C, D, h0, decay, h = cache
    T = u.shape[1]
    A_ne = np.ascontiguousarray(A.T)  # (N, E): in here the channels stand last, as in the forward
    h0, decay, h = h0.swapaxes(1, 2), decay.swapaxes(2, 3), h.swapaxes(2, 3)  # (B, N, E), twice (B, T, N, E)
    intake = delta * u  # (B, T, E)

    dB, dC = np.empty(B.shape, dy.dtype), np.empty(C.shape, dy.dtype)  # (B, T, N)
    dintake = np.empty(u.shape, dy.dtype)  # (B, T, E)
    through_decay = np.empty(u.shape, dy.dtype)  # (B, T, E): delta's first path
    dA = np.zeros(A_ne.shape, dy.dtype)  # (N, E)
    dh_next = np.zeros(h0.shape, dy.dtype)  # (B, N, E): what comes from the step after; from behind the last one, nothing
    dhs = []
    for t in reversed(range(T)):
        dh = np.einsum("be,bn->bne", dy[:, t], C[:, t]) + dh_next
        dC[:, t] = np.einsum("be,bne->bn", dy[:, t], h[:, t])
        dB[:, t] = np.einsum("bne,be->bn", dh, intake[:, t])
        dintake[:, t] = np.einsum("bne,bn->be", dh, B[:, t])
        ddecay = dh * (h[:, t - 1] if t > 0 else h0)  # (B, N, E)
        dz = ddecay * decay[:, t]  # (B, N, E)
        through_decay[:, t] = np.einsum("bne,ne->be", dz, A_ne)
        dA = dA + np.einsum("bne,be->ne", dz, delta[:, t])  # A served every step, so its gradient sums over them
        dh_next = dh * decay[:, t]
        if note is not ignore:
            dhs.append(dh)
    if note is not ignore:
        note("state", np.stack(dhs[::-1], axis=1).swapaxes(2, 3))  # (B, T, E, N)
    dD = (dy * u).sum(axis=(0, 1))  # (E,): D likewise
    du = dy * D + dintake * delta  # (B, T, E)
    through_intake = dintake * u  # (B, T, E): delta's second path
    ddelta = through_decay + through_intake
    return du, ddelta, dA.T, dB, dC, dD, dh_next.swapaxes(1, 2)
