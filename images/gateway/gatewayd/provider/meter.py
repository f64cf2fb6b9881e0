"""Reads the usage in a response while its bytes are relayed unchanged.

Memory is bounded whatever a provider sends: an event (or a whole JSON answer) that is longer than
`MAX_EVENT_BYTES` is relayed but not read, and a response whose final usage was not read is charged
by its reservation. Usage is read only from the place where the API puts it, never searched for: a
model can write anything that looks like usage.
"""

from __future__ import annotations

from typing import Any

from ..dialects.base import Dialect, UsageReport
from ..dialects.sse import MARKS, event_data, json_object
from ..dialects.tokens import BadReportError

MAX_EVENT_BYTES = 4 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
# The first byte of a line of an event stream: a field's name, a comment, or the line is empty.
FIELD_STARTS = (b"d", b"e", b"i", b"r", b":", b"\r", b"")


class StreamMeter:
    """Reads the usage in server-sent events, which come in pieces of any size."""

    def __init__(self, dialect: Dialect) -> None:
        self.report = UsageReport()
        self._dialect = dialect
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._too_long = False
        self._between_events = b""

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the response."""
        head, newline, rest = chunk.partition(b"\n")
        if not newline:
            self._append(chunk)
            return
        self._append(head)
        self._end_line()
        whole, _, tail = rest.rpartition(b"\n")
        starts_between = b"\n{" in chunk or b"\n[" in chunk
        if starts_between or self._between_events or any(mark in whole for mark in MARKS):
            for line in whole.split(b"\n"):
                self._read_line(line)
        self._append(tail)

    def close(self) -> None:
        """Reads the last line: the response has ended whole."""
        self._end_line()

    def _append(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > MAX_EVENT_BYTES:
            self._too_long = True
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _end_line(self) -> None:
        if not self._too_long:
            self._read_line(b"".join(self._pieces))
        self._pieces.clear()
        self._bytes = 0
        self._too_long = False

    def _read_line(self, line: bytes) -> None:
        event = event_data(line)
        if event is not None:
            _add_event(self._dialect, self.report, event)
        elif line[:1] not in FIELD_STARTS:
            self._read_between(line)

    def _read_between(self, line: bytes) -> None:
        """Reads an error outside of an event: Google ends a broken stream with plain JSON."""
        self._between_events += line
        if len(self._between_events) > MAX_ERROR_BYTES:
            self._between_events = b""
        ends = not line[:1].isspace() and line.rstrip().endswith((b"}", b"]"))
        text = self._between_events.strip().removeprefix(b"[").removesuffix(b"]")
        event = json_object(text) if ends else None
        if event is not None:
            self._between_events = b""
            _add_event(self._dialect, self.report, event)


class JsonMeter:
    """Reads the usage in one whole JSON answer."""

    def __init__(self, dialect: Dialect) -> None:
        self.report = UsageReport()
        self._dialect = dialect
        self._pieces: list[bytes] = []
        self._bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the response."""
        self._bytes += len(chunk)
        if self._bytes > MAX_EVENT_BYTES:
            self._pieces.clear()
        else:
            self._pieces.append(chunk)

    def close(self) -> None:
        """Reads the usage: the response has ended whole."""
        answer = json_object(b"".join(self._pieces))
        if answer is not None:
            _add_event(self._dialect, self.report, answer)


Meter = StreamMeter | JsonMeter


def _add_event(dialect: Dialect, report: UsageReport, event: dict[str, Any]) -> None:
    """Adds what an event says; usage that makes no sense invalidates the whole report."""
    report.failure = report.failure or dialect.failure(event)
    try:
        dialect.read_event(report, event)
    except BadReportError:
        report.invalid = True
