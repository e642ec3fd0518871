"""Where two runs part: the first recorded step, and in it the first tensor in the order of computation, at which their numbers
differ. Used for NumPy beside torch, for two seeds, for a model with one thing changed; and, with two traces of one model, for a
mistake in the code.

Within a step the order is that of training: the weights, the values of the forward in their order, the gradients of the
backward in its order, the weights' gradients on the probe, the batch's gradient, the update.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .recording import Recording


class Parting(NamedTuple):
    """`of` says what of the tensor: "parameter", "value", "gradient", "batch gradient" or "update". difference: see `apart`."""

    step: int
    tensor: str
    of: str
    difference: float


class Wrong(NamedTuple):
    """The first tensor that a mistake changes. `of`: "value" and "gradient" are a traced tensor's, "parameter" is the gradient
    of a weight."""

    tensor: str
    of: str
    difference: float


class Table(NamedTuple):
    """The differences of every tensor at every step that two recordings share."""

    steps: list[int]
    tensors: list[str]  # the weights, then the traced values
    largest: Array  # (S, K), see `apart`


Compared = tuple[str, str, Array, Array]  # (tensor, of, right, wrong)


def apart(a: Array, b: Array) -> float:
    """The largest |a - b|, in the largest |a|: 0 where they are equal, nan and inf (masked scores) at the same places too; inf
    where one of them has a nan or an inf where the other does not, or a is 0 and b is not."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
        return float("inf")
    difference = np.abs(a[finite] - b[finite]).max(initial=0.0)
    size = np.abs(a[finite]).max(initial=0.0)
    return float(difference / size) if size else float("inf" if difference else 0.0)


def first_difference(pairs: Iterable[Compared], tolerance: float = 0.0) -> tuple[str, str, float] | None:
    """(tensor, of, difference) of the first pair that is further apart than the tolerance; None where none is."""
    for tensor, of, a, b in pairs:
        difference = apart(a, b)
        if difference > tolerance:
            return tensor, of, difference
    return None


def first_parting(a: Recording, b: Recording, tolerance: float = 0.0) -> Parting | None:
    """Where the two recordings part first; None where they do not, at the steps and in the tensors that both have.

    tolerance : how far apart two tensors may be, see `apart`; 0 asks for the same numbers.
    The configs, and the kinds of model, may differ: what both have is compared. Raises ValueError where the recordings cannot
    be compared: another vocabulary, another probe, no step in common.
    """
    for step in common_steps(a, b):
        found = first_difference(in_order(a, b, step), tolerance)
        if found is not None:
            return Parting(step, *found)
    return None


def in_order(a: Recording, b: Recording, step: int) -> Iterator[Compared]:
    """All that both have of a step, in the order of computation."""
    i, j = (int(np.searchsorted(recording.steps, step)) for recording in (a, b))
    weights, traced = shared(a.weights, b.weights), shared(a.values, b.values)
    trained = [name for name in weights if name in a.trained and name in b.trained]
    for of, group, names in (
        ("parameter", "weights", weights),
        ("value", "values", traced),
        ("gradient", "gradients", traced[::-1]),
        ("gradient", "probe_gradients", trained[::-1]),
        ("batch gradient", "batch_gradients", trained),
        ("update", "updates", trained),
    ):
        ours, theirs = getattr(a, group), getattr(b, group)
        for name in names:
            x, y = ours[name][i], theirs[name][j]
            at_the_end = of in ("batch gradient", "update") and (np.isnan(x).all() or np.isnan(y).all())
            if not at_the_end:  # where one of the runs ends it has no update any more
                yield name, of, x, y


def shared(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> list[str]:
    """The names that stand for arrays of one shape in both, in our order."""
    return [name for name in ours if name in theirs and ours[name].shape[1:] == theirs[name].shape[1:]]


def common_steps(a: Recording, b: Recording) -> list[int]:
    """The steps that both recorded. Raises what first_parting raises."""
    if a.tokens != b.tokens:
        raise ValueError(f"runs with two vocabularies cannot be compared: {a.name} has {len(a.tokens)} tokens, {b.name} others")
    if not (np.array_equal(a.ids, b.ids) and np.array_equal(a.targets, b.targets)):
        raise ValueError(f"runs with two probes cannot be compared: {a.name} has {a.ids.tolist()}, {b.name} {b.ids.tolist()}")
    steps = sorted(set(a.steps.tolist()) & set(b.steps.tolist()))
    if not steps:
        raise ValueError(f"{a.name} and {b.name} have no recorded step in common")
    return steps


def differences(a: Recording, b: Recording) -> Table:
    """How far apart every weight and every traced value is, at every step that both recorded.

    Raises what first_parting raises.
    """
    steps, tensors = common_steps(a, b), [*shared(a.weights, b.weights), *shared(a.values, b.values)]
    places = [np.searchsorted(recording.steps, steps) for recording in (a, b)]
    ours, theirs = a.weights | a.values, b.weights | b.values
    rows = [[apart(ours[name][i], theirs[name][j]) for name in tensors] for i, j in zip(*places, strict=True)]
    return Table(steps, tensors, np.array(rows))


def first_wrong(
    trace_right: Mapping[str, tuple[Array, Array]],
    trace_wrong: Mapping[str, tuple[Array, Array]],
    gradients_right: Mapping[str, Array],
    gradients_wrong: Mapping[str, Array],
    tolerance: float = 0.0,
) -> Wrong | None:
    """The first tensor that differs between two runs of one model on one text, in the order of computation: values, gradients
    on the way back, gradients of the weights. None where none does.

    trace_... : as `model.trace` with targets gives them, as NumPy arrays. gradients_... : as `model.gradients()`.
    tolerance : as for first_parting; where the two sum in one order, 0 is right.
    """
    names, weights = list(trace_right), list(gradients_right)
    pairs = [(name, "value", trace_right[name][0], trace_wrong[name][0]) for name in names]
    pairs += [(name, "gradient", trace_right[name][1], trace_wrong[name][1]) for name in reversed(names)]
    pairs += [(name, "parameter", gradients_right[name], gradients_wrong[name]) for name in reversed(weights)]
    found = first_difference(pairs, tolerance)
    return None if found is None else Wrong(*found)
