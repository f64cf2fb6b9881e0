"""What earlier lives of a run have spent, by its records."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from datetime import datetime

from runner.records.clock import kept_reading
from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import Event, Spent, TrialRecord, UsageRecord
from runner.trials.checks import seconds_of_checks

# These follow a life of a run whose engine failed, or that was suspended, however late.
AFTER_A_LIFE = ("run.resumed", "run.suspended", "engine.failed", "engine.answered")


def last_spent(run_dir: RunDir) -> Spent:
    """What earlier lives of a run had spent.

    Trials and money are counted from the ledger and the usage, time and checks from the journal;
    the time from the reading of its last second or two, where that is the last one.
    """
    trials = list(read_lines(run_dir.trials, TrialRecord))
    usage = list(read_lines(run_dir.usage, UsageRecord))
    events = Journal(run_dir).events()
    checked = seconds_of_checks(events)
    trained = [*(trial.train_seconds for trial in trials), checked]
    held = [*(trial.wall_seconds for trial in trials), checked]
    spent = _time_spent(run_dir, events)
    return spent.model_copy(
        update={
            "trials": len(trials),
            "train_seconds": math.fsum(trained),
            "device_seconds": math.fsum(held),
            "usd": math.fsum(request.cost_usd for request in usage),
            "tokens": sum(request.tokens for request in usage),
            "requests": len(usage),
            "turns": max(spent.turns, _last_turn(events)),
        }
    )


def _time_spent(run_dir: RunDir, events: list[Event]) -> Spent:
    """The last reading of the clock; where only the journal has it, what followed it as well."""
    readings = [i for i, event in enumerate(events) if event.event == "clock.read"]
    journalled = Spent.model_validate(events[readings[-1]].fields) if readings else None
    kept = kept_reading(run_dir)
    if kept and (not journalled or kept.spent.elapsed_seconds >= journalled.elapsed_seconds):
        return kept.spent
    if journalled is None:
        return Spent()
    since = _seconds_after(events[readings[-1] :])
    return journalled.model_copy(
        update={
            "wall_seconds": journalled.wall_seconds + since,
            "elapsed_seconds": journalled.elapsed_seconds + since,
        }
    )


def _seconds_after(events: list[Event]) -> float:
    """From the first event to the last one of the same life."""
    life = list(itertools.takewhile(lambda e: e.event not in AFTER_A_LIFE, events))
    return (_moment(life[-1]) - _moment(life[0])).total_seconds()


def _last_turn(events: Iterable[Event]) -> int:
    """The number of the last turn that began: a turn may be cut before the clock is read again."""
    turns = (e.fields.get("turn") for e in events if e.event == "turn.started")
    return max((turn for turn in turns if isinstance(turn, int)), default=0)


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event.at)
