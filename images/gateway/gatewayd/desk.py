"""Puts the parts of a gateway together, and takes them apart again with every account settled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .accounts import Accounts
from .admission import Admission
from .budget import Budget
from .ledger import Ledger
from .news import News
from .outages import Outages
from .prices import Prices
from .recorder import Recorder
from .settings import Settings
from .upstream import Upstream, open_session


@dataclass(frozen=True)
class Desk:
    """What every exchange of a run shares."""

    settings: Settings
    upstream: Upstream
    admission: Admission
    accounts: Accounts
    budget: Budget
    outages: Outages
    news: News
    recorder: Recorder | None


@asynccontextmanager
async def open_desk(
    settings: Settings, prices: Prices, news: News, state: Path
) -> AsyncIterator[Desk]:
    """The parts of a gateway; reservations that a former life left open are charged first.

    Args:
        settings: the run's.
        prices: of the run's models.
        news: hears of everything.
        state: folder of the ledger and the records.
    """
    ledger = Ledger(state / "ledger.jsonl")
    budget = Budget(settings.caps, ledger, ledger.past())
    accounts = Accounts(prices, budget, ledger, news)
    accounts.charge_open()
    outages = Outages(news.outage)
    try:
        async with open_session(settings) as session:
            yield Desk(
                settings=settings,
                upstream=Upstream(settings, session),
                admission=Admission(prices, budget),
                accounts=accounts,
                budget=budget,
                outages=outages,
                news=news,
                recorder=_recorder(settings, state) if settings.record else None,
            )
    finally:
        outages.close()
        accounts.charge_open()
        ledger.close()


def _recorder(settings: Settings, state: Path) -> Recorder:
    secrets = (settings.api_key.get_secret_value(), settings.token.get_secret_value())
    return Recorder(state / "records", tuple(secret.encode() for secret in secrets))
