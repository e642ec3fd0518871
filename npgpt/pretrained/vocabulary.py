"""The tokenizer of a folder: a tokenizer.json, or the two files that GPT-2 came with, vocab.json and merges.txt. Either way
byte pairs (text/byte_pairs.py)."""

from os import PathLike
from pathlib import Path

from ..text import BPETokenizer, Tokenizer
from ..text.byte_pairs import library
from . import gguf
from .folders import checked_folder, file_in, has_file, read_json

TOKENIZER, VOCAB, MERGES = "tokenizer.json", "vocab.json", "merges.txt"
OPTIONS, ADDED = "tokenizer_config.json", "added_tokens.json"
END = "<|endoftext|>"  # GPT-2's and Mamba's mark between two texts


def pretrained_tokenizer(path: str | PathLike) -> BPETokenizer:
    """The tokenizer of a folder or of a .gguf file. Its vocab_size is that of the model there: published ones may have rows for
    more tokens than there are, and such an id has no text.

    A special token in a text becomes its one id, as transformers reads it. Raises ImportError where Hugging Face's tokenizers
    is not installed; FileNotFoundError where the folder has none of the files; ValueError naming the file that is damaged, or
    where there are more tokens than the model has rows.
    """
    if gguf.is_gguf(path):
        return gguf.tokenizer_of(gguf.read_file(path))
    folder = checked_folder(path)
    if has_file(folder, TOKENIZER):
        tokenizer = BPETokenizer.load(file_in(folder, TOKENIZER))
    elif has_file(folder, VOCAB) or has_file(folder, MERGES):
        tokenizer = from_vocab_and_merges(folder)
    else:
        raise FileNotFoundError(f"{folder} holds no tokenizer: neither {TOKENIZER} nor {VOCAB} with {MERGES}")
    rows = read_json(folder, "config.json").get("vocab_size") if has_file(folder, "config.json") else None
    try:
        return tokenizer if rows is None else BPETokenizer(tokenizer.tokenizer, rows)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder}: {error}") from None


def from_vocab_and_merges(folder: Path) -> BPETokenizer:
    """The tokenizer of the two files, with GPT-2's way of cutting a text. Tokens beyond vocab.json's are refused."""
    hf = library()
    vocab, merges = file_in(folder, VOCAB), file_in(folder, MERGES)
    options = read_json(folder, OPTIONS) if has_file(folder, OPTIONS) else {}
    added = read_json(folder, ADDED) if has_file(folder, ADDED) else {}
    try:
        tokenizer = hf.Tokenizer(hf.models.BPE.from_file(str(vocab), str(merges)))
        added |= {token["content"]: int(id) for id, token in options.get("added_tokens_decoder", {}).items()}
    except Exception as error:  # the library raises nothing more specific
        raise ValueError(f"{folder}: {VOCAB}, {MERGES} and {OPTIONS} hold no usable tokenizer: {error!r}") from None
    tokenizer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=options.get("add_prefix_space") is True)
    tokenizer.decoder = hf.decoders.ByteLevel()
    for token, id in added.items():
        if tokenizer.token_to_id(token) != id:
            raise ValueError(
                f"{folder} adds the token {token!r}, {id}, to {VOCAB}'s: such a one is read from {TOKENIZER} alone"
            )
    tokenizer.add_special_tokens([token for token in {END: None} | added if tokenizer.token_to_id(token) is not None])
    try:
        return BPETokenizer(tokenizer)
    except ValueError as error:
        raise ValueError(f"{vocab}: {error}") from None


def end_of_text(tokenizer: Tokenizer | None) -> int | None:
    """The id of the mark between two texts; None where the tokenizer has none, or there is no tokenizer."""
    return tokenizer.tokenizer.token_to_id(END) if isinstance(tokenizer, BPETokenizer) else None


def check_writable(tokenizer: Tokenizer | None) -> None:
    """Raises ValueError where a tokenizer has no tokenizer.json."""
    if tokenizer is not None and not isinstance(tokenizer, BPETokenizer):
        raise ValueError(f"a tokenizer of kind {tokenizer.kind!r} cannot be written as {TOKENIZER}, only byte pairs ('bpe')")


def save_vocabulary(tokenizer: BPETokenizer, folder: Path) -> None:
    """Writes the folder's tokenizer.json."""
    tokenizer.save_tokenizer_json(folder / TOKENIZER)
