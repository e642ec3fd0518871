"""What the formulas of several kinds share: the book in which they are written down, linear layers, norms, attention, loss."""

from collections.abc import Mapping
from typing import NamedTuple

from ...models.config import Config
from ..arithmetic import Formula, formula

NORM_EPS = 1e-5  # of GPT's LayerNorm and Mamba's RMSNorm

Paths = Mapping[str, str] | str  # name -> text; a text alone is the only path
Formulas = dict[str, dict[str, Formula | None]]  # name -> {"value": ..., "gradient": ...}


class Book:
    """The formulas of one model, as they are written down.

    sizes : how far each index goes, for sums; "t" to T. constants : D, H, ... as numbers; T is one of them.
    """

    def __init__(self, sizes: Mapping[str, int], constants: Mapping[str, float]):
        self.sizes, self.constants = dict(sizes), {**constants, "T": sizes["t"]}
        self.formulas: Formulas = {}

    def write(
        self, of: str, name: str, cell: str, paths: Paths, operands: Mapping[str, str], helpers: Mapping[str, str] | None
    ) -> None:
        """Writes down what name's "value" or "gradient" is made of.

        operands : name in the formula -> array. A name that starts with d, "dq", is the gradient of its array, but where it is
            the array's own ("delta"); "ids" and "targets" are the text.
        """
        arrays = {alias: self.operand(alias, array) for alias, array in operands.items()}
        arrays |= {"ids": ("ids", ""), "targets": ("targets", "")}
        paths = {"": paths} if isinstance(paths, str) else paths
        made = formula(cell, paths, sizes=self.sizes, constants=self.constants, operands=arrays, helpers=helpers)
        self.formulas.setdefault(name, {"value": None, "gradient": None})[of] = made

    @staticmethod
    def operand(alias: str, array: str) -> tuple[str, str]:
        return ("gradient" if alias.startswith("d") and alias != short(array) else "value", array)

    def value(
        self, name: str, cell: str, paths: Paths, operands: Mapping[str, str], helpers: Mapping[str, str] | None = None
    ) -> None:
        self.write("value", name, cell, paths, operands, helpers)

    def gradient(
        self, name: str, cell: str, paths: Paths, operands: Mapping[str, str], helpers: Mapping[str, str] | None = None
    ) -> None:
        self.write("gradient", name, cell, paths, operands, helpers)


def short(name: str) -> str:
    """How a formula calls an array: the last part of its name, "blocks.0.ln1" -> "ln1"."""
    return name.rpartition(".")[2]


# ------------------------------------------------------------------------------------------------------------- linear layers


def linear(book: Book, y: str, x: str, layer: str, row: str, column: str, *, bias: bool) -> None:
    """y[t, row] = sum over the columns of x[t, column] W[row, column] (+ b[row]), and what W and b collect: they serve every
    position, so their gradients sum over t (npgpt/ops/linear.py)."""
    x_name, y_name = short(x), short(y)
    operands = {x_name: x, "W": layer + ".weight"}
    product = f"sum({column}, {x_name}[t, {column}] * W[{row}, {column}])"
    if bias:
        operands["b"], product = layer + ".bias", f"{product} + b[{row}]"
        book.gradient(layer + ".bias", f"db[{row}]", f"sum(t, d{y_name}[t, {row}])", {"d" + y_name: y})
    book.value(y, f"{y_name}[t, {row}]", product, operands)
    dy = {"d" + y_name: y, x_name: x}
    book.gradient(layer + ".weight", f"dW[{row}, {column}]", f"sum(t, d{y_name}[t, {row}] * {x_name}[t, {column}])", dy)


def back_through(y: str, row: str, column: str, W: str = "W") -> str:
    """What y's gradient brings to x[t, column] through a linear layer."""
    return f"sum({row}, d{short(y)}[t, {row}] * {W}[{row}, {column}])"


