"""Files under fire: random damages to everything that is read from disk.

python -m parity_tests.damage                          2,000 damages to each kind of file; a table
python -m parity_tests.damage metrics --count 60 --seed 1

A damaged file is refused by a ValueError or an OSError that names it (or its folder, where two files do not fit each other), or
it is read as what it was. Some formats hold no hash of their content (the folders of Hugging Face, .gguf files, metrics): there
another number is another number, and what was read has to be what an independent reader finds in the damaged file. Nothing
else may come out: no other error, no wait of more than SECONDS, no more memory than 4 times the file and ROOM.

Each kind of file has a process of its own (where there is fork), which the system stops where it wants more memory than that,
and an alarm where it takes too long. Damage n of a kind depends on the seed and n alone.
"""

import argparse
import dataclasses
import faulthandler
import gc
import itertools
import json
import os
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import npgpt
import npgpt.pretrained
from npgpt.inspector.recording import Recording, read_recording
from npgpt.models import layout_of
from npgpt.pretrained import gguf as our_gguf
from npgpt.pretrained import gpt2, llama, there
from npgpt.runs.metrics import MetricsFile, read_metrics

from .gguf_files import SMALL, write_gguf

SECONDS = 10
ROOM = 2 << 20  # bytes beside 4 times the file: what Python takes for the code that reads
NATIVE_ROOM = 64 << 20  # the same for all of the process, libraries that are not Python's included
COUNT = 2000

# ------------------------------------------------------------------------------------------------------------------- damages


def flipped_bits(rng, content: bytes) -> bytes:
    damaged = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 9)):
        damaged[place] ^= 1 << rng.integers(8)
    return bytes(damaged)


def truncated(rng, content: bytes) -> bytes:
    return content[: rng.integers(len(content))]


def appended(rng, content: bytes) -> bytes:
    length = int(rng.integers(1, 4097))
    return content + (rng.bytes(length), bytes(length), content[:length], content[-length:])[rng.integers(4)]


