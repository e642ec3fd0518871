"""Is it right here, too? One row for every parameter and every intermediate, against PyTorch's float64 on the CPU.

    python -m parity_tests.report                          the article's model, npgpt in float32
    python -m parity_tests.report --preset small --n-layer 3 --position sinusoidal --seed 7
    python -m parity_tests.report --preset small --help    which options the preset's kind of model has
    python -m parity_tests.report --pretrained gpt2        on the weights of a folder of Hugging Face's transformers
    python -m parity_tests.report --device cuda            torchgpt on that device: which tensors differ, and by how much?
    python -m parity_tests.report --bug attention_dk_not_transposed

Errors are relative to the largest element of the tensor (or a thousandth of the largest tensor of its kind, where that is
more), in units of the dtype's eps. "torch" is the error of PyTorch's own float32 on the CPU, and "ratio" ours over that. The
verdict is rule 2 of tolerances.py. The exit status is 0 where every row is right, 1 where one is not, 2 for a bad option.
"""

import argparse
import contextlib
import dataclasses
import html
import json
import platform
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

import npgpt
import npgpt.runs.files
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig
from npgpt.models import layout_of
from npgpt.models.config import Config
from npgpt.models.layout import Fill, taken_from
from npgpt.pictures.shown import table, verdict_word
from npgpt.pretrained import read_pretrained

from .bugs import CATALOGUE
from .locate import Divergence, first_divergence, relative_error
from .record import GRADIENT, Record, record
from .strategies import random_weights
from .tolerances import eps, model_scale

PRESETS: dict[str, Config] = {  # of any kind of model: a new one adds its own
    "article": GPTConfig.article(),
    "article275": GPTConfig.article(train_qkv=True),
    "small": GPTConfig(65, 2, 4, 32, 16, position="learned", tie_weights=True, head_bias=False),
    "gpt2": GPTConfig.gpt2(),
    "lstm": LSTMConfig(65, 2, 32, 32, 16, tie_weights=True),
    "mamba": MambaConfig(65, 2, 32, 16),
    "llama": LlamaConfig(65, 2, 4, 32, 16, n_kv_head=2),
}


@dataclass(frozen=True)
class Row:
    """One tensor. Errors in eps of the dtype; None where the tensor has no such number."""

    name: str
    kind: str  # "parameter", "buffer" or "intermediate"
    shape: tuple[int, ...]
    value_error: float
    value_torch: float
    gradient_error: float | None
    gradient_torch: float | None
    ok: bool

    @property
    def ratio(self) -> float | None:
        """The larger of our two errors over torch's own at that place; None where torch made none."""
        pairs = [(self.value_error, self.value_torch), (self.gradient_error, self.gradient_torch)]
        ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
        return max(ratios, default=None)


@dataclass(frozen=True, repr=False)
class Report:
    subject: str
    config: Config
    seed: int
    dtype: str
    device: str
    rows: list[Row]
    divergence: Divergence | None

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows) and self.divergence is None

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        rows = [(*cells(row)[:-1], verdict_word(row.ok)) for row in self.rows]
        return table("\n".join(headline(self)), COLUMNS, rows)


def make_report(
    config: Config,
    *,
    weights: Fill | None = None,
    optimiser=True,
    seed=0,
    dtype="float32",
    device="cpu",
    std=0.1,
    batch_size=4,
    length=None,
) -> Report:
    """Compares npgpt (on the CPU) or torchgpt (on another device) with torchgpt's float64 on the CPU.

    weights : the models'; None: random ones of that std. length : of the sequences; None takes config.seq_len.
    optimiser : whether two steps of AdamW are compared too, which takes six times the memory.
    """
    rng = np.random.default_rng(seed)
    if weights is None:
        drawn = {name: value.astype(np.float32) for name, value in random_weights(rng, config, std).items()}
        weights = taken_from(drawn, layout_of(config))
    ids, targets = rng.integers(config.vocab_size, size=(2, batch_size, length or config.seq_len))

    def model(backend, dtype, device="cpu"):
        return backend.make_model(config, device, dtype=dtype, weights=weights)

    max_norm = 0.5 * gradient_norm(model(torchgpt, "float64"), ids, targets) if optimiser else None
    here = torchgpt.pick_device(device)
    ours = (npgpt, dtype) if here.type == "cpu" else (torchgpt, dtype, device)
    sides = (ours, (torchgpt, "float64"), (torchgpt, "float32"))
    records = [record(model(*side), ids, targets, max_norm) for side in sides]  # one model at a time, however large
    name = "npgpt" if here.type == "cpu" else f"torchgpt on {here}"
    rows, divergence = list(compare(*records, dtype)), first_divergence(*records, config, dtype)
    return Report(name, config, seed, dtype, str(here), rows, divergence)


