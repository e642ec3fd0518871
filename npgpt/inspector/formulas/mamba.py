"""A Mamba's formulas: npgpt/models/mamba.py and the operations that it calls, cell by cell.

Between u and delta two numbers are not traced, dt and a, whose softplus delta is: they are helpers, as are A, the decay and
the intake. A step's formulas hold the traced state of the step before, or after, so none of them runs through time.
"""

from ...models.mamba import MambaConfig
from .parts import (
    NORM_EPS,
    Book,
    Formulas,
    before_the_branch,
    behind_the_branch,
    linear,
    rms_norm,
    rms_normed_stream,
    silu_paths,
)

STEP_SIZE = {"dt[t, r]": "sum(e, u[t, e] * W_x[r, e])", "a[t, e]": "sum(r, dt[t, r] * W_dt[e, r]) + b_dt[e]"}
# The gradients of a and dt: softplus' slope is the sigmoid.
STEP_SIZE_GRADIENTS = STEP_SIZE | {
    "da[t, e]": "ddelta[t, e] * sigmoid(a[t, e])",
    "ddt[t, r]": "sum(e, da[t, e] * W_dt[e, r])",
}
DECAY = {"A[e, n]": "-exp(A_log[e, n])", "decay[t, e, n]": "exp(delta[t, e] * A[e, n])"}
DECAY_GRADIENT = DECAY | {"dz[t, e, n]": "dstate[t, e, n] * (state[t - 1, e, n] if t > 0 else 0) * decay[t, e, n]"}
INTAKE = {"intake[t, e]": "delta[t, e] * u[t, e]"}
INTAKE_GRADIENT = {"dintake[t, e]": "sum(n, dstate[t, e, n] * B[t, n])"}


def mamba_formulas(config: MambaConfig, T: int) -> Formulas:
    """See formulas_of."""
    C, E, V = config.n_embd, config.channels, config.vocab_size
    K, N, R = config.d_conv, config.d_state, config.dt_size
    sizes = {"c": C, "j": C, "e": E, "o": 2 * E, "k": K, "n": N, "r": R, "v": V, "i": V, "t": T}
    book = Book(sizes, {"E": E, "K": K, "N": N, "R": R, "eps": NORM_EPS})
    for i in range(config.n_layer):
        block(book, config, f"blocks.{i}.")
    rms_normed_stream(book, config, head_bias=config.head_bias)
    return book.formulas


def block(book: Book, config: MambaConfig, b: str) -> None:
    """One block: what the mixer makes of the normed stream is added to the stream."""
    norm = rms_norm(book, b + "norm", b + "resid_pre")
    convolution(book, config, b)
    decisions(book, b)
    scan(book, b)
    gated_output(book, b)
    behind_the_branch(book, b + "resid_pre", b + "mixer_out", b + "resid_post")
    before_the_branch(book, b + "resid_pre", b + "resid_post", "past the mixer", norm)


def convolution(book: Book, config: MambaConfig, b: str) -> None:
    """in_proj, whose first E numbers are convolved (npgpt/ops/causal_conv.py) and whose last E, called z, become the gate."""
    linear(book, b + "in_proj", b + "norm", b + "mixer.in_proj", "o", "c", bias=False)
    operands = {"in_proj": b + "in_proj", "w": b + "mixer.conv1d.weight", "conv": b + "conv", "gate": b + "gate"}
    gradients = {"dconv": b + "conv", "dgate": b + "gate", "du": b + "u"}
    taps = "sum(k, w[e, 0, k] * in_proj[t - (K - 1) + k, e] if t - (K - 1) + k >= 0 else 0)"
    if config.conv_bias:
        operands["b"], taps = b + "mixer.conv1d.bias", taps + " + b[e]"
        book.gradient(b + "mixer.conv1d.bias", "db[e]", "sum(t, dconv[t, e])", gradients)
    book.value(b + "conv", "conv[t, e]", taps, operands)
    book.value(b + "u", "u[t, e]", "conv[t, e] * sigmoid(conv[t, e])", operands)
    gate = {"z[t, e]": "in_proj[t, E + e]", "s[t, e]": "sigmoid(z[t, e])"}
    book.value(b + "gate", "gate[t, e]", "z[t, e] * s[t, e]", operands, gate)

    weight = "sum(t, dconv[t, e] * in_proj[t - (K - 1) + k, e] if t - (K - 1) + k >= 0 else 0)"
    book.gradient(b + "mixer.conv1d.weight", "dw[e, one, k]", weight, operands | gradients)
    paths = silu_paths("du[t, e]", "conv[t, e]", "s[t, e]")
    book.gradient(b + "conv", "dconv[t, e]", paths, operands | gradients, {"s[t, e]": "sigmoid(conv[t, e])"})
    heard_back = "sum(k, w[o, 0, k] * dconv[t + (K - 1) - k, o] if t + (K - 1) - k < T else 0) if o < E else 0"
    through_z = silu_paths("dgate[t, o - E]", "z[t, o - E]", "s[t, o - E]")
    paths = {"through the convolution": heard_back} | {
        f"through the gate: {path}": f"{text} if o >= E else 0" for path, text in through_z.items()
    }
    book.gradient(b + "in_proj", "din_proj[t, o]", paths, operands | gradients, gate)
    paths = {
        "through what is convolved": "sum(e, din_proj[t, e] * W[e, c])",
        "through the gate": "sum(e, din_proj[t, E + e] * W[E + e, c])",
    }
    operands = {"din_proj": b + "in_proj", "W": b + "mixer.in_proj.weight"}
    book.gradient(b + "norm", "dnorm[t, c]", paths, operands)


