"""Where requests become trials: accepted or refused, run one after the other, answered, recorded.

The desk lives in the run's loop. Its worker thread only runs the executor and speaks to the loop
through the inbox; what it saw is taken up by `took`.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from runner.clock import Clock
from runner.journal import Journal
from runner.protocol import Message, TrialAccepted, TrialFinished, TrialLog, TrialRefused
from runner.protocol import TrialRequested as Request
from runner.records import TrialRecord
from runner.trials.executor import Executor, TrialOrder, Watch
from runner.trials.intake import Intake, Refusal
from runner.trials.ledger import Ledger

MAX_QUEUED = 4
REFUSALS_JOURNALLED = 100
MAX_LOG_LINE_CHARS = 2000


@dataclass(frozen=True)
class Waits:
    """The trial is next and waits for its device since `moment` (monotonic seconds)."""

    order: TrialOrder
    moment: float


@dataclass(frozen=True)
class Began:
    """The trial has its device since `moment`."""

    order: TrialOrder
    moment: float


@dataclass(frozen=True)
class Ended:
    """The trial is over; `began` is None when it never had its device."""

    order: TrialOrder
    record: TrialRecord
    began: float | None
    moment: float


@dataclass(frozen=True)
class Broke:
    """Something of ours failed under a trial: it has no record, and the run cannot go on."""

    order: TrialOrder
    error: BaseException


class TrialDesk:
    """Trials of one run, from request to record.

    Args:
        intake: makes orders of requests.
        executor: runs them.
        ledger: keeps them.
        clock: counts them.
        journal: tells of them.
        inbox: where the worker's events go; the loop hands them to `took`.
        send: speaks to the contestant.
    """

    def __init__(
        self,
        intake: Intake,
        executor: Executor,
        ledger: Ledger,
        clock: Clock,
        journal: Journal,
        inbox: queue.Queue[Any],
        send: Callable[[Message], object],
    ) -> None:
        self._intake = intake
        self._executor = executor
        self._ledger = ledger
        self._clock = clock
        self._journal = journal
        self._inbox = inbox
        self._send = send
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial")
        self._in_flight: dict[str, TrialOrder] = {}
        self._number = ledger.highest_number()
        self._refusals = 0
        self.told_last = False

    def in_flight(self) -> int:
        return len(self._in_flight)

    def request(self, container: str, request: Request, over: str | None) -> bool:
        """Make a trial of the request; True when it became one.

        A request that was answered before (the contestant or the runner was restarted) gets the
        same answer again and costs nothing.

        Args:
            container: whose file system holds the text.
            request: what was asked for.
            over: why the run takes no more trials, if it does not.
        """
        known = self._ledger.of_request(request.request)
        if known is not None:
            self._answer(known)
        if known is not None or request.request in self._in_flight:
            return False
        refused = self._refusal(request.request, over)
        if refused is None:
            order = self._intake.order(container, request, self._number + 1)
            if isinstance(order, TrialOrder):
                self._accept(order)
                return True
            refused = _refused(request.request, order)
        self._refuse(refused)
        return False

    def took(self, event: Waits | Began | Ended | Broke) -> TrialRecord | None:
        """Take up what the worker saw; the record, when a trial has ended.

        Raises:
            BakeoffError: what broke the trial.
        """
        match event:
            case Waits(order=order, moment=moment):
                self._clock.lease_wait_began(order.trial, moment)
            case Began(order=order, moment=moment):
                self._clock.lease_wait_ended(order.trial, moment)
                self._journal.write("trial.started", trial=order.trial)
            case Ended():
                self._ended(event)
                return event.record
            case Broke(order=order, error=error):
                self._in_flight.pop(order.request, None)
                self._clock.lease_wait_ended(order.trial, time.monotonic())
                raise error
        return None

    def close(self) -> None:
        """End what runs and wait for its records, which are then in the inbox."""
        self._executor.abandon()
        self._pool.shutdown(wait=True)

    def abandon(self) -> None:
        """End what runs; nothing starts any more."""
        self._executor.abandon()

    def _refusal(self, request: str, over: str | None) -> TrialRefused | None:
        if over is not None:
            return TrialRefused(request, f"the run is over: {over}", final=True)
        bound = self._clock.budget.trials
        if bound is not None and self._clock.trials + len(self._in_flight) >= bound:
            return TrialRefused(request, "the budget has no further trial", final=True)
        if len(self._in_flight) >= MAX_QUEUED:
            reason = f"{MAX_QUEUED} trials are queued already"
            return TrialRefused(request, reason, "wait for one of them: `trial list`")
        return None

    def _refuse(self, refused: TrialRefused) -> None:
        """Answer, and journal the first refusals and then ever fewer: asking costs nothing."""
        self._refusals += 1
        if self._refusals <= REFUSALS_JOURNALLED or self._refusals % REFUSALS_JOURNALLED == 0:
            self._journal.write(
                "trial.refused",
                request=refused.request[:80],
                reason=refused.reason,
                refusals=self._refusals,
            )
        self._send(refused)

    def _accept(self, order: TrialOrder) -> None:
        self._number = order.trial
        self._in_flight[order.request] = order
        self._send(TrialAccepted(order.request, order.trial))
        self._journal.write(
            "trial.queued",
            trial=order.trial,
            request=order.request,
            hypothesis=order.hypothesis,
            knobs_changed={name: list(pair) for name, pair in order.knobs_changed.items()},
            other_changes=order.other_changes,
        )
        future = self._pool.submit(self._work, order)
        future.add_done_callback(lambda done: self._report_break(order, done))

    def _work(self, order: TrialOrder) -> None:
        """In the worker thread: run the trial and tell the loop."""
        began: list[float] = []

        def on_start() -> None:
            began.append(time.monotonic())
            self._inbox.put(Began(order, began[0]))

        watch = Watch(
            on_wait=lambda: self._inbox.put(Waits(order, time.monotonic())),
            on_start=on_start,
            on_line=lambda line: self._send_line(order, line),
        )
        record = self._executor.run(order, watch)
        self._inbox.put(Ended(order, record, began[0] if began else None, time.monotonic()))

    def _send_line(self, order: TrialOrder, line: str) -> None:
        self._send(TrialLog(order.request, line[:MAX_LOG_LINE_CHARS]))

    def _report_break(self, order: TrialOrder, done: Future[None]) -> None:
        """Whatever the worker raised ends up in the loop, and nowhere else."""
        error = done.exception()
        if error is not None:
            self._inbox.put(Broke(order, error))

    def _ended(self, event: Ended) -> None:
        record = event.record
        self._in_flight.pop(event.order.request, None)
        self._clock.lease_wait_ended(record.trial, event.moment)
        if event.began is not None:
            self._clock.trial_ran(event.began, event.moment)
        self._clock.trials += 1
        self._clock.train_seconds += record.train_seconds
        self._ledger.append(record)
        self._journal.write(
            "trial.finished",
            trial=record.trial,
            status=record.status,
            val_bpb=record.val_bpb,
            train_seconds=record.train_seconds,
            wall_seconds=record.wall_seconds,
            **({"reason": record.reason} if record.reason else {}),
        )
        self._answer(record)

    def _answer(self, record: TrialRecord) -> None:
        spent = self._clock.spent_budget()
        self.told_last = self.told_last or spent is not None
        note = f"left: {self._clock.left()}" if spent is None else f"the budget is spent: {spent}"
        self._send(
            TrialFinished(
                request=record.request,
                trial=record.trial,
                status=record.status,
                val_bpb=record.val_bpb,
                train_seconds=record.train_seconds,
                summary=dict(record.summary),
                reason=record.reason,
                budget_note=note,
                last=spent is not None,
            )
        )


def _refused(request: str, refusal: Refusal) -> TrialRefused:
    return TrialRefused(request, refusal.reason, refusal.hint)
