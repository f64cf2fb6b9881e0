"""One model request from admission to its last byte."""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import Any

import aiohttp
import steady_clock
from aiohttp import web

from ..accounting import usage_record
from ..accounting.ledger import Reservation
from ..dialects.base import Dialect, ModelRequest
from ..dialects.tokens import Tokens
from ..provider.meter import JsonMeter, Meter, StreamMeter
from ..provider.retries import with_retries
from ..provider.upstream import UpstreamError, UpstreamResponse
from ..refusal import Reason, Refusal
from .client_connection import ClientConnection
from .context import GatewayContext
from .recorder import Record

ORPHANED = "the run's runner is silent, so no request is admitted until it is back"
ORPHANED_WAIT_SECONDS = 30.0


class Exchange:
    """Forwards one request, and settles every attempt that may have been billed exactly once.

    Invariant: `_reservation` is the one open reservation of this request. It is settled on every
    way out, a cancellation included.

    Args:
        context: what all exchanges of the run share.
        dialect: the request's dialect.
        request: the parsed request.
        raw: its body as the client sent it.
        http_request: the client's HTTP request.

    Attributes:
        request_id: of the last attempt's usage record; "" before the first one is admitted.
    """

    def __init__(
        self,
        context: GatewayContext,
        dialect: Dialect,
        request: ModelRequest,
        raw: bytes,
        http_request: web.BaseRequest,
    ) -> None:
        self._context = context
        self._dialect = dialect
        self._request = request
        self._raw = raw
        self._client = ClientConnection(http_request)
        self._client_headers = http_request.headers
        self._arrived = time.monotonic()
        self._sent_at = steady_clock.now()
        self._reservation: Reservation | None = None
        self.request_id = ""
        self._body = raw
        self._retrying = False
        self._failed_request = ""
        self._first_byte_seconds: float | None = None
        self._status = 0
        self._meter: Meter = (StreamMeter if request.streamed else JsonMeter)(dialect)

    async def run(self) -> web.StreamResponse:
        """Answers the client.

        Raises:
            Refusal: the request does not fit in the budget, the provider's account is empty, or
                the provider gives no token count.
            UpstreamError: the provider did not answer any attempt.
        """
        try:
            return await self._relay(await self._request_upstream())
        finally:
            if self._meter.report.failure:
                self._charge_input(None)
            self._charge_reservation()

    async def _request_upstream(self) -> UpstreamResponse:
        if self._request.route.counts:
            return await self._request_count()
        limits = self._context.settings.limits
        try:
            response = await with_retries(
                self._attempt, self._client.disconnected, limits, self._handle_failure
            )
        except UpstreamError as error:
            self._status = error.status
            self._charge(Tokens())
            raise
        except Refusal:
            self._charge(Tokens())
            raise
        finally:
            if self._retrying:
                self._context.outages.retry_ended(self._failed_request)
        self._context.outages.attempt_succeeded(response.began)
        if response.status in (401, 403):
            detail = f"the provider refuses the key (status {response.status})"
            self._context.events.problem("provider", detail)
        return response

    async def _request_count(self) -> UpstreamResponse:
        """A token count that the client asks for; it has an estimate of its own for a failure.

        There is one attempt: a retry would delay the client, and a failed count is no outage.
        """
        try:
            return await self._attempt()
        except UpstreamError as error:
            self._charge(Tokens())
            detail = f"the provider did not count the prompt's tokens: {error.reason}"
            raise Refusal(Reason.UNCOUNTED, detail) from None

    def _handle_failure(self, error: UpstreamError) -> None:
        if error.status:
            self._failed_request = hashlib.sha256(self._raw).hexdigest()
        self._context.outages.attempt_failed(self._sent_at, error.reason, self._failed_request)
        if not self._retrying:
            self._retrying = True
            self._context.outages.retry_started()

    async def _attempt(self) -> UpstreamResponse:
        if self._reservation is None:
            await self._admit()
        self._sent_at = steady_clock.now()
        path, streamed = self._request.route.path, self._request.streamed
        try:
            return await self._context.upstream.attempt(
                self._dialect, path, self._body, self._client_headers, streamed
            )
        except UpstreamError as error:
            if error.charged:
                self._charge_reservation()
            raise

    async def _admit(self) -> None:
        """Reserve the worst case. What was admitted before the runner was gone may end."""
        if self._context.runner.gone:
            raise Refusal(Reason.ORPHANED, ORPHANED, wait_seconds=ORPHANED_WAIT_SECONDS)
        admitted = await self._context.admission.admit(
            self._dialect, self._request, self._raw, self._count, self._describe
        )
        self._reservation = admitted.reservation
        self.request_id = admitted.reservation.request_id
        self._body = admitted.body
        if self._context.recorder is not None:
            self._context.recorder.request(admitted.reservation.request_id, admitted.body)

    def _describe(self, request_id: str) -> dict[str, Any]:
        return usage_record.opened(self._context.settings, self._request, request_id)

    async def _count(self) -> int | None:
        counter = self._context.token_counter
        return await counter.count(self._dialect, self._request, self._client_headers)

    async def _relay(self, response: UpstreamResponse) -> web.StreamResponse:
        self._status = response.status
        self._first_byte_seconds = time.monotonic() - self._arrived
        record = None
        if self._context.recorder is not None and self._reservation is not None:
            record = self._context.recorder.response(self._reservation.request_id)
        try:
            with self._watched():
                await self._client.start(response, self.request_id)
                whole = await self._relay_body(response, record)
        finally:
            if record is not None:
                record.close()
        await self._settle(whole)
        if not whole:
            self._client.abort()
        return self._client.response

    def _watched(self) -> contextlib.AbstractContextManager[None]:
        """Tells the outage tracker that the model works, if it is the model that answers."""
        by_model = self._status < 300 and not self._request.route.counts
        return self._context.outages.streaming() if by_model else contextlib.nullcontext()

    async def _relay_body(self, response: UpstreamResponse, record: Record | None) -> bool:
        """Copies the body to client, meter and record; False when the provider cut it short."""
        await self._relay_chunk(response.first, record)
        if response.rest is not None:
            try:
                async for chunk in response.rest.content.iter_any():
                    await self._relay_chunk(chunk, record)
            except (aiohttp.ClientError, OSError, TimeoutError):
                return False
            finally:
                response.rest.release()
        self._meter.close()
        return True

    async def _relay_chunk(self, chunk: bytes, record: Record | None) -> None:
        await self._client.write(chunk)
        self._meter.feed(chunk)
        if record is not None:
            record.feed(chunk)

    async def _settle(self, whole: bool) -> None:
        """Charges the request by the best of what is known of its usage."""
        report = self._meter.report
        if self._status >= 300 or self._request.route.counts:
            self._charge(Tokens())
        elif report.complete(whole):
            prompt_tokens = report.tokens.prompt
            self._context.estimator.learn(self._request, len(self._raw), prompt_tokens)
            self._charge(report.tokens, report.reading.inconsistencies)
        elif report.failure and report.seen and not report.invalid:
            self._charge(report.tokens, report.reading.inconsistencies)
        elif report.failure:
            self._charge_input(await self._count())
        else:
            self._charge_reservation()

    def _charge_input(self, counted: int | None) -> None:
        """Charges the input alone: the policy for an answer that failed without a usage report.

        Args:
            counted: the prompt's tokens as the provider counts them; None for an estimate.
        """
        if (reservation := self._take_reservation()) is not None:
            estimate = self._context.estimator.estimate(self._request, len(self._raw))
            prompt_tokens = estimate if counted is None else counted
            tokens = Tokens(input=min(prompt_tokens, reservation.tokens))
            self._context.settlement.charge_input(reservation, tokens, self._outcome())

    def _charge(self, tokens: Tokens, inconsistencies: tuple[str, ...] = ()) -> None:
        if (reservation := self._take_reservation()) is not None:
            outcome = self._outcome()
            self._context.settlement.charge_usage(reservation, tokens, outcome, inconsistencies)

    def _charge_reservation(self) -> None:
        if (reservation := self._take_reservation()) is not None:
            tokens = self._meter.report.tokens
            self._context.settlement.charge_reservation(reservation, tokens, self._outcome())

    def _take_reservation(self) -> Reservation | None:
        """The reservation that is still open; the caller settles it. None when it was settled."""
        taken, self._reservation = self._reservation, None
        return taken

    def _outcome(self) -> usage_record.Outcome:
        seconds = time.monotonic() - self._arrived
        failure = self._meter.report.failure
        return usage_record.Outcome(self._status, seconds, self._first_byte_seconds, failure[:100])
