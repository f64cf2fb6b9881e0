"""The tables of the report "search". A row is a contestant, a run or a trial."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from runner.analysis.report import Context, Table
from runner.analysis.search import effort
from runner.analysis.statistics.bootstrap import interval

SHOWN = 12  # contestants in a matrix, knobs in a sentence
STATUSES = ("ok", "crash", "oom", "timeout", "rejected", "pruned", "killed")
FAILURES = ("crash", "oom", "timeout", "rejected")  # the trial's own doing
Rows = list[dict[str, Any]]


def best_agent(context: Context) -> str | None:
    """The agent with the best value; None where no contestant is known as an agent."""
    runs = context.frames.runs
    agents = {str(name) for name in runs.loc[runs["kind"] == "agent", "contestant"]}
    return next((name for name in context.contestants if name in agents), None)


def target(context: Context) -> float | None:
    """The value whose reaching is timed: the one asked for, or the worst of the bests.

    Every contestant with a value has reached the latter. None where nobody has a value.
    """
    if context.settings.target is not None:
        return context.settings.target
    signed = context.sign * context.frames.runs["best"]
    worst = signed.groupby(context.frames.runs["contestant"]).min().max()
    return None if pd.isna(worst) else context.sign * float(worst)


def contestants(context: Context, trials: pd.DataFrame) -> Table:
    """The published table: best, improvement over the own baseline, trials, cost."""
    agent, rows = best_agent(context), []
    for name in context.contestants:
        runs, own = _of(context.frames.runs, name), _of(trials, name)
        gains = (context.sign * (runs["first"] - runs["best"])).dropna().to_numpy(dtype=float)
        settings = context.settings
        sure = interval(gains, resamples=settings.resamples, seed=settings.seed)
        rows.append(
            {
                "contestant": name, "runs": len(runs), "runs with a value": gains.size,
                "trials": len(own), "values": int(own["value"].notna().sum()),
                "best": context.sign * (context.sign * runs["best"]).min(),
                "own baseline": runs["first"].mean(),
                "improvement": gains.mean() if gains.size else np.nan,
                "95 % low": sure.low if sure else np.nan,
                "95 % high": sure.high if sure else np.nan,
                "better than the agent": _better(context, own, best_of(context, agent)),
                "model cost (USD)": runs["usd"].sum(min_count=1),
                "compute (USD)": runs["train_seconds"].sum(min_count=1)
                * settings.dollars_per_hour / effort.SECONDS_PER_HOUR,
                "training (h)": runs["train_seconds"].sum(min_count=1) / effort.SECONDS_PER_HOUR,
                "wall (h)": runs["wall_seconds"].sum(min_count=1) / effort.SECONDS_PER_HOUR,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    if agent is None:
        table = table.drop(columns="better than the agent")
    notes = [
        "own baseline: the first value that a run measured, mean over runs.",
        "improvement: own baseline − best of each run (the other way round where more is better), "
        "mean over runs, with a percentile bootstrap interval over runs.",
        "Costs and times are sums over runs.",
    ]
    if agent is not None:
        notes.append(f"the agent is {agent}, the best one; counted are trials better than its best")
    return Table("search", "What each contestant found", table, tuple(notes))


def beats(context: Context, trials: pd.DataFrame) -> Table:
    """How many trials of a row are better than the best one of a column."""
    names = context.contestants[:SHOWN]
    rows: Rows = []
    for row in names:
        own = _of(trials, row)
        row_cells = {name: _better(context, own, best_of(context, name)) for name in names}
        rows.append({"contestant": row, "values": int(own["value"].notna().sum())} | row_cells)
    table = pd.DataFrame(rows, columns=["contestant", "values", *names])
    notes = ["Equal values do not count as better."]
    if len(context.contestants) > SHOWN:
        notes.append(f"Shown are the best {SHOWN} of {len(context.contestants)} contestants.")
    return Table(
        "search-beats", "Trials of the row better than the best of the column", table, tuple(notes)
    )


def runs(context: Context, trials: pd.DataFrame) -> Table:
    """A row a run: its best value, and when and at what cost it came to it and to the target."""
    aim, grouped = target(context), dict(list(trials.groupby("run")))
    rows = []
    for run in context.frames.runs.to_dict("records"):
        own = grouped.get(run["run"], trials.iloc[:0])
        at_best = own[own["is_best"].fillna(False)].tail(1)
        reached = _reaching(context, own, aim)
        row = {
            "run": run["run"], "contestant": run["contestant"], "seed": run["seed"],
            "trials": len(own), "values": int(own["value"].notna().sum()),
            "first": run["first"], "best": run["best"],
            "incumbents": int(own["is_best"].fillna(False).sum()),
        }  # fmt: skip
        for unit in effort.UNITS:
            row[f"{_short(unit)} to the best"] = _only(at_best[unit.column])
            row[f"{_short(unit)} to the target"] = _only(reached[unit.column])
            row[_short(unit, "in all")] = own[unit.column].max() if len(own) else np.nan
        rows.append(row | {"ended by": run["ended_by"]})
    notes = ("The target is the worst of the contestants' best values, or the one asked for"
             + (f": {aim:.6g}." if aim is not None else "; there is none."),)  # fmt: skip
    return Table("search-runs", "What each run took", pd.DataFrame(rows), notes)


def incumbents(context: Context, trials: pd.DataFrame) -> Table:
    """The trials that were the best so far, with their gains and what changed."""
    chosen = trials[trials["is_best"].fillna(False)].copy()
    before = chosen.groupby("run")["value"].shift()
    chosen["gain"] = context.sign * (before - chosen["value"])
    chosen["changed"] = [what_changed(row) for row in chosen.to_dict("records")]
    columns = {
        "run": "run", "trial": "trial", "source": "source", "value": "value", "gain": "gain",
        "changed": "changed", effort.TRAINING.column: "training (s)",
        effort.WALL.column: "wall (s)", effort.DOLLARS.column: "US dollars",
    }  # fmt: skip
    notes = (
        "gain: over the best before, positive is better; the first value of a run has none.",
        "changed: what the contestant said, and the knobs by the diff of the two texts.",
    )
    return Table(
        "search-incumbents",
        "Incumbents: each trial that became the best of its run",
        chosen[list(columns)].rename(columns=columns).reset_index(drop=True),
        notes,
    )


def what_changed(trial: dict[str, Any]) -> str:
    """What a trial changed, in a line: the contestant's words, and the knobs with both values."""
    try:
        knobs = json.loads(trial["knobs_changed"] or "{}")
    except ValueError:
        knobs = {}
    pairs = [
        f"{name} {change[0]} → {change[1]}"
        for name, change in (knobs.items() if isinstance(knobs, dict) else ())
        if isinstance(change, list) and len(change) == 2
    ]
    more = [f"{len(pairs) - SHOWN} more knobs"] if len(pairs) > SHOWN else []
    other = trial["other_changes"]
    also = ["other lines"] if not pd.isna(other) and other else []
    changed = ", ".join([*pairs[:SHOWN], *more, *also])
    said = " ".join(str(trial["change"] or "").split()) if not pd.isna(trial["change"]) else ""
    return ": ".join(part for part in (said, changed) if part)


