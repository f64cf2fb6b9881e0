"""The budget clock of one run: what was spent, what was given back, and what ends the run.

The wall clock is fair. Two kinds of time do not count and are kept in accounts of their own: the
time in which the contestant waited for a device lease (or for an attempt at a trial that failed by
no fault of its own and was run again), and the provider's outages that the gateway
itself saw while no trial ran. A contestant with several trials does not wait while one of them
trains: that another one waits stops nobody then. An agent does not wait while its model answers it,
nor between two requests that follow each other with no trial's end between them: it detached its
trial and works on. Nothing that a contestant sends reaches `give_back_outage`, so it cannot ask for
a refund. Time is measured on this machine's monotonic clock; of an interval that another machine
reports, only the length is used.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final

from runner.records.schema import ClockReading, Spent, UsageRecord
from runner.spec import Budget

Interval = tuple[float, float]

# An agent that asks its model again within this time was at work in between: its tools take
# seconds, while a command that waits for a trial takes as long as the trial and asks nothing.
STEP_SECONDS = 60.0


def union(intervals: list[Interval]) -> list[Interval]:
    """The same points as disjoint intervals in order; empty ones dropped."""
    merged: list[Interval] = []
    for begin, end in sorted(i for i in intervals if i[1] > i[0]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def minus(intervals: list[Interval], taken: list[Interval]) -> list[Interval]:
    """The points of `intervals` that are not in `taken`, as disjoint intervals."""
    left: list[Interval] = []
    cuts = union(taken)
    begins, ends = [cut[0] for cut in cuts], [cut[1] for cut in cuts]
    for begin, end in union(intervals):
        for cut_begin, cut_end in cuts[bisect_right(ends, begin) : bisect_left(begins, end)]:
            if begin < cut_begin:
                left.append((begin, cut_begin))
            begin = cut_end
        if begin < end:
            left.append((begin, end))
    return left


def length(intervals: list[Interval]) -> float:
    """The seconds that the intervals cover together; an overlap counts once."""
    return sum(end - begin for begin, end in union(intervals))


class BudgetClock:
    """Counts one run's budgets. Not thread-safe: the run's own loop is its only user.

    Args:
        budget: the bounds.
        before: what earlier lives of the same run had spent, when it is resumed.
        now: seconds on a clock that never goes back. Everything that measures time in a run uses
            this one.
    """

    def __init__(
        self,
        budget: Budget,
        before: Spent | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget: Final = budget
        self.now: Final = now
        self._before = before or Spent()
        self._began = now()
        self._train_seconds = self._before.train_seconds
        self._device_seconds = self._before.device_seconds
        self._trials = self._before.trials
        self._usd = self._before.usd
        self._tokens = self._before.tokens
        self._requests = self._before.requests
        self._turns = self._before.turns
        self._lease_waits: list[Interval] = []
        self._lost: list[Interval] = []
        self._waiting_since: dict[int, float] = {}
        self._outages: list[Interval] = []
        self._trials_ran: list[Interval] = []
        self._attempts: dict[int, float] = {}
        self._trained: list[Interval] = []
        self._worked: list[Interval] = []
        self._frozen_at: float | None = None

    @property
    def trials(self) -> int:
        """How many trials have ended, whatever their status."""
        return self._trials

    @property
    def requests(self) -> int:
        """How many requests to the model were settled."""
        return self._requests

    @property
    def turns(self) -> int:
        """How many turns the agent has begun, which is the number of its last one."""
        return self._turns

    def count_trial(self, train_seconds: float, device_seconds: float = 0.0) -> None:
        """A trial has ended and is charged for so many seconds of training, and of its device."""
        self._trials += 1
        self._train_seconds += train_seconds
        self._device_seconds += device_seconds

    def count_check(self, seconds: float) -> None:
        """A check has ended: it is charged for its time, and is no trial."""
        self._train_seconds += seconds
        self._device_seconds += seconds

    def count_request(self, record: UsageRecord) -> None:
        """The gateway has settled a request to the model."""
        self._usd += record.cost_usd
        self._tokens += record.tokens
        self._requests += 1

    def count_turn(self) -> int:
        """The agent begins a turn; returns its number."""
        self._turns += 1
        return self._turns

    def lease_wait_began(self, trial: int, moment: float) -> None:
        """A trial has been waiting for its device since this moment of `now`.

        If it had one, which it lost before it could start, it has none any more.
        """
        self._attempts.pop(trial, None)
        self._waiting_since[trial] = moment

    def lease_wait_ended(self, trial: int, moment: float) -> None:
        """The trial has its device, or no longer wants it."""
        began = self._waiting_since.pop(trial, None)
        if began is not None:
            self._lease_waits.append((began, moment))

    def attempt_began(self, trial: int, moment: float) -> None:
        """The trial holds its device since this moment; 0 stands for a check."""
        self._attempts[trial] = moment

    def attempt_repeated(self, trial: int, began: float, ended: float) -> None:
        """The trial has to run again, by no fault of its own: this was a wait for nothing."""
        self._attempts[trial] = ended
        self._lease_waits.append((began, ended))

    def attempt_ended(self, trial: int, moment: float) -> None:
        """The trial is over, and what it did in its last attempt counts."""
        began = self._attempts.pop(trial, None)
        if began is not None:
            self._trained.append((began, moment))

    def give_back_lost(self, began: float, ended: float) -> None:
        """Everything stood still between these moments: what ran then was lost with the engine."""
        self._lost.append((began, ended))

    def give_back_broken(self, seconds: float) -> None:
        """Trials have to run again that broke with an earlier life, which they had cost so much."""
        self._lost.append((self._began - seconds, self._began))

    def give_back_outage(self, seconds: float) -> None:
        """The gateway saw the provider out of reach for this long, until now."""
        self._outages.append(self._ending_now(seconds))

    def trial_ran(self, began: float, ended: float) -> None:
        """A trial held its device between these moments of `now`: no outage counts in there."""
        self._trials_ran.append((began, ended))

    def model_answered(self, seconds: float) -> None:
        """The model worked on a request for so many seconds, until now: the agent did not wait."""
        began, settled = self._ending_now(seconds)
        last = self._worked[-1][1] if self._worked else -math.inf
        if last < began < last + STEP_SECONDS and not self._trial_ended(last, began):
            began = last
        self._worked = union([*self._worked, (began, settled)])

    def _trial_ended(self, after: float, before: float) -> bool:
        return any(after <= ended <= before for _, ended in self._trials_ran)

    def _ending_now(self, seconds: float) -> Interval:
        return max(self._began, self.now() - max(0.0, seconds)), self._moment()

    def freeze(self) -> None:
        """No time passes from here on: what cannot go on costs its contestant nothing."""
        if self._frozen_at is None:
            self._frozen_at = self.now()

    def stand_still(self) -> None:
        """No time has passed at all: what could not begin costs its contestant nothing."""
        self._frozen_at = self._began

    def _moment(self) -> float:
        return self.now() if self._frozen_at is None else self._frozen_at

    def spent(self) -> Spent:
        """Everything spent so far, earlier lives included."""
        moment = self._moment()
        elapsed = moment - self._began
        waits = self._given_back(moment)
        waited = length(waits)
        outage = length(minus(self._outages, self._trials_ran + waits))
        return Spent(
            wall_seconds=self._before.wall_seconds + elapsed - waited - outage,
            elapsed_seconds=self._before.elapsed_seconds + elapsed,
            lease_wait_seconds=self._before.lease_wait_seconds + waited,
            outage_seconds=self._before.outage_seconds + outage,
            train_seconds=self._train_seconds,
            device_seconds=self._device_seconds + self._under_way(moment),
            trials=self._trials,
            usd=self._usd,
            tokens=self._tokens,
            requests=self._requests,
            turns=self._turns,
        )

    def _given_back(self, moment: float) -> list[Interval]:
        """When the contestant did nothing but wait, and when all was lost."""
        waiting = [(began, moment) for began in self._waiting_since.values()]
        training = [(began, moment) for began in self._attempts.values()]
        stopped = minus(self._lease_waits + waiting, self._trained + training)
        return minus(stopped + self._lost, self._worked)

    def _under_way(self, moment: float) -> float:
        """What the trials under way have had of their devices, in seconds."""
        return sum(max(0.0, moment - began) for began in self._attempts.values())

    def reading(self) -> ClockReading:
        """What is spent, and what each attempt under way has cost beside what counts anyhow.

        That is neither what was given back of it, nor the time in which a trial trained that has
        ended since: it would have passed without the attempt.
        """
        moment = self._moment()
        taken = self._worked + self._outages + self._trained + self._given_back(moment)
        costs = {
            trial: length(minus([(began, moment)], taken))
            for trial, began in self._attempts.items()
            if trial  # a check is not run again
        }
        return ClockReading(spent=self.spent(), attempts=costs)

    def only_waits(self) -> bool:
        """Every trial that was asked for waits for a device, and there is one."""
        return bool(self._waiting_since) and not self._attempts

    def wall_seconds_left(self) -> float:
        """How much of the wall clock's budget is left; infinity without one."""
        hours = self.budget.hours
        return math.inf if hours is None else hours * 3600 - self.spent().wall_seconds

    def spent_budget(self) -> str | None:
        """The name of a budget that is used up, or None."""
        spent = self.spent()
        used = {
            "trials": spent.trials,
            "train_hours": spent.train_seconds / 3600,
            "usd": spent.usd,
            "tokens": spent.tokens,
            "hours": spent.wall_seconds / 3600,
            "total_usd": spent.usd + self.budget.compute_usd(spent.device_seconds),
        }
        bounds = self.budget.as_dict()
        for name, value in used.items():
            bound = bounds[name]
            if bound is not None and value >= bound:
                return name
        return None

    def usd_cap(self) -> float | None:
        """The most that the model may cost, over all requests, so that every budget holds."""
        bounds, total = [], self.budget.total_usd
        if self.budget.usd is not None:
            bounds.append(self.budget.usd)
        if total is not None:
            compute = self.budget.compute_usd(self.spent().device_seconds)
            bounds.append(max(0.0, total - compute))
        return min(bounds, default=None)

    def cap_named(self, budget: str) -> str:
        """The budget that a cap of the gateway's stands for: its dollars may be those of all."""
        own = self.budget.usd
        is_total = self.budget.total_usd is not None and (own is None or self.usd_cap() != own)
        return "total_usd" if budget == "usd" and is_total else budget

    def left(self) -> str:
        """What is left of each budget, for the contestant and for people."""
        spent, budget = self.spent(), self.budget
        parts = []
        if budget.trials is not None:
            parts.append(f"{max(0, budget.trials - spent.trials)} trials")
        if budget.hours is not None:
            parts.append(f"{max(0.0, budget.hours - spent.wall_seconds / 3600):.2f} hours")
        if budget.train_hours is not None:
            left = budget.train_hours - spent.train_seconds / 3600
            parts.append(f"{max(0.0, left):.2f} training hours")
        if budget.usd is not None:
            parts.append(f"{max(0.0, budget.usd - spent.usd):.2f} US dollars")
        if budget.tokens is not None:
            parts.append(f"{max(0, budget.tokens - spent.tokens)} tokens")
        if budget.total_usd is not None:
            total = spent.usd + budget.compute_usd(spent.device_seconds)
            left = max(0.0, budget.total_usd - total)
            parts.append(f"{left:.2f} US dollars for model and devices together")
        return ", ".join(parts)
