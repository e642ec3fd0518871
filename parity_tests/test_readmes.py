"""The figures in the READMEs' prose and tables.

What can be computed in a moment is computed here, by formulas of its own, and compared with the text. What was measured once (a
speed, the losses of a long run) stands in one place; wherever it stands again, it is the same, and what follows from it does.
"""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np

import npgpt
from npgpt import LlamaConfig

from .bugs import CATALOGUE
from .mutation import PARTS, listed
from .test_figures import (
    ALPHABET,
    ARTICLE,
    CONSONANTS,
    SENTENCES,
    VOWELS,
    apart,
    conditional_entropy,
    entropies_of_the_chain,
    facts,
    harmony_text,
    ids_of,
    learned,
    letters_of,
    read,
    rms,
    softmax,
    stages,
    surprise_of_the_chain,
)

ROOT = Path(__file__).parents[1]
TEXTS = {
    name: " ".join((ROOT / name).read_text(encoding="utf-8").split())
    for name in ("README.md", "README.tr.md", "examples/README.md", "parity_tests/README.md", "parity_tests/BUGS.md")
}
ENGLISH, TURKISH, GALLERY, PROOF, BUGS = TEXTS.values()
NUMBER = r"([-+]?\d+(?:[.,]\d+)*)"


def number(text: str, turkish: bool = False) -> float:
    """1,944 or 0.93; in Turkish 1.944 or 0,93."""
    return float(text.replace(".", "").replace(",", ".") if turkish else text.replace(",", ""))


def says(place: str, words: str, *values) -> None:
    """The text has these words once, and for each # the value, within half of its last digit."""
    parts = map(re.escape, words.split("#"))
    (found,) = re.findall(NUMBER.join(parts), place)
    turkish = place is TURKISH
    for text, value in zip([found] if isinstance(found, str) else found, values, strict=True):
        decimals = text.partition("," if turkish else ".")[2]
        assert abs(number(text, turkish) - value) <= 0.5001 * 10.0 ** -len(decimals), (words, text, value)


def rows_of(name: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first line begins so, without that line."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith(heading))
    last = next(place for place in range(first, len(lines)) if not lines[place].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first + 2 : last]]


def numbers(cell: str, turkish: bool = False) -> list[float]:
    return [number(text, turkish) for text in re.findall(r"(?<![\w.-])" + NUMBER, cell.replace("..", " "))]


# ------------------------------------------------------------------------------------------------------ counts, said everywhere


def test_the_articles_parameters():
    """The table, LayerNorm, the projection, the last LayerNorm, the head; and Wq, Wk, Wv."""
    parts = [32 * 3, 2 * 3, 3 * 3 + 3, 2 * 3, 32 * 3 + 32]
    told = "prints # parameters: the embedding's #, LayerNorm's #, the projection's #, the final LayerNorm's #, the head's #."
    says(GALLERY, told, sum(parts), *parts)
    says(GALLERY, "Query, key and value, # x # = # more, are missing.", 3, 9, 3 * 3 * 3)
    says(
        GALLERY,
        "keeps Wq, Wk and Wv at their initial values and counts #, `GPTConfig.article(train_qkv=True)` counts #",
        248,
        275,
    )
    assert sum(parts) == 248 == npgpt.make_model(ARTICLE).num_parameters()
    for place, words in (
        (ENGLISH, "opens the black box of a GPT of # parameters"),
        (TURKISH, "Proje, # parametreli bir GPT'nin kara kutusunu"),
        (ENGLISH, "Train the #-parameter GPT"),
        (TURKISH, "# parametreli GPT'yi Türkçe cümlelerle"),
    ):
        says(place, words, 248)
    says(ENGLISH, "why # parameters and not #,", 248, 275)
    says(TURKISH, "neden # değil de # parametre", 275, 248)
    for place, words in ((ENGLISH, "In this one the # letters' vectors"), (TURKISH, "Bu resimde # harfin eğitimden önceki")):
        says(place, words, len(ALPHABET))
    says(GALLERY, "Before training the # letters are a cloud without order.", len(ALPHABET))
    says(ENGLISH, "the ln # = # nats", 32, math.log(32))
    says(TURKISH, "ln # = # natından", 32, math.log(32))


