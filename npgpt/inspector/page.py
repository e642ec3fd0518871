"""Recordings -> the data of the page -> one HTML file that needs no network.

`page_data` gathers what the page shows, thinned until the file has at most max_mb megabytes; `write_page` puts it into the
frame (page/page.html) together with the style and the scripts. Arrays go as base64 of little-endian float32.
"""

import base64
import html
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from ..pictures.spaces import principal_directions, three_dimensions
from ..pictures.style import token_colour
from ..runs.files import write_atomically
from .difference import differences, first_parting
from .insights import asked, insights
from .labels import TURKISH, translator
from .recording import Recording, rms

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("numbers.js", "arithmetic.js", "state.js", "drawing.js", "views", "main.js")  # in this order; a folder by name
MEGABYTE = 10**6  # bytes
MOST_LETTERS = 300  # that are drawn in space

Say = Callable[..., str]

# ------------------------------------------------------------------------------------------------------------------- the file


def write_page(path: str | PathLike, data: Mapping) -> None:
    """Writes the data of `page_data` as one HTML file, whole or not at all. Raises OSError where it cannot."""
    write_atomically(path, framed(json_text(data), data["lang"], data["run"]["name"]))


def framed(data: str, lang: str, title: str) -> bytes:
    """The page's frame with the data, the style and the scripts in their places."""
    parts = {
        "lang": lang,
        "title": html.escape(title),
        "style": (FOLDER / "style.css").read_text(encoding="utf-8"),
        "data": data,
        "script": "\n".join(path.read_text(encoding="utf-8") for path in script_paths()),
    }
    frame = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"<!-- (\w+) -->", lambda found: parts[found[1]], frame).encode()


def script_paths() -> list[Path]:
    """The scripts in the order in which they stand in the page."""
    paths = [FOLDER / name for name in SCRIPTS]
    return [script for path in paths for script in (sorted(path.glob("*.js")) if path.is_dir() else [path])]


def json_text(data: Mapping) -> str:
    """The data as JSON that may stand inside <script>: no "</script>" and no "<!--" in a text can end it.

    JSON has no word for infinity, which formulas have among their numbers: 1e999 is read as it. Raises ValueError for another
    nan or infinity that is not in an array.
    """
    parts = []
    for name, value in data.items():
        text = json.dumps(value, ensure_ascii=False, allow_nan=name == "formulas", separators=(",", ":"))
        parts.append(json.dumps(name) + ":" + text.replace('["num",Infinity]', '["num",1e999]'))
    return "{" + ",".join(parts).replace("<", "\\u003c") + "}"


def array(numbers: Array | Sequence[float]) -> dict:
    """An array as the page reads it: its shape, and its numbers as base64 of little-endian float32."""
    with np.errstate(over="ignore"):  # a double that float32 does not hold becomes inf
        single = np.ascontiguousarray(numbers, dtype="<f4")
    return {"shape": list(single.shape), "data": base64.b64encode(single.tobytes()).decode()}


def base64_bytes(numbers: int) -> int:
    """How many bytes so many numbers take in the page."""
    return 4 * math.ceil(4 * numbers / 3)


# ------------------------------------------------------------------------------------------------------------------- the data


def page_data(
    recording: Recording,
    other: Recording | None = None,
    *,
    mistakes: Iterable[Mapping] = (),
    formulas: Mapping | None = None,
    sources: Mapping | None = None,
    functions: Mapping | None = None,
    lang: str = "en",
    max_mb: float = 2.0,
) -> dict:
    """All that the page shows, ready for JSON.

    other : a second run to compare with. mistakes : of dicts, with NumPy arrays among their values. formulas, sources,
    functions : what a number is made of, and which lines make it; as the page reads them.
    max_mb : how many megabytes (10^6 bytes) the file may have. Where that is not enough, weights are kept cell by cell at fewer
        steps, then the trace is, then the largest tensors are left out; the page says what.

    Raises ValueError where even that does not fit, and what `first_parting` and `translator` raise.
    """
    say = translator(lang)
    recordings = [recording] if other is None else [recording, other]
    runs = [run_data(each, say) for each in recordings]
    data = {
        "lang": lang,
        "labels": TURKISH if lang == "tr" else {},
        "run": runs[0],
        "other": None if other is None else runs[1],
        "comparison": None if other is None else comparison(recording, other),
        "mistakes": [
            {name: array(value) if isinstance(value, np.ndarray) else value for name, value in mistake.items()}
            for mistake in mistakes
        ],
        "formulas": formulas or {},
        "sources": sources or {},
        "functions": functions or {},
    }
    fixed = len(json_text(data).encode()) + len(framed("", lang, recording.name))
    kept = chosen(recordings, max_mb, fixed, say)
    for run, each in zip(runs, recordings, strict=True):
        run["trace"] = part_data(each, TRACE, kept.trace, kept)
        run["weights"] = part_data(each, WEIGHTS, kept.weights, kept)
        run["left_out"] += left_out(each, kept, max_mb, say)
    return data


