"""Copying a model from one backend to the other, weight for weight."""

import npgpt

from .models.gpt import GPTModel


def from_numpy(model: npgpt.GPTModel, device: str = "cpu") -> GPTModel:
    """A torch model with the same config, dtype and weights, on that device."""
    twin = GPTModel(model.config, device, dtype=model.dtype)
    twin.load_state_dict(model.state_dict())
    return twin


def to_numpy(model: GPTModel) -> npgpt.GPTModel:
    """A NumPy model with the same config, dtype and weights."""
    twin = npgpt.GPTModel(model.config, dtype=model.dtype)
    twin.load_state_dict({name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()})
    return twin
