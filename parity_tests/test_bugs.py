"""The test of the checks: every bug of the catalogue is caught, and right code raises no alarm."""

import dataclasses

import pytest

from .bugs import CATALOGUE
from .bugs_table import FILE
from .checks import CHECKS, MODEL_CHECKS, rings
from .conftest import PROFILE
from .strategies import EXAMPLES

SEEDS = 1000 if PROFILE == "nightly" else 30


@pytest.mark.parametrize("bug", CATALOGUE.values(), ids=CATALOGUE)
def test_the_bug_is_caught(bug, record_property):
    config = EXAMPLES[bug.kind]
    with bug.switched_on():
        caught_by = [name for name, check in CHECKS.items() if rings(check, 0, config)]
    record_property("caught by", ", ".join(caught_by))
    assert caught_by
    assert not CHECKS[caught_by[0]](0, config)  # and the code is right again


@pytest.mark.parametrize("name", CHECKS)
def test_right_code_raises_no_alarm(name):
    assert [seed for seed in range(SEEDS) if CHECKS[name](seed)] == []


@pytest.mark.parametrize("kind", [kind for kind in EXAMPLES if kind != "gpt"])
@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_nor_does_a_model_of_another_kind(name, kind):
    seeds = SEEDS if PROFILE == "nightly" else 8
    assert [seed for seed in range(seeds) if MODEL_CHECKS[name](seed, EXAMPLES[kind])] == []


def test_the_catalogue_is_large_and_the_table_shows_all_of_it():
    assert all(
        sum(bug.kind == kind for bug in CATALOGUE.values()) >= least
        for kind, least in [("lstm", 8), ("mamba", 12), ("llama", 18)]
    )
    assert len(CATALOGUE) >= 100 and sum(bug.source == "published" for bug in CATALOGUE.values()) >= 6
    table = FILE.read_text(encoding="utf-8")
    assert [name for name in CATALOGUE if f"| {name} |" not in table] == []


def test_a_patch_that_does_not_fit_the_code_is_an_error():
    stale = dataclasses.replace(CATALOGUE["attention_not_scaled"], old="no_such_thing")
    with (
        pytest.raises(ValueError, match="'no_such_thing' stands 0 times in npgpt"),
        stale.switched_on(),
    ):
        pass
