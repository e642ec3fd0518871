"""machine/rows.py: how NumPy walks over long rows changes no bit, and is as it was when the step has ended."""

import numpy as np
import pytest

import npgpt
from npgpt.machine import rows
from npgpt.machine.threads import run_together

WIDE = npgpt.GPTConfig(7, n_layer=1, n_head=2, n_embd=520, seq_len=4, ffn_hidden=8)
LONG = npgpt.GPTConfig(7, n_layer=1, n_head=2, n_embd=8, seq_len=600)
SHORT = npgpt.GPTConfig(7, n_layer=1, n_head=2, n_embd=128, seq_len=512)  # ffn_hidden 512


def a_batch(config):
    return np.random.default_rng(4).integers(config.vocab_size, size=(2, 2, config.seq_len))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", [WIDE, LONG], ids=["wide", "long"])
def test_it_changes_no_bit(config, dtype, monkeypatch):
    results = []
    for enough in (rows.ENOUGH, 10**6):
        monkeypatch.setattr(rows, "ENOUGH", enough)
        model = npgpt.GPTModel(config, dtype=dtype)
        results.append((model.loss_and_grad(*a_batch(config)), model.store.grad))
    (loss, grad), (plain_loss, plain_grad) = results
    assert loss == plain_loss
    np.testing.assert_array_equal(grad, plain_grad)


@pytest.mark.parametrize(("config", "inside"), [(WIDE, 512), (LONG, 512), (SHORT, 4096)], ids=["wide", "long", "short"])
def test_a_step_with_long_rows_is_walked_in_place_and_then_all_is_as_before(config, inside, monkeypatch):
    seen = []
    backward = npgpt.GPTModel.backward
    monkeypatch.setattr(npgpt.GPTModel, "backward", lambda *args: seen.append(np.getbufsize()) or backward(*args))
    before = np.setbufsize(4096)
    try:
        npgpt.GPTModel(config).loss_and_grad(*a_batch(config))
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(before)
    assert seen and set(seen) == {inside}  # once, or once for each thread


def test_it_is_as_before_after_an_error_too():
    before = np.getbufsize()
    with pytest.raises(KeyError), rows.in_place(longest=513):
        raise KeyError
    assert np.getbufsize() == before


def test_it_reaches_the_threads():
    with rows.in_place(longest=513):
        assert run_together([np.getbufsize, np.getbufsize]) == [512, 512]
