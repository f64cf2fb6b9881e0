"""Signs of life: whether those in the queue are there, stopped, or gone.

Everybody in the queue keeps a file of its own: locked as long as its process lives, so that the
kernel says when it has died, and touched again and again, so that others see when it is stopped. No
clock of one process is compared with another's: a sign is old when it has not changed while this
process watched it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.records.files import explained

BEAT_SECONDS = 0.3  # between two touches of one's own file
ABSENT_SECONDS = 4.0  # without a touch
BLIND_SECONDS = 2.5  # between two looks: whoever looks so seldom was itself stopped
LOOKING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # whatever lies there


class Sign:
    """One's own sign of life, from now until `close`.

    Raises:
        HostError: the disk is full, or the folder is not writable.
    """

    def __init__(self, folder: Path, ticket: str) -> None:
        self._path = sign_of(folder, ticket)
        with explained(self._path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o644)
            os.fchmod(self._descriptor, 0o644)  # whatever the umask: others must open it
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def touch(self) -> None:
        with contextlib.suppress(OSError):
            os.utime(self._descriptor)

    @contextlib.contextmanager
    def touched(self) -> Iterator[None]:
        """Touch it in a thread meanwhile."""
        over = threading.Event()

        def touch() -> None:
            while not over.wait(BEAT_SECONDS):
                self.touch()

        thread = threading.Thread(target=touch, name="sign", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)


@dataclass(frozen=True)
class Seen:
    """What a look at several signs told: tickets.

    Attributes:
        dead: their processes have ended.
        absent: those, and the ones that are stopped.
    """

    dead: frozenset[str]
    absent: frozenset[str]


@dataclass(frozen=True)
class _Watched:
    """A sign that was looked at: when it was touched, and since when it is seen unchanged."""

    touched: int
    since: float
    looked_at: float


class Watcher:
    """Looks at the signs of others; it must look again and again to notice that one is old.

    Args:
        folder: where the signs lie.
        now: a clock that only goes forward, seconds.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._now = now
        self._watched: dict[str, _Watched] = {}

    def look(self, tickets: Iterable[str]) -> Seen:
        """Who of these is dead or absent."""
        moment = self._now()
        self._watched = {
            ticket: watched
            for ticket, watched in self._watched.items()
            if moment - watched.looked_at <= BLIND_SECONDS
        }
        dead, absent = set(), set()
        for ticket in tickets:
            touched = touched_at(self._folder, ticket)
            if touched is None:
                dead.add(ticket)
                continue
            before = self._watched.get(ticket)
            since = before.since if before and before.touched == touched else moment
            self._watched[ticket] = _Watched(touched, since, moment)
            if moment - since >= ABSENT_SECONDS:
                absent.add(ticket)
        return Seen(frozenset(dead), frozenset(dead | absent))


class Departures:
    """Wakes whoever waits when a process with a sign has closed it or has ended.

    The kernel tells it: a thread for each sign waits for its lock, and ends with the sign. A
    stopped process keeps its lock, so whoever waits has to look by itself as well.

    Args:
        folder: where the signs lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watched: set[str] = set()
        self._happened = threading.Event()

    def watch(self, tickets: Iterable[str]) -> None:
        """Watch these signs as well; each wakes once."""
        for ticket in set(tickets) - self._watched:
            self._watched.add(ticket)
            threading.Thread(
                target=self._await, args=(ticket,), name="departure", daemon=True
            ).start()

    def wait(self, seconds: float) -> bool:
        """Whether somebody departed since the last call, or does so within these seconds."""
        departed = self._happened.wait(seconds)
        self._happened.clear()
        return departed

    def _await(self, ticket: str) -> None:
        with contextlib.suppress(OSError):
            descriptor = os.open(sign_of(self._folder, ticket), LOOKING)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            finally:
                os.close(descriptor)
        self._happened.set()


def touched_at(folder: Path, ticket: str) -> int | None:
    """When the sign was last touched, in nanoseconds since 1970; None if its process has ended.

    A sign that cannot be read is one that never changes.
    """
    try:
        descriptor = os.open(sign_of(folder, ticket), LOOKING)
    except FileNotFoundError:
        return None
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # its process holds it
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)
    return None


def clear_sign(folder: Path, ticket: str) -> None:
    """Remove what a dead process left."""
    with contextlib.suppress(OSError):
        sign_of(folder, ticket).unlink()


def sign_of(folder: Path, ticket: str) -> Path:
    return folder / f"{ticket}.alive"
