"""Train a language model on a text of your own, stop, go on, and sample from it.

The bundled sentences, under a minute:     python examples/train_text.py
A text of your own:                        python examples/train_text.py --input-file book.txt --preset nanogpt-cpu
Another kind of model:                     python examples/train_text.py --model lstm     (or mamba, llama)
From a published model on:                 python examples/train_text.py --init-from gpt2 --input-file book.txt
Go on where it stopped:                    python examples/train_text.py --resume
The same in PyTorch, on a GPU if any:      python examples/train_text.py --backend torch

Ctrl-C finishes the step and saves. What the run leaves in --out-dir: last.safetensors (all that --resume needs),
best.safetensors (the lowest validation loss), metrics.jsonl (a line a step), loss.png.

Two processes, each with half of every batch:
    torchrun --nproc-per-node=2 examples/train_text.py --backend torch
(Ctrl-C ends those at once; --resume goes on from the last save, with any number of processes. This has been run on CPUs, with
gloo; on GPUs, with NCCL, not yet.)
"""

import argparse
import dataclasses
import itertools
import math
import os
import shlex
import sys
from functools import partial
from pathlib import Path

import numpy as np

import npgpt
from npgpt.models import layout_of
from npgpt.models.layout import taken_from
from npgpt.pretrained import read_pretrained
from npgpt.runs.ranks import first_rank_first, join_ranks
from npgpt.runs.run import TrainingRun
from npgpt.text.words import UNKNOWN

from command_line import SENTENCES, Parser, check_at_least, make_out_dir, python_as_typed, told_errors

TOKENIZERS = ("letters", "characters", "words", "bpe")

# nanoGPT's configuration for its character-level Shakespeare on a CPU (its README), without biases here and there. Its init_std
# is 0.02, which learns more slowly at 128 features (examples/README.md, "Real texts").
NANOGPT = {"seq_len": 64, "batch_size": 12, "max_iters": 2000}
NANOGPT |= {"learning_rate": 1e-3, "min_lr": 1e-4, "warmup_iters": 100, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}
NANOGPT |= {"grad_clip": 1.0, "eval_interval": 250, "eval_iters": 20}
# The other kinds' defaults: about as many parameters as the GPT beside them, with higher learning rates (examples/README.md).
PRESETS = {
    "small": {"gpt": {}, "lstm": {"n_embd": 80}, "mamba": {}, "llama": {"n_kv_head": 2}},
    "nanogpt-cpu": {
        "gpt": NANOGPT | {"n_layer": 4, "n_head": 4, "n_embd": 128, "init_std": 0.04},
        "lstm": NANOGPT | {"n_layer": 2, "n_embd": 224, "learning_rate": 1e-2, "min_lr": 1e-3},
        "mamba": NANOGPT | {"n_layer": 3, "n_embd": 192, "learning_rate": 3e-3, "min_lr": 3e-4},
        "llama": NANOGPT | {"n_layer": 4, "n_head": 4, "n_kv_head": 2, "n_embd": 128, "ffn_hidden": 384},
    },
}

# The options of each kind of model, as its config names them; vocab_size comes from the tokenizer.
ALL = ("n_layer", "n_embd", "seq_len", "tie_weights")
MODEL = {
    "gpt": (*ALL, "n_head", "ffn_hidden", "position", "qkv_bias", "init_std", "dropout"),
    "lstm": (*ALL, "n_hidden", "dropout"),
    "mamba": (*ALL, "d_state", "d_conv", "expand", "dt_rank"),
    "llama": (*ALL, "n_head", "n_kv_head", "head_size", "ffn_hidden", "rope_theta", "qkv_bias", "dropout"),
}
CHANGEABLE = ("dropout", "init_std")  # they shape no weight
# What --resume takes from the checkpoint and does not let change: the model, and the text's encoding and split.
FIXED = ("model", *dict.fromkeys(name for names in MODEL.values() for name in names if name not in CHANGEABLE))
FIXED += ("tokenizer", "vocab_size", "errors", "validation", "seed")
# What a checkpoint does not remember.
FREE = ("out_dir", "resume", "init_from", "device", "threads", "cache_dir", "preset", "inspector")
FREE_AGAIN = ("device", "threads", "cache_dir")  # of these, what whoever goes on has to type again

