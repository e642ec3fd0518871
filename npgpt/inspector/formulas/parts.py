"""What the formulas of several kinds share: a book in which they are written down, linear layers, norms, the loss."""

from collections.abc import Mapping

from ..arithmetic import Formula, formula

LAYER_NORM_EPS = 1e-5


class Book:
    """The formulas of one model, as they are written down.

    sizes : how far each index goes, for sums. constants : D, H, ... as numbers.
    """

    def __init__(self, sizes: Mapping[str, int], constants: Mapping[str, float]):
        self.sizes, self.constants = dict(sizes), dict(constants)
        self.formulas: dict[str, dict[str, Formula | None]] = {}

    def write(
        self, of: str, name: str, cell: str, paths: Mapping[str, str] | str, operands: Mapping[str, str],
        helpers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Writes down what name's "value" or "gradient" is made of.

        operands : name in the formula -> array. A name that starts with d, "dq", is the gradient of its array; "ids" and
            "targets" are the text.
        """
        arrays = {alias: self.operand(alias, array) for alias, array in operands.items()}
        arrays |= {"ids": ("ids", ""), "targets": ("targets", "")}
        paths = {"": paths} if isinstance(paths, str) else paths
        made = formula(cell, paths, sizes=self.sizes, constants=self.constants, operands=arrays, helpers=helpers)
        self.formulas.setdefault(name, {"value": None, "gradient": None})[of] = made

    @staticmethod
    def operand(alias: str, array: str) -> tuple[str, str]:
        return ("gradient" if alias.startswith("d") else "value", array)

    def value(self, name: str, cell: str, paths: Mapping[str, str] | str, operands: Mapping[str, str], helpers=None) -> None:
        self.write("value", name, cell, paths, operands, helpers)

    def gradient(self, name: str, cell: str, paths: Mapping[str, str] | str, operands: Mapping[str, str], helpers=None) -> None:
        self.write("gradient", name, cell, paths, operands, helpers)


def short(name: str) -> str:
    """How a formula calls an array: the last part of its name, "blocks.0.ln1" -> "ln1"."""
    return name.rpartition(".")[2]


def layer_norm_value(book: Book, name: str, x: str, layer: str) -> None:
    """name[t, c] = the LayerNorm of x (npgpt/ops/layer_norm.py)."""
    book.value(
        name,
        f"{short(name)}[t, c]",
        "w[c] * xhat[t, c] + b[c]",
        {"x": x, "w": layer + ".weight", "b": layer + ".bias"},
        layer_norm_helpers(),
    )


def layer_norm_helpers() -> dict[str, str]:
    return {
        "mean[t]": "mean(c, x[t, c])",
        "var[t]": "mean(c, (x[t, c] - mean[t]) ** 2)",
        "rstd[t]": "1 / sqrt(var[t] + eps)",
        "xhat[t, c]": "(x[t, c] - mean[t]) * rstd[t]",
    }


def layer_norm_paths(dy: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """The three paths on which x reaches the loss through a LayerNorm: (paths, operands but x itself, helpers). dy[t, c] is the
    gradient of its output."""
    paths = {
        "through LayerNorm: directly": "rstd[t] * dy[t, c] * w[c]",
        "through LayerNorm: by the mean": "-rstd[t] * mean(j, dy[t, j] * w[j])",
        "through LayerNorm: by rstd": "-rstd[t] * xhat[t, c] * mean(j, dy[t, j] * w[j] * xhat[t, j])",
    }
    return paths, {"dy": dy}, layer_norm_helpers()


def layer_norm_parameters(book: Book, layer: str, x: str, y: str) -> None:
    """dw and db: each serves every position, so their gradients sum over t."""
    operands = {"x": x, "dy": y}
    book.gradient(layer + ".weight", "dw[c]", "sum(t, dy[t, c] * xhat[t, c])", operands, layer_norm_helpers())
    book.gradient(layer + ".bias", "db[c]", "sum(t, dy[t, c])", operands)


def loss_gradient(book: Book) -> None:
    """dlogits = (softmax - onehot) / N, the N positions of the text (npgpt/ops/cross_entropy.py)."""
    book.gradient(
        "logits",
        "dlogits[t, v]",
        {"its probability pushes it down": "p[t, v] / N", "the target is pulled up": "-((1 if v == targets[t] else 0) / N)"},
        {"logits": "logits"},
        {
            "m[t]": "max(i, logits[t, i])",
            "s[t]": "sum(i, exp(logits[t, i] - m[t]))",
            "p[t, v]": "exp(logits[t, v] - m[t]) / s[t]",
        },
    )


def head(book: Book, x: str, weight: str, bias: str | None, index: str = "c") -> None:
    """logits[t, v] = sum over the features of x[t, c] W[v, c] (+ b[v]), and the gradients of x, W and b."""
    name = short(x)
    product = f"sum({index}, {name}[t, {index}] * W[v, {index}])"
    operands = {name: x, "W": weight}
    if bias:
        product, operands = product + " + b[v]", operands | {"b": bias}
        book.gradient(bias, "db[v]", "sum(t, dlogits[t, v])", {"dlogits": "logits"})
    book.value("logits", "logits[t, v]", product, operands)


def tied_or_own(config) -> str:
    """The name of the head's matrix in the state_dict."""
    return "token_embedding.weight" if config.tie_weights else "head.weight"


def table_gradient(book: Book, config, embed: str, last: str, index: str = "c") -> None:
    """The gradients of the token table and of the head's matrix, which are one where they are tied: its rows then collect from
    the lookups and from the logits."""
    looked_up = f"sum(t, dembed[t, {index}] if ids[t] == v else 0)"
    read = f"sum(t, dlogits[t, v] * {short(last)}[t, {index}])"
    lookups, reads = {"dembed": embed}, {"dlogits": "logits", short(last): last}
    cell = f"dW[v, {index}]"
    if config.tie_weights:
        paths = {"where it was looked up": looked_up, "as the head's row": read}
        book.gradient("token_embedding.weight", cell, paths, lookups | reads)
    else:
        book.gradient("token_embedding.weight", cell, looked_up, lookups)
        book.gradient("head.weight", cell, read, reads)
