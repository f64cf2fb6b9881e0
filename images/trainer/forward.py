"""A trial's output, line by line, bounded, and never to be mistaken for a message of PID 1."""

from __future__ import annotations

import os
import select
import sys

from protocol import MARK

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 8 * 1024
_MARK = MARK.encode()


class Forwarder:
    """A pipe whose writer end a child gets, and what came out of it.

    Args:
        output_bytes: after so many bytes `overflowed` is true and nothing more is forwarded.
    """

    def __init__(self, output_bytes: int) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._left = output_bytes
        self._partial = b""
        self.overflowed = False

    def close_writer(self) -> None:
        """The parent's own copy of the writer end, so that an end of the output can be seen."""
        os.close(self.writer)

    def forward(self, timeout_seconds: float) -> None:
        """Forwards what there is, waiting for the first of it; returns early when there is some."""
        select.select([self._reader], [], [], timeout_seconds)
        try:
            chunk = os.read(self._reader, READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._take(chunk)
        else:  # closed by all: only the child's exit is left to wait for
            select.select([], [], [], min(timeout_seconds, 0.02))

    def drain(self) -> None:
        """Forwards what is left in the pipe, once nobody can write to it any more."""
        try:
            while not self.overflowed and (chunk := os.read(self._reader, READ_BYTES)):
                self._take(chunk)
        except BlockingIOError:
            pass
        if self._partial:
            self._print([self._partial])
            self._partial = b""

    def _take(self, chunk: bytes) -> None:
        self.overflowed = len(chunk) > self._left
        chunk = chunk[: self._left]
        self._left -= len(chunk)
        # A carriage return ends a line too: what follows one may be read as a line by somebody.
        *lines, rest = (self._partial + chunk).replace(b"\r", b"\n").split(b"\n")
        whole = [piece for line in lines for piece in _pieces(line)]
        *pieces, self._partial = _pieces(rest)
        self._print(whole + pieces)

    def _print(self, lines: list[bytes]) -> None:
        safe = (b" " + line if line.startswith(_MARK) else line for line in lines)
        sys.stdout.buffer.write(b"".join(line + b"\n" for line in safe))
        sys.stdout.buffer.flush()


def _pieces(line: bytes) -> list[bytes]:
    """A line cut to lengths that everybody can hold; an empty one is one empty piece."""
    starts = range(0, max(1, len(line)), MAX_LINE_BYTES)
    return [line[start : start + MAX_LINE_BYTES] for start in starts]
