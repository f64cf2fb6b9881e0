"""The limit on the memory of request bodies: shares, queueing, and bodies that grow."""

from __future__ import annotations

import asyncio

import pytest

from images.gateway.gatewayd.refusal import Reason, Refusal
from images.gateway.gatewayd.server.memory_limit import MemoryLimit, parsed_bytes

from .conftest import Make


async def test_shares_of_memory_are_granted_in_order_and_returned() -> None:
    """A small share does not overtake a large one; a share that fits is granted at once."""
    memory = MemoryLimit(100, queue_seconds=5)
    order: list[str] = []

    async def take(name: str, size: int) -> None:
        async with memory.share(size):
            order.append(name)

    async with memory.share(80):
        waiting = [asyncio.create_task(take(*item)) for item in (("large", 90), ("small", 10))]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == ["large", "small"]


async def test_a_share_that_does_not_fit_is_refused() -> None:
    """A share above the total is refused for good, and one that does not become free, for now."""
    memory = MemoryLimit(100, queue_seconds=0.01)
    with pytest.raises(Refusal) as never:
        async with memory.share(101):
            pass
    assert never.value.reason is Reason.SIZE
    async with memory.share(60):
        with pytest.raises(Refusal) as later:
            async with memory.share(60):
                pass
    assert later.value.reason is Reason.BUSY
    async with memory.share(100):
        pass


def test_the_memory_of_a_parsed_body_is_bounded_before_parsing() -> None:
    """A megabyte of empty lists counts as the memory that its objects take."""
    assert parsed_bytes(b"[" + b"[]," * 350_000 + b"[]]") > 40_000_000
    assert parsed_bytes(b"x" * 1_000_000) == 3_000_000


def test_a_body_that_would_exceed_the_memory_limit_is_refused(make: Make) -> None:
    """The body is not parsed at all, and other requests go on."""
    gateway = make("anthropic")
    body = b'{"messages": [' + b"[]," * 4_000_000 + b"[]]}"
    assert gateway.send(body=body).status == 413
    assert gateway.send().status == 200
