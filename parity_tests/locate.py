"""Where do two models part? The first tensor, forward or backward, that leaves its tolerance, and the mistake that fits.

`record` writes down everything that one training step computes, in the order of computation: the forward's intermediates,
the loss, the gradients from the logits back to the embedding with the parameters where the chain reaches them, the clipping
and the weights after each of two AdamW steps. `first_divergence` compares two such records and asks npgpt/check/diagnose.py
which mistake would make the one out of the other.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

import npgpt
import torchgpt
from npgpt.check.diagnose import Mistake, likely_mistake
from npgpt.ops.gelu import A, K

from .operations import ops
from .strategies import trained_names
from .tolerances import as_numpy, eps, model_scale

LR, WEIGHT_DECAY, STEPS = 0.01, 0.1, 2
B1, B2 = 0.9, 0.999  # AdamW's defaults
OPTIMISER = ("gradient norm", "clipped gradients", *(f"weights after step {n}" for n in range(1, STEPS + 1)))


@dataclass(frozen=True)
class Record:
    """One training step, written down."""

    tensors: dict[str, np.ndarray]  # in the order of computation: what is compared
    ids: np.ndarray  # (B, T)
    weights: dict[str, np.ndarray]  # the state_dict from before the step
    flat_weights: np.ndarray  # the trained ones of them, in one vector
    step_gradients: list[np.ndarray]  # what each step of AdamW was given, likewise


def record(model, ids, targets, max_norm: float) -> Record:
    """Everything that the model computes for this batch. Its weights are changed by two steps of AdamW, then put back.

    max_norm : for the clipping; below the gradient's norm, so that it clips.
    """
    backend = npgpt if model.backend == "npgpt" else torchgpt
    weights = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}
    trained = [name for name, _ in model.named_parameters()]
    trace = model.trace(ids, targets)
    tensors = {name: as_numpy(value) for name, (value, _) in trace.items()}
    tensors["loss"] = np.array(model.loss(ids, targets))

    model.zero_grad()
    model.loss_and_grad(ids, targets)
    gradients = model.gradients()
    for name in backward_order(model.config, list(trace)):
        tensors[f"gradient of {name}"] = gradients[name] if name in gradients else as_numpy(trace[name][1])

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


BLOCK_BACKWARD = (  # a traced name, and the layer whose parameters' gradients are made from that name's gradient
    ("resid_post", None),
    ("ffn_out", "ffn.down"),
    ("ffn_post", None),
    ("ffn_pre", "ffn.up"),
    ("ln2", "ln2"),
    ("resid_mid", None),
    ("attn_out", "mha.projection"),
    ("z", None),
    ("pattern", None),
    ("scores", None),
    ("q", None),
    ("k", None),
    ("v", "mha.Wqkv"),
    ("ln1", "ln1"),
    ("resid_pre", None),
)


def backward_order(config, traced: list[str]) -> list[str]:
    """The names of the gradients, traced ones and parameters', in the order in which the chain rule reaches them."""
    steps = [("logits", "head"), ("ln_f", "ln_f")]
    for i in reversed(range(config.n_layer)):
        steps += [(f"blocks.{i}.{name}", layer and f"blocks.{i}.{layer}") for name, layer in BLOCK_BACKWARD]
    steps += [("pos_embed", "position_embedding"), ("embed", "token_embedding")]
    trainable = trained_names(config)
    order = []
    for name, layer in steps:
        order += [name] if name in traced else []
        order += [f"{layer}.{part}" for part in ("weight", "bias") if f"{layer}.{part}" in trainable]
    return order


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
    if list(ours.tensors) != list(right.tensors):
        raise ValueError(f"the records hold different tensors: {set(ours.tensors) ^ set(right.tensors)}")
    for group in groups(right.tensors):
        scale = model_scale({name: right.tensors[name] for name in group})
        for name in group:
            mine, reference = ours.tensors[name], right.tensors[name]
            E = relative_error(right32.tensors[name], reference, scale[name]).max(initial=0.0) / eps("float32")
            bound = 16 * (E + 8) * eps(dtype)
            errors = relative_error(mine, reference, scale[name])
            if errors.max(initial=0.0) > bound:
                index = tuple(int(i) for i in np.unravel_index(errors.argmax(), errors.shape))
                numbers = float(mine[index]), float(reference[index]), float(errors[index]), bound
                return Divergence(name, index, *numbers, explain(name, ours, right, config))
    return None


