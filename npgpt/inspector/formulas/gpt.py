"""A GPT's formulas: npgpt/models/gpt.py, layers.py and the operations that they call, cell by cell."""

from ...ops.gelu import A, K
from .parts import (
    LAYER_NORM_EPS,
    Book,
    head,
    layer_norm_parameters,
    layer_norm_paths,
    layer_norm_value,
    loss_gradient,
    table_gradient,
    tied_or_own,
)

GELU = {"u[t, f]": "k * (x[t, f] + a * x[t, f] ** 3)", "g[t, f]": "tanh(u[t, f])"}


def gpt_formulas(config, T: int):
    """See formulas_of."""
    C, F, V, H, D = config.n_embd, config.ffn_size, config.vocab_size, config.n_head, config.head_size
    sizes = {"c": C, "j": C, "o": C, "f": F, "v": V, "i": V, "d": D, "h": H, "t": T, "s": T, "r": T}
    constants = {"C": C, "D": D, "N": T, "eps": LAYER_NORM_EPS, "k": K, "a": A}
    book = Book(sizes, constants)
    position(book, config)
    last = config.n_layer - 1
    for i in range(config.n_layer):
        block(book, config, i)
        resid_post = f"blocks.{i}.resid_post"
        if i < last:
            handed_on = {"dresid_pre": f"blocks.{i + 1}.resid_pre"}
            book.gradient(resid_post, "dresid_post[t, c]", {"handed on to the next block": "dresid_pre[t, c]"}, handed_on)
        else:
            paths, operands, helpers = layer_norm_paths("ln_f")
            operands |= {"x": resid_post, "w": "ln_f.weight"}
            book.gradient(resid_post, "dresid_post[t, c]", paths, operands, helpers)
    resid_post = f"blocks.{last}.resid_post"
    layer_norm_value(book, "ln_f", resid_post, "ln_f")
    layer_norm_parameters(book, "ln_f", resid_post, "ln_f")
    head_weight = tied_or_own(config)
    book.gradient("ln_f", "dln_f[t, c]", "sum(v, dlogits[t, v] * W[v, c])", {"dlogits": "logits", "W": head_weight})
    head(book, "ln_f", head_weight, "head.bias" if config.head_bias else None)
    loss_gradient(book)
    table_gradient(book, config, "embed", "ln_f")
    return book.formulas


def position(book: Book, config) -> None:
    """Which token, and where."""
    book.value("embed", "embed[t, c]", "W[ids[t], c]", {"W": "token_embedding.weight"})
    handed_on = {"dresid_pre": "blocks.0.resid_pre"}
    book.gradient("embed", "dembed[t, c]", {"the sum hands it on": "dresid_pre[t, c]"}, handed_on)
    if config.position == "learned":
        book.value("pos_embed", "pos_embed[t, c]", "P[t, c]", {"P": "position_embedding.weight"})
        rows = f"dpos_embed[t, c] if t < {book.sizes['t']} else 0"
        book.gradient("position_embedding.weight", "dP[t, c]", rows, {"dpos_embed": "pos_embed"})
    else:
        angle = "t / 10000 ** (2 * (c // 2) / C)"
        wave = f"(sin({angle}) if c % 2 == 0 else cos({angle})) if c < 2 * (C // 2) else 0"
        book.value("pos_embed", "pos_embed[t, c]", wave, {})
    book.gradient("pos_embed", "dpos_embed[t, c]", {"the sum hands it on": "dresid_pre[t, c]"}, handed_on)


