"""A run that went on without a proof of its lock is called unsafe wherever it is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import pytest
from rich.console import Console

from runner import ps
from runner.cli.printing import print_result, print_rows
from runner.records.containment import Containment, Finding
from runner.records.files import to_json
from runner.records.layout import RunDir
from runner.results import frames, write_results
from runner.results.figure import STYLE, figure_of
from runner.results.reading import read_run
from runner.watch.followed import Followed
from runner.watch.panels import view
from tests.run_results import run_result
from tests.unit.results.runs import Make, table, trial

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = Finding(role="agent", attack="sockets", probe="vsock", outcome="broken")
EXPLAINED = "its lock was not shown to hold"


def prove(path: Path, *findings: Finding, unsafe: bool = False) -> None:
    """Put a proof into a run's directory."""
    found = Containment(
        proved_at="", part="quick", key="k", images={}, configurations={}, findings=findings,
        unsafe=unsafe,
    )  # fmt: skip
    RunDir(path).containment.write_text(to_json(found))


@pytest.fixture
def runs(make: Make) -> list[Path]:
    """An unsafe run, one whose lock held, one that was refused, and one without any proof."""
    made = [make(f"gpt-s{seed}", [trial(0, 2.5 + seed / 10)]) for seed in range(1, 5)]
    prove(made[0], BROKEN, unsafe=True)
    prove(made[1])
    prove(made[2], BROKEN)
    return made


def test_the_tables_say_what_was_found_of_a_lock(runs: list[Path], tmp_path: Path) -> None:
    """Of a run without a proof nothing is claimed."""
    write_results(runs, tmp_path / "results")
    for name in ("runs.csv", "trials.csv"):
        found = [line["containment"] for line in table(tmp_path / "results" / name)]
        assert found == ["unsafe", "held", "refused", "not proved"]


def test_the_page_marks_an_unsafe_run(runs: list[Path], tmp_path: Path) -> None:
    """In its row, with a sentence that says what it means; no page of other runs has that."""
    write_results(runs, tmp_path / "results")
    page = (tmp_path / "results" / "summary.md").read_text()
    assert page.count("gpt (unsafe)") == 1
    assert "`UNSAFE=1`" in page
    write_results(runs[1:], tmp_path / "results")
    assert "nsafe" not in (tmp_path / "results" / "summary.md").read_text()


def test_the_figure_names_it(runs: list[Path]) -> None:
    """In the legend, beside whatever else is to be known of the run."""
    with matplotlib.rc_context(STYLE):
        legend = figure_of([read_run(path) for path in runs]).axes[-1].get_legend()
    assert legend is not None
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["gpt-s1 (unsafe)", "gpt-s2", "gpt-s3", "gpt-s4"]


def test_the_comparison_on_a_terminal_marks_it(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a line below that says what the mark means, which other comparisons do not have."""
    print_rows(write_results(runs, tmp_path / "results"))
    printed = capsys.readouterr().out
    assert "gpt-s1 !" in printed
    assert "gpt-s2 !" not in printed
    assert f"! unsafe: {EXPLAINED}" in printed
    print_rows(write_results(runs[1:], tmp_path / "results"))
    assert EXPLAINED not in capsys.readouterr().out


@pytest.mark.parametrize("unsafe", [False, True])
def test_the_end_of_a_run_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unsafe: bool
) -> None:
    """Whoever started it reads it once more."""
    print_result(tmp_path, run_result("gpt-s1", unsafe=unsafe))
    assert (EXPLAINED in capsys.readouterr().out.replace("\n", " ")) == unsafe


def test_the_analysis_knows_it(runs: list[Path]) -> None:
    """As a column of the table of runs."""
    found = frames(runs).runs
    assert list(found["unsafe"]) == [True, False, False, False]


def test_the_list_of_runs_says_it(runs: list[Path]) -> None:
    """Before the state of the run."""
    states = list(ps.runs_table(runs[0].parent, NOW).columns[1].cells)
    assert states[0] == "unsafe, ended by trials"
    assert states[1:] == ["ended by trials"] * 3


def test_the_live_view_says_it(runs: list[Path]) -> None:
    """On its first line."""
    for path, is_unsafe in zip(runs, (True, False, False, False), strict=True):
        run = Followed(RunDir(path))
        run.look(NOW)
        console = Console(width=100, force_terminal=False)
        with console.capture() as captured:
            console.print(view(run, (), NOW, 100, 20))
        assert ("unsafe, ended" in captured.get()) == is_unsafe


def test_a_result_keeps_the_label_without_the_proof(runs: list[Path]) -> None:
    """Whoever takes the proof out of a run's directory does not take the label away."""
    result = run_result("gpt-s1", unsafe=True)
    RunDir(runs[0]).result.write_text(to_json(result))
    RunDir(runs[0]).containment.unlink()
    assert read_run(runs[0]).unsafe


def test_a_proof_that_cannot_be_read_is_a_problem(runs: list[Path]) -> None:
    """It is named, and nothing is claimed of the run."""
    RunDir(runs[1]).containment.write_text(json.dumps({"findings": 1}))
    run = read_run(runs[1])
    assert run.containment == "not proved"
    assert [problem for problem in run.problems if "containment.json" in problem]
