"""Published models: the folders of Hugging Face's transformers, in and out, and .gguf files, in.

    model = npgpt.load_pretrained("gpt2")                    a folder: config.json, model.safetensors; or a .gguf file
    tokenizer = npgpt.pretrained_tokenizer("gpt2")           its tokenizer.json, or vocab.json with merges.txt
    npgpt.save_pretrained(model, "my-gpt2", tokenizer)       a folder that transformers loads

Nothing is downloaded. A model_type is a file (gpt2.py, llama.py, mamba.py): its config there and here, and a table of its
weights' names, used in both directions; gguf.py has the same for a .gguf file. folders.py reads and writes the files,
vocabulary.py the tokenizer. Both backends go through here.
"""

import dataclasses
import itertools
import math
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy import ndarray as Array

from ..models import layout_of, make_model
from ..models.base import LanguageModel
from ..models.config import Config
from ..models.layout import Fill
from ..models.llama import LlamaConfig
from ..runs.checkpoint import check_tokenizer
from ..text import BPETokenizer, Tokenizer
from . import gguf, gpt2, llama, mamba
from .folders import WEIGHTS, Tensor, checked_folder, read_json, read_tensors, write_tensors
from .vocabulary import check_writable, end_of_text, pretrained_tokenizer, save_vocabulary

__all__ = ["is_pretrained", "load_pretrained", "pretrained_tokenizer", "read_pretrained", "save_pretrained", "write_pretrained"]

Stored = Tensor | gguf.Packed  # a weight as a file has it
MODEL_TYPES = {"gpt2": gpt2, "llama": llama, "mamba": mamba, "qwen2": llama}  # config.json's model_type -> what knows it
WRITTEN_AS = {"gpt": gpt2, "llama": llama, "mamba": mamba}  # config.kind -> what writes it


