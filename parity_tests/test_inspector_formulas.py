"""Every number of every trace is what its formula says: values, gradients as sums over paths, parameters' gradients.

How far apart a cell and its formula may be. Both compute the same sums of the same products from the same traced numbers, in
another order. So each rounds by at most eps/2 of the result at every operation (a function such as exp by 4 eps in NumPy, by 1
in Python), and a sum of n terms, added up in whatever order, by n eps/2 times the sum of their absolute values. `Bounded`
carries these errors along with the numbers, through every operation by its own rule; its eps is twice eps/2, the formula's
rounding and the trace's. A number's paths may be one sum in the trace, so their bounds are multiplied by how many there are.

The same arithmetic says what is left of a text that shows 4 digits: each number in it is off by half a unit of the fourth.
"""

import ast
import dataclasses
import functools
import itertools
import json
import math
import re
from decimal import Decimal

import numpy as np
import pytest

import npgpt
import torchgpt
from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig
from npgpt.inspector import arithmetic
from npgpt.inspector.arithmetic import (
    FUNCTIONS,
    combined,
    compared,
    evaluated,
    formula,
    helpers_written,
    number,
    value_of,
    written,
)
from npgpt.inspector.formulas import KINDS, formulas_of
from npgpt.models import layout_of

from .tolerances import as_numpy

EPS = float(np.finfo(np.float64).eps)

# (config, T). Every option takes two values at least (a test says so); T is 1, seq_len, and something between them.
CONFIGS = {
    "gpt-article": (GPTConfig.article(), 2),
    "gpt-learned": (GPTConfig(5, 2, 2, 4, 6, "learned", 3, qkv_bias=True, tie_weights=True, head_bias=False), 4),
    "gpt-one-letter": (GPTConfig(5, 1, 1, 5, 3, "learned", qkv_bias=True, train_qkv=False, init_std=0.1), 1),
    "gpt-no-ffn": (GPTConfig(6, 3, 3, 3, 4, "sinusoidal", 0, tie_weights=True), 4),
    "lstm-article": (LSTMConfig.article(), 2),
    "lstm-three-layers": (LSTMConfig(5, 3, 2, 3, 4, head_bias=False), 4),
    "lstm-tied": (LSTMConfig(6, 2, 3, 3, 5, tie_weights=True), 5),
    "lstm-one-letter": (LSTMConfig(5, 1, 1, 1, 3, tie_weights=True, head_bias=False), 1),
    "mamba": (MambaConfig(5, 2, 2, 4, d_state=3, d_conv=3, dt_rank=2), 4),
    "mamba-untied": (MambaConfig(6, 1, 3, 5, d_state=2, d_conv=2, conv_bias=False, tie_weights=False, head_bias=True), 5),
    "mamba-smallest": (MambaConfig(5, 2, 2, 3, d_state=1, d_conv=1, expand=0.5, tie_weights=False), 3),
    "mamba-one-letter": (MambaConfig(5, 1, 2, 3, expand=1.5, head_bias=True), 1),
    "llama": (LlamaConfig(5, 2, 2, 4, 4, ffn_hidden=3), 4),
    "llama-grouped": (LlamaConfig(5, 1, 4, 3, 6, n_kv_head=2, head_size=4, rope_theta=7.0, norm_eps=1e-2, qkv_bias=True), 4),
    "llama-one-key-head": (LlamaConfig(6, 1, 3, 6, 4, n_kv_head=1, qkv_bias=True, tie_weights=False, ffn_hidden=2), 3),
    "llama-stretched": (LlamaConfig(5, 1, 1, 4, 5, head_size=6, ffn_hidden=2, rope_scaling=(4.0, 0.05, 0.8, 6)), 5),
    "llama-one-letter": (LlamaConfig(5, 1, 2, 4, 3, n_kv_head=1, ffn_hidden=1), 1),
}
ONE_A_KIND = ["gpt-learned", "lstm-tied", "mamba", "llama-grouped"]
SEEDS = (0, 1)
every_config = pytest.mark.parametrize("name", CONFIGS)
one_a_kind = pytest.mark.parametrize("name", ONE_A_KIND)


# --------------------------------------------------------------------------------------------------- numbers and their errors


