"""What a run writes down: one JSON object a line (JSONL), a line a step. Readable with any tool, and while the run goes on."""

import json
from collections.abc import Iterator, Mapping
from os import PathLike

from .files import naming, write_atomically


def read_metrics(path: str | PathLike) -> list[dict]:
    """The records of a file, in order. Raises as `records_of` does."""
    return list(records_of(path))


def records_of(path: str | PathLike) -> Iterator[dict]:
    """The records of a file one by one: those of a long run need more memory than its model. A last line without an end, as a
    killed process leaves it, is left out.

    Raises OSError where the file cannot be read; ValueError naming it where another line is no record, or one of a step that is
    not above that of the line before.
    """
    before = 0  # the step of the line before
    with open(path, "rb") as file, naming(path):
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
                fault = fault_of(record, before)
            except (ValueError, RecursionError):  # no UTF-8 is a ValueError too
                fault = "is no JSON object"
            if not line.endswith(b"\n"):
                break
            if fault:
                raise ValueError(f"{path}, line {number} {fault}: {line.decode(errors='replace')!r:.60}")
            before = record["step"]
            yield record


def fault_of(record: object, before: int) -> str | None:
    """What is wrong with a line of the metrics, if something is. before : the step of the line before it."""
    if not isinstance(record, dict):
        return "is no JSON object"
    for name, value in record.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, int) and abs(value) >= 2**63):
            return f"has {value!r} for {name}, which is no number or too large a one"
    missing = [name for name in ("step", "loss") if name not in record]
    if missing:
        return f"has no {missing[0]}"
    if not (isinstance(record["step"], int) and record["step"] > before):
        return f"is of step {record['step']}, after step {before}"
    return None


def line_of(record: Mapping) -> str:
    return json.dumps(record) + "\n"


class MetricsFile:
    """A JSONL file that grows by a line a step: a record of numbers, `step` and `loss` among them.

    after : the run goes on after this step: the records up to it stay, later ones (of steps that were made and not saved) go.
        0 starts the file anew.
    A `with` block closes it. Raises OSError where the file cannot be written; ValueError where it cannot be gone on with.
    """

    def __init__(self, path: str | PathLike, after: int = 0):
        kept = (line_of(record) for record in records_of(path) if record["step"] <= after) if after else ()
        write_atomically(path, "".join(kept).encode())
        self.path = path
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def write(self, record: Mapping) -> None:
        """Adds a line, at once for every reader of the file."""
        with naming(self.path):
            self._file.write(line_of(record))
            self._file.flush()

    def close(self) -> None:
        """Ends the file; a second time does nothing."""
        with naming(self.path):
            self._file.close()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
