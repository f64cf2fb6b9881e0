"""The search space of a baseline: knobs with ranges and conditions, checked before a search begins.

Standard library only: the host refuses a space with this file before anything starts, and the
optimizer reads what it was sent with it. train.py may still round a value that does not fit its
model; images/optimizer/search.py then learns the value that was run.

A knob with a condition is *active* if its parent is active and has one of the named values. An
inactive knob keeps its default. A sampler draws a value for every knob all the same, because most
samplers need one fixed space; `effective` makes the setting of it that is run.

Source: Hutter, Hoos, Leyton-Brown 2011, "Sequential Model-Based Optimization for General Algorithm
Configuration", which gives inactive parameters their defaults.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Value = bool | int | float | str
FIELDS = ("type", "default", "low", "high", "log", "step", "choices", "when")
EVERY_SETTING_TRIED = "every setting has been tried"  # why an optimizer stops, in `stopped`


class SpaceError(ValueError):
    """The search space cannot be searched as it is written.

    Attributes:
        knob: whose range is wrong; "" if it is the whole space.
        fault: what is so.
        hint: what to do.
    """

    def __init__(self, knob: str, fault: str, hint: str) -> None:
        super().__init__(f"knob {knob}: {fault}" if knob else fault)
        self.knob, self.fault, self.hint = knob, fault, hint


class Parent(Protocol):
    """What a knob's being active hangs on: `Condition` in start_config.py."""

    @property
    def knob(self) -> str: ...

    @property
    def values(self) -> tuple[Value, ...]: ...


@dataclass(frozen=True)
class Knob:
    """A knob that can be searched: a `KnobRange` with its name; only `step` and `when` may be None.

    `choices` are the values of a categorical knob alone, and the bounds are those of a number.
    """

    name: str
    type: Literal["int", "float", "categorical"]
    default: Value
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()
    when: Parent | None = None

    def size(self) -> float:
        """How many values the knob can take; infinity for a float without a step."""
        if self.type == "categorical":
            return len(self.choices)
        if self.low == self.high:
            return 1
        if self.type == "float" and self.step is None:
            return math.inf
        return round((self.high - self.low) / (self.step or 1)) + 1

    def holds(self, value: Value) -> bool:
        """Whether a sampler can give the knob this value."""
        if self.type == "categorical":
            return value in self.choices
        number = _is_number(value, whole=self.type == "int")
        return number and self.low <= float(value) <= self.high and _on_grid(self, float(value))


def parse_space(space: Mapping[str, Any]) -> tuple[Knob, ...]:
    """The knobs of `OptimizerConfig.space` (name → `KnobRange`), in its order.

    Raises:
        SpaceError: a range is empty, a default lies outside of it, or a condition cannot be met.
    """
    knobs = {name: _parse_knob(name, given) for name, given in space.items()}
    for knob in knobs.values():
        _check_condition(knob, knobs)
    return tuple(knobs.values())


def active(space: tuple[Knob, ...], knobs: Mapping[str, Any]) -> set[str]:
    """The names of the knobs that are active in a setting."""
    by_name = {knob.name: knob for knob in space}

    def is_active(knob: Knob) -> bool:
        when = knob.when
        if when is None:
            return True
        return knobs[when.knob] in when.values and is_active(by_name[when.knob])

    return {knob.name for knob in space if is_active(knob)}


def effective(space: tuple[Knob, ...], knobs: Mapping[str, Any]) -> dict[str, Any]:
    """The setting that is run: the drawn one, with the default for each inactive knob.

    Args:
        space: the knobs.
        knobs: a value for each of them.
    """
    alive = active(space, knobs)
    return {k.name: knobs[k.name] if k.name in alive else k.default for k in space}


def points(space: tuple[Knob, ...]) -> float:
    """How many different settings can be run; 1 for no knobs, infinity for real ones.

    A knob counts only below the values of its parent with which it is active.
    """
    below: defaultdict[str, list[Knob]] = defaultdict(list)
    for knob in space:
        if knob.when is not None:
            below[knob.when.knob].append(knob)

    def count(knob: Knob) -> float:
        named = {value: children_of(knob, value) for value in _named(below[knob.name])}
        rest = knob.size() - len(named)
        return rest + sum(math.prod(map(count, children)) for children in named.values())

    def children_of(knob: Knob, value: Value) -> list[Knob]:
        return [child for child in below[knob.name] if child.when and value in child.when.values]

    return math.prod(count(knob) for knob in space if knob.when is None)


