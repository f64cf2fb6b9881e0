"""The figures of the report "many seeds": the forest of differences and the slopegraph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from runner.analysis.drawing import DARK, GREY, SHOWN, canvas, label
from runner.analysis.report import Context, Figure
from runner.analysis.statistics.arrays import Array
from runner.analysis.statistics.bootstrap import Interval


def draw(
    context: Context,
    values: pd.DataFrame,
    differences: Mapping[str, Interval | None],
    reference: str,
) -> list[Figure]:
    """The figures of final values.

    Args:
        context: the runs.
        values: a row a contestant, the best mean first; a column a seed; NaN where none counts.
        differences: contestant → interval of its mean difference from the reference, in the
            metric's own unit; None where there is none.
        reference: whom the forest compares with.
    """
    figures = [_forest(context, values, differences, reference), _slopes(context, values)]
    return [figure for figure in figures if figure is not None]


def _forest(
    context: Context,
    values: pd.DataFrame,
    differences: Mapping[str, Interval | None],
    reference: str,
) -> Figure | None:
    """Each contestant's difference from the reference, seed by seed, with mean and interval."""
    gaps = {name: _gaps(values, name, reference) for name in differences}
    names = [name for name, found in gaps.items() if found.size][:SHOWN]
    if not names:
        return None
    drawing, axes = canvas(8.0, 1.4 + 0.36 * len(names))
    axis = axes[0][0]
    axis.axvline(0, color=DARK, lw=1)
    said = []
    for place, name in enumerate(reversed(names)):
        found, colour, sure = gaps[name], context.colours[name], differences[name]
        axis.plot(found, np.full(found.size, place), "|", color=GREY, ms=7)
        axis.plot(found.mean(), place, "o", color=colour, ms=6)
        if sure is not None:
            axis.hlines(place, sure.low, sure.high, color=colour, lw=2.2)
        said.append(f"{label(name)} {found.mean():+.3g} (n = {found.size})")
    axis.set_yticks(
        range(len(names)), [f"{label(name)} (n = {gaps[name].size})" for name in reversed(names)]
    )
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.set_xlabel(f"difference in {context.label}")
    axis.set_title(f"Difference from {label(reference)} with the same seed")
    more = len(gaps) - len(names)
    caption = (
        f"A dot is the mean over common seeds, its line the 95 % bootstrap interval, a tick a "
        f"seed. {'Left' if context.sign > 0 else 'Right'} of 0 is better than {label(reference)}."
    )
    if more:
        caption += f" {more} contestants are not shown: no common seed, or beyond the best {SHOWN}."
    return Figure(
        "seeds-forest",
        f"Differences from {reference}, seed by seed",
        drawing,
        caption,
        f"Mean differences from {label(reference)}: {'; '.join(reversed(said))}.",
    )


def _gaps(values: pd.DataFrame, name: str, reference: str) -> Array:
    """Row minus reference, of the seeds that both have."""
    gaps = (values.loc[name] - values.loc[reference]).dropna()
    return np.asarray(gaps.to_numpy(dtype=np.float64))


def _slopes(context: Context, values: pd.DataFrame) -> Figure | None:
    """The final values of all contestants; a line joins those of one seed."""
    shown = values[values.notna().any(axis="columns")].iloc[:SHOWN]
    if len(shown) < 2:
        return None
    drawing, axes = canvas(max(5.0, 1.6 + 0.75 * len(shown)), 5.2)
    axis = axes[0][0]
    places = np.arange(len(shown))
    for seed in shown.columns:
        known = shown[seed].notna().to_numpy()
        axis.plot(places[known], shown[seed].to_numpy()[known], "-", color=GREY, lw=0.8, alpha=0.8)
    for place, name in enumerate(shown.index):
        own = shown.loc[name].dropna().to_numpy()
        axis.plot(np.full(own.size, place), own, "o", color=context.colours[name], ms=5)
        axis.hlines(own.mean(), place - 0.22, place + 0.22, color=context.colours[name], lw=3)
    axis.set_xticks(
        places, [f"{label(name)} ({shown.loc[name].count()})" for name in shown.index],
        rotation=30, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axis.set_ylabel(context.label)
    axis.set_title(f"Final {context.metric} of each seed")
    more = int(values.notna().any(axis="columns").sum()) - len(shown)
    caption = (
        "A dot is the final value of a run, a grey line joins the runs with the same seed, and a "
        "bar is the mean. In brackets: the number of runs. The best mean is on the left."
    )
    if more:
        caption += f" {more} further contestants are not shown."
    means = "; ".join(f"{label(name)} {shown.loc[name].mean():.5g}" for name in shown.index)
    return Figure(
        "seeds-slopes",
        "Final values, seed by seed",
        drawing,
        caption,
        f"Means of the final {context.label}: {means}.",
    )
