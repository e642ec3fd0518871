"""Texts whose tokens are words and parts of words: surprise, attention, what each block would say, gradients, facts taught."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
            bars: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
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


def words_by_block(
    words: Sequence[Sequence[str]], p: Array, ranks: Array, right: str, title: str, lang: str = "en"
) -> "Figure":
    """What each of L blocks would answer: its K likeliest tokens with their probabilities p (L, K), and beside them the rank of
    the right one (L,), from 1, on a scale of powers of ten."""
    say, (L, K) = translator(lang), np.shape(p)
    figure = new_figure(2.0 * K + 4.5, 0.27 * L + 1.6, title)
    left, line = figure.subplots(1, 2, width_ratios=[2.0 * K, 3.5])
    left.imshow(p, aspect="auto", cmap="Purples", vmin=0, vmax=1)
    for block, column in np.ndindex(L, K):
        colour = "white" if p[block, column] > 0.62 else VOWEL if words[block][column] == right else "black"
        text = f"{token_label(words[block][column])[:16]}  {p[block, column]:.2f}"
        weight = "bold" if words[block][column] == right else "normal"
        left.text(column, block, text, ha="center", va="center", size=8, color=colour, weight=weight).set_in_layout(False)
    left.set_yticks(range(L), [str(block + 1) for block in range(L)], size=8)
    left.set_xticks(range(K), [say("{n}. answer", n=k + 1) for k in range(K)])
    left.set_ylabel(say("block"))
    left.tick_params(length=0)
    line.plot(ranks, range(L), "o-", color=VOWEL, markersize=4)
    line.set_xscale("log")
    line.set(ylim=left.get_ylim(), yticks=[])
    line.set_xlabel(say("rank of {right!r}", right=token_label(right)))
    plain(line)
    return figure


def looks_at(tokens: Sequence[str], looks: Mapping[str, Array], title: str, lang: str = "en") -> "Figure":
    """Several answers to "which token decides?", name -> (T,), each as bars from top to bottom on a scale of its own."""
    figure = new_figure(3.2 * len(looks) + 1, 0.3 * len(tokens) + 1.4, title)
    for place, (axes, (name, values)) in enumerate(zip(figure.subplots(1, len(looks)), looks.items(), strict=True)):
        axes.barh(range(len(tokens)), values, color=CONSONANT)
        axes.set_yticks(range(len(tokens)), [token_label(token) for token in tokens] if place == 0 else [], size=9)
        axes.set_ylim(len(tokens) - 0.4, -0.6)
        axes.set_title(name, size=10)
        plain(axes)
    return figure


def facts_taught(
    questions: Sequence[str],
    ways: Sequence[str],
    p: Array,
    answers: Sequence[Sequence[str]],
    taught: str,
    title: str,
    lang: str = "en",
) -> "Figure":
    """Q questions, asked before and after something was taught in several ways: the right answer's probability p (Q, W) as the
    cell's colour, the answer that was given as its text, in red where it is what was `taught`."""
    say = translator(lang)
    figure = new_figure(1.9 * len(ways) + 3.2, 0.33 * len(questions) + 1.9, title)
    axes = figure.add_subplot()
    image = axes.imshow(p, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    for q, w in np.ndindex(np.shape(p)):
        answer, strong = answers[q][w], p[q, w] > 0.62
        colour, weight = (VOWEL, "bold") if answer == taught else ("white" if strong else "black", "normal")
        text = f"{token_label(answer)}  {p[q, w]:.2f}"
        axes.text(w, q, text, ha="center", va="center", size=8.5, color=colour, weight=weight).set_in_layout(False)
    axes.set_yticks(range(len(questions)), [question.replace("$", r"\$") for question in questions], size=9)
    axes.set_xticks(range(len(ways)), list(ways), size=9)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label=say("what is said; number and colour: the right answer's probability"))
    return figure
