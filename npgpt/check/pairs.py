"""Which functions of a file belong together: a forward and its backward, told by their names alone."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, TypeGuard

from .wording import without_partial

# The backward's name and those that its forward may have; the first that exists is taken.
SPELLINGS = (
    ("{}_backward", ("{}_forward", "{}")),
    ("{}_bwd", ("{}_fwd", "{}")),
    ("backward_{}", ("forward_{}", "{}")),
    ("{}_grad", ("{}",)),
)


class NamedPair(NamedTuple):
    """A forward and a backward, under the names that they have in the file."""

    name: str  # the backward's, which no other pair has
    forward_name: str
    forward: Callable
    backward: Callable

    def is_called(self, name: str) -> bool:
        return name in (self.name, self.forward_name)


def pairs_in(namespace: Mapping[str, object], also: Collection[str] = ()) -> list[NamedPair]:
    """The pairs whose backward was written in this namespace (not imported into it), in its order.

    also : names of either function; such a pair counts wherever it was written.
    """
    found = (each for name in namespace for each in pair_of(name, namespace))
    here = namespace.get("__name__")
    return [pair for pair in found if here in (None, home(pair.backward)) or any(map(pair.is_called, also))]


def pair_of(name: str, namespace: Mapping[str, object]) -> Iterator[NamedPair]:
    """The pair whose backward has this name, if it is a backward's and if there is its forward."""
    for forward_name in forward_names(name):
        forward, backward = namespace.get(forward_name), namespace[name]
        if is_function(forward) and is_function(backward):
            yield NamedPair(name, forward_name, forward, backward)
            return


def forward_names(name: str) -> list[str]:
    """What the forward of the backward of this name may be called; [] where it is no backward's name."""
    if name == "backward":
        return ["forward"]
    for backward, forwards in SPELLINGS:
        before, after = backward.split("{}")
        middle = name.removeprefix(before).removesuffix(after)
        if middle and name == backward.format(middle):
            return [forward.format(middle) for forward in forwards]
    return []


def is_function(value: object) -> TypeGuard[Callable]:
    return callable(value) and not isinstance(value, type)


def home(function: Callable) -> str | None:
    """The name of the module in which it was written."""
    return getattr(without_partial(function), "__module__", None)
