"""Llama and Qwen2 from folders and .gguf files, in and out. The oracle of folders is transformers with random weights; that of
a .gguf file, whose weights are packed, the numbers that ggml's own package unpacks, put in order by another formula.
"""

import importlib.util
import json
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import npgpt
import torchgpt
from npgpt import LlamaConfig
from npgpt.ops.rope import cosines_and_sines
from npgpt.pretrained import MODEL_TYPES, check_context, read_pretrained
from npgpt.pretrained import gguf as ours_gguf

from .gguf_files import SMALL, write_gguf
from .strategies import random_weights, seeds
from .test_pretrained import change_config, their_model
from .tolerances import as_numpy

BACKENDS = [npgpt, torchgpt]
some = settings(max_examples=max(6, settings().max_examples // 12), suppress_health_check=[HealthCheck.function_scoped_fixture])
STRETCHED = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}


@st.composite
def their_fields(draw) -> dict:
    kv_heads, group = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 2, 3]))
    qwen2 = draw(st.booleans())
    rope = {"rope_type": "default", "rope_theta": draw(st.sampled_from([100.0, 1e4, 5e5]))}
    if draw(st.booleans()):
        rope |= {"rope_type": "llama3", **STRETCHED}
    head_dim = draw(st.sampled_from([2, 4, 6]))
    fields = {
        "model_type": "qwen2" if qwen2 else "llama",
        "vocab_size": draw(st.integers(5, 30)),
        "hidden_size": kv_heads * group * draw(st.sampled_from([2, 4])),
        "intermediate_size": draw(st.integers(1, 9)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": kv_heads * group,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": 40,
        "rms_norm_eps": draw(st.sampled_from([1e-6, 1e-5, 1e-2])),
        "rope_parameters": rope,
        "tie_word_embeddings": draw(st.booleans()),
    }
    return fields


def assert_near(ours, theirs) -> None:
    """To float32's accuracy, in which transformers computes norms and angles."""
    ours, theirs = as_numpy(ours), as_numpy(theirs)
    assert np.abs(ours - theirs).max() <= 2e-5 * max(1, np.abs(theirs).max())


@some
@given(fields=their_fields(), seed=seeds, prefix=st.booleans(), shard=st.sampled_from(["1KB", "5GB"]))
def test_a_folder_of_transformers_gives_logits_loss_and_gradients(transformers, fields, seed, prefix, shard, tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    theirs = their_model(transformers, fields, seed, torch.float32)
    if prefix or not fields["tie_word_embeddings"]:
        theirs.save_pretrained(folder, max_shard_size=shard)
    else:  # the model without its head: no "model." before the names
        theirs.model.save_pretrained(folder, max_shard_size=shard)
    ids, targets = np.random.default_rng(seed).integers(fields["vocab_size"], size=(2, 2, 37))  # past the stretched 16
    logits = theirs(torch.from_numpy(ids), use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    loss.backward()
    for backend in BACKENDS:
        model = backend.load_pretrained(folder, dtype="float64")
        assert model.config.tie_weights == fields["tie_word_embeddings"]
        assert model.config.qkv_bias == (fields["model_type"] == "qwen2")
        assert_near(model(ids), logits)
        assert abs(model.loss_and_grad(ids, targets) - loss.item()) < 1e-5 * loss.item()
        gradients = model.gradients()
        their_gradients = {name: p.grad for name, p in theirs.named_parameters()}
        assert_near(gradients["token_embedding.weight"], their_gradients["model.embed_tokens.weight"])
        assert_near(gradients["blocks.0.mha.Wk.weight"], their_gradients["model.layers.0.self_attn.k_proj.weight"])
        assert_near(gradients["blocks.0.ffn.gate.weight"], their_gradients["model.layers.0.mlp.gate_proj.weight"])


def test_the_stretched_angles_are_transformers(transformers):
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {"rope_type": "llama3", "rope_theta": 5e5, **STRETCHED | {"original_max_position_embeddings": 8192}}
    config = transformers.LlamaConfig(hidden_size=64, num_attention_heads=1, head_dim=64, rope_parameters=rope)
    frequency, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")  # (32,), float32
    cos, sin = cosines_and_sines(2, 64, 5e5, (8.0, 1.0, 4.0, 8192))
    assert np.allclose(np.arctan2(sin[1], cos[1]), frequency.numpy(), rtol=1e-5)
    plain, _ = cosines_and_sines(2, 64, 5e5)
    assert (cos[1] == plain[1]).any() and (cos[1] != plain[1]).any()  # fast pairs stay, slow ones do not


@st.composite
def our_configs(draw) -> LlamaConfig:
    kv_heads, group = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 3]))
    return LlamaConfig(
        13,
        draw(st.integers(1, 2)),
        kv_heads * group,
        kv_heads * group * draw(st.sampled_from([2, 4])),
        40,
        n_kv_head=kv_heads,
        head_size=draw(st.sampled_from([None, 4])),
        ffn_hidden=draw(st.sampled_from([None, 5])),
        rope_theta=draw(st.sampled_from([100.0, 1e5])),
        norm_eps=draw(st.sampled_from([1e-6, 1e-3])),
        qkv_bias=draw(st.booleans()),
        tie_weights=draw(st.booleans()),
        rope_scaling=draw(st.sampled_from([None, (8.0, 1.0, 4.0, 16)])),
    )


