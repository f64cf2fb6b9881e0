"""The client's side of an exchange: it gets the answer while it is connected, and delays no one."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..provider.upstream import UpstreamResponse
from ..refusal import REQUEST_HEADER

# A client that accepts nothing for so long counts as disconnected.
STALLED_SECONDS = 300.0
# Below asyncio's own high-water mark (64 KiB), from which on a write waits.
BUFFERED_BYTES = 32 * 1024


class _Stream(web.StreamResponse):
    """A response whose headers go out together with its first bytes: one system call less."""

    _send_headers_immediately = False


class ClientConnection:
    """Streams an answer to the sandbox; after a disconnect it discards the rest.

    The provider's answer is always read to its end, because its usage is in the last bytes.
    """

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._disconnected = False
        self.response: web.StreamResponse = _Stream()

    def disconnected(self) -> bool:
        """Whether nobody waits for the answer any more."""
        transport = self._request.transport
        return self._disconnected or transport is None or transport.is_closing()

    async def start(self, answer: UpstreamResponse, request_id: str) -> None:
        """Sends status and headers; one of them names the usage record."""
        self.response = _Stream(status=answer.status, headers=dict(answer.headers))
        self.response.headers[REQUEST_HEADER] = request_id
        self.response.headers["Content-Type"] = answer.content_type
        if answer.content_length is not None:
            self.response.content_length = answer.content_length
        try:
            await self.response.prepare(self._request)
        except ConnectionError:
            self._disconnected = True

    async def write(self, chunk: bytes) -> None:
        """Sends the next bytes, and waits while the client is slow."""
        if self._disconnected:
            return
        try:
            if self._can_buffer(len(chunk)):  # nothing to wait for, so no timer
                await self.response.write(chunk)
                return
            async with asyncio.timeout(STALLED_SECONDS):
                await self.response.write(chunk)
        except (ConnectionError, TimeoutError):
            self._disconnected = True
            self.abort()

    def _can_buffer(self, size_bytes: int) -> bool:
        """Whether so much can be sent or buffered without waiting for the client."""
        transport = self._request.transport
        return transport is not None and (
            transport.get_write_buffer_size() + size_bytes < BUFFERED_BYTES
        )

    def abort(self) -> None:
        """Closes the connection in the middle of the answer, as the provider did."""
        if self._request.transport is not None:
            self._request.transport.close()
