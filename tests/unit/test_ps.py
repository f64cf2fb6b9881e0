"""What there is, as far as it can be told without an engine."""

from __future__ import annotations

from pathlib import Path

from runner import ps
from runner.cli import contest
from runner.records import layout
from runner.records.journal import Journal
from runner.records.layout import RunDir


def test_a_folder_that_is_not_there_has_no_runs(tmp_path: Path) -> None:
    """Before the first run there is nothing to list, and no folder is made."""
    assert layout.run_folders(tmp_path / "runs") == []
    assert list(tmp_path.iterdir()) == []


def test_runs_are_listed_by_name(tmp_path: Path) -> None:
    """Files and hidden folders are no runs."""
    for name in ("tpe-s1", "gpt-s1", ".aside"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in layout.run_folders(tmp_path)] == ["gpt-s1", "tpe-s1"]


def test_a_free_seed_is_free_for_all(tmp_path: Path) -> None:
    """The seed is the first that none of the contestants has used."""
    for name in ("gpt-s1", "tpe-s2", "opus-s3"):
        (tmp_path / name).mkdir()
    assert contest.free_seed(tmp_path, ("gpt", "tpe")) == 3
    assert contest.free_seed(tmp_path, ("sonnet",)) == 1


def test_no_word_of_an_agent_steers_a_terminal(run_dir: RunDir) -> None:
    """Escape sequences in a hypothesis do not get through to whoever reads the log."""
    Journal(run_dir).write("trial.queued", hypothesis="\x1b]52;c;aGk=\x07 hot\u009b2J")
    line = ps.printable(ps.event_line(Journal(run_dir).events()[0]))
    assert "hot" in line
    assert line.isprintable()
