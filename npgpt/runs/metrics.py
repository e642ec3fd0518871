"""What a run writes down: one JSON object a line (JSONL), a line a step. Readable with any tool, and while the run goes on."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from .files import naming, write_atomically


def read_metrics(path: str | PathLike) -> list[dict]:
    """The records of a file, in order. A last line that a killed process left unfinished is left out. Raises OSError where the
    file cannot be read, ValueError naming it where a line before the last is no JSON object."""
    records = []
    lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not line.endswith("\n"):
                raise ValueError
        except ValueError:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number} is no JSON object: {line!r:.60}") from None
        records.append(record)
    return records


class MetricsFile:
    """A JSONL file that grows by a line a step.

    after : the run goes on after this step: the records up to it stay, later ones (of steps that were made and not saved) go.
        0 starts the file anew.
    A `with` block closes it. Raises OSError where the file cannot be written; ValueError where it cannot be gone on with.
    """

    def __init__(self, path: str | PathLike, after: int = 0):
        kept = [record for record in read_metrics(path) if record.get("step", 0) <= after] if after else []
        write_atomically(path, "".join(json.dumps(record) + "\n" for record in kept).encode())
        self.path, self.records = path, kept
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def write(self, record: Mapping) -> None:
        """Adds a line, at once for every reader of the file."""
        self.records.append(dict(record))
        with naming(self.path):
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Ends the file; a second time does nothing."""
        with naming(self.path):
            self._file.close()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
