"""`FINDINGS.md`: the findings as sentences, each with its number and the file behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.analysis.comparison import Comparison, Section
from runner.analysis.report import Finding
from runner.results.markdown import harmless

NONE = "Nothing was found."


def as_markdown(comparisons: Sequence[Comparison], problems: Iterable[str]) -> str:
    """The page.

    Args:
        comparisons: all of them.
        problems: what could not be read.
    """
    lines = ["# Findings", ""]
    for comparison in comparisons:
        lines += [f"## {harmless(comparison.name)}", "", *_remarks(comparison)]
        for section in comparison.sections:
            lines += [f"### {harmless(section.title)}", "", *_section(section), ""]
    problems = [f"- {harmless(problem)}" for problem in problems]
    if problems:
        lines += ["## What could not be read", "", *problems, ""]
    return "\n".join(lines).rstrip() + "\n"


def source_of(section: Section, finding: Finding) -> str:
    """The file that holds the finding's number, or the name that the finding gives."""
    return section.files.get(finding.source, finding.source)


def _remarks(comparison: Comparison) -> Iterator[str]:
    yield from ("What to know first:", "")
    yield from (f"- {harmless(remark.text)}" for remark in comparison.remarks)
    yield from (f"- Not made: {harmless(defect)}" for defect in comparison.defects)
    yield ""


def _section(section: Section) -> Iterator[str]:
    told = [finding for finding in section.findings if finding.told]
    yield from (_line(section, finding) for finding in told)
    if not section.findings:
        yield NONE
    if len(told) < len(section.findings):
        yield from (*[""] * bool(told), "What cannot be told:", "")
        yield from (_line(section, each) for each in section.findings if not each.told)


def _line(section: Section, finding: Finding) -> str:
    source = harmless(source_of(section, finding))
    return f"- {harmless(finding.text)} (n = {finding.n}; {source})"
