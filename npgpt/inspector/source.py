"""Which line of npgpt makes a traced number, and which its gradient: found by watching a small model run, line by line.

    sources_of(config)["blocks.0.ln1"].value      npgpt/ops/layer_norm.py, `y = weight * xhat + bias`, called by ...
    sources_of(config)["blocks.0.ln1"].gradient   npgpt/ops/linear.py, `dx = rows_dy @ weight`, called by ...

No name and no line stands here: `sys.settrace` shows every statement of npgpt that runs, and after each one the arrays that its
function holds. The model is a small one of the same kind and options. Its weights are random float64 numbers and it reads two
texts, so no number comes twice by chance. Then a number tells where it was made:

    A statement that leaves numbers which nobody has seen before computes: what it has made or changed is its own.
    One that only leaves known numbers (a view, a reshape, a concatenate, a copy) moves them, and they stay their makers'.

(Whether it ever does is found in a first run: dh = dy + dh_next computes, though at the last position it adds 0.)

That is why q, a part of a reshaped array, leads to the linear layer's product, and an LSTM's c, stacked from its steps, to the
line of one step. Four things need a word:

- 0, 1, -1, infinities and nan are made everywhere, and tell nothing. So scores lead to the line of q k^T / sqrt(D), whose
  numbers they are, and not to the next one, which sets the future to -inf.
- np.empty gives numbers that nobody made: they are set to nan, and the statement that fills them makes the array.
- A parameter's numbers were not made by a line: a table's looked up rows are made where they are looked up. An array that is
  nothing but a part of a parameter (learned positions) has the line that takes it from there and shows it.
- Where several lines made an array, its place is the one that made more than half of it, or else the line that put it together;
  the others are its `also`.

A parameter's gradient is added up in layers.py. What counts is the line that made what is added; where nobody has seen that
before (dA_log), the adding line computes itself. A tied table gets two such parts: its place is the last one's, its `also` the
first one's.
"""

import ast
import dataclasses
import linecache
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..models import make_model
from ..models.base import LanguageModel
from ..models.config import Config
from ..ops.attention import TILE
from ..ops.cross_entropy import cross_entropy, cross_entropy_backward

ROOT = Path(__file__).parents[2]  # the folder that holds npgpt/
BOOK, INSPECTOR = __name__.split(".")[0], __package__  # "npgpt", "npgpt.inspector"
BLOCKS = 3  # a first, a middle and a last one: the middle ones of a deeper model have the same lines
POSITIONS = 5


@dataclasses.dataclass(frozen=True)
class Call:
    """A statement that called for what another computes."""

    file: str
    line: int
    text: str


@dataclasses.dataclass(frozen=True)
class Place:
    """A statement of npgpt. `dataclasses.asdict` makes of it what the page takes.

    file : "npgpt/ops/linear.py". line : its first one. text : the statement, without the comment behind it.
    function : "npgpt/ops/linear.py:linear_backward", a key of `functions_of`.
    via : the statements that were waiting for it, the innermost first.
    also : the other lines that made a part of the numbers.
    """

    file: str
    line: int
    text: str
    function: str | None
    via: tuple[Call, ...]
    also: tuple["Place", ...] = ()


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where a traced array and its gradient are made. A parameter's value is made by no line."""

    value: Place | None
    gradient: Place | None


def sources_of(config: Config, T: int = POSITIONS) -> dict[str, Sources]:
    """For every name of the model's trace, and for every parameter, the lines that make it in a text of T tokens.

    The lines do not depend on the sizes but for one thing: a text of more than TILE tokens is attended to in tiles.
    """
    return found(watched(shrunk(config, T)), config.n_layer)


def found(watcher: "Watcher", n_layer: int) -> dict[str, Sources]:
    """What the watcher knows, for a model of n_layer blocks."""
    small = {name: Sources(watcher.values[name], watcher.gradients[name]) for name in watcher.values}
    small |= {name: Sources(None, place) for name, place in watcher.parameter_places().items()}
    return {twin: sources for name, sources in small.items() for twin in twins(name, n_layer)}


def twins(name: str, n_layer: int) -> list[str]:
    """The names in a model of n_layer blocks that have the lines of this name in one of at most BLOCKS."""
    match = re.match(r"blocks\.(\d+)\.", name)
    if match is None or n_layer <= BLOCKS:
        return [name]
    block = int(match[1])
    blocks = [0] if block == 0 else [n_layer - 1] if block == BLOCKS - 1 else range(1, n_layer - 1)
    return [f"blocks.{i}.{name[match.end() :]}" for i in blocks]


