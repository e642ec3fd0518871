"""The training loop, one for both backends: it calls only what the two packages share.

batch -> loss_and_grad -> clip_grad_norm -> AdamW.step -> zero_grad, and again.
"""

import contextlib
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .optim import parameter_groups
from .types import Model, Optimizer


class TrainingDiverged(ArithmeticError):
    """The loss or the gradient became nan or inf. `step` says when (from 1), `tensor` names the largest gradient."""

    def __init__(self, step: int, what: str, tensor: str, size: float):
        super().__init__(
            f"training stopped at step {step}: the {what}; largest gradient: {tensor}, max |g| = {size:g}. "
            f"The weights are those from before this step. A lower learning rate often helps."
        )
        self.step, self.tensor = step, tensor


def train(
    model: Model,
    batches: Iterable,
    *,
    steps: int,
    learning_rate: float | Callable[[int], float] = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    max_norm: float = 1.0,
    accumulate: int = 1,
    optimizer: Optimizer | None = None,
    start: int = 0,
    on_gradient: Callable[[int, float, float], None] | None = None,
    on_step: Callable[[int, float, float], bool | None] | None = None,
) -> list[float]:
    """Trains the model up to step `steps` and returns the loss of each step, in nats.

    On Linux an LSTM or a Mamba of npgpt, where its batches are large enough, is trained by as many processes as there are
    threads (machine/processes.py): they see the weights change, and no other change that is made to the model meanwhile.

    Parameters
    ----------
    model : of any kind, of either backend.
    batches : yields (ids, targets), both (B, T) integers; see `random_batches` and `RandomWindows`.
    learning_rate : a number, or a function of the step (from 1), such as `cosine_schedule`.
    betas, weight_decay : see AdamW; the decay is that of the matrices (`parameter_groups`).
    max_norm : the gradient's norm is clipped to it.
    accumulate : how many batches make one step. Their gradients are averaged, so a step is that of one batch `accumulate` times
        as large, in the memory of a small one; the loss of the step is the mean of theirs.
    optimizer : an AdamW to go on with (betas and weight_decay are then its own); None makes one.
    start : how many steps have been made before; the first is then start + 1.
    on_gradient : called before each update with (step, loss, gradient norm before clipping), while the parameters hold the
        gradients that the update is made of: averaged over the batches of the step, and clipped.
    on_step : called after each update with (step, loss, gradient norm before clipping). Where it returns True, the run ends.

    Raises TrainingDiverged where a loss or a gradient is nan or inf, before it reaches the weights; ValueError where `batches`
    ends early, or an argument is out of range.
    """
    for name, value, least in (("steps", steps, 1), ("accumulate", accumulate, 1), ("start", start, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    backend = sys.modules[model.backend]  # npgpt or torchgpt: whichever package made the model
    rate_at = learning_rate if callable(learning_rate) else lambda step: learning_rate
    parameters = list(model.parameters())
    if optimizer is None:
        # Without decay there is one group, whose parameters AdamW takes as one vector: two would cut it into a piece a layer.
        groups = parameter_groups(model, weight_decay) if weight_decay else parameters
        optimizer = backend.AdamW(groups, lr=rate_at(start + 1), betas=betas, weight_decay=weight_decay)
    optimizer.zero_grad()
    losses: list[float] = []
    batches = iter(batches)
    in_processes = getattr(model, "in_processes", contextlib.nullcontext)  # npgpt's, for layers that go step by step
    with in_processes():
        for step in range(start + 1, steps + 1):
            optimizer.lr = rate_at(step)
            with np.errstate(over="ignore", invalid="ignore"):  # nan and inf are looked for below, in words of our own
                loss = accumulated_loss_and_grad(model, batches, accumulate, step, steps)
                norm = backend.clip_grad_norm(parameters, max_norm)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
                    raise TrainingDiverged(step, what, *largest_gradient(model))
                if on_gradient is not None:
                    on_gradient(step, loss, norm)
                optimizer.step()
            optimizer.zero_grad()
            losses.append(loss)
            if on_step is not None and on_step(step, loss, norm) is True:
                break
    return losses


def accumulated_loss_and_grad(model: Model, batches: Iterator, count: int, step: int, steps: int) -> float:
    """The mean loss of the next `count` batches; its gradient is added to the parameters'.

    The loss of one batch is a mean over its positions. The mean of `count` such means is the mean over all positions, so each
    batch's gradient enters with the factor 1 / count.
    """
    no_sync = getattr(model, "no_sync", contextlib.nullcontext)  # torchgpt's, for runs of several processes
    total = 0.0
    for number in range(1, count + 1):
        try:
            ids, targets = next(batches)
        except StopIteration:
            raise ValueError(f"batches ended after {step - 1} of {steps} steps") from None
        with contextlib.nullcontext() if number == count else no_sync():  # gradients travel once a step
            total += model.loss_and_grad(ids, targets) if count == 1 else model.loss_and_grad(ids, targets, 1 / count)
    mean = total / count
    return model.mean_over_ranks(mean) if hasattr(model, "mean_over_ranks") else mean


def cosine_schedule(step: int, *, learning_rate: float, min_learning_rate: float, warmup_steps: int, decay_steps: int) -> float:
    """The learning rate of a step (from 1): a straight rise, then half a cosine wave down.

    It rises over the first warmup_steps, while Adam's means know little yet, to learning_rate; falls to min_learning_rate until
    step decay_steps + 1; and stays there. The shape, to the number, of nanoGPT's `get_lr` (whose iterations count from 0).
    Source: Loshchilov, Hutter 2017, arXiv:1608.03983, equation 5, without restarts.
    """
    done = step - 1
    if done < warmup_steps:
        return learning_rate * (done + 1) / (warmup_steps + 1)
    if done > decay_steps:
        return min_learning_rate
    share = (done - warmup_steps) / max(1, decay_steps - warmup_steps)  # 0 .. 1 of the way down
    return min_learning_rate + (learning_rate - min_learning_rate) * 0.5 * (1 + math.cos(math.pi * share))


def evaluate(model: Model, batches: Iterable, count: int) -> float:
    """The mean loss of the first `count` batches, in nats. Nothing is trained.

    Raises ValueError where count is below 1 or there are fewer batches.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    losses = [model.loss(ids, targets) for ids, targets in itertools.islice(batches, count)]
    if len(losses) < count:
        raise ValueError(f"batches ended after {len(losses)} of {count}")
    return sum(losses) / count


def largest_gradient(model: Model) -> tuple[str, float]:
    """(name, max |g|) of the parameter with the largest gradient; a gradient with a nan counts as larger than any other."""
    sizes = {name: float(np.abs(gradient).max()) for name, gradient in model.gradients().items()}
    name = max(sizes, key=lambda name: (math.isnan(sizes[name]), sizes[name]))
    return name, sizes[name]