def outcomes(context: Context, trials: pd.DataFrame) -> Table:
    """How the trials of each contestant ended, by their source."""
    rows = []
    for name in context.contestants:
        for source, own in _of(trials, name).groupby("source", dropna=False):
            counts = own["status"].value_counts()
            failed = int(counts[counts.index.isin(FAILURES)].sum())
            low, high = proportion_confint(failed, len(own), method="wilson")
            rows.append(
                {
                    "contestant": name, "source": source, "trials": len(own),
                    **{status: int(counts.get(status, 0)) for status in STATUSES},
                    "failed": failed, "failed %": 100 * failed / len(own),
                    "95 % low": 100 * low, "95 % high": 100 * high,
                    "incumbents": int(own["is_best"].fillna(False).sum()),
                    "best": context.sign * (context.sign * own["value"]).min(),
                }
            )  # fmt: skip
    columns = [
        "contestant", "source", "trials", *STATUSES, "failed", "failed %", "95 % low", "95 % high",
        "incumbents", "best",
    ]  # fmt: skip
    notes = (
        f"failed: {', '.join(FAILURES)}; interval: Wilson's, as if trials were independent.",
        "killed: the runner ended the trial; pruned: the sampler gave it up.",
    )
    return Table(
        "search-outcomes",
        "How trials ended, by contestant and source",
        pd.DataFrame(rows, columns=columns),
        notes,
    )


