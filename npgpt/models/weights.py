"""The names, shapes and initial values of a model's weights: one table that both backends build from.

`weight_shapes` is the layout of a state_dict; `initial_weights` fills it from a seed. Both backends call them, which is why a
NumPy and a torch model of one seed start from the same numbers.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy import ndarray as Array

from .config import GPTConfig

INIT_STD = 0.02  # of the embeddings


def weight_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every entry of the state_dict, in order. Linear weights are stored (out, in)."""
    V, C, F = config.vocab_size, config.n_embd, config.ffn_size
    shapes: dict[str, tuple[int, ...]] = {"token_embedding.weight": (V, C)}
    if config.position == "learned":
        shapes["position_embedding.weight"] = (config.seq_len, C)
    for i in range(config.n_layer):
        block = f"blocks.{i}."
        shapes[block + "ln1.weight"] = shapes[block + "ln1.bias"] = (C,)
        shapes[block + "mha.Wqkv.weight"] = (3 * C, C)
        if config.qkv_bias:
            shapes[block + "mha.Wqkv.bias"] = (3 * C,)
        shapes[block + "mha.projection.weight"] = (C, C)
        shapes[block + "mha.projection.bias"] = (C,)
        if F:
            shapes[block + "ln2.weight"] = shapes[block + "ln2.bias"] = (C,)
            shapes[block + "ffn.up.weight"] = (F, C)
            shapes[block + "ffn.up.bias"] = (F,)
            shapes[block + "ffn.down.weight"] = (C, F)
            shapes[block + "ffn.down.bias"] = (C,)
    shapes["ln_f.weight"] = shapes["ln_f.bias"] = (C,)
    if not config.tie_weights:
        shapes["head.weight"] = (V, C)
    if config.head_bias:
        shapes["head.bias"] = (V,)
    return shapes


def is_trainable(name: str, config: GPTConfig) -> bool:
    """Whether the entry is a parameter (trained, counted) or a buffer (kept as it is)."""
    return config.train_qkv or ".mha.Wqkv." not in name


def initial_weights(config: GPTConfig, seed: int) -> dict[str, Array]:
    """Name -> float32 array. LayerNorm starts as the identity, biases at 0, embeddings (a tied head among them) at
    N(0, 0.02^2), linear layers at N(0, init_std^2).

    The two matrices of a block that write into the residual stream start smaller by 1 / sqrt(number of such writes), so that
    the stream's variance does not grow with depth (Radford et al. 2019, section 2.3). Drawn in float32 for every dtype: a
    float64 model of a seed starts from the very numbers of the float32 one.
    """
    rng = np.random.default_rng(seed)
    writes_per_block = 2 if config.ffn_size else 1
    residual_std = config.init_std / math.sqrt(writes_per_block * config.n_layer)
    weights = {}
    for name, shape in weight_shapes(config).items():
        if name.endswith(".bias"):
            weights[name] = np.zeros(shape, np.float32)
        elif ".ln" in f".{name}":
            weights[name] = np.ones(shape, np.float32)
        else:
            weights[name] = rng.standard_normal(shape, dtype=np.float32)
            if "embedding" in name:
                weights[name] *= INIT_STD
            else:
                weights[name] *= residual_std if name.endswith(("projection.weight", "down.weight")) else config.init_std
    return weights


def check_state_dict(state_dict: Mapping, config: GPTConfig) -> None:
    """Raises ValueError naming every missing, unknown and wrongly shaped entry. Nothing has been loaded by then."""
    shapes = weight_shapes(config)
    faults = [f"missing {name}" for name in shapes if name not in state_dict]
    faults += [f"unknown {name}" for name in state_dict if name not in shapes]
    for name, shape in shapes.items():
        if name in state_dict and tuple(np.shape(state_dict[name])) != shape:
            faults.append(f"{name} has the shape {tuple(np.shape(state_dict[name]))}, expected {shape}")
    if faults:
        raise ValueError("the state_dict does not fit this model: " + "; ".join(faults))
