"""Which check catches which bug, and what the criteria of well-known projects would have caught: measures, and writes BUGS.md.

python -m parity_tests.bugs_table
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import npgpt
import torchgpt

from .bugs import CATALOGUE
from .checks import CHECKS, CONFIG, batch, difference, model, rings
from .strategies import EXAMPLES
from .tolerances import as_numpy

FILE = Path(__file__).with_name("BUGS.md")
SEEDS = 20  # of right code, for the false alarms


def results(seed: int, config):
    """(logits, loss, gradients) in float32 of npgpt, and of torch, at GPT-2's initial scale of 0.02."""
    weights, ids, targets = batch(seed, 0.02, config)
    both = []
    for backend in (npgpt, torchgpt):
        each = model(backend, weights, "float32", config)
        loss = each.loss_and_grad(ids, targets)
        both.append((as_numpy(each(ids)), loss, each.gradients()))
    return both


def llm_c(seed: int, config=CONFIG) -> bool:
    (logits, loss, gradients), (right_logits, right_loss, right) = results(seed, config)
    far = np.abs(logits - right_logits).max() >= 1e-2 or abs(loss - right_loss) >= 1e-2
    return far or not all(np.abs(gradients[name] - right[name]).max() <= 2e-2 for name in right)


def close(a, b, atol: float, rtol: float) -> bool:
    return bool((np.abs(a - b) <= atol + rtol * np.abs(b)).all())


def tinygrad(seed: int, config=CONFIG) -> bool:
    (logits, _, gradients), (right_logits, _, right) = results(seed, config)
    return not (close(logits, right_logits, 1e-6, 1e-3) and all(close(gradients[n], right[n], 1e-4, 1e-3) for n in right))


def torch_assert_close(seed: int, config=CONFIG) -> bool:
    (logits, _, gradients), (right_logits, _, right) = results(seed, config)
    pairs = [(logits, right_logits), *((gradients[name], right[name]) for name in right)]
    try:
        for ours, theirs in pairs:
            torch.testing.assert_close(torch.from_numpy(ours), torch.from_numpy(theirs))
    except AssertionError:
        return True
    return False


def onnx_runtime(seed: int, config=CONFIG) -> bool:
    """Every element of every gradient against central differences of the float64 loss, within 1.5e-2."""
    weights, ids, targets = batch(seed, 0.02, config)
    ours = model(npgpt, weights, config=config)
    ours.loss_and_grad(ids, targets)
    for name, gradient in ours.gradients().items():
        for index in np.ndindex(gradient.shape):
            unit = np.zeros_like(gradient)
            unit[index] = 1
            if not abs(difference(ours, {name: unit}, ids, targets, 1e-3) - gradient[index]) <= 1.5e-2:
                return True
    return False


def jax_check_grads(seed: int, config=CONFIG) -> bool:
    """One random direction through all parameters, step 1e-4, within 1e-5 absolute and relative (its figure for float64)."""
    weights, ids, targets = batch(seed, 0.02, config)
    ours = model(npgpt, weights, config=config)
    ours.loss_and_grad(ids, targets)
    rng = np.random.default_rng(seed)
    directions = {name: rng.standard_normal(gradient.shape) for name, gradient in ours.gradients().items()}
    along = sum((ours.gradients()[name] * direction).sum() for name, direction in directions.items())
    numerical = difference(ours, directions, ids, targets, 1e-4)
    return not abs(along - numerical) <= 1e-5 + 1e-5 * abs(numerical)


CRITERIA = {
    "llm.c": (llm_c, "test_gpt2.c: float32 against PyTorch; logits and loss within 1e-2, gradients within 2e-2, absolute"),
    "tinygrad": (tinygrad, "helper_test_op: forward atol 1e-6, rtol 1e-3; gradients atol 1e-4, rtol 1e-3"),
    "ONNX Runtime": (onnx_runtime, "gradient_ops_test.cc: finite differences of every element within 1.5e-2 (EXPECT_IS_TINY)"),
    "torch assert_close": (torch_assert_close, "float32 defaults: atol 1e-5, rtol 1.3e-6, on logits and gradients"),
    "JAX check_grads": (
        jax_check_grads,
        "defaults: one random direction, step 1e-4, within 1e-5 absolute and relative in float64 (its test_util)",
    ),
}

HEAD = """# Bugs and who catches them

Written by `python -m parity_tests.bugs_table`; do not edit. Each row is a bug of [bugs/](bugs) that was switched on, each
column a kind of check of [checks.py](checks.py), one seed each: x means that it rang. The last columns are the criteria of
well-known projects, applied by our own code to the whole model of two layers (weights of 0.02, as GPT-2 starts). The model is
of the kind that the bug concerns:

"""


def measure() -> str:
    """The whole page."""
    judges = CHECKS | {name: check for name, (check, _) in CRITERIA.items()}
    rung = {}
    for bug in CATALOGUE.values():
        with bug.switched_on():
            rung[bug.name] = [rings(check, 0, EXAMPLES[bug.kind]) for check in judges.values()]
        print(bug.name, ["x" if ring else "." for ring in rung[bug.name]], flush=True)
    right = [(seed, config) for config in EXAMPLES.values() for seed in range(SEEDS)]
    false = [sum(rings(check, *case) for case in right) for check in judges.values()]
    ours = [any(row[: len(CHECKS)]) for row in rung.values()]

    sources = "".join(f"- {name}: {what}\n" for name, (_, what) in CRITERIA.items())
    table = [["bug", "model", *judges], ["---"] * (2 + len(judges))]
    table += [[name, CATALOGUE[name].kind, *("x" if ring else "" for ring in row)] for name, row in rung.items()]
    table.append(
        ["**caught**", "", *(f"**{sum(row[i] for row in rung.values())} of {len(rung)}**" for i in range(len(judges)))]
    )
    table.append([f"alarms on right code, {SEEDS} seeds a kind", "", *map(str, false)])
    stories = "".join(f"- `{bug.name}` ({bug.source}). {bug.story}\n" for bug in CATALOGUE.values())
    note = """The other projects' tests look at single operations as well, which catches more than the same tolerance on a whole
model does; and none of them was written for our optimiser. The columns answer one question: what would this tolerance let
through?"""
    lines = "\n".join("| " + " | ".join(row) + " |" for row in table)
    summary = f"Together our checks catch {sum(ours)} of {len(ours)}."
    return f"{HEAD}{sources}\n{note}\n\n{summary}\n\n{lines}\n\n## Why training still seems to work\n\n{stories}"


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    FILE.write_text(measure(), encoding="utf-8")
    print(f"wrote {FILE.name}")


if __name__ == "__main__":
    main()
