"""How a model, a config, a trace and a report show themselves: lines of text in a terminal, tables in a notebook.

Jupyter asks an object for `_repr_html_`, a terminal for `__repr__`; the classes' own methods of these names end here. Beside
the names, shapes and numbers stand small pictures, a dot a number: violet above 0, orange below, the larger the stronger, grey
where there is no finite number. Colours are laid over the page half transparent: they can be read on white and on black, and
none says what the words do not. All text is escaped.
"""

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray as Array

from ..types import Model

if TYPE_CHECKING:
    from ..check.verdict import Verdict
    from ..models.config import Config

Values = Any  # an array or a tensor

POSITIVE, NEGATIVE, NO_NUMBER = (142, 104, 226), (221, 107, 32), (128, 128, 128, 110)
RIGHT, WRONG = "rgba(56, 161, 105, 0.3)", "rgba(229, 62, 62, 0.35)"
DOT = 5  # pixels on the screen for each number
MOST_ROWS, MOST_COLUMNS = 32, 48  # a larger array shows its upper left corner
LINE = "1px solid rgba(128, 128, 128, 0.4)"
CELL = f"text-align: left; vertical-align: middle; white-space: pre; padding: 0.15em 0.8em; border-top: {LINE}"


class Html(str):
    """Text that is HTML already; any other text is escaped."""


# ------------------------------------------------------------------------------------------------------------------------ parts


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A title over a table. What is not `Html` is taken as text."""
    lines = [_row("th", headings), *(_row("td", row) for row in rows)]
    return (
        f'<div style="max-height: 75em; overflow: auto"><b style="white-space: pre-line">{html.escape(title)}</b>'
        f'<table style="border-collapse: collapse; font-variant-numeric: tabular-nums">{"".join(lines)}</table></div>'
    )


def _row(tag: str, cells: Sequence[str]) -> str:
    inner = (cell if isinstance(cell, Html) else html.escape(str(cell)) for cell in cells)
    return "<tr>" + "".join(f'<{tag} style="{CELL}">{cell}</{tag}>' for cell in inner) + "</tr>"


def wrapping(text: str) -> Html:
    """Text that goes on in the next line where the page ends."""
    return Html(f'<span style="white-space: pre-wrap">{html.escape(text)}</span>')


def verdict_word(ok: bool) -> Html:
    """ "ok" or "WRONG", on green or red."""
    return Html(f'<span style="background: {RIGHT if ok else WRONG}; padding: 0.1em 0.5em">{"ok" if ok else "WRONG"}</span>')


def dots(x: Values) -> Html:
    """An array or a tensor as a small picture, a dot a number. One axis is a row; of more than two, the leading ones' first
    place is shown."""
    while x.ndim > 2:
        x = x[0]
    x = x[None] if x.ndim == 1 else x
    pixels = colours(_corner(x))  # (R, C, 4)
    height, width = (DOT * n for n in pixels.shape[:2])
    style = f"image-rendering: pixelated; width: {width}px; height: {height}px; max-width: none; margin: 0; outline: {LINE}"
    return Html(f'<img style="{style}" alt="" src="data:image/png;base64,{base64.b64encode(_png(pixels)).decode()}">')


def colours(values: Array) -> Array:
    """values (R, C) -> red, green, blue and opacity, (R, C, 4) bytes: opacity 255 for the largest, 0 for 0."""
    finite = np.isfinite(values)
    sizes = np.where(finite, np.abs(np.where(finite, values, 0)), 0)
    largest = sizes.max(initial=0) or 1.0
    pixels = np.zeros((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((values < 0)[..., None], NEGATIVE, POSITIVE)
    pixels[..., 3] = np.rint(255 * sizes / largest)
    pixels[~finite] = NO_NUMBER
    return pixels


def _corner(x: Values) -> Array:
    """The upper left corner of an array or tensor (R, C), as float64: only this is fetched from a GPU."""
    corner = x[:MOST_ROWS, :MOST_COLUMNS]
    return np.asarray(corner.detach().cpu().double() if hasattr(corner, "detach") else corner, dtype=np.float64)


def _png(pixels: Array) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return file.getvalue()


def shape_of(x: Values) -> str:
    """(32, 3), of an array or a tensor."""
    return str(tuple(x.shape))


def extent(x: Values) -> str:
    """The smallest and the largest finite number of an array or tensor: "-0.25 .. 1.5"; empty where there is none."""
    low, high = float(x.min()), float(x.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = x[abs(x) < math.inf]
        if not len(finite):
            return ""
        low, high = float(finite.min()), float(finite.max())
    return f"{low:.4g} .. {high:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines of text with their columns under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


# ------------------------------------------------------------------------------------------------------------------ the objects


def config_html(config: "Config") -> str:
    """Every option of a config and its value."""
    return table(type(config).__name__, ("option", "value"), [(name, repr(value)) for name, value in config.to_dict().items()])


def model_title(model: Model) -> str:
    """GPTModel (npgpt on cpu, float32): 248 parameters"""
    return f"{type(model).__name__} ({model.backend} on {model.device}, {model.dtype}): {model.num_parameters():,} parameters"


def model_text(model: Model) -> str:
    """A line for each weight: its name, shape and how many numbers it has."""
    rows = [
        (name, str(entry.shape), f"{entry.size:,}", "" if entry.trained else "not trained")
        for name, entry in model.layout.items()
    ]
    return "\n".join([model_title(model), *_aligned(rows)])


def model_html(model: Model) -> str:
    """A row for each weight: its name, shape and how many numbers it has, the smallest and the largest, and a picture."""
    weights = model.state_dict()
    rows = [
        (
            name if entry.trained else f"{name}\n(not trained)",
            str(entry.shape),
            f"{entry.size:,}",
            extent(weights[name]),
            dots(weights[name]),
        )
        for name, entry in model.layout.items()
    ]
    return table(model_title(model), ("weight", "shape", "numbers", "smallest .. largest", ""), rows)


def trace_title(trace: Mapping) -> str:
    """17 intermediates, in the order of computation, with their gradients"""
    with_gradients = any(gradient is not None for _, gradient in trace.values())
    return f"{len(trace)} intermediates, in the order of computation{', with their gradients' if with_gradients else ''}"


def trace_text(trace: Mapping) -> str:
    """A line for each intermediate: its name, shape, the smallest and the largest number, those of its gradient."""
    rows = [
        (name, shape_of(value), extent(value), "" if gradient is None else f"gradient {extent(gradient)}")
        for name, (value, gradient) in trace.items()
    ]
    return "\n".join([trace_title(trace), *_aligned(rows)])


def trace_html(trace: Mapping) -> str:
    """A row for each intermediate: as `trace_text`, with pictures of the first sequence's value and gradient."""
    rows = []
    for name, (value, gradient) in trace.items():
        row = [name, shape_of(value), extent(value), dots(value)]
        rows.append(row + ([] if gradient is None else [extent(gradient), dots(gradient)]))
    headings = ("name", "shape", "smallest .. largest", "", "of the gradient", "")
    return table(trace_title(trace), headings[: max(map(len, rows), default=4)], rows)


def verdict_html(verdict: "Verdict") -> str:
    """What `check_backward` found, a row a check."""
    title = str(verdict).split("\n")[0]
    if verdict.unwritten is not None:
        return table(title, (), [])
    rows = [(verdict_word(check.passed), check.name, wrapping(check.message)) for check in verdict.checks]
    return table(title, ("", "check", "what was found"), rows)
