"""Threads: a batch split between them gives the whole batch's loss and gradient, always the same bits, whatever goes wrong."""

import dataclasses
import math
import os
import subprocess
import sys
import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import npgpt
import torchgpt
from npgpt.layers import KeyValues
from npgpt.machine import threads
from npgpt.machine.heads import by_heads, by_heads_backward
from npgpt.machine.parameters import Store
from npgpt.machine.prompt import PartOfKeyValues
from npgpt.machine.sharing import move_gradients, shares_of_a_batch
from npgpt.machine.threads import in_a_task, run_together
from npgpt.ops.attention import TILE
from npgpt.ops.note import ignore

from .tolerances import eps

CONFIG = npgpt.GPTConfig(50, 2, 2, 32, 64, position="learned", tie_weights=True)  # 29,104 parameters
IDS, TARGETS = np.random.default_rng(0).integers(50, size=(2, 80, 64))  # large enough for eight shares


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    before = npgpt.get_num_threads()
    yield
    npgpt.set_num_threads(before)


def gradients(count: int, dtype: str = "float64") -> tuple[float, np.ndarray]:
    npgpt.set_num_threads(count)
    model = npgpt.GPTModel(CONFIG, seed=1, dtype=dtype)
    loss = model.loss_and_grad(IDS, TARGETS)
    assert len(model.replicas.made) == count - 1, "the batch was not split as the test needs it"
    return loss, model.store.grad


@pytest.mark.parametrize("count", [2, 3, 7])  # 80 sequences: even and uneven shares
def test_the_shares_add_up_to_the_whole_batch(count):
    loss, gradient = gradients(1)
    shared_loss, shared_gradient = gradients(count)
    assert abs(shared_loss - loss) <= 8 * eps("float64") * loss
    assert np.abs(shared_gradient - gradient).max() <= 32 * eps("float64") * np.abs(gradient).max()


def test_the_same_number_of_threads_gives_the_same_bits():
    for count in (1, 3):
        first, second = gradients(count, "float32"), gradients(count, "float32")
        assert first[0] == second[0] and np.array_equal(first[1], second[1])


def test_gradients_add_up_over_calls_with_threads_too():
    npgpt.set_num_threads(3)
    model = npgpt.GPTModel(CONFIG, dtype="float64")
    model.loss_and_grad(IDS, TARGETS)
    once = model.store.grad.copy()
    model.loss_and_grad(IDS, TARGETS)
    assert np.abs(model.store.grad - 2 * once).max() <= 32 * eps("float64") * np.abs(once).max()


def test_threads_share_the_weights_even_after_loading_others():
    npgpt.set_num_threads(2)
    model, other = npgpt.GPTModel(CONFIG, seed=1), npgpt.GPTModel(CONFIG, seed=2)
    model.loss_and_grad(IDS, TARGETS)  # makes the replica
    model.load_state_dict(other.state_dict())
    assert model.loss_and_grad(IDS, TARGETS) == other.loss_and_grad(IDS, TARGETS)


def test_a_small_batch_is_not_split():
    npgpt.set_num_threads(8)
    for config, shape in [(npgpt.GPTConfig.article(), (64, 12)), (CONFIG, (2, 64))]:
        model = npgpt.GPTModel(config)
        model.loss_and_grad(*np.zeros((2, *shape), dtype=int))
        assert model.replicas.made == []


def test_bad_targets_are_named_and_leave_no_gradient():
    npgpt.set_num_threads(2)
    model = npgpt.GPTModel(CONFIG)
    for targets, error, message in [
        (np.where(np.arange(80)[:, None] == 79, 50, TARGETS), ValueError, "targets must lie in 0..49 .*got 50"),
        (TARGETS[:, :-1], ValueError, r"targets have the shape \(80, 63\)"),
        (TARGETS.astype(float), TypeError, "targets must be integers"),
    ]:
        with pytest.raises(error, match=message):
            model.loss_and_grad(IDS, targets)
        assert not model.store.grad.any()


def test_a_thread_that_fails_leaves_nothing_behind(monkeypatch):
    npgpt.set_num_threads(2)
    model = npgpt.GPTModel(CONFIG, dtype="float64")
    model.loss_and_grad(IDS, TARGETS)
    right = model.store.grad.copy()
    backward = npgpt.GPTModel.backward

    def fail_at_the_end(self, *args):
        backward(self, *args)
        raise RuntimeError("in the middle")

    monkeypatch.setattr(npgpt.GPTModel, "backward", fail_at_the_end)
    with pytest.raises(RuntimeError, match="in the middle"):
        model.loss_and_grad(IDS, TARGETS)
    monkeypatch.undo()
    model.zero_grad()
    model.loss_and_grad(IDS, TARGETS)
    assert np.array_equal(model.store.grad, right)


