"""Numbers about a text or a model's output, for the pictures: surprise, entropies, rank, closest pairs, nearest neighbours, the
rotation between two sets of vectors, the knee of a curve, and what is lost when a head is switched off. Arrays in, numbers out;
a model may come from either backend."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray as Array

from ..models.gpt import GPTConfig
from ..ops.softmax import softmax
from ..types import Model

Values = Any  # an array or a tensor


def numpy_array(x: Values) -> Array:
    """x, an array or a tensor on any device, as a NumPy array."""
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def probabilities(logits: Values) -> Array:
    """Logits (..., V) of either backend -> probabilities (..., V)."""
    return softmax(numpy_array(logits))[0]


def surprise(logits: Values, targets: Array) -> Array:
    """-ln p of each true next token, in nats: logits (..., V), targets (...) -> (...). Its mean is the loss."""
    logits = numpy_array(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)  # (..., V): no exp overflows, and ln p stays exact where p is tiny
    log_sum = np.log(np.exp(shifted).sum(axis=-1))  # (...)
    return log_sum - np.take_along_axis(shifted, np.asarray(targets)[..., None], axis=-1)[..., 0]


def conditional_entropy(contexts: Sequence, followers: Sequence) -> float:
    """H(follower | context) of the pairs as counted, in nats: the least mean surprise of who knows only the context."""
    together, alone = Counter(zip(contexts, followers, strict=True)), Counter(contexts)
    total = len(contexts)
    return -sum(count / total * np.log(count / alone[context]) for (context, _), count in together.items())


def ngram_entropy(ids: Array, n: int) -> float:
    """The entropy of a token given the n - 1 before it, in nats, by the text's own counts; n = 1 is that of the letters alone.

    No model that sees n - 1 tokens back can have a lower mean loss on this very text; one that sees further can. The counts are
    the text's own, so for large n, where hardly any context comes twice, the number says little about any other text.
    """
    if n < 1 or n > len(ids):
        raise ValueError(f"n must be in 1..{len(ids)}, the number of tokens; got {n}")
    text = np.asarray(ids).tolist()
    contexts = [tuple(text[start : start + n - 1]) for start in range(len(text) - n + 1)]
    return conditional_entropy(contexts, text[n - 1 :])


def prefix_entropy(ids: Array, targets: Array) -> float:
    """The lowest mean loss of any model on these sequences (B, T): the entropy of each target given all before it."""
    B, T = np.shape(ids)
    contexts = [tuple(row[: t + 1]) for row in np.asarray(ids).tolist() for t in range(T)]
    return conditional_entropy(contexts, np.asarray(targets).reshape(B * T).tolist())


def matrix_rank(matrix: Array, relative: float = 1e-5) -> int:
    """How many singular values are larger than `relative` times the largest: the dimensions that the rows (N, V) really use."""
    singular_values = np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False)
    return int((singular_values > relative * singular_values[0]).sum()) if singular_values.size else 0


def closest_pairs(vectors: Array, names: Sequence[str], count: int = 3) -> list[tuple[str, str, float]]:
    """The `count` pairs of rows of vectors (N, C) with the smallest distance, nearest first: (name, name, distance)."""
    vectors = np.asarray(vectors, dtype=np.float64)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)  # (N, N)
    first, second = np.triu_indices(len(vectors), k=1)
    order = np.argsort(distances[first, second], stable=True)[:count]
    return [(names[first[i]], names[second[i]], float(distances[first[i], second[i]])) for i in order]


def nearest(vectors: Array, k: int) -> Array:
    """The k rows of vectors (N, C) that point most nearly where each row points, from the mean of all: (N, k), nearest first.

    By the cosine, since a frequent token's vector is longer than a rare one's. Raises ValueError unless 1 <= k < N.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if not 1 <= k < len(vectors):
        raise ValueError(f"k must be in 1..{len(vectors) - 1}, the number of other rows; got {k}")
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-300)
    cosines = unit @ unit.T  # (N, N)
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, stable=True)[:, :k]


def neighbours_kept(before: Array, after: Array, k: int) -> float:
    """The share of each row's k nearest that stay the same from before (N, C) to after (N, D), its mean over the rows.

    Where before and after have nothing to do with each other, it is k / (N - 1) on average.
    """
    pairs = zip(nearest(before, k).tolist(), nearest(after, k).tolist(), strict=True)
    return float(np.mean([len(set(old) & set(new)) / k for old, new in pairs]))


