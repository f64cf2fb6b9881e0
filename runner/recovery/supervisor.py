"""Starts the parts of a run again that died by themselves.

A part is a long-lived container: the gateway, the scripted model, the agent or the optimizer. What
it holds lies on its volumes, so it goes on with the same `start`. Only a part that dies again and
again stays dead. The judge is opened again by the trial that needs it (`runner/trials/judging.py`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from runner.errors import BakeoffError
from runner.records.journal import Journal
from runner.sandbox.peer import ContainerExited, Inbox, Peer

MAX_DEATHS = 5  # in a row: of a part that did not live for STEADY_SECONDS in between
STEADY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.5  # before the part is started again; doubled for each death in a row
JOIN_SECONDS = 15.0
MAX_LINES_CHARS = 500


@dataclass(frozen=True)
class PartRestarted:
    """The container with this role runs again."""

    role: str


@dataclass(frozen=True)
class PartNotRestarted:
    """The container with this role could not be started again."""

    role: str
    error: BakeoffError


@dataclass
class _Deaths:
    """How often a part died in a row, and since when it lives; infinite while it does not."""

    in_a_row: int = 0
    lives_since: float = 0.0


class Supervisor:
    """Starts dead parts again, each in a thread of its own that tells the run's inbox.

    Only the run's loop calls it.

    Args:
        peers: the containers of the run.
        journal: the run's.
        inbox: gets `PartRestarted` and `PartNotRestarted`.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        peers: list[Peer],
        journal: Journal,
        inbox: Inbox,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peers = {peer.spec.role: peer for peer in peers}
        self._journal = journal
        self._inbox = inbox
        self._now = now
        self._deaths = {role: _Deaths(lives_since=now()) for role in self._peers}
        self._closing = threading.Event()
        self._restarting: dict[str, threading.Thread] = {}

    def died(self, exited: ContainerExited) -> str | None:
        """A part has ended unasked: start it again, after a pause.

        The end of a part that is being started again is no news: its restart will say so.

        Returns:
            Why it is not started again, or None.
        """
        if self.is_restarting(exited.role):
            return None
        deaths = self._deaths[exited.role]
        if self._now() - deaths.lives_since >= STEADY_SECONDS:
            deaths.in_a_row = 0
        deaths.in_a_row += 1
        deaths.lives_since = math.inf  # until it runs again
        lines = exited.last_lines[:MAX_LINES_CHARS]
        self._journal.write(
            "part.died", role=exited.role, exit_code=exited.exit_code, last_lines=lines,
            deaths_in_a_row=deaths.in_a_row,
        )  # fmt: skip
        if deaths.in_a_row >= MAX_DEATHS:
            return (
                f"the {exited.role} died {MAX_DEATHS} times in a row; exit code "
                f"{exited.exit_code}; last lines: {lines}"
            )
        self._start_again(exited.role, FIRST_PAUSE_SECONDS * 2 ** (deaths.in_a_row - 1))
        return None

    def is_restarting(self, role: str) -> bool:
        """Whether the part is being started again."""
        return role in self._restarting

    def restart_ended(self, role: str) -> None:
        """Note that the restart of a part has come to its end."""
        self._restarting.pop(role, None)

    def restarted(self, role: str) -> ContainerExited | None:
        """Note that the part runs again; returns its end if it has ended already."""
        self.restart_ended(role)
        self._deaths[role].lives_since = self._now()
        self._journal.write("part.restarted", role=role)
        peer = self._peers[role]
        return ContainerExited(role, None, peer.last_lines()) if peer.has_exited() else None

    def close(self) -> None:
        """Start nothing any more, and give up what is being started."""
        self._closing.set()
        for role in self._restarting:
            self._peers[role].give_up()
        for thread in self._restarting.values():
            thread.join(JOIN_SECONDS)

    def _start_again(self, role: str, pause_seconds: float) -> None:
        thread = threading.Thread(
            target=self._reopen, args=(role, pause_seconds), name=f"restart-{role}", daemon=True
        )
        self._restarting[role] = thread
        thread.start()

    def _reopen(self, role: str, pause_seconds: float) -> None:
        if self._closing.wait(pause_seconds):
            return
        try:
            self._peers[role].reopen()
        except BakeoffError as error:
            self._inbox.put(PartNotRestarted(role, error))
        else:
            self._inbox.put(PartRestarted(role))
