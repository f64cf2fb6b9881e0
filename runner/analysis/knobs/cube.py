"""Knobs as dimensions of the unit cube, and how widely a contestant's trials lie in it.

The measures are the automl study's: standard deviation of each dimension, distances, and cells. A
dimension is scaled by the range that the baselines search, widened to what was tried; a task that
is not ours has only the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.spatial.distance import pdist
from scipy.stats import skew

from runner.analysis.report import Context
from runner.analysis.statistics.arrays import Array
from runner.spec import Knob
from runner.tasks import load_space, load_task, task_names

PRESENT = 0.9  # of the trials with knobs: a knob that fewer have is no dimension
MANY = 2000  # trials of a run: of more, the pairs of this many evenly spaced ones are measured
CHOICES = 24  # of a categorical knob; one with more is free text
BINS = 5  # of each dimension, in the automl study
WIDE = 10.0  # high / low of a range that may be logarithmic where no space says what is


@dataclass(frozen=True)
class Dimension:
    """A knob that was tried with more than one value.

    Attributes:
        name: the knob.
        low: the least value of its range; NaN of a categorical knob.
        high: the largest one.
        log: whether its logarithm is what is searched.
        choices: the values of a categorical knob as texts; empty of a number.
    """

    name: str
    low: float = np.nan
    high: float = np.nan
    log: bool = False
    choices: tuple[str, ...] = ()

    def scaled(self, values: pd.Series) -> pd.Series:
        """Numbers of this knob from 0, at the low end of its range, to 1."""
        if self.log:
            return (np.log(values) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        return (values - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Cube:
    """The trials that have knobs.

    Attributes:
        dimensions: the knobs that vary, by name.
        points: a row a trial in order: `run`, `trial`, `contestant`, `status`, `value`.
        values: the same rows; a column a dimension with numbers or texts, missing if not known.
    """

    dimensions: tuple[Dimension, ...]
    points: pd.DataFrame
    values: pd.DataFrame

    @property
    def numeric(self) -> list[Dimension]:
        """The dimensions that are numbers."""
        return [one for one in self.dimensions if not one.choices]

    def unit(self) -> pd.DataFrame:
        """The numbers of all trials, from 0 to 1 by the ranges of the dimensions."""
        scaled = {one.name: one.scaled(self.values[one.name]) for one in self.numeric}
        return pd.DataFrame(scaled, index=self.values.index)


def search_space(context: Context) -> Mapping[str, Knob]:
    """The search space of the task; empty of a task that is not ours."""
    tasks = {str(task) for task in context.frames.runs["task"].dropna()}
    names = tasks & set(task_names())
    return load_space(load_task(names.pop())) if len(names) == 1 == len(tasks) else {}


def cube(context: Context) -> Cube:
    """The knobs that nearly all trials with knobs have, and that were tried with two values."""
    ranges = search_space(context)
    known = context.frames.knobs.drop_duplicates(["run", "trial", "knob"], keep="last")
    trials = context.frames.trials[["run", "trial", "contestant", "status", "value"]]
    trials = trials.sort_values(["run", "trial"], kind="stable").drop_duplicates(["run", "trial"])
    points = trials.merge(known[["run", "trial"]].drop_duplicates(), on=["run", "trial"])
    place = pd.MultiIndex.from_frame(points[["run", "trial"]])
    wide = known.pivot(index=["run", "trial"], columns="knob", values=["number", "text"])
    wide = wide.reindex(place)
    values = {}
    for name in sorted(str(name) for name in known["knob"].unique()):
        column = _column(wide["number"][name], wide["text"][name])
        if column is not None:
            values[name] = column.to_numpy()
    table = pd.DataFrame(values, index=points.index)
    return Cube(tuple(_dimension(table[name], ranges) for name in table), points, table)


def _column(numbers: pd.Series, texts: pd.Series) -> pd.Series | None:
    """The values of a knob as numbers or as texts; None if it is no dimension."""
    count = int(texts.notna().sum())
    if count < PRESENT * len(texts):
        return None
    if numbers.notna().sum() >= PRESENT * count:
        column = numbers.astype("float64")
        return column if column.nunique() > 1 else None
    return texts if 1 < texts.nunique() <= CHOICES else None


def _dimension(column: pd.Series, ranges: Mapping[str, Knob]) -> Dimension:
    name, knob = str(column.name), ranges.get(str(column.name))
    if not is_numeric_dtype(column):
        return Dimension(
            name, choices=tuple(sorted(str(text) for text in column.dropna().unique()))
        )
    low, high = float(column.min()), float(column.max())
    if knob is not None and knob.low is not None and knob.high is not None:
        low, high = min(low, knob.low), max(high, knob.high)
        return Dimension(name, low, high, knob.log and low > 0)
    return Dimension(name, low, high, low > 0 and high > WIDE * low and _looks_log(column))


def _looks_log(column: pd.Series) -> bool:
    """Whether the logarithms of some positive numbers lie more evenly than the numbers do."""
    known = column.dropna()
    return bool(abs(skew(np.log(known))) < abs(skew(known)))


@dataclass(frozen=True)
class Spread:
    """How widely the trials of a contestant lie in the unit cube; each is a mean over its runs.

    Attributes:
        contestant: whose.
        runs: how many runs have two trials with all knobs or more.
        trials: how many trials they have.
        sd: the mean over dimensions of the standard deviation (ddof 0).
        pairwise: the mean distance of two trials (L2; the cube's diagonal is √dimensions).
        from_first: the mean distance from the run's first trial, which is the default's.
        consecutive: the mean distance of a trial from the one before.
        cells: how many cells of five bins a dimension have a trial.
        cells_share: cells / trials, 1 if no two trials share one.
    """

    contestant: str
    runs: int
    trials: int
    sd: float
    pairwise: float
    from_first: float
    consecutive: float
    cells: float
    cells_share: float


def spreads(context: Context, found: Cube) -> list[Spread]:
    """The spread of each contestant that has a run with two trials, the best contestant first."""
    unit = found.unit().dropna()
    if not found.numeric or unit.empty:
        return []
    points = found.points.loc[unit.index]
    spread = []
    for name in context.contestants:
        own = points[points["contestant"] == name]
        runs = [unit.loc[rows.index].to_numpy() for _, rows in own.groupby("run") if len(rows) > 1]
        if runs:
            means = np.mean([_measures(rows) for rows in runs], axis=0)
            spread.append(Spread(name, len(runs), sum(map(len, runs)), *map(float, means)))
    return spread


def _measures(rows: Array) -> tuple[float, ...]:
    """The measures of one run, from `sd` on; rows are trials in order, at least two."""
    thinned = rows[np.linspace(0, len(rows) - 1, min(MANY, len(rows))).astype(int)]
    cells = len(np.unique(np.minimum(np.floor(rows * BINS), BINS - 1), axis=0))
    return (
        float(rows.std(axis=0).mean()),
        float(pdist(thinned).mean()),
        float(np.linalg.norm(rows[1:] - rows[0], axis=1).mean()),
        float(np.linalg.norm(np.diff(rows, axis=0), axis=1).mean()),
        float(cells),
        cells / len(rows),
    )
