"""The gateway's own book on its volume: what is reserved and what is settled, a line each.

Invariant: a request is forwarded only after its reservation stands in the book. Whatever happens
to the process afterwards, its next life finds the reservation and charges it. A line that was
torn by a full volume or a crash is cut off before the next one is written.

Lines are handed to the kernel at once (they survive the death of the process and of the
container) and reach the disk within `SYNC_SECONDS` of a settlement (a loss of power may cost that
much; the runner's journal has the same records).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1


class LedgerError(Exception):
    """The book cannot be written; nothing may be forwarded until it can."""


@dataclass(frozen=True)
class Hold:
    """The worst case of one request, kept free until it is settled.

    Attributes:
        request: its id.
        usd: dollars, at most.
        tokens: tokens in and out, at most.
        record: the usage record as far as it is known, for whoever settles it.
    """

    request: str
    usd: Decimal
    tokens: int
    record: dict[str, Any] = field(default_factory=dict)


@dataclass
class Past:
    """What earlier lives of this gateway left in the book."""

    usd: Decimal = Decimal(0)
    tokens: int = 0
    requests: int = 0
    last_request: int = 0
    open: dict[str, Hold] = field(default_factory=dict)


class Ledger:
    """Appends to the book; every line is whole or not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = _whole_lines_bytes(self._file)
        self._waiting: list[bytes] = []

    def past(self) -> Past:
        """Everything that the book holds, added up."""
        past = Past()
        for line in _lines(self._file, self._end):
            _take(past, line)
        return past

    def reserve(self, hold: Hold) -> None:
        """Writes a reservation.

        Raises:
            LedgerError: it could not be written; the request must not be forwarded.
        """
        line = {"kind": "reserved", "request": hold.request, "usd": str(hold.usd)}
        self._waiting.append(_line(line | {"tokens": hold.tokens, "record": hold.record}))
        try:
            self._write_waiting()
        except OSError as error:
            self._waiting.pop()
            raise LedgerError(os.strerror(error.errno or 0)) from None

    def settle(self, request: str, usd: Decimal, tokens: int, record: dict[str, Any]) -> bool:
        """Writes what a request really cost; False while the volume takes no line.

        A settlement that could not be written is kept and goes before the next line; until then
        the book holds the reservation, which is at least as much.
        """
        line = {"kind": "settled", "request": request, "usd": str(usd), "tokens": tokens}
        self._waiting.append(_line(line | {"record": record}))
        try:
            self._write_waiting()
        except OSError:
            return False
        return True

    def sync(self) -> None:
        """Brings the book to the disk; blocks, so call it from a thread."""
        with contextlib.suppress(OSError):
            os.fdatasync(self._file)

    def close(self) -> None:
        """Writes what waits, if it can, and closes the file."""
        with contextlib.suppress(OSError):
            self._write_waiting()
        self.sync()
        os.close(self._file)

    def _write_waiting(self) -> None:
        while self._waiting:
            self._append(self._waiting[0])
            del self._waiting[0]

    def _append(self, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.pwrite(self._file, line[written:], self._end + written)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(line)


def _line(body: dict[str, Any]) -> bytes:
    whole = {"schema_version": SCHEMA_VERSION} | body
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


def _lines(file: int, end: int) -> Iterator[bytes]:
    with os.fdopen(os.dup(file), "rb") as reader:
        reader.seek(0)
        while reader.tell() < end:
            yield reader.readline()


def _whole_lines_bytes(file: int) -> int:
    """The length of the book up to its last whole line, in bytes."""
    size = os.fstat(file).st_size
    step = 64 * 1024
    for start in range(max(0, size - step), -step, -step):
        block = os.pread(file, step, max(0, start))
        cut = block.rfind(b"\n")
        if cut >= 0:
            return max(0, start) + cut + 1
    return 0


def _take(past: Past, line: bytes) -> None:
    try:
        body = json.loads(line)
        hold = Hold(str(body["request"]), Decimal(body["usd"]), int(body["tokens"]), body["record"])
        kind = body["kind"]
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return
    if kind == "reserved":
        past.open[hold.request] = hold
        past.requests += 1
        past.last_request = max(past.last_request, int(hold.request))
    elif kind == "settled":
        past.open.pop(hold.request, None)
        past.usd += hold.usd
        past.tokens += hold.tokens