def run_data(recording: Recording, say: Say) -> dict:
    """A run without its two large parts, the weights and the trace cell by cell."""
    names = list(recording.weights)
    groups = {"weights": recording.weights, "gradients": recording.batch_gradients, "updates": recording.updates}
    letters, not_drawn = letters_data(recording, say)
    return {
        "name": recording.name,
        "kind": recording.config.kind,
        "backend": recording.backend,
        "dtype": recording.dtype,
        "seed": recording.seed,
        "config": recording.config.to_dict(),
        "parameters": recording.parameters,
        "tokens": recording.tokens,
        "colours": [token_colour(token) for token in recording.tokens],
        "text": {"ids": recording.ids.tolist(), "targets": recording.targets.tolist()},
        "losses": array(recording.losses),
        "floors": floors_data(recording, say),
        "steps": recording.steps.tolist(),
        **{name: array(getattr(recording, name)) for name in ("probe_loss", "digits", "norm", "rate")},
        "writes": recording.writes,
        "prompt": recording.prompt,
        "rms": {"names": names} | {group: array(rms_table(arrays, names)) for group, arrays in groups.items()},
        "letters": letters,
        "insights": [insight._asdict() for insight in insights(recording, say)],
        "asked": asked(say),
        "left_out": not_drawn,
    }


def rms_table(arrays: Mapping[str, Array], names: Sequence[str]) -> Array:
    """The root mean square of each tensor at each step, (S, K)."""
    with np.errstate(all="ignore"):
        return np.stack([rms(arrays[name]) for name in names], axis=1)


def floors_data(recording: Recording, say: Say) -> list[dict]:
    """What the loss can be measured against: guessing, and the entropies of the text."""
    letters = {
        1: say("knows how often each letter comes"),
        2: say("knows the letter before (bigrams)"),
        3: say("knows the two letters before (trigrams)"),
    }
    tokens = {
        1: say("knows how often each token comes"),
        2: say("knows the token before (bigrams)"),
        3: say("knows the two tokens before (trigrams)"),
    }
    names = letters if all(len(token) == 1 for token in recording.tokens) else tokens  # as LETTERS in page/numbers.js
    guessing = {"name": say("knows nothing: ln V"), "loss": math.log(recording.config.vocab_size)}
    return [guessing, *({"name": names[n], "loss": loss} for n, loss in recording.floors.items())]


def letters_data(recording: Recording, say: Say) -> tuple[dict, list[str]]:
    """The tokens' vectors, their gradients and their updates in three dimensions, all in one basis; and what is not drawn."""
    shown = drawn_letters(recording)
    name = "token_embedding.weight"
    points, gradients, updates = (
        group[name][:, shown].astype(np.float64)  # (S, n, C)
        for group in (recording.weights, recording.batch_gradients, recording.updates)
    )
    _, n, C = points.shape
    if C <= 3:
        axes, share = [say("feature {n}", n=i) if i < C else "" for i in range(3)], 1.0
        points, gradients, updates = (three_dimensions(vectors)[0] for vectors in (points, gradients, updates))
    else:
        axes = [say("component {n}", n=i + 1) for i in range(3)]
        rows = points.reshape(-1, C)
        rows = rows[np.isfinite(rows).all(axis=1)]
        mean, directions, share = principal_directions(rows if len(rows) else np.zeros((1, C)))
        with np.errstate(all="ignore"):
            points, gradients, updates = (points - mean) @ directions.T, gradients @ directions.T, updates @ directions.T
    letters = {"shown": shown.tolist(), "axes": axes, "share": share}
    letters |= {"points": array(points), "gradients": array(gradients), "updates": array(updates)}
    V = recording.config.vocab_size
    sentence = say("{shown} of {all} tokens are drawn in space: those of the text and the most frequent", shown=n, all=V)
    return letters, [sentence] if n < V else []


def drawn_letters(recording: Recording) -> Array:
    """Which tokens are drawn in space, rising: all, or those of the probe and the most frequent, where they are too many."""
    V = recording.config.vocab_size
    if V <= MOST_LETTERS:
        return np.arange(V)
    counts = np.zeros(V) if recording.counts is None else recording.counts.astype(np.float64)
    counts[recording.ids] = counts[recording.targets] = np.inf
    return np.sort(np.argsort(-counts, kind="stable")[:MOST_LETTERS])


def comparison(a: Recording, b: Recording) -> dict:
    """Where two runs part, and how far they are apart. A difference that is infinite is None in JSON."""
    parting, table, first = first_parting(a, b), differences(a, b), None
    if parting is not None:
        first = parting._asdict() | {"difference": parting.difference if math.isfinite(parting.difference) else None}
    return {"first": first, "steps": table.steps, "tensors": table.tensors, "largest": array(table.largest)}


# --------------------------------------------------------------------------------------------------------- thinning to a size

# The two large parts: what the page calls an array -> the recording's group. Each is kept for some of the steps.
TRACE = {"values": "values", "gradients": "gradients"}
WEIGHTS = {"values": "weights", "gradients": "batch_gradients", "updates": "updates", "probe": "probe_gradients"}


