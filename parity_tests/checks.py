"""The kinds of check, as alarms: each looks at the code as it is now, for one seed, and says whether something is wrong.

All take the config of a whole model of any kind; what holds for one kind alone is a property in OWN_PROPERTIES. test_bugs.py
switches on one bug after another and asks which of the checks ring; bugs_table.py prints the answers. The tests proper ask the
same questions with many more inputs.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

import npgpt
import torchgpt
from npgpt.inspector.agreement import loss_derivative
from npgpt.models.config import Config

from .op_table import TABLE, Case, complex_step_error, errors_against_torch
from .operations import ops
from .strategies import EXAMPLES, STRUCTURES, random_weights
from .tolerances import LOCAL_FACTOR, as_numpy, assert_model_parity, eps, model_scale

CONFIG = EXAMPLES["gpt"]
SHAPES = {2: (3, 5), 3: (2, 3, 7), 4: (2, 2, 5, 3), 5: (2, 2, 5, 3, 4)}  # number of sizes -> the sizes


def op_cases(op, seed: int) -> list[Case]:
    """One case of each structure for an operation, in both dtypes by turns."""
    dtypes = ("float32", "float64")
    return [Case(op.name, seed + i, s, dtypes[i % 2], SHAPES[op.dims]) for i, s in enumerate(sorted(STRUCTURES))]


def batch(seed: int, std: float = 0.3, config: Config = CONFIG):
    """(weights, ids, targets): few distinct ids, so that some repeat."""
    rng = np.random.default_rng(seed)
    weights = {name: w.astype(np.float32) for name, w in random_weights(rng, config, std).items()}
    return weights, rng.integers(5, size=(3, 5)), rng.integers(config.vocab_size, size=(3, 5))


def model(backend, weights, dtype="float64", config: Config = CONFIG):
    """A model with those weights."""
    made = backend.make_model(config, dtype=dtype)
    made.load_state_dict(weights)
    return made


# ----------------------------------------------------------------------------------------------- against torch, derivatives


def parity(backward: bool, seed: int, config: Config) -> bool:
    """Operations and a whole model against torch: their gradients, or else their outputs (and then no backward is called)."""
    return operation_parity(backward, seed) or model_parity(backward, seed, config)


def operation_parity(backward: bool, seed: int) -> bool:
    for op in TABLE.values():
        for case in op_cases(op, seed):
            errors = errors_against_torch(op, case, "cpu", backward)
            if max(errors[1:] if backward else errors) > LOCAL_FACTOR:
                return True
    return False


def model_parity(backward: bool, seed: int, config: Config) -> bool:
    weights, ids, targets = batch(seed, config=config)
    sides = ((npgpt, "float64"), (torchgpt, "float32"), (torchgpt, "float64"))
    models = [model(backend, weights, dtype, config) for backend, dtype in sides]
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


def forward_parity(seed: int, config: Config = CONFIG) -> bool:
    return parity(False, seed, config)


def gradient_parity(seed: int, config: Config = CONFIG) -> bool:
    return parity(True, seed, config)


def complex_step(seed: int, config: Config = CONFIG) -> bool:
    """Every backward, and the whole model's, against the derivative of its own forward."""
    return operation_complex_step(seed) or model_complex_step(seed, config)


def operation_complex_step(seed: int) -> bool:
    for op in TABLE.values():
        for case in op_cases(op, seed):
            if complex_step_error(op, dataclasses.replace(case, dtype="float64")) > 1:
                return True
    return False


def model_complex_step(seed: int, config: Config) -> bool:
    weights, ids, targets = batch(seed, config=config)
    ours, twin = model(npgpt, weights, config=config), model(torchgpt, weights, config=config)

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


