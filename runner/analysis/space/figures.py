"""The figures of the report "space"."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from runner.analysis.drawing import SHOWN, label
from runner.analysis.report import Context, Figure

# Of Okabe and Ito's colours, which people of all kinds of colour vision tell apart.
COLOURS = {"inside": "#0072B2", "outside": "#E69F00", "not attributed": "#999999"}
HATCHES = {"inside": "", "outside": "///", "not attributed": "..."}
COLUMNS = {
    "inside": "gain inside",
    "outside": "gain outside",
    "not attributed": "gain unattributed",
}


def drawn(
    context: Context, kept: pd.DataFrame, runs: pd.DataFrame, names: list[str]
) -> tuple[Figure, ...]:
    """All figures of the contestants that gained something; none where nobody did."""
    gains = runs.groupby("contestant")["gain"].sum()
    gained = [name for name in names if gains.get(name, 0.0) > 0]
    shown = gained[:SHOWN]
    if not shown:
        return ()
    left_out = f" The best {SHOWN} of {len(gained)} contestants are shown." * (len(gained) > SHOWN)
    return _shares(runs, shown, left_out), _over_time(context, kept, shown, left_out)


def mean_shares(runs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Contestant × where: the share of the gain, as a mean over the runs that gained something."""
    gaining = runs[runs["gain"] > 0]
    parts = gaining[list(COLUMNS.values())].div(gaining["gain"], axis=0)
    means = parts.groupby(gaining["contestant"].astype(str)).mean()
    return means.reindex(names).rename(columns={v: k for k, v in COLUMNS.items()})


def _shares(runs: pd.DataFrame, names: list[str], left_out: str) -> Figure:
    shares = mean_shares(runs, names)
    counts = runs[runs["gain"] > 0].groupby("contestant").size()
    picture = figure.Figure(figsize=(7, 1.3 + 0.42 * len(names)), layout="constrained")
    axes = picture.subplots()
    rows, left = np.arange(len(names)), np.zeros(len(names))
    for where, colour in COLOURS.items():
        widths = shares[where].to_numpy(float)
        axes.barh(rows, widths, left=left, color=colour, hatch=HATCHES[where], edgecolor="white")
        for row, width, start in zip(rows, widths, left, strict=True):
            if width >= 0.08:  # narrower ones have no place for a number
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                middle = start + width / 2
                axes.text(middle, float(row), f"{width:.0%}", ha="center", va="center", bbox=box)
        left = left + widths
    axes.set_yticks(rows, [f"{label(name)} (n = {counts[name]})" for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the gain (mean over runs)")
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    keys = [
        Patch(facecolor=colour, hatch=HATCHES[where], edgecolor="white", label=where)
        for where, colour in COLOURS.items()
        if shares[where].gt(0).any()
    ]
    picture.legend(handles=keys, loc="outside upper center", ncols=3, frameon=False)
    said = "; ".join(
        f"{name}: {shares.at[name, 'inside']:.0%} inside, {shares.at[name, 'outside']:.0%} outside"
        for name in names
    )
    return Figure(
        "space-shares",
        "Share of the gain inside and outside the search space",
        picture,
        "Each run's summed gain of kept changes is divided among parts inside and outside the "
        f"baselines' space; n is the number of runs with a gain.{left_out}",
        f"Bars of shares. {said}.",
    )


def _over_time(context: Context, kept: pd.DataFrame, names: list[str], left_out: str) -> Figure:
    trials = context.frames.trials
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    picture = figure.Figure(figsize=(3.1 * columns + 0.8, 2.3 * rows + 0.9), layout="constrained")
    grid = picture.subplots(rows, columns, squeeze=False, sharey=True)
    said = []
    for axes, name in zip(grid.flat, names, strict=False):
        own = kept[kept["contestant"] == name]
        lengths = trials[trials["contestant"] == name].groupby("run").size()
        totals = [_panel(axes, own, lengths, where) for where in ("inside", "outside")]
        axes.set_title(label(name), fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
        said.append(f"{name}: {totals[0]:.4g} inside, {totals[1]:.4g} outside")
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    picture.supxlabel("trial")
    picture.supylabel(f"gain so far in {context.metric}")
    styles = {"inside": "-", "outside": "--"}
    keys = [Line2D([], [], color=COLOURS[w], ls=s, lw=2, label=w) for w, s in styles.items()]
    picture.legend(handles=keys, loc="outside upper center", ncols=2, frameon=False)
    return Figure(
        "space-over-time",
        "Gain inside and outside the search space over time",
        picture,
        "Thin lines are runs: what their kept changes had gained by each trial. Thick lines are "
        f"the means over runs, as far as the shortest run goes.{left_out}",
        f"Lines that rise with the trials. At the end, as a mean over runs: {'; '.join(said)}.",
    )


def _panel(axes: Any, own: pd.DataFrame, lengths: pd.Series, where: str) -> float:
    """Draws one kind of gain; returns its mean over runs at the end of the runs."""
    style = {"color": COLOURS[where], "ls": "-" if where == "inside" else "--"}
    curves = []
    for run, length in lengths.items():
        changes = own[own["run"] == run]
        steps = np.zeros(int(length))
        at = np.rint(changes["position"] * len(steps)).astype(int).to_numpy() - 1
        np.add.at(steps, at, changes[COLUMNS[where]].to_numpy(float))
        curves.append(np.cumsum(steps))
        x = np.arange(1, len(steps) + 1)
        axes.plot(x, curves[-1], lw=0.6, alpha=0.5, drawstyle="steps-post", **style)
    common = min(map(len, curves))
    mean = np.mean([curve[:common] for curve in curves], axis=0)
    axes.plot(np.arange(1, common + 1), mean, lw=2, drawstyle="steps-post", **style)
    return float(np.mean([curve[-1] for curve in curves]))
