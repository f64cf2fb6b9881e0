"""The journal of a run: `events.jsonl`, one line for each event, fsynced before the run continues.

The same event goes to the log, so a person and a restarted runner read the same history.
"""

from __future__ import annotations

import threading
from typing import Any

import structlog

from runner.records.files import append_line, read_lines
from runner.records.layout import RunDir
from runner.records.schema import Event, now

QUIET = {"clock.read", "transcript.collected"}  # for restarts only; not shown on a terminal


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
