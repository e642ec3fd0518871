"""A GPT: its config, its weights, its block, and the model: token ids in, logits for the next token out; and the way back.

    ids -> token_embedding + position -> block 0 -> ... -> block n-1 -> ln_f -> head -> logits

`forward` reads from top to bottom, `backward` from bottom to top; both pass through the same names. What every kind of model
has (loss, gradients, trace, state_dict, ...) stands in base.py.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..layers import (
    DropoutCache,
    Embedding,
    EmbeddingCache,
    FeedForward,
    KeyValues,
    LayerNorm,
    LayerNormCache,
    Linear,
    LinearCache,
    Masks,
    MultiHeadAttention,
    Tensors,
    dropped,
    undropped,
)
from ..machine.device import pick_device
from ..machine.prompt import read_in_parts
from ..ops.embedding import PositionCache, add_position, add_position_backward, sinusoids
from ..ops.note import Note, ignore, prefixed
from .base import LanguageModel, check_room
from .config import Config
from .layout import Layout, embedding, head, layer_norm, linear, normal

POSITIONS = ("sinusoidal", "learned")


@dataclass(frozen=True)
class GPTConfig(Config):
    """The shape of a GPT. Immutable; `dataclasses.replace(config, n_layer=2)` makes a changed copy.

    Parameters
    ----------
    vocab_size : V, the number of tokens.
    n_layer : the number of blocks.
    n_head : H, the number of attention heads of a block; divides n_embd.
    n_embd : C, the length of a token's vector.
    seq_len : the longest sequence that the model sees (its context).
    position : "sinusoidal" (fixed) or "learned" (a trained table).
    ffn_hidden : F, the width of the feed-forward network; None means 4 * n_embd, 0 means no FFN and no ln2.
    qkv_bias : whether query, key and value have a bias.
    tie_weights : whether the head uses the token embedding as its weight (Press, Wolf 2017, arXiv:1608.05859).
    head_bias : whether the head has a bias.
    train_qkv : whether query, key and value are trained. False keeps them at their initial values and out of the parameter
        count: this is how the article's model comes to have 248 parameters and not 275.
    dropout : p, the share of numbers that training sets to 0 after the embeddings, in the attention pattern and at the end of
        both residual branches (npgpt/ops/dropout.py); 0 for none.
    init_std : the spread of the linear layers' initial weights. GPT-2's 0.02 is for 768 features and more;
        narrow models learn faster from larger weights.

    Raises TypeError for a value of the wrong type and ValueError for one out of range; both name the option, what came and
    what is allowed.
    """

    kind: ClassVar[str] = "gpt"

    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    seq_len: int
    position: str = "sinusoidal"
    ffn_hidden: int | None = None
    qkv_bias: bool = False
    tie_weights: bool = False
    head_bias: bool = True
    train_qkv: bool = True
    dropout: float = 0.0
    init_std: float = 0.02

    def __post_init__(self) -> None:
        self.check_integers("vocab_size", "n_layer", "n_head", "n_embd", "seq_len")
        if self.ffn_hidden is not None:
            self.check_integers("ffn_hidden", least=0)
        self.check_booleans("qkv_bias", "tie_weights", "head_bias", "train_qkv")
        if self.position not in POSITIONS:
            raise ValueError(f"position must be one of {', '.join(POSITIONS)}; got {self.position!r}")
        self.check_dropout()
        self.check_above_0("init_std")
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be divisible by n_head, so that every head gets the same number of features; "
                f"got n_embd={self.n_embd}, n_head={self.n_head}"
            )

    @property
    def head_size(self) -> int:
        """D, the number of features of one head."""
        return self.n_embd // self.n_head

    @property
    def ffn_size(self) -> int:
        """F, the FFN's hidden size with the default filled in; 0 where the blocks have no FFN."""
        return 4 * self.n_embd if self.ffn_hidden is None else self.ffn_hidden

    @classmethod
    def article(cls, train_qkv: bool = False) -> "GPTConfig":
        """The article's model: 248 trainable parameters, or 275 with train_qkv=True (README, "248 or 275?")."""
        return cls(vocab_size=32, n_layer=1, n_head=1, n_embd=3, seq_len=12, ffn_hidden=0, train_qkv=train_qkv)

    @classmethod
    def gpt2(cls) -> "GPTConfig":
        """The smallest GPT-2, 124,439,808 parameters (Radford et al. 2019, "Language models are unsupervised multitask
        learners", table 2, counted with the head tied to the embedding)."""
        return cls(
            vocab_size=50257,
            n_layer=12,
            n_head=12,
            n_embd=768,
            seq_len=1024,
            position="learned",
            qkv_bias=True,
            tie_weights=True,
            head_bias=False,
        )


