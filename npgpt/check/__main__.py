"""Are the backwards in my file right?

    python -m npgpt.check layers.py             a table, then a report on each wrong one
    python -m npgpt.check layers.py --watch     again whenever the file is saved; Ctrl-C ends it

Finds the pairs of a forward and a backward by their names (f and f_backward, f_forward and f_backward, f_fwd and f_bwd,
forward_f and backward_f, f and f_grad, forward and backward) and grades each as npgpt.check_backward does. The inputs come from
a function cases() in the file, which returns {"f": (x, weight)}, or are drawn from the shapes that the forward says: in its
docstring, as in "x (B, C), weight (O, C), ids (B,)", in a comment behind a parameter, or in an annotation.

Exit status: 1 where a backward is wrong, 2 where none could be graded or the file cannot be imported, else 0.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from .files import check_pairs

SECONDS = 0.2  # between two looks at the file


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m npgpt.check", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", metavar="FILE.py", type=Path)
    parser.add_argument("--watch", action="store_true", help="grade again whenever the file is saved")
    parser.add_argument("--only", metavar="NAME", help="grade the pair whose forward or backward is called so")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs and cotangents (default: 0)")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, got {options.seed}")
    try:
        if options.watch:
            return watch(options.file, options.only, options.seed)
        report = check_pairs(options.file, only=options.only, seed=options.seed)
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(report)
    return report.exit_code


def watch(path: Path, only: str | None, seed: int) -> int:
    """Grades in a new process each time, which remembers nothing of the file or of what it imports."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    command = [sys.executable, "-m", "npgpt.check", str(path), f"--seed={seed}", *([f"--only={only}"] if only else [])]
    last = None
    try:
        while True:
            saved = when_saved(path)
            if saved not in (None, last):
                last = saved
                print(f"---- {path.name}, {time.strftime('%H:%M:%S')}", flush=True)
                subprocess.run(command, start_new_session=True)  # Ctrl-C comes here alone, and ends both
                print("---- waiting for the next save; Ctrl-C ends", flush=True)
            time.sleep(SECONDS)
    except KeyboardInterrupt:
        return 0


def when_saved(path: Path) -> tuple[int, int] | None:
    """Time and size; None where it is not there, as for a moment while some editors save."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


if __name__ == "__main__":
    sys.exit(main())
