"""The best value so far as a small plot of characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from runner.metrics import Metric

BEST, TRIAL = "●", "·"


def plot(values: Sequence[float | None], metric: Metric, width: int, height: int) -> list[str]:
    """Lines of at most `width` characters; none before there is a value.

    The best value so far is a line of dots, and the other trials within its range are small dots.
    The axis says the highest and the lowest of the best values so far. All trials take the whole
    width.

    Args:
        values: what each trial measured, in order; None where it measured nothing.
        metric: what they are.
        width: in characters, with the axis.
        height: in lines.
    """
    best = _best_so_far(values, metric)
    known = [value for value in best if value is not None]
    if not known or height < 2:
        return []
    low, high = min(known), max(known)
    names = {0: metric.shown(high), height - 1: metric.shown(low)}
    margin = max(map(len, names.values()))
    columns = width - margin - 2
    if columns < 2:
        return []
    rows = [[" "] * columns for _ in range(height)]
    ends = [at * columns // len(values) for at in range(len(values) + 1)]
    for at, value in enumerate(values):
        if value is not None and low <= value <= high:
            rows[_row(value, low, high, height)][min(ends[at], columns - 1)] = TRIAL
    for at, value in enumerate(best):
        if value is not None:
            row = rows[_row(value, low, high, height)]
            first = min(ends[at], columns - 1)
            last = max(ends[at + 1], first + 1)
            row[first:last] = BEST * (last - first)
    return [
        f"{names.get(at, ''):>{margin}} │{''.join(row)}".rstrip() for at, row in enumerate(rows)
    ]


def _best_so_far(values: Sequence[float | None], metric: Metric) -> list[float | None]:
    def better(best: float | None, value: float | None) -> float | None:
        if best is None or value is None:
            return best if value is None else value
        return metric.better_of(best, value)

    return list(accumulate(values, better))


def _row(value: float, low: float, high: float, height: int) -> int:
    """The line of a value, from the top; of values that are all equal, the last."""
    if high <= low:
        return height - 1
    return round((height - 1) * ((high - value) / (high - low)))
