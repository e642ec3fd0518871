"""The whole model on both sides: forward, loss, every gradient, every intermediate, names, shapes, counts, initial weights."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig
from npgpt.inspector.agreement import loss_derivative
from npgpt.models import layout_of
from npgpt.models.layout import INIT_STD, initial_weights
from npgpt.ops.attention import TiledCache

from .strategies import EXAMPLES, dtypes, given_every_kind, random_weights, seeds, tokens, trained_names, weight_shapes
from .tolerances import COMPLEX_STEP_FACTOR, as_numpy, assert_model_parity, eps, model_errors, model_scale

init_std = st.sampled_from([0.02, 0.05, 0.1])


def models_with(config, weights, dtypes=("float32", "float64"), device="cpu"):
    """A NumPy and a torch model for each dtype, all with the same weights (rounded to float32, so that they are the same)."""
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    made = []
    for dtype in dtypes:
        ours = npgpt.make_model(config, dtype=dtype)
        ours.load_state_dict(weights)
        made.append((ours, torchgpt.from_numpy(ours, device)))
    return made


def drawn(config, seed, std):
    rng = np.random.default_rng(seed)
    return random_weights(rng, config, std), *tokens(rng, config)


@given_every_kind(seeds, init_std, dtypes)
def test_logits_loss_and_every_gradient_equal_torchs(config, seed, std, dtype):
    weights, ids, targets = drawn(config, seed, std)
    (np32, torch32), (np64, torch64) = models_with(config, weights)
    ours = np32 if dtype == "float32" else np64
    results = []
    for model in (ours, torch32, torch64):
        loss = model.loss_and_grad(ids, targets)
        results.append(({"logits": as_numpy(model(ids)), "loss": np.array(loss)}, model.gradients()))
    (values, gradients), (values32, gradients32), (values64, gradients64) = results
    assert_model_parity(values, values32, values64, dtype)
    assert_model_parity(gradients, gradients32, gradients64, dtype)
    assert all(gradient.dtype == dtype for gradient in gradients.values())


LONG = {
    "gpt": lambda p: GPTConfig(23, 2, 2, 12, 150, position="learned", qkv_bias=True, tie_weights=True, dropout=p),
    "llama": lambda p: LlamaConfig(
        23, 2, 4, 12, 150, n_kv_head=2, head_size=6, rope_theta=100.0, rope_scaling=(8.0, 1.0, 4.0, 16), dropout=p
    ),
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(("T", "tiles"), [(64, None), (65, 2), (150, 3)])
def test_long_sequences_train_on_torchs_gradients(T, tiles, dropout, dtype, kind):
    """More queries than one tile holds; with dropout both sides draw the same masks."""
    config = LONG[kind](dropout)
    rng = np.random.default_rng(T)
    weights = random_weights(rng, config, 0.3)
    ids, targets = tokens(rng, config, batch_size=3, length=T)
    (np32, torch32), (np64, torch64) = models_with(config, weights)
    ours = np32 if dtype == "float32" else np64
    attention_cache = ours.forward(ids)[1].blocks[0].mha.attention
    assert (len(attention_cache.kept) if isinstance(attention_cache, TiledCache) else None) == tiles
    losses = [{"loss": np.array(model.loss_and_grad(ids, targets))} for model in (ours, torch32, torch64)]
    assert_model_parity(*losses, dtype)
    assert_model_parity(*(model.gradients() for model in (ours, torch32, torch64)), dtype)


@given(seeds, dtypes, st.sampled_from([64, 65, 256]))
@settings(max_examples=10)
def test_a_trace_shows_what_training_computes(seed, dtype, T):
    """Its logits are the model's, bit for bit, at every length."""
    model = npgpt.GPTModel(GPTConfig(23, 2, 2, 12, 256), seed=seed, dtype=dtype)
    ids, targets = tokens(np.random.default_rng(seed), model.config, batch_size=2, length=T)
    logits = model(ids)
    assert np.array_equal(model.trace(ids)["logits"][0], logits)
    assert np.array_equal(model.trace(ids, targets)["logits"][0], logits)


ordinary = st.sampled_from(
    [
        GPTConfig(65, 2, 4, 32, 16, position="learned", tie_weights=True, head_bias=False),
        GPTConfig(40, 3, 2, 16, 12, qkv_bias=True),
        LSTMConfig(65, 2, 24, 32, 16),
        MambaConfig(40, 2, 16, 12, d_state=4),
        LlamaConfig(65, 2, 4, 32, 16, n_kv_head=2),
    ]
)


@given(ordinary, seeds, init_std)
def test_float64_gradients_are_within_32_eps_of_their_largest_element(config, seed, std):
    """For models of 16 features and more; smaller ones can be ill-conditioned, and the test above measures how much."""
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, config, std)
    ids, targets = tokens(rng, config, batch_size=4, length=config.seq_len)
    ((ours, theirs),) = models_with(config, weights, ["float64"])
    ours.loss_and_grad(ids, targets)
    theirs.loss_and_grad(ids, targets)
    errors = model_errors(ours.gradients(), theirs.gradients())
    assert max(errors.values()) <= 32 * eps("float64"), errors


SHRUNK = {"gpt": {"n_head": 1}, "lstm": {"n_hidden": 1}, "mamba": {"expand": 1, "dt_rank": 1}}
SHRUNK |= {"llama": {"n_head": 1, "n_kv_head": None, "head_size": 2, "norm_eps": 1e-5}}


