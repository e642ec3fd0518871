"""A language model in one file: .gguf, the format of ggml and llama.cpp. Read here, for models of architecture llama.

The `gguf` package (ggml's own: pip install -e '.[gguf]') knows how numbers are packed: most are stored in blocks of 32 that
share a scale, at 4 to 8 bits each. They are unpacked to float32, some rows at a time, straight to where the model keeps them.
The header is read here: the package's reader believes the lengths that a file says, and a damaged one can keep it for ever.

Two things differ from the folders of transformers. llama.cpp turns neighbours (2i, 2i + 1) of a query or key where Llama here
turns the halves (i, i + D/2), so the rows of Wq and Wk lie in another order. And the tokenizer is in the file: its tokens, its
merges, and by name (`pre`) its way of cutting a text, which has to be known.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import dataclasses
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy import ndarray as Array

from ..models.llama import LlamaConfig
from ..text import BPETokenizer
from ..text.byte_pairs import library as tokenizers_library
from .fields import check_only, check_sizes

SUFFIX = ".gguf"
PIECE = 2**20  # numbers that are unpacked at a time

PRE = {"gpt-2": False, "smollm": True}  # the ways of cutting a text that are known here -> whether each digit stands alone

# fmt: off
NAMES = (
    # here                              there                         transposed
    ("token_embedding.weight",          "token_embd.weight",          False),
    ("blocks.*.norm1.weight",           "blk.*.attn_norm.weight",     False),
    ("blocks.*.mha.Wq.weight",          "blk.*.attn_q.weight",        False),
    ("blocks.*.mha.Wq.bias",            "blk.*.attn_q.bias",          False),
    ("blocks.*.mha.Wk.weight",          "blk.*.attn_k.weight",        False),
    ("blocks.*.mha.Wk.bias",            "blk.*.attn_k.bias",          False),
    ("blocks.*.mha.Wv.weight",          "blk.*.attn_v.weight",        False),
    ("blocks.*.mha.Wv.bias",            "blk.*.attn_v.bias",          False),
    ("blocks.*.mha.projection.weight",  "blk.*.attn_output.weight",   False),
    ("blocks.*.norm2.weight",           "blk.*.ffn_norm.weight",      False),
    ("blocks.*.ffn.gate.weight",        "blk.*.ffn_gate.weight",      False),
    ("blocks.*.ffn.up.weight",          "blk.*.ffn_up.weight",        False),
    ("blocks.*.ffn.down.weight",        "blk.*.ffn_down.weight",      False),
    ("norm_f.weight",                   "output_norm.weight",         False),
    ("head.weight",                     "output.weight",              False),  # absent where it is tied
)
# fmt: on


def library() -> ModuleType:
    """ggml's `gguf`. Raises ImportError with the command that installs it."""
    try:
        import gguf
    except ImportError:
        raise ImportError("a .gguf file needs ggml's gguf: pip install -e '.[gguf]'") from None
    return gguf


def block_of(format_: str) -> tuple[int, int]:
    """How many numbers share a block of that format, and its bytes."""
    gguf = library()
    return gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[format_]]


def is_gguf(path: str | os.PathLike) -> bool:
    """Whether the path is that of a .gguf file, by its name."""
    return Path(path).suffix == SUFFIX


@dataclass(frozen=True)
class Packed:
    """One tensor of a file: where its numbers lie, and how they are packed. They are not read yet."""

    path: Path
    dtype: str  # ggml's name of the format
    shape: tuple[int, ...]
    start: int  # its first byte in the file
    heads: int = 0  # of a query's or key's matrix: its rows are put back into our order, head by head

    @property
    def rows_and_columns(self) -> tuple[int, int]:
        """Of a matrix; a vector is a matrix of one column."""
        return self.shape if len(self.shape) == 2 else (math.prod(self.shape), 1)

    @property
    def fault(self) -> str | None:
        """Why the numbers cannot be read, if they cannot."""
        gguf = library()
        block, block_bytes = block_of(self.dtype)
        if self.rows_and_columns[1] % block:
            return f"is of format {self.dtype}, whose blocks of {block} do not fit its shape {self.shape}"
        try:
            gguf.quants.dequantize(np.zeros((1, block_bytes), np.uint8), gguf.GGMLQuantizationType[self.dtype])
        except NotImplementedError:
            return f"is of format {self.dtype}, which gguf cannot unpack"
        return None

    def read_into(self, array: Array) -> None:
        """Writes the numbers into the array, unpacked to float32 and converted to its dtype."""
        gguf = library()
        format_ = gguf.GGMLQuantizationType[self.dtype]
        block, block_bytes = block_of(self.dtype)
        rows, columns = self.rows_and_columns
        row_bytes = columns // block * block_bytes
        lines = array.reshape(rows, columns)  # a view: the model's arrays are contiguous
        order = our_rows(rows, self.heads) if self.heads else np.arange(rows)
        many = max(1, PIECE // columns)
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.start)
            for first in range(0, rows, many):
                count = min(many, rows - first)
                packed = np.fromfile(file, np.uint8, count * row_bytes)
                if packed.size < count * row_bytes:
                    raise ValueError(f"{self.path} is truncated")
                with np.errstate(all="ignore"):  # a scale that is inf or nan makes nan of its block
                    lines[order[first : first + count]] = gguf.quants.dequantize(packed.reshape(count, row_bytes), format_)


