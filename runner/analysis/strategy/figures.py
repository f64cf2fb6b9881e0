"""Four of the study's figures: convergence, breadth and best, categories, dashboard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from runner.analysis import report
from runner.analysis.strategy import measures
from runner.analysis.strategy.drawing import (
    CATEGORY_COLOURS,
    Searches,
    category_legend,
    contestant_axis,
    contestant_legend,
    new_figure,
    row_height,
    whole_numbers,
)
from runner.analysis.strategy.hypotheses import Hypothesis

OFF_SCALE = 0.9  # quantile of the values seen so far, beyond which a line leaves the figure
# Column of `per_contestant`, what it is called, and by how much it is multiplied.
DASHBOARD = (
    ("best", "best value", 1), ("success", "kept, %", 100), ("breadth", "categories", 1),
    ("entropy_bits", "entropy, bits", 1), ("pivot_rate", "pivots after a failure, %", 100),
    ("repeat_rate", "repeats, %", 100), ("plateau", "longest dry streak", 1),
    ("small_more", "small steps, late − early", 100),
)  # fmt: skip


def convergence(searches: Searches) -> report.Figure:
    """The best value so far against trials, a line a run."""
    drawn = new_figure(4.2)
    axes = drawn.subplots()
    trials = searches.context.frames.trials
    trials = trials[trials["contestant"].isin(searches.names)]
    seen: list[Any] = []
    for _, own in trials.groupby("run", sort=False):
        best = own["best"].to_numpy(dtype=np.float64)
        seen += [*best[np.isfinite(best)]]
        axes.step(
            np.arange(1, len(best) + 1), best, where="post", linewidth=1.3,
            color=searches.colour(str(own["contestant"].iloc[0])),
        )  # fmt: skip
    _cut(axes, np.array(seen), searches.context.sign)
    axes.set(xlabel="trial", ylabel=searches.context.label, title="best so far")
    whole_numbers(axes)
    contestant_legend(drawn, searches)
    caption = "The best value so far, a line a run. The axis leaves out values of early trials."
    bests = searches.contestants["best"]
    return report.Figure(
        "strategy-convergence", "Convergence", drawn, caption + searches.left_out,
        "Best values: " + _listed(searches, bests, "{:.6g}"),
    )  # fmt: skip


def breadth(searches: Searches, first: Hypothesis) -> report.Figure:
    """Breadth against the best value, a point a contestant.

    Args:
        searches: what is shown.
        first: the test of breadth against the best value.
    """
    drawn = new_figure(4.2, 7.5)
    axes = drawn.subplots()
    for name in searches.names:
        row = searches.contestants.loc[name]
        axes.plot(row["breadth"], row["best"], "o", markersize=9, color=searches.colour(name))
    axes.margins(x=0.1, y=0.1)
    whole_numbers(axes)
    contestant_legend(drawn, searches, "o")
    axes.set(xlabel="breadth: categories of changes (of 5)", ylabel=searches.context.label)
    r = "no r" if first.effect is None else f"r = {first.effect:.3f}"
    p = f", p = {first.p:.3g}" if first.p is not None else ""
    axes.set_title(f"{r}{p}, contestants tested: {first.n}")
    caption = (
        "Means over the runs of a contestant. r is Pearson's, p over the orders of the values."
    )
    return report.Figure(
        "strategy-breadth", "Breadth and the best value", drawn, caption + searches.left_out,
        "Breadth: " + _listed(searches, searches.contestants["breadth"], "{:.3g}"),
    )  # fmt: skip


def categories(searches: Searches) -> report.Figure:
    """The share of each category in a contestant's experiments."""
    names = searches.names
    counted = measures.shares(searches.experiments).reindex(names, fill_value=0)
    drawn = new_figure(row_height(len(names)))
    axes = drawn.subplots()
    total = counted.sum(axis=1).to_numpy()
    left = np.zeros(len(names))
    for label in counted.columns:
        width = 100 * counted[label].to_numpy() / np.maximum(total, 1)
        axes.barh(range(len(names)), width, left=left, color=CATEGORY_COLOURS[label], height=0.7)
        left += width
    for at, n in enumerate(total):
        axes.annotate(f"n = {n}", (101, at), va="center", fontsize="small", annotation_clip=False)
    contestant_axis(axes, names)
    axes.set(xlim=(0, 112), xticks=range(0, 101, 20), xlabel="experiments by first label, %")
    category_legend(drawn, counted.columns[counted.sum() > 0])
    most = pd.Series(
        {name: counted.loc[name].idxmax() for name in names if counted.loc[name].sum()}
    )
    return report.Figure(
        "strategy-categories", "Categories", drawn,
        "What kinds of changes each contestant tried; all its runs together." + searches.left_out,
        "Most frequent: " + "; ".join(f"{name}: {label}" for name, label in most.items()) + ".",
    )  # fmt: skip


def dashboard(searches: Searches) -> report.Figure:
    """Eight measures side by side, a bar a contestant."""
    names = searches.names
    drawn = new_figure(2 * row_height(len(names)), 11.0)
    panels = drawn.subplots(2, 4, sharey=True)
    for axes, (column, title, times) in zip(panels.flat, DASHBOARD, strict=True):
        values = times * searches.contestants.loc[names, column].to_numpy(dtype=np.float64)
        colours = [searches.colour(name) for name in names]
        if column == "best":
            axes.scatter(values, range(len(names)), c=colours, s=45)
        else:
            axes.barh(range(len(names)), np.nan_to_num(values), color=colours, height=0.7)
        if column == "pivot_rate":
            expected = times * searches.contestants.loc[names, "pivot_expected"].to_numpy()
            axes.plot(expected, range(len(names)), "|", color="black", markersize=14)
        if column != "best" and not (values < 0).any():
            axes.set_xlim(left=0, right=None if (values > 0).any() else 1)
        for at in np.flatnonzero(np.isnan(values)):
            axes.annotate("not known", (axes.get_xlim()[0], at), va="center", fontsize="x-small")
        contestant_axis(axes, names)
        axes.set_title(title, fontsize="medium")
        axes.locator_params(axis="x", nbins=4)
        axes.tick_params(axis="x", labelsize="small")
    caption = (
        "Means over the runs of a contestant. The black mark at the pivots is how often the label "
        "would change if the order of its experiments were random."
    )
    return report.Figure(
        "strategy-dashboard", "Dashboard", drawn, caption + searches.left_out,
        "Share kept: " + _listed(searches, searches.contestants["success"], "{:.1%}"),
    )  # fmt: skip


def _cut(axes: Any, seen: Any, sign: int) -> None:
    """Leaves the worst of the values that were best for a while out of the axis."""
    if not len(seen) or np.ptp(seen) == 0:
        return
    best, worst = (sign * seen).min(), np.quantile(sign * seen, OFF_SCALE)
    edge = 0.06 * (worst - best) or 0.06 * np.ptp(seen)
    axes.set_ylim(*sorted((sign * (best - edge), sign * (worst + edge))))


def _listed(searches: Searches, values: Any, form: str) -> str:
    """Contestants with a value each, as a sentence."""
    known = [(name, values[name]) for name in searches.names if pd.notna(values[name])]
    return "; ".join(f"{name} {form.format(value)}" for name, value in known) + "."
