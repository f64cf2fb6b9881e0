"""What tests of baselines with a model share: prompts that need not be the project's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import samplers
from runner.options import proposing

MODEL = "claude-opus-4-6"
NAMES = sorted({name for row in samplers.load_methods().values() for name in row.prompts})


def keep_prompts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a template for each name that a method needs, and have them read from there."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.md").write_text(f"# {name}\n$space\n")
    monkeypatch.setattr(proposing, "PROMPTS", folder)
    return folder
