"""Is this backward right? The checks that npgpt's own operations get, for anybody's pair of functions.

    print(check_backward(softmax, softmax_backward, x))

In this order: both functions run; the output's dtype; the number of gradients, their shapes and dtypes; nothing that was passed
in is changed; the backward is linear in the cotangent; its gradients are the forward's derivative, as numerical.py measures it
(complex step, or finite differences where the forward takes no complex numbers); and both equal a reference, if there is one.
The cotangent dy is always random: with ones, softmax's and LayerNorm's gradients are 0, and one wrong by any factor passes.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np

from .calling import Pair
from .contract import contract_checks
from .derivative import derivative_check
from .diagnose import Mistake
from .inputs import checked_inputs
from .linearity import linearity_check
from .reference import reference_check
from .rounding import trial_of
from .truth import measured
from .verdict import Check, Stopped, Verdict
from .wording import function_name


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
    return verdict_on(Pair(forward, backward, checked_inputs(forward, inputs)), reference, np.random.default_rng(seed))


def verdict_on(pair: Pair, reference: Callable | None, rng: np.random.Generator) -> Verdict:
    """Every check in turn, as far as they are possible."""
    checks: list[Check] = []
    mistake = unwritten = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow at a large step; a nan in the results is found anyway
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            for check, its_mistake in every_check(pair, reference, rng):
                checks.append(check)
                mistake = mistake or its_mistake
        except Stopped as stopped:
            checks = [check for check in checks if check.name != stopped.check.name]  # it had passed on an earlier call
            checks.append(stopped.check)
            unwritten = stopped.unwritten
    return Verdict(function_name(pair.backward), tuple(checks), mistake, unwritten)


def every_check(pair: Pair, reference: Callable | None, rng: np.random.Generator) -> Iterator[tuple[Check, Mistake | None]]:
    """Each check as it has run, with the mistake that it recognised."""
    for check in contract_checks(pair, rng):
        yield check, None
    trial = trial_of(pair, rng)
    yield linearity_check(trial, rng), None
    yield derivative_check(trial, measured(trial, rng))
    if reference is not None:
        yield reference_check(trial, reference, rng), None
