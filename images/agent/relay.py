"""The only way out of the sandbox: 127.0.0.1:8080 relayed to the gateway's Unix socket.

Bytes pass both ways unread. While the gateway is away (it may be restarted), a connection waits;
then it gets a 503 that every CLI understands, because Codex waits for ever on a refused one.
"""

from __future__ import annotations

import asyncio
import contextlib

HOST, PORT = "127.0.0.1", 8080
GATEWAY_SOCKET = "/run/gateway/llm.sock"
CONNECT_SECONDS = 20.0
RETRY_SECONDS = 0.2
CHUNK_BYTES = 64 * 1024
MAX_CONNECTIONS = 128
UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: application/json\r\n"
    b'connection: close\r\ncontent-length: 55\r\n\r\n{"error":{"message":"the gateway is away, '
    b'try again"}}\n'
)


async def serve(socket_path: str = GATEWAY_SOCKET, port: int = PORT) -> asyncio.Server:
    """Listen on the loopback interface; connections past `MAX_CONNECTIONS` wait their turn."""
    slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with slots:
            await _relay(reader, writer, socket_path)

    return await asyncio.start_server(relay, HOST, port)


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, socket_path: str
) -> None:
    try:
        gateway_reader, gateway_writer = await _connect(socket_path)
    except OSError:
        writer.write(UNAVAILABLE)
        await _close(writer)
        return
    try:
        await asyncio.gather(_pump(reader, gateway_writer), _pump(gateway_reader, writer))
    finally:
        await _close(gateway_writer)
        await _close(writer)


async def _connect(socket_path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    until = loop.time() + CONNECT_SECONDS
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
