"""Report "knobs": panels, a slice, importance, diversity, and value against dollars.

The panels, the slice and the diversity are the automl study's. docs/analysis/knobs.md has the
formulas.
"""

from __future__ import annotations

import math

import pandas as pd

from runner.analysis.drawing import SHOWN
from runner.analysis.knobs import figures
from runner.analysis.knobs.cube import Cube, Spread, cube, spreads
from runner.analysis.knobs.importance import MOST, Importance, importance
from runner.analysis.knobs.pareto import costs
from runner.analysis.report import Context, Finding, Report, Table

ALL = "all contestants"
POOR = 0.3  # R²: below it a forest predicts little, and its shares mean little
SAMPLES = 4  # of all trials, for the range of the shares
DETAILED = 3  # contestants whose trials are also looked at by themselves


def report(context: Context) -> Report:
    """Which knobs the values depend on, how widely they were tried, and what value cost."""
    found = cube(context)
    shares = importances(context, found)
    spread = spreads(context, found)
    money = costs(context)
    return Report(
        "knobs",
        "Knobs and costs",
        (
            _importance_table(shares),
            _diversity_table(found, spread),
            _pareto_table(context, money),
        ),
        figures.draw(context, found, shares[ALL], spread, money),
        (*_important(shares), *_diverse(found, spread), *_cheap(money)),
        _left_out(context, found),
    )


def importances(context: Context, found: Cube) -> dict[str, Importance]:
    """The importance of the knobs for all trials, and for those of the best few contestants."""
    seed = context.settings.seed
    shares = {ALL: importance(found, found.points.index, SAMPLES, seed)}
    counts = found.points["contestant"].value_counts()
    several = [name for name in context.contestants if name in counts.index]
    for name in several[:DETAILED] if len(several) > 1 else []:
        rows = found.points.index[found.points["contestant"] == name]
        shares[name] = importance(found, rows, seed=seed)
    return shares


def _importance_table(shares: dict[str, Importance]) -> Table:
    rows = [
        one.shares.assign(
            of=of, trials=one.n, r_squared=one.r_squared if one.r_squared is not None else math.nan
        )
        for of, one in shares.items()
        if not one.why
    ]
    columns = {
        "of": "trials of", "knob": "knob", "share": "share of variance", "low": "least",
        "high": "most", "trials": "trials", "r_squared": "R² of the forest",
    }  # fmt: skip
    table = pd.concat(rows) if rows else pd.DataFrame(columns=list(columns))
    notes = (
        "fANOVA by a random forest (Optuna), on the unit cube; shares are of one knob by itself.",
        f"Of more than {MOST} trials, {MOST} are drawn at random.",
        f"least and most: of the shares in {SAMPLES} bootstrap samples of all trials.",
        f"R² is of trials that the forest did not see; below {POOR} the shares mean little.",
        *(f"{of}: cannot be told, {one.why}." for of, one in shares.items() if one.why),
    )
    table = table[list(columns)].rename(columns=columns).reset_index(drop=True)
    return Table("knob-importance", "Which knobs the values depend on", table, notes)


def _diversity_table(found: Cube, spread: list[Spread]) -> Table:
    columns = {
        "contestant": "contestant", "runs": "runs", "trials": "trials", "sd": "sd of a knob",
        "pairwise": "distance of two trials", "from_first": "distance from the first trial",
        "consecutive": "distance from the trial before", "cells": "cells",
        "cells_share": "cells / trials",
    }  # fmt: skip
    table = pd.DataFrame([vars(one) for one in spread], columns=list(columns))
    size = len(found.numeric)
    notes = (
        f"On the unit cube of the {size} numeric knobs that vary; its diagonal is "
        f"{math.sqrt(size):.3g}. Each is a mean over runs.",
        "Distances grow less as a search settles, so a long run looks less diverse than a short.",
        "cells: boxes of a fifth of each knob's range that have a trial.",
    )
    return Table(
        "diversity", "How widely the knobs were tried", table.rename(columns=columns), notes
    )


def _pareto_table(context: Context, money: pd.DataFrame) -> Table:
    columns = {"run": "run", "contestant": "contestant", "dollars": "US dollars", "value": "best",
               "front": "on the front"}  # fmt: skip
    notes = [
        "Dollars: model and, if an hour of a device has a price, devices.",
        "On the front: no other run is better at no more cost, or as good for less.",
    ]
    runs = context.frames.runs
    silent = int(runs.loc[runs["run"].isin(money["run"]), "usd"].isna().sum())
    if silent:
        notes.append(
            f"The source of {silent} of these runs names no cost of a model: training alone."
        )
    return Table("pareto", "Value against dollars", money.rename(columns=columns), tuple(notes))


def _important(shares: dict[str, Importance]) -> list[Finding]:
    """The knobs with the largest shares, if the forest is worth it."""
    one = shares[ALL]
    if one.why or one.r_squared is None:
        text = f"cannot be told: which knobs matter: {one.why}."
        return [Finding(text, "knob-importance", one.n, told=False)]
    quality = f"R² on trials not seen: {one.r_squared:.2f}, n = {one.n}"
    if one.r_squared < POOR:
        text = (
            f"cannot be told: which knobs matter, as the values hardly depend on them ({quality})."
        )
        return [Finding(text, "knob-importance", one.n, told=False)]
    named = [
        f"{row['knob']} {row['share']:.0%} ({row['low']:.0%} to {row['high']:.0%})"
        for row in one.shares.head(3).to_dict("records")
    ]
    text = (
        f"The values of all trials depend most on {', '.join(named)}: shares of the variance by "
        f"fANOVA, with the range over bootstrap samples ({quality})."
    )
    return [Finding(text, "knob-importance", one.n)]


def _diverse(found: Cube, spread: list[Spread]) -> list[Finding]:
    """Who tried knobs most and least widely."""
    if len(spread) < 2:
        text = (
            f"cannot be told: who tried knobs more widely, as {len(spread)} contestants have runs "
            "with two trials whose knobs are known."
        )
        return [Finding(text, "diversity", len(spread), told=False)]
    ordered = sorted(spread, key=lambda one: one.pairwise)
    least, most = ordered[0], ordered[-1]
    text = (
        f"Two trials of {most.contestant} are {most.pairwise:.3g} apart on average, and two of "
        f"{least.contestant} {least.pairwise:.3g}, on the unit cube of {len(found.numeric)} knobs "
        f"({most.runs} and {least.runs} runs). This describes these runs; it is no test."
    )
    return [Finding(text, "diversity", most.runs + least.runs)]


def _cheap(money: pd.DataFrame) -> list[Finding]:
    """Which runs no other beats in value and dollars."""
    if not (money["dollars"] > 0).any():
        text = "cannot be told: value against dollars, as no run has a cost (set dollars per hour)."
        return [Finding(text, "pareto", len(money), told=False)]
    front = money[money["front"]]
    named = [
        f"{row['run']} ({row['value']:.5g} for ${row['dollars']:.2f})"
        for row in front.head(SHOWN).to_dict("records")
    ]
    text = (
        f"Of {len(money)} runs with a known cost, no other is better and as cheap as "
        f"{', '.join(named)}. Each is one run, so chance decides between near ones."
    )
    return [Finding(text, "pareto", len(money))]


def _left_out(context: Context, found: Cube) -> tuple[str, ...]:
    trials = len(context.frames.trials)
    without = trials - len(found.points)
    said = [f"{without} of {trials} trials have no known knobs."] if without else []
    if context.unpriced:
        said.append(
            f"Value against dollars has none of the {len(context.unpriced)} runs that asked a "
            "model whose price is not known."
        )
    return tuple(said)
