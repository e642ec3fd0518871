"""The twins of npgpt/models, under the same names."""

from npgpt.models.layout import Fill

from .gpt import GPTModel
from .llama import LlamaModel
from .lstm import LSTMModel
from .mamba import MambaModel

KINDS = {"gpt": GPTModel, "lstm": LSTMModel, "mamba": MambaModel, "llama": LlamaModel}  # config.kind -> its class


def make_model(config, device: str = "cpu", *, seed: int = 0, dtype: str = "float32", weights: Fill | None = None):
    """The model whose class belongs to the config. Raises what that class raises."""
    return KINDS[config.kind](config, device, seed=seed, dtype=dtype, weights=weights)
