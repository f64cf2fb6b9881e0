"""What the gateway reports: messages to the runner on stdout, lines for people on stderr.

A thread writes both, so that a slow reader of the container's output never delays a stream. At most
`DENIED_PER_MINUTE` refusals a minute are reported, and the rest are counted: a loop in the sandbox
must not fill the log.
"""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from typing import Any

import messages
import pid1
import protocol

DENIED_PER_MINUTE = 60


class EventSink(ABC):
    """Receives the gateway's events in order. No method blocks or raises."""

    @abstractmethod
    def usage(self, record: dict[str, Any]) -> None:
        """A request was settled; the record is a line of `usage.jsonl`."""

    @abstractmethod
    def denied(self, reason: str, detail: str) -> None:
        """A request was refused."""

    @abstractmethod
    def cap_reached(self, budget: str, detail: str) -> None:
        """No further request fits in a budget ("usd" or "tokens")."""

    @abstractmethod
    def outage(self, began: float, ended: float, reason: str, whole_seconds: float) -> None:
        """The provider was out of reach between two moments: a slice of an outage (outages.py)."""

    @abstractmethod
    def problem(self, during: str, message: str) -> None:
        """Something went wrong that the journal should record."""


class Reporter(EventSink):
    """Writes each event as a message and as a line for people.

    Args:
        out: the file descriptor for messages.
        err: the file descriptor for people.
    """

    def __init__(self, out: int = 1, err: int = 2) -> None:
        self._out = out
        self._err = err
        self._lines: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_lines, name="reporter", daemon=True)
        self._thread.start()
        self._minute = 0
        self._denied = 0

    def send(self, message: messages.Message) -> None:
        """Sends a message to the runner."""
        self._lines.put((self._out, protocol.encode(message)))

    def say(self, text: str) -> None:
        """Writes one line for people."""
        self._lines.put((self._err, pid1.as_line(text)))

    def usage(self, record: dict[str, Any]) -> None:
        self.send(messages.Usage(record))
        self.say(
            "{request} {model}: status {status}, {input_tokens}+{cached_read_tokens} tokens in, "
            "{output_tokens} out, ${cost_usd:.4f} by {charged_by}, "
            "{latency_seconds:.1f} s".format(**record)
        )

    def denied(self, reason: str, detail: str) -> None:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            if self._denied > DENIED_PER_MINUTE:
                self._report_denied("flood", f"{self._denied - DENIED_PER_MINUTE} further refusals")
            self._minute, self._denied = minute, 0
        self._denied += 1
        if self._denied <= DENIED_PER_MINUTE:
            self._report_denied(reason, detail)

    def cap_reached(self, budget: str, detail: str) -> None:
        self.send(messages.CapReached(budget, detail))
        self.say(detail)

    def outage(self, began: float, ended: float, reason: str, whole_seconds: float) -> None:
        self.send(messages.Outage(began, ended, reason, whole_seconds))
        if whole_seconds:
            self.say(f"the provider was out of reach for {whole_seconds:.1f} s: {reason}")

    def problem(self, during: str, message: str) -> None:
        self.send(messages.Problem(during, message))
        self.say(f"{during}: {message}")

    def close(self) -> None:
        """Waits up to two seconds until everything is written."""
        self._lines.put(None)
        self._thread.join(timeout=2)

    def _report_denied(self, reason: str, detail: str) -> None:
        self.send(messages.Denied(reason=reason, detail=detail[:1000]))
        self.say(f"refused ({reason}): {detail}")

    def _write_lines(self) -> None:
        while (item := self._lines.get()) is not None:
            descriptor, line = item
            try:
                pid1.write_all(descriptor, line)
            except OSError:
                continue
