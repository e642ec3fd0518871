"""4. Predicting the next letter: logits, probabilities, surprise, and writing letter by letter.

The untrained model beside the trained one, both the article's 248 parameters.
"""

# %%
from common import LN_32, start, windows

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import numpy_array, probabilities, surprise

run = start(__doc__, prompt="ali ata bak.")
say, lang = run.say, run.args.lang
config = npgpt.GPTConfig.article()
untrained, trained = run.model(config), run.train(run.model(config), 1500)
models = {say("untrained"): untrained, say("trained"): trained}
ids, text = run.prompt, npgpt.detokenize(run.prompt)
inputs, targets = [ids[:-1]], [ids[1:]]

# %% The model gives 32 logits at every place. Softmax makes them probabilities
logits = numpy_array(trained(inputs))[0]  # (T, V)
p = probabilities(logits)  # (T, V)
best = p[-1].argsort()[::-1][:4]
run.print("after {text!r}, the likeliest letters:", text=text[:-1])
for token in best:
    print(f"  {pictures.visible(npgpt.letters[token])}  logit {logits[-1, token]:7.3f}  p {p[-1, token]:.3f}")

# %% How surprising is each letter that really comes next? -ln p; guessing among 32 letters costs ln 32 every time
surprises = {name: surprise(numpy_array(model(inputs))[0], targets[0]) for name, model in models.items()}  # (T,) each
for (name, values), model in zip(surprises.items(), models.values(), strict=True):
    run.print(
        "{name}: mean surprise {mean:.4f} nats, model.loss {loss:.4f}",
        name=name,
        mean=values.mean(),
        loss=model.loss(inputs, targets),
    )
better = int((surprises[say("trained")] < LN_32).sum())
title = say("The trained model is less surprised than guessing at {count} of {total} letters", count=better, total=len(ids) - 1)
run.save(pictures.surprise_bars(text[1:], surprises, LN_32, title, lang), "04_surprise.png")

# %% What each model expects at every place; the frame marks the letter that really comes
panels = [(name, probabilities(model(inputs))[0], text[:-1]) for name, model in models.items()]
hits = {name: int((p.argmax(axis=-1) == targets[0]).sum()) for name, p, _ in panels}
run.print(
    "right first guesses of {total}: {hits}", total=len(ids) - 1, hits=", ".join(f"{name} {n}" for name, n in hits.items())
)
highest = [100 * p.max() for _, p, _ in panels]
title = say("Framed: what really comes. No letter gets more than {first:.0f} % untrained, {second:.0f} % trained",
            first=highest[0], second=highest[1])  # fmt: skip
run.save(pictures.next_letters(panels, npgpt.letters, title, [targets[0]] * 2, lang), "04_what_is_expected.png")

# %% Inference: take the likeliest letter, append it, ask again
begin = npgpt.tokenize(text[: max(1, len(text) // 3)])
written = numpy_array(run.backend.generate(trained, begin, 12))  # (T + 12,)
run.print(
    "{model} goes on from {text!r}: {written!r}",
    model=say("trained"),
    text=npgpt.detokenize(begin),
    written=npgpt.detokenize(written),
)
steps = np.array(
    [probabilities(trained([written[max(0, end - config.seq_len) : end]]))[0, -1] for end in range(len(begin), len(written))]
)  # (12, V): fmt: skip
run.print("probabilities of the letters it chose: {chosen}", chosen=" ".join(f"{x:.2f}" for x in steps.max(axis=-1)))
last = npgpt.detokenize(written[len(begin) - 1 : -1])
title = say("Greedy writing: the framed letter is appended, then the model is asked again")
panel = (say("written: {text!r}", text=npgpt.detokenize(written)), steps, last)
run.save(pictures.next_letters([panel], npgpt.letters, title, [written[len(begin) :]], lang), "04_greedy.png")

# %% Over the whole text
whole = windows(config.seq_len)
for name, model in models.items():
    loss = model.loss(whole[0][::5], whole[1][::5])
    run.print("{name}: {loss:.3f} nats a letter over the text; guessing: {guess:.3f}", name=name, loss=loss, guess=LN_32)
