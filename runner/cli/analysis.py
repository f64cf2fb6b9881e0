"""The command `analyse`: from runs and imports to pages, findings, figures and tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import rich
import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from runner.cli import terminal
from runner.cli.context import Folders
from runner.cli.terminal import shown
from runner.errors import UserError
from runner.records import layout
from runner.referee.noise import read_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.analysis.comparison import Comparison
    from runner.analysis.run import Analysis

FOLDER = "analysis"  # within results/
INSTALL = "`make analyse` installs what it needs; elsewhere, install the extra `analysis`"


def analyse(
    context: typer.Context,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUNS…",
            show_default=False,
            help="Runs, imports, or folders of them; all of runs/ and imports/ if none is named.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write to; else results/analysis.")
    ] = None,
    compute_usd_per_hour: Annotated[
        float,
        typer.Option(
            "--compute-usd-per-hour",
            "--dollars-per-hour",
            min=0,
            help="What an hour of one device costs, in US dollars, for runs without a price.",
        ),
    ] = 0.0,
    target: Annotated[
        float | None, typer.Option("--target", help="A value whose reaching is timed.")
    ] = None,
) -> None:
    """Analyse runs and imported results: pages, findings, figures and tables."""
    folders: Folders = context.obj
    paths = runs or _everything(folders)
    if not paths:
        rich.print("no runs yet: try `make demo`, or `make run AGENT=gpt SEED=1 REHEARSAL=1`")
        return
    try:
        # pandas and its kin take seconds to import, and only these commands need them.
        from runner.analysis import run
        from runner.analysis.report import Settings

        reporters = run.load_reporters()
    except ModuleNotFoundError as error:
        raise UserError(f"analysing: there is no {error.name}", hint=INSTALL) from error
    settings = Settings(compute_usd_per_hour=compute_usd_per_hour, target=target)
    with _progress() as progress:
        analysis = run.analyse(
            paths,
            out or folders.results / FOLDER,
            settings,
            noise=read_noise(folders.results),
            reporters=reporters,
            progress=progress,
        )
    print_analysis(analysis)


def _everything(folders: Folders) -> list[Path]:
    """The folders of all runs and, beside it, of all imports, as far as they hold anything."""
    return [folder for folder in (folders.runs, folders.imports) if layout.run_folders(folder)]


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar that is gone at the end; nothing where no terminal is."""
    console = rich.get_console()
    bar = Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("")

        def tell(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=shown(what))

        yield tell


def print_analysis(analysis: Analysis) -> None:
    """Print the findings of each comparison, and where the files are."""
    for comparison in analysis.comparisons:
        rich.print(f"[bold]{shown(comparison.name)}[/]")
        _print_findings(comparison)
        for remark in comparison.remarks:
            if remark.serious:
                rich.print(f"[yellow]mind:[/] {shown(remark.text)}")
        for defect in comparison.defects:
            rich.print(f"[red]not made:[/] {shown(defect)}")
    for problem in analysis.problems:
        rich.print(f"[yellow]could not be read:[/] {shown(problem)}")
    rich.print(f"files: {shown(str(analysis.page))}, {analysis.findings.name}, frames/")


def _print_findings(comparison: Comparison) -> None:
    """What could be told; FINDINGS.md also has what could not."""
    table = Table("report", "finding", "n", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    untold = 0
    for section in comparison.sections:
        for finding in section.findings:
            if finding.told:
                table.add_row(section.name, shown(finding.text), str(finding.n))
            untold += not finding.told
    if table.row_count:
        terminal.print_table(table)
    if untold or not table.row_count:
        rich.print(f"{table.row_count} findings; {untold} things cannot be told")
