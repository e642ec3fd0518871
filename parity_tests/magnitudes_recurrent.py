"""The magnitudes of the operations of LSTM and Mamba, and of SwiGLU: formulas, computed with numbers that know how far off they
may be.

What is off at one step is off at all later ones, so no closed formula would be short. Instead every number carries its error
along (running error analysis: Wilkinson 1963; Higham 2002, "Accuracy and stability of numerical algorithms", section 3.3).
"""

import numpy as np

from .measured import running_sum
from .tolerances import eps

FLUSHED = np.finfo("float32").tiny / eps("float32")  # a library may take what is smaller than the smallest normal number for 0


class Rounded:
    """Numbers, and how far off each may be, in eps.

    An operation hands on what its operands are off by, to first order, and adds a rounding of its own: of a product's size, of
    both terms of a sum (so that the order in which terms are added up does not matter), of a function's value.
    """

    def __init__(self, value, off=None) -> None:
        self.value, self.off = value, np.zeros(np.shape(value)) if off is None else off

    def __getitem__(self, place) -> "Rounded":
        return Rounded(self.value[place], self.off[place])

    @property
    def T(self) -> "Rounded":
        return Rounded(self.value.T, self.off.T)

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.value + other.value, self.off + other.off + np.abs(self.value) + np.abs(other.value))

    def __sub__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.value - other.value, self.off + other.off + np.abs(self.value) + np.abs(other.value))

    def __rsub__(self, one: float) -> "Rounded":
        return Rounded(one - self.value, self.off + np.abs(self.value) + one)

    def __mul__(self, other: "Rounded") -> "Rounded":
        a, b = np.abs(self.value), np.abs(other.value)
        return Rounded(self.value * other.value, a * (other.off + b) + self.off * b + FLUSHED)

    def __matmul__(self, other: "Rounded") -> "Rounded":
        a, b, terms = np.abs(self.value), np.abs(other.value), self.value.shape[-1]
        return Rounded(self.value @ other.value, a @ (other.off + running_sum(terms) * b) + self.off @ b + terms * FLUSHED)

    def sum(self, axis: int) -> "Rounded":
        own = running_sum(self.value.shape[axis]) * np.abs(self.value)
        return Rounded(self.value.sum(axis), (self.off + own).sum(axis))

    def function(self, value, slope) -> "Rounded":
        """A function's value and slope at these numbers."""
        return Rounded(value, np.abs(slope) * self.off + np.abs(value) + FLUSHED)


def exp(x: Rounded) -> Rounded:
    return x.function(np.exp(x.value), np.exp(x.value))


def tanh(x: Rounded) -> Rounded:
    t = np.tanh(x.value)
    return x.function(t, 1 - t * t)


def sigmoid(x: Rounded) -> Rounded:
    s = np.exp(np.minimum(x.value, 0)) / (1 + np.exp(-np.abs(x.value)))
    return x.function(s, s * (1 - s))


def joined(function, parts: list[Rounded], axis: int) -> Rounded:
    """By np.stack or np.concatenate."""
    return Rounded(function([p.value for p in parts], axis), function([p.off for p in parts], axis))


def over_time(steps: list[Rounded]) -> Rounded:
    """T of (B, ...) -> (B, T, ...)."""
    return joined(np.stack, steps, 1)


def rows(x: Rounded) -> Rounded:
    """(..., C) -> (N, C)."""
    return Rounded(*(a.reshape(-1, a.shape[-1]) for a in (x.value, x.off)))


def offs(y: Rounded, *gradients: Rounded) -> tuple[np.ndarray, list[np.ndarray]]:
    return y.off, [gradient.off for gradient in gradients]


# ------------------------------------------------------------------------------------------------- elementwise, rows, windows


def silu_magnitude(dy, x):
    dy, x = Rounded(dy), Rounded(x)
    s = sigmoid(x)
    return offs(x * s, dy * (s + x * s * (1 - s)))


def swiglu_magnitude(dy, gate, up):
    dy, gate, up = Rounded(dy), Rounded(gate), Rounded(up)
    s = sigmoid(gate)
    return offs(gate * s * up, dy * up * (s + gate * s * (1 - s)), dy * (gate * s))


def softplus_magnitude(dy, x):
    dy, x = Rounded(dy), Rounded(x)
    return offs(x.function(np.logaddexp(x.value, 0), sigmoid(x).value), dy * sigmoid(x))


def rms_norm_magnitude(dy, x, weight):
    dy, x, weight, C = Rounded(dy), Rounded(x), Rounded(weight), Rounded(1 / x.shape[-1])
    square = (x * x).sum(-1)[..., None] * C + Rounded(1e-5)
    rstd = square.function(square.value**-0.5, square.value**-1.5 / 2)
    xhat, dxhat = x * rstd, dy * weight
    through_rstd = xhat * ((dxhat * xhat).sum(-1)[..., None] * C)
    return offs(weight * xhat, rstd * (dxhat - through_rstd), rows(dy * xhat).sum(0))


