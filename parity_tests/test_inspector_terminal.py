"""`python -m npgpt.inspector`: what it prints is what the trace holds, and what one asks for wrongly is told in one line."""

import functools
import math
import re
import subprocess
import sys

import numpy as np
import pytest

import npgpt
from npgpt.inspector.__main__ import FEW, main, said_path
from npgpt.inspector.formulas import formulas_of
from npgpt.inspector.labels import translator
from npgpt.inspector.names import WHAT
from npgpt.inspector.small import CONFIGS
from npgpt.inspector.source import sources_of

TEXT = "ali ata bak"
KINDS = list(CONFIGS)


@pytest.fixture(autouse=True)
def sources_found_once(monkeypatch):
    monkeypatch.setattr("npgpt.inspector.__main__.sources_of", sources)


sources = functools.cache(sources_of)


def printed(capsys, *arguments: str) -> list[str]:
    main(arguments)
    return capsys.readouterr().out.splitlines()


def read(text: str) -> float:
    """A number as it is printed. "–", a masked cell, is none."""
    return math.nan if text == "–" else float(text.replace("−", "-").replace("∞", "inf"))


def close(told: float, right: float) -> bool:
    """Whether `told` is `right`, rounded to four digits."""
    if not math.isfinite(right):
        return told == right
    unit = 10.0 ** (math.floor(math.log10(abs(right))) - 3) if right else 0.0
    return abs(told - right) <= 0.5001 * unit


def tables(lines: list[str]) -> list[tuple[list[str], np.ndarray]]:
    """The tables among the lines: the labels of the columns, and the numbers (rows, columns)."""
    found: list[tuple[list[str], list[list[float]]]] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        columns = re.split(r"\s{2,}", line.strip())
        if line.startswith("    ") and row_of(following, len(columns)):
            found.append((columns, []))
        elif found and (row := row_of(line, len(found[-1][0]))):
            found[-1][1].append(row)
    return [(columns, np.array(rows)) for columns, rows in found]


def row_of(line: str, columns: int) -> list[float] | None:
    """The numbers of a row with that many columns, behind its label if it has one."""
    cells = re.split(r"\s{2,}", line.strip())
    if len(cells) - columns in (0, 1) and all(map(is_number, cells[-columns:])):
        return [read(cell) for cell in cells[-columns:]]
    return None


def is_number(text: str) -> bool:
    return re.fullmatch(r"–|nan|−?(∞|\d+(\.\d+)?(e−?\d+)?)", text) is not None


def traced(kind: str, text: str = TEXT, backward: bool = False, seed: int = 0):
    """name -> (value, gradient or None) without the batch's axis; the parameters too where there is a backward."""
    model = npgpt.make_model(CONFIGS[kind], seed=seed)
    ids = np.array([npgpt.tokenize(text)])
    ids, targets = (ids[:, :-1], ids[:, 1:]) if backward else (ids, None)
    trace = {name: (v[0], None if g is None else g[0]) for name, (v, g) in model.trace(ids, targets).items()}
    if backward:
        model.loss_and_grad(ids, targets)
        trace |= {name: (p.data, p.grad) for name, p in model.named_parameters()}
    return trace


def assert_printed(lines: list[str], arrays: list[np.ndarray]) -> None:
    """That the tables hold the arrays' numbers, a table for each place of the first axis where there are three."""
    slices = [part for array in arrays for part in (array if array.ndim == 3 else [np.atleast_2d(array)])]
    found = [numbers for _, numbers in tables(lines)]
    assert [numbers.shape for numbers in found] == [part.shape for part in slices]
    for numbers, part in zip(found, slices, strict=True):
        shown = ~np.isnan(numbers)
        assert all(map(close, numbers[shown], part[shown].astype(float)))
        if not shown.all():  # the future
            assert np.array_equal(shown, np.tril(np.ones(part.shape, dtype=bool)))


