"""npgpt/runs/run.py without the script: a run that evaluates, saves, stops and goes on; and what a full disk says."""

import dataclasses
import errno
import functools
import io
import itertools
import math
import os
import signal
import stat
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tqdm

import npgpt
import torchgpt
from npgpt.pictures.style import CONSONANT
from npgpt.runs.files import atomic_file, naming, write_atomically, write_picture
from npgpt.runs.metrics import MetricsFile, read_metrics
from npgpt.runs.ranks import first_rank_first, join_ranks
from npgpt.runs.run import TrainingRun, losses_picture

from .test_checkpoint import small_disk  # noqa: F401 (a fixture)

TEXT = np.array(npgpt.tokenize("ali ata bak. ela eve gel. oya ip atla. nil okula koş. " * 8))
TRAIN, VALIDATION = npgpt.split_tokens(TEXT)
FILES = ["best.safetensors", "last.safetensors", "loss.png", "metrics.jsonl"]


@pytest.fixture(params=[npgpt, torchgpt], ids=["numpy", "torch"])
def backend(request):
    return request.param


GPT = npgpt.GPTConfig(32, 1, 2, 8, 8, position="learned", tie_weights=True)
KINDS = {"gpt": GPT, "lstm": npgpt.LSTMConfig(32, 2, 6, 8, 8), "mamba": npgpt.MambaConfig(32, 1, 6, 8, d_state=3)}
KINDS |= {"llama": npgpt.LlamaConfig(32, 1, 4, 8, 8, n_kv_head=2)}


def new_run(backend, folder, *, seed=3, dropout=0.2, config=GPT, **options) -> TrainingRun:
    """A run of a small model, with everything made anew from the seed."""
    config = dataclasses.replace(config, **({"dropout": dropout} if config.kind != "mamba" else {}))
    model = backend.make_model(config, seed=seed)
    optimizer = backend.AdamW(backend.parameter_groups(model, 0.1))
    windows = npgpt.RandomWindows(TRAIN, 8, 4, seed)
    return TrainingRun(
        model,
        optimizer,
        windows,
        lambda: npgpt.RandomWindows(VALIDATION, 8, 4),
        folder,
        tokenizer=npgpt.LetterTokenizer(),
        **options,
    )


def gone_on(backend, folder, **options) -> TrainingRun:
    """The run of a folder, taken up by objects that were made from another seed."""
    run = new_run(backend, folder, seed=9, **options)
    checkpoint = npgpt.read_checkpoint(run.last_path)
    run.model.load_state_dict(checkpoint.weights)
    run.go_on(checkpoint)
    return run


TRAINING = {"learning_rate": lambda step: 0.05 / step, "evaluate_every": 4, "evaluate_batches": 2, "accumulate": 2}


