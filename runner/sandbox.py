"""A run's containers and volumes, opened together and closed together.

The attack this stops: an agent that wants out. Its container has no interface but loopback; the
one thing that it shares with the gateway is a volume, mounted read-only, with a socket in it; the
provider's key goes to the gateway alone, over its stdin. Everything carries the run's label, so
that nothing is left that a later command could not find.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from runner.channel import Channel
from runner.containers import ContainerSpec, Mount
from runner.engine import Engine
from runner.errors import EngineError, SandboxError
from runner.layout import container_name, volume_name
from runner.protocol import (
    Message,
    ProtocolError,
    Ready,
    Start,
    Started,
    decode,
    encode,
)
from runner.spec import limits

START_SECONDS = 60.0
LAST_WORDS = 8
STOP_SECONDS = 5
RECONNECT_SECONDS = 60.0


@dataclass(frozen=True)
class Heard:
    """A message from PID 1 of the container with this role."""

    role: str
    message: Message


@dataclass(frozen=True)
class Gone:
    """The container with this role has ended."""

    role: str
    exit_code: int | None
    last_words: str


@dataclass(frozen=True)
class Lost:
    """The engine no longer lets us hear a container that may still run: the run must be resumed."""

    error: EngineError


Inbox = queue.Queue[Any]
Show = Callable[[str, str], None]


class Peer:
    """One long-lived container of a run and the talk with its PID 1.

    Everything that it says lands in the run's inbox, from a thread of its own. It answers every
    `ready` with the same `start`, so a container that the engine restarted works again.

    Args:
        engine: where it runs.
        spec: what it is.
        config: the `start` config; may hold the key, so it is in no attribute that gets printed.
        inbox: where its messages go.
        show: is given (role, line) of what it prints for people.
        files: folder → files to put there before it starts.
    """

    def __init__(
        self,
        engine: Engine,
        spec: ContainerSpec,
        config: Mapping[str, Any],
        inbox: Inbox,
        show: Show,
        files: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> None:
        self.spec = spec
        self.container = ""
        self._engine = engine
        self._start_line = encode(Start(dict(config)))
        self._inbox = inbox
        self._show = show
        self._files = files or {}
        self._channel: Channel | None = None
        self._started = threading.Event()
        self._gone = threading.Event()
        self._closing = False
        self._last_words: list[str] = []

    def open(self) -> None:
        """Create the container, fill it and start it.

        Raises:
            EngineError: the engine refused.
        """
        self._engine.remove(self.spec.name)  # left by an earlier life of this run
        self.container = self._engine.create(self.spec)
        for folder, files in self._files.items():
            self._engine.put_files(self.container, folder, files)
        self._channel = self._engine.attach(self.container)
        self._engine.start(self.container)
        threading.Thread(target=self._listen, name=self.spec.name, daemon=True).start()

    def wait_started(self) -> None:
        """Block until its `started`.

        Raises:
            SandboxError: it ended first, or said nothing in time; with its last words.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._started.wait(0.05):
            if self._gone.is_set() or time.monotonic() > deadline:
                what = "it ended" if self._gone.is_set() else f"silent for {START_SECONDS:.0f} s"
                raise SandboxError(
                    f"starting {self.spec.name}: {what}; its last words: {self.last_words()}",
                    hint=f"see `docker logs {self.spec.name}` with a run that is kept",
                )

    def send(self, message: Message) -> bool:
        """Send it; False when the container is gone (its `Gone` is in the inbox or on its way)."""
        if self._channel is None:
            return False
        try:
            self._channel.send(encode(message))
        except (EngineError, ProtocolError):
            return False
        return True

    def last_words(self) -> str:
        return " / ".join(self._last_words) or "none"

    def end(self) -> None:
        """Stop the container and wait until everything that it said is in the inbox."""
        with contextlib.suppress(EngineError):
            self._engine.stop(self.spec.name, STOP_SECONDS)
        self._gone.wait(2 * STOP_SECONDS)

    def close(self) -> None:
        """Stop and remove the container.

        Raises:
            EngineError: it could not be removed.
        """
        self._closing = True
        with contextlib.suppress(EngineError):
            self._engine.stop(self.spec.name, STOP_SECONDS)
        if self._channel is not None:
            self._channel.close()
        self._engine.remove(self.spec.name)

    def _listen(self) -> None:
        """Read until the container ends; a connection that only broke is made again."""
        channel = self._channel
        try:
            while channel is not None:
                for is_stdout, line in channel.lines():
                    self._take(is_stdout, line)
                channel = None if self._closing else self._again(channel)
            state = None if self._closing else self._engine.wait_exit(self.container, 5.0)
        except EngineError as error:
            self._inbox.put(Lost(error))
            return
        finally:
            self._gone.set()
        exit_code = state.exit_code if state else None
        self._inbox.put(Gone(self.spec.role, exit_code, self.last_words()))

    def _again(self, broken: Channel) -> Channel | None:
        """A new connection to a container that still runs; None when it has ended.

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
                if self._engine.wait_exit(self.container, 1.0) is not None:
                    return None
                if self._engine.inspect(self.container) is None:
                    return None
                broken.close()
                self._channel = self._engine.attach(self.container)
                return self._channel
        return None

    def _take(self, is_stdout: bool, line: str) -> None:
        message: Message | None = None
        if is_stdout:
            try:
                message = decode(line)
            except ProtocolError as error:
                line = f"a message that is none: {error}"
        if message is None:
            self._last_words = [*self._last_words[-LAST_WORDS:], line[:300]]
            self._show(self.spec.role, line)
        elif isinstance(message, Ready) and self._channel is not None:
            with contextlib.suppress(EngineError):
                self._channel.send(self._start_line)
        elif isinstance(message, Started):
            self._started.set()
        else:
            self._inbox.put(Heard(self.spec.role, message))


@dataclass(frozen=True)
class Part:
    """One long-lived container to open: its role, image, `start` config, volumes and files.

    `volumes` maps the volume's purpose to (path inside, read-only).
    """

    role: str
    image: str
    config: Mapping[str, Any]
    volumes: Mapping[str, tuple[str, bool]]
    files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"


class Sandbox:
    """All long-lived containers and volumes of one run; a context manager.

    Args:
        engine: where.
        run_id: whose.
        parts: what to open, in order; the last one is the contestant.
        inbox: where the containers' messages go.
        show: is given (role, line) of what they print for people.
    """

    def __init__(
        self, engine: Engine, run_id: str, parts: list[Part], inbox: Inbox, show: Show
    ) -> None:
        self._engine = engine
        self._run_id = run_id
        self._peers = [self._peer(part, inbox, show) for part in parts]
        self._purposes = sorted({purpose for part in parts for purpose in part.volumes})
        self.keep_volumes = False

    @property
    def contestant(self) -> Peer:
        return self._peers[-1]

    def peer(self, role: str) -> Peer | None:
        return next((peer for peer in self._peers if peer.spec.role == role), None)

    def __enter__(self) -> Sandbox:
        """Open everything, each part answering before the next one starts."""
        try:
            for purpose in self._purposes:
                name = volume_name(self._run_id, purpose)
                self._engine.create_volume(name, run_id=self._run_id)
            for peer in self._peers:
                peer.open()
                peer.wait_started()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove every container of the run, and its volumes unless they are to be kept.

        Raises:
            EngineError: something could not be removed; everything else was.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(sweep, self._engine, self._run_id, volumes=not self.keep_volumes)
            for peer in self._peers:  # an exit stack closes the last one first
                stack.callback(peer.close)

    def _peer(self, part: Part, inbox: Inbox, show: Show) -> Peer:
        limit, machine = limits()[part.role], self._engine.info()
        spec = ContainerSpec(
            name=container_name(self._run_id, part.role),
            image=part.image,
            run_id=self._run_id,
            role=part.role,
            environment=part.environment,
            mounts=tuple(
                Mount(volume_name(self._run_id, purpose), path, read_only)
                for purpose, (path, read_only) in part.volumes.items()
            ),
            tmpfs={"/tmp": limit.tmp_mb << 20},
            network=part.network,
            memory_bytes=limit.memory_bytes(machine.memory_bytes),
            cpus=machine.cpus * limit.cpu_share,
            cpu_weight=limit.cpu_weight,
            pids=limit.pids,
        )
        return Peer(self._engine, spec, part.config, inbox, show, part.files)


def sweep(engine: Engine, run_id: str, *, volumes: bool = True) -> int:
    """Remove whatever is left of a run on the engine; the number of things removed."""
    containers = engine.containers(run_id)
    for state in containers:
        engine.remove(state.id)
    left = engine.volumes(run_id) if volumes else []
    for volume in left:
        engine.remove_volume(volume.name)
    return len(containers) + len(left)


def new_token() -> str:
    """A token that only this run's gateway takes; worth nothing anywhere else."""
    return f"bakeoff-{secrets.token_urlsafe(24)}"
