"""Is this backward right? The checks that npgpt's own operations get, for anybody's pair of functions.

    print(check_backward(softmax, softmax_backward, x))

In this order: both functions run; the output's dtype; the number of gradients, their shapes and dtypes; nothing that was passed
in is changed; the backward is linear in the cotangent; its gradients are the forward's derivative, as numerical.py measures it
(complex step, or finite differences where the forward takes no complex numbers); and both equal a reference, if there is one.
The cotangent dy is always random: with ones, softmax's and LayerNorm's gradients are 0, and any backward passes.

How far two right answers may be apart is derived. Rounding alone makes a gradient differ by some eps of its natural size (its
largest element, or max|dy| max|y| / max|x| where that is more: a true gradient may be all but zero), and by what it moves when
every number that goes into it moves by an eps or two (its `noise`). We allow 64 of the first and 16 of the second, and where
finite differences judge, 8 times their own error estimate.
"""

import functools
import inspect
import math
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .diagnose import Mistake, likely_mistake
from .numerical import H, complex_step, finite_differences, moved, one_hot

EPS_FACTOR = 64  # as for the complex step in the parity suite
NOISE_FACTOR = 16
DIFFERENCES_FACTOR = 8  # in 6,720 derivatives the error was at most 0.45 of its estimate
PRECISION = "precision, since 6 digits agree: a float32 on the way, or large numbers subtracted from each other"
EPS = float(np.finfo(np.float64).eps)
MOST_ELEMENTS = {"the complex step": 2000, "finite differences": 400}  # of one input; beyond it a random sample is graded


class Check(NamedTuple):
    name: str
    passed: bool
    message: str


@dataclass(frozen=True, repr=False)
class Verdict:
    """What `check_backward` found: true where every check passed; `print` it for the report."""

    name: str  # of the backward
    checks: tuple[Check, ...]  # in the order in which they ran; a failed one may make the later ones impossible
    mistake: Mistake | None = None  # what the first wrong gradient looks like
    unwritten: str | None = None  # the message of the NotImplementedError that stands where the backward should

    @property
    def ok(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def first_failure(self) -> str | None:
        """The name of the first check that failed."""
        return next((check.name for check in self.checks if not check.passed), None)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.unwritten is not None:
            return f"{self.name} is not written yet: {self.unwritten or 'your turn'}"
        lines = [f"{self.name} is {'right' if self.ok else 'wrong'}."]
        for check in self.checks:
            first, *rest = check.message.split("\n")
            lines += [f"  {'ok   ' if check.passed else 'WRONG'}  {check.name:22} {first}", *(" " * 32 + line for line in rest)]
        return "\n".join(lines)

    __repr__ = __str__


def check_backward(forward: Callable, backward: Callable, *inputs, reference: Callable | None = None, seed: int = 0) -> Verdict:
    """Grades a hand-written backward pass. Nothing that the two functions do wrong raises: it becomes a failed check.

    Parameters
    ----------
    forward : forward(*inputs) -> y or (y, cache); y one array (or scalar) of floats.
    backward : backward(dy, cache), or backward(dy, *inputs) where the forward gives y alone -> one gradient for each floating
        input, in their order, with its shape and dtype: an array, or a tuple or list of them. An input without floats (ids, a
        mask of booleans, a number of heads, None) has no gradient: None may stand in its place, or nothing.
    inputs : arrays, at least one of floats, all finite. Small ones, since every element costs a forward pass or more. Lists and
        Python floats are taken as arrays; anything else (an int, a string, None) is passed on as it is.
    reference : a function that is known to be right, of NumPy arrays or of torch tensors: reference(*inputs) -> y or (y, ...),
        and torch differentiates it if y is a tensor. One that has a parameter dy gets it and returns (y, gradients).
    seed : of the cotangents, and of the sample where an input has too many elements.

    Dtypes are checked on the inputs as they are given, everything else in float64.

    Raises TypeError where forward, backward or reference is not callable and where an input is complex, an object or a tensor;
    ValueError where no input holds floats, where one is empty, and where one holds a nan or an infinity.
    """
    for role, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"{role} must be a function, got {type(function).__name__}")
    if reference is not None and not callable(reference):
        raise TypeError(f"reference must be a function or None, got {type(reference).__name__}")
    names = input_names(forward, len(inputs))
    pair = Pair(forward, backward, [checked_input(x, name) for x, name in zip(inputs, names, strict=True)], names)
    if not pair.places:
        raise ValueError("no input holds floating-point numbers, so there is no gradient to check")
    checks: list[Check] = []
    mistake = unwritten = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow at a large step; a nan in the results is found anyway
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            for check, its_mistake in graded(pair, reference, np.random.default_rng(seed)):
                checks.append(check)
                mistake = mistake or its_mistake
        except Stopped as stopped:
            checks = [check for check in checks if check.name != stopped.check.name]  # it had passed on an earlier call
            checks.append(stopped.check)
            unwritten = stopped.unwritten
    return Verdict(function_name(backward), tuple(checks), mistake, unwritten)


