"""From a text file to batches: read it, cut it into windows, draw batches from a seed. Integers only: for both backends."""

from collections.abc import Iterator
from os import PathLike

import numpy as np
from numpy import ndarray as Array
from numpy.lib.stride_tricks import sliding_window_view

from .ops.embedding import check_ids


def read_tokens(path: str | PathLike, tokenizer, errors: str = "strict") -> Array:
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


def _draw(inputs: Array, targets: Array, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    while True:
        rows = rng.integers(len(inputs), size=batch_size)  # (B,)
        yield inputs[rows], targets[rows]