def finite_differences(seed: int, config: Config = CONFIG) -> bool:
    """Central differences of the loss in float64, with h = eps^(1/3). Their error grows with h^2, so that of h is a third of
    the difference between 2h and h: the difference itself bounds it. Rounding adds a few eps of the loss, divided by h."""
    weights, ids, targets = batch(seed, config=config)
    ours, twin = model(npgpt, weights, config=config), model(torchgpt, weights, config=config)
    h = eps("float64") ** (1 / 3)
    rounding = 4 * eps("float64") * ours.loss(ids, targets) / h

    def derivative(v):
        narrow, wide = (difference(ours, v, ids, targets, step) for step in (h, 2 * h))
        return narrow, abs(wide - narrow) + rounding

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


# ---------------------------------------------------------------------------------- what must hold without any reference


def properties(seed: int, config: Config = CONFIG) -> bool:
    """Causality, sums that vanish, gradients that add up, a loss of ln V at the start; and what the kind of model adds."""
    weights, ids, targets = batch(seed, config=config)
    ours = model(npgpt, weights, config=config)
    changed = ids.copy()
    changed[:, 3:] = (ids[:, 3:] + 1) % config.vocab_size
    if not np.array_equal(ours(ids)[:, :3], ours(changed)[:, :3]):  # causality
        return True
    trace = ours.trace(ids, targets)
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
    own = OWN_PROPERTIES.get(config.kind)
    if own is not None and own(config, weights, ids, targets, trace, once):
        return True
    fresh = npgpt.make_model(config, seed=seed)
    return abs(fresh.loss(ids, targets) - math.log(config.vocab_size)) > 0.3


def gpt_properties(config, weights, ids, targets, trace, gradients) -> bool:
    """Attention's rows and mask, the key bias that softmax ignores, the tied head."""
    if rows_or_mask_are_wrong(trace):
        return True
    if config.qkv_bias:
        key_bias = gradients["blocks.0.mha.Wqkv.bias"][config.n_embd : 2 * config.n_embd]
        if np.abs(key_bias).max() > 1e3 * eps("float64") * max(np.abs(g).max() for g in gradients.values()):
            return True
    return config.tie_weights and tied_is_not_the_sum(config, weights, ids, targets, gradients)


def rows_or_mask_are_wrong(trace) -> bool:
    """Whether a row of dscores does not sum to zero, or the first position sees the second."""
    pattern, dpattern = trace["blocks.0.pattern"]
    scores, dscores = trace["blocks.0.scores"]
    terms = (pattern * np.abs(dpattern)).sum(-1)
    return bool((np.abs(dscores.sum(-1)) > 100 * eps("float64") * terms).any() or np.isfinite(scores[..., 0, 1]).any())


def tied_is_not_the_sum(config, weights, ids, targets, gradients) -> bool:
    """Whether the tied weight's gradient differs from the sum of the two that an untied model has."""
    config = dataclasses.replace(config, tie_weights=False)
    untied = model(npgpt, weights | {"head.weight": weights["token_embedding.weight"]}, config=config)
    untied.loss_and_grad(ids, targets)
    both = untied.gradients()
    total = both["token_embedding.weight"] + both["head.weight"]
    return np.abs(total - gradients["token_embedding.weight"]).max() > 1e3 * eps("float64") * np.abs(total).max()


def lstm_properties(config, weights, ids, targets, trace, gradients) -> bool:
    """Two biases that are only ever added, a state that is carried on or else empty, the tied head."""
    for i in range(config.n_layer):
        if not np.array_equal(gradients[f"blocks.{i}.lstm.bias_ih"], gradients[f"blocks.{i}.lstm.bias_hh"]):
            return True
    if carried_on_is_not_the_whole(config, weights, ids):
        return True
    return config.tie_weights and tied_is_not_the_sum(config, weights, ids, targets, gradients)


