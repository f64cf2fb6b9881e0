"""The prompts that turns begin with: templates in setup_prompts/, filled in for a run.

`first.md` is for every CLI; if there is a `first.codex.md` beside it, Codex gets that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Literal

from runner.errors import HostError
from runner.records.layout import ROOT
from runner.wire.messages import MAX_PHRASE_CHARS, MAX_PHRASES

PROMPTS = ROOT / "setup_prompts"
PromptName = Literal["first", "fresh", "nudge", "closing"]


def render_prompt(name: PromptName, cli: str, values: Mapping[str, object]) -> str:
    """The prompt of that name for a CLI, with `${...}` filled in from `values`.

    Args:
        name: `first` for the first turn, `fresh` for the first turn of a later session, `nudge`
            for one that goes on with a session, `closing` for the end of the run.
        cli: `claude`, `codex` or `gemini`, which may have a file of its own.
        values: see setup_prompts/README.md.

    Raises:
        HostError: the file cannot be read, or names a value that is not in `values`.
    """
    own = PROMPTS / f"{name}.{cli}.md"
    path = own if own.is_file() else PROMPTS / f"{name}.md"
    return _filled(path, values).strip()


def _filled(path: Path, values: Mapping[str, object]) -> str:
    try:
        return Template(path.read_text(encoding="utf-8")).substitute(values)
    except (OSError, KeyError, ValueError) as error:
        raise HostError(
            f"reading the prompt {path.name}: {error!r}",
            hint="setup_prompts/README.md lists what a prompt may name",
        ) from error


def remarks(
    turns_without_trial: int,
    turns_allowed: int,
    wrong: Sequence[str],
    restored: Sequence[str],
    disk: str = "",
) -> str:
    """What the next turn must know: what is broken in its sandbox, and that trials are missing.

    Args:
        turns_without_trial: how many turns in a row have asked for no trial.
        turns_allowed: how many of them end the run.
        wrong: what was broken after the last turn, in the container's phrases.
        restored: which of it was repaired.
        disk: what is to be said of a volume that is too full, as a paragraph.
    """
    paragraphs = [disk] if disk else []
    if wrong:
        paragraphs.append("Your sandbox was damaged after the last turn:\n" + _listed(wrong))
    if restored:
        paragraphs.append("Put right since then:\n" + _listed(restored))
    if turns_without_trial:
        turns = "turn" if turns_without_trial == 1 else f"{turns_without_trial} turns"
        paragraphs.append(
            f"The last {turns} asked for no trial, and trials are all that counts: "
            f"{turns_allowed} turns in a row without one end the run. Make `trial` work first, "
            "if it does not, then use it."
        )
    return "\n\n".join(paragraphs)


def together(devices: int) -> str:
    """How many trials may run at a time, as a sentence after a blank; nothing where it is one."""
    if devices == 1:
        return ""
    return (
        f" Up to {devices} trials run at a time: `trial --detach` starts one and does not wait, "
        "and `trial wait ID` gives its result."
    )


def phrases(lines: Sequence[str]) -> list[str]:
    """A container's phrases as they can stand in a prompt: bounded, each on one line."""
    bounded = [str(line)[:MAX_PHRASE_CHARS] for line in lines[:MAX_PHRASES]]
    return ["".join(c if c.isprintable() else "?" for c in line) for line in bounded]


def _listed(phrases: Sequence[str]) -> str:
    return "\n".join(f"- {phrase}" for phrase in phrases)


def instructions(values: Mapping[str, object]) -> bytes:
    """The file in the repository that a CLI reads by itself; it is the same for every agent.

    Args:
        values: what the task's metric is called; see setup_prompts/README.md.

    Raises:
        HostError: the file cannot be read, or names something that is not in `values`.
    """
    return _filled(PROMPTS / "instructions.md", values).encode()
