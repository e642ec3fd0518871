"""How a layer is called: which methods are its forward and its backward, what the backward takes and what both leave behind.

All of it is read from names and signatures; what they leave open, the reader is asked for (TypeError).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..types import Theirs
from .inputs import parameters_of
from .names import (
    BACKWARDS,
    CACHES,
    COTANGENT,
    DERIVATIVES,
    FLAGS,
    FORWARDS,
    FUNCTIONS,
    RATES,
    STORED_GRADIENTS,
    STORED_OUTPUTS,
    is_cotangent,
    is_gradient_of,
    plain,
)
from .parameters import array_of, inside
from .returned import is_output
from .tensors import is_tensor

NOTHING = object()  # in the place of a cache that there is not


class Calls(NamedTuple):
    """The layer's two methods by name, and where each argument of the backward comes from.

    A source is ("dy", k), ("input", i), ("output", k), ("cache",), ("rate",) or ("as told", value).
    """

    forward: str
    backward: str | None  # None: the output is a tensor, with a backward of its own
    sources: dict[str, tuple]  # by the argument's name, in their order
    by_place: int  # so many of them are handed over without a name
    options: dict  # keywords of the forward, for a training flag

    @property
    def dys(self) -> int:
        """How many cotangents the backward takes. None: it gives the derivative, which is to be multiplied by dy."""
        return sum(source[0] == "dy" for source in self.sources.values())

    def takes(self, kind: str) -> bool:
        return any(source[0] == kind for source in self.sources.values())

    def in_words(self, inputs: list[str]) -> str:
        """backward(dvalues = dy, y_true = y_true)"""
        words = {"dy": "dy", "cache": "the cache", "rate": "a learning rate", "output": "y", "as told": "as told"}
        given = [f"{name} = {inputs[s[1]] if s[0] == 'input' else words[s[0]]}" for name, s in self.sources.items()]
        return f"{self.backward}({', '.join(given)})"


def methods_of(layer: Theirs, forward: str | None, backward: str | None) -> tuple[str, str | None]:
    """The names of the two methods. Raises TypeError where there are none that are known."""
    for role, told in (("forward", forward), ("backward", backward)):
        if told is not None and not callable(getattr(layer, told, None)):
            raise TypeError(f"{role}={told!r}: {type(layer).__name__} has no such method")
    backward = backward or first_method(layer, (*BACKWARDS, *DERIVATIVES))
    known = (*FORWARDS, *FUNCTIONS) if backward is None or backward in DERIVATIVES else (*FORWARDS, "__call__")
    forward = forward or first_method(layer, known)
    if forward is None:
        text = f"{type(layer).__name__} has no method that is known as a forward ({', '.join(FORWARDS[:3])}, ...)"
        raise TypeError(f"{text}: name it, forward='...'")
    return forward, backward


def first_method(thing: Theirs, names: Sequence[str]) -> str | None:
    return next((name for name in names if callable(getattr(thing, name, None))), None)


def no_backward(layer: Theirs) -> TypeError:
    known = f"{', '.join(BACKWARDS[:3])}, ...; {', '.join(DERIVATIVES[:2])}, ..."
    return TypeError(f"{type(layer).__name__} has no method that is known as a backward ({known}): name it, backward='...'")


def forward_options(layer: Theirs, method: str, given: int, training: bool | None) -> dict:
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


# ------------------------------------------------------------------------------------------------------------- the outputs


def outputs_of(returned: Theirs, layer: Theirs, before: Mapping, calls: Calls) -> tuple[tuple, object]:
    """(outputs, cache) of what a forward returned; cache is NOTHING where there is none.

    A forward that returns nothing leaves its output in an attribute; before: the layer's attributes before the forward.
    """
    if returned is None:
        stored = [x for x in (vars(layer)[name] for name in attributes(layer, STORED_OUTPUTS)) if may_be_output(x)]
        new = [x for x in stored if not any(x is old for old in before.values())]
        return tuple((new or stored)[:1]), NOTHING
    if isinstance(returned, list) and returned and all(may_be_output(x) for x in returned):
        return tuple(returned), NOTHING
    if not isinstance(returned, tuple):
        return (returned,), NOTHING
    if len(returned) == 2 and isinstance(returned[0], tuple | list):  # ((h, c), cache)
        return tuple(returned[0]), returned[1]
    rest = returned[:-1] if calls.takes("cache") else returned
    outputs = rest[: max(1, calls.dys)]  # (h, c), or y and what has no cotangent
    return outputs, returned[-1] if len(outputs) < len(returned) else NOTHING


def may_be_output(x: Theirs) -> bool:
    """What may be an output of a layer: a tensor of a reader's own autograd too."""
    return is_output(x) or is_tensor(x)


