"""Calling the reader's two functions: on copies, so that no mistake reaches the next check, and never with a traceback of ours.

An exception in their code becomes a failed check that says which line raised it.
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import ndarray as Array

from .inputs import Inputs
from .returned import first_of, gradient_arrays, output_array
from .verdict import Stopped
from .wording import without_partial

HERE = Path(__file__).parent


@dataclass
class Pair:
    """The two functions and the inputs that they are graded on."""

    forward: Callable
    backward: Callable
    inputs: Inputs
    y_shape: tuple[int, ...] | None = None  # of the first call; every later one has to give it again

    def in_float64(self) -> "Pair":
        return replace(self, inputs=self.inputs.in_float64())

    def run_forward(self, values: Sequence) -> tuple[Array, tuple]:
        """The inputs' values -> y and what the backward gets after dy. Passes the very values on: the caller copies."""
        result = called(self.forward, "forward", *values)
        y = self.as_before(output_array(result, self.inputs.dtype))
        return y, (result[1],) if isinstance(result, tuple) else tuple(values)

    def run_backward(self, dy: Array, rest: tuple) -> list[Array]:
        """The gradients of the floating inputs, as copies: a backward may hand out a buffer that its next call overwrites."""
        return gradient_arrays(called(self.backward, "backward", dy, *rest), self.inputs)

    def gradients(self, dy: Array) -> list[Array]:
        """Forward and backward, on copies."""
        _, rest = self.run_forward(self.inputs.copies())
        return self.run_backward(handed_over(dy), rest)

    def y(self, *values) -> Array:
        """The output alone, of inputs that may be complex or far away."""
        return self.as_before(np.array(first_of(called(self.forward, "forward", *values))))

    def as_before(self, y: Array) -> Array:
        """y, if its shape is the first call's."""
        if self.y_shape is None:
            self.y_shape = y.shape
        if y.shape != self.y_shape:
            raise Stopped("output", f"y has the shape {self.y_shape}, and {y.shape} when the forward runs again")
        return y


def handed_over(dy: Array) -> Array:
    """The copy of dy that a backward gets: a scalar where it has no axes, as NumPy's arithmetic would give it."""
    return dy.copy()[()]


def called(function: Callable, role: str, *arguments):
    """function(*arguments); an exception in it becomes a failed check that says which, and in which line."""
    try:
        return function(*arguments)
    except Exception as error:
        unwritten = str(error) if role == "backward" and isinstance(error, NotImplementedError) else None
        text = described(error, function)
        if "\nin line" not in text:  # Python could not even call it: too many arguments, say
            text += "\n(called as forward(*inputs), then backward(dy, cache), or backward(dy, *inputs) where there is no cache)"
        raise Stopped(f"{role} runs", text, unwritten) from error


def described(error: Exception, function: Callable) -> str:
    """The exception's type and message, and the deepest line of it that stands in the file of the reader's function."""
    code = getattr(inspect.unwrap(without_partial(function)), "__code__", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != HERE]
    theirs = [frame for frame in frames if code is not None and frame.filename == code.co_filename] or frames
    text = f"it raised {type(error).__name__}: {error}"
    return f"{text}\nin line {theirs[-1].lineno} of {theirs[-1].filename}: {theirs[-1].line}" if theirs else text
