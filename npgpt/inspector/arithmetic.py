"""What a number is made of: one line of index notation, which can be evaluated, written out in numbers, and read.

    q = formula("q[h, t, d]", {"": "sum(c, ln1[t, c] * Wq[h * D + d, c])"},
                sizes={"c": 3}, constants={"D": 3}, operands={"ln1": ("value", "blocks.0.ln1"), "Wq": ("value", ...)})
    evaluated(q, (0, 2, 1), arrays)            0.0142
    written(q, "", (0, 2, 1), arrays)          "0.31 × 1.2 + (−0.5) × 0.7 + 0.09 × 0.06"
    q.paths[""].equation                       "sum_c ln1[t, c] Wq[h D + d, c]"

The text is Python's syntax, read by `ast` and never run. It may hold

    name[i, j]                 a number of an operand (a traced array, a parameter, the ids) or of a helper
    sum(c, ...) mean(c, ...) max(c, ...)        over c = 0 .. sizes[c] - 1
    exp log sqrt tanh sin cos sigmoid softplus  of one number
    + - * / ** // %  and  a if t < s else b

A formula has one path or several: the number is their sum. A helper is a number that the paths share, such as a row's mean. In
JSON (`as_json`) each expression is a tree of lists; the page evaluates the same trees, by the same rules, in JavaScript.
"""

import ast
import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from numpy import ndarray as Array

Tree = list  # ["sum", "c", ["*", ["at", "x", [["index", "t"], ["index", "c"]]], ["num", 2.0]]]
Arrays = Mapping[tuple[str, str], Array]  # (kind, name) -> array, for the operands

SHOWN = 8  # a longer sum shows its SHOWN - 2 largest terms
MOST_DIGITS = 8  # where terms cancel, a text has more digits than it was asked for, up to these
NEAR = 1e-3  # it has enough of them where what it says comes as near to the number, in relation to it
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%"}
COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.Gt: ">", ast.GtE: ">="}
OVER = ("sum", "mean", "max")


def exponential(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def sigmoid(x: float) -> float:
    return 1 / (1 + exponential(-x))


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(exponential(-abs(x)))  # log(1 + exp(x)), whose exp would overflow


FUNCTIONS: dict[str, Callable[[float], float]]
FUNCTIONS = {"exp": exponential, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "sin": math.sin, "cos": math.cos,
             "sigmoid": sigmoid, "softplus": softplus}  # fmt: skip


class Expression(NamedTuple):
    tree: Tree
    equation: str  # as the book writes it: sum_c x[n, c] W[o, c]


@dataclass(frozen=True)
class Helper:
    index: tuple[str, ...]
    expression: Expression


@dataclass(frozen=True)
class Formula:
    """What the numbers of one array are made of.

    cell : the array's own name in the formula, with its index: "q[h, t, d]".
    paths : name -> expression. A cell is the sum of its paths; a single path may have the name "".
    sizes : how far each summed index goes. operands : name in the formula -> (kind, name of the array); kind is "value",
        "gradient", "ids" or "targets". helpers : numbers that paths share.
    """

    cell: str
    index: tuple[str, ...]
    paths: dict[str, Expression]
    sizes: dict[str, int]
    operands: dict[str, tuple[str, str]]
    helpers: dict[str, Helper]

    def as_json(self) -> dict:
        """The formula as the page takes it."""
        return {
            "cell": self.cell,
            "index": list(self.index),
            "sizes": self.sizes,
            "operands": {name: list(operand) for name, operand in self.operands.items()},
            "helpers": {
                name: {"index": list(helper.index), "expr": helper.expression.tree, "equation": helper.expression.equation}
                for name, helper in self.helpers.items()
            },
            "paths": [{"name": name, "expr": e.tree, "equation": e.equation} for name, e in self.paths.items()],
        }


def formula(
    cell: str,
    paths: Mapping[str, str],
    *,
    sizes: Mapping[str, int],
    operands: Mapping[str, tuple[str, str]],
    constants: Mapping[str, float] | None = None,
    helpers: Mapping[str, str] | None = None,
) -> Formula:
    """Reads a formula from its texts. helpers : "mean[t]" -> text. Only what the paths use is kept of sizes and operands.

    Raises ValueError, with the text, where it holds something else than the module's list, or a name that nobody defines.
    """
    index = parsed_cell(cell)[1]
    helpers = helpers or {}
    helper_cells = {text: parsed_cell(text) for text in helpers}
    known = Names(dict(sizes), dict(constants or {}), {*operands, *(name for name, _ in helper_cells.values())})
    made = {
        name: Helper(helper_index, expression(helpers[text], known, helper_index))
        for text, (name, helper_index) in helper_cells.items()
    }
    expressions = {name: expression(text, known, index) for name, text in paths.items()}
    arrays, summed = reached(expressions.values(), made)
    return Formula(
        cell,
        index,
        expressions,
        {name: size for name, size in sizes.items() if name in summed},
        {name: operand for name, operand in operands.items() if name in arrays},
        {name: helper for name, helper in made.items() if name in arrays},
    )


# ------------------------------------------------------------------------------------------------------------ from text to tree


class Names(NamedTuple):
    """What the names of a text may be."""

    sizes: dict[str, int]
    constants: dict[str, float]
    arrays: set[str]


def parsed_cell(text: str) -> tuple[str, tuple[str, ...]]:
    """ "q[h, t, d]" -> ("q", ("h", "t", "d"))."""
    match parsed(text):
        case ast.Subscript(value=ast.Name(id=name)) as node if all(isinstance(part, ast.Name) for part in indices(node)):
            return name, tuple(part.id for part in indices(node))
    raise ValueError(f"expected a name and its index, such as q[t, d]; got {text!r}")


def parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"cannot read {text!r}: {error.msg}") from None


