"""GPTModel: token ids in, logits for the next token out; and the way back, written out.

    ids -> token_embedding + position -> block 0 -> ... -> block n-1 -> ln_f -> head -> logits

`forward` reads from top to bottom, `backward` from bottom to top; both pass through the same names.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from . import ops
from .config import GPTConfig
from .device import pick_device
from .layers import Block, Embedding, FeedForward, LayerNorm, Linear, Masks, MultiHeadAttention, dropped, undropped
from .memory import keep_freed_memory
from .ops.attention import Note, ignore
from .ops.dropout import dropout_mask
from .ops.embedding import check_ids
from .parameters import Parameter, Store
from .weights import check_state_dict, initial_weights, is_trainable, weight_shapes

DTYPES = ("float32", "float64")


def get_position_encoding(seq_len: int, n_embd: int, *, device: str = "cpu", dtype: str = "float32") -> Array:
    """The fixed sines and cosines of every position: (1, seq_len, n_embd). See npgpt/ops/embedding.py."""
    pick_device(device)
    return ops.sinusoids(seq_len, n_embd).astype(dtype)[None]


def checked_ids(ids: Array, config: GPTConfig, name: str = "ids") -> Array:
    """ids as an integer array (B, T) that the model can take. Raises TypeError or ValueError saying what is wrong."""
    ids = np.asarray(ids)
    if ids.ndim != 2:
        raise ValueError(f"{name} must have the shape (B, T), got {ids.shape}")
    check_ids(name, ids, config.vocab_size)
    if ids.shape[1] > config.seq_len:
        raise ValueError(f"{name} have {ids.shape[1]} positions, more than the model's seq_len of {config.seq_len}")
    return ids


class Cache(NamedTuple):
    token_embedding: tuple
    position: tuple
    blocks: list[tuple]
    ln_f: tuple
    head: tuple
    dropout: tuple | None = None


class GPTModel:
    """A GPT in NumPy. `model(ids)` gives logits; `loss_and_grad` runs backward and adds to every parameter's gradient.

    Parameters
    ----------
    config : GPTConfig
    device : "cpu" (or "auto"): NumPy computes on the CPU. The parameter stands here so that scripts need not know the backend.
    seed : the weights' seed. The torch twin draws the same weights from the same seed.
    dtype : "float32" or "float64".

    Where config.dropout is above 0, `loss_and_grad` drops, and nothing else does. The masks come from `model.dropout_rng`, a
    NumPy generator that starts from the seed; the torch twin draws the same masks.
    """

    backend = "npgpt"  # the package whose AdamW, clip_grad_norm, ... belong to this model

    def __init__(self, config: GPTConfig, device: str = "cpu", *, seed: int = 0, dtype: str = "float32"):
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
        self.config, self.device, self.dtype = config, pick_device(device), dtype
        self.dropout_rng = dropout_generator(seed)
        keep_freed_memory()
        self._build(np.dtype(dtype))
        self.load_state_dict(initial_weights(config, seed))

    def _build(self, dtype: np.dtype) -> None:
        config, shapes = self.config, weight_shapes(self.config)
        self.store = Store({name: s for name, s in shapes.items() if is_trainable(name, config)}, dtype)
        buffers = Store({name: s for name, s in shapes.items() if not is_trainable(name, config)}, dtype, trainable=False)
        tensors = self.store.parameters | buffers.parameters
        self._tensors: dict[str, Parameter] = {name: tensors[name] for name in shapes}  # in the state_dict's order

        def linear(name: str) -> Linear:
            return Linear(tensors[name + ".weight"], tensors.get(name + ".bias"))

        def layer_norm(name: str) -> LayerNorm:
            return LayerNorm(tensors[name + ".weight"], tensors[name + ".bias"])

        def block(name: str) -> Block:
            mha = MultiHeadAttention(
                tensors[name + ".mha.Wqkv.weight"],
                tensors.get(name + ".mha.Wqkv.bias"),
                tensors[name + ".mha.projection.weight"],
                tensors[name + ".mha.projection.bias"],
                config.n_head,
            )
            ln2 = layer_norm(name + ".ln2") if config.ffn_size else None
            ffn = FeedForward(linear(name + ".ffn.up"), linear(name + ".ffn.down")) if config.ffn_size else None
            return Block(layer_norm(name + ".ln1"), mha, ln2, ffn)

        self.token_embedding = Embedding(tensors["token_embedding.weight"])
        if config.position == "learned":
            self.position_embedding = Embedding(tensors["position_embedding.weight"])
            self.position_encoding = self.position_embedding.weight[None]  # (1, seq_len, C), a view
        else:
            self.position_embedding = None
            self.position_encoding = get_position_encoding(config.seq_len, config.n_embd, dtype=dtype)
        self.blocks = [block(f"blocks.{i}") for i in range(config.n_layer)]
        self.ln_f = layer_norm("ln_f")
        # A tied head is a Linear over the embedding's own array: both then add to the one gradient.
        head_weight = tensors["token_embedding.weight" if config.tie_weights else "head.weight"]
        self.head = Linear(head_weight, tensors.get("head.bias"))

    # ------------------------------------------------------------------------------------------------- forward, backward

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V) and what `backward` needs. `note(name, array)` is shown every intermediate;
        `masks(shape)` gives the dropout masks, None leaves dropout out."""
        embed, token_cache = self.token_embedding.forward(ids)  # (B, T, C)
        note("embed", embed)
        note("pos_embed", self.position_encoding[:, : ids.shape[1]])
        x, position_cache = ops.add_position(embed, self.position_encoding[0])  # (B, T, C)
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
        dembed, dposition = ops.add_position_backward(dx, cache.position)  # (B, T, C), (seq_len, C)
        note("pos_embed", dposition[None, : dx.shape[1]])
        if self.position_embedding is not None:
            self.position_embedding.dweight += dposition
        note("embed", dembed)
        self.token_embedding.backward(dembed, cache.token_embedding)

    def __call__(self, ids: Array) -> Array:
        """ids (B, T) integers -> logits (B, T, V). Raises TypeError or ValueError where ids do not fit the model."""
        return self.forward(checked_ids(ids, self.config))[0]

    def loss(self, ids: Array, targets: Array) -> float:
        """The mean cross-entropy, in nats, of the targets (B, T) over all B * T positions. No gradients are kept."""
        return float(ops.cross_entropy(self(ids), np.asarray(targets))[0])

    def loss_and_grad(self, ids: Array, targets: Array, scale: float = 1.0) -> float:
        """The loss; and adds its gradient, times `scale`, to that of every parameter (`zero_grad` clears them)."""
        logits, cache = self.forward(checked_ids(ids, self.config), masks=self.dropout_masks())
        loss, loss_cache = ops.cross_entropy(logits, np.asarray(targets))
        self.backward(ops.cross_entropy_backward(scale, loss_cache), cache)
        return float(loss)

    def dropout_masks(self) -> Masks | None:
        """What draws the masks of one forward pass; None where the config drops nothing."""
        p = self.config.dropout
        return (lambda shape: dropout_mask(self.dropout_rng, shape, p, self.dtype)) if p else None

    def trace(self, ids: Array, targets: Array | None = None) -> dict[str, tuple[Array, Array | None]]:
        """Every intermediate, in the order of computation: name -> (value, gradient), the gradient None without targets.

        The arrays are copies. The parameters' gradients stay as they were.
        """
        values: dict[str, Array] = {}
        gradients: dict[str, Array] = {}
        logits, cache = self.forward(checked_ids(ids, self.config), lambda name, array: values.update({name: array.copy()}))
        if targets is not None:
            _, loss_cache = ops.cross_entropy(logits, np.asarray(targets))
            kept = self.store.grad.copy()
            self.backward(
                ops.cross_entropy_backward(1.0, loss_cache),
                cache,
                lambda name, array: gradients.update({name: array.copy()}),
            )
            self.store.grad[:] = kept
        return {name: (value, gradients.get(name)) for name, value in values.items()}

    # -------------------------------------------------------------------------------------------------------- parameters

    def parameters(self) -> list[Parameter]:
        """The trainable parameters, in the state_dict's order."""
        return list(self.store.parameters.values())

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """The same as (name, parameter) pairs."""
        return list(self.store.parameters.items())

    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return self.store.data.size

    def zero_grad(self) -> None:
        """Sets every gradient to 0."""
        self.store.grad[:] = 0

    def gradients(self) -> dict[str, Array]:
        """Name -> a copy of the parameter's gradient."""
        return {name: parameter.grad.copy() for name, parameter in self.named_parameters()}

    def state_dict(self) -> dict[str, Array]:
        """Name -> array, parameters and buffers. The arrays are the model's own: writing to one changes the model."""
        return {name: tensor.data for name, tensor in self._tensors.items()}

    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Copies the arrays in, cast to the model's dtype. Raises ValueError, nothing loaded, where a name or shape is off."""
        check_state_dict(state_dict, self.config)
        arrays = {name: np.asarray(state_dict[name]) for name in self._tensors}
        for name, tensor in self._tensors.items():
            tensor.data[...] = arrays[name]


def dropout_generator(seed: int) -> np.random.Generator:
    """The generator of a model's dropout masks: another stream than that of its weights, from the same seed."""
    return np.random.default_rng([seed, 1])


def prefixed(note: Note, prefix: str) -> Note:
    """The same observer for names inside a block; the one that ignores everything stays itself, which costs no extra call."""
    return ignore if note is ignore else lambda name, array: note(prefix + name, array)