def rotation_onto(vectors: Array, target: Array) -> tuple[Array, float]:
    """The rotation (or mirror image) R (C, C) that brings vectors (N, C) as near to target (N, C) as it can, and how near.

    Nothing in a model says which way its axes point: two trainings can only be compared after a rotation.
    R is orthogonal, so |vectors R - target|^2 = |vectors|^2 + |target|^2 - 2 tr(R^T M) with M = vectors^T target = U S V^T; and
    tr(R^T U S V^T) = tr(S (V^T R^T U)) is largest, sum(S), where the orthogonal matrix in brackets is 1: R = U V^T.

    How near: the share of target's square that the best multiple of vectors R explains, sum(S)^2 / (|vectors|^2 |target|^2),
    from 0 to 1; 1 where the two are alike but for rotation and size.
    Source: Schoenemann 1966, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31.
    """
    vectors, target = (np.asarray(rows, dtype=np.float64) for rows in (vectors, target))
    U, S, Vt = np.linalg.svd(vectors.T @ target)  # (C, C), (C,), (C, C)
    squares = (vectors**2).sum() * (target**2).sum()
    return U @ Vt, float(S.sum() ** 2 / squares) if squares else 0.0


def centres_apart(vectors: Array, first: Array, second: Array) -> float:
    """How far the centres of two kinds of rows of vectors (N, C) lie apart, in the kinds' mean radius; each kind is (N,) bool.

    nan where a kind has no row, or all rows of each lie on one point.
    """
    kinds = [np.asarray(vectors, dtype=np.float64)[np.asarray(kind)] for kind in (first, second)]
    if not all(map(len, kinds)):
        return math.nan
    between = np.linalg.norm(kinds[0].mean(axis=0) - kinds[1].mean(axis=0))
    within = np.mean([np.linalg.norm(rows - rows.mean(axis=0), axis=1).mean() for rows in kinds])
    return float(between / within) if within else math.nan


def knee(widths: Sequence[int], losses: Sequence[float], floor: float, share: float = 0.95) -> int | None:
    """The smallest width from which on at least `share` of the way from the first width's loss down to the floor is gone.

    None where even the last width does not come that far.
    """
    gone = (losses[0] - np.asarray(losses)) / (losses[0] - floor)  # (W,): 0 at the first width, 1 at the floor
    place = len(widths)
    while place > 0 and gone[place - 1] >= share:
        place -= 1
    return widths[place] if place < len(widths) else None


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's: the correlation of the ranks of two lists of numbers (N,), 1 where both have the same order, -1 where the
    opposite. Equal numbers share the mean of their ranks; nan where one list is all equal, or N is below 2."""
    ranks = []
    for values in (first, second):
        values = np.asarray(values)
        smaller = (values[None, :] < values[:, None]).sum(axis=1)  # (N,)
        equal = (values[None, :] == values[:, None]).sum(axis=1)  # itself among them
        rank = smaller + (equal + 1) / 2  # 1 .. N
        ranks.append(rank - rank.mean())
    a, b = ranks
    norms = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norms) if norms > 0 else math.nan


def loss_without_head(model: Model, layer: int, head: int, ids: Array, targets: Array) -> float:
    """The loss of a GPT with one head switched off: the projection's columns that read it are 0 meanwhile. The model stays as
    it was. Raises ValueError where there is no such head, as in a model of another kind."""
    config = model.config
    if not isinstance(config, GPTConfig):
        raise ValueError(f"only a model of kind 'gpt' has heads to switch off, got one of kind {config.kind!r}")
    if not (0 <= layer < config.n_layer and 0 <= head < config.n_head):
        raise ValueError(f"layer {layer}, head {head} is not in a model of {config.n_layer} layers and {config.n_head} heads")
    weights = {name: numpy_array(weight).copy() for name, weight in model.state_dict().items()}
    name, D = f"blocks.{layer}.mha.projection.weight", config.head_size
    without = weights[name].copy()  # (C, C)
    without[:, head * D : (head + 1) * D] = 0
    try:
        model.load_state_dict(weights | {name: without})
        return model.loss(ids, targets)
    finally:
        model.load_state_dict(weights)
