"""What every agent CLI has in common: how a turn is asked for, and how its transcript is judged.

A transcript is an untrusted party's text: any bytes, any size, made to mislead. Reading it is
bounded and never raises. Exit codes and result events both lie now and then, so a turn is good only
when its last result is good *and* at least one tool call was completed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

RELAY_URL = "http://127.0.0.1:8080"
MAX_LINES = 200_000
MAX_LINE_CHARS = 1024 * 1024
MAX_TEXT_CHARS = 4000


@dataclass(frozen=True)
class TurnOrder:
    """What a turn is to do, whichever CLI runs it.

    Args:
        model: the provider's name of the model.
        prompt: the first words of the turn.
        resume: go on with the session of the turn before.
        token: what the gateway knows this run by; it stands where a key would.
        context_tokens: the window that the CLI is held to, or None for the model's own.
    """

    model: str
    prompt: str
    resume: bool
    token: str
    context_tokens: int | None = None


@dataclass(frozen=True)
class Turn:
    """A CLI invocation, ready for `TurnStart`."""

    argv: list[str]
    env: dict[str, str]


@dataclass(frozen=True)
class TurnOutcome:
    """What a transcript says of its turn.

    `session_lost` means that resuming is of no use, because there is no session or because it has
    outgrown the model's window: the next turn starts afresh.
    """

    good: bool
    tool_calls: int
    final_text: str
    error: str
    session_lost: bool = False


class AgentCli(Protocol):
    """One agent CLI. A new one is a file with these two functions and a row in `CLIS`.

    `instructions_file` is what the CLI reads in a repository of its own accord, each session.
    """

    instructions_file: str

    def turn(self, order: TurnOrder) -> Turn:
        """The command line and environment of a turn."""

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """How a turn went, from the lines of its transcript, its exit code, and its last words."""


def events(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The JSON objects among the lines; anything else is passed over."""
    for line in itertools.islice(lines, MAX_LINES):
        if len(line) > MAX_LINE_CHARS or not line.lstrip().startswith("{"):
            continue
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict):
            yield body


def text(value: object) -> str:
    """The words in a JSON value, bounded: a string, an object's message, or a list of strings."""
    if isinstance(value, dict):
        value = value.get("message")
    if isinstance(value, list):
        value = "; ".join(item for item in value if isinstance(item, str))
    return value[:MAX_TEXT_CHARS] if isinstance(value, str) else ""


def part(value: object, key: str) -> Mapping[str, Any]:
    """The object at `key`, or an empty one."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def parts(value: object, key: str) -> list[Mapping[str, Any]]:
    """The objects in the list at `key`."""
    inner = value.get(key) if isinstance(value, dict) else None
    return [item for item in inner if isinstance(item, dict)] if isinstance(inner, list) else []


@dataclass
class Reading:
    """What is known while a transcript is read from top to bottom.

    `finished` says that the last result event so far claims success.
    """

    finished: bool = False
    tool_calls: int = 0
    final_text: str = ""
    error: str = ""

    def outcome(self, exit_code: int, stderr_tail: str, lost_marks: Iterable[str]) -> TurnOutcome:
        """The outcome, with the best explanation at hand when it is not good.

        Args:
            exit_code: the CLI's, negative for a signal.
            stderr_tail: its last words.
            lost_marks: what the CLI says, in small letters, when a session cannot be resumed.
        """
        if self.finished and exit_code == 0 and self.tool_calls > 0:
            return TurnOutcome(True, self.tool_calls, self.final_text, "")
        error = self.error or stderr_tail.strip()[-MAX_TEXT_CHARS:] or self._explained(exit_code)
        said = f"{error}\n{stderr_tail}".lower()
        lost = any(mark in said for mark in lost_marks)
        return TurnOutcome(False, self.tool_calls, self.final_text, error, lost)

    def _explained(self, exit_code: int) -> str:
        if exit_code != 0:
            return f"exit code {exit_code} without a word"
        if not self.finished:
            return "ended without a result"
        return "ended without a single tool call"
