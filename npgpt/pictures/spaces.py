"""Vectors as points in space: the dictionary, the context, LayerNorm's circle, the letters' way through training."""

import io
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray as Array

from .labels import translator
from .style import CONSONANTS, MARKERS, OTHER, VOWELS, label_points, letter_colour, new_figure, token_colour, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

    from .figure import Picture


def three_dimensions(vectors: Array) -> tuple[Array, float]:
    """vectors (..., C) in three dimensions, and the share of their variance that is left.

    For C = 3 the vectors themselves; for fewer, padded with zeros; for more, their first three principal components, fitted on
    all the vectors given, so that several sets passed together share one basis.
    """
    C = vectors.shape[-1]
    if C <= 3:
        return np.concatenate((vectors, np.zeros((*vectors.shape[:-1], 3 - C))), axis=-1), 1.0
    mean, directions, share = principal_directions(vectors)
    return (vectors - mean) @ directions.T, share


def principal_directions(vectors: Array) -> tuple[Array, Array, float]:
    """The mean (C,) of vectors (..., C), the three unit vectors (3, C) along which they differ most, and the share of their
    variance along those. Where there are fewer than three directions, the rest are zeros."""
    rows = vectors.reshape(-1, vectors.shape[-1])
    mean = rows.mean(axis=0)
    _, singular_values, directions = np.linalg.svd(rows - mean, full_matrices=False)
    variance = singular_values**2
    share = float(variance[:3].sum() / variance.sum()) if variance.sum() else 1.0
    # An SVD leaves each direction's sign open; fixed here, so that two backends or runs draw the same picture.
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=-1)])
    directions = (signs[:, None] * directions)[:3]  # (at most 3, C)
    return mean, np.pad(directions, ((0, 3 - len(directions)), (0, 0))), share


def plot_dots(
    dots_data: Sequence[dict],
    title: str,
    *,
    html: str | PathLike | None = None,
    axes: "Axes3D | None" = None,
    lang: str = "en",
) -> "Figure":
    """One or more sets of labelled points in 3-D.

    Parameters
    ----------
    dots_data : one dict a set, with `dots` (N, C), `labels` (N strings), `color` (any of matplotlib's; None gives each letter
        its own) and `name` (for the legend); optional `line` True joins the dots in their order. Where C is not 3 all sets
        are drawn on the first three principal components of all dots together, and the title says how much they show.
    html : also writes the points as a page that can be turned with the mouse and needs no network. Needs plotly.
    axes : 3-D axes to draw on; None makes a figure.

    Raises ValueError naming the set whose dots do not fit, and ModuleNotFoundError where `html` is asked for without plotly.
    """
    sets = _checked_sets(dots_data)
    points, share = three_dimensions(np.concatenate([dots for dots, _ in sets]).astype(np.float64))  # (all N, 3)
    if sets[0][0].shape[-1] > 3:
        title += "\n" + translator(lang)("first 3 principal components: {percent:.0f} % of the variance", percent=100 * share)
    ends = np.cumsum([len(dots) for dots, _ in sets])
    parts = np.split(points, ends[:-1])
    if html is not None:
        _write_html(html, parts, dots_data, title)
    if axes is None:
        figure: Figure = new_figure(7.2, 6, title)
        axes = figure.add_subplot(projection="3d")
    else:
        figure = axes.figure
        axes.set_title(title, size=11)
    low, high = points.min(axis=0), points.max(axis=0)
    _box(axes, low, high)
    for number, (part, data) in enumerate(zip(parts, dots_data, strict=True)):
        colours = _colours(data)
        marker = MARKERS[number % len(MARKERS)]
        for (x, y, z), colour in zip(part, colours, strict=True):
            axes.plot([x], [y], [z], marker, color=colour, markersize=4)
        _stems(axes, part)
        if data.get("line"):
            axes.plot(*part.T, color=colours[0], linewidth=1, linestyle=("-", "--", ":")[number % 3])
        axes.plot([], [], [], marker, color=data.get("color") or OTHER, label=data["name"])
    if len(sets) > 1:
        axes.legend(loc="upper left", fontsize=9, frameon=False)
    all_labels = [label for data in dots_data for label in data["labels"]]
    all_colours = [colour for data in dots_data for colour in _colours(data)]
    label_in_space(axes, points, all_labels, all_colours)
    return figure


