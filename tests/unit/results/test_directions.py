"""Tables, page and figure of a task whose metric is maximised, alone and beside a minimised one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from runner import ps
from runner.metrics import VAL_BPB, Metric
from runner.records.files import append_line
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.results import figure, write_results
from runner.results.reading import read_run
from runner.spec import Budget, RunSpec

ACCURACY = Metric(
    name="accuracy", unit="share of test images", direction="maximize", above=-0.01, below=1.01
)
REPORT = (
    "experiment,timestamp,commit,hypothesis,category,change,accuracy,delta,status\n"
    "1,now,a,start,other,none,0.5,,keep\n"
    "2,now,b,wider,other,none,0.85,+0.35,keep\n"
    "3,now,c,deeper,other,none,0.4,-0.45,revert\n"
)


def make(
    runs: Path,
    name: str,
    values: list[float | None],
    metric: Metric = ACCURACY,
    task: str = "digits",
    report: str = "",
) -> Path:
    """The directory of a run that measured these values; None is a crash."""
    contestant, _, seed = name.rpartition("-s")
    run_dir = RunDir(runs / name)
    run_dir.artifacts.mkdir(parents=True)
    spec = RunSpec(
        run_id=name, kind="baseline", contestant=contestant, seed=int(seed), task=task,
        metric=metric, budget=Budget(trials=9), trial_seconds=5,
    )  # fmt: skip
    run_dir.spec.write_text(spec.model_dump_json())
    for number, value in enumerate(values, start=1):
        record = TrialRecord(
            trial=number, source="sampler", request=f"r-{number}", value=value,
            status="crash" if value is None else "ok", train_seconds=5.0, judged=True,
        )  # fmt: skip
        append_line(run_dir.trials, record)
    if report:
        run_dir.experiments.write_text(report)
    return run_dir.path


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_so_far_of_a_maximised_metric_never_falls(tmp_path: Path) -> None:
    """The curve goes up, and 0 is a value like any other."""
    run = read_run(make(tmp_path, "gp-s1", [0.0, None, 0.8, 0.5, 0.9]))
    drawn = figure.curve(run, 0)
    assert drawn.values == [0.0, 0.8, 0.5, 0.9]
    assert drawn.best == [0.0, 0.8, 0.8, 0.9]
    assert (run.best_value, run.best and run.best.trial) == (0.9, 5)
    nothing = read_run(make(tmp_path, "gp-s2", [0.0]))
    assert nothing.best_value == 0.0


def test_runs_of_a_maximised_metric_are_compared_highest_first(tmp_path: Path) -> None:
    """The row with the highest value leads; the best claim is the highest one."""
    runs = [
        make(tmp_path, "random-s1", [0.7, 0.6]),
        make(tmp_path, "none-s1", [None]),
        make(tmp_path, "gpt-s1", [0.5, 0.8], report=REPORT),
        make(tmp_path, "zero-s1", [0.0]),
    ]
    rows = write_results(runs, tmp_path / "results")
    assert [(row.contestant, row.best_measured, row.best_claimed) for row in rows] == [
        ("gpt", "0.8000", "0.8500"), ("random", "0.7000", "–"), ("zero", "0.0000", "–"),
        ("none", "–", "–"),
    ]  # fmt: skip
    assert {row.metric for row in rows} == {"accuracy"}
    first = lines(tmp_path / "results" / "runs.csv")[0]
    assert (first["metric"], first["unit"], first["direction"]) == (
        "accuracy", "share of test images", "maximize",
    )  # fmt: skip
    assert (first["best_value"], first["best_trial"], first["best_claimed"]) == ("0.8", "2", "0.85")
    reported = lines(tmp_path / "results" / "experiments.csv")
    assert [(row["metric"], row["value"]) for row in reported] == [
        ("accuracy", "0.5"), ("accuracy", "0.85"), ("accuracy", "0.4"),
    ]  # fmt: skip
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "| best accuracy (measured) |" in page
    assert "Higher is better." in page
    assert "gpt-s1, row 2: claims 0.8500, 0.0500 better than measured; trial 2" in page
    assert "gpt-s1, row 3: claims 0.4000, and fits no trial" in page


def test_seeds_of_a_maximised_metric_are_summed_up(tmp_path: Path) -> None:
    """A best value of 0 is counted."""
    runs = [make(tmp_path, f"gp-s{seed}", [value]) for seed, value in ((1, 0.0), (2, 0.5))]
    write_results(runs, tmp_path / "results")
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "| contestant | seeds | mean best accuracy | lowest | highest |" in page
    assert "| gp | 2 of 2 | 0.2500 | 0.0000 | 0.5000 |" in page


def test_tasks_with_different_metrics_stand_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own table, its own panels and its own direction."""
    drawn: list[Figure] = []
    monkeypatch.setattr(figure, "_save", lambda made, _path: drawn.append(made))
    runs = [
        make(tmp_path, "gp-s1", [0.4, 0.9]),
        make(tmp_path, "gp-s2", [2.6, 2.4], metric=VAL_BPB, task="pystdlib"),
        make(tmp_path, "gp-s3", [2.5, 2.7], metric=VAL_BPB, task="pystdlib"),
    ]
    rows = write_results(runs, tmp_path / "results")
    assert [(row.task, row.metric, row.seed) for row in rows] == [
        ("digits", "accuracy", "1"), ("pystdlib", "val_bpb", "2"), ("pystdlib", "val_bpb", "3"),
    ]  # fmt: skip
    (made,) = drawn
    panels = made.axes[::2]
    assert [panel.get_title(loc="left") for panel in panels] == [
        "digits: best accuracy so far", "pystdlib: best val_bpb so far",
    ]  # fmt: skip
    assert [panel.get_ylabel() for panel in panels] == [ACCURACY.label, VAL_BPB.label]
    assert np.asarray(panels[0].lines[0].get_ydata()).tolist() == [0.4, 0.9, 0.9]
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "| best accuracy (measured) |" in page
    assert "| best val_bpb (measured) |" in page
    assert "![best accuracy and val_bpb so far](convergence.png)" in page


