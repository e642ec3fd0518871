"""Tokenizers: text to ids and back, behind one interface (`base.py`). One kind a file, from the smallest pieces to the largest:
letters, characters, byte pairs, words."""

from .byte_pairs import BPETokenizer
from .characters import CharTokenizer
from .letters import LetterTokenizer, detokenize, letters, tokenize
from .tokenizer import Tokenizer
from .words import WordTokenizer

__all__ = [
    "BPETokenizer",
    "CharTokenizer",
    "LetterTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "detokenize",
    "letters",
    "tokenize",
]