@some
@given(config=our_configs(), seed=seeds)
def test_transformers_loads_what_either_backend_writes_and_so_do_we(transformers, config, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    model = npgpt.make_model(config)
    model.load_state_dict(random_weights(rng, config, 0.3))
    ids = rng.integers(config.vocab_size, size=(2, 37))
    for each in (model, torchgpt.from_numpy(model)):
        folder = tmp_path_factory.mktemp(each.backend)
        npgpt.backend("numpy" if each is model else "torch").save_pretrained(each, folder)
        theirs, loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        assert not any(loaded.values()), loaded
        with torch.no_grad():
            assert_near(model(ids), theirs.eval()(torch.from_numpy(ids)).logits)
        for backend in BACKENDS:
            again = backend.load_pretrained(folder)
            assert again.config.to_dict() == filled_in(config)
            for name, value in model.state_dict().items():
                assert np.array_equal(value, as_numpy(again.state_dict()[name])), name


def filled_in(config: LlamaConfig) -> dict:
    """The config with its defaults written out, as a folder has them."""
    sizes = {"n_kv_head": config.kv_heads, "head_size": config.head_width, "ffn_hidden": config.ffn_size}
    return config.to_dict() | sizes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', and the model here is written for 'silu' or 'swish' alone"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"mlp_bias": True}, "mlp_bias is True"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type is 'yarn'.*'default' or 'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, "rope_type is 'linear'"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8}}, "rope_type 'llama3' needs .*; low_freq_factor, "),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"rope_parameters": {"rope_theta": "far"}}, "config.json: rope_theta must be a number, got 'far'"),
        ({"rope_parameters": [1]}, "rope_parameters must be an object or null, got"),
        ({"num_key_value_heads": 3}, "n_kv_head must divide n_head"),
        ({"head_dim": 3}, "must have an even number of features"),
        ({"rms_norm_eps": 0}, "norm_eps must be above 0"),
        ({"num_hidden_layers": 2}, r"missing model\.layers\.1\.input_layernorm\.weight"),
        ({"model_type": "qwen2"}, r"missing model\.layers\.0\.self_attn\.q_proj\.bias"),
        ({"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window is True"),
        ({"model_type": "qwen2", "layer_types": ["sliding_attention"]}, "layer_types is .*sliding_attention"),
        ({"model_type": "qwen2", "layer_types": 3}, "layer_types must be a list"),
        ({"max_position_embeddings": 10**10}, r"asks for a context of 10,000,000,000 tokens, whose angles take 640,000 MB"),
        ({"max_position_embeddings": 2**40}, "whose angles take"),
        ({"model_type": "mixtral"}, "model_type is 'mixtral', and only gpt2, llama, mamba, qwen2 are known here"),
    ],
)
def test_a_config_that_the_model_here_cannot_have_is_refused_by_name(tmp_path, changes, message):
    npgpt.save_pretrained(npgpt.make_model(LlamaConfig(11, 1, 2, 8, 9)), tmp_path)
    change_config(tmp_path, **changes)
    for backend in BACKENDS:
        with pytest.raises(ValueError, match=message) as error:
            backend.load_pretrained(tmp_path)
        assert str(tmp_path) in str(error.value)


