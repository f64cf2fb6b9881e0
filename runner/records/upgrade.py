"""Reads records of schema version 1 as records of the present version.

This is the one place that knows what has changed:

- Version 1 had one metric, `val_bpb`, and the field of a value had the metric's name.
- Since version 2 that field is called `value`, and a run's spec and result hold the `metric`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from runner.metrics import VAL_BPB

SCHEMA_VERSION = 2


def upgraded(body: Any, fields: Container[str]) -> Any:
    """A record of any version as the present version writes it.

    Args:
        body: what was read. Anything but a record of version 1 is returned as it is.
        fields: the names of the fields that a record of this kind has now.
    """
    if not isinstance(body, dict) or body.get("schema_version") != 1:
        return body
    new = _renamed(body) | {"schema_version": SCHEMA_VERSION}
    if new.get("event") == "trial.finished" and isinstance(new.get("fields"), dict):
        new["fields"] = _renamed(new["fields"])
    if "metric" in fields:
        new.setdefault("metric", VAL_BPB.model_dump())
    return new


def _renamed(body: dict[str, Any]) -> dict[str, Any]:
    return {"value" if name == "val_bpb" else name: value for name, value in body.items()}
