"""The commands that show a baseline's study: export, optuna-dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import rich
import typer

from runner import options, spec
from runner.cli.arguments import RunId, Storage
from runner.cli.context import Folders
from runner.errors import UserError
from runner.records.layout import RunDir
from runner.spec import RunSpec

PORT = 8081


def export(context: typer.Context, run_id: RunId) -> None:
    """Write a baseline's study as CSV, with the columns of Optuna's own table."""
    folders: Folders = context.obj
    run_spec = _spec(folders, run_id)
    run_dir = RunDir(folders.runs / run_id)
    with _optuna("exporting a study"):
        from runner.study import reading
        from runner.study.export import export as export_study
    count = export_study(reading.study_of(run_dir, run_spec), run_dir.study_table)
    rich.print(f"{count} trials: {run_dir.study_table}")


def optuna_dashboard(
    context: typer.Context,
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="The id of a baseline's run.")
    ] = None,
    storage: Storage = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0: one that is free.")
    ] = PORT,
) -> None:
    """Show a baseline's study in Optuna's dashboard, on this machine alone, until Ctrl-C.

    With --storage in place of RUN: all studies of a database.
    """
    folders: Folders = context.obj
    if (run_id is None) == (storage is None):
        raise UserError(
            "opening the dashboard: it shows one run's study, or those of one database",
            hint="set either RUN or STORAGE",
        )
    with _optuna("opening the dashboard"):
        from runner.study import dashboard, reading
    if run_id is not None:
        run_spec = _spec(folders, run_id)
        shown = reading.study_storage(RunDir(folders.runs / run_id), run_spec)
    else:
        shown = reading.database(storage or "", options.password(options.environment()))
    dashboard.serve(shown, port, _say)


def _spec(folders: Folders, run_id: str) -> RunSpec:
    """The spec of a run, with the password of its storage."""
    stored = spec.read_spec(folders.runs, spec.check_run_id(run_id))
    if stored.storage is None:  # the key of a model is not needed to show a study
        return stored
    return options.with_key(stored, options.environment())


def _say(address: str) -> None:
    """Printed at once, also where a program reads it."""
    rich.get_console().print(f"the study is shown at {address}; Ctrl-C ends that")
    rich.get_console().file.flush()


@contextmanager
def _optuna(doing: str) -> Iterator[None]:
    """Turn the lack of Optuna, which takes long to import and which runs do not need, into words.

    Raises:
        UserError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{doing}: there is no {error.name}",
            hint="`make export` and `make optuna-dashboard` install what they need; elsewhere, "
            "install the extra `analysis`",
        ) from error