# ----------------------------------------------------------------------------------------------------------- numbers and words


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_the_traces(capsys, kind):
    """Of every tensor and every parameter, value and gradient. Would catch a transposed table, another head, another text."""
    for name, (value, gradient) in traced(kind, backward=True).items():
        lines = printed(capsys, TEXT, "--at", name, "--backward", "--all", "--model", kind)
        assert_printed(lines, [value, gradient])
    for name, (value, _) in traced(kind, seed=3).items():
        assert_printed(printed(capsys, TEXT, "--at", name, "--all", "--model", kind, "--seed", "3"), [value])


@pytest.mark.parametrize("kind", KINDS)
def test_the_arithmetic_of_a_position_comes_to_its_cells(capsys, kind):
    """Every cell of the position is there, its number is the trace's, and so is the sum of its paths."""
    t = 2
    for name, (value, gradient) in traced(kind, backward=True).items():
        if name not in npgpt.make_model(CONFIGS[kind]).state_dict():
            arguments = ["--at", name, "--backward", "--all", "--position", str(t), "--model", kind]
            halves = "\n".join(printed(capsys, TEXT, *arguments)).split("gradient:")
            for half, array in zip(halves, (value, gradient), strict=True):
                axes = formulas_of(CONFIGS[kind], len(value))[name]["value"].index
                cells = {}
                for cell, told in re.findall(r"^  \w+\[([\d, ]+)\] = (?:.* = )?(\S+)$", half, re.MULTILINE):
                    cells[tuple(map(int, cell.split(", ")))] = read(told)
                wanted = [cell for cell in np.ndindex(array.shape) if cell[axes.index("t")] == t]
                if axes[-2:] == ("t", "s"):
                    wanted = [cell for cell in wanted if cell[-1] <= t]
                assert sorted(cells) == wanted
                assert all(close(told, float(array[cell])) for cell, told in cells.items())
                for cell, block in re.findall(r"^  \w+\[([\d, ]+)\] = \S+\n((?:    .*\)\n?)+)", half, re.MULTILINE):
                    shares = [read(share) for share in re.findall(r"^    .*?(\S+)   \(.*\)$", block, re.MULTILINE)]
                    rounding = 5e-4 * sum(map(abs, shares)) + 1e-6 * np.abs(array).max()  # of four digits, and float32's
                    assert len(shares) > 1
                    assert abs(sum(shares) - array[tuple(map(int, cell.split(", ")))]) <= rounding


def test_equation_line_and_callers_are_told(capsys):
    lines = printed(capsys, TEXT, "--at", "blocks.0.pattern")
    place = sources_of(CONFIGS["gpt"])["blocks.0.pattern"].value
    assert "  pattern[h, t, s] = exp(S[h, t, s] - m[h, t]) / total[h, t]" in lines
    assert "    S: blocks.0.scores" in lines
    assert f"  computed by {place.file}:{place.line}   p = e / s" in lines
    assert [line for line in lines if "called from" in line] == [
        f"    called from {call.file}:{call.line}   {call.text}" for call in place.via
    ]


def test_it_says_which_model_reads_what(capsys):
    model = npgpt.make_model(CONFIGS["gpt"], seed=2)
    lines = printed(capsys, TEXT, "--at", "embed", "--backward", "--seed", "2")
    ids = np.array([npgpt.tokenize(TEXT)])
    assert lines[0].startswith("GPT, 275 parameters, untrained, seed 2")
    assert lines[1] == "reads: a l i ␣ a t a ␣ b a"
    assert lines[2] == f"expects: l i ␣ a t a ␣ b a k   loss {model.loss(ids[:, :-1], ids[:, 1:]):.4f} nats"
    assert printed(capsys, TEXT, "--at", "embed")[1] == "reads: a l i ␣ a t a ␣ b a k"


