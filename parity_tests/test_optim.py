"""AdamW and clipping by hand against torch's, over many steps."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import npgpt
import torchgpt
from npgpt.machine.parameters import Store, vectors_of

from .strategies import seeds
from .tolerances import eps

STEPS = 100


def twin_parameters(rng, shapes):
    """The same random parameters as a store of ours and as torch's, both in float64."""
    store = Store(shapes, "float64")
    for parameter in store.parameters.values():
        parameter.data[...] = rng.standard_normal(parameter.shape)
    ours = list(store.parameters.values())
    return ours, [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in ours]


@given(
    seeds,
    st.sampled_from([1e-4, 1e-2, 1.0]),
    st.sampled_from([(0.9, 0.999), (0.9, 0.99), (0.0, 0.5), (0.8, 0.0)]),
    st.sampled_from([1e-8, 1e-3]),
    st.sampled_from([0.0, 0.01, 0.5]),
    st.sampled_from([0.1, 1.0, 1e6]),
)
def test_adamw_with_clipping_equals_torchs_over_100_steps(seed, lr, betas, epsilon, weight_decay, max_norm):
    rng = np.random.default_rng(seed)
    ours, theirs = twin_parameters(rng, {"a": (3, 4), "b": (5,)})
    arguments = {"lr": lr, "betas": betas, "eps": epsilon, "weight_decay": weight_decay}
    optimizer = npgpt.AdamW(ours, **arguments)
    plain = torch.optim.AdamW(theirs, foreach=False, fused=False, **arguments)  # torch's reference loop, not our wrapper
    largest, mean_size, mean_square, travelled = ([np.zeros(p.shape) for p in ours] for _ in range(4))
    for step in range(1, STEPS + 1):
        scale = 10.0 ** rng.uniform(-4, 2)
        for p, q in zip(ours, theirs, strict=True):
            p.grad[...] = scale * rng.standard_normal(p.shape)
            q.grad = torch.from_numpy(p.grad.copy())
        norm = npgpt.clip_grad_norm(ours, max_norm)
        torch_norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm).item()
        assert abs(norm - torch_norm) <= 16 * eps("float64") * torch_norm
        for i, p in enumerate(ours):  # how far the weight would move if nothing in m cancelled: what rounding errors scale with
            largest[i] = np.maximum(largest[i], np.abs(p.data))
            mean_size[i] = betas[0] * mean_size[i] + (1 - betas[0]) * np.abs(p.grad)
            mean_square[i] = betas[1] * mean_square[i] + (1 - betas[1]) * p.grad**2
            root = np.sqrt(mean_square[i] / (1 - betas[1] ** step)) + epsilon
            travelled[i] += lr * mean_size[i] / (1 - betas[0] ** step) / root
        with mock.patch("npgpt.machine.threads.PIECE", 8):  # so that a small parameter spans several pieces of the update
            optimizer.step()
        plain.step()
        optimizer.zero_grad()
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        # The weight is rounded STEPS times, and the running means in an update have been rounded up to STEPS times.
        bound = 8 * STEPS * eps("float64") * (largest[i] + travelled[i])
        assert (np.abs(p.data - q.detach().numpy()) <= bound).all()
        assert not p.grad.any()


@settings(max_examples=20)
@given(seeds)
def test_both_backends_take_the_same_arguments_and_make_the_same_steps(seed):
    rng = np.random.default_rng(seed)
    ours, theirs = twin_parameters(rng, {"a": (3, 4), "b": (5,)})
    optimizers = npgpt.AdamW(ours, 1e-2, (0.9, 0.95), 1e-6, 0.1), torchgpt.AdamW(theirs, 1e-2, (0.9, 0.95), 1e-6, 0.1)
    for _ in range(10):
        for p, q in zip(ours, theirs, strict=True):
            p.grad[...] = rng.standard_normal(p.shape)
            q.grad = torch.from_numpy(p.grad.copy())
        norms = npgpt.clip_grad_norm(ours, 0.5), torchgpt.clip_grad_norm(theirs, 0.5)
        assert type(norms[0]) is type(norms[1]) is float and abs(norms[0] - norms[1]) <= 16 * eps("float64") * norms[1]
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(ours, theirs, strict=True):
        assert np.abs(p.data - q.detach().numpy()).max() <= 10 * 8 * eps("float64") * max(1.0, np.abs(p.data).max())


