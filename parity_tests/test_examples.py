"""The scripts, run as a reader runs them."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npgpt

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = ["embedding_space.png", "loss.png", "metrics.jsonl", "weights.safetensors"]


def train(monkeypatch, capsys, *arguments) -> str:
    """examples/train.py with these arguments, in this process; what it printed."""
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / "train.py"), run_name="__main__")
    return capsys.readouterr().out


def numbers(out_dir: Path) -> np.ndarray:
    records = [json.loads(line) for line in (out_dir / "metrics.jsonl").read_text().splitlines()]
    return np.array([[record["step"], record["loss"], record["grad_norm"]] for record in records])


@pytest.fixture(scope="module")
def default_run(tmp_path_factory):
    """The main job with no arguments, in a folder of its own."""
    folder = tmp_path_factory.mktemp("default")
    done = subprocess.run([sys.executable, EXAMPLES / "train.py"], cwd=folder, capture_output=True, text=True, check=True)
    return folder / "out" / "train", done


def test_the_main_job_prints_what_it_does_and_writes_four_files(default_run):
    out_dir, done = default_run
    text = done.stdout
    assert "vocab_size=32, n_layer=1, n_head=1, n_embd=3, seq_len=12" in text
    assert re.search(r"parameters +248\n", text) and "token_embedding.weight" in text
    assert "ln(32) = 3.4657" in text
    assert len(re.findall(r"step +[\d,]+  loss \d\.\d{4}  'ali ata ' -> '", text)) == 10
    assert float(re.search(r"final loss: (\d\.\d+)", text)[1]) < 2.65
    assert "generated:  'ali ata " in text and done.stderr == ""  # the progress bar is silent without a terminal
    assert sorted(path.name for path in out_dir.iterdir()) == FILES
    assert all(f"wrote {Path('out/train') / name}" in text for name in FILES)
    assert npgpt.load_checkpoint(out_dir / "weights.safetensors").num_parameters() == 248


def test_the_pictures_are_not_blank(default_run):
    from matplotlib.image import imread

    for name in ("loss.png", "embedding_space.png"):
        picture = imread(default_run[0] / name)
        assert picture.shape[0] > 300 and picture.shape[1] > 600
        assert (picture[..., :3].min(axis=-1) < 0.5).mean() > 0.003  # ink


def test_the_same_seed_gives_the_same_numbers(monkeypatch, capsys, tmp_path):
    first = train(monkeypatch, capsys, "--steps", 30, "--seed", 3, "--out-dir", tmp_path / "a")
    second = train(monkeypatch, capsys, "--steps", 30, "--seed", 3, "--out-dir", tmp_path / "b")
    assert first.replace("/a/", "/b/") == second
    assert (tmp_path / "a/weights.safetensors").read_bytes() == (tmp_path / "b/weights.safetensors").read_bytes()
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()


def test_one_flag_swaps_the_backend_and_the_numbers_stay(monkeypatch, capsys, tmp_path):
    for backend in ("numpy", "torch"):
        options = ["--dtype", "float64", "--device", "cpu", "--steps", 40, "--n-layer", 2, "--n-head", 2, "--n-embd", 8]
        options += ["--ffn-hidden", 16, "--train-qkv", "--seq-len", 10, "--batch-size", 3, "--learning-rate", 5e-3]
        train(monkeypatch, capsys, "--backend", backend, "--out-dir", tmp_path / backend, *options)
    assert np.abs(numbers(tmp_path / "numpy") - numbers(tmp_path / "torch")).max() < 1e-10


def test_a_readers_own_text(monkeypatch, capsys, tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("Güneş doğdu! " * 10, encoding="utf-8")
    out = train(monkeypatch, capsys, "--input-file", path, "--errors", "ignore", "--steps", 2, "--out-dir", tmp_path / "out")
    assert "own.txt, 119 letters" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input-file", "missing.txt"], "missing.txt"),
        (["--input-file", "empty.txt"], "holds no text"),
        (["--input-file", "short.txt"], "the text is too short: 3 tokens"),
        (["--input-file", "latin1.txt"], "is not UTF-8"),
        (["--input-file", "english.txt"], "line 1: character 'w' at position 0 is not among the 32 letters"),
        (["--input-file", "."], "."),
        (["--n-embd", "4", "--n-head", "3"], "n_embd must be divisible by n_head"),
        (["--n-layer", "0"], "n_layer must be at least 1"),
        (["--seq-len", "0"], "seq_len must be at least 1"),
        (["--batch-size", "0"], "batch_size must be at least 1"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--device", "cuda"], "'auto' or 'cpu' for NumPy"),
        (["--backend", "torch", "--device", "gpu"], "device must be"),
        (["--prompt", "quo vadis"], "character 'q'"),
        (["--prompt", ""], "--prompt must hold at least one letter"),
        (["--learning-rate", "-1"], "--learning-rate must be at least 0"),
        (["--out-dir", "file/inside"], "file"),
    ],
)
def test_bad_input_is_a_clear_error_with_nothing_written(monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    contents = {"empty": b"", "short": b"ali", "latin1": "ışık".encode("iso-8859-9"), "english": b"window " * 20}
    for name, content in contents.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES / "train.py"), run_name="__main__")
    assert str(stop.value).startswith("error: ") and message in str(stop.value)
    assert not list(tmp_path.glob("out/*"))


def test_a_run_that_blows_up_says_when_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--learning-rate", "1e38", "--steps", "20"])
    with pytest.raises(SystemExit, match=r"error: training stopped at step .* largest gradient: "):
        runpy.run_path(str(EXAMPLES / "train.py"), run_name="__main__")
    assert not list(tmp_path.glob("out/*/*"))


# ------------------------------------------------------------------------------------------- the README's commands, in order

BRIEFLY = {  # what is added to the commands of those that leave results, so that they take a moment
    "train.py": ["--steps", 20, "--n-layer", 1, "--n-embd", 4],
    "train_text.py": ["--n-layer", 1, "--n-embd", 8, "--batch-size", 2, "--eval-iters", 1, "--max-new-tokens", 3],
    "sample.py": ["--max-new-tokens", 3],
}


def readme_commands() -> list[list[str]]:
    """The README's commands that start a script in Python, as lists of words: [script, option, ...]."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if "torchrun" not in line]
    found = [re.search(r"python examples/(.*)", line) for line in lines]
    return [shlex.split(match[1], comments=True) for match in found if match]


