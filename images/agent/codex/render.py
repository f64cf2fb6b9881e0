"""What the events of `codex exec --json` say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def describe(event: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """What is worth a line: words of the model, calls of tools, errors."""
    kind = event.get("type")
    if kind in ("item.started", "item.completed"):
        yield from _item(kind, event.get("item"))
    elif kind in ("error", "turn.failed"):
        yield "error", event.get("message") or event.get("error", "?")


def _item(kind: str, item: object) -> Iterator[tuple[object, ...]]:
    if not isinstance(item, dict):
        return
    what = item.get("type")
    if what == "agent_message" and kind == "item.completed":
        yield "model", item.get("text", "")
    elif what == "command_execution" and kind == "item.started":
        yield "tool", "shell", item.get("command", "")
    elif what == "file_change" and kind == "item.completed":
        yield "tool", "edit", str(item.get("changes", ""))
    elif what == "error":
        yield "error", item.get("message", "")
