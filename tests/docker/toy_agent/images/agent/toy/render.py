"""What the events of the toy CLI say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def describe(event: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """What is worth a line: words of the model, and its commands."""
    if event.get("kind") == "said":
        yield "model", event.get("text", "")
    elif event.get("kind") == "began":
        yield "tool", "shell", event.get("command", "")
