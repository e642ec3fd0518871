"""The character tokenizer: one token for each character that occurs in a text. Capitals, line breaks and signs are kept."""

from collections.abc import Iterable

from .tokenizer import Tokenizer, check_errors, checked_token_ids

UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # Unicode's own sign for "a character that could not be shown"


class CharTokenizer(Tokenizer):
    """One token a character.

    characters : the characters in the order of their ids, each once. Where U+FFFD is among them, it is the unknown token, and
        encode(..., errors="replace") can be used.
    """

    kind = "characters"

    def __init__(self, characters: str):
        if not isinstance(characters, str):
            raise TypeError(f"characters must be a string, got {type(characters).__name__}")
        if not characters:
            raise ValueError("characters must hold at least one character")
        self.ids = {character: i for i, character in enumerate(characters)}
        if len(self.ids) != len(characters):
            twice = next(character for character in characters if characters.count(character) > 1)
            raise ValueError(f"characters must be different, {twice!r} occurs more than once")
        self.characters, self.vocab_size = characters, len(characters)

    @classmethod
    def from_text(cls, text: str | Iterable[str], unknown: bool = False) -> "CharTokenizer":
        """The characters found in a text (or in pieces of one), in Unicode's order; with `unknown`, U+FFFD among them."""
        found = set(UNKNOWN) if unknown else set()
        for piece in text:  # of a string each character
            found.update(piece)
        if not found:
            raise ValueError("the text holds no character to make a tokenizer of")
        return cls("".join(sorted(found)))

    def encode(self, text: str, errors: str = "strict") -> list[int]:
        """See `Tokenizer`; the position in the error counts characters from 0."""
        check_errors(errors)
        if errors == "replace" and UNKNOWN not in self.ids:
            raise ValueError("errors='replace' needs an unknown token: make the tokenizer with unknown=True")
        try:
            return [self.ids[character] for character in text]
        except KeyError as error:
            if errors == "strict":
                character = error.args[0]
                raise ValueError(
                    f"character {character!r} at position {text.index(character)} is not among the tokenizer's "
                    f"{self.vocab_size} characters"
                ) from None
        if errors == "ignore":
            return [self.ids[character] for character in text if character in self.ids]
        return [self.ids.get(character, self.ids[UNKNOWN]) for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. Raises ValueError for an id without a character."""
        return "".join(self.characters[token] for token in checked_token_ids(ids, self.vocab_size))

    def to_dict(self) -> dict:
        """kind and characters."""
        return {"kind": self.kind, "characters": self.characters}

    @classmethod
    def from_dict(cls, options: dict) -> "CharTokenizer":
        """The inverse of to_dict. Raises ValueError for other options."""
        cls._check(options, {"characters": str})
        return cls(options["characters"])