def test_after_the_readmes_commands_every_result_is_there(monkeypatch, capsys, tmp_path):
    import common

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common.Run, "save", lambda self, picture, name: None)  # drawing is what takes long
    (tmp_path / "book.txt").write_text("once upon a time there was a book. " * 40)
    commands = [command for command in readme_commands() if command[0] in BRIEFLY]
    assert {script for script, *_ in commands} == set(BRIEFLY)
    for script, *options in commands:
        steps = ["--max-iters", 4 if "--resume" in options else 2] if script == "train_text.py" else []
        monkeypatch.setattr(sys, "argv", [script, *options, *map(str, [*BRIEFLY[script], *steps])])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["06_training.py"])
    runpy.run_path(str(EXAMPLES / "06_training.py"), run_name="__main__")
    assert "mean of the last tenth of its 20 steps" in capsys.readouterr().out  # those of train.py
    assert sorted(path.name for path in (tmp_path / "out/train").iterdir()) == FILES
    text_files = ["best.safetensors", "last.safetensors", "loss.png", "metrics.jsonl"]
    assert sorted(path.name for path in (tmp_path / "out/text").iterdir()) == text_files


@pytest.mark.parametrize("script", ["train.py", "benchmark.py"])
def test_help_shows_the_defaults_and_unknown_options_are_refused(monkeypatch, capsys, script):
    for arguments, code in ((["-h"], 0), (["--stepz", "3"], 2)):
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        assert stop.value.code == code
    printed = capsys.readouterr()
    assert "default: " in printed.out and "unrecognized arguments: --stepz" in printed.err


def test_the_benchmark_compares_both_backends_in_one_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["benchmark.py", "--only", "article", "--rounds", "1", "--picture", str(tmp_path / "ratios.png")]
    )
    monkeypatch.setattr(shutil, "which", lambda compiler: None)  # torch.compile would take its time
    runpy.run_path(str(EXAMPLES / "benchmark.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "(no C++ compiler is found, and torch.compile left out)" in out
    assert (tmp_path / "ratios.png").stat().st_size > 10_000 and "ratios.png" in out
    assert re.search(r"npgpt +\d+\.\d+ ms", out) and re.search(r"torchgpt +\d+\.\d+ ms", out)
    assert re.search(r"torch time / npgpt time: \d+\.\d\d", out) and f"NumPy {np.__version__}" in out
