"""The two ways in which Codex lets a model use its shell.

Older models get `exec_command` and `write_stdin` as functions; newer ones one custom tool, `exec`,
which takes JavaScript that calls the same two.
"""

from __future__ import annotations

import json
from typing import Any

from .conversation import Answer, Poll, Say, Shell

SHELL_TOOL, POLL_TOOL, SCRIPT_TOOL = "exec_command", "write_stdin", "exec"
LONGEST_WAIT_MILLISECONDS = 30_000  # Codex's own upper limit
# `exec` itself must wait longer than the command that it runs, else there are two things to poll.
_SCRIPT = """\
// @exec: {{"yield_time_ms": 60000}}
const seen = await tools.{tool}({arguments});
text(seen.output);
if (seen.session_id !== undefined) text("Process running with session ID " + seen.session_id);
"""
Frame = dict[str, Any]


def names(body: Frame) -> frozenset[str]:
    """The names of all tools that a request offers, newer models' namespaces included."""
    offered = list(body.get("tools", []))
    for item in body["input"] if isinstance(body.get("input"), list) else []:
        if item.get("type") == "additional_tools":
            offered += [tool for space in item["tools"] for tool in space.get("tools", [space])]
    return frozenset(tool.get("name", "") for tool in offered)


def call(answer: Answer, status: str) -> Frame | None:
    """The output item that calls the shell for this step; None when the model only talks."""
    step = answer.step
    if isinstance(step, Say):
        return None
    tool, arguments = _tool_and_arguments(step)
    item = {"status": status, "call_id": answer.call_id("call_")}
    if SHELL_TOOL in answer.conversation.tools:
        item |= {"type": "function_call", "name": tool, "arguments": json.dumps(arguments)}
        return {"id": f"fc_rehearsal_{answer.number:05d}", **item}
    source = _SCRIPT.format(tool=tool, arguments=json.dumps(arguments))
    item |= {"type": "custom_tool_call", "name": SCRIPT_TOOL, "input": source}
    return {"id": f"ctc_rehearsal_{answer.number:05d}", "namespace": "functions", **item}


def streamed_field(item: Frame) -> tuple[str, str]:
    """The field of a call that a stream sends in parts, and the name of its events."""
    if item["type"] == "function_call":
        return "arguments", "response.function_call_arguments"
    return "input", "response.custom_tool_call_input"


def _tool_and_arguments(step: Shell | Poll) -> tuple[str, Frame]:
    wait = {"yield_time_ms": LONGEST_WAIT_MILLISECONDS}
    if isinstance(step, Poll):
        return POLL_TOOL, {"session_id": step.session, "chars": "", **wait}
    return SHELL_TOOL, {"cmd": step.command, **wait}
