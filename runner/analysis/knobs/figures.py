"""The figures of the report "knobs"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from runner.analysis.drawing import DARK, GREY, RED, SHOWN, canvas, label
from runner.analysis.knobs.cube import Cube, Dimension, Spread
from runner.analysis.knobs.importance import Importance
from runner.analysis.report import Context, Figure
from runner.analysis.search.tables import FAILURES

PANELS = 12
COLUMNS = 3
WORST_SHOWN = 0.9  # quantile of the values: worse ones have the same colour


def draw(
    context: Context, found: Cube, shares: Importance, spread: list[Spread], money: pd.DataFrame
) -> tuple[Figure, ...]:
    """All figures that there are data for.

    Args:
        context: the runs.
        found: the knobs of the trials.
        shares: the importance of the knobs for all trials.
        spread: how widely each contestant tried them.
        money: as `pareto.costs` gives it.
    """
    order = list(shares.shares["knob"])
    dimensions = sorted(
        found.dimensions, key=lambda one: order.index(one.name) if one.name in order else 0
    )
    drawn = [
        _panels(context, found, dimensions),
        _slice(context, found, dimensions),
        _importance(shares),
        _diversity(context, found, spread),
        _pareto(context, money),
    ]
    return tuple(figure for figure in drawn if figure is not None)


def _panels(context: Context, found: Cube, dimensions: list[Dimension]) -> Figure | None:
    """Each knob over the trials, coloured by contestant."""
    shown = dimensions[:PANELS]
    present = set(found.points["contestant"])
    names = [name for name in context.contestants if name in present][:SHOWN]
    if not shown or not names:
        return None
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    drawing, axes = canvas(3.3 * columns + 1.8, 2.2 * rows + 0.7, rows, columns)
    number = found.points.groupby("run").cumcount() + 1
    for panel, dimension in zip(axes.ravel(), shown, strict=False):
        values = _places(dimension, found.values[dimension.name])
        for name in reversed(names):
            own = (found.points["contestant"] == name).to_numpy()
            panel.scatter(number[own], values[own], s=9, linewidths=0, alpha=0.6,
                          color=context.colours[name], label=label(name))  # fmt: skip
        failed = found.points["status"].isin(FAILURES).to_numpy()
        panel.plot(number[failed], values[failed], "x", color=RED, ms=3.5, mew=0.8)
        _scale(panel, dimension, "y")
        panel.set_title(label(dimension.name))
    for panel in axes.ravel()[len(shown) :]:
        panel.set_visible(False)
    for panel in axes.ravel()[max(0, len(shown) - columns) : len(shown)]:
        panel.set_xlabel("trials")
    handles, labels = axes[0][0].get_legend_handles_labels()
    drawing.legend(handles[::-1], labels[::-1], loc="outside right upper", markerscale=2)
    more = len(dimensions) - len(shown)
    caption = "Each dot is a trial; red crosses are trials that failed."
    if more:
        caption += f" {more} further knobs that vary are not shown."
    if len(present) > len(names):
        caption += f" Shown are the best {len(names)} of {len(present)} contestants."
    listed = ", ".join(label(one.name) for one in shown)
    return Figure(
        "knob-panels",
        "Knobs over the trials",
        drawing,
        caption,
        f"Scatter plots of {listed} against the trial's number, of {len(found.points)} trials.",
    )


def _slice(context: Context, found: Cube, dimensions: list[Dimension]) -> Figure | None:
    """The two knobs that matter most, against each other, coloured by value."""
    measured = found.points["value"].notna()
    if len(dimensions) < 2 or not measured.any():
        return None
    first, second = dimensions[:2]
    x = _places(first, found.values[first.name])
    y = _places(second, found.values[second.name])
    drawing, axes = canvas(7.4, 5.2)
    axis = axes[0][0]
    failed = found.points["status"].isin(FAILURES).to_numpy()
    signed = context.sign * found.points["value"]
    order = signed[measured].sort_values(ascending=False, kind="stable").index  # the best on top
    value = found.points["value"].loc[order]
    ends = sorted(context.sign * end for end in signed[measured].quantile([0, WORST_SHOWN]))
    dots = axis.scatter(
        x[order], y[order], c=value, s=26, linewidths=0.3, edgecolors=DARK, vmin=ends[0],
        vmax=ends[1], cmap="viridis" if context.sign > 0 else "viridis_r",
    )  # fmt: skip
    axis.plot(x[failed], y[failed], "x", color=RED, ms=6, mew=1.4, label="failed")
    axis.plot(x[order[-1]], y[order[-1]], "o", ms=13, mfc="none", mec=DARK, label="best")
    _scale(axis, first, "x")
    _scale(axis, second, "y")
    axis.set_xlabel(label(first.name))
    axis.set_ylabel(label(second.name))
    drawing.colorbar(dots, ax=axis, label=context.label)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    return Figure(
        "knob-slice",
        "Two knobs, and where trials failed",
        drawing,
        f"A dot is a trial; a darker dot is better, and the worst tenth have one colour. Red "
        f"crosses are the {int(failed.sum())} trials that failed. All other knobs differ too.",
        f"Scatter plot of {label(first.name)} against {label(second.name)}: {int(measured.sum())} "
        f"trials with a value, {int(failed.sum())} that failed.",
    )


def _importance(shares: Importance) -> Figure | None:
    """The share of the variance of each knob."""
    table = shares.shares.head(PANELS).iloc[::-1]
    if table.empty:
        return None
    drawing, axes = canvas(7.0, 1.2 + 0.3 * len(table))
    axis, places = axes[0][0], range(len(table))
    axis.barh(places, 100 * table["share"], color="#0072b2", height=0.6)
    axis.hlines(places, 100 * table["low"], 100 * table["high"], color=DARK, lw=1.4)
    axis.set_yticks(places, [label(name) for name in table["knob"]])
    axis.set_xlabel("% of the variance of the values")
    axis.set_title("Which knobs the values depend on")
    listed = [f"{label(row['knob'])} {row['share']:.0%}" for row in table.to_dict("records")]
    return Figure(
        "knob-importance",
        "Which knobs the values depend on",
        drawing,
        f"fANOVA of {shares.n} trials; a line is the range over bootstrap samples. The forest's R² "
        f"on trials that it did not see is {shares.r_squared:.2f}.",
        f"Shares of the variance: {', '.join(reversed(listed))}.",
    )


def _diversity(context: Context, found: Cube, spread: list[Spread]) -> Figure | None:
    """Four measures of how widely the trials lie, contestant by contestant."""
    shown = spread[:SHOWN][::-1]
    if not shown:
        return None
    measures = {
        "pairwise": "distance of two trials", "consecutive": "distance from the trial before",
        "from_first": "distance from the first trial", "cells_share": "cells / trials",
    }  # fmt: skip
    drawing, axes = canvas(11.0, 1.5 + 0.3 * len(shown), 1, len(measures))
    for panel, (name, title) in zip(axes[0], measures.items(), strict=True):
        for place, one in enumerate(shown):
            value, colour = getattr(one, name), context.colours[one.contestant]
            panel.hlines(place, 0, value, color=GREY, lw=1)
            panel.plot(value, place, "o", color=colour, ms=7)
        panel.set_yticks(range(len(shown)), [label(one.contestant) for one in shown])
        panel.tick_params(labelleft=panel is axes[0][0])
        panel.set_xlim(left=0)
        panel.set_title(title)
    listed = "; ".join(f"{label(one.contestant)} {one.pairwise:.3g}" for one in reversed(shown))
    return Figure(
        "diversity",
        "How widely the knobs were tried",
        drawing,
        f"On the unit cube of {len(found.numeric)} numeric knobs, means over the runs of each "
        "contestant. Distances are L2.",
        f"Mean distance of two trials: {listed}.",
    )


def _pareto(context: Context, money: pd.DataFrame) -> Figure | None:
    """The best value of each run against its dollars, with the front."""
    if not (money["dollars"] > 0).any():
        return None
    names = [name for name in context.contestants if name in set(money["contestant"])][:SHOWN]
    drawing, axes = canvas(8.2, 4.8)
    axis, front = axes[0][0], money[money["front"]]
    right = 1.05 * money["dollars"].max()
    axis.step(
        [*front["dollars"], right], [*front["value"], front["value"].iloc[-1]],
        where="post", color=GREY, lw=1.2, zorder=1,
    )  # fmt: skip
    for name in names:
        own = money[money["contestant"] == name]
        axis.scatter(own["dollars"], own["value"], s=34, color=context.colours[name],
                     label=label(name), zorder=2)  # fmt: skip
    axis.set_xlim(-0.03 * right, right)
    axis.set_xlabel("US dollars")
    axis.set_ylabel(context.label)
    axis.set_title("Value against dollars")
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    listed = [f"{row['run']} {row['value']:.5g} for ${row['dollars']:.2f}"
              for row in front.head(SHOWN).to_dict("records")]  # fmt: skip
    hidden = money["contestant"].nunique() - len(names)
    return Figure(
        "pareto",
        "Value against dollars",
        drawing,
        "A dot is a run. The line is the front: what the least money bought."
        + (f" {hidden} contestants are on it without a dot." if hidden else ""),
        f"Runs on the front, the cheapest first: {'; '.join(listed)}.",
    )


def _places(dimension: Dimension, values: pd.Series) -> pd.Series:
    """Where values lie on an axis: numbers as they are, choices by their place in the list."""
    if not dimension.choices:
        return values.astype("float64")
    return values.map({choice: place for place, choice in enumerate(dimension.choices)})


def _scale(axis: Axes, dimension: Dimension, which: Any) -> None:
    """The scale and the ticks of an axis for a knob."""
    if dimension.choices:
        ticks = axis.set_xticks if which == "x" else axis.set_yticks
        ticks(np.arange(len(dimension.choices)), [label(one)[:12] for one in dimension.choices])
    elif dimension.log:
        (axis.set_xscale if which == "x" else axis.set_yscale)("log")
