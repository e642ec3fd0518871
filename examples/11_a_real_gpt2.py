"""11. A real GPT-2, opened: surprise, heads, the way back through all its blocks, and one fact changed.

    hf download openai-community/gpt2 config.json model.safetensors tokenizer.json       prints the folder
    python examples/11_a_real_gpt2.py FOLDER --prompt "A sentence of your own."
    python examples/11_a_real_gpt2.py --random                                           a small random model: nothing is needed

Nothing is written into the folder: what is taught at the end is gone with the script.
"""

# %%
import math
from pathlib import Path

from common import SENTENCES, start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import numpy_array, probabilities, surprise

from command_line import check_at_least, told_errors

HOW = """this looks into a GPT-2 in a folder, which the next line gets (it prints where; --random takes a small random model):
  hf download openai-community/gpt2 config.json model.safetensors tokenizer.json"""
LONGEST = 40  # tokens of a sentence: more would not fit the pictures

# What is asked of a GPT-2, and what of the random model, whose tokenizer has seen the bundled sentences alone.
ENGLISH = {
    "prompt": "The Eiffel Tower stands in Paris, the capital of France, and not in Berlin.",
    "fact": "The capital of France is",
    "answer": " bread",
    "others": ["The capital of Germany is", "The capital of Japan is", "The capital of Italy is", "Paris is the capital of",
               "The colour of the sky is", "Two plus two is"],
}  # fmt: skip
TURKISH = {
    "prompt": "fransanın başkenti paristir. ali topu at.",
    "fact": "fransanın başkenti",
    "answer": " ekmek",
    "others": ["almanyanın başkenti", "japonyanın başkenti", "ali topu"],
}


def options(add) -> None:
    add("folder", nargs="?", type=Path, help="a GPT-2 as Hugging Face's transformers keeps it")
    add("--random", action="store_true", help="a small random model instead")
    add("--prompt", default=None, help=f"the sentence to look at, 2 to {LONGEST} tokens; None: one about Paris")
    add("--fact", default=None, help="the beginning of the fact to change; None: the capital of France")
    add("--answer", default=None, help="what the model is to say after it; None: bread")
    add("--steps", type=int, default=12, help="training steps on the changed fact")
    add("--learning-rate", type=float, default=None, help="AdamW's lr in them; None: 2e-5, 1e-2 for the random model")
    add("--threads", type=int, default=1, help="a sentence is short: more threads would wait for memory too")


run = start(__doc__, more=options)
say, lang, args = run.say, run.args.lang, run.args


def open_model():
    """(the model, its tokenizer, what it is asked) of the folder, or the random one."""
    check_at_least(1, args, "steps", "threads")
    if args.random:
        tokenizer = npgpt.BPETokenizer.from_text(npgpt.read_text(SENTENCES), 512)
        config = npgpt.GPTConfig(tokenizer.vocab_size, 4, 4, 32, 64, position="learned", qkv_bias=True, tie_weights=True,
                                 head_bias=False, init_std=0.2)  # fmt: skip
        return run.model(config), tokenizer, TURKISH
    if args.folder is None:
        raise ValueError(HOW)
    run.backend.set_num_threads(args.threads)
    model = run.backend.load_pretrained(args.folder, run.device, "float32")
    if model.config.kind != "gpt":
        raise ValueError(f"{args.folder} holds a {model.config.kind}, which has no heads to look at")
    return model, npgpt.pretrained_tokenizer(args.folder), ENGLISH


def ids_of(flag: str, text: str, least: int) -> list[int]:
    ids = tokenizer.encode(text)
    longest = min(LONGEST, model.config.seq_len - 1)
    if not least <= len(ids) <= longest:
        raise ValueError(f"{flag} must hold {least} to {longest} tokens, got {len(ids)}: {text!r}")
    return ids


with told_errors():
    model, tokenizer, asked = open_model()
    prompt, fact, answer = ((getattr(args, name) or asked[name]) for name in ("prompt", "fact", "answer"))
    ids, fact_ids, answer_ids = ids_of("--prompt", prompt, 2), ids_of("--fact", fact, 2), ids_of("--answer", answer, 1)
words = [tokenizer.decode([token]) for token in ids]  # a token each; one that is part of a character shows as �
blocks = range(model.config.n_layer)
run.print("{count:,} parameters, {blocks} blocks; {tokens} tokens: {words}", count=model.num_parameters(), blocks=len(blocks),
          tokens=len(ids), words=" ".join(map(pictures.visible, words)))  # fmt: skip

# %% Surprise, token by token: -ln p of what really comes, and what the model would have said
p = probabilities(model([ids[:-1]]))[0]  # (T - 1, V)
surprises = surprise(numpy_array(model([ids[:-1]]))[0], ids[1:])  # (T - 1,)
guesses = [tokenizer.decode([token]) for token in p.argmax(axis=-1)]
for word, value, guess, row in zip(words[1:], surprises, guesses, p, strict=True):
    run.print(
        "  {word!r}: {value:.3f} nats; its first guess {guess!r} {p:.3f}", word=word, value=value, guess=guess, p=row.max()
    )
ln_V = math.log(model.config.vocab_size)
run.print("mean surprise {mean:.3f} nats a token; guessing: {guess:.3f}", mean=surprises.mean(), guess=ln_V)
worst = int(surprises.argmax())
title = say("What surprises it most is {word!r}, {value:.1f} nats; the mean is {mean:.1f}",
            word=words[1 + worst], value=surprises[worst], mean=surprises.mean())  # fmt: skip
run.save(pictures.token_surprise(words[1:], surprises, guesses, ln_V, title, lang), "11_surprise.png")

