"""A Llama's formulas: npgpt/models/llama.py and the operations that it calls, cell by cell."""

import math

from ...models.llama import LlamaConfig
from .parts import (
    Book,
    Formulas,
    attention,
    back_through,
    before_the_branch,
    behind_the_branch,
    linear,
    rms_norm,
    rms_normed_stream,
    silu_paths,
)

# The angle of pair i at position t. `stretched` (npgpt/ops/rope.py) slows pairs down that turn rarely.
ANGLE = {"a[t, i]": "t * theta ** (-2 * i / D)"}
STRETCHED_ANGLE = {
    "frequency[i]": "theta ** (-2 * i / D)",
    "turns[i]": "original * frequency[i] / (2 * pi)",
    "share[i]": "(turns[i] - low) / (high - low)",
    "kept[i]": "(share[i] if share[i] < 1 else 1) if share[i] > 0 else 0",
    "a[t, i]": "t * (kept[i] * frequency[i] + (1 - kept[i]) * frequency[i] / factor)",
}


def llama_formulas(config: LlamaConfig, T: int) -> Formulas:
    """See formulas_of."""
    C, F, V = config.n_embd, config.ffn_size, config.vocab_size
    H, K, D = config.n_head, config.kv_heads, config.head_width
    sizes = {"c": C, "j": C, "o": H * D, "n": K * D, "f": F, "v": V, "i": V, "d": D, "t": T, "s": T, "r": T}
    constants = {"D": D, "G": H // K, "eps": config.norm_eps, "theta": config.rope_theta, "pi": math.pi}
    if config.rope_scaling:
        constants |= dict(zip(("factor", "low", "high", "original"), config.rope_scaling, strict=True))
    book = Book(sizes, constants)
    for i in range(config.n_layer):
        block(book, config, f"blocks.{i}.")
    rms_normed_stream(book, config, head_bias=False)
    return book.formulas


def block(book: Book, config: LlamaConfig, b: str) -> None:
    """One block: attention, then the gated FFN, both beside the residual stream."""
    pre, mid, post = b + "resid_pre", b + "resid_mid", b + "resid_post"
    norm = rms_norm(book, b + "norm1", pre)
    queries_keys_values(book, config, b)
    attention(book, b, "rot_q", "rot_k", config.n_head // config.kv_heads, bias=False)
    behind_the_branch(book, pre, b + "attn_out", mid)
    before_the_branch(book, pre, mid, "past attention", norm)
    norm = rms_norm(book, b + "norm2", mid)
    feed_forward(book, b)
    behind_the_branch(book, mid, b + "ffn_out", post)
    before_the_branch(book, mid, post, "past the FFN", norm)


def queries_keys_values(book: Book, config: LlamaConfig, b: str) -> None:
    """A matrix for each; queries and keys are turned by their positions. Feature n of D numbers a head is [n // D, n % D]."""
    norm1 = b + "norm1"
    for name, head in (("q", "h"), ("k", "m"), ("v", "m")):
        layer = f"{b}mha.W{name}"
        product, operands = f"sum(c, norm1[t, c] * W[{head} * D + d, c])", {"norm1": norm1, "W": layer + ".weight"}
        gradient = {"d" + name: b + name}
        if config.qkv_bias:
            product, operands["b"] = f"{product} + b[{head} * D + d]", layer + ".bias"
            book.gradient(layer + ".bias", "db[n]", f"sum(t, d{name}[n // D, t, n % D])", gradient)
        book.value(b + name, f"{name}[{head}, t, d]", product, operands)
        weight = f"sum(t, d{name}[n // D, t, n % D] * norm1[t, c])"
        book.gradient(layer + ".weight", "dW[n, c]", weight, operands | gradient)
    for name, head in (("q", "h"), ("k", "m")):
        turned(book, b, name, head, STRETCHED_ANGLE if config.rope_scaling else ANGLE)
    paths = {
        f"through {name}": f"sum({row}, d{name}[{row} // D, t, {row} % D] * W{name}[{row}, c])"
        for name, row in (("q", "o"), ("k", "n"), ("v", "n"))
    }
    operands = {"d" + name: b + name for name in "qkv"} | {f"W{name}": f"{b}mha.W{name}.weight" for name in "qkv"}
    book.gradient(norm1, "dnorm1[t, c]", paths, operands)


def turned(book: Book, b: str, x: str, head: str, angle: dict[str, str]) -> None:
    """rot_x: x's pairs (d, d + D/2), each turned by its angle; back, by minus the angle (npgpt/ops/rope.py)."""
    first, second = "d < D / 2", f"{x}[{head}, t, d - D / 2]"
    y = "rot_" + x
    before = f"cos(a[t, d]) * {x}[{head}, t, d] - sin(a[t, d]) * {x}[{head}, t, d + D / 2]"
    after = f"sin(a[t, d - D / 2]) * {second} + cos(a[t, d - D / 2]) * {x}[{head}, t, d]"
    book.value(b + y, f"{y}[{head}, t, d]", f"{before} if {first} else {after}", {x: b + x}, angle)
    other = f"sin(a[t, d]) * d{y}[{head}, t, d + D / 2] if {first} else -(sin(a[t, d - D / 2]) * d{y}[{head}, t, d - D / 2])"
    paths = {
        "to its own place in the pair": f"cos(a[t, d % (D / 2)]) * d{y}[{head}, t, d]",
        "to the pair's other place": other,
    }
    book.gradient(b + x, f"d{x}[{head}, t, d]", paths, {"d" + y: b + y}, angle)


def feed_forward(book: Book, b: str) -> None:
    """Two linear layers side by side, one the other's gate (npgpt/ops/swiglu.py), and a third that leads back."""
    norm2, gate, up, post, out = b + "norm2", b + "gate", b + "up", b + "ffn_post", b + "ffn_out"
    linear(book, gate, norm2, b + "ffn.gate", "f", "c", bias=False)
    linear(book, up, norm2, b + "ffn.up", "f", "c", bias=False)
    linear(book, out, post, b + "ffn.down", "c", "f", bias=False)
    operands, s = {"gate": gate, "up": up}, {"s[t, f]": "sigmoid(gate[t, f])"}
    book.value(post, "ffn_post[t, f]", "gate[t, f] * s[t, f] * up[t, f]", operands, s)

    book.gradient(post, "dffn_post[t, f]", back_through(out, "c", "f"), {"dffn_out": out, "W": b + "ffn.down.weight"})
    operands["dffn_post"] = post
    book.gradient(up, "dup[t, f]", "dffn_post[t, f] * gate[t, f] * s[t, f]", operands, s)
    paths = silu_paths("dffn_post[t, f] * up[t, f]", "gate[t, f]", "s[t, f]")
    book.gradient(gate, "dgate[t, f]", paths, operands, s)
    through_gate, through_up = back_through(gate, "f", "c", "W_gate"), back_through(up, "f", "c", "W_up")
    operands = {"dgate": gate, "dup": up, "W_gate": b + "ffn.gate.weight", "W_up": b + "ffn.up.weight"}
    book.gradient(norm2, "dnorm2[t, c]", {"through the gate": through_gate, "through up": through_up}, operands)
