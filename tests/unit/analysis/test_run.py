"""A whole analysis with stand-ins for the reports: its files, and what a defect costs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from runner.analysis.report import Context, Figure, Report, Settings
from runner.analysis.run import REPORTS, analyse, load_reporters
from runner.errors import UserError
from runner.metrics import Metric
from runner.records.layout import ROOT
from tests.analysis_rig import HOSTILE, stand_in, write_run
from tests.unit.analysis.html import Page

OLD_RUNS = ROOT / "tests/fixtures/runs-v1"
ACCURACY = Metric(name="accuracy", direction="maximize")
STEM = "pystdlib-val-bpb-lower-is-better"


def broken(_: Context) -> Report:
    raise ValueError("<b>no</b>")


def cannot_be_drawn(context: Context) -> Report:
    drawing = Drawing()
    drawing.text(0.5, 0.5, r"$\frac{$", parse_math=True)
    figure = Figure("bad", "Bad", drawing, "", "")
    return Report("seeds", "Many seeds", stand_in(context).tables, (figure,))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_one_comparison_makes_one_page(tmp_path: Path) -> None:
    """With its findings, figures, tables and frames; a second analysis changes no byte."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0, None, 1.5])
    out = tmp_path / "out"
    analysis = analyse([tmp_path / "runs"], out, reporters={"search": stand_in})
    assert files(out) == {
        "index.html", "FINDINGS.md", "files.json",
        *(f"frames/{name}.parquet" for name in ("runs", "trials", "knobs", "requests", "retests")),
        *(f"{STEM}/tables/search-best.{kind}" for kind in ("csv", "md", "tex")),
        *(f"{STEM}/figures/search-curve.{kind}" for kind in ("png", "pdf")),
    }  # fmt: skip
    assert analysis.page == out / "index.html"
    before = {name: (out / name).read_bytes() for name in files(out)}
    analyse([tmp_path / "runs"], out, reporters={"search": stand_in})
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_each_comparison_has_its_own_page(tmp_path: Path) -> None:
    """Values that do not compare are on different pages, and the overview leads to both."""
    write_run(tmp_path, "tpe-s1", [2.0])
    write_run(tmp_path, "tpe-s2", [0.9], ACCURACY)
    analysis = analyse([tmp_path], tmp_path / "out", reporters={"search": stand_in})
    pages = [comparison.page for comparison in analysis.comparisons]
    overview = Page(analysis.page.read_text())
    assert [each.attributes["href"] for each in overview.all("a")] == pages
    assert len(set(pages)) == 2
    for name in pages:
        assert {"index.html", *pages} - {name} <= set(
            Page((tmp_path / "out" / name).read_text()).references()
        )


def test_what_a_page_refers_to_is_there(tmp_path: Path) -> None:
    """Each address without a scheme is a file of the output, or a place in the page."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0])
    analysis = analyse([tmp_path / "runs"], tmp_path / "out", reporters={"search": stand_in})
    page = Page(analysis.page.read_text())
    places = {each.attributes["id"] for each in page.elements if "id" in each.attributes}
    for address in page.references():
        if address.startswith("#"):
            assert address[1:] in places
        elif not address.startswith("data:"):
            assert (tmp_path / "out" / address).is_file()


def test_a_defect_costs_its_report_alone(tmp_path: Path) -> None:
    """It is named with its error and its place; the other reports are there."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0])
    reporters = {"broken": broken, "seeds": cannot_be_drawn, "search": stand_in}
    analysis = analyse([tmp_path / "runs"], tmp_path / "out", reporters=reporters)
    [comparison] = analysis.comparisons
    assert [section.name for section in comparison.sections] == ["seeds", "search"]
    first, second = comparison.defects
    assert first.startswith("broken: ValueError: <b>no</b> (")
    assert ", line " in first
    assert second.startswith("seeds, figure bad: ")
    page = Page(analysis.page.read_text())
    assert any("broken: ValueError: <b>no</b>" in text for text in page.texts("li"))
    assert f"{STEM}/tables/seeds-best.csv" in page.references()


