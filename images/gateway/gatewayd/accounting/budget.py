"""Caps that hold: the worst case of a request is reserved before the request is forwarded.

Invariant: spent + reserved never exceeds a cap, for any schedule of requests. The one exception is
a provider that charges more than the request allowed; that charge is recorded as it is, and
reported.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..settings import Caps
from .ledger import Ledger, LedgerState, Reservation


@dataclass(frozen=True)
class WorstCase:
    """The most that one request can use.

    Attributes:
        usd: US dollars.
        tokens: input and output together.
    """

    usd: Decimal
    tokens: int


@dataclass(frozen=True)
class Remaining:
    """What is neither spent nor reserved; None where there is no cap.

    Attributes:
        usd: US dollars.
        tokens: input and output together.
    """

    usd: Decimal | None
    tokens: int | None

    def exceeded_by(self, worst: WorstCase) -> str:
        """The name of the budget ("usd" or "tokens") that `worst` does not fit in, or ""."""
        if self.usd is not None and worst.usd > self.usd:
            return "usd"
        if self.tokens is not None and worst.tokens > self.tokens:
            return "tokens"
        return ""


class Budget:
    """What a run has spent and reserved, kept in step with the ledger.

    Args:
        caps: the most that the run may spend.
        ledger: where reservations and settlements are written.
        state: what the ledger already holds.
    """

    def __init__(self, caps: Caps, ledger: Ledger, state: LedgerState) -> None:
        self._caps = caps
        self._usd_cap = None if caps.usd is None else Decimal(str(caps.usd))
        self._ledger = ledger
        self._last_request = state.last_request
        self._settled = asyncio.Event()
        self.spent_usd = state.usd
        self.spent_tokens = state.tokens
        self.requests = state.requests
        self.reservations: dict[str, Reservation] = dict(state.open)

    def set_cap(self, usd: float) -> None:
        """Sets the cap in US dollars, over all requests of the run, up to the one it began with.

        The run's trials spend from the same money, and what a trial took is given back if it has to
        run again. What is reserved already stays reserved.
        """
        cap, most = Decimal(str(usd)) if math.isfinite(usd) else Decimal(0), self._caps.usd
        self._usd_cap = cap if most is None else min(Decimal(str(most)), cap)

    def remaining(self) -> Remaining:
        """What is still free now."""
        usd, tokens = self._usd_cap, self._caps.tokens
        reserved_usd = sum((one.usd for one in self.reservations.values()), Decimal(0))
        reserved_tokens = sum(one.tokens for one in self.reservations.values())
        return Remaining(
            usd=None if usd is None else usd - self.spent_usd - reserved_usd,
            tokens=None if tokens is None else tokens - self.spent_tokens - reserved_tokens,
        )

    def reserve(
        self, worst: WorstCase, describe: Callable[[str], dict[str, Any]]
    ) -> Reservation | str:
        """Reserves the worst case of a request.

        Args:
            worst: what to reserve.
            describe: gives the usage record of a request id, as far as it is known.

        Returns:
            The reservation, or the name of the budget that the worst case does not fit in.

        Raises:
            LedgerError: the reservation could not be written.
        """
        exceeded = self.remaining().exceeded_by(worst)
        if exceeded:
            return exceeded
        request_id = f"{self._last_request + 1:06d}"
        reservation = Reservation(request_id, worst.usd, worst.tokens, describe(request_id))
        self._ledger.reserve(reservation)
        self._last_request += 1
        self.requests += 1
        self.reservations[request_id] = reservation
        return reservation

    def settle(
        self, reservation: Reservation, usd: Decimal, tokens: int, record: dict[str, Any]
    ) -> bool:
        """Replaces a reservation by what the request is charged.

        Args:
            reservation: an open one.
            usd: the charge in US dollars.
            tokens: the charge in tokens, input and output together.
            record: the whole usage record.

        Returns:
            Whether the ledger could be written.
        """
        del self.reservations[reservation.request_id]
        self.spent_usd += usd
        self.spent_tokens += tokens
        written = self._ledger.settle(reservation.request_id, usd, tokens, record)
        self._settled.set()
        self._settled = asyncio.Event()
        return written

    async def wait_for_settlement(self, seconds: float) -> None:
        """Returns when the next reservation is settled, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            return
