"""Hypotheses for a Llama: which way and from where it turns, which heads a key serves, gates, the stream with its RMSNorms."""

import math
from functools import partial

import numpy as np

from ..operations import ops
from .gpt import softmax_of_scores
from .place import Hypotheses, Place
from .place import about as about_any

about = partial(about_any, kind="llama")


# ---------------------------------------------------------------------------------------------------- the residual stream


@about("resid_mid")
def stream_after_attention(at: Place) -> Hypotheses:
    """x + attention(x)."""
    return {"the residual stream": at.value("resid_pre"), "attention's output": at.value("attn_out")}, {}


@about("resid_post")
def stream_after_ffn(at: Place) -> Hypotheses:
    """x + ffn(x)."""
    return {"the residual stream": at.value("resid_mid"), "the FFN's output": at.value("ffn_out")}, {}


@about("norm1", "norm2", "norm_f")
def norms(at: Place) -> Hypotheses:
    """Where eps stands, and which one."""
    stream = {"norm1": "resid_pre", "norm2": "resid_mid", "norm_f": f"blocks.{at.config.n_layer - 1}.resid_post"}
    x, weight, eps = at.value(stream[at.about]), at.weight(f"{at.block}{at.about}.weight"), at.config.norm_eps
    mean_square = (x * x).mean(axis=-1, keepdims=True)
    return {}, {
        "eps is 1e-5, whatever the config says": ("factor", ops.rms_norm(x, weight)[0]),
        "eps is left out": ("missing term", weight * x / np.sqrt(mean_square)),
        "eps stands outside the root": ("factor", weight * x / (np.sqrt(mean_square) + eps)),
    }


@about("gradient of resid_pre", "gradient of resid_mid", "gradient of resid_post")
def back_along_the_stream(at: Place) -> Hypotheses:
    """What comes past a branch, and what comes through it."""
    norm, stream = {"pre": ("norm1", "resid_mid"), "mid": ("norm2", "resid_post")}.get(at.about[-3:], (None, None))
    if norm is None:
        return {}, {}
    past = at.gradient(stream)
    return {"the residual branch": past, "the branch through RMSNorm": at.gradient(at.about.split()[-1]) - past}, {}


# --------------------------------------------------------------------------------------------------------------- positions


def halves(x: np.ndarray) -> np.ndarray:
    """(..., D) -> (..., D/2): the pairs (i, i + D/2) as complex numbers."""
    first, second = np.split(x, 2, axis=-1)
    return first + 1j * second


def from_halves(pairs: np.ndarray) -> np.ndarray:
    """The inverse."""
    return np.concatenate([pairs.real, pairs.imag], axis=-1)


def from_neighbours(pairs: np.ndarray) -> np.ndarray:
    """(..., D/2) -> (..., D): the same for the pairs (2i, 2i + 1)."""
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(*pairs.shape[:-1], -1)