def silu_paths(dy: str, x: str, s: str) -> dict[str, str]:
    """The two paths through silu, x s with s = sigmoid(x) (npgpt/ops/silu.py)."""
    return {"as the factor in front": f"{dy} * {s}", "inside the gate": f"{dy} * {x} * {s} * (1 - {s})"}


# --------------------------------------------------------------------------------------------- norms and the residual stream


class Norm(NamedTuple):
    """On which paths x reaches the loss through a norm; dy is the gradient of what comes out of it."""

    paths: dict[str, str]
    operands: dict[str, str]
    helpers: dict[str, str]


LAYER_NORM = {
    "mean[t]": "mean(c, x[t, c])",
    "var[t]": "mean(c, (x[t, c] - mean[t]) ** 2)",
    "rstd[t]": "1 / sqrt(var[t] + eps)",
    "xhat[t, c]": "(x[t, c] - mean[t]) * rstd[t]",
}
RMS_NORM = {"rstd[t]": "1 / sqrt(mean(c, x[t, c] ** 2) + eps)", "xhat[t, c]": "x[t, c] * rstd[t]"}


def layer_norm(book: Book, name: str, x: str) -> Norm:
    """name[t, c] = the LayerNorm of x, and the gradients of its parameters (npgpt/ops/layer_norm.py)."""
    operands = {"x": x, "w": name + ".weight", "b": name + ".bias"}
    book.value(name, f"{short(name)}[t, c]", "w[c] * xhat[t, c] + b[c]", operands, LAYER_NORM)
    norm_weight(book, name, x, LAYER_NORM)
    book.gradient(name + ".bias", "db[c]", "sum(t, dy[t, c])", {"dy": name})
    paths = {
        "through LayerNorm: directly": "rstd[t] * dy[t, c] * w[c]",
        "through LayerNorm: by the mean": "-rstd[t] * mean(j, dy[t, j] * w[j])",
        "through LayerNorm: by rstd": "-rstd[t] * xhat[t, c] * mean(j, dy[t, j] * w[j] * xhat[t, j])",
    }
    return Norm(paths, {"x": x, "w": name + ".weight", "dy": name}, LAYER_NORM)


def rms_norm(book: Book, name: str, x: str) -> Norm:
    """name[t, c] = the RMSNorm of x, and the gradient of its weight (npgpt/ops/rms_norm.py)."""
    operands = {"x": x, "w": name + ".weight"}
    book.value(name, f"{short(name)}[t, c]", "w[c] * xhat[t, c]", operands, RMS_NORM)
    norm_weight(book, name, x, RMS_NORM)
    paths = {
        "through RMSNorm: directly": "rstd[t] * dy[t, c] * w[c]",
        "through RMSNorm: by rstd": "-rstd[t] * xhat[t, c] * mean(j, dy[t, j] * w[j] * xhat[t, j])",
    }
    return Norm(paths, operands | {"dy": name}, RMS_NORM)


def norm_weight(book: Book, name: str, x: str, helpers: Mapping[str, str]) -> None:
    """w serves every position, so its gradient sums over t."""
    book.gradient(name + ".weight", "dw[c]", "sum(t, dy[t, c] * xhat[t, c])", {"x": x, "dy": name}, helpers)


def before_the_branch(book: Book, x: str, after: str, past: str, norm: Norm) -> None:
    """The gradient of x, where after = x + f(norm(x)): one path past the branch, and the norm's paths through it."""
    own = f"d{short(after)}"
    book.gradient(x, f"d{short(x)}[t, c]", {past: f"{own}[t, c]"} | norm.paths, norm.operands | {own: after}, norm.helpers)


def behind_the_branch(book: Book, x: str, branch: str, after: str) -> None:
    """after = x + branch, which hands its gradient on to the branch as it is."""
    x_name, branch_name, after_name = short(x), short(branch), short(after)
    text = f"{x_name}[t, c] + {branch_name}[t, c]"
    book.value(after, f"{after_name}[t, c]", text, {x_name: x, branch_name: branch})
    handed_on = {"the sum hands it on": f"d{after_name}[t, c]"}
    book.gradient(branch, f"d{branch_name}[t, c]", handed_on, {"d" + after_name: after})


