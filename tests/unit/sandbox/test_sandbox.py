"""How a sandbox's containers are told, stopped and removed, on an engine that is scripted."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from runner.errors import EngineError
from runner.sandbox.peer import ContainerExited, Inbox
from runner.wire.messages import Heartbeat, Start, Stop, TrialLog
from tests.unit.sandbox.scripted_engine import (
    ROLES,
    SOON,
    ScriptedEngine,
    container,
    order,
    sandbox_on,
)


def test_the_agent_ends_before_the_gateway_and_both_before_the_rest(engine: ScriptedEngine) -> None:
    """So that none of its requests is open when the gateway settles; nothing is removed yet."""
    inbox: Inbox = queue.Queue()
    sandbox = sandbox_on(engine, inbox)
    with sandbox:
        engine.did.clear()
        sandbox.end()
        stopped = order(engine, "stopped")
        assert stopped[:2] == ["agent", "gateway"]
        assert sorted(stopped[2:]) == ["judge", "rehearsal"]
        assert order(engine, "remove") == []
        gone = [inbox.get(timeout=SOON) for _ in ROLES]
        assert {one.role for one in gone if isinstance(one, ContainerExited)} == set(ROLES)


def test_containers_that_may_end_together_do(engine: ScriptedEngine) -> None:
    """The judge's end is not waited for before the scripted model is told to stop."""
    both_told = threading.Barrier(2)

    class Meeting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            both_told.wait(timeout)
            return True

    engine.stubborn = {"judge": Meeting(), "rehearsal": Meeting()}
    with sandbox_on(engine) as sandbox:
        sandbox.end()
    assert set(order(engine, "stopped")) == set(ROLES)


def test_one_that_cannot_be_removed_holds_up_no_other(engine: ScriptedEngine) -> None:
    """All others are removed and the run is swept; then the error is told."""
    sandbox = sandbox_on(engine)
    sandbox.__enter__()
    engine.did.clear()
    engine.stays = {"gateway"}
    with pytest.raises(EngineError, match="gateway"):
        sandbox.close()
    assert set(order(engine, "remove")) == set(ROLES)
    assert engine.did[-1] == ("list", "volumes"), "the run's volumes come last"


def test_a_container_that_reads_nothing_holds_up_nobody(engine: ScriptedEngine) -> None:
    """Lines of a log are refused at some time, other messages are not, and the end is quick."""
    with sandbox_on(engine) as sandbox:
        agent, began = sandbox.contestant, time.monotonic()
        taken = [agent.send(TrialLog("r-1", "x" * 2000)) for _ in range(2000)]
        assert taken[0]
        assert not taken[-1]
        assert agent.send(Stop("the run is over", 1.0))
        sandbox.end()
        assert time.monotonic() - began < SOON
        assert not agent.send(Stop("again", 0.0)), "it is gone"


def test_containers_hear_again_and_again_that_their_runner_is_there(engine: ScriptedEngine) -> None:
    """Those that were told what to do without it do; one that reads nothing holds up no other."""
    with sandbox_on(engine, config={"orphan_seconds": 0.2}) as sandbox:
        gateway, agent = container(engine, "gateway"), container(engine, "agent")
        while sandbox.contestant.send(TrialLog("r-1", "x" * 2000)):
            pass  # the agent reads nothing
        assert gateway.heard() == Start({"orphan_seconds": 0.2})
        assert [gateway.heard() for _ in range(3)] == [Heartbeat()] * 3
        assert agent.heard() == Start({"orphan_seconds": 0.2})
        judge = container(engine, "judge")
        assert judge.heard() == Start({})
        sandbox.end()
        judge.channel.drain(SOON)
        judge.theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            judge.theirs.recv(1)


def test_a_container_of_an_earlier_version_is_told_what_it_knows(engine: ScriptedEngine) -> None:
    """A resumed run has its old images: no field that they refuse, and no heartbeat."""
    engine.version = 1
    with sandbox_on(engine, config={"orphan_seconds": 0.2, "run_id": "x"}) as sandbox:
        gateway = container(engine, "gateway")
        assert gateway.heard() == Start({"run_id": "x"})
        gateway.theirs.settimeout(0.3)
        with pytest.raises(TimeoutError):
            gateway.theirs.recv(1)
        assert sandbox.contestant.send(Stop("the run is over", 1.0))


def beating() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "heartbeats" and one.is_alive()]


def test_the_heartbeats_end_with_the_sandbox(engine: ScriptedEngine) -> None:
    """No thread of a run outlives it."""
    with sandbox_on(engine, config={"orphan_seconds": 0.2}):
        (thread,) = beating()
    thread.join(SOON)
    assert not thread.is_alive()


def test_where_nobody_listens_there_is_no_heartbeat(engine: ScriptedEngine) -> None:
    """A judge that stands alone needs no thread for that."""
    with sandbox_on(engine):
        assert beating() == []
