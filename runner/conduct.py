"""The one loop of a run, from the contestant's start to its end.

Single-threaded: containers and trials speak from threads of their own into one inbox, and only
this loop touches the clock, the ledger and the journal. The budgets are looked at after every event
and at least twice a second; the first one spent ends the run and gives it its name.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from runner.clock import Clock
from runner.collect import Collector
from runner.drivers import Closing, Driver
from runner.journal import Journal
from runner.layout import RunDir
from runner.protocol import CapReached, Denied, Message, Outage, Problem, TrialRequested, Usage
from runner.records import UsageRecord, append_line
from runner.sandbox import Gone, Heard, Inbox, Lost, Peer
from runner.trials.desk import Began, Broke, Ended, TrialDesk, Waits

TICK_SECONDS = 0.5
CLOCK_SECONDS = 15.0
FIRST_BAD_STATUS = 400
MODEL_BUDGETS = ("usd", "tokens", "requests")


@dataclass(frozen=True)
class Ending:
    """How a run ended: the budget that was spent, or what else; and whose doing it was."""

    ended_by: str
    cause: str
    detail: str = ""


@dataclass(frozen=True)
class Props:
    """Everything that the loop works with.

    `asked_to_stop` says who wants the run to end, if anybody does.
    """

    run_dir: RunDir
    journal: Journal
    clock: Clock
    desk: TrialDesk
    collector: Collector
    contestant: Peer
    driver: Driver
    inbox: Inbox
    asked_to_stop: Callable[[], str | None]


class Conduct:
    """Runs one contestant to its end."""

    def __init__(self, props: Props) -> None:
        self._p = props
        self._ending: Ending | None = None
        self._cap: str | None = None
        self._gone = self._broken = False
        self._clock_read_at = 0.0
        self._last_status = 0

    def go(self) -> Ending:
        """Loop until the contestant is done or may do no more; returns why.

        Raises:
            BakeoffError: the engine or the disk failed under the loop itself.
        """
        self._p.driver.begin()
        try:
            while (ending := self._over()) is None:
                with contextlib.suppress(queue.Empty):
                    self._take(self._p.inbox.get(timeout=TICK_SECONDS))
                self._tick()
        except BaseException:
            self._broken = True
            raise
        finally:
            self._p.desk.close()
            self.drain()
        return ending

    def drain(self) -> None:
        """Take up what was said before the end: usage, and the records of killed trials.

        A run that broke is to be resumed: a trial that was killed by that is no trial of it.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._p.inbox.get_nowait()
                if isinstance(item, Ended) and (not self._broken or item.record.status != "killed"):
                    self._p.desk.took(item)
                elif isinstance(item, Heard) and item.role == "gateway":
                    self._heard_gateway(item.message)
        self._read_clock()

    def _over(self) -> Ending | None:
        """The ending, once nothing that may still happen is left."""
        done = not self._p.desk.in_flight() and (self._gone or self._p.driver.closed())
        return self._ending if done else None

    def _tick(self) -> None:
        self._p.driver.tick(self._p.desk.in_flight())
        if self._ending is None:
            ending = self._reason_to_end()
            if ending is not None:
                self._end(ending)
        if time.monotonic() - self._clock_read_at >= CLOCK_SECONDS:
            self._read_clock()
            self._p.collector.look()

    def _read_clock(self) -> None:
        """Journal what is spent, so that a restart goes on from here."""
        self._clock_read_at = time.monotonic()
        self._p.journal.write("clock.read", **self._p.clock.spent().model_dump())

    def _reason_to_end(self) -> Ending | None:
        asked = self._p.asked_to_stop()
        if asked is not None:
            return Ending("stopped", "user", asked)
        spent = self._p.clock.spent_budget() or self._cap
        if spent is not None:
            return Ending(spent, "budget", f"left: {self._p.clock.left()}")
        gave_up = self._p.driver.gave_up()
        if gave_up is None:
            return None
        if self._last_status >= FIRST_BAD_STATUS:
            detail = f"the provider's last answer was HTTP {self._last_status}; {gave_up}"
            return Ending("gave_up", "provider", detail)
        return Ending("gave_up", "agent", gave_up)

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        self._p.journal.write("run.ending", ended_by=ending.ended_by, detail=ending.detail)
        self._p.desk.abandon()
        thinks = ending.ended_by not in MODEL_BUDGETS and ending.cause in ("budget", "user")
        self._p.driver.close(
            Closing(_in_words(ending), told=self._p.desk.told_last, can_think=thinks)
        )

    # --- events ---------------------------------------------------------------------------------

    def _take(self, item: object) -> None:
        match item:
            case Heard(role="gateway", message=message):
                self._heard_gateway(message)
            case Heard(role=role, message=message):
                self._heard(role, message)
            case Lost(error=error):
                raise error
            case Gone():
                self._went(item)
            case Waits() | Began() | Ended() | Broke():
                if self._p.desk.took(item) is not None:
                    self._p.collector.look()

    def _heard(self, role: str, message: Message) -> None:
        if isinstance(message, Problem):
            self._problem(role, message)
        elif role != self._p.contestant.spec.role:
            return
        elif isinstance(message, TrialRequested):
            over = self._ending.ended_by if self._ending else self._p.clock.spent_budget()
            if self._p.desk.request(self._p.contestant.container, message, over):
                self._p.driver.trial_asked()
        else:
            self._p.driver.heard(message)
            self._p.collector.look()

    def _heard_gateway(self, message: Message) -> None:
        """Usage, outages and caps: the gateway's word alone counts on them."""
        journal = self._p.journal
        match message:
            case Usage(record=record):
                self.used(record)
            case Denied(reason=reason, detail=detail):
                journal.write("gateway.request_denied", reason=reason, detail=detail[:500])
            case Outage(began=began, ended=ended, reason=reason):
                self._p.clock.give_back_outage(ended - began)
                journal.write("gateway.outage_ended", seconds=ended - began, reason=reason)
            case CapReached(budget=budget, detail=detail):
                journal.write("gateway.cap_reached", budget=budget, detail=detail)
                self._cap = budget
            case Problem():
                self._problem("gateway", message)

    def _problem(self, role: str, problem: Problem) -> None:
        self._p.journal.write(
            "container.problem", role=role, during=problem.during, message=problem.message[:1000]
        )

    def used(self, fields: dict[str, object]) -> None:
        """Count one settled model request and keep its record."""
        try:
            record = UsageRecord.model_validate(fields)
        except ValidationError as error:
            self._p.journal.write("gateway.usage_unreadable", error=str(error)[:500])
            return
        append_line(self._p.run_dir.usage, record)
        self._last_status = record.status
        self._p.driver.provider_answered(record.status)
        self._p.clock.usd += record.cost_usd
        self._p.clock.tokens += record.tokens
        self._p.clock.requests += 1

    def _went(self, gone: Gone) -> None:
        """A container has ended; before the end of the run, that is the end of the run."""
        self._gone = self._gone or gone.role == self._p.contestant.spec.role
        if self._ending is None:
            detail = f"exit code {gone.exit_code}; last words: {gone.last_words}"
            cause = "agent" if gone.role == "agent" else "sandbox"
            self._end(Ending(f"{gone.role}_died", cause, detail))


def _in_words(ending: Ending) -> str:
    """The reason as the contestant reads it."""
    if ending.cause == "budget":
        return f"the budget is spent: {ending.ended_by}"
    return ending.detail or ending.ended_by