def swapped_blocks(rng, content: bytes) -> bytes:
    """Two blocks change places, or one is written over the other, or holds zeros."""
    length = int(rng.integers(1, min(4096, len(content) // 2) + 1))
    first = int(rng.integers(len(content) - 2 * length + 1))
    second = int(rng.integers(first + length, len(content) - length + 1))
    a, b = content[first : first + length], content[second : second + length]
    a, b = ((b, a), (b, b), (a, a), (bytes(length), b))[rng.integers(4)]
    return content[:first] + a + content[first + length : second] + b + content[second + length :]


NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
STRING = re.compile(rb'"[^"\\]*"')
LIES = (0, 1, -1, 2, 7, 255, 2**16, 10**6, 10**9, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 10**30)
WORDS = (b"null", b"true", b"false", b'"7"', b'""', b"[]", b"{}", b"[[[]]]", b"0.5", b"-0.0", b"1e308", b"1e999", b"NaN")
WORDS += (b"-Infinity", b"9" * 5000, b"[" * 3000, b"")


def lying_json(rng, content: bytes) -> bytes:
    """One number of a JSON text, or one string where there is no number, becomes another, or something else."""
    numbers = list(NUMBER.finditer(content)) or list(STRING.finditer(content))
    chosen = numbers[rng.integers(len(numbers))]
    old, new = chosen.group(), WORDS[rng.integers(len(WORDS))]
    kind = rng.integers(4)
    if kind == 1:
        new = str(LIES[rng.integers(len(LIES))]).encode()
    elif kind == 2:
        new = old + b"0" * int(rng.integers(1, 10))
    elif kind == 3 and not old.startswith(b'"'):
        new = str((float(old) if b"." in old or b"e" in old else int(old)) + (1, -1)[rng.integers(2)]).encode()
    return content[: chosen.start()] + new + content[chosen.end() :]


def lying_safetensors(rng, content: bytes) -> bytes:
    """The length of the header, or a number in the header, whose length is then put right."""
    length = int.from_bytes(content[:8], "little")
    if rng.integers(3) == 0:
        other = (length + int(rng.integers(-9, 10)), len(content), len(content) - 8, *LIES)
        return (other[rng.integers(len(other))] % 2**64).to_bytes(8, "little") + content[8:]
    header = lying_json(rng, content[8 : 8 + length])
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def lying_tokens(rng, content: bytes) -> bytes:
    """A number in the header of a file of ids, whose length is then put right."""
    return lying_json(rng, content[:4096]).rstrip()[:4096].ljust(4096) + content[4096:]


def lying_gguf(rng, content: bytes) -> bytes:
    """A count, a length, a type or an offset."""
    places = gguf_sizes(content)
    place, width = places[rng.integers(len(places))]
    old = int.from_bytes(content[place : place + width], "little")
    other = (*LIES, old + 1, old - 1, 2 * old, len(content), *range(13), *range(13))
    new = other[rng.integers(len(other))] % 256**width
    return content[:place] + new.to_bytes(width, "little") + content[place + width :]


def gguf_sizes(content: bytes) -> list[tuple[int, int]]:
    """(place, width) of every number in a .gguf file's header that is no value: counts, lengths, types, dimensions, offsets.
    Written after the format's description."""
    places = [(4, 4), (8, 8), (16, 8)]  # version, tensors, fields
    at = 24

    def number(width: int) -> int:
        nonlocal at
        places.append((at, width))
        at += width
        return int.from_bytes(content[at - width : at], "little")

    def value(type_: int) -> None:
        nonlocal at
        widths = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
        if type_ == 8:
            length = number(8)
            at += length
        elif type_ == 9:
            item = number(4)
            for _ in range(number(8)):
                value(item)
        else:
            at += widths[type_]

    tensors, fields = struct.unpack("<QQ", content[8:24])
    for _ in range(fields):
        value(8)
        value(number(4))
    for _ in range(tensors):
        value(8)
        for _ in range(number(4)):
            number(8)
        number(4), number(8)
    return places


DAMAGES = {"bits": flipped_bits, "truncation": truncated, "appended": appended, "blocks": swapped_blocks}

# --------------------------------------------------------------------------------------------------------------------- kinds


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    make(folder) -> the path that is damaged, after everything is written. read(folder) -> what is read, comparable with ==.
    lie(rng, content) -> the content with a size or a number that lies. says(folder) -> what an independent reader finds there,
    for formats without a hash; None: whatever is not refused has to be what it was.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    lie: Callable
    says: Callable[[Path], object] | None = None
    room: int = ROOM  # bytes of memory beside 4 times the file
    one_of_several: bool = False  # an error may name the folder: which of its files is wrong cannot be known


TEXT = "ali ata bak. ela eve gel. oya ip atla. nil okula koş. " * 40
GPT2 = npgpt.GPTConfig(40, 2, 2, 12, 10, position="learned", qkv_bias=True, tie_weights=True, head_bias=False)
LLAMA = npgpt.LlamaConfig(288, 2, 4, 16, 10, n_kv_head=2, ffn_hidden=24, rope_scaling=(8.0, 1.0, 4.0, 64))


def same(arrays) -> dict:
    """name -> array as something that can be compared with ==, bit for bit."""
    return {name: (array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}


def make_checkpoint(folder: Path) -> Path:
    tokenizer = npgpt.CharTokenizer.from_text(TEXT)
    model = npgpt.GPTModel(npgpt.GPTConfig(tokenizer.vocab_size, 1, 2, 12, 8, position="learned", dropout=0.1))
    optimizer = npgpt.AdamW(npgpt.parameter_groups(model, 0.1))
    windows = npgpt.RandomWindows(np.array(tokenizer.encode(TEXT)), 8, 4)
    npgpt.train(model, windows, steps=2, optimizer=optimizer)
    run = {"windows": windows.state(), "best": 2.5, "options": {"n_embd": 12, "learning_rate": 1e-3}}
    npgpt.save_checkpoint(model, folder / "last.safetensors", tokenizer=tokenizer, optimizer=optimizer, run=run)
    return folder / "last.safetensors"


def read_checkpoint(folder: Path) -> object:
    checkpoint = npgpt.read_checkpoint(folder / "last.safetensors")
    npgpt.load_checkpoint(folder / "last.safetensors")
    moments = {f"{name} {i}": array for name, pair in checkpoint.moments.items() for i, array in enumerate(pair)}
    return same(checkpoint.weights), same(moments), checkpoint.config, checkpoint.step, checkpoint.run, checkpoint.tokenizer()


def make_recording(folder: Path) -> Path:
    model = npgpt.GPTModel(npgpt.GPTConfig.article())
    S, ids, numbers = 3, np.arange(6), np.random.default_rng(0)
    weights = {name: numbers.normal(size=(S, *w.shape)).astype(np.float32) for name, w in model.state_dict().items()}
    values = {"embed": numbers.normal(size=(S, 6, 3)), "logits": numbers.normal(size=(S, 6, 32))}
    Recording(
        name="run",
        backend="numpy",
        dtype="float32",
        seed=0,
        config=model.config,
        tokens=list(npgpt.letters),
        counts=np.arange(32),
        floors={1: 2.5, 2: 1.5},
        ids=ids,
        targets=ids + 1,
        losses=np.arange(2.0),
        steps=np.arange(S),
        **{name: np.arange(float(S)) for name in ("probe_loss", "digits", "norm", "rate")},
        prompt="ali",
        writes=["a", "b", "c"],
        **dict.fromkeys(("weights", "batch_gradients", "updates", "probe_gradients"), weights),
        **dict.fromkeys(("values", "gradients"), values),
    ).save(folder / "run.recording")
    return folder / "run.recording"


def read_a_recording(folder: Path) -> object:
    recording = vars(read_recording(folder / "run.recording"))
    return {
        name: same({"": value}) if isinstance(value, np.ndarray) else same(value) if is_arrays(value) else value
        for name, value in recording.items()
    }


def is_arrays(value) -> bool:
    return isinstance(value, dict) and all(isinstance(array, np.ndarray) for array in value.values())


def make_tokens(folder: Path) -> Path:
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    npgpt.encode_file(folder / "text.txt", npgpt.CharTokenizer.from_text(TEXT))
    return next(folder.glob("*.tokens"))


def read_tokens(folder: Path) -> object:
    """The ids, and what is on the disk afterwards: a damaged file is made again."""
    ids = npgpt.encode_file(folder / "text.txt", npgpt.CharTokenizer.from_text(TEXT))
    return same({"ids": ids}), [path.read_bytes() for path in folder.glob("*.tokens")]


def a_tokenizer(kind: str) -> npgpt.Tokenizer:
    if kind == "byte pairs":
        return npgpt.BPETokenizer.from_text(TEXT, 300)
    return {"characters": npgpt.CharTokenizer, "words": npgpt.WordTokenizer}[kind].from_text(TEXT)


def tokenizer_file(kind: str) -> Kind:
    def make(folder: Path) -> Path:
        a_tokenizer(kind).save(folder / "tokenizer")
        return folder / "tokenizer"

    def read(folder: Path) -> object:
        tokenizer = npgpt.Tokenizer.load(folder / "tokenizer")
        return tokenizer.to_dict(), tokenizer.encode(TEXT), tokenizer.vocab_size

    return Kind(make, read, lying_json)


STEPS = 40


def make_metrics(folder: Path) -> Path:
    with MetricsFile(folder / "metrics.jsonl") as metrics:
        for step in range(1, STEPS + 1):
            record = {"step": step, "loss": 3 / step, "grad_norm": 1.5, "lr": 1e-3, "tokens_per_second": 12345}
            metrics.write(record | ({"val_loss": 3.1 / step} if step % 10 == 0 else {}))
    return folder / "metrics.jsonl"


def go_on_after_the_metrics(folder: Path) -> object:
    """As a run does that goes on after the last step, and draws its picture at the end."""
    from npgpt.runs.run import losses_picture

    shutil.copy(folder / "metrics.jsonl", folder / "copy.jsonl")
    with MetricsFile(folder / "metrics.jsonl", after=10**40):
        records = read_metrics(folder / "metrics.jsonl")
    shutil.copy(folder / "copy.jsonl", folder / "metrics.jsonl")
    if records:
        losses_picture(records, 32)
    return json.dumps(records)  # nan is not itself


def metrics_say(folder: Path) -> object:
    *lines, _ = (folder / "metrics.jsonl").read_bytes().split(b"\n")  # what comes after the last line's end is left out
    return json.dumps([json.loads(line) for line in lines])


# Their fields -> ours, for the configs below.
GPT2_FIELDS = {"vocab_size": "vocab_size", "n_positions": "seq_len", "n_embd": "n_embd", "n_layer": "n_layer"}
GPT2_FIELDS |= {"n_head": "n_head", "initializer_range": "init_std", "tie_word_embeddings": "tie_weights"}
LLAMA_FIELDS = {"vocab_size": "vocab_size", "hidden_size": "n_embd", "intermediate_size": "ffn_size", "head_dim": "head_width"}
LLAMA_FIELDS |= {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "num_key_value_heads": "kv_heads"}
LLAMA_FIELDS |= {"max_position_embeddings": "seq_len", "rms_norm_eps": "norm_eps", "tie_word_embeddings": "tie_weights"}
LLAMAS_ROOM = ROOM + npgpt.pretrained.ROOM  # of a Llama's angles: how long its context is, no weight's shape says
FAMILIES = {"gpt2": (gpt2, GPT2_FIELDS, GPT2), "llama": (llama, LLAMA_FIELDS, LLAMA)}
# What transformers takes for a field whose name is damaged, where the weights' shapes do not tell the two apart.
ABSENT = {"n_head": 12, "initializer_range": 0.02, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 1e4}
ABSENT |= {"num_attention_heads": 32, "num_key_value_heads": LLAMA.n_head, "head_dim": LLAMA.n_embd // LLAMA.n_head}


def pretrained_folder(name: str, damaged: str, lie: Callable) -> Kind:
    """A folder of transformers, of which one file is damaged."""
    family, fields, config = FAMILIES[name]

    def make(folder: Path) -> Path:
        tokenizer = a_tokenizer("byte pairs") if damaged == "tokenizer.json" else None
        npgpt.save_pretrained(npgpt.make_model(config), folder, tokenizer)
        if damaged == "model.safetensors.index.json":
            split(folder)
        return folder / damaged

    def read(folder: Path) -> object:
        model = npgpt.load_pretrained(folder)
        options = model.config.to_dict()
        own = {theirs: getattr(model.config, ours) for theirs, ours in fields.items()}
        if name == "llama":
            own |= {"rope_theta": options["rope_theta"], **dict(zip(llama.LLAMA3, options["rope_scaling"] or (), strict=False))}
        tokenizer = tokenizer_says(npgpt.pretrained_tokenizer(folder).tokenizer) if damaged == "tokenizer.json" else None
        return floats(own), same(model.state_dict()), tokenizer

    def says(folder: Path) -> object:
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        saved = json.loads((folder / "config.json").read_bytes())
        saved = ABSENT | {"tie_word_embeddings": name == "gpt2"} | saved
        own = {theirs: saved[theirs] for theirs in fields}
        if name == "llama":
            rope = ABSENT | saved.get("rope_parameters", {})
            stretched = llama.LLAMA3 if rope.get("rope_type", rope.get("type")) == "llama3" else ()
            own |= {part: rope[part] for part in ("rope_theta", *stretched)}
        arrays = {}
        for path in folder.glob("*.safetensors"):
            arrays |= load(path.read_bytes())
        names = {ours: there(family, ours) for ours in layout_of(config)}
        weights = {ours: arrays[theirs].T if turned else arrays[theirs] for ours, (theirs, turned) in names.items()}
        weights = same({ours: weight.astype(np.float32) for ours, weight in weights.items()})
        tokenizer = tokenizer_says(Tokenizer.from_file(str(folder / damaged))) if damaged == "tokenizer.json" else None
        return floats(own), weights, tokenizer

    return Kind(make, read, lie, says, LLAMAS_ROOM if name == "llama" else ROOM, one_of_several=True)


def floats(fields: dict) -> dict:
    """A config makes floats of what JSON may say as an integer."""
    return {name: float(value) for name, value in fields.items()}


def older_tokenizer(damaged: str, lie: Callable) -> Kind:
    """The two files that GPT-2's tokenizer came in, of which one is damaged."""

    def make(folder: Path) -> Path:
        a_tokenizer("byte pairs").tokenizer.model.save(str(folder))
        return folder / damaged

    def read(folder: Path) -> object:
        tokenizer = npgpt.pretrained_tokenizer(folder)
        return tokenizer.tokenizer.get_vocab(), tokenizer.encode(TEXT), tokenizer.decode(tokenizer.encode(TEXT))

    def says(folder: Path) -> object:
        import tokenizers as hf

        tokenizer = hf.Tokenizer(hf.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
        tokenizer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = hf.decoders.ByteLevel()
        ids = tokenizer.encode(TEXT).ids
        return tokenizer.get_vocab(), ids, tokenizer.decode(ids)

    return Kind(make, read, lie, says, one_of_several=True)


def tokenizer_says(tokenizer) -> object:
    tokenizer.no_truncation(), tokenizer.no_padding()
    return tokenizer.to_str(), tokenizer.encode(TEXT, add_special_tokens=False).ids


def split(folder: Path) -> None:
    """The folder's weights in two files, and the index that says which holds which."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    places = {name: f"model-{1 + i % 2:05}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: array for name, array in tensors.items() if places[name] == file}, folder / file)
    (folder / "model.safetensors").unlink()
    size = sum(array.nbytes for array in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}))


def make_gguf(folder: Path) -> Path:
    weights = npgpt.make_model(SMALL).state_dict()
    write_gguf(folder / "model.gguf", SMALL, weights, {"blocks.*.ffn.up.weight": "Q8_0", "blocks.*.mha.Wv.weight": "F16"})
    return folder / "model.gguf"


GGUF_FIELDS = {"block_count": "n_layer", "context_length": "seq_len", "embedding_length": "n_embd"}
GGUF_FIELDS |= {"feed_forward_length": "ffn_hidden", "attention.head_count": "n_head"}


def read_gguf(folder: Path) -> object:
    model = npgpt.load_pretrained(folder / "model.gguf")
    tokenizer = npgpt.pretrained_tokenizer(folder / "model.gguf")
    options = model.config.to_dict()
    weights = {name: array for name, array in model.state_dict().items() if ".Wq." not in name and ".Wk." not in name}
    return {name: options[ours] for name, ours in GGUF_FIELDS.items()}, same(weights), tokenizer.tokenizer.get_vocab()


def gguf_says(folder: Path) -> object:
    """ggml's own reader. (The rows of Wq and Wk are put into another order, which test_pretrained_llama.py knows.)"""
    import gguf

    reader = gguf.GGUFReader(folder / "model.gguf")
    fields = {name: reader.fields[f"llama.{name}"].contents() for name in GGUF_FIELDS}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    config = npgpt.LlamaConfig(300, fields["block_count"], 1, 2, 8, tie_weights="output.weight" not in tensors)
    weights = {}
    for name in layout_of(config):
        tensor = tensors[there(our_gguf, name)[0]]
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        weights[name] = numbers.astype(np.float32).reshape([int(n) for n in reversed(tensor.shape)])
    weights = same({name: array for name, array in weights.items() if ".Wq." not in name and ".Wk." not in name})
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    return fields, weights, {token: id for id, token in enumerate(tokens)}


KINDS = {
    "checkpoint": Kind(make_checkpoint, read_checkpoint, lying_safetensors),
    "recording": Kind(make_recording, read_a_recording, lying_safetensors),
    "tokens": Kind(make_tokens, read_tokens, lying_tokens),
    "tokenizer: characters": tokenizer_file("characters"),
    "tokenizer: words": tokenizer_file("words"),
    "tokenizer: byte pairs": tokenizer_file("byte pairs"),
    "metrics": Kind(make_metrics, go_on_after_the_metrics, lying_json, metrics_say),
    "gpt2: config.json": pretrained_folder("gpt2", "config.json", lying_json),
    "llama: config.json": pretrained_folder("llama", "config.json", lying_json),
    "gpt2: model.safetensors": pretrained_folder("gpt2", "model.safetensors", lying_safetensors),
    "gpt2: index.json": pretrained_folder("gpt2", "model.safetensors.index.json", lying_json),
    "llama: tokenizer.json": pretrained_folder("llama", "tokenizer.json", lying_json),
    "gpt2: vocab.json": older_tokenizer("vocab.json", lying_json),
    "gpt2: merges.txt": older_tokenizer("merges.txt", swapped_blocks),
    "gguf": Kind(make_gguf, read_gguf, lying_gguf, gguf_says, LLAMAS_ROOM),
}

# ----------------------------------------------------------------------------------------------------------------- the harness


def damages(kind: Kind, content: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` damaged contents, each with the name of its damage. None of them is the content itself."""
    methods = DAMAGES | {"sizes": kind.lie}
    for number, name in zip(range(count), itertools.cycle(methods), strict=False):
        rng = np.random.default_rng([seed, number])
        damaged = content
        while damaged == content:
            damaged = methods[name](rng, content)
        yield name, damaged


def fire(name: str, count: int, seed: int) -> dict:
    """Damages one kind of file, and says what happened: how often it was refused, read as what it was, and read as what the
    damaged file says; the file's bytes, the most memory, and the longest time.

    Raises AssertionError for anything else.
    """
    kind = KINDS[name]
    outcomes = dict.fromkeys(("refused", "equal", "as it says"), 0)
    most, longest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        path = kind.make(folder)
        content = path.read_bytes()
        original = kind.read(folder)
        limit_memory(4 * len(content) + NATIVE_ROOM)
        gc.freeze()  # so that what is collected below is what a damage has left
        tracemalloc.start()
        for number, (damage, damaged) in enumerate(damages(kind, content, count, seed)):
            path.write_bytes(damaged)
            what = f"{name}, damage {number} ({damage}) of seed {seed}"
            gc.collect()
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            alarm(SECONDS)
            start = time.perf_counter()
            try:
                found, error = kind.read(folder), None
            except Exception as raised:
                found, error = None, raised
            seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1] - held
            alarm(0)
            if error is not None:
                known = isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError)
                if not known or str(folder if kind.one_of_several else path) not in str(error):
                    raise AssertionError(f"{what}: {error!r} is no error that names {path}") from error
                outcomes["refused"] += 1
            elif found == original:
                outcomes["equal"] += 1
            else:
                if kind.says is None or found != kind.says(folder):
                    raise AssertionError(f"{what}: read as something else than it was")
                outcomes["as it says"] += 1
            if peak > 4 * len(damaged) + kind.room:
                raise AssertionError(f"{what}: {peak:,} bytes of memory for a file of {len(damaged):,}")
            most, longest = max(most, peak), max(longest, seconds)
    return outcomes | {"bytes": len(content), "peak": most, "seconds": round(longest, 3)}


def alarm(seconds: float) -> None:
    """Ends this process after so many seconds, saying where it was; 0: not any more."""
    if hasattr(signal, "setitimer"):
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def limit_memory(more: int) -> None:
    """From here on the process gets no more than that. Only where /proc says what it has."""
    status = Path("/proc/self/status")
    if status.exists():
        import resource

        has = 1024 * int(re.search(r"VmData:\s+(\d+)", status.read_text())[1])
        resource.setrlimit(resource.RLIMIT_DATA, (has + more, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def fire_apart(name: str, count: int, seed: int) -> dict:
    """`fire` in a process of its own; {"error": what fell} where something did."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = fire(name, count, seed)
        except BaseException:
            found = {"error": traceback.format_exc()}
        os.write(writing, json.dumps(found).encode()[:60000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(said) if said else {"error": f"{name}, {count} damages of seed {seed}: the process ended with {status}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"any of: {', '.join(KINDS)}; none: all")
    parser.add_argument("--count", type=int, default=COUNT, help="damages to each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="instead of the table")
    args = parser.parse_args()
    table = {}
    if not args.json:
        print("kind of file              bytes   refused   equal   as it says   peak memory   longest")
    for name in args.kinds or KINDS:
        table[name] = found = (fire_apart if hasattr(os, "fork") else fire)(name, args.count, args.seed)
        if args.json:
            continue
        if "error" in found:
            print(f"{name:24}{found['error']}", flush=True)
            continue
        print(
            f"{name:24}{found['bytes']:7,}{found['refused']:10,}{found['equal']:8,}{found['as it says']:13,}"
            f"{found['peak'] / 1e6:11.2f} MB{found['seconds']:8.3f} s",
            flush=True,
        )
    if args.json:
        print(json.dumps(table))
    sys.exit(any("error" in found for found in table.values()))


if __name__ == "__main__":
    main()