def indices(node: ast.Subscript) -> list:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def expression(text: str, known: Names, index: tuple[str, ...]) -> Expression:
    node = parsed(text)
    try:
        return Expression(tree_of(node, known, index), equation_of(node)[0])
    except ValueError as error:
        raise ValueError(f"{error} in {text!r}") from None


def tree_of(node: ast.AST, known: Names, index: tuple[str, ...]) -> Tree:
    def tree(child: ast.AST, more: tuple[str, ...] = ()) -> Tree:
        return tree_of(child, known, (*index, *more))

    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return ["num", float(value)]
        case ast.Name(id=name) if name in index:
            return ["index", name]
        case ast.Name(id="inf"):
            return ["num", math.inf]
        case ast.Name(id=name) if name in known.constants:
            return ["num", float(known.constants[name])]
        case ast.Subscript(value=ast.Name(id=name)) if name in known.arrays:
            return ["at", name, [tree(part) for part in indices(node)]]
        case ast.UnaryOp(op=ast.USub()):
            return ["neg", tree(node.operand)]
        case ast.BinOp() if type(node.op) in OPERATORS:
            return [OPERATORS[type(node.op)], tree(node.left), tree(node.right)]
        case ast.IfExp(test=ast.Compare(left, [comparison], [right])) if type(comparison) in COMPARISONS:
            condition = [COMPARISONS[type(comparison)], tree(left), tree(right)]
            return ["if", condition, tree(node.body), tree(node.orelse)]
        case ast.Call(func=ast.Name(id=function), args=[ast.Name(id=over), body]) if function in OVER and over in known.sizes:
            return [function, over, tree(body, (over,))]
        case ast.Call(func=ast.Name(id=function), args=[argument]) if function in FUNCTIONS:
            return ["call", function, tree(argument)]
    raise ValueError(f"cannot read {ast.unparse(node)!r}")


