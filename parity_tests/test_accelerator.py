"""What makes the torch side fast: bfloat16 products under float32 weights, a compiled model, TF32 only when asked for."""

import math

import numpy as np
import pytest
import torch

import npgpt
import torchgpt
from npgpt import GPTConfig, LSTMConfig

from .test_training import SMALL, batches


def test_bfloat16_keeps_float32_weights_gradients_and_moments(device):
    if device == "mps":
        pytest.skip("autocast to bfloat16 depends on the macOS version")
    model = torchgpt.GPTModel(SMALL, device, seed=1, dtype="bfloat16")
    optimizer = torchgpt.AdamW(model.parameters())
    ids, targets = next(batches(8))
    assert model(ids).dtype == torch.bfloat16 and model.dtype == "float32"
    model.loss_and_grad(ids, targets)
    optimizer.step()
    assert {p.dtype for p in model.parameters()} == {p.grad.dtype for p in model.parameters()} == {torch.float32}
    assert {m.dtype.name for pair in optimizer.get_moments(model.named_parameters()).values() for m in pair} == {"float32"}


def test_bfloat16_is_float32_within_its_eight_bits(device):
    if device == "mps":
        pytest.skip("autocast to bfloat16 depends on the macOS version")
    exact, rounded = (torchgpt.GPTModel(SMALL, device, seed=1, dtype=dtype) for dtype in ("float32", "bfloat16"))
    ids, targets = next(batches(8))
    assert rounded.loss(ids, targets) == pytest.approx(exact.loss(ids, targets), rel=2**-8)
    exact.loss_and_grad(ids, targets)
    rounded.loss_and_grad(ids, targets)
    flat = [np.concatenate([g.ravel() for g in model.gradients().values()]) for model in (exact, rounded)]
    assert np.linalg.norm(flat[1] - flat[0]) < 0.05 * np.linalg.norm(flat[0])
    assert not np.array_equal(*flat)
    runs = [
        torchgpt.train(torchgpt.GPTModel(SMALL, device, seed=1, dtype=dtype), batches(8), steps=100, learning_rate=1e-2)
        for dtype in ("float32", "bfloat16")
    ]
    assert abs(np.mean(runs[0][-20:]) - np.mean(runs[1][-20:])) < 0.05


def test_bfloat16_does_not_depend_on_torchs_own_choice_and_the_loss_is_float32():
    """On a GPU torch's own choice is float16, in which gradients need a scale. A mean over the vocabulary in bfloat16 would
    have two digits."""
    model, (ids, targets) = torchgpt.GPTModel(SMALL, dtype="bfloat16"), next(batches(8))
    choice = torch.get_autocast_dtype("cpu")
    torch.set_autocast_dtype("cpu", torch.float16)
    try:
        assert model(ids).dtype == torch.bfloat16
        assert model(ids, targets=targets).dtype == torch.float32
    finally:
        torch.set_autocast_dtype("cpu", choice)
    logits = model(ids).detach().double()
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    assert model.loss(ids, targets) == pytest.approx(expected.item(), rel=1e-6)
    seen, dlogits = (tensor.double() for tensor in model.trace(ids, targets)["logits"])
    probabilities = seen.softmax(-1) - torch.nn.functional.one_hot(torch.from_numpy(targets), seen.shape[-1])
    assert torch.allclose(dlogits, probabilities / targets.size, rtol=2**-8, atol=0)  # rounded once, at its end


