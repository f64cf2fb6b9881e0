"""Files of ended runs that a crash cut, and results that cannot be written: said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import HostError
from runner.records.files import append_line, to_json
from runner.records.schema import Event, TrialRecord, UsageRecord
from runner.results import write_results
from runner.results.reading import read_run
from tests.run_results import WHEN, run_result


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of an ended run with two lines in each file of records."""
    path = tmp_path / "runs" / "gpt-s1"
    path.mkdir(parents=True)
    result = run_result("gpt-s1")
    (path / "spec.json").write_text(to_json(result))
    (path / "result.json").write_text(to_json(result))
    for number in (1, 2):
        trial = TrialRecord(
            trial=number, source="agent", request=f"r{number}", status="ok", value=2.5, judged=True
        )
        append_line(path / "trials.jsonl", trial)
        usage = UsageRecord(at=WHEN, request=str(number), provider="openai", model="m")
        append_line(path / "usage.jsonl", usage)
        append_line(path / "events.jsonl", Event(at=WHEN, event="trial.finished"))
    return path


@pytest.mark.parametrize("name", ["trials.jsonl", "usage.jsonl", "events.jsonl"])
def test_a_last_line_that_is_cut_is_said_of_a_run_that_ended(run: Path, name: str) -> None:
    """Nobody will finish the line, so what it held is lost; the page says so."""
    assert read_run(run).problems == ()
    with (run / name).open("a") as file:
        file.write('{"trial": 3, "at": "20')
    said = f"{name}: the last of 3 lines is cut off, and what it held is lost"
    assert read_run(run).problems == (said,)
    results = run.parents[1] / "results"
    write_results([run], results)
    assert f"- gpt-s1: {said}" in (results / "summary.md").read_text()
    assert said in (results / "runs.csv").read_text()
    (run / "result.json").unlink()
    assert read_run(run).problems == ()


def test_a_whole_last_line_needs_no_line_feed(run: Path) -> None:
    """Only what cannot be read is lost."""
    for name in ("trials.jsonl", "usage.jsonl", "events.jsonl"):
        (run / name).write_bytes((run / name).read_bytes().rstrip())
    assert read_run(run).problems == ()
    assert len(read_run(run).trials) == 2


@pytest.mark.parametrize(
    "name", ["spec.json", "trials.jsonl", "usage.jsonl", "events.jsonl", "result.json"]
)
def test_a_directory_in_a_files_place_is_named_and_stops_no_other_run(
    run: Path, tmp_path: Path, name: str
) -> None:
    """The run's row says which file it is; the other run is compared as ever."""
    broken = run.with_name("tpe-s1")
    broken.mkdir()
    (broken / name).mkdir()
    rows = write_results([broken, run], tmp_path / "results")
    assert {Path(row.files).name: row.best_measured for row in rows} == {
        "gpt-s1": "2.5000",
        "tpe-s1": "–",
    }
    said = read_run(broken).problems
    assert f"{name}: is a directory, where a run writes a file" in said
    assert "Errno" not in "".join(said)


@pytest.mark.parametrize("name", ["summary.md", "runs.csv", "convergence.png"])
def test_results_that_cannot_be_written_are_named(run: Path, tmp_path: Path, name: str) -> None:
    """A directory where a result belongs: the error names it, and has no number."""
    (tmp_path / "results" / name).mkdir(parents=True)
    with pytest.raises(HostError, match=name) as raised:
        write_results([run], tmp_path / "results")
    assert "Errno" not in raised.value.message


def test_a_file_in_the_place_of_the_results_is_named(run: Path, tmp_path: Path) -> None:
    """No folder can be made there: an error for people."""
    (tmp_path / "results").write_text("")
    with pytest.raises(HostError, match="results") as raised:
        write_results([run], tmp_path / "results")
    assert "Errno" not in raised.value.message
