"""The pair beside a function that is known to be right: of NumPy arrays, of torch tensors, or one that brings its gradients.

torch is imported only where a reference needs it.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .calling import described, handed_over
from .inputs import Inputs, parameter_names
from .returned import first_of, gradient_arrays
from .rounding import Trial, eps_of, forward_noise, nudged, rounding_bound
from .verdict import Check, Stopped
from .wording import element, two

Result = tuple[Array, list[Array]]  # y and the gradients; no gradients where the reference gives none


class Comparison(NamedTuple):
    """y or one gradient beside the reference's."""

    name: str
    got: Array  # the reader's
    right: Array  # the reference's
    noise: float  # how far both together move when what goes into them moves by an eps or two
    natural: float  # size, where that is more than the largest element of right


def reference_check(trial: Trial, reference: Callable, rng: np.random.Generator) -> Check:
    """y, and the gradients where the reference has any, against the reader's."""
    inputs = trial.pair.inputs
    try:
        true = run_reference(reference, inputs, trial.dy)
        near = [
            run_reference(reference, replace(inputs, values=nudged(inputs.copies(), rng)), nudged(trial.dy, rng))
            for _ in range(8)
        ]
    except Stopped as stopped:  # of the gradients that it returned
        return Check("reference", False, f"of the reference: {stopped}")
    except Exception as error:
        return Check("reference", False, f"{described(error, reference)}\n(the reference gets float64 inputs)")
    names = []
    for each in compared(trial, true, near, rng):
        names.append(each.name)
        problem = problem_of(each)
        if problem:
            return Check("reference", False, problem)
    return Check("reference", True, f"{', '.join(names)} equal the reference's")


def compared(trial: Trial, true: Result, near: list[Result], rng: np.random.Generator) -> Iterator[Comparison]:
    """y, then each gradient. near: the reference's results where everything that goes into it moves by an eps or two."""
    true_y, true_gradients = true
    yield Comparison("y", trial.y, true_y, float(forward_noise(trial.pair, trial.y, trial.eps, rng).max()), 0.0)
    for i, gradient in enumerate(true_gradients):
        noise = trial.noise[i] + max(np.abs(gradients[i] - gradient).max() for _, gradients in near)
        yield Comparison(trial.pair.inputs.wanted[i], trial.gradients[i], gradient, float(noise), trial.natural_size(i))


def problem_of(each: Comparison) -> str:
    """Where the two differ by more than rounding, and by what; "" where they do not."""
    name, got, right = each.name, each.got, each.right
    if got.shape != right.shape:
        return f"{name} has the shape {got.shape}, the reference's has {right.shape}"
    natural = max(each.natural, float(np.abs(right).max()))
    wrong = ~(np.abs(got - right) <= rounding_bound(max(eps_of(got), eps_of(right)), each.noise, natural))
    if not wrong.any():
        return ""
    blame = "\nThe forward computes another function than the reference." if name == "y" else ""
    numbers = f"{element(name, wrong)} is {two(got, right, wrong)} by the reference"
    return f"{numbers} ({wrong.sum()} of {got.size} elements are wrong){blame}"


# ------------------------------------------------------------------------------------------------------- calling the reference


def run_reference(reference: Callable, inputs: Inputs, dy: Array) -> Result:
    """y and the gradients by the reference; no gradients where it gives y alone, as an array. Raises what the reference raises.

    Whether a function wants tensors or arrays, only trying tells: tensors first where torch has been imported anyway.
    """
    if "dy" in parameter_names(reference):
        y, gradients = reference(*inputs.arguments(inputs.copies()), dy=handed_over(dy)[()])
        return np.asarray(y), gradient_arrays(gradients, inputs)
    on_arrays = functools.partial(run_on_arrays, reference, inputs)
    on_tensors = functools.partial(run_on_tensors, reference, inputs, dy)
    first, second = (on_tensors, on_arrays) if "torch" in sys.modules else (on_arrays, on_tensors)
    try:
        return first()
    except Exception as error:
        try:
            return second()
        except Exception:
            raise error from None


def run_on_arrays(reference: Callable, inputs: Inputs) -> Result:
    y = np.asarray(first_of(reference(*inputs.arguments(inputs.copies()))))
    if y.dtype.kind != "f":
        raise TypeError(f"the reference must return an array or a tensor of floats, got dtype {y.dtype}")
    return y, []


def run_on_tensors(reference: Callable, inputs: Inputs, dy: Array) -> Result:
    """The reference on tensors, differentiated by torch. Raises TypeError where it does not return a tensor."""
    import torch

    tensors = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs.values]
    leaves = [tensors[i].requires_grad_() for i in inputs.places]
    y = first_of(reference(*inputs.arguments(tensors)))
    if not isinstance(y, torch.Tensor):
        raise TypeError(f"the reference must return a tensor or an array, got {type(y).__name__}")
    if not y.requires_grad:
        return y.numpy(), []
    if y.shape != dy.shape:
        return y.detach().numpy(), []
    gradients = torch.autograd.grad(y, leaves, torch.tensor(dy), allow_unused=True, materialize_grads=True)
    return y.detach().numpy(), [g.numpy() for g in gradients]
