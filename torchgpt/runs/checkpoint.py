"""Checkpoints, in the one format that npgpt/runs/checkpoint.py defines: either backend reads what either has written."""

from collections.abc import Mapping
from os import PathLike

from npgpt.models import layout_of
from npgpt.models.config import Config
from npgpt.models.layout import taken_from
from npgpt.runs.checkpoint import pack, read_checkpoint, write_checkpoint
from npgpt.text import Tokenizer
from npgpt.types import Optimizer

from ..machine.distributed import whole
from ..models import make_model
from ..models.base import LanguageModel


def save_checkpoint(
    model: LanguageModel,
    path: str | PathLike,
    *,
    tokenizer: Tokenizer | None = None,
    optimizer: Optimizer | None = None,
    run: Mapping | None = None,
) -> None:
    """Writes the model's weights and config, and what else is given. See npgpt.save_checkpoint.

    In a distributed run every rank calls it, and the first one writes.
    """
    if model.ranks.rank and not model.sharded:
        return
    weights = {name: whole(tensor).detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    checkpoint = pack(weights, model, tokenizer, optimizer, run)
    if model.ranks.rank == 0:
        write_checkpoint(path, checkpoint)


def load_checkpoint(
    path: str | PathLike, device: str = "cpu", *, config: Config | None = None, dtype: str = "float32"
) -> LanguageModel:
    """The model of a checkpoint. See npgpt.load_checkpoint."""
    checkpoint = read_checkpoint(path, config)
    weights = taken_from(checkpoint.weights, layout_of(checkpoint.config))
    return make_model(checkpoint.config, device, dtype=dtype, weights=weights)