# ------------------------------------------------------------------------------------------- calling the reader's two functions


class Stopped(Exception):
    """No further check is possible; carries the failed one."""

    def __init__(self, name: str, message: str, unwritten: str | None = None):
        super().__init__(message)
        self.check, self.unwritten = Check(name, False, message), unwritten


@dataclass(frozen=True)
class Pair:
    """The two functions and the inputs that they are graded on. Every call gets copies: no mistake reaches the next check."""

    forward: Callable
    backward: Callable
    inputs: list
    names: list[str]
    y_shape: tuple[int, ...] | None = None  # of the first call; every later one has to give it again

    @property
    def places(self) -> list[int]:
        """The places of the inputs that have a gradient."""
        return [i for i, x in enumerate(self.inputs) if is_floating(x)]

    @property
    def wanted(self) -> list[str]:
        """The names of the gradients."""
        return [gradient_name(self.names[i]) for i in self.places]

    def in_float64(self) -> "Pair":
        wide = [x.astype(np.float64) if is_floating(x) else x for x in self.inputs]
        return replace(self, inputs=wide)

    def run_forward(self, inputs: Sequence) -> tuple[Array, tuple]:
        """inputs -> y and what the backward gets after dy. Passes the very inputs on: the caller copies."""
        result = called(self.forward, "forward", *inputs)
        y = self.as_before(output_array(result, np.result_type(*[inputs[i].dtype for i in self.places])))
        return y, (result[1],) if isinstance(result, tuple) else tuple(inputs)

    def run_backward(self, dy: Array, rest: tuple) -> list[Array]:
        """The gradients of the floating inputs, as copies: a backward may hand out a buffer that its next call overwrites."""
        return gradient_arrays(self, called(self.backward, "backward", dy, *rest))

    def y(self, *inputs) -> Array:
        """The output alone, of inputs that may be complex or far away."""
        return self.as_before(np.array(first_of(called(self.forward, "forward", *inputs))))

    def as_before(self, y: Array) -> Array:
        """y, if its shape is the first call's."""
        if self.y_shape is not None and y.shape != self.y_shape:
            raise Stopped("output", f"y has the shape {self.y_shape}, and {y.shape} when the forward runs again")
        return y

    def gradients(self, dy: Array, inputs: Sequence | None = None) -> list[Array]:
        """Forward and backward, on copies."""
        _, rest = self.run_forward(copies(self.inputs if inputs is None else inputs))
        return self.run_backward(dy.copy()[()], rest)


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
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    theirs = [frame for frame in frames if code is not None and frame.filename == code.co_filename] or frames
    text = f"it raised {type(error).__name__}: {error}"
    return f"{text}\nin line {theirs[-1].lineno} of {theirs[-1].filename}: {theirs[-1].line}" if theirs else text


def output_array(result, dtype: np.dtype) -> Array:
    """The y of what a forward returned; a Python float in that dtype. Raises Stopped where it is no array of floats."""
    if isinstance(result, tuple) and len(result) != 2:
        raise Stopped("output", f"the forward must return y or the pair (y, cache), got a tuple of {len(result)}")
    y = result[0] if isinstance(result, tuple) else result
    if not isinstance(y, np.ndarray | np.generic | float):
        raise Stopped("output", f"the forward must return an array y or the pair (y, cache), got {type(y).__name__} for y")
    y = np.array(y, dtype if type(y) is float else None)  # a copy: the next call may write to the same buffer
    if y.dtype.kind != "f":
        raise Stopped("output", f"y is of dtype {y.dtype}; a gradient needs real floating-point numbers")
    if y.size == 0:
        raise Stopped("output", f"y is empty, of shape {y.shape}")
    return y


def gradient_arrays(pair: Pair, returned) -> list[Array]:
    """What a backward returned, as one new array for each floating input. Raises Stopped where that is not what it is."""
    gradients = list(returned) if isinstance(returned, tuple | list) else [returned]
    expected = f"expected {len(pair.wanted)} ({', '.join(pair.wanted)}), one for each floating input"
    if len(gradients) == len(pair.inputs) > len(pair.wanted):
        for i, gradient in enumerate(gradients):
            if i not in pair.places and gradient is not None:
                message = f"{pair.names[i]} holds no floats and has no gradient: return None in its place, or leave it out"
                raise Stopped("number of gradients", message)
        gradients = [gradients[i] for i in pair.places]
    if len(gradients) != len(pair.wanted):
        raise Stopped("number of gradients", f"the backward returned {len(gradients)}, {expected}")
    for name, gradient in zip(pair.wanted, gradients, strict=True):
        if gradient is None:
            raise Stopped("number of gradients", f"{name} is None; {expected}")
        if not isinstance(gradient, np.ndarray | np.generic | float | int):
            raise Stopped("shapes", f"{name} must be an array, got {type(gradient).__name__}")
    dtypes = [pair.inputs[i].dtype if type(g) is float else None for i, g in zip(pair.places, gradients, strict=True)]
    arrays = [np.array(gradient, dtype) for gradient, dtype in zip(gradients, dtypes, strict=True)]
    problem = shape_problem(pair, arrays)
    if problem:
        raise Stopped("shapes", problem)
    for name, gradient in zip(pair.wanted, arrays, strict=True):
        if gradient.dtype.kind != "f":
            raise Stopped("dtypes", f"{name} is of dtype {gradient.dtype}; a gradient is real floating-point numbers")
    return arrays


