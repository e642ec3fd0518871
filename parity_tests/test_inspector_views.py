"""Views 4 to 10 of the inspector's page show the recorder's numbers, and keys and clicks do what they say: in a real browser.

The pages come from short runs (seeds 0 and 1) and are opened from a file. What is written to four digits is compared to within
half a unit of its last digit (`shown`); what the page computes itself is compared within float32's rounding of what it is
computed from.
"""

import dataclasses
import math
import re
from types import SimpleNamespace

from common import SENTENCES, windows

import numpy as np
import pytest
from seeded_mistakes import CHOSEN, caught_by, mistake

import npgpt
from npgpt.inspector.explained import explained
from npgpt.inspector.labels import TURKISH
from npgpt.inspector.page import page_data, write_page
from npgpt.inspector.recorder import Recorder, probe_of
from npgpt.inspector.recording import Recording
from npgpt.sampling import next_token_probabilities

from .browser import console, drawn, low_contrast, open_browser, open_page
from .bugs import CATALOGUE

EPS = float(np.finfo(np.float32).eps)  # the page's numbers are float32
LAYER_NORM_EPS = 1e-5

TOKENIZER = npgpt.LetterTokenizer()
STEPS, EVERY, RATE = 40, 8, 1e-2
PROBE = "ali ata bak."
CONFIGS = {
    "gpt": npgpt.GPTConfig.article(train_qkv=True),
    "two blocks": npgpt.GPTConfig(32, n_layer=2, n_head=2, n_embd=6, seq_len=12),
    "lstm": npgpt.LSTMConfig.article(),
    "mamba": npgpt.MambaConfig(32, n_layer=1, n_embd=3, seq_len=12, d_state=2),
    "llama": npgpt.LlamaConfig(32, n_layer=1, n_head=2, n_embd=8, seq_len=12, n_kv_head=1, ffn_hidden=8),
}
BUGS = ("attention_dk_not_transposed", "adamw_no_bias_correction_of_v", "attention_mask_one_late")
INSIGHT = {"step": 24, "tensor": "ln_f.bias", "what": "it is off", "cause": "a cause", "remedy": "a remedy"}


# ------------------------------------------------------------------------------------------------------------ runs and pages


def recorded(config, seed: int = 0, rate=RATE) -> Recording:
    model = npgpt.make_model(config, seed=seed, dtype="float64")
    recorder = Recorder(
        model, probe_of(PROBE, TOKENIZER), tokenizer=TOKENIZER, training_steps=STEPS, steps=EVERY, prompt="ali ",
        learning_rate=rate, seed=seed,
    )  # fmt: skip
    batches = npgpt.random_batches(*windows(config.seq_len), 8, seed)
    hooks = {"on_gradient": recorder.on_gradient, "on_step": recorder.on_step}
    npgpt.train(model, batches, steps=STEPS, learning_rate=rate, **hooks)
    return recorder.finish()


@pytest.fixture(scope="module")
def runs() -> dict[str, Recording]:
    """A run of each kind; and of the article's GPT one with another seed, and one whose learning rate changes after step 16."""
    assert SENTENCES.exists()
    found = {name: recorded(config) for name, config in CONFIGS.items()}
    found["other seed"] = recorded(CONFIGS["gpt"], seed=1)
    found["other rate"] = recorded(CONFIGS["gpt"], rate=lambda step: RATE if step <= 16 else 3 * RATE)
    return found


@pytest.fixture(scope="module")
def mistakes(runs) -> list[dict]:
    return [mistake(CATALOGUE[name], runs["gpt"], lambda: recorded(CONFIGS["gpt"])) for name in BUGS]


@pytest.fixture(scope="module")
def pages(runs, mistakes, tmp_path_factory) -> dict:
    """name -> the path of a page. "full" has another seed, three mistakes and an insight; "parting" the run with another rate;
    "equal" the run twice."""
    folder = tmp_path_factory.mktemp("pages")
    words = explained(CONFIGS["gpt"], len(PROBE) - 1)
    datas = {name: page_data(runs[name], **(words if name == "gpt" else {})) for name in CONFIGS}
    datas["full"] = page_data(runs["gpt"], runs["other seed"], mistakes=mistakes, **words)
    datas["full"]["run"]["insights"] = [INSIGHT]
    datas["gpt"]["run"]["insights"] = []
    datas["parting"] = page_data(runs["gpt"], runs["other rate"])
    datas["equal"] = page_data(runs["gpt"], dataclasses.replace(runs["gpt"], name="the same"))
    for name, data in datas.items():
        write_page(folder / f"{name}.html", data)
    return {name: folder / f"{name}.html" for name in datas}


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


