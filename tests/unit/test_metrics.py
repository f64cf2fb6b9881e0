"""The metric of a task: which values it can have, and which of them is better."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.metrics import LARGEST, VAL_BPB, Metric

ACCURACY = Metric(name="accuracy", unit="share of tests", direction="maximize")
VALUES = st.floats(-LARGEST, LARGEST)


@given(VALUES, VALUES)
def test_one_direction_is_the_other_upside_down(first: float, second: float) -> None:
    """Lower is better when minimised and higher when maximised; nothing is better than itself."""
    assert VAL_BPB.better(first, second) == (first < second)
    assert ACCURACY.better(first, second) == (first > second)
    assert VAL_BPB.better_of(first, second) == min(first, second)
    assert ACCURACY.better_of(first, second) == max(first, second)
    assert VAL_BPB.gain(first, second) == -ACCURACY.gain(first, second) == second - first
    assert ACCURACY.better(first, second) == (ACCURACY.gain(first, second) > 0)


@given(st.lists(st.none() | VALUES))
def test_the_best_is_the_first_of_the_best_values(values: list[float | None]) -> None:
    """Items without a value are passed over; without any value there is no best."""
    numbered = list(enumerate(values))
    known = [value for value in values if value is not None]
    for metric, best in ((VAL_BPB, min), (ACCURACY, max)):
        found = metric.best(numbered, lambda item: item[1])
        expected = values.index(best(known)) if known else None
        assert (found and found[0]) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2 * LARGEST, None])
def test_what_is_no_number_is_no_measurement(value: float | None) -> None:
    """Neither for a metric with bounds nor for one without."""
    assert VAL_BPB.measured(value) is None
    assert ACCURACY.measured(value) is None


def test_a_metrics_bounds_are_no_values_of_it() -> None:
    """Bits per byte lie above 0 and below 100; where there are no bounds, any number counts."""
    for value in (-1.0, 0.0, 100.0, 1e9):
        assert VAL_BPB.measured(value) is None
        assert ACCURACY.measured(value) == value
    assert VAL_BPB.measured(99.9) == 99.9


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.34567, "2.3457"), (0.0, "0.0000"), (-3.0, "-3.0000"), (3e-5, "3.000e-05")],
)
def test_a_value_is_shown_with_its_digits(value: float, shown: str) -> None:
    """Four decimals, or four digits of a value that would lose them."""
    assert VAL_BPB.shown(value) == shown


def test_a_metric_says_which_way_is_better() -> None:
    """On the axis of a figure and in prompts."""
    assert VAL_BPB.label == "val_bpb, bits per byte (lower is better)"
    assert ACCURACY.label == "accuracy, share of tests (higher is better)"
    assert Metric(name="loss", direction="minimize").label == "loss (lower is better)"
    assert ACCURACY.prompt_values == {"metric": "accuracy", "lower": "higher", "lowest": "highest"}


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Val BPB"},
        {"name": ""},
        {"name": "accuracy\n"},
        {"direction": "down"},
        {"above": math.nan},
        {"colour": "red"},
    ],
)
def test_what_describes_no_metric_is_refused(fields: dict[str, object]) -> None:
    """A name that no line of output can begin with, another direction, and unknown fields."""
    with pytest.raises(ValidationError):
        Metric.model_validate({"name": "loss", "direction": "minimize", **fields})
