"""How a long prompt is shared out to threads: each takes its part of the positions through all layers.

Only attention asks for what stands before, and only for keys and values. So a part may be a layer behind the one before it: in
every layer it waits until that one's keys and values are there, and for nothing else. Everything in a layer is then done by all
threads at once, and they meet once a layer; a BLAS that splits its products between the cores does less of it and meets at each
product.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from numpy import ndarray as Array

from .threads import run_together, slices

if TYPE_CHECKING:
    from ..layers import KeyValues

POSITIONS_OF_A_PART = 64  # at least: with fewer, the weights' way from memory takes the time, whoever waits for them


class PartOfKeyValues:
    """A layer's KeyValues as one part of the prompt uses them: its own positions to write, those before it to wait for.

    before, here : events that say that keys and values are there up to the part before, and up to this one; `before` is None
        for the first part.
    """

    def __init__(self, whole: "KeyValues", start: int, before: threading.Event | None, here: threading.Event):
        self.whole, self.length, self.before, self.here = whole, whole.length + start, before, here

    def extended_by(self, k: Array, v: Array) -> tuple[Array, Array]:
        """As KeyValues.extended_by, after the part before."""
        new = slice(self.length, self.length + k.shape[2])
        self.whole.k[:, :, new], self.whole.v[:, :, new] = k, v
        self.length = new.stop
        if self.before is not None:
            self.before.wait()
        self.here.set()
        return self.whole.k[:, :, : new.stop], self.whole.v[:, :, : new.stop]


def read_in_parts(read: Callable[[Array, list], Array], ids: Array, past: list) -> Array:
    """read(ids, past) of ids (B, R) and a KeyValues for each layer, by as many threads as there are where R is long enough.

    The same up to rounding: products of other shapes. (GPT-2 of 124 M parameters, 512 positions, processor time on one thread:
    1.4 s, of which the products that BLAS could split are 1.1.)
    """
    R = ids.shape[1]
    parts = slices(R, smallest=POSITIONS_OF_A_PART)
    if len(parts) == 1:
        return read(ids, past)
    there: list[list] = [[None] * len(past), *([threading.Event() for _ in past] for _ in parts)]  # by part, then by layer

    def read_part(number: int, part: slice) -> Array:
        own = [
            PartOfKeyValues(whole, part.start, before, here)
            for whole, before, here in zip(past, there[number], there[number + 1], strict=True)
        ]
        try:
            return read(ids[:, part], own)
        finally:
            for event in there[number + 1]:  # an error must not let the next part wait for ever
                event.set()

    logits = run_together([partial(read_part, number, part) for number, part in enumerate(parts)])[-1]
    for whole in past:
        whole.length += R
    return logits
