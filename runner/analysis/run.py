"""The analysis, step by step: read, cut by comparison, report, write."""

from __future__ import annotations

import importlib
import io
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd

from runner.analysis.comparison import Comparison, Section, contexts
from runner.analysis.output import findings, honesty, page, prompts, tables
from runner.analysis.output.figures import Picture, pdf, picture, styled
from runner.analysis.output.files import OutputFolder, file_names
from runner.analysis.report import Context, Figure, Report, Settings, Table
from runner.records.layout import ROOT
from runner.referee.noise import NoiseFile
from runner.results.dataframes import Frames, read

PAGE, FINDINGS = "index.html", "FINDINGS.md"
Reporter = Callable[[Context], Report]
Progress = Callable[[int, int, str], None]  # how many steps are done, of how many, and what is next
T = TypeVar("T")

# Name of a report → the module whose `report` makes it, in the order in which they are shown.
REPORTS = {
    "search": "runner.analysis.search",
    "seeds": "runner.analysis.seeds",
    "knobs": "runner.analysis.knobs",
    "strategy": "runner.analysis.strategy.report",
    "space": "runner.analysis.space",
    "longer": "runner.analysis.longer",
    "campaign": "runner.analysis.campaign",
}


@dataclass(frozen=True)
class Analysis:
    """What an analysis came to.

    Attributes:
        folder: that holds its files.
        comparisons: what was found, for each set of runs whose values compare.
        problems: what could not be read, a sentence each.
    """

    folder: Path
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]

    @property
    def page(self) -> Path:
        return self.folder / PAGE

    @property
    def findings(self) -> Path:
        return self.folder / FINDINGS


