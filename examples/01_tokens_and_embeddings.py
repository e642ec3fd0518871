"""1. Tokens and the dictionary space: a letter becomes a number, the number a row of a table.

What a lookup is, what its gradient is, and which rows therefore never move.
"""

# %%
import sys
from importlib.util import find_spec

from common import start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import numpy_array

HTML = {"action": "store_true", "help": "also write the dictionary space as a page to turn with the mouse (needs plotly)"}
run = start(__doc__, prompt="ali ata bak.", more=lambda add: add("--html", **HTML))
if run.args.html and find_spec("plotly") is None:
    sys.exit("error: --html needs plotly: pip install -e '.[plotly]'")
say = run.say

# %% A text is a list of numbers: the place of each letter in the alphabet
ids = run.prompt
text = npgpt.detokenize(ids)
run.print("{count} letters: {letters}", count=len(npgpt.letters), letters=pictures.visible(npgpt.letters))
run.print("{text!r} is {ids}", text=text, ids=ids)

# %% The embedding table has one row of three numbers for each letter. A lookup copies rows
model = run.model(npgpt.GPTConfig.article())
table = numpy_array(model.token_embedding.weight).copy()  # (V, C) = (32, 3)
vectors = run.trace(model, [ids])["embed"][0][0]  # (T, C)
one_hot = np.eye(len(table))[ids]  # (T, V): the same as a matrix product
same = say("yes") if np.array_equal(one_hot @ table, vectors) else say("no")
run.print("Is a lookup the one-hot rows times the table? {same}", same=same)
for letter, vector in zip(text[:4], vectors, strict=False):
    print(f"  {pictures.visible(letter)}  " + " ".join(f"{number:7.4f}" for number in vector))

# %% Untrained, the 32 vectors are a cloud without order
cloud = {"dots": table, "labels": list(npgpt.letters), "color": None, "name": say("letters")}
page = run.args.out_dir / "01_dictionary_space.html" if run.args.html else None
figure = pictures.plot_dots([cloud], say("Before training: 32 letters, a cloud without order"), html=page, lang=run.args.lang)
run.save(figure, "01_dictionary_space.png")

# %% Backward: each row of the table collects from all places where its letter stood. The others get nothing
inputs, targets = np.array([ids[:-1]]), np.array([ids[1:]])
dembed = run.trace(model, inputs, targets)["embed"][1][0]  # (T - 1, C)
model.loss_and_grad(inputs, targets)
dtable = model.gradients()["token_embedding.weight"]  # (V, C)
model.zero_grad()
places = np.flatnonzero(inputs[0] == ids[0])
run.print("{letter!r} stands at {places}. First feature: its row's gradient is the sum", letter=text[0], places=places.tolist())
print("  " + " + ".join(f"{dembed[place, 0]:.5f}" for place in places) + f" = {dtable[ids[0], 0]:.5f}")
still = "".join(letter for letter, row in zip(npgpt.letters, dtable, strict=True) if not row.any())
run.print(
    "{count} letters do not occur, so their rows get exactly 0: {letters}", count=len(still), letters=pictures.visible(still)
)
title = say("A lookup's gradient: {count} of 32 rows get none, because their letters do not occur", count=len(still))
run.save(pictures.row_gradients(npgpt.letters, dtable, title, run.args.lang), "01_gradient_of_a_lookup.png")

# %% So they never move, however long we train on this text
run.backend.train(model, iter([(inputs, targets)] * 50), steps=50, learning_rate=1e-2)
moved = np.linalg.norm(numpy_array(model.token_embedding.weight) - table, axis=-1)  # (V,)
run.print("After 50 steps on this text alone:")
for letter in dict.fromkeys(text[:2] + "v"):
    run.print("  {letter!r} has moved by {distance:.4f}", letter=letter, distance=moved[npgpt.letters.index(letter)])
