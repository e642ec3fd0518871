"""How many digits of a gradient are right: the model's own backward against its forward, which knows nothing of it.

Along one direction v through all the weights the loss changes by g . v, if g is its gradient. The same number comes out of the
forward pass alone, computed in complex numbers at weights + i h v:

    L(w + i h v) = L(w) + i h L'(w) v - h^2 / 2 ... ,   so   Im L(w + i h v) / h = g . v   for a tiny h.

Nothing is subtracted, so nothing cancels, and h may be 1e-30: the derivative is exact to the last digits of a double. One wrong
gradient anywhere changes the sum.

Source: Squire, Trapp 1998, Using complex variables to estimate derivatives of real functions, SIAM Review 40.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy import ndarray as Array
from numpy.typing import ArrayLike

from ..models.base import LanguageModel
from ..models.layout import Layout
from ..ops.cross_entropy import cross_entropy

MOST_DIGITS = 17  # a double has no more


def random_direction(layout: Layout, seed: int) -> dict[str, Array]:
    """A direction through all trained weights: standard normal numbers for each, by name."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(entry.shape) for name, entry in layout.items() if entry.trained}


def loss_derivative(
    model: LanguageModel, directions: Mapping[str, Array], ids: ArrayLike, targets: ArrayLike, h: float = 1e-30
) -> float:
    """The derivative of a NumPy model's loss on (ids, targets), each (B, T), along the directions, by the complex step. Nothing
    is dropped."""
    complex_model = type(model)(model.config, dtype="float64")
    complex_model.build("complex128")
    complex_model.load_state_dict(model.state_dict())
    for name, direction in directions.items():
        complex_model.state_dict()[name][...] += 1j * h * direction
    logits, _ = complex_model.forward(np.asarray(ids))
    return float(cross_entropy(logits, np.asarray(targets))[0].imag / h)


def digits_of_agreement(
    model: LanguageModel,
    gradients: Mapping[str, Array],
    direction: Mapping[str, Array],
    ids: ArrayLike,
    targets: ArrayLike,
) -> float:
    """-log10 of how far g . v is from the complex step's derivative, in the sum of |g v|: about 15 where a float64 backward is
    right, 7 for float32; 0 where not even the first digit is, nan where a number is.

    model : a NumPy model with the weights that the gradients belong to, which may come from either backend. gradients,
    direction : name -> array, of every trained weight. ids, targets (B, T).
    """
    with np.errstate(all="ignore"):  # a run that blows up has nan among its numbers
        products = [gradients[name].astype(np.float64) * v for name, v in direction.items()]
        along = sum(float(product.sum()) for product in products)
        scale = sum(float(np.abs(product).sum()) for product in products)
        error = abs(along - loss_derivative(model, direction, ids, targets))
    if not (math.isfinite(error) and math.isfinite(scale)):
        return math.nan
    if error == 0:
        return float(MOST_DIGITS)
    return min(max(math.log10(scale / error), 0.0), float(MOST_DIGITS)) if scale else 0.0
