"""The test of the checks: every bug of the catalogue is caught, and right code raises no alarm."""

import dataclasses

import pytest

from .bugs import CATALOGUE
from .bugs_table import FILE
from .checks import CHECKS, rings
from .conftest import PROFILE

SEEDS = 1000 if PROFILE == "nightly" else 30


@pytest.mark.parametrize("bug", CATALOGUE.values(), ids=CATALOGUE)
def test_the_bug_is_caught(bug, record_property):
    with bug.switched_on():
        caught_by = [name for name, check in CHECKS.items() if rings(check, seed=0)]
    record_property("caught by", ", ".join(caught_by))
    assert caught_by
    assert not CHECKS[caught_by[0]](0)  # and the code is right again


@pytest.mark.parametrize("name", CHECKS)
def test_right_code_raises_no_alarm(name):
    assert [seed for seed in range(SEEDS) if CHECKS[name](seed)] == []


def test_the_catalogue_is_large_and_the_table_shows_all_of_it():
    assert len(CATALOGUE) >= 40 and sum(bug.source == "published" for bug in CATALOGUE.values()) >= 6
    table = FILE.read_text(encoding="utf-8")
    assert [name for name in CATALOGUE if f"| {name} |" not in table] == []


def test_a_patch_that_does_not_fit_the_code_is_an_error():
    stale = dataclasses.replace(CATALOGUE["attention_not_scaled"], old="no_such_thing")
    with (
        pytest.raises(ValueError, match="'no_such_thing' stands 0 times in npgpt"),
        stale.switched_on(),
    ):
        pass
