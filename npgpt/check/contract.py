"""What every pair of functions keeps to, whatever it computes: both run, the dtypes follow from the inputs, nothing is changed.

None of this knows a derivative. The number of gradients and their shapes are judged where the arrays are made, in returned.py.
"""

from collections.abc import Iterator, Sequence
from types import MethodType

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .calling import Pair, handed_over
from .inputs import Inputs, is_floating
from .rounding import EPS_FACTOR, eps_of
from .verdict import Check, Stopped
from .wording import LIKELY, described_input, element

IN_PLACE = f"{LIKELY}work in place (-=, *=, out=, sort(), a write to a view) on something that was passed in."


def contract_checks(pair: Pair, rng: np.random.Generator) -> Iterator[Check]:
    """On the inputs as they were given, in their own dtypes."""
    inputs = pair.inputs
    values = inputs.copies()
    y, _ = pair.run_forward(values)
    yield Check("forward runs", True, f"on {', '.join(map(described_input, inputs.names, inputs.values))}")
    changed_by_forward = changed(inputs.names, inputs.values, values)
    yield output_check(pair, y)

    values = inputs.copies()
    y, handed = pair.run_forward(values)
    dy = rng.standard_normal(y.shape).astype(y.dtype)  # random, never ones
    passed_dy = handed_over(dy)
    gradients = pair.run_backward(passed_dy, handed)
    yield Check("backward runs", True, "on a random cotangent dy")
    yield number_check(inputs, of_one_object(pair))
    yield Check("shapes", True, ", ".join(f"{name} {g.shape}" for name, g in zip(inputs.wanted, gradients, strict=True)))
    yield dtypes_check(inputs, gradients)
    changed_by_both = changed([*inputs.names, "dy"], [*inputs.values, dy], [*values, passed_dy])
    again = pair.run_backward(handed_over(dy), handed)
    yield unchanged_check(inputs.wanted, changed_by_forward, changed_by_both, gradients, again)


def output_check(pair: Pair, y: Array) -> Check:
    """y's dtype; that it is finite; that a second call gives it again."""
    again, _ = pair.run_forward(pair.inputs.copies())
    finite = np.isfinite(y)
    if not finite.all():
        raise Stopped("output", f"{element('y', ~finite)} is {y[~finite][0]}: there is no gradient; try other inputs")
    if not np.abs(again - y).max() <= EPS_FACTOR * eps_of(y) * np.abs(y).max():  # a nan is another y too
        raise Stopped("output", "the forward gives another y when it runs again: does its dropout need a fixed seed?")
    wanted = pair.inputs.dtype
    if y.dtype != wanted:
        return Check("output", False, f"y is {y.dtype}, the inputs are {wanted}{widening(y.dtype, wanted)}")
    return Check("output", True, f"y {y.shape}, {y.dtype}, finite, the same when called again")


def holds_floats(x: Theirs) -> bool:
    return is_floating(x) or isinstance(x, float)


def of_one_object(pair: Pair) -> bool:
    """Whether both functions are methods of the same layer."""
    forward, backward = pair.forward, pair.backward
    return isinstance(forward, MethodType) and isinstance(backward, MethodType) and forward.__self__ is backward.__self__


def number_check(inputs: Inputs, of_a_layer: bool) -> Check:
    """That of a backward whose gradients have been taken."""
    told = [name for i, name in enumerate(inputs.names) if i in inputs.without_gradient and holds_floats(inputs.values[i])]
    without = [name for i, name in enumerate(inputs.names) if i not in inputs.places and name not in told]
    left_out = f"; none for {', '.join(without)}, which holds no floats" if without else ""
    left_out += f"; none asked for {', '.join(told)}" if told else ""
    left_out += (
        "\nNote: those of the layer's own parameters are not graded here: npgpt.check_layer does it" if of_a_layer else ""
    )
    return Check("number of gradients", True, f"{len(inputs.wanted)} ({', '.join(inputs.wanted)}){left_out}")


def dtypes_check(inputs: Inputs, gradients: list[Array]) -> Check:
    """Each gradient has its input's dtype."""
    for place, name, gradient in zip(inputs.places, inputs.wanted, gradients, strict=True):
        wanted = inputs.values[place].dtype
        if gradient.dtype != wanted:
            hint = widening(gradient.dtype, wanted)
            return Check("dtypes", False, f"{name} is {gradient.dtype}, {inputs.names[place]} is {wanted}{hint}")
    return Check("dtypes", True, "each gradient has its input's")


def widening(got: np.dtype, wanted: np.dtype) -> str:
    if got.kind == "f" and got.itemsize > wanted.itemsize:
        return f"{LIKELY}a np.float64 scalar (np.sqrt(64) is one) or array widens the result; use Python floats."
    return ""


def unchanged_check(
    names: list[str], by_forward: str | None, by_both: str | None, gradients: list[Array], again: list[Array]
) -> Check:
    """Inputs and dy as before; the same gradients from the same cache a second time. names: of the gradients."""
    for function, name in (("forward", by_forward), ("backward", by_both)):
        if name:
            return Check("nothing changed", False, f"the {function} changes {name}{IN_PLACE}")
    added = [name for name, first, second in zip(names, gradients, again, strict=True) if doubled(first, second)]
    if added:
        message = "are twice as large when the backward runs again: it adds to what the last run left"
        return Check("nothing changed", False, f"the gradients {', '.join(added)} {message}. Start each run from zeros.")
    for name, first, second in zip(names, gradients, again, strict=True):
        wrong = ~(np.abs(second - first) <= EPS_FACTOR * eps_of(first) * np.abs(first).max())
        if wrong.any() and np.isfinite(first).all():
            numbers = f"{element(name, wrong)} is {first[wrong][0]:.6g}, then {second[wrong][0]:.6g}"
            message = f"the backward gives other gradients when it runs again on the same cache: {numbers}"
            return Check("nothing changed", False, f"{message}{IN_PLACE}")
    return Check("nothing changed", True, "inputs, dy and cache are as they were")


def doubled(first: Array, second: Array) -> bool:
    return bool(first.any() and np.abs(second - 2 * first).max() <= EPS_FACTOR * eps_of(first) * np.abs(first).max())


def changed(names: Sequence[str], before: Sequence, after: Sequence) -> str | None:
    """The first name whose array is not as it was."""
    for name, a, b in zip(names, before, after, strict=True):
        if isinstance(a, np.ndarray) and not np.array_equal(a, b):
            return name
    return None
