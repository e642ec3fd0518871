"""Folders of Hugging Face's transformers, in and out, without a download: its own models with random weights are the oracle.

All weights get noise before they are compared, since biases start at 0 and norms at 1: a loader that lost one would pass else.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch_file

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig
from npgpt.pretrained import MODEL_TYPES, folders, is_pretrained, read_pretrained, there

from .strategies import random_weights, seeds
from .test_oracles import NEAR, without_casts
from .tolerances import as_numpy, assert_model_parity, model_errors

BACKENDS = [npgpt, torchgpt]
each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)
some = settings(max_examples=max(8, settings().max_examples // 10), suppress_health_check=[HealthCheck.function_scoped_fixture])

# --------------------------------------------------------------------------------------------------------- transformers -> ours


@st.composite
def gpt2_fields(draw) -> dict:
    n_head = draw(st.sampled_from([1, 2, 3]))
    return {
        "model_type": "gpt2",
        "vocab_size": draw(st.integers(5, 40)),
        "n_positions": draw(st.integers(4, 12)),
        "n_embd": n_head * draw(st.sampled_from([5, 8])),
        "n_layer": draw(st.integers(1, 3)),
        "n_head": n_head,
        "n_inner": draw(st.sampled_from([None, 1, 7])),
        "activation_function": draw(st.sampled_from(["gelu_new", "gelu_pytorch_tanh"])),
        "tie_word_embeddings": draw(st.booleans()),
        "reorder_and_upcast_attn": draw(st.booleans()),  # which only eager attention in float16 would notice
    }


@st.composite
def mamba_fields(draw) -> dict:
    fields = {
        "model_type": "mamba",
        "vocab_size": draw(st.integers(5, 40)),
        "hidden_size": draw(st.integers(4, 9)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "state_size": draw(st.sampled_from([1, 3, 16])),
        "conv_kernel": draw(st.integers(1, 4)),
        "expand": draw(st.sampled_from([1, 2, 3])),
        "time_step_rank": draw(st.sampled_from(["auto", 1, 3])),
        "use_conv_bias": draw(st.booleans()),
        "tie_word_embeddings": draw(st.booleans()),
    }
    return fields | draw(st.sampled_from([{}, {"intermediate_size": 6}]))  # which is not expand * hidden_size


ANY_FIELDS = {"gpt2": gpt2_fields(), "mamba": mamba_fields()}
GPT2 = {"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6, "n_layer": 2, "n_head": 2}
MAMBA = {"model_type": "mamba", "vocab_size": 11, "hidden_size": 6, "num_hidden_layers": 2, "state_size": 3}
SMALL = {"gpt2": GPT2, "mamba": MAMBA}
each_type = pytest.mark.parametrize("model_type", SMALL)


def their_model(package, fields: dict, seed: int = 0, dtype=torch.float64, with_head: bool = True):
    """transformers' model with random weights; nothing of it is 0 or 1."""
    nothing = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    config = package.AutoConfig.for_model(**fields | nothing)
    config.residual_in_fp32 = False  # a cast that would round
    model = (package.AutoModelForCausalLM if with_head else package.AutoModel).from_config(config).to(dtype).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def their_logits(model, ids) -> torch.Tensor:
    """Without its casts to float32. A model without a head gets the one that its embedding is."""
    with without_casts():
        out = model(torch.from_numpy(ids), use_cache=False)
        return out.logits if hasattr(out, "logits") else F.linear(out.last_hidden_state, model.get_input_embeddings().weight)


def their_answer(model, config, ids, targets) -> tuple[dict, dict]:
    """Logits and loss; and the gradients under our names and in our order, those of a tied head in the embedding's."""
    logits = their_logits(model, ids)
    loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    model.zero_grad()
    loss.backward()
    family, parameters = MODEL_TYPES[model.config.model_type], dict(model.named_parameters())
    gradients = {}
    for name in npgpt.models.layout_of(config):
        their_name, transposed = there(family, name)
        gradient = parameters.pop(their_name if their_name in parameters else their_name.removeprefix(family.PREFIX)).grad
        gradients[name] = (gradient.T if transposed else gradient).numpy().copy()
    assert not parameters  # nothing of it is left out
    return {"logits": logits.detach().numpy(), "loss": loss.detach().numpy()}, gradients


def batch(fields: dict, seed: int = 0):
    longest = min(9, fields.get("n_positions", 9))
    return np.random.default_rng(seed).integers(fields["vocab_size"], size=(2, 2, longest))


@each_type
def test_a_folder_of_transformers_gives_its_logits_and_all_its_gradients(transformers, model_type, tmp_path):
    @some
    @given(ANY_FIELDS[model_type], seeds, st.booleans(), st.sampled_from(["1KB", "5GB"]))
    def check(fields, seed, with_head, shard):
        with_head = with_head or not fields["tie_word_embeddings"]
        theirs, (ids, targets) = their_model(transformers, fields, seed, with_head=with_head), batch(fields, seed)
        folder = tmp_path / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        theirs.save_pretrained(folder, max_shard_size=shard)
        config, _ = read_pretrained(folder)
        assert config.tie_weights == fields["tie_word_embeddings"] and config.dropout == 0
        right, own = (their_answer(theirs.to(dtype), config, ids, targets) for dtype in (torch.float64, torch.float32))
        for backend in BACKENDS:
            model = backend.load_pretrained(folder, dtype="float64")
            loss = np.array(model.loss_and_grad(ids, targets))
            ours = {"logits": as_numpy(model(ids)), "loss": loss}, model.gradients()
            for mine, float32, float64 in zip(ours, own, right, strict=True):
                assert_model_parity(mine, float32, float64, "float64")

    check()


@each_type
@each_backend
def test_in_float32_logits_are_within_the_bound_of_a_whole_model(transformers, model_type, backend, tmp_path):
    for seed in range(5):
        theirs, (ids, _) = their_model(transformers, SMALL[model_type], seed, torch.float32), batch(SMALL[model_type], seed)
        theirs.save_pretrained(tmp_path)
        with torch.no_grad():
            own = {"logits": theirs(torch.from_numpy(ids), use_cache=False).logits.numpy()}
            right = {"logits": their_logits(theirs.double(), ids).numpy()}
        ours = {"logits": as_numpy(backend.load_pretrained(tmp_path)(ids))}
        assert_model_parity(ours, own, right, "float32")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_weights_of_any_width_are_read_exactly(transformers, dtype, tmp_path):
    theirs = their_model(transformers, GPT2, dtype=getattr(torch, dtype))
    theirs.save_pretrained(tmp_path)
    state = theirs.state_dict()
    for backend in BACKENDS:
        for ours in ("float32", "float64"):
            for name, value in backend.load_pretrained(tmp_path, dtype=ours).state_dict().items():
                their_name, transposed = there(MODEL_TYPES["gpt2"], name)
                expected = state[their_name].to(getattr(torch, ours)).numpy()
                assert np.array_equal(as_numpy(value), expected.T if transposed else expected), name