def functions_of(places: Iterable[Place | None]) -> dict[str, dict]:
    """The functions in which the places (and their `also`) lie: key -> {"file", "name", "first": line number, "lines"}."""
    functions = {}
    for place in places:
        for each in () if place is None else (place, *place.also):
            if each.function is not None and each.function not in functions:
                name = each.function.partition(":")[2]
                first, last = ranges_of(str(ROOT / each.file))[name]
                lines = linecache.getlines(str(ROOT / each.file))[first - 1 : last]
                functions[each.function] = {
                    "file": each.file,
                    "name": name,
                    "first": first,
                    "lines": [line.rstrip("\n") for line in lines],
                }
    return functions


# -------------------------------------------------------------------------------------------------------- the model that is run


def shrunk(config: Config, T: int) -> Config:
    """The config with every size small, and everything else as it is: the same branches are taken."""
    T = POSITIONS if T <= TILE else TILE + 1
    grouped = getattr(config, "n_kv_head", None) not in (None, getattr(config, "n_head", None))
    sizes = {
        "vocab_size": 2 * T - 2,
        "seq_len": T,
        "n_layer": min(config.n_layer, BLOCKS),
        "n_embd": 8,
        "n_hidden": 8,
        "n_head": 2,
        "n_kv_head": 1 if grouped else None,
        "head_size": 4,
        "ffn_hidden": 0 if getattr(config, "ffn_hidden", None) == 0 else 6,
        "d_state": 3,
        "d_conv": 3,
        "expand": 2,
        "dt_rank": 2,
        "dropout": 0.0,
    }
    options = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{name: size for name, size in sizes.items() if name in options})


def watched(config: Config) -> "Watcher":
    """Two runs of the config's model: the first finds out which statements compute, the second what they make."""
    first = Watcher()
    run(config, first)
    second = Watcher(first.computing)
    run(config, second)
    return second


def run(config: Config, watcher: "Watcher") -> None:
    """Construction, forward, loss and backward of the config's model, on two texts of seq_len tokens."""
    V, T = config.vocab_size, config.seq_len
    with watcher:
        model = make_model(config, dtype="float64")
    rng = np.random.default_rng(0)
    for tensor in model.tensors.values():  # norms start as 1, biases as 0, and 1s and 0s do not tell where they come from
        tensor.data += 0.5 * rng.standard_normal(tensor.shape)
    watcher.belongs_to(model)
    # Two texts, in which some tokens come again, but not at the same positions: sums have several terms, and not all the same.
    ids = np.arange(2 * T).reshape(2, T) % (V - 1)
    targets = (ids + 1) % V
    with watcher:
        logits, cache = model.forward(ids, watcher.note_value)
        _, loss_cache = cross_entropy(logits, targets)
        dlogits = cross_entropy_backward(1.0, loss_cache)
        model.backward(dlogits, cache, watcher.note_gradient)


# ----------------------------------------------------------------------------------------------------------------- the watching


class Making(NamedTuple):
    """A statement at work, and those that waited for it, the innermost first."""

    statement: "Statement"
    via: tuple["Statement", ...]


