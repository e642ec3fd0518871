"""Where to compute: CUDA, else MPS, else the CPU; or the device that was asked for, or a clear error."""

import torch


def use_tf32(yes: bool) -> None:
    """Whether CUDA may round the factors of float32 products to TF32's 10 bits: several times faster, with errors of 1e-3 in
    place of 1e-7. torch's own default is no; this project never changes it unasked."""
    torch.set_float32_matmul_precision("high" if yes else "highest")


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA, then MPS (Apple), then the CPU, whichever is there first.

    Raises ValueError for an unknown name and for a device that this machine or this build of torch does not have.
    """
    name = str(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', got {name!r}")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if count == 0:
        raise ValueError(
            f"device {name!r} is not available here: torch {torch.__version__} sees no {device.type.upper()} device"
        )
    if (device.index or 0) >= count:
        raise ValueError(f"device {name!r} is not available here: torch sees {count} {device.type.upper()} device(s), from 0")
    return device
