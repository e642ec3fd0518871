"""The layout of a model's weights: name -> shape, initial values, trained or not, decaying or not.

Each kind of model writes its layout as a list of layers (`layout` in gpt.py), in the order of its state_dict; what a kind of
layer holds and how it starts stands here. Both backends build from the same layout, which is why a NumPy and a torch model of
one seed start from the same numbers. Linear weights are stored (out, in), as in torch.

("np.random.Generator" is quoted, since naming it would import numpy.random with npgpt.)
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

INIT_STD = 0.02  # of the embeddings

Draw = Callable[["np.random.Generator", tuple[int, ...]], Array]  # (generator, shape) -> float32 numbers
Fill = Callable[[str, Array], None]  # (name, array of its shape): writes a model's weight of that name into the array


class Entry(NamedTuple):
    """One array of the state_dict."""

    shape: tuple[int, ...]
    draw: Draw  # its initial values
    trained: bool = True  # a parameter (trained, counted), or a buffer (kept as it is)
    decays: bool = False  # whether weight decay pulls on it: matrices, as a rule

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


Layout = dict[str, Entry]


def normal(std: float) -> Draw:
    """Independent normal numbers of mean 0 and that standard deviation."""

    def draw(rng: "np.random.Generator", shape: tuple[int, ...]) -> Array:
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(std)

    return draw


def uniform(bound: float) -> Draw:
    """Independent numbers, uniform in -bound..bound."""
    return lambda rng, shape: rng.uniform(-bound, bound, shape).astype(np.float32)


def constant(value: float | Array) -> Draw:
    """That value everywhere, or those values along the last axis; the generator is not asked."""
    return lambda rng, shape: np.full(shape, value, np.float32)


def embedding(name: str, rows: int, C: int) -> Layout:
    """A table of `rows` vectors."""
    return {f"{name}.weight": Entry((rows, C), normal(INIT_STD), decays=True)}


def matrix(name: str, shape: tuple[int, ...], draw: Draw, *, decays: bool = True) -> Layout:
    """A trained array of two or more axes under its own name."""
    return {name: Entry(shape, draw, decays=decays)}


def linear(name: str, out: int, inputs: int, draw: Draw, *, bias: bool | Draw = True, trained: bool = True) -> Layout:
    """A matrix (out, inputs) and, where wanted, a bias, which starts at 0 or as it is drawn."""
    entries = {f"{name}.weight": Entry((out, inputs), draw, trained, decays=True)}
    if bias:
        entries[f"{name}.bias"] = Entry((out,), constant(0) if bias is True else bias, trained)
    return entries


def head(V: int, inputs: int, draw: Draw, *, tied: bool, bias: bool) -> Layout:
    """The head, which makes V logits: a linear layer; tied, it reads the embedding's table and has at most a bias itself."""
    if not tied:
        return linear("head", V, inputs, draw, bias=bias)
    return vector("head.bias", V, 0) if bias else {}


def layer_norm(name: str, C: int) -> Layout:
    """Starts as centring and scaling alone."""
    return vector(f"{name}.weight", C, 1) | vector(f"{name}.bias", C, 0)


def vector(name: str, size: int, value: float | Array) -> Layout:
    """A bias or a scale. It does not decay: it sets a level, and 0 is no better a level than another."""
    return {name: Entry((size,), constant(value))}


def initial_weights(layout: Layout, seed: int) -> dict[str, Array]:
    """Name -> float32 array, drawn in the layout's order from one generator.

    In float32 for every dtype: a float64 model of a seed starts from the very numbers of the float32 one.
    """
    weights, fill = {name: np.empty(entry.shape, np.float32) for name, entry in layout.items()}, drawn(layout, seed)
    for name, array in weights.items():
        fill(name, array)
    return weights


def drawn(layout: Layout, seed: int) -> Fill:
    """The initial weights of a seed, one array at a time: asked for every name in the layout's order."""
    rng = np.random.default_rng(seed)

    def fill(name: str, array: Array) -> None:
        array[...] = layout[name].draw(rng, array.shape)

    return fill


def taken_from(state_dict: Mapping, layout: Layout) -> Fill:
    """The weights of a state_dict, cast to what they are written into. Raises what `check_state_dict` raises, at once."""
    check_state_dict(state_dict, layout)

    def fill(name: str, array: Array) -> None:
        array[...] = np.asarray(state_dict[name])  # torch's tensors too: NumPy 2.0 warns where it is handed one as it is

    return fill


def check_state_dict(state_dict: Mapping, layout: Layout) -> None:
    """Raises ValueError naming every missing, unknown and wrongly shaped entry. Nothing has been loaded by then."""
    faults = [f"missing {name}" for name in layout if name not in state_dict]
    faults += [f"unknown {name}" for name in state_dict if name not in layout]
    for name, entry in layout.items():
        if name in state_dict and tuple(np.shape(state_dict[name])) != entry.shape:
            faults.append(f"{name} has the shape {tuple(np.shape(state_dict[name]))}, expected {entry.shape}")
    if faults:
        raise ValueError("the state_dict does not fit this model: " + "; ".join(faults))
