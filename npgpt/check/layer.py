"""Is the backward of this layer right? What most people write: an object with forward(x) and backward(dy) and its own weights.

    print(check_layer(Dense(3, 4), x))

The layer is read, and becomes a pair of functions of arrays, its inputs and its parameters, for the checks of check_backward:

    reading.py     how it is called
    parameters.py  where its parameters and their gradients are
    copies.py      a fresh copy for each run
    runs.py        one forward, one backward, as functions of arrays
    tensors.py     layers on a reader's own autograd
"""

import functools
import types
from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy import ndarray as Array

from .calling import called
from .copies import Copies
from .grader import refuse_other_references, verdict_on
from .inputs import checked_input, input_names, is_floating, parameters_of, places_of, required_count
from .names import DERIVATIVE_FLAGS, plain
from .parameters import Parameter, Path, at, floats_in, found, short_names, told, walk, written
from .reading import NOTHING, Calls, forward_options, methods_of, no_backward, sources_of, targets_among
from .returned import by_name, output_array
from .runs import Run, Runs
from .tensors import is_tensor
from .verdict import Check, Stopped, Verdict
from .wording import LIKELY

RATE = 1024.0  # the learning rate that a backward gets: a power of two, and large beside the weights, so that little is rounded
ITS_RATE = {"lr", "learningrate", "learnrate", "eta", "alpha", "stepsize"}


