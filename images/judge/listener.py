"""The socket of the judge: takes connections and reads what each says first, its hello.

The attack that it stops: a trial that opens many connections and says little on each keeps nobody
waiting. One thread serves all of them, `MAX_WAITING` at a time, each for `HELLO_SECONDS`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import frames
import steady_clock

MAX_WAITING = 64
HELLO_SECONDS = 10.0
LOOK_SECONDS = 1.0

# Takes the connection, its hello and the moment in which it was complete (seconds since 1970).
OnHello = Callable[[socket.socket, dict[str, Any], float], None]


@dataclass
class Waiting:
    """A connection whose hello is not complete yet."""

    connection: socket.socket
    until: float
    content: bytearray = field(default_factory=bytearray)

    def read(self) -> dict[str, Any] | None:
        """Reads what has come, and no byte beyond the hello; the hello once it is complete.

        Raises:
            FrameError: it is no hello.
            ClosedError: the other end closed the connection.
        """
        wanted = frames.HEADER.size
        if len(self.content) >= wanted:
            wanted += self._length()
        try:
            some = self.connection.recv(wanted - len(self.content))
        except BlockingIOError:
            return None
        if not some:
            raise frames.ClosedError("no hello")
        self.content += some
        if len(self.content) < frames.HEADER.size + 1 or len(self.content) < wanted:
            return None
        return frames.read_json(bytes(self.content[frames.HEADER.size :]))

    def _length(self) -> int:
        kind, length = frames.HEADER.unpack(self.content[: frames.HEADER.size])
        if kind != frames.JSON or not 0 < length <= frames.MAX_JSON_BYTES:
            raise frames.FrameError("no hello")
        return int(length)


class Listener:
    """Listens on a path, in a thread of its own, until it is closed.

    Args:
        path: where the socket is made; one that a former process left is replaced.
        on_hello: is called in that thread with each connection that said a hello.

    Raises:
        OSError: the socket cannot be made there.
    """

    def __init__(self, path: Path, on_hello: OnHello) -> None:
        self.path, self.on_hello = path, on_hello
        path.unlink(missing_ok=True)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        path.chmod(0o666)
        self.listening.listen(MAX_WAITING)
        self.listening.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listening, selectors.EVENT_READ)
        self.waiting: dict[socket.socket, Waiting] = {}
        self.closed = False
        threading.Thread(target=self._serve, name="listener", daemon=True).start()

    def close(self) -> None:
        """Stops listening, within `LOOK_SECONDS`. What was handed over stays open."""
        self.closed = True

    def _serve(self) -> None:
        while not self.closed:
            for key, _ in self.selector.select(LOOK_SECONDS):
                if key.fileobj is self.listening:
                    self._accept()
                else:
                    self._read(self.waiting[key.fileobj])  # type: ignore[index]
            now = time.monotonic()
            for late in [one for one in self.waiting.values() if one.until < now]:
                self._drop(late)
        for one in list(self.waiting.values()):
            self._drop(one)
        self.selector.close()
        self.listening.close()

    def _accept(self) -> None:
        try:
            connection, _ = self.listening.accept()
        except OSError:
            return
        if len(self.waiting) >= MAX_WAITING:
            self._drop(next(iter(self.waiting.values())))
        connection.setblocking(False)
        self.waiting[connection] = Waiting(connection, time.monotonic() + HELLO_SECONDS)
        self.selector.register(connection, selectors.EVENT_READ)

    def _read(self, one: Waiting) -> None:
        try:
            hello = one.read()
        except (frames.FrameError, OSError):
            self._drop(one)
            return
        if hello is not None:
            at = steady_clock.now()
            self._forget(one)
            with contextlib.suppress(OSError):  # a runner that is gone must not end this thread
                self.on_hello(one.connection, hello, at)

    def _drop(self, one: Waiting) -> None:
        self._forget(one)
        one.connection.close()

    def _forget(self, one: Waiting) -> None:
        self.selector.unregister(one.connection)
        del self.waiting[one.connection]


def refuse(connection: socket.socket, reason: str) -> None:
    """Says why, if the other end listens, and closes."""
    answer(connection, {"refused": reason})


def answer(connection: socket.socket, body: dict[str, Any]) -> None:
    """Sends one last JSON object, without waiting, and closes."""
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        frames.send_json(connection, body)
    connection.close()
