"""Curves of runs, each against a run that is small enough to read."""

from __future__ import annotations

import numpy as np
import pytest

from runner.analysis.statistics.curves import (
    Streak,
    area_under,
    best_so_far,
    common_grid,
    dry_streaks,
    first_reaching,
    innovation_rate,
    longest_dry_streak,
    on_grid,
    personal_bests,
    rolling_share,
)

NAN = np.nan
AT = [10.0, 20, 30, 40]
VALUES = [NAN, 3.0, 4.0, 1.0]


def test_the_best_so_far_holds_over_failures() -> None:
    """There is none before the first value, and a failed or diverged trial changes nothing."""
    found = best_so_far([NAN, 3, NAN, 4, -np.inf, 1])
    np.testing.assert_array_equal(found, [NAN, 3, 3, 3, 3, 1])
    assert best_so_far([]).size == 0


def test_negative_values_are_values() -> None:
    """A negated score falls as it gets better."""
    assert best_so_far([-1, -3, -2]).tolist() == [-1, -3, -3]


def test_a_personal_best_is_better_than_all_before() -> None:
    """The first value is one; a tie and a failure are none."""
    assert personal_bests([NAN, 3, 3, NAN, 2, 5]).tolist() == [
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    assert personal_bests([]).tolist() == []


def test_innovation_counts_what_came_after_the_first_value() -> None:
    """One new best after the first in five trials; a run of failures has none."""
    assert innovation_rate([3, 3, NAN, 2, 5]) == pytest.approx(1 / 5)
    assert innovation_rate([NAN, NAN]) == 0
    assert innovation_rate([]) is None


def test_a_curve_is_a_step_function_on_the_grid() -> None:
    """NaN before the first value and after the end; a step at the very place of its trial."""
    found = on_grid(AT, VALUES, [5, 10, 20, 35, 40, 41])
    np.testing.assert_array_equal(found, [NAN, NAN, 3, 3, 1, NAN])


def test_a_run_holds_its_best_to_its_end() -> None:
    """A run that ended at 50 has its best there, though its last trial ended at 40."""
    assert on_grid(AT, VALUES, [50], end=50).tolist() == [1]
    assert np.isnan(on_grid([], [], [1, 2])).all()


def test_two_trials_at_one_place_count_both() -> None:
    """Trials whose times are equal leave the better one."""
    assert on_grid([1, 1], [2, 5], [1]).tolist() == [2]


def test_places_must_fit_the_values() -> None:
    """Times that go back, and one too few, are mistakes of the caller."""
    with pytest.raises(ValueError, match="go back"):
        on_grid([2, 1], [1, 1], [1])
    with pytest.raises(ValueError, match="needs its place"):
        on_grid([1], [1, 1], [1])


def test_a_common_grid_is_where_all_have_a_best() -> None:
    """From the last start to the first end; empty where there is no such stretch."""
    assert common_grid([1, 3], [9, 5], points=3).tolist() == [3, 4, 5]
    assert common_grid([1, 6], [9, 5]).size == 0
    assert common_grid([], []).size == 0
    assert common_grid([NAN, 1], [4, 5]).size == 0


def test_the_area_is_the_mean_height() -> None:
    """From 20 to 40 the best is 3, then 1: 3 on average to 40, 2 to 60, and 5/3 from 30 to 60."""
    assert area_under(AT, VALUES) == pytest.approx(3)
    assert area_under(AT, VALUES, end=60) == pytest.approx(2)
    assert area_under(AT, VALUES, start=30, end=60) == pytest.approx(5 / 3)
    assert area_under(AT, VALUES, start=45, end=60) == pytest.approx(1)
    assert area_under(AT, VALUES, start=20, end=25) == pytest.approx(3)


def test_a_stretch_that_begins_before_the_first_value_has_no_area() -> None:
    """A late first value must not look better than an early bad one."""
    assert area_under(AT, VALUES, start=0, end=40) is None
    assert area_under(AT, [NAN] * 4) is None
    assert area_under([1], [2.0]) is None
    assert area_under([], []) is None


def test_the_place_of_a_target() -> None:
    """3 is reached at 20, 2 at 40 with the 1, and 0 never."""
    assert first_reaching(AT, VALUES, 3) == 20
    assert first_reaching(AT, VALUES, 2) == 40
    assert first_reaching(AT, VALUES, 0) is None
    assert first_reaching([], [], 0) is None


def test_a_dry_streak_is_a_row_without_a_new_best() -> None:
    """Two, then one, then three at the end."""
    flags = [False, False, True, False, True, False, False, False]
    assert dry_streaks(flags) == (Streak(0, 2), Streak(3, 1), Streak(5, 3))
    assert longest_dry_streak(flags) == 3


def test_the_ends_of_dry_streaks() -> None:
    """No trial, only bests, and no best at all."""
    assert longest_dry_streak([]) == 0
    assert dry_streaks([True, True]) == ()
    assert dry_streaks([False, None]) == (Streak(0, 2),)


def test_a_rolling_share_begins_with_a_full_window() -> None:
    """Windows of 2 over 1, 0, 0, 1; a window longer than the run gives nothing."""
    np.testing.assert_array_equal(rolling_share([True, False, False, True], 2), [NAN, 0.5, 0, 0.5])
    assert np.isnan(rolling_share([True], 2)).all()
    assert rolling_share([], 2).size == 0
    with pytest.raises(ValueError, match="at least 1"):
        rolling_share([True], 0)