def our_rows(rows: int, heads: int) -> Array:
    """(rows,): where each row of llama.cpp's Wq or Wk belongs. Theirs are (head, pair, half), ours (head, half, pair)."""
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(rows)


@dataclass(frozen=True)
class File:
    """What a .gguf file says: its fields, name -> value (a number, a string, a list of strings or an array), and its tensors,
    name -> Packed."""

    path: Path
    fields: dict
    tensors: dict[str, Packed]


def read_file(path: str | os.PathLike) -> File:
    """The header of a .gguf file. Raises FileNotFoundError; ValueError where it is damaged or of a format that is not known."""
    library()
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    with open(path, "rb") as file:
        header = Header(file)
        try:
            version, tensor_count, field_count = header.start()
            if version not in VERSIONS:
                raise ValueError(f"it is of version {version}, and only {' and '.join(map(str, VERSIONS))} are known here")
            fields = header.named(field_count, header.field)
            places = header.named(tensor_count, header.place)
            return File(path, fields, header.tensors(path, places, fields.get("general.alignment", ALIGNMENT)))
        except ValueError as error:
            raise ValueError(f"{path} is truncated or no usable .gguf file: {error}") from None


MAGIC, VERSIONS, ALIGNMENT = b"GGUF", (2, 3), 32
STRING, ARRAY = 8, 9  # types of a field; the others are numbers, as NumPy writes them:
NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
MOST_DIMENSIONS = 4