class Page:
    """One opened page: a view's texts, tables and state, and the hands of a reader."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, path, **screen) -> "Page":
        open_page(self.browser, path, **screen)
        return self

    def do(self, script: str, *arguments):
        return self.browser.execute_script(script, *arguments)

    def see(self, view: str) -> "Page":
        """Scrolls to a view and waits until it is drawn: twice, since what is drawn above it may push it away."""
        for _ in range(2):
            self.do("document.getElementById(arguments[0]).scrollIntoView({behavior: 'instant'})", view)
            self.settle()
        return self

    def settle(self) -> None:
        drawn(self.browser)

    def change(self, **part) -> "Page":
        self.do("change(arguments[0])", part)
        self.settle()
        return self

    def state(self, name: str):
        return self.do("return state[arguments[0]]", name)

    def text(self, selector: str) -> str:
        return self.do("return document.querySelector(arguments[0]).textContent", selector)

    def texts(self, selector: str) -> list[str]:
        return self.do("return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector)

    def click(self, selector: str, n: int = 0) -> None:
        click = "document.querySelectorAll(arguments[0])[arguments[1]].dispatchEvent(new MouseEvent('click', {bubbles: true}))"
        self.do(click, selector, n)
        self.settle()

    def press(self, selector: str, *keys: str) -> None:
        """Focuses an element and presses keys, all at once: some tests walk through whole heat maps."""
        script = """
            document.querySelector(arguments[0]).focus({preventScroll: true});
            for (const key of arguments[1]) {
              document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
            }"""
        self.do(script, selector, keys)
        self.settle()

    def table(self, view: str) -> list[list[str]]:
        """The rows of the view's text twin."""
        self.do("document.querySelector(`#${arguments[0]} details.twin`).open = true", view)
        self.settle()
        script = """
            const rows = [...document.querySelectorAll(`#${arguments[0]} .twin tbody tr`)];
            document.querySelector(`#${arguments[0]} details.twin`).open = false;
            return rows.map((row) => [...row.children].map((each) => each.textContent))"""
        return self.do(script, view)

    def sizes(self, selector: str, *names: str) -> list[list[float]]:
        """The named attributes of each of the elements, as numbers."""
        script = """const [selector, names] = arguments, found = [...document.querySelectorAll(selector)];
            return found.map((each) => names.map((name) => Number(each.getAttribute(name))))"""
        return self.do(script, selector, names)

    def heard(self) -> str:
        """What was last said to those who hear the page."""
        return self.text("[aria-live=polite].visually-hidden")


@pytest.fixture
def page(browser):
    return Page(browser)


@pytest.fixture
def full(page, pages, runs):
    """The GPT's page with everything in it, its run, and the place of step 24."""
    page.open(pages["full"])
    run = runs["gpt"]
    place = run.steps.tolist().index(24)
    page.change(place=place)
    return SimpleNamespace(page=page, run=run, place=place)


def read(text: str) -> float:
    """ "−1.2e−5" -> -1.2e-5, "∞" -> inf."""
    return float(text.replace("−", "-").replace("∞", "inf"))


def to(row: int, column: int) -> list[str]:
    """The keys that lead to a cell of a focused heat map, wherever one was before."""
    return ["ArrowUp"] * 40 + ["Home"] + ["ArrowDown"] * row + ["ArrowRight"] * column


def numbers(text: str) -> list[float]:
    """The numbers of a sentence."""
    return [read(each) for each in re.findall(r"−?(?:\d+(?:\.\d+)?(?:e−?\d+)?|∞)", text)]


def shown(text: str, value: float, digits: int = 4) -> bool:
    """Whether a text shows the value (which is float32 in the page) in so many digits."""
    if not math.isfinite(value):
        return read(text) == value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1) if value else 0.0
    return abs(read(text) - value) <= 0.5 * unit * (1 + 1e-6) + 2 * EPS * abs(value)


def all_shown(texts, values, digits: int = 4) -> bool:
    values = np.asarray(values, dtype=np.float64).ravel()
    return len(texts) == len(values) and all(shown(text, value, digits) for text, value in zip(texts, values, strict=True))


# ----------------------------------------------------------------------------------------------------------- the whole page


@pytest.mark.parametrize("name", [*CONFIGS, "full"])
def test_every_view_draws_without_an_error(page, pages, name):
    """Catches a view that throws for a kind of model, or for a page without runs to compare and without mistakes."""
    console(page.browser)
    page.open(pages[name])
    fourth = "gates" if name in ("lstm", "mamba") else "attention"
    views = page.do("return views.map(({id}) => id)")[3:]
    assert views == [fourth, "letters", "layer-norm", "flow", "next", "compare", "mistakes"]
    for view in views:
        page.see(view).change(place=2, position=3, direction="backward")
        page.change(place=5, direction="forward")
        if page.do("return document.querySelector(`#${arguments[0]} .absent`) === null", view):
            assert page.table(view)
    assert console(page.browser) == []


@pytest.mark.parametrize(("width", "dark"), [(360, True), (800, False)])
def test_nothing_is_wider_than_the_screen(page, pages, width, dark):
    """Catches a picture that pushes the page sideways on a telephone; and a scheme that breaks a view."""
    console(page.browser)
    page.open(pages["full"], width=width, dark=dark).change(mistake=BUGS[0], tensor="blocks.0.scores")
    for view in page.do("return views.slice(3).map(({id}) => id)"):
        page.see(view)
        assert page.do("return document.documentElement.scrollWidth - innerWidth") <= 0, view
    assert console(page.browser) == []


