"""The observer that a forward or backward pass may take along: `note(name, array)` is shown every intermediate."""

from collections.abc import Callable

from numpy import ndarray as Array

Note = Callable[[str, Array], None]


def ignore(name: str, array: Array) -> None:
    """The default observer: looks at nothing. A model's `trace` passes one that keeps copies."""


def prefixed(note: Note, prefix: str) -> Note:
    """The same observer for names inside a block; the one that ignores everything stays itself, which costs no extra call."""
    return ignore if note is ignore else lambda name, array: note(prefix + name, array)