def turn(at: Place, x: np.ndarray, start: int = 0, slower: float = 1) -> np.ndarray:
    """What turns the pairs of x (..., T, D), as complex numbers (T, D/2) of length 1; with `slower` in the exponent."""
    T, D = x.shape[-2:]
    frequency = at.config.rope_theta ** (-2 * slower * np.arange(D // 2) / D)
    return np.exp(1j * np.outer(np.arange(start, start + T), frequency))


@about("rot_q", "rot_k")
def turned(at: Place) -> Hypotheses:
    """Each pair of the halves by its position's angle, forth."""
    x = at.value(at.about[-1])
    neighbours = from_neighbours((x[..., 0::2] + 1j * x[..., 1::2]) * turn(at, x))
    return {}, {
        "neighbours are turned, (2i, 2i + 1), and not the halves' pairs": ("transpose", neighbours),
        "it is turned the other way": ("sign", from_halves(halves(x) * turn(at, x).conj())),
        "position 0 is turned as position 1 should be": ("shift", from_halves(halves(x) * turn(at, x, start=1))),
        "the frequencies are theta^(-i/D), without the 2": ("factor", from_halves(halves(x) * turn(at, x, slower=0.5))),
        "nothing is turned": ("missing term", x),
    }


@about("v")
def not_turned(at: Place) -> Hypotheses:
    """Values stay as they are."""
    v = at.value("v")
    return {}, {"the values are turned too": ("double count", from_halves(halves(v) * turn(at, v)))}


@about("gradient of q", "gradient of k")
def turned_back(at: Place) -> Hypotheses:
    """The gradient after the turn, by the same angles back."""
    after = at.gradient(f"rot_{at.about[-1]}")
    return {}, {
        "the gradient is turned forth once more, and not back": ("sign", from_halves(halves(after) * turn(at, after))),
        "the gradient is not turned back": ("missing term", after),
    }


# --------------------------------------------------------------------------------------------------------- groups of heads


about("gradient of scores")(softmax_of_scores)


@about("scores")
def asked(at: Place) -> Hypotheses:
    """Head h asks key head h // G."""
    q, k = at.value("rot_q"), at.value("rot_k")  # (B, H, T, D), (B, K, T, D)
    (_, H, T, D), K = q.shape, k.shape[1]
    future = np.triu(np.ones((T, T), dtype=bool), 1)
    orders = {"head h asks key head h % K, and not h // G": np.arange(H) % K, "all heads ask key head 0": np.zeros(H, int)}
    return {}, {
        text: ("transpose", np.where(future, -np.inf, q @ k[:, order].swapaxes(-1, -2) / math.sqrt(D)))
        for text, order in orders.items()
    }


@about("gradient of rot_k", "gradient of v")
def collected(at: Place) -> Hypotheses:
    """The sum over the heads of a group."""
    if at.about[-1] == "k":
        of_heads = at.gradient("scores").swapaxes(-1, -2) @ at.value("rot_q") / math.sqrt(at.config.head_width)
    else:
        of_heads = at.value("pattern").swapaxes(-1, -2) @ at.gradient("z")
    B, _, T, D = of_heads.shape
    of_heads = of_heads.reshape(B, at.config.kv_heads, -1, T, D)
    return {}, {
        f"of each group only the {word} head's gradient arrives": ("missing term", of_heads[:, :, place])
        for word, place in (("first", 0), ("last", -1))
    }


@about("gradient of norm1")
def asked_for_three(at: Place) -> Hypotheses:
    """Through queries, keys and values."""

    def through(part: str) -> np.ndarray:
        dy = at.gradient(part)  # (B, heads, T, D)
        B, heads, T, D = dy.shape
        return dy.swapaxes(1, 2).reshape(B, T, heads * D) @ at.weight(f"mha.W{part}.weight")

    parts = {"queries": through("q"), "keys": through("k"), "values": through("v")}
    alone = {f"it comes through the {name} alone": ("missing term", part) for name, part in parts.items()}
    return {f"what comes through the {name}": part for name, part in parts.items()}, alone


# -------------------------------------------------------------------------------------------------------------------- gate


@about("ffn_post")
def gated(at: Place) -> Hypotheses:
    """silu(gate) up."""
    return {}, {"gate and up are exchanged": ("transpose", ops.swiglu(at.value("up"), at.value("gate"))[0])}


@about("gradient of up", "gradient of gate")
def gated_back(at: Place) -> Hypotheses:
    """Each factor has the other one for its slope; silu has two paths."""
    dy, gate, up = at.gradient("ffn_post"), at.value("gate"), at.value("up")
    if at.about.endswith("up"):
        return {}, {"the slope is up itself, and not the other factor": ("transpose", dy * up)}
    through_factor = dy * up * ops.sigmoid(gate)
    return {
        "silu's path through the factor in front": through_factor,
        "silu's path through the gate": at.gradient("gate") - through_factor,
    }, {"silu is left out": ("missing term", dy * up)}


@about("gradient of norm2")
def heard_from_both(at: Place) -> Hypotheses:
    """Through up and through gate."""
    return {f"what comes through {name}": at.gradient(name) @ at.weight(f"ffn.{name}.weight") for name in ("up", "gate")}, {}
