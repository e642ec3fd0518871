"""The numbered examples on both backends and in both languages, the pictures they write, and the numbers behind those."""

import io
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgpt
from npgpt import pictures
from npgpt.pictures import statistics
from npgpt.pictures.labels import TURKISH, translator
from npgpt.pictures.style import spread

from .strategies import seeds

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[0-9][0-9]_*.py"))
NEEDED = {"11_a_real_language_model.py": ("--random",)}  # what a script needs to run on any machine


@pytest.fixture(autouse=True)
def beside_the_examples(monkeypatch, tmp_path):
    """As when a script is started: its folder on the path; results go to a folder of the test's own."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)


def run(monkeypatch, script: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")


def numbers_and_texts(line: str) -> list[str]:
    """The numbers and the quoted texts of a line, sorted: two languages say them in different order."""
    line = re.sub(r"(?<=\d),(?=\d{3})", "", line)
    return sorted(re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?|(?<!\w)'[^']*'(?!\w)", line))


# ------------------------------------------------------------------------------------------------------------- the examples


def test_the_examples_are_numbered_without_a_gap():
    assert [int(script[:2]) for script in SCRIPTS] == list(range(1, len(SCRIPTS) + 1)) and len(SCRIPTS) >= 10


@pytest.mark.parametrize("script", SCRIPTS)
def test_both_backends_and_languages_print_the_same_numbers_and_draw(monkeypatch, capsys, tmp_path, script):
    printed, pictures = [], []
    for options in (("--backend", "numpy", "--lang", "en"), ("--backend", "torch", "--lang", "tr")):
        folder = tmp_path / options[1]
        folder.mkdir()
        monkeypatch.chdir(folder)
        run(monkeypatch, script, "--quick", *options, *NEEDED.get(script, ()))
        printed.append(capsys.readouterr().out.splitlines())
        pictures.append(sorted(path.name for path in (folder / "out").iterdir() if path.suffix in (".png", ".gif")))
        for name in pictures[-1]:
            assert_not_blank(folder / "out" / name)
    assert len(printed[0]) == len(printed[1]) > 3 and len(pictures[0]) >= 2
    for english, turkish in zip(*printed, strict=True):
        assert numbers_and_texts(english) == numbers_and_texts(turkish), (english, turkish)
    assert pictures[0] == pictures[1]


def assert_not_blank(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB"), dtype=float))
    assert min(frame.std() for frame in frames) > 5, f"{path.name} is blank"  # of 255
    assert (frames[0].min(axis=-1) < 128).mean() > 0.003  # ink
    if path.suffix == ".gif":
        assert len(frames) > 2 and np.abs(frames[0] - frames[-1]).max() > 100  # it moves


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("arguments", [("--lang", "xx"), ("--backend", "jax")])
def test_an_unknown_language_or_backend_is_refused(monkeypatch, capsys, tmp_path, script, arguments):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, script, *arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and f"invalid choice: '{arguments[1]}'" in error and arguments[0] in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("01_tokens_and_embeddings.py", ["--prompt", "quo vadis"], "--prompt: character 'q' at position 0"),
        ("02_positions.py", ["--prompt", "a" * 13], "--prompt must hold 2 to 12 letters (the context), got 13"),
        ("03_attention.py", ["--prompt", "a"], "--prompt must hold 2 to 12 letters"),
        ("04_predicting.py", ["--prompt", "ali ata bak. ali"], "got 16: 'ali ata bak. ali'"),
        ("05_the_way_back.py", ["--seed", "-1"], "--seed must be at least 0"),
        ("05_the_way_back.py", ["--device", "cuda"], "'auto' or 'cpu' for NumPy"),
        ("06_training.py", ["--run-dir", "nowhere"], "this makes it: python examples/train.py"),
        ("07_knowledge_squeezed.py", ["--widths", "0", "2"], "--widths, --seeds and --steps must be at least 1"),
        ("08_dictionary_context_knowledge.py", ["--steps", "0"], "--steps and --seeds must be at least 1"),
        ("09_other_architectures.py", ["--steps", "0"], "--steps must be at least 1, got 0"),
        ("09_other_architectures.py", ["--learning-rates", "0.1", "nan"], "--learning-rates must be above 0 and finite"),
        ("09_other_architectures.py", ["--prompt", "a" * 25], "--prompt must hold 2 to 24 letters"),
        ("10_larger_texts.py", ["--steps", "0"], "--steps must be at least 1, got 0"),
        ("10_larger_texts.py", ["--seeds", "1"], "--seeds must be at least 2, got 1"),
        ("10_larger_texts.py", ["--input-file", "nowhere.txt"], "nowhere.txt: No such file"),
        ("10_larger_texts.py", ["--text", "harmony", "--letters", "500"], "the text is too short: 1 % of it are 0 letters"),
        ("10_larger_texts.py", ["--neighbours", "9"], "a window of 12 and its target need 13, 9 neighbours 10"),
        ("10_larger_texts.py", ["--vocab-size", "200"], "vocab_size must be at least 256, the number of bytes; got 200"),
        ("10_larger_texts.py", ["--n-embd", "5"], "n_embd must be divisible by n_head"),
        ("12_from_gpt_to_llama.py", ["--steps", "0"], "--steps must be at least 1, got 0"),
        ("12_from_gpt_to_llama.py", ["--seeds", "0"], "--seeds must be at least 1, got 0"),
        ("12_from_gpt_to_llama.py", ["--learning-rates", "0.01", "inf"], "--learning-rates must be above 0 and finite"),
        ("12_from_gpt_to_llama.py", ["--input-file", "nowhere.txt"], "nowhere.txt: No such file"),
        ("12_from_gpt_to_llama.py", ["--input-file", "file"], "file holds no text"),
        *((script, ["--out-dir", "file/inside"], "file/inside: Not a directory") for script in SCRIPTS),
    ],
)
def test_bad_input_is_a_clear_error_with_nothing_written(monkeypatch, tmp_path, script, arguments, message):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, script, *arguments)
    assert str(stop.value).startswith("error: ") and message in str(stop.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "file"]


def test_a_folder_that_may_not_be_written_to_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere, so chmod would not show it
    with pytest.raises(SystemExit, match="error: --out-dir: out: is not writable"):
        run(monkeypatch, SCRIPTS[0])
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("text", ["harmony", "file"])
def test_larger_texts_of_other_kinds(monkeypatch, capsys, tmp_path, text):
    """The generated text says how low its costs can be; a text with other letters than the article's is taken by characters."""
    (tmp_path / "book.txt").write_text("Once upon a time, there was a quick fox\nwho did not like wax. " * 250)
    monkeypatch.setattr("common.Run.save", lambda self, picture, name: None)  # drawing is what takes long
    options = ["--text", "harmony", "--letters", 12_000] if text == "harmony" else ["--input-file", "book.txt"]
    run(monkeypatch, "10_larger_texts.py", "--quick", *options)
    out = capsys.readouterr().out
    costs = [float(cost) for cost in re.findall(r"(?:letters|characters) +\d+ +\d+ % .* (\d\.\d{3}) \(", out)]
    assert len(costs) == 3
    if text == "harmony":
        floor = float(re.search(r"who knows its chain: (\d\.\d{3}) bits", out)[1])
        assert 2 < floor < min(costs) < 5
    assert ("characters" if text == "file" else "letters") + ": of the 3 nearest of" in out


