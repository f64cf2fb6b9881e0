"""Lists what there is: runs, devices and who has them, containers, volumes, and logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from runner import task_data
from runner.devices.state import Party, state
from runner.engine.client import Engine
from runner.engine.containers import ContainerState
from runner.errors import HostError, UserError
from runner.records.best import UNJUDGED
from runner.records.journal import Journal
from runner.records.layout import RunDir, container_name
from runner.records.schema import Event
from runner.records.visible import visible_line
from runner.watch import ages
from runner.watch.glance import glances
from runner.watch.words import CONTESTANTS, readable

STOPPED_SECONDS = 10.0  # a process that gave no sign of life for so long is stopped
ENGINE_CHARS = 12  # of its id
UNSAFE = "unsafe, "  # before the state of a run that went on without a proof of its lock
BAR_CELLS = 4  # so that the table fits 80 columns


def engine_tables(engine: Engine) -> list[Table]:
    """Tables of all containers, all volumes and, if there are any, all networks."""
    containers = Table(
        "container", "run", "role", "status", title="containers", title_justify="left"
    )
    for one in engine.containers():
        containers.add_row(one.name, one.run_id, one.role, one.status)
    volumes = Table("volume", "of", title="volumes", title_justify="left")
    for volume in engine.volumes():
        volumes.add_row(volume.name, volume.run_id or task_data.meaning(volume.name, volume.data))
    networks = Table("network", "run", title="networks", title_justify="left")
    for name, run_id in engine.networks().items():
        networks.add_row(name, run_id)
    return [containers, volumes, *([networks] if networks.row_count else [])]


def runs_table(runs: Path, now: datetime | None = None) -> Table:
    """All runs: their state, their best value, their budgets, and their last sign of life.

    The metric stands in the heading when all runs have the same one, else beside each value.
    """
    now = now or ages.present()
    found = glances(runs, now)
    names = {run.metric.name for run in found}
    heading = f"best {names.pop()}" if len(names) == 1 else "best"
    columns = ("run", "state", "trials", heading, "verified", "budget", "spent", "seen")
    table = Table(*columns, title="runs", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.columns[5].no_wrap = True
    for run in found:
        value = "–" if run.best is None else run.metric.shown(run.best)
        shown = f"{run.metric.name} {value}" if heading == "best" and run.best else value
        table.add_row(
            escape(visible_line(run.run_id)),
            escape(visible_line(UNSAFE * run.unsafe + run.state)),
            str(run.trials),
            shown if run.judged else f"{shown} {UNJUDGED}",
            "–" if run.verified is None else run.metric.shown(run.verified),
            "\n".join(share.bar(BAR_CELLS) for share in run.shares) or "–",
            run.usd,
            ages.in_words(ages.seconds_since(run.seen_at, now)),
        )
    return table


def devices_tables(now: datetime, folder: Path | None = None) -> list[Table]:
    """Who has which device, and who waits for it in which order; none if nobody does.

    Args:
        now: the present.
        folder: where the queue of this machine lies, if not at its usual place.
    """
    columns = ("device", "held by", "since", "waiting, in this order")
    table = Table(*columns, title="devices", title_justify="left", box=None, padding=(0, 1, 0, 0))
    try:
        states = state(folder)
    except HostError as error:
        table.add_row("?", escape(visible_line(error.message)), "–", "–")
        return [table]
    several = len({device.engine for device in states}) > 1
    for device in states:
        holder = device.holder
        engine = f" of engine {device.engine[:ENGINE_CHARS]}" if several else ""
        table.add_row(
            escape(visible_line(f"{device.device}{engine}")),
            "–" if holder is None else _party(holder),
            "–" if holder is None else _age(holder, now),
            "\n".join(f"{_party(one)}, {_age(one, now)}" for one in device.waiting) or "–",
        )
    return [table] if states else []


def _party(party: Party) -> str:
    """Who has a device or waits for it, and what is wrong with it."""
    what = f" trial {party.trial}" if party.trial else ""
    said = ""
    if not party.alive:
        said = " (its runner died; held until its container ends)"
    elif party.seen_seconds > STOPPED_SECONDS:
        said = f" (its runner has not moved for {ages.in_words(party.seen_seconds)})"
    return escape(visible_line(f"{party.run or '?'}{what}{said}"))


def _age(party: Party, now: datetime) -> str:
    return ages.in_words(ages.seconds_since(ages.moment(party.since), now))


def log_lines(engine: Engine, runs: Path, run_id: str, *, role: str, follow: bool) -> Iterator[str]:
    """What a container of the run printed, without protocol messages, or else the run's journal.

    Raises:
        UserError: there is neither a container nor a run of that name.
    """
    container = _container_of(engine.containers(run_id), role)
    if container is not None:
        yield from map(visible_line, readable(engine.logs(container.id, follow=follow)))
        return
    run_dir = RunDir(runs / run_id)
    if not run_dir.path.exists():
        raise UserError(
            f"reading the log of {run_id}: there is no such run", hint="`make ps` lists the runs"
        )
    yield from (visible_line(event_line(event)) for event in Journal(run_dir).events())


def _container_of(states: list[ContainerState], role: str) -> ContainerState | None:
    wanted = (role,) if role else CONTESTANTS
    named = (one for one in states if one.name == container_name(one.run_id, one.role))
    return next((state for state in named if state.role in wanted), None)


def event_line(event: Event) -> str:
    """An event of the journal as one line."""
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.at} {event.event:24} {fields}"
