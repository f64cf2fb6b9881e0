"""The live view of one run, or of all runs that run now, on the whole of a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from runner.records.layout import RunDir, run_folders
from runner.watch import ages
from runner.watch.followed import Followed
from runner.watch.panels import overview, view
from runner.watch.words import ContainerWords, transcript_words

REFRESH_SECONDS = 1.0
SCAN_SECONDS = 5.0  # from one search for new runs to the next


class Drawn(Protocol):
    """Something that can be drawn again and again."""

    def draw(self, now: datetime, width: int, height: int) -> RenderableType:
        """Look at the records and draw them, for a terminal of that size."""

    def is_over(self) -> bool:
        """Whether nothing will change any more."""


class OneRun:
    """One run, with the last words of its contestant.

    Args:
        run_dir: of the run.
        words: gives the last lines of its contestant's container; none of them, and the transcript
            is shown.
    """

    def __init__(self, run_dir: RunDir, words: Callable[[], list[str]] = list) -> None:
        self._run = Followed(run_dir)
        self._words = words

    def draw(self, now: datetime, width: int, height: int) -> RenderableType:
        """The whole view."""
        self._run.look(now)
        words = self._words() or transcript_words(self._run.run_dir)
        return view(self._run, words, now, width, height)

    def is_over(self) -> bool:
        """Whether the run has ended, is suspended, or has lost its runner."""
        return bool(self._run.state) and self._run.kind != "running"


class RunningRuns:
    """All runs of a folder that run now; a single one has the whole view."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._followed: dict[Path, Followed] = {}
        self._single: tuple[Path, OneRun, ContainerWords] | None = None
        self._scanned_at: datetime | None = None

    def draw(self, now: datetime, width: int, height: int) -> RenderableType:
        """A few lines of each run, or all about the only one."""
        since = ages.seconds_since(self._scanned_at, now)
        if since is None or since >= SCAN_SECONDS:
            self._scan(now)
        for run in self._followed.values():
            run.look(now)
        running = {path: run for path, run in self._followed.items() if run.kind == "running"}
        if len(running) == 1:
            return self._only(next(iter(running))).draw(now, width, height)
        if not running:
            return Text("no run is running; `make ps` lists all runs. Ctrl-C ends this view.")
        return overview(list(running.values()), now, width, height)

    def is_over(self) -> bool:
        """Never: another run may begin."""
        return False

    def _scan(self, now: datetime) -> None:
        """Find new runs, and forget those that have ended."""
        self._scanned_at = now
        paths = run_folders(self._runs)
        for path in set(self._followed) - set(paths):
            del self._followed[path]
        for path in paths:
            if path not in self._followed and not RunDir(path).result.exists():
                self._followed[path] = Followed(RunDir(path))
        for path, run in list(self._followed.items()):
            if run.kind == "ended":
                del self._followed[path]

    def _only(self, path: Path) -> OneRun:
        if self._single is None or self._single[0] != path:
            if self._single is not None:
                self._single[2].close()
            words = ContainerWords(path.name)
            self._single = path, OneRun(RunDir(path), words.lines), words
        return self._single[1]


def show(console: Console, drawn: Drawn, reader_left: Callable[[], bool]) -> None:
    """Show something on the whole terminal until it is over, and then leave its last state there.

    Args:
        console: of the terminal.
        drawn: what is shown.
        reader_left: whether nobody reads the terminal any more.

    Raises:
        KeyboardInterrupt: the user ended the view.
    """
    with Live(console=console, screen=True, auto_refresh=False) as live:
        live.update(_drawn(console, drawn), refresh=True)
        while not drawn.is_over() and not reader_left():
            time.sleep(REFRESH_SECONDS)
            live.update(_drawn(console, drawn), refresh=True)
    show_once(console, drawn)


def show_once(console: Console, drawn: Drawn) -> None:
    """Print the present state of something, as it is done where there is no terminal."""
    console.print(_drawn(console, drawn))


def _drawn(console: Console, drawn: Drawn) -> RenderableType:
    """Drawn for the terminal as large as it is now; the last line stays free for the cursor."""
    size = console.size
    return drawn.draw(ages.present(), size.width, max(1, size.height - 1))
