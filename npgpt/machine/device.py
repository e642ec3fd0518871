"""Where to compute. For NumPy there is one answer; the torch twin's `pick_device` has the same name and more of them."""


def pick_device(name: str = "auto") -> str:
    """ "auto" or "cpu" -> "cpu". Raises ValueError for any other device: those belong to torchgpt."""
    if str(name) not in ("auto", "cpu"):
        raise ValueError(f"device must be 'auto' or 'cpu' for NumPy, got {str(name)!r}; torchgpt computes on other devices")
    return "cpu"