class Bounded:
    """A number, and how far it may be from the true one: of every operation's result, eps more."""

    def __init__(self, value: float, error: float = 0.0):
        self.value, self.error = value, error if math.isfinite(value) else 0.0

    def __neg__(self):
        return Bounded(-self.value, self.error)

    def __add__(self, other):
        return rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        return self + -other

    def __mul__(self, other):
        a, b = abs(self.value), abs(other.value)
        return rounded(self.value * other.value, a * other.error + b * self.error + self.error * other.error)

    def __truediv__(self, other):
        a, b = abs(self.value), abs(other.value)
        assert b > other.error, "divided by what may be 0"
        return rounded(self.value / other.value, (a * other.error + b * self.error) / (b * (b - other.error)))

    def __pow__(self, other):
        """A negative number's exponent is whole, and exact."""
        a, power = abs(self.value), self.value**other.value
        if a <= self.error:
            return rounded(power, (a + self.error) ** other.value)
        off = -abs(other.value) * math.log1p(-self.error / a) + abs(math.log(a)) * other.error
        return rounded(power, abs(power) * math.expm1(off))


def rounded(value: float, error: float) -> Bounded:
    return Bounded(value, error + EPS * abs(value))


# How far f(x) may move where x moves: exp and the square root are reckoned exactly, the others by their steepest slope.
STEEPEST = {"tanh": 1.0, "sin": 1.0, "cos": 1.0, "sigmoid": 0.25, "softplus": 1.0}


def called(function: str, x: Bounded) -> Bounded:
    if function == "sqrt":
        moved = (x ** Bounded(0.5)).error
    else:
        moved = FUNCTIONS["exp"](x.value) * math.expm1(x.error) if function == "exp" else STEEPEST[function] * x.error
    value = FUNCTIONS[function](x.value)
    return Bounded(value, moved + 5 * EPS * abs(value))


def added(terms: list[Bounded]) -> Bounded:
    """In whatever order."""
    size = sum(abs(term.value) for term in terms)
    return Bounded(sum(term.value for term in terms), sum(term.error for term in terms) + len(terms) * EPS * size)