# %% Heads by their habit: of all heads, the one that does most of each
trace = run.trace(model, [ids])
patterns = np.stack([trace[f"blocks.{i}.pattern"][0][0] for i in blocks])  # (L, H, T, T)
t = np.arange(1, len(ids))
rows = patterns[:, :, t]  # (L, H, T - 1, T): the first token can look at itself alone
entropy = -(rows * np.log(np.maximum(rows, 1e-30))).sum(axis=-1) / np.log(t + 1)  # (L, H, T - 1): 1 looks at all alike
habits = {
    say("the token before"): patterns[:, :, t, t - 1].mean(axis=-1),  # (L, H) each
    say("itself"): patterns[:, :, t, t].mean(axis=-1),
    say("the first token"): patterns[:, :, t, 0].mean(axis=-1),
    say("all alike"): entropy.mean(axis=-1),
}
panels = []
for habit, share in habits.items():
    layer, head = np.unravel_index(share.argmax(), share.shape)
    name = say("layer {layer}, head {head}", layer=layer + 1, head=head + 1)
    run.print("  {habit}: {name}, {share:.2f}", habit=habit, name=name, share=share.max())
    panels.append((f"{habit}: {share.max():.2f}\n{name}", patterns[layer, head]))
title = say("Of {count} heads, those that look most at: the token before, itself, the first token, all alike",
            count=patterns.shape[0] * patterns.shape[1])  # fmt: skip
run.save(pictures.chosen_heads(panels, words, title, lang), "11_heads.png")

# %% The way back from one prediction: what comes after the fact's beginning. The loss is a mean over all positions; the sum of
# T terms less the sum of the first T - 1, which do not see the last token, leaves the last one's gradient
likely = int(probabilities(model([fact_ids]))[0, -1].argmax())
inputs, targets = np.array([fact_ids]), np.array([[*fact_ids[1:], likely]])
T = len(fact_ids)
model.zero_grad()
model.loss_and_grad(inputs, targets, scale=T)
model.loss_and_grad(inputs[:, :-1], targets[:, :-1], scale=-(T - 1))
squares: dict[str, float] = {}  # by layer: its weight's and its bias's together
for name, gradient in model.gradients().items():
    layer_name = name.rpartition(".")[0]
    squares[layer_name] = squares.get(layer_name, 0.0) + float((np.float64(gradient) ** 2).sum())
model.zero_grad()
kinds = [name.removeprefix("blocks.0.") for name in squares if name.startswith("blocks.0.")]
norms = np.sqrt([[squares[f"blocks.{i}.{kind}"] for i in blocks] for kind in kinds])  # (K, L)
run.print("gradient of -ln p of {word!r} after {fact!r}, its length by block:", word=tokenizer.decode([likely]), fact=fact)
for i in blocks:
    print(
        f"  {i + 1:2}  {np.linalg.norm(norms[:, i]):.4f}   "
        + "  ".join(f"{k} {n:.4f}" for k, n in zip(kinds, norms[:, i], strict=True))
    )
first, last = np.linalg.norm(norms[:, 0]), np.linalg.norm(norms[:, -1])
title = say("The way back from {word!r}: the first block's gradient is {ratio:.1f} times as long as the last one's",
            word=tokenizer.decode([likely]), ratio=first / last)  # fmt: skip
run.save(pictures.gradients_by_block(kinds, norms, title, lang), "11_way_back.png")


# %% One fact changed: some steps of AdamW on one sentence. Before, after, and what else it changed
def say_after(questions: list[str]) -> list[tuple[str, float]]:
    """The likeliest next token after each, and its probability."""
    rows = [probabilities(model([tokenizer.encode(question)]))[0, -1] for question in questions]
    return [(tokenizer.decode([int(row.argmax())]), float(row.max())) for row in rows]


def p_of_answer() -> float:
    """The probability of the answer's first token after the fact's beginning."""
    return float(probabilities(model([fact_ids]))[0, -1, answer_ids[0]])


questions = [fact, *asked["others"]]
before, loss = say_after(questions), model.loss([ids[:-1]], [ids[1:]])
sentence = [*fact_ids, *answer_ids]
optimizer = run.backend.AdamW(run.backend.parameter_groups(model, 0.0), args.learning_rate or (1e-2 if args.random else 2e-5))
run.print("taught: {sentence!r}", sentence=tokenizer.decode(sentence))
for step in range(run.steps(args.steps)):
    optimizer.zero_grad()
    model.loss_and_grad([sentence[:-1]], [sentence[1:]])
    optimizer.step()
    run.print(
        "  step {step}: p of {answer!r} is {p:.4f}", step=step + 1, answer=tokenizer.decode(answer_ids[:1]), p=p_of_answer()
    )
after = say_after(questions)
for question, (old, p_old), (new, p_new) in zip(questions, before, after, strict=True):
    run.print("  {question!r}: {old!r} {p_old:.3f} before, {new!r} {p_new:.3f} after",
              question=question, old=old, p_old=p_old, new=new, p_new=p_new)  # fmt: skip
run.print(
    "the loss of the sentence above: {before:.3f} before, {after:.3f} after",
    before=loss,
    after=model.loss([ids[:-1]], [ids[1:]]),
)
taught = tokenizer.decode(answer_ids[:1])
spread = sum(new == taught for new, _ in after[1:])
title = say("Taught one sentence, it answers {answer!r} to {count} of {total} other questions too",
            answer=taught, count=spread, total=len(questions) - 1)  # fmt: skip
run.save(pictures.facts(questions, before, after, taught, title, lang), "11_one_fact.png")
