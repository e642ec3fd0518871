"""The line shown does compute it: each statement that inspector/source.py names is run again, alone, with what its function
held just before, and must give the traced numbers. The lines above and below it must not.

The places are found on a small copy of the model; they are judged here on the model itself, by a tracer of the test's own.
"""

import copy
import dataclasses
import functools
import itertools
import linecache
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig, make_model
from npgpt.inspector import source
from npgpt.inspector.source import Place, Sources, Watcher, functions_of, sources_of
from npgpt.ops.attention import TILE
from npgpt.ops.cross_entropy import cross_entropy, cross_entropy_backward

ROOT = Path(source.__file__).parents[2]

CONFIGS = {
    "gpt of the article": (GPTConfig.article(), 12),
    "gpt": (GPTConfig(11, 2, 2, 6, 9, position="learned", qkv_bias=True, tie_weights=True, head_bias=False, dropout=0.1), 7),
    "gpt, sinusoidal, tied, of 3 blocks": (GPTConfig(11, 3, 1, 5, 9, tie_weights=True, ffn_hidden=7), 6),
    "gpt, long": (GPTConfig(80, 1, 2, 6, 80, ffn_hidden=0), TILE + 4),
    "lstm": (LSTMConfig(11, 2, 3, 4, 12), 7),
    "lstm, tied": (LSTMConfig(11, 1, 3, 3, 12, tie_weights=True, head_bias=False), 7),
    "mamba": (MambaConfig(11, 2, 4, 12), 7),
    "mamba, other options": (MambaConfig(11, 1, 4, 12, conv_bias=False, tie_weights=False, head_bias=True, expand=1.5), 7),
    "llama": (LlamaConfig(11, 2, 4, 16, 12, n_kv_head=2), 7),
    "llama, other options": (
        LlamaConfig(11, 1, 2, 8, 12, qkv_bias=True, tie_weights=False, rope_scaling=(8.0, 1.0, 4.0, 6)),
        7,
    ),
}
sources = functools.cache(sources_of)
kinds = pytest.mark.parametrize("config, T", CONFIGS.values(), ids=CONFIGS.keys())


def model_of(config):
    """With noise on every weight: a bias of 0 would hide whether it was added. Seed 5."""
    model = make_model(dataclasses.replace(config, dropout=0.0) if config.dropout else config, seed=5, dtype="float64")
    rng = np.random.default_rng(5)
    for tensor in model.tensors.values():
        tensor.data += 0.3 * rng.standard_normal(tensor.shape)
    return model


def texts(config, T):
    rng = np.random.default_rng(6)
    return rng.integers(config.vocab_size, size=(2, 2, T))


# --------------------------------------------------------------------------------------- a statement, run again where it stands


def telling(array: np.ndarray) -> set[float]:
    """The numbers, without those that every line makes."""
    return set(array[np.isfinite(array)].ravel().tolist()) - {0.0, 1.0, -1.0}


def arrays_in(value) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value] if value.dtype.kind == "f" else []
    return [array for part in value for array in arrays_in(part)] if isinstance(value, (tuple, list)) else []


