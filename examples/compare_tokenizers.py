"""Which pieces should a text be cut into? Letters, characters, byte pairs and words, compared on one text.

python examples/compare_tokenizers.py                            the bundled sentences, under a minute
python examples/compare_tokenizers.py --input-file book.txt      a text of your own, whose start is used

A loss per token says nothing here: there are as many letters in a text as it has letters, but fewer words, and each word is
harder to guess. What compares is the cost of the whole text: bits a character = (nats a token / ln 2) * tokens / characters.

A word that the training text does not have becomes "<unk>", and predicting "<unk>" is cheap, because it says nothing about
which word it is. To be fair it must also be spelled: it is charged log2(number of characters) bits a letter, and one more for
its end. Letters know only the article's 32 (capitals become small, other signs spaces), so theirs is an easier text.
"""

import argparse
import math
from pathlib import Path

import npgpt

from command_line import SENTENCES, Parser, check_at_least, told_errors
from text_costs import spelling_bits, start_of, train_to_best


def parse_arguments() -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--input-file", type=Path, default=SENTENCES, help="UTF-8 text")
    add("--max-characters", type=int, default=200_000, help="how much of it is used, from its start")
    parser.add_backend()
    add("--max-iters", type=int, default=400, help="training steps of each model")
    add("--vocab-size", type=int, default=400, help="of the byte pairs")
    parser.add_seed("the initial weights and the batches")
    return parser.parse_args()


def make_tokenizers(text: str, vocab_size: int) -> dict[str, npgpt.Tokenizer]:
    """Name -> tokenizer, made from the training text alone. Without the optional library there are no byte pairs."""
    tokenizers = {
        "letters": npgpt.LetterTokenizer(),
        "characters": npgpt.CharTokenizer.from_text(text, unknown=True),
        "words": npgpt.WordTokenizer.from_text(text),
    }
    try:
        tokenizers["byte pairs"] = npgpt.BPETokenizer.from_text(text, vocab_size)
    except ImportError as error:
        print(f"(no byte pairs: {error})")
    return tokenizers


def main() -> None:
    args = parse_arguments()
    check_at_least(1, args, "max_iters", "max_characters")
    check_at_least(0, args, "seed")
    backend = npgpt.backend(args.backend)
    text = start_of(args.input_file, args.max_characters)
    cut = len(text) * 9 // 10
    train_text, validation_text = text[:cut], text[cut : cut + 20_000]
    alphabet = len(set(text))
    print(f"{args.input_file}: {len(train_text):,} characters to train on, {len(validation_text):,} to compare on\n")
    print("tokenizer    different tokens   characters a token   parameters   nats a token   bits a character")

    for name, tokenizer in make_tokenizers(train_text, args.vocab_size).items():
        errors = "strict" if name == "byte pairs" else "replace"
        ids, validation_ids = tokenizer.encode(train_text, errors), tokenizer.encode(validation_text, errors)
        config = npgpt.GPTConfig(
            tokenizer.vocab_size,
            n_layer=2,
            n_head=4,
            n_embd=48,
            seq_len=32,
            position="learned",
            tie_weights=True,
            head_bias=False,
        )
        model = backend.GPTModel(config, args.device, seed=args.seed)
        best = train_to_best(backend, model, ids, validation_ids, steps=args.max_iters, seed=args.seed)
        bits = best + spelling_bits(tokenizer, validation_text, alphabet)
        nats = best * math.log(2) / (len(validation_ids) - 1)
        print(
            f"{name:12} {tokenizer.vocab_size:16,} {len(validation_text) / len(validation_ids):20.2f} "
            f"{model.num_parameters():12,} {nats:14.3f} {bits / len(validation_text):18.3f}"
        )


if __name__ == "__main__":
    with told_errors():
        main()
