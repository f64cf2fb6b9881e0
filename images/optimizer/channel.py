"""The line to the runner: messages on stdin and stdout, words for a person on stderr.

Standard library and protocol only. Writes go straight to the descriptor, whole lines at a time, so
that no buffer is lost when the process ends itself from a signal handler.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from protocol import MAX_LINE_BYTES, Message, Problem, ProtocolError, decode, encode

RUNNER_GONE_SECONDS = 0.5  # how often to look whether somebody attached again after an EOF


def send(message: Message) -> None:
    """Write one message to the runner."""
    _write(1, encode(message))


def say(text: str) -> None:
    """Write one line for a person who reads `docker logs`."""
    _write(2, f"{text}\n".encode())


def messages() -> Iterator[Message]:
    """Everything that the runner says, for ever; what is no message is reported and passed over.

    An EOF means that the runner is gone, not that the run is over: it may attach again.
    """
    while True:
        line = sys.stdin.buffer.readline(MAX_LINE_BYTES + 1)
        if not line:
            time.sleep(RUNNER_GONE_SECONDS)
            continue
        try:
            message = decode(line)
        except ProtocolError as error:
            send(Problem(during="reading a message", message=str(error)))
            continue
        if message is not None:
            yield message


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