def block(book: Book, config, i: int) -> None:
    """One block: attention, then the FFN where there is one, both beside the residual stream."""
    b = f"blocks.{i}."
    pre, mid, post = b + "resid_pre", b + "resid_mid", b + "resid_post"
    if i == 0:
        book.value(pre, "resid_pre[t, c]", "embed[t, c] + pos_embed[t, c]", {"embed": "embed", "pos_embed": "pos_embed"})
    else:
        below = {"resid_post": f"blocks.{i - 1}.resid_post"}
        book.value(pre, "resid_pre[t, c]", {"handed on by the block below": "resid_post[t, c]"}, below)
    layer_norm_value(book, b + "ln1", pre, b + "ln1")
    attention(book, config, b)
    book.value(mid, "resid_mid[t, c]", "resid_pre[t, c] + attn_out[t, c]", {"resid_pre": pre, "attn_out": b + "attn_out"})
    book.gradient(b + "attn_out", "dattn_out[t, c]", {"the sum hands it on": "dresid_mid[t, c]"}, {"dresid_mid": mid})
    residual_gradient(book, pre, "resid_pre", mid, "past attention", b + "ln1")
    layer_norm_parameters(book, b + "ln1", pre, b + "ln1")
    if config.ffn_size:
        feed_forward(book, b)
        layer_norm_value(book, b + "ln2", mid, b + "ln2")
        layer_norm_parameters(book, b + "ln2", mid, b + "ln2")
        book.value(post, "resid_post[t, c]", "resid_mid[t, c] + ffn_out[t, c]", {"resid_mid": mid, "ffn_out": b + "ffn_out"})
        residual_gradient(book, mid, "resid_mid", post, "past the FFN", b + "ln2")
    else:
        book.value(post, "resid_post[t, c]", {"no FFN: as it is": "resid_mid[t, c]"}, {"resid_mid": mid})
        book.gradient(mid, "dresid_mid[t, c]", {"no FFN: handed on": "dresid_post[t, c]"}, {"dresid_post": post})


def residual_gradient(book: Book, x: str, name: str, after: str, past: str, layer: str) -> None:
    """x = x + f(norm(x)): one path past the branch, and the norm's paths through it."""
    paths, operands, helpers = layer_norm_paths(layer)
    operands |= {"x": x, "w": layer + ".weight", "dafter": after}
    book.gradient(x, f"d{name}[t, c]", {past: "dafter[t, c]"} | paths, operands, helpers)


def attention(book: Book, config, b: str) -> None:
    """npgpt/ops/attention.py between two linear layers. Wqkv's rows: all heads' Q, then K, then V."""
    weight, bias = b + "mha.Wqkv.weight", b + "mha.Wqkv.bias"
    rows = {"q": "h * D + d", "k": "C + h * D + d", "v": "2 * C + h * D + d"}
    for name, row in rows.items():
        product, operands = f"sum(c, ln1[t, c] * W[{row}, c])", {"ln1": b + "ln1", "W": weight}
        if config.qkv_bias:
            product, operands = f"{product} + b[{row}]", operands | {"b": bias}
        book.value(b + name, f"{name}[h, t, d]", product, operands)
    scores = "sum(d, q[h, t, d] * k[h, s, d]) / sqrt(D) if s <= t else -inf"
    book.value(b + "scores", "scores[h, t, s]", scores, {"q": b + "q", "k": b + "k"})
    softmax = {"m[h, t]": "max(r, S[h, t, r])", "total[h, t]": "sum(r, exp(S[h, t, r] - m[h, t]))"}
    book.value(b + "pattern", "pattern[h, t, s]", "exp(S[h, t, s] - m[h, t]) / total[h, t]", {"S": b + "scores"}, softmax)
    book.value(b + "z", "z[h, t, d]", "sum(s, P[h, t, s] * v[h, s, d])", {"P": b + "pattern", "v": b + "v"})
    projection = {"z": b + "z", "W": b + "mha.projection.weight", "b": b + "mha.projection.bias"}
    book.value(b + "attn_out", "attn_out[t, c]", "sum(o, z[o // D, t, o % D] * W[c, o]) + b[c]", projection)

    dout = {"dattn_out": b + "attn_out"}
    book.gradient(b + "z", "dz[h, t, d]", "sum(c, dattn_out[t, c] * W[c, h * D + d])", projection | dout)
    book.gradient(b + "mha.projection.weight", "dW[c, o]", "sum(t, dattn_out[t, c] * z[o // D, t, o % D])", projection | dout)
    book.gradient(b + "mha.projection.bias", "db[c]", "sum(t, dattn_out[t, c])", dout)
    book.gradient(b + "v", "dv[h, s, d]", "sum(t, P[h, t, s] * dz[h, t, d])", {"P": b + "pattern", "dz": b + "z"})
    book.gradient(b + "pattern", "dP[h, t, s]", "sum(d, dz[h, t, d] * v[h, s, d])", {"dz": b + "z", "v": b + "v"})
    own = {
        "its own weight": "P[h, t, s] * dP[h, t, s]",
        "through the row's total": "-P[h, t, s] * sum(r, P[h, t, r] * dP[h, t, r])",
    }
    book.gradient(b + "scores", "dS[h, t, s]", own, {"P": b + "pattern", "dP": b + "pattern"})
    dS = {"dS": b + "scores", "q": b + "q", "k": b + "k"}
    book.gradient(b + "q", "dq[h, t, d]", "sum(s, dS[h, t, s] * k[h, s, d]) / sqrt(D)", dS)
    book.gradient(b + "k", "dk[h, s, d]", "sum(t, dS[h, t, s] * q[h, t, d]) / sqrt(D)", dS)
    dqkv = {"dq": b + "q", "dk": b + "k", "dv": b + "v", "W": weight}
    paths = {
        f"through {name}": f"sum(o, d{name}[o // D, t, o % D] * W[{offset}o, c])"
        for name, offset in (("q", ""), ("k", "C + "), ("v", "2 * C + "))
    }
    book.gradient(b + "ln1", "dln1[t, c]", paths, dqkv)
    if config.train_qkv:
        # Row n of Wqkv makes feature n % C of one of the three.
        def of_row(what: str) -> str:
            q, k, v = (what.format(f"d{name}[n % C // D, t, n % C % D]") for name in "qkv")
            return f"({q} if n < C else {k}) if n < 2 * C else {v}"

        operands = dqkv | {"ln1": b + "ln1"}
        book.gradient(weight, "dW[n, c]", of_row("sum(t, {} * ln1[t, c])"), operands)
        if config.qkv_bias:
            book.gradient(bias, "db[n]", of_row("sum(t, {})"), operands)


