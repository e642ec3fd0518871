"""examples/sample.py and examples/compare_tokenizers.py, run as a reader runs them."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import npgpt
import torchgpt

from .test_examples import EXAMPLES
from text_costs import bits_of_all, spelling_bits


def run(monkeypatch, capsys, script, *arguments) -> str:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A model that says "abcabcabc..."."""
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    tokenizer = npgpt.CharTokenizer.from_text("abc\nş")
    model = npgpt.GPTModel(npgpt.GPTConfig(5, 1, 2, 16, 8, position="learned"))
    windows = npgpt.RandomWindows(np.array(tokenizer.encode("abc" * 50)), 8, 8)
    npgpt.train(model, windows, steps=150, learning_rate=1e-2)
    npgpt.save_checkpoint(model, path, tokenizer=tokenizer)
    return path


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_sample_goes_on_from_the_prompt(monkeypatch, capsys, model_file, backend):
    options = ["--checkpoint", model_file, "--backend", backend, "--device", "cpu"]
    assert (
        run(monkeypatch, capsys, "sample.py", *options, "--prompt", "ab", "--temperature", 0, "--max-new-tokens", 7)
        == "abcabcabc\n"
    )
    out = run(monkeypatch, capsys, "sample.py", *options, "--prompt", "a", "--temperature", 0, "--stop", "bca")
    assert out == "abca\n"
    random = ["--prompt", "a", "--temperature", 3, "--top-k", 4, "--top-p", 0.99, "--seed", 3, "--num-samples", 2]
    first = run(monkeypatch, capsys, "sample.py", *options, *random)
    assert first == run(monkeypatch, capsys, "sample.py", *options, *random) and "\n---------------\n" in first
    assert first.split("\n---------------\n")[0] != first.split("\n---------------\n")[1].rstrip("\n")


def test_characters_of_several_tokens_are_printed_whole(monkeypatch, capsys):
    pytest.importorskip("tokenizers")
    text = "ışık 😀 aşağı"
    tokenizer = npgpt.BPETokenizer.from_text("", 256)
    show = runpy.run_path(str(EXAMPLES / "sample.py"))["printer"](tokenizer, prompt="aş ", stop="aş")
    printed = ""
    for token in tokenizer.encode(text):
        ended = show(np.array([token]))
        printed += capsys.readouterr().out
        assert ("aş " + text).startswith(printed)
        if ended:
            break
    assert printed == "aş ışık 😀 aş"  # the prompt's own "aş" is no reason to stop


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--checkpoint", "missing.safetensors"], "no checkpoint at missing.safetensors"),
        (["--checkpoint", "plain.safetensors"], "the checkpoint holds no tokenizer"),
        (["--prompt", "x"], "--prompt: character 'x' at position 0"),
        (["--prompt", ""], "--prompt must hold at least one token"),
        (["--temperature", "-1"], "temperature must be a number of at least 0"),
        (["--top-k", "0"], "top_k must be an integer of at least 1"),
        (["--top-p", "1.5"], "top_p must be above 0 and at most 1"),
        (["--max-new-tokens", "0"], "--max-new-tokens must be at least 1"),
        (["--num-samples", "0"], "--num-samples must be at least 1"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--stop", ""], "--stop must hold at least one character"),
        (["--device", "cuda"], "'auto' or 'cpu' for NumPy"),
    ],
)
def test_impossible_samples_are_clear_errors(monkeypatch, tmp_path, model_file, options, message):
    monkeypatch.chdir(tmp_path)
    npgpt.save_checkpoint(npgpt.GPTModel(npgpt.GPTConfig.article()), Path("plain.safetensors"))
    monkeypatch.setattr(sys, "argv", ["sample.py", "--checkpoint", str(model_file), *options])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES / "sample.py"), run_name="__main__")
    assert str(stop.value).startswith("error: ") and message in str(stop.value)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_tokenizers_are_compared_by_bits_a_character(monkeypatch, capsys, backend):
    out = run(monkeypatch, capsys, "compare_tokenizers.py", "--max-iters", 40, "--backend", backend, "--device", "cpu")
    rows = dict(re.findall(r"^(letters|characters|words|byte pairs) .* (\d+\.\d+)$", out, re.MULTILINE))
    assert {"letters", "characters", "words"} <= set(rows) and all(2 < float(bits) < 12 for bits in rows.values())


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_whole_text_is_paid_for_once(backend):
    """A model of equal logits pays log2(V) for every token but the first."""
    model = backend.GPTModel(npgpt.GPTConfig(8, 1, 1, 4, 6))
    model.load_state_dict({name: 0 * value for name, value in model.state_dict().items()})
    for length in (2, 6, 7, 8, 20, 31):
        assert bits_of_all(model, ([1, 2, 3, 4] * 8)[:length]) == pytest.approx(3 * (length - 1))


def test_what_is_unknown_must_be_spelled():
    assert spelling_bits(npgpt.WordTokenizer.from_text("ali ata"), "ali bak ata", 7) == 5 * 3  # " bak" and its end
    assert spelling_bits(npgpt.CharTokenizer("abc"), "abxc", 8) == 3
    assert spelling_bits(npgpt.LetterTokenizer(), "xyz", 8) == 0
