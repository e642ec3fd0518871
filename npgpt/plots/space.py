"""Vectors as points in three dimensions, each written as its own letter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from .style import letter_style, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def three_dimensions(vectors: Array) -> tuple[Array, float]:
    """vectors (..., C) in three dimensions, and the share of their variance that is left.

    For C = 3 the vectors themselves; for fewer, padded with zeros; for more, their first three principal components, fitted on
    all the vectors given, so that several sets passed together share one basis.
    """
    C = vectors.shape[-1]
    if C <= 3:
        return np.concatenate((vectors, np.zeros((*vectors.shape[:-1], 3 - C))), axis=-1), 1.0
    rows = vectors.reshape(-1, C)
    centred = rows - rows.mean(axis=0)
    _, singular_values, directions = np.linalg.svd(centred, full_matrices=False)
    variance = singular_values**2
    share = float(variance[:3].sum() / variance.sum()) if variance.sum() else 1.0
    return (centred @ directions[:3].T).reshape(*vectors.shape[:-1], 3), share


def embedding_space(before: Array, after: Array, labels: Sequence[str]) -> "Figure":
    """The token vectors before and after training, in 3-D, each point written as its own letter.

    before, after : (V, C). labels : V strings; a space is drawn as ␣. Each panel's axes fit its own points (untrained
    vectors lie close together); its title gives the size of the box.
    """
    from matplotlib.figure import Figure

    points, share = three_dimensions(np.stack((before, after)).astype(np.float64))
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    for place, (title, panel) in enumerate(zip(("before training", "after training"), points, strict=True), start=1):
        axes = figure.add_subplot(1, 2, place, projection="3d")
        low, high = panel.min(axis=0), panel.max(axis=0)  # (3,)
        margin = 0.05 * (high - low) + 1e-6
        for (x, y, z), label in zip(panel, labels, strict=True):
            axes.plot([x, x], [y, y], [low[2] - margin[2], z], color="0.8", linewidth=0.6)  # down to the floor: shows the depth
            axes.text(x, y, z, visible(label), size=11, ha="center", va="center", **letter_style(label))
        axes.set(**{f"{axis}lim": (low[i] - margin[i], high[i] + margin[i]) for i, axis in enumerate("xyz")})
        axes.set_title(f"{title}: {np.linalg.norm(high - low):.2g} from corner to corner", size=11)
        axes.tick_params(labelsize=7)
    basis = "" if before.shape[-1] <= 3 else f"; first 3 principal components, {share:.0%} of the variance"
    figure.suptitle(f"The dictionary space: vowels bold and red, consonants blue{basis}")
    return figure
