"""Where a layer keeps its parameters and their gradients: found by name, or told.

An object is walked through its attributes, dicts and lists, as deep as they go. A parameter is an array of floats that no
forward changes and that has a gradient beside it, as readers name these: W and dW, weight and grad_weight, a dict `params` and
a dict `grads`, two lists, a list of pairs [(W, dW), ...], an object with data and grad.
"""

import types
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .inputs import is_floating
from .names import is_gradient_of, plain

Step = str | tuple  # a string for an attribute, a one-tuple for what stands in brackets
Path = tuple[Step, ...]  # from the layer

GRADIENT_CONTAINERS = {"grads", "gradients", "grad", "gradient", "derivatives", "dparams", "gradparams"}
VALUES, GRADIENTS_OF_VALUES = ("data", "value", "val", "array", "w"), ("grad", "gradient", "g", "d", "diff")
NO_CONTAINERS = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    np.random.Generator,
    np.generic,
)


class Parameter(NamedTuple):
    name: str
    path: Path | None  # of its array in the layer; None where a function of the reader's gives it
    find: Callable  # layer -> its array
    gradient: Callable | None  # (layer, what the backward returned) -> its gradient; None: read off from the update
    where: str  # the gradient, in words


# ------------------------------------------------------------------------------------------------------------------ the walk


def inside(thing: Theirs) -> Iterator[tuple[Step, Theirs]]:
    """What an object, a dict, a list or a tuple holds, each with the step that leads to it."""
    if isinstance(thing, Mapping):
        yield from (((key,), each) for key, each in thing.items())
    elif isinstance(thing, list | tuple):
        yield from (((i,), each) for i, each in enumerate(thing))
    elif hasattr(thing, "__dict__") and not isinstance(thing, (*NO_CONTAINERS, np.ndarray)):
        yield from vars(thing).items()


def walk(thing: Theirs, path: Path = (), seen: dict | None = None) -> Iterator[tuple[Path, Theirs, Theirs]]:
    """(path, value, the container that holds it) of everything inside; each container once."""
    seen = {} if seen is None else seen
    seen[id(thing)] = thing
    for step, each in inside(thing):
        yield (*path, step), each, thing
        if id(each) not in seen:
            yield from walk(each, (*path, step), seen)


def at(layer: Theirs, path: Path) -> Theirs:
    """What stands there. Raises as Python does where nothing does."""
    for step in path:
        layer = getattr(layer, step) if isinstance(step, str) else layer[step[0]]
    return layer


def put(layer: Theirs, path: Path, value: Theirs) -> None:
    """Puts it there, unless a tuple holds it."""
    container, step = at(layer, path[:-1]), path[-1]
    if isinstance(step, str):
        object.__setattr__(container, step, value)
    elif not isinstance(container, tuple):
        container[step[0]] = value


def written(path: Path) -> str:
    """layers[0].W, params.W"""
    text = "".join(
        f".{step}" if isinstance(step, str) else f"[{step[0]}]" if isinstance(step[0], int) else f".{step[0]}" for step in path
    )
    return text.removeprefix(".")


def floats_in(layer: Theirs) -> dict[Path, Array]:
    return {path: x for path, x, _ in walk(layer) if is_floating(x) and x.size}


# ------------------------------------------------------------------------------------------------------------- found by name


def found(layer: Theirs, stable: set[Path]) -> list[Parameter]:
    """The parameters of a layer on which forward and backward have run. stable: the arrays that no forward changes."""
    arrays = floats_in(layer)
    gradients: dict[Path, Path] = {}
    for path in arrays:
        gradient = gradient_path(layer, path)
        if gradient is not None and gradient != path:
            gradients[path] = gradient
    taken = set(gradients.values())
    once: dict[int, Path] = {}  # one array may stand in several places
    for path in gradients:
        if path in stable and path not in taken:
            once.setdefault(id(arrays[path]), path)
    paths = list(once.values())
    names = short_names(paths)
    return [named(name, path, gradients[path]) for name, path in zip(names, paths, strict=True)]


def named(name: str, path: Path, gradient: Path) -> Parameter:
    return Parameter(name, path, lambda layer: at(layer, path), lambda layer, _: at(layer, gradient), written(gradient))


def gradient_path(layer: Theirs, path: Path) -> Path | None:
    """Where the gradient of that array stands, by its name."""
    owner, step = path[:-1], path[-1]
    name = step if isinstance(step, str) else step[0]
    beside = dict(inside(at(layer, owner)))
    if isinstance(name, str):
        for other, value in beside.items():
            other_name = other if isinstance(other, str) else other[0]
            by_name = isinstance(other_name, str) and is_gradient_of(other_name, name)
            if (by_name or (name in VALUES and other_name in GRADIENTS_OF_VALUES)) and array_of(value) is not None:
                return (*owner, other, *inner(value))
    if owner and not isinstance(step, str):
        return in_another_container(layer, owner, step) or in_a_pair(layer, owner, step)
    return None


