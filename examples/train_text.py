"""Train a GPT on a text of your own, stop, go on, and sample from it.

The bundled sentences, under a minute:     python examples/train_text.py
A text of your own:                        python examples/train_text.py --input-file book.txt --preset nanogpt-cpu
Go on where it stopped:                    python examples/train_text.py --resume
The same in PyTorch, on a GPU if any:      python examples/train_text.py --backend torch

Ctrl-C finishes the step and saves. What the run leaves in --out-dir: last.safetensors (all that --resume needs),
best.safetensors (the lowest validation loss), metrics.jsonl (a line a step), loss.png.

Two processes, each with half of every batch:
    torchrun --nproc-per-node=2 examples/train_text.py --backend torch
(Ctrl-C ends those at once; --resume goes on from the last save, with any number of processes.)
"""

import argparse
import importlib
import math
import os
import signal
import sys
import time
from pathlib import Path

import npgpt
from npgpt.text.data import set_generator_state

BACKENDS = {"numpy": "npgpt", "torch": "torchgpt"}
SENTENCES = Path(__file__).parent / "data" / "tr_sentences.txt"
TOKENIZERS = ("letters", "characters", "words", "bpe")

# nanoGPT's configuration for its character-level Shakespeare on a CPU (its README), without biases here and there.
PRESETS = {
    "small": {},
    "nanogpt-cpu": {
        "n_layer": 4,
        "n_head": 4,
        "n_embd": 128,
        "seq_len": 64,
        "batch_size": 12,
        "max_iters": 2000,
        "learning_rate": 1e-3,
        "min_lr": 1e-4,
        "warmup_iters": 100,
        "init_std": 0.04,  # nanoGPT: 0.02, which learns more slowly at 128 features (README, "Training on your own text")
        "beta1": 0.9,
        "beta2": 0.99,
        "weight_decay": 0.1,
        "grad_clip": 1.0,
        "eval_interval": 250,
        "eval_iters": 20,
    },
}

