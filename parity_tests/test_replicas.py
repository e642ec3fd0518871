"""Replicas in processes: several of them train a model whose layers go step by step, and the training is that of threads."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import npgpt
from npgpt.machine import processes, sharing, threads

from .test_examples import EXAMPLES
from .tolerances import eps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")

CONFIGS = {"mamba": npgpt.MambaConfig(50, 1, 32, 64), "lstm": npgpt.LSTMConfig(50, 1, 16, 32, 64)}
IDS, TARGETS = np.random.default_rng(0).integers(50, size=(2, 90, 64))  # large enough for three shares of either


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    before = npgpt.get_num_threads()
    npgpt.set_num_threads(2)
    yield
    npgpt.set_num_threads(before)
    assert multiprocessing.active_children() == [], "a process outlives its training"


def processes_of(model) -> list[multiprocessing.Process]:
    return [replica.process for replica in model.replicas.made]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_the_shares_of_the_processes_add_up_to_the_whole_batch(kind, dtype, count):
    npgpt.set_num_threads(count)
    model = npgpt.make_model(CONFIGS[kind], seed=1, dtype=dtype)
    loss = model.loss_and_grad_alone(IDS, TARGETS, 1.0)
    gradient = model.store.grad.copy()
    model.zero_grad()
    with model.in_processes():
        shared_loss = model.loss_and_grad(IDS, TARGETS)
        assert len(processes_of(model)) == count - 1
        assert abs(shared_loss - loss) <= 8 * eps(dtype) * loss
        assert np.abs(model.store.grad - gradient).max() <= 128 * eps(dtype) * np.abs(gradient).max()
        assert abs(model.loss(IDS, TARGETS) - loss) <= 8 * eps(dtype) * loss
        model.loss_and_grad(IDS, TARGETS, 0.5)
        assert np.abs(model.store.grad - 1.5 * gradient).max() <= 128 * eps(dtype) * np.abs(gradient).max()


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_process_computes_bit_for_bit_what_a_thread_does(kind, monkeypatch):
    monkeypatch.setattr(sharing, "NUMBERS_OF_A_STEP", 1)  # so that threads have the same shares
    model = npgpt.make_model(CONFIGS[kind], seed=1)
    loss, only = model.loss_and_grad(IDS, TARGETS), model.loss(IDS, TARGETS)
    assert len(model.replicas.made) == 1
    gradient = model.store.grad.copy()
    with model.in_processes():
        for _ in range(2):
            model.zero_grad()
            assert model.loss_and_grad(IDS, TARGETS) == loss
            assert np.array_equal(model.store.grad, gradient)
            assert model.loss(IDS, TARGETS) == only


def test_weights_that_change_are_seen():
    model, other = (npgpt.make_model(CONFIGS["mamba"], seed=seed) for seed in (1, 2))
    with model.in_processes(), other.in_processes():
        model.loss_and_grad(IDS, TARGETS)  # starts the process
        model.load_state_dict(other.state_dict())
        assert model.loss(IDS, TARGETS) == other.loss(IDS, TARGETS)
        model.zero_grad()
        assert model.loss_and_grad(IDS, TARGETS) == other.loss_and_grad(IDS, TARGETS)
        assert np.array_equal(model.store.grad, other.store.grad)


def test_only_what_goes_step_by_step_and_is_large_starts_a_process():
    gpt = npgpt.GPTModel(npgpt.GPTConfig(50, 2, 2, 32, 64))
    with gpt.in_processes():
        gpt.loss_and_grad(IDS, TARGETS)
        assert all(isinstance(replica, npgpt.GPTModel) for replica in gpt.replicas.made)
        assert len(gpt.replicas.made) == 1
    mamba = npgpt.make_model(CONFIGS["mamba"])
    with mamba.in_processes():
        mamba.loss_and_grad(IDS[:1], TARGETS[:1])
        assert mamba.replicas.made == []


def test_where_nothing_can_be_forked_threads_do_it(monkeypatch):
    model = npgpt.make_model(CONFIGS["mamba"])
    before = model.replicas
    monkeypatch.setattr(sys, "platform", "darwin")
    with model.in_processes():
        assert model.replicas is before and not processes.can_fork()
    monkeypatch.undo()
    assert processes.can_fork()
    with multiprocessing.get_context("fork").Pool(1) as pool:  # its processes may have none of their own
        assert pool.apply(processes.can_fork) is False


@pytest.mark.parametrize("method", ["loss", "loss_and_grad"])
def test_an_error_in_a_process_comes_here_and_leaves_nothing_behind(method, monkeypatch):
    model = npgpt.make_model(CONFIGS["mamba"], seed=1)
    right = model.loss_and_grad(IDS, TARGETS)
    gradient = model.store.grad.copy()
    here, whole = os.getpid(), npgpt.MambaModel.forward

    def failing(self, *args, **options):
        if os.getpid() != here:
            raise FloatingPointError("in the middle")
        return whole(self, *args, **options)

    model.zero_grad()
    with model.in_processes():
        monkeypatch.setattr(npgpt.MambaModel, "forward", failing)
        with pytest.raises(FloatingPointError, match="in the middle"):
            getattr(model, method)(IDS, TARGETS)
        monkeypatch.undo()
        model.zero_grad()
        assert model.replicas.made == []  # the next ones are new
        assert model.loss_and_grad(IDS, TARGETS) == right
        assert np.array_equal(model.store.grad, gradient)


class Asked:
    """In a replica's place: tells how it is asked."""

    def where(self, *arguments):
        (library, *_) = blas() or [SimpleNamespace(num_threads=1)]
        return arguments, threads.in_a_task(), library.num_threads

    def fail(self):
        raise FloatingPointError("in the middle")


