"""An LSTM's formulas: npgpt/models/lstm.py and npgpt/ops/lstm.py, cell by cell.

What is traced are the gates, after their nonlinearities; a preactivation's gradient, da, is a gate's own gradient times its
slope. A step's formulas hold the traced numbers of the step before, or after, so none of them runs through time.
"""

from ...models.lstm import LSTMConfig
from .parts import Book, Formulas, head, head_weight, look_up

GATES = {"i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate"}
ROWS = {"i": "", "f": "H + ", "g": "2 * H + ", "o": "3 * H + "}  # where each begins among the 4H rows of W_ih and W_hh


def lstm_formulas(config: LSTMConfig, T: int) -> Formulas:
    """See formulas_of."""
    C, H, V = config.n_embd, config.n_hidden, config.vocab_size
    book = Book({"c": C, "j": H, "v": V, "i": V, "t": T}, {"H": H})
    look_up(book)
    into_layer = {f"through the {gate}": text for gate, text in through_the_gates("t", "W_ih", "c").items()}
    operands = gates("blocks.0.") | {"W_ih": "blocks.0.lstm.weight_ih"}
    book.gradient("embed", "dembed[t, c]", into_layer, operands, gate_gradients())
    for i in range(config.n_layer):
        layer(book, config, i)
    head(book, config, f"blocks.{config.n_layer - 1}.h", bias=config.head_bias, column="c" if config.tie_weights else "j")
    return book.formulas


def layer(book: Book, config: LSTMConfig, i: int) -> None:
    """x is what the layer below shows, or the token's vector. Before the first step h and c are 0."""
    b = f"blocks.{i}."
    x, column = ("embed", "c") if i == 0 else (f"blocks.{i - 1}.h", "j")
    lstm = b + "lstm."
    weights = {"W_ih": lstm + "weight_ih", "W_hh": lstm + "weight_hh", "b_ih": lstm + "bias_ih", "b_hh": lstm + "bias_hh"}
    memory = gates(b) | {"c": b + "c", "h": b + "h", "dc": b + "c", "dh": b + "h"}
    h_prev, c_prev = "(h[t - 1, j] if t > 0 else 0)", "(c[t - 1, k] if t > 0 else 0)"
    for gate, row in ROWS.items():
        from_x = f"sum({column}, x[t, {column}] * W_ih[{row}k, {column}]) + b_ih[{row}k]"
        a = f"{from_x} + sum(j, W_hh[{row}k, j] * {h_prev}) + b_hh[{row}k]"
        book.value(
            b + gate, f"{gate}[t, k]", f"tanh({a})" if gate == "g" else f"sigmoid({a})", weights | {"x": x, "h": b + "h"}
        )
    book.value(b + "c", "c[t, k]", f"f[t, k] * {c_prev} + i[t, k] * g[t, k]", memory)
    book.value(b + "h", "h[t, k]", "o[t, k] * tanh(c[t, k])", memory)

    book.gradient(b + "o", "do[t, k]", "dh[t, k] * tanh(c[t, k])", memory)
    book.gradient(b + "g", "dg[t, k]", "dc[t, k] * i[t, k]", memory)
    book.gradient(b + "f", "df[t, k]", f"dc[t, k] * {c_prev}", memory)
    book.gradient(b + "i", "di[t, k]", "dc[t, k] * g[t, k]", memory)
    paths = {
        "through h[t]": "dh[t, k] * o[t, k] * (1 - tanh(c[t, k]) ** 2)",
        "through c[t+1]": "dc[t + 1, k] * f[t + 1, k] if t + 1 < T else 0",
    }
    book.gradient(b + "c", "dc[t, k]", paths, memory)
    shown(book, config, i)

    # A weight serves every step, so its gradient sums over them. Row n of the 4H belongs to one of the gates.
    i_or_f, g_or_o = "da_i[t, n] if n < H else da_f[t, n - H]", "da_g[t, n - 2 * H] if n < 3 * H else da_o[t, n - 3 * H]"
    helpers = gate_gradients() | {"da[t, n]": f"({i_or_f}) if n < 2 * H else ({g_or_o})"}
    operands = gates(b) | {"x": x, "h": b + "h"}
    book.gradient(weights["W_ih"], f"dW_ih[n, {column}]", f"sum(t, da[t, n] * x[t, {column}])", operands, helpers)
    book.gradient(weights["W_hh"], "dW_hh[n, j]", f"sum(t, da[t, n] * {h_prev})", operands, helpers)
    for bias in ("b_ih", "b_hh"):
        book.gradient(weights[bias], f"d{bias}[n]", "sum(t, da[t, n])", operands, helpers)


def shown(book: Book, config: LSTMConfig, i: int) -> None:
    """The gradient of h[t]: it is shown to the head or to the layer above, and to the gates of the step after."""
    b, above = f"blocks.{i}.", f"blocks.{i + 1}."
    operands, helpers = gates(b) | {"W_hh": b + "lstm.weight_hh"}, gate_gradients()
    if i == config.n_layer - 1:
        paths = {"shown to the head": "sum(v, dlogits[t, v] * W[v, k])"}
        operands |= {"dlogits": "logits", "W": head_weight(config)}
    else:
        texts = through_the_gates("t", "W_ih", "k", "_above")
        paths = {f"shown to the layer above: through its {gate}": text for gate, text in texts.items()}
        operands |= gates(above, "_above") | {"W_ih": above + "lstm.weight_ih"}
        helpers |= gate_gradients("_above")
    for gate, text in through_the_gates("t + 1", "W_hh", "k").items():
        paths[f"through the {gate} of t+1"] = f"{text} if t + 1 < T else 0"
    book.gradient(b + "h", "dh[t, k]", paths, operands, helpers)


def gates(b: str, suffix: str = "") -> dict[str, str]:
    """The operands i, di, f, df, ... of a layer."""
    return {f"{kind}{gate}{suffix}": b + gate for gate in GATES for kind in ("", "d")}


def gate_gradients(suffix: str = "") -> dict[str, str]:
    """The helpers da_i, da_f, da_g, da_o: the gradients before the nonlinearities."""
    slopes = dict.fromkeys("ifo", "{0} * (1 - {0})") | {"g": "(1 - {0} ** 2)"}
    return {
        f"da_{gate}{suffix}[t, j]": f"d{gate}{suffix}[t, j] * {slopes[gate].format(f'{gate}{suffix}[t, j]')}" for gate in GATES
    }


def through_the_gates(t: str, W: str, column: str, suffix: str = "") -> dict[str, str]:
    """What reaches an input of the four gates of step t: its column of W, gate by gate."""
    return {name: f"sum(j, da_{gate}{suffix}[{t}, j] * {W}[{ROWS[gate]}j, {column}])" for gate, name in GATES.items()}
