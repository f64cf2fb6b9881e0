"""Tells a run's containers that their runner is there. Without it, they stop what costs money."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from runner.sandbox.peer import Peer

HEARTBEAT_SECONDS = 15.0
BEATS = 4.0  # at least so many in the time after which a container gives its runner up


class Heartbeats:
    """One thread for all containers of a run. None of them can hold it up: sending never waits.

    The thread stops with the process: a runner that is stopped, or whose machine sleeps, is as
    silent as one that is dead.

    Args:
        peers: the containers; each says itself whether it listens.
        orphan_seconds: the times after which they give their runner up; without any there is
            nothing to do.
    """

    def __init__(self, peers: Iterable[Peer], orphan_seconds: Iterable[float]) -> None:
        self._peers = list(peers)
        self._bounds = [seconds / BEATS for seconds in orphan_seconds]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def begin(self) -> None:
        if self._bounds:
            self._thread.start()

    def end(self) -> None:
        """End the thread; it may be called again, and without `begin`."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(min(HEARTBEAT_SECONDS, *self._bounds)):
            for peer in self._peers:
                peer.beat()
