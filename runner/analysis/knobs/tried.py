"""The knobs of every trial: those that a request named, and those that an agent's text had.

An agent hands in a text, and the ledger has what differs from the best trial before. Its knobs are
rebuilt from these differences, from the pristine train.py on. Changes of code are not knobs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from runner.analysis.report import Context
from runner.results.dataframes import KNOB_DTYPES, Frames
from runner.tasks import Knob, load_space, load_task, task_names


def search_space(context: Context) -> Mapping[str, Knob]:
    """The search space of the task; empty of a task that is not ours."""
    tasks = {str(task) for task in context.frames.runs["task"].dropna()}
    names = tasks & set(task_names())
    return load_space(load_task(names.pop())) if len(names) == 1 == len(tasks) else {}


def tried(frames: Frames, ranges: Mapping[str, Knob]) -> pd.DataFrame:
    """The knobs of all trials, in the columns of `Frames.knobs`; a knob of a trial is one row.

    Args:
        frames: the tables.
        ranges: the search space, whose defaults are those of the pristine train.py.
    """
    given = frames.knobs.drop_duplicates(["run", "trial", "knob"], keep="last")
    named = set(given["run"].unique())
    rows: list[dict[str, Any]] = []
    defaults = {name: knob.default for name, knob in ranges.items()}
    for run, trials in frames.trials.groupby("run", sort=False):
        if run not in named:
            rows += _rebuilt(str(run), trials, defaults)
    if not rows:
        return given
    rebuilt = pd.DataFrame(rows, columns=list(KNOB_DTYPES)).astype(KNOB_DTYPES)
    return pd.concat([given, rebuilt], ignore_index=True)


def _rebuilt(run: str, trials: pd.DataFrame, defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The knobs of a run that named none; no rows if none of its trials changed one."""
    changes = [
        (int(number), None if pd.isna(parent) else int(parent), _changed(text))
        for number, parent, text in trials[["trial", "parent", "knobs_changed"]]
        .sort_values("trial")
        .itertuples(index=False)
    ]
    if not any(changed for _, _, changed in changes):
        return []
    pristine: dict[str, Any] = {}
    for _, _, changed in changes:
        pristine = {name: old for name, (old, _) in changed.items()} | pristine
    pristine |= defaults
    of_trial: dict[int | None, dict[str, Any]] = {None: pristine}
    for number, parent, changed in changes:
        new = {name: value for name, (_, value) in changed.items()}
        of_trial[number] = of_trial.get(parent, pristine) | new
    return [
        _row(run, number, name, value)
        for number, knobs in of_trial.items()
        if number is not None
        for name, value in knobs.items()
    ]


def _changed(text: Any) -> dict[str, tuple[Any, Any]]:
    """Knob → (value before, value now) of a cell of `knobs_changed`; empty if it has no such."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {
        str(name): (pair[0], pair[1])
        for name, pair in pairs
        if isinstance(pair, list) and len(pair) == 2
    }


def _row(run: str, trial: int, name: str, value: Any) -> dict[str, Any]:
    number = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )
    text = value if isinstance(value, str) else json.dumps(value)
    cells = {"run": run, "trial": trial, "knob": name, "text": text}
    return cells | {"number": float(value) if number else None}
