"""GPTModel: token ids in, logits for the next token out; and the way back, written out.

    ids -> token_embedding + position -> block 0 -> ... -> block n-1 -> ln_f -> head -> logits

`forward` reads from top to bottom, `backward` from bottom to top; both pass through the same names.
"""

import copy
import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .. import ops
from ..layers import Block, Embedding, FeedForward, KeyValues, LayerNorm, Linear, Masks, MultiHeadAttention, dropped, undropped
from ..machine.device import pick_device
from ..machine.memory import keep_freed_memory
from ..machine.parameters import BLOCK, Parameter, Store
from ..machine.threads import WORK_OF_A_SHARE, run_together, shares
from ..ops.attention import Note, ignore
from ..ops.dropout import dropout_mask
from ..ops.embedding import check_ids
from .config import GPTConfig
from .weights import check_state_dict, initial_weights, is_trainable, weight_shapes

DTYPES = ("float32", "float64")

# A thread's share of a batch has at least so many positions: its gradients are as many numbers as the model has, whatever the
# share, and they have to be added up.
POSITIONS_OF_A_SHARE = 256


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


def shares_of_a_batch(B: int, T: int, parameters: int) -> list[slice]:
    """Which of B sequences of T positions each thread gets."""
    return shares(B, smallest=max(math.ceil(POSITIONS_OF_A_SHARE / T), math.ceil(WORK_OF_A_SHARE / (T * parameters))))


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
        self.buffers = Store({name: s for name, s in shapes.items() if not is_trainable(name, config)}, dtype, trainable=False)
        self.replicas: list[GPTModel] = []
        self._connect()

    def _connect(self) -> None:
        """Makes the module tree over the arrays in the two stores."""
        config, dtype, tensors = self.config, self.store.data.dtype, self.store.parameters | self.buffers.parameters
        self._tensors: dict[str, Parameter] = {name: tensors[name] for name in weight_shapes(config)}  # the state_dict's order

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

    def remember(self, batch_size: int) -> list[KeyValues]:
        """An empty memory for `next_logits`, one entry a block (in the field: a KV cache)."""
        c = self.config
        return [KeyValues(batch_size, c.n_head, c.seq_len, c.n_embd // c.n_head, self.store.data.dtype) for _ in self.blocks]

    def next_logits(self, ids: Array, past: list[KeyValues]) -> Array:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too.

        Raises ValueError where the positions seen would be more than seq_len.
        """
        seen, R = past[0].length, ids.shape[1]
        if seen + R > self.config.seq_len:
            raise ValueError(f"{seen} positions seen and {R} more are more than the model's seq_len of {self.config.seq_len}")
        x, _ = self.token_embedding.forward(ids)  # (B, R, C)
        x, _ = ops.add_position(x, self.position_encoding[0, seen:])  # (B, R, C)
        for block, keys_and_values in zip(self.blocks, past, strict=True):
            x, _ = block.forward(x, past=keys_and_values)  # (B, R, C)
        return self.head(self.ln_f(x[:, -1]))  # (B, V): only the last position is asked

    def __call__(self, ids: Array) -> Array:
        """ids (B, T) integers -> logits (B, T, V). Raises TypeError or ValueError where ids do not fit the model."""
        return self.forward(checked_ids(ids, self.config))[0]

    def loss(self, ids: Array, targets: Array) -> float:
        """The mean cross-entropy, in nats, of the targets (B, T) over all B * T positions. No gradients are kept."""
        return float(ops.cross_entropy(self(ids), np.asarray(targets))[0])

    def loss_and_grad(self, ids: Array, targets: Array, scale: float = 1.0) -> float:
        """The loss; and adds its gradient, times `scale`, to that of every parameter (`zero_grad` clears them).

        A large batch is split between threads (machine/threads.py). This is data parallelism: every thread runs forward and
        backward over its own sequences, with gradients of its own, and since the loss is a mean over all positions, the whole
        batch's gradient is the sum of theirs, each weighed by its share of the positions. (With dropout the batch stays whole:
        its masks come from one generator, in one order, the same as in torchgpt.)
        """
        ids, targets = checked_ids(ids, self.config), np.asarray(targets)
        B, T = ids.shape
        parts = shares_of_a_batch(B, T, self.store.data.size)
        if len(parts) == 1 or self.config.dropout:
            return self._forward_and_backward(ids, targets, scale)
        check_ids("targets", targets, self.config.vocab_size)
        if targets.shape != ids.shape:
            raise ValueError(f"targets have the shape {targets.shape}, the ids {ids.shape}")
        while len(self.replicas) < len(parts) - 1:
            self.replicas.append(self._replica())
        workers = [self, *self.replicas[: len(parts) - 1]]
        weights = [(part.stop - part.start) / B for part in parts]
        try:
            losses = run_together(
                [
                    partial(worker._forward_and_backward, ids[part], targets[part], scale * weight)
                    for worker, part, weight in zip(workers, parts, weights, strict=True)
                ]
            )
        except BaseException:
            self.replicas.clear()  # their gradients may be half filled
            raise
        self._add_gradients(workers[1:])
        return sum(weight * loss for weight, loss in zip(weights, losses, strict=True))

    def _forward_and_backward(self, ids: Array, targets: Array, scale: float) -> float:
        """The loss; adds scale times its gradient to every parameter's."""
        logits, cache = self.forward(ids, masks=self.dropout_masks())
        loss, loss_cache = ops.cross_entropy(logits, targets)
        self.backward(ops.cross_entropy_backward(scale, loss_cache), cache)
        return float(loss)

    def _replica(self) -> "GPTModel":
        """The same model, over the same weights, with gradients of its own: what one more thread works on."""
        replica = copy.copy(self)
        replica.store = self.store.with_own_gradients()
        replica._connect()
        return replica

    def _add_gradients(self, replicas: list["GPTModel"]) -> None:
        """Moves the replicas' gradients over to this model's, and leaves theirs at 0."""

        def move(part: slice) -> None:
            for start in range(part.start, part.stop, BLOCK):
                block = slice(start, min(start + BLOCK, part.stop))
                for replica in replicas:
                    self.store.grad[block] += replica.store.grad[block]
                    replica.store.grad[block] = 0

        run_together([partial(move, part) for part in shares(self.store.grad.size, smallest=2 * BLOCK)])

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

    def __deepcopy__(self, memo: dict) -> "GPTModel":
        """A model of its own, its gradients 0 as in torch. (Copied one by one, the arrays would no longer be views.)"""
        twin = GPTModel(self.config, dtype=self.dtype)
        twin.load_state_dict(self.state_dict())
        twin.dropout_rng = copy.deepcopy(self.dropout_rng)
        return twin

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


def dropout_generator(seed: int) -> "np.random.Generator":
    """The generator of a model's dropout masks: another stream than that of its weights, from the same seed."""
    return np.random.default_rng([seed, 1])


def prefixed(note: Note, prefix: str) -> Note:
    """The same observer for names inside a block; the one that ignores everything stays itself, which costs no extra call."""
    return ignore if note is ignore else lambda name, array: note(prefix + name, array)
