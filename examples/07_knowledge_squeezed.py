"""7. Knowledge squeezed: how many dimensions does a model need for the facts of its text?

The article's claim, tested: capitals and purchases from the sentences, one token a word, models from n_embd 1 to 16, several
seeds. A fact is a sentence whose first two words leave only one third: "fransanın başkenti" -> "paristir".

The default trains a few widths briefly, without 2: LayerNorm makes a sign of two numbers, a step that magnifies roundings until
no two backends print the same digits. The whole measurement, some minutes:
    python examples/07_knowledge_squeezed.py --widths 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 \\
        --seeds 5 --steps 1500 --learning-rate 0.03
"""

# %%
import sys

from common import facts, start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import closest_pairs, knee, matrix_rank, numpy_array, prefix_entropy


def options(add) -> None:
    add("--widths", type=int, nargs="+", default=[1, 3, 4, 5, 6, 8, 16], help="the n_embd to try")
    add("--seeds", type=int, default=2, help="models of each width")
    add("--learning-rate", type=float, default=0.06, help="AdamW's lr")
    add("--steps", type=int, default=150, help="training steps of each model")


run = start(__doc__, more=options)
say, lang = run.say, run.args.lang
widths, seeds = sorted(set(run.args.widths)), list(range(run.args.seed, run.args.seed + run.args.seeds))
if widths[0] < 1 or not seeds or run.args.steps < 1 or not run.args.learning_rate > 0:
    sys.exit("error: --widths, --seeds and --steps must be at least 1, --learning-rate above 0")

# %% The text: every sentence about a capital, and every "X bought Y at Z"
sentences, words, rows = facts()
inputs, targets = rows[:, :-1], rows[:, 1:]  # (N, T): the whole text is one batch
floor = prefix_entropy(inputs, targets)
run.print(
    "{facts} facts, {words} words; the lowest loss that any model can reach: {floor:.3f}",
    facts=len(rows),
    words=len(words),
    floor=floor,
)


# %% Train every width with every seed. A fact is known if the likeliest third word is the right one
def answers(model) -> np.ndarray:
    """(N,): the word that the model puts after the first two of each sentence."""
    return numpy_array(model(inputs))[:, 2].argmax(axis=-1)


losses, known, ranks = (np.zeros((len(widths), len(seeds))) for _ in range(3))
models = {}
for w, width in enumerate(widths):
    for s, seed in enumerate(seeds):
        config = npgpt.GPTConfig(len(words), 1, 1, width, inputs.shape[1], ffn_hidden=0)  # the article's shape, other widths
        model = models[width] = run.model(config, seed)
        batches = iter([(inputs, targets)] * run.steps(run.args.steps))
        run.backend.train(model, batches, steps=run.steps(run.args.steps), learning_rate=run.args.learning_rate)
        losses[w, s] = model.loss(inputs, targets)
        known[w, s] = (answers(model) == targets[:, 2]).sum()
        ranks[w, s] = matrix_rank(numpy_array(model(inputs)).reshape(-1, len(words)))

# %% The table, and where the knee is
run.print("n_embd   loss: mean (lowest..highest)   facts known: mean (lowest..highest)   rank of the logits")
for w, width in enumerate(widths):
    loss, facts = losses[w], known[w]
    print(f"{width:6}   {loss.mean():.3f} ({loss.min():.3f}..{loss.max():.3f})   "
          f"{facts.mean():5.1f}/{len(rows)} ({facts.min():.0f}..{facts.max():.0f})   {ranks[w].max():.0f}")  # fmt: skip
best = losses.min(axis=1)  # what fits into a width is what its best seed found room for
bend = knee(widths, best, floor)
if bend is None:
    title = say("No knee up to n_embd {last}: no seed comes 95 % of the way to the floor", last=widths[-1])
else:
    title = say("The knee is at n_embd {knee}: from there on the best seed comes 95 % of the way to the floor", knee=bend)
    wide = losses[widths.index(bend) :]  # (W', S)
    stuck = int((wide > wide.min(axis=1, keepdims=True) + 0.1).sum())
    run.print("of {total} runs from the knee on, {count} end more than 0.1 nats above their width's best",
              total=wide.size, count=stuck)  # fmt: skip
print(title)
picture = pictures.knowledge(widths, losses, known, ranks, floor=floor, facts=len(rows), knee=bend, title=title, lang=lang)
run.save(picture, "07_knowledge_squeezed.png")

# %% What a narrow model confuses: which sentence's word does it answer with?
for width in sorted({widths[min(2, len(widths) - 1)], widths[-1]}):
    model = models[width]
    wrong = [(i, answer) for i, answer in enumerate(answers(model)) if answer != targets[i, 2]]
    run.print("n_embd {width}: {count} of {total} facts are answered wrong", width=width, count=len(wrong), total=len(rows))
    for i, answer in wrong[:4]:
        owner = next((" ".join(sentence) for sentence in sentences if words[answer] in sentence), ".")
        named = {"question": " ".join(sentences[i][:2]), "answer": words[answer], "right": words[targets[i, 2]], "owner": owner}
        run.print("  {question!r} -> {answer!r} (right: {right!r}), from {owner!r}", **named)

# %% Which words lie closest in the narrow dictionary, and in the widest
for width in (widths[min(2, len(widths) - 1)], widths[-1]):
    pairs = closest_pairs(numpy_array(models[width].token_embedding.weight), words)
    run.print("n_embd {width}, closest words: {pairs}", width=width, pairs=", ".join(f"{a}-{b} {d:.2f}" for a, b, d in pairs))

# %% What a vector is for: it says what comes next. Countries must differ, after any capital comes the same full stop
some = [row for row, sentence in enumerate(sentences) if sentence[1] == "başkenti"][:10]
table = numpy_array(models[widths[-1]].token_embedding.weight)
kinds = [(say("countries"), "#1f4e9c", inputs[some, 1]), (say("capitals"), "#c1272d", targets[some, 2])]
dots = [{"dots": table[ids], "labels": [words[i] for i in ids], "color": colour, "name": name} for name, colour, ids in kinds]
apart = [np.mean([distance for *_, distance in closest_pairs(table[ids], ids, 10**6)]) for *_, ids in kinds]
title = say("n_embd {width}: countries lie {first:.1f} apart on average, capitals {second:.1f}",
            width=widths[-1], first=apart[0], second=apart[1])  # fmt: skip
figure = pictures.plot_dots(dots, title, lang=lang)
print(figure.get_suptitle().replace("\n", "; "))  # with the share of the variance that three dimensions show
run.save(figure, "07_words.png")
