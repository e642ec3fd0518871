"""Is the backward of this layer right? What most people write: an object with forward(x), backward(dy) and weights of its own.

    print(check_layer(Dense(3, 4), x))

The layer is read, and becomes a pair of functions of arrays, its inputs and its parameters, for the checks of check_backward:

    reading.py     how it is called, by names and signatures
    probing.py     what a few runs tell: where its parameters and gradients are, and what else the backward does
    parameters.py  the names that readers give to parameters and their gradients
    copies.py      a fresh copy for each run
    runs.py        one forward and one backward, as functions of arrays
    tensors.py     layers on a reader's own autograd
"""

import functools
import types
from collections.abc import Callable, Collection, Mapping

import numpy as np

from ..types import Theirs
from .calling import called
from .copies import Copies
from .grader import quietly, refuse_other_references, verdict_on
from .inputs import checked_input, input_names, parameters_of, required_names
from .names import DERIVATIVE_FLAGS, plain
from .probing import probe
from .reading import Calls, by_place, forward_options, methods_of, sources_of
from .runs import Runs
from .tensors import is_tensor
from .verdict import Stopped, Verdict


def check_layer(
    layer: Theirs,
    *inputs: Theirs,
    parameters: Mapping | None = None,
    takes: Mapping | None = None,
    without_gradient: Collection[str | int] = (),
    forward: str | None = None,
    backward: str | None = None,
    learning_rate: float | None = None,
    training: bool | None = None,
    reference: Callable | None = None,
    seed: int = 0,
) -> Verdict:
    """Grades the backward of a layer: of its inputs and of all its parameters. The layer itself is never run: copies are.

    What the layer does wrong becomes a failed check. What cannot be read off raises TypeError and says what to pass.

    Parameters
    ----------
    layer : an object with a forward and a backward (or forward_pass and backward_pass, ...; or a derivative, f'(x), which is
        multiplied by dy); a class or a function that makes one without arguments; a function of a learner's own tensors; a
        function with a flag `derivative`.
    inputs : what the forward takes: arrays, tensors of the layer's own autograd, anything else as it is. Small ones.
    parameters : name -> (parameter, gradient), each a path ("cell.Wf", "params.W") or a function of the layer; the gradient may
        be a place in what the backward returns, or left out where the backward updates the parameter itself. {}: none is
        graded. Without it they are found: W and dW (grad_W, W_grad, dLdW, ...), a dict of parameters beside one of gradients,
        two lists, a list of pairs, an object with data and grad, and what the backward updates.
    takes : an argument of the backward -> what it is: "dy", "y", "cache", "lr", the name of an input, or a value.
    without_gradient : names or places of inputs that hold floats and have no gradient. Where there is one gradient too few,
        inputs that are called target, label, y_true, y, ... are taken for such.
    forward, backward : the names of the methods, where they are not known.
    learning_rate : by which the backward updates, where that can be neither passed nor set.
    training : the forward's training flag. Dropout is no obstacle: np.random gives the same numbers each time.
    reference : a function of the inputs and the parameters, in that order, as in check_backward.
    seed : as in check_backward.

    Raises TypeError where the layer cannot be called, copied or read, and as check_backward; ValueError as check_backward.
    """
    refuse_other_references(reference)
    try:
        layer, name = instance_of(layer)
    except Stopped as stopped:  # its own __init__ raises
        return Verdict(getattr(layer, "__name__", "the layer"), (stopped.check,))
    forward, backward = methods_of(layer, forward, backward)
    names = input_names(getattr(layer, forward), len(inputs))
    values = [x if is_tensor(x) else checked_input(x, each) for x, each in zip(inputs, names, strict=True)]
    sources: dict[str, tuple] = {"dy": ("dy", 0)}
    by_position = 1
    if backward is not None:
        method = getattr(layer, backward)
        sources = sources_of(method, backward, names, takes or {})
        by_position = by_place(method, sources)
    calls = Calls(forward, backward, sources, by_position, forward_options(layer, forward, len(inputs), training))
    runs = Runs(Copies(layer, training), calls, values, names)
    name = f"{name}.{backward or 'backward'}"
    try:
        with quietly():
            first = probe(runs, parameters, without_gradient, learning_rate, np.random.default_rng(seed))
    except Stopped as stopped:
        return Verdict(name, (stopped.check,), None, stopped.unwritten)
    pair = runs.pair(name)
    if not pair.inputs.places:
        raise ValueError(f"{name} has no input of floats, and no parameters were found: tell where they are, parameters=...")
    return verdict_on(pair, reference, np.random.default_rng(seed), first)


def instance_of(layer: Theirs) -> tuple[object, str]:
    """The layer and its name, of a layer, of a class or function that makes one, or of a function with its own derivative."""
    kinds = types.FunctionType | types.BuiltinFunctionType | types.MethodType | functools.partial | type
    if not isinstance(layer, kinds):
        return layer, type(layer).__name__
    name = getattr(layer, "__name__", "the function")
    flag = next((p.name for p in parameters_of(layer) if plain(p.name) in DERIVATIVE_FLAGS), None)
    if flag and not isinstance(layer, type):
        return types.SimpleNamespace(forward=layer, derivative=functools.partial(layer, **{flag: True})), name
    needed = required_names(layer)
    if isinstance(layer, type) and needed:
        raise TypeError(f"{name} cannot be made without arguments: give an instance, or lambda: {name}(...)")
    if isinstance(layer, type) or needed == []:
        made = called(layer, "layer")
        return made, type(made).__name__
    return layer, name