def in_another_container(layer: Theirs, owner: Path, step: tuple) -> Path | None:
    """params["W"] and grads["W"] or grads["dW"]; weights[0] and dweights[0]."""
    own = owner[-1] if isinstance(owner[-1], str) else str(owner[-1][0])
    for other, value in inside(at(layer, owner[:-1])):
        name = other if isinstance(other, str) else str(other[0])
        if other == owner[-1] or not (plain(name) in GRADIENT_CONTAINERS or is_gradient_of(name, own)):
            continue
        for key, each in inside(value):
            same = key == step or (isinstance(step[0], str) and isinstance(key[0], str) and is_gradient_of(key[0], step[0]))
            if same and array_of(each) is not None:
                return (*owner[:-1], other, key, *inner(each))
    return None


def in_a_pair(layer: Theirs, owner: Path, step: tuple) -> Path | None:
    """(W, dW) in a list of such pairs, or as a tuple under a name; with or without a name before them."""
    pair = at(layer, owner)
    if not (isinstance(pair, tuple) or (isinstance(pair, list) and is_place(owner[-1]))):
        return None
    places = [i for i, each in enumerate(pair) if is_floating(each)]
    others = [each for each in pair if not is_floating(each)]
    if len(places) != 2 or step[0] != places[0] or not all(isinstance(each, str) for each in others):
        return None
    return (*owner, (places[1],)) if pair[places[0]].shape == pair[places[1]].shape else None


def is_place(step: Step) -> bool:
    return isinstance(step, tuple) and isinstance(step[0], int)


def array_of(x: Theirs) -> Array | None:
    """An array of floats, or the one in a tensor of the reader's own."""
    x = x if isinstance(x, np.ndarray) else getattr(x, "data", None)
    return x if is_floating(x) else None


def inner(x: Theirs) -> Path:
    return () if isinstance(x, np.ndarray) else ("data",)


def short_names(paths: list[Path]) -> list[str]:
    """The last step alone where that tells them apart, else the whole path. An array called data has its owner's name."""
    paths = [path[:-1] if path[-1] in VALUES[:-1] and len(path) > 1 else path for path in paths]
    paths = [path[:-2] + path[-1:] if len(path) > 1 and is_params(path[-2]) and is_key(path[-1]) else path for path in paths]
    last = [written(path[-1:]) for path in paths]
    return [
        written(path) if last.count(name) > 1 or name.startswith("[") else name for name, path in zip(last, paths, strict=True)
    ]


def is_key(step: Step) -> bool:
    return isinstance(step, tuple) and isinstance(step[0], str)


def is_params(step: Step) -> bool:
    return isinstance(step, str) and plain(step) in {"params", "parameters", "weights", "theta"}


# ----------------------------------------------------------------------------------------------------------------------- told


def told(parameters: Mapping) -> list[Parameter]:
    """As check_layer's argument says: name -> (parameter, gradient), each a path ("lstm.Wf", "params.W") or a function."""
    return [one_told(name, *(pair if isinstance(pair, tuple) else (pair, None))) for name, pair in parameters.items()]


def one_told(name: str, parameter: str | Callable, gradient: str | int | Callable | None) -> Parameter:
    if not isinstance(parameter, str) and not callable(parameter):
        raise TypeError(f"parameters[{name!r}] must be (parameter, gradient), each a path or a function; got {parameter!r}")
    find = parameter if callable(parameter) else lambda layer: follow(layer, parameter)
    where = f"{gradient}" if not callable(gradient) else f"{name}'s function"
    if gradient is None:
        return Parameter(name, None, find, None, "its update")
    if isinstance(gradient, int):
        return Parameter(
            name, None, find, lambda _, returned: returned[gradient], f"place {gradient} of what the backward returns"
        )
    if callable(gradient):
        return Parameter(name, None, find, lambda layer, _: gradient(layer), where)
    return Parameter(name, None, find, lambda layer, _: follow(layer, gradient), where)


def follow(layer: Theirs, path: str) -> Theirs:
    """lstm.cells.0.W: attributes, keys and places, whatever each is."""
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(layer, Mapping):
            layer = layer[step]
        elif isinstance(layer, list | tuple):
            layer = layer[int(step)]
        else:
            layer = getattr(layer, step)
    return layer
