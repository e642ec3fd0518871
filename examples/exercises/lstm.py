"""Exercise 10, the LSTM: T steps with the same weights. Through gates, each writes to a memory c, keeps some of it, shows some.

    a = W_ih x[t] + b_ih + W_hh h[t-1] + b_hh                      4H numbers: a_i, a_f, a_g, a_o
    i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)
    c[t] = f c[t-1] + i g          h[t] = o tanh(c[t])             h is the output

Write lstm_backward: from dy, the gradient of h, those of x, the four weights and the state at the start, h0 and c0.

Hint: go back from the last step to the first, and through each from bottom to top. Two gradients are carried along: dh,
through W_hh, and dc, through f. h[t] and c[t] have two ways to the loss each, and a weight collects a gradient at every step.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt import check_backward


class Cache(NamedTuple):
    x: Array  # (B, T, I)
    h0: Array  # (B, H)
    c0: Array  # (B, H)
    i: Array  # (B, T, H), like the next six
    f: Array
    g: Array
    o: Array
    c: Array
    tanh_c: Array
    h: Array
    weight_ih: Array  # (4H, I)
    weight_hh: Array  # (4H, H)


def sigmoid(x: Array) -> Array:
    """x (...) -> (...). Its derivative is s (1 - s)."""
    return 1 / (1 + np.exp(-x))


def lstm(
    x: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array, h0: Array, c0: Array
) -> tuple[Array, Cache]:
    """x (B, T, I), weight_ih (4H, I), weight_hh (4H, H), biases (4H,), h0, c0 (B, H) -> y (B, T, H), which is h."""
    h, c = h0, c0  # (B, H)
    steps = []
    for t in range(x.shape[1]):
        a = x[:, t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh  # (B, 4H)
        a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)  # each (B, H)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c = f * c + i * g
        tanh_c = np.tanh(c)
        h = o * tanh_c
        steps.append((i, f, g, o, c, tanh_c, h))
    i, f, g, o, c, tanh_c, h = (np.stack(each, axis=1) for each in zip(*steps, strict=True))  # each (B, T, H)
    return h, Cache(x, h0, c0, i, f, g, o, c, tanh_c, h, weight_ih, weight_hh)


def lstm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """dy (B, T, H) -> dx (B, T, I), dweight_ih (4H, I), dweight_hh (4H, H), dbias_ih, dbias_hh (4H,), dh0, dc0 (B, H)."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, h0, c0 = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 2)), rng.standard_normal((2, 2))  # T = 4, I = 3, H = 2
    weights = rng.standard_normal((8, 3)), rng.standard_normal((8, 2)), rng.standard_normal(8), rng.standard_normal(8)
    verdict = check_backward(lstm, lstm_backward, x, *weights, h0, c0)
    print(verdict)
    sys.exit(0 if verdict else 1)
