"""An LSTM language model: the plain, classic one. No norm, no residual stream; each layer reads what the one below shows.

    ids -> token_embedding -> block 0 -> ... -> block n-1 -> head -> logits

`forward` reads from top to bottom, `backward` from bottom to top. What a layer computes is derived in npgpt/ops/lstm.py; what
every kind of model has stands in base.py.
"""

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..layers import DropoutCache, Embedding, EmbeddingCache, Linear, LinearCache, Masks, Tensors, dropped, undropped
from ..ops.lstm import Cache as LSTMCache
from ..ops.lstm import lstm, lstm_backward
from ..ops.note import Note, ignore, prefixed
from .base import LanguageModel
from .config import Config
from .layout import INIT_STD, Layout, embedding, head, matrix, normal, uniform, vector


@dataclass(frozen=True)
class LSTMConfig(Config):
    """The shape of an LSTM. Immutable; `dataclasses.replace(config, n_layer=2)` makes a changed copy.

    Parameters
    ----------
    vocab_size : V, the number of tokens.
    n_layer : the number of LSTM layers.
    n_embd : C, the length of a token's vector.
    n_hidden : H, the length of a layer's memory c and of what it shows, h.
    seq_len : the window of training. The model takes longer sequences, and generates without end.
    tie_weights : whether the head uses the token embedding as its weight; n_hidden must then be n_embd.
    head_bias : whether the head has a bias.
    dropout : p, the share of numbers that training sets to 0 between one layer and the next (as torch.nn.LSTM's).

    Raises TypeError for a value of the wrong type and ValueError for one out of range; both name the option, what came and
    what is allowed.
    """

    kind: ClassVar[str] = "lstm"

    vocab_size: int
    n_layer: int
    n_embd: int
    n_hidden: int
    seq_len: int
    _: KW_ONLY
    tie_weights: bool = False
    head_bias: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self.check_integers("vocab_size", "n_layer", "n_embd", "n_hidden", "seq_len")
        self.check_booleans("tie_weights", "head_bias")
        self.check_dropout()
        if self.tie_weights and self.n_hidden != self.n_embd:
            raise ValueError(
                f"tie_weights needs n_hidden equal to n_embd, since the head then reads h by the token's vectors; "
                f"got n_hidden={self.n_hidden}, n_embd={self.n_embd}"
            )

    @classmethod
    def article(cls) -> "LSTMConfig":
        """An LSTM of the article's size, 248 parameters: embedding 96, the layer 40 + 16, head 96."""
        return cls(vocab_size=32, n_layer=1, n_embd=3, n_hidden=2, seq_len=12)


def layout(config: LSTMConfig) -> Layout:
    """The names, shapes and initial values of the weights: those of torch.nn.LSTM, gates in the order i, f, g, o.

    A layer's matrices start uniform within 1/sqrt(H), its biases at 0, but for the forget gate's bias_ih, which starts at 1: at
    first a memory is kept rather than lost (Jozefowicz, Zaremba, Sutskever 2015).
    """
    V, C, H = config.vocab_size, config.n_embd, config.n_hidden
    draw = uniform(1 / math.sqrt(H))
    entries = embedding("token_embedding", V, C)
    for i in range(config.n_layer):
        layer = f"blocks.{i}.lstm."
        entries |= matrix(layer + "weight_ih", (4 * H, C if i == 0 else H), draw)
        entries |= matrix(layer + "weight_hh", (4 * H, H), draw)
        entries |= vector(layer + "bias_ih", 4 * H, np.repeat([0.0, 1.0, 0.0, 0.0], H))
        entries |= vector(layer + "bias_hh", 4 * H, 0)
    return entries | head(V, H, normal(INIT_STD), tied=config.tie_weights, bias=config.head_bias)


