"""Sends requests, many at once, and times the first and last bytes of their answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from benchmarks.gateway.upstream import ANSWER, AT_ONCE, CHUNKS, STREAM, TEXT, USAGE

EXPECTED = {True: b"".join(STREAM), False: ANSWER}
FAILURES = (OSError, ValueError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Target:
    """Where requests go: a `port` on loopback, or a Unix `socket`.

    Attributes:
        headers: what this system needs in every request besides the usual headers.
    """

    name: str
    token: str
    port: int = 0
    socket: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.socket:
            return await asyncio.open_unix_connection(self.socket)
        return await asyncio.open_connection("127.0.0.1", self.port)


@dataclass(frozen=True)
class Load:
    """The same requests for every system.

    Attributes:
        streamed: whether the answers are streams, or whole.
        together: how many requests are open at once, each on a kept connection of its own.
        requests: how many there are in a repeat.
        repeats: how often each system has its turn.
        prompt: their text; the provider answers "at once" without a pause.
        spread: seconds over which the connections start, so that they do not run in step.
    """

    streamed: bool
    together: int
    requests: int
    repeats: int
    prompt: str = "hello"
    spread: float = 0.0

    @property
    def answers(self) -> str:
        return "streams" if self.streamed else "whole answers"


@dataclass
class Timings:
    """What was measured, in seconds, with one entry per answer.

    Attributes:
        first: from sending the request to the first byte of the body.
        last: from sending the request to the last byte of the body.
        equal: how many answers had exactly the provider's bytes.
        complete: how many answers had all of the provider's text and usage, in any notation.
        failed: how many requests had no whole answer.
        wall: from the first request to the last answer.
    """

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    equal: int = 0
    complete: int = 0
    failed: int = 0
    wall: float = 0.0


def request(target: Target, prompt: str, streamed: bool) -> bytes:
    """The bytes of a chat completion request."""
    body = {
        "model": "gpt-5.4",
        "max_completion_tokens": 1000,
        "messages": [{"role": "user", "content": prompt}],
    }
    if streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    data = json.dumps(body).encode()
    headers = {
        "Host": "model",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {target.token}",
        "Content-Length": str(len(data)),
        **target.headers,
    }
    lines = [f"{name}: {text}\r\n" for name, text in headers.items()]
    return "".join(["POST /v1/chat/completions HTTP/1.1\r\n", *lines, "\r\n"]).encode() + data


async def measure(target: Target, load: Load) -> Timings:
    """Sends a load to a target; its timings.

    Each connection carries one request before the clock starts, so that no figure includes the time
    to connect, neither here nor between the system and the provider.
    """
    return await _Sending(target, load).run()


class _Sending:
    """One turn of a load at a target."""

    def __init__(self, target: Target, load: Load) -> None:
        self._target = target
        self._load = load
        self._timings = Timings()
        self._bodies: list[bytes] = []
        self._left = iter(range(load.requests))  # one iterator, shared by all workers
        self._ready = asyncio.Barrier(load.together + 1)

    async def run(self) -> Timings:
        async with asyncio.TaskGroup() as workers:
            for index in range(self._load.together):
                workers.create_task(self._work(index * self._load.spread / self._load.together))
            await self._ready.wait()
            began = time.perf_counter()
        timings, streamed = self._timings, self._load.streamed
        timings.wall = time.perf_counter() - began
        timings.equal = sum(body == EXPECTED[streamed] for body in self._bodies)
        timings.complete = sum(is_complete(body, streamed) for body in self._bodies)
        return timings

    async def _work(self, delay: float) -> None:
        reader, writer = await self._warm_connection()
        data = request(self._target, self._load.prompt, self._load.streamed)
        await self._ready.wait()
        await asyncio.sleep(delay)
        for _ in self._left:
            try:
                first, last, body = await _one(reader, writer, data)
            except FAILURES:
                self._timings.failed += 1
                writer.close()
                reader, writer = await self._target.connect()
            else:
                self._timings.first.append(first)
                self._timings.last.append(last)
                self._bodies.append(body)
        writer.close()

    async def _warm_connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._target.connect()
        try:
            await _one(reader, writer, request(self._target, AT_ONCE, self._load.streamed))
        except FAILURES:
            writer.close()
            return await self._target.connect()
        return reader, writer


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
) -> tuple[float, float, bytes]:
    """Seconds to the first and to the last byte of the body, and the body."""
    began = time.perf_counter()
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise ValueError(f"no answer: {head[:200]!r}")
    pieces, first = [], 0.0
    async for piece in _pieces(reader, head):
        first = first or time.perf_counter() - began
        pieces.append(piece)
    return first, time.perf_counter() - began, b"".join(pieces)


async def _pieces(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """The pieces of the body as they arrive.

    Raises:
        asyncio.IncompleteReadError: the body was cut short.
        ValueError: the framing is not HTTP/1.1.
    """
    if length := re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.IGNORECASE):
        yield await reader.readexactly(int(length[1]))
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")


def is_complete(body: bytes, streamed: bool) -> bool:
    """Whether a body has all of the provider's text and usage."""
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
        if not streamed:
            answer = json.loads(body)
            text = answer["choices"][0]["message"]["content"]
            return bool(text == TEXT * CHUNKS and _is_usage(answer["usage"]))
        lines = [line[5:].strip() for line in body.split(b"\n") if line.startswith(b"data:")]
        events = [json.loads(line) for line in lines[:-1]]
        deltas = [choice["delta"] for event in events for choice in event["choices"]]
        text = "".join(delta.get("content") or "" for delta in deltas)
        used = [event["usage"] for event in events if event.get("usage")]
        return bool(
            lines[-1] == b"[DONE]" and text == TEXT * CHUNKS and used and _is_usage(used[-1])
        )
    return False


def _is_usage(usage: dict[str, object]) -> bool:
    return all(usage[name] == tokens for name, tokens in USAGE.items())
