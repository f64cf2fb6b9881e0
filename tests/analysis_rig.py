"""Made-up runs, and stand-ins for reports, for the tests of what an analysis writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Drawing

from runner.analysis.report import Context, Figure, Finding, Report, Settings, Table
from runner.metrics import VAL_BPB, Metric
from runner.records.files import append_line
from runner.records.schema import Spent, TrialRecord
from runner.results.dataframes import (
    KNOB_DTYPES,
    REQUEST_DTYPES,
    RUN_DTYPES,
    TRIAL_DTYPES,
    Frames,
)
from tests.run_results import run_result

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "$x^2$ \\input{/etc/passwd}",
    "=cmd|' /C calc'!A0",
    "a|b & [c](http://evil.example) `d`",
    "Ünïcode 模型 🚀",
    "turned \u202e around",
    "{{ 7 * 7 }} {% raw %} \\end{tabular}",
    "100 % of_it #1 ^~ 'a' && \"b\"",
)


def frames(runs: Sequence[dict[str, Any]], trials: Sequence[dict[str, Any]] = ()) -> Frames:
    """Tables with these rows; a run that says nothing else is a judged run of pystdlib."""
    usual = {
        "contestant": "tpe", "kind": "baseline", "seed": 1, "task": "pystdlib",
        "metric": "val_bpb", "unit": "bits per byte", "direction": "minimize",
        "comparison": "pystdlib, val_bpb (lower is better)", "judged": True, "rehearsed": False,
        "trial_seconds": 60.0, "budget": '{"trials": 3}', "budget_share": 1.0, "trials": 3,
        "best": 2.0, "problems": 0, "path": "",
    }  # fmt: skip
    of_trials = {"contestant": "tpe", "seed": 1, "source": "sampler", "status": "ok"}
    return Frames(
        _table([usual | run for run in runs], RUN_DTYPES),
        _table([of_trials | trial for trial in trials], TRIAL_DTYPES),
        _table([], KNOB_DTYPES),
        _table([], REQUEST_DTYPES),
    )


def _table(rows: list[dict[str, Any]], dtypes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def context(*runs: dict[str, Any], trials: Sequence[dict[str, Any]] = ()) -> Context:
    """The comparison that these runs make."""
    made = frames(runs, trials)
    return Context(str(made.runs["comparison"].iloc[0]), made, {}, Settings())


def write_run(
    folder: Path,
    run_id: str,
    values: Sequence[float | None],
    metric: Metric = VAL_BPB,
    *,
    each: Sequence[dict[str, Any]] = (),
    **of: Any,
) -> Path:
    """A directory of a run as the runner writes it; a trial without a value has crashed.

    Args:
        folder: of the runs.
        run_id: of this one.
        values: of its trials.
        metric: of the values.
        each: further fields of each trial's record; without them, none.
        of: fields of its result.
    """
    path = folder / run_id
    path.mkdir(parents=True)
    best = min((value for value in values if value is not None), default=None)
    result = run_result(
        "tpe-s1", kind="baseline", metric=metric, budget={"trials": len(values)},
        spent=Spent(trials=len(values), wall_seconds=60.0 * len(values)),
        best_measured=None if best is None else {"value": best, "trial": 1},
    ).model_copy(update={"run_id": run_id, **of})  # fmt: skip
    (path / "result.json").write_text(result.model_dump_json())
    fields = ("run_id", "contestant", "kind", "seed", "task", "metric", "rehearsed", "budget")
    (path / "spec.json").write_text(result.model_dump_json(include=set(fields)))
    for number, value in enumerate(values, start=1):
        record = TrialRecord(
            trial=number, source="sampler", request=f"r{number}", value=value, judged=True,
            status="crash" if value is None else "ok", train_seconds=60.0,
        ).model_copy(update=each[number - 1] if each else {})  # fmt: skip
        append_line(path / "trials.jsonl", record)
    return path


def stand_in(context: Context) -> Report:
    """A report with everything that a report can have, about the names of the contestants."""
    rows = context.frames.runs[["contestant", "run", "best", "seed"]].reset_index(drop=True)
    drawn = Drawing((5, 3))
    axes = drawn.subplots()
    for name, best in zip(rows["contestant"], rows["best"], strict=True):
        axes.plot([1, 2], [best, best], label=str(name), color=context.colours[str(name)])
    axes.set_ylabel(context.label)
    axes.legend()
    first = context.contestants[0]
    return Report(
        name="search",
        title="Search",
        tables=(Table("best", f"Best of {first}", rows, (f"A note on {first}.",)),),
        figures=(Figure("curve", "Best so far", drawn, f"About {first}.", f"A line: {first}."),),
        findings=(
            Finding(f"{first} is best.", "best", len(rows)),
            Finding("Whether it stays so cannot be told: one seed.", "curve", 1, told=False),
        ),
        left_out=(f"{first}: a reason",),
    )