class Kept(NamedTuple):
    """What is kept of the large parts: the weights and the trace at so many steps, and all tensors but some."""

    weights: int
    trace: int
    dropped: frozenset[str]


def chosen(recordings: Sequence[Recording], max_mb: float, fixed: int, say: Say) -> Kept:
    """As much as fits beside `fixed` bytes into max_mb: first the weights are kept at fewer steps, then the trace is, then the
    largest tensors are left out. Raises ValueError where without any of them it is too much."""
    by_size = sorted(((cost, name) for name, cost in costs(recordings[0]).items()), reverse=True)
    most = max(len(recording.steps) for recording in recordings)
    least = min(2, most)  # the first and the last

    def size(kept: Kept) -> int:
        parts = [
            part_bytes(each, TRACE, kept.trace, kept) + part_bytes(each, WEIGHTS, kept.weights, kept) for each in recordings
        ]
        sentences = [left_out(each, kept, max_mb, say) for each in recordings]
        return fixed + sum(parts) + len(json_text({"left_out": sentences}).encode())

    def without(count: int) -> frozenset[str]:
        return frozenset(name for _, name in by_size[:count])

    def fits(kept: Kept) -> bool:
        return size(kept) <= max_mb * MEGABYTE

    fewest = Kept(least, least, without(len(by_size)))
    if not fits(fewest):
        raise ValueError(
            f"max_mb is {max_mb:g}, but the page needs {math.ceil(size(fewest) / MEGABYTE * 100) / 100:g} MB even without the "
            f"weights and the trace: allow more, or record fewer steps"
        )
    dropped = without(
        len(by_size) - largest(lambda more: fits(Kept(least, least, without(len(by_size) - more))), 0, len(by_size))
    )
    trace = largest(lambda count: fits(Kept(least, count, dropped)), least, most)
    weights = largest(lambda count: fits(Kept(count, trace, dropped)), least, most)
    return Kept(weights, trace, dropped)


def largest(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number in low..high for which it holds, if it does for low and stops to hold once."""
    if holds(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def costs(recording: Recording) -> dict[str, int]:
    """How many numbers each tensor is in the page, at one step."""
    sizes: dict[str, int] = {}
    for part in (TRACE, WEIGHTS):
        arrays = getattr(recording, part["values"])
        sizes |= {name: len(part) * math.prod(array.shape[1:]) for name, array in arrays.items()}
    return sizes


def empty_part(recording: Recording, part: Mapping[str, str], count: int, kept: Kept) -> dict:
    """A large part at `count` steps, without its numbers."""
    arrays = getattr(recording, part["values"])
    tensors = [{"name": name, "shape": list(array.shape[1:])} for name, array in arrays.items() if name not in kept.dropped]
    places = evenly(len(recording.steps), count)
    total = sum(math.prod(tensor["shape"]) for tensor in tensors)
    return {"places": places, "tensors": tensors} | {label: {"shape": [len(places), total], "data": ""} for label in part}


def part_bytes(recording: Recording, part: Mapping[str, str], count: int, kept: Kept) -> int:
    """How many bytes `part_data` takes in the page."""
    empty = empty_part(recording, part, count, kept)
    return len(json_text(empty).encode()) + sum(base64_bytes(math.prod(empty[label]["shape"])) for label in part)


def part_data(recording: Recording, part: Mapping[str, str], count: int, kept: Kept) -> dict:
    """A large part at `count` steps: each step's tensors one after the other, (count, total)."""
    data = empty_part(recording, part, count, kept)
    for label, group in part.items():
        arrays = getattr(recording, group)
        rows = [arrays[tensor["name"]][data["places"]].reshape(len(data["places"]), -1) for tensor in data["tensors"]]
        data[label] = array(np.concatenate([np.zeros((len(data["places"]), 0)), *rows], axis=1))
    return data


def evenly(size: int, count: int) -> list[int]:
    """At most `count` of the places 0..size - 1, the first and the last among them, evenly."""
    count = min(count, size)
    return [(2 * i * (size - 1) + count - 1) // (2 * max(1, count - 1)) for i in range(count)]


def left_out(recording: Recording, kept: Kept, max_mb: float, say: Say) -> list[str]:
    """What the page does not have of this recording, in sentences."""
    S = len(recording.steps)
    sentences = []
    if kept.weights < S:
        text = "weights, gradients, updates cell by cell: at {kept} of {all} recorded steps, since the page may have {mb:g} MB"
        sentences.append(say(text, kept=kept.weights, all=S, mb=max_mb))
    if kept.trace < S:
        text = "the text's values and gradients: at {kept} of {all} recorded steps, since the page may have {mb:g} MB"
        sentences.append(say(text, kept=kept.trace, all=S, mb=max_mb))
    if kept.dropped:
        sizes = {name: array[0].size for name, array in (recording.weights | recording.values).items() if name in kept.dropped}
        names = ", ".join(f"{name} ({size:,})" for name, size in sizes.items())
        text = "left out at every step, since the page may have {mb:g} MB (name and how many numbers): {names}"
        sentences.append(say(text, mb=max_mb, names=names))
    return sentences
