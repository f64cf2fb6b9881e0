"""What earlier lives of a run have spent, by its records."""

from __future__ import annotations

import itertools
import math
from datetime import datetime

from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import Event, Spent, TrialRecord, UsageRecord
from runner.trials.checks import seconds_of_checks


def last_spent(run_dir: RunDir) -> Spent:
    """What earlier lives of a run had spent.

    Trials and money are counted from the ledger and the usage, time and checks from the journal.
    """
    trials = list(read_lines(run_dir.trials, TrialRecord))
    usage = list(read_lines(run_dir.usage, UsageRecord))
    events = Journal(run_dir).events()
    trained = [*(trial.train_seconds for trial in trials), seconds_of_checks(events)]
    return _time_spent(events).model_copy(
        update={
            "trials": len(trials),
            "train_seconds": math.fsum(trained),
            "usd": math.fsum(request.cost_usd for request in usage),
            "tokens": sum(request.tokens for request in usage),
            "requests": len(usage),
        }
    )


def _time_spent(events: list[Event]) -> Spent:
    """The last reading of the clock, and the time from there to the last event of the same life."""
    readings = [i for i, event in enumerate(events) if event.event == "clock.read"]
    if not readings:
        return Spent()
    reading = events[readings[-1]]
    life = itertools.takewhile(lambda e: e.event != "run.resumed", events[readings[-1] :])
    since = (_moment(list(life)[-1]) - _moment(reading)).total_seconds()
    spent = Spent.model_validate(reading.fields)
    return spent.model_copy(
        update={
            "wall_seconds": spent.wall_seconds + since,
            "elapsed_seconds": spent.elapsed_seconds + since,
        }
    )


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event.at)
