"""Mamba: a residual stream like a GPT's, in which each block mixes positions by a short convolution and a selective scan.

    ids -> token_embedding -> block 0 -> ... -> block n-1 -> norm_f -> head -> logits

One block, on the residual stream x (B, T, C), with E = expand * C channels of N states each:

    normed = rms_norm(x)
    u, z   = in_proj(normed)              E channels that are mixed over time, and E that become their gate
    u      = silu(causal_conv(u))         each channel with its own last K letters
    dt, B, C = x_proj(u)                  what the letter decides: a step size (in R numbers), where to write, what to read
    delta  = softplus(dt_proj(dt))        the step size of each channel, above 0
    y      = selective_scan(u, delta, -exp(A_log), B, C, D)
    x      = x + out_proj(y * silu(z))

(B and C are also the scan's two vectors, as in the paper; D is its skip weight.)

`forward` reads from top to bottom, `backward` from bottom to top. The operations are derived in npgpt/ops (rms_norm, silu,
softplus, causal_conv, selective_scan); what every kind of model has stands in base.py.

Source: Gu, Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", arXiv:2312.00752, section 3.4. The
names and shapes of a mixer's weights are those of the reference implementation.
"""

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..layers import Embedding, EmbeddingCache, Linear, LinearCache, Masks, RMSNorm, RMSNormCache, Tensors
from ..ops.causal_conv import Cache as ConvCache
from ..ops.causal_conv import causal_conv, causal_conv_backward
from ..ops.note import Note, ignore, prefixed
from ..ops.selective_scan import Cache as ScanCache
from ..ops.selective_scan import selective_scan, selective_scan_backward
from ..ops.silu import Cache as SiLUCache
from ..ops.silu import silu, silu_backward
from ..ops.softplus import Cache as SoftplusCache
from ..ops.softplus import softplus, softplus_backward
from .base import LanguageModel
from .config import Config
from .layout import INIT_STD, Layout, constant, embedding, head, linear, matrix, normal, uniform, vector

DT_MIN, DT_MAX = 1e-3, 1e-1  # the range of the step sizes that dt_proj's bias alone would make at the start


@dataclass(frozen=True)
class MambaConfig(Config):
    """The shape of a Mamba. Immutable; `dataclasses.replace(config, n_layer=2)` makes a changed copy.

    Parameters
    ----------
    vocab_size : V, the number of tokens.
    n_layer : the number of blocks.
    n_embd : C, the length of a token's vector.
    seq_len : the window of training. The model takes longer sequences, and generates without end.
    d_state : N, the numbers of one channel's state.
    d_conv : K, how many letters the convolution sees.
    expand : E = expand * C channels are mixed over time; the product must be an integer of at least 1.
    dt_rank : R, through how many numbers the step sizes are made; None means C / 16, rounded up.
    conv_bias : whether the convolution has a bias.
    tie_weights : whether the head uses the token embedding as its weight.
    head_bias : whether the head has a bias.

    Raises TypeError for a value of the wrong type and ValueError for one out of range; both name the option, what came and
    what is allowed.
    """

    kind: ClassVar[str] = "mamba"

    vocab_size: int
    n_layer: int
    n_embd: int
    seq_len: int
    _: KW_ONLY
    d_state: int = 16
    d_conv: int = 4
    expand: float = 2
    dt_rank: int | None = None
    conv_bias: bool = True
    tie_weights: bool = True
    head_bias: bool = False

    def __post_init__(self) -> None:
        self.check_integers("vocab_size", "n_layer", "n_embd", "seq_len", "d_state", "d_conv")
        if self.dt_rank is not None:
            self.check_integers("dt_rank")
        self.check_booleans("conv_bias", "tie_weights", "head_bias")
        self.check_above_0("expand")
        channels = self.expand * self.n_embd
        if channels < 1 or channels != int(channels):
            raise ValueError(
                f"expand * n_embd, the number of channels, must be an integer of at least 1; "
                f"got expand={self.expand}, n_embd={self.n_embd}"
            )

    @property
    def channels(self) -> int:
        """E, the number of channels that are mixed over time."""
        return int(self.expand * self.n_embd)

    @property
    def dt_size(self) -> int:
        """R, with the default filled in."""
        return math.ceil(self.n_embd / 16) if self.dt_rank is None else self.dt_rank


