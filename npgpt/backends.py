"""One backend is one module: `npgpt` computes in NumPy, `torchgpt` in PyTorch, and both export the same names."""

import importlib
from types import ModuleType

BACKENDS = {"numpy": "npgpt", "torch": "torchgpt"}


def backend(name: str) -> ModuleType:
    """The package of that name: npgpt for "numpy", torchgpt for "torch", which is imported when it is asked for.

    Raises ValueError for any other name; ImportError with the command that installs it where PyTorch is missing.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend must be {' or '.join(map(repr, BACKENDS))}, got {name!r}")
    try:
        return importlib.import_module(BACKENDS[name])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError("backend 'torch' needs PyTorch: .venv/bin/pip install -e '.[torch]'") from None
