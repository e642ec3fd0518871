"""What a text costs a model, in pieces of any size: shared by the scripts that compare tokenizers or texts."""

import itertools
import math
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

import npgpt
from npgpt.pictures.statistics import surprise


def start_of(path: Path, max_characters: int) -> str:
    """The first characters of a UTF-8 text file."""
    return "".join(itertools.islice(itertools.chain.from_iterable(npgpt.read_text(path)), max_characters))


def spelling_bits(tokenizer: npgpt.Tokenizer, text: str, alphabet: int) -> float:
    """What it costs to spell everything in the text that the tokenizer only knows as unknown."""
    if tokenizer.kind == "words":
        unknown = [piece for piece in npgpt.text.words.PIECE.findall(text) if piece not in tokenizer.ids]
        return sum(len(piece) + 1 for piece in unknown) * math.log2(alphabet + 1)
    if tokenizer.kind == "characters":
        return sum(character not in tokenizer.ids for character in text) * math.log2(alphabet)
    return 0.0


def bits_of_all(model, ids: list[int]) -> float:
    """What the model pays for the whole text, in bits: every token but the first is predicted once, from up to half a context
    or more before it."""
    T, N = model.config.seq_len, len(ids)
    starts, firsts = [], []  # of each window, and of the targets in it that no window before has paid for
    paid = 1
    while paid < N:
        starts.append(max(0, paid - T // 2))
        firsts.append(paid)
        paid = starts[-1] + T + 1
    places = np.array(starts)[:, None] + np.arange(T + 1)  # (W, T + 1); past the end any token will do: it is not paid for
    windows = np.pad(np.array(ids), (0, T))[places]  # (W, T + 1)
    due = (places >= np.array(firsts)[:, None]) & (places < N)  # (W, T + 1)
    total = 0.0
    for some in range(0, len(starts), 64):
        rows = slice(some, some + 64)
        total += surprise(model(windows[rows, :-1]), windows[rows, 1:])[due[rows, 1:]].sum()
    return total / math.log(2)


def train_to_best(
    backend,
    model,
    ids: list[int],
    held_out: list[int],
    *,
    steps: int,
    seed: int,
    learning_rate: float = 3e-3,
    looks: Collection[int] = (),
    at_best: Callable[[], None] = lambda: None,
) -> float:
    """Trains on ids, and gives the fewest bits that the held-out text cost on the way: a small text is soon learned by heart.

    looks : the steps after which it is looked at; without any, eight at equal distances. at_best is called at each new fewest.
    """
    looks = looks or {steps, *range(max(1, steps // 8), steps, max(1, steps // 8))}
    best = math.inf

    def keep_the_best(step: int, loss: float, norm: float) -> None:
        nonlocal best
        if step in looks:
            bits = bits_of_all(model, held_out)
            if bits < best:
                best = bits
                at_best()

    def rate(step: int) -> float:
        return backend.cosine_schedule(
            step, learning_rate=learning_rate, min_learning_rate=0.1 * learning_rate, warmup_steps=20, decay_steps=steps
        )

    windows = npgpt.RandomWindows(np.array(ids), model.config.seq_len, 16, seed)
    backend.train(model, windows, steps=steps, learning_rate=rate, weight_decay=0.1, on_step=keep_the_best)
    return best
