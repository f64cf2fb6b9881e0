"""Frames made of a few numbers, as the tests of reports need them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.analysis.output.style import colours
from runner.analysis.report import Context, Settings
from runner.results.dataframes import Frames
from tests.unit.analysis.tables import knob_rows, tables


@dataclass(frozen=True)
class Made:
    """A run: `values` has a number a trial, None of a trial that crashed.

    `run` and `trials` replace cells of its row and of all its trials; `knobs` has those of each
    trial, and `each` has columns of the trials, a list each.
    """

    contestant: str
    values: Sequence[float | None]
    seed: int = 1
    kind: str = "baseline"
    direction: str = "minimize"
    seconds: float = 10.0  # of each trial
    usd: float = 0.0  # of each trial
    run: dict[str, Any] = field(default_factory=dict)
    knobs: Sequence[dict[str, Any]] = ()
    each: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.contestant}-s{self.seed}"


def frames(*runs: Made) -> Frames:
    """The tables of these runs."""
    rows = [_row(run) for run in runs]
    trials = [trial for run in runs for trial in _trials(run)]
    knobs = [row for run in runs for row in knob_rows(run.name, run.knobs, first=0)]
    return tables(rows, trials, knobs)


def context(*runs: Made, **settings: Any) -> Context:
    """What a report on these runs is given; intervals have few resamples, to be quick."""
    made = frames(*runs)
    names = list(dict.fromkeys(run.contestant for run in runs))
    chosen = Settings(**{"resamples": 200, **settings})
    return Context("a task", made, colours(names, names), chosen)


def _row(run: Made) -> dict[str, Any]:
    known = [value for value in run.values if value is not None]
    better = min if run.direction == "minimize" else max
    return {
        "run": run.name, "contestant": run.contestant, "kind": run.kind, "model": "",
        "seed": run.seed, "task": "a task", "metric": "val_bpb", "unit": "bits/byte",
        "direction": run.direction, "comparison": "a task", "judged": True, "rehearsed": False,
        "ended_by": "trials", "cause": "", "began_at": "", "budget": "{}", "budget_share": 1.0,
        "trials": len(run.values), "wall_seconds": 12.0 * len(run.values),
        "train_seconds": run.seconds * len(run.values), "usd": run.usd * len(run.values),
        "tokens": 0, "requests": 0, "first": known[0] if known else None,
        "best": better(known) if known else None, "problems": 0, "path": "",
    } | run.run  # fmt: skip


def _trials(run: Made) -> list[dict[str, Any]]:
    rows, best = [], math.nan
    sign = 1 if run.direction == "minimize" else -1
    for number, value in enumerate(run.values):
        is_best = value is not None and not sign * value >= sign * best
        best = value if value is not None and is_best else best
        rows.append(
            {
                "run": run.name, "contestant": run.contestant, "seed": run.seed, "trial": number,
                "source": "agent" if run.kind == "agent" else "sampler",
                "status": "crash" if value is None else "ok", "reason": "", "value": value,
                "best": best, "is_best": is_best, "kept": is_best, "change": "", "category": "",
                "knobs_changed": "{}", "other_changes": False, "commit": "",
                "elapsed_seconds": 12.0 * (number + 1), "train_seconds": run.seconds,
                "train_seconds_so_far": run.seconds * (number + 1),
                "usd_so_far": run.usd * (number + 1), "disturbed": False, "text": "",
            }
            | {column: cells[number] for column, cells in run.each.items()}
        )  # fmt: skip
    return rows
