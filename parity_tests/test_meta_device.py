"""Devices are never mixed, proven without a GPU: the models run on torch's meta device, whose tensors have shapes, no numbers.

A tensor that was forgotten on the CPU is an error beside a model on a GPU, and none where the model is on the CPU too, as in
CI. On the meta device torch refuses many such mixtures, but not all: a matrix product, a lookup and a convolution take a CPU
tensor without a word. So `OneDevice` looks at every operation, those of the backward pass included, before it runs.

What needs numbers is not here: autocast, the fused AdamW and a trace's `where` refuse the meta device. They run on the device
of whoever has one (conftest.py's fixture `device`).
"""

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import npgpt
import torchgpt
import torchgpt.models.mamba
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig

from .strategies import EXAMPLES

CONFIGS = {f"{kind} with every part": config for kind, config in EXAMPLES.items()} | {
    "the article's gpt": GPTConfig.article(),
    "gpt without an FFN": GPTConfig(23, 1, 3, 6, 7, ffn_hidden=0, head_bias=False, dropout=0.2),
    "the article's lstm": LSTMConfig.article(),
    "lstm, untied": LSTMConfig(23, 3, 5, 3, 7, head_bias=False, dropout=0.2),
    "mamba, tied": MambaConfig(23, 1, 6, 7, d_state=2, conv_bias=False),
    "mamba, one letter wide": MambaConfig(23, 1, 6, 7, d_conv=1, tie_weights=False, head_bias=True),
    "llama, tied": LlamaConfig(23, 1, 4, 8, 7, tie_weights=True, dropout=0.2),
    "llama, stretched": LlamaConfig(23, 1, 4, 8, 7, n_kv_head=1, rope_scaling=(8.0, 1.0, 4.0, 4)),
}


class Mixed(Exception):
    """An operation got tensors of more than one device."""


class OneDevice(TorchDispatchMode):
    """Within it an operation whose tensors are on more than one device raises Mixed, and what a model reads from the meta
    device (a loss, logits to choose from) is 0, since there are no numbers. To carry a tensor to a device is allowed."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        devices = {tensor.device.type for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        if len(devices) > 1:
            raise Mixed(f"{operation} of tensors on the devices {' and '.join(sorted(devices))}")
        if operation is torch.ops.aten._local_scalar_dense.default and devices == {"meta"}:  # .item()
            return torch.zeros((), dtype=args[0].dtype).item()
        to = kwargs.get("device")
        if operation is torch.ops.aten._to_copy.default and devices == {"meta"} and to == torch.device("cpu"):  # .cpu()
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        return operation(*args, **kwargs)


@pytest.fixture(autouse=True)
def one_device(monkeypatch) -> Iterator[None]:
    """`pick_device` refuses "meta", rightly: nobody can train there. In these tests alone the models do not ask it; and they
    leave autocast out, which has no meta device (none of them asks for bfloat16)."""
    for module in (torchgpt.models.base, torchgpt.models.gpt):
        monkeypatch.setattr(module, "pick_device", torch.device)
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    with OneDevice():
        yield


@pytest.fixture(params=CONFIGS)
def model(request):
    """A model of each config on the meta device."""
    return torchgpt.make_model(CONFIGS[request.param], "meta")


def letters(model, T: int) -> np.ndarray:
    """ids (2, T)."""
    return np.arange(2 * T).reshape(2, T) % model.config.vocab_size


def tensors_in(memory) -> list[Tensor]:
    """All tensors of what a model remembers: lists, tuples, objects with attributes."""
    if isinstance(memory, Tensor):
        return [memory]
    if isinstance(memory, (list, tuple)):
        return [tensor for part in memory for tensor in tensors_in(part)]
    return tensors_in(list(vars(memory).values())) if hasattr(memory, "__dict__") else []


def on_another_device(tensors: dict[str, Tensor]) -> list[str]:
    return [name for name, tensor in tensors.items() if tensor.device.type != "meta"]


def test_weights_and_buffers(model):
    """Would catch a table (sinusoids, cosines) that is built and not carried to the device."""
    assert list(model.state_dict()) == list(model.layout)
    assert not on_another_device(model.state_dict()) and not on_another_device(dict(model.named_buffers()))


def test_forward_loss_and_gradients(model):
    """Would catch a mask, a state or ids that stay on the CPU; with dropout also the masks, which NumPy draws there."""
    ids = letters(model, model.config.seq_len)
    assert model(ids).device.type == model(torch.as_tensor(ids, device="meta")).device.type == "meta"
    assert model.loss(ids, ids) == model.loss_and_grad(ids, ids) == 0
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert None not in gradients.values() and not on_another_device(gradients)
    assert torchgpt.clip_grad_norm(model.parameters(), 1.0) == 0
    assert {name: g.shape for name, g in model.gradients().items()} == {n: tuple(g.shape) for n, g in gradients.items()}


def test_every_value_and_gradient_of_a_trace(model):
    """Would catch a fault on the path of whoever looks: attention step by step, an LSTM step by step."""
    trace = model.trace(letters(model, 5), letters(model, 5))
    assert len(trace) > 3
    assert not on_another_device({name: value for name, (value, _) in trace.items()})
    assert not on_another_device({name: gradient for name, (_, gradient) in trace.items()})


def test_what_generation_remembers(model):
    """Would catch keys, values or states that are kept on the CPU, at the start or from the first letters on."""
    past = model.remember(2)
    empty = tensors_in(past)
    for R in (1, 3, 1):
        assert model.next_logits(letters(model, R), past).device.type == "meta"
    seen = tensors_in(past)
    assert len(seen) == len(empty) >= model.config.n_layer
    assert {tensor.device.type for tensor in empty + seen} == {"meta"}
    with torch.no_grad():
        last = model.logits(model.checked(letters(model, 3)), past=model.remember(2))
    assert last.shape == (2, 1, model.config.vocab_size)  # of the last letter alone: a head over a whole prompt is dear


def test_generation_past_the_context(model):
    """Tokens are chosen on the CPU, and the model asked on its device. Of logits that are all 0 the lowest id wins."""
    prompt = letters(model, 3)
    tokens = torchgpt.generate(model, prompt, model.config.seq_len)
    assert tokens.device.type == "cpu" and np.array_equal(tokens[:, :3], prompt) and not tokens[:, 3:].any()


def test_one_attention_head_on_its_own():
    """Would catch the article's way in, `attn_heads[0](x)`, where the rows of a view stay behind."""
    model = torchgpt.make_model(CONFIGS["gpt with every part"], "meta")
    output, weights = model.blocks[0].mha.attn_heads[1](torch.empty(2, 5, 6, device="meta"))
    assert output.shape == (2, 5, 3) and weights.shape == (2, 5, 5)
    assert output.device.type == weights.device.type == model.position_encoding.device.type == "meta"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_what_is_loaded_or_copied_lands_on_the_device_asked_for(kind, tmp_path):
    """Would catch a loader that forgets the device or the dtype, and says so nowhere."""
    ours = npgpt.make_model(EXAMPLES[kind])
    npgpt.save_checkpoint(ours, tmp_path / "checkpoint")
    loaders = [lambda **options: torchgpt.load_checkpoint(tmp_path / "checkpoint", **options)]
    if kind == "llama":
        npgpt.save_pretrained(ours, tmp_path / "folder")
        loaders.append(lambda **options: torchgpt.load_pretrained(tmp_path / "folder", **options))
    for load in loaders:
        for dtype in ("float32", "float64"):
            model = load(device="meta", dtype=dtype)
            assert not on_another_device(model.state_dict()) and not on_another_device(dict(model.named_buffers()))
            assert {tensor.dtype for tensor in model.state_dict().values()} == {getattr(torch, dtype)} and model.dtype == dtype
        plain = load()
        assert plain.device.type == "cpu" and plain.dtype == "float32"
    assert not on_another_device(torchgpt.from_numpy(ours, "meta").state_dict())
    assert torchgpt.from_numpy(ours).device.type == "cpu"


