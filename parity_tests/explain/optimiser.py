"""AdamW with one mistake at a time. It is the same for every kind of model."""

import numpy as np

from npgpt.check.diagnose import Mistake, likely_mistake

from ..record import LR, WEIGHT_DECAY, Record

B1, B2 = 0.9, 0.999  # AdamW's defaults


def explain_update(name: str, right: Record, ours: Record) -> Mistake | None:
    """For the weights after a step: AdamW again, from the same gradients, with one mistake at a time."""
    n = int(name.rsplit(" ", 1)[1])
    gradients = [np.float64(gradient) for gradient in right.step_gradients[:n]]
    start, wrong, correct = right.flat_weights, ours.tensors[name], right.tensors[name]
    mistakes = {
        "the bias correction of m is missing": ("factor", {"correct_m": False}),
        "the bias correction of v is missing": ("factor", {"correct_v": False}),
        "both bias corrections are missing": ("factor", {"correct_m": False, "correct_v": False}),
        "eps stands inside the root": ("factor", {"eps_inside": True}),
        "eps is left out": ("missing term", {"eps": 0.0}),
        "the betas are swapped": ("factor", {"b1": B2, "b2": B1}),
        "v collects |g|, not g^2": ("factor", {"power": 1}),
        "the weight decay is missing": ("missing term", {"decay": 0.0}),
        "the weight decay lacks the factor lr": ("factor", {"decay": WEIGHT_DECAY / LR}),
        "the weight decay goes through the moments": ("factor", {"decay": 0.0, "in_moments": WEIGHT_DECAY}),
        "the weight decay is added, not subtracted": ("sign", {"decay": -WEIGHT_DECAY}),
        "the step goes uphill": ("sign", {"direction": -1}),
        "the root of v is left out": ("factor", {"root": False}),
    }
    alternatives = {text: (kind, adamw(start, gradients, **change) - start) for text, (kind, change) in mistakes.items()}
    return likely_mistake(wrong - start, correct - start, {"lr": LR}, None, alternatives)


def adamw(
    w,
    gradients,
    *,
    b1=B1,
    b2=B2,
    eps=1e-8,
    decay=WEIGHT_DECAY,
    in_moments=0.0,
    correct_m=True,
    correct_v=True,
    eps_inside=False,
    power=2,
    root=True,
    direction=1,
) -> np.ndarray:
    """The weights after one step for each gradient; every keyword but the betas, eps and decay is a mistake one can make."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + in_moments * w
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.abs(g) ** power
        mhat = m / (1 - b1**t) if correct_m else m
        vhat = v / (1 - b2**t) if correct_v else v
        denominator = np.sqrt(vhat + eps) if eps_inside else (np.sqrt(vhat) if root else vhat) + eps
        with np.errstate(divide="ignore", invalid="ignore"):
            w = w - LR * decay * w - direction * LR * mhat / denominator
    return w
