"""`results/` from run directories: whole, running and rehearsed ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.records.files import to_json
from runner.results import headings, write_results
from runner.results.figure import curve
from runner.results.reading import read_run
from runner.results.rows import duration
from runner.results.tables import safe
from tests.run_results import run_result
from tests.unit.results.runs import SPENT, Make, table, trial

CLAIMED = (
    "experiment,timestamp,commit,hypothesis,category,change,val_bpb,delta,status\n"
    '1,now,abc,"=HYPERLINK(""x"")",other,@SUM(A1),2.2,-0.1,keep\n'
)


def test_runs_are_compared_best_first(make: Make, tmp_path: Path) -> None:
    """One row a run, with what was measured, claimed and spent; the best run leads."""
    worse = make("random-s1", [trial(0, 2.6, source="sampler"), trial(1, None, source="sampler")])
    held = [trial(0, 2.5, wall_seconds=90.0), trial(1, 2.3, wall_seconds=90.5)]
    better = make("gpt-s1", held, claimed=CLAIMED, cost_usd=1.25)
    rows = write_results([worse, better], tmp_path / "results")
    assert len(rows[0].cells()) == len(headings("val_bpb"))
    assert rows[0].cells()[:14] == (
        *("gpt", "1", "2 (2/0)", "2.3000", "2.2000", "–", "–"),
        *("1 h 01 min", "2 min 00 s", "3 min 00 s", "$1.25", "–", "–", "trials"),
    )
    assert Path(rows[0].files).resolve() == better
    assert rows[1].cells()[:5] == ("random", "1", "2 (1/1)", "2.6000", "–")
    runs = table(tmp_path / "results" / "runs.csv")
    assert [run["run_id"] for run in runs] == ["gpt-s1", "random-s1"]
    assert (runs[0]["best_value"], runs[0]["best_claimed"], runs[0]["spent_usd"]) == (
        *("2.3", "2.2"),
        "1.25",
    )
    trials = table(tmp_path / "results" / "trials.csv")
    assert [(t["run_id"], t["trial"], t["status"]) for t in trials][1:3] == [
        ("gpt-s1", "1", "ok"),
        ("random-s1", "0", "ok"),
    ]


def test_runs_under_another_runtime_stand_in_a_table_of_their_own(
    make: Make, tmp_path: Path
) -> None:
    """Trials under gVisor are slower, and those without bounds may use more, so both are named."""
    usual, gvisor = make("tpe-s1", [trial(0, 2.5)]), make("tpe-s2", [trial(0, 2.6)])
    spec = json.loads((gvisor / "spec.json").read_text())
    runtime = {"name": "runsc", "is_native": False, "bounds_hold": False}
    (gvisor / "spec.json").write_text(json.dumps(spec | {"versions": {"runtime": runtime}}))
    rows = write_results([usual, gvisor], tmp_path / "results")
    task = rows[0].task
    label = f"{task}, under runsc, without bounds on memory and processors"
    assert {row.heading for row in rows} == {task, label}
    page = (tmp_path / "results" / "summary.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## pys")] == [
        f"## {task}", f"## {label}"
    ]  # fmt: skip


def test_rehearsed_dollars_are_never_money_spent(make: Make, tmp_path: Path) -> None:
    """They stand in a column of their own, are marked in the table, and explained on the page."""
    run = make("gpt-s1", [trial(0, 2.5)], cost_usd=0.5, rehearsed=True)
    [row] = write_results([run], tmp_path / "results")
    assert row.cost == "$0.50 rehearsed, not spent"
    [line] = table(tmp_path / "results" / "runs.csv")
    assert (float(line["spent_usd"]), float(line["rehearsed_usd"])) == (0, 0.5)
    assert "never spent" in (tmp_path / "results" / "summary.md").read_text()


def test_the_referees_trials_are_not_the_contestants(make: Make, tmp_path: Path) -> None:
    """They are listed, and neither counted nor taken for the best."""
    run = make("gpt-s1", [trial(0, 2.5), trial(1, 2.1, source="referee")])
    [row] = write_results([run], tmp_path / "results")
    assert (row.trials, row.best_measured) == ("1 (1/0)", "2.5000")
    assert len(table(tmp_path / "results" / "trials.csv")) == 2


def test_a_running_run_has_its_trials_so_far(make: Make, tmp_path: Path) -> None:
    """A torn last line is the trial that is being written: no problem, and no trial yet."""
    path = make("gpt-s1", [trial(0, 2.5)], ended=False)
    with (path / "trials.jsonl").open("a") as file:
        file.write('{"trial": 1, "sour')
    events = [{"at": f"2026-01-01T00:0{minute}:00Z", "event": "x"} for minute in (0, 2)]
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    [row] = write_results([path], tmp_path / "results")
    assert (row.trials, row.ended_by, row.wall_time) == ("1 (1/0)", "no result yet", "2 min 00 s")
    assert table(tmp_path / "results" / "runs.csv")[0]["problems"] == ""


def test_self_reports_are_collected_and_harmless(make: Make, tmp_path: Path) -> None:
    """The run's id comes first; formulas are text for a spreadsheet; numbers stay numbers."""
    run = make("gpt-s1", [trial(0, 2.5)], claimed=CLAIMED)
    write_results([run], tmp_path / "results")
    [row] = table(tmp_path / "results" / "experiments.csv")
    assert next(iter(row)) == "run_id"
    assert (row["run_id"], row["hypothesis"], row["change"]) == (
        *("gpt-s1", '\'=HYPERLINK("x")'),
        "'@SUM(A1)",
    )
    assert (row["delta"], row["metric"], row["value"]) == ("-0.1", "val_bpb", "2.2")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-x", "'-x"),
        ("@A1", "'@A1"),
        (" =1", "' =1"),
        ("\t=1", "'\t=1"),
        ("-0.02", "-0.02"),
        ("+1e-3", "+1e-3"),
        ("1-2", "1-2"),
        (-3, -3),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_only_formulas_are_quoted(cell: Any, written: Any) -> None:
    """Text that a spreadsheet would run gets an apostrophe, everything else is as it was."""
    assert safe(cell) == written