@pytest.mark.parametrize("name", ["gpt", "mamba"])
def test_what_was_left_out_is_said_and_the_way_to_it_shown(page, runs, tmp_path, name):
    """A page that is too small for every trace, or has lost its largest tensor: the views say so, and go on."""
    run = runs[name]
    words = explained(run.config, len(run.ids)) if name == "gpt" else {}
    write_page(tmp_path / "page.html", page_data(run, **words))
    megabytes, places = (tmp_path / "page.html").stat().st_size / 1e6, run.steps.tolist()
    while len(places) == len(run.steps):
        megabytes *= 0.98
        data = page_data(run, **words, max_mb=megabytes)
        places = data["run"]["trace"]["places"]
    missing = next(place for place in range(len(run.steps)) if place not in places)
    write_page(tmp_path / "page.html", data)
    console(page.browser)
    page.open(tmp_path / "page.html").change(place=missing)
    for view in ("attention", "layer-norm", "next") if name == "gpt" else ("gates", "next"):
        page.change(place=missing).see(view)
        assert "Left out at this step" in page.text(f"#{view} .banner")
        assert page.table(view) == []
        page.click(f"#{view} .banner button")
        assert page.state("place") in places
        if view == "layer-norm" and page.text(f"#{view} .banner"):  # the weights, which it needs too, were kept at fewer steps
            page.click(f"#{view} .banner button")
        assert page.text(f"#{view} .banner") == ""
        assert page.table(view)
    without = data["run"]["trace"]["tensors"]
    dropped = "blocks.0.scores" if name == "gpt" else "blocks.0.state"
    for part in without:
        part["name"] = "gone" if part["name"] == dropped else part["name"]  # its numbers stay, nobody asks for them
    write_page(tmp_path / "page.html", data)
    page.open(tmp_path / "page.html")
    for view in page.do("return views.slice(3).map(({id}) => id)"):
        page.see(view)
    assert console(page.browser) == []


@pytest.mark.parametrize(("lang", "letters", "tokens"), [
    ("en", "The letters in space", "The tokens in space"), ("tr", "Uzayda harfler", "Uzayda tokenler"),
])  # fmt: skip
def test_letters_are_called_tokens_where_a_token_is_longer(page, runs, tmp_path, lang, letters, tokens):
    for longer, title in ((False, letters), (True, tokens)):
        data = page_data(runs["gpt"], lang=lang)
        data["run"]["tokens"] = ["ab", *data["run"]["tokens"][1:]] if longer else data["run"]["tokens"]
        write_page(tmp_path / "page.html", data)
        assert page.open(tmp_path / "page.html").text("#letters h2") == title


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read(page, pages, dark):
    """Contrast of every text against what is behind it, 4.5 : 1 at least (WCAG AA): a letter against its mark, all others
    against the page. Catches a colour that was chosen for one scheme only."""
    page.open(pages["full"], dark=dark).change(mistake=BUGS[0], tensor="blocks.0.scores", direction="backward")
    for view in page.do("return views.slice(3).map(({id}) => id)"):
        page.see(view)
        assert low_contrast(page.browser, view) == [], view


# ---------------------------------------------------------------------------------------------------------------- attention


def test_attentions_table_is_the_recorded_row(full):
    page, run, place = full.page, full.run, full.place
    page.see("attention").change(position=4)
    rows, t = page.table("attention"), 4
    trace, back = (
        {name: group[f"blocks.0.{name}"][place, 0, t] for name in ("scores", "pattern")}
        for group in (run.values, run.gradients)
    )
    assert [row[2] for row in rows[:-1]] == ["0"] * 5 + ["−∞"] * 6  # the mask: not 0 where the future is
    assert all_shown([row[1] for row in rows[:5]], trace["scores"][:5])
    for column, values in ((3, trace["pattern"]), (4, back["pattern"]), (5, back["scores"])):
        assert all_shown([row[column] for row in rows[:-1]], values)
    assert shown(rows[-1][3], 1.0)


def test_the_future_is_compared_before_it_is_masked(full):
    """The first panel shows q · k / √D of every pair, computed from the recorded q and k. Catches an axis mixed up."""
    page, run, place = full.page, full.run, full.place
    page.see("attention").change(position=4)
    q, k = (run.values[f"blocks.0.{name}"][place, 0].astype(np.float32).astype(np.float64) for name in "qk")
    scores = q[4] @ k.T / math.sqrt(3)
    rounding = 4 * EPS * np.abs(q[4]) @ np.abs(k.T)
    found = np.array([read(row[1]) for row in page.table("attention")[:-1]])
    assert (np.abs(found - scores) <= 0.6e-3 * np.abs(scores) + rounding).all()


def test_rows_of_dscores_sum_to_0_as_shown(full):
    """What is said of each cell in the column Σ beside dscores. Catches a sum over the wrong axis."""
    page, run, place = full.page, full.run, full.place
    page.see("attention")
    edge = "#attention [aria-label='sum of each row of dscores']"
    largest = np.abs(run.gradients["blocks.0.scores"][place]).max()
    for t in range(11):
        page.press(edge, *to(t, 0))
        assert abs(numbers(page.heard())[-1]) <= 11 * EPS * largest, page.heard()


def test_a_key_in_the_pattern_chooses_who_looks_at_whom(full):
    page, run, place = full.page, full.run, full.place
    page.see("attention")
    pattern = "#attention [aria-label^='pattern']"
    page.press(pattern, *to(5, 2))
    assert shown(page.heard().split(": ")[-1], run.values["blocks.0.pattern"][place, 0, 5, 2])
    page.press(pattern, "Enter")
    assert page.state("tensor") == "blocks.0.pattern" and page.state("cell") == [0, 5, 2] and page.state("position") == 5
    told = numbers(page.text("#attention .told"))
    expected = [5, 2, *(group[f"blocks.0.{name}"][place, 0, 5, 2] for group, name in (
        (run.values, "scores"), (run.values, "pattern"), (run.gradients, "pattern"), (run.gradients, "scores")))]  # fmt: skip
    np.testing.assert_allclose(told, expected, rtol=0.6e-3)