def between_blocks(book: Book, config: Config, first: Mapping[str, str]) -> None:
    """What each block begins with is what the one below ends with; the first one begins with the sum of `first`, name ->
    array."""
    text = " + ".join(f"{name}[t, c]" for name in first)
    book.value("blocks.0.resid_pre", "resid_pre[t, c]", text, first)
    for i in range(1, config.n_layer):
        below, above = f"blocks.{i - 1}.resid_post", f"blocks.{i}.resid_pre"
        book.value(above, "resid_pre[t, c]", {"handed on by the block below": "resid_post[t, c]"}, {"resid_post": below})
        handed_on = {"handed on to the next block": "dresid_pre[t, c]"}
        book.gradient(below, "dresid_post[t, c]", handed_on, {"dresid_pre": above})


def after_the_last_block(book: Book, config: Config, norm: Norm) -> None:
    """The last block's result is read by the model's last norm alone."""
    book.gradient(f"blocks.{config.n_layer - 1}.resid_post", "dresid_post[t, c]", norm.paths, norm.operands, norm.helpers)


def rms_normed_stream(book: Book, config: Config, *, head_bias: bool) -> None:
    """What Mamba and Llama have around their blocks: the tokens' vectors, the stream between blocks, norm_f, the head."""
    look_up(book)
    handed_on = {"handed on to the first block": "dresid_pre[t, c]"}
    book.gradient("embed", "dembed[t, c]", handed_on, {"dresid_pre": "blocks.0.resid_pre"})
    between_blocks(book, config, {"embed": "embed"})
    after_the_last_block(book, config, rms_norm(book, "norm_f", f"blocks.{config.n_layer - 1}.resid_post"))
    head(book, config, "norm_f", bias=head_bias)
    read_by_the_head(book, config, "norm_f")


def read_by_the_head(book: Book, config: Config, norm: str) -> None:
    operands = {"dlogits": "logits", "W": head_weight(config)}
    book.gradient(norm, f"d{short(norm)}[t, c]", back_through("logits", "v", "c"), operands)


# ------------------------------------------------------------------------------------------------------------------ attention


def attention(book: Book, b: str, q: str, k: str, G: int, *, bias: bool) -> None:
    """npgpt/ops/grouped_attention.py between q, k, v and the projection: G query heads ask one key head (G = 1: attention.py).

    q, k : the names of what asks and of what is asked, in a Llama the turned ones.
    """
    asked, own = ("h", "h") if G == 1 else ("h // G", "m")  # which key head is asked; the index of a key head
    scores = f"sum(d, {q}[h, t, d] * {k}[{asked}, s, d]) / sqrt(D) if s <= t else -inf"
    book.value(b + "scores", "scores[h, t, s]", scores, {q: b + q, k: b + k})
    softmax = {"m[h, t]": "max(r, S[h, t, r])", "total[h, t]": "sum(r, exp(S[h, t, r] - m[h, t]))"}
    book.value(b + "pattern", "pattern[h, t, s]", "exp(S[h, t, s] - m[h, t]) / total[h, t]", {"S": b + "scores"}, softmax)
    book.value(b + "z", "z[h, t, d]", f"sum(s, P[h, t, s] * v[{asked}, s, d])", {"P": b + "pattern", "v": b + "v"})
    projection = {"z": b + "z", "W": b + "mha.projection.weight"}
    product = "sum(o, z[o // D, t, o % D] * W[c, o])"
    dout = {"dattn_out": b + "attn_out"}
    if bias:
        projection["b"], product = b + "mha.projection.bias", product + " + b[c]"
        book.gradient(b + "mha.projection.bias", "db[c]", "sum(t, dattn_out[t, c])", dout)
    book.value(b + "attn_out", "attn_out[t, c]", product, projection)

    book.gradient(b + "z", "dz[h, t, d]", "sum(c, dattn_out[t, c] * W[c, h * D + d])", projection | dout)
    book.gradient(b + "mha.projection.weight", "dW[c, o]", "sum(t, dattn_out[t, c] * z[o // D, t, o % D])", projection | dout)
    book.gradient(b + "pattern", "dP[h, t, s]", f"sum(d, dz[h, t, d] * v[{asked}, s, d])", {"dz": b + "z", "v": b + "v"})
    paths = {
        "its own weight": "P[h, t, s] * dP[h, t, s]",
        "through the row's total": "-P[h, t, s] * sum(r, P[h, t, r] * dP[h, t, r])",
    }
    book.gradient(b + "scores", "dS[h, t, s]", paths, {"P": b + "pattern", "dP": b + "pattern"})
    dS = {"dS": b + "scores", q: b + q, k: b + k}
    book.gradient(b + q, f"d{q}[h, t, d]", f"sum(s, dS[h, t, s] * {k}[{asked}, s, d]) / sqrt(D)", dS)

    def shown(text: str) -> Paths:
        """A key and a value collect from every query head that they were shown to."""
        heads = ("m * G", *(f"m * G + {g}" for g in range(1, G)))
        named = {f"shown to head {g} of its group": text.format(head) for g, head in enumerate(heads)}
        return text.format("h") if G == 1 else named

    book.gradient(b + k, f"d{k}[{own}, s, d]", shown(f"sum(t, dS[{{0}}, t, s] * {q}[{{0}}, t, d]) / sqrt(D)"), dS)
    v = shown("sum(t, P[{0}, t, s] * dz[{0}, t, d])")
    book.gradient(b + "v", f"dv[{own}, s, d]", v, {"P": b + "pattern", "dz": b + "z"})


