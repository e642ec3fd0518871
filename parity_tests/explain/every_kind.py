"""Hypotheses for a model of any kind: where the chain begins, where it ends, and what is done with all of it."""

import numpy as np

from ..operations import ops
from ..record import GRADIENT
from .place import Hypotheses, Place, about


@about("gradient of logits")
def cross_entropy(at: Place) -> Hypotheses:
    """(softmax - onehot) / N."""
    p = ops.softmax(at.value("logits"))[0]
    N = p.shape[0] * p.shape[1]
    return {"the one-hot target": at.gradient("logits") - p / N, "the softmax": p / N}, {}


@about("gradient of token_embedding.weight")
def lookup_and_tied_head(at: Place) -> Hypotheses:
    """A sum over the places where each token stands, and the head's gradient where it is tied."""
    dx, ids = at.gradient("embed"), at.right.ids  # (B, T, C), (B, T)
    lookup, last = np.zeros((2, at.config.vocab_size, dx.shape[-1]))
    np.add.at(lookup, ids, dx)
    last[ids.reshape(-1)] = dx.reshape(-1, dx.shape[-1])
    head = at.gradient("token_embedding.weight") - lookup  # 0 unless the head is tied
    return {}, {
        "the tied head's gradient is missing": ("missing term", lookup),
        "the lookup's gradient is missing": ("missing term", head),
        "the tied head's gradient counts twice": ("double count", lookup + 2 * head),
        "the lookup's gradient counts twice": ("double count", 2 * lookup + head),
        "of a repeated id's gradients only the last is kept": ("missing term", head + last),
    }


@about("gradient norm")
def norm(at: Place) -> Hypotheses:
    """sqrt(sum of g^2) over all parameters."""
    gradients = [at.right.tensors[GRADIENT + name] for name in at.right.weights if GRADIENT + name in at.right.tensors]
    squares, largest = sum((g**2).sum() for g in gradients), max(np.abs(g).max() for g in gradients)
    return {}, {
        "the root of the sum of squares is missing": ("factor", np.array([squares])),
        "it is the largest element": ("factor", np.array([largest])),
    }
