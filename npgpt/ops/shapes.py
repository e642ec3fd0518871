"""An error that names the array whose shape does not fit, what it is and what it should be."""

from numpy import ndarray as Array


def check_shape(name: str, array: Array, axes: str, expected: tuple[int, ...]) -> None:
    """Raises ValueError where the array has another shape; `axes` are the expected one's letters, such as "(B, T, E)"."""
    if array.shape != expected:
        raise ValueError(f"{name} must be {axes} = {expected}, got {array.shape}")