@each_type
def test_a_field_that_is_not_given_has_transformers_default(transformers, model_type):
    theirs = transformers.AutoConfig.for_model(model_type)
    theirs.time_step_rank = "auto"  # a number by now, by the same rule as here
    family = MODEL_TYPES[model_type]
    assert theirs.tie_word_embeddings is True
    for name, default in family.DEFAULTS.items():
        if name != "intermediate_size":  # theirs is made of the other two
            assert getattr(theirs, name) == default, name
    config = family.config_here({"model_type": model_type}, tied=True)
    assert {"gpt2": config == GPTConfig.gpt2(), "mamba": config == MambaConfig(50280, 32, 768, 2048)}[model_type]
    assert getattr(family, "ALIASES", {}) == {
        name: alias for name, alias in type(theirs).attribute_map.items() if alias in family.DEFAULTS
    }


# ----------------------------------------------------------------------------------------------- ours -> transformers, and back


@st.composite
def configs_of_both(draw):
    """Configs that both sides can say."""
    n_head, C, tied = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([6, 12])), draw(st.booleans())
    if draw(st.booleans()):
        hidden = draw(st.sampled_from([None, 5]))
        own = {"position": "learned", "qkv_bias": True, "head_bias": False, "tie_weights": tied, "init_std": 0.1}
        return GPTConfig(13, draw(st.integers(1, 3)), n_head, C, 9, ffn_hidden=hidden, **own)
    sizes = {
        "d_state": draw(st.sampled_from([1, 4])),
        "d_conv": draw(st.integers(1, 4)),
        "expand": draw(st.sampled_from([1, 2, 1.5])),
    }
    return MambaConfig(
        13, 2, C, 7, **sizes, dt_rank=draw(st.sampled_from([None, 3])), conv_bias=draw(st.booleans()), tie_weights=tied
    )


@some
@given(config=configs_of_both(), seed=seeds)
def test_transformers_loads_what_either_backend_writes(transformers, config, seed, tmp_path):
    ids = np.random.default_rng(seed).integers(config.vocab_size, size=(2, 6))
    model = npgpt.make_model(config, dtype="float64")
    model.load_state_dict(random_weights(np.random.default_rng(seed), config, 0.3))
    for each in (model, torchgpt.from_numpy(model)):
        folder = tmp_path / each.backend
        npgpt.backend("numpy" if each is model else "torch").save_pretrained(each, folder)
        theirs, loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        assert not any(loaded.values()), loaded
        assert theirs.dtype == torch.float64 and sum(p.numel() for p in theirs.parameters()) == model.num_parameters()
        theirs.eval()
        with torch.no_grad():
            logits = their_logits(theirs, ids).numpy()
        assert model_errors({"logits": model(ids)}, {"logits": logits})["logits"] <= NEAR
    assert (tmp_path / "npgpt/model.safetensors").read_bytes() == (tmp_path / "torchgpt/model.safetensors").read_bytes()


@each_type
def test_its_generation_is_ours(transformers, model_type, tmp_path):
    theirs, (ids, _) = their_model(transformers, SMALL[model_type], dtype=torch.float32), batch(SMALL[model_type])
    theirs.save_pretrained(tmp_path)
    prompt = torch.from_numpy(ids[:, :3])
    text = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=5, do_sample=False).numpy()
    for backend in BACKENDS:
        assert np.array_equal(as_numpy(backend.generate(backend.load_pretrained(tmp_path), ids[:, :3], 5)), text)


@some
@given(configs_of_both(), seeds, st.sampled_from(["float32", "float64"]))
def test_out_and_in_again_is_bit_for_bit_the_same(tmp_path, config, seed, dtype):
    for backend in BACKENDS:
        folder = tmp_path / backend.__name__
        shutil.rmtree(folder, ignore_errors=True)
        model = backend.make_model(config, seed=seed, dtype=dtype)
        backend.save_pretrained(model, folder)
        for reader in BACKENDS:
            again = reader.load_pretrained(folder, dtype=dtype)
            assert again.config == config
            for name, value in model.state_dict().items():
                assert np.array_equal(as_numpy(value), as_numpy(again.state_dict()[name])), name


def test_dropout_is_written_for_others_and_not_read():
    """A model is loaded to be asked. Whoever trains it says how."""
    config = dataclasses.replace(GPTConfig.gpt2(), dropout=0.25)
    fields = MODEL_TYPES["gpt2"].config_there(config)
    assert fields["resid_pdrop"] == fields["embd_pdrop"] == fields["attn_pdrop"] == 0.25
    assert MODEL_TYPES["gpt2"].config_here(fields, tied=True) == GPTConfig.gpt2()


# ------------------------------------------------------------------------------------------------------- what folders look like


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small GPT-2, written by us; what transformers writes was compared above."""
    config = GPTConfig(11, 2, 2, 6, 8, position="learned", qkv_bias=True, tie_weights=True, head_bias=False)
    model = npgpt.make_model(config)
    model.load_state_dict(random_weights(np.random.default_rng(0), config, 0.3))
    npgpt.save_pretrained(model, tmp_path / "gpt")
    return tmp_path / "gpt"


def change_config(folder: Path, **changes) -> None:
    fields = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({name: value for name, value in fields.items() if value != "gone"}))


def change_weights(folder: Path, change) -> None:
    """change(dict of arrays) changes the file."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / "model.safetensors")


def in_two_files(folder: Path) -> None:
    """The same weights, with an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {"model-00001-of-00002.safetensors": list(tensors)[:7], "model-00002-of-00002.safetensors": list(tensors)[7:]}
    for file, names in files.items():
        save_file({name: tensors[name] for name in names}, folder / file)
    places = {name: file for file, names in files.items() for name in names}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@each_backend
def test_what_older_folders_hold_besides(backend, folder):
    """No prefix, causal masks among the weights, the fields' other names."""
    before = backend.load_pretrained(folder)

    def older(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for i in range(2):
            tensors[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 8, 8), bool))
            tensors[f"h.{i}.attn.masked_bias"] = np.array(-1e4, np.float32)

    change_weights(folder, older)
    change_config(folder, n_embd="gone", hidden_size=6, n_head="gone", num_attention_heads=2, n_ctx=8)
    after = backend.load_pretrained(folder)
    assert after.config == before.config
    assert all(torch.equal(torch.as_tensor(v), torch.as_tensor(after.state_dict()[k])) for k, v in before.state_dict().items())


def test_a_mambas_older_name_of_the_embedding(tmp_path):
    model = npgpt.make_model(MambaConfig(11, 1, 4, 6))
    npgpt.save_pretrained(model, tmp_path)
    change_weights(tmp_path, lambda t: t.update({"backbone.embedding.weight": t.pop("backbone.embeddings.weight")}))
    assert np.array_equal(npgpt.load_pretrained(tmp_path).token_embedding.weight, model.token_embedding.weight)


