"""The names in a reader's file: it is read and run afresh, whatever Python remembers of it."""

import importlib
import linecache
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


@contextmanager
def namespace_of(source: "str | Path | ModuleType | Mapping[str, object]") -> Iterator[Mapping[str, object]]:
    """The names of a file, a module or a namespace, for as long as they are used.

    Raises TypeError where it is something else, FileNotFoundError and ImportError where a file cannot be run.
    """
    if isinstance(source, str | Path):
        with imported(Path(source)) as module:
            yield vars(module)
    elif isinstance(source, ModuleType | Mapping):
        yield vars(source) if isinstance(source, ModuleType) else source
    else:
        raise TypeError(f"expected the path of a file, a module or a namespace such as globals(), got {type(source).__name__}")


@contextmanager
def imported(path: Path) -> Iterator[ModuleType]:
    """The file as a module of its own, which finds the modules beside it, and those of its package.

    Its name is not the one under which it may have been imported before, so nothing else meets it. And no compiled copy is
    kept, which would pass for a file that was saved within the same second.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    path = path.resolve()
    linecache.checkcache(str(path))
    package, root = package_of(path)
    name = f"{package}.checked_{path.stem}" if package else f"checked_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None:
        raise ImportError(f"{path.name} cannot be imported: it is no file of Python")
    module = module_from_spec(spec)
    sys.path.insert(0, str(root))
    try:
        sys.modules[name] = module
        run(module, path, package)
        yield module
    finally:
        sys.path.remove(str(root))
        sys.modules.pop(name, None)


def package_of(path: Path) -> tuple[str, Path]:
    """The package that the file belongs to, and the folder from which it is imported: "a.b" of root/a/b/c.py; "" for none."""
    names: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), folder


def run(module: ModuleType, path: Path, package: str) -> None:
    """Raises ImportError, in one line, for whatever the file raises."""
    try:
        if package:
            importlib.import_module(package)
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        raise ImportError(f"{path.name} cannot be imported: {in_a_line(error, path)}") from error


def in_a_line(error: BaseException, path: Path) -> str:
    """The exception's type and message, and the line of the file that raised it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f" (line {lines[-1]})" if lines else ""
    return " ".join(f"{type(error).__name__}: {error}{where}".split())
