"""The configs: their presets, and an error that helps for every option."""

import dataclasses

import numpy as np
import pytest

from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig

from .strategies import given_every_kind

GOOD = {"vocab_size": 32, "n_layer": 1, "n_head": 2, "n_embd": 4, "seq_len": 8}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_embd": 5}, ValueError, "n_embd must be divisible by n_head.*n_embd=5, n_head=2"),
        ({"vocab_size": 0}, ValueError, "vocab_size must be at least 1, got 0"),
        ({"n_layer": -1}, ValueError, "n_layer must be at least 1, got -1"),
        ({"seq_len": 2.5}, TypeError, "seq_len must be an integer, got 2.5"),
        ({"n_head": True}, TypeError, "n_head must be an integer, got True"),
        ({"n_embd": "4"}, TypeError, "n_embd must be an integer, got '4'"),
        ({"ffn_hidden": -1}, ValueError, "ffn_hidden must be at least 0, got -1"),
        ({"position": "rotary"}, ValueError, "position must be one of sinusoidal, learned; got 'rotary'"),
        ({"qkv_bias": 1}, TypeError, "qkv_bias must be True or False, got 1"),
        ({"tie_weights": None}, TypeError, "tie_weights must be True or False"),
        ({"head_bias": "yes"}, TypeError, "head_bias must be True or False"),
        ({"train_qkv": 0}, TypeError, "train_qkv must be True or False"),
        ({"n_heads": 2}, TypeError, "n_heads"),
        ({"init_std": 0}, ValueError, "init_std must be above 0 and finite, got 0.0"),
        ({"init_std": float("inf")}, ValueError, "init_std must be above 0 and finite, got inf"),
        ({"init_std": "0.1"}, TypeError, "init_std must be a number, got '0.1'"),
    ],
)
def test_a_bad_option_is_named_with_what_came_and_what_is_allowed(change, error, message):
    with pytest.raises(error, match=message):
        GPTConfig(**(GOOD | change))


GOOD_LSTM = {"vocab_size": 32, "n_layer": 1, "n_embd": 4, "n_hidden": 6, "seq_len": 8}
GOOD_MAMBA = {"vocab_size": 32, "n_layer": 1, "n_embd": 4, "seq_len": 8}
GOOD_LLAMA = {"vocab_size": 32, "n_layer": 1, "n_head": 4, "n_embd": 16, "seq_len": 8}