def test_fewer_threads_than_before_leave_some_at_rest():
    npgpt.set_num_threads(3)
    model = npgpt.GPTModel(CONFIG, seed=1, dtype="float64")
    model.loss_and_grad(IDS, TARGETS)
    model.zero_grad()
    npgpt.set_num_threads(2)
    assert model.loss_and_grad(IDS, TARGETS) == gradients(2)[0]
    assert np.array_equal(model.store.grad, gradients(2)[1])


def test_with_dropout_the_batch_stays_whole():
    """Its masks come from one generator, in one order."""
    losses = []
    for count in (1, 2):
        npgpt.set_num_threads(count)
        model = npgpt.GPTModel(dataclasses.replace(CONFIG, dropout=0.2), dtype="float64")
        losses.append(model.loss_and_grad(IDS, TARGETS))
        assert model.replicas.made == []
    assert abs(losses[1] - losses[0]) <= 8 * eps("float64") * losses[0]  # BLAS may share out a product


@pytest.mark.parametrize(("piece", "parts"), [(2_000, 3), (6_000, 2), (10_000, 1)])
def test_each_thread_adds_up_its_own_part_of_the_gradients(piece, parts, monkeypatch):
    """Two threads that moved the same elements would add them twice, now and then."""
    npgpt.set_num_threads(3)
    monkeypatch.setattr(threads, "PIECE", piece)
    tasks = []
    monkeypatch.setattr(threads, "run_together", lambda given: tasks.extend(given) or [])
    size = 29_104
    sizes = np.arange(1, size + 1, dtype=np.float32)
    target, sources = np.zeros(size, np.float32), [np.zeros(size, np.float32) for _ in range(2)]
    move_gradients(sources, target)
    assert len(tasks) == parts
    for number, task in enumerate(tasks):
        target[:] = 0
        for source in sources:
            source[:] = sizes
        task()
        moved = np.zeros(size, bool)
        moved[number * size // parts : (number + 1) * size // parts] = True
        assert np.array_equal(target, np.where(moved, 2 * sizes, 0))
        assert all(np.array_equal(source, np.where(moved, 0, sizes)) for source in sources)


def test_long_vectors_are_worked_on_in_pieces_each_once_and_in_order(blas, monkeypatch):
    """Three threads share 26 elements, at least two pieces of 4 each; 7 elements are too few to share."""
    npgpt.set_num_threads(3)
    monkeypatch.setattr(threads, "PIECE", 4)
    numbers = np.arange(26)
    assert [piece.size for piece in threads.in_pieces(lambda piece: piece, numbers)] == [4, 4, 4, 4, 1, 4, 4, 1]
    for size in (7, 26):
        pieces = threads.in_pieces(lambda *pieces: np.stack(pieces), numbers[:size], -numbers[:size])
        assert np.array_equal(np.concatenate(pieces, axis=1), [numbers[:size], -numbers[:size]])


def test_the_optimiser_and_clipping_give_the_same_in_threads():
    results = []
    for count in (1, 2):
        npgpt.set_num_threads(count)
        store = Store({"w": (600_001,)}, "float64")
        store.data[:], store.grad[:] = np.random.default_rng(0).standard_normal((2, 600_001))
        norm = npgpt.clip_grad_norm(store.parameters.values(), 1.0)
        optimizer = npgpt.AdamW(store.parameters.values())
        optimizer.step()
        results.append((norm, store.data))
    (norm, data), (shared_norm, shared_data) = results
    assert abs(shared_norm - norm) <= 64 * eps("float64") * norm
    assert np.abs(shared_data - data).max() <= 1e-12  # the norm's rounding, divided by small gradients' sqrt(v)


# ------------------------------------------------------------------------------------------------------------ running together


def test_tasks_really_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=30)  # three tasks one after another would never meet
    assert threads.run_together([lambda i=i: (meeting.wait(), i)[1] for i in range(3)]) == [0, 1, 2]


def test_errstate_reaches_the_threads():
    with np.errstate(divide="ignore"):
        threads.run_together([lambda: np.array([1.0]) / 0] * 2)
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        threads.run_together([lambda: None, lambda: np.array([1.0]) / 0])


