"""The tables of the report "search". A row is a contestant, a run or a trial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from runner.analysis.changes import changed_knobs
from runner.analysis.report import Context, Table
from runner.analysis.search import effort
from runner.analysis.statistics.bootstrap import interval

SHOWN = 12  # contestants in a matrix, knobs in a sentence
STATUSES = ("ok", "crash", "oom", "timeout", "rejected", "pruned", "killed")
FAILURES = ("crash", "oom", "timeout", "rejected")  # the trial's own doing


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
    agent, settings = best_agent(context), context.settings
    runs = context.frames.runs.assign(gain=_gains(context.frames.runs, context.sign))
    hours_held = effort.device_seconds(runs) / effort.SECONDS_PER_HOUR
    runs["compute"] = hours_held * effort.prices(context, runs["run"])
    of_runs, of_trials = runs.groupby("contestant"), trials.groupby("contestant")
    names = pd.Index(context.contestants, name="contestant")
    sums = (
        of_runs[["usd", "compute", "train_seconds", "wall_seconds"]].sum(min_count=1).reindex(names)
    )
    hours = sums["train_seconds"] / effort.SECONDS_PER_HOUR
    sure = [
        interval(of_runs.get_group(name)["gain"], resamples=settings.resamples, seed=settings.seed)
        for name in names
    ]
    counts = {
        "runs": of_runs.size(), "runs with a value": of_runs["gain"].count(),
        "trials": of_trials.size(), "values": of_trials["value"].count(),
    }  # fmt: skip
    table = pd.DataFrame(
        {
            **{name: _whole(count, names) for name, count in counts.items()},
            "best": bests(context), "own baseline": of_runs["first"].mean(),
            "improvement": of_runs["gain"].mean(),
            "95 % low": [one.low if one else np.nan for one in sure],
            "95 % high": [one.high if one else np.nan for one in sure],
            "better than the agent": _better_than(context, trials, agent),
            "model cost (USD)": sums["usd"], "compute (USD)": sums["compute"],
            "training (h)": hours, "wall (h)": sums["wall_seconds"] / effort.SECONDS_PER_HOUR,
        },
        index=names,
    ).reset_index()  # fmt: skip
    notes = [
        "own baseline: the first value that a run measured, mean over runs.",
        "improvement: own baseline − best of each run (the other way round where more is better), "
        "mean over runs, with a percentile bootstrap interval over runs.",
        "Costs and times are sums over runs.",
    ]
    if agent is None:
        table = table.drop(columns="better than the agent")
    else:
        notes.append(
            f"The agent is {agent}, the best one; counted are trials better than its best."
        )
    return Table("search", "What each contestant found", table, tuple(notes))


def beats(context: Context, trials: pd.DataFrame) -> Table:
    """How many trials of a row are better than the best one of a column."""
    names = context.contestants[:SHOWN]
    values = trials.groupby("contestant")["value"].count()
    table = pd.DataFrame({"contestant": names, "values": _whole(values, pd.Index(names))})
    for name in names:
        table[f"better than {name}"] = _better_than(context, trials, name).loc[names].to_numpy()
    notes = ["Equal values do not count as better."]
    if len(context.contestants) > SHOWN:
        notes.append(f"Shown are the best {SHOWN} of {len(context.contestants)} contestants.")
    return Table(
        "search-beats", "Trials of the row better than the best of the column", table, tuple(notes)
    )


def runs(context: Context, trials: pd.DataFrame) -> Table:
    """A row a run: its best value, and when and at what cost it came to it and to the target."""
    aim, of_trials = target(context), trials.groupby("run")
    frame = context.frames.runs
    names = pd.Index(frame["run"])
    table = frame[["run", "contestant", "seed", "first", "best"]].reset_index(drop=True)
    at_best = trials[trials["is_best"]].groupby("run").tail(1).set_index("run")
    reached = _reaching(context, trials, aim).set_index("run")
    for column, count in {
        "trials": of_trials.size(), "values": of_trials["value"].count(),
        "incumbents": of_trials["is_best"].sum(),
    }.items():  # fmt: skip
        table[column] = _whole(count, names)
    for unit in effort.UNITS:
        ends = of_trials[unit.column].max()
        amounts = {"to the best": at_best, "to the target": reached}
        for words, rows in amounts.items():
            table[_short(unit, words)] = rows[unit.column].reindex(names).to_numpy()
        table[_short(unit, "in all")] = ends.reindex(names).to_numpy()
    table["ended by"] = frame["ended_by"].to_numpy()
    aimed = f": {aim:.6g}." if aim is not None else "; there is none."
    note = f"The target is the worst of the contestants' best values, or the one asked for{aimed}"
    return Table("search-runs", "What each run took", table, (note,))


def incumbents(context: Context, trials: pd.DataFrame) -> Table:
    """The trials that were the best so far, with their gains and what changed."""
    chosen = trials[trials["is_best"]].copy()
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
    changed_by_name = changed_knobs(trial["knobs_changed"])
    pairs = [f"{name} {old} → {new}" for name, (old, new) in changed_by_name.items()]
    more = [f"{len(pairs) - SHOWN} more knobs"] if len(pairs) > SHOWN else []
    other = trial["other_changes"]
    also = ["other lines"] if not pd.isna(other) and other else []
    changed = ", ".join([*pairs[:SHOWN], *more, *also])
    said = " ".join(str(trial["change"] or "").split()) if not pd.isna(trial["change"]) else ""
    return ": ".join(part for part in (said, changed) if part)


def outcomes(context: Context, trials: pd.DataFrame) -> Table:
    """How the trials of each contestant ended, by their source."""
    place = [trials["contestant"].astype(object), trials["source"].fillna("?").astype(object)]
    counts = pd.crosstab(place, trials["status"].astype(object))
    counts = counts.reindex(columns=list(STATUSES), fill_value=0)
    groups = trials.groupby(place)
    total, failed = counts.sum(axis="columns"), counts[list(FAILURES)].sum(axis="columns")
    low, high = proportion_confint(failed.to_numpy(), total.to_numpy(), method="wilson")
    table = counts.assign(
        failed=failed, share=100 * failed / total, low=100 * low, high=100 * high,
        incumbents=groups["is_best"].sum(), best=_best(groups["value"], context.sign),
    )  # fmt: skip
    table.insert(0, "trials", total)
    table = table.reindex(context.contestants, level=0)
    table.index.names = ["contestant", "source"]
    heads = {"share": "failed %", "low": "95 % low", "high": "95 % high"}
    notes = (
        f"failed: {', '.join(FAILURES)}; interval: Wilson's, as if trials were independent.",
        "killed: the runner ended the trial; pruned: the sampler gave it up.",
    )
    return Table(
        "search-outcomes",
        "How trials ended, by contestant and source",
        table.reset_index().rename(columns=heads).rename_axis(columns=None),
        notes,
    )


def targets(context: Context, trials: pd.DataFrame) -> Table:
    """In how many runs each contestant reached the target, and after how much."""
    aim, names = target(context), pd.Index(context.contestants, name="contestant")
    reached = _reaching(context, trials, aim).groupby("contestant")
    table = pd.DataFrame(
        {
            "runs": _whole(context.frames.runs.groupby("contestant").size(), names),
            "reached": _whole(reached.size(), names),
            **{_short(unit, "(median)"): reached[unit.column].median() for unit in effort.UNITS},
        },
        index=names,
    )
    title = f"Time and cost to reach {aim:.6g}" if aim is not None else "Time to reach a target"
    notes = (
        "The medians are of the runs that reached it, so they flatter whoever seldom did.",
        "Without a target that was asked for, it is the worst of the contestants' best values.",
    )
    return Table("search-target", title, table.reset_index(), notes)


def efficiency(context: Context, trials: pd.DataFrame) -> Table:
    """Gain for each trial, hour and dollar, and the area under the curve over common ranges."""
    names = pd.Index(context.contestants, name="contestant")
    frame = context.frames.runs.assign(gain=_gains(context.frames.runs, context.sign))
    gain = frame.groupby("contestant")["gain"].mean().reindex(names)
    columns = [unit.column for unit in effort.UNITS]
    ends = trials.groupby(["contestant", "run"])[columns].max().groupby("contestant").mean()
    ends = ends.where(ends > 0).reindex(names)
    table = pd.DataFrame(
        {
            "runs": _whole(frame.groupby("contestant").size(), names),
            "mean improvement": gain,
            "improvement per 100 trials": 100 * gain / ends[effort.TRIALS.column],
            "improvement per USD": gain / ends[effort.DOLLARS.column],
            "improvement per training hour": effort.SECONDS_PER_HOUR
            * gain / ends[effort.TRAINING.column],
        },
        index=names,
    ).reset_index()  # fmt: skip
    notes = [
        "improvement per …: mean improvement over the own baseline / mean of what a run used.",
        "area: mean of the best value so far over a range that all contestants have.",
    ]
    for unit in effort.UNITS:
        found = effort.areas(context, trials, unit)
        table[f"area by {_short(unit)}"] = table["contestant"].map(found.of)
        notes += found.notes
    table = table.dropna(axis="columns", how="all")
    return Table("search-efficiency", "Sample and cost efficiency", table, tuple(notes))


def bests(context: Context) -> pd.Series:
    """The best value of each contestant; NaN where it has none."""
    found = _best(context.frames.runs.groupby("contestant")["best"], context.sign)
    return found.reindex(pd.Index(context.contestants, name="contestant"))


def _best(values: Any, sign: int) -> pd.Series:
    """The best of each group of values."""
    return values.min() if sign > 0 else values.max()


def _gains(runs: pd.DataFrame, sign: int) -> pd.Series:
    """How much better than its first value a run became."""
    return sign * (runs["first"] - runs["best"])


def _better_than(context: Context, trials: pd.DataFrame, contestant: str | None) -> pd.Series:
    """How many trials of each contestant are better than the best of one; none than NaN."""
    best = bests(context)[contestant] if contestant is not None else np.nan
    better = context.sign * trials["value"] < context.sign * best
    counts = better.groupby(trials["contestant"]).sum()
    return counts.reindex(context.contestants, fill_value=0).astype(int)


def _reaching(context: Context, trials: pd.DataFrame, aim: float | None) -> pd.DataFrame:
    """The first trial of each run that is as good as the target."""
    if aim is None:
        return trials.iloc[:0]
    return trials[context.sign * trials["value"] <= context.sign * aim].groupby("run").head(1)


def _whole(counts: pd.Series, names: pd.Index) -> Any:
    """Counts by name, 0 of a name that has none."""
    return counts.reindex(names, fill_value=0).to_numpy(dtype=int)


def _short(unit: effort.Unit, word: str = "") -> str:
    """The unit's name in the head of a column."""
    name = f"{unit.name.replace('-', ' ')} (s)" if unit.seconds else unit.title
    return f"{name} {word}".strip()
