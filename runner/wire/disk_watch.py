"""Watches what a container's volumes take, and says when that passes a bound.

Looking at the free space of the file system costs microseconds and is done twice a second. Walking
through the folders costs more, so it is done seldom: after some seconds, the later the longer the
last walk took, and at once where free space has fallen by half of what was left up to the bound.
Standard library only: this file is copied into every image.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from disk_use import NAMES_PER_FILE, DiskBound, DiskUse, measure

LOOK_SECONDS = 0.5
WALK_SECONDS = 10.0  # from one walk to the next, when little happens
WALKS_SHARE = 20.0  # a walk comes after at least so many times the seconds that the last one took
LEAST_STEP = DiskBound(max_bytes=32 << 20, max_files=2_000)  # lost between two walks
# Who begins over the bound may still write this share of it, so that there is room to clear up.
SPARE_SHARE = 1 / 16
# Less free than this share of its file system: what is lost there without a trace is held against
# the container. Files can be held in ways that no other process sees, and others write there too.
SCARCE_SHARE = 0.05
SCARCE_BOUNDS = 2.0  # and less than so many times the bound, on a large disk
UNSEEN = "files that only the file system's free space shows"
ANY_BYTES = 1 << 62


@dataclass(frozen=True)
class Room:
    """What is free on a file system, in bytes and in inodes, and its size in bytes."""

    bytes: int
    files: int
    all_bytes: int


NO_ROOM = Room(0, 0, 0)


def room_of(place: str) -> Room:
    """The room on the file system of a folder; statvfs(3).

    Raises:
        OSError: the folder is gone.
    """
    found = os.statvfs(place)
    size = found.f_frsize
    return Room(found.f_bavail * size, found.f_favail, found.f_blocks * size)


@dataclass
class Pace:
    """When the next walk is due.

    Args:
        bound: half of what is left up to it may be lost between two walks.
    """

    bound: DiskBound
    _room: Room = field(default=NO_ROOM, init=False)
    _step: DiskBound = field(default=LEAST_STEP, init=False)
    _earliest: float = field(default=0.0, init=False)
    _latest: float = field(default=0.0, init=False)

    def walked(self, use: DiskUse, room: Room, began: float, ended: float) -> None:
        """Learn what a walk found, what was free then, and its two moments in seconds."""
        left_bytes, left_files = self.bound.max_bytes - use.bytes, self.bound.max_files - use.files
        self._room = room
        self._step = DiskBound(
            max(LEAST_STEP.max_bytes, left_bytes // 2), max(LEAST_STEP.max_files, left_files // 2)
        )
        self._earliest = ended + (ended - began)
        self._latest = ended + max(WALK_SECONDS, WALKS_SHARE * (ended - began))

    def is_due(self, room: Room, now: float) -> bool:
        """Whether to walk now, by what is free."""
        lost_bytes, lost_files = self._room.bytes - room.bytes, self._room.files - room.files
        falls = lost_bytes >= self._step.max_bytes or lost_files >= self._step.max_files
        return now >= self._latest or (falls and now >= self._earliest)


def raised(bound: DiskBound, use: DiskUse) -> DiskBound:
    """The bound for a container that begins with this use: a little more where it is passed."""
    if not use.passes(bound):
        return bound
    most_files = max(use.files, use.names // NAMES_PER_FILE)
    return DiskBound(
        max(bound.max_bytes, use.bytes + int(bound.max_bytes * SPARE_SHARE)),
        max(bound.max_files, most_files + int(bound.max_files * SPARE_SHARE)),
    )


def unseen(bound: DiskBound, began: Room, room: Room, grown_bytes: int) -> int:
    """How many bytes the file system lost that no walk has seen; 0 unless they count.

    Args:
        bound: what is lost counts only beyond it.
        began: what was free at the beginning.
        room: what is free now; what is lost counts only where that is little.
        grown_bytes: by how much the folders were seen to have grown meanwhile.
    """
    lost = began.bytes - room.bytes - max(0, grown_bytes)
    scarce = min(SCARCE_SHARE * room.all_bytes, SCARCE_BOUNDS * bound.max_bytes)
    counts = lost > bound.max_bytes and room.bytes < scarce
    return lost if counts else 0


class DiskWatch:
    """Watches folders in a thread of its own, from `arm` to `disarm`, again and again.

    Args:
        places: the folders, on one file system or on several.
        bound: what they may take together.
        on_passed: is called in that thread with what was seen, once for each `arm`.
    """

    def __init__(
        self, places: Sequence[str], bound: DiskBound, on_passed: Callable[[DiskUse], None]
    ) -> None:
        self.bound = bound
        self._places = places
        self._on_passed = on_passed
        self._armed = threading.Event()
        self._thread: threading.Thread | None = None
        self._may_take = bound
        self._pace = Pace(bound)
        self._began = (DiskUse(), NO_ROOM)

    @property
    def armed(self) -> bool:
        """Whether it watches, and has not found the bound passed since."""
        return self._armed.is_set()

    def arm(self, known: DiskUse | None = None) -> None:
        """Begin to watch, with what there is now; `known` is that, where it was just measured."""
        self._armed.clear()
        moment = time.monotonic()
        use, room = known or self.at_rest(), self._room()
        self._began = use, room
        self._may_take = raised(self.bound, use)
        self._pace = Pace(self._may_take)
        self._pace.walked(use, room, moment, time.monotonic())
        self._armed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
            self._thread.start()

    def disarm(self) -> None:
        """Watch no longer."""
        self._armed.clear()

    def at_rest(self) -> DiskUse:
        """What the folders take, while nothing writes there: all of it, whatever the bound."""
        return measure(self._places, DiskBound(ANY_BYTES, NAMES_PER_FILE * self.bound.max_files))

    def _run(self) -> None:
        while self._armed.wait():
            time.sleep(LOOK_SECONDS)
            pace, may_take = self._pace, self._may_take
            if not self._armed.is_set() or not pace.is_due(self._room(), time.monotonic()):
                continue
            use = self._walk(pace, may_take)
            if use is not None and pace is self._pace and self._armed.is_set():
                self._armed.clear()
                self._on_passed(use)

    def _walk(self, pace: Pace, may_take: DiskBound) -> DiskUse | None:
        """What was seen if that is too much, else None."""
        moment, room = time.monotonic(), self._room()
        use = measure(self._places, may_take)
        pace.walked(use, room, moment, time.monotonic())
        if not use.whole:
            return use
        before, began = self._began
        lost = unseen(self.bound, began, room, use.bytes - before.bytes)
        return replace(use, bytes=lost, path=UNSEEN) if lost else None

    def _room(self) -> Room:
        return min(map(room_of, self._places), key=lambda room: room.bytes)
