"""What is looked at before a run: each finding is true, and nothing is started or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import preflight
from runner.engine import Engine, check_version
from runner.errors import EngineError, HostError, UserError
from runner.layout import RunDir

NOWHERE = "tcp://127.0.0.1:1"


def test_a_new_run_is_let_through(tmp_path: Path) -> None:
    """An id that nobody has is free, and stays so."""
    preflight.check_new(RunDir(tmp_path / "gpt-s1"))
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_not_overwritten(run_dir: RunDir) -> None:
    """The hint says how to go on with it and how to start anew."""
    with pytest.raises(UserError, match="gpt-s1: that run exists") as caught:
        preflight.check_new(run_dir)
    for way in ("make resume RUN=gpt-s1", "another SEED", "make clean-runs RUN=gpt-s1"):
        assert way in caught.value.hint


def test_a_finished_run_is_not_overwritten(run_dir: RunDir) -> None:
    """A run that is done is not offered to be resumed."""
    run_dir.result.write_text("{}")
    with pytest.raises(UserError, match="that run is done") as caught:
        preflight.check_new(run_dir)
    assert "resume" not in caught.value.hint
    assert run_dir.result.read_text() == "{}"


def test_room_on_the_disk_is_looked_for_where_the_runs_will_be(tmp_path: Path) -> None:
    """A folder that is not there yet is judged by the disk that it would be on."""
    preflight.check_disk(tmp_path / "not" / "there" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused() -> None:
    """Where nothing is free nothing is begun: /proc is a file system without any room."""
    with pytest.raises(HostError, match=r"0\.0 GB are free") as caught:
        preflight.check_disk(Path("/proc/runs"))
    assert "make room" in caught.value.hint


@pytest.mark.parametrize("version", ["19.03.15", "20.9.1", "1.13"])
def test_an_engine_that_is_too_old_is_refused(version: str) -> None:
    """The error names its version, the hint the oldest that will do."""
    with pytest.raises(EngineError, match=version) as caught:
        check_version(version)
    assert "20.10" in caught.value.hint


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "27.0.1", "29.1", "dev", "", "v"])
def test_a_newer_or_unreadable_version_passes(version: str) -> None:
    """Only what is surely too old is refused."""
    check_version(version)


def test_the_doctor_says_that_there_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing engine is a finding with a hint, and no error of the doctor's."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    found = {row.what: row for row in preflight.doctor({"OPENAI_API_KEY": "sk-secret"}, tmp_path)}
    assert found["disk for records"].ok
    assert not found["engine"].ok
    assert "DOCKER_HOST" in found["engine"].said


def test_an_engine_that_does_not_answer_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine nothing begins; the hint says how to get one."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    with pytest.raises(EngineError, match="none answers") as caught:
        Engine.connect()
    assert "make setup" in caught.value.hint