def equation_of(node: ast.AST) -> tuple[str, int]:
    """The text as the book writes it, and how strongly it binds: 1 a sum, 2 a product, 3 a power, 4 whatever stands alone."""

    def at_least(child: ast.AST, least: int) -> str:
        text, level = equation_of(child)
        return text if level >= least else f"({text})"

    match node:
        case ast.BinOp(op=ast.Mult()):
            return f"{at_least(node.left, 2)} {at_least(node.right, 3)}", 2
        case ast.BinOp(op=ast.Pow()):
            return f"{at_least(node.left, 4)}^{at_least(node.right, 4)}", 3
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return f"{at_least(node.left, 1)} {OPERATORS[type(node.op)]} {at_least(node.right, 2)}", 1
        case ast.BinOp():
            return f"{at_least(node.left, 2)} {OPERATORS[type(node.op)]} {at_least(node.right, 3)}", 2
        case ast.UnaryOp():
            return f"-{at_least(node.operand, 3)}", 2
        case ast.Call(func=ast.Name(id=function), args=[ast.Name(id=over), body]) if function in OVER:
            return f"{function}_{over} {at_least(body, 2)}", 1
        case ast.Call(func=ast.Name(id=function)):
            return f"{function}({equation_of(node.args[0])[0]})", 4
        case ast.IfExp():
            return f"({equation_of(node.body)[0]} if {equation_of(node.test)[0]} else {equation_of(node.orelse)[0]})", 4
        case ast.Compare(ops=[comparison], comparators=[right]):
            return f"{equation_of(node.left)[0]} {COMPARISONS[type(comparison)]} {equation_of(right)[0]}", 1
        case ast.Subscript(value=ast.Name(id=name)):
            return f"{name}[{', '.join(equation_of(part)[0] for part in indices(node))}]", 4
        case ast.Name(id="inf"):
            return "∞", 4
    return ast.unparse(node), 4


def reached(expressions: Iterable[Expression], helpers: Mapping[str, Helper]) -> tuple[set[str], set[str]]:
    """The operands and helpers in the expressions, and in the helpers that they lead to; and the summed indices."""
    arrays: set[str] = set()
    summed: set[str] = set()

    def walk(tree: Tree) -> None:
        match tree:
            case ["at", name, parts]:
                if name in helpers and name not in arrays:
                    walk(helpers[name].expression.tree)
                arrays.add(name)
                branches = parts
            case [function, over, body] if function in OVER:
                summed.add(over)
                branches = [body]
            case _:
                branches = [branch for branch in tree if isinstance(branch, list)]
        for branch in branches:
            walk(branch)

    for each in expressions:
        walk(each.tree)
    return arrays, summed


# ---------------------------------------------------------------------------------------------------------- from tree to number


class Remembering(dict):
    """The arrays that one formula is evaluated on, and its helpers' numbers, each of which is then computed once.

    The functions here make one of plain arrays; whoever asks for many cells of one formula hands in the same one each time.
    """

    def __init__(self, arrays: Arrays):
        super().__init__(arrays)
        self.helpers: dict[tuple, float] = {}  # (name, *index) -> number


def remembering(arrays: Arrays) -> Remembering:
    return arrays if isinstance(arrays, Remembering) else Remembering(arrays)


def evaluated(formula: Formula, cell: tuple[int, ...], arrays: Arrays, path: str | None = None) -> float:
    """The number of a cell by the formula: the sum of its paths, or one path's share."""
    arrays = remembering(arrays)
    place = dict(zip(formula.index, cell, strict=True))
    names = formula.paths if path is None else [path]
    return added(value_of(formula.paths[name].tree, place, formula, arrays) for name in names)


def value_of(tree: Tree, place: Mapping[str, int], formula: Formula, arrays: Arrays) -> float:
    """The number of an expression, each index at its place."""

    def value(branch: Tree) -> float:
        return value_of(branch, place, formula, arrays)

    match tree:
        case ["num", number]:
            return number
        case ["index", name]:
            return place[name]
        case ["at", name, parts]:
            return looked_up(name, [int(value(part)) for part in parts], formula, arrays)
        case ["neg", a]:
            return -value(a)
        case ["if", [comparison, a, b], yes, no]:
            return value(yes if compared(comparison, value(a), value(b)) else no)
        case ["call", function, a]:
            return FUNCTIONS[function](value(a))
        case ["sum" | "mean" | "max" as kind, over, body]:
            size = formula.sizes[over]
            terms = [value_of(body, {**place, over: n}, formula, arrays) for n in range(size)]
            return max(terms) if kind == "max" else added(terms) / (size if kind == "mean" else 1)
        case [operator, a, b]:
            return combined(operator, value(a), value(b))
    raise AssertionError(tree)


def looked_up(name: str, index: list[int], formula: Formula, arrays: Arrays) -> float:
    if name in formula.helpers:
        arrays, key = remembering(arrays), (name, *index)
        if key not in arrays.helpers:
            helper = formula.helpers[name]
            place = dict(zip(helper.index, index, strict=True))
            arrays.helpers[key] = value_of(helper.expression.tree, place, formula, arrays)
        return arrays.helpers[key]
    return float(arrays[formula.operands[name]][tuple(index)])


