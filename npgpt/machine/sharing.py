"""How a batch is shared out to threads: data parallelism.

Every thread runs forward and backward over its own share of the batch's sequences, on a replica of the model: the same weights,
gradients of its own. The loss is a mean over all positions, so the whole batch's loss and gradient are the sums of the shares',
each weighed by its part of the sequences. While a model is trained whose layers go step by step, the replicas are in processes
(processes.py), and a thread waits for each.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from numpy import ndarray as Array

from .processes import ReplicaInAProcess
from .threads import WORK_OF_A_TASK, in_pieces, run_together, slices

if TYPE_CHECKING:
    from ..models.base import LanguageModel

# A share has at least so many positions: its gradients are as many numbers as the model has, whatever the share, and they have
# to be added up.
POSITIONS_OF_A_SHARE = 256

# A layer that goes step by step makes many short calls, each of which holds Python's lock for a moment: where a share's step is
# of fewer numbers, threads wait for each other more than they help. (T = 64, two threads instead of one. An LSTM of 128
# features: 0.6 times as fast with 12 sequences, 3,072 numbers a share, 1.3 times with 48, 12,288. A Mamba of 128 features with
# 12 sequences, 24,576 numbers a share: 1.2 times.)
NUMBERS_OF_A_STEP = 2**13


def shares_of_a_batch(B: int, T: int, parameters: int, step: int | None = None) -> list[slice]:
    """Which of B sequences of T positions each thread gets. step : the numbers that one step of one sequence computes, where a
    layer goes step by step through T."""
    positions = max(POSITIONS_OF_A_SHARE, WORK_OF_A_TASK / parameters)
    return slices(B, smallest=max(math.ceil(positions / T), math.ceil(NUMBERS_OF_A_STEP / step) if step else 1))


class Replicas:
    """The replicas of one model, made when they are first needed; in_processes : each in a process of its own."""

    def __init__(self, model: "LanguageModel", in_processes: bool = False):
        self.model, self.in_processes = model, in_processes
        self.made: list[LanguageModel | ReplicaInAProcess] = []

    def shares(self, B: int, T: int) -> list[tuple[slice, float]]:
        """Which of B sequences of T positions each worker gets, and what part of the batch they are."""
        step = None if self.in_processes else self.model.numbers_of_a_step
        shares = shares_of_a_batch(B, T, self.model.num_parameters(), step)
        return [(share, (share.stop - share.start) / B) for share in shares]

    def workers(self, count: int) -> "list[LanguageModel | ReplicaInAProcess]":
        """The model itself, and replicas for the others."""
        while len(self.made) < count - 1:
            self.made.append(ReplicaInAProcess(self.model) if self.in_processes else self.model.replica())
        return [self.model, *self.made[: count - 1]]

    def loss(self, ids: Array, targets: Array) -> float:
        """The loss of the batch (B, T). A forward pass leaves nothing in the model, so threads need no replicas."""
        shares = self.shares(*ids.shape)
        workers = self.workers(len(shares)) if self.in_processes else [self.model] * len(shares)
        tasks = [
            partial(worker.loss_alone, ids[share], targets[share]) for worker, (share, _) in zip(workers, shares, strict=True)
        ]
        return self.sum_of_losses(tasks, shares)

    def loss_and_grad(self, ids: Array, targets: Array, scale: float) -> float:
        """The loss of the batch (B, T); adds `scale` times its gradient to that of every parameter. The same as
        `model.loss_and_grad_alone`, which the shares run; a small batch is not split."""
        shares = self.shares(*ids.shape)
        if len(shares) == 1:
            return self.model.loss_and_grad_alone(ids, targets, scale)
        workers = self.workers(len(shares))
        tasks = [
            partial(worker.loss_and_grad_alone, ids[share], targets[share], scale * weight)
            for worker, (share, weight) in zip(workers, shares, strict=True)
        ]
        loss = self.sum_of_losses(tasks, shares)
        move_gradients([worker.store.grad for worker in workers[1:]], self.model.store.grad)
        return loss

    def sum_of_losses(self, tasks: Sequence[Callable[[], float]], shares: list[tuple[slice, float]]) -> float:
        """The batch's loss; each task gives that of its share. Where one fails, no replica is kept: its gradients may be half
        filled, or its process dead."""
        try:
            losses = run_together(tasks)
        except BaseException:
            self.close()
            raise
        return sum(weight * loss for (_, weight), loss in zip(shares, losses, strict=True))

    def close(self) -> None:
        """Lets go of all replicas; their processes end."""
        for replica in self.made:
            if isinstance(replica, ReplicaInAProcess):
                replica.close()
        self.made.clear()


def move_gradients(sources: list[Array], target: Array) -> None:
    """Adds each source, a long vector, to the target, and leaves 0 behind."""

    def move(target: Array, *sources: Array) -> None:
        for source in sources:
            target += source
            source[:] = 0

    in_pieces(move, target, *sources)
