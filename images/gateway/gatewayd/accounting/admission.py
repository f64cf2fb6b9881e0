"""Admits a request only when its worst case fits in what is left of the budget.

The worst case of a prompt is an upper bound (prompt_estimator.py) that is about four times too
high, which matters only near the cap. There the provider's own free count replaces it. Where the
provider does not count, the request waits until no other request is open, and an estimate is
reserved: an unknown length ends no run, and the error of one estimate is the most by which a cap
can be exceeded.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from ..dialects.base import Dialect, ModelRequest
from ..dialects.strict_json import compact
from ..refusal import Reason, Refusal
from .budget import Budget, WorstCase
from .ledger import LedgerError, Reservation
from .prices import Prices
from .prompt_estimator import PromptEstimator

# Providers call their count an estimate; this share is added to it.
COUNT_MARGIN = 0.02
# How long a request waits for others to be settled when all of them together do not fit.
QUEUE_SECONDS = 60.0


@dataclass(frozen=True)
class Admitted:
    """A request with its reservation, and the body to send."""

    reservation: Reservation
    body: bytes


@dataclass(frozen=True)
class _TokenBound:
    """The most tokens that a request can use; `estimated` when that is only probable."""

    prompt: int
    output: int
    estimated: bool = False


class Admission:
    """Prices the worst case of each request and reserves it."""

    def __init__(self, prices: Prices, budget: Budget, estimator: PromptEstimator) -> None:
        self._prices = prices
        self._budget = budget
        self._estimator = estimator

    async def admit(
        self,
        dialect: Dialect,
        request: ModelRequest,
        raw: bytes,
        count: Callable[[], Awaitable[int | None]],
        describe: Callable[[str], dict[str, Any]],
    ) -> Admitted:
        """Reserves the worst case of a request, and lowers its output limit if that is needed.

        Args:
            dialect: the request's dialect.
            request: the parsed request.
            raw: its body as the client sent it.
            count: asks the provider for the prompt's tokens; None when the provider gives no count.
            describe: gives the usage record of a request id, as far as it is known.

        Raises:
            Refusal: the request does not fit at all (CAP) or not now (BUSY), or the reservation
                could not be written (LEDGER).
        """
        body = request.body | dict(request.changes) if request.changes else request.body
        sent = raw if body is request.body else compact(body)
        bound = self._bound(dialect, request, raw)
        deadline = time.monotonic() + QUEUE_SECONDS
        counted = False
        while isinstance(exceeded := self._reserve(request, bound, describe), str):
            if not counted:
                counted = True
                bound = self._narrowed(request, raw, bound, await count())
            elif self._budget.reservations and (left := deadline - time.monotonic()) > 0:
                await self._budget.wait_for_settlement(left)
            elif lowered := self._lowered(request, bound):
                bound, sent = lowered, compact(dialect.with_output_limit(body, lowered.output))
            else:
                raise self._refusal(exceeded)
        return Admitted(exceeded, sent)

    def _bound(self, dialect: Dialect, request: ModelRequest, raw: bytes) -> _TokenBound:
        if request.route.counts:
            return _TokenBound(0, 0)
        output = request.output_tokens or dialect.default_output_tokens
        return _TokenBound(self._estimator.upper_bound(request, len(raw)), output)

    def _narrowed(
        self, request: ModelRequest, raw: bytes, bound: _TokenBound, counted: int | None
    ) -> _TokenBound:
        """The bound by the provider's count, or by an estimate where there is no count."""
        if counted is not None:
            return _TokenBound(min(bound.prompt, with_margin(counted)), bound.output)
        estimate = self._estimator.estimate(request, len(raw))
        return _TokenBound(estimate, bound.output, estimated=True)

    def _reserve(
        self,
        request: ModelRequest,
        bound: _TokenBound,
        describe: Callable[[str], dict[str, Any]],
    ) -> Reservation | str:
        """The reservation, or the name of the budget that is exceeded.

        An estimate is reserved only while no other request is open.
        """
        usd = self._prices.worst_usd(
            request.model, bound.prompt, bound.output, request.cache_writes
        )
        worst = WorstCase(usd, bound.prompt + bound.output)
        if bound.estimated and self._budget.reservations:
            return "tokens" if self._budget.remaining().usd is None else "usd"
        try:
            return self._budget.reserve(worst, describe)
        except LedgerError as error:
            detail = f"the gateway cannot write its ledger ({error}), so it forwarded nothing"
            raise Refusal(Reason.LEDGER, detail, wait_seconds=30) from None

    def _lowered(self, request: ModelRequest, bound: _TokenBound) -> _TokenBound | None:
        """The same request with the largest output that fits; None when that is too little."""
        remaining = self._budget.remaining()
        output = bound.output
        if remaining.usd is not None:
            output = self._prices.affordable_output(
                request.model, bound.prompt, request.cache_writes, remaining.usd, output
            )
        if remaining.tokens is not None:
            output = min(output, remaining.tokens - bound.prompt)
        if not min(request.output_floor, bound.output) <= output < bound.output:
            return None
        return replace(bound, output=output)

    def _refusal(self, budget: str) -> Refusal:
        if self._budget.reservations:
            detail = f"what is left of the {budget} budget is reserved for requests in progress"
            return Refusal(Reason.BUSY, detail, wait_seconds=15)
        return CapReached(budget)


class CapReached(Refusal):
    """What is left of a budget ("usd" or "tokens") pays for no further request."""

    def __init__(self, budget: str) -> None:
        super().__init__(
            Reason.CAP, f"the run's {budget} budget is spent; no further request fits in it"
        )
        self.budget = budget


def with_margin(counted: int) -> int:
    """A provider's count of a prompt as an upper bound, in tokens."""
    return int(counted * (1 + COUNT_MARGIN)) + 64