@pytest.mark.parametrize("name", GOOD_LSTM)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "must be at least 1, got 0"),
        (-3, ValueError, "must be at least 1, got -3"),
        (2.5, TypeError, "must be an integer, got 2.5"),
        (True, TypeError, "must be an integer, got True"),
        ("4", TypeError, "must be an integer, got '4'"),
        (None, TypeError, "must be an integer, got None"),
    ],
)
def test_a_size_that_cannot_be_is_named(name, value, error, message):
    for config, good in ((LSTMConfig, GOOD_LSTM), (MambaConfig, GOOD_MAMBA | {"d_state": 2, "d_conv": 2, "dt_rank": 2})):
        names = [name] if name in good else ["d_state", "d_conv", *(["dt_rank"] if value is not None else [])]
        for each in names:
            with pytest.raises(error, match=f"^{each} {message}"):
                config(**(good | {each: value}))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tie_weights": True}, ValueError, "^tie_weights needs n_hidden equal to n_embd.* got n_hidden=6, n_embd=4$"),
        ({"tie_weights": 1}, TypeError, "tie_weights must be True or False, got 1"),
        ({"head_bias": "yes"}, TypeError, "head_bias must be True or False, got 'yes'"),
        ({"dropout": 1}, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": "0"}, TypeError, "dropout must be a number, got '0'"),
        ({"n_head": 2}, TypeError, "n_head"),
    ],
)
def test_an_lstms_bad_option_is_named_with_what_came_and_what_is_allowed(change, error, message):
    with pytest.raises(error, match=message):
        LSTMConfig(**(GOOD_LSTM | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"conv_bias": 0}, TypeError, "conv_bias must be True or False, got 0"),
        ({"tie_weights": None}, TypeError, "tie_weights must be True or False, got None"),
        ({"head_bias": 1}, TypeError, "head_bias must be True or False, got 1"),
        ({"expand": "2"}, TypeError, "expand must be a number, got '2'"),
        ({"expand": 0}, ValueError, "expand must be above 0 and finite, got 0.0"),
        ({"expand": float("inf")}, ValueError, "expand must be above 0 and finite, got inf"),
        ({"expand": float("nan")}, ValueError, "expand must be above 0 and finite, got nan"),
        ({"expand": 0.2}, ValueError, "^expand .* n_embd.* must be an integer of at least 1; got expand=0.2, n_embd=4$"),
        ({"expand": 1.1}, ValueError, "^expand .* n_embd.* must be an integer of at least 1; got expand=1.1, n_embd=4$"),
        ({"dropout": 0.1}, TypeError, "dropout"),
    ],
)
def test_a_mambas_bad_option_is_named_with_what_came_and_what_is_allowed(change, error, message):
    with pytest.raises(error, match=message):
        MambaConfig(**(GOOD_MAMBA | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"vocab_size": 0}, ValueError, "^vocab_size must be at least 1, got 0$"),
        ({"n_layer": 1.5}, TypeError, "^n_layer must be an integer, got 1.5$"),
        ({"n_head": 0}, ValueError, "^n_head must be at least 1, got 0$"),
        ({"n_embd": None}, TypeError, "^n_embd must be an integer, got None$"),
        ({"seq_len": "8"}, TypeError, "^seq_len must be an integer, got '8'$"),
        ({"n_kv_head": 0}, ValueError, "^n_kv_head must be at least 1, got 0$"),
        ({"n_kv_head": 3}, ValueError, "^n_kv_head must divide n_head, .* got n_kv_head=3, n_head=4$"),
        ({"n_kv_head": 8}, ValueError, "^n_kv_head must divide n_head, .* got n_kv_head=8, n_head=4$"),
        ({"n_embd": 18}, ValueError, "^n_embd must be divisible by n_head .* no head_size .*; got n_embd=18, n_head=4$"),
        ({"n_embd": 12}, ValueError, "^a head must have an even number of features.*; got n_embd=12, n_head=4$"),
        ({"head_size": 3}, ValueError, "^a head must have an even number of features.*; got head_size=3$"),
        ({"head_size": 2.0}, TypeError, "^head_size must be an integer, got 2.0$"),
        ({"ffn_hidden": 0}, ValueError, "^ffn_hidden must be at least 1, got 0$"),
        ({"rope_theta": 0}, ValueError, "^rope_theta must be above 0 and finite, got 0.0$"),
        ({"norm_eps": "1e-5"}, TypeError, "^norm_eps must be a number, got '1e-5'$"),
        ({"qkv_bias": 1}, TypeError, "^qkv_bias must be True or False, got 1$"),
        ({"tie_weights": None}, TypeError, "^tie_weights must be True or False, got None$"),
        ({"dropout": 1.0}, ValueError, "^dropout must be at least 0 and below 1, got 1.0$"),
        ({"rope_scaling": 8.0}, TypeError, r"^rope_scaling must be None or the numbers \(factor, .*\), got 8.0$"),
        ({"rope_scaling": (8, 1, "4", 16)}, TypeError, "^rope_scaling must be None or the numbers .* got .8, 1, '4', 16.$"),
        *(
            ({"rope_scaling": given}, ValueError, "^rope_scaling must be four numbers .*factor, low and original above 0.*got ")
            for given in (
                *((8, 1, 4), (0, 1, 4, 16), (8, 0, 4, 16), (8, 1, 4, 0), (8, 4, 4, 16)),
                *(tuple(np.inf if i == place else n for i, n in enumerate((8, 1, 4, 16))) for place in range(4)),
                *(tuple(np.nan if i == place else n for i, n in enumerate((8, 1, 4, 16))) for place in range(4)),
            )
        ),
        ({"head_bias": False}, TypeError, "head_bias"),
    ],
)
def test_a_llamas_bad_option_is_named_with_what_came_and_what_is_allowed(change, error, message):
    with pytest.raises(error, match=message):
        LlamaConfig(**(GOOD_LLAMA | change))


