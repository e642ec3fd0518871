"""LlamaModel in PyTorch: the twin of npgpt/models/llama.py, name for name. It draws the same weights from the same seed.

    ids -> token_embedding -> block 0 -> ... -> block n-1 -> norm_f -> head -> logits

The backward pass is torch's autograd.
"""

import torch
import torch.nn.functional as F
from numpy import ndarray as Array
from torch import Tensor, nn

from npgpt.models.base import check_room
from npgpt.models.llama import LlamaConfig, layout
from npgpt.ops.note import Note, ignore, prefixed
from npgpt.ops.rope import cosines_and_sines

from ..layers import Embedding, KeyValues, Linear, Masks, RMSNorm, Tensors, attended, dropped, join_heads
from .base import LanguageModel

Turns = tuple[Tensor, Tensor]  # cos, sin: (T, D/2)


def heads_of(x: Tensor, D: int) -> Tensor:
    """(B, T, H D) -> (B, H, T, D), a view: what join_heads undoes."""
    B, T, HD = x.shape
    return x.view(B, T, HD // D, D).transpose(1, 2)


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (..., T, D), cos, sin (T, D/2) -> y (..., T, D): the pairs (i, i + D/2) turned; see npgpt/ops/rope.py."""
    first, second = x.chunk(2, dim=-1)  # (..., T, D/2), twice
    return torch.cat([cos * first - sin * second, sin * first + cos * second], dim=-1)


class GroupedQueryAttention(nn.Module):
    """Causal self-attention of H query heads and K key-value heads, with positions told by turning queries and keys."""

    def __init__(self, tensors: Tensors, name: str, D: int):
        super().__init__()
        self.D = D
        self.Wq, self.Wk, self.Wv = (Linear(tensors, f"{name}.{part}") for part in ("Wq", "Wk", "Wv"))
        self.projection = Linear(tensors, name + ".projection")

    def forward(
        self, x: Tensor, turns: Turns, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None
    ) -> Tensor:
        q, k, v = (heads_of(W(x), self.D) for W in (self.Wq, self.Wk, self.Wv))  # (B, H, T, D), twice (B, K, T, D)
        note("q", q)
        note("k", k)
        q, k = rope(q, *turns), rope(k, *turns)  # (B, H, T, D), (B, K, T, D)
        note("rot_q", q)
        note("rot_k", k)
        note("v", v)
        if past is not None:  # what is remembered has been turned already, each key by its own position
            k, v = past.extended_by(k, v)  # each (B, K, earlier + T, D)
        G = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(G, dim=1), v.repeat_interleave(G, dim=1)  # each (B, H, earlier + T, D)
        z = attended(q, k, v, note, masks)  # (B, H, T, D)
        note("z", z)
        out = self.projection(join_heads(z))  # (B, T, C)
        note("attn_out", out)
        return out


class GatedFeedForward(nn.Module):
    """Two linear layers side by side, one the gate of the other, and a third that leads back: C -> F -> C, on every position
    alone."""

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        self.gate, self.up, self.down = (Linear(tensors, f"{name}.{part}") for part in ("gate", "up", "down"))

    def forward(self, x: Tensor, note: Note = ignore) -> Tensor:
        gate = self.gate(x)  # (B, T, F)
        note("gate", gate)
        up = self.up(x)  # (B, T, F)
        note("up", up)
        post = F.silu(gate) * up  # (B, T, F)
        note("ffn_post", post)
        out = self.down(post)  # (B, T, C)
        note("ffn_out", out)
        return out


class Block(nn.Module):
    """One pre-norm block: attention lets the positions talk, the FFN lets each think. Both add what they find to the residual
    stream x."""

    def __init__(self, tensors: Tensors, name: str, D: int, eps: float):
        super().__init__()
        self.norm1 = RMSNorm(tensors, name + ".norm1", eps)
        self.mha = GroupedQueryAttention(tensors, name + ".mha", D)
        self.norm2 = RMSNorm(tensors, name + ".norm2", eps)
        self.ffn = GatedFeedForward(tensors, name + ".ffn")

    def forward(
        self, x: Tensor, turns: Turns, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None
    ) -> Tensor:
        note("resid_pre", x)
        normed = self.norm1(x)  # (B, T, C)
        note("norm1", normed)
        x = x + dropped(self.mha(normed, turns, note, masks, past), masks)  # (B, T, C)
        note("resid_mid", x)
        normed = self.norm2(x)  # (B, T, C)
        note("norm2", normed)
        x = x + dropped(self.ffn(normed, note), masks)  # (B, T, C)
        note("resid_post", x)
        return x


class LlamaModel(LanguageModel):
    """A Llama in PyTorch. See LanguageModel for its parameters, and for all that is not forward or memory."""

    cos: Tensor  # (seq_len, D/2), and so is sin
    sin: Tensor
    config: LlamaConfig
    config_class, layout_of = LlamaConfig, staticmethod(layout)

    @property
    def context(self) -> int:
        """The longest sequence: what training has shown of distances ends there."""
        return self.config.seq_len

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the tensors."""
        config, D = self.config, self.config.head_width
        self.token_embedding = Embedding(tensors, "token_embedding")
        tables = cosines_and_sines(config.seq_len, D, config.rope_theta, config.rope_scaling)  # each (seq_len, D/2)
        for name, table in zip(("cos", "sin"), tables, strict=True):
            self.register_buffer(name, torch.from_numpy(table.astype(self.dtype)).to(self.device), persistent=False)
        self.blocks = nn.ModuleList(Block(tensors, f"blocks.{i}", D, config.norm_eps) for i in range(config.n_layer))
        self.norm_f = RMSNorm(tensors, "norm_f", config.norm_eps)
        self.head = Linear(tensors, "head")

    def logits(
        self, ids: Tensor, note: Note = ignore, masks: Masks | None = None, past: list[KeyValues] | None = None
    ) -> Tensor:
        """ids (B, T) on the model's device -> logits (B, T, V); with `past`, of the last position alone: (B, 1, V)."""
        x = self.token_embedding(ids)  # (B, T, C)
        note("embed", x)
        x = dropped(x, masks)
        seen = past[0].length if past else 0
        positions = slice(seen, seen + ids.shape[1])
        turns = self.cos[positions], self.sin[positions]
        for i, block in enumerate(self.blocks):
            x = block(x, turns, prefixed(note, f"blocks.{i}."), masks, past and past[i])  # (B, T, C)
        x = self.norm_f(x if past is None else x[:, -1:])  # (B, T, C)
        note("norm_f", x)
        logits = self.head(x)  # (B, T, V)
        note("logits", logits)
        return logits

    def remember(self, batch_size: int) -> list[KeyValues]:
        """An empty memory for `next_logits`, one entry a block (in the field: a KV cache): the turned keys, and the values, of
        K heads."""
        c = self.config
        like = self.token_embedding.weight.detach()
        return [KeyValues(batch_size, c.kv_heads, c.seq_len, c.head_width, like) for _ in self.blocks]

    def next_logits(self, ids: Tensor | Array, past: list[KeyValues]) -> Tensor:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too.

        Raises ValueError where the positions seen would be more than seq_len, and what a forward raises.
        """
        ids = self.checked(ids)
        check_room(past[0].length, ids.shape[1], self.config.seq_len)
        return self.last_logits(ids, past)
