"""The log of this process, set up once by the command line.

Event names are `noun.past_verb`; values are fields with units in their names. On a terminal the
lines are for people, elsewhere they are JSON, one object on each line. All of them go to stderr,
because stdout belongs to results.
"""

from __future__ import annotations

import logging
import sys

import structlog
from rich.console import Console

from runner.recovery import run_log


def configure(*, verbose: bool = False) -> None:
    """Set structlog up for this process: pretty on a terminal, JSON lines otherwise."""
    pretty = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=24, colors=_has_colors())
        if pretty
        else structlog.processors.JSONRenderer()
    )
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            run_log.keep,
            stamp,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if verbose else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _has_colors() -> bool:
    """Whether the terminal shows colours and its user wants them (TERM, NO_COLOR)."""
    console = Console(stderr=True)
    return console.color_system is not None and not console.no_color
