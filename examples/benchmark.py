"""How fast is NumPy, and how fast are torch and JAX on the same CPU?

    python examples/benchmark.py                             everything
    python examples/benchmark.py --only nanogpt lstm         some models, generations, or scaling (--help names them)
    python examples/benchmark.py --picture out/ratios.png    and the ratios as a picture

A training step is zero_grad, forward, backward, clip, AdamW: in npgpt by hand; in torchgpt by autograd, with
scaled_dot_product_attention and fused AdamW; in torch.compile's version of torchgpt's GPT and Llama, where a C++ compiler is
found; and for a GPT in JAX under jit (benchmark_jax.py), where that is installed: pip install -e '.[jax]'. All begin with the
same weights, and JAX's first losses must be npgpt's. Where transformers is installed, Mamba is also
compared with its MambaForCausalLM, whose path on a CPU is plain PyTorch, and the generation of GPT-2 and SmolLM2 with its
generate.

Each runs in a process of its own, in turn for several rounds, so that none disturbs the other and a slow moment of the
machine hits all. On two cores eight of the works took 24 minutes, and GPT-2 takes 4 GB. Single times depend on the machine
and its load; ratios are what to quote. For the larger GPTs a roofline follows: how much of npgpt's step are matrix
products, and at which share of the rate that the machine reaches on large ones; what the optimiser's memory traffic takes
at least; what the calls alone cost.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import math
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import npgpt
from npgpt.backends import BACKENDS
from npgpt.machine.memory import keep_freed_memory
from npgpt.machine.sharing import shares_of_a_batch
from npgpt.machine.threads import run_together, slices
from npgpt.models import layout_of
from npgpt.models.layout import initial_weights
from npgpt.ops.attention import TILE, tiles
from npgpt.pictures import speed_ratios
from npgpt.pretrained import WRITTEN_AS

from command_line import make_out_dir, told_errors

GPT = {"position": "learned", "tie_weights": True, "head_bias": False}
NANO = npgpt.GPTConfig(65, n_layer=4, n_head=4, n_embd=128, seq_len=64, **GPT)
LONG = npgpt.GPTConfig(65, n_layer=2, n_head=4, n_embd=128, seq_len=4096, **GPT)
SMOLLM2 = npgpt.LlamaConfig.smollm2()
WORKS = {  # name -> (description, config, B, T, counted steps a round)
    "article": ("the article's model, B=4, T=12", npgpt.GPTConfig.article(), 4, 12, 1500),
    "nanogpt": ("nanoGPT's CPU size (4 layers, 4 heads, 128 wide), B=12, T=64", NANO, 12, 64, 60),
    "10m": (
        "10.8 M parameters (6 layers, 6 heads, 384 wide), B=4, T=256",
        npgpt.GPTConfig(65, n_layer=6, n_head=6, n_embd=384, seq_len=256, **GPT),
        4,
        256,
        6,
    ),
    "gpt2": ("GPT-2, 124 M parameters, B=4, T=64", npgpt.GPTConfig.gpt2(), 4, 64, 3),
    "gpt2-long": ("GPT-2, 124 M parameters, B=1, T=1024", npgpt.GPTConfig.gpt2(), 1, 1024, 2),
    "long": ("a long text (2 layers, 4 heads, 128 wide), B=1, T=4096", LONG, 1, 4096, 5),
    "gpt2-tuning": ("GPT-2, 124 M parameters, as in fine-tuning, B=1, T=256", npgpt.GPTConfig.gpt2(), 1, 256, 3),
    "smollm2-tuning": ("SmolLM2, 135 M parameters, as in fine-tuning, B=1, T=256", SMOLLM2, 1, 256, 3),
    "lstm-article": ("an LSTM of the article's size, B=4, T=12", npgpt.LSTMConfig.article(), 4, 12, 1500),
    "lstm": ("an LSTM (2 layers, 128 wide), B=12, T=64", npgpt.LSTMConfig(65, 2, 128, 128, 64), 12, 64, 60),
    "mamba": ("a Mamba (4 layers, 128 wide), B=12, T=64", npgpt.MambaConfig(65, 4, 128, 64), 12, 64, 12),
    "llama": (
        "a Llama (4 layers, 4 heads in 2 groups, 128 wide), B=12, T=64",
        npgpt.LlamaConfig(65, 4, 4, 128, 64, n_kv_head=2, ffn_hidden=384),
        12,
        64,
        60,
    ),
}
ROOFLINES = ("nanogpt", "10m", "gpt2")  # of these works
SCALING = [(4, 64), (4, 128), (4, 256), (4, 512), (8, 64), (16, 64), (32, 64)]  # (B, T)
SCALED = {  # kind -> the config of nanoGPT's CPU width for sequences of T
    "gpt": lambda T: npgpt.GPTConfig(65, 4, 4, 128, T, **GPT),
    "lstm": lambda T: npgpt.LSTMConfig(65, 2, 128, 128, T),
    "mamba": lambda T: npgpt.MambaConfig(65, 4, 128, T),
    "llama": lambda T: npgpt.LlamaConfig(65, 4, 4, 128, T, n_kv_head=2, ffn_hidden=384),
}
GENERATIONS = {  # name -> (description, config, tokens of the prompt, new tokens)
    "generation": ("nanoGPT's CPU size, 500 greedy tokens with a KV cache", NANO, 8, 500),
    "gpt2-generation": ("GPT-2, 124 M parameters, 40 greedy tokens with a KV cache", npgpt.GPTConfig.gpt2(), 8, 40),
    "gpt2-prompt": ("GPT-2, 124 M parameters, 512 tokens read and the first new one", npgpt.GPTConfig.gpt2(), 512, 1),
    "smollm2-generation": ("SmolLM2, 135 M parameters, 40 greedy tokens with a KV cache", SMOLLM2, 8, 40),
    "smollm2-prompt": ("SmolLM2, 135 M parameters, 512 tokens read and the first new one", SMOLLM2, 512, 1),
}
WITH_TRANSFORMERS = ("mamba", *(name for name in GENERATIONS if name != "generation"))  # these are compared with it too
# What npgpt may be compared with, as printed and drawn. torch.compile unrolls a recurrence, which takes minutes: it is left out
# there.
CONTESTANTS = BACKENDS | {"compile": "torch.compile", "jax": "JAX", "transformers": "transformers"}


# ----------------------------------------------------------- measured in a process of its own, printed as JSON


def peak_memory() -> float:
    """The largest memory that this process has held so far, in MB; nan on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return math.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def peak_of(pid: int) -> float:
    """The same of another process, in MB, on Linux, where npgpt trains some models in several."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def batch(config, B: int, T: int) -> np.ndarray:
    """ids and targets (2, B, T), always the same."""
    return np.random.default_rng(0).integers(config.vocab_size, size=(2, B, T))


def training(backend, config, B: int, T: int, steps: int, compiled: bool = False) -> dict:
    """The median time of a training step in seconds; the process's peak memory in MB, and what the steps added to it."""
    model = backend.make_model(config, seed=0)
    if compiled:
        model.compile()
    parameters = list(model.parameters())
    optimizer = backend.AdamW(parameters)
    ids, targets = batch(config, B, T)

    def step() -> float:
        optimizer.zero_grad()
        loss = model.loss_and_grad(ids, targets)
        backend.clip_grad_norm(parameters, 1.0)
        optimizer.step()
        return loss

    with getattr(model, "in_processes", contextlib.nullcontext)():  # as `train` does
        result = timed(step, steps)
        helpers = sum(peak_of(process.pid) for process in multiprocessing.active_children())
    return result | {"peak": result["peak"] + helpers, "added": result["added"] + helpers}