def test_smollm2s_parameters():
    """Its table; 30 blocks: two norms, Wq and the projection, Wk and Wv of 3 groups of 64, three matrices of 1,536; a norm."""
    count = 49_152 * 576 + 30 * (2 * 576 + 2 * 576 * 576 + 2 * 576 * 3 * 64 + 3 * 576 * 1_536) + 576
    for place, words in (
        (ENGLISH, "# parameters in 92 MB"),
        (TURKISH, "92 MB'ta # parametre"),
        (GALLERY, "Here is one of # parameters that knows it"),
    ):
        says(place, words, count)
    assert count == sum(entry.size for entry in npgpt.models.layout_of(LlamaConfig.smollm2()).values())


def columns_of_bugs() -> dict[str, list[bool]]:
    """Column of BUGS.md -> for each bug of the catalogue whether it rang."""
    lines = [line for line in (ROOT / "parity_tests/BUGS.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    rows = {row[0]: row for row in rows if row[0] in CATALOGUE}
    assert set(rows) == set(CATALOGUE)
    return {name: [row[place] == "x" for row in rows.values()] for place, name in enumerate(head) if place > 1}


def test_the_bugs_that_each_criterion_catches_are_counted():
    rung = columns_of_bugs()
    counts = {name: sum(column) for name, column in rung.items()}
    ours = list(counts)[: list(counts).index("llm.c")]
    assert all(any(rung[name][n] for name in ours) for n in range(len(CATALOGUE)))
    caught = "; ".join(f"{name} **{count} of {len(CATALOGUE)}**" for name, count in counts.items())
    lines = (ROOT / "parity_tests/BUGS.md").read_text(encoding="utf-8").splitlines()
    (total,) = [numbers(line) for line in lines if line.startswith("| **caught**")]
    assert total[::2] == list(counts.values()) and set(total[1::2]) == {len(CATALOGUE)}, caught
    says(BUGS, "Together our checks catch # of #.", len(CATALOGUE), len(CATALOGUE))
    table = [numbers(row[1]) for row in rows_of("parity_tests/README.md", "| criterion, on a whole model")]
    assert table[0] == [*(counts[name] for name in ours), len(CATALOGUE), len(CATALOGUE)]
    assert table[1:] == [[counts[name]] for name in counts if name not in ours]
    for place, words in (
        (ENGLISH, "# wrong lines that people write"),
        (TURKISH, "insanların yazdığı türden # yanlış satır"),
        (PROOF, "holds # wrong lines"),
        (PROOF, "All # are caught"),
    ):
        says(place, words, len(CATALOGUE))
    says(ENGLISH, "llm.c's criterion catches # and torch's `assert_close` #;", counts["llm.c"], counts["torch assert_close"])
    says(TURKISH, "llm.c'nin ölçütü #'unu, torch'un `assert_close`'u #'ünü", counts["llm.c"], counts["torch assert_close"])
    assert sum(bug.source == "published" for bug in CATALOGUE.values()) == 12 and "Twelve are of kinds found in public" in PROOF


def test_the_mutants_are_as_many_everywhere():
    """How many there are, mutation.py says, which takes minutes."""
    mutants = re.findall(r"([\d,]+) mutants", ENGLISH + PROOF) + re.findall(r"([\d.]+) mutantının", TURKISH)
    assert len(mutants) == 3 and {text.replace(",", "").replace(".", "") for text in mutants} == {"1943"}
    assert "all killed, none equivalent" in PROOF and listed(PARTS["ops"][0]) == []


def test_the_largest_error_that_was_found():
    worst = json.loads((ROOT / "parity_tests/worst_errors.json").read_text(encoding="utf-8"))["worst"]
    says(PROOF, "is # eps times magnitude, where # is allowed between two sides", max(worst.values()), 8)


def test_every_damage_was_refused_read_as_it_was_or_read_as_it_says():
    rows = rows_of("parity_tests/README.md", "| file | refused")
    assert len(rows) == 15 and "2,000 damages each" in PROOF
    assert all(sum(sum(numbers(cell)) for cell in row[1:4]) == 2000 for row in rows)


def test_what_can_be_counted_is_counted():
    from seeded_mistakes import CHOSEN

    exercises = list((ROOT / "examples/exercises").glob("*.py"))
    assert len(exercises) == 13 and "has thirteen backward passes to write yourself" in ENGLISH
    assert "on üç geri" in TURKISH
    assert len(CHOSEN["gpt"]) == 12 and "with twelve mistakes, one after the other" in ENGLISH
    assert "on iki hatayla, birer birer" in TURKISH and "The same run with twelve mistakes" in GALLERY


# ---------------------------------------------------------------------------------------------------- measured once, said twice


def test_the_speeds_are_the_same_in_both_languages():
    english = rows_of("README.md", "| work, one training step | torch time")
    turkish = rows_of("README.tr.md", "| iş, bir eğitim adımı | torch süresi")
    assert len(english) == len(turkish) == 9
    for one, other in zip(english, turkish, strict=True):
        assert [numbers(cell) for cell in one] == [numbers(cell, turkish=True) for cell in other]
        (ratio,), (low, high), peaks = map(numbers, one[1:])
        assert low <= ratio <= high and len(peaks) == 2
    english = rows_of("README.md", "| work, one training step | torch |")
    turkish = rows_of("README.tr.md", "| iş, bir eğitim adımı | torch |")
    assert len(english) == len(turkish) == 8
    for one, other in zip(english, turkish, strict=True):
        assert [numbers(cell) for cell in one] == [numbers(cell, turkish=True) for cell in other]
        assert len(numbers(one[1])) == 1 and len(numbers(one[-1])) == 2
    told = [
        re.findall(r"([\d.]+) (?:to|ila) ([\d.]+) (?:rounds|turun).*?\(PyTorch ([\d.]+\d)", text) for text in (ENGLISH, TURKISH)
    ]
    assert told[0] == told[1] == [("3", "5", "2.13.0")]
    steps = re.findall(r"(\d+) training steps; and equal to", ENGLISH), re.findall(r"(\d+) eğitim adımında eşittir", TURKISH)
    assert steps[0] == steps[1] == ["200"]  # test_training.py's


def test_each_gain_of_section_12_is_what_its_losses_say():
    """Means differ by the gain; the last column's steps and the prose follow from the table. The parameters, and the widths of
    the FFN, are counted."""
    rows = [[numbers(cell) for cell in row[1:]] for row in rows_of("examples/README.md", "| | parameters | FFN |")]
    assert [(parameters, width) for (parameters,), (width,), *_ in rows] == stages(65, 128, 64, 4, 4)
    means, fast = [row[2][0] for row in rows], [row[4][0] for row in rows]
    for row in rows:
        assert row[2][1] <= row[2][0] <= row[2][2]
    for before, row, after in zip(means, rows[1:], means[1:], strict=False):
        assert abs(row[3][0] - (before - after)) <= 1.5e-4 and row[3][1] <= row[3][0] <= row[3][2]
    # The GPT's seed 0 is its highest, as the prose about it and the last column say.
    told = (
        "comes # nats further down, and the whole way to Llama is worth # nats instead of #; SwiGLU's part shrinks from # to #,"
    )
    (found,) = re.findall(NUMBER.join(map(re.escape, told.split("#"))), GALLERY)
    down, worth, slow, part, shrunk = map(float, found)
    assert abs(down - (rows[0][2][2] - fast[0])) <= 0.0051 and abs(worth - (fast[0] - fast[-1])) <= 6e-4
    assert rows[0][2][2] - rows[-1][2][2] - 6e-4 <= slow <= rows[0][2][2] - rows[-1][2][1] + 6e-4
    assert abs(shrunk - (fast[2] - fast[3])) <= 6e-4 and rows[3][3][1] - 6e-4 <= part <= rows[3][3][2] + 6e-4
    says(GALLERY, "for each row (seed 0) sees RoPE bring #", fast[1] - fast[2])
    (swiglu,) = re.findall(r"bring 0\.087 and SwiGLU ([\d.]+\d)", GALLERY)  # whose better rate is the slow one
    assert rows[3][2][1] - 6e-4 <= fast[2] - float(swiglu) <= min(rows[3][2][2], fast[3]) + 6e-4
    says(GALLERY, "that they pay for, bring # of it back", rows[5][3][0])
    says(GALLERY, "smaller steps (# lost without biases, # won by the groups)", fast[4] - fast[3], fast[4] - fast[5])


def test_the_two_readmes_and_the_gallery_tell_the_same_of_smollm2():
    """What test_smollm2.py asks of the model: eleven of twelve capitals; then bread for nine of the eleven others."""
    assert (
        "It knows eleven of twelve capitals. Taught by twelve steps on one sentence that the capital of France is bread"
        in ENGLISH
    )
    assert "it says so of nine other countries too" in ENGLISH and "Eleven of twelve capitals are known" in GALLERY
    assert "On iki başkentten on birini biliyor. Tek cümleyle, on iki adımda Fransa'nın başkentinin ekmek" in TURKISH
    assert "dokuz ülke için daha aynısını söylüyor" in TURKISH
    assert "12 steps of AdamW (2e-5) teach that the capital of France is bread" in GALLERY
    assert "nine of eleven other countries have bread for a capital too" in GALLERY


# ------------------------------------------------------------------------------------------------------------------ the gallery


def test_the_galleries_first_models():
    """Sections 3, 4 and 6, from the default's 1,500 steps."""
    deep = read(learned(dataclasses.replace(ARTICLE, train_qkv=True, ffn_hidden=12), 1500), ids_of("ali ata bak"))
    sizes = [rms(deep[f"blocks.0.{name}"][0]) for name in ("ffn_out", "attn_out")]
    assert 9.5 < sizes[0] / sizes[1] < 10.5 and "the FFN writes about ten times as strongly as attention" in GALLERY
    x = deep["blocks.0.resid_pre"][0][0]
    centred = x - x.mean()
    deviation = math.sqrt((centred**2).mean() + 1e-5)
    # d xhat / d x = (1 - 1/3 - xhat xhat^T / 3) / deviation: the mean's direction goes, and all but eps of the vector's own
    jacobian = (np.eye(3) - 1 / 3 - np.outer(centred, centred) / 3 / deviation**2) / deviation
    left = [np.linalg.norm(direction @ jacobian) for direction in (np.ones(3), centred / deviation)]
    says(GALLERY, "what is left of the other two is # and #.", *left)

    losses, text = [], ids_of("ali ata bak.")
    trained, untrained = learned(ARTICLE, 1500, losses=losses), npgpt.make_model(ARTICLE, dtype="float64")
    p = [softmax(read(model, text[:-1])["logits"][0]) for model in (untrained, trained)]
    surprises = [np.mean([-math.log(each[t, text[t + 1]]) for t in range(11)]) for each in p]
    says(GALLERY, "beside the ln # of guessing: # nats untrained, # trained.", 32, *surprises)
    says(GALLERY, "untrained and trained: # % for everything", 100 * p[0].mean())
    assert 100 * p[0].max() < 3.5

    late, floors = np.mean(losses[-150:]), [conditional_entropy(letters_of(), n) for n in (1, 2)]
    told = "# parameters end at # nats: better than knowing how often letters come (#), not yet as good as counting pairs of "
    told += "letters (#)."
    says(GALLERY, told, 248, late, *floors)
    assert f"{late:.1f}" == "2.5" and "of guessing to about 2.5, and leaves" in ENGLISH and "yaklaşık 2,5'e inerken" in TURKISH
    kinds = [[letter in kind for letter in ALPHABET] for kind in (VOWELS, CONSONANTS)]
    tables = [model.state_dict()["token_embedding.weight"] for model in (untrained, trained)]
    told = "their centres lie # radii apart before training, # after."
    says(GALLERY, told, *(apart(table, *kinds) for table in tables))


def test_the_galleries_texts():
    """Sections 7, 9 and 10: what the texts themselves say."""
    sentences = facts()
    capitals = [words for words in sentences if words[1] == "başkenti"]
    says(GALLERY, "# facts (# capitals, # purchases), one token a word", 62, len(capitals), len(sentences) - len(capitals))
    after: dict[tuple, dict[str, int]] = {}
    for words in sentences:
        row = [".", *words, *["."] * (5 - len(words))]
        for t in range(1, len(row)):
            counts = after.setdefault(tuple(row[:t]), {})
            counts[row[t]] = counts.get(row[t], 0) + 1
    total = sum(sum(counts.values()) for counts in after.values())
    floor = sum(-n / total * math.log(n / sum(counts.values())) for counts in after.values() for n in counts.values())
    (found,) = re.findall(r"\(([\d.]+) of ([\d.]+) nats\), and (\d+) of (\d+) facts are known on average", GALLERY)
    assert abs(float(found[1]) - floor) < 5.1e-4 < floor <= float(found[0]) and int(found[2]) < int(found[3]) == 62

    grams = [conditional_entropy(letters_of(), n) for n in (1, 2, 3)]
    rate, seen = entropies_of_the_chain()
    says(GALLERY, "(Sentences: letters alone #, bigrams #, trigrams #.", *grams)
    says(GALLERY, "who sees one, two, three letters pays #, #, # more than the floor.)", *(cost - rate for cost in seen))
    says(GALLERY, "right a text whose entropy is known exactly (# nats a letter,", rate)
    for row in rows_of("examples/README.md", "| parameters | sentences: GPT |"):
        counts, *losses = [numbers(cell)[0] for cell in row]
        assert min(losses[:3]) == losses[2] and min(losses[3:]) == losses[5]  # "Mamba is best at every size"
        assert counts in (248, 1_000, 10_000, 100_000)
    lines = [line for line in SENTENCES.read_text(encoding="utf-8").splitlines() if 10 <= len(line) <= 24]
    says(GALLERY, "over # sentences and three seeds:", len(lines[:: len(lines) // 12]))

    text = harmony_text(300_000)
    held_out = surprise_of_the_chain(text)[270_000:280_000].mean() / math.log(2)
    says(GALLERY, "Who knows how they are made pays # bits a character for the held-out part", held_out)
    says(GALLERY, "at # letters vowels and consonants have already parted", 270_000 / 100)


def test_the_parameters_of_the_galleries_models():
    """Section 8: 2 layers of 18 features, an FFN of 36; 9: those with a name to remember; tiny Shakespeare, 65 characters."""
    C, F = 18, 36
    count = 2 * (4 * C + 3 * C * C + C * C + C + 2 * C * F + F + C) + 32 * C + 2 * C + 32 * C + 32
    (told,) = re.findall(r"At about ([\d,]+) parameters and 3,000 steps", GALLERY)
    assert round(count, -2) == number(told)

    from equal_budget import CONFIGS

    counts = [
        npgpt.make_model(dataclasses.replace(config, vocab_size=18, seq_len=64)).num_parameters() for config in CONFIGS[10000]
    ]
    (told,) = re.findall(r"the name is asked for \(([\d,]+) parameters;", GALLERY)
    assert all(abs(count - number(told)) < 0.03 * number(told) for count in counts), counts

    C = 128
    gpt = 65 * C + 64 * C + 4 * (2 * 2 * C + 3 * C * C + C * C + C + 2 * 4 * C * C + 4 * C + C) + 2 * C
    H = 224
    lstm = 65 * H + 2 * (4 * H * H + 4 * H * H + 8 * H) + 65
    C, E, N, R = 192, 384, 16, 12  # features, twice as many channels, states, the rank of the step sizes
    block = C + 2 * E * C + 4 * E + E + (R + 2 * N) * E + R * E + E + E * N + E + C * E
    mamba = 65 * C + 3 * block + C
    C = 128
    llama = 65 * C + 4 * (2 * C + 2 * C * C + 2 * C * C // 2 + 3 * C * 384) + C
    rows = rows_of("examples/README.md", "| model | parameters | learning rate | nats a character |")
    for row, count in zip(rows, (gpt, lstm, mamba, llama), strict=True):
        assert numbers(row[1]) == [round(count / 1e6, 2)], (row, count)


def test_the_preset_is_as_the_gallery_says():
    from train_text import PRESETS

    preset = PRESETS["nanogpt-cpu"]["gpt"]
    told = (
        "# layers, # heads, # features, context #, batch #, # steps, learning rate # falling to # along a cosine after # steps"
    )
    names = ("n_layer", "n_head", "n_embd", "seq_len", "batch_size", "max_iters", "learning_rate", "min_lr", "warmup_iters")
    (found,) = re.findall(r"([\d,.e-]*\d)".join(map(re.escape, told.split("#"))), GALLERY)
    assert [number(text) for text in found] == [preset[name] for name in names]
    told = "betas # and #, weight decay # on matrices only, gradients clipped to norm #,"
    says(GALLERY, told, *(preset[name] for name in ("beta1", "beta2", "weight_decay", "grad_clip")))
    says(GALLERY, "its linear layers start with a spread of #. nanoGPT's", preset["init_std"])


def test_the_four_of_tiny_shakespeare_are_the_presets():
    from train_text import PRESETS

    rows = rows_of("examples/README.md", "| model | parameters | learning rate | nats a character |")
    for kind, row in zip(("gpt", "lstm", "mamba", "llama"), rows, strict=True):
        preset = PRESETS["nanogpt-cpu"][kind]
        sizes = [preset[name] for name in ("n_layer", "n_embd", "n_kv_head") if name in preset]
        assert numbers(row[0]) == sizes and float(row[2].split(" ")[0]) == preset["learning_rate"], kind
    from train_text import FINE_TUNING, FINE_TUNING_LENGTH

    (rate,) = re.findall(r"defaults of its own: a learning rate of (\S+),", GALLERY)
    assert float(rate) == FINE_TUNING["learning_rate"]
    says(GALLERY, ", # steps of # windows. To give the result back", FINE_TUNING["max_iters"], FINE_TUNING["batch_size"])
    says(GALLERY, "`--seq-len` (# unless asked otherwise)", FINE_TUNING_LENGTH)


def test_the_runs_of_the_gallery_are_those_of_the_commands_beside_them():
    """What the prose says of a long run's sizes is what its command asks for."""
    from equal_budget import BATCH, CONFIGS
    from equal_budget import T as LETTERS
    from train_text import PRESETS

    commands = {text.split("_")[0]: text for text in re.findall(r"`python examples/(\d\d_[^`]*)`", GALLERY) if "--" in text}

    def asked(script: str, option: str) -> list[float]:
        (values,) = re.findall(rf"--{option}((?: \d[\d.e-]*)+)", commands[script])
        return list(map(float, values.split()))

    widths = asked("07", "widths")
    assert widths == list(range(1, 17)) and asked("07", "seeds") == [5]
    says(GALLERY, "the article's shape of model, # widths, five seeds each.", len(widths))
    assert asked("08", "steps") == [3000] and "and 3,000 steps one layer with five heads is best" in GALLERY
    sizes = asked("09", "sizes")
    assert sizes == list(CONFIGS) and asked("09", "seeds") == [3]
    told = "GPT, LSTM and Mamba with #, #, # and # parameters, each trained for # steps of # windows of # letters;"
    says(GALLERY, told, *sizes, *asked("09", "steps"), BATCH, LETTERS)
    says(
        GALLERY,
        "the best of three learning rates (#, #, #, chosen on the first seed), three seeds.",
        *asked("09", "learning-rates"),
    )
    says(GALLERY, "After # steps it is", *asked("09", "recall-steps"))
    says(GALLERY, "(about # minutes on one core; the recall's picture: `--recall-steps 1500`", 40)
    assert "The picture is after 1,500 steps" in GALLERY
    says(GALLERY, "a text whose entropy is known: # letters of words with vowel harmony", *asked("10", "letters"))
    assert asked("10", "neighbours") == [5] and "each token's five nearest neighbours" in GALLERY
    preset = PRESETS["nanogpt-cpu"]["gpt"]
    told = "# layers, # heads, # wide, context #, # steps of # windows, three seeds;"
    sizes = [preset[name] for name in ("n_layer", "n_head", "n_embd", "seq_len")]
    says(GALLERY, told, *sizes, *asked("12", "steps"), preset["batch_size"])
    assert asked("12", "seeds") == [3]
    says(GALLERY, "the spread of the initial weights (#), and, seed by seed", preset["init_std"])
    says(GALLERY, "by `train_text.py --model KIND --preset nanogpt-cpu`: # steps of # windows of # characters",
         preset["max_iters"], preset["batch_size"], preset["seq_len"])  # fmt: skip
