"""A Llama: a GPT whose parts were exchanged, one by one, for others that learn a little better or cost a little less.

    ids -> token_embedding -> block 0 -> ... -> block n-1 -> norm_f -> head -> logits

One block, on the residual stream x (B, T, C), with H query heads, K key-value heads and D numbers a head:

    normed  = rms_norm(x)                                     not centred, not shifted (GPT: LayerNorm)
    q, k, v = Wq normed, Wk normed, Wv normed                 H, K and K heads of D (GPT: H each)
    z       = grouped_attention(rope(q), rope(k), v)          turned by their positions (GPT: positions are added to embed)
    x       = x + projection(z)                               no biases (GPT: one)
    normed  = rms_norm(x)
    x       = x + down(swiglu(gate normed, up normed))        a gate beside what it gates (GPT: GELU)

`forward` reads from top to bottom, `backward` from bottom to top. The operations are derived in npgpt/ops (rope,
grouped_attention, swiglu, rms_norm); what every kind of model has stands in base.py.

Source: Touvron et al. 2023, "LLaMA: open and efficient foundation language models", arXiv:2302.13971, section 2.2; grouped
queries: Ainslie et al. 2023, arXiv:2305.13245.
"""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from numpy import ndarray as Array

from ..layers import (
    DropoutCache,
    Embedding,
    EmbeddingCache,
    KeyValues,
    Linear,
    LinearCache,
    Masks,
    RMSNorm,
    RMSNormCache,
    Tensors,
    dropped,
    join_heads,
    undropped,
)
from ..machine.heads import by_heads, by_heads_backward
from ..machine.prompt import read_in_parts
from ..ops.grouped_attention import grouped_attention, grouped_attention_backward
from ..ops.note import Note, ignore, prefixed
from ..ops.rope import Cache as RoPECache
from ..ops.rope import Scaling, cosines_and_sines, rope, rope_backward
from ..ops.swiglu import Cache as SwiGLUCache
from ..ops.swiglu import swiglu, swiglu_backward
from .base import LanguageModel, check_room
from .config import Config
from .layout import INIT_STD, Layout, embedding, head, linear, normal, vector


@dataclass(frozen=True)
class LlamaConfig(Config):
    """The shape of a Llama. Immutable; `dataclasses.replace(config, n_layer=2)` makes a changed copy.

    Parameters
    ----------
    vocab_size : V, the number of tokens.
    n_layer : the number of blocks.
    n_head : H, the number of query heads of a block.
    n_embd : C, the length of a token's vector.
    seq_len : the longest sequence that the model sees (its context).
    n_kv_head : K, the number of key-value heads, a divisor of n_head; None means n_head.
    head_size : D, the numbers of a head, an even number; None means n_embd / n_head.
    ffn_hidden : F, the width of the feed-forward network; None means 8/3 n_embd, rounded up to a multiple of 8: with its three
        matrices it then has about as many weights as GPT's two of 4 n_embd.
    rope_theta : how slowly the last pair of a head turns; larger for longer texts.
    norm_eps : what the norms add to the mean of the squares.
    qkv_bias : whether query, key and value have a bias.
    tie_weights : whether the head uses the token embedding as its weight.
    rope_scaling : (factor, low, high, original) for a context that was stretched after the training (ops/rope.py, `stretched`);
        None: it was not.
    dropout : p, the share of numbers that training sets to 0, in the places of a GPT: after the embedding, in the attention
        pattern and at the end of both residual branches; 0 for none.

    Raises TypeError for a value of the wrong type and ValueError for one out of range; both name the option, what came and
    what is allowed.
    """

    kind: ClassVar[str] = "llama"

    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    seq_len: int
    _: KW_ONLY
    n_kv_head: int | None = None
    head_size: int | None = None
    ffn_hidden: int | None = None
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    qkv_bias: bool = False
    tie_weights: bool = True
    dropout: float = 0.0
    rope_scaling: Scaling | None = None

    def __post_init__(self) -> None:
        self.check_integers("vocab_size", "n_layer", "n_head", "n_embd", "seq_len")
        self.check_integers(*(n for n in ("n_kv_head", "head_size", "ffn_hidden") if getattr(self, n) is not None))
        self.check_booleans("qkv_bias", "tie_weights")
        self.check_above_0("rope_theta")
        self.check_above_0("norm_eps")
        self.check_dropout()
        self.check_rope_scaling()
        if self.n_head % self.kv_heads:
            raise ValueError(
                f"n_kv_head must divide n_head, so that every key head serves as many query heads; "
                f"got n_kv_head={self.n_kv_head}, n_head={self.n_head}"
            )
        if self.head_size is None and self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be divisible by n_head where no head_size is given; "
                f"got n_embd={self.n_embd}, n_head={self.n_head}"
            )
        if self.head_width % 2:
            given = f"n_embd={self.n_embd}, n_head={self.n_head}" if self.head_size is None else f"head_size={self.head_size}"
            raise ValueError(f"a head must have an even number of features, which are turned in pairs; got {given}")

    def check_rope_scaling(self) -> None:
        """Raises TypeError or ValueError where rope_scaling is neither None nor four numbers that make sense."""
        if self.rope_scaling is None:
            return
        names, wanted = "(factor, low, high, original)", "factor, low and original above 0, and high above low"
        given = self.rope_scaling
        if not isinstance(given, (tuple, list)) or not all(type(n) in (int, float) for n in given):
            raise TypeError(f"rope_scaling must be None or the numbers {names}, got {given!r}")
        if len(given) != 4 or not (all(0 < given[i] < math.inf for i in (0, 1, 3)) and given[1] < given[2] < math.inf):
            raise ValueError(f"rope_scaling must be four numbers {names}, {wanted}; got {given!r}")
        object.__setattr__(self, "rope_scaling", tuple(given))  # JSON makes a list of it

    @property
    def kv_heads(self) -> int:
        """K, with the default filled in."""
        return self.n_head if self.n_kv_head is None else self.n_kv_head

    @property
    def head_width(self) -> int:
        """D, with the default filled in."""
        return self.n_embd // self.n_head if self.head_size is None else self.head_size

    @property
    def ffn_size(self) -> int:
        """F, with the default filled in."""
        return 8 * math.ceil(self.n_embd / 3) if self.ffn_hidden is None else self.ffn_hidden

    @classmethod
    def smollm2(cls) -> "LlamaConfig":
        """SmolLM2-135M, 134,515,008 parameters (Ben Allal et al. 2025, "SmolLM2", arXiv:2502.02737)."""
        return cls(
            vocab_size=49152,
            n_layer=30,
            n_head=9,
            n_embd=576,
            seq_len=2048,
            n_kv_head=3,
            ffn_hidden=1536,
            rope_theta=100000.0,
        )


