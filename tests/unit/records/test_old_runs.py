"""Directories of runs of schema version 1, made by the code of that time, are still read."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from rich.table import Table

from runner import ps
from runner.metrics import VAL_BPB
from runner.records import layout
from runner.records.files import append_line, read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import RunResult, TrialRecord, UsageRecord
from runner.records.upgrade import SCHEMA_VERSION, upgraded
from runner.results import write_results
from runner.results.summary import EXPLAIN_UNJUDGED
from runner.run.spent import last_spent
from runner.spec import read_spec
from runner.trials.ledger import Ledger

OLD_RUNS = Path(__file__).parents[2] / "fixtures" / "runs-v1"
NAMES = ("gpt-s1", "tpe-s1")
BEST = {"gpt-s1": (2.020507, 2), "tpe-s1": (2.913799, 1)}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a copy of the old runs, which a test may change."""
    return Path(shutil.copytree(OLD_RUNS, tmp_path / "runs"))


def raw_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def cells(table: Table) -> list[tuple[str, ...]]:
    return list(
        zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_record_of_an_old_run_is_read(runs: Path, name: str) -> None:
    """No line is lost, values are where they are now, and all else is as it was written."""
    run_dir = RunDir(runs / name)
    old = raw_lines(run_dir.trials)
    trials = list(read_lines(run_dir.trials, TrialRecord))
    assert [trial.value for trial in trials] == [line["val_bpb"] for line in old]
    assert {trial.schema_version for trial in trials} == {SCHEMA_VERSION}
    for trial, line in zip(trials, old, strict=True):
        new = trial.model_dump(mode="json", exclude={"value", "schema_version"}, exclude_unset=True)
        assert not trial.judged
        assert new == {k: v for k, v in line.items() if k not in ("val_bpb", "schema_version")}
    events = Journal(run_dir).events()
    assert len(events) == len(raw_lines(run_dir.events))
    finished = [event.fields["value"] for event in events if event.event == "trial.finished"]
    assert finished == [trial.value for trial in trials]
    usage = list(read_lines(run_dir.usage, UsageRecord))
    assert len(usage) == (33 if name == "gpt-s1" else 0)
    assert all(record.schema_version == 1 for record in usage)  # the gateway's have not changed


@pytest.mark.parametrize("name", NAMES)
def test_the_result_of_an_old_run_is_read(runs: Path, name: str) -> None:
    """It has the metric that all runs had then, and its best value and trial."""
    result = RunResult.model_validate_json((runs / name / "result.json").read_text())
    assert result.metric == VAL_BPB
    best = result.best_measured
    assert best is not None
    assert (best.value, best.trial) == BEST[name]


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_can_be_resumed_from_its_records(runs: Path, name: str) -> None:
    """Its spec, its ledger and what it had spent are there; new trials are added to its file."""
    run_dir = RunDir(runs / name)
    ended = RunResult.model_validate_json(run_dir.result.read_text())
    run_dir.result.unlink()
    spec = read_spec(runs, name)
    assert spec.metric == VAL_BPB
    assert spec.versions["data"]
    spent = last_spent(run_dir)
    for field in ("trials", "train_seconds", "usd", "tokens", "requests", "turns"):
        assert getattr(spent, field) == pytest.approx(getattr(ended.spent, field)), field
    assert spent.wall_seconds == pytest.approx(ended.spent.wall_seconds, abs=1.0)
    ledger = Ledger(run_dir, spec.metric)
    best = ledger.best_measured()
    assert best is not None
    assert (best.value, best.trial) == BEST[name]
    source = ledger.records[0].source
    ledger.append(TrialRecord(trial=7, source=source, request="r", status="ok", value=1.5))
    best = Ledger(run_dir, spec.metric).best_measured()
    assert best is not None
    assert (best.value, best.trial) == (1.5, 7)
    ledger.append(
        TrialRecord(trial=8, source=source, request="r", status="ok", value=2.5, judged=True)
    )
    best = ledger.best_measured()  # the judge's value alone counts, once there is one
    assert best is not None
    assert (best.value, best.trial) == (2.5, 8)


def test_old_runs_are_compared_and_listed(runs: Path, tmp_path: Path) -> None:
    """After a run of today, without a problem, best first, in a group of their own: unjudged."""
    new = RunDir(runs / "gp-s1")
    new.path.mkdir()
    spec = read_spec(runs, "tpe-s1").model_copy(update={"run_id": "gp-s1", "contestant": "gp"})
    new.spec.write_text(spec.model_dump_json())
    trial = TrialRecord(trial=1, source="sampler", request="r", status="ok", value=2.5, judged=True)
    append_line(new.trials, trial)
    rows = write_results(layout.run_folders(runs), tmp_path / "results")
    assert [(row.contestant, row.best_measured, row.best_claimed) for row in rows] == [
        ("gp", "2.5000", "–"), ("gpt", "2.0205 unjudged", "2.0205"),
        ("tpe", "2.9138 unjudged", "–"),
    ]  # fmt: skip
    assert [row.heading for row in rows] == ["pystdlib", *["pystdlib, unjudged"] * 2]
    page = (tmp_path / "results" / "summary.md").read_text()
    assert (
        page.index("## pystdlib\n") < page.index("| gp |") < page.index("## pystdlib, unjudged\n")
    )
    assert page.index("## pystdlib, unjudged\n") < page.index(EXPLAIN_UNJUDGED)
    with (tmp_path / "results" / "runs.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["problems"] for line in lines] == ["", "", ""]
    assert {line["metric"] for line in lines} == {"val_bpb"}
    with (tmp_path / "results" / "experiments.csv").open(newline="") as file:
        assert [line["value"] for line in csv.DictReader(file)][:2] == ["2.580414", "2.020507"]
    listed = ps.runs_table(runs)
    assert str(listed.columns[3].header) == "best val_bpb"
    assert [(row[0], row[2], row[3]) for row in cells(listed)] == [
        ("gp-s1", "1", "2.5000"), ("gpt-s1", "6", "2.0205 unjudged"),
        ("tpe-s1", "6", "2.9138 unjudged"),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, [1], "x", {"val_bpb": 1.0}, {"schema_version": 2}])
def test_what_is_no_record_of_version_1_is_left_as_it_is(body: object) -> None:
    """Whatever a line holds is judged by the record's own fields."""
    assert upgraded(body, {"metric"}) == body
