"""What the judge estimates of a trial on its way, and how an optimizer prunes by it.

An estimate goes to the optimizer in the thread that reads the judge, past the run's loop, so that
nothing delays it. The optimizer's word comes back through the loop. Only an optimizer may give up a
trial: an agent waits for the end of its trials, like everybody else.
"""

from __future__ import annotations

from collections.abc import Callable

from runner.metrics import Metric
from runner.timing.findings import Moments
from runner.trials.judging import Session
from runner.trials.orders.order import TrialOrder
from runner.wire.messages import Message, ScoreEstimated, TrialEstimated

# The shares of its training at which a trial of a search that prunes is estimated: evenly spaced,
# and as many as the judge gives.
ESTIMATE_AT = tuple(tenths / 10 for tenths in range(1, 9))


class Pruning:
    """What an optimizer is told of the trials in flight. Any thread may call any method.

    Args:
        metric: what is estimated; a value that it cannot have is not passed on.
        send: sends a message to the optimizer; None where nothing is pruned.
    """

    def __init__(self, metric: Metric, send: Callable[[Message], object] | None) -> None:
        self._metric = metric
        self._send = send
        self._told: dict[str, list[TrialEstimated]] = {}

    def tell(self, order: TrialOrder, estimate: ScoreEstimated) -> None:
        """The judge has estimated a trial on its way."""
        value = self._metric.measured(estimate.value)
        if self._send is not None and value is not None:
            message = TrialEstimated(order.request, step_of(estimate), value)
            self._told.setdefault(order.request, []).append(message)
            self._send(message)

    def tell_again(self, request: str) -> None:
        """The optimizer was started again, and asks for a trial that is under way."""
        for message in self._told.get(request, []).copy():
            if self._send is not None:
                self._send(message)

    def was_told(self, request: str, step: int) -> bool:
        """Whether the optimizer knows this estimate of a trial under way, so may answer it."""
        return any(message.step == step for message in self._told.get(request, []))

    def forget(self, request: str) -> None:
        """The trial has ended, or begins anew."""
        self._told.pop(request, None)


def step_of(estimate: ScoreEstimated) -> int:
    """How much of its training a trial had behind it, in whole percents."""
    return round(100 * min(max(estimate.fraction, 0.0), 1.0))


def estimates_of(
    session: Session, began_at: float | None, metric: Metric
) -> list[dict[str, float]]:
    """The scores on the way: the trial's own fraction, seconds since its start, and the value."""
    return [
        {
            "fraction": round(estimate.fraction, 6),
            "train_seconds": 0.0
            if began_at is None
            else round(max(0.0, estimate.at - began_at), 3),
            metric.name: value,
        }
        for estimate in session.estimates
        if (value := metric.measured(estimate.value)) is not None
    ]


def trained_seconds(
    session: Session, moments: Moments, train_seconds: float, declared_seconds: float | None
) -> float:
    """What a pruned trial trained: up to its last estimate, and from then to its end.

    It never came to say so itself, and without a word all that was seen would be charged.

    Args:
        session: the trial before the judge, with one estimate or more.
        moments: when it began and ended.
        train_seconds: the training that it was given.
        declared_seconds: the training that it printed on its way; None if it printed none.
    """
    last = session.estimates[-1]
    since = max(0.0, moments.ended - max(last.at, moments.began))
    return max(last.fraction * train_seconds + since, declared_seconds or 0.0)