def timed(step: Callable[[], float | None], steps: int) -> dict:
    """The median time of a call, after some that do not count; the peak memory, and what the calls added to it; and what the
    first calls returned."""
    before = peak_memory()
    times, losses = [], []
    for _ in range(max(1, steps // 5) + steps):
        start = time.perf_counter()
        losses.append(step())
        times.append(time.perf_counter() - start)
    memory = {"peak": peak_memory(), "added": peak_memory() - before}
    return {"seconds": statistics.median(times[-steps:]), "losses": losses[:3], **memory}


def jax_training(config, B: int, T: int, steps: int) -> dict:
    """The same step by JAX, from the same weights."""
    from benchmark_jax import make_step

    return timed(make_step(config, initial_weights(layout_of(config), seed=0), *batch(config, B, T)), steps)


def check_losses(ours: list[float], theirs: list[float]) -> None:
    """Raises AssertionError where two implementations do not compute the same steps: their losses differ."""
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        assert math.isclose(a, b, rel_tol=1e-4), f"step {step}: npgpt's loss is {a}, that of JAX {b}"


def transformers_model(config):
    """transformers' model of that config, with its own random weights."""
    import transformers

    fields = WRITTEN_AS[config.kind].config_there(config) | {"tie_word_embeddings": config.tie_weights}
    fields |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**fields))
    assert model.num_parameters() == sum(entry.size for entry in layout_of(config).values())
    return model


