"""A text whose entropy is known: words that follow Turkish vowel harmony, drawn letter by letter from a Markov chain.

On a real text nobody knows how low a loss can be. Here it is known exactly, so a model's loss can be shown as its distance to
what is possible. And the text demands memory: a suffix takes its vowel from the last vowel before it, up to four letters back
(türk-lük-ler: ü, then r, k, l), a suffix comes once and in its order, and a stem has at most three syllables.

    word    = stem [lık] [lar] [ım [ız]] [a | da | dan | ı], one space after it
    stem    = [consonant] vowel (consonant vowel)* coda, of 1 to 3 vowels; coda: l n r z, or a cluster as in tü-rk
    harmony: high vowels (ı i u ü) agree with the vowel before them in front or back and in rounding, the low ones (a e) in
    front or back; o and ö stand in the first syllable only. After k t ç the d of -da, -dan is a t.

**Why the entropy rate is exact.** The chain is unifilar: a state and the letter that it writes determine the next state; and a
word's start, after the space, is one known state. So who knows the letters so far knows the state, and no text can be better
foretold than by p(letter | state). Each letter x_t then costs -ln p(x_t | s_t) nats, and the mean over all letters is

    h = sum_s pi(s) H(s),   H(s) = -sum_x p(x | s) ln p(x | s),   pi = pi M,   sum_s pi(s) = 1

where M (S, S) holds the probability of going from one state to another and pi is the share of letters that each state writes
(the chain can reach every state from every other, through the space, so there is one pi). If the same letters could lead to
two states, this h would only be a lower bound: the letters would not say which of the two writes the next.

It is h = 1.5984 nats (2.306 bits) a letter. Who sees fewer letters pays more, as `entropy_after` says, again exactly: 2.890
with the letters' frequencies alone, 2.203 after one letter (bigrams), 1.813 after two (trigrams), then 1.642, 1.608, 1.599.

Sources: Shannon 1948, A Mathematical Theory of Communication, section 7 and theorem 5 (the entropy of such a source; for
contexts of k letters, as in `entropy_after`, theorem 6); Göksel, Kerslake 2005, Turkish: A Comprehensive Grammar, chapter 3
(vowel harmony), 2 (t for d) and 8 (the suffixes and their order).
"""

import math
from bisect import bisect
from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy import ndarray as Array

from .letters import letters

# All that harmony remembers of a word is one of four vowels: the high one that would come next.
HIGH = dict(zip("aıoueiöü", "ııuuiiüü", strict=True))  # the vowel before -> a high vowel that agrees with it
LOW = dict(zip("aıoueiöü", "aaaaeeee", strict=True))  # -> a low one

FIRST_VOWELS = "aeioıuüö"  # of each list the k-th letter is taken k times as rarely as the first
FIRST_CONSONANTS = "kbysdtgmhçpnşfczrlvj"
INNER_CONSONANTS = "kmtbdysşvçhğpcg"
CODAS = "nrlz"  # none of these begins a syllable within a stem, so that they tell that the stem ends
CLUSTERS = "ktç"  # after n, r, l: voiceless

# How often, in percent, what comes after the end of a part of a word: a space, -l, a high vowel, a low vowel, d (or t).
AFTER = {
    "stem": (30, 30, 16, 10, 14),  # -l begins -lar or -lık; a high vowel is the accusative, or begins -ım
    "lık": (34, 20, 18, 12, 16),
    "lar": (34, 0, 26, 16, 24),
    "ım": (36, 0, 24, 16, 24),  # a high vowel is the accusative, or begins -ız
    "ız": (44, 0, 12, 18, 26),
}
START = "start"  # of a word
State = Any  # a name, or (part of the word, h, what else that part remembers)
Row = dict[str, tuple[float, State]]  # letter -> (its probability, the next state)


