"""Codex CLI: `codex exec --json`."""

from __future__ import annotations

from collections.abc import Iterable

from runner.agents.base import Reading, Turn, TurnOrder, TurnOutcome, events, part, text

LOST_MARKS = ("no rollout found", "no saved session found", "ran out of room in the model")
TOOL_ITEMS = {"command_execution", "file_change", "mcp_tool_call", "custom_tool_call"}


class Codex:
    """OpenAI's CLI. Its managed_config.toml defines the gateway as a model provider."""

    instructions_file = "AGENTS.md"

    def turn(self, order: TurnOrder) -> Turn:
        """The command line and environment of a turn."""
        argv = ["codex", "exec"] + (["resume", "--last"] if order.resume else [])
        argv += ["--json", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check"]
        argv += ["--model", order.model]
        if order.context_tokens is not None:
            argv += ["--config", f"model_context_window={order.context_tokens}"]
        return Turn([*argv, order.prompt], {"OPENAI_API_KEY": order.token})

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """Counts completed items of tools. Errors before a completed turn were only retries."""
        read = Reading()
        for event in events(lines):
            item = part(event, "item")
            match event.get("type"):
                case "item.completed" if str(item.get("type")) in TOOL_ITEMS:
                    read.tool_calls += 1
                case "turn.started":
                    read.finished = False
                case "turn.completed":
                    read.finished, read.error = True, ""
                case "turn.failed":
                    read.finished, read.error = False, text(event.get("error"))
                case "error":
                    read.error = text(event.get("message"))
        return read.outcome(exit_code, stderr_tail, LOST_MARKS)


CLI = Codex()
