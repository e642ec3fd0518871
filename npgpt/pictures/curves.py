"""Curves and bars: the loss and what bounds it, surprise, probabilities, gradients over time, knowledge against dimensions."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray as Array
from numpy.typing import ArrayLike

from .labels import translator
from .matrices import matrix
from .style import (
    CONSONANT,
    KIND_COLOURS,
    KIND_MARKERS,
    KINDS,
    OTHER,
    VOWEL,
    label_points,
    letter_colour,
    letters_on_axis,
    new_figure,
    plain,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def loss_curve(
    losses: ArrayLike,
    baseline: float,
    *,
    floors: Mapping[str, float] | None = None,
    title: str | None = None,
    lang: str = "en",
) -> "Figure":
    """The loss of each step and its running mean, in nats, under the line of a model that knows nothing.

    losses : one number a step. baseline : the loss of guessing uniformly, log(vocab_size). floors : name -> entropy, drawn as
    further lines, from the highest to the lowest.
    """
    say = translator(lang)
    losses = np.asarray(losses, dtype=np.float64)
    width = min(len(losses), max(1, len(losses) // 40))
    sums = np.cumsum(np.concatenate(([0.0], losses)))
    running_mean = (sums[width:] - sums[:-width]) / width
    figure = new_figure(7.5, 4.4)
    axes = figure.add_subplot()
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color="0.75", linewidth=0.6, label=say("each batch"))
    axes.plot(steps[width - 1 :], running_mean, color=VOWEL, linewidth=1.8, label=say("mean of the last {n}", n=width))
    axes.axhline(
        baseline, color="black", linestyle="--", linewidth=1, label=say("knows nothing: ln V = {loss:.3f}", loss=baseline)
    )
    for style, (name, entropy) in zip((":", "-.", (0, (5, 1, 1, 1, 1, 1))), (floors or {}).items(), strict=False):
        axes.axhline(entropy, color=CONSONANT, linestyle=style, linewidth=1.2, label=f"{name} = {entropy:.3f}")
    axes.set_xlabel(say("step"))
    axes.set_ylabel(say("loss (nats a token)"))
    title = title or say("Training: how surprised the model is by the next letter")
    axes.set_title(wrapped(title, 7.5), size=11)
    axes.set_xlim(0, len(losses))
    if floors:
        axes.set_ylim(min(0.9 * min(floors.values()), losses.min()), max(losses.max(), baseline) + 0.8)  # room for the legend
    axes.legend(frameon=False, fontsize=8, ncols=2 if floors else 1)
    plain(axes)
    return figure


def surprise_bars(text: str, surprises: Mapping[str, Array], baseline: float, title: str, lang: str = "en") -> "Figure":
    """How surprising each true next letter was, in nats. text : the T letters that came; surprises : model's name -> (T,)."""
    say = translator(lang)
    figure = new_figure(8, 4.2)
    axes = figure.add_subplot()
    places, width = np.arange(len(text)), 0.8 / len(surprises)
    fills: tuple[dict[str, Any], ...] = (
        {"color": "0.8", "edgecolor": "0.4"},
        {"color": CONSONANT},
        {"color": VOWEL, "hatch": "//"},
    )
    for number, (name, values) in enumerate(surprises.items()):
        shift = (number - (len(surprises) - 1) / 2) * width
        label = say("{name}: mean {loss:.2f}", name=name, loss=np.mean(values))
        axes.bar(places + shift, values, width, label=label, **fills[number % 3])
    axes.axhline(
        baseline, color="black", linestyle="--", linewidth=1, label=say("knows nothing: ln V = {loss:.3f}", loss=baseline)
    )
    letters_on_axis(axes, "x", list(text))
    axes.set_xlabel(say("the letter that really came next"))
    axes.set_ylabel(say("surprise: -ln p (nats)"))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=11)
    axes.set_ylim(0, 1.3 * max(baseline, *(np.max(values) for values in surprises.values())))
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper center")
    plain(axes)
    return figure


