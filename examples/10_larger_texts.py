"""10. Larger texts: how the learned vectors change as the text grows.

The same model on 1, 10 and 100 % of a text, for letters, words and byte pairs. What does it cost, and who is whose neighbour?

- The vocabulary is the same for the three sizes: each tokenizer is made from the whole training text. (Words beyond
  --vocab-size become "<unk>", and are spelled at the end: see compare_tokenizers.py.)
- The part held out is the same for all: the last tenth, at most 10,000 characters. A model's vectors are those of the step
  with which it cost least, looked at whenever the number of steps has doubled; so all costs are a little flattering.
- Only tokens that occur in all three parts are compared. Every model starts from random vectors of its own; how much two seeds
  of one size share says how much can be kept at all.

The default trains briefly. What the gallery shows, some minutes, on a text whose entropy is known:
    python examples/10_larger_texts.py --text harmony --letters 300000 --neighbours 5 --steps 2000
"""

# %%
import itertools
import math
from pathlib import Path

from common import SENTENCES, start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import centres_apart, nearest, neighbours_kept, numpy_array, rotation_onto
from npgpt.text.harmony import harmony_text, log_probabilities

from command_line import check_at_least, told_errors
from text_costs import spelling_bits, start_of, train_to_best

SHARES = (1, 10, 100)  # percent of the training text
SEQ_LEN = 12


def options(add) -> None:
    add("--text", choices=("sentences", "harmony"), default="sentences", help="the bundled sentences, or words with harmony")
    add("--letters", type=int, default=20_000, help="how long the text of --text harmony is")
    add("--input-file", type=Path, help="UTF-8 text instead of --text")
    add("--max-characters", type=int, default=200_000, help="how much of --input-file is used, from its start")
    add("--vocab-size", type=int, default=500, help="at most so many words, and so many byte pairs")
    add("--n-embd", type=int, default=24, help="numbers in a vector")
    add("--steps", type=int, default=80, help="training steps of each model")
    add("--seeds", type=int, default=2, help="models of each size, at least 2")
    add("--neighbours", type=int, default=3, help="how many of a token's nearest are compared")


run = start(__doc__, more=options)
say, lang, args = run.say, run.args.lang, run.args


# %% The text, its three sizes (each begins the next), and what is held out. White space counts as one space
def whole_text() -> str:
    if args.input_file is not None:
        return " ".join(start_of(args.input_file, args.max_characters).split())
    if args.text == "harmony":
        return harmony_text(args.letters)
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()  # they stand by subject: mixed, so that 1 % is a fair sample
    return " ".join(lines[i] for i in np.random.default_rng(0).permutation(len(lines)))


def make_tokenizers(text: str) -> dict[str, npgpt.Tokenizer]:
    if set(text) <= set(npgpt.letters):
        made = {say("letters"): npgpt.LetterTokenizer()}
    else:
        made = {say("characters"): npgpt.CharTokenizer.from_text(text, unknown=True)}
    made[say("words")] = npgpt.WordTokenizer.from_text(text, args.vocab_size)
    try:
        made[say("byte pairs")] = npgpt.BPETokenizer.from_text(text, args.vocab_size)
    except ImportError as error:
        run.print("(no byte pairs: {error})", error=error)
    return made


