"""Fresh copies of a layer, so that no run knows of another: with other parameters, zeros for gradients, the same dropout mask.

deepcopy's memo does the exchange: told that the copy of this array is that one, it puts that one wherever this one stood, in
attributes, dicts, lists and tuples alike.
"""

import contextlib
import copy
import random
from collections.abc import Iterator, Mapping

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .names import FLAGS, plain
from .parameters import floats_in, inside, put, walk


class Copies:
    """Of one layer as it is before any run."""

    def __init__(self, layer: Theirs, training: bool | None):
        self.set_original(copied(layer, with_views(shared_memory(layer), {})))
        if training is not None:
            for path, value, _ in list(walk(self.original)):
                if isinstance(path[-1], str) and plain(path[-1]) in FLAGS and isinstance(value, bool):
                    put(self.original, path, training)

    def set_original(self, layer: Theirs) -> None:
        self.original, self.shared = layer, shared_memory(layer)

    def fresh(self, exchanged: Mapping[int, Array]) -> Theirs:
        """A copy; exchanged: the id of an array of the original -> what stands in its place."""
        return copied(self.original, with_views(self.shared, exchanged))

    def keep_what_the_first_forward_made(self, once: Theirs, twice: Theirs) -> None:
        """Of a layer that makes its weights in its first forward: once and twice are copies after one forward and after two.

        What the second forward changes is no weight, so it is set back to what the original has.
        """
        set_back(self.original, once, twice)
        self.set_original(once)


def shared_memory(layer: Theirs) -> list[tuple[Array, list[Array]]]:
    """Arrays of the layer with their views that the layer holds too: W and W[:, :2]. A copy alone would part them."""
    arrays = sorted({id(x): x for x in floats_in(layer).values()}.values(), key=lambda x: (-x.nbytes, not x.flags.c_contiguous))
    owners: list[tuple[Array, list[Array]]] = []
    for x in arrays:
        owner = next((each for each in owners if np.shares_memory(each[0], x)), None)
        if owner:
            owner[1].append(x)
        elif x.flags.c_contiguous:
            owners.append((x, []))
    return [each for each in owners if each[1]]


def with_views(shared: list[tuple[Array, list[Array]]], exchanged: Mapping[int, Array]) -> dict[int, Array]:
    """The exchange, and with it the same views of every new array."""
    exchanged = dict(exchanged)
    for owner, views in shared:
        new = exchanged.get(id(owner))
        if new is None:
            new = owner.astype(np.result_type(owner, *[exchanged[id(x)] for x in views if id(x) in exchanged]))
        new = exchanged[id(owner)] = np.ascontiguousarray(new)
        for x in views:
            offset = (x.__array_interface__["data"][0] - owner.__array_interface__["data"][0]) // owner.itemsize
            strides = tuple(step // x.itemsize * new.itemsize for step in x.strides)
            view = np.ndarray(x.shape, new.dtype, new.data, offset * new.itemsize, strides)
            if id(x) in exchanged:
                view[...] = exchanged[id(x)]
            exchanged[id(x)] = view
    return exchanged


def set_back(before: Theirs, once: Theirs, twice: Theirs, seen: set[int] | None = None) -> None:
    """In `once`, all that `twice` has otherwise: to its value before, or where it had none, back by as much as it moved on."""
    seen = set() if seen is None else seen
    seen.add(id(once))
    had, later = dict(inside(before)), dict(inside(twice))
    for step, value in list(inside(once)):
        old: Theirs = had.get(step)
        new: Theirs = later.get(step)
        if type(new) is not type(value) or id(value) in seen:
            continue
        if isinstance(value, list) and len(value) != len(new):
            put(once, (step,), value[: max(0, 2 * len(value) - len(new))] if old is None else copy.deepcopy(old))
        elif type(value) is int and value != new:
            put(once, (step,), 2 * value - new if old is None else old)
        elif isinstance(value, np.ndarray | float | np.generic) and not np.array_equal(value, new):
            put(once, (step,), value if old is None else copy.copy(old))
        else:
            set_back(old, value, new, seen)


def copied(layer: Theirs, exchanged: dict[int, Array]) -> Theirs:
    try:
        return copy.deepcopy(layer, exchanged)
    except Exception as error:
        message = f"{type(layer).__name__} cannot be copied ({type(error).__name__}: {error}), and every run needs a copy"
        raise TypeError(f"{message}: take out what cannot (an open file, a lock, a generator)") from error


@contextlib.contextmanager
def the_same_random_numbers() -> Iterator[None]:
    """Whatever np.random and random give inside is the same each time; outside nothing changes."""
    states = np.random.get_state(), random.getstate()  # noqa: NPY002 (the generators that readers' layers use)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