def targets(context: Context, trials: pd.DataFrame) -> Table:
    """In how many runs each contestant reached the target, and after how much."""
    aim, rows = target(context), []
    for name in context.contestants:
        own = _of(trials, name)
        first = [_reaching(context, run, aim) for _, run in own.groupby("run")]
        reached = pd.concat(first) if first else own.iloc[:0]
        rows.append(
            {
                "contestant": name, "runs": len(_of(context.frames.runs, name)),
                "reached": len(reached),
                **{_short(unit, "(median)"): _median(reached[unit.column])
                   for unit in effort.UNITS},
            }
        )  # fmt: skip
    title = f"Time and cost to reach {aim:.6g}" if aim is not None else "Time to reach a target"
    notes = (
        "The medians are of the runs that reached it, so they flatter whoever seldom did.",
        "Without a target that was asked for, it is the worst of the contestants' best values.",
    )
    return Table("search-target", title, pd.DataFrame(rows), notes)


def efficiency(context: Context, trials: pd.DataFrame) -> Table:
    """Gain for each trial, hour and dollar, and the area under the curve over common ranges."""
    areas = {unit.column: effort.areas(context, trials, unit) for unit in effort.UNITS}
    rows = []
    for name in context.contestants:
        runs, own = _of(context.frames.runs, name), _of(trials, name)
        gain = (context.sign * (runs["first"] - runs["best"])).mean()
        ends = own.groupby("run")[[unit.column for unit in effort.UNITS]].max().mean()
        row: dict[str, Any] = {"contestant": name, "runs": len(runs), "mean improvement": gain}
        per = {"100 trials": (effort.TRIALS, 100.0), "USD": (effort.DOLLARS, 1.0),
               "training hour": (effort.TRAINING, effort.SECONDS_PER_HOUR)}  # fmt: skip
        for words, (unit, amount) in per.items():
            end = ends[unit.column]
            row[f"improvement per {words}"] = gain * amount / end if end > 0 else np.nan
        for unit in effort.UNITS:
            row[_short(unit, "area")] = areas[unit.column].of.get(name, np.nan)
        rows.append(row)
    notes = [
        "improvement per …: mean improvement over the own baseline / mean of what a run used.",
        "area: mean of the best value so far over a range that all contestants have.",
        *(note for area in areas.values() for note in area.notes),
    ]
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    return Table("search-efficiency", "Sample and cost efficiency", table, tuple(notes))


def _of(table: pd.DataFrame, contestant: str) -> pd.DataFrame:
    return table[table["contestant"] == contestant]


def best_of(context: Context, contestant: str | None) -> float:
    """The best value of a contestant; NaN where it has none."""
    own = context.frames.runs.loc[context.frames.runs["contestant"] == contestant, "best"]
    return float(context.sign * (context.sign * own).min())


def _better(context: Context, trials: pd.DataFrame, value: float) -> int:
    """How many trials are better than a value; none is better than NaN."""
    return int((context.sign * trials["value"] < context.sign * value).sum())


def _reaching(context: Context, run: pd.DataFrame, aim: float | None) -> pd.DataFrame:
    """The first trial of a run that is as good as the target, as a table of one row or none."""
    if aim is None:
        return run.iloc[:0]
    return run[context.sign * run["value"] <= context.sign * aim].head(1)


def _short(unit: effort.Unit, word: str = "") -> str:
    """The unit's name in the head of a column."""
    name = f"{unit.name.replace('-', ' ')} (s)" if unit.seconds else unit.title
    return f"{name} {word}".strip()


def _only(cells: pd.Series) -> float:
    return float(cells.iloc[0]) if len(cells) else np.nan


def _median(cells: pd.Series) -> float:
    return float(cells.median()) if len(cells) else np.nan
