"""12. From GPT to Llama, one change at a time: what does each of them do to the loss?

LayerNorm becomes RMSNorm; learned positions become RoPE, GELU becomes SwiGLU, the biases go, and pairs of query heads come to
share one key-value head. After each change the model is trained anew. All of them have the same number of parameters (what a
change frees or takes, the FFN's width makes up for), the same learning rate, the same spread of initial weights, and, seed by
seed, the same batches. The model between the two is mixed_model.py.

The default is small and brief. What the gallery shows, less than half an hour on one core:
    python examples/12_from_gpt_to_llama.py --input-file book.txt --preset nanogpt-cpu --steps 600 --seeds 3 --float32
"""

# %%
from dataclasses import replace
from pathlib import Path

from common import SENTENCES, start

import numpy as np

import npgpt
from npgpt import pictures

from command_line import check_above_0, check_at_least, told_errors
from equal_budget import mean_loss, rise_and_fall
from mixed_model import MixedConfig, num_parameters, of_size
from train_text import PRESETS as TRAINING_PRESETS

NANOGPT = TRAINING_PRESETS["nanogpt-cpu"]["gpt"]  # 0.8 million parameters
SMALL = {"n_layer": 2, "n_embd": 32, "seq_len": 16, "batch_size": 8, "max_iters": 60, "learning_rate": 5e-3}
PRESETS = {"small": NANOGPT | SMALL, "nanogpt-cpu": NANOGPT}


def options(add) -> None:
    add("--input-file", type=Path, default=SENTENCES, help="UTF-8 text to learn from; its last tenth is held out")
    add("--preset", choices=PRESETS, default="small", help="sizes of the model and of its training")
    add("--steps", type=int, default=None, help="training steps of each model; None: the preset's")
    add("--seeds", type=int, default=2, help="models of each stage")
    add("--learning-rates", type=float, nargs="+", default=None, help="each for all stages; None: the preset's")
    add("--float32", action="store_true", help="faster; the last digits then depend on the backend")


run = start(__doc__, more=options)
say, lang, args = run.say, run.args.lang, run.args
preset = PRESETS[args.preset]
H, T = preset["n_head"], preset["seq_len"]
if args.backend == "torch":
    from mixed_model_torch import MixedModel
else:
    from mixed_model import MixedModel

# %% The stages: each makes one more change
K = H // 2  # key-value heads, each for two query heads
CHANGES = [
    (say("RMSNorm for LayerNorm"), {"rms_norm": True}),
    (say("RoPE for learned positions"), {"rope": True}),
    (say("SwiGLU for GELU"), {"swiglu": True}),
    (say("no biases"), {"bias": False}),
    (say("{K} key-value heads for {H}", K=K, H=H), {"n_kv_head": K}),
]
names = ["GPT", *(f"+ {name}" for name, _ in CHANGES)]
names[-1] += " = Llama"


def stages(vocab_size: int) -> list[MixedConfig]:
    """A config a stage, all with (nearly) the first one's parameters."""
    sizes = {name: preset[name] for name in ("n_layer", "n_head", "n_embd", "seq_len", "init_std")}
    made = [MixedConfig(vocab_size=vocab_size, ffn_hidden=4 * preset["n_embd"], **sizes)]
    for _, change in CHANGES:
        made.append(of_size(replace(made[-1], **change), num_parameters(made[0])))
    return made


# %% The text, by characters
with told_errors():
    check_at_least(1, args, "steps", "seeds")
    rates = args.learning_rates or [preset["learning_rate"]]
    check_above_0("--learning-rates", *rates)
    text = "".join(npgpt.read_text(args.input_file))
    tokenizer = npgpt.CharTokenizer.from_text(text)
    training, held_out = npgpt.split_tokens(np.array(tokenizer.encode(text)), 0.1)
    if len(held_out) <= T:
        raise ValueError(f"the text is too short: its last tenth holds {len(held_out)} characters, a window needs {T + 1}")
configs = stages(tokenizer.vocab_size)
test = [windows[::T] for windows in npgpt.sliding_windows(held_out, T)]  # one after the other: each character once
steps = run.steps(args.steps or preset["max_iters"])
run.print(
    "{training:,} characters to train on, {steps:,} steps of {B} windows of {T}; {held_out:,} are held out",
    training=len(training), steps=steps, B=preset["batch_size"], T=T, held_out=len(held_out),
)  # fmt: skip


# %% Train every stage with every seed
def trained(config: MixedConfig, rate: float, seed: int) -> tuple[MixedModel, list[float]]:
    """A new model, trained, and the loss of each step."""
    model = MixedModel(config, run.device, seed=seed, dtype="float32" if args.float32 else run.dtype)
    losses = run.backend.train(
        model, npgpt.RandomWindows(training, T, preset["batch_size"], seed), steps=steps,
        learning_rate=rise_and_fall(rate, steps),
        betas=(preset["beta1"], preset["beta2"]), weight_decay=preset["weight_decay"], max_norm=preset["grad_clip"],
    )  # fmt: skip
    return model, losses


costs, on_the_way, titles = {}, {}, []
width = max(map(len, names))
for rate in rates:
    panel = say("learning rate {rate:g}", rate=rate)
    print(panel)
    print(
        " " * width, say("parameters, FFN's width, held-out loss: mean (lowest..highest), gained by the change, seed by seed")
    )
    costs[panel] = np.zeros((len(configs), args.seeds))
    on_the_way[panel] = np.zeros((len(configs), args.seeds, steps))
    for stage, config in enumerate(configs):
        for seed in range(args.seeds):
            model, on_the_way[panel][stage, seed] = trained(config, rate, args.seed + seed)
            costs[panel][stage, seed] = mean_loss(model, *test)
        cost, row = costs[panel][stage], f"{names[stage]:{width}} {model.num_parameters():10,} {config.ffn_size:4}  "
        row += f"{cost.mean():.4f} ({cost.min():.4f}..{cost.max():.4f})"
        if stage:
            gained = costs[panel][stage - 1] - cost
            row += f"  {gained.mean():+.4f} ({gained.min():+.4f}..{gained.max():+.4f})"
        print(row, flush=True)
    means, spread = costs[panel].mean(axis=1), np.ptp(costs[panel], axis=1).max()
    gains = means[:-1] - means[1:]
    titles.append(say(
        "{panel}: {name} brings most, {gain:.3f} nats; all five {total:.3f}; seeds of one stage differ by up to {spread:.3f}",
        panel=panel, name=CHANGES[gains.argmax()][0], gain=gains.max(), total=means[0] - means[-1], spread=spread,
    ))  # fmt: skip
    print(titles[-1])
run.save(pictures.one_change_at_a_time(names, costs, "\n".join(titles), lang), "12_one_change_at_a_time.png")

# %% When on the way does it come? All stages of a seed see the same batches, so that their losses can be subtracted
pieces = np.array_split(np.arange(steps), min(20, steps))
middles = [piece.mean() + 1 for piece in pieces]
curves = {
    panel: np.stack([losses[..., piece].mean(axis=(1, 2)) for piece in pieces], axis=1)  # (stages, pieces)
    for panel, losses in on_the_way.items()
}
title = "\n".join(
    say("{panel}: Llama's loss less GPT's is {least:+.3f} nats where it is lowest (step {step:.0f}), {last:+.3f} at the end",
        panel=panel, least=less.min(), step=middles[less.argmin()], last=less[-1])
    for panel, less in ((panel, curve[-1] - curve[0]) for panel, curve in curves.items())
)  # fmt: skip
print(title)
run.save(pictures.below_the_first(middles, names, curves, title, lang), "12_on_the_way.png")
