"""The models, a kind a file, and what they share (base.py). `KINDS` is the one list of them."""

from .gpt import GPTModel
from .layout import Fill, Layout
from .llama import LlamaModel
from .lstm import LSTMModel
from .mamba import MambaModel

KINDS = {"gpt": GPTModel, "lstm": LSTMModel, "mamba": MambaModel, "llama": LlamaModel}  # config.kind -> its class


def make_model(config, device: str = "cpu", *, seed: int = 0, dtype: str = "float32", weights: Fill | None = None):
    """The model whose class belongs to the config. Raises what that class raises."""
    return KINDS[config.kind](config, device, seed=seed, dtype=dtype, weights=weights)


def layout_of(config) -> Layout:
    """The layout of the weights of the config's model, which need not be made for it."""
    return KINDS[config.kind].layout_of(config)