def shape_problem(pair: Pair, gradients: list[Array]) -> str:
    """What is wrong with the gradients' shapes, and the likely reason; "" where nothing is."""
    shapes, wanted = [g.shape for g in gradients], [pair.inputs[i].shape for i in pair.places]
    if shapes == wanted:
        return ""
    place, got, right = next((i, s, w) for i, s, w in zip(pair.places, shapes, wanted, strict=True) if s != w)
    name = pair.names[place]
    problem = f"{gradient_name(name)} has the shape {got}, {name} has {right}"
    leading = len(got) - len(right)
    if sorted(shapes) == sorted(wanted):
        return f"{problem}\nLikely mistake: the order. Return {', '.join(pair.wanted)}, in the order of the inputs."
    if leading > 0 and got[leading:] == right:
        axes = ", ".join(map(str, range(leading)))
        return f"{problem}\nLikely mistake: {name} was broadcast over the axes {axes}, so its gradient sums over them."
    if sorted(got) == sorted(right):
        return f"{problem}\nLikely mistake: a transpose is missing, or one too many."
    return problem


# ------------------------------------------------------------------------------------------------------------------ the checks


def graded(given: Pair, reference: Callable | None, rng: np.random.Generator) -> Iterator[tuple[Check, Mistake | None]]:
    """Every check in turn, with the mistake that it recognised."""
    inputs = copies(given.inputs)
    y, _ = given.run_forward(inputs)
    given = replace(given, y_shape=y.shape)
    yield Check("forward runs", True, f"on {', '.join(map(described_input, given.names, given.inputs))}"), None
    changed_by_forward = changed(given.names, given.inputs, inputs)
    yield output_check(given, y), None

    inputs = copies(given.inputs)
    y, rest = given.run_forward(inputs)
    dy = rng.standard_normal(y.shape).astype(y.dtype)  # random, never ones
    passed_dy = dy.copy()[()]
    gradients = given.run_backward(passed_dy, rest)
    yield Check("backward runs", True, "on a random cotangent dy"), None
    without = [name for i, name in enumerate(given.names) if i not in given.places]
    left_out = f"; none for {', '.join(without)}, which holds no floats" if without else ""
    yield Check("number of gradients", True, f"{len(gradients)} ({', '.join(given.wanted)}){left_out}"), None
    yield Check("shapes", True, ", ".join(f"{name} {g.shape}" for name, g in zip(given.wanted, gradients, strict=True))), None
    yield dtypes_check(given, gradients), None
    changed_by_both = changed([*given.names, "dy"], [*given.inputs, dy], [*inputs, passed_dy])
    again = given.run_backward(dy.copy()[()], rest)
    yield unchanged_check(given, changed_by_forward, changed_by_both, gradients, again), None

    pair = given.in_float64()
    y, _ = pair.run_forward(copies(pair.inputs))
    dy = rng.standard_normal(y.shape)
    mine = pair.gradients(dy)
    noise = backward_noise(pair, dy, mine, rng)
    yield linearity_check(pair, y, dy, mine, noise, rng), None
    truth = measured(pair, y, dy, rng)
    yield derivative_check(pair, y, dy, mine, noise, truth)
    if reference is not None:
        yield reference_check(pair, reference, y, dy, mine, noise, rng)


def output_check(pair: Pair, y: Array) -> Check:
    """y's dtype; that it is finite; that a second call gives it again."""
    again, _ = pair.run_forward(copies(pair.inputs))
    finite = np.isfinite(y)
    if not finite.all():
        raise Stopped("output", f"{element('y', ~finite)} is {y[~finite][0]}: there is no gradient; try other inputs")
    if np.abs(again - y).max() > EPS_FACTOR * eps_of(y) * np.abs(y).max():
        raise Stopped("output", "the forward gives another y when it runs again: does its dropout need a fixed seed?")
    wanted = np.result_type(*[pair.inputs[i].dtype for i in pair.places])
    if y.dtype != wanted:
        return Check("output", False, f"y is {y.dtype}, the inputs are {wanted}{widening(y.dtype, wanted)}")
    return Check("output", True, f"y {y.shape}, {y.dtype}, finite, the same when called again")


