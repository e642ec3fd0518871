"""Tables of numbers as coloured cells with the numbers written in: attention step by step, values beside their gradients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray as Array

from .labels import translator
from .style import letters_on_axis, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

SIGNED, UNSIGNED = "PuOr", "Purples"  # orange and violet for - and +; white to violet for shares


def matrix(
    axes: "Axes",
    values: Array,
    *,
    rows: str | Sequence[str] = "",
    columns: str | Sequence[str] = "",
    title: str = "",
    limit: float | None = None,
    signed: bool = True,
    masked: Array | None = None,
    numbers: bool | None = None,
) -> None:
    """values (R, C) as coloured cells. `limit` is the scale's end (panels that are compared get the same one); masked cells
    (R, C) are hatched; `numbers` writes the values in (None: where there are few)."""
    values = np.asarray(values, dtype=np.float64)
    masked = ~np.isfinite(values) if masked is None else masked | ~np.isfinite(values)
    shown = np.ma.array(values, mask=masked)
    limit = limit or float(np.abs(shown).max() if shown.count() else 1) or 1.0
    axes.imshow(shown, cmap=SIGNED if signed else UNSIGNED, vmin=-limit if signed else 0, vmax=limit, aspect="auto")
    if masked.any():
        for row, column in np.argwhere(masked):
            axes.add_patch(_hatched_cell(row, column))
    if numbers if numbers is not None else values.size <= 160:
        size = 8 if values.shape[1] <= 6 else 6.5
        for row, column in np.argwhere(~masked):
            value = values[row, column]
            strong = abs(value) > 0.62 * limit
            axes.text(column, row, _short(value), ha="center", va="center", size=size, color="white" if strong else "black")
    elif signed:
        for row, column in np.argwhere(~masked & (values < -0.15 * limit)):  # for those who see no colours
            axes.text(
                column,
                row,
                "–",
                ha="center",
                va="center",
                size=7,
                color="white" if values[row, column] < -0.62 * limit else "black",
            )
    for artist in (*axes.texts, *axes.patches):
        artist.set_in_layout(False)  # they lie inside the axes; measuring hundreds of them would take seconds
    letters_on_axis(axes, "y", list(rows)) if len(rows) else axes.set_yticks([])
    letters_on_axis(axes, "x", list(columns)) if len(columns) else axes.set_xticks([])
    axes.set_title(title, size=10)


def _hatched_cell(row: int, column: int) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=True, facecolor="0.95", edgecolor="0.65", hatch="////", linewidth=0)


def _short(value: float) -> str:
    """The number in at most six characters: 0.25, -1.3, 4e-04."""
    if value == 0:
        return "0"
    return f"{value:.2f}" if 0.01 <= abs(value) < 100 else f"{value:.0e}".replace("e-0", "e-")


def attention_steps(
    scores: Array, pattern: Array, values: Array, output: Array, letters: str, title: str, lang: str = "en"
) -> "Figure":
    """One head of one sequence in four panels: scores and weights (T, T), values and output (T, D).

    scores : with -inf where the mask is; these cells are hatched in both squares.
    """
    say = translator(lang)
    T, D = values.shape
    figure = new_figure(13.5, 4.9, title)
    panels = figure.subplots(1, 4, width_ratios=[T, T, 0.62 * T, 0.62 * T])
    future = ~np.isfinite(scores)
    limit = max(np.abs(values).max(), np.abs(output).max())  # compared with each other: one scale
    features = [str(d + 1) for d in range(D)]
    matrix(panels[0], scores, rows=letters, columns=letters, title=say("scores: query · key / √D"), numbers=T <= 12)
    matrix(
        panels[1],
        pattern,
        rows=letters,
        columns=letters,
        title=say("weights: softmax of each row"),
        signed=False,
        limit=1,
        masked=future,
        numbers=T <= 12,
    )
    matrix(panels[2], values, rows=letters, columns=features, title=say("values"), limit=limit)
    matrix(panels[3], output, rows=letters, columns=features, title=say("context = weights × values"), limit=limit)
    for axes in panels[:2]:
        axes.set_xlabel(say("key: who is looked at"))
    panels[0].set_ylabel(say("query: who looks"))
    return figure


def attention_maps(
    patterns: Sequence[Array], letters: str, title: str, notes: Array | None = None, lang: str = "en"
) -> "Figure":
    """Every layer's and head's weights: patterns is one (H, T, T) a layer; notes (L, H) are strings for the panels' titles."""
    say = translator(lang)
    L, H, T, _ = np.shape(patterns)
    figure = new_figure(3.9 * H, 3.9 * L + 0.5, title)
    panels = figure.subplots(L, H, squeeze=False)
    future = np.triu(np.ones((T, T), dtype=bool), k=1)
    for layer in range(L):
        for head in range(H):
            name = say("layer {layer}, head {head}", layer=layer + 1, head=head + 1)
            name += "" if notes is None else f"\n{notes[layer][head]}"
            axes = panels[layer, head]
            weights = patterns[layer][head]
            matrix(
                axes, weights, rows=letters, columns=letters, title=name, signed=False, limit=1, masked=future, numbers=False
            )
    for axes in panels[:, 0]:
        axes.set_ylabel(say("query: who looks"))
    for axes in panels[-1]:
        axes.set_xlabel(say("key: who is looked at"))
    return figure


