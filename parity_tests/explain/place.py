"""Where a hypothesis looks from: the first wrong tensor, and what of the right record stands around it."""

import re
from collections.abc import Callable

import numpy as np

from ..record import GRADIENT, Record

# For `likely_mistake`: terms, name -> an additive part of the right tensor; alternatives, name -> (kind of mistake, what the
# tensor would be with it).
Hypotheses = tuple[dict[str, np.ndarray], dict[str, tuple[str, np.ndarray]]]


class Place:
    """The first wrong tensor of a record. `value`, `gradient` and `weight` take the names of its own block ("q"), or those of
    the whole model ("embed")."""

    def __init__(self, name: str, right: Record, config):
        self.name, self.right, self.config = name, right, config
        self.is_gradient = name.startswith(GRADIENT)
        self.block, part = re.fullmatch(r"(blocks\.\d+\.)?(.*)", name.removeprefix(GRADIENT)).groups(default="")
        self.about = GRADIENT + part if self.is_gradient else part  # what rules are found by: the name without its block

    def value(self, name: str) -> np.ndarray:
        """The forward's tensor of that name."""
        return self._find(self.right.tensors, "", name)

    def gradient(self, name: str) -> np.ndarray:
        """The gradient of that intermediate or parameter."""
        return self._find(self.right.tensors, GRADIENT, name)

    def weight(self, name: str) -> np.ndarray:
        """The parameter or buffer of that name."""
        return self._find(self.right.weights, "", name)

    def has(self, name: str) -> bool:
        """Whether there is a tensor of that name."""
        return self.block + name in self.right.tensors or name in self.right.tensors

    def _find(self, arrays: dict[str, np.ndarray], prefix: str, name: str) -> np.ndarray:
        own = prefix + self.block + name
        return np.float64(arrays[own if own in arrays else prefix + name])


Rule = Callable[[Place], Hypotheses]
RULES: dict[tuple[str, str], list[Rule]] = {}  # (kind of model, Place.about) -> its rules
EVERY_KIND = "every kind"


def about(*names: str, kind: str = EVERY_KIND) -> Callable[[Rule], Rule]:
    """Makes the function a rule about these tensors of that kind of model. Names are as in a trace or a state_dict, without
    "blocks.0.", and with "gradient of " before them where the gradient is meant."""

    def enter(rule: Rule) -> Rule:
        for name in names:
            RULES.setdefault((kind, name), []).append(rule)
        return rule

    return enter


def rules_about(name: str, kind: str) -> list[Rule]:
    """Those of the kind, then those of every kind."""
    return RULES.get((kind, name), []) + RULES.get((EVERY_KIND, name), [])
