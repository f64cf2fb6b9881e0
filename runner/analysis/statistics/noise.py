"""How large a gain is against the noise of training: in σ, and as a z of the runs behind it.

Two figures, which are easily taken for each other:

    sigmas = Δ / σ                          the size of the gain
    z      = Δ / (σ · √(1/n₁ + 1/n₂))       how far it is from nothing, of n₁ and n₂ runs

The automl study's "3.2 σ" of a gain of .0017 at σ = .00053 is the first. Of two single runs z is
less by √2, 2.3, as both have noise. Neither looks at how a contestant's seeds differ: the paired
test does, and gives p = .055 of 8 seeds there. Both are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from runner.referee.statistics import z_score

FEWEST_RUNS = 2  # a p of one run is never given


@dataclass(frozen=True)
class Gain:
    """A gain against the noise.

    Attributes:
        gain: Δ, in the metric's unit, positive if better.
        sigmas: Δ/σ; None where σ is not known.
        z: Δ over its own standard deviation; None where σ is not known.
        p: one-sided, under normal noise; None where σ is not known or a side has one run.
        why: why p is not given; empty where it is.
    """

    gain: float
    sigmas: float | None = None
    z: float | None = None
    p: float | None = None
    why: str = ""


def gain_in_noise(gain: float, sd: float | None, new_runs: int = 1, old_runs: int = 1) -> Gain:
    """A gain in standard deviations of the task's noise.

    Args:
        gain: Δ, the difference of the means, in the metric's unit, positive if better.
        sd: σ of a training, in the same unit; None where it was not measured.
        new_runs: n₁, of how many runs the new mean is.
        old_runs: n₂, of how many the old one is.

    Raises:
        ValueError: there are no runs on a side.
    """
    if min(new_runs, old_runs) < 1:
        raise ValueError("a gain needs a run on each side")
    if sd is None or not sd > 0:
        return Gain(gain, why="the noise of this task was not measured")
    sigmas, z = gain / sd, z_score(gain, sd, new_runs, old_runs)
    if min(new_runs, old_runs) < FEWEST_RUNS:
        return Gain(gain, sigmas, z, why="one side is a single run")
    return Gain(gain, sigmas, z, float(stats.norm.sf(z)))
