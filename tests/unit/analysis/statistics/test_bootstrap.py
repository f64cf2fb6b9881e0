"""Bootstrap intervals, where the distribution of the resamples is known."""

from __future__ import annotations

import numpy as np
import pytest

from runner.analysis.statistics.bootstrap import band, difference_interval, interval


def test_the_interval_of_two_values_is_both_of_them() -> None:
    """Of 0 and 1 a quarter of the resamples is all 0 and a quarter all 1."""
    found = interval([0, 1])
    assert found is not None
    assert (found.low, found.high, found.n) == (0, 1, 2)


def test_a_narrower_level_cuts_more() -> None:
    """At a level of .4 the ends are the 30 % and 70 % quantiles, both in the middle half."""
    found = interval([0, 1], level=0.4)
    assert found is not None
    assert (found.low, found.high, found.level) == (0.5, 0.5, 0.4)


def test_the_interval_of_a_mean_is_that_of_the_normal_law_for_many_values() -> None:
    """Of 400 normal values the ends lie 1.96 standard errors from the mean, within a tenth."""
    sample = np.random.default_rng(1).normal(5, 2, 400)
    found = interval(sample)
    assert found is not None
    error = sample.std() / 20
    assert (found.low - sample.mean()) / error == pytest.approx(-1.96, abs=0.1)
    assert (found.high - sample.mean()) / error == pytest.approx(1.96, abs=0.1)


def test_another_statistic_can_be_resampled() -> None:
    """The median of three values is one of them."""
    found = interval([1, 2, 30], np.median)
    assert found is not None
    assert {found.low, found.high} <= {1, 2, 30}


def test_one_value_has_no_interval() -> None:
    """One value, none, and one beside a NaN give None."""
    assert interval([3.0]) is None
    assert interval([]) is None
    assert interval([3.0, np.nan]) is None
    assert difference_interval([1.0], [1.0, 2.0]) is None
    assert band([[1.0, 2.0]]) is None


def test_equal_values_have_an_interval_without_width() -> None:
    """What never varied does not vary when resampled."""
    found = interval([2.0, 2.0, 2.0])
    assert found is not None
    assert (found.low, found.high) == (2, 2)


def test_the_same_seed_gives_the_same_interval() -> None:
    """A page that is made twice says the same, and another seed says almost the same."""
    sample = np.random.default_rng(0).normal(size=10)
    assert interval(sample, seed=3) == interval(sample, seed=3)
    assert interval(sample, seed=3) != interval(sample, seed=4)


def test_the_difference_of_two_means_reaches_from_corner_to_corner() -> None:
    """{0, 1} less {0, 1}: 1/16 of the resamples are −1, and 1/16 are 1."""
    found = difference_interval([0, 1], [0, 1])
    assert found is not None
    assert (found.low, found.high, found.n) == (-1, 1, 4)


def test_a_band_is_made_of_the_curves_that_have_a_value() -> None:
    """Where one of two curves has begun there is a mean and no interval; before, neither."""
    nan = np.nan
    found = band([[nan, nan, 0.0, 0.0], [nan, 2.0, 1.0, 0.0]])
    assert found is not None
    assert found.n.tolist() == [0, 1, 2, 2]
    np.testing.assert_array_equal(found.mean, [nan, 2, 0.5, 0])
    np.testing.assert_array_equal(found.low, [nan, nan, 0, 0])
    np.testing.assert_array_equal(found.high, [nan, nan, 1, 0])


def test_a_band_is_the_interval_of_each_point() -> None:
    """At every point of a grid the band agrees with the interval of the values there."""
    curves = np.random.default_rng(2).normal(size=(8, 5))
    found = band(curves)
    assert found is not None
    for point in range(5):
        alone = interval(curves[:, point])
        assert alone is not None
        assert found.low[point] == pytest.approx(alone.low, abs=0.05)
        assert found.high[point] == pytest.approx(alone.high, abs=0.05)
