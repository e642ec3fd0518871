"""8. Dictionary, context, knowledge: one word, two meanings, and what each layer and head is for.

"at" is a horse and also "throw!". Its letters have one vector each in the dictionary and others in every context. Then a deeper
model's attention, head by head, what each head is worth, and what layers and heads change at equal size.

The default trains briefly. What the gallery shows, some minutes:  --steps 3000 --seeds 3
"""

# %%
import sys

from common import start, windows

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import loss_without_head, probabilities


def options(add) -> None:
    add("--steps", type=int, default=120, help="training steps of each model")
    add("--seeds", type=int, default=2, help="models of each shape")


run = start(__doc__, more=options)
say, lang = run.say, run.args.lang
if run.args.steps < 1 or run.args.seeds < 1:
    sys.exit("error: --steps and --seeds must be at least 1")
SEQ_LEN = 16
# (layers, heads, n_embd, FFN): about equal parameter counts
SHAPES = [(1, 1, 25, 50), (1, 5, 25, 50), (2, 1, 18, 36), (2, 3, 18, 36), (4, 3, 12, 32)]
inputs, targets = windows(SEQ_LEN)
some = slice(None, None, 12)  # windows from all over the text


def trained(layers: int, heads: int, n_embd: int, hidden: int, seed: int):
    config = npgpt.GPTConfig(len(npgpt.letters), layers, heads, n_embd, SEQ_LEN, ffn_hidden=hidden)
    return run.train(run.model(config, seed), run.args.steps, learning_rate=1e-2, seed=seed)


# %% Train every shape with every seed; the model of 2 layers and 3 heads is the one to look into
seeds = range(run.args.seed, run.args.seed + run.args.seeds)
models = {(shape, seed): trained(*shape, seed) for shape in SHAPES for seed in seeds}
model = models[(2, 3, 18, 36), run.args.seed]
loss = model.loss(inputs[some], targets[some])
run.print("2 layers, 3 heads, {count} parameters: {loss:.3f} nats a letter", count=model.num_parameters(), loss=loss)

# %% The same word in two contexts: the horse drinks, and "throw the ball!"
contexts = {". at": say("at: the horse"), "ali topu at": say("at: throw!")}
WORD = "at"
vectors = {}
for sentence in contexts:
    trace = run.trace(model, [npgpt.tokenize(sentence)])
    vectors[sentence] = trace["blocks.1.resid_post"][0][0][-len(WORD) :]  # (2, C), where the word stands
dictionary = trace["embed"][0][0][-len(WORD) :]  # (2, C): the same in every sentence
sets = [{"dots": dictionary, "labels": list(WORD), "color": None, "name": say("dictionary"), "line": True}]
sets += [{"dots": vectors[s], "labels": list(WORD), "color": None, "name": f"{name} ({pictures.visible(s)})", "line": True}
         for s, name in contexts.items()]  # fmt: skip
distance = np.linalg.norm(vectors[". at"] - vectors["ali topu at"], axis=-1)  # (2,)
size = np.mean([np.linalg.norm(v, axis=-1).mean() for v in vectors.values()])
for letter, gap in zip(WORD, distance, strict=True):
    run.print(
        "{letter!r}: distance 0 in the dictionary, {gap:.2f} in context (mean length {size:.2f})",
        letter=letter,
        gap=gap,
        size=size,
    )
for sentence, name in contexts.items():
    p = probabilities(model([npgpt.tokenize(sentence)]))[0, -1]
    likely = ", ".join(f"{pictures.visible(npgpt.letters[i])} {p[i]:.2f}" for i in p.argsort()[::-1][:3])
    run.print("  after {sentence!r} ({name}): {likely}", sentence=sentence, name=name, likely=likely)
title = say("One word, two contexts: 0 apart in the dictionary, {gap:.1f} apart at the last letter", gap=distance[-1])
figure = pictures.plot_dots(sets, title, lang=lang)
print(figure.get_suptitle().replace("\n", "; "))  # with the share of the variance that three dimensions show
run.save(figure, "08_one_word_two_contexts.png")

# %% Every head's attention, and what the loss becomes without it
text = "ali topu at."
patterns = [value[0] for name, (value, _) in run.trace(model, [npgpt.tokenize(text)]).items() if name.endswith(".pattern")]
worse = np.array([
    [loss_without_head(model, layer, head, inputs[some], targets[some]) - loss for head in range(3)] for layer in range(2)
])  # fmt: skip
run.print("loss without one head, in nats above {loss:.3f}:", loss=loss)
for layer in range(2):
    print("  " + " ".join(f"{x:+.3f}" for x in worse[layer]))
notes = [[say("without it: {change:+.3f} nats", change=change) for change in row] for row in worse]
layer, head = np.unravel_index(worse.argmax(), worse.shape)
title = say("Head {head} of layer {layer} is missed most: without it the loss is {change:.2f} nats higher",
            head=head + 1, layer=layer + 1, change=worse.max())  # fmt: skip
run.save(pictures.attention_maps(patterns, text, title, notes, lang), "08_heads.png")

# %% Layers and heads at about equal size
losses = np.array([[models[shape, seed].loss(inputs[some], targets[some]) for seed in seeds] for shape in SHAPES])
names = [f"{layers} × {heads}" for layers, heads, *_ in SHAPES]
run.print("layers × heads, parameters, loss: mean (lowest..highest)")
for name, shape, row in zip(names, SHAPES, losses, strict=True):
    count = models[shape, run.args.seed].num_parameters()
    print(f"  {name}  {count:,}  {row.mean():.3f} ({row.min():.3f}..{row.max():.3f})")
means = losses.mean(axis=1)
best, gap, spread = int(means.argmin()), np.diff(np.sort(means))[0], np.ptp(losses, axis=1).max()
verdict = say("more than the seeds' spread") if gap > spread else say("no more than the seeds' spread")
steps = run.steps(run.args.steps)
title = say("After {steps:,} steps {name} is best, by {gap:.3f} nats: {verdict} ({spread:.3f})",
            steps=steps, name=names[best], gap=gap, verdict=verdict, spread=spread)  # fmt: skip
print(title)
run.save(pictures.shapes(names, losses, title, lang), "08_layers_and_heads.png")
