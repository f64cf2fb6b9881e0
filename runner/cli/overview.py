"""The commands that show what there is: collect, ps, watch, logs, space."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import rich
import typer
from rich.markup import escape

from runner import ps as runs_and_containers
from runner import results, spec, tasks
from runner.cli import streams, terminal
from runner.cli.arguments import ComputeUsd, RunId, TaskName
from runner.cli.context import Folders, connected_engine
from runner.cli.printing import print_rows
from runner.errors import HostError, UserError
from runner.records import layout
from runner.records.layout import RunDir
from runner.results import FIGURE
from runner.space.written import proposed_space
from runner.watch import ages, live
from runner.watch.words import ContainerWords
from trainer.constants import ConstantsError


def collect(context: typer.Context, compute_usd_per_hour: ComputeUsd = None) -> None:
    """Compare all runs: a table here, and CSV files, a page and a plot in results/."""
    folders: Folders = context.obj
    price = spec.price_of_device(compute_usd_per_hour)
    rows = results.write_results(layout.run_folders(folders.runs), folders.results, price)
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


def space(
    task: TaskName = "pystdlib",
    train_py: Annotated[
        Path | None,
        typer.Option("--train-py", help="Another train.py than the task's.", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file to write it to.", metavar="FILE")
    ] = None,
) -> None:
    """Propose a search space for baselines: the knobs of a train.py, as TOML to edit."""
    chosen = tasks.load_task(task)
    name = "the task's train.py" if train_py is None else str(train_py)
    text = tasks.pristine_text(chosen) if train_py is None else _text_of(train_py)
    try:
        proposed = proposed_space(chosen, text, name)
    except ConstantsError as error:
        raise UserError(
            f"looking for knobs in {name}: {error}", hint="give it a train.py that Python can read"
        ) from error
    if out is None:
        print(proposed, end="")
        return
    _write_new(out, proposed)
    rich.print(f"{escape(str(out))}: edit it, then `make baseline SAMPLER=tpe SPACE=…` with it")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(
            f"reading {path}: {why}", hint="--train-py is the path of a train.py"
        ) from error


def _write_new(path: Path, text: str) -> None:
    """Write a file that was not there: nobody's edits are lost.

    Raises:
        UserError: it is there already.
        HostError: it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(
            f"writing {path}: it is there already", hint="name a new file, or remove that one"
        ) from None
    except OSError as error:
        raise HostError(
            f"writing {path}: {error.strerror or error}", hint="name a file that can be written"
        ) from error
