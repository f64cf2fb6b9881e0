"""Settles requests: the ledger, the budget and the runner learn of each charge exactly once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from ..dialects.tokens import Tokens
from ..reporter import EventSink
from . import usage_record
from .budget import Budget
from .ledger import Ledger, Reservation
from .prices import Prices
from .usage_record import Outcome

SYNC_SECONDS = 1.0


class Settlement:
    """Turns reservations into charges and usage records."""

    def __init__(self, prices: Prices, budget: Budget, ledger: Ledger, events: EventSink) -> None:
        self._prices = prices
        self._budget = budget
        self._ledger = ledger
        self._events = events
        self._sync_due: asyncio.TimerHandle | None = None
        self._ledger_full = False

    def charge_usage(
        self,
        reservation: Reservation,
        tokens: Tokens,
        outcome: Outcome,
        inconsistencies: tuple[str, ...] = (),
    ) -> None:
        """Charges what the provider reported.

        Args:
            reservation: of the request.
            tokens: what was reported.
            outcome: how the request went.
            inconsistencies: what in the report does not add up.
        """
        if inconsistencies:
            found = "; ".join(inconsistencies)
            detail = f"the usage of request {reservation.request_id} does not add up: {found}"
            self._events.problem("metering", detail)
        self._charge_tokens(reservation, tokens, "usage", outcome)

    def charge_input(self, reservation: Reservation, tokens: Tokens, outcome: Outcome) -> None:
        """Charges the input alone, for an answer that failed before any usage was reported."""
        self._charge_tokens(reservation, tokens, "input", outcome)

    def charge_reservation(
        self, reservation: Reservation, tokens: Tokens, outcome: Outcome
    ) -> None:
        """Charges the worst case, because nobody knows what the provider will bill.

        Args:
            reservation: of the request.
            tokens: what the provider had reported until then.
            outcome: how the request went.
        """
        record = usage_record.settled(reservation, tokens, reservation.usd, "reservation", outcome)
        self._settle(reservation, reservation.usd, reservation.tokens, record)

    def charge_open_reservations(self) -> None:
        """Charges every open reservation: those of a former process, or those at the end."""
        for reservation in list(self._budget.reservations.values()):
            self.charge_reservation(reservation, Tokens(), Outcome())

    def _charge_tokens(
        self, reservation: Reservation, tokens: Tokens, charged_by: str, outcome: Outcome
    ) -> None:
        cost_usd = self._prices.cost_usd(str(reservation.record["model"]), tokens)
        if cost_usd > reservation.usd or tokens.total > reservation.tokens:
            self._events.problem(
                "metering",
                f"request {reservation.request_id} used {tokens.total} tokens and "
                f"${cost_usd:.4f}; its worst case was {reservation.tokens} tokens and "
                f"${reservation.usd:.4f}",
            )
        record = usage_record.settled(reservation, tokens, cost_usd, charged_by, outcome)
        self._settle(reservation, cost_usd, tokens.total, record)

    def _settle(
        self, reservation: Reservation, cost_usd: Decimal, tokens: int, record: dict[str, Any]
    ) -> None:
        written = self._budget.settle(reservation, cost_usd, tokens, record)
        if not written and not self._ledger_full:
            self._events.problem("ledger", "the state volume takes no further line")
        self._ledger_full = not written
        self._events.usage(record)
        if self._sync_due is None:
            loop = asyncio.get_running_loop()
            self._sync_due = loop.call_later(SYNC_SECONDS, self._sync)

    def _sync(self) -> None:
        self._sync_due = None
        asyncio.get_running_loop().run_in_executor(None, self._ledger.sync)