LLAMA = {"model_type": "llama", "vocab_size": 11, "hidden_size": 40, "intermediate_size": 5, "num_hidden_layers": 3}
LLAMA |= {"num_attention_heads": 4, "max_position_embeddings": 9}
OF_LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 5}


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({"num_key_value_heads": 2, "head_dim": 6, "rms_norm_eps": 1e-3}, {"n_kv_head": 2, "head_size": 6, "norm_eps": 1e-3}),
        ({"hidden_act": "swish"}, {}),
        ({"rope_theta": 123.0}, {"rope_theta": 123.0}),
        ({"rope_theta": 123, "rope_parameters": {"rope_type": "default"}}, {"rope_theta": 123}),
        ({"rope_theta": 9.0, "rope_parameters": {"rope_theta": 123.0}}, {"rope_theta": 123.0}),
        ({"rope_parameters": {"rope_theta": 123.0, "partial_rotary_factor": 1.0}}, {"rope_theta": 123.0}),
        ({"rope_parameters": {"rope_type": "default", "type": "yarn"}}, {}),  # the newer name counts
        ({"rope_parameters": {"rope_type": "llama3", **OF_LLAMA3}}, {"rope_scaling": (8.0, 1.0, 4.0, 5)}),
        (
            {"rope_theta": 123.0, "rope_scaling": {"type": "llama3", **OF_LLAMA3}},
            {"rope_theta": 123.0, "rope_scaling": (8.0, 1.0, 4.0, 5)},
        ),
        (
            {"rope_parameters": {"rope_theta": 123.0}, "rope_scaling": {"type": "llama3", **OF_LLAMA3}},
            {"rope_theta": 123.0},
        ),
        ({"layer_types": ["sliding_attention"], "use_sliding_window": True}, {}),  # of a Qwen2 alone
        ({"model_type": "qwen2", "num_key_value_heads": 4}, {"n_kv_head": 4, "qkv_bias": True}),
        ({"model_type": "qwen2", "num_key_value_heads": None, "layer_types": ["full_attention"] * 3}, {"qkv_bias": True}),
    ],
)
def test_each_field_of_a_llama_is_read_into_the_option_that_it_is(changes, options):
    for tied in (False, True):
        config = MODEL_TYPES["llama"].config_here(LLAMA | changes, tied=tied)
        expected = {"ffn_hidden": 5, "norm_eps": 1e-6} | options
        assert config == LlamaConfig(11, 3, 4, 40, 9, tie_weights=tied, **expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_theta": True}, "rope_theta must be a number, got True"),
        ({"rope_parameters": {"rope_theta": None}}, "rope_theta must be a number, got None"),
        ({"rope_scaling": "llama3"}, "rope_scaling must be an object or null, got 'llama3'"),
        ({"rope_parameters": {"type": "yarn"}}, "rope_type is 'yarn', and the model here is written for 'default' or 'llama3'"),
        (
            {"model_type": "qwen2", "layer_types": ["full_attention", "other"]},
            "layer_types is 'other', .* for 'full_attention'",
        ),
        *(
            (
                {"rope_scaling": {"rope_type": "llama3", **{k: v for k, v in OF_LLAMA3.items() if k != name}}},
                f"; {name} is missing",
            )
            for name in OF_LLAMA3
        ),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 2.0, "high_freq_factor": 4.0}},
            "needs factor, low_freq_factor, high_freq_factor, original_max_position_embeddings; "
            "low_freq_factor, original_max_position_embeddings is missing",
        ),
    ],
)
def test_a_field_of_a_llama_that_the_model_here_cannot_have_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MODEL_TYPES["llama"].config_here(LLAMA | changes, tied=True)


@pytest.mark.parametrize("model_type", ["llama", "qwen2"])
def test_a_field_that_is_not_given_has_transformers_default(transformers, model_type):
    theirs, family = transformers.AutoConfig.for_model(model_type), MODEL_TYPES[model_type]
    config = family.config_here({"model_type": model_type, "num_hidden_layers": 1}, tied=False)
    assert config == LlamaConfig(
        theirs.vocab_size,
        1,
        theirs.num_attention_heads,
        theirs.hidden_size,
        theirs.max_position_embeddings,
        n_kv_head=theirs.num_key_value_heads if model_type == "qwen2" else None,
        ffn_hidden=theirs.intermediate_size,
        rope_theta=theirs.rope_parameters["rope_theta"],
        norm_eps=theirs.rms_norm_eps,
        qkv_bias=model_type == "qwen2",
        tie_weights=theirs.tie_word_embeddings,
    )
    assert theirs.num_hidden_layers == family.config_here({"model_type": model_type}, tied=False).n_layer
    assert theirs.rope_parameters["rope_type"] == "default" and theirs.hidden_act == "silu"


