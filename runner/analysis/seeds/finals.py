"""The value that each run ended with, and which runs count.

A run counts if it has a value, has ended, and used at least 99 % of its budget, as in the automl
study. Of two runs of a contestant with one seed, the first by name counts: nobody picks the better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from runner.analysis.report import FULL_BUDGET, Context
from runner.records.schema import SPACE


@dataclass(frozen=True)
class Finals:
    """The final value of each contestant with each seed.

    Attributes:
        values: a row a contestant, the best mean first; a column a seed; NaN where none counts.
        left_out: contestant → why a run of it does not count, a sentence each.
        notes: what is not known about the runs that count, a sentence each.
    """

    values: pd.DataFrame
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, contestant: str) -> pd.Series:
        """The values of a contestant that are known, by seed."""
        return self.values.loc[contestant].dropna()


def finals(context: Context, column: str = "best") -> Finals:
    """The value that each run ended with, if the run counts.

    Args:
        context: the runs.
        column: of `Frames.runs`: `best` is what was measured, `verified` what the referee found.
    """
    runs = context.frames.runs.sort_values("run", kind="stable")
    left_out: dict[str, list[str]] = {}
    kept: dict[tuple[str, int], float] = {}
    unknown = 0
    for row in runs.to_dict("records"):
        contestant, place = str(row["contestant"]), (str(row["contestant"]), int(row["seed"]))
        reason = _why_not(row, column, place in kept)
        if reason:
            left_out.setdefault(contestant, []).append(f"{row['run']} {reason}")
            continue
        unknown += bool(pd.isna(row["budget_share"]))
        kept[place] = float(row[column])
    values = pd.Series(kept, dtype="float64")
    if kept:
        values.index = pd.MultiIndex.from_tuples(kept, names=("contestant", "seed"))
        frame = values.unstack("seed").sort_index(axis="columns")
    else:
        frame = pd.DataFrame(dtype="float64")
    frame = frame.reindex([str(name) for name in context.contestants])
    order = (context.sign * frame.mean(axis="columns")).sort_values(kind="stable").index
    return Finals(frame.loc[order], left_out, tuple(_notes(runs, unknown)))


def _why_not(row: dict[str, Any], column: str, taken: bool) -> str:
    """Why a run does not count; empty if it does."""
    share, imported = row["budget_share"], row["kind"] == "imported"
    if pd.isna(row[column]):
        return "measured no value" if column == "best" else f"has no {column} value"
    if not imported and row["ended_by"] == "no result yet":
        return "has no result yet"
    if not pd.isna(share) and share < FULL_BUDGET and row["ended_by"] != SPACE:
        return f"used {share:.1%} of its budget; {FULL_BUDGET:.0%} are needed"
    return "has the seed of a run that counts already" if taken else ""


def _notes(runs: pd.DataFrame, unknown: int) -> list[str]:
    notes = []
    if unknown:
        notes.append(f"Of {unknown} runs it is not known how much of their budget they used.")
    if runs["rehearsed"].fillna(False).any():
        notes.append("Rehearsed runs are the work of a scripted model, not of the model named.")
    if runs["budget"].nunique() > 1:
        notes.append("The runs had different budgets, so the comparison is not on equal terms.")
    return notes