def load_pretrained(path: str | PathLike, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """The model in a folder of model_type gpt2, llama, mamba or qwen2, or in a .gguf file of architecture llama, its weights
    converted to dtype. config.dropout is 0.

    The weights are read straight into the model, without a second copy. They may be float64, float32, float16 or bfloat16.
    Raises FileNotFoundError where a file is missing; ValueError naming the file and what is wrong where one is damaged, leads
    out of the folder or is pickle, where a weight is missing, unknown or of another shape, and where the config asks for what
    the model here does not have.
    """
    config, weights = read_pretrained(path)
    return make_model(config, device, dtype=dtype, weights=weights)


def save_pretrained(model: LanguageModel, folder: str | PathLike, tokenizer: Tokenizer | None = None) -> None:
    """Writes a folder that transformers' from_pretrained and `load_pretrained` read: config.json, model.safetensors and, with a
    BPETokenizer, tokenizer.json. Each file appears whole or not at all.

    Raises OSError where it cannot; ValueError naming what transformers' model of that kind cannot have, or where the tokenizer
    is not the model's or has no tokenizer.json.
    """
    write_pretrained(folder, model.config, model.state_dict(), tokenizer)


def is_pretrained(path: str | PathLike) -> bool:
    """Whether `load_pretrained` is what loads it: a folder, or a .gguf file by its name."""
    return os.path.isdir(path) or gguf.is_gguf(path)


def read_pretrained(folder: str | PathLike, seq_len: int | None = None) -> tuple[Config, Fill]:
    """The config of a folder's model, and what writes its weights; all is checked, and no number read yet.

    seq_len : a shorter context than the folder's; of learned positions the first ones are taken. None: the folder's own.
    Raises what `load_pretrained` raises, and ValueError for a longer one.
    """
    config, found, family = parts_of_a_file(folder) if gguf.is_gguf(folder) else parts_of_a_folder(folder)
    check_weights(family, config, found, folder)
    if seq_len is not None:
        if seq_len > config.seq_len and config.kind != "mamba":
            raise ValueError(f"{folder} has a context of {config.seq_len} tokens, which cannot become {seq_len}")
        config = dataclasses.replace(config, seq_len=seq_len)
    check_context(config, found, folder)

    def weights(name: str, array: Array) -> None:
        their_name, transposed = there(family, name)
        found[their_name].read_into(array.T if transposed else array)

    return config, weights


def parts_of_a_file(path: str | PathLike) -> tuple[Config, Mapping[str, Stored], ModuleType]:
    """The config of a .gguf file, its tensors by name, and what knows their names."""
    file = gguf.read_file(path)
    config = gguf.config_of(file)
    return config, gguf.tensors_of(file, config), gguf


def parts_of_a_folder(folder: str | PathLike) -> tuple[Config, Mapping[str, Stored], ModuleType]:
    """The same of a folder of transformers."""
    folder = checked_folder(folder)
    fields = read_json(folder, "config.json")
    config_file, model_type = folder / "config.json", fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in MODEL_TYPES:
        raise ValueError(f"{config_file}: model_type is {model_type!r}, and only {', '.join(MODEL_TYPES)} are known here")
    family = MODEL_TYPES[model_type]
    found = by_their_names(family, read_tensors(folder), folder)
    try:
        config = family.config_here(fields, tied=take_head(family, found, fields))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{config_file}: {error}") from None
    return config, found, family


def there(family: ModuleType, name: str) -> tuple[str, bool]:
    """Our name of a weight -> theirs, and whether theirs is transposed."""
    row, layer = name, ""
    if name.startswith("blocks."):
        _, layer, rest = name.split(".", 2)
        row = f"blocks.*.{rest}"
    their_name, transposed = next((theirs, turned) for ours, theirs, turned in family.NAMES if ours == row)
    return their_name.replace("*", layer), transposed


def by_their_names(family: ModuleType, tensors: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """The weights under the names that the language model of the family has, whichever the folder has."""
    found = {}
    for key, tensor in tensors.items():
        if key.endswith(family.NO_WEIGHTS):
            continue
        name = key if key.startswith(family.PREFIX) or key == family.HEAD else family.PREFIX + key
        name = family.OLDER_NAMES.get(name, name)
        if name in found:
            raise ValueError(f"{folder} holds {name} twice, with and without {family.PREFIX!r}")
        found[name] = tensor
    return found


def take_head(family: ModuleType, found: dict[str, Tensor], fields: Mapping) -> bool:
    """Whether the head is tied to the embedding. A head that is stored though it is tied is taken out.

    As in transformers 5: one that is stored with other numbers is not tied, whatever the config says; and where only the head
    is stored, it is the embedding too.
    """
    tied, head = fields.get("tie_word_embeddings", family.TIED), found.get(family.HEAD)
    if not isinstance(tied, bool):
        raise ValueError(f"tie_word_embeddings must be true or false, got {tied!r}")
    if not tied or head is None:
        return tied
    table = found.setdefault(family.EMBEDDING, head)
    pairs = itertools.zip_longest(table.pieces(), head.pieces())
    if table.shape == head.shape and all(np.array_equal(a, b) for a, b in pairs):
        del found[family.HEAD]
        return True
    return False


def check_weights(family: ModuleType, config: Config, found: Mapping[str, Stored], folder: str | PathLike) -> None:
    """Raises ValueError naming the first weights that are missing, unknown, of another shape or of a dtype that is not read."""
    if config.n_layer > len(found):  # before a layout of a billion layers is made
        raise ValueError(f"{folder}: its config asks for {config.n_layer} layers, and there are {len(found)} weights")
    faults, known = [], set()
    for name, entry in layout_of(config).items():
        their_name, transposed = there(family, name)
        known.add(their_name)
        shape = entry.shape[::-1] if transposed else entry.shape
        if their_name not in found:
            faults.append(f"missing {their_name}")
        elif found[their_name].shape != shape:
            faults.append(f"{their_name} has the shape {found[their_name].shape}, expected {shape}")
        elif found[their_name].fault:
            faults.append(f"{their_name} {found[their_name].fault}")
    faults += [f"unknown {name}" for name in found if name not in known]
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ValueError(f"the weights in {folder} do not fit its config: " + "; ".join(faults[:5]) + more)


ROOM = 2**24  # bytes that a Llama's angles may take, however small the model


def check_context(config: Config, found: Mapping[str, Stored], folder: str | PathLike) -> None:
    """Raises ValueError where a Llama's context would take more memory than 4 times its weights: no weight's shape says how
    long it is, so config.json is not believed in this alone. The angles of every position are kept (ops/rope.py)."""
    if not isinstance(config, LlamaConfig):
        return
    angles = 2 * 8 * config.seq_len * config.head_width  # bytes: a cosine and a sine, float64, and what they are made from
    weights = sum(4 * math.prod(tensor.shape) for tensor in found.values())
    if angles > max(4 * weights, ROOM):
        raise ValueError(
            f"{folder}: its config asks for a context of {config.seq_len:,} tokens, whose angles take {angles / 1e6:,.0f} MB "
            f"beside {weights / 1e6:,.1f} MB of weights; give a shorter seq_len"
        )


def write_pretrained(
    folder: str | PathLike, config: Config, weights: Mapping[str, Array], tokenizer: Tokenizer | None = None
) -> None:
    """What `save_pretrained` of both backends does. weights : the state_dict, as arrays."""
    import json

    from ..runs.files import write_atomically

    family = WRITTEN_AS.get(config.kind)
    if family is None:
        raise ValueError(f"transformers has no model of kind {config.kind!r}; only {', '.join(WRITTEN_AS)} can be written")
    fields = family.config_there(config)
    check_writable(tokenizer)
    if tokenizer is not None:
        check_tokenizer(tokenizer, config)
    end = end_of_text(tokenizer)
    arrays = {}
    for name, array in weights.items():
        their_name, transposed = there(family, name)
        arrays[their_name] = array.T if transposed else array
    fields |= {
        "tie_word_embeddings": config.tie_weights,
        "dtype": next(iter(arrays.values())).dtype.name,
        "bos_token_id": end,
        "eos_token_id": end,
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, arrays)
    if isinstance(tokenizer, BPETokenizer):
        save_vocabulary(tokenizer, folder)
    write_atomically(folder / "config.json", json.dumps(fields, indent=2).encode() + b"\n")