def test_a_buffer_is_told_from_a_parameter(capsys, tmp_path):
    """The article's 248 parameters: Wqkv is not among them, and has no gradient."""
    model = npgpt.make_model(npgpt.GPTConfig.article())
    npgpt.save_checkpoint(model, tmp_path / "model.safetensors", tokenizer=npgpt.LetterTokenizer())
    arguments = ["--at", "blocks.0.mha.Wqkv.weight", "--backward", "--checkpoint", str(tmp_path / "model.safetensors")]
    for lang, what, gradient in (("en", "a buffer: it is not trained", "gradient:"), ("tr", "eğitilmez", "gradyan:")):
        lines = printed(capsys, TEXT, *arguments, "--lang", lang)
        assert any(line.endswith(what) for line in lines) and gradient not in lines
        assert_printed(lines, [model.state_dict()["blocks.0.mha.Wqkv.weight"]])


@pytest.mark.parametrize("lang", ["en", "tr"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_list_names_every_tensor_and_every_parameter(capsys, kind, lang):
    model = npgpt.make_model(CONFIGS[kind])
    names = [line.split()[0] for line in printed(capsys, TEXT, "--list", "--model", kind, "--lang", lang) if "  [" in line]
    assert names == [*traced(kind), *model.state_dict()]
    assert printed(capsys, TEXT, "--model", kind) == printed(capsys, TEXT, "--list", "--model", kind)


DEEPER = [
    npgpt.GPTConfig(32, 2, 2, 4, 12, position="learned", tie_weights=True, qkv_bias=True),
    npgpt.LSTMConfig(32, 2, 3, 4, 12),
    npgpt.MambaConfig(32, 2, 4, 12),
    npgpt.LlamaConfig(32, 2, 6, 12, 12, n_kv_head=2),
]


@pytest.mark.parametrize("config", [*CONFIGS.values(), *DEEPER], ids=lambda config: f"{config.kind} {config.n_layer}")
def test_every_tensor_and_every_path_has_a_name_in_both_languages(config):
    names = npgpt.make_model(config).trace([[1, 2, 3]])
    paths = {
        path for each in formulas_of(config, 3).values() for formula in each.values() if formula for path in formula.paths
    } - {""}
    english, turkish = translator("en"), translator("tr")
    assert all(turkish(WHAT[name.rpartition(".")[2]]) for name in names)
    assert [said_path(path, english) for path in paths] == list(paths)
    assert all(said_path(path, turkish) for path in paths)


# ----------------------------------------------------------------------------------------------------- a part of what there is


def test_wide_tensors_are_cut_and_say_so(capsys):
    """Of a vocabulary the likeliest tokens are shown, and the gradients that are largest, whatever their sign."""
    logits, dlogits = traced("gpt", backward=True)["logits"]
    t = 6
    columns = [np.sort(np.argsort(-row)[:FEW]) for row in (logits[t], np.abs(dlogits[t]))]
    assert columns[0].tolist() != np.sort(np.argsort(-np.abs(logits[t]))[:FEW]).tolist()
    lines = printed(capsys, TEXT, "--at", "logits", "--backward", "--position", str(t))
    assert_printed(lines, [logits[t, columns[0]], dlogits[t, columns[1]]])
    cells = [int(cell) for cell in re.findall(rf"^  d?logits\[{t}, (\d+)\]", "\n".join(lines), re.MULTILINE)]
    assert cells == [*columns[0], *columns[1]]
    logits, _ = traced("gpt")["logits"]
    lines = printed(capsys, TEXT, "--at", "logits")
    largest = np.sort(np.argsort(-logits.max(axis=0))[:FEW])
    assert_printed(lines, [logits[:, largest]])
    assert tables(lines)[0][0] == [npgpt.letters[id].replace(" ", "␣") for id in largest]
    assert f"  ({FEW} of 32 columns, those with the largest numbers; --all prints all)" in lines
    in_proj, _ = traced("mamba", "ali")["blocks.0.in_proj"]
    assert_printed(printed(capsys, "ali", "--at", "blocks.0.in_proj", "--model", "mamba"), [in_proj[:, :FEW]])


def test_one_head_and_one_position(capsys):
    pattern, _ = traced("llama")["blocks.0.pattern"]
    lines = printed(capsys, TEXT, "--at", "blocks.0.pattern", "--head", "1", "--position", "10", "--model", "llama")
    assert_printed(lines, [pattern[1, 10:]])
    assert "  head 1:" in lines and "  head 0:" not in lines
    assert sum("pattern[1, 10, " in line for line in lines) == 11


# -------------------------------------------------------------------------------------------------------------- trained models


def test_a_checkpoint_with_its_own_tokenizer(capsys, tmp_path):
    tokenizer = npgpt.CharTokenizer.from_text("ab\ncB")
    model = npgpt.make_model(npgpt.GPTConfig(5, 2, 2, 8, 9), seed=4)
    npgpt.save_checkpoint(model, tmp_path / "model.safetensors", tokenizer=tokenizer)
    lines = printed(capsys, "aB\nc", "--at", "blocks.1.v", "--checkpoint", str(tmp_path / "model.safetensors"))
    assert lines[0] == f"GPT, {model.num_parameters():,} parameters, from {tmp_path / 'model.safetensors'}"
    assert lines[1] == r"reads: a B \n c"
    value, _ = model.trace([tokenizer.encode("aB\nc")])["blocks.1.v"]
    assert_printed(lines, [value[0]])


def test_a_folder_of_transformers(capsys, tmp_path):
    pytest.importorskip("tokenizers")
    tokenizer = npgpt.BPETokenizer.from_text("ali ata bak, ata ali bak", vocab_size=260)
    model = npgpt.make_model(npgpt.LlamaConfig(tokenizer.vocab_size, 1, 2, 8, 16), seed=4)
    npgpt.save_pretrained(model, tmp_path / "llama", tokenizer)
    lines = printed(capsys, "ali bak", "--at", "norm_f", "--checkpoint", str(tmp_path / "llama"))
    value, _ = model.trace([tokenizer.encode("ali bak")])["norm_f"]
    assert lines[0] == f"Llama, {model.num_parameters():,} parameters, from {tmp_path / 'llama'}"
    assert_printed(lines, [value[0]])


# ------------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--at", "blocks.0.patern"], "there is no tensor 'blocks.0.patern'; the nearest are blocks.0.pattern, "),
        (["--at", "blocks.1.pattern"], "there is no tensor 'blocks.1.pattern'; the nearest are blocks.0.pattern, "),
        (["ali ata baktı "], "the text has 14 tokens to read, more than the model's 12"),
        (["ali ata baktı ", "--backward"], "the text has 13 tokens to read, more than the model's 12"),
        (["ali w"], "character 'w' at position 4 is not among the 32 letters"),
        ([""], "the text is empty; got ''"),
        (["a", "--backward", "--at", "embed"], "--backward needs a text of at least 2 tokens, one to read and one to expect"),
        (["--checkpoint", "nowhere.safetensors"], "no checkpoint at nowhere.safetensors"),
        (["--at", "embed", "--position", "11"], "--position must lie in 0..10 for embed, got 11"),
        (["--at", "embed", "--position", "-1"], "--position must lie in 0..10 for embed, got -1"),
        (["--at", "embed", "--head", "0"], "--head 0: embed has no heads"),
        (["--at", "blocks.0.q", "--head", "1"], "--head must lie in 0..0 for blocks.0.q, got 1"),
        (["--at", "ln_f.weight", "--position", "0"], "--position 0: ln_f.weight has no positions"),
        (["--position", "0"], "--position and --head are of a tensor: say which one by --at"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code.startswith(f"error: {message}")
    assert "\n" not in stopped.value.code


def test_a_checkpoint_without_a_tokenizer_and_a_folder_without_a_model(tmp_path):
    npgpt.save_checkpoint(npgpt.make_model(CONFIGS["gpt"]), tmp_path / "model.safetensors")
    for path, message in ((tmp_path / "model.safetensors", "the checkpoint holds no tokenizer"), (tmp_path, str(tmp_path))):
        with pytest.raises(SystemExit, match=f"^error: .*{re.escape(message)}"):
            main(["--checkpoint", str(path)])


def test_as_a_command_it_ends_with_1_and_no_traceback():
    command = [sys.executable, "-m", "npgpt.inspector", "ali", "--at", "blocks.0.patern"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("error: there is no tensor") and answer.stderr.count("\n") == 1