def blas() -> list:
    return threads._blas().lib_controllers


@pytest.mark.parametrize("ends", ["told to", "left alone", "left before it answers", "left with the answers unread"])
def test_what_a_process_does(ends):
    """It answers one question after the other, an error is an answer too, and then it ends; here in the process of the test."""
    ours, its_end = multiprocessing.Pipe()
    copy_of_ours, _ = multiprocessing.Pipe()
    questions = [("where", 1, "a"), ("fail",), ("where",)]
    for question in questions:
        ours.send(question)
    if ends == "told to":
        ours.send(None)
        ours.send(("where", "after the end"))
    elif ends == "left before it answers":
        ours.close()
    elif ends == "left with the answers unread":
        threading.Timer(0.3, ours.close).start()
    else:
        threading.Timer(0.1, lambda: [ours.recv() for _ in questions] and ours.close()).start()
    before = [library.num_threads for library in blas()]
    processes.answer(Asked(), its_end, copy_of_ours)
    assert copy_of_ours.closed and [library.num_threads for library in blas()] == before and not threads.in_a_task()
    if ends == "told to":
        first, error, second = (ours.recv() for _ in questions)
        assert first == ((1, "a"), True, 1) and second == ((), True, 1)
        assert isinstance(error, FloatingPointError) and error.args == ("in the middle",)
        assert not ours.poll()