# --inspector: how often it looks at the model, at how many tokens, and the megabytes of what it keeps and of its page.
LOOKS, PROBE, RECORDED_MB, PAGE_MB = 40, 24, 500, 12

# The defaults where a published model is trained on: small steps, and few. The learning rate is nanoGPT's for fine-tuning.
FINE_TUNING = {
    "learning_rate": 3e-5,
    "batch_size": 4,
    "max_iters": 100,
    "warmup_iters": 10,
    "eval_interval": 20,
    "eval_iters": 5,
}
FINE_TUNING_LENGTH = 128


def make_parser() -> Parser:
    parser = Parser(__doc__)
    add, yes_or_no = parser.add_argument, {"action": argparse.BooleanOptionalAction}
    add("--model", choices=MODEL, default="gpt", help="the kind of model")
    add("--preset", choices=PRESETS, default="small", help="a set of defaults; options that are typed override it")
    folder = (
        "begin with the model and the tokenizer of a folder of Hugging Face's transformers; its defaults: small steps, and few"
    )
    add("--init-from", type=Path, metavar="FOLDER", default=None, help=folder)
    add("--resume", action="store_true", help="go on with the run in --out-dir, with its options where none are given")
    add("--out-dir", type=Path, default=Path("out/text"), help="folder for the results; those of an earlier run are replaced")
    parser.add_backend()
    add("--threads", type=int, default=None, help="on the CPU; None: as many as there are cores")
    add("--dtype", choices=("float32", "float64", "bfloat16"), default="float32", help="bfloat16: products only; torch only")
    add("--fsdp", **yes_or_no, default=False, help="under torchrun: each process holds a part of the model")
    add("--compile", **yes_or_no, default=False, help="torch.compile (torch only)")
    add("--tf32", **yes_or_no, default=False, help="round float32 factors to TF32 on CUDA (torch only)")
    parser.add_seed("the initial weights, the batches and the samples")

    add = parser.add_argument_group("text").add_argument
    add("--input-file", type=Path, default=SENTENCES, help="UTF-8 text to learn from")
    add("--tokenizer", default="characters", help=f"{', '.join(TOKENIZERS)}, or a tokenizer's JSON file")
    add("--vocab-size", type=int, default=512, help="of bpe; the most frequent words of words")
    add("--errors", choices=("strict", "ignore", "replace"), default=None, help="for text that the tokenizer does not know")
    add("--validation", type=float, default=0.1, help="the share of the text, at its end, that is kept for validation")
    add("--cache-dir", type=Path, default=None, help="folder for the encoded text; None: beside the text")

    add = parser.add_argument_group("model").add_argument
    add("--n-layer", type=int, default=2, help="blocks")
    add("--n-embd", type=int, default=64, help="length of a token's vector")
    add("--seq-len", type=int, default=48, help="the window of training, and the longest sequence that a GPT or Llama sees")
    add("--tie-weights", **yes_or_no, default=True, help="the head uses the token embedding as its weight")
    add("--n-head", type=int, default=4, help="gpt, llama: attention heads of a block")
    add("--ffn-hidden", type=int, default=None, help="width of the FFN; None: gpt 4, llama 8/3 * n-embd; 0: no FFN (gpt)")
    add("--position", choices=("learned", "sinusoidal"), default="learned", help="gpt: how a token knows its place")
    add("--qkv-bias", **yes_or_no, default=False, help="gpt, llama: query, key and value have a bias")
    add("--init-std", type=float, default=0.02, help="gpt: the spread of the linear layers' initial weights")
    add("--dropout", type=float, default=0.0, help="gpt, lstm, llama: the share that training sets to 0")
    add("--n-kv-head", type=int, default=None, help="llama: key-value heads, each for n-head / n-kv-head heads; None: n-head")
    add("--head-size", type=int, default=None, help="llama: numbers of a head; None: n-embd / n-head")
    add("--rope-theta", type=float, default=10000.0, help="llama: how slowly a head's last pair turns with the position")
    add("--n-hidden", type=int, default=None, help="lstm: length of its memory; None: n-embd")
    add("--d-state", type=int, default=16, help="mamba: the numbers of one channel's state")
    add("--d-conv", type=int, default=4, help="mamba: how many letters its convolution sees")
    add("--expand", type=float, default=2.0, help="mamba: channels for each number of a token's vector")
    add("--dt-rank", type=int, default=None, help="mamba: through how many numbers step sizes are made; None: n-embd / 16")

    add = parser.add_argument_group("training").add_argument
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
    add("--inspector", action="store_true", help="record the run, and leave a page in which it can be touched (inspector.html)")

    add = parser.add_argument_group("sample at the end (examples/sample.py has more)").add_argument
    add("--prompt", default="\n", help="what the sample goes on from")
    add("--max-new-tokens", type=int, default=200, help="its length")
    add("--temperature", type=float, default=0.8, help="0: always the likeliest token")
    return parser


