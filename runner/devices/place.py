"""A place in the queue: coming, waiting, taking the device, and leaving.

Nothing is believed but the newest version of the queue: a place has its device exactly while its
entry there says so. Only its owner changes that, and whoever comes next once the owner is absent
and its container can no longer run.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable

from runner.devices.names import overlap
from runner.devices.queue import Entry, Queue, ahead, are_held, in_the_way, in_turn, may_take
from runner.devices.queue_folder import QueueFolder
from runner.devices.signs import Departures, Sign, Watcher, clear_sign
from runner.errors import HostError
from runner.records.schema import now

LOOK_SECONDS = 0.4  # between two looks of the first who wait
SELDOM_LOOK_SECONDS = 2.0  # of all others; less than what makes a sign of life old (signs.py)
HURRY_SECONDS = 0.2  # after a holder has gone
HURRY_LOOK_SECONDS = 0.02
WATCHED = 4  # so many who wait look often, are woken when a holder goes, and are looked at by all
ASK_SECONDS = 0.5  # between two questions about a container

StillTrains = Callable[[str], bool]


class Place:
    """A place in the queue, from `wait` to `leave`.

    Args:
        queue: the queue.
        wants: the devices, any one of which will do, the most welcome first.
        still_trains: says of a container of theirs whether it may still run. It is asked of others'
            containers, may take long, and is called in a thread of its own.
        run: the id of the run that wants the device.
        trial: the trial's number in it; 0 where it is not one trial.

    Raises:
        HostError: the disk is full, or the folder is not writable.
    """

    def __init__(
        self,
        queue: QueueFolder,
        wants: tuple[str, ...],
        still_trains: StillTrains,
        *,
        run: str = "",
        trial: int = 0,
    ) -> None:
        self._queue = queue
        self._ticket = uuid.uuid4().hex
        self._entry = Entry(
            ticket=self._ticket, wants=wants, run=run, trial=trial, pid=os.getpid(), asked_at=now(),
        )  # fmt: skip
        self._watcher = Watcher(queue.path)
        self._departures = Departures(queue.path)
        self._hurry_until = 0.0
        self._ended = _Ended(still_trains)
        self._attached = 0
        self.sign = Sign(queue.path, self._ticket)

    def wait(self, abandon: threading.Event) -> str:
        """Wait until one of the devices is had, and return it; "" once `abandon` is set.

        Raises:
            HostError: the disk is full, or the folder is not writable.
        """
        number, queue = -1, Queue()
        while not abandon.is_set():
            self.sign.touch()
            if not self._queue.is_newest(number):
                number, queue = self._queue.newest()
            device, before = self._look(queue)
            if device:
                return device
            self._pause(before, queue, abandon)
        return ""

    def _pause(self, before: int, queue: Queue, abandon: threading.Event) -> None:
        """Wait before the next look; the first few in turn are woken when a holder goes.

        Then they look again and again for a moment, because the second is the first once that one
        has taken the device; and so does who comes in that moment, when nobody holds one.
        """
        if before >= WATCHED:
            abandon.wait(SELDOM_LOOK_SECONDS)
        elif time.monotonic() < self._hurry_until or not queue.holders():
            abandon.wait(HURRY_LOOK_SECONDS)
        else:
            self._departures.watch(holder.ticket for holder in queue.holders())
            if self._departures.wait(LOOK_SECONDS):
                self._hurry_until = time.monotonic() + HURRY_SECONDS

    def is_lost(self) -> bool:
        """It has lost its place, and with it the device that it had."""
        return self._queue.read().of(self._ticket) is None

    def attach(self, container: str) -> bool:
        """Write down the container; False if the device is another's by now."""
        self.sign.touch()
        self._attached += 1
        number = self._attached

        def attached(queue: Queue) -> Queue:
            mine = queue.of(self._ticket)
            if mine is None:
                return queue
            return queue.put(mine.model_copy(update={"container": container, "attached": number}))

        return self._queue.change(attached).of(self._ticket) is not None

    def leave(self) -> None:
        """Give back the device, or wait no longer. On a full disk others see that it is gone."""
        with contextlib.suppress(HostError):
            self._queue.change(lambda queue: queue.without(self._ticket))
        self.sign.close()

    def give_up(self) -> None:
        """Leave after an error: if a container was started, it keeps the device until its end.

        The engine may have failed while it still runs.
        """
        if self._attached:
            self.sign.close()
        else:
            self.leave()

    def _look(self, queue: Queue) -> tuple[str, int]:
        """Take a device if one may be taken; else say how many others come before.

        As long as all that is wanted is held by others who are there, only they and the first who
        wait are looked at: of many who wait, each looks at a few signs.
        """
        wants, engaged = self._entry.wants, queue.holders()
        holders = [entry for entry in engaged if any(overlap(entry.device, it) for it in wants)]
        first = in_turn(queue)[:WATCHED]
        watched = (entry.ticket for entry in holders + first if entry.ticket != self._ticket)
        seen = self._watcher.look(watched)
        there = [entry for entry in holders if entry.ticket not in seen.absent]
        if are_held(wants, there) and queue.of(self._ticket) is not None:
            return "", ahead(queue, self._ticket)
        others = (entry.ticket for entry in queue.entries if entry.ticket != self._ticket)
        seen = self._watcher.look(others)
        in_way = in_the_way(queue, self._ticket, seen.absent)
        empty = [holder for holder in in_way if not holder.container]
        for holder in empty + self._ended.among([it for it in in_way if it.container]):
            self._take_away(holder)
        left = [entry.ticket for entry in queue.waiting() if entry.ticket in seen.dead]
        had_at = now()

        def taken(queue: Queue) -> Queue:
            queue = queue.without(*left)
            if queue.of(self._ticket) is None:
                queue = queue.put(self._entry)
            device = may_take(queue, self._ticket, seen.absent)
            if not device:
                return queue
            return queue.put(self._entry.model_copy(update={"device": device, "had_at": had_at}))

        queue = self._queue.change(taken)
        for ticket in left:
            clear_sign(self._queue.path, ticket)
        mine = queue.of(self._ticket)
        return (mine.device if mine else ""), ahead(queue, self._ticket, seen.absent)

    def _take_away(self, holder: Entry) -> None:
        """Take the device from a holder that still is as it was when it was asked about."""

        def without(queue: Queue) -> Queue:
            same = queue.of(holder.ticket) == holder
            return queue.without(holder.ticket) if same else queue

        if self._queue.change(without).of(holder.ticket) is None:
            clear_sign(self._queue.path, holder.ticket)


class _Ended:
    """Which containers of absent holders have ended; asking takes place in a thread.

    Args:
        still_trains: is asked.
    """

    def __init__(self, still_trains: StillTrains) -> None:
        self._still_trains = still_trains
        self._ended: set[Entry] = set()
        self._thread: threading.Thread | None = None
        self._ask_at = 0.0

    def among(self, holders: list[Entry]) -> list[Entry]:
        """Those of these holders whose container is known to run no more; the others are asked."""
        under_way = self._thread is not None and self._thread.is_alive()
        unknown = [holder for holder in holders if holder not in self._ended]
        if unknown and not under_way and time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + ASK_SECONDS
            self._thread = threading.Thread(
                target=self._ask, args=(unknown,), name="container-asked", daemon=True
            )
            self._thread.start()
        return [holder for holder in holders if holder in self._ended]

    def _ask(self, holders: list[Entry]) -> None:
        for holder in holders:
            if not self._still_trains(holder.container):
                self._ended.add(holder)
