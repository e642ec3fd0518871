"""Processes: how several cores work on a model that goes step by step.

Python has one lock, and every call of NumPy takes it again when its loop has ended. A layer that goes step by step makes
thousands of short calls, so its threads mostly wait for each other (sharing.py). A process has a lock of its own. Two processes
took 0.7 times as long as two threads for a step of a Mamba, and 0.7 to 1.0 times as long as one thread for one of an LSTM (128
features, B = 12, T = 64, two cores; the machine was not always the same).

The price: a process sees the model as it was when the process began. What changes from step to step, the weights, is copied
into memory that both see, and the gradients come back there. So a process lasts no longer than a training
(`LanguageModel.in_processes`).
"""

import mmap
import signal
import sys
import warnings
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray as Array

from .parameters import Store
from .threads import as_a_task, one_thread_of_blas

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from ..models.base import LanguageModel


def can_fork() -> bool:
    """Whether a process can be had that begins as a copy of this one. (macOS has them, but its libraries do not survive it; and
    the processes of a multiprocessing.Pool may have none of their own.)"""
    import multiprocessing

    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def shared_zeros(size: int, dtype: np.dtype) -> Array:
    """Zeros in memory that a forked process shares, and does not get a copy of."""
    return np.frombuffer(mmap.mmap(-1, size * np.dtype(dtype).itemsize), dtype)


class ReplicaInAProcess:
    """A replica of the model (`LanguageModel.replica`) that computes in a process of its own, until `close`. Whoever asks it
    waits for the answer, and lets other threads work meanwhile.

    Raises OSError where the system gives no process or no memory.
    """

    def __init__(self, model: "LanguageModel"):
        import multiprocessing

        self.model = model
        self.store = Store(model.store.shapes(), model.store.data.dtype, zeros=shared_zeros)
        fork = multiprocessing.get_context("fork")
        self.pipe, its_end = fork.Pipe()
        self.process = fork.Process(target=answer, args=(model.replica(self.store), its_end, self.pipe), daemon=True)
        # Ctrl-C reaches all processes of a terminal; this one is to finish its step, and begins with the signal blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # Python 3.12 says that other threads may hold locks; none of ours does.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        its_end.close()

    def loss_and_grad_alone(self, ids: Array, targets: Array, scale: float) -> float:
        """See LanguageModel. The gradients lie in the store of this replica."""
        return self._ask("loss_and_grad_alone", ids, targets, scale)

    def loss_alone(self, ids: Array, targets: Array) -> float:
        """See LanguageModel."""
        return self._ask("loss_alone", ids, targets)

    def _ask(self, *question: Any) -> float:
        self.store.data[:] = self.model.store.data
        try:
            self.pipe.send(question)
            result = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError(f"a process that computes a share of the batch has died ({self.process})") from error
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Ends the process. (To close the pipe is not enough: processes forked meanwhile hold this end of it too.)"""
        with suppress(OSError):  # it is dead already
            self.pipe.send(None)
        self.pipe.close()
        self.process.join()


def answer(replica: "LanguageModel", pipe: "Connection", other_end: "Connection") -> None:
    """What the process does: calls a method of the replica each time it is asked to, until it is told to end, or nobody is
    there to ask."""
    other_end.close()
    with one_thread_of_blas(), suppress(EOFError, ConnectionError):
        while question := pipe.recv():
            name, *arguments = question
            try:
                result = as_a_task(partial(getattr(replica, name), *arguments))
            except Exception as error:
                result = error
            pipe.send(result)
