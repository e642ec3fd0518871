"""What the reader's functions returned, as arrays that are ours. Where it cannot be graded, Stopped says why.

Every array is a new one, since the next call may write to the same buffer.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .inputs import Inputs, is_floating, is_tree
from .names import is_cotangent, is_gradient_of
from .verdict import Stopped
from .wording import LIKELY, gradient_name


def new_array(x: Theirs, dtype: np.dtype) -> Array:
    """A copy; a Python float, which has no dtype of its own, gets this one."""
    return np.array(x, dtype if type(x) is float else None)


# ------------------------------------------------------------------------------------------------------------------ the forward


class Result(NamedTuple):
    """What a forward returned, taken apart."""

    outputs: tuple  # one y, or several: (h, c)
    cache: tuple  # the one cache, or nothing
    together: bool  # the backward gets the outputs' cotangents as one tuple, in the place of dy


def taken_apart(returned: Theirs, takes: list[str] | None, arguments: int) -> Result:
    """y, (y, cache), ((h, c), cache), (h, c, cache) or (h, c): what the backward takes tells which.

    A backward(dh, dc, cache) takes one for each thing that the forward returned; a backward(dh, dc, *inputs) gets no cache.
    """
    if not isinstance(returned, tuple):
        return Result((returned,), (), False)
    takes = takes or []
    if len(returned) == 2 and are_outputs(returned[0]):
        return Result(tuple(returned[0]), returned[1:], len(takes) != len(returned[0]) + 1)
    if len(takes) == len(returned) + arguments and all(map(is_cotangent, takes[1 : len(returned)])):
        return Result(returned, (), False)
    if len(takes) == len(returned) > 2 and all(map(is_cotangent, takes[1:-1])):
        return Result(returned[:-1], returned[-1:], False)
    if len(returned) != 2:
        raise Stopped("output", f"the forward must return y or the pair (y, cache), got a tuple of {len(returned)}")
    return Result(returned[:1], returned[1:], False)


def are_outputs(x: Theirs) -> bool:
    """(h, c), [h, c] or (loss, h): several outputs in the place of y, at least one of them an array."""
    return isinstance(x, tuple | list) and all(map(is_output, x)) and any(isinstance(each, np.ndarray) for each in x)


def is_output(x: Theirs) -> bool:
    """An array or a number of floats; of complex numbers, while the complex step measures."""
    return isinstance(x, float) or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc")


def first_of(result: Theirs) -> Theirs:
    """y, of what a reference returned: y or (y, ...)."""
    return result[0] if isinstance(result, tuple) else result


def output_array(y: Theirs, dtype: np.dtype) -> Array:
    """One output of a forward; a Python float in that dtype. Raises Stopped where it is no array of floats."""
    if not isinstance(y, np.ndarray | np.generic | float):
        raise Stopped("output", f"the forward must return an array y or the pair (y, cache), got {type(y).__name__} for y")
    y = new_array(y, dtype)
    if y.dtype.kind != "f":
        raise Stopped("output", f"y is of dtype {y.dtype}; a gradient needs real floating-point numbers")
    if y.size == 0:
        raise Stopped("output", f"y is empty, of shape {y.shape}")
    return y


def packed(outputs: list[Array]) -> Array:
    """One array of all outputs: what the checks see as y. Of one output, itself."""
    return outputs[0] if len(outputs) == 1 else np.concatenate([each.ravel() for each in outputs])


def unpacked(y: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """Views of those shapes, one for each output."""
    if len(shapes) == 1:
        return [y]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(y, ends), shapes, strict=True)]


# ----------------------------------------------------------------------------------------------------------------- the backward


def gradient_arrays(returned: Theirs, inputs: Inputs) -> list[Array]:
    """What a backward returned, as one array for each floating input. Raises Stopped where that is not what it is."""
    gradients = one_for_each(listed(returned, inputs), inputs)
    arrays = [new_array(gradient, x.dtype) for gradient, x in zip(gradients, inputs.floats, strict=True)]
    problem = shape_problem([array.shape for array in arrays], inputs)
    if problem:
        raise Stopped("shapes", problem)
    for name, array in zip(inputs.wanted, arrays, strict=True):
        if array.dtype.kind != "f":
            raise Stopped("dtypes", f"{name} is of dtype {array.dtype}; a gradient is real floating-point numbers")
    return arrays


def listed(returned: Theirs, inputs: Inputs) -> list:
    """The gradients one after the other: of a dict by their names, of a tree's gradient its leaves."""
    alone = inputs.given is not None and len(inputs.given) == 1
    if isinstance(returned, dict) and not alone:
        found = {name: by_name(returned, name) for name in inputs.names}
        return [gradient for gradient in found.values() if gradient is not None]
    gradients = list(returned) if isinstance(returned, tuple | list) else [returned]
    if inputs.given is None:
        return gradients
    spans = inputs.spans()
    graded = [k for k, span in enumerate(spans) if any(i in inputs.places for i in span)]
    if len(gradients) == len(graded):
        of_argument = dict(zip(graded, gradients, strict=True))
    elif len(gradients) == len(spans):
        of_argument = dict(enumerate(gradients))
    else:
        return gradients
    leaves = [None] * len(inputs.values)
    for k, gradient in of_argument.items():
        leaves[spans[k].start : spans[k].stop] = gradient_leaves(inputs.given[k], gradient)
    return [leaves[i] for i in inputs.places]


