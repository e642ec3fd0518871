"""Where does a model look? How much each letter of a text moves the log-probability of the letter that comes next.

Attention draws a map of itself; an LSTM and a Mamba have none to draw. Two maps that every model here has:

The gradient. With e[s] the embedding of the letter at s, and log p[t] the log-probability of the target at t, ask what log p[t]
does when the letter's numbers move a little:

    G[t, s] = d log p[t] / d e[s]                      (C,)
    G[t, s] . e[s]                                     a guess, to first order, of what the letter brings: log p[t] with it,
                                                       less log p[t] with a vector of zeros in its place
    |G[t, s]|                                          how steep log p[t] is, in the steepest direction

Every t is a question of its own. So the batch holds T copies of the text, and of copy t only the target at t is asked for:

    loss = -(1/T) sum_t log p[t]        with log p[t] from copy t        so        G[t, s] = -T dloss / d embed[t, s]

and one backward pass answers all T questions. Letters after t do not enter: G[t, s] = 0 for s > t, as in attention's map.

The replacement, by which any such map can be judged. Put every other letter of the alphabet where the letter stands, and look:

    change[t, s] = mean over v != ids[s] of   log p[t] - log p[t, with v at s]
    size[t, s]   = mean over v != ids[s] of  |log p[t] - log p[t, with v at s]|

No derivative and nothing to first order, at the price of V forward passes a letter. To first order, change[t, s] is
G[t, s] . (e[s] - mean of the other letters' e): the gradient times the embedding asks about zeros, which is no letter.

Sources: Simonyan, Vedaldi, Zisserman 2013, arXiv:1312.6034 (the gradient's norm); Shrikumar, Greenside, Shcherbina, Kundaje
2016, arXiv:1605.01713 (the gradient times the input); Jain, Wallace 2019, arXiv:1902.10186 (attention's rank correlation with
gradients and with leaving words out).
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from .ops.embedding import check_ids
from .pictures.statistics import numpy_array, surprise
from .types import Ids, Model


class GradientMap(NamedTuple):
    """d log p[t] / d e[s] of every pair of positions (t, s), and what is read off it."""

    gradient: Array  # (T, T, C)
    times_embedding: Array  # (T, T): G . e
    norm: Array  # (T, T): |G|


class ReplacementMap(NamedTuple):
    """How log p[t] changes when the letter at s is another: with its sign, and without."""

    change: Array  # (T, T): above 0 where the letter helps
    size: Array  # (T, T)


def gradient_map(model: Model, ids: Ids, targets: Ids) -> GradientMap:
    """The gradient of each target's log-probability by each letter's embedding.

    model : of any kind, from either backend; it stays as it is. ids (T,), targets (T,) : integers, one sequence.
    Raises TypeError or ValueError where they are not of one shape (T,), or do not fit the model.
    """
    ids, targets = checked_sequence(model, ids, targets)
    T = len(ids)
    copies = np.tile(ids, (T, 1))  # (T, T): row t for target t
    copies_targets = np.tile(targets, (T, 1))  # (T, T)
    embed, dembed = map(numpy_array, model.trace(copies, copies_targets, where=np.eye(T, dtype=bool))["embed"])  # (T, T, C)
    gradient = -T * dembed
    times_embedding = (gradient * embed).sum(axis=-1)  # (T, T)
    return GradientMap(gradient, times_embedding, np.linalg.norm(gradient, axis=-1))


def replacement_map(model: Model, ids: Ids, targets: Ids, others: Ids | None = None) -> ReplacementMap:
    """The mean change of each target's log-probability when one letter is replaced by each other one.

    others : the tokens that are put in its place, each once; None: all of the vocabulary.
    Takes and raises what `gradient_map` does; ValueError also where there is no other token.
    """
    ids, targets = checked_sequence(model, ids, targets)
    others = np.arange(model.config.vocab_size) if others is None else np.unique(others)  # (V,)
    check_ids("others", others, model.config.vocab_size)
    T = len(ids)
    log_p = -surprise(model(ids[None]), targets[None])  # (1, T)
    change, size = np.zeros((T, T)), np.zeros((T, T))
    for s in range(T):
        instead = others[others != ids[s]]
        V = len(instead)
        if V == 0:
            raise ValueError(f"there is no other token than {ids[s]} to put in the place of position {s}")
        replaced = np.tile(ids, (V, 1))  # (V, T)
        replaced[:, s] = instead
        differences = log_p + surprise(model(replaced), np.tile(targets, (V, 1)))  # (V, T)
        change[s:, s] = differences.sum(axis=0)[s:] / V
        size[s:, s] = np.abs(differences).sum(axis=0)[s:] / V
    return ReplacementMap(change, size)


def checked_sequence(model: Model, ids: Ids, targets: Ids) -> tuple[Array, Array]:
    """ids and targets as arrays (T,) of the model's tokens. Raises TypeError or ValueError where they are not."""
    ids, targets = np.asarray(ids), np.asarray(targets)
    if ids.ndim != 1 or not len(ids) or ids.shape != targets.shape:
        raise ValueError(f"ids and targets must both have one shape (T,), T at least 1; got {ids.shape} and {targets.shape}")
    for name, tokens in (("ids", ids), ("targets", targets)):
        check_ids(name, tokens, model.config.vocab_size)
    return ids, targets
