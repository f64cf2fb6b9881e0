"""What there is: the runs, their containers and volumes, their logs; and how it is cleared away."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from runner.containers import ContainerState
from runner.engine import Engine
from runner.errors import EngineError, UserError
from runner.journal import Journal
from runner.layout import RunDir
from runner.protocol import MARK
from runner.records import Event, RunResult, TrialRecord, read_lines
from runner.runs import alive, held_anywhere, read_spec
from runner.sandbox import sweep

CONTESTANTS = ("agent", "optimizer")


def run_folders(runs: Path) -> list[Path]:
    """The directories of all runs, by name."""
    if not runs.exists():
        return []
    return sorted(p for p in runs.iterdir() if p.is_dir() and not p.name.startswith("."))


def free_seed(runs: Path, contestants: Iterable[str]) -> int:
    """The first seed that none of these contestants has used here."""
    names, seed = list(contestants), 1
    while any((runs / f"{name}-s{seed}").exists() for name in names):
        seed += 1
    return seed


def tables(engine: Engine, runs: Path) -> list[Table]:
    """Runs, containers and volumes, a table each; none is left out."""
    own = Table("run", "state", "trials", "best val_bpb", title="runs", title_justify="left")
    for path in run_folders(runs):
        own.add_row(*_run_cells(RunDir(path)))
    boxes = Table("container", "run", "role", "status", title="containers", title_justify="left")
    for state in engine.containers():
        boxes.add_row(state.name, state.run_id, state.role, state.status)
    drives = Table("volume", "of", title="volumes", title_justify="left")
    for volume in engine.volumes():
        drives.add_row(volume.name, volume.run_id or f"the data of task {volume.data}")
    return [own, boxes, drives]


def _run_cells(run_dir: RunDir) -> tuple[str, str, str, str]:
    trials = list(read_lines(run_dir.trials, TrialRecord))
    values = [trial.val_bpb for trial in trials if trial.val_bpb is not None]
    best = f"{min(values):.4f}" if values else "–"
    return run_dir.path.name, _state(run_dir), str(len(trials)), best


def _state(run_dir: RunDir) -> str:
    if run_dir.result.exists():
        try:
            text = run_dir.result.read_text(encoding="utf-8")
            return f"ended by {escape(RunResult.model_validate_json(text).ended_by)}"
        except ValueError:
            return "ended; result.json is unreadable"
    if alive(run_dir):
        return "running"
    run_id = run_dir.path.name
    return f"its runner died: `make resume RUN={run_id}` or `make stop RUN={run_id}`"


def log_lines(engine: Engine, runs: Path, run_id: str, *, role: str, follow: bool) -> Iterator[str]:
    """What a container of the run printed, without protocol messages; else the run's journal.

    Raises:
        UserError: there is neither a container nor a run of that name.
    """
    container = _container_of(engine.containers(run_id), role)
    if container is not None:
        yield from map(printable, readable(engine.logs(container.id, follow=follow)))
        return
    run_dir = RunDir(runs / run_id)
    if not run_dir.path.exists():
        raise UserError(f"reading the log of {run_id}: there is no such run", hint="`make ps`")
    yield from (printable(event_line(event)) for event in Journal(run_dir).events())


def _container_of(states: list[ContainerState], role: str) -> ContainerState | None:
    wanted = (role,) if role else CONTESTANTS
    return next((state for state in states if state.role in wanted), None)


def readable(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a log that are for people, of a stream cut anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (
            line.decode("utf-8", "replace") for line in lines if not line.startswith(MARK.encode())
        )
    if rest:
        yield rest.decode("utf-8", "replace")


def printable(line: str) -> str:
    """The line without control characters: an agent's words must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)


def event_line(event: Event) -> str:
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.at} {event.event:24} {fields}"


def clean(engine: Engine, runs: Path, run_id: str | None, *, task_data: bool) -> Iterator[str]:
    """Remove containers and volumes of runs that no runner has; a named run's directory too.

    Raises:
        UserError: the named run is under way, or there is nothing of that name.
    """
    names = {s.run_id for s in engine.containers()} | {v.run_id for v in engine.volumes()} - {""}
    if run_id is not None:
        yield from _clean_named(engine, runs, run_id, known=run_id in names)
        return
    for name in sorted(names):
        reason = _reason_to_leave(RunDir(runs / name))
        if reason is None:
            yield f"{name}: removed {sweep(engine, name)} containers and volumes"
        else:
            yield f"{name}: left alone: {reason}"
    if task_data:
        yield from _clean_data(engine, runs)


def _reason_to_leave(run_dir: RunDir) -> str | None:
    """Why a run that nobody named keeps what it has on the engine, or None."""
    run_id = run_dir.path.name
    if held_anywhere(run_id):
        return "it is under way"
    if not run_dir.path.exists():
        return f"it is not in {run_dir.path.parent}; `make clean-runs RUN={run_id}`"
    if run_dir.result.exists():
        return None
    return f"it is unfinished: `make resume RUN={run_id}` or `make stop RUN={run_id}`"


def _data_volume(run_dir: RunDir) -> str:
    """The data that an unfinished run goes on with; "" for one that has ended."""
    if run_dir.result.exists():
        return ""
    try:
        return str(read_spec(run_dir.path.parent, run_dir.path.name).versions.get("data", ""))
    except UserError:
        return ""


def _clean_named(engine: Engine, runs: Path, run_id: str, *, known: bool) -> Iterator[str]:
    run_dir = RunDir(runs / run_id)
    if not known and not run_dir.path.exists():
        raise UserError(f"clearing {run_id} away: there is no such run", hint="`make ps`")
    if held_anywhere(run_id):
        where = "" if alive(run_dir) else ", in another folder than this one"
        raise UserError(
            f"clearing {run_id} away: it is under way{where}",
            hint=f"`make stop RUN={run_id}` there first",
        )
    yield f"{run_id}: removed {sweep(engine, run_id)} containers and volumes"
    if run_dir.path.exists():
        shutil.rmtree(run_dir.path)
        yield f"{run_id}: deleted {run_dir.path}"


def _clean_data(engine: Engine, runs: Path) -> Iterator[str]:
    """Only trials mount their data: between two of them the engine would let it go."""
    needed = {_data_volume(RunDir(path)): path.name for path in run_folders(runs)}
    for volume in engine.volumes():
        if volume.name in needed:
            yield f"{volume.name}: left alone: run {needed[volume.name]} is unfinished"
        elif volume.data:
            try:
                engine.remove_volume(volume.name)
                yield f"{volume.name}: removed"
            except EngineError as error:
                yield f"{volume.name}: left: {error.message}"
