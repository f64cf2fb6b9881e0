"""Forwards a trial's output line by line, bounded, so that no line looks like PID 1's message.

The attack that the bound stops, besides a full disk: millions of empty lines. They are a few bytes
here, but the engine, the runner and the contestant's container each handle every line by itself, so
16 MB of them once held a device for 108 s past the trial's limit.
"""

from __future__ import annotations

import os
import select
import sys

from protocol import MARK

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 8 * 1024
LINE_COSTS_BYTES = 64  # of the room, beside its own: passing on a line costs as much as that
_MARK = MARK.encode()


class Forwarder:
    """A pipe that takes the output of a child and forwards it to our standard output.

    Args:
        output_bytes: after so many bytes, `overflowed` is true and nothing more is forwarded. A
            line counts `LINE_COSTS_BYTES` more than it has.
    """

    def __init__(self, output_bytes: int) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._left = output_bytes
        self._partial = b""
        self.overflowed = False

    def close_writer(self) -> None:
        """Close our own copy of the write end, so that the end of the output can be seen."""
        os.close(self.writer)

    def forward(self, timeout_seconds: float) -> None:
        """Forward the output that is ready, or the first that comes within the timeout."""
        select.select([self._reader], [], [], timeout_seconds)
        try:
            chunk = os.read(self._reader, READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._forward(chunk)
        else:  # every writer has closed the pipe: only the child's exit is still to come
            select.select([], [], [], min(timeout_seconds, 0.02))

    def drain(self) -> None:
        """Forward the rest of the pipe and of our buffer, once nobody writes any more."""
        try:
            while not self.overflowed and (chunk := os.read(self._reader, READ_BYTES)):
                self._forward(chunk)
        except BlockingIOError:
            pass
        if self._partial:
            self._print([self._partial])
            self._partial = b""
        sys.stdout.buffer.flush()  # a signal may have interrupted the last flush

    def _forward(self, chunk: bytes) -> None:
        # A carriage return ends a line too: a reader may take the text after it for a line.
        chunk = chunk.replace(b"\r", b"\n")
        self.overflowed = _cost(chunk) > self._left
        if self.overflowed:
            chunk = _fitting(chunk, self._left)
        self._left -= _cost(chunk)
        *lines, rest = (self._partial + chunk).split(b"\n")
        whole = [piece for line in lines for piece in _pieces(line)]
        *pieces, self._partial = _pieces(rest)
        self._print(whole + pieces)

    def _print(self, lines: list[bytes]) -> None:
        safe = (b" " + line if line.startswith(_MARK) else line for line in lines)
        sys.stdout.buffer.write(b"".join(line + b"\n" for line in safe))
        sys.stdout.buffer.flush()


def _cost(chunk: bytes) -> int:
    return len(chunk) + LINE_COSTS_BYTES * chunk.count(b"\n")


def _fitting(chunk: bytes, room: int) -> bytes:
    """The beginning of the chunk that fits into the room."""
    end = 0
    for line in chunk.splitlines(keepends=True):
        cost = _cost(line)
        if cost > room:
            return chunk[: end + min(room, len(line.rstrip(b"\n")))]
        end += len(line)
        room -= cost
    return chunk


def _pieces(line: bytes) -> list[bytes]:
    """Cut the line into pieces of at most `MAX_LINE_BYTES`; an empty line is one empty piece."""
    starts = range(0, max(1, len(line)), MAX_LINE_BYTES)
    return [line[start : start + MAX_LINE_BYTES] for start in starts]
