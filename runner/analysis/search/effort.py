"""What a run had used when a trial ended: trials, training time, wall time and US dollars.

A unit is known of a run if all of its trials that have a value have it. Dollars are those of the
model and, if an hour of a device has a price, those of the devices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from runner.analysis.report import Context
from runner.analysis.statistics.arrays import Array
from runner.analysis.statistics.curves import area_under

SECONDS_PER_HOUR, SECONDS_PER_MINUTE = 3600.0, 60.0
NAMED = 12  # contestants in a sentence
SHORT = 0.1  # of the median length: contestants with shorter runs alone have no area


@dataclass(frozen=True)
class Unit:
    """One way to count effort.

    Attributes:
        column: of `used`.
        name: for names of files.
        title: what the axis of a figure and a column of a table say.
        seconds: whether it is a time, in seconds.
    """

    column: str
    name: str
    title: str
    seconds: bool = False


TRIALS = Unit("used_trials", "trials", "trials")
TRAINING = Unit("used_training", "training-time", "training time, summed over trials", True)
WALL = Unit("used_wall", "wall-time", "wall time", True)
DOLLARS = Unit("used_dollars", "dollars", "US dollars")
UNITS = (TRIALS, TRAINING, WALL, DOLLARS)


COLUMNS = (
    "run", "contestant", "trial", "source", "status", "value", "best", "is_best", "change",
    "knobs_changed", "other_changes",
)  # fmt: skip


def used(context: Context) -> pd.DataFrame:
    """The trials, with what their run had used by their end in each unit; NaN where not known.

    Returns:
        Some columns of `Frames.trials`, by run and trial, and those of `UNITS`: how many trials,
        seconds, seconds, and US dollars.
    """
    found = context.frames.trials.sort_values(["run", "trial"], kind="stable")
    found = found.reset_index(drop=True)
    trials = found[list(COLUMNS)].copy()
    trials["is_best"] = found["is_best"].fillna(False).astype(bool)
    trials[TRIALS.column] = found.groupby("run").cumcount() + 1.0
    trials[TRAINING.column] = found["train_seconds_so_far"]
    trials[WALL.column] = found["elapsed_seconds"]
    trials[DOLLARS.column] = dollars(
        found["usd_so_far"],
        found["device_seconds_so_far"].fillna(found["train_seconds_so_far"]),
        prices(context, found["run"]),
    )
    # Trials that ran side by side are in the order of their numbers, not of their ends.
    columns = [unit.column for unit in UNITS]
    trials[columns] = trials.groupby("run")[columns].cummax()
    return trials


def prices(context: Context, names: pd.Series) -> pd.Series:
    """US dollars an hour of a device, for each of these runs; 0 leaves devices out.

    A run's own price goes before the one that was set.
    """
    own = context.frames.runs.drop_duplicates("run").set_index("run")["compute_usd_per_hour"]
    known = names.map(own).astype("float64")
    return known.fillna(context.settings.compute_usd_per_hour)


def device_seconds(runs: pd.DataFrame) -> pd.Series:
    """What each run had of devices; an import tells its training alone."""
    return runs["device_seconds"].fillna(runs["train_seconds"])


def dollars(model: pd.Series, seconds: pd.Series, per_hour: pd.Series) -> pd.Series:
    """What model and devices cost; where a device has a price, an unknown model is free.

    Args:
        model: US dollars.
        seconds: on a device.
        per_hour: US dollars that an hour of a device costs; 0 leaves devices out.
    """
    known = model.where(per_hour <= 0, model.fillna(0.0))
    return known + (seconds * per_hour / SECONDS_PER_HOUR).where(per_hour > 0, 0.0)


@dataclass(frozen=True)
class Steps:
    """How the best value of a run fell or rose, in one unit.

    Attributes:
        run: whose.
        contestant: whose run.
        at: where each trial with a value ended, never falling.
        best: the best value so far there, in the metric's own unit.
        end: where the last trial ended, with or without a value.
    """

    run: str
    contestant: str
    at: Array
    best: Array
    end: float


def steps(trials: pd.DataFrame, unit: Unit) -> list[Steps]:
    """The curve of each run with a value in which the unit is known, in the order of `trials`.

    Args:
        trials: as `used` gives them.
        unit: of the x axis.
    """
    return list(_steps(trials, unit))


def _steps(trials: pd.DataFrame, unit: Unit) -> Iterator[Steps]:
    runs = trials["run"].to_numpy(dtype=object)
    names = trials["contestant"].to_numpy(dtype=object)
    places, best = (trials[column].to_numpy(dtype=np.float64) for column in (unit.column, "best"))
    measured = trials["value"].notna().to_numpy()
    edges = np.flatnonzero(runs[1:] != runs[:-1]) + 1
    for rows in np.split(np.arange(len(runs)), edges):
        known = rows[measured[rows]]
        if known.size and np.isfinite(places[known]).all():
            end = float(np.nanmax(places[rows]))
            name = str(names[rows[0]])
            yield Steps(str(runs[rows[0]]), name, places[known], best[known], end)


def scale(unit: Unit, longest: float) -> tuple[float, str]:
    """What to divide by, and the name of the axis, so that its numbers are easy to read.

    Args:
        unit: of the axis.
        longest: the largest number on it, in seconds if the unit is a time.
    """
    if not unit.seconds:
        return 1.0, unit.title
    if longest >= SECONDS_PER_HOUR:
        return SECONDS_PER_HOUR, f"{unit.title} (hours)"
    if longest >= SECONDS_PER_MINUTE:
        return SECONDS_PER_MINUTE, f"{unit.title} (minutes)"
    return 1.0, f"{unit.title} (seconds)"


@dataclass(frozen=True)
class Areas:
    """The areas under the curves of the contestants, all over the same range.

    Attributes:
        of: contestant → mean over its runs of the mean best value so far, in the metric's unit.
        notes: the range, and whoever has no area, a sentence each.
    """

    of: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def areas(context: Context, trials: pd.DataFrame, unit: Unit) -> Areas:
    """The mean height of the best value so far, over a range that all contestants have.

    The range begins where the last run has its first value. It ends where the contestant with the
    shortest longest run ends; runs that ended before keep their best. Contestants whose runs are
    all shorter than a tenth of the median are left out, because they would cut everybody's range.
    """
    curves = steps(trials, unit)
    by_length = sorted(curves, key=lambda one: one.end)
    longest = pd.Series({one.contestant: one.end for one in by_length})
    kept = longest[longest >= SHORT * longest.median()]
    curves = [one for one in curves if one.contestant in kept.index]
    low, high = max((one.at[0] for one in curves), default=0.0), kept.min() if len(kept) else 0.0
    if not low < high:
        return Areas()
    found: dict[str, list[float]] = {}
    for one in curves:
        area = area_under(one.at, context.sign * one.best, start=low, end=high)
        if area is not None:
            found.setdefault(one.contestant, []).append(context.sign * area)
    seconds = " seconds" if unit.seconds else ""
    notes = [f"The area by {unit.title} is from {low:.6g} to {high:.6g}{seconds}."]
    if left_out := [str(name) for name in longest.index if name not in found]:
        named = ", ".join(left_out[:NAMED]) + (" and others" if left_out[NAMED:] else "")
        notes.append(f"There is no area by {unit.title} of far shorter runs: {named}.")
    return Areas({name: float(np.mean(each)) for name, each in found.items()}, tuple(notes))
