"""What the unit tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.records import layout


@pytest.fixture(scope="session", autouse=True)
def _a_machine_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each process of tests has its own folder for what a machine shares.

    Run ids are held there for the whole machine: tests side by side, or a real run, must not meet.
    """
    before = layout.MACHINE_FOLDER
    layout.MACHINE_FOLDER = tmp_path_factory.mktemp("machine")
    yield
    layout.MACHINE_FOLDER = before
