"""The comparison in words: one row a run, for the terminal and for Markdown."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from runner.results.reading import Run

HEADINGS = (
    "contestant",
    "seed",
    "trials (ok/failed)",
    "best val_bpb (measured)",
    "best claimed",
    "wall time",
    "training time",
    "cost",
    "ended by",
    "files",
)
NOTHING = "–"
FAILURES = ("crash", "oom", "timeout", "killed")


@dataclass(frozen=True)
class Row:
    """One run in words, in the order of `HEADINGS`, and its task."""

    contestant: str
    seed: str
    trials: str
    best_measured: str
    best_claimed: str
    wall_time: str
    train_time: str
    cost: str
    ended_by: str
    files: str
    task: str

    def cells(self) -> tuple[str, ...]:
        """What stands under `HEADINGS`; a table is of one task."""
        return astuple(self)[: len(HEADINGS)]


def to_row(run: Run, seen_from: Path) -> Row:
    """The run in words; `files` is its directory as reached from another directory."""
    best, claimed = run.best, run.claims.best() if run.claims else None
    return Row(
        contestant=run.contestant,
        seed=str(run.seed),
        trials=f"{len(run.own_trials)} ({run.count('ok')}/{run.count(*FAILURES)})",
        best_measured=f"{best.val_bpb:.4f}" if best else NOTHING,
        best_claimed=f"{claimed.val_bpb:.4f}" if claimed else NOTHING,
        wall_time=duration(run.wall_seconds),
        train_time=duration(run.train_seconds),
        cost=cost(run),
        ended_by=run.ended_by,
        files=os.path.relpath(run.path, seen_from),
        task=run.task,
    )


def cost(run: Run) -> str:
    """Dollars that were spent, or, marked, those that nobody spent; a dash where no model spoke."""
    if not run.usage:
        return NOTHING
    return f"${run.cost_usd:.2f} rehearsed, not spent" if run.rehearsed else f"${run.cost_usd:.2f}"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds below an hour."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def ordered(runs: Sequence[Run]) -> list[Run]:
    """By task, the lowest measured val_bpb first, runs without one last."""
    return sorted(runs, key=lambda run: (run.task, _rank(run), run.contestant, run.seed))


def _rank(run: Run) -> float:
    return run.best.val_bpb or float("inf") if run.best else float("inf")