with told_errors():
    check_at_least(1, args, "letters", "max_characters", "vocab_size", "n_embd", "steps", "neighbours")
    check_at_least(2, args, "seeds")
    text = whole_text()
    cut = len(text) * 9 // 10
    training, held_out = text[:cut], text[cut : cut + 10_000]
    parts = [training[: max(0, training.rfind(" ", 0, len(training) * share // 100))] for share in SHARES]
    tokenizers = make_tokenizers(training)
    ids = {name: [tokenizer.encode(part, "replace") for part in parts] for name, tokenizer in tokenizers.items()}
    held_out_ids = {name: tokenizer.encode(held_out, "replace") for name, tokenizer in tokenizers.items()}
    configs = {
        name: npgpt.GPTConfig(tokenizer.vocab_size, 2, 2, args.n_embd, SEQ_LEN, position="learned")
        for name, tokenizer in tokenizers.items()
    }
    labels = {}  # name -> token -> how it is written, where it occurs in every part; no "<unk>", no piece of a character
    for name, tokenizer in tokenizers.items():
        written = {token: tokenizer.decode([token]) for token in sorted(set(ids[name][0]))}
        labels[name] = {token: label for token, label in written.items() if label != "<unk>" and "\ufffd" not in label}
        few = len(ids[name][0]), len(labels[name])
        if few[0] <= SEQ_LEN or few[1] <= args.neighbours:
            raise ValueError(
                f"the text is too short: 1 % of it are {few[0]} {name}, {few[1]} of them different; a window of {SEQ_LEN} "
                f"and its target need {SEQ_LEN + 1}, {args.neighbours} neighbours {args.neighbours + 1}"
            )
run.print(
    "{all:,} characters, {training:,} to train on, of which 1, 10 and 100 % are taken; {held_out:,} are held out",
    all=len(text), training=len(training), held_out=len(held_out),
)  # fmt: skip
floor = None
if args.text == "harmony" and args.input_file is None:
    floor = -log_probabilities(text)[cut : cut + len(held_out)].mean() / math.log(2)
    run.print("what the held-out text costs who knows its chain: {floor:.3f} bits a character", floor=floor)

# %% Train: every kind of token, size and seed
steps = run.steps(args.steps)
doublings = {steps >> halvings for halvings in range(steps.bit_length())}  # a hundredth of a text is soon learned by heart
bits = {name: np.zeros((len(SHARES), args.seeds)) for name in tokenizers}  # a character
tables = {name: np.zeros((len(SHARES), args.seeds, len(labels[name]), args.n_embd)) for name in tokenizers}
run.print("pieces         different  of the text    pieces in it   nats a piece  bits a character: mean (lowest..highest)")
for name, tokenizer in tokenizers.items():
    spelling = spelling_bits(tokenizer, held_out, len(set(text)))
    for size, share in enumerate(SHARES):
        for seed in range(args.seeds):
            number = args.seed + len(SHARES) * seed + size  # no two models start alike
            model = run.model(configs[name], number)

            def keep(name=name, size=size, seed=seed, model=model):
                tables[name][size, seed] = numpy_array(model.token_embedding.weight)[list(labels[name])]

            best = train_to_best(run.backend, model, ids[name][size], held_out_ids[name],
                                 steps=steps, seed=number, learning_rate=5e-3, looks=doublings, at_best=keep)  # fmt: skip
            bits[name][size, seed] = (best + spelling) / len(held_out)
        cost = bits[name][size]
        nats = (cost.mean() * len(held_out) - spelling) * math.log(2) / len(held_out_ids[name])
        print(f"{name:14} {tokenizer.vocab_size:9,} {share:10} % {len(ids[name][size]):15,} {nats:14.3f} "
              f"{cost.mean():15.3f} ({cost.min():.3f}..{cost.max():.3f})")  # fmt: skip

# %% Who keeps whose neighbours: all seeds of one size with all of the next, and those of the largest among themselves
k, kept, chance = args.neighbours, {}, {}
for name, (first, second, third) in tables.items():
    chance[name] = k / (len(labels[name]) - 1)
    sizes = [itertools.product(first, second), itertools.product(second, third), itertools.combinations(third, 2)]
    kept[name] = np.array([np.mean([neighbours_kept(a, b, k) for a, b in pairs]) for pairs in sizes])
    run.print(
        "{name}: of the {k} nearest of {count} tokens {first:.0f} % stay from 1 to 10 %, {second:.0f} % from 10 to 100 %; "
        "two seeds share {seeds:.0f} %, chance {chance:.0f} %",
        name=name, k=k, count=len(labels[name]), chance=100 * chance[name],
        **dict(zip(("first", "second", "seeds"), 100 * kept[name], strict=True)),
    )  # fmt: skip


# %% The first seed's vectors, each size turned as the next one lies: a model's axes have no direction of their own
def turned(sizes: np.ndarray) -> tuple[list[np.ndarray], list[float], list[float]]:
    """The tables (S, N, C) centred, of size 1 and turned; how alike each is to the next, and with its rows in random order."""
    tables = [table - table.mean(axis=0) for table in sizes]
    tables = [table / np.linalg.norm(table) for table in tables]
    alike, by_lot, rng = [], [], np.random.default_rng(0)
    for size in reversed(range(len(tables) - 1)):
        rotation, share = rotation_onto(tables[size], tables[size + 1])
        alike.insert(0, share)
        by_lot.insert(0, np.mean([rotation_onto(rng.permutation(tables[size]), tables[size + 1])[1] for _ in range(20)]))
        tables[size] = tables[size] @ rotation
    return tables, alike, by_lot


def last_vowel(token: str) -> str:
    return next((letter for letter in reversed(token) if letter in pictures.VOWELS), "none")


panels = [say("{n} % of the text", n=share) for share in SHARES]
for kind, name in zip(("letters", "words", "byte_pairs"), tokenizers, strict=False):
    written, count = list(labels[name].values()), np.bincount(ids[name][-1], minlength=tokenizers[name].vocab_size)
    order = np.argsort(-count[list(labels[name])], kind="stable")  # the most frequent token first
    rows, alike, by_lot = turned(tables[name][:, 0])
    run.print(
        "{name}, turned: {first:.2f} alike from 1 to 10 % (in another order {first_lot:.2f}), "
        "{second:.2f} from 10 to 100 % ({second_lot:.2f})",
        name=name, first=alike[0], first_lot=by_lot[0], second=alike[1], second_lot=by_lot[1],
    )  # fmt: skip
    if kind == "letters":
        kinds = {say("vowels"): pictures.VOWELS, say("consonants"): pictures.CONSONANTS}
        kinds = {what: np.array([letter in members for letter in written]) for what, members in kinds.items()}
    else:
        kinds = {say("last vowel front"): "eiöü", say("last vowel back"): "aıou"}
        kinds = {what: np.array([last_vowel(token) in members for token in written]) for what, members in kinds.items()}
        for i in [i for i in order if written[i].strip().isalpha()][:6]:
            near = ["  ".join(pictures.visible(written[j]) for j in nearest(table, k)[i]) for table in rows]
            print(f"  {pictures.visible(written[i]):12} " + "   |   ".join(near))
    apart, rng = [centres_apart(table, *kinds.values()) for table in rows], np.random.default_rng(0)
    lot = np.mean([centres_apart(rng.permutation(rows[-1]), *kinds.values()) for _ in range(20)])
    one, other = kinds
    title = say("{name}: {one} and {other} lie {a:.1f}, {b:.1f}, {c:.1f} radii apart with 1, 10, 100 % (by lot {lot:.1f})",
                name=name.capitalize(), one=one, other=other, a=apart[0], b=apart[1], c=apart[2], lot=lot)  # fmt: skip
    some = order if kind == "letters" else order[:20]
    some_kinds = {what: members[some] for what, members in kinds.items()}
    figure = pictures.spaces_in_order(
        [table[some] for table in rows], panels, [written[i] for i in some], some_kinds, title, lang
    )
    print(figure.get_suptitle().replace("\n", "; "))  # with the share of the variance that three dimensions show
    run.save(figure, f"10_{kind}.png")

# %% What more text brings
costs = ", ".join(f"{name} {cost[0].mean():.2f} → {cost[-1].mean():.2f}" for name, cost in bits.items())
title = say("With a hundred times the text: {costs} bits a character", costs=costs)
print(title)
run.save(pictures.larger_texts(SHARES, bits, kept, chance, title, floor, lang), "10_larger_texts.png")