@given_every_kind(seeds, st.sampled_from([1, 2]), st.sampled_from([1, 2]))
def test_models_too_small_to_learn_are_right_too(config, seed, vocab_size, n_embd):
    """With 1 or 2 features or tokens most gradients are 0 but for rounding; an error has the largest one's scale."""
    changes = SHRUNK[config.kind] | ({"tie_weights": n_embd == 1} if config.kind == "lstm" else {})
    config = dataclasses.replace(config, vocab_size=vocab_size, n_embd=n_embd, **changes)
    weights, ids, targets = drawn(config, seed, 0.1)
    ((ours, theirs),) = models_with(config, weights, ["float64"])
    ours.loss_and_grad(ids, targets)
    theirs.loss_and_grad(ids, targets)
    # A row of one feature is constant: a norm divides its rounding errors by sqrt(0 + 1e-5).
    scale = 1e-5**-0.5 * max(1 / ids.size, *(np.abs(gradient).max() for gradient in theirs.gradients().values()))
    for name, gradient in theirs.gradients().items():
        assert np.abs(ours.gradients()[name] - gradient).max() <= 32 * eps("float64") * scale, name
    assert np.abs(ours(ids) - as_numpy(theirs(ids))).max() <= 32 * eps("float64")


@given_every_kind(seeds, init_std, dtypes)
def test_every_traced_intermediate_and_its_gradient_equal_torchs(config, seed, std, dtype):
    weights, ids, targets = drawn(config, seed, std)
    (np32, torch32), (np64, torch64) = models_with(config, weights)
    traces = [model.trace(ids, targets) for model in (np32 if dtype == "float32" else np64, torch32, torch64)]
    for part in (0, 1):  # the values, then the gradients
        assert_model_parity(*({name: as_numpy(pair[part]) for name, pair in trace.items()} for trace in traces), dtype)


@given_every_kind(seeds, dtypes)
def test_every_intermediate_and_its_gradient_has_the_models_dtype(config, seed, dtype):
    _, ids, targets = drawn(config, seed, 0.1)
    for value, gradient in npgpt.make_model(config, seed=seed, dtype=dtype).trace(ids, targets).values():
        assert value.dtype == gradient.dtype == dtype


@given_every_kind(seeds)
def test_a_trace_leaves_the_model_as_it_was_and_matches_the_plain_pass(config, seed):
    weights, ids, targets = drawn(config, seed, 0.1)
    ((ours, theirs),) = models_with(config, weights, ["float64"])
    for model in (ours, theirs):
        model.loss_and_grad(ids, targets)
        before = model.gradients()
        trace = model.trace(ids, targets)
        assert all(np.array_equal(before[name], gradient) for name, gradient in model.gradients().items())
        assert np.allclose(as_numpy(trace["logits"][0]), as_numpy(model(ids)), rtol=1e-12, atol=1e-14)
        assert all(gradient is None for _, gradient in model.trace(ids).values())
    assert np.array_equal(trace["logits"][0].shape, (*ids.shape, config.vocab_size))


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_trace_of_some_positions_has_the_gradient_of_their_mean_loss(backend):
    """By the formula of softmax and cross-entropy. Would catch a mean over all positions, and a mask that is not asked."""
    model, rng = backend.make_model(EXAMPLES["gpt"], seed=1, dtype="float64"), np.random.default_rng(0)
    ids, targets = rng.integers(23, size=(2, 3, 5))
    where = rng.random((3, 5)) < 0.4
    logits, dlogits = map(as_numpy, model.trace(ids, targets, where)["logits"])
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = where[..., None] * (probabilities - np.eye(23)[targets]) / where.sum()
    assert 1 < where.sum() < 15 and np.abs(dlogits - expected).max() <= 8 * eps("float64")
    everywhere = as_numpy(model.trace(ids, targets, np.ones((3, 5), bool))["logits"][1])
    assert np.abs(everywhere - as_numpy(model.trace(ids, targets)["logits"][1])).max() <= 8 * eps("float64")
    for arguments, error, message in [
        ((targets, where.astype(int)), TypeError, "^where must hold booleans, got int"),
        ((targets, where[:1]), ValueError, r"^where has the shape \(1, 5\), the targets \(3, 5\)$"),
        ((targets[:, :4], where[:, :4]), ValueError, r"^targets have the shape \(3, 4\)"),
    ]:
        with pytest.raises(error, match=message):
            model.trace(ids, *arguments)


IN_A_BLOCK = {  # what a trace shows of one: design, "Seeing inside"
    "gpt": "resid_pre ln1 q k v scores pattern z attn_out resid_mid ln2 ffn_pre ffn_post ffn_out resid_post",
    "lstm": "i f g o c h",
    "mamba": "resid_pre norm in_proj conv u delta B C state y gate mixer_out resid_post",
    "llama": "resid_pre norm1 q k rot_q rot_k v scores pattern z attn_out resid_mid norm2 gate up ffn_post ffn_out resid_post",
}
AROUND_THE_BLOCKS = {
    "gpt": (["embed", "pos_embed"], ["ln_f", "logits"]),
    "lstm": (["embed"], ["logits"]),
    "mamba": (["embed"], ["norm_f", "logits"]),
    "llama": (["embed"], ["norm_f", "logits"]),
}


@pytest.mark.parametrize("kind", IN_A_BLOCK)
@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_trace_has_the_names_and_order_of_the_contract(kind, backend):
    config, (before, after) = dataclasses.replace(EXAMPLES[kind], n_layer=2), AROUND_THE_BLOCKS[kind]
    trace = backend.make_model(config).trace([[1, 2, 3]], [[2, 3, 4]])
    assert list(trace) == before + [f"blocks.{i}.{name}" for i in (0, 1) for name in IN_A_BLOCK[kind].split()] + after
    assert all(tuple(value.shape) == tuple(gradient.shape) for value, gradient in trace.values())


