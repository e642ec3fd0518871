"""More than one process, started by torch's own launcher: torchrun --nproc-per-node=2 examples/train_text.py --backend torch

Every process ("rank") holds the whole model, computes the gradient of its own part of each batch, and the gradients are
averaged between backward and step (DistributedDataParallel). The mean over equal parts of means over their positions is the
mean over all positions, so the ranks together make the very step that one process would make with the whole batch.

On CPUs the processes talk through gloo, on GPUs through NCCL. Where one of them dies, torchrun ends the others with an error.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from .device import pick_device

if TYPE_CHECKING:
    from ..models.base import LanguageModel


class Ranks(NamedTuple):
    """Which process this is, of how many, and its place among those of its machine; 0, 1, 0 without torchrun."""

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0


def join_ranks(device: str = "auto") -> tuple[Ranks, torch.device]:
    """Joins the processes that torchrun has started; and the device of this one. Without torchrun there is one process.

    device : as for pick_device; "cuda" and "auto" give each process of a machine a GPU of its own.
    Raises ValueError where the device does not exist.
    """
    if "RANK" not in os.environ:
        return Ranks(), pick_device(device)
    ranks = Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    chosen = pick_device(device)
    if chosen.type == "cuda" and chosen.index is None:
        chosen = pick_device(f"cuda:{ranks.local_rank}")
        torch.cuda.set_device(chosen)
    if chosen.type == "mps":  # neither gloo nor NCCL knows it
        chosen = torch.device("cpu")
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return ranks, chosen


def leave_ranks() -> None:
    """The end of `join_ranks`, at which the ranks wait for one another; without torchrun nothing happens.

    A rank that has done its work could still die with gloo: "terminate called without an active exception", status -6. gloo's
    threads live as long as their group, which a sharded model holds to the end. So one of them, held up, may come to delete
    its last operation only when Python is about to shut down. The operation has tensors, so the thread waits for Python's
    lock; and Python (before 3.14) ends the threads that wait for it then, in the midst of C++ that allows no such end.

    Nothing waits for the threads but the group's end. But a barrier has a weak reference to every operation that they have
    not let go of, and c10 deletes nothing that a weak reference points to. So the last operation is a barrier, kept for ever.
    """
    if dist.is_initialized():
        if dist.get_backend() == "gloo":
            barrier = dist.barrier(async_op=True)
            barrier.wait()
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(barrier))
        dist.destroy_process_group()


def wait_for_all() -> None:
    """Goes on when every rank has come here."""
    if dist.is_initialized():
        dist.barrier()


def distribute(model: "LanguageModel", ranks: Ranks, *, shard: bool = False) -> None:
    """From now on `model.loss_and_grad` averages the gradients over the ranks. With one rank nothing happens.

    The model must be the same on every rank: made from one seed, or loaded from one checkpoint. Make the optimiser afterwards.
    shard : each rank keeps only its part of every weight, gradient and moment, and the ranks put a block's weights together
        when its turn comes (`fully_shard`, known as FSDP): for models that do not fit one device. Saving then needs all ranks.
    """
    if ranks.ranks == 1:
        return
    model.ranks = ranks
    if shard:
        from torch.distributed.device_mesh import DeviceMesh
        from torch.distributed.fsdp import fully_shard

        world: Any = dist.group.WORLD  # the one group there is, which `leave_ranks` leaves (Any: None before `join_ranks`)
        mesh = DeviceMesh.from_group(world, model.device.type)
        for block in getattr(model, "blocks", ()):
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)  # what is left: embeddings, the last norm, the head
    else:
        # Not as an attribute: the wrapper holds the model, and torch would look for parameters in it, in a circle.
        model.__dict__["wrapper"] = DistributedDataParallel(model)


@contextmanager
def unsynchronized(model: Any) -> Iterator[None]:
    """no_sync for a sharded model (Any: torch changes its class): gradients are kept whole and are not yet averaged."""
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of which this rank may hold a part only, put together; every rank must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The inverse of `whole`: this rank's part of a tensor, cut as the parameter is; the tensor itself where that is whole."""
    if not isinstance(parameter, DTensor):
        return tensor
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)


def mean_over_ranks(value: float, device: torch.device) -> float:
    """The mean of a number over all ranks; every rank gets the same."""
    total = torch.tensor(value, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    dist.all_reduce(total)
    return total.item() / dist.get_world_size()