def dtypes_check(pair: Pair, gradients: list[Array]) -> Check:
    for place, name, gradient in zip(pair.places, pair.wanted, gradients, strict=True):
        wanted = pair.inputs[place].dtype
        if gradient.dtype != wanted:
            hint = widening(gradient.dtype, wanted)
            return Check("dtypes", False, f"{name} is {gradient.dtype}, {pair.names[place]} is {wanted}{hint}")
    return Check("dtypes", True, "each gradient has its input's")


def widening(got: np.dtype, wanted: np.dtype) -> str:
    if got.kind == "f" and got.itemsize > wanted.itemsize:
        return "\nLikely mistake: a np.float64 scalar (np.sqrt(64) is one) or array widens the result; use Python floats."
    return ""


def unchanged_check(
    pair: Pair, by_forward: str | None, by_both: str | None, gradients: list[Array], again: list[Array]
) -> Check:
    """Inputs and dy as before; the same gradients from the same cache a second time."""
    in_place = "\nLikely mistake: work in place (-=, *=, out=, sort(), a write to a view) on something that was passed in."
    for function, name in (("forward", by_forward), ("backward", by_both)):
        if name:
            return Check("nothing changed", False, f"the {function} changes {name}{in_place}")
    for name, first, second in zip(pair.wanted, gradients, again, strict=True):
        wrong = ~(np.abs(second - first) <= EPS_FACTOR * eps_of(first) * np.abs(first).max())
        if wrong.any() and np.isfinite(first).all():
            numbers = f"{element(name, wrong)} is {first[wrong][0]:.6g}, then {second[wrong][0]:.6g}"
            message = f"the backward gives other gradients when it runs again on the same cache: {numbers}"
            return Check("nothing changed", False, f"{message}{in_place}")
    return Check("nothing changed", True, "inputs, dy and cache are as they were")


def linearity_check(pair: Pair, y: Array, dy: Array, mine: list[Array], noise: list[float], rng: np.random.Generator) -> Check:
    """backward(1024 a) = 1024 backward(a), backward(0) = 0, backward(a + b) = backward(a) + backward(b)."""
    other = rng.standard_normal(dy.shape)
    of_other = pair.gradients(other)
    hints = {
        "0 dy": (0 * dy, [0 * g for g in mine], "it adds something that does not depend on dy"),
        "1024 dy": (1024 * dy, [1024 * g for g in mine], "dy is used twice, clipped, or not at all"),
        "dy + another": (
            dy + other,
            [a + b for a, b in zip(mine, of_other, strict=True)],
            "a term holds dy twice, inside a function, or not at all",
        ),
    }
    for what, (cotangent, expected, hint) in hints.items():
        got = pair.gradients(cotangent)
        for i, name in enumerate(pair.wanted):
            size = 1024 if what == "1024 dy" else 1
            largest = max(np.abs(mine[i]).max(), np.abs(of_other[i]).max())
            natural = natural_size(pair.inputs[pair.places[i]], y, dy, float(largest))
            bound = size * 2 * rounding_bound(eps_of(mine[i]), noise[i], natural)
            wrong = ~(np.abs(got[i] - expected[i]) <= bound)
            if wrong.any() and np.isfinite(mine[i]).all():
                numbers = f"{element(name, wrong)} is {two(got[i], expected[i], wrong)} for {what}"
                if np.abs(got[i] - expected[i]).max() <= 1e-6 * np.abs(expected[i]).max():
                    hint = PRECISION
                return Check("linearity", False, f"the backward is not linear in dy: {numbers}\nLikely mistake: {hint}.")
    return Check("linearity", True, "twice the cotangent is twice the gradient, a sum's gradient the sum of the gradients")


def backward_noise(pair: Pair, dy: Array, mine: list[Array], rng: np.random.Generator) -> list[float]:
    """How far each gradient moves when every number that the backward gets moves by an eps or two: the largest of six times.

    Three times the inputs move, and three times the cache, whose own rounding errors no nudge of the inputs shows.
    """
    noise = [0.0] * len(mine)
    for what in ("inputs", "cache") * 3:
        _, rest = pair.run_forward(all_nudged(pair.inputs, rng) if what == "inputs" else copies(pair.inputs))
        try:
            near = pair.run_backward(nudged(dy, rng), rest if what == "inputs" else nudged(rest, rng))
        except (Stopped, RecursionError):  # a cache in which something has to be exact, or that holds itself
            continue
        noise = [max(old, float(np.abs(a - b).max())) for old, a, b in zip(noise, near, mine, strict=True)]
    return noise