def test_the_shapes_of_what_a_trace_shows_of_the_other_kinds():
    B, T = 2, 5
    sizes = {
        LSTMConfig(9, 2, 3, 4, 7): {"embed": (3,)} | dict.fromkeys([f"blocks.1.{name}" for name in "ifgoch"], (4,)),
        MambaConfig(9, 1, 4, 7, d_state=3, expand=1.5): {
            **dict.fromkeys(
                ["embed", "norm_f", *(f"blocks.0.{n}" for n in ("resid_pre", "norm", "mixer_out", "resid_post"))], (4,)
            ),
            **dict.fromkeys([f"blocks.0.{name}" for name in ("conv", "u", "delta", "y", "gate")], (6,)),
            **dict.fromkeys(["blocks.0.B", "blocks.0.C"], (3,)),
            "blocks.0.in_proj": (12,),
            "blocks.0.state": (6, 3),
        },
    }
    for config, shapes in sizes.items():
        trace = npgpt.make_model(config).trace(np.ones((B, T), int))
        assert {name: trace[name][0].shape for name in shapes} == {name: (B, T, *rest) for name, rest in shapes.items()}
    trace = npgpt.make_model(LlamaConfig(9, 1, 4, 6, 7, n_kv_head=2, head_size=8, ffn_hidden=3)).trace(np.ones((B, T), int))
    heads = dict.fromkeys(["q", "rot_q", "z"], (B, 4, T, 8)) | dict.fromkeys(["k", "rot_k", "v"], (B, 2, T, 8))
    heads |= dict.fromkeys(["scores", "pattern"], (B, 4, T, T)) | dict.fromkeys(["gate", "up", "ffn_post"], (B, T, 3))
    assert {name: trace[f"blocks.0.{name}"][0].shape for name in heads} == heads


@given_every_kind(seeds)
def test_the_whole_backward_is_the_forwards_derivative_by_the_complex_step(config, seed):
    """Along one random direction for each tensor, and along one through all of them."""
    weights, ids, targets = drawn(config, seed, 0.1)
    (_, torch32), (model, torch64) = models_with(config, weights)
    for each in (model, torch32, torch64):
        each.loss_and_grad(ids, targets)
    # The worst over all tensors: one of a single element can be right in float32 by luck.
    E = max(model_errors(torch32.gradients(), torch64.gradients()).values()) / eps("float32")
    scale = model_scale(torch64.gradients())
    rng = np.random.default_rng(seed)
    directions = {name: rng.standard_normal(gradient.shape) for name, gradient in model.gradients().items()}
    for names in [[name] for name in directions] + [list(directions)]:
        along = loss_derivative(model, {name: directions[name] for name in names}, ids, targets)
        expected = sum((model.gradients()[name] * directions[name]).sum() for name in names)
        bound = 0.0
        for name in names:
            bound += COMPLEX_STEP_FACTOR * (1 + E / 8) * eps("float64") * scale[name] * np.abs(directions[name]).sum()
        assert abs(along - expected) <= bound, names


tiny = [GPTConfig.article(), GPTConfig.article(True), LSTMConfig.article(), LSTMConfig(6, 2, 3, 3, 5, tie_weights=True)]
tiny += [MambaConfig(6, 2, 3, 5, d_state=2, d_conv=3, expand=1, dt_rank=2, head_bias=True)]
tiny += [LlamaConfig(6, 2, 4, 3, 5, n_kv_head=2, head_size=2, ffn_hidden=4, rope_theta=10.0, qkv_bias=True)]


@pytest.mark.parametrize("config", tiny, ids=lambda config: f"{config.kind}-{config.vocab_size}")
def test_every_element_of_a_tiny_models_gradient_by_the_complex_step(config):
    weights, ids, targets = drawn(config, 3, 0.1)
    model = npgpt.make_model(config, dtype="float64")
    model.load_state_dict(weights)
    model.loss_and_grad(ids, targets)
    for name, gradient in model.gradients().items():
        steps = np.empty_like(gradient)
        for index in np.ndindex(gradient.shape):
            unit = np.zeros_like(gradient)
            unit[index] = 1.0
            steps[index] = loss_derivative(model, {name: unit}, ids, targets)
        assert np.abs(steps - gradient).max() <= 1e-14 * max(np.abs(gradient).max(), 1e-3), name


@given_every_kind(seeds)
def test_names_shapes_order_and_counts_are_the_same(config, seed):
    ours, theirs = npgpt.make_model(config, seed=seed), torchgpt.make_model(config, seed=seed)
    shapes = weight_shapes(config)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == list(shapes.items())
    assert [(k, tuple(v.shape)) for k, v in theirs.state_dict().items()] == list(shapes.items())
    trainable = trained_names(config)
    for model in (ours, theirs):
        assert [name for name, _ in model.named_parameters()] == trainable == list(model.gradients())
        assert sum(p.numel() for p in model.parameters()) == model.num_parameters() == closed_formula(config)


def closed_formula(c) -> int:
    """The number of trained parameters, written without looking at the layouts."""
    return (
        FORMULAS[c.kind](c)
        + (0 if c.tie_weights else c.vocab_size * read_by_the_head(c))
        + (c.vocab_size if getattr(c, "head_bias", False) else 0)
    )


def read_by_the_head(c) -> int:
    """The length of the vector that the head reads."""
    return c.n_hidden if c.kind == "lstm" else c.n_embd


def of_a_gpt(c: GPTConfig) -> int:
    C, F = c.n_embd, c.ffn_size
    qkv = (3 * C * C + (3 * C if c.qkv_bias else 0)) if c.train_qkv else 0
    block = 2 * C + qkv + C * C + C + (2 * C + 2 * C * F + F + C if F else 0)
    return c.vocab_size * C + (c.seq_len * C if c.position == "learned" else 0) + c.n_layer * block + 2 * C


def of_an_lstm(c: LSTMConfig) -> int:
    """Four gates, each of I + H inputs and two biases; the first layer reads the embedding."""
    C, H = c.n_embd, c.n_hidden
    return c.vocab_size * C + 4 * H * (C + H + 2) + (c.n_layer - 1) * 4 * H * (2 * H + 2)