@each_backend
@pytest.mark.parametrize("case", ["equal", "other numbers", "another shape", "head alone", "not tied"])
def test_a_stored_head(transformers, backend, folder, case):
    table = load_file(folder / "model.safetensors")["transformer.wte.weight"]
    head = np.random.default_rng(1).standard_normal(table.shape, dtype=np.float32)
    changes = {
        "equal": lambda t: t.update({"lm_head.weight": table}),
        "other numbers": lambda t: t.update({"lm_head.weight": head}),
        "another shape": lambda t: t.update({"lm_head.weight": head[1:]}),
        "head alone": lambda t: t.update({"lm_head.weight": t.pop("transformer.wte.weight")}),
        "not tied": lambda t: t.update({"lm_head.weight": table}),
    }
    change_weights(folder, changes[case])
    change_config(folder, tie_word_embeddings=case != "not tied")
    if case == "another shape":
        with pytest.raises(ValueError, match=r"lm_head\.weight has the shape \(10, 6\), expected \(11, 6\)"):
            backend.load_pretrained(folder)
        return
    model, (ids, _) = backend.load_pretrained(folder), batch(GPT2)
    assert model.config.tie_weights == (case in ("equal", "head alone"))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids)).logits.numpy()
    assert np.abs(as_numpy(model(ids)) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_several_files_are_one_folder_and_a_single_one_comes_first(folder):
    before = npgpt.load_pretrained(folder).state_dict()
    whole = (folder / "model.safetensors").read_bytes()
    in_two_files(folder)
    after = npgpt.load_pretrained(folder).state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    (folder / "model.safetensors").write_bytes(whole)
    (folder / "model.safetensors.index.json").write_text("not looked at")
    npgpt.load_pretrained(folder)


@each_backend
def test_a_shorter_context_takes_the_first_positions(backend, folder):
    whole = backend.load_pretrained(folder, dtype="float64")
    config, weights = read_pretrained(folder, seq_len=3)
    cut = backend.make_model(config, dtype="float64", weights=weights)
    ids = np.array([[1, 2, 3]])
    assert cut.config == dataclasses.replace(whole.config, seq_len=3) and np.array_equal(
        as_numpy(cut(ids)), as_numpy(whole(ids))
    )
    assert read_pretrained(folder, seq_len=8)[0] == whole.config
    for seq_len, message in ((9, "has a context of 8 tokens, which cannot become 9"), (0, "seq_len must be at least 1")):
        with pytest.raises(ValueError, match=message):
            read_pretrained(folder, seq_len=seq_len)


def test_a_mambas_window_of_training_may_be_longer(tmp_path):
    """It has no longest sequence."""
    npgpt.save_pretrained(npgpt.make_model(MambaConfig(11, 1, 4, 6)), tmp_path)
    assert read_pretrained(tmp_path, seq_len=60)[0] == MambaConfig(11, 1, 4, 60)


@each_type
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_what_is_read_in_pieces_is_the_whole(transformers, model_type, dtype, tmp_path, monkeypatch):
    """With pieces of one row, of some, and of all rows. Would catch a piece that is read twice, left out or put elsewhere."""
    their_model(transformers, SMALL[model_type], dtype=getattr(torch, dtype)).save_pretrained(tmp_path)
    expected = load_torch_file(tmp_path / "model.safetensors")
    for piece in (1, 200, 2**22):
        monkeypatch.setattr(folders, "PIECE", piece)
        for ours in ("float32", "float64"):
            for name, value in npgpt.load_pretrained(tmp_path, dtype=ours).state_dict().items():
                their_name, transposed = there(MODEL_TYPES[model_type], name)
                right = expected[their_name].to(getattr(torch, ours)).numpy()
                assert np.array_equal(value, right.T if transposed else right), name
        for name, tensor in folders.read_tensors(tmp_path).items():
            pieces = list(tensor.pieces())
            assert np.array_equal(np.concatenate(pieces), expected[name].double().numpy())
            bytes_of_a_row = 8 * expected[name][0].numel()
            assert max(len(rows) for rows in pieces) <= max(1, piece // bytes_of_a_row)


def test_a_folder_within_folders_is_made(tmp_path):
    npgpt.save_pretrained(npgpt.make_model(SAYABLE), tmp_path / "models" / "gpt")
    assert npgpt.load_pretrained(tmp_path / "models" / "gpt").config == SAYABLE


# -------------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type is 'bert', and only gpt2, llama, mamba, qwen2 are known here"),
        ({"model_type": ["gpt2"]}, "model_type is .*'gpt2'.*, and only"),
        ({"model_type": "gone"}, "model_type is None"),
        ({"activation_function": "gelu"}, "activation_function is 'gelu', and the model here is written for 'gelu_new' or"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06, and the model here is written for 1e-05 alone"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"n_head": 4}, "n_embd must be divisible by n_head"),
        ({"n_head": "2"}, "n_head must be an integer of at least 1, got '2'"),
        ({"n_layer": True}, "n_layer must be an integer of at least 1, got True"),
        ({"n_inner": 0}, "n_inner must be an integer of at least 1, got 0"),
        ({"n_positions": None}, "n_positions must be an integer of at least 1, got None"),
        ({"initializer_range": "wide"}, "init_std must be a number, got 'wide'"),
        ({"hidden_size": 8}, "hidden_size is 8 and n_embd, the same field, is 6"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, got 'yes'"),
        ({"tie_word_embeddings": False}, r"do not fit its config: missing lm_head\.weight"),
        ({"n_positions": 9}, r"transformer\.wpe\.weight has the shape \(8, 6\), expected \(9, 6\)"),
        ({"n_inner": 7}, r"h\.0\.mlp\.c_fc\.weight has the shape \(6, 24\), expected \(6, 7\).*; and 1 more"),
        ({"n_layer": 3}, r"missing transformer\.h\.2\.ln_1\.weight; .*; and 7 more"),
        ({"n_layer": 1}, r"unknown transformer\.h\.1\.ln_1\.weight|unknown transformer\.h\.1"),
        ({"n_layer": 28}, r"missing transformer\.h\.2\.ln_1\.weight; "),  # as many as there are weights
        ({"n_layer": 29}, "asks for 29 layers, and there are 28 weights"),
        ({"n_layer": 10**9}, "asks for 1000000000 layers, and there are 28 weights"),
        ({"vocab_size": 10**12}, r"wte\.weight has the shape \(11, 6\), expected \(1000000000000, 6\)"),
    ],
)
def test_a_config_that_the_model_here_cannot_have_is_refused_by_name(folder, changes, message):
    change_config(folder, **changes)
    for backend in BACKENDS:
        with pytest.raises(ValueError, match=message) as error:
            backend.load_pretrained(folder)
        assert str(folder) in str(error.value)


def test_what_is_wrong_with_a_config_and_with_names_is_said_with_the_file(folder):
    """The file of the one is config.json; for the other the folder is named, since the weights may lie in several files."""
    for changes, fault in (
        ({"model_type": "bert"}, "model_type is 'bert', and only gpt2, llama, mamba, qwen2 are known here"),
        ({"model_type": "gpt2", "n_head": 0}, "n_head must be an integer of at least 1, got 0"),
    ):
        change_config(folder, **changes)
        with pytest.raises(ValueError) as error:
            npgpt.load_pretrained(folder)
        assert str(error.value) == f"{folder / 'config.json'}: {fault}"
    change_config(folder, n_head=2)
    change_weights(folder, lambda t: t.update({"ln_f.bias": np.zeros(6)}))
    with pytest.raises(ValueError) as error:
        npgpt.load_pretrained(folder)
    assert str(error.value) == f"{folder} holds transformer.ln_f.bias twice, with and without 'transformer.'"


def test_a_device_that_is_not_there_is_refused(folder):
    with pytest.raises(ValueError, match="'auto' or 'cpu' for NumPy"):
        npgpt.load_pretrained(folder, "cuda")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_bias": True}, "use_bias is True, and the model here is written for False alone"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', and the model here is written for 'silu' or 'swish' alone"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        ({"use_conv_bias": "no"}, "use_conv_bias is 'no'"),
        ({"time_step_rank": 0}, "time_step_rank must be an integer of at least 1, got 0"),
        ({"intermediate_size": 9}, r"in_proj\.weight has the shape \(16, 4\), expected \(18, 4\)"),
        ({"intermediate_size": None, "expand": 1.5}, "expand must be an integer of at least 1, got 1.5"),
        ({"seq_len": 0}, "seq_len must be an integer of at least 1, got 0"),
    ],
)
def test_a_mamba_that_the_model_here_cannot_be_is_refused_by_name(tmp_path, changes, message):
    npgpt.save_pretrained(npgpt.make_model(MambaConfig(11, 1, 4, 6)), tmp_path)
    change_config(tmp_path, time_step_min=0.5, residual_in_fp32=True, hidden_act="swish")  # these change nothing
    npgpt.load_pretrained(tmp_path)
    change_config(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        npgpt.load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("transformer.h.1.mlp.c_fc.bias"),
            r"do not fit its config: missing transformer\.h\.1\.mlp\.c_fc\.bias",
        ),
        (lambda t: t.update(score=np.zeros((2, 6))), r"unknown transformer\.score"),
        (lambda t: t.update({"h.0.ln_1.bias": np.zeros(6)}), r"holds transformer\.h\.0\.ln_1\.bias twice"),
        (
            lambda t: t.update({"transformer.ln_f.weight": np.zeros(6, np.int64)}),
            r"ln_f\.weight is of dtype I64, not one of F64,",
        ),
        (
            lambda t: t.update({"transformer.h.0.attn.c_attn.weight": t["transformer.h.0.attn.c_attn.weight"].T}),
            r"c_attn\.weight has the shape \(18, 6\), expected \(6, 18\)",
        ),
        (
            lambda t: t.update(dict.fromkeys(("transformer.wte.weight", "lm_head.weight"), np.zeros((11, 0), np.float32))),
            r"wte\.weight has the shape \(11, 0\), expected \(11, 6\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, change, message):
    change_weights(folder, change)
    for backend in BACKENDS:
        with pytest.raises(ValueError, match=message):
            backend.load_pretrained(folder)


def write(name: str, content: str | bytes):
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def change_index(change):
    def damage(folder):
        in_two_files(folder)
        index = folder / "model.safetensors.index.json"
        content = json.loads(index.read_text())
        change(content["weight_map"])
        index.write_text(json.dumps(content))

    return damage


def link(name: str, target: str):
    """The file becomes a link to a copy of itself elsewhere."""

    def damage(folder):
        elsewhere = folder / target
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(target)

    return damage


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (shutil.rmtree, FileNotFoundError, "no folder at .*gpt"),
        (lambda f: (shutil.rmtree(f), f.write_text("a file")), ValueError, r"gpt is neither a folder nor a \.gguf file$"),
        (lambda f: (f / "config.json").unlink(), FileNotFoundError, r"gpt holds no file config\.json$"),
        (write("config.json", "{"), ValueError, r"config\.json is no usable JSON: Expecting"),
        (write("config.json", "[1]"), ValueError, r"config\.json is no usable JSON: it holds list, not an object"),
        (write("config.json", b"\xff\xfe"), ValueError, r"config\.json is no usable JSON"),
        (write("config.json", "[" * 99999), ValueError, r"config\.json is no usable JSON"),
        (lambda f: (f / "model.safetensors").unlink(), FileNotFoundError, r"holds no weights: neither model\.safetensors nor"),
        (write("model.safetensors", b""), ValueError, r"model\.safetensors is truncated or no safetensors file"),
        (write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"), ValueError, "truncated or no safetensors"),
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            ValueError,
            r"is pickle: .* convert it: python -c \"from transformers import .*save_pretrained\('OUT'\)\"$",
        ),
        (change_index(lambda m: m.update(dict.fromkeys(m, "nowhere.safetensors"))), FileNotFoundError, "no file nowhere"),
        (
            change_index(lambda m: m.update({"transformer.ln_f.bias": "../gpt.safetensors"})),
            ValueError,
            "leads out of the folder",
        ),
        (change_index(lambda m: m.update({"transformer.ln_f.bias": "/etc/hostname"})), ValueError, "leads out of the folder"),
        (change_index(lambda m: m.update({"transformer.ln_f.bias": 3})), ValueError, "holds no weight_map from names to files"),
        (change_index(lambda m: m.popitem()), ValueError, r"safetensors holds .*, which .*index\.json does not look for there"),
        (change_index(lambda m: m.update(more=FIRST)), ValueError, r"00001-of-00002.* does not hold more, which .*index\.json"),
        (
            lambda f: (in_two_files(f), write("model.safetensors.index.json", "{}")(f)),
            ValueError,
            r"index\.json holds no weight_map",
        ),
        (lambda f: (in_two_files(f), (f / SECOND).unlink()), FileNotFoundError, f"holds no file {SECOND}"),
        (lambda f: (in_two_files(f), write(SECOND, (f / SECOND).read_bytes()[:-1])(f)), ValueError, f"{SECOND} is truncated"),
        (
            link("model.safetensors", "../elsewhere.safetensors"),
            ValueError,
            r"model\.safetensors leads out of the folder, to .*/el",
        ),
        (link("config.json", "../blobs/0f"), ValueError, r"config\.json leads out of the folder"),  # no hub's cache
        (
            lambda f: (link("model.safetensors", "../x")(f), (f / "../x").unlink(), (f / "../x").symlink_to("gpt/nothing")),
            FileNotFoundError,
            r"holds no file model\.safetensors \(its link leads to ",
        ),
    ],
)
def test_a_damaged_folder_is_refused_with_file_and_reason(folder, damage, error, message):
    damage(folder)
    for backend in BACKENDS:
        with pytest.raises(error, match=message):
            backend.load_pretrained(folder)


