"""Every public function of npgpt/ops by name, whatever file it stands in: `ops.softmax_backward`."""

import importlib
import inspect
import pkgutil
from types import SimpleNamespace

import npgpt.ops

MODULES = [importlib.import_module(f"npgpt.ops.{module.name}") for module in pkgutil.iter_modules(npgpt.ops.__path__)]


def is_public(function, module) -> bool:
    return inspect.isroutine(function) and function.__module__ == module.__name__ and not function.__name__.startswith("_")


ops = SimpleNamespace(**{n: f for module in MODULES for n, f in vars(module).items() if is_public(f, module)})