def test_a_chosen_pair_is_framed_in_all_maps_and_turns_no_direction(full):
    """Catches a click on dscores that turns the whole page to backward, and a frame in the clicked map alone."""
    page = full.page
    page.see("attention")
    page.press("#attention [aria-label^='dscores']", *to(6, 3), "Enter")
    assert page.state("direction") == "forward" and page.state("cell") == [0, 6, 3]
    frames = page.do(
        """const found = [...document.querySelectorAll("#attention .map-with-axis .cells:first-child .frame")];
        return found.map((frame) => ["visibility", "x", "y"].map((name) => frame.getAttribute(name)).join(" "))"""
    )
    assert len(frames) == 5 and len(set(frames)) == 1 and frames[0].startswith("visible")


def test_the_written_backward_of_the_softmax_comes_to_what_it_says(full):
    """Worked out from the digits that are shown, within a thousandth and the result's own four digits. Catches a
    difference that cancels and is written to too few digits."""
    page = full.page
    page.see("attention")
    for t in range(11):
        for s in range(t + 1):
            page.do("change({tensor: 'blocks.0.scores', cell: [0, arguments[0], arguments[1]]})", t, s)
            page.settle()
            written = page.text("#attention .softmax-back .arithmetic")
            p, a, b, result = numbers(re.sub(r"[()]", " ", written.replace(" − ", " ; ")))
            longest = max(len(re.sub(r"e.*|\D", "", text).lstrip("0")) for text in re.findall(r"[\d.]+(?:e−?\d+)?", written))
            assert abs(p * (a - b) - result) <= 1.6e-3 * abs(result) or longest >= 7, written


def test_another_head_shows_its_own_pattern(page, pages, runs):
    """Catches a head's offset that is wrong in the second head or block."""
    run = runs["two blocks"]
    page.open(pages["two blocks"]).see("attention").change(place=5, position=6)
    for block in (0, 1):
        page.click("#attention .choosers [aria-label=block] button", block)
        for head in (0, 1):
            page.click("#attention .choosers [aria-label=head] button", head)
            weights = [row[3] for row in page.table("attention")[:-1]]
            assert all_shown(weights, run.values[f"blocks.{block}.pattern"][5, head, 6])


def test_rope_turns_without_a_change_of_length(page, pages, runs):
    run, t = runs["llama"], 7
    page.open(pages["llama"]).see("attention").change(place=5, position=t)
    page.click("#attention [data-pair]", 1)
    sentence = numbers(page.texts("#attention .in-numbers")[-1])
    before, after = (run.values[f"blocks.0.{name}"][5, 0, t, [1, 3]] for name in ("q", "rot_q"))  # pair 1 of D = 4
    angle = t * 10000.0 ** (-2 / 4) % (2 * math.pi)
    np.testing.assert_allclose(sentence, [t, 1, angle, np.hypot(*after)], rtol=0.6e-2)
    np.testing.assert_allclose(np.hypot(*after), np.hypot(*before), rtol=1e-12)


# -------------------------------------------------------------------------------------------------------------------- gates


@pytest.mark.parametrize("kind, parts", [("lstm", "ifgoch"), ("mamba", ("delta", "state", "y", "gate"))])
def test_gates_and_states_are_the_recorded_ones(page, pages, runs, kind, parts):
    """Catches units and positions exchanged, and the wrong channel's state."""
    run, t = runs[kind], 6
    page.open(pages[kind]).see("gates").change(place=5, position=t)
    for part in parts:
        value, gradient = run.values[f"blocks.0.{part}"][5, t], run.gradients[f"blocks.0.{part}"][5, t]
        rows = [row for row in page.table("gates") if row[0].startswith(f"{part}[")]
        assert all_shown([row[1] for row in rows], value[0] if part == "state" else value)
        assert all_shown([row[2] for row in rows], gradient[0] if part == "state" else gradient)


def test_a_key_in_a_gate_chooses_it(page, pages, runs):
    run = runs["lstm"]
    page.open(pages["lstm"]).see("gates").change(place=5)
    page.press("#gates [aria-label='c, gradient']", *to(1, 4), "Enter")
    assert page.state("tensor") == "blocks.0.c" and page.state("cell") == [4, 1]
    assert page.state("direction") == "backward" and page.state("position") == 4
    told = numbers(page.text("#gates .told").split("=")[1])
    c, before = run.values["blocks.0.c"][5, 4, 1], run.values["blocks.0.c"][5, 3, 1]
    gates = [run.values[f"blocks.0.{gate}"][5, 4, 1] for gate in "fig"]
    np.testing.assert_allclose(told, [c, run.gradients["blocks.0.c"][5, 4, 1], before, *gates], rtol=0.6e-3)


# ------------------------------------------------------------------------------------------------------------------ letters


@pytest.mark.parametrize("picture", [".space-box svg", ".flats svg"])
def test_a_click_chooses_the_nearest_letter_and_the_pointer_names_it(full, picture):
    """Catches marks that are too small, or covered, to be clicked."""
    page = full.page
    page.see("letters")
    script = """
        const [selector, k] = arguments, node = document.querySelector("#letters " + selector);
        const box = node.getBoundingClientRect(), mark = [...node.querySelectorAll(".letter-mark")][k];
        const [clientX, clientY] = [box.left + Number(mark.getAttribute("x")) + 2, box.top + Number(mark.getAttribute("y"))];
        for (const kind of ["pointermove", "pointerdown", "click"]) {
          node.dispatchEvent(new PointerEvent(kind, {clientX, clientY, bubbles: true}));
        }
        return node.querySelector(".hint").textContent"""
    chosen = set()
    for k in range(0, 32, 5):
        named = page.do(script, picture, k)
        page.settle()
        assert page.text("#letters .letter-where").startswith(f"“{named}” at step")
        chosen.add(named)
    assert len(chosen) > 3


