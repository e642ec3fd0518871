"""What a training run recorded, as curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import VOWEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_curve(losses: Sequence[float], baseline: float) -> "Figure":
    """The loss of each step and its running mean, in nats, under the line of a model that knows nothing.

    losses : one number a step. baseline : the loss of guessing uniformly, log(vocab_size).
    """
    from matplotlib.figure import Figure

    losses = np.asarray(losses, dtype=np.float64)
    width = min(len(losses), max(1, len(losses) // 40))
    sums = np.cumsum(np.concatenate(([0.0], losses)))
    running_mean = (sums[width:] - sums[:-width]) / width
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color="0.75", linewidth=0.6, label="each batch")
    axes.plot(steps[width - 1 :], running_mean, color=VOWEL, linewidth=1.8, label=f"mean of the last {width}")
    axes.axhline(baseline, color="black", linestyle="--", linewidth=1, label=f"knows nothing: ln V = {baseline:.3f}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    axes.set_title("Training: how surprised the model is by the next letter")
    axes.set_xlim(0, len(losses))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
