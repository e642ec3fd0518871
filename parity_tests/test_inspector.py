"""The inspector's recorder, what it says about a run, and the data of its page."""

import ast
import base64
import contextlib
import dataclasses
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig
from npgpt.inspector import page
from npgpt.inspector.agreement import digits_of_agreement, random_direction
from npgpt.inspector.difference import apart, differences, first_parting, first_wrong
from npgpt.inspector.insights import insights
from npgpt.inspector.labels import TURKISH, translator
from npgpt.inspector.recorder import Recorder, chosen_steps, probe_of
from npgpt.inspector.recording import GROUPS, Recording, read_recording, rms
from npgpt.runs.run import TrainingRun

from .bugs import CATALOGUE
from .tolerances import as_numpy

BACKENDS = {"numpy": npgpt, "torch": torchgpt}
on_both = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
LETTERS = npgpt.LetterTokenizer()
TEXT = np.array(npgpt.tokenize("ali ata bak. ela eve gel. oya ip atla. nil okula koş. " * 4))
PROBE = probe_of("ali ata b", LETTERS)
ARTICLE = GPTConfig.article(train_qkv=True)
KINDS = {
    "gpt": GPTConfig(32, 2, 2, 8, 12, position="learned", tie_weights=True, dropout=0.3),
    "lstm": LSTMConfig(32, 2, 6, 6, 12, dropout=0.3),
    "mamba": MambaConfig(32, 1, 6, 12, d_state=3),
    "llama": LlamaConfig(32, 1, 2, 8, 12, n_kv_head=1, dropout=0.3),
}
of_every_kind = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)


def batches(config, tokens=TEXT, seed=0):
    return npgpt.random_batches(*npgpt.sliding_windows(tokens, config.seq_len), 4, seed)


def recorded(config=ARTICLE, backend=npgpt, *, n=6, rate=1e-2, seed=0, dtype="float64", model=None, source=None, **options):
    """A short run and its recording; what TrainingDiverged says is left to the recording."""
    model = model or backend.make_model(config, seed=seed, dtype=dtype)
    options = {"steps": 1, "prompt": "ali ", "new_tokens": 3, "learning_rate": rate, "text": TEXT, "seed": seed} | options
    recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=n, **options)
    hooks = {"on_gradient": recorder.on_gradient, "on_step": recorder.on_step}
    with contextlib.suppress(npgpt.TrainingDiverged):
        backend.train(model, source or batches(config, seed=seed), steps=n, learning_rate=rate, **hooks)
    return recorder.finish()


@pytest.fixture(scope="module")
def article() -> Recording:
    """Six steps of the article's model, all of them recorded."""
    return recorded()


# ------------------------------------------------------------------------------------------------------------- the recorder


@on_both
@of_every_kind
def test_a_recorded_run_is_the_run_that_nobody_recorded(backend, config):
    """Bit for bit: the probe draws no dropout masks from the run's generator, and adds nothing to the run's gradients."""
    runs = []
    for recording in (False, True):
        model, hooks = backend.make_model(config, seed=3), {}
        if recording:
            recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=5, steps=[0, 2, 3, 5], new_tokens=3)
            hooks = {"on_gradient": recorder.on_gradient, "on_step": recorder.on_step}
        options = {"steps": 5, "learning_rate": 1e-2, "weight_decay": 0.1, "accumulate": 2, "max_norm": 0.1}
        losses = backend.train(model, batches(config), **options, **hooks)
        state = model.dropout_rng.bit_generator.state
        runs.append((losses, {name: as_numpy(w).tobytes() for name, w in model.state_dict().items()}, state))
    assert runs[0] == runs[1]
    assert recorder.finish().losses.tolist() == losses


@on_both
@of_every_kind
def test_step_s_is_the_model_after_s_updates(backend, config):
    """Weights, gradient and update are those of one moment; what the probe gives is what a model with these weights gives."""
    model = backend.make_model(config, seed=1, dtype="float64")
    recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=4, prompt="ata ", new_tokens=5, learning_rate=0.02)
    states, gradients, norms = [copied(model)], [], []

    def on_gradient(step, loss, norm):
        recorder.on_gradient(step, loss, norm)
        gradients.append(model.gradients())
        norms.append(norm)

    def on_step(step, loss, norm):
        recorder.on_step(step, loss, norm)
        states.append(copied(model))

    losses = backend.train(
        model, batches(config), steps=4, learning_rate=0.02, max_norm=0.1, on_gradient=on_gradient, on_step=on_step
    )
    recording = recorder.finish()
    assert recording.steps.tolist() == [0, 1, 2, 3, 4] and recording.losses.tolist() == losses
    assert recording.norm[:4].tolist() == norms and recording.rate[:4].tolist() == [0.02] * 4
    assert np.isnan([recording.norm[4], recording.rate[4]]).all()
    for s, state in enumerate(states):
        for name, weight in state.items():
            assert np.array_equal(recording.weights[name][s], weight), (s, name)
            assert recording.weights[name].dtype == np.float64
            gradient, update = recording.batch_gradients[name][s], recording.updates[name][s]
            if s < 4:
                assert np.array_equal(gradient, gradients[s][name]), (s, name)
                assert np.array_equal(update, states[s + 1][name] - weight), (s, name)
            else:
                assert np.isnan(gradient).all() and np.isnan(update).all()
    plain = dataclasses.replace(config, dropout=0.0) if config.dropout else config
    twin = backend.make_model(plain, dtype="float64")
    ids, targets = PROBE[0][None], PROBE[1][None]
    for s in (0, 4):
        twin.load_state_dict(states[s])
        twin.zero_grad()
        assert recording.probe_loss[s] == twin.loss_and_grad(ids, targets)
        for name, gradient in twin.gradients().items():
            assert np.array_equal(recording.probe_gradients[name][s], gradient), name
        trace = twin.trace(ids, targets)
        assert list(trace) == list(recording.values) == list(recording.gradients)
        for name, (value, gradient) in trace.items():
            assert np.array_equal(recording.values[name][s], as_numpy(value)[0]), name
            assert np.array_equal(recording.gradients[name][s], as_numpy(gradient)[0]), name
        written = backend.generate(twin, np.array(npgpt.tokenize("ata ")), 5, temperature=1.0, seed=0)
        assert recording.writes[s] == npgpt.detokenize(written[4:])
    assert recording.digits.min() > 14


