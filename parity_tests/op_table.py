"""The table of operations: one row for each, and every row gets every test in test_ops.py.

A row says how to draw inputs and what torch calls the same thing. It may say how large a rounding error can be (`magnitude`,
see tolerances.py: it gets the cotangent and the inputs in float64, and gives one array for the output and one for each
gradient); without it that is measured (measured.py). A formula is faster, and its author has understood the operation.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from npgpt.ops.dropout import dropout_mask
from npgpt.ops.rope import cosines_and_sines

from . import magnitudes_recurrent as recurrent
from .measured import measured_magnitude, running_sum
from .operations import ops
from .strategies import array, sizes, structures
from .tolerances import COMPLEX_STEP_FACTOR, eps, local_error


@dataclass(frozen=True)
class Op:
    name: str
    forward: Callable  # (*inputs) -> (y, cache)
    backward: Callable  # (dy, cache) -> the gradients of the real inputs, as one array or a tuple
    torch_fn: Callable  # (*tensors) -> tensor
    dims: int  # how many sizes a shape is made of
    inputs: Callable  # (rng, structure, dtype, *sizes) -> list of arrays
    magnitude: Callable | None = None  # (dy, *inputs) -> (output's, [each gradient's]); None: measured
    constant: tuple[int, ...] = ()  # the places of the inputs without a gradient, besides ids
    xfail: dict = field(default_factory=dict)  # (device, dtype) -> the reason why parity cannot hold there

    def __post_init__(self) -> None:
        if self.magnitude is None:
            object.__setattr__(self, "magnitude", functools.partial(measured_magnitude, self.ours, self.torchs, self.constant))

    def ours(self, *inputs_and_dy: np.ndarray) -> list[np.ndarray]:
        """The output, and the gradients of the real inputs under the cotangent dy, which comes last."""
        *inputs, dy = inputs_and_dy
        y, cache = self.forward(*inputs)
        return [y, *as_tuple(self.backward(dy, cache))]

    def torchs(self, *inputs_and_dy: np.ndarray) -> list[np.ndarray]:
        """The same by torch."""
        *inputs, dy = inputs_and_dy
        y, gradients = run_torch(self, inputs, dy, "cpu")
        return [y, *gradients]


@dataclass(frozen=True)
class Case:
    """One drawn example; its repr is what hypothesis prints when it fails."""

    op: str
    seed: int
    structure: str
    dtype: str
    shape: tuple[int, ...]

    def build(self) -> tuple[list[np.ndarray], np.random.Generator]:
        rng = np.random.default_rng(self.seed)
        return TABLE[self.op].inputs(rng, self.structure, self.dtype, *self.shape), rng


def cases(op: Op, dtypes: st.SearchStrategy[str]) -> st.SearchStrategy[Case]:
    shape = st.tuples(*[sizes] * op.dims)
    return st.builds(Case, st.just(op.name), st.integers(0, 2**32 - 1), structures, dtypes, shape)


def real(op: Op, inputs: list[np.ndarray]) -> list[int]:
    """The places of the inputs that have a gradient (ids and constants have none)."""
    return [i for i, x in enumerate(inputs) if x.dtype.kind != "i" and i not in op.constant]


def with_constants(op: Op, function: Callable, inputs: list[np.ndarray]) -> tuple[Callable, list[np.ndarray]]:
    """The function with the constants filled in, and the other inputs: for whoever expects a gradient of every float array."""
    if not op.constant:
        return function, inputs

    def filled(*rest):
        left = iter(rest)
        return function(*[x if i in op.constant else next(left) for i, x in enumerate(inputs)])

    return filled, [x for i, x in enumerate(inputs) if i not in op.constant]


def cotangent(rng: np.random.Generator, y: np.ndarray, dtype: str) -> np.ndarray:
    """Random, never ones: a constant cotangent makes softmax's and LayerNorm's gradient 0, and zeros pass."""
    return rng.standard_normal(np.shape(y)).astype(dtype)


def in_float64(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [x if x.dtype.kind == "i" else x.astype(np.float64) for x in arrays]


def as_tuple(gradients) -> tuple:
    return gradients if isinstance(gradients, tuple) else (gradients,)


def mean(x):
    return x.mean(axis=-1, keepdims=True)


def total(x):
    return x.sum(axis=-1, keepdims=True)


def over_rows(x):
    """The magnitude of a sum over all rows: NumPy adds them one after the other."""
    rows = x.reshape(-1, x.shape[-1])
    return running_sum(len(rows)) * rows.sum(axis=0)


# ------------------------------------------------------------------------------------------------ magnitudes, one an operation


def linear_magnitude(dy, x, weight, bias):
    a, w, g = np.abs(x), np.abs(weight), np.abs(dy)
    rows = g.reshape(-1, g.shape[-1]).T @ a.reshape(-1, a.shape[-1])
    return a @ w.T + np.abs(bias), [g @ w, running_sum(x[..., 0].size) * rows, over_rows(g)]


def softmax_parts(x):
    """p, and the relative error of its elements in eps: their own exponent's, and the sum's."""
    m = x.max(axis=-1, keepdims=True)
    distance = np.where(np.isinf(x), 0.0, np.abs(x - m))
    p = np.exp(x - m)
    p /= total(p)
    return p, 1 + distance + total(p * distance)


def softmax_backward_magnitude(p, relative, dp_error, dp):
    """For p (dp - sum p dp), where p has that relative error and dp an error of dp_error."""
    return p * (dp_error + total(p * dp_error)) + p * (
        relative * (np.abs(dp) + total(p * np.abs(dp))) + total(p * relative * np.abs(dp))
    )


def softmax_magnitude(dy, x):
    p, relative = softmax_parts(x)
    return p * relative, [softmax_backward_magnitude(p, relative, np.abs(dy), dy)]


def layer_norm_magnitude(dy, x, weight, bias):
    g = np.abs(dy)
    centred = x - mean(x)
    rstd = 1 / np.sqrt(mean(centred * centred) + 1e-5)
    xhat = np.abs(centred * rstd)
    centring = rstd * (np.abs(x) + mean(np.abs(x)))  # the error of x - mean, where both may be far larger than the difference
    rstd_relative = 1 + mean(xhat * (centring + xhat))
    xhat_error = centring + xhat * rstd_relative
    dxhat = np.abs(dy * weight)
    dx = rstd * (
        (dxhat + mean(dxhat) + xhat * mean(dxhat * xhat)) * rstd_relative
        + xhat_error * np.abs(mean(dxhat * xhat))
        + xhat * mean(dxhat * xhat_error)
    )
    return np.abs(weight) * xhat_error + np.abs(bias), [dx, over_rows(g * xhat_error), over_rows(g)]


def gelu_magnitude(dy, x):
    k, a = math.sqrt(2 / math.pi), 0.044715
    u, du = k * (x + a * x**3), k * (1 + 3 * a * x**2)
    t = np.tanh(u)
    slope = 1 - t * t
    t_error = np.abs(t) + slope * np.abs(u) * 3  # u is a product of three roundings' worth
    y = 0.5 * np.abs(x) * (1 + np.abs(t) + t_error)
    slope_error = 1 + t * t + 2 * np.abs(t) * t_error
    return y, [np.abs(dy) * 0.5 * (1 + np.abs(t) + t_error + np.abs(x) * du * slope_error)]


def cross_entropy_magnitude(dy, logits, targets):
    V = logits.shape[-1]
    rows = logits.reshape(-1, V)
    N = len(rows)
    p, relative = softmax_parts(rows)
    onehot = np.eye(V)[targets.reshape(-1)]
    m = rows.max(axis=-1, keepdims=True)
    log_sum = np.log(total(np.exp(rows - m)))
    distance = total(onehot * (m - rows))
    loss = ((relative * p).sum(axis=-1, keepdims=True) + np.abs(log_sum) + distance).sum() / N
    dlogits = np.abs(dy) * (p * relative + onehot) / N
    return loss, [dlogits.reshape(logits.shape)]


def dropout_magnitude(dy, x, mask):
    return np.abs(x) * mask, [np.abs(dy) * mask]


def embedding_magnitude(dy, ids, weight):
    dweight = np.zeros(weight.shape)
    np.add.at(dweight, ids, np.abs(dy))
    most = np.bincount(ids.reshape(-1)).max()
    return np.abs(weight[ids]), [running_sum(most) * dweight]


def add_position_magnitude(dy, x, table):
    dtable = np.zeros(table.shape)
    dtable[: x.shape[1]] = running_sum(len(dy)) * np.abs(dy).sum(axis=0)
    return np.abs(x) + np.abs(table[: x.shape[1]]), [np.abs(dy), dtable]


def attention_magnitude(dy, q, k, v, mask):
    (R, D), T = q.shape[-2:], k.shape[-2]
    future = np.triu(np.ones((T, T), dtype=bool), 1)[-R:]
    q, scale = q / math.sqrt(D), 1 / math.sqrt(D)
    scores = np.where(future, -np.inf, q @ k.swapaxes(-1, -2))
    score_error = np.where(future, 0, np.abs(q) @ np.abs(k).swapaxes(-1, -2))
    p, relative = softmax_parts(scores)
    relative = relative + score_error + total(p * score_error)  # an error in the exponent is a relative error
    g, column = np.abs(dy), lambda a: a.swapaxes(-1, -2)
    dp_error = mask * (g @ column(np.abs(v)))
    ds = softmax_backward_magnitude(p, relative, dp_error, mask * (dy @ column(v)))
    dropped = mask * p * relative
    return dropped @ np.abs(v), [scale * ds @ np.abs(k), column(ds) @ np.abs(q), column(dropped) @ g]


def grouped_attention_magnitude(dy, q, k, v, mask):
    (B, K, T, D), H = k.shape, q.shape[1]
    y, (dq, *of_heads) = attention_magnitude(dy, q, *(np.repeat(x, H // K, axis=1) for x in (k, v)), mask)
    return y, [dq, *(each.reshape(B, K, H // K, T, D).sum(axis=2) for each in of_heads)]


def rope_magnitude(dy, x, cos, sin):
    def turned(a):
        first, second, c, s = *np.split(np.abs(a), 2, axis=-1), np.abs(cos), np.abs(sin)
        return np.concatenate([c * first + s * second, s * first + c * second], axis=-1)

    return turned(x), [turned(dy)]


# --------------------------------------------------------------------------------------------------------------- torch's side


def torch_attention(q, k, v, mask):
    (R, D), T = q.shape[-2:], k.shape[-2]
    past = torch.ones(T, T, dtype=torch.bool, device=q.device).tril()[-R:]  # the queries are those of the last R positions
    mask = torch.as_tensor(mask)  # the grader fills in an array
    if (mask == 1).all():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=past)
    scores = (q @ k.mT / math.sqrt(D)).masked_fill(~past, -math.inf)  # torch's own function draws its own mask
    return (scores.softmax(-1) * mask) @ v


def torch_grouped_attention(q, k, v, mask):
    G = q.shape[1] // k.shape[1]
    return torch_attention(q, k.repeat_interleave(G, dim=1), v.repeat_interleave(G, dim=1), mask)


def torch_rope(x, cos, sin):
    cos, sin = (torch.as_tensor(table).repeat(1, 2) for table in (cos, sin))  # the grader fills in arrays
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def attention_mask(rng, dtype, *shape):
    """Dropout's, which half of the time drops nothing."""
    return dropout_mask(rng, shape, rng.random() * rng.integers(2), dtype)


