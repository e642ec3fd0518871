"""A catalogue of wrong gradients: each a one-line change to npgpt that is easy to make and hard to notice.

    with CATALOGUE["attention_dk_not_transposed"].switched_on():
        ...  # npgpt computes the wrong thing in here

`published` bugs were found in public NumPy transformers whose own tests pass; `classic` ones are the mistakes that people make.
test_bugs.py demands that every one is caught, and says by which check.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """`old` in the source of the function `where` becomes `new`.

    story : why training still seems to work.
    source : "published" or "classic".
    tensor : the first tensor, in the order of computation, that is wrong in a two-layer model: what locate.py should name.
    mistake : the kind of mistake that fits (npgpt/diagnose.py), or None where no kind does.
    """

    name: str
    where: str
    old: str
    new: str
    story: str
    source: str
    tensor: str
    mistake: str | None = None

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """Inside, the function runs the changed code, whoever has imported it under whatever name; then it is right again."""
        function = self._function()
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(self.old) != 1:
            raise ValueError(f"bug {self.name}: {self.old!r} stands {source.count(self.old)} times in {self.where}, not once")
        namespace = dict(function.__globals__)
        exec(compile(source.replace(self.old, self.new), f"<bug {self.name}>", "exec"), namespace)
        changed = inspect.unwrap(namespace[function.__name__])
        kept = function.__code__, function.__defaults__
        function.__code__, function.__defaults__ = changed.__code__, changed.__defaults__
        self._clear_cache()
        try:
            yield
        finally:
            function.__code__, function.__defaults__ = kept
            self._clear_cache()

    def _target(self):
        module, _, rest = self.where.partition(":")
        target = importlib.import_module(module)
        for part in rest.split("."):
            target = getattr(target, part)
        return target

    def _function(self):
        return inspect.unwrap(self._target())

    def _clear_cache(self) -> None:
        if hasattr(self._target(), "cache_clear"):
            self._target().cache_clear()


CATALOGUE = {
    bug.name: bug
    for bug in (
        Bug(
            "attention_dk_not_transposed",
            "npgpt.ops.attention:attention_backward",
            "dk = dscores.swapaxes(-1, -2) @ scaled_q",
            "dk = dscores @ scaled_q",
            "dK has the right shape and size; the keys learn from the wrong positions, and the values make up for it.",
            "published",
            tensor="gradient of blocks.1.k",
            mistake="transpose",
        ),
        Bug(
            "layer_norm_mean_term_dropped",
            "npgpt.ops.layer_norm:layer_norm_backward",
            "    dx -= through_mean\n",
            "",
            "The missing term is a constant along the row; the next LayerNorm up the stream ignores constants.",
            "classic",
            tensor="gradient of blocks.1.resid_post",
            mistake="missing term",
        ),
        Bug(
            "adamw_no_bias_correction_of_v",
            "npgpt.optim:AdamW.step",
            "root_correction = math.sqrt(1 - b2**self.steps)",
            "root_correction = 1.0",
            "The first steps are up to thirty times too long; after a thousand steps nobody can tell.",
            "classic",
            tensor="weights after step 1",
            mistake="factor",
        ),
    )
}
