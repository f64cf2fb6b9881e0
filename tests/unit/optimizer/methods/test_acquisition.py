"""What candidates are to reach, and what they are worth, against the definitions."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from methods.candidates import target_of
from methods.llambo import (
    LEAST_SPREAD,
    Predicted,
    Prediction,
    expected_improvement,
    summed_up,
)
from scipy import integrate, stats

VALUES = st.floats(-100, 100)


@pytest.mark.parametrize(
    ("values", "alpha", "minimize", "target"),
    [
        ([2.0, 1.0, 3.0], 0.2, True, 0.6),
        ([2.0, 1.0, 3.0], 0.2, False, 3.4),
        ([2.0, 1.0, 3.0], -0.2, True, 1.4),
        ([2.0, 1.0, 3.0], -0.2, False, 2.6),
        ([2.0, 2.0], 0.2, True, 1.96),
        ([2.0], 0.2, False, 2.04),
        ([0.1, 3.0], 0.2, True, 0.0275),  # alpha was halved three times
        ([-3.0, -1.0], 0.2, True, -3.4),
        ([0.0], 0.2, True, 0.0),
    ],
)
def test_the_target_lies_beyond_the_best_where_alpha_is_above_0(
    values: list[float], alpha: float, minimize: bool, target: float
) -> None:
    """It is a share of the range away from the best, and beyond it in the metric's direction."""
    assert target_of(values, alpha, minimize=minimize) == pytest.approx(target)


@given(st.lists(VALUES, min_size=1), st.booleans())
def test_the_target_is_never_worse_than_the_best(values: list[float], minimize: bool) -> None:
    """Whatever was measured, an alpha above 0 asks for the best value or for a better one."""
    target = target_of(values, 0.2, minimize=minimize)
    assert target <= min(values) if minimize else target >= max(values)


@given(VALUES, st.floats(0.01, 50), VALUES, st.booleans())
def test_expected_improvement_is_its_integral(
    mean: float, spread: float, best: float, minimize: bool
) -> None:
    """The closed form is the mean of what a normal value is better than the best."""

    def improved(value: float) -> float:
        better = best - value if minimize else value - best
        return max(0.0, better) * float(stats.norm.pdf(value, mean, spread))

    low, high = mean - 12 * spread, mean + 12 * spread
    edges = [low, min(max(best, low), high), high]
    whole = sum(integrate.quad(improved, a, b)[0] for a, b in itertools.pairwise(edges))
    found = expected_improvement(Predicted(mean, spread), best, minimize=minimize)
    assert found == pytest.approx(whole, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("better", "expected"), [(-1e9, 0.0), (1e9, 1e9)])
def test_expected_improvement_has_no_trouble_far_away(better: float, expected: float) -> None:
    """Far from the best it is nothing, or the whole way."""
    predicted = Predicted(better, LEAST_SPREAD)
    assert expected_improvement(predicted, 0.0, minimize=False) == expected


@pytest.mark.parametrize(
    ("values", "mean", "spread"),
    [
        ([1.0, 3.0], 2.0, 1.0),
        ([1.0, 1.0], 1.0, LEAST_SPREAD),
        ([1.0, 3.0, None, None], 5.5, 1.0),
        ([None], 9.0, LEAST_SPREAD),
    ],
)
def test_a_predicted_failure_moves_the_mean_and_not_the_spread(
    values: list[float | None], mean: float, spread: float
) -> None:
    """It counts as the worst value that was measured, and as no doubt about the numbers."""
    found = summed_up([Prediction(value) for value in values], worst=9.0)
    assert found == Predicted(mean, spread)


def test_without_predictions_nothing_is_known() -> None:
    """A setting that the model says nothing of has no score, not that of another."""
    assert summed_up([], worst=9.0) is None


@given(st.lists(st.none() | VALUES, min_size=1))
def test_what_is_summed_up_can_be_scored(values: list[float | None]) -> None:
    """Whatever was predicted, the expected improvement is a number of 0 or more."""
    predicted = summed_up([Prediction(value) for value in values], worst=100.0)
    found = expected_improvement(predicted, 0.0, minimize=True)
    assert 0 <= found < math.inf
