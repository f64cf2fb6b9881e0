"""Runs and imported results as tidy tables for analysis and notebooks. It needs pandas.

`read` gives five tables. A column has one type in all of them, and what is not known is NaN, NA or
an empty text. Times are in seconds, money is in US dollars. docs/analysis.md explains the columns.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from runner.records.files import read_lines
from runner.records.imported import (
    IMPORT_FILE,
    TRIALS_FILE,
    Imported,
    ImportedRun,
    ImportedTrial,
)
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.records.verification import read_retest
from runner.referee.noise import NoiseFile
from runner.results.derived import CostSoFar, budget_share, kept_by_row
from runner.results.folders import named_folders
from runner.results.reading import Run, read_run
from runner.results.settings import settings

RUN_DTYPES = {
    "run": "string", "contestant": "string", "kind": "string", "model": "string", "seed": "Int64",
    "task": "string", "metric": "string", "unit": "string", "direction": "string",
    "comparison": "string", "judged": "boolean", "rehearsed": "boolean", "unsafe": "boolean",
    "ended_by": "string",
    "cause": "string", "began_at": "string", "trial_seconds": "float64", "budget": "string",
    "budget_share": "float64", "trials": "Int64", "wall_seconds": "float64",
    "train_seconds": "float64", "device_seconds": "float64", "compute_usd_per_hour": "float64",
    "usd": "float64", "tokens": "Int64", "requests": "Int64",
    "turns": "Int64", "first": "float64", "best": "float64", "claimed": "float64",
    "verified": "float64", "verified_sd": "float64", "noise_sd": "float64", "problems": "Int64",
    "path": "string",
}  # fmt: skip
TRIAL_DTYPES = {
    "run": "string", "contestant": "string", "seed": "Int64", "trial": "Int64", "source": "string",
    "status": "string", "reason": "string", "value": "float64", "best": "float64",
    "is_best": "boolean", "kept": "boolean", "parent": "Int64", "change": "string",
    "category": "string", "knobs_changed": "string", "other_changes": "boolean",
    "commit": "string", "sha256": "string", "elapsed_seconds": "float64",
    "train_seconds": "float64", "train_seconds_so_far": "float64",
    "device_seconds_so_far": "float64", "usd_so_far": "float64",
    "disturbed": "boolean", "proposed_by": "string", "text": "string",
}  # fmt: skip
KNOB_DTYPES = {"run": "string", "trial": "Int64", "knob": "string", "number": "float64",
               "text": "string"}  # fmt: skip
RETEST_DTYPES = {"run": "string", "trial": "Int64", "times": "float64", "seed": "Int64",
                 "status": "string", "value": "float64"}  # fmt: skip
REQUEST_DTYPES = {"run": "string", "elapsed_seconds": "float64", "model": "string",
                  "tokens": "Int64", "usd": "float64"}  # fmt: skip


@dataclass(frozen=True)
class Frames:
    """Five tables; `run` joins them.

    Attributes:
        runs: a row a run, by `RUN_DTYPES`.
        trials: a row a trial of the contestant's own, in order, by `TRIAL_DTYPES`.
        knobs: a row a knob of a trial, by `KNOB_DTYPES`.
        requests: a row a request to a model, by `REQUEST_DTYPES`.
        problems: what could not be read, a sentence each.
        retests: a row a longer training of a run's best text, by `RETEST_DTYPES`.
    """

    runs: pd.DataFrame
    trials: pd.DataFrame
    knobs: pd.DataFrame
    requests: pd.DataFrame
    problems: tuple[str, ...] = ()
    retests: pd.DataFrame = field(default_factory=lambda: _table([], RETEST_DTYPES))


def read(paths: Path | Iterable[Path], noise: NoiseFile | None = None) -> Frames:
    """The tables of run directories, of imports, and of folders that hold such.

    Two runs of one name, from two folders, have the names of their folders before their own.

    Args:
        paths: one or more of them; what is named twice is read once.
        noise: the noise of tasks, as far as it was measured.

    Raises:
        UserError: one of the paths is neither, nor a folder of them.
    """
    rows = _Rows()
    named = named_folders([paths] if isinstance(paths, Path) else paths)
    with _without_collecting():
        for name, folder in named.items():
            if (folder / IMPORT_FILE).is_file():
                rows.add_import(folder, name)
            else:
                rows.add_run(read_run(folder, noise), name)
        return rows.frames()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Records refer to each other in no circle; to look for one takes an eighth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Rows:
    """Collects the rows of all tables."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.trials: list[dict[str, Any]] = []
        self.knobs: dict[str, list[Any]] = {name: [] for name in KNOB_DTYPES}
        self.requests: list[dict[str, Any]] = []
        self.retests: list[dict[str, Any]] = []
        self.problems: list[str] = []

    def frames(self) -> Frames:
        return Frames(
            _table(self.runs, RUN_DTYPES), _table(self.trials, TRIAL_DTYPES),
            _table(self.knobs, KNOB_DTYPES), _table(self.requests, REQUEST_DTYPES),
            tuple(self.problems), _table(self.retests, RETEST_DTYPES),
        )  # fmt: skip

    def add_run(self, run: Run, run_name: str) -> None:
        result, verified = run.result, run.verified
        began = _moment(result.began_at if result else "") or _first_moment(run.own_trials)
        trials = sorted(run.own_trials, key=lambda trial: trial.trial)
        values = [run.value(trial) for trial in trials]
        spent = result.spent if result else None
        self.runs.append(
            {
                "run": run_name, "contestant": run.contestant, "kind": run.kind,
                "model": run.usage[-1].model if run.usage else "", "seed": run.seed,
                "task": run.task, "metric": run.metric.name, "unit": run.metric.unit,
                "direction": run.metric.direction,
                "comparison": f"{run.heading}, {run.metric.name} ({run.metric.lower} is better)",
                "judged": run.judged, "rehearsed": run.rehearsed, "unsafe": run.unsafe,
                "ended_by": run.ended_by,
                "cause": result.cause if result else "",
                "began_at": result.began_at if result else "",
                "trial_seconds": run.trial_seconds, "budget": json.dumps(run.budget),
                "budget_share": budget_share(run), "trials": len(trials),
                "wall_seconds": run.wall_seconds, "train_seconds": run.train_seconds,
                "device_seconds": run.device_seconds,
                "compute_usd_per_hour": run.compute_usd_per_hour,
                "usd": run.cost_usd, "tokens": sum(one.tokens for one in run.usage),
                "requests": len(run.usage), "turns": spent.turns if spent else None,
                "first": next((value for value in values if value is not None), None),
                "best": run.best_value, "claimed": run.claimed_value,
                "verified": run.verified_value, "verified_sd": verified.sd if verified else None,
                "noise_sd": run.noise.sd if run.noise else None,
                "problems": len(run.all_problems), "path": str(run.path),
            }
        )  # fmt: skip
        self.problems += [f"{run_name}: {problem}" for problem in run.problems]
        self._add_requests(run, run_name, began)
        self._add_retests(run, run_name)
        said, knobs = kept_by_row(run), settings(run.task, trials)
        best, seconds, held = None, 0.0, 0.0
        usd, folder = CostSoFar(run), RunDir(run.path)
        for trial, value in zip(trials, values, strict=True):
            is_best = value is not None and (best is None or run.metric.better(value, best))
            best = value if is_best else best
            seconds += trial.train_seconds
            held += trial.wall_seconds
            self.trials.append(
                {
                    "run": run_name, "contestant": run.contestant, "seed": run.seed,
                    "trial": trial.trial, "source": trial.source, "status": trial.status,
                    "reason": trial.reason, "value": value, "best": best, "is_best": is_best,
                    "kept": said.get(trial.trial, is_best), "parent": trial.parent,
                    "change": trial.hypothesis, "category": trial.category,
                    "knobs_changed": json.dumps(trial.knobs_changed),
                    "other_changes": trial.other_changes, "commit": trial.commit,
                    "sha256": trial.sha256,
                    "elapsed_seconds": _since(began, trial.ended_at),
                    "train_seconds": trial.train_seconds, "train_seconds_so_far": seconds,
                    "device_seconds_so_far": held,
                    "usd_so_far": usd.until(trial.ended_at), "disturbed": trial.disturbed,
                    "proposed_by": trial.proposal.by if trial.proposal else "",
                    "text": str(folder.trial(trial.trial) / "train.py"),
                }
            )  # fmt: skip
            self._add_knobs(run_name, trial.trial, knobs[trial.trial])

    def _add_knobs(self, run_name: str, trial: int, knobs: Mapping[str, Any]) -> None:
        """A row a knob; they are most of all rows, so they are kept by column."""
        numbers, texts = self.knobs["number"], self.knobs["text"]
        for value in knobs.values():
            number, text = _cells(value)
            numbers.append(number)
            texts.append(text)
        self.knobs["run"] += [run_name] * len(knobs)
        self.knobs["trial"] += [trial] * len(knobs)
        self.knobs["knob"] += knobs

    def _add_requests(self, run: Run, run_name: str, began: datetime | None) -> None:
        self.requests += [
            {
                "run": run_name, "elapsed_seconds": _since(began, one.at), "model": one.model,
                "tokens": one.tokens, "usd": one.cost_usd,
            }
            for one in run.usage
        ]  # fmt: skip

    def _add_retests(self, run: Run, run_name: str) -> None:
        longer = read_retest(RunDir(run.path)).trainings
        best = run.best if longer else None
        self.retests += [
            {
                "run": run_name, "trial": best.trial if best else None,
                "times": one.times, "seed": one.seed, "status": one.record.status,
                "value": run.value(one.record),
            }
            for one in longer
            if one.sha256 == (best.sha256 if best else "")
        ]  # fmt: skip

    def add_import(self, folder: Path, name: str) -> None:
        """Its runs; an import that cannot be read becomes a problem."""
        try:
            imported = Imported.model_validate_json((folder / IMPORT_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            self.problems.append(f"{name}: {IMPORT_FILE} cannot be read: {error}")
            return
        trials: dict[str, list[ImportedTrial]] = {run.run: [] for run in imported.runs}
        for trial in read_lines(folder / TRIALS_FILE, ImportedTrial):
            if trial.run in trials:
                trials[trial.run].append(trial)
        for run in imported.runs:
            self._add_foreign(folder, f"{name}/{run.run}", run, trials[run.run])

    def _add_foreign(
        self, folder: Path, name: str, run: ImportedRun, trials: list[ImportedTrial]
    ) -> None:
        sign = 1 if run.metric.direction == "minimize" else -1
        began = _moment(next((trial.at for trial in trials if trial.at), ""))
        best, seconds, usd = math.nan, 0.0, 0.0
        for trial in trials:
            value = math.nan if trial.value is None or trial.status != "ok" else trial.value
            is_best = not math.isnan(value) and not sign * value >= sign * best
            best = value if is_best else best
            seconds += trial.seconds or 0.0
            usd += trial.usd or 0.0
            self.trials.append(
                {
                    "run": name, "contestant": run.contestant, "seed": run.seed,
                    "trial": trial.trial, "source": "imported", "status": trial.status,
                    "reason": trial.said, "value": value, "best": best, "is_best": is_best,
                    "kept": is_best if trial.kept is None else trial.kept,
                    "change": trial.change, "category": trial.category, "commit": trial.commit,
                    "sha256": "",
                    "knobs_changed": "{}", "elapsed_seconds": _since(began, trial.at),
                    "train_seconds": trial.seconds, "train_seconds_so_far": seconds or None,
                    "usd_so_far": usd or None, "proposed_by": "", "text": "",
                }
            )  # fmt: skip
            self._add_knobs(name, trial.trial, trial.knobs)
        values = [one.value for one in trials if one.status == "ok" and one.value is not None]
        self.runs.append(
            {
                "run": name, "contestant": run.contestant, "kind": "imported", "model": "",
                "seed": run.seed, "task": run.task, "metric": run.metric.name, "unit": "",
                "direction": run.metric.direction,
                "comparison": f"{run.task or folder.name}, imported, {run.metric.name} "
                f"({'lower' if sign > 0 else 'higher'} is better)",
                "judged": False, "rehearsed": False, "unsafe": False, "ended_by": "", "cause": "",
                "began_at": next((trial.at for trial in trials if trial.at), ""),
                "budget": "{}", "trials": len(trials), "train_seconds": seconds or None,
                "usd": usd or None, "first": values[0] if values else None,
                "best": min(values, key=lambda value: sign * value) if values else None,
                "problems": 0, "path": str(folder),
            }
        )  # fmt: skip


def _table(rows: Sequence[Any] | dict[str, list[Any]], dtypes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _cells(value: Any) -> tuple[float | None, str]:
    """A knob's value as a number, if it is one, and as text."""
    if isinstance(value, str):
        return None, value
    if type(value) in (int, float) and math.isfinite(value):
        return float(value), repr(value)  # as JSON has it, and faster
    return None, json.dumps(value)


def _moment(at: str) -> datetime | None:
    try:
        return datetime.fromisoformat(at)
    except ValueError:
        return None


def _first_moment(trials: Iterable[TrialRecord]) -> datetime | None:
    return min(filter(None, (_moment(trial.queued_at) for trial in trials)), default=None)


def _since(began: datetime | None, at: str) -> float | None:
    """Seconds from the beginning to a moment; None where one of them is not known."""
    moment = _moment(at)
    if began is None or moment is None or (began.tzinfo is None) != (moment.tzinfo is None):
        return None
    return (moment - began).total_seconds()
