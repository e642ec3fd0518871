"""MambaModel in PyTorch: the twin of npgpt/models/mamba.py, name for name. It draws the same weights from the same seed.

    ids -> token_embedding -> block 0 -> ... -> block n-1 -> norm_f -> head -> logits

Plain PyTorch, which runs on any device. The backward pass is torch's autograd.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from numpy import ndarray as Array
from torch import Tensor, nn

from npgpt.models.mamba import MambaConfig, layout
from npgpt.ops.note import Note, ignore, prefixed

from ..layers import Embedding, Linear, Masks, RMSNorm, Tensors, register
from .base import LanguageModel


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, h0: Tensor, note: Note = ignore
) -> tuple[Tensor, Tensor]:
    """u, delta (B, T, E), A (E, N), B, C (B, T, N), D (E,), h0 (B, E, N) -> y (B, T, E) and the last state (B, E, N).

    The loop goes over `unbind`: with indexing by t, autograd would take a time quadratic in T.
    """
    decay = torch.exp(delta[..., None] * A)  # (B, T, E, N)
    written = (delta * u)[..., None] * B[:, :, None]  # (B, T, E, N)
    h, states = h0, []
    for decay_t, written_t in zip(decay.unbind(1), written.unbind(1), strict=True):
        h = decay_t * h + written_t  # (B, E, N)
        states.append(h)
    note("state", states)
    y = torch.einsum("bten,btn->bte", torch.stack(states, dim=1), C) + D * u  # (B, T, E)
    return y, h


class Conv1d(nn.Module):
    """The depthwise causal convolution: weight (E, 1, K), bias (E,) or None."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        register(self, "weight", tensors[name + ".weight"])
        register(self, "bias", tensors.get(name + ".bias"))

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, E), and the K - 1 letters before it -> y (B, T, E), and the last K - 1 letters."""
        padded = torch.cat([past.to(x.dtype), x], dim=1)  # (B, K-1+T, E)
        y = F.conv1d(padded.transpose(1, 2), self.weight, self.bias, groups=x.shape[2]).transpose(1, 2)  # (B, T, E)
        return y, padded[:, x.shape[1] :]


class State(NamedTuple):
    """What one block carries along: what its convolution and its scan need of the letters before."""

    conv: Tensor  # (B, K - 1, E)
    scan: Tensor  # (B, E, N)


class Mixer(nn.Module):
    """What a block does to the normed stream: see npgpt/models/mamba.py, whose formulas are these lines."""

    A_log: Tensor  # (E, N)
    D: Tensor  # (E,)

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        register(self, "A_log", tensors[name + ".A_log"])
        register(self, "D", tensors[name + ".D"])
        self.in_proj, self.conv1d = Linear(tensors, name + ".in_proj"), Conv1d(tensors, name + ".conv1d")
        self.x_proj, self.dt_proj = Linear(tensors, name + ".x_proj"), Linear(tensors, name + ".dt_proj")
        self.out_proj = Linear(tensors, name + ".out_proj")

    def empty(self, B: int) -> State:
        """The state before anything was read."""
        (E, N), K = self.A_log.shape, self.conv1d.weight.shape[2]
        like = self.A_log.detach()
        return State(like.new_zeros(B, K - 1, E), like.new_zeros(B, E, N))

    def forward(self, x: Tensor, state: State | None = None, note: Note = ignore) -> tuple[Tensor, State]:
        state = state or self.empty(len(x))
        (E, N), R = self.A_log.shape, self.dt_proj.weight.shape[1]
        uz = self.in_proj(x)  # (B, T, 2E)
        note("in_proj", uz)
        u, z = uz.split(E, dim=-1)  # (B, T, E), (B, T, E)
        u, conv_state = self.conv1d(u, state.conv)  # (B, T, E)
        note("conv", u)
        u = F.silu(u)  # (B, T, E)
        note("u", u)
        dt, B, C = self.x_proj(u).split([R, N, N], dim=-1)  # (B, T, R), twice (B, T, N)
        delta = F.softplus(self.dt_proj(dt))  # (B, T, E)
        note("delta", delta)
        note("B", B)
        note("C", C)
        A = -torch.exp(self.A_log)  # (E, N)
        y, scan_state = selective_scan(u, delta, A, B, C, self.D, state.scan, note)  # (B, T, E)
        note("y", y)
        gate = F.silu(z)  # (B, T, E)
        note("gate", gate)
        out = self.out_proj(y * gate)  # (B, T, C)
        note("mixer_out", out)
        return out, State(conv_state, scan_state)


class Block(nn.Module):
    """One block: what the mixer makes of the normed stream is added to the stream x (B, T, C)."""

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        self.norm, self.mixer = RMSNorm(tensors, name + ".norm"), Mixer(tensors, name + ".mixer")

    def forward(self, x: Tensor, state: State | None = None, note: Note = ignore) -> tuple[Tensor, State]:
        note("resid_pre", x)
        normed = self.norm(x)  # (B, T, C)
        note("norm", normed)
        out, state = self.mixer(normed, state, note)  # (B, T, C)
        x = x + out
        note("resid_post", x)
        return x, state


class MambaModel(LanguageModel):
    """A Mamba in PyTorch. See LanguageModel for its parameters, and for all that is not forward or memory."""

    config: MambaConfig
    config_class, layout_of = MambaConfig, staticmethod(layout)

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the tensors."""
        self.token_embedding = Embedding(tensors, "token_embedding")
        self.blocks = nn.ModuleList(Block(tensors, f"blocks.{i}") for i in range(self.config.n_layer))
        self.norm_f = RMSNorm(tensors, "norm_f")
        self.head = Linear(tensors, "head")

    def logits(self, ids: Tensor, note: Note = ignore, masks: Masks | None = None, past: list[State] | None = None) -> Tensor:
        """ids (B, T) on the model's device -> logits (B, T, V); with `past`, of the last position alone: (B, 1, V)."""
        x = self.token_embedding(ids)  # (B, T, C)
        note("embed", x)
        for i, block in enumerate(self.blocks):
            x, state = block(x, past and past[i], prefixed(note, f"blocks.{i}."))  # (B, T, C)
            if past is not None:
                past[i] = state
        x = self.norm_f(x if past is None else x[:, -1:])  # (B, T, C)
        note("norm_f", x)
        logits = self.head(x)  # (B, T, V)
        note("logits", logits)
        return logits

    def remember(self, batch_size: int) -> list[State]:
        """An empty state for `next_logits`, one entry a block, of the same size however much is read."""
        return [block.mixer.empty(batch_size) for block in self.blocks]

    def next_logits(self, ids: Tensor | Array, past: list[State]) -> Tensor:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too. Raises what a forward raises."""
        return self.last_logits(self.checked(ids), past)
