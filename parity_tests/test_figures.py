"""Every figure that the numbered examples print or draw, known from elsewhere.

A script is run as a reader runs it. The test says each of its lines again, `#` in the place of a number, with numbers of its
own: from the text and the weights, by formulas that are written here once more. A line with a number that no test asks for is
an error (`Printed.nothing_else`), so that a new one is noticed. The pictures' titles and cells are asked for in the same way.
"""

import collections
import copy
import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
import torch

import npgpt
import npgpt.influence
import torchgpt
from npgpt.pictures.statistics import numpy_array
from npgpt.pictures.tokens import token_label
from npgpt.text.harmony import START, automaton, harmony_text

from .test_printed import SENTENCES, all_windows, costs, digits, letters_of, pieces_of, run

ALPHABET = "abcçdefgğhıijklmnoöprsştuüvyz .,"
NUMBER = re.compile(r"(?<![\w.'])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")


class Printed:
    """Lines, each of which is asked for once."""

    def __init__(self, text: str):
        lines = text.replace("..", " .. ").splitlines()
        self.left = [re.sub(r"(?<=\[) +| +(?=\])", "", line) for line in lines if NUMBER.search(line) and "wrote " not in line]

    def says(self, words: str, *values, slack: float = 0.0) -> None:
        """The next line of these words holds the values, as exactly as it prints them: within half of the last digit."""
        wanted, values = " ".join(words.replace("..", " .. ").split()), np.array(values, dtype=float).tolist()
        line = next((line for line in self.left if " ".join(NUMBER.sub("#", line).split()) == wanted), None)
        assert line is not None, f"nothing left says {wanted!r}: {self.left}"
        self.left.remove(line)
        shown = NUMBER.findall(line)
        assert len(shown) == len(values), (line, values)
        for number, value in zip(shown, values, strict=True):
            assert abs(float(number.replace(",", "")) - value) <= half_of_the_last_digit(number) + slack, (line, values)

    def nothing_else(self) -> None:
        assert self.left == []


def half_of_the_last_digit(number: str) -> float:
    mantissa, _, exponent = number.partition("e")
    return digits(len(mantissa.partition(".")[2]) - int(exponent or 0))


@pytest.fixture(autouse=True)
def figures(monkeypatch, tmp_path) -> dict:
    """The pictures by their names, which no test here has the time to write; what a run leaves goes to the test's folder."""
    import common

    kept = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common.Run, "save", lambda self, picture, name: kept.update({name: picture}))
    return kept


FEW = 100  # training steps, in the place of a longer training


@pytest.fixture
def asked_steps(monkeypatch) -> list[int]:
    """How many training steps a script asks for; it gets FEW."""
    import common

    asked = []
    monkeypatch.setattr(common.Run, "steps", lambda self, usual: asked.append(usual) or FEW)
    return asked


