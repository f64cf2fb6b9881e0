"""What every agent CLI has in common: how a turn is ordered, and how its transcript is judged.

A transcript is the text of an untrusted party: any bytes, any size, and perhaps made to mislead.
Reading it is bounded and never raises. Exit codes and result events can both be wrong, so a turn is
good only when its last result is good *and* at least one tool call was completed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

RELAY_URL = "http://127.0.0.1:8080"
MAX_LINE_CHARS = 1024 * 1024
MAX_TEXT_CHARS = 4000
LONG_STRING_CHARS, SHORT_STRING_CHARS = 32 * 1024, 64
# A character of a JSON string as it is written. All repetitions are possessive, so that a hostile
# line is read once and not again from each of its quotes.
CHARACTER = r'(?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|.))'


@dataclass(frozen=True)
class TurnOrder:
    """What a turn is to do, whichever CLI runs it.

    Args:
        model: the provider's name of the model.
        prompt: the turn's prompt.
        resume: whether to go on with the session of the turn before.
        token: by which the gateway knows this run; it takes the place of an API key.
        context_tokens: the context window that the CLI may use, or None for the model's own.
    """

    model: str
    prompt: str
    resume: bool
    token: str
    context_tokens: int | None = None


@dataclass(frozen=True)
class Turn:
    """The command line of a turn, and the environment that is added for it."""

    argv: list[str]
    env: dict[str, str]


OutcomeKind = Literal["good", "idle", "failed"]


@dataclass(frozen=True)
class TurnOutcome:
    """How a turn went, by its transcript.

    `kind`: it ended well after a tool call, ended well without one, or did not end well.
    `session_lost`: the session cannot be resumed, because there is none or because it has outgrown
    the model's window. The next turn starts a new one.
    """

    kind: OutcomeKind
    tool_calls: int
    error: str
    session_lost: bool = False

    @property
    def good(self) -> bool:
        return self.kind == "good"


class AgentCli(Protocol):
    """One agent CLI. The module `runner/agents/<cli>.py` of each has an instance named `CLI`.

    `instructions_file`: the name of the file in a repository that the CLI reads in each session.
    """

    instructions_file: str

    def turn(self, order: TurnOrder) -> Turn:
        """The command line and environment of a turn."""

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """How a turn went, by the lines of its transcript, its exit code, and the end of stderr."""


def events(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The JSON objects among the lines; anything else is skipped.

    The result of a tool can be a picture, in a line of many megabytes. The strings of such a line
    are shortened before it is read; if it is still too long, it is skipped.
    """
    for line in lines:
        if not line.lstrip().startswith("{"):
            continue
        short = _shortened(line)
        if len(short) > MAX_LINE_CHARS:
            continue
        try:
            body = json.loads(short)
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict):
            yield body


def _shortened(line: str) -> str:
    """The line, with its strings shortened if it is too long."""
    for most in (LONG_STRING_CHARS, SHORT_STRING_CHARS):
        if len(line) > MAX_LINE_CHARS:
            line = with_short_strings(line, most)
    return line


def with_short_strings(line: str, most: int) -> str:
    """The line, with each string cut to `most` characters. A string without an end is kept."""
    pattern = re.compile(
        rf'(?P<kept>(?:[^"]++|"{CHARACTER}{{0,{most}}}+")*+"{CHARACTER}{{{most}}}+)'
        rf"{CHARACTER}*+(?P<end>\"?)",
        re.DOTALL,
    )
    pieces: list[str] = []
    place = 0
    while found := pattern.match(line, place):
        pieces += found["kept"], found["end"]
        place = found.end()
    return "".join([*pieces, line[place:]])


def text(value: object) -> str:
    """The text in a JSON value, bounded: a string, an object's message, or a list of strings."""
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
    """What was found so far while a transcript is read from top to bottom.

    `finished`: the last result event so far claims success.
    """

    finished: bool = False
    tool_calls: int = 0
    error: str = ""

    def outcome(self, exit_code: int, stderr_tail: str, lost_marks: Iterable[str]) -> TurnOutcome:
        """The outcome, with the best explanation that there is when it is not good.

        Args:
            exit_code: the CLI's, negative for a signal.
            stderr_tail: the end of what it printed on stderr.
            lost_marks: what the CLI prints, in lower case, when a session cannot be resumed.
        """
        if self.finished and exit_code == 0:
            if self.tool_calls > 0:
                return TurnOutcome("good", self.tool_calls, "")
            return TurnOutcome("idle", 0, "ended without a single tool call")
        error = self.error or stderr_tail.strip()[-MAX_TEXT_CHARS:] or _explained(exit_code)
        said = f"{error}\n{stderr_tail}".lower()
        lost = any(mark in said for mark in lost_marks)
        return TurnOutcome("failed", self.tool_calls, error, lost)


def _explained(exit_code: int) -> str:
    if exit_code != 0:
        return f"exit code {exit_code} without an explanation"
    return "ended without a result"
