"""Report "search": how fast, how far and at what cost each contestant got.

The tables are those of the study that set Claude Code beside Optuna's samplers (best, improvement
over the own baseline, trials that beat the agent's best, API cost), and the curves are those of the
automl study. docs/analysis/search.md has the formulas.
"""

from __future__ import annotations

import pandas as pd

from runner.analysis.report import Context, Finding, Report
from runner.analysis.search import effort, figures, tables

SHOWN = 12  # contestants in a sentence


def report(context: Context) -> Report:
    """What was found, when, at what cost, and what failed."""
    trials = effort.used(context)
    made = (
        tables.contestants(context, trials),
        tables.beats(context, trials),
        tables.runs(context, trials),
        tables.incumbents(context, trials),
        tables.outcomes(context, trials),
        tables.targets(context, trials),
        tables.efficiency(context, trials),
    )
    rows = {table.name: table.rows for table in made}
    return Report(
        "search",
        "Search",
        made,
        figures.draw(context, trials),
        (
            *_best(context, trials),
            *_improvements(rows["search"]),
            *_beaten(context, rows["search"]),
            *_failures(rows["search-outcomes"]),
            *_reached(context, rows["search-target"]),
        ),
        _left_out(context, trials),
    )


def _best(context: Context, trials: pd.DataFrame) -> list[Finding]:
    """The best value, whose it is, and of how many."""
    measured = trials[trials["value"].notna()]
    if measured.empty:
        text = f"cannot be told: who is best, as none of {len(trials)} trials has a value."
        return [Finding(text, "search", len(trials), told=False)]
    row = measured.loc[(context.sign * measured["value"]).idxmin()]
    whose = f"{row['contestant']} (run {row['run']}, trial {row['trial']})"
    text = (
        f"The best {context.metric} is {row['value']:.6g}, of {whose}, among {len(measured)} "
        f"values of {len(trials)} trials in {trials['run'].nunique()} runs. One best value does "
        'not tell who is better; the report "many seeds" tests that.'
    )
    return [Finding(text, "search", len(measured))]


def _improvements(table: pd.DataFrame) -> list[Finding]:
    """How far each contestant came from its own baseline; only with an interval."""
    findings = []
    known = table[table["improvement"].notna()]
    for row in known[known["runs with a value"] > 1].head(SHOWN).to_dict("records"):
        text = (
            f"{row['contestant']} improved on its own baseline by {row['improvement']:.4g} on "
            f"average (95 % bootstrap interval {row['95 % low']:.4g} to {row['95 % high']:.4g}) "
            f"over {row['runs with a value']} runs."
        )
        findings.append(Finding(text, "search", int(row["runs with a value"])))
    single = [str(name) for name in known.loc[known["runs with a value"] == 1, "contestant"]]
    if single:
        text = (
            f"cannot be told: how the improvement of {_named(single)} would differ in another run, "
            "as there is one run of each."
        )
        findings.append(Finding(text, "search", len(single), told=False))
    return findings


def _beaten(context: Context, table: pd.DataFrame) -> list[Finding]:
    """How many trials of the others are better than the best agent's best one."""
    agent = tables.best_agent(context)
    if agent is None:
        return []
    others = table[table["contestant"] != agent].head(SHOWN)
    counts = [
        f"{row['better than the agent']} of {row['trials']} of {row['contestant']}"
        for row in others.to_dict("records")
    ]
    if not counts:
        return []
    text = f"Trials better than the best of {agent}: {', '.join(counts)}."
    return [Finding(text, "search", int(others["trials"].sum()))]


def _failures(table: pd.DataFrame) -> list[Finding]:
    """Whose trials failed most, with intervals."""
    failed = table[table["failed"] > 0].sort_values("failed %", ascending=False, kind="stable")
    if failed.empty:
        if table.empty:
            return []
        text = f"None of {table['trials'].sum()} trials crashed, timed out or ran out of memory."
        return [Finding(text, "search-outcomes", int(table["trials"].sum()))]
    shares = [
        f"{row['contestant']} {row['failed %']:.0f} % ({row['95 % low']:.0f} to "
        f"{row['95 % high']:.0f} %, n = {row['trials']})"
        for row in failed.head(SHOWN).to_dict("records")
    ]
    text = (
        f"Failed trials, with 95 % Wilson intervals: {', '.join(shares)}. Trials of one run are "
        "not independent, so the intervals are too narrow."
    )
    return [Finding(text, "search-outcomes", int(table["trials"].sum()))]


def _reached(context: Context, table: pd.DataFrame) -> list[Finding]:
    """How soon each contestant reached the target."""
    target = tables.target(context)
    if target is None:
        return []
    findings = []
    for row in table.head(SHOWN).to_dict("records"):
        text = f"{row['contestant']} reached {target:.6g} in {row['reached']} of {row['runs']} runs"
        if row["reached"]:
            text += f" (median: {row['trials (median)']:g} trials)"
        findings.append(Finding(text + ".", "search-target", int(row["runs"])))
    return findings


def _left_out(context: Context, trials: pd.DataFrame) -> tuple[str, ...]:
    """The runs and units that the curves do not have."""
    runs = context.frames.runs
    measured = set(trials.loc[trials["value"].notna(), "run"])
    silent = [str(run) for run in runs["run"] if run not in measured]
    left_out = []
    if silent:
        left_out.append(f"Runs without a value are in no curve: {_named(silent)}.")
    for unit in effort.UNITS:
        known = {one.run for one in effort.steps(trials, unit)}
        unknown = [str(run) for run in runs["run"] if run in measured and run not in known]
        if unknown:
            left_out.append(f"Not known, so not drawn, in {unit.title}: {_named(unknown)}.")
    return tuple(left_out)


def _named(names: list[str]) -> str:
    """Some names in a sentence."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