def drawn(figure) -> Printed:
    """The words of a picture: its title, its panels' titles and axes, its legends."""
    texts = [figure.get_suptitle().replace("\n", " ")]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += [text.replace("\n", " ") for text in (axes.get_title(), axes.get_xlabel(), axes.get_ylabel())]
        texts += [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []
    return Printed("\n".join(texts))


def cells(axes) -> list[str]:
    """The numbers that are written into a panel, row by row."""
    return [text.get_text() for text in axes.texts if NUMBER.fullmatch(text.get_text())]


def assert_cells(axes, values) -> None:
    shown, values = cells(axes), np.ravel(values)
    assert len(shown) == len(values) > 0
    assert all(abs(float(x) - value) <= half_of_the_last_digit(x) for x, value in zip(shown, values, strict=True)), shown


# ---------------------------------------------------------------------------------------------------- a GPT, said once more


def ids_of(text: str) -> list[int]:
    return [ALPHABET.index(letter) for letter in text]


def sinusoids(T: int, C: int) -> np.ndarray:
    """sin and cos of t / 10000^(2i / C) in pairs of columns; an odd last column is 0."""
    table = np.zeros((T, C))
    for t in range(T):
        for i in range(C // 2):
            angle = t / 10000 ** (2 * i / C)
            table[t, 2 * i : 2 * i + 2] = math.sin(angle), math.cos(angle)
    return table


def read(model, ids, targets=None) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Every intermediate and weight of a GPT with sinusoidal positions that reads one text, with its gradient: name -> (value,
    gradient). Written from the definition; PyTorch differentiates it."""
    config = model.config
    H, D, T = config.n_head, config.n_embd // config.n_head, len(ids)
    weights = {name: torch.tensor(numpy_array(w), dtype=torch.float64) for name, w in model.state_dict().items()}
    seen = {}

    def kept(name, x):
        seen[name] = x.requires_grad_() if x.is_leaf else x
        seen[name].retain_grad()
        return x

    for name, weight in weights.items():
        kept(name, weight)

    def linear(x, name):
        y = x @ weights[name + ".weight"].T
        return y + weights[name + ".bias"] if name + ".bias" in weights else y

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        unit = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)
        return unit * weights[name + ".weight"] + weights[name + ".bias"]

    embed = kept("embed", weights["token_embedding.weight"][list(ids)])
    x = embed + torch.from_numpy(sinusoids(T, config.n_embd))
    future = torch.arange(T)[None, :] > torch.arange(T)[:, None]
    for i in range(config.n_layer):
        block = f"blocks.{i}."
        x = kept(block + "resid_pre", x)
        normed = kept(block + "ln1", norm(x, block + "ln1"))
        qkv = linear(normed, block + "mha.Wqkv").reshape(T, 3, H, D)
        q, k, v = (kept(block + name, qkv[:, n].swapaxes(0, 1)) for n, name in enumerate("qkv"))  # (H, T, D)
        scores = kept(block + "scores", torch.where(future, -math.inf, q @ k.swapaxes(1, 2) / math.sqrt(D)))
        pattern = kept(block + "pattern", torch.softmax(scores, -1))
        z = kept(block + "z", pattern @ v)
        attn_out = kept(block + "attn_out", linear(z.swapaxes(0, 1).reshape(T, H * D), block + "mha.projection"))
        x = kept(block + "resid_mid", x + attn_out)
        if block + "ffn.up.weight" in weights:
            ln2 = kept(block + "ln2", norm(x, block + "ln2"))
            post = kept(block + "ffn_post", torch.nn.functional.gelu(linear(ln2, block + "ffn.up"), approximate="tanh"))
            x = x + kept(block + "ffn_out", linear(post, block + "ffn.down"))
        x = kept(block + "resid_post", x)
    logits = kept("logits", linear(kept("ln_f", norm(x, "ln_f")), "head"))
    if targets is not None:
        torch.nn.functional.cross_entropy(logits, torch.tensor(targets)).backward()
    return {name: (t.detach().numpy(), None if t.grad is None else t.grad.numpy()) for name, t in seen.items()}


def learned(config, steps: int, seed: int = 0, batches=None, losses: list | None = None):
    """The model after so many steps on windows of the sentences, 8 a batch, at the rate 0.01; `losses` takes their losses."""
    model = npgpt.make_model(config, seed=seed, dtype="float64")
    rng, windows = np.random.default_rng(seed), all_windows(letters_of(), config.seq_len)
    draws = (rng.integers(len(windows[0]), size=8) for _ in range(steps))
    own = ((windows[0][rows], windows[1][rows]) for rows in draws)
    found = npgpt.train(model, own if batches is None else batches, steps=steps, learning_rate=1e-2)
    if losses is not None:
        losses += found
    return model


def scattered(monkeypatch, spread: float = 0.3) -> list[dict]:
    """In the place of training the weights are moved by chance, each model's otherwise, and so are the losses that it gives:
    every number that follows is then another one. What a training was asked for is kept, with its first batch."""
    calls = []

    def train(model, batches, *, steps, learning_rate, **options):
        rng = np.random.default_rng(len(calls))
        weights = {name: numpy_array(w) + spread * rng.standard_normal(w.shape) for name, w in model.state_dict().items()}
        model.load_state_dict(weights)
        rates = learning_rate if callable(learning_rate) else lambda step: learning_rate
        losses = (3 * rng.random(steps)).tolist()
        first = [np.array(side) for side in next(iter(batches))]
        call = {"model": model, "first": first, "steps": steps, "rates": list(map(rates, (1, steps // 2, steps)))}
        calls.append(call | options | {"losses": losses})
        return losses

    monkeypatch.setattr(npgpt, "train", train)
    return calls


def assert_first_batch(call: dict, windows, seed: int, size: int = 8) -> None:
    """Windows of both sides, drawn with the seed."""
    rows = np.random.default_rng(seed).integers(len(windows[0]), size=size)
    assert np.array_equal(call["first"], [side[rows] for side in windows])


def conditional_entropy(ids: list[int], n: int) -> float:
    """H(n letters) - H(n - 1 letters), of the same places: the chain rule."""

    def entropy(counts) -> float:
        total = sum(counts.values())
        return -sum(count / total * math.log(count / total) for count in counts.values())

    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return entropy(collections.Counter(grams)) - entropy(collections.Counter(gram[:-1] for gram in grams))


def rms(values: np.ndarray) -> float:
    return math.sqrt((values**2).sum() / values.size)


ARTICLE = npgpt.GPTConfig(32, 1, 1, 3, 12, ffn_hidden=0, train_qkv=False)


def test_the_gpt_that_is_said_once_more_counts_248():
    """32 rows of 3; LayerNorm 2 x 3; the projection 3 x 3 + 3; LayerNorm; the head 32 x 3 + 32."""
    model = npgpt.make_model(ARTICLE)
    assert npgpt.GPTConfig.article() == ARTICLE and model.num_parameters() == 96 + 6 + 12 + 6 + 128 == 248
    assert dataclasses.replace(ARTICLE, train_qkv=True) == npgpt.GPTConfig.article(train_qkv=True)


# -------------------------------------------------------------------------------------------------------------- examples 1 to 5


def test_example_1(monkeypatch, capsys, figures):
    out, _ = run(monkeypatch, capsys, "01_tokens_and_embeddings.py")
    printed, text = Printed(out), "ali ata bak."
    ids, model = ids_of(text), npgpt.make_model(ARTICLE, seed=0, dtype="float64")
    table = model.state_dict()["token_embedding.weight"].copy()
    printed.says(f"# letters: {ALPHABET.replace(' ', '␣')}", 32)
    printed.says("'ali ata bak.' is [" + "#, " * 11 + "#]", *ids)
    assert "Is a lookup the one-hot rows times the table? yes" in out
    for letter in "ali ":
        printed.says(f"{letter.replace(' ', '␣')} # # #", *table[ALPHABET.index(letter)])

    gradients = read(model, ids[:-1], ids[1:])
    dembed, dtable = gradients["embed"][1], gradients["token_embedding.weight"][1]
    printed.says("'a' stands at [#, #, #, #]. First feature: its row's gradient is the sum", 0, 4, 6, 9)
    printed.says("# + # + # + # = #", *dembed[[0, 4, 6, 9], 0], dtable[0, 0])
    absent = "".join(letter for letter in ALPHABET if letter not in text[:-1])
    printed.says(f"# letters do not occur, so their rows get exactly #: {absent.replace(' ', '␣')}", len(absent), 0)
    drawn(figures["01_gradient_of_a_lookup.png"]).says(
        "A lookup's gradient: # of # rows get none, because their letters do not occur", len(absent), 32
    )
    drawn(figures["01_dictionary_space.png"]).says("Before training: # letters, a cloud without order", 32)

    after = learned(ARTICLE, 50, batches=iter([([ids[:-1]], [ids[1:]])] * 50)).state_dict()["token_embedding.weight"]
    printed.says("After # steps on this text alone:", 50)
    for letter in "alv":
        row = ALPHABET.index(letter)
        printed.says(f"'{letter}' has moved by #", math.dist(after[row], table[row]))
    printed.nothing_else()


def test_example_2(monkeypatch, capsys, figures, asked_steps):
    out, _ = run(monkeypatch, capsys, "02_positions.py")
    printed, text, turned = Printed(out), "ali ata bak", "bak ata ali"
    encoding = sinusoids(12, 3)
    for place in range(4):
        printed.says("# # # #", place, math.sin(place), math.cos(place), 0)
    printed.says("'a' stands at [#, #, #, #]: one vector in the dictionary, # in the sentence", 0, 4, 6, 9, 4)
    vectors = npgpt.make_model(ARTICLE, seed=0, dtype="float64").state_dict()["token_embedding.weight"][ids_of(text)]
    lengths = [np.mean([math.hypot(*row) for row in rows]) for rows in (encoding[:11], vectors)]
    printed.says("untrained, a position's vector is # times as long as a letter's", lengths[0] / lengths[1])
    drawn(figures["02_same_letter_other_places.png"]).says(
        "The same 'a' at # places: one vector before the position is added, # after", 4, 4
    )

    assert asked_steps == [1500]
    table = learned(ARTICLE, FEW).state_dict()["token_embedding.weight"]
    gap = 0.0  # the largest between the n-th of a letter in the one sentence and the n-th in the other
    for letter in set(text):
        places = [[place for place, other in enumerate(sentence) if other == letter] for sentence in (text, turned)]
        for one, other in zip(*places, strict=True):
            gap = max(
                gap, *abs(table[ALPHABET.index(letter)] + encoding[one] - table[ALPHABET.index(letter)] - encoding[other])
            )
    printed.says(f"'{text}' against '{turned}', letters only: they differ by #", 0)
    printed.says(f"'{text}' against '{turned}', letter + position: they differ by #", gap)
    printed.nothing_else()
    title = "Sorted by letter, the two sentences differ by # without positions, by # with them"
    drawn(figures["02_order.png"]).says(title, 0, gap)


def test_example_3(monkeypatch, capsys, figures, asked_steps):
    out, _ = run(monkeypatch, capsys, "03_attention.py")
    printed, text = Printed(out), "ali ata bak"
    assert asked_steps == [1500]
    model = learned(dataclasses.replace(ARTICLE, train_qkv=True, ffn_hidden=12), FEW)
    whole = all_windows(letters_of(), 12, 5)
    # the article's 275; LayerNorm 2 x 3, and the FFN's 12 x 3 + 12 and 3 x 12 + 3
    printed.says("# parameters, loss #", 275 + 6 + 48 + 39, costs(model, *whole).mean())
    printed.says(f"padding on the right changes the logits of '{text}' by #", 0)
    weights = model.state_dict()["blocks.0.mha.Wqkv.weight"].reshape(3, 3, 3)
    for name, rows in zip(("Wq [[", "Wk [[", "Wv [["), weights, strict=True):
        for start, row, end in zip((name, "[", "["), rows, ("]", "]", "]]"), strict=True):
            printed.says(f"{start}# # #{end}", *row)

    seen = {name.removeprefix("blocks.0."): value for name, (value, _) in read(model, ids_of(text)).items()}
    printed.says("each row of weights sums to #..#", 1, 1)
    assert "the head called alone gives the same pair (output, weights): yes" in out
    names = ("resid_pre", "ln1", "z", "attn_out", "resid_mid", "ln2", "ffn_post", "ffn_out", "resid_post")
    sizes = {name: rms(seen[name]) for name in names}
    printed.says("root mean squares: " + ", ".join(f"{name} #" for name in names), *sizes.values())
    branches = {"attention": sizes["attn_out"], "FFN": sizes["ffn_out"]}
    quiet, loud = sorted(branches, key=branches.get)
    title = f"Two branches write into the stream x; here {loud} writes # times as strongly as {quiet}"
    drawn(figures["03_block_step_by_step.png"]).says(title, branches[loud] / branches[quiet])

    attention = figures["03_attention_steps.png"]
    most = int(seen["pattern"][0, -1].argmax())
    title = f"The last letter 'k' looks most at '{text[most].replace(' ', '␣')}' at place #: # % of its attention"
    drawn(attention).says(title, most, 100 * seen["pattern"][0, -1, most])
    past = np.tril_indices(11)
    for axes, values in zip(
        attention.axes, (seen["scores"][0][past], seen["pattern"][0][past], seen["v"][0], seen["z"][0]), strict=True
    ):
        assert_cells(axes, values)
    for axes, name in zip(figures["03_query_key_value.png"].axes, ("ln1", "q", "k", "v"), strict=True):
        assert_cells(axes, seen[name])
    for axes, name in zip(figures["03_block_step_by_step.png"].axes, names, strict=True):
        assert_cells(axes, seen[name])

    xhat, jacobian = [], None
    for row in seen["resid_pre"]:
        x = torch.tensor(row, requires_grad=True)
        xhat.append((x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + 1e-5))
        if jacobian is None:
            jacobian = np.array([torch.autograd.grad(value, x, retain_graph=True)[0].numpy() for value in xhat[0]])
    lengths = [float(row.detach().norm()) for row in xhat]
    printed.says("radii after LayerNorm: # to #; √# = #", min(lengths), max(lengths), 3, 3**0.5)
    printed.says("its backward lets # of # directions through: neither the mean nor the length", 1, 3)
    printed.says("what is left of the direction (#, #, #): #", 1, 1, 1, np.linalg.norm(jacobian.sum(axis=0)))
    printed.says("of the vector itself: #", np.linalg.norm(xhat[0].detach().numpy() @ jacobian))
    assert np.linalg.matrix_rank(jacobian, tol=1e-3 * np.linalg.norm(jacobian, 2)) == 1
    printed.nothing_else()


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def visible(letter: str) -> str:
    return letter.replace(" ", "␣")


def test_example_4(monkeypatch, capsys, figures):
    calls = scattered(monkeypatch, 0.5)
    out, _ = run(monkeypatch, capsys, "04_predicting.py")
    (call,) = calls
    assert call["steps"] == 1500 and set(call["rates"]) == {0.01} and call["model"].config == ARTICLE
    assert_first_batch(call, all_windows(letters_of(), 12), seed=0)
    printed, ids = Printed(out), ids_of("ali ata bak.")
    models = {"untrained": npgpt.make_model(ARTICLE, seed=0, dtype="float64"), "trained": call["model"]}
    logits = {name: read(model, ids[:-1])["logits"][0] for name, model in models.items()}
    p = {name: softmax(each) for name, each in logits.items()}
    for token in sorted(range(32), key=lambda token: -p["trained"][-1, token])[:4]:
        printed.says(f"{visible(ALPHABET[token])} logit # p #", logits["trained"][-1, token], p["trained"][-1, token])
    surprises = {name: np.array([-math.log(p[name][t, ids[t + 1]]) for t in range(11)]) for name in models}
    for name, values in surprises.items():
        printed.says(f"{name}: mean surprise # nats, model.loss #", values.mean(), values.mean())
    hits = {name: sum(p[name][t].argmax() == ids[t + 1] for t in range(11)) for name in models}
    printed.says("right first guesses of #: untrained #, trained #", 11, *hits.values())

    written, chosen = ids_of("ali "), []
    for _ in range(12):
        row = softmax(read(models["trained"], written[-12:])["logits"][0][-1])
        written.append(int(row.argmax()))
        chosen.append(row)
    assert f"trained goes on from 'ali ': {''.join(ALPHABET[i] for i in written)!r}" in out
    printed.says("probabilities of the letters it chose:" + " #" * 12, *(row.max() for row in chosen))
    for name, model in models.items():
        loss = costs(model, *all_windows(letters_of(), 12, 5)).mean()
        printed.says(f"{name}: # nats a letter over the text; guessing: #", loss, math.log(32))
    printed.nothing_else()

    bars = drawn(figures["04_surprise.png"])
    less = (surprises["trained"] < math.log(32)).sum()
    bars.says("The trained model is less surprised than guessing at # of # letters", less, 11)
    for name, values in surprises.items():
        bars.says(f"{name}: mean #", values.mean())
    bars.says("knows nothing: ln V = #", math.log(32))
    expected = figures["04_what_is_expected.png"]
    title = "Framed: what really comes. No letter gets more than # % untrained, # % trained"
    drawn(expected).says(title, *(100 * each.max() for each in p.values()))
    for axes, name in zip(expected.axes, models, strict=True):
        assert_cells(axes, [100 * p[name][t, ids[t + 1]] for t in range(11)])
    assert_cells(*figures["04_greedy.png"].axes, [100 * row.max() for row in chosen])


def test_example_5(monkeypatch, capsys, figures, asked_steps):
    out, _ = run(monkeypatch, capsys, "05_the_way_back.py")
    assert asked_steps == [300]
    printed, text = Printed(out), "ali ata bak"
    model = learned(dataclasses.replace(ARTICLE, train_qkv=True), FEW)
    ids, targets, read_text, T = ids_of(text[:-1]), ids_of(text[1:]), text[:-1], 10
    seen = read(model, ids, targets)
    printed.says("dlogits = (softmax - onehot) / N: largest difference #", 0)
    printed.says("its rows sum to #: largest sum #", 0, 0)
    names = ("ln_f", "resid_post", "attn_out", "z", "pattern", "scores", "v", "k", "q", "ln1", "resid_pre", "embed")
    limits = np.zeros(2)
    for name in names:
        pair = seen[name] if name in seen else seen[f"blocks.0.{name}"]
        if name == "scores":  # of what is not masked
            pair = [np.array([array[0, t, s] for t in range(T) for s in range(t + 1)]) for array in pair]
        printed.says(f"{name} # #", *map(rms, pair))
        limits = np.maximum(limits, [abs(array).max() for array in pair])
    value_and_gradient = drawn(figures["05_value_and_gradient.png"])
    value_and_gradient.says("value (±#)", limits[0])
    value_and_gradient.says("gradient (±#)", limits[1])

    (pattern,), (dpattern,) = seen["blocks.0.pattern"]
    (dscores,) = seen["blocks.0.scores"][1]
    printed.says("rows of dscores sum to #: largest sum #", 0, 0)
    t, s = max(np.ndindex(T, T), key=lambda place: abs(dscores[place]))
    mean = sum(pattern[t, u] * dpattern[t, u] for u in range(T))
    told = f"the largest, '{read_text[t]}' at # looking at '{read_text[s]}' at #: P (dP - sum P dP) ="
    printed.says(told, t, s)
    printed.says("# * (# - #) = #", pattern[t, s], dpattern[t, s], mean, dscores[t, s])
    assert pattern[t, s] * (dpattern[t, s] - mean) == pytest.approx(dscores[t, s], rel=1e-9)
    dz, dv = seen["blocks.0.z"][1][0, :, 0], seen["blocks.0.v"][1][0, :, 0]
    for u in range(s, T):
        printed.says(f"{'+ ' * (u > s)}# * #", pattern[u, s], dz[u])
    printed.says("= # (trace: #)", dv[s], dv[s])
    assert f"dv of '{read_text[s]}' at {s}, first feature" in out
    printed.says(f"dv of '{read_text[s]}' at #, first feature: the sum over everyone who looked at it", s)
    past = np.tril_indices(T)
    sums = figures["05_dscores.png"].axes
    for axes, values in zip(sums, (pattern[past], 1e4 * dscores[past], np.zeros(T)), strict=True):
        assert_cells(axes, values)

    printed.says("the table's gradient is dembed collected by letter: largest difference #", 0)
    dtable = seen["token_embedding.weight"][1]
    token = max(range(32), key=lambda row: abs(dtable[row]).max())
    printed.says(f"row of '{ALPHABET[token]}': measured slope #, gradient #", dtable[token, 0], dtable[token, 0])
    printed.nothing_else()
    drawn(sums[0].figure).says("Rows of dscores sum to #: attention that one letter wins, another loses", 0)


# -------------------------------------------------------------------------------------------------------------- examples 6 to 8

VOWELS, CONSONANTS = "aeıioöuü", "bcçdfgğhjklmnprsştvyz"


def apart(vectors: np.ndarray, first: list[bool], second: list[bool]) -> float:
    """How far the centres of two kinds lie apart, in the mean of their mean radii."""
    groups = [np.array([row for row, member in zip(vectors, kind, strict=True) if member]) for kind in (first, second)]
    centres = [group.sum(axis=0) / len(group) for group in groups]
    radii = [np.mean([math.dist(row, centre) for row in group]) for group, centre in zip(groups, centres, strict=True)]
    return math.dist(*centres) / np.mean(radii)


def share_of_three(vectors: np.ndarray) -> float:
    """The share, in percent, of the variance that the three directions with most of it have."""
    variances = np.sort(np.linalg.eigvalsh(np.cov(np.reshape(vectors, (-1, np.shape(vectors)[-1])).T)))
    return 100 * variances[-3:].sum() / variances.sum()


def test_example_6(monkeypatch, capsys, figures, asked_steps):
    films = []
    monkeypatch.setattr("npgpt.pictures.embedding_motion", lambda *arguments: films.append(arguments))
    out, _ = run(monkeypatch, capsys, "06_training.py", "--seed", 2)
    assert asked_steps == [1500]
    printed, losses = Printed(out[out.index("guessing: ") :]), []
    after = learned(ARTICLE, FEW, seed=2, losses=losses).state_dict()
    before, shortly = (learned(ARTICLE, steps, seed=2).state_dict() for steps in (1, FEW - 1))
    printed.says("guessing: # nats a letter", math.log(32))
    floors = [conditional_entropy(letters_of(), n) for n in (1, 2, 3)]
    printed.says("who knows how often letters come: #", floors[0])
    printed.says("who knows the last letter (bigrams): #", floors[1])
    printed.says("who knows the last two (trigrams): #", floors[2])
    late = np.mean(losses[-10:])
    printed.says("this run, mean of the last tenth of its # steps: #", 100, late)
    curve = figures["06_loss_and_floors.png"]
    assert floors[1] < late < floors[0]
    drawn(curve).says("The run ends at # nats: better than letter frequencies, not yet than bigrams", late)
    for name, floor in zip(("letters alone", "bigrams", "trigrams"), floors, strict=True):
        drawn(curve).says(f"{name} = #", floor)
    drawn(curve).says("knows nothing: ln V = #", math.log(32))
    drawn(curve).says("mean of the last #", 2)  # of a hundred

    some = all_windows(letters_of(), 12, (len(letters_of()) - 12) // 16)
    sizes = []  # of the gradients on the same windows, after the first step and after the last
    for weights in (before, after):
        model = npgpt.make_model(ARTICLE, dtype="float64")
        model.load_state_dict(weights)
        twin = torchgpt.from_numpy(model)
        loss = torch.nn.functional.cross_entropy(twin(torch.tensor(some[0])).flatten(0, 1), torch.tensor(some[1]).flatten())
        names = [name for name, parameter in twin.named_parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(loss, [dict(twin.named_parameters())[name] for name in names])
        sizes.append({name: rms(gradient.numpy()) for name, gradient in zip(names, gradients, strict=True)})
    ratios = {name: rms(after[name] - shortly[name]) / rms(shortly[name]) for name in names}
    for name in sizes[0]:  # the record has four digits
        row = f"{name} # # #"
        shown = [float(f"{x:.4g}") for x in (sizes[0][name], sizes[1][name], ratios[name])]
        printed.says(row, *shown)
    grown = max(names, key=lambda name: sizes[1][name] / sizes[0][name])
    title = f"From first to last step the gradient of {grown} grew most; the median update is # of its weights"
    drawn(figures["06_gradient_flow.png"]).says(title, np.median(list(ratios.values())))

    kinds = [[letter in kind for letter in ALPHABET] for kind in (VOWELS, CONSONANTS)]
    start = npgpt.make_model(ARTICLE, seed=2, dtype="float64").state_dict()
    tables = [weights["token_embedding.weight"] for weights in (start, after)]
    ratios = [apart(table, *kinds) for table in tables]
    printed.says("before training: the two kinds' centres lie # times their mean radius apart", ratios[0])
    printed.says("after training: the two kinds' centres lie # times their mean radius apart", ratios[1])
    printed.nothing_else()
    space = drawn(figures["06_embedding_before_after.png"])
    for when, table in zip(("before", "after"), tables, strict=True):
        space.says(f"{when} training: # from corner to corner", math.hypot(*(table.max(axis=0) - table.min(axis=0))))
    ((steps, snapshots, _, title, _),) = films
    Printed(title).says("Vowels and consonants: # radii apart at first, # in the end", *ratios)
    assert steps == [0, 1, *range(2, 101, 2)] and np.abs(snapshots[[0, -1]] - tables).max() < 1e-3


def all_made(monkeypatch) -> list:
    """Every model that a script makes from here on, in their order, each with its seed."""
    import common

    made, plain = [], common.Run.model

    def model_of(self, config, seed=None):
        made.append((seed, plain(self, config, seed)))
        return made[-1][1]

    monkeypatch.setattr(common.Run, "model", model_of)
    return made


def facts() -> list[list[str]]:
    """The sentences about capitals, and those of four words that end in "bought"."""
    lines = [line.removesuffix(".").split() for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    return [words for words in lines if words[1] == "başkenti" or (len(words) == 4 and words[3] == "aldı")]


def test_example_7(monkeypatch, capsys, figures):
    made = all_made(monkeypatch)
    options = ["--widths", 1, 3, 4, 12, "--seeds", 2, "--steps", 200, "--seed", 3]
    out, _ = run(monkeypatch, capsys, "07_knowledge_squeezed.py", *options)
    printed, sentences = Printed(out), facts()
    words = [".", *sorted({word for sentence in sentences for word in sentence})]
    rows = np.array([[0, *map(words.index, sentence), *[0] * (5 - len(sentence))] for sentence in sentences])
    capitals = [sentence for sentence in sentences if sentence[1] == "başkenti"]
    assert (len(capitals), len(sentences)) == (50, 62)
    after = collections.defaultdict(collections.Counter)
    for row in rows:
        for t in range(1, rows.shape[1]):
            after[tuple(row[:t])][row[t]] += 1
    total = sum(sum(counts.values()) for counts in after.values())
    floor = sum(-n / total * math.log(n / sum(counts.values())) for counts in after.values() for n in counts.values())
    printed.says("# facts, # words; the lowest loss that any model can reach: #", 62, len(words), floor)

    losses, known, models = {}, {}, {}
    for n, (seed, model) in enumerate(made):
        width = (1, 3, 4, 12)[n // 2]
        assert seed == 3 + n % 2
        models[width] = model
        logits = torchgpt.from_numpy(model)(torch.tensor(rows[:, :-1])).detach().numpy()
        losses.setdefault(width, []).append(costs(model, rows[:, :-1], rows[:, 1:]).mean())
        known.setdefault(width, []).append(int((logits[:, 2].argmax(-1) == rows[:, 3]).sum()))
        rank = np.linalg.matrix_rank(
            logits.reshape(-1, len(words)), tol=1e-5 * np.linalg.norm(logits.reshape(-1, len(words)), 2)
        )
        assert rank == width
        if n % 2:
            values = [np.mean(losses[width]), *sorted(losses[width]), np.mean(known[width]), 62, *sorted(known[width]), rank]
            printed.says("# # (#..#) #/# (#..#) #", width, *values)
    best = {width: min(values) for width, values in losses.items()}
    there = [width for width in best if (best[1] - best[width]) / (best[1] - floor) >= 0.95]
    knee = next(width for width in best if all(wider in there for wider in best if wider >= width))
    title = "The knee is at n_embd #: from there on the best seed comes # % of the way to the floor"
    printed.says(title, knee, 95)
    wide = [losses[width] for width in losses if width >= knee]
    stuck = sum(loss > min(row) + 0.1 for row in wide for loss in row)
    printed.says("of # runs from the knee on, # end more than # nats above their width's best", 2 * len(wide), stuck, 0.1)
    picture = drawn(figures["07_knowledge_squeezed.png"])
    picture.says(title, knee, 95)
    picture.says("the text's own floor: #", floor)
    picture.says("knee: n_embd = #", knee)
    picture.says("facts answered right, of #", 62)

    for width in (4, 12):
        printed.says("n_embd #: # of # facts are answered wrong", width, 62 - known[width][1], 62)
    for width in (4, 12):
        table = models[width].state_dict()["token_embedding.weight"]
        pairs = sorted((math.dist(table[a], table[b]), a, b) for a, b in itertools.combinations(range(len(words)), 2))[:3]
        said = ", ".join(f"{words[a]}-{words[b]} #" for _, a, b in pairs)
        printed.says(f"n_embd #, closest words: {said}", width, *(gap for gap, *_ in pairs))
    table, sets = models[12].state_dict()["token_embedding.weight"], []
    for place in (0, 2):
        sets.append(table[[words.index(sentence[place]) for sentence in capitals[:10]]])
    gaps = [np.mean([math.dist(*pair) for pair in itertools.combinations(vectors, 2)]) for vectors in sets]
    title = "n_embd #: countries lie # apart on average, capitals #"
    share = share_of_three(np.concatenate(sets))
    printed.says(title + "; first # principal components: # % of the variance", 12, *gaps, 3, share)
    drawn(figures["07_words.png"]).says(title + " first # principal components: # % of the variance", 12, *gaps, 3, share)
    printed.nothing_else()


def test_example_8(monkeypatch, capsys, figures):
    calls = scattered(monkeypatch)
    out, _ = run(monkeypatch, capsys, "08_dictionary_context_knowledge.py", "--seed", 1)
    printed = Printed(out)
    shapes = [(1, 1, 25, 50), (1, 5, 25, 50), (2, 1, 18, 36), (2, 3, 18, 36), (4, 3, 12, 32)]
    every = all_windows(letters_of(), 16)
    some = all_windows(letters_of(), 16, 12)
    losses, counts = [], []
    for shape, pair in zip(shapes, zip(calls[::2], calls[1::2], strict=True), strict=True):
        layers, heads, C, F = shape
        # a block: two LayerNorms, Wqkv, the projection, the FFN; the embedding, the last LayerNorm, the head
        counts.append(layers * (4 * C + 3 * C * C + C * C + C + 2 * C * F + F + C) + 32 * C + 2 * C + 32 * C + 32)
        for seed, call in enumerate(pair, start=1):
            assert_first_batch(call, every, seed)
            assert call["steps"] == 120 and set(call["rates"]) == {0.01}
            assert (call["model"].config.n_layer, call["model"].config.n_head, call["model"].config.n_embd) == shape[:3]
        losses.append([costs(call["model"], *some).mean() for call in pair])
    model, loss = calls[6]["model"], losses[3][0]
    printed.says("# layers, # heads, # parameters: # nats a letter", 2, 3, counts[3], loss)

    horse, throw = (read(model, ids_of(text)) for text in (". at", "ali topu at"))
    contexts = [seen["blocks.1.resid_post"][0][-2:] for seen in (horse, throw)]
    size = np.mean([np.linalg.norm(vector) for vectors in contexts for vector in vectors])
    gaps = [math.dist(contexts[0][n], contexts[1][n]) for n in range(2)]
    for letter, gap in zip("at", gaps, strict=True):
        printed.says(f"'{letter}': distance # in the dictionary, # in context (mean length #)", 0, gap, size)
    for seen, text, name in ((horse, ". at", "at: the horse"), (throw, "ali topu at", "at: throw!")):
        p = softmax(seen["logits"][0][-1])
        likeliest = sorted(range(32), key=lambda token: -p[token])[:3]
        said = ", ".join(f"{visible(ALPHABET[token])} #" for token in likeliest)
        printed.says(f"after '{text}' ({name}): {said}", *p[likeliest])
    title = "One word, two contexts: # apart in the dictionary, # apart at the last letter"
    share = share_of_three(np.concatenate([horse["embed"][0][-2:], *contexts]))
    printed.says(title + "; first # principal components: # % of the variance", 0, gaps[1], 3, share)
    drawn(figures["08_one_word_two_contexts.png"]).says(
        title + " first # principal components: # % of the variance", 0, gaps[1], 3, share
    )

    weights, worse = {name: w.copy() for name, w in model.state_dict().items()}, np.zeros((2, 3))
    for layer, head in np.ndindex(2, 3):
        without = {name: weight.copy() for name, weight in weights.items()}
        without[f"blocks.{layer}.mha.Wqkv.weight"][36 + 6 * head : 42 + 6 * head] = 0  # its values: it brings nothing home
        model.load_state_dict(without)
        worse[layer, head] = costs(model, *some).mean() - loss
    model.load_state_dict(weights)
    printed.says("loss without one head, in nats above #:", loss)
    for row in worse:
        printed.says("# # #", *row)
    heads = drawn(figures["08_heads.png"])
    layer, head = max(np.ndindex(2, 3), key=lambda place: worse[place])
    title = "Head # of layer # is missed most: without it the loss is # nats higher"
    heads.says(title, head + 1, layer + 1, worse[layer, head])
    for layer, head in np.ndindex(2, 3):
        heads.says("layer #, head # without it: # nats", layer + 1, head + 1, worse[layer, head])
    for axes, pattern in zip(figures["08_heads.png"].axes, all_patterns(read(model, ids_of("ali topu at."))), strict=True):
        (image,) = axes.images
        assert np.abs(np.tril(image.get_array().filled(0)) - pattern).max() < 1e-12

    for (layers, heads, *_), count, row in zip(shapes, counts, losses, strict=True):
        printed.says("# × # # # (#..#)", layers, heads, count, np.mean(row), min(row), max(row))
    means = [np.mean(row) for row in losses]
    first, second, *_ = sorted(range(5), key=lambda n: means[n])
    spread = max(max(row) - min(row) for row in losses)
    gap = means[second] - means[first]
    verdict = "more than the seeds' spread" if gap > spread else "no more than the seeds' spread"
    layers, heads, *_ = shapes[first]
    title = f"After # steps # × # is best, by # nats: {verdict} (#)"
    for place in (printed, drawn(figures["08_layers_and_heads.png"])):
        place.says(title, 120, layers, heads, gap, spread)
    printed.nothing_else()


def all_patterns(seen: dict) -> list[np.ndarray]:
    """Every head's attention, layer by layer."""
    return [head for name, (value, _) in seen.items() if name.endswith(".pattern") for head in value]


# ------------------------------------------------------------------------------------------------------------- examples 9 to 12


def entropies_of_the_chain() -> tuple[float, list[float]]:
    """The entropy rate of npgpt/text/harmony.py's chain, and the entropy of a letter after one, two and three: by the visits of
    its states in one word. (A word comes to its end, so the way from its start is followed until nothing is left on it.)"""
    rows, visits = automaton(), collections.Counter({START: 1.0})
    on_the_way = dict(visits)
    while on_the_way:
        further = collections.Counter()
        for state, mass in on_the_way.items():
            for p, following in rows[state].values():
                if following != START:
                    further[following] += mass * p
        visits.update(further)
        on_the_way = further
    letters = sum(visits.values())  # of a word: every visit writes one
    rate = sum(-n / letters * p * math.log(p) for state, n in visits.items() for p, _ in rows[state].values())
    after, contexts = [], {"": {state: n / letters for state, n in visits.items()}}
    for _ in range(4):
        longer, entropy = collections.defaultdict(collections.Counter), 0.0
        for context, states in contexts.items():
            for state, mass in states.items():
                for letter, (p, following) in rows[state].items():
                    longer[context + letter][following] += mass * p
        for text, states in longer.items():
            together = sum(states.values())
            entropy -= together * math.log(together / sum(contexts[text[:-1]].values()))
        after.append(entropy)
        contexts = longer
    return rate, after[1:]


def surprise_of_the_chain(text: str) -> np.ndarray:
    state, found = START, []
    for letter in text:
        p, state = automaton()[state][letter]
        found.append(-math.log(p))
    return np.array(found)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of the ranks; equal numbers share the mean of theirs."""
    ranks = []
    for values in (first, second):
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[which])
    return np.corrcoef(*ranks)[0, 1]


def remembered_maps(monkeypatch) -> dict:
    """What the two functions of npgpt/influence.py gave (test_influence.py knows them), by what they were asked of."""
    maps = {}
    for name in ("gradient_map", "replacement_map"):
        plain = getattr(npgpt.influence, name)

        def remembering(model, ids, targets, others=None, name=name, plain=plain):
            asked = name, id(model), tuple(map(int, ids)), tuple(map(int, targets))
            asked += () if others is None else (tuple(map(int, others)),)
            if asked not in maps:
                maps[asked] = plain(model, ids, targets) if others is None else plain(model, ids, targets, others)
            return maps[asked]

        monkeypatch.setattr(npgpt.influence, name, remembering)
    return maps


KINDS = ("GPT", "LSTM", "Mamba")


def test_example_9(monkeypatch, capsys, figures):
    calls, maps = scattered(monkeypatch, 0.5), remembered_maps(monkeypatch)
    options = ["--sizes", 248, 1000, "--seeds", 2, "--seed", 4, "--learning-rates", 0.01, 0.03, "--recall-size", 1000]
    out, variables = run(monkeypatch, capsys, "09_other_architectures.py", "--quick", *options)
    printed, trained = Printed(out), iter(calls)

    def tried(score, training) -> tuple[float, list]:
        """The two models of the better rate, and that rate: both rates with the first seed, the better with the second."""
        three = [next(trained) for _ in range(3)]
        scores = [score(call["model"]) for call in three[:2]]
        best = int(np.argmax(scores))
        for call, rate, seed in zip(three, (0.01, 0.03, (0.01, 0.03)[best]), (4, 4, 5), strict=True):
            assert call["steps"] == 10 and call["rates"][0] == pytest.approx(rate) and rate / 10 <= call["rates"][-1] < rate / 8
            training(call, seed)
        return (0.01, 0.03)[best], [three[best]["model"], three[2]["model"]]

    def row(kind, windows, training) -> tuple[list[float], list]:
        rate, models = tried(lambda model: -costs(model, *windows).mean(), training)
        losses = [costs(model, *windows).mean() for model in models]
        count = sum(w.numel() for w in torchgpt.from_numpy(models[0]).parameters() if w.requires_grad)
        printed.says(f"{kind} # # (#..#) #", count, np.mean(losses), min(losses), max(losses), rate)
        assert count == 248 or abs(count - 1000) < 10
        return losses, models

    def drawn_from(windows):
        return lambda call, seed: assert_first_batch(call, windows, seed, 16)

    every, some = all_windows(letters_of(), 24), all_windows(letters_of(), 24, 70)
    sentences = {(size, kind): row(kind, some, drawn_from(every)) for size in (248, 1000) for kind in KINDS}
    grams = [conditional_entropy(letters_of(), n) for n in (1, 2, 3)]
    printed.says("letters alone #, bigrams #, trigrams #", *grams)

    text, test_text = harmony_text(400_000, 4), harmony_text(30_000, 5)
    rate, after = entropies_of_the_chain()
    printed.says(f"a text of known entropy, {text[:40]!r} ...: # nats a letter", rate)
    own = surprise_of_the_chain(test_text)
    printed.says("a sample of # letters costs its own chain # ± #", 30_000, own.mean(), own.std() / math.sqrt(30_000))
    starts = [0] + [i + 1 for i in range(len(test_text) - 25) if test_text[i] == " "]
    starts, ids = starts[::40], ids_of(test_text)
    windows = [[ids[start + shift : start + 24 + shift] for start in starts] for shift in (0, 1)]
    floor = np.mean([own[start + 1 : start + 25] for start in starts])
    all_ids = np.array(ids_of(text))
    training = [np.lib.stride_tricks.sliding_window_view(all_ids[shift:][: len(all_ids) - 1], 24) for shift in (0, 1)]
    known = {(size, kind): row(kind, windows, drawn_from(training)) for size in (248, 1000) for kind in KINDS}
    above = [np.mean(known[1000, kind][0]) - floor for kind in KINDS]
    printed.says("above the floor of # nats at the largest size: GPT #, LSTM #, Mamba #", floor, *above)
    (first, by), (first_known, by_known) = map(ahead, (sentences, known))
    title = f"At # parameters {first} is best on the sentences, by # nats; {first_known} on the text of known entropy, by #"
    printed.says(title, 1000, by, by_known)
    picture = drawn(figures["09_equal_budget.png"])
    picture.says(title, 1000, by, by_known)
    for name, height in zip(("letters alone", "bigrams", "trigrams"), grams, strict=True):
        picture.says(f"{name} = #", height)
    for name, height in zip(("one letter", "two letters", "three letters"), after, strict=True):
        picture.says(f"{name} seen = #", height - rate)

    distances = (1, 2, 3, 4, 6, 8, 12, 16, 24, 31, 40, 48, 56, 63)
    printed.says("a name to remember: share of right answers, " + ", ".join("#" * 14) + " words after it:", *distances)
    rng = np.random.default_rng(4 + 1000)
    told = rng.integers(8, 16, size=(200, 64))
    told[:, 0] = rng.integers(8, size=200)

    def right(model) -> np.ndarray:
        twin, shares = torchgpt.from_numpy(model), []
        for distance in distances:
            asked = np.concatenate([told[:, :distance], np.full((200, 1), 16)], axis=1)
            answers = twin(torch.from_numpy(asked)).detach()[:, -1].argmax(-1).numpy()
            shares.append((answers == told[:, 0]).mean())
        return np.array(shares)

    def a_lesson(call, seed):
        words, targets = call["first"]
        assert 2 <= words.shape[1] <= 32 and len(words) == 16 and (words[:, 0] < 8).all() and (words[:, 1:] >= 8).all()
        assert np.array_equal(targets, np.where(words == 16, words[:, :1], 17))

    shares = []
    for kind in KINDS:
        rate_found, models = tried(lambda model: right(model).sum(), a_lesson)
        shares.append(np.mean([right(model) for model in models], axis=0))
        count = sum(w.numel() for w in torchgpt.from_numpy(models[0]).parameters() if w.requires_grad)
        printed.says(f"{kind} #" + " #" * 14 + " #", count, *shares[-1], rate_found)

    def forgetful(asked):
        """Knows the name up to eight words later, and then answers with the last word."""
        logits = np.zeros((*asked.shape, 18))
        logits[np.arange(200), -1, asked[:, 0] if asked.shape[1] <= 9 else asked[:, -2]] = 1
        return logits

    assert variables["right_answers"](forgetful).tolist() == [1.0] * 6 + [0.0] * 8  # 1, 2, 3, 4, 6, 8; then 12 to 63
    recall = drawn(figures["09_recall.png"])
    title = "Right answers within the training's distances: GPT #, LSTM #, Mamba #; further: GPT #, LSTM #, Mamba #"
    recall.says(title, *(share[:10].mean() for share in shares), *(share[10:].mean() for share in shares))
    recall.says("guessing: #", 1 / 8)
    assert next(trained, None) is None

    gpt, lstm, mamba = (sentences[1000, kind][1][0] for kind in KINDS)
    families, most = {"vowels": VOWELS, "consonants": CONSONANTS, "space": " ", "full stop": "."}, []
    for model, name, what in ((lstm, "f", "the LSTM's forget gate"), (mamba, "delta", "Mamba's step delta")):
        values = torchgpt.from_numpy(model).trace(some[0])[f"blocks.0.{name}"][0].detach().numpy()  # (N, T, K)
        found = {
            family: np.mean([values[n, t] for n, t in np.ndindex(some[0].shape) if ALPHABET[some[0][n, t]] in members])
            for family, members in families.items()
        }
        printed.says(f"{what}, mean at " + ", ".join(f"{family} #" for family in found), *found.values())
        most.append(min(found, key=found.get) if name == "f" else max(found, key=found.get))
    inside = drawn(figures["09_inside.png"])
    inside.says(f"# parameters: the forget gate lets go most at {most[0]}, delta is largest at {most[1]}", 1000)
    prompt = ids_of("ali topu at.")
    shown = [(lstm, "f", "LSTM: forget gate"), (lstm, "c", "LSTM: cell"), (mamba, "delta", "Mamba: step delta")]
    for model, name, heading in shown:
        values = torchgpt.from_numpy(model).trace([prompt])[f"blocks.0.{name}"][0].detach().numpy()
        inside.says(f"{heading} (≤ #)", abs(values).max())
    inside.says("GPT: attention, head # (≤ #)", 1, all_patterns(read(gpt, prompt))[0].max())

    lines = [line for line in SENTENCES.read_text(encoding="utf-8").splitlines() if 10 <= len(line) <= 24]
    texts = [ids_of(line) for line in lines[:: len(lines) // 2]]
    told_as = "rank correlation with replacing each letter (# parameters, # sentences): mean (lowest..highest seed)"
    printed.says(told_as, 1000, len(texts))
    means = {}
    for kind in KINDS:
        by_claim = collections.defaultdict(list)
        for model in sentences[1000, kind][1]:
            found = collections.defaultdict(list)
            for text in texts:
                for name, (claim, truth) in claims(model, text, maps).items():
                    found[name].append(np.mean([spearman(claim[t, : t + 1], truth[t, : t + 1]) for t in range(4, len(claim))]))
            for name, values in found.items():
                by_claim[name].append(np.mean(values))
        for name, values in by_claim.items():
            printed.says(f"{kind} {name} # (#..#)", np.mean(values), min(values), max(values))
            means[kind, name] = np.mean(values)
    looks = drawn(figures["09_where_each_looks.png"])
    title = (
        "Who is right? Rank correlation with replacing the letter: attention #, the gradient's length GPT #, LSTM #, Mamba #"
    )
    looks.says(title, means["GPT", "attention"], *(means[kind, "length of the gradient"] for kind in KINDS))
    for model in (gpt, lstm, mamba):
        found = claims(model, prompt, maps)
        for name in ("gradient × embedding", "length of the gradient"):
            looks.says(f"{name} (≤ #)", abs(found[name][0]).max())
        looks.says("replaced: size of the change (≤ #)", found["length of the gradient"][1].max())
    looks.says("attention (≤ #)", claims(gpt, prompt, maps)["attention"][0].max())
    printed.nothing_else()


def test_the_first_seed_alone_chooses_the_rate():
    from equal_budget import best_of_rates

    scores = {0.1: {0: [1, 1], 1: [9, 9]}, 0.2: {0: [2, 1], 1: [0, 0]}}  # rate -> seed -> several scores
    rate, models, found = best_of_rates([0.1, 0.2], [0, 1], lambda rate, seed: (rate, seed), lambda m: scores[m[0]][m[1]])
    assert (rate, models, found) == (0.2, [(0.2, 0), (0.2, 1)], [[2, 1], [0, 0]])


def ahead(results: dict) -> tuple[str, float]:
    """The best kind of 1,000 parameters, and how far the next is above it."""
    means = {kind: np.mean(losses) for (size, kind), (losses, _) in results.items() if size == 1000}
    first, second, _ = sorted(means, key=means.get)
    return first, means[second] - means[first]


def claims(model, text: list[int], maps: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each map that claims to show where a model looks, and what replacing does, with its sign where the map has one."""
    ids, targets = text[:-1], text[1:]
    gradient, replaced = (maps[name, id(model), tuple(ids), tuple(targets)] for name in ("gradient_map", "replacement_map"))
    table = model.state_dict()["token_embedding.weight"]
    found = {
        "gradient × embedding": (abs(np.einsum("tsc,sc->ts", gradient.gradient, table[ids])), replaced.size),
        "length of the gradient": (np.sqrt((gradient.gradient**2).sum(axis=-1)), replaced.size),
        "gradient × (embedding - mean)": (
            np.einsum("tsc,sc->ts", gradient.gradient, table[ids] - table.sum(axis=0) / 32),
            replaced.change,
        ),
    }
    if model.config.kind == "gpt":
        found["attention"] = (np.mean(all_patterns(read(model, ids)), axis=0), replaced.size)
    return found


def neighbours(table: np.ndarray, k: int) -> list[set[int]]:
    """Of each row the k others with the largest cosine, seen from the mean of all."""
    centred = table - table.sum(axis=0) / len(table)
    cosine = [[a @ b / math.sqrt((a @ a) * (b @ b)) for b in centred] for a in centred]
    return [set(sorted(set(range(len(table))) - {i}, key=lambda j, i=i: -cosine[i][j])[:k]) for i in range(len(table))]


def kept(before: np.ndarray, after: np.ndarray, k: int) -> float:
    return np.mean([len(a & b) / k for a, b in zip(neighbours(before, k), neighbours(after, k), strict=True)])


def turned_onto(vectors: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """The vectors turned as near to the target as they come, by M (M^T M)^(-1/2) with M = vectors^T target; and how alike."""
    M = vectors.T @ target
    values, directions = np.linalg.eigh(M.T @ M)
    there = values > 1e-12 * values[-1]
    root = directions[:, there] / np.sqrt(values[there]) @ directions[:, there].T
    return vectors @ M @ root, np.sqrt(values[there]).sum() ** 2 / ((vectors**2).sum() * (target**2).sum())


def test_example_10(monkeypatch, capsys, figures):
    trained, made = [], all_made(monkeypatch)

    def train_to_best(backend, model, ids, held_out, *, steps, seed, learning_rate, looks, at_best):
        """Costs by chance, in the place of a training."""
        rng = np.random.default_rng(seed)
        model.load_state_dict({name: rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
        at_best()
        trained.append({"table": model.state_dict()["token_embedding.weight"].copy(), "bits": 3000 + 2000 * rng.random()})
        trained[-1] |= {
            "steps": steps,
            "looks": set(looks),
            "rate": learning_rate,
            "ids": list(ids),
            "held_out": list(held_out),
        }
        model.load_state_dict({name: 0 * w for name, w in model.state_dict().items()})  # the vectors are those of the best step
        return trained[-1]["bits"]

    monkeypatch.setattr("text_costs.train_to_best", train_to_best)
    options = ["--text", "harmony", "--letters", 20_000, "--vocab-size", 300, "--seed", 2, "--neighbours", 2, "--steps", 90]
    out, variables = run(monkeypatch, capsys, "10_larger_texts.py", *options)
    printed, text = Printed(out), harmony_text(20_000)
    training, held_out = text[:18_000], text[18_000:]
    printed.says("# characters, # to train on, of which #, # and # % are taken; # are held out", 2e4, 18e3, 1, 10, 100, 2e3)
    floor = surprise_of_the_chain(text)[18_000:].mean() / math.log(2)
    printed.says("what the held-out text costs who knows its chain: # bits a character", floor)

    parts = [training[: training.rindex(" ", 0, 18_000 * share // 100)] for share in (1, 10, 100)]
    counts = collections.Counter(pieces_of(training))
    words = set(sorted(counts, key=lambda word: (-counts[word], word))[:300])
    bpe = variables["tokenizers"]["byte pairs"]
    cut = {
        "letters": (32, list),
        "words": (301, lambda text: [piece if piece in words else None for piece in pieces_of(text)]),
        "byte pairs": (300, lambda text: [bpe.decode([token]) for token in bpe.encode(text)]),
    }
    spelling = sum(len(piece) + 1 for piece in pieces_of(held_out) if piece not in words) * math.log2(len(set(text)) + 1)
    models, costs_of, tables = iter(zip(trained, made, strict=True)), {}, {}
    for name, (different, pieces) in cut.items():
        extra = spelling if name == "words" else 0
        for size, (share, part) in enumerate(zip((1, 10, 100), parts, strict=True)):
            runs = [next(models) for _ in range(2)]
            assert [seed for _, (seed, _) in runs] == [2 + size, 2 + 3 + size]
            for call, _ in runs:
                assert (call["steps"], call["rate"], call["looks"]) == (90, 5e-3, {1, 2, 5, 11, 22, 45, 90})
                assert (len(call["ids"]), len(call["held_out"])) == (len(pieces(part)), len(pieces(held_out)))
            bits = [(call["bits"] + extra) / 2000 for call, _ in runs]
            nats = np.mean([call["bits"] for call, _ in runs]) * math.log(2) / len(pieces(held_out))
            values = [different, share, len(pieces(part)), nats, np.mean(bits), *sorted(bits)]
            printed.says(f"{name} # # % # # # (#..#)", *values)
            costs_of[name, size] = bits
            # of each token that the smallest part has: where it stands in the table
            ids = dict(zip(pieces(parts[2]), trained[len(costs_of) * 2 - 2]["ids"], strict=False)) if size == 2 else None
            tables[name, size] = [call["table"] for call, _ in runs]
        tokens = sorted({ids[piece] for piece in pieces(parts[0]) if piece is not None and "�" not in piece})
        labels = {token: piece for piece, token in ids.items()}
        tables[name] = [[table[tokens] for table in tables.pop((name, size))] for size in range(3)], [labels[t] for t in tokens]

    shares = {}
    for name, (sizes, labels) in tables.items():
        pairs = [itertools.product(*sizes[:2]), itertools.product(*sizes[1:]), itertools.combinations(sizes[2], 2)]
        shares[name] = [100 * np.mean([kept(a, b, 2) for a, b in several]) for several in pairs]
        line = (
            f"{name}: of the # nearest of # tokens # % stay from # to # %, # % from # to # %; two seeds share # %, chance # %"
        )
        first, second, seeds = shares[name]
        printed.says(line, 2, len(labels), first, 1, 10, second, 10, 100, seeds, 200 / (len(labels) - 1))
    for name, (sizes, labels) in tables.items():
        spaces = [pair[0] - pair[0].mean(axis=0) for pair in sizes]
        spaces = [space / np.linalg.norm(space) for space in spaces]
        alike, by_lot, rng = {}, {}, np.random.default_rng(0)
        for size in (1, 0):
            by_lot[size] = np.mean([turned_onto(rng.permutation(spaces[size]), spaces[size + 1])[1] for _ in range(20)])
            spaces[size], alike[size] = turned_onto(spaces[size], spaces[size + 1])
        line = f"{name}, turned: # alike from # to # % (in another order #), # from # to # % (#)"
        printed.says(line, alike[0], 1, 10, by_lot[0], alike[1], 10, 100, by_lot[1])
        last = [([letter for letter in label if letter in VOWELS] or ["-"])[-1] for label in labels]
        kinds = {"vowels": VOWELS, "consonants": CONSONANTS}
        members = [[label in kind for label in labels] for kind in kinds.values()]
        if name != "letters":
            kinds = {"last vowel front": "eiöü", "last vowel back": "aıou"}
            members = [[letter in kind for letter in last] for kind in kinds.values()]
        rng = np.random.default_rng(0)
        gaps = [apart(space, *members) for space in spaces]
        lot = np.mean([apart(rng.permutation(spaces[2]), *members) for _ in range(20)])
        counted = collections.Counter(cut[name][1](parts[2]))
        some = sorted(range(len(labels)), key=lambda n, labels=labels, counted=counted: -counted[labels[n]])
        some = some if name == "letters" else some[:20]
        share = share_of_three(np.stack([space[some] for space in spaces]))
        one, other = kinds
        title = f"{name.capitalize()}: {one} and {other} lie #, #, # radii apart with #, #, # % (by lot #)"
        values = [*gaps, 1, 10, 100, lot, 3, share]
        printed.says(title + "; first # principal components: # % of the variance", *values)
        figure = figures[f"10_{name.replace(' ', '_')}.png"]
        assert sum(len(line.get_data_3d()[0]) == 1 for line in figure.axes[0].lines) == len(some)  # a dot a token
        picture = drawn(figure)
        picture.says(title + " first # principal components: # % of the variance", *values)
        for percent in (1, 10, 100):
            picture.says("# % of the text", percent)
    title = "With a hundred times the text: letters # → #, words # → #, byte pairs # → # bits a character"
    values = [np.mean(costs_of[name, size]) for name in cut for size in (0, 2)]
    printed.says(title, *values)
    picture = figures["10_larger_texts.png"]
    drawn(picture).says(title, *values)
    drawn(picture).says("the text's own floor: #", floor)
    assert_cells(picture.axes[1], np.transpose(list(shares.values())))
    printed.nothing_else()


def mixed_parameters(changes: set[str], V: int, C: int, T: int, H: int, L: int, F: int) -> int:
    """Counted by hand: the table, the positions, the blocks, the last norm. (The head is the table, and has no bias.)"""
    norm = C if "rms" in changes else 2 * C
    bias = 0 if "no bias" in changes else 1
    attention = C * C + 2 * C * (C // 2 if "groups" in changes else C) + C * C + bias * C
    matrices = 3 if "swiglu" in changes else 2
    ffn = matrices * C * F + bias * ((matrices - 1) * F + C)
    return V * C + (0 if "rope" in changes else T * C) + L * (2 * norm + attention + ffn) + norm


def stages(V: int, C: int, T: int, H: int, L: int) -> list[tuple[int, int]]:
    """(parameters, the FFN's width) of the GPT and after each change: as near to the GPT's as a width brings them."""
    changes, found = set(), [(mixed_parameters(set(), V, C, T, H, L, 4 * C), 4 * C)]
    for change in ("rms", "rope", "swiglu", "no bias", "groups"):
        changes.add(change)
        counts = {F: mixed_parameters(changes, V, C, T, H, L, F) for F in range(1, 6 * C)}
        F = min(counts, key=lambda F: abs(counts[F] - found[0][0]))
        found.append((counts[F], F))
    return found


CHANGES = ["RMSNorm for LayerNorm", "RoPE for learned positions", "SwiGLU for GELU", "no biases"]


def test_example_12(monkeypatch, capsys, figures):
    from mixed_model_torch import MixedModel

    calls = scattered(monkeypatch)
    options = ["--seeds", 2, "--seed", 3, "--learning-rates", 0.005, 0.02]
    out, _ = run(monkeypatch, capsys, "12_from_gpt_to_llama.py", *options)
    printed, text = Printed(out), SENTENCES.read_text(encoding="utf-8")
    characters = sorted(set(text))
    ids = [characters.index(character) for character in text]
    cut = math.floor(0.9 * len(ids))
    training, held_out = ids[:cut], ids[cut:]
    line = "# characters to train on, # steps of # windows of #; # are held out"
    printed.says(line, cut, 60, 8, 16, len(held_out))
    windows = all_windows(held_out, 16, 16)  # each character once
    trained, titles, titles_on_the_way = iter(calls), [], []
    for rate in (0.005, 0.02):
        printed.says("learning rate #", rate)
        losses, curves, told = [], [], []
        for stage, (count, F) in enumerate(stages(len(characters), 32, 16, 4, 2)):
            pair = [next(trained) for _ in range(2)]
            losses.append([])
            for seed, call in enumerate(pair, start=3):
                twin = MixedModel(call["model"].config, dtype="float64")
                twin.load_state_dict(call["model"].state_dict())
                losses[-1].append(costs(twin, *windows).mean())
                starts = np.random.default_rng(seed).integers(cut - 16, size=8)
                assert call["first"][0].tolist() == [training[start : start + 16] for start in starts]
                assert (call["steps"], call["betas"], call["weight_decay"], call["max_norm"]) == (60, (0.9, 0.99), 0.1, 1.0)
                assert call["rates"][0] == pytest.approx(rate / 4) and call["rates"][1] < rate  # 60 // 20 steps of rise
                assert call["first"][1].tolist() == [training[start + 1 : start + 17] for start in starts]
            curves.append(np.mean([call["losses"] for call in pair], axis=0))
            name = "GPT" if stage == 0 else f"+ {[*CHANGES, '# key-value heads for # = Llama'][stage - 1]}"
            values = [*((2, 4) if stage == 5 else ()), count, F, np.mean(losses[-1]), min(losses[-1]), max(losses[-1])]
            if stage == 0:
                printed.says(f"{name} # # # (#..#)", *values)
            else:
                gains = np.subtract(losses[-2], losses[-1])
                told.append(gains.mean())
                printed.says(f"{name} # # # (#..#) # (#..#)", *values, gains.mean(), gains.min(), gains.max())
        best = int(np.argmax(told))
        name, heads = ("# key-value heads for #", [2, 4]) if best == 4 else (CHANGES[best], [])
        spread = max(max(row) - min(row) for row in losses)
        total = np.mean(losses[0]) - np.mean(losses[-1])
        title = f"learning rate #: {name} brings most, # nats; all five #; seeds of one stage differ by up to #"
        titles.append((title, [rate, *heads, max(told), total, spread]))
        printed.says(title, *titles[-1][1])
        # twenty pieces of three steps; a piece stands at its middle step, counted from 1
        less = (curves[-1] - curves[0]).reshape(20, 3).mean(axis=1)
        title = "learning rate #: Llama's loss less GPT's is # nats where it is lowest (step #), # at the end"
        titles_on_the_way.append((title, [rate, less.min(), 3 * less.argmin() + 2, less[-1]]))
    for title, values in titles_on_the_way:
        printed.says(title, *values)
    printed.nothing_else()
    for name, told in (("12_one_change_at_a_time.png", titles), ("12_on_the_way.png", titles_on_the_way)):
        drawn(figures[name]).says(" ".join(title for title, _ in told), *(value for _, values in told for value in values))


def labels(axes) -> Printed:
    """What is written into a panel."""
    return Printed("\n".join(text.get_text() for text in axes.texts))


def test_example_11(monkeypatch, capsys, figures):
    """On the small random model, with larger weights, so that nothing is near to nothing, and with two facts of four learnt."""
    import common

    pytest.importorskip("tokenizers")
    tokenizer, maps = npgpt.BPETokenizer.from_text(npgpt.read_text(SENTENCES), 512), remembered_maps(monkeypatch)
    model, rng = npgpt.make_model(npgpt.LlamaConfig(512, 4, 4, 32, 64, n_kv_head=2), dtype="float64"), np.random.default_rng(6)
    model.load_state_dict({name: w + 0.25 * rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    adamw = npgpt.AdamW(model.parameters(), 1e-2)
    for _ in range(12):
        model.zero_grad()
        for sentence in ("almanyanın başkenti berlindir", "italyanın başkenti romadır"):
            ids = np.array([tokenizer.encode(sentence)])
            model.loss_and_grad(ids[:, :-1], ids[:, 1:])
        adamw.step()
    model.zero_grad()
    monkeypatch.setattr(common.Run, "model", lambda self, config: copy.deepcopy(model) if config == model.config else None)
    out, _ = run(monkeypatch, capsys, "11_a_real_language_model.py", "--random", "--quick", "--steps", 5)
    printed = Printed(out)
    twin = torchgpt.from_numpy(model)

    def p_after(ids) -> np.ndarray:
        return torch.softmax(twin(torch.tensor([ids]))[0].detach(), -1).numpy()  # (T, V)

    def word(token) -> str:
        return tokenizer.decode([int(token)])

    # a block: two norms, Wq and the projection, Wk and Wv of two groups of 8, three matrices of 88
    count = 512 * 32 + 4 * (2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 88 * 32) + 32
    printed.says("# parameters, # blocks, # tokens to choose from", count, 4, 512)
    ids = tokenizer.encode("fransanın başkenti paristir. ali topu at.")
    p, surprises = p_after(ids[:-1]), []
    for t, token in enumerate(ids[1:]):
        surprises.append(-math.log(p[t, token]))
        guess = p[t].argmax()
        printed.says(f"{word(token)!r}: # nats; its first guess {word(guess)!r} #", surprises[-1], p[t, guess])
    printed.says("mean surprise # nats a token; guessing: #", np.mean(surprises), math.log(512))
    worst = int(np.argmax(surprises))
    picture = drawn(figures["11_surprise.png"])
    title = f"What surprises it most is {word(ids[1 + worst])!r}, # nats; the mean is #"
    picture.says(title, surprises[worst], np.mean(surprises))
    picture.says("knows nothing: ln V = #", math.log(512))

    facts = {"fransanın": " paristir", "almanyanın": " berlindir", "japonyanın": " tokyodur", "italyanın": " romadır"}
    questions = {f"{name} başkenti": tokenizer.encode(answer)[0] for name, answer in facts.items()}
    asked = {question: tokenizer.encode(question) for question in questions}

    def answers() -> list[tuple[float, int]]:
        """Of each question the right answer's probability, and the likeliest token."""
        rows = [p_after(ids)[-1] for ids in asked.values()]
        return [(row[right], int(row.argmax())) for row, right in zip(rows, questions.values(), strict=True)]

    table = [answers()]
    for (question, right), (chance, said) in zip(questions.items(), table[0], strict=True):
        printed.says(f"'{question}': {word(right)!r} #; it says {word(said)!r}", chance)
    known = sum(said == right for (_, said), right in zip(table[0], questions.values(), strict=True))
    printed.says("# of # facts are known", known, 4)

    question, right = next(iter(questions.items()))
    ids = asked[question]
    T, said, trace = len(ids), word(right), twin.trace([ids])
    ranks, blocks = [], labels(figures["11_block_by_block.png"].axes[0])
    for block in range(4):
        stream = trace[f"blocks.{block}.resid_post"][0][0, -1].detach()
        normed = stream / torch.sqrt((stream**2).mean() + 1e-5) * twin.norm_f.weight
        row = torch.softmax(twin.token_embedding.weight @ normed, -1).detach().numpy()
        best = sorted(range(512), key=lambda token: -row[token])
        ranks.append(best.index(right) + 1)
        shown = ", ".join(f"{word(token)!r} #" for token in best[:3])
        printed.says(f"after block #: {shown}; {said!r} is number #", block + 1, *row[best[:3]], ranks[-1])
        for token in best[:3]:
            blocks.says(f"{token_label(word(token))[:16]} #", row[token])
    if 1 in ranks:
        printed.says(f"{said!r} comes first after block # of #", ranks.index(1) + 1, 4)
    else:
        assert f"{said!r} never comes first" in out

    patterns = np.array([trace[f"blocks.{block}.pattern"][0][0].detach().numpy() for block in range(4)])  # (L, H, T, T)
    words = [word(token) for token in ids]
    for layer, head in sorted(np.ndindex(4, 4), key=lambda place: -patterns[(*place, -1, 0)])[:3]:
        printed.says(f"layer #, head # looks at {words[0]!r}: #", layer + 1, head + 1, patterns[layer, head, -1, 0])
    targets = (*ids[1:], right)
    others = tuple(sorted({*itertools.chain(*asked.values()), *questions.values()}))
    (opened,) = {model for _, model, *_ in maps}
    norm = maps["gradient_map", opened, tuple(ids), targets].norm[-1]
    size = maps["replacement_map", opened, tuple(ids), targets, others].size[-1]
    attention = np.array([np.mean([patterns[layer, head, -1, s] for layer, head in np.ndindex(4, 4)]) for s in range(T)])
    for name, values in (
        ("attention", attention),
        ("length of the gradient", norm),
        ("replaced: size of the change", size),
    ):
        printed.says(f"{name}: " + ", ".join(f"{word!r} #" for word in words), *values)
    title = f"What decides {said!r}: rank correlation with replacing the token: attention #, gradient #"
    for place in (printed, drawn(figures["11_who_decides.png"])):
        place.says(title, spearman(attention, size), spearman(norm, size))

    prompt = tokenizer.encode("fransanın başkenti paristir. ali topu at.")
    trace = twin.trace([prompt])
    shares, long = collections.defaultdict(dict), len(prompt)
    for block, head in np.ndindex(4, 4):
        pattern = trace[f"blocks.{block}.pattern"][0][0, head].detach().numpy()
        shares["the token before"][block, head] = np.mean([pattern[t, t - 1] for t in range(1, long)])
        shares["itself"][block, head] = np.mean([pattern[t, t] for t in range(1, long)])
        shares["the first token"][block, head] = np.mean([pattern[t, 0] for t in range(1, long)])
        alike = [-sum(x * math.log(x) for x in pattern[t, : t + 1]) / math.log(t + 1) for t in range(1, long)]
        shares["all alike"][block, head] = np.mean(alike)
    habits = drawn(figures["11_heads.png"])
    for habit, by_head in shares.items():
        layer, head = max(by_head, key=by_head.get)
        printed.says(f"{habit}: layer #, head #, #", layer + 1, head + 1, by_head[layer, head])
        habits.says(f"{habit}: # layer #, head #", by_head[layer, head], layer + 1, head + 1)
    habits.says("Of # heads, those that look most at: the token before, itself, the first token, all alike", 16)

    twin.zero_grad()
    (-torch.log_softmax(twin(torch.tensor([ids]))[0, -1], -1)[right]).backward()
    kinds = ["norm1", "mha.Wq", "mha.Wk", "mha.Wv", "mha.projection", "norm2", "ffn.gate", "ffn.up", "ffn.down"]
    gradients = {name: parameter.grad for name, parameter in twin.named_parameters()}
    lengths = np.array([[float(gradients[f"blocks.{i}.{kind}.weight"].norm()) for i in range(4)] for kind in kinds])
    whole = [math.hypot(*lengths[:, i]) for i in range(4)]
    for i in range(4):
        printed.says("# # " + " ".join(f"{kind} #" for kind in kinds), i + 1, whole[i], *lengths[:, i])
    way_back = figures["11_way_back.png"]
    title = f"The way back from {said!r}: the first block's gradient is # times as long as the last one's"
    drawn(way_back).says(title, whole[0] / whole[-1])
    assert_cells(way_back.axes[0], lengths)

    taught, beside = tokenizer.encode(" ekmek"), tokenizer.encode("mısırın başkenti kahiredir")
    lost = {}
    for way, which, rehearsed in (
        ("all weights", "", []),
        ("blocks.2.ffn.down", "blocks.2.ffn.down.weight", []),
        ("all, others rehearsed", "", [beside]),
    ):
        twin = torchgpt.from_numpy(model)
        sentences = [ids + taught, *rehearsed]
        chosen = [parameter for name, parameter in twin.named_parameters() if which in ("", name)]
        adamw = torch.optim.AdamW(chosen, 1e-2, weight_decay=0.01)
        for _ in range(5):
            adamw.zero_grad()
            for sentence in sentences:
                logits = twin(torch.tensor([sentence[:-1]]))[0]
                (torch.nn.functional.cross_entropy(logits, torch.tensor(sentence[1:])) / len(sentences)).backward()
            adamw.step()
        table.append(answers())
        known = sum(said == right for (_, said), right in list(zip(table[-1], questions.values(), strict=True))[1:])
        lost[way] = sum(said == taught[0] for _, said in table[-1][1:])
        line = f"{way}: of the other # facts # are known, # are {word(taught[0])!r} too"
        printed.says(line, 3, known, lost[way])
        for question, (chance, said_now) in zip(questions, table[-1], strict=True):
            printed.says(f"'{question}': #; it says {word(said_now)!r}", chance)
    title = "Taught that 'fransanın başkenti ekmek', it says so of # of # others; with # true ones rehearsed, of #"
    for place in (printed, drawn(figures["11_one_fact.png"])):
        place.says(title, lost["all weights"], 3, 1, lost["all, others rehearsed"])
    written = labels(figures["11_one_fact.png"].axes[0])
    for q, _ in enumerate(questions):
        for column in table:
            written.says(f"{token_label(word(column[q][1]))} #", column[q][0])
    printed.nothing_else()
    written.nothing_else()