def test_a_text_without_a_window_to_hold_out_is_refused(monkeypatch, tmp_path):
    (tmp_path / "book.txt").write_text("once upon a time\n" * 9)  # 153 characters
    with pytest.raises(SystemExit, match="error: the text is too short: its last tenth holds 16 characters, a window needs 17"):
        run(monkeypatch, "12_from_gpt_to_llama.py", "--input-file", "book.txt")
    assert not list((tmp_path / "out").iterdir())


def test_without_the_library_of_byte_pairs_they_are_left_out(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setattr("common.Run.save", lambda self, picture, name: None)
    run(monkeypatch, "10_larger_texts.py", "--quick")
    out = capsys.readouterr().out
    assert "(no byte pairs: the BPE tokenizer needs Hugging Face's tokenizers" in out and "words: of the 3 nearest" in out
    assert "byte pairs: " not in out.replace("(no byte pairs: ", "")


# ------------------------------------------------------------------------------------------------------------- the pictures


def test_a_letter_has_one_colour_and_vowels_another_weight():
    colours = [pictures.letter_colour(letter) for letter in npgpt.letters[:29]]
    assert len(set(colours)) == 29 and all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    assert {pictures.letter_weight(letter) for letter in pictures.VOWELS} == {"bold"}
    assert {pictures.letter_weight(letter) for letter in pictures.CONSONANTS} == {"normal"} and len(pictures.CONSONANTS) == 21
    for letter in pictures.VOWELS:  # warm: red outweighs blue
        red, blue = int(pictures.letter_colour(letter)[1:3], 16), int(pictures.letter_colour(letter)[5:], 16)
        assert red > blue


def test_a_token_has_the_colour_of_its_last_vowel_and_its_kinds_have_marks_of_their_own():
    for token, letter in {" lardan": "a", "ım": "ı", "e": "e", "rk": "k", " ": " ", "": " "}.items():
        assert pictures.token_colour(token) == pictures.letter_colour(letter)
    tables = np.random.default_rng(0).normal(size=(2, 4, 3))
    kinds = {"front": [True, False, False, False], "back": [False, True, True, False]}
    figure = pictures.spaces_in_order(tables, ["1 %", "2 %"], ["ler", "lar", "a", "k"], kinds, "title")
    for axes, table in zip(figure.axes, tables, strict=True):
        lines = [line for line in axes.lines if len(line.get_data_3d()[0])]
        assert [line.get_marker() for line in lines] == list("ossD")
        assert np.allclose(np.array([line.get_data_3d() for line in lines])[..., 0], table)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == list(kinds)


def test_spaces_are_visible():
    assert pictures.visible("ali ata") == "ali␣ata"


def test_labels_keep_their_distance():
    rng = np.random.default_rng(0)
    for points in (rng.normal(size=(32, 2)) * 40, np.zeros((9, 2))):  # even nine labels of one point
        places = spread(points, 12.0)
        gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + 100 * np.eye(len(places))
        assert gaps.min() > 9


def test_plot_dots_projects_wide_vectors_on_one_basis_and_says_how_much_is_left():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(6, 5))
    sets = [{"dots": wide[i : i + 3], "labels": list("abc"), "color": None, "name": str(i)} for i in (0, 3)]
    figure = pictures.plot_dots(sets, "wide")
    points, share = pictures.three_dimensions(wide)
    assert f"{100 * share:.0f} % of the variance" in figure.get_suptitle() and 0 < share < 1
    drawn = np.array([line.get_data_3d() for line in figure.axes[0].lines if len(line.get_data_3d()[0]) == 1])[..., 0]
    assert np.allclose(drawn, points)
    narrow = pictures.plot_dots([{"dots": wide[:, :2], "labels": list("abcdef"), "name": "two"}], "narrow")
    assert "variance" not in narrow.get_suptitle()