def feed_forward(book: Book, b: str) -> None:
    """Two linear layers with a GELU between them (npgpt/ops/gelu.py)."""
    pre, post, out = b + "ffn_pre", b + "ffn_post", b + "ffn_out"
    up = {"ln2": b + "ln2", "W": b + "ffn.up.weight", "b": b + "ffn.up.bias"}
    down = {"post": post, "W": b + "ffn.down.weight", "b": b + "ffn.down.bias"}
    book.value(pre, "ffn_pre[t, f]", "sum(c, ln2[t, c] * W[f, c]) + b[f]", up)
    book.value(post, "ffn_post[t, f]", "x[t, f] * (1 + g[t, f]) / 2", {"x": pre}, GELU)
    book.value(out, "ffn_out[t, c]", "sum(f, post[t, f] * W[c, f]) + b[c]", down)

    book.gradient(out, "dffn_out[t, c]", {"the sum hands it on": "dresid_post[t, c]"}, {"dresid_post": b + "resid_post"})
    dout, dpre = {"dffn_out": out}, {"dffn_pre": pre}
    book.gradient(post, "dffn_post[t, f]", "sum(c, dffn_out[t, c] * W[c, f])", down | dout)
    book.gradient(b + "ffn.down.weight", "dW[c, f]", "sum(t, dffn_out[t, c] * post[t, f])", down | dout)
    book.gradient(b + "ffn.down.bias", "db[c]", "sum(t, dffn_out[t, c])", dout)
    paths = {
        "as the factor in front": "dpost[t, f] * (1 + g[t, f]) / 2",
        "inside the gate": "dpost[t, f] * x[t, f] / 2 * (1 - g[t, f] ** 2) * k * (1 + 3 * a * x[t, f] ** 2)",
    }
    book.gradient(pre, "dffn_pre[t, f]", paths, {"x": pre, "dpost": post}, GELU)
    book.gradient(b + "ln2", "dln2[t, c]", "sum(f, dffn_pre[t, f] * W[f, c])", up | dpre)
    book.gradient(b + "ffn.up.weight", "dW[f, c]", "sum(t, dffn_pre[t, f] * ln2[t, c])", up | dpre)
    book.gradient(b + "ffn.up.bias", "db[f]", "sum(t, dffn_pre[t, f])", dpre)