def groups(names) -> list[list[str]]:
    """The names whose magnitudes belong together: the forward's values, the gradients, the optimiser's results one by one."""
    forward = [name for name in names if not name.startswith("gradient of ") and name not in OPTIMISER]
    backward = [name for name in names if name.startswith("gradient of ")]
    return [forward, backward, *([name] for name in OPTIMISER if name in names)]


def relative_error(ours: np.ndarray, right: np.ndarray, scale: float) -> np.ndarray:
    """|ours - right| / scale, elementwise; 0 where both are the same infinity, inf where only one is not finite."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(right, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(a - b) / (scale or 1.0)
    errors = np.where(a == b, 0.0, errors)
    return np.where(np.isnan(errors), np.inf, errors)


# ------------------------------------------------------------------------- what the right answer would look like with a mistake


def explain(name: str, ours: Record, right: Record, config) -> Mistake | None:
    """The mistake that fits the first wrong tensor. Everything before it is right, so hypotheses are built from `right`."""
    if name.startswith("weights after"):
        return explain_update(name, right, ours)
    terms, alternatives = hypotheses(name, right, config)
    wrong, correct = (np.atleast_1d(each.tensors[name]) for each in (ours, right))
    return likely_mistake(wrong, np.float64(correct), sizes(right, config), terms, alternatives)


def sizes(right: Record, config) -> dict[str, float]:
    """The sizes that a forgotten or misplaced normalisation may have left behind."""
    B, T, C = right.tensors["embed"].shape
    D = config.head_size
    return {
        "T": T,
        "B * T": B * T,
        "B": B,
        "sqrt(D)": math.sqrt(D),
        "D": D,
        "sqrt(C)": math.sqrt(C),
        "C": C,
        "V": config.vocab_size,
        "H": config.n_head,
        "sqrt(C/D)": math.sqrt(C / D),
    }


def hypotheses(name: str, right: Record, config) -> tuple[dict, dict]:
    """(terms, alternatives) for `likely_mistake`, from the formulas of the operation that makes this tensor."""
    is_gradient = name.startswith("gradient of ")
    tensor = name.removeprefix("gradient of ")
    block, part = re.fullmatch(r"(blocks\.\d+\.)?(.*)", tensor).groups()
    block = block or ""

    def value(other: str) -> np.ndarray:
        return np.float64(right.tensors[block + other])

    def grad(other: str) -> np.ndarray:
        return np.float64(right.tensors[f"gradient of {block}{other}"])

    if not is_gradient:
        return forward_hypotheses(part, value, right, config)
    if part == "logits":
        p = ops.softmax(value("logits"))[0]
        N = p.shape[0] * p.shape[1]
        return {"the one-hot target": grad("logits") - p / N, "the softmax": p / N}, {}
    if part in ("q", "k", "v", "pattern", "scores"):
        return attention_hypotheses(part, value, grad, config)
    if part == "ffn_pre":
        factor = grad("ffn_post") * 0.5 * (1 + ops.gelu(value("ffn_pre"))[1].t)
        x, t = ops.gelu(value("ffn_pre"))[1]
        cubic = grad("ffn_post") * 0.5 * x * (1 - t * t) * 3 * K * A * x * x
        gate = grad("ffn_pre") - factor
        return {"the path through the factor x": factor, "the path through the gate": gate, "the slope's cubic part": cubic}, {}
    if part in ("resid_post", "resid_mid", "resid_pre"):
        return stream_hypotheses(tensor, right, config)
    return {}, parameter_hypotheses(tensor, right, config)


def forward_hypotheses(part: str, value, right: Record, config) -> tuple[dict, dict]:
    """For the forward's values: a residual branch left out, a mask in the wrong place."""
    if part == "resid_mid":
        return {"the residual stream": value("resid_pre"), "attention's output": value("attn_out")}, {}
    if part == "resid_post" and config.ffn_size:
        return {"the residual stream": value("resid_mid"), "the FFN's output": value("ffn_out")}, {}
    if part == "resid_pre":
        embed, table = right.tensors["embed"], right.weights.get("position_embedding.weight", right.tensors["pos_embed"][0])
        shifted = {
            f"positions stand one place too {word}": ("shift", embed + np.roll(table, step, axis=0)[: embed.shape[1]])
            for word, step in (("late", 1), ("early", -1))
        }
        return {"the position": right.tensors["pos_embed"] + 0 * embed, "the token": embed}, shifted
    if part == "z":
        pattern = value("pattern")
        return {}, {"the pattern is transposed": ("transpose", pattern.swapaxes(-1, -2) @ value("v"))}
    if part == "gradient norm":
        gradients = [right.tensors[name] for name in (f"gradient of {name}" for name in right.weights) if name in right.tensors]
        squares, largest = sum((g**2).sum() for g in gradients), max(np.abs(g).max() for g in gradients)
        return {}, {
            "the root of the sum of squares is missing": ("factor", np.array([squares])),
            "it is the largest element": ("factor", np.array([largest])),
        }
    if part == "scores":
        q, k = value("q"), value("k")
        T = q.shape[-2]
        unmasked = q @ k.swapaxes(-1, -2) / math.sqrt(config.head_size)
        rows, columns = np.arange(T)[:, None], np.arange(T)
        masks = {
            "no mask": columns < 0,
            "the mask starts one place late": columns > rows + 1,
            "it hides the present": columns >= rows,
        }
        masks["it hides the past"] = columns < rows
        alternatives = {
            f"the causal mask is wrong: {text}": ("missing term", np.where(hidden, -np.inf, unmasked))
            for text, hidden in masks.items()
        }
        return {}, alternatives
    return {}, {}


