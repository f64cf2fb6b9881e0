"""Logging, configured once by the command line.

Event names are `noun.past_verb`; values are fields with units in their names. On a terminal the
lines are for people, elsewhere they are JSON, one object a line. Both go to stderr: stdout belongs
to results.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog


class Unbreakable:
    """A stream that nobody may read any more: what cannot be written is dropped.

    A terminal that closed (EIO), a `tee` that ended (EPIPE) and a full disk must not end a run
    whose journal holds every event anyway.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, if that can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure(*, verbose: bool = False) -> None:
    """Set structlog up for this process: pretty on a terminal, JSON lines otherwise."""
    pretty = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=24)
        if pretty
        else structlog.processors.JSONRenderer()
    )
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if verbose else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Unbreakable(sys.stderr))),
        cache_logger_on_first_use=False,
    )
