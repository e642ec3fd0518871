"""Backward passes with exactly one mistake each, as learners write them: what test_check_layer.py grades.

Every entry is (forward, backward, inputs). The mistake that it has is the key of its group in MISTAKES.
"""

import math

import numpy as np

rng = np.random.default_rng(5)
B, T, C, H = 2, 3, 4, 3
X, DENSE = rng.standard_normal((B, T, C)), rng.standard_normal((5, C))
W, BIAS = rng.standard_normal((C, H)), rng.standard_normal(H)
WIDE = rng.standard_normal((C, C))
QKV = tuple(rng.standard_normal((3, C, C)))
HEADS = tuple(rng.standard_normal((3, B, C, H)))
RNN = (X, W, rng.standard_normal((H, H)), BIAS)
LSTM = (X, rng.standard_normal((C, 4 * H)), rng.standard_normal((H, 4 * H)), rng.standard_normal(4 * H))
IDS, POOLED, TABLE = np.array([[0, 1, 1], [3, 1, 0]]), np.array([[0, 1, 1], [3, 2, 0]]), rng.standard_normal((5, C))
TARGETS = np.array([0, 2, 1, 3, 2])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(x):
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dp, p):
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


# --------------------------------------------------------------------------------------------------------------- single layers


def dense(f, slope):
    """y = f(x W + b), and its backward with f'(z) as slope(z, y) says."""

    def forward(x, W, b):
        z = x @ W + b
        return f(z), (x, W, z, f(z))

    def backward(dy, cache):
        x, W, z, y = cache
        dz = dy * slope(z, y)
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return forward, backward, (DENSE, W, BIAS)


def elementwise(f, slope):
    return f, lambda dy, x: dy * slope(x), (X,)


def relu(z):
    return z * (z.real > 0)


