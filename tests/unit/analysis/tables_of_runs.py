"""Frames and contexts as tests of the analysis want them, without files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from runner.analysis.report import Context, Settings
from tests.unit.analysis.tables import tables

BLUE = "#0072B2"


def run_rows(
    run: str, values: Sequence[float | None], **fields: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A run and its trials; a trial without a value crashed. Fields are those of the run.

    `trials` among them is a list of dictionaries, each with fields of one trial.
    """
    more = fields.pop("trials", [{}] * len(values))
    sign = -1 if fields.get("direction") == "maximize" else 1
    best, rows = math.nan, []
    base = {"run": run, "contestant": run.rpartition("-s")[0], "seed": int(run.rpartition("-s")[2])}
    for number, (value, given) in enumerate(zip(values, more, strict=True), start=1):
        found = math.nan if value is None else value
        is_best = not math.isnan(found) and not sign * found >= sign * best
        parent = number - 1 if number > 1 else None
        best = found if is_best else best
        row = {
            "trial": number, "source": "agent", "status": "crash" if value is None else "ok",
            "value": found, "best": best, "is_best": is_best, "kept": is_best, "parent": parent,
            "knobs_changed": "{}", "other_changes": False, "elapsed_seconds": 60.0 * number,
            "train_seconds": 50.0, "train_seconds_so_far": 50.0 * number,
        }  # fmt: skip
        rows.append(base | row | given)
    finite = [value for value in values if value is not None]
    told = base | {
        "kind": "agent", "task": "pystdlib", "metric": "val_bpb", "unit": "bits per byte",
        "direction": "minimize", "comparison": "pystdlib", "judged": True, "rehearsed": False,
        "trials": len(values), "first": finite[0] if finite else None,
        "best": min(finite, key=lambda value: sign * value) if finite else None,
    }  # fmt: skip
    return told | fields, rows


def context_of(
    runs: Sequence[tuple[dict[str, Any], list[dict[str, Any]]]],
    knobs: Sequence[dict[str, Any]] = (),
    settings: Settings | None = None,
) -> Context:
    """A context of runs made by `run_rows`."""
    trials = [row for _, rows in runs for row in rows]
    frames = tables([run for run, _ in runs], trials, knobs)
    names = frames.runs["contestant"].unique()
    return Context(
        "pystdlib", frames, dict.fromkeys(names, BLUE), settings or Settings(0, None, 500)
    )
