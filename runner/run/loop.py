"""The one loop of a run, from the contestant's start to its end.

It is single-threaded: containers and trials speak from threads of their own into one inbox, and
only this loop acts on what they say. The budgets are checked after every event and at least once a
second. The first one that is spent ends the run, and the run's result names it.

Only a spent budget and a person's `stop` end a run. Whatever else makes it impossible to go on
suspends it: what is under way is cut in an orderly way, and `resume` takes the run up again.
"""

from __future__ import annotations

import contextlib
import math
import queue
import time

from runner.errors import EngineError, SuspendedError
from runner.records.clock import keep_reading
from runner.records.schema import Spent
from runner.recovery.supervisor import PartNotRestarted, PartRestarted
from runner.recovery.wishes import Kind
from runner.run.drivers.driver import Closing
from runner.run.loop_parts import Ending, LoopParts, last_answers_seconds
from runner.sandbox.opening import NotOpened
from runner.sandbox.peer import ConnectionLost, ContainerExited, MessageReceived
from runner.trials import judge_container
from runner.trials.events import TrialBegan, TrialBroke, TrialEnded, TrialRepeats, TrialWaits
from runner.wire.messages import (
    CapReached,
    Denied,
    Message,
    Outage,
    Problem,
    Stop,
    Stopped,
    TrialRequested,
    TurnFinished,
    Usage,
)

ENDING_TICK_SECONDS = 0.5
READING_SECONDS = 15.0  # from one reading of the clock in the journal to the next
NOT_FOUND = 404
MODEL_BUDGETS = ("usd", "tokens", "requests", "total_usd")
MAX_DETAIL_CHARS = 500
MAX_PROBLEM_CHARS = 1000
CUT_SECONDS = 6.5  # of a run that is suspended: for a turn and the last answers


