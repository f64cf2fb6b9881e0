"""Runs as curves: the best so far, on a grid, and its area.

A best so far is a step function: it holds from one trial to the next, and there is none before the
first value. Less is better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runner.analysis.statistics.arrays import Array, as_array

Flags = npt.NDArray[np.bool_]


def best_so_far(values: Any) -> Array:
    """The least value up to each trial; NaN before the first one, failed trials change nothing."""
    array = as_array(values)
    least = (
        np.minimum.accumulate(np.where(np.isfinite(array), array, np.inf)) if array.size else array
    )
    return np.where(np.isfinite(least), least, np.nan)


def personal_bests(values: Any) -> Flags:
    """Which trials were better than all before; the first value is one, an equal one is not."""
    array = as_array(values)
    if not array.size:
        return np.zeros(0, dtype=bool)
    known = np.where(np.isfinite(array), array, np.inf)
    before = np.concatenate([[np.inf], np.minimum.accumulate(known)[:-1]])
    return np.asarray(known < before)


def on_grid(at: Any, values: Any, grid: Any, *, end: float | None = None) -> Array:
    """The best so far at each point of a grid; NaN before the first value and after the end.

    Args:
        at: where each value was there: trials, seconds or dollars, never less than the one before.
        values: the values, NaN of a failed trial.
        grid: the points, in the same unit.
        end: where the run ended; None takes the last of `at`.

    Raises:
        ValueError: `at` is longer or shorter than `values`, or goes back.
    """
    places, best = _steps(at, values)
    points = as_array(grid)
    if not places.size:
        return np.full(points.shape, np.nan)
    row = np.searchsorted(places, points, side="right") - 1
    found = np.where(row >= 0, best[np.maximum(row, 0)], np.nan)
    return np.where(points <= (places[-1] if end is None else end), found, np.nan)


def area_under(
    at: Any, values: Any, *, start: float | None = None, end: float | None = None
) -> float | None:
    """The mean height of the best so far between two places: the area over the width.

    Contestants compare over the same stretch alone: give both places.

    Args:
        at: as in `on_grid`.
        values: as in `on_grid`.
        start: where the stretch begins; None takes the first value's place.
        end: where it ends, after which the last best holds; None takes the last of `at`.

    Returns:
        The mean, in the values' unit; None if the stretch has no width or begins before the first
        value.

    Raises:
        ValueError: as in `on_grid`.
    """
    places, best = _steps(at, values)
    known = np.isfinite(best)
    if not known.any():
        return None
    places, best, last = places[known], best[known], float(places[-1])
    low = float(places[0]) if start is None else start
    high = last if end is None else end
    if not low < high or low < places[0]:
        return None
    edges = np.clip(np.append(places, max(high, last)), low, high)
    return float((best * np.diff(edges)).sum() / (high - low))


def _steps(at: Any, values: Any) -> tuple[Array, Array]:
    """Places and the best from each on; values whose place is unknown are left out."""
    places, heights = as_array(at), as_array(values)
    if places.shape != heights.shape:
        raise ValueError(f"each value needs its place: {heights.size} and {places.size}")
    known = np.isfinite(places)
    places, heights = places[known], heights[known]
    if (np.diff(places) < 0).any():
        raise ValueError("places must not go back")
    return places, best_so_far(heights)
