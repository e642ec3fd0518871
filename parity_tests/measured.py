"""The magnitude of an operation's rounding errors, measured: what stands in where a row of the table gives no formula.

tolerances.py says what a magnitude is: what one eps of relative error in every number that goes into a result adds up to. For
our side this is that sentence, carried out. The operation runs in float64 on arrays that disturb every NumPy function they
meet: each operand and each result is multiplied by 1 + h z, with z from N(0, 1). What the output and the gradients then move
by, divided by h, is one draw of sum_j a[j] z[j], where a[j] is how strongly the j-th number counts. (Disturbing the inputs
alone would not do: GELU's 1 + tanh(u) cancels for x << 0, which no change of x brings to light.)

torch's side may go another way inside a fused kernel (LayerNorm's expands the mean's term), which has errors of its own. They
are seen in float32: torch's float32 against its float64, in eps, at inputs that each draw moves a little. (Where such an error
is often 0 by chance, as in attention's kernel, which sums dz z where ours sums dpattern pattern, a row needs its formula.)

Is the largest of 8 draws enough? A draw has the standard deviation sqrt(sum a^2). A rounding error is spread evenly within
eps/2, so its standard deviation is eps / sqrt(12), and ours and torch's together have 0.41 eps sqrt(sum a^2). To break the
bound of 8 eps magnitude, such an error must be 8 / 0.41 = 20 times the largest of eight draws: for normal z and z', the chance
is E[P(|z'| < |z| / 20)^8] = 0.04^8 E[z^8] = 7e-10 an element, and less with the value itself, which is added (a result is
rounded to the dtype whatever came before). A sum of n terms loses more than one rounding; it is disturbed by running_sum(n) h.

It cannot hide a wrong gradient: that is off by a share of its size, not by a few eps. test_measured.py shows it on the
catalogue of bugs, and that right code stays within the bound.
"""

import math
from collections.abc import Callable

import numpy as np

from .tolerances import eps

DRAWS = 8
H = math.sqrt(eps("float64"))  # small against 1, so that only first-order terms count; large against eps, so that it is seen
NORMAL = np.random.default_rng(0).standard_normal(2**16)


def running_sum(n: int) -> float:
    """How a sum of n terms of one sign, added up one by one, loses more than a single rounding.

    The partial sum after k terms is k/n of the whole, and its rounding error is uniform within eps/2 of it: a variance of
    eps^2 (k/n)^2 / 12, which summed over k makes a standard deviation of eps sqrt(n) / 6. BLAS adds like this within its blocks
    of a few hundred, and NumPy over leading axes, row by row; its sums along the last axis split in two instead.
    """
    return max(1.0, math.sqrt(n) / 6)


def disturb(x, size: float, rng: np.random.Generator) -> np.ndarray:
    """x as a plain array, each of its numbers off by about that share of it; integers and booleans as they are."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return x
    if x.size < NORMAL.size:  # a piece of the list, from anywhere in it, costs less than new numbers
        start = rng.integers(NORMAL.size - x.size)
        z = NORMAL[start : start + x.size].reshape(x.shape)
    else:
        z = rng.standard_normal(x.shape)
    return np.asarray(x * (1 + size * z))


def disturbing(rng: np.random.Generator) -> type[np.ndarray]:
    """A class of arrays that disturb whatever is computed from them, by H."""

    class Disturbing(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
            terms = 1
            if ufunc is np.matmul:
                terms = inputs[0].shape[-1]
            elif method == "reduce":
                terms = inputs[0].size // max(1, ufunc.reduce(np.asarray(inputs[0]), **kwargs).size)
            size = H * running_sum(terms)
            targets = 1 if method == "at" else 0  # add.at(target, ...) changes its first operand in place
            operands = [np.asarray(x) for x in inputs[:targets]] + [disturb(x, size, rng) for x in inputs[targets:]]
            result = getattr(ufunc, method)(*operands, **kwargs)
            if result is None:
                return None
            result = disturb(result, size, rng)
            if not out:
                return result.view(Disturbing)
            np.asarray(out[0])[...] = result
            return out[0]

        def __array_function__(self, function, types, arguments, kwargs):
            result = super().__array_function__(function, types, arguments, kwargs)
            return result.view(Disturbing) if isinstance(result, np.ndarray) else result

    return Disturbing


def measured_magnitude(
    ours: Callable, theirs: Callable, constant: tuple[int, ...], dy, *inputs
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The output's and each gradient's magnitude, at float64 inputs and a cotangent; nan, under which no error passes, where it
    is not finite.

    ours, theirs : (*inputs, dy) -> [the output, each gradient], by npgpt and by torch.
    constant : the places of the inputs that are kept as they are (a dropout mask of ones is one).
    """
    rng = np.random.default_rng(0)
    numbers = [*inputs, np.asarray(dy)]

    def changed(change: Callable, kept: Callable = lambda x: x) -> list[np.ndarray]:
        return [x if x.dtype.kind == "i" else (kept if i in constant else change)(x) for i, x in enumerate(numbers)]

    with np.errstate(all="ignore"):
        right = ours(*numbers)
        worst = [0.0 for _ in right]
        for _ in range(DRAWS):
            array = disturbing(rng)
            moved = ours(*changed(lambda x, array=array: x.view(array)))
            near = changed(lambda x: disturb(x, 10 * eps("float32"), rng).astype(np.float32), lambda x: x.astype(np.float32))
            near_wide = [x if x.dtype.kind == "i" else x.astype(np.float64) for x in near]
            for i, (a, b, t32, t64) in enumerate(zip(moved, right, theirs(*near), theirs(*near_wide), strict=True)):
                draw = np.abs(np.asarray(a) - b) / H + np.abs(np.float64(t32) - t64) / eps("float32")
                worst[i] = np.maximum(worst[i], draw)
        sizes = [np.abs(value) + most for value, most in zip(right, worst, strict=True)]
    sizes = [np.where(np.isfinite(size), size, np.nan) for size in sizes]
    return sizes[0], sizes[1:]
