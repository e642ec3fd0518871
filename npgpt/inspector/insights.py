"""What is off in a run, in words: what it is, at which step and tensor, why, and what helps.

Every threshold says in its comment where it comes from. A healthy run is far from all of them: a test trains the article's
model from several seeds and expects silence, and makes a run for each insight.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array
from numpy.lib.stride_tricks import sliding_window_view

from .labels import translator
from .recording import Recording, rms

Say = Callable[..., str]

# AdamW divides by sqrt(v) + 1e-8. While a gradient is far above that, the update has the size of the learning rate, whatever
# the gradient's; below it, the update shrinks with the gradient.
VANISHES = 1e-8

# Softmax and cross-entropy give back (p - onehot) / N for each of N positions, together of length sqrt(2 / N) at most. A
# gradient of length 100 was made at least 70 times as long on its way, and clipping to 1 leaves a hundredth of it.
EXPLODES = 100.0

# An update should be about a thousandth of its weights (CS231n, notes on "Learning", ratio of weights and updates). A hundred
# times more, and ten updates write a tensor anew; a hundred times less, and it takes 100,000 to change by its own size.
TOO_LARGE, TOO_SMALL = 1e-1, 1e-5

# Weights start small and grow to their size in the first updates, which are large beside them then. A ratio is judged past
# the first hundred updates and the first tenth of the run, and as the median of three recorded steps: one may be an exception.
SETTLED, TOGETHER = 100, 3

# The loss of one batch is noise. It is judged by the means of tenths of the run: a rise counts from 0.1 nats (every letter a
# tenth less likely) and four standard errors on; and a loss within 1 % of ln V is no better than guessing.
TENTHS, RISE, ERRORS, GUESSING = 10, 0.1, 4.0, 0.99


class Insight(NamedTuple):
    """At `step` this was first so with `tensor`: what, why, and what helps, in words."""

    step: int
    tensor: str
    what: str
    cause: str
    remedy: str


def insights(recording: Recording, say: Say | None = None) -> list[Insight]:
    """What is off, by step; at most one of a kind for each tensor. say : of labels.translator; None speaks English."""
    say = translator() if say is None else say
    kinds = (not_finite, wrong_gradient, vanishing, exploding, large_or_small_updates, rows_at_rest, rising_loss, guessing)
    return sorted((insight for kind in kinds for insight in kind(recording, say)), key=lambda insight: insight.step)


def asked(say: Say) -> str:
    """What `insights` asks, in words with the thresholds; for a reader who is told that nothing is off."""
    return say(
        "Asked is: is a number not finite; do fewer than half of the digits agree; is a gradient's root mean square below "
        "{vanishes:g} or its length above {explodes:g}; is an update, biases aside and past the first {settled} steps and the "
        "first tenth of the run, less than {small:g} or more than {large:g} of its weights; does a row of token_embedding "
        "stand still; does the loss rise, or stay where guessing is? The first steps are left out since AdamW moves every "
        "weight by about the learning rate, however small the weight is: beside a bias that starts at 0 such an update is "
        "infinitely large.",
        vanishes=VANISHES,
        explodes=EXPLODES,
        settled=SETTLED,
        small=TOO_SMALL,
        large=TOO_LARGE,
    )


def first(recording: Recording, condition: Array) -> int | None:
    """The place of the first recorded step at which the condition (S,) holds; None where it never does."""
    places = np.flatnonzero(condition)
    return int(places[0]) if len(places) else None


def not_finite(recording: Recording, say: Say) -> Iterator[Insight]:
    """The first tensor with a nan or an inf, at the first step; all that is computed from it has them too."""
    trained = recording.trained
    stages = [recording.weights, recording.values, recording.gradients, {n: recording.probe_gradients[n] for n in trained}]
    for place, step in enumerate(recording.steps.tolist()):
        for stage in stages:
            names = list(stage) if stage is not recording.gradients else list(stage)[::-1]
            for name in names:
                numbers = stage[name][place]
                # A masked score is -inf and is meant to be.
                bad = np.isnan(numbers) | (numbers == np.inf) if stage is recording.values else ~np.isfinite(numbers)
                if bad.any():
                    yield Insight(
                        step,
                        name,
                        say("{tensor} holds {count:,} numbers that are nan or infinite", tensor=name, count=int(bad.sum())),
                        say(
                            "numbers have grown past what {dtype} can hold, or 0 was divided by 0; all that is computed from "
                            "them is nan as well",
                            dtype=recording.dtype,
                        ),
                        say("lower the learning rate; the step before shows which numbers had grown"),
                    )
                    return


def wrong_gradient(recording: Recording, say: Say) -> Iterator[Insight]:
    """A backward that is not the derivative of its forward. Rounding leaves most digits, a mistake one or two: the border is
    half of the dtype's digits."""
    digits = -math.log10(np.finfo(recording.dtype).eps)
    place = first(recording, recording.digits < digits / 2)
    if place is not None:
        yield Insight(
            int(recording.steps[place]),
            "logits",
            say(
                "the gradient agrees with the complex step to {digits:.1f} digits; {dtype} has {all:.0f}",
                digits=recording.digits[place],
                dtype=recording.dtype,
                all=digits,
            ),
            say("the backward is not the derivative of the forward: no learning rate mends that"),
            say("compare the backward with its derivation; npgpt.check_backward names the gradient that is wrong"),
        )


