"""The runner's end of one container whose PID 1 speaks the protocol, message by message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerState
from runner.wire.messages import MESSAGES, Message, Ready, Start
from runner.wire.protocol import decode, encode

from .container_log import container_log

M = TypeVar("M", bound=Message)


@dataclass
class ProgramEnd:
    """A container that may end and be started again."""

    engine: Engine
    container: str
    channel: Channel | None = field(default=None, init=False)
    lines: Iterator[tuple[bool, str]] = field(default_factory=lambda: iter(()), init=False)

    def start(self, config: dict[str, Any]) -> None:
        """Start the container (again), and give it its config once it is ready."""
        self.hang_up()
        self.channel = self.engine.attach(self.container)
        self.lines = self.channel.lines()
        self.engine.start(self.container)
        self.next(Ready)
        self.say(Start(config))

    def say(self, message: Message) -> None:
        assert self.channel is not None
        self.channel.send(encode(message))

    def next(self, kind: type[M]) -> M:
        """The next message of this kind; a message of another kind before it is a failure."""
        for is_stdout, line in self.lines:
            message = decode(line, MESSAGES) if is_stdout else None
            if message is not None:
                assert isinstance(message, kind), message
                return message
        raise AssertionError(f"the container ended before it said {kind.event}")

    def hang_up(self) -> None:
        if self.channel is not None:
            self.channel.drain(30)
            self.channel.close()

    def end(self, seconds: float = 60) -> ContainerState:
        """The container's state, once it has ended by itself."""
        state = self.engine.wait_exit(self.container, seconds)
        assert state is not None, "the container still runs"
        return state

    def log(self, *words: str) -> str:
        """What `docker logs` shows, once these words are there."""
        return container_log(self.engine, self.container, *words)
