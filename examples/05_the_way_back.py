"""5. The way back: where the loss would fall, carried from the prediction down to the letters' vectors.

Each value of the forward pass beside its gradient, from (softmax - onehot) / N to the embedding, and one chain rule in numbers.
"""

# %%
from common import start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import numpy_array, probabilities

run = start(__doc__, prompt="ali ata bak")
say, lang = run.say, run.args.lang
model = run.train(run.model(npgpt.GPTConfig.article(train_qkv=True)), 300)  # a little training: gradients larger than 1e-6
ids, text = run.prompt, npgpt.detokenize(run.prompt)[:-1]
inputs, targets = np.array([ids[:-1]]), np.array([ids[1:]])
trace = {name: (v[0], g[0]) for name, (v, g) in run.trace(model, inputs, targets).items()}  # without the batch's axis
T = len(text)

# %% It starts at the prediction: (softmax - onehot) / N. Each row sums to 0, what one letter gains the others lose
logits, dlogits = trace["logits"]  # (T, V)
by_hand = (probabilities(logits) - np.eye(len(npgpt.letters))[targets[0]]) / T
run.print("dlogits = (softmax - onehot) / N: largest difference {error:.6f}", error=np.abs(by_hand - dlogits).max())
run.print("its rows sum to 0: largest sum {error:.6f}", error=np.abs(dlogits.sum(axis=-1)).max())

# %% Then step by step down: ln_f, projection, attention, LayerNorm, embedding
order = ["ln_f", "blocks.0.resid_post", "blocks.0.attn_out", "blocks.0.z", "blocks.0.pattern", "blocks.0.scores",
         "blocks.0.v", "blocks.0.k", "blocks.0.q", "blocks.0.ln1", "blocks.0.resid_pre", "embed"]  # fmt: skip
run.print("root mean squares of values and gradients, in the order of the way back:")
steps = []
for name in order:
    value, gradient = (array[0] if array.ndim == 3 else array for array in trace[name])  # the one head of (H, T, .)
    value_rms, gradient_rms = (np.sqrt(np.mean(a[np.isfinite(value)] ** 2)) for a in (value, gradient))
    steps.append((name.removeprefix("blocks.0."), value, gradient))
    print(f"  {name.removeprefix('blocks.0.'):12} {value_rms:10.4f} {gradient_rms:12.6f}")
title = say("Every value has a gradient of its own shape. Read from left to right: the way back")
run.save(pictures.value_beside_gradient(steps, text, title, lang), "05_value_and_gradient.png")

# %% Scores: softmax only compares, so a row of scores moved up as a whole changes nothing, and a row of dscores sums to 0
pattern, dpattern = (array[0] for array in trace["blocks.0.pattern"])  # (T, T)
scores, dscores = (array[0] for array in trace["blocks.0.scores"])  # (T, T)
run.print("rows of dscores sum to 0: largest sum {error:.6f}", error=np.abs(dscores.sum(axis=-1)).max())
t, s = np.unravel_index(np.abs(dscores).argmax(), dscores.shape)
mean = (pattern[t] * dpattern[t]).sum()
run.print("the largest, {query!r} at {t} looking at {key!r} at {s}: P (dP - sum P dP) =", query=text[t], t=t, key=text[s], s=s)
print(f"  {pattern[t, s]:.3f} * ({dpattern[t, s]:.6f} - {mean:.6f}) = {dscores[t, s]:.6f}")

# %% A chain rule written out: how one feature of one value vector gets its gradient, dv[s] = sum over t of P[t, s] dz[t]
dz, dv = trace["blocks.0.z"][1][0], trace["blocks.0.v"][1][0]  # (T, D)
terms = pattern[s:, s] * dz[s:, 0]  # (T - s,): from every letter that can look at place s
run.print("dv of {key!r} at {s}, first feature: the sum over everyone who looked at it", key=text[s], s=s)
print("  " + "\n+ ".join(f"{pattern[t, s]:.3f} * {dz[t, 0]:.6f}" for t in range(s, T)))
print(f"= {terms.sum():.6f}   (trace: {dv[s, 0]:.6f})")
title = say("Rows of dscores sum to 0: attention that one letter wins, another loses")
run.save(pictures.rows_that_sum_to_zero(pattern, dscores, text, title, lang), "05_dscores.png")

# %% At the bottom: dembed, collected in the table's rows, is the gradient that moves the letters
dembed = trace["embed"][1]  # (T, C)
model.zero_grad()
model.loss_and_grad(inputs, targets)
dtable = model.gradients()["token_embedding.weight"]  # (V, C)
collected = np.stack([dembed[inputs[0] == token].sum(axis=0) for token in range(len(dtable))])
run.print(
    "the table's gradient is dembed collected by letter: largest difference {error:.6f}", error=np.abs(collected - dtable).max()
)

# %% And it is right: move one number of the table by a little, and the loss moves by the gradient times as much
token, step = int(np.abs(dtable).max(axis=-1).argmax()), 1e-4
weights = {name: numpy_array(weight).copy() for name, weight in model.state_dict().items()}
losses = []
for sign in (1, -1):
    moved = {name: weight.copy() for name, weight in weights.items()}
    moved["token_embedding.weight"][token, 0] += sign * step
    model.load_state_dict(moved)
    losses.append(model.loss(inputs, targets))
slope = (losses[0] - losses[1]) / (2 * step)
run.print(
    "row of {letter!r}: measured slope {slope:.5f}, gradient {gradient:.5f}",
    letter=npgpt.letters[token],
    slope=slope,
    gradient=dtable[token, 0],
)
