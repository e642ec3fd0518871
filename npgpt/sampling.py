"""Choosing the next token from the logits: the likeliest, or one drawn at random from a reshaped distribution.

    p = softmax(logits / temperature)     below 1 the likely become likelier, above 1 the unlikely do; at 0 the likeliest alone
    top_k: all but the k likeliest get 0
    top_p: all but the fewest likeliest that together have at least top_p get 0    ("nucleus")
    what is left is scaled to sum 1 again, and one token is drawn

Each cuts off the long tail, where a model that is a little wrong about very many tokens is wrong often in sum. top_k keeps the
same number everywhere; top_p keeps few tokens where the model is sure, and many where it is not.

Everything is NumPy in float64, on both backends: the same logits and seed give the same tokens.

Sources: top-k: Fan, Lewis, Dauphin 2018, arXiv:1805.04833; top-p: Holtzman et al. 2020, arXiv:1904.09751.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy import ndarray as Array


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raises ValueError for options with which no token could be chosen."""
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be a number of at least 0, got {temperature}")
    if top_k is not None and not (top_k >= 1 and top_k == int(top_k)):
        raise ValueError(f"top_k must be an integer of at least 1, or None for all tokens; got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, or None for all tokens; got {top_p}")


def next_token_probabilities(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    """logits (B, V) -> the probabilities (B, V) float64 from which the next token is drawn; each row sums to 1.

    Of equal logits the lower ids count as the likelier ones. temperature 0 gives the likeliest token the probability 1.
    A token of logit -inf gets 0. Raises ValueError where an option is out of range, a logit is nan or inf, or all are -inf.
    """
    check_sampling(temperature, top_k, top_p)
    logits = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(logits.max(axis=1)).all():
        raise ValueError(
            "the logits hold nan or inf, or -inf alone: no token can be chosen (has the model's training diverged?)"
        )
    if temperature == 0:
        p = np.zeros_like(logits)
        p[np.arange(len(p)), logits.argmax(axis=1)] = 1  # of equal ones the first
        return p
    order = np.argsort(-logits, kind="stable")  # (B, V): ids from the likeliest to the least likely
    ranked = np.take_along_axis(logits, order, axis=1)  # (B, V), falling
    with np.errstate(over="ignore"):  # a tiny temperature sends all but the likeliest to -inf, and to 0
        p = np.exp((ranked - ranked[:, :1]) / temperature)
    if top_k is not None:
        p[:, int(top_k) :] = 0
    p /= p.sum(axis=1, keepdims=True)
    if top_p is not None and top_p < 1:  # at 1 the rounding of the sums would cut the tail off
        before = np.cumsum(p, axis=1) - p  # what the likelier ones have together
        p[before >= top_p] = 0
        p /= p.sum(axis=1, keepdims=True)
    probabilities = np.empty_like(p)
    np.put_along_axis(probabilities, order, p, axis=1)
    return probabilities


def draw(probabilities: Array, uniform: Array) -> Array:
    """probabilities (B, V), uniform (B,) in [0, 1) -> ids (B,): where the uniform number falls when each token takes a piece of
    [0, 1) as long as its probability. A token of probability 0 is never drawn."""
    ends = np.cumsum(probabilities, axis=1)  # (B, V)
    return (ends <= uniform[:, None] * ends[:, -1:]).sum(axis=1)


def make_sampler(
    temperature: float = 0.0, top_k: int | None = None, top_p: float | None = None, seed: int | None = None
) -> Callable[[Array], Array]:
    """A function logits (B, V) -> the next tokens (B,) int64, with a generator of its own: the seed fixes what it draws (None:
    something else each time). Raises ValueError for options out of range."""
    check_sampling(temperature, top_k, top_p)
    rng = np.random.default_rng(seed)

    def choose(logits: Array) -> Array:
        probabilities = next_token_probabilities(logits, temperature, top_k, top_p)
        if temperature == 0:
            return probabilities.argmax(axis=1)
        return draw(probabilities, rng.random(len(probabilities)))

    return choose
