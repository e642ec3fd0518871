"""The figures that the commands print beside the numbered examples: the report, the grader, train.py, the inspector's run."""

import dataclasses
import json
import math
import re
import runpy
import sys

import numpy as np
import pytest
import torch

import npgpt
import torchgpt

from . import report
from .bugs import CATALOGUE
from .report import PRESETS, main
from .strategies import random_weights
from .test_examples import EXAMPLES
from .test_figures import ARTICLE, NUMBER, Printed, drawn, learned, letters_of
from .tolerances import as_numpy


def values_and_gradients(backend, config, dtype: str, weights, ids, targets) -> tuple[dict, dict, dict]:
    """The weights, the intermediates, and the gradients of both."""
    model = backend.make_model(config, dtype=dtype)
    model.load_state_dict(weights)
    model.loss_and_grad(ids, targets)
    trace = {name: tuple(map(as_numpy, pair)) for name, pair in model.trace(ids, targets).items()}
    gradients = {name: as_numpy(g).copy() for name, g in model.gradients().items()}
    state = {name: as_numpy(w).copy() for name, w in model.state_dict().items()}
    return state, {name: v for name, (v, _) in trace.items()}, gradients | {name: g for name, (_, g) in trace.items()}


def errors(ours: dict, right: dict, eps: float) -> dict[str, float]:
    """The largest difference, in eps of the largest element, or of a thousandth of the largest of all."""

    def largest(array) -> float:
        return float(np.abs(array[np.isfinite(array)]).max(initial=0))

    sizes = {name: max(largest(value), max(map(largest, right.values())) / 1000) for name, value in right.items()}
    return {
        name: max((abs(float(a) - float(b)) for a, b in zip(ours[name].flat, value.flat, strict=True) if a != b), default=0.0)
        / sizes[name]
        / eps
        for name, value in right.items()
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_report_prints_every_tensors_errors_in_eps(capsys, dtype):
    """Also where they are wrong: npgpt's LayerNorm forgets one of its terms."""
    config = PRESETS["article275"]
    rng = np.random.default_rng(3)
    weights = {name: value.astype(np.float32) for name, value in random_weights(rng, config, 0.1).items()}
    ids, targets = rng.integers(32, size=(2, 4, 12))
    eps32, eps = 2.0**-23, 2.0**-23 if dtype == "float32" else 2.0**-52
    bug = CATALOGUE["layer_norm_statistics_taken_as_constants"]
    options = ["--preset", "article275", "--seed", "3", "--dtype", dtype]
    with bug.switched_on():
        assert main([*options, "--json", "-"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert main(options) == 1
        ours = values_and_gradients(npgpt, config, dtype, weights, ids, targets)
    out = capsys.readouterr().out
    right, own = (values_and_gradients(torchgpt, config, each, weights, ids, targets) for each in ("float64", "float32"))
    expected = [
        (errors(a, b, eps), errors(c, b, eps32)) for a, b, c in zip(ours, right, own, strict=True)
    ]  # of weights, of intermediates, of gradients: (ours, torch's own)
    rows, wrong = [re.split(r"\s{2,}", line.strip()) for line in out.split("\n\n")[0].splitlines()[1:]], 0
    assert [row[0] for row in rows] == [*right[0], *right[1]] == [row["name"] for row in told["rows"]]
    for (name, kind, shape, *figures, verdict), in_json in zip(rows, told["rows"], strict=True):
        here = 1 if kind == "intermediate" else 0
        assert shape == " x ".join(map(str, right[here][name].shape)) and kind in ("intermediate", "parameter")
        values = [side[name] for side in expected[here]] + [side[name] for side in expected[2]]
        ratios = [a / b for a, b in (values[:2], values[2:]) if b]
        bounds = [16 * (E + 8) for E in values[1::2]]
        values += [max(ratios)] if ratios else []
        for text, value in zip(figures, values, strict=len(values) == 5):
            assert abs(float(text) - value) <= max(0.00501, 0.0501 * value if "e" in text else 0), (name, figures, values)
        assert len(values) == 5 or figures[4] == "-"
        assert (verdict == "ok") == (values[0] <= bounds[0] and values[2] <= bounds[1])
        wrong += verdict != "ok"
        assert in_json["gradient_error"] == pytest.approx(values[2], rel=1e-9) and in_json["ratio"] == (
            pytest.approx(values[4], rel=1e-9) if ratios else None
        )
    assert f"{len(rows)} tensors of one forward and backward pass, {wrong} wrong" in out and wrong > 3


def test_the_reports_verdict_turns_at_its_bound():
    """16 (E + 8) eps: 128 where torch's own float32 makes no error, 160 where it makes one of 2 eps."""
    right, eps64, eps32 = {"x": np.ones(3)}, 2.0**-52, 2.0**-23
    for E, bound in ((0, 128), (2, 160)):
        for error in (bound - 1, bound + 1):
            ours, own = {"x": np.ones(3) + error * eps64}, {"x": np.ones(3) + E * eps32}
            pairs, verdicts = report.errors(ours, right, own, "float64")
            assert pairs["x"] == (error, E) and verdicts["x"] == (error < bound)


def test_the_grader_prints_what_is_and_what_should_be(capsys, tmp_path):
    """A gradient that is two thirds of the right one."""
    from npgpt.check.__main__ import main as check

    path = tmp_path / "mine.py"
    path.write_text(
        "def thrice(x):  # x (N, C)\n    return 3 * x, None\n\n\ndef thrice_backward(dy, cache):\n    return 2 * dy\n"
    )
    assert check([str(path)]) == 1
    out = capsys.readouterr().out
    ((is_now, should_be, wrong, of),) = re.findall(
        r"dx\[0, 0\] is (\S+) and should be (\S+) by the complex step \((\d+) of (\d+) elements", out
    )
    assert float(is_now) / float(should_be) == pytest.approx(2 / 3, rel=1e-5) and wrong == of == "20"
    assert re.search(r"WRONG +dx\[\d, \d\] 3\.3e-01 ", out) and out.count("multiplied by 0.666667") == 2  # of the largest
    assert "0 right" not in out and "\n1 wrong\n" in out


def test_check_your_backward_prints_the_wrong_and_the_right_value(monkeypatch, capsys):
    """Under the cotangents that the grader draws."""
    variables = runpy.run_path(str(EXAMPLES / "check_your_backward.py"))
    out, x, softmax = capsys.readouterr().out, variables["x"], variables["softmax"]
    cotangents = []
    npgpt.check_backward(softmax, lambda dp, p: cotangents.append(dp) or p * (1 - p) * dp, x)
    ((index, is_now, should_be, count),) = re.findall(r"dx\[(0, 0, 0)\] is (\S+) and should be (\S+) by .*\((\d+ of \d+) ", out)
    p, place = torch.softmax(torch.from_numpy(x), -1).numpy(), tuple(map(int, index.split(", ")))
    pairs = [((p * (1 - p) * dp)[place], (p * (dp - (p * dp).sum(-1, keepdims=True)))[place]) for dp in cotangents]
    assert any((f"{a:.6g}", f"{b:.6g}") == (is_now, should_be) for a, b in pairs) and count == "30 of 30"
    assert "every element is right (dx 30)" in out and "every element is right (dq 24, dk 24, dv 24)" in out


def test_train_prints_its_model_and_the_loss_of_guessing(monkeypatch, capsys, tmp_path):
    """Every line with a number; two blocks of one head, an FFN of 7. (test_printed.py knows its losses.)"""
    monkeypatch.chdir(tmp_path)
    kept = {}
    monkeypatch.setattr("npgpt.runs.files.write_picture", lambda path, picture, **options: kept.update({path.name: picture}))
    options = ["--steps", "20", "--n-layer", "2", "--n-embd", "4", "--ffn-hidden", "7", "--seq-len", "9", "--dtype", "float64"]
    monkeypatch.setattr(sys, "argv", ["train.py", *options, "--train-qkv", "--batch-size", "8", "--seed", "3"])
    runpy.run_path(str(EXAMPLES / "train.py"), run_name="__main__")
    printed, ids = Printed(capsys.readouterr().out.replace(str(EXAMPLES), "")), letters_of()
    config = dataclasses.replace(ARTICLE, n_layer=2, n_embd=4, seq_len=9, ffn_hidden=7, train_qkv=True)
    losses = []
    model = learned(config, 20, seed=3, losses=losses)
    printed.says("numpy on cpu, float64, seed #", 3)
    told = "config: vocab_size=#, n_layer=#, n_head=#, n_embd=#, seq_len=#, position=sinusoidal, ffn_hidden=#, qkv_bias=False, "
    told += "tie_weights=False, head_bias=True, train_qkv=True, dropout=#, init_std=#"
    printed.says(told, 32, 2, 1, 4, 9, 7, 0, 0.02)
    printed.says("text: /data/tr_sentences.txt, # letters, # windows of #", len(ids), len(ids) - 9, 9)
    block = {"ln1.weight": (4,), "ln1.bias": (4,), "mha.Wqkv.weight": (12, 4), "mha.projection.weight": (4, 4)}
    block |= {"mha.projection.bias": (4,), "ln2.weight": (4,), "ln2.bias": (4,), "ffn.up.weight": (7, 4), "ffn.up.bias": (7,)}
    block |= {"ffn.down.weight": (4, 7), "ffn.down.bias": (4,)}
    shapes = {"token_embedding.weight": (32, 4)} | {
        f"blocks.{i}.{name}": shape for i in range(2) for name, shape in block.items()
    }
    shapes |= {"ln_f.weight": (4,), "ln_f.bias": (4,), "head.weight": (32, 4), "head.bias": (32,)}
    for name, shape in shapes.items():
        printed.says(f"{name} ({', '.join('#' for _ in shape)}{',' * (len(shape) == 1)}) #", *shape, math.prod(shape))
    printed.says("parameters #", sum(map(math.prod, shapes.values())))
    printed.says("guessing among # letters costs ln(#) = # nats a letter", 32, 32, math.log(32))
    steps = [line for line in printed.left if line.startswith("step ")]
    for n, line in enumerate(steps, start=1):
        step, loss = map(float, NUMBER.findall(line)[:2])
        assert step == 2 * n and abs(loss - np.mean(losses[2 * n - 2 : 2 * n])) <= 5.1e-5
        printed.left.remove(line)
    assert len(steps) == 10
    windows = [ids_[start : start + 9] for ids_ in (ids[:-1], ids[1:]) for start in range(0, len(ids) - 9, 5)]
    half = len(windows) // 2
    with torch.no_grad():
        logits = torchgpt.from_numpy(model)(torch.tensor(windows[:half])).flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(windows[half:]).flatten()).item()
    printed.says("final loss: # nats a letter, over windows from all of the text (ln V = #)", loss, math.log(32))
    printed.nothing_else()
    curve = drawn(kept["loss.png"])
    curve.says("knows nothing: ln V = #", math.log(32))
    curve.says("mean of the last #", 1)


def test_the_inspectors_run_prints_its_losses(monkeypatch, capsys, tmp_path):
    """Of the right code and with every mistake: the mean of the last tenth of the steps, trained here once more."""
    options = ["--steps", "40", "--every", "15", "--seed", "1", "--bugs", "--out-dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["inspect_training.py", *options])
    mistakes = runpy.run_path(str(EXAMPLES / "inspect_training.py"), run_name="__main__")["mistaken"]
    printed, config = Printed(capsys.readouterr().out), dataclasses.replace(ARTICLE, train_qkv=True)
    seconds = float(NUMBER.findall(printed.left[0])[-1])
    told = "GPT, numpy, seed #: # parameters, # steps, # of them recorded, in # s"
    printed.says(told, 1, 96 + 6 + 27 + 12 + 6 + 128, 40, 4, seconds)  # 0, 15, 30 and 40

    def late() -> float:
        losses = []
        learned(config, 40, seed=1, losses=losses)
        return np.mean(losses[36:])

    printed.says("loss, mean of the last tenth of the steps: #", late())
    recording = npgpt.inspector.recording.read_recording(tmp_path / "inspector.safetensors")
    printed.says(
        "the gradient agrees with the complex step to # digits, at every recorded step at least", min(recording.digits)
    )
    printed.says("# mistakes: the loss at the end, and to how many digits the gradient then agrees", 12)
    for mistake in mistakes:
        with CATALOGUE[mistake["name"]].switched_on():
            loss = late()
        printed.says(f"{mistake['name']} # #", loss, np.median(mistake["digits"]))
    line = next(line for line in printed.left if line.startswith("the page has"))
    size = (tmp_path / "inspector.html").stat().st_size / 1e6
    printed.says("the page has # MB and was written in # s: open it in a browser", size, float(NUMBER.findall(line)[1]))
    printed.nothing_else()


def test_python_m_npgpt_counts_the_articles_parameters(capsys):
    from npgpt.__main__ import main as about

    about()
    assert re.findall(r"trains (\d+) parameters", capsys.readouterr().out) == [str(npgpt.make_model(ARTICLE).num_parameters())]