def steps_in_order(panels: Sequence[tuple[str, Array]], letters: str, title: str, shared: bool = True) -> "Figure":
    """Named arrays (T, C) side by side, one row a letter, on one scale where `shared`."""
    limit = max(np.abs(values).max() for _, values in panels) if shared else None
    widths = [values.shape[1] for _, values in panels]
    figure = new_figure(max(8, 0.42 * sum(widths) + 0.5 * len(panels)), 0.32 * len(letters) + 1.5, title)
    for axes, (name, values) in zip(figure.subplots(1, len(panels), width_ratios=widths), panels, strict=True):
        features = [str(d + 1) for d in range(values.shape[1])]
        matrix(axes, values, rows=letters, columns=features, title=name, limit=limit)
        axes.tick_params(axis="x", labelsize=7)
    return figure


def value_beside_gradient(steps: Sequence[tuple[str, Array, Array]], letters: str, title: str, lang: str = "en") -> "Figure":
    """Named steps (name, value (T, C), gradient (T, C)) in the order given: values in the upper row, gradients below.

    Each row has one scale of its own, printed beside it, since gradients are orders of magnitude smaller than values.
    """
    say = translator(lang)
    figure = new_figure(1.55 * len(steps) + 1.2, 0.62 * len(letters) + 2.0, title)
    widths = [value.shape[1] for _, value, _ in steps]
    panels = figure.subplots(2, len(steps), width_ratios=[max(width, 3) for width in widths], squeeze=False)
    for row, kind in enumerate((say("value"), say("gradient"))):
        finite = [np.where(np.isfinite(step[row + 1]), step[row + 1], 0) for step in steps]
        limit = max(np.abs(array).max() for array in finite)
        for place, ((name, *arrays), axes) in enumerate(zip(steps, panels[row], strict=True)):
            shown = np.where(np.isfinite(arrays[0]), arrays[row], np.nan)  # a masked score has no gradient to show either
            heading = name if row == 0 else f"d{name}"
            matrix(axes, shown, rows=letters if place == 0 else "", title=heading, limit=limit, numbers=False)
        panels[row, 0].set_ylabel(f"{kind}\n(±{limit:.2g})")
    return figure


def rows_that_sum_to_zero(pattern: Array, dscores: Array, letters: str, title: str, lang: str = "en") -> "Figure":
    """The weights (T, T), the gradient of the scores (T, T) in ten-thousandths, and the sum of each of its rows (T, 1)."""
    say = translator(lang)
    T = len(letters)
    figure = new_figure(12.5, 5.2, title)
    panels = figure.subplots(1, 3, width_ratios=[T, T, 1.6])
    future = np.triu(np.ones((T, T), dtype=bool), k=1)
    shown, sums = 1e4 * dscores, 1e4 * dscores.sum(axis=-1, keepdims=True)
    limit = float(np.abs(shown).max())
    both: dict[str, Any] = {"rows": letters, "columns": letters, "masked": future, "numbers": T <= 12}
    matrix(panels[0], pattern, title=say("weights"), signed=False, limit=1, **both)
    matrix(panels[1], shown, title=say("dscores × 10⁴"), limit=limit, **both)
    matrix(panels[2], np.round(sums, 6) + 0.0, title=say("row sum"), limit=limit, rows=letters, columns=["Σ"])
    for axes in panels[:2]:
        axes.set_xlabel(say("key: who is looked at"))
    panels[0].set_ylabel(say("query: who looks"))
    return figure


def maps_of_a_text(
    rows: Sequence[tuple[str, Sequence[tuple[str, Array]]]], letters: str, title: str, lang: str = "en"
) -> "Figure":
    """Named maps of one text, a row a model: rows of (name, panels), each panel (name, values). A row a letter; every panel on
    a scale of its own, whose end stands in its title.

    values (T, T) say who looks at whom and get the letters on both axes, the future hatched; values (T, K) of another width
    get numbered columns. A model with fewer panels than the others leaves places empty.
    """
    say = translator(lang)
    T, most = len(letters), max(len(panels) for _, panels in rows)
    side = 0.19 * T + 1.0  # inches
    figure = new_figure(side * most + 0.6, side * len(rows) + 0.7, title)
    grid = figure.subplots(len(rows), most, squeeze=False)
    for axes_row, (model, panels) in zip(grid, rows, strict=True):
        for axes in axes_row[len(panels) :]:
            axes.set_axis_off()
        for axes, (name, values) in zip(axes_row, panels, strict=False):
            values = np.asarray(values)
            square = values.shape == (T, T)
            columns = letters if square else [str(k + 1) for k in range(values.shape[1])]
            future = np.triu(np.ones((T, T), dtype=bool), k=1) if square else None
            limit = float(np.abs(values).max())
            heading = f"{name}\n(≤ {limit:.2g})"
            both: dict[str, Any] = {"signed": bool((values < 0).any()), "masked": future, "numbers": False}
            matrix(axes, values, rows=letters, columns=columns, title=heading, limit=limit, **both)
            if square:
                axes.set_xlabel(say("who is looked at"), size=8)
        axes_row[0].set_ylabel(model, size=11)
    return figure
