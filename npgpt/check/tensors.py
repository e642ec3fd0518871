"""Layers on a reader's own autograd: their forward takes and gives tensors, and the output's backward() fills every grad.

A tensor is recognised by what it has: an array `data`, a `grad`, and a `backward`.
"""

import copy

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .inputs import parameter_names
from .names import plain
from .returned import is_output


def is_tensor(x: Theirs) -> bool:
    array = None if isinstance(x, np.ndarray) else getattr(x, "data", None)
    return isinstance(array, np.ndarray) and hasattr(x, "grad") and callable(getattr(x, "backward", None))


def tensor_of(template: Theirs, array: Array) -> Theirs:
    """A tensor like that one, of this array (the very one), with a gradient of zeros: an array, a tensor or a number."""
    grad = template.grad if isinstance(template.grad, np.ndarray) else getattr(template.grad, "data", None)
    zeros = {id(grad): np.zeros(array.shape, array.dtype)} if isinstance(grad, np.ndarray) else {}
    made = copy.deepcopy(template, {id(template.data): array, **zeros})
    if isinstance(template.grad, int | float | np.generic):  # no place of an array: 0 stands in other attributes too
        made.grad = 0
    return made


def gradient_of(tensor: Theirs) -> Array | None:
    return tensor.grad if tensor.grad is None or isinstance(tensor.grad, np.ndarray) else tensor.grad.data


def run_backward(y: Theirs, dy: Array) -> None:
    """y.backward(dy) where it takes a gradient, else the backward of the loss sum(y dy)."""
    if any(plain(name).startswith(("grad", "dy", "dout", "upstream", "seed")) for name in parameter_names(y.backward)):
        y.backward(dy)
        return
    loss = product(y, dy)
    (loss if loss.data.ndim == 0 else loss.sum()).backward()


def product(y: Theirs, dy: Array) -> Theirs:
    """y dy: of two tensors, or of a tensor and an array where it multiplies no tensors."""
    try:
        of_tensors = y * type(y)(dy)
        if is_output(of_tensors.data):
            return of_tensors
    except (TypeError, AttributeError, ValueError):
        pass
    return y * dy
