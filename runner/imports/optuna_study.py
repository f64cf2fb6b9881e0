"""Studies of Optuna in its own files, a journal or an SQLite database, read by Optuna itself.

It reads a copy: Optuna may write to a file that it opens. A study becomes a run, and the study's
name its contestant. Optuna is imported here only, and only once such a file was seen.
"""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.claims.layouts import LINE_END
from runner.errors import UserError
from runner.imports.asked import Asked
from runner.imports.runs import Key, gather
from runner.imports.source import MAX_ROWS, SQLITE, Source
from runner.imports.statuses import figure_of
from runner.metrics import Direction
from runner.records.imported import ForeignMetric, Imported, ImportedTrial, LeftOut
from runner.records.schema import TrialStatus

_STATUSES: dict[str, TrialStatus] = {"COMPLETE": "ok", "PRUNED": "pruned", "FAIL": "crash"}


def is_storage(data: bytes) -> bool:
    """Whether a file is a database, or a journal: its first line is an operation of a worker."""
    if data.startswith(SQLITE):
        return True
    first = data[:100_000].partition(b"\n")[0]
    try:
        said = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "op_code" in said and "worker_id" in said


def read_storage(source: Source, asked: Asked, name: str) -> tuple[Imported, list[ImportedTrial]]:
    """All studies of a file.

    Raises:
        UserError: Optuna is not installed, it cannot read the file, or no study is in it.
    """
    is_database = source.data.startswith(SQLITE)
    layout = f"Optuna, {'SQLite' if is_database else 'journal'}"
    rows: list[tuple[Key, ImportedTrial]] = []
    left: list[LeftOut] = []
    metrics: dict[str, ForeignMetric] = {}
    assumed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bakeoff-import-") as folder, _explained(source.path):
        copy = Path(folder) / "study"
        copy.write_bytes(source.data if is_database else _whole_lines(source.data))
        for study in _studies(copy, is_database=is_database):
            name_of_study = str(study.study_name)
            at, metrics[name_of_study] = _metric(study, asked, assumed)
            contestant = "" if asked.contestant else name_of_study
            key = Key(contestant, "", "", name_of_study, name_of_study)
            own, others = _trials(study, at)
            rows += [(key, trial) for trial in own]
            left += others
    if not metrics:
        raise UserError(f"importing {source.path}: there is no study in it")
    if len(rows) > MAX_ROWS:
        raise UserError(f"importing {source.path}: it has more than {MAX_ROWS} trials")
    runs, trials, said_of_runs = gather(rows, metrics, asked, name)
    return Imported(
        name=name,
        source=source.path.name,
        sha256=source.sha256,
        format=layout,
        rows=len(trials) + sum(each.row for each in left),
        runs=runs,
        assumed=[*assumed, *said_of_runs],
        left_out=left,
    ), trials


def _whole_lines(data: bytes) -> bytes:
    """A journal up to its last whole line: a writer may have died in the middle of one."""
    return data[: data.rfind(b"\n") + 1]


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a file from a stranger can make Optuna and SQLAlchemy raise into one error.

    Raises:
        UserError: Optuna is not installed, or cannot read the file.
    """
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise UserError(
            f"importing {path}: it is a study of Optuna, and Optuna is not installed",
            hint="use `make import`, which installs it, or `scripts/setup analysis`",
        ) from error
    errors = (optuna.exceptions.OptunaError, SQLAlchemyError, AssertionError, AttributeError,
              LookupError, RuntimeError, TypeError, ValueError)  # fmt: skip
    try:
        yield
    except errors as error:
        reason = LINE_END.split(str(error))[0][:200] or type(error).__name__
        raise UserError(
            f"importing {path}: Optuna cannot read it: {reason}",
            hint="export the study with study.trials_dataframe().to_csv(…), and import that",
        ) from error


def _studies(copy: Path, *, is_database: bool) -> list[Any]:
    """All studies of a file, with their trials in memory."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage: Any = (
            optuna.storages.RDBStorage(f"sqlite:///{copy}")
            if is_database
            else optuna.storages.JournalStorage(JournalFileBackend(str(copy)))
        )
        names = [each.study_name for each in storage.get_all_studies()]
        studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
        for study in studies:
            study.get_trials(deepcopy=False)
        if is_database:
            storage.engine.dispose()
    return studies


def _trials(study: Any, at: int) -> tuple[list[ImportedTrial], list[LeftOut]]:
    """The trials of a study that have ended, and those that have not."""
    every = study.get_trials(deepcopy=False)
    ended = [_trial(trial, at) for trial in every if trial.state.name in _STATUSES]
    left = [
        LeftOut(line=0, raw=f"trial {trial.number} of {study.study_name}",
                reason=f"it is {trial.state.name}")
        for trial in every if trial.state.name not in _STATUSES
    ]  # fmt: skip
    if not every:
        reason = "a study without trials"
        left.append(LeftOut(line=0, raw=str(study.study_name), reason=reason, row=False))
    return ended, left


def _metric(study: Any, asked: Asked, assumed: list[str]) -> tuple[int, ForeignMetric]:
    """Which of a study's objectives is read, and what it is called."""
    names: Sequence[str] = study.metric_names or []
    at = 0
    if asked.metric:
        if names and asked.metric not in names:
            raise UserError(
                f"choosing the metric: {study.study_name} has none called {asked.metric!r}",
                hint=f"its metrics: {', '.join(names)}",
            )
        at = names.index(asked.metric) if names else 0
    name = names[at] if names else asked.metric or "value"
    directions = study.directions
    if len(directions) > 1 and not asked.metric:
        assumed.append(
            f"{study.study_name} has {len(directions)} objectives: the first was taken for the "
            "metric"
        )
    direction: Direction = "minimize" if directions[at].name == "MINIMIZE" else "maximize"
    if asked.direction is not None:
        return at, ForeignMetric(name=name, direction=asked.direction, by="asked")
    return at, ForeignMetric(name=name, direction=direction, by="stated")


def _trial(trial: Any, at: int) -> ImportedTrial:
    status = _STATUSES[trial.state.name]
    values = trial.values or []
    value = values[at] if status == "ok" and at < len(values) else None
    attributes = {**trial.user_attrs, **{f"system.{k}": v for k, v in trial.system_attrs.items()}}
    other = {key: _text(value) for key, value in attributes.items()}
    other |= {f"value_{index}": repr(each) for index, each in enumerate(values) if index != at}
    other |= {f"intermediate.{step}": repr(each) for step, each in
              trial.intermediate_values.items()}  # fmt: skip
    duration = trial.duration
    return ImportedTrial(
        run="",
        trial=0,
        status=status,
        said=trial.state.name,
        value=None if value is None else figure_of(repr(value)),
        seconds=None if duration is None else duration.total_seconds(),
        at=_moment(trial.datetime_complete),
        knobs={name: _plain(value) for name, value in trial.params.items()},
        other={"number": str(trial.number), **other},
    )


def _moment(at: datetime | None) -> str:
    """When a trial ended. Optuna writes the clock of the place, which the import keeps."""
    if at is None:
        return ""
    return (at if at.tzinfo is None else at.astimezone(UTC)).isoformat()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    """A setting as JSON has it; an infinity as its name."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