def combined(operator: str, a: float, b: float) -> float:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b if b else math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
        case "**":
            return a**b
        case "//":
            return a // b
        case "%":
            return a % b
    raise AssertionError(operator)


def added(terms: Iterable[float]) -> float:
    """The sum from the first to the last, as the page adds. Python's own sum rounds in another way since 3.12."""
    total = 0.0
    for term in terms:
        total += term
    return total


def compared(comparison: str, a: float, b: float) -> bool:
    return {"<": a < b, "<=": a <= b, "==": a == b, ">": a > b, ">=": a >= b}[comparison]


# ------------------------------------------------------------------------------------------------------ from tree to arithmetic


def number(x: float, digits: int = 4) -> str:
    """x in at most `digits` significant digits, with a real minus sign: "0.3107", "−12", "1.2e−5", "−∞", "nan"."""
    if math.isnan(x):
        return "nan"
    sign, size = "−" if x < 0 else "", abs(x)
    if math.isinf(size):
        return sign + "∞"
    if size == 0:
        return "0"
    shown = at_digits(size, digits)
    exponent = shown.adjusted()  # 9.9999 has become 10.00
    if -4 <= exponent < 6:
        text = f"{shown:f}"
        return sign + (text.rstrip("0").rstrip(".") if "." in text else text)
    mantissa = f"{shown.scaleb(-exponent):f}"
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{sign}{mantissa}e{'−' if exponent < 0 else ''}{abs(exponent)}"


def rounded(x: float, digits: int) -> float:
    """x as `number` shows it in so many digits."""
    return float(f"{at_digits(x, digits):e}") if math.isfinite(x) and x else x


def at_digits(x: float, digits: int) -> Decimal:
    exact = Decimal(x)
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), ROUND_HALF_UP)  # half up, as JavaScript rounds


def enough_digits(value: float, comes_to: Callable[[int], float], digits: int = 4) -> int:
    """The fewest digits, from `digits` on, in which a text comes to its value; comes_to(n) is what it says in n digits."""
    for n in range(digits, MOST_DIGITS):
        told = comes_to(n)
        if not math.isfinite(value) or abs(told - value) <= NEAR * abs(value):
            return n
    return max(digits, MOST_DIGITS)


def written(formula: Formula, path: str, cell: tuple[int, ...], arrays: Arrays, digits: int = 4) -> str:
    """A path's share in a cell, written out in numbers: in so many digits, or in more, where terms cancel."""
    place = dict(zip(formula.index, cell, strict=True))
    return text_of(formula.paths[path].tree, place, formula, remembering(arrays), digits)


def text_of(tree: Tree, place: Mapping[str, int], formula: Formula, arrays: Arrays, digits: int) -> str:
    def at(n: int) -> Written:
        return numbers_of(tree, place, formula, arrays, n)

    return at(enough_digits(value_of(tree, place, formula, arrays), lambda n: at(n).value, digits)).text


def helpers_written(
    formula: Formula, path: str, cell: tuple[int, ...], arrays: Arrays, digits: int = 4, but: Container[str] = ()
) -> list[tuple[str, str, float]]:
    """For each helper's number that the path's text shows, and each that those show: ("mean[3]", its arithmetic, its value).

    but : the names of those that are known already, with all that they use.
    """
    arrays = remembering(arrays)
    found: dict[str, tuple[str, str, float]] = {}

    def walk(tree: Tree, place: Mapping[str, int]) -> None:
        match tree:
            case ["at", name, parts] if name in formula.helpers:
                index = [int(value_of(part, place, formula, arrays)) for part in parts]
                label = f"{name}[{', '.join(map(str, index))}]"
                if label not in found and label not in but:
                    helper = formula.helpers[name]
                    its_place = dict(zip(helper.index, index, strict=True))
                    text = text_of(helper.expression.tree, its_place, formula, arrays, digits)
                    found[label] = (label, text, value_of(helper.expression.tree, its_place, formula, arrays))
                    walk(helper.expression.tree, its_place)
            case ["if", [comparison, a, b], yes, no]:
                a, b = (value_of(part, place, formula, arrays) for part in (a, b))
                walk(yes if compared(comparison, a, b) else no, place)
            case ["sum" | "mean", over, body]:
                places = [{**place, over: n} for n in range(formula.sizes[over])]
                for n in shown_terms([value_of(body, each, formula, arrays) for each in places]):
                    walk(body, places[n])
            case ["num" | "index" | "at" | "max" | "//" | "%", *_]:  # a number alone
                pass
            case ["call", _, a]:
                walk(a, place)
            case [_, *branches]:
                for branch in branches:
                    walk(branch, place)

    walk(formula.paths[path].tree, dict(zip(formula.index, cell, strict=True)))
    return list(found.values())


