"""Reads the search space that a user asks for with SPACE, and refuses what cannot be searched.

Everything is checked before anything starts: the ranges by themselves (runner/wire/space.py, as the
optimizer will read them), and against the train.py with which every contestant begins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner.errors import UserError
from runner.spec import Condition, Knob
from runner.wire import start_config
from runner.wire.space import FIELDS, SpaceError, parse_space
from runner.wire.start_config import KnobRange
from trainer import constants

MAX_SPACE_BYTES = 256 * 1024
MAX_KNOBS = 256
PROPOSE = "`make space TASK=…` lists the knobs of a task's train.py"
TYPES: dict[str, type] = {"int": int, "float": float}  # of the constant in train.py


def read_space(path: Path, train_py: str) -> dict[str, Knob]:
    """The space in a file, complete and checked.

    A knob without a `default` gets the value that train.py has.

    Args:
        path: a TOML file with one table for each knob.
        train_py: the text with which every contestant begins.

    Raises:
        UserError: the file cannot be read, or a knob of it cannot be searched; file, knob and what
            to do are named.
    """
    values = constants.read(train_py)
    table = _read_table(path)
    try:
        knobs = {name: _read_knob(name, fields, values) for name, fields in table.items()}
        check_space(knobs, values)
    except SpaceError as error:
        raise UserError(f"reading the search space {path}: {error}", hint=error.hint) from error
    return knobs


def check_space(knobs: Mapping[str, Knob], values: Mapping[str, Any]) -> None:
    """Refuse a space that no baseline could search on a train.py.

    Args:
        knobs: name → its range.
        values: the constants of train.py.

    Raises:
        SpaceError: it is empty or too large, or a knob of it cannot be searched.
    """
    if not knobs:
        raise SpaceError("", "it has no knob", PROPOSE)
    if len(knobs) > MAX_KNOBS:
        raise SpaceError("", f"it has {len(knobs)} knobs", f"at most {MAX_KNOBS} can be searched")
    parse_space({name: knob_range(knob) for name, knob in knobs.items()})
    for name, knob in knobs.items():
        _check_constant(name, knob, values[name])


def knob_range(knob: Knob) -> KnobRange:
    """A dimension of the search space, as the optimizer is told it."""
    choices = None if knob.choices is None else tuple(knob.choices)
    return KnobRange(
        knob.type, knob.default, knob.low, knob.high, knob.log, knob.step, choices=choices,
        when=None if knob.when is None else _condition(knob.when),
    )  # fmt: skip


def _condition(when: Condition) -> start_config.Condition:
    return start_config.Condition(when.knob, when.values)


def _read_table(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SPACE_BYTES + 1)
        if len(content) > MAX_SPACE_BYTES:
            raise ValueError(f"it has more than {MAX_SPACE_BYTES} bytes")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise UserError(
            f"reading the search space {path}: {error.strerror or error}",
            hint=f"SPACE is the path of a file; {PROPOSE}",
        ) from error
    except (ValueError, RecursionError) as error:  # no TOML, or no UTF-8
        raise UserError(
            f"reading the search space {path}: {error}", hint=f"SPACE is a TOML file; {PROPOSE}"
        ) from error


def _read_knob(name: str, fields: Any, values: Mapping[str, Any]) -> Knob:
    """One knob of the file.

    Raises:
        SpaceError: train.py has no such constant, or a field is unknown or of a wrong type.
    """
    if name not in values:
        raise SpaceError(
            name, "train.py has no such constant", f"{PROPOSE}; remove this one or correct its name"
        )
    if not isinstance(fields, dict):
        raise SpaceError(
            name, "it is no table", 'write it as { type = "float", low = …, high = … }'
        )
    try:
        return Knob.model_validate({"default": values[name], **fields})
    except ValidationError as error:
        raise _invalid(name, values[name], error) from error


def _invalid(name: str, value: Any, error: ValidationError) -> SpaceError:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else "it"
    if first["type"] == "extra_forbidden":
        fault = f"{'.'.join(map(str, first['loc']))} is no field of a knob"
    elif first["type"] == "missing":
        fault = f"{'.'.join(map(str, first['loc']))} is missing"
    elif field == "default" and isinstance(value, tuple | list):
        kind = type(value).__name__
        return SpaceError(
            name, f"it is a {kind} in train.py",
            "a sampler sets one number, word or truth value; give each item a constant of its own",
        )  # fmt: skip
    else:
        fault = f"{field} is {first['input']!r}"
    return SpaceError(
        name, fault, f"the fields of a knob are {', '.join(FIELDS)}; type is int, float or "
        'categorical, when is { knob = "NAME", is = [ … ] }',
    )  # fmt: skip


def _check_constant(name: str, knob: Knob, value: Any) -> None:
    """Hold a knob against the constant of train.py.

    Raises:
        SpaceError: it is of another type, or its default is another value.
    """
    if knob.type == "categorical":
        fits = all(_same_kind(choice, value) for choice in knob.choices or ())
    else:
        fits = type(value) is TYPES[knob.type]
    if not fits:
        raise SpaceError(
            name,
            f"type {knob.type} does not fit train.py, which has the {type(value).__name__} {value}",
            f"let every value be of type {type(value).__name__}",
        )
    if knob.default != value:
        raise SpaceError(
            name,
            f"default {knob.default!r} is not {value!r}, with which train.py begins",
            "leave default out: trial 0 of every contestant is the unchanged train.py",
        )


def _same_kind(choice: Any, value: Any) -> bool:
    """Whether a choice may stand in place of a constant: whole numbers serve for a float too."""
    return type(choice) is type(value) or (type(choice), type(value)) == (int, float)
