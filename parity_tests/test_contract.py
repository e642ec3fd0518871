"""What every kind of model can do, whatever it computes; and that nothing else need know of a new kind: a bigram table, which
only this file knows, does all of it on both backends.

A new kind joins these tests by its line in `strategies.EXAMPLES`.
"""

import copy
import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import npgpt
import torchgpt
import torchgpt.layers
from npgpt import layers
from npgpt.machine import sharing
from npgpt.models import layout_of
from npgpt.models.base import LanguageModel
from npgpt.models.config import Config
from npgpt.models.layout import embedding
from npgpt.ops.note import ignore
from npgpt.pictures.statistics import loss_without_head

from . import report
from .checks import finite_differences, model_complex_step, model_parity, optimiser_parity, properties
from .explain.place import RULES
from .locate import backward_order, first_divergence
from .record import record
from .strategies import EXAMPLES, random_weights, trained_names, weight_shapes
from .tolerances import as_numpy, assert_model_parity, eps, model_errors

BACKENDS = [npgpt, torchgpt]

# ------------------------------------------------------------------------------------------------------------ a kind of its own


@dataclass(frozen=True)
class BigramConfig(Config):
    """The letter before is all that this model looks at."""

    kind: ClassVar[str] = "bigram"

    vocab_size: int
    seq_len: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self.check_integers("vocab_size", "seq_len")
        self.check_dropout()


def bigram_layout(config):
    return embedding("token_embedding", config.vocab_size, config.vocab_size)


class BigramModel(LanguageModel):
    """logits = table[ids]: row a holds the logits of whatever follows a."""

    config_class, layout_of = BigramConfig, staticmethod(bigram_layout)

    def connect(self, tensors):
        self.token_embedding = layers.Embedding(tensors, "token_embedding")

    def forward(self, ids, note=ignore, masks=None):
        embed, table_cache = self.token_embedding.forward(ids)  # (B, T, V)
        note("embed", embed)
        logits, dropout_cache = layers.dropped(embed, masks)
        note("logits", logits)
        return logits, (table_cache, dropout_cache)

    def backward(self, dlogits, cache, note=ignore):
        table_cache, dropout_cache = cache
        note("logits", dlogits)
        dembed = layers.undropped(dlogits, dropout_cache)
        note("embed", dembed)
        self.token_embedding.backward(dembed, table_cache)

    def remember(self, batch_size):
        return None  # whatever came before the last token does not matter

    def next_logits(self, ids, past):
        return self.token_embedding(self.checked(ids)[:, -1])


class TorchBigramModel(torchgpt.models.base.LanguageModel):
    """Its twin."""

    config_class, layout_of = BigramConfig, staticmethod(bigram_layout)

    def connect(self, tensors):
        self.token_embedding = torchgpt.layers.Embedding(tensors, "token_embedding")

    def logits(self, ids, note=ignore, masks=None, past=None):
        embed = self.token_embedding(ids)  # (B, T, V)
        note("embed", embed)
        logits = torchgpt.layers.dropped(embed, masks)
        note("logits", logits)
        return logits

    def remember(self, batch_size):
        return None

    def next_logits(self, ids, past):
        return self.last_logits(self.checked(ids)[:, -1:], past)


BIGRAM = BigramConfig(11, 6)
CONFIGS = [*EXAMPLES.values(), BIGRAM]
TEXT = np.random.default_rng(0).integers(11, size=300)


@pytest.fixture(autouse=True)
def a_bigram_among_the_kinds(monkeypatch):
    monkeypatch.setitem(npgpt.models.KINDS, "bigram", BigramModel)
    monkeypatch.setitem(torchgpt.models.KINDS, "bigram", TorchBigramModel)


def of_every_kind(test):
    return pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)(test)


def with_weights(config, seed=0, dtype="float64", std=0.3):
    """Both sides with the same weights, in the order of BACKENDS."""
    ours = npgpt.make_model(config, seed=seed, dtype=dtype)
    ours.load_state_dict(random_weights(np.random.default_rng(seed), config, std))
    return ours, torchgpt.from_numpy(ours)


def batch(config, seed=0, B=3, T=5):
    ids, targets = np.random.default_rng(seed).integers(min(5, config.vocab_size), size=(2, B, T))
    return ids, targets


