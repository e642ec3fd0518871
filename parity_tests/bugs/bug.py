"""What a bug is, and how it is switched on: one piece of a function's code becomes another.

The piece is looked for as code, not as text: comments, spaces and brackets that change nothing do not matter. It must stand
there exactly once, so that a bug whose line is no longer npgpt's is an error and not a test that passes.
"""

import __future__

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True)
class Bug:
    """`old` in the function `where` ("module:qualified.name") becomes `new`; each is an expression or a statement.

    story : why training still seems to work.
    source : "published" or "classic".
    tensor : the first tensor, in the order of computation, that is wrong in a two-layer model: what locate.py should name; ""
        where none is.
    mistake : the kind of mistake that fits (npgpt/check/diagnose.py), or None where no kind does.
    also : further changes that belong to it, each (where, old, new).
    kind : the kind of model that shows it.
    """

    name: str
    where: str
    old: str
    new: str
    story: str
    source: str
    tensor: str
    mistake: str | None = None
    also: tuple[tuple[str, str, str], ...] = ()
    kind: str = "gpt"

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """Inside, the functions run the changed code, whoever imported them under whatever name; then they are right again."""
        changes: dict[str, list[tuple[str, str]]] = {}
        for where, old, new in ((self.where, self.old, self.new), *self.also):
            changes.setdefault(where, []).append((old, new))
        with ExitStack() as stack:
            for where, pairs in changes.items():
                stack.enter_context(_changed(self.name, where, pairs))
            yield


@contextmanager
def _changed(bug: str, where: str, pairs: list[tuple[str, str]]) -> Iterator[None]:
    """The function `where` with each old piece replaced by its new one. Its code object is exchanged, so that every reference
    to the function sees the change."""
    module, _, path = where.partition(":")
    target = reduce(getattr, path.split("."), importlib.import_module(module))
    function = inspect.unwrap(target)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for old, new in pairs:
        exchange = _Exchange(old, new)
        tree = exchange.visit(tree)
        if exchange.found != 1:
            raise ValueError(f"bug {bug}: {old!r} stands {exchange.found} times in {where}, not once")
    namespace = dict(function.__globals__)
    as_text = __future__.annotations.compiler_flag  # a method's annotations name classes that only its class body knows
    exec(compile(ast.fix_missing_locations(tree), f"<bug {bug}>", "exec", flags=as_text), namespace)
    changed = inspect.unwrap(namespace[function.__name__])
    forget = getattr(target, "cache_clear", lambda: None)  # what an lru_cache holds was computed by the other code
    kept = function.__code__, function.__defaults__
    function.__code__, function.__defaults__ = changed.__code__, changed.__defaults__
    forget()
    try:
        yield
    finally:
        function.__code__, function.__defaults__ = kept
        forget()


class _Exchange(ast.NodeTransformer):
    """Replaces every piece of code that reads like `old`, and counts them. Two expressions are exchanged wherever the old one
    stands inside a line; otherwise whole statements are, one by one or more."""

    def __init__(self, old: str, new: str):
        (old_statement,), new_statements = ast.parse(old).body, ast.parse(new).body
        if all(isinstance(statement, ast.Expr) for statement in (old_statement, *new_statements)):
            self.old, self.new = old_statement.value, new_statements[0].value
        else:
            self.old, self.new = old_statement, new_statements
        self.found = 0

    def visit(self, node: ast.AST):
        if type(node) is type(self.old) and ast.unparse(node) == ast.unparse(self.old):
            self.found += 1
            return self.new
        return self.generic_visit(node)
