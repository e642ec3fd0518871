"""Files that are there whole or not at all, whatever stops the program: a power cut, a full disk, Ctrl-C, SIGKILL.

tempfile is imported where it is used, so that `import npgpt` stays as light as NumPy.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def naming(path: str | PathLike) -> Iterator[None]:
    """Within its block an OSError that says no file's name, or that of a temporary file of `path`, says `path`: a full disk is
    found out by a write or a flush, and the system then says "No space left on device" and not where."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and not is_temporary(error.filename, path)
        if error.errno is None or named:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def is_temporary(name: str | PathLike, path: str | PathLike) -> bool:
    """Whether that is a name under which `path` is written."""
    name = os.path.basename(str(name))
    return name.startswith(f".{os.path.basename(path)}.") and name.endswith(".tmp")


@contextmanager
def atomic_file(path: str | PathLike) -> Iterator[BinaryIO]:
    """A binary file to write; it takes the place of `path` when the block ends, and is deleted where the block raises.

    It is written beside `path` under another name, flushed to the disk, then renamed: on one file system a rename happens or
    does not. Raises OSError, in the name of `path`, where the folder is missing, read-only or full; what was at `path` is then
    still there.
    """
    import tempfile

    folder_name, name = os.path.split(os.path.abspath(path))
    with naming(path):
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


def write_picture(path: str | PathLike, figure: "Figure", dpi: int = 100) -> None:
    """Writes a matplotlib figure as PNG, whole or not at all. Raises OSError where it cannot."""
    import io

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    write_atomically(path, file.getvalue())


def remove_leftovers(path: str | PathLike) -> None:
    """Deletes the temporary files that a killed process left beside `path` while it was writing it."""
    folder_name, name = os.path.split(os.path.abspath(path))
    for leftover in Path(folder_name).glob(f".{name}.*.tmp"):
        leftover.unlink(missing_ok=True)
