"""The text whose entropy is known: its chain, its harmony, and the entropies that are computed from it."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import npgpt
from npgpt.pictures.statistics import ngram_entropy
from npgpt.text.harmony import (
    START,
    automaton,
    entropy_after,
    entropy_rate,
    harmony_text,
    log_probabilities,
    matrices,
    stationary,
)

from .strategies import seeds

EPS = np.finfo(np.float64).eps


@pytest.fixture(scope="module")
def sample():
    return harmony_text(300_000, seed=1)


def test_every_state_writes_some_letter_and_every_word_begins_in_one_state():
    rows = automaton()
    for state, row in rows.items():
        assert sum(p for p, _ in row.values()) == pytest.approx(1, abs=len(row) * EPS), state
        assert all(p > 0 and letter in npgpt.letters and following in rows for letter, (p, following) in row.items()), state
        assert row.get(" ", (1, START))[1] == START
    assert 24 <= len(rows) <= 500


def test_state_and_letter_determine_the_next_state():
    p, step = matrices()  # (S, V), (V, S, S)
    assert ((step > 0).sum(axis=2) == (p.T > 0)).all() and np.array_equal(step.sum(axis=2), p.T)


def test_the_stationary_distribution_stays():
    pi, M = stationary(), matrices()[1].sum(axis=0)
    assert (pi > 0).all() and pi.sum() == pytest.approx(1, abs=len(pi) * EPS)
    assert np.abs(pi @ M - pi).max() < len(pi) * EPS


def test_the_probabilities_of_all_texts_of_one_length_sum_to_one():
    texts = map("".join, itertools.product(npgpt.letters, repeat=3))
    assert math.fsum(math.exp(log_probabilities(text).sum()) for text in texts) == pytest.approx(1, abs=32**3 * EPS)


def rank(k, of):
    """The share of the k-th of `of` letters, of which each is k times as rare as the first."""
    return Fraction(1, k) / sum(Fraction(1, i) for i in range(1, of + 1))


CONSONANT, VOWEL = Fraction(86, 100), Fraction(14, 100)
WORDS = {  # word -> the probabilities of its letters, by hand from the grammar and its table of percentages
    "kaz": [CONSONANT * rank(1, 20), rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(30, 100)],
    "jön": [CONSONANT * rank(20, 20), rank(8, 8), Fraction(4, 10) * rank(1, 4), Fraction(6, 10) * Fraction(30, 100)],
    "ek": None,  # a cluster needs n, r or l before it
    "er": [VOWEL * rank(2, 8), Fraction(4, 10) * rank(2, 4), Fraction(6, 10) * Fraction(30, 100)],
    "ört": [VOWEL * rank(8, 8), Fraction(4, 10) * rank(2, 4), Fraction(4, 10) * rank(2, 3), Fraction(30, 100)],
    # a second and a third syllable: low or high vowels, and no fourth
    "bakez": None,
    "bakaz": [CONSONANT * rank(2, 20), rank(1, 8), Fraction(6, 10) * rank(1, 15), Fraction(55, 100)],
    "bakıgul": None,
    "bakıgıl": [CONSONANT * rank(2, 20), rank(1, 8), Fraction(6, 10) * rank(1, 15), Fraction(45, 100)],
    # what may follow a stem: -l, -ı or -ım, -a, -da
    "azı": [VOWEL * rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(16, 100), Fraction(4, 10)],
    "üze": [VOWEL * rank(7, 8), Fraction(4, 10) * rank(4, 4), Fraction(10, 100), 1],
    "azda": [VOWEL * rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(14, 100), 1, Fraction(6, 10)],
    "azdan": [VOWEL * rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(14, 100), 1, Fraction(4, 10), 1],
    "azlık": [VOWEL * rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(30, 100), Fraction(30, 100), 1, Fraction(34, 100)],
    "azlar": [VOWEL * rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(30, 100), Fraction(70, 100), 1, Fraction(34, 100)],
    "azım": [VOWEL * rank(1, 8), Fraction(4, 10) * rank(4, 4), Fraction(16, 100), Fraction(6, 10), Fraction(36, 100)],
}
WORDS["bakaz"] += [Fraction(7, 10) * rank(4, 4), Fraction(30, 100)]
WORDS["bakıgıl"] += [Fraction(3, 10) * rank(15, 15), Fraction(45, 100), rank(3, 4), Fraction(6, 10) * Fraction(30, 100)]
# all of them at once: after -lık, -lar, -ım and -ız
WORDS["özlükler"] = [VOWEL * rank(8, 8), Fraction(4, 10) * rank(4, 4), Fraction(30, 100), Fraction(30, 100), 1]
WORDS["özlükler"] += [Fraction(20, 100), 1, 1, Fraction(34, 100)]
WORDS["özlüklerimizden"] = [*WORDS["özlükler"][:-1], Fraction(26, 100), Fraction(6, 10), Fraction(24, 100), Fraction(6, 10)]
WORDS["özlüklerimizden"] += [Fraction(26, 100), 1, Fraction(4, 10), 1]
WORDS["özlüğü"] = None
WORDS["özlükü"] = [*WORDS["özlükler"][:5], Fraction(18, 100), Fraction(4, 10)]
WORDS["özlüke"] = [*WORDS["özlükler"][:5], Fraction(12, 100), 1]
WORDS["özlükte"] = [*WORDS["özlükler"][:5], Fraction(16, 100), 1, Fraction(6, 10)]
WORDS["özlere"] = [*WORDS["özlükler"][:3], Fraction(70, 100), 1, Fraction(16, 100), 1]
WORDS["özlerde"] = [*WORDS["özlükler"][:3], Fraction(70, 100), 1, Fraction(24, 100), 1, Fraction(6, 10)]
WORDS["özüme"] = [*WORDS["özlükler"][:2], Fraction(16, 100), Fraction(6, 10), Fraction(16, 100), 1]
WORDS["özümde"] = [*WORDS["özlükler"][:2], Fraction(16, 100), Fraction(6, 10), Fraction(24, 100), 1, Fraction(6, 10)]
WORDS["özümü"] = [*WORDS["özlükler"][:2], Fraction(16, 100), Fraction(6, 10), Fraction(24, 100), Fraction(4, 10)]
WORDS["özümüz"] = [*WORDS["özümü"][:-1], Fraction(6, 10), Fraction(44, 100)]
WORDS["özümüzü"] = [*WORDS["özümüz"][:-1], Fraction(12, 100), 1]
WORDS["özümüze"] = [*WORDS["özümüz"][:-1], Fraction(18, 100), 1]


@pytest.mark.parametrize("word", WORDS)
def test_the_probability_of_each_letter_of_a_word_by_hand(word):
    """Whoever changes a number of the grammar, or lets one part of a word follow another, changes one of these."""
    logs = log_probabilities(word + " ")
    if WORDS[word] is None:
        assert not np.isfinite(logs).all()
    else:
        assert np.exp(logs).tolist() == pytest.approx([float(p) for p in WORDS[word]], rel=1e-14)


def test_the_entropies_are_those_that_the_account_of_the_text_gives():
    assert entropy_rate() == pytest.approx(1.5984, abs=0.00005) and entropy_rate() / math.log(2) == pytest.approx(
        2.306, abs=5e-4
    )
    assert [entropy_after(k) for k in range(5)] == pytest.approx([2.890, 2.203, 1.813, 1.642, 1.608], abs=0.0005)


def test_a_long_sample_costs_the_entropy_rate(sample):
    """Words are independent: the mean of the letters' costs is sum(cost of a word) / sum(letters of a word), and its error has
    the variance of the words' (cost - h * letters), divided by the letters squared."""
    logs = log_probabilities(sample)
    ends = np.array([place for place, letter in enumerate(sample) if letter == " "])  # every word's last letter is its space
    starts = np.concatenate(([0], ends[:-1] + 1))
    costs, lengths = -np.add.reduceat(logs[: ends[-1] + 1], starts), ends + 1 - starts  # (words,)
    excess = costs - entropy_rate() * lengths  # (words,)
    standard_error = np.sqrt(len(excess)) * excess.std() / lengths.sum()
    assert standard_error < 0.002
    assert abs(costs.sum() / lengths.sum() - entropy_rate()) < 4 * standard_error


