"""What people are shown of the queue: each device, who has it, and who waits for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from runner.devices.queue import Entry, in_turn
from runner.devices.queue_folder import FOLDER, QueueFolder
from runner.devices.signs import touched_at
from runner.records.layout import shared_path


@dataclass(frozen=True)
class Party:
    """Somebody who holds a device or waits for one. All text may be a stranger's.

    Attributes:
        run: the id of the run.
        trial: the trial's number in it; 0 where it is not one trial.
        container: the engine's id of what trains; "" while nothing does.
        pid: of its process.
        since: since when it holds or waits, ISO 8601.
        alive: its process lives. A dead one's device is held as long as its container runs.
        seen_seconds: how long ago it last gave a sign of life; more than some seconds: it is
            stopped.
    """

    run: str
    trial: int
    container: str
    pid: int
    since: str
    alive: bool
    seen_seconds: float


@dataclass(frozen=True)
class DeviceState:
    """A device that somebody holds or waits for.

    Attributes:
        engine: the id of its engine.
        device: its name (runner/devices/names.py): "cpu", "cores-0-3", "gpu-1".
        holder: who has it, or None.
        waiting: who waits, in the order in which they will be served.
    """

    engine: str
    device: str
    holder: Party | None
    waiting: tuple[Party, ...]


def state(folder: Path | None = None) -> list[DeviceState]:
    """All devices of this machine that somebody holds or waits for, by name; for `bakeoff ps`.

    It reads some small files, changes nothing, and takes a millisecond.

    Args:
        folder: where the queue lies; the machine's own by default.

    Raises:
        HostError: the folder cannot be read.
    """
    place = folder or shared_path(FOLDER)
    if not place.is_dir():
        return []
    queue = QueueFolder(place).read()
    parties = {entry.ticket: _party(place, entry) for entry in queue.entries}
    states = []
    for name in sorted({device for entry in queue.entries for device in entry.wants}):
        holder = next((e.ticket for e in queue.holders() if e.device == name), None)
        waiting = [parties[e.ticket] for e in in_turn(queue) if name in e.wants]
        waiting = [party for party in waiting if party.alive]
        if holder or waiting:
            engine, _, device = name.rpartition("/")
            has = parties[holder] if holder else None
            states.append(DeviceState(engine, device, has, tuple(waiting)))
    return states


def _party(folder: Path, entry: Entry) -> Party:
    touched = touched_at(folder, entry.ticket)
    ago = 0.0 if touched is None else max(0.0, time.time() - touched / 1e9)
    return Party(
        run=entry.run, trial=entry.trial, container=entry.container, pid=entry.pid,
        since=entry.had_at or entry.asked_at, alive=touched is not None, seen_seconds=ago,
    )  # fmt: skip
