"""The article's notebooks: made of their one source; run in both languages, on both backends, with the scripts' numbers."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import npgpt
from npgpt import pictures

from .conftest import PROFILE

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install -e '.[notebook]'")
make_notebooks = pytest.importorskip("make_notebooks", reason="needs jupytext and nbclient: pip install -e '.[notebook]'")
pytest.importorskip("ipykernel", reason="needs ipykernel: pip install -e '.[notebook]'")

from make_notebooks import NOTEBOOKS, PLOTLY, SOURCE, differing_cells, notebook, run  # noqa: E402

EXAMPLES = Path(__file__).parents[1] / "examples"
LANGUAGES = pytest.mark.parametrize("lang", NOTEBOOKS)

# Each language once and each backend once; all four in the nightly profile.
RUNS = [("en", "numpy"), ("tr", "torch")] + [("en", "torch"), ("tr", "numpy")] * (PROFILE == "nightly")

PROBE = """
import json, time
print(json.dumps({
    "cpu_seconds": time.process_time(), "ids": ids, "parameters": [model.num_parameters(), whole.num_parameters()],
    "surprise": [surprise_untrained.mean(), surprise_trained.mean()], "p_trained": p_trained.tolist(),
    "losses": losses, "whole_text": whole_text, "written": npgpt.detokenize(backend.generate(model, begin, 12)),
    "fact_losses": fact_losses.tolist(), "known": known.tolist(), "knee": bend,
}))
"""


def on_disk(lang: str):
    return nbformat.read(NOTEBOOKS[lang], as_version=4)


def codes(cells) -> list[str]:
    return [cell.source for cell in cells if cell.cell_type == "code"]


def texts(cell) -> str:
    """What a code cell shows as plain text, the printed and the last line's."""
    return "\n".join(each.text if each.output_type == "stream" else each.data["text/plain"] for each in cell.outputs)


# ---------------------------------------------------------------------------------------------------------------- as they stand


@LANGUAGES
def test_the_notebook_is_what_its_source_says(lang):
    """Would catch a cell edited in one notebook, and a source edited without making the notebooks anew."""
    assert differing_cells(lang) == []
    assert nbformat.validate(on_disk(lang)) is None


def test_a_notebook_that_is_not_its_source_is_told(monkeypatch, tmp_path):
    changed = on_disk("en")
    changed.cells[5].source += " "
    path = tmp_path / "article.ipynb"
    nbformat.write(changed, path)
    monkeypatch.setitem(NOTEBOOKS, "en", path)
    assert differing_cells("en") == [changed.cells[5].id]
    monkeypatch.setattr(sys, "argv", ["make_notebooks.py", "--check"])
    with pytest.raises(SystemExit, match=rf"{path} is not what article.py says \({changed.cells[5].id}\)"):
        make_notebooks.main()


def test_both_notebooks_hold_the_same_code():
    """All but the one line that chooses the language of the pictures."""
    english, turkish = (codes(on_disk(lang).cells) for lang in ("en", "tr"))
    different = [pair for pair in zip(english, turkish, strict=True) if pair[0] != pair[1]]
    assert len(different) == 1 and different[0] == (
        'say = translator(lang := "en")  # what the pictures say',
        'say = translator(lang := "tr")  # resimlerin dili',
    )


def test_every_text_is_there_in_both_languages():
    """Would catch a text that is missing in one language, or marked as the other's."""
    english, turkish = (notebook(lang).cells for lang in ("en", "tr"))
    assert [cell.cell_type for cell in english] == [cell.cell_type for cell in turkish]
    pairs = [(e.source, t.source) for e, t in zip(english, turkish, strict=True) if e.cell_type == "markdown"]
    for texts_ in zip(*pairs, strict=True):
        assert re.findall(r"^## (\d)\.", "\n".join(texts_), re.MULTILINE) == list("12345678")
    for pair in pairs:
        of_turkish = [sum(letter in "çğışöüÇĞİŞÖÜ" for letter in text) / len(text) for text in pair]
        assert of_turkish[0] < of_turkish[1], pair


def test_the_links_lead_somewhere():
    for lang in NOTEBOOKS:
        for cell in notebook(lang).cells:
            for target in re.findall(r"\]\(([^)]+)\)", cell.source) if cell.cell_type == "markdown" else []:
                assert (EXAMPLES / target).exists(), target


def test_they_are_small_and_hold_nothing_that_changes():
    """Under 1.5 MB together, with their pictures; no number of a run, no address in memory, no path, no page of plotly's."""
    assert sum(path.stat().st_size for path in NOTEBOOKS.values()) < 1_500_000
    for lang in NOTEBOOKS:
        shown = [output for cell in on_disk(lang).cells if cell.cell_type == "code" for output in cell.outputs]
        assert sum("image/png" in output.get("data", {}) for output in shown) >= 9
        assert sum(PLOTLY in output.get("data", {}) for output in shown) == 1
        assert all(output.get("execution_count") is None and output.output_type != "error" for output in shown)
        assert all(cell.execution_count is None for cell in on_disk(lang).cells if cell.cell_type == "code")
        assert on_disk(lang).metadata.language_info == {"name": "python"}
        everything = NOTEBOOKS[lang].read_text(encoding="utf-8")
        assert not re.search(r" at 0x[0-9a-f]{6}", everything) and str(EXAMPLES) not in everything


