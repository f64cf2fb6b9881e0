"""Checks: the first steps of a train.py and one batch of random rows, before it is worth a trial.

A check costs time and no trial. It is no record of the ledger: nothing of it is a measurement. The
journal has it, and so tells a resumed run what was spent on checks and how many are left.
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.records.journal import Journal
from runner.records.schema import Event, TrialRecord
from runner.trials.orders.order import TrialOrder
from runner.wire.messages import TrialRefused

CHECKS_A_TRIAL = 2
QUEUED, FINISHED, LOST = "check.queued", "check.finished", "check.lost"
NEXT_TRIAL = "trial.queued"


def seconds_of_checks(events: Iterable[Event]) -> float:
    """What the checks of a run were charged as training, in seconds."""
    seconds = (event.fields.get("seconds") for event in events if event.event == FINISHED)
    return sum(float(it) for it in seconds if isinstance(it, int | float))


class Checks:
    """Counts the checks since the last trial.

    Args:
        journal: the run's; it says what earlier lives of the run checked.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._used = 0
        self._broken: dict[str, None] = {}  # requests
        for event in journal.events():
            request = str(event.fields.get("request", ""))
            if event.event == NEXT_TRIAL:
                self._used = 0
            elif event.event == QUEUED:
                self._used += 1
                self._broken[request] = None
            elif event.event in (FINISHED, LOST):
                self._used -= event.event == LOST and self._used > 0
                self._broken.pop(request, None)

    def report_lost(self) -> None:
        """Journal the checks that ended with their runner: they cost nothing, and do not count."""
        for request in self._broken:
            self._used = max(0, self._used - 1)
            self._journal.write(LOST, request=request, reason="the runner died under it")
        self._broken.clear()

    def refusal(self, request: str) -> TrialRefused | None:
        """Why there is no check now; None if there may be one."""
        if self._used < CHECKS_A_TRIAL:
            return None
        reason = f"{CHECKS_A_TRIAL} checks were made since the last trial"
        return TrialRefused(request, reason, "hand in a trial; after it there are checks again")

    def queued(self, order: TrialOrder) -> None:
        """A check was taken."""
        self._used += 1
        self._journal.write(QUEUED, request=order.request, sha256=order.sha256)

    def finished(self, record: TrialRecord) -> None:
        """A check has ended; all of its time is charged."""
        self._journal.write(
            FINISHED,
            request=record.request,
            status=record.status,
            seconds=record.wall_seconds,
            **({"reason": record.reason} if record.reason else {}),
        )

    def trial_queued(self) -> None:
        """A trial was taken: there may be checks again."""
        self._used = 0