def torch_cross_entropy(logits, targets):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


def torch_rms_norm(x, weight):
    return F.rms_norm(x, weight.shape, weight, 1e-5)


def torch_causal_conv(x, weight, bias):
    K = weight.shape[-1]
    return F.conv1d(F.pad(x.mT, (K - 1, 0)), weight, bias, groups=x.shape[-1]).mT


def torch_softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))  # F.softplus drops log1p(exp(-x)) from x = 20 on


def torch_lstm_cell(x, *weights_and_state):
    *weights, h, c = weights_and_state
    return torch.stack(torch.lstm_cell(x, (h, c), *weights))


def torch_lstm(x, *weights_and_state):
    *weights, h0, c0 = weights_and_state
    y, _, _ = torch.lstm(x, (h0[None], c0[None]), weights, True, 1, 0.0, False, False, True)  # biases, 1 layer, batch first
    return y


def torch_selective_scan(u, delta, A, B, C, D, h):
    ys = []
    for u_t, delta_t, B_t, C_t in zip(*(x.unbind(1) for x in (u, delta, B, C)), strict=True):
        h = torch.exp(delta_t[..., None] * A) * h + (delta_t * u_t)[..., None] * B_t[:, None]
        ys.append((h * C_t[:, None]).sum(-1) + D * u_t)
    return torch.stack(ys, dim=1)


