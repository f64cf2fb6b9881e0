"""What every command works with: the folders, the engine, and the log of what containers print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from runner.engine.client import Engine


@dataclass(frozen=True)
class Folders:
    """The folder that holds the runs, and the folder that their comparison is written to."""

    runs: Path
    results: Path

    @property
    def imports(self) -> Path:
        """Beside the runs: what `bakeoff import` makes."""
        return self.runs.parent / "imports"


@contextmanager
def connected_engine() -> Iterator[Engine]:
    """The Docker engine, for as long as the context is open.

    Raises:
        EngineError: no engine answers, or it is too old.
    """
    engine = Engine.connect()
    try:
        yield engine
    finally:
        engine.close()


def log_line(role: str, line: str) -> None:
    """Log a line that a container printed for people.

    The preparation of data is shown always, everything else with `--verbose` only.
    """
    logger = structlog.get_logger()
    if role == "prepare":
        logger.info("data.said", line=line)
    else:
        logger.debug("container.said", role=role, line=line)
