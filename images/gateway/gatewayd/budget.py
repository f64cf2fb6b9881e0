"""Caps that hold: the worst case of a request is set aside before it is forwarded.

Invariant: spent + reserved never exceeds a cap, for any schedule of requests. The only way past
it is a provider that charges more than the request allowed it to; that is written down as it is
and reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .ledger import Hold, Ledger, Past
from .settings import Caps


@dataclass(frozen=True)
class Worst:
    """The worst case of a request."""

    usd: Decimal
    tokens: int


@dataclass(frozen=True)
class Left:
    """What no request has spent or set aside; None where there is no cap."""

    usd: Decimal | None
    tokens: int | None
    requests: int | None

    def short_of(self, worst: Worst) -> str:
        """The budget that a worst case does not fit, or ""."""
        if self.requests is not None and self.requests < 1:
            return "requests"
        if self.usd is not None and worst.usd > self.usd:
            return "usd"
        if self.tokens is not None and worst.tokens > self.tokens:
            return "tokens"
        return ""


class Budget:
    """What a run spent and has set aside, kept in step with the ledger."""

    def __init__(self, caps: Caps, ledger: Ledger, past: Past) -> None:
        self._caps = caps
        self._ledger = ledger
        self._sequence = past.last_request
        self._settled = asyncio.Event()
        self.spent_usd = past.usd
        self.spent_tokens = past.tokens
        self.requests = past.requests
        self.open: dict[str, Hold] = dict(past.open)

    @property
    def capped(self) -> bool:
        """Whether dollars or tokens are bounded at all."""
        return self._caps.usd is not None or self._caps.tokens is not None

    def left(self) -> Left:
        """What is still free now."""
        usd, tokens, requests = self._caps.usd, self._caps.tokens, self._caps.requests
        held_usd = sum((hold.usd for hold in self.open.values()), Decimal(0))
        held_tokens = sum(hold.tokens for hold in self.open.values())
        return Left(
            usd=None if usd is None else usd - self.spent_usd - held_usd,
            tokens=None if tokens is None else tokens - self.spent_tokens - held_tokens,
            requests=None if requests is None else requests - self.requests,
        )

    def reserve(self, worst: Worst, describe: Callable[[str], dict[str, Any]]) -> Hold | str:
        """Sets a worst case aside.

        Args:
            worst: what is set aside.
            describe: the usage record of a request id, as far as it is known.

        Returns:
            The reservation, or the name of the budget that it does not fit.

        Raises:
            LedgerError: the reservation could not be written down.
        """
        short = self.left().short_of(worst)
        if short:
            return short
        request = f"{self._sequence + 1:06d}"
        hold = Hold(request, worst.usd, worst.tokens, describe(request))
        self._ledger.reserve(hold)
        self._sequence += 1
        self.requests += 1
        self.open[request] = hold
        return hold

    def settle(self, hold: Hold, usd: Decimal, tokens: int, record: dict[str, Any]) -> bool:
        """Replaces a reservation by what it cost; False while the ledger takes no line."""
        del self.open[hold.request]
        self.spent_usd += usd
        self.spent_tokens += tokens
        written = self._ledger.settle(hold.request, usd, tokens, record)
        self._settled.set()
        self._settled = asyncio.Event()
        return written

    async def next_settlement(self, seconds: float) -> bool:
        """Waits until some reservation is settled; False when none was in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True
