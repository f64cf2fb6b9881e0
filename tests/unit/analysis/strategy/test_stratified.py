"""Exact tests of counts against what comes out by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from runner.analysis.strategy.stratified import homogeneity, share_difference


def test_one_run_by_hand() -> None:
    """2 of 2 against 0 of 2: one of six divisions is as far on each side, so p = 2/6."""
    found = share_difference([(2, 2, 0, 2)])
    assert (found.effect, found.n) == (1.0, 4)
    assert found.p == pytest.approx(2 / 6)
    assert found.smallest == pytest.approx(2 / 6)


def test_two_runs_by_hand() -> None:
    """Twice the same: both runs must be at the same end, (1/6)² on each side."""
    found = share_difference([(2, 2, 0, 2), (2, 2, 0, 2)])
    assert found.p == pytest.approx(2 / 36)
    assert found.effect == pytest.approx(1.0)


def test_runs_are_not_mixed() -> None:
    """A difference between runs alone is none: within each run both sides have the same share."""
    found = share_difference([(4, 4, 4, 4), (1, 20, 1, 20)])
    assert (found.effect, found.n) == (0.0, 40)
    assert found.p == pytest.approx(1.0)


def test_a_single_run_is_fishers_test() -> None:
    """With as many tries on both sides the two-sided p is that of Fisher's exact test."""
    expected = stats.fisher_exact([[9, 3], [2, 10]]).pvalue
    assert share_difference([(9, 12, 2, 12)]).p == pytest.approx(expected)


def test_the_difference_is_mantel_and_haenszels() -> None:
    """Gaps .5 and .1 with weights 2·2/4 and 10·10/20 give (.5 + .5)/6."""
    found = share_difference([(1, 2, 0, 2), (2, 10, 1, 10)])
    assert found.effect == pytest.approx((1 * 0.5 + 5 * 0.1) / 6)


@pytest.mark.parametrize("tables", [[], [(1, 2, 0, 0)], [(0, 3, 0, 3)], [(3, 3, 2, 2)]])
def test_runs_that_tell_nothing_give_no_p(tables: list[tuple[int, int, int, int]]) -> None:
    """A run needs both sides and both outcomes."""
    found = share_difference(tables)
    assert found.p is None
    assert found.why


def test_homogeneity_is_near_the_exact_p() -> None:
    """Drawn tables give about the p of Fisher's test, and V is that of χ²."""
    table = np.array([[8, 2], [3, 7]])
    found = homogeneity(table, 4000, 0)
    assert found.effect == pytest.approx(stats.contingency.association(table))
    assert found.p == pytest.approx(stats.fisher_exact(table).pvalue, abs=0.02)
    assert found.n == 20


def test_equal_rows_are_homogeneous() -> None:
    """The same shares in all rows have V = 0 and p = 1."""
    found = homogeneity(np.array([[5, 5], [5, 5], [10, 10]]), 200, 0)
    assert found.effect == pytest.approx(0.0)
    assert found.p == 1.0


@pytest.mark.parametrize("table", [[[3, 4]], [[3, 0], [4, 0]], [[3, 4], [0, 0]]])
def test_a_table_of_one_row_or_column_gives_no_p(table: list[list[int]]) -> None:
    """One contestant, or one outcome, is nothing to compare."""
    found = homogeneity(np.array(table), 100, 0)
    assert found.p is None
    assert found.why
