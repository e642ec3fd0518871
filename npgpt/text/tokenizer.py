"""What every tokenizer can do: encode, decode, vocab_size, save, load; and go into a checkpoint as JSON.

Files are JSON and nothing else: loading one never runs code. They hold a SHA-256 of the rest, which tells a damaged file.
"""

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import ClassVar, Self

ERRORS = ("strict", "ignore", "replace")


class Tokenizer:
    """The interface of all tokenizers.

    encode(text, errors="strict") -> list of ids in 0..vocab_size - 1. `errors` says what becomes of text that the tokenizer
        does not know: "strict" raises ValueError naming it and its position, "ignore" leaves it out, "replace" puts the
        tokenizer's unknown token in its place.
    decode(ids) -> the text. It undoes encode exactly wherever nothing was left out or replaced (and, for the letters, where
        the text was in lower case). Takes a sequence of integers, an array or a tensor (T,).
    to_dict() -> its options, ready for JSON; from_dict(options) is the inverse.
    """

    kind: ClassVar[str]  # how files and checkpoints name the class
    vocab_size: int

    def encode(self, text: str, errors: str = "strict") -> list[int]:
        raise NotImplementedError

    def decode(self, ids: Iterable[int]) -> str:
        raise NotImplementedError

    def to_dict(self) -> dict:
        raise NotImplementedError

    @classmethod
    def from_dict(cls, options: dict) -> Self:
        """The tokenizer of those options, of whatever kind they say. Raises ValueError where they are of no known kind."""
        kinds = {kind.kind: kind for kind in cls.__subclasses__()}
        name = options.get("kind") if isinstance(options, dict) else None
        if name not in kinds:
            raise ValueError(f"not a tokenizer: its kind must be one of {', '.join(sorted(kinds))}; got {name!r}")
        return kinds[name].from_dict(options)

    @classmethod
    def _check(cls, options: dict, fields: Mapping[str, type]) -> None:
        """Raises ValueError unless the options are of this kind and have exactly these fields, each of its type."""
        kind = options.get("kind") if isinstance(options, dict) else None
        if kind != cls.kind:
            raise ValueError(f"not a tokenizer of kind {cls.kind!r}: got {kind!r}")
        if set(options) != {"kind", *fields} or not all(isinstance(options[name], type_) for name, type_ in fields.items()):
            expected = ", ".join(f"{name} ({type_.__name__})" for name, type_ in fields.items()) or "nothing more"
            raise ValueError(
                f"a tokenizer of kind {cls.kind!r} has the fields {expected}; got {sorted(set(options) - {'kind'})}"
            )

    def fingerprint(self) -> str:
        """SHA-256 of the options: two tokenizers with the same one give the same ids."""
        return digest(self.to_dict())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def save(self, path: str | PathLike) -> None:
        """Writes the tokenizer as a JSON file, whole or not at all. Raises OSError where it cannot."""
        import json

        from ..runs.files import write_atomically

        options = self.to_dict()
        write_atomically(path, json.dumps(options | {"sha256": digest(options)}, sort_keys=True).encode())

    @classmethod
    def load(cls, path: str | PathLike) -> Self:
        """The tokenizer of a file. `Tokenizer.load` takes any kind, a subclass its own. A `tokenizer.json` of Hugging Face's
        tokenizers is taken too, as a BPETokenizer, and so is a file without a hash, which nothing protects.

        Raises FileNotFoundError (or another OSError), and ValueError naming the file where it holds no such tokenizer, or was
        changed after it was written.
        """
        import json

        with open(path, "rb") as file:
            content = file.read()
        try:
            options = json.loads(content.decode())
            if isinstance(options, dict) and "kind" not in options and "model" in options:
                options = {"kind": "bpe", "tokenizer": options}
            elif isinstance(options, dict) and "sha256" in options and options.pop("sha256") != digest(options):
                raise ValueError("it was changed after it was written, or is damaged: its content does not have its SHA-256")
            return cls.from_dict(options)
        except (ValueError, RecursionError) as error:  # no UTF-8 and no JSON are ValueErrors too
            raise ValueError(f"{path} holds no usable tokenizer: {error}") from None


def digest(options: dict) -> str:
    """SHA-256 of a tokenizer's options, as JSON."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()


def check_errors(errors: str) -> None:
    """Raises ValueError for an `errors` that encode does not have."""
    if errors not in ERRORS:
        raise ValueError(f"errors must be one of {', '.join(ERRORS)}; got {errors!r}")


def checked_token_ids(ids: Iterable[int], vocab_size: int) -> list[int]:
    """ids (a sequence of integers, an array or a tensor (T,)) as a list. Raises ValueError for an id without a token."""
    ids = [id.item() if hasattr(id, "item") else id for id in (ids.tolist() if hasattr(ids, "tolist") else ids)]
    for position, token in enumerate(ids):
        if not (isinstance(token, int) and 0 <= token < vocab_size):
            raise ValueError(f"id {token!r} at position {position} is not an integer in 0..{vocab_size - 1}")
    return ids
