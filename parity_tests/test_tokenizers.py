"""Tokenizers: decoding undoes encoding, for Turkish, English and any Unicode; what is unknown; files; and what is refused."""

import hashlib
import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import npgpt
from npgpt import BPETokenizer, CharTokenizer, LetterTokenizer, Tokenizer, WordTokenizer

from .test_text import SENTENCES

TURKISH = SENTENCES.read_text(encoding="utf-8")
ENGLISH = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak!  It's 3 o'clock.\n" * 3
TEXT = TURKISH + ENGLISH

texts = (
    st.text()
    | st.text(alphabet="abcçğıiİIöşü .,\n")
    | st.text(alphabet="abcXYZ '\t\r\n!?-19")
    | st.text("e\u0301ş\u0327😀🇹🇷\u200d")
)


@pytest.fixture(scope="module")
def bpe():
    pytest.importorskip("tokenizers")
    return BPETokenizer.from_text(TEXT, vocab_size=400)


@pytest.fixture(scope="module", params=["letters", "characters", "words", "bpe"])
def tokenizer(request):
    if request.param == "bpe":
        return request.getfixturevalue("bpe")
    return {
        "letters": LetterTokenizer,
        "characters": lambda: CharTokenizer.from_text(TEXT, unknown=True),
        "words": lambda: WordTokenizer.from_text(TEXT),
    }[request.param]()


# ------------------------------------------------------------------------------------------------------------- the round trip


def test_byte_pairs_give_back_any_unicode_text(bpe):
    @given(texts)
    def check(text):
        ids = bpe.encode(text)
        assert bpe.decode(ids) == text and all(0 <= token < bpe.vocab_size for token in ids)

    check()


@given(st.text(min_size=1))
def test_characters_and_words_of_a_text_give_it_back(text):
    for tokenizer in (CharTokenizer.from_text(text), WordTokenizer.from_text(text)):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert CharTokenizer.from_text(text).vocab_size == len(set(text))


@given(st.lists(st.sampled_from(TEXT), min_size=1).map("".join))
def test_known_characters_in_any_order_give_the_text_back(text):
    tokenizer = CharTokenizer.from_text(TEXT)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_bundled_text_comes_back(tokenizer):
    text = " ".join(TURKISH.split()) if tokenizer.kind == "letters" else TEXT
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(np.array(ids, dtype=np.uint16)) == tokenizer.decode(torch.tensor(ids)) == text
    assert tokenizer.decode([np.int64(token) for token in ids]) == text
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


def test_larger_pieces_make_shorter_sequences(bpe):
    lengths = [len(t.encode(TEXT)) for t in (CharTokenizer.from_text(TEXT), bpe, WordTokenizer.from_text(TEXT))]
    assert lengths[0] == len(TEXT) > lengths[1] > lengths[2]


def test_a_word_takes_the_space_before_it():
    tokenizer = WordTokenizer.from_text("ali ata bak.\nali gel.")
    assert [tokenizer.decode([token]) for token in tokenizer.encode("ali ata bak.\n")] == ["ali", " ata", " bak", ".", "\n"]


def test_a_vocabulary_is_in_a_fixed_order():
    """Characters in Unicode's, words by their number and then in Unicode's; pieces of a text make what the whole makes."""
    for text in ("cab ba", ["ca", "b ba"]):
        assert CharTokenizer.from_text(text).characters == " abc"
    for text in ("d. c. b. b c. a", ["d. c.", " b. b c.", " a"]):
        assert WordTokenizer.from_text(text).words == ["<unk>", ".", " b", " c", " a", "d"]
    assert WordTokenizer.from_text("b a a", max_words=1).words == ["<unk>", " a"]


def test_byte_pairs_are_merged_where_they_occur_twice():
    pytest.importorskip("tokenizers")
    for text in ("ab ab", ["ab", " ab"], iter(["ab", " ab"])):
        tokenizer = BPETokenizer.from_text(text)  # "ab" becomes a token, " ab", which occurs once, does not
        assert tokenizer.vocab_size == 257 and tokenizer.encode("ab") == [256] and len(tokenizer.encode(" ab")) == 2
    assert BPETokenizer.from_text("abc").vocab_size == 256
    assert BPETokenizer.from_text(TURKISH).vocab_size == 512  # where nothing is said


