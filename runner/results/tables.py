"""The comparison as CSV files: runs, trials and self-reports.

A cell that an agent wrote may open in somebody's spreadsheet: text that a spreadsheet would run as
a formula is written with an apostrophe before it. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.records import TrialRecord, write_whole
from runner.results.claims import COLUMNS as CLAIM_COLUMNS
from runner.results.claims import Claim
from runner.results.reading import Run

FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
STATUSES = ("ok", "crash", "oom", "timeout", "pruned", "killed")

RUN_COLUMNS = (
    *("run_id", "contestant", "kind", "seed", "task", "trial_seconds", "budget", "rehearsed"),
    *("began_at", "ended_at"),
    *("ended_by", "cause", "trials", *STATUSES, "best_val_bpb", "best_trial", "best_claimed"),
    *("best_verified", "wall_seconds", "train_seconds", "requests", "tokens", "spent_usd"),
    *("rehearsed_usd", "self_reports", "problems"),
)
TRIAL_COLUMNS = (
    *("run_id", "contestant", "seed", "trial", "source", "status", "reason", "val_bpb"),
    *("train_seconds", "wall_seconds", "lease_wait_seconds", "queued_at", "started_at"),
    *("ended_at", "peak_memory_bytes", "exit_code", "parent", "commit", "sha256", "hypothesis"),
    *("category", "knobs", "knobs_changed", "other_changes", "rehearsed"),
)
EXPERIMENT_COLUMNS = ("run_id", "row", *CLAIM_COLUMNS, "other", "raw", "problem")


def write_tables(runs: Sequence[Run], folder: Path) -> None:
    """Write `runs.csv`, `trials.csv` and `experiments.csv`, each whole or not at all."""
    trials = (_trial_row(run, trial) for run in runs for trial in run.trials)
    experiments = (row for run in runs for row in _experiment_rows(run))
    _write(folder / "runs.csv", RUN_COLUMNS, map(_run_row, runs))
    _write(folder / "trials.csv", TRIAL_COLUMNS, trials)
    _write(folder / "experiments.csv", EXPERIMENT_COLUMNS, experiments)


def safe(cell: Any) -> Any:
    """The cell as a spreadsheet may see it.

    Source: OWASP, CSV Injection: leading = + - @ tab and carriage return.
    """
    if isinstance(cell, (dict, list, tuple)):
        cell = json.dumps(cell, ensure_ascii=False, default=str)
    if not isinstance(cell, str) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}" if FORMULA.match(cell) else cell


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: safe(cell) for name, cell in row.items()} for row in rows)
    clean = text.getvalue().encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    write_whole(path, clean)


def _run_row(run: Run) -> dict[str, Any]:
    best, claimed, result = run.best, run.claims.best() if run.claims else None, run.result
    verified = result.best_verified if result else None
    return {
        "run_id": run.run_id,
        "contestant": run.contestant,
        "kind": run.kind,
        "seed": run.seed,
        "task": run.task,
        "trial_seconds": "" if run.trial_seconds is None else run.trial_seconds,
        "budget": run.budget or "",
        "rehearsed": run.rehearsed,
        "began_at": result.began_at if result else "",
        "ended_at": result.ended_at if result else "",
        "ended_by": run.ended_by,
        "cause": result.cause if result else "",
        "trials": len(run.own_trials),
        **{status: run.count(status) for status in STATUSES},
        "best_val_bpb": best.val_bpb if best else "",
        "best_trial": best.trial if best else "",
        "best_claimed": claimed.val_bpb if claimed else "",
        "best_verified": verified.val_bpb if verified else "",
        "wall_seconds": round(run.wall_seconds, 3),
        "train_seconds": round(run.train_seconds, 3),
        "requests": len(run.usage),
        "tokens": sum(record.tokens for record in run.usage),
        "spent_usd": 0.0 if run.rehearsed else round(run.cost_usd, 6),
        "rehearsed_usd": round(run.cost_usd, 6) if run.rehearsed else 0.0,
        "self_reports": len(run.claims.rows) if run.claims else 0,
        "problems": "; ".join(run.all_problems),
    }


def _trial_row(run: Run, trial: TrialRecord) -> dict[str, Any]:
    fields = trial.model_dump(include=set(TRIAL_COLUMNS))
    return {"run_id": run.run_id, "contestant": run.contestant, "seed": run.seed} | fields


def _experiment_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Every self-report; a file of which nothing could be made is one row with the reason."""
    if run.claims is None:
        return
    for claim in run.claims.rows:
        yield _experiment_row(run, claim)
    if not run.claims.rows:
        yield {"run_id": run.run_id, "problem": "; ".join(run.claims.problems)}


def _experiment_row(run: Run, claim: Claim) -> dict[str, Any]:
    extra = {"raw": claim.raw, "problem": claim.problem}
    other = {"other": claim.other} if claim.other else {}
    return {"run_id": run.run_id, "row": claim.row} | claim.cells | other | extra
