"""Asks the provider for the length of a prompt: free and exact, but not always available.

A count that fails is tried again a few times; then the endpoint is not asked for a while. The
caller goes on without a count, so a missing one ends nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import tenacity

from ..dialects.base import Dialect, ModelRequest
from ..dialects.sse import json_object
from ..dialects.strict_json import compact
from ..dialects.tokens import BadReportError
from ..refusal import Refusal
from ..settings import Limits
from .upstream import Upstream, UpstreamError

ATTEMPTS = 3
# How long an endpoint is not asked after a failure.
PAUSE_AFTER_FAILURE_SECONDS = 60.0
# Statuses of a server that never counts, or not for this key; it is not asked again.
UNSUPPORTED_STATUSES = frozenset({401, 403, 404, 405, 410, 501})


class TokenCounter:
    """The count endpoint of one run's provider."""

    def __init__(self, upstream: Upstream, limits: Limits) -> None:
        self._upstream = upstream
        self._limits = limits
        self._unsupported = False
        self._paused_until = 0.0

    async def count(
        self, dialect: Dialect, request: ModelRequest, client_headers: Mapping[str, str]
    ) -> int | None:
        """The prompt's tokens as the provider counts them; None when it gives no count.

        Args:
            dialect: the request's dialect.
            request: the request whose prompt is counted.
            client_headers: the headers that came with it.
        """
        path, body = dialect.count_request(request)
        if not path or self._unsupported or time.monotonic() < self._paused_until:
            return None
        try:
            async with asyncio.timeout(self._limits.count_seconds):
                status, content = await self._ask(dialect, path, compact(body), client_headers)
        except (UpstreamError, Refusal, aiohttp.ClientError, OSError, TimeoutError):
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
            return None
        self._unsupported = status in UNSUPPORTED_STATUSES
        answer = json_object(content) if status < 300 else None
        return _counted(dialect, answer) if answer else None

    async def _ask(
        self, dialect: Dialect, path: str, body: bytes, client_headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Status and body of the first response among `ATTEMPTS`."""

        async def attempt() -> tuple[int, bytes]:
            response = await self._upstream.attempt(
                dialect, path, body, client_headers, streamed=False
            )
            if response.rest is None:
                return response.status, response.first
            try:
                return response.status, response.first + await response.rest.content.read()
            finally:
                response.rest.release()

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type((UpstreamError, aiohttp.ClientError, OSError)),
            wait=tenacity.wait_exponential(self._limits.backoff_seconds),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        return await retrying(attempt)


def _counted(dialect: Dialect, answer: dict[str, Any]) -> int | None:
    """The count in an answer; None when there is none, or when it makes no sense."""
    try:
        return dialect.counted_tokens(answer) or None
    except BadReportError:
        return None