def layout(config: LlamaConfig) -> Layout:
    """The names, shapes and initial values of the weights: N(0, 0.02^2); as in a GPT, the two matrices of a block that write
    into the residual stream start smaller by 1 / sqrt(number of such writes)."""
    V, C, F = config.vocab_size, config.n_embd, config.ffn_size
    H, K, D = config.n_head, config.kv_heads, config.head_width
    inner, residual = normal(INIT_STD), normal(INIT_STD / math.sqrt(2 * config.n_layer))
    entries = embedding("token_embedding", V, C)
    for i in range(config.n_layer):
        block = f"blocks.{i}."
        entries |= vector(block + "norm1.weight", C, 1)
        entries |= linear(block + "mha.Wq", H * D, C, inner, bias=config.qkv_bias)
        entries |= linear(block + "mha.Wk", K * D, C, inner, bias=config.qkv_bias)
        entries |= linear(block + "mha.Wv", K * D, C, inner, bias=config.qkv_bias)
        entries |= linear(block + "mha.projection", C, H * D, residual, bias=False)
        entries |= vector(block + "norm2.weight", C, 1)
        entries |= linear(block + "ffn.gate", F, C, inner, bias=False)
        entries |= linear(block + "ffn.up", F, C, inner, bias=False)
        entries |= linear(block + "ffn.down", C, F, residual, bias=False)
    entries |= vector("norm_f.weight", C, 1)
    return entries | head(V, C, inner, tied=config.tie_weights, bias=False)


class Turns(NamedTuple):
    """By which angles queries and keys are turned (npgpt/ops/rope.py)."""

    cos: Array  # (T, D/2)
    sin: Array  # (T, D/2)

    def at(self, positions: slice) -> "Turns":
        """Those of some positions."""
        return Turns(self.cos[positions], self.sin[positions])


