"""The curve of the best value so far, in characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.metrics import VAL_BPB, Metric
from runner.watch.curve import plot

ACCURACY = Metric(name="accuracy", direction="maximize")


def test_the_curve_falls_to_the_best() -> None:
    """The axis has the first and the best value; a worse trial is a small dot in its column."""
    assert plot([2.4, 2.2, None, 2.35, 2.0], VAL_BPB, 18, 3) == [
        "2.4000 │●●    ·",
        "       │  ●●●●●●",
        "2.0000 │        ●●",
    ]


def test_a_metric_that_is_maximised_rises() -> None:
    """The best stands at the top."""
    assert plot([0.1, 0.9], ACCURACY, 16, 2) == ["0.9000 │    ●●●●", "0.1000 │●●●●"]


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_without_a_value_there_is_no_curve(values: list[float | None]) -> None:
    """Crashes alone draw nothing."""
    assert plot(values, VAL_BPB, 80, 10) == []


@given(
    st.lists(st.none() | st.floats(-1e300, 1e300), max_size=300),
    st.integers(0, 220),
    st.integers(0, 30),
)
def test_any_values_fit_any_size(values: list[float | None], width: int, height: int) -> None:
    """No line is longer, and no plot higher, than it may be."""
    lines = plot(values, ACCURACY, width, height)
    assert len(lines) in (0, height)
    assert all(len(line) <= width for line in lines)
