"""The layers: they hold parameters, call the operations of `npgpt.ops`, and add up gradients. No mathematics stands here.

Every layer has `forward(x) -> (y, cache)` and `backward(dy, cache) -> dx`, which adds to the gradients of the layer's own
parameters (`dweight`, `dbias`); calling the layer gives y alone. The caches belong to the caller, so a layer can run forward
many times before it runs backward.

Shapes: B batch, T time, C features (n_embd), H heads, D = C / H, F the FFN's hidden size.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from . import ops
from .machine.parameters import Parameter
from .ops.attention import Note, ignore

Masks = Callable[[tuple[int, ...]], Array]  # gives the next dropout mask of a shape; None where nothing is dropped


def dropped(x: Array, masks: Masks | None):
    """x with dropout, and what `undropped` needs; without masks x itself."""
    return (x, None) if masks is None else ops.dropout(x, masks(x.shape))


def undropped(dx: Array, cache) -> Array:
    """The gradient before the dropout, from that after it."""
    return dx if cache is None else ops.dropout_backward(dx, cache)


class Linear:
    """y = x weight^T + bias; weight (O, I), bias (O,) or None, as in torch."""

    def __init__(self, weight: Parameter, bias: Parameter | None = None):
        self.weight, self.dweight = weight.data, weight.grad
        self.bias, self.dbias = (None, None) if bias is None else (bias.data, bias.grad)

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array):
        return ops.linear(x, self.weight, self.bias)

    def backward(self, dy: Array, cache) -> Array:
        dx, dweight, dbias = ops.linear_backward(dy, cache)
        if self.dweight is not None:  # None: a buffer, which is not trained
            self.dweight += dweight
        if self.dbias is not None:
            self.dbias += dbias
        return dx


class Embedding:
    """Row ids[n] of weight (V, C) for every id."""

    def __init__(self, weight: Parameter):
        self.weight, self.dweight = weight.data, weight.grad

    def __call__(self, ids: Array) -> Array:
        return self.forward(ids)[0]

    def forward(self, ids: Array):
        return ops.embedding(ids, self.weight)

    def backward(self, dy: Array, cache) -> None:
        self.dweight += ops.embedding_backward(dy, cache)


class LayerNorm:
    """Every row of features centred and scaled, then weight (C,) and bias (C,)."""

    def __init__(self, weight: Parameter, bias: Parameter):
        self.weight, self.dweight = weight.data, weight.grad
        self.bias, self.dbias = bias.data, bias.grad

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array):
        return ops.layer_norm(x, self.weight, self.bias)

    def backward(self, dy: Array, cache) -> Array:
        dx, dweight, dbias = ops.layer_norm_backward(dy, cache)
        self.dweight += dweight
        self.dbias += dbias
        return dx


def split_heads(qkv: Array, n_head: int) -> Array:
    """(B, T, 3C), laid out as all heads' Q, then K, then V -> (3, B, H, T, D), a view."""
    B, T, three_C = qkv.shape
    return qkv.reshape(B, T, 3, n_head, three_C // 3 // n_head).transpose(2, 0, 3, 1, 4)


def join_heads(z: Array) -> Array:
    """(B, H, T, D) -> (B, T, C): the heads' features side by side."""
    B, H, T, D = z.shape
    return z.swapaxes(1, 2).reshape(B, T, H * D)


class Head:
    """One attention head of a layer, to look at: Wq, Wk and Wv are views of its rows of Wqkv, and calling it gives the pair
    (output (B, T, D), weights (B, T, T))."""

    def __init__(self, weight: Parameter, bias: Parameter | None, head: int, n_head: int):
        C = weight.shape[1]
        D = C // n_head

        def rows(part: int) -> Linear:  # part 0: Q, 1: K, 2: V
            first = part * C + head * D
            return Linear(weight.rows(first, first + D), None if bias is None else bias.rows(first, first + D))

        self.Wq, self.Wk, self.Wv = rows(0), rows(1), rows(2)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        q, k, v = (W(x)[:, None] for W in (self.Wq, self.Wk, self.Wv))  # each (B, 1, T, D)
        z, cache = ops.attention(q, k, v, block=x.shape[1])
        return z[:, 0], cache.patterns[0][:, 0]  # one block: the whole pattern


class KeyValues:
    """What one attention layer remembers while text is generated: the keys and values of the positions it has seen, up to
    seq_len of them. A new position then asks them, and nothing that is known is computed again."""

    def __init__(self, B: int, H: int, seq_len: int, D: int, dtype: np.dtype):
        self.k, self.v = np.empty((2, B, H, seq_len, D), dtype)
        self.length = 0

    def extended_by(self, k: Array, v: Array) -> tuple[Array, Array]:
        """k, v (B, H, R, D) of R new positions -> those of all positions so far, (B, H, length, D), views."""
        new = slice(self.length, self.length + k.shape[2])
        self.k[:, :, new], self.v[:, :, new] = k, v
        self.length = new.stop
        return self.k[:, :, : new.stop], self.v[:, :, : new.stop]


class MultiHeadAttention:
    """Causal self-attention of n_head heads: one matrix Wqkv (3C, C) makes all queries, keys and values, and `projection`
    (C, C) mixes what the heads bring back."""

    class Cache(NamedTuple):
        Wqkv: tuple
        attention: tuple
        projection: tuple

    def __init__(
        self, Wqkv: Parameter, Wqkv_bias: Parameter | None, projection: Parameter, projection_bias: Parameter, n_head: int
    ):
        self.n_head = n_head
        self.Wqkv = Linear(Wqkv, Wqkv_bias)
        self.projection = Linear(projection, projection_bias)
        self.attn_heads = [Head(Wqkv, Wqkv_bias, head, n_head) for head in range(n_head)]

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None):
        qkv, Wqkv_cache = self.Wqkv.forward(x)  # (B, T, 3C)
        q, k, v = split_heads(qkv, self.n_head)  # each (B, H, T, D)
        if past is not None:
            k, v = past.extended_by(k, v)  # each (B, H, earlier + T, D)
        note("q", q)
        note("k", k)
        note("v", v)
        B, H, T, _ = q.shape
        z, attention_cache = ops.attention(q, k, v, note, masks and masks((B, H, T, T)))  # (B, H, T, D)
        note("z", z)
        out, projection_cache = self.projection.forward(join_heads(z))  # (B, T, C)
        note("attn_out", out)
        return out, self.Cache(Wqkv_cache, attention_cache, projection_cache)

    def backward(self, dout: Array, cache: Cache, note: Note = ignore) -> Array:
        note("attn_out", dout)
        B, T, C = dout.shape
        dz = self.projection.backward(dout, cache.projection)  # (B, T, C)
        dz = dz.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)  # (B, H, T, D): undoes join_heads
        note("z", dz)
        dq, dk, dv = ops.attention_backward(dz, cache.attention, note)  # each (B, H, T, D)
        note("q", dq)
        note("k", dk)
        note("v", dv)
        dqkv = np.empty((B, T, 3 * C), dout.dtype)
        views = split_heads(dqkv, self.n_head)  # (3, B, H, T, D): writing to the views fills dqkv
        views[0], views[1], views[2] = dq, dk, dv
        return self.Wqkv.backward(dqkv, cache.Wqkv)


