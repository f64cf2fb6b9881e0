"""What a trial's thread tells: the events for the run's loop, and whom it tells meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.records.schema import TrialRecord
from runner.trials.judging import OnEstimate
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


@dataclass(frozen=True)
class Watch:
    """Functions that are called in the trial's thread as things happen.

    Attributes:
        on_wait: the trial begins to wait for its device.
        on_start: it has its device.
        on_line: it printed this line, which its contestant may know.
        on_repeat: it runs again, by no fault of its own; why, in words.
        on_estimate: it was estimated on its way; called in the thread that reads the judge.
    """

    on_wait: Callable[[], None]
    on_start: Callable[[], None]
    on_line: Callable[[str], object]
    on_repeat: Callable[[str], None]
    on_estimate: OnEstimate = lambda _: None
