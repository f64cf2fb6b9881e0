"""The view of a run below the log of its own runner, at the bottom of a terminal.

A thread draws it from the run's records, and prints what is logged meanwhile above it. So neither
a terminal that takes nothing nor a fault of the view holds the run up.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rich.ansi import AnsiDecoder
from rich.console import Console, ConsoleDimensions, RenderableType
from rich.live import Live
from rich.text import Text

from runner.records.layout import RunDir
from runner.watch import ages
from runner.watch.followed import Followed
from runner.watch.panels import view
from runner.watch.words import CONTESTANTS, KEPT_LINES

REFRESH_SECONDS = 1.0
MOST_LINES = 18
LEAST_LINES = 8  # a terminal with less room for the view gets log lines alone
LOG_LINES = 6  # of a terminal that are left to the log
MOST_PENDING = 1000  # lines of the log that a terminal has not taken yet; older ones are dropped
KEPT_LOG = 200  # lines that are printed again after a resize
END_SECONDS = 5.0


class RunView:
    """Shows a run of this process while the context is open, from when it has its directory on.

    What is shown before that (images that are built, for one) has the terminal to itself.

    Args:
        console: of the terminal.
        run_dir: of the run; it may come later.
        seconds: from one drawing to the next.
    """

    def __init__(self, console: Console, run_dir: RunDir, seconds: float = REFRESH_SECONDS) -> None:
        self._console = console
        self._seconds = seconds
        self._run = Followed(run_dir, is_ours=True)
        self._words: deque[str] = deque(maxlen=KEPT_LINES)
        self._lines: deque[str] = deque(maxlen=MOST_PENDING)
        self._log: deque[str] = deque(maxlen=KEPT_LOG)  # as it was printed
        self._called = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="view", daemon=True)
        self._size = console.size
        self._live = self._new_live()
        self._above: _Above | None = None
        self._decoder = AnsiDecoder()

    def hear(self, role: str, line: str) -> None:
        """Take up a line that a container printed for people."""
        if role in CONTESTANTS:
            self._words.append(line)

    def __enter__(self) -> RunView:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._called.set()
        self._thread.join(END_SECONDS)  # a terminal that is stopped holds up nobody
        if self._above is not None:
            sys.stderr = self._above.file
            if not self._thread.is_alive():
                self._live.stop()

    def _take(self, lines: list[str]) -> None:
        """Lines are to be printed above the view; whoever logs them does not wait for that."""
        self._lines.extend(lines)
        self._called.set()

    def _new_live(self) -> Live:
        return Live(
            Text(), console=self._console, auto_refresh=False, transient=True,
            vertical_overflow="crop", redirect_stderr=False,
        )  # fmt: skip

    def _work(self) -> None:
        """Print what is logged, and draw the view from time to time, until the end."""
        while not self._run.run_dir.spec.exists():
            if self._called.wait(self._seconds):
                return  # the run is not to be
        self._begin()
        draw_at = 0.0
        while not self._ended:
            self._called.wait(max(0.0, draw_at - time.monotonic()))
            self._called.clear()
            self._print_lines()
            if time.monotonic() >= draw_at:
                self._draw()
                draw_at = time.monotonic() + self._seconds
        self._print_lines()

    def _begin(self) -> None:
        self._live.start()
        self._above = _Above(self._take, sys.stderr)
        sys.stderr = self._above

    def _print_lines(self) -> None:
        while self._lines:
            self._log.append(self._lines.popleft())
            self._console.print(self._decoder.decode_line(self._log[-1]))

    def _draw(self) -> None:
        if not _is_in_front(self._console):
            return
        size = self._console.size
        if size != self._size:
            self._begin_anew(size)
        self._live.update(self._drawn(size), refresh=True)

    def _begin_anew(self, size: ConsoleDimensions) -> None:
        """After a resize nobody knows where the old view stands: clear, and print the log again."""
        self._live.stop()
        self._console.clear()
        for line in list(self._log)[-size.height :]:
            self._console.print(self._decoder.decode_line(line))
        self._size = size
        self._live = self._new_live()
        self._live.start()

    def _drawn(self, size: ConsoleDimensions) -> RenderableType:
        lines = min(MOST_LINES, size.height - LOG_LINES)
        if lines < LEAST_LINES:
            return Text()
        now = ages.present()
        self._run.look(now)
        return view(self._run, list(self._words), now, size.width, lines)


class _Above(io.TextIOBase):
    """Stands for stderr while a view is shown: what is written appears above the view, as it is.

    Args:
        take: is given whole lines, and what is flushed of one, such as a question.
        file: what it stands for.
    """

    def __init__(self, take: Callable[[list[str]], None], file: TextIO) -> None:
        self.file = file
        self._take = take
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._take(lines)
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self._take([self._rest])
            self._rest = ""

    def fileno(self) -> int:
        return self.file.fileno()

    def isatty(self) -> bool:
        return self.file.isatty()


def _is_in_front(console: Console) -> bool:
    """Whether the terminal is this process's own, and not that of a shell that sent it away."""
    try:
        return os.tcgetpgrp(console.file.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return True