def test_moments_go_to_their_parameters_device_and_dtype():
    """Would catch a checkpoint's moments, float64 on the CPU, beside weights that are neither."""
    optimizer = torchgpt.AdamW([torch.nn.Parameter(torch.zeros(2))])
    w = torch.nn.Parameter(torch.zeros(2, 3, device="meta"))
    optimizer.set_moments([("w", w)], {"w": (np.ones((2, 3)), np.ones((2, 3)))}, 5)
    assert not on_another_device(optimizer.state[w])
    assert {tensor.dtype for tensor in optimizer.state[w].values()} == {torch.float32}


# ------------------------------------------------------------------------------------------------ the tests above can fail


def future_on_the_cpu(q, k):
    R, T = q.shape[-2], k.shape[-2]
    return torch.arange(T) > torch.arange(T - R, T)[:, None]


def state_on_the_cpu(self, B):
    return torch.zeros(B, self.weight_hh.shape[1]), torch.zeros(B, self.weight_hh.shape[1])


def empty_on_the_cpu(self, B):
    (E, N), K = self.A_log.shape, self.conv1d.weight.shape[2]
    return torchgpt.models.mamba.State(torch.zeros(B, K - 1, E), torch.zeros(B, E, N))


def memory_on_the_cpu(self, B, H, seq_len, D, like):
    self.k, self.v = torch.empty((2, B, H, seq_len, D))
    self.length = 0


STRAYS = {  # where -> (kind, whose, attribute, what takes its place)
    "the mask": ("gpt", torchgpt.layers, "future", future_on_the_cpu),
    "keys and values": ("llama", torchgpt.layers.KeyValues, "__init__", memory_on_the_cpu),
    "an LSTM's state": ("lstm", torchgpt.models.lstm.LSTM, "zeros", state_on_the_cpu),
    "a Mamba's state": ("mamba", torchgpt.models.mamba.Mixer, "empty", empty_on_the_cpu),
    "ids": ("gpt", torchgpt.models.base.LanguageModel, "_to_device", lambda self, ids: torch.as_tensor(ids)),
    "a matrix": (
        "llama", torchgpt.layers.Linear, "forward", lambda self, x: F.linear(x, torch.zeros(self.weight.shape))
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", STRAYS)
def test_a_tensor_left_on_the_cpu_is_an_error(where, monkeypatch):
    kind, owner, attribute, stray = STRAYS[where]
    model = torchgpt.make_model(EXAMPLES[kind], "meta")
    monkeypatch.setattr(owner, attribute, stray)
    with pytest.raises(Mixed, match="on the devices cpu and meta"):
        model.trace(letters(model, 5), letters(model, 5))
        model.next_logits(letters(model, 3), model.remember(2))
        model.loss_and_grad(letters(model, 5), letters(model, 5))


def test_users_cannot_choose_the_meta_device():
    with pytest.raises(ValueError, match="device must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', got 'meta'"):
        torchgpt.pick_device("meta")
