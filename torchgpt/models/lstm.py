"""LSTMModel in PyTorch: the twin of npgpt/models/lstm.py, name for name. It draws the same weights from the same seed.

    ids -> token_embedding -> block 0 -> ... -> block n-1 -> head -> logits

Each layer is torch's own kernel, that of torch.nn.LSTM, whose weights these are; a trace, which wants to see the gates, goes
step by step instead. The backward pass is torch's autograd.
"""

from typing import Any

import torch
from numpy import ndarray as Array
from torch import Tensor, nn

from npgpt.models.lstm import LSTMConfig, layout
from npgpt.ops.note import Note, ignore, prefixed

from ..layers import Embedding, Linear, Masks, Tensors, dropped, register
from .base import LanguageModel

State = tuple[Tensor, Tensor]  # (h, c), each (B, H)


class LSTM(nn.Module):
    """One layer's four parameters."""

    weight_ih: Tensor  # (4H, I)
    weight_hh: Tensor  # (4H, H)
    bias_ih: Tensor  # (4H,)
    bias_hh: Tensor  # (4H,)

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            register(self, part, tensors[f"{name}.{part}"])

    def zeros(self, B: int) -> State:
        """The state (h, c), each (B, H), before anything was read."""
        zeros = self.weight_hh.new_zeros(B, self.weight_hh.shape[1]).detach()
        return zeros, zeros

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x (B, T, I) -> y (B, T, H), and the state after it."""
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        options: dict[str, Any] = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "bidirectional": False}
        options["train"] = torch.is_grad_enabled()  # nothing is dropped; but cuDNN refuses the backward of a pass that was none
        # On a CPU torch asks oneDNN, which has an LSTM in bfloat16 for some CPUs alone: there it stays in float32.
        x = x.to(self.weight_ih.dtype) if x.device.type == "cpu" else x
        h0, c0 = (each[None].to(x.dtype) for each in state or self.zeros(len(x)))  # (1, B, H): torch counts layers in front
        with torch.autocast("cpu", enabled=False):
            y, h, c = torch.lstm(x, (h0, c0), weights, **options, batch_first=True)
        return y, (h[0], c[0])

    def step_by_step(self, x: Tensor, note: Note) -> Tensor:
        """The same y, by the formulas; `note` is shown each step's i, f, g, o, c and h."""
        h, c = self.zeros(len(x))  # (B, H)
        steps = []
        for x_t in x.unbind(dim=1):  # (B, I)
            a = x_t @ self.weight_ih.T + self.bias_ih + h @ self.weight_hh.T + self.bias_hh  # (B, 4H)
            a_i, a_f, a_g, a_o = a.chunk(4, dim=1)  # each (B, H)
            i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
            c = f * c + i * g
            h = o * c.tanh()
            steps.append((i, f, g, o, c, h))
        for name, values in zip("ifgoch", zip(*steps, strict=True), strict=True):
            note(name, values)
        return torch.stack([h for *_, h in steps], dim=1)  # (B, T, H)


class Block(nn.Module):
    """One layer of the model: an LSTM over what the layer below shows, x (B, T, C or H)."""

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        self.lstm = LSTM(tensors, name + ".lstm")

    def forward(self, x: Tensor, note: Note = ignore) -> Tensor:
        return self.lstm(x)[0] if note is ignore else self.lstm.step_by_step(x, note)


class LSTMModel(LanguageModel):
    """An LSTM in PyTorch. See LanguageModel for its parameters, and for all that is not forward or memory."""

    config: LSTMConfig
    config_class, layout_of = LSTMConfig, staticmethod(layout)

    def connect(self, tensors: Tensors) -> None:
        """Makes the layers over the tensors."""
        self.token_embedding = Embedding(tensors, "token_embedding")
        self.blocks = nn.ModuleList(Block(tensors, f"blocks.{i}") for i in range(self.config.n_layer))
        self.head = Linear(tensors, "head")

    def logits(self, ids: Tensor, note: Note = ignore, masks: Masks | None = None, past: list[State] | None = None) -> Tensor:
        """ids (B, T) on the model's device -> logits (B, T, V); with `past`, of the last position alone: (B, 1, V)."""
        x = self.token_embedding(ids)  # (B, T, C)
        note("embed", x)
        for i, block in enumerate(self.blocks):
            x = dropped(x, masks if i > 0 else None)
            if past is None:
                x = block(x, prefixed(note, f"blocks.{i}."))  # (B, T, H)
            else:
                x, past[i] = block.lstm(x, past[i])  # (B, T, H)
        logits = self.head(x if past is None else x[:, -1:])  # (B, T, V)
        note("logits", logits)
        return logits

    def remember(self, batch_size: int) -> list[State]:
        """An empty state for `next_logits`: (h, c) of every layer, of the same size however much is read."""
        return [block.lstm.zeros(batch_size) for block in self.blocks]

    def next_logits(self, ids: Tensor | Array, past: list[State]) -> Tensor:
        """ids (B, R), which follow on what `past` has seen -> the logits (B, V) of the token after them. `past` has then
        seen them too. Raises what a forward raises."""
        return self.last_logits(self.checked(ids), past)