# --------------------------------------------------------------------------------------------- the token tables and the loss


def look_up(book: Book) -> None:
    book.value("embed", "embed[t, c]", "W[ids[t], c]", {"W": "token_embedding.weight"})


def head_weight(config: Config) -> str:
    """The name of the head's matrix in the state_dict."""
    return "token_embedding.weight" if config.tie_weights else "head.weight"


def head(book: Book, config: Config, x: str, *, bias: bool, column: str = "c") -> None:
    """logits[t, v] = sum over the columns of x[t, column] W[v, column] (+ b[v]), and everything that its matrix and the token
    table, which are one where they are tied, collect."""
    name = short(x)
    product, operands = f"sum({column}, {name}[t, {column}] * W[v, {column}])", {name: x, "W": head_weight(config)}
    dlogits = {"dlogits": "logits"}
    if bias:
        operands["b"], product = "head.bias", product + " + b[v]"
        book.gradient("head.bias", "db[v]", "sum(t, dlogits[t, v])", dlogits)
    book.value("logits", "logits[t, v]", product, operands)
    loss_gradient(book)
    looked_up, read = "sum(t, dembed[t, c] if ids[t] == v else 0)", f"sum(t, dlogits[t, v] * {name}[t, {column}])"
    lookups, reads = {"dembed": "embed"}, dlogits | {name: x}
    if config.tie_weights:
        paths = {"where it was looked up": looked_up, "as the head's row": read}
        book.gradient("token_embedding.weight", "dW[v, c]", paths, lookups | reads)
    else:
        book.gradient("token_embedding.weight", "dW[v, c]", looked_up, lookups)
        book.gradient("head.weight", f"dW[v, {column}]", read, reads)


def loss_gradient(book: Book) -> None:
    """dlogits = (softmax - onehot) / T: every one of the T positions has its share in the mean (npgpt/ops/cross_entropy.py)."""
    helpers = {
        "m[t]": "max(i, logits[t, i])",
        "s[t]": "sum(i, exp(logits[t, i] - m[t]))",
        "p[t, v]": "exp(logits[t, v] - m[t]) / s[t]",
    }
    paths = {"its probability pushes it down": "p[t, v] / T", "the target is pulled up": "-((1 if v == targets[t] else 0) / T)"}
    book.gradient("logits", "dlogits[t, v]", paths, {"logits": "logits"}, helpers)
