"""The layers: they hold parameters, call the operations of `npgpt.ops`, and add up gradients. No mathematics stands here.

A layer finds its parameters by its name: Linear(tensors, "head") holds tensors["head.weight"] and, where there is one,
tensors["head.bias"]. It has `forward(x) -> (y, cache)` and `backward(dy, cache) -> dx`, which adds to the gradients of the
layer's own parameters (`dweight`, `dbias`); calling the layer gives y alone. The caches belong to the caller, so a layer can
run forward many times before it runs backward.

Shapes: B batch, T time, C features (n_embd), H heads, D = C / H, F the FFN's hidden size.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

from .machine.heads import by_heads, by_heads_backward
from .machine.parameters import Parameter
from .ops.attention import TILE, attention, attention_backward, attention_in_tiles, attention_in_tiles_backward
from .ops.dropout import Cache as DropoutCache
from .ops.dropout import dropout, dropout_backward
from .ops.embedding import Cache as EmbeddingCache
from .ops.embedding import embedding, embedding_backward
from .ops.gelu import Cache as GELUCache
from .ops.gelu import gelu, gelu_backward
from .ops.layer_norm import Cache as LayerNormCache
from .ops.layer_norm import layer_norm, layer_norm_backward
from .ops.linear import Cache as LinearCache
from .ops.linear import linear, linear_backward
from .ops.note import Note, ignore
from .ops.rms_norm import Cache as RMSNormCache
from .ops.rms_norm import rms_norm, rms_norm_backward

Tensors = Mapping[str, Parameter]  # by the names of the state_dict
Masks = Callable[[tuple[int, ...]], Array]  # gives the next dropout mask of a shape; None where nothing is dropped


def dropped(x: Array, masks: Masks | None) -> tuple[Array, DropoutCache | None]:
    """x with dropout, and what `undropped` needs; without masks x itself."""
    return (x, None) if masks is None else dropout(x, masks(x.shape))


def undropped(dx: Array, cache: DropoutCache | None) -> Array:
    """The gradient before the dropout, from that after it."""
    return dx if cache is None else dropout_backward(dx, cache)


class Linear:
    """y = x weight^T + bias; weight (O, I), bias (O,) or None, as in torch."""

    def __init__(self, tensors: Tensors, name: str):
        weight, bias = tensors[name + ".weight"], tensors.get(name + ".bias")
        self.weight, self.dweight = weight.data, weight.grad
        self.bias: Array | None = None if bias is None else bias.data
        self.dbias: Array | None = None if bias is None else bias.grad

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, LinearCache]:
        return linear(x, self.weight, self.bias)

    def backward(self, dy: Array, cache: LinearCache) -> Array:
        dx, dweight, dbias = linear_backward(dy, cache)
        if self.dweight is not None:  # None: a buffer, which is not trained
            self.dweight += dweight
        if self.dbias is not None:
            self.dbias += dbias
        return dx


class Embedding:
    """Row ids[n] of weight (V, C) for every id."""

    def __init__(self, tensors: Tensors, name: str):
        weight = tensors[name + ".weight"]
        self.weight, self.dweight = weight.data, weight.grad

    def __call__(self, ids: Array) -> Array:
        return self.forward(ids)[0]

    def forward(self, ids: Array) -> tuple[Array, EmbeddingCache]:
        return embedding(ids, self.weight)

    def backward(self, dy: Array, cache: EmbeddingCache) -> None:
        self.dweight += embedding_backward(dy, cache)


class LayerNorm:
    """Every row of features centred and scaled, then weight (C,) and bias (C,)."""

    def __init__(self, tensors: Tensors, name: str):
        weight, bias = tensors[name + ".weight"], tensors[name + ".bias"]
        self.weight, self.dweight = weight.data, weight.grad
        self.bias, self.dbias = bias.data, bias.grad

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, LayerNormCache]:
        return layer_norm(x, self.weight, self.bias)

    def backward(self, dy: Array, cache: LayerNormCache) -> Array:
        dx, dweight, dbias = layer_norm_backward(dy, cache)
        self.dweight += dweight
        self.dbias += dbias
        return dx


class RMSNorm:
    """Every row of features scaled to one length, then weight (C,)."""

    def __init__(self, tensors: Tensors, name: str, eps: float = 1e-5):
        weight = tensors[name + ".weight"]
        self.weight, self.dweight, self.eps = weight.data, weight.grad, eps

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, RMSNormCache]:
        return rms_norm(x, self.weight, self.eps)

    def backward(self, dy: Array, cache: RMSNormCache) -> Array:
        dx, dweight = rms_norm_backward(dy, cache)
        self.dweight += dweight
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

    def __init__(self, tensors: Tensors, name: str, head: int, n_head: int):
        C = tensors[name + ".weight"].shape[1]
        D = C // n_head

        def rows(part: int) -> Linear:  # part 0: Q, 1: K, 2: V
            first = part * C + head * D
            own = {f"rows.{kind}": tensors.get(f"{name}.{kind}") for kind in ("weight", "bias")}
            return Linear({kind: tensor.rows(first, first + D) for kind, tensor in own.items() if tensor is not None}, "rows")

        self.Wq, self.Wk, self.Wv = rows(0), rows(1), rows(2)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        q, k, v = (W(x)[:, None] for W in (self.Wq, self.Wk, self.Wv))  # each (B, 1, T, D)
        z, cache = attention(q, k, v)
        return z[:, 0], cache.pattern[:, 0]


class KeyValues:
    """What one attention layer remembers while text is generated: the keys and values of the positions it has seen, up to
    seq_len of them. A new position then asks them, and nothing that is known is computed again."""

    def __init__(self, B: int, H: int, seq_len: int, D: int, dtype: np.dtype | str):
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
        Wqkv: LinearCache
        attention: Any  # attention's, or that of attention_in_tiles, or one for each thread's heads
        projection: LinearCache

    def __init__(self, tensors: Tensors, name: str, n_head: int):
        self.n_head = n_head
        self.Wqkv = Linear(tensors, name + ".Wqkv")
        self.projection = Linear(tensors, name + ".projection")
        self.attn_heads = [Head(tensors, name + ".Wqkv", head, n_head) for head in range(n_head)]

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(
        self, x: Array, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None
    ) -> tuple[Array, Cache]:
        qkv, Wqkv_cache = self.Wqkv.forward(x)  # (B, T, 3C)
        q, k, v = split_heads(qkv, self.n_head)  # each (B, H, T, D)
        if past is not None:
            k, v = past.extended_by(k, v)  # each (B, H, earlier + T, D)
        note("q", q)
        note("k", k)
        note("v", v)
        B, H, T, _ = q.shape
        attend = attention if T <= TILE else attention_in_tiles
        z, attention_cache = by_heads(attend, q, k, v, masks and masks((B, H, T, T)), note)  # (B, H, T, D)
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
        attend_backward = attention_backward if T <= TILE else attention_in_tiles_backward
        dq, dk, dv = by_heads_backward(attend_backward, dz, cache.attention, note)  # each (B, H, T, D)
        note("q", dq)
        note("k", dk)
        note("v", dv)
        dqkv = np.concatenate([join_heads(dq), join_heads(dk), join_heads(dv)], axis=-1)  # (B, T, 3C): undoes split_heads
        return self.Wqkv.backward(dqkv, cache.Wqkv)


class FeedForward:
    """Two linear layers with a GELU between them, on every position alone: C -> F -> C."""

    class Cache(NamedTuple):
        up: LinearCache
        gelu: GELUCache
        down: LinearCache

    def __init__(self, tensors: Tensors, name: str):
        self.up, self.down = Linear(tensors, name + ".up"), Linear(tensors, name + ".down")

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array, note: Note = ignore) -> tuple[Array, Cache]:
        pre, up_cache = self.up.forward(x)  # (B, T, F)
        note("ffn_pre", pre)
        post, gelu_cache = gelu(pre)  # (B, T, F)
        note("ffn_post", post)
        out, down_cache = self.down.forward(post)  # (B, T, C)
        note("ffn_out", out)
        return out, self.Cache(up_cache, gelu_cache, down_cache)

    def backward(self, dout: Array, cache: Cache, note: Note = ignore) -> Array:
        note("ffn_out", dout)
        dpost = self.down.backward(dout, cache.down)  # (B, T, F)
        note("ffn_post", dpost)
        dpre = gelu_backward(dpost, cache.gelu)  # (B, T, F)
        note("ffn_pre", dpre)
        return self.up.backward(dpre, cache.up)
