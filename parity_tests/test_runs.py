"""npgpt/runs/run.py without the script: a run that evaluates, saves, stops and goes on; and what a full disk says."""

import dataclasses
import errno
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

import npgpt
import torchgpt
from npgpt.runs.files import atomic_file, naming, write_atomically, write_picture
from npgpt.runs.metrics import MetricsFile, read_metrics
from npgpt.runs.run import TrainingRun

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
    assert best.step == min(evaluated, key=evaluated.get) and best.run["best"] == run.best == min(evaluated.values())
    assert backend.evaluate(backend.load_checkpoint(run.best_path), run.validation(), 2) == pytest.approx(run.best, rel=1e-6)
    assert run.picture_path.read_bytes().startswith(b"\x89PNG")


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
