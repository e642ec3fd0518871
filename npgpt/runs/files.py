"""Files that are there whole or not at all, whatever stops the program: a power cut, a full disk, Ctrl-C, SIGKILL; and whoever
else writes at the same time.

Who writes to what is told by the system's locks on open files (flock): one dies with its process, however that ends, and leaves
nothing behind. Where there are none (Windows, some file systems of other machines) nothing is refused, and nothing that another
process might still be writing is deleted.

tempfile is imported where it is used, so that `import npgpt` stays as light as NumPy.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # to mypy a module's name is a module's for ever


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


def lock(descriptor: int, *, wait: bool) -> bool | None:
    """Takes the lock of an open file or folder, which ends when it is closed. False where another process holds it (with `wait`
    it is waited for); None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


@contextmanager
def only_writer(folder: str | PathLike) -> Iterator[None]:
    """Within its block no other process, and no other block of this one, is the only writer of that folder.

    Raises BlockingIOError naming the folder where another is. (On Windows nobody is.)
    """
    if os.name != "posix":  # a folder cannot be opened
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if lock(descriptor, wait=False) is False:
            message = "another run is writing to this folder; wait for its end, or take another folder"
            raise BlockingIOError(errno.EAGAIN, message, os.fspath(folder))
        yield
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: str | PathLike) -> Iterator[BinaryIO]:
    """A binary file to write, and to read; it takes the place of `path` when the block ends, and is deleted where that raises.

    It is written beside `path` under another name, flushed to the disk, then renamed: on one file system a rename happens or
    does not. Raises OSError, in the name of `path`, where the folder is missing, read-only or full; what was at `path` is then
    still there. Of several processes that write one path at once each writes its own file, and the last one's stays.
    """
    folder_name, name = os.path.split(os.path.abspath(path))
    posix = os.name == "posix"
    with naming(path):
        descriptor, temporary = locked_temporary(folder_name, name)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(temporary, 0o666 & ~umask)  # mkstemp's 0600 is for secrets
                if posix:
                    os.replace(temporary, path)  # while it is locked: until then it is no leftover
            if not posix:  # Windows renames no open file
                os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):  # interrupted after the rename
                os.unlink(temporary)
            raise
        if posix:  # the rename itself reaches the disk with its folder
            folder = os.open(folder_name, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def locked_temporary(folder: str, name: str) -> tuple[int, str]:
    """A new temporary file for `name`, open and locked by this process: (descriptor, path)."""
    import tempfile

    while True:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
        if lock(descriptor, wait=True) is None or os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # `remove_leftovers` of another process was faster than the lock, and has deleted it


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
    """Deletes the temporary files that a killed process left beside `path` while it was writing it. One that another process is
    still writing is locked by it, and stays."""
    folder_name = os.path.dirname(os.path.abspath(path))
    for name in os.listdir(folder_name):
        if not is_temporary(name, path):
            continue
        leftover = os.path.join(folder_name, name)
        with contextlib.suppress(OSError):  # another process's, or gone already
            descriptor = os.open(leftover, os.O_RDONLY)
            try:
                if lock(descriptor, wait=False):
                    os.unlink(leftover)
            finally:
                os.close(descriptor)