def nudged(x, rng: np.random.Generator):
    """Every floating element by up to two eps, in arrays and in tuples, lists and dicts of them; anything else as it is.

    Up to two, at random: one eps for all would keep the sum of two numbers odd or even, and its rounding with it.
    """
    if isinstance(x, tuple):
        inside = [nudged(each, rng) for each in x]
        return type(x)(*inside) if hasattr(x, "_fields") else tuple(inside)
    if isinstance(x, list):
        return [nudged(each, rng) for each in x]
    if isinstance(x, dict):
        return {key: nudged(each, rng) for key, each in x.items()}
    if isinstance(x, float | np.floating) or is_floating(x):
        return x * (1 + rng.uniform(-2 * EPS, 2 * EPS, np.shape(x)))
    return x


# --------------------------------------------------------------------------------------------------------------- the derivative


class Measured(NamedTuple):
    """The true gradient of one input, at all or a sample of its elements, then along one direction too."""

    elements: Array  # (n,) flat indices
    values: Array  # (n,)
    errors: Array  # (n,) estimates by the finite differences; 0 for the complex step
    kinks: Array  # (n,) booleans: left and right derivative differ
    noise: float  # how far the values move when every input moves by an eps or two
    direction: Array | None  # the input's shape
    slope: float  # along the direction
    slope_error: float


class Truth(NamedTuple):
    method: str  # "the complex step" or "finite differences"
    reason: str  # why not the complex step
    of: list[Measured]  # one for each floating input


def measured(pair: Pair, y: Array, dy: Array, rng: np.random.Generator) -> Truth:
    """The gradients as the forward's own numbers give them: what the backward is judged by."""
    y_error = forward_noise(pair, y, rng)
    reason = complex_problem(pair, y, dy, y_error, rng)
    method = "finite differences" if reason else "the complex step"

    def derivatives(inputs: list, place: int, directions) -> tuple[Array, Array, Array]:
        if reason:
            return finite_differences(pair.y, inputs, place, directions, dy, y_error)
        values = complex_step(pair.y, inputs, place, directions, dy)
        return values, np.zeros(len(values)), np.zeros(len(values), bool)

    truths = []
    for place in pair.places:
        x = pair.inputs[place]
        most = MOST_ELEMENTS[method]
        elements = np.arange(x.size) if x.size <= most else np.sort(rng.choice(x.size, most, replace=False))
        values, errors, kinks = derivatives(pair.inputs, place, one_hot(x.shape, elements))
        noise = 0.0
        if not reason:
            some = rng.permutation(len(elements))[:32]
            again = derivatives(all_nudged(pair.inputs, rng), place, one_hot(x.shape, elements[some]))[0]
            noise = float(np.abs(again - values[some]).max())
        direction, slope, slope_error = None, 0.0, 0.0
        if len(elements) < x.size:
            direction = rng.standard_normal(x.shape)
            slope, slope_error, _ = (float(column[0]) for column in derivatives(pair.inputs, place, [direction]))
        truths.append(Measured(elements, values, errors, kinks, noise, direction, slope, slope_error))
    return Truth(method, reason, truths)


def forward_noise(pair: Pair, y: Array, rng: np.random.Generator) -> Array:
    """How far each element of y moves when every input moves by an eps or two: the larger of two times."""
    near = [pair.run_forward(all_nudged(pair.inputs, rng))[0] for _ in range(2)]
    return np.maximum(*[np.abs(each - y) for each in near])


def complex_problem(pair: Pair, y: Array, dy: Array, y_error: Array, rng: np.random.Generator) -> str:
    """Why the complex step cannot judge this forward, or "" where it can.

    A forward that runs may still lose an imaginary part on the way (np.abs, np.var, .real). So the derivative along a random
    direction of each input has to agree with finite differences within their error.
    """
    for place in pair.places:
        x = pair.inputs[place]
        direction = rng.standard_normal(x.shape)
        try:
            there = pair.y(*moved(pair.inputs, place, 1j * H * direction))
            along = float(complex_step(pair.y, pair.inputs, place, [direction], dy)[0])
        except Exception as error:
            return f"the forward does not take complex numbers ({type(error.__cause__ or error).__name__})"
        if there.shape != y.shape or not np.abs(there.real - y).max() <= math.sqrt(EPS) * max(np.abs(y).max(), np.abs(x).max()):
            return "the forward gives another y on complex numbers"
        differences = finite_differences(pair.y, pair.inputs, place, [direction], dy, y_error)
        natural = natural_size(x, y, dy, abs(along)) * np.abs(direction).sum()
        bound = DIFFERENCES_FACTOR * differences.errors[0] + EPS_FACTOR * EPS * natural
        if not abs(along - differences.values[0]) <= bound or not bound <= 1e-3 * natural:
            return "the complex step disagrees: np.abs, np.var or .real drops the imaginary part, or there is a kink"
    return ""


def natural_size(x: Array, y: Array, dy: Array, largest: float) -> float:
    """The size of a gradient: its largest element, or what the sizes of x, y and dy lead one to expect, if that is more."""
    return max(largest, float(np.abs(dy).max() * np.abs(y).max() / (np.abs(x).max() or 1.0)))