def of_a_mamba(c: MambaConfig) -> int:
    C, N, K = c.n_embd, c.d_state, c.d_conv
    E, R = round(c.expand * C), c.dt_rank or -(-C // 16)
    conv = E * K + (E if c.conv_bias else 0)
    block = C + 2 * E * C + conv + E * (R + 2 * N) + (R * E + E) + E * N + E + C * E
    return c.vocab_size * C + c.n_layer * block + C


def of_a_llama(c: LlamaConfig) -> int:
    C, D, K = c.n_embd, c.head_size or c.n_embd // c.n_head, c.n_kv_head or c.n_head
    F = c.ffn_hidden or next(n for n in range(0, 8 * C + 8, 8) if 3 * n >= 8 * C)
    rows = (c.n_head + 2 * K) * D
    block = 2 * C + rows * C + (rows if c.qkv_bias else 0) + C * c.n_head * D + 3 * C * F
    return c.vocab_size * C + c.n_layer * block + C


FORMULAS = {"gpt": of_a_gpt, "lstm": of_an_lstm, "mamba": of_a_mamba, "llama": of_a_llama}


def test_the_names_and_shapes_of_the_other_kinds_are_those_of_the_contract():
    """Of torch.nn.LSTM and mamba_ssm, in torch's order: a module's own before its children's; and a Llama's."""
    lstm = {"token_embedding.weight": (9, 3)}
    for i, width in ((0, 3), (1, 5)):
        lstm |= {f"blocks.{i}.lstm.weight_ih": (20, width), f"blocks.{i}.lstm.weight_hh": (20, 5)}
        lstm |= {f"blocks.{i}.lstm.bias_ih": (20,), f"blocks.{i}.lstm.bias_hh": (20,)}
    lstm |= {"head.weight": (9, 5), "head.bias": (9,)}
    mixer = {"A_log": (6, 2), "D": (6,), "in_proj.weight": (12, 4), "conv1d.weight": (6, 1, 3), "conv1d.bias": (6,)}
    mixer |= {"x_proj.weight": (5, 6), "dt_proj.weight": (6, 1), "dt_proj.bias": (6,), "out_proj.weight": (4, 6)}
    mamba = {"token_embedding.weight": (9, 4), "blocks.0.norm.weight": (4,)}
    mamba |= {f"blocks.0.mixer.{name}": shape for name, shape in mixer.items()} | {"norm_f.weight": (4,)}
    parts = {
        "norm1.weight": (6,),
        "mha.Wq.weight": (32, 6),
        "mha.Wq.bias": (32,),
        "mha.Wk.weight": (16, 6),
        "mha.Wk.bias": (16,),
    }
    parts |= {"mha.Wv.weight": (16, 6), "mha.Wv.bias": (16,), "mha.projection.weight": (6, 32), "norm2.weight": (6,)}
    parts |= {"ffn.gate.weight": (3, 6), "ffn.up.weight": (3, 6), "ffn.down.weight": (6, 3)}
    llama = {"token_embedding.weight": (9, 6)} | {f"blocks.0.{name}": shape for name, shape in parts.items()}
    llama |= {"norm_f.weight": (6,)}
    plain = {name: shape for name, shape in llama.items() if not name.endswith("bias")} | {"head.weight": (9, 6)}
    grouped = LlamaConfig(9, 1, 4, 6, 7, n_kv_head=2, head_size=8, ffn_hidden=3, qkv_bias=True)
    for config, expected in [
        (LSTMConfig(9, 2, 3, 5, 7), lstm),
        (grouped, llama),
        (dataclasses.replace(grouped, qkv_bias=False, tie_weights=False), plain),
        (MambaConfig(9, 1, 4, 7, d_state=2, d_conv=3, expand=1.5), mamba),
        (MambaConfig(9, 1, 4, 7, d_state=2, d_conv=3, expand=1.5, tie_weights=False), mamba | {"head.weight": (9, 4)}),
    ]:
        for backend in (npgpt, torchgpt):
            state_dict = backend.make_model(config).state_dict()
            assert [(name, tuple(value.shape)) for name, value in state_dict.items()] == list(expected.items())


def test_an_lstm_of_the_articles_size_has_248_parameters_too():
    for backend in (npgpt, torchgpt):
        assert backend.LSTMModel(LSTMConfig.article()).num_parameters() == closed_formula(LSTMConfig.article()) == 248


def test_the_article_has_248_parameters_and_275_with_qkv():
    assert GPTConfig.article().seq_len == LSTMConfig.article().seq_len == 12  # the sequences of its task
    for backend in (npgpt, torchgpt):
        assert backend.GPTModel(GPTConfig.article()).num_parameters() == 248
        assert backend.GPTModel(GPTConfig.article(train_qkv=True)).num_parameters() == 275


def test_gpt2_has_the_sizes_of_its_paper_and_as_many_parameters():
    """Without making one, which the next test does."""
    config = GPTConfig.gpt2()
    assert (config.vocab_size, config.n_layer, config.n_head, config.n_embd, config.seq_len) == (50257, 12, 12, 768, 1024)
    assert closed_formula(config) == sum(entry.size for entry in layout_of(config).values()) == 124_439_808


def test_gpt2_has_124439808_parameters_on_both_sides():
    assert closed_formula(GPTConfig.gpt2()) == 124_439_808
    for backend in (npgpt, torchgpt):
        assert backend.GPTModel(GPTConfig.gpt2()).num_parameters() == 124_439_808


def test_smollm2_has_134515008_parameters():
    """(The test above has shown that a model has as many as the formula says, and as its layout.)"""
    config = LlamaConfig.smollm2()
    assert closed_formula(config) == sum(entry.size for entry in layout_of(config).values()) == 134_515_008
    assert (config.seq_len, config.ffn_hidden, config.tie_weights) == (2048, 1536, True)
    assert (config.rope_theta, config.norm_eps) == (1e5, 1e-5)


def test_linear_layers_start_as_widely_as_the_config_says():
    config = GPTConfig(50, 2, 2, 64, 8, position="learned")
    plain, wide = (initial_weights(layout_of(dataclasses.replace(config, init_std=std)), seed=1) for std in (0.02, 0.1))
    for name, value in plain.items():
        linear = value.ndim == 2 and "embedding" not in name
        assert np.allclose(wide[name], value * 5 if linear else value, rtol=1e-6), name
    assert abs(wide["head.weight"].std() - 0.1) < 0.01 and abs(wide["blocks.1.ffn.down.weight"].std() - 0.05) < 0.005


@given_every_kind(seeds, dtypes)
def test_initial_weights_are_identical_for_a_seed(config, seed, dtype):
    ours, theirs = (backend.make_model(config, seed=seed, dtype=dtype) for backend in (npgpt, torchgpt))
    for name, weight in ours.state_dict().items():
        assert weight.dtype == dtype and np.array_equal(weight, as_numpy(theirs.state_dict()[name]))
    other = npgpt.make_model(config, seed=seed + 1).state_dict()
    assert not np.array_equal(ours.token_embedding.weight, other["token_embedding.weight"])
    if config.kind == "gpt":
        assert np.array_equal(ours.position_encoding, as_numpy(theirs.position_encoding))


@given_every_kind(seeds)
def test_a_float64_model_starts_from_the_very_numbers_of_a_float32_one(config, seed):
    single, double = (npgpt.make_model(config, seed=seed, dtype=dtype).state_dict() for dtype in ("float32", "float64"))
    for name, drawn in initial_weights(layout_of(config), seed).items():
        assert drawn.dtype == np.float32, name
        assert np.array_equal(drawn, single[name]) and np.array_equal(drawn, double[name]), name


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("ffn_hidden", "writes"), [(None, 4), (0, 2)])
def test_a_gpt_starts_as_gpt2(ffn_hidden, writes, tied):
    """Spreads of 0.02, of what writes into the stream smaller by the root of the number of writes; norms 1 and 0, biases 0."""
    config = GPTConfig(300, 2, 4, 64, 7, position="learned", ffn_hidden=ffn_hidden, qkv_bias=True, tie_weights=tied)
    for name, weight in npgpt.make_model(config, seed=1).state_dict().items():
        if name.endswith("bias"):
            assert not weight.any(), name
        elif "ln" in name:
            assert (weight == 1).all(), name
        elif name != "position_embedding.weight":  # 448 numbers: too few to tell their spread
            spread = 0.02 / math.sqrt(writes) if name.endswith(("projection.weight", "down.weight")) else 0.02
            assert abs(weight.std() / spread - 1) < 0.1 and abs(weight.mean()) < 0.1 * spread, name