class RunLoop:
    """Runs one contestant to its end."""

    def __init__(self, parts: LoopParts) -> None:
        self._parts = parts
        self._ending: Ending | None = None
        self._cap_reached: str | None = None
        self._contestant_gone = False
        self._broken = False
        self._turn_finished = False
        self._last_status = 0
        self._not_found = 0
        self._clock_read_at = self._clock_kept_at = -math.inf

    def run(self) -> Ending:
        """Loop until the contestant is done or may do no more; returns why.

        Raises:
            SuspendedError: the run cannot or shall not go on now.
            BakeoffError: the engine or the disk failed under the loop itself.
        """
        try:
            self._begin()
            while (ending := self._final_ending()) is None:
                with contextlib.suppress(queue.Empty):
                    tick = ENDING_TICK_SECONDS if self._ending else self._parts.tick_seconds()
                    self._handle(self._parts.inbox.get(timeout=tick))
                self._tick()
        except SuspendedError as suspended:
            self._broken = True
            self._parts.clock.freeze()
            self._cut(suspended.message)
            raise
        except BaseException:
            self._broken = True
            self._parts.clock.freeze()  # what follows is no time of the contestant's
            raise
        finally:
            self._parts.supervisor.close()
            self._parts.trials.close()
            self.drain()
        return ending

    def _begin(self) -> None:
        """Take up what earlier lives of the run left, then let the contestant work.

        A budget that is spent already ends the run: no turn is paid for, and what was taken up is
        killed. An agent's turn begins after the trials that were taken up, and is told of them.
        """
        self._check_wish()
        self._parts.tell_cap()
        self._parts.collector.cut_turns()
        self._parts.trials.take_up()
        spent = self._parts.clock.spent_budget()
        if spent is not None:
            self._end(Ending(spent, "budget", f"left: {self._parts.clock.left()}"), may_think=False)
        elif not self._parts.trials.in_flight():
            self._parts.driver.begin()

    def drain(self) -> None:
        """Take up what was said before the end: usage, and the records of killed trials.

        A run that broke is to be resumed, so a trial that was killed for that does not count.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                self._handle_late(self._parts.inbox.get_nowait())
        self._journal_clock()

    def _handle_late(self, item: object) -> None:
        match item:
            case TrialEnded() if not self._broken or item.record.status != "killed":
                self._parts.trials.handle_event(item)
            case MessageReceived(role="gateway", message=message):
                self._handle_gateway_message(message)

    def _cut(self, reason: str) -> None:
        """Cut what is under way, so that a later life of the run goes on from there.

        The gateway admits no request any more, and what its open answers cost is counted. A turn
        is interrupted, and its session stays. A trial is ended, and is run again. The gateway's
        end is waited for, and an optimiser works until then, because it keeps each answer.
        """
        parts = self._parts
        parts.trials.abandon()
        grace = last_answers_seconds(parts.contestant.spec.role)
        coming = parts.gateway is not None and parts.gateway.send(Stop(reason, grace))
        parts.driver.interrupt(reason)
        until = time.monotonic() + CUT_SECONDS
        while not parts.driver.interrupted(answers_come=coming) and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                match parts.inbox.get(timeout=ENDING_TICK_SECONDS):
                    case MessageReceived(role="gateway", message=Stopped()):
                        coming = False
                    case MessageReceived(role=parts.contestant.spec.role, message=message):
                        parts.driver.handle_message(message)
                    case item:
                        self._handle_late(item)
        parts.collector.poll()

    def _final_ending(self) -> Ending | None:
        """The ending, once nothing can happen any more."""
        contestant_done = self._contestant_gone or self._parts.driver.closed()
        return self._ending if contestant_done and not self._parts.trials.in_flight() else None

    def _tick(self) -> None:
        if self._ending is None:
            if (ending := self._reason_to_end()) is not None:
                self._end(ending)
        else:
            self._check_wish()
        self._parts.driver.tick(self._parts.trials.in_flight())
        if self._parts.clock.now() - self._clock_read_at >= READING_SECONDS:
            self._journal_clock()
            self._parts.collector.poll()
        elif self._parts.clock.now() - self._clock_kept_at >= self._parts.sign_of_life_seconds():
            self._keep_clock()

    def _keep_clock(self) -> Spent:
        """Keep what is spent as a sign of life, which a restart goes on from."""
        self._parts.tell_cap()
        self._clock_kept_at = self._parts.clock.now()
        reading = self._parts.clock.reading()
        keep_reading(self._parts.run_dir, reading)
        return reading.spent

    def _journal_clock(self) -> None:
        """Journal what is spent, so that a restart goes on from here."""
        spent = self._keep_clock()
        self._clock_read_at = self._clock_kept_at
        self._parts.journal.write("clock.read", **spent.model_dump())

    def _reason_to_end(self) -> Ending | None:
        wish = self._parts.wish()
        if wish is not None and wish.kind is Kind.STOP:
            return Ending("stopped", "user", wish.by)
        spent = self._parts.clock.spent_budget() or self._cap_reached
        if spent is not None:
            return Ending(spent, "budget", f"left: {self._parts.clock.left()}")
        self._check_wish()
        self._check_progress()
        return self._parts.nothing_left()

    def _check_wish(self) -> None:
        """Suspend the run if a person wants that, even while it ends.

        Raises:
            SuspendedError: a person wants that.
        """
        wish = self._parts.wish()
        if wish is not None and wish.kind is Kind.SUSPEND:
            raise SuspendedError(wish.by, why="asked", by="user")

    def _check_progress(self) -> None:
        """Suspend a run whose contestant or provider does not get on.

        Raises:
            SuspendedError: it does not.
        """
        if self._turn_finished and 0 < self._parts.clock.requests == self._not_found:
            detail = "the provider answered every request of a whole turn with HTTP 404: is its "
            detail += "address or the model's name wrong?"
            raise SuspendedError(detail, why="gave_up", by="provider")
        if (gave_up := self._parts.driver.gave_up()) is not None:
            gave_up = gave_up.explained(self._last_status)
            raise SuspendedError(gave_up.reason, why=gave_up.why, by=gave_up.by)

    def _end(self, ending: Ending, *, may_think: bool = True) -> None:
        self._ending = ending
        self._parts.journal.write("run.ending", ended_by=ending.ended_by, detail=ending.detail)
        self._parts.trials.abandon()
        can_think = ending.ended_by not in MODEL_BUDGETS and ending.cause in ("budget", "user")
        can_think = can_think and may_think
        told = self._parts.trials.told_last
        self._parts.driver.close(Closing(ending.in_words(), told=told, can_think=can_think))

    # --- events -----------------------------------------------------------------------------------

    def _handle(self, item: object) -> None:
        match item:
            case MessageReceived(role="gateway", message=message):
                self._handle_gateway_message(message)
            case MessageReceived(role=role, message=message):
                self._handle_message(role, message)
            case ConnectionLost(error=error, since=since):
                self._parts.clock.give_back_lost(since, self._parts.clock.now())
                raise error
            case NotOpened(error=error):
                raise error
            case PartRestarted(role=role):
                self._handle_restart(role)
            case PartNotRestarted():
                self._handle_failed_restart(item)
            case ContainerExited():
                self._handle_gone(item)
            case TrialWaits() | TrialBegan() | TrialRepeats() | TrialEnded() | TrialBroke():
                if self._parts.trials.handle_event(item) is not None:
                    self._parts.collector.poll()

    def _handle_message(self, role: str, message: Message) -> None:
        if isinstance(message, Problem):
            self._journal_problem(role, message)
        elif role != self._parts.contestant.spec.role:
            return
        elif isinstance(message, TrialRequested):
            over = self._ending.ended_by if self._ending else self._parts.clock.spent_budget()
            if self._parts.trials.request(self._parts.contestant.container, message, over):
                self._parts.driver.handle_trial_accepted()
        else:
            self._turn_finished = self._turn_finished or isinstance(message, TurnFinished)
            self._parts.driver.handle_message(message)
            self._parts.collector.poll()

    def _handle_gateway_message(self, message: Message) -> None:
        """Usage, refusals, outages and caps: only the gateway is believed about them."""
        journal = self._parts.journal
        match message:
            case Usage(record=fields):
                self._handle_usage(fields)
            case Denied(reason=reason, detail=detail):
                detail = detail[:MAX_DETAIL_CHARS]
                journal.write("gateway.request_denied", reason=reason, detail=detail)
                self._parts.driver.handle_refusal(reason)
            case Outage(began=began, ended=ended, reason=reason, whole_seconds=whole):
                self._parts.clock.give_back_outage(ended - began)
                if (seconds := ended - began if whole is None else whole) > 0:
                    journal.write("gateway.outage_ended", seconds=seconds, reason=reason)
            case CapReached(budget=budget, detail=detail):
                journal.write("gateway.cap_reached", budget=budget, detail=detail)
                self._cap_reached = self._parts.clock.cap_named(budget)
            case Problem():
                self._journal_problem("gateway", message)

    def _handle_usage(self, fields: dict[str, object]) -> None:
        """Count a request that the gateway has just settled."""
        record = self._parts.usage.add(fields)
        if record is None:
            return
        self._last_status = record.status
        self._not_found += record.status == NOT_FOUND
        self._parts.driver.handle_provider_answer(record.status)
        self._parts.clock.model_answered(record.latency_seconds)

    def _journal_problem(self, role: str, problem: Problem) -> None:
        message = problem.message[:MAX_PROBLEM_CHARS]
        self._parts.journal.write(
            "container.problem", role=role, during=problem.during, message=message
        )

    def _handle_gone(self, gone: ContainerExited) -> None:
        """A container has ended; if the run has not, it is started again: a judge, when needed."""
        if gone.role == judge_container.ROLE:
            lines = gone.last_lines[:MAX_DETAIL_CHARS]
            self._parts.journal.write("judge.ended", exit_code=gone.exit_code, last_lines=lines)
            self._parts.judging.gone()
            return
        if self._ending is None:
            self._handle_death(gone)
        elif not self._parts.supervisor.is_restarting(gone.role):
            self._contestant_gone |= gone.role == self._parts.contestant.spec.role

    def _handle_death(self, gone: ContainerExited) -> None:
        """A part has died by itself.

        Raises:
            SuspendedError: it did so too often.
        """
        why = self._parts.supervisor.died(gone)
        if why is not None:
            by = "agent" if gone.role == "agent" else "sandbox"
            raise SuspendedError(why, why=f"{gone.role}_died", by=by)
        if gone.role == self._parts.contestant.spec.role:
            self._parts.driver.container_died()

    def _handle_failed_restart(self, failed: PartNotRestarted) -> None:
        """A part could not be started again: one more death of it, unless the engine is to blame.

        Raises:
            EngineError: the engine failed.
            SuspendedError: the part died too often.
        """
        self._parts.supervisor.restart_ended(failed.role)
        if isinstance(failed.error, EngineError) and self._ending is None:
            raise failed.error
        self._handle_gone(ContainerExited(failed.role, None, failed.error.message))

    def _handle_restart(self, role: str) -> None:
        parts = self._parts
        died_again = parts.supervisor.restarted(role)
        if died_again is not None:
            self._handle_gone(died_again)
            return
        if parts.gateway is not None and role == parts.gateway.spec.role:
            parts.usage.take_up(parts.engine, parts.gateway.container)
        if role == parts.contestant.spec.role:
            parts.collector.container_restarted(parts.contestant.container)
            parts.trials.contestant_restarted()
            parts.driver.container_restarted()