def next_letters(
    panels: Sequence[tuple[str, Array, str]], letters: str, title: str, chosen: Sequence[Sequence[int]], lang: str = "en"
) -> "Figure":
    """Probabilities of every letter at several places, as columns. panels : (name, probabilities (S, V), S column labels);
    chosen : the letter's id to mark in each column of each panel. One scale for all."""
    from matplotlib.patches import Rectangle

    say = translator(lang)
    figure = new_figure(1 + 0.42 * sum(len(panel[1]) for panel in panels), 7.6, title)
    axes_row = figure.subplots(1, len(panels), squeeze=False, width_ratios=[len(panel[1]) for panel in panels])[0]
    limit = max(panel[1].max() for panel in panels)
    for axes, (name, probabilities, columns), marks in zip(axes_row, panels, chosen, strict=True):
        matrix(
            axes, probabilities.T, rows=letters, columns=columns, title=name, signed=False, limit=limit, numbers=False
        )  # (V, S)
        for column, row in enumerate(marks):
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=letter_colour(letters[row]), lw=1.8)
            )
            axes.text(
                column,
                row,
                f"{100 * probabilities[column, row]:.0f}",
                ha="center",
                va="center",
                size=7.5,
                color="white" if probabilities[column, row] > 0.62 * limit else "black",
            )
        axes.set_xlabel(say("after this letter"))
    return figure


def positions(encoding: Array, places: Sequence[tuple[str, Array, Array]], title: str, lang: str = "en") -> "Figure":
    """The encoding (T, C), and where a letter lies before and after it is added. places : (label, before (C,), after (C,))."""
    say = translator(lang)
    figure = new_figure(11, 4.4, title)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    T, C = encoding.shape
    for column in range(C):
        style = ("-o", "--s", ":^")[column % 3]
        left.plot(
            range(T),
            encoding[:, column],
            style,
            color=str(0.15 + 0.5 * column / C),
            markersize=4,
            label=say("feature {n}", n=column + 1),
        )
    left.set(xlabel=say("position"), xticks=range(T))
    left.set_title(say("what is added at each position, by feature"), size=10)
    left.set_ylim(encoding.min() - 0.1, encoding.max() + 0.35)
    left.legend(frameon=False, fontsize=8, ncols=min(C, 3), loc="upper center")
    plain(left)
    points, colours = [], []
    for label, before, after in places:
        colour = letter_colour(label[0])
        right.plot(*after[:2], "o", color=colour, markersize=6)
        right.plot(*before[:2], "D", color="black", markersize=5)
        right.plot(*zip(before[:2], after[:2], strict=True), color=colour, linewidth=0.6, alpha=0.6)
        points.append(after[:2])
        colours.append(colour)
    right.plot([], [], "D", color="black", label=say("before: only the letter"), linestyle="none")
    right.plot([], [], "o", color=OTHER, label=say("after: the letter at a position"), linestyle="none")
    right.legend(frameon=False, fontsize=8, loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.12))
    right.set(xlabel=say("feature {n}", n=1), ylabel=say("feature {n}", n=2))
    right.margins(0.16)
    plain(right)
    figure.draw_without_rendering()  # fixes the layout: until then a point's place on the page is not known
    label_points(right, np.array(points), [label for label, _, _ in places], colours, size=9)
    return figure


def row_gradients(labels: Sequence[str], gradient: Array, title: str, lang: str = "en") -> "Figure":
    """gradient (V, C) of a table, a row a letter: its length as a bar; rows that got none are hatched away."""
    say = translator(lang)
    figure = new_figure(9, 3.8)
    axes = figure.add_subplot()
    sizes = np.linalg.norm(gradient, axis=-1)  # (V,)
    axes.bar(range(len(labels)), sizes, color=[letter_colour(label) for label in labels])
    for place in np.flatnonzero(sizes == 0):
        axes.axvspan(place - 0.4, place + 0.4, facecolor="0.95", edgecolor="0.75", hatch="///", linewidth=0, zorder=0)
    axes.bar(0, 0, facecolor="0.95", edgecolor="0.75", hatch="///", label=say("gradient exactly 0: the row does not move"))
    letters_on_axis(axes, "x", list(labels))
    axes.set_xlim(-0.7, len(labels) - 0.3)
    axes.set_ylim(0, 1.2 * sizes.max())
    axes.set_ylabel(say("length of the row's gradient"))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=11)
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    plain(axes)
    return figure