def fills(values: np.ndarray, low: float, high: float) -> bool:
    """Whether they look uniform in low..high: within it, reaching nine tenths of it, with the middle in the middle."""
    width = high - low
    inside = low <= values.min() <= low + width / 10 and high - width / 10 <= values.max() <= high
    return bool(inside and abs(values.mean() - (low + high) / 2) < width / 10)


def test_an_lstm_starts_as_the_literature_says():
    """Matrices uniform within 1 / sqrt(H); biases 0, but the forget gate's bias_ih 1 (Jozefowicz et al. 2015)."""
    weights = npgpt.make_model(LSTMConfig(300, 2, 9, 16, 7), seed=1).state_dict()
    for i in (0, 1):
        layer = {name: weights[f"blocks.{i}.lstm.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        assert fills(layer["weight_ih"], -0.25, 0.25) and fills(layer["weight_hh"], -0.25, 0.25)
        assert np.array_equal(layer["bias_ih"], np.repeat([0, 1, 0, 0], 16)) and not layer["bias_hh"].any()
    assert not weights["head.bias"].any()
    assert all(abs(weights[f"{name}.weight"].std() - 0.02) < 1e-3 for name in ("token_embedding", "head"))


def test_a_mamba_starts_as_its_reference():
    """Clocks from 1 to N in every channel, D 1, step sizes log-uniform in 1e-3..1e-1, matrices by their fan-in."""
    config = MambaConfig(300, 4, 25, 7, d_state=5, d_conv=4, expand=4, dt_rank=4, tie_weights=False, head_bias=True)
    weights = npgpt.make_model(config, seed=1).state_dict()
    for i in range(4):
        mixer = {
            name.removeprefix(f"blocks.{i}.mixer."): w for name, w in weights.items() if name.startswith(f"blocks.{i}.mixer.")
        }
        assert np.allclose(np.exp(mixer["A_log"]), np.arange(1, 6), rtol=1e-6) and (mixer["D"] == 1).all()
        bounds = {"in_proj": 1 / 5, "conv1d": 1 / 2, "x_proj": 1 / 10, "dt_proj": 1 / 2, "out_proj": 1 / 20}  # E = 100, L = 4
        assert all(fills(mixer[f"{name}.weight"], -bound, bound) for name, bound in bounds.items())
        assert not mixer["conv1d.bias"].any()
        step_sizes = np.log1p(np.exp(np.float64(mixer["dt_proj.bias"])))
        assert fills(np.log10(step_sizes) - 1e-6 * np.sign(np.log10(step_sizes) + 2), -3, -1)
        assert (weights[f"blocks.{i}.norm.weight"] == 1).all()
    assert (weights["norm_f.weight"] == 1).all() and not weights["head.bias"].any()
    assert all(abs(weights[f"{name}.weight"].std() - 0.02) < 1e-3 for name in ("token_embedding", "head"))


def test_a_llama_starts_as_a_gpt():
    """Spreads of 0.02, of what writes into the stream smaller by the root of the number of writes; norms 1, biases 0."""
    config = LlamaConfig(300, 2, 4, 32, 7, n_kv_head=2, head_size=16, qkv_bias=True, tie_weights=False)
    for name, weight in npgpt.make_model(config, seed=1).state_dict().items():
        if name.endswith("bias"):
            assert not weight.any(), name
        elif "norm" in name:
            assert (weight == 1).all(), name
        else:
            spread = 0.01 if name.endswith(("projection.weight", "down.weight")) else 0.02
            assert abs(weight.std() / spread - 1) < 0.1 and abs(weight.mean()) < 0.1 * spread, name


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_the_seed_is_0_and_the_dtype_float32_where_none_is_given(backend):
    config = GPTConfig.article()
    zero = backend.GPTModel(config, seed=0, dtype="float32").state_dict()
    for plain in (backend.GPTModel(config).state_dict(), backend.make_model(config).state_dict()):
        assert all(np.array_equal(as_numpy(plain[name]), as_numpy(zero[name])) for name in zero)
        assert all(as_numpy(value).dtype == np.float32 for value in plain.values())
    assert as_numpy(backend.get_position_encoding(3, 4)).dtype == np.float32


@pytest.mark.parametrize("train_qkv", [False, True])
def test_buffers_have_no_gradient_and_parameters_have_one(train_qkv):
    Wqkv = npgpt.GPTModel(GPTConfig(8, 1, 2, 4, 5, qkv_bias=True, train_qkv=train_qkv)).blocks[0].mha.Wqkv
    for value, gradient in ((Wqkv.weight, Wqkv.dweight), (Wqkv.bias, Wqkv.dbias)):
        assert gradient.shape == value.shape if train_qkv else gradient is None


def test_a_block_without_an_ffn_keeps_nothing_for_its_backward():
    for ffn_hidden, empty in ((0, True), (1, False)):
        _, cache = npgpt.GPTModel(GPTConfig(8, 2, 2, 4, 5, ffn_hidden=ffn_hidden)).forward(np.array([[1, 2]]))
        assert all((block.ln2 is None) is (block.ffn is None) is empty for block in cache.blocks)


@given_every_kind(seeds)
def test_loss_at_the_start_is_about_that_of_guessing(config, seed):
    """What the head reads has a length of at most the root of its size (a norm's rows; or an LSTM's numbers within -1..1), so a
    logit is normal with a deviation of at most 0.02 times that: 7 of those."""
    model = npgpt.make_model(config, seed=seed)
    ids, targets = tokens(np.random.default_rng(seed), config)
    assert abs(model.loss(ids, targets) - math.log(config.vocab_size)) < 7 * INIT_STD * math.sqrt(read_by_the_head(config))


@given_every_kind(seeds)
def test_weights_drawn_by_torch_give_the_same_logits_on_both_sides(config, seed):
    torch.manual_seed(seed)
    drawn_by_torch = {name: 0.1 * torch.randn(shape) for name, shape in weight_shapes(config).items()}
    ours, theirs = npgpt.make_model(config), torchgpt.make_model(config)
    ours.load_state_dict(drawn_by_torch)
    theirs.load_state_dict(drawn_by_torch)
    theirs64 = torchgpt.make_model(config, dtype="float64")
    theirs64.load_state_dict(drawn_by_torch)
    ids, _ = tokens(np.random.default_rng(seed), config)
    assert_model_parity(*({"logits": as_numpy(model(ids))} for model in (ours, theirs, theirs64)), "float32")


@given_every_kind(seeds, dtypes)
def test_weights_survive_the_way_to_torch_and_back(config, seed, dtype):
    ours = npgpt.make_model(config, seed=seed, dtype=dtype)
    back = torchgpt.to_numpy(torchgpt.from_numpy(ours))
    assert back.dtype == dtype and back.config == config
    assert all(np.array_equal(weight, back.state_dict()[name]) for name, weight in ours.state_dict().items())


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_head_shows_its_whole_pattern_however_long_the_sequence(backend):
    config = GPTConfig(5, 1, 2, 8, 150, qkv_bias=True)  # longer than a block of queries
    model, rng = backend.GPTModel(config, dtype="float64"), np.random.default_rng(0)
    model.load_state_dict(random_weights(rng, config, 0.3))  # so that no bias is 0
    ids = rng.integers(5, size=(2, 150))
    trace = model.trace(ids)
    for head in range(2):
        z, pattern = model.blocks[0].mha.attn_heads[head](trace["blocks.0.ln1"][0])
        assert np.abs(as_numpy(pattern) - as_numpy(trace["blocks.0.pattern"][0])[:, head]).max() <= 8 * eps("float64")
        assert np.abs(as_numpy(z) - as_numpy(trace["blocks.0.z"][0])[:, head]).max() <= 8 * eps("float64")


articles = pytest.mark.parametrize(
    "config",
    [
        GPTConfig.article(train_qkv=True),
        LSTMConfig.article(),
        MambaConfig(32, 1, 3, 12),
        LlamaConfig(32, 1, 1, 3, 12, head_size=2),
    ],
    ids=lambda config: config.kind,
)  # one of each kind, of about the article's size


@articles
@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_deep_copy_is_a_model_of_its_own(backend, config):
    """An array at a time, the copy's layers would keep to weights that its optimiser never changes."""
    model = backend.make_model(config, seed=3, dtype="float64")
    ids, targets = tokens(np.random.default_rng(0), model.config)
    loss = model.loss_and_grad(ids, targets)
    before, gradients = {name: as_numpy(w).copy() for name, w in model.state_dict().items()}, model.gradients()
    twin = copy.deepcopy(model)
    assert twin.dtype == "float64" and twin.loss(ids, targets) == loss
    assert not any(gradient.any() for gradient in twin.gradients().values())
    twin.dropout_rng.random()
    assert twin.dropout_rng.bit_generator.state != model.dropout_rng.bit_generator.state
    twin.loss_and_grad(ids, targets)
    backend.AdamW(twin.parameters(), lr=0.1).step()
    assert twin.loss(ids, targets) < loss
    assert model.loss(ids, targets) == loss
    assert all(np.array_equal(as_numpy(w), before[name]) for name, w in model.state_dict().items())
    assert all(np.array_equal(gradient, gradients[name]) for name, gradient in model.gradients().items())


@given(seeds)
def test_the_sinusoids_are_the_formulas_of_the_paper(seed):
    rng = np.random.default_rng(seed)
    T, C = (int(n) for n in rng.integers(1, 20, 2))
    ours = npgpt.get_position_encoding(T, C, dtype="float64")
    assert ours.shape == (1, T, C)
    for t in range(T):
        for i in range(C // 2):
            angle = t / 10000 ** (2 * i / C)
            assert math.isclose(ours[0, t, 2 * i], math.sin(angle), abs_tol=1e-14)
            assert math.isclose(ours[0, t, 2 * i + 1], math.cos(angle), abs_tol=1e-14)
    if C % 2:
        assert not ours[0, :, -1].any()
    assert np.array_equal(ours, torchgpt.get_position_encoding(T, C, dtype="float64").numpy())


# ------------------------------------------------------------------------------------------- the article's way into the model


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_heads_are_views_into_wqkv(backend):
    config = GPTConfig(16, 1, 3, 6, 5, qkv_bias=True)
    model = backend.GPTModel(config, seed=4)
    mha = model.blocks[0].mha
    for h, head in enumerate(mha.attn_heads):
        for part, view in enumerate((head.Wq, head.Wk, head.Wv)):
            with torch.no_grad():
                view.weight[...] = 100 * part + h
                view.bias[...] = -100 * part - h
    weight, bias = (as_numpy(model.state_dict()[f"blocks.0.mha.Wqkv.{name}"]) for name in ("weight", "bias"))
    expected = np.repeat([0, 1, 2, 100, 101, 102, 200, 201, 202], 2)  # all heads' Q, then K, then V; D = 2 rows each
    assert np.array_equal(weight, np.repeat(expected[:, None], 6, axis=1)) and np.array_equal(bias, -expected)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_walking_through_the_modules_by_hand_gives_the_models_logits(backend):
    config = GPTConfig(16, 2, 2, 6, 5, tie_weights=True)
    model = backend.GPTModel(config, seed=4, dtype="float64")
    ids = np.array([[3, 1, 4, 1, 5]])
    x = model.token_embedding(ids if backend is npgpt else torch.from_numpy(ids)) + model.position_encoding
    for block in model.blocks:
        normed = block.ln1(x)
        outputs, patterns = zip(*(head(normed) for head in block.mha.attn_heads), strict=True)
        assert all(np.allclose(as_numpy(p).sum(-1), 1) and p.shape == (1, 5, 5) for p in patterns)
        attn_out = block.mha.projection(concatenate(outputs))
        assert np.allclose(as_numpy(block.mha(normed)), as_numpy(attn_out), rtol=1e-13, atol=1e-14)
        whole = block(x)
        x = x + attn_out
        x = x + block.ffn(block.ln2(x))
        assert np.allclose(as_numpy(whole), as_numpy(x), rtol=1e-13, atol=1e-14)
    logits = model.head(model.ln_f(x))
    assert np.allclose(as_numpy(logits), as_numpy(model(ids)), rtol=1e-13, atol=1e-14)


def test_the_parts_of_the_other_kinds_are_called_by_hand_too():
    """Each alone, on what a trace shows before it, gives what the trace shows after it; a sequence begins without a past."""
    parts = {
        "llama": [("norm2", "norm2", "resid_mid"), ("ffn", "ffn_out", "norm2")],
        "mamba": [("norm", "norm", "resid_pre"), ("mixer", "mixer_out", "norm"), ("", "resid_post", "resid_pre")],
        "lstm": [("lstm", "h", "embed"), ("", "h", "embed")],
    }
    for kind, rows in parts.items():
        model = npgpt.make_model(EXAMPLES[kind], seed=1, dtype="float64")
        trace = {name: value for name, (value, _) in model.trace([[1, 2, 3], [4, 5, 6]]).items()}
        block = model.blocks[0]
        for part, after, before in rows:
            x = trace[before if before == "embed" else f"blocks.0.{before}"]
            assert np.array_equal((getattr(block, part) if part else block)(x), trace[f"blocks.0.{after}"]), (kind, part)


def concatenate(arrays):
    return torch.cat(arrays, dim=-1) if isinstance(arrays[0], torch.Tensor) else np.concatenate(arrays, axis=-1)


# ------------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, 32]], ValueError, r"^ids must lie in 0\.\.31 .*got 32$"),
        ([[0, -1]], ValueError, "^ids must lie in .* got -1$"),
        ([[0.0, 1.0]], TypeError, "^ids must be integers"),
        ([[True, False]], TypeError, "^ids must be integers"),
        (np.zeros((0, 3), dtype=int), ValueError, "^ids must hold at least one id"),
        (np.zeros((1, 0), dtype=int), ValueError, "^ids must hold at least one id"),
        ([1, 2, 3], ValueError, r"^ids must have the shape \(B, T\), got \(3,\)$"),
    ],
)
@articles
def test_ids_that_do_not_fit_are_refused_by_name(backend, ids, error, message, config):
    model = backend.make_model(config)
    for call in (lambda: model(ids), lambda: model.loss_and_grad(ids, ids), lambda: model.trace(ids)):
        with pytest.raises(error, match=message):
            call()
    assert not any(gradient.any() for gradient in model.gradients().values())


@articles
@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_gpt_and_a_llama_have_a_longest_sequence(backend, config):
    model, ids = backend.make_model(config), [list(range(13))]
    calls = (lambda: model(ids), lambda: model.loss_and_grad(ids, ids), lambda: model.trace(ids))
    for call in calls:
        if config.kind in ("gpt", "llama"):
            with pytest.raises(ValueError, match=r"^ids have 13 positions.*seq_len of 12$"):
                call()
        else:
            call()


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([[1, 32]], ValueError, "targets.*got 32"),
        ([[1, -1]], ValueError, "targets.*got -1"),
        ([[1.0, 2.0]], TypeError, "targets must be integers"),
        ([[1, 2, 3]], ValueError, r"targets have the shape \(1, 3\), .* \(1, 2\)$"),
    ],
)
@articles
def test_targets_that_do_not_fit_are_refused_by_name(backend, targets, error, message, config):
    model = backend.make_model(config)
    for call in (model.loss, model.loss_and_grad, model.trace):
        with pytest.raises(error, match=message):
            call([[0, 1]], targets)
    assert not any(gradient.any() for gradient in model.gradients().values())