class Reckoner:
    """Evaluates a formula with bounds. Written apart from arithmetic.py's `value_of`, so that the two check each other; and it
    allows no index that leaves its array."""

    def __init__(self, made, arrays):
        self.made, self.arrays, self.known = made, arrays, {}

    def paths(self, cell) -> list[Bounded]:
        place = dict(zip(self.made.index, cell, strict=True))
        return [self.of(path.tree, place) for path in self.made.paths.values()]

    def of(self, tree, place) -> Bounded:
        kind, *parts = tree
        if kind == "num":
            return Bounded(parts[0])
        if kind == "index":
            return Bounded(place[parts[0]])
        if kind == "at":
            return self.at(parts[0], [self.of(part, place).value for part in parts[1]])
        if kind == "neg":
            return -self.of(parts[0], place)
        if kind == "if":
            (comparison, *sides), yes, no = parts
            return self.of(yes if compared(comparison, *(self.of(side, place).value for side in sides)) else no, place)
        if kind == "call":
            return called(parts[0], self.of(parts[1], place))
        if kind in ("sum", "mean", "max"):
            over, body = parts
            terms = [self.of(body, place | {over: n}) for n in range(self.made.sizes[over])]
            if kind == "max":
                return Bounded(max(term.value for term in terms), max(term.error for term in terms))
            return added(terms) / Bounded(len(terms)) if kind == "mean" else added(terms)
        a, b = (self.of(part, place) for part in parts)
        if kind in ("//", "%"):
            return Bounded(combined(kind, a.value, b.value))
        return {"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__, "**": a.__pow__}[kind](b)

    def at(self, name, index) -> Bounded:
        key = name, *index
        if key not in self.known:
            assert all(n == int(n) for n in index), f"{name}{index} is no place"
            if name in self.made.helpers:
                helper = self.made.helpers[name]
                self.known[key] = self.of(helper.expression.tree, dict(zip(helper.index, index, strict=True)))
            else:
                array = self.arrays[self.made.operands[name]]
                assert len(index) == array.ndim, f"{name} has {array.ndim} indices"
                assert all(0 <= n < size for n, size in zip(index, array.shape, strict=True)), f"{name}{index}: {array.shape}"
                self.known[key] = Bounded(float(array[tuple(map(int, index))]))
        return self.known[key]


def bound(paths: list[Bounded]) -> float:
    """How far apart the number that these paths add up to, and the traced one, may be."""
    return len(paths) * added(paths).error


# ------------------------------------------------------------------------------------------------------------------- the traces


@functools.lru_cache
def traced(name: str, seed: int, backend=npgpt):
    """config, formulas, and every array that a formula may ask for: (kind, name) -> array."""
    config, T = CONFIGS[name]
    rng = np.random.default_rng(seed)
    model = npgpt.make_model(config, dtype="float64")
    for array in model.state_dict().values():
        array += 0.3 * rng.standard_normal(array.shape)
    if backend is torchgpt:
        model = torchgpt.from_numpy(model)
    ids, targets = rng.integers(config.vocab_size, size=(2, 1, T))
    arrays = {("ids", ""): ids[0], ("targets", ""): targets[0]}
    for key, (value, gradient) in model.trace(ids, targets).items():
        arrays["value", key], arrays["gradient", key] = as_numpy(value)[0], as_numpy(gradient)[0]
    model.zero_grad()
    if backend is torchgpt:  # from the trace's own pass: what torch computes when nobody looks on rounds differently
        model(ids, lambda name, value: None, targets=targets).backward()
    else:
        model.loss_and_grad(ids, targets)
    arrays |= {("value", key): as_numpy(value) for key, value in model.state_dict().items()}
    arrays |= {("gradient", key): value for key, value in model.gradients().items()}
    return config, formulas_of(config, T), arrays


def all_of(formulas):
    """(name, "value" or "gradient", formula) of every formula."""
    return [(name, of, made) for name, both in formulas.items() for of, made in both.items() if made is not None]


def check(made, array: np.ndarray, arrays, what: str = "") -> None:
    """Raises AssertionError where a cell of the array is not what its formula says."""
    reckoner = Reckoner(made, arrays)
    assert len(made.index) == array.ndim, f"{what} is {array.shape}, its formula {made.cell}"
    for cell in itertools.product(*map(range, array.shape)):
        told, here = evaluated(made, cell, arrays), float(array[cell])
        allowed = bound(reckoner.paths(cell))
        assert told == here or abs(told - here) <= allowed, f"{what}{list(cell)}: {here}, by its formula {told} (± {allowed})"


# -------------------------------------------------------------------------------------------------------------------- the tests


def test_the_list_has_two_values_of_every_option_at_least():
    """An option without formulas would pass unseen. Dropout is no part of a trace."""
    assert {config.kind for config, _ in CONFIGS.values()} == set(KINDS)
    for kind in KINDS:
        of_kind = [config for config, _ in CONFIGS.values() if config.kind == kind]
        for field in dataclasses.fields(of_kind[0]):
            if field.name not in ("_", "dropout"):
                assert len({getattr(config, field.name) for config in of_kind}) > 1, (kind, field.name)


@every_config
def test_every_cell_is_what_its_formula_says(name):
    """Values, gradients and the parameters' gradients, over two seeds. Catches a wrong term, row, sign or bound in any
    formula."""
    for seed in SEEDS:
        _, formulas, arrays = traced(name, seed)
        for key, of, made in all_of(formulas):
            check(made, arrays[of, key], arrays, f"{of} of {key}")


@one_a_kind
def test_torch_says_the_same(name):
    """The trace of torch's model, whose gradients autograd computes, from the same weights."""
    _, formulas, arrays = traced(name, 2, torchgpt)
    for key, of, made in all_of(formulas):
        check(made, arrays[of, key], arrays, f"{of} of {key}")


@every_config
def test_what_is_traced_has_formulas_and_nothing_else_has(name):
    """A traced name has both, a trained parameter that of its gradient, a buffer and a name that is not there none."""
    config, formulas, arrays = traced(name, 0)
    T = CONFIGS[name][1]
    model = npgpt.make_model(config, dtype="float64")
    ids = np.zeros((1, T), int)
    expected = {key: {"value", "gradient"} for key in model.trace(ids, ids)}
    expected |= {key: {"gradient"} for key in model.gradients()}
    found = {key: {of for of, made in both.items() if made is not None} for key, both in formulas.items()}
    assert found == expected
    assert not (set(layout_of(config)) - set(model.gradients())) & set(found)
    for _, _, made in all_of(formulas):
        assert set(made.operands.values()) <= set(arrays)
        assert all(path == "" for path in made.paths) or "" not in made.paths  # several paths have names


@one_a_kind
def test_the_check_rings_for_every_path_with_a_wrong_sign(name):
    """So no path is of no consequence, and the bounds hide none."""
    _, formulas, arrays = traced(name, 0)
    for key, of, made in all_of(formulas):
        for path, expression in made.paths.items():
            wrong = made.paths | {path: expression._replace(tree=["neg", expression.tree])}
            with pytest.raises(AssertionError, match="by its formula"):
                check(dataclasses.replace(made, paths=wrong), arrays[of, key], arrays)


def test_the_check_rings_for_a_wrong_text():
    """A sign, an index, a row, a factor that is left out: in a text, as somebody would write it."""
    arrays = traced("lstm-article", 0)[2]
    right = "f[t, k] * (c[t - 1, k] if t > 0 else 0) + i[t, k] * g[t, k]"
    operands = {gate: ("value", f"blocks.0.{gate}") for gate in "ifgc"}
    for wrong in (
        right.replace("+ i", "- i"),
        right.replace("t > 0", "t > 1"),
        right.replace("c[t - 1", "c[t"),
        right.replace("i[t, k] *", "i[t, 1 - k] *"),
        right.replace("f[t, k] * ", ""),
    ):
        assert wrong != right
        with pytest.raises(AssertionError, match="by its formula"):
            check(formula("c[t, k]", {"": wrong}, sizes={}, operands=operands), arrays["value", "blocks.0.c"], arrays)
    check(formula("c[t, k]", {"": right}, sizes={}, operands=operands), arrays["value", "blocks.0.c"], arrays)
    # From before the first step Python would take the last one, by the index -1.
    wrapped = formula("c[t, k]", {"": right.replace(" if t > 0 else 0", "")}, sizes={}, operands=operands)
    with pytest.raises(AssertionError, match=r"c\[-1"):
        check(wrapped, arrays["value", "blocks.0.c"], arrays)


# ------------------------------------------------------------------------------------------------------ arithmetic, written out


class Shown(ast.NodeTransformer):
    """Turns each number of a text into Bounded(number, half a unit of its last digit); an exponent is shown as it is."""

    def __init__(self, digits: int):
        self.digits = digits

    def visit_Constant(self, node):
        off = 0.5 * 10.0 ** (Decimal(node.value).adjusted() - self.digits + 1) if node.value else 0.0
        return ast.Call(ast.Name("Bounded", ast.Load()), [node, ast.Constant(off)], [])

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.Pow):
            return ast.BinOp(self.visit(node.left), node.op, Shown(99).visit(node.right))
        return self.generic_visit(node)


