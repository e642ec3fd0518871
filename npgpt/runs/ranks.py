"""A run of one process, or of those that torchrun has started ("ranks"): the same script for both, and for both backends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def join_ranks(backend: ModuleType, device: str) -> tuple[tuple[int, int, int], object]:
    """((which process this is, of how many, its place on its machine), its device); 0, 1, 0 without torchrun.

    Raises ValueError where there are several and the backend computes in one alone, and for a device that is not there.
    """
    if hasattr(backend, "join_ranks"):
        return backend.join_ranks(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("torchrun has started several processes, which --backend numpy cannot use: add --backend torch")
    return (0, 1, 0), backend.pick_device(device)


@contextmanager
def first_rank_first(backend: ModuleType, rank: int, ranks: int) -> Iterator[None]:
    """The first process goes through its block alone, the others afterwards: what it writes there, they find."""
    if rank:
        backend.wait_for_all()
    yield
    if rank == 0 and ranks > 1:
        backend.wait_for_all()
