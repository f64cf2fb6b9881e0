"""One model request from admission to its last byte."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from aiohttp import web

from . import records
from .admission import with_margin
from .client import Client
from .desk import Desk
from .dialects.base import Ask, Dialect
from .ledger import Hold
from .meter import AnswerMeter, Meter, StreamMeter, parsed
from .recorder import Record
from .refusal import Refusal
from .strict_json import compact
from .tokens import Tokens
from .upstream import Answer, Trouble, with_retries

COUNT_SECONDS = 20.0


class Exchange:
    """Forwards one request, and settles every attempt that may have been billed exactly once.

    Invariant: `_hold` is the one open reservation of this request, and it is settled on every
    way out, a cancellation included.
    """

    def __init__(
        self, desk: Desk, dialect: Dialect, ask: Ask, raw: bytes, request: web.BaseRequest
    ) -> None:
        self._desk = desk
        self._dialect = dialect
        self._ask = ask
        self._raw = raw
        self._client = Client(request)
        self._headers = request.headers
        self._arrived = time.monotonic()
        self._sent_at = time.time()
        self._hold: Hold | None = None
        self._body = raw
        self._retrying = False
        self._first_byte_seconds: float | None = None
        self._status = 0
        self._meter: Meter = (StreamMeter if ask.streamed else AnswerMeter)(dialect)

    async def run(self) -> web.StreamResponse:
        """Answers the client.

        Raises:
            Refusal: the request does not fit what is left, or the provider's account is empty.
            Trouble: the provider did not answer, however often it was asked.
        """
        try:
            return await self._pass_on(await self._answer())
        finally:
            self._charge_worst()

    async def _answer(self) -> Answer:
        limits = self._desk.settings.limits
        try:
            answer = await with_retries(self._attempt, self._client.gone, limits, self._failed)
        except Trouble as trouble:
            self._status = trouble.status
            self._charge(Tokens())
            raise
        except Refusal:
            self._charge(Tokens())
            raise
        finally:
            if self._retrying:
                self._desk.outages.leave()
        self._desk.outages.worked(answer.began)
        if answer.status in (401, 403):
            self._desk.news.problem("provider", f"it refuses the key (status {answer.status})")
        return answer

    def _failed(self, trouble: Trouble) -> None:
        self._desk.outages.failed(self._sent_at, trouble.reason)
        if not self._retrying:
            self._retrying = True
            self._desk.outages.enter()

    async def _attempt(self) -> Answer:
        if self._hold is None:
            await self._admit()
        self._sent_at = time.time()
        route = self._ask.route
        try:
            return await self._desk.upstream.attempt(
                self._dialect, route.path, self._body, self._headers, self._ask.streamed
            )
        except Trouble as trouble:
            if trouble.charged:
                self._charge_worst()
            raise

    async def _admit(self) -> None:
        admitted = await self._desk.admission.admit(
            self._dialect, self._ask, self._raw, self._count, self._describe
        )
        self._hold = admitted.hold
        self._body = admitted.body
        if self._desk.recorder is not None:
            self._desk.recorder.request(admitted.hold.request, admitted.body)

    def _describe(self, request: str) -> dict[str, Any]:
        return records.opened(self._desk.settings, self._ask, request)

    async def _count(self) -> int:
        """The provider's own bound on the prompt in tokens, or 0."""
        path, body = self._dialect.counting(self._ask)
        if not path:
            return 0
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                answer = await self._desk.upstream.attempt(
                    self._dialect, path, compact(body), self._headers, streamed=False
                )
                rest = await answer.rest.content.read() if answer.rest is not None else b""
        except (Trouble, TimeoutError, aiohttp.ClientError, OSError):
            return 0
        counted = parsed(answer.first + rest) if answer.status < 300 else None
        return with_margin(self._dialect.counted(counted)) if counted else 0

    async def _pass_on(self, answer: Answer) -> web.StreamResponse:
        self._status = answer.status
        self._first_byte_seconds = time.monotonic() - self._arrived
        record = None
        if self._desk.recorder is not None and self._hold is not None:
            record = self._desk.recorder.response(self._hold.request)
        try:
            await self._client.open(answer)
            whole = await self._copy(answer, record)
        finally:
            if record is not None:
                record.close()
        self._settle(whole)
        if not whole:
            self._client.cut()
        return self._client.response

    async def _copy(self, answer: Answer, record: Record | None) -> bool:
        """Copies the answer to client, meter and record; False when the provider cut it."""
        await self._take(answer.first, record)
        if answer.rest is not None:
            try:
                async for chunk in answer.rest.content.iter_any():
                    await self._take(chunk, record)
            except (aiohttp.ClientError, OSError, TimeoutError):
                return False
            finally:
                answer.rest.release()
        self._meter.close()
        return True

    async def _take(self, chunk: bytes, record: Record | None) -> None:
        await self._client.write(chunk)
        self._meter.feed(chunk)
        if record is not None:
            record.feed(chunk)

    def _settle(self, whole: bool) -> None:
        report = self._meter.report
        if self._status >= 300 or self._ask.route.counts:
            self._charge(Tokens())
        elif report.complete(whole, self._dialect.usage_grows):
            self._charge(report.tokens)
        else:
            self._charge_worst()

    def _charge(self, tokens: Tokens) -> None:
        if self._hold is not None:
            hold, self._hold = self._hold, None
            self._desk.accounts.by_usage(hold, tokens, self._timing())

    def _charge_worst(self) -> None:
        if self._hold is not None:
            hold, self._hold = self._hold, None
            self._desk.accounts.by_reservation(hold, self._meter.report.tokens, self._timing())

    def _timing(self) -> records.Timing:
        seconds = time.monotonic() - self._arrived
        return records.Timing(self._status, seconds, self._first_byte_seconds)