def test_older_fields_and_the_angles_among_the_weights(tmp_path):
    from safetensors.numpy import load_file, save_file

    model = npgpt.make_model(LlamaConfig(11, 1, 2, 8, 9, rope_theta=123.0, rope_scaling=(2.0, 1.0, 4.0, 5)))
    npgpt.save_pretrained(model, tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    rope = fields.pop("rope_parameters")
    fields |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": {"type": rope.pop("rope_type"), **rope}}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(2, np.float32)
    save_file(weights, tmp_path / "model.safetensors")
    assert npgpt.load_pretrained(tmp_path).config.to_dict() == filled_in(model.config)


@pytest.mark.parametrize("numbers", [100, 2**22])
def test_angles_may_take_four_times_the_weights_or_16_mb(numbers):
    """64 bytes a position where a head has 4 features: cosine and sine, float64, of 2 pairs, and what they are made from."""
    longest = max(4 * 4 * numbers, 2**24) // 64
    weights = {"w": SimpleNamespace(shape=(numbers // 4, 2)), "v": SimpleNamespace(shape=(numbers // 2,))}
    check_context(LlamaConfig(11, 1, 2, 8, longest), weights, "folder")
    with pytest.raises(
        ValueError, match=rf"^folder: .* a context of {longest + 1:,} tokens, .* beside {4e-6 * numbers:,.1f} MB"
    ):
        check_context(LlamaConfig(11, 1, 2, 8, longest + 1), weights, "folder")
    check_context(npgpt.GPTConfig(11, 1, 2, 8, 10**9), weights, "folder")  # whose positions are weights


def test_a_context_that_is_too_long_is_refused_with_what_it_takes():
    """15,632,813 positions of 64 bytes, 1,000,500,032 in all; 12,512,501 weights of 4 bytes, 50,050,004. MB: 10**6 bytes."""
    with pytest.raises(ValueError) as error:
        check_context(LlamaConfig(11, 1, 2, 8, 15_632_813), {"w": SimpleNamespace(shape=(12_512_501,))}, "folder")
    assert str(error.value) == (
        "folder: its config asks for a context of 15,632,813 tokens, whose angles take 1,001 MB beside 50.1 MB of weights; "
        "give a shorter seq_len"
    )


def test_dropout_has_no_field_in_a_llamas_folder(tmp_path):
    model = npgpt.make_model(LlamaConfig(11, 1, 2, 8, 9, dropout=0.1))
    with pytest.raises(ValueError, match=r"dropout is 0\.1: a llama can be written .* with 0\.0 alone"):
        npgpt.save_pretrained(model, tmp_path)


# ----------------------------------------------------------------------------------------------------------------- .gguf files

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="needs gguf: pip install -e '.[gguf]'")


@needs_gguf
@pytest.mark.parametrize("format_", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
@pytest.mark.parametrize("options", [{}, {"qkv_bias": True, "tie_weights": False}], ids=["plain", "biases, own head"])
def test_a_gguf_file_gives_the_numbers_that_ggml_unpacks(tmp_path, format_, options):
    import dataclasses

    config = dataclasses.replace(SMALL, **options)
    weights = random_weights(np.random.default_rng(0), config, 0.3)
    formats = dict.fromkeys((ours for ours, _, _ in ours_gguf.NAMES), format_)
    unpacked = write_gguf(tmp_path / "model.gguf", config, weights, formats)
    for backend in BACKENDS:
        for dtype in ("float32", "float64"):
            model = backend.load_pretrained(tmp_path / "model.gguf", dtype=dtype)
            assert model.config == config
            for name, value in model.state_dict().items():
                assert np.array_equal(as_numpy(value), unpacked[name].astype(dtype)), name


@needs_gguf
def test_a_gguf_file_that_is_read_in_pieces_is_the_whole(tmp_path, monkeypatch):
    """With pieces of one row, of some, and of all rows, of packed numbers and of turned ones."""
    weights = random_weights(np.random.default_rng(0), SMALL, 0.3)
    unpacked = write_gguf(tmp_path / "model.gguf", SMALL, weights, dict.fromkeys((row[0] for row in ours_gguf.NAMES), "Q8_0"))
    for piece in (1, 300, 2**20):
        monkeypatch.setattr(ours_gguf, "PIECE", piece)
        for name, value in npgpt.load_pretrained(tmp_path / "model.gguf").state_dict().items():
            assert np.array_equal(value, unpacked[name]), name


@needs_gguf
def test_a_gguf_files_tokenizer_cuts_digits_one_by_one_and_takes_special_tokens_whole(tmp_path):
    write_gguf(tmp_path / "model.gguf", SMALL, random_weights(np.random.default_rng(0), SMALL, 0.3), {})
    tokenizer = npgpt.pretrained_tokenizer(tmp_path / "model.gguf")
    pieces = [tokenizer.tokenizer.id_to_token(id) for id in tokenizer.encode("12 a<|endoftext|>")]
    assert pieces == ["1", "2", "Ġa", "<|endoftext|>"]  # "12" is a token, and never made: each digit stands alone
    text = "ığ 😀\t\n  12"
    assert tokenizer.decode(tokenizer.encode(text)) == text and tokenizer.vocab_size == SMALL.vocab_size


@needs_gguf
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gemma"}, "general.architecture is 'gemma', and only 'llama' is known here"),
        ({"block_count": None}, "block_count must be an integer of at least 1, got None"),
        ({"block_count": 3}, r"missing blk\.2\.attn_norm\.weight"),
        ({"block_count": 1}, r"unknown blk\.1\.attn_norm\.weight"),
        ({"block_count": 2**32 - 1}, "asks for 4294967295 layers"),
        ({"embedding_length": 32}, r"token_embd\.weight has the shape \(259, 64\), expected \(259, 32\)"),
        ({"attention.head_count_kv": 3}, "n_kv_head must divide n_head"),
        ({"rope.dimension_count": 8}, "rope.dimension_count is 8, and the model here is written for 16 alone"),
        ({"rope.scaling.type": "yarn"}, "rope.scaling.type is 'yarn'"),
        ({"expert_count": 8}, "expert_count is 8"),
    ],
)
def test_a_gguf_file_that_the_model_here_cannot_be_is_refused_by_name(tmp_path, changes, message):
    write_gguf(tmp_path / "model.gguf", SMALL, random_weights(np.random.default_rng(0), SMALL, 0.3), {}, **changes)
    with pytest.raises(ValueError, match=message) as error:
        npgpt.load_pretrained(tmp_path / "model.gguf")
    assert str(tmp_path / "model.gguf") in str(error.value)


@needs_gguf
def test_a_gguf_file_in_a_format_that_cannot_be_unpacked_is_refused_by_name(tmp_path):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    for name, value in (("block_count", 1), ("context_length", 8), ("embedding_length", 4), ("feed_forward_length", 4)):
        writer.add_uint32(f"llama.{name}", value)
    writer.add_uint32("llama.attention.head_count", 1)
    writer.add_tensor("token_embd.weight", np.zeros((5, 4), np.int32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match=r"token_embd\.weight is of format I32, which gguf cannot unpack"):
        npgpt.load_pretrained(tmp_path / "model.gguf")


@needs_gguf
def test_a_damaged_gguf_file_is_an_error_that_names_it_or_loads(tmp_path):
    """Truncated at any length: refused. A bit changed anywhere in the header, which may say sizes that lie: refused or read."""
    path, rng = tmp_path / "model.gguf", np.random.default_rng(0)
    write_gguf(path, SMALL, random_weights(rng, SMALL, 0.3), {})
    content = path.read_bytes()
    header = content.index(b"token_embd.weight") + 200
    for length in [*range(30), *rng.integers(header, size=20), *rng.integers(len(content), size=10), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"model\.gguf"):
            npgpt.load_pretrained(path)
    refused = 0
    for place in [*range(24), *rng.integers(24, header, size=60)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            npgpt.load_pretrained(path)
            npgpt.pretrained_tokenizer(path)
        except ValueError as error:
            assert "model.gguf" in str(error)
            refused += 1
    assert refused >= 24


LIST = b"\x09\0\0\0"  # the type of a field; what its items are, and how many, follows


@needs_gguf
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        # Lists of 2^40 numbers and of 2^40 strings (ggml's own reader can go on for ever), and a list of lists.
        (LIST + b"\x05\0\0\0\x03\1\0\0\0\0\0\0", LIST + b"\x05\0\0\0\0\0\0\0\0\1\0\0", "are to follow where"),
        (LIST + b"\x08\0\0\0\x02\0\0\0\0\0\0\0", LIST + b"\x08\0\0\0\0\0\0\0\0\1\0\0", "are to follow where"),
        (LIST + b"\x08\0\0\0", LIST + b"\x09\0\0\0", "a field has the type 9, which is not known here"),
        (b"llama.block_count", b"llama.block_coont", "block_count must be an integer of at least 1, got None"),
        (b"llama.block_count", b"llama.Block_count", "block_count must be an integer of at least 1, got None"),
        (b"blk.0.attn_q.weight", b"blk.0.attn_k.weight", "blk.0.attn_k.weight is there twice"),
        (b"GGUF", b"GGUM", "it does not begin with GGUF"),
        (b"GGUF\x03", b"GGUF\x04", "it is of version 4, and only 2 and 3 are known here"),
        (b"blk.0.attn_q.weight\x02", b"blk.0.attn_q.weight\xff", "a tensor has 255 dimensions"),
    ],
)
def test_a_gguf_header_that_lies_is_refused_at_once(tmp_path, before, after, message):
    path = tmp_path / "model.gguf"
    write_gguf(path, SMALL, npgpt.make_model(SMALL).state_dict(), {})
    content = path.read_bytes()
    assert content.count(before) >= 1
    path.write_bytes(content.replace(before, after, 1))
    with pytest.raises(ValueError, match=rf"model\.gguf.*{message}"):
        npgpt.load_pretrained(path)
    path.write_bytes(content[:-1])  # the writer pads nothing at the end
    with pytest.raises(ValueError, match=r"model\.gguf.* lies beyond the end of the file"):
        npgpt.load_pretrained(path)


@needs_gguf
def test_a_gguf_files_alignment_is_a_power_of_2_and_its_tokens_differ(tmp_path):
    import gguf

    for alignment, problem in ((64, None), (48, "general.alignment must be a power of 2, got 48")):
        path = tmp_path / f"{alignment}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_uint32("general.alignment", alignment)
        writer.data_alignment = alignment
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(["a", "b", "a"])
        writer.add_token_types([1, 1, 1])
        writer.add_token_merges(["a b"])
        writer.add_tensor("token_embd.weight", np.zeros((3, 4), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if problem is None:
            (tensor,) = ours_gguf.read_file(path).tensors.values()
            assert tensor.start % alignment == 0 and tensor.start + 48 <= path.stat().st_size
            with pytest.raises(ValueError, match=r"64\.gguf holds no usable tokenizer: two of its tokens are the same"):
                npgpt.pretrained_tokenizer(path)
        else:
            with pytest.raises(ValueError, match=problem):
                ours_gguf.read_file(path)


def test_without_gguf_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[gguf\]'"):
        npgpt.load_pretrained(tmp_path / "model.gguf")


@needs_gguf
def test_a_gguf_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at .*model\.gguf"):
        npgpt.load_pretrained(tmp_path / "model.gguf")
    with pytest.raises(ValueError, match="has a context of 20 tokens, which cannot become 21"):
        write_gguf(tmp_path / "model.gguf", SMALL, random_weights(np.random.default_rng(0), SMALL, 0.3), {})
        read_pretrained(tmp_path / "model.gguf", seq_len=21)


# What follows writes the bytes, or the fields, by hand: another account of the format than the package's writer.


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def header(fields: list[bytes], tensors: list[bytes], version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields)) + b"".join([*fields, *tensors])


def place(name: str, sizes: tuple[int, ...], format_: int, offset: int) -> bytes:
    """A tensor in the header: its sizes, the innermost first, ggml's number of its format, and its place."""
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, format_, offset)


NUMBER_FIELDS = [  # the format's number of a type, struct's letter of it, values at its ends
    (0, "B", [0, 255]),
    (1, "b", [-128, 127]),
    (2, "H", [0, 65535]),
    (3, "h", [-32768, 32767]),
    (4, "I", [0, 2**32 - 1]),
    (5, "i", [-(2**31), 2**31 - 1]),
    (6, "f", [-0.5, 2.0**100]),
    (7, "?", [False, True]),
    (10, "Q", [0, 2**64 - 1]),
    (11, "q", [-(2**63), 2**63 - 1]),
    (12, "d", [-0.1, 1e300]),
]


@needs_gguf
@pytest.mark.parametrize("version", [2, 3])
def test_a_gguf_field_of_every_type_has_its_value(tmp_path, version):
    """Alone and in a list, of the type that Python has for it. The file ends with its header."""
    fields, expected = [], {}
    for type_, letter, values in NUMBER_FIELDS:
        for i, value in enumerate(values):
            fields.append(text(f"{letter}{i}") + struct.pack(f"<I{letter}", type_, value))
            expected[f"{letter}{i}"] = value
        fields.append(text(letter) + struct.pack(f"<IIQ2{letter}", 9, type_, 2, *values))
        expected[letter] = values
    fields.append(text("adı") + struct.pack("<I", 8) + text("ığ"))
    fields.append(text("names") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("") + text("ş"))
    expected |= {"adı": "ığ", "names": ["a", "", "ş"]}
    (tmp_path / "model.gguf").write_bytes(header(fields, [], version))
    file = ours_gguf.read_file(tmp_path / "model.gguf")
    assert file.path == tmp_path / "model.gguf" and file.tensors == {} and file.fields.keys() == expected.keys()
    for name, value in expected.items():
        mine = file.fields[name]
        mine = mine.tolist() if isinstance(mine, np.ndarray) else mine
        assert mine == value and type(mine) is type(value), name


@needs_gguf
@pytest.mark.parametrize("alignment", [None, 1, 2, 64])
def test_a_gguf_tensor_lies_where_its_header_says(tmp_path, alignment):
    """The first begins where the header ends, up to a multiple of the alignment (32 where none is said). A tensor may have 4
    dimensions, which the header lists from the innermost. 64 numbers of Q8_0 are 2 blocks of 34 bytes."""
    fields = [] if alignment is None else [text("general.alignment") + struct.pack("<II", 4, alignment)]
    start = header(fields, [place("packed", (32, 2), 8, 0), place("deep", (5, 4, 3, 2), 0, 128)])
    begin = len(start) + -len(start) % (alignment or 32)
    path = tmp_path / "model.gguf"
    content = start.ljust(begin + 128 + 120 * 4, b"\0")
    path.write_bytes(content)
    assert ours_gguf.read_file(path).tensors == {
        "packed": ours_gguf.Packed(path, "Q8_0", (2, 32), begin),
        "deep": ours_gguf.Packed(path, "F32", (2, 3, 4, 5), begin + 128),
    }
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"model\.gguf.*deep lies beyond the end of the file"):
        ours_gguf.read_file(path)
    start = header(fields, [place("packed", (32, 2), 8, 0)])
    path.write_bytes(start.ljust(len(start) + -len(start) % (alignment or 32) + 67, b"\0"))
    with pytest.raises(ValueError, match=r"model\.gguf.*packed lies beyond the end of the file"):
        ours_gguf.read_file(path)


@needs_gguf
@pytest.mark.parametrize(
    ("fields", "tensors", "message"),
    [
        ([text("general.alignment") + struct.pack("<II", 4, 0)], [], "general.alignment must be a power of 2, got 0"),
        ([text("general.alignment") + struct.pack("<Ii", 5, -32)], [], "general.alignment must be a power of 2, got -32"),
        ([text("general.alignment") + struct.pack("<If", 6, 32)], [], r"general.alignment must be a power of 2, got 32\.0"),
        ([text("general.alignment") + struct.pack("<I", 8) + text("32")], [], "general.alignment must be .*, got '32'"),
        ([text("a") + struct.pack("<I?", 7, True)] * 2, [], "a is there twice"),
        ([text("a") + struct.pack("<IB", 13, 1)], [], "a field has the type 13, which is not known here"),
        ([text("a") + struct.pack("<IIQ", 9, 13, 1)], [], "a field has the type 13, which is not known here"),
        ([text("a") + struct.pack("<IQB", 8, 2, 97)], [], "2 bytes are to follow where 1 are left"),
        ([text("a") + struct.pack("<IQ", 8, 2000) + b"a" * 1000], [], "2,000 bytes are to follow where 1,000 are left"),
        ([], [place("a", (1, 1, 1, 1, 1), 0, 0)], "a tensor has 5 dimensions"),
        ([], [place("a", (1,), 999, 0)], "999"),
    ],
)
def test_a_gguf_header_that_cannot_be_read_is_refused_with_the_reason(tmp_path, fields, tensors, message):
    (tmp_path / "model.gguf").write_bytes(header(fields, tensors))
    with pytest.raises(ValueError, match=rf"model\.gguf is truncated or no usable \.gguf file: .*{message}"):
        ours_gguf.read_file(tmp_path / "model.gguf")


def packed(*shape: int) -> ours_gguf.Packed:
    return ours_gguf.Packed(Path("model.gguf"), "F32", shape, 0)


SAID = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 20,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 96,
    "llama.attention.head_count": 4,
}