def test_plot_dots_draws_on_given_axes():
    figure = pictures.new_figure(4, 4)
    axes = figure.add_subplot(projection="3d")
    data = [{"dots": np.eye(3), "labels": list("ali"), "color": "red", "name": "ali"}]
    assert pictures.plot_dots(data, "mine", axes=axes) is figure and axes.get_title() == "mine"


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "at least one set"),
        ([{"dots": np.eye(3), "labels": list("ali")}], r"dots_data\[0\] lacks \['name'\]"),
        ([{"dots": np.eye(3), "labels": list("al"), "name": ""}], "has 3 dots, but 2 labels"),
        ([{"dots": np.zeros(3), "labels": list("ali"), "name": ""}], r"shape \(N, C\)"),
        ([{"dots": np.eye(n), "labels": "a" * n, "name": ""} for n in (3, 4)], "dots of 4 numbers"),
    ],
)
def test_plot_dots_names_the_set_that_does_not_fit(sets, message):
    with pytest.raises(ValueError, match=message):
        pictures.plot_dots(sets, "wrong")


DOTS = [{"dots": np.eye(3), "labels": ["ı", " ", "ş"], "color": None, "name": "harfler"}]


def test_plot_dots_writes_a_page_that_needs_no_network(tmp_path):
    pytest.importorskip("plotly")
    pictures.plot_dots(DOTS, "Sözlük uzayı", html=tmp_path / "space.html")
    page = (tmp_path / "space.html").read_text(encoding="utf-8")
    assert len(page) > 1_000_000 and "scatter3d" in page  # plotly's own code is inside
    assert not re.search(r'<(script|link)[^>]*(src|href)=["\']https?:', page)
    assert "harfler" in page and ("\\u0131" in page or "ı" in page)


