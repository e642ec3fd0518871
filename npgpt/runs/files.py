"""Files that are there whole or not at all, whatever stops the program: a power cut, a full disk, Ctrl-C, SIGKILL.

tempfile is imported where it is used, so that `import npgpt` stays as light as NumPy.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: str | PathLike) -> Iterator[BinaryIO]:
    """A binary file to write; it takes the place of `path` when the block ends, and is deleted where the block raises.

    It is written beside `path` under another name, flushed to the disk, then renamed: on one file system a rename happens or
    does not. Raises OSError where the folder is missing, read-only or full; what was at `path` is then still there.
    """
    import tempfile

    folder_name, name = os.path.split(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder_name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp's 0600 is for secrets
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if os.name == "posix":  # the rename itself reaches the disk with its folder; Windows cannot open one
        folder = os.open(folder_name, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_atomically(path: str | PathLike, content: bytes) -> None:
    """Writes the whole content or leaves what was there. Raises OSError where it cannot."""
    with atomic_file(path) as file:
        file.write(content)


def remove_leftovers(path: str | PathLike) -> None:
    """Deletes the temporary files that a killed process left beside `path` while it was writing it."""
    folder_name, name = os.path.split(os.path.abspath(path))
    for leftover in Path(folder_name).glob(f".{name}.*.tmp"):
        leftover.unlink(missing_ok=True)
