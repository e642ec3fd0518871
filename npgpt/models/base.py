"""LanguageModel: what every language model here has, so that training, generation, checkpoints and pictures need not know which
one it is. Ids in, logits for the next token out; a loss, its gradient, a trace of everything in between.

A kind of model (gpt.py, ...) is a config and a class that adds what stands first in LanguageModel: the layout of its weights,
its layers, forward and backward, and what generation carries along. (What a cache or a memory holds is each kind's own, so it
is Any there.)

A line in `KINDS` (__init__.py), and one in torchgpt's, makes it known to all the rest. What it can then do is what
parity_tests/test_contract.py says.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray as Array
from numpy.typing import ArrayLike

from ..layers import Masks, Tensors
from ..machine import rows
from ..machine.device import pick_device
from ..machine.memory import keep_freed_memory
from ..machine.parameters import Parameter, Store
from ..machine.processes import can_fork
from ..machine.sharing import Replicas
from ..ops.cross_entropy import cross_entropy, cross_entropy_backward
from ..ops.dropout import dropout_mask
from ..ops.embedding import check_ids
from ..ops.note import Note, ignore
from .config import Config
from .layout import Fill, Layout, drawn, taken_from
from .trace import Trace

DTYPES = ("float32", "float64")


def checked_ids(ids: ArrayLike, vocab_size: int, context: int | None = None, name: str = "ids") -> Array:
    """ids as an integer array (B, T) that the model can take. Raises TypeError or ValueError saying what is wrong."""
    ids = np.asarray(ids)
    if ids.ndim != 2:
        raise ValueError(f"{name} must have the shape (B, T), got {ids.shape}")
    check_ids(name, ids, vocab_size)
    if context is not None and ids.shape[1] > context:
        raise ValueError(f"{name} have {ids.shape[1]} positions, more than the model's seq_len of {context}")
    return ids


def checked_where(where: ArrayLike, shape: tuple[int, ...]) -> Array:
    """where as booleans of the targets' shape (B, T). Raises TypeError or ValueError."""
    where = np.asarray(where)
    if where.dtype != bool:
        raise TypeError(f"where must hold booleans, got {where.dtype}")
    if where.shape != shape:
        raise ValueError(f"where has the shape {where.shape}, the targets {shape}")
    return where


def check_room(seen: int, more: int, context: int) -> None:
    """Raises ValueError where `more` positions after those that were seen are more than the context has."""
    if seen + more > context:
        raise ValueError(f"{seen} positions seen and {more} more are more than the model's seq_len of {context}")


def dropout_generator(seed: int) -> "np.random.Generator":
    """The generator of a model's dropout masks: another stream than that of its weights, from the same seed."""
    return np.random.default_rng([seed, 1])


