"""Train the 248-parameter GPT on short Turkish sentences and watch it learn its letters.

NumPy, a few seconds:                      python examples/train.py
The same run in PyTorch, on a GPU if any:  python examples/train.py --backend torch --device auto
A larger model that writes words, about    python examples/train.py --n-layer 2 --n-head 4 --n-embd 64 --seq-len 32 \\
a minute on a CPU:                             --ffn-hidden 256 --train-qkv --batch-size 16 --steps 2000 --learning-rate 3e-3
"""

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np

import npgpt

from command_line import SENTENCES, Parser, check_at_least, make_out_dir, told_errors

SNAPSHOTS = 40  # moments of a run that are looked at closely


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    article = npgpt.GPTConfig.article()
    parser = Parser(__doc__)
    add = parser.add_argument
    parser.add_backend()
    add("--dtype", choices=("float32", "float64"), default="float32", help="precision of the weights")
    parser.add_seed("the initial weights and the batches")
    add("--steps", type=int, default=1500, help="number of training steps")
    add("--batch-size", type=int, default=8, help="windows in a batch")
    add("--learning-rate", type=float, default=1e-2, help="AdamW's lr")
    add("--n-layer", type=int, default=article.n_layer, help="blocks")
    add("--n-head", type=int, default=article.n_head, help="attention heads of a block")
    add("--n-embd", type=int, default=article.n_embd, help="length of a token's vector")
    add("--seq-len", type=int, default=article.seq_len, help="context: the longest sequence that the model sees")
    add("--ffn-hidden", type=int, default=article.ffn_hidden, help="width of the FFN, 0 for none")
    add("--train-qkv", action=argparse.BooleanOptionalAction, default=article.train_qkv, help="train Wq, Wk, Wv (248 or 275?)")
    add("--input-file", type=Path, default=SENTENCES, help="UTF-8 text to learn from")
    add(
        "--errors",
        choices=("strict", "ignore", "replace"),
        default="strict",
        help="for characters outside the alphabet, in the text and the prompt",
    )
    add("--prompt", default="ali ata ", help="what the samples go on from")
    add("--out-dir", type=Path, default=Path("out/train"), help="folder for the results; those of an earlier run are replaced")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    args = parse_arguments(arguments)
    backend = npgpt.backend(args.backend)  # from here on nothing knows which one it is
    check_at_least(1, args, "steps")
    check_at_least(0, args, "seed", "learning_rate")

    tokenizer = npgpt.LetterTokenizer()
    config = dataclasses.replace(
        npgpt.GPTConfig.article(args.train_qkv),
        n_layer=args.n_layer,
        n_head=args.n_head,
        n_embd=args.n_embd,
        seq_len=args.seq_len,
        ffn_hidden=args.ffn_hidden,
    )
    tokens = npgpt.read_tokens(args.input_file, tokenizer, args.errors)
    inputs, targets = npgpt.sliding_windows(tokens, config.seq_len)
    batches = npgpt.random_batches(inputs, targets, args.batch_size, args.seed)
    try:
        prompt = tokenizer.encode(args.prompt, args.errors)
    except ValueError as error:
        raise ValueError(f"--prompt: {error}") from None
    if not prompt:
        raise ValueError("--prompt must hold at least one letter")
    model = backend.GPTModel(config, args.device, seed=args.seed, dtype=args.dtype)
    make_out_dir(args.out_dir)

    print(f"{args.backend} on {model.device}, {args.dtype}, seed {args.seed}")
    print("config:", ", ".join(f"{name}={value}" for name, value in config.to_dict().items()))
    print(f"text: {args.input_file}, {len(tokens):,} letters, {len(inputs):,} windows of {config.seq_len}\n")
    for name, parameter in model.named_parameters():
        print(f"  {name:32s}{tuple(parameter.shape)!s:>12s}{parameter.numel():>9,}")
    print(f"  {'parameters':44s}{model.num_parameters():>9,}\n")
    baseline = math.log(config.vocab_size)
    print(f"guessing among {config.vocab_size} letters costs ln({config.vocab_size}) = {baseline:.4f} nats a letter\n")

    vectors_before = token_vectors(model)
    probe = slice(None, None, max(1, len(inputs) // 16))  # some 16 windows from all over the text
    metrics = train_and_report(model, backend, batches, (inputs[probe], targets[probe]), args, tokenizer, prompt)

    some = slice(None, None, max(1, len(inputs) // 2000))  # about 2,000 windows from all over the text
    final_loss = model.loss(inputs[some], targets[some])
    print(f"\nfinal loss: {final_loss:.4f} nats a letter, over windows from all of the text (ln V = {baseline:.4f})")
    if not final_loss < baseline:
        print("worse than guessing: a lower --learning-rate often helps")
    print(f"generated:  {sample(model, backend, tokenizer, prompt, 60)!r}\n")
    write_results(args.out_dir, model, backend, metrics, baseline, vectors_before)


def train_and_report(model, backend, batches, probe, args, tokenizer, prompt) -> list[dict]:
    """Trains; prints ten lines on the way. Returns one record a step: step, loss, grad_norm. About SNAPSHOTS of them also hold
    a "watch", for examples/06_training.py: see `watch`, the sample, and in the first the vectors before training and the text.
    """
    from tqdm import tqdm

    metrics: list[dict] = []
    every = max(1, args.steps // 10)
    watched = max(2, args.steps // SNAPSHOTS)
    start = {"embedding_before": rounded(token_vectors(model)), "input_file": str(args.input_file), "errors": args.errors}
    earlier = weights(model)
    with tqdm(total=args.steps, unit="step", leave=False, disable=None) as bar:  # None: silent where there is no terminal

        def on_step(step: int, loss: float, grad_norm: float) -> None:
            nonlocal earlier, start
            metrics.append({"step": step, "loss": loss, "grad_norm": grad_norm})
            bar.update()
            if step == 1 or step % watched == 0:
                with np.errstate(over="ignore", invalid="ignore"):  # a run that blows up is reported by its next step
                    seen = watch(model, probe, earlier) | {"sample": sample(model, backend, tokenizer, prompt, 16)}
                metrics[-1]["watch"] = start | seen | {"prompt": args.prompt}
                start = {}
            if step % watched == watched - 1:
                earlier = weights(model)  # the next step's update is measured from here
            if step % every == 0:
                recent = np.mean([record["loss"] for record in metrics[-every:]])
                text = sample(model, backend, tokenizer, prompt, 16)[len(prompt) :]
                bar.write(f"step {step:>6,}  loss {recent:.4f}  {args.prompt!r} -> {text!r}", file=sys.stdout)

        backend.train(model, batches, steps=args.steps, learning_rate=args.learning_rate, on_step=on_step)
    return metrics


def watch(model, probe: tuple[np.ndarray, np.ndarray], earlier: dict[str, np.ndarray]) -> dict:
    """What a step looks like from inside: the root mean square of every tensor's gradient on the probe, of its last update
    relative to its weights (None where those were all 0), and the embedding table."""
    model.loss_and_grad(*probe)  # the same windows every time: what changes is the model, not the text
    gradients = {name: float(f"{rms(gradient):.4g}") for name, gradient in model.gradients().items()}
    model.zero_grad()
    now = weights(model)
    ratios = {
        name: float(f"{rms(now[name] - earlier[name]) / rms(earlier[name]):.4g}") if earlier[name].any() else None
        for name in gradients
    }
    return {"gradient_rms": gradients, "update_ratio": ratios, "embedding": rounded(token_vectors(model))}


def rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def rounded(vectors: np.ndarray) -> list[list[float]]:
    """Four digits: enough for a picture, and the file stays small."""
    return [[float(f"{number:.4g}") for number in row] for row in vectors]


def weights(model) -> dict[str, np.ndarray]:
    """A copy of the state_dict as NumPy arrays, from either backend."""
    return {
        name: tensor.cpu().numpy().copy() if hasattr(tensor, "cpu") else tensor.copy()
        for name, tensor in model.state_dict().items()
    }


def sample(model, backend, tokenizer, prompt: list[int], length: int) -> str:
    """The prompt and the letters that the model puts after it; none where its logits are nan, which the next step reports."""
    try:
        return tokenizer.decode(backend.generate(model, prompt, length))
    except ValueError:
        return tokenizer.decode(prompt)


def token_vectors(model) -> np.ndarray:
    """A copy of the embedding table (V, C), from either backend."""
    return weights(model)["token_embedding.weight"]


def write_results(out_dir: Path, model, backend, metrics: list[dict], baseline: float, vectors_before: np.ndarray) -> None:
    """Metrics, weights and two pictures; prints each file's name."""
    from npgpt.pictures import embedding_space, loss_curve
    from npgpt.runs.files import write_atomically, write_picture

    lines = "".join(json.dumps(record) + "\n" for record in metrics)
    write_atomically(out_dir / "metrics.jsonl", lines.encode())
    backend.save_checkpoint(model, out_dir / "weights.safetensors")
    write_picture(out_dir / "loss.png", loss_curve([record["loss"] for record in metrics], baseline))
    space = embedding_space(vectors_before, token_vectors(model), npgpt.letters)
    write_picture(out_dir / "embedding_space.png", space)
    for name in ("metrics.jsonl", "weights.safetensors", "loss.png", "embedding_space.png"):
        print(f"wrote {out_dir / name}")


if __name__ == "__main__":
    with told_errors("stopped; nothing was written"):
        main()
