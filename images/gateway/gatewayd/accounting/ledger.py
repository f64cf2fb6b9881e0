"""The gateway's ledger on its own volume: one line for each reservation and each settlement.

Invariant: a request is forwarded only after its reservation stands in the ledger. Whatever happens
to the process afterwards, the next process finds the reservation and charges it. A line that a full
volume or a crash cut short is removed before the next line is written.

Lines are handed to the kernel at once, so they survive the death of the process and of the
container. They reach the disk within `SYNC_SECONDS` (settlement.py) of a settlement; a power loss
may cost the lines of that time, which the runner's journal holds as well.
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
    """The ledger cannot be written; nothing may be forwarded until it can."""


@dataclass(frozen=True)
class Reservation:
    """The worst case of one request, kept free until the request is settled.

    Attributes:
        request_id: six digits.
        usd: US dollars, at most.
        tokens: input and output together, at most.
        record: the usage record as far as it is known, for whoever settles the request.
    """

    request_id: str
    usd: Decimal
    tokens: int
    record: dict[str, Any]


@dataclass
class LedgerState:
    """The sum of all lines of a ledger.

    Attributes:
        usd: settled US dollars.
        tokens: settled tokens.
        requests: how many requests were reserved.
        last_request: the highest request number so far.
        open: reservations without a settlement, by request id.
    """

    usd: Decimal = Decimal(0)
    tokens: int = 0
    requests: int = 0
    last_request: int = 0
    open: dict[str, Reservation] = field(default_factory=dict)


class Ledger:
    """Appends lines to the file; each line is there as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = _whole_lines_bytes(self._file)
        self._pending: list[bytes] = []

    def replay(self) -> LedgerState:
        """Adds up everything that the file holds."""
        state = LedgerState()
        for line in _lines(self._file, self._end):
            _apply(line, state)
        return state

    def reserve(self, reservation: Reservation) -> None:
        """Writes a reservation.

        Raises:
            LedgerError: it could not be written; the request must not be forwarded.
        """
        line = {"kind": "reserved", "request": reservation.request_id, "usd": str(reservation.usd)}
        rest = {"tokens": reservation.tokens, "record": reservation.record}
        self._pending.append(_line(line | rest))
        try:
            self._write_pending()
        except OSError as error:
            self._pending.pop()
            raise LedgerError(os.strerror(error.errno or 0)) from None

    def settle(self, request_id: str, usd: Decimal, tokens: int, record: dict[str, Any]) -> bool:
        """Writes what a request is charged, in US dollars and tokens.

        A settlement that cannot be written is kept and written before the next line. Until then the
        ledger holds the reservation, which is at least as much.

        Returns:
            Whether it was written.
        """
        line = {"kind": "settled", "request": request_id, "usd": str(usd), "tokens": tokens}
        self._pending.append(_line(line | {"record": record}))
        try:
            self._write_pending()
        except OSError:
            return False
        return True

    def sync(self) -> None:
        """Brings the file to the disk. It blocks, so call it in a thread."""
        with contextlib.suppress(OSError):
            os.fdatasync(self._file)

    def close(self) -> None:
        """Writes pending lines, if the volume takes them, and closes the file."""
        with contextlib.suppress(OSError):
            self._write_pending()
        self.sync()
        os.close(self._file)

    def _write_pending(self) -> None:
        while self._pending:
            self._append(self._pending[0])
            del self._pending[0]

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
    """The length of the file up to the end of its last whole line, in bytes."""
    size = os.fstat(file).st_size
    step = 64 * 1024
    for start in range(max(0, size - step), -step, -step):
        block = os.pread(file, step, max(0, start))
        cut = block.rfind(b"\n")
        if cut >= 0:
            return max(0, start) + cut + 1
    return 0


def _apply(line: bytes, state: LedgerState) -> None:
    """Adds one line to the state; a line that cannot be read changes nothing."""
    try:
        body = json.loads(line)
        usd, tokens = Decimal(body["usd"]), int(body["tokens"])
        entry = Reservation(str(body["request"]), usd, tokens, body["record"])
        kind = body["kind"]
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return
    if kind == "reserved":
        state.open[entry.request_id] = entry
        state.requests += 1
        state.last_request = max(state.last_request, int(entry.request_id))
    elif kind == "settled":
        state.open.pop(entry.request_id, None)
        state.usd += entry.usd
        state.tokens += entry.tokens
