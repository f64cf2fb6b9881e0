"""The last words of a contestant: what its container prints, or the end of its transcript.

All of it is the text of a stranger, as it came.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runner.agents.base import events, part, parts, text
from runner.engine.client import Engine
from runner.errors import EngineError
from runner.records.layout import RunDir, container_name
from runner.watch.ends import last_lines
from runner.wire.protocol import MARK

CONTESTANTS = ("agent", "optimizer")  # the roles of their containers
KEPT_LINES = 60
RETRY_SECONDS = 5.0
TRANSCRIPT_BYTES = 256 << 10


class ContainerWords:
    """What the contestant's container prints, read in a thread while an engine answers.

    Args:
        run_id: whose container it is.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._closed = threading.Event()
        threading.Thread(target=self._follow, name="words", daemon=True).start()

    def lines(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._lines)

    def close(self) -> None:
        """Read no more."""
        self._closed.set()

    def _follow(self) -> None:
        while not self._closed.is_set():
            try:
                engine = Engine.connect()
                try:
                    self._read(engine)
                finally:
                    engine.close()
            except EngineError:  # there is none, or it has gone: the transcript is left
                pass
            self._closed.wait(RETRY_SECONDS)

    def _read(self, engine: Engine) -> None:
        """Read the log of the contestant's container until it ends."""
        for state in engine.containers(self._run_id):
            named = state.name == container_name(self._run_id, state.role)
            if state.role in CONTESTANTS and named:  # a proof of its lock has another name
                self._lines.clear()
                for line in readable(engine.logs(state.id, follow=True)):
                    self._lines.append(line)
                    if self._closed.is_set():
                        return


def transcript_words(run_dir: RunDir) -> list[str]:
    """What the agent said at the end of its transcript, which holds the turns that have ended."""
    lines = [line.decode("utf-8", "replace") for line in _end_of(run_dir)]
    said = (spoken(event) for event in events(lines))
    return [each for each in said if each.strip()][-KEPT_LINES:]


def spoken(event: Mapping[str, Any]) -> str:
    """What the model says in an event of any CLI's stream; "" where it says nothing."""
    message = " ".join(
        text(block.get("text")) for block in parts(part(event, "message"), "content")
    )
    item = part(event, "item")
    if event.get("type") == "assistant":
        return message
    if item.get("type") == "agent_message":
        return text(item.get("text"))
    if event.get("type") == "message" and event.get("role") == "assistant":
        return text(event.get("content"))
    return ""


def readable(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a log that are for people, from a stream that is cut anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (
            line.decode("utf-8", "replace") for line in lines if not line.startswith(MARK.encode())
        )
    if rest:
        yield rest.decode("utf-8", "replace")


def _end_of(run_dir: RunDir) -> list[bytes]:
    return last_lines(run_dir.transcript, TRANSCRIPT_BYTES)
