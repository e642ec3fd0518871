"""What the reader's functions returned, as arrays that are ours. Where it cannot be graded, Stopped says why.

Every array is a new one, since the next call may write to the same buffer.
"""

import numpy as np
from numpy import ndarray as Array

from .inputs import Inputs
from .verdict import Stopped
from .wording import LIKELY, gradient_name


def new_array(x, dtype: np.dtype) -> Array:
    """A copy; a Python float, which has no dtype of its own, gets this one."""
    return np.array(x, dtype if type(x) is float else None)


# ------------------------------------------------------------------------------------------------------------------ the forward


def first_of(result):
    """y, of what a forward returned: y or (y, cache)."""
    return result[0] if isinstance(result, tuple) else result


def output_array(result, dtype: np.dtype) -> Array:
    """The y of what a forward returned; a Python float in that dtype. Raises Stopped where it is no array of floats."""
    if isinstance(result, tuple) and len(result) != 2:
        raise Stopped("output", f"the forward must return y or the pair (y, cache), got a tuple of {len(result)}")
    y = first_of(result)
    if not isinstance(y, np.ndarray | np.generic | float):
        raise Stopped("output", f"the forward must return an array y or the pair (y, cache), got {type(y).__name__} for y")
    y = new_array(y, dtype)
    if y.dtype.kind != "f":
        raise Stopped("output", f"y is of dtype {y.dtype}; a gradient needs real floating-point numbers")
    if y.size == 0:
        raise Stopped("output", f"y is empty, of shape {y.shape}")
    return y


# ----------------------------------------------------------------------------------------------------------------- the backward


def gradient_arrays(returned, inputs: Inputs) -> list[Array]:
    """What a backward returned, as one array for each floating input. Raises Stopped where that is not what it is."""
    gradients = one_for_each(list(returned) if isinstance(returned, tuple | list) else [returned], inputs)
    arrays = [new_array(gradient, x.dtype) for gradient, x in zip(gradients, inputs.floats, strict=True)]
    problem = shape_problem([array.shape for array in arrays], inputs)
    if problem:
        raise Stopped("shapes", problem)
    for name, array in zip(inputs.wanted, arrays, strict=True):
        if array.dtype.kind != "f":
            raise Stopped("dtypes", f"{name} is of dtype {array.dtype}; a gradient is real floating-point numbers")
    return arrays


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
        if i not in inputs.places and gradient is not None:
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
    if leading > 0 and got[leading:] == right:
        axes = ", ".join(map(str, range(leading)))
        return f"{problem}{LIKELY}{name} was broadcast over the axes {axes}, so its gradient sums over them."
    if sorted(got) == sorted(right):
        return f"{problem}{LIKELY}a transpose is missing, or one too many."
    return problem
