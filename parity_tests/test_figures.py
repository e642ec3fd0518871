"""Every figure that the numbered examples print or draw, known from elsewhere.

A script is run as a reader runs it. The test says each of its lines again, `#` in the place of a number, with numbers of its own:
from the text and the weights, by formulas that are written here once more. A line with a number that no test asks for is an
error (`Printed.nothing_else`), so that a new one is noticed. The pictures' titles and cells are asked for in the same way.
"""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch

import npgpt
from npgpt.pictures.statistics import numpy_array

from .test_printed import all_windows, costs, digits, letters_of, run

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


def learned(config, steps: int, seed: int = 0, batches=None):
    """The model after so many steps on windows of the sentences, 8 a batch, at the rate 0.01."""
    model = npgpt.make_model(config, seed=seed, dtype="float64")
    rng, windows = np.random.default_rng(seed), all_windows(letters_of(), config.seq_len)
    draws = (rng.integers(len(windows[0]), size=8) for _ in range(steps))
    own = ((windows[0][rows], windows[1][rows]) for rows in draws)
    npgpt.train(model, own if batches is None else batches, steps=steps, learning_rate=1e-2)
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


def test_example_3(monkeypatch, capsys, figures):
    out, _ = run(monkeypatch, capsys, "03_attention.py")
    printed, text = Printed(out), "ali ata bak"
    model = learned(dataclasses.replace(ARTICLE, train_qkv=True, ffn_hidden=12), 1500)
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
    title = "Two branches write into the stream x; here FFN writes # times as strongly as attention"
    drawn(figures["03_block_step_by_step.png"]).says(title, sizes["ffn_out"] / sizes["attn_out"])

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
    lengths = [float(row.norm()) for row in xhat]
    printed.says("radii after LayerNorm: # to #; √3 = #", min(lengths), max(lengths), 3**0.5)
    printed.says("its backward lets # of # directions through: neither the mean nor the length", 1, 3)
    printed.says("what is left of the direction (#, #, #): #", 1, 1, 1, np.linalg.norm(jacobian.sum(axis=0)))
    printed.says("of the vector itself: #", np.linalg.norm(xhat[0].detach().numpy() @ jacobian))
    assert np.linalg.matrix_rank(jacobian, tol=1e-3 * np.linalg.norm(jacobian, 2)) == 1
    printed.nothing_else()


def test_example_5(monkeypatch, capsys, figures):
    out, _ = run(monkeypatch, capsys, "05_the_way_back.py")
    printed, text = Printed(out), "ali ata bak"
    model = learned(dataclasses.replace(ARTICLE, train_qkv=True), 300)
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
