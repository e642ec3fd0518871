"""What `model.trace` returns, on both backends."""

from typing import Any


class Trace(dict[str, tuple[Any, Any]]):
    """Every intermediate in the order of computation: name -> (value, gradient or None), arrays or tensors.

    A dict in every respect; it only shows itself as a table instead of as thousands of numbers.
    """

    def __repr__(self) -> str:
        from ..pictures.shown import trace_text

        return trace_text(self)

    def _repr_html_(self) -> str:
        from ..pictures.shown import trace_html

        return trace_html(self)
