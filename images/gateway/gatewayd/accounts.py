"""Settles requests: book, caps and the runner hear of every cent once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from . import records
from .budget import Budget
from .ledger import Hold, Ledger
from .news import News
from .prices import Prices
from .records import Timing
from .tokens import Tokens

SYNC_SECONDS = 1.0


class Accounts:
    """Turns reservations into usage records."""

    def __init__(self, prices: Prices, budget: Budget, ledger: Ledger, news: News) -> None:
        self._prices = prices
        self._budget = budget
        self._ledger = ledger
        self._news = news
        self._sync_due: asyncio.TimerHandle | None = None
        self._ledger_full = False

    def by_usage(self, hold: Hold, tokens: Tokens, timing: Timing) -> None:
        """Charges what the provider reported."""
        cost = self._prices.cost_usd(str(hold.record["model"]), tokens)
        if cost > hold.usd or tokens.total > hold.tokens:
            self._news.problem(
                "metering",
                f"request {hold.request} used {tokens.total} tokens and ${cost:.4f}; its worst "
                f"case was {hold.tokens} and ${hold.usd:.4f}",
            )
        record = records.settled(hold, tokens, cost, "usage", timing)
        self._settle(hold, cost, tokens.total, record)

    def by_reservation(self, hold: Hold, tokens: Tokens, timing: Timing) -> None:
        """Charges the worst case: nobody knows what the provider will bill."""
        record = records.settled(hold, tokens, hold.usd, "reservation", timing)
        self._settle(hold, hold.usd, hold.tokens, record)

    def charge_open(self) -> int:
        """Charges every open reservation, after a restart or at the end; how many there were."""
        holds = list(self._budget.open.values())
        for hold in holds:
            self.by_reservation(hold, Tokens(), Timing())
        return len(holds)

    def _settle(self, hold: Hold, cost: Decimal, tokens: int, record: dict[str, Any]) -> None:
        written = self._budget.settle(hold, cost, tokens, record)
        if not written and not self._ledger_full:
            self._news.problem("ledger", "the state volume takes no further line")
        self._ledger_full = not written
        self._news.usage(record)
        if self._sync_due is None:
            loop = asyncio.get_running_loop()
            self._sync_due = loop.call_later(SYNC_SECONDS, self._sync)

    def _sync(self) -> None:
        self._sync_due = None
        asyncio.get_running_loop().run_in_executor(None, self._ledger.sync)