def test_plot_dots_without_plotly_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[plotly\]'"):
        pictures.plot_dots(DOTS, "title", html=tmp_path / "space.html")
    assert not list(tmp_path.iterdir())


def test_every_label_is_translated_with_the_same_values():
    for english, turkish in TURKISH.items():
        names = [sorted(set(re.findall(r"{(\w+)", text))) for text in (english, turkish)]
        assert names[0] == names[1], english
    with pytest.raises(ValueError, match="lang must be one of en, tr; got 'de'"):
        translator("de")


def test_the_pictures_know_the_turkish_letters(recwarn):
    """matplotlib warns of every letter that its font lacks; warnings are errors here."""
    figure = pictures.surprise_bars("ığüşöçİâ ", {"a": np.ones(9)}, 3.4, "ĞÜŞİÖÇ ğüşıöç ␣ √ ₁₀ ×", "tr")
    figure.savefig(io.BytesIO())
    assert not recwarn.list


# -------------------------------------------------------------------------------------------------------------- the numbers


def test_a_ratio_stands_where_its_median_is_with_the_rounds_spread():
    figure = pictures.speed_ratios({"a work": ("JAX", [2.0, 0.5, 1.5]), "another": ("torchgpt", [0.5, 0.5, 0.75])}, "a machine")
    (axes,) = figure.axes
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines[:4]]
    assert lines == [([0.5, 2.0], [0, 0]), ([1.5], [0]), ([0.5, 0.75], [1, 1]), ([0.5], [1])]
    assert [text.get_text() for text in axes.texts] == ["1.50  JAX", "0.50  torchgpt"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a work", "another"]
    assert axes.lines[0].get_color() != axes.lines[2].get_color()  # which side of 1 it lies


def test_surprise_is_the_loss_place_by_place():
    model = npgpt.GPTModel(npgpt.GPTConfig.article(), dtype="float64")
    ids, targets = np.array([[0, 14, 11]]), np.array([[14, 11, 29]])
    values = statistics.surprise(model(ids), targets)
    assert values.shape == (1, 3) and values.mean() == pytest.approx(model.loss(ids, targets), rel=1e-12)
    assert statistics.surprise(np.array([0.0, -2000.0]), np.array(1)) == 2000  # where p itself would be 0
    logits = np.array([[0.0, -2000.0], [5000.0, 5000.0]])  # rows whose largest logits lie far apart
    assert np.allclose(statistics.surprise(logits, np.array([0, 1])), [0, np.log(2)], rtol=1e-12, atol=0)


def test_numbers_of_either_backend_become_numpys():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([[0.0, np.log(3.0)]], dtype=torch.float64, requires_grad=True)
    assert np.allclose(statistics.probabilities(tensor), [[0.25, 0.75]], rtol=1e-15)
    assert np.allclose(statistics.probabilities(np.array([[0.0, np.log(3.0)]])), [[0.25, 0.75]], rtol=1e-15)
    assert statistics.probabilities(tensor).shape == (1, 2)
    assert type(statistics.numpy_array(tensor)) is np.ndarray and statistics.numpy_array([1, 2]).tolist() == [1, 2]


def test_float32_vectors_are_compared_in_double_precision():
    """Vectors whose squares float32 cannot hold."""
    tiny = np.array([[1e-30, 0.0], [0.0, 1e-30], [3e-30, 1e-30]], np.float32)  # whose squares are 0 in float32
    ((a, b, distance), *_) = statistics.closest_pairs(tiny, "abc")
    assert (a, b) == ("a", "b") and distance == pytest.approx(np.sqrt(2) * 1e-30, rel=1e-6, abs=0)
    assert np.array_equal(statistics.nearest(tiny, 2), statistics.nearest(tiny.astype(np.float64) * 1e30, 2))
    assert statistics.rotation_onto(tiny, 2 * tiny)[1] == pytest.approx(1, rel=1e-12)
    kinds = np.array([True, False, False])
    one, same = (
        statistics.centres_apart(tiny, kinds, ~kinds),
        statistics.centres_apart(1e30 * tiny.astype(float), kinds, ~kinds),
    )
    assert one == pytest.approx(same, rel=1e-6)
    assert statistics.matrix_rank(np.array([[1, 0], [0, 1e-3]], np.float16)) == 2


def test_entropies_of_texts_that_can_be_counted_by_hand():
    assert statistics.ngram_entropy([0, 1] * 50, 1) == pytest.approx(np.log(2))
    assert statistics.ngram_entropy([0, 1] * 50, 2) == 0  # the last letter tells the next
    assert statistics.ngram_entropy([0, 0, 1, 1] * 50, 2) == pytest.approx(np.log(2), abs=1e-2)
    assert statistics.ngram_entropy([0, 0, 1, 1] * 50, 3) == 0
    assert statistics.ngram_entropy([0, 1], 2) == 0  # as long as the text: one pair, no doubt
    for n in (0, 3):
        with pytest.raises(ValueError, match=rf"^n must be in 1\.\.2, the number of tokens; got {n}$"):
            statistics.ngram_entropy([0, 1], n)


def test_no_model_falls_below_the_prefix_entropy():
    ids, targets = np.array([[0, 1], [0, 2]]), np.array([[1, 3], [2, 4]])
    assert statistics.prefix_entropy(ids, targets) == pytest.approx(np.log(2) / 2)  # a coin first, then no doubt
    model = npgpt.GPTModel(npgpt.GPTConfig(5, 1, 1, 8, 2, ffn_hidden=0), dtype="float64")
    npgpt.train(model, iter([(ids, targets)] * 300), steps=300, learning_rate=0.03)
    assert np.log(2) / 2 < model.loss(ids, targets) < np.log(2) / 2 + 0.02


def test_rank_pairs_and_knee():
    rng = np.random.default_rng(0)
    assert statistics.matrix_rank(rng.normal(size=(20, 3)) @ rng.normal(size=(3, 9))) == 3
    assert statistics.matrix_rank(np.diag([4.0, 1e-4, 1e-5])) == 2  # 1e-5 of the largest, 4, is 4e-5
    assert statistics.matrix_rank(np.diag([1.0, 0.5, 0.25]), relative=0.5) == 1  # what is as large as that does not count
    assert statistics.matrix_rank(np.zeros((0, 3))) == statistics.matrix_rank(np.zeros((2, 2))) == 0
    assert statistics.closest_pairs([[0.0], [5.0], [5.5], [9.0]], "abcd", 2) == [("b", "c", 0.5), ("c", "d", 3.5)]
    grid = [[float(x), float(y)] for x in range(5) for y in range(5)]  # 40 pairs at the distance 1, in the rows' order
    names = [f"{x}{y}" for x in range(5) for y in range(5)]
    assert statistics.closest_pairs(grid, names) == [("00", "01", 1.0), ("00", "10", 1.0), ("01", "02", 1.0)]
    assert statistics.knee([1, 2, 4, 8], [3.0, 2.0, 1.01, 1.0], floor=1.0) == 4
    assert statistics.knee([1, 2, 4], [3.0, 1.0, 2.0], floor=1.0) is None  # it came back up
    assert statistics.knee([1, 2, 4, 8], [3.0, 1.0, 1.0, 1.0], floor=1.0) == 2
    assert statistics.knee([1, 2, 4], [3.0, 2.0, 1.0], floor=1.0, share=0.5) == 2  # half of the way is half of the way
    assert statistics.knee([1, 2], [3.0, 3.0], floor=1.0, share=0.0) == 1  # who asks for nothing has it at once


def test_rank_correlation_by_hand():
    assert statistics.rank_correlation([1, 2, 3, 4], [10, 100, 1000, 10000]) == 1  # only the order counts
    assert statistics.rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert statistics.rank_correlation([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)  # 1 - 6 sum d^2 / (N^3 - N)
    assert statistics.rank_correlation([1, 2, 2, 3], [1, 2, 2, 3]) == 1
    assert statistics.rank_correlation([1, 1, 2], [1, 2, 3]) == pytest.approx(np.sqrt(3) / 2)  # ranks 1.5, 1.5, 3
    # ranks 1, 3, 3, 3, 5.5, 5.5 and 1 .. 6: the sums of products and of squares from 3.5 are 15.5, 15.5 and 17.5
    tied = statistics.rank_correlation([1, 2, 2, 2, 3, 3], [1, 2, 3, 4, 5, 6])
    assert tied == pytest.approx(15 / np.sqrt(15 * 17.5))
    assert statistics.rank_correlation([1, 2], [5, 7]) == pytest.approx(1)
    assert np.isnan(statistics.rank_correlation([1, 1], [1, 2])) and np.isnan(statistics.rank_correlation([1], [1]))


def test_the_models_of_an_equal_budget_are_equal():
    from equal_budget import CONFIGS

    for size, configs in CONFIGS.items():
        counts = [npgpt.make_model(config).num_parameters() for config in configs]
        assert [config.kind for config in configs] == ["gpt", "lstm", "mamba"]
        assert all(abs(count - size) <= 0.01 * size for count in counts) and (size != 248 or counts == [248] * 3), counts


@given(seeds, st.integers(1, 12), st.integers(1, 6))
def test_the_rotation_is_the_one_that_brings_vectors_back(seed, N, C):
    """Turned and stretched vectors come back exactly; against any target, no other rotation does better."""
    rng = np.random.default_rng(seed)
    target, turn = rng.normal(size=(N, C)), np.linalg.qr(rng.normal(size=(C, C)))[0]
    R, alike = statistics.rotation_onto(3 * target @ turn, target)
    assert np.allclose(R.T @ R, np.eye(C)) and np.allclose(target @ turn @ R, target) and alike == pytest.approx(1)
    vectors = rng.normal(size=(N, C))
    R, alike = statistics.rotation_onto(vectors, target)
    gap, other = (np.linalg.norm(vectors @ rotation - target) for rotation in (R, turn))
    assert gap <= other + 1e-12
    scale = (vectors @ R * target).sum() / (vectors**2).sum()  # the best multiple, by least squares
    assert 1 - np.linalg.norm(scale * vectors @ R - target) ** 2 / (target**2).sum() == pytest.approx(alike, abs=1e-12)


def test_vectors_of_size_zero_are_like_nothing():
    assert statistics.rotation_onto(np.zeros((3, 2)), np.eye(3, 2))[1] == 0


def test_nearest_neighbours_by_direction_from_the_mean():
    vectors = np.array([[9.0, 0.1], [1.0, 0.0], [-1.0, 0.1], [-5.0, 0.0], [-4.0, 9.0]])
    assert statistics.nearest(vectors, 1)[:, 0].tolist() == [1, 0, 3, 2, 3]  # however far: 0 and 1, 2 and 3 point one way
    turned = 7 + 2 * vectors @ np.array([[0.6, 0.8], [-0.8, 0.6]])
    assert np.array_equal(statistics.nearest(turned, 4), statistics.nearest(vectors, 4))
    small = statistics.nearest(1e-3 * vectors, 4)  # short vectors have directions too
    assert np.array_equal(small, statistics.nearest(vectors, 4))
    short, long = np.array([[1.0, 0.0], [1.0, 0.1]]), np.array([[10.0, 5.0]])  # nearer in direction, larger in the product
    assert statistics.nearest(np.concatenate([short, long, -short, -long]), 2)[0].tolist() == [1, 2]
    cross = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]] * 6)  # 6 of each: equals come in the rows' order
    assert statistics.nearest(cross, 5)[0].tolist() == [4, 8, 12, 16, 20]
    assert statistics.nearest(cross, 21)[3].tolist()[5:] == [row for row in range(24) if row % 2 == 0] + [1, 5, 9, 13]
    assert all(sorted([i, *row]) == [0, 1, 2, 3, 4] for i, row in enumerate(statistics.nearest(vectors, 4).tolist()))
    for k in (0, 5):
        with pytest.raises(ValueError, match=rf"k must be in 1\.\.4, the number of other rows; got {k}"):
            statistics.nearest(vectors, k)


