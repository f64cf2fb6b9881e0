"""Curves of runs, each against a run that is small enough to read."""

from __future__ import annotations

import numpy as np
import pytest

from runner.analysis.statistics.curves import (
    area_under,
    best_so_far,
    on_grid,
    personal_bests,
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