class LSTM:
    """One layer's four parameters."""

    weight_ih: Array  # (4H, I)
    weight_hh: Array  # (4H, H)
    bias_ih: Array  # (4H,)
    bias_hh: Array  # (4H,)

    def __init__(self, tensors: Tensors, name: str):
        self.names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        for part in self.names:
            tensor = tensors[f"{name}.{part}"]
            setattr(self, part, tensor.data)
            setattr(self, "d" + part, tensor.grad)
        self.n_hidden = self.weight_hh.shape[1]

    def zeros(self, B: int) -> tuple[Array, Array]:
        """The state (h, c), each (B, H), before anything was read."""
        return np.zeros((B, self.n_hidden), self.weight_hh.dtype), np.zeros((B, self.n_hidden), self.weight_hh.dtype)

    def __call__(self, x: Array) -> Array:
        return self.forward(x, self.zeros(len(x)))[0]

    def forward(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, LSTMCache]:
        h0, c0 = state
        return lstm(x, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, h0, c0)  # (B, T, H)

    def backward(self, dy: Array, cache: LSTMCache, note: Note = ignore) -> Array:
        dx, *gradients, _, _ = lstm_backward(dy, cache, note)  # the state before the text is no parameter
        for part, gradient in zip(self.names, gradients, strict=True):
            own = getattr(self, "d" + part)
            own += gradient
        return dx


class Block:
    """One layer of the model: an LSTM over what the layer below shows, x (B, T, C or H)."""

    def __init__(self, tensors: Tensors, name: str):
        self.lstm = LSTM(tensors, name + ".lstm")

    def __call__(self, x: Array) -> Array:
        return self.lstm(x)

    def forward(self, x: Array, state: tuple[Array, Array], note: Note = ignore) -> tuple[Array, LSTMCache]:
        y, cache = self.lstm.forward(x, state)  # (B, T, H)
        for gate in "ifgo":
            note(gate, getattr(cache, gate))
        note("c", cache.c)
        note("h", cache.h)
        return y, cache

    def backward(self, dy: Array, cache: LSTMCache, note: Note = ignore) -> Array:
        return self.lstm.backward(dy, cache, note)


class Cache(NamedTuple):
    token_embedding: EmbeddingCache
    blocks: list[LSTMCache]
    dropouts: list[DropoutCache | None]  # between one block and the next
    head: LinearCache


class LSTMModel(LanguageModel):
    """An LSTM in NumPy. See LanguageModel for its parameters, and for all that is not forward, backward or memory."""

    config: LSTMConfig
    config_class, layout_of = LSTMConfig, staticmethod(layout)

    @property
    def numbers_of_a_step(self) -> int:
        """The gates of one layer."""
        return 4 * self.config.n_hidden

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the arrays."""
        self.token_embedding = Embedding(tensors, "token_embedding")
        self.blocks = [Block(tensors, f"blocks.{i}") for i in range(self.config.n_layer)]
        self.head = Linear(tensors, "head")

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V) and what `backward` needs. `note(name, array)` is shown every intermediate;
        `masks(shape)` gives the dropout masks, None leaves dropout out. Every sequence starts from an empty state."""
        x, token_cache = self.token_embedding.forward(ids)  # (B, T, C)
        note("embed", x)
        block_caches, dropout_caches = [], []
        for i, block in enumerate(self.blocks):
            x, dropout_cache = dropped(x, masks if i > 0 else None)
            dropout_caches.append(dropout_cache)
            x, block_cache = block.forward(x, block.lstm.zeros(len(ids)), prefixed(note, f"blocks.{i}."))  # (B, T, H)
            block_caches.append(block_cache)
        logits, head_cache = self.head.forward(x)  # (B, T, V)
        note("logits", logits)
        return logits, Cache(token_cache, block_caches, dropout_caches, head_cache)

    def backward(self, dlogits: Array, cache: Cache, note: Note = ignore) -> None:
        """dlogits (B, T, V) -> adds to every parameter's gradient."""
        note("logits", dlogits)
        dx = self.head.backward(dlogits, cache.head)  # (B, T, H)
        for i in reversed(range(len(self.blocks))):
            dx = self.blocks[i].backward(dx, cache.blocks[i], prefixed(note, f"blocks.{i}."))  # (B, T, C or H)
            dx = undropped(dx, cache.dropouts[i])
        note("embed", dx)
        self.token_embedding.backward(dx, cache.token_embedding)

    def remember(self, batch_size: int) -> list[tuple[Array, Array]]:
        """An empty state for `next_logits`: (h, c) of every layer, of the same size however much is read."""
        return [block.lstm.zeros(batch_size) for block in self.blocks]

    def next_logits(self, ids: Array, past: list[tuple[Array, Array]]) -> Array:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too. Raises what a forward raises."""
        x = self.token_embedding(self.checked(ids))  # (B, R, C)
        for i, block in enumerate(self.blocks):
            x, cache = block.forward(x, past[i])  # (B, R, H)
            past[i] = cache.h[:, -1], cache.c[:, -1]
        return self.head(x[:, -1])  # (B, V): only the last position is asked
