"""The commands for this machine and its engine: doctor, prove, clean-runs, images."""

from __future__ import annotations

from typing import Annotated

import rich
import typer
from rich.markup import escape
from rich.table import Table

from runner import clean, options, spec
from runner.build import images
from runner.cli import terminal
from runner.cli.arguments import RuntimeName
from runner.cli.context import connected_engine
from runner.errors import unknown_name
from runner.preflight import checks, runtimes
from runner.proof import boxes, table
from runner.proof.prove import prove
from runner.records.containment import Part


def doctor(context: typer.Context) -> None:
    """Check this machine: engine, images, disk, GPU, keys. Nothing is started."""
    findings = checks.doctor(options.environment(), context.obj.runs)
    table = Table("", "check", "finding")
    for finding in findings:
        table.add_row("ok" if finding.ok else "[red]no[/]", finding.subject, escape(finding.detail))
    terminal.print_table(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def prove_lock(
    part: Annotated[
        Part, typer.Option("--part", help="quick: what each run tries at its start.")
    ] = "all",
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="Only this container; may be repeated.")
    ] = None,
    runtime: RuntimeName = None,
) -> None:
    """Try to break out of containers like those of a run, and print what came of each attack.

    The findings of slow attacks are kept for the runs of this machine until its next boot.
    """
    names = boxes.roles()
    for role in roles or ():
        if role not in names:
            raise unknown_name("container", role, names)
    with connected_engine() as engine:
        runtimes.check(runtime, engine.info())
        made = boxes.boxes_of_this_machine(engine, runtime)
        asked = {name: box for name, box in made.items() if not roles or name in roles}
        proof = prove(engine, asked, part)
    terminal.print_table(table.attack_table(proof))
    for line in table.failures(proof):
        rich.print(f"[red]{escape(line)}[/]")
    rich.print(table.summary(proof))
    if proof.failed:
        raise typer.Exit(1)


def clean_runs(
    context: typer.Context,
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    task_data: Annotated[
        bool, typer.Option("--data", help="Remove prepared data too; not together with RUN.")
    ] = False,
) -> None:
    """Remove the containers and volumes of finished runs; unfinished runs are named and kept.

    With RUN: remove that run, its directory and results too, unless it is under way.
    """
    if run_id is not None:
        spec.check_run_id(run_id)
    with connected_engine() as engine:
        for line in clean.clean(engine, context.obj.runs, run_id, data=task_data):
            rich.print(escape(line))


def build_images(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which images; all of them by default.")
    ] = None,
) -> None:
    """Build the images whose inputs changed."""
    with connected_engine() as engine:
        built = images.ensure(engine, names or images.everyday())
    rich.print(f"built: {', '.join(built)}" if built else "all images are up to date")
