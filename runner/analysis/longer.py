"""Does the lead last? The best texts of the contestants, trained for longer.

Source: the longer-horizon retest of the study "AutoResearch vs classical tuning". The gap at a
training time is the difference of the means of two contestants; its interval is a percentile
bootstrap of both sides.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Drawn
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from runner.analysis.drawing import SHOWN, label
from runner.analysis.report import Context, Figure, Finding, Report, Table
from runner.analysis.statistics.bootstrap import difference_interval

NAME = "longer"
TABLE, FIGURE = "longer-training", "longer-training"
# Trainings a side: of fewer, two groups that do not overlap are no rare chance (2 / C(8, 4) = .03).
FEWEST_TOLD = 4
COLUMNS = [
    "contestant", "training time", "n", "mean", "sd", "gap", "gap, low", "gap, high",
]  # fmt: skip


def report(context: Context) -> Report:
    """The table, the figure and what they say; a sentence where nobody was trained for longer."""
    title = "Does the lead last?"
    values = _values(context)
    if values.empty:
        text = "Whether a lead lasts cannot be told: no best text was trained for longer."
        return Report(NAME, title, findings=(Finding(text, TABLE, 0, told=False),))
    rows = _rows(context, values)
    notes = (
        "Training time: as a multiple of the run's own.",
        f"Gap: the mean's distance from the best mean at that time, in {context.metric}.",
        "Low and high: a 95 % percentile bootstrap interval of the gap, from two values a side on.",
        "All runs have the same training seeds and are scored on the same rows.",
    )
    return Report(
        NAME,
        title,
        tables=(Table(TABLE, "The best texts, trained for longer", rows, notes),),
        figures=(_figure(context, rows),),
        findings=tuple(_findings(rows)),
        left_out=_left_out(context),
    )


def _values(context: Context) -> pd.DataFrame:
    """A row a training that has a value: contestant, times, value."""
    named = context.frames.retests.merge(context.frames.runs[["run", "contestant"]], on="run")
    return named.dropna(subset=["value"])[["contestant", "times", "value"]]


def _left_out(context: Context) -> tuple[str, ...]:
    failed = context.frames.retests[context.frames.retests["value"].isna()]
    return tuple(
        f"{row.run}: its best text at {row.times:g} times its training time ended as {row.status}"
        for row in failed.itertuples()
    )


def _rows(context: Context, values: pd.DataFrame) -> pd.DataFrame:
    rows: list[list[Any]] = []
    for times, at_once in values.groupby("times"):
        samples = {name: own["value"].to_numpy() for name, own in at_once.groupby("contestant")}
        order = sorted(samples, key=lambda name: context.sign * samples[name].mean())
        leader = order[0]
        for name in order:
            own = samples[name]
            gap = context.sign * (own.mean() - samples[leader].mean())
            ends: tuple[float | None, float | None] = (None, None)
            if name != leader:
                interval = difference_interval(
                    context.sign * own,
                    context.sign * samples[leader],
                    resamples=context.settings.resamples,
                    seed=context.settings.seed,
                )
                ends = (interval.low, interval.high) if interval else ends
            sd = own.std(ddof=1) if len(own) > 1 else None
            rows.append([name, times, len(own), own.mean(), sd, gap, *ends])
    numbers = dict.fromkeys(COLUMNS[3:], "float64")
    return pd.DataFrame(rows, columns=COLUMNS).astype(numbers)


def _figure(context: Context, rows: pd.DataFrame) -> Figure:
    drawn = Drawn(figsize=(7.0, 4.2), layout="constrained")
    axes = drawn.subplots()
    shown = [name for name in context.contestants if name in set(rows["contestant"])]
    for name in shown[:SHOWN]:
        own = rows[rows["contestant"] == name].sort_values("training time")
        axes.errorbar(
            own["training time"], own["mean"], yerr=own["sd"].fillna(0.0), label=label(name),
            color=context.colours[name], marker="o", capsize=3,
        )  # fmt: skip
    times = sorted(rows["training time"].unique())
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(times))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([f"{one:g}" for one in times])
    axes.set_xlabel("training time, as a multiple of the run's own")
    axes.set_ylabel(context.label)
    axes.legend(frameon=False)
    caption = "The mean of the best texts over training seeds; bars are one standard deviation."
    if len(shown) > SHOWN:
        caption += f" The best {SHOWN} of {len(shown)} contestants are shown."
    last = rows[rows["training time"] == times[-1]]
    text = f"At {times[-1]:g} times the training time: " + ", ".join(
        f"{row[0]} {row[3]:.4f}" for row in last.itertuples(index=False, name=None)
    )
    return Figure(FIGURE, "The best texts, trained for longer", drawn, caption, text)


def _findings(rows: pd.DataFrame) -> list[Finding]:
    """One sentence for each pair of a leader and the next, at each training time."""
    found = []
    for times, at_once in rows.groupby("training time"):
        if len(at_once) < 2:
            continue
        leader, second = at_once.iloc[0], at_once.iloc[1]
        n = int(leader["n"] + second["n"])
        lead = (
            f"At {times:g} times the training time the best texts of {leader['contestant']} are "
            f"ahead of those of {second['contestant']} by {second['gap']:.4f}"
        )
        if pd.isna(second["gap, low"]) or min(leader["n"], second["n"]) < FEWEST_TOLD:
            said = f"{lead} in {n} trainings; whether that is luck cannot be told from so few."
            found.append(Finding(said, TABLE, n, told=False))
            continue
        clear = second["gap, low"] > 0
        interval = f"95 % interval {second['gap, low']:.4f} to {second['gap, high']:.4f}"
        tail = "" if clear else ", which includes no difference"
        found.append(Finding(f"{lead} ({interval}{tail}; {n} trainings).", TABLE, n, told=clear))
    return found
