"""Analysis of variance against sums of squares worked out by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runner.analysis.statistics.variance import (
    anova,
    balanced,
    eta_squared_from_f,
    omega_squared_from_f,
    share_interval,
)

# Means 2, 3, 6: 26 between the groups and 6 within, so F = 13 with 2 and 6 degrees of freedom.
VALUES = [1.0, 2, 3, 2, 3, 4, 5, 6, 7]
GROUPS = ["a"] * 3 + ["b"] * 3 + ["c"] * 3


def test_the_table_is_that_worked_out_by_hand() -> None:
    """F = 13, η² = 26/32, ω² = (26 − 2)/(32 + 1), whatever the order of the rows."""
    for order in (np.arange(9), np.random.default_rng(0).permutation(9)):
        rows = [GROUPS[row] for row in order]
        found = anova(np.array(VALUES)[order], rows, fewest=3)
        assert (found.groups, found.n, found.df_between, found.df_within) == (3, 9, 2, 6)
        assert found.f == pytest.approx(13)
        assert found.p == pytest.approx(0.006591, abs=1e-5)
        assert found.eta_squared == pytest.approx(26 / 32)
        assert found.omega_squared == pytest.approx(24 / 33)


def test_both_shares_follow_from_f() -> None:
    """13 with 2 and 6 degrees of freedom gives the shares of the sums of squares."""
    assert eta_squared_from_f(13, 2, 6) == pytest.approx(26 / 32)
    assert omega_squared_from_f(13, 2, 6) == pytest.approx(24 / 33)
    with pytest.raises(ValueError, match="degree of freedom"):
        eta_squared_from_f(13, 0, 6)
    with pytest.raises(ValueError, match="at least 0"):
        omega_squared_from_f(float("nan"), 2, 6)


@pytest.mark.parametrize(("n", "groups"), [(3003, 36), (10_469, 124)])
def test_the_published_f_and_share_fit_together(n: int, groups: int) -> None:
    """F = 1324 and η² = .94 ask for 36 groups after the bug fix, or for 124 in the whole study."""
    assert round(eta_squared_from_f(1324, groups - 1, n - groups), 2) == 0.94
    assert round(eta_squared_from_f(1324, groups // 2, n - groups // 2), 2) < 0.9


def test_random_assignments_agree_with_f_on_normal_values() -> None:
    """Of normal values in three groups the two p agree within the error of drawing."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=60) + np.repeat([0, 0.3, 0.6], 20)
    found = anova(values, np.repeat(["a", "b", "c"], 20).tolist())
    assert found.p is not None
    assert found.permutation_p == pytest.approx(found.p, abs=0.015)


def test_the_share_of_assignments_is_counted() -> None:
    """1, 2 against 3, 4: a third of the assignments is as far apart, and the p is near that."""
    found = anova([1, 2, 3, 4], ["a", "a", "b", "b"], fewest=2, resamples=20_000)
    assert found.permutation_p == pytest.approx(1 / 3, abs=0.015)
    assert anova(VALUES, GROUPS, fewest=3, resamples=0).permutation_p is None


def test_without_a_difference_eta_is_above_zero_and_omega_is_not() -> None:
    """Over 100 draws of noise in 50 groups, η² is 49/499 on average and ω² is 0."""
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(50), 10).tolist()
    found = [anova(rng.normal(size=500), groups, resamples=0) for _ in range(100)]
    assert np.mean([one.eta_squared or 0 for one in found]) == pytest.approx(49 / 499, abs=0.005)
    assert np.mean([one.omega_squared or 0 for one in found]) == pytest.approx(0, abs=0.005)


def test_equal_means_have_an_f_of_zero() -> None:
    """Floating point takes F a little below 0 there: 9 … 20 against 20 … 9, in twelves."""
    values = [20.0 - n for n in range(12)] + [9.0 + n for n in range(12)]
    found = anova(values, ["a"] * 12 + ["b"] * 12, resamples=99)
    assert found.f == pytest.approx(0, abs=1e-12)
    assert found.omega_squared is not None
    assert found.omega_squared < 0


