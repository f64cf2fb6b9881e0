"""Claude Code: `claude -p … --output-format stream-json`."""

from __future__ import annotations

from collections.abc import Iterable

from runner.agents.base import (
    RELAY_URL,
    Reading,
    Turn,
    TurnOrder,
    TurnOutcome,
    events,
    part,
    parts,
    text,
)

FULL_CONTEXT_TOKENS = 1_000_000
# Requests that the CLI makes by itself (a summary, a sub-agent of any name) go to the run's model,
# because a run measures one model, at one price. No sub-agent's definition can name another one.
PINNED = (
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_AUTO_MODE_MODEL",
    "CLAUDE_CODE_BG_CLASSIFIER_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_WORKFLOW_SUBAGENT_MODEL",
)
LOST_MARKS = ("no conversation found", "prompt is too long")


class ClaudeCode:
    """Anthropic's CLI. Settings that are the same for all runs are in its managed-settings.json."""

    instructions_file = "CLAUDE.md"

    def turn(self, order: TurnOrder) -> Turn:
        """The command line and environment of a turn."""
        argv = ["claude", "-p", order.prompt, "--model", _model(order)]
        argv += ["--dangerously-skip-permissions", "--output-format", "stream-json", "--verbose"]
        argv += ["--disallowedTools", "WebSearch,WebFetch"]
        if order.resume:
            argv.append("--continue")
        return Turn(argv, _environment(order))

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """Counts tool results. Of several result events the last one counts."""
        read = Reading()
        for event in events(lines):
            if event.get("type") == "user":
                blocks = parts(part(event, "message"), "content")
                read.tool_calls += sum(block.get("type") == "tool_result" for block in blocks)
            elif event.get("type") == "result":
                read.finished = event.get("subtype") == "success" and event.get("is_error") is False
                said = text(event.get("result")) or text(event.get("errors"))
                read.error = "" if read.finished else said
        return read.outcome(exit_code, stderr_tail, LOST_MARKS)


CLI = ClaudeCode()


def _model(order: TurnOrder) -> str:
    """Models of the 4.6 generation get their long window by a suffix, which the CLI removes."""
    long = (order.context_tokens or 0) >= FULL_CONTEXT_TOKENS
    return f"{order.model}[1m]" if long and not order.model.endswith("[1m]") else order.model


def _environment(order: TurnOrder) -> dict[str, str]:
    env = {"ANTHROPIC_BASE_URL": RELAY_URL, "ANTHROPIC_API_KEY": order.token}
    env |= dict.fromkeys(PINNED, _model(order))
    if order.context_tokens is not None and order.context_tokens < FULL_CONTEXT_TOKENS:
        env["CLAUDE_CODE_DISABLE_1M_CONTEXT"] = "1"
    return env
