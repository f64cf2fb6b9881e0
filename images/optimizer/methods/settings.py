"""Reads a setting of the space in what a model said, and draws one where it said nothing usable.

Invariant: whatever is read, the setting that comes out has a value for every knob, of its type,
within its range and on its grid. What was done to the model's words is named, knob by knob.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from distributions import distribution
from model_config import MAX_NAME_CHARS
from optuna.samplers import RandomSampler
from samplers.entry import seed_of_ask
from samplers.grid import key_of
from space import Knob, active, effective

from methods.terms import Past

CLAMPED, ROUNDED, DEFAULTED, UNKNOWN = "clamped", "rounded", "default", "unknown"
MAX_UNKNOWN = 20  # names that the space lacks, for the records
WORDS = {"true": True, "false": False}
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Setting:
    """A setting as it was read.

    Attributes:
        knobs: a value for every knob, within its range; an inactive knob has its default.
        changed: knob → "clamped" (to its range), "rounded" (to its grid), "default" (it was missing
            or no value) or "unknown" (no such knob, left out).
    """

    knobs: dict[str, Any]
    changed: dict[str, str] = field(default_factory=dict)


def read_setting(value: Mapping[Any, Any], space: Sequence[Knob]) -> Setting:
    """The setting that an object says, made to fit the space.

    Args:
        value: knob → value, as a model wrote it.
        space: the knobs.
    """
    changed: dict[str, str] = {}
    knobs: dict[str, Any] = {}
    for knob in space:
        read, how = _read(knob, value.get(knob.name))
        knobs[knob.name] = read
        if how:
            changed[knob.name] = how
    alive = active(tuple(space), knobs)
    run = effective(tuple(space), knobs)
    for name in knobs.keys() - alive:
        changed.pop(name, None)
        if name in value and knobs[name] != run[name]:
            changed[name] = DEFAULTED
    names = {knob.name for knob in space}
    strange = [str(name)[:MAX_NAME_CHARS] for name in value if name not in names]
    changed |= dict.fromkeys(strange[:MAX_UNKNOWN], UNKNOWN)
    return Setting(run, changed)


def number_of(said: Any) -> float | None:
    """The finite number that a JSON value says, also in quotes; None where it says none."""
    if isinstance(said, bool) or not isinstance(said, (int, float, str)):
        return None
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def is_duplicate(knobs: Mapping[str, Any], past: Sequence[Past]) -> bool:
    """Whether an earlier trial had this very setting."""
    key = key_of(knobs)
    return any(key_of(one.knobs) == key for one in past)


def setting_schema(space: Sequence[Knob]) -> dict[str, Any]:
    """The JSON schema of an object with a value for every knob.

    It has only what the strict modes of all three providers take: no bounds, which the prompt says.
    """
    return object_schema({knob.name: _knob_schema(knob) for knob in space})


def object_schema(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON schema of an object that has all of these members and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def random_settings(
    space: Sequence[Knob], seed: int, number: int, count: int = 1
) -> list[dict[str, Any]]:
    """Settings drawn uniformly from the space, log knobs uniformly in their logarithm.

    Args:
        space: the knobs.
        seed: the run's.
        number: the trial's; each trial has draws of its own.
        count: how many.
    """
    study = optuna.create_study(sampler=RandomSampler(seed=seed_of_ask(seed, number)))
    distributions = {knob.name: distribution(knob) for knob in space}
    drawn = [study.ask(distributions).params for _ in range(count)]
    return [effective(tuple(space), one) for one in drawn]


def _read(knob: Knob, said: Any) -> tuple[Any, str]:
    """The knob's value, and what had to be done to come to it."""
    if knob.type == "categorical":
        choice = _choice(knob, said)
        return (knob.default, DEFAULTED) if choice is None else (choice, "")
    number = number_of(said)
    if number is None:
        return knob.default, DEFAULTED
    inside = min(max(number, knob.low), knob.high)
    if inside != number:
        return _of_type(knob, inside), CLAMPED
    on_grid = _of_type(knob, inside)
    return on_grid, "" if math.isclose(on_grid, number, rel_tol=1e-9, abs_tol=1e-12) else ROUNDED


def _of_type(knob: Knob, value: float) -> int | float:
    """The nearest value of the knob's type and grid."""
    step = knob.step or (1 if knob.type == "int" else None)
    if step is not None:
        value = knob.low + step * round((value - knob.low) / step)
        value = min(value, knob.high)
    return round(value) if knob.type == "int" else float(value)


def _choice(knob: Knob, said: Any) -> Any:
    """The choice that a JSON value says, also as a number or a word of another kind; else None."""
    if not isinstance(said, (bool, int, float, str)):
        return None  # also what is missing, which is not the choice "none"
    for choice in knob.choices:
        if type(choice) is type(said) and choice == said:
            return choice
    if isinstance(said, str):
        said = WORDS.get(said.strip().lower(), said.strip())
    for choice in knob.choices:
        if _says(said, choice):
            return choice
    return None


def _says(said: Any, choice: Any) -> bool:
    if isinstance(choice, str):
        return str(said).lower() == choice.lower()
    if isinstance(choice, bool) or isinstance(said, bool):
        return choice is said
    number = number_of(said)
    return number is not None and math.isclose(number, choice, rel_tol=1e-9)


def _knob_schema(knob: Knob) -> dict[str, Any]:
    if knob.type != "categorical":
        return {"type": "integer" if knob.type == "int" else "number"}
    kinds = {type(choice) for choice in knob.choices}
    named = {"type": JSON_TYPES[kinds.pop()]} if len(kinds) == 1 else {}
    return {**named, "enum": list(knob.choices)}