def test_a_truncated_file_is_refused_at_any_length(folder):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for length in [*range(9), *np.random.default_rng(0).integers(len(content), size=40), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"model\.safetensors is truncated"):
            npgpt.load_pretrained(folder)


@settings(max_examples=settings().max_examples * 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 3000), byte=st.integers(0, 255), file=st.sampled_from(["config.json", "model.safetensors"]))
def test_a_flipped_byte_loads_or_is_an_error_that_names_the_folder(folder, place, byte, file):
    content = (folder / file).read_bytes()
    damaged = bytearray(content)
    damaged[place % len(content)] = byte
    (folder / file).write_bytes(damaged)
    try:
        npgpt.load_pretrained(folder)
    except (ValueError, FileNotFoundError) as error:
        assert str(folder) in str(error)
    finally:
        (folder / file).write_bytes(content)


@pytest.fixture
def snapshot(folder, tmp_path) -> Path:
    """The folder as `hf download` leaves it: links to files that lie in blobs under their hashes."""
    repository = tmp_path / "models--me--gpt"
    revision = repository / "snapshots" / "607a30d783"
    (repository / "blobs").mkdir(parents=True)
    revision.mkdir(parents=True)
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(repository / "blobs" / f"{number:040x}")
        (revision / file.name).symlink_to(f"../../blobs/{number:040x}")
    return revision


