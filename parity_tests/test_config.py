"""GPTConfig: its presets, and an error that helps for every option."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given

from npgpt import GPTConfig

from .strategies import configs

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


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GPTConfig(**GOOD).n_layer = 2


def test_defaults_and_derived_sizes():
    config = GPTConfig(**GOOD)
    assert (config.position, config.qkv_bias, config.tie_weights, config.head_bias) == ("sinusoidal", False, False, True)
    assert (config.head_size, config.ffn_size, config.train_qkv) == (2, 16, True)
    assert dataclasses.replace(config, ffn_hidden=0).ffn_size == 0
    assert type(GPTConfig(**(GOOD | {"n_embd": np.int64(4)})).n_embd) is int


@given(configs())
def test_a_dictionary_and_back(config):
    assert GPTConfig.from_dict(config.to_dict()) == config


def test_a_dictionary_that_is_no_config_is_refused():
    with pytest.raises(ValueError, match=r"unknown \['colour'\], missing \['seq_len'\]"):
        GPTConfig.from_dict({k: v for k, v in GOOD.items() if k != "seq_len"} | {"colour": "red"})
