"""What all tests share: signals, how hypothesis works here, and directories of runs."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """What the tests of this process write need not survive a power cut.

    A disk that is busy would hold them up for seconds. What is no file is synced as ever.
    """

    def unless_file(sync: Callable[[int], None]) -> Callable[[int], None]:
        return lambda file: None if stat.S_ISREG(os.fstat(file).st_mode) else sync(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", unless_file(os.fsync))
        patch.setattr(os, "fdatasync", unless_file(os.fdatasync))
        yield


@pytest.fixture(autouse=True)
def _a_console_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich keeps one console for a process, with the COLUMNS of the test that printed first."""
    monkeypatch.setattr("rich._console", None)
