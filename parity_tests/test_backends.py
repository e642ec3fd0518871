"""One backend is one module: the same names and signatures; devices; what an import may cost."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig

ONLY_NUMPY = {"BPETokenizer", "CharTokenizer", "LetterTokenizer", "Tokenizer", "WordTokenizer"}
ONLY_NUMPY |= {"check_backward", "check_layer", "check_pairs"}
ONLY_NUMPY |= {"RandomWindows", "backend", "encode_file", "pretrained_tokenizer", "read_text", "split_tokens"}
ONLY_NUMPY |= {"detokenize", "letters", "random_batches", "read_tokens", "sliding_windows", "tokenize"}
ONLY_TORCH = {"distribute", "from_numpy", "join_ranks", "leave_ranks", "to_numpy", "use_tf32", "wait_for_all"}
METHODS = ["loss", "loss_and_grad", "trace", "num_parameters", "gradients", "state_dict", "load_state_dict", "zero_grad"]
METHODS += ["parameters", "named_parameters", "__call__"]


def parameters(function) -> list[tuple]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_the_packages_export_the_same_names():
    assert set(npgpt.__all__) - set(torchgpt.__all__) == ONLY_NUMPY
    assert set(torchgpt.__all__) - set(npgpt.__all__) == ONLY_TORCH


@pytest.mark.parametrize("name", sorted(set(npgpt.__all__) & set(torchgpt.__all__)))
def test_the_same_name_has_the_same_signature(name):
    ours, theirs = getattr(npgpt, name), getattr(torchgpt, name)
    if ours is theirs:
        return
    if name == "pick_device":  # torch's takes a torch.device too
        assert [p.name for p in inspect.signature(ours).parameters.values()] == ["name"] and parameters(ours) == parameters(
            theirs
        )
    assert parameters(ours) == parameters(theirs)


@pytest.mark.parametrize("name", METHODS)
def test_the_models_have_the_same_methods(name):
    for backend in (npgpt, torchgpt):
        assert callable(getattr(backend.GPTModel(GPTConfig.article()), name))
    if name in ("loss", "loss_and_grad", "trace"):
        assert parameters(getattr(npgpt.GPTModel, name)) == parameters(getattr(torchgpt.GPTModel, name))


def test_torchgpt_shares_what_needs_no_backend():
    assert torchgpt.GPTConfig is npgpt.GPTConfig and torchgpt.train is npgpt.train


def test_a_backend_by_its_name():
    assert npgpt.backend("numpy") is npgpt and npgpt.backend("torch") is torchgpt
    for name in ("jax", "torchgpt", ""):
        with pytest.raises(ValueError, match=f"backend must be 'numpy' or 'torch', got '{name}'"):
            npgpt.backend(name)


def test_a_missing_torch_is_an_error_with_the_command_that_installs_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchgpt"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"backend 'torch' needs PyTorch: .*pip install -e '\.\[torch\]'"):
        npgpt.backend("torch")


def test_importing_npgpt_imports_numpy_and_nothing_heavy():
    heavy = ("torch", "matplotlib", "safetensors", "tqdm", "threadpoolctl", "numpy.random", "multiprocessing")
    code = f"import sys, npgpt; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


# -------------------------------------------------------------------------------------------------------------------- devices


def test_everything_lands_on_the_device_asked_for(device):
    config = GPTConfig(16, 1, 2, 8, 6, position="learned", train_qkv=False)
    for each in (config, GPTConfig.article()):
        model = torchgpt.GPTModel(each, device)
        tensors = [*model.parameters(), *model.buffers(), model.position_encoding, model([[1, 2]])]
        assert {tensor.device.type for tensor in tensors} == {device}
        assert torchgpt.get_position_encoding(4, 6, device=device).device.type == device
        assert model.num_parameters() == npgpt.GPTModel(each).num_parameters()
    assert torchgpt.GPTModel(GPTConfig.article(), device).num_parameters() == 248
    assert torchgpt.GPTModel(GPTConfig.article(train_qkv=True), device).num_parameters() == 275


ON_A_DEVICE = {
    "gpt": GPTConfig(32, 2, 2, 16, 12, position="learned", tie_weights=True),
    "lstm": LSTMConfig(32, 2, 16, 16, 12),
    "mamba": MambaConfig(32, 2, 16, 12, d_state=4),
    "llama": LlamaConfig(32, 2, 4, 16, 12, n_kv_head=2),
}


@pytest.mark.parametrize("kind", ON_A_DEVICE)
def test_float32_results_on_a_device_are_those_of_numpy(device, kind):
    ours = npgpt.make_model(ON_A_DEVICE[kind], seed=1)
    theirs = torchgpt.from_numpy(ours, device)
    ids, targets = np.random.default_rng(0).integers(32, size=(2, 3, 12))
    assert ours.loss_and_grad(ids, targets) == pytest.approx(theirs.loss_and_grad(ids, targets), rel=1e-5)
    largest = max(np.abs(gradient).max() for gradient in ours.gradients().values())
    for name, gradient in theirs.gradients().items():
        assert np.abs(gradient - ours.gradients()[name]).max() <= 128 * np.finfo(np.float32).eps * largest, name
    assert all(np.array_equal(v, ours.state_dict()[k]) for k, v in torchgpt.to_numpy(theirs).state_dict().items())


def test_auto_prefers_cuda_then_mps_then_the_cpu(monkeypatch):
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.cuda, "device_count", lambda cuda=cuda: int(cuda))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert torchgpt.pick_device("auto").type == torchgpt.pick_device().type == expected
        assert torchgpt.pick_device(torch.device("cpu")).type == "cpu"


def test_an_absent_or_unknown_device_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(
            ValueError, match=f"device '{name}' is not available here: .* sees no {name.partition(':')[0].upper()} device"
        ):
            torchgpt.GPTModel(GPTConfig.article(), name)
    for name in ("gpu", "xpu", "cuda:x", ""):
        with pytest.raises(ValueError, match="device must be 'auto', 'cpu', 'cuda'"):
            torchgpt.pick_device(name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=r"sees 2 CUDA device\(s\), from 0"):
        torchgpt.pick_device("cuda:2")
    assert torchgpt.pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"device 'cpu:1' is not available here: torch sees 1 CPU device\(s\), from 0"):
        torchgpt.pick_device("cpu:1")
    with pytest.raises(ValueError, match="'auto' or 'cpu' for NumPy, got 'cuda'; torchgpt"):
        npgpt.GPTModel(GPTConfig.article(), "cuda")


def test_mps_has_no_float64(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match="'float64' does not exist on device 'mps'"):
        torchgpt.GPTModel(GPTConfig.article(), "mps", dtype="float64")
