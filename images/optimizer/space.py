"""The search space: knobs with ranges, checked before Optuna sees them.

Standard library only. train.py may still round a value that does not fit its model; search.py then
learns the value that was run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from start_config import KnobRange, KnobValue


class SpaceError(ValueError):
    """The search space cannot be searched as it is written; the text names knob and reason."""


@dataclass(frozen=True)
class Knob:
    """A knob that can be searched: a `KnobRange` with its name; only `step` may be None."""

    name: str
    type: Literal["int", "float", "categorical"]
    default: KnobValue
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[KnobValue, ...] = ()

    def size(self) -> float:
        """How many values the knob can take; infinity for a float without a step."""
        if self.type == "categorical":
            return len(self.choices)
        if self.low == self.high:
            return 1
        if self.type == "float" and self.step is None:
            return math.inf
        return round((self.high - self.low) / (self.step or 1)) + 1


def parse_space(space: Mapping[str, KnobRange]) -> tuple[Knob, ...]:
    """The knobs of `OptimizerConfig.space`, in its order.

    Raises:
        SpaceError: a range is empty, or a default lies outside of it.
    """
    return tuple(_parse_knob(name, given) for name, given in space.items())


def points(space: tuple[Knob, ...]) -> float:
    """How many different settings the space holds; 1 for no knobs, infinity for real ones."""
    return math.prod(knob.size() for knob in space)


def describe(knobs: Mapping[str, Any]) -> str:
    """The setting as a person reads it in a log: `MATRIX_LR=0.021 DEPTH=4`."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in knobs.items()
    )


def _parse_knob(name: str, given: KnobRange) -> Knob:
    knob = Knob(name, **{key: value for key, value in vars(given).items() if value is not None})
    problem = _choice_problem(knob) if knob.type == "categorical" else _range_problem(knob)
    if problem:
        raise SpaceError(f"knob {name}: {problem}")
    return knob


def _choice_problem(knob: Knob) -> str:
    if not knob.choices:
        return "has no choices"
    if len(set(knob.choices)) != len(knob.choices):
        return f"names a choice twice: {list(knob.choices)}"
    if knob.default not in knob.choices:
        return f"default {knob.default!r} is none of its choices {list(knob.choices)}"
    return ""


def _range_problem(knob: Knob) -> str:
    numbers = [knob.low, knob.high, knob.default, *([] if knob.step is None else [knob.step])]
    if not all(_is_number(number, whole=knob.type == "int") for number in numbers):
        return f"low, high, default and step must be numbers of type {knob.type}: {numbers}"
    if not knob.low <= float(knob.default) <= knob.high:
        return f"default {knob.default} is outside {knob.low} to {knob.high}"
    if knob.log and (knob.low <= 0 or knob.step is not None):
        return "log needs a low above 0 and no step"
    if knob.step is not None and knob.step <= 0:
        return f"step {knob.step} is not above 0"
    if not all(_on_grid(knob, float(end)) for end in (knob.default, knob.high)):
        return f"default {knob.default} or high {knob.high} is not on the grid of step {knob.step}"
    return ""


def _is_number(value: Any, *, whole: bool) -> bool:
    """Whether it is a finite number, and one without a fraction if `whole`: JSON knows 4.0 too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and not (whole and value % 1)


def _on_grid(knob: Knob, value: float) -> bool:
    if knob.step is None:
        return True
    steps = (value - knob.low) / knob.step
    return math.isclose(steps, round(steps), abs_tol=1e-9)
