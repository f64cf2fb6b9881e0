"""The words that a turn begins with: templates in setup_prompts/, filled in for a run.

`first.md` is everybody's; `first.codex.md` beside it would be Codex's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Literal

from runner.errors import HostError
from runner.layout import ROOT

PROMPTS = ROOT / "setup_prompts"
PromptName = Literal["first", "nudge", "closing"]


def render_prompt(name: PromptName, cli: str, values: Mapping[str, object]) -> str:
    """The prompt of that name for a CLI, with `${...}` filled in from `values`.

    Args:
        name: which occasion: the first turn, one after an early stop, or the end of the run.
        cli: `claude`, `codex` or `gemini`, for a file of its own.
        values: see setup_prompts/README.md.

    Raises:
        HostError: the file cannot be read, or names something that is not in `values`.
    """
    own = PROMPTS / f"{name}.{cli}.md"
    path = own if own.is_file() else PROMPTS / f"{name}.md"
    try:
        return Template(path.read_text(encoding="utf-8")).substitute(values).strip()
    except (OSError, KeyError, ValueError) as error:
        raise HostError(
            f"reading the prompt {path.name}: {error!r}",
            hint="setup_prompts/README.md lists what a prompt may name",
        ) from error


def instructions() -> bytes:
    """What stands in the repository for the CLI to read by itself; the same for every agent.

    Raises:
        HostError: the file cannot be read.
    """
    path = PROMPTS / "instructions.md"
    try:
        return path.read_bytes()
    except OSError as error:
        raise HostError(f"reading {path}: {error}") from error