class LanguageModel:
    """`model(ids)` gives logits; `loss_and_grad` runs backward and adds to every parameter's gradient.

    Parameters
    ----------
    config : of the model's kind.
    device : "cpu" (or "auto"): NumPy computes on the CPU. The parameter stands here so that scripts need not know the backend.
    seed : the weights' seed. The torch twin draws the same weights from the same seed.
    dtype : "float32" or "float64".
    weights : weights(name, array) writes what the model starts from, each array once; None draws initial values from the seed.

    Where config.dropout is above 0, `loss_and_grad` drops, and nothing else does. The masks come from `model.dropout_rng`, a
    NumPy generator that starts from the seed; the torch twin draws the same masks.
    """

    backend = "npgpt"  # the package whose AdamW, clip_grad_norm, ... belong to this model
    config: Config

    # ------------------------------------------------------------------------------------------------ what a kind of model adds

    config_class: ClassVar[type[Config]]

    @staticmethod
    def layout_of(config: Any) -> Layout:
        """The weights of a config of that class, in the state_dict's order (layout.py)."""
        raise NotImplementedError

    @property
    def context(self) -> int | None:
        """The longest sequence that one call takes; None where there is no end."""
        return None

    @property
    def numbers_of_a_step(self) -> int | None:
        """How many numbers one step of one sequence computes, where a layer goes step by step through T (machine/sharing.py);
        None where none does."""
        return None

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over those arrays (a tied head.weight is there under its own name too)."""
        raise NotImplementedError

    def forward(self, ids: Array, note: Note = ignore, masks: Masks | None = None) -> tuple[Array, Any]:
        """ids (B, T) -> logits (B, T, V), and what `backward` needs. Shows `note` every intermediate by its name, from "embed"
        to "logits"."""
        raise NotImplementedError

    def backward(self, dlogits: Array, cache: Any, note: Note = ignore) -> None:
        """dlogits (B, T, V) -> adds to every parameter's gradient; shows `note` the gradient of each of those names."""
        raise NotImplementedError

    def remember(self, batch_size: int) -> list[Any]:
        """What generation carries along, an entry a block."""
        raise NotImplementedError

    def next_logits(self, ids: Array, past: list[Any]) -> Array:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------------------------------- making it

    def __init__(
        self, config: Config, device: str = "cpu", *, seed: int = 0, dtype: str = "float32", weights: Fill | None = None
    ):
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
        self.config, self.device, self.dtype = config, pick_device(device), dtype
        self.layout: Layout = type(self).layout_of(config)
        self.widest = max(width for entry in self.layout.values() for width in entry.shape[-1:])  # the features of a layer
        self.dropout_rng = dropout_generator(seed)
        keep_freed_memory()
        self.build(dtype)
        self._fill(weights or drawn(self.layout, seed))

    def build(self, dtype: str) -> None:
        """Arrays of that dtype, all 0, and the layers over them."""
        shapes = {trained: {n: e.shape for n, e in self.layout.items() if e.trained is trained} for trained in (True, False)}
        self.store = Store(shapes[True], dtype)
        self.buffers = Store(shapes[False], dtype, trainable=False)
        self.replicas = Replicas(self)
        self._connect()

    def _connect(self) -> None:
        tensors = self.store.parameters | self.buffers.parameters
        self.tensors: dict[str, Parameter] = {name: tensors[name] for name in self.layout}  # in the state_dict's order
        # A tied head is a Linear over the embedding's own array: both then add to the one gradient.
        tied = {"head.weight": self.tensors["token_embedding.weight"]} if self.config.tie_weights else {}
        self.connect(self.tensors | tied)

    def _fill(self, weights: Fill) -> None:
        for name, tensor in self.tensors.items():
            weights(name, tensor.data)

    def replica(self, store: Store | None = None) -> "LanguageModel":
        """The same model over another store; by default over the same weights, with gradients of its own: what one more thread
        works on."""
        replica = copy.copy(self)
        replica.store = store or self.store.with_own_gradients()
        replica._connect()
        return replica

    # ------------------------------------------------------------------------------------------- logits, loss, gradients, trace

    def __call__(self, ids: ArrayLike) -> Array:
        """ids (B, T) integers -> logits (B, T, V). Raises TypeError or ValueError where ids do not fit the model."""
        return self.forward(self.checked(ids))[0]

    def checked(self, ids: ArrayLike) -> Array:
        """ids as an integer array (B, T) that the model can take. Raises TypeError or ValueError saying what is wrong."""
        return checked_ids(ids, self.config.vocab_size, self.context)

    def checked_pair(self, ids: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
        """ids and targets as integer arrays of one shape (B, T). Raises TypeError or ValueError saying what is wrong."""
        ids, targets = self.checked(ids), np.asarray(targets)
        if targets.shape != ids.shape:
            raise ValueError(f"targets have the shape {targets.shape}, the ids {ids.shape}")
        check_ids("targets", targets, self.config.vocab_size)
        return ids, targets

    def loss(self, ids: ArrayLike, targets: ArrayLike) -> float:
        """The mean cross-entropy, in nats, of the targets (B, T) over all B * T positions. No gradients are kept. A large batch
        is split between threads, as in `loss_and_grad`."""
        return self.replicas.loss(*self.checked_pair(ids, targets))

    def loss_alone(self, ids: Array, targets: Array) -> float:
        """What `loss` is about, on this thread."""
        logits, _ = self.forward(ids)  # (B, T, V)
        return float(cross_entropy(logits, targets)[0])

    def loss_and_grad(self, ids: ArrayLike, targets: ArrayLike, scale: float = 1.0) -> float:
        """The loss; and adds its gradient, times `scale`, to that of every parameter (`zero_grad` clears them).

        A large batch is split between threads (machine/sharing.py). With dropout it stays whole: the masks come from one
        generator, in one order, the same as in torchgpt.
        """
        ids, targets = self.checked_pair(ids, targets)
        if self.config.dropout:
            return self.loss_and_grad_alone(ids, targets, scale)
        return self.replicas.loss_and_grad(ids, targets, scale)

    @contextmanager
    def in_processes(self) -> Iterator[None]:
        """A context for a training: where a layer goes step by step, large batches are split between as many processes as there
        are threads (machine/processes.py), on Linux. They see the weights change, and no other change to the model."""
        if self.numbers_of_a_step is None or not can_fork():
            yield
            return
        replicas, self.replicas = self.replicas, Replicas(self, in_processes=True)
        try:
            yield
        finally:
            self.replicas.close()
            self.replicas = replicas

    def loss_and_grad_alone(self, ids: Array, targets: Array, scale: float) -> float:
        """What `loss_and_grad` is about: forward, loss, and the way back, on this thread."""
        with rows.in_place(longest=max(ids.shape[1], self.widest)):
            logits, cache = self.forward(ids, masks=self.dropout_masks())  # (B, T, V)
            loss, loss_cache = cross_entropy(logits, targets)
            del logits  # with a large vocabulary nothing takes more memory, and the way back has as large ones of its own
            dlogits = cross_entropy_backward(scale, loss_cache)  # (B, T, V)
            self.backward(dlogits, cache)
        return float(loss)

    def dropout_masks(self) -> Masks | None:
        """What draws the masks of one forward pass; None where the config drops nothing."""
        p = self.config.dropout
        return (lambda shape: dropout_mask(self.dropout_rng, shape, p, self.dtype)) if p else None

    def trace(self, ids: ArrayLike, targets: ArrayLike | None = None, where: ArrayLike | None = None) -> Trace:
        """Every intermediate, in the order of computation: name -> (value, gradient), the gradient None without targets.

        where (B, T) booleans : the gradient is that of the mean loss over these positions; None: over all of them. Without
            targets it says nothing.
        The arrays are copies. The parameters' gradients stay as they were. Raises TypeError or
        ValueError where ids, targets or where do not fit.
        """
        values: dict[str, Array] = {}
        gradients: dict[str, Array] = {}
        logits, cache = self.forward(self.checked(ids), copies_into(values))
        if targets is not None:
            ids, targets = self.checked_pair(ids, targets)
            asked = ... if where is None else checked_where(where, targets.shape)  # all of them is what a training step asks
            _, loss_cache = cross_entropy(logits[asked], targets[asked])
            dlogits = np.zeros_like(logits)  # (B, T, V): 0 where nobody asks
            dlogits[asked] = cross_entropy_backward(1.0, loss_cache)
            kept = self.store.grad.copy()
            self.backward(dlogits, cache, copies_into(gradients))
            self.store.grad[:] = kept
        return Trace({name: (value, gradients.get(name)) for name, value in values.items()})

    # -------------------------------------------------------------------------------------------------------------- parameters

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
        return {name: tensor.data for name, tensor in self.tensors.items()}

    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Copies the arrays in, cast to the model's dtype. Raises ValueError, nothing loaded, where a name or shape is off."""
        self._fill(taken_from(state_dict, self.layout))

    def __deepcopy__(self, memo: dict) -> "LanguageModel":
        """A model of its own, its gradients 0 as in torch. (Copied one by one, the arrays would no longer be views.)"""
        twin = type(self)(self.config, dtype=self.dtype, weights=taken_from(self.state_dict(), self.layout))
        twin.dropout_rng = copy.deepcopy(self.dropout_rng)
        return twin

    # ------------------------------------------------------------------------------------------------- how it shows itself

    def __repr__(self) -> str:
        from ..pictures.shown import model_text

        return model_text(self)

    def _repr_html_(self) -> str:
        from ..pictures.shown import model_html

        return model_html(self)


def copies_into(arrays: dict[str, Array]) -> Note:
    """An observer that keeps a copy of whatever it is shown."""
    return lambda name, array: arrays.update({name: array.copy()})