def derivative_check(
    pair: Pair, y: Array, dy: Array, mine: list[Array], noise: list[float], truth: Truth
) -> tuple[Check, Mistake | None]:
    """Every measured element of every gradient, and the sampled ones' random direction."""
    problems: dict[str, str] = {}  # of each wrong gradient
    notes: list[str] = []
    mistake = None
    for i, (name, true) in enumerate(zip(pair.wanted, truth.of, strict=True)):
        x, gradient = pair.inputs[pair.places[i]], mine[i].flat[true.elements].astype(np.float64)
        clear = ~true.kinks & np.isfinite(true.errors)
        largest = float(np.abs(true.values[clear]).max(initial=0.0))
        natural = natural_size(x, y, dy, largest)
        clear &= DIFFERENCES_FACTOR * true.errors <= 1e-3 * natural
        bound = rounding_bound(eps_of(mine[i]), noise[i] + true.noise, natural)
        wrong = clear & ~(np.abs(gradient - true.values) <= bound + DIFFERENCES_FACTOR * true.errors)
        if not clear.any():
            problems[name] = f"{name} cannot be measured: the forward is not smooth at these inputs; try others"
        elif wrong.any():
            problems[name] = wrong_elements(name, x.shape, gradient, true, wrong, truth.method)
            if len(problems) == 1:
                mistake, hint = recognised(pair, y, i, gradient, np.where(clear, true.values, gradient), truth)
                problems[name] += f"\nLikely mistake: {hint}"
        else:
            problems |= wrong_along(name, mine[i], true, bound, truth.method)
        notes += notes_on(name, x.shape, true, clear, vacuous=largest <= bound and name not in problems)
    how = f"{truth.method}{f', since {truth.reason}' if truth.reason else ''}"
    if not problems:
        counts = ", ".join(f"{name} {len(true.elements)}" for name, true in zip(pair.wanted, truth.of, strict=True))
        return Check("derivative", True, "\n".join([f"every element is right ({counts}), by {how}", *notes])), None
    first, *others = problems
    lines = [problems[first]]
    if others:
        lines.append(f"Also wrong: {', '.join(others)}.")
    if len(problems) < len(pair.wanted):
        lines.append(f"Right: {', '.join(name for name in pair.wanted if name not in problems)}.")
    return Check("derivative", False, "\n".join([*lines, *notes, f"(judged by {how})"])), mistake


def wrong_elements(name: str, shape: tuple, gradient: Array, true: Measured, wrong: Array, method: str) -> str:
    """The first wrong element with both values, and how many there are. gradient (n,), wrong (n,) booleans."""
    first = int(wrong.argmax())
    where = name + subscript(np.unravel_index(true.elements[first], shape))
    sampled = " sampled" if len(wrong) < math.prod(shape) else ""
    count = f"{wrong.sum()} of {len(wrong)}{sampled} elements of {name} are wrong"
    return f"{where} is {shown(gradient[first], true.values[first])} by {method} ({count})"


def wrong_along(name: str, gradient: Array, true: Measured, bound: float, method: str) -> dict[str, str]:
    """{name: problem} where a gradient that is right in a sample is wrong along the random direction, else {}."""
    if true.direction is None:
        return {}
    along = float((gradient * true.direction).sum())
    if abs(along - true.slope) <= bound * np.abs(true.direction).sum() + DIFFERENCES_FACTOR * true.slope_error:
        return {}
    text = f"{name} is right in a sample of {len(true.elements)} elements, but along a random direction it"
    return {name: f"{text} is {shown(along, true.slope)} by {method}"}


def rounding_bound(eps: float, noise: float, natural: float) -> float:
    """How far rounding alone may take a right gradient from the truth. Half of its digits must be right."""
    return EPS_FACTOR * eps * natural + min(NOISE_FACTOR * noise, math.sqrt(eps) * natural)


def notes_on(name: str, shape: tuple, true: Measured, clear: Array, vacuous: bool) -> list[str]:
    """What a reader should know about how far the check reaches."""
    notes = []
    size, graded, left_out = math.prod(shape), len(true.elements), int((~clear).sum())
    if graded < size:
        notes.append(f"Note: {name} has {size} elements; a sample of {graded} and a random direction were graded.")
    if 0 < left_out < graded:
        first = name + subscript(np.unravel_index(true.elements[int((~clear).argmax())], shape))
        notes.append(f"Note: {left_out} elements of {name} lie on a kink and were left out, the first is {first}.")
    if vacuous:
        notes.append(f"Note: {name} is all but zero at these inputs, so this says little about it; try others.")
    return notes


