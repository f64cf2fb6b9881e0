"""Bounds how much the sandbox asks at once and a minute; what is too much waits a while first.

The attack: a loop in the sandbox that floods the provider (and so earns a 429, an outage on the
books) or the gateway's memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .refusal import Reason, Refusal
from .settings import Limits

LONGEST_QUEUE = 256


class Turnstile:
    """Admits `concurrency` requests at once and `requests_per_minute`, both with a short queue."""

    def __init__(self, limits: Limits) -> None:
        self._places = asyncio.Semaphore(limits.concurrency)
        self._seconds_each = 60.0 / limits.requests_per_minute
        # A burst of a quarter of a minute's requests may come at once.
        self._burst_seconds = 15.0
        self._queue_seconds = limits.queue_seconds
        self._free_at = time.monotonic() - self._burst_seconds
        self._waiting = 0

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Holds one of the places.

        Raises:
            Refusal: there is none within `queue_seconds`.
        """
        if self._waiting >= LONGEST_QUEUE:
            raise Refusal(Reason.BUSY, "too many requests wait", wait_seconds=10)
        self._waiting += 1
        try:
            await self._pace()
            await self._place()
        except TimeoutError:
            raise Refusal(Reason.BUSY, "too many requests at once", wait_seconds=10) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def _place(self) -> None:
        if not self._places.locked():  # the usual case needs no timer
            await self._places.acquire()
            return
        async with asyncio.timeout(self._queue_seconds):
            await self._places.acquire()

    async def _pace(self) -> None:
        now = time.monotonic()
        start = max(self._free_at, now - self._burst_seconds)
        wait = start - now
        if wait > self._queue_seconds:
            raise Refusal(Reason.BUSY, "too many requests a minute", wait_seconds=wait)
        self._free_at = start + self._seconds_each
        if wait > 0:
            await asyncio.sleep(wait)
