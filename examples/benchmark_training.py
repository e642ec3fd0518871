"""From a text to a trained model: how long it takes, and how well the model then predicts.

    python examples/benchmark_training.py --input-file tinyshakespeare.txt          some twenty minutes on two cores

Three ways to train nanoGPT's configuration for a CPU (0.8 million parameters, 2,000 steps of 12 windows of 64 characters):
examples/train_text.py with NumPy, the same with torch, and torchgpt's model in a loop of the shape that nanoGPT publishes
(windows drawn by torch.randint and stacked, both losses estimated every 250 steps, clipping, fused AdamW). Each run is a
process of its own, in turn; its time is the whole process's, from its start to its last word. The loss is the mean over 200
validation batches after the last step. The text: https://github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import npgpt

TRAIN_TEXT = Path(__file__).with_name("train_text.py")
RUNS = {"numpy": "train_text.py, npgpt", "torch": "train_text.py, torchgpt", "loop": "nanoGPT's loop in torch"}
BATCH, CONTEXT, EVALUATE_EVERY, STEPS = 12, 64, 250, 2000


def nanogpt_loop(input_file: Path, cache_dir: Path, init_std: float, seed: int) -> None:
    """Trains, and prints the validation loss in the words of train_text.py."""
    import torch

    import torchgpt

    torch.manual_seed(seed)
    tokenizer = npgpt.CharTokenizer.from_text(npgpt.read_text(input_file))
    train, validation = npgpt.split_tokens(npgpt.encode_file(input_file, tokenizer, cache_dir=cache_dir))

    def get_batch(tokens: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(tokens) - CONTEXT, (BATCH,))
        ids = torch.stack([torch.from_numpy(tokens[i : i + CONTEXT].astype(np.int64)) for i in starts])
        targets = torch.stack([torch.from_numpy(tokens[i + 1 : i + 1 + CONTEXT].astype(np.int64)) for i in starts])
        return ids, targets

    def estimate(tokens: np.ndarray, batches: int) -> float:
        return statistics.mean(model.loss(*get_batch(tokens)) for _ in range(batches))

    sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "seq_len": CONTEXT}
    config = npgpt.GPTConfig(
        tokenizer.vocab_size, **sizes, position="learned", tie_weights=True, head_bias=False, init_std=init_std
    )
    model = torchgpt.GPTModel(config, seed=seed)
    optimizer = torchgpt.AdamW(torchgpt.parameter_groups(model, 0.1), betas=(0.9, 0.99))
    for step in range(1, STEPS + 1):
        optimizer.lr = npgpt.cosine_schedule(
            step, learning_rate=1e-3, min_learning_rate=1e-4, warmup_steps=100, decay_steps=STEPS
        )
        if step % EVALUATE_EVERY == 1:
            estimate(train, 20), estimate(validation, 20)
        ids, targets = get_batch(train)
        loss = model(ids, targets=targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    print(f"validation loss: {estimate(validation, 200):.4f} nats a token")


def measure(name: str, args: argparse.Namespace, seed: int, folder: Path) -> tuple[float, float]:
    """(seconds, validation loss) of one run."""
    common = ["--input-file", str(args.input_file), "--init-std", str(args.init_std), "--cache-dir", str(folder)]
    if name == "loop":
        command = [__file__, *common, "--loop", str(seed)]
    else:
        command = [str(TRAIN_TEXT), *common, "--preset", "nanogpt-cpu", "--backend", name, "--device", "cpu"]
        command += ["--seed", str(seed), "--out-dir", str(folder / name)]
    start = time.perf_counter()
    answer = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if answer.returncode:
        sys.exit(f"error: {RUNS[name]} failed; its message stands above")
    return seconds, float(re.search(r"validation loss: ([\d.]+)", answer.stdout)[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--input-file", type=Path, required=True, help="UTF-8 text to learn from")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of each kind, with the seeds 0, 1, ...")
    parser.add_argument("--init-std", type=float, default=0.04, help="the spread of the linear layers' initial weights")
    parser.add_argument("--cache-dir", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--loop", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.loop is not None:
        return nanogpt_loop(args.input_file, args.cache_dir, args.init_std, args.loop)
    if args.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {args.seeds}")
    if not args.input_file.is_file():
        parser.error(f"--input-file {args.input_file}: no such file")
    results = {name: [] for name in RUNS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            for name in RUNS:
                seconds, loss = measure(name, args, seed, Path(folder))
                results[name].append((seconds, loss))
                print(f"seed {seed}  {RUNS[name]:26s} {seconds:6.1f} s   validation loss {loss:.4f}", flush=True)
    print(f"\n{'':26s} {'median s':>9s}   mean validation loss of {args.seeds} seed(s)")
    for name, pairs in results.items():
        times, losses = zip(*pairs, strict=True)
        print(f"{RUNS[name]:26s} {statistics.median(times):9.1f}   {statistics.mean(losses):.4f}")


if __name__ == "__main__":
    main()