class Rerun:
    """The forward and backward of a model, in which every statement of `places` is run again, alone, each time that its turn
    comes and the same callers wait for it: `results[place]` has the arrays that it left, and the numbers that were there
    before.
    """

    def __init__(self, config, T: int, places: set[Place]):
        self.model = model_of(config)
        self.results: dict[Place, list[tuple[list[np.ndarray], set[float]]]] = {place: [] for place in places}
        self.places: dict[tuple[str, int], list[Place]] = {}
        for place in places:
            self.places.setdefault((str(ROOT / place.file), place.line), []).append(place)
        self.parameters = {id(self.model.store.data), id(self.model.buffers.data)}
        self.values, self.gradients = {}, {}
        ids, targets = texts(config, T)
        sys.settrace(self.on_call)
        try:
            if any(place.via and place.via[-1].file == "npgpt/models/__init__.py" for place in places):
                make_model(self.model.config, dtype="float64")  # for what is made with the model: the table of sines
            logits, cache = self.model.forward(ids, lambda name, array: self.values.update({name: array.copy()}))
            dlogits = cross_entropy_backward(1.0, cross_entropy(logits, targets)[1])
            self.model.backward(dlogits, cache, lambda name, array: self.gradients.update({name: array.copy()}))
        finally:
            sys.settrace(None)
        self.gradients |= self.model.gradients()

    def on_call(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(str(ROOT / "npgpt")):
            return None

        def on_line(frame, event, arg):
            if event == "line":
                for place in self.places.get((frame.f_code.co_filename, frame.f_lineno), ()):
                    function = f"{place.file}:{frame.f_code.co_qualname}"
                    if place.function == function and waiting(frame, place):
                        self.run_again(place, frame)
            return on_line

        return on_line

    def run_again(self, place: Place, frame) -> None:
        inside = arrays_in(list(frame.f_locals.values()))
        held = [array for array in inside if id(owner(array)) not in self.parameters]
        before = set().union(*map(telling, held))
        names = {name: list(value) if isinstance(value, list) else value for name, value in frame.f_locals.items()}
        if "self" in names:
            names["self"] = copy.copy(names["self"])
        shown = []
        if "note" in names:
            names["note"] = lambda name, array: shown.append(array)
        kept = [(array, array.copy()) for array in [*inside, self.model.store.grad]]
        self.model.zero_grad()
        space = frame.f_globals | names
        try:
            if place.text.startswith("return "):
                space["returned"] = eval(place.text.removeprefix("return "), space)
            else:
                exec(place.text, space)
            left = arrays_in([value for name, value in space.items() if name not in frame.f_globals])
            as_they_were = {id(array): content for array, content in kept}
            made = [a.copy() for a in left if id(a) not in as_they_were or not np.array_equal(a, as_they_were[id(a)])]
            added = [parameter.grad.copy() for parameter in self.model.parameters() if parameter.grad.any()]
            self.results[place].append((made + shown + added, before))
        except (SyntaxError, NameError):
            pass  # a part of a statement, or one with its body elsewhere: nothing that a shifted place could name
        finally:
            for array, content in kept:
                if not np.array_equal(array, content, equal_nan=True):
                    array[...] = content


def owner(array):
    while array.base is not None:
        array = array.base
    return array


def waiting(frame, place: Place) -> bool:
    """Whether the callers are those of the place."""
    lines = []
    while (frame := frame.f_back) is not None and frame.f_code.co_filename.startswith(str(ROOT / "npgpt")):
        lines.append((Path(frame.f_code.co_filename).relative_to(ROOT).as_posix(), frame.f_lineno))
    return lines == [(call.file, call.line) for call in place.via]


def computes(rerun: Rerun, place: Place | None, wanted: np.ndarray) -> bool:
    """Whether the place and its `also` leave the wanted numbers, and each of them some that nobody held before."""
    if place is None:
        return False
    wanted_numbers, left = telling(wanted), set()
    for each in (place, *place.also):
        own = [(set().union(*map(telling, arrays)) & wanted_numbers, before) for arrays, before in rerun.results[alone(each)]]
        if not any(numbers - before for numbers, before in own):
            return False
        left |= set().union(*(numbers for numbers, _ in own))
    return wanted_numbers <= left


def adds_up(rerun: Rerun, place: Place, wanted: np.ndarray) -> bool:
    """Whether the arrays that the place and its `also` leave add up to the gradient of a parameter that is used twice."""
    runs = ([a for arrays, _ in rerun.results[alone(each)] for a in arrays] for each in (place, *place.also))
    parts = [[array for array in arrays if array.shape == wanted.shape] for arrays in runs]
    return any(np.allclose(sum(some), wanted, rtol=0, atol=1e-13) for some in itertools.product(*parts))  # sums of order 1


def alone(place: Place) -> Place:
    return dataclasses.replace(place, also=())


def shifted(place: Place, by: int) -> Place:
    """The same, a line too high or too low."""
    line = place.line + by
    text = linecache.getline(str(ROOT / place.file), line).strip()
    return dataclasses.replace(place, line=line, text=text)


def of_all(found: dict[str, Sources]) -> list[tuple[str, str, Place]]:
    pairs = ((name, what, getattr(of, what)) for name, of in found.items() for what in ("value", "gradient"))
    return [(name, what, place) for name, what, place in pairs if place is not None]


@kinds
def test_the_line_shown_does_compute_it_and_its_neighbours_do_not(config, T):
    """Would catch: a line that only moves what another one made, an allocation, a caller, another block's or layer's line, the
    += of layers.py; and a check that is satisfied by anything."""
    every = of_all(sources(config, T))
    places = {place for *_, place in every}
    real = {alone(each) for place in places for each in (place, *place.also)}
    wrong = {alone(shifted(place, by)) for place in places for by in (-1, 1)}
    rerun = Rerun(config, T, real | wrong)
    for name, what, place in every:
        wanted = (rerun.values if what == "value" else rerun.gradients)[name]
        twice = name in rerun.model.store.parameters and bool(place.also)
        judge = adds_up if twice else computes
        assert judge(rerun, place, wanted), (name, what, place)
        for neighbour in (shifted(place, -1), shifted(place, 1)):
            if alone(neighbour) not in place.also:  # the sines are made on one line, the cosines on the next
                assert not judge(rerun, neighbour, wanted), (name, what, neighbour)


@kinds
def test_every_traced_name_and_every_parameter_has_its_lines(config, T):
    """Would catch a name that the small copy does not have, and one that the backward does not show."""
    model = model_of(config)
    ids, targets = texts(config, T)
    found = sources(config, T)
    parameters = [name for name, _ in model.named_parameters()]
    assert sorted(found) == sorted([*model.trace(ids, targets), *parameters])
    assert {name for name, of in found.items() if of.gradient is None} == set()
    assert {name for name, of in found.items() if of.value is None} == set(parameters)


def test_what_a_learner_is_shown():
    """The lines that one would point at, for what was hardest to get right."""
    gpt, tied, lstm, mamba, llama = (
        sources(*CONFIGS[name]) for name in ("gpt of the article", "gpt", "lstm", "mamba", "llama")
    )
    texts = {
        "y = weight * xhat + bias": gpt["blocks.0.ln1"].value,
        "y = x @ weight.T": gpt["blocks.0.q"].value,
        "scores = q @ k.mT / math.sqrt(D)": gpt["blocks.0.scores"].value,
        "return x + table[:T], PositionCache(table.shape[0])": gpt["blocks.0.resid_pre"].value,
        "x = x + attn_out": gpt["blocks.0.resid_mid"].value,
        "dweight = rows_dy.T @ rows_x": gpt["head.weight"].gradient,
        "np.add.at(dweight, ids, dy)": gpt["token_embedding.weight"].gradient,
        "c = f * c_prev + i * g": lstm["blocks.0.c"].value,
        "dh = dy[:, t] + dh_next": lstm["blocks.0.h"].gradient,
        "self.dA_log += dA * cache.scan.A": mamba["blocks.0.mixer.A_log"].gradient,
        "h[:, t] = decay[:, t] * h_prev + np.einsum(\"bn,be->bne\", B[:, t], intake[:, t])": mamba["blocks.0.state"].value,
        "z = dropped @ v": llama["blocks.0.z"].value,
        "dk = dk.sum(axis=2)": llama["blocks.0.rot_k"].gradient,
    }  # fmt: skip
    assert list(texts) == [place.text for place in texts.values()]
    assert lstm["blocks.1.h"].gradient.also == ()  # though dh_next is 0 at the last position, and dh what the head sends back
    assert [call.text for call in gpt["blocks.0.ln1"].value.via[:2]] == [
        "return layer_norm(x, self.weight, self.bias)",
        "normed, ln1_cache = self.ln1.forward(x)",
    ]
    assert [place.text for place in tied["token_embedding.weight"].gradient.also] == ["dweight = rows_dy.T @ rows_x"]


TOY = """
def passed_on(x, note):
    shown(2 * x, note)

def shown(y, note):
    note("y", y)

def filled(x, note):
    z = np.empty(x.shape)
    for t in range(len(x)):
        z[t] = 2 * x[t]
    note("y", z[::-1])

def put_together(x, note):
    first = 2 * x
    second = 3 * x
    y = np.concatenate([
        first,
        second,
    ])
    note("y", y)

def adds_nothing_at_first(x, note):
    steps, last = [], np.zeros(2)
    for t in range(len(x)):
        y = x[t] + last
        last = 2 * x[t]
        steps.append(y)
    note("y", np.stack(steps))

def from_x(x, note):
    x = 3 * x
    adds_nothing_at_first(x, note)
"""


@pytest.mark.parametrize(
    "function, text, callers, also",
    [
        ("passed_on", "shown(2 * x, note)", [], []),
        ("filled", "z[t] = 2 * x[t]", [], []),
        ("put_together", "y = np.concatenate([\n    first,\n    second,\n])", [], ["first = 2 * x", "second = 3 * x"]),
        ("from_x", "y = x[t] + last", ["adds_nothing_at_first(x, note)"], []),
    ],
)
def test_the_rules_on_functions_of_a_few_lines(monkeypatch, function, text, callers, also):
    """An argument of the call; an allocation whose memory holds the very numbers; two halves; a sum that at first adds 0."""
    filename = str(ROOT / "npgpt" / "toy.py")
    monkeypatch.setitem(linecache.cache, filename, (len(TOY), None, TOY.splitlines(keepends=True), filename))
    space = {"__name__": "npgpt.toy", "np": np}
    exec(compile(TOY, filename, "exec"), space)
    x = np.random.default_rng(0).standard_normal((5, 2))
    if function == "filled":
        space["np"] = types.SimpleNamespace(empty=lambda shape: 2 * x[::-1])
    watcher = Watcher()
    for _ in range(2):
        watcher = Watcher(watcher.computing)
        with watcher:
            space[function](x, watcher.note_value)
    place = watcher.values["y"]
    assert (place.text, [call.text for call in place.via], [each.text for each in place.also]) == (text, callers, also)
    assert TOY.splitlines()[place.line - 1].strip() == text.splitlines()[0]


@pytest.mark.parametrize("n_layer", [1, 2, 4, 6])
def test_a_deep_models_lines_are_those_that_its_own_run_shows(n_layer, monkeypatch):
    """Would catch a middle block that gets the last one's lines: only the last block's ffn_out hears from ln_f."""
    config = GPTConfig(11, n_layer, 1, 4, 9)
    from_a_copy = sources_of(config)
    monkeypatch.setattr(source, "BLOCKS", n_layer)
    assert from_a_copy == sources_of(config)


def test_the_functions_hold_their_lines():
    places = [place for *_, place in of_all(sources(*CONFIGS["mamba"]))]
    functions = functions_of([*places, None])
    for each in (each for place in places for each in (place, *place.also)):
        function = functions[each.function]
        assert function["file"] == each.file
        assert function["lines"][0].lstrip().startswith(f"def {function['name'].rpartition('.')[2]}(")
        assert each.text.splitlines()[0] in function["lines"][each.line - function["first"]]


def test_an_earlier_trace_function_is_back_whatever_happens(monkeypatch):
    """A debugger's, or coverage's."""

    def earlier(frame, event, arg):
        return None

    before = sys.gettrace()
    try:
        sys.settrace(earlier)
        sources_of(GPTConfig.article())
        assert sys.gettrace() is earlier
        monkeypatch.setattr("npgpt.models.gpt.GPTModel.backward", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sources_of(GPTConfig.article())
        assert sys.gettrace() is earlier
    finally:
        sys.settrace(before)


def test_an_installed_package_finds_its_own_files(tmp_path):
    """Would catch a path that only the repository has."""
    shutil.copytree(ROOT / "npgpt", tmp_path / "site" / "npgpt", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import npgpt; from npgpt.inspector.source import functions_of, sources_of\n"
        "place = sources_of(npgpt.GPTConfig.article())['blocks.0.ln1'].value\n"
        "print(npgpt.__file__, place.file, functions_of([place])[place.function]['lines'][-2].strip(), sep='|')"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, check=True)
    file, place, line = answer.stdout.strip().split("|")
    assert Path(file).parent.parent == tmp_path / "site" and place == "npgpt/ops/layer_norm.py"
    assert line.startswith("y = weight * xhat + bias")
