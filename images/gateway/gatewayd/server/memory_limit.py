"""A limit on the memory that all request bodies take together.

The attack: many large bodies at once, or small ones that grow when they are parsed (`[],[],…` takes
twenty times its length), until the kernel kills the gateway before it has settled its requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..refusal import Reason, Refusal

READING_BYTES = 128 << 20
PARSED_BYTES = 384 << 20  # five bodies with 20 MB of pictures each, or one of the longest
# Measured on CPython 3.11: an empty list in a list takes 64 bytes, and a key with its value takes
# more, but each such element has a comma, a bracket or a brace of its own.
BYTES_PER_ELEMENT = 72
ELEMENT_MARKS = (b",", b"[", b"{")


class MemoryLimit:
    """Grants shares of `total_bytes` in the order in which they are asked for.

    Args:
        total_bytes: what all shares may take together.
        queue_seconds: how long a request for a share waits.
    """

    def __init__(self, total_bytes: int, queue_seconds: float) -> None:
        self._total_bytes = total_bytes
        self._free_bytes = total_bytes
        self._queue_seconds = queue_seconds
        self._queue: deque[asyncio.Event] = deque()

    @asynccontextmanager
    async def share(self, size_bytes: int) -> AsyncIterator[None]:
        """Holds a share of `size_bytes`.

        Raises:
            Refusal: the share never fits (SIZE), or did not become free in time (BUSY).
        """
        if size_bytes > self._total_bytes:
            raise Refusal(Reason.SIZE, "the body would take more memory than the gateway allows")
        await self._wait_for(size_bytes)
        self._free_bytes -= size_bytes
        self._wake_first()
        try:
            yield
        finally:
            self._free_bytes += size_bytes
            self._wake_first()

    async def _wait_for(self, size_bytes: int) -> None:
        if not self._queue and size_bytes <= self._free_bytes:
            return
        turn = asyncio.Event()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._queue_seconds):
                while self._queue[0] is not turn or size_bytes > self._free_bytes:
                    turn.clear()
                    await turn.wait()
        except TimeoutError:
            raise Refusal(Reason.BUSY, "too many large requests at once", wait_seconds=10) from None
        finally:
            self._queue.remove(turn)

    def _wake_first(self) -> None:
        if self._queue:
            self._queue[0].set()


def parsed_bytes(raw: bytes) -> int:
    """An upper bound on the memory of a body as text and as objects, in bytes."""
    elements = sum(raw.count(mark) for mark in ELEMENT_MARKS)
    return 3 * len(raw) + BYTES_PER_ELEMENT * elements
