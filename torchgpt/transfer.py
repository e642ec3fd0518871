"""Copying a model from one backend to the other: config, dtype, weights, and the generator of its dropout masks, so that the
copy goes on as the original would."""

import copy

import npgpt
from npgpt.models.base import LanguageModel as NumPyModel
from npgpt.models.layout import taken_from

from .models import make_model
from .models.base import LanguageModel


def from_numpy(model: NumPyModel, device: str = "cpu") -> LanguageModel:
    """A torch model of the same kind, with the same config, dtype, weights and dropout generator, on that device."""
    twin = make_model(model.config, device, dtype=model.dtype, weights=taken_from(model.state_dict(), model.layout))
    twin.dropout_rng = copy.deepcopy(model.dropout_rng)
    return twin


def to_numpy(model: LanguageModel) -> NumPyModel:
    """A NumPy model of the same kind, with the same config, dtype, weights and dropout generator."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    twin = npgpt.make_model(model.config, dtype=model.dtype, weights=taken_from(arrays, model.layout))
    twin.dropout_rng = copy.deepcopy(model.dropout_rng)
    return twin