def test_the_two_arrows_are_the_gradient_and_the_update(full):
    """Three digits each, with the sign turned for the gradient; and how much longer they are drawn. Catches probe and batch
    gradient mixed up, and the step before taken for this one."""
    page, run, place = full.page, full.run, full.place
    page.see("letters").change(position=1)  # "l"
    letter = TOKENIZER.encode("l")[0]
    name = "token_embedding.weight"
    update, gradient, point = (group[name][place, letter] for group in (run.updates, run.batch_gradients, run.weights))
    assert np.abs(gradient).max() > 0
    np.testing.assert_allclose(numbers(page.text("#letters .letter-where"))[1:], point, rtol=0.6e-2)
    reach = np.linalg.norm(run.weights[name], axis=-1).max()
    texts = page.texts("#letters .arrow-fact .in-numbers")
    for text, vector in zip(texts, (-gradient, update), strict=True):
        length = np.linalg.norm(vector)
        np.testing.assert_allclose(numbers(text), [*vector, length, 0.3 * reach / length], rtol=0.6e-2)
    angle = math.degrees(math.acos(-gradient @ update / np.linalg.norm(gradient) / np.linalg.norm(update)))
    assert abs(numbers(page.texts("#letters .letter-facts > .in-numbers")[-1])[0] - angle) <= 0.006 * angle


@pytest.mark.parametrize("flat, axes", [(0, (0, 1)), (1, (0, 2)), (2, (1, 2))])
def test_arrows_in_the_flat_pictures_point_as_the_data(full, flat, axes):
    """A drawn line's direction equals the components', y upwards. Catches exchanged or mirrored axes."""
    page, run, place = full.page, full.run, full.place
    page.see("letters").change(position=1)
    letter = TOKENIZER.encode("l")[0]
    name = "token_embedding.weight"
    for what, vector in (("gradient", -run.batch_gradients[name][place, letter]), ("update", run.updates[name][place, letter])):
        lines = page.sizes(f"#letters .flats svg:nth-child({flat + 1}) line.arrow.{what}", "x1", "y1", "x2", "y2")
        flattened = vector[list(axes)]
        if not lines:  # it points at the reader: too short to be drawn
            assert np.linalg.norm(flattened) < 0.5 * np.linalg.norm(vector)
            continue
        ((x1, y1, x2, y2),) = lines
        line = np.array([x2 - x1, y1 - y2])
        cosine = line @ flattened / np.linalg.norm(line) / np.linalg.norm(flattened)
        assert cosine > 1 - 1e-5


def places_of_letters(page) -> list[list[float]]:
    marks = "#letters .space-box .letter-mark"
    return sorted([text, *place] for text, place in zip(page.texts(marks), page.sizes(marks, "x", "y"), strict=True))


def test_the_letters_turn_by_keys_and_buttons_and_go_back(full):
    """Keys, buttons and dragging turn the picture, and nothing else: the step stays."""
    page = full.page
    page.see("letters")
    start = places_of_letters(page)
    assert len(start) == 32
    page.press("#letters .space-box svg", "ArrowLeft", "ArrowUp")
    turned = places_of_letters(page)
    assert turned != start and page.state("place") == full.place
    page.click("#letters [aria-label='reset']")
    assert places_of_letters(page) == start
    page.click("#letters [aria-label='turn left']")
    page.click("#letters [aria-label='tilt up']")
    assert places_of_letters(page) == turned
    page.press("#letters .space-box svg", "r")
    assert places_of_letters(page) == start


def test_a_turn_keeps_the_lengths(full):
    """Right, up and depth of a turned vector have its length. Catches a wrong sign in the turn, which would shear."""
    page, run, place = full.page, full.run, full.place
    page.see("letters")
    points = {letter: run.weights["token_embedding.weight"][place, TOKENIZER.encode(letter)[0]] for letter in "abcçdefg"}
    width = page.do("return document.querySelector('#letters .space-box svg').clientWidth")
    reach = np.linalg.norm(run.weights["token_embedding.weight"], axis=-1).max()
    scale = (width / 2 - 30) / (1.06 * reach)
    planes = []
    for _ in range(2):
        found = {text: np.array([x - width / 2, width / 2 - y]) / scale for text, x, y in places_of_letters(page)}
        planes.append(np.array([found[letter] for letter in points]))
        page.press("#letters .space-box svg", "ArrowRight", "ArrowRight", "ArrowUp")
    exact = np.array(list(points.values()))
    for plane in planes:
        projection = np.linalg.lstsq(exact, plane, rcond=None)[0]  # (3, 2): right and up, in the features
        np.testing.assert_allclose(projection.T @ projection, np.eye(2), atol=0.02)  # drawn to a tenth of a pixel or finer


def test_a_letter_is_chosen_from_the_list_and_leaves_with_the_position(full):
    page = full.page
    page.see("letters")
    page.do("""const list = document.querySelector("#letters select"); list.value = String(arguments[0]);
               list.dispatchEvent(new Event("change"))""", TOKENIZER.encode("z")[0])  # fmt: skip
    page.settle()
    assert "“z”" in page.text("#letters .letter-where")
    page.change(position=1)
    assert "“l”" in page.text("#letters .letter-where")


# ---------------------------------------------------------------------------------------------------------------- LayerNorm


