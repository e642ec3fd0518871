"""9. Other architectures: GPT, LSTM and Mamba on one scale. Who learns what, who remembers, and where does each look?

Models of 248, 1,000, 10,000 and 100,000 parameters on the article's sentences and on a text whose entropy is known; a name to
remember; gates, steps and attention over the letters of a sentence; and a map that all three have, put to the test.

The default trains the small ones briefly. The whole measurement, about 40 minutes on one core:
    python examples/09_other_architectures.py --sizes 248 1000 10000 100000 --steps 1000 --seeds 3 \\
        --learning-rates 0.003 0.01 0.03 --recall-size 10000 --recall-steps 6000
"""

# %%
import dataclasses

from common import SENTENCES, start, windows

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.influence import gradient_map, replacement_map
from npgpt.pictures import KINDS
from npgpt.pictures.statistics import ngram_entropy, numpy_array, rank_correlation
from npgpt.text.harmony import entropy_after, entropy_rate, harmony_text, log_probabilities

from command_line import check_above_0, check_at_least, told_errors
from equal_budget import BATCH, COMPARED, CONFIGS, T, best_of_rates, compare, train


def options(add) -> None:
    add("--sizes", type=int, nargs="+", choices=CONFIGS, default=[248, 1000], help="the parameter counts to compare at")
    add("--steps", type=int, default=60, help="training steps of each model")
    add("--seeds", type=int, default=2, help="models of each kind and size")
    add("--learning-rates", type=float, nargs="+", default=[0.01], help="tried on the first seed; the best is taken for all")
    add("--recall-size", type=int, choices=CONFIGS, default=1000, help="the shapes that have a name to remember")
    add("--recall-steps", type=int, default=200, help="their training steps")


run = start(__doc__, prompt="ali topu at.", longest=T, more=options)
say, lang, args = run.say, run.args.lang, run.args
with told_errors():
    check_at_least(1, args, "steps", "seeds", "recall_steps")
    check_above_0("--learning-rates", *args.learning_rates)
sizes, seeds = sorted(set(args.sizes)), range(args.seed, args.seed + args.seeds)


def best_kind(results: dict) -> tuple[str, float]:
    """At the largest size: the kind with the lowest mean loss, and how far the next is above it."""
    means = {kind: np.mean(losses[-1]) for kind, (_, losses) in results.items()}
    first, second, *_ = sorted(means, key=means.get)
    return KINDS[first], means[second] - means[first]


# %% An equal budget, on the article's sentences: the loss on the very text that they learn
inputs, targets = windows(T)
ids = npgpt.read_tokens(SENTENCES, npgpt.LetterTokenizer())
some = slice(None, None, 70 if args.quick else 7)  # windows from all over the text
header = "{name}: parameters, loss: mean (lowest..highest), learning rate:"
run.print(header, name=say("the sentences"))
sentences, models = compare(run, sizes, seeds, (inputs, targets), (inputs[some], targets[some]))
grams = {say(name): ngram_entropy(ids, n) for n, name in enumerate(("letters alone", "bigrams", "trigrams"), start=1)}
print("  " + ", ".join(f"{name} {entropy:.4f}" for name, entropy in grams.items()))

# %% A text whose entropy is known. Test windows begin with a word, where nothing before matters; the chain's own surprise at
# the same letters is the floor, so that luck with the sample counts for neither
text, test_text = harmony_text(400_000, args.seed), harmony_text(30_000, args.seed + 1)
run.print("a text of known entropy, {text!r} ...: {rate:.4f} nats a letter", text=text[:40], rate=entropy_rate())
own = -log_probabilities(test_text)  # (30,000,)
error = own.std() / np.sqrt(len(own))
run.print("  a sample of {count:,} letters costs its own chain {mean:.4f} ± {error:.4f}",
          count=len(own), mean=own.mean(), error=error)  # fmt: skip
ids = np.array(npgpt.tokenize(test_text))
starts = [0, *(i + 1 for i, letter in enumerate(test_text[: -T - 1]) if letter == " ")][:: 40 if args.quick else 4]
at = np.array(starts)[:, None] + np.arange(T)  # (N, T)
floor = own[at + 1].mean()
training = npgpt.sliding_windows(np.array(npgpt.tokenize(text)), T)
run.print(header, name=say("the text of known entropy"))
known, _ = compare(run, sizes, seeds, training, (ids[at], ids[at + 1]))
above = {kind: (counts, np.array(losses) - floor) for kind, (counts, losses) in known.items()}
run.print("  above the floor of {floor:.4f} nats at the largest size: {distances}", floor=floor,
          distances=", ".join(f"{KINDS[kind]} {rows[-1].mean():.4f}" for kind, (_, rows) in above.items()))  # fmt: skip
