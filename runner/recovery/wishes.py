"""What a person wants of a run: that it stops, or that it is suspended.

SIGTERM suspends: a machine that shuts down sends it, and the run goes on with `make resume`. Ctrl-C
on a terminal asks what is meant; elsewhere it suspends. A closed terminal changes nothing. `bakeoff
stop` ends the run.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

from runner.records.layout import RunDir
from runner.run_lock import on_stop_signals

ANSWER_SECONDS = 30.0
INSIST_SECONDS = 15.0  # a suspension takes up to 10 s; a signal after that ends the runner at once
SAME_SECONDS = 1.0  # a Ctrl-C may reach this process twice: from the terminal and from `make`
QUESTION = "stop the run for good [s], suspend it [u], or go on [Enter, or no answer in 30 s]? "
ANSWERS = {"s": "stop", "stop": "stop", "u": "suspend", "suspend": "suspend"}


class Kind(Enum):
    """What a person wants."""

    STOP = "stop"
    SUSPEND = "suspend"


@dataclass(frozen=True)
class Wish:
    """What a person wants of a run, and how that was said."""

    kind: Kind
    by: str


class Terminal:
    """Asks a person at the terminal of this process.

    Args:
        answers: where the answer is read.
        questions: where the question is printed.
    """

    def __init__(self, answers: TextIO | None = None, questions: TextIO | None = None) -> None:
        self._answers = answers or sys.stdin
        self._questions = questions or sys.stderr

    def there(self) -> bool:
        """Somebody can be asked: both ends are a terminal, and this process is in front of it."""
        try:
            ends = (self._answers.fileno(), self._questions.fileno())
            front = os.tcgetpgrp(ends[0]) == os.getpgrp()
        except (OSError, ValueError, AttributeError):
            return False
        return front and all(map(os.isatty, ends))

    def ask(self, given_up: threading.Event) -> str:
        """The answer, or "" if none came within `ANSWER_SECONDS` or `given_up` was set."""
        print(f"\n{QUESTION}", end="", file=self._questions, flush=True)
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until and not given_up.is_set():
            if select.select([self._answers], [], [], 0.2)[0]:
                return self._answers.readline().strip().lower()
        return ""


class Wishes:
    """Collects what a person wants; the first wish counts.

    Args:
        run_dir: of the run; `bakeoff stop` leaves a file there.
        terminal: who is asked after a Ctrl-C.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self, run_dir: RunDir, terminal: Terminal, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._run_dir = run_dir
        self._terminal = terminal
        self._now = now
        self._wish: Wish | None = None
        self._wished_at = math.inf
        self._asking: threading.Thread | None = None
        self._asked_at = -math.inf
        self._given_up = threading.Event()

    def __call__(self) -> Wish | None:
        """What is wanted now, or None."""
        if self._wish is None and self._run_dir.stop.exists():
            return Wish(Kind.STOP, "`bakeoff stop`")
        return self._wish

    @property
    def asking(self) -> bool:
        """A person is being asked: the terminal belongs to the question."""
        return self._asking is not None and self._asking.is_alive()

    def take(self, number: int) -> None:
        """Take up a signal.

        Raises:
            KeyboardInterrupt: a person insists: the run was to be suspended long ago.
        """
        if self._wish is not None and (self._wish.kind is Kind.SUSPEND or number != signal.SIGTERM):
            if self._now() - self._wished_at >= INSIST_SECONDS:
                raise KeyboardInterrupt
            return
        name = f"{signal.Signals(number).name} to the runner"
        if number != signal.SIGINT or not self._terminal.there():
            self._want(Kind.SUSPEND, name)
        elif not self.asking:
            self._asked_at = self._now()
            self._asking = threading.Thread(target=self._ask, daemon=True)
            self._asking.start()
        elif self._now() - self._asked_at >= SAME_SECONDS:
            self._given_up.set()
            self._want(Kind.SUSPEND, f"{name}, twice")

    def _ask(self) -> None:
        answer = ANSWERS.get(self._terminal.ask(self._given_up))
        if answer is not None and self._wish is None:
            self._want(Kind(answer), "a person at the terminal")

    def _want(self, kind: Kind, by: str) -> None:
        self._wish, self._wished_at = Wish(kind, by), self._now()


@contextlib.contextmanager
def taken_up(wishes: Wishes) -> Iterator[None]:
    """Signals are wishes while this context is open."""
    with on_stop_signals(wishes.take):
        yield