@each_backend
def test_a_folder_of_the_hubs_cache_is_read(backend, snapshot):
    assert backend.load_pretrained(snapshot).num_parameters() > 0
    (snapshot.parent / "main").symlink_to(snapshot)  # a link to the folder itself: whoever names it means it
    assert backend.load_pretrained(snapshot.parent / "main").num_parameters() > 0


@pytest.mark.parametrize(
    "target", ["../../../models--you--gpt/blobs/0", "../../refs/main", "../../blobs/deeper/0", "/etc/hostname"]
)
def test_a_link_in_the_hubs_cache_leads_to_its_own_blobs_alone(snapshot, target):
    (snapshot / target).parent.mkdir(parents=True, exist_ok=True)
    if not (snapshot / target).exists():
        (snapshot / target).write_text("{}")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(target)
    with pytest.raises(ValueError, match=r"config\.json leads out of the folder"):
        npgpt.load_pretrained(snapshot)


def test_an_unfinished_download_is_said_so(snapshot):
    os.unlink(os.path.realpath(snapshot / "model.safetensors"))
    with pytest.raises(FileNotFoundError, match=r"holds no file model\.safetensors \(its link leads to .*blobs"):
        npgpt.load_pretrained(snapshot)


SAYABLE = GPTConfig(11, 1, 1, 4, 6, position="learned", qkv_bias=True, head_bias=False)


@each_backend
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dataclasses.replace(SAYABLE, position="sinusoidal"), "position is 'sinusoidal': .* with 'learned' alone"),
        (dataclasses.replace(SAYABLE, qkv_bias=False), "qkv_bias is False: .* with True alone"),
        (dataclasses.replace(SAYABLE, head_bias=True), "head_bias is True: .* with False alone"),
        (dataclasses.replace(SAYABLE, train_qkv=False), "train_qkv is False: .* with True alone"),
        (dataclasses.replace(SAYABLE, ffn_hidden=0), "ffn_hidden is 0: every block of a GPT-2 has an FFN"),
        (MambaConfig(11, 1, 4, 6, head_bias=True), "head_bias is True"),
        (LSTMConfig(11, 1, 4, 4, 6), "transformers has no model of kind 'lstm'; only gpt, llama, mamba can be written"),
    ],
)
def test_a_model_that_transformers_does_not_have_is_refused_and_nothing_written(backend, config, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        backend.save_pretrained(backend.make_model(config), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------------------- the bytes of safetensors files


@pytest.mark.parametrize("length", range(1, 9))
def test_a_file_is_laid_out_as_safetensors_says(tmp_path, length):
    """8 bytes with the length of the header, JSON and spaces up to a multiple of 8, then the numbers without a gap. A matrix
    that lies transposed in memory is written row by row."""
    arrays = {
        "n" * length: np.arange(6, dtype=np.float32).reshape(3, 2).T,
        "wide": np.arange(3.0),
        "half": np.array([[1, 2]], np.float16),
        "bits": np.array([0x3F80], np.uint16),  # 1 in bfloat16
    }
    folders.write_tensors(tmp_path / "model.safetensors", arrays)
    content = (tmp_path / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0 and content[8 : 8 + size].rstrip(b" ").endswith(b"}")
    assert json.loads(content[8 : 8 + size]) == {
        "__metadata__": {"format": "pt"},
        "n" * length: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "wide": {"dtype": "F64", "shape": [3], "data_offsets": [24, 48]},
        "half": {"dtype": "F16", "shape": [1, 2], "data_offsets": [48, 52]},
        "bits": {"dtype": "BF16", "shape": [1], "data_offsets": [52, 54]},
    }
    rows = np.array([0, 2, 4, 1, 3, 5], "<f4").tobytes()
    assert content[8 + size :] == rows + np.arange(3.0).tobytes() + b"\x00\x3c\x00\x40" + b"\x80\x3f"
    assert {name: next(tensor.pieces()).tolist() for name, tensor in folders.read_tensors(tmp_path).items()} == {
        "n" * length: [[0, 2, 4], [1, 3, 5]],
        "wide": [0, 1, 2],
        "half": [[1, 2]],
        "bits": [1],
    }


def test_a_piece_holds_as_many_rows_as_fit_and_at_least_one(tmp_path, monkeypatch):
    """Counted at 8 bytes a number. Of a tensor without columns, whose rows are nothing, too."""
    folders.write_tensors(tmp_path / "model.safetensors", {"w": np.arange(42, dtype=np.float32).reshape(7, 3, 2)})
    tensor = folders.read_tensors(tmp_path)["w"]
    for piece, rows in ((1, [1] * 7), (95, [1] * 7), (96, [2, 2, 2, 1]), (7 * 48 - 1, [6, 1]), (7 * 48, [7]), (2**22, [7])):
        monkeypatch.setattr(folders, "PIECE", piece)
        assert [len(part) for part in tensor.pieces()] == rows
    empty = folders.Tensor(tensor.path, "F32", (3, 0), tensor.start)
    monkeypatch.setattr(folders, "PIECE", 2)
    assert [part.shape for part in empty.pieces()] == [(2, 0), (1, 0)]


def test_a_file_that_became_shorter_since_its_header_was_read_is_named(folder):
    for tensor in folders.read_tensors(folder).values():
        last = tensor
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors is truncated$"):
        last.read_into(np.empty(last.shape, np.float32))


def test_numbers_that_come_a_few_bytes_at_a_time_are_put_together():
    """As from a file of more than 2 GB, which Linux does not read at once."""

    class Slow:
        content = np.arange(5, dtype="<f4").tobytes()

        def readinto(self, room) -> int:
            part, self.content = self.content[: min(3, len(room))], self.content[min(3, len(room)) :]
            room[: len(part)] = part
            return len(part)

    array = np.empty(5, "<f4")
    folders.Tensor(Path("slow"), "F32", (5,), 0)._read(Slow(), array)
    assert array.tolist() == [0, 1, 2, 3, 4]


# ------------------------------------------------------------------------------------------------------ fields, one by one

SIZES = {  # the fields that are sizes, of each model_type
    "gpt2": ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"),
    "mamba": (
        *("vocab_size", "hidden_size", "state_size", "num_hidden_layers", "conv_kernel", "seq_len"),
        *("intermediate_size", "expand", "time_step_rank"),
    ),
    "llama": (
        *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        *("max_position_embeddings", "num_key_value_heads", "head_dim"),
    ),
}


@pytest.mark.parametrize(("model_type", "name"), [(kind, name) for kind, names in SIZES.items() for name in names])
def test_each_size_must_be_an_integer_of_at_least_1(model_type, name):
    for value in (0, -1, True, "2", 2.0):
        with pytest.raises(ValueError, match=f"^{name} must be an integer of at least 1, got {value!r}$"):
            MODEL_TYPES[model_type].config_here({"model_type": model_type, name: value}, tied=True)


def test_each_field_of_a_gpt2_is_read_into_the_option_that_it_is():
    fields = {
        "vocab_size": 11,
        "n_positions": 7,
        "n_embd": 6,
        "n_layer": 3,
        "n_head": 2,
        "n_inner": 5,
        "initializer_range": 0.3,
    }
    own = {"position": "learned", "ffn_hidden": 5, "qkv_bias": True, "head_bias": False, "init_std": 0.3}
    for function in ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh"):
        for tied in (False, True):
            config = MODEL_TYPES["gpt2"].config_here(fields | {"activation_function": function}, tied=tied)
            assert config == GPTConfig(11, 3, 2, 6, 7, tie_weights=tied, **own)
    aliases = {"hidden_size": 6, "max_position_embeddings": 7, "num_attention_heads": 2, "num_hidden_layers": 3}
    others = {name: fields[name] for name in ("vocab_size", "n_inner", "initializer_range")}
    assert MODEL_TYPES["gpt2"].config_here(aliases | others, tied=True) == config


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {"expand": 2.0, "dt_rank": None}),
        ({"expand": 3}, {"expand": 3.0}),
        ({"expand": 3, "intermediate_size": 51}, {"expand": 1.5}),
        ({"expand": 1.5, "intermediate_size": 68}, {"expand": 2.0}),  # which is not asked for then
        ({"time_step_rank": 3}, {"dt_rank": None}),  # 34 / 16, rounded up
        ({"time_step_rank": 2}, {"dt_rank": 2}),
        ({"time_step_rank": "auto"}, {"dt_rank": None}),
        ({"use_conv_bias": False}, {"conv_bias": False}),
        ({"hidden_act": "swish"}, {}),
    ],
)
def test_each_field_of_a_mamba_is_read_into_the_option_that_it_is(changes, options):
    fields = {"vocab_size": 11, "hidden_size": 34, "state_size": 5, "num_hidden_layers": 3, "conv_kernel": 6, "seq_len": 9}
    config = MODEL_TYPES["mamba"].config_here(fields | changes, tied=False)
    expected = {"d_state": 5, "d_conv": 6, "expand": 2.0, "dt_rank": None, "conv_bias": True} | options
    assert config == MambaConfig(11, 3, 34, 9, tie_weights=False, **expected)
    assert MODEL_TYPES["mamba"].config_here(fields | changes, tied=True).tie_weights is True


