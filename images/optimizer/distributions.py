"""Knobs as Optuna knows them."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from space import Knob


def distribution(knob: Knob) -> BaseDistribution:
    """Optuna's distribution for a knob."""
    if knob.type == "categorical":
        return CategoricalDistribution(knob.choices)
    if knob.type == "int":
        return IntDistribution(int(knob.low), int(knob.high), knob.log, int(knob.step or 1))
    return FloatDistribution(knob.low, knob.high, knob.log, knob.step)
