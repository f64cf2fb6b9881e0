"""Knobs as points of a unit cube, for algorithms that know nothing of Optuna's distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


def values_of(distribution: BaseDistribution) -> Sequence[Any] | None:
    """All values of a knob in their order; None for a float without a step, which has no end."""
    if isinstance(distribution, CategoricalDistribution):
        return tuple(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    if distribution.low == distribution.high:
        return (distribution.low,)
    if distribution.step is None:
        return None
    steps = round((distribution.high - distribution.low) / distribution.step)
    return tuple(one_of(distribution.low + step * distribution.step) for step in range(steps + 1))


def count_of(distribution: BaseDistribution) -> float:
    """How many values a knob has, without listing them; infinity where they have no end."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    assert isinstance(distribution, FloatDistribution)
    if distribution.low == distribution.high:
        return 1
    if distribution.step is None:
        return math.inf
    steps = (distribution.high - distribution.low) / distribution.step
    return round(steps) + 1 if math.isfinite(steps) else math.inf


def one_of(value: Any) -> Any:
    """One spelling of numbers that only rounding tells apart: 0.1 + 2 × 0.1 is 0.3."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def from_unit(distribution: BaseDistribution, at: float) -> int | float:
    """The value of a number's knob at a place between 0 (low) and 1 (high), on its grid."""
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        value = math.exp(math.log(low) + at * (math.log(high) - math.log(low)))
    else:
        value = low + at * (high - low)
    if distribution.step and not distribution.log:
        value = low + distribution.step * round((value - low) / distribution.step)
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value


def to_unit(distribution: BaseDistribution, value: float) -> float:
    """Where a value lies between 0 (low) and 1 (high); the reverse of `from_unit`."""
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(max((value - low) / (high - low), 0.0), 1.0)