def states_are_equal(a, b) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(np.array_equal(as_numpy(a[name]), as_numpy(b[name])) for name in a)


def test_every_kind_has_a_twin_and_an_example():
    assert set(npgpt.models.KINDS) == set(torchgpt.models.KINDS) == {config.kind for config in CONFIGS}
    for config in CONFIGS:
        for backend in BACKENDS:
            model = backend.make_model(config)
            assert type(model) is backend.models.KINDS[config.kind] and model.config is config
            assert type(config) is type(model).config_class and model.backend == backend.__name__
        assert type(config).from_dict(config.to_dict()) == config


# ------------------------------------------------------------------------------------------------------------------- weights


@of_every_kind
def test_both_sides_start_from_the_same_weights_under_the_same_names(config):
    ours, theirs = (backend.make_model(config, seed=3, dtype="float64") for backend in BACKENDS)
    assert states_are_equal(ours, theirs) and not states_are_equal(ours, npgpt.make_model(config, seed=4, dtype="float64"))
    for model in (ours, theirs):
        assert {name: tuple(w.shape) for name, w in model.state_dict().items()} == weight_shapes(config)
        assert [name for name, _ in model.named_parameters()] == list(model.gradients()) == trained_names(config)
        assert model.num_parameters() == sum(layout_of(config)[name].size for name in trained_names(config))


@of_every_kind
def test_weights_and_dtype_survive_the_way_to_torch_and_back(config):
    for dtype in ("float32", "float64"):
        ours, theirs = with_weights(config, dtype=dtype)
        back = torchgpt.to_numpy(theirs)
        assert back.dtype == theirs.dtype == dtype and back.config == config and states_are_equal(ours, back)


@of_every_kind
@pytest.mark.parametrize("side", [0, 1], ids=["npgpt", "torchgpt"])
def test_a_deep_copy_is_a_model_of_its_own(config, side):
    model, ids_and_targets = with_weights(config)[side], batch(config)
    loss = model.loss_and_grad(*ids_and_targets)
    twin = copy.deepcopy(model)
    assert twin.loss(*ids_and_targets) == loss and not any(g.any() for g in twin.gradients().values())
    twin.loss_and_grad(*ids_and_targets)
    BACKENDS[side].AdamW(twin.parameters(), lr=0.1).step()
    assert twin.loss(*ids_and_targets) < loss == model.loss(*ids_and_targets)


@of_every_kind
def test_the_groups_of_weight_decay_are_the_layouts(config):
    for model in with_weights(config):
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        decaying, others = ([names[id(p)] for p in group["params"]] for group in npgpt.parameter_groups(model, 0.1))
        assert decaying == [name for name in trained_names(config) if layout_of(config)[name].decays] != []
        assert sorted(decaying + others) == sorted(trained_names(config))


# ---------------------------------------------------------------------------------------------- forward, backward, gradients


@of_every_kind
def test_values_and_gradients_equal_torchs(config):
    for seed in range(5):
        assert not model_parity(False, seed, config) and not model_parity(True, seed, config)


@of_every_kind
@pytest.mark.parametrize("check", [model_complex_step, finite_differences, properties, optimiser_parity])
def test_the_other_checks_raise_no_alarm(config, check):
    assert not any(check(seed, config) for seed in range(3))


@of_every_kind
def test_a_trace_shows_every_intermediate_and_its_gradient_on_both_sides(config):
    ids, targets = batch(config)
    shapes = []
    for model in with_weights(config):
        model.loss_and_grad(ids, targets)
        before, trace = model.gradients(), model.trace(ids, targets)
        assert all(np.array_equal(before[name], gradient) for name, gradient in model.gradients().items())
        assert next(iter(trace)) == "embed" and list(trace)[-1] == "logits"
        assert np.allclose(as_numpy(trace["logits"][0]), as_numpy(model(ids)), rtol=1e-12, atol=1e-14)
        assert all(value.shape == gradient.shape for value, gradient in trace.values())
        assert all(gradient is None for _, gradient in model.trace(ids).values())
        shapes.append([(name, tuple(value.shape)) for name, (value, _) in trace.items()])
    assert shapes[0] == shapes[1]


