"""GPT, LSTM and Mamba at equal size, trained alike: what example 9 compares."""

import dataclasses
from collections.abc import Callable

from common import Run

import numpy as np

import npgpt
from npgpt.pictures import KINDS

T, V = 24, len(npgpt.letters)  # context, letters
BATCH = 16
COMPARED = ("gpt", "lstm", "mamba")
GPT, LSTM, Mamba = npgpt.GPTConfig, npgpt.LSTMConfig, npgpt.MambaConfig
CONFIGS = {  # parameters -> a config of each kind that has (nearly) as many
    248: (  # exactly. Given up: GPT trains no Wqkv and has no FFN, Mamba has no head of its own, one state and three taps
        dataclasses.replace(GPT.article(), seq_len=T),
        dataclasses.replace(LSTM.article(), seq_len=T),
        Mamba(V, 1, 3, T, d_state=1, d_conv=3, conv_bias=False, head_bias=True),
    ),
    1000: (GPT(V, 1, 1, 8, T, ffn_hidden=8), LSTM(V, 1, 6, 8, T), Mamba(V, 1, 7, T, d_state=8)),
    10000: (GPT(V, 2, 2, 20, T, ffn_hidden=64), LSTM(V, 1, 19, 36, T), Mamba(V, 2, 20, T, d_state=15)),
    100000: (GPT(V, 3, 4, 56, T, ffn_hidden=170), LSTM(V, 2, 55, 80, T), Mamba(V, 3, 64, T)),
}


def rise_and_fall(rate: float, steps: int) -> Callable[[int], float]:
    """The learning rate of each step: it rises over a twentieth of the steps to `rate`, and falls to a tenth of it."""
    curve = {"learning_rate": rate, "min_learning_rate": rate / 10, "warmup_steps": steps // 20, "decay_steps": steps}
    return lambda step: npgpt.cosine_schedule(step, **curve)


def train(run: Run, config, batches, steps: int, rate: float, seed: int):
    """A new model, trained by AdamW along `rise_and_fall`."""
    model = run.model(config, seed)
    run.backend.train(model, batches, steps=steps, learning_rate=rise_and_fall(rate, steps))
    return model


def best_of_rates(rates, seeds, trained, score) -> tuple[float, list, list]:
    """A learning rate is chosen on the first seed, by the highest score, and taken for all: (rate, models, scores).

    trained(rate, seed) -> a model; score(model) -> a number, or several of which the sum counts.
    """
    tried = {rate: trained(rate, seeds[0]) for rate in rates}
    scores = {rate: score(model) for rate, model in tried.items()}
    rate = max(scores, key=lambda rate: np.sum(scores[rate]))
    others = [trained(rate, seed) for seed in seeds[1:]]
    return rate, [tried[rate], *others], [scores[rate], *map(score, others)]


def mean_loss(model, inputs, targets) -> float:
    """Over all windows, 64 at a time: a Mamba's states of a whole text would not fit into memory."""
    parts = [slice(i, i + 64) for i in range(0, len(inputs), 64)]
    return sum(model.loss(inputs[part], targets[part]) * len(inputs[part]) for part in parts) / len(inputs)


def compare(run: Run, sizes, seeds, training, test) -> tuple[dict, dict]:
    """Every size and kind on one text, each printed. training, test : inputs and targets (N, T).

    Gives kind -> (parameters (S,), losses (S, seeds)), and (size, kind) -> the models of all seeds.
    """
    args, steps = run.args, run.steps(run.args.steps)
    results, models = {kind: ([], []) for kind in COMPARED}, {}
    for size in sizes:
        for config in CONFIGS[size]:

            def trained(rate, seed, config=config):
                return train(run, config, npgpt.random_batches(*training, BATCH, seed), steps, rate, seed)

            rate, found, scores = best_of_rates(args.learning_rates, seeds, trained, lambda model: -mean_loss(model, *test))
            losses, count = -np.array(scores), found[0].num_parameters()
            models[size, config.kind] = found
            results[config.kind][0].append(count)
            results[config.kind][1].append(losses)
            spread = f"{losses.mean():.4f} ({losses.min():.4f}..{losses.max():.4f})"
            print(f"  {KINDS[config.kind]:6} {count:7,}  {spread}  {rate:g}")
    return results, models
