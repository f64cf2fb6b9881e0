"""Studies of Optuna, written by Optuna."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from runner.errors import UserError
from runner.imports.asked import Asked
from runner.imports.foreign import read_foreign
from runner.metrics import Direction
from tests.unit.imports.conftest import Read


def _objective(trial: Any) -> float:
    lr = trial.suggest_float("MATRIX_LR", 1e-3, 1e-1, log=True)
    trial.suggest_categorical("act", ["relu", "gelu"])
    trial.set_user_attr("note", "first" if trial.number == 0 else "later")
    if trial.number == 2:
        raise ValueError
    if trial.number == 3:
        trial.report(7.0, 1)
        raise optuna.TrialPruned
    return float(lr * 10 + trial.number)


def _study(storage: Any, name: str = "tpe-s1", direction: Direction = "minimize") -> Any:
    study = optuna.create_study(
        storage=storage, study_name=name, direction=direction,
        sampler=optuna.samplers.RandomSampler(seed=1),
    )  # fmt: skip
    study.optimize(_objective, n_trials=5, catch=(ValueError,))
    return study


STUDY = b'{"op_code": 0, "worker_id": "a", "study_name": "x", "directions": [1]}\n'


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _storage(path: Path, kind: str) -> Any:
    if kind == "journal":
        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    return optuna.storages.RDBStorage(f"sqlite:///{path}")


def _close(storage: Any) -> None:
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.engine.dispose()


@pytest.mark.parametrize(("kind", "layout"), [("journal", "Optuna, journal"),
                                              ("sqlite", "Optuna, SQLite")])  # fmt: skip
def test_all_studies_of_a_file(tmp_path: Path, kind: str, layout: str) -> None:
    """Values, states, settings and durations are Optuna's; the file stays as it was."""
    path = tmp_path / "study.db"
    storage = _storage(path, kind)
    study = _study(storage)
    _study(storage, "gp-s1", "maximize")
    study.ask()
    _close(storage)
    before = path.read_bytes()
    imported, trials = read_foreign(path, Asked())
    assert path.read_bytes() == before
    assert imported.format == layout
    assert [(run.contestant, run.metric.direction, run.metric.by) for run in imported.runs] == [
        ("tpe-s1", "minimize", "stated"),
        ("gp-s1", "maximize", "stated"),
    ]
    assert imported.rows == 11
    assert [each.reason for each in imported.left_out] == ["it is RUNNING"]
    own = [trial for trial in trials if trial.run == imported.runs[0].run]
    assert [trial.status for trial in own] == ["ok", "ok", "crash", "pruned", "ok"]
    assert [trial.value for trial in own] == [
        None if at in (2, 3) else study.trials[at].value for at in range(5)
    ]
    assert own[0].knobs == study.trials[0].params
    assert own[0].seconds == pytest.approx(study.trials[0].duration.total_seconds())
    assert own[0].at == study.trials[0].datetime_complete.isoformat()
    assert (own[0].other["note"], own[3].other["intermediate.1"]) == ("first", "7.0")


def test_a_journal_whose_writer_died(tmp_path: Path) -> None:
    """Its last line is cut; the trials before it are read."""
    path = tmp_path / "study.log"
    _study(_storage(path, "journal"))
    path.write_bytes(path.read_bytes()[:-9])
    _, trials = read_foreign(path, Asked())
    assert len(trials) >= 4


def test_several_objectives(tmp_path: Path) -> None:
    """The first one is read and that is said; another one may be asked for by its name."""
    path = tmp_path / "study.log"
    study = optuna.create_study(
        storage=_storage(path, "journal"), directions=["minimize", "maximize"]
    )
    study.optimize(lambda trial: (trial.number + 0.5, trial.number * 2.0), n_trials=2)
    imported, trials = read_foreign(path, Asked())
    assert [trial.value for trial in trials] == [0.5, 1.5]
    assert [trial.other["value_1"] for trial in trials] == ["0.0", "2.0"]
    assert any("2 objectives: the first" in each for each in imported.assumed)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_named_objectives(tmp_path: Path) -> None:
    """A name that the study does not have is an error that tells those it has."""
    path = tmp_path / "study.log"
    study = optuna.create_study(
        storage=_storage(path, "journal"), directions=["minimize", "maximize"]
    )
    study.set_metric_names(["loss", "acc"])
    study.optimize(lambda trial: (trial.number + 0.5, trial.number * 2.0), n_trials=2)
    imported, trials = read_foreign(path, Asked(metric="acc"))
    assert [trial.value for trial in trials] == [0.0, 2.0]
    assert imported.runs[0].metric.name == "acc"
    assert imported.runs[0].metric.direction == "maximize"
    with pytest.raises(UserError, match="none called 'f1'") as failed:
        read_foreign(path, Asked(metric="f1"))
    assert "loss, acc" in failed.value.hint


def test_an_exported_table(read: Read) -> None:
    """`trials_dataframe().to_csv()`: settings, states and durations; no direction is in it."""
    study = _study(None)
    imported, trials = read(study.trials_dataframe().to_csv(), name="study.csv")
    assert [trial.status for trial in trials] == ["ok", "ok", "crash", "pruned", "ok"]
    assert trials[0].value == study.trials[0].value
    assert set(trials[0].knobs) == {"act", "matrix_lr"}
    assert trials[0].at == study.trials[0].datetime_complete.isoformat()
    assert trials[0].seconds == pytest.approx(study.trials[0].duration.total_seconds(), abs=1e-5)
    assert all(trial.kept is None for trial in trials)
    assert imported.runs[0].metric.column == "value"


@pytest.mark.parametrize(
    "content",
    [
        b"SQLite format 3\0" + b"\0" * 4000,
        b"SQLite format 3\0" + bytes(range(256)) * 16,
        b'{"op_code": 4, "worker_id": "a"}\n',
        b'{"op_code": 99, "worker_id": "a", "study_id": 0}\n',
        b'{"op_code": 0, "worker_id": "a", "study_name": "x", "directions": [7]}\n',
        b'{"op_code": 0, "worker_id": "a"}\nnot json\n{"op_code": 0}\n',
        STUDY + b'{"op_code": 4, "worker_id": "a", "study_id": 0, "state": 1, "values": "x"}\n',
        STUDY + b'{"op_code": 4, "worker_id": "a", "study_id": 0, "state": 99}\n',
    ],
)
def test_a_broken_file_is_an_error_with_a_hint(read: Read, content: bytes) -> None:
    """No file makes it fail in another way."""
    with pytest.raises(UserError, match=r"Optuna cannot read it|there is no study") as failed:
        read(content, name="study.db")
    assert len(failed.value.message) < 400


def test_a_database_of_something_else(tmp_path: Path) -> None:
    """It holds no study of Optuna."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table people (name text)")
    connection.close()
    with pytest.raises(UserError, match=r"no study in it|cannot read it"):
        read_foreign(path, Asked())
