"""Which lines of a training log a language model needs to see.

A log may have thousands of lines and each costs tokens. Progress is thinned by training time,
other text is shown up to a limit, and what went wrong stands at the end: the last lines are
kept, to be shown when a trial fails.
"""

from __future__ import annotations

import collections
import re

PROGRESS_EVERY_SECONDS = 30.0
MAX_OTHER_LINES = 150
TAIL_LINES = 30
MAX_LINE_CHARS = 500
_PROGRESS = re.compile(r"progress: .*\btrain_seconds=([0-9]{1,9}(?:\.[0-9]{1,9})?)")


class Thinner:
    """Decides line by line; remembers the last lines that it held back."""

    def __init__(self) -> None:
        self._next_progress_seconds = 0.0
        self._other_lines = 0
        self._held_back: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)

    def feed(self, line: str) -> str | None:
        """The line as it is to be shown, or None."""
        shown = line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + "…"
        match = _PROGRESS.match(line)
        if match:
            return self._progress(float(match.group(1)), shown)
        self._other_lines += 1
        if self._other_lines == MAX_OTHER_LINES + 1:
            return "(further output is left out here)"
        if self._other_lines > MAX_OTHER_LINES:
            self._held_back.append(shown)
            return None
        return shown

    def tail(self) -> list[str]:
        """The last lines that were not shown, oldest first."""
        return list(self._held_back)

    def _progress(self, train_seconds: float, shown: str) -> str | None:
        if train_seconds < self._next_progress_seconds:
            return None
        self._next_progress_seconds = train_seconds + PROGRESS_EVERY_SECONDS
        return shown