def as_python(text: str) -> str:
    """The text in Python's signs; "(the sum of n more)" is a note on the number before it."""
    more = text.split(" more)")
    text = "".join(part[: part.rindex(" (")] for part in more[:-1]) + more[-1]
    return text.replace("×", "*").replace("−", "-").replace("^", "**").replace("∞", "inf")


def read(text: str, digits: int) -> Bounded:
    """What a text with so many digits says, and how exactly."""
    tree = ast.fix_missing_locations(Shown(digits).visit(ast.parse(as_python(text), mode="eval")))
    functions = {name: functools.partial(called, name) for name in FUNCTIONS}
    return eval(compile(tree, text, "eval"), {"Bounded": Bounded, "inf": Bounded(math.inf)} | functions)


def some_cells(array: np.ndarray, rng) -> list[tuple[int, ...]]:
    """The last cell, and any one."""
    cells = list(itertools.product(*map(range, array.shape)))
    return [cells[-1], cells[rng.integers(len(cells))]]


def texts(name: str, digits: int):
    """(text, the number that it stands for, that number's bound) of paths and helpers, in cells of every formula."""
    _, formulas, arrays = traced(name, 0)
    rng = np.random.default_rng(3)
    for key, of, made in all_of(formulas):
        reckoner = Reckoner(made, arrays)
        for cell in some_cells(arrays[of, key], rng):
            for path, bounded in zip(made.paths, reckoner.paths(cell), strict=True):
                yield written(made, path, cell, arrays, digits), evaluated(made, cell, arrays, path), bounded.error
                for label, text, value in helpers_written(made, path, cell, arrays, digits):
                    helper, index = label.split("[")
                    yield text, value, reckoner.at(helper, ast.literal_eval("[" + index)).error


