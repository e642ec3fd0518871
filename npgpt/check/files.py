"""Every pair of a file graded: `check_pairs`, which is what `python -m npgpt.check FILE.py` runs.

importing.py   the names in the file
pairs.py       which of them are a forward and its backward
one_pair.py    check_backward on each, on the inputs of a cases() in the file, or else on drawn ones
signature.py   what a forward says about its inputs; draws.py: inputs of that kind
report.py      the table
"""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from .importing import namespace_of
from .one_pair import Cases, graded, quiet
from .pairs import NamedPair, pairs_in
from .report import Report


def check_pairs(source: "str | Path | ModuleType | Mapping[str, object]", *, only: str | None = None, seed: int = 0) -> Report:
    """Grades every pair of a forward and a backward that was written in a file, by check_backward.

        npgpt.check_pairs(globals())          in a notebook
        npgpt.check_pairs("layers.py")        what `python -m npgpt.check layers.py` prints

    A pair is told by its names: f and f_backward, f_forward and f_backward, f_fwd and f_bwd, forward_f and backward_f, f and
    f_grad, forward and backward. Its inputs come from a function cases() of the file, which returns a dict, name of either
    function -> a tuple of inputs, or a list of such tuples (a pair that it names may also be imported). Else they are drawn as
    the forward's signature says (signature.py lists how): shapes of letters, each of which gets a size; integers for ids and
    labels, booleans for masks. A parameter that has a default keeps it, unless that is None and a shape is said. Labels, tables
    of sines and numbers such as eps count as constants where the backward gives no gradient for them. Where nothing says a
    shape, the pair is not graded, and never counted right.

    Parameters
    ----------
    source : the path of a .py file, a module, or a namespace such as globals(). A file is run afresh, under another name than
        __main__; what it imports is not.
    only : the name of a forward or a backward: no other pair is graded.
    seed : of everything that is drawn.

    Raises ImportError where the file cannot be run, FileNotFoundError where there is none, TypeError for another source, and
    ValueError where there is no pair (of that name), or where cases() does not return what it should.
    """
    with namespace_of(source) as namespace:
        pairs, cases = pairs_and_cases(namespace)
        if not pairs:
            raise ValueError("no pair of a forward and a backward (f and f_backward, f_fwd and f_bwd, ...) is written there")
        if only is not None:
            check_named("only", [only], pairs)
            pairs = [pair for pair in pairs if pair.is_called(only)]
        return Report(tuple(graded(pair, cases, seed) for pair in pairs))


def pairs_and_cases(namespace: Mapping[str, object]) -> tuple[list[NamedPair], Cases]:
    """Raises ValueError where cases() does not return what it should."""
    cases = cases_of(namespace)
    pairs = pairs_in(namespace, also=cases)
    check_named("cases()", cases, pairs)
    return pairs, cases


def check_named(asker: str, names: Iterable[str], pairs: list[NamedPair]) -> None:
    """Raises ValueError where there is no pair of one of the names."""
    for name in names:
        if not any(pair.is_called(name) for pair in pairs):
            raise ValueError(f"{asker} names {name!r}, and the pairs are {', '.join(pair.name for pair in pairs) or 'none'}")


def cases_of(namespace: Mapping[str, object]) -> Cases:
    """What its cases() returns, each as a list; {} where there is none. Raises ValueError where that is something else."""
    function = namespace.get("cases")
    if not inspect.isfunction(function):
        return {}
    try:
        with quiet():
            cases = function()
    except Exception as error:
        raise ValueError(f"cases() raised {type(error).__name__}: {error}") from error
    if not isinstance(cases, Mapping):
        raise ValueError(f"cases() must return a dict, name -> inputs, got {type(cases).__name__}")
    listed = {name: inputs if isinstance(inputs, list) else [inputs] for name, inputs in cases.items()}
    for name, inputs in listed.items():
        if not inputs or not all(isinstance(each, tuple) for each in inputs):
            raise ValueError(f"cases() must give a tuple of inputs for {name!r}, or a list of such tuples")
    return listed