def test_a_gguf_file_that_says_only_what_it_must_has_llama_cpps_defaults():
    """As many heads of keys as of queries, C / H features in each, all of them turned, theta 10,000."""
    file = ours_gguf.File(Path("model.gguf"), SAID, {"token_embd.weight": packed(259, 64), "output.weight": packed(259, 64)})
    assert ours_gguf.config_of(file) == LlamaConfig(
        259, 2, 4, 64, 20, n_kv_head=4, head_size=16, ffn_hidden=96, rope_theta=1e4, norm_eps=1e-5, tie_weights=False
    )


def test_each_field_of_a_gguf_file_is_read_into_the_option_that_it_is():
    more = {
        "attention.head_count_kv": 2,
        "attention.key_length": 8,
        "rope.dimension_count": 8,
        "rope.scaling.type": "none",
        "expert_count": 0,
        "rope.freq_base": 123.0,
        "attention.layer_norm_rms_epsilon": float(np.float32(1e-3)),  # which a file has in float32
    }
    fields = SAID | {f"llama.{name}": value for name, value in more.items()} | {"gemma.block_count": 9, "block_count": 9}
    tensors = {"token_embd.weight": packed(7, 64), "blk.0.attn_q.bias": packed(32)}
    assert ours_gguf.config_of(ours_gguf.File(Path("model.gguf"), fields, tensors)) == LlamaConfig(
        7,
        2,
        4,
        64,
        20,
        n_kv_head=2,
        head_size=8,
        ffn_hidden=96,
        rope_theta=123.0,
        norm_eps=1e-3,
        qkv_bias=True,
        tie_weights=True,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({name: value}, f"{name[6:]} must be an integer of at least 1") for name in list(SAID)[1:] for value in (0, None)),
        ({"general.architecture": None}, "general.architecture is None, and only 'llama' is known here"),
        ({"llama.rope.dimension_count": 8}, "rope.dimension_count is 8, and the model here is written for 16 alone"),
        ({"llama.rope.scaling.type": "yarn"}, "rope.scaling.type is 'yarn', and the model here is written for 'none' alone"),
        ({"llama.expert_count": 1}, "expert_count is 1, and the model here is written for 0 alone"),
        ({"llama.rope.freq_base": []}, "float"),
        ({"llama.attention.head_count": np.array([4, 2])}, "attention.head_count must be an integer of at least 1"),
    ],
)
def test_a_gguf_field_that_the_model_here_cannot_have_is_refused_by_name(changes, message):
    file = ours_gguf.File(Path("model.gguf"), SAID | changes, {"token_embd.weight": packed(259, 64)})
    with pytest.raises(ValueError, match=f"^model.gguf: .*{message}"):
        ours_gguf.config_of(file)


