"""A connection to a container that breaks while the container goes on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from runner.engine.channel import Channel
from runner.engine.containers import ContainerSpec, ContainerState
from runner.errors import SandboxError
from runner.sandbox import peer as peers
from runner.sandbox.peer import ConnectionLost, ContainerExited, Inbox, MessageReceived, Peer
from tests.unit.sandbox.scripted_engine import SOON, ScriptedContainer, ScriptedEngine


class BreakingEngine(ScriptedEngine):
    """An engine that loses the first connection to its one container, which goes on or has ended.

    What comes over the second connection is what a container says that was never attached to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = "running"
        self.breaks = threading.Event()
        self.connections: list[ScriptedContainer] = []

    def attach(self, container: str) -> Channel:
        role = self.containers_by_name[container].role
        made = ScriptedContainer(role, self.version)
        if not self.connections:
            made.ends = self.breaks
        self.connections.append(made)
        return made.channel

    def inspect(self, container: str) -> ContainerState | None:
        state = super().inspect(container)
        assert state is not None
        return replace(state, status=self.status)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[BreakingEngine]:
    monkeypatch.setattr(peers, "GOING_SECONDS", 0.0)
    made = BreakingEngine()
    yield made
    for one in [*made.containers_by_name.values(), *made.connections]:
        one.channel.close()
        one.theirs.close()


def _peer(engine: BreakingEngine, inbox: Inbox) -> Peer:
    spec = ContainerSpec("x-agent", "image", "x", "agent")
    made = Peer(engine, spec, {}, inbox, lambda *_: None)
    made.open()
    made.wait_started()
    return made


def test_a_connection_that_is_made_again_is_told_of(engine: BreakingEngine) -> None:
    """What the container said meanwhile is lost, so the run must not wait for it; it is heard on.

    That is no error of the engine's, so that a run whose lives all end so is given up at last.
    """
    inbox: Inbox = queue.Queue()
    made, began = _peer(engine, inbox), time.monotonic()
    engine.breaks.set()
    lost = inbox.get(timeout=SOON)
    assert isinstance(lost, ConnectionLost)
    assert isinstance(lost.error, SandboxError)
    assert began <= lost.since <= time.monotonic()
    again = engine.connections[1]
    again.speaks()
    assert isinstance(inbox.get(timeout=SOON), MessageReceived)
    engine.status = "exited"
    again.ends.set()
    assert isinstance(inbox.get(timeout=SOON), ContainerExited)
    made.close()


def test_a_container_that_ends_loses_no_connection(engine: BreakingEngine) -> None:
    """The end of what it says is that of the container, and nothing was missed."""
    inbox: Inbox = queue.Queue()
    made = _peer(engine, inbox)
    engine.status = "exited"
    engine.breaks.set()
    assert isinstance(inbox.get(timeout=SOON), ContainerExited)
    assert len(engine.connections) == 1
    made.close()
