"""One tensor of a model that reads a text: its equation, the line of npgpt that computes it, its numbers. In a terminal.

    python -m npgpt.inspector "ali ata bak" --at blocks.0.pattern
    python -m npgpt.inspector "ali ata bak" --at blocks.0.ln1 --position 3          the arithmetic of each cell, in numbers
    python -m npgpt.inspector "ali ata bak" --at blocks.0.q --backward              and the gradient, by its paths
    python -m npgpt.inspector --list                                                what there is to look at
    python -m npgpt.inspector "ali ata bak" --at logits --checkpoint out/text/best.safetensors

The numbers are those of `model.trace` (without the batch's axis), or plain arithmetic on them that is written out.
"""

import argparse
import difflib
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..models import make_model
from ..models.base import LanguageModel
from ..pictures.labels import LANGUAGES
from ..pictures.style import KINDS, visible
from ..pretrained import is_pretrained, load_pretrained, pretrained_tokenizer
from ..runs.checkpoint import load_checkpoint, read_checkpoint
from ..text import LetterTokenizer, Tokenizer
from .arithmetic import Arrays, Formula, Remembering, evaluated, helpers_written, number, written
from .formulas import Formulas, formulas_of
from .labels import translator
from .names import WHAT
from .small import CONFIGS
from .source import Place, sources_of

FEW, ROWS = 12, 24  # columns or cells, and rows, of what is long

Say = Callable[..., str]


class Look(NamedTuple):
    """A model that has read a text, and what it is to be looked at for."""

    model: LanguageModel
    tokenizer: Tokenizer
    ids: Array  # (T,)
    targets: Array | None  # (T,)
    arrays: Arrays  # (kind, name) -> array, without the batch's axis
    say: Say
    everything: bool

    def names(self) -> list[str]:
        """The traced names, in the order of the computation."""
        parameters = self.model.state_dict()
        return [name for kind, name in self.arrays if kind == "value" and name not in parameters]

    def token(self, id: int) -> str:
        """A token as it can be printed: with visible spaces and line breaks."""
        text = visible(self.tokenizer.decode([int(id)]))
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

    def labels(self, letter: str, size: int) -> Callable[[int], str]:
        """What the axis of an index is labelled with: n -> text. t and s are positions, v is the vocabulary."""
        if letter in ("t", "s") and size == len(self.ids):
            return lambda n: f"{n} {self.token(self.ids[n])}"
        if letter == "v":
            return self.token
        return lambda n: f"{letter} {n}"


def main(argv: Sequence[str] | None = None) -> None:
    """What is asked for in a terminal. A mistake that the reader can mend ends it with one line and exit code 1."""
    args = parsed(argv)
    try:
        print("\n".join(answer(args)))
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except (ValueError, TypeError, ImportError) as error:
        sys.exit(f"error: {error}")


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m npgpt.inspector", description=__doc__.split("\n")[0], allow_abbrev=False)
    add = parser.add_argument
    add("text", nargs="?", default="ali ata bak", help="what the model reads (default: %(default)s)")
    add("--at", metavar="NAME", help="the tensor: a name of --list")
    add("--list", action="store_true", help="name all tensors, with their shapes, and say what they are")
    add("--position", type=int, help="one position, and the arithmetic of its cells, written out in numbers")
    add("--head", type=int, help="one attention head")
    add("--backward", action="store_true", help="the gradient too; the text's last token is then only expected, not read")
    add("--all", action="store_true", help="print all numbers of a wide tensor")
    add("--checkpoint", type=Path, help="a checkpoint, a folder of Hugging Face's transformers, or a .gguf file")
    add("--model", choices=CONFIGS, default="gpt", help="without --checkpoint: a small model of that kind (default: gpt)")
    add("--seed", type=int, default=0, help="of its weights, which are not trained (default: 0)")
    add("--lang", choices=LANGUAGES, default="en", help="English or Turkish")
    return parser.parse_args(argv)


def answer(args: argparse.Namespace) -> Iterator[str]:
    """The lines to print. Raises ValueError and what loading raises."""
    if args.at is None and (args.position, args.head) != (None, None):
        raise ValueError("--position and --head are of a tensor: say which one by --at")
    say = translator(args.lang)
    model, tokenizer, which = loaded(args, say)
    look = looked(model, tokenizer, args.text, args.backward, say, args.all)
    if args.at is not None:
        check_name(look, args.at)
    yield which
    yield f"{say('reads')}: {' '.join(map(look.token, look.ids))}"
    if look.targets is not None:
        loss = model.loss(look.ids[None], look.targets[None])
        yield f"{say('expects')}: {' '.join(map(look.token, look.targets))}   {say('loss {loss:.4f} nats', loss=loss)}"
    yield ""
    yield from listed(look) if args.at is None or args.list else told(look, args.at, args.position, args.head)