def causal_conv_magnitude(dy, x, weight, bias):
    """The operation is linear in each of its inputs: its own formulas, of absolute values."""
    g, x, w = np.abs(dy), np.abs(x), np.abs(weight[:, 0])  # w: (E, K)
    K, terms = w.shape[1], running_sum(g[..., 0].size)

    def windows(a, before, after):
        """(B, T, E) -> (B, T, E, K): K neighbours of each letter, zeros beyond the ends."""
        padded = np.pad(a, ((0, 0), (before, after), (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, K, axis=1)

    seen = windows(x, K - 1, 0)
    y = (seen * w).sum(-1) + np.abs(bias)
    dx = (windows(g, 0, K - 1) * w[:, ::-1]).sum(-1)
    dweight = (seen * g[..., None]).sum((0, 1))
    return y, [dx, terms * dweight[:, None], terms * g.sum((0, 1))]


# ------------------------------------------------------------------------------------------------------------------- steps


def lstm_steps(dy, dc, x, weight_ih, weight_hh, bias_ih, bias_hh, h, c):
    """dy (B, T, H), and dc (B, H) from behind the last step -> h (B, T, H), the last c, and the seven gradients."""
    (B, T, H), of_steps = dy.value.shape, []
    for t in range(T):
        a = x[:, t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
        i, f, g, o = (function(a[:, k * H : (k + 1) * H]) for k, function in enumerate((sigmoid, sigmoid, tanh, sigmoid)))
        h_prev, c_prev, c = h, c, f * c + i * g
        tanh_c = tanh(c)
        h = o * tanh_c
        of_steps.append((i, f, g, o, tanh_c, h, h_prev, c_prev))
    i, f, g, o, tanh_c, h, h_prev, c_prev = map(over_time, zip(*of_steps, strict=True))
    slopes = joined(np.concatenate, [i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)], -1)
    shown = o * (1 - tanh_c * tanh_c)
    dh, das = Rounded(np.zeros((B, H))), []
    for t in reversed(range(T)):
        dh = dy[:, t] + dh
        dc = dc + dh * shown[:, t]
        da = joined(np.concatenate, [dc * g[:, t], dc * c_prev[:, t], dc * i[:, t], dh * tanh_c[:, t]], -1) * slopes[:, t]
        dh, dc = da @ weight_hh, dc * f[:, t]
        das.append(da)
    da = over_time(das[::-1])
    dbias = rows(da).sum(0)
    return h, c, (da @ weight_ih, rows(da).T @ rows(x), rows(da).T @ rows(h_prev), dbias, dbias, dh, dc)


def lstm_magnitude(dy, *inputs):
    dc = Rounded(np.zeros(inputs[-1].shape))
    y, _, gradients = lstm_steps(Rounded(dy), dc, *map(Rounded, inputs))
    return offs(y, *gradients)


def lstm_cell_magnitude(dy, x, *inputs):
    h, c, (dx, *gradients) = lstm_steps(Rounded(dy[0][:, None]), Rounded(dy[1]), *map(Rounded, (x[:, None], *inputs)))
    return offs(joined(np.stack, [h[:, 0], c], 0), dx[:, 0], *gradients)


def selective_scan_magnitude(dy, *inputs):
    dy, (u, delta, A, B, C, D, h) = Rounded(dy), map(Rounded, inputs)
    T, B, C = dy.value.shape[1], B[:, :, None], C[:, :, None]
    decay, intake = exp(delta[..., None] * A), delta * u
    written, read = intake[..., None] * B, dy[..., None] * C
    hs, dhs, dh = [h], [], Rounded(np.zeros(h.value.shape))
    for t in range(T):
        hs.append(decay[:, t] * hs[-1] + written[:, t])
    for t in reversed(range(T)):
        dhs.append(read[:, t] + dh)
        dh = dhs[-1] * decay[:, t]
    h, h_prev, dhs = over_time(hs[1:]), over_time(hs[:-1]), over_time(dhs[::-1])
    dz, dintake = dhs * h_prev * decay, (dhs * B).sum(-1)
    du, ddelta = dy * D + dintake * delta, (dz * A).sum(-1) + dintake * u
    dA, dD = (dz * delta[..., None]).sum(0).sum(0), rows(dy * u).sum(0)
    dB, dC = (dhs * intake[..., None]).sum(2), (dy[..., None] * h).sum(2)
    return offs((h * C).sum(-1) + D * u, du, ddelta, dA, dB, dC, dD, dh)
