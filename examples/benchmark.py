"""How fast is a training step in NumPy, and in torch on the same CPU?

    python examples/benchmark.py                 both sizes, both backends, the ratio
    python examples/benchmark.py --work article  one of them

One step is zero_grad, forward, backward, clip, AdamW: in npgpt by hand, in torchgpt by autograd, scaled_dot_product_attention
and fused AdamW. Each backend runs in a process of its own, in turn for several rounds, so that neither disturbs the other and a
slow moment of the machine hits both. Single times depend on the machine and its load; the ratio is what to quote.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time

BACKENDS = {"numpy": "npgpt", "torch": "torchgpt"}
WORKS = {  # name -> (description, GPTConfig options, batch size, counted steps a round)
    "article": ("the article's model, B=4, T=12", None, 4, 1500),
    "nanogpt": (
        "nanoGPT's CPU size (4 layers, 4 heads, 128 wide), B=12, T=64",
        {
            "vocab_size": 65,
            "n_layer": 4,
            "n_head": 4,
            "n_embd": 128,
            "seq_len": 64,
            "position": "learned",
            "tie_weights": True,
            "head_bias": False,
        },
        12,
        60,
    ),
}


def measure(work: str, backend_name: str) -> None:
    """Prints the median time of one training step, in seconds, as JSON. Runs in a process of its own."""
    import numpy as np

    backend = importlib.import_module(BACKENDS[backend_name])
    _, options, batch_size, steps = WORKS[work]
    config = backend.GPTConfig.article() if options is None else backend.GPTConfig(**options)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(config.vocab_size, size=(2, batch_size, config.seq_len))
    model = backend.GPTModel(config)
    parameters = list(model.parameters())
    optimizer = backend.AdamW(parameters)
    times = []
    for _ in range(steps // 5 + steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        model.loss_and_grad(ids, targets)
        backend.clip_grad_norm(parameters, 1.0)
        optimizer.step()
        times.append(time.perf_counter() - start)
    print(json.dumps(statistics.median(times[steps // 5 :])))  # the first steps warm up


def run(work: str, backend_name: str) -> float:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", backend_name, "--work", work]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        sys.exit(f"error: measuring {work} with {backend_name} failed; its message stands above")
    return json.loads(answer.stdout)


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--work", choices=[*WORKS, "all"], default="all", help="which model to measure")
    parser.add_argument("--rounds", type=int, default=5, help="how often the backends take turns")
    parser.add_argument("--measure", choices=BACKENDS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.work, args.measure)
    if args.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {args.rounds}")
    try:
        versions = {name: importlib.metadata.version(name) for name in ("numpy", "torch")}
    except importlib.metadata.PackageNotFoundError as error:
        parser.error(f"{error.name} is not installed; the comparison needs it: pip install -e '.[torch]'")

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"machine   {processor()}, {cores} cores, {platform.system()} {platform.machine()}")
    print(f"versions  Python {platform.python_version()}, NumPy {versions['numpy']}, torch {versions['torch']}")
    for work in WORKS if args.work == "all" else [args.work]:
        times = {name: [] for name in BACKENDS}
        for _ in range(args.rounds):
            for name in BACKENDS:
                times[name].append(run(work, name))
        print(f"\n{WORKS[work][0]}; float32, one training step, median of {args.rounds} rounds' medians")
        for name in BACKENDS:
            low, median, high = min(times[name]), statistics.median(times[name]), max(times[name])
            print(f"  {BACKENDS[name]:8s} {1e3 * median:9.3f} ms   (rounds {1e3 * low:.3f} .. {1e3 * high:.3f})")
        ratios = [torch / numpy for torch, numpy in zip(times["torch"], times["numpy"], strict=True)]
        print(f"  torch time / npgpt time: {statistics.median(ratios):.2f}   (rounds {min(ratios):.2f} .. {max(ratios):.2f})")


if __name__ == "__main__":
    main()
