"""torchgpt: the PyTorch twin of npgpt. The same names, the same module tree, the same weights; autograd does the backward.

A script that says `backend = npgpt.backend("torch")` instead of "numpy" runs on a GPU or an Apple chip.
"""

from npgpt import (
    Checkpoint,
    GPTConfig,
    LlamaConfig,
    LSTMConfig,
    MambaConfig,
    TrainingDiverged,
    cosine_schedule,
    evaluate,
    parameter_groups,
    read_checkpoint,
    train,
)

from .generation import generate
from .machine.device import pick_device, use_tf32
from .machine.distributed import distribute, join_ranks, leave_ranks, wait_for_all
from .machine.threads import get_num_threads, set_num_threads
from .models import make_model
from .models.gpt import GPTModel, get_position_encoding
from .models.llama import LlamaModel
from .models.lstm import LSTMModel
from .models.mamba import MambaModel
from .optim import AdamW, clip_grad_norm
from .pretrained import load_pretrained, save_pretrained
from .runs.checkpoint import load_checkpoint, save_checkpoint
from .transfer import from_numpy, to_numpy

__all__ = [
    "AdamW",
    "Checkpoint",
    "GPTConfig",
    "GPTModel",
    "LSTMConfig",
    "LSTMModel",
    "LlamaConfig",
    "LlamaModel",
    "MambaConfig",
    "MambaModel",
    "TrainingDiverged",
    "clip_grad_norm",
    "cosine_schedule",
    "distribute",
    "evaluate",
    "from_numpy",
    "generate",
    "get_num_threads",
    "get_position_encoding",
    "join_ranks",
    "leave_ranks",
    "load_checkpoint",
    "load_pretrained",
    "make_model",
    "parameter_groups",
    "pick_device",
    "read_checkpoint",
    "save_checkpoint",
    "save_pretrained",
    "set_num_threads",
    "to_numpy",
    "train",
    "use_tf32",
    "wait_for_all",
]
