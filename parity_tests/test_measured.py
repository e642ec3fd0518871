"""A magnitude that is measured: right code stays within the bound, and no bug hides in it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from .bugs import CATALOGUE
from .checks import op_cases
from .conftest import PROFILE
from .measured import DRAWS, running_sum
from .op_table import TABLE, cases, complex_step_error, errors_against_torch
from .strategies import dtypes
from .tolerances import LOCAL_FACTOR

MEASURED = {name: dataclasses.replace(op, magnitude=None) for name, op in TABLE.items()}
PLAIN = [name for name in TABLE if "attention" not in name]  # attention's fused kernel needs its formula
BUGS = [bug for bug in CATALOGUE.values() if bug.where.rpartition(":")[2].removesuffix("_backward") in TABLE]


@pytest.mark.parametrize("name", PLAIN)
def test_right_code_stays_within_the_bound(name):
    @settings(max_examples=1000 if PROFILE == "nightly" else 30)
    @given(cases(MEASURED[name], dtypes))
    def check(case):
        assert max(errors_against_torch(MEASURED[name], case, "cpu")) <= LOCAL_FACTOR
        assert complex_step_error(MEASURED[name], dataclasses.replace(case, dtype="float64")) <= 1

    check()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_catches_what_the_formula_catches(bug):
    name = bug.where.rpartition(":")[2].removesuffix("_backward")
    with bug.switched_on(), np.errstate(all="ignore"):
        found = [any(caught(table[name], case) for case in op_cases(table[name], seed=0)) for table in (TABLE, MEASURED)]
    assert found == [True, True] or (found == [False, False] and bug.name == "attention_large_finite_mask")  # exp(-1e4) is 0


def caught(op, case) -> bool:
    try:
        return max(errors_against_torch(op, case, "cpu")) > LOCAL_FACTOR
    except ValueError:  # shapes that do not fit
        return True


def test_there_are_bugs_of_every_kind_of_operation():
    assert len(BUGS) >= 40 and {"softmax", "layer_norm", "gelu"} <= {bug.where.rpartition(":")[2] for bug in BUGS}


def test_what_cancels_inside_an_operation_counts():
    """GELU's 1 + tanh(u) at x = -7 is 1e-14 and has the error of a number of size 1, which x / 2 makes that of 3.5."""
    y, (dx,) = MEASURED["gelu"].magnitude(np.ones(1), np.full(1, -7.0))
    assert 1 < y[0] < 20 and 1 < dx[0] < 300


def test_a_long_sum_counts_for_more_than_one_rounding():
    rows = np.ones((1, 40_000, 1))
    _, (_, _, dbias) = MEASURED["linear"].magnitude(rows, rows, np.ones((1, 1)), np.ones(1))
    assert running_sum(40_000) > 30 and 40_000 * 10 < dbias[0] < 40_000 * 5 * 33


def test_where_nothing_is_finite_no_error_passes():
    infinite = np.full((1, 2), np.inf)
    _, (dx,) = MEASURED["softmax"].magnitude(np.ones((1, 2)), infinite)
    assert np.isnan(dx).all() and DRAWS >= 8
