"""One run as it is followed: what its growing files have said so far.

`look` reads what came since the last look. Texts of contestants are kept as they are; whoever
shows them makes them harmless (panels.py).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from runner.devices.state import state
from runner.errors import HostError
from runner.metrics import VAL_BPB, Metric
from runner.records.best import best_trial, measured_value, own_trials
from runner.records.clock import kept_at
from runner.records.containment import is_unsafe
from runner.records.layout import RunDir
from runner.records.schema import Event, Record, RunResult, Spent
from runner.spec import RunSpec
from runner.watch import ages
from runner.watch.budgets import Share, shares
from runner.watch.ends import Growing
from runner.watch.glance import (
    LIFE,
    ShortTrial,
    StateKind,
    budget_of,
    result_of,
    spec_of,
    spent_so_far,
    state_of,
)
from runner.watch.training import Training

KEPT_EVENTS = 40
CHECK_STATE_SECONDS = 5.0  # from one look at a run's lock to the next
FRESH = timedelta(seconds=20)  # a runner reads its clock into the journal every 15 s
BEGUN = ("run.started", "run.resumed")
FIRST_BAD_STATUS = 400
# What the other parts of the view tell; everything else that happens is listed.
TOLD_ELSEWHERE = {
    "clock.read", "trial.queued", "trial.taken_up", "trial.started", "trial.finished",
    "trial.estimated",
    "turn.started", "turn.trial_asked", "check.queued", "artifact.collected",
    "transcript.collected",
}  # fmt: skip


class ShortUsage(Record):
    """Those fields of a line of `usage.jsonl` that tell whether the provider answers."""

    schema_version: int = 1
    at: str = ""
    status: int = 0
    failure: str = ""


@dataclass
class UnderWay:
    """A trial that was asked for and has not ended.

    Attributes:
        number: the trial's.
        hypothesis: what the contestant expects of it.
        queued_at: when it was asked for.
        started_at: when it got its device; None while it waits.
        estimates: what the judge measured on the way: the trial's own fraction, and the value.
        repeated: why it runs again; "" in its first attempt.
    """

    number: int
    hypothesis: str
    queued_at: datetime | None
    started_at: datetime | None = None
    estimates: list[tuple[float, float]] = field(default_factory=list)
    repeated: str = ""


class Followed:
    """What is known of a run. Call `look`, then read the attributes.

    Args:
        run_dir: of the run.
        is_ours: this process is its runner, so nobody need look at its lock.

    Attributes:
        kind: its state in one word.
        state: its state in words.
        trials: the contestant's own, in the order in which they ended.
        values: what each of them measured.
        best: the best of them; None before one has measured anything.
        waiting: the trials that were asked for and have not ended, the next or present one first.
        turn: the last event of a turn; None before the first.
        happened: the last events that nothing else in the view tells.
        behind: who has the device for which the next trial waits; "" if nobody is known.
        engine_gone_at: since when the engine does not answer; None while it does.
        failures: how many of the provider's last answers in a row were errors.
        last_status: of the provider's last answer.
        seen_at: its last sign of life: an event, a trial, or a reading of its clock.
        unsafe: it goes on although its lock was not shown to hold.
    """

    def __init__(self, run_dir: RunDir, *, is_ours: bool = False) -> None:
        self.run_dir = run_dir
        self._is_ours = is_ours
        self.spec: RunSpec | None = None
        self.result: RunResult | None = None
        self.kind: StateKind = "died"
        self.state = ""
        self.trials: list[ShortTrial] = []
        self.values: list[float | None] = []
        self.best: ShortTrial | None = None
        self.waiting: dict[int, UnderWay] = {}
        self.turn: Event | None = None
        self.happened: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.behind = ""
        self.engine_gone_at: datetime | None = None
        self.failures = 0
        self.last_status = 0
        self.seen_at: datetime | None = None
        self.training: Training | None = None
        self.unsafe = False
        self._events = Growing(run_dir.events)
        self._ledger = Growing(run_dir.trials)
        self._usage = Growing(run_dir.usage)
        self._life: list[Event] = []  # what the state is told from
        self._reading: Event | None = None
        self._state_at: datetime | None = None

    @property
    def run_id(self) -> str:
        return self.run_dir.path.name

    @property
    def asked(self) -> RunSpec | RunResult | None:
        """What the run was asked to be; None where no file says it."""
        return self.spec or self.result

    @property
    def metric(self) -> Metric:
        return self.asked.metric if self.asked else VAL_BPB

    def spent(self, now: datetime) -> Spent | None:
        """What is spent; None where no record says it."""
        if self.result is not None:
            return self.result.spent
        events = [self._reading] if self._reading else []
        return spent_so_far(events, now if self.kind == "running" else None)

    def budgets(self, now: datetime) -> list[Share]:
        """The budgets, the one that is nearest to its end first."""
        asked, spent = self.asked, self.spent(now)
        return shares(budget_of(asked), spent) if asked and spent else []

    def look(self, now: datetime) -> None:
        """Read what came since the last look."""
        self.spec = self.spec or spec_of(self.run_dir)
        ended = own_trials(self._ledger.records(ShortTrial))
        for trial in ended:
            self._see(ages.moment(trial.ended_at))
            self.waiting.pop(trial.trial, None)
        if ended:
            self.trials += ended
            self.best = best_trial(self.trials, self.metric)
            self.values += [measured_value(trial, self.metric) for trial in ended]
        for event in self._events.records(Event):
            self._see(ages.moment(event.at))
            self._take(event)
        for usage in self._usage.records(ShortUsage):
            self.last_status = usage.status
            failed = bool(usage.failure) or usage.status >= FIRST_BAD_STATUS
            self.failures = self.failures + 1 if failed else 0
        self._see(kept_at(self.run_dir))
        self._look_at_state(now)
        self._look_at_training()
        self.behind = self._holder()

    def under_way(self) -> UnderWay | None:
        """The trial that trains, or the one that is next; None if none was asked for."""
        if self.kind != "running":
            return None
        started = [trial for trial in self.waiting.values() if trial.started_at]
        return next(iter([*started, *self.waiting.values()]), None)

    def _look_at_state(self, now: datetime) -> None:
        """Tell the state, of a run that is silent by its lock.

        To look at a lock is to take it for a moment, so that is done seldom, and never of a run
        that has just given a sign of life: somebody may be about to resume it.
        """
        silent = ages.seconds_since(self.seen_at, now)
        since = ages.seconds_since(self._state_at, now)
        if since is not None and since < CHECK_STATE_SECONDS:
            return
        self._state_at = now
        self.result = result_of(self.run_dir)
        self.unsafe = is_unsafe(self.run_dir)
        lives = bool(self._life) and self._life[0].event in BEGUN
        is_fresh = self.seen_at is not None and abs(now - self.seen_at) < FRESH
        if self.result is None and (self._is_ours or (lives and is_fresh)):
            self.kind, self.state = "running", "running"
        else:
            self.kind, self.state = state_of(self.run_dir, self.result, self._life, silent)

    def _look_at_training(self) -> None:
        trial = self.under_way()
        if trial is None or trial.started_at is None:
            self.training = None
            return
        if self.training is None or self.training.number != trial.number:
            self.training = Training(self.run_dir, trial.number)
        self.training.look()

    def _holder(self) -> str:
        """Who has the device for which the next trial waits."""
        trial = self.under_way()
        if trial is None or trial.started_at is not None:
            return ""
        with contextlib.suppress(HostError):
            for device in state():
                waits = any(
                    (one.run, one.trial) == (self.run_id, trial.number) for one in device.waiting
                )
                if waits and device.holder is not None:
                    return f"{device.holder.run or '?'} trial {device.holder.trial}"
        return ""

    def _see(self, seen: datetime | None) -> None:
        if seen is not None and (self.seen_at is None or seen > self.seen_at):
            self.seen_at = seen

    def _take(self, event: Event) -> None:
        """Take up an event of the journal."""
        if event.event == "clock.read":
            self._reading = event
        elif event.event in LIFE:
            self._life = [event]
            self._state_at = None  # look again
            self.waiting.clear()
            self.engine_gone_at = None
        elif event.event.startswith("trial."):
            self._take_trial(event)
        elif event.event.startswith("turn."):
            self.turn = event
        elif event.event == "engine.failed":
            self.engine_gone_at = self.engine_gone_at or ages.moment(event.at)
        elif event.event == "engine.answered":
            self.engine_gone_at = None
        if event.event not in TOLD_ELSEWHERE:
            self.happened.append(event)

    def _take_trial(self, event: Event) -> None:
        fields: Mapping[str, Any] = event.fields
        number = fields.get("trial")
        trial = self.waiting.get(number) if isinstance(number, int) else None
        match event.event:
            case "trial.queued" if isinstance(number, int):
                said = str(fields.get("hypothesis", ""))
                self.waiting[number] = UnderWay(number, said, ages.moment(event.at))
            case "trial.started" | "trial.taken_up" if isinstance(number, int):
                trial = trial or self.waiting.setdefault(number, UnderWay(number, "", None))
                if event.event == "trial.started":
                    trial.started_at = ages.moment(event.at)
            case "trial.repeated" if trial:
                trial.repeated, trial.estimates = str(fields.get("reason", "")), []
            case "trial.finished" if trial:
                self.waiting.pop(trial.number)
            case "trial.estimated":
                self._take_estimate(fields, trial)

    def _take_estimate(self, fields: Mapping[str, Any], trial: UnderWay | None) -> None:
        """The judge's estimate of a trial; in earlier runs, of the one that trained then."""
        trial = trial or next((each for each in self.waiting.values() if each.started_at), None)
        numbers = fields.get("fraction"), fields.get("value")
        if trial and all(isinstance(number, int | float) for number in numbers):
            trial.estimates.append((float(numbers[0] or 0), float(numbers[1] or 0)))
