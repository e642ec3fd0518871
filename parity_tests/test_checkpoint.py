"""Weights on disk: the same file for both backends, whole or not at all, and clear about what is wrong with it."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors.numpy import save_file

import npgpt
import torchgpt
from npgpt import GPTConfig

from .strategies import configs, dtypes, seeds
from .tolerances import as_numpy

BACKENDS = [npgpt, torchgpt]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example overwrites the file
@given(configs(), seeds, dtypes)
def test_either_backend_reads_what_either_wrote(tmp_path, config, seed, dtype):
    for writer in BACKENDS:
        model = writer.GPTModel(config, seed=seed, dtype=dtype)
        writer.save_checkpoint(model, tmp_path / "model.safetensors")
        for reader in BACKENDS:
            copy = reader.load_checkpoint(tmp_path / "model.safetensors", dtype=dtype, config=config)
            assert copy.config == config
            for name, value in model.state_dict().items():
                assert np.array_equal(as_numpy(value), as_numpy(copy.state_dict()[name]))
    assert os.listdir(tmp_path) == ["model.safetensors"]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    npgpt.save_checkpoint(npgpt.GPTModel(GPTConfig.article()), path)
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_truncated_file_is_refused_at_any_length(backend, checkpoint):
    content = checkpoint.read_bytes()
    for length in (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1):
        checkpoint.write_bytes(content[:length])
        with pytest.raises(ValueError, match="truncated or no safetensors file"):
            backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_of_other_origin_are_refused(backend, tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        backend.load_checkpoint(path)
    path.write_text("hello, this is a text file and no checkpoint at all")
    with pytest.raises(ValueError, match="no safetensors file"):
        backend.load_checkpoint(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of this format"):
        backend.load_checkpoint(path)
    for config in ("{}", "[]", "3", "not json", '{"vocab_size": 0, "n_layer": 1, "n_head": 1, "n_embd": 1, "seq_len": 1}'):
        save_file({"weight": np.zeros(3)}, path, metadata={"npgpt-1": config})
        with pytest.raises(ValueError, match="unusable config"):
            backend.load_checkpoint(path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_config_is_refused_with_the_difference(backend, checkpoint):
    with pytest.raises(ValueError, match="of another config: train_qkv is False, not True"):
        backend.load_checkpoint(checkpoint, config=GPTConfig.article(train_qkv=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_that_do_not_fit_the_config_are_refused(backend, checkpoint):
    weights, config = npgpt.checkpoint.read_weights(checkpoint)
    del weights["ln_f.weight"]
    npgpt.checkpoint.write_weights(checkpoint, weights, config)
    with pytest.raises(ValueError, match=r"missing ln_f\.weight"):
        backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(backend, checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        backend.save_checkpoint(backend.GPTModel(GPTConfig.article(), seed=9), checkpoint)
    assert checkpoint.read_bytes() == before and os.listdir(checkpoint.parent) == [checkpoint.name]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_folder_is_an_os_error(backend, tmp_path):
    with pytest.raises(FileNotFoundError):
        backend.save_checkpoint(backend.GPTModel(GPTConfig.article()), tmp_path / "nowhere" / "model.safetensors")
