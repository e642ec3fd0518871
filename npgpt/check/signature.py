"""What a forward says about its inputs: shapes, and which of them hold integers or booleans. Nothing is called here.

A shape is looked for, input by input, in this order:

    the annotation            x: "B T C"    x: Float[Array, "B T C"]    x: "float32[B, T, C]"    x: Annotated[Array, "B T C"]
    the comment behind it     x,  # (B, T, C)
    docstring and comments    x (B, T, C)    q, k, v (B, T, D)    x : array of shape (B, T, C)
    the first lines           B, T, C = x.shape
"""

import ast
import inspect
import io
import re
import textwrap
import tokenize
import typing
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .wording import without_partial

Shape = tuple[str, ...]  # each axis an expression of letters, "B", "4*H", "3", or "..." for any number of axes


class Parameter(NamedTuple):
    """One input, as far as the signature and the text around it tell."""

    name: str
    kind: str  # "floats", "ids", "booleans", "labels" (ids or floats: their shape tells), "number", "count", "" where unknown
    shape: Shape | None
    below: str = ""  # the size that ids stay below, where it is said
    one_hot: bool = False  # said of labels
    default: object = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


# What a name alone says. Labels are ids where they have fewer axes than what they are compared with.
IDS = re.compile(r"(.*_)?(ids?|idx|indices|index|tokens)")
LABELS = re.compile(r"y|t|y_true|targets?|labels?|gold|.*_(targets?|labels?)")
BOOLEANS = re.compile(r"(.*_)?mask")
NUMBERS = re.compile(r"eps|epsilon|alpha|slope|negative_slope|temperature")
COUNTS = re.compile(r"(n|num)_\w+|(\w+_)?heads")
# What the words beside a shape say.
INTEGER_WORDS = re.compile(r"\b(integers?|u?int\d*|ids|indices)\b", re.IGNORECASE)
LABEL_WORDS = re.compile(r"\b(labels|one-hot)\b", re.IGNORECASE)
BOOLEAN_WORDS = re.compile(r"\b(bools?|booleans?)\b", re.IGNORECASE)
BELOW = re.compile(r"(?:<|\b0 ?(?:\.\.|to|-)|\[0, ?) ?([A-Z]\w*)\b")  # 0 <= y[i] < C, 0..V-1, [0, V)


def parameters_of(forward: Callable) -> list[Parameter]:
    """Its positional inputs, in order. Raises ValueError where they cannot be told (*args, a built-in function)."""
    signature = inspect.signature(forward)
    positional, problem = [], ""
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append(parameter)
        elif parameter.kind == parameter.VAR_POSITIONAL:
            problem = f"*{parameter.name} may be anything"
        elif parameter.kind == parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            problem = f"{parameter.name} is passed by its keyword alone"
    if problem:
        raise ValueError(problem)
    said, below = what_is_said([parameter.name for parameter in positional], forward)
    return [told(parameter, said[parameter.name], below) for parameter in positional]


# ------------------------------------------------------------------------------------------------------------ kind and shape


class Said(NamedTuple):
    shape: Shape | None = None
    words: str = ""  # that stand beside it


def told(parameter: inspect.Parameter, said: Said, below: str) -> Parameter:
    """The parameter with what its annotation says, what is said elsewhere, and what its name says."""
    shape, words = annotated(parameter.annotation)
    shape = said.shape if shape is None else shape
    kind = kind_of(parameter.name, shape, words, f"{words} {said.words}")
    return Parameter(parameter.name, kind, shape, below, "one-hot" in said.words.lower(), parameter.default)


def kind_of(name: str, shape: Shape | None, annotation: str, words: str) -> str:
    if shape is None:
        if annotation == "int" or COUNTS.fullmatch(name):
            return "count"
        return "number" if annotation == "float" or NUMBERS.fullmatch(name) else ""
    if BOOLEAN_WORDS.search(words) or BOOLEANS.fullmatch(name):
        return "booleans"
    if INTEGER_WORDS.search(words) or IDS.fullmatch(name):
        return "ids"
    return "labels" if LABEL_WORDS.search(words) or LABELS.fullmatch(name) else "floats"