def gelu_of_tanh(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_of_tanh_slope(x):
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


def gelu_of_erf(x):
    return x * np.vectorize(lambda each: (1 + math.erf(each / math.sqrt(2))) / 2)(x)


def gelu_of_erf_slope(x):
    return gelu_of_erf(x) / x + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def softmax_layer(gradient):
    """A softmax whose backward is gradient(dp, p)."""
    return lambda x: (softmax(x),) * 2, gradient, (X,)


def softmax_at_the_end(dp_to_dz):
    """softmax(x W + b)"""

    def forward(x, W, b):
        p = softmax(x @ W + b)
        return p, (x, W, p)

    def backward(dp, cache):
        x, W, p = cache
        dz = dp_to_dz(dp, p)
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return forward, backward, (DENSE, W, BIAS)


def layer_norm(eps_of_backward=1e-5, through=False):
    def forward(x):
        mean = x.mean(axis=-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-5), (x - mean, variance)

    def backward(dy, cache):
        centred, variance = cache
        rstd = 1 / np.sqrt(variance + eps_of_backward)
        xhat = centred * rstd
        dx = rstd * (dy - dy.mean(axis=-1, keepdims=True) - xhat * (dy * xhat).mean(axis=-1, keepdims=True))
        return dy if through else dx

    return forward, backward, (X,)


def residual(skip, branch):
    """y = x + tanh(x W)"""

    def forward(x, W):
        t = np.tanh(x @ W)
        return x + t, (x, W, t)

    def backward(dy, cache):
        x, W, t = cache
        dz = dy * (1 - t * t)
        return skip * dy + branch * dz @ W.T, np.einsum("btc,btd->cd", x, dz)

    return forward, backward, (X, WIDE)


def attention_of(softmax_gradient, causal):
    """Of q, k and v themselves."""
    mask = np.triu(np.ones((C, C), dtype=bool), k=1) & causal

    def forward(q, k, v):
        p = softmax(np.where(mask, -np.inf, q @ k.swapaxes(1, 2) / math.sqrt(H)))
        return p @ v, (q, k, v, p)

    def backward(dz, cache):
        q, k, v, p = cache
        dscores = softmax_gradient(dz @ v.swapaxes(1, 2), p) / math.sqrt(H)
        return dscores @ k, dscores.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ dz

    return forward, backward, HEADS


def attention(of_q=1, of_k=1, of_v=1, softmax_gradient=softmax_backward):
    """One head, x -> q, k, v -> z; dx is the sum of three paths."""

    def forward(x, Wq, Wk, Wv):
        q, k, v = x @ Wq, x @ Wk, x @ Wv
        p = softmax(q @ k.swapaxes(1, 2) / math.sqrt(C))
        return p @ v, (x, Wq, Wk, Wv, q, k, v, p)

    def backward(dz, cache):
        x, Wq, Wk, Wv, q, k, v, p = cache
        dscores = softmax_gradient(dz @ v.swapaxes(1, 2), p) / math.sqrt(C)
        dq, dk, dv = dscores @ k, dscores.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ dz
        dx = of_q * dq @ Wq.T + of_k * dk @ Wk.T + of_v * dv @ Wv.T
        return dx, *(np.einsum("btc,btd->cd", x, d) for d in (dq, dk, dv))

    return forward, backward, (X, *QKV)


# ------------------------------------------------------------------------------------------------------------------------- ids


def embedding(gradient, ids=IDS, pooled=False):
    """Rows of a table (their sum for each sample, if pooled); gradient(dweight, ids, dy) fills dweight."""

    def forward(ids, weight):
        return (weight[ids].sum(axis=1) if pooled else weight[ids]), (ids, weight.shape)

    def backward(dy, cache):
        ids, shape = cache
        dweight = np.zeros(shape)
        gradient(dweight, ids, dy)
        return dweight

    return forward, backward, (ids, TABLE)


def added(dweight, ids, dy):
    np.add.at(dweight, ids, dy)


def assigned(dweight, ids, dy):
    dweight[ids] = dy


def added_in_one_go(dweight, ids, dy):
    dweight[ids] += dy


def added_by_sample(dweight, ids, dy):
    for row, each in zip(ids, dy, strict=True):
        dweight[row] += each


def added_one_by_one(dweight, ids, dy):
    for row, each in zip(ids, dy, strict=True):
        np.add.at(dweight, row, each)


def added_to_the_next(dweight, ids, dy):
    np.add.at(dweight, ids + 1, dy)


def cross_entropy(step=0):
    """The mean over rows; the backward looks `step` classes further."""

    def forward(x, targets):
        p = softmax(x)
        return -np.log(p[np.arange(len(x)), targets]).mean(), (p, targets)

    def backward(dy, cache):
        p, targets = cache
        dx = p.copy()
        dx[np.arange(len(p)), targets + step] -= 1
        return dy * dx / len(p)

    return forward, backward, (DENSE, TARGETS - (TARGETS == 3))


# ----------------------------------------------------------------------------------------------------------------------- steps


def smoothing(read):
    """y[t] = tanh(x[t]) + 0.5 x[t]^2, step by step; read(dy, t) is what the backward takes for dy[t]."""

    def backward(dy, x):
        dx = np.zeros_like(x)
        for t in range(T):
            dx[:, t] = read(dy, t) * (1 - np.tanh(x[:, t]) ** 2 + x[:, t])
        return dx

    return lambda x: np.tanh(x) + x * x / 2, backward, (X,)


def dense_in_steps(steps=range(T), collect=lambda total, one: total + one):
    """y[t] = tanh(x[t] W); a loop over the steps collects dW."""

    def backward(dy, x, W):
        dx, dW = np.zeros_like(x), np.zeros_like(W)
        for t in range(T):
            dz = dy[:, t] * (1 - np.tanh(x[:, t] @ W) ** 2)
            dx[:, t] = dz @ W.T
            if t in steps:
                dW = collect(dW, x[:, t].T @ dz)
        return dx, dW

    return lambda x, W: np.tanh(x @ W), backward, (X, W)


def rnn(carry=1, met=lambda h, t: h[t - 1] if t else 0 * h[0], slope=lambda h: 1 - h * h, clip=math.inf):
    """h[t] = tanh(x[t] Wx + h[t - 1] Wh + b) -> h (B, T, H); met(h, t) is what the backward takes for h[t - 1]."""

    def forward(x, Wx, Wh, b):
        h, hs = np.zeros((len(x), len(b))), []
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
            hs.append(h)
        return np.stack(hs, axis=1), (x, Wx, Wh, hs)

    def backward(dy, cache):
        x, Wx, Wh, hs = cache
        dx, dWx, dWh, db, dh = np.zeros_like(x), 0 * Wx, 0 * Wh, 0 * Wh[0], 0
        for t in reversed(range(len(hs))):
            dz = np.clip((dy[:, t] + carry * dh) * slope(hs[t]), -clip, clip)
            dx[:, t], dWx, dWh, db, dh = (
                dz @ Wx.T,
                dWx + x[:, t].T @ dz,
                dWh + met(hs, t).T @ dz,
                db + dz.sum(axis=0),
                dz @ Wh.T,
            )
        return dx, dWx, dWh, db

    return forward, backward, RNN


def sigmoid_slope(s):
    return s * (1 - s)


def tanh_slope(t):
    return 1 - t * t


def lstm(i=sigmoid_slope, f=sigmoid_slope, g=tanh_slope, o=sigmoid_slope, met=None, dc_back=1, dh_back=1):
    """Gates i, f, g, o in one product; i, f, g and o say what the backward takes for their derivatives, of their values."""

    def forward(x, Wx, Wh, b):
        h, c, steps = np.zeros((len(x), H)), np.zeros((len(x), H)), []
        for t in range(x.shape[1]):
            z = x[:, t] @ Wx + h @ Wh + b
            gates = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), np.tanh(z[:, 2 * H : 3 * H]), sigmoid(z[:, 3 * H :])
            before = h, c
            c = gates[1] * c + gates[0] * gates[2]
            h = gates[3] * np.tanh(c)
            steps.append((*before, *gates, c, h))
        return np.stack([step[-1] for step in steps], axis=1), (x, Wx, Wh, steps)

    def backward(dy, cache):
        x, Wx, Wh, steps = cache
        dx, dWx, dWh, db, dh, dc = np.zeros_like(x), 0 * Wx, 0 * Wh, 0 * Wh[0], 0, 0
        for t in reversed(range(len(steps))):
            h0, c0, i_, f_, g_, o_, c, _ = steps[t]
            dht = dy[:, t] + dh_back * dh
            dct = dc_back * dc + dht * o_ * (1 - np.tanh(c) ** 2)
            dz = np.hstack([dct * g_ * i(i_), dct * c0 * f(f_), dct * i_ * g(g_), dht * np.tanh(c) * o(o_)])
            dx[:, t], dWx, db = dz @ Wx.T, dWx + x[:, t].T @ dz, db + dz.sum(axis=0)
            dWh = dWh + (met(steps, t) if met else h0).T @ dz
            dh, dc = dz @ Wh.T, dct * f_
        return dx, dWx, dWh, db

    return forward, backward, LSTM