WRITTEN = {
    "gpt2": (
        GPTConfig(11, 3, 2, 6, 7, position="learned", ffn_hidden=5, qkv_bias=True, init_std=0.3, dropout=0.1, head_bias=False),
        {"vocab_size": 11, "n_positions": 7, "n_embd": 6, "n_layer": 3, "n_head": 2, "n_inner": 5, "initializer_range": 0.3}
        | {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}
        | {"embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1},
    ),
    "mamba": (
        MambaConfig(11, 3, 40, 9, d_state=5, d_conv=6, expand=1.5, dt_rank=2, conv_bias=False),
        {"vocab_size": 11, "hidden_size": 40, "num_hidden_layers": 3, "state_size": 5, "conv_kernel": 6, "expand": 1}
        | {"intermediate_size": 60, "time_step_rank": 2, "use_conv_bias": False, "use_bias": False, "hidden_act": "silu"}
        | {"layer_norm_epsilon": 1e-5},
    ),
    "llama": (
        LlamaConfig(11, 3, 4, 40, 9, n_kv_head=2, head_size=6, ffn_hidden=5, rope_theta=123.0, norm_eps=1e-3),
        {"vocab_size": 11, "hidden_size": 40, "intermediate_size": 5, "num_hidden_layers": 3, "num_attention_heads": 4}
        | {"num_key_value_heads": 2, "head_dim": 6, "max_position_embeddings": 9, "hidden_act": "silu", "rms_norm_eps": 1e-3}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 123.0}},
    ),
    "qwen2": (
        LlamaConfig(11, 3, 4, 40, 9, rope_theta=123.0, rope_scaling=(8.0, 1.0, 4.0, 5), qkv_bias=True),
        {"num_key_value_heads": 4, "head_dim": 10, "intermediate_size": 112, "hidden_act": "silu"}
        | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 123.0, "factor": 8.0, "low_freq_factor": 1.0}
        | {"high_freq_factor": 4.0, "original_max_position_embeddings": 5}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("model_type", WRITTEN)
@pytest.mark.parametrize("tied", [False, True])
def test_each_option_is_written_into_the_field_that_transformers_has_for_it(transformers, model_type, tied, tmp_path):
    config, fields = WRITTEN[model_type]
    npgpt.save_pretrained(npgpt.make_model(dataclasses.replace(config, tie_weights=tied), dtype="float64"), tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert (tmp_path / "config.json").read_text() == json.dumps(written, indent=2) + "\n"  # as transformers lays its own out
    theirs = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(tmp_path))
    assert written["model_type"] == theirs.config.model_type == model_type
    assert written["architectures"] == [type(theirs).__name__]
    assert written["tie_word_embeddings"] is theirs.config.tie_word_embeddings is tied
    assert written["dtype"] == "float64" and written["bos_token_id"] is None and written["eos_token_id"] is None
    assert {name: written[name] for name in fields} == fields
    known = transformers.AutoConfig.for_model(model_type)
    unknown = {"mamba": ["seq_len"], "qwen2": ["head_dim"]}  # ours; and one that their model reads where it is there
    assert [name for name in written if not hasattr(known, name)] == unknown.get(model_type, [])
    assert written.get("seq_len", 9) == 9
    if model_type == "llama":
        assert len(written) == len(fields) + 6  # and no other


