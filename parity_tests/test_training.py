"""One training loop, two backends: the same run gives the same losses; a run that blows up says where."""

import dataclasses

import numpy as np
import pytest

import npgpt
import torchgpt
from npgpt import GPTConfig, TrainingDiverged

from .tolerances import as_numpy

TEXT = "ali ata bak. ela eve gel. oya ip atla. nil okula koş. " * 8
SMALL = GPTConfig(32, 2, 2, 12, 8, tie_weights=True, position="learned")


def batches(seq_len, seed=0, batch_size=4):
    ids = np.array(npgpt.tokenize(TEXT))
    return npgpt.random_batches(*npgpt.sliding_windows(ids, seq_len), batch_size, seed)


@pytest.mark.parametrize("config", [GPTConfig.article(), GPTConfig.article(train_qkv=True), SMALL])
def test_the_same_run_on_both_backends_gives_the_same_losses(config):
    runs, weights = [], []
    for backend in (npgpt, torchgpt):
        model = backend.GPTModel(config, seed=5, dtype="float64")
        runs.append(backend.train(model, batches(config.seq_len), steps=200, learning_rate=1e-2, weight_decay=0.1))
        weights.append({name: as_numpy(value) for name, value in model.state_dict().items()})
    # Float64 on both sides: differences start at 1e-16; 200 steps and Adam's division by sqrt(v) magnify them.
    assert np.abs(np.subtract(*runs)).max() < 1e-10
    assert all(np.abs(weights[0][name] - weights[1][name]).max() < 1e-8 for name in weights[0])
    assert np.mean(runs[0][-20:]) < 0.8 * runs[0][0]


def test_the_same_run_in_float32_starts_alike_and_learns_alike():
    runs = [
        backend.train(backend.GPTModel(SMALL, seed=5), batches(8), steps=100, learning_rate=1e-2)
        for backend in (npgpt, torchgpt)
    ]
    assert np.abs(np.subtract(*runs))[:10].max() < 1e-5 and abs(np.mean(runs[0][-20:]) - np.mean(runs[1][-20:])) < 0.02


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_run_again_with_the_same_seed_gives_the_same_numbers(backend):
    runs = [backend.train(backend.GPTModel(SMALL, seed=2), batches(8, seed=3), steps=20) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != backend.train(backend.GPTModel(SMALL, seed=2), batches(8, seed=4), steps=20)


def test_untrained_qkv_stays_as_it_was_and_trained_moves():
    for train_qkv in (False, True):
        model = npgpt.GPTModel(GPTConfig.article(train_qkv))
        before = model.blocks[0].mha.Wqkv.weight.copy()
        npgpt.train(model, batches(12), steps=5)
        assert np.array_equal(before, model.blocks[0].mha.Wqkv.weight) is not train_qkv


def test_a_letter_that_never_occurs_never_moves():
    model = npgpt.GPTModel(GPTConfig.article())
    before = model.token_embedding.weight.copy()
    npgpt.train(model, batches(12), steps=30)
    absent = [i for i, letter in enumerate(npgpt.letters) if letter not in TEXT]
    moved = np.abs(model.token_embedding.weight - before).max(axis=1) > 0
    assert npgpt.letters.index("j") in absent
    assert not moved[absent].any() and moved.sum() == 32 - len(absent)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_on_step_sees_every_step(backend):
    seen = []
    losses = backend.train(
        backend.GPTModel(SMALL), batches(8), steps=3, on_step=lambda step, loss, norm: seen.append((step, loss, norm))
    )
    assert [step for step, _, _ in seen] == [1, 2, 3] and [loss for _, loss, _ in seen] == losses
    assert all(type(norm) is float and norm > 0 for _, _, norm in seen)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_tensor(backend):
    model = backend.GPTModel(dataclasses.replace(SMALL, tie_weights=False), seed=1)
    weights = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}

    def poison(step, loss, norm):
        if step == 3:
            model.load_state_dict(weights | {"head.bias": np.full(32, np.nan)})

    with pytest.raises(TrainingDiverged, match=r"stopped at step 4: the loss is nan; largest gradient: \S+\.\S+, max") as error:
        backend.train(model, batches(8), steps=10, on_step=poison)
    assert error.value.step == 4 and error.value.tensor in dict(model.named_parameters())
    assert np.isfinite(as_numpy(model.state_dict()["token_embedding.weight"])).all()  # the update was not made


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(backend):
    model = backend.GPTModel(SMALL, seed=1)
    plain = model.loss_and_grad

    def with_infinite_gradient(ids, targets):
        loss = plain(ids, targets)
        gradient = dict(model.named_parameters())["blocks.1.ffn.up.weight"].grad
        gradient[0, 0] = np.inf
        return loss

    model.loss_and_grad = with_infinite_gradient
    before = as_numpy(model.state_dict()["token_embedding.weight"]).copy()
    with pytest.raises(
        TrainingDiverged, match=r"step 1: the gradient's norm is inf; largest gradient: blocks\.1\.ffn\.up\.weight"
    ):
        backend.train(model, batches(8), steps=2)
    assert np.array_equal(before, as_numpy(model.state_dict()["token_embedding.weight"]))


def test_bad_arguments_are_named():
    model = npgpt.GPTModel(SMALL)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        npgpt.train(model, batches(8), steps=0)
    with pytest.raises(ValueError, match="batches ended after 1 of 2 steps"):
        npgpt.train(model, [next(batches(8))], steps=2)
