"""What a few runs of a layer tell, before it is graded: where its parameters are, and what else its backward does.

Whether weights are made in the first forward; which inputs are targets; whether the backward updates the weights, and by which
learning rate; whether gradients add up from one backward to the next. All of it is said in the first check, `layer`.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .inputs import is_floating, places_of
from .names import RATES, TARGETS, plain
from .parameters import Parameter, Path, Step, at, floats_in, found, short_names, told, walk, written
from .reading import NOTHING, no_backward
from .returned import by_name, output_array
from .runs import Run, Runs
from .tensors import is_tensor
from .verdict import Check, Stopped
from .wording import LIKELY

RATE = 1024.0  # the learning rate that a backward gets: a power of two, and large beside the weights, so that little is rounded


def probe(
    runs: Runs, parameters: Mapping | None, without_gradient: Collection, rate: float | None, rng: np.random.Generator
) -> tuple[Check, ...]:
    """Finds out what `runs` has to know, and says it: the first check, and those that have failed already."""
    stable, made = stable_arrays(runs, rng)
    run = runs.start(runs.arrays())
    refuse_what_cannot_run(runs, run)
    cotangents = tuple(rng.standard_normal(np.shape(y)) for y in run.arrays())
    before = {path: x.copy() for path, x in floats_in(run.layer).items()}
    returned = runs.run_backward(run, cotangents, RATE)

    runs.without_gradient, said_of_targets = targets(runs, without_gradient, run, returned)
    changed = updated(runs, run, before, stable)
    if parameters is None:
        runs.parameters = parameters_of_layer(runs, run, returned, before, stable, changed)
    else:
        runs.parameters = told(parameters)
        refuse_other_parameters(runs)
    runs.updates = bool(changed) or any(p.gradient is None for p in runs.parameters)

    said, problems = [parameters_in_words(runs), *said_of_targets, *outputs_in_words(runs, run)], []
    if any(p.path in made for p in runs.parameters):
        said.append("weights are made in the first forward, and graded as they are then")
    if runs.updates:
        said.append(set_the_rate(runs, rate, cotangents))
        problems = late_gradients(runs, cotangents)
    elif runs.calls.backward is not None:
        said += accumulation(runs, cotangents)
    return Check("layer", True, "\n".join([*said, *left_out(runs, stable)])), *problems


def stable_arrays(runs: Runs, rng: np.random.Generator) -> tuple[set[Path], set[Path]]:
    """The arrays that a second forward, on other inputs, leaves alone; and those of them that the first one made.

    Where there are such, every later run is on a copy of the layer after its first forward, with everything set back that is no
    weight.
    """
    once, run = runs.start(runs.arrays()).layer, runs.start(runs.arrays())
    old = {path: (x, x.copy()) for path, x in floats_in(run.layer).items()}
    own = set(floats_in(runs.copies.original))
    other = [x * (1 + 1e-3 * rng.standard_normal(x.shape)).astype(x.dtype) if is_floating(x) else x for x in runs.arrays()]
    try:
        runs.run_forward(run.layer, runs.arguments(other), [])
    except Stopped:  # it takes one forward before each backward
        return own, set()
    new = floats_in(run.layer)
    stable = {path for path, (x, copy) in old.items() if new.get(path) is x and np.array_equal(x, copy, equal_nan=True)}
    if not stable - own:
        return stable, set()
    before = runs.start(runs.arrays()).arrays()
    runs.copies.keep_what_the_first_forward_made(once, run.layer)
    after = runs.start(runs.arrays()).arrays()
    if not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        made = "the layer makes its weights in its first forward, and with them a state that cannot be told apart"
        raise TypeError(f"{made}: give it after a forward, with its state reset")
    return stable & set(floats_in(runs.copies.original)), stable - own


def refuse_what_cannot_run(runs: Runs, run: Run) -> None:
    """Raises TypeError, and Stopped for an output that has no gradient."""
    if runs.calls.backward is None and not is_tensor(run.outputs[0]):
        raise no_backward(run.layer)
    if runs.calls.takes("cache") and run.cache is NOTHING:
        what = f"{runs.calls.backward} takes something beside dy, and the forward returns no cache"
        raise TypeError(f"{what}: say what it takes, takes={{...}}")
    for y in run.arrays():
        output_array(y, np.dtype(np.float64))


def refuse_other_parameters(runs: Runs) -> None:
    """Raises TypeError where what was told is no array of floats in the layer."""
    for parameter in runs.parameters:
        try:
            array = parameter.find(runs.copies.original)
        except (AttributeError, LookupError, ValueError) as error:
            text = f"parameters[{parameter.name!r}] is not in the layer ({type(error).__name__}: {error})"
            raise TypeError(text) from error
        if not is_floating(array):
            raise TypeError(f"parameters[{parameter.name!r}] must be an array of floats, got {type(array).__name__}")


def targets(runs: Runs, named: Collection, run: Run, returned: Theirs) -> tuple[frozenset[int], list[str]]:
    """Places of floating inputs without a gradient, and why: told, or called target and the like where one is missing."""
    names = runs.names
    places = frozenset(i for each in named for i in places_of(each, names, names))
    if runs.calls.backward is None:
        arrays = [i for i, x in enumerate(runs.templates) if is_floating(x)]
        return places | set(arrays), [f"{names[i]} is an array and no tensor, so it has no gradient" for i in arrays]
    if places:
        return places, []
    graded = runs.graded()
    missing = sum(runs.of_input(i, run, returned) is None for i in graded)
    called_so = [i for i in graded if plain(names[i]) in TARGETS]
    if not missing or len(called_so) != missing:
        return frozenset(), []
    return frozenset(called_so), [f"{names[i]} is taken for a target, without a gradient" for i in called_so]


# -------------------------------------------------------------------------------------------------------------- its parameters


def updated(runs: Runs, run: Run, before: dict[Path, Array], stable: set[Path]) -> list[Path]:
    """Arrays that the backward has changed and on which y depends: weights (a momentum changes too, and y does not see it)."""
    now = floats_in(run.layer)
    changed = [path for path in before if path in stable and path in now and not np.array_equal(now[path], before[path])]
    return [path for path in changed if moves_y(runs, path)]


def moves_y(runs: Runs, path: Path) -> bool:
    """Whether y changes with that array of the layer."""
    original = at(runs.copies.original, path)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(original.shape)

    def y_with(x: Array) -> list[Array]:
        layer = runs.copies.fresh({id(original): x})
        return runs.run_forward(layer, runs.arguments(runs.arrays()), []).arrays()

    try:
        same, moved = y_with(original.copy()), y_with((original * (1 + noise) + noise).astype(original.dtype))
    except Stopped:  # it does not take such numbers
        return True
    return not all(np.array_equal(a, b) for a, b in zip(same, moved, strict=True))


def parameters_of_layer(
    runs: Runs, run: Run, returned: Theirs, before: dict[Path, Array], stable: set[Path], changed: list[Path]
) -> list[Parameter]:
    """Those with a gradient, stored or returned; and those that the backward changed without leaving a gradient."""
    now = floats_in(run.layer)
    untouched = {id(x) for path, x in now.items() if path in before and np.array_equal(x, before[path])}
    with_gradient = found(run.layer, stable) or in_what_is_returned(runs, run, returned, stable)
    parameters = [
        of_update(p.name, p.path) if p.path in changed and id(gradient_in(p, run, returned)) in untouched else p
        for p in with_gradient
    ]
    known = {id(p.find(run.layer)) for p in parameters} | {id(gradient_in(p, run, returned)) for p in parameters}
    paths = [path for path in changed if id(now[path]) not in known]
    return parameters + [of_update(name, path) for name, path in zip(short_names(paths), paths, strict=True)]


def of_update(name: str, path: Path) -> Parameter:
    return Parameter(name, path, finder(path), None, "its update")


def gradient_in(parameter: Parameter, run: Run, returned: Theirs) -> Array | None:
    return parameter.gradient(run.layer, returned) if parameter.gradient else None


def in_what_is_returned(runs: Runs, run: Run, returned: Theirs, stable: set[Path]) -> list[Parameter]:
    """(dx, dW, db), (dx, {"dW": ...}) or {"dx": ..., "dW": ...}: parameters of which the gradient is stored nowhere."""
    several = list(returned) if isinstance(returned, tuple | list) else [returned]
    first = len(runs.graded())
    paths = [path for path in floats_in(runs.copies.original) if path in stable]
    named = list(zip(short_names(paths), paths, strict=True))
    if several and isinstance(several[-1], dict):
        place = None if isinstance(returned, dict) else len(several) - 1
        those = [(name, path) for name, path in named if name not in runs.names and is_floating(by_name(several[-1], name))]
        return [Parameter(name, path, finder(path), by_key(place, name), "what is returned") for name, path in those]
    extra = several[first:]
    if not extra or not all(is_floating(x) for x in extra):
        return []
    moving = [(name, path) for name, path in named if moves_y(runs, path)]
    if [at(run.layer, path).shape for _, path in moving] != [x.shape for x in extra]:
        text = (
            f"the backward returns {len(several)} arrays, {len(extra)} more than there are inputs, and not of which parameters"
        )
        raise TypeError(f"{text}: say it, parameters={{'W': ('W', 1)}}, an array and the place of its gradient")
    places = enumerate(moving, start=first)
    return [Parameter(name, path, finder(path), at_place(k), f"what is returned, [{k}]") for k, (name, path) in places]


def finder(path: Path) -> Callable:
    return lambda layer: at(layer, path)


def at_place(place: int) -> Callable:
    return lambda _, returned: returned[place]


def by_key(place: int | None, name: str) -> Callable:
    return lambda _, returned: by_name(returned if place is None else returned[place], name)


# ------------------------------------------------------------------------------------------------------------ what it does then


def set_the_rate(runs: Runs, rate: float | None, cotangents: tuple) -> str:
    """How the update becomes a gradient: (before - after) / rate. Raises TypeError where it does not."""
    runs.rate = RATE if rate is None else rate
    if rate is None and not runs.calls.takes("rate"):
        runs.rates = [path for path, x, _ in walk(runs.copies.original) if is_rate(path[-1], x)]
        if not runs.rates:
            raise TypeError(
                "the backward updates the weights, and no learning rate was found: pass its value, learning_rate=..."
            )
    own = [k for k, p in enumerate(runs.parameters, start=len(runs.graded())) if p.gradient is None]
    if not own:
        return "the backward updates the weights too"
    still = gradients_of(runs, tuple(0 * dy for dy in cotangents))
    once, half = at_two_rates(runs, cotangents)
    for k in own:
        if still[k].any() or np.abs(once[k] - half[k]).max() > 1e-6 * np.abs(once[k]).max():
            name = runs.parameters[k - len(runs.graded())].name
            text = f"the backward changes {name} by something else than learning rate times gradient (momentum, Adam, decay)"
            raise TypeError(f"{text}: switch that off, or say where the gradient is, parameters=...")
    return f"the backward updates the weights: each gradient is (before - after) / learning rate, at a rate of {runs.rate:g}"


def is_rate(step: Step, value: Theirs) -> bool:
    return isinstance(step, str) and plain(step) in RATES and type(value) in (int, float)


def at_two_rates(runs: Runs, cotangents: tuple) -> tuple[list[Array], list[Array]]:
    """All gradients at the learning rate, and at half of it, where it can be chosen."""
    rate, once = runs.rate, gradients_of(runs, cotangents)
    if not runs.calls.takes("rate") and not runs.rates:
        return once, once
    runs.rate = rate / 2
    half, runs.rate = gradients_of(runs, cotangents), rate
    return once, half


def late_gradients(runs: Runs, cotangents: tuple) -> list[Check]:
    """Whether the inputs' gradients are made of weights that were updated already."""
    pairs = zip(runs.graded(), *at_two_rates(runs, cotangents), strict=False)
    names = [runs.names[i] for i, once, half in pairs if np.abs(once - half).max() > 1e-6 * np.abs(once).max()]
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