def test_every_word_has_vowel_harmony(sample):
    """The grammar's own rule, told another way: by vowel features, not by the chain."""
    front, rounded, high = set("eiöü"), set("oöuü"), set("ıiuü")
    words = sample.split(" ")[:-1]
    assert all(words) and max(map(len, words)) > 15
    for word in set(words):
        vowels = [letter for letter in word if letter in "aeıioöuü"]
        for before, vowel in itertools.pairwise(vowels):
            assert (vowel in front) == (before in front), word
            assert vowel in "ae" or (vowel in high and (vowel in rounded) == (before in rounded)), word


POSSIBLE = ["türklüklerimizden", "kazlar", "kamanımızı", "kurkta", "kazda", "keze", "kazı"]
OTHER_HARMONY = ["türklar", "kazler", "türklik", "bökö", "kazi", "kurkda", "kazta"]
OTHER_ORDER = ["kazlarlar", "kazlarlık", "kazımlar", "kazdalar", "kazımızım", "kabakababaz", "b", "kı", "ka"]


@pytest.mark.parametrize(("possible", "word"), [(word in POSSIBLE, word) for word in POSSIBLE + OTHER_HARMONY + OTHER_ORDER])
def test_suffixes_come_once_in_their_order_with_t_after_a_voiceless_letter(possible, word):
    assert np.isfinite(log_probabilities(word + " ")).all() == possible