def parse_arguments() -> tuple[argparse.Namespace, npgpt.Checkpoint | None]:
    """The options, and the checkpoint to go on from. A preset and a checkpoint are defaults: what is typed comes first."""
    parser, checkpoint = make_parser(), None
    args = parser.parse_args()
    if args.init_from and args.resume:
        raise ValueError("--init-from begins a run, and --resume goes on with one: take one of them")
    parser.set_defaults(**PRESETS[args.preset][args.model])
    if args.init_from:
        take_defaults_from_folder(parser, args.init_from)
    if args.resume:
        checkpoint = parser.take_defaults_from(args.out_dir / "last.safetensors", FIXED)
    args = parser.parse_args()
    of_other_kinds = parser.typed() - {*MODEL[args.model]}
    for name in (name for names in MODEL.values() for name in names if name in of_other_kinds):
        raise ValueError(f"--{name.replace('_', '-')} is no option of --model {args.model}")
    check_at_least(1, args, "max_iters", "eval_interval", "eval_iters", "save_interval", "gradient_accumulation_steps")
    check_at_least(1, args, "max_new_tokens", "threads")
    check_at_least(0, args, "seed", "warmup_iters", "temperature", "min_lr", "lr_decay_iters")
    if checkpoint and args.max_iters <= checkpoint.step:
        more = "to go on, type a larger --max-iters"
        raise ValueError(f"--max-iters {args.max_iters}: the run has made {checkpoint.step} steps already; {more}")
    return args, checkpoint


def take_defaults_from_folder(parser: Parser, folder: Path) -> None:
    """The model in a folder becomes the default, of which only a shorter context and what shapes no weight may be typed."""
    config, _ = read_pretrained(folder)
    own = {"model": config.kind, "tokenizer": str(folder)}
    own |= {name: getattr(config, name) for name in MODEL[config.kind]}
    parser.set_defaults(**FINE_TUNING | own | {"seq_len": min(config.seq_len, FINE_TUNING_LENGTH)})
    parser.check_fixed({name: own[name] for name in own if name not in (*CHANGEABLE, "seq_len")}, str(folder))


def join(args: argparse.Namespace, backend) -> tuple[tuple[int, int, int], object]:
    """Sets the backend up. Which process this is, of how many (one without torchrun), and its device."""
    asked = {"--dtype bfloat16": args.dtype == "bfloat16", "--compile": args.compile, "--tf32": args.tf32}
    for flag in (flag for flag, yes in asked.items() if yes and args.backend != "torch"):
        raise ValueError(f"{flag} needs --backend torch")
    process, device = join_ranks(backend, args.device)
    rank, ranks, _ = process
    if args.fsdp and ranks == 1:
        command = "torchrun --nproc-per-node=N examples/train_text.py --backend torch --fsdp"
        raise ValueError(f"--fsdp needs several processes: {command}")
    if args.batch_size % ranks:
        raise ValueError(f"--batch-size {args.batch_size} must be a multiple of the {ranks} processes")
    if args.inspector and ranks > 1:
        raise ValueError("--inspector looks at a run of one process")
    if args.threads is not None:
        backend.set_num_threads(args.threads)
    if args.backend == "torch":
        backend.use_tf32(args.tf32)
    if rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (only the first process prints and writes)
    return process, device


def make_tokenizer(args: argparse.Namespace) -> npgpt.Tokenizer:
    if args.init_from:
        return npgpt.pretrained_tokenizer(args.init_from)
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


