"""What the scripts print, known from elsewhere: each number is computed here a second time, from the text and the weights
alone, by other code (mostly PyTorch's), and compared to the last printed digit.

The tests of the functions behind the numbers do not see a script that calls the right function on the wrong thing: a validation
loss of the training text, bits a character without the characters, a mean over the wrong steps. (The numbered examples are in
test_figures.py, train.py's and other commands' remaining figures in test_commands.py, the READMEs' in test_readmes.py.)
"""

import collections
import json
import math
import re
import runpy
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import npgpt
import torchgpt
from npgpt.runs.metrics import read_metrics

from .test_examples import EXAMPLES
from .test_runs import TRAINING, new_run

SENTENCES = EXAMPLES / "data" / "tr_sentences.txt"


@pytest.fixture(autouse=True)
def beside_the_examples(monkeypatch, tmp_path):
    """The scripts' folder is on the path, results go to the test's; and no picture is drawn, which takes most of the time."""
    import common

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common.Run, "save", lambda self, picture, name: None)
    monkeypatch.setattr("npgpt.pictures.embedding_motion", lambda *arguments: b"")


def run(monkeypatch, capsys, script: str, *options) -> tuple[str, dict]:
    """What a script prints, and its variables."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, options)])
    variables = runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return capsys.readouterr().out, variables


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?", text)]


def printed(pattern: str, text: str) -> list[float]:
    """The numbers of the one place that the pattern fits."""
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return [float(number.replace(",", "")) for number in ([found] if isinstance(found, str) else found)]


def digits(n: int) -> float:
    """How far a number with n digits after its point may lie from what it was rounded from."""
    return 0.5001 * 10.0**-n


def costs(model, ids, targets) -> np.ndarray:
    """-ln p of every target (B, T), by PyTorch's own log_softmax in double precision on the twin's logits."""
    twin = torchgpt.from_numpy(model) if model.backend == "npgpt" else model
    with torch.no_grad():
        logits = twin(torch.from_numpy(np.array(ids, dtype=np.int64))).double()
    log_p = torch.log_softmax(logits, -1)
    return -log_p.gather(-1, torch.from_numpy(np.array(targets, dtype=np.int64))[..., None])[..., 0].numpy()


def letters_of(path=SENTENCES) -> list[int]:
    """The text as ids, white space as one space."""
    return [npgpt.letters.index(letter) for letter in " ".join(path.read_text(encoding="utf-8").split())]


def all_windows(ids: list[int], T: int, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Every step-th window of the text, and its targets."""
    starts = range(0, len(ids) - T, step)
    return np.array([ids[i : i + T] for i in starts]), np.array([ids[i + 1 : i + T + 1] for i in starts])


def records_of_train() -> list[dict]:
    return [json.loads(line) for line in Path("out/train/metrics.jsonl").read_text(encoding="utf-8").splitlines()]


# ------------------------------------------------------------------------------------------------- train.py and train_text.py


def own_text(tokenizer: str) -> str:
    """Its last tenth is another text than the rest: a loss on the wrong one is far off."""
    text = SENTENCES.read_text(encoding="utf-8")[:6000]
    cut = text.rindex("\n", 0, 5400) + 1
    last = text[cut:].split(" ")
    return text[:cut] + " ".join(last[::-1])[: len(text) - cut]


