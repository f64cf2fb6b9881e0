"""The stdin and stdout of an attached container: lines come out, bytes go in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from runner.engine.outbox import ROOM_BYTES, Outbox
from runner.errors import EngineError

MAX_LINE_BYTES = 1 << 20
LAST_SECONDS = 0.2  # for what was sent just before the connection is closed


class Channel:
    """The stdio of a container's PID 1.

    One thread may read `lines`; any thread may call `send`, which never waits for the container.

    Args:
        stream: docker-py's file object of the attached connection.
        frames: the output that it carries, as (1 for stdout or 2 for stderr, bytes).
    """

    def __init__(self, stream: Any, frames: Iterator[tuple[int, bytes]]) -> None:
        self._stream = stream
        self._frames = frames
        self._socket = getattr(stream, "_sock", stream)
        self._socket.settimeout(None)
        self._outbox = Outbox(lambda data: self._socket.sendall(data))

    def lines(self) -> Iterator[tuple[bool, str]]:
        """Each whole line as (is_stdout, text), until the container ends or `close`.

        A line longer than 1 MiB comes in pieces, so that memory stays bounded.
        """
        buffers = {1: bytearray(), 2: bytearray()}
        with contextlib.suppress(OSError, ValueError):
            for number, chunk in self._frames:
                buffer = buffers.setdefault(number, bytearray())
                buffer += chunk
                if b"\n" in chunk or len(buffer) > MAX_LINE_BYTES:  # otherwise no line has ended
                    yield from self._cut(number == 1, buffer)
        for number, buffer in buffers.items():
            if buffer:
                yield number == 1, buffer.decode("utf-8", "replace")

    @staticmethod
    def _cut(is_stdout: bool, buffer: bytearray) -> Iterator[tuple[bool, str]]:
        while (end := buffer.find(b"\n")) >= 0:
            yield is_stdout, bytes(buffer[:end]).decode("utf-8", "replace").rstrip("\r")
            del buffer[: end + 1]
        if len(buffer) > MAX_LINE_BYTES:
            yield is_stdout, buffer.decode("utf-8", "replace")
            buffer.clear()

    def send(self, data: bytes, room_bytes: int = ROOM_BYTES) -> None:
        """Write to PID 1's stdin, in the order of the calls. A thread of the channel's does it.

        Args:
            data: written whole.
            room_bytes: how much may wait with it, where something waits already.

        Raises:
            EngineError: the container has ended, the connection is lost, or it does not read.
        """
        refused = self._outbox.put(data, room_bytes)
        if refused:
            raise EngineError(f"writing to a container: it is gone or does not listen ({refused})")

    def drain(self, timeout_seconds: float) -> bool:
        """Wait until all that was sent is written; False when that takes longer."""
        return self._outbox.drain(timeout_seconds)

    def close(self) -> None:
        """Close the connection, which ends `lines` and the writing; the container goes on.

        What was sent just before is still written, unless the container does not read it.
        """
        self._outbox.drain(LAST_SECONDS)
        self._outbox.close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(2)
        # Closing the stream leaves docker-py's socket open, and over TLS its response as well.
        for end in (self._stream, self._socket, getattr(self._socket, "_response", self._stream)):
            with contextlib.suppress(OSError):
                end.close()
