"""What waits to be written to a container: bounded, in order, and written by a thread of its own.

The attack that this stops: a container that reads nothing, be it paused, stopped or hostile. Who
sends to it must go on at once, because that is the thread that sees the budgets.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

ROOM_BYTES = 8 << 20  # what may wait; more than this is never sent to a container that reads


class Outbox:
    """Bytes on their way to one container. Any thread may call any method; none blocks for long.

    Args:
        write: writes bytes whole, however long that takes. It raises OSError or ValueError when
            nobody can be written to any more.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._fault = ""

    def put(self, data: bytes, room_bytes: int = ROOM_BYTES) -> str:
        """Send these bytes after all that wait already.

        Args:
            data: what is written, as a whole or not at all.
            room_bytes: they are refused if more than this would wait. Where nothing waits, they
                are always taken.

        Returns:
            Why they are refused; "" when they are on their way.
        """
        with self._changed:
            if self._fault:
                return self._fault
            if self._waiting and self._waiting_bytes + len(data) > room_bytes:
                return f"it does not read: {self._waiting_bytes} bytes wait for it"
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._changed.notify_all()
            if self._writer is None:
                self._writer = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._writer.start()
        return ""

    def drain(self, timeout_seconds: float) -> bool:
        """Wait until all is written; False when that takes longer, or can never be."""
        until = time.monotonic() + timeout_seconds
        with self._changed:
            while self._waiting and not self._fault:
                if not self._changed.wait(until - time.monotonic()):
                    break
            return not self._waiting

    def close(self, reason: str = "it was closed") -> None:
        """Take nothing more. What still waits is dropped, and the writer ends with its write."""
        with self._changed:
            self._fault = self._fault or reason
            self._changed.notify_all()

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                self._write(data)
            except (OSError, ValueError) as error:
                self.close(str(error))
                return
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(data)
                self._changed.notify_all()

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._waiting and not self._fault:
                self._changed.wait()
            return None if self._fault else self._waiting[0]
