"""One training loop, two backends: the same run gives the same losses; a run that blows up says where."""

import contextlib
import dataclasses
import math

import numpy as np
import pytest
import torch

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig, TrainingDiverged
from npgpt.training import largest_gradient

from .tolerances import as_numpy

TEXT = "ali ata bak. ela eve gel. oya ip atla. nil okula koş. " * 8
SMALL = GPTConfig(32, 2, 2, 12, 8, tie_weights=True, position="learned")


def batches(seq_len, seed=0, batch_size=4):
    ids = np.array(npgpt.tokenize(TEXT))
    return npgpt.random_batches(*npgpt.sliding_windows(ids, seq_len), batch_size, seed)


LSTM = LSTMConfig(32, 2, 12, 12, 8, tie_weights=True)
MAMBA = MambaConfig(32, 2, 12, 8, d_state=4)
LLAMA = LlamaConfig(32, 1, 4, 12, 8, n_kv_head=2, head_size=4, qkv_bias=True)  # two blocks magnify last bits beyond the bound
RUNS = {"article": GPTConfig.article(), "article275": GPTConfig.article(train_qkv=True), "gpt": SMALL}
RUNS |= {"lstm of the article's size": LSTMConfig.article(), "lstm": LSTM, "mamba": MAMBA, "llama": LLAMA}