def numbers(run: TrainingRun) -> list[dict]:
    """What is written down, without the speed, which no two runs share."""
    return [
        {name: value for name, value in record.items() if name != "tokens_per_second"}
        for record in read_metrics(run.metrics_path)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_anywhere_and_resumed_it_is_the_run_that_was_not(backend, kind, tmp_path):
    config = KINDS[kind]
    whole = new_run(backend, tmp_path / "whole", config=config)
    assert whole.train(steps=12, **TRAINING) is True
    for stops in ([3, 4, 8], [11]) if kind == "gpt" else ([5],):
        folder = tmp_path / f"{stops}"
        parts = new_run(backend, folder, config=config)
        for stop in stops:
            assert parts.train(steps=12, **TRAINING, on_step=lambda record, stop=stop: record["step"] == stop) is False
            assert parts.step == npgpt.read_checkpoint(parts.last_path).step == stop
            parts = gone_on(backend, folder, config=config)
        assert parts.train(steps=12, **TRAINING) is True and parts.step == 12
        for ours, theirs in zip(whole.paths[:2], parts.paths[:2], strict=True):  # last and best
            assert ours.read_bytes() == theirs.read_bytes()
        assert numbers(parts) == numbers(whole)
        assert sorted(path.name for path in folder.iterdir()) == FILES


def test_a_run_that_is_still_there_goes_on_too(backend, tmp_path):
    whole, parts = new_run(backend, tmp_path / "whole"), new_run(backend, tmp_path / "parts")
    whole.train(steps=8, **TRAINING)
    for steps in (4, 8):
        assert parts.train(steps=steps, **TRAINING)
    assert numbers(parts) == numbers(whole) and parts.last_path.read_bytes() == whole.last_path.read_bytes()


def test_on_gradient_is_passed_on(backend, tmp_path):
    run, seen = new_run(backend, tmp_path), []
    run.train(steps=3, **TRAINING, on_gradient=lambda step, loss, norm: seen.append((step, loss, norm, run.step)))
    expected = [(r["step"], r["loss"], r["grad_norm"], r["step"] - 1) for r in read_metrics(run.metrics_path)]
    assert seen == expected


def test_the_metrics_and_the_best_checkpoint_say_the_same(backend, tmp_path):
    run = new_run(backend, tmp_path, options={"what": "for the one who goes on"})
    run.train(steps=10, **TRAINING | {"learning_rate": 0.3, "evaluate_every": 2}, save_every=100)
    records = read_metrics(run.metrics_path)
    assert [record["step"] for record in records] == list(range(1, 11))
    assert all({"loss", "grad_norm", "lr", "tokens_per_second"} < record.keys() for record in records)
    evaluated = {record["step"]: record["val_loss"] for record in records if "val_loss" in record}
    assert list(evaluated) == [2, 4, 6, 8, 10]
    best, last = npgpt.read_checkpoint(run.best_path), npgpt.read_checkpoint(run.last_path)
    assert last.step == 10 and last.run["options"] == {"what": "for the one who goes on"}
    assert best.tokenizer() == last.tokenizer() == run.tokenizer
    assert best.step == min(evaluated, key=evaluated.get) and best.run["best"] == run.best == min(evaluated.values())
    assert backend.evaluate(backend.load_checkpoint(run.best_path), run.validation(), 2) == pytest.approx(run.best, rel=1e-6)
    assert run.picture_path.read_bytes().startswith(b"\x89PNG")


def test_a_run_with_no_options_is_the_loop_with_none(tmp_path):
    """It evaluates every 100 steps and at the last one, on 20 batches, and saves as often."""
    run, twin, saved = new_run(npgpt, tmp_path), new_run(npgpt, tmp_path), []
    plain = run.save
    run.save = lambda path: (saved.append((run.step, path.name)), plain(path))
    assert run.train(steps=102) is True
    losses = npgpt.train(twin.model, twin.windows, steps=102, optimizer=twin.optimizer)
    records = read_metrics(run.metrics_path)
    assert [record["loss"] for record in records] == losses and {record["lr"] for record in records} == {1e-3}
    assert [record["step"] for record in records if "val_loss" in record] == [100, 102]
    assert records[-1]["val_loss"] == npgpt.evaluate(twin.model, run.validation(), 20)
    assert [step for step, name in saved if name == "last.safetensors"] == [100, 102]


def test_what_a_run_is_asked_for_reaches_the_loop(backend, tmp_path):
    """The same losses, norms and rates as `train` alone with the same options."""
    options = {"learning_rate": lambda step: 0.05 / step, "max_norm": 0.25, "accumulate": 2}
    run, twin, seen = new_run(backend, tmp_path), new_run(backend, tmp_path), []
    run.train(steps=4, **options)

    def after_step(step, loss, norm):
        seen.append({"step": step, "loss": loss, "grad_norm": norm, "lr": twin.optimizer.lr})

    backend.train(twin.model, twin.windows, steps=4, optimizer=twin.optimizer, on_step=after_step, **options)
    assert [{name: record[name] for name in seen[0]} for record in numbers(run)] == seen
    assert min(record["grad_norm"] for record in seen) > 0.25  # or max_norm would change nothing


def test_of_equal_losses_the_first_is_the_best(tmp_path):
    run = new_run(npgpt, tmp_path)
    run.train(steps=6, learning_rate=0, evaluate_every=2)
    assert len({record["val_loss"] for record in read_metrics(run.metrics_path) if "val_loss" in record}) == 1
    assert npgpt.read_checkpoint(run.best_path).step == 2


def test_the_speed_is_that_of_training_alone(tmp_path, monkeypatch, capsys):
    """A step takes two seconds here for its two batches of 4 * 8 tokens, an evaluation a hundred."""
    now = [1000.0]
    monkeypatch.setattr("npgpt.runs.run.time.perf_counter", lambda: now[0])
    run = new_run(npgpt, tmp_path)
    run.evaluate = lambda count: now.__setitem__(0, now[0] + 100) or 3.25
    run.train(steps=6, **TRAINING, on_gradient=lambda *_: now.__setitem__(0, now[0] + 2))
    records = read_metrics(run.metrics_path)
    assert [record["tokens_per_second"] for record in records] == [2 * 4 * 8 / 2] * 6
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    losses = [records[3]["loss"], records[5]["loss"]]
    assert lines == [
        f"step      {s}  loss {x:.4f}  validation 3.2500  32 tokens/s" for s, x in zip((4, 6), losses, strict=True)
    ]


def test_of_several_processes_the_first_alone_keeps_the_record_and_ctrl_c_ends_all_at_once(tmp_path, capsys):
    second = new_run(npgpt, tmp_path, rank=1, ranks=2)
    second.train(steps=2, **TRAINING)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES[:2]
    assert capsys.readouterr().out == ""
    first = new_run(npgpt, tmp_path, rank=0, ranks=2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            first.train(steps=2, **TRAINING, on_step=lambda record: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(read_metrics(first.metrics_path)) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_how_far_the_run_is_and_files_and_other_processes_do_not(tmp_path, monkeypatch, capsys):
    """A run that goes on begins where it is; each step shows the loss and the speed of the one before; nothing is left over."""
    new_run(npgpt, tmp_path).train(steps=5, **TRAINING)
    assert capsys.readouterr().err == ""  # no terminal
    monkeypatch.setattr("tqdm.tqdm", functools.partial(tqdm.tqdm, mininterval=0, miniters=1))  # shows every change at once
    monkeypatch.setattr("npgpt.runs.run.time.perf_counter", itertools.count(step=1 / 1024).__next__)
    monkeypatch.setattr("sys.stderr", Terminal())
    run = gone_on(npgpt, tmp_path)
    run.train(steps=8, **TRAINING)
    *shown, cleared = sys.stderr.getvalue().strip("\r").split("\r")
    assert " 5/8 " in shown[0] and "step/s" in shown[0] and not cleared.strip()
    sixth = read_metrics(run.metrics_path)[5]
    (seventh,) = [line for line in shown if " 7/8 " in line]  # a step is drawn once
    assert f"loss {sixth['loss']:.3f}, 65,536 tokens/s" in seventh

    monkeypatch.setattr("sys.stderr", Terminal())
    new_run(npgpt, tmp_path, rank=1, ranks=2).train(steps=2, **TRAINING)
    assert sys.stderr.getvalue() == ""


def test_a_folder_within_a_folder_is_made(tmp_path):
    run = new_run(npgpt, tmp_path / "a" / "b")
    assert run.train(steps=1, **TRAINING) and run.last_path == tmp_path / "a" / "b" / "last.safetensors"


def test_the_picture_shows_every_loss_and_the_validation_losses_at_their_steps():
    records = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.5, "val_loss": 2.75}, {"step": 3, "loss": 2, "val_loss": 2.25}]
    (axes,) = losses_picture(records, 7).axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}
    assert lines["validation"] == ([2, 3], [2.75, 2.25])
    assert ([1, 2, 3], [3.0, 2.5, 2]) in lines.values()
    assert any(set(y) == {math.log(7)} for _, y in lines.values())  # the loss of who knows nothing
    assert "validation" in [text.get_text() for text in axes.get_legend().get_texts()]
    *others, validation = axes.get_lines()
    assert (validation.get_marker(), validation.get_linestyle(), validation.get_color()) == ("o", "-", CONSONANT)
    assert CONSONANT not in [line.get_color() for line in others] and not axes.get_legend().get_frame_on()


