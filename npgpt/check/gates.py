"""A sigmoid or a tanh somewhere inside, whose derivative is left out, counts twice, or is taken at its output.

Under a cotangent on one row of y, an element that enters z linearly (a bias, a weight) has a gradient of one term, with f'(z)
in it, and where that alone is missing, wrong / right is 1 / f'(z). As the element moves, the ratio moves as only this can:

    1 / sigmoid'(z) = 2 + 2 cosh z        1 / tanh'(z) = (1 + cosh 2z) / 2        cosh 2a = 2 cosh^2 a - 1

so that neither z nor what the element is multiplied with need be known.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray as Array

from .columns import Columns
from .diagnose import Mistake
from .evidence import AT_THE_OUTPUT, Evidence, Row

FLAT = 20.0  # where a gate is so flat, a sigmoid's derivative looks like a quarter of a tanh's


def gates_of_the_second_step(evidence: Evidence) -> Iterator[Mistake]:
    """A forget gate meets a cell of zeros in the first step: its gradient starts with the second."""
    for axis in range(evidence.dy.ndim - 1 if evidence.y is not None else 0):
        place = tuple(int(a == axis) for a in range(evidence.dy.ndim - 1))
        if evidence.dy.shape[axis] > 1:
            row = Row(evidence, int(np.ravel_multi_index(place, evidence.dy.shape[:-1])))
            if row.is_wrong(evidence.i):
                yield from gates(evidence, row, all_of_them=False)


def gates(evidence: Evidence, row: Row, all_of_them: bool) -> Iterator[Mistake]:
    """all_of_them: every wrong element has to say it. After the first step, one gate's mistake is in all the others too."""
    true, got = row.true(evidence.i), row.got(evidence.i)
    judged = np.abs(true) > 1e-6 * max(np.abs(true).max(), np.abs(got).max())
    places = np.flatnonzero(judged & (np.abs(got - true) > 1e-6 * np.abs(true)))
    ratios = got[places] / true[places]
    places = places[(ratios > 0) & (ratios < FLAT)]
    nearest = np.argsort(np.abs(np.log(got[places] / true[places])))[: 3 if all_of_them else 8]
    found = [gate_at(evidence, row, int(place)) for place in places[nearest]]
    named = [each for each in found if each is not None]
    if len(set(named)) == 1 and len(named) >= (len(found) if all_of_them else 2):
        yield named[0]


def gate_at(evidence: Evidence, row: Row, k: int) -> Mistake | None:
    """What the k-th measured element's ratio says as that element moves; None where it says nothing, or two things."""
    size = 1.0
    for _ in range(3):
        ratio = {step: wrong_over_right(evidence, row, k, size * step) for step in (-2, -1, 0, 1, 2)}
        fitting = list(of_gates(ratio))
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
        curved = abs(ratio[1] + ratio[-1] - 2 * ratio[0]) / abs(ratio[0])
        if curved <= 0.2:  # a weight moves z by what it is multiplied with: hardly at all,
            size *= 8
        elif curved < 6:
            return None
        else:  # or so far that all of them look alike
            size *= 0.25
    return None


def of_gates(ratio: dict[int, float]) -> Iterator[Mistake]:
    """The mistakes that give these ratios at -2, -1, 0, 1 and 2 steps."""
    if not all(ratio.values()):  # no gate's derivative is ever 0
        return
    for name, derivative, of_cosh in (("sigmoid", "s (1 - s)", lambda r: r - 2), ("tanh", "1 - t^2", lambda r: 2 * r - 1)):
        for kind, power, what in (("derivative missing", 1, "is missing"), ("double count", -1, "counts twice")):
            q = {step: of_cosh(r**power) for step, r in ratio.items()}
            once, twice = (q[1] + q[-1]) / (2 * q[0]), (q[2] + q[-2]) / (2 * q[0])
            if 1.1 < once < 4 and abs(twice - (2 * once**2 - 1)) <= 1e-4 * (once - 1) ** 2:  # beyond any parabola
                yield Mistake(kind, f"the derivative of a {name}, {derivative}, {what}")
        if taken_at_its_output(name, ratio):
            how = f"the derivative of a {name} is taken at its output, not at its input: f'(f(z)), not f'(z)"
            yield Mistake(AT_THE_OUTPUT.kind, how)


def wrong_over_right(evidence: Evidence, row: Row, k: int, step: float) -> float:
    """The backward's gradient over the true one, in that element, where that element is larger by step."""
    place, element = evidence.place, int(evidence.elements[k])
    x = evidence.inputs.values[place].copy()
    x.flat[element] += step
    values = evidence.values_with({place: x})
    pair = replace(evidence.pair, inputs=replace(evidence.inputs, values=values))
    got = pair.gradients(row.dy)[evidence.i].flat[element]
    return float(got / Columns(pair, values, place, np.array([element]), evidence.truth.method).gradient(row.dy)[0])


def taken_at_its_output(name: str, ratio: dict[int, float]) -> bool:
    """Whether some z and a give f'(f(z + a step)) / f'(z + a step) for each step."""
    f, slope = FUNCTIONS[name]

    def expected(z: Array | float) -> Any:  # an array or a number, as z
        return slope(f(z)) / slope(z)

    for z, moved in itertools.product(where(expected, ratio[0]), where(expected, ratio[1])):
        a = moved - z
        if abs(a) > 0.1 and all(abs(expected(z + a * step) - r) <= 1e-5 * abs(r) for step, r in ratio.items()):
            return True
    return False


def where(function: Callable, value: float) -> list[float]:
    """The z between -8 and 8 at which the function has that value."""
    z = np.linspace(-8, 8, 2001)
    off = function(z) - value
    found = []
    for low, high in ((z[k], z[k + 1]) for k in np.flatnonzero(off[:-1] * off[1:] <= 0)):
        rising = function(high) > function(low)
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (low, middle) if (function(middle) > value) == rising else (middle, high)
        found.append(low)
    return found


def sigmoid(z: Array | float) -> Array | float:
    return 1 / (1 + np.exp(-z))


FUNCTIONS: dict[str, tuple[Callable, Callable]] = {  # name: (f, f')
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}
