"""What each traced number is made of, and by which paths its gradient comes back: the book's derivations, cell by cell.

A file a kind of model. Each gives, for every name of the model's trace and every parameter, the formula of its value and that
of its gradient, in the index notation of inspector/arithmetic.py. The names of indices and of paths are those of the
derivations in npgpt/ops. They describe one sequence (no batch axis). That they are right is not claimed but tested: every cell
of every trace equals its formula (parity_tests/test_inspector_formulas.py).
"""

from collections.abc import Callable
from typing import Any

from ...models.config import Config
from .gpt import gpt_formulas
from .llama import llama_formulas
from .lstm import lstm_formulas
from .mamba import mamba_formulas
from .parts import Formulas

# config.kind -> its formulas (Any: its config)
KINDS: dict[str, Callable[[Any, int], Formulas]]
KINDS = {"gpt": gpt_formulas, "lstm": lstm_formulas, "mamba": mamba_formulas, "llama": llama_formulas}


def formulas_of(config: Config, T: int) -> Formulas:
    """The formulas of a model that reads T tokens: for each traced name "value" and "gradient", for each trained parameter
    "gradient" alone ("value" is None: it is learned)."""
    return KINDS[config.kind](config, T)