@functools.wraps(ops.lstm_cell)
def stacked_cell(*inputs):
    """y = (h, c) as one array (2, B, H); the backward takes dy in either form."""
    y, cache = ops.lstm_cell(*inputs)
    return np.stack(y), cache


def grouped_inputs(rng, s, dt, B, K, G, T, D):
    """Few sequences, groups of three heads at most, and the queries of the last positions."""
    B, G, R = min(B, 3), min(G, 3), int(rng.integers(1, T + 1))
    q = array(rng, "normal" if s == "far_apart" else s, (B, K * G, R, D), dt)
    k, v = array(rng, "normal", (B, K, T, D), dt), array(rng, s, (B, K, T, D), dt)
    return [q, k, v, attention_mask(rng, dt, B, K * G, R, T)]


def rope_inputs(rng, s, dt, B, H, T, half):
    """Positions that begin anywhere."""
    start = int(rng.integers(2000))
    tables = cosines_and_sines(start + T, 2 * half, float(rng.choice([2.0, 1e4, 5e5])))
    return [array(rng, s, (B, H, T, 2 * half), dt), *(table[start:].astype(dt) for table in tables)]


def ids(rng, V, *shape):
    """Half of the time few distinct ones, so that ids repeat."""
    return rng.integers(V if rng.random() < 0.5 else min(2, V), size=shape)