# What --resume takes from the checkpoint and does not let change: the model, and the text's encoding and split.
FIXED = ("n_layer", "n_head", "n_embd", "seq_len", "ffn_hidden", "position", "tie_weights", "qkv_bias")
FIXED += ("tokenizer", "vocab_size", "errors", "validation", "seed")
FREE = ("out_dir", "resume", "device", "threads", "cache_dir", "preset")  # what a checkpoint does not remember


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    add, yes_or_no = parser.add_argument, argparse.BooleanOptionalAction
    add("--preset", choices=PRESETS, default="small", help="a set of defaults; single options go before it")
    add("--resume", action="store_true", help="go on with the run in --out-dir, with its options where none are given")
    add("--out-dir", type=Path, default=Path("out"), help="folder for the results")
    add("--backend", choices=BACKENDS, default="numpy", help="what computes")
    add("--device", default="auto", help="auto or cpu; with torch also cuda, cuda:N, mps")
    add("--threads", type=int, default=None, help="on the CPU; None: as many as there are cores")
    add("--dtype", choices=("float32", "float64", "bfloat16"), default="float32", help="bfloat16: products only; torch only")
    add(
        "--fsdp",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="under torchrun: each process holds a part of the model",
    )
    add("--compile", action=argparse.BooleanOptionalAction, default=False, help="torch.compile (torch only)")
    add(
        "--tf32",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="round float32 factors to TF32 on CUDA (torch only)",
    )
    add("--seed", type=int, default=0, help="fixes the initial weights, the batches and the samples")

    text = parser.add_argument_group("text")
    add = text.add_argument
    add("--input-file", type=Path, default=SENTENCES, help="UTF-8 text to learn from")
    add("--tokenizer", default="characters", help=f"{', '.join(TOKENIZERS)}, or a tokenizer's JSON file")
    add("--vocab-size", type=int, default=512, help="of bpe; the most frequent words of words")
    add("--errors", choices=("strict", "ignore", "replace"), default=None, help="for text that the tokenizer does not know")
    add("--validation", type=float, default=0.1, help="the share of the text, at its end, that is kept for validation")
    add("--cache-dir", type=Path, default=None, help="folder for the encoded text; None: beside the text")

    model = parser.add_argument_group("model")
    add = model.add_argument
    add("--n-layer", type=int, default=2, help="blocks")
    add("--n-head", type=int, default=4, help="attention heads of a block")
    add("--n-embd", type=int, default=64, help="length of a token's vector")
    add("--seq-len", type=int, default=48, help="context: the longest sequence that the model sees")
    add("--ffn-hidden", type=int, default=None, help="width of the FFN; None: 4 * n-embd, 0: no FFN")
    add("--position", choices=("learned", "sinusoidal"), default="learned", help="how a token knows its place")
    add("--tie-weights", action=yes_or_no, default=True, help="the head uses the token embedding as its weight")
    add("--qkv-bias", action=yes_or_no, default=False, help="query, key and value have a bias")
    add("--init-std", type=float, default=0.02, help="the spread of the linear layers' initial weights")
    add("--dropout", type=float, default=0.0, help="the share that training sets to 0")

    training = parser.add_argument_group("training")
    add = training.add_argument
    add("--max-iters", type=int, default=800, help="number of training steps")
    add("--batch-size", type=int, default=12, help="windows in a batch")
    add("--gradient-accumulation-steps", type=int, default=1, help="batches in a step")
    add("--learning-rate", type=float, default=3e-3, help="the highest, after the warm-up")
    add("--min-lr", type=float, default=None, help="the lowest, at the end; None: a tenth of --learning-rate")
    add("--warmup-iters", type=int, default=50, help="steps in which the learning rate rises")
    add("--lr-decay-iters", type=int, default=None, help="the step at which it is at its lowest; None: --max-iters")
    add("--beta1", type=float, default=0.9, help="of AdamW")
    add("--beta2", type=float, default=0.99, help="of AdamW")
    add("--weight-decay", type=float, default=0.1, help="of AdamW; matrices only")
    add("--grad-clip", type=float, default=1.0, help="the gradient's norm is clipped to it")
    add("--eval-interval", type=int, default=100, help="steps from one evaluation to the next")
    add("--eval-iters", type=int, default=20, help="validation batches of one evaluation; at the end 200 or more")
    add("--save-interval", type=int, default=None, help="steps from one save to the next; None: --eval-interval")

    sampling = parser.add_argument_group("sample at the end (examples/sample.py has more)")
    add = sampling.add_argument
    add("--prompt", default="\n", help="what the sample goes on from")
    add("--max-new-tokens", type=int, default=200, help="its length")
    add("--temperature", type=float, default=0.8, help="0: always the likeliest token")
    return parser


def parse_arguments() -> tuple[argparse.Namespace, npgpt.Checkpoint | None]:
    """The options, and the checkpoint to go on from. A preset and a checkpoint are defaults: what is typed comes first."""
    parser = make_parser()
    args = parser.parse_args()
    parser.set_defaults(**PRESETS[args.preset])
    if not args.resume:
        return parser.parse_args(), None
    checkpoint = npgpt.read_checkpoint(args.out_dir / "last.safetensors")
    saved = checkpoint.run.get("options")
    if not saved:
        raise ValueError(f"{args.out_dir / 'last.safetensors'} holds a model and no run to go on with")
    parser.set_defaults(**saved | {"input_file": Path(saved["input_file"])})
    args = parser.parse_args()
    for name in FIXED:
        if getattr(args, name) != saved.get(name):
            flag = "--" + name.replace("_", "-")
            raise ValueError(
                f"{flag} {getattr(args, name)}: the run in {args.out_dir} has {saved.get(name)}, which cannot change"
            )
    if args.max_iters <= checkpoint.step:
        raise ValueError(f"--max-iters {args.max_iters}: the run has made {checkpoint.step} steps already")
    return args, checkpoint