@pytest.mark.parametrize("layer, x", [("ln_f", "blocks.0.resid_post"), ("blocks.0.ln1", "blocks.0.resid_pre")])
def test_the_circle_has_radius_root_3_and_the_gradient_runs_along_it(full, layer, x):
    """xhat by its own formula, sqrt(3 var / (var + eps)) long; the gradient's parts along (1, 1, 1) and outwards are 0 (but for
    eps, and float32's rounding of what it is summed from). For ln_f it is all of x's gradient; for ln1, what is left of it
    without what goes past the block."""
    page, run, place = full.page, full.run, full.place
    page.see("layer-norm").change(direction="backward")
    page.click(f"#layer-norm [data-layer='{layer}']")
    rows = page.table("layer-norm")
    values, gradients = run.values[x][place], run.gradients[x][place]
    if layer != "ln_f":
        gradients = gradients - run.gradients["blocks.0.resid_mid"][place]
    centred = values - values.mean(-1, keepdims=True)
    var = (centred**2).mean(-1)
    xhat = centred / np.sqrt(var + LAYER_NORM_EPS)[:, None]
    dxhat = run.gradients[layer][place] * run.weights[f"{layer}.weight"][place]
    size = np.abs(dxhat).max() / np.sqrt(var.min())  # of the terms that are summed
    for t, row in enumerate(rows):
        np.testing.assert_allclose([read(each) for each in row[2:5]], xhat[t], rtol=0.6e-3, atol=8 * EPS)
        assert shown(row[5], math.sqrt(3 * var[t] / (var[t] + LAYER_NORM_EPS)))
        dx = np.array([read(each) for each in row[6:9]])
        np.testing.assert_allclose(dx, gradients[t], rtol=0.6e-3, atol=16 * EPS * size)
        radial, along = read(row[9]), read(row[10])
        outwards = gradients[t] @ xhat[t] / np.linalg.norm(xhat[t])
        assert abs(radial - outwards) <= 16 * EPS * size + 1e-3 * abs(outwards)
        only_eps = dxhat[t] @ xhat[t] / np.linalg.norm(xhat[t]) * LAYER_NORM_EPS / (var[t] + LAYER_NORM_EPS) ** 1.5
        assert abs(radial - only_eps) <= 16 * EPS * size + 1e-3 * abs(only_eps)
        assert abs(along - np.linalg.norm(gradients[t])) <= 0.6e-3 * along + 16 * EPS * size


def test_the_letters_lie_on_the_drawn_circle(full):
    page = full.page
    page.see("layer-norm")
    (circle,) = page.sizes("#layer-norm .the-circle", "cx", "cy", "r")
    marks = page.sizes("#layer-norm .letter-mark", "x", "y")
    assert len(marks) == 11
    x = full.run.values["blocks.0.resid_post"][full.place]
    shorter = LAYER_NORM_EPS / x.var(-1).min()  # by eps
    for mark in marks:
        radius = math.hypot(mark[0] - circle[0], mark[1] - circle[1])
        assert 1 - shorter - 1e-4 <= radius / circle[2] <= 1 + 1e-4
    assert page.texts("#layer-norm line.arrow") == []  # forward: no gradients
    page.change(direction="backward")
    lines = page.sizes("#layer-norm line.arrow", "x1", "y1", "x2", "y2")
    assert lines
    place, t = full.place, page.state("position")
    row, gradient = x[t] - x[t].mean(), full.run.gradients["blocks.0.resid_post"][place, t]
    turn = lambda v: np.array([v[0] - v[1], (v[0] + v[1] - 2 * v[2]) / math.sqrt(3)])  # noqa: E731 (the picture's plane)
    at = np.array([circle[0], circle[1]]) + turn(row) * [1, -1] * circle[2] / np.linalg.norm(turn(row))
    ends = [np.array([[x1, y1], [x2, y2]]) for x1, y1, x2, y2 in lines]
    mine = min(ends, key=lambda line: np.linalg.norm(line[0] - at))
    if np.linalg.norm(mine[0] - at) < 20:  # its arrow is long enough to be drawn: it points where the loss falls
        assert (mine[1] - mine[0]) @ (turn(gradient) * [1, -1]) < 0
    for x1, y1, x2, y2 in lines:  # each starts near its letter and is tangent: its line passes the centre at the radius
        away = abs((x2 - x1) * (y1 - circle[1]) - (y2 - y1) * (x1 - circle[0])) / math.hypot(x2 - x1, y2 - y1)
        assert abs(away / circle[2] - 1) <= 0.01


WITHOUT = {"lstm": "no LayerNorm", "mamba": "RMSNorm", "llama": "RMSNorm", "two blocks": "n_embd = 3"}


@pytest.mark.parametrize(("name", "word"), WITHOUT.items())
def test_a_model_without_the_circle_says_why(page, pages, name, word):
    assert word in page.open(pages[name]).text("#layer-norm .absent")


# --------------------------------------------------------------------------------------------------------------------- flow


def rms(array) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


def test_the_heat_maps_numbers_are_log10_of_the_root_mean_squares(full):
    """Each tensor at each place, by the arrow keys, for all four switches. Catches rows and steps exchanged."""
    page, run = full.page, full.run
    page.see("flow")
    names = list(run.weights)
    groups = {"weights": run.weights, "gradients": run.batch_gradients, "updates": run.updates}
    for kind in ("weights", "gradients", "updates", "ratio"):
        page.click(f"#flow [data-kind={kind}]")
        for r, name in enumerate(names):
            place = r % 5
            page.press("#flow .step-plot", *to(r, place))
            told = page.text("#flow .step-told")
            u, w = rms(run.updates[name][place]), rms(run.weights[name][place])
            size = u / w if kind == "ratio" and w else math.inf if kind == "ratio" else rms(groups[kind][name][place])
            assert told.startswith(f"{name} at step {run.steps[place]}: "), told
            last = told.split(": ", 1)[1]
            if size not in (0, math.inf):
                np.testing.assert_allclose(numbers(last)[-1], math.log10(size), atol=0.006 * max(1, abs(math.log10(size))))
            expected = [u, w, size] if kind == "ratio" else [size]
            found = numbers(last.replace("log₁₀", ""))[: len(expected)]
            np.testing.assert_allclose(found, expected, rtol=0.6e-3)


