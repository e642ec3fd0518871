"""The twins of npgpt/models, under the same names."""

from .gpt import GPTModel
from .llama import LlamaModel
from .lstm import LSTMModel
from .mamba import MambaModel

KINDS = {"gpt": GPTModel, "lstm": LSTMModel, "mamba": MambaModel, "llama": LlamaModel}  # config.kind -> its class


def make_model(config, device: str = "cpu", *, seed: int = 0, dtype: str = "float32"):
    """The model whose class belongs to the config. Raises what that class raises."""
    return KINDS[config.kind](config, device, seed=seed, dtype=dtype)
