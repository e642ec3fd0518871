"""A layer as a pair of functions of arrays: those of its inputs first, then those of its parameters.

The forward puts the arrays into a fresh copy of the layer and runs it; the backward runs on that copy, and collects the
gradients from what it returned, stored, or subtracted from the parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray as Array

from ..types import Theirs
from .calling import Pair, called
from .copies import Copies, the_same_random_numbers
from .inputs import Inputs
from .names import FORWARDS
from .parameters import Parameter, Path, array_of, at, floats_in, put, walk, written
from .reading import Calls, first_method, outputs_of, stored_gradient
from .returned import by_name
from .tensors import gradient_of, is_tensor, run_backward, tensor_of
from .verdict import Stopped


@dataclass
class Run:
    """One copy of the layer on which the forward has run."""

    layer: object
    arguments: list  # what the forward got: arrays, tensors, anything else
    outputs: tuple  # arrays, or the reader's own tensors
    cache: object
    parameters: list[Array]  # as they were before the backward

    def arrays(self) -> list[Array]:
        return [x.data if is_tensor(x) else x for x in self.outputs]


@dataclass
class Runs:
    """How a layer is run; all of it is known once layer.py has read it."""

    copies: Copies
    calls: Calls
    templates: list  # the inputs as the reader gave them
    names: list[str]
    parameters: list[Parameter] = field(default_factory=list)
    without_gradient: frozenset[int] = frozenset()  # places among the inputs
    updates: bool = False  # the backward changes the parameters
    rate: float = 1.0  # the learning rate that it gets, or that it uses
    rates: list = field(default_factory=list)  # paths of the layer's own learning rates, which are set to that
    late: bool = False  # the inputs' gradients change with the learning rate

    def arrays(self) -> list:
        """Copies of the inputs as the reader gave them, a tensor's as its array."""
        arrays = [x.data if is_tensor(x) else x for x in self.templates]
        return [x.copy(order="K") if isinstance(x, np.ndarray) else x for x in arrays]

    def inputs(self) -> Inputs:
        """Of the whole pair, at the layer's own parameters. Where inputs and parameters differ in their dtypes, in float64."""
        own = [x.copy() for x in self.originals()]
        inputs = Inputs([*self.arrays(), *own], [*self.names, *(p.name for p in self.parameters)], self.without_gradient)
        return inputs if len({x.dtype for x in inputs.floats}) == 1 else inputs.in_float64()

    def pair(self, name: str) -> Pair:
        inputs = self.inputs()

        def forward(*values: Theirs) -> tuple[Theirs, Theirs]:
            run = self.start(list(values))
            return one_or_all(run.arrays()), Left(self, list(values), run)

        def backward(dy: Theirs, left: Theirs) -> list:
            return left.gradients(dy if isinstance(dy, tuple) else (dy,), inputs)

        forward.__name__ = backward.__name__ = name
        return Pair(forward, backward, inputs, blocked=self.blocked(inputs))

    def originals(self) -> list[Array]:
        return [p.find(self.copies.original) for p in self.parameters]

    # ------------------------------------------------------------------------------------------------------ forward, backward

    def start(self, values: list, patch: Callable = lambda layer: None) -> Run:
        """The forward on a fresh copy that has those parameters: the very arrays, unless the backward updates them."""
        own = [x.copy() if self.updates else x for x in values[len(self.templates) :]]
        exchanged = self.zeros(own)
        for original, x in zip(self.originals(), own, strict=True):
            exchanged[id(original)] = x
        layer = self.copies.fresh(exchanged)
        for path in self.rates:
            put(layer, path, self.rate)
        patch(layer)
        return self.run_forward(layer, self.arguments(values), own)

    def arguments(self, values: list) -> list:
        """Those arrays as the forward takes them."""
        return [tensor_of(t, x) if is_tensor(t) else x for t, x in zip(self.templates, values, strict=False)]

    def zeros(self, own: list[Array]) -> dict[int, Array]:
        """For the gradients that the layer has before any run: they may hold something already."""
        exchanged = {}
        for parameter, x in zip(self.parameters, own, strict=True):
            try:
                gradient = array_of(parameter.gradient(self.copies.original, None)) if parameter.gradient else None
            except (AttributeError, LookupError, TypeError):  # None yet, or given back by the backward
                continue
            if gradient is not None:
                exchanged[id(gradient)] = np.zeros(gradient.shape, x.dtype)
        return exchanged

    def run_forward(self, layer: Theirs, arguments: list, own: list[Array]) -> Run:
        before = dict(vars(layer)) if hasattr(layer, "__dict__") else {}
        with the_same_random_numbers():
            returned = called(getattr(layer, self.calls.forward), "forward", *arguments, **self.calls.options, how="")
        outputs, cache = outputs_of(returned, layer, before, self.calls)
        if not outputs:
            raise Stopped("output", "the forward returns nothing, and leaves no new array in an attribute output, out, y, ...")
        return Run(layer, arguments, outputs, cache, [x.copy() for x in own] if self.updates else own)

    def run_backward(self, run: Run, cotangents: tuple, rate: float) -> Theirs:
        """The backward on what a forward left -> what it returned."""
        if self.calls.backward is None:
            with the_same_random_numbers():
                return called(run_backward, "backward", run.outputs[0], cotangents[0])
        together = self.calls.dys == 1 and len(cotangents) > 1
        several = {"dy": (cotangents,) if together else cotangents, "input": run.arguments, "output": run.outputs}
        single = {"cache": run.cache, "rate": rate}
        arguments = {}
        for name, (kind, *what) in self.calls.sources.items():
            arguments[name] = what[0] if kind == "as told" else several[kind][what[0]] if what else single[kind]
        first = [arguments.pop(name) for name in list(arguments)[: self.calls.by_place]]
        how = f"called as {self.calls.in_words(self.names)}; takes={{...}} says otherwise"
        try:
            with the_same_random_numbers():
                return called(getattr(run.layer, self.calls.backward), "backward", *first, **arguments, how="")
        except Stopped as stopped:
            raise Stopped(stopped.check.name, f"{stopped}\n({how})", stopped.unwritten) from stopped

    # ---------------------------------------------------------------------------------------------------------- the gradients

    def gradients(self, run: Run, again: Callable[[], Run], cotangents: tuple, inputs: Inputs) -> list:
        """Of every floating input and parameter; again: the same run once more."""
        returned = self.run_backward(run, cotangents, self.rate)
        of_parameters = [self.of_parameter(i, run, returned) for i in range(len(self.parameters))]
        if self.late:  # the derivative itself is that of weights that stay
            rate, self.rate = self.rate, 0.0
            run = again()
            returned = self.run_backward(run, cotangents, 0.0)
            self.rate = rate
        of_inputs = [self.of_input(i, run, returned) for i in self.graded()]
        for name, gradient in zip(inputs.wanted, [*of_inputs, *of_parameters], strict=True):
            if gradient is None:
                hint = "where an input has none, say so: without_gradient=(...)"
                raise Stopped("number of gradients", f"the backward neither returns {name} nor stores it; {hint}")
        if self.calls.dys or self.calls.backward is None:
            return [*of_inputs, *of_parameters]
        return [times(np.asarray(cotangents[0]), np.asarray(gradient)) for gradient in (*of_inputs, *of_parameters)]

    def graded(self) -> list[int]:
        """Places of the inputs that have a gradient."""
        return Inputs(self.arrays(), self.names, self.without_gradient).places

    def of_input(self, i: int, run: Run, returned: Theirs) -> Theirs:
        """As a tensor's grad, in what was returned, or in an attribute; None where it is nowhere."""
        if self.calls.backward is None:
            return gradient_of(run.arguments[i])
        graded = self.graded()
        if isinstance(returned, dict):
            return by_name(returned, self.names[i])
        if returned is None:
            return array_of(stored_gradient(run.layer, self.names[i], len(graded) == 1))
        several = list(returned) if isinstance(returned, tuple | list) else [returned]
        place = i if len(several) == len(self.templates) > len(graded) else graded.index(i)
        return several[place] if place < len(several) else None

    def of_parameter(self, i: int, run: Run, returned: Theirs) -> Theirs:
        parameter = self.parameters[i]
        if parameter.gradient is None:
            return (run.parameters[i] - parameter.find(run.layer)) / self.rate
        gradient = parameter.gradient(run.layer, returned)
        return gradient if gradient is None or isinstance(gradient, np.ndarray | np.generic | float) else array_of(gradient)

    # ---------------------------------------------------------------------------------------------------------- paths cut off

    def blocked(self, inputs: Inputs) -> dict[str, Callable]:
        """For each layer inside: the forward in which it always gets the same input, so that no gradient flows through it."""
        if self.calls.backward is None:
            return {}
        methods: dict[int, tuple[Path, str]] = {}
        for path, thing, _ in walk(self.copies.original):
            method = first_method(thing, FORWARDS)
            if method:
                methods.setdefault(id(thing), (path, method))
        return {written(path): self.forward_without(path, method, inputs) for path, method in methods.values()}

    def forward_without(self, path: Path, method: str, inputs: Inputs) -> Callable:
        seen = []  # what it gets in an undisturbed run, call by call

        def recording(layer: Theirs) -> None:
            theirs = getattr(at(layer, path), method)

            def recorded(*arguments: Theirs, **options: Theirs) -> Theirs:
                seen.append([x.copy() if isinstance(x, np.ndarray) else x for x in arguments])
                return theirs(*arguments, **options)

            object.__setattr__(at(layer, path), method, recorded)

        def replaying(layer: Theirs) -> None:
            theirs, arguments = getattr(at(layer, path), method), iter(seen)
            object.__setattr__(at(layer, path), method, lambda *_, **options: theirs(*next(arguments), **options))

        def forward(*values: Theirs) -> tuple[Theirs, Theirs]:
            if not seen:
                self.start(inputs.in_float64().copies(), recording)
            return one_or_all(self.start(list(values), replaying).arrays()), None

        return forward


