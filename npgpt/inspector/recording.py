"""Recording: what a recorder kept of a training run, as plain arrays; and its file.

"Step s" is the model after s updates: 0 is the initial model, and the gradient and the update that belong to s are those of
update s + 1, which starts from there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy import ndarray as Array

from ..models import layout_of
from ..models.config import Config
from ..runs.checkpoint import config_of
from ..runs.documents import read_document, write_document

KEY, VERSION = "npgpt-recording", 1  # of the file's metadata
PLAIN = ("name", "backend", "dtype", "seed", "tokens", "prompt", "writes")  # fields that JSON holds as they are
ARRAYS = ("ids", "targets", "losses", "steps", "probe_loss", "digits", "norm", "rate")  # fields that are one array
GROUPS = ("weights", "batch_gradients", "updates", "probe_gradients", "values", "gradients")  # fields of name -> array


@dataclass
class Recording:
    """A recorded run of n training steps, looked at S times.

    name, backend ("numpy" or "torch"), dtype, seed, config : which run it is; the seed may be None.
    tokens : V strings, the vocabulary. counts (V,) : how often each stands in the training text; None where that is not known.
    floors : n -> the entropy of a token of the training text given the n - 1 before it, in nats; empty where not known.
    ids, targets (T,) : the probe, one text at which the model is looked at each time.
    losses (n,) : of training steps 1..n; nan for those before the recorder came along.
    steps (S,) : how many updates had been made each time, rising.
    probe_loss, digits, norm, rate (S,) : the loss on the probe; to how many digits the probe's gradient agrees with the complex
        step (agreement.py); of update s + 1 the gradient's norm before clipping, and the learning rate.
    prompt, writes : S texts, what the model wrote after the prompt.
    weights : name -> (S, ...), the state_dict. batch_gradients, updates, probe_gradients : of the same names and shapes: the
        gradient of the batch as it enters AdamW (after clipping), the weights after the update minus those before, and the
        gradient on the probe. nan for buffers, and (not on the probe) where no update came after.
    values, gradients : traced name -> (S, ...), without the batch's axis: a (1, T, C) array is kept as (T, C).
    """

    name: str
    backend: str
    dtype: str
    seed: int | None
    config: Config
    tokens: list[str]
    counts: Array | None
    floors: dict[int, float]
    ids: Array
    targets: Array
    losses: Array
    steps: Array
    probe_loss: Array
    digits: Array
    norm: Array
    rate: Array
    prompt: str
    writes: list[str]
    weights: dict[str, Array]
    batch_gradients: dict[str, Array]
    updates: dict[str, Array]
    probe_gradients: dict[str, Array]
    values: dict[str, Array]
    gradients: dict[str, Array]

    @property
    def trained(self) -> list[str]:
        """The names of the trained weights; the others are buffers."""
        return [name for name, entry in layout_of(self.config).items() if entry.trained]

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(math.prod(self.weights[name].shape[1:]) for name in self.trained)

    def save(self, path: str | PathLike) -> None:
        """Writes the recording, whole or not at all. Raises OSError where it cannot."""
        document = {name: getattr(self, name) for name in PLAIN}
        document |= {"version": VERSION, "kind": self.config.kind, "config": self.config.to_dict()}
        document |= {"floors": {str(n): floor for n, floor in self.floors.items()}}
        tensors = {name: getattr(self, name) for name in ARRAYS}
        if self.counts is not None:
            tensors["counts"] = self.counts
        for group in GROUPS:
            tensors |= {f"{group}/{name}": array for name, array in getattr(self, group).items()}
        # safetensors gives arrays back in an order of its own, and the order is that of computation
        document |= {"names": {group: list(getattr(self, group)) for group in GROUPS}}
        write_document(path, KEY, document, tensors)


def read_recording(path: str | PathLike) -> Recording:
    """The recording of a file.

    Raises FileNotFoundError; ValueError naming the file where it is truncated or changed, no recording, or of another version.
    """
    document, tensors = read_document(path, KEY, (VERSION,), "recording")
    try:
        return unpack(document, tensors)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} has unusable contents: {error!r}") from None


def unpack(document: Mapping, tensors: Mapping[str, Array]) -> Recording:
    fields: dict[str, Any] = {name: document[name] for name in PLAIN}
    fields |= {name: tensors[name] for name in ARRAYS}
    fields |= {group: {name: tensors[f"{group}/{name}"] for name in document["names"][group]} for group in GROUPS}
    return Recording(
        **fields,
        config=config_of(document["kind"], document["config"]),
        counts=tensors.get("counts"),
        floors={int(n): floor for n, floor in document["floors"].items()},
    )


def rms(arrays: Array) -> Array:
    """The root mean square of each of S arrays, (S, ...) -> (S,), in double precision."""
    rows = np.asarray(arrays, dtype=np.float64).reshape(len(arrays), -1)
    return np.sqrt(np.mean(rows**2, axis=1))
