"""All reports together, on runs of every kind: none of them may fail, and each page is whole."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.analysis.comparison import Comparison
from runner.analysis.report import Settings
from runner.analysis.run import analyse
from runner.metrics import Metric
from runner.records.files import append_line
from runner.records.imported import ForeignMetric, Imported, ImportedRun, ImportedTrial
from runner.records.layout import ROOT
from tests.analysis_rig import HOSTILE, write_run
from tests.unit.analysis.html import Page

QUICK = Settings(resamples=200, compute_usd_per_hour=2.0)
REWARD = Metric(name="reward", direction="maximize")
Make = Callable[[Path], object]


def one_trial(folder: Path) -> None:
    write_run(folder, "tpe-s1", [2.0])


def no_trial(folder: Path) -> None:
    write_run(folder, "tpe-s1", [])


def all_failed(folder: Path) -> None:
    for name in ("tpe", "gp"):
        for seed in (1, 2, 3):
            write_run(folder, f"{name}-s{seed}", [None] * 4, contestant=name, seed=seed)


def all_equal(folder: Path) -> None:
    for name in ("tpe", "gp"):
        for seed in (1, 2, 3):
            write_run(folder, f"{name}-s{seed}", [2.0] * 12, contestant=name, seed=seed)


def negative_and_maximised(folder: Path) -> None:
    for number, name in enumerate(("tpe", "gp", "random")):
        for seed in (1, 2, 3, 4):
            values = [-5.0 + seed * 0.1 + number + 0.3 * ((7 * step) % 5) for step in range(12)]
            write_run(
                folder, f"{name}-s{seed}", [*values, None], REWARD, contestant=name, seed=seed
            )


def hostile_names(folder: Path) -> None:
    for number, name in enumerate(HOSTILE):
        for seed in (1, 2, 3):
            values = [2.0 - 0.01 * number - 0.02 * step for step in range(6)]
            write_run(folder, f"r{number}-s{seed}", values, contestant=name, seed=seed)


def many_contestants(folder: Path) -> None:
    for number in range(200):
        write_run(folder, f"c{number}-s1", [2.0, 2.0 - 0.001 * number], contestant=f"c{number}")


def imported(folder: Path) -> None:
    path = folder / "theirs"
    path.mkdir(parents=True)
    metric = ForeignMetric(name="准确率 $x$", direction="maximize", by="asked")
    runs = [ImportedRun(run=name, contestant=name, metric=metric) for name in ("a", HOSTILE[0])]
    found = Imported(
        name="theirs", source="<b>.tsv", sha256="0", format="tsv", rows=8, runs=runs
    )  # fmt: skip
    (path / "import.json").write_text(found.model_dump_json())
    for run in runs:
        for number, value in enumerate((0.5, None, 0.7, 0.7), start=1):
            trial = ImportedTrial(
                run=run.run, trial=number, status="crash" if value is None else "ok", value=value,
                change="<i>a wider model</i>", category="=1+1",
                knobs={"LR": 0.1 * number, "x": "y"},
            )  # fmt: skip
            append_line(path / "trials.jsonl", trial)


@pytest.mark.parametrize(
    "make",
    [
        one_trial, no_trial, all_failed, all_equal, negative_and_maximised, hostile_names,
        many_contestants, imported,
    ],
)  # fmt: skip
def test_every_kind_of_runs_has_a_page(make: Make, tmp_path: Path) -> None:
    """No report fails or warns, each page is whole, and no p-value comes from one seed."""
    make(tmp_path / "runs")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis = analyse([tmp_path / "runs"], tmp_path / "out", QUICK)
    assert analysis.comparisons
    for comparison in analysis.comparisons:
        assert comparison.defects == ()
        check_page(analysis.folder, comparison.page)
        check_findings(comparison)


def check_page(folder: Path, name: str) -> None:
    """It is whole, has no script but its own, and what it refers to is there."""
    page = Page((folder / name).read_text())
    assert page.unclosed == []
    assert len(page.all("script")) == 1
    places = {each.attributes["id"] for each in page.elements if "id" in each.attributes}
    beside = [each for each in page.references() if not each.startswith("data:image/png;")]
    assert {each[1:] for each in beside if each.startswith("#")} <= places
    files = [each for each in beside if not each.startswith("#")]
    assert [each for each in files if not (folder / each).is_file()] == []


def check_findings(comparison: Comparison) -> None:
    """What was told has a file behind it; of single seeds the report of seeds tells nothing."""
    runs = comparison.context.frames.runs
    single = runs.groupby("contestant")["seed"].nunique().max() == 1
    for section in comparison.sections:
        told = [finding for finding in section.findings if finding.told]
        assert [each.source for each in told if each.source not in section.files] == []
        if single and section.name == "seeds":
            assert told == []
            assert section.findings


def test_old_runs_have_a_page(tmp_path: Path) -> None:
    """Those of version 1, of an agent and a baseline."""
    analysis = analyse([ROOT / "tests/fixtures/runs-v1"], tmp_path / "out", QUICK)
    assert [comparison.defects for comparison in analysis.comparisons] == [()]