# -------------------------------------------------------------------------------------------------------------- what is unknown


@given(texts)
def test_unknown_text_can_be_left_out_or_replaced(text):
    characters = CharTokenizer.from_text(TURKISH, unknown=True)
    known = characters.ids.keys()
    assert characters.decode(characters.encode(text, "ignore")) == "".join(c for c in text if c in known)
    assert characters.decode(characters.encode(text, "replace")) == "".join(c if c in known else "\ufffd" for c in text)
    words = WordTokenizer.from_text(TURKISH)
    pieces = npgpt.text.words.PIECE.findall(text)
    assert "".join(pieces) == text
    assert words.decode(words.encode(text, "ignore")) == "".join(p for p in pieces if p in words.ids)
    assert words.decode(words.encode(text, "replace")) == "".join(p if p in words.ids else "<unk>" for p in pieces)


def test_what_is_unknown_is_named_with_its_place():
    with pytest.raises(ValueError, match="character 'x' at position 3 is not among the tokenizer's 4 characters"):
        CharTokenizer("ali ").encode("alixx")
    with pytest.raises(ValueError, match="word ' veli' at position 3 is not among the 2 words"):
        WordTokenizer.from_text("ali.").encode("ali veli.")
    with pytest.raises(ValueError, match="word ' veli' at position 8 is not among the 3 words"):
        WordTokenizer.from_text("ali. ali.").encode("ali.ali. veli.")
    with pytest.raises(ValueError, match="needs an unknown token: make the tokenizer with unknown=True"):
        CharTokenizer("ali").encode("ali", "replace")


def test_half_a_surrogate_pair_is_no_character(bpe):
    with pytest.raises(ValueError, match="at position 1 is half a surrogate pair"):
        bpe.encode("a\ud800b")
    assert bpe.decode(bpe.encode("a\ud800b", "ignore")) == "ab" and bpe.decode(bpe.encode("a\ud800b", "replace")) == "a?b"


def test_every_tokenizer_refuses_other_ids_and_errors(tokenizer):
    for ids in ([tokenizer.vocab_size], [-1], [0.5]):
        with pytest.raises(ValueError, match=rf"at position 0 is not an integer in 0\.\.{tokenizer.vocab_size - 1}"):
            tokenizer.decode(ids)
    with pytest.raises(ValueError, match=rf"^id -3 at position 2 is not an integer in 0\.\.{tokenizer.vocab_size - 1}$"):
        tokenizer.decode([0, 1, -3])
    with pytest.raises(ValueError, match="errors must be one of strict, ignore, replace; got 'skip'"):
        tokenizer.encode("a", "skip")


def test_the_vocabulary_can_be_limited(bpe):
    tokenizer = WordTokenizer.from_text("a b a c a b", max_words=2)
    assert tokenizer.words == ["<unk>", " a", " b"]
    assert bpe.vocab_size == 400 and BPETokenizer.from_text("", vocab_size=256).vocab_size == 256


def test_bad_vocabularies_are_refused():
    with pytest.raises(ValueError, match="at least one character"):
        CharTokenizer("")
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        CharTokenizer("baca")
    with pytest.raises(TypeError, match="must be a string, got list"):
        CharTokenizer(["a"])
    with pytest.raises(ValueError, match="begin with the unknown token '<unk>', got \\['a'\\]"):
        WordTokenizer(["a"])
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        WordTokenizer(["<unk>", "b", "a", "a"])
    with pytest.raises(ValueError, match="max_words must be at least 1, got 0"):
        WordTokenizer.from_text("a", max_words=0)
    with pytest.raises(ValueError, match="vocab_size must be at least 256, the number of bytes; got 255"):
        BPETokenizer.from_text("a", vocab_size=255)
    for kind in (CharTokenizer, WordTokenizer):
        with pytest.raises(ValueError, match="the text holds no"):
            kind.from_text("")


