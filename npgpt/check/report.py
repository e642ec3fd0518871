"""What was found about the pairs of a file: a table, and the full reports of the wrong ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .verdict import Verdict
from .wording import LIKELY

WORDS = ("right", "WRONG", "not written", "not graded")


class Graded(NamedTuple):
    """What was found about one pair."""

    name: str  # the backward's
    verdict: Verdict | None  # None where it could not be graded
    remark: str = ""  # why not; or what a reader should know about the verdict
    drawn: bool = False  # its inputs come from the signature

    @property
    def word(self) -> str:
        if self.verdict is None:
            return "not graded"
        return "right" if self.verdict else "WRONG" if self.verdict.unwritten is None else "not written"

    @property
    def notes(self) -> list[str]:
        """The remark, and how far the checks reached where all of them passed."""
        lines = self.verdict.checks[-1].message.splitlines() if self.verdict else []
        return [each for each in (self.remark, *(line for line in lines if line.startswith("Note: "))) if each]

    def __str__(self) -> str:
        """The full report."""
        if self.verdict is None:
            return f"{self.name} could not be graded: {self.remark}"
        drawn = ["the inputs were drawn from what the forward says; cases() may give others"] if self.drawn else []
        return "\n".join([str(self.verdict), *(f"  ({note})" for note in [*self.notes, *drawn])])


@dataclass(frozen=True, repr=False)
class Report:
    """What `check_pairs` found: true where every pair that could be graded is right, and there was one; `print` it."""

    pairs: tuple[Graded, ...]

    @property
    def exit_code(self) -> int:
        """1 where one is wrong, 2 where none could be graded, else 0."""
        verdicts = [each.verdict for each in self.pairs if each.verdict is not None]
        return 2 if not verdicts else int(not all(verdicts))

    def __bool__(self) -> bool:
        return self.exit_code == 0

    def __str__(self) -> str:
        counts = [(sum(each.word == word for each in self.pairs), word.lower()) for word in WORDS]
        total = ", ".join(f"{count} {word}" for count, word in counts if count)
        return "\n\n".join([table(self.pairs), total, *(str(each) for each in self.pairs if each.word == "WRONG")])

    __repr__ = __str__


def table(pairs: Sequence[Graded]) -> str:
    """A line for each pair: its name, the verdict, the worst element, the likely mistake; and whatever else is to be said."""
    rows = [("name", "verdict", "worst gradient", "likely mistake"), *map(row, pairs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{text:{width}}" for text, width in zip(each, widths, strict=True)).rstrip() for each in rows)


def row(each: Graded) -> tuple[str, str, str, str]:
    worst = each.verdict.worst if each.verdict is not None else None
    place = f"{worst.place} {worst.error:.1e}" if worst is not None and worst.place else ""
    mistake = [likely(each.verdict)] if each.verdict is not None and each.word == "WRONG" else []
    return each.name, each.word, place, "; ".join([*mistake, *each.notes])


def likely(verdict: Verdict) -> str:
    """The likely mistake; where none is named, the first line of what the failed check says."""
    failed = next(check for check in verdict.checks if not check.passed)
    _, found, mistake = failed.message.partition(LIKELY)
    return (mistake if found else f"{failed.name}: {failed.message}").splitlines()[0].rstrip(".")
