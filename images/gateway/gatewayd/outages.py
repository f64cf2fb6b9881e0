"""When the provider was out of reach, from what the gateway itself saw.

The runner gives this time back, so an agent would like to make some. It cannot: an interval
begins with an answer (or none) of the provider to a request that passed the whole policy, covers
only time in which such a request is being retried or, at most `BRIDGE_SECONDS`, is about to be
sent again by its CLI, and ends with the first answer that works.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BRIDGE_SECONDS = 60.0


class Outages:
    """Joins the failed attempts of all requests to intervals.

    Args:
        report: called with begin and end (unix seconds) and reason of every closed interval.
        bridge_seconds: how long a failed request may pause before the next one.
        now: the clock, in unix seconds.
    """

    def __init__(
        self,
        report: Callable[[float, float, str], None],
        bridge_seconds: float = BRIDGE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._report = report
        self._bridge_seconds = bridge_seconds
        self._now = now
        self._began: float | None = None
        self._last = 0.0
        self._reason = ""
        self._retrying = 0
        self._timer: asyncio.TimerHandle | None = None

    def failed(self, began: float, reason: str) -> None:
        """An attempt that began then has failed now, and its request will be tried again."""
        if self._began is None:
            self._began = began
            self._reason = reason
        self._last = self._now()

    def enter(self) -> None:
        """A request waits for its next attempt."""
        self._retrying += 1
        self._stop_timer()

    def leave(self) -> None:
        """A request that waited was answered, for good or ill."""
        self._retrying -= 1
        self._last = self._now()
        if self._retrying == 0 and self._began is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._bridge_seconds, self.close)

    def worked(self, began: float) -> None:
        """The provider answered an attempt that began then."""
        if self._began is not None:
            self._last = max(self._last, began)
            self.close()

    def close(self) -> None:
        """Ends the open interval, if there is one, when the provider was last seen failing."""
        self._stop_timer()
        if self._began is not None:
            self._report(self._began, max(self._began, self._last), self._reason)
        self._began = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
