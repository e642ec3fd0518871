"""How models, configs, traces and reports show themselves: what the tables hold equals the arrays, on both backends."""

import base64
import copy
import dataclasses
import io
import pickle
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import npgpt
import torchgpt
from npgpt import pictures
from npgpt.models.trace import Trace
from npgpt.pictures.shown import MOST_COLUMNS, MOST_ROWS, table
from npgpt.pictures.statistics import numpy_array

from .report import PRESETS, cells, make_report

KINDS = ["article", "small", "lstm", "mamba", "llama"]
BACKENDS = pytest.mark.parametrize("backend", [npgpt, torchgpt], ids=["npgpt", "torchgpt"])


class Page(HTMLParser):
    """The rows of the tables in some HTML, each a list of cells: a cell's text, or its picture (R, C, 4)."""

    def __init__(self, html: str):
        super().__init__()
        self.rows, self.title, self.open = [], "", None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            self.rows[-1][-1] = decoded(dict(attributes)["src"])
        self.open = tag

    def handle_data(self, text):
        if self.open == "b":
            self.title += text
        elif self.rows:
            self.rows[-1][-1] += text


def decoded(source: str) -> np.ndarray:
    from PIL import Image

    kind, content = source.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")).astype(int)


def assert_is_of(picture: np.ndarray, values: np.ndarray) -> None:
    """The picture shows the values' first place in all but the last two axes, at most a corner: dot by dot, sign and size."""
    while values.ndim > 2:
        values = values[0]
    corner = np.atleast_2d(values)[:MOST_ROWS, :MOST_COLUMNS].astype(np.float64)
    assert picture.shape == (*corner.shape, 4)
    finite = np.isfinite(corner)
    assert np.all(picture[~finite][:, 0] == picture[~finite][:, 2])  # grey
    sizes = np.abs(corner[finite])
    assert np.abs(picture[..., 3][finite] - 255 * sizes / (sizes.max(initial=0) or 1)).max(initial=0) <= 0.5 + 1e-9
    red_less_blue = (picture[..., 0] - picture[..., 2])[finite & (picture[..., 3] > 0)]
    negative = (corner < 0)[finite & (picture[..., 3] > 0)]
    assert np.array_equal(red_less_blue > 0, negative)  # orange below 0, violet above


def extent(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.min():.4g} .. {finite.max():.4g}"


def made(backend, kind: str, dtype: str = "float64"):
    return backend.make_model(PRESETS[kind], seed=1, dtype=dtype)


def traced(backend, kind: str, targets: bool = True):
    """A trace, and the same as NumPy arrays."""
    ids = np.random.default_rng(0).integers(PRESETS[kind].vocab_size, size=(2, 2, 7))
    trace = made(backend, kind).trace(ids[0], ids[1] if targets else None)
    return trace, {name: (numpy_array(v), None if g is None else numpy_array(g)) for name, (v, g) in trace.items()}


# ------------------------------------------------------------------------------------------------------------------ the tables


@BACKENDS
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_shows_every_weight(backend, kind):
    """Would catch a weight left out, one shown under another's name, a tied head counted twice, a buffer said to be trained."""
    model = made(backend, kind)
    weights = {name: numpy_array(weight) for name, weight in model.state_dict().items()}
    page = Page(model._repr_html_())
    assert page.title == f"{type(model).__name__} ({backend.__name__} on cpu, float64): {model.num_parameters():,} parameters"
    assert [row[0].removesuffix("\n(not trained)") for row in page.rows[1:]] == list(weights)
    counted = 0
    for (name, shape, count, numbers, picture), weight in zip(page.rows[1:], weights.values(), strict=True):
        assert (shape, count, numbers) == (str(weight.shape), f"{weight.size:,}", extent(weight))
        assert_is_of(picture, weight)
        counted += 0 if name.endswith("(not trained)") else weight.size
    assert counted == model.num_parameters()


