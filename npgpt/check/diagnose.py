"""What kind of mistake makes this array out of that one? Hypotheses about a wrong gradient, tested by numbers.

Nothing here guesses: each hypothesis predicts the wrong array from the right one (and from the sizes, terms and alternatives
that the caller knows), and is named only where the prediction fits to half of the digits of the dtype.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

Fits = Callable[[Array], bool]  # whether a prediction is the wrong gradient


class Mistake(NamedTuple):
    """text says more. kind is one of these:

    of two arrays alone, found here: "not finite", "zero", "sign", "factor", "double count", "missing term", "transpose",
    "shift"; of a pair of functions, found in hypotheses.py: "missing path", "dy itself", "diagonal", "at the output",
    "another formula", "derivative missing", "repeated ids", "overwritten", "index"; in linearity.py: "clip".
    """

    kind: str
    text: str


def likely_mistake(
    wrong: Array,
    right: Array,
    factors: Mapping[str, float] | None = None,
    terms: Mapping[str, Array] | None = None,
    alternatives: Mapping[str, tuple[str, Array]] | None = None,
    in_rows: Mapping[str, Array] | None = None,
) -> Mistake | None:
    """The mistake that turns `right` into `wrong`, or None where no hypothesis fits. Both have one shape,
    real and floating; the wrong one's dtype says how many digits must fit.

    factors : name -> size, such as {"B": 4, "sqrt(D)": 1.41}; a constant factor is named after them.
    terms : name -> an additive part of `right` (same shape), for "this term is missing" and "this term counts twice".
    alternatives : name -> (kind, what the array would be if that mistake had been made).
    in_rows : name -> an array of the same shape of which each row may lack a multiple, a sum over the row times that array.
    """
    wrong, right = np.asarray(wrong), np.asarray(right)
    if wrong.shape != right.shape:
        raise ValueError(f"wrong has the shape {wrong.shape}, right {right.shape}")
    if np.array_equal(wrong, right, equal_nan=True):
        return None
    fits = fitter(wrong, right)
    hypotheses = itertools.chain(
        of_the_whole(wrong, right, fits, factors or {}, terms or {}, alternatives or {}),
        rearranged(right, fits),
        of_parts(wrong, right, fits, in_rows or {}),
    )
    return next(hypotheses, None)


def of_the_whole(
    wrong: Array,
    right: Array,
    fits: Fits,
    factors: Mapping[str, float],
    terms: Mapping[str, Array],
    alternatives: Mapping[str, tuple[str, Array]],
) -> Iterator[Mistake]:
    """What one number or one term explains everywhere."""
    yield from _broken(wrong, right)
    yield from _scaled(wrong, right, factors, fits)
    yield from _alternatives(alternatives, fits)
    yield from _terms(wrong, right, terms, fits)


def of_parts(wrong: Array, right: Array, fits: Fits, in_rows: Mapping[str, Array]) -> Iterator[Mistake]:
    """What takes a number for each slice, or leaves elements out: it fits more, so it comes last."""
    yield from _partly_zero(wrong, right, fits)
    if np.isfinite(wrong).all() and np.isfinite(right).all():
        yield from _slice_factors(wrong, right, fits)
        yield from _constant_difference(wrong, right, fits)
        yield from _multiples_in_rows(wrong, right, in_rows, fits)


def fitter(wrong: Array, right: Array, tolerance: float = 0.0) -> Fits:
    """A test: does a prediction equal `wrong` to half of its digits (and not only because `right` does too)?

    tolerance : where fewer digits are enough, what may be off, as a part of the whole.
    """
    tolerance = max(tolerance, 8 * np.sqrt(np.finfo(wrong.dtype).eps))
    finite = np.isfinite(wrong)
    scale = np.linalg.norm(wrong[finite])
    same_places = np.array_equal(finite, np.isfinite(right))
    difference = np.linalg.norm(wrong[finite] - right[finite]) if same_places else np.inf

    def fits(prediction: Array) -> bool:
        if not np.array_equal(np.isfinite(prediction), finite):
            return False
        rest = np.linalg.norm(wrong[finite] - prediction[finite])
        return bool(rest <= tolerance * scale and rest <= 0.01 * difference)

    return fits


def _broken(wrong: Array, right: Array) -> Iterator[Mistake]:
    unexpected = ~np.isfinite(wrong) & np.isfinite(right)
    if unexpected.any():
        yield Mistake("not finite", f"{int(unexpected.sum())} of {wrong.size} elements are nan or inf")
    elif not wrong.any() and right.any():
        yield Mistake("zero", "everything is 0: the gradient never arrives here, or is never added")


def _scaled(wrong: Array, right: Array, factors: Mapping[str, float], fits: Fits) -> Iterator[Mistake]:
    finite = np.isfinite(right) & np.isfinite(wrong)
    power = float((right[finite] ** 2).sum())
    if power == 0:
        return
    c = float((wrong[finite] * right[finite]).sum()) / power  # least squares: wrong = c right
    with np.errstate(invalid="ignore"):
        if not fits(c * right):
            return
    if np.isclose(c, -1, rtol=1e-4):
        yield Mistake("sign", "the sign is wrong")
        return
    name = _factor_name(c, factors)
    if np.isclose(c, 2, rtol=1e-4):
        yield Mistake("double count", "everything counts twice" + (f" (or is multiplied by {name})" if name else ""))
    elif name or wrong.size > 1:  # any number is some factor times another: it says something where it has a name
        yield Mistake("factor", f"everything is multiplied by {c:.6g}" + (f", which is {name}" if name else ""))


def _factor_name(c: float, factors: Mapping[str, float]) -> str | None:
    """c as a named size, one over it, or a product or ratio of two, up to sign."""
    single = {name: value for name, value in factors.items() if value not in (0, 1)}
    names = {**single, **{f"1/({name})" if " " in name else f"1/{name}": 1 / value for name, value in single.items()}}
    for (a, x), (b, y) in itertools.combinations(single.items(), 2):
        names |= {f"{a} * {b}": x * y, f"{a}/{b}": x / y, f"{b}/{a}": y / x, f"1/({a} * {b})": 1 / (x * y)}
    for name, value in names.items():
        if np.isclose(abs(c), value, rtol=1e-4):
            return name if c > 0 else f"-{name}"
    return None


def _alternatives(alternatives: Mapping[str, tuple[str, Array]], fits: Fits) -> Iterator[Mistake]:
    for name, (kind, array) in alternatives.items():
        if fits(array):
            yield Mistake(kind, name)


def _terms(wrong: Array, right: Array, terms: Mapping[str, Array], fits: Fits) -> Iterator[Mistake]:
    for name, term in terms.items():
        power = float((term**2).sum())
        if power == 0:
            continue
        a = float(((wrong - right) * term).sum()) / power  # least squares: wrong = right + a term
        if not fits(right + a * term):
            continue
        if np.isclose(a, -1, rtol=1e-4):
            yield Mistake("missing term", f"{name} is missing")
        elif np.isclose(a, 1, rtol=1e-4):
            yield Mistake("double count", f"{name} counts twice")
        elif np.isclose(a, -2, rtol=1e-4):
            yield Mistake("sign", f"{name} has the wrong sign")
        else:
            yield Mistake("factor", f"{name} has a factor of {1 + a:.6g}")


def rearranged(right: Array, fits: Fits) -> Iterator[Mistake]:
    for a, b in itertools.combinations(range(right.ndim), 2):
        swapped = right.swapaxes(a, b)
        if fits(swapped.reshape(right.shape)):
            how = (
                "swapped"
                if right.shape[a] == right.shape[b]
                else "read in the wrong order (a reshape where a transpose is due)"
            )
            yield Mistake("transpose", f"axes {a} and {b} are {how}")
    for axis, (step, side) in itertools.product(range(right.ndim), ((1, "after"), (-1, "before"))):
        if right.shape[axis] > 2 and fits(np.roll(right, step, axis)):
            yield Mistake("shift", f"everything stands one place {side} its own along axis {axis}")


def _partly_zero(wrong: Array, right: Array, fits: Fits) -> Iterator[Mistake]:
    """Right where it is not 0: some contributions never arrive."""
    zero = (wrong == 0) & (right != 0)
    if zero.any() and fits(np.where(zero, 0, right)):
        yield Mistake("missing term", f"{int(zero.sum())} of {wrong.size} elements are 0, the others are right")


def _slice_factors(wrong: Array, right: Array, fits: Fits) -> Iterator[Mistake]:
    """One factor for each slice along an axis: a part is scaled, or lacks a normalisation."""
    for axis in range(right.ndim):
        if right.shape[axis] < 2 or right.size == right.shape[axis]:
            continue
        others = tuple(i for i in range(right.ndim) if i != axis)
        power = (right**2).sum(axis=others, keepdims=True)
        c = np.divide((wrong * right).sum(axis=others, keepdims=True), power, out=np.ones_like(power), where=power > 0)
        if fits(c * right):
            yield Mistake(
                "factor", f"each slice along axis {axis} has a factor of its own, from {c.min():.4g} to {c.max():.4g}"
            )


def _constant_difference(wrong: Array, right: Array, fits: Fits) -> Iterator[Mistake]:
    """What is missing does not vary along an axis: a sum or mean over it."""
    for axis in reversed(range(right.ndim)):
        if right.shape[axis] < 3:
            continue
        difference = (wrong - right).mean(axis=axis, keepdims=True)
        if fits(right + difference):
            yield Mistake(
                "missing term", f"the difference is constant along axis {axis}: a sum or mean over that axis is missing"
            )


def _multiples_in_rows(wrong: Array, right: Array, arrays: Mapping[str, Array], fits: Fits) -> Iterator[Mistake]:
    """In each row a multiple of some array is missing: what normalising a row leaves behind (softmax: the output)."""
    if right.ndim == 0 or right.shape[-1] < 3:  # two numbers are too easily a multiple of two others
        return
    for name, array in arrays.items():
        power = (array**2).sum(axis=-1, keepdims=True)
        c = np.divide(((wrong - right) * array).sum(axis=-1, keepdims=True), power, out=np.zeros_like(power), where=power > 0)
        if fits(right + c * array):
            yield Mistake("missing term", f"each row lacks a multiple of {name}: a sum over the row, times {name}, is missing")
