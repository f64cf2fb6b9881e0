"""Answers to the small requests that a CLI makes beside its work: titles, routing, checks.

They offer no shell, so they never move the script.
"""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 8
PLAIN = {"string": "rehearsal", "integer": 0, "number": 0, "boolean": False, "array": []}


def side_text(schema: dict[str, Any]) -> str:
    """A short text, or the smallest JSON that obeys `schema` where one is given."""
    return json.dumps(smallest(schema)) if schema else "Rehearsal"


def smallest(schema: Any, depth: int = 0) -> Any:
    """The smallest plain value that a JSON schema accepts (types, enums, required fields)."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if kind == "object":
        properties: dict[str, Any] = schema.get("properties") or {}
        wanted: list[str] = list(schema.get("required") or properties)
        return {name: smallest(properties.get(name), depth + 1) for name in wanted}
    return PLAIN.get(kind)