seen = ("one letter seen", "two letters seen", "three letters seen")
short = {say(name): entropy_after(n) - entropy_rate() for n, name in enumerate(seen, start=1)}

name, gap = best_kind(sentences)
known_name, known_gap = best_kind(known)
title = say("At {count:,} parameters {name} is best on the sentences, by {gap:.2f} nats; {known_name} on the text of known "
            "entropy, by {known_gap:.3f}",
            count=sizes[-1], name=name, gap=gap, known_name=known_name, known_gap=known_gap)  # fmt: skip
print(title)
panels = [
    (say("the sentences: loss (nats a letter)"), sentences, grams, False),
    (say("known entropy: nats a letter above the floor"), above, short, True),
]
run.save(pictures.losses_by_size(panels, title, lang), "09_equal_budget.png")

# %% A thing to remember. A name is told, other words follow, and at every "?" the name is the right answer; at any other word,
# "." is (answers are targets, not inputs: the name is never heard again). One token a word, batches of 2 to 32 words
NAMES, OTHERS, ASK, DOT = 8, 8, 16, 17
NEAR = [1, 2, 3, 4, 6, 8, 12, 16, 24, 31, 40, 48, 56, 63]  # how many words after the name the question comes
TRAINED, LONGEST = 31, NEAR[-1] + 1


def told(rng, count: int, length: int) -> np.ndarray:
    """(count, length): a name, then other words."""
    words = rng.integers(NAMES, NAMES + OTHERS, size=(count, length))
    words[:, 0] = rng.integers(NAMES, size=count)
    return words


def lessons(rng):
    while True:
        words = told(rng, BATCH, rng.integers(2, TRAINED + 2))
        words[:, 1:][rng.random(words[:, 1:].shape) < 0.25] = ASK
        yield words, np.where(words == ASK, words[:, :1], DOT)


def right_answers(model) -> np.ndarray:
    """(D,): the share of right answers to a question that comes so many words after the name, the first one."""
    words, shares = told(np.random.default_rng(args.seed + 1000), 200, LONGEST), []
    for distance in NEAR:
        asked = words[:, : distance + 1].copy()
        asked[:, distance] = ASK
        shares.append((numpy_array(model(asked))[:, -1].argmax(axis=-1) == words[:, 0]).mean())
    return np.array(shares)


right = {}
run.print("a name to remember: share of right answers, {count} words after it:", count=", ".join(map(str, NEAR)))
for config in CONFIGS[args.recall_size]:
    config = dataclasses.replace(config, vocab_size=DOT + 1, seq_len=LONGEST)

    def rememberer(rate, seed, config=config):
        return train(run, config, lessons(np.random.default_rng(seed)), run.steps(args.recall_steps), rate, seed)

    rate, found, shares = best_of_rates(args.learning_rates, seeds, rememberer, right_answers)
    right[config.kind] = np.array(shares).T  # (D, seeds)
    means = " ".join(f"{share:.2f}" for share in right[config.kind].mean(axis=1))
    print(f"  {KINDS[config.kind]:6} {found[0].num_parameters():7,}  {means}  {rate:g}")
within, beyond = ({KINDS[kind]: x[part].mean() for kind, x in right.items()}
                  for part in (slice(0, NEAR.index(TRAINED) + 1), slice(NEAR.index(TRAINED) + 1, None)))  # fmt: skip
title = say("Right answers within the training's distances: {within}; further: {beyond}",
            within=", ".join(f"{name} {share:.2f}" for name, share in within.items()),
            beyond=", ".join(f"{name} {share:.2f}" for name, share in beyond.items()))  # fmt: skip
run.save(pictures.recall(NEAR, right, chance=1 / NAMES, trained=TRAINED, title=title, lang=lang), "09_recall.png")

# %% Inside: what each keeps and lets go, letter by letter
INSIDE = 1000 if 1000 in sizes else sizes[0]
gpt, lstm, mamba = (models[INSIDE, kind][0] for kind in COMPARED)
prompt, prompt_text = run.prompt, npgpt.detokenize(run.prompt)


def inside(model, ids) -> dict[str, np.ndarray]:
    """What decides what the first layer remembers, each (T, ...)."""
    wanted = {"gpt": ("pattern",), "lstm": ("f", "c"), "mamba": ("delta",)}[model.config.kind]
    trace = run.trace(model, [ids])
    return {name: trace[f"blocks.0.{name}"][0][0] for name in wanted}


def by_letter(model, name: str) -> dict[str, float]:
    """The mean of that value at the vowels, the consonants, spaces and full stops of the text."""
    values = run.trace(model, inputs[some])[f"blocks.0.{name}"][0].mean(axis=-1)  # (N, T)
    families = {"vowels": pictures.VOWELS, "consonants": pictures.CONSONANTS, "space": " ", "full stop": "."}
    written = np.array(list(npgpt.letters))[inputs[some]]  # (N, T)
    return {say(family): values[np.isin(written, list(members))].mean() for family, members in families.items()}


