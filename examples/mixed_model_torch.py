"""MixedModel in PyTorch: the twin of mixed_model.py, name for name. It draws the same weights from the same seed."""

import torch
from torch import Tensor, nn

from npgpt.ops.note import Note, ignore, prefixed
from torchgpt.layers import Embedding, FeedForward, LayerNorm, Linear, Masks, RMSNorm, Tensors, dropped
from torchgpt.models import llama
from torchgpt.models.base import LanguageModel

from mixed_model import MixedConfig, layout, turning


class Block(llama.Block):
    """A Llama's block, whose norms and FFN may be a GPT's. What is done with them is the same."""

    def __init__(self, tensors: Tensors, name: str, config: MixedConfig):
        nn.Module.__init__(self)
        self.norm1 = norm_of(config, tensors, name + ".norm1")
        self.mha = llama.GroupedQueryAttention(tensors, name + ".mha", config.head_width)
        self.norm2 = norm_of(config, tensors, name + ".norm2")
        self.ffn = (llama.GatedFeedForward if config.swiglu else FeedForward)(tensors, name + ".ffn")


def norm_of(config: MixedConfig, tensors: Tensors, name: str) -> LayerNorm | RMSNorm:
    return RMSNorm(tensors, name, config.norm_eps) if config.rms_norm else LayerNorm(tensors, name)


class MixedModel(LanguageModel):
    """The model in PyTorch. See LanguageModel for its parameters. It learns and is looked into; it does not generate."""

    config_class, layout_of = MixedConfig, staticmethod(layout)

    @property
    def context(self) -> int:
        """The longest sequence."""
        return self.config.seq_len

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the tensors."""
        config = self.config
        self.token_embedding = Embedding(tensors, "token_embedding")
        self.position_embedding = None if config.rope else Embedding(tensors, "position_embedding")
        for name, table in zip(("cos", "sin"), turning(config), strict=True):
            self.register_buffer(name, torch.from_numpy(table.astype(self.dtype)).to(self.device), persistent=False)
        self.blocks = nn.ModuleList(Block(tensors, f"blocks.{i}", config) for i in range(config.n_layer))
        self.norm_f = norm_of(config, tensors, "norm_f")
        self.head = Linear(tensors, "head")

    def logits(self, ids: Tensor, note: Note = ignore, masks: Masks | None = None, past: None = None) -> Tensor:
        """ids (B, T) on the model's device -> logits (B, T, V)."""
        x, T = self.token_embedding(ids), ids.shape[1]  # (B, T, C)
        note("embed", x)
        if self.position_embedding is not None:
            pos_embed = self.position_embedding.weight[None, :T]  # (1, T, C)
            note("pos_embed", pos_embed)
            x = x + pos_embed
        x = dropped(x, masks)
        for i, block in enumerate(self.blocks):
            x = block(x, (self.cos[:T], self.sin[:T]), prefixed(note, f"blocks.{i}."), masks)  # (B, T, C)
        x = self.norm_f(x)  # (B, T, C)
        note("norm_f", x)
        logits = self.head(x)  # (B, T, V)
        note("logits", logits)
        return logits
