"""Times, money and settings in foreign cells."""

from __future__ import annotations

from typing import Any

import pytest

from runner.imports.fields import knob_of, moment_of, seconds_of, setting_of, usd_of


@pytest.mark.parametrize(
    ("column", "cell", "seconds"),
    [
        ("train_seconds", "12.5", 12.5),
        ("duration_ms", "1500", 1.5),
        ("minutes", "2", 120.0),
        ("hours", "0.5", 1800.0),
        ("duration", "0 days 00:01:02.500000", 62.5),
        ("elapsed", "1h 3m", 3780.0),
        ("elapsed", "9.3s", 9.3),
        ("duration", "77", None),
        ("elapsed", "3:20", None),
        ("seconds", "-1", None),
        ("seconds", "n/a", None),
    ],
)
def test_durations_are_seconds_where_a_unit_is_known(
    column: str, cell: str, seconds: float | None
) -> None:
    """A bare number in `duration` may be anything, and stays where it is."""
    assert seconds_of(column, cell) == seconds


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2026-02-03T04:05:06", "2026-02-03T04:05:06"),
        ("2026-02-03 04:05:06+02:00", "2026-02-03T04:05:06+02:00"),
        ("1767225600", "2026-01-01T00:00:00+00:00"),
        ("1767225600000", "2026-01-01T00:00:00+00:00"),
        ("12.5", ""),
        ("yesterday", ""),
        ("inf", ""),
        ("9e99", ""),
    ],
)
def test_moments_are_iso_8601(cell: str, moment: str) -> None:
    """Seconds and milliseconds since 1970 are moments; small numbers are none."""
    assert moment_of(cell) == moment


@pytest.mark.parametrize(
    ("column", "knob"),
    [
        ("params_lr", "lr"),
        ("params.optim.lr", "optim.lr"),
        ("config/depth", "depth"),
        ("params", ""),
        ("config_name", ""),
        ("lr", ""),
    ],
)
def test_settings_are_told_by_the_columns_prefix(column: str, knob: str) -> None:
    """As Optuna, MLflow and nested JSON name them."""
    assert knob_of(column) == knob


@pytest.mark.parametrize(
    ("cell", "setting"),
    [("0.1", 0.1), ("3", 3), ("True", True), ("false", False), ("adam", "adam"),
     ("NaN", "NaN"), ("[1, 2]", "[1, 2]"), ("007", "007")],
)  # fmt: skip
def test_settings_have_types(cell: str, setting: Any) -> None:
    """Numbers and truth values are such; everything else stays as written."""
    found = setting_of(cell)
    assert (found, type(found)) == (setting, type(setting))


def test_dollars() -> None:
    """With or without their sign; there is no negative cost."""
    assert (usd_of("$1.25"), usd_of("1.25"), usd_of("-1"), usd_of("?")) == (1.25, 1.25, None, None)