def recognised(pair: Pair, y: Array, i: int, wrong: Array, right: Array, truth: Truth) -> tuple[Mistake | None, str]:
    """What the i-th gradient looks like: another input's, or what npgpt/check/diagnose.py knows. wrong and right (n,)."""
    shape = pair.inputs[pair.places[i]].shape
    for j, true in enumerate(truth.of):
        same = pair.inputs[pair.places[j]].shape == shape and np.array_equal(true.elements, truth.of[i].elements)
        if j != i and same and np.abs(wrong - true.values).max() <= 1e-6 * np.abs(true.values).max():
            return None, f"order: this is {pair.wanted[j]}; return {', '.join(pair.wanted)}, in the order of the inputs."
    if not np.isfinite(wrong).all():
        return None, "a division by 0, an overflow, or inf - inf: the gradient is not finite."
    if not right.any():
        return None, "a gradient where there is none: the output does not change with this input."
    if right.size == math.prod(shape):
        wrong, right = wrong.reshape(shape), right.reshape(shape)
    if np.abs(wrong - right).max() <= 1e-6 * np.abs(right).max():
        return None, PRECISION + "."
    mistake = likely_mistake(wrong, right, sizes(pair, y), in_rows=row_arrays(pair.inputs[pair.places[i]], y, right.shape))
    if mistake is None:
        return None, "none of the simple ones (sign, factor, transpose). Compare code and derivation term by term."
    return mistake, f"{mistake.kind}: {mistake.text.rstrip('.')}."


def row_arrays(x: Array, y: Array, shape: tuple[int, ...]) -> dict[str, Array]:
    """What a normalisation of x's rows has in its gradient: the output (softmax), or the normalised input (LayerNorm)."""
    if x.shape != shape or x.ndim == 0:
        return {}
    centred = x - x.mean(axis=-1, keepdims=True)
    arrays = {"the normalised input": centred / (centred.std(axis=-1, keepdims=True) + np.finfo(np.float64).tiny)}
    return ({"the output": np.float64(y)} if y.shape == shape else {}) | arrays


def sizes(pair: Pair, y: Array) -> dict[str, float]:
    """What a gradient may be off by: each axis, its square root, the number of rows, the number of elements; each size once."""
    named: dict[float, str] = {}
    for name, x in [("y", y), *zip(pair.names, pair.inputs, strict=True)]:
        if isinstance(x, np.ndarray):
            for axis in reversed(range(x.ndim)):
                named.setdefault(float(x.shape[axis]), f"{name}.shape[{axis}]")
            if x.ndim > 2:
                named.setdefault(x.size / x.shape[-1], f"the number of rows of {name}")
            named.setdefault(float(x.size), f"{name}.size")
    for size, name in list(named.items()):
        named.setdefault(math.sqrt(size), f"sqrt({name})")
    return {name: size for size, name in named.items() if size > 1}


# ---------------------------------------------------------------------------------------------------------------- the reference


def reference_check(
    pair: Pair, reference: Callable, y: Array, dy: Array, mine: list[Array], noise: list[float], rng: np.random.Generator
) -> tuple[Check, Mistake | None]:
    """y, and the gradients where the reference has any, against the reader's."""
    try:
        true_y, gradients = run_reference(pair, reference, dy)
        near = [run_reference(replace(pair, inputs=all_nudged(pair.inputs, rng)), reference, nudged(dy, rng)) for _ in range(8)]
    except Stopped as problem:  # of the gradients that it returned
        return Check("reference", False, f"of the reference: {problem}"), None
    except Exception as error:
        return Check("reference", False, f"{described(error, reference)}\n(the reference gets float64 inputs)"), None
    inputs = [pair.inputs[i] for i in pair.places]
    compared = [("y", y, true_y, forward_noise(pair, y, rng).max(), 0.0)]
    for i, true in enumerate(gradients):
        its_noise = noise[i] + max(np.abs(moved[i] - true).max() for _, moved in near)
        compared.append((pair.wanted[i], mine[i], true, its_noise, natural_size(inputs[i], y, dy, 0.0)))
    for name, got, true, its_noise, natural in compared:
        if got.shape != true.shape:
            return Check("reference", False, f"{name} has the shape {got.shape}, the reference's has {true.shape}"), None
        eps = max(eps_of(got), eps_of(true))
        wrong = ~(np.abs(got - true) <= rounding_bound(eps, float(its_noise), max(natural, float(np.abs(true).max()))))
        if wrong.any():
            blame = "\nThe forward computes another function than the reference." if name == "y" else ""
            numbers = f"{element(name, wrong)} is {two(got, true, wrong)} by the reference"
            return Check("reference", False, f"{numbers} ({wrong.sum()} of {got.size} elements are wrong){blame}"), None
    return Check("reference", True, f"{', '.join(name for name, *_ in compared)} equal the reference's"), None


