"""Files under fire: see damage.py for what has to happen; and what that harness itself would notice. (The damages that once
brought out something else have tests of their own, beside those of their format.)"""

import json
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from . import damage
from .conftest import PROFILE

COUNT = damage.COUNT if PROFILE == "nightly" else 60


@pytest.fixture(scope="module")
def table() -> dict:
    """What happened to every kind of file, in a process without this one's libraries and threads."""
    seed = random.randrange(2**32) if PROFILE == "nightly" else 0
    command = [sys.executable, "-m", "parity_tests.damage", "--json", "--count", str(COUNT), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", damage.KINDS)
def test_a_damaged_file_is_refused_by_name_or_read_as_what_it_is(table, kind):
    """Every traceback of another kind, every hang, every array of a size that a header lies about, and every changed number in
    a file that has a hash."""
    found = table[kind]
    assert "error" not in found, found["error"]
    assert found["refused"] + found["equal"] + found["as it says"] == COUNT


def number_file(read, says=None) -> damage.Kind:
    """A kind of file for the tests below: a text that holds 12."""

    def make(folder: Path) -> Path:
        (folder / "number").write_text("12")
        return folder / "number"

    return damage.Kind(make, read, damage.lying_json, says)


def content_of(folder: Path) -> bytes:
    return (folder / "number").read_bytes()


def refuse(folder: Path, error: type[Exception] = ValueError, name: str = "number") -> None:
    if content_of(folder) != b"12":
        raise error(f"{folder / name} is damaged")


def wait(folder: Path) -> None:
    while content_of(folder) != b"12":
        pass


def grow(folder: Path) -> int:
    return len(bytes(damage.ROOM + 100_000)) if content_of(folder) != b"12" else 0


def grow_beyond_python(folder: Path) -> None:
    """As a library does that is not Python, whose memory tracemalloc does not see."""
    import mmap

    if content_of(folder) != b"12":
        mmap.mmap(-1, damage.NATIVE_ROOM + (1 << 20), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (number_file(refuse), None),
        (number_file(content_of, content_of), None),
        (number_file(lambda folder: b"12"), None),
        (number_file(content_of), "read as something else than it was"),
        (number_file(content_of, lambda folder: b"12"), "read as something else than it was"),
        (number_file(lambda folder: refuse(folder, KeyError)), "is no error that names"),
        (number_file(lambda folder: refuse(folder, name="nothing")), "is no error that names"),
        (number_file(grow, grow), "bytes of memory for a file of"),
        (number_file(grow_beyond_python), "Cannot allocate memory"),
        (number_file(wait), "the process ended with -14"),
    ],
    ids=["refused", "as it says", "equal", "other", "other than it says", "traceback", "no name", "memory", "native", "hang"],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_harness_notices(monkeypatch, kind, fault):
    monkeypatch.setitem(damage.KINDS, "number", kind)
    monkeypatch.setattr(damage, "SECONDS", 0.3)
    with warnings.catch_warnings():  # fork, from Python 3.12 on
        warnings.simplefilter("ignore", DeprecationWarning)
        found = damage.fire_apart("number", 10, seed=0)
    assert ("error" not in found) if fault is None else fault in found["error"], found


def test_every_damage_changes_the_content_and_comes_again_from_its_seed():
    kind, content = number_file(content_of), json.dumps([*range(200)]).encode()
    first, again = ([*damage.damages(kind, content, 200, seed=3)] for _ in range(2))
    assert first == again and {name for name, _ in first} == {*damage.DAMAGES, "sizes"}
    assert all(damaged != content for _, damaged in first) and len({damaged for _, damaged in first}) > 180


def test_the_walk_through_a_gguf_header_ends_where_the_header_does(tmp_path):
    """Its sizes are what the damages are about: were one left out, nothing would lie there."""
    gguf = pytest.importorskip("gguf")
    content = damage.KINDS["gguf"].make(tmp_path).read_bytes()
    place, width = damage.gguf_sizes(content)[-1]
    last = gguf.GGUFReader(tmp_path / "model.gguf").tensors[-1].field
    assert place + width == last.offset + sum(part.nbytes for part in last.parts)
    assert int.from_bytes(content[place : place + width], "little") == last.parts[-1][0]
