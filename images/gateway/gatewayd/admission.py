"""Lets a request in only when its worst case fits what is left.

The prompt is bounded without a tokenizer: no token of a byte-level vocabulary is shorter than a
byte, so a body has at most as many tokens as bytes. That is about four times too much, which
matters only near the cap; there the provider's own free count is asked for instead.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .budget import Budget, Worst
from .dialects.base import IMAGE_TOKENS, Ask, Dialect
from .ledger import Hold, LedgerError
from .prices import Prices
from .refusal import Reason, Refusal
from .strict_json import compact

# What providers add to a prompt of their own accord (the text that explains tools to the model).
PROMPT_OVERHEAD_TOKENS = 2048
# A provider's count is called an estimate; add this share.
COUNT_MARGIN = 0.02
# How long a request waits for others to be settled when together they do not fit.
QUEUE_SECONDS = 60.0


@dataclass(frozen=True)
class Admitted:
    """A request with its reservation, and its body as it is to be sent."""

    hold: Hold
    body: bytes


@dataclass(frozen=True)
class _Size:
    """Bounds on a request, in tokens."""

    prompt: int
    output: int


class Admission:
    """Prices the worst case of requests and reserves it."""

    def __init__(self, prices: Prices, budget: Budget) -> None:
        self._prices = prices
        self._budget = budget

    async def admit(
        self,
        dialect: Dialect,
        ask: Ask,
        raw: bytes,
        count: Callable[[], Awaitable[int]],
        describe: Callable[[str], dict[str, Any]],
    ) -> Admitted:
        """Reserves the worst case of a request, lowering its output limit if it must.

        Args:
            dialect: the request's own.
            ask: the request.
            raw: its body as the client sent it.
            count: asks the provider how long the prompt is; 0 when it does not say.
            describe: the usage record of a request id, as far as it is known.

        Raises:
            Refusal: it fits no more (CAP), not now (BUSY), or cannot be written down (LEDGER).
        """
        body = ask.body | dict(ask.changes) if ask.changes else ask.body
        sent = raw if body is ask.body else compact(body)
        size = self._bound(dialect, ask, raw)
        deadline = time.monotonic() + QUEUE_SECONDS
        short = self._reserve(ask, size, describe)
        counted = False
        while isinstance(short, str):
            if not counted and short != "requests":
                counted = True
                size = _Size(min(size.prompt, await count() or size.prompt), size.output)
            elif self._budget.open and (left := deadline - time.monotonic()) > 0:
                await self._budget.next_settlement(left)
            elif lowered := self._lowered(ask, size):
                size, sent = lowered, compact(dialect.limited(body, lowered.output))
            else:
                raise self._refusal(short)
            short = self._reserve(ask, size, describe)
        return Admitted(short, sent)

    def _bound(self, dialect: Dialect, ask: Ask, raw: bytes) -> _Size:
        if ask.route.counts:
            return _Size(0, 0)
        prompt = len(raw) + ask.images * IMAGE_TOKENS + PROMPT_OVERHEAD_TOKENS
        return _Size(prompt, ask.output_tokens or dialect.default_output_tokens)

    def _reserve(
        self, ask: Ask, size: _Size, describe: Callable[[str], dict[str, Any]]
    ) -> Hold | str:
        usd = self._prices.worst_usd(ask.model, size.prompt, size.output, ask.cache_writes)
        try:
            return self._budget.reserve(Worst(usd, size.prompt + size.output), describe)
        except LedgerError as error:
            detail = f"the gateway's ledger cannot be written ({error}); nothing was sent"
            raise Refusal(Reason.LEDGER, detail, wait_seconds=30) from None

    def _lowered(self, ask: Ask, size: _Size) -> _Size | None:
        """The same request with the largest output that fits, or None when too little does."""
        left = self._budget.left()
        output = size.output
        if left.usd is not None:
            output = self._prices.affordable_output(
                ask.model, size.prompt, ask.cache_writes, left.usd, output
            )
        if left.tokens is not None:
            output = min(output, left.tokens - size.prompt)
        if not min(ask.output_floor, size.output) <= output < size.output:
            return None
        return _Size(size.prompt, output)

    def _refusal(self, short: str) -> Refusal:
        if self._budget.open:
            detail = f"requests that are under way hold what is left of the {short} budget"
            return Refusal(Reason.BUSY, detail, wait_seconds=15)
        return CapReached(short)


class CapReached(Refusal):
    """What is left of a budget pays for no further request."""

    def __init__(self, budget: str) -> None:
        super().__init__(
            Reason.CAP, f"the run's {budget} budget is spent; no request fits any more"
        )
        self.budget = budget


def with_margin(counted: int) -> int:
    """A provider's count of a prompt as a bound, in tokens."""
    return int(counted * (1 + COUNT_MARGIN)) + 64 if counted else 0
