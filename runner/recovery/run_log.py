"""`run.log` of a run: the lines that its runner logs, whoever reads them on a terminal."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, MutableMapping
from logging.handlers import RotatingFileHandler
from typing import Any

from runner.records.layout import RunDir
from runner.records.schema import now

MAX_BYTES = 16 << 20  # of each of two files: run.log, and run.log.1 with what came before it
_open: list[RotatingFileHandler] = []


class _Handler(RotatingFileHandler):
    """A file that cannot be written ends nothing: the journal holds every event anyway."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the base's name
        del record


@contextlib.contextmanager
def kept(run_dir: RunDir) -> Iterator[None]:
    """Everything that is logged while this context is open goes to the run's `run.log` too."""
    handler = _Handler(
        run_dir.log, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", errors="replace",
        delay=True,
    )  # fmt: skip
    _open.append(handler)
    try:
        yield
    finally:
        _open.remove(handler)
        handler.close()


def keep(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> Any:
    """A processor of structlog that writes each line to the run's `run.log`."""
    for handler in _open:
        line = json.dumps({"at": now(), **fields}, ensure_ascii=False, default=str)
        handler.handle(logging.LogRecord("run", logging.INFO, "", 0, line, None, None))
    return fields