@of_every_kind
def test_a_batch_split_between_threads_has_the_gradient_of_the_whole(config, monkeypatch):
    monkeypatch.setattr(sharing, "WORK_OF_A_TASK", 1)
    monkeypatch.setattr(sharing, "POSITIONS_OF_A_SHARE", 1)
    monkeypatch.setattr(sharing, "NUMBERS_OF_A_STEP", 1)
    ids, targets = batch(config, B=7)
    threads = npgpt.get_num_threads()
    try:
        results = []
        for count in (1, 3):
            npgpt.set_num_threads(count)
            model, _ = with_weights(config)
            results.append((model.loss_and_grad(ids, targets), model.gradients()))
            assert len(model.replicas.made) == count - 1
    finally:
        npgpt.set_num_threads(threads)
    (loss, gradients), (shared_loss, shared) = results
    assert abs(shared_loss - loss) <= 8 * eps("float64") * loss
    assert max(model_errors(shared, gradients).values()) <= 32 * eps("float64")


# ---------------------------------------------------------------------------------------------------------- training, dropout


@of_every_kind
def test_training_gives_the_same_falling_losses_on_both_sides(config):
    runs = []
    for backend in BACKENDS:
        model = backend.make_model(config, seed=2, dtype="float64")
        windows = npgpt.RandomWindows(TEXT % 5, 5, 4, seed=1)
        runs.append(backend.train(model, windows, steps=30, learning_rate=0.02, weight_decay=0.1, accumulate=2))
    assert np.abs(np.subtract(*runs)).max() < 1e-10
    assert np.mean(runs[0][-5:]) < runs[0][0] - 0.1


def droppable():
    return [dataclasses.replace(c, dropout=0.2) for c in CONFIGS if "dropout" in {f.name for f in dataclasses.fields(c)}]


@pytest.mark.parametrize("config", droppable(), ids=lambda config: config.kind)
def test_a_copy_on_the_other_side_goes_on_with_the_same_dropout_masks(config):
    """From the first step on, and from the middle of a run; to torch and back."""
    ids, targets = batch(config, B=4)
    ours = npgpt.make_model(config, seed=7, dtype="float64")
    for steps in (0, 3):
        for _ in range(steps):
            ours.loss_and_grad(ids, targets)
        theirs = torchgpt.from_numpy(ours)
        back = torchgpt.to_numpy(theirs)
        losses = [[model.loss_and_grad(ids, targets) for _ in range(3)] for model in (ours, theirs, back)]
        assert losses[0] == losses[2] and np.abs(np.subtract(losses[0], losses[1])).max() < 1e-12
        assert len(set(losses[0])) == 3  # other masks at each step
    theirs = torchgpt.from_numpy(ours)
    theirs.loss_and_grad(ids, targets)  # the copy's generator is its own
    assert theirs.dropout_rng.bit_generator.state != ours.dropout_rng.bit_generator.state
    back = torchgpt.to_numpy(theirs)
    assert back.loss_and_grad(ids, targets) == pytest.approx(theirs.loss_and_grad(ids, targets), rel=1e-12)


# ------------------------------------------------------------------------------------------------------------------ checkpoints


@of_every_kind
@pytest.mark.parametrize("writer", BACKENDS)
def test_a_checkpoint_says_the_kind_and_either_side_reads_it(config, writer, tmp_path):
    path = tmp_path / "model.safetensors"
    model = writer.make_model(config, seed=5)
    writer.save_checkpoint(model, path)
    assert npgpt.read_checkpoint(path).config == config
    for reader in BACKENDS:
        copied = reader.load_checkpoint(path, config=config)
        assert type(copied) is reader.models.KINDS[config.kind] and states_are_equal(model, copied)
        for other in CONFIGS:
            if other.kind != config.kind:
                with pytest.raises(ValueError, match=f"of another config: kind is '{config.kind}', not '{other.kind}'"):
                    reader.load_checkpoint(path, config=other)


def test_a_checkpoint_of_a_kind_that_is_not_known_is_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    npgpt.save_checkpoint(npgpt.make_model(BIGRAM), path)
    monkeypatch.delitem(npgpt.models.KINDS, "bigram")
    for backend in BACKENDS:
        with pytest.raises(ValueError, match=r"the model's kind must be one of gpt.*; got 'bigram'"):
            backend.load_checkpoint(path)