def test_a_process_begins_as_a_copy_and_may_not_stay_behind(monkeypatch):
    """Whatever other processes begin with. Python 3.12 warns who forks where there are threads; any other warning is heard."""
    start = multiprocessing.process.BaseProcess.start

    def warning(self):
        warnings.warn("threads", DeprecationWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
        start(self)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", warning)
    model, before = npgpt.make_model(CONFIGS["mamba"]), multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        with model.in_processes(), pytest.warns(UserWarning, match="^something else$"):
            model.loss_and_grad(IDS, TARGETS)
            (process,) = processes_of(model)
            assert isinstance(process, multiprocessing.context.ForkProcess) and process.daemon
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_a_process_that_dies_is_missed():
    model = npgpt.make_model(CONFIGS["mamba"], seed=1)
    with model.in_processes():
        right = model.loss_and_grad(IDS, TARGETS)
        (process,) = processes_of(model)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with pytest.raises(RuntimeError, match=r"a process that computes a share of the batch has died .*SIGKILL"):
            model.loss_and_grad(IDS, TARGETS)
        assert model.loss_and_grad(IDS, TARGETS) == right


def test_ctrl_c_does_not_reach_a_process():
    """It reaches all processes of a terminal; the one that trains finishes its step with the help of the others."""
    model = npgpt.make_model(CONFIGS["mamba"])
    with model.in_processes():
        right = model.loss_and_grad(IDS, TARGETS)
        os.kill(processes_of(model)[0].pid, signal.SIGINT)
        assert model.loss_and_grad(IDS, TARGETS) == right
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("ends", ["with its context", "by an error"])
def test_processes_end_with_the_context(ends):
    model = npgpt.make_model(CONFIGS["mamba"])
    before = model.replicas
    try:
        with model.in_processes():
            model.loss_and_grad(IDS, TARGETS)
            (process,) = processes_of(model)
            assert process.is_alive()
            if ends == "by an error":
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert process.exitcode == 0 and model.replicas is before


KILLED = """
import os, signal, sys
import numpy as np, npgpt
npgpt.set_num_threads(3)
model = npgpt.make_model(npgpt.MambaConfig(50, 1, 32, 64))
with model.in_processes():
    model.loss_and_grad(*np.zeros((2, 90, 64), int))
    print(*(replica.process.pid for replica in model.replicas.made), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_whoever_is_killed_takes_its_processes_along():
    run = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60)
    assert run.returncode == -signal.SIGKILL and run.stderr == ""
    pids = run.stdout.split()
    assert len(pids) == 2
    until = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in pids):  # a zombie has none
        assert time.monotonic() < until, "a process is left"
        time.sleep(0.01)


def test_the_benchmark_counts_the_memory_of_the_processes():
    benchmark = runpy.run_path(str(EXAMPLES / "benchmark.py"))
    assert benchmark["peak_of"](os.getpid()) == pytest.approx(benchmark["peak_memory"](), rel=0.02)
    measured = benchmark["training"](npgpt, CONFIGS["mamba"], 90, 64, 1)
    assert measured["peak"] > benchmark["peak_memory"]() + 20  # MB: Python and NumPy alone are more


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_training_is_that_of_threads(kind, monkeypatch, capfd):
    """Also where it diverges: the processes are as silent about nan and inf as the training loop is."""
    monkeypatch.setattr(sharing, "NUMBERS_OF_A_STEP", 1)  # so that threads have the same shares
    batches, seen = [(IDS, TARGETS), (TARGETS, IDS)] * 2, []
    model, by_hand = (npgpt.make_model(CONFIGS[kind], seed=1) for _ in range(2))

    def on_step(step, loss, norm):
        seen.append((len(processes_of(model)), model.loss(IDS, TARGETS)))

    losses = npgpt.train(model, batches, steps=4, on_step=on_step)
    optimizer, expected = npgpt.AdamW(by_hand.parameters(), betas=(0.9, 0.999), weight_decay=0.0), []
    for number, batch in enumerate(batches):
        by_hand.zero_grad()
        expected.append(by_hand.loss_and_grad(*batch))
        npgpt.clip_grad_norm(by_hand.parameters(), 1.0)
        optimizer.step()
        assert seen[number] == (1, by_hand.loss(IDS, TARGETS))
    assert losses == expected and np.array_equal(model.store.data, by_hand.store.data)

    model.tensors["norm_f.weight" if kind == "mamba" else "head.weight"].data[:] = np.finfo(np.float32).max
    with pytest.raises(npgpt.TrainingDiverged, match="at step 1"):
        npgpt.train(model, batches, steps=1)
    assert capfd.readouterr().err == ""
