"""The budget clock of one run: what was spent, what was given back, and what ends the run.

The wall clock is fair: time spent waiting for a device lease, and provider outages that the gateway
itself saw while no trial ran, are kept in accounts of their own and do not count. Nothing that a
contestant sends reaches `give_back`, so it cannot ask for a refund. Time is measured on this
machine's monotonic clock; an interval that another machine reports enters by its length alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.records import Spent
from runner.spec import Budget

Interval = tuple[float, float]


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
    left = union(intervals)
    for cut_begin, cut_end in union(taken):
        left = [
            part
            for begin, end in left
            for part in ((begin, min(end, cut_begin)), (max(begin, cut_end), end))
            if part[1] > part[0]
        ]
    return left


def length(intervals: list[Interval]) -> float:
    return sum(end - begin for begin, end in union(intervals))


@dataclass
class Clock:
    """Counts one run's budgets. Not thread-safe: the run's own loop is its only user.

    Args:
        budget: the bounds.
        before: what earlier lives of the same run had spent, when it is resumed.
        now: seconds on a clock that never goes back.
    """

    budget: Budget
    before: Spent = field(default_factory=Spent)
    now: Callable[[], float] = time.monotonic
    train_seconds: float = 0.0
    trials: int = 0
    usd: float = 0.0
    tokens: int = 0
    requests: int = 0
    turns: int = 0

    def __post_init__(self) -> None:
        self._began = self.now()
        self._lease_waits: list[Interval] = []
        self._waiting_since: dict[int, float] = {}
        self._outages: list[Interval] = []
        self._trials_ran: list[Interval] = []
        for name in ("train_seconds", "trials", "usd", "tokens", "requests", "turns"):
            setattr(self, name, getattr(self.before, name))

    def lease_wait_began(self, trial: int, moment: float) -> None:
        """A trial waits for its device since this moment of `now`; given back while it lasts."""
        self._waiting_since[trial] = moment

    def lease_wait_ended(self, trial: int, moment: float) -> None:
        """The trial has its device, or no longer wants it."""
        began = self._waiting_since.pop(trial, None)
        if began is not None:
            self._lease_waits.append((began, moment))

    def give_back_outage(self, seconds: float) -> None:
        """The gateway saw the provider out of reach for this long, until now."""
        self._outages.append(self._ending_now(seconds))

    def trial_ran(self, began: float, ended: float) -> None:
        """A trial held its device between these moments of `now`: no outage counts in there."""
        self._trials_ran.append((began, ended))

    def _ending_now(self, seconds: float) -> Interval:
        moment = self.now()
        return max(self._began, moment - max(0.0, seconds)), moment

    def spent(self) -> Spent:
        """Everything spent so far, earlier lives included."""
        moment = self.now()
        elapsed = moment - self._began
        waits = self._lease_waits + [(began, moment) for began in self._waiting_since.values()]
        waited = length(waits)
        outage = length(minus(self._outages, self._trials_ran + waits))
        return Spent(
            wall_seconds=self.before.wall_seconds + elapsed - waited - outage,
            elapsed_seconds=self.before.elapsed_seconds + elapsed,
            lease_wait_seconds=self.before.lease_wait_seconds + waited,
            outage_seconds=self.before.outage_seconds + outage,
            train_seconds=self.train_seconds,
            trials=self.trials,
            usd=self.usd,
            tokens=self.tokens,
            requests=self.requests,
            turns=self.turns,
        )

    def spent_budget(self) -> str | None:
        """The name of a budget that is used up, or None."""
        spent = self.spent()
        used = {
            "trials": spent.trials,
            "train_hours": spent.train_seconds / 3600,
            "usd": spent.usd,
            "tokens": spent.tokens,
            "hours": spent.wall_seconds / 3600,
        }
        bounds = self.budget.as_dict()
        for name, value in used.items():
            bound = bounds[name]
            if bound is not None and value >= bound:
                return name
        return None

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
        return ", ".join(parts)
