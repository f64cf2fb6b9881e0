"""What all tests share: how hypothesis works here, and directories of runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from runner.records.layout import RunDir

# A busy machine must not fail a property by its slowness: no deadline for one example. The suite
# tries half as many as hypothesis would by itself; `--hypothesis-profile=thorough` tries many more.
settings.register_profile("bakeoff", deadline=None, print_blob=True, max_examples=50)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("bakeoff")


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """The empty directory of a run."""
    made = RunDir(tmp_path / "runs" / "gpt-s1")
    made.path.mkdir(parents=True)
    return made
