"""Sends messages to a container, and leaves out lines of logs that it is too slow to read.

A trial can print faster than a contestant reads. Its lines are dropped and counted then, and the
contestant is told how many. Every other message is kept, and all stay in their order.
"""

from __future__ import annotations

import threading

from runner.engine.channel import Channel
from runner.engine.outbox import ROOM_BYTES
from runner.errors import EngineError
from runner.wire.messages import Message, TrialLog
from runner.wire.protocol import encode

LOG_ROOM_BYTES = 1 << 20  # what may wait before lines of logs are left out


class LogLines:
    """Remembers how many lines of each request's log were left out. Any thread may call `send`."""

    def __init__(self) -> None:
        self._left_out: dict[str, int] = {}
        self._lock = threading.Lock()

    def send(self, channel: Channel, message: Message) -> None:
        """Send a message, and before it how many lines of the log that it belongs to are missing.

        Raises:
            EngineError: the container is gone or does not listen; a line is counted then.
            ProtocolError: the message is too long.
        """
        request = str(getattr(message, "request", ""))
        is_line = isinstance(message, TrialLog)
        with self._lock:
            left_out = self._left_out.get(request, 0)
            note = encode(TrialLog(request, _note(left_out))) if left_out else b""
            try:
                channel.send(
                    note + encode(message), _room_bytes(left_out) if is_line else ROOM_BYTES
                )
            except EngineError:
                if is_line:
                    self._left_out[request] = left_out + 1
                raise
            self._left_out.pop(request, None)


def _note(lines: int) -> str:
    return f"({lines} line{'s' if lines > 1 else ''} of the log were left out: too many to pass on)"


def _room_bytes(left_out: int) -> int:
    """How much may wait with a line. After the first that was left out it is half as much.

    So lines that are passed on and lines that are not do not alternate.
    """
    return LOG_ROOM_BYTES // 2 if left_out else LOG_ROOM_BYTES
