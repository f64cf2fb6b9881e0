"""When the provider was out of reach, as the gateway itself observed it.

The runner gives this time back to the run, so an agent may try to fake outages. It cannot, because
an interval

- begins with a failed attempt at a request that passed the whole policy;
- covers only time in which such a request is being retried, or in which its CLI is about to send it
  again (at most `BRIDGE_SECONDS`);
- covers no time in which an answer streams, nor the minute after one: the model works then;
- grows by at most `ONE_REQUEST_SECONDS` from one and the same request, because a request that is
  always refused may itself be at fault;
- ends with the first attempt that succeeds.

An interval is reported in slices while it lasts, so that no budget of time ends a run in the midst
of it, and none of it is lost with the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator

import steady_clock

BRIDGE_SECONDS = 60.0
QUIET_SECONDS = 60.0
# A CLI sends one request up to ten times, and the gateway tries each of them for 150 s.
ONE_REQUEST_SECONDS = 1800.0
# The longest pause between two attempts that can be part of an outage: a provider may ask for a
# wait, which the gateway itself observes.
PAUSE_SECONDS = 180.0
REMEMBERED_REQUESTS = 1000
SLICE_SECONDS = 15.0  # of an interval that goes on are reported at least at a time


class OutageTracker:
    """Joins the failed attempts of all requests into intervals.

    Args:
        report: called with begin, end (unix seconds) and reason of every slice of an interval, and
            with the seconds of the whole interval, which are 0 while it goes on.
        report_begin: called with the reason when an interval begins, for those who watch.
        bridge_seconds: how long an interval stays open after its last retry gave up.
        one_request_seconds: for how long the failures of one and the same request count.
        now: the clock, in unix seconds.
    """

    def __init__(
        self,
        report: Callable[[float, float, str, float], None],
        bridge_seconds: float = BRIDGE_SECONDS,
        one_request_seconds: float = ONE_REQUEST_SECONDS,
        now: Callable[[], float] = steady_clock.now,
        report_begin: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._report = report
        self._report_begin = report_begin
        self._bridge_seconds = bridge_seconds
        self._one_request_seconds = one_request_seconds
        self._now = now
        self._began: float | None = None
        self._told_until = 0.0
        self._last_failure = 0.0
        self._reason = ""
        self._retrying = 0
        self._streaming = 0
        self._streamed_until = -math.inf
        self._first_failures: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def attempt_failed(self, began: float, reason: str, request: str = "") -> None:
        """Takes note of an attempt that failed just now and whose request will be tried again.

        Args:
            began: when the attempt began, in unix seconds.
            reason: what was observed, in a few words.
            request: identifies a request whose failure may be its own fault; "" when that is
                impossible because the provider was not reached.
        """
        until = self._counts_until(request, began)
        start = max(began, self._streamed_until + QUIET_SECONDS)
        if self._streaming or until < start:
            return
        if self._began is None:
            self._began = self._told_until = start
            self._reason = reason
            self._report_begin(reason)
        now = self._now()
        self._last_failure = max(self._last_failure, min(now, until))
        # The runner takes a slice to end when it is told.
        if self._last_failure == now and now - self._told_until >= SLICE_SECONDS:
            self._tell(whole_seconds=0.0)

    def retry_started(self) -> None:
        """Takes note that a request begins to wait for its next attempt."""
        self._retrying += 1
        self._stop_timer()

    def retry_ended(self, request: str = "") -> None:
        """Takes note that a waiting request was answered, or was given up.

        Args:
            request: as for `attempt_failed`.
        """
        self._retrying -= 1
        if self._began is not None:
            until = self._counts_until(request, self._now())
            self._last_failure = max(self._last_failure, min(self._now(), until))
        if self._retrying == 0 and self._began is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._bridge_seconds, self.close)

    def attempt_succeeded(self, began: float) -> None:
        """Ends the open interval: the provider answered an attempt.

        Args:
            began: when the attempt began, in unix seconds.
        """
        if self._began is not None:
            latest = self._last_failure + PAUSE_SECONDS
            self._last_failure = max(self._last_failure, min(began, latest))
            self.close()

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Surrounds the time in which an answer of the model passes."""
        self._streaming += 1
        try:
            yield
        finally:
            self._streaming -= 1
            self._streamed_until = self._now()

    def close(self) -> None:
        """Ends the open interval, if there is one, at the last failure that counts."""
        self._stop_timer()
        if self._began is not None and self._last_failure > self._began:
            self._tell(self._last_failure - self._began)
        self._began = None
        self._last_failure = 0.0

    def _tell(self, whole_seconds: float) -> None:
        """Reports what of the interval was not reported yet."""
        self._report(self._told_until, self._last_failure, self._reason, whole_seconds)
        self._told_until = self._last_failure

    def _counts_until(self, request: str, began: float) -> float:
        """Until when failures of this request count, in unix seconds."""
        if not request:
            return math.inf
        first = self._first_failures.setdefault(request, began)
        if len(self._first_failures) > REMEMBERED_REQUESTS:
            del self._first_failures[next(iter(self._first_failures))]
        return first + self._one_request_seconds

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