@cache
def automaton() -> Mapping[State, Row]:
    """The chain: state -> letter -> (probability, next state). That this is a mapping by letter is what unifilar means.

    A state says which part of the word comes, and the high vowel h that agrees with the last vowel. It has the start of a
    word, then what is reached from there.
    """
    rows: dict[State, Row] = {}
    new: list[State] = [START]
    while new:
        state = new.pop()
        rows[state] = letters_after(state)
        new += {following for _, following in rows[state].values()} - set(rows) - set(new)
    return rows


def letters_after(state: State) -> Row:
    """What can follow a state: the grammar above, a line a state."""
    if state == START:
        return often(0.86, FIRST_CONSONANTS, lambda _: "first vowel") | often(
            0.14, FIRST_VOWELS, lambda v: ("vowel", HIGH[v], 1)
        )
    if state == "first vowel":
        return often(1.0, FIRST_VOWELS, lambda v: ("vowel", HIGH[v], 1))
    if state == "da":  # -da, or -dan
        return {" ": (0.6, START), "n": (0.4, "end")}
    if state == "end":
        return {" ": (1.0, START)}
    part, h, *more = state
    if part == "vowel":  # a stem of `syllables` vowels so far goes on, or ends
        (syllables,) = more
        onward = (0.6, 0.3, 0.0)[syllables - 1]
        end = often(1 - onward, CODAS, lambda c: ("after", h, "stem", "d") if c == "z" else ("coda", h))
        return end | often(onward, INNER_CONSONANTS, lambda _: ("syllable", h, syllables + 1)) if onward else end
    if part == "syllable":
        (syllables,) = more
        return {LOW[h]: (0.55, ("vowel", HIGH[LOW[h]], syllables)), h: (0.45, ("vowel", h, syllables))}
    if part == "coda":  # n, r, l: a cluster, or the stem's end
        cluster = often(0.4, CLUSTERS, lambda _: ("after", h, "stem", "t"))
        return cluster | {x: (0.6 * p, following) for x, (p, following) in letters_after(("after", h, "stem", "d")).items()}
    if part == "after":  # the end of a part of the word: `last`; a d comes as d or t
        last, d = more
        space, lateral, high, low, case = (percent / 100 for percent in AFTER[last])
        ending = {"ım": ("ı or ız", h), "ız": "end"}.get(last, ("ı or ım", h))
        row = {" ": (space, START), h: (high, ending), LOW[h]: (low, "end"), d: (case, ("d", LOW[h]))}
        return row | {"l": (lateral, ("lar or lık", h) if last == "stem" else ("lar", LOW[h]))} if lateral else row
    if part == "lar or lık":
        return {LOW[h]: (0.7, ("r", HIGH[LOW[h]])), h: (0.3, ("k", h))}
    if part == "lar":
        return {h: (1.0, ("r", HIGH[h]))}
    if part == "r":
        return {"r": (1.0, ("after", h, "lar", "d"))}
    if part == "k":
        return {"k": (1.0, ("after", h, "lık", "t"))}
    if part == "ı or ım":
        return {" ": (0.4, START), "m": (0.6, ("after", h, "ım", "d"))}
    if part == "ı or ız":
        return {" ": (0.4, START), "z": (0.6, ("after", h, "ız", "d"))}
    return {h: (1.0, "da")}  # part "d": its vowel


def often(share: float, of: str, following: Callable[[str], State]) -> Row:
    """The letters of `of`, together as probable as `share`, the k-th k times as rare as the first."""
    total = sum(1 / k for k in range(1, len(of) + 1))
    return {letter: (share / k / total, following(letter)) for k, letter in enumerate(of, start=1)}