@pytest.mark.parametrize("config", RUNS.values(), ids=RUNS)
def test_the_same_run_on_both_backends_gives_the_same_losses(config, capsys):
    runs, weights = [], []
    for backend in (npgpt, torchgpt):
        model = backend.make_model(config, seed=5, dtype="float64")
        runs.append(backend.train(model, batches(config.seq_len), steps=200, learning_rate=1e-2, weight_decay=0.1))
        weights.append({name: as_numpy(value) for name, value in model.state_dict().items()})
    # Float64 on both sides: differences start at 1e-16; 200 steps and Adam's division by sqrt(v) magnify them.
    difference = np.abs(np.subtract(*runs)).max()
    with capsys.disabled():
        print(f"\nlosses of 200 steps in float64, NumPy and torch: {difference:.1e} apart at most", end="")
    assert difference < 1e-10
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
def test_on_gradient_sees_what_the_update_is_made_of(backend):
    """Averaged over the batches, clipped, and before the weights move: a plain model with the same gradients and its own AdamW
    makes the same update."""
    model, twin = (backend.GPTModel(SMALL, seed=1, dtype="float64") for _ in range(2))
    optimizer = backend.AdamW(twin.parameters(), lr=1e-2, weight_decay=0.0)
    calls = []

    def on_gradient(step, loss, norm):
        calls.append(("gradient", step, loss, norm))
        for name, value in model.state_dict().items():  # the weights are those from before the update
            assert np.array_equal(as_numpy(value), as_numpy(twin.state_dict()[name])), name
        gradients = model.gradients()
        size = np.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
        assert norm > 0.01 and size == pytest.approx(0.01, rel=1e-3)  # before clipping, and after (to norm + 1e-6)
        twin.loss_and_grad(*next(batches(8)))  # torch makes its gradients with the first backward
        for name, parameter in twin.named_parameters():
            parameter.grad[...] = gradients[name] if backend is npgpt else torch.from_numpy(gradients[name])
        optimizer.step()
        optimizer.zero_grad()

    options = {"steps": 3, "learning_rate": 1e-2, "max_norm": 0.01, "accumulate": 2}
    losses = backend.train(
        model,
        batches(8),
        **options,
        on_gradient=on_gradient,
        on_step=lambda step, loss, norm: calls.append(("step", step, loss, norm)),
    )
    for name, value in model.state_dict().items():
        assert np.array_equal(as_numpy(value), as_numpy(twin.state_dict()[name])), name
    assert [call[:2] for call in calls] == [(kind, step) for step in (1, 2, 3) for kind in ("gradient", "step")]
    assert [call[2] for call in calls[::2]] == losses and [c[1:] for c in calls[::2]] == [c[1:] for c in calls[1::2]]
    assert losses == backend.train(backend.GPTModel(SMALL, seed=1, dtype="float64"), batches(8), **options)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_loop_with_no_options_is_these_five_lines(backend):
    """An AdamW of its usual numbers, at 1e-3, without decay; the gradient clipped to 1."""
    model, twin = (backend.GPTModel(SMALL, seed=1, dtype="float64") for _ in range(2))
    for each in (model, twin):
        each.load_state_dict({name: 4 * as_numpy(value) for name, value in each.state_dict().items()})
    norms = []
    backend.train(model, batches(8), steps=4, on_step=lambda step, loss, norm: norms.append(norm))
    assert min(norms) > 1
    optimizer, source = backend.AdamW(twin.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.0), batches(8)
    for _ in range(4):
        twin.loss_and_grad(*next(source))
        backend.clip_grad_norm(list(twin.parameters()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    for name, value in model.state_dict().items():
        assert np.array_equal(as_numpy(value), as_numpy(twin.state_dict()[name])), name


class Counted(npgpt.GPTModel):
    """A model whose loss is the product of what should be a batch, without a gradient; it says what it was asked."""

    def __init__(self):
        super().__init__(SMALL)
        self.asked, self.syncing = [], True

    def loss_and_grad(self, ids, targets, scale=1.0):
        self.asked.append((ids, scale, self.syncing))
        return ids * scale * targets

    @contextlib.contextmanager
    def no_sync(self):
        self.syncing = False
        yield
        self.syncing = True

    def mean_over_ranks(self, loss):
        return -loss


def test_of_several_processes_gradients_travel_once_a_step_and_the_loss_is_the_mean_of_theirs():
    model = Counted()
    assert npgpt.train(model, [(3, 1), (5, 1), (4, 1), (8, 1)], steps=2, accumulate=2) == [-2.0, -3.0]
    assert model.asked == [(3, 0.5, False), (5, 0.5, True), (4, 0.5, False), (8, 0.5, True)]


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_tensor(backend):
    model = backend.GPTModel(dataclasses.replace(SMALL, tie_weights=False), seed=1)
    weights = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}

    def poison(step, loss, norm):
        if step == 3:
            model.load_state_dict(weights | {"head.bias": np.full(32, np.nan)})

    gradients = []  # the fourth enters no update, so nobody is shown it
    with pytest.raises(
        TrainingDiverged, match=r"stopped at step 4: the loss is nan; largest gradient: \S+\.\S+, max \|g\| = nan"
    ) as error:
        backend.train(model, batches(8), steps=10, on_gradient=lambda step, *_: gradients.append(step), on_step=poison)
    assert gradients == [1, 2, 3]
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
        TrainingDiverged,
        match=r"step 1: the gradient's norm is inf; largest gradient: blocks\.1\.ffn\.up\.weight, max \|g\| = inf",
    ):
        backend.train(model, batches(8), steps=2)
    assert np.array_equal(before, as_numpy(model.state_dict()["token_embedding.weight"]))


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.filterwarnings("error")  # those of products too, which pyproject.toml leaves aside elsewhere
def test_a_learning_rate_that_is_far_too_high_is_no_warning_but_an_error(backend):
    with pytest.raises(TrainingDiverged, match=r"^training stopped at step [2-9]: the (loss|gradient's norm) is (nan|inf); "):
        backend.train(backend.GPTModel(SMALL, seed=1), batches(8), steps=9, learning_rate=1e30)


@pytest.mark.parametrize(
    ("sizes", "largest"), [([3, -4, 2], "b"), ([3, math.inf, -4], "b"), ([math.inf, math.nan, 2], "b"), ([1, 1, 0], "a")]
)
def test_the_largest_gradient_is_by_size_and_nan_before_all(sizes, largest):
    class Model:
        def gradients(self):
            return {name: np.array([[0.5, size]]) for name, size in zip("abc", sizes, strict=True)}

    name, size = largest_gradient(Model())
    assert name == largest and np.array_equal(size, abs(sizes["abc".index(name)]), equal_nan=True)


