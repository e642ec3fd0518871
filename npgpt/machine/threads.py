"""Threads: how one training step uses all of the processor.

NumPy lets go of Python's global lock while it computes, so two threads that each work on half of a batch really run at the same
time. That beats a BLAS that splits every single product between the cores: the halves meet once a step instead of a hundred
times, and the work that is no product (GELU, LayerNorm, softmax, AdamW) is shared out as well.

Where work is shared out here, BLAS is held to one thread for as long, so that the threads do not fight over the cores.
"""

import contextvars
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from numpy import ndarray as Array

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Result = TypeVar("Result")

# In parameters x positions: a thread of ours should have at least so much to do, or starting it costs more than it saves; and a
# forward pass so much for BLAS to split its products, each of which is a small part of it.
WORK_OF_A_TASK, WORK_FOR_BLAS = 2**24, 2**28

# With fewer positions a weight comes from memory for little arithmetic, and the products are short: a token of GPT-2's 124 M
# parameters is 49 of them. One thread of BLAS reads 14 GB/s in them. Two may read more on an idle machine, but where anything
# else runs they wait for each other at each product: 4 tokens a second in place of 13 to 21 (two cores, others at work there).
POSITIONS_FOR_BLAS = 64

PIECE = 2**17  # elements: whoever passes over a long vector several times does so in pieces that stay in the processor's cache


def _at_first() -> int:
    """OMP_NUM_THREADS, which BLAS and torch follow too, where it is set; else as many as the process may use cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_num_threads = _at_first()
_here = threading.local()  # .in_a_task: whether this thread is at work on a task
_one_at_a_time = threading.Lock()  # of those who share out work: together they would want more threads than there are cores

# BLAS has one thread count for the whole process. How many hold it to one thread at the moment, and what it had before: a list
# of (library, its threads). The lock is held while either changes.
_holders = 0
_before: list[tuple[Any, int]] = []
_changing = threading.Lock()


def get_num_threads() -> int:
    """How many threads a step may use. At first: as many as the process may use cores, or OMP_NUM_THREADS where that is set."""
    return _num_threads


def set_num_threads(threads: int) -> None:
    """Lets training steps, the optimiser and BLAS use this many threads, at least 1, from now on.

    The same number of threads gives the same bits again; another one sums in another order, which is equal up to rounding.
    """
    global _num_threads, _before
    checked_threads(threads)
    with _changing:
        _num_threads = threads
        wanted = [(library, threads) for library in _blas().lib_controllers]
        if _holders:  # a step is running in another thread: from its end on
            _before = wanted
        else:
            _set_blas(wanted)


def checked_threads(threads: int) -> int:
    """The number itself. Raises TypeError where it is no integer, ValueError where it is below 1."""
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise TypeError(f"threads must be an integer, got {threads!r}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    return threads


def slices(size: int, smallest: int) -> list[slice]:
    """0..size cut into as many equal slices as there are threads; into fewer where they would get shorter than `smallest`."""
    count = max(1, min(_num_threads, size // smallest))
    return [slice(i * size // count, (i + 1) * size // count) for i in range(count)]


def in_pieces(function: Callable[..., Result], *vectors: Array) -> list[Result]:
    """function(*pieces) for every piece of the vectors, which all have one length: the results, in order. Long vectors are
    worked on by all threads."""

    def work(part: slice) -> list[Result]:
        pieces = [slice(start, min(start + PIECE, part.stop)) for start in range(part.start, part.stop, PIECE)]
        return [function(*(vector[piece] for vector in vectors)) for piece in pieces]

    parts = run_together([partial(work, part) for part in slices(vectors[0].size, smallest=2 * PIECE)])
    return [result for results in parts for result in results]


def run_together(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Calls every task, each in a thread of its own, and gives back their results in order. One task is simply called.

    An exception in a task is raised here once all have ended. Tasks must not call `run_together` themselves (`in_a_task`).
    """
    if len(tasks) == 1:
        return [tasks[0]()]
    tasks = [partial(as_a_task, task) for task in tasks]
    with _one_at_a_time, one_thread_of_blas():
        # A copied context carries np.errstate along; this thread takes the first task itself.
        others = [_pool(os.getpid()).submit(contextvars.copy_context().run, task) for task in tasks[1:]]
        try:
            first = tasks[0]()
        finally:
            for other in others:
                other.exception()  # waits until it has ended
        return [first, *(other.result() for other in others)]


def in_a_task() -> bool:
    """Whether this thread is at work on a task of `run_together`: then all are busy, and there is nobody to share with."""
    return getattr(_here, "in_a_task", False)


def as_a_task(task: Callable[[], Result]) -> Result:
    _here.in_a_task = True
    try:
        return task()
    finally:
        _here.in_a_task = False


def too_little_for_blas(positions: int, parameters: int) -> bool:
    """Whether a forward pass of so many positions through so many parameters is too little for more than one thread of BLAS."""
    return positions < POSITIONS_FOR_BLAS or positions * parameters < WORK_FOR_BLAS


def blas_for(positions: int, parameters: int) -> AbstractContextManager:
    """A context in which BLAS has one thread if the forward pass is too little for more; otherwise one that changes nothing."""
    return one_thread_of_blas() if too_little_for_blas(positions, parameters) else nullcontext()


@contextmanager
def one_thread_of_blas() -> Iterator[None]:
    """A context in which BLAS has one thread. Several threads may be in it at once: the last one out gives BLAS back what it
    had before the first one came."""
    global _holders, _before
    with _changing:
        _holders += 1
        if _holders == 1:
            _before = [(library, library.num_threads) for library in _blas().lib_controllers]
            _set_blas([(library, 1) for library, _ in _before])
    try:
        yield
    finally:
        with _changing:
            _holders -= 1
            if not _holders:
                _set_blas(_before)


def _set_blas(counts: list[tuple[Any, int]]) -> None:
    """Gives each library so many threads, whichever thread asks. (threadpoolctl 3.8 listens to one thread alone, the first that
    sets a number, until it is told otherwise; here a lock makes the order.)"""
    for library, threads in counts:
        free = getattr(library, "clear_controlling_thread", lambda force=False: None)
        free(force=True)
        library.set_num_threads(threads)
        free()


def _in_a_forked_process() -> None:
    """The process holds a copy of everything but of the other threads: what they were about to unlock or to give back stays as
    it is for ever, unless it is done here."""
    global _one_at_a_time, _changing, _holders
    _one_at_a_time, _changing = threading.Lock(), threading.Lock()
    if _holders:
        _holders = 0
        _set_blas(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_forked_process)


@cache
def _pool(process: int) -> "ThreadPoolExecutor":
    """The waiting threads; a forked process, which inherits none of them, gets its own."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=256, thread_name_prefix="npgpt")  # it starts only as many as are ever busy at once


@cache
def _blas() -> Any:  # threadpoolctl has no types
    """threadpoolctl's handle on the BLAS libraries that are loaded (OpenBLAS, MKL, BLIS); Apple's Accelerate has none."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
