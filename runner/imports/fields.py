"""Times, money and settings in the cells of a foreign row."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from runner.imports.statuses import figure_of

_SECONDS = (
    *("train_seconds", "training_seconds", "train_time", "training_time", "train_time_s"),
    *("duration_seconds", "duration_s", "duration_sec", "duration", "elapsed_seconds"),
    *("elapsed_sec", "elapsed_s", "elapsed", "seconds_elapsed", "wall_seconds", "wall_secs"),
    *("wall_s", "wall_time_s", "wall_time", "runtime_s", "runtime_seconds", "runtime", "_runtime"),
    *("seconds", "secs", "time_s", "time_sec", "time_seconds", "encoding_seconds"),
    *("duration_ms", "elapsed_ms", "runtime_ms", "duration_min", "elapsed_min", "minutes", "hours"),
)
_UNITLESS = ("train_time", "training_time", "duration", "elapsed", "wall_time")
_USD = ("cost_usd", "usd", "api_cost_usd", "api_cost", "llm_cost_usd", "llm_cost", "dollars",
        "cost_dollars", "spend_usd", "total_cost_usd")  # fmt: skip
_ENDED = ("ended_at", "datetime_complete", "finished_at", "completed_at", "end_time")
_OF_SETTINGS = ("params", "param", "config", "hyperparameters", "hparams", "hp", "knobs", "knob",
                "parameters", "settings")  # fmt: skip
_CLOCK = re.compile(r"(?:(\d+) days?,? *)?(\d{1,3}):(\d\d)(?::(\d\d(?:\.\d+)?))?")
_UNITS = re.compile(r"(?<![\d.])(\d++(?:\.\d++)?+)\s*(d|h|m|min|s|sec|ms)(?![a-z])", re.IGNORECASE)
_IN_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "sec": 1.0, "ms": 1e-3}
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (1e8, 1.0))  # ns, µs, ms and s since 1970


def seconds_column(cells: Mapping[str, str]) -> str:
    """The column that says how long a trial took; empty where none does."""
    return next((name for name in _SECONDS if name in cells), "")


def seconds_of(column: str, cell: str) -> float | None:
    """A duration in seconds; None where no unit is known.

    Args:
        column: whose name may hold the unit.
        cell: the duration: `12.5`, `0 days 00:01:02.5`, `1h 3m`.
    """
    if clock := _CLOCK.fullmatch(cell.strip()):
        days, first, second, third = clock.groups()
        if third is None:  # hours and minutes, or minutes and seconds
            return None
        return int(days or 0) * 86400.0 + int(first) * 3600.0 + int(second) * 60.0 + float(third)
    units = _UNITS.findall(cell)
    if units and not _UNITS.sub("", cell).strip(" ,"):
        return sum(float(amount) * _IN_SECONDS[unit.lower()] for amount, unit in units)
    value = figure_of(cell)
    if value is None or value < 0 or column in _UNITLESS:
        return None
    if column.endswith("_ms"):
        return value / 1000
    if column.endswith("_min") or column == "minutes":
        return value * 60
    return value * 3600 if column == "hours" else value


def usd_column(cells: Mapping[str, str]) -> str:
    """The column that says what a trial cost in US dollars; empty where none does."""
    return next((name for name in _USD if name in cells), "")


def usd_of(cell: str) -> float | None:
    """An amount of US dollars."""
    value = figure_of(cell.strip().lstrip("$"))
    return value if value is not None and value >= 0 else None


def ended_column(cells: Mapping[str, str]) -> str:
    """The column that says when a trial ended; empty where none does."""
    return next((name for name in _ENDED if name in cells), "")


def moment_of(cell: str) -> str:
    """A moment as ISO 8601; empty where the cell holds none. Numbers are seconds since 1970."""
    text = cell.strip().removesuffix(" UTC")
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        since = float(text)
    except ValueError:
        return ""
    factor = next((factor for least, factor in _EPOCHS if since >= least), None)
    if factor is None or not math.isfinite(since):
        return ""
    try:
        return datetime.fromtimestamp(since * factor, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def knob_of(column: str) -> str:
    """The name of the setting that a column holds: `lr` of `params_lr`; empty of other columns."""
    for prefix in _OF_SETTINGS:
        for mark in "./_" if prefix == "params" else "./":
            if column.startswith(prefix + mark) and len(column) > len(prefix) + 1:
                return column[len(prefix) + 1 :]
    return ""


def setting_of(cell: str) -> Any:
    """A setting as a number, a truth value or a text."""
    if cell in ("True", "False"):
        return cell == "True"
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return value if isinstance(value, (int, float, bool)) and is_finite else cell