def test_the_default_arguments_are_torchs():
    rng = np.random.default_rng(0)
    (ours, theirs), (_, wrapped) = (twin_parameters(np.random.default_rng(1), {"a": (3, 4)}) for _ in range(2))
    optimizers = npgpt.AdamW(ours), torch.optim.AdamW(theirs), torchgpt.AdamW(wrapped)
    for _ in range(10):
        ours[0].grad[...] = 1e-6 * rng.standard_normal(ours[0].shape)  # so small that eps and the decay show
        theirs[0].grad, wrapped[0].grad = (torch.from_numpy(ours[0].grad.copy()) for _ in range(2))
        for optimizer in optimizers:
            optimizer.step()
    for each in (theirs, wrapped):
        assert np.abs(ours[0].data - each[0].detach().numpy()).max() <= 10 * 8 * eps("float64") * np.abs(ours[0].data).max()


def test_torchs_update_is_fused():
    """One kernel for all weights. (The numbers are the same without it.)"""
    _, theirs = twin_parameters(np.random.default_rng(0), {"a": (3,)})
    assert torchgpt.AdamW(theirs).defaults["fused"] is True


def test_a_small_gradient_is_not_clipped_and_a_large_one_keeps_its_direction():
    ours, _ = twin_parameters(np.random.default_rng(0), {"a": (3,), "b": (2,)})
    ours[0].grad[:], ours[1].grad[:] = [3, 0, 0], [0, 4]
    assert npgpt.clip_grad_norm(ours, 6) == 5 and ours[1].grad[1] == 4
    assert npgpt.clip_grad_norm(ours, 1) == 5
    assert np.allclose([ours[0].grad[0], ours[1].grad[1]], [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_is_given_back_and_nothing_is_scaled(backend, value):
    ours, theirs = twin_parameters(np.random.default_rng(0), {"a": (3,)})
    ours[0].grad[:] = [1.0, value, 2.0]
    theirs[0].grad = torch.from_numpy(ours[0].grad)
    norm = backend.clip_grad_norm(ours if backend is npgpt else theirs, 1.0)
    assert not np.isfinite(norm) and list(theirs[0].grad.numpy()[[0, 2]]) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0, got -1"),
        ({"lr": float("nan")}, "lr must be at least 0, got nan"),
        ({"eps": -1e-8}, "eps must be at least 0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"betas": (1.0, 0.9)}, r"betas must lie in \[0, 1\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    ours, _ = twin_parameters(np.random.default_rng(0), {"a": (3,)})
    with pytest.raises(ValueError, match=message):
        npgpt.AdamW(ours, **arguments)


def test_no_parameters_buffers_and_a_bad_norm_are_refused():
    ours, theirs = twin_parameters(np.random.default_rng(0), {"a": (3,)})
    with pytest.raises(ValueError, match=r"^params must hold at least one parameter$"):
        npgpt.AdamW([])
    buffer = Store({"w": (2,)}, "float64", trainable=False).parameters["w"]
    with pytest.raises(ValueError, match=r"^w is a buffer"):
        npgpt.AdamW([buffer])
    with pytest.raises(ValueError, match=r"^w\[0:1\] is a buffer"):  # a head's rows of a matrix say which they are
        npgpt.AdamW([buffer.rows(0, 1)])
    for backend, params in ((npgpt, ours), (torchgpt, theirs)):
        with pytest.raises(ValueError, match="max_norm must be above 0, got 0"):
            backend.clip_grad_norm(params, 0)


def test_a_whole_model_is_one_vector_and_a_part_of_it_is_its_own_pieces():
    config = dataclasses.replace(npgpt.GPTConfig.article(), n_layer=2)
    parameters = npgpt.GPTModel(config).parameters()
    assert len(vectors_of(parameters)) == 1
    some = [parameters[0], parameters[1], parameters[3]]
    runs = vectors_of(some)
    assert [data.size for data, _ in runs] == [some[0].numel() + some[1].numel(), some[2].numel()]
    assert np.shares_memory(runs[1][0], some[2].data) and np.shares_memory(runs[1][1], some[2].grad)


def test_only_the_parameters_given_are_updated():
    model = npgpt.GPTModel(npgpt.GPTConfig.article(), seed=1)
    before = {name: value.copy() for name, value in model.state_dict().items()}
    model.loss_and_grad([[1, 2, 3]], [[2, 3, 4]])
    head = [p for name, p in model.named_parameters() if name.startswith("head")]
    npgpt.AdamW(head, lr=0.1, weight_decay=0.1).step()
    changed = {name for name, value in model.state_dict().items() if not np.array_equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}
