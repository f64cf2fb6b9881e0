"""What candidates are to reach, and what they are worth by a model's predictions.

Pure functions of numbers. Values are in the metric's own unit and direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SPREAD = 1e-5  # upstream's, in the metric's unit: ten equal predictions are not certainty
FLAT = 0.1  # of the best value, upstream's: what stands for a range where all values are equal


@dataclass(frozen=True)
class Prediction:
    """What a model expects of a setting: a value, or None where it expects a failure."""

    value: float | None


@dataclass(frozen=True)
class Predicted:
    """Several predictions of one setting, summed up.

    Attributes:
        mean: of them all; a failure counts as the worst value that was measured.
        spread: the standard deviation (divided by n) of those that are numbers.
    """

    mean: float
    spread: float


def target_of(values: Sequence[float], alpha: float, *, minimize: bool) -> float:
    """The value that candidates are to reach.

    With the range R between the best and the worst of the values it is `best − alpha·R` where lower
    is better and `best + alpha·R` where higher is better. So an alpha above 0 asks for better than
    the best, whatever the direction; one below 0 for a value that has been reached. Where all
    values are above 0, alpha is halved until the target is too: a loss has no value below 0.

    Args:
        values: what was measured, one value at least.
        alpha: a share of the range.
        minimize: whether lower values are better.

    Source: Liu et al. 2024, section 5 (s' = s_min − α(s_max − s_min), for minimisation), and
        llambo/acquisition_function.py of tennisonliu/LLAMBO for maximisation and equal values.
    """
    low, high = min(values), max(values)
    best = low if minimize else high
    size = (high - low) or FLAT * abs(best)
    toward = -1.0 if minimize else 1.0
    while low > 0 and best + toward * alpha * size <= 0:
        alpha /= 2
    return best + toward * alpha * size


def summed_up(predictions: Sequence[Prediction], worst: float) -> Predicted | None:
    """The mean and the spread of a setting's predictions; None where there are none.

    A predicted failure moves the mean and not the spread. In the spread it would look like promise:
    of a setting that fails half the time, expected improvement would see the wide half below.

    Args:
        predictions: those that could be read.
        worst: the worst value that was measured, which stands for a failure.
    """
    if not predictions:
        return None
    numbers = [one.value for one in predictions if one.value is not None]
    failures = len(predictions) - len(numbers)
    mean = (sum(numbers) + failures * worst) / len(predictions)
    return Predicted(mean, max(_deviation(numbers), LEAST_SPREAD))


def expected_improvement(predicted: Predicted, best: float, *, minimize: bool) -> float:
    """By how much a setting is expected to beat the best one, if its value is normal.

    E[max(0, I)] for I ~ N(δ, s²) is δ·Φ(δ/s) + s·φ(δ/s), where δ is by how much the mean beats the
    best. It is 0 or more, in the metric's unit.

    Source: Jones, Schonlau, Welch 1998, "Efficient Global Optimization of Expensive Black-Box
        Functions", equation 15.
    """
    better = improvement(predicted, best, minimize=minimize)
    z = better / predicted.spread
    below = 0.5 * math.erfc(-z / math.sqrt(2))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return max(0.0, better * below + predicted.spread * density)


def improvement(predicted: Predicted, best: float, *, minimize: bool) -> float:
    """By how much the mean beats the best value; below 0 where it does not."""
    return best - predicted.mean if minimize else predicted.mean - best


def _deviation(numbers: Sequence[float]) -> float:
    if not numbers:
        return 0.0
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((one - mean) ** 2 for one in numbers) / len(numbers))
