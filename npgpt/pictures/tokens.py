"""Texts whose tokens are words and parts of words: surprise, attention, gradients by block, facts before and after."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from .labels import translator
from .matrices import matrix
from .style import CONSONANT, OTHER, VOWEL, new_figure, plain, visible, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def token_label(token: str) -> str:
    """The token as a picture can write it: what is invisible made visible, no dollar sign taken for mathematics."""
    shown = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in token.replace("\n", "⏎"))
    return visible(shown).replace("$", r"\$")


def token_surprise(
    tokens: Sequence[str], surprises: Array, guesses: Sequence[str], baseline: float, title: str, lang: str = "en"
) -> "Figure":
    """surprises (T,) of the tokens that came, as bars from top to bottom; beside each what the model would have said."""
    say = translator(lang)
    figure = new_figure(8, 0.27 * len(tokens) + 1.6)
    axes = figure.add_subplot()
    right = np.array([token == guess for token, guess in zip(tokens, guesses, strict=True)])
    places, most = np.arange(len(tokens)), max(baseline, np.max(surprises))
    kinds = [(right, CONSONANT, "", say("its first guess")), (~right, VOWEL, "//", say("another guess"))]
    for mask, colour, hatch, name in kinds:
        if mask.any():
            bars = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
            axes.barh(places[mask], np.asarray(surprises)[mask], 0.75, **bars)
    for place, guess in enumerate(guesses):
        if not right[place]:
            axes.text(surprises[place] + 0.01 * most, place, token_label(guess), va="center", size=8, color=OTHER)
    axes.axvline(
        baseline, color="black", linestyle="--", linewidth=1, label=say("knows nothing: ln V = {loss:.3f}", loss=baseline)
    )
    axes.set_yticks(places, [token_label(token) for token in tokens], size=9)
    axes.set(ylim=(len(tokens) - 0.4, -0.6), xlim=(0, 1.12 * most))
    axes.set_xlabel(say("surprise: -ln p (nats); in grey: the model's first guess"))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=11)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    plain(axes)
    return figure


def chosen_heads(panels: Sequence[tuple[str, Array]], tokens: Sequence[str], title: str, lang: str = "en") -> "Figure":
    """The weights (T, T) of some heads side by side, each under its heading."""
    say, T = translator(lang), len(tokens)
    size = max(2.6, 0.2 * T + 0.4)
    figure = new_figure(size * len(panels) + 1.2, size + 1.5, title)
    labels = [token_label(token) for token in tokens]
    future = np.triu(np.ones((T, T), dtype=bool), k=1)
    for place, (axes, (heading, weights)) in enumerate(zip(figure.subplots(1, len(panels)), panels, strict=True)):
        matrix(axes, weights, title=heading, signed=False, limit=1, masked=future, numbers=False)
        axes.set_xticks(range(T), labels, size=8, rotation=90)
        if place == 0:
            axes.set_yticks(range(T), labels, size=8)
        axes.tick_params(length=0)
        axes.set_xlabel(say("key: who is looked at"))
    figure.axes[0].set_ylabel(say("query: who looks"))
    return figure


def gradients_by_block(names: Sequence[str], norms: Array, title: str, lang: str = "en") -> "Figure":
    """norms (K, L): the length of the gradient of K layers in each of L blocks, on a scale of powers of ten."""
    say = translator(lang)
    norms = np.asarray(norms)
    figure = new_figure(0.62 * norms.shape[1] + 3.2, 0.42 * len(names) + 1.6, title)
    axes = figure.add_subplot()
    logs = np.log10(np.maximum(norms, 1e-12))
    image = axes.imshow(logs, aspect="auto", cmap="Purples", vmin=logs.min() - 0.3, vmax=logs.max())
    for row, column in np.ndindex(norms.shape):
        strong = logs[row, column] > logs.min() + 0.62 * np.ptp(logs)
        text = f"{norms[row, column]:.2g}"
        axes.text(column, row, text, ha="center", va="center", size=7.5, color="white" if strong else "black").set_in_layout(
            False
        )
    axes.set_yticks(range(len(names)), names, size=9)
    axes.set_xticks(range(norms.shape[1]), [str(i + 1) for i in range(norms.shape[1])])
    axes.set_xlabel(say("block"))
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label=say("log₁₀ of the gradient's length"))
    return figure


def facts(
    questions: Sequence[str],
    before: Sequence[tuple[str, float]],
    after: Sequence[tuple[str, float]],
    taught: str,
    title: str,
    lang: str = "en",
) -> "Figure":
    """Every question's likeliest answer and its probability, before and after something was taught: two bars a question. What
    was `taught` is drawn in red wherever it is the answer."""
    say = translator(lang)
    figure = new_figure(9, 0.62 * len(questions) + 1.4)
    axes = figure.add_subplot()
    for place in range(len(questions)):
        for shift, (answer, p), strength in ((-0.2, before[place], 0.45), (0.2, after[place], 1.0)):
            colour = VOWEL if answer == taught else CONSONANT
            axes.barh(place + shift, p, 0.36, color=colour, alpha=strength)
            axes.text(p + 0.01, place + shift, f"{token_label(answer)}  {p:.2f}", va="center", size=8.5, color=colour)
    axes.set_yticks(range(len(questions)), [question.replace("$", r"\$") for question in questions], size=9)
    axes.set(ylim=(len(questions) - 0.4, -0.6), xlim=(0, 1.2))
    axes.set_xlabel(say("probability of the likeliest next token: pale before, full after"))
    axes.set_title(wrapped(title, figure.get_figwidth()), size=11)
    plain(axes)
    return figure