def layout(config: GPTConfig) -> Layout:
    """The names, shapes and initial values of the weights. Linear layers start at N(0, init_std^2), embeddings (a tied head
    among them) at N(0, 0.02^2).

    The two matrices of a block that write into the residual stream start smaller by 1 / sqrt(number of such writes), so that
    the stream's variance does not grow with depth (Radford et al. 2019, section 2.3).
    """
    V, C, F = config.vocab_size, config.n_embd, config.ffn_size
    writes = (2 if F else 1) * config.n_layer
    inner, residual = normal(config.init_std), normal(config.init_std / math.sqrt(writes))
    entries = embedding("token_embedding", V, C)
    if config.position == "learned":
        entries |= embedding("position_embedding", config.seq_len, C)
    for i in range(config.n_layer):
        block = f"blocks.{i}."
        entries |= layer_norm(block + "ln1", C)
        entries |= linear(block + "mha.Wqkv", 3 * C, C, inner, bias=config.qkv_bias, trained=config.train_qkv)
        entries |= linear(block + "mha.projection", C, C, residual)
        if F:
            entries |= layer_norm(block + "ln2", C)
            entries |= linear(block + "ffn.up", F, C, inner)
            entries |= linear(block + "ffn.down", C, F, residual)
    entries |= layer_norm("ln_f", C)
    return entries | head(V, C, inner, tied=config.tie_weights, bias=config.head_bias)


class Block:
    """One pre-norm transformer block: attention lets the positions talk, the FFN (if there is one) lets each think. Both add
    what they find to the residual stream x."""

    class Cache(NamedTuple):
        ln1: LayerNormCache
        mha: MultiHeadAttention.Cache
        ln2: Any  # LayerNormCache, and the next FeedForward.Cache; both None where there is no FFN, which backward asks first
        ffn: Any
        attn_dropout: DropoutCache | None = None
        ffn_dropout: DropoutCache | None = None

    def __init__(self, tensors: Tensors, name: str, n_head: int):
        self.ln1 = LayerNorm(tensors, name + ".ln1")
        self.mha = MultiHeadAttention(tensors, name + ".mha", n_head)
        with_ffn = name + ".ffn.up.weight" in tensors
        self.ln2 = LayerNorm(tensors, name + ".ln2") if with_ffn else None
        self.ffn = FeedForward(tensors, name + ".ffn") if with_ffn else None

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(
        self, x: Array, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None
    ) -> tuple[Array, Cache]:
        note("resid_pre", x)
        normed, ln1_cache = self.ln1.forward(x)  # (B, T, C)
        note("ln1", normed)
        attn_out, mha_cache = self.mha.forward(normed, note, masks, past)  # (B, T, C)
        attn_out, attn_dropout = dropped(attn_out, masks)
        x = x + attn_out
        note("resid_mid", x)
        ln2_cache = ffn_cache = ffn_dropout = None
        if self.ln2 is not None and self.ffn is not None:
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
        if self.ln2 is not None and self.ffn is not None:
            dnormed = self.ffn.backward(undropped(dx, cache.ffn_dropout), cache.ffn, note)
            note("ln2", dnormed)
            dx = dx + self.ln2.backward(dnormed, cache.ln2)
        note("resid_mid", dx)
        dnormed = self.mha.backward(undropped(dx, cache.attn_dropout), cache.mha, note)
        note("ln1", dnormed)
        dx = dx + self.ln1.backward(dnormed, cache.ln1)
        note("resid_pre", dx)
        return dx


class Cache(NamedTuple):
    token_embedding: EmbeddingCache
    position: PositionCache
    blocks: list[Block.Cache]
    ln_f: LayerNormCache
    head: LinearCache
    dropout: DropoutCache | None = None


def get_position_encoding(seq_len: int, n_embd: int, *, device: str = "cpu", dtype: np.dtype | str = "float32") -> Array:
    """The fixed sines and cosines of every position: (1, seq_len, n_embd). See npgpt/ops/embedding.py."""
    pick_device(device)
    return sinusoids(seq_len, n_embd).astype(dtype)[None]


