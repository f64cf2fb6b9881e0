"""The gateway's HTTP server: each request passes the same steps, and each can end it.

framing → route → token → turnstile → body → policy → caps → provider

Nothing is read from a request before the step that needs it, and nothing but the parsed body and
a few named headers goes further than this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aiohttp import StreamReader, web

from .admission import CapReached
from .desk import Desk
from .dialects import DIALECTS
from .dialects.base import Ask, Dialect, Route
from .exchange import Exchange
from .news import News
from .refusal import Reason, Refusal, Reply
from .room import PARSED_BYTES, READING_BYTES, Room, parsed_bytes
from .strict_json import read_object
from .turnstile import Turnstile
from .upstream import Trouble

BODY_SECONDS = 60.0
# Requests that the grace period did not see end are cancelled, which settles them at once.
LAST_SECONDS = 0.1
MAX_CONNECTIONS = 512
MAX_HEADER_BYTES = 16 * 1024
REFUSED_HEADERS = ("Upgrade", "Trailer", "TE", "Content-Encoding", "Proxy-Connection")
DEFAULT_WAIT_SECONDS = 10.0
# Header bytes that are no UTF-8 come out of the parser as surrogates.
ANY_BYTES = ("utf-8", "surrogateescape")


@dataclass
class _Seen:
    """What is known of a request so far, for a refusal in its own dialect."""

    dialect: Dialect
    streamed: bool = False

    def reply(self, refusal: Refusal) -> Reply:
        """The refusal as this request's client understands it."""
        if self.streamed:
            return self.dialect.streamed_reply(refusal)
        return self.dialect.reply(refusal)


