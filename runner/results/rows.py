"""The comparison as text: one row for each run, for the terminal and for Markdown."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from runner.metrics import Metric
from runner.records.best import UNJUDGED
from runner.records.proposal import in_words
from runner.results.reading import Run

NOTHING = "–"
FAILURES = ("crash", "oom", "timeout", "killed", "rejected")


@dataclass(frozen=True)
class Row:
    """One run in words, in the order of `headings`; then what it is compared by."""

    contestant: str
    seed: str
    trials: str
    best_measured: str
    best_claimed: str
    best_verified: str
    gain: str
    wall_time: str
    train_time: str
    device_time: str
    cost: str
    compute: str
    total: str
    ended_by: str
    proposed_by: str
    files: str
    wall_seconds: float  # this and the next three: for outputs that format them in another way
    cost_usd: float | None  # None if no model was asked
    compute_usd: float | None  # None where a device has no price
    rehearsed: bool
    unsafe: bool
    task: str
    metric: str  # its name
    direction: str
    heading: str  # of the runs that it is compared with

    def cells(self) -> tuple[str, ...]:
        """What stands under `headings`; a table is of one task and one metric."""
        return astuple(self)[: len(headings(self.metric))]


def headings(metric: str) -> tuple[str, ...]:
    """The headings of a table of runs.

    Args:
        metric: the name of the metric that they share.
    """
    return (
        "contestant",
        "seed",
        "trials (ok/failed)",
        f"best {metric} (measured)",
        "best claimed",
        "best verified",
        "gain",
        "wall time",
        "training time",
        "device time",
        "model cost",
        "compute cost",
        "total cost",
        "ended by",
        "proposed by",
        "files",
    )


def to_row(run: Run, seen_from: Path) -> Row:
    """The run in words; `files` is its directory as reached from another directory."""
    return Row(
        contestant=run.contestant + " (unsafe)" * run.unsafe,
        seed=str(run.seed),
        trials=f"{len(run.own_trials)} ({run.count('ok')}/{run.count(*FAILURES)})",
        best_measured=_marked(run, value_shown(run.metric, run.best_value)),
        best_claimed=value_shown(run.metric, run.claimed_value),
        best_verified=verified(run),
        gain=NOTHING if run.gain is None else str(run.gain),
        wall_time=duration(run.wall_seconds),
        train_time=duration(run.train_seconds),
        device_time=duration(run.device_seconds),
        cost=cost(run),
        compute=NOTHING if run.compute_usd is None else f"${run.compute_usd:.2f}",
        total=total_cost(run),
        ended_by=run.ended_by,
        proposed_by=in_words(run.proposals) or NOTHING,
        files=os.path.relpath(run.path, seen_from),
        wall_seconds=run.wall_seconds,
        cost_usd=run.cost_usd if run.usage else None,
        compute_usd=run.compute_usd,
        rehearsed=run.rehearsed,
        unsafe=run.unsafe,
        task=run.task,
        metric=run.metric.name,
        direction=run.metric.direction,
        heading=run.heading,
    )


def _marked(run: Run, value: str) -> str:
    return value if run.judged else f"{value} {UNJUDGED}"


def value_shown(metric: Metric, value: float | None) -> str:
    """A value for a person; a dash where there is none."""
    return NOTHING if value is None else metric.shown(value)


def verified(run: Run) -> str:
    """The referee's mean with its standard deviation; `rejected` where a probe found a cheat."""
    found = run.verified
    if found is not None and found.rejected:
        return "rejected"
    if run.verified_value is None:
        return NOTHING
    shown = run.metric.shown(run.verified_value)
    spread = "" if found is None or found.sd is None else f" ± {run.metric.shown(found.sd)}"
    return shown + spread


def cost(run: Run) -> str:
    """The dollars spent, or those of a rehearsal, marked; a dash where no model was used."""
    if not run.usage:
        return NOTHING
    return f"${run.cost_usd:.2f} rehearsed, not spent" if run.rehearsed else f"${run.cost_usd:.2f}"


def total_cost(run: Run) -> str:
    """The dollars of model and devices together; a dash where a device has no price."""
    if run.total_usd is None:
        return NOTHING
    rehearsed = " with what was not spent" if run.rehearsed and run.cost_usd else ""
    return f"${run.total_usd:.2f}{rehearsed}"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds below an hour: `1 h 05 min`, `2 min 00 s`."""
    return _duration(seconds, hour=" h", minute=" min", second=" s")


def short_duration(seconds: float) -> str:
    """The same for a narrow column: `1h 05m`, `2m 00s`."""
    return _duration(seconds, hour="h", minute="m", second="s")


def _duration(seconds: float, *, hour: str, minute: str, second: str) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{hour} {minutes:02d}{minute}"
    return f"{minutes}{minute} {rest:02d}{second}"


def ordered(runs: Sequence[Run]) -> list[Run]:
    """By task and metric, the run with the best measured value first, runs without one last."""
    return sorted(runs, key=lambda run: (run.comparison, _rank(run), run.contestant, run.seed))


def _rank(run: Run) -> float:
    return math.inf if run.best_value is None else run.metric.rank(run.best_value)
