"""What the numbered examples share: their options, the backend, a trained model, and where pictures go."""

import argparse
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
from npgpt.runs.files import write_atomically, write_picture  # noqa: E402

from command_line import SENTENCES, Parser, check_at_least, make_out_dir, told_errors  # noqa: E402


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

    def model(self, config, seed: int | None = None):
        """A new, untrained model of the config's kind."""
        seed = self.args.seed if seed is None else seed
        return self.backend.make_model(config, self.device, seed=seed, dtype=self.dtype)

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
        path = self.args.out_dir / name
        with told_errors():
            if isinstance(picture, bytes):
                write_atomically(path, picture)
            else:
                write_picture(path, picture, dpi=50 if self.args.quick else 100)
        self.print("wrote {path}", path=path)
        if in_notebook():
            from IPython.display import Image, display

            display(Image(filename=str(path)))
        elif self.args.show:
            import webbrowser

            webbrowser.open(path.resolve().as_uri())


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel. (That ipykernel has been imported says nothing yet.)"""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def windows(seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the sentences, each (N, seq_len)."""
    return npgpt.sliding_windows(npgpt.read_tokens(SENTENCES, npgpt.LetterTokenizer()), seq_len)


def facts() -> tuple[list[list[str]], list[str], np.ndarray]:
    """The facts among the sentences, one token a word: every sentence about a capital, and every "X bought Y at Z".

    Returns the sentences as lists of words; the vocabulary, "." first; and rows (N, T + 1) of the words' numbers, a sentence
    each: "." begins, ends and fills up.
    """
    lines = [line.rstrip(".\n").split() for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    sentences = [words for words in lines if words[1] == "başkenti" or (words[-1] == "aldı" and len(words) == 4)]
    words = [".", *sorted({word for sentence in sentences for word in sentence})]
    number = {word: i for i, word in enumerate(words)}
    longest = max(map(len, sentences))
    rows = [[0, *(number[word] for word in sentence), *[0] * (longest + 1 - len(sentence))] for sentence in sentences]
    return sentences, words, np.array(rows)


def start(description: str, *, prompt: str | None = None, longest: int = 12, more: Callable | None = None) -> Run:
    """Reads the options and checks them, before anything is computed or written. A wrong one ends the script with its reason.

    prompt : the default of --prompt, where the script has one; it may hold `longest` letters. more(add) adds options.
    """
    with told_errors():
        return _start(description, prompt, longest, more)


def _start(description: str, prompt: str | None, longest: int, more: Callable | None) -> Run:
    parser = Parser(description)
    add = parser.add_argument
    parser.add_backend(device="cpu")
    parser.add_seed("the initial weights and the batches")
    add("--out-dir", type=Path, default=Path("out"), help="folder for the pictures")
    add("--lang", choices=LANGUAGES, default="en", help="language of the pictures and of what is printed")
    add("--show", action="store_true", help="open each picture when it is written")
    add("--quick", action="store_true", help="train for a few steps only: shows that everything runs, not what is learnt")
    if prompt is not None:
        add("--prompt", default=prompt, help=f"the text to look at, at most {longest} letters")
    if more is not None:
        more(add)
    args = parser.parse_args([] if in_notebook() else None)  # there sys.argv is the kernel's, not ours
    check_at_least(0, args, "seed")
    ids = _prompt_ids(args.prompt, longest) if prompt is not None else []
    backend = npgpt.backend(args.backend)
    if args.backend == "torch":
        backend.set_num_threads(1)
    device = backend.pick_device(args.device)  # raises ValueError for a device that the backend does not have
    make_out_dir(args.out_dir)
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


LN_32 = math.log(len(npgpt.letters))