def check_layer(
    layer,
    *inputs,
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
        be a place in what the backward returns, or left out where the backward updates the parameter itself. {}: none is graded.
        Without it they are found: W and dW (grad_W, W_grad, dLdW, ...), a dict of parameters beside one of gradients, two lists,
        a list of pairs, an object with data and grad, and what the backward updates.
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
    sources = (("dy", 0),) if backward is None else sources_of(getattr(layer, backward), backward, names, takes or {})
    calls = Calls(forward, backward, sources, forward_options(layer, forward, len(inputs), training))
    runs = Runs(Copies(layer, training), calls, values, names)
    name = f"{name}.{backward or 'backward'}"
    try:
        first = read(runs, parameters, without_gradient, learning_rate, np.random.default_rng(seed))
    except Stopped as stopped:
        return Verdict(name, (stopped.check,), None, stopped.unwritten)
    pair = runs.pair(name)
    if not pair.inputs.places:
        raise ValueError(f"{name} has no parameters that were found and no input of floats: tell where they are, parameters=...")
    return verdict_on(pair, reference, np.random.default_rng(seed), first)


def instance_of(layer) -> tuple[object, str]:
    """The layer and its name, of a layer, of a class or function that makes one, or of a function with its own derivative."""
    kinds = types.FunctionType | types.BuiltinFunctionType | types.MethodType | functools.partial | type
    if not isinstance(layer, kinds):
        return layer, type(layer).__name__
    name = getattr(layer, "__name__", "the function")
    flag = None if isinstance(layer, type) else next((p.name for p in parameters_of(layer) if plain(p.name) in DERIVATIVE_FLAGS), None)
    if flag:
        return types.SimpleNamespace(forward=layer, derivative=functools.partial(layer, **{flag: True})), name
    if isinstance(layer, type) or required_count(layer) == 0:
        if required_count(layer):
            raise TypeError(f"{name} cannot be made without arguments: give an instance, or lambda: {name}(...)")
        made = called(layer, "layer")
        return made, type(made).__name__
    return layer, name


# ------------------------------------------------------------------------------------------------------------ what it does


def read(
    runs: Runs, parameters: Mapping | None, without_gradient: Collection, rate: float | None, rng: np.random.Generator
) -> tuple[Check, ...]:
    """Finds out from a few runs what `runs` has to know, and says it: the first check, and those that have failed already."""
    values = [x.data if is_tensor(x) else x for x in runs.templates]
    stable, made = stable_arrays(runs, values, rng)
    run = runs.start(values)
    refuse_what_cannot_run(runs, run)
    cotangents = tuple(rng.standard_normal(np.shape(y)) for y in run.arrays())
    before = {path: x.copy() for path, x in floats_in(run.layer).items()}
    returned = runs.run_backward(run, cotangents, RATE)

    runs.without_gradient, said_of_targets = without(runs, without_gradient, run, returned)
    by_itself = updated(runs, run, before, stable)
    if parameters is None:
        now = floats_in(run.layer)
        untouched = {id(x) for path, x in now.items() if np.array_equal(x, before.get(path))}
        runs.parameters = [
            of_update(p.name, p.path) if p.path in by_itself and id(gradient_in(p, run, returned)) in untouched else p
            for p in found(run.layer, stable) or in_what_is_returned(runs, run, returned, stable)
        ]
        known = {id(p.find(run.layer)) for p in runs.parameters} | {id(gradient_in(p, run, returned)) for p in runs.parameters}
        paths = [path for path in by_itself if id(at(run.layer, path)) not in known]
        runs.parameters += [of_update(name, path) for name, path in zip(short_names(paths), paths, strict=True)]
    else:
        runs.parameters = told(parameters)
    runs.updates = bool(by_itself) or any(p.gradient is None for p in runs.parameters)

    said = [parameters_in_words(runs), *said_of_targets, *outputs_in_words(runs, run)]
    said += ["weights are made in the first forward, and graded as they are then"] if any(p.path in made for p in runs.parameters) else []
    problems = []
    if runs.updates:
        said.append(set_the_rate(runs, rate, cotangents))
        problems = late_gradients(runs, cotangents)
    elif runs.calls.backward is not None:
        said += accumulation(runs, values, cotangents)
    return Check("layer", True, "\n".join([*said, *left_out(runs, stable)])), *problems


def stable_arrays(runs: Runs, values: list, rng: np.random.Generator) -> tuple[set[Path], set[Path]]:
    """The arrays that a second forward, on other inputs, leaves alone; and those of them that the first one made.

    Then every run is on a copy of the layer after its first forward, with everything set back that is no weight.
    """
    once, run = runs.start(values).layer, runs.start(values)
    old = {path: (x, x.copy()) for path, x in floats_in(run.layer).items()}
    other = [x * (1 + 1e-3 * rng.standard_normal(x.shape)).astype(x.dtype) if is_floating(x) else x for x in values]
    runs.run_forward(run.layer, runs.arguments(other), [])
    new = floats_in(run.layer)
    stable = {path for path, (x, copy) in old.items() if new.get(path) is x and np.array_equal(x, copy, equal_nan=True)}
    made = stable - set(floats_in(runs.copies.original))
    if made:
        before = runs.start(values).arrays()
        runs.copies.keep_what_the_first_forward_made(once, run.layer)
        after = runs.start(values).arrays()
        if not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
            raise TypeError("the layer makes its weights in its first forward, and with them a state that cannot be told apart: "
                            "give it after a forward, with the state reset")
    return stable & set(floats_in(runs.copies.original)), made


def refuse_what_cannot_run(runs: Runs, run: Run) -> None:
    """Raises TypeError, and Stopped for an output that has no gradient."""
    if runs.calls.backward is None and not is_tensor(run.outputs[0]):
        raise no_backward(run.layer)
    if ("cache",) in runs.calls.sources and run.cache is NOTHING:
        raise TypeError(f"{runs.calls.backward} takes something beside dy, and the forward returns no cache: say what, takes={{...}}")
    for y in run.arrays():
        output_array(y, np.dtype(np.float64))


def without(runs: Runs, told_names: Collection, run: Run, returned) -> tuple[frozenset[int], list[str]]:
    """Places of floating inputs that have no gradient, and why."""
    names = runs.names
    places = {i for each in told_names for i in places_of(each, names, names)}
    if runs.calls.backward is None:
        arrays = {i for i, x in enumerate(runs.templates) if is_floating(x)}
        return frozenset(places | arrays), [f"{names[i]} is an array, not a tensor, so it has no gradient" for i in sorted(arrays)]
    if places:
        return frozenset(places), []
    runs.without_gradient = frozenset()
    gradients = [i for i in runs.graded() if runs.of_input(i, run, returned) is not None]
    targets = targets_among(names, runs.graded(), len(gradients))
    return frozenset(targets), [f"{names[i]} is taken for a target, without a gradient" for i in targets]


# -------------------------------------------------------------------------------------------------------------- its parameters


def updated(runs: Runs, run: Run, before: dict[Path, Array], stable: set[Path]) -> list[Path]:
    """Arrays that the backward has changed and on which y depends: weights (a momentum changes too, and y does not see it)."""
    now = floats_in(run.layer)
    changed = [path for path in before if path in stable and path in now and not np.array_equal(now[path], before[path])]
    return [path for path in changed if moves_y(runs, path)]


def of_update(name: str, path: Path) -> Parameter:
    return Parameter(name, path, lambda layer: at(layer, path), None, "its update")


def moves_y(runs: Runs, path: Path) -> bool:
    """Whether y changes with that array of the layer."""
    values = [x.data if is_tensor(x) else x for x in runs.templates]
    original = at(runs.copies.original, path)

    def exchanged(x: Array) -> list[Array]:
        layer = runs.copies.fresh({id(original): x})
        return runs.run_forward(layer, runs.arguments(values), []).arrays()

    try:
        noise = 1e-3 * np.random.default_rng(0).standard_normal(original.shape)
        same, moved = exchanged(original.copy()), exchanged((original * (1 + noise) + noise).astype(original.dtype))
    except Stopped:  # it does not take such numbers
        return True
    return not all(np.array_equal(a, b) for a, b in zip(same, moved, strict=True))


def gradient_in(parameter: Parameter, run: Run, returned) -> Array | None:
    return parameter.gradient(run.layer, returned) if parameter.gradient else None


def in_what_is_returned(runs: Runs, run: Run, returned, stable: set[Path]) -> list[Parameter]:
    """(dx, dW, db), (dx, {"dW": ...}) or {"dx": ..., "dW": ...}: parameters of which the gradient is stored nowhere."""
    several = list(returned) if isinstance(returned, tuple | list) else [returned]
    paths = [path for path in floats_in(runs.copies.original) if path in stable]
    names = short_names(paths)
    if several and isinstance(several[-1], dict):
        place = None if isinstance(returned, dict) else len(several) - 1
        return [
            Parameter(name, path, finder(path), by_key(place, name), f"what the backward returns, by name")
            for name, path in zip(names, paths, strict=True)
            if name not in runs.names and is_floating(by_name(several[-1], name))
        ]
    extra = several[len(runs.graded()) :]
    if not extra or not all(is_floating(x) for x in extra):
        return []
    moving = [(name, path) for name, path in zip(names, paths, strict=True) if moves_y(runs, path)]
    if [at(run.layer, path).shape for _, path in moving] != [x.shape for x in extra]:
        raise TypeError(
            f"the backward returns {len(several)} arrays, {len(extra)} more than there are inputs, and of which parameters cannot be "
            f"told: say it, parameters={{'W': ('W', 1)}}, the array and the place of its gradient"
        )
    first = len(runs.graded())
    return [
        Parameter(name, path, finder(path), at_place(first + k), f"place {first + k} of what the backward returns")
        for k, (name, path) in enumerate(moving)
    ]


def finder(path: Path) -> Callable:
    return lambda layer: at(layer, path)


def at_place(place: int) -> Callable:
    return lambda _, returned: returned[place]


def by_key(place: int | None, name: str) -> Callable:
    return lambda _, returned: by_name(returned if place is None else returned[place], name)


# ------------------------------------------------------------------------------------------------------------ what it does then


def set_the_rate(runs: Runs, rate: float | None, cotangents: tuple) -> str:
    """How the update becomes a gradient: (before - after) / rate."""
    own = [path for path, x, _ in walk(runs.copies.original) if isinstance(path[-1], str) and plain(path[-1]) in ITS_RATE and type(x) in (int, float)]
    runs.rate = RATE if rate is None else rate
    if rate is None and not runs.calls.has_rate:
        if not own:
            raise TypeError("the backward updates the weights itself, and no learning rate was found: pass learning_rate=..., its value")
        runs.rates = own
    if all(p.gradient for p in runs.parameters):
        return "the backward updates the weights too"
    still = gradients_of(runs, tuple(0 * dy for dy in cotangents))[-len(runs.parameters) :]
    moving = [p.name for p, x in zip(runs.parameters, still, strict=True) if p.gradient is None and x.any()]
    if moving:
        raise TypeError(f"the backward changes {moving[0]} {NO_GRADIENT}")
    if runs.calls.has_rate or runs.rates:
        once, rate = gradients_of(runs, cotangents), runs.rate
        runs.rate = rate / 2
        half, runs.rate = gradients_of(runs, cotangents), rate
        for p, a, b in zip(runs.parameters, once[-len(runs.parameters) :], half[-len(runs.parameters) :], strict=True):
            if p.gradient is None and np.abs(a - b).max() > 1e-6 * np.abs(a).max():
                raise TypeError(f"the backward changes {p.name} {NO_GRADIENT}")
    return f"the backward updates the weights: each gradient is (before - after) / learning rate, at a rate of {runs.rate:g}"


NO_GRADIENT = (
    "by something else than learning rate times gradient (momentum, Adam, decay, a clip): switch that off, or say where the "
    "gradient is, parameters=..."
)


def late_gradients(runs: Runs, cotangents: tuple) -> list[Check]:
    """Whether the inputs' gradients are made of weights that were updated already."""
    count = len(runs.graded())
    if not count or not (runs.calls.has_rate or runs.rates):
        return []
    rate, with_update = runs.rate, gradients_of(runs, cotangents)[:count]
    runs.rate = rate / 2
    with_less, runs.rate = gradients_of(runs, cotangents)[:count], rate
    names = [runs.names[i] for i, a, b in zip(runs.graded(), with_update, with_less, strict=True) if np.abs(a - b).max() > 1e-6 * np.abs(a).max()]
    if not names:
        return []
    runs.late = True
    text = f"the gradient of {', '.join(names)} changes with the learning rate: it is made of weights that were updated before"
    return [Check("learning rate", False, f"{text}.{LIKELY}the update comes first. Compute all gradients, then update.")]


def gradients_of(runs: Runs, cotangents: tuple) -> list[Array]:
    inputs = runs.inputs()

    def start() -> Run:
        return runs.start(inputs.copies())

    return [np.asarray(g) for g in runs.gradients(start(), start, cotangents, inputs)]


def accumulation(runs: Runs, values: list, cotangents: tuple) -> list[str]:
    """Whether a second backward adds to the gradients of the first."""
    run = runs.start(runs.inputs().copies())
    names = []
    try:
        first = [runs.of_parameter(i, run, returned) for returned in [runs.run_backward(run, cotangents, RATE)] for i in range(len(runs.parameters))]
        first = [np.array(x) for x in first]
        again = runs.run_forward(run.layer, runs.arguments(values), run.parameters)
        returned = runs.run_backward(again, cotangents, RATE)
        for i, (p, x) in enumerate(zip(runs.parameters, first, strict=True)):
            second = runs.of_parameter(i, again, returned)
            if x.any() and np.abs(second - 2 * x).max() <= 1e-9 * np.abs(x).max():
                names.append(p.name)
    except (Stopped, TypeError):  # it takes one backward only
        return []
    return [f"the gradients add up from one backward to the next ({', '.join(names)}): graded from zeros"] if names else []


# -------------------------------------------------------------------------------------------------------------------- in words


def parameters_in_words(runs: Runs) -> str:
    if not runs.parameters:
        return "no parameters with a gradient were found"
    shapes = [x.shape for x in runs.originals()]
    each = [f"{p.name} {shape} in {p.where}" for p, shape in zip(runs.parameters, shapes, strict=True)]
    return f"parameters, each with its gradient: {', '.join(each)}"


def outputs_in_words(runs: Runs, run: Run) -> list[str]:
    if len(run.outputs) > 1:
        return [f"{len(run.outputs)} outputs, each with a cotangent"]
    if is_floating(run.cache) and ("cache",) not in runs.calls.sources:
        return ["the forward returns more than one array, and the backward takes one cotangent: that of the first"]
    return []


def left_out(runs: Runs, stable: set[Path]) -> list[str]:
    """Arrays of the layer that y depends on and of which no gradient is known."""
    own = floats_in(runs.copies.original)
    known = runs.originals()
    others = {id(x): path for path, x in own.items() if path in stable and not any(np.shares_memory(x, each) for each in known)}
    paths = list(others.values())
    public = [path for path in paths if not written(path[-1:]).startswith("_")]
    names = [written(path) for path in public if moves_y(runs, path)]
    if not names:
        return []
    hint = f"parameters={{{names[0]!r}: ({names[0]!r}, 'where its gradient is')}}"
    return [f"Note: y depends on {', '.join(names)} too, and no gradient was found: not graded (tell it, {hint})"]
