"""Permutation tests against orders that are counted by hand, and the five-agent study's r."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from runner.analysis.statistics.permutation import (
    correlation,
    mean_difference,
    rank_correlation,
    share_difference,
    shuffles,
)


def test_the_five_agents_give_the_published_r_and_an_exact_p_of_a_twentieth() -> None:
    """Their r is −.946; of 120 orders of three tied breadths 6 are as low: .05, the least."""
    found = correlation([5, 5, 5, 3, 2], [0.5757, 0.5794, 0.5802, 0.5848, 0.5923])
    assert found.statistic == pytest.approx(-0.946, abs=5e-4)
    assert (found.n, found.orders, found.exact) == (5, 120, True)
    assert found.p_less == pytest.approx(0.05)
    assert found.p == pytest.approx(0.05)
    assert found.smallest == pytest.approx(0.05)


def test_the_success_rates_of_the_five_agents_are_those_of_whole_experiments() -> None:
    """19.5, 21.0, 13.0, 8.2, 6.2 % of the published numbers are 32, 34, 21, 14, 10 kept."""
    shares, tries = [19.5, 21.0, 13.0, 8.2, 6.2], [163, 163, 163, 167, 163]
    kept = [round(share * n / 100) for share, n in zip(shares, tries, strict=True)]
    assert kept == [32, 34, 21, 14, 10]
    found = share_difference(kept[1], tries[1], kept[4], tries[4])
    assert found.statistic == pytest.approx(24 / 163)
    assert found.p is not None
    assert found.p < 0.001


def test_three_points_on_a_line_are_one_order_of_six() -> None:
    """Rising one way is 1/6, and on a line either way 2/6."""
    found = correlation([1, 2, 3], [2, 4, 6])
    assert found.statistic == pytest.approx(1)
    assert found.p_greater == pytest.approx(1 / 6)
    assert found.p == pytest.approx(1 / 3)
    assert found.p_less == 1


def test_many_points_are_drawn_and_p_is_never_zero() -> None:
    """Twelve points on a line: no drawn order is as far, so p is 1 in resamples + 1."""
    found = correlation(range(12), range(12), resamples=999)
    assert (found.exact, found.orders, found.smallest) == (False, 999, None)
    assert found.p == pytest.approx(1 / 1000)


def test_drawn_orders_agree_with_the_t_test_on_normal_values() -> None:
    """With 30 pairs the p of drawn orders is that of scipy's r within the error of drawing."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=30)
    y = 0.4 * x + rng.normal(size=30)
    expected = stats.pearsonr(x, y)
    found = correlation(x, y)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        ([], [], "0 pairs; a correlation needs 3"),
        ([1, 2], [1, 2], "2 pairs; a correlation needs 3"),
        ([1, 1, 1], [1, 2, 3], "one side of the 3 pairs is constant"),
        ([1, 2, np.nan, 4], [np.nan, 2, 3, 4], "2 pairs; a correlation needs 3"),
    ],
)
def test_a_correlation_that_does_not_exist_says_why(
    x: list[float], y: list[float], why: str
) -> None:
    """Too few pairs, and a side that never changes, have neither r nor p."""
    found = correlation(x, y)
    assert (found.statistic, found.p, found.why) == (None, None, why)


def test_ranks_make_a_curve_a_line() -> None:
    """Spearman's ρ of x and its cube is 1, and of tied ranks it is scipy's."""
    assert rank_correlation([1, 2, 3, 4], [1, 8, 27, 64]).statistic == pytest.approx(1)
    x, y = [1, 2, 2, 3, 5], [3, 1, 4, 4, 9]
    assert rank_correlation(x, y).statistic == pytest.approx(stats.spearmanr(x, y).statistic)


def test_all_divisions_of_six_values_are_counted() -> None:
    """1, 2, 3 against 4, 5, 6: one of 20 divisions is as low, two are as far."""
    found = mean_difference([1, 2, 3], [4, 5, 6])
    assert (found.statistic, found.orders, found.exact) == (-3, 20, True)
    assert found.p_less == pytest.approx(0.05)
    assert found.p == pytest.approx(0.1)


def test_ties_between_the_sides_are_counted_as_often_as_they_occur() -> None:
    """1, 2, 2 against 2, 3, 3 by counting all divisions with this test's own loop."""
    one, other = [1.0, 2, 2], [2.0, 3, 3]
    pool = np.array(one + other)
    gaps = []
    for rows in combinations(range(6), 3):
        chosen = np.isin(np.arange(6), rows)
        gaps.append(pool[chosen].mean() - pool[~chosen].mean())
    found = mean_difference(one, other)
    assert found.p_less == pytest.approx(np.mean(np.array(gaps) <= -1 + 1e-9))


def test_larger_samples_are_drawn() -> None:
    """20 against 20 values have 10¹¹ divisions; p is near that of the t test."""
    rng = np.random.default_rng(7)
    one, other = rng.normal(size=20), rng.normal(0.7, 1, 20)
    found = mean_difference(one, other)
    assert (found.exact, found.orders) == (False, 10_000)
    assert found.p == pytest.approx(stats.ttest_ind(one, other).pvalue, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [([], [1, 2], "one side has no value"), ([1], [1, 2], "one side has 1 value")],
)
def test_one_value_is_never_tested(one: list[float], other: list[float], why: str) -> None:
    """A side of one value has a difference at most, and no p."""
    found = mean_difference(one, other)
    assert found.p is None
    assert found.why.startswith(why)


def test_shares_are_fishers_exact_test() -> None:
    """3 of 3 against 0 of 3: 1/20 one way, as scipy's Fisher test says; 10 of 10 runs to n."""
    found = share_difference(3, 3, 0, 3)
    assert found.p_greater == pytest.approx(0.05)
    assert found.p == pytest.approx(0.1)
    table = [[32, 163 - 32], [21, 163 - 21]]
    greater = stats.fisher_exact(table, alternative="greater").pvalue
    assert share_difference(32, 163, 21, 163).p_greater == pytest.approx(greater)


def test_equal_shares_are_as_far_as_anything() -> None:
    """No success at all, and all successes, leave one order, and p is 1."""
    assert share_difference(0, 5, 0, 5).p == pytest.approx(1)
    assert share_difference(5, 5, 5, 5).p == pytest.approx(1)


def test_shares_without_tries_say_why() -> None:
    """No try and one try are not tested; more successes than tries are a mistake."""
    assert share_difference(0, 0, 1, 3).why == "one side has no try"
    assert share_difference(1, 1, 1, 3).p is None
    with pytest.raises(ValueError, match="successes ≤ tries"):
        share_difference(4, 3, 0, 3)


def test_shuffles_hold_all_values_and_all_orders() -> None:
    """Parts together have the asked number of orders, each with the values that were given."""
    values = np.arange(300_000, dtype=float)
    parts = list(shuffles(values, 10, np.random.default_rng(0)))
    assert sum(part.shape[0] for part in parts) == 10
    assert all(part.shape[0] <= 6 for part in parts)
    assert all(part.sum() == values.sum() * part.shape[0] for part in parts)


def test_the_unit_changes_nothing() -> None:
    """Values of 10⁻²⁰⁰, whose squares are 0, have the r of their thousands."""
    x = np.array([5, 5, 5, 3, 2]) * 1e-200
    assert correlation(x, [1, 2, 3, 4, 5]).p == correlation(x * 1e203, [1, 2, 3, 4, 5]).p