def test_neighbours_are_kept_by_a_rotation_and_by_chance():
    rng = np.random.default_rng(0)
    vectors, others = rng.normal(size=(200, 8)), rng.normal(size=(200, 8))
    assert statistics.neighbours_kept(vectors, vectors @ np.linalg.qr(rng.normal(size=(8, 8)))[0], 5) == 1
    # A share of 5/199 by chance; 1,000 places with that share each have a standard error of about 0.005
    assert abs(statistics.neighbours_kept(vectors, others, 5) - 5 / 199) < 4 * 0.005
    swapped = vectors.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert 0.9 < statistics.neighbours_kept(vectors, swapped, 5) < 1


def test_centres_apart_in_radii():
    vectors, first = np.array([[0.0], [2.0], [10.0], [14.0]]), np.array([True, True, False, False])
    assert statistics.centres_apart(vectors, first, ~first) == 11 / 1.5
    plane = np.array([[0.0, 0.0], [0.0, 2.0], [30.0, 44.0], [36.0, 36.0]])  # centres (0, 1) and (33, 40); radii 1 and 5
    assert statistics.centres_apart(plane, first, ~first) == pytest.approx(np.hypot(33, 39) / 3)
    assert np.isnan(statistics.centres_apart(vectors, first, first & ~first))
    assert np.isnan(statistics.centres_apart(np.ones((4, 2)), first, ~first))


