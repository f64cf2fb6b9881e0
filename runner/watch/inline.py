"""The view of a run below the log of its own runner, at the bottom of a terminal.

It is drawn in a thread from the run's records, so that neither a slow terminal nor a fault of the
view holds the run up. Whatever is printed meanwhile appears above it.
"""

from __future__ import annotations

import io
import sys
import threading
from collections import deque
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
END_SECONDS = 5.0


class RunView:
    """Shows a run of this process while the context is open.

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
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="view", daemon=True)
        self._size = console.size
        self._live = self._new_live()
        self._above = _Above(console, sys.stderr)

    def hear(self, role: str, line: str) -> None:
        """Take up a line that a container printed for people."""
        if role in CONTESTANTS:
            self._words.append(line)

    def __enter__(self) -> RunView:
        self._live.start()
        sys.stderr = self._above
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(END_SECONDS)  # a terminal that is stopped holds up nobody
        if sys.stderr is self._above:
            sys.stderr = self._above.rich_proxied_file
        if not self._thread.is_alive():
            self._live.stop()

    def _new_live(self) -> Live:
        return Live(
            Text(), console=self._console, auto_refresh=False, transient=True,
            vertical_overflow="crop", redirect_stderr=False,
        )  # fmt: skip

    def _refresh(self) -> None:
        while not self._ended.wait(self._seconds):
            size = self._console.size
            if size != self._size:
                self._begin_anew(size)
            self._live.update(self._drawn(size), refresh=True)

    def _begin_anew(self, size: ConsoleDimensions) -> None:
        """After a resize nobody knows where the old view stands, so the screen is cleared."""
        self._live.stop()
        self._console.clear()
        self._size = size
        self._live = self._new_live()
        self._live.start()

    def _drawn(self, size: ConsoleDimensions) -> RenderableType:
        lines = min(MOST_LINES, size.height - LOG_LINES)
        if lines < LEAST_LINES:
            return Text()
        if not self._run.run_dir.spec.exists():
            return Text("preparing: checks, images, data, and what this machine can do", "dim")
        now = ages.present()
        self._run.look(now)
        return view(self._run, list(self._words), now, size.width, lines)


class _Above(io.TextIOBase):
    """Stands for stderr while a view is shown: what is written appears above the view, as it is.

    (The redirection that rich has reads markup in a line that is flushed before its end.)

    Attributes:
        rich_proxied_file: what it stands for.
    """

    def __init__(self, console: Console, file: TextIO) -> None:
        self.rich_proxied_file = file
        self._console = console
        self._decoder = AnsiDecoder()
        self._rest = ""

    def write(self, text: str) -> int:
        """Print the lines that are whole now."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._print(lines)
        return len(text)

    def flush(self) -> None:
        """Print what there is of a line, such as a question."""
        if self._rest:
            self._print([self._rest])
            self._rest = ""

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()

    def isatty(self) -> bool:
        return self.rich_proxied_file.isatty()

    def _print(self, lines: list[str]) -> None:
        self._console.print(Text("\n").join(map(self._decoder.decode_line, lines)))