def transformers_training(config, B: int, T: int, steps: int) -> dict:
    """The same step by transformers' model, with torch's fused AdamW."""
    import torch

    model = transformers_model(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids, targets = torch.from_numpy(batch(config, B, T))

    def step() -> None:
        optimizer.zero_grad()
        logits = model(ids, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return timed(step, steps)


def generation(backend, config, T: int, new_tokens: int) -> dict:
    """The time of so many greedy tokens after a prompt of T, the window sliding by half of the context."""
    model = backend.make_model(config)
    return timed_generation(lambda n: backend.generate(model, np.arange(T), n, slide=config.seq_len // 2), new_tokens)


def transformers_generation(config, T: int, new_tokens: int) -> dict:
    """The same by transformers' model and its own generate."""
    import torch

    model = transformers_model(config).eval()
    prompt = torch.arange(T)[None]
    options = {"attention_mask": torch.ones_like(prompt), "do_sample": False, "pad_token_id": 0}
    return timed_generation(lambda n: model.generate(prompt, max_new_tokens=n, **options), new_tokens)


def timed_generation(generate: Callable[[int], object], new_tokens: int) -> dict:
    """The time of generate(new_tokens), after a shorter one that does not count, and the peak memory."""
    generate(min(new_tokens, 60))
    start = time.perf_counter()
    generate(new_tokens)
    return {"seconds": time.perf_counter() - start, "peak": peak_memory()}


def reading() -> dict:
    """How many bytes a second the machine reads at most in one large matrix-vector product, whoever computes it."""
    matrix, vector = np.ones((2**15, 2**12), np.float32), np.ones(2**12, np.float32)  # 512 MB
    return {"rate": matrix.nbytes / best_time(lambda: matrix @ vector, 7)}


def best_time(function, repeats: int) -> float:
    """The shortest of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def matrix_products(config, B: int, T: int) -> tuple[list, float]:
    """Every matrix product of one training step on B sequences, as calls without arguments on arrays of the step's shapes; and
    their floating-point operations (a multiplication and an addition count as two)."""
    C, H, F, V = config.n_embd, config.n_head, config.ffn_size, config.vocab_size
    D, N = C // H, B * T
    rng = np.random.default_rng(0)
    drawn = {}  # one array for each shape: a step's memory is not what is measured here

    def array(*shape):
        if shape not in drawn:
            drawn[shape] = rng.standard_normal(shape, dtype=np.float32)
        return drawn[shape]

    calls, flops = [], 0.0
    linear = [(C, 3 * C), (C, C), (C, F), (F, C)] * config.n_layer + [(C, V)]
    for ins, outs in linear:
        calls.append(partial(np.matmul, array(B, T, ins), array(outs, ins).T))  # forward
        calls.append(partial(np.dot, array(N, outs), array(outs, ins)))  # dx
        calls.append(partial(np.dot, array(N, outs).T, array(N, ins)))  # dweight
        flops += 3 * 2 * N * ins * outs
    for rows, seen in tiles(T, T, TILE) * config.n_layer:
        r, s = rows.stop - rows.start, seen.stop
        long, wide, keys = array(B, H, r, D), array(B, H, r, s), array(B, H, s, D)
        calls += [partial(np.matmul, long, keys.swapaxes(-1, -2))] * 2  # scores, dpattern
        calls += [partial(np.matmul, wide, keys)] * 2  # z, dq
        calls += [partial(np.matmul, wide.swapaxes(-1, -2), long)] * 2  # dk, dv
        flops += 6 * 2 * B * H * r * s * D
    return calls, flops


def call_all(calls: list) -> None:
    for call in calls:
        call()  # its result is let go at once: the next one takes its memory


def roofline(config, B: int, T: int) -> dict:
    """What npgpt's step is made of: the times in seconds, the rates in operations and bytes a second."""
    parameters = sum(entry.size for entry in layout_of(config).values())
    parts = [matrix_products(config, part.stop - part.start, T) for part in shares_of_a_batch(B, T, parameters)]
    flops = sum(each for _, each in parts)
    keep_freed_memory()  # as in the step: a product's result finds memory that is at hand
    products = best_time(lambda: run_together([partial(call_all, calls) for calls, _ in parts]), 7)
    a, b = np.random.default_rng(0).standard_normal((2, 2048, 2048), dtype=np.float32)
    machine = 2 * 2048**3 / best_time(lambda: a @ b, 5)
    vector = np.zeros(2**25, np.float32)  # 128 MB: far more than any cache
    halves = [vector[part] for part in slices(vector.size, 1)]
    bandwidth = 2 * vector.nbytes / best_time(lambda: run_together([partial(np.add, h, 1, out=h) for h in halves]), 5)
    tiny = npgpt.GPTConfig(2, config.n_layer, 1, 2, 2, ffn_hidden=2, **GPT)  # as many calls, next to no numbers
    calls = training(npgpt, tiny, 1, 2, 200)["seconds"]
    return {
        "threads": len(parts),
        "flops": flops,
        "products": products,
        "machine": machine,
        "bandwidth": bandwidth,
        # zero_grad writes g; clipping reads it; AdamW reads w, g, m, v and writes w, m, v: 9 float32 a parameter, at least
        "traffic": 9 * 4 * parameters / bandwidth,
        "calls": calls,
    }


# ------------------------------------------------------------------------------------------------- the reports


def run(backend_name: str, *task: str | int, threads: int) -> dict:
    """The task in a process of its own."""
    command = [sys.executable, __file__, "--threads", str(threads), "--measure", backend_name, *map(str, task)]
    quiet = os.environ | {"TRANSFORMERS_VERBOSITY": "error"}  # it would say each time that its path is plain PyTorch
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=quiet)
    if answer.returncode:
        sys.exit(f"error: measuring {' '.join(map(str, task))} with {backend_name} failed; its message stands above")
    return json.loads(answer.stdout)


def use_threads(backend_name: str, threads: int) -> None:
    """JAX takes as many as it has cores, so it gets that many cores, where the system can do that."""
    if backend_name == "jax":
        npgpt.set_num_threads(threads)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    else:
        npgpt.backend(backend_name if backend_name in BACKENDS else "torch").set_num_threads(threads)


def measure(backend_name: str, task: str, *sizes: str) -> None:
    """What a process that `run` has started does."""
    if backend_name == "transformers":
        work = GENERATIONS.get(task) or WORKS[task]
        asked = transformers_generation if task in GENERATIONS else transformers_training
        print(json.dumps(asked(*work[1:])))
        return
    if backend_name in ("jax", "compile"):
        work = WORKS[task][1:]
        result = jax_training(*work) if backend_name == "jax" else training(npgpt.backend("torch"), *work, compiled=True)
        print(json.dumps(result))
        return
    backend = npgpt.backend(backend_name)
    if task in GENERATIONS:
        result = generation(backend, *GENERATIONS[task][1:])
    elif task == "reading":
        result = reading()
    elif task == "scaling":
        kind, B, T = sizes[0], int(sizes[1]), int(sizes[2])
        result = training(backend, SCALED[kind](T), B, T, 5)
    elif task == "roofline":
        _, config, B, T, _ = WORKS[sizes[0]]
        result = roofline(config, B, T)
    else:
        _, config, B, T, steps = WORKS[task]
        result = training(backend, config, B, T, steps)
    print(json.dumps(result))


def contestants(task: str) -> tuple[list[str], list[str]]:
    """Who does that work here, npgpt first; and what could do it and is missing, with the reason."""
    names, missing = list(BACKENDS), []
    kind = WORKS[task][1].kind if task in WORKS else None
    if kind in ("gpt", "llama"):
        found = any(shutil.which(compiler) for compiler in (os.environ.get("CXX", "c++"), "g++", "clang++", "cl"))
        (names if found else missing).append("compile" if found else "no C++ compiler is found, and torch.compile left out")
    for name, wanted in (("jax", kind == "gpt"), ("transformers", task in WITH_TRANSFORMERS)):
        if wanted:
            found = importlib.util.find_spec(name)
            (names if found else missing).append(name if found else f"{name} is not installed, and left out")
    return names, missing


def compare(description: str, task: str, rounds: int, threads: int) -> dict[str, list[dict]]:
    """All who do that work, in turn; prints times, peaks and ratios; gives the measurements of each."""
    names, missing = contestants(task)
    results = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            results[name].append(run(name, task, threads=threads))
    if "jax" in results:
        check_losses(results["numpy"][0]["losses"], results["jax"][0]["losses"])
    print(f"\n{description}; float32, {rounds} rounds: medians of their times, and of their ratios")
    for name in names:
        times = [1e3 * result["seconds"] for result in results[name]]
        print(
            f"  {CONTESTANTS[name]:13s} {statistics.median(times):10.3f} ms   (rounds {min(times):.3f} .. {max(times):.3f})"
            f"   peak memory {statistics.median(result['peak'] for result in results[name]):5.0f} MB"
        )
    for name in names[1:]:
        ratios = ratios_to_npgpt(results, name)
        spread = f"(rounds {min(ratios):.2f} .. {max(ratios):.2f})"
        print(f"  {name} time / npgpt time: {statistics.median(ratios):.2f}   {spread}")
    for reason in missing:
        print(f"  ({reason})")
    return results


def median_time(measurements: list[dict]) -> float:
    return statistics.median(result["seconds"] for result in measurements)


def ratios_to_npgpt(results: dict[str, list[dict]], name: str) -> list[float]:
    """The other's time in npgpt's, of each round."""
    return [other["seconds"] / numpy["seconds"] for other, numpy in zip(results[name], results["numpy"], strict=True)]


def save_picture(path: Path, measured: dict[str, dict[str, list[dict]]], threads: int) -> None:
    """The ratios to the best other of each work."""
    rows = {}
    for work, results in measured.items():
        best = min((name for name in results if name != "numpy"), key=lambda name: median_time(results[name]))
        rows[(WORKS.get(work) or GENERATIONS[work])[0]] = CONTESTANTS[best], ratios_to_npgpt(results, best)
    speed_ratios(rows, f"{processor()}, {threads} thread(s)").savefig(path, dpi=150)
    print(f"\nwrote {path}")


def make_room_for(picture: Path) -> None:
    """Makes the picture's folder, before hours of measuring. Raises ValueError or OSError where no picture can be written."""
    from matplotlib.figure import Figure  # not above: it would count in the memory of npgpt's processes

    formats = Figure().canvas.get_supported_filetypes()
    if picture.is_dir() or picture.suffix[1:].lower() not in formats:
        raise ValueError(f"--picture must be a file that ends in one of .{', .'.join(formats)}; got {picture}")
    make_out_dir(picture.parent, "--picture")


def print_roofline(work: str, step: float, threads: int) -> None:
    """What the step of `step` seconds is made of."""
    r = run("numpy", "roofline", work, threads=threads)
    rate, machine, bandwidth = (r[name] / 1e9 for name in ("flops", "machine", "bandwidth"))
    rate /= r["products"]
    print(f"  npgpt's step, its batch shared out to {r['threads']} thread(s):")
    share, least = r["products"] / step, r["traffic"] / step
    print(f"    {r['flops'] / 1e9:.1f} GFLOP of matrix products: {1e3 * r['products']:.1f} ms, {share:.0%} of the step,")
    print(f"      at {rate:.0f} GFLOP/s; a product of 2048 x 2048 reaches {machine:.0f}: {rate / machine:.2f} of it")
    print(f"      (the whole step: {r['flops'] / 1e9 / step / machine:.2f} of it)")
    print(f"    the optimiser's memory traffic at {bandwidth:.0f} GB/s: at least {1e3 * r['traffic']:.1f} ms, {least:.0%}")
    print(f"    the calls of Python and NumPy, without numbers: {1e3 * r['calls']:.1f} ms, {r['calls'] / step:.0%}")


def print_reading(config, seconds: float, new_tokens: int, threads: int) -> None:
    """Tokens a second, and what limits them: each one reads every weight once."""
    parameters = sum(entry.size for entry in layout_of(config).values())
    tokens, machine = new_tokens / seconds, run("numpy", "reading", threads=threads)["rate"]
    read = 4 * parameters * tokens
    print(f"  npgpt: {tokens:.1f} tokens/s; every weight once a token: {read / 1e9:.1f} GB/s")
    print(f"    one matrix-vector product of 512 MB reads {machine / 1e9:.1f} GB/s: {read / machine:.2f} of it")


def print_scaling(threads: int) -> None:
    """Time and memory against T and B, and the exponents e of time ~ T^e, fitted over the last three sizes of each."""
    print("\nnanoGPT's CPU width, one training step against batch and length (memory: what the steps added to the process)")
    for kind in SCALED:
        print_scaling_of(kind, threads)


def print_scaling_of(kind: str, threads: int) -> None:
    """The same for one kind of model."""
    results = {}
    print(f"  {kind}")
    print("     B    T   npgpt ms      MB     torch ms      MB")
    for B, T in SCALING:
        for name in BACKENDS:
            results[B, T, name] = run(name, "scaling", kind, B, T, threads=threads)
        numpy, torch = (results[B, T, name] for name in BACKENDS)
        columns = [f"{1e3 * r['seconds']:10.1f} {r['added']:7.0f}" for r in (numpy, torch)]
        print(f"  {B:4d} {T:4d} {columns[0]}   {columns[1]}")
    for axis, sizes in (("T", [(4, 128), (4, 256), (4, 512)]), ("B", [(8, 64), (16, 64), (32, 64)])):
        at = np.log([T if axis == "T" else B for B, T in sizes])
        for name in BACKENDS:
            slopes = [
                np.polyfit(at, np.log([results[B, T, name][what] for B, T in sizes]), 1)[0] for what in ("seconds", "added")
            ]
            print(f"  {BACKENDS[name]:8s} time ~ {axis}^{slopes[0]:.2f}, memory ~ {axis}^{slopes[1]:.2f}")


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    works = [*WORKS, *GENERATIONS, "scaling"]
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--only", nargs="+", choices=works, default=works, metavar="WORK", help="of " + ", ".join(works))
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw npgpt's speed beside the best other's")
    parser.add_argument("--rounds", type=int, default=5, help="how often the backends take turns")
    parser.add_argument("--threads", type=int, default=npgpt.get_num_threads(), help="threads for each backend")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rounds < 1 or args.threads < 1:
        parser.error(f"--rounds and --threads must be at least 1, got {args.rounds} and {args.threads}")
    if args.measure:
        use_threads(args.measure[0], args.threads)
        return measure(*args.measure)
    try:
        versions = {name: importlib.metadata.version(name) for name in ("numpy", "torch")}
    except importlib.metadata.PackageNotFoundError as error:
        parser.error(f"{error.name} is not installed; the comparison needs it: pip install -e '.[torch]'")
    if args.picture:
        with told_errors():
            make_room_for(args.picture)

    print(f"machine   {processor()}, {platform.system()} {platform.machine()}, {args.threads} thread(s) for each backend")
    print(f"versions  Python {platform.python_version()}, NumPy {versions['numpy']}, torch {versions['torch']}")
    measured = {}
    for work in args.only:
        if work == "scaling":
            print_scaling(args.threads)
        elif work in GENERATIONS:
            description, config, _, new_tokens = GENERATIONS[work]
            measured[work] = compare(description, work, args.rounds, args.threads)
            if work in ("gpt2-generation", "smollm2-generation"):
                print_reading(config, median_time(measured[work]["numpy"]), new_tokens, args.threads)
        else:
            measured[work] = compare(f"{WORKS[work][0]}, one training step", work, args.rounds, args.threads)
            if work in ROOFLINES:
                print_roofline(work, median_time(measured[work]["numpy"]), args.threads)
    if args.picture and measured:
        save_picture(args.picture, measured, args.threads)


if __name__ == "__main__":
    main()
