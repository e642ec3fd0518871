"""LanguageModel in PyTorch: what every model here has, the twin of npgpt/models/base.py.

A kind of model (gpt.py, ...) adds what stands first in LanguageModel. The backward pass is torch's autograd: what `note` is
shown must be the very tensors that the logits are made of, since a trace asks for their gradients. (What a memory, `past`,
holds is each kind's own, so it is Any here.)
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray as Array
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from npgpt.models.base import DTYPES, checked_ids, checked_where, dropout_generator
from npgpt.models.config import Config
from npgpt.models.layout import Fill, Layout, check_state_dict, drawn
from npgpt.models.trace import Trace
from npgpt.ops.dropout import dropout_mask
from npgpt.ops.note import Note, ignore

from ..layers import Masks, Tensors
from ..machine.device import pick_device
from ..machine.distributed import DTensor, Ranks, mean_over_ranks, unsynchronized, whole


class LanguageModel(nn.Module):
    """`model(ids)` gives logits; `loss_and_grad` runs autograd and adds to every parameter's gradient.

    Parameters
    ----------
    config : of the model's kind.
    device : "auto", "cpu", "cuda", "cuda:N" or "mps"; see `pick_device`.
    seed : the weights' seed. The NumPy twin draws the same weights from the same seed.
    dtype : "float32" or "float64" (MPS has no float64); or "bfloat16": weights, gradients and optimiser stay float32, and
        torch's autocast computes the products in bfloat16.
    weights : weights(name, array) writes what the model starts from, each array once; None draws initial values from the seed.

    Where config.dropout is above 0, `loss_and_grad` drops, and nothing else does. The masks come from `model.dropout_rng`, a
    NumPy generator: the same masks as the twin's, on every device, at the price of drawing them on the CPU.
    """

    backend = "torchgpt"  # the package whose AdamW, clip_grad_norm, ... belong to this model
    config: Config

    # ------------------------------------------------------------------------------------------------ what a kind of model adds

    config_class: ClassVar[type[Config]]
    blocks: Any  # an nn.ModuleList of the kind's Block; to torch its entries are Modules

    @staticmethod
    def layout_of(config: Any) -> Layout:
        """The weights of a config of that class, in the state_dict's order (npgpt/models/layout.py)."""
        raise NotImplementedError

    @property
    def context(self) -> int | None:
        """The longest sequence that one call takes; None where there is no end."""
        return None

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over those tensors (a tied head.weight is there under its own name too)."""
        raise NotImplementedError

    def logits(self, ids: Tensor, note: Note = ignore, masks: Masks | None = None, past: list[Any] | None = None) -> Tensor:
        """Its forward: ids (B, T) on the model's device -> logits (B, T, V); with `past`, of the last position alone."""
        raise NotImplementedError

    def remember(self, batch_size: int) -> list[Any]:
        """What generation carries along, an entry a block."""
        raise NotImplementedError

    def next_logits(self, ids: Tensor | Array, past: list[Any]) -> Tensor:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------------------------------- making it

    def __init__(
        self, config: Config, device: str = "cpu", *, seed: int = 0, dtype: str = "float32", weights: Fill | None = None
    ):
        super().__init__()
        if dtype not in (*DTYPES, "bfloat16"):
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, bfloat16; got {dtype!r}")
        self.config, self.device, self.autocast = config, pick_device(device), dtype == "bfloat16"
        self.dtype = "float32" if self.autocast else dtype  # the weights'
        self.compiled: Callable[..., Tensor] | None = None  # `compile` sets it
        self.dropout_rng = dropout_generator(seed)
        self.ranks = Ranks()  # `distribute` sets both
        self.wrapper: DistributedDataParallel | None = None
        if self.device.type == "mps" and dtype == "float64":
            raise ValueError("dtype 'float64' does not exist on device 'mps'; use float32, or device 'cpu'")
        self.layout: Layout = type(self).layout_of(config)
        weights = weights or drawn(self.layout, seed)
        tensors = {name: self._tensor(name, weights) for name in self.layout}
        tied = {"head.weight": tensors["token_embedding.weight"]} if config.tie_weights else {}
        self.connect(tensors | tied)

    def _tensor(self, name: str, weights: Fill) -> Tensor:
        """The weight of that name on the model's device, as a parameter where it is trained. On the CPU it is written where it
        stays; another device gets it from there, one at a time."""
        entry = self.layout[name]
        tensor = torch.empty(entry.shape, dtype=getattr(torch, self.dtype))
        weights(name, tensor.numpy())
        tensor = tensor.to(self.device)
        return nn.Parameter(tensor) if entry.trained else tensor

    # ------------------------------------------------------------------------------------------- logits, loss, gradients, trace

    def forward(
        self,
        ids: Tensor | Array,
        note: Note = ignore,
        masks: Masks | None = None,
        targets: Tensor | Array | None = None,
        past: list[Any] | None = None,
    ) -> Tensor:
        """ids (B, T) integers -> logits (B, T, V); with targets (B, T), the mean loss. Raises TypeError or ValueError where
        ids or targets do not fit the model.

        `note(name, tensor)` is shown every intermediate; `masks(shape)` gives the dropout masks, None leaves dropout out;
        `past` holds what came before the ids (see `next_logits`), and then only the last position is asked: logits (B, 1, V).
        """
        ids = self.checked(ids) if past is None else ids  # whoever has a past has checked them
        targets = None if targets is None else self.checked(targets, "targets")
        compute: Callable[..., Tensor] = self._compute
        if self.compiled is not None and note is ignore and past is None:
            compute = self.compiled
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return compute(ids, targets, note, masks, past)

    def _compute(self, ids: Tensor, targets: Tensor | None, note: Note, masks: Masks | None, past: list[Any] | None) -> Tensor:
        """All of forward but the checks: what `compile` compiles."""
        logits = self.logits(ids, note, masks, past)
        return logits if targets is None else self._loss(logits, targets)

    def last_logits(self, ids: Tensor, past: list[Any]) -> Tensor:
        """What every kind's `next_logits` ends with: checked ids (B, R) and a past -> logits (B, V) in the model's dtype."""
        with torch.no_grad():
            return self(ids, past=past)[:, -1].to(getattr(torch, self.dtype))

    def compile(self, **options: Any) -> None:
        """From now on torch.compile's version of the model computes. The first batch of each shape takes long.

        options : torch.compile's. Raises ValueError where the config has dropout, whose masks NumPy draws.
        """
        if self.config.dropout:
            raise ValueError(f"a compiled model needs dropout 0, got {self.config.dropout}: NumPy draws the masks")
        self.compiled = torch.compile(self._compute, **options)

    def checked(self, ids: Tensor | Array, name: str = "ids") -> Tensor:
        """ids as a tensor (B, T) on the model's device. Raises TypeError or ValueError saying what is wrong with them."""
        on_cpu = ids.detach().cpu() if isinstance(ids, Tensor) else ids
        checked_ids(np.asarray(on_cpu), self.config.vocab_size, self.context, name)
        return self._to_device(ids)

    def _to_device(self, ids: Tensor | Array) -> Tensor:
        if isinstance(ids, Tensor):
            return ids.to(self.device, torch.int64)
        tensor = torch.from_numpy(np.array(ids, dtype=np.int64))  # a copy, so that nothing is shared with a read-only array
        if self.device.type == "cuda":  # from pinned memory the copy runs while the CPU goes on
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if targets.shape != logits.shape[:-1]:
            raise ValueError(f"targets have the shape {tuple(targets.shape)}, the logits' positions {tuple(logits.shape[:-1])}")
        wide = logits.float() if self.autocast else logits  # a sum over V in bfloat16 would be worth little
        return F.cross_entropy(wide.flatten(0, 1), targets.flatten())

    def _loss_where(self, logits: Tensor, targets: Tensor, where: Array | None) -> Tensor:
        """The mean loss over the positions of `where` (see `trace`)."""
        if where is None or targets.shape != logits.shape[:-1]:  # the latter an error, which `_loss` raises
            return self._loss(logits, targets)
        mask = torch.from_numpy(checked_where(where, tuple(targets.shape))).to(self.device)  # (B, T)
        return self._loss(logits[mask][None], targets[mask][None])

    def loss(self, ids: Tensor | Array, targets: Tensor | Array) -> float:
        """The mean cross-entropy, in nats, of the targets (B, T) over all B * T positions. No gradients are kept."""
        with torch.no_grad():
            return self(ids, targets=targets).item()

    def loss_and_grad(self, ids: Tensor | Array, targets: Tensor | Array, scale: float = 1.0) -> float:
        """The loss; and adds its gradient, times `scale`, to that of every parameter (`zero_grad` clears them).

        In a distributed run ids and targets are this rank's part of the batch, and so is the loss; the gradient is the mean
        over the ranks (distributed.py).
        """
        forward = self if self.wrapper is None else self.wrapper
        loss = forward(ids, masks=self.dropout_masks(), targets=targets)
        (loss * scale).backward()
        return loss.item()

    def no_sync(self) -> AbstractContextManager:
        """Within it the ranks' gradients are not averaged: for all but the last batch of a step. Else it does nothing."""
        return unsynchronized(self) if self.sharded else nullcontext() if self.wrapper is None else self.wrapper.no_sync()

    @property
    def sharded(self) -> bool:
        """Whether this rank holds only its part of the weights."""
        return any(isinstance(p, DTensor) for p in self.parameters())

    def mean_over_ranks(self, loss: float) -> float:
        """The mean of the ranks' losses, which is that of the whole batch; in a run of one process, the loss itself."""
        return loss if self.ranks.ranks == 1 else mean_over_ranks(loss, self.device)

    def dropout_masks(self) -> Masks | None:
        """What draws the masks of one forward pass; None where the config drops nothing. Every rank draws those of the whole
        batch and takes its own rows, as of the batch itself, so the number of ranks changes nothing."""
        p = self.config.dropout
        if not p:
            return None
        rank, ranks, _ = self.ranks

        def mask(shape: tuple[int, ...]) -> Tensor:
            B = shape[0]
            whole = dropout_mask(self.dropout_rng, (ranks * B, *shape[1:]), p, self.dtype)
            return torch.from_numpy(whole[rank * B : (rank + 1) * B]).to(self.device)

        return mask

    def trace(self, ids: Tensor | Array, targets: Tensor | Array | None = None, where: Array | None = None) -> Trace:
        """Every intermediate, in the order of computation: name -> (value, gradient), the gradient None without targets.

        where (B, T) booleans : the gradient is that of the mean loss over these positions; None: over all of them.
        The tensors are copies. The parameters' gradients stay as they were.
        """
        seen: dict[str, Tensor | Sequence[Tensor]] = {}  # a recurrent layer shows a tensor a step
        with torch.enable_grad():
            logits = self(ids, lambda name, value: seen.update({name: value}))
            loss = None if targets is None else self._loss_where(logits, self.checked(targets, "targets"), where)
        steps = {name: [value] if isinstance(value, Tensor) else list(value) for name, value in seen.items()}
        values = {name: copied(tensors, seen[name]) for name, tensors in steps.items()}
        if loss is None:
            return Trace({name: (value, None) for name, value in values.items()})
        gradients = iter(torch.autograd.grad(loss, [tensor for tensors in steps.values() for tensor in tensors]))
        return Trace(
            {name: (value, copied([next(gradients) for _ in steps[name]], seen[name])) for name, value in values.items()}
        )

    # -------------------------------------------------------------------------------------------------------- parameters

    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    def gradients(self) -> dict[str, Array]:
        """Name -> a copy of the parameter's gradient as a NumPy array; 0 where no backward has run since `zero_grad`."""
        return {
            name: whole(torch.zeros_like(p) if p.grad is None else p.grad).detach().cpu().numpy().copy()
            for name, p in self.named_parameters()
        }

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """torch's own (whose type is that of the destination); a tied head appears once, as the token embedding."""
        state_dict = super().state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)
        if self.config.tie_weights:
            del state_dict[prefix + "head.weight"]
        return state_dict

    def load_state_dict(self, state_dict: Mapping[str, Tensor | Array], strict: bool = True, assign: bool = False) -> Any:
        """torch's own; where strict, with every name and shape checked first: ValueError, with nothing loaded, where one is
        off."""
        if strict:
            check_state_dict(state_dict, self.layout)
        state_dict = {name: torch.as_tensor(value) for name, value in state_dict.items()}
        if self.config.tie_weights and "token_embedding.weight" in state_dict:
            state_dict["head.weight"] = state_dict["token_embedding.weight"]
        return super().load_state_dict(state_dict, strict, assign)

    # ------------------------------------------------------------------------------------------------- how it shows itself

    def __repr__(self) -> str:
        from npgpt.pictures.shown import model_text

        return model_text(self)

    def _repr_html_(self) -> str:
        from npgpt.pictures.shown import model_html

        return model_html(self)


def copied(tensors: Sequence[Tensor], seen: Tensor | Sequence[Tensor]) -> Tensor:
    """What a trace keeps of the tensors (values or gradients): one alone as it is, one a step (B, ...) as (B, T, ...)."""
    return tensors[0].detach().clone() if isinstance(seen, Tensor) else torch.stack(tuple(tensors), dim=1).detach()
