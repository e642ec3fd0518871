"""Copying a model from one backend to the other: config, dtype, weights, and the generator of its dropout masks, so that the
copy goes on as the original would."""

import copy

import npgpt

from .models import make_model


def from_numpy(model, device: str = "cpu"):
    """A torch model of the same kind, with the same config, dtype, weights and dropout generator, on that device."""
    twin = make_model(model.config, device, dtype=model.dtype)
    twin.load_state_dict(model.state_dict())
    twin.dropout_rng = copy.deepcopy(model.dropout_rng)
    return twin


def to_numpy(model):
    """A NumPy model of the same kind, with the same config, dtype, weights and dropout generator."""
    twin = npgpt.make_model(model.config, dtype=model.dtype)
    twin.load_state_dict({name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()})
    twin.dropout_rng = copy.deepcopy(model.dropout_rng)
    return twin
