"""Tables and help that can be read on a narrow terminal: each row becomes a paragraph.

Where columns do not fit, Rich and Typer cut words off, and nobody can read or copy a name then.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import rich
import typer
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from typer._click import Command, HelpFormatter

from runner.records.visible import visible

HELP_COLUMNS = 80  # with fewer, the help of `run` has no room for its columns
UNBOUNDED_COLUMNS = 10_000


def shown(text: str) -> str:
    """Text that anybody may have written: on one line, without markup and control characters."""
    return escape(visible(text))


def can_be_redrawn() -> bool:
    """Whether stdout is a terminal whose lines can be written over."""
    return sys.stdout.isatty() and not rich.get_console().is_dumb_terminal


def print_table(table: Table) -> None:
    """Print the table, or one paragraph a row if a word would have to be cut to make it fit."""
    console = rich.get_console()
    unbounded = console.options.update(width=UNBOUNDED_COLUMNS)
    if Measurement.get(console, unbounded, table).minimum <= console.width:
        console.print(table)
        return
    if table.title:
        console.print(table.title, style="bold")
    names = [column.header for column in table.columns]
    for first, *others in zip(*(column.cells for column in table.columns), strict=True):
        console.print(first, overflow="fold")
        for name, cell in zip(names[1:], others, strict=True):
            console.print(Padding.indent(f"{name}: {cell}", 2), overflow="fold")


def command(app: typer.Typer) -> Command:
    """The command of the app, with its help laid out for the terminal's width."""
    if rich.get_console().width >= HELP_COLUMNS:
        return typer.main.get_command(app)
    app.rich_markup_mode = None
    group = typer.main.get_command(app)
    for each in (group, *getattr(group, "commands", {}).values()):
        each.context_class = _Context
        # Otherwise it is cut off after half a line.
        each.short_help = (each.help or "").split("\n\n")[0]
    return group


class _Stacked(HelpFormatter):
    """Puts each option on a line of its own, and its description below it."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__(width=rich.get_console().width)

    def write_dl(
        self, rows: Sequence[tuple[str, str]], col_max: int = 2, col_spacing: int = 2
    ) -> None:
        super().write_dl(rows, col_max, col_spacing)


class _Context(typer.Context):
    formatter_class = _Stacked
