"""Texts of any length: read in pieces, encoded once into a mapped file, cut into random windows whose state can be saved."""

import errno
import hashlib
import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import npgpt
import npgpt.text.data
from npgpt import (
    BPETokenizer,
    CharTokenizer,
    LetterTokenizer,
    RandomWindows,
    WordTokenizer,
    encode_file,
    random_batches,
    read_text,
    split_tokens,
)
from npgpt.text.data import last_word_end

from .strategies import seeds
from .test_text import SENTENCES

TEXT = SENTENCES.read_text(encoding="utf-8")
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example overwrites the files


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


# -------------------------------------------------------------------------------------------------------------------- reading


@in_a_folder
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")), size=st.integers(1, 9))
def test_the_pieces_of_a_text_are_the_text(tmp_path, monkeypatch, text, size):
    monkeypatch.setattr(npgpt.text.data, "CHUNK", size)
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    if text.strip():
        assert "".join(read_text(path)) == text
    else:
        with pytest.raises(ValueError, match="holds no text"):
            list(read_text(path))


@pytest.mark.parametrize("chunk", [50, 1000, 1 << 20])
@pytest.mark.parametrize("kind", ["letters", "characters", "words", "bpe"])
def test_encoding_in_pieces_is_encoding_at_once(path, monkeypatch, kind, chunk):
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    text = TEXT.replace("\n", "\n\n  ") + "I'll go.  \n\n\t\n He's 12\r\nold!?  \n"
    path.write_bytes(text.encode())
    tokenizer = {
        "letters": LetterTokenizer,
        "characters": lambda: CharTokenizer.from_text(text),
        "words": lambda: WordTokenizer.from_text(text),
        "bpe": lambda: BPETokenizer.from_text(text, 300),
    }[kind]()
    errors = "replace" if kind == "letters" else "strict"
    monkeypatch.setattr(npgpt.text.data, "CHUNK", chunk)
    assert encode_file(path, tokenizer, errors=errors).tolist() == tokenizer.encode(text, errors)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text"),
        (b" \n\t\n" * 99, "holds no text"),
        (b"ali ata bak" * 9 + b"\xff", "is not UTF-8: byte 0xff at offset 99"),
        (b"ali\xc4", "is not UTF-8: byte 0xc4 at offset 3"),
        (b"\x7fELF\x00\x00 ali", "is no text: it holds a NUL character"),
    ],
)
def test_a_file_that_is_no_text_is_named_and_nothing_is_written(tmp_path, monkeypatch, content, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    for chunk in (1, 2, 50, 1 << 20):
        monkeypatch.setattr(npgpt.text.data, "CHUNK", chunk)
        with pytest.raises(ValueError, match=message) as error:
            encode_file(path, CharTokenizer("ali tbk\n\t\x7fELF"))
        assert str(path) in str(error.value) and os.listdir(tmp_path) == ["text.txt"]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("ab c", 2),
        ("a b", 1),
        ("ab  c", 2),  # before the first of two spaces
        ("a b ", 3),
        (" ab", 3),  # no visible character before the space
        ("", 0),
        ("a " + "b" * 65534, 1),  # the last 65,536 characters hold "a "
        ("a " + "b" * 65535, 65537),
    ],
)
def test_a_piece_ends_where_its_last_word_does(text, end):
    assert last_word_end(text) == end


def test_without_white_space_a_piece_is_what_was_read(tmp_path, monkeypatch):
    monkeypatch.setattr(npgpt.text.data, "CHUNK", 3)
    path = tmp_path / "text.txt"
    path.write_text("abcdef gh i")
    assert list(read_text(path)) == ["abc", "def", " gh", " i"]


def test_the_line_is_that_of_the_piece_in_which_the_unknown_character_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(npgpt.text.data, "CHUNK", 6)
    path = tmp_path / "text.txt"
    path.write_text("ab\nab\nab\naz")
    assert list(read_text(path)) == ["ab\nab", "\nab", "\naz"]
    with pytest.raises(ValueError, match=r"text\.txt, in the text from line 3 on: character 'z' at position 2"):
        encode_file(path, CharTokenizer("ab\n"))


