"""How a layer is called: which of its methods are the forward and the backward, what the backward takes and what it leaves behind.

All of it is read from names and signatures, and from one run; what they leave open, the reader is asked for (TypeError).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .inputs import is_floating, parameters_of
from .names import CACHES, FLAGS, RATES, TARGETS, is_gradient_of, plain
from .parameters import array_of, inside
from .returned import is_complex
from .tensors import is_tensor

FORWARDS = "forward forward_pass forward_propagation forward_prop forward_step fwd feed_forward feedforward".split()
BACKWARDS = "backward backward_pass backward_propagation backward_prop backward_step backprop back_propagation bwd backpropagate".split()
DERIVATIVES = "derivative deriv gradient grad prime df".split()  # f'(x), which the caller multiplies by dy
FUNCTIONS = [*FORWARDS, "loss", "fn", "function", "f", "activate", "calculate", "__call__"]  # what has such a derivative
STORED_OUTPUTS = "output outputs out y a z activation activations result h".split()
STORED_GRADIENTS = "dinputs dinput dx dxs dinputdata gradinput inputgrad inputgradient dprev daprev dh dout".split()


class Calls(NamedTuple):
    """The layer's two methods by name, and where each argument of the backward comes from."""

    forward: str
    backward: str | None  # None: the output is a tensor, with a backward of its own
    sources: tuple  # for each argument of the backward: ("dy", k), ("input", i), ("cache",), ("output", k), ("rate",), ("as told", x)
    options: dict  # keywords of the forward, for a training flag

    @property
    def takes_dy(self) -> bool:
        """The backward takes dy; else it gives the derivative, to be multiplied by dy."""
        return self.backward is None or bool(dys(self.sources))

    def in_words(self, layer, inputs: list[str]) -> str:
        """backward(dvalues = dy, y_true = y_true)"""
        words = {"dy": "dy", "cache": "the cache", "rate": "a learning rate", "output": "y", "as told": "as told"}
        names = [p.name for p in parameters_of(getattr(layer, self.backward))]
        given = [f"{name} = {inputs[what[0]] if kind == 'input' else words[kind]}" for name, (kind, *what) in zip(names, self.sources, strict=False)]
        return f"{self.backward}({', '.join(given)})"

    @property
    def has_rate(self) -> bool:
        return any(source[0] == "rate" for source in self.sources)


def methods_of(layer, forward: str | None, backward: str | None) -> tuple[str, str | None]:
    """The names of the two methods. Raises TypeError where there are none that are known."""
    name = type(layer).__name__
    for role, told in (("forward", forward), ("backward", backward)):
        if told is not None and not callable(getattr(layer, told, None)):
            raise TypeError(f"{role}={told!r}: {name} has no such method")
    its_backward = backward or next((each for each in (*BACKWARDS, *DERIVATIVES) if callable(getattr(layer, each, None))), None)
    known = FUNCTIONS if its_backward in DERIVATIVES or its_backward is None else [*FORWARDS, "__call__", "loss", "calculate"]
    its_forward = forward or next((each for each in known if callable(getattr(layer, each, None))), None)
    if its_forward is None:
        raise TypeError(f"{name} has no method that is known as a forward ({', '.join(FORWARDS[:3])}, ...): name it, forward='...'")
    return its_forward, its_backward


def no_backward(layer) -> TypeError:
    known = f"{', '.join(BACKWARDS[:3])}, ...; {', '.join(DERIVATIVES[:2])}, ..."
    return TypeError(f"{type(layer).__name__} has no method that is known as a backward ({known}): name it, backward='...'")


def forward_options(layer, method: str, given: int, training: bool | None) -> dict:
    """The training flag, where the forward has one and it is told or has to be given."""
    parameters = parameters_of(getattr(layer, method))
    flag = next((p for p in parameters[given:] if plain(p.name) in FLAGS), None)
    if flag is None:
        if training is not None and not any(plain(name) in FLAGS for name in vars(layer) if isinstance(name, str)):
            raise TypeError(f"training={training} was told, but {type(layer).__name__} has no training flag")
        return {}
    if training is None and flag.default is not flag.empty:
        return {}
    return {flag.name: True if training is None else training}


# ----------------------------------------------------------------------------------------------------------------- the outputs


def outputs_of(returned, layer, calls_with: int, stored_before: Mapping) -> tuple[tuple, object]:
    """(outputs, cache) of what a forward returned; cache is NOTHING where there is none.

    calls_with: how many cotangents the backward takes at most. stored_before: the layer's attributes before the forward, since
    a forward that returns nothing leaves its output in one.
    """
    if returned is None:
        stored = [vars(layer).get(name) for name in attributes(layer, STORED_OUTPUTS)]
        new = [x for x in stored if is_output(x) and not any(x is old for old in stored_before.values())]
        return (tuple(new[:1]), NOTHING)
    if isinstance(returned, list) and returned and all(is_output(x) for x in returned):
        return tuple(returned), NOTHING
    if not isinstance(returned, tuple) or is_output(returned):
        return (returned,), NOTHING
    if len(returned) == 2 and isinstance(returned[0], tuple | list):
        return tuple(returned[0]), returned[1]
    if calls_with >= len(returned) and all(is_output(x) for x in returned):
        return returned, NOTHING
    outputs = [x for x in returned[:-1]]
    if not is_output(returned[-1]) or calls_with < 2:
        return tuple(outputs[: max(1, calls_with)]), returned[-1]
    return returned, NOTHING


