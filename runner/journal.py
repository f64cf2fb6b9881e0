"""The journal of a run: `events.jsonl`, one line an event, fsynced before the run goes on.

The same event goes to the log, so that what a person saw and what a restart reads are one thing.
"""

from __future__ import annotations

import threading
from typing import Any

import structlog

from runner.layout import RunDir
from runner.records import Event, append_line, now, read_lines

QUIET = {"clock.read"}  # in the journal for restarts, of no interest on a terminal


class Journal:
    """Writes a run's events. May be used from any thread."""

    def __init__(self, run_dir: RunDir) -> None:
        self._path = run_dir.events
        self._lock = threading.Lock()
        self._log = structlog.get_logger()

    def write(self, event: str, **fields: Any) -> None:
        """Append the event and log it; `fields` are JSON values with units in their names."""
        with self._lock:
            append_line(self._path, Event(at=now(), event=event, fields=fields))
        if event not in QUIET:
            self._log.info(event, **fields)

    def events(self) -> list[Event]:
        """Everything written so far, by earlier lives of the run too."""
        return list(read_lines(self._path, Event))
