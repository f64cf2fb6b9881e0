"""A gateway container in its lock, its provider, and the runner's end of both."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, Mount
from runner.wire.messages import MESSAGES, Message, Ready, Start, Started
from runner.wire.protocol import decode, encode

GATEWAY_IMAGE = os.environ.get("BAKEOFF_TEST_GATEWAY_IMAGE", "bakeoff/gateway:0.1.0")
BASE_IMAGE = "bakeoff/base:0.1.0"
REHEARSAL_IMAGE = "bakeoff/rehearsal:0.1.0"
KEY = "sk-the-only-copy-of-the-key"
TOKEN = "the-token-of-this-run"
MODELS = {
    "anthropic": ["claude-opus-4-6", "claude-haiku-4-5"],
    "openai": ["gpt-5.4"],
    "google": ["gemini-3-flash-preview"],
}
STANDIN = Path(__file__).parents[1] / "unit" / "gateway" / "standin.py"
STANDIN_FOLDER = "/run/upstream/standin"
M = TypeVar("M", bound=Message)


@dataclass
class Program:
    """One container, and everything that its PID 1 wrote."""

    engine: Engine
    container: str
    messages: list[Message] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    _channel: Channel | None = None
    _said: threading.Condition = field(default_factory=threading.Condition)

    def up(self) -> None:
        """Starts the container (again) and listens to it."""
        self.hang_up()
        self._channel = self.engine.attach(self.container)
        threading.Thread(target=self._listen, args=(self._channel,), daemon=True).start()
        self.engine.start(self.container)

    def begin(self, config: dict[str, Any]) -> Started:
        """Starts the container, and its program with a config."""
        before = len(self.messages)
        self.up()
        self.next(Ready, before)
        self.say(Start(config))
        return self.next(Started, before)

    def say(self, message: Message) -> None:
        self.send(encode(message))

    def send(self, data: bytes) -> None:
        assert self._channel is not None
        self._channel.send(data)

    def next(self, kind: type[M], after: int = 0, seconds: float = 30) -> M:
        """The first message of this kind from the index `after` on."""
        self.until(lambda: any(isinstance(one, kind) for one in self.messages[after:]), seconds)
        return next(one for one in self.messages[after:] if isinstance(one, kind))

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Waits for a condition on the messages and lines so far."""
        with self._said:
            if not self._said.wait_for(condition, seconds):
                raise AssertionError(
                    f"the condition did not become true: {self.messages} {self.text[-20:]}"
                )

    def heard(self, kind: type[M], least: int = 1) -> list[M]:
        """All messages of a kind, as soon as there are so many.

        Messages and the answers to a client take different ways, so the arrival of an answer does
        not mean that the messages about it have arrived.
        """
        self.until(lambda: len(self._of(kind)) >= least)
        return self._of(kind)

    def line(self, text: str) -> None:
        """Waits for a line for people that contains a text."""
        self.until(lambda: any(text in line for line in self.text))

    def end(self, seconds: float = 20) -> ContainerState:
        state = self.engine.wait_exit(self.container, seconds)
        assert state is not None, "the container still runs"
        return state

    def hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def _of(self, kind: type[M]) -> list[M]:
        return [one for one in self.messages if isinstance(one, kind)]

    def _listen(self, channel: Channel) -> None:
        for is_stdout, line in channel.lines():
            message = decode(line, MESSAGES) if is_stdout else None
            with self._said:
                if message is None:
                    self.text.append(line)
                else:
                    self.messages.append(message)
                self._said.notify_all()


class Rig:
    """The containers and volumes of a made-up run; `close` removes them all."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.run_id = f"test-{uuid.uuid4().hex[:8]}"
        self._programs: list[Program] = []
        self._volumes: list[str] = []

    def config(self, provider: str, **more: Any) -> dict[str, Any]:
        """A start config for the gateway."""
        return {
            "provider": provider,
            "base_url": f"unix://{STANDIN_FOLDER}/model.sock",
            "api_key": KEY,
            "token": TOKEN,
            "models": MODELS[provider],
            "rehearsed": True,
            "deadline_seconds": 600,
        } | more

    def gateway(self, state_bytes: int = 0) -> Program:
        """The gateway's container, as a rehearsed run makes it.

        Args:
            state_bytes: size of a small file system for its state; 0 for a volume.
        """
        mounts = [
            self.mount("gateway", "/run/gateway"),
            self.mount("upstream", "/run/upstream", read_only=True),
        ]
        if not state_bytes:
            mounts.append(self.mount("state", "/state"))
        small = {"/state": state_bytes} if state_bytes else None
        return self.program("gateway", GATEWAY_IMAGE, tuple(mounts), 1 << 30, tmpfs=small)

    def standin(self) -> Program:
        """The stand-in provider, serving.

        It has a folder of its own, because the volume's root belongs to another user.
        """
        made = self.program(
            "standin",
            BASE_IMAGE,
            (self.mount("upstream", "/run/upstream"),),
            command=["python3", f"{STANDIN_FOLDER}/standin.py", f"{STANDIN_FOLDER}/model.sock"],
        )
        program = {f"{Path(STANDIN_FOLDER).name}/standin.py": STANDIN.read_bytes()}
        self.engine.put_files(made.container, "/run/upstream", program)
        made.up()
        made.line("serving")
        return made

    def program(
        self,
        role: str,
        image: str,
        mounts: tuple[Mount, ...],
        memory_bytes: int = 1 << 30,
        command: list[str] | None = None,
        tmpfs: dict[str, int] | None = None,
        entrypoint: list[str] | None = None,
    ) -> Program:
        """A container of this run, not started yet."""
        spec = ContainerSpec(
            name=f"bakeoff-{self.run_id}-{role}",
            image=image,
            run_id=self.run_id,
            role=role,
            command=command,
            entrypoint=entrypoint,
            mounts=mounts,
            tmpfs={"/tmp": 64 << 20} | (tmpfs or {}),
            memory_bytes=memory_bytes,
            cpus=2.0,
        )
        made = Program(self.engine, self.engine.create(spec))
        self._programs.append(made)
        return made

    def mount(self, name: str, target: str, read_only: bool = False) -> Mount:
        """A volume of this run at a place in a container."""
        volume = f"bakeoff-{self.run_id}-{name}"
        if volume not in self._volumes:
            self.engine.create_volume(volume, run_id=self.run_id)
            self._volumes.append(volume)
        return Mount(volume, target, read_only)

    def close(self) -> None:
        for program in self._programs:
            program.hang_up()
            self.engine.remove(program.container)
        for volume in self._volumes:
            self.engine.remove_volume(volume)