def test_a_cell_of_the_heat_map_goes_to_its_step_and_tensor(full):
    page = full.page
    page.see("flow")
    page.press("#flow .step-plot", *to(1, 1), "Enter")
    assert page.state("place") == 1 and page.state("tensor") == list(full.run.weights)[1]


def test_what_was_asked_stands_beneath_with_its_thresholds(page, pages):
    """A reader who sees large ratios at step 0 learns why nothing is called off."""
    asked = page.open(pages["gpt"]).see("flow").texts("#flow .note")[-1]
    assert "below 1e-08" in asked and "past the first 100 steps" in asked and "more than 0.1 of its weights" in asked


def test_an_insight_goes_to_its_step_and_tensor(full, pages):
    page = full.page
    page.see("flow").change(place=0)
    assert all(text in page.text("#flow .insight") for text in ("step 24", "ln_f.bias", "it is off", "a cause", "a remedy"))
    page.click("#flow .insight")
    assert page.state("place") == full.place and page.state("tensor") == "ln_f.bias"
    assert "Nothing is off" in page.open(pages["gpt"]).text("#flow .all-good")


# ------------------------------------------------------------------------------------------------------------- next letter


@pytest.mark.parametrize("slider, top_k", [(0, None), (-1.5, None), (1.2, 5), (0, 1)])
def test_the_bars_are_the_softmax_of_the_recorded_logits(full, slider, top_k):
    """As npgpt/sampling.py has it, at a temperature of 2^slider. At temperature 1 without top-k it is what was recorded:
    dlogits = (p - onehot) / N. Catches the order of temperature and top-k, and a softmax without its maximum."""
    page, run, place = full.page, full.run, full.place
    t = 3
    page.see("next").change(position=t)
    move = """const each = document.querySelectorAll("#next input[type=range]")[arguments[0]];
        each.value = arguments[1];
        each.dispatchEvent(new Event("input"))"""
    page.do(move, 0, str(slider))
    page.do(move, 1, str(top_k or 32))
    p = next_token_probabilities(run.values["logits"][place, t][None], 2.0**slider, top_k)[0]
    target = int(run.targets[t])
    for v, text in enumerate(page.texts("#next .next-number")):
        assert (text == "cut off") if p[v] == 0 else shown(text, p[v], 3), v
    widths = page.do("return [...document.querySelectorAll('#next .next-fill')].map((each) => parseFloat(each.style.width))")
    np.testing.assert_allclose(widths, 100 * p, atol=0.0051)
    assert page.texts("#next .next-came") == ["← came" if v == target else "" for v in range(32)]
    if slider == 0 and top_k is None:
        born = run.gradients["logits"][place, t] * len(run.ids) + (np.arange(32) == target)
        np.testing.assert_allclose(p, born, rtol=1e-9, atol=1e-12)
    much = page.texts("#next .much")
    surprise, entropy = -math.log(p[target]) if p[target] else math.inf, -sum(x * math.log(x) for x in p if x)
    for text, nats in ((much[0], surprise), (much[1], entropy)):
        np.testing.assert_allclose(numbers(text), [nats, nats / math.log(2)], rtol=0.6e-3, atol=1e-6)
    assert much[2].startswith(npgpt.letters[int(p.argmax())].replace(" ", "␣"))


def test_the_button_takes_the_sliders_back(full):
    page = full.page
    page.see("next")
    before = page.texts("#next .next-number")
    page.do("const each = document.querySelector('#next input'); each.value = '2'; each.dispatchEvent(new Event('input'))")
    assert page.texts("#next .next-number") != before
    page.click("#next .choosers button")
    assert page.texts("#next .next-number") == before


# ----------------------------------------------------------------------------------------------------------------- two runs


def test_the_first_parting_is_named_and_shown(page, pages, runs):
    """The rate changes with update 17, between the recorded steps 16 and 24. Catches an off-by-one in the step, and a button
    that goes elsewhere."""
    page.open(pages["parting"]).see("compare")
    sentence = page.text("#compare .parting p")
    assert "Until step 16 they are equal" in sentence and "the update that AdamW made" in sentence
    first = next(iter(runs["gpt"].updates))
    assert f"first in {first}" in sentence
    ours, theirs = (run.updates[first][2] for run in (runs["gpt"], runs["other rate"]))
    size = np.abs(ours - theirs).max() / np.abs(ours).max()
    assert abs(numbers(sentence)[-1] - size) <= 0.006 * size
    page.click("#compare .go-there")
    assert page.state("place") == 2 and page.state("tensor") == first and page.state("direction") == "backward"


def test_the_difference_of_each_tensor_is_told(full, runs):
    page, run, place = full.page, full.run, full.place
    page.see("compare")
    rows = {row[0]: row[1] for row in page.table("compare")}
    for name in ("blocks.0.q", "logits"):
        a, b = run.values[name][place], runs["other seed"].values[name][place]
        assert shown(rows[name], np.abs(a - b).max() / np.abs(a).max())
    page.press("#compare .step-plot", *to(0, place))
    first = next(iter(rows))
    assert page.text("#compare .step-told").startswith(f"{first} at step 24: ")
    assert numbers(page.text("#compare .step-told"))[-1] == read(rows[first])