@dataclass
class Left:
    """What a forward leaves for the backward: the layer that has run, and the means to run it again."""

    runs: Runs
    values: list
    run: Run | None
    change: Callable | None = None  # of every number that the forward left in the layer

    def gradients(self, cotangents: tuple, inputs: Inputs) -> list:
        run, self.run = self.run or self.again(), None  # a layer may take only one backward after each forward
        return self.runs.gradients(run, self.again, cotangents, inputs)

    def again(self) -> Run:
        run = self.runs.start([x.copy() if isinstance(x, np.ndarray) else x for x in self.values])
        if self.change:
            theirs = {id(x) for x in (*run.parameters, *run.arguments)}
            for path, x in floats_in(run.layer).items():
                if id(x) not in theirs:
                    put(run.layer, path, self.change(x))
        return run

    def nudged(self, change: Callable) -> "Left":
        return Left(self.runs, self.values, None, change)


def one_or_all(outputs: list[Array]) -> Array | tuple[Array, ...]:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def times(dy: Array, derivative: Array) -> Array:
    """dy f'(x): of a loss, of a loss for each row, or elementwise."""
    if dy.size > 1 and dy.shape != derivative.shape[: dy.ndim] and dy.ndim != derivative.ndim:
        text = f"the derivative has the shape {derivative.shape}, y has {dy.shape}"
        raise Stopped("shapes", f"{text}: no product of the two is a gradient")
    return dy.reshape(dy.shape + (1,) * (derivative.ndim - dy.ndim)) * derivative
