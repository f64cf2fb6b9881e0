"""Answers each request of the sandbox: every request passes the same steps, and each can refuse it.

framing → route → token → rate → body → policy → caps → provider

Nothing is read from a request before the step that needs it, and nothing but the parsed body and a
few named headers leaves this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from dataclasses import dataclass
from typing import Any

from aiohttp import StreamReader, web

from ..accounting.admission import CapReached
from ..dialects import DIALECTS
from ..dialects.base import Dialect, ModelRequest, Route
from ..dialects.strict_json import read_object
from ..provider.upstream import UpstreamError
from ..refusal import REFUSAL_HEADER, REQUEST_HEADER, Reason, Refusal, Reply
from .context import GatewayContext
from .exchange import Exchange
from .memory_limit import PARSED_BYTES, READING_BYTES, MemoryLimit, parsed_bytes
from .rate_limit import RateLimiter

BODY_SECONDS = 60.0
REFUSED_HEADERS = ("Upgrade", "Trailer", "TE", "Content-Encoding", "Proxy-Connection")
SINGLE_HEADERS = ("Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Authorization")
DEFAULT_WAIT_SECONDS = 10.0
# The parser turns header bytes that are not UTF-8 into surrogates.
HEADER_ENCODING = ("utf-8", "surrogateescape")


@dataclass
class _RefusalFormat:
    """How a refusal must be written for the client; more is known with each step."""

    dialect: Dialect
    streamed: bool = False
    request_id: str = ""

    def reply(self, refusal: Refusal) -> Reply:
        """The refusal in a form that this request's client understands."""
        if self.streamed:
            return self.dialect.streamed_reply(refusal)
        return self.dialect.reply(refusal)


