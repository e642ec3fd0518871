"""Parameters: named arrays and their gradients, all views into two long vectors.

A model's weights lie side by side in one vector and its gradients in a second. A layer sees its own piece in its own shape; the
optimiser sees one vector and updates it in a few passes instead of a few dozen. Writing to the view writes to the vector.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray as Array


class Store:
    """The two vectors, and the named parameters that lie in them.

    shapes : name -> shape, in the order in which they are laid out.
    trainable : False leaves out the gradients (`grad` is None): the arrays are buffers.
    data : the vector of another store, to share its weights; by default one of zeros.
    zeros : zeros(size, dtype) makes the vectors.
    """

    def __init__(
        self,
        shapes: dict[str, tuple[int, ...]],
        dtype: np.dtype | str,
        trainable: bool = True,
        data: Array | None = None,
        zeros: Callable[..., Array] = np.zeros,
    ):
        self.data = zeros(sum(math.prod(shape) for shape in shapes.values()), dtype) if data is None else data
        # np.zeros, and not zeros_like, which writes its zeros: a model that is only asked never touches this memory
        # Any, here and in Parameter: an array, or None; who trains knows that there is one, and who may meet a buffer asks
        self.grad: Any = zeros(self.data.size, self.data.dtype) if trainable else None
        self.parameters: dict[str, Parameter] = {}
        start = 0
        for name, shape in shapes.items():
            self.parameters[name] = parameter = Parameter(name, self, start, shape)
            start = parameter.stop

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape, as they are laid out."""
        return {name: parameter.shape for name, parameter in self.parameters.items()}

    def with_own_gradients(self) -> "Store":
        """A second store over the same weights, with gradients of its own."""
        return Store(self.shapes(), self.data.dtype, data=self.data)


class Parameter:
    """One named array of a store: `data` and `grad` are views of elements start..stop, in `shape`."""

    def __init__(self, name: str, store: Store, start: int, shape: tuple[int, ...]):
        self.name, self.store, self.start, self.shape = name, store, start, shape
        self.stop = start + math.prod(shape)
        self.data: Array = store.data[start : self.stop].reshape(shape)
        self.grad: Any = None if store.grad is None else store.grad[start : self.stop].reshape(shape)

    def numel(self) -> int:
        """The number of elements (torch's name)."""
        return self.stop - self.start

    def rows(self, first: int, last: int) -> "Parameter":
        """Rows first..last - 1 as a parameter of its own that shares this one's memory."""
        width = math.prod(self.shape[1:])
        shape = (last - first, *self.shape[1:])
        return Parameter(f"{self.name}[{first}:{last}]", self.store, self.start + first * width, shape)


def vectors_of(parameters: list[Parameter]) -> list[tuple[Array, Array]]:
    """The (data, grad) vectors that hold the parameters, neighbours in a store merged: for a whole model, one pair."""
    runs: list[tuple[Store, int, int]] = []
    for p in parameters:
        if p.grad is None:
            raise ValueError(f"{p.name} is a buffer: it has no gradient and cannot be optimised")
        if runs and runs[-1][0] is p.store and runs[-1][2] == p.start:
            runs[-1] = (p.store, runs[-1][1], p.stop)
        else:
            runs.append((p.store, p.start, p.stop))
    return [(store.data[start:stop], store.grad[start:stop]) for store, start, stop in runs]
