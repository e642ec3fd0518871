"""Layers on a reader's own autograd: their forward takes and gives tensors, and the output's backward() fills every grad.

A tensor is recognised by what it has: an array `data`, a `grad`, and a `backward`.
"""

import copy

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .inputs import parameter_names
from .names import plain


def is_tensor(x: Theirs) -> bool:
    array = None if isinstance(x, np.ndarray) else getattr(x, "data", None)
    return isinstance(array, np.ndarray) and hasattr(x, "grad") and callable(getattr(x, "backward", None))


def tensor_of(template: Theirs, array: Array) -> Theirs:
    """A tensor like that one, of this array (the very one), with a gradient of zeros."""
    grad = getattr(template.grad, "data", template.grad) if not isinstance(template.grad, np.ndarray) else template.grad
    zeros = {} if grad is None else {id(grad): np.zeros(array.shape, array.dtype)}
    return copy.deepcopy(template, {id(template.data): array, **zeros})


def gradient_of(tensor: Theirs) -> Array | None:
    return tensor.grad if tensor.grad is None or isinstance(tensor.grad, np.ndarray) else tensor.grad.data


def run_backward(y: Theirs, dy: Array) -> None:
    """y.backward(dy) where it takes a gradient, else the backward of the loss sum(y dy)."""
    if any(plain(name).startswith(("grad", "dy", "dout", "upstream", "seed")) for name in parameter_names(y.backward)):
        y.backward(dy)
        return
    try:
        loss = y * dy
    except (TypeError, AttributeError):  # it multiplies tensors only
        loss = y * type(y)(dy)
    (loss if loss.data.ndim == 0 else loss.sum()).backward()