def test_a_text_that_cannot_be_read_to_its_end_is_named(path, monkeypatch):
    def broken_disk(file, digest):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("hashlib.file_digest", broken_disk)
    with pytest.raises(OSError, match="Input/output error") as stop:
        encode_file(path, LetterTokenizer())
    assert stop.value.filename == str(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that opens and cannot be read")
def test_a_text_that_opens_and_cannot_be_read_is_named():
    with pytest.raises(OSError, match="Input/output error") as stop:
        list(read_text("/proc/self/mem"))
    assert stop.value.filename == "/proc/self/mem"


def test_what_the_tokenizer_does_not_know_is_named(path):
    with pytest.raises(ValueError, match=r"text\.txt, in the text from line 1 on: character 'z' at position \d+ is not among"):
        encode_file(path, CharTokenizer("".join(sorted(set(TEXT) - {"z"}))))
    with pytest.raises(ValueError, match="holds no text that the tokenizer knows"):
        encode_file(path, CharTokenizer("X"), errors="ignore")
    with pytest.raises(FileNotFoundError, match=r"missing\.txt"):
        encode_file(path.with_name("missing.txt"), LetterTokenizer())
    assert os.listdir(path.parent) == ["text.txt"]


# ------------------------------------------------------------------------------------------------------------ the mapped file


def count_encodings(monkeypatch) -> list:
    calls = []
    plain = npgpt.text.data.write_tokens
    monkeypatch.setattr(npgpt.text.data, "write_tokens", lambda *args: calls.append(args) or plain(*args))
    return calls


def test_a_text_is_encoded_once_and_mapped(path, monkeypatch):
    calls = count_encodings(monkeypatch)
    tokenizer = CharTokenizer.from_text(TEXT)
    for _ in range(2):
        ids = encode_file(path, tokenizer)
        assert isinstance(ids, np.memmap) and ids.dtype == np.uint16 and not ids.flags.writeable
        assert tokenizer.decode(ids) == TEXT
    os.utime(path)  # a touched file is the same text
    encode_file(path, tokenizer)
    assert len(calls) == 1 and len(os.listdir(path.parent)) == 2


def test_it_is_encoded_again_when_the_text_the_tokenizer_or_the_errors_change(path, monkeypatch):
    calls = count_encodings(monkeypatch)
    tokenizer = CharTokenizer.from_text(TEXT, unknown=True)
    encode_file(path, tokenizer)
    before = path.stat()
    path.write_text(TEXT[::-1], encoding="utf-8")  # of the same size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # and of the same time
    assert tokenizer.decode(encode_file(path, tokenizer)) == TEXT[::-1] and len(calls) == 2
    encode_file(path, tokenizer, errors="replace")
    assert len(calls) == 3
    other = CharTokenizer.from_text(TEXT)
    assert other.decode(encode_file(path, other)) == TEXT[::-1] and len(calls) == 4
    encode_file(path, tokenizer, errors="replace")  # the other tokenizer's ids stand in a file of their own
    assert len(calls) == 4


def test_a_damaged_file_of_ids_is_made_again(path, monkeypatch):
    calls = count_encodings(monkeypatch)
    tokenizer = CharTokenizer.from_text(TEXT)
    encode_file(path, tokenizer)
    (tokens_path,) = path.parent.glob("*.tokens")
    content = tokens_path.read_bytes()
    header = json.loads(content[:4096])
    other = json.dumps(header | {"format": "npgpt-tokens-1"}).encode().ljust(4096)
    another_id = bytearray(content)
    another_id[-2] ^= 1  # of a token that the tokenizer has too
    for damaged in (
        b"",
        content[:100],
        content[:-1],
        content[:4096],
        b"x" * len(content),
        b"[]".ljust(5000),
        (b"[" * 4096).ljust(5000),
        other + content[4096:],
        another_id,
    ):
        tokens_path.write_bytes(damaged)
        assert tokenizer.decode(encode_file(path, tokenizer)) == TEXT
        assert tokens_path.read_bytes() == content
    assert len(calls) == 10


def test_the_ids_can_stand_in_another_folder(path, tmp_path):
    cache = tmp_path / "new" / "cache"
    encode_file(path, LetterTokenizer(), cache_dir=cache, errors="replace")
    assert sorted(os.listdir(tmp_path)) == ["new", "text.txt"] and len(os.listdir(cache)) == 1
    with pytest.raises(OSError, match=r"text\.txt"):
        encode_file(path, LetterTokenizer(), cache_dir=path / "inside a file", errors="replace")


@pytest.mark.parametrize(("tokens", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_more_tokens_than_two_bytes_tell_apart_take_four_each(tmp_path, tokens, dtype):
    characters = "".join(map(chr, range(1, 0xD800))) + "".join(map(chr, range(0xE000, 0x11000)))
    tokenizer = CharTokenizer(characters[:tokens])
    text = "ab c" + characters[tokens - 1]  # the last token of all
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    ids = encode_file(tmp_path / "text.txt", tokenizer)
    assert tokenizer.vocab_size == tokens and ids.dtype == dtype and ids[-1] == tokens - 1 and tokenizer.decode(ids) == text


def test_the_file_of_ids_says_what_it_was_made_from(path):
    tokenizer = LetterTokenizer()
    path.write_bytes(b"Ali ata bak!")
    ids = encode_file(path, tokenizer, errors="ignore")
    (tokens_path,) = path.parent.glob("*.tokens")
    fingerprint = hashlib.sha256(b'{"kind": "letters"}').hexdigest()
    assert tokens_path.name == f"text.txt.{fingerprint[:8]}.tokens"
    content = tokens_path.read_bytes()
    assert content.startswith(b"{") and content[:4096].endswith(b" ")
    assert content[4096:] == np.array([0, 14, 11, 29, 0, 23, 0, 29, 1, 0, 13], "<u2").tobytes() == ids.tobytes()
    assert json.loads(content[:4096]) == {
        "format": "npgpt-tokens-2",
        "text": hashlib.sha256(b"Ali ata bak!").hexdigest(),
        "tokenizer": fingerprint,
        "errors": "ignore",
        "dtype": "uint16",
        "tokens": 11,
        "sha256": hashlib.sha256(content[4096:]).hexdigest(),
    }


def test_memory_stays_small_however_long_the_text(tmp_path):
    import tracemalloc

    path = tmp_path / "long.txt"
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(2000):
            file.write(TEXT)  # 23 MB
    tokenizer = CharTokenizer.from_text(TEXT)
    tracemalloc.start()
    ids = encode_file(path, tokenizer)
    next(RandomWindows(ids, 8, 4))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ids) == 2000 * len(TEXT) and peak < 32e6


# -------------------------------------------------------------------------------------------------------------------- windows


def test_the_split_is_at_one_place():
    train, validation = split_tokens(np.arange(1003), 0.1)
    assert np.array_equal(train, np.arange(902)) and np.array_equal(validation, np.arange(902, 1003))
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="validation must lie between 0 and 1"):
            split_tokens(np.arange(10), share)


def test_a_tenth_of_the_text_is_kept_and_seeds_are_0_where_nothing_is_said():
    train, validation = split_tokens(np.arange(100))
    assert (len(train), len(validation)) == (90, 10)
    assert np.array_equal(next(RandomWindows(train, 4, 9))[0], next(RandomWindows(train, 4, 9, seed=0))[0])
    windows = np.arange(20).reshape(10, 2), np.arange(1, 21).reshape(10, 2)
    assert np.array_equal(next(random_batches(*windows, 9))[0], next(random_batches(*windows, 9, seed=0))[0])


def test_a_text_of_one_window_and_its_target_is_enough():
    ids, targets = next(RandomWindows(np.arange(5), 4, 2))
    assert ids.tolist() == [[0, 1, 2, 3]] * 2 and targets.tolist() == [[1, 2, 3, 4]] * 2


@given(seeds, st.integers(1, 5), st.integers(1, 6))
def test_windows_are_places_of_the_text_and_targets_the_next_tokens(seed, seq_len, batch_size):
    windows = RandomWindows(np.arange(20, dtype=np.uint16), seq_len, batch_size, seed)
    starts = set()
    for _ in range(200):
        ids, targets = next(windows)
        assert ids.shape == targets.shape == (batch_size, seq_len) and ids.dtype == np.int64
        assert np.array_equal(targets, ids + 1) and np.array_equal(ids, ids[:, :1] + np.arange(seq_len))
        starts |= set(ids[:, 0].tolist())
    assert starts == set(range(20 - seq_len))  # every place, the last one included


@given(seeds, st.integers(0, 5))
def test_a_saved_state_goes_on_as_if_nothing_had_happened(seed, drawn):
    first, second = (RandomWindows(np.arange(99), 4, 3, seed) for seed in (seed, 0))
    for _ in range(drawn):
        next(first)
    second.set_state(json.loads(json.dumps(first.state())))
    for _ in range(3):
        assert all(np.array_equal(a, b) for a, b in zip(next(first), next(second), strict=True))


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_the_parts_of_all_ranks_are_the_batch_of_one_process(ranks):
    whole = RandomWindows(np.arange(99), 4, 6, seed=5)
    parts = [RandomWindows(np.arange(99), 4, 6, seed=5, rank=rank, ranks=ranks) for rank in range(ranks)]
    for _ in range(3):
        batches = [next(part) for part in parts]
        for place, expected in enumerate(next(whole)):
            assert np.array_equal(np.concatenate([batch[place] for batch in batches]), expected)
    assert all(part.state() == whole.state() for part in parts)


def test_windows_that_do_not_fit_are_refused():
    for options, message in [
        ({"seq_len": 99}, "too short: 99 tokens, a window of 99 and its target need 100"),
        ({"seq_len": 0}, "seq_len must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"ranks": 0}, "ranks must be at least 1"),
        ({"ranks": 4}, "must be a multiple of ranks, and rank below it; got 6, 4, 0"),
        ({"ranks": 2, "rank": 2}, "got 6, 2, 2"),
        ({"ranks": 2, "rank": -1}, "got 6, 2, -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            RandomWindows(np.arange(99), **({"seq_len": 4, "batch_size": 6} | options))
    for state in ({}, {"bit_generator": "MT19937"}, None, {"bit_generator": "PCG64", "state": {"state": "x"}}):
        with pytest.raises(ValueError, match="not the state of a PCG64 generator"):
            RandomWindows(np.arange(99), 4, 6).set_state(state)
