"""From text to batches: the letters, Turkish casing, files, windows, random batches."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgpt
from npgpt import LetterTokenizer, detokenize, letters, random_batches, read_tokens, sliding_windows, tokenize

from .strategies import seeds

SENTENCES = Path(__file__).parents[1] / "examples" / "data" / "tr_sentences.txt"


def test_the_alphabet_is_the_articles():
    assert letters == "abcçdefgğhıijklmnoöprsştuüvyz .," and len(letters) == 32
    assert [letters.index(letter) for letter in "ap .,"] == [0, 19, 29, 30, 31]
    assert tokenize("ali ata bak.") == [0, 14, 11, 29, 0, 23, 0, 29, 1, 0, 13, 30]
    assert LetterTokenizer.vocab_size == npgpt.GPTConfig.article().vocab_size == 32


@given(st.text(alphabet=letters))
def test_decoding_undoes_encoding(text):
    assert detokenize(tokenize(text)) == text
    assert LetterTokenizer().decode(np.array(LetterTokenizer().encode(text), dtype=np.int64)) == text


@given(st.text(alphabet=letters))
def test_upper_case_is_read_the_turkish_way(text):
    upper = text.replace("i", "İ").replace("ı", "I").upper()
    assert tokenize(upper) == tokenize(text)
    assert tokenize(unicodedata.normalize("NFD", upper)) == tokenize(text)


def test_i_and_dotless_i_stay_apart():
    assert detokenize(tokenize("IŞIK İPİ Iİ")) == "ışık ipi ıi"


@given(st.text())
def test_any_text_can_be_ignored_or_replaced(text):
    known = tokenize(text, errors="ignore")
    replaced = tokenize(text, errors="replace")
    lower = unicodedata.normalize("NFC", text).replace("I", "ı").replace("İ", "i").lower()
    assert detokenize(known) == "".join(character for character in lower if character in letters)
    assert detokenize(replaced) == "".join(character if character in letters else " " for character in lower)


def test_a_character_outside_is_named_with_its_place_and_the_alphabet():
    with pytest.raises(ValueError, match=r"character 'x' at position 4 is not among the 32 letters 'abcç"):
        tokenize("ali xyz")
    with pytest.raises(ValueError, match="errors must be one of strict, ignore, replace; got 'skip'"):
        tokenize("ali", errors="skip")
    for ids in ([32], [-1], [0.5], [True + 0.0]):
        with pytest.raises(ValueError, match=r"is not an integer in 0\.\.31"):
            detokenize(ids)


def test_the_bundled_sentences_are_what_they_should_be():
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 400 and len(set(lines)) == len(lines) and lines[0] == "ali ata bak."
    for line in lines:
        assert set(line) <= set(letters) and line.endswith(".") and "  " not in line and line == line.strip()
        assert 8 <= len(line) <= 45, line
    text = " ".join(lines)
    assert all(text.count(letter) >= 12 for letter in letters[:29])
    assert detokenize(read_tokens(SENTENCES, LetterTokenizer())) == text


def test_a_file_is_read_with_its_white_space_folded(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffAli ata\tbak.\r\n\r\n  Işık  aç. \n".encode())
    assert detokenize(read_tokens(path, LetterTokenizer())) == "ali ata bak. ışık aç."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text"),
        (b" \n\t\n", "holds no text"),
        (b"ali\xffata", "is not UTF-8: byte 0xff at offset 3"),
        (b"ali ata\nela qbak", "line 2: character 'q' at position 4"),
        (b"\x00\x01", "line 1: character"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_tokens(path, LetterTokenizer())
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path):
    for path in (tmp_path / "nothing.txt", tmp_path):
        with pytest.raises(OSError, match=path.name):
            read_tokens(path, LetterTokenizer())


def test_unknown_characters_in_a_file_can_be_replaced(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ali? 3", encoding="utf-8")
    assert detokenize(read_tokens(path, LetterTokenizer(), "ignore")) == "ali "
    assert detokenize(read_tokens(path, LetterTokenizer(), "replace")) == "ali   "


@given(seeds, st.integers(1, 9), st.integers(0, 20))
def test_windows_move_by_one_and_targets_are_the_next_tokens(seed, seq_len, extra):
    ids = np.random.default_rng(seed).integers(32, size=seq_len + 1 + extra)
    inputs, targets = sliding_windows(ids, seq_len)
    assert inputs.shape == targets.shape == (1 + extra, seq_len)
    for n in range(len(inputs)):
        assert np.array_equal(inputs[n], ids[n : n + seq_len]) and np.array_equal(targets[n], ids[n + 1 : n + seq_len + 1])


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="too short: 12 tokens, a window of 12 and its target need 13"):
        sliding_windows(np.arange(12), 12)
    with pytest.raises(ValueError, match="seq_len must be at least 1, got 0"):
        sliding_windows(np.arange(12), 0)
    with pytest.raises(ValueError, match=r"one sequence \(N,\)"):
        sliding_windows(np.zeros((2, 3), dtype=int), 1)


@given(seeds, st.integers(1, 6))
def test_batches_are_windows_and_the_seed_fixes_them(seed, batch_size):
    inputs, targets = sliding_windows(np.arange(30), 4)
    first, again = (random_batches(inputs, targets, batch_size, seed) for _ in range(2))
    for _ in range(3):
        ids, next_ids = next(first)
        assert ids.shape == next_ids.shape == (batch_size, 4) and np.array_equal(next_ids, ids + 1)
        assert all(np.array_equal(a, b) for a, b in zip((ids, next_ids), next(again), strict=True))


def test_every_window_is_drawn_sooner_or_later():
    inputs, targets = sliding_windows(np.arange(30), 4)
    batches = random_batches(inputs, targets, 8, seed=1)
    assert {int(ids) for _ in range(100) for ids in next(batches)[0][:, 0]} == set(range(26))


def test_bad_batches_are_refused_at_once():
    inputs, targets = sliding_windows(np.arange(30), 4)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        random_batches(inputs, targets, 0)
    with pytest.raises(ValueError, match="one shape"):
        random_batches(inputs, targets[1:], 2)
    with pytest.raises(ValueError, match="must have one shape and hold a window"):
        random_batches(inputs[:0], targets[:0], 2)
    assert np.array_equal(next(random_batches(inputs[:1], targets[:1], 2))[1], [[1, 2, 3, 4]] * 2)  # one window is enough
    with pytest.raises(TypeError, match="inputs must be integers"):
        random_batches(inputs * 1.0, targets, 2)
