"""The only way out of the sandbox: 127.0.0.1:8080 is relayed to the gateway's Unix socket.

Bytes pass both ways unread. While the gateway is away (it may be restarted), a connection waits for
some seconds and then gets a 503, which every CLI takes for a reason to try again. Refusing the
connection instead would make Codex wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib

HOST, PORT = "127.0.0.1", 8080
GATEWAY_SOCKET = "/run/gateway/llm.sock"
CONNECT_SECONDS = 20.0
RETRY_SECONDS = 0.02
REFUSE_SECONDS = 5.0
CHUNK_BYTES = 64 * 1024
MAX_CONNECTIONS = 128
UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: application/json\r\n"
    b'connection: close\r\ncontent-length: 55\r\n\r\n{"error":{"message":"the gateway is away, '
    b'try again"}}\n'
)


async def serve(
    socket_path: str = GATEWAY_SOCKET, port: int = PORT, connect_seconds: float = CONNECT_SECONDS
) -> asyncio.Server:
    """Listen on the loopback interface; connections past `MAX_CONNECTIONS` wait their turn.

    Args:
        socket_path: the gateway's socket.
        port: on 127.0.0.1; 0 for any free one.
        connect_seconds: how long a connection waits for a gateway that is away.
    """
    slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with slots:
            await _relay(reader, writer, socket_path, connect_seconds)

    return await asyncio.start_server(relay, HOST, port)


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    socket_path: str,
    connect_seconds: float,
) -> None:
    try:
        gateway_reader, gateway_writer = await _connect(socket_path, connect_seconds)
    except OSError:
        await _refuse(reader, writer)
        return
    try:
        await asyncio.gather(_pump(reader, gateway_writer), _pump(gateway_reader, writer))
    finally:
        await _close(gateway_writer)
        await _close(writer)


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 503 and take the rest of the request: unread bytes would turn it into a reset."""
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(UNAVAILABLE)
        writer.write_eof()
        async with asyncio.timeout(REFUSE_SECONDS):
            while await reader.read(CHUNK_BYTES):
                pass
    await _close(writer)


async def _connect(
    socket_path: str, seconds: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            return await asyncio.open_unix_connection(socket_path)
        except OSError:
            if loop.time() > until:
                raise
        await asyncio.sleep(RETRY_SECONDS)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of `reader`, then close that direction only."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()