def test_untrue_claims_are_named(make: Make, tmp_path: Path) -> None:
    """The page and `fidelity.csv` say of each row which trial it is, and by how much it is off."""
    log = CLAIMED + "2,now,,x,other,y,2.40,,keep\n3,now,,x,other,y,1.9,,keep\n"
    run = make("gpt-s1", [trial(0, 2.5), trial(1, 2.401), trial(2, 2.3)], claimed=log)
    write_results([run], tmp_path / "results")
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "| gpt-s1 | 3 | 0 | 1 | 2 | 0 | 0 | 1.9000 | 2.3000 |" in page
    assert "gpt-s1, row 1: claims 2.2000, 0.3000 better than measured; trial 0 measured" in page
    assert [
        (row["row"], row["trial"], row["verdict"], row["claimed"], row["measured"])
        for row in table(tmp_path / "results" / "fidelity.csv")
    ] == [
        ("1", "0", "differs", "2.2", "2.5"),
        ("2", "1", "rounded", "2.4", "2.401"),
        ("3", "2", "differs", "1.9", "2.3"),
    ]


def test_an_agent_that_reports_nothing_is_told_by_its_trials(make: Make, tmp_path: Path) -> None:
    """Without an experiments.csv, all trials of an agent are unreported; samplers have none."""
    runs = [make("gpt-s1", [trial(1, 2.5), trial(2, None)]), make("gp-s1", [trial(1, 2.5)])]
    spec = json.loads((runs[1] / "spec.json").read_text())
    (runs[1] / "spec.json").write_text(json.dumps(spec | {"kind": "baseline"}))
    write_results(runs, tmp_path / "results")
    found = table(tmp_path / "results" / "fidelity.csv")
    assert [(row["run_id"], row["trial"], row["verdict"]) for row in found] == [
        ("gpt-s1", "1", "unreported"),
        ("gpt-s1", "2", "unreported"),
    ]
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "gpt-s1, trial 2: failed (crash), and has no row" in page


def test_a_report_that_is_no_table_is_collected_with_its_reason(make: Make, tmp_path: Path) -> None:
    """Binary garbage: one line with the reason, and the comparison goes on."""
    run = make("gpt-s1", [trial(0, 2.5)], claimed="")
    (run / "artifacts" / "experiments.csv").write_bytes(os.urandom(5000))
    [row] = write_results([run], tmp_path / "results")
    assert (row.best_measured, row.best_claimed) == ("2.5000", "–")
    assert table(tmp_path / "results" / "experiments.csv")[0]["problem"] == "not text"


def test_a_problem_that_two_files_tell_is_told_once(make: Make, tmp_path: Path) -> None:
    """The result of a run repeats what is wrong with its self-report."""
    run = make("gpt-s1", [trial(0, 2.5)], claimed="")
    (run / "artifacts" / "experiments.csv").write_bytes(b"\xff\x00" * 50)
    ended = run_result(run.name, spent=SPENT, problems=["experiments.csv: not text"])
    (run / "result.json").write_text(to_json(ended))
    write_results([run], tmp_path / "results")
    assert table(tmp_path / "results" / "runs.csv")[0]["problems"] == "experiments.csv: not text"


