"""The observer that a forward or backward pass may take along: `note(name, array)` is shown every intermediate."""

from collections.abc import Callable
from typing import Any

Note = Callable[[str, Any], None]  # Any: an array; in torchgpt a tensor, or a tensor for each step


def ignore(name: str, array: Any) -> None:
    """The default observer: looks at nothing. A model's `trace` passes one that keeps copies."""


def prefixed(note: Note, prefix: str) -> Note:
    """The same observer for names inside a block; the one that ignores everything stays itself, which costs no extra call."""
    return ignore if note is ignore else lambda name, array: note(prefix + name, array)
