"""The command that brings in results made elsewhere: import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import rich
import typer
from rich.table import Table

from runner.cli import terminal
from runner.cli.context import Folders
from runner.cli.terminal import shown
from runner.errors import UserError
from runner.imports.asked import Asked
from runner.imports.direction import direction_word
from runner.imports.folder import check_name, write_import
from runner.imports.foreign import read_foreign
from runner.metrics import Direction
from runner.records.imported import Imported, ImportedRun, ImportedTrial

ROWS_SHOWN = 20
LINES_SHOWN = 20  # of what was assumed, and of the reasons for which lines were left out


def import_results(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A log (CSV, TSV, Markdown, JSON lines), a study of Optuna, or an export of "
            "Weights & Biases.",
        ),
    ],
    name: Annotated[
        str, typer.Option("--as", help="The import's name; otherwise the file's.")
    ] = "",
    metric: Annotated[
        str, typer.Option(help="The column of the values; otherwise it is told by its name.")
    ] = "",
    direction: Annotated[
        str, typer.Option(help="minimize or maximize; otherwise it is inferred.")
    ] = "",
    contestant: Annotated[
        str, typer.Option(help="Whose results they are, where no column says it.")
    ] = "",
    task: Annotated[str, typer.Option(help="What was worked on, where no column says it.")] = "",
) -> None:
    """Bring in results that were made elsewhere, for `bakeoff analyse`."""
    folders: Folders = context.obj
    if name:
        check_name(name)
    asked = Asked(name, metric, _direction(direction), contestant, task)
    imported, trials = read_foreign(path, asked)
    place = write_import(folders.imports, imported, trials)
    _print_import(imported, trials)
    rich.print(f"files: {shown(str(place))}")


def _direction(word: str) -> Direction | None:
    """What the option asks for.

    Raises:
        UserError: it is neither minimize nor maximize.
    """
    direction = direction_word(word)
    if word and direction is None:
        raise UserError(
            f"choosing the direction: {word!r} is neither minimize nor maximize",
            hint="use --direction minimize where lower values are better",
        )
    return direction


def _print_import(imported: Imported, trials: Sequence[ImportedTrial]) -> None:
    left = sum(each.row for each in imported.left_out)
    rich.print(
        f"[bold]{shown(imported.name)}[/]: {shown(imported.source)}, read as {imported.format}: "
        f"{imported.rows} rows, {len(trials)} of them trials and {left} left out"
    )
    if not trials:
        rich.print("[yellow]no row of it is an experiment[/]")
    headings = ("contestant", "runs", "trials", "values", "metric", "better", "best")
    table = Table(*headings, box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    of_run: dict[str, list[ImportedTrial]] = {run.run: [] for run in imported.runs}
    for trial in trials:
        of_run[trial.run].append(trial)
    alike: dict[tuple[str, str, str], list[ImportedRun]] = {}
    for run in imported.runs:
        alike.setdefault((run.contestant, run.task, run.metric.name), []).append(run)
    for runs in list(alike.values())[:ROWS_SHOWN]:
        table.add_row(*map(shown, _cells(runs, [one for run in runs for one in of_run[run.run]])))
    terminal.print_table(table)
    if (more := len(alike) - ROWS_SHOWN) > 0:
        rich.print(f"and {more} more, see import.json")
    _print_lines("assumed", imported.assumed)
    reasons = Counter(each.reason for each in imported.left_out).most_common()
    _print_lines("left out", [f"{count}: {reason}" for reason, count in reasons])


def _cells(runs: Sequence[ImportedRun], trials: Sequence[ImportedTrial]) -> tuple[str, ...]:
    metric = runs[0].metric
    values = [trial.value for trial in trials if trial.value is not None]
    is_less = metric.direction == "minimize"
    best = (min if is_less else max)(values) if values else None
    return (
        runs[0].contestant,
        str(len(runs)),
        str(len(trials)),
        str(len(values)),
        metric.name,
        f"{'lower' if is_less else 'higher'} ({metric.by})",
        "none" if best is None else f"{best:.6g}",
    )


def _print_lines(title: str, lines: Sequence[str]) -> None:
    console = rich.get_console()
    for line in lines[:LINES_SHOWN]:
        console.print(f"{title}: {shown(line)}", soft_wrap=True, highlight=False)
    if (more := len(lines) - LINES_SHOWN) > 0:
        rich.print(f"{title}: {more} more, see import.json")