def gradient_flow(
    steps: Sequence[int], names: Sequence[str], rms: Array, ratios: Array, title: str, lang: str = "en"
) -> "Figure":
    """rms (S, K): the root mean square of K tensors' gradients at S steps, in logarithms; ratios (S, K): update / weight."""
    say = translator(lang)
    figure = new_figure(12, 0.3 * len(names) + 3, title)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    logs = np.log10(np.maximum(rms, 1e-12)).T  # (K, S)
    image = left.imshow(logs, aspect="auto", cmap="Greys", extent=(steps[0], steps[-1], len(names) - 0.5, -0.5))
    left.set_yticks(range(len(names)), names, size=8)
    left.set_xlabel(say("step"))
    left.set_title(say("gradients: log₁₀ of the root mean square"), size=10)
    figure.colorbar(image, ax=left, shrink=0.8)
    styles, marks = ("-", "--", ":", "-."), "os^Dv"
    for number, (name, values) in enumerate(zip(names, np.asarray(ratios).T, strict=True)):
        grey = f"C{number % 10}"
        right.plot(
            steps,
            np.maximum(values, 1e-9),
            styles[number % 4],
            color=grey,
            marker=marks[number % 5],
            markevery=0.2,
            markersize=4,
            linewidth=1.1,
            label=name,
        )
    right.axhline(1e-3, color="black", linewidth=0.8, linestyle="--", label=say("rule of thumb: 1/1000"))
    right.set_yscale("log")
    right.set_xlabel(say("step"))
    right.set_title(say("update / weight (root mean squares)"), size=10)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    plain(right)
    return figure


def learning_to_write(steps: Sequence[int], samples: Sequence[str], prompt: str, title: str, lang: str = "en") -> "Figure":
    """What the model wrote after the prompt, one line a step, letter by letter in the letters' colours."""
    say = translator(lang)
    longest = max(len(sample) for sample in samples)
    figure = new_figure(1.9 + 0.22 * longest, 0.8 + 0.3 * len(samples), title)
    axes = figure.add_subplot()
    for row, sample in enumerate(samples):
        for column, letter in enumerate(sample):
            given = column < len(prompt)
            style: dict[str, Any] = {"color": "0.55"} if given else {"color": letter_colour(letter), "weight": "bold"}
            axes.text(column, row, visible(letter), ha="center", va="center", family="monospace", size=10, **style)
    axes.axvline(len(prompt) - 0.5, color="0.7", linewidth=0.8)
    axes.set(xlim=(-0.7, longest - 0.3), ylim=(len(samples) - 0.4, -0.6), xticks=[])
    axes.set_yticks(range(len(samples)), [say("step {step:,}", step=step) for step in steps], size=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def knowledge(
    widths: Sequence[int],
    losses: Array,
    known: Array,
    ranks: Array,
    *,
    floor: float,
    facts: int,
    knee: int | None,
    title: str,
    lang: str = "en",
) -> "Figure":
    """losses, known and ranks (W, S) of W widths and S seeds: dots for the seeds, a line for the mean, the knee marked."""
    say = translator(lang)
    figure = new_figure(13, 4.2, title)
    panels = figure.subplots(1, 3)
    headings = (
        say("loss after training (nats a word)"),
        say("facts answered right, of {n}", n=facts),
        say("rank of the logit matrix"),
    )
    for axes, values, heading in zip(panels, (losses, known, ranks), headings, strict=True):
        values = np.asarray(values, dtype=np.float64)
        axes.fill_between(widths, values.min(axis=1), values.max(axis=1), color="0.88", label=say("spread of the seeds"))
        axes.plot(widths, values.mean(axis=1), "-", color=CONSONANT, linewidth=1.6, label=say("mean"))
        axes.plot(widths, values, "o", color="0.35", markersize=3)
        axes.set_title(heading, size=10)
        axes.set_xlabel("n_embd")
        axes.set_xticks(widths)
        axes.tick_params(axis="x", labelsize=8)
        if knee is not None:
            axes.axvline(knee, color=VOWEL, linestyle="--", linewidth=1.2, label=say("knee: n_embd = {n}", n=knee))
        plain(axes)
    panels[0].axhline(
        floor, color="black", linestyle=":", linewidth=1.2, label=say("the text's own floor: {loss:.3f}", loss=floor)
    )
    panels[1].axhline(facts, color="black", linestyle=":", linewidth=1.2)
    panels[2].plot(widths, widths, color="black", linestyle=":", linewidth=1.2, label=say("rank = n_embd"))
    panels[0].legend(frameon=False, fontsize=8)
    panels[2].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def shapes(names: Sequence[str], losses: Array, title: str, lang: str = "en") -> "Figure":
    """losses (N, S) of N models of about equal size and S seeds: a dot a seed, a bar at the mean."""
    say = translator(lang)
    losses = np.asarray(losses, dtype=np.float64)
    figure = new_figure(8, 0.5 * len(names) + 1.6)
    axes = figure.add_subplot()
    seeds_in_rows(axes, names, losses)
    axes.set_ylabel(say("layers × heads"))
    axes.set_xlabel(say("loss (nats a letter): a dot a seed, a bar at the mean"))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=11)
    return figure