NOTHING = object()


def is_output(x) -> bool:
    return is_floating(x) or is_complex(x) or isinstance(x, float | np.floating | np.complexfloating) or is_tensor(x)


def attributes(layer, names: Sequence[str]) -> list[str]:
    """The layer's attributes of those names, whatever their underscores and capitals, in the names' order."""
    own = [name for name in vars(layer) if isinstance(name, str)] if hasattr(layer, "__dict__") else []
    return [each for name in names for each in own if plain(each) == plain(name)]


# -------------------------------------------------------------------------------------------- what goes into the backward


def sources_of(backward: Callable, method: str, inputs: list[str], takes: Mapping) -> tuple[tuple, ...]:
    """Where each argument of the backward comes from, by its name. Raises TypeError for one that says nothing.

    The first is dy, unless it has an input's name in a method that is a derivative, or all have inputs' names (a loss's). One
    that has a default is left to it.
    """
    parameters = [p for p in parameters_of(backward) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not parameters and any(p.kind == p.VAR_POSITIONAL for p in parameters_of(backward)):
        return (("dy", 0),)
    unknown = set(takes) - {p.name for p in parameters}
    if unknown:
        raise TypeError(f"takes names {', '.join(sorted(unknown))}, which {method} does not take")
    needed = [p.name for p in parameters if p.default is p.empty]
    derivative = method in DERIVATIVES or len(needed) > 1 and set(needed) <= set(inputs)
    sources = []
    for p in parameters:
        source = told_source(takes[p.name], inputs) if p.name in takes else source_of(p.name, p.name in needed, sources, inputs, derivative)
        if source is not None:
            sources.append(source)
        elif p.name not in needed:
            break  # those after it are left to their defaults too
        elif p.name == needed[-1] and len(sources) == len(dys(sources)) > 0:
            sources.append(("cache",))  # backward(dy, whatever)
        else:
            words = "'dy', 'y', 'cache', 'lr' or an input: " + ", ".join(map(repr, inputs))
            raise TypeError(f"{method} takes {p.name}, which could be anything: say what it is, takes={{{p.name!r}: ...}} ({words})")
    return tuple(sources)


def source_of(name: str, needed: bool, before: list[tuple], inputs: list[str], derivative: bool) -> tuple | None:
    """Where one argument comes from, by its name; None where the name does not say."""
    first = not before
    if plain(name) in RATES:
        return ("rate",)
    if plain(name) in CACHES:
        return ("cache",)
    if name in inputs and (derivative or not first):
        return ("input", inputs.index(name))
    if first and (needed and not derivative or COTANGENT.match(plain(name))):
        return ("dy", 0)
    if derivative and needed and len(before) < len(inputs):
        return ("input", len(before))  # f'(z) of an f(x)
    if needed and len(dys(before)) == len(before) and ANOTHER_COTANGENT.match(plain(name)):
        return ("dy", len(before))  # dc, after dh
    if len(inputs) == 1 and plain(name) in {"x", "input", "inputs", "inp"}:
        return ("input", 0)
    return ("output", 0) if plain(name) in {"out", "output", "outputs"} else None


COTANGENT = re.compile("d(?!ata)|grad|g$|upstream|error|out|.*(grad|gradient|error)$")
ANOTHER_COTANGENT = re.compile("d(?!ata)|grad")


def dys(sources: Sequence[tuple]) -> list[tuple]:
    return [source for source in sources if source[0] == "dy"]


def told_source(what, inputs: list[str]) -> tuple:
    words = {"dy": ("dy", 0), "y": ("output", 0), "cache": ("cache",), "lr": ("rate",)}
    if isinstance(what, str) and what in inputs:
        return ("input", inputs.index(what))
    if isinstance(what, str) and what in words:
        return words[what]
    if isinstance(what, str) and what[:2] == "dy" and what[2:].isdigit():
        return ("dy", int(what[2:]))
    return ("as told", what)


# ------------------------------------------------------------------------------------------- what the backward leaves behind


def stored_gradient(layer, name: str, alone: bool):
    """The gradient of the input of that name, where the backward stores it: layer.dinputs, layer.dx. None where it is not."""
    own = dict(inside(layer))
    by_name = [each for step, each in own.items() if isinstance(step, str) and is_gradient_of(step, name)]
    generic = [vars(layer)[each] for each in attributes(layer, STORED_GRADIENTS)] if alone else []
    return next((x for x in (*by_name, *generic) if array_of(x) is not None), None)


def targets_among(names: list[str], floats: list[int], returned: int) -> list[int]:
    """Places of floating inputs without a gradient: as many as there are gradients too few, and named as targets are."""
    named = [i for i in floats if plain(names[i]) in TARGETS]
    return named if len(named) == len(floats) - returned else []