def make_config(args: argparse.Namespace, vocab_size: int, known=None):
    """The config of the kind of model that was asked for.

    known : the config of the weights that are there already, not all of which is among the options.
    """
    chosen = {name: getattr(args, name) for name in MODEL[args.model]}
    if known is not None:
        return dataclasses.replace(known, **{name: chosen[name] for name in (*CHANGEABLE, "seq_len") if name in chosen})
    if args.model == "gpt":
        return npgpt.GPTConfig(vocab_size, head_bias=False, **chosen)
    if args.model == "lstm":
        return npgpt.LSTMConfig(vocab_size, **chosen | {"n_hidden": args.n_hidden or args.n_embd})
    if args.model == "mamba":
        return npgpt.MambaConfig(vocab_size, **chosen)
    return npgpt.LlamaConfig(vocab_size, **chosen)


def make_model(args: argparse.Namespace, backend, config, device, process, weights):
    """The model and its optimizer. weights : what it starts from; None: initial values."""
    model = backend.make_model(config, device, seed=args.seed, dtype=args.dtype, weights=weights)
    if args.compile:
        model.compile()
    if process[1] > 1:
        backend.distribute(model, process, shard=args.fsdp)
    groups = backend.parameter_groups(model, args.weight_decay)
    return model, backend.AdamW(groups, args.learning_rate, (args.beta1, args.beta2), weight_decay=args.weight_decay)