def test_hostile_contestants_are_analysed(tmp_path: Path) -> None:
    """Their names get into all files and harm none of them."""
    for seed, name in enumerate(HOSTILE, start=1):
        write_run(tmp_path / "runs", f"r-s{seed}", [2.0], contestant=name, seed=seed)
    analysis = analyse([tmp_path / "runs"], tmp_path / "out", reporters={"search": stand_in})
    assert analysis.comparisons[0].defects == ()
    page = Page(analysis.page.read_text())
    assert page.unclosed == []
    assert len(page.all("script")) == 1
    assert [each for each in page.references() if "evil" in each] == []


def test_runs_that_measured_nothing_have_a_page(tmp_path: Path) -> None:
    """It says so."""
    write_run(tmp_path / "runs", "tpe-s1", [None, None])
    analysis = analyse([tmp_path / "runs"], tmp_path / "out", reporters={})
    [comparison] = analysis.comparisons
    texts = [remark.text for remark in comparison.remarks]
    assert "1 run measured nothing: tpe-s1." in texts
    assert "2 trials, of which 0 have a value" in " ".join(texts)


def test_an_import_that_cannot_be_read_has_a_page(tmp_path: Path) -> None:
    """With nothing else, the overview says what could not be read."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/import.json").write_text("{")
    analysis = analyse([tmp_path / "theirs"], tmp_path / "out", reporters={"search": stand_in})
    assert analysis.comparisons == ()
    assert "theirs: import.json cannot be read" in analysis.problems[0]
    assert "There is nothing to analyse" in analysis.page.read_text()
    assert "theirs" in analysis.findings.read_text()


def test_prompts_are_written_as_they_were_sent(tmp_path: Path) -> None:
    """A file for each run, and on the page what the first run of a contestant began with."""
    shutil.copytree(OLD_RUNS / "gpt-s1", tmp_path / "runs" / "gpt-s1")
    analysis = analyse([tmp_path / "runs"], tmp_path / "out", reporters={})
    assert "They were not kept" in analysis.page.read_text()
    (tmp_path / "runs/gpt-s1/prompts.jsonl").write_text(
        '{"at": "t", "name": "program.md", "text": "Rules: ```sh\\nrm\\n```"}\n'
        '{"at": "t", "name": "first", "text": "Go <on>."}\n'
        '{"at": "t", "name": "nudge", "text": "Go on."}\n'
    )
    analysis = analyse([tmp_path / "runs"], tmp_path / "out", reporters={})
    page = Page(analysis.page.read_text())
    assert [each.text for each in page.all("pre")] == ["Rules: ```sh\nrm\n```", "Go <on>."]
    [file] = [each for each in page.references() if each.endswith("prompts/gpt-s1.md")]
    text = (tmp_path / "out" / file).read_text()
    assert "````text\nRules: ```sh\nrm\n```\n````\n" in text
    assert "```text\nGo on.\n```\n" in text


def test_frames_are_kept_for_notebooks(tmp_path: Path) -> None:
    """The Parquet files have the rows and the types of the tables."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0, None])
    analyse([tmp_path / "runs"], tmp_path / "out", reporters={})
    trials = pd.read_parquet(tmp_path / "out/frames/trials.parquet")
    assert list(trials["status"]) == ["ok", "crash"]
    assert trials["trial"].dtype == "Int64"


def test_settings_reach_the_reports(tmp_path: Path) -> None:
    """And each step is told before it begins."""
    write_run(tmp_path / "runs", "tpe-s1", [2.0])
    seen: list[Context] = []
    steps: list[tuple[int, int, str]] = []

    def report(context: Context) -> Report:
        seen.append(context)
        return stand_in(context)

    analyse(
        [tmp_path / "runs"], tmp_path / "out", Settings(compute_usd_per_hour=3.0, target=1.0),
        reporters={"search": report}, progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert seen[0].settings == Settings(compute_usd_per_hour=3.0, target=1.0)
    assert steps == [
        (0, 0, "reading"),
        (0, 1, "search of pystdlib, val_bpb (lower is better)"),
    ]


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    """Nothing is written then."""
    with pytest.raises(UserError, match="there is no run and no import"):
        analyse([tmp_path], tmp_path / "out", reporters={})
    assert not (tmp_path / "out").exists()


def test_reports_come_in_the_order_of_the_table() -> None:
    """Each module of the table that is there has a function `report`."""
    found = load_reporters()
    assert list(found) == [name for name in REPORTS if name in found]
    assert all(callable(report) for report in found.values())