class Door:
    """Answers the sandbox."""

    def __init__(self, desk: Desk, news: News) -> None:
        self._desk = desk
        self._news = news
        self._dialects = DIALECTS[desk.settings.provider]
        self._token = desk.settings.token.get_secret_value().encode()
        self._turnstile = Turnstile(desk.settings.limits)
        limits = desk.settings.limits
        self._most = limits.body_bytes
        self._reading = Room(max(READING_BYTES, self._most), limits.queue_seconds)
        self._parsed = Room(PARSED_BYTES, limits.queue_seconds)
        self._caps_told: set[str] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self, seconds: float) -> None:
        """Waits until no request is under way, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._steps(request)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    async def _steps(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = _Seen(self._dialects[0])
        try:
            _check_framing(request)
            seen.dialect, route = self._route(request)
            length = request.content_length or 0
            if length > self._most:
                raise self._too_long()
            async with self._turnstile.passage(), self._reading.share(length or self._most):
                return await self._exchange(request, route, seen)
        except Refusal as refusal:
            self._tell(refusal)
            return _answer(request, seen.reply(refusal), refusal)
        except Trouble as trouble:
            gave_up = self._gave_up(trouble)
            return _answer(request, seen.reply(gave_up), gave_up)

    async def _exchange(
        self, request: web.BaseRequest, route: Route, seen: _Seen
    ) -> web.StreamResponse:
        raw = await self._body(request)
        async with self._parsed.share(parsed_bytes(raw)):
            body = read_object(raw)
            seen.streamed = route.streamed or body.get("stream") is True
            ask = self._ask(seen.dialect, route, body)
            return await Exchange(self._desk, seen.dialect, ask, raw, request).run()

    def _route(self, request: web.BaseRequest) -> tuple[Dialect, Route]:
        """The dialect and route of a request that presents the run's token."""
        target = request.raw_path
        found = [(one, one.route(request.method, target)) for one in self._dialects]
        dialect, route = next(((d, r) for d, r in found if r), (self._dialects[0], None))
        if not hmac.compare_digest(
            dialect.presented(request.headers).encode(*ANY_BYTES), self._token
        ):
            raise Refusal(Reason.TOKEN, "the token of this run is missing or wrong")
        if route is None:
            named = f"{request.method[:16]} {target[:200]}"
            raise Refusal(Reason.PATH, f"{named!r} is not on the gateway's list")
        return dialect, route

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.content.is_eof():  # it is all there: nothing to wait for, no timer
            raw = request.content.read_nowait()
        else:
            raw = await self._arriving(request.content)
        if len(raw) > self._most:
            raise self._too_long()
        return raw

    async def _arriving(self, content: StreamReader) -> bytes:
        """The body as it comes, no further than to where it is too long."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in content.iter_any():
                    pieces.append(piece)
                    size += len(piece)
                    if size > self._most:
                        break
        except TimeoutError:
            raise Refusal(Reason.FRAMING, "the body did not arrive in time") from None
        return b"".join(pieces)

    def _too_long(self) -> Refusal:
        return Refusal(Reason.SIZE, f"the body is longer than {self._most} bytes")

    def _ask(self, dialect: Dialect, route: Route, body: dict[str, Any]) -> Ask:
        ask = dialect.read(route, body)
        models = self._desk.settings.models
        if ask.model not in models:
            detail = f"model {ask.model[:100]!r} is not this run's; it may use {', '.join(models)}"
            raise Refusal(Reason.MODEL, detail)
        return ask

    def _tell(self, refusal: Refusal) -> None:
        self._news.denied(refusal.reason, refusal.detail)
        if isinstance(refusal, CapReached) and refusal.budget not in self._caps_told:
            self._caps_told.add(refusal.budget)
            self._news.cap_reached(refusal.budget, refusal.detail)

    def _gave_up(self, trouble: Trouble) -> Refusal:
        detail = f"the provider gives no answer: {trouble.reason}"
        self._news.problem("provider", detail)
        wait = DEFAULT_WAIT_SECONDS if trouble.wait_seconds is None else trouble.wait_seconds
        return Refusal(Reason.PROVIDER, detail, wait_seconds=wait)


def _check_framing(request: web.BaseRequest) -> None:
    """Refuses what only a confused or hostile client sends.

    The HTTP parser has refused malformed framing already (conflicting lengths, odd chunks).
    """
    if request.version != (1, 1):
        raise Refusal(Reason.FRAMING, "only HTTP/1.1 is spoken here")
    for name in REFUSED_HEADERS:
        if name in request.headers and request.headers[name].lower() not in ("identity", ""):
            raise Refusal(Reason.FRAMING, f"the header {name} is not taken")
    for name in ("Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Authorization"):
        if len(request.headers.getall(name, ())) > 1:
            raise Refusal(Reason.FRAMING, f"the header {name} is there twice")


def _answer(request: web.BaseRequest, reply: Reply, refusal: Refusal) -> web.Response:
    response = web.Response(
        status=reply.status,
        body=reply.body,
        headers={**reply.headers, "Content-Type": reply.content_type},
    )
    if not request.content.at_eof() or refusal.reason is Reason.FRAMING:
        response.force_close()
    return response


class _Closed(asyncio.Protocol):
    """Takes a connection that is one too many, and ends it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _BoundedServer(web.Server):
    """A server that holds at most `MAX_CONNECTIONS`."""

    def __call__(self) -> web.RequestHandler:
        if len(self.connections) >= MAX_CONNECTIONS:
            return cast("web.RequestHandler", _Closed())
        return super().__call__()


class Service:
    """Listens on a Unix socket that everybody in the sandbox may connect to.

    Args:
        door: answers the requests.
        socket: where; what a former life left there is replaced.
    """

    def __init__(self, door: Door, socket: Path) -> None:
        self._door = door
        self._socket = socket
        server = _BoundedServer(
            door.handle, access_log=None, max_line_size=8190, max_field_size=MAX_HEADER_BYTES
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=LAST_SECONDS)

    async def start(self) -> None:
        """Serves from now on."""
        await self._runner.setup()
        self._socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._socket), backlog=256).start()
        self._socket.chmod(0o666)

    async def stop(self, grace_seconds: float) -> None:
        """Takes no new connection, and gives the requests under way a while to be settled."""
        for site in list(self._runner.sites):
            await site.stop()
        await self._door.idle(grace_seconds)
        await self._runner.cleanup()
        self._socket.unlink(missing_ok=True)
