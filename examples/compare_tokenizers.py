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
import itertools
import math
from pathlib import Path

import numpy as np

import npgpt

from command_line import SENTENCES, Parser, check_at_least, told_errors


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


def spelling_bits(tokenizer: npgpt.Tokenizer, text: str, alphabet: int) -> float:
    """What it costs to spell everything in the text that the tokenizer only knows as unknown."""
    if tokenizer.kind == "words":
        unknown = [piece for piece in npgpt.text.words.PIECE.findall(text) if piece not in tokenizer.ids]
        return sum(len(piece) + 1 for piece in unknown) * math.log2(alphabet + 1)
    if tokenizer.kind == "characters":
        return sum(character not in tokenizer.ids for character in text) * math.log2(alphabet)
    return 0.0


def bits_of_all(model, ids: list[int]) -> float:
    """What the model pays for the whole text, in bits: every token but the first is predicted once, from up to half a context
    or more before it."""
    T = model.config.seq_len
    ids = np.array(ids)
    total, done = 0.0, 1  # tokens paid for
    while done < len(ids):
        start = max(0, done - T // 2)
        end = min(len(ids), start + T + 1)
        logits = np.asarray(model(ids[None, start : end - 1]).tolist()[0])  # (t, V), from either backend
        logits -= logits.max(axis=-1, keepdims=True)
        losses = np.log(np.exp(logits).sum(axis=-1)) - logits[np.arange(end - 1 - start), ids[start + 1 : end]]  # (t,)
        total += losses[done - 1 - start :].sum()
        done = end
    return total / math.log(2)


def main() -> None:
    args = parse_arguments()
    check_at_least(1, args, "max_iters", "max_characters")
    check_at_least(0, args, "seed")
    backend = npgpt.backend(args.backend)
    text = "".join(itertools.islice(itertools.chain.from_iterable(npgpt.read_text(args.input_file)), args.max_characters))
    cut = len(text) * 9 // 10
    train_text, validation_text = text[:cut], text[cut : cut + 20_000]
    alphabet = len(set(text))
    print(f"{args.input_file}: {len(train_text):,} characters to train on, {len(validation_text):,} to compare on\n")
    print("tokenizer    different tokens   characters a token   parameters   nats a token   bits a character")

    for name, tokenizer in make_tokenizers(train_text, args.vocab_size).items():
        ids = np.array(tokenizer.encode(train_text, "replace" if name != "byte pairs" else "strict"))
        validation_ids = tokenizer.encode(validation_text, "replace" if name != "byte pairs" else "strict")
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
        best = math.inf
        windows = npgpt.RandomWindows(ids, config.seq_len, 16, args.seed)

        def keep_the_best(
            step, loss, norm, model=model, validation_ids=validation_ids
        ):  # a small text is soon learned by heart
            nonlocal best
            if step % max(1, args.max_iters // 8) == 0 or step == args.max_iters:
                best = min(best, bits_of_all(model, validation_ids))

        backend.train(
            model,
            windows,
            steps=args.max_iters,
            learning_rate=lambda step: backend.cosine_schedule(
                step, learning_rate=3e-3, min_learning_rate=3e-4, warmup_steps=20, decay_steps=args.max_iters
            ),
            weight_decay=0.1,
            on_step=keep_the_best,
        )
        bits = best + spelling_bits(tokenizer, validation_text, alphabet)
        nats = best * math.log(2) / (len(validation_ids) - 1)
        print(
            f"{name:12} {tokenizer.vocab_size:16,} {len(validation_text) / len(validation_ids):20.2f} "
            f"{model.num_parameters():12,} {nats:14.3f} {bits / len(validation_text):18.3f}"
        )


if __name__ == "__main__":
    with told_errors():
        main()
