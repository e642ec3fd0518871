"""Weights on disk, in the one format that npgpt/checkpoint.py defines: either backend reads what either has written."""

from os import PathLike

from npgpt.checkpoint import read_weights, write_weights
from npgpt.config import GPTConfig

from .model import GPTModel


def save_checkpoint(model: GPTModel, path: str | PathLike) -> None:
    """Writes the model's state_dict and config. The file appears whole or not at all. Raises OSError where it cannot."""
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    write_weights(path, weights, model.config)


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
