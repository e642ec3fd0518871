"""LSTM, Mamba and Llama against models that are not ours, with the same weights: torch.nn.LSTM; transformers' MambaForCausalLM,
LlamaForCausalLM and Qwen2ForCausalLM; and a Llama as its papers' formulas say it, head by head.

Both sides of this repository are asked: logits, loss and every gradient, in float64. All weights get noise, since biases start
at 0 and D at 1: a loader that lost one would pass else.
"""

import dataclasses
import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from safetensors.numpy import save_file
from torch import nn

import npgpt
import torchgpt
from npgpt import LlamaConfig, MambaConfig

from .strategies import EXAMPLES, llama_configs, lstm_configs, mamba_configs, random_weights, seeds, tokens, weight_shapes
from .tolerances import as_numpy, model_errors

NEAR = 1e-13  # of the largest element, or of a thousandth of the largest of all
# Of a Llama's gradients: with one key to look at, or equal ones, a query's gradient is 0, and torch's fused attention (the
# twin's, and transformers') leaves rounding errors of the values' size there, where a thousandth of the largest is the scale.
NEAR_IN_ATTENTION = 1e-12
some = settings(max_examples=max(10, settings().max_examples // 5))


def ours_with(config, weights):
    """Both sides with those weights, in float64."""
    models = [backend.make_model(config, dtype="float64") for backend in (npgpt, torchgpt)]
    for model in models:
        model.load_state_dict(weights)
    return models


def assert_equals_the_oracle(model, logits, loss, gradients, ids, targets, near=NEAR):
    """model : ours. The rest : the oracle's, the gradients under our names and in our order."""
    assert model.loss_and_grad(ids, targets) == pytest.approx(loss, rel=1e-14)
    assert model_errors({"logits": as_numpy(model(ids))}, {"logits": logits})["logits"] <= NEAR
    assert list(model.gradients()) == list(gradients)
    errors = model_errors(model.gradients(), gradients)
    assert max(errors.values()) <= near, errors


# ---------------------------------------------------------------------------------------------------------------- torch.nn.LSTM


class Oracle(nn.Module):
    """What anybody would write in PyTorch: an embedding, an nn.LSTM of n layers, a linear head."""

    def __init__(self, config):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.lstm = nn.LSTM(config.n_embd, config.n_hidden, config.n_layer, batch_first=True)
        self.head = nn.Linear(config.n_hidden, config.vocab_size, bias=config.head_bias)
        if config.tie_weights:
            self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.lstm(self.embedding(ids))[0])


def in_nn_lstm(name: str) -> str:
    """Our name of a weight -> the oracle's."""
    if not name.startswith("blocks."):
        return name.removeprefix("token_")
    _, i, _, part = name.split(".")
    return f"lstm.{part}_l{i}"


def asked(oracle, names: dict[str, str], ids, targets):
    """logits, loss and gradients (by our names) of an oracle. names : ours -> its."""
    logits = oracle(torch.from_numpy(ids))
    loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    loss.backward()
    parameters = dict(oracle.named_parameters())
    gradients = {ours: parameters[its].grad.numpy() for ours, its in names.items()}
    assert len(parameters) == len(gradients)  # nothing of it is left out
    return logits.detach().numpy(), loss.item(), gradients


@some
@given(lstm_configs(), seeds)
def test_an_lstm_equals_torchs_own_of_several_layers(config, seed):
    rng = np.random.default_rng(seed)
    weights, (ids, targets) = random_weights(rng, config, 0.5), tokens(rng, config)
    oracle, names = Oracle(config).double(), {name: in_nn_lstm(name) for name in weights}
    state = {its: torch.from_numpy(weights[ours]) for ours, its in names.items()}
    oracle.load_state_dict(state | ({"head.weight": state["embedding.weight"]} if config.tie_weights else {}))
    answer = asked(oracle, names, ids, targets)
    for model in ours_with(config, weights):
        assert_equals_the_oracle(model, *answer, ids, targets)


@some
@given(lstm_configs(), seeds)
def test_an_lstm_takes_over_the_weights_that_torchs_own_has(config, seed):
    """The other way round; and the state that nn.LSTM hands on is the one that ours carries along."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    oracle = Oracle(config).double()
    state = oracle.state_dict()
    ids, _ = tokens(rng, config, batch_size=2, length=6)
    with torch.no_grad():
        logits = oracle(torch.from_numpy(ids)).numpy()
        _, (h, c) = oracle.lstm(oracle.embedding(torch.from_numpy(ids[:, :4])))
    for backend in (npgpt, torchgpt):
        model = backend.make_model(config, dtype="float64")
        model.load_state_dict({name: state[in_nn_lstm(name)].numpy() for name in model.state_dict()})
        past = model.remember(2)
        model.next_logits(ids[:, :4], past)
        for i, (own_h, own_c) in enumerate(past):
            assert np.abs(as_numpy(own_h) - h[i].numpy()).max() <= NEAR and np.abs(as_numpy(own_c) - c[i].numpy()).max() <= NEAR
        last = as_numpy(model.next_logits(ids[:, 4:], past))
        assert np.abs(last - logits[:, -1]).max() <= NEAR and np.abs(as_numpy(model(ids)) - logits).max() <= NEAR


# ---------------------------------------------------------------------------------------------------------- transformers' Mamba


def in_transformers(name: str) -> str:
    """Our name of a weight -> that in MambaForCausalLM."""
    name = name.replace("token_embedding", "embeddings").replace("blocks.", "layers.")
    return "lm_head.weight" if name == "head.weight" else "backbone." + name


def as_transformers(package, config: MambaConfig):
    """Our config as theirs. It knows no bias of the head, and whole numbers of `expand`. residual_in_fp32 would round."""
    return package.MambaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.n_embd,
        num_hidden_layers=config.n_layer,
        state_size=config.d_state,
        conv_kernel=config.d_conv,
        expand=int(config.expand),
        time_step_rank=config.dt_size,
        use_conv_bias=config.conv_bias,
        tie_word_embeddings=config.tie_weights,
        residual_in_fp32=False,
        eos_token_id=None,
    )


@contextmanager
def without_casts():
    """transformers casts A, D, dt's bias, B, u, the norms, the logits and RoPE's angles to float32, even in a float64 model:
    within, nothing is cast to float32. Around its forward alone, never around ours."""
    right = torch.Tensor.float, torch.Tensor.to
    torch.Tensor.float = lambda self: self if self.is_floating_point() else self.double()

    def to(self, *args, **options):
        return self if torch.float32 in (*args, options.get("dtype")) else right[1](self, *args, **options)

    torch.Tensor.to = to
    try:
        yield
    finally:
        torch.Tensor.float, torch.Tensor.to = right


def reference(package, config, state=None):
    """transformers' model in float64 on its reference path, which is what it takes where no kernels are installed."""
    model = package.MambaForCausalLM(as_transformers(package, config)).double().eval()
    if state is not None:
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert unexpected == [] and missing == (["lm_head.weight"] if config.tie_weights else [])
        model.tie_weights()
    return model


def logits_of(model, ids):
    with without_casts():
        return model(ids, use_cache=False).logits


def speakable(config: MambaConfig) -> MambaConfig:
    """The config, but for what transformers cannot say."""
    return dataclasses.replace(config, head_bias=False, expand=max(1, round(config.expand)))


@some
@given(config=mamba_configs(), seed=seeds)
def test_a_mamba_equals_transformers(transformers, config, seed):
    config, rng = speakable(config), np.random.default_rng(seed)
    weights, (ids, targets) = random_weights(rng, config, 0.3), tokens(rng, config)
    names = {name: in_transformers(name) for name in weights}
    theirs = reference(transformers, config, {its: torch.from_numpy(weights[name]) for name, its in names.items()})

    class Asked(nn.Module):
        def forward(self, ids):
            return logits_of(theirs, ids)

        def named_parameters(self):
            return theirs.named_parameters()

    answer = asked(Asked(), names, ids, targets)
    for model in ours_with(config, weights):
        assert_equals_the_oracle(model, *answer, ids, targets)


@some
@given(config=mamba_configs(), seed=seeds)
def test_a_mamba_takes_over_the_weights_that_transformers_has(transformers, config, seed):
    """The other way round: its own initial weights, with noise."""
    config, rng = speakable(config), np.random.default_rng(seed)
    torch.manual_seed(seed)
    theirs = reference(transformers, config)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        ids, _ = tokens(rng, config)
        logits = logits_of(theirs, torch.from_numpy(ids)).numpy()
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    for backend in (npgpt, torchgpt):
        model = backend.make_model(config, dtype="float64")
        model.load_state_dict({name: state[in_transformers(name)] for name in model.state_dict()})
        assert model_errors({"logits": as_numpy(model(ids))}, {"logits": logits})["logits"] <= NEAR
    left_over = set(state) - {in_transformers(name) for name in weight_shapes(config)}
    assert left_over == ({"lm_head.weight"} if config.tie_weights else set())


@pytest.mark.parametrize("tie_weights", [True, False])
def test_transformers_loads_a_folder_of_our_weights_and_writes_the_same_text(transformers, tie_weights, tmp_path):
    """By its own loader, which says what it missed and what it did not expect; with its casts to float32 as they are, the
    logits agree to float32's accuracy. Its generation, from its cache, is ours from a state."""
    config = dataclasses.replace(speakable(EXAMPLES["mamba"]), tie_weights=tie_weights)
    rng = np.random.default_rng(1)
    weights = random_weights(rng, config, 0.5)
    save_file(
        {in_transformers(name): value for name, value in weights.items()}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    content = as_transformers(transformers, config).to_dict() | {"architectures": ["MambaForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(content))
    theirs, loaded = transformers.MambaForCausalLM.from_pretrained(tmp_path, output_loading_info=True, dtype=torch.float64)
    assert not any(loaded.values()), loaded
    theirs.eval()
    ids, _ = tokens(rng, config, batch_size=2, length=9)
    with torch.no_grad():
        logits, cast = logits_of(theirs, torch.from_numpy(ids)).numpy(), theirs(torch.from_numpy(ids)).logits.numpy()
    prompt = torch.from_numpy(ids)  # without the mask, id 0 would be taken for padding
    text = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False).numpy()
    for model in ours_with(config, weights):
        assert np.abs(as_numpy(model(ids)) - logits).max() <= NEAR * np.abs(logits).max()
        assert np.abs(as_numpy(model(ids)) - cast).max() <= 1e-6 * np.abs(logits).max()
        backend = npgpt if model.backend == "npgpt" else torchgpt
        assert np.array_equal(as_numpy(backend.generate(model, ids, 8)), text)


# ------------------------------------------------------------------------------------------ a Llama as its papers' formulas say


class Formulas(nn.Module):
    """A Llama in plain torch, from the papers: one head after the other, turned as complex numbers. It has our names."""

    def __init__(self, config: LlamaConfig, weights):
        super().__init__()
        self.config, self.names = config, list(weights)
        self.weights = nn.ParameterList(nn.Parameter(torch.from_numpy(w)) for w in weights.values())

    def named_parameters(self):
        return zip(self.names, self.weights, strict=True)

    def forward(self, ids):
        c, w = self.config, dict(self.named_parameters())
        H, K, D, T = c.n_head, c.n_kv_head or c.n_head, c.head_size or c.n_embd // c.n_head, ids.shape[1]
        frequency = torch.tensor([c.rope_theta ** (-2 * i / D) for i in range(D // 2)], dtype=torch.float64)
        turn = torch.polar(torch.ones(T, D // 2, dtype=torch.float64), torch.outer(torch.arange(T).double(), frequency))

        def norm(x, weight):
            return x / (x.square().sum(-1, keepdim=True) / c.n_embd + c.norm_eps).sqrt() * weight

        def rows(x, name, head, turned):
            """What one head's D rows of that matrix make of x; turned by position."""
            own = slice(head * D, head * D + D)
            y = x @ w[name + ".weight"][own].T + (w[name + ".bias"][own] if c.qkv_bias else 0)
            if not turned:
                return y
            y = torch.complex(y[..., : D // 2], y[..., D // 2 :]) * turn
            return torch.cat([y.real, y.imag], dim=-1)

        x = w["token_embedding.weight"][ids]
        for i in range(c.n_layer):
            block, heads = f"blocks.{i}.", []
            normed = norm(x, w[block + "norm1.weight"])
            for h in range(H):
                asked = h * K // H  # heads 0..H/K - 1 ask key head 0
                q, k = rows(normed, block + "mha.Wq", h, True), rows(normed, block + "mha.Wk", asked, True)
                scores = torch.einsum("btd,bsd->bts", q, k) / D**0.5 + torch.full((T, T), -torch.inf).triu(1)
                heads.append(scores.softmax(-1) @ rows(normed, block + "mha.Wv", asked, False))
            x = x + torch.cat(heads, dim=-1) @ w[block + "mha.projection.weight"].T
            normed = norm(x, w[block + "norm2.weight"])
            gate, up = (normed @ w[f"{block}ffn.{name}.weight"].T for name in ("gate", "up"))
            x = x + (gate / (1 + (-gate).exp()) * up) @ w[block + "ffn.down.weight"].T
        head = w["token_embedding.weight" if c.tie_weights else "head.weight"]
        return norm(x, w["norm_f.weight"]) @ head.T


@some
@given(llama_configs(), seeds)
def test_a_llama_equals_the_formulas(config, seed):
    rng = np.random.default_rng(seed)
    weights, (ids, targets) = random_weights(rng, config, 0.3), tokens(rng, config)
    answer = asked(Formulas(config, weights), {name: name for name in weights}, ids, targets)
    for model in ours_with(config, weights):
        assert_equals_the_oracle(model, *answer, ids, targets, NEAR_IN_ATTENTION)


# ---------------------------------------------------------------------------------------------------------- transformers' Llama

IN_LLAMA = {
    "token_embedding": "embed_tokens",
    "blocks": "layers",
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
}
IN_LLAMA |= {"mha": "self_attn", "Wq": "q_proj", "Wk": "k_proj", "Wv": "v_proj", "projection": "o_proj"}
IN_LLAMA |= {"ffn": "mlp", "gate": "gate_proj", "up": "up_proj", "down": "down_proj", "norm_f": "norm"}


def in_llama(name: str) -> str:
    """Our name of a weight -> that in LlamaForCausalLM and Qwen2ForCausalLM."""
    return "lm_head.weight" if name == "head.weight" else ".".join(["model", *(IN_LLAMA.get(p, p) for p in name.split("."))])


def a_multiple(config: LlamaConfig) -> LlamaConfig:
    """The config with a width that transformers takes: a multiple of the heads, whatever their size."""
    return dataclasses.replace(config, n_embd=config.n_head * -(-config.n_embd // config.n_head), head_size=config.head_width)


def llama_in_transformers(package, config: LlamaConfig):
    """Their model of our config, in float64. With biases of q, k and v it is a Qwen2; Llama's option would add a fourth."""
    options = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "intermediate_size": config.ffn_size,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tie_weights,
        "attn_implementation": "sdpa",  # the eager one casts inside softmax
        **dict.fromkeys(["bos_token_id", "eos_token_id", "pad_token_id"]),
    }
    kind = "Qwen2" if config.qkv_bias else "Llama"
    return getattr(package, f"{kind}ForCausalLM")(getattr(package, f"{kind}Config")(**options)).double().eval()


@some
@given(config=llama_configs(), seed=seeds)
def test_a_llama_equals_transformers(transformers, config, seed):
    """To float32's accuracy as it is; to float64's where nothing is cast, and the frequencies, which it keeps in float32, are
    computed again."""
    config, rng = a_multiple(config), np.random.default_rng(seed)
    weights, (ids, targets) = random_weights(rng, config, 0.3), tokens(rng, config)
    names = {name: in_llama(name) for name in weights}
    theirs = llama_in_transformers(transformers, config)
    missing, unexpected = theirs.load_state_dict({its: torch.from_numpy(weights[n]) for n, its in names.items()}, strict=False)
    assert unexpected == [] and missing == (["lm_head.weight"] if config.tie_weights else [])
    theirs.tie_weights()
    cast = theirs(torch.from_numpy(ids), use_cache=False).logits.detach().numpy()
    D = config.head_width
    theirs.model.rotary_emb.inv_freq = config.rope_theta ** -(torch.arange(0, D, 2, dtype=torch.float64) / D)

    class Asked(nn.Module):
        def forward(self, ids):
            return logits_of(theirs, ids)

        def named_parameters(self):
            return theirs.named_parameters()

    answer = asked(Asked(), names, ids, targets)
    for model in ours_with(config, weights):
        assert_equals_the_oracle(model, *answer, ids, targets, NEAR_IN_ATTENTION)
        assert np.abs(as_numpy(model(ids)) - cast).max() <= 1e-5 * np.abs(cast).max()


@pytest.mark.parametrize("qkv_bias", [False, True])
def test_transformers_writes_the_same_text_as_a_llama(transformers, qkv_bias):
    """From its own cache of keys and values, as we from ours."""
    config = dataclasses.replace(a_multiple(EXAMPLES["llama"]), seq_len=20, qkv_bias=qkv_bias)
    rng = np.random.default_rng(1)
    weights = random_weights(rng, config, 0.5)
    theirs = llama_in_transformers(transformers, config)
    theirs.load_state_dict({in_llama(name): torch.from_numpy(w) for name, w in weights.items()}, strict=False)
    theirs.tie_weights()
    prompt = torch.from_numpy(rng.integers(config.vocab_size, size=(2, 6)))
    text = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=14, do_sample=False).numpy()
    assert text.shape == (2, 20)
    for model in ours_with(config, weights):
        backend = npgpt if model.backend == "npgpt" else torchgpt
        assert np.array_equal(as_numpy(backend.generate(model, prompt.numpy(), 14)), text)
