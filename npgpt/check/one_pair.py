"""One pair of a reader's file, on the inputs that its cases() gives or that its signature lets us draw.

What a reader writes as a float, or as an array of floats, need not have a gradient: a target, a table of sines, eps. That is
taken to be so where the backward gives one gradient less for it, and said.
"""

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .draws import Unknown, drawn_inputs
from .grader import check_backward
from .inputs import input_names, is_floating
from .pairs import NamedPair
from .report import Graded
from .returned import first_of
from .verdict import Verdict

Cases = Mapping[str, list[tuple]]  # the name of either function -> inputs to grade the pair on

MISREAD = ("forward runs", "output", "number of gradients")  # what fails first where the signature was read wrongly
NO_GRADIENT = re.compile(r"cos|sin|y_true|gold|(.*_)?(targets?|labels?)")
NO_GRADIENT_IN_A_LOSS = re.compile(r"y|t")


def graded(pair: NamedPair, cases: Cases, seed: int) -> Graded:
    """Raises ValueError where a case holds what check_backward does not take."""
    its_cases = [inputs for name, each in cases.items() if pair.is_called(name) for inputs in each]
    with quiet():
        try:
            return on_cases(pair, its_cases, seed) if its_cases else on_drawn_inputs(pair, seed)
        except Unknown as unknown:
            return Graded(pair.name, None, str(unknown))
        except SystemExit:
            return Graded(pair.name, None, "it ends Python (sys.exit)")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What the reader's functions print is left out: they are called thousands of times."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def on_cases(pair: NamedPair, cases: list[tuple], seed: int) -> Graded:
    """All of them; the first that is wrong is told, else the one with the largest error."""
    found = []
    for number, inputs in enumerate(cases, 1):
        try:
            verdict, remark = on_inputs(pair, inputs, seed)
        except (TypeError, ValueError) as error:
            raise ValueError(f"cases(): case {number} of {pair.name}: {error}") from error
        if len(cases) > 1 and not verdict:
            remark = "; ".join(filter(None, [f"case {number} of {len(cases)}", remark]))
        found.append((verdict, remark))
    verdict, remark = next((each for each in found if not each[0]), max(found, key=lambda each: each[0].worst.error))
    return Graded(pair.name, verdict, remark)


def on_drawn_inputs(pair: NamedPair, seed: int) -> Graded:
    """Raises Unknown where the signature says too little, and where the verdict would be on the inputs, not on the backward."""
    found = []
    for inputs, reading in readings(pair, seed):
        try:
            verdict, remark = on_inputs(pair, inputs, seed)
        except ValueError:  # no floats among them
            continue
        except TypeError as error:  # functions that check_backward does not take
            raise Unknown(str(error)) from None
        found.append((verdict, "; ".join(filter(None, [reading, remark]))))
        if verdict.first_failure != "number of gradients":
            break
    if not found:
        raise Unknown("none of its inputs seems to hold floats; write cases()")
    verdict, remark = next((each for each in found if each[0].first_failure not in MISREAD), found[0])
    refuse_what_says_nothing(verdict)
    return Graded(pair.name, verdict, remark, drawn=True)


def refuse_what_says_nothing(verdict: Verdict) -> None:
    """Raises Unknown where what failed, on drawn inputs, is the forward, or the call of the backward, or the measuring."""
    failed = verdict.first_failure
    message = " ".join(verdict.checks[-1].message.split())
    if failed in ("forward runs", "output") and failed == verdict.checks[-1].name:  # no other check was possible
        raise Unknown(f"{message}; or write cases()")
    if failed == "backward runs" and "TypeError" in message and " in line " not in message:
        raise Unknown(message)
    if failed == "derivative" and not verdict.worst.place:
        raise Unknown("no gradient can be measured: the forward is not smooth at the inputs that were drawn; write cases()")


def readings(pair: NamedPair, seed: int) -> Iterator[tuple[list, str]]:
    """Inputs as the signature says; then without those that may be left out, which is said; then with floats for labels."""
    drawn = drawn_inputs(pair.forward, np.random.default_rng(seed))
    yield drawn.values, ""
    required = len(drawn.values) - drawn.optional
    if drawn.optional:
        left_out = input_names(pair.forward, len(drawn.values))[required:]
        yield drawn.values[:required], f"{', '.join(left_out)} left at None"
    with contextlib.suppress(Unknown):
        yield drawn_inputs(pair.forward, np.random.default_rng(seed), labels_are_ids=False).values, ""


def copies(inputs: Sequence) -> list:
    return [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]


# ------------------------------------------------------------------------------------------------- inputs without a gradient


def on_inputs(pair: NamedPair, inputs: Sequence, seed: int) -> tuple[Verdict, str]:
    """The verdict, and which inputs were taken as constants. Raises as check_backward does."""
    verdict = verdict_on(pair, inputs, (), seed)
    if verdict.first_failure == "number of gradients":
        constants = constants_among(pair, inputs)
        with contextlib.suppress(ValueError):  # no floats are left
            another = verdict_on(pair, inputs, constants, seed)
            if another.first_failure != "number of gradients":
                names = input_names(pair.forward, len(inputs))
                return another, f"no gradient of {', '.join(names[i] for i in constants)}"
    return verdict, ""


def constants_among(pair: NamedPair, inputs: Sequence) -> list[int]:
    """The places of the floats that may have no gradient: numbers, and arrays whose names say so."""
    y = np.asarray(first_of(pair.forward(*copies(inputs))))
    is_loss = y.ndim < max(map(np.ndim, filter(is_floating, inputs)), default=0)
    places = []
    for place, name in enumerate(input_names(pair.forward, len(inputs))):
        named = NO_GRADIENT.fullmatch(name) or (is_loss and NO_GRADIENT_IN_A_LOSS.fullmatch(name))
        if isinstance(inputs[place], float) or (named and is_floating(inputs[place])):
            places.append(place)
    return places


def verdict_on(pair: NamedPair, inputs: Sequence, constants: Collection[int], seed: int) -> Verdict:
    """check_backward's, where the inputs at these places have no gradient."""
    verdict = check_backward(pair.forward, pair.backward, *inputs, without_gradient=constants, seed=seed)
    return replace(verdict, name=pair.name)