def harmony_text(letters: int, seed: int = 0) -> str:
    """A text of exactly that many letters, from a word's first letter on; the last word may be cut. The seed fixes it,
    and a longer text of the same seed begins with the shorter one.

    Raises ValueError unless letters is an integer of at least 1.
    """
    if isinstance(letters, bool) or not isinstance(letters, int | np.integer) or letters < 1:
        raise ValueError(f"letters must be an integer of at least 1, got {letters!r}")
    choices = {
        state: (list(row), list(accumulate(p for p, _ in row.values()))[:-1], [following for _, following in row.values()])
        for state, row in automaton().items()
    }
    text, state = [], START
    for u in np.random.default_rng(seed).random(letters).tolist():
        row, upto, following = choices[state]
        choice = bisect(upto, u)  # the last letter takes what rounding leaves of 1
        text.append(row[choice])
        state = following[choice]
    return "".join(text)


def log_probabilities(text: str) -> Array:
    """The chain's ln p of each letter of a text given all before it, (len(text),) float64; the text begins at a word's start.

    Minus its mean is the chain's own loss on these very letters: set beside it, a model's loss has no noise of the sample.
    A letter that the chain cannot write is -inf, and so is what comes after it up to the next space, which begins a word
    again. Raises ValueError for a character outside the article's 32 letters.
    """
    rows = automaton()
    state: State = START
    logs = np.full(len(text), -math.inf)
    for place, letter in enumerate(text):
        if letter not in letters:
            raise ValueError(f"character {letter!r} at position {place} is not among the {len(letters)} letters {letters!r}")
        if state is not None and letter in rows[state]:
            probability, state = rows[state][letter]
            logs[place] = math.log(probability)
        else:
            state = START if letter == " " else None
    return logs


@cache
def matrices() -> tuple[Array, Array]:
    """The chain as arrays: p (S, V), the probability of each letter in each state, and step (V, S, S): step[x, s, r] is the
    probability of writing letter x in state s and going on in state r. step summed over x is M."""
    rows = automaton()
    number = {state: s for s, state in enumerate(rows)}
    step = np.zeros((len(letters), len(rows), len(rows)))  # (V, S, S)
    for state, row in rows.items():
        for letter, (probability, following) in row.items():
            step[letters.index(letter), number[state], number[following]] = probability
    return step.sum(axis=2).T, step


@cache
def stationary() -> Array:
    """pi (S,): the share of letters that each state writes in a long text."""
    M = matrices()[1].sum(axis=0)  # (S, S)
    S = len(M)
    equations = np.vstack((M.T - np.eye(S), np.ones(S)))  # (S + 1, S): pi M = pi, and its sum is 1
    return np.linalg.lstsq(equations, np.append(np.zeros(S), 1.0), rcond=None)[0]


def entropy_rate() -> float:
    """h, nats a letter: no model's mean loss over a long text of this kind can be lower, however far back it looks."""
    p = matrices()[0]  # (S, V)
    return float(stationary() @ surprise_of(p, np.ones(len(p))))


def entropy_after(k: int) -> float:
    """The entropy of a letter given just the k before it, nats: what who looks k letters back cannot beat; exact as well.

    k = 0 is for letters alone, 1 for bigrams, 2 for trigrams; it falls to `entropy_rate` as k grows. The number of contexts
    grows with k: 5 takes a second. Raises ValueError where k is below 0.
    """
    if k < 0:
        raise ValueError(f"k must be at least 0, got {k}")
    p, step = matrices()  # (S, V), (V, S, S)
    contexts = stationary()[None]  # (N, S): the probability of each text of k letters, by the state after it
    for _ in range(k):
        contexts = np.concatenate([contexts @ M for M in step])
        contexts = contexts[contexts.any(axis=1)]
    return float(surprise_of(contexts @ p, contexts.sum(axis=1)).sum())


def surprise_of(joint: Array, alone: Array) -> Array:
    """-sum_x joint ln(joint / alone) of each row, with 0 ln 0 = 0: joint (N, V), alone (N,) -> (N,)."""
    ratio = np.where(joint > 0, joint / alone[:, None], 1.0)  # (N, V)
    return -(joint * np.log(ratio)).sum(axis=1)