def annotated(annotation: typing.Any) -> tuple[Shape | None, str]:
    """The shape in an annotation, and its other words."""
    if annotation is inspect.Parameter.empty:
        return None, ""
    if hasattr(annotation, "dim_str"):  # jaxtyping's, evaluated
        return spaced_shape(annotation.dim_str), annotation.__name__.split("[")[0]
    if typing.get_origin(annotation) is typing.Annotated:
        texts = [", ".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in annotation.__metadata__]
        return next((shape for shape in map(shape_alone, texts) if shape is not None), None), ""
    if isinstance(annotation, type):
        return None, annotation.__name__
    text = str(annotation)
    quoted = re.search(r"""^(?:\w+\.)*(\w+)\[.*["'](.*)["']\]$""", text)  # Float[Array, "B T C"]
    if quoted:
        return shape_alone(quoted[2]), quoted[1]
    dtype = re.match(r"((?:float|f|int|i|uint|bool)\d*)\[(.*)\]$", text)  # float32[B, T, C]
    if dtype:
        return shape_alone(f"({dtype[2]},)"), dtype[1]
    return shape_alone(text), text


def shape_alone(text: str) -> Shape | None:
    """The shape that is the whole text: "(B, T, C)", "B, T, C" or "B T C"."""
    text = text.strip()
    found = [shape for _, _, shape in shapes_in(text)]
    if found:
        return found[0]
    with_commas = shape_of(text.split(",")) if "," in text else None
    return with_commas or spaced_shape(text)


def spaced_shape(text: str) -> Shape | None:
    """ "B T C", "*batch C"; one word alone is a shape where it is in capitals."""
    parts = ["..." if part.startswith("*") else part for part in text.split()]
    return shape_of(parts) if len(parts) > 1 or (parts and re.fullmatch(r"[A-Z]\d?|\d+", parts[0])) else None


# --------------------------------------------------------------------------------------------------------- shapes in a text

LETTER = re.compile(r"[A-Z][a-z]?[A-Z0-9]*(_\w+)?|[a-z_]\w*")  # B, HW, Tq, C_in, batch; not Array
NOT_SIZES = {"optional", "float", "int", "bool", "str", "default", "array", "ndarray", "tensor", "scalar", "list", "tuple"}


def shapes_in(text: str) -> Iterator[tuple[int, int, Shape]]:
    """Begin, end and axes of each group in round or square brackets that reads as a shape. Neither f(x, y) does nor x[n]."""
    for group in re.finditer(r"(?<![\w)\]])(?:\(([^()\[\]]*)\)|\[([^()\[\]]*)\])", text):
        inside = group[1] if group[1] is not None else group[2]
        shape = shape_of(inside.split(","))
        if shape is not None and ("," in inside or re.fullmatch(r"\.\.\.|\d*[A-Z]\w?", inside.strip()) or not inside.strip()):
            yield group.start(), group.end(), shape


def shape_of(parts: list[str]) -> Shape | None:
    """The axes as expressions; None where one of them is no size."""
    parts = [part.strip() for part in parts]
    if parts and not parts[-1]:  # (C,), and () of a number
        parts = parts[:-1]
    axes = [axis_of(part) for part in parts]
    sizes = [axis for axis in axes if axis is not None]
    return tuple(sizes) if len(sizes) == len(axes) else None