class GPTModel(LanguageModel):
    """A GPT in NumPy. See LanguageModel for its parameters, and for all that is not forward, backward or memory."""

    config: GPTConfig
    config_class, layout_of = GPTConfig, staticmethod(layout)

    @property
    def context(self) -> int:
        """The longest sequence: there are no positions past seq_len."""
        return self.config.seq_len

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the arrays."""
        config = self.config
        self.token_embedding = Embedding(tensors, "token_embedding")
        if config.position == "learned":
            self.position_embedding: Embedding | None = Embedding(tensors, "position_embedding")
            self.position_encoding = self.position_embedding.weight[None]  # (1, seq_len, C), a view
        else:
            self.position_embedding = None
            dtype = self.token_embedding.weight.dtype
            self.position_encoding = get_position_encoding(config.seq_len, config.n_embd, dtype=dtype)
        self.blocks = [Block(tensors, f"blocks.{i}", config.n_head) for i in range(config.n_layer)]
        self.ln_f = LayerNorm(tensors, "ln_f")
        self.head = Linear(tensors, "head")

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V) and what `backward` needs. `note(name, array)` is shown every intermediate;
        `masks(shape)` gives the dropout masks, None leaves dropout out."""
        embed, token_cache = self.token_embedding.forward(ids)  # (B, T, C)
        note("embed", embed)
        note("pos_embed", self.position_encoding[:, : ids.shape[1]])
        x, position_cache = add_position(embed, self.position_encoding[0])  # (B, T, C)
        x, dropout_cache = dropped(x, masks)
        block_caches = []
        for i, block in enumerate(self.blocks):
            x, block_cache = block.forward(x, prefixed(note, f"blocks.{i}."), masks)  # (B, T, C)
            block_caches.append(block_cache)
        x, ln_f_cache = self.ln_f.forward(x)  # (B, T, C)
        note("ln_f", x)
        logits, head_cache = self.head.forward(x)  # (B, T, V)
        note("logits", logits)
        return logits, Cache(token_cache, position_cache, block_caches, ln_f_cache, head_cache, dropout_cache)

    def backward(self, dlogits: Array, cache: Cache, note: Note = ignore) -> None:
        """dlogits (B, T, V) -> adds to every parameter's gradient."""
        note("logits", dlogits)
        dx = self.head.backward(dlogits, cache.head)  # (B, T, C)
        note("ln_f", dx)
        dx = self.ln_f.backward(dx, cache.ln_f)
        for i in reversed(range(len(self.blocks))):
            dx = self.blocks[i].backward(dx, cache.blocks[i], prefixed(note, f"blocks.{i}."))
        dx = undropped(dx, cache.dropout)
        dembed, dposition = add_position_backward(dx, cache.position)  # (B, T, C), (seq_len, C)
        note("pos_embed", dposition[None, : dx.shape[1]])
        if self.position_embedding is not None:
            self.position_embedding.dweight += dposition
        note("embed", dembed)
        self.token_embedding.backward(dembed, cache.token_embedding)

    def remember(self, batch_size: int) -> list[KeyValues]:
        """An empty memory for `next_logits`, one entry a block (in the field: a KV cache)."""
        c = self.config
        return [KeyValues(batch_size, c.n_head, c.seq_len, c.head_size, self.dtype) for _ in self.blocks]

    def next_logits(self, ids: Array, past: list[KeyValues]) -> Array:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too.

        Raises ValueError where the positions seen would be more than seq_len, and what a forward raises.
        """
        ids = self.checked(ids)
        check_room(past[0].length, ids.shape[1], self.config.seq_len)
        return read_in_parts(self.read, ids, past)

    def read(self, ids: Array, past: list[KeyValues]) -> Array:
        """What `next_logits` is about; a long prompt comes here in parts, each on a thread of its own (machine/prompt.py)."""
        x, _ = self.token_embedding.forward(ids)  # (B, R, C)
        x, _ = add_position(x, self.position_encoding[0, past[0].length :])  # (B, R, C)
        for block, keys_and_values in zip(self.blocks, past, strict=True):
            x, _ = block.forward(x, past=keys_and_values)  # (B, R, C)
        return self.head(self.ln_f(x[:, -1]))  # (B, V): only the last position is asked