def test_a_gguf_file_without_an_embedding_is_refused():
    with pytest.raises(ValueError, match=r"^model\.gguf: missing token_embd\.weight$"):
        ours_gguf.config_of(ours_gguf.File(Path("model.gguf"), SAID, {"output.weight": packed(259, 64)}))


def tokenizer_fields(**changes) -> dict:
    """Of a tokenizer that knows the 256 bytes, then what is made of them, then a mark of the user's and a control token."""
    pieces = sorted(npgpt.BPETokenizer.from_text("x", 256).tokenizer.get_vocab())
    tokens = [*pieces, "12", "Ġa", "<user>", "<|endoftext|>"]
    fields = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": tokens,
        "merges": ["1 2", "Ġ a"],
        "token_type": np.array([1] * 258 + [4, 3], "<i4"),
    }
    return {f"tokenizer.ggml.{name}": value for name, value in (fields | changes).items() if value is not None}


@pytest.mark.parametrize(("pre", "digits"), [("gpt-2", ["12"]), ("smollm", ["1", "2"])])
def test_a_gguf_tokenizer_cuts_a_text_as_it_says(pre, digits):
    """Digits stand alone in smollm's way only. A token that the user defined is found whole as a control token is; every other
    one is made by merges, as the letters of <b> are not."""
    pytest.importorskip("tokenizers")
    tokenizer = ours_gguf.tokenizer_of(ours_gguf.File(Path("model.gguf"), tokenizer_fields(pre=pre), {}))
    for text_, pieces in (
        ("12", digits),
        ("a12 a<user>a<|endoftext|>", ["a", *digits, "Ġa", "<user>", "a", "<|endoftext|>"]),
        ("<b>", ["<", "b", ">"]),
    ):
        ids = tokenizer.encode(text_)
        assert [tokenizer.tokenizer.id_to_token(id) for id in ids] == pieces and tokenizer.decode(ids) == text_
    assert tokenizer.vocab_size == 260 and tokenizer.encode("<user><|endoftext|>") == [258, 259]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, "tokenizer.ggml.model is 'llama', and the model here is written for 'gpt2' alone"),
        ({"pre": "qwen2"}, "tokenizer.ggml.pre is 'qwen2', and the model here is written for 'gpt-2' or 'smollm' alone"),
        ({"pre": None}, "tokenizer.ggml.pre is None"),
        ({"tokens": None}, "are not there, or not equally many"),
        ({"merges": None}, "are not there, or not equally many"),
        ({"token_type": None}, "are not there, or not equally many"),
        ({"tokens": np.arange(260)}, "are not there, or not equally many"),
        ({"merges": np.arange(2)}, "are not there, or not equally many"),
        ({"token_type": ["1"] * 260}, "are not there, or not equally many"),
        ({"token_type": np.ones(259, np.int32)}, "are not there, or not equally many"),
        ({"merges": ["1 ş"]}, ""),
        ({"merges": ["12"]}, ""),
        ({"merges": ["1  2"]}, ""),
    ],
)
def test_a_gguf_tokenizer_that_is_not_whole_is_refused(changes, message):
    pytest.importorskip("tokenizers")
    file = ours_gguf.File(Path("model.gguf"), tokenizer_fields(**changes), {})
    with pytest.raises(ValueError, match=f"^model.gguf holds no usable tokenizer: .*{message}"):
        ours_gguf.tokenizer_of(file)


