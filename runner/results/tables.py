"""The comparison as CSV files: runs, trials, self-reports and how true those are.

Each file may hold runs of several metrics: `metric` names the one that a row's values are of.

A cell that an agent wrote may be opened in a spreadsheet: text that a spreadsheet would run as a
formula is written with an apostrophe before it. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import filterfalse
from pathlib import Path
from typing import Any, get_args

from runner.claims.claim import Claim
from runner.claims.words import COLUMNS_AFTER, COLUMNS_BEFORE
from runner.records.files import write_whole
from runner.records.schema import TrialRecord, TrialStatus
from runner.results.reading import Run

# What begins a formula; spreadsheets of East Asia take the full-width signs too.
STARTS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
QUOTES = frozenset("\"'`\u201e\u201a")  # and all that Unicode calls an initial or a final quote
STATUSES: tuple[TrialStatus, ...] = get_args(TrialStatus)

RUN_COLUMNS = (
    *("run_id", "contestant", "kind", "seed", "task", "trial_seconds", "budget", "rehearsed"),
    *("containment", "began_at", "ended_at", "ended_by", "cause", "trials", *STATUSES, "proposals"),
    *("metric", "unit", "direction", "best_value", "best_trial", "best_claimed"),
    *(
        "judged",
        "best_verified",
        "verified_sd",
        "verified_test",
        "gain_sigmas",
        "standing",
        "without_memory",
        "wall_seconds",
        "train_seconds",
        "device_seconds",
        "requests",
        "tokens",
        "spent_usd",
    ),
    *("rehearsed_usd", "compute_usd_per_hour", "compute_usd", "total_usd"),
    *("self_reports", "problems"),
)
TRIAL_COLUMNS = (
    *("run_id", "contestant", "seed", "trial", "source", "status", "reason", "metric"),
    *("value", "train_seconds", "wall_seconds", "lease_wait_seconds", "queued_at", "started_at"),
    *("judged", "judge_seed", "declared_seconds", "scoring_seconds", "disturbed"),
    *("ended_at", "peak_memory_bytes", "exit_code", "parent", "commit", "sha256", "hypothesis"),
    *("category", "knobs", "knobs_changed", "other_changes", "rehearsed", "proposed_by"),
    *("containment",),
)
OF_THE_LEDGER = tuple(name for name in TRIAL_COLUMNS if name in TrialRecord.model_fields)
EXPERIMENT_COLUMNS = (
    *("run_id", "row", "line", *COLUMNS_BEFORE, "metric", "value", *COLUMNS_AFTER),
    *("other", "raw", "problem"),
)
FIDELITY_COLUMNS = (
    *("run_id", "row", "trial", "verdict", "metric", "claimed", "measured", "difference"),
    *("matched_by", "claimed_status", "trial_status"),
)


def write_tables(runs: Sequence[Run], folder: Path) -> None:
    """Write `runs.csv`, `trials.csv`, `experiments.csv` and `fidelity.csv`, each whole or not."""
    trials = (_trial_row(run, trial) for run in runs for trial in run.trials)
    experiments = (row for run in runs for row in _experiment_rows(run))
    _write(folder / "runs.csv", RUN_COLUMNS, map(_run_row, runs))
    _write(folder / "trials.csv", TRIAL_COLUMNS, trials)
    _write(folder / "experiments.csv", EXPERIMENT_COLUMNS, experiments)
    findings = (row for run in runs for row in _fidelity_rows(run))
    _write(folder / "fidelity.csv", FIDELITY_COLUMNS, findings)


def safe(cell: Any) -> Any:
    """The cell as a spreadsheet may see it: with an apostrophe before what may be a formula.

    Source: OWASP, CSV Injection: leading = + - @ tab and carriage return, their full-width forms,
    and the same behind quotes. A program that reads a cell may also drop blanks and what nobody
    sees (a byte order mark, a mark of direction) from its beginning.
    """
    if isinstance(cell, (dict, list, tuple)):
        cell = json.dumps(cell, ensure_ascii=False, default=str)
    if not isinstance(cell, str) or not _may_be_formula(cell) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def _may_be_formula(cell: str) -> bool:
    """Whether a sign that begins a formula comes first, but for blanks, quotes and the unseen."""
    if cell[:1] in ("\t", "\r", "\n"):
        return True
    return next(filterfalse(_is_passed_over, cell), "") in STARTS


def _is_quote(char: str) -> bool:
    return char in QUOTES or unicodedata.category(char) in ("Pi", "Pf")


def _is_passed_over(char: str) -> bool:
    return char.isspace() or not char.isprintable() or _is_quote(char)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([safe(row.get(name, "")) for name in columns] for row in rows)
    write_whole(path, text.getvalue())


def _run_row(run: Run) -> dict[str, Any]:
    best, result = run.best, run.result
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
        "containment": run.containment,
        "began_at": result.began_at if result else "",
        "ended_at": result.ended_at if result else "",
        "ended_by": run.ended_by,
        "cause": result.cause if result else "",
        "trials": len(run.own_trials),
        **{status: run.count(status) for status in STATUSES},
        "proposals": run.proposals or "",
        "metric": run.metric.name,
        "unit": run.metric.unit,
        "direction": run.metric.direction,
        "best_value": best.value if best else "",
        "best_trial": best.trial if best else "",
        "best_claimed": "" if run.claimed_value is None else run.claimed_value,
        "judged": run.judged,
        "best_verified": verified.value if verified else "",
        **_referee_cells(run),
        "wall_seconds": round(run.wall_seconds, 3),
        "train_seconds": round(run.train_seconds, 3),
        "device_seconds": round(run.device_seconds, 3),
        "requests": len(run.usage),
        "tokens": sum(record.tokens for record in run.usage),
        "spent_usd": 0.0 if run.rehearsed else round(run.cost_usd, 6),
        "rehearsed_usd": round(run.cost_usd, 6) if run.rehearsed else 0.0,
        "compute_usd_per_hour": _dollars(run.compute_usd_per_hour),
        "compute_usd": _dollars(run.compute_usd),
        "total_usd": _dollars(run.total_usd),
        "self_reports": len(run.claims.rows) if run.claims else 0,
        "problems": "; ".join(run.all_problems),
    }


def _dollars(usd: float | None) -> float | str:
    return "" if usd is None else round(usd, 6)


def _referee_cells(run: Run) -> dict[str, Any]:
    """What the referee found about the run's best text, and the gain against the task's noise."""
    found, gain = run.verified, run.gain
    return {
        "verified_sd": "" if found is None or found.sd is None else found.sd,
        "verified_test": "" if found is None or found.test_mean is None else found.test_mean,
        "gain_sigmas": gain.sigmas if gain else "",
        "standing": gain.standing if gain else "",
        "without_memory": found.memory.state if found else "",
    }


def _trial_row(run: Run, trial: TrialRecord) -> dict[str, Any]:
    fields = {name: getattr(trial, name) for name in OF_THE_LEDGER}
    named = {"run_id": run.run_id, "contestant": run.contestant, "seed": run.seed}
    proposed_by = trial.proposal.by if trial.proposal else ""
    of_run = {"metric": run.metric.name, "containment": run.containment}
    return named | of_run | {"proposed_by": proposed_by} | fields


def _experiment_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Every self-report, and what was not understood of the file, with the reason."""
    if run.claims is None:
        return
    named = {"run_id": run.run_id, "metric": run.metric.name}
    for claim in run.claims.rows:
        yield named | _experiment_row(run, claim)
    for line in run.claims.unread:
        yield named | {"line": line.line, "raw": line.raw, "problem": line.reason}
    if not run.claims.rows and not run.claims.unread:
        yield named | {"problem": "; ".join(run.claims.problems)}


def _experiment_row(run: Run, claim: Claim) -> dict[str, Any]:
    name = run.metric.name
    cells = {"value" if column == name else column: cell for column, cell in claim.cells.items()}
    other = {"other": claim.other} if claim.other else {}
    return {"row": claim.row, "line": claim.line, "problem": claim.problem} | cells | other


def _fidelity_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Every row of a log and every trial without one, and what came of it."""
    for finding in run.fidelity.findings if run.fidelity else ():
        fields = {name: value for name, value in vars(finding).items() if value is not None}
        renamed = {"by": "matched_by", "said": "claimed_status", "status": "trial_status"}
        named = {renamed.get(name, name): value for name, value in fields.items()}
        yield {"run_id": run.run_id, "metric": run.metric.name} | named