@pytest.mark.parametrize("tokenizer", ["characters", "words", "bpe"])
def test_train_texts_last_line_is_the_loss_of_the_validation_text_and_its_bits_a_character(
    monkeypatch, capsys, tmp_path, tokenizer
):
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    text = own_text(tokenizer)
    (tmp_path / "own.txt").write_text(text, encoding="utf-8")
    options = ["--n-layer", 1, "--n-head", 2, "--n-embd", 16, "--seq-len", 8, "--batch-size", 4, "--warmup-iters", 2]
    options += ["--eval-interval", 15, "--max-iters", 30, "--seed", 4, "--max-new-tokens", 3]
    chosen = ["--input-file", "own.txt", "--tokenizer", tokenizer, "--vocab-size", 300 if tokenizer == "bpe" else 5000]
    out, _ = run(monkeypatch, capsys, "train_text.py", *options, *chosen)
    nats, bits = printed(r"^validation loss: ([\d.]+) nats a token, ([\d.]+) bits a character$", out)

    ids = npgpt.read_checkpoint("out/text/last.safetensors").tokenizer().encode(text)
    cut = math.floor(0.9 * len(ids))
    validation, T, B = ids[cut:], 8, 4
    rng = np.random.default_rng(4 + 1)  # the script's seed for validation, and its 200 batches
    model = torchgpt.load_checkpoint("out/text/last.safetensors", dtype="float64")
    starts = [start for _ in range(200) for start in rng.integers(len(validation) - T, size=B)]
    inputs = [validation[start : start + T] for start in starts]
    expected = costs(model, inputs, [validation[start + 1 : start + T + 1] for start in starts]).mean()
    assert abs(nats - expected) < digits(4) + 1e-5  # the script computes in float32

    characters = len(text) - len(npgpt.read_checkpoint("out/text/last.safetensors").tokenizer().decode(ids[:cut]))
    assert abs(bits - expected / math.log(2) * len(validation) / characters) < digits(3) + 1e-4
    C, V = 16, model.config.vocab_size  # positions, two LayerNorms and one more, Wqkv, the projection, the FFN; a tied head
    count = V * C + 8 * C + 3 * 2 * C + 3 * C * C + C * C + C + 2 * C * 4 * C + 4 * C + C
    assert printed(r"seed 4; ([\d,]+) parameters$", out) == [count]
    tokens, different, training, held_out = printed(
        r"own.txt, ([\d,]+) tokens \(\w+, ([\d,]+) different\)\n +([\d,]+) to train on, ([\d,]+) to validate on", out
    )
    assert (tokens, training, held_out, different) == (len(ids), cut, len(ids) - cut, model.config.vocab_size)


def test_words_that_are_not_known_are_said_beside_the_bits_that_leave_out_their_spelling(monkeypatch, capsys, tmp_path):
    text = own_text("words")
    (tmp_path / "own.txt").write_text(text, encoding="utf-8")
    options = ["--n-layer", 1, "--n-embd", 8, "--seq-len", 8, "--batch-size", 2, "--max-iters", 2, "--max-new-tokens", 3]
    options += ["--input-file", "own.txt", "--tokenizer", "words", "--vocab-size", 40]
    out, _ = run(
        monkeypatch, capsys, "train_text.py", *options, "--input-file", "own.txt", "--tokenizer", "words", "--vocab-size", 40
    )
    pieces = re.findall(r" ?\w+| ?[^\w\s]+|\s", text)
    known = {piece for piece, _ in sorted(collections.Counter(pieces).items(), key=lambda item: (-item[1], item[0]))[:40]}
    validation = pieces[math.floor(0.9 * len(pieces)) :]
    share = sum(piece not in known for piece in validation) / len(validation)
    assert 0.1 < share and printed(
        r"bits a character \(without the spelling of unknown words, ([\d.]+) % of the tokens\)$", out
    ) == [pytest.approx(100 * share, abs=digits(1))]