def test_unequal_conditions_are_named(make: Make, tmp_path: Path) -> None:
    """Seconds a trial and budgets stand beside each run; where they differ the page says so."""
    runs = [make(name, [trial(0, 2.5)]) for name in ("gpt-s1", "gp-s1", "tpe-s1")]
    equal, longer, richer = ({"trial_seconds": s, "budget": b} for s, b in (
        (5.0, {"hours": 8.0}), (60.0, {"hours": 8.0}), (5.0, {"hours": 8.0, "usd": 20.0}),
    ))  # fmt: skip
    for run, asked in zip(runs, (equal, longer, richer), strict=True):
        spec = json.loads((run / "spec.json").read_text())
        (run / "spec.json").write_text(json.dumps(spec | asked))
    write_results(runs[:1], tmp_path / "results")
    page = tmp_path / "results" / "summary.md"
    assert "Not comparable" not in page.read_text()
    assert "Budgets differ" not in page.read_text()
    write_results(runs, tmp_path / "results")
    assert "**Not comparable**: their trials trained for 5, 60 seconds." in page.read_text()
    assert "**Budgets differ**" in page.read_text()
    rows = {row["run_id"]: row for row in table(tmp_path / "results" / "runs.csv")}
    assert rows["tpe-s1"]["trial_seconds"] == "5.0"
    assert json.loads(rows["tpe-s1"]["budget"]) == {"hours": 8.0, "usd": 20.0}


def test_seeds_are_summed_up_by_contestant(make: Make, tmp_path: Path) -> None:
    """Mean, lowest and highest of the best values, for contestants with two seeds or more."""
    runs = [make(f"gp-s{seed}", [trial(0, 2.0 + seed)]) for seed in (1, 2)]
    write_results([*runs, make("tpe-s1", [trial(0, 2.2)])], tmp_path / "results")
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "| gp | 2 of 2 | 3.5000 | 3.0000 | 4.0000 |" in page
    assert "| tpe | 1" not in page.replace("| tpe | 1 | 1 (1/0)", "")


def test_the_best_so_far_never_rises(make: Make) -> None:
    """A crash moves the curve along both axes without a point; the end is the last trial's."""
    values = [2.6, None, 2.4, 2.5, None]
    run = read_run(make("gp-s1", [trial(number, bpb) for number, bpb in enumerate(values)]))
    by_trial, by_minute = curve(run, 0), curve(run, 60.0)
    assert (by_trial.at, by_trial.end) == ([1, 3, 4], 5)
    assert (by_minute.at, by_minute.end) == ([1, 3, 4], 5)
    assert (by_trial.values, by_trial.best) == ([2.6, 2.4, 2.5], [2.6, 2.4, 2.4])


def test_the_figure_is_drawn_and_goes_when_nothing_is_left(make: Make, tmp_path: Path) -> None:
    """A PNG with a measured run, whatever the run is called; none, and no old one, without."""
    picture = tmp_path / "results" / "convergence.png"
    write_results([make("$x_{1$ é\u4e2d-s1", [trial(0, 2.5)])], tmp_path / "results")
    assert picture.read_bytes().startswith(b"\x89PNG")
    write_results([make("gp-s1", [trial(0, None)])], tmp_path / "results")
    assert not picture.exists()
    assert "convergence.png" not in (tmp_path / "results" / "summary.md").read_text()


def test_no_runs_give_empty_tables(tmp_path: Path) -> None:
    """Headers without rows, and a page that says 0 runs."""
    assert write_results([], tmp_path / "results") == []
    assert table(tmp_path / "results" / "runs.csv") == []
    assert "0 runs" in (tmp_path / "results" / "summary.md").read_text()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 min 00 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (29_100, "8 h 05 min")],
)
def test_durations_are_words(seconds: float, words: str) -> None:
    """Minutes and seconds below an hour, hours and minutes from there."""
    assert duration(seconds) == words


def test_baselines_with_different_spaces_are_pointed_out(make: Make, tmp_path: Path) -> None:
    """One with a space of its own beside one with the task's; alone, there is nothing to say."""
    own = make("tpe-s1", [trial(0, 2.9, source="sampler")])
    other = make("gp-s1", [trial(0, 2.9, source="sampler")])
    spec = json.loads((own / "spec.json").read_text()) | {"kind": "baseline"}
    plain = json.loads((other / "spec.json").read_text()) | {"kind": "baseline"}
    (own / "spec.json").write_text(json.dumps(spec | {"space": {"DEPTH": {"type": "int"}}}))
    (other / "spec.json").write_text(json.dumps(plain))
    summary = tmp_path / "results" / "summary.md"
    write_results([own, other], tmp_path / "results")
    assert "Search spaces differ" in summary.read_text()
    write_results([own], tmp_path / "results")
    assert "Search spaces differ" not in summary.read_text()