def by_name(gradients: dict, name: str) -> Theirs:
    """The gradient of the value of that name, under the value's own name or its gradient's; None where there is none."""
    last = name.rpartition(".")[2]
    return next((each for key, each in gradients.items() if str(key) in (name, last) or is_gradient_of(str(key), last)), None)


def gradient_leaves(x: Theirs, gradient: Theirs) -> list:
    """The gradient of one argument, taken apart as the argument was."""
    if not is_tree(x):
        return [gradient]
    if isinstance(x, dict):
        parts = [by_name(gradient, str(key)) if isinstance(gradient, dict) else None for key in x]
        return [leaf for each, part in zip(x.values(), parts, strict=True) for leaf in gradient_leaves(each, part)]
    parts = list(gradient) if isinstance(gradient, list | tuple) and len(gradient) == len(x) else [None] * len(x)
    return [leaf for each, part in zip(x, parts, strict=True) for leaf in gradient_leaves(each, part)]


def one_for_each(gradients: list, inputs: Inputs) -> list:
    """As many as there are floating inputs, each something that an array can be made of."""
    wanted = inputs.wanted
    expected = f"expected {len(wanted)} ({', '.join(wanted)}), one for each floating input"
    if len(gradients) == len(inputs.values) > len(wanted):
        gradients = without_the_others(gradients, inputs)
    if len(gradients) != len(wanted):
        raise Stopped("number of gradients", f"the backward returned {len(gradients)}, {expected}")
    for name, gradient in zip(wanted, gradients, strict=True):
        if gradient is None:
            raise Stopped("number of gradients", f"{name} is None; {expected}")
        if not isinstance(gradient, np.ndarray | np.generic | float | int):
            raise Stopped("shapes", f"{name} must be an array, got {type(gradient).__name__}")
    return gradients


def without_the_others(gradients: list, inputs: Inputs) -> list:
    """One for each input -> one for each floating input; None has to stand at the places of the others."""
    for i, gradient in enumerate(gradients):
        if not is_floating(inputs.values[i]) and gradient is not None:
            message = f"{inputs.names[i]} holds no floats and has no gradient: return None in its place, or leave it out"
            raise Stopped("number of gradients", message)
    return [gradients[i] for i in inputs.places]


def shape_problem(shapes: list[tuple[int, ...]], inputs: Inputs) -> str:
    """What is wrong with the gradients' shapes, and the likely reason; "" where nothing is."""
    wanted = [x.shape for x in inputs.floats]
    if shapes == wanted:
        return ""
    place, got, right = next((i, s, w) for i, s, w in zip(inputs.places, shapes, wanted, strict=True) if s != w)
    name = inputs.names[place]
    problem = f"{gradient_name(name)} has the shape {got}, {name} has {right}"
    leading = len(got) - len(right)
    if sorted(shapes) == sorted(wanted):
        return f"{problem}{LIKELY}the order. Return {', '.join(inputs.wanted)}, in the order of the inputs."
    if got[leading:] == right:
        axes = ", ".join(map(str, range(leading)))
        return f"{problem}{LIKELY}{name} was broadcast over the axes {axes}, so its gradient sums over them."
    if sorted(got) == sorted(right):
        return f"{problem}{LIKELY}a transpose is missing, or one too many."
    return problem
