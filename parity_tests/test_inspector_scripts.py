"""inspect_training.py and train_text.py --inspector as a reader runs them: what they print, the page they leave, bad input."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from npgpt.inspector.recording import read_recording

from .bugs import CATALOGUE
from .test_examples import EXAMPLES

SCRIPT = EXAMPLES / "inspect_training.py"


@pytest.fixture(autouse=True)
def the_scripts_modules_are_found(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def run(monkeypatch, *options, script: Path = SCRIPT) -> None:
    """A script with these options, in this process."""
    monkeypatch.setattr(sys, "argv", [script.name, *map(str, options)])
    runpy.run_path(str(script), run_name="__main__")


def data_of(page: Path) -> dict:
    """What stands in the page for its scripts to show."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)[1])


@pytest.mark.parametrize("lang", ["en", "tr"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_run_leaves_its_page_and_its_recording(monkeypatch, capsys, tmp_path, backend, lang):
    run(monkeypatch, "--steps", 12, "--every", 5, "--backend", backend, "--lang", lang, "--out-dir", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inspector.html", "inspector.safetensors"]
    assert capsys.readouterr().out.count(str(tmp_path)) == 2  # each file is named
    recording, data = read_recording(tmp_path / "inspector.safetensors"), data_of(tmp_path / "inspector.html")
    assert data["run"]["steps"] == recording.steps.tolist() == [0, 5, 10, 12] and data["lang"] == lang
    assert data["run"]["backend"] == backend and (lang == "tr") == bool(data["labels"])
    names = [tensor["name"] for tensor in data["run"]["trace"]["tensors"]]
    assert all(data["formulas"][name]["value"] and data["formulas"][name]["gradient"] for name in names)
    assert all(data["sources"][name]["value"]["function"] in data["functions"] for name in names)


def test_the_default_run_fits_into_two_megabytes_with_nothing_left_out(monkeypatch, capsys, tmp_path):
    run(monkeypatch, "--out-dir", tmp_path)
    assert (tmp_path / "inspector.html").stat().st_size < 2e6
    run_data = data_of(tmp_path / "inspector.html")["run"]
    assert run_data["left_out"] == [] and run_data["insights"] == [] and len(run_data["steps"]) == 76
    assert "nothing is off" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["lstm", "mamba", "llama"])
def test_every_kind_of_model_with_its_mistakes(monkeypatch, capsys, tmp_path, kind):
    """Each chosen mistake makes a tensor wrong: none is shown that shows nothing."""
    run(monkeypatch, "--model", kind, "--steps", 20, "--every", 10, "--bugs", "--out-dir", tmp_path)
    recording, data = read_recording(tmp_path / "inspector.safetensors"), data_of(tmp_path / "inspector.html")
    assert len(data["mistakes"]) >= 8 and data["run"]["kind"] == kind
    for mistake in data["mistakes"]:
        assert CATALOGUE[mistake["name"]].kind == kind and mistake["tensor"] and mistake["right"] != mistake["wrong"]
        assert mistake["caught_by"]
    assert np.nanmin(recording.digits) > 14


def test_the_gpts_mistakes_are_told_by_their_digits(monkeypatch, capsys, tmp_path):
    """A wrong gradient has few digits; a mask one late, and a mistake of AdamW's, have all of them."""
    run(monkeypatch, "--steps", 60, "--every", 20, "--bugs", "--out-dir", tmp_path)
    table = dict(re.findall(r"^  (\w+) +\S+ +(\S+)$", capsys.readouterr().out, re.MULTILINE))
    right = {"attention_mask_one_late", "adamw_no_bias_correction_of_v"}
    assert len(table) == 12 and right < set(table)
    assert all((float(digits) > 13) == (name in right) and float(digits) < 18 for name, digits in table.items())
    mistakes = {mistake["name"]: mistake for mistake in data_of(tmp_path / "inspector.html")["mistakes"]}
    assert mistakes["attention_dk_not_transposed"]["tensor"] == "blocks.0.k"
    assert mistakes["attention_dk_not_transposed"]["of"] == "gradient"
    assert mistakes["attention_mask_one_late"]["of"] == "value"
    assert mistakes["adamw_no_bias_correction_of_v"]["tensor"] == ""
    assert mistakes["adamw_no_bias_correction_of_v"]["caught_by"] == ["optimiser parity"]


def test_two_runs_beside_each_other(monkeypatch, capsys, tmp_path):
    run(monkeypatch, "--steps", 6, "--every", 1, "--out-dir", tmp_path / "a")
    run(monkeypatch, "--steps", 6, "--every", 1, "--backend", "torch", "--out-dir", tmp_path / "b",
        "--compare", tmp_path / "a" / "inspector.safetensors")  # fmt: skip
    data = data_of(tmp_path / "b" / "inspector.html")
    assert (data["run"]["backend"], data["other"]["backend"]) == ("torch", "numpy")
    assert data["comparison"]["first"]["difference"] < 1e-12  # rounding, and no more


def test_a_readers_own_text(monkeypatch, capsys, tmp_path):
    shutil.copy(EXAMPLES / "data" / "tr_sentences.txt", tmp_path / "text.txt")
    monkeypatch.chdir(tmp_path)
    options = ["--input-file", "text.txt", "--n-layer", 1, "--n-embd", 8, "--n-head", 2, "--seq-len", 8, "--batch-size", 4]
    options += ["--eval-iters", 1, "--max-new-tokens", 3, "--dropout", 0.1, "--inspector"]
    script = EXAMPLES / "train_text.py"
    run(monkeypatch, *options, "--max-iters", 6, script=script)
    data = data_of(tmp_path / "out/text/inspector.html")
    assert data["run"]["steps"] == list(range(7)) and len(data["run"]["text"]["ids"]) == 8
    run(monkeypatch, "--resume", "--max-iters", 9, "--inspector", script=script)
    assert data_of(tmp_path / "out/text/inspector.html")["run"]["steps"] == [6, 7, 8, 9]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--prompt", "ali ata bak ali ata"], "--prompt must hold 2 to 13 letters"),
        (["--prompt", "q"], "--prompt"),
        (["--every", "0"], "--every must be at least 1, got 0"),
        (["--max-mb", "0"], "--max-mb must be above 0"),
        (["--max-mb", "0.1", "--steps", "3"], "max_mb is 0.1, but the page needs"),
        (["--compare", "nothing.safetensors"], "nothing.safetensors"),
        (["--learning-rate", "-1"], "--learning-rate must be above 0"),
    ],
)
def test_bad_input_ends_with_its_reason(monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *options)
    assert str(stop.value).startswith("error: ") and message in str(stop.value) and "\n" not in str(stop.value)


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"error: --out-dir: .*file"):
        run(monkeypatch, "--steps", 3, "--out-dir", tmp_path / "file" / "folder")


def test_a_run_that_blows_up_is_shown_as_far_as_it_came(monkeypatch, capsys, tmp_path):
    run(monkeypatch, "--steps", 50, "--every", 1, "--learning-rate", "1e300", "--out-dir", tmp_path)
    printed = capsys.readouterr().out
    assert "training stopped at step" in printed
    run_data = data_of(tmp_path / "inspector.html")["run"]
    assert run_data["insights"] and run_data["steps"][-1] < 50
