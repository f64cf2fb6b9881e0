"""Exports of Weights & Biases."""

from __future__ import annotations

import csv
import io

import pytest

from runner.errors import UserError
from runner.imports.asked import Asked
from runner.imports.wandb import settings_of
from tests.unit.imports.conftest import Read

CHART = """"Step","run, a - val/loss","run, a - val/loss__MIN","run, a - val/loss__MAX","b - val/loss","b - val/loss__MIN","b - val/loss__MAX"
"0","2.5","2.5","2.5","","",""
"1","2.25","2.25","2.25","3.5","3.5","3.5"
"2","","","","","",""
"3","2.75","2.75","2.75","3.0","3.0","3.0"
"""  # noqa: E501 - as it is exported


def test_a_chart_has_a_run_in_three_columns(read: Read) -> None:
    """Each run is a contestant's, each step with a value is a trial; a step without is left out."""
    imported, trials = read(CHART, name="chart.csv")
    assert [run.contestant for run in imported.runs] == ["run, a", "b"]
    of_run = {run.run: [one.value for one in trials if one.run == run.run] for run in imported.runs}
    assert list(of_run.values()) == [[2.5, 2.25, 2.75], [3.5, 3.0]]
    assert [(each.line, each.reason) for each in imported.left_out] == [(4, "no value")]
    assert imported.runs[0].metric.name == "val/loss"
    assert imported.runs[0].metric.direction == "minimize"
    assert imported.assumed[0] == "each value at a Step of a run was taken for a trial"
    assert [trial.other for trial in trials][-1] == {"Step": "3"}


def test_a_metric_that_a_chart_does_not_show(read: Read) -> None:
    """The error tells those that it shows."""
    with pytest.raises(UserError, match="does not show 'acc'") as failed:
        read(CHART, Asked(metric="acc"), name="chart.csv")
    assert "val/loss" in failed.value.hint


def test_a_table_of_runs(read: Read) -> None:
    """Each run is a trial; columns that name no figure are its settings."""
    text = (
        '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","depth","_step",'
        '"val_loss"\n'
        '"glad-1","finished","-","me","","2026-03-01T10:00:00.000Z","120","sw1","0.01","4","9","2.5"\n'
        '"sad-2","crashed","-","me","","2026-03-01T11:00:00.000Z","60","sw1","0.1","4","2",""\n'
        '"slow-3","finished","-","me","","2026-03-01T12:00:00.000Z","180","sw2","0.02","6","9","2.25"\n'
        '"odd-4","failed","-","me","","2026-03-01T12:30:00.000Z","10","sw2","0.02","6","0",""\n'
    )
    imported, trials = read(text, name="sweep.csv")
    assert [trial.status for trial in trials] == ["ok", "crash", "ok", "crash"]
    assert [trial.value for trial in trials] == [2.5, None, 2.25, None]
    assert trials[0].knobs == {"lr": 0.01, "depth": 4}
    assert (trials[0].seconds, trials[0].kept) == (120.0, None)
    assert len(imported.runs) == 2
    assert imported.runs[0].metric.direction == "minimize"
    assert any("taken for settings: depth, lr" in each for each in imported.assumed)


def test_a_table_that_the_api_gave(read: Read) -> None:
    """Summary and config are Python dictionaries in cells."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["", "summary", "config", "name"])
    for at, loss in enumerate((2.5, 2.25, 2.75)):
        summary = {"_timestamp": 1.767e9, "val_loss": loss, "_step": 4}
        writer.writerow([at, summary, {"lr": 0.1, "wide": True, "act": "relu"}, f"run-{at}"])
    imported, trials = read(out.getvalue(), name="project.csv")
    assert [trial.value for trial in trials] == [2.5, 2.25, 2.75]
    assert trials[0].knobs == {"lr": 0.1, "wide": True, "act": "relu"}
    assert imported.runs[0].metric.column == "summary.val_loss"


def test_other_tables_have_no_such_settings() -> None:
    """A log with a name and a state is no table of runs."""
    assert settings_of(["name", "state", "lr", "loss"], "loss") == []
    assert settings_of(["name", "state", "sweep", "lr", "loss"], "loss") == ["lr"]