def seeds_in_rows(axes: "Axes", names: Sequence[str], losses: Array) -> None:
    """losses (N, S) of N models and S seeds, a row a model: a dot a seed, a bar at the mean."""
    for row, values in enumerate(losses):
        axes.plot([values.min(), values.max()], [row, row], color="0.75", linewidth=4, solid_capstyle="round")
        axes.plot(values, [row] * len(values), "o", color="0.35", markersize=5)
        axes.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=VOWEL, linewidth=2)
    axes.set_yticks(range(len(names)), names, size=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9")
    plain(axes)


def one_change_at_a_time(names: Sequence[str], panels: Mapping[str, Array], title: str, lang: str = "en") -> "Figure":
    """What each of N steps from one model to another does. panels : name -> losses (N, S) of S seeds."""
    say = translator(lang)
    figure = new_figure(4 + 5 * len(panels), 0.5 * len(names) + 2, title)
    for axes, (name, losses) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        seeds_in_rows(axes, names, np.asarray(losses, dtype=np.float64))
        axes.set_title(name, size=10)
        axes.set_xlabel(say("loss (nats a character): a dot a seed, a bar at the mean"))
    return figure


def below_the_first(
    steps: Sequence[int], names: Sequence[str], panels: Mapping[str, Array], title: str, lang: str = "en"
) -> "Figure":
    """How far below the first model's loss the others' lie on the way. panels : name -> losses (N, P) of the N models that
    `names` names, at P places of the training, whose steps are given."""
    say = translator(lang)
    figure = new_figure(2 + 5.5 * len(panels), 4.6, title)
    for axes, (name, losses) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        first, *others = np.asarray(losses, dtype=np.float64)
        axes.axhline(0, color="black", linewidth=0.8, label=names[0])
        for number, (label, values) in enumerate(zip(names[1:], others, strict=True)):
            axes.plot(steps, first - values, color=f"C{number}", marker="os^DvP"[number % 6], markersize=4, label=label)
        axes.set_title(name, size=10)
        axes.set_xlabel(say("step"))
        axes.set_ylabel(say("nats below {name}, on the same batches", name=names[0]))
        plain(axes)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def losses_by_size(panels: Sequence[tuple[str, Mapping, Mapping[str, float], bool]], title: str, lang: str = "en") -> "Figure":
    """Losses of the kinds of models against their parameters: dots for the seeds, a line through the means, one panel a text.

    panels : (name of the y axis, kind -> (parameters (S,), losses (S, seeds)), floor's name -> its height, logarithmic?).
    """
    say = translator(lang)
    figure = new_figure(6.2 * len(panels), 4.6, title)
    for axes, (name, kinds, floors, logarithmic) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for kind, (parameters, losses) in kinds.items():
            losses = np.asarray(losses)  # (S, seeds)
            style: dict[str, Any] = {"color": KIND_COLOURS[kind], "marker": KIND_MARKERS[kind]}
            axes.plot(parameters, losses, linestyle="none", markersize=4, alpha=0.5, **style)
            axes.plot(parameters, losses.mean(axis=1), linewidth=1.6, markersize=6, label=KINDS[kind], **style)
        for line, (floor, height) in zip((":", "-.", (0, (5, 1, 1, 1, 1, 1)), "--"), floors.items(), strict=False):
            axes.axhline(height, color="0.3", linestyle=line, linewidth=1, label=f"{floor} = {height:.3f}")
        axes.set_xscale("log")
        sizes = next(iter(kinds.values()))[0]
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xticks([], minor=True)
        axes.set_yscale("log" if logarithmic else "linear")
        axes.set_xlabel(say("parameters"))
        axes.set_ylabel(name)
        axes.legend(frameon=False, fontsize=8, loc="upper right")
        plain(axes)
    return figure


def speed_ratios(rows: Mapping[str, tuple[str, Sequence[float]]], title: str, lang: str = "en") -> "Figure":
    """How many times as long the best other takes as npgpt, one row a work: a dot for the median of the rounds, a line for
    their spread. Right of 1 npgpt is faster.

    rows : work -> (the other's name, its time in npgpt's time in each round).
    """
    say = translator(lang)
    figure = new_figure(9, 1.4 + 0.36 * len(rows))
    axes = figure.add_subplot()
    for place, (other, ratios) in enumerate(rows.values()):
        median = float(np.median(ratios))
        colour = CONSONANT if median >= 1 else OTHER
        axes.plot([min(ratios), max(ratios)], [place, place], color=colour, linewidth=2.5, alpha=0.45)
        axes.plot([median], [place], "o", color=colour, markersize=6)
        at_the_right = axes.get_yaxis_transform()  # x in the axes' width, y in rows
        axes.text(1.02, place, f"{median:.2f}  {other}", transform=at_the_right, va="center", size=8)
    axes.axvline(1, color="black", linestyle="--", linewidth=1)
    axes.set_xscale("log")
    low, high = (edge(edge(ratios) for _, ratios in rows.values()) for edge in (min, max))
    axes.set_xlim(min(low, 1) / 1.15, 1.15 * max(high, 1))
    ticks = [tick for tick in (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32) if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(rows)), rows, size=8)
    axes.invert_yaxis()
    axes.set_xlabel(say("time of the best other / time of npgpt"))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=10)
    plain(axes)
    return figure