def axis_of(text: str) -> str | None:
    """ "4H" -> "4*H", "K-1+T" as it is; None where it is no size."""
    if text == "...":
        return text
    if not re.fullmatch(r"[\w\s+*/-]+", text):
        return None
    text = re.sub(r"^(\d+)\s*(?=[A-Za-z])", r"\1*", text)
    try:
        parts = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError):
        return None
    allowed = (ast.Expression, ast.BinOp, ast.Name, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    sizes = [part.value for part in parts if isinstance(part, ast.Constant)]
    if not all(isinstance(part, (*allowed, ast.Constant)) for part in parts) or not all(type(n) is int for n in sizes):
        return None
    return text if all(LETTER.fullmatch(name) and name.lower() not in NOT_SIZES for name in names) else None


# ---------------------------------------------------------------------------------------------------- the text of a function


def what_is_said(names: list[str], forward: Callable) -> tuple[dict[str, Said], str]:
    """Name -> its shape and the words beside it, by comments, docstring and first lines; and the size that ids stay below."""
    function = inspect.unwrap(without_partial(forward))
    texts = [inspect.getdoc(function) or ""]
    said = dict.fromkeys(names, Said())
    tree, comments = source_of(function)
    if tree is not None:
        said |= {name: Said(shape) for name, shape in unpacked(tree)}
        texts += [re.sub(r"^#+", "", inspect.getcomments(function) or "", flags=re.MULTILINE), *comments.values()]
    in_texts = [each for text in texts for each in in_text(without_results(text), names)]
    in_comments = behind(tree, comments) if tree is not None else ()
    for found in (in_texts, in_comments):
        said |= dict(reversed(list(found)))  # the first one counts
    below = BELOW.search("\n".join(texts))
    return said, below[1] if below else ""


def source_of(function: Callable) -> tuple[ast.FunctionDef | None, dict[int, str]]:
    """Its syntax tree and its comments; None where Python does not have its text, or where it is no `def`."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source).body[0]
        return (tree, comments_of(source)) if isinstance(tree, ast.FunctionDef) else (None, {})
    except (OSError, TypeError, SyntaxError):
        return None, {}


def comments_of(source: str) -> dict[int, str]:
    """Line number -> what stands behind # there."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def behind(function: ast.FunctionDef, comments: dict[int, str]) -> Iterator[tuple[str, Said]]:
    """What the comments behind the parameters say: one shape for all that stand in the line, or one for each."""
    lines: dict[int, list[str]] = {}
    for argument in [*function.args.posonlyargs, *function.args.args]:
        lines.setdefault(argument.end_lineno or argument.lineno, []).append(argument.arg)
    for line, names in lines.items():
        comment = comments.get(line, "")
        shapes = [shape for _, _, shape in shapes_in(comment)]
        starts = bool(shapes) and re.match(r"\s*(each\s)?\s*[(\[]", comment)  # a comment that names its inputs is read as text
        if starts and len(shapes) == len(names):
            yield from ((name, Said(shape, comment)) for name, shape in zip(names, shapes, strict=True))
        elif starts and len(shapes) == 1 and line != function.lineno:
            yield from ((name, Said(shapes[0], comment)) for name in names)


def in_text(text: str, names: list[str]) -> Iterator[tuple[str, Said]]:
    """Every input whose shape the text gives, with the words around it."""
    if not names:
        return
    called = plurals(names) | {name: [name] for name in names}
    one = "|".join(called)
    several = rf"(?<![\w.])(?:{one})(?:\.shape)?(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?:{one})(?:\.shape)?)*(?!\w)"
    just_before = re.compile(rf"({several})\s*(?:[:=]+|each|is|of)?\s*$")
    listed_before = re.compile(rf"({several})\s*(?:\([^()]*\))?\s*:\s(?:(?!{several}\s*:)[^.;])*$")
    told_before = re.compile(rf"({several})\s(?:[^.;])*\bshape\b[^.;]*$")
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        end = 0
        for start, stop, shape in shapes_in(line):
            before = line[end:start]
            found = just_before.search(before) or listed_before.search(before) or told_before.search(before)
            if found:
                after = re.split(r"[,.;()]", line[stop:])[0][:30]
                said = Said(shape, before[found.end(1) :] + after)
                for word in re.findall(rf"(?<!\w)(?:{one})(?!\w)", found[1]):
                    yield from ((name, said) for name in called[word])
            end = stop


def plurals(names: list[str]) -> dict[str, list[str]]:
    """biases -> bias_ih, bias_hh"""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.split("_")[0], []).append(name)
    return {kind + ("es" if kind.endswith("s") else "s"): each for kind, each in kinds.items() if len(each) > 1}


def without_results(text: str) -> str:
    """The text without what a function returns: from a line that is headed so, and behind an arrow."""
    text = re.split(r"^\s*(?:Returns?|Outputs?|Yields)(?: a tuple of)?\s*:?\s*$", text, flags=re.MULTILINE)[0]
    return re.sub(r"(->|→).*?(?=\.\s|\n\s*\n|\Z)", "", text, flags=re.DOTALL)


def unpacked(function: ast.FunctionDef) -> Iterator[tuple[str, Shape]]:
    """B, T, C = x.shape and T, D = x.shape[-2:]"""
    for node in ast.walk(function):
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)):
            continue
        found = re.fullmatch(r"(\w+)\.shape(\[-\d:\])?", ast.unparse(node.value))
        shape = shape_of([ast.unparse(axis) for axis in node.targets[0].elts])
        if found and shape is not None:
            yield found[1], ("...", *shape) if found[2] else shape
