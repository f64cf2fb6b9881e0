"""What every command works with: the folders, the engine, and the log of what containers print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rich
import structlog

from runner.cli import terminal
from runner.engine.client import Engine
from runner.records.layout import RunDir
from runner.watch.inline import RunView


@dataclass(frozen=True)
class Folders:
    """The folder that holds the runs, and the folder that their comparison is written to.

    Attributes:
        view: whether a run is shown live while this command runs it, if there is a terminal.
    """

    runs: Path
    results: Path
    view: bool = False

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


@contextmanager
def shown_live(folders: Folders, run_id: str) -> Iterator[Callable[[str, str], None]]:
    """The live view of a run of this process, below its log; elsewhere its log alone.

    Yields:
        What is to be called with (role, line) for each line that a container prints for people.
    """
    if not (folders.view and terminal.can_be_redrawn() and sys.stderr.isatty()):
        yield log_line
        return
    with RunView(rich.get_console(), RunDir(folders.runs / run_id)) as view:

        def show(role: str, line: str) -> None:
            view.hear(role, line)
            log_line(role, line)

        yield show


def log_line(role: str, line: str) -> None:
    """Log a line that a container printed for people.

    The preparation of data is shown always, everything else with `--verbose` only.
    """
    logger = structlog.get_logger()
    if role == "prepare":
        logger.info("data.said", line=line)
    else:
        logger.debug("container.said", role=role, line=line)