def changed(pair, change):
    """That pair with its first gradient changed."""
    forward, backward, inputs = pair

    def wrong(dy, *rest):
        gradients = backward(dy, *rest)
        return (change(gradients[0]), *gradients[1:]) if isinstance(gradients, tuple) else change(gradients)

    return forward, wrong, inputs


def clipped(pair, limit):
    """That pair with every gradient clipped by the norm of all."""
    forward, backward, inputs = pair

    def wrong(dy, *rest):
        gradients = backward(dy, *rest)
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
        return tuple(g * min(1, limit / (norm + 1e-300)) for g in gradients)

    return forward, wrong, inputs


def one(x):
    return np.ones_like(x)


# What is right; and what is wrong in one way: kind -> name -> pair.

RIGHT = {
    "dense tanh": dense(np.tanh, lambda z, y: 1 - y * y),
    "dense relu": dense(relu, lambda z, y: z > 0),
    "softmax": softmax_layer(softmax_backward),
    "softmax at the end": softmax_at_the_end(softmax_backward),
    "GELU": elementwise(gelu_of_tanh, gelu_of_tanh_slope),
    "GELU with erf": elementwise(gelu_of_erf, gelu_of_erf_slope),
    "LayerNorm": layer_norm(),
    "residual": residual(1, 1),
    "attention": attention(),
    "causal attention": attention_of(softmax_backward, causal=True),
    "embedding": embedding(added),
    "pooled embedding": embedding(added_one_by_one, POOLED, pooled=True),
    "cross-entropy": cross_entropy(),
    "steps": smoothing(lambda dy, t: dy[:, t]),
    "dense in steps": dense_in_steps(),
    "RNN": rnn(),
    "LSTM": lstm(),
}
MISTAKES = {
    "missing path": {
        "RNN without what comes back": rnn(carry=0),
        "no residual": residual(0, 1),
        "no path through k": attention(of_k=0),
        "no path through v": attention(of_v=0),
    },
    "shift": {
        "RNN, h[t] for h[t - 1]": rnn(met=lambda h, t: h[t]),
        "RNN, h[-1] in the first step": rnn(met=lambda h, t: h[t - 1]),
        "LSTM, h[t] for h[t - 1]": lstm(met=lambda steps, t: steps[t][-1]),
        "dy[t + 1]": smoothing(lambda dy, t: dy[:, t + 1] if t + 1 < T else 0),
        "dy[t - 1]": smoothing(lambda dy, t: dy[:, t - 1]),
    },
    "index": {
        "the class after the target": cross_entropy(step=1),
        "the row after the id": embedding(added_to_the_next),
        "dy[0] never read": smoothing(lambda dy, t: dy[:, t] if t else 0),
        "a step too few": dense_in_steps(steps=range(T - 1)),
    },
    "overwritten": {"= for +=": dense_in_steps(collect=lambda total, one_step: one_step)},
    "derivative missing": {
        "dense tanh": dense(np.tanh, lambda z, y: 1),
        "dense relu": dense(relu, lambda z, y: 1),
        "LSTM, i": lstm(i=one),
        "LSTM, f": lstm(f=one),
        "LSTM, g": lstm(g=one),
        "LSTM, o": lstm(o=one),
        "RNN": rnn(slope=one),
    },
    "diagonal": {
        "softmax": softmax_layer(lambda dp, p: p * (1 - p) * dp),
        "softmax at the end": softmax_at_the_end(lambda dp, p: p * (1 - p) * dp),
        "attention": attention_of(lambda dp, p: p * (1 - p) * dp, causal=False),
        "causal attention": attention_of(lambda dp, p: p * (1 - p) * dp, causal=True),
    },
    "dy itself": {
        "softmax": softmax_layer(lambda dp, p: dp),
        "LayerNorm": layer_norm(through=True),
        "residual without its branch": residual(1, 0),
    },
    "at the output": {
        "sigmoid": elementwise(sigmoid, lambda x: sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x)))),
        "dense tanh": dense(np.tanh, lambda z, y: 1 - np.tanh(y) ** 2),
        "LSTM, i": lstm(i=lambda s: sigmoid_slope(sigmoid(s))),
        "LSTM, f": lstm(f=lambda s: sigmoid_slope(sigmoid(s))),
        "LSTM, g": lstm(g=lambda t: tanh_slope(np.tanh(t))),
        "RNN": rnn(slope=lambda h: tanh_slope(np.tanh(h))),
    },
    "repeated ids": {
        "=": embedding(assigned),
        "+=": embedding(added_in_one_go),
        "pooled": embedding(added_by_sample, POOLED, pooled=True),
    },
    "another formula": {
        "GELU, erf for tanh": elementwise(gelu_of_tanh, gelu_of_erf_slope),
        "GELU, tanh for erf": elementwise(gelu_of_erf, gelu_of_tanh_slope),
        "GELU, the normal density": elementwise(
            gelu_of_tanh, lambda x: gelu_of_tanh(x) / x + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        ),
        "another epsilon": layer_norm(eps_of_backward=1e-6),
    },
    "clip": {
        "dy": softmax_layer(lambda dp, p: softmax_backward(np.clip(dp, -9, 9), p)),
        "inside the RNN": rnn(clip=5.0),
        "by the norm": clipped(rnn(), 1.0),
    },
    "sign": {"dense": changed(dense(np.tanh, lambda z, y: 1 - y * y), np.negative)},
    "factor": {"cross-entropy": changed(cross_entropy(), lambda dx: dx * len(DENSE))},
    "double count": {"attention": changed(attention(), lambda dx: 2 * dx)},
    "zero": {"softmax": softmax_layer(lambda dp, p: 0 * p)},
    "missing term": {"softmax": softmax_layer(lambda dp, p: p * dp)},
}