def load_backend(name: str):
    try:
        return importlib.import_module(BACKENDS[name])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ValueError("--backend torch needs PyTorch: .venv/bin/pip install -e '.[torch]'") from None


def make_tokenizer(args: argparse.Namespace) -> npgpt.Tokenizer:
    if args.tokenizer == "letters":
        return npgpt.LetterTokenizer()
    if args.tokenizer not in TOKENIZERS:
        return npgpt.Tokenizer.load(args.tokenizer)
    text = npgpt.read_text(args.input_file)
    if args.tokenizer == "characters":
        return npgpt.CharTokenizer.from_text(text)
    if args.tokenizer == "words":
        return npgpt.WordTokenizer.from_text(text, max_words=args.vocab_size)
    return npgpt.BPETokenizer.from_text(text, vocab_size=args.vocab_size)


def make_config(args: argparse.Namespace, vocab_size: int) -> npgpt.GPTConfig:
    return npgpt.GPTConfig(
        vocab_size,
        args.n_layer,
        args.n_head,
        args.n_embd,
        args.seq_len,
        position=args.position,
        ffn_hidden=args.ffn_hidden,
        qkv_bias=args.qkv_bias,
        tie_weights=args.tie_weights,
        head_bias=False,
        dropout=args.dropout,
        init_std=args.init_std,
    )


