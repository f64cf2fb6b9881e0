"""A bound on the memory that request bodies take together.

The attack: many large bodies at once, or small ones that grow when they are parsed (`[],[],…`
takes twenty times its length), until the kernel kills the gateway in the midst of its accounts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .refusal import Reason, Refusal

READING_BYTES = 48 * 1024 * 1024
PARSED_BYTES = 96 * 1024 * 1024
# Measured on CPython 3.11: an empty list in a list takes 64 bytes, a key with its value more, but
# every such thing has a comma, a bracket or a brace of its own.
BYTES_A_THING = 72
THINGS = (b",", b"[", b"{")


class Room:
    """Hands out shares of `total_bytes` in the order in which they were asked for."""

    def __init__(self, total_bytes: int, patience_seconds: float) -> None:
        self._total = total_bytes
        self._free = total_bytes
        self._patience_seconds = patience_seconds
        self._queue: deque[asyncio.Event] = deque()

    @asynccontextmanager
    async def share(self, size_bytes: int) -> AsyncIterator[None]:
        """Holds so many bytes.

        Raises:
            Refusal: they never fit (SIZE), or not in time (BUSY).
        """
        if size_bytes > self._total:
            raise Refusal(Reason.SIZE, "the body would take too much memory")
        await self._wait(size_bytes)
        self._free -= size_bytes
        self._wake()
        try:
            yield
        finally:
            self._free += size_bytes
            self._wake()

    async def _wait(self, size_bytes: int) -> None:
        if not self._queue and size_bytes <= self._free:
            return
        turn = asyncio.Event()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._patience_seconds):
                while self._queue[0] is not turn or size_bytes > self._free:
                    turn.clear()
                    await turn.wait()
        except TimeoutError:
            raise Refusal(Reason.BUSY, "too many large requests", wait_seconds=10) from None
        finally:
            self._queue.remove(turn)

    def _wake(self) -> None:
        if self._queue:
            self._queue[0].set()


def parsed_bytes(raw: bytes) -> int:
    """A bound on the memory of a body as text and as objects, in bytes."""
    things = sum(raw.count(thing) for thing in THINGS)
    return 3 * len(raw) + BYTES_A_THING * things
