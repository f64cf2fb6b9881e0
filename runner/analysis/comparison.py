"""The runs cut into those whose values compare, and what the analysis says of each such part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from runner.analysis.output.style import colours
from runner.analysis.report import Context, Finding, Settings, Table
from runner.results.dataframes import Frames


@dataclass(frozen=True)
class Remark:
    """What a reader must know before believing a figure.

    Attributes:
        text: the sentence.
        serious: whether it may change what the figures mean.
    """

    text: str
    serious: bool = False


@dataclass(frozen=True)
class Section:
    """What is left of a report once its files are written.

    Attributes:
        name: of the report.
        title: its heading.
        tables: its tables.
        findings: its findings.
        left_out: what it did not use, and why.
        files: name of a table or figure → its first file, as reached from the output's folder.
    """

    name: str
    title: str
    tables: tuple[Table, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What the analysis says of runs whose values compare.

    Attributes:
        context: those runs.
        folder: of its tables and figures, within the output's folder.
        page: the name of its page.
        remarks: what a reader must know.
        sections: one for each report.
        defects: reports and figures that could not be made, a sentence each.
    """

    context: Context
    folder: str
    page: str
    remarks: tuple[Remark, ...] = ()
    sections: tuple[Section, ...] = ()
    defects: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.context.name


def contexts(frames: Frames, settings: Settings) -> list[Context]:
    """The tables cut by comparison, the one with most trials first."""
    everyone = [str(name) for name in frames.runs["contestant"]]
    trials = frames.runs.groupby("comparison")["trials"].sum()
    cut = []
    for name in trials.sort_values(ascending=False, kind="stable").index:
        part = _cut(frames, str(name))
        plain = Context(str(name), part, {}, settings)
        cut.append(Context(plain.name, part, colours(plain.contestants, everyone), settings))
    return cut


def _cut(frames: Frames, comparison: str) -> Frames:
    runs = frames.runs[frames.runs["comparison"] == comparison].reset_index(drop=True)

    def of_these(table: pd.DataFrame) -> pd.DataFrame:
        return table[table["run"].isin(runs["run"])].reset_index(drop=True)

    return Frames(
        runs,
        trials=of_these(frames.trials),
        knobs=of_these(frames.knobs),
        requests=of_these(frames.requests),
        retests=of_these(frames.retests),
    )