def analyse(
    paths: Iterable[Path],
    out: Path,
    settings: Settings | None = None,
    *,
    noise: NoiseFile | None = None,
    reporters: Mapping[str, Reporter] | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Analyse runs and imports, and write pages, findings, figures, tables and frames.

    Args:
        paths: directories of runs, what `bakeoff import` made, or folders of such.
        out: the folder to write to; what an earlier analysis wrote there is replaced.
        settings: what a person may set; the defaults if None.
        noise: the noise of tasks, as far as it was measured.
        reporters: the reports by name; those of `REPORTS` if None.
        progress: told before each step.

    Raises:
        UserError: a path holds no results.
        HostError: a file cannot be written.
    """
    reporters = load_reporters() if reporters is None else reporters
    progress = progress or _tell_nobody
    progress(0, 0, "reading")
    frames = read(paths, noise)
    parts = contexts(frames, settings or Settings())
    with OutputFolder(out) as folder:
        _write_frames(folder, frames)
        writer = _Writer(folder, frames.problems, reporters, progress)
        comparisons = writer.write([part.name for part in parts], parts)
        if len(comparisons) != 1:
            folder.write(PAGE, page.overview_page(comparisons, frames.problems))
        folder.write(FINDINGS, findings.as_markdown(comparisons, frames.problems))
    return Analysis(out, tuple(comparisons), frames.problems)


def load_reporters() -> dict[str, Reporter]:
    """The function `report` of each module in `REPORTS`.

    Raises:
        ModuleNotFoundError: a package that one of them needs is not installed.
    """
    return {name: importlib.import_module(module).report for name, module in REPORTS.items()}


def _tell_nobody(_done: int, _total: int, _what: str) -> None:
    pass


@dataclass
class _Writer:
    """Makes the reports of each comparison, and writes them."""

    folder: OutputFolder
    problems: Sequence[str]
    reporters: Mapping[str, Reporter]
    progress: Progress

    def write(self, names: Sequence[str], parts: Sequence[Context]) -> list[Comparison]:
        """Write the files of all comparisons; only one of them is in memory with its figures."""
        folders = file_names(names)
        single = len(parts) == 1
        pages = {name: PAGE if single else f"{folders[name]}.html" for name in names}
        self._done, self._steps = 0, len(parts) * len(self.reporters)
        return [
            self._comparison(Comparison(part, folders[part.name], pages[part.name]), pages)
            for part in parts
        ]

    def _comparison(self, comparison: Comparison, pages: Mapping[str, str]) -> Comparison:
        sections: list[Section] = []
        figures: dict[str, list[page.ShownFigure]] = {}
        defects: list[str] = []
        for name, reporter in self.reporters.items():
            self.progress(self._done, self._steps, f"{name} of {comparison.name}")
            self._done += 1
            with styled():
                made, defect = _tried(name, partial(reporter, comparison.context))
            if made is None:
                defects.append(defect)
                continue
            files: dict[str, str] = {}
            figures[made.name] = self._figures(comparison, made, files, defects)
            for table in made.tables:
                files[table.name] = self._table(comparison, made, table)
            sections.append(
                Section(made.name, made.title, made.tables, made.findings, made.left_out, files)
            )
        shown = self._prompts(comparison)
        whole = replace(
            comparison,
            remarks=honesty.remarks(comparison.context, sections),
            sections=tuple(sections),
            defects=tuple(defects),
        )
        content = page.PageContent(whole, figures, shown, pages, self.problems)
        self.folder.write(whole.page, page.comparison_page(content))
        return whole

    def _figures(
        self, comparison: Comparison, report: Report, files: dict[str, str], defects: list[str]
    ) -> list[page.ShownFigure]:
        """Write the figures of a report; one that cannot be drawn becomes a defect."""
        shown = []
        for figure in report.figures:
            stem = f"{comparison.folder}/figures/{_stem(report, figure)}"
            drawn, defect = _tried(f"{report.name}, figure {figure.name}", partial(_drawn, figure))
            if drawn is None:
                defects.append(defect)
                continue
            files[figure.name] = self.folder.write(f"{stem}.png", drawn[0].content)
            shown.append(
                page.ShownFigure(figure, drawn[0], self.folder.write(f"{stem}.pdf", drawn[1]))
            )
        return shown

    def _table(self, comparison: Comparison, report: Report, table: Table) -> str:
        stem = f"{comparison.folder}/tables/{_stem(report, table)}"
        self.folder.write(f"{stem}.md", tables.as_markdown(table))
        self.folder.write(f"{stem}.tex", tables.as_latex(table))
        return self.folder.write(f"{stem}.csv", tables.as_csv(table))

    def _prompts(self, comparison: Comparison) -> list[page.ShownPrompts]:
        """Write what each agent was told; returns that of the first run of each."""
        runs = comparison.context.frames.runs
        told = prompts.prompts_by_run(runs)
        names = file_names(told)
        contestants = dict(zip(runs["run"], runs["contestant"], strict=True))
        shown: dict[str, page.ShownPrompts] = {}
        for run, sent in told.items():
            name = f"{comparison.folder}/prompts/{names[run]}.md" if sent else ""
            if sent:
                self.folder.write(name, prompts.as_markdown(run, sent))
            who = contestants[run]
            if who not in shown or (sent and not shown[who].prompts):
                shown[who] = page.ShownPrompts(who, run, name, prompts.at_the_start(sent))
        return [shown[name] for name in sorted(shown)]


def _stem(report: Report, part: Figure | Table) -> str:
    """The name of a file, which begins with that of its report."""
    begins = f"{part.name}-".startswith(f"{report.name}-")
    return part.name if begins else f"{report.name}-{part.name}"


def _drawn(figure: Figure) -> tuple[Picture, bytes]:
    return picture(figure.drawn), pdf(figure.drawn)


def _tried(what: str, make: Callable[[], T]) -> tuple[T | None, str]:
    """What was made; or None, and where the code failed.

    An unexpected error in one report is a defect of ours, and must not cost the others.
    """
    try:
        return make(), ""
    except Exception as error:  # noqa: BLE001 - a defect anywhere in a report
        return None, f"{what}: {type(error).__name__}: {error} ({_place(error)})"


def _place(error: Exception) -> str:
    """The last line of the project's own code on the way to the error."""
    places = [
        (Path(each.filename), each.lineno) for each in traceback.extract_tb(error.__traceback__)
    ]
    own = [place for place in places if place[0].is_relative_to(ROOT / "runner")]
    file, line = (own or places)[-1]
    return f"{file.relative_to(ROOT) if own else file.name}, line {line}"


def _write_frames(folder: OutputFolder, frames: Frames) -> None:
    """The tables that notebooks read, as Parquet."""
    every = {
        "runs": frames.runs, "trials": frames.trials, "knobs": frames.knobs,
        "requests": frames.requests, "retests": frames.retests,
    }  # fmt: skip
    for name, table in every.items():
        folder.write(f"frames/{name}.parquet", _parquet(table))


def _parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()
