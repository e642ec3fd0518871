"""The letter tokenizer: one token a letter, the 29 letters of the Turkish alphabet, space, full stop and comma.

Upper-case letters are read as their lower-case ones, in the Turkish way: I -> ı and İ -> i (Python's own lower() gives i for I,
and two characters for İ).
"""

import unicodedata
from collections.abc import Iterable

from .tokenizer import Tokenizer, check_errors, checked_token_ids

letters = "abcçdefgğhıijklmnoöprsştuüvyz .,"  # the id of a letter is its place in here
IDS = {letter: i for i, letter in enumerate(letters)}
REPLACEMENT = " "  # what errors="replace" puts in the place of a character outside the alphabet


def turkish_lower(text: str) -> str:
    """text in lower case by Turkish rules, with composed characters (NFC), so that a decomposed İ or ş is one letter too."""
    return unicodedata.normalize("NFC", text).replace("I", "ı").replace("İ", "i").lower()


def tokenize(text: str, errors: str = "strict") -> list[int]:
    """The ids of the text's letters; "ali ata bak." -> [0, 14, 11, 29, 0, 23, 0, 29, 1, 0, 13, 30].

    errors : what to do with a character outside the alphabet, as in Python's codecs: "strict" raises ValueError naming the
        character, its position (counted from 0, in the NFC form) and the alphabet; "ignore" leaves it out; "replace" puts a
        space in its place.
    """
    check_errors(errors)
    ids = []
    for position, character in enumerate(turkish_lower(text)):
        if character in IDS:
            ids.append(IDS[character])
        elif errors == "replace":
            ids.append(IDS[REPLACEMENT])
        elif errors == "strict":
            raise ValueError(
                f"character {character!r} at position {position} is not among the {len(letters)} letters {letters!r}"
            )
    return ids


def detokenize(ids: Iterable[int]) -> str:
    """The text of the ids (a sequence of integers, an array or a tensor (T,)). Raises ValueError for an id without a letter."""
    return "".join(letters[token] for token in checked_token_ids(ids, len(letters)))


class LetterTokenizer(Tokenizer):
    """tokenize and detokenize as an object, for code that is given a tokenizer."""

    kind = "letters"
    vocab_size = len(letters)

    def encode(self, text: str, errors: str = "strict") -> list[int]:
        """See `tokenize`."""
        return tokenize(text, errors)

    def decode(self, ids: Iterable[int]) -> str:
        """See `detokenize`."""
        return detokenize(ids)

    def to_dict(self) -> dict:
        """Nothing but the kind: the letters are always the same."""
        return {"kind": self.kind}

    @classmethod
    def from_dict(cls, options: dict) -> "LetterTokenizer":
        """The inverse of to_dict."""
        cls._check(options, {})
        return cls()