def test_train_prints_the_losses_of_its_record_and_the_loss_of_the_whole_text(monkeypatch, capsys):
    options = ["--steps", 40, "--seed", 5, "--dtype", "float64", "--train-qkv", "--n-embd", 8, "--n-head", 2]
    out, _ = run(monkeypatch, capsys, "train.py", *options)
    records = records_of_train()
    losses = [record["loss"] for record in records]
    lines = re.findall(r"^step +(\d+)  loss ([\d.]+) ", out, re.MULTILINE)
    assert [int(step) for step, _ in lines] == list(range(4, 41, 4))
    for step, loss in lines:  # the mean since the line before
        assert abs(float(loss) - sum(losses[int(step) - 4 : int(step)]) / 4) < digits(4)

    ids = letters_of()
    letters, windows = printed(r"([\d,]+) letters, ([\d,]+) windows of 12", out)
    assert (letters, windows) == (len(ids), len(ids) - 12)
    model = torchgpt.load_checkpoint("out/train/weights.safetensors", dtype="float64")
    inputs, targets = all_windows(ids, 12, max(1, (len(ids) - 12) // 2000))
    assert abs(printed(r"^final loss: ([\d.]+) nats", out)[0] - costs(model, inputs, targets).mean()) < digits(4)
    # 32 rows of 8; LayerNorm 2 * 8, Wqkv 3 * 8 * 8, projection 8 * 8 + 8; LayerNorm, head 32 * 8 + 32
    assert printed(r"^  parameters +([\d,]+)$", out) == [256 + 16 + 192 + 72 + 16 + 288]

    # The last record looks inside: the root mean square of every gradient on 16 windows from all over the text.
    some = max(1, (len(ids) - 12) // 16)
    model.zero_grad()
    model.loss_and_grad(*all_windows(ids, 12, some))
    for name, gradient in model.gradients().items():
        assert records[-1]["watch"]["gradient_rms"][name] == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-3), name


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_tokens_a_second_are_those_of_training_alone(backend, tmp_path, monkeypatch):
    """A clock on which a step takes half a second and an evaluation a hundred."""
    now = 0.0
    training = new_run(backend, tmp_path)  # batches of 4 windows of 8 tokens, two in a step
    plain = training.evaluate

    def step(*arguments):
        nonlocal now
        now += 0.5

    def evaluate(count):
        nonlocal now
        now += 100
        return plain(count)

    monkeypatch.setattr("npgpt.runs.run.time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(training, "evaluate", evaluate)
    training.train(steps=7, **TRAINING, on_gradient=step)  # evaluated after 4 and 7
    assert [record["tokens_per_second"] for record in read_metrics(training.metrics_path)] == [2 * 4 * 8 / 0.5] * 7


# ----------------------------------------------------------------------------------------------------- bits of a whole text


class Counting:
    """A model that finds the token after i to be i + 1 with the probability 1/2, else any other; and notes what it sees."""

    config = SimpleNamespace(seq_len=6)

    def __init__(self):
        self.seen = collections.defaultdict(list)  # the token that is asked for -> how many tokens stood before it

    def __call__(self, ids):
        B, T = ids.shape
        logits = np.full((B, T, 40), math.log(0.5 / 39))
        for b in range(B):
            for t in range(T):
                logits[b, t, (ids[b, t] + 1) % 40] = math.log(0.5)
                self.seen[int(ids[b, t]) + 1].append(t + 1)
        return logits


def test_every_token_but_the_first_is_paid_for_from_half_a_context_or_more():
    from text_costs import bits_of_all

    for ids in ([*range(31)], [*range(0, 40, 2)], [*range(7)]):
        model, rising = Counting(), ids[1] == 1
        expected = len(ids) - 1 if rising else (len(ids) - 1) * math.log2(39 / 0.5)
        assert bits_of_all(model, ids) == pytest.approx(expected)
        if rising:
            assert all(max(model.seen[token]) >= min(token, 3) for token in ids[1:])


def test_the_fewest_bits_of_a_training_are_kept_with_their_model(monkeypatch):
    import text_costs

    seen, kept = iter([9.0, 7.0, 8.0, 6.5, 6.6, 7.0, 8.0, 9.0]), []
    monkeypatch.setattr(text_costs, "bits_of_all", lambda model, held_out: next(seen))
    model = npgpt.GPTModel(npgpt.GPTConfig(32, 1, 1, 4, 6))
    steps = []
    options = {"steps": 16, "seed": 0, "at_best": lambda: kept.append(len(steps))}
    plain = npgpt.cosine_schedule
    monkeypatch.setattr(npgpt, "cosine_schedule", lambda step, **shape: steps.append(step) or plain(step, **shape))
    assert text_costs.train_to_best(npgpt, model, [1, 2, 3] * 9, [1, 2], **options) == 6.5
    assert [steps[count - 1] for count in kept] == [2, 4, 8]  # of the looks after 2, 4, ..., 16


def pieces_of(text: str) -> list[str]:
    return re.findall(r" ?\w+| ?[^\w\s]+|\s", text)


def test_compare_tokenizers_counts_a_text_in_characters_and_spells_the_unknown(monkeypatch, capsys):
    """With 5,000 bits that every model is said to have paid."""
    monkeypatch.setattr("text_costs.train_to_best", lambda *arguments, **options: 5000.0)
    out, _ = run(monkeypatch, capsys, "compare_tokenizers.py")
    text = SENTENCES.read_text(encoding="utf-8")
    training, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    assert numbers(out.split("\n")[0].split(": ")[1]) == [len(training), len(held_out)]
    alphabet = len(set(text))
    words = set(pieces_of(training))
    spelled = [piece for piece in pieces_of(held_out) if piece not in words]
    expected = {  # name -> different tokens, tokens of the held-out text, bits of spelling
        "letters": (32, len(held_out), 0),
        "characters": (len(set(training)) + 1, len(held_out), sum(c not in training for c in held_out) * math.log2(alphabet)),
        "words": (len(words) + 1, len(pieces_of(held_out)), sum(len(w) + 1 for w in spelled) * math.log2(alphabet + 1)),
    }
    for name, (different, tokens, spelling) in expected.items():
        row = printed(rf"^{name} +([\d,]+) +([\d.]+) +([\d,]+) +([\d.]+) +([\d.]+)$", out)
        # positions 32 * 48, two blocks of 2 LayerNorms, Wqkv, projection, FFN; the last LayerNorm; the head is the table
        block = 2 * 96 + 3 * 48 * 48 + 48 * 48 + 48 + 2 * 4 * 48 * 48 + 4 * 48 + 48
        assert row[0] == different and row[2] == different * 48 + 32 * 48 + 2 * block + 96, name
        assert abs(row[1] - len(held_out) / tokens) < digits(2), name
        assert abs(row[3] - 5000 * math.log(2) / (tokens - 1)) < digits(3), name
        assert abs(row[4] - (5000 + spelling) / len(held_out)) < digits(3), name


# -------------------------------------------------------------------------------------------------------------- how fast it is


@pytest.fixture
def benchmark(monkeypatch):
    """benchmark.py's functions, in which no process is started: `answers` says what each measures, in turn."""
    script = runpy.run_path(str(EXAMPLES / "benchmark.py"))

    def with_answers(function: str, answers):
        function = script[function]
        monkeypatch.setitem(function.__globals__, "run", lambda *task, threads: answers(*task))
        return function

    return with_answers


def test_the_benchmarks_ratio_is_the_others_time_to_npgpts_round_by_round(benchmark, monkeypatch, capsys):
    times = {"numpy": iter([0.010, 0.020, 0.040]), "torch": iter([0.030, 0.020, 0.020])}
    compare = benchmark("compare", lambda name, task: {"seconds": next(times[name]), "peak": 40 if name == "numpy" else 300})
    who = ["numpy", "torch"], ["jax is not installed, and left out"]
    monkeypatch.setitem(compare.__globals__, "contestants", lambda task: who)
    results = compare("work", "article", 3, 2)
    assert compare.__globals__["median_time"](results["numpy"]) == 0.020
    out = capsys.readouterr().out
    assert printed(r"npgpt +([\d.]+) ms +\(rounds ([\d.]+) \.\. ([\d.]+)\) +peak memory +(\d+) MB", out) == [20, 10, 40, 40]
    assert printed(r"torchgpt +([\d.]+) ms +\(rounds ([\d.]+) \.\. ([\d.]+)\) +peak memory +(\d+) MB", out) == [20, 20, 30, 300]
    assert printed(r"torch time / npgpt time: ([\d.]+) +\(rounds ([\d.]+) \.\. ([\d.]+)\)", out) == [1, 0.5, 3]
    assert "(jax is not installed, and left out)" in out


def test_the_benchmarks_picture_has_the_best_others_ratios(benchmark, monkeypatch, tmp_path):
    """A row each: the best other is the one with the smallest median time, and its ratios are those of each round."""
    drawn = []
    save_picture = benchmark("save_picture", None)
    figure = SimpleNamespace(savefig=lambda path, dpi: None)
    monkeypatch.setitem(save_picture.__globals__, "speed_ratios", lambda rows, title: drawn.append(rows) or figure)
    seconds = {"numpy": [2, 4, 3], "torch": [4, 4, 4], "compile": [3, 9, 3], "jax": [5, 1, 5]}
    results = {name: [{"seconds": s} for s in each] for name, each in seconds.items()}
    save_picture(
        tmp_path / "p.png", {"article": results, "generation": {"numpy": results["numpy"], "torch": results["jax"]}}, 2
    )
    assert list(drawn[0].values()) == [("torch.compile", [1.5, 2.25, 1]), ("torchgpt", [2.5, 0.25, 5 / 3])]


def test_where_no_picture_can_be_written_the_benchmark_says_so_before_it_measures(benchmark, tmp_path):
    make_room_for = benchmark("make_room_for", None)
    make_room_for(tmp_path / "new" / "p.PNG")
    assert (tmp_path / "new").is_dir()
    (tmp_path / "p.png").touch()
    for picture, error in ((tmp_path, ValueError), (tmp_path / "p.foo", ValueError), (tmp_path / "p.png" / "q.png", OSError)):
        with pytest.raises(error):
            make_room_for(picture)


def test_jax_makes_the_same_step(monkeypatch):
    """Its losses over ten steps are npgpt's, for both kinds of positions and of heads; and another model's are refused."""
    pytest.importorskip("jax")
    from benchmark import check_losses
    from benchmark_jax import make_step

    tied = npgpt.GPTConfig(40, 2, 2, 16, 20, position="learned", tie_weights=True, qkv_bias=True)
    for config in (npgpt.GPTConfig.article(), tied):
        model = npgpt.make_model(config, seed=0)
        ids, targets = np.random.default_rng(0).integers(config.vocab_size, size=(2, 3, 12))
        step = make_step(config, model.state_dict(), ids, targets)
        theirs = [step() for _ in range(10)]
        optimizer = npgpt.AdamW(model.parameters())
        ours = npgpt.train(model, [(ids, targets)] * 10, steps=10, learning_rate=1e-3, optimizer=optimizer)
        assert ours[0] - ours[-1] > 0.01
        check_losses(ours, theirs)
        with pytest.raises(AssertionError, match="step 1: npgpt's loss is"):
            check_losses([loss * 1.001 for loss in ours], theirs)


def test_the_benchmarks_operations_are_those_of_the_formula(benchmark):
    """Two for each weight of a matrix and position, three times (forward, dx, dW); and the attention of a tile, whole."""
    config = npgpt.GPTConfig(65, 4, 4, 128, 64, position="learned", tie_weights=True, head_bias=False)
    calls, flops = benchmark("matrix_products", None)(config, 12, 64)
    matrices = 4 * (3 * 128 * 128 + 128 * 128 + 2 * 4 * 128 * 128) + 65 * 128
    attention = 4 * 6 * 2 * 12 * 4 * 64 * 64 * 32  # layers, products, 2 operations, B, H, T, T, D
    assert flops == 6 * 12 * 64 * matrices + attention and len(calls) == 3 * (4 * 4 + 1) + 6 * 4


def test_the_benchmarks_roofline_and_reading_rates(benchmark, capsys):
    answer = {
        "threads": 2,
        "flops": 4e9,
        "products": 0.05,
        "machine": 200e9,
        "bandwidth": 10e9,
        "traffic": 0.01,
        "calls": 0.002,
    }
    benchmark("print_roofline", lambda *task: answer)("nanogpt", 0.1, 2)
    out = capsys.readouterr().out
    assert numbers(out) == [2, 4.0, 50.0, 50, 80, 2048, 2048, 200, 0.40, 0.20, 10, 10.0, 10, 2.0, 2]
    config = npgpt.GPTConfig.gpt2()
    benchmark("print_reading", lambda *task: {"rate": 20e9})(config, 4.0, 40, 1)
    out = capsys.readouterr().out
    read = 4 * 124_439_808 * 10  # bytes of all weights, ten tokens a second
    assert printed(r"npgpt: ([\d.]+) tokens/s; .*: ([\d.]+) GB/s", out) == [10, pytest.approx(read / 1e9, abs=digits(1))]
    assert printed(r"reads ([\d.]+) GB/s: ([\d.]+) of it", out) == [20, pytest.approx(read / 20e9, abs=digits(2))]


def test_the_benchmarks_exponents_are_those_of_a_power_law(benchmark, capsys):
    def answers(name, task, kind, B, T):
        return {"seconds": 1e-6 * B * T**1.5, "added": B**0.5 * T * (2 if name == "torch" else 1)}

    benchmark("print_scaling_of", answers)("gpt", 1)
    out = capsys.readouterr().out
    assert printed(r"^ +16 +64 +([\d.]+) +(\d+) +([\d.]+) +(\d+)$", out) == [8.2, 256, 8.2, 512]
    for name in ("npgpt", "torchgpt"):
        assert re.search(rf"{name} +time ~ T\^1.50, memory ~ T\^1.00\n", out)
        assert re.search(rf"{name} +time ~ B\^1.00, memory ~ B\^0.50\n", out)


def test_the_loop_that_is_compared_with_is_judged_on_the_validation_text(monkeypatch, capsys, tmp_path):
    """benchmark_training.py's loop in torch, after three steps."""
    script = runpy.run_path(str(EXAMPLES / "benchmark_training.py"))
    loop = script["nanogpt_loop"]
    monkeypatch.setitem(loop.__globals__, "STEPS", 3)
    small = partial(npgpt.GPTConfig, n_layer=1, n_head=1, n_embd=8)
    monkeypatch.setattr(npgpt, "GPTConfig", lambda V, *, n_layer, n_head, n_embd, **options: small(V, **options))
    text = own_text("characters")
    (tmp_path / "own.txt").write_text(text, encoding="utf-8")
    asked, plain = [], torchgpt.GPTModel.loss

    def loss(model, ids, targets):
        asked.append((ids.clone(), targets.clone(), plain(model, ids, targets)))
        return asked[-1][-1]

    monkeypatch.setattr(torchgpt.GPTModel, "loss", loss)
    loop(tmp_path / "own.txt", tmp_path, 0.04, 0)
    (nats,) = printed(r"^validation loss: ([\d.]+) nats a token$", capsys.readouterr().out)
    assert len(asked) == 20 + 20 + 200 and abs(nats - np.mean([cost for *_, cost in asked[-200:]])) < digits(4)
    ids = [sorted(set(text)).index(character) for character in text]
    validation = "".join(map(chr, ids[math.floor(0.9 * len(ids)) :]))
    for inputs, targets, _ in asked[-200:]:
        for row, after in zip(inputs.tolist(), targets.tolist(), strict=True):
            assert "".join(map(chr, [*row, after[-1]])) in validation and row[1:] == after[:-1]


def test_the_training_benchmark_gives_the_median_time_and_the_mean_loss(monkeypatch, capsys, tmp_path):
    (tmp_path / "own.txt").write_text("text")
    script = runpy.run_path(str(EXAMPLES / "benchmark_training.py"))
    measured = {"numpy": [(10, 1.5), (30, 1.7), (11, 1.9)], "torch": [(9, 2), (8, 2), (7, 2)], "loop": [(1, 1), (2, 2), (9, 6)]}
    main = script["main"]
    monkeypatch.setitem(main.__globals__, "measure", lambda name, args, seed, folder: measured[name][seed])
    monkeypatch.setattr(sys, "argv", ["benchmark_training.py", "--input-file", "own.txt"])
    main()
    out = capsys.readouterr().out.split("mean validation loss of 3 seed(s)")[1]
    assert [numbers(line)[-2:] for line in out.strip().splitlines()] == [[11, 1.7], [8, 2], [2, 3]]
