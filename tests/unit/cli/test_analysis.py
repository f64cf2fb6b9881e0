"""`bakeoff analyse`: what it prints, and what it says when it cannot work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.analysis.run import Analysis
from runner.cli import app
from runner.cli.analysis import print_analysis
from tests.analysis_rig import HOSTILE, context, write_run


def bakeoff(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    """Run the command in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["bakeoff", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return ended.value.code


def test_runs_are_analysed_into_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without arguments all runs are read, and the files lie beside the comparison."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0])
    assert bakeoff(monkeypatch, "--runs", tmp_path / "runs", "analyse") == 0
    assert (tmp_path / "results/analysis/index.html").is_file()
    said = capsys.readouterr().out
    assert "pystdlib, val_bpb (lower is better)" in said
    assert "index.html" in said.replace("\n", "")  # a long path is wrapped
    assert "one seed only" in " ".join(said.split())


def test_without_runs_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written then."""
    assert not bakeoff(monkeypatch, "--runs", tmp_path / "runs", "analyse")
    assert "make demo" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


def test_a_path_that_is_no_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with a hint, and with the exit code of wrong input."""
    assert bakeoff(monkeypatch, "analyse", tmp_path / "none", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "there is no run and no import" in said
    assert "hint: " in said


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that installs it, and without a traceback."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0])
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("runner.analysis")]:
        monkeypatch.delitem(sys.modules, name)
    assert bakeoff(monkeypatch, "--runs", tmp_path / "runs", "analyse") == 2
    said = capsys.readouterr().err
    assert "analysing: there is no jinja2" in said
    assert "make analyse" in said


def test_hostile_findings_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """No name is markup of the terminal."""
    from runner.analysis.comparison import Comparison, Section
    from runner.analysis.report import Finding

    texts = [*HOSTILE[:4], "[red]not red[/] [/]"]
    section = Section("search", "Search", findings=tuple(Finding(it, "best", 3) for it in texts))
    made = Comparison(context({"run": "a-s1"}), "x", "index.html", (), (section,), ("[b]bad",))
    print_analysis(Analysis(Path("out"), (made,), ("[/]torn",)))
    said = " ".join(capsys.readouterr().out.split())
    assert "[red]not red[/] [/]" in said
    assert "not made: [b]bad" in said
    assert "could not be read: [/]torn" in said
