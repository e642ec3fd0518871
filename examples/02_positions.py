"""2. Positions: the same letter is another vector in another place, and this is how order gets in.

The encoding, one letter at several positions before and after it is added, and one sentence against its words in reverse.
"""

# %%
from common import start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import numpy_array

run = start(__doc__, prompt="ali ata bak")
say = run.say
config = npgpt.GPTConfig.article()

# %% Every position has its own vector of sines and cosines; with three features the last column stays 0
encoding = numpy_array(run.backend.get_position_encoding(config.seq_len, config.n_embd))[0]  # (seq_len, C)
run.print("the encoding of the first positions:")
for place, vector in enumerate(encoding[:4]):
    print(f"  {place}  " + " ".join(f"{number:7.4f}" for number in vector))

# %% The commonest letter of the text, before and after: one point becomes as many as there are places
model = run.model(config)
ids, text = run.prompt, npgpt.detokenize(run.prompt)
trace = run.trace(model, [ids])
before, after = trace["embed"][0][0], trace["blocks.0.resid_pre"][0][0]  # both (T, C)
letter = max(text.replace(" ", "") or text, key=text.count)
places = [place for place, other in enumerate(text) if other == letter]
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
dots = [(letter + str(place).translate(SUBSCRIPTS), before[place], after[place]) for place in places]
run.print(
    "{letter!r} stands at {places}: one vector in the dictionary, {count} in the sentence",
    letter=letter,
    places=places,
    count=len(places),
)
title = say(
    "The same {letter!r} at {count} places: one vector before the position is added, {count} after",
    letter=letter,
    count=len(places),
)
run.save(pictures.positions(encoding, dots, title, run.args.lang), "02_same_letter_other_places.png")
ratio = np.linalg.norm(encoding[: len(ids)], axis=-1).mean() / np.linalg.norm(before, axis=-1).mean()
run.print("untrained, a position's vector is {ratio:.0f} times as long as a letter's", ratio=ratio)

# %% Order: the same words the other way round hold the same letters. A model without positions could not tell them apart
run.train(model, 1500)  # trained, the letters' own vectors have grown, so that one scale shows both
sentences = (text, " ".join(reversed(text.split())))
by_letter = [np.argsort(list(sentence), kind="stable") for sentence in sentences]  # places, sorted by the letter there
letters = "".join(sorted(text))
panels, distances = [], []
for name, label in (("embed", say("letters only")), ("blocks.0.resid_pre", say("letter + position"))):
    both = [
        run.trace(model, [npgpt.tokenize(sentence)])[name][0][0][order]  # (T, C), rows in the order of the alphabet
        for sentence, order in zip(sentences, by_letter, strict=True)
    ]
    panels += [(f"{sentence!r}\n{label}", vectors) for sentence, vectors in zip(sentences, both, strict=True)]
    distances.append(np.abs(both[0] - both[1]).max())
    run.print(
        "{first!r} against {second!r}, {label}: they differ by {distance:.4f}",
        first=sentences[0],
        second=sentences[1],
        label=label,
        distance=distances[-1],
    )
title = say("Sorted by letter, the two sentences differ by {first:.2f} without positions, by {second:.2f} with them",
            first=distances[0], second=distances[1])  # fmt: skip
run.save(pictures.steps_in_order(panels, letters, title), "02_order.png")