class Watcher:
    """A trace function for sys.settrace, within `with watcher:`; and the observers of a model's forward and backward.

    Afterwards `values` and `gradients` have a place for every name that was shown, `parameter_places()` for every parameter.

    computing : the statements that are known to compute; more are added as they are found.
    """

    def __init__(self, computing: Iterable["Statement"] = ()):
        self.computing = set(computing)
        self.values: dict[str, Place] = {}
        self.gradients: dict[str, Place] = {}
        self.parameter_parts: dict[str, list[Place]] = {}
        self.makers: defaultdict[float, set[int]] = defaultdict(set)  # number -> which of the makings left it
        self.makings: dict[Making, int] = {}  # numbered in the order of time
        self.contents: dict[int, tuple[Array, Array]] = {}  # id -> an array that owns memory, and a copy of it as last seen
        self.history: list[tuple[Making, Array]] = []  # each time that an array was new or had changed, and its numbers
        self.model: Any = None  # a LanguageModel, from `belongs_to` on
        self.own: set[int] = set()  # ids of the model's vectors: what it was given and what it adds up

    def belongs_to(self, model: LanguageModel) -> None:
        """From now on the model's parameters are no numbers that lines make, and its gradients are looked after."""
        self.model = model
        self.own = {id(owner_of(vector)) for vector in (model.store.data, model.store.grad, model.buffers.data)}

    def __enter__(self) -> None:
        self.earlier = sys.gettrace()  # a debugger's, or that of a measurement of coverage
        sys.settrace(self.on_call)

    def __exit__(self, *error: object) -> None:
        sys.settrace(self.earlier)

    def on_call(self, frame: FrameType, event: str, arg: object) -> Callable | None:
        if not in_book(frame):
            return None
        caller = frame.f_back
        if caller is not None and in_book(caller):
            self.look(frame.f_locals.values(), caller, statement_of(caller))  # arguments made in the call itself
        else:
            for owner in map(owner_of, floats_in(frame.f_locals.values())):  # given from outside: known, and made by nobody
                self.contents[id(owner)] = owner, owner.ravel(order="K").copy()
        running = None

        def on_line(frame: FrameType, event: str, arg: object) -> Callable:
            nonlocal running
            if event == "return":
                self.look([*frame.f_locals.values(), arg], frame, statement_of(frame))
            elif event == "line":
                if running is not None:
                    self.look(frame.f_locals.values(), frame, running)
                running = statement_of(frame)
            return on_line

        return on_line

    def look(self, values: Iterable, frame: FrameType, statement: "Statement") -> None:
        """At what is there after a statement."""
        for array in floats_in(values):
            self.look_at(owner_of(array), frame, statement)
        if self.model is not None and self.model.store.grad.any():
            self.take_gradients(Making(statement, callers_of(frame)))

    def look_at(self, owner: Array, frame: FrameType, statement: "Statement") -> None:
        if id(owner) in self.own:
            return
        if id(owner) not in self.contents and allocates(statement):
            owner.fill(np.nan)  # in place of what the memory held before, which may even be what will be written there
        new = numbers = owner.ravel(order="K")
        if id(owner) in self.contents:
            known = self.contents[id(owner)][1]
            changed = (numbers != known) & ~(np.isnan(numbers) & np.isnan(known))
            if not changed.any():
                return
            new = numbers[changed]
        content, making = numbers.copy(), Making(statement, callers_of(frame))
        self.contents[id(owner)] = owner, content  # holding the owner, so that no other array gets its id
        self.history.append((making, content))
        told = telling(new)
        if statement in self.computing or any(number not in self.makers for number in told):
            self.computing.add(statement)
            n = self.makings.setdefault(making, len(self.makings))
            for number in told:
                self.makers[number].add(n)

    def take_gradients(self, making: Making) -> None:
        """Notes what a statement has added to gradients, and takes it away again: the next one is seen by itself too."""
        for name, parameter in self.model.named_parameters():
            if parameter.grad.any():
                self.parameter_parts.setdefault(name, []).append(self.place_of(parameter.grad, making))
        self.model.zero_grad()

    def parameter_places(self) -> dict[str, Place]:
        """Parameter -> the line that makes its gradient."""
        parts = ((name, self.parameter_parts[name]) for name, _ in self.model.named_parameters())
        return {name: dataclasses.replace(last, also=(*reversed(earlier),)) for name, (*earlier, last) in parts}

    def note_value(self, name: str, array: Array) -> None:
        self.values[name] = self.place_of(array, shown_by(sys._getframe(1)))

    def note_gradient(self, name: str, array: Array) -> None:
        self.gradients[name] = self.place_of(array, shown_by(sys._getframe(1)))

    def place_of(self, array: Array, otherwise: Making) -> Place:
        """Where the array's numbers were made; `otherwise` where nobody has seen one of them before."""
        numbers = set(telling(array.ravel()))
        if not numbers or any(number not in self.makers for number in numbers):
            return place(otherwise)
        makers = self.covering(numbers)
        main = makers[0]
        if 2 * sum(self.makings[main] in self.makers[number] for number in numbers) <= len(numbers):
            main = next(making for making, content in self.history if numbers.issubset(content.tolist()))
        return dataclasses.replace(place(main), also=tuple(place(maker) for maker in makers if maker != main))

    def covering(self, numbers: set[float]) -> list[Making]:
        """What made all of the numbers; where that is not one, as few as needed, the one that made most first."""
        makings, found = list(self.makings), []
        while numbers:
            made = Counter(n for number in numbers for n in self.makers[number])
            most = max(made, key=lambda n: (made[n], -n))  # of several that made all: the first in time
            found.append(makings[most])
            numbers = {number for number in numbers if most not in self.makers[number]}
        return found


