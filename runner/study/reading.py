"""Opens the study of a run for reading, from the copy of its journal in the run's directory.

Invariant: nothing is written. The journal of a run that goes on is copied there after each trial,
so the study shown is never more than a trial, or a quarter of a minute, behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

from runner.errors import UserError
from runner.records.layout import RunDir
from runner.spec import RunSpec

STUDY = "bakeoff"  # what images/optimizer/search.py calls the study in a journal


class ReadOnlyError(Exception):
    """Somebody tried to change a study that is only shown."""


class CopiedJournal(BaseJournalBackend):
    """A copy of an Optuna journal, which may grow or be replaced while it is read.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._count = -1

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The operations from a number on, up to the first that is damaged."""
        state = self._path.stat()
        seen = state.st_mtime_ns, state.st_size
        if log_number_from == self._count and seen == self._seen:
            return
        lines = self._path.read_bytes().split(b"\n")[:-1]
        for number, line in enumerate(lines[log_number_from:], start=log_number_from):
            try:
                operation = json.loads(line)
            except ValueError:
                return
            yield operation
            self._count = number + 1
        self._seen = seen

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write.

        Raises:
            ReadOnlyError: always.
        """
        raise ReadOnlyError(f"the study is only shown here: {len(logs)} changes were refused")


def study_storage(run_dir: RunDir, spec: RunSpec) -> BaseStorage:
    """The storage of a run's study.

    Raises:
        UserError: the run has no study.
    """
    run_id = run_dir.path.name
    if spec.kind != "baseline":
        raise UserError(
            f"opening the study of {run_id}: it is an agent's run, and only baselines have a study",
            hint="`make analyse` shows the trials of all kinds of runs",
        )
    if not run_dir.study.exists():
        raise UserError(
            f"opening the study of {run_id}: there is no {run_dir.study}",
            hint="it is there after the first trial of a run; earlier versions kept none",
        )
    return JournalStorage(CopiedJournal(run_dir.study))


def study_of(run_dir: RunDir, spec: RunSpec) -> optuna.Study:
    """A run's study.

    Raises:
        UserError: the run has no study, or its file holds none.
    """
    try:
        return optuna.load_study(study_name=STUDY, storage=study_storage(run_dir, spec))
    except KeyError:
        raise UserError(
            f"opening the study of {run_dir.path.name}: {run_dir.study} holds no study",
            hint="it is there after the first trial of a run",
        ) from None
