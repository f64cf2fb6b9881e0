"""The provider of the benchmark: answers every chat completion with the same paced stream.

Run as a program of its own, so that it has a process of its own: `python upstream.py`; it prints
the port that it serves on loopback.
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


def frames() -> list[bytes]:
    """The events of a stream, as they are sent."""
    base = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5.4",
    }

    def event(choices: list[dict[str, object]], **more: object) -> bytes:
        return f"data: {json.dumps(base | {'choices': choices} | more)}\n\n".encode()

    def delta(content: dict[str, str], end: str | None = None) -> list[dict[str, object]]:
        return [{"index": 0, "delta": content, "finish_reason": end}]

    usage = {"prompt_tokens": 50, "completion_tokens": 400, "total_tokens": 450}
    words = event(delta({"role": "assistant", "content": TEXT}))
    return [words] * CHUNKS + [
        event(delta({}, "stop")),
        event([], usage=usage),
        b"data: [DONE]\n\n",
    ]


STREAM = frames()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


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
            await _answer(writer, paced=b"at once" not in body)
    writer.close()


async def _answer(writer: asyncio.StreamWriter, paced: bool) -> None:
    if paced:
        await asyncio.sleep(THINK_SECONDS)
    writer.write(HEAD)
    for frame in STREAM:
        writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
        if paced:
            await writer.drain()
            await asyncio.sleep(PAUSE_SECONDS)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def main() -> None:
    """Serves until it is ended."""
    server = await asyncio.start_server(_connected, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