def attention_hypotheses(part: str, value, grad, config) -> tuple[dict, dict]:
    """Transposes, scales and softmax terms of the attention backward; see npgpt/ops/attention.py."""
    q, k, v, pattern = (np.float64(value(name)) for name in ("q", "k", "v", "pattern"))
    dz, dpattern, dscores = (np.float64(grad(name)) for name in ("z", "pattern", "scores"))
    scale = 1 / math.sqrt(config.head_size)

    def t(a):
        return a.swapaxes(-1, -2)

    def own(a):  # only the diagonal: what a position gives itself
        return a * np.eye(a.shape[-1])

    if part == "scores":
        mean = pattern * (pattern * dpattern).sum(-1, keepdims=True)
        return {"the mean of dp under p": -mean, "p * dp": pattern * dpattern}, {
            "p is left out in front": ("missing term", dpattern - (pattern * dpattern).sum(-1, keepdims=True)),
            "dp goes through unchanged, without the softmax": ("missing term", np.where(pattern > 0, dpattern, 0)),
        }
    made_of = {"q": (dscores, scale * k), "k": (t(dscores), scale * q), "v": (t(pattern), dz), "pattern": (dz, t(v))}
    a, b = made_of[part]
    alternatives = {}
    if part in "qkv":
        alternatives["the (T, T) matrix is not transposed" if part != "q" else "dscores is transposed"] = (
            "transpose",
            t(a) @ b,
        )
        alternatives["each position gets only what it gave itself, not what the later ones send"] = ("missing term", own(a) @ b)
        alternatives["the softmax's backward is left out"] = (
            "missing term",
            (t(dpattern) if part == "k" else dpattern) @ b if part != "v" else a @ b,
        )
    return {}, alternatives