def _checked_sets(dots_data: Sequence[dict]) -> list[tuple[Array, list[str]]]:
    if not len(dots_data):
        raise ValueError("dots_data must hold at least one set of dots")
    sets: list[tuple[Array, list[str]]] = []
    for number, data in enumerate(dots_data):
        missing = [key for key in ("dots", "labels", "name") if key not in data]
        if missing:
            raise ValueError(f"dots_data[{number}] lacks {missing}; a set has dots, labels, color and name")
        dots = data["dots"]
        dots = np.asarray(dots.detach().cpu() if hasattr(dots, "detach") else dots)
        if dots.ndim != 2 or not len(dots):
            raise ValueError(f"dots_data[{number}]['dots'] must have the shape (N, C) with N >= 1, got {dots.shape}")
        if len(dots) != len(data["labels"]):
            raise ValueError(f"dots_data[{number}] has {len(dots)} dots, but {len(data['labels'])} labels")
        if sets and dots.shape[1] != sets[0][0].shape[1]:
            raise ValueError(f"dots_data[{number}] has dots of {dots.shape[1]} numbers, dots_data[0] of {sets[0][0].shape[1]}")
        sets.append((dots, list(data["labels"])))
    return sets


def _colours(data: dict) -> list[str]:
    return [data.get("color") or letter_colour(label) for label in data["labels"]]


def _box(axes: "Axes3D", low: Array, high: Array) -> None:
    """Limits that leave a margin around low and high (3,), small tick labels."""
    margin = 0.08 * (high - low) + 1e-9 + 1e-3 * (high - low).max()
    axes.set(**{f"{axis}lim": (low[i] - margin[i], high[i] + margin[i]) for i, axis in enumerate("xyz")})
    axes.tick_params(labelsize=7)
    axes.locator_params(nbins=5)


def _stems(axes: "Axes3D", points: Array) -> None:
    """A thin line from each point (N, 3) down to the floor of the box: it shows the depth."""
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    feet = points.copy()
    feet[:, 2] = axes.get_zlim()[0]
    axes.computed_zorder = False  # else a stem may be drawn over its own dot
    axes.add_collection3d(Line3DCollection(np.stack((points, feet), axis=1), colors="0.85", linewidths=0.5, zorder=1))


def label_in_space(axes: "Axes3D", points: Array, labels: Sequence[str], colours: Sequence[str], size: float = 10) -> None:
    """Labels beside points (N, 3) of 3-D axes, kept apart on the page. Turning the axes afterwards would leave them behind."""
    axes.figure.draw_without_rendering()  # fixes the layout and the projection
    _label_where_drawn(axes, points, labels, colours, size)


def _label_where_drawn(axes: "Axes3D", points: Array, labels: Sequence[str], colours: Sequence[str], size: float) -> None:
    from mpl_toolkits.mplot3d.proj3d import proj_transform

    x, y, _ = proj_transform(*points.T, axes.get_proj())
    label_points(axes, np.stack((x, y), axis=-1), list(labels), list(colours), size)


def _write_html(path: str | PathLike, parts: list[Array], dots_data: Sequence[dict], title: str) -> None:
    try:
        from plotly import graph_objects
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{path}: an HTML page needs plotly: pip install -e '.[plotly]'", name="plotly") from None
    from ..runs.files import write_atomically

    figure = graph_objects.Figure(layout={"title": {"text": title.replace("\n", "<br>")}})
    for number, (part, data) in enumerate(zip(parts, dots_data, strict=True)):
        symbol = ("circle", "diamond", "square", "x", "cross")[number % 5]
        mode = "lines+markers+text" if data.get("line") else "markers+text"
        figure.add_trace(
            graph_objects.Scatter3d(**_labelled(part, data["labels"], _colours(data), symbol), mode=mode, name=data["name"])
        )
    page = figure.to_html(include_plotlyjs=True)  # the whole library inside the page: no network needed
    write_atomically(path, page.encode())


def _labelled(points: Array, labels: Sequence[str], colours: Sequence[str], symbol: str) -> dict:
    """Points (N, 3) with their labels, as plotly's Scatter3d takes them."""
    x, y, z = points.T.tolist()
    marker = {"color": list(colours), "size": 4, "symbol": symbol}
    text = {"text": [visible(label) for label in labels], "textfont": {"color": list(colours)}}
    return {"x": x, "y": y, "z": z, "marker": marker} | text


class Turnable:
    """A figure that a notebook lets turn with the mouse, where plotly is installed and the notebook's page knows plotly's form;
    anywhere else the notebook shows the figure itself."""

    def __init__(self, figure: "Picture", turning: Any):
        self.figure, self.turning = figure, turning  # matplotlib's, and plotly's (which has no types) or None

    def __repr__(self) -> str:
        return repr(self.figure)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        """Every form that there is, by its MIME type; the page takes the richest that it knows."""
        forms: dict[str, Any] = {"image/png": self.figure._repr_png_()}
        if self.turning is not None:
            from plotly import io as plotly_io

            forms["application/vnd.plotly.v1+json"] = self.turning.to_plotly_json()
            if plotly_io.renderers.default == "colab":  # which takes a piece of a page instead
                forms["text/html"] = self.turning.to_html(full_html=False, include_plotlyjs="cdn")
        return forms