def accumulation(runs: Runs, cotangents: tuple) -> list[str]:
    """Whether a second backward adds to the gradients of the first."""
    run = runs.start(runs.inputs().copies())
    places = range(len(runs.parameters))
    try:
        returned = runs.run_backward(run, cotangents, RATE)
        first = [np.array(runs.of_parameter(i, run, returned)) for i in places]
        run = runs.run_forward(run.layer, runs.arguments(runs.arrays()), run.parameters)
        returned = runs.run_backward(run, cotangents, RATE)
        second = [np.array(runs.of_parameter(i, run, returned)) for i in places]
        twice = [
            bool(a.any() and np.abs(b - 2 * a).max() <= 1e-6 * np.abs(a).max()) for a, b in zip(first, second, strict=True)
        ]
    except (Stopped, TypeError, ValueError):  # it takes one backward only, or leaves no gradient
        return []
    names = [p.name for p, it_does in zip(runs.parameters, twice, strict=True) if it_does]
    return [f"the gradients of {', '.join(names)} add up from one backward to the next: graded from zeros"] if names else []


# -------------------------------------------------------------------------------------------------------------------- in words


def parameters_in_words(runs: Runs) -> str:
    if not runs.parameters:
        return "no parameters with a gradient were found"
    each = [f"{p.name} {x.shape} in {p.where}" for p, x in zip(runs.parameters, runs.originals(), strict=True)]
    return f"parameters, each with its gradient: {', '.join(each)}"


def outputs_in_words(runs: Runs, run: Run) -> list[str]:
    if len(run.outputs) > 1:
        return [f"{len(run.outputs)} outputs, each with a cotangent"]
    if is_floating(run.cache) and not runs.calls.takes("cache"):
        return ["the forward returns more than one array, and the backward takes one cotangent: that of the first"]
    return []


def left_out(runs: Runs, stable: set[Path]) -> list[str]:
    """Arrays of the layer that y depends on and of which no gradient is known. Not those whose names begin with _."""
    known = runs.originals()
    own = {path: x for path, x in floats_in(runs.copies.original).items() if path in stable}
    others = {id(x): path for path, x in own.items() if not any(np.shares_memory(x, each) for each in known)}
    names = [written(path) for path in others.values() if written(path[-1:])[0] != "_" and moves_y(runs, path)]
    if not names:
        return []
    hint = f"parameters={{{names[0]!r}: ({names[0]!r}, 'where its gradient is')}}"
    return [f"Note: y depends on {', '.join(names)} too, and no gradient was found: not graded (tell it, {hint})"]
