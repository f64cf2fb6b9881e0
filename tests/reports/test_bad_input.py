"""The reports on runs that say little or nothing, or that are named to do harm."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from runner.analysis import knobs, search, seeds
from runner.analysis.output.figures import picture, styled
from runner.analysis.report import Context, Report
from tests.unit.analysis.made import Made, context

KNOBS = [{"LR": 0.1 * (n + 1), "PATTERN": "SL"[n % 2]} for n in range(6)]
UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("elapsed_seconds", "train_seconds", "train_seconds_so_far", "usd_so_far"), [None] * 3
)
NOTHING = {"usd": None, "train_seconds": None, "wall_seconds": None, "budget_share": None}
NO_NUMBER = re.compile(r"(?<![a-z])(nan|inf)(?![a-z])")
RUNS: dict[str, list[Made]] = {
    "one run of one trial": [Made("a", [1.0])],
    "no trial": [Made("a", [])],
    "all failed": [Made("a", [None, None]), Made("b", [None])],
    "all values equal": [Made(name, [1.0] * 6, seed, knobs=KNOBS) for name in "ab" for seed in
                         (1, 2, 3)],
    "NaN": [Made("a", [math.nan, 1.0, math.nan]), Made("b", [math.nan])],
    "negative": [Made(name, [-1.0, -2.0 - seed], seed) for name in "ab" for seed in (1, 2, 3)],
    "ties": [Made(name, [2.0, 1.0 + 0.1 * (seed % 2)], seed) for name in "ab" for seed in range(5)],
    "maximised": [Made(name, [0.1, 0.2 * seed], seed, direction="maximize", knobs=KNOBS[:2])
                  for name in "ab" for seed in (1, 2, 3)],
    "hostile names": [
        Made(name, [1.0, 0.9, 0.8], seed, knobs=[{"$x$ <b>": n} for n in (1, 2, 3)], usd=1.0,
             each={"change": ["$\\frac{", "=cmd|x", "<script>"]})
        for name in ("<script>alert(1)</script>", "$x$", "=cmd", "_hidden", "名前\n二", "a" * 300)
        for seed in (1, 2, 3)
    ],
    "200 contestants": [Made(f"c{n}", [1.0, 1.0 - n / 1000]) for n in range(200)],
    "imported": [
        Made("b", [1.0, None, 0.9], kind="imported", run=NOTHING, each=UNKNOWN),
        Made("a", [1.0, None, 0.8], kind="imported", run=NOTHING, each=UNKNOWN),
    ],
}  # fmt: skip


def sentences(report: Report) -> list[str]:
    """All that a report says, but the cells of its tables."""
    said = [finding.text for finding in report.findings]
    said += [note for table in report.tables for note in (table.title, *table.notes)]
    said += [text for figure in report.figures for text in (figure.caption, figure.text)]
    return said + list(report.left_out)


@pytest.mark.parametrize("report", [search.report, seeds.report, knobs.report])
@pytest.mark.parametrize("name", list(RUNS))
def test_a_report_says_what_it_can(report: Callable[[Context], Report], name: str) -> None:
    """Every report is made and drawn, and no sentence has a number that is none."""
    with styled():
        made = report(context(*RUNS[name]))
        assert all(picture(figure.drawn).content for figure in made.figures)
    assert made.findings
    assert [said for said in sentences(made) if NO_NUMBER.search(said)] == []
    names = [table.name for table in made.tables]
    assert len(set(names)) == len(names)
    assert {one.source for one in made.findings} <= {*names, *(f.name for f in made.figures)}


def test_one_run_of_each_gives_no_p() -> None:
    """With one seed nothing is tested, and the report says that it cannot be told."""
    made = seeds.report(context(Made("a", [1.0, 0.5]), Made("b", [1.0, 0.9])))
    table = next(table for table in made.tables if table.name == "seeds-paired")
    assert table.rows["p"].isna().all()
    assert [finding.told for finding in made.findings] == [False]


def test_equal_values_have_no_importance() -> None:
    """Where all values are equal, no knob matters, and that is said instead of a share."""
    made = knobs.report(context(*RUNS["all values equal"]))
    told = {finding.source: finding for finding in made.findings}
    assert not told["knob-importance"].told
    assert "needed" in told["knob-importance"].text or "equal" in told["knob-importance"].text
