"""What the gateway says: messages to the runner on stdout, lines for a person on stderr.

Both are written by a thread, so that a slow reader of the container's output never holds up a
stream. A refusal that repeats is said at most `DENIED_A_MINUTE` times a minute, with a count of
the rest: a loop in the sandbox must not fill the log.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Any

import protocol

from .news import News

DENIED_A_MINUTE = 60


class Voice(News):
    """Says things in order.

    Args:
        out: file descriptor for messages.
        err: file descriptor for people.
    """

    def __init__(self, out: int = 1, err: int = 2) -> None:
        self._out = out
        self._err = err
        self._lines: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="voice", daemon=True)
        self._thread.start()
        self._minute = 0
        self._denied = 0

    def emit(self, message: protocol.Message) -> None:
        """Sends a message to the runner."""
        self._lines.put((self._out, protocol.encode(message)))

    def say(self, text: str) -> None:
        """Tells a person."""
        stamp = time.strftime("%H:%M:%S", time.gmtime())
        line = " ".join(text.split())
        self._lines.put((self._err, f"{stamp} {line[:2000]}\n".encode()))

    def usage(self, record: dict[str, Any]) -> None:
        self.emit(protocol.Usage(record))
        self.say(
            "{request} {model}: status {status}, {input_tokens}+{cached_read_tokens} tokens in, "
            "{output_tokens} out, ${cost_usd:.4f} by {charged_by}, "
            "{latency_seconds:.1f} s".format(**record)
        )

    def denied(self, reason: str, detail: str) -> None:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            if self._denied > DENIED_A_MINUTE:
                self._deny("flood", f"{self._denied - DENIED_A_MINUTE} further refusals")
            self._minute, self._denied = minute, 0
        self._denied += 1
        if self._denied <= DENIED_A_MINUTE:
            self._deny(reason, detail)

    def cap_reached(self, budget: str, detail: str) -> None:
        self.emit(protocol.CapReached(budget, detail))
        self.say(detail)

    def outage(self, began: float, ended: float, reason: str) -> None:
        self.emit(protocol.Outage(began, ended, reason))
        self.say(f"the provider was out of reach for {ended - began:.1f} s: {reason}")

    def problem(self, during: str, message: str) -> None:
        self.emit(protocol.Problem(during, message))
        self.say(f"{during}: {message}")

    def close(self) -> None:
        """Waits a moment until everything is said."""
        self._lines.put(None)
        self._thread.join(timeout=2)

    def _deny(self, reason: str, detail: str) -> None:
        self.emit(protocol.Denied(reason=reason, detail=detail[:1000]))
        self.say(f"refused ({reason}): {detail}")

    def _write(self) -> None:
        while (item := self._lines.get()) is not None:
            descriptor, line = item
            try:
                while line:
                    line = line[os.write(descriptor, line) :]
            except OSError:
                continue