# ------------------------------------------------------------------------------------------------------- the model and the text


def loaded(args: argparse.Namespace, say: Say) -> tuple[LanguageModel, Tokenizer, str]:
    """The model, its tokenizer, and a sentence that says which model it is."""
    model: LanguageModel
    tokenizer: Tokenizer
    if args.checkpoint is None:
        if args.seed < 0:
            raise ValueError(f"--seed must be at least 0, got {args.seed}")
        model, tokenizer = make_model(CONFIGS[args.model], seed=args.seed), LetterTokenizer()
        sentence = "{kind}, {count:,} parameters, untrained, seed {seed} (--checkpoint looks at a trained one)"
    elif is_pretrained(args.checkpoint):
        model, tokenizer = load_pretrained(args.checkpoint), pretrained_tokenizer(args.checkpoint)
        sentence = "{kind}, {count:,} parameters, from {path}"
    else:
        model, tokenizer = load_checkpoint(args.checkpoint), read_checkpoint(args.checkpoint).tokenizer()
        sentence = "{kind}, {count:,} parameters, from {path}"
    kind = KINDS[model.config.kind]
    return model, tokenizer, say(sentence, kind=kind, count=model.num_parameters(), seed=args.seed, path=args.checkpoint)


def looked(model: LanguageModel, tokenizer: Tokenizer, text: str, backward: bool, say: Say, everything: bool) -> Look:
    """The text's tokens go through the model; backward: the last one is only expected."""
    ids = np.array(tokenizer.encode(text), dtype=np.int64)
    least = 2 if backward else 1
    if len(ids) < least:
        needs = (
            "--backward needs a text of at least 2 tokens, one to read and one to expect" if backward else "the text is empty"
        )
        raise ValueError(f"{needs}; got {text!r}")
    ids, targets = (ids[:-1], ids[1:]) if backward else (ids, None)
    if model.context is not None and len(ids) > model.context:
        raise ValueError(f"the text has {len(ids)} tokens to read, more than the model's {model.context}")
    trace = model.trace(ids[None], None if targets is None else targets[None])
    arrays = {("value", name): value[0] for name, (value, _) in trace.items()} | {("ids", ""): ids}
    if targets is not None:
        arrays |= {("gradient", name): gradient[0] for name, (_, gradient) in trace.items()} | {("targets", ""): targets}
        model.loss_and_grad(ids[None], targets[None])
        arrays |= {("gradient", name): parameter.grad for name, parameter in model.named_parameters()}
    arrays |= {("value", name): tensor for name, tensor in model.state_dict().items()}
    return Look(model, tokenizer, ids, targets, arrays, say, everything)


def check_name(look: Look, name: str) -> None:
    """Raises ValueError where there is no such tensor, with the names that are nearest."""
    names = [name for kind, name in look.arrays if kind == "value"]
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=3, cutoff=0) or names[:3]
        raise ValueError(f"there is no tensor {name!r}; the nearest are {', '.join(nearest)}; --list names all")


# ------------------------------------------------------------------------------------------------------------ what there is


def listed(look: Look) -> Iterator[str]:
    """Every traced name with its shape and what it is; then the parameters."""
    say, names, weights = look.say, look.names(), look.model.state_dict()
    width = max(map(len, [*names, *weights]))
    formulas = formulas_of(look.model.config, len(look.ids))
    for name in names:
        axes = axes_of(formulas, name, look.arrays["value", name].shape)
        yield f"{name:{width}}  {shape_of(look, name, axes):24}  {say(what_is(look, name))}"
    yield ""
    yield say("parameters, whose gradients --at and --backward show as well:")
    for name, weight in weights.items():
        yield f"{name:{width}}  {shape_of(look, name, axes_of(formulas, name, weight.shape))}"