@articles
@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_a_state_dict_that_does_not_fit_is_refused_whole(backend, config):
    model = backend.make_model(config, seed=1)
    before = {name: as_numpy(value).copy() for name, value in model.state_dict().items()}
    good = {name: value + 1 for name, value in before.items()}
    *others, last = good
    bad = {
        f"missing {last}": {name: good[name] for name in others},
        "unknown extra": good | {"extra": np.zeros(2)},
        rf"{last} has the shape \(31,\), expected \({good[last].size},\)": good | {last: np.zeros(31)},
        r"token_embedding.weight has the shape \(3, 32\), expected \(32, 3\)": good
        | {"token_embedding.weight": good["token_embedding.weight"].T},
    }
    for message, state_dict in bad.items():
        with pytest.raises(ValueError, match=message):
            model.load_state_dict(state_dict)
        assert all(np.array_equal(before[name], as_numpy(value)) for name, value in model.state_dict().items())
    model.load_state_dict(good)
    assert all(np.array_equal(good[name], as_numpy(value)) for name, value in model.state_dict().items())


def test_inside_another_module_a_state_dict_is_that_modules(config=EXAMPLES["gpt"]):
    """As torch builds it: every name with the module's own before it. Would catch a tied head that stays in it, and tensors
    that are cut off from the parameters where they should not be."""
    model = torchgpt.make_model(config)
    outer = torch.nn.ModuleDict({"language": model})
    assert config.tie_weights and list(outer.state_dict()) == [f"language.{name}" for name in weight_shapes(config)]
    assert not any(value.requires_grad for value in model.state_dict().values())
    kept = outer.state_dict(keep_vars=True)
    assert all(kept[f"language.{name}"] is parameter for name, parameter in model.named_parameters())