def layout(config: MambaConfig) -> Layout:
    """The names, shapes and initial values of the weights. A mixer's matrices start uniform within 1 / sqrt(their inputs).

    out_proj, which writes into the residual stream, starts smaller by 1 / sqrt(n_layer), so that the stream's variance does not
    grow with depth. A = -exp(A_log) is -1, -2, ..., -N for every channel: slow clocks and quick ones. A_log is no matrix that
    mixes, but a table of levels: it does not decay.
    """
    V, C, E, N, R, K = config.vocab_size, config.n_embd, config.channels, config.d_state, config.dt_size, config.d_conv
    entries = embedding("token_embedding", V, C)
    for i in range(config.n_layer):
        block = f"blocks.{i}."
        entries |= vector(block + "norm.weight", C, 1)
        mixer = block + "mixer."
        entries |= matrix(mixer + "A_log", (E, N), constant(np.log(np.arange(1, N + 1))), decays=False)
        entries |= vector(mixer + "D", E, 1)
        entries |= linear(mixer + "in_proj", 2 * E, C, uniform(1 / math.sqrt(C)), bias=False)
        entries |= matrix(mixer + "conv1d.weight", (E, 1, K), uniform(1 / math.sqrt(K)))
        if config.conv_bias:
            entries |= vector(mixer + "conv1d.bias", E, 0)
        entries |= linear(mixer + "x_proj", R + 2 * N, E, uniform(1 / math.sqrt(E)), bias=False)
        entries |= linear(mixer + "dt_proj", E, R, uniform(1 / math.sqrt(R)), bias=step_sizes)
        entries |= linear(mixer + "out_proj", C, E, uniform(1 / math.sqrt(E * config.n_layer)), bias=False)
    entries |= vector("norm_f.weight", C, 1)
    return entries | head(V, C, normal(INIT_STD), tied=config.tie_weights, bias=config.head_bias)


def step_sizes(rng: "np.random.Generator", shape: tuple[int, ...]) -> Array:
    """dt_proj's bias: softplus of it is a step size dt, drawn log-uniformly from DT_MIN..DT_MAX.

    softplus(b) = dt is log(1 + exp(b)) = dt, so b = log(exp(dt) - 1) = dt + log(1 - exp(-dt)).
    """
    dt = np.exp(rng.uniform(math.log(DT_MIN), math.log(DT_MAX), shape))
    return (dt + np.log(-np.expm1(-dt))).astype(np.float32)


class Conv1d:
    """The depthwise causal convolution: weight (E, 1, K), bias (E,) or None."""

    def __init__(self, tensors: Tensors, name: str):
        weight, bias = tensors[name + ".weight"], tensors.get(name + ".bias")
        self.weight, self.dweight = weight.data, weight.grad
        self.bias: Array | None = None if bias is None else bias.data
        self.dbias: Array | None = None if bias is None else bias.grad

    def forward(self, x: Array, past: Array | None = None) -> tuple[Array, ConvCache]:
        return causal_conv(x, self.weight, self.bias, past=past)

    def backward(self, dy: Array, cache: ConvCache) -> Array:
        dx, dweight, dbias = causal_conv_backward(dy, cache)
        self.dweight += dweight
        if self.dbias is not None:
            self.dbias += dbias
        return dx


class State(NamedTuple):
    """What one block carries along: what its convolution and its scan need of the letters before."""

    conv: Array  # (B, K - 1, E)
    scan: Array  # (B, E, N)


