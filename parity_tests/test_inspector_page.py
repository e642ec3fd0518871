"""The inspector's page in a real browser: it opens without a word in the console, one timeline moves its views, and what it
says about a number is what Python says. Skipped where there is no selenium or no chromium (see browser.py)."""

import dataclasses
import math
import re
import zlib

import numpy as np
import pytest

import npgpt
from npgpt.inspector.arithmetic import evaluated, helpers_written, number, written
from npgpt.inspector.explained import explained
from npgpt.inspector.formulas import formulas_of
from npgpt.inspector.labels import TURKISH
from npgpt.inspector.page import page_data, script_paths, write_page
from npgpt.inspector.recorder import Recorder, probe_of

from .browser import console, drawn, evaluate, low_contrast, open_browser, open_page, press

CONFIGS = {
    "gpt": npgpt.GPTConfig(32, n_layer=1, n_head=2, n_embd=4, seq_len=12, position="sinusoidal"),
    "lstm": npgpt.LSTMConfig.article(),
    "mamba": npgpt.MambaConfig(32, n_layer=1, n_embd=3, seq_len=12, d_state=2, d_conv=3),
    "llama": npgpt.LlamaConfig(32, n_layer=1, n_head=2, n_embd=4, seq_len=12, n_kv_head=1, ffn_hidden=8),
}
STEPS, EVERY = 24, 4  # training steps; recorded are 0, 4, ..., 24
EPS = float(np.finfo(np.float64).eps)


def recorded(config):
    """A short run on one text, recorded."""
    tokenizer = npgpt.LetterTokenizer()
    text = np.array(tokenizer.encode("ali ata bak. ayşe topu at, ali tut. " * 4))
    model = npgpt.make_model(config, seed=0, dtype="float64")
    recorder = Recorder(
        model, probe_of("ali ata bak.", tokenizer), tokenizer=tokenizer, training_steps=STEPS, steps=EVERY, prompt="ali ",
        learning_rate=1e-2, text=text, seed=0,
    )  # fmt: skip
    batches = npgpt.random_batches(*npgpt.sliding_windows(text, config.seq_len), 4, 0)
    npgpt.train(model, batches, steps=STEPS, learning_rate=1e-2, on_gradient=recorder.on_gradient, on_step=recorder.on_step)
    return recorder.finish()


@pytest.fixture(scope="module")
def recordings() -> dict:
    return {kind: recorded(config) for kind, config in CONFIGS.items()}


@pytest.fixture(scope="module")
def pages(recordings, tmp_path_factory) -> dict:
    """kind -> the path of its page."""
    folder, paths = tmp_path_factory.mktemp("pages"), {}
    for kind, recording in recordings.items():
        paths[kind] = folder / f"{kind}.html"
        write_page(paths[kind], page_data(recording, **explained(recording.config, len(recording.ids))))
    return paths


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture
def gpt(browser, pages):
    """The GPT's page, freshly opened."""
    open_page(browser, pages["gpt"])
    return browser


def state(browser, name: str):
    return evaluate(browser, "(name) => state[name]", name)


def visit(browser, view: str) -> None:
    """Scrolls to a view, and waits until it is drawn."""
    browser.execute_script("document.getElementById(arguments[0]).scrollIntoView({behavior: 'instant'})", view)
    drawn(browser)
    drawn(browser)


def seen(browser, view: str) -> dict:
    """What a view has drawn: its texts, and the bits of its heat maps."""
    visit(browser, view)
    script = """(view) => {
      const node = document.getElementById(view);
      return {text: node.innerText, maps: [...node.querySelectorAll("canvas")].map((map) => map.toDataURL()),
              marks: [...node.querySelectorAll(".now")].map((line) => line.getAttribute("x1"))};
    }"""
    return evaluate(browser, script, view)


# ------------------------------------------------------------------------------------------------------------------- it opens


