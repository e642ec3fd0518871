"""npgpt/influence.py on every kind of model and both backends: against finite differences, against itself, and done by hand."""

import numpy as np
import pytest

import npgpt
from npgpt.influence import gradient_map, replacement_map
from npgpt.pictures.statistics import numpy_array

BACKENDS = ("numpy", "torch")

V, T = 7, 6
CONFIGS = [
    npgpt.GPTConfig(V, n_layer=2, n_head=2, n_embd=4, seq_len=T),
    npgpt.LSTMConfig(V, n_layer=2, n_embd=3, n_hidden=4, seq_len=T),
    npgpt.MambaConfig(V, n_layer=2, n_embd=4, seq_len=T, tie_weights=False),
    npgpt.LlamaConfig(V, n_layer=2, n_head=2, n_embd=4, seq_len=T, n_kv_head=1, tie_weights=False),
]
IDS, TARGETS = np.array([4, 0, 6, 2, 5, 1]), np.array([0, 6, 6, 3, 1, 4])  # no id twice: a row of the table is one position


@pytest.fixture(params=[(b, c) for b in BACKENDS for c in CONFIGS], ids=lambda pair: f"{pair[0]}-{pair[1].kind}")
def model(request):
    name, config = request.param
    model = npgpt.backend(name).make_model(config, "cpu", dtype="float64", seed=3)
    rng = np.random.default_rng(5)  # initial weights are small: with larger ones no map is flat
    weights = {name: numpy_array(w) + 0.3 * rng.standard_normal(w.shape) for name, w in model.state_dict().items()}
    model.load_state_dict(weights)
    return model


def log_p(model, ids) -> np.ndarray:
    """(T,): the log-probability of each target."""
    logits = numpy_array(model([ids]))[0]
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return np.log(p[np.arange(T), TARGETS])


def test_the_gradient_is_what_a_small_step_measures(model):
    found = gradient_map(model, IDS, TARGETS)
    weights = {name: numpy_array(w).copy() for name, w in model.state_dict().items()}
    table, h = weights["token_embedding.weight"], 1e-5
    measured = np.zeros_like(found.gradient)
    for s, token in enumerate(IDS):
        for c in range(table.shape[1]):
            moved = []
            for step in (h, -h):
                shifted = table.copy()
                shifted[token, c] += step
                model.load_state_dict(weights | {"token_embedding.weight": shifted})
                moved.append(log_p(model, IDS))
            measured[:, s, c] = (moved[0] - moved[1]) / (2 * h)
    # a central difference is off by h^2 f'''/6, and by the rounding of two numbers of size |log p| over 2h
    rounding = 1e3 * np.finfo(float).eps * np.abs(log_p(model, IDS)).max() / h
    assert np.abs(found.gradient - measured).max() < 1e-8 * max(1, np.abs(measured).max()) + rounding
    assert np.abs(found.gradient).max() > 0.01
    assert np.allclose(found.times_embedding, (measured * table[IDS]).sum(axis=-1), atol=1e-7)
    assert np.allclose(found.norm, np.sqrt((measured**2).sum(axis=-1)), atol=1e-7)


def test_its_mean_over_the_targets_is_the_gradient_of_the_loss(model):
    dembed = numpy_array(model.trace([IDS], [TARGETS])["embed"][1])[0]  # (T, C)
    assert np.allclose(-gradient_map(model, IDS, TARGETS).gradient.mean(axis=0), dembed, rtol=0, atol=1e-14)


@pytest.mark.parametrize("others", [None, [5, 2, 2, 3]], ids=["all", "some"])
def test_the_replacement_by_hand(model, others):
    """Each other token counts once, however often it is named."""
    found = replacement_map(model, IDS, TARGETS, others)
    right = log_p(model, IDS)
    for s in range(T):
        changes = []
        for token in set(others or range(V)) - {IDS[s]}:
            other = IDS.copy()
            other[s] = token
            changes.append(right - log_p(model, other))
        assert np.allclose(found.change[:, s], np.mean(changes, axis=0), rtol=0, atol=1e-13)
        assert np.allclose(found.size[:, s], np.abs(changes).mean(axis=0), rtol=0, atol=1e-13)
    assert (found.size >= np.abs(found.change)).all() and found.size.max() > 0.01


def test_others_that_can_replace_nothing_are_refused():
    model = npgpt.LSTMModel(CONFIGS[1])
    with pytest.raises(ValueError, match="there is no other token than 6 to put in the place of position 2"):
        replacement_map(model, [4, 0, 6], [0, 6, 6], [6])
    with pytest.raises(ValueError, match=r"others must lie in 0\.\.6.*7"):
        replacement_map(model, IDS, TARGETS, [2, 7])


def test_nothing_comes_from_the_future(model):
    gradient, replaced = gradient_map(model, IDS, TARGETS), replacement_map(model, IDS, TARGETS)
    future = np.triu(np.ones((T, T), dtype=bool), k=1)
    for values in (gradient.times_embedding, gradient.norm, replaced.change, replaced.size):
        assert (values[future] == 0).all() and (values[~future] != 0).all()


def test_the_model_stays_as_it_was(model):
    model.loss_and_grad([IDS], [TARGETS])
    before = model.gradients()
    gradient_map(model, IDS, TARGETS)
    replacement_map(model, IDS, TARGETS)
    assert all(np.array_equal(before[name], gradient) for name, gradient in model.gradients().items())


@pytest.mark.parametrize("what", [gradient_map, replacement_map])
@pytest.mark.parametrize(
    ("ids", "targets", "message"),
    [
        ([[1, 2]], [[2, 3]], r"one shape \(T,\)"),
        ([1, 2], [2], r"got \(2,\) and \(1,\)"),
        ([], [], "T at least 1"),
        ([1, 99], [2, 3], "^ids must .*99"),
        ([1, 2], [2, 99], "^targets must .*99"),
    ],
)
def test_what_does_not_fit_is_named(what, ids, targets, message):
    model = npgpt.LSTMModel(CONFIGS[1])
    with pytest.raises(ValueError, match=message):
        what(model, ids, targets)


def test_a_trace_asks_only_for_the_positions_it_is_told(model):
    where = np.zeros((1, T), dtype=bool)
    where[0, 3] = True
    _, gradient = model.trace([IDS], [TARGETS], where)["logits"]
    gradient = numpy_array(gradient)[0]
    logits = numpy_array(model([IDS]))[0]
    p = np.exp(logits[3]) / np.exp(logits[3]).sum()
    assert np.allclose(gradient[3], p - np.eye(V)[TARGETS[3]], rtol=0, atol=1e-14)
    assert (np.delete(gradient, 3, axis=0) == 0).all()
    everywhere = model.trace([IDS], [TARGETS], np.ones((1, T), dtype=bool))
    for name, (_, expected) in model.trace([IDS], [TARGETS]).items():
        assert np.allclose(numpy_array(everywhere[name][1]), numpy_array(expected), rtol=1e-13, atol=1e-15), name
    with pytest.raises(TypeError, match="where must hold booleans, got int64"):
        model.trace([IDS], [TARGETS], np.ones((1, T), dtype=np.int64))
    with pytest.raises(ValueError, match=r"where has the shape \(1, 1\)"):
        model.trace([IDS], [TARGETS], np.ones((1, 1), dtype=bool))