def test_the_first_ctrl_c_ends_after_the_step_and_the_second_at_once(backend, tmp_path, capsys):
    run, handler = new_run(backend, tmp_path), signal.getsignal(signal.SIGINT)
    assert run.train(steps=9, **TRAINING, on_step=lambda record: signal.raise_signal(signal.SIGINT)) is False
    assert run.step == 1 and "finishing the step" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler

    run, saved = gone_on(backend, tmp_path), run.last_path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        run.train(steps=9, **TRAINING, on_step=lambda record: [signal.raise_signal(signal.SIGINT) for _ in range(2)])
    assert signal.getsignal(signal.SIGINT) is handler and run.last_path.read_bytes() == saved
    assert gone_on(backend, tmp_path).train(steps=9, **TRAINING)
    assert [record["step"] for record in read_metrics(run.metrics_path)] == list(range(1, 10))


def test_signals_are_the_main_threads_alone(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(new_run(npgpt, tmp_path).train(steps=2, **TRAINING)))
    thread.start()
    thread.join()
    assert done == [True]


def test_a_kind_of_model_without_dropout_has_no_generator_to_save(backend, tmp_path):
    run = new_run(backend, tmp_path, dropout=0.0)
    del run.model.dropout_rng
    run.train(steps=2, **TRAINING)
    assert npgpt.read_checkpoint(run.last_path).run["dropout"] is None
    assert gone_on(backend, tmp_path, dropout=0.0).train(steps=3, **TRAINING)


