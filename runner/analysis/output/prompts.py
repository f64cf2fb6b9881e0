"""What each agent was told, as it was sent: a Markdown file for each run."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from runner.records.layout import RunDir
from runner.records.prompts import read_prompts
from runner.records.schema import PromptRecord
from runner.results.markdown import harmless

FIRST_TURN = ("first", "fresh")  # one of these begins the first turn


def prompts_by_run(runs: pd.DataFrame) -> dict[str, list[PromptRecord]]:
    """Run → what its agent was told, for each agent's run in `Frames.runs`.

    The list is empty for a run from before prompts were kept.
    """
    agents = runs[runs["kind"] == "agent"]
    return {
        str(run): _kept(Path(path)) for run, path in zip(agents["run"], agents["path"], strict=True)
    }


def _kept(path: Path) -> list[PromptRecord]:
    try:
        return read_prompts(RunDir(path))
    except OSError:
        return []


def at_the_start(prompts: list[PromptRecord]) -> list[PromptRecord]:
    """What an agent had been told when its first turn began."""
    for count, prompt in enumerate(prompts, start=1):
        if prompt.name in FIRST_TURN:
            return prompts[:count]
    return prompts


def as_markdown(title: str, prompts: list[PromptRecord]) -> str:
    """The texts, each in a block that no text can close."""
    parts = [f"# What the agent of {harmless(title)} was told", ""]
    for prompt in prompts:
        longest = max((len(run) for run in re.findall(r"`+", prompt.text)), default=0)
        fence = "`" * max(3, longest + 1)
        parts += [f"## {harmless(prompt.name)}", "", f"Sent {harmless(prompt.at)}", ""]
        parts += [f"{fence}text", prompt.text, fence, ""]
    return "\n".join(parts)