def copied(model):
    return {name: as_numpy(weight).copy() for name, weight in model.state_dict().items()}


def test_a_buffer_has_values_and_no_gradients():
    """The article's 248: Wqkv is kept, and never trained."""
    recording = recorded(GPTConfig.article(), n=2)
    name = "blocks.0.mha.Wqkv.weight"
    assert name not in recording.trained and recording.parameters == 248
    assert np.array_equal(recording.weights[name][0], recording.weights[name][2]) and recording.weights[name].any()
    for group in ("batch_gradients", "updates", "probe_gradients"):
        assert np.isnan(getattr(recording, group)[name]).all()
    assert recording.digits.min() > 14  # the direction is one of the trained weights alone


@pytest.mark.parametrize(("dtype", "low", "high"), [("float64", 14, 17), ("float32", 5.5, 11)])
@on_both
def test_the_digits_of_agreement_are_those_of_the_dtype(backend, dtype, low, high):
    """float32 has 7.2 and float64 16 digits. The rounding is of a few eps of the sum of |g v|; by chance it is less."""
    for config in (ARTICLE, KINDS["gpt"]):
        digits = recorded(config, backend, n=2, dtype=dtype).digits
        assert low < digits.min() and digits.max() <= high


def test_a_model_that_computes_in_bfloat16_is_looked_at_in_float32():
    recording = recorded(KINDS["gpt"], torchgpt, n=2, dtype="bfloat16", prompt=None)
    assert {array.dtype for array in (recording.values | recording.weights).values()} == {np.dtype("float32")}
    assert recording.dtype == "float32" and recording.digits.min() > 5.5 and recording.prompt == "a"


def test_a_wrong_gradient_has_few_digits_and_a_slightly_wrong_one_some():
    model = npgpt.make_model(ARTICLE, seed=1, dtype="float64")
    ids, targets = PROBE[0][None], PROBE[1][None]
    model.loss_and_grad(ids, targets)
    right, direction = model.gradients(), random_direction(model.layout, 0)
    scale = sum(np.abs(gradient * direction[name]).sum() for name, gradient in right.items())
    for power in (1, 4, 8):
        wrong = {name: gradient.copy() for name, gradient in right.items()}
        wrong["head.bias"][3] += 10.0**-power * scale / direction["head.bias"][3]
        assert digits_of_agreement(model, wrong, direction, ids, targets) == pytest.approx(power, abs=0.1)
    nothing = {name: 0 * gradient for name, gradient in right.items()}
    assert digits_of_agreement(model, nothing, direction, ids, targets) == 0
    assert math.isnan(digits_of_agreement(model, right | {"head.bias": np.full(32, np.nan)}, direction, ids, targets))
    with CATALOGUE["layer_norm_mean_term_dropped"].switched_on():
        assert recorded(n=3).digits.max() < 4


