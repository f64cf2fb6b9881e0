"""The knobs of each trial of a run: those that a sampler gave, or those that the ledger tells.

The ledger has no knobs of an agent's trial, but it says what each text changed against its parent.
Followed from the pristine train.py on, these changes give the settings of every trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from runner.errors import UserError
from runner.records.schema import TrialRecord
from runner.tasks import load_space, load_task


def settings(task: str, trials: Sequence[TrialRecord]) -> dict[int, dict[str, Any]]:
    """Trial → knob → value, of the trials of one run in their order.

    An agent's trials have the knobs of the task's search space and those that a trial of the run
    changed. Where a text could not be compared with its parent, the parent's settings stand.

    Args:
        task: its name; one that is no longer there has no search space.
        trials: the contestant's own.
    """
    start = _defaults(task) | _before_changes(trials)
    found: dict[int, dict[str, Any]] = {}
    for trial in trials:
        parent = found.get(trial.parent, start) if trial.parent is not None else start
        changed = {name: new for name, (_, new) in trial.knobs_changed.items()}
        found[trial.trial] = trial.knobs or parent | changed
    return found


def _before_changes(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Knob → its value in the pristine text: the old value of the first change of it."""
    values: dict[str, Any] = {}
    for trial in trials:
        for name, (old, _) in trial.knobs_changed.items():
            values.setdefault(name, old)
    return values


@cache
def _defaults(task: str) -> dict[str, Any]:
    try:
        return {name: knob.default for name, knob in load_space(load_task(task)).items()}
    except UserError:
        return {}
