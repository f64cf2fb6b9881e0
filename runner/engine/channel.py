"""The stdin and stdout of an attached container: lines come out, bytes go in."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from runner.errors import EngineError

MAX_LINE_BYTES = 1 << 20


class Channel:
    """The stdio of a container's PID 1.

    One thread may read `lines`; any thread may call `send`.

    Args:
        stream: docker-py's file object of the attached connection.
        frames: the output that it carries, as (1 for stdout or 2 for stderr, bytes).
    """

    def __init__(self, stream: Any, frames: Iterator[tuple[int, bytes]]) -> None:
        self._stream = stream
        self._frames = frames
        self._socket = getattr(stream, "_sock", stream)
        self._socket.settimeout(None)
        self._sending = threading.Lock()

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

    def send(self, data: bytes) -> None:
        """Write to PID 1's stdin.

        Raises:
            EngineError: the container has ended, or the connection is lost.
        """
        with self._sending:
            try:
                self._socket.sendall(data)
            except (OSError, ValueError) as error:
                raise EngineError(f"writing to a container: it is gone ({error})") from error

    def close(self) -> None:
        """Close the connection, which ends `lines`; the container goes on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(2)
        # Closing the stream leaves docker-py's socket open, and over TLS its response as well.
        for end in (self._stream, self._socket, getattr(self._socket, "_response", self._stream)):
            with contextlib.suppress(OSError):
                end.close()
