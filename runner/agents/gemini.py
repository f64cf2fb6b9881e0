"""Gemini CLI: `gemini -p … -o stream-json`."""

from __future__ import annotations

from collections.abc import Iterable

from runner.agents.base import (
    RELAY_URL,
    Reading,
    Turn,
    TurnOrder,
    TurnOutcome,
    events,
    text,
)

LOST_MARKS = (
    "no previous sessions found",
    "error resuming session",
    "exceeds the maximum number of tokens",
)


class GeminiCli:
    """Google's CLI. It sometimes prints lines that are not JSON."""

    instructions_file = "GEMINI.md"

    def turn(self, order: TurnOrder) -> Turn:
        """The command line and environment of a turn."""
        argv = ["gemini", "--prompt", order.prompt, "--model", order.model]
        argv += ["--yolo", "--output-format", "stream-json"]
        if order.resume:
            argv += ["--resume", "latest"]
        # Its settings in the image send the requests that it makes by itself to this model.
        env = {
            "BAKEOFF_MODEL": order.model,
            "GOOGLE_GEMINI_BASE_URL": RELAY_URL,
            "GEMINI_API_KEY": order.token,
            "GEMINI_CLI_NO_RELAUNCH": "true",
        }
        return Turn(argv, env)

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """Counts tool results. Exit code 0 without a result event means that it was terminated."""
        read = Reading()
        for event in events(lines):
            match event.get("type"):
                case "tool_result":
                    read.tool_calls += 1
                case "result":
                    read.finished = event.get("status") == "success"
                    read.error = "" if read.finished else text(event.get("error")) or read.error
                case "error":
                    read.error = text(event.get("message"))
        return read.outcome(exit_code, stderr_tail, LOST_MARKS)


CLI = GeminiCli()
