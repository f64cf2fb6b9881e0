"""What the three dialects have in common: steps of the script, requests, answers and their bills.

Every call of a tool has the number of its step in its id, and the CLIs send that id back with the
tool's output. So the conversation in a request tells how far the script has come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .weight import tokens

CUTS = ("first", "second", "third")  # names of streams that fail
_STEP_IN_ID = re.compile(r"rehearsal_(\d{1,6})$")
_CLI_BLOCK = re.compile(r"<([a-z_-]+)>.*?</\1>", re.DOTALL)


@dataclass(frozen=True)
class Prompt:
    """A prompt, which is a person's (here: the runner's)."""

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
    """Run `command` in the CLI's own shell; `purpose` is what the model says about it.

    Where `cut` has a name, the stream fails the first time that a step of this name is asked for.
    `thinking` tokens are billed beside the step.
    """

    command: str
    purpose: str
    cut: str = ""
    thinking: int = 0


@dataclass(frozen=True)
class Poll:
    """Look again at a command that still runs in the CLI's shell session `session`."""

    session: int
    purpose: str = "wait for the command"


@dataclass(frozen=True)
class Look:
    """Read a file of the workspace with the CLI's own tool for reading, where it has one."""

    path: str
    purpose: str


@dataclass(frozen=True)
class Delegate:
    """Have a sub-agent do `task`: on the run's model, or on a smaller one that the CLI offers."""

    task: str
    purpose: str
    smaller: bool = False


@dataclass(frozen=True)
class Await:
    """Wait for the sub-agents that were started."""

    agents: tuple[str, ...]
    purpose: str = "wait for the sub-agent"


@dataclass(frozen=True)
class CompactEarly:
    """Make the CLI shorten its history early, from its next turn on."""

    purpose: str


@dataclass(frozen=True)
class Say:
    """Say `text` and end the turn."""

    text: str


Step = Shell | Poll | Look | Delegate | Await | CompactEarly | Say


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the CLI's tools.

    Args:
        tool: its name.
        arguments: as JSON values.
        namespace: what the tool stands in, where the provider's API has namespaces.
        script: a text in place of the arguments, for a tool that takes one.
    """

    tool: str
    arguments: dict[str, Any]
    namespace: str = ""
    script: str = ""


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
        output_limit: the most tokens that the answer may have, thinking included.
        cache: the cache that the request writes to: "", "5m" or "1h".
    """

    events: tuple[Event, ...]
    tools: frozenset[str]
    model: str
    streamed: bool
    input_tokens: int
    cached_tokens: int = 0
    schema: dict[str, Any] = field(default_factory=dict)
    output_limit: int | None = None
    cache: str = ""


@dataclass(frozen=True)
class Bill:
    """What the provider charges for an answer, in tokens; no token is in two of the fields."""

    input: int
    cached_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int

    @property
    def prompt(self) -> int:
        """All tokens of the prompt."""
        return self.input + self.cached_read + self.cache_write_5m + self.cache_write_1h


@dataclass(frozen=True)
class Answer:
    """What the model answers: `step` number `number` of the script (or of a side request).

    Args:
        conversation: the request.
        number: which step of the script it is.
        step: the step.
        call: the tool that it needs; None when the model only talks.
        thread: the sub-agent that asked; empty for the main one.
        cut: its stream fails after the first words.
    """

    conversation: Conversation
    number: int
    step: Step
    call: ToolCall | None = None
    thread: str = ""
    cut: bool = False

    @property
    def text(self) -> str:
        """What the model says, beside a tool call or alone."""
        return self.step.text if isinstance(self.step, Say) else self.step.purpose

    @property
    def written_tokens(self) -> int:
        """Estimate for what the model wrote, tool call included."""
        command = self.step.command if isinstance(self.step, Shell) else ""
        return tokens(self.text + command)

    def thinking_tokens(self, least: int) -> int:
        """Tokens of thinking before the answer: at least `least`, within the request's limit."""
        wanted = self.step.thinking if isinstance(self.step, Shell) else 0
        limit = self.conversation.output_limit
        room = wanted if limit is None else limit - self.written_tokens - least
        return least + max(0, min(wanted, room))

    def bill(self, thinking: int) -> Bill:
        """What is charged when the model thought so many tokens."""
        asked = self.conversation
        fresh = asked.input_tokens - asked.cached_tokens
        short, long = (fresh if asked.cache == kind else 0 for kind in ("5m", "1h"))
        output = self.written_tokens + thinking
        return Bill(fresh - short - long, asked.cached_tokens, short, long, output)

    def call_id(self, prefix: str) -> str:
        """The id of the step's tool call, `prefix` being the provider's habit (`toolu_`)."""
        return f"{prefix}{self.thread}rehearsal_{self.number:05d}"


def step_of(call_id: object) -> int | None:
    """The number of the step whose tool call has this id; None for an id that is not ours."""
    found = _STEP_IN_ID.search(call_id) if isinstance(call_id, str) else None
    return int(found.group(1)) if found else None


def prompt(text: str) -> Prompt | None:
    """What a person said in `text`, without the tagged blocks that the CLIs put in themselves."""
    own = _CLI_BLOCK.sub("", text).strip()
    return Prompt(own) if own else None