class FeedForward:
    """Two linear layers with a GELU between them, on every position alone: C -> F -> C."""

    class Cache(NamedTuple):
        up: tuple
        gelu: tuple
        down: tuple

    def __init__(self, up: Linear, down: Linear):
        self.up, self.down = up, down

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array, note: Note = ignore):
        pre, up_cache = self.up.forward(x)  # (B, T, F)
        note("ffn_pre", pre)
        post, gelu_cache = ops.gelu(pre)  # (B, T, F)
        note("ffn_post", post)
        out, down_cache = self.down.forward(post)  # (B, T, C)
        note("ffn_out", out)
        return out, self.Cache(up_cache, gelu_cache, down_cache)

    def backward(self, dout: Array, cache: Cache, note: Note = ignore) -> Array:
        note("ffn_out", dout)
        dpost = self.down.backward(dout, cache.down)  # (B, T, F)
        note("ffn_post", dpost)
        dpre = ops.gelu_backward(dpost, cache.gelu)  # (B, T, F)
        note("ffn_pre", dpre)
        return self.up.backward(dpre, cache.up)


class Block:
    """One pre-norm transformer block: attention lets the positions talk, the FFN (if there is one) lets each think. Both add
    what they find to the residual stream x."""

    class Cache(NamedTuple):
        ln1: tuple
        mha: tuple
        ln2: tuple | None
        ffn: tuple | None
        attn_dropout: tuple | None = None
        ffn_dropout: tuple | None = None

    def __init__(self, ln1: LayerNorm, mha: MultiHeadAttention, ln2: LayerNorm | None, ffn: FeedForward | None):
        self.ln1, self.mha, self.ln2, self.ffn = ln1, mha, ln2, ffn

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None):
        note("resid_pre", x)
        normed, ln1_cache = self.ln1.forward(x)  # (B, T, C)
        note("ln1", normed)
        attn_out, mha_cache = self.mha.forward(normed, note, masks, past)  # (B, T, C)
        attn_out, attn_dropout = dropped(attn_out, masks)
        x = x + attn_out
        note("resid_mid", x)
        ln2_cache = ffn_cache = ffn_dropout = None
        if self.ffn is not None:
            normed, ln2_cache = self.ln2.forward(x)  # (B, T, C)
            note("ln2", normed)
            ffn_out, ffn_cache = self.ffn.forward(normed, note)  # (B, T, C)
            ffn_out, ffn_dropout = dropped(ffn_out, masks)
            x = x + ffn_out
        note("resid_post", x)
        return x, self.Cache(ln1_cache, mha_cache, ln2_cache, ffn_cache, attn_dropout, ffn_dropout)

    def backward(self, dx: Array, cache: Cache, note: Note = ignore) -> Array:
        # x = x + f(x): the gradient goes on unchanged past the branch (the x) and through it (the f); both parts add up.
        note("resid_post", dx)
        if self.ffn is not None:
            dnormed = self.ffn.backward(undropped(dx, cache.ffn_dropout), cache.ffn, note)
            note("ln2", dnormed)
            dx = dx + self.ln2.backward(dnormed, cache.ln2)
        note("resid_mid", dx)
        dnormed = self.mha.backward(undropped(dx, cache.attn_dropout), cache.mha, note)
        note("ln1", dnormed)
        dx = dx + self.ln1.backward(dnormed, cache.ln1)
        note("resid_pre", dx)
        return dx