class Written(NamedTuple):
    """The arithmetic of an expression; how strongly it binds: 1 a sum or a negative number, 2 a product, 3 a power, 4 what
    stands alone; and what the text comes to, whose numbers are rounded."""

    text: str
    level: int
    value: float

    def at_least(self, level: int) -> str:
        return self.text if self.level >= level else f"({self.text})"


SIGNS = {"+": ("+", 1, 1, 2), "-": ("−", 1, 1, 2), "*": ("×", 2, 2, 3), "/": ("/", 2, 2, 3)}  # level: of all, left, right


def numbers_of(tree: Tree, place: Mapping[str, int], formula: Formula, arrays: Arrays, digits: int) -> Written:
    def of(branch: Tree) -> Written:
        return numbers_of(branch, place, formula, arrays, digits)

    match tree:
        case ["num" | "index" | "at" | "max" | "//" | "%", *_]:
            x = value_of(tree, place, formula, arrays)
            return Written(number(x, digits), 1 if x < 0 else 4, rounded(x, digits))
        case ["neg", a]:
            a = of(a)
            return Written(f"−{a.at_least(2)}", 1, -a.value)
        case ["if", [comparison, a, b], yes, no]:
            a, b = (value_of(part, place, formula, arrays) for part in (a, b))
            return of(yes if compared(comparison, a, b) else no)
        case ["call", function, a]:
            a = of(a)
            return Written(f"{function}({a.text})", 4, FUNCTIONS[function](a.value))
        case ["sum" | "mean" as kind, over, body]:
            size = formula.sizes[over]
            terms = sum_of(body, [{**place, over: n} for n in range(size)], formula, arrays, digits)
            return terms if kind == "sum" else Written(f"{terms.at_least(2)} / {size}", 2, terms.value / size)
        case ["**", a, b]:
            a, b = of(a), of(b)
            return Written(f"{a.at_least(4)}^{b.at_least(4)}", 3, combined("**", a.value, b.value))
        case [operator, a, b]:
            a, b, (sign, level, left, right) = of(a), of(b), SIGNS[operator]
            return Written(f"{a.at_least(left)} {sign} {b.at_least(right)}", level, combined(operator, a.value, b.value))
    raise AssertionError(tree)


def shown_terms(values: Sequence[float]) -> list[int]:
    """Which terms of a sum are shown: all; of many, the largest, in their order."""
    if len(values) <= SHOWN:
        return list(range(len(values)))
    largest = sorted(range(len(values)), key=lambda n: -math.inf if math.isnan(values[n]) else -abs(values[n]))  # is stable
    return sorted(largest[: SHOWN - 2])


def sum_of(body: Tree, places: list[dict], formula: Formula, arrays: Arrays, digits: int) -> Written:
    """The terms of a sum; of many, those that are shown, and what the others come to."""
    values = [value_of(body, place, formula, arrays) for place in places]
    shown = shown_terms(values)
    terms = [numbers_of(body, places[n], formula, arrays, digits) for n in shown]
    if len(places) == 1:
        return terms[0]
    texts = [term.text if n == 0 else term.at_least(2) for n, term in enumerate(terms)]
    comes_to = [term.value for term in terms]
    if len(places) > len(texts):
        rest = added(value for n, value in enumerate(values) if n not in shown)
        others = number(rest, digits)
        texts.append(f"{f'({others})' if rest < 0 else others} (the sum of {len(places) - len(texts)} more)")
        comes_to.append(rounded(rest, digits))
    return Written(" + ".join(texts), 1, added(comes_to))