class RequestHandler:
    """Answers the requests of one run.

    Args:
        context: the parts of the gateway.
    """

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._events = context.events
        self._dialects = DIALECTS[context.settings.provider]
        self._token = context.settings.token.encode()
        limits = context.settings.limits
        self._rate_limiter = RateLimiter(limits)
        self._max_body_bytes = limits.body_bytes or self._dialects[0].body_bytes
        reading_bytes = max(READING_BYTES, self._max_body_bytes)
        self._reading_memory = MemoryLimit(reading_bytes, limits.queue_seconds)
        self._parsed_memory = MemoryLimit(PARSED_BYTES, limits.queue_seconds)
        self._reported_caps: set[str] = set()
        self._open_requests = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_until_idle(self, seconds: float) -> None:
        """Waits until no request is open, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        self._open_requests += 1
        self._idle.clear()
        try:
            return await self._handle(request)
        finally:
            self._open_requests -= 1
            if self._open_requests == 0:
                self._idle.set()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal_format = _RefusalFormat(self._dialects[0])
        try:
            _check_framing(request)
            refusal_format.dialect, route = self._route(request)
            length = request.content_length or 0
            if length > self._max_body_bytes:
                raise self._too_long()
            size_bytes = length or self._max_body_bytes
            async with self._rate_limiter.slot(), self._reading_memory.share(size_bytes):
                return await self._forward(request, route, refusal_format)
        except Refusal as refusal:
            self._report(refusal)
            return _response(request, refusal_format, refusal)
        except UpstreamError as error:
            unanswered = self._provider_refusal(error)
            return _response(request, refusal_format, unanswered)

    async def _forward(
        self, http_request: web.BaseRequest, route: Route, refusal_format: _RefusalFormat
    ) -> web.StreamResponse:
        raw = await self._read_body(http_request)
        async with self._parsed_memory.share(parsed_bytes(raw)):
            body = read_object(raw)
            refusal_format.streamed = route.streamed or body.get("stream") is True
            dialect = refusal_format.dialect
            request = self._parse(dialect, route, body)
            exchange = Exchange(self._context, dialect, request, raw, http_request)
            try:
                return await exchange.run()
            finally:
                refusal_format.request_id = exchange.request_id

    def _route(self, request: web.BaseRequest) -> tuple[Dialect, Route]:
        """The dialect and route of a request that presents the run's token."""
        target = request.raw_path
        found = [(one, one.route(request.method, target)) for one in self._dialects]
        dialect, route = next(((d, r) for d, r in found if r), (self._dialects[0], None))
        credential = dialect.credential(request.headers).encode(*HEADER_ENCODING)
        if not hmac.compare_digest(credential, self._token):
            raise Refusal(Reason.TOKEN, "the request does not present the token of this run")
        if route is None:
            named = f"{request.method[:16]} {target[:200]}"
            raise Refusal(Reason.PATH, f"{named!r} is not on the gateway's allow-list")
        return dialect, route

    async def _read_body(self, request: web.BaseRequest) -> bytes:
        if request.content.is_eof():  # it has arrived: nothing to wait for, so no timer
            raw = request.content.read_nowait()
        else:
            raw = await self._receive_body(request.content)
        if len(raw) > self._max_body_bytes:
            raise self._too_long()
        return raw

    async def _receive_body(self, content: StreamReader) -> bytes:
        """The body while it arrives; reading stops as soon as it is too long."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in content.iter_any():
                    pieces.append(piece)
                    size += len(piece)
                    if size > self._max_body_bytes:
                        break
        except TimeoutError:
            detail = f"the body did not arrive within {BODY_SECONDS:.0f} seconds"
            raise Refusal(Reason.FRAMING, detail) from None
        return b"".join(pieces)

    def _too_long(self) -> Refusal:
        return Refusal(Reason.SIZE, f"the body is longer than {self._max_body_bytes} bytes")

    def _parse(self, dialect: Dialect, route: Route, body: dict[str, Any]) -> ModelRequest:
        request = dialect.parse(route, body)
        models = self._context.settings.models
        if request.model not in models:
            allowed = ", ".join(models)
            detail = f"this run may not use model {request.model[:100]!r}, but only {allowed}"
            raise Refusal(Reason.MODEL, detail)
        return request

    def _report(self, refusal: Refusal) -> None:
        self._events.denied(refusal.reason, refusal.detail)
        if isinstance(refusal, CapReached) and refusal.budget not in self._reported_caps:
            self._reported_caps.add(refusal.budget)
            self._events.cap_reached(refusal.budget, refusal.detail)

    def _provider_refusal(self, error: UpstreamError) -> Refusal:
        """Reports that all attempts failed; the refusal that tells the client so."""
        detail = f"the provider did not answer: {error.reason}"
        self._events.problem("provider", detail)
        wait = DEFAULT_WAIT_SECONDS if error.wait_seconds is None else error.wait_seconds
        return Refusal(Reason.PROVIDER, detail, wait_seconds=wait)


def _check_framing(request: web.BaseRequest) -> None:
    """Refuses what only a confused or hostile client sends.

    The HTTP parser has already refused malformed framing (conflicting lengths, invalid chunks).
    """
    if request.version != (1, 1):
        raise Refusal(Reason.FRAMING, "the gateway accepts only HTTP/1.1")
    for name in REFUSED_HEADERS:
        if name in request.headers and request.headers[name].lower() not in ("identity", ""):
            raise Refusal(Reason.FRAMING, f"the gateway does not accept the header {name}")
    for name in SINGLE_HEADERS:
        if len(request.headers.getall(name, ())) > 1:
            raise Refusal(Reason.FRAMING, f"the header {name} is given more than once")


def _response(
    request: web.BaseRequest, refusal_format: _RefusalFormat, refusal: Refusal
) -> web.Response:
    reply = refusal_format.reply(refusal)
    headers = {**reply.headers, "Content-Type": reply.content_type, REFUSAL_HEADER: refusal.reason}
    if refusal_format.request_id:
        headers[REQUEST_HEADER] = refusal_format.request_id
    response = web.Response(status=reply.status, body=reply.body, headers=headers)
    if not request.content.at_eof() or refusal.reason is Reason.FRAMING:
        response.force_close()
    return response
