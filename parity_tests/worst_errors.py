"""The largest rounding error of each operation that a search can find, in eps x magnitude.

    python -m parity_tests.worst_errors                 10,000 examples a label, then writes worst_errors.json (some minutes)
    python -m parity_tests.worst_errors --only silu     the same for one operation; the others' figures stay
    python -m parity_tests.worst_errors 500             a quick look, which writes nothing

A label is an operation's output or one of its gradients. npgpt computes in float32, and the truth is PyTorch's float64 on the
same inputs; the magnitude is the operation's own (op_table.py). hypothesis draws inputs and, told each error through `target`,
climbs towards larger ones. test_ops.py fails where a run finds more than twice the figure in the file.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings, target
from hypothesis import strategies as st

from .op_table import TABLE, Op, as_tuple, cases, cotangent, in_float64, run_torch
from .tolerances import local_error

FILE = Path(__file__).with_suffix(".json")
GRADIENTS = {
    "linear": ("dx", "dweight", "dbias"),
    "softmax": ("dx",),
    "layer_norm": ("dx", "dweight", "dbias"),
    "gelu": ("dx",),
    "attention": ("dq", "dk", "dv"),
    "attention_in_tiles": ("dq", "dk", "dv"),
    "cross_entropy": ("dlogits",),
    "dropout": ("dx",),
    "embedding": ("dweight",),
    "add_position": ("dx", "dtable"),
    "silu": ("dx",),
    "softplus": ("dx",),
    "rms_norm": ("dx", "dweight"),
    "causal_conv": ("dx", "dweight", "dbias"),
    "lstm_cell": ("dx", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh", "dh_prev", "dc_prev"),
    "lstm": ("dx", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh", "dh0", "dc0"),
    "selective_scan": ("du", "ddelta", "dA", "dB", "dC", "dD", "dh0"),
    "rope": ("dx",),
    "grouped_attention": ("dq", "dk", "dv"),
    "swiglu": ("dgate", "dup"),
}


def errors_of(op: Op, case) -> dict[str, float]:
    """Label -> error in eps x magnitude, for the output and each gradient of one example."""
    inputs, rng = case.build()
    y, cache = op.forward(*inputs)
    dy = cotangent(rng, y, case.dtype)
    wide, wide_dy = in_float64(inputs), dy.astype(np.float64)
    true_y, true_gradients = run_torch(op, wide, wide_dy, "cpu")
    y_magnitude, magnitudes = op.magnitude(wide_dy, *wide)
    ours, right, sizes = (y, *as_tuple(op.backward(dy, cache))), (true_y, *true_gradients), (y_magnitude, *magnitudes)
    names = [f"{op.name} {part}" for part in ("output", *GRADIENTS[op.name])]
    return {name: local_error(np.asarray(a), b, m) for name, a, b, m in zip(names, ours, right, sizes, strict=True)}


def search(name: str, examples: int, derandomize: bool = False) -> dict[str, float]:
    """Label -> the largest error found in that many examples, for one operation. Every example counts for all its labels, and
    hypothesis climbs towards the largest error of each."""
    op = TABLE[name]
    worst: dict[str, float] = {}

    @settings(
        max_examples=examples, database=None, deadline=None, derandomize=derandomize, suppress_health_check=list(HealthCheck)
    )
    @given(cases(op, st.just("float32")))
    def climb(case):
        for label, error in errors_of(op, case).items():
            worst[label] = max(worst.get(label, 0.0), error)
            target(error, label=label)

    climb()
    return worst


def known() -> dict[str, float]:
    """The figures in the file, by label."""
    return json.loads(FILE.read_text())["worst"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("examples", type=int, nargs="?", help="a label; without it 10,000, and the file is written")
    parser.add_argument("--only", choices=TABLE, metavar="NAME", help="search one operation alone")
    args = parser.parse_args()
    examples = 10_000 if args.examples is None else args.examples
    if examples < 1:
        parser.error(f"examples must be at least 1, got {examples}")
    worst = {}
    for name in [args.only] if args.only else TABLE:
        worst |= {label: round(error, 2) for label, error in search(name, examples).items()}
        print("  ".join(f"{label} {worst[label]:.2f}" for label in worst if label.startswith(name + " ")), flush=True)
    if args.examples is None:
        told = {"unit": "eps x magnitude", "examples a label": examples, "worst": worst}
        if args.only:
            told = json.loads(FILE.read_text())
            told["worst"] |= worst
        FILE.write_text(json.dumps(told, indent=1) + "\n")
        print(f"wrote {FILE.name}")


if __name__ == "__main__":
    main()
