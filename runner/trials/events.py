"""What a worker tells the run's loop of a trial."""

from __future__ import annotations

from dataclasses import dataclass

from runner.records.schema import TrialRecord
from runner.trials.orders.order import TrialOrder


@dataclass(frozen=True)
class TrialWaits:
    """The trial is next, and waits for its device since `moment` of the clock's `now`."""

    order: TrialOrder
    moment: float


@dataclass(frozen=True)
class TrialBegan:
    """The trial has its device since `moment`."""

    order: TrialOrder
    moment: float


@dataclass(frozen=True)
class TrialRepeats:
    """The trial runs again: the attempt between these moments was nobody's fault."""

    order: TrialOrder
    reason: str
    began: float
    ended: float


@dataclass(frozen=True)
class TrialEnded:
    """The trial is over; `began` is None when it never had its device."""

    order: TrialOrder
    record: TrialRecord
    began: float | None
    moment: float


@dataclass(frozen=True)
class TrialBroke:
    """The engine or the disk failed under a trial: it has no record, and the run cannot go on."""

    order: TrialOrder
    error: BaseException


TrialEvent = TrialWaits | TrialBegan | TrialRepeats | TrialEnded | TrialBroke
