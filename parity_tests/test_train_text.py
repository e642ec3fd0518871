"""examples/train_text.py as a reader runs it: real text, stop, resume, SIGKILL, both backends, bad input."""

import errno
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import npgpt
from npgpt.runs.checkpoint import read_checkpoint, write_checkpoint
from npgpt.runs.metrics import MetricsFile, read_metrics

from .conftest import PROFILE
from .test_checkpoint import small_disk  # noqa: F401 (a fixture)
from .test_examples import EXAMPLES

SCRIPT = EXAMPLES / "train_text.py"
TINY = ["--n-layer", 1, "--n-head", 2, "--n-embd", 8, "--dropout", 0.1, "--seq-len", 8, "--batch-size", 4, "--warmup-iters", 2]
TINY += ["--eval-interval", 5, "--eval-iters", 2, "--max-new-tokens", 5]


@pytest.fixture(autouse=True)
def nothing_is_written_beside_the_bundled_text(tmp_path, monkeypatch):
    """The encoded text goes to the test's folder."""
    text = tmp_path / "text.txt"
    text.write_bytes((EXAMPLES / "data" / "tr_sentences.txt").read_bytes())
    monkeypatch.chdir(tmp_path)


def arguments(*options) -> list[str]:
    return ["train_text.py", *map(str, ["--input-file", "text.txt", *TINY, *options])]


def run(monkeypatch, *options) -> None:
    """The script with these options, in this process."""
    monkeypatch.setattr(sys, "argv", arguments(*options))
    runpy.run_path(str(SCRIPT), run_name="__main__")


def start(*options, **popen) -> subprocess.Popen:
    """The same in a process of its own."""
    command = [sys.executable, SCRIPT, *arguments(*options)[1:]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen)


def records(out_dir) -> list[dict]:
    """The metrics without the speed, which no two runs share."""
    lines = [json.loads(line) for line in (Path(out_dir) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "tokens_per_second"} for record in lines]


def assert_same_run(a, b) -> None:
    """Bit for bit: the checkpoint with all that a run goes on from, and every number written down."""
    first, second = (read_checkpoint(Path(folder) / "last.safetensors") for folder in (a, b))
    assert (
        first.step == second.step
        and first.run["windows"] == second.run["windows"]
        and first.run["dropout"] == second.run["dropout"]
    )
    assert first.run["best"] == second.run["best"] and first.config == second.config
    for name in first.weights:
        assert np.array_equal(first.weights[name], second.weights[name]), name
    for name, moments in first.moments.items():
        assert all(np.array_equal(m, n) for m, n in zip(moments, second.moments[name], strict=True)), name
    assert records(a) == records(b)


def test_the_script_with_no_arguments_learns_and_leaves_four_files(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--cache-dir", tmp_path, "--max-iters", "200"], capture_output=True, text=True, check=True
    )
    assert sorted(os.listdir("out/text")) == ["best.safetensors", "last.safetensors", "loss.png", "metrics.jsonl"]
    written = records("out/text")
    assert [record["step"] for record in written] == list(range(1, 201)) and done.stderr == ""
    assert [record["step"] for record in written if "val_loss" in record] == [100, 200]
    assert np.mean([record["loss"] for record in written[-20:]]) < 2.5 < written[0]["loss"]
    assert "validation loss: 2." in done.stdout and " bits a character" in done.stdout and "sample:" in done.stdout
    best, last = (read_checkpoint(Path("out/text") / f"{name}.safetensors") for name in ("best", "last"))
    assert last.run["best"] == min(record.get("val_loss", 9) for record in written) and best.step in (100, 200)
    assert last.tokenizer().vocab_size == last.config.vocab_size == 33


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("tokenizer", ["characters", "words", "bpe", "letters"])
def test_every_tokenizer_on_both_backends(monkeypatch, capsys, backend, tokenizer):
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    options = ["--backend", backend, "--device", "cpu", "--tokenizer", tokenizer, "--vocab-size", 300, "--max-iters", 6]
    run(monkeypatch, *options, *(["--errors", "replace"] if tokenizer == "letters" else []))
    assert f"({tokenizer}, " in capsys.readouterr().out
    assert read_checkpoint("out/text/last.safetensors").tokenizer().kind == tokenizer