def test_bad_arguments_are_named():
    model = npgpt.GPTModel(SMALL)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        npgpt.train(model, batches(8), steps=0)
    with pytest.raises(ValueError, match="batches ended after 1 of 2 steps"):
        npgpt.train(model, [next(batches(8))], steps=2)


# ------------------------------------------------------------------------------- schedules, groups, accumulation, evaluation


def test_the_schedule_is_nanogpts():
    """Its get_lr, written down again from its definition: iterations from 0, warm-up by (it + 1) / (warm-up + 1)."""

    def get_lr(it, peak=1e-3, floor=1e-4, warmup=100, last=2000):
        if it < warmup:
            return peak * (it + 1) / (warmup + 1)
        if it > last:
            return floor
        return floor + 0.5 * (1 + math.cos(math.pi * (it - warmup) / (last - warmup))) * (peak - floor)

    options = {"learning_rate": 1e-3, "min_learning_rate": 1e-4, "warmup_steps": 100, "decay_steps": 2000}
    rates = [npgpt.cosine_schedule(step, **options) for step in range(1, 2201)]
    assert rates == pytest.approx([get_lr(it) for it in range(2200)], rel=1e-12)
    assert max(rates) == rates[100] == 1e-3 and rates[2000] == rates[-1] == 1e-4
    constant = options | {"warmup_steps": 0, "decay_steps": 0, "min_learning_rate": 1e-3}
    assert [npgpt.cosine_schedule(step, **constant) for step in (1, 2, 9)] == [1e-3] * 3


@pytest.mark.parametrize(
    ("warmup_steps", "decay_steps", "rates"),
    [
        (1, 3, [3, 6, 4, 2, 2]),  # rises, falls by half a wave (from 6 to 2, in the middle 4), stays
        (2, 3, [2, 4, 6, 2, 2]),  # one step to fall
        (2, 2, [2, 4, 6, 2, 2]),  # none: the top is still reached
        (2, 1, [2, 4, 2, 2, 2]),  # it should be down before it is up
        (0, 0, [6, 2, 2, 2, 2]),
    ],
)
def test_schedules_by_hand(warmup_steps, decay_steps, rates):
    options = {"learning_rate": 6, "min_learning_rate": 2, "warmup_steps": warmup_steps, "decay_steps": decay_steps}
    assert [npgpt.cosine_schedule(step, **options) for step in range(1, 6)] == pytest.approx(rates, rel=1e-15)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_learning_rate_is_asked_only_of_steps_that_are_made_and_must_be_one(backend):
    asked = []
    backend.train(backend.GPTModel(SMALL), batches(8), start=3, steps=4, learning_rate=lambda step: asked.append(step) or 1e-3)
    assert set(asked) == {4}
    for rate in (-1, lambda step: -1):
        with pytest.raises(ValueError, match=r"^(lr must be at least 0, got|Invalid learning rate:) -1$"):
            backend.train(backend.GPTModel(SMALL), batches(8), steps=1, learning_rate=rate)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_learning_rate_may_be_a_function_of_the_step(backend):
    models = [backend.GPTModel(SMALL, seed=1) for _ in range(3)]
    backend.train(models[0], batches(8), steps=4, learning_rate=lambda step: 0.01)
    backend.train(models[1], batches(8), steps=4, learning_rate=0.01)
    backend.train(models[2], batches(8), steps=4, learning_rate=lambda step: 0.01 if step == 1 else 0.0)
    weights = [as_numpy(model.state_dict()["ln_f.weight"]) for model in models]
    assert np.array_equal(weights[0], weights[1])
    assert np.allclose(np.abs(weights[2] - 1), 0.01, rtol=1e-3)  # Adam's first step is the learning rate; then none


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_only_matrices_decay(backend):
    model = backend.GPTModel(SMALL, seed=1)
    before = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}
    optimizer = backend.AdamW(backend.parameter_groups(model, 0.5), lr=0.1)
    model.loss_and_grad(*next(batches(8)))
    for parameter in model.parameters():
        parameter.grad[...] = 0
    optimizer.step()
    for name, value in model.state_dict().items():
        factor = 1 - 0.1 * 0.5 if value.ndim >= 2 else 1
        assert np.allclose(as_numpy(value), before[name] * factor, rtol=1e-6, atol=0), name
    assert [name for name, value in before.items() if value.ndim >= 2 and "embedding" in name]  # embeddings are matrices


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_of_the_other_kinds_no_level_decays(backend):
    """A_log (a matrix by its shape alone), D, norms and biases stay; every other matrix shrinks."""
    for config, stays in [
        (MAMBA, ("A_log", ".D", "norm.weight", "norm_f.weight", ".bias")),
        (LSTM, ("bias_ih", "bias_hh", ".bias")),
        (LLAMA, ("norm1.weight", "norm2.weight", "norm_f.weight", ".bias")),
    ]:
        model = backend.make_model(config, seed=1)
        before = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}
        optimizer = backend.AdamW(backend.parameter_groups(model, 0.5), lr=0.1)
        model.loss_and_grad([[1, 2]], [[2, 3]])
        for parameter in model.parameters():
            parameter.grad[...] = 0
        optimizer.step()
        for name, value in model.state_dict().items():
            factor = 1 if name.endswith(stays) else 1 - 0.1 * 0.5
            assert np.allclose(as_numpy(value), before[name] * factor, rtol=1e-6, atol=0), name