def test_impossible_runs_are_clear_errors(backend, tmp_path):
    run = new_run(backend, tmp_path / "out")
    for name in ("evaluate_every", "evaluate_batches", "save_every"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            run.train(steps=3, **{name: 0})
    with pytest.raises(ValueError, match="steps must be above 0, the number that the run has made; got 0"):
        run.train(steps=0)
    assert not (tmp_path / "out").exists()
    npgpt.save_checkpoint(npgpt.GPTModel(run.model.config), tmp_path / "plain.safetensors")
    with pytest.raises(ValueError, match="holds a model and no run to go on with"):
        run.go_on(npgpt.read_checkpoint(tmp_path / "plain.safetensors"))


# ----------------------------------------------------------------------------------------------------------------- the files


def test_metrics_begin_anew_or_go_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("what another program has left")
    first, second = {"step": 1, "loss": 2.5}, {"step": 4, "loss": 2.0, "tokens": 2**63 - 1}
    with MetricsFile(path) as metrics:
        metrics.write(first)
        metrics.write(second)
        assert read_metrics(path) == [first, second]  # while it is written
    assert path.read_text().splitlines()[0] == '{"step": 1, "loss": 2.5}'
    with MetricsFile(path, after=1):
        assert read_metrics(path) == [first]
    with MetricsFile(path):
        assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("steps", "fault"), [([0], "line 1 is of step 0, after step 0"), ([1, 3, 5, 4], "line 4 is of step 4, after step 5")]
)
def test_steps_rise_from_one_on(tmp_path, steps, fault):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"step": {step}, "loss": 1}}\n' for step in steps))
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, {fault}: "):
        read_metrics(path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_metrics_that_open_and_cannot_be_read_name_their_file():
    with pytest.raises(OSError, match="Input/output error") as stop:
        read_metrics("/proc/self/mem")
    assert stop.value.filename == "/proc/self/mem"


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_file_has_the_permissions_that_the_users_mask_leaves_and_is_on_the_disk_with_its_name(tmp_path, monkeypatch):
    """First the content, then the folder that names it."""
    flushed = []
    monkeypatch.setattr("os.fsync", lambda descriptor: flushed.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))
    for mask, mode in ((0o027, 0o640), (0o000, 0o666)):
        before = os.umask(mask)
        try:
            write_atomically(tmp_path / "a", b"whole")
            assert os.umask(mask) == mask
        finally:
            os.umask(before)
        assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == mode
    assert flushed == [False, True] * 2


@pytest.mark.parametrize(("options", "dpi"), [({}, 100), ({"dpi": 40}, 40)])
def test_a_picture_has_the_size_that_was_asked_for(tmp_path, options, dpi):
    write_picture(tmp_path / "a.png", npgpt.pictures.new_figure(3, 2), **options)
    content = (tmp_path / "a.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", content[16:24]) == (3 * dpi, 2 * dpi)


# -------------------------------------------------------------------------------------------------------------------- ranks


