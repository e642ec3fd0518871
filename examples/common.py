"""What the numbered examples share: their options, the backend, a trained model, and where pictures go."""

import argparse
import importlib
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

# These models are so small that a second thread costs more than it brings. Read when NumPy is imported: import this first.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402

import npgpt  # noqa: E402
from npgpt.pictures.labels import LANGUAGES, translator  # noqa: E402
from npgpt.pictures.statistics import numpy_array  # noqa: E402
from npgpt.runs.files import write_atomically  # noqa: E402

BACKENDS = {"numpy": "npgpt", "torch": "torchgpt"}
SENTENCES = Path(__file__).parent / "data" / "tr_sentences.txt"


@dataclass(frozen=True)
class Run:
    """One run of an example: `backend` is npgpt or torchgpt, `say` translates, `out_dir` takes the pictures."""

    args: argparse.Namespace
    backend: ModuleType
    device: str
    dtype: str  # float64, so that both backends print the same digits; float32 on Apple's MPS, which has nothing else
    say: Callable[..., str]
    prompt: list[int]  # the ids of --prompt

    def print(self, text: str = "", /, **values) -> None:
        """Prints the text in the reader's language."""
        print(self.say(text, **values) if text else "")

    def steps(self, usual: int) -> int:
        """How many training steps: the usual number, or a handful with --quick."""
        return min(usual, 10) if self.args.quick else usual

    def model(self, config: npgpt.GPTConfig, seed: int | None = None):
        """A new, untrained model."""
        seed = self.args.seed if seed is None else seed
        return self.backend.GPTModel(config, self.device, seed=seed, dtype=self.dtype)

    def train(self, model, steps: int, *, batch_size: int = 8, learning_rate: float = 1e-2, seed: int | None = None):
        """The model, trained on the sentences."""
        batches = npgpt.random_batches(*windows(model.config.seq_len), batch_size, self.args.seed if seed is None else seed)
        self.backend.train(model, batches, steps=self.steps(steps), learning_rate=learning_rate)
        return model

    def array(self, numbers):
        """The numbers as this backend's own kind of array, for calling one layer alone."""
        if self.args.backend == "numpy":
            return np.asarray(numbers)
        import torch

        return torch.as_tensor(np.asarray(numbers), device=self.device)

    def trace(self, model, ids, targets=None) -> dict:
        """model.trace with NumPy arrays on either backend: name -> (value, gradient)."""
        traced = model.trace(ids, targets)
        return {name: (numpy_array(v), None if g is None else numpy_array(g)) for name, (v, g) in traced.items()}

    def save(self, picture, name: str) -> None:
        """Writes a figure as PNG (or bytes as they are) under --out-dir, whole or not at all, and prints where."""
        import io

        path = self.args.out_dir / name
        content = picture
        if not isinstance(picture, bytes):
            file = io.BytesIO()
            picture.savefig(file, format="png", dpi=50 if self.args.quick else 100)
            content = file.getvalue()
        write_atomically(path, content)
        self.print("wrote {path}", path=path)
        if "ipykernel" in sys.modules:
            from IPython.display import Image, display

            display(Image(data=content))
        elif self.args.show:
            import webbrowser

            webbrowser.open(path.resolve().as_uri())


def windows(seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the sentences, each (N, seq_len)."""
    return npgpt.sliding_windows(npgpt.read_tokens(SENTENCES, npgpt.LetterTokenizer()), seq_len)


def start(description: str, *, prompt: str | None = None, longest: int = 12, more: Callable | None = None) -> Run:
    """Reads the options and checks them, before anything is computed or written. A wrong one ends the script with its reason.

    prompt : the default of --prompt, where the script has one; it may hold `longest` letters. more(add) adds options.
    """
    try:
        return _start(description, prompt, longest, more)
    except OSError as error:
        sys.exit(f"error: --out-dir: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except (ValueError, TypeError) as error:
        sys.exit(f"error: {error}")


def _start(description: str, prompt: str | None, longest: int, more: Callable | None) -> Run:
    parser = argparse.ArgumentParser(
        description=description.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--backend", choices=BACKENDS, default="numpy", help="what computes")
    add("--device", default="cpu", help="cpu; with torch also auto, cuda, cuda:N, mps")
    add("--seed", type=int, default=0, help="fixes the initial weights and the batches")
    add("--out-dir", type=Path, default=Path("out"), help="folder for the pictures")
    add("--lang", choices=LANGUAGES, default="en", help="language of the pictures and of what is printed")
    add("--show", action="store_true", help="open each picture when it is written")
    add("--quick", action="store_true", help="train for a few steps only: shows that everything runs, not what is learnt")
    if prompt is not None:
        add("--prompt", default=prompt, help=f"the text to look at, at most {longest} letters")
    if more is not None:
        more(add)
    in_notebook = "ipykernel" in sys.modules  # there sys.argv is the kernel's, not ours
    args = parser.parse_args([] if in_notebook else None)
    if args.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {args.seed}")
    ids = _prompt_ids(args.prompt, longest) if prompt is not None else []
    backend = _backend(args.backend)
    device = backend.pick_device(args.device)  # raises ValueError for a device that the backend does not have
    args.out_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(args.out_dir, os.W_OK):
        raise PermissionError(13, "is not writable", str(args.out_dir))
    dtype = "float32" if str(device) == "mps" else "float64"
    return Run(args, backend, str(device), dtype, translator(args.lang), ids)


def _prompt_ids(prompt: str, longest: int) -> list[int]:
    try:
        ids = npgpt.tokenize(prompt)
    except ValueError as error:
        raise ValueError(f"--prompt: {error}") from None
    if not 2 <= len(ids) <= longest:
        raise ValueError(f"--prompt must hold 2 to {longest} letters (the context), got {len(ids)}: {prompt!r}")
    return ids


def _backend(name: str) -> ModuleType:
    try:
        backend = importlib.import_module(BACKENDS[name])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ValueError("--backend torch needs PyTorch: pip install -e '.[torch]'") from None
    if name == "torch":
        import torch

        torch.set_num_threads(1)
    return backend


LN_32 = math.log(len(npgpt.letters))
