"""Where do two models part? The first tensor, forward or backward, that leaves its tolerance, and the mistake that fits.

`first_divergence` compares the records (record.py) of one training step of two models of any kind, in the order of
computation: the forward's intermediates, the loss, the gradients from the logits back to the embedding with the parameters
where the chain reaches them, the clipping and the weights after each of two AdamW steps. It asks explain/ which mistake would
make the one out of the other.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import torch

import torchgpt
from npgpt.check.diagnose import Mistake

from .explain import explain
from .record import EPS_ADAM, GRADIENT, LR, OPTIMISER, Record
from .tolerances import eps, model_scale


def backward_order(config) -> list[str]:
    """The names of the gradients, those that a trace shows and the parameters', in the order in which the chain rule reaches
    them. What several places or steps use (a tied weight, a recurrent one) stands where its gradient is complete.

    Found by looking: torch's autograd walks the twin of the config's model backward and tells what it has come to. So a bug in
    a backward of ours cannot move its own place.
    """
    return walked_backward(config)[0]


def walked_backward(config) -> tuple[list[str], set[str]]:
    """The names as in `backward_order`; and which of them are computed step by step, in a loop over T."""
    model = torchgpt.make_model(config)
    shown: dict[torch.Tensor, list[str]] = {}  # a block's output is the next one's input: one tensor, two names
    reached: list[str] = []
    in_steps: set[str] = set()

    def note(name: str, value) -> None:
        if not isinstance(value, torch.Tensor):  # a recurrent layer shows a tensor a step
            in_steps.add(name)
        for x in [value] if isinstance(value, torch.Tensor) else value:
            shown.setdefault(x, []).append(name)

    logits = model(np.zeros((1, min(2, config.seq_len)), dtype=int), note)
    for x, names in shown.items():
        x.register_hook(lambda _, names=names: reached.extend(reversed(names)))
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: reached.append(name))
    logits.sum().backward()
    complete = list(reversed(dict.fromkeys(reversed(reached))))  # each name where it came last
    place = {name: i for i, name in enumerate(model.layout)}
    order: list[str] = []
    for are_parameters, run in itertools.groupby(complete, key=place.__contains__):  # a layer's weight, then its bias
        names = list(run)
        order += sorted(names, key=place.__getitem__) if are_parameters else names
    return order, in_steps


# ------------------------------------------------------------------------------------------------------------- the comparison


@dataclass(frozen=True)
class Divergence:
    """The first tensor that is wrong."""

    name: str
    index: tuple[int, ...]  # of the worst element
    ours: float
    right: float
    error: float  # of the worst element, relative to the tensor's scale
    bound: float
    mistake: Mistake | None

    def __str__(self) -> str:
        place = "[" + ", ".join(map(str, self.index)) + "]" if self.index else ""
        lines = [
            f"first difference: {self.name}",
            f"  worst element {self.name}{place}: {self.ours:.9g}, right is {self.right:.9g}",
            f"  error {self.error:.3g} of the tensor's scale, the bound is {self.bound:.3g}",
            f"  likely mistake: {self.mistake.kind}: {self.mistake.text}" if self.mistake else "  no known mistake fits",
        ]
        return "\n".join(lines)


def first_divergence(ours: Record, right: Record, right32: Record, config, dtype: str = "float64") -> Divergence | None:
    """The first tensor whose error leaves the bound of a whole model (rule 2 in tolerances.py), or None.

    right, right32 : torch's records in float64 and in float32, which say how well each tensor is conditioned.
    """
    if set(ours.tensors) != set(right.tensors):
        raise ValueError(f"the records hold different tensors: {set(ours.tensors) ^ set(right.tensors)}")
    for group in groups(right.tensors):
        scale = model_scale({name: right.tensors[name] for name in group})
        wrong, places = {}, {}
        for name in group:
            mine, reference = ours.tensors[name], right.tensors[name]
            E = relative_error(right32.tensors[name], reference, scale[name]).max(initial=0.0) / eps("float32")
            bound = 16 * (E + 8) * eps(dtype) + update_error(name, right, dtype) / (scale[name] or 1.0)  # (...) or one for all
            errors = relative_error(mine, reference, scale[name])
            if (errors > bound).any():
                index = tuple(int(i) for i in np.unravel_index((errors / bound).argmax(), errors.shape))
                numbers = float(mine[index]), float(reference[index]), float(errors[index])
                wrong[name] = index, *numbers, float(np.broadcast_to(bound, errors.shape)[index])
                places[name] = errors > bound
        if wrong:
            name = first_of(places, config)
            return Divergence(name, *wrong[name], explain(name, ours, right, config))
    return None


def update_error(name: str, right: Record, dtype: str) -> np.ndarray | float:
    """How far off a weight may be after a step of AdamW because a gradient that should be 0 is a rounding error instead.

    The update lr g / (|g| + eps_adam) has the slope lr eps_adam / (|g| + eps_adam)^2 in g, at g = 0 as steep as lr / eps_adam;
    and by rule 2 a gradient may be off by 16 * 8 eps times a thousandth of the largest.
    """
    if not name.startswith("weights after"):
        return 0.0
    g = np.max(np.abs(right.step_gradients), axis=0)  # (n,)
    return LR * EPS_ADAM / (g + EPS_ADAM) ** 2 * 16 * 8 * eps(dtype) * 1e-3 * g.max()


def first_of(wrong: dict[str, np.ndarray], config) -> str:
    """The first of these names of one group in the order of computation: as they stand, but gradients as a backward goes; and
    where a loop goes over the steps, by the step. wrong : name -> where its elements are wrong."""
    first = next(iter(wrong))
    if first in OPTIMISER:
        return first
    order, in_steps = walked_backward(config)
    names, sign = list(wrong), 1
    if first.startswith(GRADIENT):  # from the end; the steps too
        names, sign = [GRADIENT + name for name in order if GRADIENT + name in wrong] or names, -1
    first = names[0]
    block = first.removeprefix(GRADIENT).rpartition(".")[0]
    loop = [name for name in names if (own := name.removeprefix(GRADIENT)) in in_steps and own.rpartition(".")[0] == block]
    if first not in loop:
        return first

    def step(name: str) -> int:
        steps = np.nonzero(wrong[name])[1]  # axes (B, T, ...)
        return min(sign * steps)

    return min(loop, key=step)


def groups(names) -> list[list[str]]:
    """The names whose magnitudes belong together: the forward's values, the gradients, the optimiser's results one by one."""
    forward = [name for name in names if not name.startswith(GRADIENT) and name not in OPTIMISER]
    backward = [name for name in names if name.startswith(GRADIENT)]
    return [forward, backward, *([name] for name in OPTIMISER if name in names)]


def relative_error(ours: np.ndarray, right: np.ndarray, scale: float) -> np.ndarray:
    """|ours - right| / scale, elementwise; 0 where both are the same infinity, inf where only one is not finite."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(right, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(a - b) / (scale or 1.0)
    errors = np.where(a == b, 0.0, errors)
    return np.where(np.isnan(errors), np.inf, errors)
