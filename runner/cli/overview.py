"""The commands that show what there is: collect, ps, watch, logs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import rich
import typer
from rich.markup import escape

from runner import ps as runs_and_containers
from runner import results, spec
from runner.cli import streams, terminal
from runner.cli.arguments import RunId
from runner.cli.context import Folders, connected_engine
from runner.cli.printing import print_rows
from runner.errors import UserError
from runner.records import layout
from runner.records.layout import RunDir
from runner.results import FIGURE
from runner.watch import ages, live
from runner.watch.words import ContainerWords


def collect(context: typer.Context) -> None:
    """Compare all runs: a table here, and CSV files, a page and a plot in results/."""
    folders: Folders = context.obj
    run_folders = layout.run_folders(folders.runs)
    rows = results.write_results(run_folders, folders.results)
    if not rows:
        rich.print("no runs yet: try `make demo`, or `make run AGENT=gpt SEED=1 REHEARSAL=1`")
        return
    print_rows(rows)
    plot = f", {FIGURE}" if (folders.results / FIGURE).exists() else ""
    files = f"summary.md, runs.csv, trials.csv, experiments.csv, fidelity.csv{plot}"
    rich.print(f"files: {folders.results}/{files}")


def ps(context: typer.Context) -> None:
    """List all runs, who has which device, and every container and volume on the engine."""
    found, now = runs_and_containers, ages.present()
    for table in (found.runs_table(context.obj.runs, now), *found.devices_tables(now)):
        terminal.print_table(table)
    with connected_engine() as engine:  # without one, the runs have been listed all the same
        for table in found.engine_tables(engine):
            terminal.print_table(table)


def watch(
    context: typer.Context,
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="The id of a run; or all that run."),
    ] = None,
) -> None:
    """Show a run, or all that run now, live. Ctrl-C ends the view, and no run."""
    runs: Path = context.obj.runs
    if run_id is None:
        drawn: live.Drawn = live.RunningRuns(runs)
    else:
        run_dir = RunDir(runs / spec.check_run_id(run_id))
        if not run_dir.path.is_dir():
            raise UserError(
                f"watching {run_id}: there is no such run", hint="`make ps` lists the runs"
            )
        drawn = live.OneRun(run_dir, ContainerWords(run_id).lines)
    if not terminal.can_be_redrawn():
        live.show_once(rich.get_console(), drawn)
        return
    with contextlib.suppress(KeyboardInterrupt):
        live.show(rich.get_console(), drawn, streams.reader_left)


def logs(
    context: typer.Context,
    run_id: RunId,
    role: Annotated[
        str, typer.Option(help="The container: agent, optimizer, gateway or rehearsal.")
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Whether to go on until the run ends.")
    ] = True,
) -> None:
    """Show what a run's contestant prints, or the run's journal if its containers are gone."""
    with connected_engine() as engine:
        for line in runs_and_containers.log_lines(
            engine, context.obj.runs, spec.check_run_id(run_id), role=role, follow=follow
        ):
            rich.get_console().print(escape(line), highlight=False, soft_wrap=True)
            if streams.reader_left():
                return