def test_which_steps_are_recorded():
    assert chosen_steps(4, 0, 10) == [0, 4, 8, 10] and chosen_steps(5, 0, 10) == [0, 5, 10]
    assert chosen_steps({3, 0, 7}, 0, 10) == [0, 3, 7] and chosen_steps(np.array([2, 2]), 0, 10) == [2]
    assert chosen_steps(lambda step: step in (0, 1, 2, 4, 8, 16), 0, 10) == [0, 1, 2, 4, 8]
    assert len(chosen_steps(None, 0, 1500)) == 101 and chosen_steps(None, 3, 5) == [3, 4, 5]
    assert recorded(n=6, steps=[2, 5]).steps.tolist() == [2, 5]
    for steps, message in [
        ([0, 11, 12], "steps 11, 12 never come: the run goes from 0 updates to 10"),
        ([-1], "steps -1 never come"),
        ([], "must choose at least one of 0..10"),
        (lambda step: False, "must choose at least one"),
        (0, "at least 1 to record every so many, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            chosen_steps(steps, 0, 10)
    with pytest.raises(TypeError):
        chosen_steps([1.5], 0, 10)
    with pytest.raises(ValueError, match="steps 2 never come: the run goes from 3"):
        chosen_steps([2, 4], 3, 10)
    with pytest.raises(ValueError, match="training_steps must be above start"):
        chosen_steps(1, 10, 10)


def test_bad_input_is_named(monkeypatch):
    model = npgpt.make_model(ARTICLE)

    def recorder(probe=PROBE, **options):
        return Recorder(model, probe, **{"tokenizer": LETTERS, "training_steps": 5} | options)

    with pytest.raises(ValueError, match="13 positions, more than the model's seq_len of 12"):
        recorder(probe_of("ali ata bak. e", LETTERS))
    with pytest.raises(ValueError, match="at least 2 tokens, one to read and one to expect; got 'a'"):
        probe_of("a", LETTERS)
    for ids in (np.array([], dtype=np.int64), np.array([1.0]), np.array([3, 32]), np.array([-1, 3])):
        with pytest.raises((ValueError, TypeError), match="the probe's"):
            recorder((ids, ids))
    with pytest.raises(ValueError, match=r"one shape \(T,\), got \(8,\) and \(7,\)"):
        recorder((PROBE[0], PROBE[1][:-1]))
    with pytest.raises(ValueError, match="the prompt must hold at least one token"):
        recorder(prompt="")
    with pytest.raises(ValueError, match="'x'"):
        recorder(prompt="x")
    with pytest.raises(ValueError, match=r"the text's ids must lie in 0\.\.31"):
        recorder(text=np.array([40]))
    with pytest.raises(ValueError, match="3 tokens, the model's vocab_size is 32"):
        recorder(tokenizer=npgpt.CharTokenizer("abc"))
    monkeypatch.setattr(torchgpt.GPTModel, "sharded", True)
    with pytest.raises(ValueError, match="split over several processes"):
        Recorder(torchgpt.make_model(ARTICLE), PROBE, tokenizer=LETTERS, training_steps=5)
    unknown = SimpleNamespace(config=SimpleNamespace(kind="oracle"))
    with pytest.raises(ValueError, match="kind must be one of gpt, lstm, mamba, llama; got 'oracle'"):
        Recorder(unknown, PROBE, tokenizer=LETTERS, training_steps=5)
    long = probe_of("ali ata bak. ela eve gel.", LETTERS)
    assert len(Recorder(npgpt.make_model(KINDS["lstm"]), long, tokenizer=LETTERS, training_steps=5).ids) == 24  # no end


def test_a_recorder_takes_part_in_one_run_with_both_of_its_ends():
    def train(**options):
        model = npgpt.make_model(ARTICLE)
        recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=3, new_tokens=1)
        hooks = {name: getattr(recorder, name) for name in ("on_gradient", "on_step") if name in options["hooks"]}
        npgpt.train(model, batches(ARTICLE), steps=3, start=options.get("start", 0), **hooks)

    with pytest.raises(ValueError, match="step 1 came without its gradient"):
        train(hooks=["on_step"])
    with pytest.raises(ValueError, match="gradient of step 2 after 0 updates"):
        train(hooks=["on_gradient"])
    with pytest.raises(ValueError, match=r"gradient of step 2 after 0 updates.*\(start=0\)"):
        train(hooks=["on_gradient", "on_step"], start=1)


def test_a_recording_that_takes_too_much_memory_is_refused_at_its_first_step():
    with pytest.raises(ValueError, match=r"7 recorded steps of this model take 0 MB, and max_mb is 0\.001"):
        recorded(max_mb=1e-3)


@on_both
def test_a_training_run_takes_it_along_and_goes_on(backend, tmp_path, monkeypatch):
    """Through TrainingRun the same is recorded as through train; a run that goes on is recorded from where it starts."""
    monkeypatch.setattr("npgpt.runs.run.write_picture", lambda path, figure: None)  # it takes longer than all the rest
    config = dataclasses.replace(KINDS["gpt"], dropout=0.0)

    def run_with(steps, start=0):
        model = backend.make_model(config, seed=5)
        windows = npgpt.RandomWindows(TEXT, 12, 4, 2)
        optimizer = backend.AdamW(model.parameters(), weight_decay=0.0)
        run = TrainingRun(model, optimizer, windows, lambda: npgpt.RandomWindows(TEXT, 12, 4), tmp_path)
        if start:
            checkpoint = npgpt.read_checkpoint(run.last_path)
            model.load_state_dict(checkpoint.weights)
            run.go_on(checkpoint)
        recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=steps, steps=1, start=start, new_tokens=2)
        run.train(steps=steps, evaluate_every=2, on_gradient=recorder.on_gradient, on_step=recorder.on_record)
        return recorder.finish()

    whole = run_with(5)
    model = backend.make_model(config, seed=5)
    recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=5, steps=1, new_tokens=2)
    hooks = {"on_gradient": recorder.on_gradient, "on_step": recorder.on_step}
    backend.train(model, npgpt.RandomWindows(TEXT, 12, 4, 2), steps=5, **hooks)
    assert_same(recorder.finish(), whole)
    run_with(3)
    second = run_with(5, start=3)
    assert second.steps.tolist() == [3, 4, 5] and np.isnan(second.losses[:3]).all()
    assert second.losses[3:].tolist() == whole.losses[3:].tolist()
    assert first_parting(second, whole) is None


def assert_same(a: Recording, b: Recording) -> None:
    for field in dataclasses.fields(Recording):
        ours, theirs = getattr(a, field.name), getattr(b, field.name)
        if field.name in GROUPS:
            assert list(ours) == list(theirs)
            for name in ours:
                assert ours[name].dtype == theirs[name].dtype and np.array_equal(ours[name], theirs[name], equal_nan=True), name
        elif isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs, equal_nan=True), field.name
        else:
            assert ours == theirs, field.name


@on_both
def test_a_run_that_diverges_or_is_stopped_is_recorded_up_to_then(backend):
    diverged = recorded(backend=backend, n=30, rate=lambda step: 1e-2 if step < 8 else 1e39, dtype="float32", steps=5)
    assert diverged.steps.tolist() == [0, 5, 8] and len(diverged.losses) == 8
    assert np.isnan(diverged.updates["head.bias"][2]).all()

    model = backend.make_model(ARTICLE, seed=1)
    recorder = Recorder(model, PROBE, tokenizer=LETTERS, training_steps=20, steps=5, new_tokens=1)
    with pytest.raises(ValueError, match="nothing was recorded: the run ended after 0 steps, the first wanted is 0"):
        recorder.finish()

    def on_step(step, loss, norm):
        recorder.on_step(step, loss, norm)
        return step == 7

    backend.train(model, batches(ARTICLE), steps=20, on_gradient=recorder.on_gradient, on_step=on_step)
    stopped = recorder.finish()
    assert stopped.steps.tolist() == [0, 5, 7] and len(stopped.losses) == 7
    assert np.array_equal(stopped.weights["head.weight"][2], as_numpy(model.state_dict()["head.weight"]))


# ------------------------------------------------------------------------------------------------------------------- its file