def gradient_norm(model, ids, targets) -> float:
    """The norm of the whole gradient."""
    model.loss_and_grad(ids, targets)
    return np.sqrt(sum(float((g**2).sum()) for g in model.gradients().values()))


def compare(ours: Record, right: Record, own: Record, dtype: str) -> Iterator[Row]:
    """A row for each entry of the state_dict, then one for each traced intermediate."""
    records = (ours, right, own)
    states = [each.weights for each in records]
    gradients = [
        {name.removeprefix(GRADIENT): tensor for name, tensor in each.tensors.items() if name.startswith(GRADIENT)}
        for each in records
    ]
    traced = [name for name in gradients[1] if name not in states[1]]
    values = [{name: each.tensors[name] for name in traced} for each in records]
    state_errors, state_verdict = errors(*states, dtype)
    value_errors, value_verdict = errors(*values, dtype)
    gradient_errors, gradient_verdict = errors(*gradients, dtype)
    for name, array in states[1].items():
        kind = "parameter" if name in gradients[1] else "buffer"
        ok = state_verdict[name] and gradient_verdict.get(name, True)
        yield Row(name, kind, array.shape, *state_errors[name], *gradient_errors.get(name, (None, None)), ok)
    for name, array in values[1].items():
        ok = value_verdict[name] and gradient_verdict[name]
        yield Row(name, "intermediate", array.shape, *value_errors[name], *gradient_errors[name], ok)


def errors(ours: dict, right: dict, own: dict, dtype: str) -> tuple[dict[str, tuple[float, float]], dict[str, bool]]:
    """For each name (our error in eps of dtype, torch's float32 error in its eps), and whether rule 2 holds."""
    scale = model_scale(right)
    pairs, verdicts = {}, {}
    for name, reference in right.items():
        error = float(relative_error(ours[name], reference, scale[name]).max(initial=0.0)) / eps(dtype)
        E = float(relative_error(own[name], reference, scale[name]).max(initial=0.0)) / eps("float32")
        pairs[name], verdicts[name] = (error, E), error <= 16 * (E + 8)
    return pairs, verdicts


# ------------------------------------------------------------------------------------------------------------------ three forms

COLUMNS = ("tensor", "kind", "shape", "value", "torch", "gradient", "torch", "ratio", "verdict")


def cells(row: Row) -> list[str]:
    def number(x: float | None) -> str:
        return "-" if x is None else f"{x:.2f}" if x < 1e4 else f"{x:.1e}"

    shape = " x ".join(map(str, row.shape))
    figures = (row.value_error, row.value_torch, row.gradient_error, row.gradient_torch, row.ratio)
    return [row.name, row.kind, shape, *map(number, figures), "ok" if row.ok else "WRONG"]


def headline(report: Report) -> list[str]:
    wrong = sum(not row.ok for row in report.rows)
    options = ", ".join(f"{name}={value}" for name, value in report.config.to_dict().items())
    lines = [
        f"{report.subject}, {report.dtype}, seed {report.seed}, against torchgpt in float64 on the CPU; errors in its eps",
        f"{report.config.kind}: {options}",
        f"Python {platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}, {platform.machine()}",
    ]
    if report.device.startswith("cuda"):
        lines.append(f"{torch.cuda.get_device_name(report.device)}, tf32 products: {torch.backends.cuda.matmul.allow_tf32}")
    lines.append(f"{len(report.rows)} tensors of one forward and backward pass, {wrong} wrong")
    if report.divergence:
        lines.append(str(report.divergence))
    return lines


