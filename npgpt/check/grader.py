"""Is this backward right? The checks that npgpt's own operations get, for anybody's pair of functions.

    print(check_backward(softmax, softmax_backward, x))

In this order: both functions run; the output's dtype; the number of gradients, their shapes and dtypes; nothing that was passed
in is changed; the backward is linear in the cotangent; its gradients are the forward's derivative, as numerical.py measures it
(complex step, or finite differences where the forward takes no complex numbers); and both equal a reference, if there is one.
The cotangent dy is always random: with ones, softmax's and LayerNorm's gradients are 0, and one wrong by any factor passes.
"""

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator

import numpy as np

from ..types import Theirs
from .calling import Pair
from .contract import contract_checks
from .derivative import derivative_check
from .diagnose import Mistake
from .inputs import checked_inputs, parameter_names
from .linearity import SMALL, linearity_check
from .names import RATES, plain
from .reference import reference_check
from .rounding import trial_of, trial_on
from .truth import measured
from .verdict import Check, Stopped, Verdict
from .wording import function_name


def check_backward(
    forward: Callable,
    backward: Callable,
    *inputs: Theirs,
    without_gradient: Collection[str | int] = (),
    reference: Callable | None = None,
    seed: int = 0,
) -> Verdict:
    """Grades a hand-written backward pass. Nothing that the two functions do wrong raises: it becomes a failed check.

    Parameters
    ----------
    forward : forward(*inputs) -> y or (y, cache); y one array (or scalar) of floats. Several outputs are ((h, c), cache), or
        (h, c, cache) and (h, c) where the backward takes as many cotangents.
    backward : backward(dy, cache), or backward(dy, *inputs) where the forward gives y alone -> one gradient for each floating
        input, in their order, with its shape and dtype: an array, a tuple or list of them, or a dict by name ("dx" or "x").
        Of several outputs: backward(dh, dc, cache), or backward((dh, dc), cache). An input without floats (ids, a mask of
        booleans, a number of heads, None) has no gradient: None may stand in its place, or nothing.
    inputs : arrays, at least one of floats, all finite. Small ones, since every element costs a forward pass or more. Lists and
        Python floats are taken as arrays, dicts of arrays as parameters, each with a gradient; anything else (an int, a string,
        None) is passed on as it is.
    without_gradient : names or places of inputs that hold floats and have no gradient, such as a loss's targets.
    reference : a function that is known to be right, of NumPy arrays or of torch tensors: reference(*inputs) -> y or (y, ...),
        and torch differentiates it if y is a tensor. One that has a parameter dy gets it and returns (y, gradients).
    seed : of the cotangents, and of the sample where an input has too many elements.

    Dtypes are checked on the inputs as they are given, everything else in float64.

    Raises TypeError where forward, backward or reference is not callable, where the forward is a layer or the backward takes a
    learning rate (both: check_layer), and where an input is complex, an object or a tensor; ValueError where no input holds
    floats, where one is empty, where one holds a nan or an infinity, and where without_gradient names none.
    """
    refuse_what_check_layer_grades(forward, backward)
    for role, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"{role} must be a function, got {type(function).__name__}")
    refuse_other_references(reference)
    pair = Pair(forward, backward, checked_inputs(forward, inputs, without_gradient))
    return verdict_on(pair, reference, np.random.default_rng(seed))


def refuse_what_check_layer_grades(forward: Theirs, backward: Theirs) -> None:
    """A layer in place of a function, and a backward that updates weights itself. Raises TypeError."""
    if hasattr(forward, "forward") and hasattr(forward, "backward") and not callable(backward):
        name = type(forward).__name__ if not isinstance(forward, type) else forward.__name__
        raise TypeError(f"{name} is a layer, with a forward and a backward of its own: npgpt.check_layer(layer, x) grades it")
    rate = next((name for name in parameter_names(backward) if plain(name) in RATES), None)
    if rate is not None and rate not in parameter_names(forward):
        raise TypeError(
            f"the backward takes a learning rate ({rate}), so it updates weights: npgpt.check_layer(layer, x) grades it"
        )


def refuse_other_references(reference: object) -> None:
    if reference is not None and not callable(reference):
        raise TypeError(f"reference must be a function or None, got {type(reference).__name__}")


def verdict_on(pair: Pair, reference: Callable | None, rng: np.random.Generator, first: tuple[Check, ...] = ()) -> Verdict:
    """Every check in turn, as far as they are possible, after those that have been made already."""
    checks: list[Check] = list(first)
    mistake = unwritten = None
    try:
        with quietly():
            for check, its_mistake in every_check(pair, reference, rng):
                checks.append(check)
                mistake = mistake or its_mistake
    except Stopped as stopped:
        checks = [check for check in checks if check.name != stopped.check.name]  # it had passed on an earlier call
        checks.append(stopped.check)
        unwritten = stopped.unwritten
    return Verdict(function_name(pair.backward), tuple(checks), mistake, unwritten)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """The reader's code is run far from where it was meant to run; a complex number that is cut is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow at a large step; a nan in the results is found anyway
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        yield


def every_check(pair: Pair, reference: Callable | None, rng: np.random.Generator) -> Iterator[tuple[Check, Mistake | None]]:
    """Each check as it has run, with the mistake that it recognised."""
    for check in contract_checks(pair, rng):
        yield check, None
    trial = trial_of(pair, rng)
    check, mistake = linearity_check(trial, rng)
    yield check, mistake
    if mistake is not None:  # a clip: graded where nothing is clipped
        trial = trial_on(trial.pair, trial.y, 2.0**SMALL * trial.dy, trial.eps, rng)
    yield derivative_check(trial, measured(trial, rng))
    if reference is not None:
        yield reference_check(trial, reference, rng), None
