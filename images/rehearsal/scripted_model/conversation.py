"""What the three dialects have in common: the words between the script and a provider's format.

Every call of a tool carries the number of its step in its id, and the CLIs send that id back with
the tool's output. So the conversation in a request says by itself how far the script has come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

CHARACTERS_PER_TOKEN = 4
_STEP_IN_ID = re.compile(r"rehearsal_(\d{1,6})$")
_CLI_BLOCK = re.compile(r"<([a-z_-]+)>.*?</\1>", re.DOTALL)


@dataclass(frozen=True)
class Prompt:
    """A person (here: the runner) spoke."""

    text: str


@dataclass(frozen=True)
class Output:
    """The tool call of step `step` came back with `text`."""

    step: int
    text: str


@dataclass(frozen=True)
class Said:
    """The model's own turn in the history, with or without tool calls."""


Event = Prompt | Output | Said
Observation = Prompt | Output


@dataclass(frozen=True)
class Shell:
    """Run `command` in the CLI's own shell; `purpose` is what the model says about it."""

    command: str
    purpose: str


@dataclass(frozen=True)
class Poll:
    """Look again at a command that still runs in shell session `session` (Codex only)."""

    session: int
    purpose: str = "wait for the command"


@dataclass(frozen=True)
class Say:
    """Say `text` and end the turn."""

    text: str


Step = Shell | Poll | Say


@dataclass(frozen=True)
class Conversation:
    """One request, whatever its dialect.

    Args:
        events: what happened so far, oldest first.
        tools: names of the tools on offer.
        model: the slug asked for, echoed in the answer.
        streamed: whether the answer goes out as server-sent events.
        input_tokens: estimate for the whole request.
        cached_tokens: the part of it that the request before had sent already.
        schema: the JSON schema that the answer has to obey, if any.
    """

    events: tuple[Event, ...]
    tools: frozenset[str]
    model: str
    streamed: bool
    input_tokens: int
    cached_tokens: int = 0
    schema: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the model answers: `step` number `number` of the script (or of a side request)."""

    conversation: Conversation
    number: int
    step: Step

    @property
    def text(self) -> str:
        """What the model says, beside a tool call or alone."""
        return self.step.text if isinstance(self.step, Say) else self.step.purpose

    @property
    def output_tokens(self) -> int:
        """Estimate for what the model wrote, tool call included."""
        command = self.step.command if isinstance(self.step, Shell) else ""
        return tokens(self.text + command)

    def call_id(self, prefix: str) -> str:
        """The id of the step's tool call, `prefix` being the provider's habit (`toolu_`)."""
        return f"{prefix}rehearsal_{self.number:05d}"


def tokens(text: str) -> int:
    """About how many tokens `text` has: one for four characters, at least one."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


def step_of(call_id: object) -> int | None:
    """The number of the step whose tool call has this id; None for an id that is not ours."""
    found = _STEP_IN_ID.search(call_id) if isinstance(call_id, str) else None
    return int(found.group(1)) if found else None


def prompt(text: str) -> Prompt | None:
    """What a person said in `text`, without the tagged blocks that the CLIs put in themselves."""
    own = _CLI_BLOCK.sub("", text).strip()
    return Prompt(own) if own else None
