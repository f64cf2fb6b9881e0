"""What the run loop works with, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.budget_clock import BudgetClock
from runner.collect.artifacts import Collector
from runner.engine.client import Engine
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import SPACE
from runner.recovery.supervisor import Supervisor
from runner.recovery.wishes import Wish
from runner.run.drivers.driver import Driver
from runner.run.settlement import UsageLog
from runner.sandbox.peer import Inbox, Peer
from runner.trials.judging import Judging
from runner.trials.queue import TrialQueue
from runner.wire.messages import Heartbeat
from runner.wire.space import EVERY_SETTING_TRIED

TICK_SECONDS = 1.0
WAITING_TICK_SECONDS = 2.0  # for a device: seldom, because many runs may wait on one machine
SHORTEST_TICK_SECONDS = 0.05
SIGN_OF_LIFE_SECONDS = 0.9  # from one reading of the clock in a file of its own to the next
WAITING_SIGN_OF_LIFE_SECONDS = 3.9


def last_answers_seconds(role: str) -> float:
    """How long a gateway's open answers may take once the run is to be suspended.

    An optimiser would keep an answer that is broken off as none, so its gateway gives them longer
    than the optimiser itself has (`CUT_SECONDS` in loop.py).
    """
    return 8.0 if role == "optimizer" else 5.0


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        ended_by: the budget that was spent, or what else ended the run.
        cause: who or what is responsible: budget, user, space or host.
        detail: more about it, for people.
    """

    ended_by: str
    cause: str
    detail: str = ""

    def in_words(self) -> str:
        """The reason as the contestant reads it."""
        if self.cause == "budget":
            return f"the budget is spent: {self.ended_by}"
        return self.detail or self.ended_by


@dataclass(frozen=True)
class LoopParts:
    """Everything that the loop works with.

    Attributes:
        engine: where the containers are.
        contestant: its container.
        gateway: its container; None for a baseline without a model.
        supervisor: starts containers again that died by themselves.
        wish: says what a person wants of the run, or None.
        judging: the sessions of the run's judge.
    """

    run_dir: RunDir
    journal: Journal
    clock: BudgetClock
    usage: UsageLog
    trials: TrialQueue
    collector: Collector
    engine: Engine
    contestant: Peer
    gateway: Peer | None
    supervisor: Supervisor
    driver: Driver
    inbox: Inbox
    wish: Callable[[], Wish | None]
    judging: Judging

    def tick_seconds(self) -> float:
        """How long the loop may sleep when nothing happens: never past the end of the hours."""
        if not self.clock.only_waits():
            return TICK_SECONDS
        left = self.clock.wall_seconds_left()
        return max(SHORTEST_TICK_SECONDS, min(WAITING_TICK_SECONDS, left))

    def sign_of_life_seconds(self) -> float:
        """How old the reading of the clock may become that a restart goes on from.

        No time counts for an optimiser that only waits, so nothing is lost then.
        """
        idle = self.clock.only_waits() and self.contestant.spec.role == "optimizer"
        return WAITING_SIGN_OF_LIFE_SECONDS if idle else SIGN_OF_LIFE_SECONDS

    def nothing_left(self) -> Ending | None:
        """The ending of a run whose contestant has tried all that there is to try."""
        tried = self.driver.exhausted()
        return Ending(SPACE, SPACE, EVERY_SETTING_TRIED) if tried else None

    def tell_cap(self) -> None:
        """Tell the gateway what the model may still cost, where trials spend from the same money.

        It is told with every reading of the clock, so that a gateway which was started again knows
        it as well.
        """
        cap = self.clock.usd_cap()
        if self.gateway is not None and self.clock.budget.total_usd is not None:
            self.gateway.send(Heartbeat(usd_cap=cap))
