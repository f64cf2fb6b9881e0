"""Parts that die: how often they are started again, and one restart at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runner.engine.containers import ContainerSpec
from runner.errors import BakeoffError, SandboxError
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.recovery import supervisor
from runner.recovery.supervisor import (
    MAX_DEATHS,
    STEADY_SECONDS,
    PartNotRestarted,
    PartRestarted,
    Supervisor,
)
from runner.sandbox.peer import ContainerExited, Peer
from tests.unit.run.rig import Hands

EVENT_SECONDS = 10.0
DIED = ContainerExited("gateway", 137, "out of memory")


class RestartingPeer(Peer):
    """A container whose restart a test controls."""

    def __init__(self) -> None:
        self.spec = ContainerSpec("name", "image", "run", "gateway")
        self.fault: BakeoffError | None = None
        self.exited = False
        self.opened = 0
        self.given_up = threading.Event()
        self.may_open = threading.Event()
        self.may_open.set()

    def reopen(self) -> None:
        self.opened += 1
        while not self.may_open.wait(0.01):
            if self.given_up.is_set():
                raise SandboxError("starting the gateway: it is not wanted any more")
        if self.fault is not None:
            raise self.fault

    def give_up(self) -> None:
        self.given_up.set()

    def has_exited(self) -> bool:
        return self.exited

    def last_lines(self) -> str:
        return "its last lines"


class Rig:
    """A supervisor of one part."""

    def __init__(self, run_dir: RunDir) -> None:
        self.peer = RestartingPeer()
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.hands = Hands()
        self.journal = Journal(run_dir)
        self.supervisor = Supervisor([self.peer], self.journal, self.inbox, self.hands)

    def event(self) -> Any:
        """What a restart came to."""
        return self.inbox.get(timeout=EVENT_SECONDS)

    def in_a_row(self) -> list[int]:
        events = self.journal.events()
        return [e.fields["deaths_in_a_row"] for e in events if e.event == "part.died"]


@pytest.fixture
def rig(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Its restarts come without a pause."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.0)
    made = Rig(run_dir)
    yield made
    made.supervisor.close()


def test_an_end_during_a_restart_is_no_second_death(rig: Rig) -> None:
    """The new container ended before it had started: its restart says so, once."""
    rig.peer.may_open.clear()
    assert rig.supervisor.died(DIED) is None
    assert rig.supervisor.is_restarting("gateway")
    assert rig.supervisor.died(DIED) is None
    rig.peer.may_open.set()
    assert rig.event() == PartRestarted("gateway")
    assert (rig.peer.opened, rig.in_a_row()) == (1, [1])


def test_a_part_that_died_again_at_once_is_known(rig: Rig) -> None:
    """Its end may be told before its restart is, and would be passed over."""
    rig.supervisor.died(DIED)
    rig.event()
    rig.peer.exited = True
    again = rig.supervisor.restarted("gateway")
    assert again == ContainerExited("gateway", None, "its last lines")
    assert not rig.supervisor.is_restarting("gateway")


def test_restarts_that_fail_count_however_long_they_take(rig: Rig) -> None:
    """A part that lived for long and cannot be started any more is given up."""
    rig.hands.at = 2 * STEADY_SECONDS
    rig.peer.fault = SandboxError("starting the gateway: no answer in 60 s")
    why = rig.supervisor.died(DIED)
    for _ in range(MAX_DEATHS - 1):
        assert why is None
        assert isinstance(rig.event(), PartNotRestarted)
        rig.hands.at += 2 * STEADY_SECONDS
        rig.supervisor.restart_ended("gateway")
        why = rig.supervisor.died(DIED)
    assert why is not None
    assert "out of memory" in why
    assert rig.in_a_row() == list(range(1, MAX_DEATHS + 1))


def test_a_part_that_lived_for_long_begins_anew(rig: Rig) -> None:
    """One death an hour ends nothing."""
    for _ in range(2 * MAX_DEATHS):
        rig.hands.at += STEADY_SECONDS
        assert rig.supervisor.died(DIED) is None
        assert rig.event() == PartRestarted("gateway")
        assert rig.supervisor.restarted("gateway") is None
    assert set(rig.in_a_row()) == {1}


def test_a_restart_is_given_up_at_the_end(rig: Rig) -> None:
    """Nobody waits for a container that hangs, and none is left behind."""
    rig.peer.may_open.clear()
    rig.supervisor.died(DIED)
    rig.supervisor.close()
    assert rig.peer.given_up.is_set()
    assert isinstance(rig.event(), PartNotRestarted)
