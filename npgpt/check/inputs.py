"""What a pair of functions is graded on: the reader's inputs, what they are called, and which of them have a gradient.

The checks see arrays, one after the other. An argument that holds arrays inside (a dict of parameters) is taken apart into its
leaves here, and put together again for each call.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .wording import gradient_name


@dataclass(frozen=True)
class Inputs:
    """Arrays, and whatever else the forward takes. Those of floats have a gradient; places, floats and wanted list these."""

    values: list
    names: list[str]
    without_gradient: frozenset[int] = frozenset()  # places of floats that have none: a target
    given: tuple | None = None  # the arguments as the reader wrote them, where one of them is a tree

    @property
    def places(self) -> list[int]:
        return [i for i, x in enumerate(self.values) if is_floating(x) and i not in self.without_gradient]

    @property
    def floats(self) -> list[Array]:
        return [self.values[i] for i in self.places]

    @property
    def wanted(self) -> list[str]:
        """The names of the gradients."""
        return [gradient_name(self.names[i]) for i in self.places]

    @property
    def dtype(self) -> np.dtype:
        """What NumPy's arithmetic makes of the floating inputs together."""
        return np.result_type(*[x.dtype for x in self.floats])

    def copies(self) -> list:
        return [x.copy(order="K") if isinstance(x, np.ndarray) else x for x in self.values]

    def in_float64(self) -> "Inputs":
        return replace(self, values=[x.astype(np.float64) if is_floating(x) else x for x in self.values])

    def arguments(self, values: Sequence) -> tuple:
        """Those values in the form in which the reader's forward takes them."""
        if self.given is None:
            return tuple(values)
        leaves = iter(values)
        return tuple(put_together(x, leaves) for x in self.given)

    def spans(self) -> list[range]:
        """Where each argument's leaves stand among the values."""
        ends = list(accumulate(len(list(leaves_of(x, ""))) for x in self.given or ()))
        return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def is_floating(x: Theirs) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def checked_inputs(forward: Callable, given: Sequence, without_gradient: Collection[str | int] = ()) -> Inputs:
    """What the reader gave, under the forward's own names. Raises as check_backward says."""
    argument_names = input_names(forward, len(given))
    leaves = [leaf for x, name in zip(given, argument_names, strict=True) for leaf in leaves_of(x, name)]
    names = [name for name, _ in leaves]
    excluded = frozenset(i for each in without_gradient for i in places_of(each, argument_names, names))
    # A number without a gradient stays the number that it is: as an array of float64 it would widen a float32 result.
    kept = {i for i in excluded if isinstance(leaves[i][1], float)}
    values = [x if i in kept else checked_input(x, name) for i, (name, x) in enumerate(leaves)]
    inputs = Inputs(values, names, excluded, tuple(given) if any(is_tree(x) for x in given) else None)
    if not inputs.places:
        raise ValueError("no input holds floating-point numbers, so there is no gradient to check")
    return inputs


def places_of(told: str | int, arguments: list[str], leaves: list[str]) -> list[int]:
    """Where the argument of that name, or at that place, stands among the leaves."""
    if isinstance(told, int) and -len(arguments) <= told < len(arguments):
        told = arguments[told]
    places = [i for i, leaf in enumerate(leaves) if told == leaf or leaf.startswith((f"{told}.", f"{told}["))]
    if not places:
        raise ValueError(f"without_gradient names {told!r}, which is none of the inputs: {', '.join(arguments)}")
    return places


def checked_input(x: Theirs, name: str) -> Theirs:
    """x as an array where it holds numbers, else as it is."""
    if isinstance(x, list | tuple | float):  # np.float64 is a float too
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        if isinstance(x, complex | np.complexfloating) or hasattr(x, "detach"):
            raise TypeError(f"{name} must be a real NumPy array, got {type(x).__name__}")
        return np.asarray(x) if isinstance(x, np.floating) else x
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    if x.size == 0:
        raise ValueError(f"{name} is empty, of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} holds a nan or an infinity, where no derivative exists (make a mask of -inf in the forward)")
    return x.astype(x.dtype.newbyteorder("="), copy=False)  # as any result of NumPy's arithmetic


def input_names(forward: Callable, count: int) -> list[str]:
    """What the forward calls its inputs; "input 2" where it does not say."""
    names = parameter_names(forward)[:count]
    return names + [f"input {i}" for i in range(len(names), count)]


def parameter_names(function: Callable) -> list[str]:
    """Of its positional parameters and keywords; [] where Python does not know them (some built-in functions)."""
    return [p.name for p in parameters_of(function) if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def required_names(function: Callable) -> list[str] | None:
    """The positional arguments that it must get; None where that is open (*args, some built-in functions)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]


def parameters_of(function: Callable) -> list[inspect.Parameter]:
    """[] where Python does not know them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


# --------------------------------------------------------------------------------------- arguments that hold arrays inside


def is_tree(x: Theirs) -> bool:
    """A dict that holds floats, at whatever depth, or a list of arrays that have different shapes."""
    if isinstance(x, dict):
        return any(is_tree(each) or isinstance(each, float | np.floating) or is_floating(each) for each in x.values())
    if isinstance(x, list | tuple) and any(is_tree(each) or is_floating(each) for each in x):
        return len({np.shape(each) for each in x if not is_tree(each)}) > 1 or any(is_tree(each) for each in x)
    return False


def leaves_of(x: Theirs, name: str) -> Iterator[tuple[str, object]]:
    """Each array (or number, or None) inside, under its name: params.W, weights[0]."""
    if not is_tree(x):
        yield name, x
    elif isinstance(x, dict):
        for key, each in x.items():
            yield from leaves_of(each, f"{name}.{key}")
    else:
        for i, each in enumerate(x):
            yield from leaves_of(each, f"{name}[{i}]")


def put_together(tree: Theirs, leaves: Iterator) -> Theirs:
    """The tree with the next leaves in the places of its own."""
    if not is_tree(tree):
        return next(leaves)
    if isinstance(tree, dict):
        return {key: put_together(each, leaves) for key, each in tree.items()}
    inside = [put_together(each, leaves) for each in tree]
    return type(tree)(*inside) if hasattr(tree, "_fields") else type(tree)(inside)
