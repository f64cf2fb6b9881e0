"""One run at a glance: its state, its budgets, its best value, its last sign of life.

The ledger is read whole, because the best trial may be anywhere in it, but only a few fields of
each line. Of the journal the end is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from runner.errors import UserError
from runner.metrics import VAL_BPB, Metric
from runner.records.best import are_judged, best_trial, own_trials
from runner.records.clock import kept_at
from runner.records.containment import is_unsafe
from runner.records.layout import RunDir, run_folders
from runner.records.proposal import Proposal
from runner.records.schema import Event, Record, RunResult, Spent
from runner.results.files import is_there, read_bounded
from runner.run_lock import alive
from runner.spec import Budget, RunSpec, read_spec
from runner.watch import ages
from runner.watch.budgets import Share, shares
from runner.watch.ends import Growing, last_lines, records

JOURNAL_END_BYTES = 64 << 10
SILENT_SECONDS = 60.0  # a runner reads its clock into the journal every 15 s
MORE_OF_A_JOURNAL_BYTES = 4 << 20  # if no reading of the clock is in its end
MAX_REASON_CHARS = 80
LIFE = ("run.started", "run.resumed", "run.suspended", "run.finished")

StateKind = Literal["running", "suspended", "died", "ended"]


class ShortTrial(Record):
    """Those fields of a line of `trials.jsonl` that are shown while a run runs."""

    trial: int
    source: str
    status: str
    value: float | None = None
    judged: bool = False
    ended_at: str = ""
    hypothesis: str = ""
    reason: str = ""
    train_seconds: float = 0.0
    proposal: Proposal | None = None


@dataclass(frozen=True)
class Glance:
    """A run at a glance.

    Attributes:
        asked: the spec, or else the result, which repeats most of it; None where there is neither.
        kind: the state in one word.
        state: the state in words, and what can be done.
        trials: how many of the contestant's own have ended.
        best: the best value; None before there is one.
        judged: whether the values are the judge's.
        verified: the mean that the referee found.
        spent: what is spent; None where no record says it.
        shares: the budgets, the one that is nearest to its end first.
        seen_at: its last sign of life: an event, a trial, or a reading of its clock.
        unsafe: it went on although its lock was not shown to hold.
    """

    run_id: str
    asked: RunSpec | RunResult | None
    metric: Metric
    kind: StateKind
    state: str
    trials: int
    best: float | None
    judged: bool
    verified: float | None
    spent: Spent | None
    shares: Sequence[Share]
    seen_at: datetime | None
    unsafe: bool = False

    @property
    def usd(self) -> str:
        """The dollars that are spent on the model, then those on devices where they have a price.

        A rehearsal's are marked, as nobody pays them; a dash where there is nothing to pay.
        """
        if self.spent is None or self.asked is None:
            return "–"
        spent = f"${self.spent.usd:.2f}{'*' * self.asked.rehearsed}"
        model = [spent] if self.asked.uses_model else []
        budget = budget_of(self.asked)
        compute = budget.compute_usd(self.spent.device_seconds)
        has_price = budget.compute_usd_per_hour is not None
        return " + ".join([*model, *([f"${compute:.2f} compute"] if has_price else [])]) or "–"


def glances(runs: Path, now: datetime) -> list[Glance]:
    """All runs of a folder, by name."""
    return [glance(RunDir(path), now) for path in run_folders(runs)]


def glance(run_dir: RunDir, now: datetime) -> Glance:
    """The run at a glance, whatever its directory holds."""
    spec, result = spec_of(run_dir), result_of(run_dir)
    asked = spec or result
    metric = asked.metric if asked else VAL_BPB
    trials = list(Growing(run_dir.trials).records(ShortTrial))
    events = journal_end(run_dir)
    ends = [*(event.at for event in events[-1:]), *(trial.ended_at for trial in trials[-1:])]
    seen = [*map(ages.moment, ends), kept_at(run_dir)]
    seen_at = max(filter(None, seen), default=None)
    kind, state = state_of(run_dir, result, events, ages.seconds_since(seen_at, now))
    best = best_trial(trials, metric)
    spent = result.spent if result else spent_so_far(events, now if kind == "running" else None)
    verified = result.best_verified if result else None
    return Glance(
        run_id=run_dir.path.name,
        asked=asked,
        metric=metric,
        kind=kind,
        state=state,
        trials=len(own_trials(trials)),
        best=best.value if best else None,
        judged=are_judged(trials, metric),
        verified=metric.measured(verified.value) if verified else None,
        spent=spent,
        shares=shares(budget_of(asked), spent) if asked and spent else (),
        seen_at=seen_at,
        unsafe=is_unsafe(run_dir),
    )


def budget_of(asked: RunSpec | RunResult) -> Budget:
    """The bounds of a run; none where the result has some that cannot be."""
    try:
        return asked.budget if isinstance(asked, RunSpec) else Budget.model_validate(asked.budget)
    except ValidationError:
        return Budget()


def spec_of(run_dir: RunDir) -> RunSpec | None:
    """What was asked of the run; None where it cannot be read."""
    try:
        return read_spec(run_dir.path.parent, run_dir.path.name)
    except UserError:
        return None


def result_of(run_dir: RunDir) -> RunResult | None:
    """The run's result; None before there is one, or where it cannot be read."""
    try:
        content = read_bounded(run_dir.result)
        return None if content is None else RunResult.model_validate_json(content)
    except (OSError, ValidationError):
        return None


