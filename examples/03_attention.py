"""3. Attention and what follows it: who looks at whom, what comes home, and what LayerNorm, projection and FFN make of it.

Every number comes from the model's trace. The model is the article's with trained Wq, Wk, Wv and with an FFN.
"""

# %%
import dataclasses

from common import start, windows

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.ops.layer_norm import layer_norm, layer_norm_backward
from npgpt.pictures.statistics import matrix_rank, numpy_array

run = start(__doc__, prompt="ali ata bak")
say, lang = run.say, run.args.lang
config = dataclasses.replace(npgpt.GPTConfig.article(train_qkv=True), ffn_hidden=None)  # None: 4 * n_embd
model = run.train(run.model(config), 1500)
ids, text = run.prompt, npgpt.detokenize(run.prompt)
inputs, targets = windows(config.seq_len)
run.print("{count} parameters, loss {loss:.3f}", count=model.num_parameters(), loss=model.loss(inputs[::5], targets[::5]))

# %% Padding: a batch needs sentences of one length. Spaces on the right change nothing: no letter looks ahead
padded = npgpt.tokenize(text.ljust(config.seq_len))
logits, padded_logits = (numpy_array(model([sequence]))[0] for sequence in (ids, padded))
change = np.abs(padded_logits[: len(ids)] - logits).max()
run.print("padding on the right changes the logits of {text!r} by {change:.6f}", text=text, change=change)

# %% Query, key and value: three matrices, three views of each letter
head = model.blocks[0].mha.attn_heads[0]
for name in ("Wq", "Wk", "Wv"):
    print(name, np.array2string(numpy_array(getattr(head, name).weight), precision=2, suppress_small=True, prefix=name + " "))
trace = run.trace(model, [ids])
value = {name.removeprefix("blocks.0."): array[0] for name, (array, _) in trace.items()}  # without the batch's axis
views = [(say(name), value[key][0]) for name, key in (("queries", "q"), ("keys", "k"), ("values", "v"))]  # (T, D) each
title = say("Each letter asks (query), offers (key) and brings (value)")
run.save(pictures.steps_in_order([(say("after LayerNorm"), value["ln1"]), *views], text, title), "03_query_key_value.png")

# %% Scores -> mask -> softmax -> weights x values
scores, pattern, z = value["scores"][0], value["pattern"][0], value["z"][0]  # (T, T), (T, T), (T, D)
run.print("each row of weights sums to {low:.4f}..{high:.4f}", low=pattern.sum(-1).min(), high=pattern.sum(-1).max())
last, most = text[-1], int(pattern[-1].argmax())
title = say("The last letter {letter!r} looks most at {other!r} at place {place}: {percent:.0f} % of its attention",
            letter=last, other=pictures.visible(text[most]), place=most, percent=100 * pattern[-1, most])  # fmt: skip
run.save(pictures.attention_steps(scores, pattern, value["v"][0], z, text, title, lang), "03_attention_steps.png")
output, weights = head(model.blocks[0].ln1(model.token_embedding(run.array([ids])) + model.position_encoding[:, : len(ids)]))
agree = np.allclose(numpy_array(output)[0], z) and np.allclose(numpy_array(weights)[0], pattern)
run.print("the head called alone gives the same pair (output, weights): {same}", same=say("yes") if agree else say("no"))

# %% Then the projection, the residual stream, LayerNorm and the FFN
names = (("resid_pre", "x"), ("ln1", "LayerNorm"), ("z", "attention"), ("attn_out", "projection"),
         ("resid_mid", "x + attention"), ("ln2", "LayerNorm"), ("ffn_post", "FFN, GELU"), ("ffn_out", "FFN"),
         ("resid_post", "x + attention + FFN"))  # fmt: skip
panels = [(say(name).replace(" + ", "\n+ "), value["z"][0] if key == "z" else value[key]) for key, name in names]
sizes = {key: np.sqrt(np.mean((value["z"][0] if key == "z" else value[key]) ** 2)) for key, _ in names}
run.print("root mean squares: {sizes}", sizes=", ".join(f"{key} {size:.3f}" for key, size in sizes.items()))
loud, quiet = max(("attn_out", "ffn_out"), key=sizes.get), min(("attn_out", "ffn_out"), key=sizes.get)
words = {"attn_out": say("attention"), "ffn_out": say("FFN")}
title = say("Two branches write into the stream x; here {loud} writes {ratio:.1f} times as strongly as {quiet}",
            loud=words[loud], quiet=words[quiet], ratio=sizes[loud] / sizes[quiet])  # fmt: skip
run.save(pictures.steps_in_order(panels, text, title), "03_block_step_by_step.png")

# %% LayerNorm in three dimensions: centring puts every vector into a plane, scaling onto a circle of radius sqrt(3)
x = value["resid_pre"].astype(np.float64)  # (T, 3)
xhat, cache = layer_norm(x, np.ones(3), np.zeros(3))
radii = np.linalg.norm(xhat, axis=-1)  # (T,)
run.print("radii after LayerNorm: {low:.4f} to {high:.4f}; √3 = {root:.4f}", low=radii.min(), high=radii.max(), root=np.sqrt(3))
title = say("LayerNorm of three numbers: every vector lands on one circle of radius √3")
run.save(pictures.layer_norm_circle(x, xhat, list(text), title, lang), "03_layer_norm_circle.png")
# The backward of one vector is a 3 x 3 matrix. Its rank says how many directions of a gradient get through.
first = [layer_norm(x[0], np.ones(3), np.zeros(3))[1]]
jacobian = np.array([layer_norm_backward(direction, first[0])[0] for direction in np.eye(3)])  # (3, 3)
run.print("its backward lets {rank} of 3 directions through: neither the mean nor the length", rank=matrix_rank(jacobian, 1e-3))
run.print("  what is left of the direction (1, 1, 1): {size:.6f}", size=np.linalg.norm(np.ones(3) @ jacobian))
run.print("  of the vector itself: {size:.6f}", size=np.linalg.norm(xhat[0] @ jacobian))
