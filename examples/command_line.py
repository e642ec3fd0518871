"""What the scripts share: the flags that all of them have, the folder for the results, and how they end."""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import npgpt
from npgpt.backends import BACKENDS

SENTENCES = Path(__file__).parent / "data" / "tr_sentences.txt"


class Parser(argparse.ArgumentParser):
    """A parser that shows every default. description : a script's docstring, of which the first line is taken."""

    def __init__(self, description: str):
        first_line = description.split("\n")[0]
        super().__init__(description=first_line, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False)

    def add_backend(self, *, device: str = "auto") -> None:
        """--backend, whose value `npgpt.backend` takes, and --device."""
        self.add_argument("--backend", choices=BACKENDS, default="numpy", help="what computes")
        devices = "auto or cpu; with torch also cuda, cuda:N, mps (not yet run on such hardware)"
        self.add_argument("--device", default=device, help=devices)

    def add_seed(self, what: str) -> None:
        """--seed, which fixes `what`."""
        same = "the same numbers each time, on one machine and with the same number of threads"
        self.add_argument("--seed", type=int, default=0, help=f"fixes {what}: {same}")

    def take_defaults_from(self, path: Path, fixed: tuple[str, ...]) -> npgpt.Checkpoint:
        """The checkpoint of a run, whose options become the defaults. `fixed` names those that may not be typed otherwise.

        Raises what read_checkpoint raises; ValueError where the checkpoint holds no options, or a fixed one differs.
        """
        checkpoint = npgpt.read_checkpoint(path)
        saved = checkpoint.run.get("options")
        if not saved:
            raise ValueError(f"{path} holds a model and no run to go on with")
        self.set_defaults(**saved)
        self.check_fixed({name: saved[name] for name in fixed if name in saved}, f"the run in {path.parent}")
        return checkpoint

    def typed(self) -> set[str]:
        """The names of the options that stand on the command line, whatever their values."""
        nothing = object()
        blank = argparse.Namespace(**dict.fromkeys(vars(self.parse_args()), nothing))
        return {name for name, value in vars(self.parse_args(namespace=blank)).items() if value is not nothing}

    def check_fixed(self, fixed: Mapping, whose: str) -> None:
        """Raises ValueError where an option is typed otherwise than it is fixed by `whose`."""
        args = self.parse_args()
        for name, value in fixed.items():
            typed = getattr(args, name)
            if typed != value:
                raise ValueError(f"--{name.replace('_', '-')} {typed}: {whose} has {value}, which cannot change")


def python_as_typed() -> str:
    """This interpreter, as it is called from the current folder: .venv/bin/python, where it lies below."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def check_at_least(least: int, args: argparse.Namespace, *names: str) -> None:
    """Raises ValueError where an option of these names is below `least`; None is none."""
    for name in names:
        value = getattr(args, name)
        if value is not None and not value >= least:  # a nan is not
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def check_above_0(flag: str, *values: float) -> None:
    """Raises ValueError, in the flag's name, where one of its values is not above 0 and finite."""
    if not all(0 < value < math.inf for value in values):
        raise ValueError(f"{flag} must be above 0 and finite, got {' '.join(map(str, values))}")


def make_out_dir(folder: Path, flag: str = "--out-dir") -> None:
    """Makes the folder where it is missing. Raises OSError, in the flag's name, where nothing can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{flag}: {folder}") from None
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "is not writable", f"{flag}: {folder}")


@contextmanager
def told_errors(interrupted: str = "stopped") -> Iterator[None]:
    """Whatever a reader can do something about ends the script with one line that says it, and no traceback.

    interrupted : what is said on Ctrl-C.
    """
    try:
        yield
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except MemoryError as error:
        sys.exit(f"error: not enough memory: {error}")
    except (ValueError, TypeError, ImportError, npgpt.TrainingDiverged) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"\n{interrupted}")
