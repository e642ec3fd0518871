"""The kinds of check, as alarms: each looks at the code as it is now, for one seed, and says whether something is wrong.

test_bugs.py switches on one bug after another and asks which of them ring; bugs_table.py prints the answers. The tests proper
ask the same questions with many more inputs.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import torch

import npgpt
import torchgpt
from npgpt import GPTConfig

from .op_table import TABLE, Case, complex_step_error, errors_against_torch
from .operations import ops
from .strategies import STRUCTURES, random_weights, weight_shapes
from .test_model import loss_derivative
from .tolerances import LOCAL_FACTOR, as_numpy, assert_model_parity, eps, model_scale

CONFIG = GPTConfig(23, 2, 2, 6, 7, position="learned", ffn_hidden=11, qkv_bias=True, tie_weights=True)
SHAPES = {2: (3, 5), 3: (2, 3, 7), 4: (2, 2, 5, 3), 5: (2, 2, 5, 3, 4)}  # number of sizes -> the sizes


def op_cases(op, seed: int) -> list[Case]:
    """One case of each structure for an operation, in both dtypes by turns."""
    dtypes = ("float32", "float64")
    return [Case(op.name, seed + i, s, dtypes[i % 2], SHAPES[op.dims]) for i, s in enumerate(sorted(STRUCTURES))]


def batch(seed: int, std: float = 0.3, config: GPTConfig = CONFIG):
    """(weights, ids, targets): few distinct ids, so that some repeat."""
    rng = np.random.default_rng(seed)
    weights = {name: w.astype(np.float32) for name, w in random_weights(rng, weight_shapes(config), std).items()}
    return weights, rng.integers(5, size=(3, 5)), rng.integers(config.vocab_size, size=(3, 5))


def model(backend, weights, dtype="float64", config: GPTConfig = CONFIG):
    made = backend.GPTModel(config, dtype=dtype)
    made.load_state_dict(weights)
    return made


def parity(backward: bool, seed: int) -> bool:
    """Operations and a whole model against torch: their gradients, or else their outputs (and then no backward is called)."""
    for op in TABLE.values():
        for case in op_cases(op, seed):
            errors = errors_against_torch(op, case, "cpu", backward)
            if max(errors[1:] if backward else errors) > LOCAL_FACTOR:
                return True
    weights, ids, targets = batch(seed)
    models = [model(npgpt, weights), model(torchgpt, weights, "float32"), model(torchgpt, weights)]
    results = []
    for each in models:
        trace = each.trace(ids, targets if backward else None)
        result = {name: as_numpy(pair[backward]) for name, pair in trace.items()}  # (value, gradient)
        if backward:
            each.loss_and_grad(ids, targets)
            result |= {f"d {name}": gradient for name, gradient in each.gradients().items()}
        else:
            result["loss"] = np.array(each.loss(ids, targets))
        results.append(result)
    try:
        assert_model_parity(*results, "float64")
    except AssertionError:
        return True
    return False


def forward_parity(seed: int) -> bool:
    return parity(False, seed)


def gradient_parity(seed: int) -> bool:
    return parity(True, seed)


def complex_step(seed: int) -> bool:
    """Every backward, and the whole model's, against the derivative of its own forward."""
    for op in TABLE.values():
        for case in op_cases(op, seed):
            if complex_step_error(op, dataclasses.replace(case, dtype="float64")) > 1:
                return True
    weights, ids, targets = batch(seed)
    ours, twin = model(npgpt, weights), model(torchgpt, weights)

    def derivative(v):
        return loss_derivative(ours, v, ids, targets), 0.0

    return derivative_alarm(ours, twin, derivative, ids, targets, 1e-12, seed)


def derivative_alarm(ours, twin, derivative: Callable, ids, targets, tolerance: float, seed: int) -> bool:
    """Whether the model's gradient and a derivative of its loss differ, along a random direction for each parameter.

    derivative : direction -> (the derivative, its own error).
    tolerance : relative to the sum of |gradient| |direction|, with torch's largest element for the gradient.
    """
    ours.loss_and_grad(ids, targets)
    twin.loss_and_grad(ids, targets)
    rng = np.random.default_rng(seed)
    scale = model_scale(twin.gradients())
    for name, gradient in ours.gradients().items():
        direction = rng.standard_normal(gradient.shape)
        along, own_error = derivative({name: direction})
        error = abs(along - (gradient * direction).sum())
        if not error <= tolerance * scale[name] * np.abs(direction).sum() + own_error:
            return True
    return False


def finite_differences(seed: int) -> bool:
    """Central differences of the loss in float64, with h = eps^(1/3). Their error grows with h^2, so that of h is a third of
    the difference between 2h and h: the difference itself bounds it. Rounding adds about eps^(2/3), 4e-11."""
    weights, ids, targets = batch(seed)
    ours, twin = model(npgpt, weights), model(torchgpt, weights)
    h = eps("float64") ** (1 / 3)

    def derivative(v):
        narrow, wide = (difference(ours, v, ids, targets, step) for step in (h, 2 * h))
        return narrow, abs(wide - narrow)

    return derivative_alarm(ours, twin, derivative, ids, targets, 1e-8, seed)