def test_on_a_cpu_an_lstm_computes_in_float32_whatever_the_rest_does(monkeypatch):
    """Not every CPU has one in bfloat16; other devices do."""
    config = LSTMConfig(23, 1, 6, 5, 7)
    wide, narrow = (torchgpt.LSTMModel(config, seed=1, dtype=dtype).blocks[0].lstm for dtype in ("float32", "bfloat16"))
    x = torch.randn((2, 4, 6), generator=torch.Generator().manual_seed(0)).bfloat16()
    expected, state = wide(x.float())
    with torch.autocast("cpu", torch.bfloat16):
        for given in (None, tuple(each.bfloat16() for each in narrow.zeros(2))):
            y, after = narrow(x, given)
            assert {y.dtype, *(each.dtype for each in after)} == {torch.float32}
            assert torch.equal(y, expected) and all(map(torch.equal, after, state))
    dtypes = []
    monkeypatch.setattr(torch, "lstm", lambda x, past, *_, **__: (dtypes.append({t.dtype for t in (x, *past)}), x, *past)[1:])
    narrow.to("meta")(x.to("meta"))
    assert dtypes == [{torch.bfloat16}]


def test_a_compiled_model_computes_the_same(device):
    config = GPTConfig(32, 2, 2, 16, 8, position="learned", tie_weights=True, train_qkv=False)
    plain, compiled = (torchgpt.GPTModel(config, device, seed=1) for _ in range(2))
    compiled.compile(**({} if device == "cuda" else {"backend": "aot_eager"}))  # without a C++ compiler
    ids, targets = next(batches(8))
    assert torch.allclose(plain(ids), compiled(ids), atol=1e-5)
    assert plain.loss_and_grad(ids, targets) == pytest.approx(compiled.loss_and_grad(ids, targets), rel=1e-5)
    largest = max(np.abs(gradient).max() for gradient in plain.gradients().values())
    for name, gradient in plain.gradients().items():
        assert np.abs(gradient - compiled.gradients()[name]).max() <= 128 * np.finfo(np.float32).eps * largest, name
    assert list(plain.state_dict()) == list(compiled.state_dict()) and list(compiled.trace(ids)) == list(plain.trace(ids))
    with pytest.raises(ValueError, match="got 32"):
        compiled([[32]])


def test_what_is_compiled_computes_logits_and_losses_alone(monkeypatch):
    """With a stand-in for torch.compile, which a C++ compiler is needed for. Would catch a model that is compiled and not
    asked; whoever looks, and whoever generates, does not meet a compiled pass, whose shapes would be new every time."""
    asked = []

    def stand_in(function, **options):
        assert options == {"mode": "max-autotune"}
        return lambda *arguments: (asked.append("compiled"), function(*arguments))[1]

    monkeypatch.setattr(torch, "compile", stand_in)
    plain, compiled = (torchgpt.GPTModel(SMALL, seed=1) for _ in range(2))
    compiled.compile(mode="max-autotune")
    ids, targets = next(batches(8))
    assert torch.equal(plain(ids), compiled(ids)) and asked == ["compiled"]
    assert plain.loss(ids, targets) == compiled.loss(ids, targets)
    assert plain.loss_and_grad(ids, targets) == compiled.loss_and_grad(ids, targets) and asked == 3 * ["compiled"]
    compiled.trace(ids, targets)
    compiled.next_logits(ids, compiled.remember(len(ids)))
    assert len(asked) == 3


def test_a_compiled_model_has_no_dropout():
    with pytest.raises(ValueError, match=r"a compiled model needs dropout 0, got 0\.1"):
        torchgpt.GPTModel(GPTConfig(32, 1, 1, 4, 4, dropout=0.1)).compile()


def test_tf32_is_off_unless_asked_for():
    assert torch.get_float32_matmul_precision() == "highest"
    try:
        torchgpt.use_tf32(True)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torchgpt.use_tf32(False)
    assert torch.get_float32_matmul_precision() == "highest"


def test_dtypes_that_a_backend_does_not_have_are_named():
    with pytest.raises(ValueError, match="dtype must be one of float32, float64; got 'bfloat16'"):
        npgpt.GPTModel(SMALL, dtype="bfloat16")
    with pytest.raises(ValueError, match="dtype must be one of float32, float64, bfloat16; got 'float16'"):
        torchgpt.GPTModel(SMALL, dtype="float16")
    assert math.isfinite(torchgpt.GPTModel(SMALL, dtype="bfloat16").loss(*next(batches(8))))
