"""The models, a kind a file, and what they share (base.py). `KINDS` is the one list of them."""

from .base import LanguageModel
from .config import Config
from .gpt import GPTModel
from .layout import Fill, Layout
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


def layout_of(config: Config) -> Layout:
    """The layout of the weights of the config's model, which need not be made for it."""
    return KINDS[config.kind].layout_of(config)