@of_every_kind
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(config, backend, tmp_path):
    def parts(seed):
        model = backend.make_model(config, seed=seed)
        return model, backend.AdamW(npgpt.parameter_groups(model, 0.1)), npgpt.RandomWindows(TEXT, 5, 4, seed=seed)

    model, optimizer, windows = parts(1)
    whole = backend.train(model, windows, steps=12, learning_rate=0.01, optimizer=optimizer)

    path = tmp_path / "run.safetensors"
    model, optimizer, windows = parts(1)
    losses = backend.train(model, windows, steps=7, learning_rate=0.01, optimizer=optimizer)
    backend.save_checkpoint(model, path, optimizer=optimizer, run={"windows": windows.state()})
    checkpoint = backend.read_checkpoint(path, config)
    model, optimizer, windows = parts(99)
    model.load_state_dict(checkpoint.weights)
    optimizer.set_moments(model.named_parameters(), checkpoint.moments, checkpoint.step)
    windows.set_state(checkpoint.run["windows"])
    losses += backend.train(model, windows, steps=12, learning_rate=0.01, optimizer=optimizer, start=checkpoint.step)
    assert losses == whole


# ------------------------------------------------------------------------------------------------------------------- generation


@of_every_kind
def test_both_sides_generate_the_same_tokens_beyond_seq_len(config):
    ours, theirs = with_weights(config, std=1.0)
    for length in (1, config.seq_len, config.seq_len + 3):
        prompt = np.random.default_rng(length).integers(config.vocab_size, size=(2, length))
        for options in ({}, {"temperature": 1.0, "seed": 4}):
            tokens = npgpt.generate(ours, prompt, config.seq_len + 2, **options)
            assert np.array_equal(tokens, as_numpy(torchgpt.generate(theirs, prompt, config.seq_len + 2, **options)))
            assert np.array_equal(tokens[:, :length], prompt) and tokens.shape == (2, length + config.seq_len + 2)


@of_every_kind
def test_what_is_remembered_takes_any_number_of_tokens_at_any_time(config):
    """Three after two have been seen, then one: the logits of a full forward, each time."""
    ours, theirs = with_weights(config, std=0.5)
    single = torchgpt.make_model(config)
    single.load_state_dict(ours.state_dict())
    ids = np.random.default_rng(1).integers(config.vocab_size, size=(4, 6))
    for model in (ours, theirs):
        past = model.remember(4)
        for start, end in ((0, 2), (2, 5), (5, 6)):
            logits = model.next_logits(ids[:, start:end], past)
            full, full32 = (as_numpy(twin(ids[:, :end]))[:, -1] for twin in (theirs, single))
            assert_model_parity({"logits": as_numpy(logits)}, {"logits": full32}, {"logits": full}, "float64")


@of_every_kind
def test_next_logits_have_the_models_dtype(config):
    """And float32 where bfloat16 computes."""
    models = [backend.make_model(config, dtype=dtype) for backend in BACKENDS for dtype in ("float32", "float64")]
    for model in [*models, torchgpt.make_model(config, dtype="bfloat16")]:
        past = model.remember(2)
        for ids in ([[1], [2]], [[1, 2, 3], [2, 3, 4]]):
            logits = as_numpy(model.next_logits(np.array(ids), past))
            assert logits.shape == (2, config.vocab_size) and logits.dtype == model.dtype


@of_every_kind
@pytest.mark.parametrize("side", [0, 1], ids=["npgpt", "torchgpt"])
def test_ids_that_do_not_fit_are_refused_by_name_and_leave_no_trace(config, side):
    model = with_weights(config)[side]
    last = config.vocab_size - 1
    past = model.remember(1)
    model.next_logits(np.array([[1, 2]]), past)
    for ids, error, message in [
        ([[0, last + 1]], ValueError, rf"^ids must lie in 0\.\.{last} .*got {last + 1}$"),
        ([[0, -1]], ValueError, "^ids must lie in .* got -1$"),
        ([[0.0, 1.0]], TypeError, "^ids must be integers"),
        ([1, 2, 3], ValueError, r"^ids must have the shape \(B, T\), got \(3,\)$"),
        (np.zeros((1, 0), int), ValueError, "^ids must hold at least one id"),
    ]:
        calls = [lambda ids=ids: model(ids), lambda ids=ids: model.loss_and_grad(ids, ids)]
        for call in [*calls, lambda ids=ids: model.next_logits(ids, past)]:
            with pytest.raises(error, match=message):
                call()
    assert not any(gradient.any() for gradient in model.gradients().values())
    logits, expected = as_numpy(model.next_logits(np.array([[3]]), past)), as_numpy(model([[1, 2, 3]]))[:, -1]
    assert np.abs(logits - expected).max() <= 1e3 * eps("float64") * np.abs(expected).max()  # the past has seen none of them


