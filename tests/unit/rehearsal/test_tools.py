"""How steps become calls of a CLI's tools, by the tables of its cli.toml."""

from __future__ import annotations

from typing import Any

import pytest

from images.rehearsal.scripted_model.conversation import (
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
from images.rehearsal.scripted_model.tools import CliTools
from runner.build.agent_images import cli_names
from runner.records.layout import ROOT

from .play import cli_tools

OFFERED = frozenset({"run"})
PLAIN: dict[str, Any] = {"shell": {"tool": "run", "arguments": {"cmd": "$command"}}}
STEPS = (
    Shell("ls", "list"), Poll(7), Look("a.png", "look"), Look("a.txt", "read"),
    Delegate("task", "delegate"), Delegate("task", "delegate", True), Await(("1",)),
    CompactEarly("compact"),
)  # fmt: skip


def test_values_keep_their_types() -> None:
    """A text that is one name alone becomes the value itself; in a longer text it is filled in."""
    table = {
        "tool": "t",
        "arguments": {"id": "$session", "all": ["$session"], "say": "$purpose of $session", "n": 1},
    }
    tools = CliTools([{**PLAIN, "poll": table, "await": table | {"arguments": {"a": "$agents"}}}])
    call = tools.call(Poll(7, "wait"), OFFERED)
    assert call == ToolCall("t", {"id": 7, "all": [7], "say": "wait of 7", "n": 1})
    call = tools.call(Await(("x", "y")), OFFERED)
    assert call == ToolCall("t", {"a": ("x", "y")})


def test_what_a_command_holds_is_not_filled_in() -> None:
    """A dollar sign of the command is the shell's."""
    call = CliTools([PLAIN]).call(Shell("echo $HOME $command", ""), OFFERED)
    assert call == ToolCall("run", {"cmd": "echo $HOME $command"})


def test_the_set_is_told_by_its_shell() -> None:
    """The one whose shell is offered; where there is no telling, the last."""
    other = {"shell": {"tool": "other", "script": "do($arguments)"}}
    tools = CliTools([PLAIN, other])
    assert tools.call(Shell("ls", ""), frozenset({"run"})) == ToolCall("run", {"cmd": "ls"})
    scripted = ToolCall("other", {}, script="do({})")
    assert tools.call(Shell("ls", ""), frozenset({"other"})) == scripted
    assert tools.call(Shell("ls", ""), frozenset()) == scripted
    assert tools.has_shell(frozenset({"other", "x"}))
    assert not tools.has_shell(frozenset({"x"}))


def test_a_suffix_goes_before_the_kind() -> None:
    """A picture may need another tool than a text."""
    tools = CliTools([{**PLAIN, "read": {"tool": "text"}, "read.png": {"tool": "picture"}}])
    assert tools.call(Look("a.png", ""), OFFERED) == ToolCall("picture", {})
    assert tools.call(Look("a.pdf", ""), OFFERED) == ToolCall("text", {})


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_without_a_tool_is_a_command_that_says_so(step: Step) -> None:
    """A plain CLI needs no more than a shell."""
    call = CliTools([PLAIN]).call(step, OFFERED)
    assert call is not None
    assert call.tool == "run"
    assert call.arguments["cmd"].startswith("echo 'this CLI has no tool for: ")


def test_a_turn_ends_by_a_tool_where_that_is_offered() -> None:
    """A sub-agent may have to call a tool to end; the main one only speaks."""
    tools = CliTools([{**PLAIN, "finish": {"tool": "end", "arguments": {"said": "$text"}}}])
    assert tools.call(Say("done"), frozenset({"run"})) is None
    assert tools.call(Say("done"), frozenset({"run", "end"})) == ToolCall("end", {"said": "done"})
    assert CliTools([PLAIN]).call(Say("done"), OFFERED) is None


@pytest.mark.parametrize("cli", cli_names(ROOT))
def test_every_cli_of_ours_has_a_tool_for_its_steps(cli: str) -> None:
    """Each table can be filled in; only Codex has sub-agents and commands to wait for."""
    tools = cli_tools(cli)
    for step in STEPS:
        call = tools.call(step, frozenset())
        assert call is not None
        missing = "has no tool" in str(call.arguments)
        assert missing == (cli != "codex" and isinstance(step, Poll | Await))


@pytest.mark.parametrize(
    ("sets", "named"),
    [
        ([], "shell"),
        ([{}], "shell"),
        ([PLAIN, {"read": {"tool": "t"}}], "shell"),
        ([{"shell": {"arguments": {}}}], "shell"),
        ([{**PLAIN, "read": {"tool": "t", "voice": 1}}], "read"),
        ([{**PLAIN, "read": "t"}], "read"),
    ],
)
def test_tables_that_cannot_be_used_are_named(sets: list[Any], named: str) -> None:
    """A set without a shell, a table without a tool, and one with a field too many."""
    with pytest.raises(ValueError, match=named):
        CliTools(sets)