def check(args: argparse.Namespace) -> None:
    counts = ("max_iters", "eval_interval", "eval_iters", "save_interval", "gradient_accumulation_steps", "max_new_tokens")
    for name in (*counts, "threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    for name in ("seed", "warmup_iters", "temperature", "min_lr", "lr_decay_iters"):
        value = getattr(args, name)
        if value is not None and not value >= 0:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 0, got {value}")


def main() -> None:
    args, checkpoint = parse_arguments()
    check(args)
    backend = load_backend(args.backend)
    if args.threads is not None:
        backend.set_num_threads(args.threads)
    rank, ranks, device = 0, 1, args.device
    if args.backend == "torch":
        process, device = backend.join_ranks(args.device)
        rank, ranks, _ = process
        backend.use_tf32(args.tf32)
    elif int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("torchrun has started several processes, which --backend numpy cannot use: add --backend torch")
    elif args.dtype == "bfloat16":
        raise ValueError("--dtype bfloat16 needs --backend torch")
    elif args.compile or args.tf32:
        raise ValueError(f"--{'compile' if args.compile else 'tf32'} needs --backend torch")
    if args.fsdp and ranks == 1:
        raise ValueError(
            "--fsdp needs several processes: torchrun --nproc-per-node=N examples/train_text.py --backend torch --fsdp"
        )
    if args.batch_size % ranks:
        raise ValueError(f"--batch-size {args.batch_size} must be a multiple of the {ranks} processes")
    if rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (only the first process prints and writes)
        backend.wait_for_all()  # until the first one has encoded the text
    tokenizer = checkpoint.tokenizer() if checkpoint else make_tokenizer(args)
    errors = args.errors or ("replace" if tokenizer.kind == "words" else "strict")
    tokens = npgpt.encode_file(args.input_file, tokenizer, cache_dir=args.cache_dir, errors=errors)
    if ranks > 1 and rank == 0:
        backend.wait_for_all()
    train_tokens, validation_tokens = npgpt.split_tokens(tokens, args.validation)
    config = make_config(args, tokenizer.vocab_size)
    windows = npgpt.RandomWindows(train_tokens, args.seq_len, args.batch_size, args.seed, rank=rank, ranks=ranks)
    if len(validation_tokens) <= args.seq_len:  # better said now than in an hour
        raise ValueError(
            f"--seq-len {args.seq_len} needs {args.seq_len + 1} tokens to validate on, and the last {args.validation:g} of the "
            f"text holds {len(validation_tokens)}; take a longer text, a shorter context or a larger --validation"
        )
    prompt = tokenizer.encode(args.prompt, "ignore") or tokens[:1].tolist()
    model = backend.GPTModel(config, device, seed=args.seed, dtype=args.dtype)
    if checkpoint:
        model.load_state_dict(checkpoint.weights)
    if args.compile:
        model.compile()
    if ranks > 1:
        backend.distribute(model, process, shard=args.fsdp)
    groups = backend.parameter_groups(model, args.weight_decay)
    optimizer = backend.AdamW(groups, args.learning_rate, (args.beta1, args.beta2), weight_decay=args.weight_decay)
    if checkpoint:
        optimizer.set_moments(model.named_parameters(), checkpoint.moments, checkpoint.step)
        windows.set_state(checkpoint.run["windows"])
        set_generator_state(model.dropout_rng, checkpoint.run["dropout"])
    args.out_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(args.out_dir, os.W_OK):
        raise PermissionError(f"--out-dir {args.out_dir} is not writable")

    products = f" (float32 products in {'TF32' if args.tf32 else 'full precision'})" if args.backend == "torch" else ""
    print(f"{args.backend} on {model.device}, {args.dtype}{products}, seed {args.seed}; {model.num_parameters():,} parameters")
    print("config:", ", ".join(f"{name}={value}" for name, value in config.to_dict().items()))
    print(f"text: {args.input_file}, {len(tokens):,} tokens ({tokenizer.kind}, {tokenizer.vocab_size:,} different)")
    print(f"      {len(train_tokens):,} to train on, {len(validation_tokens):,} to validate on")
    if checkpoint:
        print(f"goes on after step {checkpoint.step:,} of {args.out_dir / 'last.safetensors'}")
    finished = run(args, backend, model, optimizer, windows, validation_tokens, tokenizer, checkpoint, rank, ranks)
    if not finished:
        return
    loss = validation_loss(backend, model, validation_tokens, args, max(200, args.eval_iters))
    characters = len(tokenizer.decode(validation_tokens))
    bits = loss / math.log(2) * len(validation_tokens) / characters
    print(f"\nvalidation loss: {loss:.4f} nats a token, {bits:.3f} bits a character")
    out = tokenizer.decode(
        backend.generate(model, prompt, args.max_new_tokens, temperature=args.temperature, seed=args.seed)[len(prompt) :]
    )
    print(f"sample:\n{out}\n")
    for name in ("last.safetensors", "best.safetensors", "metrics.jsonl", "loss.png"):
        print(f"wrote {args.out_dir / name}")
    if ranks > 1:
        backend.leave_ranks()


def validation_loss(backend, model, validation_tokens, args: argparse.Namespace, count: int) -> float:
    """The mean over `count` batches; the same ones every time, so that two losses differ by the model alone."""
    windows = npgpt.RandomWindows(validation_tokens, args.seq_len, args.batch_size, args.seed + 1)
    return backend.evaluate(model, windows, count)


def run(args, backend, model, optimizer, windows, validation_tokens, tokenizer, checkpoint, rank: int, ranks: int) -> bool:
    """Trains, evaluates, saves, writes down. True where all steps were made, False where Ctrl-C ended them.

    Of several processes all train and evaluate (the same validation batches, so that all know the best loss); the first writes.
    """
    from tqdm import tqdm

    from npgpt.runs.files import remove_leftovers
    from npgpt.runs.metrics import MetricsFile

    start = checkpoint.step if checkpoint else 0
    best = checkpoint.run["best"] if checkpoint else None
    options = {name: value for name, value in vars(args).items() if name not in FREE}
    options["input_file"] = str(args.input_file.resolve())
    last_path, best_path = args.out_dir / "last.safetensors", args.out_dir / "best.safetensors"
    metrics = None
    if rank == 0:
        for path in (last_path, best_path, args.out_dir / "metrics.jsonl"):
            remove_leftovers(path)
        metrics = MetricsFile(args.out_dir / "metrics.jsonl", after=start)
    save_interval = args.save_interval or args.eval_interval
    tokens_a_step = args.batch_size * args.gradient_accumulation_steps * args.seq_len
    stop = StopAfterStep(ranks == 1)
    # Silent without a terminal, and in all processes but the first.
    bar = tqdm(total=args.max_iters, initial=start, unit="step", leave=False, disable=True if rank else None)
    clock = time.perf_counter()
    since = start  # the clock runs since this step

    def learning_rate(step: int) -> float:
        return backend.cosine_schedule(
            step,
            learning_rate=args.learning_rate,
            min_learning_rate=args.learning_rate / 10 if args.min_lr is None else args.min_lr,
            warmup_steps=args.warmup_iters,
            decay_steps=args.max_iters if args.lr_decay_iters is None else args.lr_decay_iters,
        )

    def save(path: Path) -> None:
        state = {"windows": windows.state(), "dropout": model.dropout_rng.bit_generator.state, "best": best, "options": options}
        backend.save_checkpoint(model, path, tokenizer=tokenizer, optimizer=optimizer, run=state)

    def on_step(step: int, loss: float, norm: float) -> bool:
        nonlocal best, clock, since
        speed = (step - since) * tokens_a_step / (time.perf_counter() - clock)
        record = {"step": step, "loss": loss, "grad_norm": norm, "lr": optimizer.lr, "tokens_per_second": round(speed)}
        bar.update()
        bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
        ending = stop.asked or step == args.max_iters
        if step % args.eval_interval == 0 or step == args.max_iters:
            record["val_loss"] = validation_loss(backend, model, validation_tokens, args, args.eval_iters)
            bar.write(
                f"step {step:>6,}  loss {loss:.4f}  validation {record['val_loss']:.4f}  {speed:,.0f} tokens/s", file=sys.stdout
            )
            if best is None or record["val_loss"] < best:
                best = record["val_loss"]
                save(best_path)
        if metrics:
            metrics.write(record)
        if ending or step % save_interval == 0:
            save(last_path)
        if "val_loss" in record:  # the speed is that of training: the clock starts anew after an evaluation
            clock, since = time.perf_counter(), step
        return ending

    try:
        with stop, bar:
            made = backend.train(
                model,
                windows,
                steps=args.max_iters,
                learning_rate=learning_rate,
                max_norm=args.grad_clip,
                accumulate=args.gradient_accumulation_steps,
                optimizer=optimizer,
                start=start,
                on_step=on_step,
            )
    finally:
        if metrics:
            metrics.close()
    if metrics:
        draw_losses(metrics.records, model.config.vocab_size, args.out_dir / "loss.png")
    finished = start + len(made) == args.max_iters
    if not finished:
        print(f"\nstopped after step {start + len(made):,} and saved. To go on:")
        print(f"  python {sys.argv[0]} --resume --out-dir {args.out_dir}")
    return finished


class StopAfterStep:
    """Within its block the first Ctrl-C only sets `asked`; a second one interrupts at once. Not where several processes run:
    they would not stop after the same step."""

    def __init__(self, enabled: bool):
        self.enabled, self.asked = enabled, False

    def __enter__(self) -> "StopAfterStep":
        if self.enabled:
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception) -> None:
        if self.enabled:
            signal.signal(signal.SIGINT, self.before)

    def _ask(self, number, frame) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nfinishing the step (Ctrl-C again stops at once, without saving)", file=sys.stderr)


def draw_losses(records: list[dict], vocab_size: int, path: Path) -> None:
    """The picture of the training losses, with the validation losses in it."""
    from npgpt.pictures import loss_curve

    figure = loss_curve([record["loss"] for record in records], math.log(vocab_size))
    evaluated = [record for record in records if "val_loss" in record]
    (axes,) = figure.axes
    axes.plot([r["step"] for r in evaluated], [r["val_loss"] for r in evaluated], "o-", color="#1f4e9c", label="validation")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except (ValueError, TypeError, ImportError, npgpt.TrainingDiverged) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped at once; the last save is as it was")
