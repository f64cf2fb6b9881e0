"""Who holds which device and who waits for it, and the rules on that.

All of it is plain data and pure functions: no clock, no process and no file is asked here. Whether
somebody is there (`absent`) is seen by signs.py; the queue of all is kept by queue_folder.py.
"""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel, ConfigDict, Field

from runner.devices.names import overlap


class Entry(BaseModel):
    """Somebody who holds a device or waits for one.

    Attributes:
        ticket: a name that no other entry ever has; the sign of life is called after it.
        wants: the devices, any one of which will do, the most welcome first.
        run: the id of the run.
        trial: the trial's number in it; 0 where it is not one trial.
        pid: of the process, for people. No rule is built on it, because numbers are used again.
        asked_at: when it came, ISO 8601, for people.
        device: the one that it has; "" while it waits.
        had_at: when it got it, ISO 8601, for people.
        container: the engine's id of what uses the device; "" before there is one.
        attached: how many containers it has had there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    ticket: str = Field(pattern=r"^[0-9a-f]{32}$")  # it is a part of a file's name
    wants: tuple[str, ...]
    run: str = ""
    trial: int = 0
    pid: int = 0
    asked_at: str = ""
    device: str = ""
    had_at: str = ""
    container: str = ""
    attached: int = 0


class Queue(BaseModel):
    """All entries, in the order in which they came."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entries: tuple[Entry, ...] = ()

    def of(self, ticket: str) -> Entry | None:
        """The entry of this ticket."""
        return next((entry for entry in self.entries if entry.ticket == ticket), None)

    def put(self, entry: Entry) -> Queue:
        """The queue with this entry in the place of the one of its ticket, or else at the end."""
        if self.of(entry.ticket) is None:
            return Queue(entries=(*self.entries, entry))
        return Queue(entries=tuple(entry if e.ticket == entry.ticket else e for e in self.entries))

    def without(self, *tickets: str) -> Queue:
        return Queue(entries=tuple(e for e in self.entries if e.ticket not in tickets))

    def holders(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.device]

    def waiting(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.device]


def in_turn(queue: Queue) -> list[Entry]:
    """Those who wait, in the order in which they are served.

    Who has fewer entries of the same run before it comes first, holders included; of equals, who
    came first. So a run that asks for several trials at a time has one turn in each round, like a
    run that asks for one. An entry without a run is a run of its own.
    """
    before: dict[str, int] = {}
    for entry in queue.holders():
        before[entry.run] = before.get(entry.run, 0) + 1
    ranked = []
    for entry in queue.waiting():
        rank = before.get(entry.run, 0) if entry.run else 0
        before[entry.run] = rank + 1
        ranked.append((rank, entry))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]


def may_take(queue: Queue, ticket: str, absent: Collection[str] = ()) -> str:
    """The device that this waiter may take now, or "".

    Those who wait are served in their order: each would take the first of what it wants that
    overlaps with nothing that is taken. Whoever finds none has all that it wants kept for it, so
    that many who want a few cores each do not hold up for ever one who wants them all. A waiter
    that is absent is passed over, and keeps its place.
    """
    taken = [entry.device for entry in queue.holders()]
    for entry in in_turn(queue):
        free = next((device for device in entry.wants if not _any_overlaps(device, taken)), "")
        if entry.ticket == ticket:
            return free
        if entry.ticket not in absent:
            taken += [free] if free else entry.wants
    return ""


def in_the_way(queue: Queue, ticket: str, absent: Collection[str]) -> list[Entry]:
    """The absent holders without whom this waiter may take what it cannot now, or what it prefers.

    They are all that overlap with what it wants: one of them may never go.
    """
    mine = queue.of(ticket)
    if mine is None:
        return []
    gone = [
        entry
        for entry in queue.holders()
        if entry.ticket in absent and _any_overlaps(entry.device, mine.wants)
    ]
    left = queue.without(*(entry.ticket for entry in gone))
    without_them = may_take(left, ticket, absent)
    return gone if without_them not in ("", may_take(queue, ticket, absent)) else []


def are_held(devices: Collection[str], holders: Collection[Entry]) -> bool:
    """Whether none of these devices is free while these holders have what they have."""
    return all(_any_overlaps(device, [entry.device for entry in holders]) for device in devices)


def ahead(queue: Queue, ticket: str, absent: Collection[str] = ()) -> int:
    """How many who are there wait for one of the same devices and come before this waiter."""
    mine = queue.of(ticket)
    if mine is None or mine.device:
        return 0
    count = 0
    for entry in in_turn(queue):
        if entry.ticket == ticket:
            break
        same = any(_any_overlaps(device, entry.wants) for device in mine.wants)
        count += entry.ticket not in absent and same
    return count


def _any_overlaps(device: str, others: Collection[str]) -> bool:
    return any(overlap(device, other) for other in others)