def vanishing(recording: Recording, say: Say) -> Iterator[Insight]:
    for name in recording.trained:
        sizes = rms(recording.batch_gradients[name])  # (S,), nan after the last update
        place = first(recording, sizes < VANISHES)
        if place is not None:
            yield Insight(
                int(recording.steps[place]),
                name,
                say(
                    "the gradient of {tensor} has vanished: its root mean square is {size:.1e}", tensor=name, size=sizes[place]
                ),
                say(
                    "on the way back something multiplies it by almost 0: a saturated softmax or gate, a scale of 0. Below "
                    "1e-8, which AdamW adds where it divides, the update shrinks with the gradient, and the tensor stands still"
                ),
                say(
                    "follow the gradient back to the box where it goes out; smaller initial weights, or a norm before it, help"
                ),
            )


def exploding(recording: Recording, say: Say) -> Iterator[Insight]:
    for name in recording.trained:
        gradients = recording.probe_gradients[name]
        lengths = rms(gradients) * math.sqrt(gradients[0].size)  # (S,)
        place = first(recording, np.isfinite(lengths) & (lengths > EXPLODES))
        if place is not None:
            yield Insight(
                int(recording.steps[place]),
                name,
                say("the gradient of {tensor} has exploded: its length is {length:.3g}", tensor=name, length=lengths[place]),
                say(
                    "softmax and cross-entropy give back a gradient no longer than 1.41; large weights or scales on its way "
                    "have multiplied it by {factor:,.0f} at least",
                    factor=lengths[place] / math.sqrt(2),
                ),
                say("start from smaller weights, lower the learning rate, and clip the gradient (max_norm)"),
            )


