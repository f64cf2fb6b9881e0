"""Turns a CLI's stream of JSON lines into a few short lines for whoever reads `docker logs`.

The stream is the agent's own output: any bytes may come. A line that is not understood is left
out (the transcript has it), control characters never reach a terminal, and nothing here raises.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

MAX_LINE_BYTES = 1024 * 1024
MAX_SHOWN_CHARS = 200


class Renderer:
    """Feeds on raw bytes of any of the three CLIs and calls `say` with short lines."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pending = b""
        self._overlong = False
        self._speech = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; complete lines are rendered at once."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if not self._overlong:
                self._render(line)
            self._overlong = False
        if len(self._pending) > MAX_LINE_BYTES:
            self._pending, self._overlong = b"", True

    def close(self) -> None:
        """Render what the stream ended with."""
        self.feed(b"\n")
        self._end_speech()

    def _render(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(line)
            if isinstance(body, dict):
                self._show(body)

    def _show(self, body: dict[str, Any]) -> None:
        if body.get("type") == "message":
            if body.get("role") == "assistant" and len(self._speech) < MAX_SHOWN_CHARS:
                self._speech += str(body.get("content", ""))  # Gemini sends words in pieces
            return
        self._end_speech()
        for text in _shown(body):
            self._say(shorten(text))

    def _end_speech(self) -> None:
        if self._speech.strip():
            self._say(shorten(f"model: {self._speech}"))
        self._speech = ""


def shorten(text: str) -> str:
    """At most `MAX_SHOWN_CHARS` printable characters of `text`, on one line."""
    flat = " ".join(text[: 4 * MAX_SHOWN_CHARS].split())
    clean = "".join(char if char.isprintable() else "?" for char in flat)
    return clean if len(clean) <= MAX_SHOWN_CHARS else clean[: MAX_SHOWN_CHARS - 1] + "…"


def _shown(body: dict[str, Any]) -> Iterator[str]:
    """What of one event is worth a line: words of the model, tool calls, errors, the result."""
    kind = body.get("type")
    if kind == "assistant":
        yield from _claude_blocks(body.get("message"))
    elif kind == "item.started" or kind == "item.completed":
        yield from _codex_item(kind, body.get("item"))
    elif kind == "tool_use":
        yield f"tool: {body.get('tool_name', '?')} {_argument(body.get('parameters'))}"
    elif kind == "result":
        yield f"result: {body.get('subtype') or body.get('status', '?')}"
    elif kind == "error" or kind == "turn.failed":
        yield f"error: {body.get('message') or body.get('error', '?')}"


def _claude_blocks(message: object) -> Iterator[str]:
    content = message.get("content") if isinstance(message, dict) else None
    for block in content if isinstance(content, list) else []:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "text":
            yield f"model: {block.get('text', '')}"
        elif block.get("type") == "tool_use":
            yield f"tool: {block.get('name', '?')} {_argument(block.get('input'))}"


def _codex_item(kind: str, item: object) -> Iterator[str]:
    if not isinstance(item, dict):
        return
    what = item.get("type")
    if what == "agent_message" and kind == "item.completed":
        yield f"model: {item.get('text', '')}"
    elif what == "command_execution" and kind == "item.started":
        yield f"tool: shell {item.get('command', '')}"
    elif what == "file_change" and kind == "item.completed":
        yield f"tool: edit {item.get('changes', '')}"
    elif what == "error":
        yield f"error: {item.get('message', '')}"


def _argument(arguments: object) -> str:
    """The most telling argument of a tool call."""
    if not isinstance(arguments, dict):
        return ""
    for name in ("command", "file_path", "path", "pattern", "prompt"):
        if name in arguments:
            return str(arguments[name])
    return str(next(iter(arguments.values()), ""))
