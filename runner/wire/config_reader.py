"""Reads what a `start` message carries into one of the dataclasses of start_config.py.

Standard library only: this file is copied into every image. Invariant: no error shows a value that
may be secret. A bound of an annotated field is any object whose `fault(value)` says what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

MAX_NAME_CHARS = 80  # of a field's name in an error; the name of an unknown one may be anything
C = TypeVar("C")


class ConfigError(ValueError):
    """A `start.config` cannot be used. The text names the field, and no value."""


def read_config(kind: type[C], given: Mapping[str, Any]) -> C:
    """A config, or a table within one, out of what `Start.config` carries.

    Args:
        kind: one of the dataclasses of start_config.py, or a subclass of one.
        given: field name → JSON value. A whole number is taken where a float is wanted.

    Raises:
        ConfigError: a field is unknown, missing, of a wrong type or out of its bounds.
    """
    made: C = _read_table(kind, given, "")
    return made


def _read_table(kind: type[Any], given: Any, path: str) -> Any:
    where = f"{path}." if path else ""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{path or 'config'} must be a table")
    known = {one.name: one for one in fields(kind)}
    for name in given:
        if name not in known:
            raise ConfigError(f"{where}{str(name)[:MAX_NAME_CHARS]} is no field of {kind.__name__}")
    for name, one in known.items():
        if name not in given and one.default is MISSING and one.default_factory is MISSING:
            raise ConfigError(f"{where}{name} is missing")
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{n: _read_value(hints[n], value, f"{where}{n}") for n, value in given.items()})


def _read_value(hint: Any, value: Any, path: str) -> Any:
    """The value as the type hint wants it. `path` names the field in an error."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return _bounded(_read_value(arguments[0], value, path), arguments[1:], path)
    if origin in (Union, UnionType):
        return _read_union(arguments, value, path)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{path} must be one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path} must be a list")
        return tuple(_read_value(arguments[0], v, f"{path}.{n}") for n, v in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path} must be a table")
        return {name: _read_value(arguments[1], v, f"{path}.{name}") for name, v in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return _read_table(hint, value, path)
    return _read_scalar(hint, value, path)


def _read_union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    """A value that may be absent (`X | None`), or a scalar of one of several types as it is."""
    if value is None and NoneType in kinds:
        return None
    wanted = [kind for kind in kinds if kind is not NoneType]
    if len(wanted) == 1:
        return _read_value(wanted[0], value, path)
    if type(value) not in wanted:
        raise ConfigError(
            f"{path} must be one of the types {', '.join(k.__name__ for k in wanted)}"
        )
    return value


def _read_scalar(kind: type[Any], value: Any, path: str) -> Any:
    if kind is float and type(value) in (int, float):
        if not abs(value) <= sys.float_info.max:  # NaN is not either
            raise ConfigError(f"{path} must be a finite number")
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{path} must be of type {kind.__name__}")
    return value


def _bounded(value: Any, bounds: tuple[Any, ...], path: str) -> Any:
    for bound in bounds:
        if fault := bound.fault(value):
            raise ConfigError(f"{path} {fault}")
    return value
