"""The twins of npgpt/models, under the same names."""

from npgpt.models.config import Config
from npgpt.models.layout import Fill

from .base import LanguageModel
from .gpt import GPTModel
from .llama import LlamaModel
from .lstm import LSTMModel
from .mamba import MambaModel

# config.kind -> its class
KINDS: dict[str, type[LanguageModel]] = {"gpt": GPTModel, "lstm": LSTMModel, "mamba": MambaModel, "llama": LlamaModel}


def make_model(
    config: Config, device: str = "cpu", *, seed: int = 0, dtype: str = "float32", weights: Fill | None = None
) -> LanguageModel:
    """The model whose class belongs to the config. Raises what that class raises."""
    return KINDS[config.kind](config, device, seed=seed, dtype=dtype, weights=weights)