class Mixer:
    """What a block does to the normed stream: see the module's formulas, which are its lines."""

    class Cache(NamedTuple):
        in_proj: LinearCache
        conv: ConvCache
        silu: SiLUCache
        x_proj: LinearCache
        dt_proj: LinearCache
        softplus: SoftplusCache
        scan: ScanCache
        y: Array  # (B, T, E)
        gate: Array  # (B, T, E)
        gate_silu: SiLUCache
        out_proj: LinearCache

    def __init__(self, tensors: Tensors, name: str):
        A_log, D = tensors[name + ".A_log"], tensors[name + ".D"]
        self.A_log, self.dA_log, self.D, self.dD = A_log.data, A_log.grad, D.data, D.grad
        self.in_proj, self.conv1d = Linear(tensors, name + ".in_proj"), Conv1d(tensors, name + ".conv1d")
        self.x_proj, self.dt_proj = Linear(tensors, name + ".x_proj"), Linear(tensors, name + ".dt_proj")
        self.out_proj = Linear(tensors, name + ".out_proj")

    def empty(self, B: int) -> State:
        """The state before anything was read."""
        (E, N), K = self.A_log.shape, self.conv1d.weight.shape[2]
        return State(np.zeros((B, K - 1, E), self.A_log.dtype), np.zeros((B, E, N), self.A_log.dtype))

    def __call__(self, x: Array) -> Array:
        return self.forward(x, self.empty(len(x)))[0]

    def forward(self, x: Array, state: State, note: Note = ignore) -> tuple[Array, Cache]:
        (E, N), R = self.A_log.shape, self.dt_proj.weight.shape[1]
        uz, in_cache = self.in_proj.forward(x)  # (B, T, 2E)
        note("in_proj", uz)
        u, z = uz[..., :E], uz[..., E:]  # (B, T, E), (B, T, E)
        u, conv_cache = self.conv1d.forward(u, state.conv)  # (B, T, E)
        note("conv", u)
        u, silu_cache = silu(u)  # (B, T, E)
        note("u", u)
        decisions, x_cache = self.x_proj.forward(u)  # (B, T, R + 2N)
        dt, B, C = decisions[..., :R], decisions[..., R : R + N], decisions[..., R + N :]  # (B, T, R), twice (B, T, N)
        delta, dt_cache = self.dt_proj.forward(dt)  # (B, T, E)
        delta, softplus_cache = softplus(delta)  # (B, T, E)
        note("delta", delta)
        note("B", B)
        note("C", C)
        A = -np.exp(self.A_log)  # (E, N)
        y, scan_cache = selective_scan(u, delta, A, B, C, self.D, state.scan)  # (B, T, E)
        note("state", scan_cache.h)
        note("y", y)
        gate, gate_cache = silu(z)  # (B, T, E)
        note("gate", gate)
        out, out_cache = self.out_proj.forward(y * gate)  # (B, T, C)
        note("mixer_out", out)
        caches = in_cache, conv_cache, silu_cache, x_cache, dt_cache, softplus_cache, scan_cache, y, gate, gate_cache, out_cache
        return out, self.Cache(*caches)

    def state_after(self, cache: Cache, T: int) -> State:
        """The state from which a call goes on where the one of T letters with this cache has ended."""
        return State(cache.conv.padded[:, T:], cache.scan.h[:, -1])

    def backward(self, dout: Array, cache: Cache, note: Note = ignore) -> Array:
        note("mixer_out", dout)
        dgated = self.out_proj.backward(dout, cache.out_proj)  # (B, T, E)
        dgate = dgated * cache.y  # the product rule: each factor's gradient is times the other one
        dy = dgated * cache.gate
        note("gate", dgate)
        note("y", dy)
        dz = silu_backward(dgate, cache.gate_silu)  # (B, T, E)
        du, ddelta, dA, dB, dC, dD, _ = selective_scan_backward(dy, cache.scan, note)
        note("C", dC)
        note("B", dB)
        note("delta", ddelta)
        self.dD += dD
        self.dA_log += dA * cache.scan.A  # A = -exp(A_log) is its own derivative
        ddt = self.dt_proj.backward(softplus_backward(ddelta, cache.softplus), cache.dt_proj)  # (B, T, R)
        ddecisions = np.concatenate([ddt, dB, dC], axis=-1)  # (B, T, R + 2N)
        du = du + self.x_proj.backward(ddecisions, cache.x_proj)  # u enters the scan, and all three decisions
        note("u", du)
        dconv = silu_backward(du, cache.silu)  # (B, T, E)
        note("conv", dconv)
        duz = np.concatenate([self.conv1d.backward(dconv, cache.conv), dz], axis=-1)  # (B, T, 2E)
        note("in_proj", duz)
        return self.in_proj.backward(duz, cache.in_proj)