@BACKENDS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", [True, False])
def test_a_trace_shows_every_intermediate_with_its_gradient(backend, kind, targets):
    """Would catch a value beside another's gradient, a masked -inf taken for a number, a column of gradients where none are."""
    trace, arrays = traced(backend, kind, targets)
    page = Page(trace._repr_html_())
    assert page.title.startswith(f"{len(trace)} intermediates") and page.title.endswith("their gradients") is targets
    assert [row[0] for row in page.rows[1:]] == list(arrays) and len(page.rows[0]) == (6 if targets else 4)
    for row, (value, gradient) in zip(page.rows[1:], arrays.values(), strict=True):
        assert row[1:3] == [str(value.shape), extent(value)]
        assert_is_of(row[3], value)
        if targets:
            assert row[4] == extent(gradient)
            assert_is_of(row[5], gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_shows_every_option(kind):
    config = PRESETS[kind]
    page = Page(config._repr_html_())
    assert page.title == type(config).__name__
    assert page.rows[1:] == [[name, repr(value)] for name, value in config.to_dict().items()]


def softmax(x):
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return p, p


@pytest.mark.parametrize("lacking", [True, False])
def test_a_verdict_shows_every_check(lacking):
    def backward(dp, p):
        return p * dp if lacking else p * (dp - (p * dp).sum(axis=-1, keepdims=True))

    verdict = npgpt.check_backward(softmax, backward, np.random.default_rng(0).standard_normal((3, 5)))
    page = Page(verdict._repr_html_())
    assert page.title == f"backward is {'wrong' if lacking else 'right'}."
    words = {True: "ok", False: "WRONG"}
    assert page.rows[1:] == [[words[check.passed], check.name, check.message] for check in verdict.checks]
    assert ("missing term" in page.rows[-1][2]) is lacking


def test_a_backward_that_is_not_written_yet_has_no_table():
    def backward(dp, p):
        raise NotImplementedError("write it here")

    page = Page(npgpt.check_backward(softmax, backward, np.eye(3))._repr_html_())
    assert page.title == "backward is not written yet: write it here" and page.rows == [[]]


def test_a_parity_report_shows_every_tensor():
    report = make_report(PRESETS["article"])
    wrong = dataclasses.replace(report, rows=[dataclasses.replace(report.rows[0], ok=False), *report.rows[1:]])
    for each in (report, wrong):
        page = Page(each._repr_html_())
        assert page.rows[1:] == [cells(row) for row in each.rows] and "248" not in page.rows[0]
        assert page.title.split("\n")[0].startswith("npgpt, float32, seed 0") and f"{each is wrong:d} wrong" in page.title
        assert repr(each).endswith("FAILED" if each is wrong else "PASSED")


def test_text_is_escaped():
    """A function may be called anything, and a table be asked to hold anything."""

    def backward(dy, x):
        return 2 * dy

    backward.__name__ = "<b>ackward"
    html = npgpt.check_backward(lambda x: 2 * x, backward, np.ones(2))._repr_html_()
    assert "&lt;b&gt;ackward is right" in html and "<b>ackward" not in html
    html = table("<b>&", ["<i>"], [["<script>alert(1)</script> & more"]])
    assert "<script" not in html and "<i>" not in html and Page(html).rows == [["<i>"], ["<script>alert(1)</script> & more"]]


def test_the_colours_leave_a_dark_page_dark_and_a_white_one_white():
    """No text has a colour of its own, and every background lets the page through."""
    verdict = npgpt.check_backward(softmax, lambda dp, p: p * dp, np.eye(3))
    model, (trace, _), report = made(npgpt, "small"), traced(npgpt, "article"), make_report(PRESETS["article"])
    for shown in (model, trace, PRESETS["article"], verdict, report):
        html = shown._repr_html_()
        assert not re.search(r"[;\"\s]color:", html)
        backgrounds = re.findall(r"background[^:;]*: *([^;\"]*)", html)
        assert all(re.fullmatch(r"rgba\(\d+, \d+, \d+, 0\.\d+\)", colour) for colour in backgrounds)


def test_nothing_needs_matplotlib(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    model = made(npgpt, "article")
    for shown in (model, model.config, model.trace([[0, 1]])):
        assert "</table>" in shown._repr_html_()


def test_a_bfloat16_models_trace_shows_itself_too():
    """NumPy has no bfloat16: a tensor must be widened before it becomes an array."""
    trace = torchgpt.make_model(PRESETS["article"], dtype="bfloat16").trace([[0, 1, 2]], [[1, 2, 3]])
    assert any(value.dtype == torch.bfloat16 for value, _ in trace.values())
    for row, (name, (value, gradient)) in zip(Page(trace._repr_html_()).rows[1:], trace.items(), strict=True):
        assert row[0] == name
        assert_is_of(row[3], value.double().numpy())
        assert_is_of(row[5], gradient.double().numpy())
    assert "blocks.0.scores" in repr(trace)


# ------------------------------------------------------------------------------------------------------------------ plain text


@BACKENDS
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_terminal_a_model_is_a_line_a_weight(backend, kind):
    model = made(backend, kind)
    first, *lines = repr(model).splitlines()
    assert first == f"{type(model).__name__} ({backend.__name__} on cpu, float64): {model.num_parameters():,} parameters"
    assert [line.split()[0] for line in lines] == list(model.state_dict())
    for line, (name, entry) in zip(lines, model.layout.items(), strict=True):
        assert re.fullmatch(rf"  {re.escape(name)} +{re.escape(str(entry.shape))} +{entry.size:,}( +not trained)?", line)
        assert line.endswith("not trained") is not entry.trained


@BACKENDS
def test_in_a_terminal_a_trace_is_a_line_an_intermediate(backend):
    trace, arrays = traced(backend, "article")
    assert str(trace) == repr(trace)
    for line, (name, (value, gradient)) in zip(repr(trace).splitlines()[1:], arrays.items(), strict=True):
        assert line.split() == [name, *str(value.shape).split(), *extent(value).split(), "gradient", *extent(gradient).split()]
    assert "gradient" not in repr(traced(backend, "article", targets=False)[0]).split("\n", 1)[1]


# --------------------------------------------------------------------------------------------------------- a trace stays a dict


@BACKENDS
def test_a_trace_is_a_dict_in_every_respect(backend):
    trace, arrays = traced(backend, "article")
    assert isinstance(trace, dict) and isinstance(trace, Trace)
    plain = dict(trace)
    assert type(plain) is dict and list(plain) == list(trace) and trace == plain and plain == trace
    assert next(iter(trace)) == "embed" and next(reversed(trace)) == "logits" and {**trace} == plain and trace | {} == plain
    value, gradient = trace["blocks.0.ln1"]
    assert trace.get("nothing") is None and "embed" in trace and len(trace) == len(arrays)
    for copied in (copy.copy(trace), trace.copy()):
        assert list(copied) == list(trace) and copied["blocks.0.ln1"][0] is value
    for copied in (copy.deepcopy(trace), pickle.loads(pickle.dumps(trace))):
        assert type(copied) is Trace and list(copied) == list(trace) and copied["blocks.0.ln1"][1] is not gradient
        for name, (value, gradient) in copied.items():
            assert np.array_equal(value, arrays[name][0]) and np.array_equal(gradient, arrays[name][1])


# ------------------------------------------------------------------------------------------------- pictures in notebooks


def test_a_notebook_shows_a_picture_as_a_png():
    from PIL import Image

    figure = pictures.loss_curve([3.0, 2.0, 1.0], 3.4)
    shown = figure._repr_png_()
    image = Image.open(io.BytesIO(shown))
    assert image.format == "PNG" and image.size == tuple(80 * np.array([7.5, 4.4]))  # inches
    assert shown == figure._repr_png_()  # the same bytes again: a notebook made anew does not differ
    assert np.asarray(image.convert("RGB"))[0, 0].tolist() == [255, 255, 255]


def spaces() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(2, 32, 3))


def test_the_letters_can_be_turned_where_plotly_is_installed():
    pytest.importorskip("plotly")
    shown = pictures.turnable_space(*spaces(), npgpt.letters, "tr")
    forms = shown._repr_mimebundle_()
    assert set(forms) == {"image/png", "application/vnd.plotly.v1+json"} and "at 0x" not in repr(shown)
    drawn = forms["application/vnd.plotly.v1+json"]["data"]
    for scene, table_ in zip(("scene", "scene2"), spaces(), strict=True):
        sets = [trace for trace in drawn if trace["scene"] == scene]
        assert [trace["name"] for trace in sets] == ["ünlüler", "ünsüzler", "boşluk, nokta, virgül"]
        points = {
            letter: point
            for trace in sets
            for letter, *point in zip(trace["text"], trace["x"], trace["y"], trace["z"], strict=True)
        }
        assert points == {pictures.visible(letter): row.tolist() for letter, row in zip(npgpt.letters, table_, strict=True)}
    titles = [note["text"] for note in forms["application/vnd.plotly.v1+json"]["layout"]["annotations"]]
    assert titles == ["eğitimden önce", "eğitimden sonra"]


def test_colab_gets_a_piece_of_a_page(monkeypatch):
    renderers = pytest.importorskip("plotly.io").renderers
    monkeypatch.setattr(renderers, "default", "colab")
    assert "scatter3d" in pictures.turnable_space(*spaces(), npgpt.letters)._repr_mimebundle_()["text/html"]


def test_without_plotly_the_letters_are_a_picture(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    forms = pictures.turnable_space(*spaces(), npgpt.letters)._repr_mimebundle_()
    assert set(forms) == {"image/png"} and forms["image/png"].startswith(b"\x89PNG")


def test_a_letter_in_its_places_has_its_label_beside_it():
    """The labels' places were measured before the layout was fixed, and two of four stood an axis's height away."""
    model = made(npgpt, "article")
    encoding, row = model.position_encoding[0], model.token_embedding.weight[0]
    places = [(f"a{place}", row, row + encoding[place]) for place in (0, 4, 6, 9)]
    figure = pictures.positions(encoding, places, "title")
    labels = [text for text in figure.axes[1].texts if text.get_text().startswith("a")]
    assert len(labels) == 4
    for label in labels:
        assert np.hypot(*label.xyann) < 2 * label.get_size()  # both in typographic points
