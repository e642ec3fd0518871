"""The training loop, one for both backends: it calls only what the two packages share.

batch -> loss_and_grad -> clip_grad_norm -> AdamW.step -> zero_grad, and again.
"""

import math
import sys
from collections.abc import Callable, Iterable

import numpy as np


class TrainingDiverged(ArithmeticError):
    """The loss or the gradient became nan or inf. `step` says when (from 1), `tensor` names the largest gradient."""

    def __init__(self, step: int, what: str, tensor: str, size: float):
        super().__init__(
            f"training stopped at step {step}: the {what}; largest gradient: {tensor}, max |g| = {size:g}. "
            f"The weights are those from before this step. A lower learning rate often helps."
        )
        self.step, self.tensor = step, tensor


def train(
    model,
    batches: Iterable,
    *,
    steps: int,
    learning_rate: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    max_norm: float = 1.0,
    on_step: Callable[[int, float, float], None] | None = None,
) -> list[float]:
    """Trains the model for `steps` batches and returns the loss of each, in nats.

    Parameters
    ----------
    model : a GPTModel of either backend.
    batches : yields (ids, targets), both (B, T) integers; see `random_batches`.
    learning_rate, betas, weight_decay : see AdamW.
    max_norm : the gradient's norm is clipped to it.
    on_step : called after each update with (step from 1, loss, gradient norm before clipping).

    Raises TrainingDiverged where a loss or a gradient is nan or inf, before it reaches the weights; ValueError where `batches`
    ends early.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    backend = sys.modules[model.backend]  # npgpt or torchgpt: whichever package made the model
    parameters = list(model.parameters())
    optimizer = backend.AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay)
    optimizer.zero_grad()
    losses: list[float] = []
    batches = iter(batches)
    for step in range(1, steps + 1):
        try:
            ids, targets = next(batches)
        except StopIteration:
            raise ValueError(f"batches ended after {step - 1} of {steps} steps") from None
        with np.errstate(over="ignore", invalid="ignore"):  # nan and inf are looked for below, in words of our own
            loss = model.loss_and_grad(ids, targets)
            norm = backend.clip_grad_norm(parameters, max_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
                raise TrainingDiverged(step, what, *largest_gradient(model))
            optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
        if on_step is not None:
            on_step(step, loss, norm)
    return losses


def largest_gradient(model) -> tuple[str, float]:
    """(name, max |g|) of the parameter with the largest gradient; a gradient with a nan counts as larger than any other."""
    sizes = {name: float(np.abs(gradient).max()) for name, gradient in model.gradients().items()}
    name = max(sizes, key=lambda name: math.inf if math.isnan(sizes[name]) else sizes[name])
    return name, sizes[name]
