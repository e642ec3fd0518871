"""GPTModel in PyTorch: the twin of npgpt/models/gpt.py, name for name. It draws the same weights from the same seed.

    ids -> token_embedding + position -> block 0 -> ... -> block n-1 -> ln_f -> head -> logits

The backward pass is torch's autograd.
"""

import torch
from numpy import ndarray as Array
from torch import Tensor, nn

from npgpt.models.base import check_room
from npgpt.models.gpt import GPTConfig, layout
from npgpt.ops.embedding import sinusoids
from npgpt.ops.note import Note, ignore, prefixed

from ..layers import Embedding, FeedForward, KeyValues, LayerNorm, Linear, Masks, MultiHeadAttention, Tensors, dropped
from ..machine.device import pick_device
from .base import LanguageModel


class Block(nn.Module):
    """One pre-norm transformer block: attention lets the positions talk, the FFN (if there is one) lets each think. Both add
    what they find to the residual stream x."""

    def __init__(self, tensors: Tensors, name: str, n_head: int):
        super().__init__()
        self.ln1 = LayerNorm(tensors, name + ".ln1")
        self.mha = MultiHeadAttention(tensors, name + ".mha", n_head)
        with_ffn = name + ".ffn.up.weight" in tensors
        self.ln2 = LayerNorm(tensors, name + ".ln2") if with_ffn else None
        self.ffn = FeedForward(tensors, name + ".ffn") if with_ffn else None

    def forward(self, x: Tensor, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None) -> Tensor:
        note("resid_pre", x)
        normed = self.ln1(x)  # (B, T, C)
        note("ln1", normed)
        x = x + dropped(self.mha(normed, note, masks, past), masks)  # (B, T, C)
        note("resid_mid", x)
        if self.ln2 is not None and self.ffn is not None:
            normed = self.ln2(x)  # (B, T, C)
            note("ln2", normed)
            x = x + dropped(self.ffn(normed, note), masks)  # (B, T, C)
        note("resid_post", x)
        return x


def get_position_encoding(seq_len: int, n_embd: int, *, device: str | torch.device = "cpu", dtype: str = "float32") -> Tensor:
    """The fixed sines and cosines of every position: (1, seq_len, n_embd). See npgpt/ops/embedding.py."""
    return torch.from_numpy(sinusoids(seq_len, n_embd).astype(dtype)).to(pick_device(device))[None]


class GPTModel(LanguageModel):
    """A GPT in PyTorch. See LanguageModel for its parameters, and for all that is not forward or memory."""

    sinusoids: Tensor  # (1, seq_len, C), where the positions are not learned
    config: GPTConfig
    config_class, layout_of = GPTConfig, staticmethod(layout)

    @property
    def context(self) -> int:
        """The longest sequence: there are no positions past seq_len."""
        return self.config.seq_len

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the tensors."""
        config = self.config
        self.token_embedding = Embedding(tensors, "token_embedding")
        if config.position == "learned":
            self.position_embedding: Embedding | None = Embedding(tensors, "position_embedding")
        else:
            self.position_embedding = None
            table = get_position_encoding(config.seq_len, config.n_embd, device=self.device, dtype=self.dtype)
            self.register_buffer("sinusoids", table, persistent=False)
        self.blocks = nn.ModuleList(Block(tensors, f"blocks.{i}", config.n_head) for i in range(config.n_layer))
        self.ln_f = LayerNorm(tensors, "ln_f")
        self.head = Linear(tensors, "head")

    @property
    def position_encoding(self) -> Tensor:
        """(1, seq_len, C)."""
        return self.sinusoids if self.position_embedding is None else self.position_embedding.weight[None]

    def logits(
        self, ids: Tensor, note: Note = ignore, masks: Masks | None = None, past: list[KeyValues] | None = None
    ) -> Tensor:
        """ids (B, T) on the model's device -> logits (B, T, V); with `past`, of the last position alone: (B, 1, V)."""
        embed = self.token_embedding(ids)  # (B, T, C)
        note("embed", embed)
        seen = past[0].length if past else 0
        pos_embed = self.position_encoding[:, seen : seen + ids.shape[1]]  # (1, T, C)
        if note is not ignore and not pos_embed.requires_grad:
            pos_embed = pos_embed.clone().requires_grad_()  # so that a trace has its gradient, fixed or not
        note("pos_embed", pos_embed)
        x = dropped(embed + pos_embed, masks)  # (B, T, C)
        for i, block in enumerate(self.blocks):
            x = block(x, prefixed(note, f"blocks.{i}."), masks, past and past[i])  # (B, T, C)
        x = self.ln_f(x if past is None else x[:, -1:])  # (B, T, C)
        note("ln_f", x)
        logits = self.head(x)  # (B, T, V)
        note("logits", logits)
        return logits

    def remember(self, batch_size: int) -> list[KeyValues]:
        """An empty memory for `next_logits`, one entry a block (in the field: a KV cache)."""
        c = self.config
        like = self.token_embedding.weight.detach()
        return [KeyValues(batch_size, c.n_head, c.seq_len, c.head_size, like) for _ in self.blocks]

    def next_logits(self, ids: Tensor | Array, past: list[KeyValues]) -> Tensor:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too.

        Raises ValueError where the positions seen would be more than seq_len, and what a forward raises.
        """
        ids = self.checked(ids)
        check_room(past[0].length, ids.shape[1], self.config.seq_len)
        return self.last_logits(ids, past)
