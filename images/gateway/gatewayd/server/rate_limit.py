"""Limits how many requests the sandbox makes at once and per minute; excess requests wait first.

The attack: a loop in the sandbox that floods the provider (which answers 429 and so seems to have
an outage) or fills the gateway's memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..refusal import Reason, Refusal
from ..settings import Limits

MAX_WAITING = 256
# Requests of so many seconds may come in one burst.
BURST_SECONDS = 15.0


class RateLimiter:
    """Admits `concurrency` requests at once and `requests_per_minute`, each with a short queue."""

    def __init__(self, limits: Limits) -> None:
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._interval_seconds = 60.0 / limits.requests_per_minute
        self._queue_seconds = limits.queue_seconds
        self._next_start = time.monotonic() - BURST_SECONDS
        self._waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Holds one of the slots.

        Raises:
            Refusal: none became free within `queue_seconds`, or too many requests wait (BUSY).
        """
        if self._waiting >= MAX_WAITING:
            raise Refusal(Reason.BUSY, "too many requests are waiting", wait_seconds=10)
        self._waiting += 1
        try:
            await self._wait_for_rate()
            await self._wait_for_slot()
        except TimeoutError:
            raise Refusal(Reason.BUSY, "too many requests at once", wait_seconds=10) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _wait_for_slot(self) -> None:
        if not self._slots.locked():  # the usual case needs no timer
            await self._slots.acquire()
            return
        async with asyncio.timeout(self._queue_seconds):
            await self._slots.acquire()

    async def _wait_for_rate(self) -> None:
        now = time.monotonic()
        start = max(self._next_start, now - BURST_SECONDS)
        wait = start - now
        if wait > self._queue_seconds:
            raise Refusal(Reason.BUSY, "too many requests per minute", wait_seconds=wait)
        self._next_start = start + self._interval_seconds
        if wait > 0:
            await asyncio.sleep(wait)
