"""The magnitudes of the operations of LSTM and Mamba: their formulas, computed with numbers that know how far off they may be.

What is off at one step is off at all later ones, so no closed formula would be short. Instead every number carries its error
along (running error analysis: Wilkinson 1963; Higham 2002, "Accuracy and stability of numerical algorithms", section 3.3).
"""

import numpy as np

from .tolerances import eps, running_sum

FLUSHED = np.finfo("float32").tiny / eps("float32")  # a library may take what is smaller than the smallest normal number for 0


class Rounded:
    """Numbers, and how far off each may be, in eps.

    An operation hands on what its operands are off by, to first order, and adds one rounding of its own: of a product's size, of
    both terms of a sum (so that the order in which terms are added up does not matter), of a function's value.
    """

    def __init__(self, value, off=0.0) -> None:
        self.value, self.off = value, np.broadcast_to(off, np.shape(value))

    def __getitem__(self, place) -> "Rounded":
        return Rounded(self.value[place], self.off[place])

    @property
    def T(self) -> "Rounded":
        return Rounded(self.value.T, self.off.T)

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.value + other.value, self.off + other.off + np.abs(self.value) + np.abs(other.value))

    def __neg__(self) -> "Rounded":
        return Rounded(-self.value, self.off)

    def __sub__(self, other: "Rounded") -> "Rounded":
        return self + -other

    def __rsub__(self, one: float) -> "Rounded":
        return Rounded(one) - self

    def __mul__(self, other: "Rounded") -> "Rounded":
        a, b = np.abs(self.value), np.abs(other.value)
        return Rounded(self.value * other.value, a * other.off + self.off * b + a * b + FLUSHED)

    def __matmul__(self, other: "Rounded") -> "Rounded":
        a, b, terms = np.abs(self.value), np.abs(other.value), self.value.shape[-1]
        own = running_sum(terms) * (a @ b) + terms * FLUSHED
        return Rounded(self.value @ other.value, a @ other.off + self.off @ b + own)

    def sum(self, axis: int) -> "Rounded":
        own = running_sum(self.value.shape[axis]) * np.abs(self.value).sum(axis)
        return Rounded(self.value.sum(axis), self.off.sum(axis) + own)

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
    """np.stack or np.concatenate."""
    return Rounded(function([p.value for p in parts], axis), function([p.off for p in parts], axis))


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


# -------------------------------------------------------------------------------------------------------------------- LSTM


def cell(x, weight_ih, weight_hh, bias_ih, bias_hh, h_prev, c_prev):
    """One step -> i, f, g, o, tanh(c), c, h."""
    H = h_prev.value.shape[-1]
    a = x @ weight_ih.T + bias_ih + h_prev @ weight_hh.T + bias_hh
    i, f, g, o = (n(a[:, k * H : (k + 1) * H]) for k, n in enumerate((sigmoid, sigmoid, tanh, sigmoid)))
    c = f * c_prev + i * g
    tanh_c = tanh(c)
    return i, f, g, o, tanh_c, c, o * tanh_c


def cell_backward(dh, dc, i, f, g, o, tanh_c, c_prev):
    """-> da (B, 4H), dc_prev."""
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    di, df, dg, do = dc * g, dc * c_prev, dc * i, dh * tanh_c
    da = [di * (i * (1 - i)), df * (f * (1 - f)), dg * (1 - g * g), do * (o * (1 - o))]
    return joined(np.concatenate, da, -1), dc * f


def lstm_cell_magnitude(dy, *inputs):
    dy, (x, *weights, h_prev, c_prev) = Rounded(dy), map(Rounded, inputs)
    i, f, g, o, tanh_c, c, h = cell(x, *weights, h_prev, c_prev)
    da, dc_prev = cell_backward(dy[0], dy[1], i, f, g, o, tanh_c, c_prev)
    dbias = da.sum(0)
    y = joined(np.stack, [h, c], 0)
    return offs(y, da @ weights[0], da.T @ x, da.T @ h_prev, dbias, dbias, da @ weights[1], dc_prev)


def lstm_magnitude(dy, *inputs):
    dy, (x, *weights, h0, c0) = Rounded(dy), map(Rounded, inputs)
    T = dy.value.shape[1]
    hs, cs, caches = [h0], [c0], []
    for t in range(T):
        *cache, c, h = cell(x[:, t], *weights, hs[-1], cs[-1])
        caches.append((*cache, cs[-1]))
        hs.append(h)
        cs.append(c)
    dh = dc = Rounded(np.zeros(h0.value.shape))
    das = []
    for t in reversed(range(T)):
        da, dc = cell_backward(dy[:, t] + dh, dc, *caches[t])
        dh = da @ weights[1]
        das.append(da)
    da = joined(np.stack, das[::-1], 1)
    of_rows, dbias = rows(da).T, rows(da).sum(0)
    dweights = [of_rows @ rows(x), of_rows @ rows(joined(np.stack, hs[:-1], 1)), dbias, dbias]
    return offs(joined(np.stack, hs[1:], 1), da @ weights[0], *dweights, dh, dc)


# ---------------------------------------------------------------------------------------------------------- selective scan


def selective_scan_magnitude(dy, *inputs):
    dy, (u, delta, A, B, C, D, h0) = Rounded(dy), map(Rounded, inputs)
    T = dy.value.shape[1]
    hs, ys, decays, intakes = [h0], [], [], []
    for t in range(T):
        decay, intake = exp(delta[:, t, :, None] * A), delta[:, t] * u[:, t]
        h = decay * hs[-1] + intake[..., None] * B[:, t, None]
        ys.append((h * C[:, t, None]).sum(-1) + D * u[:, t])
        decays, intakes, hs = [*decays, decay], [*intakes, intake], [*hs, h]
    dh_next = Rounded(np.zeros(h0.value.shape))
    of_steps = []
    for t in reversed(range(T)):
        dy_t = dy[:, t, :, None]
        dh = dy_t * C[:, t, None] + dh_next
        dh_next = dh * decays[t]
        dz, dintake = dh * hs[t] * decays[t], (dh * B[:, t, None]).sum(-1)
        du = dy[:, t] * D + dintake * delta[:, t]
        ddelta = (dz * A).sum(-1) + dintake * u[:, t]
        dA = (dz * delta[:, t, :, None]).sum(0)
        dB, dC = (dh * intakes[t][..., None]).sum(1), (dy_t * hs[t + 1]).sum(1)
        of_steps.append((du, ddelta, dA, dB, dC))
    du, ddelta, dA, dB, dC = zip(*reversed(of_steps), strict=True)
    du, ddelta, dB, dC = (joined(np.stack, each, 1) for each in (du, ddelta, dB, dC))
    dA, dD = joined(np.stack, dA, 0).sum(0), rows(dy * u).sum(0)
    return offs(joined(np.stack, ys, 1), du, ddelta, dA, dB, dC, dD, dh_next)
