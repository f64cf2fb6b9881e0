"""`bakeoff clean-runs`: removes what runs left on the engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from runner import task_data
from runner.engine.client import Engine
from runner.errors import EngineError, UserError
from runner.records.layout import RunDir, run_folders
from runner.run_lock import alive, held_anywhere
from runner.sandbox.removal import remove_run
from runner.spec import read_spec


def clean(engine: Engine, runs: Path, run_id: str | None, *, data: bool) -> Iterator[str]:
    """Remove containers and volumes of runs that nobody runs; of a named run, its directory too.

    Args:
        engine: what is cleaned.
        runs: the folder of the runs' records.
        run_id: the one run to remove; None for all that have ended.
        data: whether the data of tasks is removed as well.

    Yields:
        A line for a person about each run and each volume of data.

    Raises:
        UserError: the named run is under way, or nothing has that name.
    """
    names = {s.run_id for s in engine.containers()} | {v.run_id for v in engine.volumes()} - {""}
    names |= set(engine.networks().values())
    if run_id is not None:
        yield from _clean_named(engine, runs, run_id, known=run_id in names)
        return
    for name in sorted(names):
        reason = _reason_to_leave(RunDir(runs / name))
        if reason is None:
            yield f"{name}: removed {remove_run(engine, name)} containers and volumes"
        else:
            yield f"{name}: left alone: {reason}"
    if data:
        yield from _clean_data(engine, runs)


def _reason_to_leave(run_dir: RunDir) -> str | None:
    """Why the containers and volumes of a run that was not named stay, or None."""
    run_id = run_dir.path.name
    if held_anywhere(run_id):
        return "it is under way"
    if not run_dir.path.exists():
        return f"it is not in {run_dir.path.parent}; `make clean-runs RUN={run_id}` removes it"
    if run_dir.result.exists():
        return None
    return f"it is unfinished; `make resume RUN={run_id}` or `make stop RUN={run_id}` finishes it"


def needed_data(run_dir: RunDir) -> list[str]:
    """The volumes of data that a run needs: one that is unfinished, or is being verified."""
    if run_dir.result.exists() and not held_anywhere(run_dir.path.name):
        return []
    try:
        volume = read_spec(run_dir.path.parent, run_dir.path.name).versions.get("data")
    except UserError:
        return []
    return list(task_data.places_of(str(volume))) if volume else []


def _clean_named(engine: Engine, runs: Path, run_id: str, *, known: bool) -> Iterator[str]:
    run_dir = RunDir(runs / run_id)
    if not known and not run_dir.path.exists():
        raise UserError(f"removing {run_id}: there is no such run", hint="`make ps` lists all runs")
    if held_anywhere(run_id):
        where = "" if alive(run_dir) else " in another folder"
        raise UserError(
            f"removing {run_id}: it is under way{where}",
            hint=f"stop it first, with `make stop RUN={run_id}`" + (" there" if where else ""),
        )
    yield f"{run_id}: removed {remove_run(engine, run_id)} containers and volumes"
    if run_dir.path.exists():
        shutil.rmtree(run_dir.path)
        yield f"{run_id}: deleted {run_dir.path}"


def _clean_data(engine: Engine, runs: Path) -> Iterator[str]:
    """Remove the data of tasks, except what an unfinished run needs.

    The engine alone would not keep that: between two trials of a run nothing mounts its data.
    """
    needed = {
        volume: path.name for path in run_folders(runs) for volume in needed_data(RunDir(path))
    }
    for volume in engine.volumes():
        if volume.name in needed:
            yield f"{volume.name}: left alone: run {needed[volume.name]} is unfinished"
        elif volume.data:
            try:
                engine.remove_volume(volume.name)
                yield f"{volume.name}: removed"
            except EngineError as error:
                yield f"{volume.name}: left alone: {error.message}"