@pytest.mark.parametrize(("channels", "expand"), [(2, 1), (4, 1), (6, 1), (8, 2), (12, 3)])
def test_the_expansion_of_a_mamba_is_written_as_an_integer_of_at_least_1(channels, expand):
    fields = MODEL_TYPES["mamba"].config_there(MambaConfig(11, 1, 4, 6, expand=channels / 4))
    assert (fields["expand"], fields["intermediate_size"]) == (expand, channels) and type(fields["expand"]) is int


def test_a_folder_with_more_faults_than_five_tells_five_and_counts_the_others(folder):
    for count, more in ((5, ""), (6, "; and 1 more"), (8, "; and 3 more")):
        change_weights(folder, lambda t, n=count: t.update({f"new{i}": np.zeros(1) for i in range(n)}))
        told = "; ".join(f"unknown transformer.new{i}" for i in range(5))
        with pytest.raises(ValueError) as error:
            npgpt.load_pretrained(folder)
        assert str(error.value) == f"the weights in {folder} do not fit its config: {told}{more}"


@pytest.mark.parametrize("model_type", ["gpt2", "mamba", "llama"])
def test_whether_the_head_is_tied_where_no_one_says(model_type, tmp_path):
    """In a GPT-2 and a Mamba it is, in a Llama not: transformers' defaults."""
    tied = model_type != "llama"
    npgpt.save_pretrained(npgpt.make_model(dataclasses.replace(WRITTEN[model_type][0], tie_weights=tied)), tmp_path)
    change_config(tmp_path, tie_word_embeddings="gone")
    assert npgpt.load_pretrained(tmp_path).config.tie_weights is tied


# ----------------------------------------------------------------------------------------------------------------------- memory