def test_without_torchrun_a_run_is_one_process_and_with_it_numpy_cannot_be(monkeypatch):
    assert join_ranks(npgpt, "cpu") == ((0, 1, 0), npgpt.pick_device("cpu"))
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_ranks(npgpt, "auto") == ((0, 1, 0), npgpt.pick_device("auto"))
    with pytest.raises(ValueError, match="'auto' or 'cpu' for NumPy"):
        join_ranks(npgpt, "cuda")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"^torchrun has started several processes, which --backend numpy cannot use"):
        join_ranks(npgpt, "cpu")


@pytest.mark.parametrize(
    ("rank", "ranks", "order"),
    [(0, 1, ["block"]), (0, 2, ["block", "wait"]), (1, 2, ["wait", "block"]), (2, 3, ["wait", "block"])],
)
def test_the_first_process_goes_first(rank, ranks, order):
    """Each waits once for all: the first after its block, the others before theirs."""

    class Backend:
        join_ranks = staticmethod(lambda device: ((rank, ranks, 0), f"the device {device}"))
        wait_for_all = staticmethod(lambda: seen.append("wait"))

    seen = []
    with first_rank_first(Backend, rank, ranks):
        seen.append("block")
    assert seen == order and join_ranks(Backend, "cpu") == ((rank, ranks, 0), "the device cpu")


# ---------------------------------------------------------------------------------------------------------------- a full disk


def writers(folder: Path, text: Path) -> dict:
    """Everything that is written at once: name of the file in the folder -> a function that writes it."""
    text.write_text("ali ata bak. ")
    tokenizer, figure = npgpt.LetterTokenizer(), npgpt.pictures.new_figure(2, 1)
    model = npgpt.GPTModel(npgpt.GPTConfig.article())
    return {
        f"text.txt.{tokenizer.fingerprint()[:8]}.tokens": lambda: npgpt.encode_file(text, tokenizer, cache_dir=folder),
        "model.safetensors": lambda: npgpt.save_checkpoint(model, folder / "model.safetensors"),
        "tokenizer.json": lambda: tokenizer.save(folder / "tokenizer.json"),
        "picture.png": lambda: write_picture(folder / "picture.png", figure),
    }


def assert_names_the_file(path: Path, write) -> None:
    with pytest.raises(OSError, match="No space left") as stop:
        write()
    assert stop.value.filename == str(path) and stop.value.errno == errno.ENOSPC


def test_a_full_disk_is_reported_with_the_files_name(small_disk, tmp_path):  # noqa: F811
    with MetricsFile(small_disk / "metrics.jsonl") as metrics:
        with pytest.raises(OSError, match="No space left"), open(small_disk / "filler", "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        for name, write in writers(small_disk, tmp_path / "text.txt").items():
            assert_names_the_file(small_disk / name, write)
        assert_names_the_file(small_disk / "metrics.jsonl", lambda: metrics.write({"step": 1}))
        (small_disk / "filler").unlink()
    assert [path.name for path in small_disk.iterdir()] == ["metrics.jsonl"]


def test_a_flush_that_finds_the_disk_full_names_the_file(tmp_path, monkeypatch):
    """The same without a small disk."""

    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name, write in writers(tmp_path / "out", tmp_path / "text.txt").items():
        (tmp_path / "out").mkdir(exist_ok=True)
        monkeypatch.setattr("os.fsync", full_disk)
        assert_names_the_file(tmp_path / "out" / name, write)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_metrics_that_find_the_disk_full_name_their_file(tmp_path):
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.close()
    metrics._file = open("/dev/full", "w")  # noqa: SIM115
    assert_names_the_file(tmp_path / "metrics.jsonl", lambda: metrics.write({"step": 1}))
    assert_names_the_file(tmp_path / "metrics.jsonl", metrics.close)


def test_an_error_keeps_its_own_name_and_kind(tmp_path):
    with pytest.raises(FileNotFoundError) as stop, atomic_file(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()
    assert stop.value.filename == str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError) as stop:
        write_atomically(tmp_path / "nowhere" / "a", b"")
    assert stop.value.filename == str(tmp_path / "nowhere" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as stop:
        write_atomically(tmp_path / "folder", b"")
    assert stop.value.filename == str(tmp_path / "folder") and stop.value.filename2 is None
    with pytest.raises(OSError, match=r"^only words$"), naming(tmp_path):
        raise OSError("only words")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