@needs_gguf
def test_packed_numbers_are_unpacked_by_as_many_rows_as_a_piece_holds(tmp_path, monkeypatch):
    """7 rows of 64 numbers, by hand: Q8_0's block is a scale in float16 and 32 integers. A scale that is inf makes inf of what
    is not 0 and nan of what is, without a warning."""
    import gguf

    numbers = np.random.default_rng(0).integers(-127, 128, size=(7, 2, 32)).astype(np.int8)
    numbers[6, 1, 0] = 0
    scales = np.array([0.5] * 13 + [np.inf], np.float16).reshape(7, 2, 1)
    content = b"before" + b"".join(scales[i, j].tobytes() + numbers[i, j].tobytes() for i in range(7) for j in range(2))
    (tmp_path / "numbers").write_bytes(content)
    with np.errstate(invalid="ignore"):
        expected = (scales.astype(np.float64) * numbers).reshape(7, 64)
    sizes, dequantize = [], gguf.quants.dequantize
    monkeypatch.setattr(gguf.quants, "dequantize", lambda rows, format_: sizes.append(len(rows)) or dequantize(rows, format_))
    tensor = ours_gguf.Packed(tmp_path / "numbers", "Q8_0", (7, 64), 6)
    for piece, rows in ((1, [1] * 7), (63, [1] * 7), (128, [2, 2, 2, 1]), (2**20, [7])):
        monkeypatch.setattr(ours_gguf, "PIECE", piece)
        array = np.zeros((7, 64), np.float32)
        sizes.clear()
        tensor.read_into(array)
        assert sizes == rows and np.array_equal(array, expected, equal_nan=True) and np.isnan(array[6, 32])
    (tmp_path / "numbers").write_bytes(content[:-1])  # since its header was read
    with pytest.raises(ValueError, match=r"numbers is truncated"):
        tensor.read_into(array)