forget, delta = by_letter(lstm, "f"), by_letter(mamba, "delta")
for what, means in (("the LSTM's forget gate, mean at", forget), ("Mamba's step delta, mean at", delta)):
    print(say(what) + " " + ", ".join(f"{family} {mean:.4f}" for family, mean in means.items()))
shown = [
    (say("LSTM: forget gate"), inside(lstm, prompt)["f"]),
    (say("LSTM: cell"), inside(lstm, prompt)["c"]),
    (say("Mamba: step delta"), inside(mamba, prompt)["delta"]),
    *((say("GPT: attention, head {head}", head=h + 1), p) for h, p in enumerate(inside(gpt, prompt)["pattern"])),
]
title = say("{count} parameters: the forget gate lets go most at {forgets}, delta is largest at {writes}",
            count=f"{INSIDE:,}", forgets=min(forget, key=forget.get), writes=max(delta, key=delta.get))  # fmt: skip
run.save(pictures.maps_of_a_text([(say("letter"), shown)], prompt_text, title, lang), "09_inside.png")


# %% Where does each look? The gradient's map, and the test: replace each letter by each other one
def maps(model, ids) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Name -> (T, T): the maps that claim to show it, and what replacing does. The last letter is the last target."""
    ids, targets = np.array(ids[:-1]), np.array(ids[1:])
    gradient, replaced = gradient_map(model, ids, targets), replacement_map(model, ids, targets)
    table = numpy_array(model.token_embedding.weight)
    away = table[ids] - table.mean(axis=0)  # (T, C): from the mean letter instead of from zero
    claims = {"gradient × embedding": gradient.times_embedding, "length of the gradient": gradient.norm,
              "gradient × (embedding - mean)": (gradient.gradient * away).sum(axis=-1)}  # fmt: skip
    if model.config.kind == "gpt":
        trace = run.trace(model, [ids])
        patterns = [trace[f"blocks.{i}.pattern"][0][0] for i in range(model.config.n_layer)]
        claims["attention"] = np.mean(patterns, axis=(0, 1))  # over layers and heads
    return claims, {"size": replaced.size, "change": replaced.change}


def agreement(model, texts: list[list[int]]) -> dict[str, float]:
    """Claim -> the mean rank correlation with what replacing does, letter by letter: of each target, over the letters before
    it. The last claim has a sign and is held against the change, the others, without sign, against its size."""
    found = {}
    for ids in texts:
        claims, replaced = maps(model, ids)
        for name, claim in claims.items():
            truth = replaced["change" if name.endswith("mean)") else "size"]
            claim = claim if name.endswith("mean)") else abs(claim)
            rows = [rank_correlation(claim[t, : t + 1], truth[t, : t + 1]) for t in range(4, len(claim))]
            found.setdefault(name, []).append(np.mean(rows))
    return {name: float(np.mean(rows)) for name, rows in found.items()}


lines = [line for line in SENTENCES.read_text(encoding="utf-8").splitlines() if 10 <= len(line) <= T]
texts = [npgpt.tokenize(line) for line in lines[:: max(1, len(lines) // (2 if args.quick else 12))]]
run.print("rank correlation with replacing each letter ({count} parameters, {texts} sentences): mean (lowest..highest seed)",
          count=f"{INSIDE:,}", texts=len(texts))  # fmt: skip
correlations = {}
for kind in COMPARED:
    found = [agreement(model, texts) for model in models[INSIDE, kind]]
    correlations[kind] = {name: np.array([row[name] for row in found]) for name in found[0]}
    for name, row in correlations[kind].items():
        print(f"  {KINDS[kind]:6} {say(name):30} {row.mean():+.3f} ({row.min():+.3f}..{row.max():+.3f})")
rows = []
for model in (gpt, lstm, mamba):
    claims, replaced = maps(model, prompt)
    panels = [(say(name), claims[name]) for name in ("gradient × embedding", "length of the gradient")]
    panels.append((say("replaced: size of the change"), replaced["size"]))
    panels += [(say("attention"), claims["attention"])] if "attention" in claims else []
    rows.append((KINDS[model.config.kind], panels))
title = say("Who is right? Rank correlation with replacing the letter: attention {attention:.2f}, the gradient's length "
            "{lengths}",
            attention=correlations["gpt"]["attention"].mean(),
            lengths=", ".join(f"{KINDS[kind]} {row['length of the gradient'].mean():.2f}"
                              for kind, row in correlations.items()))  # fmt: skip
run.save(pictures.maps_of_a_text(rows, prompt_text[:-1], title, lang), "09_where_each_looks.png")
