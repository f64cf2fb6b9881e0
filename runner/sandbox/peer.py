"""One long-lived container of a run, and the messages to and from its PID 1."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from runner.configs import known_config
from runner.engine.channel import Channel
from runner.engine.client import STOP_GRACE_SECONDS, Engine
from runner.engine.containers import ContainerSpec
from runner.errors import EngineError, SandboxError
from runner.sandbox.log_lines import LogLines
from runner.wire.messages import MESSAGES, Heartbeat, Message, Ready, Start, Started
from runner.wire.protocol import ProtocolError, decode, encode

STARTED_TIMEOUT_SECONDS = 60.0  # from the container's start to its `started`
SLOW_STARTED_SECONDS = 240.0  # likewise under a runtime that the run chose: gVisor's are slower
EXIT_SECONDS = 5.0  # from the end of its output to its exit code
GOING_SECONDS = 10.0  # from the end of its output to its end; else it is the connection that broke
SENT_SECONDS = 0.5  # for what was sent to it before its end
HEARD_SECONDS = 2.0  # from its end to the last that it said
RECONNECT_SECONDS = 60.0
KEPT_LINES = 9
MAX_LINE_CHARS = 300
HEARTBEAT, HEARTBEAT_VERSION = encode(Heartbeat()), 2


@dataclass(frozen=True)
class MessageReceived:
    """PID 1 of the container with this role sent a message."""

    role: str
    message: Message


@dataclass(frozen=True)
class ContainerExited:
    """The container with this role has ended; `last_lines` is the end of what it printed."""

    role: str
    exit_code: int | None
    last_lines: str


@dataclass(frozen=True)
class ConnectionLost:
    """What a container said after `since` of the monotonic clock may be lost.

    The engine does not answer, so that the container may still run unheard, or the connection was
    made again.
    """

    error: EngineError | SandboxError
    since: float


Inbox = queue.Queue[Any]
Show = Callable[[str, str], None]
Take = Callable[[Message], bool]


class Peer:
    """One long-lived container of a run, and the conversation with its PID 1.

    A thread of its own puts everything that PID 1 says into the run's inbox. It answers every
    `ready` with the same `start`, so that a container that the engine restarted works again.

    Args:
        engine: where the container runs.
        spec: the container.
        config: the `start` config. It may hold the key, so no printable attribute keeps it.
        inbox: gets the events of this container.
        show: is called with (role, line) for each line that it prints for people.
        files: folder → the files to put there before it starts.
        take: is given each message in the thread that reads it; what it takes (True) does not get
            into the inbox.
        waits: its `ready` is answered by `admit` alone, however early it comes.
    """

    def __init__(
        self,
        engine: Engine,
        spec: ContainerSpec,
        config: Mapping[str, Any],
        inbox: Inbox,
        show: Show,
        files: Mapping[str, Mapping[str, bytes]] | None = None,
        take: Take | None = None,
        *,
        waits: bool = False,
    ) -> None:
        self.spec = spec
        self.container = ""
        self._engine = engine
        self._start_line = _start_lines(config)
        self._listens = "orphan_seconds" in config
        self._version = 1
        self._inbox = inbox
        self._show = show
        self._files = files or {}
        self._take = take
        self._life = 0
        self._channel: Channel | None = None
        self._log_lines = LogLines()
        self._started = threading.Event()
        self._exited = threading.Event()
        self._news = threading.Event()  # it has started, it has ended, or it is not wanted
        self._admitting = threading.Lock()
        self._admitted, self._is_ready = not waits, False
        self._closing = False
        self._last_lines: list[str] = []
        self._started_at = ""

    def open(self) -> None:
        """Create the container, put its files into it and start it.

        Raises:
            EngineError: the engine refused.
        """
        self._engine.remove(self.spec.name)  # left by a runner of this run that was killed
        self.container = self._engine.create(self.spec)
        self._check_wanted()
        for folder, files in self._files.items():
            self._engine.put_files(self.container, folder, files)
        self._files = {}  # they lie on volumes; from now on they are the contestant's
        self._channel = self._engine.attach(self.container)
        self._engine.start(self.container)
        self._check_wanted()
        state = self._engine.inspect(self.container)
        self._started_at = state.started_at if state else ""
        threading.Thread(
            target=self._listen, args=(self._life,), name=self.spec.name, daemon=True
        ).start()

    def reopen(self) -> None:
        """Make the container anew, whether or not it still runs, and wait until it has started.

        Nothing is said of the end of the old one any more.

        Raises:
            EngineError: the engine refused.
            SandboxError: the new one did not start.
        """
        self._life += 1
        if self._channel is not None:
            self._channel.close()
        for event in (self._started, self._exited, self._news):
            event.clear()
        self.open()
        self.wait_started()

    def wait_started(self) -> None:
        """Block until the container has sent `started`.

        Raises:
            SandboxError: it ended before that, or sent nothing within `STARTED_TIMEOUT_SECONDS`,
                or `SLOW_STARTED_SECONDS` under another runtime than the engine's own.
        """
        seconds = SLOW_STARTED_SECONDS if self.spec.runtime else STARTED_TIMEOUT_SECONDS
        self._news.wait(seconds)
        if not self._started.is_set():
            exited = self._exited.is_set() or self._closing
            what = "it ended" if exited else f"no answer in {seconds:.0f} s"
            raise SandboxError(
                f"starting {self.spec.name}: {what}; its last lines: {self.last_lines()}",
                hint="`bakeoff --verbose` prints all that the containers say",
            )

    def has_news(self, within_seconds: float) -> bool:
        """Whether by then it has started or ended, or is not wanted."""
        return self._news.wait(within_seconds)

    def admit(self) -> None:
        """Let a container that waits begin: its `ready` is answered, now or when it comes."""
        with self._admitting:
            self._admitted = True
            if self._is_ready:
                self._answer_ready()

    def give_up(self) -> None:
        """Open it no further: whoever does gets an error, and what was made is removed."""
        self._closing = True
        self._news.set()

    def has_exited(self) -> bool:
        """Whether the container has ended, as far as is known."""
        return self._exited.is_set()

    def send(self, message: Message) -> bool:
        """Send a message, without waiting for the container.

        Returns:
            False when it is not on its way: the container is gone, which the inbox tells or will
            tell, or it has not read for long; a line of a log is left out earlier than that.
        """
        channel = self._channel
        if channel is None or self._exited.is_set():
            return False
        try:
            self._log_lines.send(channel, message)
        except (EngineError, ProtocolError):
            return False
        return True

    def beat(self) -> None:
        """Tell the container that its runner is there, if it listens for that and reads at all."""
        channel = self._channel
        if channel is not None and self._listens and self._version >= HEARTBEAT_VERSION:
            with contextlib.suppress(EngineError):
                channel.send(HEARTBEAT, room_bytes=0)

    def last_lines(self) -> str:
        """The end of what the container printed, on one line."""
        return " / ".join(self._last_lines) or "none"

    def end(self, term_seconds: int = STOP_GRACE_SECONDS) -> None:
        """Stop the container, and wait until everything that it said is in the inbox.

        It takes little longer than the container may, in whatever state that is. An engine that
        refuses is no error here: `close` says it.

        Args:
            term_seconds: what the container has between SIGTERM and SIGKILL.
        """
        if self._channel is None:
            return
        self._channel.drain(SENT_SECONDS)
        with contextlib.suppress(EngineError):
            self._engine.stop(self.spec.name, term_seconds)
        self._exited.wait(HEARD_SECONDS)

    def close(self) -> None:
        """Remove the container, which is killed if it still runs.

        Raises:
            EngineError: it could not be removed.
        """
        self._closing = True
        if self._channel is not None:
            self._channel.close()
        self._engine.remove(self.spec.name)

    def _check_wanted(self) -> None:
        """Remove the container that is being opened if it is not wanted any more.

        Raises:
            SandboxError: it is not.
        """
        if self._closing:
            self._engine.remove(self.container)
            raise SandboxError(f"starting {self.spec.name}: it is not wanted any more")

    def _listen(self, life: int) -> None:
        """Read until the container ends; a connection that breaks before that is made again.

        The engine repeats nothing of what was said meanwhile, so that is told as well.
        """
        channel, broken_at = self._channel, time.monotonic()
        try:
            while channel is not None:
                for is_stdout, line in channel.lines():
                    self._handle_line(is_stdout, line)
                if life != self._life:  # another thread listens to the container that replaced it
                    return
                broken_at = time.monotonic()
                channel = None if self._closing else self._reconnect(channel)
                if channel is not None:
                    self._inbox.put(ConnectionLost(self._gap(), broken_at))
            state = None if self._closing else self._engine.wait_exit(self.container, EXIT_SECONDS)
        except EngineError as error:
            self._inbox.put(ConnectionLost(error, broken_at))
            return
        finally:
            if life == self._life:
                self._exited.set()
                self._news.set()
        exit_code = state.exit_code if state else None
        self._inbox.put(ContainerExited(self.spec.role, exit_code, self.last_lines()))

    def _reconnect(self, broken: Channel) -> Channel | None:
        """A new connection to the container if it still runs; None when it has ended.

        One that somebody else has restarted has ended too: its PID 1 is another one, whose `ready`
        nobody heard.

        Raises:
            EngineError: the engine does not answer for `RECONNECT_SECONDS`.
        """
        for attempt in Retrying(
            retry=retry_if_exception_type(EngineError),
            stop=stop_after_delay(RECONNECT_SECONDS),
            wait=wait_fixed(1.0),
            reraise=True,
        ):
            with attempt:
                if self._engine.wait_exit(self.container, GOING_SECONDS) is not None:
                    return None
                state = self._engine.inspect(self.container)
                if state is None or state.started_at != self._started_at:
                    return None
                broken.close()
                self._channel = self._engine.attach(self.container)
                return self._channel
        return None

    def _gap(self) -> SandboxError:
        """No `EngineError`: lives that all end so are to be given up, however long each lasts."""
        broke = "the connection broke, and what it said until the next one is lost"
        return SandboxError(f"reading {self.spec.name}: {broke}")

    def _handle_line(self, is_stdout: bool, line: str) -> None:
        """Answer `ready`, note `started`, show text, and put other messages into the inbox."""
        message: Message | None = None
        if is_stdout:
            try:
                message = decode(line, MESSAGES)
            except ProtocolError as error:
                line = f"a message that cannot be read: {error}"
        if message is None:
            self._last_lines = [*self._last_lines, line[:MAX_LINE_CHARS]][-KEPT_LINES:]
            self._show(self.spec.role, line)
        elif isinstance(message, Ready):
            with self._admitting:
                self._version, self._is_ready = message.version, True
                if self._admitted:
                    self._answer_ready()
        elif isinstance(message, Started):
            self._started.set()
            self._news.set()
        elif self._take is None or not self._take(message):
            self._inbox.put(MessageReceived(self.spec.role, message))

    def _answer_ready(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(EngineError):
                self._channel.send(self._start_line(self._version))


def _start_lines(config: Mapping[str, Any]) -> Callable[[int], bytes]:
    """Makes the line of `start` for a container of some version; the config shows nowhere."""
    return lambda version: encode(Start(known_config(config, version)))