def axes_of(formulas: Formulas, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The letters of a tensor's axes: those of its formula, or i, j, k where it has none."""
    either = formulas.get(name) or {"value": None, "gradient": None}
    formula = either["value"] or either["gradient"]
    return formula.index if formula else tuple("ijk"[: len(shape)])


def shape_of(look: Look, name: str, axes: tuple[str, ...]) -> str:
    """[h 1, t 11, s 11]"""
    return "[" + ", ".join(f"{axis} {size}" for axis, size in zip(axes, look.arrays["value", name].shape, strict=True)) + "]"


# --------------------------------------------------------------------------------------------------------------- one tensor


def told(look: Look, name: str, position: int | None, head: int | None) -> Iterator[str]:
    """All about one tensor."""
    say, config, T = look.say, look.model.config, len(look.ids)
    formulas, sources = formulas_of(config, T), sources_of(config, T)
    shape = look.arrays["value", name].shape
    axes = axes_of(formulas, name, shape)
    fixed = chosen_place(look, name, axes, position, head)
    yield f"{name}  {shape_of(look, name, axes)}  {say(what_is(look, name))}"
    for kind in ("value", "gradient"):
        if (kind, name) not in look.arrays:
            continue
        yield ""
        yield f"{say(kind)}:"
        formula = (formulas.get(name) or {}).get(kind)
        if formula is not None:
            yield from indented(equations(formula, say))
        place = getattr(sources[name], kind) if name in sources else None
        if place is not None:
            yield from indented(lines_of(place, say))
            yield ""
        array = look.arrays[kind, name]
        weight = importance(array, axes, kind)
        yield from indented(tables(look, array, weight, axes, fixed))
        if formula is not None and position is not None:
            yield ""
            yield from indented(arithmetic(look, formula, array, weight, axes, fixed))


def what_is(look: Look, name: str) -> str:
    if name in look.names():
        return WHAT[name.rpartition(".")[2]]
    return "a parameter: it is learned" if name in dict(look.model.named_parameters()) else "a buffer: it is not trained"


def indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)


def chosen_place(look: Look, name: str, axes: tuple[str, ...], position: int | None, head: int | None) -> dict[int, int]:
    """axis -> the one place on it that is asked for. Raises ValueError where the tensor has no such axis or place."""
    shape, fixed = look.arrays["value", name].shape, {}
    for flag, wanted, letters in (("--position", position, "t"), ("--head", head, "hm")):
        if wanted is None:
            continue
        axis = next((n for n, letter in enumerate(axes) if letter in letters), None)
        if axis is None or name not in look.names():
            raise ValueError(f"{flag} {wanted}: {name} has no {flag.removeprefix('--')}s")
        if not 0 <= wanted < shape[axis]:
            raise ValueError(f"{flag} must lie in 0..{shape[axis] - 1} for {name}, got {wanted}")
        fixed[axis] = wanted
    return fixed


def equations(formula: Formula, say: Say) -> Iterator[str]:
    """The formula in the book's notation: its paths, its helpers, and which arrays its names are."""
    for n, (path, expression) in enumerate(formula.paths.items()):
        start = f"{formula.cell} = " if n == 0 else " " * len(formula.cell) + " + "
        yield f"{start}{expression.equation}" + (f"   ({said_path(path, say)})" if path else "")
    for name, helper in formula.helpers.items():
        yield f"  {name}[{', '.join(helper.index)}] = {helper.expression.equation}"
    texts = {
        "gradient": "the gradient of {name}",
        "ids": "the tokens that are read, by their numbers",
        "targets": "the tokens that are expected, by their numbers",
    }
    for alias, (kind, array) in formula.operands.items():
        if alias != array:
            yield f"  {alias}: {array if kind == 'value' else say(texts[kind], name=array)}"


def said_path(path: str, say: Say) -> str:
    """A path's name; where a group has several heads, their number is no word."""
    words = path.split(" ")
    numbers = [word for word in words if word.isdecimal()]
    return say(" ".join("{n}" if word.isdecimal() else word for word in words), n=numbers[0]) if numbers else say(path)


def lines_of(place: Place, say: Say) -> Iterator[str]:
    """Which line computes it, and who called for it."""
    for each in (place, *place.also):
        yield f"{say('computed by') if each is place else say('and by')} {each.file}:{each.line}   {one_line(each.text)}"
    for call in place.via:
        yield f"  {say('called from')} {call.file}:{call.line}   {one_line(call.text)}"


def one_line(text: str) -> str:
    return " ".join(text.split())


# ------------------------------------------------------------------------------------------------------------- its numbers


def importance(array: Array, axes: tuple[str, ...], kind: str) -> Array:
    """By what a part of a vocabulary is chosen: the likeliest tokens, and else the largest numbers, whatever their sign."""
    signed = array if kind == "value" and axes == ("t", "v") else np.abs(array)
    return np.where(np.isfinite(array), signed, 0)


