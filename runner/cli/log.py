"""The log of this process, set up once by the command line.

Event names are `noun.past_verb`; values are fields with units in their names. The lines are for
people, or, with `--log json`, one JSON object each. All of them go to stderr, because stdout
belongs to results. A value that a contestant wrote moves no cursor: what is not printable is
replaced.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from enum import Enum
from typing import Any

import structlog
from rich.console import Console

from runner.recovery import run_log
from runner.watch.panels import harmless_value


class LogForm(Enum):
    """How a command logs: `view` is the live view of a run, where there is a terminal."""

    VIEW = "view"
    LINES = "lines"
    JSON = "json"


def configure(*, verbose: bool = False, form: LogForm = LogForm.VIEW) -> None:
    """Set structlog up for this process."""
    is_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if form == LogForm.JSON else _Lines()
    )
    short = is_terminal and form != LogForm.JSON
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if short else "iso", utc=not short)
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
        logger_factory=structlog.PrintLoggerFactory(_Stderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


class _Lines:
    """Renders lines for people, in colours if the terminal has them."""

    def __init__(self) -> None:
        self._rendered = structlog.dev.ConsoleRenderer(pad_event_to=24, colors=_has_colors())

    def __call__(self, logger: Any, name: str, fields: MutableMapping[str, Any]) -> str:
        harmless = {key: harmless_value(value) for key, value in fields.items()}
        return self._rendered(logger, name, harmless)


class _Stderr:
    """Whatever is stderr now: a live view puts itself in its place, to print above itself."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _has_colors() -> bool:
    """Whether the terminal shows colours and its user wants them (TERM, NO_COLOR)."""
    console = Console(stderr=True)
    return console.color_system is not None and not console.no_color
