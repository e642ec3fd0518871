"""How far two right answers may be apart. Every bound is derived from the dtype and the magnitudes; none is tuned.

One operation: |ours - theirs| <= 8 eps mag, elementwise. mag is the first-order error magnitude, computed in float64 from the
inputs: what one eps of relative error in every number that goes into a result adds up to. Where an operation computes
p = softmax(x), say, an error of eps |x[i] - m| in the exponent is a relative error in p, so it counts.

A whole model: conditioning decides, and torch tells it: E = the error of torch's float32 against its float64, in units of eps.
We allow 16 (E + 8) eps, relative to the largest element. E comes from torch alone, so a bug of ours cannot widen its own bound.
"""

import numpy as np
import torch

LOCAL_FACTOR = 8  # roundings: about 4 on either side
COMPLEX_STEP_FACTOR = 64


def as_numpy(tensor) -> np.ndarray:
    """An array or a tensor as an array."""
    return tensor.detach().cpu().numpy() if isinstance(tensor, torch.Tensor) else tensor


def eps(dtype) -> float:
    return float(np.finfo(dtype).eps)


def local_error(ours: np.ndarray, theirs: np.ndarray, magnitude: np.ndarray) -> float:
    """max |ours - theirs| / (eps mag): the figure that rule 1 bounds by LOCAL_FACTOR; inf where there is a nan."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape == np.shape(magnitude), (ours.shape, theirs.shape, np.shape(magnitude))
    # Below the smallest normal number precision ends, and a library may flush to 0 there: no bound can be smaller than that.
    floor = np.finfo(ours.dtype).tiny / eps(ours.dtype)
    difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    ratio = difference / (eps(ours.dtype) * (np.asarray(magnitude, dtype=np.float64) + floor))
    return float(np.where(np.isnan(ratio), np.inf, ratio).max(initial=0.0))


def model_scale(reference: dict[str, np.ndarray]) -> dict[str, float]:
    """m of rule 2: the largest element of each tensor, or a thousandth of the largest of all where that is more.

    The second half is for tensors whose true value is 0 (the key bias's gradient): their error has the size of their
    neighbours' errors.
    """
    largest = {name: float(np.abs(value[np.isfinite(value)]).max(initial=0.0)) for name, value in reference.items()}
    overall = max(largest.values())
    return {name: max(size, 1e-3 * overall) for name, size in largest.items()}


def model_errors(ours: dict, reference: dict[str, np.ndarray]) -> dict[str, float]:
    """max |ours - reference| / m for every tensor. Infinite elements (masked scores) must agree exactly."""
    errors = {}
    for name, m in model_scale(reference).items():
        a, b = np.asarray(ours[name], dtype=np.float64), reference[name]
        assert a.shape == b.shape, (name, a.shape, b.shape)
        infinite = np.isinf(b)
        assert (a[infinite] == b[infinite]).all(), name
        errors[name] = float(np.abs(a[~infinite] - b[~infinite]).max(initial=0.0)) / (m or 1.0)
        if not np.isfinite(errors[name]):
            errors[name] = np.inf
    return errors


def assert_model_parity(ours: dict, torch32: dict, torch64: dict, dtype: str) -> float:
    """Rule 2 for a dict of tensors (values or gradients). Returns the worst error in units of the bound."""
    assert list(ours) == list(torch64)
    conditioning = model_errors(torch32, torch64)
    worst = 0.0
    for name, error in model_errors(ours, torch64).items():
        E = conditioning[name] / eps("float32")
        bound = 16 * (E + 8) * eps(dtype)
        assert error <= bound, f"{name}: error {error:.3g} of the largest element, the bound is {bound:.3g} (E = {E:.3g})"
        worst = max(worst, error / bound)
    return worst
