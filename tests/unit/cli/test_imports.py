"""The command that brings in results made elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from runner import cli

LOG = "iteration\tval_loss\tstatus\tdescription\n1\t2.5\tkeep\t[bold]base[/]\n2\t2.75\tdiscard\tx\n"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bakeoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Runs `bakeoff` in an empty directory: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def running(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bakeoff", "--runs", str(tmp_path / "runs"), *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield running
    structlog.reset_defaults()


def test_what_was_read_is_printed_and_kept(bakeoff: Command, tmp_path: Path) -> None:
    """A line a contestant, what was assumed, and the folder beside the runs."""
    (tmp_path / "log.tsv").write_text(LOG + "a note\n")
    code, out, _ = bakeoff("import", "log.tsv", "--as", "theirs")
    assert code == 0
    assert "theirs: log.tsv, read as table with tabs: 2 rows, 2 of them trials" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("theirs "))
    assert row == ["theirs", "1", "2", "2", "val_loss", "lower", "(name)", "2.5"]
    assert "assumed: the values are in the column 'val_loss': by its name" in out
    assert "left out: 1: 1 cells for 4 columns" in out
    kept = json.loads((tmp_path / "imports/theirs/import.json").read_text())
    assert (kept["name"], kept["rows"]) == ("theirs", 2)


def test_what_is_asked_for_is_not_assumed(bakeoff: Command, tmp_path: Path) -> None:
    """Metric, direction, contestant and task."""
    (tmp_path / "log.tsv").write_text(LOG)
    code, out, _ = bakeoff(
        *("import", "log.tsv", "--metric", "val_loss", "--direction", "max"),
        *("--contestant", "them", "--task", "glyphs"),
    )
    assert code == 0
    assert "higher (asked)" in out
    kept = json.loads((tmp_path / "imports/log/import.json").read_text())
    assert [(run["contestant"], run["task"]) for run in kept["runs"]] == [("them", "glyphs")]


def test_a_file_without_experiments_says_so(bakeoff: Command, tmp_path: Path) -> None:
    """It is kept with all of its lines left out."""
    (tmp_path / "notes.tsv").write_text("one\ttwo\nx\ty\n")
    code, out, _ = bakeoff("import", "notes.tsv")
    assert (code, "no row of it is an experiment" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.tsv",), "there is no such file"),
        ((".",), "it is no file"),
        (("log.tsv", "--metric", "speed"), "there is no column 'speed'"),
        (("log.tsv", "--direction", "up"), "'up' is neither minimize nor maximize"),
        (("log.tsv", "--as", "../out"), "is no name for a folder"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    bakeoff: Command, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """The exit code is 2, and nothing is written."""
    (tmp_path / "log.tsv").write_text(LOG)
    code, _, err = bakeoff("import", *arguments)
    assert code == 2
    assert message in err
    assert err.splitlines()[1].startswith("hint: ")
    assert not (tmp_path / "imports").exists()
