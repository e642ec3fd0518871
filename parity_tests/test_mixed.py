"""The model of example 12, between GPT and Llama: at its ends it is those two, and everywhere its gradients are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgpt
from npgpt.inspector.agreement import loss_derivative
from npgpt.models.layout import initial_weights

from .checks import derivative_alarm
from .strategies import dtypes, seeds, tokens
from .tolerances import as_numpy, assert_model_parity
from mixed_model import MixedConfig, MixedModel, layout, num_parameters, of_size
from mixed_model_torch import MixedModel as TorchModel

LLAMA = {"rms_norm": True, "rope": True, "swiglu": True, "bias": False}
switches = st.fixed_dictionaries({name: st.booleans() for name in LLAMA})
forms = st.tuples(switches, st.sampled_from([1, 2, 4]), st.booleans(), st.booleans())  # and K, qkv_bias, tie_weights


def mixed_config(form, **more):
    changed, K, qkv_bias, tie_weights = form
    options = {"n_kv_head": K, "ffn_hidden": 11, "qkv_bias": qkv_bias, "tie_weights": tie_weights, "norm_eps": 1e-3}
    return MixedConfig(23, 2, 4, 8, 7, **options | changed | more)


def after_training(config, seed) -> dict[str, np.ndarray]:
    """Weights as training might leave them: no scale is 1 and no bias 0. (In float32, so that all dtypes have the same.)"""
    rng, start = np.random.default_rng(seed), initial_weights(layout(config), 0)
    return {name: (w + 0.3 * rng.standard_normal(w.shape)).astype(np.float32) for name, w in start.items()}


def all_models(config, seed):
    """Torch's model in float32 and float64 and NumPy's in float64, with the same weights; and ids and targets."""
    models = (
        TorchModel(config),
        TorchModel(config, dtype="float64"),
        MixedModel(config, dtype="float64"),
    )
    for model in models:
        model.load_state_dict(after_training(config, seed))
    return models, tokens(np.random.default_rng(seed), config)


def as_gpts(arrays: dict) -> dict:
    """Weights or gradients of the mixed model under a GPT's names: one matrix for query, key and value."""
    renamed = {}
    for name, array in arrays.items():
        name = name.replace("norm1", "ln1").replace("norm2", "ln2").replace("norm_f", "ln_f")
        if any(part in name for part in (".Wq.", ".Wk.", ".Wv.")):
            name = name.replace("Wq", "Wqkv").replace("Wk.", "Wqkv.").replace("Wv", "Wqkv")
            array = np.concatenate([renamed[name], array]) if name in renamed else array
        renamed[name] = array
    return renamed


def values_and_gradients(model, weights, ids, targets, under=lambda arrays: arrays) -> dict:
    """The loss, the logits and every gradient, with these weights."""
    model.load_state_dict(weights)
    loss = model.loss_and_grad(ids, targets)
    return {"loss": np.array(loss), "logits": model(ids)} | under(model.gradients())


@given(seeds, dtypes, st.booleans(), st.booleans())
def test_without_a_change_it_is_a_gpt(seed, dtype, qkv_bias, tie_weights):
    """From a seed the same weights, bit for bit; with trained ones the same loss, logits and every gradient, to rounding: three
    products stand where a GPT has one."""
    config = mixed_config(({}, None, qkv_bias, tie_weights), init_std=0.3)
    gpt_config = npgpt.GPTConfig(23, 2, 4, 8, 7, "learned", 11, qkv_bias, tie_weights, head_bias=False, init_std=0.3)
    ours = MixedModel(config, seed=seed, dtype=dtype)
    gpt32, gpt64 = (npgpt.GPTModel(gpt_config, seed=seed, dtype=dtype) for dtype in ("float32", "float64"))
    weights, (ids, targets) = as_gpts(ours.state_dict()), tokens(np.random.default_rng(seed), config)
    assert all(np.array_equal(weights[name], weight) for name, weight in gpt32.state_dict().items())
    trained = after_training(config, seed)
    results = [values_and_gradients(gpt, as_gpts(trained), ids, targets) for gpt in (gpt32, gpt64)]
    assert_model_parity(values_and_gradients(ours, trained, ids, targets, as_gpts), *results, dtype)


@given(seeds, dtypes, st.sampled_from([1, 2, 4]), st.booleans(), st.booleans())
def test_with_all_changes_it_is_a_llama(seed, dtype, K, qkv_bias, tie_weights):
    """Bit for bit: the weights from a seed, and with trained ones loss, logits and every gradient."""
    config = mixed_config((LLAMA, K, qkv_bias, tie_weights))
    own = {*LLAMA, "init_std"}
    llama_config = npgpt.LlamaConfig(**{name: value for name, value in config.to_dict().items() if name not in own})
    models = [model(c, seed=seed, dtype=dtype) for model, c in ((MixedModel, config), (npgpt.LlamaModel, llama_config))]
    trained, batch = after_training(config, seed), tokens(np.random.default_rng(seed), config)
    for ours, llamas in (
        [model.state_dict() for model in models],
        [values_and_gradients(model, trained, *batch) for model in models],
    ):
        assert list(ours) == list(llamas) and all(np.array_equal(ours[name], array) for name, array in llamas.items())


@given(seeds, forms, st.sampled_from([0.0, 0.3]))
def test_every_form_has_torchs_logits_loss_gradients_and_trace(seed, form, dropout):
    """Every switch on or off, whatever the others are."""
    models, (ids, targets) = all_models(mixed_config(form, dropout=dropout), seed)
    values, gradients, traced = [], [], []
    for model in models:
        values.append({"loss": np.array(model.loss_and_grad(ids, targets)), "logits": as_numpy(model(ids))})
        gradients.append(model.gradients())
        trace = model.trace(ids, targets)
        traced.append([{name: as_numpy(pair[i]) for name, pair in trace.items()} for i in range(2)])
    for torch32, torch64, ours in (values, gradients, *zip(*traced, strict=True)):
        assert_model_parity(ours, torch32, torch64, "float64")


@given(seeds, forms)
def test_every_forms_gradient_is_the_complex_steps(seed, form):
    (_, twin, model), (ids, targets) = all_models(mixed_config(form), seed)

    def derivative(direction):
        return loss_derivative(model, direction, ids, targets), 0.0

    assert not derivative_alarm(model, twin, derivative, ids, targets, 1e-12, seed)


@given(switches, st.sampled_from([1, 2, 4]))
def test_a_form_has_the_parameters_that_it_is_asked_for(form, K):
    """To half a row of each of the FFN's matrices in each block; and as many as its model trains, on both sides."""
    first = mixed_config(({}, None, False, True), ffn_hidden=32)
    wanted = num_parameters(first)
    config = of_size(mixed_config((form, K, False, True)), wanted)
    assert abs(num_parameters(config) - wanted) <= config.n_layer * (3 * config.n_embd + 2) / 2
    assert MixedModel(config).num_parameters() == TorchModel(config).num_parameters() == num_parameters(config)


@pytest.mark.parametrize("switch", [*LLAMA, "init_std"])
def test_a_switch_that_is_none_is_refused_by_name(switch):
    with pytest.raises(TypeError, match=f"{switch} must be .*, got 'yes'"):
        MixedConfig(23, 2, 4, 8, 7, **{switch: "yes"})
