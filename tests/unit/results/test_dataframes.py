"""Runs and imports as tables: their columns, their types, and where each value comes from."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from runner import results
from runner.errors import UserError
from runner.metrics import Metric
from runner.records.files import append_line
from runner.records.imported import ForeignMetric, Imported, ImportedRun, ImportedTrial
from runner.records.layout import ROOT
from runner.results.dataframes import (
    KNOB_DTYPES,
    REQUEST_DTYPES,
    RETEST_DTYPES,
    RUN_DTYPES,
    TRIAL_DTYPES,
    Frames,
    read,
)
from tests.analysis_rig import write_run

OLD_RUNS = ROOT / "tests/fixtures/runs-v1"
ACCURACY = Metric(name="accuracy", direction="maximize")
DTYPES = {
    "runs": RUN_DTYPES, "trials": TRIAL_DTYPES, "knobs": KNOB_DTYPES, "requests": REQUEST_DTYPES,
    "retests": RETEST_DTYPES,
}  # fmt: skip


def write_import(folder: Path, direction: str, values: list[float | None]) -> Path:
    """An import of one run; a trial without a value has crashed."""
    folder.mkdir(parents=True)
    metric = ForeignMetric.model_validate({"name": "acc", "direction": direction, "by": "asked"})
    imported = Imported(
        name=folder.name, source="results.tsv", sha256="0", format="tsv", rows=len(values),
        runs=[ImportedRun(run="a", contestant="a", metric=metric)],
    )  # fmt: skip
    (folder / "import.json").write_text(imported.model_dump_json())
    for number, value in enumerate(values, start=1):
        trial = ImportedTrial(
            run="a", trial=number, status="crash" if value is None else "ok", value=value,
            seconds=10.0, at=f"2026-01-01T00:0{number}:00Z", knobs={"LR": 0.1, "kind": "a"},
        )  # fmt: skip
        append_line(folder / "trials.jsonl", trial)
    return folder


def assert_types(frames: Frames) -> None:
    for name, dtypes in DTYPES.items():
        table = getattr(frames, name)
        assert {column: str(dtype) for column, dtype in table.dtypes.items()} == dtypes


def test_the_runs_of_an_agent_and_a_baseline() -> None:
    """Old runs are read too: unjudged, and with what their records say."""
    frames = read(OLD_RUNS)
    assert_types(frames)
    runs = frames.runs.set_index("run")
    assert list(runs.index) == ["gpt-s1", "tpe-s1"]
    assert runs.loc["gpt-s1", ["kind", "contestant", "task", "turns"]].tolist() == [
        "agent", "gpt", "pystdlib", 2
    ]  # fmt: skip
    assert runs.loc["gpt-s1", "usd"] == pytest.approx(0.25298725)
    assert not runs["judged"].any()
    assert runs.loc["gpt-s1", "comparison"] == "pystdlib, unjudged, val_bpb (lower is better)"
    assert runs["best"].tolist() == pytest.approx([2.020507, 2.913799])
    assert runs["trials"].tolist() == [6, 6]
    trials = frames.trials[frames.trials["run"] == "gpt-s1"]
    assert trials["trial"].tolist() == [1, 2, 3, 4, 5, 6]
    assert trials["status"].tolist().count("crash") == 1
    assert trials["usd_so_far"].is_monotonic_increasing
    assert trials["usd_so_far"].iloc[-1] <= runs.loc["gpt-s1", "usd"]
    assert trials["train_seconds_so_far"].iloc[-1] == pytest.approx(27.636)
    assert len(frames.requests) == 33
    assert set(frames.knobs["run"]) == {"tpe-s1"} | set(frames.knobs["run"])


def test_the_best_so_far_by_hand(tmp_path: Path) -> None:
    """A crash has no value, and a tie is no new best."""
    frames = read(write_run(tmp_path, "tpe-s1", [None, 3.0, 3.0, 2.5, 4.0]))
    trials = frames.trials
    assert math.isnan(trials["value"].iloc[0])
    assert trials["best"].tolist()[1:] == [3.0, 3.0, 2.5, 2.5]
    assert trials["is_best"].tolist() == [False, True, False, True, False]
    assert trials["kept"].tolist() == trials["is_best"].tolist()
    [run] = frames.runs.to_dict("records")
    assert (run["first"], run["best"], run["budget_share"]) == (3.0, 2.5, 1.0)


def test_a_maximised_metric_has_its_best_above(tmp_path: Path) -> None:
    """The same values, the other way round."""
    frames = read(write_run(tmp_path, "tpe-s1", [0.2, 0.1, 0.4], ACCURACY))
    assert frames.trials["is_best"].tolist() == [True, False, True]
    assert frames.runs["best"].tolist() == [0.4]
    assert frames.runs["direction"].tolist() == ["maximize"]


@pytest.mark.parametrize(
    ("direction", "best", "is_best"),
    [("minimize", [-1.0], [False, True, True]), ("maximize", [0.5], [False, True, False])],
)
def test_an_import_is_like_a_run(
    tmp_path: Path, direction: str, best: list[float], is_best: list[bool]
) -> None:
    """With negative values and a crash; nobody judged it, and dollars are not known."""
    frames = read(write_import(tmp_path / "theirs", direction, [None, 0.5, -1.0]))
    assert_types(frames)
    assert frames.runs["run"].tolist() == ["theirs/a"]
    assert frames.runs["kind"].tolist() == ["imported"]
    assert frames.runs["best"].tolist() == best
    assert frames.runs["usd"].isna().all()
    assert not frames.runs["judged"].any()
    assert frames.trials["is_best"].tolist() == is_best
    assert frames.trials["elapsed_seconds"].tolist() == [0.0, 60.0, 120.0]
    assert frames.trials["train_seconds_so_far"].tolist() == [10.0, 20.0, 30.0]
    knobs = frames.knobs[frames.knobs["trial"] == 1]
    assert knobs["text"].tolist() == ["0.1", "a"]
    assert knobs["number"].iloc[0] == 0.1
    assert math.isnan(knobs["number"].iloc[1])


def test_all_that_failed_has_no_best(tmp_path: Path) -> None:
    """Types stay as they are where no row has a value."""
    frames = read(
        [write_run(tmp_path, "a-s1", [None]), write_import(tmp_path / "b", "minimize", [])]
    )
    assert_types(frames)
    assert frames.runs["best"].isna().all()
    assert frames.runs["trials"].tolist() == [1, 0]


def test_an_empty_run_is_a_row(tmp_path: Path) -> None:
    """A spec alone makes a run without trials."""
    (tmp_path / "gpt-s1").mkdir()
    (tmp_path / "gpt-s1/spec.json").write_text(json.dumps({"contestant": "gpt", "seed": 1}))
    frames = read(tmp_path)
    assert frames.runs["trials"].tolist() == [0]
    assert len(frames.trials) == 0
    assert_types(frames)


def test_runs_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    """Results of two machines have folders in their names; a path named twice is read once."""
    for machine in ("one", "other"):
        write_run(tmp_path / machine / "runs", "tpe-s1", [2.0, 1.0])
    write_run(tmp_path / "one" / "runs", "gp-s1", [2.0])
    both = [tmp_path / "one" / "runs", tmp_path / "other" / "runs"]
    frames = read([*both, tmp_path / "one" / "runs" / "tpe-s1"])
    names = ["gp-s1", "one/runs/tpe-s1", "other/runs/tpe-s1"]
    assert frames.runs["run"].tolist() == names
    assert frames.trials.groupby("run").size().to_dict() == dict(zip(names, (1, 2, 2), strict=True))


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A torn import is a problem and no error."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/import.json").write_text("{")
    frames = read(tmp_path)
    assert len(frames.runs) == 0
    assert frames.problems[0].startswith("theirs: import.json cannot be read")
    assert_types(frames)


def test_a_path_without_results_is_an_error(tmp_path: Path) -> None:
    """It says what to name instead."""
    with pytest.raises(UserError, match="there is no run and no import") as error:
        results.frames(tmp_path / "none")
    assert "bakeoff import" in error.value.hint


def test_notebooks_get_the_same_tables() -> None:
    """`runner.results.frames` reads what the analysis reads."""
    pd.testing.assert_frame_equal(results.frames([OLD_RUNS]).trials, read(OLD_RUNS).trials)


def test_each_column_is_explained() -> None:
    """docs/analysis.md has a line for each column of each table, and no other."""
    text = (ROOT / "docs/analysis.md").read_text()
    for name, dtypes in DTYPES.items():
        part = re.search(rf"^### `{name}`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        assert part, name
        rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.+?) \|", part[1], re.M)]
        assert sorted(column for row in rows for column in row) == sorted(dtypes)