def test_one_task_with_two_metrics_is_two_tables(tmp_path: Path) -> None:
    """Runs whose values do not compare are not compared, even when they name one task."""
    runs = [make(tmp_path, "gp-s1", [0.4]), make(tmp_path, "gp-s2", [2.6], metric=VAL_BPB)]
    write_results(runs, tmp_path / "results")
    page = (tmp_path / "results" / "summary.md").read_text()
    assert page.count("## digits") == 2


def test_a_spec_without_a_readable_metric_is_a_problem(tmp_path: Path) -> None:
    """The run is still read, and the page says what was assumed."""
    path = make(tmp_path, "gp-s1", [2.5])
    (path / "spec.json").write_text('{"contestant": "gp", "metric": {"name": "?"}}')
    run = read_run(path)
    assert (run.metric, run.best_value) == (VAL_BPB, 2.5)
    assert run.problems == ("spec.json: no readable metric; val_bpb is assumed",)


def test_the_overview_shows_the_best_in_each_runs_direction(tmp_path: Path) -> None:
    """One metric is named in the heading, several beside the values; the referee's do not count."""
    path = make(tmp_path, "gp-s1", [0.4, 0.9, 0.7, None])
    better = TrialRecord(trial=5, source="referee", request="r", status="ok", value=0.95)
    append_line(path / "trials.jsonl", better)
    table = ps.runs_table(tmp_path)
    assert [column.header for column in table.columns][3] == "best accuracy"
    assert list(table.columns[3].cells) == ["0.9000"]
    make(tmp_path, "gp-s2", [2.6, 2.4], metric=VAL_BPB)
    make(tmp_path, "gp-s3", [None], metric=VAL_BPB)
    table = ps.runs_table(tmp_path)
    assert [column.header for column in table.columns][3] == "best"
    assert list(table.columns[3].cells) == ["accuracy 0.9000", "val_bpb 2.4000", "–"]