def difference(ours, directions: dict[str, np.ndarray], ids, targets, h: float) -> float:
    """(loss(w + h v) - loss(w - h v)) / 2h."""
    state = {name: w.copy() for name, w in ours.state_dict().items()}
    losses = []
    for sign in (1, -1):
        for name, v in directions.items():
            ours.state_dict()[name][...] = state[name] + sign * h * v
        losses.append(ours.loss(ids, targets))
        ours.load_state_dict(state)
    return (losses[0] - losses[1]) / (2 * h)


def properties(seed: int) -> bool:
    """What must hold without any reference: causality, sums that vanish, gradients that add up, a loss of ln V at the start."""
    weights, ids, targets = batch(seed)
    ours = model(npgpt, weights)
    changed = ids.copy()
    changed[:, 3:] = (ids[:, 3:] + 1) % CONFIG.vocab_size
    if not np.array_equal(ours(ids)[:, :3], ours(changed)[:, :3]):  # causality
        return True
    trace = ours.trace(ids, targets)
    pattern, dpattern = trace["blocks.0.pattern"]
    scores, dscores = trace["blocks.0.scores"]
    terms = (pattern * np.abs(dpattern)).sum(-1)
    if (np.abs(dscores.sum(-1)) > 100 * eps("float64") * terms).any() or np.isfinite(scores[..., 0, 1]).any():
        return True
    if np.abs(trace["logits"][1].sum(-1)).max() > 100 * eps("float64"):  # rows of dlogits sum to zero
        return True
    x, dy = np.random.default_rng(seed).standard_normal((2, 5))
    _, cache = ops.layer_norm(x, np.ones(5), np.zeros(5))
    dx = ops.layer_norm_backward(dy, cache)[0]
    if abs(dx.sum()) > 100 * eps("float64") * cache.rstd.max() * np.abs(dy).max():  # LayerNorm ignores a shift
        return True
    ours.loss_and_grad(ids, targets)
    once = ours.gradients()
    ours.loss_and_grad(ids, targets)
    for name, gradient in ours.gradients().items():  # they add up
        if not np.abs(2 * once[name] - gradient).max() <= 100 * eps("float64") * np.abs(gradient).max():
            return True
    key_bias = once["blocks.0.mha.Wqkv.bias"][6:12]
    if np.abs(key_bias).max() > 1e3 * eps("float64") * max(np.abs(g).max() for g in once.values()):
        return True
    if tied_is_not_the_sum(weights, ids, targets, once):
        return True
    fresh = npgpt.GPTModel(CONFIG, seed=seed)
    return abs(fresh.loss(ids, targets) - math.log(CONFIG.vocab_size)) > 0.3


def tied_is_not_the_sum(weights, ids, targets, once) -> bool:
    """Whether the tied weight's gradient differs from the sum of the two that an untied model has."""
    config = dataclasses.replace(CONFIG, tie_weights=False)
    untied = model(npgpt, weights | {"head.weight": weights["token_embedding.weight"]}, config=config)
    untied.loss_and_grad(ids, targets)
    both = untied.gradients()
    total = both["token_embedding.weight"] + both["head.weight"]
    return np.abs(total - once["token_embedding.weight"]).max() > 1e3 * eps("float64") * np.abs(total).max()


def optimiser_parity(seed: int) -> bool:
    """AdamW and clipping against torch's over a few steps, with gradients above and below the norm that is allowed."""
    rng = np.random.default_rng(seed)
    store = npgpt.machine.parameters.Store({"a": (3, 4), "b": (5,)}, "float64")
    store.data[:] = rng.standard_normal(store.data.size)
    ours = list(store.parameters.values())
    theirs = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in ours]
    arguments = {"lr": 0.01, "weight_decay": 0.1}
    optimizer, reference = npgpt.AdamW(ours, **arguments), torch.optim.AdamW(theirs, foreach=False, **arguments)
    for scale in (1.0, 0.01, 3.0):
        for p, q in zip(ours, theirs, strict=True):
            gradient = scale * rng.standard_normal(p.shape)
            p.grad += gradient  # added, as a backward does
            q.grad = torch.from_numpy(gradient)
        norms = npgpt.clip_grad_norm(ours, 1.0), torch.nn.utils.clip_grad_norm_(theirs, 1.0).item()
        optimizer.step()
        reference.step()
        optimizer.zero_grad()
        if abs(norms[0] - norms[1]) > 1e-12 * norms[1] or store.grad.any():
            return True
    return any(np.abs(p.data - q.detach().numpy()).max() > 1e-12 for p, q in zip(ours, theirs, strict=True))


CHECKS: dict[str, Callable[[int], bool]] = {
    "forward parity": forward_parity,
    "gradient parity": gradient_parity,
    "complex step": complex_step,
    "finite differences": finite_differences,
    "property": properties,
    "optimiser parity": optimiser_parity,
}


def rings(check: Callable[[int], bool], seed: int) -> bool:
    """The check's answer; an exception inside the code under test is an alarm too."""
    with np.errstate(all="ignore"):
        try:
            return bool(check(seed))
        except (AssertionError, ArithmeticError, ValueError, IndexError):
            return True