def test_byte_pairs_of_a_model_with_more_rows_than_there_are_tokens(bpe):
    larger = BPETokenizer(bpe.tokenizer, 500)
    assert larger.vocab_size == 500 and larger.encode(TEXT) == bpe.encode(TEXT)
    assert larger.decode([450, *bpe.encode("ali"), 499]) == "ali"  # the ids between the two have no text
    assert larger.to_dict() == {**bpe.to_dict(), "vocab_size": 500}
    assert Tokenizer.from_dict(larger.to_dict()) == larger != bpe
    assert BPETokenizer(bpe.tokenizer, 400).to_dict() == bpe.to_dict() and bpe.to_dict().keys() == {"kind", "tokenizer"}
    with pytest.raises(ValueError, match="the tokenizer has 400 tokens, more than the vocab_size of 399"):
        BPETokenizer(bpe.tokenizer, 399)
    with pytest.raises(ValueError, match=r"has the fields tokenizer \(dict\), vocab_size \(int\); got"):
        Tokenizer.from_dict(bpe.to_dict() | {"vocab_size": "500"})


def test_byte_pairs_without_a_token_are_refused():
    tokenizers = pytest.importorskip("tokenizers")
    with pytest.raises(ValueError, match=r"^the tokenizer has no tokens$"):
        BPETokenizer(tokenizers.Tokenizer(tokenizers.models.BPE()))


def test_byte_pairs_of_one_token_are_taken():
    tokenizers = pytest.importorskip("tokenizers")
    one = BPETokenizer(tokenizers.Tokenizer(tokenizers.models.BPE(vocab={"a": 0}, merges=[])))
    assert one.vocab_size == 1 and one.encode("a") == [0]


def test_a_text_is_encoded_whole_and_alone_whatever_a_tokenizer_json_adds(bpe):
    """Cut, filled up, or between marks, as published ones ask for it."""
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer.from_str(bpe.tokenizer.to_str())
    theirs.add_special_tokens(["<s>"])
    theirs.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 400)])
    theirs.enable_truncation(3)
    theirs.enable_padding(length=9)
    assert BPETokenizer(theirs).encode("ali ata bak") == bpe.encode("ali ata bak")
    assert BPETokenizer(theirs).encode("a") == bpe.encode("a")


# ----------------------------------------------------------------------------------------------------------------------- files


def test_a_saved_tokenizer_is_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    for loader in (Tokenizer, type(tokenizer)):
        copy = loader.load(tmp_path / "tokenizer.json")
        assert copy == tokenizer and copy.fingerprint() == tokenizer.fingerprint()
        assert copy.encode("ali ata bak.") == tokenizer.encode("ali ata bak.") and copy.vocab_size == tokenizer.vocab_size
    assert Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict()))) == tokenizer
    other = CharTokenizer("xyz")
    assert tokenizer != other and tokenizer.fingerprint() != other.fingerprint()
    with pytest.raises(ValueError, match=r"tokenizer.json holds no usable tokenizer: not a tokenizer of kind"):
        (WordTokenizer if tokenizer.kind != "words" else CharTokenizer).load(tmp_path / "tokenizer.json")


def test_the_file_is_json_with_its_sha256(tmp_path):
    path, content = tmp_path / "tokenizer.json", '{"characters": "ba", "kind": "characters"'
    CharTokenizer("ba").save(path)
    assert path.read_text() == content + f', "sha256": "{hashlib.sha256((content + "}").encode()).hexdigest()}"' + "}"
    assert CharTokenizer("ba").fingerprint() == hashlib.sha256((content + "}").encode()).hexdigest()


def test_equal_tokenizers_are_one_key_and_others_another(tokenizer):
    copy = Tokenizer.from_dict(tokenizer.to_dict())
    assert len({tokenizer, copy, CharTokenizer("xyz")}) == 2
    assert hash(tokenizer) == hash(copy) != hash(CharTokenizer("xyz")) and tokenizer != 3 and tokenizer != tokenizer.to_dict()


