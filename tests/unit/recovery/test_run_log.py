"""What a run logs stays with it, whoever reads it on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.records.layout import RunDir
from runner.recovery import run_log


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_lines_go_to_the_run_while_it_runs(run_dir: RunDir) -> None:
    """Neither those before it nor those after it."""
    run_log.keep(None, "info", {"event": "before"})
    with run_log.kept(run_dir):
        fields = {"event": "trial.finished", "value": 2.5, "path": Path("/a"), "text": "é\ud800"}
        assert run_log.keep(None, "info", fields) is fields
    run_log.keep(None, "info", {"event": "after"})
    (line,) = lines(run_dir.log)
    assert line.pop("at")
    assert line == {"event": "trial.finished", "value": 2.5, "path": "/a", "text": "é?"}


def test_a_later_life_goes_on_in_the_same_file(run_dir: RunDir) -> None:
    """A resumed run has one log."""
    for event in ("run.started", "run.resumed"):
        with run_log.kept(run_dir):
            run_log.keep(None, "info", {"event": event})
    assert [line["event"] for line in lines(run_dir.log)] == ["run.started", "run.resumed"]


def test_a_log_is_bounded(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of days keeps its last lines."""
    monkeypatch.setattr(run_log, "MAX_BYTES", 1000)
    with run_log.kept(run_dir):
        for number in range(200):
            run_log.keep(None, "info", {"event": f"event {number}"})
    files = sorted(run_dir.path.glob("run.log*"))
    assert [path.name for path in files] == ["run.log", "run.log.1"]
    assert sum(path.stat().st_size for path in files) <= 2000
    assert lines(run_dir.log)[-1]["event"] == "event 199"


def test_a_log_that_cannot_be_written_ends_nothing(run_dir: RunDir) -> None:
    """A folder lies in its place."""
    run_dir.log.mkdir()
    with run_log.kept(run_dir):
        fields = {"event": "trial.finished"}
        assert run_log.keep(None, "info", fields) is fields
