"""What a value gains over the pristine train.py, in σ of the task, and the class of that gain.

Everything that shows a gain asks here, so that a table, a file and a verification say the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.metrics import Metric
from runner.records.schema import Verdict
from runner.referee.noise import NoiseFloor
from runner.referee.statistics import ACCEPTED_Z, Standing, in_sigmas, standing, z_score

NO_DOUBT = ("slow scoring",)  # a model may be slow; that is charged, and says nothing of its value


@dataclass(frozen=True)
class Gain:
    """A gain over the mean of the pristine train.py.

    Attributes:
        sigmas: in standard deviations of the task, positive if better.
        standing: its class by the acceptance rule.
    """

    sigmas: float
    standing: Standing

    def __str__(self) -> str:
        """As tables show it: `+1.9 σ, within noise`."""
        return f"{in_sigmas(self.sigmas)}, {self.standing}"


def gain_of_value(
    noise: NoiseFloor | None, metric: Metric, value: float, verdicts: Iterable[Verdict] = ()
) -> Gain | None:
    """The gain of a value that one trial measured; None without a σ.

    Args:
        noise: the task's noise under the run's conditions, where it is known.
        metric: what the run measures.
        value: the value, in the metric's unit.
        verdicts: what was found about the text.
    """
    return _gain(noise, metric, value, 1, doubted=_doubted(verdicts))


def gain_of_mean(
    noise: NoiseFloor | None,
    metric: Metric,
    measured: float,
    mean: float,
    runs: int,
    verdicts: Iterable[Verdict] = (),
) -> Gain | None:
    """The gain of a verified text; None without a σ.

    The mean over held-out seeds decides whether there is one. If it does not pass the rule and the
    contestant's own value does, or is better than the mean by more than the rule allows, then the
    value did not come back, and the text is sceptical.

    Args:
        noise: the task's noise under the run's conditions, where it is known.
        metric: what the run measures.
        measured: the contestant's own value.
        mean: the mean over the held-out seeds.
        runs: how many seeds the mean is of.
        verdicts: what was found about the text.
    """
    doubted = _fell(noise, metric, measured, mean, runs) or _doubted(verdicts)
    by_mean = _gain(noise, metric, mean, runs, doubted=doubted)
    by_value = _gain(noise, metric, measured, 1)
    if by_mean is None or by_value is None:
        return None
    lost = by_mean.standing == "within noise" and by_value.standing == "accepted"
    return Gain(by_mean.sigmas, "sceptical") if lost else by_mean


def _fell(
    noise: NoiseFloor | None, metric: Metric, measured: float, mean: float, runs: int
) -> bool:
    """Whether the contestant's value was better than the mean by more than the rule allows."""
    if noise is None or noise.sd is None:
        return False
    return z_score(metric.gain(measured, mean), noise.sd, 1, runs) >= ACCEPTED_Z


def _gain(
    noise: NoiseFloor | None, metric: Metric, value: float, runs: int, *, doubted: bool = False
) -> Gain | None:
    if noise is None or noise.sample is None or noise.sd is None:
        return None
    gain = metric.gain(value, noise.sample.mean)
    z = z_score(gain, noise.sd, runs, noise.sample.count)
    return Gain(gain / noise.sd, standing(z, doubted=doubted))


def _doubted(verdicts: Iterable[Verdict]) -> bool:
    """Whether a measurement speaks against the value; what was only read does not."""
    return any(one.by == "probe" and one.name not in NO_DOUBT for one in verdicts)
