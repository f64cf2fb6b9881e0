"""Builds the parts of a gateway, and closes them with every reservation settled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from runner_watch import RunnerWatch

from ..accounting.admission import Admission
from ..accounting.budget import Budget
from ..accounting.ledger import Ledger
from ..accounting.prices import Prices
from ..accounting.prompt_estimator import PromptEstimator
from ..accounting.settlement import Settlement
from ..provider.outages import OutageTracker
from ..provider.token_counter import TokenCounter
from ..provider.upstream import Upstream, open_session
from ..reporter import EventSink
from ..settings import Settings
from .recorder import Recorder


@dataclass(frozen=True)
class GatewayContext:
    """What all exchanges of a run share; `recorder` is None unless the run records bodies."""

    settings: Settings
    upstream: Upstream
    token_counter: TokenCounter
    estimator: PromptEstimator
    admission: Admission
    settlement: Settlement
    budget: Budget
    outages: OutageTracker
    events: EventSink
    recorder: Recorder | None
    runner: RunnerWatch


@asynccontextmanager
async def open_context(
    settings: Settings, prices: Prices, events: EventSink, state: Path
) -> AsyncIterator[GatewayContext]:
    """Builds the parts of a gateway; reservations that a former process left open are charged.

    Args:
        settings: the run's.
        prices: of the run's models.
        events: receives every event.
        state: the folder of the ledger and of the recorded bodies.
    """
    ledger = Ledger(state / "ledger.jsonl")
    budget = Budget(settings.caps, ledger, ledger.replay())
    settlement = Settlement(prices, budget, ledger, events)
    settlement.charge_open_reservations()
    outages = OutageTracker(
        events.outage,
        report_begin=lambda reason: events.problem("reaching the provider", reason),
    )
    estimator = PromptEstimator(prices.window)
    try:
        async with open_session(settings) as session:
            upstream = Upstream(settings, session)
            yield GatewayContext(
                settings=settings,
                upstream=upstream,
                token_counter=TokenCounter(upstream, settings.limits),
                estimator=estimator,
                admission=Admission(prices, budget, estimator),
                settlement=settlement,
                budget=budget,
                outages=outages,
                events=events,
                recorder=_recorder(settings, state) if settings.record else None,
                runner=RunnerWatch(settings.orphan_seconds),
            )
    finally:
        outages.close()
        settlement.charge_open_reservations()
        ledger.close()


def _recorder(settings: Settings, state: Path) -> Recorder:
    secrets = (settings.api_key, settings.token)
    return Recorder(state / "records", tuple(secret.encode() for secret in secrets))
