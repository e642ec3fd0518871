"""A GPT's formulas: npgpt/models/gpt.py, layers.py and the operations that they call, cell by cell."""

from ...models.gpt import GPTConfig
from ...ops.gelu import A, K
from .parts import (
    NORM_EPS,
    Book,
    Formulas,
    after_the_last_block,
    attention,
    back_through,
    before_the_branch,
    behind_the_branch,
    between_blocks,
    head,
    layer_norm,
    linear,
    look_up,
    read_by_the_head,
)

GELU = {"u[t, f]": "k * (x[t, f] + a * x[t, f] ** 3)", "g[t, f]": "tanh(u[t, f])"}


def gpt_formulas(config: GPTConfig, T: int) -> Formulas:
    """See formulas_of."""
    C, F, V, H, D = config.n_embd, config.ffn_size, config.vocab_size, config.n_head, config.head_size
    sizes = {"c": C, "j": C, "o": C, "f": F, "v": V, "i": V, "d": D, "h": H, "t": T, "s": T, "r": T}
    book = Book(sizes, {"C": C, "D": D, "eps": NORM_EPS, "k": K, "a": A})
    look_up(book)
    position(book, config)
    between_blocks(book, config, {"embed": "embed", "pos_embed": "pos_embed"})
    for i in range(config.n_layer):
        block(book, config, f"blocks.{i}.")
    after_the_last_block(book, config, layer_norm(book, "ln_f", f"blocks.{config.n_layer - 1}.resid_post"))
    head(book, config, "ln_f", bias=config.head_bias)
    read_by_the_head(book, config, "ln_f")
    return book.formulas


def position(book: Book, config: GPTConfig) -> None:
    """Where each token stands: a learned table, or sines and cosines (npgpt/ops/embedding.py). It is added to the tokens'
    vectors."""
    if config.position == "learned":
        book.value("pos_embed", "pos_embed[t, c]", "P[t, c]", {"P": "position_embedding.weight"})
        rows = "dpos_embed[t, c] if t < T else 0"
        book.gradient("position_embedding.weight", "dP[t, c]", rows, {"dpos_embed": "pos_embed"})
    else:
        angle = "t / 10000 ** (2 * (c // 2) / C)"
        wave = f"(sin({angle}) if c % 2 == 0 else cos({angle})) if c < 2 * (C // 2) else 0"
        book.value("pos_embed", "pos_embed[t, c]", wave, {})
    for name in ("embed", "pos_embed"):
        handed_on = {"the sum hands it on": "dresid_pre[t, c]"}
        book.gradient(name, f"d{name}[t, c]", handed_on, {"dresid_pre": "blocks.0.resid_pre"})


def block(book: Book, config: GPTConfig, b: str) -> None:
    """One block: attention, then the FFN where there is one, both beside the residual stream."""
    pre, mid, post = b + "resid_pre", b + "resid_mid", b + "resid_post"
    norm = layer_norm(book, b + "ln1", pre)
    queries_keys_values(book, config, b)
    attention(book, b, "q", "k", 1, bias=True)
    behind_the_branch(book, pre, b + "attn_out", mid)
    before_the_branch(book, pre, mid, "past attention", norm)
    if config.ffn_size:
        norm = layer_norm(book, b + "ln2", mid)
        feed_forward(book, b)
        behind_the_branch(book, mid, b + "ffn_out", post)
        before_the_branch(book, mid, post, "past the FFN", norm)
    else:
        book.value(post, "resid_post[t, c]", {"no FFN: as it is": "resid_mid[t, c]"}, {"resid_mid": mid})
        book.gradient(mid, "dresid_mid[t, c]", {"no FFN: handed on": "dresid_post[t, c]"}, {"dresid_post": post})


def queries_keys_values(book: Book, config: GPTConfig, b: str) -> None:
    """One matrix for all three. Wqkv's rows: all heads' Q, then K, then V."""
    weight, bias, ln1 = b + "mha.Wqkv.weight", b + "mha.Wqkv.bias", b + "ln1"
    rows = {"q": "h * D + d", "k": "C + h * D + d", "v": "2 * C + h * D + d"}
    for name, row in rows.items():
        product, operands = f"sum(c, ln1[t, c] * W[{row}, c])", {"ln1": ln1, "W": weight}
        if config.qkv_bias:
            product, operands["b"] = f"{product} + b[{row}]", bias
        book.value(b + name, f"{name}[h, t, d]", product, operands)
    operands = {"dq": b + "q", "dk": b + "k", "dv": b + "v", "W": weight, "ln1": ln1}
    paths = {
        f"through {name}": f"sum(o, d{name}[o // D, t, o % D] * W[{offset}o, c])"
        for name, offset in (("q", ""), ("k", "C + "), ("v", "2 * C + "))
    }
    book.gradient(ln1, "dln1[t, c]", paths, operands)
    if config.train_qkv:
        # Row n of Wqkv makes feature n % C of one of the three.
        def of_row(what: str) -> str:
            q, k, v = (what.format(f"d{name}[n % C // D, t, n % C % D]") for name in "qkv")
            return f"({q} if n < C else {k}) if n < 2 * C else {v}"

        book.gradient(weight, "dW[n, c]", of_row("sum(t, {} * ln1[t, c])"), operands)
        if config.qkv_bias:
            book.gradient(bias, "db[n]", of_row("sum(t, {})"), operands)


def feed_forward(book: Book, b: str) -> None:
    """Two linear layers with a GELU between them (npgpt/ops/gelu.py)."""
    ln2, pre, post, out = b + "ln2", b + "ffn_pre", b + "ffn_post", b + "ffn_out"
    linear(book, pre, ln2, b + "ffn.up", "f", "c", bias=True)
    book.value(post, "ffn_post[t, f]", "x[t, f] * (1 + g[t, f]) / 2", {"x": pre}, GELU)
    linear(book, out, post, b + "ffn.down", "c", "f", bias=True)
    paths = {
        "as the factor in front": "dffn_post[t, f] * (1 + g[t, f]) / 2",
        "inside the gate": "dffn_post[t, f] * x[t, f] / 2 * (1 - g[t, f] ** 2) * k * (1 + 3 * a * x[t, f] ** 2)",
    }
    book.gradient(post, "dffn_post[t, f]", back_through(out, "c", "f"), {"dffn_out": out, "W": b + "ffn.down.weight"})
    book.gradient(pre, "dffn_pre[t, f]", paths, {"x": pre, "dffn_post": post}, GELU)
    book.gradient(ln2, "dln2[t, c]", back_through(pre, "f", "c"), {"dffn_pre": pre, "W": b + "ffn.up.weight"})