def large_or_small_updates(recording: Recording, say: Say) -> Iterator[Insight]:
    """Of everything but biases, which start at 0: a ratio to almost nothing says nothing."""
    usable = settled(recording)
    for name in recording.trained:
        if "bias" in name.rsplit(".", 1)[-1]:
            continue
        with np.errstate(all="ignore"):
            ratios = rms(recording.updates[name]) / rms(recording.weights[name])  # (S,)
        places = np.flatnonzero(usable & np.isfinite(ratios))
        if len(places) < TOGETHER:
            continue
        medians = np.median(sliding_window_view(ratios[places], TOGETHER), axis=1)
        steps = recording.steps[places][TOGETHER // 2 :]  # each median is that of the step in the middle
        if (medians > TOO_LARGE).any():
            place = int(np.argmax(medians > TOO_LARGE))
            yield Insight(
                int(steps[place]),
                name,
                say("the updates of {tensor} are large: {ratio:.2g} of its weights", tensor=name, ratio=medians[place]),
                say("a rule of thumb is 0.001; at 0.1 ten updates write the tensor anew, and what it had learned is lost"),
                say("lower the learning rate, or let it fall in the course of the run"),
            )
        at_rest = (medians < TOO_SMALL) & (medians > 0)  # without a gradient there is no update: that has a word of its own
        if at_rest.any():
            place = int(np.argmax(at_rest))
            yield Insight(
                int(steps[place]),
                name,
                say("the updates of {tensor} are small: {ratio:.1e} of its weights", tensor=name, ratio=medians[place]),
                say("a rule of thumb is 0.001; at 0.00001 it takes 100,000 updates to change by its own size"),
                say("raise the learning rate"),
            )


def settled(recording: Recording) -> Array:
    """At which of the recorded steps (S,) a ratio of update and weight can be judged: past the beginning, and where the
    learning rate is at least half of its highest, for a schedule starts and ends with updates that are meant to be small."""
    steps = recording.steps - recording.steps[0]
    late = (steps >= SETTLED) & (steps >= steps[-1] / 10)
    if np.isnan(recording.rate).all():
        return late
    return late & ~(recording.rate < np.nanmax(recording.rate) / 2)


def rows_at_rest(recording: Recording, say: Say) -> Iterator[Insight]:
    """Rows of the dictionary that stand where they stood, though their tokens occur in the training text."""
    name = "token_embedding.weight"
    table, steps = recording.weights[name], recording.steps  # (S, V, C)
    if recording.counts is None or steps[-1] - steps[0] < SETTLED:
        return
    at_rest = (table == table[0]).all(axis=(0, 2)) & (recording.counts > 0)  # (V,)
    if at_rest.any():
        tokens = ", ".join(repr(recording.tokens[token]) for token in np.flatnonzero(at_rest))
        yield Insight(
            int(steps[-1]),
            name,
            say(
                "in {count:,} updates these rows have not moved, though the text has their tokens: {tokens}",
                count=int(steps[-1] - steps[0]),
                tokens=tokens,
            ),
            say("no batch has held them; or their gradient gets lost, which is the sum over all places where the token stands"),
            say("draw the batches from all of the text, and train longer; else look at the embedding's backward"),
        )


def tenths_of(losses: Array) -> tuple[Array, Array, Array] | None:
    """Of each tenth of the losses (n,): the mean, its standard error, and the step at its end; None where they are too few."""
    known = np.flatnonzero(np.isfinite(losses))
    if len(known) < 5 * TENTHS:
        return None
    parts = np.array_split(known, TENTHS)
    means = np.array([losses[part].mean() for part in parts])
    errors = np.array([losses[part].std() / math.sqrt(len(part)) for part in parts])
    return means, errors, np.array([part[-1] + 1 for part in parts])


def rising_loss(recording: Recording, say: Say) -> Iterator[Insight]:
    tenths = tenths_of(recording.losses)
    if tenths is None:
        return
    means, errors, ends = tenths
    lowest = np.minimum.accumulate(means)
    doubt = np.hypot(errors, errors[[int(means[: i + 1].argmin()) for i in range(len(means))]])
    place = first(recording, means - lowest > RISE + ERRORS * doubt)
    if place is not None:
        yield Insight(
            int(ends[place]),
            "logits",
            say(
                "the loss rises: from {low:.2f} nats, its lowest mean over a tenth of the run, to {high:.2f}",
                low=lowest[place],
                high=means[place],
            ),
            say("updates that jump over what they aim at; or, where the digits of agreement are few, a wrong gradient"),
            say("lower the learning rate, or let it fall in the course of the run"),
        )


def guessing(recording: Recording, say: Say) -> Iterator[Insight]:
    tenths = tenths_of(recording.losses)
    if tenths is None:
        return
    means, _, ends = tenths
    floor = math.log(recording.config.vocab_size)
    poor = means > GUESSING * floor
    if poor[-1]:
        since = len(poor) - int(np.argmin(poor[::-1])) if not poor.all() else 0
        yield Insight(
            int(ends[since]),
            "logits",
            say("the loss is {loss:.2f} nats; guessing costs ln V = {floor:.2f}", loss=means[-1], floor=floor),
            say("the model has learned nothing that guessing does not know: the learning rate is too low, or far too high"),
            say("try learning rates between 0.0001 and 0.01, and see that no gradient vanishes"),
        )