@pytest.mark.parametrize(
    "config", [GPTConfig(**GOOD), LSTMConfig(**GOOD_LSTM), MambaConfig(**GOOD_MAMBA), LlamaConfig(**GOOD_LLAMA)]
)
def test_it_cannot_be_changed(config):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.n_layer = 2


def test_defaults_and_derived_sizes():
    config = GPTConfig(**GOOD)
    assert (config.position, config.qkv_bias, config.tie_weights, config.head_bias) == ("sinusoidal", False, False, True)
    assert (config.head_size, config.ffn_size, config.train_qkv) == (2, 16, True)
    assert dataclasses.replace(config, ffn_hidden=0).ffn_size == 0
    assert type(GPTConfig(**(GOOD | {"n_embd": np.int64(4)})).n_embd) is int


def test_defaults_and_derived_sizes_of_the_other_kinds():
    lstm, mamba = LSTMConfig(**GOOD_LSTM), MambaConfig(**GOOD_MAMBA)
    assert (lstm.tie_weights, lstm.head_bias, lstm.dropout) == (False, True, 0.0)
    assert (mamba.d_state, mamba.d_conv, mamba.expand, mamba.dt_rank) == (16, 4, 2, None)
    assert (mamba.conv_bias, mamba.tie_weights, mamba.head_bias) == (True, True, False)
    assert (mamba.channels, mamba.dt_size) == (8, 1)
    assert [dataclasses.replace(mamba, n_embd=n).dt_size for n in (16, 17, 768)] == [1, 2, 48]
    assert dataclasses.replace(mamba, dt_rank=5, expand=1.5).dt_size == 5
    assert type(MambaConfig(**(GOOD_MAMBA | {"dt_rank": np.int64(4)})).dt_rank) is int
    llama = LlamaConfig(**GOOD_LLAMA)
    assert (llama.n_kv_head, llama.head_size, llama.ffn_hidden) == (None, None, None)
    assert (llama.rope_theta, llama.norm_eps, llama.qkv_bias, llama.tie_weights, llama.dropout) == (1e4, 1e-5, False, True, 0.0)
    assert (llama.kv_heads, llama.head_width, llama.ffn_size) == (4, 4, 48)
    given = dataclasses.replace(llama, n_embd=18, n_kv_head=2, head_size=6, ffn_hidden=5)
    assert (given.kv_heads, given.head_width, given.ffn_size) == (2, 6, 5)
    assert [dataclasses.replace(llama, n_embd=n, head_size=2).ffn_size for n in (1, 3, 4, 128, 576)] == [8, 8, 16, 344, 1536]
    assert type(LlamaConfig(**(GOOD_LLAMA | {"n_kv_head": np.int64(2)})).n_kv_head) is int
    assert LlamaConfig(**GOOD_LLAMA, rope_scaling=[8, 1, 4, 16]).rope_scaling == (8, 1, 4, 16)  # a list, as JSON has it


@given_every_kind()
def test_a_dictionary_and_back(config):
    assert type(config).from_dict(config.to_dict()) == config


def test_a_dictionary_that_is_no_config_is_refused():
    without = {k: v for k, v in GOOD.items() if k != "seq_len"}
    for options, message in [
        (without | {"colour": "red"}, r"unknown \['colour'\], missing \['seq_len'\]"),
        (GOOD | {"colour": "red"}, r"unknown \['colour'\], missing \[\]"),
        (without, r"unknown \[\], missing \['seq_len'\]"),
        ([6, 2], r"not the options of a GPTConfig: \[6, 2\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            GPTConfig.from_dict(options)
