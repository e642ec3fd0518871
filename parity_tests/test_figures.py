"""Every figure that the numbered examples print or draw, known from elsewhere.

A script is run as a reader runs it. The test says each of its lines again, `#` in the place of a number, with numbers of its own:
from the text and the weights, by formulas that are written here once more. A line with a number that no test asks for is an
error (`Printed.nothing_else`), so that a new one is noticed. The pictures' titles and cells are asked for in the same way.
"""

import collections
import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
import torch

import npgpt
import torchgpt
from npgpt.pictures.statistics import numpy_array

from .test_printed import SENTENCES, all_windows, conditional_entropy, costs, digits, letters_of, run

ALPHABET = "abcçdefgğhıijklmnoöprsştuüvyz .,"
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")


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


def rms(values: np.ndarray) -> float:
    return math.sqrt((values**2).sum() / values.size)


ARTICLE = npgpt.GPTConfig(32, 1, 1, 3, 12, ffn_hidden=0, train_qkv=False)


def test_the_gpt_that_is_said_once_more_counts_248():
    """32 rows of 3; LayerNorm 2 x 3; the projection 3 x 3 + 3; LayerNorm; the head 32 x 3 + 32."""
    model = npgpt.make_model(ARTICLE)
    assert npgpt.GPTConfig.article() == ARTICLE and model.num_parameters() == 96 + 6 + 12 + 6 + 128 == 248
    assert dataclasses.replace(ARTICLE, train_qkv=True) == npgpt.GPTConfig.article(train_qkv=True)


# --------------------------------------------------------------------------------------------------------------- examples 1 to 5


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
            gap = max(gap, *abs(table[ALPHABET.index(letter)] + encoding[one] - table[ALPHABET.index(letter)] - encoding[other]))
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


def test_example_4(monkeypatch, capsys, figures, asked_steps):
    out, _ = run(monkeypatch, capsys, "04_predicting.py")
    assert asked_steps == [1500]
    printed, text, ids = Printed(out), "ali ata bak.", ids_of("ali ata bak.")
    models = {"untrained": npgpt.make_model(ARTICLE, seed=0, dtype="float64"), "trained": learned(ARTICLE, FEW)}
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
    """Every model that a script makes from here on, in their order."""
    import common

    made, plain = [], common.Run.model
    monkeypatch.setattr(common.Run, "model", lambda *arguments: made.append(plain(*arguments)) or made[-1])
    return made


def facts() -> list[list[str]]:
    """The sentences about capitals, and those of four words that end in "bought"."""
    lines = [line.removesuffix(".").split() for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    return [words for words in lines if words[1] == "başkenti" or (len(words) == 4 and words[3] == "aldı")]


def test_example_7(monkeypatch, capsys, figures):
    made = all_made(monkeypatch)
    options = ["--widths", 1, 4, 8, 12, "--seeds", 2, "--steps", 150, "--seed", 3]
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
    for n, model in enumerate(made):
        width = (1, 4, 8, 12)[n // 2]
        models[width] = model
        logits = torchgpt.from_numpy(model)(torch.tensor(rows[:, :-1])).detach().numpy()
        losses.setdefault(width, []).append(costs(model, rows[:, :-1], rows[:, 1:]).mean())
        known.setdefault(width, []).append(int((logits[:, 2].argmax(-1) == rows[:, 3]).sum()))
        rank = np.linalg.matrix_rank(logits.reshape(-1, len(words)), tol=1e-5 * np.linalg.norm(logits.reshape(-1, len(words)), 2))
        assert rank == (1 if width == 1 else width)
        if n % 2:
            values = [np.mean(losses[width]), *sorted(losses[width]), np.mean(known[width]), 62, *sorted(known[width]), rank]
            printed.says("# # (#..#) #/# (#..#) #", width, *values)
    best = {width: min(values) for width, values in losses.items()}
    there = [width for width in best if (best[1] - best[width]) / (best[1] - floor) >= 0.95]
    knee = next(width for width in best if all(wider in there for wider in best if wider >= width))
    assert 1 < knee < 12
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

    for width in (8, 12):
        printed.says("n_embd #: # of # facts are answered wrong", width, 62 - known[width][1], 62)
    for width in (8, 12):
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
            rows = np.random.default_rng(seed).integers(len(every[0]), size=8)
            assert np.array_equal(call["first"], [side[rows] for side in every])
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