class Block:
    """One block: what the mixer makes of the normed stream is added to the stream x (B, T, C)."""

    class Cache(NamedTuple):
        norm: RMSNormCache
        mixer: Mixer.Cache

    def __init__(self, tensors: Tensors, name: str):
        self.norm, self.mixer = RMSNorm(tensors, name + ".norm"), Mixer(tensors, name + ".mixer")

    def __call__(self, x: Array) -> Array:
        return self.forward(x, self.mixer.empty(len(x)))[0]

    def forward(self, x: Array, state: State, note: Note = ignore) -> tuple[Array, Cache]:
        note("resid_pre", x)
        normed, norm_cache = self.norm.forward(x)  # (B, T, C)
        note("norm", normed)
        out, mixer_cache = self.mixer.forward(normed, state, note)  # (B, T, C)
        x = x + out
        note("resid_post", x)
        return x, self.Cache(norm_cache, mixer_cache)

    def backward(self, dx: Array, cache: Cache, note: Note = ignore) -> Array:
        # x = x + f(x): the gradient goes on unchanged past the branch (the x) and through it (the f); both parts add up.
        note("resid_post", dx)
        dnormed = self.mixer.backward(dx, cache.mixer, note)
        note("norm", dnormed)
        dx = dx + self.norm.backward(dnormed, cache.norm)
        note("resid_pre", dx)
        return dx


class Cache(NamedTuple):
    token_embedding: EmbeddingCache
    blocks: list[Block.Cache]
    norm_f: RMSNormCache
    head: LinearCache


class MambaModel(LanguageModel):
    """A Mamba in NumPy. See LanguageModel for its parameters, and for all that is not forward, backward or memory."""

    config: MambaConfig
    config_class, layout_of = MambaConfig, staticmethod(layout)

    @property
    def numbers_of_a_step(self) -> int:
        """The states of one block."""
        return self.config.channels * self.config.d_state

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the arrays."""
        self.token_embedding = Embedding(tensors, "token_embedding")
        self.blocks = [Block(tensors, f"blocks.{i}") for i in range(self.config.n_layer)]
        self.norm_f = RMSNorm(tensors, "norm_f")
        self.head = Linear(tensors, "head")

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V) and what `backward` needs. `note(name, array)` is shown every intermediate. Every
        sequence starts from an empty state. (There is no dropout, so `masks` is None.)"""
        x, token_cache = self.token_embedding.forward(ids)  # (B, T, C)
        note("embed", x)
        block_caches = []
        for i, block in enumerate(self.blocks):
            x, block_cache = block.forward(x, block.mixer.empty(len(ids)), prefixed(note, f"blocks.{i}."))  # (B, T, C)
            block_caches.append(block_cache)
        x, norm_cache = self.norm_f.forward(x)  # (B, T, C)
        note("norm_f", x)
        logits, head_cache = self.head.forward(x)  # (B, T, V)
        note("logits", logits)
        return logits, Cache(token_cache, block_caches, norm_cache, head_cache)

    def backward(self, dlogits: Array, cache: Cache, note: Note = ignore) -> None:
        """dlogits (B, T, V) -> adds to every parameter's gradient."""
        note("logits", dlogits)
        dx = self.head.backward(dlogits, cache.head)  # (B, T, C)
        note("norm_f", dx)
        dx = self.norm_f.backward(dx, cache.norm_f)
        for i in reversed(range(len(self.blocks))):
            dx = self.blocks[i].backward(dx, cache.blocks[i], prefixed(note, f"blocks.{i}."))
        note("embed", dx)
        self.token_embedding.backward(dx, cache.token_embedding)

    def remember(self, batch_size: int) -> list[State]:
        """An empty state for `next_logits`, one entry a block, of the same size however much is read."""
        return [block.mixer.empty(batch_size) for block in self.blocks]

    def next_logits(self, ids: Array, past: list[State]) -> Array:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too. Raises what a forward raises."""
        x = self.token_embedding(self.checked(ids))  # (B, R, C)
        for i, block in enumerate(self.blocks):
            x, cache = block.forward(x, past[i])  # (B, R, C)
            past[i] = block.mixer.state_after(cache.mixer, x.shape[1])
        return self.head(self.norm_f(x[:, -1]))  # (B, V): only the last position is asked
