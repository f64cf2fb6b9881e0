"""Lists what there is: the runs, their containers and volumes, and their logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from runner import task_data
from runner.engine.client import Engine
from runner.engine.containers import ContainerState
from runner.errors import UserError
from runner.metrics import VAL_BPB, Metric
from runner.records.best import UNJUDGED, are_judged, best_trial
from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir, run_folders
from runner.records.schema import Event, RunResult, TrialRecord
from runner.run_lock import alive
from runner.spec import read_spec
from runner.wire.protocol import MARK

CONTESTANTS = ("agent", "optimizer")


def tables(engine: Engine, runs: Path) -> list[Table]:
    """Tables of all runs, all containers and all volumes."""
    containers = Table(
        "container", "run", "role", "status", title="containers", title_justify="left"
    )
    for state in engine.containers():
        containers.add_row(state.name, state.run_id, state.role, state.status)
    volumes = Table("volume", "of", title="volumes", title_justify="left")
    for volume in engine.volumes():
        volumes.add_row(volume.name, volume.run_id or task_data.meaning(volume.name, volume.data))
    return [runs_table(runs), containers, volumes]


def runs_table(runs: Path) -> Table:
    """All runs, each with the best value of its own trials.

    The metric stands in the heading when all runs have the same one, else beside each value.
    """
    run_dirs = [RunDir(path) for path in run_folders(runs)]
    metrics = [_metric(run_dir) for run_dir in run_dirs]
    names = {metric.name for metric in metrics}
    heading = f"best {names.pop()}" if len(names) == 1 else "best"
    table = Table("run", "state", "trials", heading, "verified", title="runs", title_justify="left")
    for run_dir, metric in zip(run_dirs, metrics, strict=True):
        trials = list(read_lines(run_dir.trials, TrialRecord))
        best = best_trial(trials, metric)
        value = "–" if best is None or best.value is None else metric.shown(best.value)
        shown = f"{metric.name} {value}" if heading == "best" and best else value
        if not are_judged(trials, metric):
            shown += f" {UNJUDGED}"
        table.add_row(
            run_dir.path.name, _state(run_dir), str(len(trials)), shown, _verified(run_dir, metric)
        )
    return table


def _verified(run_dir: RunDir, metric: Metric) -> str:
    """The mean that the referee found, or a dash."""
    try:
        result = RunResult.model_validate_json(run_dir.result.read_bytes())
    except (OSError, ValueError):
        return "–"
    found = metric.measured(result.best_verified.value) if result.best_verified else None
    return "–" if found is None else metric.shown(found)


def _metric(run_dir: RunDir) -> Metric:
    """The run's metric; where its spec cannot be read, the one that the first tasks had."""
    try:
        return read_spec(run_dir.path.parent, run_dir.path.name).metric
    except UserError:
        return VAL_BPB


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
    """What a container of the run printed, without protocol messages, or else the run's journal.

    Raises:
        UserError: there is neither a container nor a run of that name.
    """
    container = _container_of(engine.containers(run_id), role)
    if container is not None:
        yield from map(printable, readable(engine.logs(container.id, follow=follow)))
        return
    run_dir = RunDir(runs / run_id)
    if not run_dir.path.exists():
        raise UserError(
            f"reading the log of {run_id}: there is no such run", hint="`make ps` lists the runs"
        )
    yield from (printable(event_line(event)) for event in Journal(run_dir).events())


def _container_of(states: list[ContainerState], role: str) -> ContainerState | None:
    wanted = (role,) if role else CONTESTANTS
    return next((state for state in states if state.role in wanted), None)


def readable(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a log that are for people, from a stream that is cut anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (
            line.decode("utf-8", "replace") for line in lines if not line.startswith(MARK.encode())
        )
    if rest:
        yield rest.decode("utf-8", "replace")


def printable(line: str) -> str:
    """The line without control characters: an agent's text must not control a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)


def event_line(event: Event) -> str:
    """An event of the journal as one line."""
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.at} {event.event:24} {fields}"