def test_groups_are_those_of_torch():
    ours = npgpt.GPTModel(SMALL, seed=1, dtype="float64")
    theirs = torchgpt.from_numpy(ours)
    for _ in range(3):
        pair = [
            backend.AdamW(backend.parameter_groups(model, 0.3), lr=0.02, betas=(0.9, 0.99))
            for backend, model in ((npgpt, ours), (torchgpt, theirs))
        ]
        ids, targets = next(batches(8))
        for model, optimizer in zip((ours, theirs), pair, strict=True):
            optimizer.zero_grad()
            model.loss_and_grad(ids, targets)
            optimizer.step()
    for name, value in ours.state_dict().items():
        assert np.abs(value - as_numpy(theirs.state_dict()[name])).max() < 1e-12
    with pytest.raises(ValueError, match="weight_decay must be at least 0, got -1"):
        npgpt.AdamW(npgpt.parameter_groups(ours, -1))


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize("count", [2, 3])
def test_accumulated_batches_are_one_large_batch(backend, count):
    small = [next(source) for source in [batches(8, seed=4)] for _ in range(4 * count)]
    large = [
        tuple(np.concatenate(parts) for parts in zip(*small[i : i + count], strict=True)) for i in range(0, len(small), count)
    ]
    runs, models = [], [backend.GPTModel(SMALL, seed=1, dtype="float64") for _ in range(2)]
    norms = []
    for model, source, accumulate in ((models[0], large, 1), (models[1], small, count)):
        losses = backend.train(
            model,
            source,
            steps=4,
            accumulate=accumulate,
            weight_decay=0.1,
            on_step=lambda step, loss, norm: norms.append(norm),
        )
        runs.append(losses)
    assert np.allclose(*runs, rtol=1e-12) and np.allclose(norms[:4], norms[4:], rtol=1e-11)
    for name, value in models[0].state_dict().items():
        assert np.abs(as_numpy(value) - as_numpy(models[1].state_dict()[name])).max() < 1e-9, name


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_evaluation_is_the_mean_over_batches_and_changes_nothing(backend):
    model = backend.GPTModel(SMALL, seed=1)
    before = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}
    source = batches(8)
    expected = np.mean([model.loss(*next(source)) for _ in range(5)])
    source = batches(8)
    assert backend.evaluate(model, source, 5) == pytest.approx(expected, rel=1e-6)
    assert backend.evaluate(model, batches(8), 1) == pytest.approx(model.loss(*next(batches(8))), rel=1e-6)
    rest = batches(8)
    assert np.array_equal(next(source)[0], [next(rest) for _ in range(6)][5][0])  # it has taken five, and no more
    assert all(np.array_equal(before[name], as_numpy(value)) for name, value in model.state_dict().items())
    assert all(not gradient.any() for gradient in model.gradients().values())
    with pytest.raises(ValueError, match="batches ended after 2 of 3"):
        backend.evaluate(model, [next(source)] * 2, 3)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        backend.evaluate(model, batches(8), 0)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_on_step_may_end_the_run(backend):
    losses = backend.train(backend.GPTModel(SMALL), batches(8), steps=9, on_step=lambda step, loss, norm: step == 3)
    assert len(losses) == 3


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_run_in_two_parts_is_the_run_in_one(backend):
    """The same weights, moments, places in the text, to the last bit."""
    tokens = np.array(npgpt.tokenize(TEXT))
    options = {"learning_rate": lambda step: 0.01 / step, "max_norm": 0.5, "accumulate": 2}
    whole, first, second = (backend.GPTModel(SMALL, seed=seed) for seed in (1, 1, 2))
    losses = backend.train(whole, npgpt.RandomWindows(tokens, 8, 4), steps=7, weight_decay=0.1, betas=(0.8, 0.9), **options)

    def adamw(model):
        return backend.AdamW(backend.parameter_groups(model, 0.1), betas=(0.8, 0.9))

    windows, optimizer = npgpt.RandomWindows(tokens, 8, 4), adamw(first)
    parts = backend.train(first, windows, steps=3, optimizer=optimizer, **options)
    moments = optimizer.get_moments(first.named_parameters())
    second.load_state_dict(first.state_dict())
    windows_again, optimizer_again = npgpt.RandomWindows(tokens, 8, 4, seed=9), adamw(second)
    optimizer_again.set_moments(second.named_parameters(), moments, optimizer.steps)
    windows_again.set_state(windows.state())
    parts += backend.train(second, windows_again, steps=7, optimizer=optimizer_again, start=3, **options)
    assert parts == losses and optimizer_again.steps == 7
    for name, value in whole.state_dict().items():
        assert np.array_equal(as_numpy(value), as_numpy(second.state_dict()[name])), name


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_moments_that_do_not_fit_are_refused(backend):
    model = backend.GPTModel(SMALL)
    optimizer = backend.AdamW(model.parameters())
    moments = optimizer.get_moments(model.named_parameters())
    optimizer.set_moments(model.named_parameters(), moments, 0)
    assert all(m.shape == v.shape == tuple(p.shape) for p, (m, v) in zip(model.parameters(), moments.values(), strict=True))
    assert optimizer.steps == 0 and not any(m.any() or v.any() for m, v in moments.values())
    fewer = {name: pair for name, pair in moments.items() if name != "ln_f.weight"}
    for wrong, message in [
        (fewer, r"ln_f\.weight has none"),
        (moments | {"x": moments["ln_f.weight"]}, "x is no parameter"),
        (moments | {"ln_f.weight": (np.zeros(3), np.zeros(12))}, r"ln_f\.weight has other shapes"),
        (moments | {"ln_f.weight": (np.zeros(12), np.zeros(3))}, r"ln_f\.weight has other shapes"),
        (
            fewer | {"x": moments["ln_f.weight"]},
            r"^the optimiser's moments do not fit this model: ln_f.weight has none; x is no p",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            optimizer.set_moments(model.named_parameters(), wrong, 3)
    with pytest.raises(ValueError, match="steps must be at least 0, got -1"):
        optimizer.set_moments(model.named_parameters(), moments, -1)
    assert optimizer.steps == 0


def test_bad_numbers_of_a_run_are_named():
    for options, message in [({"accumulate": 0}, "accumulate must be at least 1"), ({"start": -1}, "start must be at least 0")]:
        with pytest.raises(ValueError, match=message):
            npgpt.train(npgpt.GPTModel(SMALL), batches(8), steps=2, **options)
