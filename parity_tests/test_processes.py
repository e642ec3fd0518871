"""Several processes and the same files: what many write at once, what the dead leave behind, what the living still write."""

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

import npgpt
from npgpt.runs.files import atomic_file, only_writer, remove_leftovers
from npgpt.runs.metrics import read_metrics

from .conftest import PROFILE
from .test_runs import FILES, TRAINING, gone_on, new_run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, flock and SIGKILL")

ROUNDS = 100 if PROFILE == "nightly" else 3
PROCESSES = 8

# Eight processes encode one text into one folder, all at the same moment; half of them with other `errors`, whose ids differ
# and belong into the same file. Starting Python anew for each would take minutes, so one process forks them.
ENCODED_AT_ONCE = """
import os, sys, traceback
import npgpt, npgpt.text.data
folder, rounds, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
npgpt.text.data.CHUNK = 300  # many pieces: the writing takes its time
path = os.path.join(folder, "text.txt")
text = "ali ata bak. ela eve gel! oya ip atla? " * 200
with open(path, "w") as file:
    file.write(text)
tokenizer = npgpt.LetterTokenizer()
expected = {errors: tokenizer.encode(text, errors) for errors in ("ignore", "replace")}

def encode(number, gate):
    errors = ("ignore", "replace")[number % 2]
    gate.read()  # returns when the last writing end is closed: for all at once
    ids = npgpt.encode_file(path, tokenizer, cache_dir=os.path.join(folder, "cache"), errors=errors)
    assert ids.tolist() == expected[errors], f"{len(ids)} ids for errors={errors}"

for round in range(rounds):
    reading, writing = os.pipe()
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            os.close(writing)
            try:
                encode(number, os.fdopen(reading))
            except BaseException:
                os.write(2, traceback.format_exc().encode())
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(reading)
    os.close(writing)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    left = os.listdir(os.path.join(folder, "cache"))
    assert not failed and len(left) == 1, f"round {round}: {len(failed)} of {processes} failed; left: {left}"
    os.unlink(os.path.join(folder, "cache", left[0]))
"""


def test_eight_processes_encode_one_text_at_once_and_each_has_its_own_ids(tmp_path):
    """One that deletes the others' temporary files, or maps what another has written meanwhile, fails here."""
    command = [sys.executable, "-c", ENCODED_AT_ONCE, str(tmp_path), str(ROUNDS), str(PROCESSES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@contextmanager
def forked(work):
    """Within its block a child runs that has come to where work(tell) calls tell(); the block is given what kills it."""
    heard, telling = os.pipe()
    with warnings.catch_warnings():  # from Python 3.12 on: torch's threads are not in the child, which does without them
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work(lambda: os.write(telling, b"x"))
        finally:
            os._exit(1)
    os.close(telling)
    alive = True

    def kill() -> None:
        nonlocal alive
        if alive:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            alive = False

    try:
        assert os.read(heard, 1) == b"x"
        yield kill
    finally:
        kill()
        os.close(heard)


@pytest.fixture
def never_waiting():
    """Who waits for a lock that nobody will let go fails here, in place of waiting for ever."""

    def waits(number, frame):
        raise AssertionError("it waits for a lock")

    before = signal.signal(signal.SIGALRM, waits)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("never_waiting")
def test_leftovers_of_the_living_stay_and_those_of_the_dead_go(tmp_path):
    path = tmp_path / "a"

    def write(tell):
        with atomic_file(path) as file:
            file.write(b"half")
            tell()
            signal.pause()

    with forked(write) as kill:
        (leftover,) = os.listdir(tmp_path)
        remove_leftovers(path)
        assert os.listdir(tmp_path) == [leftover]
        kill()
        remove_leftovers(path)
        assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("never_waiting")
def test_until_it_is_renamed_a_temporary_file_is_no_leftover(tmp_path, monkeypatch):
    """Were its lock gone a moment before the rename, another process could delete it in that moment."""
    path, plain = tmp_path / "a", os.replace

    def replace(*paths):
        remove_leftovers(path)
        plain(*paths)

    monkeypatch.setattr(os, "replace", replace)
    with atomic_file(path) as file:
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["a"] and path.read_bytes() == b"whole"


def at_the_first_temporary_file(monkeypatch, happens: Callable[[str], None]) -> list[str]:
    """`happens` is called with the name of the first one that is made. The list gets the names of all."""
    import tempfile

    plain, made = tempfile.mkstemp, []

    def mkstemp(**options):
        descriptor, name = plain(**options)
        if not made:
            happens(name)
        made.append(name)
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    return made


@pytest.mark.usefixtures("never_waiting")
def test_a_temporary_file_that_is_deleted_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """Another process may take a file that has just been made for a leftover, and delete it."""
    made = at_the_first_temporary_file(monkeypatch, os.unlink)
    with atomic_file(tmp_path / "a") as file:
        file.write(b"whole")
    assert len(made) == 2 and os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.usefixtures("never_waiting")
def test_a_temporary_file_that_another_process_is_about_to_delete_is_made_again(tmp_path, monkeypatch):
    """Its lock is waited for: who holds it has taken the file for a leftover. Whoever writes into it all the same loses it."""
    import fcntl

    def held_by_another(name: str) -> None:
        other = os.open(name, os.O_RDONLY)  # opened anew, as by another process: its lock is its own
        fcntl.flock(other, fcntl.LOCK_EX)
        threading.Timer(0.1, lambda: (os.unlink(name), os.close(other))).start()

    made = at_the_first_temporary_file(monkeypatch, held_by_another)
    with atomic_file(tmp_path / "a") as file:
        file.write(b"whole")
        assert len(made) == 2
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.usefixtures("never_waiting")
def test_where_there_are_no_locks_files_are_written_and_nothing_is_taken_for_a_leftover(tmp_path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / ".a.x.tmp").write_bytes(b"perhaps still written")
    with only_writer(tmp_path), only_writer(tmp_path), atomic_file(tmp_path / "a") as file:
        file.write(b"whole")
    remove_leftovers(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == [".a.x.tmp", "a"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("never_waiting")
def test_a_folder_that_a_run_writes_is_refused_to_others_until_the_run_ends_or_dies(tmp_path):
    """The second run changes nothing; after SIGKILL the next one goes on at once; and a run that ended hinders nobody."""

    def train(tell):
        run = new_run(npgpt, tmp_path)
        run.train(steps=99, **TRAINING, save_every=1, on_step=lambda record: record["step"] == 3 and (tell(), signal.pause()))

    with forked(train) as kill:
        before = contents(tmp_path)
        for second in (new_run(npgpt, tmp_path), gone_on(npgpt, tmp_path)):
            with pytest.raises(BlockingIOError, match="another run is writing to this folder") as stop:
                second.train(steps=9, **TRAINING)
            assert stop.value.filename == str(tmp_path)
        assert contents(tmp_path) == before
        kill()
    run = gone_on(npgpt, tmp_path)
    assert run.step == 2  # the third step was not saved yet
    assert run.train(steps=5, **TRAINING) and gone_on(npgpt, tmp_path).train(steps=9, **TRAINING)
    assert [record["step"] for record in read_metrics(run.metrics_path)] == list(range(1, 10))
    assert sorted(contents(tmp_path)) == FILES