def lstm_inputs(rng, s, dt, B, I, H, *T):  # noqa: E741
    """As torch draws them, H numbers that are summed get weights of about 1 / sqrt(H); x of that structure saturates gates."""
    weight_hh = array(rng, "normal", (4 * H, H), dt) / math.sqrt(H)
    rest = [(4 * H,), (4 * H,), (B, H), (B, H)]
    weight_ih = array(rng, "normal", (4 * H, I), dt) / math.sqrt(I)
    weights = [weight.astype(dt) for weight in (weight_ih, weight_hh)]
    return [array(rng, s, (B, *T, I), dt), *weights, *(array(rng, "normal", shape, dt) for shape in rest)]


TABLE = {
    op.name: op
    for op in (
        Op(
            "linear",
            ops.linear,
            ops.linear_backward,
            F.linear,
            dims=4,
            inputs=lambda rng, s, dt, B, T, C, out: [
                array(rng, s, (B, T, C), dt),
                array(rng, "normal", (out, C), dt),
                array(rng, "normal", (out,), dt),
            ],
            magnitude=linear_magnitude,
        ),
        Op(
            "softmax",
            ops.softmax,
            ops.softmax_backward,
            lambda x: x.softmax(-1),
            dims=3,
            inputs=lambda rng, s, dt, *shape: [array(rng, s, shape, dt)],
            magnitude=softmax_magnitude,
        ),
        Op(
            "layer_norm",
            ops.layer_norm,
            ops.layer_norm_backward,
            lambda x, w, b: F.layer_norm(x, w.shape, w, b),
            dims=3,
            inputs=lambda rng, s, dt, B, T, C: [
                array(rng, s, (B, T, C), dt),
                array(rng, "normal", (C,), dt),
                array(rng, "normal", (C,), dt),
            ],
            magnitude=layer_norm_magnitude,
        ),
        Op(
            "gelu",
            ops.gelu,
            ops.gelu_backward,
            lambda x: F.gelu(x, approximate="tanh"),
            dims=3,
            inputs=lambda rng, s, dt, *shape: [array(rng, s, shape, dt)],
            magnitude=gelu_magnitude,
        ),
        Op(
            "attention",
            ops.attention,
            ops.attention_backward,
            torch_attention,
            dims=4,
            inputs=lambda rng, s, dt, B, H, T, D: [
                array(rng, "normal" if s == "far_apart" else s, (B, H, T, D), dt),
                array(rng, "normal", (B, H, T, D), dt),
                array(rng, s, (B, H, T, D), dt),
                attention_mask(rng, dt, B, H, T, T),
            ],
            magnitude=attention_magnitude,
            constant=(3,),
        ),
        Op(
            "attention_in_tiles",
            functools.partial(ops.attention_in_tiles, tile=2),
            ops.attention_in_tiles_backward,
            torch_attention,
            dims=5,
            inputs=lambda rng, s, dt, B, H, T, D, R: [
                array(rng, "normal" if s == "far_apart" else s, (B, H, min(R, T), D), dt),
                array(rng, "normal", (B, H, T, D), dt),
                array(rng, s, (B, H, T, D), dt),
                attention_mask(rng, dt, B, H, min(R, T), T),
            ],
            magnitude=attention_magnitude,
            constant=(3,),
        ),
        Op(
            "cross_entropy",
            ops.cross_entropy,
            ops.cross_entropy_backward,
            torch_cross_entropy,
            dims=3,
            inputs=lambda rng, s, dt, B, T, V: [array(rng, s, (B, T, V), dt), ids(rng, V, B, T)],
            magnitude=cross_entropy_magnitude,
        ),
        Op(
            "dropout",
            ops.dropout,
            ops.dropout_backward,
            lambda x, mask: x * torch.as_tensor(mask),
            dims=3,
            inputs=lambda rng, s, dt, *shape: [array(rng, s, shape, dt), dropout_mask(rng, shape, rng.random(), dt)],
            magnitude=dropout_magnitude,
            constant=(1,),
        ),
        Op(
            "embedding",
            ops.embedding,
            ops.embedding_backward,
            F.embedding,
            dims=4,
            inputs=lambda rng, s, dt, B, T, V, C: [ids(rng, V, B, T), array(rng, s, (V, C), dt)],
            magnitude=embedding_magnitude,
        ),
        Op(
            "add_position",
            ops.add_position,
            ops.add_position_backward,
            lambda x, table: x + table[: x.shape[1]],
            dims=4,
            inputs=lambda rng, s, dt, B, T, C, extra: [array(rng, s, (B, T, C), dt), array(rng, s, (T + extra - 1, C), dt)],
            magnitude=add_position_magnitude,
        ),
        Op(
            "silu",
            ops.silu,
            ops.silu_backward,
            F.silu,
            dims=3,
            inputs=lambda rng, s, dt, *shape: [array(rng, s, shape, dt)],
            magnitude=recurrent.silu_magnitude,
        ),
        Op(
            "softplus",
            ops.softplus,
            ops.softplus_backward,
            torch_softplus,
            dims=3,
            inputs=lambda rng, s, dt, *shape: [array(rng, s, shape, dt)],
            magnitude=recurrent.softplus_magnitude,
        ),
        Op(
            "rms_norm",
            ops.rms_norm,
            ops.rms_norm_backward,
            torch_rms_norm,
            dims=3,
            inputs=lambda rng, s, dt, B, T, C: [array(rng, s, (B, T, C), dt), array(rng, "normal", (C,), dt)],
            magnitude=recurrent.rms_norm_magnitude,
        ),
        Op(
            "causal_conv",
            ops.causal_conv,
            ops.causal_conv_backward,
            torch_causal_conv,
            dims=4,
            inputs=lambda rng, s, dt, B, T, E, K: [
                array(rng, s, (B, T, E), dt),
                array(rng, "normal", (E, 1, K), dt),
                array(rng, "normal", (E,), dt),
            ],
            magnitude=recurrent.causal_conv_magnitude,
        ),
        Op(
            "lstm_cell",
            stacked_cell,
            ops.lstm_cell_backward,
            torch_lstm_cell,
            dims=3,
            inputs=lstm_inputs,
            magnitude=recurrent.lstm_cell_magnitude,
        ),
        Op(
            "lstm",
            ops.lstm,
            ops.lstm_backward,
            torch_lstm,
            dims=4,
            inputs=lstm_inputs,
            magnitude=recurrent.lstm_magnitude,
        ),
        Op(
            "selective_scan",
            ops.selective_scan,
            ops.selective_scan_backward,
            torch_selective_scan,
            dims=4,
            inputs=lambda rng, s, dt, B, T, E, N: [
                array(rng, "normal" if s == "far_apart" else s, (B, T, E), dt),
                np.abs(array(rng, s, (B, T, E), dt)),  # delta from 0 (ties) over e^-8 (mixed) to 900 (far_apart)
                -np.exp(array(rng, "normal", (E, N), dt)),
                array(rng, "normal", (B, T, N), dt),
                array(rng, "normal", (B, T, N), dt),
                array(rng, "normal", (E,), dt),
                array(rng, "normal", (B, E, N), dt),
            ],
            magnitude=recurrent.selective_scan_magnitude,
        ),
        Op(
            "rope",
            ops.rope,
            ops.rope_backward,
            torch_rope,
            dims=4,
            inputs=rope_inputs,
            magnitude=rope_magnitude,
            constant=(1, 2),
        ),
        Op(
            "grouped_attention",
            ops.grouped_attention,
            ops.grouped_attention_backward,
            torch_grouped_attention,
            dims=5,
            inputs=grouped_inputs,
            magnitude=grouped_attention_magnitude,
            constant=(3,),
        ),
        Op(
            "swiglu",
            ops.swiglu,
            ops.swiglu_backward,
            lambda gate, up: F.silu(gate) * up,
            dims=3,
            inputs=lambda rng, s, dt, *shape: [array(rng, s, shape, dt), array(rng, s, shape, dt)],
            magnitude=recurrent.swiglu_magnitude,
        ),
    )
}


