"""The true gradients, as the forward's own numbers give them: what the backward is judged by.

By the complex step where the forward takes complex numbers and keeps them, else by finite differences (both in numerical.py).
Every element of an input costs a forward pass or more, so of a large input a random sample is measured, and the derivative
along one random direction, in which every element takes part.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .numerical import Differences, H, complex_step, finite_differences, moved, one_hot
from .rounding import DIFFERENCES_FACTOR, EPS, EPS_FACTOR, Trial, forward_noise, nudged, rounding_bound

DISAGREES = "the complex step disagrees: np.abs, np.var or .real drops the imaginary part, or there is a kink"
MOST_ELEMENTS = {"the complex step": 2000, "finite differences": 400}  # of one input; beyond it a random sample is graded


class Measured(NamedTuple):
    """The true gradient of one input, at all or a sample of its elements, then along one direction too."""

    elements: Array  # (n,) flat indices
    values: Array  # (n,)
    errors: Array  # (n,) estimates by the finite differences; 0 for the complex step
    kinks: Array  # (n,) booleans: left and right derivative differ
    noise: float  # how far the values move when every input moves by an eps or two
    direction: Array | None  # the input's shape
    slope: float  # along the direction
    slope_error: float


class Truth(NamedTuple):
    method: str  # "the complex step" or "finite differences"
    reason: str  # why not the complex step
    of: list[Measured]  # one for each floating input


def measured(trial: Trial, rng: np.random.Generator) -> Truth:
    """The gradient of every floating input of the trial."""
    pair, dy = trial.pair, trial.dy
    short = trial.eps > EPS  # its complex numbers would be short too
    y_error = forward_noise(pair, trial.y, trial.eps, rng) + (trial.eps * np.abs(trial.y) if short else 0.0)
    reason = "the forward computes in float32" if short else complex_problem(trial, y_error, rng)

    def by_complex_step(values: list, place: int, directions: Iterable[Array]) -> Differences:
        exact = complex_step(pair.y, values, place, directions, dy)
        return Differences(exact, np.zeros(len(exact)), np.zeros(len(exact), bool))

    def by_differences(values: list, place: int, directions: Iterable[Array]) -> Differences:
        return finite_differences(pair.y, values, place, directions, dy, y_error)

    places = pair.inputs.places
    if not reason:
        exact = [measured_at(trial, place, "the complex step", by_complex_step, rng) for place in places]
        if not any(refuted(trial, i, true, by_differences) for i, true in enumerate(exact)):
            return Truth("the complex step", "", exact)
        reason = DISAGREES
    of = [measured_at(trial, place, "finite differences", by_differences, rng) for place in places]
    return Truth("finite differences", reason, of)


def measured_at(trial: Trial, place: int, method: str, derivatives: Callable, rng: np.random.Generator) -> Measured:
    """The gradient of the input at that place. derivatives(values, place, directions) -> the loss's derivative along each."""
    inputs, most = trial.pair.inputs, MOST_ELEMENTS[method]
    x = inputs.values[place]
    elements = np.arange(x.size) if x.size <= most else np.sort(rng.choice(x.size, most, replace=False))
    values, errors, kinks = derivatives(inputs.values, place, one_hot(x.shape, elements))
    noise = 0.0
    if method == "the complex step":  # finite differences have it in their error estimate
        some = rng.permutation(len(elements))[:32]
        near = derivatives(nudged(inputs.copies(), rng), place, one_hot(x.shape, elements[some])).values
        noise = float(np.abs(near - values[some]).max())
    direction, slope, slope_error = None, 0.0, 0.0
    if len(elements) < x.size:
        direction = rng.standard_normal(x.shape)
        slope, slope_error, _ = (float(column[0]) for column in derivatives(inputs.values, place, [direction]))
    return Measured(elements, values, errors, kinks, noise, direction, slope, slope_error)


def complex_problem(trial: Trial, y_error: Array, rng: np.random.Generator) -> str:
    """Why the complex step cannot judge this forward, or "" where it can.

    A forward that runs may still lose an imaginary part on the way (np.abs, np.var, .real). So the derivative along a random
    direction of each input has to agree with finite differences within their error.
    """
    pair, y, dy = trial.pair, trial.y, trial.dy
    values = pair.inputs.values
    for i, place in enumerate(pair.inputs.places):
        x = values[place]
        direction = rng.standard_normal(x.shape)
        try:
            there = pair.y(*moved(values, place, 1j * H * direction))
            along = float(complex_step(pair.y, values, place, [direction], dy)[0])
        except Exception as error:
            return f"the forward does not take complex numbers ({type(error.__cause__ or error).__name__})"
        if there.shape != y.shape or not np.abs(there.real - y).max() <= math.sqrt(EPS) * max(np.abs(y).max(), np.abs(x).max()):
            return "the forward gives another y on complex numbers"
        differences = finite_differences(pair.y, values, place, [direction], dy, y_error)
        natural = trial.natural_size(i, abs(along)) * np.abs(direction).sum()
        bound = DIFFERENCES_FACTOR * differences.errors[0] + EPS_FACTOR * EPS * natural
        lost = along == 0 and differences.values[0] != 0  # whole: y moves, by however little beside its own rounding
        if lost or not abs(along - differences.values[0]) <= bound or not bound <= 1e-3 * natural:
            return DISAGREES
    return ""


def refuted(trial: Trial, i: int, true: Measured, by_differences: Callable) -> bool:
    """Whether finite differences contradict what the complex step says of the i-th gradient, beside a backward that does too.

    Where y is far larger than what moves in it, differences along a random direction are too coarse to show what is lost. Most
    shows along the direction in which the backward and the complex step are furthest apart, or at the furthest element alone.
    """
    inputs, claimed = trial.pair.inputs, trial.gradients[i].flat[true.elements]
    apart = np.where(np.isfinite(claimed), claimed - true.values, 0.0)  # (n,)
    furthest = int(np.abs(apart).argmax())
    natural = trial.natural_size(i, float(np.abs(true.values).max()))
    bound = rounding_bound(EPS, trial.noise[i] + true.noise, natural)
    if not abs(apart[furthest]) > bound:
        return False
    whole = np.zeros(inputs.floats[i].shape)
    whole.flat[true.elements] = apart / abs(apart[furthest])
    directions = [whole, *one_hot(whole.shape, true.elements[[furthest]])]
    differences = by_differences(inputs.values, inputs.places[i], directions)
    along = np.array([(true.values * direction.flat[true.elements]).sum() for direction in directions])
    allowed = DIFFERENCES_FACTOR * differences.errors + bound * np.array([np.abs(direction).sum() for direction in directions])
    return bool((np.abs(along - differences.values) > allowed).any())