def test_a_recording_is_read_as_it_was_written(tmp_path, article):
    other = dataclasses.replace(recorded(KINDS["mamba"], torchgpt, n=2, dtype="float32", text=None), seed=None)
    for recording in (article, other):
        recording.save(tmp_path / "run.safetensors")
        assert_same(recording, read_recording(tmp_path / "run.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


def test_bad_files_are_refused_by_their_name(tmp_path, article):
    path = tmp_path / "run.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no recording at .*run\.safetensors"):
        read_recording(path)
    article.save(path)
    content = path.read_bytes()
    for length in (0, 8, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"run\.safetensors is truncated or no safetensors file"):
            read_recording(path)
    damaged = bytearray(content)
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"run\.safetensors was changed after it was written"):
        read_recording(path)
    npgpt.save_checkpoint(npgpt.make_model(ARTICLE), path)
    with pytest.raises(ValueError, match=r"run\.safetensors is not a recording of this format"):
        read_recording(path)
    path.write_bytes(content)
    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["npgpt-recording"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    for change, message in (
        ({"version": 2}, r"run\.safetensors is of format 2, this version reads 1: it was written by a newer version"),
        ({"names": {}}, r"run\.safetensors has unusable contents: KeyError"),
        ({"config": {"vocab_size": 3}}, r"run\.safetensors has unusable contents: .*missing"),
        ({"kind": "oracle"}, r"run\.safetensors has unusable contents: .*oracle"),
    ):
        changed = document | change
        changed["sha256"] = npgpt.runs.documents.digest(changed, tensors)
        save_file(tensors, path, metadata={"npgpt-recording": json.dumps(changed)})
        with pytest.raises(ValueError, match=message):
            read_recording(path)
    with pytest.raises(OSError, match="missing"):
        article.save(tmp_path / "missing" / "run.safetensors")


# ----------------------------------------------------------------------------------------------------------- where runs part


def test_apart_is_a_share_and_knows_nan_and_infinity():
    assert apart(np.array([1.0, -4.0]), np.array([1.0, -4.2])) == pytest.approx(0.05)
    assert apart(np.array([-np.inf, np.nan, 2.0]), np.array([-np.inf, np.nan, 2.0])) == 0
    assert apart(np.array([-np.inf, 2.0]), np.array([np.inf, 2.0])) == math.inf
    assert apart(np.array([0.0, 2.0]), np.array([np.nan, 2.0])) == math.inf
    assert apart(np.array([np.nan, 2.0]), np.array([0.0, 2.0])) == math.inf
    assert apart(np.zeros(2), np.zeros(2)) == 0 and apart(np.zeros(2), np.ones(2)) == math.inf


def test_runs_part_at_the_first_tensor_in_the_order_of_computation(article):
    assert first_parting(article, recorded()) is None
    seeds = first_parting(article, recorded(seed=1))
    assert seeds[:3] == (0, "token_embedding.weight", "parameter") and seeds.difference > 0.5
    # Other batches: the weights and the probe are the same at first, the batch's gradient is not.
    others = first_parting(article, recorded(source=batches(ARTICLE, seed=7)))
    assert others[:3] == (0, "token_embedding.weight", "batch gradient")
    # Another learning rate from step 4 on: the gradient of step 3 is still the same, the update is not.
    faster = first_parting(article, recorded(rate=lambda step: 1e-2 if step < 4 else 2e-2))
    assert faster[:3] == (3, "token_embedding.weight", "update") and faster.difference == pytest.approx(1, rel=1e-6)
    # One weight changed by hand at one step.
    changed = dataclasses.replace(article, values=article.values | {"ln_f": article.values["ln_f"].copy()})
    changed.values["ln_f"][2, 0, 0] += 1e-3
    found = first_parting(article, changed)
    assert found[:3] == (2, "ln_f", "value") and first_parting(article, changed, tolerance=0.1) is None
    changed.values["ln_f"][1] = np.nan  # all of it: a run that blew up, which is no end of a run
    assert first_parting(article, changed) == (1, "ln_f", "value", math.inf)
    changed = dataclasses.replace(article, gradients={name: 2 * g for name, g in article.gradients.items()})
    assert first_parting(article, changed) == (0, "logits", "gradient", 1.0)  # backward starts at the logits
    changed = dataclasses.replace(article, probe_gradients={n: 2 * g for n, g in article.probe_gradients.items()})
    assert first_parting(article, changed) == (0, "head.bias", "gradient", 1.0)


def test_numpy_and_torch_part_by_rounding_alone(article):
    """Float64: rounding of 1e-16, which six steps and Adam's division by sqrt(v) magnify, stays far below 1e-9."""
    torch_run = recorded(backend=torchgpt)
    assert torch_run.backend == "torch" and first_parting(article, torch_run) is not None
    assert first_parting(article, torch_run, tolerance=1e-9) is None
    table = differences(article, torch_run)
    assert table.steps == list(range(7)) and table.tensors == [*article.weights, *article.values]
    assert table.largest.shape == (7, len(table.tensors)) and 0 < table.largest.max() < 1e-9
    assert not table.largest[0, : len(article.weights)].any()  # the same initial weights


def test_only_the_steps_that_both_recorded_are_compared(article):
    assert differences(article, recorded(steps=[1, 5])).steps == [1, 5]
    assert first_parting(article, recorded(steps=[2, 3], rate=lambda step: 1e-2 if step < 4 else 2e-2)).step == 3
    for other, message in [
        (dataclasses.replace(article, tokens=["A", *article.tokens[1:]]), "two vocabularies cannot be compared"),
        (dataclasses.replace(article, ids=article.ids[::-1]), "two probes cannot be compared"),
        (dataclasses.replace(article, steps=article.steps + 100), "no recorded step in common"),
    ]:
        for compare in (first_parting, differences):
            with pytest.raises(ValueError, match=message):
                compare(article, other)


def test_an_ablation_is_compared_in_what_both_have(article):
    """248 beside 275: Wqkv trained or not. They begin alike, and part by what the first update does, which is clipped with
    Wqkv's share or without."""
    untrained = recorded(GPTConfig.article())
    parting = first_parting(article, untrained)
    assert (parting.step, parting.of) in [(0, "batch gradient"), (0, "update"), (1, "parameter")]
    table = differences(article, untrained)
    assert not table.largest[0].any() and table.largest[1, table.tensors.index("blocks.0.mha.Wqkv.weight")] > 0


@pytest.mark.parametrize(
    "name", ["layer_norm_mean_term_dropped", "attention_dk_not_transposed", "layer_norm_gain_gradient_without_xhat"]
)
def test_the_first_wrong_tensor_of_a_mistake(name):
    config, bug = GPTConfig(32, 2, 2, 8, 12), CATALOGUE[name]
    model = npgpt.make_model(config, dtype="float64")
    weights = {name: w + 0.3 * np.random.default_rng(1).standard_normal(w.shape) for name, w in model.state_dict().items()}
    model.load_state_dict(weights)
    ids, targets = PROBE[0][None], PROBE[1][None]

    def looked_at():
        model.zero_grad()
        model.loss_and_grad(ids, targets)
        return model.trace(ids, targets), model.gradients()

    right = looked_at()
    with bug.switched_on():
        wrong = looked_at()
    found = first_wrong(right[0], wrong[0], right[1], wrong[1])
    assert bug.tensor == f"gradient of {found.tensor}" and found.difference > 1e-3
    assert found.of == ("parameter" if found.tensor in weights else "gradient")
    assert first_wrong(right[0], right[0], right[1], right[1]) is None


# ------------------------------------------------------------------------------------------------------------- what is off

SENTENCES = npgpt.read_tokens(Path(__file__).parents[1] / "examples/data/tr_sentences.txt", LETTERS)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_run_is_silent(seed):
    """The default run of examples/train.py, with all weights trained."""
    source = npgpt.random_batches(*npgpt.sliding_windows(SENTENCES, 12), 8, seed)
    recording = recorded(n=1500, steps=25, seed=seed, source=source, text=SENTENCES)
    assert insights(recording) == [] and np.mean(recording.losses[-100:]) < 2.7


def test_a_schedule_that_ends_with_small_updates_is_silent():
    recording = recorded(n=300, steps=10, rate=lambda step: 1e-2 if step <= 200 else 1e-7)
    updates, weights = (rms(group["ln_f.weight"])[21:-1] for group in (recording.updates, recording.weights))
    assert len(updates) == 9 and (updates < 1e-6 * weights).all()
    assert insights(recording) == []
    (unknown, *_) = insights(dataclasses.replace(recording, rate=np.full(31, np.nan)))  # without the rates it cannot be told
    assert "are small" in unknown.what and unknown.step >= 200


def model_with(**weights):
    """The article's model with some of its weights set."""
    model = npgpt.make_model(ARTICLE, dtype="float64")
    model.load_state_dict(model.state_dict() | {name.replace("__", "."): value for name, value in weights.items()})
    return model


def wrong_code():
    with CATALOGUE["layer_norm_mean_term_dropped"].switched_on():
        return recorded(n=2)


# What is off -> (a run made for it, step and tensor of the insight, a piece of what it says, of its cause and its remedy)
OFF = {
    "a scale of 0 lets no gradient through": (
        lambda: recorded(n=2, model=model_with(blocks__0__ln1__weight=np.zeros(3))),
        (0, "blocks.0.mha.Wqkv.weight"),
        ("has vanished: its root mean square is 0.0e+00", "almost 0", "back to the box"),
    ),
    "a scale of 1000 on the way back": (
        lambda: recorded(n=1, model=model_with(ln_f__weight=np.full(3, 1e3), head__weight=np.eye(32, 3))),
        (0, "token_embedding.weight"),
        ("has exploded: its length is ", "have multiplied it by", "max_norm"),
    ),
    "a learning rate of 1: updates": (
        lambda: recorded(n=250, steps=5, rate=1.0),
        (None, "ln_f.weight"),
        ("are large: 0.1", "ten updates", "lower the learning rate"),
    ),
    "a learning rate of 1e-7: updates": (
        lambda: recorded(n=140, steps=10, rate=1e-7),
        (110, "head.weight"),
        ("are small: ", "100,000 updates", "raise the learning rate"),
    ),
    "a learning rate of 1e-7: loss": (
        lambda: recorded(n=140, steps=70, rate=1e-7),
        (14, "logits"),
        ("the loss is 3.47 nats; guessing costs ln V = 3.47", "too low, or far too high", "between 0.0001 and 0.01"),
    ),
    "a learning rate that becomes too high": (
        lambda: recorded(n=300, steps=50, rate=lambda step: 1e-2 if step < 150 else 3.0),
        (None, "logits"),
        ("the loss rises: from 2.", "jump over", "let it fall"),
    ),
    "letters that no batch holds": (
        lambda: recorded(n=100, steps=50, text=np.append(TEXT, npgpt.tokenize("jüj"))),
        (100, "token_embedding.weight"),
        ("in 100 updates these rows have not moved, though the text has their tokens: 'j', 'ü'", "no batch", "all of the text"),
    ),
    "an update past all numbers": (
        lambda: recorded(n=5, steps=5, rate=1e38, dtype="float32"),
        (1, "blocks.0.q"),
        (" numbers that are nan or infinite", "float32 can hold", "the step before"),
    ),
    "a mistake in the backward": (
        wrong_code,
        (0, "logits"),
        ("agrees with the complex step to ", "not the derivative", "npgpt.check_backward"),
    ),
}


@pytest.mark.parametrize("name", OFF)
def test_what_is_off_is_said_with_its_step_cause_and_remedy(name):
    make, (step, tensor), words = OFF[name]
    recording = make()
    found = insights(recording)
    fitting = [insight for insight in found if insight.tensor == tensor and words[0] in insight.what]
    assert len(fitting) == 1, found
    (insight,) = fitting
    assert words[1] in insight.cause and words[2] in insight.remedy
    assert step in (None, insight.step) and [each.step for each in found] == sorted(each.step for each in found)
    turkish = insights(recording, translator("tr"))
    assert [each[:2] for each in turkish] == [each[:2] for each in found]
    assert not {text for each in turkish for text in each[2:]} & {text for each in found for text in each[2:]}


def test_a_letter_that_does_not_occur_may_stay_where_it_is():
    """TEXT has no j; nothing is known about a text that was not given; and ten steps are too few to wonder."""
    assert insights(recorded(n=100, steps=50)) == [] and insights(recorded(n=100, steps=50, text=None)) == []
    assert insights(recorded(n=10, text=np.append(TEXT, npgpt.tokenize("j")))) == []


def test_the_border_of_a_wrong_gradient_is_half_of_the_digits(article):
    for digits, said in ((7.7, True), (7.9, False), (math.nan, False)):
        changed = dataclasses.replace(article, digits=np.array([16, 16, digits, 16, 16, 16, 16]))
        assert [insight.step for insight in insights(changed)] == [2] * said
    changed = dataclasses.replace(article, digits=np.full(7, 3.6), dtype="float32")
    assert insights(changed) == []


# ---------------------------------------------------------------------------------------------------------------- the words


def test_every_word_of_the_inspector_has_a_turkish_one():
    """All that Python says by a literal; and the places to be filled in are the same."""
    said = set()
    for path in sorted(Path(page.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say" and isinstance(node.args[0], ast.Constant):
                said.add(node.args[0].value)
    assert len(said) > 20 and said <= set(TURKISH)
    for english, turkish in TURKISH.items():
        assert sorted(re.findall(r"\{[^}]*\}", english)) == sorted(re.findall(r"\{[^}]*\}", turkish)), english


# ----------------------------------------------------------------------------------------------------------------- the page


@pytest.fixture
def frame(tmp_path, monkeypatch) -> Path:
    """A page with next to nothing in it: what is tested is what Python puts into it."""
    folder = tmp_path / "page"
    (folder / "views").mkdir(parents=True)
    (folder / "page.html").write_text((page.FOLDER / "page.html").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "style.css").write_text("p { color: red }", encoding="utf-8")
    for name in ("numbers", "arithmetic", "state", "drawing", "views/second", "views/first", "main"):
        (folder / f"{name}.js").write_text(f"/* {name}: <!-- data --> */", encoding="utf-8")
    monkeypatch.setattr(page, "FOLDER", folder)
    return folder


def decoded(data: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data["data"]), "<f4").reshape(data["shape"])


def single(array) -> np.ndarray:
    return np.asarray(array, dtype=np.float32)


def parts_of(part: dict, label: str) -> dict[str, np.ndarray]:
    """Name -> (places, ...) of one array of a large part of the page."""
    numbers, found, start = decoded(part[label]), {}, 0
    for tensor in part["tensors"]:
        stop = start + math.prod(tensor["shape"])
        found[tensor["name"]] = numbers[:, start:stop].reshape(-1, *tensor["shape"])
        start = stop
    assert start == numbers.shape[1]
    return found


def test_the_numbers_in_the_page_are_those_of_the_recorder(frame, tmp_path, article):
    other = recorded(seed=1)
    page.write_page(tmp_path / "page.html", page.page_data(article, other, max_mb=5))
    data = data_in((tmp_path / "page.html").read_text(encoding="utf-8"))
    for run, recording in ((data["run"], article), (data["other"], other)):
        for part, groups in ((run["trace"], page.TRACE), (run["weights"], page.WEIGHTS)):
            assert part["places"] == list(range(7))
            for label, group in groups.items():
                arrays = parts_of(part, label)
                assert list(arrays) == list(getattr(recording, group))
                for name, array in getattr(recording, group).items():
                    assert np.array_equal(arrays[name], single(array), equal_nan=True), (label, name)
        for name in ("losses", "probe_loss", "digits", "norm", "rate"):
            assert np.array_equal(decoded(run[name]), single(getattr(recording, name)), equal_nan=True), name
        for label, group in (("weights", "weights"), ("gradients", "batch_gradients"), ("updates", "updates")):
            table, letters = decoded(run["rms"][label]), decoded(run["letters"]["points" if label == "weights" else label])
            arrays = getattr(recording, group)
            assert run["rms"]["names"] == list(arrays)
            for k, array in enumerate(arrays.values()):
                expected = [math.sqrt(np.mean(np.square(step))) for step in array]
                assert np.allclose(table[:, k], expected, rtol=1e-6, equal_nan=True)
            assert np.array_equal(letters, single(arrays["token_embedding.weight"]), equal_nan=True)
        assert run["steps"] == recording.steps.tolist() and run["writes"] == recording.writes and run["left_out"] == []
        assert run["text"] == {"ids": PROBE[0].tolist(), "targets": PROBE[1].tolist()}
        assert run["tokens"] == list(npgpt.letters) and run["config"] == ARTICLE.to_dict() and run["parameters"] == 275
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in run["colours"]) and len(run["colours"]) == 32
        assert run["letters"]["axes"] == ["feature 0", "feature 1", "feature 2"] and run["letters"]["share"] == 1
    assert [run["name"] for run in (data["run"], data["other"])] == ["GPT, numpy, seed 0", "GPT, numpy, seed 1"]
    assert data["comparison"]["first"].keys() == {"step", "tensor", "of", "difference"}
    table = differences(article, other)
    assert np.array_equal(decoded(data["comparison"]["largest"]), single(table.largest))
    assert data["comparison"]["tensors"] == table.tensors


def data_in(text: str) -> dict:
    """The data of a page, as a browser finds it."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_the_page_is_one_file_in_order_and_no_text_can_break_out(frame, tmp_path, article):
    name = "</script><script>alert(1)</script><!-- script --> & \u2028 'ü'"
    nasty = dataclasses.replace(article, name=name, writes=[name] * 7, tokens=[name, *article.tokens[1:]])
    formulas = {"scores": {"value": {"paths": [{"expr": ["neg", ["num", math.inf]], "name": name}]}}}
    sources = {"embed": {"value": {"file": "x.py", "line": 3, "text": name}}}
    mistake = {"name": "a mistake", "right": np.array([[1.5, np.nan]]), "steps": [0, 1], "caught_by": ["parity"]}
    data = page.page_data(nasty, mistakes=[mistake], formulas=formulas, sources=sources, functions={"key": {"lines": [name]}})
    page.write_page(tmp_path / "page.html", data)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = data_in(text)
    assert found["run"]["name"] == found["run"]["writes"][3] == found["run"]["tokens"][0] == name
    assert found["formulas"] == formulas and found["sources"] == sources and found["functions"]["key"]["lines"] == [name]
    assert '["num",1e999]' in text and "Infinity" not in text  # what JSON.parse takes
    assert np.array_equal(decoded(found["mistakes"][0]["right"]), mistake["right"], equal_nan=True)
    assert found["mistakes"][0]["caught_by"] == ["parity"]
    assert text.count("<script") == 2 and text.count("</script>") == 2 and "p { color: red }" in text
    comments = re.findall(r"/\* (\S+): <!-- data --> \*/", text)  # a placeholder in a script is left alone
    assert comments == ["numbers", "arithmetic", "state", "drawing", "views/first", "views/second", "main"]
    assert '<html lang="en">' in text and not re.search(r"<!-- (?!data )", text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        page.json_text({"run": {"share": math.nan}})


def test_the_page_speaks_both_languages(frame, article):
    english, turkish = (page.page_data(article, lang=lang, max_mb=0.1) for lang in ("en", "tr"))
    assert english["labels"] == {} and turkish["labels"] == TURKISH and turkish["lang"] == "tr"
    assert turkish["run"]["floors"][0]["name"] == "hiçbir şey bilmeyen: ln V"
    losses = [math.log(32), *(article.floors[n] for n in (1, 2, 3))]
    assert [floor["loss"] for floor in english["run"]["floors"]] == losses and losses == sorted(losses, reverse=True)
    assert turkish["run"]["letters"]["axes"][0] == "özellik 0"
    assert turkish["run"]["left_out"] and english["run"]["left_out"]  # not as much: the labels take room too
    assert not set(turkish["run"]["left_out"]) & set(english["run"]["left_out"])
    with pytest.raises(ValueError, match="lang must be one of en, tr"):
        page.page_data(article, lang="de")
    assert len(page.page_data(dataclasses.replace(article, floors={}))["run"]["floors"]) == 1


@pytest.fixture(scope="module")
def larger() -> Recording:
    """A model too large for small pages."""
    return recorded(GPTConfig(32, 2, 2, 16, 12), n=12, dtype="float32")


def test_a_page_has_at_most_the_megabytes_that_it_may_have(frame, tmp_path, larger):
    """Over sizes at which nothing, the weights, the trace and whole tensors are thinned: in this order."""
    S, seen = 13, []
    for max_mb in (9, 5, 3.3, 2.6, 2.0, 1.2, 0.9, 0.7, 0.4, 0.25, 0.12):
        data = page.page_data(larger, max_mb=max_mb)
        page.write_page(tmp_path / "page.html", data)
        size = (tmp_path / "page.html").stat().st_size
        assert size <= max_mb * 1e6
        run = data["run"]
        weights, trace = len(run["weights"]["places"]), len(run["trace"]["places"])
        kept = {tensor["name"] for part in (run["weights"], run["trace"]) for tensor in part["tensors"]}
        dropped = {*larger.weights, *larger.values} - kept
        seen.append((weights, trace, -len(dropped)))
        assert trace == S or weights == 2
        assert not dropped or weights + trace < 26
        for part in (run["weights"], run["trace"]):
            assert part["places"][0] == 0 and part["places"][-1] == S - 1 and part["places"] == sorted(set(part["places"]))
        assert len(run["left_out"]) == (weights < S) + (trace < S) + bool(dropped)
        text = " ".join(run["left_out"])
        assert all(f"{name} (" in text for name in dropped) and (not text or f"{max_mb:g} MB" in text)
        assert (weights == S or f"at {weights} of 13" in text) and (trace == S or f"at {trace} of 13" in text)
        if dropped:  # the largest are
            sizes = page.costs(larger)
            assert min(sizes[name] for name in dropped) >= max(sizes[name] for name in kept)
        for name, numbers in parts_of(run["weights"], "updates").items():
            assert np.array_equal(numbers, single(larger.updates[name][run["weights"]["places"]]), equal_nan=True)
        assert decoded(run["rms"]["weights"]).shape == (S, len(larger.weights))
        assert decoded(run["letters"]["points"]).shape == (S, 32, 3) and len(run["writes"]) == S
    assert seen == sorted(seen, reverse=True) and seen[0] == (S, S, 0) and seen[-1][2] < 0
    assert {(w < S, t < S, d < 0) for w, t, d in seen} >= {(True, False, False), (True, True, False), (True, True, True)}
    with pytest.raises(ValueError, match=r"max_mb is 0\.03, but the page needs [\d.]+ MB even without") as error:
        page.page_data(larger, max_mb=0.03)
    needed = float(re.search(r"needs ([\d.]+) MB", str(error.value))[1])
    page.write_page(tmp_path / "page.html", page.page_data(larger, max_mb=needed))
    assert needed * 1e6 - 1e4 < (tmp_path / "page.html").stat().st_size <= needed * 1e6
    with pytest.raises(ValueError, match="max_mb is"):
        page.page_data(larger, max_mb=needed - 0.01)


def test_two_runs_share_the_megabytes(frame, tmp_path, larger):
    other = recorded(GPTConfig(32, 2, 2, 16, 12), n=12, dtype="float32", seed=1, steps=3)
    for max_mb in (6, 3, 1):
        data = page.page_data(larger, other, max_mb=max_mb)
        page.write_page(tmp_path / "page.html", data)
        assert (tmp_path / "page.html").stat().st_size <= max_mb * 1e6
        assert data["other"]["trace"]["places"][-1] == len(other.steps) - 1


def test_places_are_even_and_hold_both_ends():
    assert page.evenly(101, 3) == [0, 50, 100] and page.evenly(4, 9) == [0, 1, 2, 3] and page.evenly(1, 2) == [0]
    for size in range(2, 40):
        for count in range(2, size + 1):
            places = page.evenly(size, count)
            gaps = np.diff(places)
            assert len(places) == count and (places[0], places[-1]) == (0, size - 1) and 0 <= gaps.max() - gaps.min() <= 1


def test_above_three_features_all_steps_share_one_basis(frame, larger):
    """A projection is linear: the way from one recorded step to the next is the update that was made in between."""
    letters = page.page_data(larger, max_mb=9)["run"]["letters"]
    points, gradients, updates = (decoded(letters[name]) for name in ("points", "gradients", "updates"))
    assert letters["axes"] == ["component 1", "component 2", "component 3"] and 0 < letters["share"] < 1
    bound = 8 * np.finfo(np.float32).eps * np.abs(points).max()
    assert np.abs(np.diff(points, axis=0) - updates[:-1]).max() < bound and np.isnan(updates[-1]).all()
    table = larger.weights["token_embedding.weight"].astype(np.float64)
    variance = ((table - table.mean(axis=(0, 1))) ** 2).sum()
    assert (points.astype(np.float64) ** 2).sum() / variance == pytest.approx(letters["share"], rel=1e-5)
    # The gradient is projected by the same directions: found here from points and table by least squares.
    rows = (table - table.mean(axis=(0, 1))).reshape(-1, 16)
    directions = np.linalg.lstsq(rows, points.reshape(-1, 3).astype(np.float64), rcond=None)[0]  # (C, 3)
    expected = larger.batch_gradients["token_embedding.weight"][:-1].astype(np.float64) @ directions
    assert np.abs(expected - gradients[:-1]).max() < 1e-4 * np.abs(expected).max()


def test_fewer_than_three_features_are_padded(frame):
    letters = page.page_data(recorded(LSTMConfig(32, 1, 2, 3, 12), n=1))["run"]["letters"]
    points = decoded(letters["points"])
    assert points.shape == (2, 32, 3) and not points[..., 2].any() and points[..., 1].any()
    assert letters["axes"] == ["feature 0", "feature 1", ""] and letters["share"] == 1


def test_of_many_tokens_those_of_the_text_and_the_most_frequent_are_drawn(frame):
    words = npgpt.WordTokenizer(["<unk>", *(f"w{i}" for i in range(400))])
    model, rng = npgpt.make_model(LSTMConfig(401, 1, 2, 2, 6)), np.random.default_rng(0)
    text = np.repeat(np.arange(401), np.arange(401) % 50 + 1)  # the ids 0, 50, ... come once, 49, 99, ... fifty times
    probe = np.array([0, 50, 100]), np.array([50, 100, 150])
    for counted in (text, None):
        recorder = Recorder(model, probe, tokenizer=words, training_steps=1, prompt="w1", new_tokens=1, text=counted)
        source = npgpt.random_batches(*npgpt.sliding_windows(rng.permutation(text), 6), 4)
        npgpt.train(model, source, steps=1, on_gradient=recorder.on_gradient, on_step=recorder.on_step)
        recording = recorder.finish()
        run = page.page_data(recording)["run"]
        shown = run["letters"]["shown"]
        assert len(shown) == 300 and shown == sorted(shown) and {0, 50, 100, 150} <= set(shown)
        assert decoded(run["letters"]["points"]).shape == (2, 300, 3) and len(run["tokens"]) == 401
        table = recording.weights["token_embedding.weight"][:, shown]
        assert np.array_equal(decoded(run["letters"]["points"])[..., :2], table)
        assert run["left_out"][0].startswith("300 of 401 tokens are drawn in space")
        if counted is not None:
            counts = np.bincount(text)
            assert counts[[i for i in shown if i not in (0, 50, 100, 150)]].min() >= np.delete(counts, shown).max()


@on_both
@of_every_kind
def test_a_page_of_every_kind_of_model(frame, tmp_path, backend, config):
    data = page.page_data(recorded(config, backend, n=2, dtype="float32"), lang="tr")
    page.write_page(tmp_path / "page.html", data)
    found = data_in((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert found["run"]["kind"] == config.kind and found["run"]["backend"] == backend.__name__.replace("npgpt", "numpy")[:5]


def test_a_run_that_blew_up_has_a_page_too(frame, tmp_path):
    for config in (ARTICLE, GPTConfig(32, 1, 2, 8, 12)):
        recording = recorded(config, n=5, rate=1e38, dtype="float32")
        data = page.page_data(recording)
        page.write_page(tmp_path / "page.html", data)
        assert data["run"]["insights"][0]["step"] == 1 and data["run"]["writes"][-1] == ""
        page.page_data(recording, recorded(config, n=5, dtype="float32"))


def test_a_folder_that_is_not_there_is_named(frame, tmp_path, article):
    with pytest.raises(OSError, match="missing"):
        page.write_page(tmp_path / "missing" / "page.html", page.page_data(article))
