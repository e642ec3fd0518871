"""Let a model write: one that examples/train_text.py has trained, or a published one, from its folder or .gguf file.

python examples/sample.py                                             what out/text/best.safetensors has learned
python examples/sample.py --prompt "ali " --temperature 0.5 --num-samples 3
python examples/sample.py --top-k 10 --top-p 0.9 --stop "." --seed 1
python examples/sample.py --checkpoint gpt2 --prompt "The capital of France is"     a folder of Hugging Face's transformers
"""

import argparse
from pathlib import Path

import npgpt
from npgpt.pretrained import is_pretrained

from command_line import Parser, check_at_least, told_errors


def parse_arguments() -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--checkpoint", type=Path, default=Path("out/text/best.safetensors"), help="train_text.py's, a folder, or a .gguf file")
    parser.add_backend()
    add("--prompt", default="\n", help="what the text goes on from")
    add("--num-samples", type=int, default=1, help="how many texts")
    add("--max-new-tokens", type=int, default=300, help="the longest text, in tokens")
    add("--temperature", type=float, default=0.8, help="below 1 bolder where the model is sure; 0: always the likeliest token")
    add("--top-k", type=int, default=None, help="choose among the k likeliest; None: all")
    add("--top-p", type=float, default=None, help="choose among the fewest that together have this probability; None: all")
    add(
        "--seed",
        type=int,
        default=None,
        help="fixes the text (on one machine, with the same number of threads); None: another one each time",
    )
    add("--slide", type=int, default=1, help="past the context: by how many tokens it moves on; more is faster, and sees less")
    add("--stop", default=None, help="end a text as soon as it holds this")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    check_at_least(1, args, "num_samples", "max_new_tokens")
    check_at_least(0, args, "seed")
    if args.stop == "":
        raise ValueError("--stop must hold at least one character")
    backend = npgpt.backend(args.backend)
    if is_pretrained(args.checkpoint):
        tokenizer = npgpt.pretrained_tokenizer(args.checkpoint)
        model = backend.load_pretrained(args.checkpoint, args.device)
    else:
        tokenizer = npgpt.read_checkpoint(args.checkpoint).tokenizer()
        model = backend.load_checkpoint(args.checkpoint, args.device)
    try:
        prompt = tokenizer.encode(args.prompt)
    except ValueError as error:
        raise ValueError(f"--prompt: {error}") from None
    if not prompt:
        raise ValueError("--prompt must hold at least one token")

    for number in range(args.num_samples):
        if number:
            print("\n---------------")
        backend.generate(
            model,
            prompt,
            args.max_new_tokens,
            temperature=args.temperature,
            top_k=args.top_k,
            top_p=args.top_p,
            seed=None if args.seed is None else args.seed + number,
            slide=args.slide,
            on_token=printer(tokenizer, args.prompt, args.stop),
        )
    print()


def printer(tokenizer: npgpt.Tokenizer, prompt: str, stop: str | None):
    """A function for generate's on_token: prints the prompt and the text after it as it grows, and ends it at `stop`."""
    ids: list[int] = []
    printed = 0  # characters

    def on_token(new) -> bool:
        nonlocal printed
        if not ids:
            print(prompt, end="")
        ids.extend(new.tolist())
        text = tokenizer.decode(ids)
        end = text.find(stop) + len(stop) if stop and stop in text else len(text)
        whole = text[:end].rstrip("\N{REPLACEMENT CHARACTER}")  # a character of several byte tokens may not be complete yet
        print(whole[printed:], end="", flush=True)
        printed = max(printed, len(whole))
        return bool(stop and stop in text)

    return on_token


if __name__ == "__main__":
    with told_errors():
        main()
