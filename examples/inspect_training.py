"""The inspector: one training run, and a page in which its forward, its backward and its steps can be touched.

python examples/inspect_training.py            the article's model on the article's sentences; then open out/inspector.html
python examples/inspect_training.py --bugs     and the same run once more with each of twelve mistakes in the code
python examples/inspect_training.py --seed 1 --out-dir out/1 --compare out/inspector.safetensors      two runs side by side
"""

# %%
import time
from pathlib import Path

from common import SENTENCES, start, windows

import numpy as np

import npgpt
from npgpt.inspector.explained import explained
from npgpt.inspector.insights import insights
from npgpt.inspector.labels import translator
from npgpt.inspector.page import page_data, write_page
from npgpt.inspector.recorder import Recorder, probe_of
from npgpt.inspector.recording import read_recording
from npgpt.inspector.small import CONFIGS

from command_line import check_above_0, check_at_least, told_errors

SNAPSHOTS = 75  # recorded steps, where --every is not given: with them the default run's page stays below 2 MB


def options(add) -> None:
    add("--model", choices=CONFIGS, default="gpt", help="the kind of model")
    add("--steps", type=int, default=1500, help="training steps")
    add("--every", type=int, default=None, help=f"steps from one recorded step to the next; None: about {SNAPSHOTS} in all")
    add("--learning-rate", type=float, default=1e-2, help="of AdamW")
    add("--max-mb", type=float, default=8.0, help="megabytes that the page may have; what does not fit is left out, and named")
    recording = "inspector.safetensors of another run, to be shown beside this one"
    add("--compare", type=Path, default=None, metavar="RECORDING", help=recording)
    add("--bugs", action="store_true", help="train once more with each of some mistakes in npgpt's code")


run = start(__doc__, prompt="ali ata bak.", longest=13, more=options)
args, tokenizer, config = run.args, npgpt.LetterTokenizer(), CONFIGS[run.args.model]
with told_errors():
    check_at_least(1, args, "steps", "every")
    check_above_0("--max-mb", args.max_mb)
    check_above_0("--learning-rate", args.learning_rate)
    other = None if args.compare is None else read_recording(args.compare)
steps = run.steps(args.steps)
every = args.every or max(1, steps // SNAPSHOTS)
tokens = npgpt.read_tokens(SENTENCES, tokenizer)
begin = args.prompt[: args.prompt.rfind(" ") + 1] or args.prompt  # what the model goes on from: all words but the last


# %% A run that takes a recorder along. What it does is what it would do without
def recorded(backend=run.backend, device: str = run.device):
    """The run, as a Recording, and how it ended: None, or what went wrong."""
    model = backend.make_model(config, device, seed=args.seed, dtype=run.dtype)
    recorder = Recorder(
        model,
        probe_of(args.prompt, tokenizer),
        tokenizer=tokenizer,
        training_steps=steps,
        steps=every,
        prompt=begin,
        learning_rate=args.learning_rate,
        text=tokens,
        seed=args.seed,
    )
    batches = npgpt.random_batches(*windows(config.seq_len), 8, args.seed)
    hooks = {"on_gradient": recorder.on_gradient, "on_step": recorder.on_step}
    try:
        backend.train(model, batches, steps=steps, learning_rate=args.learning_rate, **hooks)
    except npgpt.TrainingDiverged as diverged:
        return recorder.finish(), diverged
    return recorder.finish(), None


def late(losses: np.ndarray) -> float:
    """The loss at the end, as the page says it too: the mean of the last tenth of the steps."""
    return float(np.mean(losses[int(0.9 * len(losses)) :]))


began = time.perf_counter()
with told_errors():
    recording, diverged = recorded()
if diverged:
    print(diverged)
run.print("{name}: {count} parameters, {steps} steps, {recorded} of them recorded, in {seconds:.1f} s",
          name=recording.name, count=recording.parameters, steps=len(recording.losses), recorded=len(recording.steps),
          seconds=time.perf_counter() - began)  # fmt: skip
run.print("loss, mean of the last tenth of the steps: {loss:.3f}", loss=late(recording.losses))
run.print("the gradient agrees with the complex step to {digits:.1f} digits, at every recorded step at least",
          digits=np.nanmin(recording.digits))  # fmt: skip
found = insights(recording, translator(args.lang))
for insight in found:
    run.print("step {step:,}", step=insight.step)
    print(f"  {insight.tensor}: {insight.what}. {insight.cause} {insight.remedy}")
if not found:
    run.print("nothing is off: no gradient vanishes or explodes, no update is too large or too small")

# %% The same run with a mistake in the code, one after the other
mistaken = []
if args.bugs:
    from seeded_mistakes import mistakes

    mistaken = mistakes(config.kind, recording, lambda: recorded(npgpt, "cpu")[0])
    run.print("{count} mistakes: the loss at the end, and to how many digits the gradient then agrees", count=len(mistaken))
    for each in mistaken:
        print(f"  {each['name']:54} {late(each['losses']):6.3f} {np.nanmedian(each['digits']):5.1f}")

# %% The page, and the recording for another run's --compare
with told_errors():
    page, kept = args.out_dir / "inspector.html", args.out_dir / "inspector.safetensors"
    began = time.perf_counter()
    words = explained(config, len(recording.ids))
    write_page(page, page_data(recording, other, mistakes=mistaken, lang=args.lang, max_mb=args.max_mb, **words))
    recording.save(kept)
run.print("the page has {mb:.2f} MB and was written in {seconds:.1f} s: open it in a browser",
          mb=page.stat().st_size / 1e6, seconds=time.perf_counter() - began)  # fmt: skip
for path in (page, kept):
    run.print("wrote {path}", path=path)
