"""The grader's answer: one record for each check, and the report that they make when printed."""

from dataclasses import dataclass
from typing import NamedTuple

from .diagnose import Mistake


class Worst(NamedTuple):
    """The element of all gradients that is furthest from the true one."""

    place: str = ""  # "dweight[0, 2]"; nothing where no gradient was measured
    error: float = 0.0  # as a part of its gradient's size


class Check(NamedTuple):
    name: str
    passed: bool
    message: str
    worst: Worst = Worst()


class Stopped(Exception):
    """No further check is possible; carries the failed one."""

    def __init__(self, name: str, message: str, unwritten: str | None = None):
        super().__init__(message)
        self.check, self.unwritten = Check(name, False, message), unwritten


@dataclass(frozen=True, repr=False)
class Verdict:
    """What `check_backward` found: true where every check passed; `print` it for the report."""

    name: str  # of the backward
    checks: tuple[Check, ...]  # in the order in which they ran; a failed one may make the later ones impossible
    mistake: Mistake | None = None  # what the first wrong gradient looks like
    unwritten: str | None = None  # the message of the NotImplementedError that stands where the backward should

    @property
    def ok(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def first_failure(self) -> str | None:
        """The name of the first check that failed."""
        return next((check.name for check in self.checks if not check.passed), None)

    @property
    def worst(self) -> Worst:
        """Its place is "" where a check that failed left nothing to measure."""
        return next((check.worst for check in self.checks if check.name == "derivative"), Worst())

    def assert_right(self) -> None:
        """For a test: raises AssertionError where a check failed. Its message is the report."""
        __tracebackhide__ = True  # pytest shows the test's line as the last one
        if not self.ok:
            raise AssertionError(str(self))

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.unwritten is not None:
            return f"{self.name} is not written yet: {self.unwritten or 'your turn'}"
        lines = [f"{self.name} is {'right' if self.ok else 'wrong'}."]
        for check in self.checks:
            first, *rest = check.message.split("\n")
            lines += [f"  {'ok   ' if check.passed else 'WRONG'}  {check.name:22} {first}", *(" " * 32 + line for line in rest)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ..pictures.shown import verdict_html

        return verdict_html(self)
