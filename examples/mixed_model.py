"""Between GPT and Llama: a model in which each of the five changes that lead from the one to the other can be made alone.

    ids -> token_embedding (+ position) -> block 0 -> ... -> block n-1 -> norm_f -> head -> logits

Nothing is new in it: the layers are those of npgpt/layers.py and npgpt/models/llama.py, where they are derived, put together
according to five switches. With none of them on it is a GPT with learned positions and no bias in its head, with all of them a
Llama; example 12 walks from one end to the other. mixed_model_torch.py is its twin.
"""

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray as Array

from npgpt.layers import Embedding, FeedForward, LayerNorm, Linear, Masks, RMSNorm, Tensors, dropped, undropped
from npgpt.models import llama
from npgpt.models.base import LanguageModel
from npgpt.models.layout import INIT_STD, Layout, embedding, head, layer_norm, linear, normal, vector
from npgpt.ops.embedding import add_position, add_position_backward
from npgpt.ops.note import Note, ignore, prefixed
from npgpt.ops.rope import cosines_and_sines


@dataclass(frozen=True)
class MixedConfig(llama.LlamaConfig):
    """A LlamaConfig (see there) that can be a GPT's in single parts. As it starts, it is a GPT's; the switches are

    rms_norm : RMSNorm for LayerNorm. (norm_eps is RMSNorm's; LayerNorm's is 1e-5.)
    rope : queries and keys are turned by their positions; False: a learned vector a position is added to the embeddings.
    swiglu : a gated FFN for one with a GELU.
    bias : whether attention's projection and the FFN have biases. A Llama's have none.
    n_kv_head : K, the number of key-value heads, fewer than n_head in a Llama with groups.

    init_std : the spread of the linear layers' initial weights, as in GPTConfig; a LlamaConfig's is 0.02.
    """

    kind: ClassVar[str] = "mixed"

    _: KW_ONLY
    rms_norm: bool = False
    rope: bool = False
    swiglu: bool = False
    bias: bool = True
    init_std: float = INIT_STD

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_booleans("rms_norm", "rope", "swiglu", "bias")
        self.check_above_0("init_std")


def layout(config: MixedConfig) -> Layout:
    """The names (a Llama's, with a GPT's for what a Llama lacks), shapes and initial values of the weights. At either end they
    are drawn in the order of that kind: a seed gives its very numbers, where init_std is the same."""
    V, C, F = config.vocab_size, config.n_embd, config.ffn_size
    H, K, D = config.n_head, config.kv_heads, config.head_width
    inner, residual = normal(config.init_std), normal(config.init_std / math.sqrt(2 * config.n_layer))

    def norm(name: str) -> Layout:
        return vector(name + ".weight", C, 1) if config.rms_norm else layer_norm(name, C)

    entries = embedding("token_embedding", V, C)
    if not config.rope:
        entries |= embedding("position_embedding", config.seq_len, C)
    for i in range(config.n_layer):
        block = f"blocks.{i}."
        entries |= norm(block + "norm1")
        entries |= linear(block + "mha.Wq", H * D, C, inner, bias=config.qkv_bias)
        entries |= linear(block + "mha.Wk", K * D, C, inner, bias=config.qkv_bias)
        entries |= linear(block + "mha.Wv", K * D, C, inner, bias=config.qkv_bias)
        entries |= linear(block + "mha.projection", C, H * D, residual, bias=config.bias)
        entries |= norm(block + "norm2")
        if config.swiglu:
            entries |= linear(block + "ffn.gate", F, C, inner, bias=config.bias)
        entries |= linear(block + "ffn.up", F, C, inner, bias=config.bias)
        entries |= linear(block + "ffn.down", C, F, residual, bias=config.bias)
    entries |= norm("norm_f")
    return entries | head(V, C, inner, tied=config.tie_weights, bias=False)


def num_parameters(config: MixedConfig) -> int:
    """How many numbers the config's model trains."""
    return sum(entry.size for entry in layout(config).values())


def of_size(config: MixedConfig, parameters: int) -> MixedConfig:
    """The config with the FFN's width that brings its model closest to so many parameters."""
    one, two = (num_parameters(replace(config, ffn_hidden=F)) for F in (1, 2))
    return replace(config, ffn_hidden=max(1, 1 + round((parameters - one) / (two - one))))


