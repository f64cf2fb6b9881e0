"""All verdicts on a trial, in its record: of the judge's audits, of its time, and of its text."""

from __future__ import annotations

from runner.records.schema import TrialRecord
from runner.referee.audits import audit_verdicts
from runner.referee.reading import read_verdicts


def added(record: TrialRecord, train_py: str, pristine: str) -> TrialRecord:
    """The record with what was measured first, and what was read second.

    Args:
        record: the trial, with the verdicts that its time gave.
        train_py: its text.
        pristine: the task's own text.
    """
    measured = [*audit_verdicts(record), *record.verdicts]
    verdicts = [*measured, *read_verdicts(train_py, pristine)]
    return record.model_copy(update={"verdicts": verdicts})
