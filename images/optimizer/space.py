"""The search space as the runner sends it: knobs with ranges, checked before Optuna sees them.

Standard library only. Invariant: every value between `low` and `high` (on the grid of `step`, if
there is one) is run exactly as suggested. Nothing is snapped afterwards, so that what a sampler
learns from is what was trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = int | float | str | bool
TYPES = ("int", "float", "categorical")


class SpaceError(ValueError):
    """The search space cannot be searched as it is written; the text names knob and reason."""


@dataclass(frozen=True)
class Knob:
    """One ALL_CAPS constant of train.py and where it may lie.

    Args:
        name: the constant's name.
        type: "int", "float" or "categorical".
        default: the value of trial 0.
        low: smallest value, numbers only.
        high: largest value, numbers only.
        log: search the logarithm; needs `low` above 0.
        step: distance of neighbouring values; None for every int, or every float.
        choices: the values of a categorical knob.
    """

    name: str
    type: str
    default: Value
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()

    def size(self) -> float:
        """How many values the knob can take; infinity for a float without a step."""
        if self.type == "categorical":
            return len(self.choices)
        if self.low == self.high:
            return 1
        if self.type == "float" and self.step is None:
            return math.inf
        return round((self.high - self.low) / (self.step or 1)) + 1


def parse_space(space: Mapping[str, Mapping[str, Any]]) -> tuple[Knob, ...]:
    """The knobs of `start.config.space`, in its order.

    Raises:
        SpaceError: a range is empty, a default lies outside, a type or field is unknown.
    """
    return tuple(_parse_knob(name, fields) for name, fields in space.items())


def points(space: tuple[Knob, ...]) -> float:
    """How many different settings the space holds; 1 for no knobs, infinity for real ones."""
    return math.prod(knob.size() for knob in space)


def describe(knobs: Mapping[str, Any]) -> str:
    """The setting as a person reads it in a log: `MATRIX_LR=0.021 DEPTH=4`."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in knobs.items()
    )


def _parse_knob(name: str, fields: Mapping[str, Any]) -> Knob:
    given = {key: value for key, value in fields.items() if value is not None}
    if "choices" in given:
        given["choices"] = tuple(given["choices"])
    try:
        knob = Knob(name=name, **given)
    except TypeError as error:
        raise SpaceError(f"knob {name}: {error}") from None
    if knob.type not in TYPES:
        raise SpaceError(f"knob {name}: type {knob.type!r} is none of {', '.join(TYPES)}")
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