def telling(numbers: Array) -> list[float]:
    """The numbers that do not stand everywhere."""
    return numbers[np.isfinite(numbers) & (numbers != 0) & (abs(numbers) != 1)].tolist()


def floats_in(values: Iterable) -> Iterator[Array]:
    """The arrays of floating-point numbers among the values, and in the tuples and lists among them."""
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            yield value
        elif isinstance(value, (tuple, list)):
            yield from floats_in(value)


def owner_of(array: Array) -> Array:
    """The array whose memory this one looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def in_book(frame: FrameType) -> bool:
    """Whether the function is npgpt's, and not the inspector's."""
    module = frame.f_globals.get("__name__", "")
    return f"{module}.".startswith(BOOK + ".") and not f"{module}.".startswith(INSPECTOR + ".")


def callers_of(frame: FrameType) -> tuple["Statement", ...]:
    """The statements of npgpt that wait for the frame, the innermost first. (A generator waits within its own statement.)"""
    callers, last, waiting = [], statement_of(frame), frame.f_back
    while waiting is not None and in_book(waiting):
        if statement_of(waiting) != last:
            callers.append(last := statement_of(waiting))
        waiting = waiting.f_back
    return tuple(callers)


def shown_by(frame: FrameType) -> Making:
    """The statement that shows an array to an observer; the observers that pass it on (ops/note.py) are not meant."""
    while frame.f_globals["__name__"] == f"{BOOK}.ops.note" and frame.f_back is not None:
        frame = frame.f_back
    return Making(statement_of(frame), callers_of(frame))


# --------------------------------------------------------------------------------------------------------------- the statements


class Statement(NamedTuple):
    filename: str
    line: int
    text: str
    function: str | None  # its qualified name


def place(making: Making) -> Place:
    statement, via = making
    file = relative(statement.filename)
    function = None if statement.function is None else f"{file}:{statement.function}"
    calls = tuple(Call(relative(caller.filename), caller.line, caller.text) for caller in via)
    return Place(file, statement.line, statement.text, function, calls)


def relative(filename: str) -> str:
    return Path(filename).relative_to(ROOT).as_posix()


def statement_of(frame: FrameType) -> Statement:
    """The statement at which the frame stands."""
    return statements_of(frame.f_code.co_filename)[frame.f_lineno]


def allocates(statement: Statement) -> bool:
    return re.match(r"[\w, ]+ = np\.empty", statement.text) is not None


@cache
def statements_of(filename: str) -> dict[int, Statement]:
    """Line -> the statement that it belongs to. Of one with a body (for, if, ...) only its head."""
    lines = linecache.getlines(filename)
    statements = {}
    for node, function in nodes_of(filename):
        last = max(node.lineno, node.body[0].lineno - 1) if hasattr(node, "body") else end_of(node)
        own = [line[node.col_offset :].rstrip() for line in lines[node.lineno - 1 : last]]  # without the block's indentation
        if hasattr(node, "body"):
            own[-1] = own[-1].partition("  #")[0]
        else:
            own[-1] = lines[last - 1].encode()[: node.end_col_offset].decode()[node.col_offset :]  # the offset counts bytes
        for line in range(node.lineno, last + 1):
            statements[line] = Statement(filename, node.lineno, "\n".join(own), function)
    return statements


def ranges_of(filename: str) -> dict[str, tuple[int, int]]:
    """Qualified name of a function -> its first and last line."""
    ranges = {}
    for node, function in nodes_of(filename):
        if isinstance(node, ast.FunctionDef):
            ranges[f"{function}.{node.name}" if function else node.name] = node.lineno, end_of(node)
    return ranges


def end_of(node: ast.stmt) -> int:
    """Its last line. (ast allows for nodes without one, which no parsed text has.)"""
    return node.lineno if node.end_lineno is None else node.end_lineno


@cache
def nodes_of(filename: str) -> list[tuple[ast.stmt, str | None]]:
    """The file's statements, those of outer blocks first, and the qualified name of what each stands in."""
    found: list[tuple[ast.stmt, str | None]] = []

    def walk(node: ast.AST, function: str | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                found.append((child, function))
            inner = function
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = f"{function}.{child.name}" if function else child.name
            walk(child, inner)

    walk(ast.parse("".join(linecache.getlines(filename))), None)
    return found
