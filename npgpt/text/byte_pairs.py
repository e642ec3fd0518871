"""Byte-pair encoding: frequent words become one token, rare ones several, and no text is unknown.

It starts from the 256 bytes, counts which two neighbouring tokens occur together most often, makes a token of that pair, and
counts again. Every Unicode text is bytes, so every text can be encoded, and decoding gives it back exactly. (One character may
be several tokens: a cut in its middle decodes to U+FFFD.) Hugging Face's `tokenizers` does the counting, splitting and merging;
here it only gets this project's interface.

Sources: Sennrich, Haddow, Birch 2016, arXiv:1508.07909; bytes as the start: Radford et al. 2019, section 2.2.
"""

from collections.abc import Iterable
from os import PathLike
from types import ModuleType
from typing import Any

from .tokenizer import Tokenizer, check_errors, checked_token_ids


def library() -> ModuleType:
    """Hugging Face's `tokenizers`. Raises ImportError with the command that installs it."""
    try:
        import tokenizers
    except ImportError:
        raise ImportError("the BPE tokenizer needs Hugging Face's tokenizers: pip install -e '.[bpe]'") from None
    return tokenizers


class BPETokenizer(Tokenizer):
    """Byte pairs.

    tokenizer : a `tokenizers.Tokenizer`. One that `from_text` has trained works on bytes and can encode anything. One that
        comes from a `tokenizer.json` does what its file says: it may normalise the text, or have an unknown token.
    vocab_size : of a model that has rows for more tokens than there are, as published ones may have; None: as many as there
        are. The ids between the two have no text.

    Raises ValueError where there is no token, or more than vocab_size, or two of one id.
    """

    kind = "bpe"

    def __init__(self, tokenizer: Any, vocab_size: int | None = None):
        tokenizer.no_truncation()  # a tokenizer.json may ask for both; a text is wanted whole
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        ids = tokenizer.get_vocab(with_added_tokens=True).values()
        tokens = 1 + max(ids, default=-1)
        if tokens == 0:
            raise ValueError("the tokenizer has no tokens")
        if len(set(ids)) < len(ids):
            raise ValueError("the tokenizer has two tokens of one id")
        self.vocab_size = tokens if vocab_size is None else vocab_size
        self.padded = self.vocab_size > tokens
        if self.vocab_size < tokens:
            raise ValueError(f"the tokenizer has {tokens} tokens, more than the vocab_size of {vocab_size}")

    @classmethod
    def from_text(cls, text: str | Iterable[str], vocab_size: int = 512) -> "BPETokenizer":
        """Learns pairs from a text (or from pieces of one) until there are vocab_size tokens, or no pair occurs twice."""
        if vocab_size < 256:
            raise ValueError(f"vocab_size must be at least 256, the number of bytes; got {vocab_size}")
        hf = library()
        tokenizer = hf.Tokenizer(hf.models.BPE())
        tokenizer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = hf.decoders.ByteLevel()
        trainer = hf.trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            initial_alphabet=sorted(hf.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator([text] if isinstance(text, str) else text, trainer)
        return cls(tokenizer)

    def encode(self, text: str, errors: str = "strict") -> list[int]:
        """The ids of any text. Only a lone surrogate, which is no Unicode character, is an error, or ignored, or replaced."""
        check_errors(errors)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if errors == "strict":
                character, position = text[error.start], error.start
                raise ValueError(f"character {character!r} at position {position} is half a surrogate pair") from None
            text = text.encode(errors="ignore" if errors == "ignore" else "replace").decode()
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. Raises ValueError for an id without a token."""
        return self.tokenizer.decode(checked_token_ids(ids, self.vocab_size), skip_special_tokens=False)

    def to_dict(self) -> dict:
        """kind, the content of the `tokenizer.json`, and vocab_size where there are fewer tokens."""
        import json

        options = {"kind": self.kind, "tokenizer": json.loads(self.tokenizer.to_str())}
        return options | ({"vocab_size": self.vocab_size} if self.padded else {})

    @classmethod
    def from_dict(cls, options: dict) -> "BPETokenizer":
        """The inverse of to_dict. Raises ValueError where Hugging Face's library does not take the tokenizer."""
        import json

        fields: dict[str, type] = {"tokenizer": dict} | ({"vocab_size": int} if "vocab_size" in options else {})
        cls._check(options, fields)
        tokenizers = library()
        try:
            tokenizer = tokenizers.Tokenizer.from_str(json.dumps(options["tokenizer"]))
        except Exception as error:  # the library raises nothing more specific
            raise ValueError(f"no tokenizer.json: {error}") from None
        return cls(tokenizer, options.get("vocab_size"))

    def save_tokenizer_json(self, path: str | PathLike) -> None:
        """Writes the file in Hugging Face's own format, for other programs; `load` reads it too."""
        from ..runs.files import write_atomically

        write_atomically(path, self.tokenizer.to_str(pretty=True).encode())
