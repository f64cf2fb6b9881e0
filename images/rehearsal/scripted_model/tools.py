"""The tools by which the scripted model works through a CLI: data of the CLI, from its `cli.toml`.

A CLI has one or more sets of tools (`[[tools]]`); which of them a request offers is told by the
name of its `shell` tool. A set has a table for each kind of step:

    shell             run $command
    poll              look again at the command that still runs in shell session $session
    read              read the file $path; `"read.png"` goes before it for files of that suffix
    delegate          give $task to a sub-agent
    delegate_smaller  the same, on a smaller model
    await             wait for the sub-agents $agents
    compact_early     make the CLI shorten its history early, from its next turn on
    finish            end a sub-agent with $text, where this tool is offered

Such a table holds the `tool` to call, its `arguments`, and where the provider's API has them, a
`namespace` and a `script`: a text that the tool gets in place of arguments, with $arguments in it.
$purpose, what the model says of the step, can stand everywhere. Of these kinds `shell` must be
there; a step that has no table becomes a command that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from string import Template
from typing import Any

from .conversation import (
    Await,
    CompactEarly,
    Delegate,
    Look,
    Poll,
    Say,
    Shell,
    Step,
    ToolCall,
)

FIELDS = {"tool", "arguments", "namespace", "script"}
KINDS: dict[type, str] = {
    Shell: "shell",
    Poll: "poll",
    Look: "read",
    Await: "await",
    CompactEarly: "compact_early",
    Say: "finish",
}


@dataclass(frozen=True)
class _Tool:
    """How a step of one kind becomes a call."""

    tool: str
    arguments: Mapping[str, Any]
    namespace: str = ""
    script: str = ""

    def call(self, values: Mapping[str, Any]) -> ToolCall:
        """The call, with the values of a step filled in."""
        arguments = _filled(self.arguments, values)
        script = Template(self.script).substitute(values, arguments=json.dumps(arguments))
        return ToolCall(self.tool, arguments, self.namespace, script)


class CliTools:
    """All sets of tools of a CLI.

    Args:
        sets: the `[[tools]]` of its `cli.toml`.
    """

    def __init__(self, sets: Sequence[Mapping[str, Any]]) -> None:
        """Raises: ValueError for what is no such list; the text names the table that is wrong."""
        self._sets = [{kind: _tool(kind, table) for kind, table in one.items()} for one in sets]
        if not self._sets or not all("shell" in one for one in self._sets):
            raise ValueError("reading the tools of the CLI: each set needs a table `shell`")

    def has_shell(self, offered: frozenset[str]) -> bool:
        """Whether a request offers a shell, as those do that move the script."""
        return any(one["shell"].tool in offered for one in self._sets)

    def call(self, step: Step, offered: frozenset[str]) -> ToolCall | None:
        """The call that a step becomes; None when the model only talks.

        Args:
            step: what the script does next.
            offered: the names of the tools that the request offers.
        """
        tools = self._of(offered)
        values = {"purpose": "", **vars(step)}
        tool = tools.get(_kind(step, tools))
        if isinstance(step, Say):
            return tool.call(values) if tool and tool.tool in offered else None
        if tool is None:
            no_tool = f"echo 'this CLI has no tool for: {_kind(step, tools)}'"
            return tools["shell"].call({**values, "command": no_tool})
        return tool.call(values)

    def _of(self, offered: frozenset[str]) -> Mapping[str, _Tool]:
        """The set that a request offers, the last one when there is no telling."""
        return next((one for one in self._sets if one["shell"].tool in offered), self._sets[-1])


def _tool(kind: str, table: Mapping[str, Any]) -> _Tool:
    if not isinstance(table, dict) or "tool" not in table or set(table) - FIELDS:
        allowed = ", ".join(sorted(FIELDS))
        raise ValueError(
            f"reading the tools of the CLI: {kind} must be a table with the field `tool`, and "
            f"with no other fields than {allowed}"
        )
    return _Tool(**{"arguments": {}, **table})


def _kind(step: Step, tools: Mapping[str, _Tool]) -> str:
    if isinstance(step, Delegate):
        return "delegate_smaller" if step.smaller else "delegate"
    if isinstance(step, Look):
        own = f"read{PurePosixPath(step.path).suffix}"
        return own if own in tools else "read"
    return KINDS[type(step)]


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with each $name replaced; a string that is one name keeps the value's type."""
    if isinstance(template, dict):
        return {key: _filled(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [_filled(item, values) for item in template]
    if not isinstance(template, str):
        return template
    alone = template.removeprefix("$")
    if template.startswith("$") and alone in values:
        return values[alone]
    return Template(template).substitute(values)