def test_small_groups_are_left_out_and_named() -> None:
    """With at least three values a group, "d" has too few; NaN does not count."""
    found = anova([*VALUES, 9, 9, np.nan], [*GROUPS, "d", "d", "d"], fewest=3)
    assert (found.left_out, found.n) == (("d",), 9)
    assert found.f == pytest.approx(13)


@pytest.mark.parametrize(
    ("values", "groups", "why"),
    [
        ([], [], "0 groups have 2 values or more; the analysis of variance needs two"),
        ([1.0], ["a"], "0 groups have 2 values or more; the analysis of variance needs two"),
        (
            [1.0, 2.0],
            ["a", "a"],
            "1 group has 2 values or more; the analysis of variance needs two",
        ),
        ([1.0] * 4, ["a", "a", "b", "b"], "all 4 values are equal"),
    ],
)
def test_what_cannot_be_told_says_why(values: list[float], groups: list[str], why: str) -> None:
    """No value, one group and equal values give neither F nor p."""
    found = anova(values, groups, fewest=2)
    assert (found.f, found.p, found.permutation_p, found.eta_squared) == (None,) * 4
    assert found.why == why
    assert share_interval(values, groups, fewest=2) is None


def test_a_value_a_group_has_nothing_within() -> None:
    """Groups of one value leave no degree of freedom."""
    assert anova([1, 2, 3], ["a", "b", "c"], fewest=1).why.startswith("3 values in 3 groups")


def test_groups_that_never_vary_explain_all() -> None:
    """1, 1 against 2, 2: η² is 1, and there is no F to print."""
    found = anova([1, 1, 2, 2], ["a", "a", "b", "b"], fewest=2)
    assert (found.eta_squared, found.omega_squared, found.f) == (1, 1, None)
    assert found.why == "the values within each group are equal, so F is not finite"


def test_each_value_needs_a_group() -> None:
    """Columns of unequal length are a mistake of the caller."""
    with pytest.raises(ValueError, match="2 and 1"):
        anova([1, 2], ["a"])


def test_a_balanced_subsample_has_as_many_of_each() -> None:
    """Of 20, 12 and 3 values with at least 10: 12 of the first two, each of its own group."""
    values = [*range(20), *range(100, 112), *range(200, 203)]
    kept, groups = balanced(values, ["a"] * 20 + ["b"] * 12 + ["c"] * 3)
    assert groups == ["a"] * 12 + ["b"] * 12
    assert len(set(kept)) == 24
    assert max(kept[:12]) < 20
    assert min(kept[12:]) >= 100
    assert balanced([], [])[1] == []


def test_the_interval_of_the_share_holds_the_true_one() -> None:
    """Means 0 and 2 with noise of 1 in equal groups: half of the variance lies between."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=400) + np.repeat([0.0, 2.0], 200)
    found = share_interval(values, np.repeat(["a", "b"], 200).tolist())
    assert found is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.15


def test_the_interval_of_no_share_holds_zero() -> None:
    """Noise in 50 groups: resampled η² is far above 0, the interval is not."""
    rng = np.random.default_rng(8)
    found = share_interval(rng.normal(size=1000), np.repeat(np.arange(50), 20).tolist())
    assert found is not None
    assert found.low == 0
    assert found.high < 0.05


@pytest.mark.parametrize("unit", [1e-200, 1e90])
def test_the_unit_of_the_values_changes_nothing(unit: float) -> None:
    """Squares that would be 0 or infinite are not taken of the values as they come."""
    values = np.array(VALUES) * unit
    found = anova(values, GROUPS, fewest=3)
    assert found.f == pytest.approx(13)
    assert found.eta_squared == pytest.approx(26 / 32)
    one, other = share_interval(values, GROUPS, fewest=3), share_interval(VALUES, GROUPS, fewest=3)
    assert one is not None
    assert other is not None
    assert one.low == pytest.approx(other.low)


def test_the_whole_campaign_is_analysed_in_seconds() -> None:
    """10,469 values in 124 groups with 5,000 permutations take less than five seconds of CPU."""
    rng = np.random.default_rng(9)
    groups = np.resize(np.arange(124), 10_469).tolist()
    began = time.process_time()
    found = anova(rng.normal(size=10_469), groups, resamples=5000)
    assert time.process_time() - began < 20
    assert found.permutation_p == pytest.approx(found.p, abs=0.02)