def test_both_values_stand_side_by_side(full, runs):
    page, run, place = full.page, full.run, full.place
    page.see("compare").change(tensor="blocks.0.k", direction="backward")
    values = {}
    for n, other in enumerate((run, runs["other seed"])):
        page.press(
            f"#compare .pair .map-panel:nth-child({n + 1}) .cells",
            *to(4, 1),
        )
        values[n] = page.heard().split(": ")[-1]
        assert shown(values[n], other.gradients["blocks.0.k"][place, 0, 4, 1])
    assert values[0] != values[1]


def test_equal_runs_and_a_single_run_are_told(page, pages):
    assert "equal in everything" in page.open(pages["equal"]).see("compare").text("#compare .parting")
    assert "--compare" in page.open(pages["gpt"]).text("#compare .absent")


# ----------------------------------------------------------------------------------------------------------------- mistakes


def test_a_wrong_gradient_and_a_right_one_are_told_apart(full):
    """dK's mistake has few digits; the optimiser's has all of them. The loss at the end is the mean of its last tenth."""
    page, run = full.page, full.run
    page.see("mistakes")
    rows = page.table("mistakes")
    assert [row[0] for row in rows] == ["right code", *(name.replace("_", " ") for name in BUGS)]
    assert rows[0][1] == f"{min(16, round(np.nanmedian(run.digits)))} of 16" and shown(rows[0][2], np.mean(run.losses[-4:]))
    assert numbers(rows[1][1])[0] < 8 < numbers(rows[2][1])[0]
    assert rows[1][3] == "wrong gradient" and rows[2][3].startswith("right gradient")
    assert rows[1][4] == "blocks.0.k" and "complex step" in rows[1][5]
    assert rows[2][4] == "" and "complex step" not in rows[2][5]


def test_a_mistake_is_switched_on_by_click_and_by_key(full, mistakes):
    """Its line, its story, its first wrong tensor in numbers; and the button that shows it in the pipeline."""
    page = full.page
    page.see("mistakes")
    assert page.do("return document.querySelector('#mistakes .mistake-detail').hidden")
    page.click("#mistakes button.mistake-row", 1)
    bug = CATALOGUE[BUGS[0]]
    assert page.state("mistake") == bug.name
    assert page.text("#mistakes .diff .old").strip() == f"right {bug.old}"
    assert page.text("#mistakes .diff .new").strip() == f"wrong {bug.new}"
    assert "attention_backward" in page.text("#mistakes .diff") and bug.story in page.text("#mistakes .story")
    assert "its gradient (1, 11, 3)" in page.text("#mistakes .mistake-detail")
    right, mistaken = (mistakes[0][each][0, 4, 1] for each in ("right", "wrong"))
    for label, value in (("right", right), ("wrong", mistaken), ("wrong − right", mistaken - right)):
        page.press(f"#mistakes .cells[aria-label='{label}']", *to(4, 1))
        assert shown(page.heard().split(": ")[-1], value), label
    page.click("#mistakes .go-there")
    assert page.state("tensor") == "blocks.0.k" and page.state("direction") == "backward"
    gap = np.abs(mistakes[0]["right"] - mistakes[0]["wrong"])
    assert gap[tuple(page.state("cell"))] == gap.max() and page.state("place") == len(full.run.steps) - 1
    page.see("mistakes").press("#mistakes button.mistake-row[aria-checked=true]", "ArrowDown")
    assert page.state("mistake") == BUGS[1]
    assert "None: every value and every gradient is right" in page.text("#mistakes .mistake-detail")
    page.press("#mistakes button.mistake-row[aria-checked=true]", "ArrowUp", "ArrowUp")
    assert page.state("mistake") is None and page.do("return document.querySelector('#mistakes .mistake-detail').hidden")


def test_a_cell_that_is_masked_in_one_only_is_shown_as_different(full):
    """The late mask opens the cell after the diagonal: −∞ in the right code, a number in the wrong one. Catches a difference
    that is infinite and painted as none."""
    page = full.page
    page.see("mistakes").change(mistake=BUGS[2])
    tile = "#mistakes .cells[aria-label='wrong − right']"
    for cell, value in (((2, 3), "∞"), ((2, 2), "0"), ((2, 4), "0")):
        page.press(tile, *to(*cell))
        assert page.heard().endswith(f": {value}"), cell
    colours = page.do(
        """const canvas = document.querySelector(arguments[0] + " canvas"), pen = canvas.getContext("2d");
        const [width, height] = [canvas.width / 11, canvas.height / 11];
        return [3, 2, 4].map((c) => String(pen.getImageData((c + 0.2) * width, 2.3 * height, 1, 1).data))""",
        tile,
    )
    assert colours[0] != colours[1] == colours[2]
    assert "masked in one of the two only" in page.texts("#mistakes .pair .limit")[2]


def test_a_page_without_mistakes_says_how_to_make_one(page, pages):
    assert "--bugs" in page.open(pages["gpt"]).text("#mistakes .absent")


def test_every_mistake_has_a_turkish_name_story_and_checks():
    """They come with the data, so the page would show the English ones. Catches a new mistake, and a story that was changed."""
    bugs = [CATALOGUE[name] for names in CHOSEN.values() for name in names]
    told = {text for bug in bugs for text in (bug.name.replace("_", " "), bug.story, *caught_by()[bug.name])}
    assert {text for text in told if text not in TURKISH} == set()
