"""Listens on the Unix socket that the sandbox shares with the gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from aiohttp import web

from .handler import RequestHandler

MAX_CONNECTIONS = 512
MAX_LINE_BYTES = 8190
MAX_HEADER_BYTES = 16 * 1024
# Requests that do not end within the grace period are cancelled, which settles them at once.
CANCEL_SECONDS = 0.1


class _ClosedConnection(asyncio.Protocol):
    """Closes a connection beyond `MAX_CONNECTIONS` at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _BoundedServer(web.Server):
    """A server that holds at most `MAX_CONNECTIONS`."""

    def __call__(self) -> web.RequestHandler:
        if len(self.connections) >= MAX_CONNECTIONS:
            return cast("web.RequestHandler", _ClosedConnection())
        return super().__call__()


class Service:
    """Serves on a Unix socket that every process in the sandbox may connect to.

    Args:
        handler: answers the requests.
        socket: the path; a socket that a former process left there is replaced.
    """

    def __init__(self, handler: RequestHandler, socket: Path) -> None:
        self._handler = handler
        self._socket = socket
        server = _BoundedServer(
            handler.handle,
            access_log=None,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=CANCEL_SECONDS)

    async def start(self) -> None:
        """Serves from now on."""
        await self._runner.setup()
        self._socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._socket), backlog=256).start()
        self._socket.chmod(0o666)

    async def stop(self, grace_seconds: float) -> None:
        """Accepts nothing new, and lets open requests end within `grace_seconds`.

        On a connection that a client keeps open nothing further is read.
        """
        for site in list(self._runner.sites):
            await site.stop()
        if self._runner.server is not None:
            self._runner.server.pre_shutdown()
        await self._handler.wait_until_idle(grace_seconds)
        await self._runner.cleanup()
        self._socket.unlink(missing_ok=True)
