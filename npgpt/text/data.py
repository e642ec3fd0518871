"""From a text file to batches: read it, cut it into windows, draw batches from a seed. Integers only: for both backends.

Two ways. `read_tokens`, `sliding_windows` and `random_batches` hold a short text in memory. `encode_file`, `split_tokens` and
`RandomWindows` are for real texts: encoded once into a file, which is mapped into memory and read where a window needs it, so
that a text may be larger than memory.
"""

import codecs
import math
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray as Array
from numpy.lib.stride_tricks import sliding_window_view

from ..ops.embedding import check_ids
from ..runs.files import atomic_file, naming, remove_leftovers
from .tokenizer import Tokenizer


def read_tokens(path: str | PathLike, tokenizer: Tokenizer, errors: str = "strict") -> Array:
    """The ids of a UTF-8 text file, (N,) int64. Line breaks and runs of white space count as one space.

    Raises FileNotFoundError (or another OSError) where the file cannot be read, and ValueError naming the file where it is not
    UTF-8, holds no text, or has a character that the tokenizer does not know (with its line; see `tokenize` for `errors`).
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")  # a byte-order mark is no letter
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: byte {content[error.start]:#04x} at offset {error.start}") from None
    ids: list[int] = []
    space = tokenizer.encode(" ")
    for number, line in enumerate(text.splitlines(), start=1):
        line = " ".join(line.split())
        if not line:
            continue
        try:
            line_ids = tokenizer.encode(line, errors)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        ids += space + line_ids if ids else line_ids
    if not ids:
        raise ValueError(f"{path} holds no text")
    return np.array(ids, dtype=np.int64)


def sliding_windows(ids: Array, seq_len: int) -> tuple[Array, Array]:
    """Every window of the text, moved on by one token each time: inputs (N - seq_len, seq_len) and targets of the same shape.

    targets[n, t] is the token after inputs[n, t]. Both are read-only views of ids, so the windows cost no memory.
    Raises ValueError where ids (N,) are too few for one window and its last target.
    """
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(f"ids must be one sequence (N,), got the shape {ids.shape}")
    if seq_len < 1:
        raise ValueError(f"seq_len must be at least 1, got {seq_len}")
    if len(ids) < seq_len + 1:
        raise ValueError(f"the text is too short: {len(ids)} tokens, a window of {seq_len} and its target need {seq_len + 1}")
    windows = sliding_window_view(ids, seq_len + 1)  # (N - seq_len, seq_len + 1)
    return windows[:, :-1], windows[:, 1:]


def random_batches(inputs: Array, targets: Array, batch_size: int, seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """Endless batches (ids, targets), each (batch_size, T), of windows drawn with replacement. The seed fixes the order."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if len(inputs) == 0 or inputs.shape != targets.shape:
        raise ValueError(f"inputs {inputs.shape} and targets {targets.shape} must have one shape and hold a window")
    check_ids("inputs", inputs, int(np.max(inputs)) + 1)
    return _draw(inputs, targets, batch_size, np.random.default_rng(seed))


def _draw(inputs: Array, targets: Array, batch_size: int, rng: "np.random.Generator") -> Iterator[tuple[Array, Array]]:
    while True:
        rows = rng.integers(len(inputs), size=batch_size)  # (B,)
        yield inputs[rows], targets[rows]


# ------------------------------------------------------------------------------------------------------ texts of any length

TOKENS_FORMAT = "npgpt-tokens-2"
HEADER = 4096  # bytes: JSON padded with spaces, then the ids; a multiple of a page, so that the mapped ids are aligned
CHUNK = 1 << 20  # bytes of text that are encoded at a time


