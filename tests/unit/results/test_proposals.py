"""Who proposed the trials of a run, in every table and view that compares runs."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from runner.cli.printing import print_result, print_rows
from runner.records.layout import RunDir
from runner.records.proposal import Proposal
from runner.records.schema import Spent, TrialRecord
from runner.results import write_results
from runner.results.dataframes import read
from runner.spec import Proposer
from runner.watch.followed import Followed
from runner.watch.glance import glance
from runner.watch.panels import view
from tests.run_results import event, made_run, made_trial, run_result

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BY = ("default", "cmaes", "model", "cmaes", "fallback")
WORDS = "default 1, cmaes 2, model 1, fallback 1"
COUNTS = {"default": 1, "cmaes": 2, "model": 1, "fallback": 1}


def trials() -> list[TrialRecord]:
    return [
        made_trial(number, 2.5, source="sampler", proposal=Proposal(by=by))
        for number, by in enumerate(BY, start=1)
    ]


@pytest.fixture
def centaur(tmp_path: Path) -> Path:
    """A run of a baseline with a model, and beside it one of a baseline without."""
    asked = Proposer(method="centaur", provider="openai", model="m")
    made_run(
        tmp_path, "centaur-m-s1", trials=trials(), kind="baseline", proposer=asked,
        events=[event(0, "clock.read", **Spent(usd=0.5, requests=3).model_dump())],
    )  # fmt: skip
    made_run(tmp_path, "tpe-s1", trials=[made_trial(1, 2.6, source="sampler")], kind="baseline")
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_comparison_names_proposals_by_their_source(
    centaur: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the page, in both tables, and on the terminal; other baselines have a dash."""
    out = tmp_path / "results"
    found = write_results([centaur / "centaur-m-s1", centaur / "tpe-s1"], out)
    assert {row.contestant: row.proposed_by for row in found} == {"centaur-m": WORDS, "tpe": "–"}
    page = (out / "summary.md").read_text()
    assert WORDS in page
    assert "a fallback, because the model gave nothing usable" in page
    by_run = {row["run_id"]: row["proposals"] for row in rows(out / "runs.csv")}
    assert by_run["tpe-s1"] == ""
    assert '"fallback": 1' in by_run["centaur-m-s1"]
    assert [row["proposed_by"] for row in rows(out / "trials.csv")] == [*BY, ""]
    print_rows(found)
    assert f"centaur-m-s1: proposed by {WORDS}" in " ".join(capsys.readouterr().out.split())


def test_a_page_without_such_a_baseline_explains_no_sources(centaur: Path, tmp_path: Path) -> None:
    """A reader is told nothing that the tables do not show."""
    write_results([centaur / "tpe-s1"], tmp_path / "results")
    assert "Proposed by" not in (tmp_path / "results" / "summary.md").read_text()


def test_the_tables_for_notebooks_have_the_source(centaur: Path) -> None:
    """Empty for a trial that no method with a model proposed."""
    table = read([centaur / "centaur-m-s1", centaur / "tpe-s1"]).trials
    assert list(table["proposed_by"]) == [*BY, ""]


def test_baselines_that_were_given_no_space_are_pointed_out(tmp_path: Path) -> None:
    """A space of a model's own differs from any other, and a search of texts has none."""
    for method in ("llm-space", "llm-code"):
        asked = Proposer(method=method, provider="openai", model="m")
        made_run(tmp_path, f"{method}-m-s1", trials=[], kind="baseline", proposer=asked)
    made_run(tmp_path, "tpe-s1", trials=[], kind="baseline")

    def page(*names: str) -> str:
        write_results([tmp_path / name for name in names], tmp_path / "results")
        return (tmp_path / "results" / "summary.md").read_text()

    own, texts = page("llm-space-m-s1", "tpe-s1"), page("llm-code-m-s1", "tpe-s1")
    assert "Search spaces differ" in own
    assert "a space that its model proposed: llm-space-m-s1." in own
    assert "rewrote the whole train.py, and have no space: llm-code-m-s1." in texts
    assert "Search spaces differ" not in page("llm-space-m-s1")
    assert "Search spaces differ" not in page("llm-code-m-s1")


def test_a_result_says_who_proposed_and_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the end of a run sees its fallbacks."""
    result = run_result("centaur-s1", proposals=COUNTS, fallbacks=1, model_failures=4)
    print_result(tmp_path, result)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"proposed by: {WORDS}; 4 requests failed (not counting HTTP 400 and 422)" in printed
    print_result(tmp_path, run_result("gpt-s1"))
    assert "proposed by" not in capsys.readouterr().out


def test_views_show_dollars_and_sources_of_a_baseline_with_a_model(centaur: Path) -> None:
    """A baseline without a model has neither."""
    with_model, without = RunDir(centaur / "centaur-m-s1"), RunDir(centaur / "tpe-s1")
    assert (glance(with_model, NOW).usd, glance(without, NOW).usd) == ("$0.50", "–")
    followed = Followed(with_model)
    followed.look(NOW)
    console = Console(width=200, record=True)
    with console.capture() as captured:
        console.print(view(followed, [], NOW, 200, 60))
    assert f"by {WORDS}" in captured.get()
