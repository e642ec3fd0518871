"""Inputs drawn from what a signature says: a size for each letter, and arrays of these sizes on which the forward runs.

Whether a forward takes what was drawn, only trying tells: some want an even size, one that another divides, a square matrix, or
positive numbers. So sizes that all differ come first, under which no transpose hides, then equal and even ones; with each kind
of sizes normal numbers first, then numbers between 0 and 1.
"""

import ast
import math
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .returned import first_of, is_output
from .signature import Parameter, Shape, parameters_of

TRIES = 8  # of each kind of sizes and numbers
LARGEST = 20_000  # elements of an array: a literal shape may be a real model's
ALONE = ("N", "C")  # the shape of a single input of which nothing says one


class Drawn(NamedTuple):
    values: list
    optional: int  # how many of the last could be left out


class Unknown(Exception):
    """What a forward's signature would have to say."""


def drawn_inputs(forward: Callable, rng: np.random.Generator, *, labels_are_ids: bool = True) -> Drawn:
    """Inputs on which the forward runs. Raises Unknown where the signature does not say enough, and where none is found."""
    try:
        parameters = passed(parameters_of(forward))
    except (TypeError, ValueError) as error:  # a function that Python cannot look into
        raise Unknown(f"{error}; write cases()") from None
    parameters = [settled(each, parameters, forward, labels_are_ids) for each in parameters]
    problem = "no small sizes make these shapes"
    for values in attempts(parameters, rng):
        problem = problem_on(forward, values)
        if not problem:
            return Drawn(values, sum(each.default is None for each in parameters))
    raise Unknown(f"its forward takes no inputs of the shapes that it says ({problem}); write cases()")


def passed(parameters: list[Parameter]) -> list[Parameter]:
    """Those before the first that keeps its default. Raises Unknown where one of them is not known well enough."""
    kept = (i for i, each in enumerate(parameters) if not each.required and (each.default is not None or each.shape is None))
    parameters = parameters[: next(kept, None)]
    if len(parameters) == 1 and not parameters[0].kind:
        return [parameters[0]._replace(kind="floats", shape=ALONE)]
    unknown = [each.name for each in parameters if not each.kind]
    if unknown:
        shape = f"{unknown[0]} (B, C)"
        raise Unknown(f"no shape of {', '.join(unknown)} is said; write it in the docstring, as in `{shape}`, or write cases()")
    return parameters


def settled(parameter: Parameter, parameters: list[Parameter], forward: Callable, labels_are_ids: bool) -> Parameter:
    """Labels as what they are: ids where they have fewer axes than the scores, else one-hot rows in a cross-entropy."""
    if parameter.kind != "labels":
        return parameter
    axes = len(parameter.shape or ())
    scores = next((each.shape for each in parameters if each.kind == "floats"), None) or ()
    if axes < len(scores):
        return parameter._replace(kind="ids" if labels_are_ids else "floats")
    name = getattr(forward, "__name__", "")
    one_hot = parameter.one_hot or re.search("cross_?entropy|xent|nll|softmax", name, re.IGNORECASE)
    return parameter._replace(kind="one-hot" if one_hot and axes > 1 else "floats")


# ------------------------------------------------------------------------------------------------------------------ attempts


def attempts(parameters: list[Parameter], rng: np.random.Generator) -> Iterator[list]:
    """Values for all parameters, again and again. Sizes that make no shape are left out."""
    letters = sorted({letter for each in parameters for axis in each.shape or () for letter in letters_of(axis)})
    different = np.arange(2, 2 + max(4, len(letters)))
    for pool, repeated in ((different, False), (different[:3], True), (np.array([2, 4]), True)):
        for positive in (False, True):
            for attempt in range(TRIES):
                sizes = dict(zip(letters, map(int, rng.choice(pool, len(letters), repeated)), strict=True))
                leading = 2 if attempt < TRIES // 2 else 1
                shapes = [shape_with(each.shape or (), sizes, leading) for each in parameters]
                possible = [shape for shape in shapes if shape is not None]
                if len(possible) == len(shapes):
                    yield values_of(parameters, possible, sizes, positive, rng)


def letters_of(axis: str) -> list[str]:
    """What needs a size: "4*H" -> "H"; for any number of axes there are two."""
    return ["...1", "...2"] if axis == "..." else [node.id for node in ast.walk(ast.parse(axis)) if isinstance(node, ast.Name)]


def shape_with(shape: Shape, sizes: dict[str, int], leading: int) -> tuple[int, ...] | None:
    """The axes as numbers, `leading` of them for "..."; None where one is no whole number above 0, or all are too many."""
    axes = []
    for axis in shape:  # signature.py lets nothing through but letters, numbers and + - * /
        axes += [sizes[each] for each in letters_of(axis)[:leading]] if axis == "..." else [eval(axis, {}, sizes)]
    fits = all(axis == int(axis) >= 1 for axis in axes) and math.prod(axes) <= LARGEST
    return tuple(map(int, axes)) if fits else None


def values_of(
    parameters: list[Parameter],
    shapes: list[tuple[int, ...]],
    sizes: dict[str, int],
    positive: bool,
    rng: np.random.Generator,
) -> list:
    """One value for each parameter."""
    of_floats = [shape for each, shape in zip(parameters, shapes, strict=True) if each.kind == "floats"]
    smallest = min((size for shape in of_floats for size in shape), default=2)
    values = []
    value: Any  # an array or a number
    for parameter, shape in zip(parameters, shapes, strict=True):
        match parameter.kind:
            case "floats":
                value = rng.uniform(0.1, 0.9, shape) if positive else rng.standard_normal(shape)
            case "ids":
                value = np.array(rng.integers(sizes.get(parameter.below) or sizes.get("V") or smallest, size=shape))
                value.flat[-1:] = value.flat[0]  # one id comes twice: a gradient that is assigned, not added, shows
            case "one-hot":
                value = np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
            case "booleans":
                value = rng.random(shape) < 0.7
            case "count":
                value = sizes.get(parameter.name, 2)
            case "number":
                value = 1e-5 if parameter.name.startswith("eps") else 0.5
        values.append(value)
    return values


def problem_on(forward: Callable, values: list) -> str:
    """Why the forward cannot be graded on these values, in a line; "" where it runs and its output is finite."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            y = first_of(forward(*[value.copy() if isinstance(value, np.ndarray) else value for value in values]))
        except Exception as error:
            return " ".join(f"{type(error).__name__}: {error}".split())
    return "its output holds a nan or an infinity" if is_output(y) and not np.isfinite(y).all() else ""