class Header:
    """Reads a header from its start to its end. No length in it is believed: what it promises has to be in the file before it
    is read, so neither time nor memory is more than the file's size is worth. All raise ValueError."""

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, os.fstat(file.fileno()).st_size

    def start(self) -> tuple[int, int, int]:
        """The version, and how many tensors and fields there are."""
        if self.take(4) != MAGIC:
            raise ValueError(f"it does not begin with {MAGIC.decode()}")
        return self.integer("<u4"), self.integer("<u8"), self.integer("<u8")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        left = self.size - self.file.tell()
        if count > left:
            raise ValueError(f"{count:,} bytes are to follow where {left:,} are left")
        return self.file.read(count)

    def array(self, dtype: str, count: int) -> Array:
        """The next numbers, (count,)."""
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    def integer(self, dtype: str) -> int:
        return int(self.array(dtype, 1)[0])

    def string(self) -> str:
        return self.take(self.integer("<u8")).decode()

    def named(self, count: int, read: Callable[[], object]) -> dict:
        """Name -> what `read` finds after it, so many times."""
        found = {}
        for _ in range(count):
            name = self.string()
            if name in found:
                raise ValueError(f"{name} is there twice")
            found[name] = read()
        return found

    def field(self) -> Any:
        """The value of a field."""
        type_ = self.integer("<u4")
        if type_ == STRING:
            return self.string()
        if type_ != ARRAY:
            return self.numbers(type_, 1)[0].item()
        items, count = self.integer("<u4"), self.integer("<u8")
        return [self.string() for _ in range(count)] if items == STRING else self.numbers(items, count)

    def numbers(self, type_: int, count: int) -> Array:
        if type_ not in NUMBERS:
            raise ValueError(f"a field has the type {type_}, which is not known here")
        return self.array(NUMBERS[type_], count)

    def place(self) -> tuple[tuple[int, ...], str, int]:
        """Of a tensor: its shape, ggml's name of its format, and where it begins after the header."""
        dimensions = self.integer("<u4")
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a tensor has {dimensions} dimensions")
        shape = tuple(self.array("<u8", dimensions).tolist()[::-1])
        return shape, library().GGMLQuantizationType(self.integer("<u4")).name, self.integer("<u8")

    def tensors(self, path: Path, places: dict, alignment: int) -> dict[str, Packed]:
        """Name -> where it lies, from `places`. The first begins where the header ends, up to a multiple of alignment."""
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise ValueError(f"general.alignment must be a power of 2, got {alignment!r}")
        begin = -(-self.file.tell() // alignment) * alignment
        found = {}
        for name, (shape, format_, offset) in places.items():
            block, block_bytes = block_of(format_)
            if begin + offset + math.prod(shape) // block * block_bytes > self.size:
                raise ValueError(f"{name} lies beyond the end of the file")
            found[name] = Packed(path, format_, shape, begin + offset)
        return found


def config_of(file: File) -> LlamaConfig:
    """The LlamaConfig of the file's fields. Raises ValueError naming the file and what our model cannot have."""
    try:
        architecture = file.fields.get("general.architecture")
        if architecture != "llama":
            raise ValueError(f"general.architecture is {architecture!r}, and only 'llama' is known here")
        own = {name.removeprefix("llama."): value for name, value in file.fields.items() if name.startswith("llama.")}
        sizes = ["block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count"]
        own |= {name: own.get(name) for name in sizes}
        check_sizes(own, *sizes)
        H, C = own["attention.head_count"], own["embedding_length"]
        D = own.get("attention.key_length", C // H)
        turned, scaling = own.get("rope.dimension_count", D), own.get("rope.scaling.type", "none")
        check_only({"rope.dimension_count": turned}, **{"rope.dimension_count": (D,)})
        check_only({"rope.scaling.type": scaling}, **{"rope.scaling.type": ("none",)})
        check_only({"expert_count": own.get("expert_count", 0)}, expert_count=(0,))
        table = file.tensors.get("token_embd.weight")
        if table is None:
            raise ValueError("missing token_embd.weight")
        return LlamaConfig(
            table.shape[0],
            own["block_count"],
            H,
            C,
            own["context_length"],
            n_kv_head=own.get("attention.head_count_kv", H),
            head_size=D,
            ffn_hidden=own["feed_forward_length"],
            rope_theta=float(own.get("rope.freq_base", 10000.0)),
            norm_eps=float(str(np.float32(own.get("attention.layer_norm_rms_epsilon", 1e-5)))),  # 1e-5, not 9.99999975e-06
            qkv_bias="blk.0.attn_q.bias" in file.tensors,
            tie_weights="output.weight" not in file.tensors,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.path}: {error}") from None


def tensors_of(file: File, config: LlamaConfig) -> dict[str, Packed]:
    """The file's tensors; those of queries and keys know that their rows lie in another order."""
    heads = {".attn_q.": config.n_head, ".attn_k.": config.kv_heads}
    turned = {name: n for name in file.tensors for part, n in heads.items() if part in name}
    return {name: dataclasses.replace(tensor, heads=turned.get(name, 0)) for name, tensor in file.tensors.items()}


CONTROL, USER_DEFINED = 3, 4  # token_type: such a token is found whole in a text, before the text is cut


def tokenizer_of(file: File) -> BPETokenizer:
    """The tokenizer of a file, from its own fields. Raises ImportError where Hugging Face's tokenizers is not installed;
    ValueError naming the file and what is not known or not there."""
    hf = tokenizers_library()
    try:
        own = {name.removeprefix("tokenizer.ggml."): value for name, value in file.fields.items()}
        check_only({"tokenizer.ggml.model": own.get("model")}, **{"tokenizer.ggml.model": ("gpt2",)})
        check_only({"tokenizer.ggml.pre": own.get("pre")}, **{"tokenizer.ggml.pre": tuple(PRE)})
        tokens, merges, types = (own.get(name) for name in ("tokens", "merges", "token_type"))
        if not (
            isinstance(tokens, list) and isinstance(merges, list) and isinstance(types, Array) and len(types) == len(tokens)
        ):
            raise ValueError("its tokens, merges and token types are not there, or not equally many")
        vocabulary = {token: id for id, token in enumerate(tokens)}
        if len(vocabulary) < len(tokens):
            raise ValueError("two of its tokens are the same")
        tokenizer = hf.Tokenizer(hf.models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    except Exception as error:  # the library raises nothing more specific
        raise ValueError(f"{file.path} holds no usable tokenizer: {error}") from None
    bytes_ = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = [hf.pre_tokenizers.Digits(individual_digits=True)] if PRE[own["pre"]] else []
    tokenizer.pre_tokenizer = hf.pre_tokenizers.Sequence([*digits, bytes_])
    tokenizer.decoder = hf.decoders.ByteLevel()
    special = [token for token, type_ in zip(tokens, types, strict=True) if type_ in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens(special)
    return BPETokenizer(tokenizer)
