"""Four of the study's figures over time: categories, success, improvements and dry streaks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from runner.analysis import report
from runner.analysis.drawing import label
from runner.analysis.strategy import measures
from runner.analysis.strategy.categories import OTHER, rules
from runner.analysis.strategy.drawing import (
    CATEGORY_COLOURS,
    LETTERS_OF_A_RUN,
    Searches,
    category_legend,
    contestant_axis,
    contestant_legend,
    new_figure,
    row_height,
    whole_numbers,
)

LARGEST, SMALLEST = 260.0, 18.0  # square points of a mark: the largest gain, and the least
KEPT, REVERTED = 26.0, 9.0  # square points of a mark


def category_timeline(searches: Searches) -> report.Figure:
    """The labels of each experiment of each contestant's best run, a panel a contestant."""
    lanes = [*rules().labels, OTHER]
    runs = list(searches.of_best_runs())
    drawn = new_figure(1.0 + 1.15 * len(runs))
    panels = drawn.subplots(len(runs), 1, sharex=True, squeeze=False)
    for axes, (name, own) in zip(panels.flat, runs, strict=True):
        marks = own[["number", "kept", "labels"]].explode("labels").dropna(subset="labels")
        for kept, part in marks.groupby("kept"):
            axes.scatter(
                part["number"].astype(float), [lanes.index(one) for one in part["labels"]],
                s=KEPT if kept else REVERTED, alpha=1.0 if kept else 0.45, linewidths=0,
                c=[CATEGORY_COLOURS[one] for one in part["labels"]],
            )  # fmt: skip
        axes.set_yticks(range(len(lanes)), lanes, fontsize="x-small")
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.set_title(label(searches.best_runs[name], LETTERS_OF_A_RUN), fontsize="small")
        whole_numbers(axes)
    panels[-1, 0].set_xlabel("experiment")
    return report.Figure(
        "strategy-timeline", "Categories over time", drawn,
        "Every label of every experiment in each contestant's best run. Large marks were kept, "
        "small pale ones were not." + searches.left_out,
        f"A row of dots for each category, for {len(runs)} contestants.",
    )  # fmt: skip


def rolling_success(searches: Searches) -> report.Figure:
    """The share kept of the last experiments, a line a contestant."""
    drawn = new_figure(4.0)
    axes = drawn.subplots()
    for name in searches.names:
        own = searches.experiments[searches.experiments["contestant"] == name]
        lines = {
            str(run): pd.Series(measures.rolling_success(part["kept"].tolist()))
            for run, part in own.groupby("run")
        }
        mean = 100 * pd.DataFrame(lines).mean(axis=1)
        axes.plot(mean.index + 1, mean, color=searches.colour(name))
    axes.set(xlabel="experiment", ylabel=f"kept of the last {measures.WINDOW}, %")
    longest = int(searches.runs["experiments"].max())
    axes.set_xlim(1, max(longest, 2))
    axes.set_ylim(bottom=0, top=None if longest >= measures.WINDOW else 100)
    whole_numbers(axes)
    contestant_legend(drawn, searches)
    if longest < measures.WINDOW:
        axes.set_title(f"no run has {measures.WINDOW} experiments")
    last = searches.contestants["success"]
    return report.Figure(
        "strategy-success", "Rolling success", drawn,
        f"The share of the last {measures.WINDOW} experiments that was kept; the mean over a "
        "contestant's runs." + searches.left_out,
        "Over all: " + "; ".join(f"{name} {last[name]:.1%}" for name in searches.names) + ".",
    )  # fmt: skip


def improvement_timeline(searches: Searches) -> report.Figure:
    """The new bests of each contestant's best run: when, by how much, and by which category."""
    names = searches.names
    drawn = new_figure(row_height(len(names)) + 0.5)
    axes = drawn.subplots()
    largest = max((own["gain"].max() for _, own in searches.of_best_runs()), default=np.nan)
    counts = []
    labels: set[str] = set()
    for at, (name, own) in enumerate(searches.of_best_runs()):
        found = own[own["gain"] > 0]
        counts.append(f"{name} {len(found)}")
        axes.plot([1, own["number"].max()], [at, at], color="#dddddd", linewidth=1, zorder=1)
        kinds = [label or OTHER for label in found["primary"]]
        labels |= set(kinds)
        axes.scatter(
            found["number"].astype(float), [at] * len(found),
            s=SMALLEST + (LARGEST - SMALLEST) * found["gain"] / largest, alpha=0.8,
            c=[CATEGORY_COLOURS[kind] for kind in kinds], linewidths=0.6, edgecolors="white",
            zorder=2,
        )  # fmt: skip
    contestant_axis(axes, names)
    axes.set_xlabel("experiment")
    whole_numbers(axes)
    category_legend(drawn, labels)
    return report.Figure(
        "strategy-improvements", "Improvements over time", drawn,
        "New bests of each contestant's best run; the area of a mark grows with the gain over the "
        "best before, its colour is the change's first label." + searches.left_out,
        "New bests: " + "; ".join(counts) + ".",
    )  # fmt: skip


def dry_streaks(searches: Searches) -> report.Figure:
    """How long each contestant went without a kept change, a mark a length."""
    names = searches.names
    drawn = new_figure(row_height(len(names)))
    axes = drawn.subplots()
    longest = []
    for at, name in enumerate(names):
        own = searches.experiments[searches.experiments["contestant"] == name]
        lengths = [
            length
            for _, part in own.groupby("run")
            for length in measures.dry_streaks(part["kept"].tolist())
        ]
        if not lengths:
            continue
        counted = Counter(lengths)
        axes.scatter(
            list(counted), [at] * len(counted), s=[22.0 * n for n in counted.values()],
            color=searches.colour(name), alpha=0.65, linewidths=0,
        )  # fmt: skip
        axes.annotate(
            str(max(lengths)), (max(lengths), at), xytext=(8, 0), textcoords="offset points",
            va="center", fontsize="small",
        )  # fmt: skip
        longest.append(f"{name} {max(lengths)}")
    contestant_axis(axes, names)
    axes.set_xlabel("experiments in a row of which none was kept")
    axes.margins(x=0.08)
    axes.set_xlim(left=0)
    whole_numbers(axes)
    return report.Figure(
        "strategy-dry-streaks", "Dry streaks", drawn,
        "The lengths of dry streaks in all runs; the area of a mark grows with how often a length "
        "occurred, the number is the longest: the plateau." + searches.left_out,
        "Longest dry streaks: " + "; ".join(longest) + ".",
    )  # fmt: skip
