"""Calling the reader's two functions: on copies, so that no mistake reaches the next check, and never with a traceback of ours.

An exception in their code becomes a failed check that says which line raised it.
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .inputs import Inputs, required_names
from .returned import Result, gradient_arrays, output_array, packed, taken_apart, unpacked
from .verdict import Stopped
from .wording import without_partial

HERE = Path(__file__).parent


@dataclass
class Pair:
    """The two functions and the inputs that they are graded on."""

    forward: Callable
    backward: Callable
    inputs: Inputs
    # list[tuple[int, ...]], of the outputs at the first call (None before); every later one has to give them again
    shapes: Any = None
    blocked: dict[str, Callable] = field(
        default_factory=dict
    )  # the forward with one of its paths cut: nothing flows back there

    def in_float64(self) -> "Pair":
        return replace(self, inputs=self.inputs.in_float64())

    def run_forward(self, values: Sequence) -> tuple[Array, "Handed"]:
        """The inputs' values -> y and what the backward gets beside dy. Passes the very values on: the caller copies."""
        arguments = self.inputs.arguments(values)
        result = self.taken_apart(called(self.forward, "forward", *arguments))
        outputs = [output_array(each, self.inputs.dtype) for each in result.outputs]
        return packed(self.as_before(outputs)), Handed(result.cache or arguments, result.together)

    def run_backward(self, dy: Array, handed: "Handed") -> list[Array]:
        """The gradients of the floating inputs, as copies: a backward may hand out a buffer that its next call overwrites."""
        cotangents = [each[()] for each in unpacked(dy, self.shapes)]
        first = [tuple(cotangents)] if handed.together else cotangents
        return gradient_arrays(called(self.backward, "backward", *first, *handed.rest), self.inputs)

    def gradients(self, dy: Array) -> list[Array]:
        """Forward and backward, on copies."""
        _, handed = self.run_forward(self.inputs.copies())
        return self.run_backward(handed_over(dy), handed)

    def y(self, *values: Theirs) -> Array:
        """The output alone, of inputs that may be complex or far away."""
        result = self.taken_apart(called(self.forward, "forward", *self.inputs.arguments(values)))
        return packed(self.as_before([np.array(each) for each in result.outputs]))

    def taken_apart(self, returned: Theirs) -> Result:
        return taken_apart(returned, required_names(self.backward), len(self.inputs.given or self.inputs.values))

    def as_before(self, outputs: list[Array]) -> list[Array]:
        """The outputs, if their shapes are the first call's."""
        shapes = [each.shape for each in outputs]
        if self.shapes is None:
            self.shapes = shapes
        if shapes != self.shapes:
            before, now = (each[0] if len(each) == 1 else each for each in (self.shapes, shapes))
            raise Stopped("output", f"y has the shape {before}, and {now} when the forward runs again")
        return outputs


class Handed(NamedTuple):
    """What a backward gets beside dy."""

    rest: tuple  # the cache, or the arguments where there is none
    together: bool  # the cotangents of several outputs come as one tuple


def handed_over(dy: Array) -> Array:
    """A copy of dy for a backward to keep."""
    return dy.copy()


A_PAIR = (
    "called as forward(*inputs), then backward(dy, cache), or backward(dy, *inputs) where there is no cache; "
    "for a layer's methods there is npgpt.check_layer"
)


def called(function: Callable, role: str, *arguments: Theirs, how: str = A_PAIR, **options: Theirs) -> Theirs:
    """function(*arguments, **options); an exception in it becomes a failed check that says which, and in which line.

    how : they are called, in words, for where Python could not even call the function.
    """
    try:
        return function(*arguments, **options)
    except Stopped:  # a layer's own method was called inside, and said so
        raise
    except Exception as error:
        unwritten = str(error) if role == "backward" and isinstance(error, NotImplementedError) else None
        text = described(error, function)
        if how and "\nin line" not in text:
            text += f"\n({how})"
        raise Stopped(f"{role} runs", text, unwritten) from error


def described(error: Exception, function: Callable) -> str:
    """The exception's type and message, and the deepest line of it that stands in the file of the reader's function."""
    code = getattr(inspect.unwrap(without_partial(function)), "__code__", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != HERE]
    theirs = [frame for frame in frames if code is not None and frame.filename == code.co_filename] or frames
    text = f"it raised {type(error).__name__}: {error}"
    return f"{text}\nin line {theirs[-1].lineno} of {theirs[-1].filename}: {theirs[-1].line}" if theirs else text
