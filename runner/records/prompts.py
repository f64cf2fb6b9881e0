"""`prompts.jsonl`: what an agent was told, word for word, in the order in which it was told.

The texts are made from templates that may change later, and most CLIs keep no prompt in their
stream. So what was sent is kept when it is sent.
"""

from __future__ import annotations

from runner.records.files import append_line, read_lines
from runner.records.layout import RunDir
from runner.records.schema import PromptRecord, now


def keep_prompt(run_dir: RunDir, name: str, text: str) -> None:
    """Keep a prompt, or a file that the agent finds in its repository and is told to read.

    Args:
        run_dir: of the run.
        name: that of the prompt, such as `first`, or of the file, such as `program.md`.
        text: as the agent gets it.

    Raises:
        HostError: the disk is full or the file is not writable.
    """
    append_line(run_dir.prompts, PromptRecord(at=now(), name=name, text=text))


def read_prompts(run_dir: RunDir) -> list[PromptRecord]:
    """What was kept; nothing for a baseline, and for runs from before prompts were kept.

    Raises:
        OSError: the file cannot be read.
    """
    return list(read_lines(run_dir.prompts, PromptRecord))