def test_both_backends_make_the_same_run(monkeypatch):
    for backend in ("numpy", "torch"):
        run(monkeypatch, "--backend", backend, "--device", "cpu", "--dtype", "float64", "--max-iters", 20, "--out-dir", backend)
    for ours, theirs in zip(records("numpy"), records("torch"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("first", ["numpy", "torch"])
@pytest.mark.parametrize("second", ["numpy", "torch"])
def test_a_run_in_two_parts_is_the_run_in_one(monkeypatch, first, second):
    options = ["--device", "cpu", "--dtype", "float64", "--gradient-accumulation-steps", 2, "--lr-decay-iters", 12]
    run(monkeypatch, *options, "--backend", first, "--max-iters", 12, "--out-dir", "whole")
    run(monkeypatch, *options, "--backend", first, "--max-iters", 7, "--out-dir", "parts", "--eval-interval", 4)
    monkeypatch.setattr(
        sys, "argv", ["train_text.py", "--resume", "--out-dir", "parts", "--max-iters", "12", "--device", "cpu"]
    )
    sys.argv += ["--backend", second, "--eval-interval", "5"]
    runpy.run_path(str(SCRIPT), run_name="__main__")
    losses = [[record["loss"] for record in records(folder)] for folder in ("whole", "parts")]
    if first == second:
        assert losses[0] == losses[1]
        ours, theirs = (read_checkpoint(f"{folder}/last.safetensors") for folder in ("whole", "parts"))
        assert all(np.array_equal(value, theirs.weights[name]) for name, value in ours.weights.items())
    else:
        assert np.abs(np.subtract(*losses)).max() < 1e-10


OTHER_KINDS = {"lstm": ["--n-hidden", 8, "--dropout", 0.1], "mamba": ["--d-state", 3]}
OTHER_KINDS |= {"llama": ["--n-kv-head", 2, "--head-size", 4, "--rope-theta", 100, "--dropout", 0.1]}
PLAIN = ["--input-file", "text.txt", "--device", "cpu", "--n-layer", 2, "--n-embd", 8, "--seq-len", 8, "--batch-size", 4]
PLAIN += ["--warmup-iters", 2, "--eval-interval", 3, "--eval-iters", 2, "--max-new-tokens", 9, "--dtype", "float64"]


def run_kind(monkeypatch, kind, *options) -> None:
    monkeypatch.setattr(sys, "argv", ["train_text.py", *map(str, ["--model", kind, *PLAIN, *OTHER_KINDS[kind], *options])])
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_another_kind_makes_the_same_run_on_both_backends_goes_on_and_writes(monkeypatch, capsys, kind):
    """Eight steps in one go in NumPy and in torch; five and three more in NumPy, bit for bit; then sample.py on either."""
    for backend in ("numpy", "torch"):
        run_kind(monkeypatch, kind, "--backend", backend, "--max-iters", 8, "--out-dir", backend)
    for ours, theirs in zip(records("numpy"), records("torch"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)
    run_kind(monkeypatch, kind, "--max-iters", 5, "--lr-decay-iters", 8, "--out-dir", "parts")
    monkeypatch.setattr(sys, "argv", ["train_text.py", "--resume", "--out-dir", "parts", "--max-iters", "8"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert [record["loss"] for record in records("parts")] == [record["loss"] for record in records("numpy")]
    whole, parts = (read_checkpoint(f"{folder}/last.safetensors") for folder in ("numpy", "parts"))
    assert whole.config == parts.config and parts.config.kind == kind
    assert all(np.array_equal(value, parts.weights[name]) for name, value in whole.weights.items())
    texts = []
    for backend in ("numpy", "torch"):
        capsys.readouterr()
        options = ["--checkpoint", "parts/last.safetensors", "--backend", backend, "--device", "cpu", "--seed", "1"]
        monkeypatch.setattr(sys, "argv", ["sample.py", *options, "--prompt", "ali", "--max-new-tokens", "30"])
        runpy.run_path(str(EXAMPLES / "sample.py"), run_name="__main__")
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and texts[0].startswith("ali") and len(texts[0]) == 3 + 30 + 1


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("lstm", ["--n-head", 2]),
        ("lstm", ["--d-state", 4]),
        ("mamba", ["--n-hidden", 4]),
        ("mamba", ["--n-head", 4]),  # the default, but typed
        ("mamba", ["--dropout", 0.1]),
        ("gpt", ["--expand", 3]),
        ("gpt", ["--n-kv-head", 2]),
        ("llama", ["--init-std", 0.04]),
    ],
)
def test_an_option_of_another_kind_is_refused_by_name(monkeypatch, kind, option):
    monkeypatch.setattr(sys, "argv", ["train_text.py", *map(str, ["--model", kind, *PLAIN, "--max-iters", 3, *option])])
    with pytest.raises(SystemExit, match=rf"^error: {option[0]} is no option of --model {kind}$"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert not Path("out").exists()


def test_a_run_saved_before_an_option_existed_goes_on(monkeypatch, capsys):
    run(monkeypatch, "--max-iters", 2)
    path = Path("out/text/last.safetensors")
    saved = read_checkpoint(path)
    del saved.run["options"]["rope_theta"]  # which the first versions did not have
    write_checkpoint(path, saved)
    monkeypatch.setattr(sys, "argv", ["train_text.py", "--resume", "--max-iters", "3", "--device", "cpu"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert read_checkpoint(path).step == 3


def test_the_kind_of_a_run_cannot_change(monkeypatch):
    run_kind(monkeypatch, "lstm", "--max-iters", 2)
    monkeypatch.setattr(sys, "argv", ["train_text.py", "--resume", "--model", "mamba", "--max-iters", "4"])
    with pytest.raises(SystemExit, match=r"^error: --model mamba: the run in out/text has lstm, which cannot change$"):
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(monkeypatch):
    options = ["--device", "cpu", "--max-iters", 100_000, "--save-interval", 100_000]
    process = start(*options, "--eval-interval", 100_000)
    metrics = Path("out/text/metrics.jsonl")
    while not metrics.exists() or metrics.stat().st_size < 500:
        assert process.poll() is None
        time.sleep(0.01)
    with pytest.raises(SystemExit, match=r"^error: out/text: another run is writing to this folder"):
        run(monkeypatch, *options)  # while the other one goes on as it was
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "finishing the step" in output and "--resume --out-dir out/text --device cpu\n" in output
    saved = read_checkpoint("out/text/last.safetensors")
    assert saved.step == len(records("out/text")) > 0 and f"stopped after step {saved.step:,} and saved" in output
    steps = saved.step + 3
    monkeypatch.setattr(sys, "argv", ["train_text.py", "--resume", "--max-iters", str(steps), "--device", "cpu"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert [record["step"] for record in records("out/text")] == list(range(1, steps + 1))


# ----------------------------------------------------------------------------------------------------------------- SIGKILL

KILLS = 400 if PROFILE == "nightly" else 36
STEPS = 30

# A run that forks: the child trains like the script and is killed; starting Python anew each time would take minutes. The child
# saves after every step. Every second kill comes at a random moment; the others at a random line of a phase: while the text is
# encoded, the metrics are opened or get a line (of which half is written then), a checkpoint or the picture is saved, and
# before and after a rename.
KILLED_RUN = """
import json, os, random, runpy, signal, sys, time
script, folder, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.path.insert(0, os.path.dirname(script))
import npgpt, safetensors.numpy, matplotlib.figure, tqdm
import npgpt.text.data as data, npgpt.runs.files as files, npgpt.runs.metrics as metrics, npgpt.runs.run as run
from npgpt.runs.checkpoint import read_checkpoint
rng = random.Random(seed)
path = os.path.join(folder, "last.safetensors")
options = sys.argv[5:]
steps = int(options[options.index("--max-iters") + 1])
data.CHUNK = 2000  # many pieces

PHASES = {"encode": [(data, "write_tokens")], "save": [(run.TrainingRun, "save")], "picture": [(run, "write_picture")]}
PHASES |= {"metrics": [(metrics.MetricsFile, "__init__"), (metrics.MetricsFile, "write")]}
WATCHED = [data.__file__, files.__file__, metrics.__file__, run.__file__]
done, survived = dict.fromkeys(["any", "half a line", "rename", *PHASES], 0), 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(phase, number):
    '''At the number-th line of our own that runs in the phase.'''
    def trace(frame, event, argument):
        nonlocal number
        if frame.f_code.co_filename not in WATCHED:
            return None
        number -= event == "line"
        if not number:
            die()
        return trace

    def traced(function):
        def call(*arguments, **options):
            sys.settrace(trace)
            try:
                return function(*arguments, **options)
            finally:
                sys.settrace(None)
        return call

    for home, name in PHASES[phase]:
        setattr(home, name, traced(getattr(home, name)))

def die_at_a_rename(number):
    '''Before the first rename, after it, before the second, ...'''
    plain = os.replace

    def replace(*paths):
        nonlocal number
        for moment in (lambda: None, lambda: plain(*paths)):
            moment()
            number -= 1
            if not number:
                die()

    os.replace = replace

def die_in_a_line(number):
    '''Half of the number-th line of the metrics reaches the file.'''
    plain = metrics.MetricsFile.write

    def write(self, record):
        nonlocal number
        number -= 1
        if not number:
            self._file.write(json.dumps(record)[: rng.randrange(80)])
            self._file.flush()
            die()
        plain(self, record)

    metrics.MetricsFile.write = write

def finish():
    global survived
    survived += 1
    for name in os.listdir(folder):
        os.rename(os.path.join(folder, name), os.path.join(folder, "..", "finished", name))

while sum(done.values()) < kills:
    resume = ["--resume"] if os.path.exists(path) else []
    before = read_checkpoint(path).step if resume else 0
    if before == steps:  # killed after its last save: finished too
        finish()
        continue
    turn, second = divmod(sum(done.values()), 2)
    phase = list(done)[1 + turn % (len(done) - 1)] if second else "any"
    tokens = [name for name in os.listdir(".") if name.endswith(".tokens")]
    if phase == "encode" and tokens:
        os.unlink(tokens[0])
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = [script, "--out-dir", folder, *options, *resume]
        if phase == "half a line":
            die_in_a_line(rng.randrange(1, 5))
        elif phase == "rename":
            die_at_a_rename(rng.randrange(1, 12))
        elif phase != "any":
            die_at(phase, rng.randrange(1, 120))
        try:
            runpy.run_path(script, run_name="__main__")
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    if phase == "any":
        time.sleep(rng.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
    rng.random()  # the child has drawn from a copy
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "a run that goes on failed"
        finish()
        continue
    done[phase] += 1
    if os.path.exists(path):
        assert read_checkpoint(path).step >= before
    best, lines = os.path.join(folder, "best.safetensors"), os.path.join(folder, "metrics.jsonl")
    if os.path.exists(best):
        read_checkpoint(best)
    if os.path.exists(lines):
        metrics.read_metrics(lines)
    for name in os.listdir("."):
        if name.endswith(".tokens"):
            with open(name, "rb") as file:
                assert data.mapped_tokens(name, json.loads(file.read(data.HEADER))) is not None, "half a file of ids"
print(json.dumps([done, survived]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_any_moment_a_run_loses_no_step_that_was_saved(monkeypatch, tmp_path):
    """SIGKILL at random moments and in every phase: every file is whole, and the run that goes on to the end is, bit for bit,
    the one that was never stopped."""
    for folder in ("killed", "finished"):
        (tmp_path / folder).mkdir()
    options = [*arguments()[1:], "--max-iters", str(STEPS), "--save-interval", "1"]
    seed = random.randrange(2**32) if PROFILE == "nightly" else 0
    command = [sys.executable, "-c", KILLED_RUN, SCRIPT, "killed", str(KILLS), str(seed), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + f"\nseed {seed}"
    kills, survived = json.loads(done.stdout.splitlines()[-1])
    assert sum(kills.values()) == KILLS and min(kills.values()) > 0, kills
    run(monkeypatch, "--max-iters", STEPS, "--save-interval", 1, "--out-dir", "whole")
    if survived:
        assert_same_run("whole", "finished")
    resume = ["--resume"] if Path("killed/last.safetensors").exists() else []
    if not resume or read_checkpoint("killed/last.safetensors").step < STEPS:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options, "--out-dir", "killed", *resume])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        assert sorted(os.listdir("killed")) == ["best.safetensors", "last.safetensors", "loss.png", "metrics.jsonl"]
    assert_same_run("whole", "killed")


# ---------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input-file", "missing.txt"], "missing.txt"),
        (["--input-file", "empty.txt"], "holds no text"),
        (["--input-file", "binary.txt"], "is no text: it holds a NUL character"),
        (["--input-file", "latin1.txt"], "is not UTF-8"),
        (["--input-file", "."], "."),
        (["--input-file", "short.txt"], "the text is too short"),
        (["--seq-len", 2000], "--seq-len 2000 needs 2001 tokens to validate on, and the last 0.1 of the text holds 1049"),
        (["--tokenizer", "letters"], "character '\\n' at position"),
        (["--tokenizer", "missing.json"], "missing.json"),
        (["--tokenizer", "text.txt"], "text.txt holds no usable tokenizer"),
        (["--validation", 1.5], "validation must lie between 0 and 1"),
        (["--n-embd", 9], "n_embd must be divisible by n_head"),
        (["--max-iters", 0], "--max-iters must be at least 1, got 0"),
        (["--gradient-accumulation-steps", 0], "--gradient-accumulation-steps must be at least 1"),
        (["--eval-interval", 0], "--eval-interval must be at least 1"),
        (["--seed", -1], "--seed must be at least 0"),
        (["--temperature", -1], "--temperature must be at least 0"),
        (["--batch-size", 0], "batch_size must be at least 1"),
        (["--learning-rate", -1], "lr must be at least 0"),
        (["--weight-decay", -1], "weight_decay must be at least 0"),
        (["--beta2", 1], "betas must lie in [0, 1)"),
        (["--device", "cuda"], "'auto' or 'cpu' for NumPy"),
        (["--dtype", "bfloat16"], "--dtype bfloat16 needs --backend torch"),
        (["--compile"], "--compile needs --backend torch"),
        (["--tf32"], "--tf32 needs --backend torch"),
        (["--backend", "torch", "--compile"], "a compiled model needs dropout 0, got 0.1"),
        (["--resume"], "no checkpoint at out/text/last.safetensors"),
        (["--out-dir", "file/inside"], "file"),
    ],
)
def test_bad_input_is_a_clear_error_with_nothing_written(monkeypatch, options, message):
    contents = {"empty": b"", "binary": b"ab\0c", "short": b"ali", "latin1": "ışık".encode("iso-8859-9")}
    for name, content in contents.items():
        Path(f"{name}.txt").write_bytes(content)
    Path("file").write_bytes(b"")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "--max-iters", 3, *options)
    assert str(stop.value).startswith("error: ") and message in str(stop.value)
    assert not list(Path().glob("out/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-layer", 2], "--n-layer 2: the run in out/text has 1, which cannot change"),
        (["--no-tie-weights"], "--tie-weights False: the run in out/text has True, which cannot change"),
        (["--tokenizer", "words"], "--tokenizer words: the run in out/text has characters, which cannot change"),
        (["--max-iters", 3], "--max-iters 3: the run has made 5 steps already"),
        (["--input-file", "other.txt"], "other.txt, in the text from line 1 on: character 'X' at position 0 is not among"),
    ],
)
def test_a_run_that_cannot_go_on_says_why_and_stays_as_it_is(monkeypatch, options, message):
    Path("other.txt").write_text("XYZ " * 99)
    run(monkeypatch, "--max-iters", 5)
    before = {path.name: path.read_bytes() for path in Path("out/text").iterdir()}
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "--resume", "--max-iters", 9, *options)
    assert str(stop.value).startswith("error: ") and message in str(stop.value)
    assert before == {path.name: path.read_bytes() for path in Path("out/text").iterdir()}


def test_damaged_checkpoints_and_plain_models_cannot_be_gone_on_with(monkeypatch):
    run(monkeypatch, "--max-iters", 5)
    content = Path("out/text/last.safetensors").read_bytes()
    npgpt.save_checkpoint(npgpt.GPTModel(npgpt.GPTConfig.article()), "out/text/last.safetensors")
    plain = Path("out/text/last.safetensors").read_bytes()
    damaged = bytearray(content)
    damaged[-5] ^= 1
    for bad, message in [(content[:-9], "truncated"), (b"hello", "truncated"), (plain, "no run"), (damaged, "was changed")]:
        Path("out/text/last.safetensors").write_bytes(bad)
        with pytest.raises(SystemExit, match=f"error: out/text/last.safetensors .*{message}"):
            run(monkeypatch, "--resume", "--max-iters", 9)


def test_a_run_that_blows_up_says_when(monkeypatch):
    with pytest.raises(SystemExit, match=r"error: training stopped at step \d+: .* largest gradient: "):
        run(monkeypatch, "--learning-rate", 1e30, "--max-iters", 20)


@pytest.mark.parametrize(
    ("flush", "name"),
    [(1, "text.txt.*.tokens"), (3, "metrics.jsonl"), (5, "best.safetensors"), (7, "last.safetensors"), (9, "loss.png")],
)
def test_a_full_disk_is_reported_with_the_files_name(monkeypatch, flush, name):
    """Of the run's flushes, two for each file (its own and its folder's), one finds the disk full."""
    flushes = 0

    def fsync(descriptor):
        nonlocal flushes
        flushes += 1
        if flushes == flush:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "--max-iters", 5)
    place = name if flush == 1 else f"out/text/{name}"
    assert fnmatch(str(stop.value), f"error: {place}: No space left on device")


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.replace"])
def test_a_disk_without_room_for_one_more_name_is_reported_with_the_files_name(monkeypatch, call):
    """The same of what makes the temporary file and what renames it, whose own errors name the temporary file."""
    import tempfile

    plain = {"tempfile.mkstemp": tempfile.mkstemp, "os.replace": os.replace}[call]
    places = ["text.txt.*.tokens", *(f"out/text/{name}" for name in ("metrics.jsonl", "best.*", "last.*", "loss.png"))]
    for failing, place in enumerate(places, start=1):
        calls = 0

        def full_disk(*arguments, failing=failing, **options):
            nonlocal calls
            calls += 1
            if calls == failing:
                temporary = arguments[0] if arguments else os.path.join(options["dir"], f"{options['prefix']}x.tmp")
                raise OSError(errno.ENOSPC, "No space left on device", temporary)
            return plain(*arguments, **options)

        with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
            patch.setattr(call, full_disk)
            run(patch, "--max-iters", 5)
        assert fnmatch(str(stop.value), f"error: {place}: No space left on device"), stop.value
        assert not list(Path().rglob(".*.tmp"))
        for tokens in Path().glob("*.tokens"):
            tokens.unlink()


def test_on_a_disk_of_any_size_a_run_comes_to_its_end_or_names_the_file_that_has_no_room(monkeypatch, small_disk):  # noqa: F811
    """A real small disk, a little larger each time. Everything that is written in one piece is too large for one of them."""
    seen = []
    for size in range(12, 400, 12):
        subprocess.run(["mount", "-o", f"remount,size={size}k", small_disk], check=True)
        try:
            run(monkeypatch, "--max-iters", 5, "--out-dir", small_disk / "out", "--cache-dir", small_disk / "cache")
        except SystemExit as stop:
            file, why = str(stop.code).removeprefix("error: ").split(": ")
            assert why == "No space left on device" and Path(file).is_relative_to(small_disk)
            seen.append(Path(file).name.split(".")[0])
        else:
            break
        assert not list(small_disk.rglob(".*.tmp"))
        for path in (*small_disk.glob("*/*"), *small_disk.glob("*")):
            path.rmdir() if path.is_dir() else path.unlink()
    assert list(dict.fromkeys(seen)) == ["text", "best", "last", "loss"]


# ---------------------------------------------------------------------------------------------------------------- metrics


def test_metrics_go_on_where_the_checkpoint_is(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path)
    for step in range(1, 6):
        metrics.write({"step": step, "loss": 1 / step})
    metrics.close()
    path.write_text(path.read_text() + '{"step": 6, "lo')  # killed while it wrote
    assert [record["step"] for record in read_metrics(path)] == [1, 2, 3, 4, 5]
    metrics = MetricsFile(path, after=3)
    metrics.write({"step": 4, "loss": 9})
    metrics.close()
    assert read_metrics(path) == [{"step": n, "loss": 1 / n} for n in (1, 2, 3)] + [{"step": 4, "loss": 9}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"not json", r"line 2 is no JSON object: 'not json"),
        (b"[1]", r"line 2 is no JSON object"),
        (b'{"step": 2, "loss": 1, "\xff": 3}', r"line 2 is no JSON object"),  # no UTF-8
        (b"[" * 5000, r"line 2 is no JSON object"),
        (b'{"loss": 1}', r"line 2 has no step"),
        (b'{"step": 2, "lpss": 1}', r"line 2 has no loss"),  # the picture at the end would miss it
        (b'{"step": null, "loss": 1}', r"line 2 has None for step, which is no number or too large a one"),
        (b'{"step": 2, "loss": "x"}', r"line 2 has 'x' for loss, which is no number or too large a one"),
        (b'{"step": 2, "loss": 1, "val_loss": true}', r"line 2 has True for val_loss, which is no number or too large a one"),
        (b'{"step": 2, "loss": 1, "lr": 9223372036854775808}', r"line 2 has 9223372036854775808 for lr, which is no"),
        (b'{"step": 1, "loss": 1}', r"line 2 is of step 1, after step 1"),
        (b'{"step": 2.5, "loss": 1}', r"line 2 is of step 2\.5, after step 1"),
    ],
)
def test_a_damaged_line_of_the_metrics_is_named(tmp_path, line, message):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 3}\n' + line + b'\n{"step": 3, "loss": 1}\n')
    for read in (read_metrics, lambda path: MetricsFile(path, after=2)):
        with pytest.raises(ValueError, match=rf"metrics\.jsonl, {message}"):
            read(path)


@pytest.mark.parametrize("preset", ["small", "nanogpt-cpu"])
@pytest.mark.parametrize("kind", ["gpt", "lstm", "mamba", "llama"])
def test_every_preset_fits_every_kind_and_at_shakespeares_size_they_are_about_equally_large(preset, kind):
    script = runpy.run_path(str(SCRIPT))
    parser = script["make_parser"]()
    parser.set_defaults(model=kind, **script["PRESETS"][preset][kind])
    config = script["make_config"](parser.parse_args([]), 65)
    assert config.kind == kind
    size = npgpt.make_model(config).num_parameters()
    assert preset == "small" or abs(size / 800_000 - 1) < 0.05, size