def run_reference(pair: Pair, reference: Callable, dy: Array) -> tuple[Array, list[Array]]:
    """y and the gradients by the reference; no gradients where it gives y alone, as an array. Raises what the reference raises.

    Whether a function wants tensors or arrays, only trying tells: tensors first where torch has been imported anyway.
    """
    if "dy" in parameter_names(reference):
        y, gradients = reference(*copies(pair.inputs), dy=dy.copy()[()])
        return np.asarray(y), gradient_arrays(pair, gradients)
    on_arrays = functools.partial(run_on_arrays, pair, reference)
    on_tensors = functools.partial(run_on_tensors, pair, reference, dy)
    first, second = (on_tensors, on_arrays) if "torch" in sys.modules else (on_arrays, on_tensors)
    try:
        return first()
    except Exception as error:
        try:
            return second()
        except Exception:
            raise error from None


def run_on_arrays(pair: Pair, reference: Callable) -> tuple[Array, list[Array]]:
    y = np.asarray(first_of(reference(*copies(pair.inputs))))
    if y.dtype.kind != "f":
        raise TypeError(f"the reference must return an array or a tensor of floats, got dtype {y.dtype}")
    return y, []


def run_on_tensors(pair: Pair, reference: Callable, dy: Array) -> tuple[Array, list[Array]]:
    """The reference on tensors, differentiated by torch. Raises TypeError where it does not return a tensor."""
    import torch

    tensors = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in pair.inputs]
    leaves = [tensors[i].requires_grad_() for i in pair.places]
    y = first_of(reference(*tensors))
    if not isinstance(y, torch.Tensor):
        raise TypeError(f"the reference must return a tensor or an array, got {type(y).__name__}")
    if not y.requires_grad:
        return y.numpy(), []
    if y.shape != dy.shape:
        return y.detach().numpy(), []
    cotangent = torch.tensor(dy, dtype=y.dtype)
    gradients = torch.autograd.grad(y, leaves, cotangent, allow_unused=True, materialize_grads=True)
    return y.detach().numpy(), [g.numpy() for g in gradients]


# --------------------------------------------------------------------------------------------------------------- small change


def checked_input(x, name: str):
    """x as an array where it holds numbers, else as it is. Raises as check_backward says."""
    if isinstance(x, list | tuple | float):  # np.float64 is a float too
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        if isinstance(x, complex | np.complexfloating) or hasattr(x, "detach"):
            raise TypeError(f"{name} must be a real NumPy array, got {type(x).__name__}")
        return np.asarray(x) if isinstance(x, np.floating) else x
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    if x.size == 0:
        raise ValueError(f"{name} is empty, of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} holds a nan or an infinity, where no derivative exists (make a mask of -inf in the forward)")
    return x.astype(x.dtype.newbyteorder("="), copy=False)  # as any result of NumPy's arithmetic


def is_floating(x) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def copies(inputs: Sequence) -> list:
    return [x.copy(order="K") if isinstance(x, np.ndarray) else x for x in inputs]


def all_nudged(inputs: Sequence, rng: np.random.Generator) -> list:
    return nudged(copies(inputs), rng)


def changed(names: Sequence[str], before: Sequence, after: Sequence) -> str | None:
    """The first name whose array is not as it was."""
    for name, a, b in zip(names, before, after, strict=True):
        if isinstance(a, np.ndarray) and not np.array_equal(a, b):
            return name
    return None


def eps_of(x) -> float:
    dtype = np.asarray(x).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else EPS


def first_of(result):
    return result[0] if isinstance(result, tuple) else result


def parameter_names(function: Callable) -> list[str]:
    """Of its positional parameters and keywords; [] where Python does not know them (some built-in functions)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def input_names(forward: Callable, count: int) -> list[str]:
    """What the forward calls its inputs; "input 2" where it does not say."""
    names = parameter_names(forward)[:count]
    return names + [f"input {i}" for i in range(len(names), count)]


def gradient_name(name: str) -> str:
    return f"d({name})" if " " in name else f"d{name}"


def function_name(function: Callable) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return "the backward" if name == "<lambda>" else name


def described_input(name: str, x) -> str:
    return f"{name} {x.shape} {x.dtype}" if isinstance(x, np.ndarray) else f"{name} = {x!r:.20}"


def subscript(index: tuple) -> str:
    return f"[{', '.join(str(int(i)) for i in index)}]" if len(index) else ""


def element(name: str, wrong: Array) -> str:
    """The name of the first element where wrong is true."""
    return name + subscript(np.unravel_index(int(wrong.argmax()), wrong.shape))


def two(got: Array, right: Array, wrong: Array) -> str:
    return shown(float(got[wrong][0]), float(np.asarray(right)[wrong][0]))


def shown(got: float, right: float) -> str:
    """Both with as many digits as it takes to tell them apart."""
    got, right = got + 0.0, right + 0.0  # no -0
    a, b = next(((f"{got:.{d}g}", f"{right:.{d}g}") for d in (6, 10, 17) if f"{got:.{d}g}" != f"{right:.{d}g}"), (got, right))
    return f"{a} and should be {b}"