def make_recorder(args: argparse.Namespace, run: TrainingRun, tokens, probe, rate):
    """The inspector's recorder, which looks at the run at as many steps as LOOKS says and RECORDED_MB hold.

    probe : the beginning of the validation text, of which the model is asked each time.
    """
    from npgpt.inspector.recorder import Recorder

    moment = run.model.num_parameters() * 4 * run.model.state_dict()["token_embedding.weight"].itemsize / 1e6  # four arrays
    looks = min(LOOKS, max(2, int(RECORDED_MB / moment)))
    return Recorder(
        run.model,
        (probe[:-1], probe[1:]),
        tokenizer=run.tokenizer,
        training_steps=args.max_iters,
        steps=max(1, (args.max_iters - run.step) // looks),
        start=run.step,
        prompt=run.tokenizer.decode(probe[:8]),
        learning_rate=rate,
        text=tokens,
        seed=args.seed,
        max_mb=2 * RECORDED_MB,
    )


def write_inspector(args: argparse.Namespace, recording) -> None:
    from npgpt.inspector.explained import explained
    from npgpt.inspector.page import page_data, write_page

    page = args.out_dir / "inspector.html"
    write_page(page, page_data(recording, max_mb=PAGE_MB, **explained(recording.config, len(recording.ids))))
    print(f"\nwrote {page}, {page.stat().st_size / 1e6:.1f} MB: open it in a browser")


def unspelled(tokenizer: npgpt.Tokenizer, tokens) -> str:
    """What is to be said of a cost that lacks the spelling of unknown words, which examples/compare_tokenizers.py adds."""
    share = np.mean(tokens == tokenizer.ids[UNKNOWN]) if tokenizer.kind == "words" else 0
    return f" (without the spelling of unknown words, {100 * share:.1f} % of the tokens)" if share else ""


def main() -> None:
    args, checkpoint = parse_arguments()
    backend = npgpt.backend(args.backend)
    process, device = join(args, backend)
    share = {"rank": process[0], "ranks": process[1]}

    with first_rank_first(backend, **share):
        tokenizer = checkpoint.tokenizer() if checkpoint else make_tokenizer(args)
        errors = args.errors or ("replace" if tokenizer.kind == "words" else "strict")
        tokens = npgpt.encode_file(args.input_file, tokenizer, cache_dir=args.cache_dir, errors=errors)
    train_tokens, validation_tokens = npgpt.split_tokens(tokens, args.validation)
    windows = npgpt.RandomWindows(train_tokens, args.seq_len, args.batch_size, args.seed, **share)
    if len(validation_tokens) <= args.seq_len:  # better said now than in an hour
        raise ValueError(
            f"--seq-len {args.seq_len} needs {args.seq_len + 1} tokens to validate on, and the last {args.validation:g} of the "
            f"text holds {len(validation_tokens)}; take a longer text, a shorter context or a larger --validation"
        )
    validation = partial(npgpt.RandomWindows, validation_tokens, args.seq_len, args.batch_size, args.seed + 1)
    # A newline, the default, may be no token of the text: then its first one takes its place.
    prompt = tokenizer.encode(args.prompt, "ignore" if args.prompt == "\n" else errors) or tokens[:1].tolist()

    known = weights = None
    if checkpoint:
        known, weights = checkpoint.config, taken_from(checkpoint.weights, layout_of(checkpoint.config))
    elif args.init_from:
        known, weights = read_pretrained(args.init_from, args.seq_len)
    config = make_config(args, tokenizer.vocab_size, known)
    model, optimizer = make_model(args, backend, config, device, process, weights)
    options = {name: value for name, value in vars(args).items() if name not in FREE}
    options["input_file"] = str(args.input_file.resolve())
    run = TrainingRun(model, optimizer, windows, validation, args.out_dir, tokenizer=tokenizer, options=options, **share)
    if checkpoint:
        run.go_on(checkpoint)
    make_out_dir(args.out_dir)

    products = f" (float32 products in {'TF32' if args.tf32 else 'full precision'})" if args.backend == "torch" else ""
    print(f"{args.backend} on {model.device}, {args.dtype}{products}, seed {args.seed}; {model.num_parameters():,} parameters")
    print("config:", ", ".join(f"{name}={value}" for name, value in config.to_dict().items()))
    print(f"text: {args.input_file}, {len(tokens):,} tokens ({tokenizer.kind}, {tokenizer.vocab_size:,} different)")
    print(f"      {len(train_tokens):,} to train on, {len(validation_tokens):,} to validate on")
    if args.init_from:
        print(f"begins with the weights and the tokenizer of {args.init_from}")
    if checkpoint:
        print(f"goes on after step {checkpoint.step:,} of {run.last_path}")
    elif run.last_path.exists():
        print(f"replaces the run that is in {args.out_dir} (--resume would go on with it)")
    rate = partial(
        npgpt.cosine_schedule,
        learning_rate=args.learning_rate,
        min_learning_rate=args.learning_rate / 10 if args.min_lr is None else args.min_lr,
        warmup_steps=args.warmup_iters,
        decay_steps=args.max_iters if args.lr_decay_iters is None else args.lr_decay_iters,
    )
    recorder, hooks = None, {}
    if args.inspector:
        recorder = make_recorder(args, run, train_tokens, validation_tokens[: min(args.seq_len, PROBE) + 1], rate)
        hooks = {"on_gradient": recorder.on_gradient, "on_step": recorder.on_record}
    finished = run.train(
        steps=args.max_iters,
        learning_rate=rate,
        max_norm=args.grad_clip,
        accumulate=args.gradient_accumulation_steps,
        evaluate_every=args.eval_interval,
        evaluate_batches=args.eval_iters,
        save_every=args.save_interval,
        **hooks,
    )
    if recorder:
        write_inspector(args, recorder.finish())
    if finished:
        loss = run.evaluate(max(200, args.eval_iters))
        bits = loss / math.log(2) * len(validation_tokens) / len(tokenizer.decode(validation_tokens))
        print(
            f"\nvalidation loss: {loss:.4f} nats a token, {bits:.3f} bits a character{unspelled(tokenizer, validation_tokens)}"
        )
        ids = backend.generate(model, prompt, args.max_new_tokens, temperature=args.temperature, seed=args.seed)
        print(f"sample:\n{tokenizer.decode(ids[len(prompt) :])}\n")
        print("\n".join(f"wrote {path}" for path in run.paths))
    else:
        print(f"\nstopped after step {run.step:,} and saved. To go on:")
        typed = make_parser().typed()
        again = [(f"--{name.replace('_', '-')}", str(getattr(args, name))) for name in FREE_AGAIN if name in typed]
        command = [python_as_typed(), sys.argv[0], "--resume", "--out-dir", str(args.out_dir), *itertools.chain(*again)]
        print("  " + shlex.join(command))
    if process[1] > 1:
        backend.leave_ranks()


if __name__ == "__main__":
    with told_errors("stopped at once; the last save is as it was"):
        main()
