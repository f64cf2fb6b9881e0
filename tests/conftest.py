"""What all tests share: signals, how hypothesis works here, and directories of runs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from runner.records.layout import RunDir

# A busy machine must not fail a property by its slowness: no deadline for one example. The suite
# tries half as many as hypothesis would by itself, and always the same ones, so that a change is
# told from chance; `--hypothesis-profile=thorough` tries many more, each time others.
settings.register_profile("bakeoff", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("bakeoff")

# A shell ignores Ctrl-C for what it starts in the background, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """The empty directory of a run."""
    made = RunDir(tmp_path / "runs" / "gpt-s1")
    made.path.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def _a_console_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich keeps one console for a process, with the COLUMNS of the test that printed first."""
    monkeypatch.setattr("rich._console", None)
