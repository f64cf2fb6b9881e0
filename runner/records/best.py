"""The best trial of a run, by the one definition that all share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from runner.metrics import Metric

UNJUDGED = "unjudged"  # said of values that the trials themselves printed


class Measurement(Protocol):
    """What is asked of a trial here: a `TrialRecord`, or a part of one."""

    @property
    def trial(self) -> int: ...

    @property
    def source(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def value(self) -> float | None: ...

    @property
    def judged(self) -> bool: ...


T = TypeVar("T", bound=Measurement)


def own_trials(trials: Iterable[T]) -> tuple[T, ...]:
    """What the contestant asked for; the referee's re-runs are not its work."""
    return tuple(trial for trial in trials if trial.source != "referee")


def measured_value(trial: Measurement, metric: Metric) -> float | None:
    """What a trial measured, if it went through to its end."""
    return metric.measured(trial.value) if trial.status == "ok" else None


def are_judged(trials: Iterable[Measurement], metric: Metric) -> bool:
    """Whether the values of a run are the judge's.

    Those of earlier versions are what the trials printed. A run that was begun then and resumed now
    has both, and only the judge's count. A run without a value has none that is unjudged.
    """
    measured = [t for t in own_trials(trials) if measured_value(t, metric) is not None]
    return not measured or any(trial.judged for trial in measured)


def best_trial(trials: Iterable[T], metric: Metric) -> T | None:
    """The contestant's own trial with the best measured value, the earliest of equals.

    Values of which only some are the judge's do not compare: then the judge's alone count.
    """
    in_order = sorted(own_trials(trials), key=lambda trial: trial.trial)
    if are_judged(in_order, metric):
        in_order = [trial for trial in in_order if trial.judged]
    return metric.best(in_order, lambda trial: measured_value(trial, metric))
