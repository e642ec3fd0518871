"""What one row of y tells: its first sample at the first step, say, under a cotangent on that row alone.

Nothing comes back from later steps and nothing is summed, so the gradient of a bias is one term, and that of a weight the
product of two vectors.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray as Array

from .diagnose import Mistake
from .evidence import AT_THE_OUTPUT, DIAGONAL, Evidence, Row
from .gates import gates
from .inputs import is_floating


def first_row(evidence: Evidence) -> Iterator[Mistake]:
    """What is wrong in the gradients of the first row's loss too."""
    row = Row(evidence)
    if row.is_wrong(evidence.i):
        yield from last_derivative(evidence, row)
        yield from gates(evidence, row, all_of_them=True)
        yield from previous_step(evidence, row)
        return
    for number in range(1, min(4, evidence.dy.size // row.size)):  # all of a ReLU's row may be above 0
        yield from last_derivative(evidence, Row(evidence, number))


def last_derivative(evidence: Evidence, row: Row) -> Iterator[Mistake]:
    """y = f(... + b). b's gradient of one row is f'(.)^T dy: dy itself where f' is left out, or f' where it is not due."""
    dy = row.dy.flat[row.outputs]
    for j, x in enumerate(evidence.inputs.floats):
        if evidence.y is None or x.size != row.size or x.shape[-1:] != (row.size,) or not row.is_wrong(j):
            continue
        nothing = {i: np.zeros_like(x) for i, x in zip(evidence.inputs.places, evidence.inputs.floats, strict=True)}
        there = {**nothing, evidence.inputs.places[j]: np.float64(evidence.y).flat[row.outputs].reshape(x.shape)}
        columns: Any = evidence.columns(j)  # of a gradient that is wrong they are there, at whatever values
        columns_there: Any = evidence.columns(j, evidence.values_with(there))
        fits, slope, at_y = row.fits(j), row.jacobian(columns), row.jacobian(columns_there)  # (row, row), twice
        if fits(dy):
            yield Mistake("derivative missing", "the derivative of the last function, f'(x), is missing: dy goes past it")
        elif fits(slope.diagonal() * dy):
            yield DIAGONAL
        elif fits(at_y @ dy):
            yield AT_THE_OUTPUT
        elif fits(at_y.diagonal() * dy):
            yield Mistake(AT_THE_OUTPUT.kind, f"{AT_THE_OUTPUT.text}; and of its Jacobian only the diagonal")


def softmax_inside(evidence: Evidence) -> Iterator[Mistake]:
    """Attention: y = p v and p = softmax(q k^T). In one row of y dk is the outer product of dscores and q.

    So the wrong dk shows what was taken for dscores = p (dp - sum(p dp)), and the derivative by v shows p. The row is the last
    of the first sample, since a causal mask hides everything from the first.
    """
    if evidence.y is None or evidence.y.ndim < 2:
        return
    row = Row(evidence, evidence.y.shape[-2] - 1)
    dy = row.dy.flat[row.outputs]
    for j, v in enumerate(evidence.inputs.floats):
        p = weights_of(evidence, row, j)
        if p is None:
            continue
        sample = (0,) * (v.ndim - 2)
        dp = v[sample] @ dy  # (S,)
        right = p * (dp - p @ dp)
        if not right.any():  # of one key alone nothing tells what was taken
            continue
        for i, k in enumerate(evidence.inputs.floats):
            if k.ndim != v.ndim or k.shape[-2] != len(p) or not row.is_wrong(i) or row.got(i).size < k.size:
                continue
            true, got = row.true(i).reshape(k.shape)[sample], row.got(i).reshape(k.shape)[sample]  # (S, D)
            query = right @ true / (right @ right)  # (D,): true is the outer product of right and this
            for kind, name, taken in (
                ("diagonal", "the diagonal alone, p (1 - p) dp", p * (1 - p) * dp),
                ("missing term", "p dp, without the sum over the row", p * dp),
                ("derivative missing", "dp itself", dp),
            ):
                if evidence.fitter(got, true)(np.outer(taken, query)):
                    yield Mistake(kind, f"inside, the gradient of a softmax's scores is {name}")
                    return


def weights_of(evidence: Evidence, row: Row, j: int) -> Array | None:
    """p, where that row of y is p v of the j-th input's first sample, with p >= 0 and a sum of 1; else None."""
    v, columns = evidence.inputs.floats[j], evidence.columns(j)
    if v.ndim < 2 or v.shape[-1] != row.size or columns is None or len(columns.elements) < v.size:
        return None
    of_v = row.jacobian(columns).reshape(*v.shape, row.size)[(0,) * (v.ndim - 2)]  # (S, D, row)
    p = of_v[:, 0, 0]
    same = np.allclose(of_v, p[:, None, None] * np.eye(row.size))
    return p if same and np.isclose(p.sum(), 1) and (p >= 0).all() else None


def previous_step(evidence: Evidence, row: Row) -> Iterator[Mistake]:
    """A weight's gradient sums products: dz[t] times what the weight met in step t. In the first step: which was that?"""
    if evidence.x.ndim != 2 or evidence.right.size != evidence.x.size or evidence.y is None:
        return
    true, got = row.true(evidence.i).reshape(evidence.x.shape), row.got(evidence.i).reshape(evidence.x.shape)
    for axis, dz in itertools.product((0, 1), differentials(evidence, row)):
        if dz.size != evidence.x.shape[axis]:
            continue
        met = (got if axis else got.T) @ dz / (dz @ dz)  # what the product with dz was made of
        due = (true if axis else true.T) @ dz / (dz @ dz)
        wrong = np.abs(met - due) > 1e-6 * np.abs(met).max()
        if not wrong.any() or not row.fits(evidence.i)((np.outer(met, dz) if axis else np.outer(dz, met)).ravel()):
            continue
        off = np.flatnonzero(wrong)
        part = met[off[0] : off[-1] + 1]
        for name, vector in neighbours(evidence):
            if len(vector) == len(part) and np.abs(part - vector).max() <= 1e-6 * np.abs(vector).max():
                how = f"one step off: in the first step {evidence.gradient} is made of {name}"
                yield Mistake("shift", f"{how}, which is not what the weight met there")
                return


def neighbours(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """Rows that a step off may take for the right one: y's first (h[t] for h[t - 1]) and last (h[-1]), the inputs' second."""
    arrays = {"y": evidence.y} | dict(zip(evidence.inputs.names, evidence.inputs.values, strict=True))
    for name, x in arrays.items():
        if not is_floating(x) or x.ndim < 2:
            continue
        first = (0,) * (x.ndim - 1)
        places = [first] if name == "y" else []
        for axis, step in itertools.product(range(x.ndim - 1), (1, -1)):
            places.append((*first[:axis], step, *first[axis + 1 :]))
        for place in places:
            if all(abs(i) < size for i, size in zip(place, x.shape, strict=False)):
                yield f"{name}[{', '.join(map(str, place))}]", x[place]


def differentials(evidence: Evidence, row: Row) -> Iterator[Array]:
    """Candidates for dz in the first step: the true gradients of vectors that are added to z."""
    for j, x in enumerate(evidence.inputs.floats):
        true = row.true(j)
        if x.size == max(x.shape, default=1) and true is not None and true.size == x.size and true.any():
            yield true
