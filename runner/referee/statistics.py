"""Is a gain more than luck? The noise of a task, and the acceptance rule of the speedrunners.

The rule takes the standard deviation σ of a training as known, from runs of the pristine train.py
over several training seeds. With the means of n₁ runs of the new text and of n₂ of the old one,

    z = Δ / (σ · √(1/n₁ + 1/n₂))

is standard normal if the new text is no better, so p = 1 − Φ(z), one-sided.

Source: the optimisation track of modded-nanogpt (track 3) accepts a difference from
Δ / √(1/n₁ + 1/n₂) ≥ .004 on, where σ = .0013. That is z ≥ 3.08, and p is about .001.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ACCEPTED_Z = 0.004 / 0.0013
FEWEST_VALUES = 2  # a standard deviation of one value does not exist

Standing = Literal["accepted", "sceptical", "within noise"]


@dataclass(frozen=True)
class Sample:
    """Values of one text over training seeds, in the metric's unit.

    Attributes:
        count: how many values, n.
        mean: their mean.
        sd: their standard deviation with n − 1 in the denominator; None of a single value.
    """

    count: int
    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        """The sample of at least one value.

        Raises:
            ValueError: there is no value.
        """
        if not values:
            raise ValueError("a sample needs a value")
        sd = statistics.stdev(values) if len(values) >= FEWEST_VALUES else None
        return cls(len(values), statistics.fmean(values), sd)


def z_score(gain: float, sd: float, new_runs: int, old_runs: int) -> float:
    """How many standard errors a gain is above nothing; positive is better.

    Args:
        gain: the difference of the means, in the metric's unit, positive if the new one is better.
        sd: the standard deviation of a training, σ > 0, in the same unit.
        new_runs: how many runs the new mean is of, n₁.
        old_runs: how many runs the old mean is of, n₂.

    Raises:
        ValueError: σ is not above 0, or there are no runs.
    """
    if not sd > 0 or min(new_runs, old_runs) < 1:
        raise ValueError("z needs a standard deviation above 0 and at least one run on each side")
    return gain / (sd * math.sqrt(1 / new_runs + 1 / old_runs))


def standing(z: float, *, doubted: bool) -> Standing:
    """The class of a gain.

    `within noise` does not pass the rule. `accepted` passes it. `sceptical` passes it too, but a
    measurement speaks against it: the referee's own runs of the text were worse by more than the
    rule allows, or a probe found something that does not reject the trial. So a lucky seed, and a
    value that is too good to come back, are neither accepted nor thrown away.

    Args:
        z: the gain's z-score.
        doubted: whether a measurement speaks against it.
    """
    if z < ACCEPTED_Z:
        return "within noise"
    return "sceptical" if doubted else "accepted"


def in_sigmas(sigmas: float) -> str:
    """A gain in standard deviations of the task, as tables show it: `+1.9 σ`."""
    return f"{sigmas:+.1f} σ"
