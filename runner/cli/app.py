"""The `bakeoff` command: which commands there are, and how it ends.

This is the only place that prints errors, with their hints. An exception that is not one of ours
is a defect, so its whole traceback is shown.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import rich
import typer
from rich.console import Console
from rich.markup import escape

from runner.cli import (
    analysis,
    contest,
    imports,
    log,
    machine,
    overview,
    referee,
    streams,
    study,
    terminal,
)
from runner.cli.context import Folders
from runner.cli.log import LogForm
from runner.errors import BakeoffError, SuspendedError
from runner.records.layout import ROOT

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Who finds the better model: an LLM research agent or a classical optimiser?",
)


@app.callback()
def configure(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more, in lines.")] = False,
    form: Annotated[
        LogForm, typer.Option("--log", help="A run's live view on a terminal, or lines, or JSON.")
    ] = LogForm.VIEW,
    folder: Annotated[
        Path, typer.Option("--runs", help="The folder of the runs; results/ is made beside it.")
    ] = ROOT / "runs",
) -> None:
    log.configure(verbose=verbose, form=form)
    view = form == LogForm.VIEW and not verbose
    context.obj = Folders(folder.absolute(), folder.absolute().parent / "results", view)


# The commands, in the order of `bakeoff --help`.
app.command("run")(contest.run_agent)
app.command(epilog=contest.samplers_described())(contest.baseline)
app.command()(contest.resume)
app.command("resume-all")(contest.resume_all)
app.command()(contest.stop)
app.command("verify")(referee.verify_run)
app.command()(referee.retest)
app.command()(referee.noise)
app.command()(overview.collect)
app.command("import")(imports.import_results)
app.command()(analysis.analyse)
app.command()(study.export)
app.command("optuna-dashboard")(study.optuna_dashboard)
app.command()(overview.ps)
app.command()(overview.watch)
app.command()(overview.logs)
app.command()(overview.space)
app.command()(machine.doctor)
app.command("prove")(machine.prove_lock)
app.command("clean-runs")(machine.clean_runs)
app.command("images")(machine.build_images)
app.command()(contest.demo)


def main() -> None:
    """Run the command, and end the process with its exit code.

    The exit code is 0 if the command did what was asked, 2 if the user's input was wrong, and 1
    if anything else failed. An error is one line on stderr, and a second one with a hint.
    """
    streams.open_streams()
    streams.forget_impossible_width()
    rich.reconfigure(emoji=False)  # ":x:" in a run's log is no picture
    try:
        exit_code = _run_command()
        if not exit_code:
            streams.check_printed()
    except BakeoffError as error:
        _print_error(error)
        exit_code = 2 if error.cause == "user" else 1
    sys.exit(exit_code)


def _run_command() -> str | int | None:
    """The command's exit code; Typer itself reports options and arguments that are wrong."""
    try:
        terminal.command(app)()
    except SystemExit as ended:
        return ended.code
    return 0


def _print_error(error: BakeoffError) -> None:
    console = Console(stderr=True, emoji=False)
    suspended = isinstance(error, SuspendedError)
    heading = "[yellow]suspended:[/]" if suspended else "[red]error:[/]"
    console.print(f"{heading} {escape(error.message)}", highlight=False, soft_wrap=True)
    if error.hint:
        console.print(f"[cyan]hint:[/] {escape(error.hint)}", highlight=False, soft_wrap=True)