def describe(knobs: Mapping[str, Any]) -> str:
    """The setting as a person reads it in a log: `MATRIX_LR=0.021 DEPTH=4`."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in knobs.items()
    )


def _named(children: list[Knob]) -> set[Value]:
    return {value for child in children if child.when for value in child.when.values}


def _parse_knob(name: str, given: Any) -> Knob:
    said = {key: value for key, value in vars(given).items() if value is not None}
    foreign = ("low", "high", "step") if said["type"] == "categorical" else ("choices",)
    for field in foreign:
        if field in said:
            raise SpaceError(
                name, f"{field} is no field of type {said['type']}", _hint_of_fields(said["type"])
            )
    if said["type"] != "categorical" and not {"low", "high"} <= set(said):
        raise SpaceError(name, "has no low or no high", _hint_of_fields(said["type"]))
    knob = Knob(name, **said)
    problem = _choice_problem(knob) if knob.type == "categorical" else _range_problem(knob)
    if problem:
        raise SpaceError(name, *problem)
    return knob


def _hint_of_fields(kind: str) -> str:
    if kind == "categorical":
        return 'write it as { type = "categorical", choices = [ … ], default = … }'
    return f'write it as {{ type = "{kind}", low = …, high = …, default = … }}'


def _choice_problem(knob: Knob) -> tuple[str, str] | None:
    """What is wrong with a categorical knob, and what to do."""
    if not knob.choices:
        return "has no choices", "name at least one, or remove the knob"
    if knob.log:
        return "log is no field of type categorical", _hint_of_fields("categorical")
    if len(set(knob.choices)) != len(knob.choices):
        return f"names a choice twice: {list(knob.choices)}", "name each choice once"
    if knob.default not in knob.choices:
        return (
            f"default {knob.default!r} is none of its choices {list(knob.choices)}",
            "add it to the choices: trial 0 is the default of every knob",
        )
    return None


def _range_problem(knob: Knob) -> tuple[str, str] | None:
    """What is wrong with a number, and what to do."""
    numbers = [knob.low, knob.high, knob.default, *([] if knob.step is None else [knob.step])]
    if not all(_is_number(number, whole=knob.type == "int") for number in numbers):
        return (
            f"low, high, default and step must be numbers of type {knob.type}: {numbers}",
            "an int takes whole numbers, a float finite ones",
        )
    if not knob.low <= float(knob.default) <= knob.high:
        return (
            f"default {knob.default} is outside {knob.low} to {knob.high}",
            "widen the range: trial 0 is the default of every knob",
        )
    if knob.log and (knob.low <= 0 or knob.step is not None):
        return "log needs a low above 0 and no step", "raise low, or leave log or step out"
    if knob.step is not None and knob.step <= 0:
        return f"step {knob.step} is not above 0", "leave step out, or give it a number above 0"
    if not all(_on_grid(knob, float(end)) for end in (knob.default, knob.high)):
        return (
            f"default {knob.default} or high {knob.high} is not on the grid of step {knob.step}",
            f"default and high must be {knob.low} plus a whole number of steps",
        )
    return None


def _check_condition(knob: Knob, knobs: Mapping[str, Knob]) -> None:
    """Refuse a condition that names nothing of the space, or that depends on itself."""
    when = knob.when
    if when is None:
        return
    parent = knobs.get(when.knob)
    if parent is None:
        raise SpaceError(
            knob.name,
            f"when names {when.knob}, which the space lacks",
            f"add {when.knob} to the space, or leave when out",
        )
    if parent.type == "float":
        raise SpaceError(
            knob.name,
            f"when names {when.knob}, which is a float",
            "a condition needs a parent of type int or categorical",
        )
    strange = [value for value in when.values if not parent.holds(value)]
    if strange or not when.values:
        fault = f"{when.knob} is never {strange[0]!r}" if strange else "when names no value"
        raise SpaceError(knob.name, fault, f"name values that {when.knob} can have")
    _check_acyclic(knob, knobs)


def _check_acyclic(knob: Knob, knobs: Mapping[str, Knob]) -> None:
    way, at = [knob.name], knob
    while at.when is not None and at.when.knob in knobs:
        at = knobs[at.when.knob]
        way.append(at.name)
        if at.name == knob.name or len(way) > len(knobs):
            fault = f"its condition depends on itself: {' → '.join(way)}"
            raise SpaceError(knob.name, fault, "leave one of these conditions out")


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
