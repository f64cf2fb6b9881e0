"""How a sandbox's containers are told, stopped and removed, on an engine that is scripted."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, EngineInfo, VolumeState
from runner.errors import EngineError, LockError, SandboxError
from runner.sandbox.peer import ContainerExited, Inbox
from runner.sandbox.sandbox import Beside, ContainerPlan, Sandbox
from runner.wire.messages import (
    MESSAGES,
    VERSION,
    Heartbeat,
    Message,
    Ready,
    Start,
    Started,
    Stop,
    TrialLog,
)
from runner.wire.protocol import decode, encode

ROLES = ("judge", "rehearsal", "gateway", "agent")
SOON = 10.0


class ScriptedContainer:
    """PID 1 at the other end of a channel. It says that it has started, and reads nothing."""

    def __init__(self, role: str, version: int) -> None:
        self.role = role
        self.version = version
        self.ends = threading.Event()
        self.is_broken = False  # it ends before it has started
        ours, self.theirs = socket.socketpair()
        self.channel = Channel(ours, self._frames())
        self._read = b""

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        yield 1, encode(Ready(self.role, self.version))
        if not self.is_broken:
            yield 1, encode(Started())
            self.ends.wait(SOON)

    def heard(self) -> Message:
        """The next message that it was sent."""
        self.theirs.settimeout(SOON)
        while b"\n" not in self._read:
            self._read += self.theirs.recv(1 << 16)
        line, _, self._read = self._read.partition(b"\n")
        message = decode(line, MESSAGES)
        assert message is not None
        return message


class ScriptedEngine(Engine):
    """An engine whose containers start at once; `stubborn` ones take a while to be stopped."""

    def __init__(self) -> None:
        self.did: list[tuple[str, str]] = []
        self.containers_by_name: dict[str, ScriptedContainer] = {}
        self.stubborn: Mapping[str, threading.Event] = {}
        self.stays: set[str] = set()
        self.broken: set[str] = set()
        self.starting: Callable[[str], object] = lambda _role: None
        self.version = VERSION
        self._lock = threading.Lock()

    def _note(self, what: str, name: str) -> ScriptedContainer | None:
        role = name.rpartition("-")[2]
        with self._lock:
            self.did.append((what, role))
        return self.containers_by_name.get(name)

    def info(self) -> EngineInfo:
        return EngineInfo("x", "27.0", 8, 10 << 30, gpus=False)

    def create(self, spec: ContainerSpec) -> str:
        made = ScriptedContainer(spec.role, self.version)
        made.is_broken = spec.role in self.broken
        self.containers_by_name[spec.name] = made
        return spec.name

    def attach(self, container: str) -> Channel:
        return self.containers_by_name[container].channel

    def start(self, container: str) -> None:
        self.starting(self.containers_by_name[container].role)

    def inspect(self, container: str) -> ContainerState | None:
        role = self.containers_by_name[container].role
        return ContainerState(container, container, "x", role, "exited", 0, oom_killed=False)

    def stop(self, container: str, timeout_seconds: int = 5) -> None:  # noqa: ARG002 # Engine's
        found = self._note("stop", container)
        assert found is not None
        if found.role in self.stubborn:
            assert self.stubborn[found.role].wait(SOON)
        found.ends.set()
        self._note("stopped", container)

    def remove(self, container: str) -> None:
        found = self._note("remove", container)
        if found is not None and found.role in self.stays:
            raise EngineError(f"removing {container}: refused")

    def create_volume(
        self, name: str, *, run_id: str = "", data: str = "", size_bytes: int | None = None
    ) -> None:
        pass

    def containers(self, run_id: str | None = None) -> list[ContainerState]:  # noqa: ARG002
        return []

    def volumes(self, run_id: str | None = None) -> list[VolumeState]:  # noqa: ARG002
        with self._lock:
            self.did.append(("list", "volumes"))
        return []

    def networks(self, run_id: str | None = None) -> dict[str, str]:  # noqa: ARG002
        return {}


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    made = ScriptedEngine()
    yield made
    for container in made.containers_by_name.values():
        container.channel.close()  # one that was given up early was never attached to
        container.theirs.close()


def sandbox_on(
    engine: Engine,
    inbox: Inbox | None = None,
    config: Mapping[str, Any] | None = None,
    beside: Beside = lambda _: None,
    waits: str = "",
) -> Sandbox:
    """A sandbox in which the gateway and the agent are told this config, and the others none."""
    told = {role: config or {} for role in ("gateway", "agent")}
    plans = [
        ContainerPlan(role, "image", told.get(role, {}), {}, waits=role == waits) for role in ROLES
    ]
    return Sandbox(engine, "x", plans, inbox or queue.Queue(), lambda *_: None, beside)


def order(engine: ScriptedEngine, what: str) -> list[str]:
    return [role for did, role in engine.did if did == what]


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


def container(engine: ScriptedEngine, role: str) -> ScriptedContainer:
    return next(one for one in engine.containers_by_name.values() if one.role == role)


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


def test_all_containers_open_at_once(engine: ScriptedEngine) -> None:
    """Each is started while the others are, and while what is beside them runs."""
    together = threading.Barrier(len(ROLES) + 1)
    engine.starting = lambda _role: together.wait(SOON)
    seen: list[str] = []

    def beside(specs: Mapping[str, ContainerSpec]) -> None:
        together.wait(SOON)
        seen.extend(specs)

    with sandbox_on(engine, beside=beside):
        assert seen == list(ROLES)


def test_one_that_does_not_start_gives_up_the_others(engine: ScriptedEngine) -> None:
    """Its own error is told, and all are removed; nobody waits for one that would take long."""
    gateway_said = threading.Event()
    engine.broken = {"gateway"}

    def slowly(role: str) -> None:
        if role == "agent":
            assert gateway_said.wait(SOON)

    engine.starting = slowly
    sandbox = sandbox_on(engine)
    give_up = sandbox.peers[-1].give_up

    def given_up() -> None:
        give_up()
        gateway_said.set()

    sandbox.peers[-1].give_up = given_up  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(SandboxError, match="bakeoff-x-gateway: it ended"):
        sandbox.__enter__()
    assert time.monotonic() - began < SOON
    assert set(order(engine, "remove")) == set(ROLES)


def test_what_is_beside_can_refuse_the_sandbox(engine: ScriptedEngine) -> None:
    """Its error is told, and every container is removed."""

    def refuse(_specs: Mapping[str, ContainerSpec]) -> None:
        raise LockError("it does not hold")

    with pytest.raises(LockError, match="it does not hold"):
        sandbox_on(engine, beside=refuse).__enter__()
    assert set(order(engine, "remove")) == set(ROLES)


def test_a_container_that_waits_is_told_last(engine: ScriptedEngine) -> None:
    """Until all else has started and what is beside has returned, it hears nothing."""
    heard: list[bool] = []

    def beside(_specs: Mapping[str, ContainerSpec]) -> None:
        while len(engine.containers_by_name) < len(ROLES):
            time.sleep(0.001)
        theirs = container(engine, "agent").theirs
        theirs.settimeout(0.1)
        with pytest.raises(TimeoutError):
            theirs.recv(1)
        heard.append(False)

    with sandbox_on(engine, beside=beside, waits="agent"):
        assert container(engine, "agent").heard() == Start({})
        assert heard == [False]
