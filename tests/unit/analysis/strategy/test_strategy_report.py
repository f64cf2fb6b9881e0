"""The report as a whole: what it holds, and bad input that it must take."""

from __future__ import annotations

import math
from typing import Any

import pytest

from runner.analysis.drawing import SHOWN
from runner.analysis.report import Report
from runner.analysis.strategy.report import report
from runner.results.dataframes import Frames
from tests.unit.analysis.drawn import drawn
from tests.unit.analysis.strategy.made_up import context, frames, searched

FIGURES = [
    "strategy-convergence", "strategy-breadth", "strategy-categories", "strategy-timeline",
    "strategy-success", "strategy-improvements", "strategy-dry-streaks", "strategy-dashboard",
]  # fmt: skip
CHANGES = ["depth 8 to 9", "matrix LR 0.4 to 0.5", "longer warmup", "momentum 0.9 to 0.91"]
HOSTILE = ["<script>alert(1)</script>", "$x$ \\frac", "=cmd|' /C calc'!A0", "日本\n语", "a" * 300]


def reported(of: Frames) -> Report:
    """The report, with every figure drawn, as the page does."""
    return drawn(report, context(of))


def told(found: Report) -> list[str]:
    """The findings that are told."""
    return [finding.text for finding in found.findings if finding.told]


@pytest.fixture(scope="module", name="found")
def whole() -> Report:
    """The report on three contestants with four experiments each."""
    trials = [
        one
        for at, name in enumerate(("a", "b", "c"))
        for one in searched(f"{name}-s1", CHANGES, [0.9 - at / 9, 1.5, None, 0.7])
    ]
    return reported(frames(trials))


def test_the_eight_figures(found: Report) -> None:
    """The study's eight figures are there, and each says in words what it shows."""
    assert [figure.name for figure in found.figures] == FIGURES
    assert all(figure.caption.endswith(".") and figure.text for figure in found.figures)


def test_the_tables(found: Report) -> None:
    """Each table has rows, and that of measures the best contestant first."""
    tables = {table.name: table.rows for table in found.tables}
    assert list(tables["strategy-measures"]["contestant"]) == ["c", "a", "b"]
    assert list(tables["strategy-measures"]["kept"]) == [1, 2, 2]
    assert tables["strategy-categories"].set_index("contestant").loc["a"].sum() == 4
    assert set(tables["strategy-hypotheses"]["hypothesis"]) == {f"H{at}" for at in range(1, 8)}
    assert len(tables["strategy-discoveries"]) == 5


def test_findings_have_their_numbers_and_sources(found: Report) -> None:
    """A finding names a table that is there; a share has its interval."""
    names = {table.name for table in found.tables}
    assert {finding.source for finding in found.findings} <= names
    assert "a kept 2 of 4 experiments: 50.0% (95 % interval 15.0% to 85.0%)." in told(found)
    untold = [finding.text for finding in found.findings if not finding.told]
    assert all("cannot be told" in text for text in untold)


@pytest.mark.parametrize(
    "trials",
    [
        searched("a-s1", [], []),
        searched("a-s1", ["depth 8 to 9"], [0.9]),
        searched("a-s1", CHANGES, [None] * 4),
        searched("a-s1", CHANGES, [1.0] * 4),
        searched("a-s1", CHANGES, [math.nan, 0.9, math.nan, 0.8]),
        searched("a-s1", CHANGES, [-1.0, -2.0, -2.0, -0.5]),
        searched("a-s1", [""] * 4, [0.9, 0.8, 0.7, 0.6]),
        searched("a-s1", ["什么"] * 4, [0.9, 0.8, 0.7, 0.6]),
        [{"run": "a-s1", "value": None}, {"run": "b-s1", "value": None}],
    ],
    ids=["baseline", "one", "failed", "equal", "nan", "negative", "wordless", "words",
         "crashed"],
)  # fmt: skip
def test_poor_input_gives_a_report_without_p(trials: list[Any]) -> None:
    """A run with little to say has no p, no number that is infinite, and no traceback."""
    found = reported(frames(trials))
    assert found.findings
    assert not any(", p = " in text for text in told(found))
    assert not any("nan" in text or "inf" in text for text in told(found))


def test_hostile_names_and_changes() -> None:
    """Names are text and nothing else, in figures and in tables."""
    trials = [
        one
        for name in HOSTILE
        for one in searched(f"{name}-s1", [*HOSTILE, "depth 1 to 2"], [0.9] * 6)
    ]
    found = reported(frames(trials))
    table = next(table for table in found.tables if table.name == "strategy-measures")
    assert set(table.rows["contestant"]) == set(HOSTILE)


def test_many_contestants() -> None:
    """Figures show the best twelve and say so; the tables have all."""
    trials = [
        one for at in range(30) for one in searched(f"c{at}-s1", CHANGES[:2], [0.9 - at / 99, 1.5])
    ]
    found = reported(frames(trials))
    assert all("18 more" in figure.caption for figure in found.figures)
    assert len(found.tables[0].rows) == 30
    assert sum(" kept " in text and "interval" in text for text in told(found)) == SHOWN


def test_what_is_left_out_is_said() -> None:
    """Baselines, runs without experiments and unknown changes are named."""
    trials = [*searched("a-s1", ["", "tidy up"], [0.9, 0.8]), *searched("b-s1", [], [])]
    said = " ".join(report(context(frames(trials))).left_out)
    assert "1 runs have no experiment: b-s1." in said
    assert "1 of 2 experiments nothing tells" in said
    assert "1 of 2 experiments have no category" in said
    assert "Baselines are not" in " ".join(
        report(context(frames(trials, kind="baseline"))).left_out
    )


def test_a_maximised_metric_ranks_the_other_way() -> None:
    """The contestant with the highest value comes first."""
    trials = [*searched("a-s1", CHANGES[:1], [2.0]), *searched("b-s1", CHANGES[:1], [3.0])]
    found = report(context(frames(trials, direction="maximize")))
    assert list(found.tables[0].rows["contestant"]) == ["b", "a"]
    assert found.tables[0].rows["median gain of a new best"].tolist() == [2.0, 1.0]