def turnable_space(before: Array, after: Array, labels: Sequence[str], lang: str = "en") -> Turnable:
    """`embedding_space` for a notebook, where its two boxes can be turned if plotly is installed."""
    return Turnable(embedding_space(before, after, labels, lang), _turning_space(before, after, labels, lang))


def _turning_space(before: Array, after: Array, labels: Sequence[str], lang: str) -> Any:
    """plotly's figure of the two boxes; None without plotly."""
    try:
        from plotly.subplots import make_subplots
    except ModuleNotFoundError:
        return None
    say = translator(lang)
    points, _ = three_dimensions(np.stack((before, after)).astype(np.float64))  # (2, V, 3)
    titles = [say("before training"), say("after training")]
    figure = make_subplots(1, 2, specs=[[{"type": "scene"}] * 2], subplot_titles=titles, horizontal_spacing=0.02)
    kinds = [("circle", say("vowels"), VOWELS), ("square", say("consonants"), CONSONANTS)]
    for symbol, name, members in [*kinds, ("diamond", say("space, full stop, comma"), " .,")]:
        rows = [row for row, label in enumerate(labels) if label in members]
        names, colours = [labels[row] for row in rows], [letter_colour(labels[row]) for row in rows]
        for place, space in enumerate(points, start=1):
            group = {"name": name, "legendgroup": name, "showlegend": place == 1, "mode": "markers+text"}
            figure.add_scatter3d(**_labelled(space[rows], names, colours, symbol), **group, row=1, col=place)
    look = {"paper_bgcolor": "rgba(0, 0, 0, 0)", "font": {"color": "#888888"}}  # for white and for black pages
    margin = {"l": 0, "r": 0, "t": 30, "b": 0}
    figure.update_layout(**look, template="none", height=460, margin=margin, legend={"orientation": "h"})
    return figure


def embedding_space(before: Array, after: Array, labels: Sequence[str], lang: str = "en") -> "Picture":
    """The token vectors before and after training, in 3-D, each point written as its own letter.

    before, after : (V, C). labels : V strings; a space is drawn as ␣. Each panel's axes fit its own points (untrained
    vectors lie close together); its title gives the size of the box.
    """
    say = translator(lang)
    points, share = three_dimensions(np.stack((before, after)).astype(np.float64))
    title = say("The dictionary space: vowels bold and warm, consonants cold")
    if before.shape[-1] > 3:
        title += "; " + say("first 3 principal components: {percent:.0f} % of the variance", percent=100 * share)
    names = []
    for when, panel in zip((say("before training"), say("after training")), points, strict=True):
        size = np.linalg.norm(np.ptp(panel, axis=0))
        names.append(say("{when}: {size:.2g} from corner to corner", when=when, size=size))
    marks = ["o" if label in VOWELS else "s" for label in labels]
    return _side_by_side(points, names, labels, marks, title, size=11)


def spaces_in_order(
    tables: Sequence[Array],
    names: Sequence[str],
    labels: Sequence[str],
    kinds: Mapping[str, Sequence[bool]],
    title: str,
    lang: str = "en",
) -> "Figure":
    """The same tokens in several tables, each (N, C), side by side in one basis: each panel's axes fit its own points.

    names : of the tables. labels : N strings; a token of several letters has the colour of its last vowel. kinds : name ->
    which of the tokens are of this kind, for a mark of its own.
    """
    points, share = three_dimensions(np.stack(tables).astype(np.float64))  # (S, N, 3)
    if np.shape(tables)[-1] > 3:
        title += "\n" + translator(lang)("first 3 principal components: {percent:.0f} % of the variance", percent=100 * share)
    marks = ["D"] * len(labels)
    for mark, members in zip("os^", kinds.values(), strict=False):
        marks = [mark if member else other for member, other in zip(members, marks, strict=True)]
    figure = _side_by_side(points, names, labels, marks, title, size=9)
    for mark, name in zip("os^", kinds, strict=False):
        figure.axes[0].plot([], [], [], mark, color=OTHER, markersize=4, label=name)
    figure.axes[0].legend(loc="upper left", fontsize=9, frameon=False)
    return figure


