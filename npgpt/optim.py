"""AdamW, and clipping by the global norm: how a gradient becomes a step.

Adam keeps two running means for every weight, of its gradient (m: which way, on average) and of its square (v: how large, on
average), and steps by their ratio. A weight whose gradient is always tiny still moves at about the speed lr, and one whose
gradient keeps changing sign hardly moves. At step t = 1, 2, ...:

    m = b1 m + (1 - b1) g          v = b2 v + (1 - b2) g^2
    mhat = m / (1 - b1^t)          vhat = v / (1 - b2^t)
    w = w - lr * decay * w - lr * mhat / (sqrt(vhat) + eps)

Both means start at 0 and are therefore too small at first: after t steps of a constant gradient g, m = (1 - b1^t) g. Dividing
by that factor mends it. The W in AdamW: the decay pulls on the weight itself and never enters m and v, where it would be
divided by sqrt(vhat) like a gradient.

Sources: Kingma, Ba 2015, "Adam", arXiv:1412.6980, algorithm 1; Loshchilov, Hutter 2019, "Decoupled weight decay
regularization", arXiv:1711.05101, algorithm 2. Clipping: Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray as Array

from .machine.parameters import Parameter, vectors_of
from .machine.threads import in_pieces
from .types import Model


class AdamW:
    """The optimiser. `step()` updates the parameters from their gradients, `zero_grad()` clears those.

    Parameters
    ----------
    params : the model's `parameters()`; or groups, as torch takes them: [{"params": ..., "weight_decay": ...}, ...].
    lr : the learning rate; may be changed between steps.
    betas : (b1, b2), how slowly the two means forget, each in [0, 1).
    eps : keeps the division finite.
    weight_decay : the share of a weight that lr = 1 would remove in each step.

    Raises ValueError for a value out of range and for an empty list of parameters.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        given: list[Any] = list(params)  # parameters, or groups of them
        groups: list[dict] = given if given and isinstance(given[0], dict) else [{"params": given}]
        pairs = [(list(group["params"]), group.get("weight_decay", weight_decay)) for group in groups]
        decays = [("weight_decay", decay) for _, decay in pairs]
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay), *decays):
            if not value >= 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must lie in [0, 1), got {betas}")
        self.params: list[Parameter] = []
        self.vectors: list[tuple[Array, Array]] = []
        self.decays: list[float] = []  # one for each pair of vectors
        for members, decay in pairs:
            self.params += members
            self.vectors += vectors_of(members)
            self.decays += [decay] * (len(self.vectors) - len(self.decays))
        if not self.vectors:
            raise ValueError("params must hold at least one parameter")
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self.steps = 0
        self.moments = [(np.zeros_like(grad), np.zeros_like(grad)) for _, grad in self.vectors]

    def step(self) -> None:
        """One update of every parameter, in place."""
        self.steps += 1
        for (data, grad), (m, v), decay in zip(self.vectors, self.moments, self.decays, strict=True):
            in_pieces(partial(self._update, decay=decay), data, grad, m, v)

    def _update(self, w: Array, g: Array, m: Array, v: Array, decay: float) -> None:
        """The formulas, for the same piece of each vector; w, m and v change in place. A mean first forgets, then takes in
        what is new; a weight is first pulled towards 0, then moved. (Written as one sum each, a step of GPT-2's size takes
        1.03 times as long.)"""
        t, lr, (b1, b2) = self.steps, self.lr, self.betas
        m *= b1
        m += (1 - b1) * g
        v *= b2
        v += (1 - b2) * g**2
        mhat = m / (1 - b1**t)
        vhat = v / (1 - b2**t)
        w -= lr * decay * w
        w -= lr * mhat / (np.sqrt(vhat) + self.eps)

    def zero_grad(self) -> None:
        """Sets the gradients to 0."""
        for _, grad in self.vectors:
            grad[:] = 0

    def get_moments(self, named_parameters: Iterable[tuple[str, Parameter]]) -> dict[str, tuple[Array, Array]]:
        """Name -> (m, v), each in the parameter's shape and a view: what a run must save to go on, with `steps`."""
        views: dict[int, tuple[Array, Array]] = {}
        vector, start = 0, 0
        for parameter in self.params:  # they lie in the vectors one after the other
            if start == self.moments[vector][0].size:
                vector, start = vector + 1, 0
            piece = slice(start, start + parameter.numel())
            m, v = self.moments[vector]
            views[id(parameter)] = m[piece].reshape(parameter.shape), v[piece].reshape(parameter.shape)
            start = piece.stop
        return {name: views[id(parameter)] for name, parameter in named_parameters if id(parameter) in views}

    def set_moments(
        self, named_parameters: Iterable[tuple[str, Parameter]], moments: Mapping[str, tuple[Array, Array]], steps: int
    ) -> None:
        """Goes on from saved moments. Raises ValueError where their names or shapes are not those of the parameters."""
        own = self.get_moments(named_parameters)
        check_moments({name: m.shape for name, (m, _) in own.items()}, moments, steps)
        for name, (m, v) in own.items():
            m[...], v[...] = moments[name]
        self.steps = steps


def check_moments(shapes: Mapping[str, tuple[int, ...]], moments: Mapping[str, tuple[Array, Array]], steps: int) -> None:
    """Raises ValueError unless there is a pair of moments for each name, both in its shape."""
    if steps < 0:
        raise ValueError(f"steps must be at least 0, got {steps}")
    faults = [f"{name} has none" for name in shapes if name not in moments]
    faults += [f"{name} is no parameter" for name in moments if name not in shapes]
    for name in shapes:
        if name in moments and any(moment.shape != shapes[name] for moment in moments[name]):
            faults.append(f"{name} has other shapes")
    if faults:
        raise ValueError("the optimiser's moments do not fit this model: " + "; ".join(faults))


def parameter_groups(model: Model, weight_decay: float) -> list[dict]:
    """AdamW's groups: matrices decay, vectors (biases, LayerNorm's weights) do not. For a model of either backend.

    Decay is a wish for small weights, which a matrix can grant in many ways. A bias or a LayerNorm's scale sets a level, and 0
    is no better a level than another. Tables of embeddings count as matrices, as in nanoGPT.
    """
    decaying: list[Any] = []  # parameters of either backend
    others: list[Any] = []
    for name, parameter in model.named_parameters():
        (decaying if model.layout[name].decays else others).append(parameter)
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def clip_grad_norm(params: Iterable[Parameter], max_norm: float) -> float:
    """Scales all gradients by one factor so that their joint Euclidean norm is at most max_norm; gives the norm from before.

    One factor for all keeps the gradient's direction. 1e-6 is added to the norm, as torch does. A norm that is not finite is
    given back with the gradients as they are.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm}")
    gradients = [grad for _, grad in vectors_of(list(params))]
    norm = math.sqrt(sum(sum_of_squares(grad) for grad in gradients))
    factor = max_norm / (norm + 1e-6)
    if factor < 1 and math.isfinite(norm):
        for grad in gradients:
            in_pieces(partial(scale, factor=factor), grad)
    return norm


def sum_of_squares(vector: Array) -> float:
    """Piece by piece, the pieces' sums added in double precision: a float32 sum over millions of squares would lose digits."""
    return sum(in_pieces(lambda piece: float(piece @ piece), vector))


def scale(vector: Array, factor: float) -> None:
    """In place."""
    vector *= factor