def test_a_logit_matrix_has_no_more_rank_than_the_model_has_dimensions():
    model = npgpt.GPTModel(npgpt.GPTConfig(32, 1, 1, 4, 12), dtype="float64")
    ids = np.random.default_rng(0).integers(32, size=(8, 12))
    assert statistics.matrix_rank(model(ids).reshape(-1, 32)) <= 4


@pytest.mark.parametrize("backend", ["npgpt", "torchgpt"])
def test_a_head_switched_off_and_on_again(backend):
    module = pytest.importorskip(backend)
    model = module.GPTModel(module.GPTConfig(32, 2, 3, 6, 8), dtype="float64", seed=1)
    ids = np.random.default_rng(0).integers(32, size=(2, 3, 8))
    before = model.loss(*ids)
    for layer, head in ((0, 0), (1, 1), (1, 2)):
        # the same by hand: what the head brings home is taken off what the projection makes of all three (B, T, 6)
        weights = {name: statistics.numpy_array(weight).copy() for name, weight in model.state_dict().items()}
        weights[f"blocks.{layer}.mha.projection.weight"] *= np.repeat(np.arange(3) != head, 2)
        other = npgpt.GPTModel(npgpt.GPTConfig(32, 2, 3, 6, 8), dtype="float64")
        other.load_state_dict(weights)
        assert statistics.loss_without_head(model, layer, head, *ids) == pytest.approx(other.loss(*ids), rel=1e-12) != before
        assert model.loss(*ids) == before
    for layer, head in ((2, 0), (0, 3), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match=f"^layer {layer}, head {head} is not in a model of 2 layers and 3 heads$"):
            statistics.loss_without_head(model, layer, head, *ids)
    with pytest.raises(ValueError, match=r"^only a model of kind 'gpt' has heads to switch off, got one of kind 'lstm'$"):
        statistics.loss_without_head(module.make_model(npgpt.LSTMConfig.article()), 0, 0, *ids)
