"""An engine whose containers are scripted, and a sandbox on it."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, EngineInfo, VolumeState
from runner.errors import EngineError
from runner.sandbox.opening import Proof
from runner.sandbox.peer import Inbox
from runner.sandbox.sandbox import ContainerPlan, Sandbox
from runner.wire.messages import MESSAGES, VERSION, Message, Problem, Ready, Started
from runner.wire.protocol import decode, encode

ROLES = ("judge", "rehearsal", "gateway", "agent")
SOON = 10.0


class ScriptedContainer:
    """PID 1 at the other end of a channel. It says that it has started, and reads nothing."""

    def __init__(self, role: str, version: int) -> None:
        self.role = role
        self.version = version
        self.ends = threading.Event()
        self._said: queue.Queue[bytes] = queue.Queue()
        self.is_broken = False  # it ends before it has started
        ours, self.theirs = socket.socketpair()
        self.channel = Channel(ours, self._frames())
        self._read = b""

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        yield 1, encode(Ready(self.role, self.version))
        if not self.is_broken:
            yield 1, encode(Started())
            while not self.ends.is_set():
                with contextlib.suppress(queue.Empty):
                    yield 1, self._said.get(timeout=0.02)

    def speaks(self) -> None:
        """Say something that its runner need not answer."""
        self._said.put(encode(Problem("a test", "nothing is wrong")))

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
        self.did.append(("create", spec.role))
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


def sandbox_on(
    engine: Engine,
    inbox: Inbox | None = None,
    config: Mapping[str, Any] | None = None,
    prove: Proof = lambda _: contextlib.nullcontext(),
    opened: Callable[[], None] = lambda: None,
    *,
    early: bool = False,
) -> Sandbox:
    """A sandbox in which the gateway and the agent are told this config, and the others none.

    As in a run, the gateway awaits the proof, and the judge is needed late.
    """
    told = {role: config or {} for role in ("gateway", "agent")}
    plans = [
        ContainerPlan(
            role, "image", told.get(role, {}), {},
            awaits_proof=role == "gateway", needed_late=role == "judge",
        )
        for role in ROLES
    ]  # fmt: skip
    inbox = inbox or queue.Queue()
    return Sandbox(engine, "x", plans, inbox, lambda *_: None, prove, opened, early=early)


def order(engine: ScriptedEngine, what: str) -> list[str]:
    return [role for did, role in engine.did if did == what]


def container(engine: ScriptedEngine, role: str) -> ScriptedContainer:
    return next(one for one in engine.containers_by_name.values() if one.role == role)
