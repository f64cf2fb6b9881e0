"""An agent's container as the runner makes it, driven message by message from a test."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, TypeVar

import docker

from runner.agents import load_agent
from runner.build import images
from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, Mount
from runner.engine.lockdown import UID
from runner.records.layout import LABEL_RUN
from runner.wire.messages import (
    MESSAGES,
    Message,
    Ready,
    Start,
    Started,
    TurnFinished,
    TurnInterrupt,
    TurnStart,
)
from runner.wire.protocol import decode, encode

from .container_log import container_log

FILES = {"train.py": b"print('training')\n", "program.md": b"Read me first.\n"}
WAIT_SECONDS = 120.0  # for what comes soon on an idle machine
MAX_TRANSCRIPT_BYTES = 64 << 20
M = TypeVar("M", bound=Message)


class AgentBox:
    """One agent container with its three volumes, and what its PID 1 says."""

    def __init__(self, engine: Engine, image: str, home_bytes: int | None = None) -> None:
        self.engine = engine
        self.run_id = f"test-{uuid.uuid4().hex[:8]}"
        self.messages: list[Message] = []
        self.stderr: list[str] = []
        self._arrived: queue.Queue[Message] = queue.Queue()
        self._turn = 0
        for name in ("workspace", "home", "gateway"):
            if name == "home" and home_bytes is not None:
                self._create_small_volume(self._volume(name), home_bytes)
            else:
                engine.create_volume(self._volume(name), run_id=self.run_id)
        mounts = (
            Mount(self._volume("workspace"), "/workspace"),
            Mount(self._volume("home"), "/home/agent"),
            Mount(self._volume("gateway"), "/run/gateway", read_only=True),
        )
        self.container = engine.create(
            ContainerSpec(
                f"bakeoff-{self.run_id}-agent", image, self.run_id, "agent",
                mounts=mounts, tmpfs={"/tmp": 64 << 20},  # the container's own /tmp
            )
        )  # fmt: skip
        engine.put_files(self.container, "/workspace", FILES)
        self.channel = self._attach()
        engine.start(self.container)

    def start(self, deadline_seconds: float = 3600, **more: Any) -> Started:
        """Bring agentd to work, with more fields of its config; its answer."""
        self.wait_for(Ready)
        config = {
            "run_id": self.run_id, "branch": f"bakeoff/{self.run_id}", "metric": "val_bpb",
            "direction": "minimize", "deadline_seconds": deadline_seconds, **more,
        }  # fmt: skip
        self.send(Start(config))
        return self.wait_for(Started)

    def send(self, message: Message) -> None:
        self.channel.send(encode(message))

    def wait_for(self, kind: type[M] | tuple[type[M], ...], seconds: float = WAIT_SECONDS) -> M:
        """The next message of that kind, or of one of those; others on the way are passed over."""
        until = time.monotonic() + seconds
        while True:
            try:
                message = self._arrived.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                tail = "\n".join(self.stderr[-20:])
                raise TimeoutError(f"no {kind} within {seconds} s\n{tail}") from None
            if isinstance(message, kind):
                return message

    def begin(self, script: str) -> int:
        """Start a turn that is a shell script instead of a CLI; its number."""
        return self.begin_turn(["bash", "-c", script])

    def begin_turn(self, argv: list[str], env: dict[str, str] | None = None) -> int:
        self._turn += 1
        self.send(TurnStart(self._turn, argv, env or {}))
        return self._turn

    def end_of_turn(self, seconds: float = WAIT_SECONDS) -> TurnFinished:
        """Wait for the turn's end; its transcript may be gone."""
        return self.wait_for(TurnFinished, seconds)

    def end(self, seconds: float = WAIT_SECONDS) -> tuple[TurnFinished, str]:
        """Wait for the turn's end; what it printed."""
        finished = self.end_of_turn(seconds)
        return finished, self.read(finished.transcript)

    def shell(self, script: str) -> str:
        """What a shell script prints, run as the agent; it must exit with 0."""
        self.begin(script)
        finished, printed = self.end()
        assert finished.exit_code == 0, (finished, printed)
        return printed

    def read(self, path: str) -> str:
        """A file of the container as text."""
        data = self.engine.get_file(self.container, path, MAX_TRANSCRIPT_BYTES)
        assert data is not None, path
        return data.decode("utf-8", "replace")

    def wait_for_file(self, path: str, seconds: float = WAIT_SECONDS) -> str:
        """A file's text as soon as there is any."""
        until = time.monotonic() + seconds
        while not (data := self.engine.get_file(self.container, path, MAX_TRANSCRIPT_BYTES)):
            assert time.monotonic() < until, f"no {path} within {seconds} s"
            time.sleep(0.2)
        return data.decode("utf-8", "replace")

    def interrupt_after_output(self) -> None:
        """End the running turn once its CLI has begun to print."""
        self.wait_for_file(f"/home/agent/.bakeoff/transcript-{self._turn}.jsonl", 90)
        self.send(TurnInterrupt("the test says so"))

    def leave(self) -> None:
        """Close the channel, as a runner that dies does; what was sent has arrived."""
        self.channel.drain(30)
        self.channel.close()

    def come_back(self) -> None:
        self.channel.close()
        self.channel = self._attach()

    def exited(self, seconds: float = WAIT_SECONDS) -> ContainerState:
        """The container's state after its own end."""
        state = self.engine.wait_exit(self.container, seconds)
        assert state is not None, "\n".join(self.stderr[-20:])
        return state

    def log(self, *words: str) -> str:
        """What `docker logs` shows, once these words are there."""
        return container_log(self.engine, self.container, *words)

    def add(self, role: str, image: str, command: list[str] | None, target: str) -> str:
        """Create a second container that shares the gateway volume at `target`; not started."""
        return self.engine.create(
            ContainerSpec(
                f"bakeoff-{self.run_id}-{role}", image, self.run_id, role, command=command,
                mounts=(Mount(self._volume("gateway"), target),), tmpfs={"/tmp": 16 << 20},
            )
        )  # fmt: skip

    def remove(self) -> None:
        """Leave nothing of this box on the engine."""
        with contextlib.suppress(OSError):
            self.channel.close()
        for state in self.engine.containers(self.run_id):
            self.engine.remove(state.id)
        for volume in self.engine.volumes(self.run_id):
            self.engine.remove_volume(volume.name)
        assert not self.engine.containers(self.run_id)
        assert not self.engine.volumes(self.run_id)

    def _create_small_volume(self, name: str, size_bytes: int) -> None:
        """A volume that is full after so many bytes: in memory, of the containers' user."""
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size_bytes},uid={UID}"}
        client = docker.from_env()
        try:
            client.volumes.create(name, driver_opts=options, labels={LABEL_RUN: self.run_id})
        finally:
            client.close()

    def _volume(self, name: str) -> str:
        return f"bakeoff-{self.run_id}-{name}"

    def _attach(self) -> Channel:
        channel = self.engine.attach(self.container)
        threading.Thread(target=self._listen, args=(channel,), daemon=True).start()
        return channel

    def _listen(self, channel: Channel) -> None:
        for is_stdout, line in channel.lines():
            message = decode(line, MESSAGES) if is_stdout else None
            if message is None:
                self.stderr.append(line)
            else:
                self.messages.append(message)
                self._arrived.put(message)


def agent_image(agent: str) -> str:
    """The tag of the image of that agent's CLI."""
    return images.load_table()[f"agent-{load_agent(agent).spec.cli}"].tag


@contextlib.contextmanager
def agent_box(
    engine: Engine, agent: str = "gemini", home_bytes: int | None = None
) -> Iterator[AgentBox]:
    """A box of that agent's image, removed afterwards; its home may be full after some bytes."""
    box = AgentBox(engine, agent_image(agent), home_bytes)
    try:
        yield box
    finally:
        box.remove()