def heads_of(x: Array, D: int) -> Array:
    """(B, T, H D) -> (B, H, T, D), a view: what join_heads undoes."""
    B, T, HD = x.shape
    return x.reshape(B, T, HD // D, D).swapaxes(1, 2)


class GroupedQueryAttention:
    """Causal self-attention of H query heads and K key-value heads, with positions told by turning queries and keys."""

    class Cache(NamedTuple):
        Wq: LinearCache
        Wk: LinearCache
        Wv: LinearCache
        rot_q: RoPECache
        rot_k: RoPECache
        attention: Any  # grouped_attention's, or one for each thread's heads
        projection: LinearCache

    def __init__(self, tensors: Tensors, name: str, D: int):
        self.D = D
        self.Wq, self.Wk, self.Wv = (Linear(tensors, f"{name}.{part}") for part in ("Wq", "Wk", "Wv"))
        self.projection = Linear(tensors, name + ".projection")

    def forward(
        self, x: Array, turns: Turns, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None
    ) -> tuple[Array, Cache]:
        q, Wq_cache = self.Wq.forward(x)  # (B, T, H D)
        k, Wk_cache = self.Wk.forward(x)  # (B, T, K D)
        v, Wv_cache = self.Wv.forward(x)  # (B, T, K D)
        q, k, v = heads_of(q, self.D), heads_of(k, self.D), heads_of(v, self.D)  # (B, H, T, D), twice (B, K, T, D)
        note("q", q)
        note("k", k)
        q, rot_q_cache = rope(q, *turns)  # (B, H, T, D)
        k, rot_k_cache = rope(k, *turns)  # (B, K, T, D)
        note("rot_q", q)
        note("rot_k", k)
        note("v", v)
        if past is not None:  # what is remembered has been turned already, each key by its own position
            k, v = past.extended_by(k, v)  # each (B, K, earlier + T, D)
        (B, H, T, _), S = q.shape, k.shape[2]
        mask = masks and masks((B, H, T, S))
        z, attention_cache = by_heads(grouped_attention, q, k, v, mask, note)  # (B, H, T, D)
        note("z", z)
        out, projection_cache = self.projection.forward(join_heads(z))  # (B, T, C)
        note("attn_out", out)
        caches = Wq_cache, Wk_cache, Wv_cache, rot_q_cache, rot_k_cache, attention_cache, projection_cache
        return out, self.Cache(*caches)

    def backward(self, dout: Array, cache: Cache, note: Note = ignore) -> Array:
        note("attn_out", dout)
        dz = heads_of(self.projection.backward(dout, cache.projection), self.D)  # (B, H, T, D): undoes join_heads
        note("z", dz)
        attend_backward = grouped_attention_backward
        dq, dk, dv = by_heads_backward(attend_backward, dz, cache.attention, note)  # (B, H, T, D), twice (B, K, T, D)
        note("v", dv)
        note("rot_k", dk)
        note("rot_q", dq)
        dk = rope_backward(dk, cache.rot_k)  # (B, K, T, D)
        dq = rope_backward(dq, cache.rot_q)  # (B, H, T, D)
        note("k", dk)
        note("q", dq)
        through_q = self.Wq.backward(join_heads(dq), cache.Wq)  # (B, T, C)
        through_k = self.Wk.backward(join_heads(dk), cache.Wk)  # (B, T, C)
        through_v = self.Wv.backward(join_heads(dv), cache.Wv)  # (B, T, C)
        return through_q + through_k + through_v  # x was asked for all three


class GatedFeedForward:
    """Two linear layers side by side, one the gate of the other, and a third that leads back: C -> F -> C, on every position
    alone."""

    class Cache(NamedTuple):
        gate: LinearCache
        up: LinearCache
        swiglu: SwiGLUCache
        down: LinearCache

    def __init__(self, tensors: Tensors, name: str):
        self.gate, self.up, self.down = (Linear(tensors, f"{name}.{part}") for part in ("gate", "up", "down"))

    def __call__(self, x: Array) -> Array:
        return self.forward(x)[0]

    def forward(self, x: Array, note: Note = ignore) -> tuple[Array, Cache]:
        gate, gate_cache = self.gate.forward(x)  # (B, T, F)
        note("gate", gate)
        up, up_cache = self.up.forward(x)  # (B, T, F)
        note("up", up)
        post, swiglu_cache = swiglu(gate, up)  # (B, T, F)
        note("ffn_post", post)
        out, down_cache = self.down.forward(post)  # (B, T, C)
        note("ffn_out", out)
        return out, self.Cache(gate_cache, up_cache, swiglu_cache, down_cache)

    def backward(self, dout: Array, cache: Cache, note: Note = ignore) -> Array:
        note("ffn_out", dout)
        dpost = self.down.backward(dout, cache.down)  # (B, T, F)
        note("ffn_post", dpost)
        dgate, dup = swiglu_backward(dpost, cache.swiglu)  # (B, T, F), twice
        note("up", dup)
        note("gate", dgate)
        through_up = self.up.backward(dup, cache.up)  # (B, T, C)
        through_gate = self.gate.backward(dgate, cache.gate)  # (B, T, C)
        return through_up + through_gate


class Block:
    """One pre-norm block: attention lets the positions talk, the FFN lets each think. Both add what they find to the residual
    stream x."""

    class Cache(NamedTuple):
        norm1: RMSNormCache
        mha: GroupedQueryAttention.Cache
        norm2: RMSNormCache
        ffn: GatedFeedForward.Cache
        attn_dropout: DropoutCache | None
        ffn_dropout: DropoutCache | None

    def __init__(self, tensors: Tensors, name: str, D: int, eps: float):
        self.norm1 = RMSNorm(tensors, name + ".norm1", eps)
        self.mha = GroupedQueryAttention(tensors, name + ".mha", D)
        self.norm2 = RMSNorm(tensors, name + ".norm2", eps)
        self.ffn = GatedFeedForward(tensors, name + ".ffn")

    def forward(
        self, x: Array, turns: Turns, note: Note = ignore, masks: Masks | None = None, past: KeyValues | None = None
    ) -> tuple[Array, Cache]:
        note("resid_pre", x)
        normed, norm1_cache = self.norm1.forward(x)  # (B, T, C)
        note("norm1", normed)
        attn_out, mha_cache = self.mha.forward(normed, turns, note, masks, past)  # (B, T, C)
        attn_out, attn_dropout = dropped(attn_out, masks)
        x = x + attn_out
        note("resid_mid", x)
        normed, norm2_cache = self.norm2.forward(x)  # (B, T, C)
        note("norm2", normed)
        ffn_out, ffn_cache = self.ffn.forward(normed, note)  # (B, T, C)
        ffn_out, ffn_dropout = dropped(ffn_out, masks)
        x = x + ffn_out
        note("resid_post", x)
        return x, self.Cache(norm1_cache, mha_cache, norm2_cache, ffn_cache, attn_dropout, ffn_dropout)

    def backward(self, dx: Array, cache: Cache, note: Note = ignore) -> Array:
        # x = x + f(x): the gradient goes on unchanged past the branch (the x) and through it (the f); both parts add up.
        note("resid_post", dx)
        dnormed = self.ffn.backward(undropped(dx, cache.ffn_dropout), cache.ffn, note)
        note("norm2", dnormed)
        dx = dx + self.norm2.backward(dnormed, cache.norm2)
        note("resid_mid", dx)
        dnormed = self.mha.backward(undropped(dx, cache.attn_dropout), cache.mha, note)
        note("norm1", dnormed)
        dx = dx + self.norm1.backward(dnormed, cache.norm1)
        note("resid_pre", dx)
        return dx


class Cache(NamedTuple):
    token_embedding: EmbeddingCache
    dropout: DropoutCache | None
    blocks: list[Block.Cache]
    norm_f: RMSNormCache
    head: LinearCache


class LlamaModel(LanguageModel):
    """A Llama in NumPy. See LanguageModel for its parameters, and for all that is not forward, backward or memory."""

    config: LlamaConfig
    config_class, layout_of = LlamaConfig, staticmethod(layout)

    @property
    def context(self) -> int:
        """The longest sequence: what training has shown of distances ends there."""
        return self.config.seq_len

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the arrays."""
        config, D = self.config, self.config.head_width
        self.token_embedding = Embedding(tensors, "token_embedding")
        tables = cosines_and_sines(config.seq_len, D, config.rope_theta, config.rope_scaling)  # each (seq_len, D/2)
        self.turns = Turns(*(table.astype(self.token_embedding.weight.dtype) for table in tables))
        self.blocks = [Block(tensors, f"blocks.{i}", D, config.norm_eps) for i in range(config.n_layer)]
        self.norm_f = RMSNorm(tensors, "norm_f", config.norm_eps)
        self.head = Linear(tensors, "head")

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V) and what `backward` needs. `note(name, array)` is shown every intermediate;
        `masks(shape)` gives the dropout masks, None leaves dropout out."""
        x, token_cache = self.token_embedding.forward(ids)  # (B, T, C)
        note("embed", x)
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
        return logits, Cache(token_cache, dropout_cache, block_caches, norm_cache, head_cache)

    def backward(self, dlogits: Array, cache: Cache, note: Note = ignore) -> None:
        """dlogits (B, T, V) -> adds to every parameter's gradient."""
        note("logits", dlogits)
        dx = self.head.backward(dlogits, cache.head)  # (B, T, C)
        note("norm_f", dx)
        dx = self.norm_f.backward(dx, cache.norm_f)
        for i in reversed(range(len(self.blocks))):
            dx = self.blocks[i].backward(dx, cache.blocks[i], prefixed(note, f"blocks.{i}."))
        dx = undropped(dx, cache.dropout)
        note("embed", dx)
        self.token_embedding.backward(dx, cache.token_embedding)

    def remember(self, batch_size: int) -> list[KeyValues]:
        """An empty memory for `next_logits`, one entry a block (in the field: a KV cache): the turned keys, and the values, of
        K heads."""
        c = self.config
        return [KeyValues(batch_size, c.kv_heads, c.seq_len, c.head_width, self.dtype) for _ in self.blocks]

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
        seen = past[0].length
        turns = self.turns.at(slice(seen, seen + ids.shape[1]))
        x = self.token_embedding(ids)  # (B, R, C)
        for block, keys_and_values in zip(self.blocks, past, strict=True):
            x, _ = block.forward(x, turns, past=keys_and_values)  # (B, R, C)
        return self.head(self.norm_f(x[:, -1]))  # (B, V): only the last position is asked
