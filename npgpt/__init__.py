"""npgpt: language models in plain NumPy, with every backward pass derived and written by hand.

The book: `ops/` (the operations, each with its derivation), layers.py, `models/` (base.py, then a kind a file), optim.py,
training.py, generation.py, sampling.py, influence.py (where does a model look?). The workshop around it: `text/` (tokenizers,
files to batches), `runs/` (checkpoints, runs that stop and go on), `pretrained/` (published models, in and out), `machine/`
(threads, processes, memory), `check/` (is your backward right?), `pictures/`, `inspector/` (a training run, in one page).

`torchgpt` has the same models in PyTorch under the same names; `parity_tests` proves the two equal.
"""

from typing import Any

from .backends import backend
from .generation import generate
from .machine.device import pick_device
from .machine.threads import get_num_threads, set_num_threads
from .models import make_model
from .models.gpt import GPTConfig, GPTModel, get_position_encoding
from .models.llama import LlamaConfig, LlamaModel
from .models.lstm import LSTMConfig, LSTMModel
from .models.mamba import MambaConfig, MambaModel
from .optim import AdamW, clip_grad_norm, parameter_groups
from .pretrained import load_pretrained, pretrained_tokenizer, save_pretrained
from .runs.checkpoint import Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from .text import BPETokenizer, CharTokenizer, LetterTokenizer, Tokenizer, WordTokenizer, detokenize, letters, tokenize
from .text.data import RandomWindows, encode_file, random_batches, read_text, read_tokens, sliding_windows, split_tokens
from .training import TrainingDiverged, cosine_schedule, evaluate, train

__all__ = [
    "AdamW",
    "BPETokenizer",
    "CharTokenizer",
    "Checkpoint",
    "GPTConfig",
    "GPTModel",
    "LSTMConfig",
    "LSTMModel",
    "LetterTokenizer",
    "LlamaConfig",
    "LlamaModel",
    "MambaConfig",
    "MambaModel",
    "RandomWindows",
    "Tokenizer",
    "TrainingDiverged",
    "WordTokenizer",
    "backend",
    "check_backward",
    "check_layer",
    "check_pairs",
    "clip_grad_norm",
    "cosine_schedule",
    "detokenize",
    "encode_file",
    "evaluate",
    "generate",
    "get_num_threads",
    "get_position_encoding",
    "letters",
    "load_checkpoint",
    "load_pretrained",
    "make_model",
    "parameter_groups",
    "pick_device",
    "pretrained_tokenizer",
    "random_batches",
    "read_checkpoint",
    "read_text",
    "read_tokens",
    "save_checkpoint",
    "save_pretrained",
    "set_num_threads",
    "sliding_windows",
    "split_tokens",
    "tokenize",
    "train",
]


def __getattr__(name: str) -> Any:
    """The grader on first use: it needs modules that `import npgpt` should not have to pay for."""
    if name in ("check_backward", "check_layer", "check_pairs"):
        from . import check

        return getattr(check, name)
    raise AttributeError(f"module 'npgpt' has no attribute {name!r}")
