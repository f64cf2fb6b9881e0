"""Opens the study of a run for reading: the copy of its journal, or the database that it is in.

Invariant: nothing is written. The journal of a run that goes on is copied into the run's directory
after each trial, so the study shown is never more than a trial, or a quarter of a minute, behind. A
database is asked in transactions that may not write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psycopg
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from runner.errors import UserError
from runner.records.layout import RunDir
from runner.samplers import searched_by
from runner.spec import RunSpec
from runner.storage import PASSWORD, read_storage

CONNECT_SECONDS = 10
STUDY = "bakeoff"  # what images/optimizer/search.py calls the study in a journal


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
            UserError: always.
        """
        raise UserError(f"changing {self._path}: it is only shown, so {len(logs)} changes are not")


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
    if spec.proposer is not None and searched_by(spec.proposer.method) == "texts":
        raise UserError(
            f"opening the study of {run_id}: {spec.proposer.method} searches whole texts, and has "
            "no study of Optuna",
            hint=f"{run_dir.texts.name} in the run's directory has what it tried; `make analyse` "
            "shows the trials of all kinds of runs",
        )
    if spec.storage is not None:
        return database(spec.storage, spec.storage_password)
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
    name = spec.study or STUDY
    try:
        return optuna.load_study(study_name=name, storage=study_storage(run_dir, spec))
    except KeyError:
        where = run_dir.study if spec.storage is None else spec.storage
        raise UserError(
            f"opening the study of {run_dir.path.name}: {where} holds no study {name!r}",
            hint="it is there after the first trial of a run",
        ) from None


def database(url: str, password: SecretStr | None) -> RDBStorage:
    """A database of studies, for reading alone, as this machine reaches it.

    Raises:
        UserError: it cannot be reached, refuses the user, or holds no studies.
    """
    place = read_storage(url)

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=place.host, port=place.port, user=place.user, dbname=place.database,
            password=password.get_secret_value() if password else None, sslmode=place.sslmode,
            connect_timeout=CONNECT_SECONDS, application_name="bakeoff, reading",
            options="-c default_transaction_read_only=on",
        )  # fmt: skip

    try:
        return RDBStorage(
            "postgresql+psycopg://",
            engine_kwargs={"creator": connect, "poolclass": NullPool},  # none stays open
            skip_table_creation=True,
        )
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ or error  # Optuna's own words would be about invalid data
        reason = " ".join(str(getattr(cause, "orig", None) or cause).split())
        raise UserError(
            f"opening the studies in {url}: {reason}",
            hint=f"this machine must reach the database too, with {PASSWORD} in .env",
        ) from error