def test_in_torch_a_part_may_be_loaded_and_tensors_taken_over(config=EXAMPLES["gpt"]):
    """As torch's own load_state_dict does it. Would catch a tied head that has to be there, or that stays as it was."""
    model = torchgpt.make_model(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for part in ("ln_f.bias", "token_embedding.weight"):
        missing, unexpected = model.load_state_dict({part: before[part] + 1}, strict=False)
        assert part not in missing and set(before) - set(missing) == {part} and not unexpected
        assert all(torch.equal(tensor, before[name] + (name == part)) for name, tensor in model.state_dict().items())
        model.load_state_dict(before)
    new = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in before.items()}
    model.load_state_dict(new, assign=True)
    assert all(parameter is new[name] for name, parameter in model.named_parameters())
    assert model.head.weight is model.token_embedding.weight


def test_in_torch_ids_of_any_integers_become_int64_and_stay_where_they_are(config=EXAMPLES["gpt"]):
    model, (ids, targets) = torchgpt.make_model(config), np.random.default_rng(0).integers(23, size=(2, 3, 5))
    for integers in (np.uint8, np.int32):
        assert model.loss(ids.astype(integers), targets.astype(integers)) == model.loss(ids, targets)
        narrow = (torch.from_numpy(each.astype(integers)) for each in (ids, targets))
        assert model.loss(*narrow) == model.loss(ids, targets)
    there = torch.from_numpy(ids)
    assert model.checked(there) is there  # no copy, and on a GPU no way to the CPU and back
    ids.setflags(write=False)
    assert model.checked(ids).dtype == torch.int64  # from a text that is mapped into memory, without torch's warning