def _side_by_side(
    points: Array, names: Sequence[str], labels: Sequence[str], marks: Sequence[str], title: str, size: float
) -> "Picture":
    """One panel for each of the points (S, N, 3), with its name above."""
    figure = new_figure(5.5 * len(points), 5.6, title)
    colours = [token_colour(label) for label in labels]
    all_axes = []
    for place, (name, panel) in enumerate(zip(names, points, strict=True), start=1):
        axes = figure.add_subplot(1, len(points), place, projection="3d")
        _box(axes, panel.min(axis=0), panel.max(axis=0))
        for (x, y, z), mark, colour in zip(panel, marks, colours, strict=True):
            axes.plot([x], [y], [z], mark, color=colour, markersize=3)
        _stems(axes, panel)
        axes.set_title(name, size=11)
        all_axes.append(axes)
    figure.draw_without_rendering()  # once for all panels: it takes a second
    for axes, panel in zip(all_axes, points, strict=True):
        _label_where_drawn(axes, panel, labels, colours, size)
    return figure


def layer_norm_circle(before: Array, after: Array, labels: Sequence[str], title: str, lang: str = "en") -> "Figure":
    """LayerNorm in three dimensions: before (N, 3) anywhere, after (N, 3) on one circle."""
    say = translator(lang)
    figure = new_figure(11, 5.6, title)
    angle = np.linspace(0, 2 * np.pi, 100)
    # Two unit vectors that span the plane x + y + z = 0, in which every centred vector lies.
    u, v = np.array([1, -1, 0]) / np.sqrt(2), np.array([1, 1, -2]) / np.sqrt(6)
    circle = np.sqrt(3) * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v)  # (100, 3)
    names = (say("before: the residual stream"), say("after: (x - mean) / standard deviation"))
    panels = []
    for place, (name, points) in enumerate(zip(names, (before, after), strict=True), start=1):
        axes = figure.add_subplot(1, 2, place, projection="3d")
        if place == 2:
            axes.plot(*circle.T, color="0.4", linewidth=1, label=say("circle of radius √3 in the plane x + y + z = 0"))
            axes.plot(
                [-1, 1], [-1, 1], [-1, 1], "--", color="0.6", linewidth=1, label=say("the direction (1, 1, 1): taken away")
            )
            axes.legend(loc="upper left", fontsize=8, frameon=False)
        for point, label in zip(points, labels, strict=True):
            axes.plot(*point[:, None], "o" if label in VOWELS else "s", color=letter_colour(label[:1]), markersize=4)
        if place == 2:
            _box(axes, np.full(3, -1.6), np.full(3, 1.6))
            axes.set_box_aspect((1, 1, 1))
            axes.view_init(elev=20, azim=15)  # the circle seen neither from its edge nor from straight above
        else:
            _box(axes, points.min(axis=0), points.max(axis=0))
        axes.set_title(name, size=11)
        panels.append((axes, points))
    for axes, points in panels:
        label_in_space(axes, points, labels, [letter_colour(label[:1]) for label in labels])
    return figure


def embedding_motion(
    steps: Sequence[int], snapshots: Array, labels: Sequence[str], title: str, lang: str = "en", dpi: int = 70
) -> bytes:
    """The letters' way through training as an animated GIF, the file's bytes: a dot a letter, in its colour.

    steps : the training step of each of the snapshots (S, V, C), which share one basis and one box.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    say = translator(lang)
    points, _ = three_dimensions(np.asarray(snapshots, dtype=np.float64))  # (S, V, 3)
    figure = new_figure(5.4, 5.2, title)
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection="3d")
    _box(axes, points.min(axis=(0, 1)), points.max(axis=(0, 1)))
    kinds = [("o", say("vowels"), VOWELS), ("s", say("consonants"), CONSONANTS), ("^", say("space, full stop, comma"), " .,")]
    sets = []
    for marker, name, members in kinds:
        rows = [row for row, label in enumerate(labels) if label in members]
        if rows:
            colours = [letter_colour(labels[row]) for row in rows]
            dots = axes.scatter(*points[0, rows].T, marker=marker, c=colours, s=34, depthshade=False, label=name)
            sets.append((rows, dots))
    axes.legend(loc="upper left", fontsize=9, frameon=False)
    # One palette for all frames: the letters' colours, also half blended with white, and greys.
    rgb = [tuple(int(letter_colour(label)[i : i + 2], 16) for i in (1, 3, 5)) for label in labels]
    rgb += [tuple((255 + part) // 2 for part in colour) for colour in rgb] + [(g, g, g) for g in range(0, 256, 5)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in rgb[:256] for part in colour])
    frames = []
    for step, frame in zip(steps, points, strict=True):
        axes.set_title(say("step {step:,}", step=step), size=10)
        for rows, dots in sets:
            dots._offsets3d = tuple(frame[rows].T)  # matplotlib has no public name for it
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
        frames.append(picture.quantize(palette=palette, dither=Image.Dither.NONE))
    file = io.BytesIO()
    pauses = [150] * (len(frames) - 1) + [2000]  # milliseconds; the last frame stays
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=pauses, loop=0)
    return file.getvalue()