def run_torch(op: Op, inputs: list[np.ndarray], dy: np.ndarray, device: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """torch's output, and its gradients of the real inputs under the cotangent dy."""
    tensors = [torch.from_numpy(np.array(x)).to(device) for x in inputs]
    leaves = [tensors[i].requires_grad_() for i in real(op, inputs)]
    with torch.backends.cudnn.flags(enabled=False):  # it rounds the factors of its convolutions and LSTMs to TF32
        y = op.torch_fn(*tensors)
        gradients = torch.autograd.grad(y, leaves, torch.from_numpy(np.array(dy)).to(device).reshape(y.shape))
    return y.detach().cpu().numpy(), [g.cpu().numpy() for g in gradients]


def errors_against_torch(op: Op, case: Case, device: str, backward: bool = True) -> list[float]:
    """The error of the output and of each gradient against torch, in eps x magnitude; of the output alone without `backward`,
    which is then not called."""
    inputs, rng = case.build()
    y, cache = op.forward(*inputs)
    dy = cotangent(rng, y, case.dtype)
    torch_y, torch_gradients = run_torch(op, inputs, dy, device)
    with np.errstate(under="ignore"):
        y_magnitude, gradient_magnitudes = op.magnitude(dy.astype(np.float64), *in_float64(inputs))
    ours, theirs, magnitudes = [y], [torch_y], [y_magnitude]
    if backward:
        ours, theirs = [y, *as_tuple(op.backward(dy, cache))], [torch_y, *torch_gradients]
        magnitudes = [y_magnitude, *gradient_magnitudes]
    return [local_error(np.asarray(a), b, magnitude) for a, b, magnitude in zip(ours, theirs, magnitudes, strict=True)]


H = 1e-30  # the complex step: so small that its square vanishes, and nothing is subtracted, so nothing cancels


def complex_step_error(op: Op, case: Case) -> float:
    """The largest |Im f / h - <gradient, v>| over the inputs, as a multiple of its bound."""
    inputs, rng = case.build()
    y, cache = op.forward(*inputs)
    dy = cotangent(rng, y, "float64")
    _, magnitudes = op.magnitude(dy, *in_float64(inputs))
    worst = 0.0
    for place, gradient, magnitude in zip(real(op, inputs), as_tuple(op.backward(dy, cache)), magnitudes, strict=True):
        direction = rng.standard_normal(inputs[place].shape)
        moved = [x if x.dtype.kind == "i" else x.astype(np.complex128) for x in inputs]
        moved[place] += 1j * H * direction
        error = abs((np.imag(op.forward(*moved)[0]) / H * dy).sum() - (gradient * direction).sum())
        bound = COMPLEX_STEP_FACTOR * eps("float64") * (magnitude * np.abs(direction)).sum()
        if error:  # a mask of zeros has a gradient and a bound of 0
            worst = max(worst, error / bound if np.isfinite(error) else np.inf)
    return worst