def turning(config: MixedConfig) -> tuple[Array, Array]:
    """cos and sin (seq_len, D/2) of the angles by which queries and keys are turned: all 0, which changes no bit of them, where
    positions are learned."""
    if config.rope:
        return cosines_and_sines(config.seq_len, config.head_width, config.rope_theta, config.rope_scaling)
    angles = np.zeros((config.seq_len, config.head_width // 2))
    return np.cos(angles), np.sin(angles)


class Block(llama.Block):
    """A Llama's block, whose norms and FFN may be a GPT's. What is done with them, forward and backward, is the same."""

    def __init__(self, tensors: Tensors, name: str, config: MixedConfig):
        self.norm1 = norm_of(config, tensors, name + ".norm1")
        self.mha = llama.GroupedQueryAttention(tensors, name + ".mha", config.head_width)
        self.norm2 = norm_of(config, tensors, name + ".norm2")
        self.ffn = (llama.GatedFeedForward if config.swiglu else FeedForward)(tensors, name + ".ffn")


def norm_of(config: MixedConfig, tensors: Tensors, name: str) -> LayerNorm | RMSNorm:
    return RMSNorm(tensors, name, config.norm_eps) if config.rms_norm else LayerNorm(tensors, name)


class Cache(NamedTuple):
    token_embedding: tuple
    position: tuple | None
    dropout: tuple | None
    blocks: list[tuple]
    norm_f: tuple
    head: tuple


class MixedModel(LanguageModel):
    """The model in NumPy. See LanguageModel for its parameters. It learns and is looked into; it does not generate."""

    config_class, layout_of = MixedConfig, staticmethod(layout)

    @property
    def context(self) -> int:
        """The longest sequence."""
        return self.config.seq_len

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the arrays."""
        config = self.config
        self.token_embedding = Embedding(tensors, "token_embedding")
        self.position_embedding = None if config.rope else Embedding(tensors, "position_embedding")
        self.turns = llama.Turns(*(table.astype(self.token_embedding.weight.dtype) for table in turning(config)))
        self.blocks = [Block(tensors, f"blocks.{i}", config) for i in range(config.n_layer)]
        self.norm_f = norm_of(config, tensors, "norm_f")
        self.head = Linear(tensors, "head")

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V) and what `backward` needs. `note(name, array)` is shown every intermediate;
        `masks(shape)` gives the dropout masks, None leaves dropout out."""
        x, token_cache = self.token_embedding.forward(ids)  # (B, T, C)
        note("embed", x)
        position_cache = None
        if self.position_embedding is not None:
            table = self.position_embedding.weight  # (seq_len, C)
            note("pos_embed", table[None, : ids.shape[1]])
            x, position_cache = add_position(x, table)  # (B, T, C)
        x, dropout_cache = dropped(x, masks)
        turns = self.turns.at(slice(ids.shape[1]))
        block_caches = []
        for i, block in enumerate(self.blocks):
            x, block_cache = block.forward(x, turns, prefixed(note, f"blocks.{i}."), masks)  # (B, T, C)
            block_caches.append(block_cache)
        x, norm_cache = self.norm_f.forward(x)  # (B, T, C)
        note("norm_f", x)
        logits, head_cache = self.head.forward(x)  # (B, T, V)
        note("logits", logits)
        return logits, Cache(token_cache, position_cache, dropout_cache, block_caches, norm_cache, head_cache)

    def backward(self, dlogits: Array, cache: Cache, note: Note = ignore) -> None:
        """dlogits (B, T, V) -> adds to every parameter's gradient."""
        note("logits", dlogits)
        dx = self.head.backward(dlogits, cache.head)  # (B, T, C)
        note("norm_f", dx)
        dx = self.norm_f.backward(dx, cache.norm_f)
        for i in reversed(range(len(self.blocks))):
            dx = self.blocks[i].backward(dx, cache.blocks[i], prefixed(note, f"blocks.{i}."))
        dx = undropped(dx, cache.dropout)
        if self.position_embedding is not None:
            dx, dposition = add_position_backward(dx, cache.position)  # (B, T, C), (seq_len, C)
            note("pos_embed", dposition[None, : dx.shape[1]])
            self.position_embedding.dweight += dposition
        note("embed", dx)
        self.token_embedding.backward(dx, cache.token_embedding)
