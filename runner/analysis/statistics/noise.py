"""How large a gap is against the noise of training: in σ, and as a z of the runs behind it.

Two figures, which are easily taken for each other:

    sigmas = Δ / σ                          the size of the gap
    z      = Δ / (σ · √(1/n₁ + 1/n₂))       how far it is from nothing, of n₁ and n₂ runs

The automl study's "3.2 σ" of a gain of .0017 at σ = .00053 is the first. Of two single runs z is
less by √2, 2.3, as both have noise. Neither looks at how a contestant's seeds differ: the paired
test does, and gives p = .055 of 8 seeds there.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.referee.statistics import z_score


@dataclass(frozen=True)
class Gap:
    """A gap against the noise.

    Attributes:
        sigmas: Δ/σ, positive if better.
        z: Δ over its own standard deviation.
    """

    sigmas: float
    z: float


def gap_in_noise(gap: float, sd: float, new_runs: int = 1, old_runs: int = 1) -> Gap:
    """A gap in standard deviations of the task's noise.

    Args:
        gap: Δ, the difference of the means, in the metric's unit, positive if better.
        sd: σ of a training, in the same unit.
        new_runs: n₁, of how many runs the new mean is.
        old_runs: n₂, of how many the old one is.

    Raises:
        ValueError: there are no runs on a side, or there is no noise.
    """
    if min(new_runs, old_runs) < 1:
        raise ValueError("a gap needs a run on each side")
    if not sd > 0:
        raise ValueError(f"a noise of {sd:g} measures no gap")
    return Gap(gap / sd, z_score(gap, sd, new_runs, old_runs))
