"""What the events of Claude Code's `stream-json` say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def describe(event: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """What is worth a line: words of the model, calls of tools, errors, the result."""
    kind = event.get("type")
    if kind == "assistant":
        yield from _blocks(event.get("message"))
    elif kind == "result":
        yield "result", event.get("subtype", "?")
    elif kind == "error":
        yield "error", event.get("message") or event.get("error", "?")


def _blocks(message: object) -> Iterator[tuple[object, ...]]:
    content = message.get("content") if isinstance(message, dict) else None
    for block in content if isinstance(content, list) else []:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "text":
            yield "model", block.get("text", "")
        elif block.get("type") == "tool_use":
            yield "tool", block.get("name", "?"), block.get("input")