@every_config
def test_what_is_written_out_comes_to_the_number(name):
    """At 17 digits, which tell a float64 apart from every other, Python's own arithmetic gives the path's number (a long sum in
    another order); at 4, one that is as near as 4 digits let it be. Catches a missing bracket, a lost sign, a term left out."""
    functions = FUNCTIONS | {"inf": math.inf}
    for text, value, error in texts(name, 17):
        told = eval(as_python(text), {}, functions)
        assert told == value or abs(told - value) <= error, (text, told, value)
    for text, value, _ in texts(name, 4):
        told = read(text, 4)
        assert told.value == value or abs(told.value - value) <= told.error, (text, told.value, told.error, value)


def test_two_digits_are_not_four(monkeypatch):
    """The check of written texts does not hold for texts with fewer digits: it is no formality."""
    monkeypatch.setattr(arithmetic, "MOST_DIGITS", 2)
    off = 0
    for text, value, _ in texts("gpt-learned", 2):
        told = read(text, 4)
        off += told.value != value and abs(told.value - value) > told.error
    assert off > 500


NUMBERS = {
    0.0: "0", 1.0: "1", -12.0: "−12", 0.31072: "0.3107", 0.5: "0.5", 1 / 3: "0.3333", -2 / 3: "−0.6667",
    9.9999: "10", 0.99996: "1", 0.00012346: "0.0001235", 0.00009: "9e−5", 1.2e-5: "1.2e−5", -1.23456e-7: "−1.235e−7",
    1234.5: "1235", 1234.4999: "1234", 123456.0: "123500", 999949.0: "999900", 999950.0: "1e6", 1e6: "1e6", -2.5e10: "−2.5e10",
    math.inf: "∞", -math.inf: "−∞", math.nan: "nan", 5e-324: "4.941e−324", 1e-4: "0.0001",
}  # fmt: skip


def test_numbers_are_written_as_the_page_writes_them():
    for x, text in NUMBERS.items():
        assert number(x) == text
    assert (
        number(-0.0) == "0"
        and number(0.31072, 2) == "0.31"
        and number(0.1, 17) == "0.10000000000000001"
        and number(2.0, 17) == "2"
    )


def small(paths: str | dict[str, str], **more):
    arrays = {
        ("value", "x"): np.array([[0.5, -1.25], [2.0, 1e-5]]),
        ("value", "w"): np.arange(-5.0, 5.0),
        ("ids", ""): np.array([1, 0]),
    }
    operands = {"x": ("value", "x"), "w": ("value", "w"), "ids": ("ids", "")}
    paths = {"": paths} if isinstance(paths, str) else paths
    return formula("y[t]", paths, sizes={"c": 2, "n": 10, "one": 1}, operands=operands, constants={"C": 2}, **more), arrays