def mamba_properties(config, weights, ids, targets, trace, gradients) -> bool:
    """Levels that do not decay, a state that is carried on or else empty, the tied head."""
    made = model(npgpt, weights, config=config)
    npgpt.AdamW(npgpt.parameter_groups(made, 0.1)).step()  # without a gradient, so it decays alone
    levels = ("A_log", ".D", "norm.weight", "norm_f.weight", ".bias")
    if any(not np.array_equal(w, weights[name]) for name, w in made.state_dict().items() if name.endswith(levels)):
        return True
    if carried_on_is_not_the_whole(config, weights, ids):
        return True
    return config.tie_weights and tied_is_not_the_sum(config, weights, ids, targets, gradients)


def llama_properties(config, weights, ids, targets, trace, gradients) -> bool:
    """Attention's rows and mask; queries and keys turned as complex numbers are, which keeps their lengths, and their gradients
    turned back; logits that know distances alone; what is remembered; the tied head."""
    if rows_or_mask_are_wrong(trace):
        return True
    D, T = config.head_width, ids.shape[1]
    turn = np.exp(1j * np.outer(np.arange(T), config.rope_theta ** (-2 * np.arange(D // 2) / D)))  # (T, D/2)
    for i in range(config.n_layer):
        for name in "qk":
            before, after = ([in_pairs(x) for x in trace[f"blocks.{i}.{place}{name}"]] for place in ("", "rot_"))
            for expected, found in ((turn * before[0], after[0]), (turn.conj() * after[1], before[1])):
                if np.abs(expected - found).max() > 100 * eps("float64") * np.abs(expected).max():
                    return True
    made = model(npgpt, weights, config=config)
    logits = made(ids)
    made.turns = made.turns.at(slice(1, None))  # every position is the next one
    if np.abs(made(ids) - logits).max() > 1e3 * eps("float64") * np.abs(logits).max():
        return True
    if carried_on_is_not_the_whole(config, weights, ids):
        return True
    return config.tie_weights and tied_is_not_the_sum(config, weights, ids, targets, gradients)


def in_pairs(x):
    """(..., D) -> (..., D/2): the pairs (i, i + D/2) as complex numbers."""
    first, second = np.split(x, 2, axis=-1)
    return first + 1j * second


def carried_on_is_not_the_whole(config, weights, ids) -> bool:
    """Whether a text read in two parts, from an empty state, has other logits at its end than one read at once."""
    made = model(npgpt, weights, config=config)
    past = made.remember(len(ids))
    made.next_logits(ids[:, :2], past)
    last, whole = made.next_logits(ids[:, 2:], past), made(ids)
    return np.abs(last - whole[:, -1]).max() > 1e3 * eps("float64") * np.abs(whole).max() or not np.array_equal(
        made(ids), whole
    )


# config.kind -> (config, weights, ids, targets, trace, gradients) -> whether something is wrong
OWN_PROPERTIES: dict[str, Callable[..., bool]] = {
    "gpt": gpt_properties,
    "lstm": lstm_properties,
    "mamba": mamba_properties,
    "llama": llama_properties,
}


# -------------------------------------------------------------------------------------------------------------- the optimiser


def optimiser_parity(seed: int, config: Config = CONFIG) -> bool:
    """AdamW and clipping against torch's over a few steps, with gradients above and below the norm that is allowed. (They are
    the same for every model.)"""
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


CHECKS: dict[str, Callable[..., bool]] = {  # each takes a seed and, for another model than a GPT, its config
    "forward parity": forward_parity,
    "gradient parity": gradient_parity,
    "complex step": complex_step,
    "finite differences": finite_differences,
    "property": properties,
    "optimiser parity": optimiser_parity,
}


MODEL_CHECKS = {  # the same without the operations by themselves, and what does not ask for the kind of model
    "forward parity": partial(model_parity, False),
    "gradient parity": partial(model_parity, True),
    "complex step": model_complex_step,
    "finite differences": finite_differences,
    "property": properties,
}


def rings(check: Callable[..., bool], seed: int, *config: Config) -> bool:
    """The check's answer; an exception inside the code under test is an alarm too."""
    with np.errstate(all="ignore"):
        try:
            return bool(check(seed, *config))
        except (AssertionError, ArithmeticError, ValueError, IndexError):
            return True