LOAD = """
import sys, json, safetensors
def peak():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
backend = __import__(sys.argv[1])
before = peak()
model = backend.load_pretrained(sys.argv[2])
print((peak() - before) / (4 * model.num_parameters()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@each_backend
def test_loading_holds_the_weights_once(backend, tmp_path):
    """The peak of a fresh process, above what the imports have used, is at most 1.15 times the weights (here 80 MB): no initial
    values, no gradients, no mapped file, no second copy."""
    config = GPTConfig(20000, 2, 4, 640, 64, position="learned", qkv_bias=True, tie_weights=True, head_bias=False)
    npgpt.save_pretrained(npgpt.make_model(config), tmp_path)
    command = [sys.executable, "-c", LOAD, backend.__name__, str(tmp_path)]
    share = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0.95 < share <= 1.15


# ------------------------------------------------------------------------------------------------------------------- tokenizers

END = "<|endoftext|>"
ADVERSARIAL = [
    "",
    " ",
    "  ",
    "   a   b ",
    "\n\n \n",
    "\t\r\n\x0b\x0c\x1c\x85\u2028",
    "İstanbul'da ığüşöç İIıi",
    "i̇",  # i with a combining dot
    "👩‍👩‍👧‍👦 🇹🇷 👍🏽",
    "\x00\x01\x07\x1b[0m\x7f",
    END,
    f"a{END}b {END} {END}{END}",
    "<|endoftext|",
    "<|ENDOFTEXT|>",
    "\u00a0\u2003\u3000a",
    "e\u0301 ﬁ Å \ufeff \u200b",
    "'s 't 'S ’s''",
    "١٢٣ ⅫⅣ ½ 10²",
    "中文字符 日本語 한국어",
    "𝕳𝖊𝖑𝖑𝖔",
    "a" * 300,
]


@pytest.fixture(scope="module")
def their_tokenizer(transformers, vocabulary):
    return transformers.GPT2Tokenizer.from_pretrained(vocabulary)


def assert_same_ids(ours, theirs, text: str) -> None:
    ids = ours.encode(text)
    assert ids == theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.decode(ids) == text


def test_vocab_and_merges_give_transformers_ids_on_adversarial_text(vocabulary, their_tokenizer):
    ours = npgpt.pretrained_tokenizer(vocabulary)
    assert ours.vocab_size == len(their_tokenizer) == 601
    for text in ADVERSARIAL:
        assert_same_ids(ours, their_tokenizer, text)


PARTS = st.one_of(st.text(max_size=12), st.sampled_from(ADVERSARIAL), st.sampled_from([" ", "  ", "\n", "'", "a", "İ", "é"]))


@settings(max_examples=3 * settings().max_examples)
@given(parts=st.lists(PARTS, max_size=8))
def test_on_any_text_too(vocabulary, their_tokenizer, parts):
    assert_same_ids(npgpt.pretrained_tokenizer(vocabulary), their_tokenizer, "".join(parts))


def test_a_tokenizer_json_gives_the_same_ids(vocabulary, their_tokenizer, tmp_path):
    their_tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
    ours = npgpt.pretrained_tokenizer(tmp_path)
    for text in ADVERSARIAL:
        assert_same_ids(ours, their_tokenizer, text)


def test_a_prefix_space_is_added_where_the_options_say_so(transformers, vocabulary, tmp_path):
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    theirs = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    for text in ("ali", " ali", "", "\nali"):
        assert npgpt.pretrained_tokenizer(tmp_path).encode(text) == theirs(text)["input_ids"]


def test_the_tokenizer_goes_out_with_the_model_and_comes_back(transformers, vocabulary, tmp_path):
    tokenizer = npgpt.pretrained_tokenizer(vocabulary)
    config = dataclasses.replace(SAYABLE, vocab_size=tokenizer.vocab_size)
    for backend in BACKENDS:
        backend.save_pretrained(backend.make_model(config), tmp_path, tokenizer)
        assert npgpt.pretrained_tokenizer(tmp_path) == tokenizer
        theirs, fields = (
            transformers.AutoTokenizer.from_pretrained(tmp_path),
            json.loads((tmp_path / "config.json").read_text()),
        )
        assert fields["eos_token_id"] == fields["bos_token_id"] == 600
        for text in ADVERSARIAL:
            assert theirs(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text)
        with pytest.raises(ValueError, match=r"the tokenizer \(bpe\) has 601 tokens, the model's vocab_size is 11"):
            backend.save_pretrained(backend.make_model(SAYABLE), tmp_path, tokenizer)
        with pytest.raises(ValueError, match=r"a tokenizer of kind 'letters' cannot be written as tokenizer\.json"):
            backend.save_pretrained(backend.make_model(SAYABLE), tmp_path, npgpt.LetterTokenizer())


def test_a_model_with_rows_for_more_tokens_than_there_are(vocabulary, tmp_path):
    """Its ids past the last token have no text, in a checkpoint too."""
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    model = npgpt.make_model(dataclasses.replace(SAYABLE, vocab_size=640))
    npgpt.save_pretrained(model, tmp_path)
    tokenizer = npgpt.pretrained_tokenizer(tmp_path)
    assert tokenizer.vocab_size == 640 and tokenizer.decode([*tokenizer.encode("ali"), 639, 601]) == "ali"
    npgpt.save_checkpoint(model, tmp_path / "checkpoint", tokenizer=tokenizer)
    again = npgpt.read_checkpoint(tmp_path / "checkpoint").tokenizer()
    assert again == tokenizer and again.vocab_size == 640
    assert npgpt.pretrained_tokenizer(vocabulary).to_dict().keys() == {"kind", "tokenizer"}


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "merges.txt").unlink(), FileNotFoundError, r"holds no file merges\.txt"),
        (lambda f: (f / "vocab.json").unlink(), FileNotFoundError, r"holds no file vocab\.json"),
        (
            lambda f: [path.unlink() for path in f.iterdir()],
            FileNotFoundError,
            r"holds no tokenizer: neither tokenizer\.json nor",
        ),
        (
            write("vocab.json", '{"a": 0}'),
            ValueError,
            r"vocab\.json, merges\.txt and tokenizer_config\.json hold no usable tokenizer",
        ),
        (write("vocab.json", "[]"), ValueError, "hold no usable tokenizer"),
        (
            lambda f: write("vocab.json", (f / "vocab.json").read_text().replace('"a":', '"a": 1, "aa":'))(f),
            ValueError,
            r"vocab\.json: the tokenizer has two tokens of one id",
        ),
        (write("tokenizer.json", "{}"), ValueError, r"tokenizer\.json holds no usable tokenizer"),
        (write("tokenizer.json", "{"), ValueError, r"tokenizer\.json holds no usable tokenizer"),
        (write("tokenizer_config.json", "3"), ValueError, r"tokenizer_config\.json is no usable JSON"),
        (
            write("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "y"}}}'),
            ValueError,
            "no usable tokenizer",
        ),
        (write("added_tokens.json", '{"<new>": 601}'), ValueError, r"adds the token '<new>', 601, to vocab\.json's"),
        (write("config.json", '{"vocab_size": 600}'), ValueError, "has 601 tokens, more than the vocab_size of 600"),
        (write("config.json", '{"vocab_size": "many"}'), ValueError, "vocabulary.*:"),
        (link("vocab.json", "../vocab.json"), ValueError, r"vocab\.json leads out of the folder"),
    ],
)
def test_a_damaged_tokenizer_is_refused_with_file_and_reason(vocabulary, tmp_path, damage, error, message):
    folder = tmp_path / "vocabulary"
    shutil.copytree(vocabulary, folder)
    damage(folder)
    with pytest.raises(error, match=message):
        npgpt.pretrained_tokenizer(folder)


@pytest.mark.parametrize("config", [None, "{}", '{"vocab_size": null}', '{"vocab_size": 601}'])
def test_a_tokenizer_has_its_own_size_where_no_config_says_another(vocabulary, tmp_path, config):
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert npgpt.pretrained_tokenizer(tmp_path) == npgpt.pretrained_tokenizer(vocabulary)
    assert npgpt.pretrained_tokenizer(tmp_path).vocab_size == 601


@pytest.mark.parametrize("config", [None, "{}"])
def test_a_tokenizer_that_this_project_saved_keeps_its_size_where_no_config_says_another(vocabulary, tmp_path, config):
    larger = npgpt.BPETokenizer(npgpt.pretrained_tokenizer(vocabulary).tokenizer, 640)
    larger.save(tmp_path / "tokenizer.json")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert npgpt.pretrained_tokenizer(tmp_path) == larger


@pytest.mark.parametrize("where", ["tokenizer_config.json", "added_tokens.json"])
def test_an_added_token_that_is_in_the_vocabulary_is_found_whole(vocabulary, tmp_path, where):
    """It has its one id, where the merges alone would make others of the text around it."""
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    vocab = json.loads((vocabulary / "vocab.json").read_text())
    plain = npgpt.pretrained_tokenizer(vocabulary)
    twos = [token for token in sorted(vocab) if token.isascii() and token.isalpha() and len(token) == 2]
    pairs = ((letter, token) for token in twos for letter in "abcdefgh" if vocab[token] not in plain.encode(letter + token))
    letter, token = next(pairs)
    options = {"added_tokens_decoder": {str(vocab[token]): {"content": token}}}
    (tmp_path / where).write_text(json.dumps(options if where == "tokenizer_config.json" else {token: vocab[token]}))
    tokenizer = npgpt.pretrained_tokenizer(tmp_path)
    assert tokenizer.encode(letter + token) == [vocab[letter], vocab[token]]
    assert tokenizer.encode(f"a{END}") == plain.encode(f"a{END}") == [vocab["a"], 600]
    options = {"added_tokens_decoder": {str(vocab[token] + 1): {"content": token}}}
    (tmp_path / where).write_text(json.dumps(options if where == "tokenizer_config.json" else {token: vocab[token] + 1}))
    message = f"^{tmp_path} adds the token '{token}', {vocab[token] + 1}, to vocab.json's: .* from tokenizer.json alone"
    with pytest.raises(ValueError, match=message):
        npgpt.pretrained_tokenizer(tmp_path)


@pytest.mark.parametrize("said", ["false", '"true"', "1", "null"])
def test_no_prefix_space_is_added_where_the_options_do_not_say_true(vocabulary, tmp_path, said):
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").write_text(f'{{"add_prefix_space": {said}}}')
    assert npgpt.pretrained_tokenizer(tmp_path).encode("ali") == npgpt.pretrained_tokenizer(vocabulary).encode("ali")


def test_a_vocabulary_without_the_mark_between_texts_is_written_without_one(vocabulary, tmp_path):
    vocab = json.loads((vocabulary / "vocab.json").read_text())
    del vocab[END]
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    shutil.copy(vocabulary / "merges.txt", tmp_path)
    tokenizer = npgpt.pretrained_tokenizer(tmp_path)
    assert tokenizer.vocab_size == 600 and END not in tokenizer.tokenizer.get_vocab()
    assert tokenizer.decode(tokenizer.encode(f"a{END}")) == f"a{END}"
    config = dataclasses.replace(SAYABLE, vocab_size=600)
    npgpt.save_pretrained(npgpt.make_model(config), tmp_path / "out", tokenizer)
    assert npgpt.pretrained_tokenizer(tmp_path / "out") == tokenizer
    fields = json.loads((tmp_path / "out/config.json").read_text())
    assert fields["bos_token_id"] is None and fields["eos_token_id"] is None


def test_what_load_pretrained_loads_is_told_by_its_path(folder, tmp_path):
    assert is_pretrained(folder) and is_pretrained(str(folder)) and is_pretrained("no/file.gguf")
    assert not is_pretrained(folder / "config.json") and not is_pretrained(tmp_path / "nothing") and not is_pretrained("gguf")
