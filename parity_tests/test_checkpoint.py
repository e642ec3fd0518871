"""Weights on disk: the same file for both backends, whole or not at all, and clear about what is wrong with it."""

import hashlib
import json
import os
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors import safe_open
from safetensors.numpy import save_file

import npgpt
import torchgpt
from npgpt import GPTConfig
from npgpt.runs.documents import digest, read_document, write_document

from .strategies import configs, dtypes, seeds
from .tolerances import as_numpy

BACKENDS = [npgpt, torchgpt]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example overwrites the file
@given(configs(), seeds, dtypes)
def test_either_backend_reads_what_either_wrote(tmp_path, config, seed, dtype):
    for writer in BACKENDS:
        model = writer.GPTModel(config, seed=seed, dtype=dtype)
        writer.save_checkpoint(model, tmp_path / "model.safetensors")
        for reader in BACKENDS:
            copy = reader.load_checkpoint(tmp_path / "model.safetensors", dtype=dtype, config=config)
            assert copy.config == config
            for name, value in model.state_dict().items():
                assert np.array_equal(as_numpy(value), as_numpy(copy.state_dict()[name]))
    assert os.listdir(tmp_path) == ["model.safetensors"]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    npgpt.save_checkpoint(npgpt.GPTModel(GPTConfig.article()), path)
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_truncated_file_is_refused_at_any_length(backend, checkpoint):
    content = checkpoint.read_bytes()
    for length in (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1):
        checkpoint.write_bytes(content[:length])
        with pytest.raises(ValueError, match="truncated or no safetensors file"):
            backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_of_other_origin_are_refused(backend, tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        backend.load_checkpoint(path)
    path.write_text("hello, this is a text file and no checkpoint at all")
    with pytest.raises(ValueError, match="no safetensors file"):
        backend.load_checkpoint(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of this format: its metadata"):
        backend.load_checkpoint(path)
    for document in ("{}", "[]", "3", "not json"):
        save_file({"weight": np.zeros(3)}, path, metadata={"npgpt": document})
        with pytest.raises(ValueError, match="is not a checkpoint of this format: 'npgpt' holds no version"):
            backend.load_checkpoint(path)


def rewrite(path, change, seal=False):
    """Changes a checkpoint behind its back: change(document, tensors); with `seal` the hash is made to fit again."""
    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["npgpt"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(document, tensors)
    if seal:
        document["sha256"] = npgpt.runs.documents.digest(document, tensors)
    save_file(tensors, path, metadata={"npgpt": json.dumps(document)})


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_of_another_version_is_refused(backend, checkpoint):
    for version, message in [
        (4, "is of format 4, this version reads 2 to 3: it was written by a newer version of this project"),
        (1, "is of format 1, this version reads 2 to 3: it cannot be read any more"),
        ("x", "is of format 'x', this version reads 2 to 3"),
    ]:
        rewrite(checkpoint, lambda document, tensors, version=version: document.update(version=version), seal=True)
        with pytest.raises(ValueError, match=message):
            backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_of_version_2_holds_a_gpt_and_says_no_kind(backend, checkpoint):
    before = backend.load_checkpoint(checkpoint)

    def as_version_2(document, tensors):
        assert document.pop("kind") == "gpt"
        document["version"] = 2

    rewrite(checkpoint, as_version_2, seal=True)
    after = backend.load_checkpoint(checkpoint)
    assert after.config == before.config
    for name, weight in before.state_dict().items():
        assert np.array_equal(np.asarray(weight), np.asarray(after.state_dict()[name]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_of_an_unknown_kind_is_refused(backend, checkpoint):
    rewrite(checkpoint, lambda document, tensors: document.update(kind="oracle"), seal=True)
    with pytest.raises(ValueError, match=r"the model's kind must be one of gpt.*; got 'oracle'"):
        backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        lambda document, tensors: tensors["ln_f.weight"].__setitem__(0, 1.5),
        lambda document, tensors: tensors.update(more=np.zeros(2)),
        lambda document, tensors: tensors.pop("ln_f.bias"),
        lambda document, tensors: document["config"].update(n_head=3),
        lambda document, tensors: document.update(step=7),
        lambda document, tensors: document.update(tokenizer={"kind": "letters"}),
        lambda document, tensors: document.pop("sha256"),
    ],
)
def test_a_changed_file_is_refused(checkpoint, change):
    rewrite(checkpoint, change)
    for backend in BACKENDS:
        with pytest.raises(ValueError, match="was changed after it was written, or is damaged"):
            backend.load_checkpoint(checkpoint)


def test_every_flipped_bit_is_noticed(checkpoint):
    content = checkpoint.read_bytes()
    for place in np.random.default_rng(0).integers(len(content), size=300).tolist() + list(range(64)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        checkpoint.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.safetensors "):
            npgpt.load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        lambda document, tensors: document.update(config={}),
        lambda document, tensors: document["config"].update(vocab_size=0),
        lambda document, tensors: document.pop("config"),
        lambda document, tensors: document.pop("run"),
        lambda document, tensors: tensors.update({"optimizer.m.ln_f.weight": np.zeros(3, np.float32)}),
    ],
)
def test_contents_that_make_no_sense_are_refused(checkpoint, change):
    rewrite(checkpoint, change, seal=True)
    for backend in BACKENDS:
        with pytest.raises(ValueError, match="has unusable contents"):
            backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_config_is_refused_with_the_difference(backend, checkpoint):
    with pytest.raises(ValueError, match="of another config: train_qkv is False, not True"):
        backend.load_checkpoint(checkpoint, config=GPTConfig.article(train_qkv=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_another_config_every_difference_is_said_and_of_another_kind_that(backend, checkpoint):
    other = GPTConfig(33, 2, 1, 3, 12, train_qkv=False)
    with pytest.raises(ValueError, match=r"config: vocab_size is 32, not 33, n_layer is 1, not 2, ffn_hidden is 0, not None$"):
        backend.load_checkpoint(checkpoint, config=other)
    with pytest.raises(ValueError, match=r"of another config: kind is 'gpt', not 'lstm'$"):
        backend.load_checkpoint(checkpoint, config=npgpt.LSTMConfig.article())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_alone_is_at_step_0_and_no_run_goes_on_from_it(backend, tmp_path):
    backend.save_checkpoint(backend.GPTModel(GPTConfig.article()), tmp_path / "model.safetensors")
    alone = npgpt.read_checkpoint(tmp_path / "model.safetensors")
    assert (alone.step, alone.run, alone.moments, alone.tokenizer_options) == (0, {}, {}, None)


def test_a_device_that_is_not_there_is_refused(checkpoint):
    with pytest.raises(ValueError, match="'auto' or 'cpu' for NumPy"):
        npgpt.load_checkpoint(checkpoint, "cuda")


def test_a_model_is_float32_unless_it_is_asked_otherwise(tmp_path):
    for backend in BACKENDS:
        backend.save_checkpoint(backend.GPTModel(GPTConfig.article(), dtype="float64"), tmp_path / "a")
        for options, dtype in (({}, "float32"), ({"dtype": "float64"}, "float64")):
            model = backend.load_checkpoint(tmp_path / "a", **options)
            assert {str(as_numpy(value).dtype) for value in model.state_dict().values()} == {dtype}


def test_the_hash_of_a_document_is_that_of_its_json_and_its_arrays(tmp_path):
    """Names, dtypes and shapes included; the order in which they come in does not count."""
    b, a = np.arange(6, dtype="<f4").reshape(2, 3), np.array([1], dtype="<i8")
    content = b'{"more": [1], "version": 2}' + b"a <i8 (1,) " + a.tobytes() + b"b <f4 (2, 3) " + b.tobytes()
    expected = hashlib.sha256(content).hexdigest()
    for document in ({"version": 2, "more": [1]}, {"more": [1], "sha256": "another", "version": 2}):
        for tensors in ({"a": a, "b": b}, {"b": b, "a": a}):
            assert digest(document, tensors) == expected
    write_document(tmp_path / "a", "key", {"version": 2, "more": [1]}, {"b": b.T.copy().T, "a": a})  # not in one piece
    document, tensors = read_document(tmp_path / "a", "key", (2,), "thing")
    assert document == {"version": 2, "more": [1], "sha256": expected}
    assert tensors.keys() == {"a", "b"} and np.array_equal(tensors["b"], b) and np.array_equal(tensors["a"], a)


@pytest.mark.parametrize(
    ("version", "readable", "message"),
    [
        (4, (1, 2, 5), "is of format 4, this version reads 1 to 5: it cannot be read any more$"),
        (6, (1, 2, 5), "is of format 6, this version reads 1 to 5: it was written by a newer version of this project$"),
        (3, (2,), "is of format 3, this version reads 2: it was written by a newer version of this project$"),
        ("6", (2,), "is of format '6', this version reads 2: it cannot be read any more$"),
    ],
)
def test_which_versions_are_read_is_said(tmp_path, version, readable, message):
    write_document(tmp_path / "a", "key", {"version": version}, {"a": np.zeros(1)})
    with pytest.raises(ValueError, match=message):
        read_document(tmp_path / "a", "key", readable, "thing")
    with pytest.raises(ValueError, match=r"is not a thing of this format: its metadata \['key'\] do not hold 'other'$"):
        read_document(tmp_path / "a", "other", readable, "thing")
    with pytest.raises(FileNotFoundError, match=r"^no thing at .*nothing$"):
        read_document(tmp_path / "nothing", "key", readable, "thing")


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_that_do_not_fit_the_config_are_refused(backend, checkpoint):
    rewrite(checkpoint, lambda document, tensors: tensors.pop("ln_f.weight"), seal=True)
    with pytest.raises(ValueError, match=r"missing ln_f\.weight"):
        backend.load_checkpoint(checkpoint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(backend, checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        backend.save_checkpoint(backend.GPTModel(GPTConfig.article(), seed=9), checkpoint)
    assert checkpoint.read_bytes() == before and os.listdir(checkpoint.parent) == [checkpoint.name]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_folder_is_an_os_error(backend, tmp_path):
    with pytest.raises(FileNotFoundError):
        backend.save_checkpoint(backend.GPTModel(GPTConfig.article()), tmp_path / "nowhere" / "model.safetensors")


# ------------------------------------------------------------------------------------------------------ a run that is to go on

TEXT = "ali ata bak. ela eve gel. oya ip atla. nil okula koş. " * 8
CONFIG = GPTConfig(32, 2, 2, 12, 8, tie_weights=True, position="learned", train_qkv=False)


def a_run(backend, seed, dtype="float64"):
    model = backend.GPTModel(CONFIG, seed=seed, dtype=dtype)
    optimizer = backend.AdamW(backend.parameter_groups(model, 0.1))
    return model, optimizer, npgpt.RandomWindows(np.array(npgpt.tokenize(TEXT)), 8, 4, seed)


def go_on(backend, path, dtype="float64"):
    """The run of a checkpoint, made anew on a backend."""
    checkpoint = backend.read_checkpoint(path, CONFIG)
    model, optimizer, windows = a_run(backend, seed=99, dtype=dtype)
    model.load_state_dict(checkpoint.weights)
    optimizer.set_moments(model.named_parameters(), checkpoint.moments, checkpoint.step)
    windows.set_state(checkpoint.run["windows"])
    return model, optimizer, windows


@pytest.mark.parametrize("first", BACKENDS)
@pytest.mark.parametrize("second", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_goes_on_from_its_file_on_either_backend_and_back(first, second, dtype, tmp_path):
    path = tmp_path / "run.safetensors"
    options = {"learning_rate": lambda step: 0.01 / step**0.5}
    model, optimizer, windows = a_run(first, 3, dtype)
    whole = first.train(model, windows, steps=60, optimizer=optimizer, **options)

    model, optimizer, windows = a_run(first, 3, dtype)
    losses = first.train(model, windows, steps=20, optimizer=optimizer, **options)
    for backend, writer, step in ((second, first, 20), (first, second, 40)):
        writer.save_checkpoint(
            model, path, tokenizer=npgpt.LetterTokenizer(), optimizer=optimizer, run={"windows": windows.state()}
        )
        model, optimizer, windows = go_on(backend, path, dtype)
        assert optimizer.steps == step
        losses += backend.train(model, windows, steps=step + 20, optimizer=optimizer, start=step, **options)
    if first is second:
        assert losses == whole
    else:
        assert np.abs(np.subtract(losses, whole)).max() < {"float32": 1e-3, "float64": 1e-11}[dtype]


def test_the_tokenizer_travels_with_the_model(tmp_path):
    path = tmp_path / "model.safetensors"
    tokenizer = npgpt.CharTokenizer.from_text(TEXT)
    model = npgpt.GPTModel(GPTConfig(tokenizer.vocab_size, 1, 1, 4, 4))
    for backend, each in ((npgpt, model), (torchgpt, torchgpt.from_numpy(model))):
        backend.save_checkpoint(each, path, tokenizer=tokenizer)
        assert backend.read_checkpoint(path).tokenizer() == tokenizer
        with pytest.raises(ValueError, match=r"the tokenizer \(letters\) has 32 tokens, the model's vocab_size is 17"):
            backend.save_checkpoint(each, path, tokenizer=npgpt.LetterTokenizer())
        backend.save_checkpoint(each, path)
        with pytest.raises(ValueError, match="holds no tokenizer"):
            backend.read_checkpoint(path).tokenizer()
    for options, message in [
        ({"kind": "letters"}, "has 32 tokens"),
        ({"kind": "x"}, "not a tokenizer"),
        ([], "not a tokenizer"),
    ]:
        rewrite(path, lambda document, tensors, options=options: document.update(tokenizer=options), seal=True)
        with pytest.raises(ValueError, match=message):
            npgpt.read_checkpoint(path).tokenizer()


def test_the_same_run_makes_the_same_bytes(tmp_path):
    for name in "ab":
        model, optimizer, windows = a_run(npgpt, 5)
        npgpt.train(model, windows, steps=3, optimizer=optimizer)
        npgpt.save_checkpoint(model, tmp_path / name, optimizer=optimizer, run={"windows": windows.state()})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    for name in (".a.x1.tmp", ".a.x2.tmp", ".b.x.tmp", "a", "a.tmp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".a.x3.tmp").mkdir()  # which cannot be deleted as a file can, and is no reason to fail
    npgpt.runs.files.remove_leftovers(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == [".a.x3.tmp", ".b.x.tmp", "a", "a.tmp"]


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_a_full_disk_the_previous_checkpoint_stays(backend, small_disk):
    path = small_disk / "model.safetensors"
    backend.save_checkpoint(backend.GPTModel(GPTConfig.article()), path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left"):
        backend.save_checkpoint(backend.GPTModel(GPTConfig(32, 2, 2, 32, 8)), path)
    assert path.read_bytes() == before and os.listdir(small_disk) == [path.name]


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_a_read_only_file_system_the_previous_checkpoint_stays(backend, small_disk):
    path = small_disk / "model.safetensors"
    backend.save_checkpoint(backend.GPTModel(GPTConfig.article()), path)
    before = path.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OSError, match="Read-only file system"):
        backend.save_checkpoint(backend.GPTModel(GPTConfig.article(), seed=9), path)
    assert path.read_bytes() == before and os.listdir(small_disk) == [path.name]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="a read-only folder stops everybody but root")
@pytest.mark.parametrize("backend", BACKENDS)
def test_in_a_read_only_folder_the_previous_checkpoint_stays(backend, checkpoint):
    before = checkpoint.read_bytes()
    checkpoint.parent.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            backend.save_checkpoint(backend.GPTModel(GPTConfig.article(), seed=9), checkpoint)
        assert checkpoint.read_bytes() == before and os.listdir(checkpoint.parent) == [checkpoint.name]
    finally:
        checkpoint.parent.chmod(0o755)