def as_text(report: Report) -> str:
    table = [list(COLUMNS), *map(cells, report.rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    rows = [
        "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in table
    ]
    return "\n".join([*rows, "", *headline(report), "PASSED" if report.ok else "FAILED"])


def as_json(report: Report) -> str:
    rows = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in report.rows]
    divergence = dataclasses.asdict(report.divergence) if report.divergence else None
    if report.divergence and report.divergence.mistake:
        divergence["mistake"] = report.divergence.mistake._asdict()
    header = {name: getattr(report, name) for name in ("ok", "subject", "seed", "dtype", "device")}
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
    content = header | {
        "kind": report.config.kind,
        "config": report.config.to_dict(),
        "versions": versions,
        "rows": rows,
        "divergence": divergence,
    }
    return json.dumps(finite(content), indent=1)


def finite(content):
    """JSON has no inf and nan: they become the strings "inf" and "nan"."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return str(content) if isinstance(content, float) and not np.isfinite(content) else content


def as_html(report: Report) -> str:
    """One page with its style inside; it needs no network."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        f'<tr class="{"ok" if row.ok else "wrong"}">'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row))
        + "</tr>\n"
        for row in report.rows
    )
    lines = "".join(f"<p>{html.escape(line)}</p>" for text in headline(report) for line in text.splitlines())
    style = (
        "body{font:15px system-ui,sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse}"
        "td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:right;font-variant-numeric:tabular-nums}"
        "td:nth-child(-n+3),th:nth-child(-n+3){text-align:left}.wrong td{background:#fbe3e4;font-weight:bold}p{margin:.3em 0}"
    )
    title = f"Parity report: {'passed' if report.ok else 'FAILED'}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        f"<h1>{title}</h1>{lines}<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></html>\n"
    )


def add_config_options(parser: argparse.ArgumentParser, config: Config) -> None:
    """An option for each of the config's, named alike, of its type and with its value as the default."""
    types = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        flag = "--" + field.name.replace("_", "-")
        common = {"default": getattr(config, field.name), "help": f"as in {type(config).__name__}"}
        if types[field.name] is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
        else:  # "int | None" is read as an int: None is what it is where nobody gives it
            first = next(iter(typing.get_args(types[field.name])), types[field.name])
            parser.add_argument(flag, type=first, metavar=first.__name__.upper(), **common)


def parse_arguments(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """In two steps: which options there are depends on the kind of the preset's model."""
    preset = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    which = preset.add_mutually_exclusive_group().add_argument
    which("--preset", choices=PRESETS, default="article", help="the model; the options of its config change it")
    which("--pretrained", metavar="PATH", help="the model in a folder of transformers or a .gguf file; without AdamW's steps")
    parser = argparse.ArgumentParser(
        prog="python -m parity_tests.report",
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        parents=[preset],
        allow_abbrev=False,
    )
    chosen = preset.parse_known_args(arguments)[0]
    if chosen.pretrained is None:
        add_config_options(parser, PRESETS[chosen.preset])
    add, B, T = parser.add_argument, 4, None
    if chosen.pretrained is not None:
        B, T = 1, 8
    add("--seed", type=int, default=0, help="of the weights and tokens")
    add("--std", type=float, default=0.1, help="standard deviation of the weights")
    add("--batch-size", type=int, default=B)
    add("--length", type=int, default=T, help="of the sequences; None: the model's seq_len")
    add("--dtype", choices=("float32", "float64"), default="float32")
    add("--device", default="cpu", help="cpu: checks npgpt; cuda, cuda:N, mps: checks torchgpt there")
    add("--bug", choices=CATALOGUE, metavar="NAME", help="switch on a bug of parity_tests/bugs.py")
    add("--json", metavar="FILE", help="write the report as JSON ('-': print it instead of the table)")
    add("--html", metavar="FILE", help="write the report as a self-contained page")
    return parser, parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    parser, args = parse_arguments(arguments)
    preset = PRESETS[args.preset]
    try:
        for name, least in (("batch_size", 1), ("seed", 0), ("length", 1)):
            if getattr(args, name) is not None and getattr(args, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(args, name)}")
        if args.pretrained is not None:
            config, weights = read_pretrained(args.pretrained)
        else:
            fields = dataclasses.fields(preset)
            config, weights = dataclasses.replace(preset, **{field.name: getattr(args, field.name) for field in fields}), None
        with CATALOGUE[args.bug].switched_on() if args.bug else contextlib.nullcontext():
            report = make_report(
                config,
                weights=weights,
                optimiser=args.pretrained is None,
                seed=args.seed,
                dtype=args.dtype,
                device=args.device,
                std=args.std,
                batch_size=args.batch_size,
                length=args.length,
            )
        for path, content in ((args.json, as_json), (args.html, as_html)):
            if path and path != "-":
                npgpt.runs.files.write_atomically(path, content(report).encode())
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    print(as_json(report) if args.json == "-" else as_text(report))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
