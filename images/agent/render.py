"""Turns a CLI's stream of JSON lines into a few short lines for whoever reads `docker logs`.

What an event of the stream says is the knowledge of the CLI's own `render.py`, which the image
holds as `agent/render.py`. The stream is the agent's output: any bytes may come. A line that is
not understood is left out (the transcript has it), control characters never reach a terminal, and
nothing here raises, whatever the CLI's own file does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

MAX_LINE_BYTES = 1024 * 1024
MAX_SHOWN_CHARS = 200

# What of an event is worth a line, each a tuple:
#   ("model", text)            what the model says
#   ("piece", text)            a part of what it says; pieces in a row make one line
#   ("tool", name, arguments)  a call of a tool, its arguments a dict or a text
#   ("result", text), ("error", text)
Describe = Callable[[dict[str, Any]], Iterator[tuple[object, ...]]]


def load_describe() -> Describe:
    """The function of the CLI whose image this is."""
    describe: Describe = importlib.import_module("agent.render").describe
    return describe


class Renderer:
    """Takes the raw bytes of a CLI's stream and calls `say` with short lines.

    Args:
        say: prints one short line for a person.
        describe: what an event of this CLI says.
    """

    def __init__(self, say: Callable[[str], None], describe: Describe) -> None:
        self._say = say
        self._describe = describe
        self._pending = bytearray()
        self._overlong = False
        self._speech = ""
        self._failed = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes; complete lines are rendered at once."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            if not self._overlong:
                self._render(bytes(self._pending + end))
            self._pending.clear()
            self._overlong = False
        self._pending += rest
        if len(self._pending) > MAX_LINE_BYTES:
            self._pending.clear()
            self._overlong = True

    def close(self) -> None:
        """Render what the stream ended with."""
        self.feed(b"\n")
        self._end_speech()

    def _render(self, line: bytes) -> None:
        body: object = None
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(line)
        if isinstance(body, dict):
            try:
                self._show(body)
            except Exception as error:  # noqa: BLE001 # a fault in the file of a CLI ends no turn
                self._tell_once(f"rendering failed: {type(error).__name__}: {error}")

    def _tell_once(self, failure: str) -> None:
        if not self._failed:
            self._say(shorten(failure))
        self._failed = True

    def _show(self, event: dict[str, Any]) -> None:
        found = list(self._describe(event))
        if not any(kind == "piece" for kind, *_ in found):
            self._end_speech()
        for said in found:
            match said:
                case ("piece", text):
                    if len(self._speech) < MAX_SHOWN_CHARS:
                        self._speech += str(text)
                case ("tool", name, arguments):
                    self._say(shorten(f"tool: {name} {_argument(arguments)}"))
                case (kind, text):
                    self._say(shorten(f"{kind}: {text}"))

    def _end_speech(self) -> None:
        if self._speech.strip():
            self._say(shorten(f"model: {self._speech}"))
        self._speech = ""


def shorten(text: str) -> str:
    """At most `MAX_SHOWN_CHARS` printable characters of `text`, on one line."""
    flat = " ".join(text[: 4 * MAX_SHOWN_CHARS].split())
    clean = "".join(char if char.isprintable() else "?" for char in flat)
    return clean if len(clean) <= MAX_SHOWN_CHARS else clean[: MAX_SHOWN_CHARS - 1] + "…"


def _argument(arguments: object) -> str:
    """The most telling argument of a tool call."""
    if not isinstance(arguments, dict):
        return str(arguments or "")
    for name in ("command", "file_path", "path", "pattern", "prompt"):
        if name in arguments:
            return str(arguments[name])
    return str(next(iter(arguments.values()), ""))