@pytest.mark.parametrize(
    ("text", "arithmetic", "equation"),
    [
        ("sum(c, x[t, c] * w[c + 6])", "0.5 × 1 + (−1.25) × 2", "sum_c x[t, c] w[c + 6]"),
        ("-x[t, 1] * 3", "(−(−1.25)) × 3", "-x[t, 1] 3"),
        ("x[t, 0] - (x[t, 1] - w[3])", "0.5 − (−1.25 − (−2))", "x[t, 0] - (x[t, 1] - w[3])"),
        ("(x[t, 0] + 1) / (C * x[t, 0])", "(0.5 + 1) / (2 × 0.5)", "(x[t, 0] + 1) / (C x[t, 0])"),
        ("mean(c, (x[t, c] - 1) ** 2)", "((0.5 − 1)^2 + (−1.25 − 1)^2) / 2", "mean_c (x[t, c] - 1)^2"),
        ("x[t, 1] ** 2", "(−1.25)^2", "x[t, 1]^2"),
        ("exp(x[t, 0] - max(c, x[t, c]))", "exp(0.5 − 0.5)", "exp(x[t, 0] - (max_c x[t, c]))"),
        ("w[n_of[t]] if t < 1 else -inf", "−4", "(w[n_of[t]] if t < 1 else -∞)"),
        ("w[0] if t > 1 else -inf", "−∞", "(w[0] if t > 1 else -∞)"),
        ("sum(one, x[t, one])", "0.5", "sum_one x[t, one]"),
        ("sum(c, x[t, c] - 1)", "0.5 − 1 + (−1.25 − 1)", "sum_c (x[t, c] - 1)"),
        ("sum(n, w[n])", "−5 + (−4) + (−3) + (−2) + 3 + 4 + 2 (the sum of 4 more)", "sum_n w[n]"),
        ("softplus(2 * t) + sigmoid(t) + tanh(t)", "softplus(2 × 0) + sigmoid(0) + tanh(0)",
         "softplus(2 t) + sigmoid(t) + tanh(t)"),
    ],
)  # fmt: skip
def test_a_text_is_written_out_in_numbers_and_as_an_equation(text, arithmetic, equation):
    made, arrays = small(text, helpers={"n_of[t]": "ids[t]"})
    assert written(made, "", (0,), arrays) == arithmetic
    assert made.paths[""].equation == equation


@pytest.mark.parametrize(
    ("text", "arithmetic"),
    [
        ("w[9] * (a[t, 0] - a[t, 1])", "4 × (0.026502 − 0.026441)"),  # 0.0265 − 0.02644 would come to 0.00006
        ("a[t, 0] + a[t, 1]", "0.0265 + 0.02644"),
        ("a[t, 0] - a[t, 2]", "0.026501996 − 0.026501995"),  # 8 digits and no more
        ("a[t, 0] - a[t, 0]", "0.0265 − 0.0265"),
        ("sum(c, a[t, c] * (1 - 2 * c))", "0.026502 × (1 − 2 × 0) + 0.026441 × (1 − 2 × 1)"),
    ],
)
def test_where_terms_cancel_there_are_more_digits(text, arithmetic):
    """As many as the text needs to come to its number within 0.1 %. Catches 4 × (0.0265 − 0.02644) = 0.0002442."""
    arrays = {("value", "a"): np.array([[0.0265019956, 0.0264409444, 0.026501995499]]), ("value", "w"): np.arange(-5.0, 5.0)}
    operands = {"a": ("value", "a"), "w": ("value", "w")}
    assert written(formula("y[t]", {"": text}, sizes={"c": 2}, operands=operands), "", (0,), arrays) == arithmetic


FIGURES = re.compile(r"[\d.]+(?:e−?\d+)?")


@every_config
def test_a_text_is_as_near_to_its_number_as_it_says(name):
    """Within 0.1 %, unless 8 digits do not bring it there. Catches cancellation that hides in a product, a mean, a function."""
    functions = FUNCTIONS | {"inf": math.inf}
    for text, value, _ in texts(name, 4):
        told = eval(as_python(text), {}, functions)
        longest = max(0, 0, *(len(re.sub(r"e.*|\D", "", figures).lstrip("0")) for figures in FIGURES.findall(text)))
        assert told == value or abs(told - value) <= 1.001e-3 * abs(value) or longest >= 7, (text, told, value)


def test_the_helpers_are_those_of_the_terms_that_are_shown():
    """Of a sum of ten, six are shown, and not the first six. Catches helpers of terms that the text does not have."""
    made, arrays = small("sum(n, square[n])", helpers={"square[n]": "w[n] * w[n]"})
    assert written(made, "", (0,), arrays) == "25 + 16 + 9 + 4 + 9 + 16 + 6 (the sum of 4 more)"
    labels = [label for label, _, _ in helpers_written(made, "", (0,), arrays)]
    assert labels == [f"square[{n}]" for n in (0, 1, 2, 3, 8, 9)]


