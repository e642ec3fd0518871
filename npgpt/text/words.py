"""The word tokenizer: one token a word, with the space before it; the article's next step after letters.

A text is cut so that nothing is lost: a word with the space before it (" ata"), signs with the space before them ("."), and any
other white space on its own. The pieces put together are the text again, so decoding undoes encoding wherever every piece is
known. A piece that is not in the vocabulary can only become the unknown token: this is the price of whole words, and the reason
for byte pairs (byte_pairs.py).
"""

import re
from collections import Counter
from collections.abc import Iterable

from .tokenizer import Tokenizer, check_errors, checked_token_ids

UNKNOWN = "<unk>"  # its id is 0. The pattern below cuts "<unk>" in a text into three pieces, so no text holds it as one
PIECE = re.compile(r" ?\w+| ?[^\w\s]+|\s")


class WordTokenizer(Tokenizer):
    """One token a word.

    words : the pieces in the order of their ids, the unknown token "<unk>" first.
    """

    kind = "words"

    def __init__(self, words: Iterable[str]):
        self.words = list(words)
        if not all(isinstance(word, str) for word in self.words):
            raise TypeError("words must be strings")
        if self.words[:1] != [UNKNOWN]:
            raise ValueError(f"words must begin with the unknown token {UNKNOWN!r}, got {self.words[:1]}")
        self.ids = {word: i for i, word in enumerate(self.words)}
        if len(self.ids) != len(self.words):
            raise ValueError(f"words must be different, {Counter(self.words).most_common()[0][0]!r} occurs more than once")
        self.vocab_size = len(self.words)

    @classmethod
    def from_text(cls, text: str | Iterable[str], max_words: int | None = None) -> "WordTokenizer":
        """The words of a text (or of pieces of one), the most frequent first; at most max_words of them."""
        if max_words is not None and max_words < 1:
            raise ValueError(f"max_words must be at least 1, got {max_words}")
        counts: Counter[str] = Counter()
        for piece in [text] if isinstance(text, str) else text:
            counts.update(PIECE.findall(piece))
        if not counts:
            raise ValueError("the text holds no word to make a tokenizer of")
        return cls([UNKNOWN, *sorted(counts, key=lambda word: (-counts[word], word))[:max_words]])

    def encode(self, text: str, errors: str = "strict") -> list[int]:
        """See `Tokenizer`; the position in the error counts characters from 0."""
        check_errors(errors)
        pieces = PIECE.findall(text)
        if errors == "ignore":
            return [self.ids[piece] for piece in pieces if piece in self.ids]
        if errors == "strict":
            position = 0
            for piece in pieces:
                if piece not in self.ids:
                    raise ValueError(f"word {piece!r} at position {position} is not among the {self.vocab_size - 1} words")
                position += len(piece)
        return [self.ids.get(piece, 0) for piece in pieces]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, with "<unk>" for the unknown token. Raises ValueError for an id without a word."""
        return "".join(self.words[token] for token in checked_token_ids(ids, self.vocab_size))

    def to_dict(self) -> dict:
        """kind and words."""
        return {"kind": self.kind, "words": self.words}

    @classmethod
    def from_dict(cls, options: dict) -> "WordTokenizer":
        """The inverse of to_dict. Raises ValueError for other options."""
        cls._check(options, {"words": list})
        try:
            return cls(options["words"])
        except TypeError as error:
            raise ValueError(str(error)) from None
