"""Hypotheses for a GPT: transposes, scales and masks of attention, GELU's two paths, the residual stream and its LayerNorms."""

import math
from functools import partial

import numpy as np

from npgpt.ops.gelu import A, K

from ..operations import ops
from .place import Hypotheses, Place
from .place import about as about_any

about = partial(about_any, kind="gpt")


# ---------------------------------------------------------------------------------------------------- the residual stream


@about("resid_pre")
def positions(at: Place) -> Hypotheses:
    """token + position."""
    embed, pos_embed = at.value("embed"), at.value("pos_embed")
    table = at.right.weights.get("position_embedding.weight", pos_embed[0])
    shifted = {
        f"positions stand one place too {word}": ("shift", embed + np.roll(table, step, axis=0)[: embed.shape[1]])
        for word, step in (("late", 1), ("early", -1))
    }
    return {"the position": pos_embed + 0 * embed, "the token": embed}, shifted


@about("resid_mid")
def stream_after_attention(at: Place) -> Hypotheses:
    """x + attention(x)."""
    return {"the residual stream": at.value("resid_pre"), "attention's output": at.value("attn_out")}, {}


@about("resid_post")
def stream_after_ffn(at: Place) -> Hypotheses:
    """x + ffn(x)."""
    if not at.has("ffn_out"):
        return {}, {}
    return {"the residual stream": at.value("resid_mid"), "the FFN's output": at.value("ffn_out")}, {}


@about("gradient of resid_pre", "gradient of resid_mid", "gradient of resid_post")
def back_along_the_stream(at: Place) -> Hypotheses:
    """What comes past a branch, and LayerNorm's terms of what comes through it."""
    part = at.about.removeprefix("gradient of ")
    is_last = at.block == f"blocks.{at.config.n_layer - 1}."
    norm, stream = {
        "resid_post": ("ln_f" if is_last else None, None),
        "resid_mid": ("ln2", "resid_post"),
        "resid_pre": ("ln1", "resid_mid"),
    }[part]
    if norm is None or not at.has(norm):
        return {}, {}
    x, dy, weight = at.value(part), at.gradient(norm), at.weight(f"{norm}.weight")
    terms = layer_norm_terms(x, dy, weight)
    without_gain = sum(layer_norm_terms(x, dy, np.ones_like(weight)).values())
    terms["LayerNorm's terms through mean and rstd"] = sum(terms.values()) - terms["LayerNorm's direct term"]
    past = 0
    if stream:
        past = at.gradient(stream)
        terms |= {"the residual branch": past, "the branch through LayerNorm": at.gradient(part) - past}
    return terms, {"LayerNorm's gain is left out": ("missing term", past + without_gain)}


def layer_norm_terms(x: np.ndarray, dy: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """The three terms of dx, with their signs; see npgpt/ops/layer_norm.py."""
    dxhat = dy * weight
    C = x.shape[-1]
    xhat, rstd, _ = ops.layer_norm(x, np.ones(C), np.zeros(C))[1]

    def mean(a):
        return a.mean(axis=-1, keepdims=True)

    return {
        "LayerNorm's term through the mean": -rstd * mean(dxhat) + 0 * x,
        "LayerNorm's term through rstd": -rstd * xhat * mean(dxhat * xhat),
        "LayerNorm's direct term": rstd * dxhat,
    }


@about("gradient of ln1.weight", "gradient of ln2.weight", "gradient of ln_f.weight")
def layer_norm_weight(at: Place) -> Hypotheses:
    """sum of dy * xhat over the positions."""
    dy = at.gradient(at.about.removeprefix("gradient of ").removesuffix(".weight"))
    return {}, {"xhat is left out": ("missing term", dy.reshape(-1, dy.shape[-1]).sum(axis=0))}


@about("gradient of pos_embed", "gradient of position_embedding.weight")
def position_sum(at: Place) -> Hypotheses:
    """A sum over the batch."""
    dx = at.gradient("embed")  # (B, T, C)
    first = dx[:1]
    if at.about.endswith(".weight"):
        first = np.zeros((at.config.seq_len, dx.shape[-1]))
        first[: dx.shape[1]] = dx[0]
    return {}, {"only the first sequence of the batch arrives": ("missing term", first)}


# --------------------------------------------------------------------------------------------------------------- attention


def t(a: np.ndarray) -> np.ndarray:
    return a.swapaxes(-1, -2)


@about("scores")
def mask(at: Place) -> Hypotheses:
    """q k^T / sqrt(D), the future hidden."""
    q, k = at.value("q"), at.value("k")
    T = q.shape[-2]
    unmasked = q @ t(k) / math.sqrt(at.config.head_size)
    rows, columns = np.arange(T)[:, None], np.arange(T)
    hidden = {
        "no mask": columns < 0,
        "the mask starts one place late": columns > rows + 1,
        "it hides the present": columns >= rows,
        "it hides the past": columns < rows,
    }
    return {}, {
        f"the causal mask is wrong: {text}": ("missing term", np.where(where, -np.inf, unmasked))
        for text, where in hidden.items()
    }


@about("z")
def weighted_values(at: Place) -> Hypotheses:
    """pattern v."""
    return {}, {"the pattern is transposed": ("transpose", t(at.value("pattern")) @ at.value("v"))}


@about("gradient of scores")
def softmax_of_scores(at: Place) -> Hypotheses:
    """p (dp - sum of p dp)."""
    p, dp = at.value("pattern"), at.gradient("pattern")
    mean = (p * dp).sum(-1, keepdims=True)
    return {"the mean of dp under p": -p * mean, "p * dp": p * dp}, {
        "p is left out in front": ("missing term", dp - mean),
        "dp goes through unchanged, without the softmax": ("missing term", np.where(p > 0, dp, 0)),
    }


@about("gradient of q", "gradient of k", "gradient of v")
def queries_keys_values(at: Place) -> Hypotheses:
    """Products with the (T, T) matrices; see npgpt/ops/attention.py."""
    part = at.about[-1]
    scale = 1 / math.sqrt(at.config.head_size)
    dscores, dpattern = at.gradient("scores"), at.gradient("pattern")
    a, b = {
        "q": (dscores, scale * at.value("k")),
        "k": (t(dscores), scale * at.value("q")),
        "v": (t(at.value("pattern")), at.gradient("z")),
    }[part]
    own = a * np.eye(a.shape[-1])  # only the diagonal: what a position gives itself
    alternatives = {
        "the (T, T) matrix is not transposed" if part != "q" else "dscores is transposed": ("transpose", t(a) @ b),
        "each position gets only what it gave itself, not what the later ones send": ("missing term", own @ b),
    }
    if part != "v":
        alternatives["the softmax's backward is left out"] = ("missing term", (t(dpattern) if part == "k" else dpattern) @ b)
    return {}, alternatives


# --------------------------------------------------------------------------------------------------------------------- GELU


@about("gradient of ffn_pre")
def gelu(at: Place) -> Hypotheses:
    """dy * (0.5 (1 + t) + 0.5 x (1 - t^2) t's slope): one path through the factor x, one through the gate t."""
    dy, (x, gate) = at.gradient("ffn_post"), ops.gelu(at.value("ffn_pre"))[1]
    factor = dy * 0.5 * (1 + gate)
    cubic = dy * 0.5 * x * (1 - gate * gate) * 3 * K * A * x * x
    through_gate = at.gradient("ffn_pre") - factor
    return {
        "the path through the factor x": factor,
        "the path through the gate": through_gate,
        "the slope's cubic part": cubic,
    }, {}
