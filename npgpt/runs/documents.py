"""A document and its arrays in one safetensors file: what checkpoints and recordings are written as.

The file's metadata has one entry, a JSON object with the format's version and a SHA-256 of everything in the file. Loading runs
no code. json, hashlib and safetensors are imported where they are used, so that `import npgpt` stays as light as NumPy.
"""

import os
from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
from numpy import ndarray as Array

from .files import write_atomically


def write_document(path: str | PathLike, key: str, document: Mapping, tensors: Mapping[str, Array]) -> None:
    """Writes the document, which holds a "version" and whatever else JSON can say, under `key`, and the tensors: a temporary
    file beside `path`, flushed to disk, then renamed. Raises OSError where it cannot."""
    import json

    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    document = {**document, "sha256": digest(document, tensors)}
    # One entry only: safetensors writes several in no fixed order, and the same content should give the same bytes.
    write_atomically(path, save(tensors, metadata={key: json.dumps(document)}))


def digest(document: Mapping, tensors: Mapping[str, Array]) -> str:
    """SHA-256 of the document without its own hash, and of every tensor with its name, dtype and shape. It tells a changed
    file, not an attacker: whoever can change the file can also change the hash."""
    import hashlib
    import json

    sha = hashlib.sha256(json.dumps({k: v for k, v in document.items() if k != "sha256"}, sort_keys=True).encode())
    for name in sorted(tensors):
        sha.update(f"{name} {tensors[name].dtype.str} {tensors[name].shape} ".encode())
        sha.update(tensors[name].tobytes())
    return sha.hexdigest()


def read_document(path: str | PathLike, key: str, readable: Sequence[int], what: str) -> tuple[dict, dict[str, Array]]:
    """The document under `key` and the tensors, checked.

    readable : the versions that the caller reads, the newest last. what : the kind of file, for the messages.
    Raises FileNotFoundError; ValueError naming the file where it is truncated or changed, no `what`, or of another version.
    """
    import json

    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"no {what} at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, TypeError, AttributeError) as error:  # the latter two: a dtype that NumPy does not have
        raise ValueError(f"{path} is truncated or no safetensors file: {error}") from None
    if key not in metadata:
        raise ValueError(f"{path} is not a {what} of this format: its metadata {sorted(metadata)} do not hold {key!r}")
    try:
        document = json.loads(metadata[key])
        version = document["version"]
    except (TypeError, ValueError, KeyError, RecursionError):
        raise ValueError(f"{path} is not a {what} of this format: {key!r} holds no version") from None
    if version not in readable:
        newer = isinstance(version, int) and version > readable[-1]
        advice = "it was written by a newer version of this project" if newer else "it cannot be read any more"
        reads = " to ".join(str(version) for version in dict.fromkeys((readable[0], readable[-1])))
        raise ValueError(f"{path} is of format {version!r}, this version reads {reads}: {advice}")
    if document.get("sha256") != digest(document, tensors):
        raise ValueError(f"{path} was changed after it was written, or is damaged: its content does not have its SHA-256")
    return document, tensors
