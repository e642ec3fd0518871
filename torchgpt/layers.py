"""The layers, in the order and with the names of npgpt/layers.py. torch's autograd does the backward.

Shapes: B batch, T time, C features (n_embd), H heads, D = C / H, F the FFN's hidden size.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from npgpt.ops.note import Note, ignore

Tensors = Mapping[str, Tensor]  # by the names of the state_dict: parameters, and tensors that are not trained
Masks = Callable[[tuple[int, ...]], Tensor]  # gives the next dropout mask of a shape; None where nothing is dropped


def dropped(x: Tensor, masks: Masks | None) -> Tensor:
    """x with dropout; without masks x itself."""
    return x if masks is None else x * masks(tuple(x.shape))


def register(module: nn.Module, name: str, tensor: Tensor | None) -> None:
    """Makes the tensor the module's `name`: a parameter where it is one, else a buffer; None where there is none."""
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class Linear(nn.Module):
    """y = x weight^T + bias; weight (O, I), bias (O,) or None."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        register(self, "weight", tensors[name + ".weight"])
        register(self, "bias", tensors.get(name + ".bias"))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Embedding(nn.Module):
    """Row ids[n] of weight (V, C) for every id."""

    weight: Tensor

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        register(self, "weight", tensors[name + ".weight"])

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)


class LayerNorm(nn.Module):
    """Every row of features centred and scaled, then weight (C,) and bias (C,)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        register(self, "weight", tensors[name + ".weight"])
        register(self, "bias", tensors[name + ".bias"])

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, eps=1e-5)


class RMSNorm(nn.Module):
    """Every row of features scaled to one length, then weight (C,)."""

    weight: Tensor

    def __init__(self, tensors: Tensors, name: str, eps: float = 1e-5):
        super().__init__()
        register(self, "weight", tensors[name + ".weight"])
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def split_heads(qkv: Tensor, n_head: int) -> Tensor:
    """(B, T, 3C), laid out as all heads' Q, then K, then V -> (3, B, H, T, D), a view."""
    B, T, three_C = qkv.shape
    return qkv.view(B, T, 3, n_head, three_C // 3 // n_head).permute(2, 0, 3, 1, 4)


def join_heads(z: Tensor) -> Tensor:
    """(B, H, T, D) -> (B, T, C): the heads' features side by side."""
    B, H, T, D = z.shape
    return z.transpose(1, 2).reshape(B, T, H * D)


def future(q: Tensor, k: Tensor) -> Tensor:
    """(R, T) booleans for the last R of T positions, True where column s lies in the row's future."""
    R, T = q.shape[2], k.shape[2]
    t, s = torch.arange(T - R, T, device=q.device)[:, None], torch.arange(T, device=q.device)
    return s > t


def attention(q: Tensor, k: Tensor, v: Tensor, note: Note = ignore, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """q, k, v (B, H, T, D) -> (z (B, H, T, D), pattern (B, H, T, T)), step by step, for whoever asks for the weights."""
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(future(q, k), -math.inf)  # (B, H, T, T)
    note("scores", scores)
    pattern = scores.softmax(dim=-1)  # (B, H, T, T)
    note("pattern", pattern)
    return (pattern if mask is None else pattern * mask) @ v, pattern


def attended(q: Tensor, k: Tensor, v: Tensor, note: Note = ignore, masks: Masks | None = None) -> Tensor:
    """q (B, H, R, D); k, v (B, H, T, D) -> z (B, H, R, D): step by step for whoever looks or drops, else by torch's fused
    kernel, which never builds the weights."""
    if note is not ignore or masks is not None:
        return attention(q, k, v, note, masks and masks((*q.shape[:3], k.shape[2])))[0]
    if q.shape == k.shape:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    mask = None if q.shape[2] == 1 else ~future(q, k)  # the queries are those of the last positions; a lone one sees all keys
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class LinearView:
    """Some rows of a Linear as a linear layer of their own: `weight` and `bias` are views, so writing to them changes it."""

    def __init__(self, linear: Linear, first: int, last: int):
        self.linear, self.rows = linear, slice(first, last)

    @property
    def weight(self) -> Tensor:
        return self.linear.weight[self.rows]

    @property
    def bias(self) -> Tensor | None:
        return None if self.linear.bias is None else self.linear.bias[self.rows]

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Head:
    """One attention head of a layer, to look at: Wq, Wk and Wv are views of its rows of Wqkv, and calling it gives the pair
    (output (B, T, D), weights (B, T, T))."""

    def __init__(self, Wqkv: Linear, head: int, n_head: int):
        C = Wqkv.weight.shape[1]
        D = C // n_head
        self.Wq, self.Wk, self.Wv = (
            LinearView(Wqkv, part * C + head * D, part * C + head * D + D)
            for part in range(3)  # 0: Q, 1: K, 2: V
        )

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (W(x)[:, None] for W in (self.Wq, self.Wk, self.Wv))  # each (B, 1, T, D)
        z, pattern = attention(q, k, v)
        return z[:, 0], pattern[:, 0]


class KeyValues:
    """What one attention layer remembers while text is generated: the keys and values of the positions it has seen, up to
    seq_len of them. A new position then asks them, and nothing that is known is computed again."""

    def __init__(self, B: int, H: int, seq_len: int, D: int, like: Tensor):
        self.k, self.v = like.new_empty((2, B, H, seq_len, D))
        self.length = 0

    def extended_by(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v (B, H, R, D) of R new positions -> those of all positions so far, (B, H, length, D), views."""
        new = slice(self.length, self.length + k.shape[2])
        self.k[:, :, new], self.v[:, :, new] = k, v
        self.length = new.stop
        return self.k[:, :, : new.stop], self.v[:, :, : new.stop]


class MultiHeadAttention(nn.Module):
    """Causal self-attention of n_head heads: one matrix Wqkv (3C, C) makes all queries, keys and values, and `projection`
    (C, C) mixes what the heads bring back."""

    def __init__(self, tensors: Tensors, name: str, n_head: int):
        super().__init__()
        self.n_head = n_head
        self.Wqkv = Linear(tensors, name + ".Wqkv")
        self.projection = Linear(tensors, name + ".projection")
        self.attn_heads = [Head(self.Wqkv, head, n_head) for head in range(n_head)]

    def forward(self, x: Tensor, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None) -> Tensor:
        q, k, v = split_heads(self.Wqkv(x), self.n_head)  # each (B, H, T, D)
        if past is not None:
            k, v = past.extended_by(k, v)  # each (B, H, earlier + T, D)
        note("q", q)
        note("k", k)
        note("v", v)
        z = attended(q, k, v, note, masks)  # (B, H, T, D)
        note("z", z)
        out = self.projection(join_heads(z))  # (B, T, C)
        note("attn_out", out)
        return out


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, on every position alone: C -> F -> C."""

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        self.up, self.down = Linear(tensors, name + ".up"), Linear(tensors, name + ".down")

    def forward(self, x: Tensor, note: Note = ignore) -> Tensor:
        pre = self.up(x)  # (B, T, F)
        note("ffn_pre", pre)
        post = F.gelu(pre, approximate="tanh")  # (B, T, F)
        note("ffn_post", post)
        out = self.down(post)  # (B, T, C)
        note("ffn_out", out)
        return out
