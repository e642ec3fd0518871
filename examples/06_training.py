"""6. Training, watched: what examples/train.py recorded, step by step.

Against what can the loss be measured? How large are gradients and updates? Where do the letters' vectors go?
"""

# %%
import json
import sys
from pathlib import Path

from common import LN_32, SENTENCES, start

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import centres_apart, ngram_entropy

from command_line import told_errors

RUN_DIR = {"type": Path, "default": None, "help": "where train.py wrote; None: the folder train in --out-dir"}
run = start(__doc__, more=lambda add: add("--run-dir", **RUN_DIR))
say, lang = run.say, run.args.lang
folder = run.args.run_dir or run.args.out_dir / "train"
command = f"python examples/train.py --backend {run.args.backend} --seed {run.args.seed} --out-dir {folder}"

# %% The record of a run: one line of JSON a step. Without one, the run is made now
if not (folder / "metrics.jsonl").exists():
    if run.args.run_dir is not None:
        sys.exit(f"error: --run-dir {folder} holds no metrics.jsonl; this makes it: {command}")
    run.print("no record in {folder}; running: {command}", folder=folder, command=command)
    import train

    more = ["--steps", str(run.steps(1500)), "--device", run.device, "--dtype", run.dtype]
    with told_errors():
        train.main(command.split()[2:] + more)
records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
watched = [(record["step"], record["watch"]) for record in records if "watch" in record]
if len(watched) < 2:
    sys.exit(f"error: {folder / 'metrics.jsonl'} holds no snapshots (an older run?); this makes a new one: {command}")
steps = [step for step, _ in watched]
first = watched[0][1]
losses = [record["loss"] for record in records]

# %% The loss against what the text's own statistics allow: who knows the last letter, who knows the last two
source = Path(first["input_file"])
tokens = npgpt.read_tokens(source if source.exists() else SENTENCES, npgpt.LetterTokenizer(), first["errors"])
floors = {n: ngram_entropy(tokens, n) for n in (1, 2, 3)}
late = np.mean(losses[-max(1, len(losses) // 10) :])
run.print("guessing: {loss:.3f} nats a letter", loss=LN_32)
run.print("who knows how often letters come: {loss:.3f}", loss=floors[1])
run.print("who knows the last letter (bigrams): {loss:.3f}", loss=floors[2])
run.print("who knows the last two (trigrams): {loss:.3f}", loss=floors[3])
run.print("this run, mean of the last tenth of its {count} steps: {loss:.3f}", count=len(losses), loss=late)
passed = [n for n in floors if late < floors[n]]
beaten = {0: say("above even the letters' frequencies"), 1: say("better than letter frequencies, not yet than bigrams"),
          2: say("better than bigrams, not than trigrams"), 3: say("better than trigrams")}[len(passed)]  # fmt: skip
names = {1: say("letters alone"), 2: say("bigrams"), 3: say("trigrams")}
title = say("The run ends at {loss:.2f} nats: {beaten}", loss=late, beaten=beaten)
figure = pictures.loss_curve(losses, LN_32, floors={names[n]: floors[n] for n in floors}, title=title, lang=lang)
run.save(figure, "06_loss_and_floors.png")

# %% Gradients and updates of every tensor over time
tensors = list(first["gradient_rms"])
rms = np.array([[watch["gradient_rms"][name] for name in tensors] for _, watch in watched])  # (S, K)
ratios = np.array([[watch["update_ratio"][name] or np.nan for name in tensors] for _, watch in watched])  # (S, K)
run.print("root mean square of the gradient at the first and the last snapshot, and the last update / weight:")
for k, name in enumerate(tensors):
    print(f"  {name:32} {rms[0, k]:.2e}  {rms[-1, k]:.2e}  {ratios[-1, k]:.1e}")
grown, median = tensors[int((rms[-1] / rms[0]).argmax())], np.nanmedian(ratios[-1])
title = say("From first to last step the gradient of {name} grew most; the median update is {ratio:.0e} of its weights",
            name=grown, ratio=median)  # fmt: skip
run.save(pictures.gradient_flow(steps, tensors, rms, ratios, title, lang), "06_gradient_flow.png")

# %% The letters on their way: before, after, and as a film
snapshots = np.array([first["embedding_before"]] + [watch["embedding"] for _, watch in watched])  # (S + 1, V, C)
vowel = np.array([letter in pictures.VOWELS for letter in npgpt.letters])
consonant = np.array([letter in pictures.CONSONANTS for letter in npgpt.letters])
apart = []
for name, table in ((say("before training"), snapshots[0]), (say("after training"), snapshots[-1])):
    apart.append(centres_apart(table, vowel, consonant))
    run.print("{name}: the two kinds' centres lie {ratio:.2f} times their mean radius apart", name=name, ratio=apart[-1])
run.save(pictures.embedding_space(snapshots[0], snapshots[-1], npgpt.letters, lang), "06_embedding_before_after.png")
title = say("Vowels and consonants: {first:.1f} radii apart at first, {last:.1f} in the end", first=apart[0], last=apart[1])
run.save(pictures.embedding_motion([0, *steps], snapshots, npgpt.letters, title, lang), "06_embedding_motion.gif")

# %% What it writes as it learns
shown = [place for place, step in enumerate(steps) if place % max(1, len(steps) // 10) == 0]
samples = [watched[place][1]["sample"] for place in shown]
run.print("at the end it writes {text!r}", text=watched[-1][1]["sample"])
title = say("After the grey prompt: what the model writes as it learns")
picture = pictures.learning_to_write([steps[place] for place in shown], samples, first["prompt"], title, lang)
run.save(picture, "06_learning_to_write.png")
