"""FINDINGS.md: each sentence with its number and the file behind it."""

from __future__ import annotations

from runner.analysis.comparison import Comparison, Remark, Section
from runner.analysis.output.findings import as_markdown
from runner.analysis.report import Finding
from tests.analysis_rig import HOSTILE, context


def comparison(*findings: Finding) -> Comparison:
    section = Section("search", "Search", findings=findings, files={"best": "x/tables/best.csv"})
    return Comparison(
        context({"run": "tpe-s1"}), "x", "index.html", (Remark("One seed.", serious=True),),
        (section,), ("seeds: KeyError",),
    )  # fmt: skip


def test_findings_name_their_source_and_number() -> None:
    """What could be told comes first, and what could not is said to be so."""
    untold = Finding("whether b is better: cannot be told: n = 1", "none-such", 1, told=False)
    assert as_markdown([comparison(untold, Finding("a is best.", "best", 4))], ["x: torn"]) == (
        "# Findings\n\n"
        "## pystdlib, val_bpb (lower is better)\n\n"
        "What to know first:\n\n"
        "- One seed.\n"
        "- Not made: seeds: KeyError\n\n"
        "### Search\n\n"
        "- a is best. (n = 4; x/tables/best.csv)\n\n"
        "What cannot be told:\n\n"
        "- whether b is better: cannot be told: n = 1 (n = 1; none-such)\n\n"
        "## What could not be read\n\n"
        "- x: torn\n"
    )


def test_a_report_without_findings_says_so() -> None:
    """Silence would look like a report that was lost."""
    assert "### Search\n\nNothing was found.\n" in as_markdown([comparison()], [])


def test_hostile_names_are_no_markup() -> None:
    """Each finding stays one line of a list."""
    text = as_markdown([comparison(*(Finding(f"{name} wins.", name, 1) for name in HOSTILE))], [])
    lines = [line for line in text.splitlines() if " wins." in line]
    assert len(lines) == len(HOSTILE)
    assert "<script" not in text
    assert "<img" not in text
