"""Everything that one training step of a model computes, written down: what locate.py compares and explain/ reads."""

from dataclasses import dataclass

import numpy as np

import npgpt
import torchgpt

from .tolerances import as_numpy

LR, WEIGHT_DECAY, STEPS = 0.01, 0.1, 2  # of the optimiser's steps
EPS_ADAM = 1e-8  # AdamW's default
GRADIENT = "gradient of "  # before a name: its gradient
OPTIMISER = ("gradient norm", "clipped gradients", *(f"weights after step {n}" for n in range(1, STEPS + 1)))


@dataclass(frozen=True)
class Record:
    """One training step of a model of any kind.

    tensors : what is compared: the forward's intermediates and the loss, in the order of computation; the gradients of those
        intermediates and of the parameters; the clipping, and the weights after each of two AdamW steps.
    ids : (B, T). weights : the state_dict from before the step. flat_weights : the trained ones of them, in one vector.
    step_gradients : what each step of AdamW was given, likewise.
    """

    tensors: dict[str, np.ndarray]
    ids: np.ndarray
    weights: dict[str, np.ndarray]
    flat_weights: np.ndarray
    step_gradients: list[np.ndarray]


def record(model, ids, targets, max_norm: float | None) -> Record:
    """Everything that the model computes for this batch. Its weights are changed by two steps of AdamW, then put back.

    max_norm : for the clipping; below the gradient's norm, so that it clips. None leaves clipping and steps out, and with them
        the copies of all weights that they leave behind.
    """
    backend = npgpt if model.backend == "npgpt" else torchgpt
    weights = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}
    trained = [name for name, _ in model.named_parameters()]
    trace = model.trace(ids, targets)
    tensors = {name: as_numpy(value) for name, (value, _) in trace.items()}
    tensors["loss"] = np.array(model.loss(ids, targets))

    model.zero_grad()
    model.loss_and_grad(ids, targets)
    tensors |= {GRADIENT + name: as_numpy(gradient) for name, (_, gradient) in trace.items()}
    tensors |= {GRADIENT + name: gradient for name, gradient in model.gradients().items()}
    if max_norm is None:
        return Record(tensors, np.asarray(ids), weights, np.empty(0), [])

    parameters = list(model.parameters())
    optimizer = backend.AdamW(parameters, lr=LR, weight_decay=WEIGHT_DECAY)
    step_gradients = []
    for n in range(1, STEPS + 1):
        if n > 1:
            optimizer.zero_grad()
            model.loss_and_grad(ids, targets)
        norm = backend.clip_grad_norm(parameters, max_norm)
        step_gradients.append(flat(model.gradients()))
        if n == 1:
            tensors["gradient norm"] = np.array(norm)
            tensors["clipped gradients"] = step_gradients[0]
        optimizer.step()
        after = model.state_dict()
        tensors[f"weights after step {n}"] = flat({name: as_numpy(after[name]) for name in trained}).copy()
    model.load_state_dict(weights)
    model.zero_grad()
    return Record(tensors, np.asarray(ids), weights, flat({name: weights[name] for name in trained}), step_gradients)


def flat(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """All elements of all arrays, in one vector."""
    return np.concatenate([array.reshape(-1) for array in arrays.values()])