# -------------------------------------------------------------------------------------------------------- report and locator


@of_every_kind
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_report_passes_and_has_a_row_for_every_tensor(config, dtype):
    made = report.make_report(config, dtype=dtype)
    assert made.ok, [row for row in made.rows if not row.ok] or made.divergence
    traced = list(npgpt.make_model(config).trace([[1, 2]], [[2, 3]]))
    assert [row.name for row in made.rows] == list(weight_shapes(config)) + traced


@of_every_kind
def test_the_backwards_order_holds_every_gradient_once(config):
    order, traced = backward_order(config), list(npgpt.make_model(config).trace([[1, 2]]))
    assert sorted(order) == sorted(traced + trained_names(config)) and order[0] == "logits"


def test_the_chain_of_a_bigram_is_short():
    assert backward_order(BIGRAM) == ["logits", "embed", "token_embedding.weight"]


def test_the_report_has_the_options_of_the_presets_kind(monkeypatch, capsys):
    monkeypatch.setitem(report.PRESETS, "bigram", BIGRAM)
    assert report.main(["--preset", "bigram", "--vocab-size", "7", "--json", "-"]) == 0
    assert '"kind": "bigram"' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        report.main(["--preset", "bigram", "--n-head", "2"])
    assert "unrecognized arguments: --n-head 2" in capsys.readouterr().err


def found_in_a_bigram():
    """What the locator says of the bigram's step as it is now."""
    ids, targets = batch(BIGRAM)
    models = [*with_weights(BIGRAM), with_weights(BIGRAM, dtype="float32")[1]]
    return first_divergence(*(record(model, ids, targets, max_norm=0.3) for model in models), BIGRAM)


def test_a_wrong_backward_is_located_and_explained(monkeypatch):
    assert found_in_a_bigram() is None
    right = BigramModel.backward

    def only_the_last(self, dlogits, cache, note=ignore):
        note("logits", dlogits)
        note("embed", dlogits)
        (ids, _), _ = cache
        self.token_embedding.dweight[ids] += dlogits

    def summed_over_the_batch(self, dlogits, cache, note=ignore):
        right(self, len(dlogits) * dlogits, cache, note)

    def never_added(self, dlogits, cache, note=ignore):
        note("logits", dlogits)
        note("embed", dlogits)

    for wrong, name, text in [
        (only_the_last, "token_embedding.weight", "of a repeated id's gradients only the last is kept"),
        (summed_over_the_batch, "logits", "everything is multiplied by 3, which is B"),
        (never_added, "token_embedding.weight", "everything is 0: the gradient never arrives here, or is never added"),
    ]:
        monkeypatch.setattr(BigramModel, "backward", wrong)
        found = found_in_a_bigram()
        assert found.name == f"gradient of {name}" and found.mistake.text == text
        assert not report.make_report(BIGRAM).ok


def test_a_kind_may_add_hypotheses_of_its_own(monkeypatch):
    right = BigramModel.forward

    def shifted(self, ids, *rest, **options):
        return right(self, np.roll(ids, 1, axis=1), *rest, **options)

    monkeypatch.setattr(BigramModel, "forward", shifted)
    assert found_in_a_bigram().mistake.kind == "shift"  # what needs no hypothesis

    def the_letter_before(at):
        return {}, {
            "it reads the letter before": ("shift", at.weight("token_embedding.weight")[np.roll(at.right.ids, 1, axis=1)])
        }

    monkeypatch.setitem(RULES, ("bigram", "embed"), [the_letter_before])
    found = found_in_a_bigram()
    assert found.name == "embed" and found.mistake.text == "it reads the letter before"


def test_only_a_gpt_has_heads_to_switch_off():
    with pytest.raises(ValueError, match="only a model of kind 'gpt' has heads to switch off, got one of kind 'bigram'"):
        loss_without_head(npgpt.make_model(BIGRAM), 0, 0, *batch(BIGRAM))