def recall(
    distances: Sequence[int], right: Mapping[str, Array], *, chance: float, trained: int, title: str, lang: str = "en"
) -> "Figure":
    """The share of right answers at each distance, kind -> (D, seeds): thin lines for the seeds, a thick one for their mean.

    chance : who guesses. trained : the longest distance of the training.
    """
    say = translator(lang)
    figure = new_figure(8, 4.4)
    axes = figure.add_subplot()
    for kind, shares in right.items():
        style: dict[str, Any] = {"color": KIND_COLOURS[kind], "marker": KIND_MARKERS[kind], "markersize": 5}
        axes.plot(distances, np.asarray(shares), color=KIND_COLOURS[kind], linewidth=0.7, alpha=0.5)
        axes.plot(distances, np.asarray(shares).mean(axis=1), linewidth=2, label=KINDS[kind], **style)
    axes.axhline(chance, color="0.3", linestyle=":", linewidth=1, label=say("guessing: {chance:.3f}", chance=chance))
    axes.axvspan(trained, max(distances), color="0.93", zorder=0, label=say("further than in training"))
    axes.set(xlabel=say("words between the name and the question"), ylabel=say("share of right answers"), ylim=(0, 1.03))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=11)
    axes.legend(frameon=False, fontsize=9)
    plain(axes)
    return figure


def larger_texts(
    shares: Sequence[int],
    bits: Mapping[str, Array],
    kept: Mapping[str, Array],
    chance: Mapping[str, float],
    title: str,
    floor: float | None = None,
    lang: str = "en",
) -> "Figure":
    """What grows with the text. bits : kind of token -> bits a character (S, N) of S shares of the text, in percent, and N
    seeds; kept : kind -> the shares of neighbours kept from each size to the next, then between two seeds of the largest (S,);
    chance : kind -> what would be kept by chance. floor : the lowest possible bits, where known."""
    say = translator(lang)
    figure = new_figure(11, 4.4, title)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    for (name, values), mark, colour in zip(bits.items(), "os^", (VOWEL, CONSONANT, OTHER), strict=False):
        left.plot(shares, values, mark, color=colour, markersize=4)
        left.plot(shares, np.mean(values, axis=1), "-", marker=mark, color=colour, markersize=4, label=name)
    if floor is not None:
        left.axhline(
            floor, color="black", linestyle=":", linewidth=1.2, label=say("the text's own floor: {loss:.3f}", loss=floor)
        )
    left.set_xscale("log")
    left.set_xticks(shares, [say("{n} %", n=share) for share in shares])
    left.minorticks_off()
    left.set_xlabel(say("of the text"))
    left.set_title(say("bits a character, held-out text: a dot a seed"), size=10)
    left.legend(frameon=False, fontsize=9)
    plain(left)
    steps = [say("{a} → {b} %", a=a, b=b) for a, b in itertools.pairwise(shares)]
    steps.append(say("two seeds, {n} %", n=shares[-1]))
    width = 0.8 / len(steps)
    for number, step in enumerate(steps):
        places = np.arange(len(kept)) + (number - (len(steps) - 1) / 2) * width
        heights = [100 * values[number] for values in kept.values()]
        bars = right.bar(places, heights, 0.92 * width, color=str(0.8 - 0.25 * number), edgecolor="0.3", label=step)
        right.bar_label(bars, [f"{height:.0f}" for height in heights], size=8, padding=2)
    for place, share in enumerate(chance.values()):
        label = say("chance") if place == 0 else None
        right.plot([place - 0.45, place + 0.45], [100 * share] * 2, "--", color=VOWEL, linewidth=1.5, label=label)
    right.set_xticks(range(len(kept)), kept)
    right.set_ylim(0, 1.3 * max(100 * np.max(list(kept.values())), 1))
    right.set_title(say("nearest neighbours kept (%)"), size=10)
    right.legend(frameon=False, fontsize=9, ncols=4, loc="upper center")
    plain(right)
    return figure