def tables(look: Look, array: Array, weight: Array, axes: tuple[str, ...], fixed: dict[int, int]) -> Iterator[str]:
    """The numbers: rows and columns are the last two axes; a table for each place of an axis before them."""
    if array.ndim == 1:
        array, weight, axes = array[None], weight[None], ("", *axes)
        fixed = {axis + 1: place for axis, place in fixed.items()}
    everywhere = [[fixed[axis]] if axis in fixed else range(size) for axis, size in enumerate(array.shape)]
    *outer, rows, columns = everywhere
    places = list(itertools.product(*outer))
    some = places if look.everything else places[:FEW]
    for n, place in enumerate(some):
        if n:
            yield ""
        for letter, at in zip(axes, place, strict=False):
            yield f"{look.say('head {n}', n=at) if letter in 'hm' else look.labels(letter, array.shape[0])(at)}:"
        yield from table(look, array[place], weight[place], axes[-2:], list(rows), list(columns))
    if len(some) < len(places):
        yield look.say("({shown} of {all} tables; --all prints all)", shown=len(some), all=len(places))


def table(
    look: Look, numbers: Array, weight: Array, axes: tuple[str, ...], rows: list[int], columns: list[int]
) -> Iterator[str]:
    """One table. What attention may not see, the future, is no number: –."""
    shown_rows = some_of(rows, axes[0], weight.max(axis=1), ROWS, look.everything)
    shown_columns = some_of(columns, axes[1], weight[rows].max(axis=0), FEW, look.everything)
    row_label, column_label = (look.labels(letter, size) for letter, size in zip(axes, numbers.shape, strict=True))
    masked = axes == ("t", "s")
    lines = [["", *map(column_label, shown_columns)]]
    for row in shown_rows:
        cells = ["–" if masked and column > row else number(float(numbers[row, column])) for column in shown_columns]
        lines.append([row_label(row) if axes[0] else "", *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *cells in lines:
        yield "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
    if masked:
        yield look.say("–: the future, masked")
    if len(shown_columns) < len(columns):
        largest = "({shown} of {all} columns, those with the largest numbers; --all prints all)"
        first_ones = "(the first {shown} of {all} columns; --all prints all)"
        text = largest if axes[1] == "v" else first_ones
        yield look.say(text, shown=len(shown_columns), all=len(columns))
    if len(shown_rows) < len(rows):
        yield look.say("({shown} of {all} rows; --all prints all)", shown=len(shown_rows), all=len(rows))


def some_of(places: list[int], letter: str, weight: Array, most: int, everything: bool) -> list[int]:
    """All places where they are few; else the first ones, or, of a vocabulary, the most important ones."""
    if everything or len(places) <= most:
        return places
    return sorted(np.argsort(-weight, kind="stable")[:most].tolist()) if letter == "v" else places[:most]


def arithmetic(
    look: Look, formula: Formula, array: Array, weight: Array, axes: tuple[str, ...], fixed: dict[int, int]
) -> Iterator[str]:
    """The cells of the place that is asked for, written out in numbers, path by path; then the helpers that they use."""
    say, every = look.say, cells_of(array, axes, fixed)
    arrays = Remembering(look.arrays)
    helpers: dict[str, str] = {}
    some = every if look.everything or len(every) <= FEW else every[:FEW]
    if "v" in axes and len(some) < len(every):
        some = sorted(sorted(every, key=lambda cell: -weight[cell])[:FEW])
    for cell in some:
        name = f"{formula.cell.partition('[')[0]}[{', '.join(map(str, cell))}]"
        value = number(float(array[cell]))
        several = len(formula.paths) > 1
        if several:
            yield f"{name} = {value}"
        for n, path in enumerate(formula.paths):
            text = said_text(written(formula, path, cell, arrays), say)
            if several:
                share = number(evaluated(formula, cell, arrays, path))
                yield f"    {'+' if n else ' '} {comes_to(text, share)}   ({said_path(path, say)})"
            else:
                yield f"{name} = {comes_to(text, value)}"
            for label, its_text, its_value in helpers_written(formula, path, cell, arrays, but=helpers):
                helpers[label] = f"  {label} = {comes_to(said_text(its_text, say), number(its_value))}"
    yield from helpers.values()
    if len(some) < len(every):
        yield say("({shown} of {all} cells; --all prints all)", shown=len(some), all=len(every))


def said_text(text: str, say: Callable[..., str]) -> str:
    """What `written` gives, in the language."""
    return re.sub(r"the sum of (\d+) more", lambda found: say("the sum of {n} more", n=found[1]), text)


def comes_to(text: str, value: str) -> str:
    """0.5 × 2 = 1; a number alone is not said twice."""
    return value if text == value else f"{text} = {value}"


def cells_of(array: Array, axes: tuple[str, ...], fixed: dict[int, int]) -> list[tuple[int, ...]]:
    """The cells of the place that is asked for, without masked ones."""
    everywhere = ([fixed[axis]] if axis in fixed else range(size) for axis, size in enumerate(array.shape))
    return [cell for cell in itertools.product(*everywhere) if axes[-2:] != ("t", "s") or cell[-1] <= cell[-2]]


if __name__ == "__main__":
    main()