def test_a_tokenizer_json_is_read_and_written(bpe, tmp_path):
    import tokenizers

    path = tmp_path / "tokenizer.json"
    bpe.save_tokenizer_json(path)
    theirs = tokenizers.Tokenizer.from_file(str(path))
    assert theirs.encode("ali ata").ids == bpe.encode("ali ata")
    assert Tokenizer.load(path) == bpe and BPETokenizer.load(path) == bpe
    theirs.enable_truncation(2)
    theirs.add_special_tokens(["<|end|>"])
    theirs.save(str(path))
    ours = BPETokenizer.load(path)
    assert ours.vocab_size == bpe.vocab_size + 1
    assert ours.decode(ours.encode("ali ata bak<|end|>")) == "ali ata bak<|end|>"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary() | st.sampled_from([b"[]", b"{}", b'{"kind": 3}', b'{"kind": "characters"}', b'{"kind": "words", "words": [1]}'])
)
def test_a_file_of_other_content_is_a_clear_error(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json holds no usable tokenizer: "):
        Tokenizer.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "characters", "characters": "aa"}, "characters must be different, 'a' occurs more than once"),
        ({"kind": "characters", "characters": 3}, r"has the fields characters \(str\); got \['characters'\]"),
        ({"kind": "characters", "characters": "a", "more": 1}, r"characters \(str\); got \['characters', 'more'\]"),
        ({"kind": "letters", "letters": "abc"}, r"has the fields nothing more; got \['letters'\]"),
        ({"kind": "words", "words": "abc"}, r"has the fields words \(list\); got \['words'\]"),
        ({"kind": "words", "words": ["<unk>", 1]}, "words must be strings"),
        ({"kind": "words", "words": ["a", "b"]}, r"words must begin with the unknown token '<unk>', got \['a'\]"),
        ({"kind": "bpe", "tokenizer": {}}, "no tokenizer.json: "),
        ({"model": {"type": "BPE"}}, "no tokenizer.json: "),
        ({"kind": "pickle"}, "not a tokenizer: its kind must be one of bpe, characters, letters, words; got 'pickle'"),
        ({"kind": "pickle", "model": {}}, "not a tokenizer: its kind must be one of .*; got 'pickle'"),
        (["model"], "not a tokenizer: its kind must be one of .*; got None"),
    ],
)
def test_a_tokenizer_with_wrong_options_is_a_clear_error(tmp_path, content, message):
    if message.startswith("no tokenizer.json"):
        pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"tokenizer\.json holds no usable tokenizer: .*{message}"):
        Tokenizer.load(path)


@pytest.mark.parametrize("options", [[], None, {}, {"kind": "words"}])
def test_options_of_no_kind_or_another_are_a_clear_error(options):
    with pytest.raises(ValueError, match=r"^not a tokenizer of kind 'characters': got (None|'words')$"):
        CharTokenizer.from_dict(options)


CHANGED = "it was changed after it was written, or is damaged: its content does not have its SHA-256"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("b", "d", CHANGED),
        ("characters", "letterss", CHANGED),
        ('"sha256"', '"sha255"', r"a tokenizer of kind 'characters' has the fields"),
    ],
)
def test_a_tokenizers_file_that_was_changed_is_refused(tmp_path, before, after, message):
    """A letter that became another makes a tokenizer too, and other ids for every text."""
    path = tmp_path / "tokenizer.json"
    CharTokenizer("abc").save(path)
    content = path.read_text()
    path.write_text(content.replace(before, after, 1))
    with pytest.raises(ValueError, match=rf"tokenizer\.json holds no usable tokenizer: {message}"):
        Tokenizer.load(path)
    path.write_text('{"kind": "characters", "characters": "abd"}')  # by hand, or an older version's: no hash
    assert Tokenizer.load(path) == CharTokenizer("abd")


def test_byte_pairs_with_two_tokens_of_one_id_are_refused(bpe, tmp_path):
    """An id would then stand for the one or the other, by chance."""
    options = bpe.to_dict()
    options["tokenizer"]["model"]["vocab"]["a"] = options["tokenizer"]["model"]["vocab"]["b"]
    with pytest.raises(ValueError, match="the tokenizer has two tokens of one id"):
        Tokenizer.from_dict(options)


def test_files_that_cannot_be_read_or_written_are_os_errors(tokenizer, tmp_path):
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "nothing.json")
    with pytest.raises(FileNotFoundError):
        tokenizer.save(tmp_path / "nowhere" / "tokenizer.json")


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[bpe\]'"):
        BPETokenizer.from_text(TEXT)
