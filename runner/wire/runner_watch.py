"""Whether the runner is still there, for containers that must not go on for long without it.

What this stops: an agent that goes on spending for hours when its runner was killed, was stopped,
or sleeps with its machine. Standard library only: this file is copied into every image.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TICK_SECONDS = 5.0
TICKS = 10.0  # at least so many until the runner counts as gone


class RunnerWatch:
    """Counts for how long nothing was heard of the runner.

    Only the time in which this process itself ran is counted. A container that was paused, or
    whose machine slept, has not listened; what it was sent meanwhile is still to be read. So a tick
    counts for two ticks at most, and the clock is the monotonic one, which stands still in a sleep.

    Args:
        orphan_seconds: after so long the runner counts as gone; None: it never does.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self, orphan_seconds: float | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._orphan_seconds = orphan_seconds
        self._now = now
        self._ticked_at = now()
        self.silent_seconds = 0.0
        self.tick_seconds = min(TICK_SECONDS, (orphan_seconds or TICK_SECONDS * TICKS) / TICKS)

    @property
    def gone(self) -> bool:
        return self._orphan_seconds is not None and self.silent_seconds >= self._orphan_seconds

    def heard(self) -> bool:
        """The runner sent something; True when it was gone until now."""
        was_gone = self.gone
        self.silent_seconds = 0.0
        return was_gone

    def tick(self) -> bool:
        """Count the time since the last tick; True when the runner is gone since now."""
        was_gone, now = self.gone, self._now()
        self.silent_seconds += min(now - self._ticked_at, 2 * self.tick_seconds)
        self._ticked_at = now
        return self.gone and not was_gone

    async def run(self, on_gone: Callable[[], None]) -> None:
        """Tick for ever; call `on_gone` each time that the runner has fallen silent."""
        while True:
            await asyncio.sleep(self.tick_seconds)
            if self.tick():
                on_gone()
