"""Weights on disk: a safetensors file with the config in its metadata. Either backend reads what either has written.

json and safetensors are imported where they are used, so that `import npgpt` stays as light as NumPy.
"""

import os
from os import PathLike

import numpy as np
from numpy import ndarray as Array

from .config import GPTConfig
from .files import write_atomically
from .model import GPTModel

FORMAT = "npgpt-1"  # the metadata's one key; its value is the config as JSON


def save_checkpoint(model: GPTModel, path: str | PathLike) -> None:
    """Writes the model's state_dict and config. The file appears whole or not at all. Raises OSError where it cannot."""
    write_weights(path, model.state_dict(), model.config)


def load_checkpoint(
    path: str | PathLike, device: str = "cpu", *, config: GPTConfig | None = None, dtype: str = "float32"
) -> GPTModel:
    """The model of a checkpoint.

    config : what the checkpoint must have been made with; None takes whatever it says.
    Raises FileNotFoundError; ValueError where the file is truncated, no checkpoint of this project, or of another config.
    """
    weights, config = read_weights(path, config)
    model = GPTModel(config, device, dtype=dtype)
    model.load_state_dict(weights)
    return model


def write_weights(path: str | PathLike, weights: dict[str, Array], config: GPTConfig) -> None:
    """The file format's one writer, for both backends: a temporary file beside `path`, flushed to disk, then renamed."""
    import json

    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    # One entry only: safetensors writes several in no fixed order, and the same weights should give the same bytes.
    content = save(contiguous, metadata={FORMAT: json.dumps(config.to_dict())})
    write_atomically(path, content)


def read_weights(path: str | PathLike, expected: GPTConfig | None = None) -> tuple[dict[str, Array], GPTConfig]:
    """The file format's one reader: (weights, config), checked. Raises what load_checkpoint raises."""
    import json

    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or no safetensors file: {error}") from None
    if FORMAT not in metadata:
        raise ValueError(f"{path} is not a checkpoint of this format: its metadata {sorted(metadata)} do not hold {FORMAT!r}")
    try:
        config = GPTConfig.from_dict(json.loads(metadata[FORMAT]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} has an unusable config: {error}") from None
    if expected is not None and config != expected:
        theirs, ours = config.to_dict(), expected.to_dict()
        differences = [f"{name} is {theirs[name]!r}, not {ours[name]!r}" for name in ours if theirs[name] != ours[name]]
        raise ValueError(f"{path} is of another config: " + ", ".join(differences))
    return weights, config
