"""What the events of Gemini CLI's `stream-json` say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def describe(event: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """What is worth a line: words of the model (in pieces), calls of tools, errors, the result."""
    kind = event.get("type")
    if kind == "message":
        yield "piece", event.get("content", "") if event.get("role") == "assistant" else ""
    elif kind == "tool_use":
        yield "tool", event.get("tool_name", "?"), event.get("parameters")
    elif kind == "result":
        yield "result", event.get("status", "?")
    elif kind == "error":
        yield "error", event.get("message") or event.get("error", "?")