@pytest.mark.parametrize(
    ("kind", "width", "dark"),
    [("gpt", 1400, False), ("gpt", 360, True), ("lstm", 360, False), ("mamba", 1400, True), ("llama", 1400, False)],
)
def test_opens_from_a_file_without_a_word_in_the_console(browser, pages, kind, width, dark):
    """Catches a script that fails, a text without a label, a view that breaks for one kind, and anything that is loaded."""
    console(browser)
    open_page(browser, pages[kind], width=width, dark=dark)
    for view in evaluate(browser, "() => views.map(({id}) => id)"):
        visit(browser, view)
    press(browser, "b")
    visit(browser, "pipeline")
    assert console(browser) == []
    assert evaluate(browser, "() => performance.getEntriesByType('resource').map(({name}) => name)") == []
    assert evaluate(browser, "() => shownViews.map(({view}) => view.id)")[:3] == ["training", "pipeline", "born"]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_narrow_screen_scrolls_in_one_direction(browser, pages, direction):
    """Catches a box, a table or a bar that is wider than a telephone."""
    open_page(browser, pages["mamba"], width=360, height=780)
    evaluate(browser, "(direction) => change({direction})", direction)
    evaluate(browser, "() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    drawn(browser)
    assert evaluate(browser, "() => document.documentElement.scrollWidth") <= 360


def test_both_schemes_can_be_read(browser, pages):
    """Contrast of every text in the light and in the dark scheme: 4.5 : 1 at least (WCAG AA). Catches a colour that was chosen
    for one scheme only."""
    for dark in (False, True):
        open_page(browser, pages["gpt"], dark=dark)
        for view in evaluate(browser, "() => views.map(({id}) => id)"):
            visit(browser, view)
        assert low_contrast(browser) == []
        cells = "() => heatColours().map(({fill, ink}) => contrast(channels(fill), channels(ink)))"
        assert min(evaluate(browser, cells)) >= 4.5


def test_texts_of_the_run_are_never_markup(browser, recordings, tmp_path):
    """Tokens and sentences that look like HTML stand there as they are. Catches innerHTML, and data that end a script."""
    wicked = '<img src=x onerror="window.bad=1"></script><script>window.bad=1</script>'
    recording = recordings["lstm"]
    changed = dataclasses.replace(
        recording, name=wicked, prompt=wicked, writes=[wicked] * len(recording.steps), tokens=[wicked, *recording.tokens[1:]]
    )
    write_page(tmp_path / "page.html", page_data(changed))
    console(browser)
    open_page(browser, tmp_path / "page.html")
    texts = [seen(browser, view)["text"] for view in ("training", "born")]
    assert console(browser) == []
    assert evaluate(browser, "() => window.bad === undefined && document.images.length === 0")
    assert all("<img" in text for text in texts)


# ------------------------------------------------------------------------------------------------- one timeline, all views


@pytest.mark.parametrize("view", ["training", "pipeline", "born"])
def test_the_slider_moves_the_view(gpt, view):
    """By a key on the focused slider, as a reader without a mouse moves it. Catches a view that listens to nothing."""
    from selenium.webdriver.common.keys import Keys

    before = seen(gpt, view)
    gpt.execute_script("document.querySelector('.bar input[type=range]').focus({preventScroll: true})")
    press(gpt, Keys.ARROW_RIGHT)
    assert state(gpt, "place") == 1, "one key, one step: the slider's own and the page's do not add up"
    assert seen(gpt, view) != before


def test_keys_move_time_position_and_direction(gpt):
    """Catches a key that does nothing, or leaves the range."""
    from selenium.webdriver.common.keys import Keys

    last = STEPS // EVERY
    moves = [
        (Keys.ARROW_RIGHT, "place", 1), (Keys.ARROW_LEFT, "place", 0), (Keys.ARROW_LEFT, "place", 0), (Keys.END, "place", last),
        (Keys.ARROW_RIGHT, "place", last), (Keys.HOME, "place", 0), (",", "position", 9), (".", "position", 10),
        (".", "position", 10), ("b", "direction", "backward"), ("f", "direction", "forward"),
    ]  # fmt: skip
    for key, name, expected in moves:
        press(gpt, key)
        assert state(gpt, name) == expected
    press(gpt, "?")
    assert evaluate(gpt, "() => document.querySelector('dialog').open")


def test_keys_keep_away_from_a_field_that_is_typed_in(gpt):
    """Catches a page that plays or turns back while a step is typed; and the field's way to the nearest recorded step."""
    from selenium.webdriver.common.keys import Keys

    gpt.execute_script("document.querySelector('.jump input').select()")
    press(gpt, "1", "3", Keys.ARROW_LEFT)
    assert state(gpt, "place") == 0
    press(gpt, Keys.ENTER)
    assert evaluate(gpt, "() => RUN.steps[state.place]") == 12


def test_the_field_of_the_step_holds_the_recorded_step(gpt):
    """Up and down go to the next recorded step, and an emptied field is filled again. Catches a field that shows 13 while the
    page is at 12, and one that takes nothing for step 0."""
    from selenium.webdriver.common.keys import Keys

    shown = "() => [document.querySelector('.jump input').value, RUN.steps[state.place]]"
    gpt.execute_script("change({place: 3}); document.querySelector('.jump input').focus()")
    drawn(gpt)
    for key, step in ((Keys.ARROW_UP, 16), (Keys.ARROW_DOWN, 12), (Keys.END, 12)):
        press(gpt, key)
        assert evaluate(gpt, shown) == [str(step), step]
    gpt.execute_script("document.querySelector('.jump input').select()")
    press(gpt, Keys.DELETE, Keys.TAB)
    assert evaluate(gpt, shown) == ["12", 12]
    gpt.execute_script("document.querySelector('.jump input').select()")
    press(gpt, "1", "3", Keys.TAB)
    assert evaluate(gpt, shown) == ["12", 12]


def test_play_goes_on_by_itself_and_stops_at_the_end(gpt):
    gpt.execute_script("change({place: RUN.steps.length - 2})")
    press(gpt, " ")
    gpt.execute_async_script("setTimeout(arguments[0], 1800)")  # two steps of at most 600 ms, and then it stops
    assert state(gpt, "place") == STEPS // EVERY
    assert evaluate(gpt, "() => playing === null")


def test_letters_are_chosen_by_pointer_and_by_arrow_keys(gpt):
    from selenium.webdriver.common.keys import Keys

    gpt.find_elements("css selector", ".letter")[3].click()
    press(gpt, Keys.ARROW_RIGHT)
    assert state(gpt, "position") == 4
    assert state(gpt, "place") == 0, "the arrow belongs to the letters while one of them has the focus"


# -------------------------------------------------------------------------------------------------------- what a number is


def arrays_of(recording, place: int) -> dict:
    """(kind, name) -> array, as the formulas read them and as the page has them, in float32."""
    groups = [("value", "values"), ("gradient", "gradients"), ("value", "weights"), ("gradient", "probe_gradients")]
    arrays = {}
    for kind, group in groups:
        arrays |= {(kind, name): array[place].astype("<f4") for name, array in getattr(recording, group).items()}
    return arrays | {("ids", ""): recording.ids, ("targets", ""): recording.targets}


def some_cells(recording, most: int) -> list[tuple]:
    """(name, "value" or "gradient", formula, cell): of every formula at most so many cells, drawn with a fixed seed."""
    formulas = formulas_of(recording.config, len(recording.ids))
    found = []
    for name, each in formulas.items():
        array = recording.values[name] if name in recording.values else recording.weights[name]
        for of in ("value", "gradient"):
            if each[of] is None:
                continue
            rng = np.random.default_rng(zlib.crc32(f"{name} {of}".encode()))
            cells = list(np.ndindex(array.shape[1:]))
            chosen = rng.permutation(len(cells))[:most]
            found += [(name, of, each[of], cells[n]) for n in chosen]
    return found


SAYS = """(place, asked) => {
  const lookup = current.lookup(place);
  return asked.map(([name, of, cell]) => {
    const formula = DATA.formulas[name][of];
    return {
      value: evaluated(formula, cell, lookup),
      paths: formula.paths.map((path, n) => ({
        value: evaluated(formula, cell, lookup, n), written: written(formula, n, cell, lookup),
        helpers: helpersWritten(formula, n, cell, lookup).map(({label, text, value}) => [label, text, number(value)]),
      })),
    };
  });
}"""


@pytest.mark.parametrize("kind", CONFIGS)
def test_javascript_and_python_write_the_same_arithmetic(browser, pages, recordings, kind):
    """The same text, letter by letter, for every formula, its paths and its helpers, at the start and at the end of the run.

    The numbers differ by what exp, log, tanh, sin, cos and ** may round otherwise: by a few eps each, and there are fewer than
    64 in a path. Catches a rule that one of the two languages has not: brackets, the choice of the largest terms, the order of
    additions, a negative index."""
    recording = recordings[kind]
    open_page(browser, pages[kind])
    for place in (0, STEPS // EVERY):
        arrays, asked = arrays_of(recording, place), some_cells(recording, most=4)
        told = evaluate(browser, SAYS, place, [(name, of, [int(n) for n in cell]) for name, of, _, cell in asked])
        for (name, of, formula, cell), page in zip(asked, told, strict=True):
            where = f"{kind}, step {recording.steps[place]}, {of} of {name} at {cell}"
            assert len(page["paths"]) == len(formula.paths)
            shares = [evaluated(formula, cell, arrays, path) for path in formula.paths]
            size = sum(abs(share) for share in shares if math.isfinite(share))
            total = pytest.approx(evaluated(formula, cell, arrays), rel=64 * EPS, abs=64 * EPS * size)
            assert float(page["value"]) == total, where
            for path, share, shown in zip(formula.paths, shares, page["paths"], strict=True):
                assert shown["written"] == written(formula, path, cell, arrays), where
                assert number(float(shown["value"])) == number(share), where
                expected = [[label, text, number(x)] for label, text, x in helpers_written(formula, path, cell, arrays)]
                assert shown["helpers"] == expected, where


def test_javascript_and_python_write_the_same_numbers(gpt):
    """Over all sizes of float64, at ties, and where rounding carries into a new digit. Catches powers of ten that begin at
    another size, and a half that is rounded to even."""
    rng = np.random.default_rng(0)
    numbers = [0.0, -0.0, 0.5, 0.00005, 0.000099995, 99999.5, 999999.5, 1e6, 123456.5, 0.12345, 2.5e-7, 9.9996, 1e300, 5e-324]
    numbers += [float(x) for x in rng.standard_normal(1000) * 10.0 ** rng.integers(-12, 12, 1000)]
    numbers += [float(n) / 8 for n in range(-40, 40)] + [float(np.float32(x)) for x in rng.standard_normal(200)]
    for digits in (1, 2, 4, 6):
        told = evaluate(gpt, "(xs, digits) => xs.map((x) => number(x, digits))", numbers, digits)
        assert told == [number(x, digits) for x in numbers]
    assert evaluate(gpt, "() => [NaN, Infinity, -Infinity].map((x) => number(x))") == ["nan", "∞", "−∞"]


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_arrays_are_the_recording(browser, pages, recordings, kind):
    """Every tensor, read by name in the browser. Catches an offset, a byte order, a place that is not the step's."""
    recording = recordings[kind]
    open_page(browser, pages[kind])
    readers = {
        "value": recording.values, "gradient": recording.gradients, "weight": recording.weights, "update": recording.updates,
        "probeGradient": recording.probe_gradients, "batchGradient": recording.batch_gradients,
    }  # fmt: skip
    script = "(reader, names, place) => names.flatMap((name) => Array.from(current[reader](name, place).numbers))"
    for reader, arrays in readers.items():
        for place in (1, len(recording.steps) - 1):
            told = np.array(evaluate(browser, script, reader, list(arrays), place), dtype=np.float64)
            kept = np.concatenate([array[place].astype("<f4").ravel() for array in arrays.values()])
            np.testing.assert_array_equal(told, kept)


def hover(browser, selector: str) -> None:
    """Moves the pointer into the middle of an element."""
    from selenium.webdriver.common.action_chains import ActionChains

    element = browser.find_element("css selector", selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    drawn(browser)
    ActionChains(browser).move_to_element(element).perform()
    drawn(browser)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_cell_under_the_pointer_is_written_out(gpt, recordings, direction):
    """The equation, the arithmetic, the recorded number, the line of npgpt; and the cells that enter light up. Catches a cell
    that is read from another head, row or column than the pointer is on."""
    of = "value" if direction == "forward" else "gradient"
    evaluate(gpt, "(direction) => change({direction, place: 2})", direction)
    drawn(gpt)
    hover(gpt, f'[aria-label="blocks.0.z, {of}"] canvas')  # T = 11 rows, 2 columns: the pointer is on row 5, column 1
    recording = recordings["gpt"]
    formula = formulas_of(recording.config, len(recording.ids))["blocks.0.z"][of]
    cell, arrays = (0, 5, 1), arrays_of(recording, 2)
    panel = gpt.find_element("css selector", ".explanation").text
    assert ("dz" if of == "gradient" else "z") + "[0, 5, 1]" in panel
    assert written(formula, "", cell, arrays) in panel.replace("\n", " ")
    array = recording.values if of == "value" else recording.gradients
    assert f"recorded in the run: {number(float(np.float32(array['blocks.0.z'][2][cell])))}" in panel
    source = gpt.find_element("css selector", ".source-line").text
    assert re.search(r"npgpt/ops/\w+\.py:\d+", source)
    script = """() => [...document.querySelectorAll('.cells')]
      .map((map) => [map.getAttribute('aria-label'), map.querySelector('.lights').children.length]).filter(([, lit]) => lit)"""
    lit = evaluate(gpt, script)
    pattern, v = ["blocks.0.pattern, value", 11], ["blocks.0.v, value", 11]
    dout, weight = ["blocks.0.attn_out, gradient", 4], ["blocks.0.mha.projection.weight, value", 4]
    assert sorted(lit) == sorted([pattern, v] if of == "value" else [dout, weight])


def test_the_paths_of_a_gradient_are_named_and_sum_to_it(gpt, recordings):
    evaluate(gpt, "() => change({direction: 'backward', place: 3, tensor: 'blocks.0.resid_mid', cell: [4, 2]})")
    visit(gpt, "pipeline")
    recording = recordings["gpt"]
    formula = formulas_of(recording.config, len(recording.ids))["blocks.0.resid_mid"]["gradient"]
    names = [element.text for element in gpt.find_elements("css selector", ".path-name > span:first-child")]
    assert names == list(formula.paths)
    shares = [element.text for element in gpt.find_elements("css selector", ".path-name .share b")]
    arrays = arrays_of(recording, 3)
    assert shares == [number(evaluated(formula, (4, 2), arrays, path)) for path in formula.paths]
    total = number(float(np.float32(recording.gradients["blocks.0.resid_mid"][3][4, 2])))
    assert gpt.find_element("css selector", ".total b").text == total
    assert gpt.find_element("css selector", ".cell-value").text == total


def test_a_masked_score_has_no_path(gpt):
    """Catches "2 paths", 0 + 0, for a score that nobody reads."""
    evaluate(gpt, "() => change({direction: 'backward', place: 3, tensor: 'blocks.0.scores', cell: [0, 2, 6]})")
    visit(gpt, "pipeline")
    panel = gpt.find_element("css selector", ".explanation").text
    assert "no path leads from here to the loss" in panel and "2 paths" not in panel
    evaluate(gpt, "() => change({cell: [0, 6, 2]})")
    drawn(gpt)
    assert "It reaches the loss by 2 paths" in gpt.find_element("css selector", ".explanation").text


def test_all_lines_that_made_an_array_are_shown(gpt, recordings):
    """A table of sines and cosines comes from two lines. Catches a sine that is explained by the line of the cosines."""
    evaluate(gpt, "() => change({tensor: 'pos_embed', cell: [2, 0]})")
    visit(gpt, "pipeline")
    recording = recordings["gpt"]
    place = explained(recording.config, len(recording.ids))["sources"]["pos_embed"]["value"]
    lines = [element.text for element in gpt.find_elements("css selector", ".source-line code")]
    assert lines == [each["text"].strip() for each in (*place["also"], place)] and len(lines) == 2
    gpt.execute_script("document.querySelectorAll('.source details').forEach((each) => { each.open = true; })")
    assert len(gpt.find_elements("css selector", ".listing .lit")) == 2


def test_the_panel_begins_at_its_top_for_another_number(gpt):
    """Catches a panel that shows the middle of an explanation, scrolled there for the cell before."""
    evaluate(gpt, "() => change({direction: 'backward', tensor: 'blocks.0.resid_pre', cell: [4, 2]})")
    visit(gpt, "pipeline")
    scrolled = "() => document.querySelector('.explanation').scrollTop"
    gpt.execute_script("document.querySelector('.explanation').scrollTop = 40")
    evaluate(gpt, "() => change({place: 2})")
    drawn(gpt)
    assert evaluate(gpt, scrolled) == 40
    evaluate(gpt, "() => change({cell: [4, 1]})")
    drawn(gpt)
    assert evaluate(gpt, scrolled) == 0


def test_an_arrow_stands_where_a_box_reads_its_neighbour_alone(gpt, recordings):
    """Catches a chain from q to k to v; and the loss at the end is the probe's."""
    visit(gpt, "pipeline")
    script = "() => Object.fromEntries(RUN.trace.tensors.map(({name}) => [name.split('.').at(-1), linkTo(name)]))"
    links = evaluate(gpt, script)
    assert [links[name] for name in ("embed", "pos_embed", "resid_pre")] == ["", "added", "sum"]
    read_alone = {"ln1", "q", "pattern", "attn_out", "ln2", "ffn_pre", "ffn_post", "ffn_out", "ln_f", "logits"}
    assert {name for name, link in links.items() if link == "reads"} == read_alone
    loss = float(np.float32(recordings["gpt"].probe_loss[0]))
    assert gpt.find_element("css selector", ".loss-value").text == number(loss)


def test_a_heat_map_is_walked_by_keys(gpt):
    """Arrow keys within a focused map move the cell and not the time; Enter chooses it. Catches a map for the mouse alone."""
    from selenium.webdriver.common.keys import Keys

    visit(gpt, "pipeline")
    gpt.execute_script("document.querySelector('[aria-label=\"blocks.0.ln1, value\"]').focus()")
    press(gpt, Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert "ln1[2, 1]" in gpt.find_element("css selector", ".explanation").text
    press(gpt, Keys.ENTER)
    chosen = [state(gpt, name) for name in ("tensor", "cell", "position", "place")]
    assert chosen == ["blocks.0.ln1", [2, 1], 2, 0]
    assert evaluate(gpt, "() => voice.textContent").startswith("blocks.0.ln1, value, row 2")


def test_the_gradient_is_born_as_recorded(gpt, recordings):
    """(softmax - onehot) / N, worked out in the page from the logits, is the recorded gradient of the logits."""
    evaluate(gpt, "() => change({place: 4, position: 6})")
    text = seen(gpt, "born")["text"]
    recording = recordings["gpt"]
    recorded = number(float(np.float32(recording.gradients["logits"][4][6, recording.targets[6]])))
    assert f"= {recorded}; recorded {recorded}." in text


def test_the_text_twin_has_every_number(gpt, recordings):
    """The table of view 2 is the chosen tensor; of view 3, the chosen position. Catches a table that was filled once."""
    evaluate(gpt, "() => change({place: 5, tensor: 'blocks.0.scores', cell: [1, 6, 3]})")
    visit(gpt, "pipeline")
    gpt.execute_script("document.querySelectorAll('.twin').forEach((twin) => { twin.open = true; })")
    drawn(gpt)
    for place in (5, 2):
        evaluate(gpt, "(place) => change({place})", place)
        drawn(gpt)
        script = "() => [...document.querySelectorAll('#pipeline tbody tr')].map((row) => row.cells[2].textContent)"
        scores = recordings["gpt"].values["blocks.0.scores"][place].astype("<f4")
        assert evaluate(gpt, script) == [number(float(x)) for x in scores.ravel()]


# --------------------------------------------------------------------------------------------------------- what is absent


def test_what_was_left_out_is_said_and_the_nearest_place_offered(browser, recordings, tmp_path):
    """A page that is too small for every step: it says so, and a button leads to the nearest step that has the numbers."""
    recording = recordings["gpt"]
    words = explained(recording.config, len(recording.ids))
    write_page(tmp_path / "page.html", page_data(recording, **words))
    megabytes = (tmp_path / "page.html").stat().st_size / 1e6
    kept = [*range(len(recording.steps))]
    while len(kept) == len(recording.steps):  # smaller and smaller, until traces have to be left out
        megabytes *= 0.98
        data = page_data(recording, **words, max_mb=megabytes)
        kept = data["run"]["trace"]["places"]
    write_page(tmp_path / "page.html", data)
    console(browser)
    open_page(browser, tmp_path / "page.html")
    missing = next(place for place in range(len(recording.steps)) if place not in kept)
    evaluate(browser, "(place) => change({place})", missing)
    assert "Left out at this step for size." in seen(browser, "pipeline")["text"]
    browser.find_element("css selector", ".banner button").click()
    drawn(browser)
    assert state(browser, "place") in kept
    assert console(browser) == []


def test_every_text_of_the_page_has_a_turkish_one():
    """Of all scripts, and of all formulas' paths; no text is made up where it cannot be listed. Catches a forgotten label."""
    scripts = {path.name: path.read_text(encoding="utf-8") for path in script_paths()}
    said = {text for script in scripts.values() for text in re.findall(r'\bsay\(\s*"((?:[^"\\]|\\.)*)"', script)}
    assert len(said) > 50
    formulas = [each for config in CONFIGS.values() for of in formulas_of(config, 5).values() for each in of.values() if each]
    said |= {re.sub("head [0-9]+", "head {n}", path) for formula in formulas for path in formula.paths if path}
    assert {text for text in said if text not in TURKISH} == set()
    unlisted = {name: re.findall(r'\bsay\((?!\s*")(.{0,40})', script) for name, script in scripts.items()}
    assert {name: calls for name, calls in unlisted.items() if calls} == {"numbers.js": ["english, values = {}) {"]}
    for text in said:
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", TURKISH[text])), text


def test_the_turkish_page_is_turkish(browser, recordings, tmp_path):
    recording = recordings["gpt"]
    write_page(tmp_path / "page.html", page_data(recording, **explained(recording.config, len(recording.ids)), lang="tr"))
    console(browser)
    open_page(browser, tmp_path / "page.html")
    headings = evaluate(browser, "() => [...document.querySelectorAll('h2')].map((h) => h.textContent)")
    assert console(browser) == []
    assert evaluate(browser, "() => document.documentElement.lang") == "tr"
    assert TURKISH["Forward and backward"] in headings