def attributes(layer: Theirs, names: Sequence[str]) -> list[str]:
    """The layer's attributes of those names, whatever their underscores and capitals, in the names' order."""
    own = [name for name in vars(layer) if isinstance(name, str)] if hasattr(layer, "__dict__") else []
    return [each for name in names for each in own if plain(each) == plain(name)]


# -------------------------------------------------------------------------------------------- what goes into the backward


def sources_of(backward: Callable, method: str, inputs: list[str], takes: Mapping) -> dict[str, tuple]:
    """Where each argument of the backward comes from, by its name. Raises TypeError for one that says nothing.

    The first is dy, unless it has an input's name in a method that is a derivative, or all have inputs' names (a loss's). One
    that has a default is left to it.
    """
    parameters = [p for p in parameters_of(backward) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = [p.name for p in parameters if p.default is p.empty]
    unknown = set(takes) - {p.name for p in parameters}
    if unknown:
        raise TypeError(f"takes names {', '.join(sorted(unknown))}, which {method} does not take")
    derivative = method in DERIVATIVES or (len(needed) > 1 and set(needed) <= set(inputs))
    sources: dict[str, tuple] = {}
    for p in parameters:
        before = list(sources.values())
        only_dys = bool(before) and all(source[0] == "dy" for source in before)
        if p.name in takes:
            sources[p.name] = told_source(takes[p.name], inputs)
        elif source := source_of(p.name, p.name in needed, before, inputs, derivative):
            sources[p.name] = source
        elif p.name in needed and p.name == needed[-1] and only_dys:
            sources[p.name] = ("cache",)  # backward(dy, whatever)
        elif p.name in needed:
            words = f"'dy', 'y', 'cache', 'lr' or an input: {', '.join(map(repr, inputs))}"
            raise TypeError(f"{method} takes {p.name}, which may be anything: say it, takes={{{p.name!r}: ...}} ({words})")
    return sources or {"*": ("dy", 0)} if any(p.kind == p.VAR_POSITIONAL for p in parameters_of(backward)) else sources


def by_place(backward: Callable, sources: Mapping) -> int:
    """How many arguments follow each other from the first, so that they need no name: a decorated backward may know none."""
    names = [p.name for p in parameters_of(backward) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return next((k for k, name in enumerate(names) if name not in sources), max(1, len(names)))


def source_of(name: str, needed: bool, before: list[tuple], inputs: list[str], derivative: bool) -> tuple | None:
    """Where one argument comes from, by its name; None where that does not say. before: those of the arguments before it."""
    if plain(name) in RATES:
        return ("rate",)
    if plain(name) in CACHES:
        return ("cache",)
    if name in inputs and (derivative or before):
        return ("input", inputs.index(name))
    if not before and ((needed and not derivative) or COTANGENT.match(plain(name))):
        return ("dy", 0)
    if derivative and needed and len(before) < len(inputs):
        return ("input", len(before))  # f'(z) of an f(x)
    if needed and all(source[0] == "dy" for source in before) and is_cotangent(name):
        return ("dy", len(before))  # dc, after dh
    if len(inputs) == 1 and plain(name) in {"x", "input", "inputs", "inp"}:
        return ("input", 0)
    return ("output", 0) if plain(name) in {"out", "output", "outputs"} else None


def told_source(what: Theirs, inputs: list[str]) -> tuple:
    """Of a word that takes=... has, or of a value."""
    words = {"dy": ("dy", 0), "y": ("output", 0), "cache": ("cache",), "lr": ("rate",)}
    if not isinstance(what, str):
        return ("as told", what)
    return ("input", inputs.index(what)) if what in inputs else words.get(what, ("as told", what))


# ------------------------------------------------------------------------------------------- what the backward leaves behind


def stored_gradient(layer: Theirs, name: str, alone: bool) -> Theirs:
    """The gradient of the input of that name, where the backward stores it: layer.dinputs, layer.dx. None where it is not."""
    own = dict(inside(layer))
    by_name = [each for step, each in own.items() if isinstance(step, str) and is_gradient_of(step, name)]
    generic = [vars(layer)[each] for each in attributes(layer, STORED_GRADIENTS)] if alone else []
    return next((x for x in (*by_name, *generic) if array_of(x) is not None), None)
