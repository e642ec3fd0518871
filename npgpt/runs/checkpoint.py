"""Checkpoints: one safetensors file with the weights and, for a run that is to go on, all else that it needs. Either backend
reads what either has written.

The file's metadata has one entry, `npgpt`, a JSON object: the format's version, the model's kind and config, the tokenizer, the
step, whatever the run adds (its options, the states of its generators), and a SHA-256 of everything in the file. Loading runs
no code.

How it is written and checked stands in documents.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike

from numpy import ndarray as Array

from ..models import KINDS, layout_of, make_model
from ..models.base import LanguageModel
from ..models.config import Config
from ..models.layout import taken_from
from ..text import Tokenizer
from ..types import Model, Optimizer
from .documents import read_document, write_document

KEY = "npgpt"  # the metadata's one entry
VERSION = 3
READABLE = (2, 3)  # version 2 had no kind: every model was a GPT
M, V = "optimizer.m.", "optimizer.v."  # before a parameter's name: its two moments


@dataclass
class Checkpoint:
    """What a checkpoint holds, as arrays and plain values.

    weights : the state_dict. moments : name -> (m, v) of every parameter; empty where no optimiser was saved.
    step : how many training steps were made. run : whatever a run adds to go on, ready for JSON.
    tokenizer_options : `Tokenizer.to_dict()`, or None; `tokenizer()` makes the tokenizer.
    """

    weights: dict[str, Array]
    config: Config
    moments: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    step: int = 0
    run: dict = field(default_factory=dict)
    tokenizer_options: dict | None = None

    def tokenizer(self) -> Tokenizer:
        """Raises ValueError where there is none, or where it is not this model's."""
        if self.tokenizer_options is None:
            raise ValueError("the checkpoint holds no tokenizer")
        tokenizer = Tokenizer.from_dict(self.tokenizer_options)
        check_tokenizer(tokenizer, self.config)
        return tokenizer


def check_tokenizer(tokenizer: Tokenizer, config: Config) -> None:
    """Raises ValueError where the tokenizer and the model do not have the same number of tokens."""
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(
            f"the tokenizer ({tokenizer.kind}) has {tokenizer.vocab_size} tokens, the model's vocab_size is {config.vocab_size}"
        )


def save_checkpoint(
    model: LanguageModel,
    path: str | PathLike,
    *,
    tokenizer: Tokenizer | None = None,
    optimizer: Optimizer | None = None,
    run: Mapping | None = None,
) -> None:
    """Writes the model's weights and config, and what else is given: enough to go on where it stands.

    tokenizer : the one that the model was trained with. optimizer : the model's AdamW: its moments and steps are saved.
    run : anything that JSON can hold, such as the state of the generator of the batches.
    The file appears whole or not at all. Raises OSError where it cannot; ValueError where the tokenizer is not the model's.
    """
    weights = model.state_dict()
    write_checkpoint(path, pack(weights, model, tokenizer, optimizer, run))


def pack(
    weights: dict[str, Array],
    model: Model,
    tokenizer: Tokenizer | None,
    optimizer: Optimizer | None,
    run: Mapping | None,
) -> Checkpoint:
    """The parts of a run of either backend, put together."""
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.config)
    return Checkpoint(
        weights,
        model.config,
        moments={} if optimizer is None else optimizer.get_moments(model.named_parameters()),
        step=0 if optimizer is None else optimizer.steps,
        run=dict(run or {}),
        tokenizer_options=None if tokenizer is None else tokenizer.to_dict(),
    )


def load_checkpoint(
    path: str | PathLike, device: str = "cpu", *, config: Config | None = None, dtype: str = "float32"
) -> LanguageModel:
    """The model of a checkpoint. (`read_checkpoint` gives all that it holds.)

    config : what the checkpoint must have been made with; None takes whatever it says.
    Raises FileNotFoundError; ValueError where the file is truncated or changed, no checkpoint of this project, one of a newer
    version, or of another config.
    """
    checkpoint = read_checkpoint(path, config)
    weights = taken_from(checkpoint.weights, layout_of(checkpoint.config))
    return make_model(checkpoint.config, device, dtype=dtype, weights=weights)


def write_checkpoint(path: str | PathLike, checkpoint: Checkpoint) -> None:
    """The file format's one writer, for both backends."""
    tensors = dict(checkpoint.weights)
    for name, (m, v) in checkpoint.moments.items():
        tensors[M + name], tensors[V + name] = m, v
    document = {
        "version": VERSION,
        "kind": checkpoint.config.kind,
        "config": checkpoint.config.to_dict(),
        "tokenizer": checkpoint.tokenizer_options,
        "step": checkpoint.step,
        "run": checkpoint.run,
    }
    write_document(path, KEY, document, tensors)


def read_checkpoint(path: str | PathLike, config: Config | None = None) -> Checkpoint:
    """The file format's one reader: everything a checkpoint holds, checked. Raises what load_checkpoint raises."""
    document, tensors = read_document(path, KEY, READABLE, "checkpoint")
    try:
        checkpoint = unpack(document, tensors)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} has unusable contents: {error!r}") from None
    if config is not None and checkpoint.config != config:
        raise ValueError(f"{path} is of another config: " + differences(checkpoint.config, config))
    return checkpoint


def unpack(document: dict, tensors: dict[str, Array]) -> Checkpoint:
    weights = {name: array for name, array in tensors.items() if not name.startswith((M, V))}
    moments = {name[len(M) :]: (m, tensors[V + name[len(M) :]]) for name, m in tensors.items() if name.startswith(M)}
    config = config_of(document.get("kind", "gpt"), document["config"])
    return Checkpoint(weights, config, moments, document["step"], document["run"], document["tokenizer"])


def config_of(kind: str, options: dict) -> Config:
    """The config of a kind and its options, as they come out of JSON. Raises ValueError where they are none."""
    if kind not in KINDS:
        raise ValueError(f"the model's kind must be one of {', '.join(KINDS)}; got {kind!r}")
    return KINDS[kind].config_class.from_dict(options)


def differences(theirs: Config, ours: Config) -> str:
    """What the file's config has, and what was expected."""
    if theirs.kind != ours.kind:
        return f"kind is {theirs.kind!r}, not {ours.kind!r}"
    pairs = zip(theirs.to_dict().items(), ours.to_dict().values(), strict=True)
    return ", ".join(f"{name} is {value!r}, not {expected!r}" for (name, value), expected in pairs if value != expected)
