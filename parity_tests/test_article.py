"""The article's steps, in its order and with its own calls, on both backends; and the numbered examples that follow it."""

import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npgpt
import torchgpt
from npgpt.plots import LANGUAGES, labels
from npgpt.plots.labels import TABLE

from .tolerances import as_numpy

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("0*.py"))


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_articles_own_calls_work(backend):
    # the dictionary space
    assert "".join(npgpt.letters) == "abcçdefgğhıijklmnoöprsştuüvyz .,"
    ids = npgpt.tokenize("ali ata bak.")
    assert ids == [0, 14, 11, 29, 0, 23, 0, 29, 1, 0, 13, 30] and npgpt.detokenize(ids) == "ali ata bak."
    config, device = npgpt.GPTConfig.article(train_qkv=True), "cpu"
    model = backend.GPTModel(config, device)
    assert model.num_parameters() == 275
    embed = model.token_embedding(np.array([ids]) if backend is npgpt else model._ids(np.array([ids])))  # (1, 12, 3)
    assert embed.shape == (1, 12, 3)

    # the context space: positions, Query, Key, Value, attention, projection
    positions = backend.get_position_encoding(12, 3)
    assert positions.shape == (1, 12, 3) and np.allclose(as_numpy(positions)[0, 1], [math.sin(1), math.cos(1), 0])
    x = embed + positions
    block = model.blocks[0]
    head = block.mha.attn_heads[0]
    assert head.Wq.weight.shape == head.Wk.weight.shape == head.Wv.weight.shape == (3, 3)
    output, weights = head(block.ln1(x))
    assert output.shape == (1, 12, 3) and weights.shape == (1, 12, 12)
    assert np.allclose(as_numpy(weights).sum(-1), 1) and not np.triu(as_numpy(weights)[0], 1).any()
    x = x + block.mha.projection(output)
    logits = model.head(model.ln_f(x))
    assert np.allclose(as_numpy(logits), as_numpy(model([ids])), atol=1e-6)  # by hand what the model does

    # writing to Wq changes the model
    before = as_numpy(model([ids])).copy()
    if backend is torchgpt:
        head.Wq.weight.data[:] = 3.0
    else:
        head.Wq.weight[:] = 3.0
    assert (
        not np.allclose(as_numpy(model([ids])), before)
        and (as_numpy(model.state_dict()["blocks.0.mha.Wqkv.weight"])[:3] == 3).all()
    )

    # an FFN where the config asks for one
    larger = backend.GPTModel(npgpt.GPTConfig(32, 1, 1, 3, 12))
    assert larger.blocks[0].ffn(
        larger.token_embedding(model._ids(np.array([ids])) if backend is torchgpt else np.array([ids]))
    ).shape == (1, 12, 3)

    # dataset, training, inference
    tokens = np.array(npgpt.tokenize("ali ata bak. bak ata ali. ali ata bak."))
    inputs, targets = npgpt.sliding_windows(tokens, 12)
    assert (inputs[1:, :-1] == inputs[:-1, 1:]).all() and (targets[:, :-1] == inputs[:, 1:]).all()
    losses = backend.train(model, npgpt.random_batches(inputs, targets, 4, 0), steps=40, learning_rate=2e-2)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    text = npgpt.detokenize(as_numpy(backend.generate(model, npgpt.tokenize("ali "), 20)).tolist())
    assert text.startswith("ali ") and len(text) == 24


def test_every_label_stands_in_both_languages():
    for key, texts in TABLE.items():
        assert len(texts) == len(LANGUAGES) and all(texts), key
        fields = [sorted(set(re.findall(r"\{(\w*)", text))) for text in texts]
        assert fields[0] == fields[1], f"{key}: the two texts have different fields"
    with pytest.raises(ValueError, match="lang must be one of en, tr; got 'de'"):
        labels("de")


# ------------------------------------------------------------------------------------------------------- the numbered examples


def run_script(script: str, *arguments) -> str:
    """A script in a process of its own, as a reader runs it; what it printed."""
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_paths(text: str, out_dir: Path, backend: str) -> str:
    return text.replace(str(out_dir), "OUT").replace(backend, "BACKEND")


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_prints_the_same_on_both_backends_and_draws(script, tmp_path):
    from matplotlib.image import imread

    printed = {}
    for backend in ("numpy", "torch"):
        out_dir = tmp_path / backend
        lang = "en" if backend == "numpy" else "tr"
        text = run_script(script, "--quick", "--backend", backend, "--out-dir", out_dir)
        printed[backend] = without_paths(text, out_dir, backend)
        pictures = sorted(out_dir.glob("*.png"))
        assert pictures, "no picture was written"
        for path in pictures:
            picture = imread(path)
            assert picture.shape[0] > 200 and picture.shape[1] > 300, path
            assert (picture[..., :3].min(axis=-1) < 0.5).mean() > 0.003, f"{path} is blank"
    assert printed["numpy"] == printed["torch"]
    turkish = run_script(script, "--quick", "--lang", "tr", "--out-dir", tmp_path / lang)
    assert turkish != printed["numpy"] and set("ışğıöüç") & set(turkish)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "arguments", [["--lang", "de"], ["--backend", "jax"], ["--out-dir", "file"], ["--prompt", "quo"], ["--prompt", "a" * 60]]
)
def test_bad_input_is_one_line_and_nothing_is_written(script, arguments, tmp_path, monkeypatch, capsys):
    if arguments[0] == "--prompt" and '"--prompt"' not in (EXAMPLES / script).read_text(encoding="utf-8"):
        pytest.skip("this example has no prompt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", [script, "--quick", *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    message = capsys.readouterr().err if stop.value.code == 2 else str(stop.value)
    assert "error: " in message and message.strip().count("\n") <= 30 and stop.value.code != 0
    assert arguments[1] in message or arguments[0] in message
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]
