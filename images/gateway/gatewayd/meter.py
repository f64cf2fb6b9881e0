"""Reads the usage out of a response while its bytes pass by unchanged.

Memory is bounded whatever a provider sends: an event (or a whole answer) past `MAX_EVENT_BYTES` is
passed on but not read, and a response whose final usage was not read is charged by its
reservation. Usage is taken from where the API puts it, never found by searching: a model can
write anything that looks like it.
"""

from __future__ import annotations

import json
from typing import Any

from .dialects.base import Dialect, Report
from .tokens import BadReportError

MAX_EVENT_BYTES = 4 * 1024 * 1024
# An event without one of these words holds no usage and no failure, and is not parsed.
MARKS = (b'"usage', b"error", b"failed")


class StreamMeter:
    """Meters server-sent events, fed in pieces of any size."""

    def __init__(self, dialect: Dialect) -> None:
        self.report = Report()
        self._dialect = dialect
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._too_long = False

    @property
    def kept_bytes(self) -> int:
        """What is held of a line that has not ended yet, in bytes."""
        return sum(map(len, self._pieces))

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the response."""
        head, newline, rest = chunk.partition(b"\n")
        if not newline:
            self._keep(chunk)
            return
        self._keep(head)
        self._line()
        whole, _, tail = rest.rpartition(b"\n")
        if any(mark in whole for mark in MARKS):
            for line in whole.split(b"\n"):
                self._read(line)
        self._keep(tail)

    def close(self) -> None:
        """The response ended whole: no later figure can follow the last one."""
        self._line()

    def _keep(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > MAX_EVENT_BYTES:
            self._too_long = True
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _line(self) -> None:
        if not self._too_long:
            self._read(b"".join(self._pieces))
        self._pieces.clear()
        self._bytes = 0
        self._too_long = False

    def _read(self, line: bytes) -> None:
        event = data_of(line)
        if event is not None:
            _absorb(self._dialect, self.report, event)


class AnswerMeter:
    """Meters one whole JSON answer."""

    def __init__(self, dialect: Dialect) -> None:
        self.report = Report()
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
        """The response ended whole: reads its usage."""
        answer = parsed(b"".join(self._pieces))
        if answer is not None:
            _absorb(self._dialect, self.report, answer)


Meter = StreamMeter | AnswerMeter


def _absorb(dialect: Dialect, report: Report, event: dict[str, Any]) -> None:
    """Takes the usage of an event; one that makes no sense spoils the whole report."""
    try:
        dialect.absorb(report, event)
    except BadReportError:
        report.spoiled = True


def data_of(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a `data:` line that may matter to the meter, else None."""
    if not line.startswith(b"data:") or not any(mark in line for mark in MARKS):
        return None
    return parsed(line[5:])


def parsed(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in `raw`, or None."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
