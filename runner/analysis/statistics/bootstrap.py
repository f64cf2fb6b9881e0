"""Percentile bootstrap intervals, of a statistic and of a curve.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. The automl study
uses it with 10,000 resamples. With fewer than about ten values the interval is too narrow, as a
resample never holds a value that was not seen; n stands beside it for that reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from runner.analysis.statistics.arrays import Array, as_array, finite

RESAMPLES = 10_000
LEVEL = 0.95
FEWEST = 2  # one value resampled is that value
BATCH = 1000  # resamples at a time, which bounds the memory


@dataclass(frozen=True)
class Interval:
    """Where a statistic may truly lie.

    Attributes:
        low: its lower end, in the statistic's unit.
        high: its upper end.
        level: the share of such intervals that hold the true one, such as 0.95.
        n: of how many values.
    """

    low: float
    high: float
    level: float
    n: int


@dataclass(frozen=True)
class Band:
    """The mean of some curves over a grid, with an interval at each point of it.

    Attributes:
        mean: of the curves that have a value there; NaN where none has. Shape [grid].
        low: the interval's lower end; NaN where fewer than two curves have a value.
        high: its upper end.
        n: how many curves have a value there.
        level: of the interval at one point (not of the whole curve), such as 0.95.
    """

    mean: Array
    low: Array
    high: Array
    n: Array
    level: float


def interval(
    values: Any,
    statistic: Callable[..., Any] = np.mean,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The percentile interval of a statistic; None of fewer than two values.

    Args:
        values: a number an observation.
        statistic: takes an array and `axis`, as `np.mean` and `np.median` do.
        level: of the interval.
        resamples: how many.
        seed: of their random numbers.
    """
    sample = finite(values)
    if sample.size < FEWEST:
        return None
    found = stats.bootstrap(
        (sample,), statistic, n_resamples=resamples, batch=BATCH, vectorized=True,
        confidence_level=level, method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(float(found.low), float(found.high), level, int(sample.size))


def difference_interval(
    values: Any, reference: Any, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The interval of the difference of two unpaired means; None if a side has fewer than two."""
    one, other = finite(values), finite(reference)
    if min(one.size, other.size) < FEWEST:
        return None
    rng = np.random.default_rng(seed)
    gaps = _resampled_means(one[:, None], resamples, rng)
    gaps = gaps - _resampled_means(other[:, None], resamples, rng)
    low, high = np.quantile(gaps[:, 0], _tails(level))
    return Interval(float(low), float(high), level, int(one.size + other.size))


def band(
    curves: Any, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Band | None:
    """The mean of curves with its interval at each point; None of fewer than two curves.

    Whole curves are resampled, one a seed. Where a curve has no value yet, those that have one are
    resampled.

    Args:
        curves: of shape [seeds, grid]; NaN where a curve has no value.
        level: of the interval at one point (not of the whole curve).
        resamples: how many.
        seed: of their random numbers.
    """
    rows = np.atleast_2d(as_array(curves))
    if rows.shape[0] < FEWEST:
        return None
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    total = np.where(known, rows, 0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    low, high = np.full(count.shape, np.nan), np.full(count.shape, np.nan)
    rng = np.random.default_rng(seed)
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        if pattern.sum() >= FEWEST:
            columns = np.flatnonzero(which.ravel() == number)
            low[columns], high[columns] = _ends(
                rows[np.ix_(pattern, columns)], level, resamples, rng
            )
    return Band(mean, low, high, count, level)


def _ends(
    rows: Array, level: float, resamples: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The ends of the interval in each column; equal columns are reckoned once."""
    distinct, which = np.unique(rows, axis=1, return_inverse=True)
    low, high = np.quantile(_resampled_means(distinct, resamples, rng), _tails(level), axis=0)
    return low[which.ravel()], high[which.ravel()]


def _resampled_means(rows: Array, resamples: int, rng: np.random.Generator) -> Array:
    """The means of resampled rows, of shape [resamples, columns]."""
    n = rows.shape[0]
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return np.asarray(drawn @ rows / n)


def _tails(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]