def test_the_source_chooses_the_backend_in_one_line():
    assert SOURCE.read_text(encoding="utf-8").count("npgpt.backend(") == 1


# ------------------------------------------------------------------------------------------------------------------ as they run


@pytest.fixture(scope="module", params=RUNS, ids=lambda pair: "-".join(pair))
def done(request):
    """A notebook after a run: its language, its cells, and its numbers in full."""
    lang, backend = request.param
    unrun = notebook(lang)
    for cell in unrun.cells:
        cell.source = cell.source.replace('npgpt.backend("numpy")', f'npgpt.backend("{backend}")')
    unrun.cells.append(nbformat.v4.new_code_cell(PROBE))
    *cells, probe = run(unrun).cells
    return lang, cells, json.loads(probe.outputs[0].text)


def words_and_numbers(text: str) -> tuple[list[str], list[str]]:
    number = r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]\d+)?"
    return re.sub(number, "#", text).split(), re.findall(number, text)


def unit(number: str) -> float:
    """One in the last digit of a number as it is printed."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def test_it_runs_within_a_minute_and_shows_what_is_on_disk(done):
    """Words alike, numbers within one of their last digit, on either backend; pictures where pictures are."""
    lang, cells, numbers = done
    assert numbers["cpu_seconds"] < 60
    stored = on_disk(lang).cells
    assert [cell.cell_type for cell in cells] == [cell.cell_type for cell in stored]
    for cell, kept in zip(cells, stored, strict=True):
        if cell.cell_type != "code":
            continue
        here, there = (words_and_numbers(texts(each).replace("torchgpt", "npgpt")) for each in (cell, kept))
        assert here[0] == there[0], cell.source
        for one, other in zip(here[1], there[1], strict=True):
            assert abs(float(one) - float(other)) <= 1.01 * max(unit(one), unit(other)), (one, other, cell.source)
        forms = [[sorted(output.get("data", {})) for output in each.outputs] for each in (cell, kept)]
        assert forms[0] == forms[1], cell.source


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """What 01, 04 and 07 print without options, by the script's number. Drawing is left out."""
    import contextlib
    import io

    import common

    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common.Run, "save", lambda self, picture, name: None)
        patch.chdir(tmp_path_factory.mktemp("scripts"))
        for script in ("01_tokens_and_embeddings.py", "04_predicting.py", "07_knowledge_squeezed.py"):
            patch.setattr(sys, "argv", [script])
            with contextlib.redirect_stdout(io.StringIO()) as out:
                runpy.run_path(str(EXAMPLES / script), run_name="__main__")
            printed[script[:2]] = out.getvalue()
    return printed


def assert_printed(number: float, text: str) -> None:
    """The number, rounded as the text is, is the text (a number half-way may be rounded either way)."""
    assert abs(number - float(text)) <= 0.5 * unit(text) + 1e-6, (number, text)


def test_its_numbers_are_those_of_the_scripts(done, scripts):
    """Would catch a notebook that trains another model, on other batches or for other steps, or measures on another text."""
    _, _, numbers = done
    assert numbers["parameters"] == [248, 275]
    assert f"'ali ata bak.' is {numbers['ids']}" in scripts["01"]
    both = re.findall(r"trained: mean surprise (\S+) nats", scripts["04"])
    for number, text in zip(numbers["surprise"], both, strict=True):
        assert_printed(number, text)
    assert_printed(numbers["whole_text"], re.search(r"\ntrained: (\S+) nats a letter over the text", scripts["04"])[1])
    assert f"trained goes on from 'ali ': {numbers['written']!r}" in scripts["04"]
    p = np.array(numbers["p_trained"])
    assert f"trained {(p.argmax(axis=-1) == numbers['ids'][1:]).sum()}\n" in scripts["04"]  # right first guesses
    likeliest = re.findall(r"\n  (\S)  logit +\S+  p (\S+)", scripts["04"])
    assert len(likeliest) == 4
    for (letter, text), token in zip(likeliest, p[-1].argsort()[::-1], strict=False):
        assert letter == pictures.visible(npgpt.letters[token])
        assert_printed(p[-1, token], text)
    rows = re.findall(r"\n +\d+   (\S+) \((\S+)\.\.(\S+)\) +(\S+)/62 \((\d+)\.\.(\d+)\)", scripts["07"])
    assert f"The knee is at n_embd {numbers['knee']}:" in scripts["07"]
    for row, losses, known in zip(rows, numbers["fact_losses"], numbers["known"], strict=True):
        for text, number in zip(row, (np.mean(losses), min(losses), max(losses), np.mean(known), *sorted(known)), strict=True):
            assert_printed(number, text)


def test_its_own_loop_is_the_projects(done):
    """The loop that the notebook writes out gives, step by step, the losses of `train`."""
    from common import windows

    _, _, numbers = done
    model = npgpt.GPTModel(npgpt.GPTConfig.article(), seed=0, dtype="float64")
    losses = npgpt.train(model, npgpt.random_batches(*windows(12), 8, seed=0), steps=100, learning_rate=1e-2)
    # One loss is exact to some 1e-15; 1e-12 leaves a hundred steps room to pass such an error on.
    assert np.abs(np.array(numbers["losses"][:100]) - losses).max() < 1e-12
