"""What all pictures share: a letter's colour and weight, visible spaces, empty figures, labels that do not overlap.

Every letter has one colour in every picture: the eight vowels are warm, the consonants cold, space and punctuation grey.
Vowels are bold and have round marks, consonants have square ones, so that the two can be told apart in greyscale too.
"""

import colorsys
import textwrap
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy import ndarray as Array

from .. import letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figure import Picture

VOWELS = "aeıioöuü"
CONSONANTS = "".join(letter for letter in letters if letter.isalpha() and letter not in VOWELS)
VOWEL, CONSONANT, OTHER = "#c1272d", "#1f4e9c", "#444444"  # the three families, where single letters do not matter
KINDS = {"gpt": "GPT", "lstm": "LSTM", "mamba": "Mamba", "llama": "Llama"}  # how a picture names a kind of model
KIND_COLOURS = {"gpt": "#0072b2", "lstm": "#d55e00", "mamba": "#009e73", "llama": "#cc79a7"}  # the colour-blind tell them apart
KIND_MARKERS = {"gpt": "o", "lstm": "^", "mamba": "s", "llama": "D"}
MARKERS = "o^sDvP"  # one for each set of points: colour alone would be lost in greyscale


def letter_colour(letter: str) -> str:
    """The letter's colour, "#rrggbb": vowels from crimson to ochre, consonants from green to violet, the rest grey."""
    if letter in VOWELS and letter:
        hue, saturation, value = 0.93 + 0.17 * VOWELS.index(letter) / 7, 0.88, 0.78
    elif letter in CONSONANTS and letter:
        place = CONSONANTS.index(letter)
        hue, saturation, value = 0.44 + 0.33 * place / 20, 0.75, 0.45 + 0.22 * (place % 2)  # neighbours differ in lightness
    else:
        hue, saturation, value = 0, 0, 0.3
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def token_colour(token: str) -> str:
    """The colour of the token's last vowel, with which a suffix would agree; of its last letter where it has no vowel."""
    vowels = [letter for letter in token if letter in VOWELS]
    return letter_colour((vowels or token or " ")[-1])


def letter_weight(letter: str) -> str:
    """ "bold" for vowels, else "normal"."""
    return "bold" if letter and letter in VOWELS else "normal"


def visible(text: str) -> str:
    """The text with every space drawn as ␣."""
    return text.replace(" ", "␣")


def new_figure(width: float, height: float, title: str = "") -> "Picture":
    """An empty figure of width x height inches, which no window and no global list knows about."""
    from .figure import Picture

    figure = Picture(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(wrapped(title, width), size=12)
    return figure


def wrapped(title: str, width: float) -> str:
    """The title broken into lines that fit a figure of `width` inches; lines that it has already stay."""
    return "\n".join(textwrap.fill(line, int(11.5 * width)) for line in title.split("\n"))


def letters_on_axis(axes: "Axes", axis: Literal["x", "y"], text: str | list[str]) -> None:
    """Writes one letter (or word) at each tick 0, 1, 2, ... of the axis "x" or "y", each in its colour."""
    axes.set(**{f"{axis}ticks": range(len(text)), f"{axis}ticklabels": [visible(letter) for letter in text]})
    for tick, letter in zip(getattr(axes, f"get_{axis}ticklabels")(), text, strict=True):
        tick.set(color=letter_colour(letter) if len(letter) == 1 else OTHER, weight=letter_weight(letter[:1]), size=10)
    axes.tick_params(axis=axis, length=0)


def plain(axes: "Axes") -> None:
    """Leaves away the frame's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)


def spread(points: Array, distance: float, rounds: int = 200) -> Array:
    """Places for labels: points (N, 2) moved apart until no two are nearer than `distance`, staying close to where they were.

    Deterministic. A label also keeps half the distance from the dots, which stay at `points`.
    """
    N = len(points)
    turn = np.arange(N) * 2.399963  # the golden angle: labels of equal points leave in different directions
    places = points + 0.8 * distance * np.stack((np.cos(turn), np.sin(turn)), axis=-1)  # (N, 2)
    for _ in range(rounds):
        push = np.zeros_like(places)
        for others, least, factor in ((places, distance, 0.5), (points, 0.8 * distance, 1.0)):
            away = places[:, None] - others[None]  # (N, N, 2)
            gap = np.linalg.norm(away, axis=-1) + 1e-9  # (N, N)
            short = np.clip(least - gap, 0, None)  # how much each pair is too near
            if others is places:
                np.fill_diagonal(short, 0)
            push += factor * (away * (short / gap)[..., None]).sum(axis=1)
        if np.abs(push).max(initial=0) < 0.01 * distance:
            break
        places += 0.5 * push
    return places


def label_points(axes: "Axes", points: Array, labels: list[str], colours: list[str], size: float = 10) -> None:
    """Writes the labels beside points (N, 2), given in the coordinates of axes.transData, so that none covers another.

    Call it when everything else is drawn and `figure.draw_without_rendering()` has fixed the layout: it measures in pixels.
    """
    if not len(points):
        return
    figure = axes.figure
    pixels = axes.transData.transform(points)  # (N, 2)
    longest = max(len(label) for label in labels)
    distance = (1.15 if longest <= 2 else 1.7) * size * figure.dpi / 72
    squeeze = np.array([max(1, 0.45 * longest), 1])  # words are wide: they need room to the side more than above
    places = spread(pixels / squeeze, distance) * squeeze  # (N, 2), in pixels
    half = 0.36 * size * figure.dpi / 72 * np.array([[len(label), 2] for label in labels])  # of each label's own box
    places = np.clip(places, half, np.array(figure.bbox.size) - half)  # none is cut off at the figure's edge
    offsets = (places - pixels) * 72 / figure.dpi  # in typographic points: the same at every resolution
    for point, offset, label, colour in zip(points, offsets, labels, colours, strict=True):
        far = np.hypot(*offset / squeeze) > 1.3 * size
        note = axes.annotate(
            visible(label),
            point,
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="center",
            size=size,
            color=colour,
            weight=letter_weight(label) if len(label) == 1 else "normal",
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 4, "shrinkB": 2} if far else None,
            annotation_clip=False,
        )
        note.set_in_layout(False)
