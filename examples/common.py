"""What the numbered examples share: their options, the backend, and where results go. None of it is about the model."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import npgpt
from npgpt.plots import LANGUAGES

BACKENDS = {"numpy": "npgpt", "torch": "torchgpt"}
SENTENCES = Path(__file__).parent / "data" / "tr_sentences.txt"


def parser_for(doc: str) -> argparse.ArgumentParser:
    """The options that every numbered example has; its docstring's first line describes it."""
    parser = argparse.ArgumentParser(
        description=doc.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--backend", choices=BACKENDS, default="numpy", help="what computes")
    add("--device", default="cpu", help="with torch also auto, cuda, cuda:N, mps")
    add("--seed", type=int, default=0, help="fixes the initial weights and the batches")
    add("--out-dir", type=Path, default=Path("out"), help="folder for the pictures")
    add("--lang", choices=LANGUAGES, default="en", help="language of the pictures and of what is printed")
    add("--show", action="store_true", help="also open the pictures in windows")
    add("--quick", action="store_true", help="less training: everything runs, nothing is worth looking at")
    return parser


def load_backend(name: str):
    """The package npgpt or torchgpt."""
    try:
        return importlib.import_module(BACKENDS[name])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ValueError("--backend torch needs PyTorch: .venv/bin/pip install -e '.[torch]'") from None


def as_numpy(tensor) -> np.ndarray:
    """An array or a tensor of either backend as an array."""
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def prepare(out_dir: Path) -> None:
    """Makes the folder, before anything is computed. Raises OSError where it cannot be written to."""
    out_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(out_dir, os.W_OK):
        raise PermissionError(f"--out-dir {out_dir} is not writable")


def save(figure, path: Path, show: bool = False) -> None:
    """Writes the picture and says so; `show` opens it in a window too, where there is a display."""
    figure.savefig(path, dpi=100)
    print(f"wrote {path}")
    if show:
        import matplotlib.pyplot as plt

        window = plt.figure(figsize=figure.get_size_inches())
        window.figimage(plt.imread(path), resize=True)
        plt.show()


def run(main: Callable[[], None]) -> None:
    """Runs an example; an error that the reader can mend is one line, not a traceback."""
    try:
        main()
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except MemoryError as error:
        sys.exit(f"error: not enough memory: {error}")
    except (ValueError, TypeError, npgpt.TrainingDiverged) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped")