def read_text(path: str | PathLike) -> Iterator[str]:
    """The text of a UTF-8 file in pieces of about a megabyte, cut where no word is: before a white-space character that follows
    a visible one. Every tokenizer here starts a new token there, so the pieces can be encoded one by one. (A megabyte that ends
    in 65,536 characters without white space is cut at its end.)

    Line breaks stay as they are. Raises OSError where the file cannot be read, ValueError naming it where it is not UTF-8,
    holds a NUL character (which no text does) or nothing visible.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()  # a byte-order mark is no letter
    rest, offset, empty = "", 0, True  # text read and not yet given out; bytes read before this chunk
    with open(path, "rb") as file, naming(path):
        while True:
            chunk = file.read(CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:  # error.object: the bytes that the decoder had kept, then the chunk
                place = offset + len(chunk) - len(error.object) + error.start
                raise ValueError(f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at offset {place}") from None
            if "\0" in text:
                raise ValueError(f"{path} is no text: it holds a NUL character")
            offset += len(chunk)
            rest += text
            empty = empty and not text.strip()
            cut = last_word_end(rest) if chunk else len(rest)
            if cut:
                yield rest[:cut]
            rest = rest[cut:]
            if not chunk:
                break
    if empty:
        raise ValueError(f"{path} holds no text")


def last_word_end(text: str) -> int:
    """The last place where a visible character is followed by white space; the end, where the last 65,536 have none."""
    for place in range(len(text) - 1, max(0, len(text) - 65536), -1):
        if text[place].isspace() and not text[place - 1].isspace():
            return place
    return len(text)


def encode_file(
    path: str | PathLike, tokenizer: Tokenizer, *, cache_dir: str | PathLike | None = None, errors: str = "strict"
) -> np.memmap:
    """The ids of a text file, (N,) uint16 or uint32, mapped into memory.

    They are written once, to `<name>.<tokenizer's fingerprint>.tokens` beside the text or in cache_dir, and used again as long
    as the text, the tokenizer and `errors` (see `Tokenizer`) are the same and the ids undamaged: the file holds a hash of each.
    The text is read and encoded a megabyte at a time, and the file appears whole or not at all. Several processes may do this
    at once: each has the ids of its own text, tokenizer and errors.

    Raises OSError where the text cannot be read or the ids cannot be written; ValueError naming the file where it is not UTF-8,
    holds no text, or has something that the tokenizer does not know.
    """
    import hashlib

    path = Path(path)
    with open(path, "rb") as file, naming(path):
        text_hash = hashlib.file_digest(file, "sha256").hexdigest()
    dtype = "uint16" if tokenizer.vocab_size <= 1 << 16 else "uint32"
    made_from = {"format": TOKENS_FORMAT, "text": text_hash, "tokenizer": tokenizer.fingerprint(), "errors": errors}
    made_from["dtype"] = dtype
    folder = path.parent if cache_dir is None else Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    tokens_path = folder / f"{path.name}.{made_from['tokenizer'][:8]}.tokens"
    ids = mapped_tokens(tokens_path, made_from)
    return write_tokens(path, tokens_path, tokenizer, made_from) if ids is None else ids


def mapped_tokens(tokens_path: Path, made_from: dict) -> np.memmap | None:
    """The ids of a file that was made from that; None where it is missing, damaged, or made from something else."""
    import hashlib
    import json

    try:
        with open(tokens_path, "rb") as file:  # whoever replaces it meanwhile: this file is hashed, and this one mapped
            header = json.loads(file.read(HEADER))
            if not isinstance(header, dict) or header | made_from != header:
                return None
            file.seek(HEADER)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            ids = np.memmap(file, made_from["dtype"], mode="r", offset=HEADER)
            return ids if header == made_from | {"tokens": len(ids), "sha256": digest} else None
    except (OSError, ValueError, OverflowError, RecursionError):  # OverflowError: a file that is shorter than its header
        return None


def write_tokens(path: Path, tokens_path: Path, tokenizer: Tokenizer, made_from: dict) -> np.memmap:
    """Encodes the text into the file of ids, and gives them."""
    import hashlib
    import json

    remove_leftovers(tokens_path)
    sha, line, count = hashlib.sha256(), 1, 0
    with atomic_file(tokens_path) as file:
        file.write(b" " * HEADER)
        for piece in read_text(path):
            try:
                ids = tokenizer.encode(piece, made_from["errors"])
            except ValueError as error:
                raise ValueError(f"{path}, in the text from line {line} on: {error}") from None
            content = np.array(ids, made_from["dtype"]).tobytes()
            file.write(content)
            sha.update(content)
            count += len(ids)
            line += piece.count("\n")
        if not count:
            raise ValueError(f"{path} holds no text that the tokenizer knows")
        file.seek(0)
        file.write(json.dumps(made_from | {"tokens": count, "sha256": sha.hexdigest()}).encode().ljust(HEADER))
        file.flush()
        # This file, and not what stands at its path afterwards: another process may write there too.
        return np.memmap(file, made_from["dtype"], mode="r", offset=HEADER)


def split_tokens(ids: Array, validation: float = 0.1) -> tuple[Array, Array]:
    """The first part of a text (N,) to train on, and the last to validate on: views, of the shares 1 - validation, validation.

    The split is at one place: windows drawn at random from all of the text would let the model see validation text in training.
    Raises ValueError where validation is not between 0 and 1.
    """
    if not 0 < validation < 1:
        raise ValueError(f"validation must lie between 0 and 1, got {validation}")
    cut = math.floor(len(ids) * (1 - validation))
    return ids[:cut], ids[cut:]


class RandomWindows:
    """Endless batches (ids, targets), each (B, T) int64, from random places of a text; its state can be saved and set.

    Parameters
    ----------
    tokens : (N,) integers, in memory or mapped.
    seq_len : T. targets[n, t] is the token after ids[n, t].
    batch_size : B, over all ranks.
    seed : fixes the places.
    rank, ranks : this process takes the rank-th of `ranks` equal parts of every batch. Every process draws all B places, so the
        parts make up the batch of a single process, whatever their number.

    Raises ValueError where the text is too short for a window and its last target, or a number is out of range.
    """

    def __init__(self, tokens: Array, seq_len: int, batch_size: int, seed: int = 0, *, rank: int = 0, ranks: int = 1):
        for name, value in (("seq_len", seq_len), ("batch_size", batch_size), ("ranks", ranks)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if batch_size % ranks or not 0 <= rank < ranks:
            raise ValueError(f"batch_size must be a multiple of ranks, and rank below it; got {batch_size}, {ranks}, {rank}")
        if len(tokens) < seq_len + 1:
            raise ValueError(
                f"the text is too short: {len(tokens)} tokens, a window of {seq_len} and its target need {seq_len + 1}"
            )
        self.tokens, self.seq_len, self.batch_size = tokens, seq_len, batch_size
        share = batch_size // ranks
        self.rows = slice(rank * share, (rank + 1) * share)
        self.rng = np.random.default_rng(seed)

    def __iter__(self) -> "RandomWindows":
        return self

    def __next__(self) -> tuple[Array, Array]:
        starts = self.rng.integers(len(self.tokens) - self.seq_len, size=self.batch_size)[self.rows]  # (B,)
        windows = self.tokens[starts[:, None] + np.arange(self.seq_len + 1)].astype(np.int64)  # (B, T + 1)
        return windows[:, :-1], windows[:, 1:]

    def state(self) -> Mapping[str, Any]:
        """The generator's state, ready for JSON: a RandomWindows with it set draws what this one would draw next."""
        return self.rng.bit_generator.state

    def set_state(self, state: dict) -> None:
        """Goes on from a state. Raises ValueError where it is none."""
        set_generator_state(self.rng, state)


def set_generator_state(rng: "np.random.Generator", state: dict) -> None:
    """Sets a NumPy generator's state, as it comes out of JSON. Raises ValueError where it is none."""
    try:
        rng.bit_generator.state = state
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"not the state of a {type(rng.bit_generator).__name__} generator: {error}") from None
