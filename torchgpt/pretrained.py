"""Published models, in the folders and files that npgpt/pretrained reads and writes; here is only the way to the device."""

from os import PathLike

from npgpt.pretrained import read_pretrained, write_pretrained
from npgpt.text import Tokenizer

from .machine.distributed import whole
from .models import make_model
from .models.base import LanguageModel


def load_pretrained(path: str | PathLike, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """The model in a folder of Hugging Face's transformers, or in a .gguf file, on the device. See npgpt.load_pretrained."""
    config, weights = read_pretrained(path)
    return make_model(config, device, dtype=dtype, weights=weights)


def save_pretrained(model: LanguageModel, folder: str | PathLike, tokenizer: Tokenizer | None = None) -> None:
    """Writes a folder that transformers' from_pretrained and `load_pretrained` read. See npgpt.save_pretrained.

    In a distributed run every rank calls it, and the first one writes.
    """
    if model.ranks.rank and not model.sharded:
        return
    weights = {name: whole(tensor).detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    if model.ranks.rank == 0:
        write_pretrained(folder, model.config, weights, tokenizer)
