"""The files of a folder as Hugging Face's transformers writes it, read as data: nothing in it is run, nothing outside it read.

Weights lie in safetensors files: 8 bytes that say how long the header is, the header (JSON: name -> dtype, shape, where its
numbers lie), then the numbers (https://huggingface.co/docs/safetensors). The safetensors library checks such a file here, and
does not read it: it maps the file, whose pages would count as memory of this process beside the model's own. `Tensor.read_into`
reads the numbers straight to where the model keeps them.

safetensors and json are imported where they are used, so that `import npgpt` stays as light as NumPy.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from os import PathLike
from pathlib import Path

import numpy as np
from numpy import ndarray as Array

from ..runs.files import atomic_file

WEIGHTS, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # bfloat16, which NumPy lacks, comes as its 16 bits
PIECE = 2**22  # bytes that are read at a time where numbers have to be converted


def checked_folder(folder: str | PathLike) -> Path:
    """The folder as a path. Raises FileNotFoundError where there is none; ValueError where it is something else."""
    if not os.path.isdir(folder):
        if os.path.exists(folder):
            raise ValueError(f"{folder} is neither a folder nor a .gguf file")
        raise FileNotFoundError(f"no folder at {folder}")
    return Path(folder)


def file_in(folder: Path, name: str) -> Path:
    """The path of a file of the folder. Raises FileNotFoundError where it is not there; ValueError where its name, or a link,
    leads out of the folder.

    One kind of link may: the hub's cache keeps every file once, in `blobs`, and a snapshot's folder holds links to it.
    """
    path = folder / name
    home, real = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    in_hub_cache = home.parent.name == "snapshots" and real.parent == home.parent.parent / "blobs"
    if home not in real.parents and not in_hub_cache:
        raise ValueError(f"{path} leads out of the folder, to {real}: it is not read")
    if not os.path.isfile(real):
        where = f" (its link leads to {real})" if path.is_symlink() else ""
        raise FileNotFoundError(f"{folder} holds no file {name}{where}")
    return path


def has_file(folder: Path, name: str) -> bool:
    """Whether the folder holds something of that name, be it a link to nowhere."""
    return os.path.lexists(folder / name)


def read_json(folder: Path, name: str) -> dict:
    """The JSON object in a file of the folder. Raises what `file_in` raises, and ValueError where it holds none."""
    import json

    path = file_in(folder, name)
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"it holds {type(content).__name__}, not an object")
    except (ValueError, RecursionError) as error:  # no UTF-8 is a ValueError too
        raise ValueError(f"{path} is no usable JSON: {error}") from None
    return content


@dataclass(frozen=True)
class Tensor:
    """One array of a safetensors file: where its numbers lie. They are not read yet."""

    path: Path
    dtype: str  # as the file says it
    shape: tuple[int, ...]
    start: int  # its first byte in the file

    @property
    def fault(self) -> str | None:
        """Why the numbers cannot be read, if they cannot."""
        return None if self.dtype in DTYPES else f"is of dtype {self.dtype}, not one of {', '.join(DTYPES)}"

    def read_into(self, array: Array) -> None:
        """Writes the numbers into the array, converted to its dtype; where it has fewer rows, the first ones."""
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.start)
            if array.dtype == DTYPES[self.dtype] and array.flags.c_contiguous:
                self._read(file, array)
                return
            for rows in self._pieces(len(array)):
                array[rows] = self._converted(file, (rows.stop - rows.start, *self.shape[1:]))

    def pieces(self) -> Iterator[Array]:
        """The numbers, some rows at a time."""
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.start)
            for rows in self._pieces(self.shape[0]):
                yield self._converted(file, (rows.stop - rows.start, *self.shape[1:]))

    def _pieces(self, rows: int) -> Iterator[slice]:
        many = max(1, PIECE // (8 * math.prod(self.shape[1:]) or 1))
        return (slice(first, min(first + many, rows)) for first in range(0, rows, many))

    def _converted(self, file: FileIO, shape: tuple[int, ...]) -> Array:
        numbers = np.empty(shape, DTYPES[self.dtype])
        self._read(file, numbers)
        if self.dtype == "BF16":  # bfloat16 is the upper half of a float32
            return (numbers.astype("<u4") << 16).view("<f4")
        return numbers

    def _read(self, file: FileIO, array: Array) -> None:
        left = array.reshape(-1).view("u1").data  # its bytes; the array is contiguous
        while len(left):
            count = file.readinto(left)
            if not count:
                raise ValueError(f"{self.path} is truncated")
            left = left[count:]


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Name -> where it lies, of all weights of the folder. Raises FileNotFoundError or ValueError naming the file at fault."""
    if has_file(folder, WEIGHTS):
        return tensors_in(file_in(folder, WEIGHTS))
    if has_file(folder, INDEX):
        return indexed_tensors(folder)
    if has_file(folder, PICKLE):
        convert = "from transformers import AutoModelForCausalLM as M; M.from_pretrained('IN').save_pretrained('OUT')"
        raise ValueError(
            f"{folder} holds its weights as {PICKLE} alone, which is pickle: loading it can run any code, so it is not read "
            f'here. If you trust it, convert it: python -c "{convert}"'
        )
    raise FileNotFoundError(f"{folder} holds no weights: neither {WEIGHTS} nor {INDEX}")


def indexed_tensors(folder: Path) -> dict[str, Tensor]:
    """The same, of weights in several files: the index says which file holds which name."""
    index = folder / INDEX
    places = read_json(folder, INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise ValueError(f"{index} holds no weight_map from names to files")
    files = {file: file_in(folder, file) for file in places.values()}  # all of them, before one is opened
    found = {}
    for file, path in files.items():
        for name, tensor in tensors_in(path).items():
            if places.get(name) != file:
                raise ValueError(f"{path} holds {name}, which {index} does not look for there")
            found[name] = tensor
    missing = [name for name in places if name not in found]
    if missing:
        raise ValueError(f"{folder / places[missing[0]]} does not hold {missing[0]}, which {index} looks for there")
    return found


def tensors_in(path: Path) -> dict[str, Tensor]:
    """Name -> where it lies, of one file. Raises ValueError where it is damaged."""
    import json

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):  # checks the header, and that the file is as long as it says
            pass
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or no safetensors file: {error}") from None
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: Tensor(path, entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def write_tensors(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes a safetensors file, array by array, whole or not at all. Raises OSError where it cannot."""
    import json

    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}  # transformers asks for it
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": names[array.dtype], "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8 bytes
    with atomic_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