def test_who_sees_few_letters_pays_more():
    h = entropy_rate()
    seen = [entropy_after(k) for k in range(5)]
    share = stationary() @ matrices()[0]  # (V,): of each letter
    assert seen[0] == pytest.approx(-sum(q * math.log(q) for q in share if q), rel=1e-14)
    assert all(more < less for less, more in itertools.pairwise([math.log(32), *seen, h]))
    assert seen[1] - h > 0.5 and seen[2] - h > 0.2 and seen[3] - h > 0.04 and seen[4] - h > 0.005


@pytest.mark.parametrize("k", [0, 1, 2])
def test_the_exact_entropies_are_those_of_a_long_sample(sample, k):
    """The sample's own counts fit themselves, by about cells / (2 N) nats (Miller 1955); the rest is noise, 4 / sqrt(N)."""
    ids = npgpt.tokenize(sample)
    cells = len({tuple(ids[start : start + k + 1]) for start in range(len(ids) - k)})
    assert abs(ngram_entropy(ids, k + 1) - entropy_after(k)) < (cells / 2 + 4 * math.sqrt(len(ids))) / len(ids)


@example(seed=0, length=1)
@given(seeds, st.integers(1, 300))
def test_the_seed_fixes_the_text_and_its_start_does_not_depend_on_its_length(seed, length):
    text = harmony_text(length, seed)
    assert len(text) == length and text == harmony_text(length, seed) and harmony_text(length + 7, seed).startswith(text)
    assert np.isfinite(log_probabilities(text)).all()


def test_other_seeds_give_other_texts():
    assert len({harmony_text(40, seed) for seed in range(20)}) == 20
    assert harmony_text(40) == harmony_text(40, 0)


def test_after_what_the_chain_cannot_write_the_next_word_begins_anew():
    logs = log_probabilities("kaz kez  kabc.ka kaz")
    assert np.isfinite(logs).tolist() == [True] * 8 + [False] + [True] * 3 + [False] * 5 + [True] * 3
    assert np.array_equal(logs[:3], logs[-3:]) and len(log_probabilities("")) == 0


@pytest.mark.parametrize("text", ["kaz kew", "KAZ", "kaz\n"])
def test_a_character_outside_the_alphabet_is_named(text):
    with pytest.raises(ValueError, match=r"character '(w|K|\\n)' at position [603] is not among the 32 letters"):
        log_probabilities(text)


@pytest.mark.parametrize("letters", [0, -3, 2.0, True, "9", None])
def test_bad_lengths_are_refused(letters):
    with pytest.raises(ValueError, match="letters must be an integer of at least 1, got"):
        harmony_text(letters)
    assert len(harmony_text(np.int64(3))) == 3


def test_looking_back_a_negative_number_of_letters_is_refused():
    with pytest.raises(ValueError, match="k must be at least 0, got -1"):
        entropy_after(-1)