def test_all_tasks_have_ended_when_an_exception_comes():
    ended = []

    def slow():
        threading.Event().wait(0.05)
        ended.append(True)

    with pytest.raises(ZeroDivisionError):
        threads.run_together([lambda: 1 // 0, slow])
    assert ended == [True]


def test_blas_is_held_to_one_thread_inside_and_let_go_after():
    from threadpoolctl import threadpool_info

    def blas_threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    npgpt.set_num_threads(2)
    outside = blas_threads()
    inside = threads.run_together([blas_threads, blas_threads])
    if not outside:
        pytest.skip("no BLAS that can be asked")
    assert inside == [{1}, {1}] and blas_threads() == outside == {2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_gets_threads_of_its_own():
    code = """
import os, npgpt.machine.threads as t
assert t.run_together([lambda: 1, lambda: 2]) == [1, 2]
child = os.fork()
if child == 0:
    os._exit(0 if t.run_together([lambda: 3, lambda: 4]) == [3, 4] else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


# Runs in a process of its own: what a step holds while other threads come, go, change the number or fork.
HELD = """
import os, threading
import npgpt, npgpt.machine.threads as t
from threadpoolctl import threadpool_info

def blas():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

class InAStep:
    def __init__(self, tasks):
        self.inside, self.leave = threading.Event(), threading.Event()
        tasks = [self.work] * tasks
        self.thread = threading.Thread(target=lambda: t.run_together(tasks) if len(tasks) > 1 else self.generate())
    def work(self):
        self.inside.set()
        assert self.leave.wait(30)
    def generate(self):
        with t.blas_for(1, 1):
            self.work()
    def __enter__(self):
        self.thread.start()
        assert self.inside.wait(30)
        return self
    def __exit__(self, *exception):
        self.leave.set()
        self.thread.join(30)

npgpt.set_num_threads(2)
if not blas():
    os._exit(77)  # no BLAS that can be asked
"""
OVERLAPPING = """
first, second = InAStep(2), InAStep(1)
first.__enter__()
second.__enter__()
first.__exit__()
assert blas() == {1}, f"let go while another one holds it: {blas()}"
second.__exit__()
assert blas() == {2}, f"not let go: {blas()}"
"""
CHANGED = """
with InAStep(2):
    npgpt.set_num_threads(3)
    assert npgpt.get_num_threads() == 3 and blas() == {1}, "in the middle of a step"
assert blas() == {3}, f"not changed after the step: {blas()}"
npgpt.set_num_threads(1)
assert blas() == {1}
"""
FORKED = """
import sys
with InAStep(%d):
    child = os.fork()
    if child == 0:
        done = t.run_together([lambda: 3, lambda: 4]) == [3, 4]
        os._exit(0 if done and blas() == {2} else 1)
    waiting = threading.Timer(30, os.kill, (child, 9))  # a child that waits for a lock that nobody holds
    waiting.start()
    status = os.waitpid(child, 0)[1]
    waiting.cancel()
assert status == 0 and blas() == {2}, (status, blas())
"""


@pytest.mark.parametrize(
    "code",
    [
        OVERLAPPING,
        CHANGED,
        pytest.param(FORKED % 2, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")),
        pytest.param(FORKED % 1, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")),
    ],
    ids=["several at once", "the number changes", "forked in a step", "forked in a generation"],
)
def test_while_a_step_runs_other_threads_may_come_change_the_number_and_fork(code):
    """A child forked in the middle of another thread's step waited for ever for its lock; of two threads that held BLAS to one
    thread, the second one out left it so; and a number set in the middle of a step was undone at its end."""
    status = subprocess.run([sys.executable, "-W", "ignore", "-c", HELD + code], timeout=120).returncode
    if status == 77:
        pytest.skip("no BLAS that can be asked")
    assert status == 0


class Blas:
    """A library as threadpoolctl hands it out from 3.8 on: it listens to one thread alone, the first that sets a number, until
    that one lets go of it or is made to."""

    def __init__(self, num_threads, controller=None):
        self.num_threads, self.controller = num_threads, controller

    def set_num_threads(self, num_threads):
        self.controller = self.controller or threading.current_thread()
        if self.controller is threading.current_thread():
            self.num_threads = num_threads

    def clear_controlling_thread(self, force=False):
        if force or self.controller is threading.current_thread():
            self.controller = None


class OlderBlas:
    """As before 3.8: it listens to whoever sets a number."""

    num_threads = 5

    def set_num_threads(self, num_threads):
        self.num_threads = num_threads


@pytest.fixture
def blas(monkeypatch):
    """A library of five threads in place of those that are loaded."""
    library = Blas(5)
    monkeypatch.setattr(threads, "_blas", lambda: SimpleNamespace(lib_controllers=[library]))
    return library


def test_a_library_gets_its_threads_whoever_set_the_last_number_and_is_let_go_of():
    libraries = [OlderBlas(), Blas(5), Blas(5, controller=threading.Thread())]
    threads._set_blas([(library, 2) for library in libraries])
    assert [library.num_threads for library in libraries] == [2, 2, 2]
    assert [library.controller for library in libraries[1:]] == [None, None]


def test_blas_has_one_thread_while_anybody_holds_it_and_then_what_was_set(blas):
    """Two that hold it, in one thread here, and a number that is set in between. (Further down in threads and processes.)"""
    first, second = threads.one_thread_of_blas(), threads.one_thread_of_blas()
    for each in (first, second):
        each.__enter__()
        assert blas.num_threads == 1
    first.__exit__(None, None, None)
    assert blas.num_threads == 1
    npgpt.set_num_threads(3)
    assert blas.num_threads == 1 and npgpt.get_num_threads() == 3
    second.__exit__(None, None, None)
    assert blas.num_threads == 3
    npgpt.set_num_threads(2)
    assert blas.num_threads == 2


def test_a_pass_of_2_to_the_28_and_of_64_positions_keeps_the_threads_of_blas(blas):
    for positions, parameters, inside in [(64, 2**22, 5), (64, 2**22 - 1, 1), (63, 2**23, 1), (2**28, 1, 5), (1, 1, 1)]:
        with threads.blas_for(positions, parameters):
            assert blas.num_threads == inside
        assert blas.num_threads == 5


@pytest.mark.parametrize(("B", "replicas"), [(31, 0), (32, 1)])
def test_few_sequences_are_not_split_where_a_layer_goes_step_by_step(B, replicas, blas):
    """512 numbers of a step each: 32 sequences are two shares of 2^13."""
    npgpt.set_num_threads(2)
    model = npgpt.LSTMModel(npgpt.LSTMConfig(65, 1, 8, 128, 64))
    model.loss_and_grad(*np.zeros((2, B, 64), int))
    assert len(model.replicas.made) == replicas


def test_a_process_has_threads_of_its_own(monkeypatch):
    """A forked one inherits the pool, but not its threads: it would wait for them for ever. Here only the number changes."""

    def thread_of_a_task() -> int:
        return run_together([lambda: None, threading.get_ident])[1]

    own = thread_of_a_task()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert thread_of_a_task() != own


@pytest.mark.parametrize("holders", [0, 2])
def test_a_forked_process_finds_no_lock_held_and_blas_as_it_was(holders, monkeypatch):
    """Nobody there would let go of them. (The tests above fork; this one calls what the fork calls.)"""
    given = []
    monkeypatch.setattr(threads, "_before", [(SimpleNamespace(set_num_threads=given.append), 3)])
    monkeypatch.setattr(threads, "_holders", holders)
    locks = ("_one_at_a_time", "_changing")
    for name in locks:
        monkeypatch.setattr(threads, name, threading.Lock())
        getattr(threads, name).acquire()
    threads._in_a_forked_process()
    assert all(getattr(threads, name).acquire(blocking=False) for name in locks)
    assert threads._holders == 0 and given == ([3] if holders else [])


def test_work_is_cut_into_equal_slices_that_cover_it():
    npgpt.set_num_threads(3)
    assert threads.slices(10, 1) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert threads.slices(10, 4) == [slice(0, 5), slice(5, 10)]
    assert threads.slices(10, 6) == threads.slices(10, 100) == [slice(0, 10)]


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_number_of_threads_is_a_setting(backend):
    before = backend.get_num_threads()
    try:
        backend.set_num_threads(1)
        assert backend.get_num_threads() == 1
        for wrong, error in [(0, ValueError), (-2, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)]:
            with pytest.raises(error, match=r"^threads must be"):
                backend.set_num_threads(wrong)
        assert backend.get_num_threads() == 1
    finally:
        backend.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell the cores")
@pytest.mark.parametrize(("wanted", "expected"), [(None, "cores"), ("3", "3")])
def test_at_first_as_many_threads_as_cores_or_as_the_environment_says(wanted, expected):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if wanted is not None:
        environment["OMP_NUM_THREADS"] = wanted
    code = "import npgpt; print(npgpt.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == (str(len(os.sched_getaffinity(0))) if expected == "cores" else expected)


@pytest.mark.parametrize("wanted", [None, "", "none", "0", "-2", "1.5", "1", "3"])
def test_only_a_whole_number_above_0_counts_else_the_cores_that_the_process_may_use(wanted, monkeypatch):
    """Five of the machine's seven; all of them where the system does not tell, and one where it does not even tell those."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    given = {"1": 1, "3": 3}.get(wanted)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setattr(os, "sched_getaffinity", {0: range(5)}.get, raising=False)  # 0 is the process itself
    assert threads._at_first() == (given or 5)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert threads._at_first() == (given or 7)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads._at_first() == (given or 1)


# ------------------------------------------------------------------------------------------------------------ a prompt in parts

LONG = npgpt.GPTConfig(50, 3, 2, 32, 300, position="learned")
PROMPT = np.random.default_rng(1).integers(50, size=(2, 290))


def read(count: int, starts: list[int], dtype: str = "float64") -> tuple[np.ndarray, list]:
    """The last logits of the prompt, fed from one start to the next, and what is then remembered."""
    npgpt.set_num_threads(count)
    model = npgpt.GPTModel(LONG, seed=1, dtype=dtype)
    past = model.remember(2)
    for start, end in zip(starts, [*starts[1:], 290], strict=True):
        logits = model.next_logits(PROMPT[:, start:end], past)
    return logits, past


@pytest.mark.parametrize("count", [2, 3, 9])  # of which four have 64 positions to read
@pytest.mark.parametrize("starts", [[0], [0, 3], [0, 150, 289]])
def test_a_prompt_read_in_parts_leaves_what_one_thread_leaves(count, starts):
    """Logits, keys and values, and how many positions are remembered; also where something was read before."""
    (logits, past), (shared, shared_past) = read(1, starts), read(count, starts)
    assert np.abs(shared - logits).max() <= 1e3 * eps("float64") * np.abs(logits).max()
    for one, other in zip(past, shared_past, strict=True):
        assert one.length == other.length == 290
        for a, b in ((one.k[:, :, :290], other.k[:, :, :290]), (one.v[:, :, :290], other.v[:, :, :290])):
            assert np.abs(a - b).max() <= 1e3 * eps("float64") * np.abs(a).max()


@pytest.mark.parametrize(("count", "lengths"), [(1, [290]), (2, [145, 145]), (4, [72, 73, 72, 73]), (9, [72, 73, 72, 73])])
def test_each_thread_reads_its_own_part_of_64_positions_or_more(count, lengths, monkeypatch):
    npgpt.set_num_threads(count)
    model, seen = npgpt.GPTModel(LONG), []
    of_all = model.read
    monkeypatch.setattr(model, "read", lambda ids, past: seen.append((past[0].length, ids.shape[1])) or of_all(ids, past))
    model.next_logits(PROMPT, model.remember(2))
    assert sorted(seen) == [(sum(lengths[:i]), length) for i, length in enumerate(lengths)]


def test_a_part_of_what_is_remembered_grows_as_the_whole_does():
    """From its own start on, and to its own end: what comes after it is not there for it."""
    rng = np.random.default_rng(0)
    k, v = rng.standard_normal((2, 1, 2, 6, 4))
    plain, whole, event = KeyValues(1, 2, 8, 4, "float64"), KeyValues(1, 2, 8, 4, "float64"), threading.Event()
    for memory in (plain, whole):
        memory.extended_by(k[:, :, :3], v[:, :, :3])
    part = PartOfKeyValues(whole, 1, None, event)  # one position of an earlier part is written by another thread
    whole.k[:, :, 3], whole.v[:, :, 3] = k[:, :, 3], v[:, :, 3]
    plain.extended_by(k[:, :, 3:4], v[:, :, 3:4])
    for new in (slice(4, 5), slice(5, 6)):
        ours, theirs = (memory.extended_by(k[:, :, new], v[:, :, new]) for memory in (part, plain))
        assert part.length == plain.length == new.stop and whole.length == 3 and event.is_set()
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_prompt_in_parts_gives_the_same_bits_each_time():
    for _ in range(5):
        assert np.array_equal(read(3, [0], "float32")[0], read(3, [0], "float32")[0])


def test_an_error_in_one_part_reaches_the_caller_and_leaves_nobody_waiting(monkeypatch):
    npgpt.set_num_threads(3)
    model = npgpt.GPTModel(LONG)
    forward, calls = model.blocks[1].forward, []

    def failing(x, *arguments, **options):
        calls.append(x.shape[1])
        if options["past"].length == 0:
            raise MemoryError("no room")
        return forward(x, *arguments, **options)

    monkeypatch.setattr(model.blocks[1], "forward", failing)
    past = model.remember(2)
    with pytest.raises(MemoryError, match="no room"):
        model.next_logits(PROMPT, past)
    assert len(calls) == 3 and all(layer.length == 0 for layer in past)


def test_a_token_is_worth_one_thread_of_blas_and_a_long_prompt_more():
    parameters = npgpt.models.gpt.GPTConfig.gpt2().n_embd * 160_000  # about a GPT-2's
    assert threads.too_little_for_blas(1, parameters) and threads.too_little_for_blas(63, parameters)
    assert not threads.too_little_for_blas(64, parameters) and threads.too_little_for_blas(64, 1000)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_loss_alone_is_shared_out_as_a_training_step_is(count, monkeypatch):
    """Validation too: the same bits as the training step's loss, one thread's up to rounding, and dropout drops nothing."""
    npgpt.set_num_threads(count)
    model = npgpt.GPTModel(CONFIG, seed=1, dtype="float64")
    sizes, alone = [], model.loss_alone
    monkeypatch.setattr(model, "loss_alone", lambda ids, targets: sizes.append(len(ids)) or alone(ids, targets))
    loss = model.loss(IDS, TARGETS)
    assert len(sizes) == count and sum(sizes) == 80 and max(sizes) - min(sizes) <= 1
    assert model.replicas.made == []  # nothing is left in the model, so none is needed
    assert loss == model.loss_and_grad(IDS, TARGETS)
    assert math.isclose(loss, alone(IDS, TARGETS), rel_tol=1e-14)
    dropping = npgpt.GPTModel(dataclasses.replace(CONFIG, dropout=0.5), seed=1, dtype="float64")
    assert dropping.loss(IDS, TARGETS) == loss
    with pytest.raises(ValueError, match="targets"):
        model.loss(IDS, TARGETS[:, 1:])


@pytest.mark.parametrize("kind", ["gpt", "llama"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_heads_of_a_long_text_are_shared_out(kind, dropout, monkeypatch):
    """Three threads share 4 heads (Llama: 3 groups of 2): the loss and gradients of one thread, and those of torch's twin."""
    monkeypatch.setattr("npgpt.machine.heads.LONG", 8)
    T = TILE + 3
    if kind == "gpt":
        config = npgpt.GPTConfig(23, 2, 4, 12, T, dropout=dropout)
    else:
        config = npgpt.LlamaConfig(23, 2, 6, 12, T, n_kv_head=3, dropout=dropout)
    ids, targets = np.random.default_rng(0).integers(23, size=(2, 1, T))
    results = []
    for count in (1, 3):
        npgpt.set_num_threads(count)
        model = npgpt.make_model(config, dtype="float64")
        cache = model.forward(ids)[1].blocks[0].mha.attention
        assert (len(cache) if isinstance(cache, list) else 1) == count
        assert np.array_equal(model.trace(ids)["logits"][0], model(ids))  # who looks is shown all heads at once
        results.append((model.loss_and_grad(ids, targets), model.store.grad))
    twin = torchgpt.make_model(config, dtype="float64")
    results.append((twin.loss_and_grad(ids, targets), np.concatenate([g.ravel() for g in twin.gradients().values()])))
    for loss, grad in results[1:]:
        assert math.isclose(loss, results[0][0], rel_tol=1e-14)
        assert np.abs(grad - results[0][1]).max() < 64 * eps("float64") * np.abs(grad).max()


@pytest.mark.parametrize(("count", "of_keys"), [(2, [1, 2]), (3, [1, 1, 1])])
@pytest.mark.parametrize("masked", [False, True])
def test_each_thread_attends_with_its_own_heads_and_what_belongs_to_them(masked, count, of_keys, monkeypatch):
    """With a stand-in for attention that mixes all its arguments head by head, so that every bit must be the whole's: two query
    heads for a key head, and nobody looks."""
    monkeypatch.setattr("npgpt.machine.heads.LONG", 8)
    rng, seen = np.random.default_rng(0), []
    (q, dz), (k, v), all_masks = (rng.standard_normal(shape) for shape in ((2, 2, 6, 9, 4), (2, 2, 3, 9, 4), (2, 6, 9, 9)))
    mask = all_masks if masked else None

    def attend(q, k, v, mask, note):
        assert note is ignore and q.shape[1] == 2 * k.shape[1] and (mask is None or mask.shape[1] == q.shape[1])
        seen.append(k.shape[1])
        dropped = 0 if mask is None else mask.sum(-1, keepdims=True)
        return q * k.repeat(2, axis=1) + v.repeat(2, axis=1) + dropped, (q, k)

    def attend_backward(dz, cache, note):
        q, k = cache
        assert note is ignore and dz.shape == q.shape
        seen.append(k.shape[1])
        B, H, T, D = dz.shape
        dk, dv = ((dz * factor).reshape(B, H // 2, 2, T, D).sum(axis=2) for factor in (q, 1))
        return dz * k.repeat(2, axis=1), dk, dv

    npgpt.set_num_threads(count)
    z, cache = by_heads(attend, q, k, v, mask, ignore)
    gradients = by_heads_backward(attend_backward, dz, cache, ignore)
    assert sorted(seen) == sorted(2 * of_keys)
    whole_z, whole = attend(q, k, v, mask, ignore)
    for ours, theirs in zip((z, *gradients), (whole_z, *attend_backward(dz, whole, ignore)), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_thread_is_in_a_task_from_its_start_to_its_end_however_it_ends():
    """Also one that has never had a task; and a lone task has all other threads to share with."""
    seen = []
    fresh = threading.Thread(target=lambda: seen.append(in_a_task()))
    fresh.start()
    fresh.join()
    assert seen == [False] and run_together([in_a_task]) == [False]
    assert run_together([in_a_task] * 3) == [True] * 3 and in_a_task() is False
    with pytest.raises(ZeroDivisionError):
        run_together([lambda: 1 // 0, in_a_task])
    assert in_a_task() is False


def test_heads_stay_together_where_the_batch_is_shared_out(monkeypatch):
    """Inside a task there is nobody to share with; two sequences on two threads give what they gave."""
    monkeypatch.setattr("npgpt.machine.heads.LONG", 8)
    seen = []

    def attend(q, k, v, mask, note):
        seen.append(q.shape[1])
        return q, None

    q = np.zeros((1, 4, 9, 2))
    npgpt.set_num_threads(2)
    run_together([partial(by_heads, attend, q, q, q, None, ignore)] * 2)
    assert seen == [4, 4]
    by_heads(attend, q, q, q, None, ignore)
    assert sorted(seen) == [2, 2, 4, 4]
    by_heads(attend, q, q, q, None, lambda name, x: None)
    assert seen[-1] == 4 and not in_a_task()
    by_heads(attend, q[:, :, 1:], q[:, :, 1:], q[:, :, 1:], None, ignore)
    assert seen[-1] == 4  # 8 positions are not long
    by_heads(attend, q[:, :, 8:], q, q, None, ignore)
    assert seen[-1] == 4  # nor is one query of 9 keys


def test_a_mamba_is_shared_out_sooner_than_an_lstm():
    """The numbers of one step decide: an LSTM's step is 4 H numbers a sequence, a Mamba's E N."""
    npgpt.set_num_threads(2)
    lstm = npgpt.make_model(npgpt.LSTMConfig(65, 2, 128, 128, 64)).numbers_of_a_step
    mamba = npgpt.make_model(npgpt.MambaConfig(65, 4, 128, 64)).numbers_of_a_step
    assert (lstm, mamba, npgpt.make_model(npgpt.GPTConfig.article()).numbers_of_a_step) == (512, 4096, None)
    assert [len(shares_of_a_batch(B, 64, 10**6, lstm)) for B in (8, 12, 31, 32)] == [1, 1, 1, 2]
    assert [len(shares_of_a_batch(B, 64, 10**6, mamba)) for B in (7, 8, 12, 31)] == [1, 2, 2, 2]
    assert [len(shares_of_a_batch(B, 256, 10**6)) for B in (1, 2)] == [1, 2]  # what goes no steps asks for positions alone
