"""The provider of the benchmark: it answers every chat completion with the same text.

A streamed answer comes in events with pauses, and a whole answer comes after the same initial
pause. A prompt with "at once" gets either without a pause. `python upstream.py` runs it in a
process of its own, and prints the port that it serves on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

THINK_SECONDS = 0.02
PAUSE_SECONDS = 0.01
CHUNKS = 40
TEXT = "words of a model, about as many as come at once "
USAGE = {"prompt_tokens": 50, "completion_tokens": 400, "total_tokens": 450}
BASE = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5.4"}
AT_ONCE = "at once"


def frames() -> list[bytes]:
    """The events of a stream."""
    base = BASE | {"object": "chat.completion.chunk"}

    def event(choices: list[dict[str, object]], **more: object) -> bytes:
        return f"data: {json.dumps(base | {'choices': choices} | more)}\n\n".encode()

    def delta(content: dict[str, str], end: str | None = None) -> list[dict[str, object]]:
        return [{"index": 0, "delta": content, "finish_reason": end}]

    text = event(delta({"role": "assistant", "content": TEXT}))
    return [text] * CHUNKS + [
        event(delta({}, "stop")),
        event([], usage=USAGE),
        b"data: [DONE]\n\n",
    ]


def answer() -> bytes:
    """The same text as one whole answer."""
    message = {"role": "assistant", "content": TEXT * CHUNKS}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = BASE | {"object": "chat.completion", "choices": choices, "usage": USAGE}
    return json.dumps(body).encode()


STREAM = frames()
ANSWER = answer()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
    + ANSWER
)


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            body = await reader.readexactly(length)
            await _answer(writer, json.loads(body).get("stream") is True, AT_ONCE.encode() in body)
    writer.close()


async def _answer(writer: asyncio.StreamWriter, streamed: bool, at_once: bool) -> None:
    if not at_once:
        await asyncio.sleep(THINK_SECONDS)
    if streamed:
        await _stream(writer, at_once)
    else:
        writer.write(WHOLE)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, at_once: bool) -> None:
    writer.write(HEAD)
    for frame in STREAM:
        writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
        if not at_once:
            await writer.drain()
            await asyncio.sleep(PAUSE_SECONDS)
    writer.write(b"0\r\n\r\n")


async def main() -> None:
    """Serves until it is ended."""
    server = await asyncio.start_server(_connected, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
