"""A row an experiment: what it changed, whether it was kept, and what it gained.

An experiment is a trial that follows a first, unchanged one (the baseline); a run without such a
baseline has an experiment a trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from runner.analysis.changes import changed_knobs
from runner.analysis.strategy.categories import Change, Rules, rules
from runner.analysis.strategy.texts import changed_lines, text_before
from runner.results.dataframes import Frames

DTYPES = {
    "run": "string", "contestant": "string", "kind": "string", "trial": "Int64", "number": "int64",
    "value": "float64", "best": "float64", "kept": "bool", "failed": "bool", "gain": "float64",
    "labels": "object", "primary": "string", "own": "string", "read_from": "string",
    "key": "string", "repeat": "bool", "step": "float64", "small": "bool",
}  # fmt: skip
_KNOWN_UNCHANGED = "nothing"


class _Trial(NamedTuple):
    """The columns of `Frames.trials` that are read here; unknown text is empty."""

    trial: int
    status: str
    reason: str
    value: float
    best: float
    is_best: bool
    kept: bool
    parent: int | None
    change: str
    category: str
    knobs_changed: str
    other_changes: bool
    text: str


def experiments(frames: Frames, sign: int) -> pd.DataFrame:
    """All experiments of all runs, in their order, by `DTYPES`.

    `number` counts the experiments of a run from 1. `gain` is by how much a new best beat the best
    before, and NaN where there is none. `labels` is a tuple, the first of which is `primary`; both
    are empty where nothing is known of the change, and "other" where no rule knows it. `own` is the
    label that the contestant's own word means. `repeat` tells that the run has tried the same
    change before.

    Args:
        frames: the tables, cut to one comparison.
        sign: 1 where less is better, -1 where more is.
    """
    knobs = _knobs(frames)
    kinds = dict(zip(frames.runs["run"], frames.runs["kind"], strict=True))
    rows: list[dict[str, Any]] = []
    for run, trials in frames.trials.groupby("run", sort=False):
        name = str(trials["contestant"].iloc[0])
        for row in _of_run(_Reader(trials, knobs.get(str(run), {}), rules()), sign):
            rows.append({"run": run, "contestant": name, "kind": kinds.get(run, ""), **row})
    return pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)


def _of_run(reader: _Reader, sign: int) -> Iterator[dict[str, Any]]:
    """The experiments of a run."""
    tried: set[str] = set()
    best, number = math.nan, 0
    for at, trial in enumerate(reader.trials):
        change = reader.change(at)
        gain = sign * (best - trial.value) if trial.is_best else math.nan
        best = trial.best
        if at == 0 and _is_baseline(trial, change):
            continue
        number += 1
        labels = change.labels
        yield {
            "trial": trial.trial, "number": number, "value": trial.value, "best": trial.best,
            "kept": trial.kept, "failed": trial.status != "ok" or math.isnan(trial.value),
            "gain": gain, "labels": labels, "primary": change.primary,
            "own": reader.rules.of_own(trial.category), "read_from": change.read_from,
            "key": change.key, "repeat": bool(change.key) and change.key in tried,
            "step": change.step, "small": change.small,
        }  # fmt: skip
        tried.add(change.key)


def _is_baseline(trial: _Trial, change: Change) -> bool:
    """Whether a run's first trial is its train.py as it was, or said to be so."""
    said = f"{trial.reason} {trial.category} {trial.change}".lower()
    return change.key in ("", _KNOWN_UNCHANGED) or "baseline" in said


class _Reader:
    """Tells what each trial of one run changed, from the best source that there is."""

    def __init__(
        self, trials: pd.DataFrame, knobs: Mapping[int, Mapping[str, Any]], of: Rules
    ) -> None:
        self.rules = of
        cells = trials[list(_Trial._fields)].astype(object)
        rows = cells.where(cells.notna(), None).to_dict("records")
        self.trials = [_trial(row) for row in rows]
        self._knobs = knobs
        self._paths = {trial.trial: Path(trial.text) for trial in self.trials if trial.text}
        self._kept: Mapping[str, Any] = {}  # the knobs of the last kept trial of an import

    def change(self, at: int) -> Change:
        """The change of the trial at a place; asked for in order."""
        trial = self.trials[at]
        changed = changed_knobs(trial.knobs_changed)
        if trial.text or changed:
            if not trial.other_changes:
                return self.rules.of_knobs(changed)
            if found := self._from_texts(at, changed):
                return found
            found = self.rules.of_knobs(changed) if changed else self.rules.of_words(trial.change)
            return replace(found, numbers_only=False)
        found, moved = self.rules.of_words(trial.change), self._moved(trial)
        return found if found.labels not in ((), ("other",)) or not moved else moved

    def _moved(self, trial: _Trial) -> Change | None:
        """The change of an import's trial, by its knobs against those of the last kept one."""
        before, now = self._kept, self._knobs.get(trial.trial, {})
        if trial.kept or not before:
            self._kept = now or before
        changed = {
            name: (before[name], value)
            for name, value in now.items()
            if name in before and before[name] != value
        }
        return self.rules.of_knobs(changed) if before and now else None

    def _from_texts(self, at: int, knobs: Mapping[str, tuple[Any, Any]]) -> Change | None:
        """The change by the lines that differ, or None if one of the texts is not there."""
        trial = self.trials[at]
        after, before = self._text(trial.trial), self._before(at)
        if after is None or before is None:
            return None
        return self.rules.of_lines(changed_lines(before, after), knobs)

    def _before(self, at: int) -> str | None:
        """The text that a trial started from: its parent's, or what its diff was made against."""
        trial = self.trials[at]
        if trial.parent is not None:
            return self._text(trial.parent)
        after, path = self._text(trial.trial), self._paths.get(trial.trial)
        patch = _read(path.with_name("diff.patch")) if path else None
        found = text_before(after, patch) if after and patch else None
        if found is None and at > 0:
            return self._text(self.trials[at - 1].trial)
        return found

    def _text(self, trial: int) -> str | None:
        return _read(self._paths[trial]) if trial in self._paths else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _trial(row: dict[Any, Any]) -> _Trial:
    """A row of `Frames.trials` with plain values; what is not known is None."""
    known = {name: cell for name, cell in row.items() if cell is not None}

    def text(name: str) -> str:
        return str(known.get(name, ""))

    return _Trial(
        trial=int(known.get("trial", 0)),
        status=text("status"),
        reason=text("reason"),
        value=float(known.get("value", math.nan)),
        best=float(known.get("best", math.nan)),
        is_best=bool(known.get("is_best", False)),
        kept=bool(known.get("kept", False)),
        parent=int(known["parent"]) if "parent" in known else None,
        change=text("change"),
        category=text("category"),
        knobs_changed=text("knobs_changed"),
        other_changes=bool(known.get("other_changes", False)),
        text=text("text"),
    )


def _knobs(frames: Frames) -> dict[str, dict[int, dict[str, Any]]]:
    """Run → trial → knob → value, of the imported runs, which say nothing else of a change."""
    imported = set(frames.runs.loc[frames.runs["kind"] == "imported", "run"])
    knobs = frames.knobs[frames.knobs["run"].isin(imported)]
    found: dict[str, dict[int, dict[str, Any]]] = {}
    columns = (knobs[name] for name in ("run", "trial", "knob", "number", "text"))
    for run, trial, knob, number, text in zip(*columns, strict=True):
        value = text if pd.isna(number) else float(number)
        found.setdefault(str(run), {}).setdefault(int(trial), {})[str(knob)] = value
    return found
