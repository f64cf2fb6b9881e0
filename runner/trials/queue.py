"""Where requests become trials: accepted or refused, run in their order, answered, recorded.

The queue belongs to the run's loop. Its worker threads, one for each trial that may want a device
at the same time, only run the executor and put events into the inbox; the loop hands them to
`handle_event`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from runner.budget_clock import BudgetClock
from runner.records.clock import keep_reading, kept_reading
from runner.records.journal import Journal
from runner.records.schema import TrialRecord
from runner.trials.checks import Checks
from runner.trials.estimates import Pruning
from runner.trials.events import (
    TrialBegan,
    TrialBroke,
    TrialEnded,
    TrialEvent,
    TrialRepeats,
    TrialWaits,
    Watch,
)
from runner.trials.executor import Executor
from runner.trials.ledger import Ledger
from runner.trials.orders import pending
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.submission import SubmissionReader
from runner.trials.terms import CHECK
from runner.wire.messages import CHECK as CHECK_NUMBER
from runner.wire.messages import Message, TrialAccepted, TrialFinished, TrialLog, TrialRefused
from runner.wire.messages import TrialRequested as Request

MAX_QUEUED = 4  # where one trial runs at a time; each further device has one more
REFUSALS_JOURNALLED = 100
MAX_LOG_LINE_CHARS = 2000


class TrialQueue:
    """Trials of one run, from request to record.

    Args:
        reader: makes orders of requests.
        executor: runs the orders, several at a time.
        ledger: keeps the records.
        clock: counts the trials, and tells the time.
        journal: the run's.
        inbox: where the worker's events go.
        send: sends a message to the contestant.
        at_a_time: how many trials may want a device at the same time.
        prunes: the contestant is told what is estimated of its trials, and may give them up.
        priced: completes a record with what its proposal cost.
    """

    def __init__(
        self,
        reader: SubmissionReader,
        executor: Executor,
        ledger: Ledger,
        clock: BudgetClock,
        journal: Journal,
        inbox: queue.Queue[Any],
        send: Callable[[Message], object],
        at_a_time: int = 1,
        *,
        prunes: bool = False,
        priced: Callable[[TrialRecord], TrialRecord] = lambda record: record,
    ) -> None:
        self._reader = reader
        self._executor = executor
        self._ledger = ledger
        self._clock = clock
        self._journal = journal
        self._inbox = inbox
        self._send = send
        self._pool = ThreadPoolExecutor(max_workers=at_a_time, thread_name_prefix="trial")
        self._at_a_time = at_a_time
        self._most = MAX_QUEUED - 1 + at_a_time
        self._one_check = threading.Lock()
        self._priced = priced
        self._pruning = Pruning(ledger.metric, send if prunes else None)
        self._in_flight: dict[str, TrialOrder] = {}
        self._number = max(ledger.highest_number(), pending.highest_queued(journal.events()))
        self._refusals = 0
        self._checks = Checks(journal)
        self._untold: set[int] = set()  # trials of a turn that was cut off, until a prompt says so
        self.told_last = False

    def in_flight(self) -> int:
        """How many trials and checks are queued or run."""
        return len(self._in_flight)

    def take_up(self) -> None:
        """Run again, under its own number, what an earlier life accepted and saw no end of.

        The wall time of a broken attempt is given back. An agent is told of all trials of the run.
        """
        run_dir, events = self._ledger.run_dir, self._journal.events()
        reading, cut = kept_reading(run_dir), pending.cut_trials(events)
        orders = pending.pending_orders(run_dir, self._ledger, self._journal)
        if reading is not None:
            self._clock.give_back_broken(reading.cost_of([order.trial for order in orders]))
        for order in orders:
            self._journal.write("trial.taken_up", trial=order.trial, request=order.request)
            self._in_flight[order.request] = order
        lost = pending.lost_trials(self._journal.events()) - pending.lost_trials(events)
        self._untold = cut | lost | {order.trial for order in orders}
        keep_reading(run_dir, self._clock.reading())  # so that nothing is given back again
        self._checks.report_lost()
        self.tell_earlier()
        for order in orders:
            self._submit(order)

    def tell_earlier(self) -> None:
        """Tell an agent whose container is new of every trial of its run; an optimizer asks."""
        for record in self._ledger.records:
            if record.source == "agent":
                self._send(self._finished(record, hypothesis=record.hypothesis))
        for order in self._in_flight.values():
            if order.source == "agent" and not order.terms.is_check:
                self._send(TrialAccepted(order.request, order.trial, order.hypothesis))

    def contestant_restarted(self) -> None:
        """Its container is new: tell an agent of all trials, and of those of the turn that was cut.

        An optimizer asks again for what it did not hear the end of.
        """
        self._untold |= pending.cut_trials(self._journal.events())
        self.tell_earlier()

    def ended_meanwhile(self) -> str:
        """What an agent must be told of trials whose end it could not see; once, else empty."""
        told, self._untold = self._untold, set()
        return pending.in_words(told, self._ledger, self._journal) if told else ""

    def request(self, container: str, request: Request, over: str | None) -> bool:
        """Make a trial of the request; True when it became one, and not only a check.

        A request that was answered before (the contestant or the runner was restarted) gets the
        same answer again and costs nothing.

        Args:
            container: whose file system holds the text.
            request: what was asked for.
            over: why the run takes no more trials, or None while it takes them.
        """
        known = self._ledger.of_request(request.request)
        if known is not None:
            self._answer_again(known)
        if known is not None or request.request in self._in_flight:
            self._pruning.tell_again(request.request)
            return False
        refused = self._refusal(request.request, over)
        if refused is None and request.check:
            refused = self._checks.refusal(request.request)
        if refused is None:
            number = CHECK_NUMBER if request.check else self._number + 1
            order = self._reader.order(container, request, number)
            if isinstance(order, TrialOrder):
                if request.check:
                    order = dataclasses.replace(order, terms=CHECK)
                self._accept(order)
                return not request.check
            refused = TrialRefused(request.request, order.reason, order.hint)
        self._refuse(refused)
        return False

    def prune(self, request: str, step: int) -> None:
        """End the trial of a request that the optimizer gives up by the estimate at that step."""
        if request in self._in_flight and self._pruning.was_told(request, step):
            self._executor.prune(self._in_flight[request].trial, step)

    def handle_event(self, event: TrialEvent) -> TrialRecord | None:
        """Take up what the worker saw; returns the record when a trial has ended.

        Raises:
            BakeoffError: what broke the trial.
        """
        match event:
            case TrialWaits(order=order, moment=moment):
                self._clock.lease_wait_began(order.trial, moment)
            case TrialBegan(order=order, moment=moment):
                self._clock.lease_wait_ended(order.trial, moment)
                self._clock.attempt_began(order.trial, moment)
                if not order.terms.is_check:
                    self._journal.write("trial.started", trial=order.trial)
            case TrialRepeats(order=order, reason=reason, began=began, ended=ended):
                self._clock.attempt_repeated(order.trial, began, ended)
                self._journal.write(
                    "trial.repeated", trial=order.trial, reason=reason, seconds=ended - began
                )
            case TrialEnded():
                self._handle_end(event)
                return event.record
            case TrialBroke(order=order, error=error):
                self._in_flight.pop(order.request, None)
                self._clock.lease_wait_ended(order.trial, self._clock.now())
                raise error
        return None

    def close(self) -> None:
        """Kill what runs and wait until its records are in the inbox."""
        self._executor.abandon()
        self._pool.shutdown(wait=True)

    def abandon(self) -> None:
        """Kill what runs; nothing starts any more."""
        self._executor.abandon()

    def _refusal(self, request: str, over: str | None) -> TrialRefused | None:
        if over is not None:
            return TrialRefused(request, f"the run is over: {over}", final=True)
        bound = self._clock.budget.trials
        trials = sum(not order.terms.is_check for order in self._in_flight.values())
        if bound is not None and self._clock.trials + trials >= bound:
            return TrialRefused(request, "the budget has no further trial", final=True)
        if len(self._in_flight) >= self._most:
            reason = f"{self._most} trials are queued already"
            return TrialRefused(request, reason, "wait for one of them: `trial list`")
        return None

    def _refuse(self, refused: TrialRefused) -> None:
        """Refuse, and journal it, of many refusals only some: asking costs a contestant nothing."""
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
        """Take an order for good: nothing of it is lost from here on, whatever ends the runner."""
        if order.terms.is_check:
            self._checks.queued(order)
        else:
            pending.keep_order(self._ledger.run_dir, self._journal, order)
            self._number = order.trial
            self._checks.trial_queued()
        self._in_flight[order.request] = order
        self._send(TrialAccepted(order.request, order.trial))
        self._submit(order)

    def _submit(self, order: TrialOrder) -> None:
        future = self._pool.submit(self._work, order)
        future.add_done_callback(lambda done: self._report_break(order, done))

    def _work(self, order: TrialOrder) -> None:
        """Run the trial and tell the loop; this runs in a worker thread."""
        began: list[float] = []
        attempts: list[float] = []  # when each of them began

        def on_start() -> None:
            moment = self._clock.now()
            began.append(moment)
            attempts.append(moment)
            self._inbox.put(TrialBegan(order, moment))

        def on_repeat(reason: str) -> None:
            self._pruning.forget(order.request)
            attempts.append(self._clock.now())
            self._inbox.put(TrialRepeats(order, reason, *attempts[-2:]))

        watch = Watch(
            on_wait=lambda: self._inbox.put(TrialWaits(order, self._clock.now())),
            on_start=on_start,
            on_line=lambda line: self._send(TrialLog(order.request, line[:MAX_LOG_LINE_CHARS])),
            on_repeat=on_repeat,
            on_estimate=partial(self._pruning.tell, order),
        )
        # The files and the container of all checks have the same names.
        with self._one_check if order.terms.is_check else contextlib.nullcontext():
            record = self._executor.run(order, watch)
        self._inbox.put(TrialEnded(order, record, began[-1] if began else None, self._clock.now()))

    def _report_break(self, order: TrialOrder, done: Future[None]) -> None:
        """Hand the loop whatever the worker raised."""
        error = done.exception()
        if error is not None:
            self._inbox.put(TrialBroke(order, error))

    def _handle_end(self, event: TrialEnded) -> None:
        record = self._priced(event.record)
        self._in_flight.pop(event.order.request, None)
        self._pruning.forget(event.order.request)
        self._clock.lease_wait_ended(record.trial, event.moment)
        self._clock.attempt_ended(record.trial, event.moment)
        if event.began is not None:
            self._clock.trial_ran(event.began, event.moment)
        if event.order.terms.is_check:
            self._clock.count_check(record.wall_seconds)
            self._checks.finished(record)
            self._answer(record)
            return
        self._clock.count_trial(record.train_seconds, record.wall_seconds)
        self._ledger.append(record)
        self._journal.write(
            "trial.finished",
            trial=record.trial,
            status=record.status,
            value=record.value,
            train_seconds=record.train_seconds,
            wall_seconds=record.wall_seconds,
            **({"disturbed": True} if record.disturbed else {}),
            **({"reason": record.reason} if record.reason else {}),
        )
        self._answer(record)

    def _answer(self, record: TrialRecord) -> None:
        spent = self._clock.spent_budget()
        self.told_last = self.told_last or spent is not None
        note = f"left: {self._clock.left()}" if spent is None else f"the budget is spent: {spent}"
        self._send(self._finished(record, budget_note=note, last=spent is not None))

    def _answer_again(self, known: TrialRecord) -> None:
        """Answer what was answered before, or could not be because nobody listened.

        An optimizer that was away while several trials ended is told of them in the order of their
        ends, whatever the order in which it asks: what it suggests next depends on that.
        """
        records = self._ledger.records
        place = records.index(known)
        others = self._at_a_time if known.source == "sampler" and self._at_a_time > 1 else 0
        for record in records[max(0, place - others) : place + 1]:
            self._answer(record)

    def _finished(self, record: TrialRecord, **more: Any) -> TrialFinished:
        return TrialFinished(
            request=record.request,
            trial=record.trial,
            status=record.status,
            value=record.value,
            train_seconds=record.train_seconds,
            summary=dict(record.summary),
            reason=record.reason,
            metric=self._ledger.metric.name,
            **more,
        )
