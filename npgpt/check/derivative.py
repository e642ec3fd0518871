"""The backward's gradients beside the true ones, element by element: the first wrong one, and what all of it looks like."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .diagnose import Mistake
from .recognise import place_of, recognised
from .rounding import DIFFERENCES_FACTOR, EPS, Trial, rounding_bound
from .truth import Measured, Truth
from .verdict import Check, Worst
from .wording import LIKELY, shown, subscript


class Comparison(NamedTuple):
    """One gradient beside the true one."""

    name: str  # of the gradient
    whole: Array  # the backward's, of the input's shape
    graded: Array  # (n,) the same at the measured elements
    true: Measured
    natural: float  # the size that its elements have, or should have
    bound: float  # how far apart rounding may take them
    clear: Array  # (n,) booleans: measured well enough to judge
    wrong: Array  # (n,) booleans; clear ones only
    all_but_zero: bool  # so that rounding alone could make it up
    vague: bool  # some element may be off by so much that fewer digits were judged than three (two where y is in float32)


def derivative_check(trial: Trial, truth: Truth) -> tuple[Check, Mistake | None]:
    """Every measured element of every gradient, and the sampled ones' random direction."""
    comparisons = [compared(trial, i, true) for i, true in enumerate(truth.of)]
    problems = [problem_of(comparison, truth.method) for comparison in comparisons]
    notes = [note for each, problem in zip(comparisons, problems, strict=True) for note in notes_on(each, problem)]
    how = f"{truth.method}{f', since {truth.reason}' if truth.reason else ''}"
    furthest = (worst_of(comparison) for comparison in comparisons if comparison.clear.any())
    worst = max(furthest, key=lambda worst: worst.error, default=Worst())
    wrong = [i for i, problem in enumerate(problems) if problem]
    if not wrong:
        counts = ", ".join(f"{each.name} {len(each.graded)}" for each in comparisons)
        return Check("derivative", True, "\n".join([f"every element is right ({counts}), by {how}", *notes]), worst), None

    first, *others = wrong
    mistake, hint = likely_mistake_in(trial, truth, comparisons, wrong)
    lines = [problems[first] + (f"{LIKELY}{hint}" if hint else "")]
    if others:
        lines.append(f"Also wrong: {', '.join(comparisons[i].name for i in others)}.")
    if len(wrong) < len(problems):
        right = [each.name for each, problem in zip(comparisons, problems, strict=True) if not problem]
        lines.append(f"Right: {', '.join(right)}.")
    return Check("derivative", False, "\n".join([*lines, *notes, f"(judged by {how})"]), worst), mistake


def likely_mistake_in(
    trial: Trial, truth: Truth, comparisons: list[Comparison], wrong: list[int]
) -> tuple[Mistake | None, str]:
    """What the wrong gradients look like: the first one that is recognised. Where none is, the place at least."""
    measured: dict = {}
    places = []
    for i in wrong:
        each = comparisons[i]
        if not each.wrong.any():
            continue
        right = np.where(each.clear, each.true.values, each.graded)
        mistake, hint = recognised(trial, truth, i, each.graded, right, each.clear, measured)
        if hint:
            return mistake, hint if i == wrong[0] else f"(in {each.name}) {hint}"
        places.append(place_of(trial.pair.inputs, i, each.graded, right, len(comparisons) > len(wrong) == 1))
    unknown = "none that is known (sign, factor, transpose, missing path, shift)"
    place = next((place for place in places if place), "compare code and derivation term by term.")
    return None, f"{unknown}; {place}" if places else ""


def compared(trial: Trial, i: int, true: Measured) -> Comparison:
    """The i-th gradient beside the true one."""
    whole = trial.gradients[i]
    graded = whole.flat[true.elements].astype(np.float64)  # (n,)
    clear = ~true.kinks & np.isfinite(true.errors)
    largest = float(np.abs(true.values[clear]).max(initial=0.0))
    natural = trial.natural_size(i, largest)
    digits = 1e-3 if trial.eps == EPS else 1e-2
    clear &= DIFFERENCES_FACTOR * true.errors <= digits * natural
    bound = rounding_bound(trial.eps_of(whole), trial.noise[i] + true.noise, natural)
    allowed = bound + DIFFERENCES_FACTOR * true.errors  # (n,)
    wrong = clear & ~(np.abs(graded - true.values) <= allowed)
    vague = bool((allowed[clear] > digits * largest).any())
    return Comparison(trial.pair.inputs.wanted[i], whole, graded, true, natural, bound, clear, wrong, largest <= bound, vague)


def worst_of(comparison: Comparison) -> Worst:
    """The element that is furthest off, of those that could be measured."""
    off = np.abs(comparison.graded - comparison.true.values) / (comparison.natural or 1.0)
    off = np.where(comparison.clear, np.nan_to_num(off, nan=np.inf), 0.0)  # (n,)
    place = comparison.name + subscript(comparison.true.elements[int(off.argmax())], comparison.whole.shape)
    return Worst(place, float(off.max()))


def problem_of(comparison: Comparison, method: str) -> str:
    """What is wrong with this gradient; "" where nothing is."""
    if not comparison.clear.any():
        return f"{comparison.name} cannot be measured: the forward is not smooth at these inputs; try others"
    if comparison.wrong.any():
        return wrong_elements(comparison, method)
    return wrong_along(comparison, method)


def wrong_elements(comparison: Comparison, method: str) -> str:
    """The first wrong element with both values, and how many there are."""
    name, wrong, true = comparison.name, comparison.wrong, comparison.true
    first = int(wrong.argmax())
    where = name + subscript(true.elements[first], comparison.whole.shape)
    sampled = " sampled" if len(wrong) < comparison.whole.size else ""
    count = f"{wrong.sum()} of {len(wrong)}{sampled} elements of {name} are wrong"
    return f"{where} is {shown(comparison.graded[first], true.values[first])} by {method} ({count})"


def wrong_along(comparison: Comparison, method: str) -> str:
    """Of a gradient that is right in a sample: what it is along the random direction, where that is wrong."""
    name, true = comparison.name, comparison.true
    if true.direction is None:
        return ""
    along = float((comparison.whole * true.direction).sum())
    if abs(along - true.slope) <= comparison.bound * np.abs(true.direction).sum() + DIFFERENCES_FACTOR * true.slope_error:
        return ""
    text = f"{name} is right in a sample of {len(true.elements)} elements, but along a random direction it"
    return f"{text} is {shown(along, true.slope)} by {method}"


def notes_on(comparison: Comparison, problem: str) -> list[str]:
    """What a reader should know about how far the check reaches."""
    name = comparison.name
    notes = []
    size, graded, left_out = comparison.whole.size, len(comparison.graded), int((~comparison.clear).sum())
    if graded < size:
        notes.append(f"Note: {name} has {size} elements; a sample of {graded} and a random direction were graded.")
    if 0 < left_out < graded:
        first = name + subscript(comparison.true.elements[int((~comparison.clear).argmax())], comparison.whole.shape)
        why = "lie on a kink" if comparison.true.kinks.any() else "are too imprecise to judge"
        notes.append(f"Note: {left_out} elements of {name} {why} and were left out, the first is {first}.")
    if comparison.all_but_zero and not problem:
        notes.append(f"Note: {name} is all but zero at these inputs, so this says little about it; try others.")
    elif comparison.vague and not problem:
        why = "is so small beside y that rounding hides all but its first digits"
        notes.append(f"Note: {name} {why}, so this says little about it; try other inputs.")
    return notes