def journal_end(run_dir: RunDir) -> list[Event]:
    """The last events, among them the last reading of the clock, if there is one."""
    for most in (JOURNAL_END_BYTES, MORE_OF_A_JOURNAL_BYTES):
        events = list(records(last_lines(run_dir.events, most), Event))
        if any(event.event == "clock.read" for event in events):
            break
    return events


def state_of(
    run_dir: RunDir, result: RunResult | None, events: Sequence[Event], silent: float | None
) -> tuple[StateKind, str]:
    """The state of a run, in one word and in several.

    Args:
        run_dir: of the run.
        result: its result, if there is one.
        events: the end of its journal.
        silent: seconds since its last sign of life.
    """
    run_id = run_dir.path.name
    if result is not None:
        return "ended", f"ended by {result.ended_by}"
    if is_there(run_dir.result):
        return "ended", "ended; result.json is unreadable"
    if has_a_runner(run_dir, silent):
        return "running", "running"
    if is_suspended(events):
        return "suspended", f"suspended ({_why_suspended(events)}): `make resume RUN={run_id}`"
    return "died", f"its runner died: `make resume RUN={run_id}` or `make stop RUN={run_id}`"


def is_suspended(events: Sequence[Event]) -> bool:
    """Whether the last life of a run ended because it was suspended."""
    last = next((event.event for event in reversed(events) if event.event in LIFE), "")
    return last == "run.suspended"


def _why_suspended(events: Sequence[Event]) -> str:
    """The reason that the journal gives, shortened."""
    last = next(event for event in reversed(events) if event.event == "run.suspended")
    reason = str(last.fields.get("detail") or "no reason given")
    return reason if len(reason) <= MAX_REASON_CHARS else f"{reason[: MAX_REASON_CHARS - 1]}…"


def spent_so_far(events: Sequence[Event], now: datetime | None) -> Spent | None:
    """What was spent at the last reading of the clock, and since then if time goes on.

    Args:
        events: the end of the journal.
        now: the present, if the run is running; else None.
    """
    reading = next((event for event in reversed(events) if event.event == "clock.read"), None)
    if reading is None:
        return None
    try:
        spent = Spent.model_validate(reading.fields)
    except ValidationError:
        return None
    since = ages.seconds_since(ages.moment(reading.at), now) if now else None
    return spent.model_copy(update={"wall_seconds": spent.wall_seconds + (since or 0.0)})


def has_a_runner(run_dir: RunDir, silent: float | None) -> bool:
    """Whether a runner has the run: by its lock, or, if that is another user's, by its journal."""
    try:
        return alive(run_dir)
    except OSError:
        return silent is not None and silent < SILENT_SECONDS
