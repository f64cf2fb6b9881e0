"""Run directories of garbage, and of anything that an agent can write."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.metrics import Metric
from runner.results import write_results
from runner.results.figure import write_figure
from runner.results.markdown import harmless
from runner.results.reading import read_run
from runner.results.rows import to_row
from runner.results.summary import write_summary
from runner.results.tables import write_tables
from tests.unit.results.runs import Make, table, trial


def test_directories_of_garbage_become_rows_that_say_so(tmp_path: Path) -> None:
    """Folders, pipes and links in place of files, and files of noise: a row each, no wait."""
    odd, noise, nothing, file = (tmp_path / f"{name}-s1" for name in ("odd", "noise", "none", "f"))
    (odd / "artifacts").mkdir(parents=True)
    (odd / "spec.json").mkdir()
    os.mkfifo(odd / "trials.jsonl")
    (odd / "artifacts" / "experiments.csv").symlink_to("/etc/passwd")
    (noise / "artifacts").mkdir(parents=True)
    for name in ("spec.json", "trials.jsonl", "usage.jsonl", "result.json", "events.jsonl"):
        (noise / name).write_bytes(b"\xff\x00[[[\n" * 50)
    nothing.mkdir()
    file.write_text("no directory")
    rows = write_results([odd, noise, nothing, file], tmp_path / "results")
    assert {row.contestant for row in rows} == {"odd", "noise", "none", "f"}
    assert {row.ended_by for row in rows} == {"no result yet"}
    said = {row["run_id"]: row["problems"] for row in table(tmp_path / "results" / "runs.csv")}
    assert "trials.jsonl: is not a regular file" in said["odd-s1"]
    assert "trials.jsonl: 49 of 50 lines are unreadable" in said["noise-s1"]
    assert "spec.json: is a directory, where a run writes a file" in said["odd-s1"]
    assert "experiments.csv: is a link, which is not followed" in said["odd-s1"]
    assert not any("Errno" in each for each in said.values())
    assert all("no spec.json" in said[name] for name in ("none-s1", "f-s1"))
    assert "root:" not in (tmp_path / "results" / "experiments.csv").read_text()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ["contestant", "seed", "task", "kind", "rehearsed", "trial", "value", "metric"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    spec=st.binary(max_size=40) | st.dictionaries(st.sampled_from(FIELDS), JSON).map(json.dumps),
    line=st.dictionaries(st.sampled_from(FIELDS), JSON),
    report=st.binary(max_size=200) | st.text(max_size=200),
)
def test_no_content_of_a_run_stops_the_comparison(
    tmp_path: Path, spec: bytes | str, line: dict[str, Any], report: bytes | str
) -> None:
    """Any spec, any ledger line that is nearly right, any report: tables and a row come out."""
    path = tmp_path / "gp-s1"
    (path / "artifacts").mkdir(parents=True, exist_ok=True)
    right = trial(0, 2.5).model_dump(mode="json")
    (path / "spec.json").write_bytes(spec if isinstance(spec, bytes) else spec.encode())
    (path / "trials.jsonl").write_text(json.dumps(right) + "\n" + json.dumps(right | line) + "\n")
    content = report if isinstance(report, bytes) else report.encode("utf-8", "surrogatepass")
    (path / "artifacts" / "experiments.csv").write_bytes(content)
    run = read_run(path)
    write_tables([run], tmp_path)
    write_summary([run], tmp_path, figure=False)
    assert table(tmp_path / "trials.csv")[0]["value"] == "2.5"
    assert to_row(run, tmp_path).files == "gp-s1"


@pytest.mark.parametrize("train_seconds", [0.0, -5.0, 1e-9, 1e300])
@pytest.mark.parametrize(
    "values", [(1e-300,) * 2, (2.5,) * 2, (1e300,) * 2, (0, 0), (-1e300, 1e300)]
)
def test_no_figures_of_a_run_stop_the_drawing(
    make: Make, tmp_path: Path, train_seconds: float, values: tuple[float, float]
) -> None:
    """Nonsense in the ledger is drawn as it is."""
    trials = [trial(at, value, train_seconds=train_seconds) for at, value in enumerate(values)]
    run = read_run(make("gp-s1", trials, metric=Metric(name="loss", direction="minimize")))
    assert write_figure([run], tmp_path / "convergence.png")


@given(st.text())
def test_a_cell_of_the_page_is_one_line_without_markup(text: str) -> None:
    """Nothing that an agent writes ends a table's cell or begins a tag or a link."""
    cell = harmless(text)
    assert "\n" not in cell
    assert "<" not in cell
    assert "|" not in cell.replace("\\|", "")
    assert "[" not in cell.replace("\\[", "")