def decisions(book: Book, b: str) -> None:
    """What the letter decides: delta, B and C. x_proj's rows: R for dt, N for B, N for C."""
    step_size = {
        "u": b + "u",
        "W_x": b + "mixer.x_proj.weight",
        "W_dt": b + "mixer.dt_proj.weight",
        "b_dt": b + "mixer.dt_proj.bias",
        "ddelta": b + "delta",
    }
    book.value(b + "delta", "delta[t, e]", "softplus(a[t, e])", step_size, STEP_SIZE)
    book.value(b + "B", "B[t, n]", "sum(e, u[t, e] * W_x[R + n, e])", step_size)
    book.value(b + "C", "C[t, n]", "sum(e, u[t, e] * W_x[R + N + n, e])", step_size)

    book.gradient(b + "mixer.dt_proj.weight", "dW_dt[e, r]", "sum(t, da[t, e] * dt[t, r])", step_size, STEP_SIZE_GRADIENTS)
    book.gradient(b + "mixer.dt_proj.bias", "db_dt[e]", "sum(t, da[t, e])", step_size, STEP_SIZE_GRADIENTS)
    rows = {"dx_proj[t, r]": "(ddt[t, r] if r < R else dB[t, r - R]) if r < R + N else dC[t, r - R - N]"}
    operands, helpers = step_size | {"dB": b + "B", "dC": b + "C"}, STEP_SIZE_GRADIENTS | rows
    book.gradient(b + "mixer.x_proj.weight", "dW_x[r, e]", "sum(t, dx_proj[t, r] * u[t, e])", operands, helpers)
    # u enters the scan, twice, and all three decisions.
    paths = {
        "through the skip D": "dy[t, e] * D[e]",
        "through the intake": "dintake[t, e] * delta[t, e]",
        "through delta": "sum(r, ddt[t, r] * W_x[r, e])",
        "through B": "sum(n, dB[t, n] * W_x[R + n, e])",
        "through C": "sum(n, dC[t, n] * W_x[R + N + n, e])",
    }
    operands |= {"dy": b + "y", "D": b + "mixer.D", "delta": b + "delta", "dstate": b + "state", "B": b + "B"}
    book.gradient(b + "u", "du[t, e]", paths, operands, STEP_SIZE_GRADIENTS | INTAKE_GRADIENT)


def scan(book: Book, b: str) -> None:
    """npgpt/ops/selective_scan.py, whose state is called h there. Before the first step it is 0."""
    names = ("u", "delta", "B", "C", "state", "y")
    operands = {name: b + name for name in names} | {"d" + name: b + name for name in names}
    operands |= {"A_log": b + "mixer.A_log", "D": b + "mixer.D"}
    state = "decay[t, e, n] * (state[t - 1, e, n] if t > 0 else 0) + intake[t, e] * B[t, n]"
    book.value(b + "state", "state[t, e, n]", state, operands, DECAY | INTAKE)
    book.value(b + "y", "y[t, e]", "sum(n, C[t, n] * state[t, e, n]) + D[e] * u[t, e]", operands)

    paths = {
        "through y[t]": "dy[t, e] * C[t, n]",
        "through the state of t+1": "dstate[t + 1, e, n] * decay[t + 1, e, n] if t + 1 < T else 0",
    }
    book.gradient(b + "state", "dstate[t, e, n]", paths, operands, DECAY)
    book.gradient(b + "C", "dC[t, n]", "sum(e, dy[t, e] * state[t, e, n])", operands)
    book.gradient(b + "B", "dB[t, n]", "sum(e, dstate[t, e, n] * intake[t, e])", operands, INTAKE)
    paths = {
        "through the intake": "dintake[t, e] * u[t, e]",
        "through the decay": "sum(n, dz[t, e, n] * A[e, n])",
    }
    book.gradient(b + "delta", "ddelta[t, e]", paths, operands, DECAY_GRADIENT | INTAKE_GRADIENT)
    A_log = "sum(t, dz[t, e, n] * delta[t, e]) * A[e, n]"  # A = -exp(A_log) is its own derivative
    book.gradient(b + "mixer.A_log", "dA_log[e, n]", A_log, operands, DECAY_GRADIENT)
    book.gradient(b + "mixer.D", "dD[e]", "sum(t, dy[t, e] * u[t, e])", operands)


def gated_output(book: Book, b: str) -> None:
    """out_proj of y times its gate; the product rule gives each factor's gradient the other one."""
    operands = {"y": b + "y", "gate": b + "gate", "W": b + "mixer.out_proj.weight", "dmixer_out": b + "mixer_out"}
    book.value(b + "mixer_out", "mixer_out[t, c]", "sum(e, y[t, e] * gate[t, e] * W[c, e])", operands)
    product = {"dgated[t, e]": "sum(c, dmixer_out[t, c] * W[c, e])"}
    book.gradient(b + "gate", "dgate[t, e]", "dgated[t, e] * y[t, e]", operands, product)
    book.gradient(b + "y", "dy[t, e]", "dgated[t, e] * gate[t, e]", operands, product)
    weight = "sum(t, dmixer_out[t, c] * y[t, e] * gate[t, e])"
    book.gradient(b + "mixer.out_proj.weight", "dW[c, e]", weight, operands)
