"""How many threads torch may use on a CPU, under the names of npgpt/machine/threads.py."""

import torch

from npgpt.machine.threads import checked_threads


def get_num_threads() -> int:
    """How many threads an operation on the CPU may use. At first torch's own choice, as many as there are cores."""
    return torch.get_num_threads()


def set_num_threads(threads: int) -> None:
    """Lets operations on the CPU use this many threads, at least 1, from now on."""
    torch.set_num_threads(checked_threads(threads))
