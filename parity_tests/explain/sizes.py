"""The sizes that a forgotten or misplaced normalisation may have left behind."""

import dataclasses
import math

import numpy as np

LETTERS = {"vocab_size": "V", "n_embd": "C", "n_head": "H", "head_size": "D", "n_kv_head": "K"}  # of design and derivations
OF_NO_TENSOR = {"n_layer", "seq_len"}  # seq_len: T is what the batch has


def sizes(ids: np.ndarray, config) -> dict[str, float]:
    """Name -> size: those of the batch, and every integer that the config has, by its letter or else by the option's name."""
    B, T = ids.shape
    options = [field.name for field in dataclasses.fields(config) if field.name not in OF_NO_TENSOR]
    found = {}
    for name in [*(name for name in LETTERS if name not in options), *options]:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            found[LETTERS.get(name, name)] = value
    roots = {f"sqrt({letter})": math.sqrt(found[letter]) for letter in "DC" if letter in found}
    return {"T": T, "B * T": B * T, "B": B, **roots, **found}