def test_helpers_are_written_once_each_with_those_that_they_use():
    made, arrays = small(
        {"one": "var[t] * x[t, 0]", "other": "mean[1 - t] + mean[1 - t]"},
        helpers={"mean[s]": "mean(c, x[s, c])", "var[s]": "mean(c, (x[s, c] - mean[s]) ** 2)", "unused[s]": "w[s]"},
    )
    assert helpers_written(made, "one", (0,), arrays) == [
        ("var[0]", "((0.5 − (−0.375))^2 + (−1.25 − (−0.375))^2) / 2", 0.765625),
        ("mean[0]", "(0.5 + (−1.25)) / 2", -0.375),
    ]
    assert helpers_written(made, "other", (0,), arrays) == [("mean[1]", "(2 + 1e−5) / 2", 1.000005)]
    assert evaluated(made, (0,), arrays) == 0.765625 * 0.5 + 2 * 1.000005
    assert set(made.helpers) == {"mean", "var"} and set(made.operands) == {"x"} and made.sizes == {"c": 2}


def test_what_goes_to_the_page_is_the_same_formula():
    """Through JSON and back, and evaluated by its trees: the numbers of evaluated."""
    for name in ONE_A_KIND:
        _, formulas, arrays = traced(name, 0)
        for key, of, made in all_of(formulas):
            sent = json.loads(json.dumps(made.as_json()))
            assert (sent["cell"], sent["index"], sent["sizes"]) == (made.cell, list(made.index), made.sizes)
            assert {alias: tuple(operand) for alias, operand in sent["operands"].items()} == made.operands
            assert {alias: helper["expr"] for alias, helper in sent["helpers"].items()} == {
                alias: helper.expression.tree for alias, helper in made.helpers.items()
            }
            cell = tuple(size - 1 for size in arrays[of, key].shape)
            place = dict(zip(sent["index"], cell, strict=True))
            told = [value_of(path["expr"], place, made, arrays) for path in sent["paths"]]
            assert sum(told) == evaluated(made, cell, arrays)
            assert [path["name"] for path in sent["paths"]] == list(made.paths)


def test_functions_hold_at_both_ends():
    """Where the plain forms would overflow or lose all digits."""
    sigmoid, softplus, exp = FUNCTIONS["sigmoid"], FUNCTIONS["softplus"], FUNCTIONS["exp"]
    assert exp(1e4) == math.inf and exp(-1e4) == 0 and sigmoid(-1e4) == 0 and sigmoid(1e4) == 1 and sigmoid(0) == 0.5
    assert softplus(1e4) == 1e4 and softplus(0) == math.log(2)
    assert softplus(-40) == pytest.approx(math.exp(-40), rel=4 * EPS)
    assert sigmoid(-40) == pytest.approx(math.exp(-40), rel=4 * EPS)
    assert [combined("/", a, 0.0) for a in (1.0, -1.0)] == [math.inf, -math.inf]
    assert all(math.isnan(combined("/", a, 0.0)) for a in (0.0, math.nan))


@pytest.mark.parametrize(
    "text",
    [
        "x[t, 0] +", "", "x[t, 0]; w[0]", "unknown[t]", "x", "n", "unknown", "sum(m, x[t, m])", "sum(x[t, 0])", "sum(c)",
        "sum(c, x[t, c]) + c", "log2(x[t, 0])", "exp(x[t, 0], 2)", "exp(x=1)", "x[t, 0] @ w[0]", "x[t, 0] < 1", "not x[t, 0]",
        "1 if x[t, 0] else 2", "1 if 0 < t < 2 else 3", "1 if t != 0 else 2", "'1'", "None", "True", "1j", "x.shape",
        "x[t, 0][0]", "[1]", "(1, 2)", "lambda: 1", "__import__('os')", "x[:, 0]", "x[t, 0:1]", "+x[t, 0]",
    ],
)  # fmt: skip
def test_a_text_that_is_no_formula_is_refused(text):
    """With a message that quotes it; nothing of it is run."""
    with pytest.raises(ValueError, match="cannot read") as caught:
        small(text)
    assert text in str(caught.value)
    with pytest.raises(ValueError, match="cannot read"):
        small("h[0]", helpers={"h[t]": text})


@pytest.mark.parametrize("cell", ["y", "y[0]", "y[t + 1]", "y.z[t]", "y[t", "y[t][s]", "f(t)", ""])
def test_a_cell_is_a_name_and_its_indices(cell):
    with pytest.raises(ValueError, match=r"cannot read|expected a name and its index"):
        formula(cell, {"": "1"}, sizes={}, operands={})
