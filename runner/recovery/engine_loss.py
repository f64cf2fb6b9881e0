"""A Docker engine that went away under a run: wait for it as long as it takes, and go on.

An engine is upgraded, restarted or out of memory. All that a run has on it lies on volumes, so the
run opens its sandbox again when the engine answers. The time until then counts to no budget. An
engine that answers but fails again and again suspends the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from runner.engine.client import Engine
from runner.errors import BakeoffError, EngineError, ImageError, SandboxError
from runner.records.journal import Journal
from runner.recovery.wishes import Wish

MAX_FAILURES = 5  # in a row, of an engine that answers: each within STEADY_SECONDS of its opening
STEADY_SECONDS = 120.0
FIRST_PAUSE_SECONDS = 1.0
LOOK_SECONDS = 2.0  # from one look for the engine to the next
WISH_SECONDS = 0.25
MAX_ERROR_CHARS = 500


class EngineLoss:
    """Decides whether a run that the engine failed begins another life, and waits for it.

    Args:
        engine: the engine.
        journal: the run's.
        now: seconds on a clock that never goes back.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._now = now
        self._sleep = sleep
        self._failures = 0
        self._trials = 0
        self._opened_at: float | None = None

    @property
    def was_open(self) -> bool:
        """Whether the sandbox of the life that began last has been open."""
        return self._opened_at is not None

    def life_begins(self) -> None:
        """The run opens its sandbox."""
        self._opened_at = None

    def life_opened(self) -> None:
        """The sandbox is open. Any thread may say so."""
        self._opened_at = self._now()

    def wait(
        self, error: BakeoffError, wish: Callable[[], Wish | None], trials: int
    ) -> Wish | None:
        """Wait until the engine answers and the run may open its sandbox again.

        Args:
            error: what failed.
            wish: what a person wants; it ends the waiting.
            trials: how many the run has recorded. A run that records none gets nowhere, however
                long each life takes.

        Returns:
            The wish that ended the waiting, or None.

        Raises:
            BakeoffError: `error`, if another life would not mend it: it is not the engine's, an
                image is gone, or it came more than `MAX_FAILURES` times in a row.
        """
        if not isinstance(error, EngineError | SandboxError) or isinstance(error, ImageError):
            raise error
        opened_at = self._opened_at
        lasted = opened_at is not None and self._now() - opened_at >= STEADY_SECONDS
        if trials > self._trials or (lasted and isinstance(error, EngineError)):
            self._failures = 0
        self._trials = trials
        self._failures += 1
        self._journal.write(
            "engine.failed", error=error.message[:MAX_ERROR_CHARS], in_a_row=self._failures
        )
        if self._failures > MAX_FAILURES:
            raise error
        return self._paused(FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1), wish) or self._answer(
            wish
        )

    def _answer(self, wish: Callable[[], Wish | None]) -> Wish | None:
        began = self._now()
        while not self._answers():
            wanted = self._paused(LOOK_SECONDS, wish)
            if wanted is not None:
                return wanted
        self._journal.write("engine.answered", waited_seconds=round(self._now() - began, 1))
        return None

    def _answers(self) -> bool:
        try:
            self._engine.info()
        except EngineError:
            return False
        return True

    def _paused(self, seconds: float, wish: Callable[[], Wish | None]) -> Wish | None:
        """Wait, unless a person wants something."""
        until = self._now() + seconds
        while (wanted := wish()) is None and self._now() < until:
            self._sleep(WISH_SECONDS)
        return wanted