def stream_hypotheses(tensor: str, right: Record, config) -> tuple[dict, dict]:
    """The gradient of the residual stream: what comes past a branch, and LayerNorm's terms of what comes through it."""
    block, part = tensor.rsplit(".", 1)
    last = f"blocks.{config.n_layer - 1}"
    norm, stream = {
        "resid_post": ("ln_f", None) if block == last else (None, None),
        "resid_mid": (f"{block}.ln2", f"{block}.resid_post"),
        "resid_pre": (f"{block}.ln1", f"{block}.resid_mid"),
    }[part]
    if norm not in right.tensors:
        return {}, {}
    x, dy, weight = right.tensors[tensor], right.tensors[f"gradient of {norm}"], right.weights[f"{norm}.weight"]
    terms = layer_norm_terms(x, dy, weight)
    without_gain = sum(layer_norm_terms(x, dy, np.ones_like(weight)).values())
    terms["LayerNorm's terms through mean and rstd"] = sum(terms.values()) - terms["LayerNorm's direct term"]
    past = 0
    if stream:
        past = right.tensors[f"gradient of {stream}"]
        terms |= {"the residual branch": past, "the branch through LayerNorm": right.tensors[f"gradient of {tensor}"] - past}
    return terms, {"LayerNorm's gain is left out": ("missing term", past + without_gain)}


def layer_norm_terms(x: np.ndarray, dy: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """The three terms of dx, with their signs; see npgpt/ops/layer_norm.py."""
    x, dxhat = np.float64(x), np.float64(dy * weight)
    C = x.shape[-1]
    xhat, rstd, _ = ops.layer_norm(x, np.ones(C), np.zeros(C))[1]

    def mean(a):
        return a.mean(axis=-1, keepdims=True)

    return {
        "LayerNorm's term through the mean": -rstd * mean(dxhat) + 0 * x,
        "LayerNorm's term through rstd": -rstd * xhat * mean(dxhat * xhat),
        "LayerNorm's direct term": rstd * dxhat,
    }


def parameter_hypotheses(tensor: str, right: Record, config) -> dict[str, tuple[str, np.ndarray]]:
    """What a parameter's gradient would be if its sum over the positions had been taken wrongly."""
    layer, _, part = tensor.rpartition(".")
    dx = np.float64(right.tensors["gradient of embed"])  # (B, T, C)
    ids, C = right.ids, dx.shape[-1]
    if re.search(r"ln\w*$", layer) and part == "weight":
        dy = right.tensors[f"gradient of {layer}"]
        return {"xhat is left out": ("missing term", dy.reshape(-1, C).sum(axis=0))}
    if tensor == "pos_embed":
        return {"only the first sequence of the batch arrives": ("missing term", dx[:1])}
    if tensor == "position_embedding.weight":
        first = np.zeros((config.seq_len, C))
        first[: dx.shape[1]] = dx[0]
        return {"only the first sequence of the batch arrives": ("missing term", first)}
    if tensor == "token_embedding.weight":
        lookup, last = np.zeros((config.vocab_size, C)), np.zeros((config.vocab_size, C))
        np.add.at(lookup, ids, dx)
        last[ids.reshape(-1)] = dx.reshape(-1, C)
        head = right.tensors[f"gradient of {tensor}"] - lookup  # 0 unless the head is tied
        return {
            "the tied head's gradient is missing": ("missing term", lookup),
            "the lookup's gradient is missing": ("missing term", head),
            "the tied head's gradient counts twice": ("double count", lookup + 2 * head),
            "the lookup's gradient counts twice": ("double count", 2 * lookup + head),
            "of a repeated id's gradients only the last is kept": ("missing term", head + last),
        }
    return {}


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
