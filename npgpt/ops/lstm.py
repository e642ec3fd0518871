"""LSTM: reads a sequence letter by letter and carries a memory along, which it writes, keeps and shows through gates.

One step. From the letter x[t], what was shown last, h[t-1], and the memory c[t-1]:

    a    = W_ih x[t] + b_ih + W_hh h[t-1] + b_hh                4H numbers: a_i, a_f, a_g, a_o of H each, in this order

    i    = sigmoid(a_i)         input gate: how much of the candidate is written
    f    = sigmoid(a_f)         forget gate: how much of the memory is kept
    g    = tanh(a_g)            candidate: what could be written, -1 to 1
    o    = sigmoid(a_o)         output gate: how much of the memory is shown

    c[t] = f c[t-1] + i g       the memory (all four are H numbers; products are elementwise)
    h[t] = o tanh(c[t])         what is shown: the output, and what the next step's gates see

Backward of one step. dh and dc arrive: the gradients of h[t] and c[t], from the loss and from all later steps. Bottom to top,
asking of each number where it enters, and with which factor:

    o and c[t] enter h[t] = o tanh(c[t]); tanh' = 1 - tanh^2:
        do       = dh tanh(c[t])
        dc      += dh o (1 - tanh(c[t])^2)          added: c[t] has two ways to the loss, through h[t] and through c[t+1]
    i, f, g and c[t-1] enter c[t] = f c[t-1] + i g:
        di       = dc g
        df       = dc c[t-1]
        dg       = dc i
        dc[t-1]  = dc f
    each gate is a function of its own preactivation; sigmoid' = s (1 - s) (silu.py):
        da_i     = di i (1 - i)
        da_f     = df f (1 - f)
        da_g     = dg (1 - g^2)
        da_o     = do o (1 - o)
    a is the sum of two linear layers' outputs (linear.py), of x[t] and of h[t-1]. With da = (da_i, da_f, da_g, da_o), and n
    running over the sequences of the batch:
        dx[t]    = W_ih^T da        dW_ih = sum_n da[n] x[n]^T             db_ih = sum_n da[n]
        dh[t-1]  = W_hh^T da        dW_hh = sum_n da[n] h[t-1][n]^T        db_hh = sum_n da[n]

Both biases are added to the same a, so their gradients are equal. (One would do; there are two because cuDNN has two, and with
them torch.nn.LSTM's weights are these weights.)

A sequence is T such steps with the same weights. Going back from t = T-1 to 0, with nothing behind the last step:

    dh[t] = dy[t] + W_hh^T da[t+1]          h[t] was shown as the output y[t], and to the four gates of step t+1
    dc[t] = dh[t] o[t] (1 - tanh(c[t])^2) + dc[t+1] f[t+1]

A weight that serves T steps moves the loss through each of them, so it collects T gradients (the chain rule's sum, here over
time as over sequences; keeping the last one only is a popular mistake):

    dW_ih = sum_t sum_n da[t, n] x[t, n]^T          dW_hh = sum_t sum_n da[t, n] h[t-1, n]^T          db = sum_t sum_n da[t, n]

What vanishes, and when. There are two ways back from step t to an earlier step s. Along h, each step multiplies by W_hh and by
slopes, at most 1/4 (sigmoid) or 1 (tanh): over many steps such a product shrinks or grows like a power, which is why recurrent
networks without a memory forget. Along c, each step multiplies by f alone, with no matrix and no slope: of dc[t], c[s] gets
f[s+1] ... f[t]. Where these gates stay near 1, a gradient comes through hundreds of steps all but unchanged; where they do not,
it vanishes as they forget. With f = 0.5, as f starts with a bias of 0, 0.1 % is left after 10 steps; with a bias of 1, f = 0.73
leaves 4 %. And a saturated gate passes its numbers on, but no gradient to its a: s (1 - s) is 0 there, so it hardly learns any
more when to open.

Only the small product with W_hh has to wait for the step before (in the backward: after). The others are done for all steps at
once: x W_ih^T before the forward's loop; dx, dW_ih, dW_hh and db after the backward's.

Sources: Hochreiter, Schmidhuber 1997, "Long short-term memory", Neural Computation 9(8); Gers, Schmidhuber, Cummins 2000,
"Learning to forget" (the forget gate); Jozefowicz, Zaremba, Sutskever 2015 (its bias).
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .note import Note, ignore
from .shapes import check_shape
from .silu import sigmoid


class CellCache(NamedTuple):
    x: Array  # (B, I)
    h_prev: Array  # (B, H)
    c_prev: Array  # (B, H)
    i: Array  # (B, H), like the next four
    f: Array
    g: Array
    o: Array
    tanh_c: Array
    weight_ih: Array  # (4H, I)
    weight_hh: Array  # (4H, H)


class Cache(NamedTuple):
    x: Array  # (B, T, I)
    h0: Array  # (B, H)
    c0: Array  # (B, H)
    i: Array  # (B, T, H), like the next six
    f: Array
    g: Array
    o: Array
    c: Array  # the memories; the last one, c[:, -1], is the c0 of what follows
    tanh_c: Array
    h: Array  # what was shown, y; the last one, h[:, -1], is the h0 of what follows
    weight_ih: Array  # (4H, I)
    weight_hh: Array  # (4H, H)


# ------------------------------------------------------------------------------------------- one step, without its products


def gates(a: Array) -> tuple[Array, Array, Array, Array]:
    """a (B, 4H) -> i, f, g, o, each (B, H)."""
    H = a.shape[1] // 4
    s = sigmoid(a)  # (B, 4H): one call for three gates; for a small H, calls are what costs. g's quarter is not used
    i = s[:, :H]
    f = s[:, H : 2 * H]
    g = np.tanh(a[:, 2 * H : 3 * H])
    o = s[:, 3 * H :]
    return i, f, g, o


def gate_slopes(i: Array, f: Array, g: Array, o: Array) -> Array:
    """Each (..., H) -> (..., 4H): what turns di, df, dg, do into da_i, da_f, da_g, da_o."""
    return np.concatenate([i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)], axis=-1)


def memory(i: Array, f: Array, g: Array, o: Array, c_prev: Array) -> tuple[Array, Array, Array]:
    """Each (B, H) -> c, tanh(c) and h, each (B, H)."""
    c = f * c_prev + i * g
    tanh_c = np.tanh(c)
    h = o * tanh_c
    return c, tanh_c, h


def memory_backward(
    dh: Array, dc: Array, i: Array, f: Array, g: Array, o: Array, tanh_c: Array, c_prev: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """dh, and dc as it comes from the step after -> di, df, dg, do, the whole dc, and dc_prev. Everything is (B, H)."""
    do = dh * tanh_c
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    di = dc * g
    df = dc * c_prev
    dg = dc * i
    dc_prev = dc * f
    return di, df, dg, do, dc, dc_prev


# ------------------------------------------------------------------------------------------------------------------ one step


def lstm_cell(
    x: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array, h_prev: Array, c_prev: Array
) -> tuple[tuple[Array, Array], CellCache]:
    """x (B, I), weight_ih (4H, I), weight_hh (4H, H), biases (4H,), h_prev, c_prev (B, H) -> y = (h, c), each (B, H).

    Raises ValueError where the shapes do not fit.
    """
    if x.ndim != 2:
        raise ValueError(f"x must be (B, I), got {x.shape}")
    B, H = check_weights(x, weight_ih, weight_hh, bias_ih, bias_hh)
    check_shape("h_prev", h_prev, "(B, H)", (B, H))
    check_shape("c_prev", c_prev, "(B, H)", (B, H))
    a = x @ weight_ih.T + bias_ih + h_prev @ weight_hh.T + bias_hh  # (B, 4H)
    i, f, g, o = gates(a)  # each (B, H)
    c, tanh_c, h = memory(i, f, g, o, c_prev)  # each (B, H)
    return (h, c), CellCache(x, h_prev, c_prev, i, f, g, o, tanh_c, weight_ih, weight_hh)


def lstm_cell_backward(dy: tuple[Array, Array], cache: CellCache) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """dy = (dh, dc), each (B, H) -> dx (B, I), dweight_ih (4H, I), dweight_hh (4H, H), dbias_ih, dbias_hh (4H,), dh_prev,
    dc_prev (B, H)."""
    x, h_prev, c_prev, i, f, g, o, tanh_c, weight_ih, weight_hh = cache
    dh, dc = dy
    di, df, dg, do, dc, dc_prev = memory_backward(dh, dc, i, f, g, o, tanh_c, c_prev)  # each (B, H)
    da = np.concatenate([di, df, dg, do], axis=1) * gate_slopes(i, f, g, o)  # (B, 4H)
    dx = da @ weight_ih  # (B, I)
    dh_prev = da @ weight_hh  # (B, H)
    dweight_ih = da.T @ x  # (4H, I): the product sums over the sequences, which share the weights
    dweight_hh = da.T @ h_prev  # (4H, H)
    dbias = da.sum(axis=0)  # (4H,)
    return dx, dweight_ih, dweight_hh, dbias, dbias.copy(), dh_prev, dc_prev


# ---------------------------------------------------------------------------------------------------------------- a sequence


def lstm(
    x: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array, h0: Array, c0: Array
) -> tuple[Array, Cache]:
    """x (B, T, I), weight_ih (4H, I), weight_hh (4H, H), biases (4H,), h0, c0 (B, H) -> y (B, T, H), which is h.

    To carry on where this call ends: h0 = cache.h[:, -1] and c0 = cache.c[:, -1].

    Raises ValueError where the shapes do not fit and where there is no step.
    """
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"x must be (B, T, I) with at least one step, got {x.shape}")
    B, H = check_weights(x, weight_ih, weight_hh, bias_ih, bias_hh)
    check_shape("h0", h0, "(B, H)", (B, H))
    check_shape("c0", c0, "(B, H)", (B, H))
    from_x = x @ weight_ih.T + (bias_ih + bias_hh)  # (B, T, 4H): what needs no h, for all steps at once
    transposed = np.ascontiguousarray(weight_hh.T)  # (H, 4H): laid out once, for a product of a few rows in every step
    h, c = h0, c0  # (B, H)
    steps = []
    for t in range(x.shape[1]):
        a = from_x[:, t] + h @ transposed  # (B, 4H)
        i, f, g, o = gates(a)  # each (B, H)
        c, tanh_c, h = memory(i, f, g, o, c)  # each (B, H)
        steps.append((i, f, g, o, c, tanh_c, h))
    i, f, g, o, c, tanh_c, h = (np.stack(each, axis=1) for each in zip(*steps, strict=True))  # each (B, T, H)
    return h, Cache(x, h0, c0, i, f, g, o, c, tanh_c, h, weight_ih, weight_hh)


def lstm_backward(dy: Array, cache: Cache, note: Note = ignore) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """dy (B, T, H) -> dx (B, T, I), dweight_ih (4H, I), dweight_hh (4H, H), dbias_ih, dbias_hh (4H,), dh0, dc0 (B, H).

    `note` is shown the gradients of i, f, g, o, c and h, (B, T, H): of the gates after their nonlinearities, of c[t] and h[t]
    all that reaches them, from the loss and from the steps after.
    """
    x, h0, c0, i, f, g, o, c, tanh_c, h, weight_ih, weight_hh = cache
    B, T, H = dy.shape
    h_prev = np.concatenate([h0[:, None], h[:, :-1]], axis=1)  # (B, T, H): what each step began with
    c_prev = np.concatenate([c0[:, None], c[:, :-1]], axis=1)  # (B, T, H)
    slopes = gate_slopes(i, f, g, o)  # (B, T, 4H): waits for no gradient, so all steps at once
    dh_next = np.zeros((B, H), dy.dtype)  # what comes from the step after; from behind the last one, nothing
    dc_next = np.zeros((B, H), dy.dtype)
    das, seen = [], []
    for t in reversed(range(T)):
        dh = dy[:, t] + dh_next  # (B, H)
        step = (each[:, t] for each in (i, f, g, o, tanh_c, c_prev))
        di, df, dg, do, dc, dc_next = memory_backward(dh, dc_next, *step)  # each (B, H)
        da = np.concatenate([di, df, dg, do], axis=1) * slopes[:, t]  # (B, 4H)
        dh_next = da @ weight_hh  # (B, H)
        das.append(da)
        if note is not ignore:
            seen.append((di, df, dg, do, dc, dh))
    if note is not ignore:
        for name, gradients in zip("ifgoch", zip(*reversed(seen), strict=True), strict=True):
            note(name, np.stack(gradients, axis=1))  # (B, T, H)

    da = np.stack(das[::-1], axis=1)  # (B, T, 4H)
    dx = da @ weight_ih  # (B, T, I)
    rows_da = da.reshape(B * T, 4 * H)
    dweight_ih = rows_da.T @ x.reshape(B * T, x.shape[2])  # (4H, I): the product sums over sequences and steps
    dweight_hh = rows_da.T @ h_prev.reshape(B * T, H)  # (4H, H): likewise
    dbias = rows_da.sum(axis=0)  # (4H,): likewise
    return dx, dweight_ih, dweight_hh, dbias, dbias.copy(), dh_next, dc_next


def check_weights(x: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array) -> tuple[int, int]:
    """-> B and H, of x (B, ..., I) and weight_hh. Raises ValueError where a shape does not fit them."""
    I, H = x.shape[-1], weight_hh.shape[1]  # noqa: E741
    check_shape("weight_ih", weight_ih, "(4H, I)", (4 * H, I))
    check_shape("weight_hh", weight_hh, "(4H, H)", (4 * H, H))
    check_shape("bias_ih", bias_ih, "(4H,)", (4 * H,))
    check_shape("bias_hh", bias_hh, "(4H,)", (4 * H,))
    return x.shape[0], H