def test_on_a_gpu_ids_come_from_pinned_memory_and_nobody_waits(monkeypatch):
    """With stand-ins for the GPU's memory."""
    model, carried = torchgpt.GPTModel(GPTConfig.article()), []
    model.device = torch.device("cuda", 1)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: (carried.append("pinned"), tensor)[1])
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *where, **how: (carried.append((where, how)), tensor)[1])
    assert model.checked([[1, 2]]).tolist() == [[1, 2]]
    assert carried == ["pinned", ((model.device,), {"non_blocking": True})]


def test_numpy_computes_on_the_cpu_and_nowhere_else(config=EXAMPLES["gpt"]):
    """Under the name of the twin's function, so that a script need not know the backend."""
    cpu = torch.device("cpu")
    assert npgpt.pick_device() == npgpt.pick_device("auto") == npgpt.pick_device("cpu") == npgpt.pick_device(cpu) == "cpu"
    makers = (npgpt.GPTModel, npgpt.make_model)
    assert {make(config, *device).device for make in makers for device in ((), ("auto",), ("cpu",))} == {"cpu"}
    for device in ("cuda", "cpu:1", ""):
        for call in (
            lambda device=device: npgpt.pick_device(device),
            lambda device=device: npgpt.GPTModel(config, device),
            lambda device=device: npgpt.make_model(config, device),
            lambda device=device: npgpt.get_position_encoding(2, 4, device=device),
        ):
            with pytest.raises(ValueError, match=rf"^device must be 'auto' or 'cpu' for NumPy, got '{device}'; torchgpt"):
                call()


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_unknown_dtypes_are_refused(backend):
    with pytest.raises(ValueError, match=r"dtype must be one of float32, float64.*; got 'float16'"):
        backend.GPTModel(GPTConfig.article(), dtype="float16")
