"""Sends streams, many at once, and times their first and last bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.gateway.upstream import STREAM

EXPECTED = b"".join(STREAM)


@dataclass(frozen=True)
class Target:
    """Where to send requests: loopback's `port`, or a Unix `socket`."""

    name: str
    token: str
    port: int = 0
    socket: str = ""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.socket:
            return await asyncio.open_unix_connection(self.socket)
        return await asyncio.open_connection("127.0.0.1", self.port)


@dataclass
class Timings:
    """What was measured, in seconds, one entry a stream.

    Attributes:
        first: from sending the request to the first byte of the body.
        last: to the last one.
        equal: streams whose bytes were exactly the provider's.
        wall: the whole of it.
    """

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    equal: int = 0
    failed: int = 0
    wall: float = 0.0


def request(target: Target, prompt: str) -> bytes:
    """A streamed chat completion."""
    body = json.dumps(
        {
            "model": "gpt-5.4",
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": 1000,
            "messages": [{"role": "user", "content": prompt}],
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {target.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def measure(
    target: Target, together: int, streams: int, prompt: str, spread: float = 0.0
) -> Timings:
    """Sends `streams` requests, `together` at a time, each worker on a connection of its own.

    Args:
        target: where to.
        together: workers.
        streams: requests in all.
        prompt: what they say.
        spread: seconds over which the workers begin, so that they do not run in step.
    """
    timings = Timings()
    left = iter(range(streams))
    data = request(target, prompt)
    began = time.perf_counter()
    await asyncio.gather(
        *(
            _work(target, data, left, timings, index * spread / together)
            for index in range(together)
        )
    )
    timings.wall = time.perf_counter() - began
    return timings


async def _work(
    target: Target, data: bytes, left: Iterator[int], timings: Timings, delay: float
) -> None:
    await asyncio.sleep(delay)
    reader, writer = await target.connect()
    for _ in left:  # one iterator, shared by all workers
        try:
            await _one(reader, writer, data, timings)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            timings.failed += 1
            writer.close()
            reader, writer = await target.connect()
    writer.close()


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, timings: Timings
) -> None:
    began = time.perf_counter()
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise ValueError(f"no stream: {head[:200]!r}")
    body, first = b"", 0.0
    while size := int((await reader.readline()).strip() or b"0", 16):
        piece = await reader.readexactly(size)
        first = first or time.perf_counter() - began
        body += piece
        await reader.readexactly(2)
    await reader.readline()
    timings.first.append(first)
    timings.last.append(time.perf_counter() - began)
    timings.equal += body == EXPECTED
