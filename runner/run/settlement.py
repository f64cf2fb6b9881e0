"""What the gateway settled: kept and counted as it comes, and made whole at the end of the run.

The gateway keeps a book of its own. What it settled while no runner listened stands there, and is
counted at the end, whether or not the run's first runner lives to see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from runner.budget_clock import BudgetClock
from runner.collect.gateway_state import collect_records, settled_requests
from runner.engine.client import Engine
from runner.errors import EngineError
from runner.records.files import append_line, read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import UsageRecord
from runner.run.context import RunContext

MAX_ERROR_CHARS = 500


@dataclass(frozen=True)
class Cost:
    """What a request cost, in US dollars and in tokens."""

    usd: float
    tokens: int


class UsageLog:
    """The settled model requests of one run. Not thread-safe: the run's loop is its only user.

    A request counts once, whether the gateway tells of it, its book does, or both.

    Args:
        run_dir: where `usage.jsonl` is.
        journal: the run's.
        clock: counts the requests.
    """

    def __init__(self, run_dir: RunDir, journal: Journal, clock: BudgetClock) -> None:
        self._path = run_dir.usage
        self._journal = journal
        self._clock = clock
        self._costs = {one.request: _cost(one) for one in read_lines(run_dir.usage, UsageRecord)}

    def add(self, fields: Mapping[str, object]) -> UsageRecord | None:
        """Keep and count a request.

        Returns:
            Its record; None if the fields are not valid, or if it is counted already.

        Raises:
            HostError: the disk is full.
        """
        try:
            record = UsageRecord.model_validate(fields)
        except ValidationError as error:
            self._journal.write("gateway.usage_unreadable", error=str(error)[:MAX_ERROR_CHARS])
            return None
        if record.request in self._costs:
            return None
        append_line(self._path, record)
        self._costs[record.request] = _cost(record)
        self._clock.count_request(record)
        return record

    def has(self, request: object) -> bool:
        """Whether a request of that name is counted, in this life of the run or an earlier one."""
        return request in self._costs

    def cost_of(self, request: str) -> Cost:
        """What a request cost that is counted."""
        return self._costs[request]

    def take_up(self, engine: Engine, gateway: str, *, closed: bool = False) -> int:
        """Count what stands in the gateway's own book and is not counted yet.

        Args:
            engine: where the gateway is.
            gateway: its container, running or not.
            closed: it will not run again, so what it left open is charged in full.

        Returns:
            How many requests of the book cannot be read.

        Raises:
            EngineError: the book cannot be read.
            HostError: the disk is full.
        """
        unreadable = 0
        for fields in settled_requests(engine, gateway, closed=closed):
            if not self.has(fields.get("request")) and self.add(fields) is None:
                unreadable += 1
        return unreadable


def _cost(record: UsageRecord) -> Cost:
    return Cost(record.cost_usd, record.tokens)


def settle(context: RunContext, usage: UsageLog, gateway: str) -> list[str]:
    """Take up what the gateway settled and the run does not know, and fetch its recorded requests.

    Args:
        context: the run.
        usage: what the run knows.
        gateway: the gateway's container, which has stopped; "" when there is none.

    Returns:
        What could not be had and why, a sentence each.

    Raises:
        EngineError: the gateway's book cannot be read now. The run must not be closed then,
            because its volumes would be removed with the book.
        HostError: the disk is full.
    """
    if not gateway:
        return []
    problems = _take_up(context, usage, gateway)
    if context.spec.record:
        problems += collect_records(context.engine, context.run_dir, context.journal, gateway)
    return problems


def settle_abandoned(context: RunContext, usage: UsageLog, gateway: Callable[[], str]) -> list[str]:
    """Settle a run that its user ends for good, whatever can still be read of its gateway.

    Args:
        context: the run.
        usage: what the run knows.
        gateway: finds the gateway's container, or makes one on its volume; "" for neither.

    Returns:
        What could not be had and why, a sentence each.

    Raises:
        HostError: the disk is full.
    """
    if not context.spec.uses_model:
        return []
    try:
        return settle(context, usage, gateway())
    except EngineError as error:
        lost = "what the gateway settled last"
        if context.spec.record:
            lost += ", and its recorded requests,"
        return [f"usage: {lost} could not be read: {error}"]


def _take_up(context: RunContext, usage: UsageLog, container: str) -> list[str]:
    """Add what the gateway's book has and the run lacks.

    Raises:
        EngineError: the book cannot be read.
    """
    unreadable = usage.take_up(context.engine, container, closed=True)
    if unreadable == 0:
        return []
    return [f"usage: {unreadable} of the requests that the gateway settled could not be read"]
