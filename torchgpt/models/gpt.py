"""GPTModel in PyTorch: the twin of npgpt/models/gpt.py, name for name. It draws the same weights from the same seed.

    ids -> token_embedding + position -> block 0 -> ... -> block n-1 -> ln_f -> head -> logits

The backward pass is torch's autograd.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray as Array
from torch import Tensor, nn

from npgpt.models.config import GPTConfig
from npgpt.models.gpt import DTYPES, checked_ids, dropout_generator, prefixed
from npgpt.models.weights import check_state_dict, initial_weights, is_trainable
from npgpt.ops import sinusoids
from npgpt.ops.attention import Note, ignore
from npgpt.ops.dropout import dropout_mask

from ..layers import Block, Embedding, FeedForward, KeyValues, LayerNorm, Linear, Masks, MultiHeadAttention, dropped
from ..machine.device import pick_device
from ..machine.distributed import DTensor, Ranks, mean_over_ranks, unsynchronized, whole


def get_position_encoding(seq_len: int, n_embd: int, *, device: str = "cpu", dtype: str = "float32") -> Tensor:
    """The fixed sines and cosines of every position: (1, seq_len, n_embd). See npgpt/ops/embedding.py."""
    return torch.from_numpy(sinusoids(seq_len, n_embd).astype(dtype)).to(pick_device(device))[None]


class GPTModel(nn.Module):
    """A GPT in PyTorch. `model(ids)` gives logits; `loss_and_grad` runs autograd and adds to every parameter's gradient.

    Parameters
    ----------
    config : GPTConfig
    device : "auto", "cpu", "cuda", "cuda:N" or "mps"; see `pick_device`.
    seed : the weights' seed. The NumPy twin draws the same weights from the same seed.
    dtype : "float32" or "float64" (MPS has no float64); or "bfloat16": weights, gradients and optimiser stay float32, and
        torch's autocast computes the products in bfloat16.

    Where config.dropout is above 0, `loss_and_grad` drops, and nothing else does. The masks come from `model.dropout_rng`, a
    NumPy generator: the same masks as the twin's, on every device, at the price of drawing them on the CPU.
    """

    backend = "torchgpt"  # the package whose AdamW, clip_grad_norm, ... belong to this model

    def __init__(self, config: GPTConfig, device: str = "cpu", *, seed: int = 0, dtype: str = "float32"):
        super().__init__()
        if dtype not in (*DTYPES, "bfloat16"):
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, bfloat16; got {dtype!r}")
        self.config, self.device, self.autocast = config, pick_device(device), dtype == "bfloat16"
        self.dtype = "float32" if self.autocast else dtype  # the weights'
        self.compiled = None  # `compile` sets it
        self.dropout_rng = dropout_generator(seed)
        self.ranks = Ranks()  # `distribute` sets both
        self.wrapper = None
        if self.device.type == "mps" and dtype == "float64":
            raise ValueError("dtype 'float64' does not exist on device 'mps'; use float32, or device 'cpu'")
        self._build(initial_weights(config, seed))

    def _build(self, weights: dict[str, Array]) -> None:
        config = self.config
        tensors = {name: torch.from_numpy(array).to(self.device, getattr(torch, self.dtype)) for name, array in weights.items()}

        def linear(name: str) -> Linear:
            weight = name + ".weight"
            return Linear(tensors[weight], tensors.get(name + ".bias"), trainable=is_trainable(weight, config))

        def layer_norm(name: str) -> LayerNorm:
            return LayerNorm(tensors[name + ".weight"], tensors[name + ".bias"])

        def block(name: str) -> Block:
            mha = MultiHeadAttention(linear(name + ".mha.Wqkv"), linear(name + ".mha.projection"), config.n_head)
            ln2 = layer_norm(name + ".ln2") if config.ffn_size else None
            ffn = FeedForward(linear(name + ".ffn.up"), linear(name + ".ffn.down")) if config.ffn_size else None
            return Block(layer_norm(name + ".ln1"), mha, ln2, ffn)

        self.token_embedding = Embedding(tensors["token_embedding.weight"])
        if config.position == "learned":
            self.position_embedding = Embedding(tensors["position_embedding.weight"])
        else:
            self.position_embedding = None
            table = get_position_encoding(config.seq_len, config.n_embd, device=self.device, dtype=self.dtype)
            self.register_buffer("sinusoids", table, persistent=False)
        self.blocks = nn.ModuleList(block(f"blocks.{i}") for i in range(config.n_layer))
        self.ln_f = layer_norm("ln_f")
        if config.tie_weights:
            self.head = Linear(self.token_embedding.weight, tensors.get("head.bias"))
        else:
            self.head = linear("head")

    @property
    def position_encoding(self) -> Tensor:
        """(1, seq_len, C)."""
        return self.sinusoids if self.position_embedding is None else self.position_embedding.weight[None]

    # ----------------------------------------------------------------------------------------------------------- forward

    def forward(
        self,
        ids: Tensor | Array,
        note: Note = ignore,
        masks: Masks | None = None,
        targets: Tensor | Array | None = None,
        past: list[KeyValues] | None = None,
    ) -> Tensor:
        """ids (B, T) integers -> logits (B, T, V); with targets (B, T), the mean loss. Raises TypeError or ValueError where
        ids or targets do not fit the model.

        `note(name, tensor)` is shown every intermediate; `masks(shape)` gives the dropout masks, None leaves dropout out;
        `past` holds what came before the ids (see `next_logits`), and then only the last position is asked: logits (B, 1, V).
        """
        ids = self._ids(ids) if past is None else self._to_device(ids)
        targets = None if targets is None else self._ids(targets, "targets")
        compute = self._compute if self.compiled is None or note is not ignore or past is not None else self.compiled
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return compute(ids, targets, note, masks, past)

    def _compute(
        self, ids: Tensor, targets: Tensor | None, note: Note, masks: Masks | None, past: list[KeyValues] | None
    ) -> Tensor:
        """All of forward but the checks: what `compile` compiles."""
        embed = self.token_embedding(ids)  # (B, T, C)
        note("embed", embed)
        seen = past[0].length if past else 0
        pos_embed = self.position_encoding[:, seen : seen + ids.shape[1]]  # (1, T, C)
        if note is not ignore and not pos_embed.requires_grad:
            pos_embed = pos_embed.clone().requires_grad_()  # so that a trace has its gradient, fixed or not
        note("pos_embed", pos_embed)
        x = dropped(embed + pos_embed, masks)  # (B, T, C)
        for i, block in enumerate(self.blocks):
            x = block(x, prefixed(note, f"blocks.{i}."), masks, past and past[i])  # (B, T, C)
        x = self.ln_f(x if past is None else x[:, -1:])  # (B, T, C)
        note("ln_f", x)
        logits = self.head(x)  # (B, T, V)
        note("logits", logits)
        return logits if targets is None else self._loss(logits, targets)

    def compile(self, **options) -> None:
        """From now on torch.compile's version of the model computes. The first batch of each shape takes long.

        options : torch.compile's. Raises ValueError where the config has dropout, whose masks NumPy draws.
        """
        if self.config.dropout:
            raise ValueError(f"a compiled model needs dropout 0, got {self.config.dropout}: NumPy draws the masks")
        self.compiled = torch.compile(self._compute, **options)

    def remember(self, batch_size: int) -> list[KeyValues]:
        """An empty memory for `next_logits`, one entry a block (in the field: a KV cache)."""
        c = self.config
        like = self.token_embedding.weight.detach()
        return [KeyValues(batch_size, c.n_head, c.seq_len, c.n_embd // c.n_head, like) for _ in self.blocks]

    @torch.no_grad()
    def next_logits(self, ids: Tensor | Array, past: list[KeyValues]) -> Tensor:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too. R must be 1 unless `past` is empty.

        Raises ValueError where the positions seen would be more than seq_len.
        """
        seen, R = past[0].length, ids.shape[1]
        if seen + R > self.config.seq_len:
            raise ValueError(f"{seen} positions seen and {R} more are more than the model's seq_len of {self.config.seq_len}")
        return self(ids, past=past)[:, -1]

    def _ids(self, ids: Tensor | Array, name: str = "ids") -> Tensor:
        """ids, checked, as a tensor on the model's device."""
        on_cpu = ids.detach().cpu() if isinstance(ids, Tensor) else ids
        checked = checked_ids(np.asarray(on_cpu), self.config, name)
        return self._to_device(ids if isinstance(ids, Tensor) else checked)

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
        (loss if scale == 1 else loss * scale).backward()
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

    def trace(self, ids: Tensor | Array, targets: Tensor | Array | None = None) -> dict[str, tuple[Tensor, Tensor | None]]:
        """Every intermediate, in the order of computation: name -> (value, gradient), the gradient None without targets.

        The tensors are copies. The parameters' gradients stay as they were.
        """
        tensors: dict[str, Tensor] = {}
        with torch.enable_grad():
            logits = self(ids, lambda name, tensor: tensors.update({name: tensor}))
            gradients: tuple[Tensor | None, ...] = (None,) * len(tensors)
            if targets is not None:
                loss = self._loss(logits, self._ids(targets, "targets"))
                gradients = torch.autograd.grad(loss, list(tensors.values()))
        return {
            name: (value.detach().clone(), gradient) for (name, value), gradient in zip(tensors.items(), gradients, strict=True)
        }

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

    def state_dict(self, *args, **kwargs):
        """torch's own; a tied head appears once, as the token embedding."""
        state_dict = super().state_dict(*args, **kwargs)
        if self.config.tie_weights:
            state_dict.pop(kwargs.get("prefix", "") + "head.weight", None)
        return state_dict

    def load_state_dict(self, state_dict: Mapping[str, Tensor | Array], strict: bool = True, assign: bool = False):
        """torch's own, with every name and shape checked first: ValueError, with nothing loaded, where one is off."""
        if strict:
            check_state_dict(state_dict, self.config)
        state_dict = {name: torch.as_tensor(value) for name, value in state_dict.items()}
        if self.config.tie_weights:
            state_dict["head.weight"] = state_dict["token_embedding.weight"]
        return super().load_state_dict(state_dict, strict, assign)
